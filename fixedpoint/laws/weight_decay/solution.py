"""Weight decay: single traces that are pulled back to the uniform distribution.

Closed forms in JAX.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


@checks.arguments(weight_decay="(0, inf)")
def weight_decay(
    heterozygosity: Number, step_size: Number, weight_decay: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Stationary squared size of the logits: ηh/(nλ(2 − ηλ)) (`weight_decay.weight_decay`).

    Args:
        heterozygosity: h = E[1 − Σp²] in the stationary law.
        step_size: η > 0.
        weight_decay: λ > 0, with ηλ < 1.
        num_samples: n ≥ 1.

    Returns:
        E|θ|² in the stationary law, for centred logits.

    Validity:
        Exact at T = 1 for every step size and number of samples.

    Example:
        >>> float(weight_decay(0.5, 1.0, 0.5, 1))  # 0.5 / (0.5 · 1.5)
        0.6666666666666666
    """
    h, eta, lam, n = simplex.scalars(heterozygosity, step_size, weight_decay, num_samples)
    _check_decay(eta, lam)
    return eta * h / (n * lam * (2 - eta * lam))


@checks.arguments()
def memory_time(
    logits: Logits, step_size: Number, weight_decay: Number, generation: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Mean logits under weight decay: θ₀ (1 − ηλ)^t (`weight_decay.memory_time`).

    Args:
        logits: The initial model; -inf marks a lost outcome.
        step_size: η > 0.
        weight_decay: λ ≥ 0, with ηλ < 1.
        generation: t ≥ 0.

    Returns:
        E θ_t: the logits are forgotten in the time 1/(ηλ), collapsed or not.

    Validity:
        Exact at T = 1 for every step size and number of samples; a statement about the mean alone.

    Example:
        >>> import jax.numpy as jnp
        >>> print(memory_time(jnp.array([8.0, -8.0]), 1.0, 0.5, 3))
        [ 1. -1.]
    """
    eta, lam, t = simplex.scalars(step_size, weight_decay, generation)
    _check_decay(eta, lam)
    theta, kept = simplex.per_distribution(logits, jnp.power(1 - eta * lam, t))
    alive = theta > -jnp.inf
    return jnp.where(alive, jnp.where(alive, theta, 0) * kept, -jnp.inf)


def _check_decay(step_size: Array, weight_decay: Array) -> None:
    """Check that a step of decay does not turn the logits' signs round: ηλ < 1."""
    checks.check_range(step_size * weight_decay, "step_size · weight_decay", "[0, 1)")


@checks.arguments(noise_ratio="(0, inf)")
def decay_density(gap: Number, noise_ratio: Number) -> Float[Array, "*batch"]:
    """Log density of the gap, over that at the tie (`weight_decay.decay_density`).

        log m(z)/m(0) = 2 log cosh(z/2) − (2/κ) [z²/4 + (z sinh z − cosh z + 1)/2]

    Args:
        gap: z = θ₁ − θ₂, finite.
        noise_ratio: κ = η/(λn) > 0, with the weight decay λ.

    Returns:
        log m(z) − log m(0) of the stationary density m of the gap (per dz).

    Validity:
        K = 2, T = 1; asymptotic for η → 0 at fixed κ: the diffusion. The chain differs by order η.

    Example:
        >>> float(decay_density(0.0, 4.0))
        0.0
        >>> round(float(decay_density(0.1, 2.0)) / 0.1**2, 2)  # (1/2 − 2/κ)/2 near the tie
        -0.25
    """
    z, kappa = simplex.scalars(gap, noise_ratio)
    z = jnp.abs(z)
    u = z / 2
    near = jnp.log1p(jnp.sinh(jnp.minimum(u, 1)) ** 2)
    log_cosh_square = jnp.where(u < 1, near, z + 2 * jnp.log1p(jnp.expm1(-z) / 2))
    pull = u**2 + jnp.sinh(u) * jnp.cosh(u) * (z - jnp.tanh(u))
    return log_cosh_square - 2 * pull / kappa


@checks.arguments(noise_ratio="(0, inf)", chart=">= 1")
def decay_thresholds(noise_ratio: Number, chart: Number) -> Float[Array, "*batch"]:
    """Curvature of the log density at the tie: c/2 − 2/κ (`weight_decay.decay_thresholds`).

    Args:
        noise_ratio: κ = η/(λn) > 0, with the weight decay λ.
        chart: c = 1 for the density of the gap z (per dz), c = 2 for that of p (per dp).

    Returns:
        The second derivative along z at z = 0. If it is positive there are two modes, one on each
        side of the tie: κ > 4/c. Otherwise the tie is the only mode.

    Validity:
        Exact for the diffusion of `decay_density`: K = 2, T = 1, η → 0 at fixed κ.

    Example:
        >>> float(decay_thresholds(4.0, 1)), float(decay_thresholds(2.0, 2))
        (0.0, 0.0)
    """
    checks.check_range(chart, "chart", "[1, 2]", whole=True)
    kappa, c = simplex.scalars(noise_ratio, chart)
    return c / 2 - 2 / kappa


@checks.arguments(weight_decay="(0, inf)")
def decay_floor(weight_decay: Number) -> Float[Array, "*batch"]:
    """Floor of the rarer probability under weight decay, λ log((1 − q)/q) = 2q.

    (`weight_decay.decay_floor`)

    Args:
        weight_decay: λ > 0.

    Returns:
        q in (0, 1/2): about (λ/2) W(2/λ) for small λ, with Lambert's W.

    Validity:
        Exact at T = 1, K = 2 for every number of samples and every step size with
        η(λ + 1/2) ≤ 1: almost surely the lower limit of min(p, 1 − p), which a model that starts
        above it never passes. Larger steps do pass it (`tests/laws/weight_decay/test_process.py`).

    Example:
        >>> import math
        >>> q = 0.25  # is the floor at λ = 2q/log(1/q − 1)
        >>> round(float(decay_floor(0.5 / math.log(3.0))), 12)
        0.25
    """
    return _lowest_probability(*simplex.scalars(weight_decay))


@jax.jit
def _lowest_probability(decay: Array) -> Array:
    # The gap z solves λz = 2/(1 + e^z), and q = λz/2. With x = λW(2/λ)/2, x/(1 + x) ≤ q ≤ x.
    high = special.lambertw(2 / decay)
    gap = special.increasing_root(
        lambda z: decay * z - 2 * jax.nn.sigmoid(-z), high / (1 + decay * high / 2), high
    )
    return decay * gap / 2
