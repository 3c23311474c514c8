"""The exact law of a sampled loop over a few generations, by listing every corpus.

A corpus of n samples of K outcomes is one of (n + K − 1 choose K − 1) vectors of counts. While
their number to the power of the generations is small, the model's law needs no simulation.
"""

import math
from itertools import combinations
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from fixedpoint import checks, simplex
from fixedpoint.loop import kind
from fixedpoint.loop.corpora import Target
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.samplers import floating

__all__ = ["Histories", "all_counts", "enumerate_histories"]

LARGEST = 50_000_000
"""Most numbers that are listed at once: 0.4 GB, and some seconds."""


class Histories(NamedTuple):
    """Every possible history of a loop.

    Attributes:
        probability: of each history, shape (histories,); they sum to 1.
        logits: the model at every generation, from the initial one to the last, shape
            (generations + 1, histories, num_outcomes).
    """

    probability: Float[Array, " histories"]
    logits: Float[Array, "generations histories outcomes"]

    def mean(self, value: Float[Array, " histories *shape"]) -> Float[Array, "*shape"]:
        """Expectation of a quantity given for every history; impossible ones do not count."""
        return _mean(self.probability, value)


@jax.jit
def _mean(probability: Array, value: Array) -> Array:
    weight = jnp.expand_dims(probability, tuple(range(1, value.ndim)))
    return jnp.sum(jnp.where(weight > 0, weight * value, 0), 0)


def all_counts(num_outcomes: int, num_samples: int) -> np.ndarray:
    """All vectors of counts of `num_samples` samples, shape (number, num_outcomes).

    Args:
        num_outcomes: K, at least 1.
        num_samples: n, at least 1.

    Returns:
        The (n + K − 1 choose K − 1) vectors, each adding up to n.

    Raises:
        ValueError: If an argument is not a positive integer, or they are too many.

    Example:
        >>> all_counts(2, 3).tolist()
        [[0, 3], [1, 2], [2, 1], [3, 0]]
    """
    num_outcomes = checks.check_count(num_outcomes, "num_outcomes")
    num_samples = checks.check_count(num_samples, "num_samples")
    number = math.comb(num_samples + num_outcomes - 1, num_outcomes - 1)
    if number * num_outcomes > LARGEST:
        raise ValueError(
            f"`num_samples` must leave at most {LARGEST // num_outcomes:,} vectors of "
            f"{num_outcomes:,} counts; got {num_samples:,}, hence {_about(number)}."
        )
    # K − 1 bars among n stars: the counts are the gaps between the bars.
    bars = list(combinations(range(num_samples + num_outcomes - 1), num_outcomes - 1))
    edges = np.pad(
        np.array(bars, int).reshape(len(bars), -1),
        ((0, 0), (1, 1)),
        constant_values=((0, 0), (-1, num_samples + num_outcomes - 1)),
    )
    return np.diff(edges) - 1


def enumerate_histories(
    loop: Loop, logits: Float[Array, " outcomes"], num_generations: int
) -> Histories:
    """List every history of a loop with fresh corpora, and its probability.

    Args:
        loop: A loop whose corpus is `Fresh` and whose learner is not stochastic.
        logits: The initial model, shape (num_outcomes,).
        num_generations: How many generations, at least 0. The number of histories is the number
            of corpora to this power: all of their models are in memory, up to 50 million numbers.

    Returns:
        The histories.

    Raises:
        ValueError: If the loop is not of that form, `num_generations` is negative, or there are
            too many histories.

    Validity:
        Exact. The learner is that of the loop; only the draw is replaced by the list of all draws.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(corpus=fp.Fresh(num_samples=1))
        >>> enumerate_histories(loop, jnp.log(jnp.array([0.25, 0.75])), 1).probability
        Array([0.75, 0.25], dtype=float64)
    """
    checks.check_kind(loop, Loop, "loop", "a Loop")
    num_samples = kind.num_samples(loop.corpus)
    if num_samples is None or loop.learner.stochastic or loop.learner.from_initial:
        raise ValueError(
            "`loop` must draw a Fresh corpus and learn from it without chance, starting from the "
            f"last model; got {loop}."
        )
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    start = floating(checks.check_logits(logits))
    if start.ndim != 1:
        raise ValueError(f"`logits` must have the shape (num_outcomes,); got {start.shape}.")
    corpora = math.comb(num_samples + len(start) - 1, len(start) - 1)
    # With logarithms: the number itself may have more digits than there is memory.
    numbers = math.log(corpora) * num_generations + math.log((num_generations + 1) * len(start))
    if numbers > math.log(LARGEST):
        raise ValueError(
            f"`num_generations` must leave at most {LARGEST:,} numbers to list (histories × models "
            f"× outcomes); got {num_generations:,} with {_about(corpora)} corpora a generation. "
            "`fixedpoint.run` simulates it; `fixedpoint.chain.from_loop` has the exact law of a "
            "loop that forgets all but its last counts."
        )
    counts = all_counts(len(start), num_samples)
    # Written in base "number of corpora", a history's number spells the corpora it drew.
    history = np.arange(len(counts) ** num_generations)
    powers = len(counts) ** np.arange(num_generations)
    orders = math.factorial(num_samples)
    ways = [orders / math.prod(map(math.factorial, row)) for row in counts.tolist()]
    drawn_corpora = history // powers[:, None] % len(counts)
    return _follow(
        loop, start, jnp.asarray(counts), jnp.log(jnp.asarray(ways, start.dtype)), drawn_corpora
    )


def _about(number: int) -> str:
    """A whole number of any size in a few digits."""
    return f"{number:,}" if number < 10**12 else f"about 10^{math.log10(number):.0f}"


@eqx.filter_jit
def _follow(
    loop: Loop, start: Array, counts: Array, log_ways: Array, drawn_corpora: Array
) -> Histories:
    """Probability and models of every history, given the corpora drawn."""
    counts = counts.astype(start.dtype)
    size = counts[0].sum()
    targets = jnp.where(counts > 0, jnp.log(jnp.where(counts > 0, counts, 1)), -jnp.inf)

    def generation(carry: Any, corpus: Any):
        log_probability, model = carry
        drawn = simplex.log_probabilities(loop.drawn(model))
        seen = counts[corpus] > 0
        chance = jnp.where(seen, counts[corpus] * jnp.where(seen, drawn, 0), 0).sum(-1)
        model = loop.learner(model, Target(targets[corpus], size), None)
        return (log_probability + chance + log_ways[corpus], model), model

    histories = drawn_corpora.shape[1]
    begin = jnp.zeros(histories, start.dtype), jnp.tile(start, (histories, 1))
    (log_probability, _), models = lax.scan(generation, begin, drawn_corpora)
    return Histories(jnp.exp(log_probability), jnp.concatenate([begin[1][None], models]))
