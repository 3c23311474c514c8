"""Any number of outcomes at temperature 1, against the full chain and exact values."""

import time

import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import absorption, ancestors, fixation_time, from_loop, law, survivors


def logarithm(values):
    with np.errstate(divide="ignore"):
        return np.log(np.asarray(values, float))


def test_fixation_time_equals_the_full_chain():
    chain = from_loop(fp.Loop(corpus=fp.Fresh(7)), 3)
    full = absorption(chain).mean
    for counts, expected in zip(chain.counts, full, strict=True):
        assert fixation_time(logarithm(counts), 7) == pytest.approx(expected, rel=1e-13)
    logits = jnp.log(jnp.array([0.2, 0.5, 0.3])) + 7  # no multiple of 1/7
    from_model = 1 + chain.first_generation(logits) @ full
    assert fixation_time(logits, 7) == pytest.approx(from_model, rel=1e-13)
    assert fixation_time(np.log([1, 1, 2]), 4) == pytest.approx(749 / 145, rel=1e-14)
    assert fixation_time(np.log([15, 8, 4, 2, 1]), 30) == pytest.approx(46.0034, abs=5e-5)
    assert fixation_time([-np.inf, 1.0], 5) == 0
    assert fixation_time([0.3, 0.7], 1) == 1


def test_almost_one_outcome_leaves_almost_one_generation():
    """Two samples of (1 − e, e): 1 + 4e generations; the chance is kept where 1 − e rounds to 1."""
    for gap in (30.0, 100.0, 700.0, 800.0):
        rare = float(mpmath.exp(-gap))
        assert fixation_time([0.0, -gap], 2) - 1 == pytest.approx(4 * rare, abs=3e-16)
        assert survivors([1.0, 1.0 - gap], 5, 1) - 1 == pytest.approx(5 * rare, abs=3e-16)


def test_survivors_equal_the_full_chain():
    p = np.array([0.5, 0.3, 0.15, 0.05])
    chain = from_loop(fp.Loop(corpus=fp.Fresh(6)), 4)
    left = (chain.counts > 0).sum(-1)
    first = chain.first_generation(jnp.log(p))
    for generation in (1, 2, 9):
        expected = law(chain, generation - 1, first) @ left
        assert survivors(np.log(p), 6, generation) == pytest.approx(expected, rel=1e-13)
    assert survivors(logarithm(np.append(p, 0)), 6, 0) == 4


def test_survivors_of_a_power_law():
    p = np.arange(1, 201) ** -1.5
    found = [survivors(np.log(p), 50, t) for t in (1, 2, 5, 10, 50, 200)]
    np.testing.assert_allclose(found, [16.581, 12.436, 7.903, 5.360, 1.9723, 1.0410], atol=6e-4)


def test_ancestors():
    n = 8
    assert ancestors(n, 0)[n] == 1
    # E[occupied boxes] = n (1 - (1 - 1/n)^balls)
    mean = ancestors(n, 1) @ np.arange(n + 1)
    assert mean == pytest.approx(n * (1 - (1 - 1 / n) ** n), rel=1e-14)
    late = ancestors(n, 1_000)
    assert late[1] == pytest.approx(1, rel=1e-13)
    assert late.sum() == pytest.approx(1, rel=1e-13)


@pytest.mark.parametrize("generation", [1, 37, 10**4, 10**7, 10**12])
def test_late_generations_take_no_longer_and_are_right(generation):
    """The ancestors of four samples, against the power of their transitions at 40 digits."""
    with mpmath.workdps(40):
        # How many of four boxes 1, 2, 3, 4 balls occupy: the numbers of ways.
        ways = mpmath.matrix([[4, 0, 0, 0], [4, 12, 0, 0], [4, 36, 24, 0], [4, 84, 144, 24]])
        P = mpmath.diag([mpmath.mpf(4) ** -balls for balls in (1, 2, 3, 4)]) * ways
        exact = [float(x) for x in (P**generation)[3, :]]
    started = time.perf_counter()
    found = ancestors(4, generation)
    assert time.perf_counter() - started < 2
    np.testing.assert_allclose(found[1:], exact, rtol=1e-13, atol=1e-16)
    left = sum(p * (2 - 0.75**a - 0.25**a) for a, p in enumerate(exact, start=1))
    assert survivors(np.log([3, 1]), 4, generation + 1) == pytest.approx(left, rel=1e-13)


def test_slow_losses_keep_their_digits():
    """Two ancestors of 1,000 samples become one with the chance 1/1,000 a generation."""
    n, t = 1_000, 20_000
    found = ancestors(n, t)[2] / ancestors(n, t // 2)[2]
    # From generation t/2 on hardly anything else is left: the ratio is λ₂^{t/2}.
    assert found == pytest.approx(float(mpmath.mpf(n - 1) / n) ** (t // 2), rel=1e-7)


def test_misuse_is_named():
    with pytest.raises(ValueError, match=r"6,000 \(`fixedpoint.laws.resampling.fixation_time"):
        fixation_time([0.0, 0.0], 10_000)
    with pytest.raises(ValueError, match=r"6,000 \(`fixedpoint.laws.resampling.survivors"):
        survivors([0.0, 0.0], 10_000, 1)
    with pytest.raises(ValueError, match=r"`logits` must have shape \(num_outcomes,\)"):
        fixation_time([[0.5, 0.5]], 10)
    with pytest.raises(ValueError, match="`logits` must be finite or -inf"):
        survivors([0.5, np.nan], 10, 1)
