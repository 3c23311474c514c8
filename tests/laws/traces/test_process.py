"""The references that the processes of single traces are built on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.laws.traces import process
from fixedpoint.loop.traces import run_traces

pytestmark = pytest.mark.slow


def at(gap, step_size, temperature, **grid):
    gaps, chances = process.losing_chance(step_size, temperature, **grid)
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
    runs = run_traces(
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
    runs = run_traces(
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
