"""Carried weights: the polynomial of their decay, and what is observed of them."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.kernels.traces import decay_polynomial


@pytest.mark.parametrize("reach", [1 / 32, 1 / 8, 1 / 2, 1.0])
def test_the_decay_is_the_exponential(reach):
    y = jnp.linspace(-reach, 0, 10_001)
    found = np.asarray(decay_polynomial(reach)(y))
    np.testing.assert_allclose(found, np.exp(y), rtol=1e-15, atol=0)
    assert found[-1] == 1


def test_what_is_observed_keeps_its_accuracy_near_a_vertex(key):
    """A sum of small numbers that a compiler free to reassociate takes from a large one."""
    start = jnp.array([1.0, 0.2, -1.2])
    loop = fp.Loop(fp.Temperature(0.5), fp.Fresh(1), fp.GradientSteps(step_size=0.5))
    given = {"key": key, "num_replicates": 1024, "save_at": [2000]}
    tails = fp.run_traces(loop, start, 2000, observe=fp.simplex.tail_probability, **given).value
    logits = fp.run_traces(loop, start, 2000, **given).value
    np.testing.assert_allclose(tails, fp.simplex.tail_probability(logits), rtol=1e-9)
