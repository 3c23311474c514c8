"""The equations of tempering at numbers that are known by other means."""

import math

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp

from fixedpoint.laws import recovery
from fixedpoint.laws.equation import equations


@pytest.mark.parametrize(
    ("temperature", "tolerance", "generations"),
    [(0.9, 1e-2, 18.68), (0.9, 1e-12, 35.02), (0.5, 1e-2, 2.84), (0.5, 1e-12, 5.32)],
)
def test_collapse_takes_a_double_logarithm(temperature, tolerance, generations):
    found = equations()["tempering.generations_to_collapse"].evaluate(
        {
            "gap": 0.7,
            "num_modes": 2,
            "num_runners_up": 3,
            "temperature": temperature,
            "tolerance": tolerance,
        }
    )
    assert float(found) == pytest.approx(generations, abs=0.005)


def test_the_cumulant_series_converges_inside_half_pi_only():
    # Logits ±1 under the uniform law: A = log cosh B, whose nearest singularity is at iπ/2.
    B = sp.Symbol("B")
    closed = B * sp.tanh(B) - sp.log(sp.cosh(B))
    terms = sp.Poly(sp.series(closed, B, 0, 41).removeO(), B).terms()
    coefficients = [float(value) for _, value in sorted(terms)]
    assert abs(coefficients[-2] / coefficients[-1]) == pytest.approx((math.pi / 2) ** 2, rel=0.06)

    def partial_sum(at):
        return sum(c * at ** (2 * (k + 1)) for k, c in enumerate(coefficients))

    assert partial_sum(1.0) == pytest.approx(float(closed.subs(B, 1.0)), abs=1e-7)
    assert abs(partial_sum(2.0)) > 1e3


def test_sharpening_beyond_beta_3_66_stabilises_the_frozen_base():
    beta = sp.Symbol("beta", positive=True)
    assert sp.nsolve(equations()["families.cone"].rhs - 1, beta, 3.6) == pytest.approx(
        3.65986, abs=1e-5
    )


def test_a_large_poisson_mean_drifts_linearly():
    """The sum itself at λ = 400, against the drift and its correction -(1 - T²)/(24λ)."""
    for temperature in (0.5, 0.8, 1.25):
        arguments = {"mean": 400.0, "temperature": temperature, "num_terms": 900}
        moved = equations()["families.poisson"].evaluate(arguments, digits=20) - 400
        drift = equations()["families.poisson_drift"].evaluate({"temperature": temperature})
        correction = -(1 - temperature**2) / (24 * 400)
        assert abs(moved - drift - correction) < 2e-6


def test_a_small_poisson_mean_collapses_double_exponentially():
    arguments = {"mean": 1e-8, "temperature": 0.5, "num_terms": 10}
    assert mpmath.almosteq(
        equations()["families.poisson"].evaluate(arguments), mpmath.mpf(1e-8) ** 2, 1e-7
    )


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32])
@pytest.mark.parametrize("temperature", [0.4, 0.9, 0.97, 0.995, 1.003, 1.2])
def test_no_model_is_lost_before_its_horizon(temperature, dtype):
    """Models of few outcomes, and rounding by NumPy alone."""
    for initial in ([0.0, -0.7, -1.1], [0.0, -2.0, -6.9], [0.0, -1.0, -8.1, -8.9]):
        initial = np.array(initial)
        horizon = recovery.storage_horizon(np.ptp(initial), temperature, dtype)
        model = initial
        for generation in range(1, int(min(horizon, 600)) + 1):
            weights = np.exp((model - model.max()) / temperature)
            model = np.log((weights / weights.sum()).astype(dtype).astype(float))
            error = model * temperature**generation - initial
            assert np.ptp(error) / 2 <= 0.1
