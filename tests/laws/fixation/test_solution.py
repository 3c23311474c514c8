"""How many outcomes are left, and when one is: known numbers, edges, precision, large sizes."""

from fractions import Fraction
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import absorption, from_loop, law
from fixedpoint.chain.counts import binomial
from fixedpoint.laws import fixation, resampling
from fixedpoint.laws.fixation import derivation, solution

LOGITS = jnp.array([1.0, 0.2, -1.2])
WORDS = -1.5 * jnp.log(jnp.arange(1, 201.0))


def two(p):
    return jnp.array([np.log(p), np.log1p(-p)])


@pytest.mark.parametrize(
    ("p", "num_samples", "time"),
    [
        (0.5, 4, Fraction(132, 29)),
        (0.25, 4, Fraction(107, 29)),
        (0.5, 5, Fraction(9491, 1616)),
        (0.25, 5, Fraction(122231, 25856)),
        (0.5, 10, 12.590518197723334),
        (0.25, 10, 10.11536402106808),
        (0.1, 10, 5.7532764869629895),
    ],
)
def test_fixation_time_of_two_outcomes(p, num_samples, time):
    np.testing.assert_allclose(fixation.fixation_time(two(p), num_samples), float(time), rtol=1e-13)


@pytest.mark.parametrize(
    ("counts", "time"),
    [((1, 1, 2), 749 / 145), ((10,) * 3, 46.9305), ((15, 8, 4, 2, 1), 46.0034)],
)
def test_fixation_time_of_several_outcomes(counts, time):
    found = fixation.fixation_time(jnp.log(jnp.array(counts)), sum(counts))
    np.testing.assert_allclose(found, time, rtol=2e-6)


@pytest.mark.parametrize(
    ("generation", "left"),
    [(1, 16.581), (2, 12.436), (5, 7.903), (10, 5.360), (50, 1.9723), (200, 1.0410)],
)
def test_survivors_of_words(generation, left):
    np.testing.assert_allclose(fixation.survivors(WORDS, 50, generation), left, rtol=1e-4)


@pytest.mark.long
def test_survivors_under_top_k():
    words = -jnp.log(jnp.arange(1, 1001.0))
    generations = [1, 2, 5, 10, 20, 50, 100]
    found = fixation.truncation(words, 200, generations, 20)
    known = [19.698, 18.904, 16.233, 13.027, 9.525, 5.589, 3.487]
    np.testing.assert_allclose(found, known, atol=6e-4)
    whole = fixation.survivors(words, 200, generations)
    known = [108.015, 75.860, 43.187, 26.472, 15.541, 7.309, 4.055]
    np.testing.assert_allclose(whole, known, atol=6e-4)


@pytest.mark.long
def test_both_ways_to_follow_many_ancestors_agree(monkeypatch):
    """Three cumulants and state by state: within the accuracy that is stated."""
    models = [-1.1 * jnp.log(jnp.arange(1, 1001.0)), jnp.array([0.0, -9.0]), jnp.zeros(2)]
    generations = [1, 2, 3, 10, 50, 300, 3000]
    answers = []
    for limit in (1024, 2048):
        monkeypatch.setattr(solution, "EXACT_ANCESTORS", limit)
        solution._time_with_ancestors.cache_clear()
        answers.append(
            [
                np.append(fixation.survivors(m, 1500, generations), fixation.fixation_time(m, 1500))
                for m in models
            ]
        )
    solution._time_with_ancestors.cache_clear()
    for closed, followed in zip(*answers, strict=True):
        np.testing.assert_allclose(closed, followed, rtol=1e-9)


def test_the_constant_of_the_expansion():
    """By its definition, to 14 digits; and by exact times of few samples, to 6."""
    with mpmath.workdps(30):
        alive = mpmath.mpf(1)
        for _ in range(4000):
            alive = 1 - mpmath.exp(-alive)
        # The next orders of the coordinate that grows by 1 a generation: ε/36 + ε²/540.
        start = 2 / alive + mpmath.log(alive) / 3 + alive / 36 + alive**2 / 540 - 4000
        constant = start + mpmath.euler / 3 - 1.5
        assert abs(constant - mpmath.mpf(derivation.FIXATION_DIGITS)) < 1e-13
    assert abs(constant - solution.FIXATION_CONSTANT) < 1e-13
    for gap in (0.0, 0.8):
        left = [
            n
            * float(
                fixation.fixation_time(jnp.array([gap, 0.0]), n)
                - fixation.fixation_time_expansion(gap, n)
            )
            for n in (500, 1000)
        ]
        # What is left falls as 1/n: were the constant wrong in its 6th digit, it would not.
        assert abs(left[1] - left[0]) < 3e-4


@pytest.mark.parametrize("num_samples", [10**6, 10**9])
def test_a_million_samples_and_more(num_samples):
    # The expansion's error is 0.15/n: it knows the time far better than the stated 1e-9.
    for gap in (0.0, -2.0):
        np.testing.assert_allclose(
            fixation.fixation_time(jnp.array([gap, 0.0]), num_samples),
            fixation.fixation_time_expansion(gap, num_samples),
            rtol=1e-12,
        )


def test_cumulants_of_many_ancestors_keep_their_digits():
    """10¹¹ samples, 1,000 generations back: the recursion itself at 60 digits."""
    n, generations = 10**11, 1_000
    *_, found = islice(solution._crowded(n, 320), generations + 1)
    with mpmath.workdps(60):
        c = [-mpmath.log1p(-mpmath.mpf(j) / n) for j in (1, 2, 3)]
        mean, variance, third = mpmath.mpf(n), mpmath.mpf(0), mpmath.mpf(0)
        for _ in range(generations):
            kept = [mpmath.exp(-x * mean + x**2 * variance / 2 - x**3 * third / 6) for x in c]
            first, second, last = (
                n * kept[0],
                n * (n - 1) * kept[1],
                n * (n - 1) * (n - 2) * kept[2],
            )
            square, cube = second + first, last + 3 * second + first
            third = -(cube - 3 * first * square + 2 * first**3)
            mean, variance = n - first, square - first**2
    assert found[0] == pytest.approx(float(mean), rel=1e-14)
    assert found[1] == pytest.approx(float(variance), rel=1e-10)
    assert found[2] == pytest.approx(float(third), rel=0.1)  # of which 1e-10 is seen


def of_counts(counts):
    with np.errstate(divide="ignore"):
        return jnp.log(jnp.array(counts, float))


def test_the_time_is_that_of_the_chain_of_all_counts():
    chain = from_loop(fp.Loop(corpus=fp.Fresh(7)), 3)
    full = absorption(chain).mean
    for counts, expected in zip(chain.counts, full, strict=True):
        assert fixation.fixation_time(of_counts(counts), 7) == pytest.approx(expected, rel=1e-13)
    logits = jnp.log(jnp.array([0.2, 0.5, 0.3])) + 7  # no multiple of 1/7
    from_model = 1 + chain.first_generation(logits) @ full
    assert fixation.fixation_time(logits, 7) == pytest.approx(from_model, rel=1e-13)


def test_survivors_are_those_of_the_chain_of_all_counts():
    p = np.array([0.5, 0.3, 0.15, 0.05])
    chain = from_loop(fp.Loop(corpus=fp.Fresh(6)), 4)
    first, left = chain.first_generation(jnp.log(p)), (chain.counts > 0).sum(-1)
    for generation in (1, 2, 9):
        expected = law(chain, generation - 1, first) @ left
        found = fixation.survivors(jnp.log(p), 6, generation)
        assert found == pytest.approx(expected, rel=1e-13)
    assert fixation.survivors(of_counts([*p, 0]), 6, 0) == 4


def test_almost_one_outcome_leaves_almost_one_generation():
    """Two samples of (1 − e, e): 1 + 4e generations; the chance is kept where 1 − e rounds to 1."""
    for gap in (30.0, 100.0, 700.0, 800.0):
        rare = float(mpmath.exp(-gap))
        time = fixation.fixation_time(jnp.array([0.0, -gap]), 2)
        assert float(time) - 1 == pytest.approx(4 * rare, abs=3e-16)
        left = fixation.survivors(jnp.array([1.0, 1.0 - gap]), 5, 1)
        assert float(left) - 1 == pytest.approx(5 * rare, abs=3e-16)


@pytest.mark.parametrize("generation", [1, 37, 10**4, 10**7, 10**12])
def test_late_survivors_of_four_samples(generation):
    """The ancestors of four samples, by the power of their transitions at 40 digits."""
    with mpmath.workdps(40):
        # How many of four boxes 1, 2, 3, 4 balls occupy: the numbers of ways.
        ways = mpmath.matrix([[4, 0, 0, 0], [4, 12, 0, 0], [4, 36, 24, 0], [4, 84, 144, 24]])
        P = mpmath.diag([mpmath.mpf(4) ** -balls for balls in (1, 2, 3, 4)]) * ways
        exact = [float(x) for x in (P**generation)[3, :]]
    left = sum(p * (2 - 0.75**a - 0.25**a) for a, p in enumerate(exact, start=1))
    found = fixation.survivors(of_counts([3, 1]), 4, generation + 1)
    assert found == pytest.approx(left, rel=1e-13)


@pytest.mark.parametrize(
    ("num_samples", "generations"), [(40, [1, 7, 300, 10**6]), (1100, [3, 20, 1000, 3000])]
)
def test_late_survivors_are_those_of_chains_of_two(num_samples, generations):
    p = np.asarray(jax.nn.softmax(WORDS[:30]))
    two = from_loop(fp.Loop(corpus=fp.Fresh(num_samples)))
    first = binomial(np.log(np.column_stack([p, 1 - p])), num_samples)
    exact = []
    for generation in generations:
        lost = (two.counts[:, 0] == 0).astype(float)
        power, left = two.matrix, generation - 1
        while left:  # by squaring
            lost = power @ lost if left & 1 else lost
            left >>= 1
            power = power @ power if left else power
        exact.append((1 - first @ lost).sum())
    found = fixation.survivors(WORDS[:30], num_samples, generations)
    np.testing.assert_allclose(found, exact, rtol=1e-9 if num_samples > 1024 else 1e-11)


def test_what_takes_too_long_is_said_beforehand():
    with pytest.raises(ValueError, match="`fixation_time_diffusion` takes any number"):
        fixation.fixation_time(jnp.zeros(2), 10**11 + 1)
    with pytest.raises(ValueError, match=r"at most 1,600,000,000 beyond generation 10,000,000"):
        fixation.survivors(jnp.zeros(2), 10**10, [3, 10**8])
    assert fixation.survivors(jnp.zeros(2), 10**15, [0, 3]).tolist() == [2, 2]


@pytest.mark.parametrize("num_samples", [1, 2, 7])
def test_edges(num_samples):
    lost, fixed = jnp.array([0.7, -jnp.inf, -0.3]), jnp.array([-jnp.inf, 0.3])
    kept = jnp.array([0.7, -0.3])
    for call in (
        lambda x: fixation.fixation_time(x, num_samples),
        lambda x: fixation.survivors(x, num_samples, [0, 1, 5]),
        lambda x: fixation.first_extinction(x, num_samples),
    ):
        np.testing.assert_allclose(call(lost), call(kept), rtol=1e-14)
    assert fixation.fixation_time(fixed, num_samples) == 0
    assert fixation.fixation_time(jnp.zeros(1), num_samples) == 0
    assert fixation.first_extinction(fixed, num_samples) == jnp.inf
    np.testing.assert_allclose(fixation.survivors(fixed, num_samples, [0, 1, 9]), 1, rtol=1e-14)
    np.testing.assert_array_equal(fixation.survivors(jnp.zeros(4), num_samples, 0), 4)
    if num_samples == 1:
        assert fixation.fixation_time(LOGITS, 1) == 1
        np.testing.assert_allclose(fixation.survivors(LOGITS, 1, [1, 4]), 1, rtol=1e-15)


def test_truncation_to_one_and_to_all():
    np.testing.assert_allclose(fixation.truncation(LOGITS, 5, 3, 1), 1, rtol=1e-14)
    found, plain = (
        fixation.truncation(LOGITS, 5, [0, 3], 7),
        fixation.survivors(LOGITS, 5, [0, 3]),
    )
    np.testing.assert_allclose(found, plain, rtol=1e-14)


def test_first_loss_of_outcomes_of_very_different_size():
    # A plateau between two tiny probabilities: 2n p₁ log(p₂/p₁) to leading order.
    p1, p2 = 1e-200, 1e-100
    time = fixation.first_extinction(jnp.log(jnp.array([1.0, p2, p1])), 1)
    scale = p1 * (np.log(p2 / p1) + 1)
    np.testing.assert_allclose(time / (2 * scale), 1, rtol=2e-2)


def test_two_outcomes_are_both_lost_at_once():
    for gap in (0.0, 3.0):
        logits = jnp.array([gap, 0.0])
        times = [
            fixation.first_extinction(logits, 100),
            fixation.fixation_time_diffusion(logits, 100),
            resampling.entropy_lifetime(logits, 100),
        ]
        np.testing.assert_allclose(times, times[0], rtol=1e-12)


def test_the_power_law_is_the_tail_of_the_exact_survivors():
    words = -2 * jnp.log(jnp.arange(1, 50_001.0))
    top = float(jax.nn.softmax(words)[0])
    generations = [30, 300]
    exact = fixation.survivors(words, 20_000, generations)
    law = [fixation.survivors_power_law(2.0, top, 20_000, t) for t in generations]
    np.testing.assert_allclose(exact, law, rtol=2e-3)
    np.testing.assert_allclose(exact[0] / exact[1], np.sqrt(10), rtol=0.1)


def test_several_generations_are_the_last_axis():
    batch = jnp.stack([LOGITS, 2 * LOGITS])
    generations: Any = [[1, 2], [0, 3]]
    found = fixation.survivors(batch, 9, generations)
    assert found.shape == (2, 2, 2)
    np.testing.assert_allclose(found[1, 1, 1], fixation.survivors(2 * LOGITS, 9, 3), rtol=1e-14)
