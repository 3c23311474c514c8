"""The closed forms of resampling at T = 1: known numbers, edges, precision, large sizes."""

from fractions import Fraction
from itertools import islice
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fixedpoint import chain
from fixedpoint.laws import resampling, truncation
from fixedpoint.laws.resampling import derivation, solution

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
    np.testing.assert_allclose(
        resampling.fixation_time(two(p), num_samples), float(time), rtol=1e-13
    )


@pytest.mark.parametrize(
    ("counts", "time"),
    [((1, 1, 2), 749 / 145), ((10,) * 3, 46.9305), ((15, 8, 4, 2, 1), 46.0034)],
)
def test_fixation_time_of_several_outcomes(counts, time):
    found = resampling.fixation_time(jnp.log(jnp.array(counts)), sum(counts))
    np.testing.assert_allclose(found, time, rtol=2e-6)


@pytest.mark.parametrize(
    ("generation", "left"),
    [(1, 16.581), (2, 12.436), (5, 7.903), (10, 5.360), (50, 1.9723), (200, 1.0410)],
)
def test_survivors_of_words(generation, left):
    np.testing.assert_allclose(resampling.survivors(WORDS, 50, generation), left, rtol=1e-4)


@pytest.mark.long
def test_survivors_under_top_k():
    words = -jnp.log(jnp.arange(1, 1001.0))
    generations = [1, 2, 5, 10, 20, 50, 100]
    found = resampling.truncation(words, 200, generations, 20)
    known = [19.698, 18.904, 16.233, 13.027, 9.525, 5.589, 3.487]
    np.testing.assert_allclose(found, known, atol=6e-4)
    whole = resampling.survivors(words, 200, generations)
    known = [108.015, 75.860, 43.187, 26.472, 15.541, 7.309, 4.055]
    np.testing.assert_allclose(whole, known, atol=6e-4)


def test_nucleus_support_of_words_and_of_equal_outcomes():
    def words(exponent, number=10_000):
        return -exponent * jnp.log(jnp.arange(1, number + 1.0))

    found = [
        truncation.nucleus_support(words(e), q)
        for e, q in ((1, 0.9), (1, 0.99), (1.5, 0.95), (0.8, 0.95))
    ]
    assert found == [4, 25, 5, 9]
    assert truncation.nucleus_support(jnp.zeros(1000), 0.905) == 10
    # Of b equal outcomes b − 1 have the mass (b − 1)/b exactly, which is enough.
    sizes = np.arange(2, 31)
    for dtype in (jnp.float64, jnp.float32):
        models = jnp.zeros((len(sizes), 40), dtype)
        found = truncation.nucleus_support(models, jnp.asarray((sizes - 1) / sizes, dtype))
        np.testing.assert_array_equal(found, sizes - 1)
    # A mass of 1 cuts nothing, also not what underflows.
    assert truncation.nucleus_support(jnp.array([0.0, -800.0, -jnp.inf]), 1.0) == 2


def test_on_the_boundary_of_a_nucleus_and_beyond_nothing_is_left_to_decide():
    for share in (0.9, 0.95, 0.05):
        gap = np.log(share / (1 - share))
        assert 0 <= truncation.nucleus_boundary(gap, 0.9, 400) < 1e-10
    assert truncation.nucleus_boundary(0.0, 0.4, 400) == 0
    # 800 (S(0.3) − S(0.1))
    entropy = -0.3 * np.log(0.3) - 0.7 * np.log(0.7) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)
    gap = np.log(0.3 / 0.7)
    assert truncation.nucleus_boundary(gap, 0.9, 400) == pytest.approx(800 * entropy, rel=1e-12)


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
                np.append(
                    resampling.survivors(m, 1500, generations), resampling.fixation_time(m, 1500)
                )
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
                resampling.fixation_time(jnp.array([gap, 0.0]), n)
                - resampling.fixation_time_expansion(gap, n)
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
            resampling.fixation_time(jnp.array([gap, 0.0]), num_samples),
            resampling.fixation_time_expansion(gap, num_samples),
            rtol=1e-12,
        )


def test_cumulants_of_many_ancestors_keep_their_digits():
    """Of 10¹¹ samples, after 1,000 generations: the recursion itself at 60 digits."""
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


@pytest.mark.parametrize(
    ("num_samples", "generations"), [(40, [1, 7, 300, 10**6]), (2000, [3, 20, 2000, 5000])]
)
def test_late_survivors_are_those_of_the_chain(num_samples, generations):
    words = WORDS[:30]
    found = resampling.survivors(words, num_samples, generations)
    exact = [chain.survivors(words, num_samples, t) for t in generations]
    np.testing.assert_allclose(found, exact, rtol=1e-10 if num_samples > 1024 else 1e-13)


def test_what_takes_too_long_is_said_beforehand():
    with pytest.raises(ValueError, match="`fixation_time_diffusion` takes any number"):
        resampling.fixation_time(jnp.zeros(2), 10**11 + 1)
    with pytest.raises(ValueError, match=r"at most 1,600,000,000 beyond generation 10,000,000"):
        resampling.survivors(jnp.zeros(2), 10**10, [3, 10**8])
    assert resampling.survivors(jnp.zeros(2), 10**15, [0, 3]).tolist() == [2, 2]


def test_the_chain_of_each_outcome_gives_the_same_numbers():
    words = WORDS[:20]
    np.testing.assert_allclose(
        resampling.fixation_time(words, 300), chain.fixation_time(words, 300), rtol=1e-11
    )


@pytest.mark.parametrize("num_samples", [1, 2, 7])
def test_edges(num_samples):
    lost, fixed = jnp.array([0.7, -jnp.inf, -0.3]), jnp.array([-jnp.inf, 0.3])
    kept = jnp.array([0.7, -0.3])
    for call in (
        lambda x: resampling.fixation_time(x, num_samples),
        lambda x: resampling.survivors(x, num_samples, [0, 1, 5]),
        lambda x: resampling.first_extinction(x, num_samples),
        lambda x: resampling.heterozygosity(x, num_samples, 3),
    ):
        np.testing.assert_allclose(call(lost), call(kept), rtol=1e-14)
    assert resampling.fixation_time(fixed, num_samples) == 0
    assert resampling.fixation_time(jnp.zeros(1), num_samples) == 0
    assert resampling.first_extinction(fixed, num_samples) == jnp.inf
    np.testing.assert_allclose(resampling.survivors(fixed, num_samples, [0, 1, 9]), 1, rtol=1e-14)
    np.testing.assert_array_equal(resampling.survivors(jnp.zeros(4), num_samples, 0), 4)
    if num_samples == 1:
        assert resampling.fixation_time(LOGITS, 1) == 1
        np.testing.assert_allclose(resampling.survivors(LOGITS, 1, [1, 4]), 1, rtol=1e-15)


def test_truncation_to_one_and_to_all():
    np.testing.assert_allclose(resampling.truncation(LOGITS, 5, 3, 1), 1, rtol=1e-14)
    found, plain = (
        resampling.truncation(LOGITS, 5, [0, 3], 7),
        resampling.survivors(LOGITS, 5, [0, 3]),
    )
    np.testing.assert_allclose(found, plain, rtol=1e-14)


def test_first_loss_of_outcomes_of_very_different_size():
    # A plateau between two tiny probabilities: 2n p₁ log(p₂/p₁) to leading order.
    p1, p2 = 1e-200, 1e-100
    time = resampling.first_extinction(jnp.log(jnp.array([1.0, p2, p1])), 1)
    scale = p1 * (np.log(p2 / p1) + 1)
    np.testing.assert_allclose(time / (2 * scale), 1, rtol=2e-2)


def test_two_outcomes_are_both_lost_at_once():
    for gap in (0.0, 3.0):
        logits = jnp.array([gap, 0.0])
        times = [
            resampling.first_extinction(logits, 100),
            resampling.fixation_time_diffusion(logits, 100),
            resampling.entropy_lifetime(logits, 100),
        ]
        np.testing.assert_allclose(times, times[0], rtol=1e-12)


def test_the_power_law_is_the_tail_of_the_exact_survivors():
    words = -2 * jnp.log(jnp.arange(1, 50_001.0))
    top = float(jax.nn.softmax(words)[0])
    generations = [30, 300]
    exact = resampling.survivors(words, 20_000, generations)
    law = [resampling.survivors_power_law(2.0, top, 20_000, t) for t in generations]
    np.testing.assert_allclose(exact, law, rtol=2e-3)
    np.testing.assert_allclose(exact[0] / exact[1], np.sqrt(10), rtol=0.1)


def test_several_generations_are_the_last_axis():
    batch = jnp.stack([LOGITS, 2 * LOGITS])
    generations: Any = [[1, 2], [0, 3]]
    found = resampling.survivors(batch, 9, generations)
    assert found.shape == (2, 2, 2)
    np.testing.assert_allclose(found[1, 1, 1], resampling.survivors(2 * LOGITS, 9, 3), rtol=1e-14)
