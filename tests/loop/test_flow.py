"""The loop in continuous time, against exact solutions."""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint import simplex

GAP = 0.8
TWO = jnp.array([GAP / 2, -GAP / 2])
P0 = jnp.array([0.45, 0.3, 0.2, 0.05])
THETA = jnp.log(P0)
TIMES = jnp.array([0.0, 0.5, 2.0, 7.0])
SIGNS = jnp.array([1.0, -1.0])  # θ @ SIGNS is the gap
COLD = fp.Loop(sampler=fp.Temperature(0.5))
MIXTURE = fp.Loop(sampler=fp.Temperature(2.0), learner=fp.MixtureStep(0.1))


def online_clock(gap):
    """For two outcomes at T = 1/2, log(cosh z - 1) + cosh z grows at the rate 1."""
    c = 2 * np.sinh(np.asarray(gap) / 2) ** 2
    return c + np.log(c)


def mixture_at(time):
    """T = 2: p_i = e^{-t} (sqrt(p_i(0)) + s)^2, s from Σp = 1."""
    root = np.sqrt(np.asarray(P0))
    B, K = root.sum(), root.size
    s = (-B + np.sqrt(B**2 + K * (np.exp(time) - 1))) / K
    return np.exp(-time) * (root + s) ** 2


@pytest.mark.long
def test_online_flow_of_two_outcomes():
    result = fp.flow(COLD, TWO, TIMES)
    gaps = result.value @ SIGNS
    np.testing.assert_allclose(online_clock(gaps), online_clock(GAP) + TIMES, rtol=1e-8)
    np.testing.assert_allclose(result.value.sum(-1), 0, atol=1e-12)
    assert bool(result.successful)
    assert result.event_time is None


def test_online_flow_over_astronomical_times():
    """1 - p_mode → 1/(2t) for two outcomes; the clock holds to t = 10^9."""
    times = jnp.array([1.0, 1e3, 1e6, 1e9])
    gaps = fp.flow(COLD, TWO, times).value @ SIGNS
    np.testing.assert_allclose(online_clock(gaps), online_clock(GAP) + times, rtol=1e-7)


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [pytest.param(np.float64, 3e-10, marks=pytest.mark.slow), (np.float32, 2e-4)],
)
def test_a_small_gap_grows_in_the_right_time(dtype, tolerance):
    """dz/dt = tanh(z/2T) - tanh(z/2), integrated by mpmath; float32 must not lose a gap of 1e-6."""
    for temperature, gap, time in (
        (0.99, 1e-4, 2000.0),
        (0.999, 1e-6, 30_000.0),
        (0.5, 1e-6, 20.0),
    ):
        start = np.array([0, -gap], dtype) + dtype(0)
        T, z = (float(dtype(value)) for value in (temperature, -start[1]))
        states = fp.flow(fp.Loop(fp.Temperature(T)), start, [time]).value[0]
        assert states.dtype == dtype
        reached = float(states[0]) - float(states[1])
        with mpmath.workdps(30):
            # In log z the speed is nearly constant while the gap is small.
            elapsed: Any = mpmath.quad(
                lambda y, T=T: (
                    mpmath.e**y
                    / (mpmath.tanh(mpmath.e**y / (2 * T)) - mpmath.tanh(mpmath.e**y / 2))
                ),
                mpmath.linspace(mpmath.log(z), mpmath.log(reached), 8),
            )
            rate = (mpmath.tanh(reached / (2 * T)) - mpmath.tanh(reached / 2)) / reached
        assert abs(float((time - elapsed) * rate)) < tolerance  # of the gap
        assert reached > 1e4 * gap


def test_frozen_flow_of_two_outcomes():
    """F(z) = a e^{-bz} - b e^{az} decays at the rate 2ab for the fixed teacher (a, b)."""
    gaps = fp.flow(COLD, TWO, TIMES, frozen=True).value @ SIGNS
    a = 1 / (1 + np.exp(-2 * GAP))
    b = 1 - a

    def coordinate(z):
        return a * np.exp(-b * z) - b * np.exp(a * z)

    expected = coordinate(GAP) * np.exp(-2 * a * b * np.asarray(TIMES))
    np.testing.assert_allclose(coordinate(gaps), expected, rtol=1e-7)
    learner = fp.GradientFlow(time=float(TIMES[2]))
    trained = fp.run(fp.Loop(fp.Temperature(0.5), learner=learner), TWO, 1).value[1]
    assert float(trained @ SIGNS) == pytest.approx(float(gaps[2]), rel=1e-9)


@pytest.mark.slow
def test_mixture_flow_in_closed_form():
    result = fp.flow(MIXTURE, THETA, TIMES, observe=simplex.probabilities)
    expected = np.stack([mixture_at(float(t)) for t in TIMES])
    np.testing.assert_allclose(result.value, expected, rtol=1e-8)
    frozen = fp.flow(MIXTURE, THETA, TIMES, observe=simplex.probabilities, frozen=True)
    teacher = np.sqrt(P0) / np.sqrt(P0).sum()
    fade = np.exp(-np.asarray(TIMES))[:, None]
    expected = (1 - fade) * np.asarray(teacher) + fade * np.asarray(P0)
    np.testing.assert_allclose(frozen.value, expected, rtol=1e-8)


@pytest.mark.slow
def test_weight_decay_and_real_data():
    """At temperature 1 the model pulls nowhere: θ decays freely; with all data real, to q."""
    loop = fp.Loop(learner=fp.GradientSteps(0.1, weight_decay=0.3))
    result = fp.flow(loop, THETA, TIMES)
    expected = np.exp(-0.3 * np.asarray(TIMES))[:, None] * np.asarray(THETA)
    np.testing.assert_allclose(result.value, expected, rtol=1e-8)
    real = jnp.array([0.1, 0.2, 0.3, 0.4])
    loop = fp.Loop(corpus=fp.Mixed(real, 1.0))
    end = fp.flow(loop, THETA, [400.0], observe=simplex.probabilities).value[0]
    np.testing.assert_allclose(end, real, rtol=1e-8)


@pytest.mark.parametrize(
    ("solver", "steps", "order", "tolerance"),
    [
        (diffrax.Bosh3(), [0.25, 0.125, 0.0625], 3, 0.06),
        (diffrax.Dopri8(), [1.0, 0.5], 8, 0.3),
    ],
)
def test_order_of_convergence(solver, steps, order, tolerance):
    """The error falls with the solver's power of a constant step."""
    errors = []
    for step in steps:
        gap = fp.flow(COLD, TWO, [4.0], solver=solver, step_size=step).value[0] @ SIGNS
        errors.append(abs(online_clock(gap) - online_clock(GAP) - 4.0))
    orders = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(orders, order, atol=tolerance)


@pytest.mark.long
def test_event_is_located():
    """Two outcomes: the gap passes 2 when the clock says so; it never comes back to 0.1."""
    batch = jnp.stack([TWO, 1.5 * TWO, 0 * TWO])
    result = fp.flow(COLD, batch, [0.0, 9.0], event=(lambda theta: theta @ SIGNS, 2.0))
    assert result.event_time is not None
    expected = online_clock(2.0) - online_clock(np.array([GAP, 1.5 * GAP]))
    np.testing.assert_allclose(result.event_time[:2], expected, rtol=1e-8)
    assert result.event_time[2] == np.inf
    # The values are those of the whole time, whether or not the event happened.
    gaps = result.value[1, :2] @ SIGNS
    np.testing.assert_allclose(online_clock(gaps), online_clock(batch[:2] @ SIGNS) + 9, rtol=1e-8)


@pytest.mark.slow
def test_lost_outcomes_stay_lost():
    """What is left flows as if the lost outcome had never been."""
    value = fp.flow(COLD, jnp.array([GAP / 2, -jnp.inf, -GAP / 2]), TIMES).value
    assert np.all(value[:, 1] == -np.inf)
    gaps = value[:, 0] - value[:, 2]
    np.testing.assert_allclose(online_clock(gaps), online_clock(GAP) + TIMES, rtol=1e-8)
    lost = jnp.append(THETA, -jnp.inf)
    value = fp.flow(MIXTURE, lost, TIMES, observe=simplex.probabilities).value
    assert np.all(value[:, 4] == 0)
    expected = np.stack([mixture_at(float(t)) for t in TIMES])
    np.testing.assert_allclose(value[:, :4], expected, rtol=1e-8)


@pytest.mark.long
def test_batches():
    batch = jnp.stack([2 * TWO, -TWO, 0 * TWO])[:, None]
    result = fp.flow(COLD, batch, TIMES, observe={"gap": lambda theta: theta @ SIGNS})
    gaps = result.value["gap"]
    assert gaps.shape == (4, 3, 1)
    for row, gap in [(0, 2 * GAP), (1, -GAP)]:
        expected = online_clock(gap) + TIMES
        np.testing.assert_allclose(online_clock(gaps[:, row, 0]), expected, rtol=1e-8)
    assert np.all(gaps[:, 2] == 0)


@pytest.mark.slow
def test_gradients():
    """Reverse mode through the solver, against differences and past a lost outcome."""

    def entropy(temperature, theta):
        loop = fp.Loop(sampler=fp.Temperature(temperature))
        return fp.flow(loop, theta, [1.0], observe=simplex.entropy).value[0]

    lost = jnp.array([0.7, -jnp.inf, 0.1, -0.4])
    value_and_grad = jax.jit(jax.value_and_grad(entropy, (0, 1)))
    _, (slope, gradient) = value_and_grad(0.7, lost)
    difference = value_and_grad(0.7 + 1e-4, lost)[0] - value_and_grad(0.7 - 1e-4, lost)[0]
    assert float(slope) == pytest.approx(float(difference) / 2e-4, rel=1e-5)
    assert np.isfinite(gradient).all()
    assert gradient[1] == 0
    assert float(gradient.sum()) == pytest.approx(0, abs=1e-9)  # a shift of θ changes nothing


@pytest.mark.long
def test_float32_stays_float32_and_does_not_promise_float64():
    result = fp.flow(COLD, TWO.astype(jnp.float32), TIMES)
    assert result.value.dtype == jnp.float32
    gaps = result.value @ SIGNS.astype(jnp.float32)
    np.testing.assert_allclose(online_clock(gaps), online_clock(GAP) + TIMES, rtol=2e-4)
    with pytest.raises(ValueError, match="`rtol` must be >= 1e-06 in float32"):
        fp.flow(COLD, TWO.astype(jnp.float32), TIMES, rtol=1e-9)
    with pytest.raises(ValueError, match="`atol` must be >= 1e-06 in float32"):
        fp.flow(COLD, TWO.astype(jnp.float32), TIMES, atol=1e-9)


@pytest.mark.long
def test_failure_is_a_value_or_an_error():
    result = fp.flow(COLD, TWO, [1000.0], max_steps=3, throw=False)
    assert not bool(result.successful)
    with pytest.raises(RuntimeError, match="maximum number of solver steps"):
        fp.flow(COLD, TWO, [1000.0], max_steps=3)


@pytest.mark.long
def test_a_mixture_flow_cannot_bring_back_what_is_lost():
    loop = fp.Loop(corpus=fp.Mixed(P0, 0.5), learner=fp.MixtureStep(0.1))
    with pytest.raises(RuntimeError, match="`logits` must be finite for every outcome of the real"):
        fp.flow(loop, THETA.at[0].set(-jnp.inf), TIMES)


@pytest.mark.parametrize(
    ("loop", "change", "message"),
    [
        (fp.Loop(corpus=fp.Fresh(5)), {}, "`loop` must be deterministic to have a flow"),
        (fp.Loop(learner=fp.GradientSteps(0.1, batch_size=1)), {}, "`loop` must be deterministic"),
        (fp.Loop(corpus=fp.Accumulated()), {}, "`loop` must not remember"),
        (fp.Loop(corpus=fp.Mixed(P0, 0.1, fp.Accumulated())), {}, "`loop` must not remember"),
        (
            fp.Loop(learner=fp.GradientFlow(1.0, start="initial")),
            {},
            'must learn with start="last"',
        ),
        (COLD, {"times": [1.0, 0.5]}, "`times` must increase, be >= 0 and finite"),
        (COLD, {"times": [-1.0, 0.5]}, "`times` must increase, be >= 0 and finite"),
        (COLD, {"times": [1.0, np.inf]}, "`times` must increase, be >= 0 and finite"),
        (COLD, {"times": jnp.zeros(0)}, "`times` must be a list of times"),
        (COLD, {"rtol": -1.0}, r"`rtol` must be positive and finite; got -1\.0"),
        (COLD, {"step_size": 0.0}, r"`step_size` must be positive and finite; got 0\.0"),
        (COLD, {"max_steps": 0}, "`max_steps` must be an integer >= 1; got 0"),
        (COLD, {"logits": jnp.array([0.0, jnp.nan])}, "`logits` must be finite or -inf"),
    ],
)
def test_bad_arguments(loop, change, message):
    with pytest.raises(ValueError, match=message):
        fp.flow(loop, **({"logits": THETA, "times": TIMES} | change))


@pytest.mark.parametrize("inner", [fp.GradientSteps(0.1), fp.MixtureStep(0.1)])
@pytest.mark.parametrize("frozen", [False, True])
def test_a_flow_on_final_answers_completes_them_all_the_while(inner, frozen):
    """Its derivative at a time is the small step's there, with the teacher of the start or now."""
    learner = fp.FinalAnswer([0, 1, 0, 1], inner)
    loop, start = fp.Loop(fp.Temperature(0.6), learner=learner), jnp.log(P0)
    times = [1.0, 1.0 + 1e-4]
    before, after = fp.flow(loop, start, times, frozen=frozen, rtol=1e-12, atol=1e-12).value
    target = loop.drawn(start if frozen else before)
    small = jax.tree.map(lambda x: x * 1e-3, inner)
    step = fp.FinalAnswer([0, 1, 0, 1], small)(before, fp.loop.Target(target, jnp.inf), None)
    slope = (fp.simplex.log_probabilities(step) - fp.simplex.log_probabilities(before)) / 1e-4
    found = (fp.simplex.log_probabilities(after) - fp.simplex.log_probabilities(before)) / 1e-4
    np.testing.assert_allclose(found, slope, rtol=0, atol=2e-4)
    assert np.abs(slope).max() > 1e-2
