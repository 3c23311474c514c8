"""Any number of outcomes at temperature 1, where two small chains tell all.

Without a temperature the counts of one outcome against all others form a chain of their own, and
seen backwards, the samples of a generation have ever fewer ancestors. Neither needs the states of
K outcomes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from fixedpoint import checks
from fixedpoint.chain.counts import binomial
from fixedpoint.chain.elimination import Elimination

__all__ = ["ancestors", "fixation_time", "survivors"]

LARGEST = 6_000
"""Most samples of a generation; the work grows with their cube."""

FEW = 100
"""Up to so many ancestors any number of generations is taken by squaring."""


def fixation_time(logits: ArrayLike, num_samples: int) -> float:
    """Mean number of generations until one outcome is left, refitting to n samples at T = 1.

    P(τ ≤ t) = Σᵢ P(Nᵢ(t) = n), and the counts of one outcome are a chain of their own, hence

        E τ = 1 + Σᵢ E w(Nᵢ(1)),   w = (I − Q)⁻¹ h,   h(k) = k/n,

    with Nᵢ(1) ~ Binomial(n, pᵢ) and Q the transitions k → j of two outcomes, 0 < k, j < n. From a
    model of n samples, pᵢ = Nᵢ/n, that is Σᵢ w(Nᵢ).

    Args:
        logits: The model at generation 0, shape (num_outcomes,); -inf is a lost outcome.
        num_samples: n, at most 6,000 (`laws.resampling.fixation_time` takes more).

    Returns:
        The mean number of generations; 0 if one outcome is left.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for any model and any number of outcomes; 1e-12 relative
        (`tests/chain/test_neutral.py`). Cost n³, and n for each different probability.

    Example:
        >>> import numpy as np
        >>> import fixedpoint as fp
        >>> print(f"{fp.chain.fixation_time(np.log([1, 1, 2]), 4):.12f}")  # exactly 749/145
        5.165517241379

    References:
        Ewens (2004), Mathematical population genetics, section 3.2 (two outcomes).
    """
    n = _check_samples(num_samples, "fixation_time")
    log_p, log_rest, number = _alive(logits)
    if number.sum() == 1:
        return 0.0
    weights = _waiting(n)
    total = 1.0
    for first in range(0, len(log_p), 1024):
        part = slice(first, first + 1024)
        log_drawn = np.column_stack([log_p[part], log_rest[part]])
        total += float(number[part] @ (binomial(log_drawn, n) @ weights))
    return total


def _waiting(num_samples: int) -> np.ndarray:
    """w(k) of `fixation_time` for k = 0..n; 0 at both ends."""
    n = num_samples
    k = np.arange(1, n)
    matrix = binomial(np.log(np.column_stack([k / n, 1 - k / n])), n)
    order = np.argsort(-np.abs(2 * k - n), kind="stable")
    exits = matrix[order, 0] + matrix[order, n]
    weights = np.zeros(n + 1)
    elimination = Elimination(matrix[np.ix_(order, order + 1)], exits)
    weights[order + 1] = elimination.solve(k[order] / n)
    return weights


def ancestors(num_samples: int, generation: int) -> Float[np.ndarray, " ancestors"]:
    """Law of the number of ancestors t generations back of the n samples of a generation, T = 1.

    A₀ = n; each of A_s ancestors came from one of the n samples before, all equally likely:
    A_{s+1} is how many of n boxes A_s balls occupy.

    Args:
        num_samples: n, at most 6,000.
        generation: t ≥ 0, how many generations back.

    Returns:
        P(A_t = a) for a = 0..n, shape (n + 1,).

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Sums of products of probabilities: relative error about (t + n) × 1e-16 as long as more
        than 100 ancestors are likely; from there on absolute errors of about 1e-15, whatever t is.

    Example:
        >>> import fixedpoint as fp
        >>> fp.chain.ancestors(2, 1)
        array([0. , 0.5, 0.5])

    References:
        Kingman (1982), On the genealogy of large populations; Feller (1968), An introduction to
        probability theory and its applications I, section II.5 (occupancy).
    """
    n = _check_samples(num_samples, "survivors")
    generation = checks.check_count(generation, "generation", minimum=0)
    row = np.zeros(n + 1)
    row[n] = 1
    if generation == 0:
        return row
    occupied = np.zeros((n + 1, n + 1))  # balls × boxes
    occupied[0, 0] = 1
    old = np.arange(n + 1) / n
    for balls in range(n):
        occupied[balls + 1] = occupied[balls] * old
        occupied[balls + 1, 1:] += occupied[balls, :-1] * (1 - old[:-1])
    for passed in range(generation):
        # Ever fewer: what is above the largest ancestor number still likely is 0 exactly.
        top = int(np.flatnonzero(row)[-1]) + 1
        if top <= FEW:
            row[:top] = _later(row[:top], occupied[:top, :top], generation - passed)
            break
        row[:top] = row[:top] @ occupied[:top, :top]
        row[row < 1e-300] = 0
    return row


def _later(row: np.ndarray, matrix: np.ndarray, generations: int) -> np.ndarray:
    """The law after many generations, by squaring.

    What is squared is P − I, as (I + G)² − I = 2G + G²: a number of ancestors that stays for a
    million generations keeps the digits of its chance to leave.
    """
    moves = matrix - np.eye(len(matrix))
    row = row.copy()
    while generations:
        if generations & 1:
            row += row @ moves
        generations >>= 1
        if generations:
            moves = 2 * moves + moves @ moves
    return np.maximum(row, 0)


def survivors(logits: ArrayLike, num_samples: int, generation: int) -> float:
    """Mean number of outcomes left at generation t, refitting to n samples at T = 1.

    E[#surviving] = Σᵢ (1 − E (1 − pᵢ)^{A_{t−1}}) with the number A of `ancestors`: an outcome is
    left if an ancestor of the last samples was drawn of it.

    Args:
        logits: The model at generation 0, shape (num_outcomes,); -inf is a lost outcome.
        num_samples: n, at most 6,000 (`laws.resampling.survivors` takes more).
        generation: t ≥ 0.

    Returns:
        The mean number of outcomes with a positive probability at generation t.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for any model and any number of outcomes (`tests/chain/test_neutral.py`).

    Example:
        >>> import numpy as np
        >>> import fixedpoint as fp
        >>> print(f"{fp.chain.survivors(np.log([3, 1]), 2, 1):.12f}")  # 1 + 2pq
        1.375000000000

    References:
        Feller (1968), An introduction to probability theory and its applications I, section II.5.
    """
    n = _check_samples(num_samples, "survivors")
    _, log_rest, number = _alive(logits)
    generation = checks.check_count(generation, "generation", minimum=0)
    if generation == 0:
        return float(number.sum())
    chances = ancestors(n, generation - 1)
    likely = np.flatnonzero(chances)
    total = 0.0
    for first in range(0, len(log_rest), 4096):
        part = slice(first, first + 4096)
        with np.errstate(under="ignore"):
            seen = -np.expm1(np.outer(log_rest[part], likely))
        total += float(number[part] @ (seen @ chances[likely]))
    return total


def _alive(logits: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every different log p of outcomes alive, its log(1 − p), and how many outcomes have it."""
    theta = np.asarray(checks.check_logits(logits), float)
    if theta.ndim != 1:
        raise ValueError(f"`logits` must have shape (num_outcomes,); got {theta.shape}.")
    different, number = np.unique(theta[theta > -np.inf], return_counts=True)
    weights = number * np.exp(different - different[-1])
    log_p = different - different[-1] - np.log(weights.sum())
    # One of the most probable outcomes may have all but 1e-300: the others are added up.
    rest = np.append(weights[:-1], number[-1] - 1.0).sum() / weights.sum()
    with np.errstate(divide="ignore"):
        log_rest = np.append(np.log1p(-np.exp(log_p[:-1])), np.log(rest))
    return log_p, log_rest, number


def _check_samples(num_samples: int, law: str) -> int:
    if checks.check_count(num_samples, "num_samples") > LARGEST:
        raise ValueError(
            f"`num_samples` must be at most {LARGEST:,} (`fixedpoint.laws.resampling.{law}` takes "
            f"more); got {num_samples:,}."
        )
    return num_samples
