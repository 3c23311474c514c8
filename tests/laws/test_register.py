"""Every registered equation passes the three comparisons."""

import inspect

import pytest

from fixedpoint import agreement, confront
from fixedpoint.laws.equation import equations

# Seconds each: `.ci/run` makes them beside the suite, `fixedpoint verify` and `reproduce` as well.
LONG = {
    "proved": [
        "accumulation.head_start",
        "accumulation.monopoly",
        "flow.off_ray",
        "flow.relaxation_rate",
        "fixation.fixation_time",
        "fixation.fixation_time_expansion",
        "resampling.heterozygosity",
        "fixation.survivors",
        "fixation.survivors_power_law",
        "fixation.truncation",
        "survival.transience",
        "tempering.composition",
        "traces.bias",
        "traces.entropy_bias",
        "verifier.lock_in_weak",
    ],
    "evaluated": [
        "flow.frozen_two_outcomes",
        "flow.frozen_one_hot_target",
        "flow.frozen_uniform_target",
        "online.majorisation",
        "geometry.mixture_frozen",
        "geometry.mixture_online",
        "geometry.natural",
        "flow.off_ray",
        "online.chebyshev",
        "geometry.potential",
        "fixation.first_extinction",
        "fixation.fixation_time",
        "resampling.spectrum",
        "fixation.survivors",
        "fixation.survivors_power_law",
        "tempering.ascent",
    ],
}
# Of the confrontations a few stand for all.
SHORT = [
    "online.duality",
    "online.losers_equalise",
    "online.majorisation",
    "resampling.entropy_budget",
    "fixation.fixation_probability",
    "verifier.lock_in_strong",
    "metastability.slow_eigenvalue",
    "verifier.verifier",
    "tempering.composition",
    "tempering.fixed_point",
    "tempering.logits",
    "recovery.recovery",
    "traces.displacement",
    "traces.log_loss",
    "traces.two_charts",
]

assert set(SHORT) <= set(equations()), "a label in SHORT is not registered"
LONG["confronted"] = [label for label in equations() if label not in SHORT]


def each_label(comparison=""):
    """One equation after the other, so that its comparisons share what they compile."""
    long = LONG.get(comparison, [])
    assert set(long) <= set(equations()), "a label in LONG is not registered"
    labels = [
        pytest.param(label, marks=[pytest.mark.long] * (label in long))
        for label in sorted(equations())
    ]
    return pytest.mark.parametrize("label", labels, scope="module")


@each_label("proved")
def test_proved(label):
    found = confront.prove(equations()[label])
    assert found.passed, found.summary


@each_label("evaluated")
def test_evaluated(label):
    found = confront.evaluate(equations()[label])
    assert found.passed, found.summary


@each_label("confronted")
def test_confronted(label):
    found = confront.confront(equations()[label])
    assert found.passed, found.summary
    COMPARED[label] = found.comparisons if found.z is not None else 0
    assert sum(COMPARED.values()) <= agreement.CAPACITY


COMPARED: dict[str, int] = {}


def observed_by_hand(label):
    """Whether a process runs what it observes at once: that takes seconds."""
    process = confront.implementation(equations()[label], "process")
    return "Observation" in str(inspect.signature(process).return_annotation)


@pytest.mark.parametrize(
    "label",
    [
        pytest.param(label, marks=[pytest.mark.long] * observed_by_hand(label))
        for label in sorted(equations())
    ],
    scope="module",
)
def test_every_argument_varies(label):
    assert confront.unvaried(equations()[label]) == []


@each_label()
def test_the_docstring_of_the_solution_names_its_label(label):
    solution = confront.implementation(equations()[label], "solution")
    assert label in (solution.__doc__ or "")
