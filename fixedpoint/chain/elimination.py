"""Solving (I − Q) x = b for the transient part Q of a chain, without a subtraction.

Where a chain stays for e^{cn} generations, I − Q is singular to working precision: an ordinary
solve gives any number, even a negative one, and most say nothing. The elimination of Grassmann,
Taksar and Heyman (1985) never subtracts: the pivot 1 − Q_kk of a state is summed up from the
probabilities of leaving it, whatever they are. Every entry of the factors, and of the solution for
a b ≥ 0, then has a small *relative* error, whatever the condition number.

The work is done in NumPy, in float64, on the host: products of matrices in recursive halves, so
that it runs at the speed of an ordinary solve.
"""

from __future__ import annotations

import numpy as np

__all__ = ["Elimination", "eliminate_block"]

BLOCK = 64
"""States eliminated one by one before their effect on the others is multiplied out."""


class Elimination:
    """The factors I − Q = L U, of which no off-diagonal entry is positive.

    Args:
        transitions: Q ≥ 0, shape (S, S): probabilities from state to state. The diagonal is not
            looked at: it is what the other entries leave.
        exits: Probability of leaving each state to anywhere else, shape (S,).

    Raises:
        FloatingPointError: If a state that still has to be left cannot be: a closed class, or a
            probability below the range of float64.

    Validity:
        Componentwise backward error of a few units in the last place; entries below 1e-308 are
        lost, which changes the solution by τ² × 1e-308 S² at most, where τ is the largest mean
        time to exit (`tests/chain/test_elimination.py`).

    References:
        Grassmann, Taksar & Heyman (1985), Regenerative analysis and steady state distributions
        for Markov chains; O'Cinneide (1993), Entrywise perturbation theory and error analysis for
        Markov chains.
    """

    def __init__(self, transitions: np.ndarray, exits: np.ndarray) -> None:
        size = len(transitions)
        self.factors = np.negative(transitions)
        self.edges = [*range(0, max(size, 1), BLOCK), size]  # no states are one block of none
        self.lower = np.zeros((len(self.edges) - 1, BLOCK, BLOCK))  # inverses of the blocks of L
        self.upper = np.zeros_like(self.lower)  # ... and of U
        self._eliminate(0, len(self.edges) - 1, np.array(exits, float))

    def solve(self, values: np.ndarray) -> np.ndarray:
        """The x with (I − Q) x = b, for b ≥ 0 of shape (S,) or (S, columns)."""
        x = np.array(values, float)
        self._lower(0, len(self.edges) - 1, x)
        self._upper(0, len(self.edges) - 1, x)
        return x

    def solve_left(self, values: np.ndarray) -> np.ndarray:
        """The x with x (I − Q) = b, for b ≥ 0 of shape (S,) or (rows, S)."""
        x = np.array(values, float)
        self._upper_left(0, len(self.edges) - 1, x)
        self._lower_left(0, len(self.edges) - 1, x)
        return x

    # The recursion runs over ranges of blocks; `exits` is what leaves the range.

    def _eliminate(self, first: int, last: int, exits: np.ndarray) -> None:
        if last - first == 1:
            self._eliminate_block(first, exits)
            return
        middle, (a, b, c) = self._halves(first, last)
        A = self.factors
        here, there = exits[: b - a], exits[b - a :]
        self._eliminate(first, middle, here - A[a:b, b:c].sum(1))
        self._lower(first, middle, A[a:b, b:c])
        self._lower(first, middle, here)
        self._upper_left(first, middle, A[b:c, a:b])
        A[b:c, b:c] -= A[b:c, a:b] @ A[a:b, b:c]
        there -= A[b:c, a:b] @ here
        self._eliminate(middle, last, there)

    def _eliminate_block(self, block: int, exits: np.ndarray) -> None:
        a, c = self.edges[block : block + 2]
        inside = -self.factors[a:c, a:c]
        lower, upper = eliminate_block(inside, exits)
        self.factors[a:c, a:c] = -inside
        self.lower[block, : c - a, : c - a] = lower
        self.upper[block, : c - a, : c - a] = upper

    def _halves(self, first: int, last: int) -> tuple[int, tuple[int, int, int]]:
        middle = (first + last) // 2
        return middle, (self.edges[first], self.edges[middle], self.edges[last])

    def _lower(self, first: int, last: int, x: np.ndarray) -> None:
        """From x to L⁻¹x, in place."""
        if last - first == 1:
            x[:] = self.lower[first, : len(x), : len(x)] @ x
            return
        middle, (a, b, c) = self._halves(first, last)
        self._lower(first, middle, x[: b - a])
        x[b - a :] -= self.factors[b:c, a:b] @ x[: b - a]
        self._lower(middle, last, x[b - a :])

    def _upper(self, first: int, last: int, x: np.ndarray) -> None:
        """From x to U⁻¹x, in place."""
        if last - first == 1:
            x[:] = self.upper[first, : len(x), : len(x)] @ x
            return
        middle, (a, b, c) = self._halves(first, last)
        self._upper(middle, last, x[b - a :])
        x[: b - a] -= self.factors[a:b, b:c] @ x[b - a :]
        self._upper(first, middle, x[: b - a])

    def _upper_left(self, first: int, last: int, x: np.ndarray) -> None:
        """From x to xU⁻¹, in place."""
        if last - first == 1:
            size = x.shape[-1]
            x[...] = x @ self.upper[first, :size, :size]
            return
        middle, (a, b, c) = self._halves(first, last)
        self._upper_left(first, middle, x[..., : b - a])
        x[..., b - a :] -= x[..., : b - a] @ self.factors[a:b, b:c]
        self._upper_left(middle, last, x[..., b - a :])

    def _lower_left(self, first: int, last: int, x: np.ndarray) -> None:
        """From x to xL⁻¹, in place."""
        if last - first == 1:
            size = x.shape[-1]
            x[...] = x @ self.lower[first, :size, :size]
            return
        middle, (a, b, c) = self._halves(first, last)
        self._lower_left(middle, last, x[..., b - a :])
        x[..., : b - a] -= x[..., b - a :] @ self.factors[b:c, a:b]
        self._lower_left(first, middle, x[..., : b - a])


def eliminate_block(inside: np.ndarray, exits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eliminate a block of states one by one, in place.

    Args:
        inside: Transitions within the block; its diagonal is not looked at.
        exits: Probability of leaving the block from each of its states.

    Returns:
        L⁻¹ and U⁻¹ of the block's I − Q = L U, both ≥ 0.

    Raises:
        FloatingPointError: If a state cannot be left.
    """
    left = exits.copy()
    for k in range(len(inside)):
        leaving = left[k] + inside[k, k + 1 :].sum()
        if not leaving > 0:
            raise FloatingPointError(
                "a state is never left (a closed class, or a probability below 1e-308)."
            )
        inside[k, k] = leaving
        inside[k + 1 :, k] /= leaving
        inside[k + 1 :, k + 1 :] += np.multiply.outer(inside[k + 1 :, k], inside[k, k + 1 :])
        left[k + 1 :] += inside[k + 1 :, k] * left[k]
    pivots = np.diag(inside).copy()
    lower = _inverse(np.tril(inside, -1))
    return lower, _inverse(np.triu(inside, 1) / pivots[:, None]) / pivots


def _inverse(nilpotent: np.ndarray) -> np.ndarray:
    """(I − N)⁻¹ = (I + N)(I + N²)(I + N⁴)… for a strictly triangular N ≥ 0: sums alone."""
    total, power = np.eye(len(nilpotent)) + nilpotent, nilpotent
    for _ in range(max(0, (len(nilpotent) - 1).bit_length() - 1)):
        power = power @ power
        total += total @ power
    return total
