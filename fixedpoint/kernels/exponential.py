r"""Exponential and logarithm in as few operations as double precision allows.

2^t = 2^n 2^r with n the nearest integer, so that |r| ≤ ½ exactly, and 2^r a polynomial of degree
10. XLA's own exponential spends about half as much again on the range where results are denormal
and on an accuracy that a sum of many does not notice.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

__all__ = ["exponential", "logarithm", "power_of_two"]

LOG2_E = 1.4426950408889634
_ROOT_HALF = 0x3FE6A09E667F3BCD  # the bits of √½

# Chebyshev interpolation of 2^r on |r| ≤ ½, error 2.2e-16 (mpmath.chebyfit; see the test).
_COEFFICIENTS = (
    1.0,
    0.69314718055995,
    0.24022650695910097,
    0.05550410866444772,
    0.009618129107606888,
    0.0013333558230164974,
    0.0001540353044173605,
    1.5252657260200837e-05,
    1.321544258792169e-06,
    1.0208690299958306e-07,
    7.072585949269223e-09,
)


def power_of_two(t: Float[Array, "..."]) -> Float[Array, "..."]:
    """2^t for t < 1023, in double precision; 0 below the smallest normal number.

    Validity:
        4e-16 relative (`tests/kernels/test_exponential.py`). It has no derivative.
    """
    t = jnp.maximum(t, -1023.0)
    n = jnp.round(t)
    r = t - n
    polynomial = jnp.full_like(r, _COEFFICIENTS[-1])
    for coefficient in reversed(_COEFFICIENTS[:-1]):
        polynomial = polynomial * r + coefficient
    # The last bits of n + 1.5·2⁵² are those of the integer n; with the bias 1023 they are, moved to
    # the place of the exponent, 2ⁿ. (Taking n itself from that sum, as one does in C, is
    # simplified away by XLA.) n = -1023 gives 0.
    bits = lax.bitcast_convert_type(n + (1.5 * 2**52 + 1023), jnp.int64) << 52
    return polynomial * lax.bitcast_convert_type(bits, jnp.float64)


def exponential(y: Float[Array, "..."]) -> Float[Array, "..."]:
    """e^y for y < 709, in double precision; 0 below the smallest normal number.

    Validity:
        (4 + 2|y|)·1e-16 relative, as the product y log₂e is rounded: 1e-13 at the far end, where
        `jnp.exp` keeps 16 digits (`tests/kernels/test_exponential.py`). It has no derivative.
    """
    return power_of_two(y * LOG2_E)


def logarithm(z: Float[Array, "..."]) -> Float[Array, "..."]:
    """Log z for normal numbers z > 0, in double precision.

    With z = 2^n m, √½ ≤ m < √2 and s = (m − 1)/(m + 1): log m = 2 (s + s³/3 + s⁵/5 + …).

    Validity:
        4e-16 max(1, |log z|) absolute (`tests/kernels/test_exponential.py`). It has no derivative.
    """
    bits = lax.bitcast_convert_type(z, jnp.int64)
    n = (bits - _ROOT_HALF) >> 52
    m = lax.bitcast_convert_type(bits - (n << 52), jnp.float64)
    s = (m - 1) / (m + 1)
    square = s * s
    series = jnp.full_like(s, 1 / 21)
    for odd in range(19, 2, -2):
        series = series * square + 1 / odd
    return n.astype(jnp.float64) * (1 / LOG2_E) + 2 * (s + s * square * series)
