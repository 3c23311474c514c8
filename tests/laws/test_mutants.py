"""Wrong answers made by machine fall: in the proof, in the confrontation, or both."""

import os
from dataclasses import replace
from typing import Any

import mpmath
import pytest
import sympy as sp

from fixedpoint.laws import mutation
from fixedpoint.laws.equation import Equation, Step, equations
from fixedpoint.mutants import Fall, fell_of_all, score

UNNOTICED: dict[tuple[str, str], str] = {
    ("accumulation.leaders", "t + 1 for t"): "the same function to the order of the law",
    ("mixing.spinodal_asymptotic", "K + 1 for K"): "the same function to the order of the law",
}
"""The mutants that neither a proof nor an experiment notices, by label and change, and why."""


@pytest.mark.slow
def test_mutants_fall():
    falls = fell_of_all(list(equations()), processes=os.cpu_count() or 1)
    found = score(falls)
    survivors = {(fall.label, fall.change) for fall in falls if not fall.somewhere}
    assert survivors == set(UNNOTICED)
    assert found.mutants > 500
    assert found.proof >= 0.95 * found.mutants
    assert found.confrontation >= 0.90 * found.mutants


x, y = sp.symbols("x y", positive=True)
n = sp.Symbol("n", integer=True, positive=True)
theta: Any = sp.IndexedBase("theta", real=True)


def equation(answer, symbols, domain):
    return Equation(
        label="test.only",
        kind="exact",
        statement="A number.",
        lhs=sp.Symbol("z"),
        rhs=answer,
        symbols=symbols,
        assumes="nothing",
        source="derived here",
        near_misses={"off by one": answer + 1},
        proof=lambda answer: [Step("trivial", 0)],
        domain=domain,
    )


POINTS = [{"share": 0.3, "count": 4}, {"share": 0.8, "count": 2}]


def changes(answer, points=POINTS):
    symbols = {"share": x, "count": n}
    domain = {"share": ("real", 0, 1), "count": ("integer", 1, 9)}
    return mutation.mutants(equation(answer, symbols, domain), points)


def test_each_argument_each_term_and_each_factor_is_changed():
    assert set(changes(2 * x**n + n)) == {
        "1 − x for x",
        "2x for x",
        "n + 1 for n",
        "without n in n + 2*x**n",
        "without 2*x**n in n + 2*x**n",
        "without the factor 2 of x**n",
        "twice the answer",
    }


def test_the_same_function_is_no_mutant():
    assert "1 − x for x" not in changes(x * (1 - x) + n)
    assert "−theta for theta" not in mutation.mutants(
        equation(sp.cosh(theta[1]), {"logits": theta}, {"logits": ("vector", -1, 1)}),
        [{"logits": [0.3, 0.1]}],
    )


def test_what_is_complex_or_has_no_value_is_no_mutant():
    # √(1 - x) with 2x for x is real at 0.3 and not at 0.8; log(x - 1/4) with 1 − x nowhere twice.
    assert "2x for x" in changes(sp.sqrt(1 - x))
    assert "2x for x" not in changes(sp.sqrt(1 - x), [POINTS[1]])
    assert "1 − x for x" not in changes(sp.log(x - sp.Rational(1, 2)), [POINTS[1]])
    assert "1 − x for x" not in changes(
        1 / (x - 1 + sp.Rational(0.8)), [{"share": 0.8, "count": 2}]
    )


@pytest.mark.parametrize("value", [mpmath.mpc(1, 1), mpmath.nan, mpmath.inf, None, "nothing"])
def test_only_real_numbers_differ(value):
    one = [mpmath.mpf(2), mpmath.mpf(3)]
    assert not mutation._differ(one, [value, mpmath.mpf(4)], False)
    assert mutation._differ(one, [mpmath.mpf(2), mpmath.mpf(4)], False)
    assert not mutation._differ(one, [mpmath.mpc(2, 1e-40), mpmath.mpf(3)], False)
    assert not mutation._differ(one, [mpmath.mpf(3), mpmath.mpf(4)], True)
    assert mutation._differ([-mpmath.inf, *one], [-mpmath.inf, *one[::-1]], False)


def test_falls_are_counted():
    one = Fall("a.b", "2T for T", True, False)
    falls = [one, one._replace(proof=None, confrontation=True), one._replace(proof=False)]
    assert score(falls) == (3, 2, 1, 1, 2)
    assert [fall.somewhere for fall in falls] == [True, True, False]


def test_a_residual_is_refuted_by_a_number_where_the_right_one_vanishes():
    right = Step("a square", (x + 1) ** 2 - x**2 - 2 * x - 1)
    assert replace(right, residual=x).refuted(right)
    assert not right.refuted(right)
    assert not replace(right, residual=x).refuted(replace(right, residual=y))
    # (−1)^{2n} is 1 for whole n alone.
    whole = Step("even", (-1) ** (2 * n + sp.Symbol("m", integer=True) * 2) - 1)
    assert not whole.refuted(whole)
