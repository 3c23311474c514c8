"""Survival: which outcomes of single traces stay alive, and for how long.

Closed forms in JAX.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- Three outcomes and more ----------------------------------------------------------------------


@checks.arguments(logits="finite logits", subset="values", exponent="(0, inf)")
def transience(logits: Logits, subset: Logits, exponent: Number) -> Float[Array, "*batch"]:
    """Drift of Y^{−α}, Y = Σ_{i∈A} e^{−θ_i}, at T = 1 in units of η²/n (`survival.transience`).

        (α/2) Y^{−α−1}/Z · [(α + 1)(1 − m²/(ZY)) − (m − p_A)],    m = |A|

    Args:
        logits: The model θ, finite.
        subset: 1 for the outcomes of A, 0 for the others.
        exponent: α > 0.

    Returns:
        The limit of (n/η²) E[Y'^{−α} − Y^{−α}] for small steps. It is negative from every state
        when m ≥ 3 and α ≤ m − 2: Y^{−α} converges, and the third largest logit goes to −∞.

    Validity:
        The exact limit. The same conclusion holds for every step and number of samples, with the
        smaller α of `transience_every_step`.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(transience(jnp.zeros(3), jnp.ones(3), 1.0)) * 27, 12)  # (1/2)(1/9)(1/3)(−2)
        -1.0
    """
    checks.check_range(subset, "subset", "[0, 1]")
    checks.check_logits(checks.check_range(logits, "logits", "(-inf, inf)"))
    theta, alpha = simplex.per_distribution(logits, exponent)
    alpha = alpha[..., 0]
    chosen = jnp.broadcast_to(jnp.asarray(subset, theta.dtype), theta.shape)
    size = jnp.sum(chosen, -1)
    # In logarithms, each relative to its largest term: e^θ overflows where the drift does not.
    log_Z, log_Y = jax.nn.logsumexp(theta, -1), jax.nn.logsumexp(-theta, -1, b=chosen)
    alive = jnp.sum(chosen * simplex.probabilities(theta), -1)
    bracket = (alpha + 1) * (1 - size**2 * jnp.exp(-log_Z - log_Y)) - (size - alive)
    return alpha / 2 * jnp.exp(-(alpha + 1) * log_Y - log_Z) * bracket


@checks.arguments(num_alive=">= 2")
def transience_every_step(step_size: Number, num_alive: Number) -> Float[Array, "*batch"]:
    """Exponent α up to which Y^{−α} falls on average from every state: W(2ηκ)/η.

        κ = (m − 2) g / (1 + ηg √(m − 2))²,    g = (e^{−2η} − 1 + 2η)/(2η)²

    (`survival.transience_every_step`)

    Args:
        step_size: η > 0.
        num_alive: m ≥ 2, how many outcomes of the K stand in Y = Σ e^{−θ_i}.

    Returns:
        α ≥ 0, and > 0 for m ≥ 3: Y^{−α} is then a positive supermartingale, so it converges, and
        the third largest logit goes to −∞.

    Validity:
        A rigorous bound at T = 1 for every step size and number of samples. It is sharp for small
        steps, where it tends to m − 2 (`transience`), and falls like 1/η for large ones.

    Example:
        >>> round(float(transience_every_step(1.0, 3)), 6)
        0.264394
    """
    eta, size = simplex.scalars(step_size, num_alive)
    # ηg, which tends to 1/2 where its parts overflow.
    large = eta > 1
    small = jnp.where(large, 1, eta)
    far = jnp.where(large, eta, 1)
    spread = jnp.where(
        large,
        0.5 + jnp.expm1(-jnp.minimum(far, 1e3) * 2) / 4 / far,
        small * special.phi2(-2 * small),
    )
    beyond = size - 2
    root = jnp.where(beyond > 0, jnp.sqrt(jnp.where(beyond > 0, beyond, 1)), 0)
    return special.lambertw(2 * spread * beyond / (1 + spread * root) ** 2) / eta


# --- Other temperatures ---------------------------------------------------------------------------


@checks.arguments(num_outcomes=">= 2", generation=">= 1")
def absorption(
    num_outcomes: Number, step_size: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Probability left to the losers below T = 1: (K − 1)/(Kηt) (`survival.absorption`).

    Args:
        num_outcomes: K ≥ 2.
        step_size: η > 0.
        generation: t, late.

    Returns:
        1 − p_max, shared equally by the K − 1 losers.

    Validity:
        Asymptotic, once a single outcome is drawn for ever (almost surely from some generation
        on, for T < 1 and every η); relative error of order log(t)/t.

    Example:
        >>> float(absorption(2, 0.5, 100))
        0.01
    """
    K, eta, t = simplex.scalars(num_outcomes, step_size, generation)
    return (K - 1) / (K * eta * t)


@checks.arguments(gap="(0, inf)", temperature="(0, 1)")
def winner(
    gap: Number, temperature: Number, step_size: Number, num_samples: Number = 1
) -> Float[Array, "*batch"]:
    """Chance that the initial mode of two outcomes loses, for small steps (`survival.winner`).

        A(z) √(2W/β) Φ(−√(2nW/η)),   β = 1/T − 1,   W = ½∫₀^z m,   p_T + q_T e^m = e^{mq}

    Args:
        gap: z > 0, the initial mode's logit minus the other's.
        temperature: T in (0, 1).
        step_size: η > 0.
        num_samples: n ≥ 1.

    Returns:
        The probability that the other outcome is drawn for ever in the end.

    Validity:
        Asymptotic for η → 0 at fixed T, uniformly in z; relative error about η/6 at T = 1/2. A
        diffusion with the same drift and noise has another exponent and is wrong by a factor that
        is exponential in 1/η. Numerically accurate to 1e-6 for 0.05 ≤ z ≤ 3. Needs float64: near
        the tie it is what is left of terms that grow as 1/y.

    Example:
        >>> round(float(winner(1.0, 0.5, 0.1)), 6)  # the functional equation itself: 8.199e-4
        0.000833
    """
    z, T, eta, n = simplex.scalars(gap, temperature, step_size, num_samples)
    checks.check_float64(z, "gap")
    z, T, n = jnp.broadcast_arrays(z, T, n)
    nodes, weights = (jnp.asarray(x, z.dtype) for x in np.polynomial.legendre.leggauss(32))
    y = jnp.multiply.outer((nodes + 1) / 2, z)
    q, log_q_T = jax.nn.sigmoid(-y), jax.nn.log_sigmoid(-y / T[None])
    p, log_p_T = jax.nn.sigmoid(y), jax.nn.log_sigmoid(y / T[None])

    def newton(_: Any, m: Array) -> Array:
        # In logarithms where m is large: at a low temperature q_T underflows, and e^m overflows.
        log_shared = jnp.log1p(jnp.exp(log_q_T) * jnp.expm1(jnp.minimum(m, 1)))
        log_shared = jnp.where(m < 1, log_shared, jnp.logaddexp(log_p_T, log_q_T + m))
        return m - (log_shared - m * q) / (jnp.exp(log_q_T + m - log_shared) - q)

    # Convex in m, so that Newton's steps descend to the root from its right.
    m = jax.lax.fori_loop(0, 40, newton, -log_q_T / p)
    fall = jnp.exp(log_q_T + m * p)
    first, second = q - fall, q**2 + fall * (p**2 - q**2)
    slope = (jnp.exp(log_p_T) / T[None] * (jnp.exp(log_q_T - m * q) - fall) + m * p * q) / first
    weights = weights / 2
    W = z / 2 * jnp.tensordot(weights, m, 1)
    spread = second + (n - 1)[None] * first**2
    log_zA = z * jnp.tensordot(weights, slope / 2 * spread / first + 1 / y, 1)
    tail = jax.scipy.special.log_ndtr(-jnp.sqrt(2 * n * W / eta))
    return jnp.exp(log_zA + tail) / z * jnp.sqrt(2 * W / (1 / T - 1))


@checks.arguments(num_outcomes=">= 2", temperature="(1, inf)")
def stationary(
    num_outcomes: Number, temperature: Number, step_size: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Variance of the logits above T = 1, for small steps (`survival.stationary`).

        C = ηT/(2n(T − 1)) / (1 − η(1 − 1/T)/(2K))

    Args:
        num_outcomes: K ≥ 2.
        temperature: T > 1.
        step_size: η > 0.
        num_samples: n ≥ 1.

    Returns:
        C; the stationary covariance is C (I − 11ᵀ/K), so that E|θ|² = (K − 1) C.

    Validity:
        Asymptotic for ηT/(n(T − 1)) → 0; exact for the linearised chain. Near T = 1 the law is
        another one (`stationary_mixture`).

    Example:
        >>> round(float(stationary(2, 2.0, 0.4, 1)), 9)  # 0.4 / (1 − 0.05)
        0.421052632
    """
    K, T, eta, n = simplex.scalars(num_outcomes, temperature, step_size, num_samples)
    return eta * T / (2 * n * (T - 1)) / (1 - eta * (1 - 1 / T) / (2 * K))


@checks.arguments(num_outcomes=">= 2")
def stationary_mixture(num_outcomes: Number, variance: Number) -> Float[Array, "*batch"]:
    """Mean square of the logits just above T = 1 (`survival.stationary_mixture`).

        E|θ|² = (K−1)v/2 + v² [(1 − 1/K) e^{v/2} + (K−1)(1/2 − 1/K)] / (e^{v/2} + K − 1)

    Args:
        num_outcomes: K ≥ 2.
        variance: v = η/(n(1 − 1/T)) > 0.

    Returns:
        E|θ|² in the mixture of K corners, centred at v(e_i − 1/K), and K(K − 1)/2 edges, centred
        half way between two corners, all with covariance (v/2)(I − 11ᵀ/K); a corner weighs
        e^{v/2} times half an edge.

    Validity:
        Exact for the diffusion (η → 0, T → 1 at fixed v); the chain differs by order η.

    Example:
        >>> float(stationary_mixture(2, 1e-3)).__round__(9)  # v/2 + v²/4, v small
        0.00050025
    """
    K, v = simplex.scalars(num_outcomes, variance)
    edges = (K - 1) * jnp.exp(-v / 2)
    centres = ((1 - 1 / K) + edges * (0.5 - 1 / K)) / (1 + edges)
    return (K - 1) * v / 2 + v**2 * centres


# --- Astronomic horizons --------------------------------------------------------------------------


@checks.arguments(logits="finite logits", log_generation="(0, inf)")
def memory(logits: Logits, log_generation: Number) -> Float[Array, "*batch num_outcomes"]:
    """Chance of each outcome to lead late: 1/K + (θ₀ − mean θ₀)/log t (`survival.memory`).

    Args:
        logits: The initial model, finite.
        log_generation: log t, large against the centred logits.

    Validity:
        T = 1. For K = 2 and small steps a theorem of the diffusion; for K ≥ 3 derived from the
        exact martingale and a picture of the corners, and confirmed by simulation. Corrections of
        relative order 1/log t; for large η read log t as log 2ηt.

    Example:
        >>> import jax.numpy as jnp
        >>> print(memory(jnp.array([6.0, 0.0, -6.0]), 60.0).round(4))
        [0.4333 0.3333 0.2333]
    """
    checks.check_logits(checks.check_range(logits, "logits", "(-inf, inf)"), "logits")
    theta, log_t = simplex.per_distribution(logits, log_generation)
    return 1 / theta.shape[-1] + simplex.centre(theta) / log_t


@checks.arguments(num_outcomes=">= 2", gap="(0, inf)", log_generation="(0, inf)")
def survival(num_outcomes: Number, gap: Number, log_generation: Number) -> Float[Array, "*batch"]:
    """Chance that the leader was never overtaken: (z/log t)^{2 − 2/K} (`survival.survival`).

    Args:
        num_outcomes: K ≥ 2.
        gap: z, how far ahead of all others it started.
        log_generation: log t, large against z.

    Validity:
        T = 1; derived, not proved for K ≥ 3, and confirmed by simulation. Corrections of relative
        order 1/log t.

    Example:
        >>> float(survival(2, 10.0, 100.0))
        0.1
    """
    K, z, log_t = simplex.scalars(num_outcomes, gap, log_generation)
    return (z / log_t) ** (2 - 2 / K)


@checks.arguments(level="(0, 0.5)", log_ratio="[0, inf]")
def switches(level: Number, log_ratio: Number) -> Float[Array, "*batch"]:
    """Mean number of changes of the leading outcome: ℓ/(2 log(1/p₀ − 1)) (`survival.switches`).

    Args:
        level: p₀ in (0, 1/2); a change is complete when the other's probability is above 1 − p₀.
        log_ratio: ℓ = log(t₂/t₁), the logarithm of the ratio of two late generations.

    Validity:
        T = 1, K = 2, small steps; relative error of order η/log(1/p₀). Derived for the chain.

    Example:
        >>> import math
        >>> float(switches(1 / (1 + math.e), 10.0)).__round__(9)  # two logits apart: 10/2
        5.0
    """
    p, elapsed = simplex.scalars(level, log_ratio)
    return elapsed / (2 * (jnp.log1p(-p) - jnp.log(p)))
