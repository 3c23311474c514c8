"""Counts of draws against exact laws, above all what is rare where 1 − 1e-8 is 1."""

from fractions import Fraction
from itertools import accumulate
from math import comb

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
from jax.scipy.special import gammaincc

from fixedpoint.kernels.multinomial import (
    _deviance,
    _running_sum,
    _stirling_rest,
    binomial,
    by_binomials,
    by_bisection,
    places,
)

FLOATS = [jnp.float32, jnp.float64]
VARIATES = 2**15


@jax.jit
def variates(key, count, share, rest):
    shape = (VARIATES,)
    return binomial(key, *(jnp.broadcast_to(value, shape) for value in (count, share, rest)))


def drawn(key, dtype, count, share, rest):
    numbers = (jnp.asarray(value, dtype) for value in (count, share, rest))
    found = variates(key, *numbers)
    assert found.dtype == dtype
    return np.asarray(found, float)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize(("n", "p"), [(5, 0.3), (41, 0.75)])
def test_the_law_is_the_binomial_one(key, dtype, n, p):
    found = np.bincount(drawn(key, dtype, n, p, 1 - p).astype(int), minlength=n + 1)
    p = Fraction(float(np.asarray(p, dtype)))
    law = [float(comb(n, k) * p**k * (1 - p) ** (n - k)) for k in range(n + 1)]
    expected = np.array(law) * VARIATES
    assert len(found) == n + 1
    often = expected > 10
    rest = found[~often].sum() - expected[~often].sum()
    chi = ((found - expected) ** 2 / expected)[often].sum() + rest**2 / (expected[~often].sum() + 1)
    assert gammaincc(often.sum() / 2, chi / 2) > 1e-6


@pytest.mark.parametrize(
    ("dtype", "n", "p", "q"),
    [
        (jnp.float32, 8_000_000, 0.5, 0.5),
        (jnp.float32, 4_000_000, 0.3, 0.7),
        (jnp.float32, 4_000_000, 1 - 1e-8, 1e-8),
        (jnp.float32, 4_000_000, 3e-7, 1 - 3e-7),
        (jnp.float32, 8_000_000, 1 - 1e-5, 1e-5),
        (jnp.float64, 2**52, 0.2, 0.8),
        (jnp.float64, 10**15, 1.0, 3e-15),
        (jnp.float64, 10**15, 1 - 1e-12, 1e-12),
    ],
)
def test_moments_of_many_draws(key, dtype, n, p, q):
    """Mean, variance and fourth moment of the rarer one; JAX's variance is 1% off in float32."""
    found = drawn(key, dtype, n, p, q)
    rare, count = min(p, q), found if p <= q else n - found
    variance = n * rare * (1 - rare)
    z = (count - n * rare) / np.sqrt(variance)
    fourth = 3 + (1 - 6 * rare * (1 - rare)) / variance
    assert abs(z.mean()) < 5 / np.sqrt(VARIATES)
    assert abs((z**2).mean() - 1) < 5 * np.sqrt((fourth - 1) / VARIATES)
    if variance > 20:
        assert abs((z**4).mean() - fourth) < 5 * np.sqrt(120 / VARIATES)


def test_the_acceptance_keeps_its_digits():
    for x in (-0.999, -0.31, -0.29, -1e-3, 1e-9, 1e-4, 0.2999, 0.3001, 40.0):
        with mpmath.workdps(40):
            exact = (1 + mpmath.mpf(x)) * mpmath.log1p(x) - x
        assert float(_deviance(jnp.asarray(x))) == pytest.approx(float(exact), rel=4e-15)
    for k in (0, 1, 9, 10, 11, 500):
        with mpmath.workdps(40):
            half = mpmath.mpf(1) / 2
            stirling = mpmath.log(2 * mpmath.pi) / 2 + (k + half) * mpmath.log(k + 1) - (k + 1)
            exact = mpmath.log(mpmath.factorial(k)) - stirling
        assert float(_stirling_rest(jnp.asarray(float(k)))) == pytest.approx(float(exact), rel=1e-9)


RARE = np.array([0.7, 1e-8, 0.0, 0.3, 2e-8, 5e-9])
"""Outcomes that one uniform number of float32 never draws where they stand last."""


@pytest.mark.parametrize("dtype", FLOATS)
def test_rare_outcomes_by_binomials(key, dtype):
    """Wherever they stand: 4,000,000 draws, 2,048 times each of two orders."""
    weights = np.concatenate([np.tile(RARE, (2**11, 1)), np.tile(RARE[::-1], (2**11, 1))])
    counts = np.asarray(MANY(key, jnp.asarray(weights, dtype), 4_000_000), float)
    assert np.all(counts.sum(-1) == 4_000_000)
    assert np.all(counts[weights == 0] == 0)
    for half in (counts[: 2**11], counts[2**11 :, ::-1]):
        expected = 4_000_000 * RARE / RARE.sum()
        error = np.sqrt(expected * (1 - RARE / RARE.sum()) / 2**11)
        assert np.all(np.abs(half.mean(0) - expected) <= 5 * error)


def test_rare_outcomes_by_bisection(key):
    """In float32: one of weight 1 before and after what is rare, 2²¹ draws."""
    weights = jnp.asarray([2e-6, 1.0, 3e-6, 0.0, 1.0, 5e-6, 4e-6], jnp.float32)
    counts = np.asarray(FEW(key, jnp.tile(weights, (2**5, 1)), 2**16), float).sum(0)
    expected = np.asarray(weights, float) / np.asarray(weights, float).sum() * 2**21
    assert counts.sum() == 2**21
    assert np.all(np.abs(counts - expected) <= 5 * np.sqrt(expected))


@pytest.mark.parametrize("num_outcomes", [1, 2, 3, 64, 1000])
def test_points_fall_where_they_should(num_outcomes):
    """The distribution function in whole numbers, against fractions: to 2⁻⁴⁴ of the whole."""
    weights = np.linspace(1.0, 1e-6, num_outcomes, dtype=np.float32) ** 5
    share = weights / weights.sum(dtype=np.float32)
    bits = 2 * min(15, 31 - (num_outcomes - 1).bit_length())
    found = _running_sum(bits, jnp.asarray(share))
    sums = accumulate(Fraction(float(one)) for one in share)
    for high, low, exact in zip(found.high.tolist(), found.low.tolist(), sums, strict=True):
        below = exact - Fraction(high * 2**bits + low, 4**bits)
        assert 0 <= below <= Fraction(num_outcomes, 4**bits)


def test_points_at_the_edges_of_shares():
    """The lowest and the highest point of each outcome, also where 1 − 2⁻²⁷ is 1 in float32."""
    share = np.array([0.5, 0.0, 0.25, 0.25 - 2.0**-26, 2.0**-27, 2.0**-27, 0.0], np.float32)
    assert share.sum(dtype=np.float64) == 1
    bits = 30
    ends = [int(Fraction(float(x)) * 4**bits) for x in np.cumsum(share.astype(float))]
    lowest = [0, *(end for end, x in zip(ends, share[1:], strict=False) if x > 0)]
    highest = [end - 1 for end, x in zip(ends, share, strict=True) if x > 0]
    numbers = lowest[:5] + highest
    words = np.array([[n >> bits << 2, n % 2**bits << 2] for n in numbers])
    found = places(jnp.asarray(share), jnp.asarray(words, jnp.uint32))
    assert found.tolist() == [0, 2, 3, 4, 5] * 2


FEW, MANY = (jax.jit(engine, static_argnums=2) for engine in (by_bisection, by_binomials))
