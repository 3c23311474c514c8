"""A distribution over finitely many outcomes, given by its logits.

Everything here takes logits θ of shape ``(..., num_outcomes)``: the model p = softmax(θ) is its
logits, and log-probabilities are logits too. The last axis runs over the outcomes, leading axes are
a batch; two batches broadcast. ``-inf`` marks an outcome that is lost for ever: it has probability
0, counts nowhere, and gradients through it are finite. Results have the dtype of the logits
(integers become the default float). Entropies and divergences are in nats.

Nothing that can be computed as a sum of terms of one sign is computed as a difference. Logits are
taken relative to the first mode, x = θ - θ_mode <= 0, so that the probability of everything else,
however small, keeps its relative accuracy: with the excess s = Σ_{i≠mode} e^{x_i},

    lse(θ) = θ_mode + log1p(s),    1 - p_mode = s / (1 + s),    S(p) = log1p(s) - Σ p_i x_i.
"""

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Real

from . import checks

__all__ = [
    "Decomposition",
    "centre",
    "decomposition",
    "difference",
    "effective_number",
    "entropy",
    "fisher_matrix",
    "heterozygosity",
    "kl_divergence",
    "log_probabilities",
    "log_ratio",
    "logits",
    "majorises",
    "mass_rounding",
    "mode",
    "mode_probability",
    "modes",
    "num_surviving",
    "per_distribution",
    "probabilities",
    "renyi_divergence",
    "renyi_entropy",
    "rounding",
    "scalars",
    "tail_probability",
    "temper",
]

Logits = Real[ArrayLike, "*#batch num_outcomes"]
"""Logits, the last axis over the outcomes; leading axes broadcast."""

OtherLogits = Real[ArrayLike, "*#other_batch num_others"]
"""Logits over the same outcomes, of a batch that broadcasts with the one of `Logits`."""

PerDistribution = Real[ArrayLike, "*#batch"]
"""A number, or one for every distribution of a batch."""


def _compiled(function: Callable[[Logits], Array]) -> Callable[[Logits], Array]:
    """Compile a function of logits as a whole: called alone, it would be compiled by operations."""
    compiled = jax.jit(function, inline=True)

    @wraps(function)
    def call(logits: Logits) -> Array:
        return compiled(jnp.asarray(logits))

    return checks.arguments()(call)


# Logits and probabilities -----------------------------------------------------------------------


@_compiled
def log_probabilities(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Log-probabilities: log p_i = θ_i - lse(θ).

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        log p, -inf for a lost outcome.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; relative error below 1e-12 in float64 also where p_i is near 1
        (`tests/test_simplex.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> log_probabilities(jnp.array([0.0, 0.0]))  # log(1/2) twice
        Array([-0.69314718, -0.69314718], dtype=float64)
    """
    x, excess, _ = _relative(logits)
    return x - jnp.log1p(excess)


_log_probabilities = vars(log_probabilities)["__wrapped__"]
"""The same without its check: in the middle of a loop a row may have no outcome left."""


@_compiled
def probabilities(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Probabilities: p_i = exp(θ_i - lse(θ)).

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        p, exactly 0 for a lost outcome (and below the smallest normal number).

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; relative error below 1e-12 in float64.

    Example:
        >>> import jax.numpy as jnp
        >>> probabilities(jnp.array([0.0, 0.0, -jnp.inf]))
        Array([0.5, 0.5, 0. ], dtype=float64)
    """
    x, excess, _ = _relative(logits)
    return jnp.exp(x) / (1 + excess)


@checks.arguments()
def logits(
    probabilities: Real[ArrayLike, "*batch num_outcomes"],
) -> Float[Array, "*batch num_outcomes"]:
    """Centred logits of probabilities: θ_i = log p_i - mean of log p over the p_i > 0.

    Args:
        probabilities: Probabilities p that sum to 1; 0 marks a lost outcome.

    Returns:
        θ with mean 0 over its finite entries, -inf where p is 0.

    Raises:
        ValueError: If an entry is outside [0, 1] or a row does not sum to 1.

    Validity:
        Exact up to rounding.

    Example:
        >>> import jax.numpy as jnp
        >>> logits(jnp.array([0.8, 0.2]))  # ± log 2
        Array([ 0.69314718, -0.69314718], dtype=float64)
    """
    checks.check_probabilities(probabilities)
    p = _floating(probabilities)
    positive = p > 0
    return centre(jnp.where(positive, jnp.log(jnp.where(positive, p, 1)), -jnp.inf))


@_compiled
def centre(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Centred logits: the same distribution, with mean 0 over the finite entries.

    Args:
        logits: Logits θ; -inf marks a lost outcome and stays.

    Returns:
        The centred logits.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact up to rounding.

    Example:
        >>> import jax.numpy as jnp
        >>> centre(jnp.array([5.0, 1.0, -jnp.inf]))
        Array([  2.,  -2., -inf], dtype=float64)
    """
    x, _, _ = _relative(logits)
    alive = x > -jnp.inf
    finite, count = jnp.where(alive, x, 0), _total(alive).astype(x.dtype)
    total, largest = _total(finite), jnp.finfo(x.dtype).max
    # Where a difference or the sum overflows, both are taken in a larger unit.
    unit = 4 * 2.0 ** x.shape[-1].bit_length()
    theta = jnp.where(alive, _floating_logits(logits), -jnp.inf)
    shrunk = jnp.where(alive, theta / unit - jnp.max(theta, -1, keepdims=True) / unit, 0)
    shrunk = (shrunk - _total(shrunk) / count) * unit
    shrunk = jnp.where(alive, jnp.clip(shrunk, -largest, largest), -jnp.inf)
    extreme = (total == -jnp.inf) | jnp.any(x == -largest, -1, keepdims=True)
    return jnp.where(extreme, shrunk, x - total / count)


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

    Returns:
        The tempered logits, with maximum 0.

    Raises:
        ValueError: If a (concrete) temperature is negative or NaN.

    Validity:
        Exact for every T; gradients with respect to both arguments are finite (0 at T = 0 and
        T = inf, where the limit does not move).

    Example:
        >>> import jax.numpy as jnp
        >>> temper(jnp.array([3.0, 1.0, -jnp.inf]), 0.5)
        Array([  0.,  -4., -inf], dtype=float64)
        >>> temper(jnp.array([3.0, 3.0, 1.0]), 0.0)
        Array([  0.,   0., -inf], dtype=float64)
    """
    checks.check_temperature(temperature)
    theta, T = per_distribution(logits, temperature)
    x, _, _ = _relative(theta)
    alive = x > -jnp.inf
    safe = jnp.where(T > 0, T, 1)
    # A difference of logits that overflows need not do so over T, and compiled, a quotient is a
    # product with 1/T, which may underflow: then both are taken in a larger unit.
    lowest, unit = jnp.finfo(x.dtype).min, 2.0**10
    extreme = (x == lowest) | (safe > -lowest / unit)
    shrunk = jnp.where(alive, theta, 0) / unit - jnp.max(theta, -1, keepdims=True) / unit
    scaled = jnp.where(
        extreme,
        _divide(shrunk, jnp.where(extreme, safe, 1) / unit),
        _divide(jnp.where(alive, x, 0), safe),
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

    Returns:
        S between 0 and log(number of surviving outcomes).

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; relative error below 1e-12 in float64, however close p is to a vertex.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{entropy(jnp.zeros(8)):.6f}")  # log 8
        2.079442
    """
    x, excess, _ = _relative(logits)
    p = jnp.exp(x) / (1 + excess)
    return (jnp.log1p(excess) - _expectation(p, x))[..., 0]


@checks.arguments()
def renyi_entropy(logits: Logits, order: PerDistribution) -> Float[Array, "*ordered_batch"]:
    """Rényi entropy: H_a(p) = log(Σ p_i^a) / (1 - a), in nats.

    Its limits are the log of the number of survivors (a = 0), the Shannon entropy (a = 1) and
    -log p_mode (a = inf).

    Args:
        logits: Logits θ; -inf marks a lost outcome.
        order: Order a in [0, inf]; its shape broadcasts with the batch shape of the logits.

    Returns:
        H_a, which does not increase with a.

    Raises:
        ValueError: If a (concrete) order is negative or NaN.

    Validity:
        Exact; relative error below 1e-12 in float64 for every order, also near a = 1 and near a
        vertex. Differentiable in the logits and in the order.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{renyi_entropy(jnp.log(jnp.array([0.75, 0.25])), 2):.6f}")  # -log(10/16)
        0.470004

    References:
        A. Rényi, On measures of entropy and information, Proc. 4th Berkeley Symposium 1 (1961).
    """
    checks.check_temperature(order, "order")
    theta, a = per_distribution(logits, order)
    x, excess, first = _relative(theta)
    alive = x > -jnp.inf
    regular = a < jnp.inf
    a = jnp.where(regular, a, 2)
    d = a - 1
    # Near a vertex or a = 1: Σ p^a - 1 = Σ p (p^d - 1), terms of one sign, each divided by -d so
    # that none underflows before the sum is.
    surprise = jnp.where(alive, jnp.log1p(excess) - x, 0)
    # Where two are equal the slope of `maximum` is their mean: that of the order at 1 is right.
    distance = jnp.maximum(d, -d)
    terms = jnp.exp(-jnp.minimum(a, 1) * surprise) * _decay_over(distance, surprise)
    slope = _total(jnp.where(alive, terms, 0))
    near = d * slope < 0.5
    by_power = slope * _log1p_over(jnp.where(near, -d * slope, 0))
    # Elsewhere: H_a = (a lse(θ) - lse(aθ)) / (a - 1).
    others = jnp.where(alive & ~first, a * jnp.where(alive, x, 0), -jnp.inf)
    by_mode = a * jnp.log1p(excess) - jnp.log1p(_total(jnp.exp(others)))
    by_mode = by_mode / jnp.where(near, 1, d)
    return jnp.where(regular, jnp.where(near, by_power, by_mode), jnp.log1p(excess))[..., 0]


@_compiled
def heterozygosity(logits: Logits) -> Float[Array, "*batch"]:
    """Heterozygosity: 1 - Σ p_i², the probability that two draws differ.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        A number in [0, 1).

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; relative error below 1e-12 in float64, however close p is to a vertex: computed as
        Σ p_i (1 - p_i).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{heterozygosity(jnp.log(jnp.array([0.5, 0.3, 0.2]))):.6f}")
        0.620000
    """
    p, complement = _probabilities_and_complements(logits)
    return jnp.sum(p * complement, -1)


@checks.arguments()
def effective_number(logits: Logits, order: PerDistribution = 1) -> Float[Array, "*batch"]:
    """Effective number of outcomes (Hill number): N_a = exp(H_a(p)) = (Σ p_i^a)^{1/(1-a)}.

    The number of equally likely outcomes that have the same Rényi entropy.

    Args:
        logits: Logits θ; -inf marks a lost outcome.
        order: Order a in [0, inf]: 0 counts survivors, 1 is exp(Shannon entropy), 2 is 1/Σp², inf
            is 1/p_mode. Its shape broadcasts with the batch shape of the logits.

    Returns:
        A number between 1 and the number of surviving outcomes.

    Raises:
        ValueError: If a (concrete) order is negative or NaN.

    Validity:
        As `renyi_entropy`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{effective_number(jnp.log(jnp.array([0.5, 0.25, 0.25])), 2):.6f}")  # 8/3
        2.666667

    References:
        M. O. Hill, Diversity and evenness: a unifying notation and its consequences, Ecology 54
        (1973), 427-432.
    """
    return jnp.exp(renyi_entropy(logits, order))


@_compiled
def num_surviving(logits: Logits) -> Int[Array, "*batch"]:
    """Number of surviving outcomes: those whose logit is not -inf.

    An outcome whose probability is too small for the dtype survives as long as its logit is finite.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        The count, an integer.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact.

    Example:
        >>> import jax.numpy as jnp
        >>> num_surviving(jnp.array([0.0, -1000.0, -jnp.inf]))
        Array(2, dtype=int64)
    """
    return jnp.sum(_floating_logits(logits) > -jnp.inf, -1)


# The mode and the rest ---------------------------------------------------------------------------


@checks.arguments()
def mode(logits: Logits) -> Int[Array, "*batch"]:
    """Index of the mode: the first outcome with the largest logit, bit for bit.

    Args:
        logits: Logits θ.

    Returns:
        The index, counted from 0.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; of several modes the first.

    Example:
        >>> import jax.numpy as jnp
        >>> mode(jnp.array([0.0, 2.0, 2.0]))
        Array(1, dtype=int64)
    """
    return jnp.argmax(_floating_logits(logits), -1)


@checks.arguments()
def modes(logits: Logits) -> Bool[Array, "*batch num_outcomes"]:
    """Mask of the modes: all outcomes whose logit equals the largest one exactly.

    Logits are taken at their word here and in the laws, where T⁻ᵗ magnifies any gap. The sampler
    `fixedpoint.Temperature(0)` draws from models that were computed, and allows for `rounding`.

    Args:
        logits: Logits θ.

    Returns:
        True at every mode.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact: no tolerance.

    Example:
        >>> import jax.numpy as jnp
        >>> modes(jnp.array([0.0, 2.0, 2.0]))
        Array([False,  True,  True], dtype=bool)
    """
    theta = _floating_logits(logits)
    return theta == jnp.max(theta, -1, keepdims=True)


@_compiled
def mode_probability(logits: Logits) -> Float[Array, "*batch"]:
    """Probability of one mode: max_i p_i.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        The largest probability (m tied modes have m times as much together).

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; relative error below 1e-12 in float64. For 1 - P(modes) use `tail_probability`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{mode_probability(jnp.log(jnp.array([0.5, 0.3, 0.2]))):.6f}")
        0.500000
    """
    _, excess, _ = _relative(logits)
    return 1 / (1 + excess[..., 0])


@_compiled
def tail_probability(logits: Logits) -> Float[Array, "*batch"]:
    """Probability of everything but the modes: 1 - P(modes) = Σ_{i not a mode} p_i.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        The probability outside the exactly tied modes; 0 for a uniform distribution.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; relative error below 1e-12 in float64 down to the smallest normal number, 2.2e-308.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{tail_probability(jnp.array([0.0, -690.0])):.3e}")  # exp(-690)
        2.172e-300
    """
    x, excess, _ = _relative(logits)
    return (_total(jnp.where(x < 0, jnp.exp(x), 0)) / (1 + excess))[..., 0]


@checks.arguments()
def fisher_matrix(logits: Logits) -> Float[Array, "*batch num_outcomes num_outcomes"]:
    """Fisher information of the logits: F = diag(p) - p pᵀ, the covariance of one draw.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        F, symmetric and positive semi-definite; its rows sum to 0.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Exact; every entry has a relative error below 1e-12 in float64, however close p is to a
        vertex. Takes num_outcomes² memory.

    Example:
        >>> import jax.numpy as jnp
        >>> fisher_matrix(jnp.zeros(2))
        Array([[ 0.25, -0.25],
               [-0.25,  0.25]], dtype=float64)
    """
    p, complement = _probabilities_and_complements(logits)
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

    Returns:
        The allowance, 0 for a size that is not finite.

    Validity:
        A few roundings; ε is 2.2e-16 in float64, 1.2e-7 in float32.

    Example:
        >>> 0.1 + 0.2 == 0.3, abs(0.1 + 0.2 - 0.3) <= rounding(0.3)
        (False, Array(True, dtype=bool))
    """
    level = _floating(size)
    return 8 * jnp.finfo(level.dtype).eps * jnp.abs(jnp.where(jnp.isfinite(level), level, 0))


def mass_rounding(logits: Logits) -> Float[Array, "*batch"]:
    """By how much, relatively, a sum of probabilities may miss that is equal but for rounding.

    A probability is as inaccurate as its logit is large, and a sum as its tree of terms is deep:
    `rounding` of 1 + log₂(num_outcomes) + Σ p_i |θ_i|.

    Args:
        logits: Logits θ; -inf marks a lost outcome.

    Returns:
        The relative allowance.

    Validity:
        As `rounding`.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{mass_rounding(jnp.zeros(8)) / jnp.finfo(float).eps:.0f}")  # 8 (1 + 3 + 0)
        32
    """
    theta = _floating_logits(logits)
    size = _expectation(probabilities(theta), jnp.abs(theta))[..., 0]
    return rounding(size + 1 + math.log2(theta.shape[-1]))


# Two distributions -------------------------------------------------------------------------------


@checks.arguments()
def kl_divergence(logits: Logits, logits_other: OtherLogits) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence: KL(p||q) = Σ p_i log(p_i/q_i), in nats.

    Args:
        logits: Logits of p; -inf marks a lost outcome.
        logits_other: OtherLogits of q; batches broadcast.

    Returns:
        KL(p||q) >= 0; +inf where q has lost an outcome that p has.

    Raises:
        ValueError: If the two have different numbers of outcomes.

    Validity:
        Exact; relative error below 1e-12 in float64, also where p and q nearly agree: with
        d = log p - log q it is computed as Σ p (e^{-d} - 1 + d), which has no term below 0.

    Example:
        >>> import jax.numpy as jnp
        >>> p, q = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.8, 0.2]))
        >>> print(f"{kl_divergence(p, q):.6f}")  # log(5/4)
        0.223144
    """
    return _divergence(*_log_ratios(logits, logits_other))


def log_ratio(logits: Logits, logits_other: OtherLogits) -> Float[Array, "*batch num_outcomes"]:
    """Log of the ratio of two probabilities: log(p_i/q_i), in nats.

    Args:
        logits: Logits of p; -inf marks a lost outcome.
        logits_other: OtherLogits of q; batches broadcast.

    Returns:
        log(p_i/q_i); inf where q alone has lost the outcome, -inf where p alone has, 0 where both
        have.

    Raises:
        ValueError: If the two have different numbers of outcomes.

    Validity:
        Exact. Where p and q nearly agree the largest entry has a relative error below 1e-12 in
        float64, whatever constants the logits are shifted by.

    Example:
        >>> import jax.numpy as jnp
        >>> p, q = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.8, 0.2]))
        >>> print(log_ratio(p, q).round(6))  # log(5/8), log(5/2)
        [-0.470004  0.916291]
    """
    return _log_ratios(logits, logits_other)[2]


def difference(logits: Logits, logits_other: OtherLogits) -> Float[Array, "*batch num_outcomes"]:
    """Difference of two probabilities: p_i - q_i.

    Args:
        logits: Logits of p; -inf marks a lost outcome.
        logits_other: OtherLogits of q; batches broadcast.

    Returns:
        p - q; 0 where both have lost the outcome.

    Raises:
        ValueError: If the two have different numbers of outcomes.

    Validity:
        Exact. Where p and q nearly agree the error is below 1e-12 of the largest entry in float64:
        computed as q (e^{log(p/q)} - 1).

    Example:
        >>> import jax.numpy as jnp
        >>> p, q = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.8, 0.2]))
        >>> print(difference(p, q).round(6))
        [-0.3  0.3]
    """
    log_p, log_q, ratio = _log_ratios(logits, logits_other)
    near = jnp.abs(ratio) < 0.5
    p, q = jnp.exp(log_p), jnp.exp(log_q)
    return jnp.where(near, q * jnp.expm1(jnp.where(near, ratio, 0)), p - q)


@checks.arguments()
def renyi_divergence(
    logits: Logits, logits_other: OtherLogits, order: PerDistribution
) -> Float[Array, "*batch"]:
    """Rényi divergence: D_a(p||q) = log(Σ p_i^a q_i^{1-a}) / (a - 1), in nats.

    Its limits are -log q(p > 0) (a = 0), the Kullback-Leibler divergence (a = 1) and log max p/q
    (a = inf).

    Args:
        logits: Logits of p; -inf marks a lost outcome.
        logits_other: OtherLogits of q; batches broadcast.
        order: Order a in [0, inf]; its shape broadcasts with the batch shape.

    Returns:
        D_a >= 0, which does not decrease with a; +inf where p and q share no outcome, or a >= 1 and
        q has lost an outcome that p has.

    Raises:
        ValueError: If the two have different numbers of outcomes, or a (concrete) order is
            negative or NaN.

    Validity:
        Exact; relative error below 1e-12 in float64, also where p and q nearly agree and near
        a = 0 and a = 1. Differentiable in the logits; in the order only away from 0 and 1.

    Example:
        >>> import jax.numpy as jnp
        >>> p, q = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.8, 0.2]))
        >>> print(f"{renyi_divergence(p, q, 2):.6f}")  # log(0.25/0.8 + 0.25/0.2)
        0.446287

    References:
        T. van Erven, P. Harremoës, Rényi divergence and Kullback-Leibler divergence, IEEE Trans.
        Inf. Theory 60 (2014), 3797-3820, eqs. 1 and 10 and Theorems 4 to 6.
    """
    checks.check_temperature(order, "order")
    theta, phi = _pair(logits, logits_other)
    theta, a = per_distribution(theta, order)
    log_p, log_q, ratio = _log_ratios(theta, phi)
    # D_a(p||q) = a/(1-a) D_{1-a}(q||p) moves orders below 1/2 above it. Then, with d = a - 1,
    # r = log(p/q) and h(y) = e^y - 1 - y: Σ p^a q^{1-a} - 1 = Σ p [h(d r) + d h(-r)], and where
    # one of the two is 0, d q - (1 + d) p. All is divided by d, or a rare outcome underflows.
    regular = (a > 0) & (a != 1) & (a < jnp.inf)
    safe = jnp.where(regular, a, 2)
    swap = safe < 0.5
    scale = jnp.where(swap, safe / jnp.where(swap, 1 - safe, 1), 1)
    d = jnp.where(swap, -safe, safe - 1)
    first, second = jnp.where(swap, log_q, log_p), jnp.where(swap, log_p, log_q)
    shared = (first > -jnp.inf) & (second > -jnp.inf)
    r = jnp.where(shared, jnp.where(swap, -ratio, ratio), 0)
    u, v = jnp.where(shared, first, 0), jnp.where(shared, second, 0)
    mixed = jnp.where(shared, u + d * r, -jnp.inf)
    # A term above e² is not near, and must not overflow: 0 · inf would be the slope.
    tilt = jnp.minimum(d * r, 2 - u)
    together = jnp.exp(u) * (_gap(tilt) / d + _gap(-r))
    apart = _weighted_gap(u, u + tilt, tilt) / d + _weighted_gap(u, v, -r)
    within = (jnp.abs(r) < _FAR) & (jnp.abs(d * r) < _FAR)
    terms = jnp.where(within, together, apart)
    unshared = jnp.exp(second) - (1 + d) / d * jnp.exp(first)
    slope = _total(jnp.where(shared, terms, unshared))
    near = jnp.abs(d * slope) < 0.5
    by_power = slope * _log1p_over(jnp.where(near, d * slope, 0))
    by_largest = jax.nn.logsumexp(mixed, -1, keepdims=True) / d
    outside = jnp.any((first > -jnp.inf) & (second == -jnp.inf), -1, keepdims=True) & (d > 0)
    value = scale * jnp.where(outside, jnp.inf, jnp.where(near, by_power, by_largest))
    limit = jnp.where(
        a == 1,
        _divergence(log_p, log_q, ratio)[..., None],
        jnp.where(a == 0, _lost(log_q, log_p > -jnp.inf), _largest(log_p, ratio)),
    )
    return jnp.where(regular, value, limit)[..., 0]


@checks.arguments(tolerance="[0, inf)")
def majorises(
    logits: Logits, logits_other: OtherLogits, tolerance: PerDistribution = 0.0
) -> Bool[Array, "*batch"]:
    """Whether p majorises q: the k least likely outcomes of p have no more mass than those of q.

    Σ_{i<=k} p_(i) <= Σ_{i<=k} q_(i) for every k, in ascending order. Then every Schur-concave
    measure of diversity (all Rényi entropies, the heterozygosity) is at most as large for p.

    Args:
        logits: Logits of p, the more concentrated one.
        logits_other: OtherLogits of q; batches broadcast.
        tolerance: Probability by which a sum may exceed, to allow for rounding.

    Returns:
        One boolean for every distribution of the batch.

    Raises:
        ValueError: If the two have different numbers of outcomes, or the tolerance is negative.

    Validity:
        Exact up to rounding: sums are taken from the least likely outcome upwards, so that a tail
        of 1e-300 is told from one of 2e-300. Two that tie need a tolerance of some 1e-15.

    Example:
        >>> import jax.numpy as jnp
        >>> p, q = jnp.log(jnp.array([0.2, 0.7, 0.1])), jnp.log(jnp.array([0.5, 0.3, 0.2]))
        >>> majorises(p, q), majorises(q, p)
        (Array(True, dtype=bool), Array(False, dtype=bool))

    References:
        A. W. Marshall, I. Olkin, B. C. Arnold, Inequalities: theory of majorization and its
        applications, 2nd ed., Springer (2011), chapter 1.
    """
    checks.check_nonnegative(tolerance, "tolerance")
    theta, phi = _pair(logits, logits_other)
    tails = jnp.cumsum(jnp.sort(probabilities(theta), -1), -1)[..., :-1]
    tails_other = jnp.cumsum(jnp.sort(probabilities(phi), -1), -1)[..., :-1]
    slack = jnp.asarray(tolerance)
    return jnp.all(tails <= tails_other + (slack[..., None] if slack.ndim else slack), -1)


class Decomposition(NamedTuple):
    """The three parts of a change p₀ → p, and the temperature that undoes the second.

    Attributes:
        lost_modes: -log p₀(S), S the outcomes that p still has: undone by nothing. In nats.
        temperature: KL(p_b||p₀ given S): a change of temperature. In nats.
        rest: KL(p||p_b): what is neither. In nats.
        inverse_temperature: b, such that p_b = softmax(b θ₀) on S.
        recovery_temperature: The temperature b at which sampling p_b gives p₀ given S; NaN if
            b <= 0, which no temperature undoes.
    """

    lost_modes: Float[Array, "*batch"]
    temperature: Float[Array, "*batch"]
    rest: Float[Array, "*batch"]
    inverse_temperature: Float[Array, "*batch"]
    recovery_temperature: Float[Array, "*batch"]


@checks.arguments()
def decomposition(logits: Logits, logits_initial: OtherLogits) -> Decomposition:
    """Split the change p₀ → p into lost modes, temperature and the rest.

    KL(p||p₀) = -log p₀(S) + KL(p_b||p₀ given S) + KL(p||p_b), where S = {p > 0}, p_b is
    softmax(b θ₀) on S, and b solves E_{p_b}[θ₀] = E_p[θ₀]: p_b is the member of the exponential
    family of θ₀ that is nearest to p, and the last two terms are Pythagoras' theorem for it. If p
    is p₀ at temperature T then b = 1/T and the rest is 0.

    Args:
        logits: Logits of the changed model p; -inf marks a lost outcome.
        logits_initial: OtherLogits θ₀ of the initial model; batches broadcast.

    Returns:
        The three parts, b, and the recovery temperature.

    Raises:
        ValueError: If the two have different numbers of outcomes.

    Validity:
        Exact; the parts add up to `kl_divergence` within 1e-12 relative in float64, or within
        1e-13 |b| where log p₀ is so nearly constant on S that |b| is huge. b can be
        negative: p prefers what p₀ avoids. If log p₀ is constant on S any b will do: b = 1 and the
        second part is 0. If p has an outcome that p₀ has not, the divergence is infinite: the last
        two parts are then +inf and b is NaN. First derivatives are exact. Logits may be as low as
        the dtype's lowest number, the mask of many language models; b is then solved for as if they
        were not below 1e231 (float32: 1e29), which matters only if |b| is below the inverse of it.

    Example:
        >>> import jax.numpy as jnp
        >>> initial = jnp.log(jnp.array([0.5, 0.3, 0.15, 0.05]))
        >>> parts = decomposition(temper(initial, 0.8).at[3].set(-jnp.inf), initial)
        >>> print(f"{parts.lost_modes:.6f} {parts.rest:.6f} {parts.recovery_temperature:.6f}")
        0.051293 0.000000 1.250000

    References:
        I. Csiszár, I-divergence geometry of probability distributions and minimization problems,
        Ann. Probab. 3 (1975), 146-158, eq. 1.4 (the Pythagorean identity).
    """
    return _decompose(*_pair(logits, logits_initial))


@jax.jit
def _decompose(theta: Array, initial: Array) -> Decomposition:
    """Decomposition of logits of one shape: compiled, because a bare while loop always is anew."""
    kept = theta > -jnp.inf
    possible = ~jnp.any(kept & (initial == -jnp.inf), -1, keepdims=True)
    lost = _lost(log_probabilities(initial), kept)
    # Where p has what p₀ has not, compute with p itself in the place of p₀, and overwrite below.
    within = jnp.where(kept, jnp.where(possible, initial, theta), -jnp.inf)
    b = _inverse_temperature(theta, within)
    # A logit that overflows is the lowest number, not lost: log p and log q are compared below.
    x, _, _ = _relative(within)
    largest = jnp.finfo(x.dtype).max
    tilted = jnp.where(kept, jnp.clip(b * jnp.where(kept, x, 0), -largest, largest), -jnp.inf)
    impossible = jnp.where(possible, 0, jnp.asarray(jnp.inf, theta.dtype))[..., 0]
    b = jnp.where(possible, b, jnp.nan)[..., 0]
    return Decomposition(
        lost_modes=lost[..., 0],
        temperature=kl_divergence(tilted, within) + impossible,
        rest=kl_divergence(theta, tilted) + impossible,
        inverse_temperature=b,
        recovery_temperature=jnp.where(b > 0, b, jnp.nan),
    )


# Broadcasting ------------------------------------------------------------------------------------


def per_distribution(
    logits: Logits, value: PerDistribution
) -> tuple[Float[Array, "*joint num_outcomes"], Float[Array, "*joint 1"]]:
    """Broadcast logits against a parameter that is a number, or one for every distribution.

    Args:
        logits: Logits of shape ``(*batch, num_outcomes)``.
        value: A number, or an array whose shape broadcasts with ``batch``.

    Returns:
        The logits, of shape ``(*joint, num_outcomes)``, and the parameter in their dtype, of shape
        ``(*joint, 1)``, where ``joint`` is the broadcast of both batch shapes.

    Raises:
        ValueError: If the shapes do not broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> theta, temperature = per_distribution(jnp.zeros(5), jnp.array([0.5, 1.0, 2.0]))
        >>> theta.shape, temperature.shape
        ((3, 5), (3, 1))
    """
    theta = _floating_logits(logits)
    parameter = jnp.asarray(value).astype(theta.dtype)
    joint = jnp.broadcast_shapes(theta.shape[:-1], parameter.shape)
    return (
        jnp.broadcast_to(theta, (*joint, theta.shape[-1])),
        jnp.broadcast_to(parameter, joint)[..., None],
    )


def scalars(*values: Real[ArrayLike, "..."]) -> tuple[Float[Array, "..."], ...]:
    """Numbers as arrays of one shape and of the one floating dtype that holds them.

    Args:
        values: Numbers or arrays whose shapes broadcast.

    Returns:
        The arrays; integers alone become the default float, beside a float they take its dtype.

    Raises:
        ValueError: If the shapes do not broadcast.

    Example:
        >>> import jax.numpy as jnp
        >>> temperature, num_samples = scalars(jnp.float32(0.5), jnp.array([10, 20]))
        >>> temperature.shape, num_samples.dtype
        ((2,), dtype('float32'))
    """
    dtype = jnp.result_type(*values)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    return tuple(jnp.broadcast_arrays(*(jnp.asarray(value).astype(dtype) for value in values)))


def _pair(logits: Logits, logits_other: OtherLogits) -> tuple[Array, Array]:
    """Broadcast the batches of two sets of logits over the same outcomes."""
    theta, phi = _floating_logits(logits), _floating_logits(logits_other)
    if theta.shape[-1] != phi.shape[-1]:
        raise ValueError(
            "both distributions must have the same number of outcomes; "
            f"got {theta.shape[-1]} and {phi.shape[-1]}."
        )
    joint = jnp.broadcast_shapes(theta.shape, phi.shape)
    return jnp.broadcast_to(theta, joint), jnp.broadcast_to(phi, joint)


def _floating(values: ArrayLike) -> Array:
    """Array of floats; floats keep their dtype."""
    array = jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def _floating_logits(logits: Logits) -> Array:
    """Array of floats with at least one outcome."""
    return _floating(checks.check_outcomes(logits, "logits"))


# Sums of one sign --------------------------------------------------------------------------------


def _total(terms: Array) -> Array:
    """Sum over the outcomes, the axis kept."""
    return jnp.sum(terms, -1, keepdims=True)


def _relative(logits: Logits) -> tuple[Array, Array, Array]:
    """Logits relative to the first mode, Σ e^x over the others, and the mask of the first mode.

    The mode's own logit is read through the mask, not through `max`, whose gradient is shared among
    ties: the excess leaves out one of them only.
    """
    theta = _floating_logits(logits)
    first = jax.nn.one_hot(jnp.argmax(theta, -1), theta.shape[-1], dtype=bool)
    x = theta - _total(jnp.where(first, theta, 0))
    # What overflows is as low as can be, but not lost.
    x = jnp.where((x == -jnp.inf) & (theta > -jnp.inf), jnp.finfo(x.dtype).min, x)
    return x, _total(jnp.where(first, 0, jnp.exp(x))), first


def _probabilities_and_complements(logits: Logits) -> tuple[Array, Array]:
    """Return p and 1 - p; only the mode can be so near to 1 that 1 - p cancels."""
    x, excess, first = _relative(logits)
    p = jnp.exp(x) / (1 + excess)
    return p, jnp.where(first, excess / (1 + excess), 1 - p)


def _expectation(p: Array, values: Array) -> Array:
    """Σ p v over the finite v (an infinite one belongs to a lost outcome), the axis kept."""
    return _total(p * jnp.where(jnp.isfinite(values), values, 0))


def _log_ratios(logits: Logits, logits_other: OtherLogits) -> tuple[Array, Array, Array]:
    """Return log p, log q and log(p/q), the last accurate where p and q nearly agree.

    With D = θ_p - θ_q relative to its value at the most probable outcome that both have, and with
    p and q restricted to the outcomes that both have, log(p/q) = D - log Σ q e^D, and both are
    small if D is. The restriction adds the small logarithms of the masses that it leaves out.
    """
    theta, phi = _pair(logits, logits_other)
    log_p, log_q = _log_probabilities(theta), _log_probabilities(phi)
    alive_p, alive_q = log_p > -jnp.inf, log_q > -jnp.inf
    shared = alive_p & alive_q
    difference = jnp.where(shared, _relative_difference(theta, phi, shared), 0)
    only_p = _total(jnp.where(alive_q, 0, jnp.exp(log_p)))
    only_q = _total(jnp.where(alive_p, 0, jnp.exp(log_q)))
    top = min(50.0, math.log(float(jnp.finfo(log_p.dtype).max)) / 2)
    growth = _total(jnp.exp(log_q) * jnp.expm1(jnp.minimum(difference, top)))
    near = (only_p < 0.5) & (only_q < 0.5) & (jnp.max(difference, -1, keepdims=True) < top)
    only_p, only_q = jnp.where(near, only_p, 0), jnp.where(near, only_q, 0)
    growth = growth / (1 - only_q)
    near &= growth > -0.5
    rest = jnp.log1p(-only_p) - jnp.log1p(-only_q)
    by_difference = difference - jnp.log1p(jnp.where(near, growth, 0)) + rest
    far = jnp.where(alive_p, jnp.where(alive_q, 0, jnp.inf), -jnp.inf)
    far = jnp.where(alive_p | alive_q, far, 0)
    by_logs = jnp.where(shared, log_p, 0) - jnp.where(shared, log_q, 0)
    return log_p, log_q, jnp.where(shared, jnp.where(near, by_difference, by_logs), far)


def _relative_difference(theta: Array, phi: Array, shared: Array) -> Array:
    """θ - φ relative to its value at one outcome, whatever constants the two are shifted by.

    Logits lose no digits: θ and φ are each taken relative to that outcome, with the rounding error.
    """
    most = jnp.argmax(jnp.where(shared, theta, -jnp.inf), -1)
    anchor = jax.nn.one_hot(most, theta.shape[-1], dtype=bool)
    largest = jnp.finfo(theta.dtype).max

    def relative(values: Array) -> tuple[Array, Array]:
        values = jnp.where(shared, values, 0)
        level = _total(jnp.where(anchor, values, 0))
        gap = values - level
        back = gap - values
        error = (values - (gap - back)) - (level + back)
        error = jax.lax.stop_gradient(jnp.where(jnp.isfinite(error), error, 0))
        return jnp.clip(gap, -largest, largest), error

    (x, x_error), (y, y_error) = relative(theta), relative(phi)
    return jnp.clip(x - y, -largest, largest) + (x_error - y_error)


def _gap(y: Array) -> Array:
    """Return e^y - 1 - y >= 0, by its series where y is small; beyond `_FAR` it is not called."""
    small = jnp.abs(y) < 0.5
    near = jnp.where(small, y, 0)
    series = jnp.polyval(jnp.asarray(_GAP_SERIES, y.dtype), near) * near**2
    return jnp.where(small, series, jnp.exp(jnp.clip(y, -_FAR, _FAR)) - 1 - y)


def _weighted_gap(log_weight: Array, log_product: Array, y: Array) -> Array:
    """Return w (e^y - 1 - y) >= 0 for log w and log(w e^y), also where e^y overflows."""
    weight = jnp.exp(log_weight)
    small = jnp.abs(y) < 0.5
    near = weight * _gap(jnp.where(small, y, 0))
    return jnp.where(small, near, jnp.exp(log_product) - weight * (1 + y))


_FAR = 50
_GAP_SERIES = [1 / math.factorial(n) for n in range(16, 1, -1)]


def _decay_over(rate: Array, x: Array) -> Array:
    """(1 - e^{-rate x})/rate for rate >= 0 and x >= 0, which is x at 0."""
    y = rate * x
    small = y < 1e-4
    near = jnp.where(small, y, 0)
    series = x * (1 - near / 2 * (1 - near / 3 * (1 - near / 4)))
    return jnp.where(small, series, -jnp.expm1(-y) / jnp.where(small, 1, rate))


def _log1p_over(y: Array) -> Array:
    """log(1 + y)/y for y > -1, which is 1 at 0."""
    small = jnp.abs(y) < 1e-4
    near = jnp.where(small, y, 0)
    series = 1 - near * (1 / 2 - near * (1 / 3 - near / 4))
    y = jnp.where(small, 1, y)
    return jnp.where(small, series, jnp.log1p(y) / y)


def _divergence(log_p: Array, log_q: Array, ratio: Array) -> Array:
    """KL(p||q) from log p, log q and log(p/q)."""
    alive_p, alive_q = log_p > -jnp.inf, log_q > -jnp.inf
    shared = alive_p & alive_q
    terms = _weighted_gap(
        jnp.where(shared, log_p, 0), jnp.where(shared, log_q, 0), -jnp.where(shared, ratio, 0)
    )
    alone = jnp.where(alive_p, jnp.inf, jnp.where(alive_q, jnp.exp(log_q), 0))
    return jnp.sum(jnp.where(shared, terms, alone), -1)


def _lost(log_p: Array, kept: Array) -> Array:
    """-log p(kept), accurate whether little or nearly everything is lost; the axis kept."""
    gone = _total(jnp.where(kept, 0, jnp.exp(log_p)))
    few = gone < 0.5
    by_kept = -jax.nn.logsumexp(jnp.where(kept, log_p, -jnp.inf), -1, keepdims=True)
    return jnp.where(few, -jnp.log1p(-jnp.where(few, gone, 0)), by_kept)


def _largest(log_p: Array, ratio: Array) -> Array:
    """Return max log(p/q) over the outcomes that p has; the axis kept."""
    return jnp.max(jnp.where(log_p > -jnp.inf, ratio, -jnp.inf), -1, keepdims=True)


@jax.custom_jvp
def _divide(x: Array, temperature: Array) -> Array:
    """x/T, whose derivative -(x/T)/T does not form the 1/T² that overflows long before x/T."""
    return x / temperature


@_divide.defjvp
def _divide_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (x, temperature), (dx, dtemperature) = primals, tangents
    scaled = _divide(x, temperature)
    finite = jnp.where(jnp.isfinite(scaled), scaled, 0)
    # At T = inf nothing moves, however T depends on what is varied: 0 · inf would be NaN.
    moved = jnp.where(jnp.isinf(temperature), 0, dx - finite * dtemperature)
    return scaled, _divide(moved, temperature)


# The temperature part of a change ----------------------------------------------------------------


def _log_odds(log_p: Array, x: Array, width: Array) -> tuple[Array, Array]:
    """Log-odds of the mean of 1 + y, y = x/width in [-1, 0], and their derivative along p e^{by}.

    In the log-odds of its mean an exponential family is nearly linear: the derivative, Var/(u v)
    with the means u of -y and v of 1 + y, is at most 1 and tends to the outermost gaps of y. The
    log-odds leave out log(width), a constant that may be far larger than they.
    """
    y = jnp.maximum(x / width, -1)  # compiled, a quotient may round beyond -1
    log_gap = jax.nn.logsumexp(log_p + jnp.log(-x), -1, keepdims=True)
    log_u = log_gap - jnp.log(width)
    log_v = jax.nn.logsumexp(log_p + jnp.log(1 + y), -1, keepdims=True)
    deviation = jnp.where(log_u < log_v, y + jnp.exp(log_u), (1 + y) - jnp.exp(log_v))
    terms = jnp.exp(log_p + 2 * jnp.log(jnp.abs(deviation)) - jnp.minimum(log_u, log_v))
    return log_v - log_gap, _total(terms) / jnp.exp(jnp.maximum(log_u, log_v))


def _inverse_temperature(logits: Array, logits_initial: Array) -> Array:
    """Solve E[θ₀] under softmax(b θ₀) = E[θ₀] under p for b; the axis kept.

    Newton's method on the log-odds, kept in a bracket; the derivatives are those of the implicit
    function. Both arguments have lost the same outcomes.
    """
    x, _, _ = _relative(logits_initial)
    alive = x > -jnp.inf
    # Far below, an outcome has no weight, but would take the digits of all others with it.
    floor = -(float(jnp.finfo(x.dtype).max) ** 0.75)
    x = jnp.where(alive, jnp.maximum(x, floor), 0)
    logits = jnp.where(alive, jnp.maximum(_relative(logits)[0], floor), -jnp.inf)
    width = jax.lax.stop_gradient(-jnp.min(x, -1, keepdims=True))
    flat = width == 0
    width = jnp.where(flat, 1, width)
    log_p, gaps = jax.lax.stop_gradient((log_probabilities(logits), x))
    levels = jnp.maximum(gaps / width, -1)
    goal, _ = _log_odds(log_p, gaps, width)

    def log_probabilities_at(b: Array, x: Array) -> Array:
        return log_probabilities(jnp.where(alive, b * x, -jnp.inf))

    def unsolved(state: tuple[Any, ...]) -> Array:
        *_, step, count = state
        return jnp.any(step != 0) & (count < 1000)

    def improve(state: tuple[Any, ...]) -> tuple[Any, ...]:
        b, low, high, last, count = state
        odds, slope = _log_odds(log_probabilities_at(b, levels), gaps, width)
        low, high = jnp.where(odds <= goal, b, low), jnp.where(odds >= goal, b, high)
        reach = 8 * (1 + jnp.abs(b))
        newton = jnp.clip((goal - odds) / jnp.where(slope > 0, slope, 1), -reach, reach)
        bracketed = jnp.isfinite(high - low)
        middle = jnp.where(bracketed, low, 0) / 2 + jnp.where(bracketed, high, 0) / 2
        slow = jnp.abs(newton) > jnp.abs(last) / 2
        outside = (b + newton < low) | (b + newton > high)
        done = jnp.abs(newton) <= 4 * jnp.finfo(b.dtype).eps * (1 + jnp.abs(b))
        step = jnp.where(bracketed & (slow | outside) & ~done, middle - b, newton)
        step = jnp.where((last == 0) | flat, 0, step)
        return b + step, low, high, jnp.where(done, 0, step), count + 1

    infinite = jnp.full_like(width, jnp.inf)
    b = jax.lax.while_loop(unsolved, improve, (width, -infinite, infinite, infinite, 0))[0] / width
    p, p_b = probabilities(logits), jnp.exp(log_probabilities_at(b, x))
    mean = jax.lax.stop_gradient(_total(p_b * x))
    variance = jax.lax.stop_gradient(_total((jnp.sqrt(p_b) * (x - mean)) ** 2))
    change = (_total(p * x) - _total(p_b * x)) / jnp.where(variance > 0, variance, 1)
    return jnp.where(flat, 1, b + change - jax.lax.stop_gradient(change))
