"""The steps that follow a flow: they close for what solves it, and for nothing else."""

import pytest
import sympy as sp

from fixedpoint.laws.equation import Root
from fixedpoint.symbolic import follows_flow, slope, without_roots

t, a, b = sp.symbols("t a b", positive=True)
x = sp.Symbol("x", positive=True)


def root(equation):
    return Root(sp.Lambda(x, equation), sp.Integer(0), 10 * (a + b + t))


def closes(velocity, start, answer, **more):
    return [step.closes() for step in follows_flow(velocity, start, answer, time=t, **more)]


def decay(entries):
    return [-entries[0], entries[0] - entries[1]]


SOLVED = [a * sp.exp(-t), (b + a * t) * sp.exp(-t)]


def test_a_solution_of_two_equations_closes():
    assert closes(decay, [a, b], SOLVED) == [True, True]


@pytest.mark.parametrize(
    ("wrong", "found"),
    [
        ([a * sp.exp(-2 * t), SOLVED[1]], [True, False]),
        ([SOLVED[0], (b - a * t) * sp.exp(-t)], [True, False]),
        ([SOLVED[0], (2 * b + a * t) * sp.exp(-t)], [False, True]),
        ([2 * SOLVED[0], 2 * SOLVED[1]], [False, True]),
        ([a, b], [True, False]),
    ],
)
def test_a_wrong_answer_breaks_the_start_or_the_motion(wrong, found):
    assert closes(decay, [a, b], wrong) == found


def inward(entries):
    return [1 / (2 * entries[0])]


@pytest.mark.parametrize(
    ("equation", "start", "found"),
    [
        (x**2 - t - a**2, a, [True, True]),  # x = √(t + a²) moves with the speed 1/(2x)
        (x**2 - 2 * t - a**2, a, [True, False]),
        (x**2 - t - 4 * a**2, a, [False, True]),
        (x**3 - t - a**3, a, [True, False]),
        (x**2 - t - a**2, b, [False, True]),  # the equation does not hold for that start
    ],
)
def test_a_root_moves_as_its_own_equation_says(equation, start, found):
    assert closes(inward, [a], [root(equation)], root=start) == found


def test_the_steps_say_for_which_sizes_they_were_made():
    first, second = follows_flow(decay, [a, b], SOLVED, time=t, sizes={"K": 2})
    assert first.sizes == second.sizes == {"K": 2}


def test_each_root_gets_a_symbol_and_its_equation():
    one, other = root(x**2 - t), root(x**3 - a * t)
    entries, equations = without_roots([one + other, 2 * one, sp.Integer(5)])
    assert len(equations) == 2
    assert not any(entry.has(Root) for entry in entries)
    [w] = entries[1].free_symbols
    [v] = entries[0].free_symbols - {w}
    assert entries == [w + v, 2 * w, 5]
    assert equations == {w: w**2 - t, v: v**3 - a * t}
    assert without_roots([t]) == ([t], {})


def test_a_slope_goes_through_the_roots():
    w, v = sp.symbols("w v", positive=True)
    assert slope(t**3, t, {}) == 3 * t**2
    assert slope(w, t, {w: w**2 - t}) == 1 / (2 * w)
    found = slope(t * w + v, t, {w: w**2 - t, v: sp.exp(v) - a * t})
    assert sp.simplify(found - (w + t / (2 * w) + a * sp.exp(-v))) == 0
    # By the formula: d√t/dt, where w = √t.
    by_root = slope(w**3, t, {w: w**2 - t}).subs(w, sp.sqrt(t))
    assert sp.simplify(by_root - sp.diff(sp.sqrt(t) ** 3, t)) == 0
