"""What the law of weight decay says about its own loop, and where it stops."""

import jax.numpy as jnp
import pytest

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import weight_decay
from fixedpoint.laws.experiment import replicated

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("step_size", "holds"), [(1.9, True), (4.0, False)])
def test_the_floor_of_weight_decay_needs_small_steps(step_size, holds):
    # The condition is η(λ + 1/2) ≤ 1. At η = 4 gaps reach 5.14, past the 3.91 of the floor.
    loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size, weight_decay=0.01))
    least = replicated(
        loop,
        [0.0, 0.0],
        range(3001),
        256,
        lambda logits: jnp.min(simplex.probabilities(logits), -1),
    )
    assert bool(least.min() >= weight_decay.decay_floor(0.01)) is holds
