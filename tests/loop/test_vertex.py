"""The event-driven simulation against brute force, its pieces against their definitions."""

import time

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from scipy.stats import ks_2samp

import fixedpoint as fp
from fixedpoint.loop import vertex
from fixedpoint.loop.enumeration import enumerate_histories
from fixedpoint.loop.vertex import run_events

pytestmark = pytest.mark.slow


def trace_loop(step_size, **changes):
    return fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size, **changes))


@pytest.mark.parametrize(("step_size", "start"), [(2.0, (0.7, -0.7)), (1.0, (2.0, 0.5, -2.5))])
def test_same_law_as_brute_force(step_size, start):
    loop, start, replicates = trace_loop(step_size), jnp.array(start), 3000
    times = [100, 3000]
    brute = fp.run(
        loop, start, 3000, key=jax.random.key(1), num_replicates=replicates, save_at=times
    )
    events = run_events(
        loop, start, np.log(times).tolist(), key=jax.random.key(2), num_replicates=replicates
    )
    # Runs with equally many surprises end within 1e-2 of each other: blur both alike, so that the
    # test compares the law and not the last digits of its atoms.
    blur = 0.3 * np.random.default_rng(0).standard_normal((2, *brute.value.shape))
    for saved in range(2):
        for outcome in range(len(start)):
            sample, other = (
                np.asarray(value)[saved, :, outcome] + noise[saved, :, outcome]
                for value, noise in zip((brute.value, events.value), blur, strict=True)
            )
            assert np.asarray(ks_2samp(sample, other))[1] > 1e-4


def test_short_runs_have_the_exact_law(key):
    loop, start = trace_loop(0.5), jnp.array([0.7, -0.7])
    histories = enumerate_histories(loop, start, 10)
    runs = run_events(loop, start, [np.log(10.0)], key=key, num_replicates=20_000)
    for observe in (lambda x: x, lambda x: x**2):
        values = observe(histories.logits[-1])
        mean = histories.mean(values)
        error = jnp.sqrt((histories.mean(values**2) - mean**2) / 20_000)
        assert jnp.all(jnp.abs(observe(runs.value[0]).mean(0) - mean) < 5 * error)


def test_the_clock_follows_the_generations_of_the_leader_alone():
    # The learner itself, fed with the leader only, against the closed form of the clock.
    step_size, generations = 0.5, 20_000
    start = jnp.array([6.0, -1.0, -5.0])
    learner = fp.GradientSteps(step_size)
    leader = fp.loop.Target(jnp.array([0.0, -jnp.inf, -jnp.inf]), 1)
    end = jax.lax.fori_loop(0, generations, lambda _, x: learner(x, leader, None), start)
    is_leader = jnp.array([[True], [False], [False]])
    clock = jnp.exp(-end[1:2, None]) - jnp.exp(-start[1:2, None])
    passed = vertex._generations_passed(start[:, None], is_leader, clock, jnp.asarray(step_size))
    np.testing.assert_allclose(passed, [[generations]], rtol=2e-3)
    flowed = vertex._flow(start[:, None], is_leader, clock)
    np.testing.assert_allclose(flowed[:, 0], end, atol=2e-3)


def test_the_rest_until_a_saved_time_is_exact():
    # Two outcomes: the odds grow by 2η a generation.
    zero = jnp.zeros((1, 1), int)
    words = jnp.full((1, 1), 1, jnp.uint64), jnp.full((1, 1), 2, jnp.uint64)
    lane = vertex._Lanes(jnp.array([[5.0], [-5.0]]), jnp.array([[7.0]]), words, zero, zero)
    for left in (1.0, 1e6, 1e40):
        rest = vertex._rest(lane, jnp.asarray(7.0 + left), jnp.asarray(0.3))
        odds = jnp.exp(rest.logits[0, 0] - rest.logits[1, 0])
        waited = (7.0 + left) - 7.0
        np.testing.assert_allclose(odds, jnp.exp(10.0) + 0.6 * waited, rtol=1e-10)


def test_replicates_depend_on_the_key_and_their_number_alone(key):
    loop, start = trace_loop(2.0), jnp.array([1.0, 0.0, -1.0])
    few = run_events(loop, start, [5.0, 12.0], key=key, num_replicates=3, threshold=0.05)
    many = run_events(loop, start, [5.0, 12.0], key=key, num_replicates=40, threshold=0.05)
    np.testing.assert_array_equal(few.value, many.value[:, :3])
    np.testing.assert_allclose(many.value.sum(-1), 0, atol=1e-9)
    assert jnp.all(jnp.diff(many.num_switches, axis=0) >= 0)


def test_sixty_outcomes_compile_in_seconds(key):
    start = jnp.linspace(0, 1.3, 60) ** 2
    began = time.process_time()
    runs = run_events(trace_loop(1.0), start, [5.0, 9.0], key=key, num_replicates=4)
    assert time.process_time() - began < 20
    np.testing.assert_allclose(runs.value.sum(-1), 0, atol=1e-10)


@pytest.mark.parametrize("num_outcomes", [6, 61, 300, 1000])
def test_the_quadrature_of_the_clock_is_exact(num_outcomes):
    # All Y equal: the integral of (Y + τ)^(K−1) is known; Y = 0 would be a pure power.
    theta = jnp.full((num_outcomes, 1), 3.0)
    is_leader = jnp.arange(num_outcomes)[:, None] == 1
    for clock in (1e-6, 0.01, 2.0):
        passed = vertex._generations_passed(
            theta, is_leader, jnp.array([[clock]]), jnp.asarray(0.5)
        )
        y = mpmath.exp(-3)
        exact = ((y + clock) ** num_outcomes - y**num_outcomes) / num_outcomes / 0.5
        np.testing.assert_allclose(float(passed[0, 0]), float(exact), rtol=1e-10)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loop": trace_loop(1.0, weight_decay=0.1)}, "no weight decay"),
        ({"logits": jnp.zeros(1)}, "at least two outcomes"),
        ({"logits": jnp.zeros(2, jnp.float32)}, "must be float64"),
        ({"log_generations": [3.0, 2.0]}, "`log_generations` must increase"),
        ({"log_generations": [700.0]}, r"must be in \[-inf, 600\]"),
        ({"level": 0.7}, "`level` must be"),
        ({"log_generations": []}, "`log_generations` must increase, at least one"),
        ({"log_generations": ["5"]}, "`log_generations` must be in"),
        ({"key": 0}, "`key` must be a random key"),
        ({"observe": "entropy"}, "`observe` must be a function"),
    ],
)
def test_misuse_is_named(change, message):
    arguments = {
        "loop": trace_loop(1.0),
        "logits": jnp.zeros(2),
        "log_generations": [3.0],
        "key": jax.random.key(0),
        "num_replicates": 2,
        **change,
    }
    with pytest.raises(ValueError, match=message):
        run_events(
            arguments.pop("loop"),
            arguments.pop("logits"),
            arguments.pop("log_generations"),
            **arguments,
        )
