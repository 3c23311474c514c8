"""The equations of families at numbers that are known by other means."""

import mpmath
import pytest
import sympy as sp

from fixedpoint.laws.equation import equations


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
