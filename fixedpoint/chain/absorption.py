"""What becomes of a chain: absorption, its law at a generation, its laws that stay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from fixedpoint import checks
from fixedpoint.chain.elimination import Elimination
from fixedpoint.chain.metastable import escape
from fixedpoint.chain.states import Chain

__all__ = [
    "Absorption",
    "QuasiStationary",
    "absorption",
    "law",
    "quasi_stationary",
    "stationary",
]


class Absorption(NamedTuple):
    """Where and when a chain is absorbed, from each of its S states.

    Attributes:
        states: Numbers of the A absorbing states.
        probability: Probability of ending in each of them, shape (S, A).
        mean: Mean number of generations until then, shape (S,); 0 in an absorbing state, inf
            beyond 1e308.
        variance: Variance of that number, shape (S,); inf beyond 1e308.
        log_mean: log of the mean, shape (S,), finite also where the mean is not; -inf in an
            absorbing state.
    """

    states: Int[np.ndarray, " absorbing"]
    probability: Float[np.ndarray, "states absorbing"]
    mean: Float[np.ndarray, " states"]
    variance: Float[np.ndarray, " states"]
    log_mean: Float[np.ndarray, " states"]


def absorption(chain: Chain) -> Absorption:
    """Absorption probabilities, and mean and variance of the time to absorption.

    With Q the transitions among the transient states and R those to absorbing ones,

        probability = (I − Q)⁻¹ R,   mean = (I − Q)⁻¹ 1,   E[τ²] = (I − Q)⁻¹ (1 + 2 Q mean).

    Args:
        chain: A chain with absorbing states (`Chain.stopped` makes states absorbing).

    Returns:
        The probabilities and times for every state. For a model p₀ at generation 0 average over
        its first generation: `1 + chain.first_generation(logits) @ result.mean`.

    Raises:
        ValueError: If no state is absorbing.
        FloatingPointError: If a probability that matters is below the range of float64.

    Validity:
        Probabilities and means to 1e-12 relative, also where the mean is 10^{200}; the variance
        to 1e-12 of the mean's square (`tests/chain/test_absorption.py`). Means beyond 1e270 are
        found as logarithms, to 1e-11 (`tests/chain/test_metastable.py`), for chains made from a
        loop, without `exchangeable` and sampled real data.

    Example:
        >>> import fixedpoint as fp
        >>> ends = fp.chain.absorption(fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(4))))
        >>> ends.mean * 29  # exactly 107/29, 132/29, 107/29
        array([  0., 107., 132., 107.,   0.])
        >>> ends.probability[1]  # from one of four samples: the other outcome wins 3 of 4 times
        array([0.75, 0.25])

    References:
        Kemeny & Snell (1960), Finite Markov chains, chapter III.
    """
    checks.check_kind(chain, Chain, "chain", "a Chain (chain.from_loop)")
    if not chain.absorbing.any():
        raise ValueError(
            "`chain` must have an absorbing state (`chain.stationary` is for those without); "
            "got none."
        )
    ends = np.flatnonzero(chain.absorbing)
    size = len(chain.counts)
    probability = np.zeros((size, len(ends)))
    probability[ends, np.arange(len(ends))] = 1
    mean, variance, log_mean = np.zeros(size), np.zeros(size), np.full(size, -np.inf)
    try:
        order, elimination = _eliminated(chain)
        right = np.column_stack([chain.matrix[np.ix_(order, ends)], np.ones(len(order))])
        found = elimination.solve(right)
        _check_range(found[:, -1])
    except FloatingPointError:
        order = np.flatnonzero(~chain.absorbing)
        log_matrix = chain.log_matrix()
        if log_matrix is None:
            raise
        log_inside = log_matrix[np.ix_(order, order)]
        found = escape(log_inside, log_matrix[np.ix_(order, ends)], _stays(chain, order))
        log_mean[order], probability[order] = found
        with np.errstate(over="ignore"):
            mean = np.exp(log_mean)
            variance = np.where(chain.absorbing, 0, np.inf)
        return Absorption(ends, probability, mean, variance, log_mean)
    probability[order], mean[order] = found[:, :-1], found[:, -1]
    # In units of the longest mean time, whose square may be beyond the range.
    unit = mean.max(initial=1.0)
    inside = chain.matrix[np.ix_(order, order)]
    square = elimination.solve(1 / unit + 2 * inside @ (mean[order] / unit))
    with np.errstate(over="ignore"):
        variance[order] = np.maximum(square - mean[order] * (mean[order] / unit), 0) * unit
    log_mean[order] = np.log(mean[order])
    return Absorption(ends, probability, mean, variance, log_mean)


def law(chain: Chain, generation: int, start: ArrayLike) -> Float[np.ndarray, " states"]:
    """Law of the chain at a generation, P(N_t = ·) = start · Pᵗ.

    Args:
        chain: The chain.
        generation: t ≥ 0.
        start: The state at generation 0, or its law, shape (S,). For a model p₀ at generation 0
            start with `chain.first_generation(logits)` and t − 1.

    Returns:
        The probability of every state, shape (S,).

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Sums of products of probabilities: relative error about t × 1e-16. Cost S² t, or S³ log t
        where that is less.

    Example:
        >>> import fixedpoint as fp
        >>> two = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(2)))
        >>> fp.chain.law(two, 2, start=1)
        array([0.375, 0.25 , 0.375])
    """
    checks.check_kind(chain, Chain, "chain", "a Chain (chain.from_loop)")
    generation = checks.check_count(generation, "generation", minimum=0)
    size = len(chain.counts)
    if np.shape(start) == ():
        row = np.zeros(size)
        state = checks.check_count(start, "start", minimum=0)
        if state >= size:
            raise ValueError(f"`start` must be one of the states 0..{size - 1}; got {state}.")
        row[state] = 1
    else:
        row = np.array(checks.check_probabilities(start, "start"), float)
    if row.shape != (size,):
        raise ValueError(f"`start` must be a state or a law of {size} states; got {row.shape}.")
    bits = generation.bit_length()
    power = chain.matrix
    if generation < size * bits:
        for _ in range(generation):
            row = row @ power
        return row
    for bit in range(bits):
        if generation >> bit & 1:
            row = row @ power
        if bit + 1 < bits:
            power = power @ power
    return row


def stationary(chain: Chain) -> Float[np.ndarray, " states"]:
    """The stationary law π = πP of a chain that is never absorbed.

    Args:
        chain: A chain without absorbing states: pseudo-counts or real data keep every outcome
            alive.

    Returns:
        The probability of every state, shape (S,).

    Raises:
        ValueError: If a state is absorbing.
        FloatingPointError: If the states do not all lead to one another within float64.

    Validity:
        1e-12 relative for every state, by an elimination without subtraction.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> half = fp.Mixed(real=jnp.array([0.5, 0.5]), fraction=0.5, corpus=fp.Fresh(2))
        >>> fp.chain.stationary(fp.chain.from_loop(fp.Loop(corpus=half))) * 7
        array([2., 3., 2.])

    References:
        Grassmann, Taksar & Heyman (1985), Regenerative analysis and steady state distributions
        for Markov chains.
    """
    checks.check_kind(chain, Chain, "chain", "a Chain (chain.from_loop)")
    if chain.absorbing.any():
        raise ValueError(
            "`chain` must have no absorbing state (`chain.absorption` says where it ends, "
            "`chain.quasi_stationary` what it looks like before); got "
            f"{int(chain.absorbing.sum())} of them."
        )
    # Visits to each state between two visits to the last of the order.
    order = _order(chain, np.ones(len(chain.counts), bool))
    matrix = chain.matrix[np.ix_(order, order)]
    elimination = Elimination(matrix[:-1, :-1], matrix[:-1, -1])
    _check_range(elimination.solve(np.ones(len(order) - 1)))
    visits = np.append(elimination.solve_left(matrix[-1, :-1]), 1)
    result = np.empty(len(order))
    result[order] = visits / visits.sum()
    return result


class QuasiStationary(NamedTuple):
    """What a chain looks like as long as it is not absorbed.

    Attributes:
        law: Probability of every state given that none absorbing was reached, in the long run,
            shape (S,); 0 in absorbing states.
        decay: Probability of being absorbed in the next generation: 1 − the largest eigenvalue of
            the transient part, kept as a number of its own, as it may be 10^{-200}.
    """

    law: Float[np.ndarray, " states"]
    decay: float


def quasi_stationary(chain: Chain) -> QuasiStationary:
    """The quasi-stationary law ν, νQ = (1 − decay) ν, of a chain with absorbing states.

    Args:
        chain: A chain with absorbing states whose other states lead to one another.

    Returns:
        The law and the probability of absorption per generation; started from ν, the time to
        absorption is geometric with mean 1/decay.

    Raises:
        ValueError: If no state is absorbing, or all are.
        FloatingPointError: If the iteration does not settle, a probability that matters is
            below the range of float64, or no state is ever followed by another that is not
            absorbing.

    Validity:
        Law and decay to 1e-11 relative, by iteration with Q(I − Q)⁻¹, in which nothing is
        subtracted (`tests/chain/test_absorption.py`).

    Example:
        >>> import fixedpoint as fp
        >>> kept = fp.chain.quasi_stationary(fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(4))))
        >>> print(f"{kept.decay:.12f}")  # at T = 1: 1/n
        0.250000000000

    References:
        Darroch & Seneta (1965), On quasi-stationary distributions in absorbing discrete-time
        finite Markov chains.
    """
    checks.check_kind(chain, Chain, "chain", "a Chain (chain.from_loop)")
    if not chain.absorbing.any():
        raise ValueError(
            "`chain` must have an absorbing state (`chain.stationary` is for those without); "
            "got none."
        )
    if chain.absorbing.all():
        raise ValueError(
            "`chain` must have a state that is not absorbing; all of its "
            f"{len(chain.counts)} states are."
        )
    order, elimination = _eliminated(chain)
    inside = chain.matrix[np.ix_(order, order)]
    row = np.full(len(order), 1 / len(order))
    for _ in range(10_000):
        visits = elimination.solve_left(row)
        new = visits @ inside
        if not new.sum() > 0:
            raise FloatingPointError(
                "the chain is absorbed within a generation or two from every state, up to "
                "probabilities below the range of float64: it has no law before that."
            )
        new /= new.sum()
        # Entries below 1e-200 of the whole settle last and matter least.
        change = np.abs(new - row).max() / new.max()
        row = new
        if change < 1e-15:
            break
    else:
        raise FloatingPointError("the quasi-stationary law was not reached in 10,000 iterations.")
    result = np.zeros(len(chain.counts))
    result[order] = row
    exits = chain.matrix[np.ix_(order, np.flatnonzero(chain.absorbing))].sum(1)
    decay = float(row @ exits)
    _check_range(np.append(1 / decay if decay else np.inf, np.ones(len(row))))
    return QuasiStationary(result, decay)


def _check_range(times: np.ndarray) -> None:
    """Refuse times so long that probabilities below the range of float64 matter to them.

    Rounding such a probability to 0 changes a row of Q by at most 2e-308 in each of the S
    eliminations of each of its S entries, hence a time τ by τ² times that.
    """
    longest = times.max(initial=1.0)
    if not longest * 4e-308 * len(times) ** 2 < 1e-14:
        raise FloatingPointError(
            f"mean times of {longest:.0e} generations depend on probabilities below the range of "
            "float64; nothing is returned rather than a wrong number."
        )


def _order(chain: Chain, states: np.ndarray) -> np.ndarray:
    """The states in the order of elimination: the most uneven counts first, the middle last."""
    chosen = np.flatnonzero(states)
    return chosen[np.argsort(-(chain.counts[chosen] ** 2).sum(-1), kind="stable")]


def _stays(chain: Chain, states: np.ndarray) -> int:
    """Where a chain stays: from the middle always on to the likeliest state; its place there."""
    inside = chain.matrix[np.ix_(states, states)]
    place = int(np.argmin((chain.counts[states] ** 2).sum(-1)))
    for _ in range(len(states)):
        place = int(np.argmax(inside[place]))
    return place


def _eliminated(chain: Chain) -> tuple[np.ndarray, Elimination]:
    """The transient states in the order of elimination, and I − Q eliminated."""
    order = _order(chain, ~chain.absorbing)
    exits = chain.matrix[np.ix_(order, np.flatnonzero(chain.absorbing))].sum(1)
    return order, Elimination(chain.matrix[np.ix_(order, order)], exits)
