"""The expressions of gradient flow mean what they say, at numbers known by other means."""

import mpmath
import sympy as sp

from fixedpoint.laws.equation import equations
from fixedpoint.laws.flow import derivation
from fixedpoint.laws.notation import theta


def test_the_root_of_two_outcomes_at_fifty_digits():
    equation = equations()["flow.frozen_two_outcomes"]
    with mpmath.workdps(50):
        z = equation.evaluate({"gap": 1.0, "gap_target": 0.0, "time": 2.0})
        # An even target: sinh(z/2) falls as e^(-t/2).
        ratio = mpmath.sinh(z / 2) / mpmath.sinh(mpmath.mpf(1) / 2)
        assert abs(ratio - mpmath.exp(-1)) < mpmath.mpf(10) ** -45


def test_the_largest_entry_is_that():
    function = sp.lambdify([theta], derivation.Largest(theta), "mpmath")
    assert function([mpmath.nan, 1, 3, 2]) == 3
