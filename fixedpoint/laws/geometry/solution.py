"""Other geometries: infinite samples, and a flow that is measured in another way.

Closed forms in JAX.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special
from fixedpoint.potential import gradient

Logits = Real[ArrayLike, "*#batch num_outcomes"]
PerDistribution = Real[ArrayLike, "*#batch"]
Scalars = Real[ArrayLike, "*#shape"]


@checks.arguments(time="[0, inf]")
def mixture_frozen(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Log-probabilities under mixture flow to a frozen teacher (`geometry.mixture_frozen`).

    p(τ) = (1 - e^(-τ)) p_T + e^(-τ) p(0), in the probabilities: natural gradient flow of the
    cross-entropy.

    Args:
        logits: The model θ at time 0, which at temperature T is the teacher.
        temperature: Sampling temperature T, in [0, inf].
        time: Time τ >= 0; may be inf.

    Example:
        >>> log_p = mixture_frozen(jnp.log(jnp.array([0.75, 0.25])), 0.0, jnp.log(2.0))
        >>> print(jnp.exp(log_p))  # half way from (3/4, 1/4) to (1, 0)
        [0.875 0.125]
    """
    theta, T, tau = simplex.per_distribution(checks.check_logits(logits), temperature, time)
    return _mixed_with_teacher(theta, T, tau)


@jax.jit
def _mixed_with_teacher(theta: Array, T: Array, tau: Array) -> Array:
    model = simplex.log_probabilities(theta)
    teacher = simplex.log_probabilities(simplex.temper(theta, T[..., 0]))
    larger = jax.lax.stop_gradient(jnp.maximum(model, teacher))
    larger = jnp.where(jnp.isfinite(larger), larger, 0)
    mixture = jnp.exp(model - larger - tau) - jnp.expm1(-tau) * jnp.exp(teacher - larger)
    return jnp.where(mixture > 0, jnp.log(jnp.where(mixture > 0, mixture, 1)) + larger, -jnp.inf)


@checks.arguments(temperature="(0, inf]")
def mixture_online(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Log-probabilities under mixture flow as one's own teacher (`geometry.mixture_online`).

    dp/dτ = p_T - p is solved by pᵢ(τ) = e^(-τ) [pᵢ(0)^(1-β) + (1-β) σ]^(1/(1-β)), β = 1/T, where
    σ(τ) is fixed by Σ p = 1: all outcomes move equally in one deformed logarithm.

    Args:
        logits: The model θ at time 0; -inf marks a lost outcome.
        temperature: Sampling temperature T in (0, inf].
        time: Time τ >= 0.

    Validity:
        The absolute error is below 1e-12 in float64, also for T → 1.

    Example:
        >>> p = jnp.exp(mixture_online(jnp.log(jnp.array([0.64, 0.36])), 2.0, jnp.log(1.5)))
        >>> s = (-1.4 + jnp.sqrt(1.96 + 2 * 0.5)) / 2  # T = 2: √p(τ) = e^(-τ/2) (√p(0) + s)
        >>> print(p.round(9), ((jnp.array([0.8, 0.6]) + s) ** 2 / 1.5).round(9))
        [0.61469767 0.38530233] [0.61469767 0.38530233]
    """
    theta, T, tau = simplex.per_distribution(checks.check_logits(logits), temperature, time)
    return _mixed_with_itself(theta, T, tau)


@jax.jit
def _mixed_with_itself(theta: Array, T: Array, tau: Array) -> Array:
    alive = theta > -jnp.inf
    log_p = simplex.log_probabilities(theta)
    power = special.inverse_minus_one(T)
    power = jnp.where(jnp.abs(power) > 1e-30, power, 1e-30)  # the limit T → 1: nothing moves
    top = jnp.max(log_p, -1, keepdims=True)
    below = simplex.below(theta, alive)
    # Far below the mode, T > 1, the two large terms of log p(0) - bracket/(β - 1) are log p of the
    # mode, and what is left is log(c + (1 - c) e^(-(1-β) below)) with c = 1 - e^(-(1-β)(gain + τ)).
    far = -power * below > 1
    scale = -jnp.expm1(-power * jnp.where(far, 0, below))
    start = jnp.where(alive & ~far, log_p, 0)

    def moved(gain: Array) -> Array:
        # gain = change of the mode's log p; the mode's bracket is e^((1-β)(gain + τ)) p(0)^(1-β).
        elapsed = power * (tau + gain)
        near = start + gain - special.log1p_expm1(scale, elapsed) / power
        reached = jnp.where(far & (elapsed < 0), elapsed, -1)
        kept = jnp.where(far, power * below, 0)
        log_sum = jnp.logaddexp(special.log1mexp(-reached), reached + kept)
        log_sum = jnp.where(elapsed < 0, log_sum, kept)
        return jnp.where(alive, jnp.where(far, top + gain - log_sum / power, near), -jnp.inf)

    count = jnp.sum(alive, -1, keepdims=True, dtype=theta.dtype)
    low, high = jnp.broadcast_arrays(jnp.maximum(-top - jnp.log(count), -tau), -top)
    gain = special.increasing_root(
        lambda gain: jax.nn.logsumexp(moved(gain), -1, keepdims=True), low, high
    )
    return moved(gain)


@checks.arguments(temperature="(0, inf]")
def natural(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Logits under natural gradient flow of KL(p ‖ p_T), one's own teacher (`geometry.natural`).

    θ(τ) = θ(0) e^((1/T - 1) τ), an exponential geodesic: tempering in continuous time. A teacher
    frozen at time 0 leads to θ(0) [1/T + (1 - 1/T) e^(-τ)] instead.

    Args:
        logits: The model θ at time 0.
        temperature: Sampling temperature T in (0, inf].
        time: Time τ >= 0.

    Returns:
        The centred logits.

    Example:
        >>> print(natural(jnp.array([1.0, -1.0]), 0.5, jnp.log(3.0)))
        [ 3. -3.]
    """
    theta, T, tau = simplex.per_distribution(checks.check_logits(logits), temperature, time)
    alive, largest = theta > -jnp.inf, jnp.finfo(theta.dtype).max
    # What overflows is the largest number: 0 times it stays 0, and no outcome is lost.
    factor = jnp.minimum(jnp.exp(special.inverse_minus_one(T) * tau), largest)
    moved = simplex.centre(theta) * jnp.where(alive, factor, 1)
    return jnp.where(alive, jnp.clip(moved, -largest, largest), -jnp.inf)


@checks.arguments(temperature="(0, 1)", time="(0, inf)", num_outcomes=">= 2")
def reverse_kl_tail(
    num_outcomes: Scalars, temperature: Scalars, time: Scalars
) -> Float[Array, "*shape"]:
    r"""Probability outside the mode, late, under gradient flow of KL(p ‖ p_T).

    `geometry.reverse_kl_tail`: as one's own teacher at T < 1, 1 - p_mode ≃ (K - 1)/(K s z), where
    s = (1/T - 1) τ and z - log z = log(K s): slower than 1/τ by a logarithm, z ~ log τ.

    Args:
        num_outcomes: Number of outcomes K.
        temperature: Sampling temperature T < 1.
        time: Time τ, late: K s > e.

    Returns:
        The leading term of the probability outside the mode; NaN before K s = e.

    Validity:
        Asymptotic, with a relative correction of 1/z: 6% at s = 1e6.

    Example:
        >>> tail = reverse_kl_tail(2, 0.5, 1e6)
        >>> z = 1 / (2e6 * tail)
        >>> print(f"{z:.3f} {jnp.exp(z) / z / 2e6:.3f}")
        17.363 1.000
    """
    K, T, tau = simplex.scalars(num_outcomes, temperature, time)
    rate = K * special.inverse_minus_one(T) * tau
    return jnp.where(rate > jnp.e, _late_reverse_kl(K, jnp.maximum(rate, jnp.e)), jnp.nan)


@jax.jit
def _late_reverse_kl(K: Array, rate: Array) -> Array:
    # For z >= 1, z <= 2 log(rate) + 2 bounds the root of z - log z = log(rate).
    z = special.increasing_root(
        lambda z: z - jnp.log(z) - jnp.log(rate), jnp.ones_like(rate), 2 + 2 * jnp.log(rate)
    )
    return (K - 1) / (rate * z)


@checks.arguments(temperature="(0, inf)", natural="[0, 1]")
def potential(
    logits: Logits,
    temperature: PerDistribution,
    logits_real: Logits,
    fraction: PerDistribution,
    natural: PerDistribution,
) -> Float[Array, "*out"]:
    r"""Rate at which the potential Φ grows, Euclidean or natural flow (`geometry.potential`).

    dΦ/dτ = Σ gᵢ²/pᵢ^ν, g = s p_T + a q - p, is never negative: ν = 0 for the logits following
    dθ/dτ = g (online flow, ∇Φ itself), ν = 1 for the probabilities following dp/dτ = g (mixture
    flow, the natural gradient of Φ). A refit and the flow to a frozen teacher raise Φ as well.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T > 0.
        logits_real: Logits of the real data's distribution q.
        fraction: Fraction a of real data; s = 1 - a.
        natural: ν, 0 (Euclidean) or 1 (natural).

    Validity:
        The error is that of the difference of two probabilities.

    Example:
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{potential(theta, 0.5, theta, 0.0, 0):.6f}")  # 2 · (0.9 - 0.75)²
        0.045000
    """
    checks.check_range(natural, "natural", "[0, 1]", whole=True)
    theta, T, a, nu = simplex.per_distribution(logits, temperature, fraction, natural)
    real = jnp.broadcast_to(simplex.probabilities(logits_real), theta.shape)
    slope = gradient(theta, T[..., 0], real, a[..., 0])
    p = simplex.probabilities(theta)
    safe = jnp.where(p > 0, p, 1)
    return simplex.total(slope * slope / safe**nu)[..., 0]
