"""The thresholds of mixed data against their closed forms and the loop itself."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import mixing


@pytest.mark.parametrize(("num_top", "size"), [(1, 3), (1, 10), (3, 7), (1, 50_000)])
def test_the_spinodal_at_half_the_temperature(num_top, size):
    expected = size / (np.sqrt(num_top) + np.sqrt(size - num_top)) ** 2
    np.testing.assert_allclose(mixing.spinodal(num_top, size, 0.5), expected, rtol=1e-13)


@pytest.mark.parametrize("size", [2, 3, 10, 50_000])
def test_the_guarantee_at_half_the_temperature(size):
    expected = np.sqrt(size) / (np.sqrt(size) + np.sqrt(2))
    np.testing.assert_allclose(mixing.guarantee(size, 0.5), expected, rtol=1e-13)


@pytest.mark.parametrize("temperature", [0.01, 0.3, 0.8, 0.999])
def test_two_outcomes_have_one_threshold(temperature):
    for law in (mixing.spinodal(1, 2, temperature), mixing.guarantee(2, temperature)):
        np.testing.assert_allclose(law, 1 - temperature, rtol=1e-12)
    np.testing.assert_allclose(mixing.cusp(0.0, temperature), 1 - temperature, rtol=1e-12)


@pytest.mark.parametrize("temperature", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("size", [3, 50, 50_000])
def test_the_thresholds_are_in_order(size, temperature):
    linear, maxwell = 1 - temperature, float(mixing.maxwell(size, temperature))
    spinodal = float(mixing.spinodal(1, size, temperature))
    assert linear < maxwell < spinodal < float(mixing.guarantee(size, temperature)) < 1


def test_the_factor_of_a_generation_is_one_at_the_turning_point():
    gaps = jnp.linspace(0.01, 6, 200_001)
    at = int(jnp.argmax(mixing.fraction(gaps, 1, 20, 0.7)))
    np.testing.assert_allclose(mixing.approach(gaps[at], 1, 20, 0.7), 1, atol=1e-4)
    assert (
        mixing.approach(gaps[at] + 1, 1, 20, 0.7) < 1 < mixing.approach(gaps[at] - 0.5, 1, 20, 0.7)
    )


@pytest.mark.parametrize("fraction", [0.05, 0.3, 1.0])
def test_a_generation_leaves_the_hot_model_where_it_is(fraction):
    psi = jnp.array([1.0, -2.0, 0.4, -jnp.inf])
    p = mixing.hot(psi, fraction, 1.7)
    real = fp.simplex.probabilities(psi)
    loop = fp.Loop(fp.Temperature(1.7), fp.Mixed(real, fraction))
    after, _ = loop.generation(jnp.log(p))
    np.testing.assert_allclose(fp.simplex.probabilities(after), p, rtol=1e-12)
