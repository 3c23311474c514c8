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

__all__ = ["Elimination"]

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
        self.edges = [*range(0, size, BLOCK), size]
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
        A = self.factors[a:c, a:c]
        for k in range(c - a):
            leaving = exits[k] - A[k, k + 1 :].sum()
            if not leaving > 0:
                raise FloatingPointError(
                    f"state {a + k} is never left (a closed class, or a probability below 1e-308)."
                )
            A[k, k] = leaving
            A[k + 1 :, k] /= leaving
            A[k + 1 :, k + 1 :] -= np.multiply.outer(A[k + 1 :, k], A[k, k + 1 :])
            exits[k + 1 :] -= A[k + 1 :, k] * exits[k]
        pivots = np.diag(A)
        self.lower[block, : c - a, : c - a] = _inverse(np.tril(-A, -1))
        self.upper[block, : c - a, : c - a] = _inverse(np.triu(-A, 1) / pivots[:, None]) / pivots

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


def _inverse(nilpotent: np.ndarray) -> np.ndarray:
    """(I − N)⁻¹ = (I + N)(I + N²)(I + N⁴)… for a strictly triangular N ≥ 0: sums alone."""
    total, power = np.eye(len(nilpotent)) + nilpotent, nilpotent
    for _ in range(max(0, (len(nilpotent) - 1).bit_length() - 1)):
        power = power @ power
        total += total @ power
    return total
