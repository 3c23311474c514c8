"""Counts of independent draws: a multinomial variate in as few random numbers as it takes.

Few draws invert the distribution function, many take one binomial variate an outcome. Both keep
what is rare in float32 as well, where 1 − 1e-8 is 1: the distribution function is then added up in
whole numbers of up to 60 bits, and a binomial variate is drawn from its probability *and* that of
the rest, whichever is smaller.

References:
    Hörmann (1993), The generation of binomial random variates, J. Stat. Comput. Simul. 46, 101
    (transformed rejection, BTRS).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt

from fixedpoint.kernels.random import uniform_near_0

__all__ = ["binomial", "by_binomials", "by_bisection", "places"]


# --- Few draws ------------------------------------------------------------------------------------


def by_bisection(
    key: Array, weights: Float[Array, "*batch outcomes"], num_samples: int
) -> Float[Array, "*batch outcomes"]:
    """Invert the distribution function at uniform points; a histogram of the indices found.

    Args:
        key: A random key.
        weights: of the outcomes, at most 1, float32 or float64; what is 0 is never drawn.
        num_samples: n.

    Returns:
        The counts.

    Validity:
        Probabilities to 2⁻⁵² of the whole in float64, and about 2⁻⁴⁴ in float32 (`places`).
    """
    search = _in_floats if weights.dtype == jnp.float64 else _in_whole_numbers
    return search(key, weights, num_samples)


def _histogram(drawn: Array, like: Array) -> Array:
    return jnp.zeros_like(like).at[drawn].add(1)


def _in_floats(key: Array, weights: Array, num_samples: int) -> Array:
    # C(i-1) ≤ uC(K) < C(i), with C constant across an outcome of weight 0: a parallel cumulative
    # sum on its own is not, as two neighbours may be rounded differently.
    cumulative = jax.lax.cummax(
        jnp.where(weights > 0, jnp.cumsum(weights, -1), 0), axis=weights.ndim - 1
    )
    total = cumulative[..., -1:]
    uniform = jax.random.uniform(key, (*weights.shape[:-1], num_samples), weights.dtype)
    points = jnp.minimum(uniform * total, jnp.nextafter(total, jnp.zeros_like(total)))

    def count(cumulative: Array, points: Array) -> Array:
        return _histogram(jnp.searchsorted(cumulative, points, side="right"), cumulative)

    return jnp.vectorize(count, signature="(k),(n)->(k)")(cumulative, points)


class _Whole(NamedTuple):
    """Shares of 1 as whole numbers of 2⁻²ᵇ: high · 2ᵇ + low, 0 ≤ low < 2ᵇ, b ≤ 30."""

    bits: int
    high: Array
    low: Array

    @classmethod
    def of(cls, bits: int, share: Array) -> _Whole:
        """A share, 0 ≤ share < 2, rounded down."""
        high = jnp.floor(share * 2.0**bits)
        low = jnp.floor((share * 2.0**bits - high) * 2.0**bits)
        return cls(bits, high.astype(jnp.uint32), low.astype(jnp.uint32))

    def at(self, place: Any) -> _Whole:
        return _Whole(self.bits, self.high[place], self.low[place])

    def moved(self, other: _Whole, up: Array) -> _Whole:
        """The sum, or where not `up` the difference."""
        low = jnp.where(up, self.low + other.low, self.low - other.low)
        # Modulo 2³², the highest bit is a borrow.
        carry = jnp.where(up, low >> np.uint32(self.bits), -(low >> np.uint32(31)))
        high = jnp.where(up, self.high + other.high, self.high - other.high) + carry
        return _Whole(self.bits, high, low & np.uint32(2**self.bits - 1))

    def at_most(self, other: _Whole) -> Array:
        return (self.high < other.high) | ((self.high == other.high) & (self.low <= other.low))


def _running_sum(bits: int, share: Array) -> _Whole:
    """The sums of the first 1, 2, 3, ... shares, exactly."""
    number, half = _Whole.of(bits, share), np.uint32(bits // 2)
    mask = np.uint32(2 ** (bits // 2) - 1)
    words = number.low, number.high
    # Digits of so few bits that no sum of them reaches 2³²; the carries are made up afterwards.
    digits = jnp.stack([digit for word in words for digit in (word & mask, word >> half)])
    carry, found = jnp.zeros_like(number.low), []
    for digit in jnp.cumsum(digits, -1, dtype=jnp.uint32):
        found.append((digit + carry) & mask)
        carry = (digit + carry) >> half
    high = found[2] + ((found[3] + (carry << half)) << half)
    return _Whole(bits, high, found[0] + (found[1] << half))


def _in_whole_numbers(key: Array, weights: Array, num_samples: int) -> Array:
    num_outcomes = weights.shape[-1]
    size = 1 << (num_outcomes - 1).bit_length()
    # Added up in pairs, the sum is right to a few units in the last place for any number.
    total = jnp.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, size - num_outcomes)])
    while total.shape[-1] > 1:
        total = total[..., ::2] + total[..., 1::2]
    words = jax.random.bits(key, (*weights.shape[:-1], num_samples, 2), jnp.uint32)

    def count(share: Array, words: Array) -> Array:
        return _histogram(places(share, words), share)

    return jnp.vectorize(count, signature="(k),(n,m)->(k)")(weights / total, words)


def places(
    share: Float[Array, " outcomes"], words: UInt[Array, "samples 2"]
) -> Int[Array, " samples"]:
    """The outcomes at which uniform points fall, in whole numbers.

    Args:
        share: of the outcomes, which add up to 1 within rounding; what is 0 is never drawn.
        words: two words of 32 random bits for each sample.

    Returns:
        The number of the outcome of each sample.

    Validity:
        Shares are added up exactly, in units of 2⁻⁶⁰ (2⁻⁴⁴ for a million outcomes); the points are
        stretched by what their sum is off 1, to 2⁻²⁴ of that.
    """
    num_outcomes, dtype = len(share), share.dtype
    size = 1 << (num_outcomes - 1).bit_length()
    bits = 2 * min(15, 32 - size.bit_length())
    cumulative = _running_sum(bits, share)
    whole = cumulative.at(-1)
    excess = (whole.high.astype(jnp.int32) - 2**bits).astype(dtype) * 2.0**-bits
    words = words >> np.uint32(32 - bits)
    shift = _Whole.of(bits, words[:, 0].astype(dtype) * 2.0**-bits * jnp.abs(excess))
    points = _Whole(bits, words[:, 0], words[:, 1]).moved(shift, excess > 0)

    def halve(number: Any, place: Array) -> Array:
        further = place + (jnp.int32(size) >> (number + 1).astype(jnp.int32))
        below = jnp.minimum(further, num_outcomes) - 1
        passed = (further <= num_outcomes) & cumulative.at(below).at_most(points)
        return jnp.where(passed, further, place)

    nowhere = jnp.zeros(len(words), jnp.int32)
    place = jax.lax.fori_loop(0, size.bit_length() - 1, halve, nowhere)
    # A point that rounding leaves beyond the whole falls to the last outcome that has a share.
    return jnp.minimum(place, jnp.sum(~whole.at_most(cumulative), dtype=jnp.int32))


# --- Many draws -----------------------------------------------------------------------------------


def by_binomials(
    key: Array, weights: Float[Array, "*batch outcomes"], num_samples: int
) -> Float[Array, "*batch outcomes"]:
    """One binomial variate an outcome: N_i given N_1..N_{i-1} has odds w_i : w_{i+1} + ... + w_K.

    Args:
        key: A random key.
        weights: of the outcomes, float32 or float64; what is 0 is never drawn.
        num_samples: n, at most what the dtype can count.

    Returns:
        The counts, which add up to n.
    """
    axis = weights.ndim - 1
    here = jax.lax.cumsum(weights, axis, reverse=True)
    after = jnp.concatenate([here[..., 1:], jnp.zeros_like(here[..., :1])], axis)
    alive = jnp.where(here > 0, here, 1)

    def draw(left: Any, inputs: Any) -> Any:
        outcome, share, rest = inputs
        # The last outcome of positive weight gets all that is left.
        undecided = (share > 0) & (rest > 0) & (left > 0)
        count = binomial(
            jax.random.fold_in(key, outcome),
            jnp.where(undecided, left, 1),
            jnp.where(undecided, share, 0.5),
            jnp.where(undecided, rest, 0.5),
        )
        count = jnp.where(undecided, count, jnp.where(share > 0, left, 0))
        return left - count, count

    left = jnp.full(weights.shape[:-1], num_samples, weights.dtype)
    shares = jnp.moveaxis(weights / alive, -1, 0), jnp.moveaxis(after / alive, -1, 0)
    inputs = jnp.arange(weights.shape[-1]), *shares
    return jnp.moveaxis(jax.lax.scan(draw, left, inputs)[1], 0, -1)


def binomial(key: Array, count: Array, share: Array, rest: Array) -> Array:
    """A binomial variate: how many of `count` draws are of an outcome with the given share.

    Args:
        key: A random key.
        count: n ≥ 1, a float, as exact as the dtype counts.
        share: p in (0, 1).
        rest: 1 − p in (0, 1), given as well, as it has no digits left of 1 where p is tiny.

    Returns:
        The number, a float.

    Validity:
        Exact up to rounding of p and 1 − p, for any n that the dtype counts: the acceptance is
        decided by a difference of logarithms in which nothing large cancels.
    """
    p, q = jnp.minimum(share, rest), jnp.maximum(share, rest)
    few = count * p < 10
    small, large = jax.random.fold_in(key, 0), jax.random.fold_in(key, 1)
    # Each is given a harmless case where the other is used, which it must not wait for.
    rare = _by_gaps(small, jnp.where(few, count, 0), p)
    frequent = _by_rejection(
        large, jnp.where(few, 64, count), jnp.where(few, 0.5, p), jnp.where(few, 0.5, q)
    )
    drawn = jnp.where(few, rare, frequent)
    return jnp.where(share <= rest, drawn, count - drawn)


def _by_gaps(key: Array, count: Array, p: Array) -> Array:
    """Mean below 10: the gaps between two draws of the outcome are geometric variates."""
    dtype, rate = p.dtype, -jnp.log1p(-p)

    def gap(state: Any) -> Any:
        number, draws, successes = state
        words = jax.random.bits(jax.random.fold_in(key, number), (2, *p.shape), jnp.uint32)
        # An exponential variate to 2⁻⁴⁸, also in float32: how rare an outcome may be.
        waited = -jnp.log1p(-uniform_near_0(words[0], words[1], dtype))
        draws = draws + jnp.floor(waited / rate) + 1
        return number + 1, draws, successes + (draws <= count)

    start = jnp.zeros((), jnp.uint32), jnp.zeros_like(p), jnp.zeros_like(p)
    return jax.lax.while_loop(lambda state: jnp.any(state[1] < count), gap, start)[2]


def _by_rejection(key: Array, n: Array, p: Array, q: Array) -> Array:
    """Mean of 10 at least, p ≤ 1/2: Hörmann's transformed rejection with a squeeze."""
    deviation = jnp.sqrt(n * p * q)
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * p
    scale = (2.83 + 5.1 / b) * deviation
    squeeze = 0.92 - 4.2 / b
    mode = jnp.floor((n + 1) * p)
    centre = n * p + 0.5 - mode
    left = (n + 1) * p - mode
    # log[(p/q)(n − m + 1)/(m + 1)], which is about 1/m at most.
    slope = jnp.log1p((left - q) / (q * (mode + 1)))
    at_mode = _stirling_rest(mode) + _stirling_rest(n - mode)

    def attempt(state: Any) -> Any:
        number, drawn, accepted = state
        u, v = jax.random.uniform(jax.random.fold_in(key, number), (2, *p.shape), p.dtype)
        u = u - 0.5
        us = 0.5 - jnp.abs(u)
        us = jnp.maximum(us, jnp.finfo(p.dtype).tiny ** 0.25)
        # In steps from the mode, which are small numbers.
        steps = jnp.floor((2 * a / us + b) * u + centre)
        inside = (steps >= -mode) & (steps <= n - mode)
        k = jnp.clip(mode + steps, 0, n)
        steps = jnp.clip(steps, -mode, n - mode)
        # log[Bin(k)/Bin(mode)] from Stirling's formula; the terms linear in the steps cancel.
        x, y = steps / (mode + 1), -steps / (n - mode + 1)
        height = (
            steps * slope
            - (mode + 1) * _deviance(x)
            - (n - mode + 1) * _deviance(y)
            + (jnp.log1p(x) + jnp.log1p(y)) / 2
            + at_mode
            - _stirling_rest(k)
            - _stirling_rest(n - k)
        )
        fits = jnp.log(v * scale / (a / (us * us) + b)) <= height
        accept = ~accepted & inside & (((us >= 0.07) & (v <= squeeze)) | fits)
        return number + 1, jnp.where(accept, k, drawn), accepted | accept

    start = jnp.zeros((), jnp.uint32), mode, jnp.zeros(p.shape, bool)
    return jax.lax.while_loop(lambda state: ~jnp.all(state[2]), attempt, start)[1]


def _deviance(x: Array) -> Array:
    """(1 + x) log(1 + x) − x for x > −1, to its last digits near 0, where it is x²/2."""
    t = x / (2 + x)  # log(1 + x) = 2 artanh t
    t = jnp.where(jnp.abs(x) < 0.3, t, 0)
    square = t * t
    tail = jnp.zeros_like(t)
    for power in range(17, 1, -2):
        tail = (tail + 1 / power) * square
    near = 2 * (square + (1 + t) * t * tail) / (1 - t)
    return jnp.where(jnp.abs(x) < 0.3, near, (1 + x) * jnp.log1p(x) - x)


def _stirling_rest(k: Array) -> Array:
    """Log k! − [log(2π)/2 + (k + 1/2) log(k + 1) − (k + 1)]."""
    exact = [
        0.0810614667953272582, 0.0413406959554092941, 0.0276779256849983391,
        0.0207906721037650931, 0.0166446911898211922, 0.0138761288230707480,
        0.0118967099458917701, 0.0104112652619720965, 0.0092554621827127329,
        0.0083305634333631295,
    ]  # fmt: skip
    table = jnp.asarray(exact, k.dtype)
    square = (k + 1) ** 2
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / square) / square) / square) / (k + 1)
    return jnp.where(k < 10, table[jnp.clip(k, 0, 9).astype(jnp.int32)], series)
