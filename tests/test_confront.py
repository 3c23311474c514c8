"""The three comparisons pass what is right and fail what is wrong, each in its own way."""

import sys
import types
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

from fixedpoint import agreement, confront
from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Edge, Equation, Step, total
from fixedpoint.laws.observation import Observation, Refinement
from fixedpoint.verdict import NEAR_MISSES, Comparison, Verdict, load, store

x, n = sp.symbols("x n", positive=True)
k = sp.Symbol("k", integer=True)


def equation(**changes):
    fields = {
        "label": "pretend.power",
        "kind": "exact",
        "statement": "A power.",
        "lhs": sp.Symbol("y"),
        "rhs": x**n,
        "symbols": {"base": x, "generation": n},
        "assumes": "Nothing.",
        "source": "derived here",
        "near_misses": {"off by one": x ** (n + 1)},
        "proof": lambda: [Step("recursion", x ** (n + 1) - x * x**n)],
        "domain": {"base": ("real", 0.5, 2.0), "generation": ("integer", 0, 9)},
        "edges": [Edge({"base": 1.0, "generation": 10**6})],
    }
    return Equation(**{**fields, **changes})


def observation(value: Any = 8.0, **changes):
    fields = {
        "what": "three doublings",
        "arguments": {"base": 2.0, "generation": 3},
        "value": value,
        "tolerance": 1e-9,
    }
    return Observation(**{**fields, **changes})


def power(base, generation):
    return np.asarray(float(base) ** generation)


@pytest.fixture
def pretend(monkeypatch):
    """A law made of two functions, in the place where `confront` looks for laws."""
    solution = types.ModuleType("fixedpoint.laws.pretend.solution")
    process = types.ModuleType("fixedpoint.laws.pretend.process")
    monkeypatch.setattr(solution, "power", power, raising=False)
    monkeypatch.setattr(process, "power", observation, raising=False)
    monkeypatch.setitem(sys.modules, "fixedpoint.laws.pretend", types.ModuleType("pretend"))
    monkeypatch.setitem(sys.modules, solution.__name__, solution)
    monkeypatch.setitem(sys.modules, process.__name__, process)
    return solution, process


def test_a_right_law_passes(pretend):
    assert confront.prove(equation()).status == "passed"
    assert confront.evaluate(equation()).status == "passed"
    found = confront.confront(equation())
    assert found.status == "passed"
    assert "1 of 1 near misses rejected" in found.summary


def test_a_wrong_step_fails_the_proof():
    wrong = equation(proof=lambda: [Step("wrong recursion", x ** (n + 1) - x**n)])
    found = confront.prove(wrong)
    assert found.status == "failed"
    assert "wrong recursion" in found.summary


def test_a_step_at_points_is_not_called_proved():
    at_points = equation(proof=lambda: [Step("recursion", x ** (n + 1) - x * x**n, "points")])
    assert confront.prove(at_points).status == "checked"


def test_a_proof_without_steps_fails():
    assert confront.prove(equation(proof=list)).status == "failed"


def test_a_conjecture_without_proof_is_said_to_be_one():
    assert confront.prove(equation(kind="conjecture", proof=None)).status == "none"


@pytest.mark.parametrize("relative", [1e-11, -1e-11])
def test_a_solution_wrong_in_the_eleventh_digit_fails(pretend, relative):
    solution, _ = pretend
    right = solution.power
    solution.power = lambda **arguments: right(**arguments) * (1 + relative)
    assert confront.evaluate(equation()).status == "failed"


def test_a_nan_fails(pretend):
    solution, process = pretend
    process.power = lambda: observation(np.nan)
    assert confront.confront(equation()).status == "failed"
    solution.power = lambda **_: np.asarray(np.nan)
    assert confront.evaluate(equation()).status == "failed"


def test_a_process_outside_its_tolerance_fails(pretend):
    _, process = pretend
    process.power = lambda: observation(8.0 + 2e-9)
    assert confront.confront(equation()).status == "failed"


def test_a_near_miss_that_the_data_cannot_reject_fails(pretend):
    _, process = pretend
    process.power = lambda: observation(tolerance=100.0)
    found = confront.confront(equation())
    assert found.status == "failed"
    assert "NOT rejected: off by one" in found.summary


def test_stochastic_comparisons_use_the_predicted_standard_error(pretend):
    _, process = pretend
    process.power = lambda: observation(8.05, tolerance=None, standard_error=0.01)
    found = confront.confront(equation())
    assert found.status == "passed"
    assert found.z == pytest.approx(5.0)
    process.power = lambda: observation(8.06, tolerance=None, standard_error=0.01)
    assert confront.confront(equation()).status == "failed"


def test_a_bound_is_violated_on_one_side_only(pretend):
    _, process = pretend
    process.power = lambda: observation(7.0)
    bound = equation(kind="bound", relation="<=", near_misses={"halved": x**n / 2})
    assert confront.confront(bound).status == "passed"
    process.power = lambda: observation(9.0)
    assert confront.confront(bound).status == "failed"


def test_a_bound_that_is_attained_must_be_met(pretend):
    _, process = pretend
    bound = equation(kind="bound", relation="<=", near_misses={"halved": x**n / 2})
    for value, attained, status in ((8.0, True, "passed"), (7.0, True, "failed")):
        process.power = lambda value=value, attained=attained: observation(value, attained=attained)
        assert confront.confront(bound).status == status


@pytest.mark.parametrize(("order", "status"), [(2, "passed"), (1, "failed")])
def test_the_order_of_convergence_is_measured(pretend, order, status):
    _, process = pretend
    steps = [0.1, 0.05, 0.025]
    refinement = Refinement(2, steps, [8 + h**order for h in steps])
    process.power = lambda: observation(refinement=refinement)
    assert confront.confront(equation()).status == status


def test_an_exception_is_a_failed_comparison_not_a_crash(pretend, monkeypatch):
    _, process = pretend

    def broken():
        raise RuntimeError("the loop broke")

    process.power = broken
    monkeypatch.setattr(confront, "equations", lambda: {"pretend.power": equation()})
    verdict = confront.verify("pretend.power")
    assert verdict.proved.passed
    assert not verdict.passed
    assert verdict.mark == "FAILED"
    assert verdict.confronted.summary == "RuntimeError: the loop broke"


def test_logits_are_compared_up_to_a_shift():
    value = np.array([1.0, 2.0, 4.0])
    assert agreement.relative_error(value, list(value - 7), up_to_shift=True) < 1e-15
    assert agreement.relative_error(value, list(value - 7)) > 1


def test_infinities_must_agree():
    assert agreement.relative_error(np.array([0.0, -np.inf]), [0.0, -np.inf]) == 0
    assert agreement.relative_error(np.array([0.0, -1e300]), [0.0, -np.inf]) == np.inf
    assert agreement.relative_error(np.array([0.0, np.inf]), [0.0, -np.inf]) == np.inf


def test_the_threshold_holds_the_false_alarm_rate_of_the_whole_register():
    assert pytest.approx(5.326724, abs=1e-6) == agreement.THRESHOLD


def test_the_record_survives_a_partial_verification(tmp_path, monkeypatch, pretend):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(
        confront,
        "equations",
        lambda: {label: replace(equation(), label=label) for label in ("pretend.power",)},
    )
    assert load() == {}
    confront.verify_all()
    store([])
    assert load()["pretend.power"]["passed"] is True


def test_an_observation_states_its_error():
    with pytest.raises(ValueError, match="`tolerance` or `standard_error` must be given"):
        Observation("no error", {}, 0.0)


NOT_NUMBERS = [np.nan, np.inf, -np.inf]


def test_a_step_that_stays_open_is_not_hidden_by_another_of_the_same_claim():
    both = [Step("the same", x), Step("the same", 0)]
    for steps in (both, both[::-1], [Step("nothing", [])], [Step("NaN", sp.nan, "points")]):
        assert confront.prove(equation(proof=lambda steps=steps: steps)).status == "failed"


@pytest.mark.parametrize("number", NOT_NUMBERS)
@pytest.mark.parametrize("relation", ["=", "<=", ">="])
def test_a_confrontation_takes_finite_numbers_alone(pretend, relation, number):
    solution, process = pretend
    right, bound = solution.power, equation(kind="bound", relation=relation)
    process.power = lambda: observation(number)
    assert confront.confront(bound).status == "failed"
    process.power, solution.power = observation, lambda **_: np.asarray(number)
    assert confront.confront(bound).status == "failed"
    solution.power = right
    for stated in ({"tolerance": np.nan}, {"tolerance": -1.0}):
        process.power = lambda stated=stated: observation(**stated)  # of the exact value
        assert confront.confront(bound).status == "failed"
        process.power = lambda: observation(tolerance=None, standard_error=np.nan)
        assert confront.confront(bound).status == "failed"


@pytest.mark.parametrize("wrong", [sp.nan, sp.oo, sp.sqrt(-x), sp.log(x - 2), sp.asin(x)])
def test_a_near_miss_without_a_value_is_not_rejected(pretend, wrong):
    found = confront.confront(equation(near_misses={"no number": wrong}))
    assert found.status == "failed"
    assert found.rejected == {"no number": 0.0}
    assert "NOT rejected: no number" in found.summary


def test_a_near_miss_of_another_shape_is_not_rejected_but_a_constant_is(pretend):
    solution, process = pretend
    entries: Any = sp.IndexedBase("v")
    vectors = {
        "symbols": {"entries": entries},
        "rhs": entries[OUTCOME] ** 2,
        "near_misses": {"the mean square": total(entries[k] ** 2, k) / NUM_OUTCOMES},
    }
    solution.power = lambda entries: np.asarray(entries) ** 2
    arguments = {"entries": [1.0, 3.0]}
    process.power = lambda: observation([1.0, 9.0], arguments=arguments)
    assert confront.confront(equation(**vectors)).rejected == {
        "the mean square": pytest.approx(4e9)
    }
    process.power = lambda: observation([[1.0, 9.0]], arguments=arguments)
    solution.power = lambda entries: np.asarray(entries)[None] ** 2
    shaped = {**vectors, "near_misses": {"cubed": entries[OUTCOME] ** 3}}
    assert confront.confront(equation(**shaped)).status == "failed"


def test_no_agreement_without_numbers():
    for value in (np.array([np.nan, 1.0]), np.array([np.inf, 1.0]), np.array(np.nan)):
        assert agreement.relative_error(value, value.tolist()) in (0, np.inf)
    assert agreement.relative_error(np.array([np.nan]), [np.nan]) == np.inf
    assert agreement.relative_error(np.array([np.nan]), [1.0]) == np.inf
    assert agreement.relative_error(np.array([1.0]), [np.nan]) == np.inf
    assert agreement.relative_error(np.array([]), []) == np.inf
    assert agreement.relative_error(np.array([1e308, -1.0]), [-1e308, -1.0]) == np.inf
    assert agreement.relative_error(np.array([1.0]), [mpmath.mpc(1, 1)]) == np.inf
    assert agreement.relative_error(np.array([1.0]), [mpmath.mpc(1, 1e-30)]) == 0


def test_an_edge_that_expects_no_number_fails(pretend):
    solution, _ = pretend
    solution.power = lambda base, generation: np.asarray(np.nan)
    only = equation(domain={}, edges=[Edge({"base": 2.0, "generation": 1}, np.nan)])
    found = confront.evaluate(only)
    assert (found.status, found.error) == ("failed", np.inf)


@pytest.mark.parametrize("wrong", [{"error": np.nan}, {"z": np.nan}, {"status": "unheard of"}])
def test_a_verdict_with_a_number_missing_is_not_passed(wrong):
    good = Comparison("passed", "as it should be", error=0.5, z=None)
    assert good.passed
    bad = replace(good, **wrong)
    missed = replace(good, details={NEAR_MISSES: {"half": np.nan}})
    for comparison in (bad, missed):
        verdict = Verdict("a.b", "exact", "A claim.", good, good, comparison)
        assert not verdict.passed
        assert verdict.mark == "FAILED"
        assert verdict.as_dict()["passed"] is False


@pytest.mark.slow
def test_several_processes_give_the_same_verdicts(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    labels = ["recovery.storage_hot", "tempering.mode_limit"]
    shared = confront.verify_all(labels, processes=2)
    assert [verdict.label for verdict in shared] == labels
    assert shared == [confront.verify(label) for label in labels]


def test_a_bound_that_is_attained_is_confronted_from_both_sides():
    equation = confront.equations()["traces.displacement_bound"]
    assert confront.confront(equation).passed
    for wrong in (2 * equation.rhs, equation.rhs / 2):
        assert not confront.confront(equation, answer=wrong).passed
    loose = [replace(o, attained=False) for o in confront.observed(equation)]
    value, law = np.asarray(loose[-1].value), np.asarray(2 * loose[-1].value)
    assert agreement.excess(equation, loose[-1], value, law) == 0
    assert agreement.excess(equation, replace(loose[-1], attained=True), value, law) > 1
