"""Training on final answers alone, where several answers tie."""

import math
from collections import defaultdict
from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import families

LOST = -np.inf
# Six reasonings and three answers in each, some of them lost: one shape is compiled once.
TIED = [
    # Two modes with answer 0, one with 1: then all with 0, where every reasoning is a mode.
    ([1.0, 1.0, 1.0, -1.0, LOST, LOST], [0, 0, 1, 1, 2, 2]),
    # Every reasoning is a mode: the answers stay as frequent as they are.
    ([1.0, 1.0, 1.0, LOST, LOST, LOST], [0, 0, 1, 2, 2, 0]),
    # One mode each, and answers that are not varied alike.
    ([0.3, 0.3, 0.1, 0.3, -2.0, -2.0], [0, 1, 1, 2, 2, 2]),
    # Two modes of three reasonings, and one of one.
    ([2.0, 2.0, 1.0, 2.0, LOST, LOST], ["a", "b", "b", "b", "b", "c"]),
    ([2.0, 2.0, 1.0, 2.0, 1.0, 2.0], [0, 0, 0, 1, 2, 1]),
    ([0.7, 0.0, -1.3, 0.4, 0.1, -0.2], ["x", "x", "y", "y", "z", "z"]),
]


def by_hand(logits, answers, num_generations):
    """Temperature 0 in fractions: data uniform on the modes, reasonings in the last proportions."""
    levels = sorted({x for x in logits if x > LOST}, reverse=True)
    # Any decreasing numbers do for the levels; what is compared below is decided by these.
    weights = [Fraction(math.exp(x - levels[0])) if x > LOST else Fraction(0) for x in logits]
    model = [w / sum(weights) for w in weights]
    for _ in range(num_generations):
        top = max(model)
        modes = [p == top for p in model]
        of_data, of_model = defaultdict(Fraction), defaultdict(Fraction)
        for answer, p, is_mode in zip(answers, model, modes, strict=True):
            of_data[answer] += Fraction(is_mode, sum(modes))
            of_model[answer] += p
        model = [
            p and p * of_data[answer] / of_model[answer]
            for answer, p in zip(answers, model, strict=True)
        ]
    return [float(p) for p in model]


@pytest.mark.parametrize(("logits", "answers"), TIED)
def test_tied_reasonings_of_several_answers_at_temperature_zero(logits, answers):
    """The number of modes with an answer counts, and then their share of its reasonings."""
    loop = fp.Loop(fp.Temperature(0.0), learner=fp.FinalAnswer(answers))
    logits = jnp.array(logits)
    models = fp.run(loop, logits, 5, observe=fp.simplex.probabilities, progress=False).value
    for generation in (0, 1, 2, 5):
        expected = by_hand(logits.tolist(), answers, generation)
        np.testing.assert_allclose(models[generation], expected, rtol=1e-14)
        for temperature in (0.0, 1e-12):  # the law is continuous in T: all gaps are far above 1e-12
            law = families.final_answer_logits(logits, answers, temperature, generation)
            tolerance = 1e-13 if temperature == 0 else 1e-9
            found = fp.simplex.probabilities(law)
            np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)
    limit = fp.simplex.probabilities(families.final_answer_limit(logits, answers, 0.0))
    np.testing.assert_allclose(limit, expected, rtol=1e-13)
    solution = fp.solve(loop, logits)
    for found, wanted in ((solution.logits(1), models[1]), (solution.limit(), models[5])):
        np.testing.assert_allclose(fp.simplex.probabilities(found), wanted, rtol=1e-13)


def test_the_named_model_of_three_modes_and_two_answers():
    """(⅓, ⅓, .294, .040), for the (0, 0, .881, .119) that H alone would give."""
    logits, answers = jnp.array(TIED[0][0]), TIED[0][1]
    third = np.array([1, np.exp(-2)]) / (3 * (1 + np.exp(-2)))
    found = fp.simplex.probabilities(families.final_answer_logits(logits, answers, 0.0, 1))
    np.testing.assert_allclose(found, [1 / 3, 1 / 3, *third, 0, 0], rtol=1e-14)
    found = fp.simplex.probabilities(families.final_answer_logits(logits, answers, 0.0, 2))
    np.testing.assert_allclose(found, [0.5, 0.5, 0, 0, 0, 0], rtol=1e-14)


@pytest.mark.parametrize(("logits", "answers"), TIED)
def test_at_infinite_temperature_the_reasonings_that_are_left_count(logits, answers):
    weights, answers = np.exp(logits), np.asarray(answers)
    alive = weights > 0
    expected = [
        (alive & (answers == answer)).sum() / alive.sum() * w / weights[answers == answer].sum()
        if w
        else 0.0
        for answer, w in zip(answers, weights, strict=True)
    ]
    logits = jnp.array(logits)
    for law in (
        families.final_answer_logits(logits, answers, np.inf, 1),
        families.final_answer_logits(logits, answers, np.inf, 4),
        families.final_answer_limit(logits, answers, np.inf),
    ):
        np.testing.assert_allclose(fp.simplex.probabilities(law), expected, rtol=1e-13)


def test_answers_that_tie_stay_tied_however_long():
    """The same reasonings in another order: their sums differ in the last digit, and T⁻ᵗ grows."""
    p = jnp.array([0.1, 0.2, 0.06, 0.14, 0.06, 0.2, 0.14, 0.1])
    answers = [0] * 4 + [1] * 4
    for generation in (1, 60, 5000):
        law = families.final_answer_logits(jnp.log(p), answers, 0.5, generation)
        np.testing.assert_allclose(fp.simplex.probabilities(law), p, rtol=1e-12)
