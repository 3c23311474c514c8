"""The loops of gradient flow: ties, order, single precision, and the power of the comparisons."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import flow as law
from fixedpoint.laws import online
from fixedpoint.laws.flow import process
from fixedpoint.laws.online import process as online_process
from fixedpoint.loop import Loop, Temperature, flow

LEADERS = jnp.array([1.0, 0.2, 1.0, -0.5])


@pytest.mark.long
def test_exact_ties_stay_exact_for_ever():
    late = flow(Loop(Temperature(0.5)), LEADERS, [1e3, 1e6], **process.TIGHT).value
    np.testing.assert_array_equal(late[:, 0], late[:, 2])
    tail = simplex.tail_probability(late)[1]
    np.testing.assert_allclose(tail, online.collapse_tail(4, 1e6, 2), rtol=1e-3)


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
    there = online_process._reverse_kl_flow(process.MODEL, 1.0, 5.0)
    np.testing.assert_allclose(there, process.MODEL, atol=1e-12)


@pytest.mark.long
def test_the_gap_of_the_reverse_divergence_obeys_its_equation():
    # K = 2: log z + Chi(z) = (1/T - 1) t + const, that is, dz/dt = (1/T - 1) z/(1 + cosh z).
    at = jnp.array([1.0, 0.0])
    ends = [gap_of(online_process._reverse_kl_flow(at, 0.5, t)) for t in (1.0 - 1e-3, 1.0 + 1e-3)]
    z = (ends[0] + ends[1]) / 2
    np.testing.assert_allclose((ends[1] - ends[0]) / 2e-3, z / (1 + jnp.cosh(z)), rtol=1e-6)


def gap_of(logits: jax.Array) -> jax.Array:
    return process.gap(logits)


@pytest.mark.parametrize("modes", [1, 2])
def test_the_late_tolerance_shrinks_with_time(modes):
    early, late = (
        process._late_tolerance(online.collapse_tail(4, t, modes), 4, modes, t)
        / online.collapse_tail(4, t, modes)
        for t in (1e2, 1e6)
    )
    assert late < early / 10
    assert late < 0.02


def test_lineages_come_to_rest_where_the_law_says_and_nowhere_else():
    """Gap by gap: a lineage is run for the time that it would rest there after (by quadrature)."""
    starts, temperatures = np.array([1.0, 2.6, 3.6, 6.0, 0.4, 2.0]), [1.1, 1.1, 1.2, 1.2, 0.5, 0.9]
    start, temperature = (np.repeat(values, 8)[:, None] for values in (starts, temperatures))
    share = np.tile([0.05, 0.13, 0.3, 0.42, 0.55, 0.67, 0.8, 0.97], 6)[:, None]
    gap = np.where(temperature > 1, start * share, start * (3 - 2 * share))
    target = gap / temperature
    # ∫ dx/(2(σ(x) - σ(target))) from the gap to the start, in log |x - target|.
    nodes, weights = np.polynomial.legendre.leggauss(400)
    low, high = np.log(np.abs(gap - target)), np.log(np.abs(start - target))
    apart = np.sign(gap - target) * np.exp(low + (high - low) * (1 + nodes) / 2)
    speed = 2 * (_sigmoid(target + apart) - _sigmoid(target))
    time = ((apart / speed) @ weights)[:, None] * (high - low) / 2

    def generation(last, _):
        return law.frozen_two_outcomes(start, last / temperature, time), None

    late = jax.jit(lambda: jax.lax.scan(generation, jnp.asarray(start), length=600)[0])()
    rests = np.abs(late / gap - 1) < 1e-3
    found = law.lineage(gap, start, temperature)
    np.testing.assert_array_equal(np.isfinite(found), rests)
    assert 6 < np.sum(~rests) < 24
    np.testing.assert_allclose(found[rests], time[rests], rtol=1e-9)
    np.testing.assert_array_equal(law.lineage(-gap, -start, temperature), found)


def test_where_no_lineage_rests_there_is_no_time():
    # The last two are where the two lineages before them rest instead, with the times that these
    # two gaps seem to have.
    cases = np.array(
        [
            *((2.0, 0.0, 0.5, np.nan), (2.0, 3.0, 0.5, np.nan), (0.0, 1.0, 2.0, np.nan)),
            *((0.0, 0.0, 2.0, np.nan), (1.0, 1.0, 1.0, np.nan), (1.0, 2.0, 1.0, np.nan)),
            *((1.0, 1.0, 2.0, 0.0), (-1.0, -1.0, 0.5, 0.0), (2.0, -3.0, 1.2, np.nan)),
            *((2.0, 6.0, 1.2, np.nan), (5.8266339, 6.0, 1.2, 17.26)),
            *((2.0, -0.3, 0.5, np.nan), (-2.1445381, -0.3, 0.5, 4.9007294)),
        ]
    )
    gap, start, temperature, expected = np.resize(cases, (48, 4)).T[:, :, None]
    np.testing.assert_allclose(law.lineage(gap, start, temperature), expected, rtol=1e-6)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))
