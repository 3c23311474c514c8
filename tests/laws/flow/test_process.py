"""The loops of gradient flow: ties, order, single precision, and the power of the comparisons."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import flow as law
from fixedpoint.laws.flow import process
from fixedpoint.loop import Loop, Temperature, flow

LEADERS = jnp.array([1.0, 0.2, 1.0, -0.5])


@pytest.mark.long
def test_exact_ties_stay_exact_for_ever():
    late = flow(Loop(Temperature(0.5)), LEADERS, [1e3, 1e6], **process.TIGHT).value
    np.testing.assert_array_equal(late[:, 0], late[:, 2])
    tail = simplex.tail_probability(late)[1]
    np.testing.assert_allclose(tail, law.collapse_tail(4, 1e6, 2), rtol=1e-3)


def test_the_order_of_the_outcomes_is_kept_and_majorised():
    times = jnp.array([0.5, 1e2])
    for temperature, sign in ((0.5, 1), (2.0, -1)):
        first, last = flow(
            Loop(Temperature(temperature)), process.MODEL, times, **process.TIGHT
        ).value
        assert np.array_equal(jnp.argsort(first), jnp.argsort(last))
        more, less = (last, first) if sign > 0 else (first, last)
        assert simplex.majorises(more, less)
        assert not simplex.majorises(less, more)


@pytest.mark.long
def test_single_precision_follows_the_law_honestly():
    model = jnp.asarray(process.MODEL, jnp.float32)
    found = flow(Loop(Temperature(np.inf)), model, [0.5, 4.0]).value
    assert found.dtype == jnp.float32
    times = jnp.array([0.5, 4.0], jnp.float32)
    np.testing.assert_allclose(
        simplex.centre(found), law.frozen_uniform_target(model, times), atol=3e-5
    )


@pytest.mark.long
def test_the_reverse_divergence_vanishes_at_temperature_one():
    there = process._reverse_kl_flow(process.MODEL, 1.0, 5.0)
    np.testing.assert_allclose(there, process.MODEL, atol=1e-12)


@pytest.mark.long
def test_the_gap_of_the_reverse_divergence_obeys_its_equation():
    # K = 2: log z + Chi(z) = (1/T - 1) t + const, that is, dz/dt = (1/T - 1) z/(1 + cosh z).
    at = jnp.array([1.0, 0.0])
    ends = [gap_of(process._reverse_kl_flow(at, 0.5, t)) for t in (1.0 - 1e-3, 1.0 + 1e-3)]
    z = (ends[0] + ends[1]) / 2
    np.testing.assert_allclose((ends[1] - ends[0]) / 2e-3, z / (1 + jnp.cosh(z)), rtol=1e-6)


def gap_of(logits: jax.Array) -> jax.Array:
    return process.gap(logits)


@pytest.mark.parametrize("modes", [1, 2])
def test_the_late_tolerance_shrinks_with_time(modes):
    early, late = (
        process._late_tolerance(law.collapse_tail(4, t, modes), 4, modes, t)
        / law.collapse_tail(4, t, modes)
        for t in (1e2, 1e6)
    )
    assert late < early / 10
    assert late < 0.02
