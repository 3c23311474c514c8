"""Equations of single traces at numbers that are found by other means."""

import numpy as np
import pytest

from fixedpoint.laws import traces


def mean_after_a_step(p, step_size=1e-3):
    """E[p'] after one step on one sample, from its definition, for many models at once."""
    hit = np.eye(p.shape[-1]) - p[:, None, :]  # the outcome drawn, then the outcome that moves
    weights = p[:, None, :] * np.exp(step_size * hit)
    return np.sum(p[:, :, None] * weights / weights.sum(-1, keepdims=True), 1)


@pytest.mark.parametrize(
    ("num_outcomes", "share"), [(2, 0.0), (3, 0.084), (4, 0.251), (5, 0.434), (8, 0.804)]
)
def test_the_mean_leaves_uniform_exactly_where_it_is_said_to(num_outcomes, share):
    p = np.random.default_rng(1).dirichlet(np.ones(num_outcomes), 20_000)
    after = mean_after_a_step(p)
    moved = (np.sum(after**2, -1) - np.sum(p**2, -1)) / 1e-6
    one, other = np.triu_indices(num_outcomes, 1)
    a, b = p[:, one], p[:, other]
    pairs = np.sum(a * b * (a - b) ** 2 * (1 + 2 * np.sum(p**2, -1)[:, None] - 3 * (a + b)), -1)
    np.testing.assert_allclose(moved, pairs, atol=2e-3)
    clear = np.abs(pairs) > 2e-3
    np.testing.assert_array_equal(moved[clear] > 0, pairs[clear] > 0)
    assert np.mean(pairs > 0) == pytest.approx(share, abs=0.012)
    # Enough: the two most probable outcomes together have less than a third and a bit.
    top = np.sort(p, -1)[:, -2:].sum(-1)
    assert np.all(pairs[3 * top < 1 + 2 * np.sum(p**2, -1)] > 0)


def test_five_outcomes_drift_both_ways():
    p = np.array([[0.6, 0.1, 0.1, 0.1, 0.1], [0.24, 0.19, 0.19, 0.19, 0.19]])
    after = mean_after_a_step(p)
    assert after[0, 0] < 0.6
    assert after[1, 0] > 0.24
    np.testing.assert_allclose(traces.bias(np.log(p)), (after - p) / 1e-6, atol=1e-4)
    # By hand: (1 + 2·0.4)(0.22 − 0.16) − 3 (0.13 − 0.088) = 0.108 − 0.126.
    np.testing.assert_allclose(2 * p[0] @ traces.bias(np.log(p[0])), 0.108 - 0.126, rtol=1e-12)
