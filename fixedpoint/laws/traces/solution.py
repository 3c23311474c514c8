"""Closed forms for a model that takes one gradient step a generation on B fresh samples.

η is the step size, B the number of samples, T the sampling temperature, λ the weight decay.

Every function works under `jax.jit`, `jax.vmap` and `jax.grad` and follows the dtype of its
arguments. Derivatives are exact where they exist; where a value jumps, is infinite or has an
infinite slope they are 0 or infinite, never NaN (`tests/laws/test_solutions.py`).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, potential, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- T = 1: the martingale ------------------------------------------------------------------------


@checks.arguments()
def martingale(
    logits: Logits, temperature: Number, step_size: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Mean change of the logits in one generation: η (p_T − p) (`traces.martingale`).

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: T in [0, inf]; at T = 1 the mean change is exactly 0.
        step_size: η > 0.

    Returns:
        E[θ' − θ].

    Raises:
        ValueError: If the temperature is negative.

    Validity:
        Exact for every step and batch size. At T = 1 it makes the logits a martingale.

    Example:
        >>> import jax.numpy as jnp
        >>> print(martingale(jnp.log(jnp.array([0.75, 0.25])), 0.5, 2.0).round(6))  # 2(.9 − .75)
        [ 0.3 -0.3]

    References:
        Robertson, Chu, Dai, Schuurmans, Szepesvari, Mei, REINFORCE Converges to Optimal Policies
        with Any Learning Rate, NeurIPS 2025, Proposition 3.2 (T = 1).
    """
    theta, eta = simplex.per_distribution(logits, step_size)
    return eta * potential.gradient(theta, temperature)


@checks.arguments(heterozygosity="each [0, 1]")
def displacement(
    heterozygosity: Real[ArrayLike, "*#batch generations"], step_size: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Mean squared displacement at T = 1: (η²/B) Σ_t h_t (`traces.displacement`).

    Args:
        heterozygosity: h_t = E[1 − Σp²] before each of the generations.
        step_size: η > 0.
        num_samples: B ≥ 1.

    Returns:
        E|θ_n − θ_0|², n the number of entries of `heterozygosity`.

    Validity:
        Exact for every step and batch size.

    Example:
        >>> import jax.numpy as jnp
        >>> float(displacement(jnp.array([0.5]), 0.2, 1))  # from two equal outcomes: 2 · (0.1)²
        0.020000000000000004

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    h, eta = simplex.per_distribution(heterozygosity, step_size)
    h, B = simplex.per_distribution(h, num_samples)
    return jnp.sum(eta**2 / B * h, -1)


@checks.arguments()
def displacement_bound(
    num_outcomes: Number, time: Number, step_size: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Bound of the mean squared displacement: (1 − 1/K) η S/B (`traces.displacement_bound`).

    Args:
        num_outcomes: K ≥ 1.
        time: S = ηN, step size times the number of generations.
        step_size: η > 0.
        num_samples: B ≥ 1.

    Returns:
        A bound of E|θ_N − θ_0|²: the root mean square displacement in a fixed time is at most of
        the order √η.

    Validity:
        A rigorous bound at T = 1; nearly attained while the model is close to uniform.

    Example:
        >>> float(displacement_bound(2, 1.0, 0.5, 1))
        0.25

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    K, S, eta, B = simplex.scalars(num_outcomes, time, step_size, num_samples)
    return (1 - 1 / K) * eta * S / B


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

    References:
        Derived here (`laws/traces/derivation.py`).
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
    """Drift of the probabilities at T = 1, in units of η²/B (`traces.bias`).

        lim (B/η²) E[p' − p] = ½ p (f − Σ p f),    f = p (1 + 2 Σp² − 3p)

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
        The exact limit; E[p' − p] itself is (η²/B) times this up to relative order η. Absolute
        accuracy 1e-15.

    Example:
        >>> import jax.numpy as jnp
        >>> print(bias(jnp.log(jnp.array([0.75, 0.25]))))  # 2 (9/16)(1/16)(1 − 3/2)
        [-0.03515625  0.03515625]
        >>> p = jnp.array([[0.6, 0.1, 0.1, 0.1, 0.1], [0.24, 0.19, 0.19, 0.19, 0.19]])
        >>> print(jnp.sum(p * bias(jnp.log(p)), -1) > 0)  # five outcomes: towards uniform, and away
        [False  True]

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    p = simplex.probabilities(checks.check_logits(logits))
    fitness = p * (1 + 2 * jnp.sum(p**2, -1, keepdims=True) - 3 * p)
    # f_i − Σ p f = Σ_j p_j (f_i − f_j), written so that equal outcomes cancel exactly.
    return p * (fitness - jnp.sum(p * fitness, -1, keepdims=True)) / 2


@checks.arguments()
def entropy_bias(logits: Logits) -> Float[Array, "*batch"]:
    """Drift of the entropy at T = 1, in units of η²/B (`traces.entropy_bias`).

        lim (B/η²) E[H' − H] = −(Q/2 + log p · ∇Q/4),    Q = s₂ − 2 s₃ + s₂²,  s_m = Σ p^m

    Args:
        logits: The model θ; -inf marks a lost outcome.

    Returns:
        The limit for small steps: negative near the uniform model, positive near a vertex.

    Validity:
        The exact limit; E[H' − H] itself is (η²/B) times this up to relative order η. Absolute
        accuracy 1e-15 times log K.

    Example:
        >>> import jax.numpy as jnp
        >>> float(entropy_bias(jnp.zeros(4)))  # −(K − 1)/(2K²) = −3/32
        -0.09375

    References:
        Derived here (`laws/traces/derivation.py`).
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
def catenoid(logit_gap: Number, diffusion_time: Number) -> Float[Array, "*batch"]:
    """Mean of 1/(pq) + z² in the limit of small steps: 4cosh²(z/2) + z² + 2s (`traces.catenoid`).

    Args:
        logit_gap: z = θ₁ − θ₂ at the start.
        diffusion_time: s = η²N/B ≥ 0 after N generations.

    Returns:
        E[1/(p_s q_s) + z_s²].

    Validity:
        Exact for the diffusion dz = sech(z/2) dW, the limit η → 0 at T = 1 and K = 2: the height
        of a Brownian motion on the catenoid of radius 2cosh(z/2) = 1/√(pq).

    Example:
        >>> float(catenoid(0.0, 3.0))
        10.0

    References:
        The diffusion: Lattimore, arXiv:2603.10219, at zero gap. The catenoid: derived here.
    """
    z, s = simplex.scalars(logit_gap, diffusion_time)
    return 4 * jnp.cosh(z / 2) ** 2 + z**2 + 2 * s


@checks.arguments(order="")
def envelope(order: int, step_size: Number) -> Float[Array, "*batch"]:
    """Moments of X = lim (p/q)/t near a vertex: ∏_{j≤k} ψ(j) / k! (`traces.envelope`).

        ψ(l) = 2ηl − 1 + e^{−2ηl}

    Args:
        order: k ≥ 0, which moment.
        step_size: η > 0.

    Returns:
        E X^k. The minority's probability at a late generation t is about 1/(tX), 0 ≤ X ≤ 2η.

    Raises:
        ValueError: If `order` is negative.

    Validity:
        Exact for the self-similar process near a vertex (T = 1, K = 2, B = 1).

    Example:
        >>> import math
        >>> math.isclose(float(envelope(1, 0.5)), math.exp(-1))  # ψ(1) = e^{−1} at η = 1/2
        True

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    order = checks.check_count(order, "order", minimum=0)
    (eta,) = simplex.scalars(checks.check_positive(step_size, "step_size"))
    psi = _beyond_linear(2 * jnp.multiply.outer(eta, jnp.arange(1, order + 1, dtype=eta.dtype)))
    return jnp.exp(jnp.sum(jnp.log(psi), -1) - math.lgamma(order + 1))


def _beyond_linear(x: Array) -> Array:
    """The rest x − 1 + e^{−x}, by its series where that loses its digits."""
    return jnp.where(x < 0.02, x**2 * _over_square(x), x + jnp.expm1(-x))


def _over_square(x: Array) -> Array:
    """The rest over x², which does not underflow."""
    small = x < 0.02
    near = jnp.where(small, x, 0)
    series = 1 - near / 3 * (1 - near / 4 * (1 - near / 5 * (1 - near / 6 * (1 - near / 7))))
    x = jnp.where(small, 1, x)
    return jnp.where(small, series / 2, (x + jnp.expm1(-x)) / x**2)


@checks.arguments(generation="[0, inf)")
def first_surprise(
    logit_gap: Number, step_size: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Chance that only the leader is drawn: (1 + 2ηn e^{−z})^{−1/(2η)} (`traces.first_surprise`).

    Args:
        logit_gap: z, the leader's logit minus the other's, large.
        step_size: η > 0.
        generation: n ≥ 0, for how long.

    Returns:
        P(no other outcome in n generations). It tends to 0, however large z is.

    Validity:
        T = 1, K = 2, one sample a generation; relative error about e^{−z}/(4η).

    Example:
        >>> import math
        >>> float(first_surprise(math.log(1e6), 0.5, 1_000_000)).__round__(6)  # 1/(1 + 1)
        0.5

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    z, eta, n = simplex.scalars(logit_gap, step_size, generation)
    return jnp.exp(-jnp.log1p(2 * eta * n * jnp.exp(-z)) / (2 * eta))


# --- Two charts, weight decay ---------------------------------------------------------------------


@checks.arguments(step_size="(0, 1]")
def two_charts(
    logits0: Logits, step_size: Number, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Mean of 1 − Σp² if the step is taken on probabilities (`traces.two_charts`).

        E[1 − Σp_n²] = (1 − Σp₀²) (1 − η²/B)^n

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        step_size: η in (0, 1] of p' = (1 − η) p + η p̂.
        num_samples: B ≥ 1.
        generation: n ≥ 0.

    Returns:
        The mean. It tends to 0: the model ends on one outcome, outcome i with probability p_i.

    Validity:
        Exact at T = 1. The typical value falls faster, like (1 − η)^n: rare survivors carry the
        mean. The same step on logits neither dies nor settles (`martingale`).

    Example:
        >>> import jax.numpy as jnp
        >>> float(two_charts(jnp.zeros(2), 0.5, 1, 2))  # (1/2)(3/4)²
        0.28125

    References:
        Known as genetic drift of a neutral bit: Doerr and Zheng, arXiv:1910.14389, and as linear
        reward-inaction.
    """
    eta, B, n = simplex.scalars(step_size, num_samples, generation)
    theta, kept = simplex.per_distribution(logits0, special.power_of_complement(eta**2 / B, n))
    return simplex.heterozygosity(theta) * kept[..., 0]


@checks.arguments(weight_decay="(0, inf)")
def weight_decay(
    heterozygosity: Number, step_size: Number, weight_decay: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Stationary squared size of the logits: ηh/(Bλ(2 − ηλ)) (`traces.weight_decay`).

    Args:
        heterozygosity: h = E[1 − Σp²] in the stationary law.
        step_size: η > 0.
        weight_decay: λ > 0, with ηλ < 1.
        num_samples: B ≥ 1.

    Returns:
        E|θ|² in the stationary law, for centred logits.

    Validity:
        Exact at T = 1 for every step and batch size.

    Example:
        >>> float(weight_decay(0.5, 1.0, 0.5, 1))  # 0.5 / (0.5 · 1.5)
        0.6666666666666666

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    h, eta, lam, B = simplex.scalars(heterozygosity, step_size, weight_decay, num_samples)
    _check_decay(eta, lam)
    return eta * h / (B * lam * (2 - eta * lam))


@checks.arguments()
def memory_time(
    logits0: Logits, step_size: Number, weight_decay: Number, generation: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Mean logits under weight decay: θ₀ (1 − ηλ)^n (`traces.memory_time`).

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        step_size: η > 0.
        weight_decay: λ ≥ 0, with ηλ < 1.
        generation: n ≥ 0.

    Returns:
        E θ_n: the logits are forgotten in the time 1/(ηλ), collapsed or not.

    Validity:
        Exact at T = 1 for every step and batch size; a statement about the mean alone.

    Example:
        >>> import jax.numpy as jnp
        >>> print(memory_time(jnp.array([8.0, -8.0]), 1.0, 0.5, 3))
        [ 1. -1.]

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    eta, lam, n = simplex.scalars(step_size, weight_decay, generation)
    _check_decay(eta, lam)
    theta, kept = simplex.per_distribution(logits0, jnp.power(1 - eta * lam, n))
    alive = theta > -jnp.inf
    return jnp.where(alive, jnp.where(alive, theta, 0) * kept, -jnp.inf)


def _check_decay(step_size: Array, weight_decay: Array) -> None:
    """Check that a step of decay does not turn the logits' signs round: ηλ < 1."""
    checks.check_range(step_size * weight_decay, "step_size · weight_decay", "[0, 1)")


@checks.arguments(noise_ratio="(0, inf)")
def decay_density(logit_gap: Number, noise_ratio: Number) -> Float[Array, "*batch"]:
    """Log density of the gap under weight decay, over that at the tie (`traces.decay_density`).

        log m(z)/m(0) = 2 log cosh(z/2) − (2/κ) [z²/4 + (z sinh z − cosh z + 1)/2]

    Args:
        logit_gap: z = θ₁ − θ₂, finite.
        noise_ratio: κ = η/(λB) > 0, with the weight decay λ.

    Returns:
        log m(z) − log m(0) of the stationary density m of the gap (per dz).

    Validity:
        K = 2, T = 1; asymptotic for η → 0 at fixed κ: the diffusion. The chain differs by order η.

    Example:
        >>> float(decay_density(0.0, 4.0))
        0.0
        >>> round(float(decay_density(0.1, 2.0)) / 0.1**2, 2)  # (1/2 − 2/κ)/2 near the tie
        -0.25

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    z, kappa = simplex.scalars(logit_gap, noise_ratio)
    z = jnp.abs(z)
    u = z / 2
    near = jnp.log1p(jnp.sinh(jnp.minimum(u, 1)) ** 2)
    log_cosh_square = jnp.where(u < 1, near, z + 2 * jnp.log1p(jnp.expm1(-z) / 2))
    pull = u**2 + jnp.sinh(u) * jnp.cosh(u) * (z - jnp.tanh(u))
    return log_cosh_square - 2 * pull / kappa


@checks.arguments(noise_ratio="(0, inf)", chart=">= 1")
def decay_thresholds(noise_ratio: Number, chart: Number) -> Float[Array, "*batch"]:
    """Curvature of the log density at the tie: c/2 − 2/κ (`traces.decay_thresholds`).

    Args:
        noise_ratio: κ = η/(λB) > 0, with the weight decay λ.
        chart: c = 1 for the density of the gap z (per dz), c = 2 for that of p (per dp).

    Returns:
        The second derivative along z at z = 0. If it is positive there are two modes, one on each
        side of the tie: κ > 4/c. Otherwise the tie is the only mode.

    Validity:
        Exact for the diffusion of `decay_density`: K = 2, T = 1, η → 0 at fixed κ.

    Example:
        >>> float(decay_thresholds(4.0, 1)), float(decay_thresholds(2.0, 2))
        (0.0, 0.0)

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    checks.check_range(chart, "chart", "[1, 2]", whole=True)
    kappa, c = simplex.scalars(noise_ratio, chart)
    return c / 2 - 2 / kappa


@checks.arguments(weight_decay="(0, inf)")
def decay_floor(weight_decay: Number) -> Float[Array, "*batch"]:
    """Floor of the rarer probability under weight decay, λ log((1 − q)/q) = 2q.

    (`traces.decay_floor`)

    Args:
        weight_decay: λ > 0.

    Returns:
        q in (0, 1/2): about (λ/2) W(2/λ) for small λ, with Lambert's W.

    Raises:
        ValueError: If the weight decay is not positive and finite.

    Validity:
        Exact at T = 1, K = 2 for every number of samples and every step size with
        η(λ + 1/2) ≤ 1: almost surely the lower limit of min(p, 1 − p), which a model that starts
        above it never passes. Larger steps do pass it (`tests/laws/traces/test_process.py`).

    Example:
        >>> import math
        >>> q = 0.25  # is the floor at λ = 2q/log(1/q − 1)
        >>> round(float(decay_floor(0.5 / math.log(3.0))), 12)
        0.25

    References:
        Derived here (`laws/traces/derivation.py`).
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


# --- Three outcomes and more ----------------------------------------------------------------------


@checks.arguments(logits="finite logits", subset="values", exponent="(0, inf)")
def transience(logits: Logits, subset: Logits, exponent: Number) -> Float[Array, "*batch"]:
    """Drift of Y^{−α}, Y = Σ_{i∈A} e^{−θ_i}, at T = 1 in units of η²/B (`traces.transience`).

        (α/2) Y^{−α−1}/Z · [(α + 1)(1 − m²/(ZY)) − (m − p_A)],    m = |A|

    Args:
        logits: The model θ, finite.
        subset: 1 for the outcomes of A, 0 for the others.
        exponent: α > 0.

    Returns:
        The limit of (B/η²) E[Y'^{−α} − Y^{−α}] for small steps. It is negative from every state
        when m ≥ 3 and α ≤ m − 2: Y^{−α} converges, and the third largest logit goes to −∞.

    Validity:
        The exact limit. The same conclusion holds for every step and batch size, with the smaller
        α of `transience_every_step`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(transience(jnp.zeros(3), jnp.ones(3), 1.0)) * 27  # (1/2)(1/9)(1/3)(−2)
        -1.0

    References:
        Derived here (`laws/traces/derivation.py`).
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
def transience_every_step(
    step_size: Number, num_samples: Number, num_alive: Number
) -> Float[Array, "*batch"]:
    """Exponent α up to which Y^{−α} falls on average from every state: W(2ηκ)/η.

        κ = (m − 2) η² g(2η) / (B [(e^η − 1)² + m η² e^η]),    g(r) = (e^{−r} − 1 + r)/r²

    (`traces.transience_every_step`)

    Args:
        step_size: η > 0.
        num_samples: B ≥ 1.
        num_alive: m ≥ 2, how many outcomes of the K stand in Y = Σ e^{−θ_i}.

    Returns:
        α ≥ 0, and > 0 for m ≥ 3: Y^{−α} is then a positive supermartingale, so it converges, and
        the third largest logit goes to −∞.

    Validity:
        A rigorous bound at T = 1 for every step size and batch; far from sharp for η > 1, where it
        falls like e^{−2η}. The limit of small steps has the exponent m − 2 (`transience`).

    Example:
        >>> round(float(transience_every_step(1.0, 1, 3)), 6)
        0.048679

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    eta, B, size = simplex.scalars(step_size, num_samples, num_alive)
    # Divided by η², which underflows.
    square = (jnp.expm1(eta) / eta) ** 2 + size * jnp.exp(eta)
    ratio = (size - 2) * _over_square(2 * eta) / (B * square)
    return special.lambertw(2 * eta * ratio) / eta


# --- Other temperatures ---------------------------------------------------------------------------


@checks.arguments(num_outcomes=">= 2", generation=">= 1")
def absorption(
    num_outcomes: Number, step_size: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Probability left to the losers below T = 1: (K − 1)/(Kηn) (`traces.absorption`).

    Args:
        num_outcomes: K ≥ 2.
        step_size: η > 0.
        generation: n, late.

    Returns:
        1 − p_max, shared equally by the K − 1 losers.

    Validity:
        Asymptotic, once a single outcome is drawn for ever (almost surely from some generation
        on, for T < 1 and every η); relative error of order log(n)/n.

    Example:
        >>> float(absorption(2, 0.5, 100))
        0.01

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    K, eta, n = simplex.scalars(num_outcomes, step_size, generation)
    return (K - 1) / (K * eta * n)


@checks.arguments(logit_gap="(0, inf)", temperature="(0, 1)")
def winner(
    logit_gap: Number, temperature: Number, step_size: Number, num_samples: Number = 1
) -> Float[Array, "*batch"]:
    """Chance that the initial mode of two outcomes loses, for small steps (`traces.winner`).

        A(z) √(2W/β) Φ(−√(2BW/η)),   β = 1/T − 1,   W = ½∫₀^z m,   p_T + q_T e^m = e^{mq}

    Args:
        logit_gap: z > 0, the initial mode's logit minus the other's.
        temperature: T in (0, 1).
        step_size: η > 0.
        num_samples: B ≥ 1.

    Returns:
        The probability that the other outcome is drawn for ever in the end.

    Raises:
        ValueError: If an argument is out of its range, or in single precision.

    Validity:
        Asymptotic for η → 0 at fixed T, uniformly in z; relative error about η/6 at T = 1/2. A
        diffusion with the same drift and noise has another exponent and is wrong by a factor that
        is exponential in 1/η. Numerically accurate to 1e-6 for 0.05 ≤ z ≤ 3. Needs float64: near
        the tie it is what is left of terms that grow as 1/y.

    Example:
        >>> round(float(winner(1.0, 0.5, 0.1)), 6)  # the functional equation itself: 8.199e-4
        0.000833

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    z, T, eta, B = simplex.scalars(logit_gap, temperature, step_size, num_samples)
    checks.check_float64(z, "logit_gap")
    z, T, B = jnp.broadcast_arrays(z, T, B)
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
    spread = second + (B - 1)[None] * first**2
    log_zA = z * jnp.tensordot(weights, slope / 2 * spread / first + 1 / y, 1)
    tail = jax.scipy.special.log_ndtr(-jnp.sqrt(2 * B * W / eta))
    return jnp.exp(log_zA + tail) / z * jnp.sqrt(2 * W / (1 / T - 1))


@checks.arguments(num_outcomes=">= 2", temperature="(1, inf)")
def stationary(
    num_outcomes: Number, temperature: Number, step_size: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Variance of the logits above T = 1, for small steps (`traces.stationary`).

        C = ηT/(2B(T − 1)) / (1 − η(1 − 1/T)/(2K))

    Args:
        num_outcomes: K ≥ 2.
        temperature: T > 1.
        step_size: η > 0.
        num_samples: B ≥ 1.

    Returns:
        C; the stationary covariance is C (I − 11ᵀ/K), so that E|θ|² = (K − 1) C.

    Raises:
        ValueError: If the temperature is not above 1.

    Validity:
        Asymptotic for ηT/(B(T − 1)) → 0; exact for the linearised chain. Near T = 1 the law is
        another one (`stationary_mixture`).

    Example:
        >>> round(float(stationary(2, 2.0, 0.4, 1)), 9)  # 0.4 / (1 − 0.05)
        0.421052632

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    K, T, eta, B = simplex.scalars(num_outcomes, temperature, step_size, num_samples)
    return eta * T / (2 * B * (T - 1)) / (1 - eta * (1 - 1 / T) / (2 * K))


@checks.arguments(num_outcomes=">= 2")
def stationary_mixture(num_outcomes: Number, variance: Number) -> Float[Array, "*batch"]:
    """Mean square of the logits just above T = 1 (`traces.stationary_mixture`).

        E|θ|² = (K−1)v/2 + v² [(1 − 1/K) e^{v/2} + (K−1)(1/2 − 1/K)] / (e^{v/2} + K − 1)

    Args:
        num_outcomes: K ≥ 2.
        variance: v = η/(B(1 − 1/T)) > 0.

    Returns:
        E|θ|² in the mixture of K corners, centred at v(e_i − 1/K), and K(K − 1)/2 edges, centred
        half way between two corners, all with covariance (v/2)(I − 11ᵀ/K); a corner weighs
        e^{v/2} times half an edge.

    Validity:
        Exact for the diffusion (η → 0, T → 1 at fixed v); the chain differs by order η.

    Example:
        >>> float(stationary_mixture(2, 1e-3)).__round__(9)  # v/2 + v²/4, v small
        0.00050025

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    K, v = simplex.scalars(num_outcomes, variance)
    edges = (K - 1) * jnp.exp(-v / 2)
    centres = ((1 - 1 / K) + edges * (0.5 - 1 / K)) / (1 + edges)
    return (K - 1) * v / 2 + v**2 * centres


# --- Astronomic horizons --------------------------------------------------------------------------


@checks.arguments(logits0="finite logits", log_generation="(0, inf)")
def memory(logits0: Logits, log_generation: Number) -> Float[Array, "*batch num_outcomes"]:
    """Chance of each outcome to lead late: 1/K + (θ₀ − mean θ₀)/log n (`traces.memory`).

    Args:
        logits0: The initial model, finite.
        log_generation: log n, large against the centred logits.

    Returns:
        The chances; they sum to 1.

    Validity:
        T = 1. For K = 2 and small steps a theorem of the diffusion; for K ≥ 3 derived from the
        exact martingale and a picture of the corners, and confirmed by simulation. Corrections of
        relative order 1/log n; for large η read log n as log 2ηn.

    Example:
        >>> import jax.numpy as jnp
        >>> print(memory(jnp.array([6.0, 0.0, -6.0]), 60.0).round(4))
        [0.4333 0.3333 0.2333]

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    checks.check_logits(checks.check_range(logits0, "logits0", "(-inf, inf)"), "logits0")
    theta, log_n = simplex.per_distribution(logits0, log_generation)
    return 1 / theta.shape[-1] + simplex.centre(theta) / log_n


@checks.arguments(num_outcomes=">= 2", logit_gap="(0, inf)", log_generation="(0, inf)")
def survival(
    num_outcomes: Number, logit_gap: Number, log_generation: Number
) -> Float[Array, "*batch"]:
    """Chance that the leader was never overtaken: (z/log n)^{2 − 2/K} (`traces.survival`).

    Args:
        num_outcomes: K ≥ 2.
        logit_gap: z, how far ahead of all others it started.
        log_generation: log n, large against z.

    Returns:
        The chance.

    Validity:
        T = 1; derived, not proved for K ≥ 3, and confirmed by simulation. Corrections of relative
        order 1/log n.

    Example:
        >>> float(survival(2, 10.0, 100.0))
        0.1

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    K, z, log_n = simplex.scalars(num_outcomes, logit_gap, log_generation)
    return (z / log_n) ** (2 - 2 / K)


@checks.arguments(level="(0, 0.5)", log_ratio="[0, inf]")
def switches(level: Number, log_ratio: Number) -> Float[Array, "*batch"]:
    """Mean number of changes of the leading outcome: ℓ/(2 log(1/p₀ − 1)) (`traces.switches`).

    Args:
        level: p₀ in (0, 1/2); a change is complete when the other's probability is above 1 − p₀.
        log_ratio: ℓ = log(n₂/n₁), the logarithm of the ratio of two late generations.

    Returns:
        The mean number of changes between the generations n₁ and n₂.

    Validity:
        T = 1, K = 2, small steps; relative error of order η/log(1/p₀). Derived for the chain.

    Example:
        >>> import math
        >>> float(switches(1 / (1 + math.e), 10.0)).__round__(9)  # two logits apart: 10/2
        5.0

    References:
        Derived here (`laws/traces/derivation.py`).
    """
    p, elapsed = simplex.scalars(level, log_ratio)
    return elapsed / (2 * (jnp.log1p(-p) - jnp.log(p)))
