"""The law of single traces with two outcomes: histories, another grid, and a martingale."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
import fixedpoint.chain.traces as module
from fixedpoint.chain import traces_mean
from fixedpoint.loop.enumeration import enumerate_histories

LOGITS = np.array([0.35, -0.15])


def traces(temperature, step_size, num_samples=1, weight_decay=0.0):
    return fp.Loop(
        fp.Temperature(temperature),
        fp.Fresh(num_samples),
        fp.GradientSteps(step_size, weight_decay=weight_decay),
    )


@pytest.mark.long
@pytest.mark.parametrize(
    "loop", [traces(0.8, 0.7, 2), traces(1.5, 0.3, 1, 0.4)], ids=["batches", "weight decay"]
)
def test_six_generations_are_those_of_all_histories(loop):
    """Entropy is even in the gap, probabilities are not."""
    histories = enumerate_histories(loop, jnp.asarray(LOGITS), 6)
    for observe in (fp.simplex.entropy, fp.simplex.probabilities):
        found = traces_mean(loop, LOGITS, [0, 1, 6], observe)
        for row, generation in zip(found.value, (0, 1, 6), strict=True):
            expected = histories.mean(observe(histories.logits[generation]))
            np.testing.assert_allclose(row, expected, rtol=0, atol=1e-12)


def lagrange(loop, generations, observe, points=3201, end=16.0):
    """The same by another road: local interpolation of order 6, one generation at a time."""
    T, eta = float(loop.sampler.temperature), float(loop.learner.step_size)
    gap = np.linspace(-end, end, points)
    values = np.asarray(observe(jnp.asarray(np.stack([gap / 2, -gap / 2], -1))))
    drawn, p = 1 / (1 + np.exp(-gap / T)), 1 / (1 + np.exp(-gap))
    terms = []
    for chance, to in ((drawn, gap + 2 * eta * (1 - p)), (1 - drawn, gap - 2 * eta * p)):
        place = (np.clip(to, -end, end) + end) / (gap[1] - gap[0])
        first = np.clip(place.astype(int) - 2, 0, points - 6)
        x = place - first
        for i in range(6):
            weight = np.prod([(x - j) / (i - j) for j in range(6) if j != i], 0)
            terms.append((first + i, chance * weight))
    for _ in range(generations):
        values = np.sum([weight * values[place] for place, weight in terms], 0)
    return values[1650]  # the gap 0.5, in steps of 0.01 from -16


@pytest.mark.parametrize("temperature", [0.9, 1.2])
def test_two_thousand_generations_on_another_grid(temperature):
    loop = traces(temperature, 0.05)
    found = traces_mean(loop, LOGITS, 2000, fp.simplex.heterozygosity)
    expected = lagrange(loop, 2000, fp.simplex.heterozygosity)
    assert found.error < 1e-10
    assert found.value[0] == pytest.approx(expected, abs=1e-9)


def test_a_million_generations_keep_the_martingale():
    """At T = 1 the gap is a martingale, whatever the step; it has wandered to log(2ηN) = 12."""
    loop = traces(1.0, 0.05)

    def gap(logits):
        return logits[..., 0] - logits[..., 1]

    found = traces_mean(loop, LOGITS, [1, 10**6], gap)
    np.testing.assert_allclose(found.value, 0.5, rtol=0, atol=1e-10)
    even = traces_mean(loop, LOGITS, [10**5, 10**6], fp.simplex.heterozygosity)
    assert even.error < 1e-10
    # Collapse without end: about 1/(2 η N) up to logarithms, and never below it.
    assert 1 < even.value[1] * 2 * 0.05 * 10**6 < 1_000
    assert even.value[1] < even.value[0] / 5


def test_an_estimate_is_refused_where_it_does_not_converge(monkeypatch):
    monkeypatch.setattr(module, "NODES", (200, 280))
    with pytest.raises(FloatingPointError, match="could not be averaged to 1e-10: 280 nodes"):
        traces_mean(traces(1.0, 0.3), LOGITS, 3, fp.simplex.mode_probability)


def test_a_gap_beyond_the_range_of_exponentials(monkeypatch):
    """Refused as any that so few nodes cannot hold, and without a warning of NumPy's."""
    monkeypatch.setattr(module, "NODES", (200, 280))
    with pytest.raises(FloatingPointError, match="could not be averaged"):
        traces_mean(traces(1.0, 0.1), [800.0, 0.0], [0, 3], fp.simplex.entropy)


def test_misuse_is_named():
    loop = traces(1.0, 0.1)
    with pytest.raises(ValueError, match="`logits` must be two finite logits"):
        traces_mean(loop, np.zeros(3), 1, fp.simplex.entropy)
    with pytest.raises(ValueError, match="`generations` must increase"):
        traces_mean(loop, LOGITS, [2, 1], fp.simplex.entropy)
    with pytest.raises(ValueError, match="`generations` must be a whole number"):
        traces_mean(loop, LOGITS, [-1, 1], fp.simplex.entropy)
    many = fp.Loop(corpus=fp.Fresh(10**9), learner=fp.GradientSteps(0.1))
    with pytest.raises(
        ValueError, match=r"`num_samples` must be at most 10,000 .*`fixedpoint.run`"
    ):
        traces_mean(many, LOGITS, 1, fp.simplex.entropy)
    with pytest.raises(ValueError, match="one full-batch step"):
        traces_mean(fp.Loop(), LOGITS, 1, fp.simplex.entropy)
    with jax.enable_x64(False), pytest.raises(ValueError, match="`jax_enable_x64` must be on"):
        traces_mean(loop, LOGITS, 1, fp.simplex.entropy)
