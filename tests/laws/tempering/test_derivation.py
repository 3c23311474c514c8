"""The equations of tempering at numbers that are known by other means."""

import math

import pytest
import sympy as sp

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
