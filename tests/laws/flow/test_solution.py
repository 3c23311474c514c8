"""The closed forms of a frozen teacher: the flow's own equation, limits, symmetries, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import flow

pytestmark = pytest.mark.slow

THETA = jnp.array([1.3, -0.4, 0.2, -2.1])
LARGE = 3.0 * jnp.sin(7.0 * jnp.arange(50_000.0))


def speed(trajectory, time):
    """The value and the time derivative of a law."""
    both = jax.jit(lambda t: jax.jvp(trajectory, (t,), (jnp.ones(()),)))
    return both(jnp.asarray(time))


@pytest.mark.parametrize("theta", [THETA, LARGE, jnp.array([1.0, -jnp.inf, 0.3])])
@pytest.mark.parametrize("time", [0.0, 2.0, 1e4])
def test_uniform_target_solves_the_flow(theta, time):
    value, moved = speed(lambda t: flow.frozen_uniform_target(theta, t), time)
    alive = theta > -jnp.inf
    wanted = jnp.where(alive, 1 / jnp.sum(alive), 0) - simplex.probabilities(value)
    np.testing.assert_allclose(moved[alive], wanted[alive], rtol=1e-9, atol=1e-13)
    assert np.all(value[~alive] == -np.inf)


@pytest.mark.parametrize("theta", [THETA, LARGE[:300], jnp.array([1.0, -jnp.inf, 0.3])])
@pytest.mark.parametrize("time", [0.0, 2.0, 1e6])
def test_one_hot_target_solves_the_flow(theta, time):
    value, moved = speed(lambda t: flow.frozen_one_hot_target(theta, t, 2), time)
    alive = theta > -jnp.inf
    wanted = jnp.where(jnp.arange(theta.size) == 2, 1.0, 0.0) - simplex.probabilities(value)
    np.testing.assert_allclose(moved[alive], wanted[alive], rtol=1e-6, atol=1e-12)


def test_two_outcomes_at_their_target_have_a_derivative():
    slope = jax.grad(flow.frozen_two_outcomes)(0.7, 0.7, 3.0)
    a = jax.nn.sigmoid(0.7)
    np.testing.assert_allclose(slope, jnp.exp(-2 * a * (1 - a) * 3.0), rtol=1e-12)


@pytest.mark.parametrize(
    "move", [flow.frozen_uniform_target, lambda theta, t: flow.frozen_one_hot_target(theta, t, 2)]
)
def test_two_stretches_of_time_are_one(move):
    np.testing.assert_allclose(
        simplex.centre(move(move(THETA, 0.7), 1.1)), simplex.centre(move(THETA, 1.8)), rtol=1e-11
    )


def test_relabelling_and_shifting_change_nothing():
    order = jnp.array([2, 0, 3, 1])
    for law in (
        lambda x: flow.frozen_uniform_target(x, 3.0),
        lambda x: flow.off_ray(x, 0.5, 3.0),
    ):
        np.testing.assert_allclose(law(THETA[order] + 5.0), law(THETA)[order], rtol=1e-11)
    rates = flow.relaxation_rate(THETA[order] + 5.0), flow.relaxation_rate(THETA)
    np.testing.assert_allclose(*rates, rtol=1e-13)


def test_batches_broadcast():
    models = jnp.stack([THETA, -THETA, THETA**2])
    times = jnp.array([[0.5], [2.0]])
    batch = jax.jit(flow.frozen_uniform_target)(models, times)
    assert batch.shape == (2, 3, 4)
    np.testing.assert_allclose(batch[1, 2], flow.frozen_uniform_target(models[2], 2.0), rtol=1e-12)
    targets = jnp.array([0, 1, 3])
    assert jax.jit(flow.frozen_one_hot_target)(models, times, targets).shape == (2, 3, 4)
    rows = jax.vmap(lambda x: flow.relaxation_rate(x))(models)
    np.testing.assert_allclose(rows, flow.relaxation_rate(models), rtol=1e-14)


@pytest.mark.parametrize(
    "target",
    [THETA, jnp.array([0.0, -1.0]), jnp.array([-3.0, -2.5, -2.5, -2.5, 1.0]), jnp.zeros(5)],
)
def test_the_relaxation_rate_is_the_second_eigenvalue(target):
    eigenvalues = jnp.linalg.eigvalsh(simplex.fisher_matrix(target))
    p = jnp.sort(simplex.probabilities(target))
    rate = flow.relaxation_rate(target)
    np.testing.assert_allclose(rate, eigenvalues[1], rtol=1e-12)
    assert p[0] <= rate * (1 + 1e-14)
    assert rate <= p[1] * (1 + 1e-14)


def test_one_outcome_stays():
    one = jnp.array([3.0])
    assert flow.frozen_uniform_target(one, 5.0) == 0
    assert flow.frozen_one_hot_target(one, 5.0, 0) == 0
    assert flow.off_ray(one, 0.5, 5.0) == 0


def test_late_times_reach_the_limit():
    np.testing.assert_allclose(flow.frozen_two_outcomes(-3.0, 1.5, 1e6), 1.5, rtol=1e-14)
    np.testing.assert_allclose(flow.frozen_uniform_target(THETA, 1e6), 0, atol=1e-300)
    z = flow.frozen_one_hot_target(jnp.zeros(2), 1e12, 0)
    np.testing.assert_allclose(z[0] - z[1], np.log(2e12), rtol=1e-10)


def test_the_laws_agree_at_temperature_infinity_and_zero():
    uniform = flow.frozen_uniform_target(jnp.array([0.9, 0.0]), 2.0)
    gap = flow.frozen_two_outcomes(0.9, 0.0, 2.0)
    np.testing.assert_allclose(uniform[0] - uniform[1], gap, rtol=1e-13)
    nearly = flow.frozen_two_outcomes(0.9, 300.0, 2.0)
    one_hot = flow.frozen_one_hot_target(jnp.array([0.9, 0.0]), 2.0, 0)
    np.testing.assert_allclose(one_hot[0] - one_hot[1], nearly, rtol=1e-12)


def test_two_values_are_never_left():
    two = jnp.array([1.5, 0.0, 1.5, 1.5])
    assert jnp.max(jnp.abs(flow.off_ray(two, 0.5, 3.0))) < 1e-15
    assert jnp.max(jnp.abs(flow.off_ray(THETA, 0.5, 3.0))) > 1e-2
