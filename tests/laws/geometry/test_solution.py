"""The closed forms of other geometries: the flows' own equations, limits, the common potential."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import potential, simplex
from fixedpoint.laws import flow, geometry

pytestmark = pytest.mark.slow

THETA = jnp.array([1.3, -0.4, 0.2, -2.1])
LARGE = 3.0 * jnp.sin(7.0 * jnp.arange(50_000.0))
LOST = jnp.array([1.0, -jnp.inf, 0.3, 1.0])


@pytest.mark.parametrize(
    ("theta", "temperature"),
    [(THETA, t) for t in (0.3, 0.999, 1.0, 2.5, jnp.inf)]
    + [(LARGE, 0.8), (LOST, 0.6), (LOST, 1.6)],
)
def test_mixture_online_solves_the_flow(theta, temperature):
    law = jax.jit(lambda t: geometry.mixture_online(theta, temperature, t))
    value, moved = jax.jvp(law, (jnp.asarray(1.5),), (jnp.ones(()),))
    alive = theta > -jnp.inf
    teacher = simplex.log_probabilities(simplex.temper(value, temperature))
    wanted = jnp.expm1(jnp.where(alive, teacher, 0) - jnp.where(alive, value, 0))
    np.testing.assert_allclose(moved[alive], wanted[alive], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(jax.nn.logsumexp(value), 0, atol=1e-12)


@pytest.mark.parametrize("law", [geometry.mixture_online, geometry.natural])
def test_two_stretches_of_time_are_one(law):
    both = law(law(THETA, 0.6, 0.7), 0.6, 1.1)
    once = simplex.centre(law(THETA, 0.6, 1.8))
    np.testing.assert_allclose(simplex.centre(both), once, rtol=1e-11)


@pytest.mark.parametrize(
    "law", [geometry.mixture_frozen, geometry.mixture_online, geometry.natural]
)
def test_relabelling_and_shifting_change_nothing(law):
    order = jnp.array([2, 0, 3, 1])
    moved = law(THETA[order] + 5.0, 0.5, 1.0)
    np.testing.assert_allclose(moved, law(THETA, 0.5, 1.0)[order], rtol=1e-11)


def test_batches_broadcast():
    models, times = jnp.stack([THETA, -THETA, THETA**2]), jnp.array([[0.5], [2.0]])
    batch = jax.jit(geometry.mixture_online)(models, jnp.array([0.5, 1.0, 2.0]), times)
    assert batch.shape == (2, 3, 4)


def test_one_outcome_stays_and_late_times_reach_the_limit():
    assert geometry.mixture_online(jnp.array([3.0]), 0.5, 5.0) == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(geometry.mixture_online(THETA, 3.0, 1e3), -np.log(4), rtol=1e-13)
    assert geometry.mixture_online(THETA, 0.1, 500.0)[0] == 0


def test_the_tail_of_the_mixture_flow():
    p = simplex.probabilities(THETA)  # T = 1/2: e^τ (1 - p_mode) → Σ p p_mode/(p_mode - p)
    tail = simplex.tail_probability(geometry.mixture_online(THETA, 0.5, 30.0)) * jnp.exp(30.0)
    np.testing.assert_allclose(tail, jnp.sum(p[1:] * p[0] / (p[0] - p[1:])), rtol=1e-9)


def test_refit_and_frozen_teacher_climb_the_potential(key):
    theta = 2 * jax.random.normal(key, (300, 5))

    @jax.jit
    def heights(temperature):
        mixed = geometry.mixture_frozen(theta, temperature, 0.7)
        roads = theta, theta / temperature, mixed
        return [potential.potential(x, temperature) for x in roads]

    for temperature in (0.4, 1.6):
        start, refit, mixture = heights(temperature)
        assert np.all(refit >= start - 1e-12)
        assert np.all(mixture >= start - 1e-12)
    flatter = jax.jit(lambda x: simplex.entropy(flow.frozen_uniform_target(x, 2.0)))
    assert np.all(flatter(theta) >= simplex.entropy(theta))
