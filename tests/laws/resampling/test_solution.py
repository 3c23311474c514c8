"""The closed forms of resampling at T = 1: known numbers, edges, many outcomes."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import from_loop
from fixedpoint.laws import resampling


@pytest.mark.parametrize("num_samples", [1, 2, 7])
def test_a_lost_outcome_counts_for_nothing(num_samples):
    lost, kept = jnp.array([0.7, -jnp.inf, -0.3]), jnp.array([0.7, -0.3])
    for call in (
        lambda x: resampling.heterozygosity(x, num_samples, 3),
        lambda x: resampling.entropy_toll(x, num_samples),
        lambda x: resampling.entropy_lifetime(x, num_samples),
        resampling.entropy_budget,
    ):
        np.testing.assert_allclose(call(lost), call(kept), rtol=1e-14)


def test_the_spectrum_of_several_outcomes():
    """With K outcomes λ_j occurs (j + K − 2 choose j) times, and 1 occurs K times."""
    values = np.linalg.eigvals(from_loop(fp.Loop(corpus=fp.Fresh(4)), 3).matrix).real
    several = [1.0] * 3 + [0.75] * 3 + [0.375] * 4 + [0.09375] * 5
    np.testing.assert_allclose(np.sort(values)[::-1], several, atol=1e-4)
    found = resampling.spectrum(4, jnp.arange(6))
    np.testing.assert_allclose(found, [1, 1, 0.75, 0.375, 0.09375, 0], rtol=1e-14)
