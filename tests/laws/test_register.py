"""Every registered equation passes the three comparisons."""

import pytest

from fixedpoint import confront
from fixedpoint.laws.equation import equations

# The longest comparisons, seconds each. `.ci/run` makes them apart from the suite, and so do
# `fixedpoint verify` and `fixedpoint reproduce`.
LONG = {
    "proved": """
        flow.online_chebyshev traces.entropy_bias traces.stationary_mixture traces.transience
    """,
    "evaluated": """
        flow.frozen_one_hot_target flow.frozen_uniform_target flow.majorisation flow.mixture_frozen
        flow.mixture_online flow.natural flow.off_ray flow.online_chebyshev flow.potential
        resampling.first_extinction resampling.fixation_time resampling.spectrum
        resampling.survivors resampling.survivors_power_law tempering.ascent
    """,
    "confronted": """
        flow.blow_up flow.finite_training flow.frozen_one_hot_target flow.frozen_two_outcomes
        flow.mixture_frozen flow.mixture_online flow.multiplier flow.natural flow.online_chebyshev
        flow.potential flow.reverse_kl_tail resampling.critical_temperature
        resampling.heterozygosity resampling.partial_refit resampling.partial_refit_data
        tempering.refit traces.envelope traces.martingale traces.memory traces.stationary_mixture
        traces.switches traces.winner
    """,
}


def each_label(comparison=""):
    """One equation after the other, so that its comparisons share what they compile."""
    long = LONG.get(comparison, "").split()
    assert set(long) <= set(equations()), "a label in LONG is not registered"
    labels = [
        pytest.param(label, marks=[pytest.mark.slow] * (label in long))
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
    assert sum(COMPARED.values()) <= confront.CAPACITY


COMPARED: dict[str, int] = {}


@each_label()
def test_the_docstring_of_the_solution_names_its_label(label):
    solution = confront.implementation(equations()[label], "solution")
    assert label in (solution.__doc__ or "")
