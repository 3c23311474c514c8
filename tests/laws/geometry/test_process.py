"""Mild gradient steps and mild refits follow the gradient that they stand for."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws.geometry import process
from fixedpoint.loop import GradientSteps, Loop, Refit, Temperature, flow


def mild(temperature, step, learner):
    return Loop(Temperature(1 / (1 + step * (1 / temperature - 1))), learner=learner)


@pytest.mark.parametrize("temperature", [0.6, 2.5])
def test_mild_generations_are_steps_down_the_reverse_divergence(temperature):
    model, step = jnp.asarray(process.MODEL), 1e-6
    teacher = simplex.temper(model, temperature)
    downhill = -jax.grad(simplex.kl_divergence)(model, teacher)
    natural = jnp.linalg.lstsq(simplex.fisher_matrix(model), downhill)[0]
    for learner, expected in ((GradientSteps(1.0), downhill), (Refit(), natural)):
        after, _ = mild(temperature, step, learner).generation(model)
        moved = simplex.centre(after) - simplex.centre(model)
        np.testing.assert_allclose(moved / step, simplex.centre(expected), atol=1e-5)


def test_the_gap_of_the_reverse_divergence_obeys_its_equation():
    # K = 2: dz/dτ = (1/T - 1) z/(1 + cosh z).
    loop, step, h = mild(0.5, 1e-7, GradientSteps(1.0)), 1e-7, 1e-3
    times = [(1.0 - h) / step, (1.0 + h) / step]
    first, last = (x[0] - x[1] for x in flow(loop, jnp.array([1.0, 0.0]), times).value)
    z = (first + last) / 2
    np.testing.assert_allclose((last - first) / (2 * h), z / (1 + jnp.cosh(z)), rtol=1e-5)
