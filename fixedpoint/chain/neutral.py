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
from fixedpoint.chain.elimination import Elimination
from fixedpoint.chain.states import binomial

__all__ = ["ancestors", "fixation_time", "survivors"]

LARGEST = 6_000
"""Most samples of a generation; the work grows with their cube, or their square times t."""


def fixation_time(probabilities: ArrayLike, num_samples: int) -> float:
    """Mean number of generations until one outcome is left, refitting to n samples at T = 1.

    P(τ ≤ t) = Σᵢ P(Nᵢ(t) = n), and the counts of one outcome are a chain of their own, hence

        E τ = 1 + Σᵢ E w(Nᵢ(1)),   w = (I − Q)⁻¹ h,   h(k) = k/n,

    with Nᵢ(1) ~ Binomial(n, pᵢ) and Q the transitions k → j of two outcomes, 0 < k, j < n. From a
    model of n samples, pᵢ = Nᵢ/n, that is Σᵢ w(Nᵢ).

    Args:
        probabilities: The model p₀ at generation 0, any distribution, shape (num_outcomes,).
        num_samples: n, at most 6,000.

    Returns:
        The mean number of generations; 0 if one outcome is left.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for any model and any number of outcomes; 1e-12 relative
        (`tests/chain/test_neutral.py`). Cost n³, and n for each different probability.

    Example:
        >>> import fixedpoint as fp
        >>> print(f"{fp.chain.fixation_time([0.25, 0.25, 0.5], 4):.12f}")  # exactly 749/145
        5.165517241379

    References:
        Ewens (2004), Mathematical population genetics, section 3.2 (two outcomes).
    """
    n = _check_samples(num_samples)
    alive, number = _alive(probabilities)
    if number.sum() == 1:
        return 0.0
    weights = _waiting(n)
    total = 1.0
    for first in range(0, len(alive), 1024):
        part = slice(first, first + 1024)
        log_drawn = np.log(np.column_stack([alive[part], 1 - alive[part]]))
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
    if n > 1:
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
        Sums of products of probabilities: relative error about (t + n) × 1e-16.

    Example:
        >>> import fixedpoint as fp
        >>> fp.chain.ancestors(2, 1)
        array([0. , 0.5, 0.5])

    References:
        Kingman (1982), On the genealogy of large populations; Feller (1968), An introduction to
        probability theory and its applications I, section II.5 (occupancy).
    """
    n = _check_samples(num_samples)
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
    for _ in range(generation):
        # Ever fewer: what is above the largest ancestor number still likely is 0 exactly.
        top = int(np.flatnonzero(row)[-1]) + 1
        row[:top] = row[:top] @ occupied[:top, :top]
        row[row < 1e-300] = 0
    return row


def survivors(probabilities: ArrayLike, num_samples: int, generation: int) -> float:
    """Mean number of outcomes left at generation t, refitting to n samples at T = 1.

    E[#surviving] = Σᵢ (1 − E (1 − pᵢ)^{A_{t−1}}) with the number A of `ancestors`: an outcome is
    left if an ancestor of the last samples was drawn of it.

    Args:
        probabilities: The model p₀ at generation 0, any distribution, shape (num_outcomes,).
        num_samples: n, at most 6,000.
        generation: t ≥ 0.

    Returns:
        The mean number of outcomes with a positive probability at generation t.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for any model and any number of outcomes (`tests/chain/test_neutral.py`).

    Example:
        >>> import fixedpoint as fp
        >>> print(f"{fp.chain.survivors([0.75, 0.25], 2, 1):.12f}")  # 1 + 2pq
        1.375000000000

    References:
        Feller (1968), An introduction to probability theory and its applications I, section II.5.
    """
    n = _check_samples(num_samples)
    alive, number = _alive(probabilities)
    generation = checks.check_count(generation, "generation", minimum=0)
    if generation == 0:
        return float(number.sum())
    chances = ancestors(n, generation - 1)
    likely = np.flatnonzero(chances)
    with np.errstate(divide="ignore"):
        missing = np.log1p(-np.minimum(alive, 1))
    total = 0.0
    for first in range(0, len(alive), 4096):
        part = slice(first, first + 4096)
        total += float(
            number[part] @ (-np.expm1(np.outer(missing[part], likely)) @ chances[likely])
        )
    return total


def _alive(probabilities: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The different positive probabilities, and how many outcomes have each."""
    p = np.asarray(checks.check_probabilities(probabilities, "probabilities"), float)
    if p.ndim != 1:
        raise ValueError(f"`probabilities` must have shape (num_outcomes,); got {p.shape}.")
    return np.unique(p[p > 0], return_counts=True)


def _check_samples(num_samples: int) -> int:
    if checks.check_count(num_samples, "num_samples") > LARGEST:
        raise ValueError(f"`num_samples` must be at most {LARGEST:,}; got {num_samples:,}.")
    return num_samples
