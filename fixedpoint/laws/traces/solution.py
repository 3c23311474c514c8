"""Closed forms for a model that takes one gradient step a generation on n fresh samples.

η is the step size, n the number of samples, t the generation, T the sampling temperature.

Every function works under `jax.jit`, `jax.vmap` and `jax.grad` and follows the dtype of its
arguments. Derivatives are exact where they exist; where a value jumps, is infinite or has an
infinite slope they are 0 or infinite, never NaN (`tests/laws/test_solutions.py`).
"""

from __future__ import annotations

import math

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, potential, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- T = 1: the martingale ------------------------------------------------------------------------


@checks.arguments()
def martingale(
    logits: Logits, temperature: Number, step_size: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Mean change E[θ' − θ] of the logits in one generation: η (p_T − p) (`traces.martingale`).

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: T in [0, inf]; at T = 1 the change is exactly 0: the logits are a martingale.
        step_size: η > 0.

    Example:
        >>> import jax.numpy as jnp
        >>> print(martingale(jnp.log(jnp.array([0.75, 0.25])), 0.5, 2.0).round(6))  # 2(.9 − .75)
        [ 0.3 -0.3]
    """
    theta, eta = simplex.per_distribution(logits, step_size)
    return eta * potential.gradient(theta, temperature)


@checks.arguments(heterozygosities="each [0, 1]")
def displacement(
    heterozygosities: Real[ArrayLike, "*#batch generations"], step_size: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Mean squared displacement at T = 1: (η²/n) Σ_j h_j (`traces.displacement`).

    Args:
        heterozygosities: h_j = E[1 − Σp²] before each of the generations.
        step_size: η > 0.
        num_samples: n ≥ 1.

    Returns:
        E|θ_t − θ_0|², t the number of entries of `heterozygosities`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(displacement(jnp.array([0.5]), 0.2, 1))  # from two equal outcomes: 2 · (0.1)²
        0.020000000000000004
    """
    h, eta = simplex.per_distribution(jnp.atleast_1d(heterozygosities), step_size)
    h, n = simplex.per_distribution(h, num_samples)
    return jnp.sum(eta**2 / n * h, -1)


@checks.arguments()
def displacement_bound(
    num_outcomes: Number, time: Number, step_size: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Bound of the mean squared displacement: (1 − 1/K) ητ/n (`traces.displacement_bound`).

    Args:
        num_outcomes: K ≥ 1.
        time: τ = ηt, step size times the number of generations.
        step_size: η > 0.
        num_samples: n ≥ 1.

    Returns:
        A bound of E|θ_t − θ_0|²: the root mean square displacement in a fixed time is at most of
        the order √η.

    Validity:
        A rigorous bound at T = 1; attained by one generation from the uniform model.

    Example:
        >>> float(displacement_bound(2, 1.0, 0.5, 1))
        0.25
    """
    K, tau, eta, n = simplex.scalars(num_outcomes, time, step_size, num_samples)
    return (1 - 1 / K) * eta * tau / n


# --- T = 1: the price in log-loss, and two biases -------------------------------------------------


@checks.arguments()
def log_loss(logits: Logits, step_size: Number) -> Float[Array, "*batch"]:
    """Fall of the expected log-likelihood of *any* outcome in one generation (`traces.log_loss`).

        A = Σ_k p_k log(Σ_j p_j e^{−ηp_j} + p_k e^{−ηp_k} (e^η − 1))

    Args:
        logits: The model θ; -inf marks a lost outcome.
        step_size: η > 0.

    Returns:
        A = log p(x) − E log p'(x), the same for every outcome x of positive probability; also the
        growth of the divergence KL(q‖p) from any fixed q.

    Validity:
        Exact for T = 1 and one sample a generation. Relative accuracy 1e-11 for η ≥ 0.05; below,
        absolute accuracy 1e-16 (A is of order η²).

    Example:
        >>> import jax.numpy as jnp
        >>> float(log_loss(jnp.zeros(2), 2.0)).__round__(6)  # log cosh 1
        0.433781
    """
    theta, eta = simplex.per_distribution(logits, step_size)
    p = simplex.probabilities(theta)
    # E[θ'] = θ: subtracting the mean exponent, which is 0, leaves only the second order.
    excess = jnp.sum(p * jnp.expm1(-eta * p), -1, keepdims=True)
    hit = p * (jnp.exp(eta * (1 - p)) - jnp.exp(-eta * p))
    linear = eta * (p - jnp.sum(p**2, -1, keepdims=True))
    return jnp.sum(p * (jnp.log1p(excess + hit) - linear), -1)


@checks.arguments()
def bias(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Drift of the probabilities at T = 1, in units of η²/n (`traces.bias`).

        lim (n/η²) E[p' − p] = ½ p (f − Σ p f),    f = p (1 + 2 Σp² − 3p)

    Args:
        logits: The model θ; -inf marks a lost outcome.

    Returns:
        The limit for small steps. The mean p moves away from the uniform model (in the Euclidean
        distance) if and only if Σᵢ pᵢ biasᵢ > 0, that is, if

            Σ_{i<j} pᵢ pⱼ (pᵢ − pⱼ)² (1 + 2 Σp² − 3pᵢ − 3pⱼ) > 0:

        never for K = 2; wherever the two most probable outcomes have less than (1 + 2 Σp²)/3
        together. Near the uniform model the slope of the drift is (K − 4)/(2K²) times the
        deviation: back to uniform for K ≤ 3, away from it for K ≥ 5.

    Validity:
        The exact limit; E[p' − p] itself is (η²/n) times this up to relative order η. Absolute
        accuracy 1e-15.

    Example:
        >>> import jax.numpy as jnp
        >>> print(bias(jnp.log(jnp.array([0.75, 0.25]))))  # 2 (9/16)(1/16)(1 − 3/2)
        [-0.03515625  0.03515625]
        >>> p = jnp.array([[0.6, 0.1, 0.1, 0.1, 0.1], [0.24, 0.19, 0.19, 0.19, 0.19]])
        >>> print(jnp.sum(p * bias(jnp.log(p)), -1) > 0)  # five outcomes: towards uniform, and away
        [False  True]
    """
    p = simplex.probabilities(checks.check_logits(logits))
    fitness = p * (1 + 2 * jnp.sum(p**2, -1, keepdims=True) - 3 * p)
    # f_i − Σ p f = Σ_j p_j (f_i − f_j), written so that equal outcomes cancel exactly.
    return p * (fitness - jnp.sum(p * fitness, -1, keepdims=True)) / 2


@checks.arguments()
def entropy_bias(logits: Logits) -> Float[Array, "*batch"]:
    """Drift of the entropy at T = 1, in units of η²/n (`traces.entropy_bias`).

        lim (n/η²) E[H' − H] = −(Q/2 + log p · ∇Q/4),    Q = s₂ − 2 s₃ + s₂²,  s_m = Σ p^m

    Args:
        logits: The model θ; -inf marks a lost outcome.

    Returns:
        The limit for small steps: negative near the uniform model, positive near a vertex.

    Validity:
        The exact limit; E[H' − H] itself is (η²/n) times this up to relative order η. Absolute
        accuracy 1e-15 times log K.

    Example:
        >>> import jax.numpy as jnp
        >>> float(entropy_bias(jnp.zeros(4)))  # −(K − 1)/(2K²) = −3/32
        -0.09375
    """
    log_p = simplex.log_probabilities(checks.check_logits(logits))
    p = jnp.exp(log_p)
    log_p = jnp.where(p > 0, log_p, 0)
    s2, s3, mean = jnp.sum(p**2, -1), jnp.sum(p**3, -1), jnp.sum(p * log_p, -1)
    slope2 = 2 * (jnp.sum(p**2 * log_p, -1) - s2 * mean)
    slope3 = 3 * (jnp.sum(p**3 * log_p, -1) - s3 * mean)
    return -((s2 - 2 * s3 + s2**2) / 2 + ((1 + 2 * s2) * slope2 - 2 * slope3) / 4)


# --- T = 1, two outcomes: the catenoid and the vertex ---------------------------------------------


@checks.arguments()
def catenoid(gap: Number, diffusion_time: Number) -> Float[Array, "*batch"]:
    """Mean of 1/(pq) + z² in the limit of small steps: 4cosh²(z/2) + z² + 2s (`traces.catenoid`).

    Args:
        gap: z = θ₁ − θ₂ at the start.
        diffusion_time: s = η²t/n ≥ 0 after t generations.

    Validity:
        Exact for the diffusion dz = sech(z/2) dW, the limit η → 0 at T = 1 and K = 2: the height
        of a Brownian motion on the catenoid of radius 2cosh(z/2) = 1/√(pq).

    Example:
        >>> float(catenoid(0.0, 3.0))
        10.0
    """
    z, s = simplex.scalars(gap, diffusion_time)
    return 4 * jnp.cosh(z / 2) ** 2 + z**2 + 2 * s


@checks.arguments(order="")
def envelope(order: int, step_size: Number) -> Float[Array, "*batch"]:
    """Moments of X = lim (p/q)/t near a vertex: ∏_{l≤j} ψ(l) / j! (`traces.envelope`).

        ψ(l) = 2ηl − 1 + e^{−2ηl}

    Args:
        order: j ≥ 0, which moment.
        step_size: η > 0.

    Returns:
        E X^j. The minority's probability at a late generation t is about 1/(tX), 0 ≤ X ≤ 2η.

    Validity:
        Exact for the self-similar process near a vertex (T = 1, K = 2, n = 1).

    Example:
        >>> import math
        >>> math.isclose(float(envelope(1, 0.5)), math.exp(-1))  # ψ(1) = e^{−1} at η = 1/2
        True
    """
    order = checks.check_count(order, "order", minimum=0)
    (eta,) = simplex.scalars(checks.check_positive(step_size, "step_size"))
    twice = 2 * jnp.multiply.outer(eta, jnp.arange(1, order + 1, dtype=eta.dtype))
    psi = twice**2 * special.phi2(-twice)
    return jnp.exp(jnp.sum(jnp.log(psi), -1) - math.lgamma(order + 1))


@checks.arguments(generation="[0, inf)")
def first_surprise(gap: Number, step_size: Number, generation: Number) -> Float[Array, "*batch"]:
    """Chance that only the leader is drawn: (1 + 2ηt e^{−z})^{−1/(2η)} (`traces.first_surprise`).

    Args:
        gap: z, the leader's logit minus the other's, large.
        step_size: η > 0.
        generation: t ≥ 0, for how long.

    Returns:
        P(no other outcome in t generations). It tends to 0, however large z is.

    Validity:
        T = 1, K = 2, one sample a generation; relative error about e^{−z}/(4η).

    Example:
        >>> import math
        >>> float(first_surprise(math.log(1e6), 0.5, 1_000_000)).__round__(6)  # 1/(1 + 1)
        0.5
    """
    z, eta, t = simplex.scalars(gap, step_size, generation)
    # No product overflows into a quotient of infinities.
    odds = jnp.minimum(eta * (2 * t * jnp.exp(-z)), jnp.finfo(z.dtype).max)
    return jnp.exp(-jnp.log1p(odds) / eta / 2)


# --- Two charts -----------------------------------------------------------------------------------


@checks.arguments(step_size="(0, 1]")
def two_charts(
    logits: Logits, step_size: Number, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Mean of 1 − Σp² if the step is taken on probabilities (`traces.two_charts`).

        E[1 − Σp_t²] = (1 − Σp₀²) (1 − η²/n)^t

    Args:
        logits: The initial model; -inf marks a lost outcome.
        step_size: η in (0, 1] of p' = (1 − η) p + η p̂.
        num_samples: n ≥ 1.
        generation: t ≥ 0.

    Returns:
        The mean. It tends to 0: the model ends on one outcome, outcome i with probability p_i.

    Validity:
        Exact at T = 1. The typical value falls faster, like (1 − η)^t: rare survivors carry the
        mean. The same step on logits neither dies nor settles (`martingale`).

    Example:
        >>> import jax.numpy as jnp
        >>> float(two_charts(jnp.zeros(2), 0.5, 1, 2))  # (1/2)(3/4)²
        0.28125
    """
    eta, n, t = simplex.scalars(step_size, num_samples, generation)
    theta, kept = simplex.per_distribution(logits, special.power_of_complement(eta**2 / n, t))
    return simplex.heterozygosity(theta) * kept[..., 0]
