"""A teacher that moves along: ties, order, and the power of the comparisons."""

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import online
from fixedpoint.laws.experiment import TIGHT
from fixedpoint.laws.online import process
from fixedpoint.loop import Loop, Temperature, flow


@pytest.mark.long
def test_exact_ties_stay_exact_for_ever():
    leaders = jnp.array(process.LEADERS)
    late = flow(Loop(Temperature(0.5)), leaders, [1e3, 1e6], **TIGHT).value
    np.testing.assert_array_equal(late[:, 0], late[:, 2])
    tail = simplex.tail_probability(late)[1]
    np.testing.assert_allclose(tail, online.collapse_tail(4, 1e6, 2), rtol=1e-3)


def test_the_order_of_the_outcomes_is_kept_and_majorised():
    times = jnp.array([0.5, 1e2])
    for temperature, sign in ((0.5, 1), (2.0, -1)):
        first, last = flow(Loop(Temperature(temperature)), process.MODEL, times, **TIGHT).value
        assert np.array_equal(jnp.argsort(first), jnp.argsort(last))
        more, less = (last, first) if sign > 0 else (first, last)
        assert simplex.majorises(more, less)
        assert not simplex.majorises(less, more)


@pytest.mark.parametrize("modes", [1, 2])
def test_the_late_tolerance_shrinks_with_time(modes):
    early, late = (
        process.late_tolerance(4, modes, t, 0.5) / online.collapse_tail(4, t, modes)
        for t in (1e2, 1e6)
    )
    assert late < early / 10
    assert late < 0.02
