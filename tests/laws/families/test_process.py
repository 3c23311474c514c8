"""Students trained on final answers, and with a frozen base, where the register cannot look."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import families, resampling
from fixedpoint.laws.experiment import after

pytestmark = pytest.mark.slow


def test_a_frozen_offset_keeps_the_middle_but_only_nearby():
    """Two contexts, β = 3, δ = 1: w = 0 attracts up to 0.650373 and no further."""
    offsets = jnp.array([1.0, -1.0])

    def student(w):
        gaps = w + offsets
        return jnp.stack([gaps / 2, -gaps / 2], axis=-1)

    def mean(logits):
        return float(jnp.sum(fp.simplex.probabilities(logits)[:, 0]))

    def retrained(w):
        wanted = mean(after(fp.Loop(fp.Temperature(1 / 3)), student(w)))
        low, high = -30.0, 30.0
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if mean(student(middle)) < wanted else (low, middle)
        return (low + high) / 2

    assert retrained(0.650373) == pytest.approx(0.650373, abs=2e-6)
    assert retrained(0.63) < 0.63
    assert retrained(0.67) > 0.67


def test_on_final_answers_the_most_frequent_may_lose_and_the_most_varied_gains():
    """Cold: log P - H decides. Hot: the limit is e^H/Σe^H. The reasonings of an answer stay."""
    logits, answers = jnp.log(jnp.array([0.2, 0.19, 0.16, 0.35, 0.1])), [0, 0, 0, 1, 1]

    def of_answers(model):
        p = fp.simplex.probabilities(model)
        return np.array([p[:3].sum(), p[3:].sum()])

    assert of_answers(logits).argmax() == 0
    for temperature, winner in ((0.8, 1), (0.98, 1), (1.2, 0)):
        loop = fp.Loop(fp.Temperature(temperature), learner=fp.FinalAnswer(answers))
        models = fp.run(loop, logits, 400, progress=False).value
        gaps = models[5] - models[5, 0]
        np.testing.assert_allclose(gaps[:3], logits[:3] - logits[0], atol=1e-12)
        np.testing.assert_allclose(gaps[4] - gaps[3], logits[4] - logits[3], atol=1e-12)
        start, entropies = families.answers_and_reasonings(logits, answers, temperature)
        last = of_answers(models[-1])
        assert last.argmax() == winner
        if temperature < 1:
            assert (start - entropies).argmax() == winner
            assert last[winner] > 0.98
        else:
            np.testing.assert_allclose(last, fp.simplex.probabilities(entropies), rtol=1e-12)


def test_plain_steps_on_final_answers_change_the_reasonings():
    """The answer that gains gains most for its most probable reasoning."""
    logits = jnp.log(jnp.array([0.2, 0.19, 0.16, 0.35, 0.1]))
    learner = fp.FinalAnswer([0, 0, 0, 1, 1], fp.GradientSteps(step_size=0.5))
    model = after(fp.Loop(fp.Temperature(0.8), learner=learner), logits, 400)
    assert fp.simplex.probabilities(model)[3:].sum() > 0.99
    assert model[3] - model[4] > logits[3] - logits[4] + 0.1


def test_answers_and_reasonings_at_every_temperature():
    p = jnp.array([0.3, 0.1, 0.0, 0.4, 0.2, 0.0])
    labels = ["b", "b", "b", "a", "a", "c"]
    logits = jnp.log(p)
    for temperature, expected in (
        (0.0, [-np.log(2 / 3), -np.log(0.75), 0]),
        (
            1.0,
            [
                -(2 * np.log(2 / 3) + np.log(1 / 3)) / 3,
                -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)),
                0,
            ],
        ),
        (np.inf, [np.log(2), np.log(2), 0]),
    ):
        start, entropies = families.answers_and_reasonings(logits, labels, temperature)
        np.testing.assert_allclose(jnp.exp(start), [0.6, 0.4, 0], rtol=1e-14)
        np.testing.assert_allclose(entropies, expected, rtol=1e-13, atol=1e-15)
    with pytest.raises(ValueError, match=r"`answers` must be one label for each of the 6 outcomes"):
        families.answers_and_reasonings(logits, [0, 1], 0.5)


def test_with_n_samples_at_temperature_one_the_answers_are_resampled(key):
    """Their heterozygosity shrinks by 1 - 1/n in each generation, whatever the reasonings."""
    logits = jnp.log(jnp.array([0.2, 0.19, 0.16, 0.35, 0.1]))

    def heterozygosity(model):
        share = fp.simplex.probabilities(model)[:3].sum()
        return 2 * share * (1 - share)

    loop = fp.Loop(corpus=fp.Fresh(8), learner=fp.FinalAnswer([0, 0, 0, 1, 1]))
    runs = fp.run(
        loop, logits, 10, key=key, num_replicates=10_000, observe=heterozygosity, save_at=[10]
    )
    expected = resampling.heterozygosity(jnp.log(jnp.array([0.55, 0.45])), 8, 10)
    error = float(runs.value.std()) / 100
    assert abs(float(runs.value.mean()) - float(expected)) < 4.5 * error
    assert error < 0.02 * float(expected)
