"""How long the outcomes of a sampled model last: until one is lost, and until one is left."""

import math
from dataclasses import dataclass

import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.chain import Chain, absorption, from_loop
from fixedpoint.laws import fixation
from fixedpoint.loop import Loop, kind

LARGEST_CHAIN = 1_500
"""Most states, and samples, of the exact chains that are solved on the way."""

LARGEST_CONTEXTS = 100
"""Most contexts for which exact mean times are computed."""

LARGEST_TABLE = 2**24
"""Most contexts × outcomes for which mean times at temperature 1 are computed."""

LARGEST_EXACT = 10**6
"""Most samples for which the mean time until one outcome is left is computed exactly."""

SMALLEST_EXPECTATION = 5
"""Fewest samples that the rarest outcome must expect for the asymptotic time until a loss.

That time is then about a generation too long, which is at most a fifth of it."""


@dataclass(frozen=True)
class MeanTime:
    """A mean number of generations, averaged over contexts.

    Attributes:
        value: the number; `None` where it is not known.
        exact: whether it is exact, or asymptotic in the number of samples.
        note: where it is not known: why.
    """

    value: float | None
    exact: bool = True
    note: str = ""


@dataclass(frozen=True)
class Ending:
    """How long the outcomes last.

    Attributes:
        first_loss: until the first outcome is lost.
        fixation: until one outcome is left.
    """

    first_loss: MeanTime
    fixation: MeanTime


def ending(loop: Loop, rows: np.ndarray) -> Ending:
    """How long the outcomes of sampled models last.

    Args:
        loop: a loop whose corpus is `Fresh(num_samples)` and whose learner is `Refit()`.
        rows: the models at generation 0, shape (contexts, num_outcomes).

    Returns:
        Mean times over runs and contexts. Exact for two outcomes and, with few samples, for more,
        of any loop. At temperature 1, without truncation, also for any number of outcomes: the time
        to fixation exactly (asymptotically beyond a million samples), the time to the first loss
        asymptotically.

    Example:
        >>> import fixedpoint as fp
        >>> found = ending(fp.Loop(corpus=fp.Fresh(4)), np.log([[0.25, 0.25, 0.5]]))
        >>> print(f"{found.fixation.value:.6f}")  # exactly 749/145
        5.165517
    """
    n = kind.num_samples(loop.corpus)
    assert n is not None
    losses, fixations = _by_chains(loop, rows)
    if kind.draws_itself(loop):
        if rows.size > LARGEST_TABLE:
            unknown = MeanTime(None, note=f"not computed beyond {LARGEST_TABLE:,} logits")
            return Ending(_average(losses, unknown), _average(fixations, unknown))
        logits = jnp.asarray(rows, float)
        exact = n <= LARGEST_EXACT
        to_fixation = fixation.fixation_time if exact else fixation.fixation_time_diffusion
        for index, value in enumerate(np.asarray(to_fixation(logits, n))):
            if fixations[index].value is None:
                fixations[index] = MeanTime(float(value), exact)
        alive = (rows > -np.inf).sum(-1)
        p = np.asarray(simplex.probabilities(logits))
        expected = n * np.where(np.isneginf(rows), np.inf, p).min(-1)
        for index, value in enumerate(np.asarray(fixation.first_extinction(logits, n))):
            if alive[index] == 2:
                losses[index] = fixations[index]
            elif losses[index].value is None and expected[index] < SMALLEST_EXPECTATION:
                rarest = f"the rarest outcome expects {expected[index]:.2g} of {n:,} samples"
                losses[index] = MeanTime(None, note=f"{rarest}, too few for the asymptotic law")
            elif losses[index].value is None:
                losses[index] = MeanTime(float(value), exact=False)
    return Ending(_average(losses), _average(fixations))


def _average(times: list[MeanTime], otherwise: MeanTime | None = None) -> MeanTime:
    """The mean over contexts, if it is known of each."""
    values = [time.value for time in times if time.value is not None]
    if len(values) < len(times):
        return otherwise or next(time for time in times if time.value is None)
    return MeanTime(float(np.mean(values)), all(time.exact for time in times))


def _by_chains(loop: Loop, rows: np.ndarray) -> tuple[list[MeanTime], list[MeanTime]]:
    """What exact chains know of the times to the first loss and to fixation of each model."""
    n = kind.num_samples(loop.corpus)
    assert n is not None
    chains: dict[int, tuple[Chain, np.ndarray, np.ndarray]] = {}
    losses, fixations = [], []
    for row in rows:
        alive = row[row > -np.inf]
        states = math.comb(n + len(alive) - 1, len(alive) - 1) if n <= LARGEST_CHAIN else None
        loss, fixation, note = math.nan, math.nan, ""
        if len(alive) == 1 or n == 1:
            # One sample leaves one outcome.
            loss = fixation = float(len(alive) > 1)
        elif len(rows) > LARGEST_CONTEXTS:
            note = f"not computed beyond {LARGEST_CONTEXTS:,} contexts"
        elif states is None:
            note = f"not computed beyond {LARGEST_CHAIN:,} samples"
        elif states > LARGEST_CHAIN:
            note = f"no exact chain of {len(alive):,} outcomes and {n:,} samples"
        else:
            try:
                if len(alive) not in chains:
                    chains[len(alive)] = _times(from_loop(loop, len(alive)))
                chain, lost, fixed = chains[len(alive)]
                first = chain.first_generation(alive)
                loss, fixation = 1 + float(first @ lost), 1 + float(first @ fixed)
                if math.isinf(fixation):
                    note = "longer than 1e308 generations"
                elif math.isnan(loss + fixation):
                    note = "a chance in the chain is below the range of float64"
            except FloatingPointError as failure:
                note = str(failure)
        losses.append(MeanTime(None, note=note) if note else MeanTime(loss))
        fixations.append(MeanTime(None, note=note) if note else MeanTime(fixation))
    return losses, fixations


def _times(chain: Chain) -> tuple[Chain, np.ndarray, np.ndarray]:
    """The chain, and from each of its states the mean times to the first loss and to fixation."""
    fixation = absorption(chain).mean
    if chain.counts.shape[1] == 2:
        return chain, fixation, fixation
    return chain, absorption(chain.stopped((chain.counts == 0).any(-1))).mean, fixation
