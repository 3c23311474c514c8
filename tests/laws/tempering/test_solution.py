"""The closed forms of tempering: bad input, invariances, edges, the families."""

import math

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import recovery, tempering

pytestmark = pytest.mark.slow


THETA = jnp.array([1.3, -0.4, 0.2, -2.1])


def test_gradients_are_finite_with_lost_outcomes():
    theta = jnp.array([0.4, -jnp.inf, -1.0, 0.1])
    for function in (tempering.tail, tempering.uniform_limit, tempering.uniform_limit_reverse):
        slopes = jax.grad(lambda theta, T, f=function: f(theta, T, 3), argnums=(0, 1))
        slope = jax.jit(slopes)(theta, 0.8)
        assert all(np.all(np.isfinite(part)) for part in slope)
    for function in (tempering.potential, tempering.ascent, tempering.entropy_slope):
        slope = jax.jit(jax.grad(function, argnums=(0, 1)))(theta, 0.8)
        assert all(np.all(np.isfinite(part)) for part in slope)
    pulls = jax.jit(jax.jacrev(tempering.fixed_point))(theta, 1.0)
    np.testing.assert_allclose(pulls, 0, atol=1e-15)


logits_strategy = st.sampled_from([1, 4]).flatmap(
    lambda size: st.lists(st.floats(-20, 20), min_size=size, max_size=size).map(jnp.array)
)


temperatures_strategy = st.floats(0.5, 2.0)


@hypothesis.settings(max_examples=25)
@hypothesis.given(logits_strategy, temperatures_strategy, st.integers(0, 8), st.integers(0, 8))
def test_generations_form_a_semigroup(theta, T, first, second):
    there = tempering.logits(tempering.logits(theta, T, first), T, second)
    at_once = tempering.logits(theta, T, first + second)
    np.testing.assert_allclose(there, at_once, rtol=1e-12, atol=1e-300)
    back = tempering.logits(tempering.logits(theta, T, first), 1 / T, first)
    np.testing.assert_allclose(back, theta - theta.max(), rtol=1e-12, atol=1e-12)


INVARIANT = [jax.jit(f) for f in (tempering.potential, tempering.ascent, tempering.entropy_slope)]


@hypothesis.settings(max_examples=25)
@hypothesis.given(logits_strategy, temperatures_strategy, st.floats(-5, 5))
def test_relabelling_and_shifts_change_nothing(theta, T, shift):
    for function in INVARIANT:
        value = function(theta, T)
        np.testing.assert_allclose(function(theta[::-1], T), value, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(function(theta + shift, T), value, rtol=1e-9, atol=1e-13)
    pull = tempering.fixed_point(theta, T)
    np.testing.assert_allclose(tempering.fixed_point(theta[::-1], T)[::-1], pull, atol=1e-14)
    np.testing.assert_allclose(jnp.sum(pull), 0, atol=1e-14)


def test_the_order_of_temperatures_does_not_matter_and_inverses_undo():
    np.testing.assert_allclose(
        tempering.composition(THETA, jnp.array([0.3, 1.7, 0.9])),
        tempering.composition(THETA, jnp.array([0.9, 0.3, 1.7])),
        rtol=1e-14,
    )
    back = tempering.composition(THETA, jnp.array([0.7, 1 / 0.7]))
    np.testing.assert_allclose(back, THETA - 1.3, rtol=1e-15)
    np.testing.assert_array_equal(tempering.composition(THETA, jnp.array([])), THETA - 1.3)


@pytest.mark.parametrize("n", [10**6, 1e6, np.int32(10**6)])
def test_a_million_generations_saturate(n):
    theta = jnp.array([0.3, 0.1, 0.3, -jnp.inf])
    for T in (0.9, 0.5, 0.0):
        np.testing.assert_array_equal(
            tempering.logits(theta, T, n), tempering.limit(theta, T), err_msg=str(T)
        )
        assert tempering.tail(theta, T, n) == 0
        assert tempering.mode_limit(0.2, 2, 1, T, n) == 0
        assert recovery.recovery(T, n) == math.inf
    for T in (1.1, 1e3, math.inf):
        np.testing.assert_array_equal(
            tempering.logits(theta, T, n), jnp.array([0, 0, 0, -jnp.inf]), err_msg=str(T)
        )
        assert tempering.uniform_limit(theta, T, n) == 0
        assert recovery.recovery(T, n) == 0
    np.testing.assert_array_equal(tempering.logits(theta, 1.0, n), theta - 0.3)


def test_generation_zero_is_the_start_at_every_temperature():
    for T in (0.0, 1e-3, 1.0, 1e3, math.inf):
        np.testing.assert_array_equal(tempering.logits(THETA, T, 0), THETA - 1.3)


def test_one_outcome_stays_what_it_is():
    theta = jnp.array([0.7])
    assert tempering.logits(theta, 0.5, 9) == 0
    assert tempering.tail(theta, 0.5, 9) == 0
    assert tempering.fixed_point(theta, 0.5) == 0
    assert tempering.entropy_slope(theta, 2.0) == 0
    assert tempering.majorisation(theta, 2.0, 1) == 0
    assert [float(x) for x in tempering.runners_up(theta)] == [math.inf, 1, 0]


def test_lost_outcomes_count_nowhere():
    lost, kept = jnp.array([1.3, -jnp.inf, -0.4, 0.2]), jnp.array([1.3, -0.4, 0.2])
    for function in (tempering.potential, tempering.ascent, tempering.entropy_slope):
        np.testing.assert_allclose(function(lost, 0.7), function(kept, 0.7), rtol=1e-14)
    for function in (tempering.tail, tempering.uniform_limit, tempering.uniform_limit_reverse):
        np.testing.assert_allclose(function(lost, 1.2, 3), function(kept, 1.2, 3), rtol=1e-14)
    assert tempering.divergence(lost, 0.3, 0.0) == pytest.approx(
        float(tempering.divergence(kept, 0.3, 0.0)), rel=1e-13
    )
    np.testing.assert_allclose(
        tempering.majorisation(lost, 1.2, 2), tempering.majorisation(kept, 1.2, 2), rtol=1e-14
    )


def test_the_exact_tail_and_its_asymptotic_form():
    theta = jnp.array([0.7, 0.7, 0.0, 0.0, 0.0, -0.6])
    gap, num_modes, num_runners_up = tempering.runners_up(theta)
    assert (float(gap), int(num_modes), int(num_runners_up)) == (0.7, 2, 3)
    for T, n in ((0.8, 1), (0.8, 12), (0.5, 8)):
        with mpmath.workdps(300):
            B = mpmath.mpf(T) ** -n
            rest = 3 * mpmath.exp(-mpmath.mpf(0.7) * B) + mpmath.exp(
                (mpmath.mpf(-0.6) - mpmath.mpf(0.7)) * B
            )
            exact = rest / (2 + rest)
        tail = tempering.tail(theta, T, n)
        assert float(abs(mpmath.mpf(float(tail)) / exact - 1)) < 1e-12
        ratio = tail / tempering.mode_limit(gap, num_modes, num_runners_up, T, n)
        assert ratio == pytest.approx(1, abs=4 * float(rest))


def test_collapse_that_has_happened_or_never_does():
    assert tempering.generations_to_collapse(5.0, 2, 3, 0.5, 0.5) == 0
    assert tempering.generations_to_collapse(0.7, 2, 3, 1.0, 1e-3) == math.inf
    assert tempering.generations_to_collapse(0.7, 2, 3, 1.4, 1e-3) == math.inf
    gap, num_modes, num_runners_up = tempering.runners_up(jnp.array([0.5, 0.5]))
    assert tempering.generations_to_collapse(gap, num_modes, num_runners_up, 0.9, 1e-3) == 0


def test_fifty_thousand_outcomes():
    theta = 3 * np.sin(7.0 * np.arange(50_000))
    p = np.exp(0.7 * theta) / math.fsum(np.exp(0.7 * theta))
    mean = math.fsum(p * theta)
    slope = -0.7 * math.fsum(p * (theta - mean) ** 2)
    np.testing.assert_allclose(tempering.entropy_slope(theta, 0.7), slope, rtol=1e-12)
    second = math.fsum((theta - math.fsum(theta) / 50_000) ** 2) / 50_000
    tiny = tempering.divergence(theta, 1e-10, 0.0)
    np.testing.assert_allclose(tiny, 0.5e-20 * second, rtol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tempering.tail(THETA, 0.5, -3), r"`generation` must be .*>= 0"),
        (lambda: tempering.logits(jnp.array([]), 0.5, 1), r"at least one outcome"),
        (lambda: tempering.refit(THETA, math.nan), r"`temperature` must be >= 0; got nan"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_every_divergence_vanishes_only_where_it_should():
    assert tempering.divergence(THETA, 1.7, 1.7) == 0
    assert tempering.divergence(THETA, 1.7, 0.2) > 0
    assert tempering.divergence(THETA, math.inf, 1.0) == pytest.approx(
        -float(simplex.log_probabilities(THETA)[0])
    )
    assert tempering.ascent(THETA, 1.0) == 0
    assert tempering.ascent(jnp.zeros(3), 0.5) == 0
