"""The closed forms of weight decay: modes, means, derivatives, edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.laws import weight_decay

pytestmark = pytest.mark.slow


def test_lost_outcomes_cost_nothing():
    with_lost = weight_decay.memory_time(jnp.array([1.0, -jnp.inf, 0.2, -1.2]), 0.3, 0.5, 4)
    without = weight_decay.memory_time(jnp.array([1.0, 0.2, -1.2]), 0.3, 0.5, 4)
    np.testing.assert_allclose(with_lost[jnp.array([0, 2, 3])], without, rtol=1e-12)


@pytest.mark.parametrize(
    ("ratio", "gap_modes", "chance_modes"), [(1.5, 1, 1), (3, 1, 2), (5, 2, 2)]
)
def test_modes_under_weight_decay_appear_at_the_thresholds(ratio, gap_modes, chance_modes):
    z = jnp.linspace(-6, 6, 4001)
    per_gap = weight_decay.decay_density(z, ratio)
    per_chance = per_gap - jnp.log(jax.nn.sigmoid(z) * jax.nn.sigmoid(-z))
    for chart, (density, modes) in enumerate(
        [(per_gap, gap_modes), (per_chance, chance_modes)], start=1
    ):
        peaks = (density[1:-1] > density[:-2]) & (density[1:-1] > density[2:])
        assert jnp.sum(peaks) == modes
        assert (weight_decay.decay_thresholds(ratio, chart) > 0) == (modes == 2)


@pytest.mark.parametrize(("ratio", "mean"), [(1, 0.549), (2, 0.759), (4, 1.034), (16, 1.802)])
def test_mean_gap_under_weight_decay(ratio, mean):
    z = jnp.linspace(0, 12, 6001)
    density = jnp.exp(weight_decay.decay_density(z, ratio))
    np.testing.assert_allclose(jnp.sum(z * density) / jnp.sum(density), mean, atol=2e-3)


def test_decay_density_is_even_smooth_and_of_the_stated_curvature():
    curvature = jax.jit(jax.grad(jax.grad(weight_decay.decay_density)))
    np.testing.assert_allclose(
        curvature(1e-4, 3.0), weight_decay.decay_thresholds(3.0, 1), rtol=1e-6
    )
    z = jnp.array([0.3, 2.0, 2.0001, 40.0, 5000.0])
    np.testing.assert_array_equal(
        weight_decay.decay_density(z, 3.0), weight_decay.decay_density(-z, 3.0)
    )
    assert weight_decay.decay_density(5000.0, 3.0) == -jnp.inf
    assert weight_decay.decay_density(jnp.float32(1.0), jnp.float32(3.0)).dtype == jnp.float32
