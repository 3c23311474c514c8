"""What a notebook shows of an equation, a step of its proof and a verdict."""

import numpy as np
import pytest
import sympy as sp

from fixedpoint import confront
from fixedpoint.laws.equation import Step, equations, markdown
from fixedpoint.verdict import NEAR_MISSES, Comparison, Verdict, magnitude


def test_an_equation_shows_its_mathematics_and_conditions():
    equation = equations()["tempering.refit"]
    shown = equation._repr_markdown_()
    assert f"$${equation.latex()}$$" in shown
    assert "`tempering.refit` (exact)" in shown
    assert "*Source:* elementary" in shown
    assert repr(equation) == "<Equation tempering.refit (exact)>"


def test_a_step_shows_what_must_vanish_and_whether_it_does():
    x = sp.Symbol("x")
    true = Step("a square", (x + 1) ** 2 - x**2 - 2 * x - 1)
    assert true._repr_markdown_().startswith("✓ a square\n\n$$")
    assert true._repr_markdown_().endswith("= 0$$")
    assert Step("a lie", x)._repr_markdown_().startswith("✗ a lie")
    at_points = Step("a sum", (x + 1) ** 2 - x**2 - 2 * x - 1, method="points")
    assert "(at 30 rational points)" in at_points._repr_markdown_()
    in_numbers = Step("a number", [sp.S.Zero] * 3, method="points")
    assert "(at 3 chosen numbers)" in in_numbers._repr_markdown_()
    long = sum(x**k for k in range(100))
    assert "$$" not in Step("a long one", [sp.S.Zero, long - long, long])._repr_markdown_()
    assert repr(true) == "<Step 'a square'>"


@pytest.mark.parametrize("status", ["passed", "failed"])
def test_a_verdict_says_the_same_on_the_screen_and_in_a_notebook(status):
    fine = Comparison("passed", "3 steps close")
    compared = Comparison(status, "|z| 1 < 5", details={NEAR_MISSES: {"the sign": 7e5, "n": 0.5}})
    verdict = Verdict("tempering.logits", "exact", "It is so.", fine, fine, compared)
    sign = "✓" if status == "passed" else "✗"
    assert "“the sign”: off by 7e+05 times the allowance" in str(verdict)
    assert "“the sign”: off by more than 1e+05 times the allowance" in verdict._repr_markdown_()
    for shown in (str(verdict), verdict._repr_markdown_()):
        assert "tempering.logits" in shown
        assert f"{sign} " in shown
        assert "✗ rejects “n”" in shown
    assert verdict.mark in repr(verdict)
    assert r"\|z\| 1 \< 5" in verdict._repr_markdown_()


def test_a_notebook_shows_no_digit_that_rounding_decides():
    def shown(error):
        fine = Comparison("passed", "3 steps close")
        evaluated = Comparison("passed", f"error {error:.1e}", rounded="error below 1e-12")
        rejected = {NEAR_MISSES: {"n": 3e5 * (1 + error)}}
        compared = Comparison("passed", f"{error} of its bound", details=rejected, rounded="within")
        verdict = Verdict("geometry.natural", "exact", "It is so.", fine, evaluated, compared)
        return verdict._repr_markdown_()

    assert shown(2.2e-16) == shown(4.4e-13)
    assert "error below 1e-12" in shown(2.2e-16)
    near, far = [magnitude(x) for x in (0.5, 1.0, 3.0, np.inf)], magnitude(7000.0)
    assert near == ["less than", "less than", "more than", "more than"]
    assert far == "more than 1e+03 times"


@pytest.mark.parametrize("label", ["recovery.storage_hot", "real_data.kept_diversity"])
def test_verdicts_have_what_a_notebook_shows(label):
    verdict = confront.verify(label)
    shown = verdict._repr_markdown_()
    assert verdict.evaluated.rounded.startswith("relative error below 1e-")
    assert "near misses rejected" in verdict.confronted.rounded
    assert f"{verdict.evaluated.error:.1e}" not in shown


def test_what_looks_like_markup_is_escaped():
    assert markdown("p_T < 1, a*b, [c]") == r"p\_T \< 1, a\*b, \[c\]"
