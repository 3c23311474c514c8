"""The expressions of gradient flow mean what they say, at numbers known by other means."""

import mpmath

from fixedpoint.laws.equation import equations


def test_the_root_of_two_outcomes_at_fifty_digits():
    equation = equations()["flow.frozen_two_outcomes"]
    with mpmath.workdps(50):
        z = equation.evaluate({"gap_initial": 1.0, "gap_target": 0.0, "time": 2.0})
        # An even target: sinh(z/2) falls as e^(-t/2).
        ratio = mpmath.sinh(z / 2) / mpmath.sinh(mpmath.mpf(1) / 2)
        assert abs(ratio - mpmath.exp(-1)) < mpmath.mpf(10) ** -45
