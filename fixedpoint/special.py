"""Special functions that JAX lacks: Lambert's W, stable logarithms and powers, roots of functions.

All are elementwise, follow the dtype of their arguments, and work under `jax.jit`, `jax.vmap` and
`jax.grad`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Real

__all__ = [
    "complement_of_power",
    "euler_product",
    "gamma_quotient",
    "increasing_root",
    "inverse_minus_one",
    "lambertw",
    "lambertw_exp",
    "log1mexp",
    "log1p_expm1",
    "log_gamma_quotient",
    "negligible",
    "phi2",
    "power",
    "power_of_complement",
]


@jax.custom_jvp
@jax.jit
def lambertw(x: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Principal branch of Lambert's W: the solution w >= -1 of w eʷ = x.

    Args:
        x: Argument, at least -1/e.

    Returns:
        W(x); NaN below -1/e.

    Validity:
        Relative error below 1e-15 in float64 (3e-7 in float32) for x >= -0.3; towards the branch
        point, where W' is infinite, it grows to 1e-8, the square root of the machine epsilon
        (`tests/test_special.py`, against mpmath).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{lambertw(jnp.e):.15f}")  # 1 · e¹ = e
        1.000000000000000

    References:
        R. M. Corless et al., On the Lambert W function, Adv. Comput. Math. 5 (1996) 329, eqs. 4.22
        (the series at the branch point) and 5.9 (Halley's iteration).
    """
    x = _floating(x)
    # Large arguments go through the logarithm, where eʷ cannot overflow.
    small = jnp.where(x < 1, x, 0)
    distance = jnp.sqrt(2 * jnp.maximum(np.e * small + 1, 0))
    w = jnp.where(
        small < 0,
        distance * (1 - distance * (1 / 3 - 11 / 72 * distance)) - 1,
        jnp.log1p(small),
    )

    def halley(_: int, w: Array) -> Array:
        excess = w * jnp.exp(w) - small
        slope = jnp.exp(w) * (w + 1)
        correction = slope - excess * (w + 2) / jnp.where(w > -1, 2 * w + 2, 1)
        return jnp.where(w > -1, w - excess / jnp.where(correction == 0, 1, correction), w)

    near_zero = jnp.maximum(lax.fori_loop(0, 4, halley, w), -1)
    far = lambertw_exp(jnp.log(jnp.maximum(x, 1)))
    return jnp.where(x < -np.exp(-1.0), jnp.nan, jnp.where(x < 1, near_zero, far))


@lambertw.defjvp
def _lambertw_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (x,), (dx,) = primals, tangents
    w = lambertw(x)
    return w, jnp.exp(-w) / (1 + w) * dx


@jax.custom_jvp
@jax.jit
def lambertw_exp(y: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Lambert's W of an exponential, W(e^y): the solution of w + log w = y.

    Args:
        y: Any real number, -inf and inf included; e^y itself may overflow.

    Returns:
        W(e^y), which is e^y for y → -∞ and y - log y for y → ∞.

    Validity:
        Relative error below 1e-15 in float64 (3e-7 in float32) wherever the result is a normal
        number (`tests/test_special.py`, against mpmath).

    Example:
        >>> print(f"{lambertw_exp(1.0):.15f}")  # 1 + log 1 = 1
        1.000000000000000
        >>> print(f"{lambertw_exp(1e6):.6f}")  # far beyond where e^y overflows
        999986.184503

    References:
        R. M. Corless et al., On the Lambert W function, Adv. Comput. Math. 5 (1996) 329.
    """
    y = _floating(y)
    finite = jnp.isfinite(y)
    positive = jnp.where(finite & (y > 0), y, 1)
    x = jnp.exp(jnp.where(finite & (y <= 0), y, -1))

    def newton(_: int, w: Array) -> Array:
        return w * ((1 + positive - jnp.log(w)) / (1 + w))

    def halley(_: int, w: Array) -> Array:
        excess = w - x * jnp.exp(-w)  # w eʷ - x, divided by eʷ
        return w - excess / (1 + w - excess * (w + 2) / (2 * w + 2))

    start = jnp.where(positive > 2, positive - jnp.log(positive), (1 + positive) / 2)
    large = lax.fori_loop(0, 5, newton, start)
    small = lax.fori_loop(0, 3, halley, x / (1 + x))
    return jnp.where(finite, jnp.where(y > 0, large, small), jnp.exp(y))


@lambertw_exp.defjvp
def _lambertw_exp_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (y,), (dy,) = primals, tangents
    w = lambertw_exp(y)
    return w, jnp.where(w < jnp.inf, w / (1 + w), 1) * dy


def log1p_expm1(
    scale: Real[ArrayLike, "*#shape"], x: Real[ArrayLike, "*#shape"]
) -> Float[Array, "*shape"]:
    """Stable log(1 + a (eˣ - 1)), the logarithm of a mean of 1 and eˣ with weights 1 - a and a.

    Args:
        scale: a, in [0, 1] where x >= 0, and at most 0 where x <= 0.
        x: Any finite real number.

    Returns:
        The logarithm: a x for small x, x + log a for large x, exactly 0 for a = 0.

    Validity:
        Relative to max(1, |x|), the error is a few machine epsilons; relative to the result for
        small a x (`tests/test_special.py`).

    Example:
        >>> print(f"{log1p_expm1(0.5, 2000.0):.9f}")  # 2000 - log 2
        1999.306852819
    """
    a, x = _floating(scale), _floating(x)
    top = 0.5 * float(np.log(jnp.finfo(jnp.result_type(a, x)).max))
    near = jnp.log1p(a * jnp.expm1(jnp.minimum(x, top)))
    # Where eˣ is that large, 1 - a counts only where it is 1.
    far = jax.nn.softplus(jnp.log(jnp.where(a > 0, a, 1)) + jnp.where(x > top, x, 0))
    return jnp.where((x > top) & (a > 0), far, near)


def log1mexp(x: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Stable log(1 - e⁻ˣ), the logarithm of what an exponential decay has taken away.

    Args:
        x: A positive number; 0 gives -inf.

    Validity:
        Relative error of a few machine epsilons, times x where x > 1 (`tests/test_special.py`).

    Example:
        >>> print(f"{log1mexp(1e-20):.10f} {log1mexp(50.0):.10e}")
        -46.0517018599 -1.9287498480e-22
    """
    x = _floating(x)
    return jnp.where(x < 0.7, jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))


def inverse_minus_one(x: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Stable 1/x - 1, the excess of an inverse temperature over 1.

    Args:
        x: A positive number, inf included.

    Validity:
        Relative error of a few machine epsilons, near x = 1 as well (`tests/test_special.py`).

    Example:
        >>> print(inverse_minus_one(0.25), inverse_minus_one(jnp.inf))
        3.0 -1.0
    """
    x = _floating(x)
    finite = jnp.where(x < jnp.inf, x, 1)
    return jnp.where(x < jnp.inf, (1 - finite) / finite, -1)


def negligible(like: Float[Array, "..."]) -> Float[Array, ""]:
    """A number negligible against 1 whose square does not underflow, in the dtype of an array.

    Args:
        like: An array of floats.

    Example:
        >>> print(f"{negligible(jnp.zeros(2)):.1e}")
        3.6e-139
    """
    return jnp.asarray(float(jnp.finfo(like.dtype).tiny) ** 0.45, like.dtype)


_SHIFT = 16
"""From which argument on Stirling's series is used."""


def _stirling(x: Array, a: Array) -> Array:
    """The logarithm of Γ(x + a)/Γ(x) for large x, without terms of the size of log Γ."""

    def rest(y: Array) -> Array:
        u = 1 / y**2
        return (1 / 12 - u * (1 / 360 - u * (1 / 1260 - u * (1 / 1680 - u / 1188)))) / y

    return (x - 0.5) * jnp.log1p(a / x) + a * (jnp.log(x + a) - 1) + rest(x + a) - rest(x)


def gamma_quotient(
    x: Real[ArrayLike, "*#shape"], a: Real[ArrayLike, "*#shape"]
) -> Float[Array, "*shape"]:
    """Quotient Γ(x + a)/Γ(x), accurate also where both are huge.

    Args:
        x: Any positive number.
        a: A number above -x, moderate.

    Returns:
        The quotient; xᵃ for large x.

    Validity:
        Relative error below 1e-14 times max(1, |a| log x) in float64 (`tests/test_special.py`).

    Example:
        >>> print(round(float(gamma_quotient(5.0, 2.0)), 9))  # 5 · 6
        30.0
    """
    x, a = jnp.broadcast_arrays(_floating(x), _floating(a))
    return jnp.prod(_shifted(x, a), 0) * jnp.exp(_stirling(x + _SHIFT, a))


def log_gamma_quotient(
    x: Real[ArrayLike, "*#shape"], a: Real[ArrayLike, "*#shape"]
) -> Float[Array, "*shape"]:
    """Logarithm of Γ(x + a)/Γ(x), also where the quotient is too large for a float.

    Args:
        x: Any positive number.
        a: A number above -x.

    Returns:
        The logarithm; a log x for large x.

    Example:
        >>> print(round(float(log_gamma_quotient(5.0, 2.0)), 9))  # log 30
        3.401197382
    """
    x, a = jnp.broadcast_arrays(_floating(x), _floating(a))
    return jnp.sum(jnp.log(_shifted(x, a)), 0) + _stirling(x + _SHIFT, a)


def _shifted(x: Array, a: Array) -> Array:
    """What the quotient of Γ is multiplied by if x goes up by 1, 16 times."""
    return jnp.stack([(x + j) / (x + j + a) for j in range(_SHIFT)])


def euler_product(
    x: Real[ArrayLike, "*#shape"], z: Real[ArrayLike, "*#shape"]
) -> Float[Array, "*shape"]:
    """Product of 1 - z²/(x + k)² over k = 0, 1, 2, …: Γ(x)²/(Γ(x + z) Γ(x - z)).

    Args:
        x: Any positive number.
        z: A number between -x and x.

    Returns:
        The product; sin(πz)/(πz) for x = 1 (Euler's), and 1 - z²/x for large x.

    Validity:
        Relative error below 1e-14 in float64 (`tests/test_special.py`).

    Example:
        >>> print(round(float(euler_product(1.0, 0.5)), 9))  # 2/π
        0.636619772
    """
    x, z = jnp.broadcast_arrays(_floating(x), _floating(z))
    terms = [1 - (z / (x + j)) ** 2 for j in range(_SHIFT)]
    far = x + _SHIFT
    return jnp.prod(jnp.stack(terms), 0) * jnp.exp(-_stirling(far, z) - _stirling(far, -z))


def phi2(x: Real[ArrayLike, "*shape"]) -> Float[Array, "*shape"]:
    """Rest of the exponential beyond its linear part, (eˣ - 1 - x)/x², by its series near 0.

    Args:
        x: Any real number.

    Returns:
        The second of the φ functions of exponential integrators; 1/2 at 0.

    Validity:
        Relative error below 3e-15 in float64 (`tests/test_special.py`).

    Example:
        >>> print(phi2(0.0), phi2(1e-200), round(float(phi2(1.0)), 9))  # e - 2
        0.5 0.5 0.718281828
    """
    x = _floating(x)
    small = jnp.abs(x) < 0.5
    near, far = jnp.where(small, x, 0), jnp.where(small, 1, x)
    series = jnp.ones_like(x)
    for order in range(16, 2, -1):
        series = 1 + near / order * series
    return jnp.where(small, series / 2, (jnp.expm1(far) - far) / far**2)


@jax.custom_jvp
def power(
    base: Real[ArrayLike, "*#shape"], exponent: Real[ArrayLike, "*#shape"]
) -> Float[Array, "*shape"]:
    """Powers xⁿ that have saturated, at 0 or at ∞, move no more: their slopes are 0.

    The true slopes may be infinite there, and 0 · ∞ would be NaN in what is made of the power.

    Args:
        base: x >= 0, ∞ included.
        exponent: n, of any real value; taken as a float, as an integer one is multiplied out and
            rounds each time.

    Example:
        >>> import jax
        >>> print(power(0.5, -3), jax.grad(power)(0.5, -3.0), jax.grad(power)(0.5, -1e6))
        8.0 -48.0 0.0
    """
    return jnp.power(_floating(base), _floating(exponent))


@power.defjvp
def _power_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (x, n), (dx, dn) = primals, tangents
    found = power(x, n)
    moves = (x > 0) & jnp.isfinite(x) & (found > 0) & (found < jnp.inf)
    safe, most = jnp.where(moves, x, 1), jnp.finfo(found.dtype).max
    by_x = jnp.clip(jnp.where(moves, n * (found / safe), 0), -most, most)
    by_n = jnp.clip(jnp.where(moves, found * jnp.log(safe), 0), -most, most)
    return found, by_x * dx + by_n * dn


@jax.custom_jvp
def power_of_complement(
    x: Real[ArrayLike, "*shape"], exponent: Real[ArrayLike, "*shape"]
) -> Float[Array, "*shape"]:
    """Powers of what is left, (1 - x)ⁿ, with the derivatives that log(1 - x) hides at x = 1.

    Args:
        x: What is taken away each time, in [0, 1].
        exponent: n >= 0, of any real value.

    Returns:
        The power, 1 for n = 0.

    Validity:
        Relative error of a few machine epsilons times the logarithm of the result
        (`tests/test_special.py`).

    Example:
        >>> print(power_of_complement(0.25, 2), power_of_complement(1.0, 3))
        0.5625 0.0
    """
    x, n = jnp.broadcast_arrays(_floating(x), _floating(exponent))
    return jnp.where(n == 0, 1, jnp.exp(jnp.where(n == 0, 1, n) * jnp.log1p(-x)))


@power_of_complement.defjvp
def _power_of_complement_jvp(
    primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Array, Array]:
    (x, n), (dx, dn) = primals, tangents
    by_x, by_n = _slopes_of_power(x, n)
    return power_of_complement(x, n), by_x * dx + by_n * dn


@jax.custom_jvp
def complement_of_power(
    x: Real[ArrayLike, "*shape"], exponent: Real[ArrayLike, "*shape"]
) -> Float[Array, "*shape"]:
    """What n goes have taken away, 1 - (1 - x)ⁿ, accurate also where it is tiny.

    Args:
        x: What is taken away each time, in [0, 1].
        exponent: n >= 0, of any real value.

    Validity:
        Relative error of a few machine epsilons (`tests/test_special.py`).

    Example:
        >>> print(complement_of_power(0.25, 2), complement_of_power(1e-20, 2))
        0.4375 2e-20
    """
    x, n = jnp.broadcast_arrays(_floating(x), _floating(exponent))
    return jnp.where(n == 0, 0, -jnp.expm1(jnp.where(n == 0, 1, n) * jnp.log1p(-x)))


@complement_of_power.defjvp
def _complement_of_power_jvp(
    primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Array, Array]:
    (x, n), (dx, dn) = primals, tangents
    by_x, by_n = _slopes_of_power(x, n)
    return complement_of_power(x, n), -(by_x * dx + by_n * dn)


def _slopes_of_power(x: Array, n: Array) -> tuple[Array, Array]:
    """Derivatives of (1 - x)ⁿ in x and in n; the jump at x = 1, n = 0 counts as level."""
    by_x = jnp.where(n == 0, 0, -n * power_of_complement(x, n - 1))
    by_n = power_of_complement(x, n) * jnp.log1p(-jnp.where(x < 1, x, 0))
    return by_x, by_n


def increasing_root(
    function: Callable[[Array], Array],
    low: Float[Array, "*shape"],
    high: Float[Array, "*shape"],
    max_steps: int = 200,
) -> Float[Array, "*shape"]:
    """Root of an increasing function of one variable, elementwise, by safeguarded Newton steps.

    A Newton step is taken if it stays in the bracket and at least halves the step before; else the
    bracket is bisected. Derivatives with respect to whatever `function` depends on come from the
    implicit function theorem, not from the iteration. Call it inside `jax.jit`: outside, every call
    compiles anew.

    Args:
        function: Elementwise and increasing: entry k of its value depends on entry k alone of its
            argument; f(low) <= 0 <= f(high).
        low: Lower end of the bracket.
        high: Upper end of the bracket.
        max_steps: Largest number of steps.

    Validity:
        As accurate as `function` allows: the last Newton step is below the square root of the
        machine epsilon, or the bracket has closed (`tests/test_special.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> cubes = jnp.array([1.0, 8.0, 27.0])
        >>> increasing_root(lambda x: x**3 - cubes, jnp.zeros(3), cubes)
        Array([1., 2., 3.], dtype=float64)
    """
    low, high = jnp.broadcast_arrays(_floating(low), _floating(high))
    epsilon = float(jnp.finfo(low.dtype).eps)

    def solve(f: Callable[[Array], Array], guess: Array) -> Array:
        def running(state: tuple[Any, ...]) -> Array:
            return jnp.any(~state[-2]) & (state[-1] < max_steps)

        def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
            x, low, high, previous, done, count = state
            value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
            low = jnp.where(value < 0, x, low)
            high = jnp.where(value > 0, x, high)
            newton = x - value / slope
            quick = (newton >= low) & (newton <= high)
            quick &= jnp.abs(newton - x) <= previous / 2
            proposed = jnp.where(value == 0, x, jnp.where(quick, newton, (low + high) / 2))
            size = jnp.abs(proposed - x)
            settled = quick & (size <= jnp.sqrt(epsilon) * jnp.abs(x))
            settled |= (value == 0) | (high - low <= epsilon * jnp.abs(low))
            return (
                jnp.where(done, x, proposed),
                low,
                high,
                jnp.where(done, previous, size),
                done | settled,
                count + 1,
            )

        state = (guess, lax.stop_gradient(low), lax.stop_gradient(high))
        state += (high - low, jnp.zeros(guess.shape, bool), 0)
        return lax.while_loop(running, step, state)[0]

    return lax.custom_root(
        function,
        (low + high) / 2,
        solve,
        lambda linear, y: y / linear(jnp.ones_like(y)),
    )


def _floating(values: ArrayLike) -> Array:
    array = jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)
