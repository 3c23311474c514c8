"""The references that the processes of single traces are built on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import survival, weight_decay
from fixedpoint.laws.survival import process as survival_process
from fixedpoint.laws.traces import process

pytestmark = pytest.mark.slow


def at(gap, step_size, temperature, **grid):
    gaps, chances = survival_process.losing_chance(step_size, temperature, **grid)
    return float(np.exp(np.interp(gap, gaps, np.log(np.maximum(chances, 1e-300)))))


@pytest.mark.parametrize(
    ("step_size", "chance"), [(0.05, 4.888e-6), (0.1, 8.199e-4), (0.2, 1.195e-2), (0.4, 4.984e-2)]
)
def test_losing_chance_at_half_temperature(step_size, chance):
    np.testing.assert_allclose(at(1.0, step_size, 0.5), chance, rtol=1e-3)


def test_losing_chance_does_not_depend_on_the_grid():
    coarse, fine = at(1.0, 0.2, 0.5, num_points=400), at(1.0, 0.2, 0.5, num_points=1600)
    np.testing.assert_allclose(coarse, fine, rtol=1e-4)


def test_the_winner_is_most_open_at_moderate_steps():
    # The chance of the initial mode (0.622 at first, 0.651 when drawn) dips below both.
    chance = [1 - at(0.5, step_size, 0.8, reach=16.0) for step_size in (0.1, 0.5, 1.0, 2.0, 5.0)]
    np.testing.assert_allclose(chance, [0.788, 0.648, 0.611, 0.593, 0.611], atol=4e-3)


def test_losing_chance_is_that_of_the_simulation():
    step_size, temperature, gap, replicates = 0.4, 0.5, 0.5, 8192
    runs = fp.run(
        process.trace_loop(step_size, temperature=temperature),
        jnp.array([gap / 2, -gap / 2]),
        3000,
        key=jax.random.key(0),
        num_replicates=replicates,
        save_at=[3000],
    )
    share = float(jnp.mean(runs.value[0, :, 0] < 0))
    chance = at(gap, step_size, temperature)
    assert abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / replicates)


def test_extrapolation_finds_the_limit_of_a_series():
    steps = 0.5 ** np.arange(5)
    value, error = process.extrapolated(list(3 + steps - 2 * steps**2 + steps**3))
    assert abs(value - 3) <= error < 1e-6


def test_losers_share_equally_below_temperature_one():
    runs = fp.run(
        process.trace_loop(0.5, temperature=0.5),
        jnp.array([1.0, 0.3, -0.2, -1.1]),
        20_000,
        key=jax.random.key(1),
        num_replicates=64,
        save_at=[20_000],
    )
    ordered = jnp.sort(runs.value[0], -1)
    # Their ratios tend to 1 like n to the power −1/K.
    assert float(jnp.median(ordered[:, 2] - ordered[:, 0])) < 0.2


@pytest.mark.parametrize(("step_size", "holds"), [(1.9, True), (4.0, False)])
def test_the_floor_of_weight_decay_needs_small_steps(step_size, holds):
    # The condition is η(λ + 1/2) ≤ 1. At η = 4 gaps reach 5.14, past the 3.91 of the floor.
    runs = fp.run(
        process.trace_loop(step_size, weight_decay=0.01),
        jnp.zeros(2),
        3000,
        key=jax.random.key(2),
        num_replicates=256,
        observe=lambda logits: jnp.min(simplex.probabilities(logits), -1),
        save_at=range(3001),
    )
    assert bool(runs.value.min() >= weight_decay.decay_floor(0.01)) is holds


def test_the_mean_growth_of_the_sum_is_a_multiple_of_its_mean_square():
    # κ of `transience_every_step`; its α has α e^{αη} = 2κ.
    rng = np.random.default_rng(0)
    for step_size, num_samples, num_alive in ((0.3, 1, 3), (2.0, 1, 4), (1.0, 2, 3), (8.0, 1, 4)):
        alpha = float(survival.transience_every_step(step_size, num_samples, num_alive))
        ratio = alpha * np.exp(alpha * step_size) / 2
        for state in rng.normal(scale=2, size=(40, 4)):
            growth, chance = survival_process.growths(state, num_alive, step_size, num_samples)
            assert chance @ growth >= ratio * (chance @ growth**2)


def test_the_limit_of_small_steps_does_not_bound_the_growth_at_large_ones():
    growth, chance = survival_process.growths(np.array([-0.14, -3.28, -0.14, 3.56]), 4, 20.0, 1)
    ratio = (chance @ growth) / (chance @ growth**2)
    np.testing.assert_allclose(ratio, 0.09114, rtol=1e-3)
    assert ratio < 2 * (20 - 1 + np.exp(-20.0)) / 20**2
