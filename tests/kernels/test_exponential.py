"""The exponential of the inner loops against 40 digits."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np

from fixedpoint.kernels import exponential as module
from fixedpoint.kernels.exponential import exponential, logarithm, power_of_two


def relative_errors(function, reference, points):
    found = np.asarray(jax.jit(function)(jnp.asarray(points)))
    with mpmath.workdps(40):
        exact = [reference(mpmath.mpf(float(x))) for x in points]
        return np.array([abs(float(a / b - 1)) for a, b in zip(found, exact, strict=True)])


def test_powers_of_two():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-1, 1, 2000), rng.uniform(-1022, 1022.9, 2000)])
    errors = relative_errors(power_of_two, lambda t: mpmath.power(2, t), points)
    assert 1e-17 < errors.max() < 4e-16
    integers = np.arange(-1022.0, 1023)
    np.testing.assert_array_equal(power_of_two(jnp.asarray(integers)), 2.0**integers)


def test_exponentials():
    points = np.concatenate([np.linspace(-708, 709, 3001), np.linspace(-1, 1, 1001)])
    errors = relative_errors(exponential, mpmath.exp, points)
    assert np.all(errors < (4 + 2 * np.abs(points)) * 1e-16)
    assert errors.max() > 2e-15  # the statement is no understatement


def test_logarithms():
    points = np.concatenate([np.geomspace(1e-300, 1e300, 2001), np.linspace(0.5, 2.1, 2001)])
    found = np.asarray(jax.jit(logarithm)(jnp.asarray(points)))
    with mpmath.workdps(40):
        exact = [mpmath.log(mpmath.mpf(float(x))) for x in points]
        errors = np.array([abs(float(a - b)) for a, b in zip(found, exact, strict=True)])
    assert np.all(errors <= 4e-16 * np.maximum(1, np.abs(found)))


def test_far_below_it_is_zero():
    points = jnp.array([-709.5, -1e4, -1e300, -jnp.inf])
    assert exponential(points).tolist() == [0.0] * 4
    assert jnp.isnan(exponential(jnp.array(jnp.nan)))


def test_the_polynomial_is_what_it_is_said_to_be():
    with mpmath.workdps(30):
        found, error = mpmath.chebyfit(
            lambda r: mpmath.mpf(2) ** r, [-0.5, 0.5], len(module._COEFFICIENTS), error=True
        )
    np.testing.assert_allclose(module._COEFFICIENTS, np.array(found[::-1], float), rtol=1e-15)
    assert error < 2.2e-16
