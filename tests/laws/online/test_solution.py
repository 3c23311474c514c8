"""The closed forms of a teacher that moves along: the flow's own equation, limits, agreements."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import online

pytestmark = pytest.mark.slow

THETA = jnp.array([1.3, -0.4, 0.2, -2.1])


@pytest.mark.parametrize("temperature", [1 / 3, 1 / 2, 2.0, 3.0])
def test_two_outcomes_solve_the_flow(temperature):
    one = (jnp.ones(()),)
    for start in (0.0, 1e-6, -1.7, 25.0):
        law = jax.jit(lambda t, z0=start: online.two_outcomes(z0, temperature, t))
        z, moved = jax.jvp(law, (jnp.asarray(1.3),), one)
        wanted = 2 * (jax.nn.sigmoid(z / temperature) - jax.nn.sigmoid(z))
        np.testing.assert_allclose(moved, wanted, rtol=1e-9, atol=1e-15)


def test_two_outcomes_have_a_derivative_at_zero_and_a_limit():
    slope = jax.grad(online.two_outcomes)(0.0, 0.5, 3.0)
    np.testing.assert_allclose(slope, np.exp(3.0 / 2), rtol=1e-12)
    assert online.two_outcomes(2.0, 2.0, 1e6) == 0


@pytest.mark.parametrize("temperature", [1 / 3, 1 / 2])
def test_hot_undoes_cold(temperature):
    cold = online.two_outcomes(1.2, temperature, 2.0)
    hot = online.two_outcomes(cold / temperature, 1 / temperature, 2.0 / temperature)
    np.testing.assert_allclose(temperature * hot, 1.2, rtol=1e-13)


def test_lambert_chebyshev_and_block_agree():
    z = online.two_outcomes(0.9, 0.5, 4.0)
    np.testing.assert_allclose(online.chebyshev(z, 0.9, 3), 4.0, rtol=1e-13)
    np.testing.assert_allclose(online.block(z, 0.9, 2), 4.0, rtol=1e-13)


@pytest.mark.parametrize(("gap", "expected"), [(0.5, 16311), (1.0, 4540), (2.0, 504)])
def test_the_blow_up_of_fifty_thousand_outcomes(gap, expected):
    leading = online.blow_up(gap, 50_000)
    assert round(float(leading)) == expected
    exact = online.block(jnp.log(49_999.0), gap, 50_000)
    assert 0 < exact - leading < 2 * np.log(50_000)


def test_the_bound_does_not_depend_on_the_order_and_takes_batches():
    order = jnp.array([2, 0, 3, 1])
    bounds = online.majorisation(THETA[order] + 5.0, 0.5, 2), online.majorisation(THETA, 0.5, 2)
    np.testing.assert_allclose(*bounds, rtol=1e-13)
    models = jnp.stack([THETA, -THETA, THETA**2])
    bound = online.majorisation(models, jnp.array([[0.5], [0.9]]), 2)
    assert bound.shape == (2, 3)
    assert np.all(bound >= 0)


@pytest.mark.parametrize("top", [1, 3, 5])
def test_the_majorisation_bound_is_one_and_has_the_sign_of_cooling(top, key):
    theta = 2 * jax.random.normal(key, (200, 6))

    @jax.jit
    def compare(temperature):
        p = simplex.probabilities(theta)
        moved = simplex.probabilities(theta / temperature) - p
        speed = p * (moved - jnp.sum(p * moved, -1, keepdims=True))
        order = jnp.argsort(-p, -1)[:, :top]
        gain = jnp.take_along_axis(speed, order, -1).sum(-1)
        return gain, online.majorisation(theta, temperature, top)

    for temperature in (0.3, 0.9, 1.1, 4.0):
        gain, bound = compare(temperature)
        sign = np.sign(1 - temperature)
        assert np.all(sign * (gain - bound) >= -1e-15)
        assert np.all(sign * bound >= 0)
