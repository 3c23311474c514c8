"""One distribution: its probabilities, its diversity, its modes."""

import math
from collections.abc import Callable
from functools import wraps

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Real

from fixedpoint import checks
from fixedpoint.simplex.sums import (
    Logits,
    PerDistribution,
    decay_over,
    divide,
    expectation,
    floating,
    floating_logits,
    log1p_over,
    per_distribution,
    probabilities_and_complements,
    relative,
    total,
)


def _compiled(function: Callable[[Logits], Array]) -> Callable[[Logits], Array]:
    """Compile a function of logits as a whole: called alone, it would be compiled by operations."""
    compiled = jax.jit(function, inline=True)

    @wraps(function)
    def call(logits: Logits) -> Array:
        return compiled(jnp.asarray(logits))

    return checks.arguments()(call)


@_compiled
def log_probabilities(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Log-probabilities: log p_i = θ_i - lse(θ).

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Example:
        >>> log_probabilities(jnp.array([0.0, 0.0]))  # log(1/2) twice
        Array([-0.69314718, -0.69314718], dtype=float64)
    """
    x, excess, _ = relative(logits)
    return x - jnp.log1p(excess)


unchecked_log_probabilities = vars(log_probabilities)["__wrapped__"]
"""The same without its check: in the middle of a loop a row may have no outcome left."""


@_compiled
def probabilities(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Probabilities: p_i = exp(θ_i - lse(θ)).

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Example:
        >>> probabilities(jnp.array([0.0, 0.0, -jnp.inf]))
        Array([0.5, 0.5, 0. ], dtype=float64)
    """
    x, excess, _ = relative(logits)
    return jnp.exp(x) / (1 + excess)


@checks.arguments()
def logits(
    probabilities: Real[ArrayLike, "*batch num_outcomes"],
) -> Float[Array, "*batch num_outcomes"]:
    """Centred logits of probabilities: θ_i = log p_i - mean of log p over the p_i > 0.

    Args:
        probabilities: Probabilities p that sum to 1; 0 marks a lost outcome.

    Example:
        >>> logits(jnp.array([0.8, 0.2]))  # ± log 2
        Array([ 0.69314718, -0.69314718], dtype=float64)
    """
    checks.check_probabilities(probabilities)
    p = floating(probabilities)
    positive = p > 0
    return centre(jnp.where(positive, jnp.log(jnp.where(positive, p, 1)), -jnp.inf))


@_compiled
def centre(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Centred logits: the same distribution, with mean 0 over the finite entries.

    Args:
        logits: Logits θ; -inf marks a lost outcome and stays.

    Example:
        >>> centre(jnp.array([5.0, 1.0, -jnp.inf]))
        Array([  2.,  -2., -inf], dtype=float64)
    """
    x, _, _ = relative(logits)
    alive = x > -jnp.inf
    finite, count = jnp.where(alive, x, 0), total(alive).astype(x.dtype)
    whole, largest = total(finite), jnp.finfo(x.dtype).max
    # Where a difference or the sum overflows, both are taken in a larger unit.
    unit = 4 * 2.0 ** x.shape[-1].bit_length()
    theta = jnp.where(alive, floating_logits(logits), -jnp.inf)
    shrunk = jnp.where(alive, theta / unit - jnp.max(theta, -1, keepdims=True) / unit, 0)
    shrunk = (shrunk - total(shrunk) / count) * unit
    shrunk = jnp.where(alive, jnp.clip(shrunk, -largest, largest), -jnp.inf)
    extreme = (whole == -jnp.inf) | jnp.any(x == -largest, -1, keepdims=True)
    return jnp.where(extreme, shrunk, x - whole / count)


@checks.arguments()
def temper(
    logits: Logits, temperature: PerDistribution
) -> Float[Array, "*tempered_batch num_outcomes"]:
    """Logits at a temperature: θ/T, shifted so that the largest is 0.

    Sampling p at temperature T draws from p_i^{1/T} / Σ_j p_j^{1/T}. T = 0 is uniform on the modes
    (exact ties share), T = inf is uniform on the surviving outcomes. A logit that overflows at
    T < 1 is -inf, as at T = 0, so that a temperature T^n that has underflowed gives the limit.

    Args:
        logits: Logits θ; -inf marks a lost outcome and stays.
        temperature: Temperature T in [0, inf], possibly traced; its shape broadcasts with the batch
            shape of the logits, so that ``temper(logits, temperatures)`` with K logits and R
            temperatures has shape ``(R, K)``.

    Validity:
        Exact for every T; gradients with respect to both arguments are finite (0 at T = 0 and
        T = inf, where the limit does not move).

    Example:
        >>> temper(jnp.array([3.0, 1.0, -jnp.inf]), 0.5)
        Array([  0.,  -4., -inf], dtype=float64)
        >>> temper(jnp.array([3.0, 3.0, 1.0]), 0.0)
        Array([  0.,   0., -inf], dtype=float64)
    """
    checks.check_temperature(temperature)
    theta, T = per_distribution(logits, temperature)
    x, _, _ = relative(theta)
    alive = x > -jnp.inf
    safe = jnp.where(T > 0, T, 1)
    # A difference of logits that overflows need not do so over T, and compiled, a quotient is a
    # product with 1/T, which may underflow: then both are taken in a larger unit.
    lowest, unit = jnp.finfo(x.dtype).min, 2.0**10
    extreme = (x == lowest) | (safe > -lowest / unit)
    shrunk = jnp.where(alive, theta, 0) / unit - jnp.max(theta, -1, keepdims=True) / unit
    scaled = jnp.where(
        extreme,
        divide(shrunk, jnp.where(extreme, safe, 1) / unit),
        divide(jnp.where(alive, x, 0), safe),
    )
    scaled = jnp.where((T >= 1) & (scaled == -jnp.inf), lowest, scaled)
    coldest = jnp.where(x < 0, -jnp.inf, jnp.zeros_like(x))
    return jnp.where(T > 0, jnp.where(alive, scaled, -jnp.inf), coldest)


# Diversity ---------------------------------------------------------------------------------------


@_compiled
def entropy(logits: Logits) -> Float[Array, "*batch"]:
    """Shannon entropy: S(p) = -Σ p_i log p_i, in nats.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Example:
        >>> print(f"{entropy(jnp.zeros(8)):.6f}")  # log 8
        2.079442
    """
    x, excess, _ = relative(logits)
    p = jnp.exp(x) / (1 + excess)
    return (jnp.log1p(excess) - expectation(p, x))[..., 0]


@checks.arguments()
def renyi_entropy(logits: Logits, order: PerDistribution) -> Float[Array, "*ordered_batch"]:
    """Rényi entropy: H_a(p) = log(Σ p_i^a) / (1 - a), in nats.

    Its limits are the log of the number of survivors (a = 0), the Shannon entropy (a = 1) and
    -log p_mode (a = inf).

    Args:
        logits: Logits θ; -inf marks a lost outcome.
        order: Order a in [0, inf]; its shape broadcasts with the batch shape of the logits.

    Validity:
        Accurate for every order, also near a = 1. Differentiable in the logits and in the order.

    Example:
        >>> print(f"{renyi_entropy(jnp.log(jnp.array([0.75, 0.25])), 2):.6f}")  # -log(10/16)
        0.470004
    """
    checks.check_temperature(order, "order")
    theta, a = per_distribution(logits, order)
    x, excess, first = relative(theta)
    alive = x > -jnp.inf
    regular = a < jnp.inf
    a = jnp.where(regular, a, 2)
    d = a - 1
    # Near a vertex or a = 1: Σ p^a - 1 = Σ p (p^d - 1), terms of one sign, each divided by -d so
    # that none underflows before the sum is.
    surprise = jnp.where(alive, jnp.log1p(excess) - x, 0)
    # Where two are equal the slope of `maximum` is their mean: that of the order at 1 is right.
    distance = jnp.maximum(d, -d)
    terms = jnp.exp(-jnp.minimum(a, 1) * surprise) * decay_over(distance, surprise)
    slope = total(jnp.where(alive, terms, 0))
    near = d * slope < 0.5
    by_power = slope * log1p_over(jnp.where(near, -d * slope, 0))
    # Elsewhere: H_a = (a lse(θ) - lse(aθ)) / (a - 1).
    others = jnp.where(alive & ~first, a * jnp.where(alive, x, 0), -jnp.inf)
    by_mode = a * jnp.log1p(excess) - jnp.log1p(total(jnp.exp(others)))
    by_mode = by_mode / jnp.where(near, 1, d)
    return jnp.where(regular, jnp.where(near, by_power, by_mode), jnp.log1p(excess))[..., 0]


@_compiled
def heterozygosity(logits: Logits) -> Float[Array, "*batch"]:
    """Heterozygosity: 1 - Σ p_i², the probability that two draws differ.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Example:
        >>> print(f"{heterozygosity(jnp.log(jnp.array([0.5, 0.3, 0.2]))):.6f}")
        0.620000
    """
    p, complement = probabilities_and_complements(logits)
    return jnp.sum(p * complement, -1)


@checks.arguments()
def effective_number(logits: Logits, order: PerDistribution = 1) -> Float[Array, "*batch"]:
    """Effective number of outcomes (Hill number): N_a = exp(H_a(p)) = (Σ p_i^a)^{1/(1-a)}.

    The number of equally likely outcomes that have the same Rényi entropy.

    Args:
        logits: Logits θ; -inf marks a lost outcome.
        order: Order a in [0, inf]: 0 counts survivors, 1 is exp(Shannon entropy), 2 is 1/Σp², inf
            is 1/p_mode. Its shape broadcasts with the batch shape of the logits.

    Example:
        >>> print(f"{effective_number(jnp.log(jnp.array([0.5, 0.25, 0.25])), 2):.6f}")  # 8/3
        2.666667
    """
    return jnp.exp(renyi_entropy(logits, order))


@_compiled
def num_surviving(logits: Logits) -> Int[Array, "*batch"]:
    """Number of surviving outcomes: those whose logit is not -inf.

    An outcome whose probability is too small for the dtype survives as long as its logit is finite.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Example:
        >>> num_surviving(jnp.array([0.0, -1000.0, -jnp.inf]))
        Array(2, dtype=int64)
    """
    return jnp.sum(floating_logits(logits) > -jnp.inf, -1)


# The mode and the rest ---------------------------------------------------------------------------


@checks.arguments()
def mode(logits: Logits) -> Int[Array, "*batch"]:
    """Index of the mode: the first outcome with the largest logit, bit for bit.

    Args:
        logits: Logits θ.

    Example:
        >>> mode(jnp.array([0.0, 2.0, 2.0]))
        Array(1, dtype=int64)
    """
    return jnp.argmax(floating_logits(logits), -1)


@checks.arguments()
def modes(logits: Logits) -> Bool[Array, "*batch num_outcomes"]:
    """Mask of the modes: all outcomes whose logit equals the largest one exactly.

    Logits are taken at their word here and in the laws, where T⁻ᵗ magnifies any gap. The sampler
    `fixedpoint.Temperature(0)` draws from models that were computed, and allows for `rounding`.

    Args:
        logits: Logits θ.

    Example:
        >>> modes(jnp.array([0.0, 2.0, 2.0]))
        Array([False,  True,  True], dtype=bool)
    """
    theta = floating_logits(logits)
    return theta == jnp.max(theta, -1, keepdims=True)


@_compiled
def mode_probability(logits: Logits) -> Float[Array, "*batch"]:
    """Probability of one mode: max_i p_i.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Example:
        >>> print(f"{mode_probability(jnp.log(jnp.array([0.5, 0.3, 0.2]))):.6f}")
        0.500000
    """
    _, excess, _ = relative(logits)
    return 1 / (1 + excess[..., 0])


@_compiled
def tail_probability(logits: Logits) -> Float[Array, "*batch"]:
    """Probability of everything but the modes: 1 - P(modes) = Σ_{i not a mode} p_i.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Validity:
        Accurate down to the smallest normal number, 2.2e-308.

    Example:
        >>> print(f"{tail_probability(jnp.array([0.0, -690.0])):.3e}")  # exp(-690)
        2.172e-300
    """
    x, excess, _ = relative(logits)
    return (total(jnp.where(x < 0, jnp.exp(x), 0)) / (1 + excess))[..., 0]


@checks.arguments()
def fisher_matrix(logits: Logits) -> Float[Array, "*batch num_outcomes num_outcomes"]:
    """Fisher information of the logits: F = diag(p) - p pᵀ, the covariance of one draw.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Validity:
        Every entry is accurate, however close p is to a vertex. Takes num_outcomes² memory.

    Example:
        >>> fisher_matrix(jnp.zeros(2))
        Array([[ 0.25, -0.25],
               [-0.25,  0.25]], dtype=float64)
    """
    p, complement = probabilities_and_complements(logits)
    on_diagonal = jnp.broadcast_to(
        jnp.eye(p.shape[-1], dtype=bool), (*p.shape[:-1], p.shape[-1], p.shape[-1])
    )
    return jnp.where(
        on_diagonal, (p * complement)[..., :, None], -p[..., :, None] * p[..., None, :]
    )


# Borders ----------------------------------------------------------------------------------------


def rounding(size: PerDistribution) -> Float[Array, "*batch"]:
    """By how much computed numbers may differ that are equal but for rounding: 8 ε |size|.

    Equal shares have logits that differ in the last place where they were computed on different
    roads, and a sum of shares misses the fraction that it is. Where a rule compares computed
    numbers, those that are nearer than this are equal to it. Whole counts of n samples are far
    enough apart: shares differ by 1/n at least.

    Args:
        size: The size of the numbers that were added, logits or probabilities.

    Validity:
        A few roundings; ε is 2.2e-16 in float64, 1.2e-7 in float32.

    Example:
        >>> 0.1 + 0.2 == 0.3, abs(0.1 + 0.2 - 0.3) <= rounding(0.3)
        (False, Array(True, dtype=bool))
    """
    level = floating(size)
    return 8 * jnp.finfo(level.dtype).eps * jnp.abs(jnp.where(jnp.isfinite(level), level, 0))


def mass_rounding(logits: Logits) -> Float[Array, "*batch"]:
    """By how much, relatively, a sum of probabilities may miss that is equal but for rounding.

    A probability is as inaccurate as its logit is large, and a sum as its tree of terms is deep:
    `rounding` of 1 + log₂(num_outcomes) + Σ p_i |θ_i|.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Example:
        >>> print(f"{mass_rounding(jnp.zeros(8)) / jnp.finfo(float).eps:.0f}")  # 8 (1 + 3 + 0)
        32
    """
    theta = floating_logits(logits)
    size = expectation(probabilities(theta), jnp.abs(theta))[..., 0]
    return rounding(size + 1 + math.log2(theta.shape[-1]))
