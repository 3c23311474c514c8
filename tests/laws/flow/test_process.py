"""Frozen teachers: what is integrated by a rule, single precision, and where lineages rest."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import flow as law
from fixedpoint.laws.flow import process
from fixedpoint.loop import Loop, Temperature, flow


@pytest.mark.parametrize("others", [1, 20])
def test_training_on_one_outcome_among_equals_is_exact_over_any_time(others):
    """The integral of (1 + x)^n has a formula; in log x it is ever steeper at late times."""
    gap = np.array([0.5, 20.0, 100.0, 600.0])
    time = np.expm1(gap) / (others + 1) + others * gap / (others + 1)
    found = law.frozen_one_hot_target(jnp.zeros(others + 1), time, 0)
    np.testing.assert_allclose(found[:, 0] - found[:, 1], gap, rtol=1e-12)


@pytest.mark.long
def test_single_precision_follows_the_law_honestly():
    model = jnp.asarray(process.MODEL, jnp.float32)
    found = flow(Loop(Temperature(np.inf)), model, [0.5, 4.0]).value
    assert found.dtype == jnp.float32
    times = jnp.array([0.5, 4.0], jnp.float32)
    np.testing.assert_allclose(
        simplex.centre(found), law.frozen_uniform_target(model, times), atol=3e-5
    )


@pytest.mark.parametrize("modes", [1, 2])
def test_the_late_tolerance_shrinks_with_time(modes):
    early, late = (
        process.late_tolerance(4, modes, t) / law.finite_training(4, 1.0, t, modes)
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
