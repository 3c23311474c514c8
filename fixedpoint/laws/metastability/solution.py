"""Metastability: refits to n samples at a temperature, and how rarely they lose an outcome.

Closed forms in JAX.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


@checks.arguments(temperature="(0, inf)")
def scale_function(
    probability: Number, temperature: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Chance that the first of two outcomes is the last one left (`metastability.scale_function`).

        u = ∫₀^{x₀} e^{2κS(y)} dy / ∫₀¹ e^{2κS(y)} dy,   κ = n(1/T − 1),
        S(y) = −y ln y − (1 − y) ln(1 − y)

    Args:
        probability: x₀, the initial probability of the outcome, 0 ≤ x₀ ≤ 1.
        temperature: T > 0.
        num_samples: n ≥ 1.

    Returns:
        u: below x₀ for x₀ < 1/2 at T < 1, where the minority dies sooner, above it at T > 1.

    Validity:
        The limit n → ∞ at fixed κ; at finite n the error is of order 1/n (0.09/n at κ = 2,
        x₀ = 0.3). For fixed T ≠ 1 and n → ∞, where |κ| is of order n, the exponent is wrong: call
        `metastability`. Numerically accurate to 1e-10 relative for |κ| ≤ 1000.

    Example:
        >>> round(float(scale_function(0.3, 0.5, 2)), 5)  # κ = 2; the chain of n = 800: 0.18662
        0.18673
    """
    x, T, n = simplex.scalars(probability, temperature, num_samples)
    kappa = n * (1 / T - 1)
    # Beyond 1/2 the complement is integrated, so that each part keeps its relative accuracy.
    minor = _minor_share(jnp.where(x <= 0.5, x, 1 - x), kappa)
    return jnp.where(x <= 0.5, minor, 1 - minor)


@jax.custom_jvp
def _minor_share(x: Array, kappa: Array) -> Array:
    """∫₀ˣ e^{2κS(y)} dy / ∫₀¹ e^{2κS(y)} dy for x ≤ 1/2; its slope in x is the integrand itself."""
    return jnp.exp(_log_entropic(x, kappa) - _log_entropic(0 * x + 0.5, kappa)) / 2


@_minor_share.defjvp
def _minor_share_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (x, kappa), (dx, dkappa) = primals, tangents

    def log_integral(x: Array) -> tuple[Array, Array]:
        along = (jnp.ones_like(kappa),)
        return jax.jvp(lambda kappa: _log_entropic(x, kappa), (kappa,), along)

    half, half_slope = log_integral(0 * x + 0.5)
    _, part_slope = log_integral(jnp.where(x > 0, x, 0.5))
    share = _minor_share(x, kappa)
    entropy = jax.scipy.special.entr(x) + jax.scipy.special.entr(1 - x)
    by_x = jnp.exp(2 * kappa * entropy - half) / 2
    return share, by_x * dx + share * (part_slope - half_slope) * dkappa


@partial(jnp.vectorize, signature="(),()->()")
def _log_entropic(x: Array, kappa: Array) -> Array:
    """Log of ∫₀ˣ e^{2κS(y)} dy for x ≤ 1/2, by the tanh-sinh rule: S has infinite slope at 0."""
    t = np.linspace(-4.5, 4.5, 1201)
    u = np.pi / 2 * np.sinh(t)
    log_weight = np.log(np.pi / 4 * (t[1] - t[0]) * np.cosh(t)) - 2 * np.log(np.cosh(u))
    y = x * jnp.asarray(1 / (1 + np.exp(-2 * u)), x.dtype)
    entropy = jax.scipy.special.entr(y) + jax.scipy.special.entr(1 - y)
    exponents = 2 * kappa * entropy + jnp.asarray(log_weight, x.dtype)
    return jnp.log(x) + jax.scipy.special.logsumexp(exponents)


@checks.arguments()
def critical_temperature(logits: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Temperature at which the mean entropy stands still (`metastability.critical_temperature`).

        T_c ≃ 1 + (d/2n) / Var ln p,    d = surviving outcomes − 1,  Var ln p = Σ p ln²p − S²

    The mean entropy of the next generation rises with T. At T = ∞ it is that of n samples of d + 1
    equal outcomes, log n − E log(1 + X) with X ~ Bin(n − 1, 1/(d + 1)). There is a T_c, and only
    one, exactly where the model's entropy S is less than that.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        num_samples: n ≥ 1.

    Returns:
        T_c at this model: below it the mean entropy falls in the next generation, above it it
        rises. `inf` where it falls at every temperature (among others, for outcomes of equal
        probability); 1 for a single outcome, where nothing moves.

    Validity:
        Whether it is `inf` is exact. Its value is the leading order in 1/n of a property of the
        *state*, the zero of the entropy's drift; the true one grows without limit as S nears the
        entropy beyond which there is none. It is no transition of the process, whose collapse slows
        down smoothly where T − 1 is of the order of 1/n; every T < ∞ collapses in the end.

    Example:
        >>> round(float(critical_temperature(jnp.log(jnp.array([0.75, 0.25])), 100)), 6)
        1.022094
        >>> float(critical_temperature(jnp.log(jnp.array([0.6, 0.4])), 10))  # too few samples
        inf
    """
    theta, n = simplex.per_distribution(logits, num_samples)
    p = simplex.probabilities(theta)
    # Relative to the mode, so that equal outcomes have a variance of exactly 0.
    gap = jnp.where(p > 0, theta - jnp.max(theta, -1, keepdims=True), 0)
    mean = jnp.sum(p * gap, -1, keepdims=True)
    variance = jnp.sum(p * (gap - mean) ** 2, -1)
    # A short float does not hold every number of samples, but what is divided by it.
    num_alive, n = simplex.num_surviving(theta), jnp.asarray(num_samples, float)
    toll = ((num_alive - 1) / (2 * n)).astype(theta.dtype)
    stands_still = simplex.entropy(theta) < _entropy_of_uniform_samples(num_alive, n)
    spread = stands_still & (variance > 0)
    excess = jnp.where(spread, toll / jnp.where(spread, variance, 1), jnp.inf)
    return 1 + jnp.where(toll > 0, excess, 0)


@jax.jit
def _entropy_of_uniform_samples(num_outcomes: Array, n: Array) -> Array:
    """Mean entropy of n samples of K >= 2 equal outcomes: log n − E log(1 + X), X ~ Bin(n−1, 1/K).

    E log(1 + X) = ∫ (1 − (1 − (1 − e^{−s})/K)^{n−1}) e^{−s} ds/s, by the trapezium rule in log s.
    """
    K, n = (x[..., None] for x in jnp.broadcast_arrays(jnp.maximum(num_outcomes, 2), n))
    low, high = -38 - jnp.log(n), np.log(45.0)
    steps = jnp.linspace(0, 1, 320, dtype=n.dtype)[(None,) * (n.ndim - 1)]
    s = jnp.exp(low + (high - low) * steps)
    none_drawn = jnp.exp((n - 1) * jnp.log1p(jnp.expm1(-s) / K))
    integral = jnp.sum((1 - none_drawn) * jnp.exp(-s), -1) * ((high - low) / 319)[..., 0]
    return jnp.log(n[..., 0]) - integral


@checks.arguments()
def metastability(temperature: Number) -> Float[Array, "*batch"]:
    """Exponent c(T) of the time until one of two outcomes is lost (`metastability.metastability`).

    Above T = 1 the model lingers near even odds for C(T) e^{cn} generations, n the samples of
    each. c is the least action of a path from even odds to the loss:

        c = min Σ_t D(x_{t+1} ‖ y_t),   logit y_t = logit(x_t)/T,   x₀ = 1/2, …, x_m = 0,

    D the relative entropy of two coins.

    Args:
        temperature: T > 1.01, also inf, where c = ln 2; a T ≤ 1 has no barrier and c = 0.

    Validity:
        The limit is formal (large deviations) and agrees with the slopes of exact chains. A law
        C e^{cn} with a constant C is seen only where n^{1−1/T} ≫ 1 (at least 8): at T = 1.25 the
        prefactor still falls between n = 50 and 800. Numerically accurate to 1e-9 for T > 1.02,
        its slope to 1e-5.

    Example:
        >>> round(float(metastability(2.0)), 6)  # the exact chain between n = 200 and 300: 0.55155
        0.551492
    """
    return staircase(2, temperature)


@checks.arguments(temperature="[1, inf]")
def action_series(temperature: Number) -> Float[Array, "*batch"]:
    """Expansion of c(T) near T = 1 (`metastability.action_series`).

        c ≃ 2ε ln 2 − (ε²/3) ln 2 − ε³ [(2/9) ln 2 + ζ(3)/12],   ε = 1 − 1/T

    Args:
        temperature: T ≥ 1.

    Validity:
        A formal series; its error is about 0.3 ε⁴ for small ε (`metastability` is the number).

    Example:
        >>> round(float(action_series(1.1)), 6)  # c itself: 0.123902
        0.123926
    """
    (T,) = simplex.scalars(checks.check_range(temperature, "temperature", "[1, inf]"))
    eps = 1 - 1 / T
    ln2, zeta3 = math.log(2), 1.2020569031595942
    return eps * (2 * ln2 - eps * (ln2 / 3 + eps * (2 / 9 * ln2 + zeta3 / 12)))


@checks.arguments(num_outcomes=">= 2")
def staircase(num_outcomes: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Exponent of the time until one of K equal outcomes is lost (`metastability.staircase`).

    The least action (as in `metastability`) of the loss of one outcome while the others stay
    equal. In K it decreases: each further loss takes exponentially longer than the one before.

        c_K ≃ 2ε ln(K/(K−1)) for small ε = 1 − 1/T,    c_K = ln(K/(K−1)) at T = ∞

    Args:
        num_outcomes: K ≥ 2.
        temperature: T > 1.01, also inf; a T ≤ 1 has no barrier and c = 0.

    Returns:
        c_K(T); NaN for K ≥ 3 and 1 < T ≤ 1.01, where the path is not resolved.

    Validity:
        An upper bound of lim ln(mean time)/n, because the path is restricted for K ≥ 3; the slopes
        of the exact chain of K = 3, T = 2 tend to it. Numerically accurate to 1e-9.

    Example:
        >>> staircase(jnp.array([2, 3, 4]), 2.0).round(6)
        Array([0.551492, 0.324784, 0.231057], dtype=float64)
    """
    K, T = simplex.scalars(num_outcomes, temperature)
    hot = (T > 1) & jnp.isfinite(T)
    action = _action(1 / jnp.where(hot, T, 2), jnp.log(K - 1))
    action = jnp.where((K > 2) & (T <= 1.01), jnp.nan, action)
    return jnp.where(hot, action, jnp.where(T > 1, jnp.log(K / (K - 1)), 0))


@jax.custom_jvp
def _action(beta: Array, depth: Array) -> Array:
    """The least action from z = −depth, z the logit of the outcome that is to be lost."""
    return _least_action(beta, depth)[0]


@_action.defjvp
def _action_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    # The path is stationary: the slopes are those of the action along the path as it is.
    action, by_beta, by_depth = _least_action(*primals)
    return action, by_beta * tangents[0] + by_depth * tangents[1]


@jax.jit
@partial(jnp.vectorize, signature="(),()->(),(),()")
def _least_action(beta: Array, depth: Array) -> tuple[Array, Array, Array]:
    """The least action, and its slopes in β and in the depth.

    The Euler–Lagrange equation gives each point of the path from the two after it. Starting with
    the last point before the loss and going back, the path ends in the fixed point for the right
    last point only; others pass it by or turn round before it.
    """
    softplus, sigmoid, rest = jax.nn.softplus, jax.nn.sigmoid, -depth

    def retrace(last: Array) -> tuple[Array, Array, tuple[Array, Array, Array]]:
        """Whether the path passes the fixed point, how closely it misses it, and its action.

        Points are logits relative to the fixed point. With the action come its slopes: what is
        drawn at a point z has the logit rest + β z, and D(x ‖ y) the slope y − x in logit y.
        """

        def before(state: tuple[Any, ...]) -> tuple[Any, ...]:
            u, x_next, action, by_beta, by_rest, _, _ = state
            gap = x_next - sigmoid(rest + beta * u)
            drawn = u - beta * gap * (2 + 2 * jnp.cosh(rest + u))
            previous, x = drawn / beta, sigmoid(rest + u)
            ended = (previous >= 0) | ~(previous > u)
            cost = x * (u - drawn) + softplus(rest + drawn) - softplus(rest + u)
            miss = jnp.maximum(jnp.abs(u), jnp.abs(previous))
            action = jnp.where(ended, action, action + cost)
            excess = jnp.where(ended, 0, sigmoid(rest + drawn) - x)
            by_beta, by_rest = by_beta + excess * previous, by_rest + excess * (1 - beta)
            passed = jnp.where(ended, (previous >= 0).astype(u.dtype), -1)
            return jnp.where(ended, u, previous), x, action, by_beta, by_rest, miss, passed

        lost = sigmoid(rest + beta * last)
        slopes = lost * last, lost * (1 - beta)
        start = last, 0 * last, softplus(rest + beta * last), *slopes, 0 * last, 0 * last - 1
        found = lax.while_loop(lambda state: state[-1] < 0, before, start)
        end, _, action, by_beta, by_rest, miss, passed = found
        # What is left from the fixed point to the turning point, where the action is quadratic.
        spread = sigmoid(rest) * sigmoid(-rest)
        action += (1 - beta**2) * spread * end**2 / 2
        return passed > 0, miss, (action, by_beta - beta * spread * end**2, -by_rest)

    scale = jnp.log(beta), jnp.log(6 / (1 - beta))
    candidates = -jnp.exp(jnp.linspace(*scale, 200))
    passed, miss, _ = jax.vmap(retrace)(candidates)
    # The deepest last point at which "passes" changes to "turns round". Near T = 1 the path
    # forgets its last point to within rounding, and any that comes close will do.
    edge = passed[:-1] & ~passed[1:]
    index = jnp.where(edge.any(), jnp.max(jnp.where(edge, jnp.arange(199), 0)), jnp.argmin(miss))

    def halve(_: int, bracket: tuple[Any, ...]) -> tuple[Any, ...]:
        high, low = bracket
        middle = (high + low) / 2
        passes = retrace(middle)[0]
        return jnp.where(passes, middle, high), jnp.where(passes, low, middle)

    bracket = candidates[index], candidates[jnp.where(edge.any(), index + 1, index)]
    _, low = lax.fori_loop(0, 52, halve, bracket)
    return retrace(low)[2]


@checks.arguments(num_samples=">= 2")
def slow_eigenvalue(temperature: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Factor by which two outcomes' chance to be undecided falls (`metastability.slow_eigenvalue`).

        λ ≃ T for T < 1,    λ = 1 − 1/n at T = 1,    λ ≃ 1 for T > 1

    Args:
        temperature: T ≥ 0.
        num_samples: n ≥ 2.

    Validity:
        Exact at T = 1. For fixed T ≠ 1 it is the limit of many samples, reached exponentially
        fast: at T = 0.8 the error is 4e-8 at n = 50; for T > 1 the distance from 1 is
        e^{−cn}/C, with c from `metastability`. Between the three lies a window |T − 1| of the
        order of 1/n (`chain.quasi_stationary` is exact there).

    Example:
        >>> [float(slow_eigenvalue(T, 50)) for T in (0.8, 1.0, 1.5)]
        [0.8, 0.98, 1.0]
    """
    T, n = simplex.scalars(temperature, num_samples)
    return jnp.where(T == 1, 1 - 1 / n, jnp.minimum(T, 1))
