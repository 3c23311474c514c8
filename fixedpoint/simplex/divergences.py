"""Two distributions over the same outcomes: how far they are from each other."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from fixedpoint import checks
from fixedpoint.simplex.distribution import probabilities, unchecked_log_probabilities
from fixedpoint.simplex.sums import (
    Logits,
    OtherLogits,
    PerDistribution,
    log1p_over,
    pair,
    per_distribution,
    total,
)


@checks.arguments()
def kl_divergence(logits: Logits, logits_other: OtherLogits) -> Float[Array, "*batch"]:
    """Kullback-Leibler divergence: KL(p||q) = Σ p_i log(p_i/q_i), in nats.

    Args:
        logits: Logits of p; -inf marks a lost outcome.
        logits_other: OtherLogits of q; batches broadcast.

    Returns:
        KL(p||q) >= 0; +inf where q has lost an outcome that p has.

    Validity:
        Accurate also where p and q nearly agree: with d = log p - log q it is computed as
        Σ p (e^{-d} - 1 + d), which has no term below 0.

    Example:
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

    Validity:
        Where p and q nearly agree the largest entry has a relative error below 1e-12 in
        float64, whatever constants the logits are shifted by.

    Example:
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

    Validity:
        Where p and q nearly agree the error is below 1e-12 of the largest entry in float64:
        computed as q (e^{log(p/q)} - 1).

    Example:
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

    Validity:
        Accurate also where p and q nearly agree, and near a = 0 and a = 1. Differentiable in the
        logits; in the order only away from 0 and 1.

    Example:
        >>> p, q = jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.8, 0.2]))
        >>> print(f"{renyi_divergence(p, q, 2):.6f}")  # log(0.25/0.8 + 0.25/0.2)
        0.446287
    """
    checks.check_temperature(order, "order")
    theta, phi = pair(logits, logits_other)
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
    slope = total(jnp.where(shared, terms, unshared))
    near = jnp.abs(d * slope) < 0.5
    by_power = slope * log1p_over(jnp.where(near, d * slope, 0))
    by_largest = jax.nn.logsumexp(mixed, -1, keepdims=True) / d
    outside = jnp.any((first > -jnp.inf) & (second == -jnp.inf), -1, keepdims=True) & (d > 0)
    value = scale * jnp.where(outside, jnp.inf, jnp.where(near, by_power, by_largest))
    limit = jnp.where(
        a == 1,
        _divergence(log_p, log_q, ratio)[..., None],
        jnp.where(a == 0, log_of_loss(log_q, log_p > -jnp.inf), _largest(log_p, ratio)),
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

    Validity:
        Exact up to rounding: sums are taken from the least likely outcome upwards, so that a tail
        of 1e-300 is told from one of 2e-300. Two that tie need a tolerance of some 1e-15.

    Example:
        >>> p, q = jnp.log(jnp.array([0.2, 0.7, 0.1])), jnp.log(jnp.array([0.5, 0.3, 0.2]))
        >>> majorises(p, q), majorises(q, p)
        (Array(True, dtype=bool), Array(False, dtype=bool))
    """
    checks.check_nonnegative(tolerance, "tolerance")
    theta, phi = pair(logits, logits_other)
    tails = jnp.cumsum(jnp.sort(probabilities(theta), -1), -1)[..., :-1]
    tails_other = jnp.cumsum(jnp.sort(probabilities(phi), -1), -1)[..., :-1]
    slack = jnp.asarray(tolerance)
    return jnp.all(tails <= tails_other + (slack[..., None] if slack.ndim else slack), -1)


def _log_ratios(logits: Logits, logits_other: OtherLogits) -> tuple[Array, Array, Array]:
    """Return log p, log q and log(p/q), the last accurate where p and q nearly agree.

    With D = θ_p - θ_q relative to its value at the most probable outcome that both have, and with
    p and q restricted to the outcomes that both have, log(p/q) = D - log Σ q e^D, and both are
    small if D is. The restriction adds the small logarithms of the masses that it leaves out.
    """
    theta, phi = pair(logits, logits_other)
    log_p, log_q = unchecked_log_probabilities(theta), unchecked_log_probabilities(phi)
    alive_p, alive_q = log_p > -jnp.inf, log_q > -jnp.inf
    shared = alive_p & alive_q
    difference = jnp.where(shared, _relative_difference(theta, phi, shared), 0)
    only_p = total(jnp.where(alive_q, 0, jnp.exp(log_p)))
    only_q = total(jnp.where(alive_p, 0, jnp.exp(log_q)))
    top = min(50.0, math.log(float(jnp.finfo(log_p.dtype).max)) / 2)
    growth = total(jnp.exp(log_q) * jnp.expm1(jnp.minimum(difference, top)))
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
        level = total(jnp.where(anchor, values, 0))
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


def _divergence(log_p: Array, log_q: Array, ratio: Array) -> Array:
    """KL(p||q) from log p, log q and log(p/q)."""
    alive_p, alive_q = log_p > -jnp.inf, log_q > -jnp.inf
    shared = alive_p & alive_q
    terms = _weighted_gap(
        jnp.where(shared, log_p, 0), jnp.where(shared, log_q, 0), -jnp.where(shared, ratio, 0)
    )
    alone = jnp.where(alive_p, jnp.inf, jnp.where(alive_q, jnp.exp(log_q), 0))
    return jnp.sum(jnp.where(shared, terms, alone), -1)


def log_of_loss(log_p: Array, kept: Array) -> Array:
    """-log p(kept), accurate whether little or nearly everything is lost; the axis kept."""
    gone = total(jnp.where(kept, 0, jnp.exp(log_p)))
    few = gone < 0.5
    by_kept = -jax.nn.logsumexp(jnp.where(kept, log_p, -jnp.inf), -1, keepdims=True)
    return jnp.where(few, -jnp.log1p(-jnp.where(few, gone, 0)), by_kept)


def _largest(log_p: Array, ratio: Array) -> Array:
    """Return max log(p/q) over the outcomes that p has; the axis kept."""
    return jnp.max(jnp.where(log_p > -jnp.inf, ratio, -jnp.inf), -1, keepdims=True)
