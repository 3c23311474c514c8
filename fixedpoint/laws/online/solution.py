"""Online: infinite samples, and a teacher that moves along with its student.

Closed forms in JAX. As its own teacher at temperature T, the model moves as
dθ/dτ = softmax(θ/T) - softmax(θ).
"""

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
PerDistribution = Real[ArrayLike, "*#batch"]
Scalars = Real[ArrayLike, "*#shape"]


@checks.arguments(temperature="(0, inf)")
def two_outcomes(
    gap_initial: Scalars, temperature: Scalars, time: Scalars
) -> Float[Array, "*shape"]:
    r"""Gap of two outcomes of a model that is its own teacher (`online.two_outcomes`).

    At T = 1/3, 1/2, 2 or 3, cosh(z/s) = 1 + W(m c₀ e^(m c₀ + (1/T - 1) τ))/m, where s = max(1, T),
    m = max(T, 1/T) - 1, c₀ = cosh(z₀/s) - 1, and W is Lambert's function.

    Args:
        gap_initial: Gap z₀ = θ₁ - θ₂ at time 0.
        temperature: Sampling temperature T: 1/3, 1/2, 2 or 3 (for others see `chebyshev`).
        time: Time τ >= 0.

    Example:
        >>> z = two_outcomes(1.0, 0.5, 2.0)
        >>> grown = jnp.cosh(z) - 1 + jnp.log(jnp.cosh(z) - 1)  # grows at rate 1
        >>> print(f"{grown - (jnp.cosh(1.0) - 1 + jnp.log(jnp.cosh(1.0) - 1)):.9f}")
        2.000000000
    """
    if not isinstance(temperature, Tracer):
        T = np.asarray(temperature, dtype=float)
        if not np.all(np.isclose(T[..., None], [1 / 3, 1 / 2, 2, 3], rtol=1e-6, atol=0).any(-1)):
            raise ValueError(
                "`temperature` must be 1/3, 1/2, 2 or 3 (others: `chebyshev`, or "
                f"`fixedpoint.flow`); got {temperature!r}."
            )
    z, T, tau = simplex.scalars(gap_initial, temperature, time)
    s, m = jnp.maximum(1, T), jnp.maximum(T, 1 / T) - 1
    u, change = z / (2 * s), (1 / T - 1) * tau
    # Where m c₀ ≃ m e^(2|u|)/2 overflows, W adds the change to it: nothing, or nearly so.
    log_start = jnp.log(m / 2) + 2 * jnp.abs(u)
    far = log_start > float(np.log(jnp.finfo(z.dtype).max)) - 1
    added = jnp.maximum(change * jnp.exp(-jnp.where(far, log_start, 0)), -0.99)
    moved = jnp.sign(z) * 2 * s * (jnp.abs(u) + jnp.log1p(jnp.where(far, added, 0)) / 2)
    sinh = jnp.sinh(jnp.where(far, 1, u))
    start = m * 2 * sinh**2 + special.negligible(z)
    now = special.lambertw_exp(jnp.log(start) + start + change)
    # Not √(now/start), whose slope has start² and, where nothing is left, 1/0.
    left = now > 0
    ratio = jnp.exp((jnp.log(jnp.where(left, now, 1)) - jnp.log(start)) / 2)
    return jnp.where(far, moved, 2 * s * jnp.arcsinh(sinh * jnp.where(left, ratio, 0)))


@checks.arguments(degree="")
def chebyshev(gap: Scalars, gap_initial: Scalars, degree: int) -> Float[Array, "*shape"]:
    r"""Time in which the gap of two outcomes goes from one value to another (`online.chebyshev`).

    At T = (d - 1)/(d + 1), d = ±2, ±3, …, with w = (1/T - 1) z/2,

        (1/T - 1) τ = [log sinh w + ∫ cosh(dw)/sinh w dw], a finite sum of hyperbolic cosines,

    taken between the two gaps: Chebyshev polynomials in cosh w (d even) or cosh 2w (d odd).

    Args:
        gap: The gap z that is reached, of the sign of `gap_initial` and not 0.
        gap_initial: The gap z₀ at time 0, not 0.
        degree: d, a whole number other than -1, 0 and 1; T = 1/3, 1/2, 3/5, 2/3, … for
            d = 2, 3, 4, 5, … and their inverses for d = -2, -3, …

    Returns:
        The time τ; negative if the gap lies in the past.

    Validity:
        Relative to the largest term of the sum the error is below 1e-12.

    Example:
        >>> z = two_outcomes(1.0, 0.5, 2.0)
        >>> print(f"{chebyshev(z, 1.0, degree=3):.9f}")
        2.000000000
    """
    size = abs(checks.check_count(degree, "degree", minimum=-(2**31)))
    if size < 2:
        raise ValueError(f"`degree` must not be -1, 0 or 1; got {degree}.")
    traced = isinstance(gap, Tracer) or isinstance(gap_initial, Tracer)
    if not traced and np.any(np.sign(gap) * np.sign(gap_initial) <= 0):
        raise ValueError(
            f"`gap` must have the sign of `gap_initial`, not 0; got {gap} and {gap_initial}."
        )
    z, start = simplex.scalars(gap, gap_initial)
    w, w0 = z / (degree - 1), start / (degree - 1)
    half = 1 if size % 2 else 2  # the argument of the logarithm is 2 sinh²(w/half)
    whole = 2 * jnp.log(jnp.sinh(w / half) / jnp.sinh(w0 / half))
    for j in range(size - 1, 0, -2):
        whole += 4 / j * jnp.sinh(j * (w + w0) / 2) * jnp.sinh(j * (w - w0) / 2)
    return (degree - 1) / 2 * whole


@checks.arguments(gap="(0, inf)", gap_initial="(0, inf)", num_outcomes=">= 2")
def block(
    gap: Scalars, gap_initial: Scalars, num_outcomes: Scalars, num_modes: Scalars = 1
) -> Float[Array, "*shape"]:
    r"""Time in which m tied leaders leave K - m tied others behind, T = 1/2 (`online.block`).

    With U = e^gap and r = (K - m)/m, taken between the two gaps,
    (K/m²) τ = (1+r)² log(1 - 1/U) + (1+r) log U + r²/U + U.

    Args:
        gap: The gap z > 0 that is reached.
        gap_initial: The gap z₀ > 0 at time 0.
        num_outcomes: Number of outcomes K.
        num_modes: Number of leaders m < K.

    Validity:
        Relative to the largest term the error is below 1e-12, for e^gap below 1e308.

    Example:
        >>> z = two_outcomes(1.0, 0.5, 2.0)
        >>> print(f"{block(z, 1.0, num_outcomes=2):.9f}")
        2.000000000
    """
    checks.check_modes(num_modes, num_outcomes)
    z, start, K, m = simplex.scalars(gap, gap_initial, num_outcomes, num_modes)
    r = (K - m) / m

    def coordinate(z: Array) -> Array:
        tail = (1 + r) ** 2 * _log_remainder(z) + (1 + 2 * r) * jnp.exp(-z)
        return (1 + r) * z + jnp.exp(z) - tail

    return m**2 / K * (coordinate(z) - coordinate(start))


@checks.arguments(gap_initial="(0, inf)", num_outcomes=">= 2")
def blow_up(gap_initial: Scalars, num_outcomes: Scalars) -> Float[Array, "*shape"]:
    r"""Time at which one leader among many equal outcomes takes over, T = 1/2 (`online.blow_up`).

    τ* ≃ K [-log(1 - 1/U) - 1/U], U = e^gap: until then next to nothing happens.

    Args:
        gap_initial: Gap z₀ > 0 between the leader and the others at time 0.
        num_outcomes: Number of outcomes K.

    Returns:
        The leading term of the time at which the leader has half of the probability.

    Validity:
        Asymptotic for many outcomes, with an error of log K + O(1); `block` is exact.

    Example:
        >>> print(f"{blow_up(1.0, 50_000):.0f}")
        4540
    """
    z, K = simplex.scalars(gap_initial, num_outcomes)
    return K * _log_remainder(z)


def _log_remainder(z: Array) -> Array:
    """-log(1 - e^-z) - e^-z for z > 0: Σ e^(-nz)/n over n >= 2."""
    x = jnp.exp(-z)
    series = x * jnp.polyval(jnp.asarray([1 / n for n in range(17, 1, -1)], x.dtype), x) * x
    return jnp.where(x < 0.1, series, -special.log1mexp(z) - x)


@checks.arguments(temperature="(0, inf)")
def duality(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Where the flow leads at T, then at 1/T on the logits over T (`online.duality`).

    T φ(τ/T) = θ(0), where φ obeys the flow at 1/T from φ(0) = θ(τ)/T: hot self-training is cold
    self-training run backwards, in logits divided by T.

    Args:
        logits: The model θ(0).
        temperature: Temperature T of the first flow, in (0, inf).
        time: Its duration τ >= 0; the second one takes τ/T.

    Returns:
        The initial logits, broadcast with the other arguments.

    Example:
        >>> print(duality(jnp.array([1.0, 0.0, -1.0]), 2.0, 3.0))
        [ 1.  0. -1.]
    """
    return simplex.per_distribution(checks.check_logits(logits), temperature, time)[0]


@checks.arguments(time="(0, inf)")
def collapse_tail(
    num_outcomes: Scalars, time: Scalars, num_modes: Scalars = 1
) -> Float[Array, "*shape"]:
    r"""Probability outside the modes at late times, T < 1 (`online.collapse_tail`).

    1 - P(modes) ≃ m(K - m)/(K τ), whatever T < 1.

    Args:
        num_outcomes: Number of outcomes K.
        time: Time τ > 0.
        num_modes: Number of tied modes m.

    Validity:
        Asymptotic. For 1/2 < T < 1 the relative correction is p^(1/T-1)/(2-1/T), p being the
        probability of one loser: for T >= 0.8 the constant is not seen in practice. At T <= 1/2 it
        is of the order of p log(1/p).

    Example:
        >>> print(collapse_tail(3, 1000.0))  # 2/3000
        0.0006666666666666666
    """
    checks.check_modes(num_modes, num_outcomes)
    K, tau, m = simplex.scalars(num_outcomes, time, num_modes)
    return m * (K - m) / (K * tau)


@checks.arguments()
def losers_equalise(num_outcomes: Scalars, num_modes: Scalars = 1) -> Float[Array, "*shape"]:
    r"""Exponent m/K with which losing outcomes become equal, T < 1 (`online.losers_equalise`).

    The difference of the logits of two losers falls as τ^(-m/K); under refits it grows as T⁻ᵗ.

    Args:
        num_outcomes: Number of outcomes K.
        num_modes: Number of tied modes m < K.

    Validity:
        Asymptotic, late times; for large K it is never reached.

    Example:
        >>> print(losers_equalise(4))
        0.25
    """
    checks.check_modes(num_modes, num_outcomes)
    K, m = simplex.scalars(num_outcomes, num_modes)
    return m / K


@checks.arguments(temperature="(0, inf]")
def uniform_rate(temperature: Scalars, num_outcomes: Scalars) -> Float[Array, "*shape"]:
    r"""Rate at which small logits of a model that teaches itself decay (`online.uniform_rate`).

    (1 - 1/T)/K: logits near 0 go as e^(-rate τ); T > 1 is driven to the uniform distribution, T < 1
    away from it.

    Args:
        temperature: Sampling temperature T > 0; may be inf.
        num_outcomes: Number of outcomes K.

    Validity:
        Exact for infinitesimal logits.

    Example:
        >>> print(uniform_rate(2.0, 5))
        0.1
    """
    T, K = simplex.scalars(temperature, num_outcomes)
    return -special.inverse_minus_one(T) / K


@checks.arguments(temperature="(0, inf]", num_top=">= 1")
def majorisation(
    logits: Logits, temperature: PerDistribution, num_top: PerDistribution
) -> Float[Array, "*out"]:
    r"""Lower bound on how fast the m most probable outcomes gain, T < 1 (`online.majorisation`).

    Their mass P obeys dP/dτ >= P(1 - P)(M/C - 1)(x̄ - ȳ) >= 0, where M = E[p^(β-1)] over the top m,
    C = E[p^(β-1)] over all, and x̄, ȳ = E[p] over the top m and over the rest (expectations under
    p): later models majorise earlier ones, so that every Rényi entropy falls. For T > 1 both signs
    turn: the value is at most 0 and an upper bound.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T > 0.
        num_top: m, from 1 to K - 1; among ties the first come first.

    Validity:
        A bound for every K and all logits, which many equal losers come near.

    Example:
        >>> theta = jnp.log(jnp.array([0.5, 0.3, 0.2]))
        >>> print(f"{majorisation(theta, 0.5, 1):.6f}")  # .25 (.5/.38 - 1) (.5 - .26)
        0.018947
    """
    checks.check_range(num_top, "num_top", f"[1, {jnp.shape(logits)[-1]})", whole=True)
    theta, T, m = simplex.per_distribution(logits, temperature, num_top)
    p = -jnp.sort(-simplex.probabilities(theta), -1)
    top = lax.broadcasted_iota(p.dtype, p.shape, p.ndim - 1) < m
    log_ratio = jnp.log(jnp.where(p > 0, p, 1) / p[..., :1])
    excess = special.inverse_minus_one(T)
    power = jnp.where(p > 0, jnp.expm1(excess * log_ratio), -1)  # (p/p_max)^(β-1) - 1

    def mean(values: Array, chosen: Array) -> Array:
        weights = jnp.where(chosen, p, 0)
        mass = simplex.total(weights)
        return simplex.total(weights * values) / jnp.where(mass > 0, mass, 1)

    mass, rest = simplex.total(jnp.where(top, p, 0)), simplex.total(jnp.where(top, 0, p))
    # M/C - 1 = (1 - P)(M - M_rest)/C loses no digits near T = 1.
    lead = rest * (mean(power, top) - mean(power, ~top)) / simplex.total(p * (1 + power))
    return (mass * rest * lead * (mean(p, top) - mean(p, ~top)))[..., 0]
