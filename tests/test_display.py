"""What a notebook shows of an equation, a step of its proof and a verdict."""

import pytest
import sympy as sp

from fixedpoint.confront import NEAR_MISSES, Comparison, Verdict
from fixedpoint.laws.equation import Step, equations, markdown


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
    assert "at 30 rational points" in Step("a sum", x - x, method="points")._repr_markdown_()
    long = sum(x**k for k in range(100))
    assert "$$" not in Step("a long one", [sp.S.Zero, long - long, long])._repr_markdown_()
    assert repr(true) == "<Step 'a square'>"


@pytest.mark.parametrize("status", ["passed", "failed"])
def test_a_verdict_says_the_same_on_the_screen_and_in_a_notebook(status):
    fine = Comparison("passed", "3 steps close")
    compared = Comparison(status, "|z| 1 < 5", details={NEAR_MISSES: {"the sign": 7e5, "n": 0.5}})
    verdict = Verdict("tempering.logits", "exact", "It is so.", fine, fine, compared)
    sign = "✓" if status == "passed" else "✗"
    for shown in (str(verdict), verdict._repr_markdown_()):
        assert "tempering.logits" in shown
        assert "“the sign”: off by 7e+05 times the allowance" in shown
        assert f"{sign} " in shown
        assert "✗ rejects “n”" in shown
    assert verdict.mark in repr(verdict)
    assert r"\|z\| 1 \< 5" in verdict._repr_markdown_()


def test_what_looks_like_markup_is_escaped():
    assert markdown("p_T < 1, a*b, [c]") == r"p\_T \< 1, a\*b, \[c\]"
