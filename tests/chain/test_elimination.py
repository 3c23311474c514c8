"""Elimination without subtraction: relative accuracy at any condition number."""

from fractions import Fraction

import numpy as np
import pytest

from fixedpoint.chain.elimination import Elimination


def random_chain(size, scale, seed=0):
    """Transitions with entries over many orders of magnitude, hardly ever absorbed."""
    random = np.random.default_rng(seed)
    matrix = np.exp(-scale * random.random((size, size)))
    exits = np.exp(-scale * (1 + random.random(size)))
    total = matrix.sum(1) + exits
    return matrix / total[:, None], exits / total


def exact_solve(matrix, exits, right):
    """Elimination in exact rationals of the rounded numbers, the diagonal from the row sums."""
    size = len(matrix)
    rows = [[-Fraction(float(x)) for x in row] for row in matrix]
    for i in range(size):
        rows[i][i] = Fraction(float(exits[i])) - sum(
            (x for j, x in enumerate(rows[i]) if j != i), Fraction(0)
        )
    x = [Fraction(float(b)) for b in right]
    for k in range(size):
        for i in range(k + 1, size):
            factor = rows[i][k] / rows[k][k]
            rows[i] = [a - factor * b for a, b in zip(rows[i], rows[k], strict=True)]
            x[i] -= factor * x[k]
    for k in reversed(range(size)):
        x[k] = (x[k] - sum((rows[k][j] * x[j] for j in range(k + 1, size)), Fraction(0))) / rows[k][
            k
        ]
    return np.array([float(value) for value in x])


@pytest.mark.parametrize("scale", [1.0, 60.0])
def test_solutions_have_small_relative_errors(scale):
    matrix, exits = random_chain(9, scale)
    right = np.random.default_rng(1).random(9)
    elimination = Elimination(matrix, exits)
    expected = exact_solve(matrix, exits, right)
    np.testing.assert_allclose(elimination.solve(right), expected, rtol=1e-13)
    plain = np.linalg.solve(np.eye(9) - matrix, right)
    # Exact times reach 1e45: the ordinary solve must fail, or this proves nothing.
    assert (np.abs(plain / expected - 1).max() > 1e-3) == (scale > 1)


def test_blocks_and_halves_agree_with_an_ordinary_solve():
    """Well conditioned, of a size with several blocks, the last one incomplete."""
    matrix, exits = random_chain(300, 3.0)
    exits, matrix = exits + 0.1, matrix * 0.9
    exits = 1 - matrix.sum(1)
    right = np.random.default_rng(2).random((300, 3))
    elimination = Elimination(matrix, exits)
    system = np.eye(300) - matrix
    np.testing.assert_allclose(elimination.solve(right), np.linalg.solve(system, right), rtol=1e-11)
    np.testing.assert_allclose(
        elimination.solve_left(right.T), np.linalg.solve(system.T, right).T, rtol=1e-11
    )
    np.testing.assert_allclose(
        elimination.solve_left(right[:, 0]), np.linalg.solve(system.T, right[:, 0]), rtol=1e-11
    )


def test_a_closed_class_is_refused():
    matrix = np.array([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.2, 0.2, 0.2]])
    with pytest.raises(FloatingPointError, match="a state is never left"):
        Elimination(matrix, np.array([0.0, 0.0, 0.4]))
