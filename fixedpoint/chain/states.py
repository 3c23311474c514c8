"""A loop with a finite corpus as a Markov chain on the counts of that corpus."""

from __future__ import annotations

from collections.abc import Iterator

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import ArrayLike

from fixedpoint import checks, simplex
from fixedpoint.chain.counts import (
    log_multinomial,
    log_ways,
    multinomial,
    num_counts,
    num_partitions,
    sorted_by_class,
)
from fixedpoint.loop import kind
from fixedpoint.loop.corpora import Corpus, Exact, Target, logarithm
from fixedpoint.loop.enumeration import all_counts
from fixedpoint.loop.generation import Loop

__all__ = ["Chain", "drawn_probabilities", "from_loop"]

LARGEST = 6_000
"""Most states of a chain: its matrix then takes 0.3 GB, and the elimination half a minute."""

LARGEST_LUMPED = 120_000
"""Most vectors of counts that are told apart only by their parts: each row is computed for all."""

LARGEST_WORK = 2 * 10**10
"""Most probabilities of counts that are computed for one chain, a matter of minutes."""

BLOCK = 2**22
"""Entries of the matrix that are in work at once."""

Row = Float[np.ndarray, " states"]


class Chain(eqx.Module):
    """A finite Markov chain whose states are the counts of a generation's samples.

    Attributes:
        counts: the states, shape (S, num_outcomes): how many of the n samples of a generation were
            which outcome. For two outcomes state k has k samples of the first outcome.
        matrix: probability of every state in the next generation, shape (S, S), float64.
        absorbing: whether a state is never left, shape (S,): decided from the distributions that
            are drawn from, not from the rounded matrix.
        loop: the process, from which the chain was made; `None` if made by hand.
        initial: the model at generation 0, for learners that start from it.
    """

    counts: Int[np.ndarray, "states outcomes"]
    matrix: Float[np.ndarray, "states states"]
    absorbing: Bool[np.ndarray, " states"]
    loop: Loop | None = None
    initial: Array | None = None

    @property
    def num_samples(self) -> int:
        """The n samples of a generation."""
        return int(self.counts[0].sum())

    def index(self, counts: ArrayLike) -> int:
        """Number of a state: for two outcomes k itself will do, else its counts.

        Example:
            >>> import fixedpoint as fp
            >>> two = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(4)))
            >>> two.index(3), two.index([3, 1])
            (3, 3)
        """
        given = np.asarray(checks.check_whole(counts, "counts", 0))
        if given.ndim == 0 and self.counts.shape[1] == 2:
            given = np.array([given, self.num_samples - given])
        fits = given.shape == self.counts.shape[1:]
        found = np.flatnonzero((self.counts == given).all(-1)) if fits else []
        if len(found) != 1:
            raise ValueError(
                f"`counts` must be {self.counts.shape[1]} counts that add up to "
                f"{self.num_samples:,}, and a state of the chain; got {counts}."
            )
        return int(found[0])

    def first_generation(self, logits: ArrayLike) -> Row:
        """Law of generation 1 if generation 0 is any model, not one of the chain's states.

        Args:
            logits: The model at generation 0, shape (num_outcomes,).

        Returns:
            The probability of every state, shape (S,).

        Example:
            >>> import jax.numpy as jnp
            >>> import fixedpoint as fp
            >>> two = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(2)))
            >>> two.first_generation(jnp.log(jnp.array([0.5, 0.5])))
            array([0.25, 0.5 , 0.25])
        """
        if self.loop is None:
            raise ValueError("`chain` must be made from a loop to start from a model; got none.")
        checks.check_logits(logits)
        model = jnp.asarray(logits, float)
        if model.shape != (self.counts.shape[1],):
            raise ValueError(
                f"`logits` must have shape ({self.counts.shape[1]},); got {model.shape}."
            )
        drawn = _drawn_from(_parts(self.loop), _curation(self.loop.corpus), model)
        drawn = _surviving(np.asarray(drawn)[None])
        everything = all_counts(self.counts.shape[1], self.num_samples)
        row = multinomial(drawn, everything)[0]
        by_class, first_of_class = sorted_by_class(self.counts, everything)
        return row if by_class is None else np.add.reduceat(row[by_class], first_of_class)

    def models(self) -> Iterator[tuple[float, Float[np.ndarray, "states outcomes"]]]:
        """Iterate over the models that the states lead to: several, if real data are sampled.

        Yields:
            The probability of a model, the same for all states, and its logits, shape
            (S, num_outcomes).

        Example:
            >>> import fixedpoint as fp
            >>> two = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(2)))
            >>> [(chance, np.exp(logits[1]).tolist()) for chance, logits in two.models()]
            [(1.0, [0.5, 0.5])]
        """
        if self.loop is None:
            raise ValueError("`chain` must be made from a loop to have models; got none.")
        counts = jnp.asarray(self.counts)
        origin = jnp.zeros(counts.shape) if self.initial is None else self.initial
        for chance, corpus, _ in _assembled(self.loop.corpus, counts):
            target, _ = corpus(logarithm(counts / self.num_samples), None, None)
            yield chance, np.asarray(self.loop.learner(origin, target, None))

    def log_matrix(self) -> Float[np.ndarray, "states states"] | None:
        """Logarithms of the transition probabilities, also of those that round to 0.

        Returns:
            log P, shape (S, S), of the rows that are not absorbing (the others as in the loop);
            `None` if the chain was not made from a loop, lumps its states, or a state has more
            than one model (sampled real data).
        """
        number = num_counts(self.num_samples, self.counts.shape[1], len(self.counts))
        if self.loop is None or number != len(self.counts):
            return None
        drawn = list(_drawn(self.loop, self.counts, self.initial))
        if len(drawn) != 1:
            return None
        return log_multinomial(drawn[0][1], self.counts, log_ways(self.counts))

    def stopped(self, states: ArrayLike) -> Chain:
        """The same chain, absorbed as soon as it is in one of the given states.

        Args:
            states: Which states, shape (S,).

        Returns:
            The chain whose absorption is the first visit to one of these states, or to one that
            was absorbing already.

        Example:
            >>> import fixedpoint as fp
            >>> three = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(4)), 3)
            >>> first_loss = three.stopped((three.counts == 0).any(-1))
            >>> int(first_loss.absorbing.sum()), int(three.absorbing.sum())
            (12, 3)
        """
        absorbing = self.absorbing | np.asarray(states, bool)
        matrix = np.where(absorbing[:, None], np.eye(len(absorbing)), self.matrix)
        return Chain(self.counts, matrix, absorbing, self.loop, self.initial)


def from_loop(
    loop: Loop,
    num_outcomes: int = 2,
    *,
    initial: ArrayLike | None = None,
    exchangeable: bool = False,
) -> Chain:
    """The exact chain of a loop that draws n samples a generation.

    The loop itself is called on each of the models that n samples can lead to: state N, model
    p(N), drawn distribution d(N), and the next counts are Multinomial(n, d(N)).

    Args:
        loop: A loop whose corpus is `Fresh(num_samples)`, also inside `Mixed`, `Pooled` or
            `Curated`, and whose learner forgets the last model (`Refit`, or a learner that starts
            from the initial one). Any samplers.
        num_outcomes: K, at least 2. There are (n + K − 1 choose K − 1) states, at most 6,000.
        initial: The model at generation 0, for learners that start from it.
        exchangeable: Whether to tell the outcomes apart only by their counts: states are then
            the partitions of n into at most K parts, in descending order. For loops that treat
            all outcomes alike; checked. At most 6,000 states of 120,000 vectors of counts.

    Returns:
        The chain. With data of which `num_real` samples are real, the state is what was drawn
        from the model.

    Validity:
        Exact up to rounding: every entry of a row has a relative error of about 1e-14 with respect
        to the float64 probabilities of its drawn distribution, down to 1e-300, at any temperature
        (`tests/chain/test_states.py`).

    Example:
        >>> import fixedpoint as fp
        >>> two = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(num_samples=2)))
        >>> two.matrix
        array([[1.  , 0.  , 0.  ],
               [0.25, 0.5 , 0.25],
               [0.  , 0.  , 1.  ]])
    """
    num_outcomes = checks.check_count(num_outcomes, "num_outcomes", minimum=2)
    checks.check_kind(exchangeable, bool, "exchangeable", "True or False")
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError(
            "`jax_enable_x64` must be on for an exact chain, whose probabilities span hundreds of "
            'orders of magnitude (jax.config.update("jax_enable_x64", True)); got False.'
        )
    if initial is not None and np.shape(checks.check_logits(initial, "initial")) != (num_outcomes,):
        raise ValueError(f"`initial` must have shape ({num_outcomes},); got {np.shape(initial)}.")
    num_samples = _check_markov(loop, initial)
    _check_size(loop.corpus, num_samples, num_outcomes, exchangeable)
    everything = all_counts(num_outcomes, num_samples)
    states = everything
    if exchangeable:
        _check_exchangeable(loop, everything, initial)
        states = everything[(np.diff(everything) <= 0).all(-1)]
    start = None if initial is None else jnp.asarray(initial, float)
    matrix, absorbing = np.zeros((len(states), len(states))), np.ones(len(states), bool)
    by_class, first_of_class = sorted_by_class(states, everything)
    ways = log_ways(everything) if num_outcomes > 2 else None
    size = max(1, BLOCK // len(everything))
    for weight, drawn in _drawn(loop, states, start):
        for first in range(0, len(states), size):
            part = slice(first, first + size)
            rows = multinomial(drawn[part], everything, ways)
            if by_class is not None:
                rows = np.add.reduceat(rows[:, by_class], first_of_class, axis=1)
            matrix[part] += weight * rows
        # A state is absorbing if nothing but itself can be drawn, whatever the rounding.
        absorbing &= ((drawn > -np.inf) == (states == num_samples)).all(-1)
    return Chain(states, matrix, absorbing, loop, start)


def _check_size(
    corpus: Corpus, num_samples: int, num_outcomes: int, exchangeable: bool = False
) -> None:
    """Refuse more states than fit, before they are listed."""
    most = LARGEST_LUMPED if exchangeable else LARGEST
    columns = num_counts(num_samples, num_outcomes, 10 * most)
    states, limit, kind = columns, most, "vectors of counts" if exchangeable else "states"
    if exchangeable and columns <= most:
        states, limit, kind = num_partitions(num_samples, num_outcomes), LARGEST, "states"
    if states > limit:
        more = "more than " * (states > 10 * limit)
        raise ValueError(
            f"`num_samples` must leave at most {limit:,} {kind} for {num_outcomes:,} outcomes "
            f"(`fixedpoint.laws.fixation` needs no states at temperature 1, "
            f"`fixedpoint.run` simulates); got {num_samples:,}, hence {more}"
            f"{min(states, 10 * limit):,} {kind}."
        )
    _check_models(corpus, num_outcomes, states * columns)


def _check_models(corpus: Corpus, num_outcomes: int, each: int) -> None:
    """Refuse so many samples of real data that the models which they lead to take too long."""
    most, number, num_real = LARGEST_WORK // each, 1, 0
    for sampled in filter(None, map(kind.num_real, kind.layers(corpus))):
        num_real = max(num_real, sampled)
        number *= num_counts(sampled, num_outcomes, most)
    if number > most:
        raise ValueError(
            f"`num_real` must leave at most {most:,} different samples of the real data for a "
            f"chain of this size (`num_real=None` mixes the real data in without noise, "
            f"`fixedpoint.run` simulates); got {num_real:,}."
        )


def drawn_probabilities(
    loop: Loop, most: int
) -> tuple[list[tuple[float, np.ndarray]], int, Bool[np.ndarray, " states"]]:
    """What the states of two outcomes draw with: probabilities (n + 1, 2), n, and the absorbing.

    With sampled real data a state has several models: one entry for each, with its probability.
    """
    num_samples = _check_markov(loop, None)
    if num_samples > most:
        raise ValueError(
            f"`num_samples` must be at most {most:,} (the limit of many samples is in "
            f"`fixedpoint.laws.metastability.slow_eigenvalue`); got {num_samples:,}."
        )
    _check_models(loop.corpus, 2, 1_000 * (num_samples + 1))
    states = all_counts(2, num_samples)
    models, absorbing = [], np.ones(len(states), bool)
    for weight, drawn in _drawn(loop, states, None):
        models.append((weight, np.exp(drawn)))
        absorbing &= ((drawn > -np.inf) == (states == num_samples)).all(-1)
    return models, num_samples, absorbing


# --- The loop, called with given counts -----------------------------------------------------------


class _Given(Corpus):
    """A corpus whose samples are drawn already, among `size` in all."""

    counts: Array
    size: Array

    @property
    def stochastic(self) -> bool:
        return False

    def initial(self, logits: Array) -> None:
        return

    def __call__(self, drawn: Array, memory: None, key: Array | None) -> tuple[Target, None]:
        shares = self.counts / self.counts.sum(-1, keepdims=True)
        return Target(logarithm(shares), self.size), None


def _check_markov(loop: Loop, initial: object) -> int:
    """The samples of a generation, if the next model depends on their counts alone."""

    def refuse(what: str, instead: str) -> ValueError:
        return ValueError(
            f"`loop` must lead from the counts of one generation to those of the next; {what}. "
            f"{instead}; got {loop}."
        )

    checks.check_kind(loop, Loop, "loop", "a Loop")
    run = "`fixedpoint.run` simulates it, `loop.enumeration` lists a few generations exactly"
    *wrappers, inner = kind.layers(loop.corpus)
    for corpus in wrappers:
        if kind.name(corpus) not in ("Mixed", "Pooled", "Curated"):
            raise refuse(f"{type(corpus).__name__} remembers more than the last samples", run)
    num_samples = kind.num_samples(inner)
    if kind.name(inner) == "Exact":
        raise refuse("it draws no samples", "`fixedpoint.run` follows it exactly, without chance")
    if num_samples is None:
        raise refuse(f"{type(inner).__name__} may do anything with them", run)
    learner = loop.learner
    if learner.stochastic:
        raise refuse(f"{type(learner).__name__} draws batches of its own", run)
    if learner.from_initial and initial is None:
        raise ValueError(
            "`initial` must be the model at generation 0 where the learner starts from it; "
            "got None."
        )
    if not learner.from_initial:
        data = Target(jnp.log(jnp.array([0.3, 0.7])), num_samples)
        origins = jnp.log(jnp.array([[0.5, 0.5], [0.9, 0.1]]))
        learnt = [simplex.probabilities(learner(origin, data, None)) for origin in origins]
        if np.abs(learnt[0] - learnt[1]).max() > 1e-12:
            raise refuse(
                f"{type(learner).__name__} starts from the last model, which no counts tell", run
            )
    return num_samples


def _drawn(
    loop: Loop, counts: Int[np.ndarray, "rows outcomes"], initial: Array | None
) -> Iterator[tuple[float, np.ndarray]]:
    """What each model that the samples lead to draws from next, as log-probabilities.

    With sampled real data there is one model for each of their counts: with its probability.
    """
    rows = len(counts)
    # Padded to a power of two, so that few shapes are compiled.
    padded = np.pad(counts, ((0, (1 << (rows - 1).bit_length()) - rows), (0, 0)), mode="edge")
    samples = jnp.asarray(padded, float)
    origin = jnp.broadcast_to(
        jnp.zeros(counts.shape[1]) if initial is None else initial, samples.shape
    )
    for weight, given, _ in _assembled(loop.corpus, samples):
        drawn = _drawn_by(_parts(loop), _curation(loop.corpus), given, origin)
        yield weight, _surviving(np.asarray(drawn)[:rows])


def _parts(loop: Loop) -> Loop:
    """The loop without its corpus, which holds the number of samples as a static value."""
    return Loop(loop.sampler, Exact(), loop.learner)


def _curation(corpus: Corpus) -> tuple[Corpus, ...]:
    """The curations and pools that act on what is drawn before it is counted, outermost first."""
    acting = (layer for layer in kind.layers(corpus) if kind.name(layer) in ("Curated", "Pooled"))
    return tuple(kind.on(layer, Exact()) for layer in acting)


def _assembled(corpus: Corpus, counts: Array) -> Iterator[tuple[float, Corpus, int]]:
    """The corpus with the given samples in place of the drawn ones: probability, corpus, size."""
    num_samples, num_real = kind.num_samples(corpus), kind.num_real(corpus)
    if num_samples is not None:
        yield 1.0, _Given(counts, jnp.asarray(float(num_samples))), num_samples
        return
    inside = _assembled(kind.layers(corpus)[1], counts)
    if kind.name(corpus) in ("Curated", "Pooled"):  # which have acted on what was drawn
        yield from inside
        return
    for weight, inner, size in inside:
        if num_real is None:
            yield weight, kind.on(corpus, inner), size
            continue
        size += num_real
        sized = eqx.tree_at(_size_of, inner, jnp.asarray(float(size)))
        real_counts = all_counts(counts.shape[1], num_real)
        real = np.asarray(logarithm(jnp.broadcast_to(kind.real(corpus), counts.shape[1:])))
        chances = multinomial(real[None], real_counts)[0]
        for chance, drawn in zip(chances, real_counts / num_real, strict=True):
            if chance > 0:
                mixed = kind.on(corpus, sized, real=jnp.asarray(drawn), num_real=None)
                yield weight * float(chance), mixed, size


def _size_of(corpus: Corpus) -> Array:
    given = kind.layers(corpus)[-1]
    assert isinstance(given, _Given)
    return given.size


@eqx.filter_jit
def _drawn_by(parts: Loop, curation: tuple[Corpus, ...], given: Corpus, origin: Array) -> Array:
    """Learn from the given samples, then draw."""
    target, _ = given(origin, None, None)
    return _drawn_from(parts, curation, parts.learner(origin, target, None))


@eqx.filter_jit
def _drawn_from(parts: Loop, curation: tuple[Corpus, ...], model: Array) -> Array:
    """Log-probabilities that the samples are drawn with."""
    drawn = parts.drawn(model)
    for corpus in curation:
        drawn = corpus(drawn, None, None)[0].logits
    return simplex.log_probabilities(drawn)


def _surviving(drawn: np.ndarray) -> np.ndarray:
    alive = np.isfinite(drawn.max(-1))
    if not alive.all():
        raise ValueError(
            "`loop` must leave an outcome to draw in every state; nothing survives truncation and "
            f"curation in {int((~alive).sum())} of them."
        )
    return drawn


def _check_exchangeable(
    loop: Loop, everything: Int[np.ndarray, "counts outcomes"], initial: object
) -> None:
    """Refuse a loop that does not draw from permuted counts with permuted probabilities."""
    ordered = np.argsort(-everything, axis=-1, kind="stable")
    start = None if initial is None else jnp.asarray(initial, float)
    sorted_counts = np.take_along_axis(everything, ordered, -1)
    for (_, here), (_, there) in zip(
        _drawn(loop, everything, start), _drawn(loop, sorted_counts, start), strict=True
    ):
        if np.abs(np.exp(np.take_along_axis(here, ordered, -1)) - np.exp(there)).max() > 1e-12:
            raise ValueError(
                "`exchangeable` must be False where the outcomes are not treated alike (real data, "
                f"curation, ties cut by their index); got True with {loop}."
            )
