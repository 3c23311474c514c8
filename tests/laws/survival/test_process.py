"""The references that the processes of survival are built on."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import survival
from fixedpoint.laws.experiment import replicated
from fixedpoint.laws.survival import process

pytestmark = pytest.mark.slow


def traces(step_size, num_samples=1, temperature=1.0):
    sampler, corpus = fp.Temperature(temperature), fp.Fresh(num_samples)
    return fp.Loop(sampler, corpus, fp.GradientSteps(step_size))


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
    first = replicated(
        traces(step_size, temperature=temperature),
        [gap / 2, -gap / 2],
        [3000],
        replicates,
        lambda logits: logits[..., 0] < 0,
    )
    share = float(jnp.mean(first))
    chance = at(gap, step_size, temperature)
    assert abs(share - chance) < 5 * np.sqrt(chance * (1 - chance) / replicates)


def test_losers_share_equally_below_temperature_one():
    start = [1.0, 0.3, -0.2, -1.1]
    (last,) = replicated(traces(0.5, temperature=0.5), start, [20_000], 64, lambda logits: logits)
    ordered = jnp.sort(last, -1)
    # Their ratios tend to 1 like t to the power −1/K.
    assert float(jnp.median(ordered[:, 2] - ordered[:, 0])) < 0.2


def test_the_growth_of_the_sum_is_never_below_the_bound_of_its_proof():
    # D ≥ X = L + g V; E[X²] ≤ E[X]/κ, and α e^{αη} = 2κ.
    rng = np.random.default_rng(0)
    for step_size, num_samples, m in ((0.3, 1, 3), (2.0, 1, 4), (1.0, 2, 3), (8.0, 1, 4)):
        alpha = float(survival.transience_every_step(step_size, m))
        ratio = alpha * np.exp(alpha * step_size) / 2
        share = (np.exp(-2 * step_size) - 1 + 2 * step_size) / (2 * step_size) ** 2
        for state in rng.normal(scale=2, size=(40, 4)):
            found = fp.loop.enumeration.enumerate_histories(
                traces(step_size, num_samples), jnp.array(state), 1
            )
            chance, logits = np.asarray(found.probability), np.asarray(found.logits)
            growth, _ = process.growths(traces(step_size, num_samples), state, m)
            weight = np.exp(-state[:m]) / np.exp(-state[:m]).sum()
            fall = (logits[0] - logits[1])[:, :m]
            mean = fall @ weight
            least = mean + share * ((fall - mean[:, None]) ** 2 @ weight)
            assert np.all(growth >= least - 1e-12)
            assert chance @ least >= ratio * (chance @ least**2)
            assert np.all(least >= -step_size)
