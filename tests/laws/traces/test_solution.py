"""The closed forms of single traces: shapes, derivatives, edges and numbers one can check."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.laws import traces

pytestmark = pytest.mark.slow

LOGITS = jnp.array([1.0, 0.2, -1.2])


@pytest.mark.parametrize(
    ("num_outcomes", "towards_uniform"), [(2, True), (3, True), (5, False), (50, False)]
)
def test_bias_changes_its_sign_with_the_number_of_outcomes(num_outcomes, towards_uniform):
    nudge = jnp.zeros(num_outcomes).at[0].set(1e-3)
    assert (traces.bias(nudge)[0] < 0) == towards_uniform


@pytest.mark.parametrize("num_outcomes", [2, 3, 4, 10, 100])
def test_slope_of_the_bias_at_uniform(num_outcomes):
    size = 1e-4
    p = jnp.full(num_outcomes, (1 - size) / num_outcomes).at[0].add(size)
    deviation = p[0] - 1 / num_outcomes
    slope = traces.bias(jnp.log(p))[0] / deviation
    np.testing.assert_allclose(slope, (num_outcomes - 4) / (2 * num_outcomes**2), atol=1e-3)


def test_bias_conserves_probability_and_forgets_shifts_and_labels():
    np.testing.assert_allclose(jnp.sum(traces.bias(LOGITS)), 0, atol=1e-16)
    np.testing.assert_allclose(traces.bias(LOGITS + 7.0), traces.bias(LOGITS), rtol=1e-12)
    np.testing.assert_allclose(traces.bias(LOGITS[::-1]), traces.bias(LOGITS)[::-1], rtol=1e-12)


@pytest.mark.parametrize(
    ("num_outcomes", "top"),
    [(2, 0.824), (3, 0.755), (4, 0.718), (5, 0.696), (10, 0.650), (100, 0.595), (1000, 0.569)],
)
def test_entropy_bias_vanishes_at_one_top_probability(num_outcomes, top):
    def at(p):
        rest = (1 - p) / (num_outcomes - 1)
        return traces.entropy_bias(jnp.log(jnp.full(num_outcomes, rest).at[0].set(p)))

    assert at(top - 6e-4) < 0 < at(top + 6e-4)


def test_log_loss_bounds_the_growth_of_the_normaliser():
    for step_size in (0.01, 0.3, 3.0):
        fall = traces.log_loss(LOGITS, step_size)
        assert 0 < fall <= (1 - 1 / 3) * step_size**2 / 4 + 1e-15


def test_log_loss_of_tiny_steps_keeps_its_digits():
    p = jax.nn.softmax(LOGITS)
    second = (p @ p) - 2 * jnp.sum(p**3) + (p @ p) ** 2
    np.testing.assert_allclose(traces.log_loss(LOGITS, 1e-5), 1e-10 / 2 * second, rtol=1e-4)


def test_envelope_is_exponential_for_small_steps_and_sharp_for_large_ones():
    small = [traces.envelope(k, 1e-4) / 2e-8**k for k in (1, 2, 3)]
    np.testing.assert_allclose(small, [1, 2, 6], rtol=1e-3)
    large = [traces.envelope(k, 1e4) / 2e4**k for k in (1, 2, 3)]
    np.testing.assert_allclose(large, [1, 1, 1], rtol=1e-3)


def test_envelope_at_half_a_step():
    found = [float(traces.envelope(k, 0.5)) for k in (1, 2, 3, 4)]
    np.testing.assert_allclose(found, [0.3679, 0.2088, 0.1427, 0.1077], atol=5e-5)


CALLS = {
    "martingale": lambda x: traces.martingale(x, 0.5, 0.3),
    "log_loss": lambda x: traces.log_loss(x, 0.3),
    "bias": traces.bias,
    "entropy_bias": traces.entropy_bias,
    "two_charts": lambda x: traces.two_charts(x, 0.3, 2, 5),
}


@pytest.mark.parametrize("name", CALLS)
def test_lost_outcomes_cost_nothing(name):
    lost = jnp.array([1.0, -jnp.inf, 0.2, -1.2])
    with_lost, without = CALLS[name](lost), CALLS[name](LOGITS)
    if with_lost.ndim:
        with_lost = with_lost[jnp.array([0, 2, 3])]
    np.testing.assert_allclose(with_lost, without, rtol=1e-12)
