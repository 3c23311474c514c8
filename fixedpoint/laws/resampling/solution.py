"""Resampling: each generation is refitted to n of its own samples, and diversity falls.

Closed forms in JAX.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


@checks.arguments()
def heterozygosity(
    logits: Logits, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Mean of 1 − Σp², the chance that two samples differ (`resampling.heterozygosity`).

        E[1 − Σp_t²] = (1 − Σp₀²)(1 − 1/n)^t

    Args:
        logits: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, samples a generation.
        generation: t ≥ 0; the initial model, a multiple of 1/n or not, is generation 0.

    Example:
        >>> float(heterozygosity(jnp.zeros(2), 4, 2))  # (1/2)(3/4)²
        0.28125
    """
    theta, n = simplex.per_distribution(logits, num_samples)
    theta, t = simplex.per_distribution(theta, generation)
    return simplex.heterozygosity(theta) * special.power_of_complement(1 / n, t)[..., 0]


@checks.arguments(order=">= 0")
def spectrum(num_samples: Number, order: Number) -> Float[Array, "*batch"]:
    """Eigenvalues of the chain: λ_j = n(n − 1)…(n − j + 1)/n^j (`resampling.spectrum`).

    Args:
        num_samples: n ≥ 1.
        order: j, a whole number from 0 to n.

    Returns:
        λ_j. With two outcomes each occurs once: λ₀ = λ₁ = 1 for the two ends, λ₂ = 1 − 1/n for the
        slowest decay. With K outcomes λ_j occurs (j + K − 2 choose j) times, and 1 occurs K times.

    Example:
        >>> [round(float(spectrum(4, j)), 9) for j in (1, 2, 3)]  # 1, 3/4, 6/16
        [1.0, 0.75, 0.375]
    """
    (n,) = simplex.scalars(num_samples)
    return jnp.where(jnp.asarray(order) > n, 0, jnp.exp(_log_falling(n, jnp.asarray(order))))


@jax.custom_jvp
def _log_falling(n: Array, order: Array) -> Array:
    """Log of n(n − 1)…(n − j + 1)/n^j."""
    return _sum_below(lambda i: jnp.log1p(-i / n), n, order)


@_log_falling.defjvp
def _log_falling_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    n, order = primals
    slope = _sum_below(lambda i: i / (n * (n - i)), n, order)
    return _log_falling(n, order), slope * tangents[0]


def _sum_below(term: Callable[[Array], Array], n: Array, order: Array) -> Array:
    """Σ term(i) over i < j, j the order, as far as i < n."""

    def add(i: Array, total: Array) -> Array:
        counts = (i < order) & (i < n)
        return total + jnp.where(counts, term(jnp.where(counts, i, 0)), 0)

    start = jnp.zeros(jnp.broadcast_shapes(n.shape, order.shape), n.dtype)
    return jax.lax.fori_loop(0, jnp.max(order).astype(int), add, start)


@checks.arguments()
def entropy_budget(logits: Logits) -> Float[Array, "*batch"]:
    """Sum of the divergences between successive models, in nats (`resampling.entropy_budget`).

        Σ_{t≥0} E KL(p_{t+1}‖p_t) = S(p₀),   since E S(p') = S(p) − E KL(p'‖p)

    Args:
        logits: The initial model; -inf marks a lost outcome.

    Example:
        >>> round(float(entropy_budget(jnp.zeros(2))), 6)  # log 2, for one sample or a million
        0.693147
    """
    return simplex.entropy(checks.check_logits(logits, "logits"))


@checks.arguments()
def entropy_toll(logits: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Mean loss of entropy in one generation, in nats (`resampling.entropy_toll`).

        S(p) − E S(p') ≃ d/(2n),   d the number of outcomes alive minus 1

    Args:
        logits: The model; -inf marks a lost outcome.
        num_samples: n, large.

    Validity:
        Asymptotic for n → ∞: the probabilities alive must be large against 1/n. The exact
        loss is E KL(p'‖p) (`entropy_budget`).

    Example:
        >>> float(entropy_toll(jnp.zeros(5), 8))  # 4/16
        0.25
    """
    theta, n = simplex.per_distribution(logits, num_samples)
    return (simplex.num_surviving(theta) - 1) / (2 * n[..., 0])


@checks.arguments()
def entropy_lifetime(logits: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Mean number of outcomes alive beyond one, over all generations.

    This is `resampling.entropy_lifetime`; generation 0 counts.

        E Σ_t (alive at t − 1) ≃ 2n S(p₀)

    Args:
        logits: The initial model; -inf marks a lost outcome.
        num_samples: n, large.

    Validity:
        Asymptotic for n → ∞; relative error of order log(n)/n per outcome (2.6% for three
        equal outcomes and n = 60). With two outcomes it is the time until one is left.

    Example:
        >>> round(float(entropy_lifetime(jnp.zeros(2), 100)), 4)  # 200 log 2
        138.6294
    """
    theta, n = simplex.per_distribution(logits, num_samples)
    return 2 * n[..., 0] * simplex.entropy(theta)
