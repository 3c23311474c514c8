"""Eigenvalues: the closed form at T = 1, the dense solver, and the rate of the slowest."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import from_loop, leading_spectrum, quasi_stationary, spectrum


def tempered(num_samples, temperature=1.0):
    return fp.Loop(fp.Temperature(temperature), fp.Fresh(num_samples))


def falling(n, number):
    """n(n-1)…(n-j+1)/nʲ for j = 2, 3, …: the eigenvalues at T = 1."""
    return np.array([np.prod(1 - np.arange(j) / n) for j in range(2, 2 + number)])


@pytest.mark.parametrize("n", [7, 300, 3000])
def test_eigenvalues_at_temperature_one(n):
    found = leading_spectrum(tempered(n), 5)
    np.testing.assert_allclose(found.eigenvalues, falling(n, 5), rtol=1e-12)
    assert found.error.max() < 1e-11
    if n == 7:
        all_of_them = spectrum(from_loop(tempered(n)))
        np.testing.assert_allclose(all_of_them, falling(n, 6), rtol=1e-12)


@pytest.mark.parametrize(
    "loop",
    [
        tempered(120, 0.5),
        tempered(120, 1.6),
        fp.Loop((fp.Temperature(1.2), fp.Nucleus(0.9)), fp.Fresh(120)),
        fp.Loop(corpus=fp.Mixed(jnp.array([0.3, 0.7]), 0.1, fp.Fresh(120), num_real=3)),
        fp.Loop(corpus=fp.Curated(jnp.array([1.1, 1.0]), fp.Fresh(120))),
        # Of these one end is absorbing, the other is not.
        fp.Loop(corpus=fp.Pooled(jnp.array([1.0, 0.0]), 0.02, fp.Fresh(120))),
        fp.Loop(corpus=fp.Pooled(jnp.array([0.0, 1.0]), 0.02, fp.Fresh(120))),
    ],
    ids=["cold", "hot", "nucleus", "sampled real data", "curated", "first alone", "second alone"],
)
def test_collocation_equals_the_dense_solver(loop):
    found = leading_spectrum(loop, 3)
    dense = spectrum(from_loop(loop))[:3]
    np.testing.assert_allclose(found.eigenvalues, dense, rtol=0, atol=2e-11)
    assert (np.abs(found.eigenvalues - dense) <= found.error + 5e-12).all()


def test_the_slowest_is_the_quasi_stationary_rate():
    """T < 1: the largest eigenvalue is T; at T = 1 it is 1 - 1/n; above, 1 - exp(-cn)."""
    assert leading_spectrum(tempered(1000, 0.9), 1).eigenvalues[0] == pytest.approx(0.9, rel=1e-12)
    hot = from_loop(tempered(60, 1.2))
    slowest = 1 - spectrum(hot)[0].real
    assert slowest == pytest.approx(quasi_stationary(hot).decay, abs=1e-13)


def test_no_more_samples_than_there_is_room_for():
    with pytest.raises(ValueError, match=r"must be at most 20,000 .*slow_eigenvalue"):
        leading_spectrum(tempered(10**9), 1)


def test_no_more_eigenvalues_than_states():
    with pytest.raises(ValueError, match="`number` must be at most 3, all there are"):
        leading_spectrum(tempered(4), 4)
