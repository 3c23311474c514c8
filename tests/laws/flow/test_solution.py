"""The closed forms of gradient flow: the flows' own equations, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import potential, simplex
from fixedpoint.laws import flow, online

pytestmark = pytest.mark.slow

THETA = jnp.array([1.3, -0.4, 0.2, -2.1])
LARGE = 3.0 * jnp.sin(7.0 * jnp.arange(50_000.0))


# --- each law solves its own equation of motion ---------------------------------------------------


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


@pytest.mark.parametrize(
    ("theta", "temperature"),
    [(THETA, t) for t in (0.3, 0.999, 1.0, 2.5, jnp.inf)]
    + [(LARGE, 0.8), (jnp.array([1.0, -jnp.inf, 0.3, 1.0]), 0.6)]
    + [(jnp.array([1.0, -jnp.inf, 0.3, 1.0]), 1.6)],
)
def test_mixture_online_solves_the_flow(theta, temperature):
    value, moved = speed(lambda t: online.mixture_online(theta, temperature, t), 1.5)
    alive = theta > -jnp.inf
    teacher = simplex.log_probabilities(simplex.temper(value, temperature))
    wanted = jnp.expm1(jnp.where(alive, teacher, 0) - jnp.where(alive, value, 0))
    np.testing.assert_allclose(moved[alive], wanted[alive], rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(jax.nn.logsumexp(value), 0, atol=1e-12)


@pytest.mark.parametrize("temperature", [1 / 3, 1 / 2, 2.0, 3.0])
def test_two_outcomes_solve_the_online_flow(temperature):
    for start in (0.0, 1e-6, -1.7, 25.0):
        z, moved = speed(lambda t, z0=start: online.online_two_outcomes(z0, temperature, t), 1.3)
        wanted = 2 * (jax.nn.sigmoid(z / temperature) - jax.nn.sigmoid(z))
        np.testing.assert_allclose(moved, wanted, rtol=1e-9, atol=1e-15)


def test_two_outcomes_have_a_derivative_at_zero():
    slope = jax.grad(online.online_two_outcomes)(0.0, 0.5, 3.0)
    np.testing.assert_allclose(slope, np.exp(3.0 / 2), rtol=1e-12)
    slope = jax.grad(flow.frozen_two_outcomes)(0.7, 0.7, 3.0)
    a = jax.nn.sigmoid(0.7)
    np.testing.assert_allclose(slope, jnp.exp(-2 * a * (1 - a) * 3.0), rtol=1e-12)


# --- semigroups, symmetries, batches --------------------------------------------------------------


@pytest.mark.parametrize(
    "move",
    [
        lambda theta, t: flow.frozen_uniform_target(theta, t),
        lambda theta, t: flow.frozen_one_hot_target(theta, t, 2),
        lambda theta, t: online.mixture_online(theta, 0.6, t),
        lambda theta, t: online.natural(theta, 0.6, t),
    ],
)
def test_two_stretches_of_time_are_one(move):
    np.testing.assert_allclose(
        simplex.centre(move(move(THETA, 0.7), 1.1)),
        simplex.centre(move(THETA, 1.8)),
        rtol=1e-11,
    )


@pytest.mark.parametrize("temperature", [1 / 3, 1 / 2])
def test_hot_undoes_cold(temperature):
    cold = online.online_two_outcomes(1.2, temperature, 2.0)
    hot = online.online_two_outcomes(cold / temperature, 1 / temperature, 2.0 / temperature)
    np.testing.assert_allclose(temperature * hot, 1.2, rtol=1e-13)


def test_lambert_chebyshev_and_block_agree():
    z = online.online_two_outcomes(0.9, 0.5, 4.0)
    np.testing.assert_allclose(online.online_chebyshev(z, 0.9, 3), 4.0, rtol=1e-13)
    np.testing.assert_allclose(online.online_block(z, 0.9, 2), 4.0, rtol=1e-13)


def test_relabelling_and_shifting_change_nothing():
    order = jnp.array([2, 0, 3, 1])
    for law in (
        lambda x: flow.frozen_uniform_target(x, 3.0),
        lambda x: flow.off_ray(x, 0.5, 3.0),
        lambda x: flow.mixture_frozen(x, 0.5, 1.0),
        lambda x: online.mixture_online(x, 0.5, 1.0),
        lambda x: online.natural(x, 0.5, 1.0),
    ):
        np.testing.assert_allclose(law(THETA[order] + 5.0), law(THETA)[order], rtol=1e-11)
    for number in (flow.relaxation_rate, lambda x: online.majorisation(x, 0.5, 2)):
        np.testing.assert_allclose(number(THETA[order] + 5.0), number(THETA), rtol=1e-13)


def test_batches_broadcast():
    models = jnp.stack([THETA, -THETA, THETA**2])
    times = jnp.array([[0.5], [2.0]])
    for law in (
        flow.frozen_uniform_target,
        lambda x, t: flow.frozen_one_hot_target(x, t, jnp.array([0, 1, 3])),
        lambda x, t: online.mixture_online(x, jnp.array([0.5, 1.0, 2.0]), t),
    ):
        batch = jax.jit(law)(models, times)
        assert batch.shape == (2, 3, 4)
        if law is flow.frozen_uniform_target:
            np.testing.assert_allclose(batch[1, 2], law(models[2], 2.0), rtol=1e-12)
    rows = jax.vmap(lambda x: flow.relaxation_rate(x))(models)
    np.testing.assert_allclose(rows, flow.relaxation_rate(models), rtol=1e-14)
    bound = online.majorisation(models, jnp.array([[0.5], [0.9]]), 2)
    assert bound.shape == (2, 3)
    assert np.all(bound >= 0)


# --- edges ----------------------------------------------------------------------------------------


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
    assert online.mixture_online(one, 0.5, 5.0) == pytest.approx(0, abs=1e-15)
    assert flow.off_ray(one, 0.5, 5.0) == 0


def test_late_times_reach_the_limit():
    np.testing.assert_allclose(flow.frozen_two_outcomes(-3.0, 1.5, 1e6), 1.5, rtol=1e-14)
    np.testing.assert_allclose(flow.frozen_uniform_target(THETA, 1e6), 0, atol=1e-300)
    np.testing.assert_allclose(online.mixture_online(THETA, 3.0, 1e3), -np.log(4), rtol=1e-13)
    assert online.mixture_online(THETA, 0.1, 500.0)[0] == 0
    assert online.online_two_outcomes(2.0, 2.0, 1e6) == 0
    z = flow.frozen_one_hot_target(jnp.zeros(2), 1e12, 0)
    np.testing.assert_allclose(z[0] - z[1], np.log(2e12), rtol=1e-10)


def test_the_laws_agree_at_temperature_infinity_and_zero():
    uniform = flow.frozen_uniform_target(jnp.array([0.9, 0.0]), 2.0)
    gap = flow.frozen_two_outcomes(0.9, 0.0, 2.0)
    np.testing.assert_allclose(uniform[0] - uniform[1], gap, rtol=1e-13)
    nearly = flow.frozen_two_outcomes(0.9, 300.0, 2.0)
    one_hot = flow.frozen_one_hot_target(jnp.array([0.9, 0.0]), 2.0, 0)
    np.testing.assert_allclose(one_hot[0] - one_hot[1], nearly, rtol=1e-12)


@pytest.mark.parametrize(("gap", "expected"), [(0.5, 16311), (1.0, 4540), (2.0, 504)])
def test_the_blow_up_of_fifty_thousand_outcomes(gap, expected):
    leading = online.blow_up(gap, 50_000)
    assert round(float(leading)) == expected
    exact = online.online_block(jnp.log(49_999.0), gap, 50_000)
    assert 0 < exact - leading < 2 * np.log(50_000)


def test_the_tail_of_the_mixture_flow():
    p = simplex.probabilities(THETA)  # T = 1/2: e^t (1 - p_mode) → Σ p p_mode/(p_mode - p)
    tail = simplex.tail_probability(online.mixture_online(THETA, 0.5, 30.0)) * jnp.exp(30.0)
    np.testing.assert_allclose(tail, jnp.sum(p[1:] * p[0] / (p[0] - p[1:])), rtol=1e-9)


def test_two_values_are_never_left():
    two = jnp.array([1.5, 0.0, 1.5, 1.5])
    assert jnp.max(jnp.abs(flow.off_ray(two, 0.5, 3.0))) < 1e-15
    assert jnp.max(jnp.abs(flow.off_ray(THETA, 0.5, 3.0))) > 1e-2


@pytest.mark.parametrize("top", [1, 3, 5])
def test_the_majorisation_bound_is_one_and_has_the_sign_of_cooling(top, key):
    theta = 2 * jax.random.normal(key, (200, 6))

    @jax.jit
    def compare(temperature):
        p = simplex.probabilities(theta)
        moved = simplex.probabilities(theta / temperature) - p
        speed = p * (moved - jnp.sum(p * moved, -1, keepdims=True))
        order = jnp.argsort(-p, -1)[:, :top]
        gain = jnp.take_along_axis(speed, order, -1).sum(-1)
        return gain, online.majorisation(theta, temperature, top)

    for temperature in (0.3, 0.9, 1.1, 4.0):
        gain, bound = compare(temperature)
        sign = np.sign(1 - temperature)
        assert np.all(sign * (gain - bound) >= -1e-15)
        assert np.all(sign * bound >= 0)


def test_refit_and_frozen_teacher_climb_the_potential(key):
    theta = 2 * jax.random.normal(key, (300, 5))

    @jax.jit
    def heights(temperature):
        mixed = flow.mixture_frozen(theta, temperature, 0.7)
        roads = theta, theta / temperature, mixed
        return [potential.potential(x, temperature) for x in roads]

    for temperature in (0.4, 1.6):
        start, refit, mixture = heights(temperature)
        assert np.all(refit >= start - 1e-12)
        assert np.all(mixture >= start - 1e-12)
    flatter = jax.jit(lambda x: simplex.entropy(flow.frozen_uniform_target(x, 2.0)))
    assert np.all(flatter(theta) >= simplex.entropy(theta))
