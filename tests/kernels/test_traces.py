"""Carried weights, and what is drawn in single precision."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.kernels import traces
from fixedpoint.kernels.random import seeds
from fixedpoint.kernels.traces import decay_polynomial


@pytest.mark.parametrize("reach", [1 / 32, 1 / 8, 1 / 2, 1.0])
def test_the_decay_is_the_exponential(reach):
    y = jnp.linspace(-reach, 0, 10_001)
    found = np.asarray(decay_polynomial(reach)(y))
    np.testing.assert_allclose(found, np.exp(y), rtol=1e-15, atol=0)
    assert found[-1] == 1


def test_what_is_observed_keeps_its_accuracy_near_a_vertex(key):
    """A sum of small numbers that a compiler free to reassociate takes from a large one."""
    start = jnp.array([1.0, 0.2, -1.2])
    loop = fp.Loop(fp.Temperature(0.5), fp.Fresh(1), fp.GradientSteps(step_size=0.5))
    given = {"key": key, "num_replicates": 1024, "save_at": [2000]}
    tails = fp.run_traces(loop, start, 2000, observe=fp.simplex.tail_probability, **given).value
    logits = fp.run_traces(loop, start, 2000, **given).value
    np.testing.assert_allclose(tails, fp.simplex.tail_probability(logits), rtol=1e-9)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_each_of_the_samples_of_two_outcomes_is_drawn_by_itself(key, dtype):
    """One generation of four samples: their counts are binomial, not all or nothing."""
    number, samples, gap, temperature = 4096, 4, 0.8, 0.5
    words, one = tuple(seeds(key, dtype, number).T), jnp.ones((), dtype)
    model = traces._Gap((one, 0 * one, temperature * one), samples, is_one=False)
    moved, _ = jax.jit(model.generation)((jnp.full(number, gap, dtype), words))
    counts = np.rint(samples * ((np.asarray(moved) - gap) / 2 + 1 / (1 + np.exp(-gap))))
    drawn = 1 / (1 + np.exp(-gap / temperature))
    for count in range(samples + 1):
        chance = math.comb(samples, count) * drawn**count * (1 - drawn) ** (samples - count)
        error = np.sqrt(chance * (1 - chance) / number)
        assert abs(np.mean(counts == count) - chance) < 5 * error


@pytest.mark.parametrize("gap", [20.0, -20.0, 60.0])
def test_the_rarer_of_two_is_drawn_in_single_precision(gap):
    """Given that 24 bits of a uniform number are 0, which is where p = 2e-9 is decided."""
    number = 2**15
    second = np.random.default_rng(5).integers(1, 2**32, number, dtype=np.uint32)
    words = jnp.zeros(number, jnp.uint32), jnp.asarray(second)
    one = jnp.asarray(1.0, jnp.float32)
    model = traces._Gap((one, 0 * one, one), 1, is_one=True)
    moved, _ = model.generation((jnp.full(number, gap, jnp.float32), words))
    # One sample moves the gap by 2 (c − p), c = 1 for the first outcome.
    is_first = np.asarray(moved - gap) / 2 + 1 / (1 + np.exp(-gap)) > 0.5
    rare = (is_first if gap < 0 else ~is_first).sum()
    expected = number * min(1, 2**24 / (1 + np.exp(abs(gap))))
    assert abs(rare - expected) <= 5 * np.sqrt(expected)
    assert expected > 1000 or gap == 60


def test_points_at_the_edges_of_shares():
    """The lowest and the highest point of each outcome, also where 1 − 2⁻²⁷ is 1 in float32."""
    share = np.array([0.5, 0.0, 0.25, 0.25 - 2.0**-26, 2.0**-27, 2.0**-27, 0.0, 0, 0], np.float32)
    ends = [int(end * 2**54) for end in np.cumsum(share.astype(float))]
    highest = [end - 1 for end, x in zip(ends, share, strict=True) if x > 0]
    numbers = np.array([0, *(end + 1 for end in highest[:-1]), *highest], np.uint64)
    units = traces._Units(jnp.tile(share[:, None], (1, len(numbers))))
    first = jnp.asarray((numbers >> 24) << 2, jnp.uint32)
    second = jnp.asarray((numbers % 2**24) << 8, jnp.uint32)
    assert units.search(first, second).tolist() == [0, 2, 3, 4, 5] * 2


def test_many_outcomes_in_single_precision(key):
    """One generation of four outcomes and many samples: their shares, the rarest of them 2e-4."""
    start = jnp.asarray([2.0, -5.0, 1.0, -6.0], jnp.float32)
    tile, samples = 256, 64
    words = tuple(seeds(key, jnp.float32, tile).T)
    one = jnp.asarray(1.0, jnp.float32)
    model = traces._Logits((one, 0 * one, one), samples, True, 4)
    state = model.initial(start, words)
    before = np.asarray(model.logits(state))
    moved = np.asarray(model.logits(jax.jit(model.generation)(state))) - before
    p = np.exp(np.asarray(start, float))
    p /= p.sum()
    counts = np.rint((moved + p) * samples)
    np.testing.assert_allclose(counts.sum(1), samples)
    assert np.all(np.abs(counts.mean(0) - samples * p) <= 5 * np.sqrt(samples * p / tile))
    assert counts.std(0)[0] > 1  # each replicate has its own
