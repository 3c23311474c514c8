"""The potential that self-training climbs: one function behind four kinds of learner.

Let p = softmax(θ), p_T = softmax(θ/T) and let a fraction a of the corpus be real data with the
distribution q. With s = 1 - a, the function

    Φ(θ) = s T lse(θ/T) + a q·θ - lse(θ),    ∇Φ = s p_T + a q - p

never decreases under a refit (a minorise-maximise step of Φ), under gradient flow towards a frozen
teacher (part of such a step), under the online flow (gradient ascent of Φ) and under mixture steps
(natural gradient ascent of Φ). The four share their fixed points with finite logits.
"""

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Real

from . import checks, simplex

__all__ = ["gradient", "potential"]


@checks.arguments(temperature="[0, inf)", real="probabilities")
def potential(
    logits: Real[ArrayLike, "*#batch num_outcomes"],
    temperature: Real[ArrayLike, "*#batch"],
    real: Real[ArrayLike, "*#batch num_outcomes"] | None = None,
    fraction: Real[ArrayLike, "*#batch"] = 0.0,
) -> Float[Array, "*out"]:
    """Potential Φ of self-training at a temperature, with or without real data.

    Φ(θ) = s T lse(θ/T) + a q·θ - lse(θ) = s (T - 1) H_{1/T}(p) + a Σ q log p, where a is the
    `fraction`, s = 1 - a, q is `real` and H_{1/T} the Rényi entropy of order 1/T. The second form
    is the one computed. For a = 0, Φ is the Shannon entropy of softmax(θ/T') integrated over T'
    from 1 to T.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf); one per distribution, or a number.
        real: Distribution q of the real data (probabilities that sum to 1).
        fraction: Fraction a of real data in the corpus, in [0, 1].

    Returns:
        Φ in nats: at most 0 if T <= 1, -inf if q has an outcome that the model has lost.

    Raises:
        ValueError: If the temperature is negative, the fraction is outside [0, 1], or there is a
            fraction without real data.

    Validity:
        Exact; relative error below 1e-12 in float64 for T in [1e-3, 1e3] and at T = 0 and T = 1
        (`tests/test_potential.py`). At T = inf the value is +inf, and only `gradient` is of use.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{potential(theta, 0.0):.6f}")  # the largest logit minus lse: log 0.75
        -0.287682
        >>> print(f"{potential(theta, 0.5):.6f}")  # 0.5 log(0.75**2 + 0.25**2)
        -0.235002

    References:
        J. C. Baez, Rényi entropy and free energy, arXiv:1102.2098 (the identity with the Rényi
        entropy: a difference of free energies).
    """
    theta, T, q, a = _arguments(logits, temperature, real, fraction)
    order = jnp.where(T > 0, 1 / jnp.where(T > 0, T, 1), jnp.inf)
    entropy = simplex.renyi_entropy(theta, order[..., 0])[..., None]
    synthetic = jnp.where(entropy > 0, T - 1, 0) * entropy  # 0 for one outcome also at T = inf
    log_p = jnp.where(q > 0, simplex.log_probabilities(theta), 0)
    fit = jnp.sum(q * log_p, -1, keepdims=True)
    # A part of weight 0 does not count, also where it is infinite.
    synthetic, fit = jnp.where(a < 1, synthetic, 0), jnp.where(a > 0, fit, 0)
    return ((1 - a) * synthetic + a * fit)[..., 0]


@checks.arguments(real="probabilities")
def gradient(
    logits: Real[ArrayLike, "*#batch num_outcomes"],
    temperature: Real[ArrayLike, "*#batch"],
    real: Real[ArrayLike, "*#batch num_outcomes"] | None = None,
    fraction: Real[ArrayLike, "*#batch"] = 0.0,
) -> Float[Array, "*out num_outcomes"]:
    """Gradient of the potential in closed form: ∇Φ = s p_T + a q - p, corpus minus model.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf]; one per distribution, or a number.
        real: Distribution q of the real data (probabilities that sum to 1).
        fraction: Fraction a of real data in the corpus, in [0, 1].

    Returns:
        The gradient, which sums to 0 over the outcomes; 0 at T = 1 without real data.

    Raises:
        ValueError: As `potential`.

    Validity:
        Exact; equal to `jax.grad` of `potential` where that is differentiable
        (`tests/test_potential.py`). Without real data the error is below 1e-12 of the largest entry
        in float64, also at T = 1 ± 1e-12; with them, it is that of q - p.

    Example:
        >>> import jax.numpy as jnp
        >>> print(gradient(jnp.log(jnp.array([0.75, 0.25])), 0.5).round(6))  # .9 - .75, .1 - .25
        [ 0.15 -0.15]
    """
    theta, T, q, a = _arguments(logits, temperature, real, fraction)
    p = simplex.probabilities(theta)
    return (1 - a) * _drawn_minus_model(theta, T) + a * (q - p)


def _drawn_minus_model(theta: Array, T: Array) -> Array:
    """p_T - p without a cancellation, near T = 1 and near the uniform law."""
    p = simplex.probabilities(theta)
    x, tempered = simplex.temper(theta, 1.0), simplex.temper(theta, T[..., 0])
    # With w = (1/T - 1) x, log(p_T/p) = w - log Σ p e^w, and nothing cancels unless the sum is far
    # from 1; then p_T is far from p. A large w is not exponentiated: p e^w is the weight at T.
    interior = (T > 0) & jnp.isfinite(T)
    w = jnp.where(x > -jnp.inf, x, 0) * jnp.where(interior, (1 - T) / jnp.where(interior, T, 1), 0)
    drawn = jnp.exp(tempered) * jnp.max(p, -1, keepdims=True)
    terms = jnp.where(w < 1, p * jnp.expm1(jnp.minimum(w, 1)), drawn - p)
    growth = jnp.sum(terms, -1, keepdims=True)
    log_ratio = w - jnp.log1p(jnp.where(growth > -0.5, growth, 0))
    near = interior & (growth > -0.5) & (jnp.abs(log_ratio) < 1)
    apart = simplex.probabilities(tempered) - p
    return jnp.where(near, p * jnp.expm1(jnp.where(near, log_ratio, 0)), apart)


def _arguments(
    logits: ArrayLike, temperature: ArrayLike, real: ArrayLike | None, fraction: ArrayLike
) -> tuple[Array, Array, Array, Array]:
    """Return θ, T, q and a, checked and broadcast against each other, the last axis kept."""
    checks.check_temperature(temperature)
    checks.check_fraction(fraction, "fraction")
    if real is None and (isinstance(fraction, Tracer) or np.any(np.asarray(fraction))):
        raise ValueError(f"`real` must be given if `fraction` is not 0; got {fraction}.")
    theta, T = simplex.per_distribution(logits, temperature)
    theta, a = simplex.per_distribution(theta, fraction)
    q = jnp.zeros_like(theta)
    if real is not None:
        q = jnp.asarray(checks.check_probabilities(real, "real")).astype(theta.dtype)
    shape = jnp.broadcast_shapes(theta.shape, q.shape)
    theta, q = jnp.broadcast_to(theta, shape), jnp.broadcast_to(q, shape)
    T, a = (jnp.broadcast_to(value, (*shape[:-1], 1)) for value in (T, a))
    return theta, T, q, a
