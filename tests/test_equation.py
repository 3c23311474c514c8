"""The register, the evaluation of equations at many digits, and the proofs' machinery."""

import re

import mpmath
import numpy as np
import pytest
import sympy as sp

from fixedpoint.laws.equation import (
    NUM_OUTCOMES,
    OUTCOME,
    REGISTER,
    Equation,
    Root,
    Step,
    at_outcomes,
    equations,
    evaluate,
    register,
    total,
    vector,
)

theta = vector("theta", real=True)
beta = sp.Symbol("beta", positive=True)
j, k = sp.symbols("j k", integer=True)


def make(rhs, **changes):
    fields = {
        "label": "test.only",
        "kind": "exact",
        "statement": "a sum",
        "lhs": sp.Symbol("x"),
        "rhs": rhs,
        "symbols": {"logits": theta, "inverse_temperature": beta},
        "assumes": "nothing",
        "source": "derived here",
        "near_misses": {"off by one": rhs + 1},
        "proof": lambda: [Step("trivial", 0)],
    }
    return Equation(**{**fields, **changes})


def test_evaluates_a_vector_over_the_outcomes():
    boltzmann = sp.exp(beta * theta[OUTCOME]) / total(sp.exp(beta * theta[j]), j)
    logits = [1.0, 2.0, 3.5]
    value = make(boltzmann).evaluate({"logits": logits, "inverse_temperature": 0.5})
    weights = np.exp(0.5 * np.asarray(logits))
    np.testing.assert_allclose([float(v) for v in value], weights / weights.sum(), rtol=1e-15)


def test_evaluates_nested_sums_to_fifty_digits():
    mean = total(theta[k] * sp.exp(theta[k]), k) / total(sp.exp(theta[k]), k)
    variance = total(sp.exp(theta[j]) * (theta[j] - mean) ** 2, j) / total(sp.exp(theta[j]), j)
    dependent = total(total(sp.Abs(theta[k] - theta[j]), k), j)
    arguments = {"logits": [0.25, -1.0, 2.0], "inverse_temperature": 1.0}
    with mpmath.workdps(60):
        p = [mpmath.e**x for x in (mpmath.mpf(1) / 4, -1, 2)]
        p = [x / sum(p) for x in p]
        m = p[0] / 4 - p[1] + 2 * p[2]
        expected = sum(q * (x - m) ** 2 for q, x in zip(p, (0.25, -1, 2), strict=True))
        assert abs(make(variance).evaluate(arguments) - expected) < mpmath.mpf(10) ** -50
    # |1/4+1| + |1/4-2| + |-1-2|, each twice
    assert make(dependent).evaluate(arguments) == 12


def test_the_number_of_outcomes_is_the_length_of_the_vector():
    assert make(NUM_OUTCOMES).evaluate({"logits": [0.0] * 7, "inverse_temperature": 1.0}) == 7


def test_near_miss_is_evaluated_in_place_of_the_right_hand_side():
    equation = make(beta**2)
    arguments = {"logits": [0.0], "inverse_temperature": 3.0}
    assert equation.evaluate(arguments) == 9
    assert equation.evaluate(arguments, near_miss="off by one") == 10


def test_a_true_identity_closes_and_a_false_one_does_not():
    lse = at_outcomes(sp.log(total(sp.exp(theta[j]), j)), 3)
    p1 = sp.exp(theta[1]) / sum(sp.exp(theta[n]) for n in (1, 2, 3))
    assert Step("gradient of log-sum-exp", sp.diff(lse, theta[1]) - p1).closes()
    assert not Step("halved", sp.diff(lse, theta[1]) - p1 / 2).closes()
    assert Step("at points", sp.diff(lse, theta[1]) - p1, method="points").closes()
    off_by_little = p1 * sp.Rational(1, 10**40)
    assert not Step("tiny", off_by_little, method="points").closes()


def test_an_equation_that_could_not_be_verified_is_refused():
    with pytest.raises(ValueError, match=r"`proof` of test\.only is missing"):
        make(beta, proof=None)
    with pytest.raises(ValueError, match=r"`near_misses` of test\.only is empty"):
        make(beta, near_misses={})


def test_labels_are_unique():
    equation = register(make(beta, label="test.unique"))
    try:
        with pytest.raises(ValueError, match="`label` must be unique"):
            register(equation)
    finally:
        del REGISTER["test.unique"]


def test_every_label_names_its_law_and_is_complete():
    found = equations()
    assert found
    for label, equation in found.items():
        assert label == f"{equation.law}.{equation.name}"
        assert equation.statement.endswith(".")
        assert equation.assumes
        assert equation.source
        assert set(equation.domain) in (set(), set(equation.symbols)), label
        assert equation.latex()


def test_fractions_stand_on_the_line_in_an_exponent_and_nowhere_else():
    latex = make(sp.exp(theta[j] / beta) / beta).latex()
    assert latex.endswith(r"\frac{e^{{\theta}_{j} / \beta}}{\beta}")


def test_a_beta_function_prints_its_arguments():
    latex = make(sp.beta(2 * theta[j], beta)).latex()
    assert latex.endswith(r"\operatorname{B}\left(2 {\theta}_{j}, \beta\right)")


def test_evaluates_a_root_that_holds_sums():
    w = sp.Symbol("w", positive=True)
    weighted = total(sp.log(1 + w * sp.exp(theta[j])), j) - beta
    rhs = Root(sp.Lambda(w, weighted), sp.Integer(0), sp.exp(beta))
    assert w not in rhs.free_symbols
    value = make(rhs).evaluate({"logits": [0.0, 0.0], "inverse_temperature": 4.0})
    with mpmath.workdps(50):
        assert abs(value - mpmath.expm1(2)) < mpmath.mpf(10) ** -45


def test_the_range_of_a_sum_may_depend_on_a_whole_number():
    count = sp.Symbol("n", integer=True, positive=True)
    equation = make(sp.Sum(k, (k, 1, count)), symbols={"count": count})
    with pytest.raises(KeyError):
        equation.evaluate({})
    assert equation.evaluate({"count": 10}) == 55


@pytest.mark.parametrize("method", ["symbolic", "points"])
@pytest.mark.parametrize("residual", [sp.nan, sp.zoo, sp.oo, [0, sp.nan], [sp.nan, 0], []])
def test_what_is_not_a_number_closes_no_step(residual, method):
    assert not Step("1 = 0", residual, method=method).closes()


def test_a_residual_that_is_not_a_number_at_a_few_points_does_not_close():
    # 0/0 wherever x is above 2: at a third of the points, and first after some that vanish.
    x = sp.Symbol("x", positive=True)
    sometimes = sp.Piecewise((0, x < 2), (sp.nan, True))
    assert Step("never", sometimes, method="points", domain={x: (1, 2)}).closes()
    assert not Step("1 = 0", sometimes, method="points", domain={x: (1, 3)}).closes()


@pytest.mark.parametrize("label", sorted(equations()))
def test_every_equation_prints(label):
    text = equations()[label].latex()
    assert any(relation in text for relation in ("=", r"\simeq", r"\ge", r"\le"))
    assert not {"Indexed", "Root"} & set(re.findall(r"\w+", text))
    assert text.count("{") == text.count("}")


@pytest.mark.parametrize("root", [20.3, -49.9, 1e-3])
def test_a_root_is_found_on_a_wide_bracket(root):
    x, c = sp.symbols("x c")
    found = evaluate(
        Root(sp.Lambda(x, sp.exp(x) - sp.exp(c)), sp.Integer(-50), sp.Integer(50)), {c: root}
    )
    assert abs(found - root) < 1e-45
