"""When a long run of single traces counts that another outcome has taken the lead."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.loop import vertex
from fixedpoint.loop.enumeration import enumerate_histories
from fixedpoint.loop.vertex import run_events


@pytest.mark.parametrize(("probability", "counted"), [(0.85, 0), (0.95, 1)])
def test_a_switch_is_complete_above_one_minus_the_level(probability, counted):
    logits = jnp.log(jnp.array([[1 - probability], [probability]]))
    zero = jnp.zeros((1, 1), int)
    lanes = vertex._Lanes(logits, jnp.zeros((1, 1)), (zero, zero), zero, zero)
    found = vertex._count_switch(lanes, jnp.asarray(0.1))
    assert (found.num_switches.item(), found.holder.item()) == (counted, counted)


def test_as_many_switches_as_in_all_histories(key):
    """Two outcomes, each history followed: where each of the two last had more than 1 − level."""
    loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(1.5))
    start, generations, replicates = jnp.array([0.3, -0.3]), 10, 20_000
    histories = enumerate_histories(loop, start, generations)
    p = np.asarray(fp.simplex.probabilities(histories.logits))
    means = []
    for level in (0.1, 0.5):
        holder, switches = np.zeros(p.shape[1], int), np.zeros(p.shape[1], int)
        for now in p[1:]:
            leader = now.argmax(-1)
            switched = (now.max(-1) > 1 - level) & (leader != holder)
            holder, switches = np.where(switched, leader, holder), switches + switched
        mean, square = (histories.mean(jnp.asarray(switches**power)) for power in (1, 2))
        error = np.sqrt((square - mean**2) / replicates)
        runs = run_events(
            loop,
            start,
            [np.log(generations)],
            key=key,
            num_replicates=replicates,
            threshold=1e-9,
            level=level,
        )
        assert abs(runs.num_switches[0].mean() - mean) < 5 * error
        means.append(mean)
    assert means[0] < means[1] / 1.5
