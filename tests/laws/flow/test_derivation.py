"""The proofs of the law of gradient flow can fail, and their parts mean what they say."""

import mpmath
import numpy as np
import pytest
import sympy as sp

from fixedpoint.laws.equation import Step, equations
from fixedpoint.laws.flow import derivation

LABELS = {
    "frozen_two_outcomes",
    "frozen_uniform_target",
    "frozen_one_hot_target",
    "relaxation_rate",
    "multiplier",
    "off_ray",
    "finite_training",
    "lineage",
    "online_two_outcomes",
    "online_chebyshev",
    "online_block",
    "blow_up",
    "duality",
    "collapse_tail",
    "losers_equalise",
    "uniform_rate",
    "majorisation",
    "mixture_frozen",
    "mixture_online",
    "natural",
    "reverse_kl_tail",
    "potential",
}


def test_all_labels_are_registered():
    registered = {label[5:] for label in equations() if label.startswith("flow.")}
    assert registered == LABELS


def test_the_flows_are_what_they_are_called():
    theta = derivation.model(3)
    velocity = derivation.online(theta, sp.Rational(1, 2))
    point = {theta[0]: 1, theta[1]: 0, theta[2]: -1}
    logits = np.array([1.0, 0.0, -1.0])
    p, drawn = np.exp(logits), np.exp(2 * logits)
    found = [float(v.subs(point)) for v in velocity]
    np.testing.assert_allclose(found, drawn / drawn.sum() - p / p.sum(), rtol=1e-14)


@pytest.mark.parametrize("order", [3, 4, 5])
def test_a_halved_sum_of_cosines_is_no_solution(order):
    z = derivation.z
    inverse = sp.Rational(order + 1, order - 1)
    right = derivation._chebyshev(z, sp.Integer(order)).doit()
    logarithm = sp.log(sp.cosh((1 + order % 2) * z / (order - 1)) - 1)
    reduce = derivation.through_exponential(z, root=2 * (order - 1))
    flow = 2 * (derivation.sigmoid(inverse * z) - derivation.sigmoid(z))
    for coordinate, closes in ((right, True), ((right + logarithm) / 2, False)):
        residual = sp.diff(coordinate, z) * flow - (inverse - 1)
        assert Step("grows at 1/T - 1", residual, reduce=reduce).closes() is closes


def test_another_coordinate_is_not_linear():
    a, z = sp.Symbol("a", positive=True), derivation.z
    wrong = a * sp.exp(-a * z) - (1 - a) * sp.exp((1 - a) * z)
    speed = 2 * (a - derivation.sigmoid(z))
    assert not Step("dF/dt", sp.diff(wrong, z) * speed + 2 * a * (1 - a) * wrong).closes()


def test_the_root_of_two_outcomes_at_fifty_digits():
    equation = derivation.FROZEN_TWO_OUTCOMES
    with mpmath.workdps(50):
        z = equation.evaluate({"gap": 1.0, "gap_target": 0.0, "time": 2.0})
        # An even target: sinh(z/2) falls as e^(-t/2).
        ratio = mpmath.sinh(z / 2) / mpmath.sinh(mpmath.mpf(1) / 2)
        assert abs(ratio - mpmath.exp(-1)) < mpmath.mpf(10) ** -45


def test_the_largest_entry_is_that():
    largest = derivation.Largest(derivation.theta)
    function = sp.lambdify([derivation.theta], largest, "mpmath")
    assert function([mpmath.nan, 1, 3, 2]) == 3


@pytest.mark.parametrize("label", sorted(LABELS))
def test_every_equation_prints(label):
    text = equations()[f"flow.{label}"].latex()
    assert "Root" not in text
    assert text.count("{") == text.count("}")
