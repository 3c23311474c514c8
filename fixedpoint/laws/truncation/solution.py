"""Truncation: samplers that cut the tail of what is drawn, again and again.

Closed forms in JAX.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


@checks.arguments()
def nucleus_support(logits: Logits, mass: Number) -> Float[Array, "*batch"]:
    """Outcomes that nucleus sampling leaves in the end (`truncation.nucleus_support`).

        m* = #{m : p_m > (1 − π)(p_1 + … + p_m)},   p_1 ≥ p_2 ≥ …

    Args:
        logits: The initial model; -inf marks a lost outcome.
        mass: π in [0, 1], the probability that the nucleus reaches.

    Validity:
        m* < 1/(1 − π). Where p_m = (1 − π)(p_1 + … + p_m) to rounding, the first
        m − 1 reach π and the nucleus cuts the m-th: of ten equal outcomes π = 0.9 leaves nine.

    Example:
        >>> words = -jnp.log(jnp.arange(1, 10_001))  # p ∝ 1/m
        >>> float(nucleus_support(words, 0.9)), float(nucleus_support(words, 0.99))
        (4.0, 25.0)
    """
    return _staying(*simplex.per_distribution(logits, mass))


@jax.jit
def _staying(theta: Array, mass: Array) -> Array:
    """How many of the most probable outcomes a nucleus leaves alone, at least one."""
    ranked = -jnp.sort(-theta, -1)
    p = simplex.probabilities(ranked)
    # The same allowance as in `fixedpoint.Nucleus`, whose limit this is.
    error = simplex.mass_rounding(ranked)[..., None]
    least = (1 - mass) * (1 + error) + jnp.finfo(p.dtype).eps
    # Written with 1 − π, not with S_{m−1} < π S_m, which would cancel.
    stays = jnp.where(mass < 1, p > least * jnp.cumsum(p, -1), ranked > -jnp.inf)
    return jnp.maximum(jnp.sum(stays, -1), 1).astype(p.dtype)


@checks.arguments()
def nucleus_boundary(gap: Number, mass: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Time until one of two is left under nucleus sampling (`truncation.nucleus_boundary`).

        E T ≃ 2n [S(p) − S(δ)],   δ = 1 − π,   S(x) = −x log x − (1 − x) log(1 − x)

    Args:
        gap: z = log(p/q), with 1 − π < p < π.
        mass: π in (1/2, 1].
        num_samples: n, large against 1/(1 − π).

    Returns:
        The mean time in generations. The outcome wins with the chance (p − δ)/(1 − 2δ). On the
        boundary and beyond it is 0: one generation, of which the order n knows nothing.

    Validity:
        Asymptotic, K = 2, T = 1, for n → ∞. The chain jumps over the boundary: take
        δ − 0.58 √(δ(1 − δ)/n) for δ to halve the number of digits lost (heuristic).

    Example:
        >>> round(float(nucleus_boundary(0.0, 0.9, 400)), 1)  # 800 (log 2 − S(0.1)); exactly 307.8
        294.5
    """
    z, mass, n = simplex.scalars(gap, mass, num_samples)
    whole = mass == 1  # nothing is cut; the slope is infinite there
    delta = jnp.where(whole, 0.5, 1 - mass)
    log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    S = -jnp.exp(log_p) * log_p - jnp.exp(log_q) * log_q
    edge = -jax.scipy.special.xlogy(delta, delta) - jax.scipy.special.xlog1py(1 - delta, -delta)
    edge = jnp.where(whole, 0, edge)
    # S increases with the smaller probability: above S(δ) both are above δ.
    inside = (edge < S) & (whole | (delta < 0.5))
    return jnp.where(inside, 2 * n * (S - edge), 0)
