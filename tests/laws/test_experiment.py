"""The roads by which a claim's loop is run, against what is known of small chains."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import fixation
from fixedpoint.laws.equation import equations
from fixedpoint.laws.experiment import (
    Combined,
    Course,
    absorbed,
    course,
    extrapolated,
    leading,
)
from fixedpoint.laws.observation import Observation


def one_left(counts):
    return (counts > 0).sum(-1) == 1


def test_a_course_ends_where_elimination_says():
    """Four samples at T = 1 from even odds: 132/29 generations, of which the first is counted."""
    states = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(4)))
    found = course(states, jnp.zeros(2), one_left)
    assert found.time == pytest.approx(132 / 29, rel=1e-14)
    np.testing.assert_allclose(found.last, 0.5, rtol=1e-14)
    assert found.ends.sum() == pytest.approx(1, rel=1e-14)
    # Elimination, from the states of the first generation.
    decided = fp.chain.absorption(states)
    assert found.time == pytest.approx(1 + found.first @ decided.mean, rel=1e-13)


def test_a_course_stops_where_it_is_told():
    """Three equal outcomes and two samples: one is lost at once."""
    states = fp.chain.from_loop(fp.Loop(corpus=fp.Fresh(2)), 3)
    lost = course(states, jnp.zeros(3), lambda counts: (counts == 0).any(-1))
    assert lost.time == 1
    np.testing.assert_allclose(lost.last, 5 / 9, rtol=1e-14)


@pytest.mark.parametrize("numbers", [{"logits": np.log([0.7, 0.3])}, {"logits": np.zeros(3)}])
def test_where_it_starts_is_read_from_the_numbers(numbers):
    observed = absorbed(**numbers, num_samples=3).observed(equations()["fixation.fixation_time"])
    law = fixation.fixation_time(jnp.asarray(numbers["logits"]), 3)
    assert observed.value == pytest.approx(float(law), rel=1e-13)
    assert observed.arguments == {"logits": numbers["logits"], "num_samples": 3}


def test_a_gap_and_a_probability_are_models_of_two_outcomes():
    def time(label, read, **numbers):
        return absorbed(read, **numbers, num_samples=5).observed(equations()[label]).value

    by_gap = time("fixation.fixation_time_expansion", duration, gap=math.log(3))
    by_share = time("verifier.lock_in_weak", duration, probability=0.75, ratio=1.0)
    assert by_gap == pytest.approx(by_share, rel=1e-13)


def duration(found: Course) -> float:
    return found.time


def test_what_grows_otherwise_than_with_n_cancels():
    claim = equations()["fixation.fixation_time_diffusion"]

    class Made:
        """What an experiment gives, without a loop: 3n + 5 log n + 7."""

        def __init__(self, size):
            self.size = size

        def observed(self, claim):
            value = 3 * self.size + 5 * math.log(self.size) + 7
            return Observation("made", {"n": self.size}, value, tolerance=0)

    found = leading(Made, 10, 0.1).observed(claim)
    assert found.value == pytest.approx(30, rel=1e-13)
    assert (found.arguments, found.tolerance) == ({"n": 10}, 0.1)
    twice = Combined([Made(10), Made(20)], (-1, 2), 0.1).observed(claim)
    assert twice.value == pytest.approx(90 + 7 + 5 * math.log(40), rel=1e-13)


def test_extrapolation_finds_the_limit_of_a_series():
    steps = 0.5 ** np.arange(5)
    value, error = extrapolated(list(3 + steps - 2 * steps**2 + steps**3))
    assert abs(value - 3) <= error < 1e-6
