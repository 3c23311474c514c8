"""Learners: how the model moves to its data."""

from typing import Any, cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.loop import Target

THETA = jnp.array([0.9, -0.2, 0.4, -1.1])
TARGET = jnp.array([0.1, 0.2, 0.3, 0.4])
EXACT = Target(jnp.log(TARGET), jnp.inf)
LOST = jnp.array([0.9, -jnp.inf, 0.4, -1.1])
RESTRICTED = jnp.array([0.125, 0.0, 0.375, 0.5])

# Compiled as a whole: operation by operation, each is a compilation of its own.
probabilities = jax.jit(fp.simplex.probabilities)


@eqx.filter_jit
def trained(learner, theta, data, key=None):
    return learner(theta, data, key)


LEARNERS = [
    fp.Refit(),
    fp.GradientFlow(time=1.5),
    fp.GradientSteps(step_size=0.3, num_steps=3),
    fp.MixtureStep(step_size=0.3),
    fp.FinalAnswer(["a", "b", "a", "b"], fp.GradientSteps(step_size=0.3)),
]


def test_refit_becomes_the_target():
    np.testing.assert_allclose(probabilities(trained(fp.Refit(), THETA, EXACT)), TARGET, rtol=1e-15)


def test_pseudo_counts():
    counts = jnp.array([6.0, 3.0, 1.0, 0.0])
    data = Target(jnp.log(counts / 10), 10)
    smoothed = probabilities(trained(fp.Refit(pseudo_counts=0.5), THETA, data))
    np.testing.assert_allclose(smoothed, (counts + 0.5) / 12, rtol=1e-14)
    np.testing.assert_array_equal(
        trained(fp.Refit(), THETA, data) > -np.inf, [True, True, True, False]
    )
    # An exact corpus outweighs any count.
    unchanged = probabilities(trained(fp.Refit(pseudo_counts=5.0), THETA, EXACT))
    np.testing.assert_allclose(unchanged, TARGET, rtol=1e-15)


def test_gradient_flow_with_two_outcomes_keeps_its_linear_coordinate():
    """F(z) = a e^{-bz} - b e^{az} decays at the rate 2ab."""
    a, b, time = 0.7, 0.3, 2.5
    data = Target(jnp.log(jnp.array([a, b])), jnp.inf)
    theta = trained(fp.GradientFlow(time=time), jnp.array([-0.6, 0.5]), data)

    def coordinate(z):
        return a * np.exp(-b * z) - b * np.exp(a * z)

    expected = coordinate(-1.1) * np.exp(-2 * a * b * time)
    assert coordinate(float(theta[0] - theta[1])) == pytest.approx(expected, rel=1e-8)
    assert float(theta.sum()) == pytest.approx(-0.1, rel=1e-12)


@pytest.mark.long
def test_gradient_flow_to_convergence_agrees_with_refit():
    batch = jnp.stack([THETA, LOST])
    targets = Target(jnp.log(jnp.stack([TARGET, TARGET[::-1]])), jnp.inf)
    flowed = probabilities(trained(fp.GradientFlow(time=np.inf), batch, targets))
    np.testing.assert_allclose(flowed[0], TARGET, rtol=2e-9)
    # What is lost cannot be learned: the target restricted to the rest, (0.4, 0.2, 0.1)/0.7.
    np.testing.assert_allclose(flowed[1], np.array([0.4, 0.0, 0.2, 0.1]) / 0.7, rtol=2e-9)


@pytest.mark.long
def test_gradient_steps_are_euler_steps_of_the_flow():
    """Halving the step size halves the distance to the flow."""
    flow = trained(fp.GradientFlow(time=2.0), THETA, EXACT)
    errors = []
    for num_steps in (40, 80, 160):
        learner = fp.GradientSteps(step_size=2.0 / num_steps, num_steps=num_steps)
        errors.append(np.abs(trained(learner, THETA, EXACT) - flow).max())
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, 1, atol=0.03)


def test_one_gradient_step_by_hand():
    eta, decay = 0.2, 0.1
    theta = trained(fp.GradientSteps(step_size=eta, weight_decay=decay), THETA, EXACT)
    p = np.exp(THETA) / np.exp(THETA).sum()
    np.testing.assert_allclose(theta, (1 - eta * decay) * THETA + eta * (TARGET - p), rtol=1e-14)
    # The gradient of the cross-entropy, by automatic differentiation.
    gradient = jax.grad(lambda x: -jnp.sum(TARGET * jax.nn.log_softmax(x)))(THETA)
    theta = trained(fp.GradientSteps(step_size=eta), THETA, EXACT)
    np.testing.assert_allclose(theta, THETA - eta * gradient, rtol=1e-14)


def test_batches_of_the_target(key):
    """One draw a step: θ' - θ + η p = η e_i with probability target_i."""
    eta, num_keys = 0.5, 4000
    learner = fp.GradientSteps(step_size=eta, batch_size=1)
    assert learner.stochastic
    moved = jax.jit(jax.vmap(lambda k: learner(THETA, EXACT, k)))(jax.random.split(key, num_keys))
    p = probabilities(THETA)
    drawn = (moved - (THETA - eta * p)[None]) / eta
    np.testing.assert_allclose(np.sort(drawn, -1), np.tile([0, 0, 0, 1], (num_keys, 1)), atol=1e-14)
    z = (drawn.mean(0) - TARGET) / np.sqrt(TARGET * (1 - TARGET) / num_keys)
    assert np.abs(z).max() < 4.5


def test_mixture_step():
    p, eta = probabilities(THETA), 0.3
    moved = trained(fp.MixtureStep(step_size=eta), THETA, EXACT)
    np.testing.assert_allclose(jnp.exp(moved), (1 - eta) * p + eta * TARGET, rtol=1e-14)
    lost = trained(fp.MixtureStep(step_size=1.0), THETA, Target(jnp.log(RESTRICTED), jnp.inf))
    np.testing.assert_allclose(jnp.exp(lost), RESTRICTED, rtol=1e-14, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: type(learner).__name__)
def test_lost_outcomes_and_gradients(learner):
    """A lost outcome stays lost unless probabilities are written; gradients stay finite."""
    restricted = Target(jnp.log(RESTRICTED), jnp.inf)
    learn = jax.jit(lambda theta, drawn: learner(theta, Target(drawn, jnp.inf), None))
    assert learn(LOST, restricted.logits)[1] == -np.inf
    brought_back = learn(LOST, EXACT.logits)[1] > -np.inf
    assert brought_back == isinstance(learner, fp.Refit | fp.MixtureStep)

    gradient = jax.jit(jax.grad(lambda *a: fp.simplex.entropy(learn(*a)), (0, 1)))
    for theta, data in [(LOST, restricted), (THETA, restricted), (LOST, EXACT)]:
        assert all(np.isfinite(g).all() for g in gradient(theta, data.logits))


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda learner: type(learner).__name__)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_batches_and_dtypes(learner, dtype):
    loop = fp.Loop(sampler=fp.Temperature(0.7), learner=learner)
    batch = jnp.stack([THETA, LOST, THETA[::-1]]).astype(dtype)[:, None]
    together = fp.run(loop, batch, 2)
    assert together.value.dtype == dtype
    assert together.value.shape == (3, 3, 1, 4)
    if dtype == jnp.float64:
        alone = fp.run(loop, batch[1, 0], 2)
        np.testing.assert_allclose(together.value[:, 1, 0], alone.value, rtol=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda start: fp.GradientSteps(step_size=0.4, num_steps=2, start=start),
        lambda start: fp.MixtureStep(step_size=0.4, start=start),
    ],
)
def test_lineage_and_fine_tuning(make):
    """ "initial": every generation trains the initial model; "last": the one before."""
    sampler = fp.Temperature(0.6)
    for start in ("initial", "last"):
        learner = make(start)
        runs = fp.run(fp.Loop(sampler=sampler, learner=learner), THETA, 3)
        model = THETA
        for n in range(1, 4):
            data = Target(sampler(model), jnp.inf)
            model = trained(learner, THETA if start == "initial" else model, data)
            np.testing.assert_allclose(runs.value[n], model, rtol=1e-13)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fp.Refit(pseudo_counts=-1.0), r"`pseudo_counts` must be >= 0 and finite"),
        (lambda: fp.GradientSteps(step_size=0.0), r"`step_size` must be positive and finite; got"),
        (lambda: fp.GradientSteps(0.1, num_steps=0), r"`num_steps` must be an integer >= 1; got 0"),
        (lambda: fp.GradientSteps(0.1, batch_size=0), r"`batch_size` must be an integer >= 1"),
        (lambda: fp.GradientSteps(0.1, weight_decay=-1), r"`weight_decay` must be >= 0"),
        (lambda: fp.MixtureStep(1.5), r"`step_size` must be between 0 and 1; got 1\.5"),
        (
            lambda: fp.MixtureStep(0.5, start=cast(Any, "first")),
            r'`start` must be "last"',
        ),
        (lambda: fp.GradientFlow(-1.0), r"`time` must be >= 0; got -1\.0"),
        (lambda: fp.GradientFlow(1.0, rtol=0.0), r"`rtol` must be positive and finite; got 0\.0"),
        (lambda: fp.GradientFlow(1.0, max_steps=0), r"`max_steps` must be an integer >= 1"),
        (
            lambda: fp.FinalAnswer([]),
            r"`answers` must be a list of labels of one kind, one an outcome; got",
        ),
        (
            lambda: fp.FinalAnswer([[0, 1]]),
            r"`answers` must be a list of labels of one kind, one an outcome",
        ),
        (
            lambda: fp.FinalAnswer([0, 1], cast(Any, fp.Exact())),
            r"`learner` must be any other learner; got Exact",
        ),
        (
            lambda: fp.FinalAnswer([0, 1])(THETA, EXACT, None),
            r"`answers` must be one label for each of the 4 outcomes; got 2",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


ANSWERS = np.array(["x", "x", "y", "x"])


def of_answers(logits):
    """P(x) and P(y), straightforwardly."""
    p = fp.simplex.probabilities(logits)
    return jnp.stack([p[ANSWERS == "x"].sum(), p[ANSWERS == "y"].sum()])


def test_a_step_on_the_final_answers_follows_the_gradient_of_their_likelihood():
    def loss(theta):
        q = jnp.array([TARGET[ANSWERS == "x"].sum(), TARGET[ANSWERS == "y"].sum()])
        return -(q * jnp.log(of_answers(theta))).sum()

    learner = fp.FinalAnswer(ANSWERS, fp.GradientSteps(step_size=0.3))
    moved = trained(learner, THETA, EXACT)
    np.testing.assert_allclose(moved, THETA - 0.3 * jax.grad(loss)(THETA), rtol=1e-14)


@pytest.mark.parametrize("learner", [fp.Refit(), fp.GradientFlow(np.inf)])
def test_full_training_on_the_final_answers_keeps_the_proportions_of_the_reasonings(learner):
    fitted = probabilities(trained(fp.FinalAnswer(ANSWERS, learner), THETA, EXACT))
    assert fitted[2] == pytest.approx(float(TARGET[2]), rel=1e-8)
    p = probabilities(THETA)
    others = np.array([0, 1, 3])
    np.testing.assert_allclose(fitted[others] / fitted[0], p[others] / p[0], rtol=1e-7)


def test_on_its_own_final_answers_no_learner_moves():
    for inner in LEARNERS[:-1]:
        learner = fp.FinalAnswer(ANSWERS, inner)
        moved = probabilities(trained(learner, THETA, Target(THETA, jnp.inf)))
        np.testing.assert_allclose(moved, probabilities(THETA), rtol=1e-14)


def test_reasonings_of_a_surviving_answer_are_never_lost(key):
    """Two samples a generation lose answers, and with them all of their reasonings or none."""
    loop = fp.Loop(corpus=fp.Fresh(2), learner=fp.FinalAnswer(ANSWERS))
    runs = fp.run(loop, THETA, 20, key=key, num_replicates=200, save_at=[20])
    p = np.asarray(probabilities(runs.value[0]))
    assert set((p > 0).sum(-1)) == {1, 3}
    together = p[p[:, 0] > 0][:, [0, 1, 3]]
    before = np.asarray(probabilities(THETA))[[0, 1, 3]]
    expected = np.tile(before / before[0], (len(together), 1))
    np.testing.assert_allclose(together / together[:, :1], expected, rtol=1e-12)


def test_data_with_a_lost_answer_are_left_out():
    lost = THETA.at[2].set(-jnp.inf)
    fitted = probabilities(trained(fp.FinalAnswer(ANSWERS), lost, EXACT))
    np.testing.assert_allclose(fitted, probabilities(lost), rtol=1e-14)
    # A reasoning that is lost is not imputed, its answer is.
    partly = THETA.at[0].set(-jnp.inf)
    fitted = probabilities(trained(fp.FinalAnswer(ANSWERS), partly, EXACT))
    assert fitted[0] == 0
    assert fitted[2] == pytest.approx(float(TARGET[2]), rel=1e-14)


def test_float32_does_not_promise_float64():
    learner = fp.GradientFlow(time=1.0, rtol=1e-8)
    data = Target(EXACT.logits.astype(jnp.float32), jnp.inf)
    with pytest.raises(ValueError, match=r"`rtol` must be >= 1e-06 in float32"):
        learner(THETA.astype(jnp.float32), data, None)


def test_a_gradient_step_near_temperature_1_in_float32():
    """p_T - p is 1e-9 of probabilities of 1/2, whose own rounding error is 6e-8."""
    logits = np.array([1e-6, 0.0], np.float32)
    T = np.float32(0.999)
    data = fp.loop.Target(fp.simplex.temper(logits, T), jnp.inf)
    moved = fp.GradientSteps(step_size=100.0)(jnp.asarray(logits), data, None)
    gap, T = float(logits[0]), float(T)
    expected = gap + 100 * (np.tanh(gap / (2 * T)) - np.tanh(gap / 2))
    assert moved.dtype == jnp.float32
    np.testing.assert_allclose(float(moved[0]) - float(moved[1]), expected, rtol=3e-6)
    assert abs(expected / gap - 1.05) < 1e-3
