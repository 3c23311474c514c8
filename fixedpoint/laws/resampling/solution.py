"""The closed forms of refits to finitely many own samples, in stable JAX.

n is the number of samples a generation, T the temperature they are drawn at.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import simplex

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- T = 1: moments, fixation, survivors ----------------------------------------------------------


def heterozygosity(
    logits0: Logits, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Mean of 1 − Σp² after t generations: (1 − Σp₀²)(1 − 1/n)^t (`resampling.heterozygosity`).

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, samples a generation.
        generation: t ≥ 0.

    Returns:
        E[1 − Σp_t²], the chance that two samples differ.

    Validity:
        Exact at T = 1 for every number of outcomes and samples (`tests/laws/resampling`). The
        initial model counts as generation 0, whether or not it is a multiple of 1/n.

    Example:
        >>> import jax.numpy as jnp
        >>> float(heterozygosity(jnp.zeros(2), 4, 2))  # (1/2)(3/4)²
        0.28125

    References:
        Wright, Evolution in Mendelian populations, Genetics 16:97 (1931).
    """
    n, generation = jnp.asarray(num_samples), jnp.asarray(generation)
    first = simplex.heterozygosity(logits0)
    decay = jnp.exp(generation * jnp.log1p(-1 / n.astype(first.dtype)))
    return first * jnp.where(generation > 0, decay, 1).astype(first.dtype)


def fixation_probability(logits0: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Chance that an outcome is the last one left: p_i (`resampling.fixation_probability`).

    Args:
        logits0: The initial model; -inf marks a lost outcome.

    Returns:
        P(p_∞ = e_i) for every outcome i.

    Validity:
        Exact at T = 1 for every number of samples.

    Example:
        >>> import jax.numpy as jnp
        >>> fixation_probability(jnp.log(jnp.array([3.0, 1.0])))
        Array([0.75, 0.25], dtype=float64)

    References:
        Wright, Evolution in Mendelian populations, Genetics 16:97 (1931).
    """
    return simplex.probabilities(logits0)


# --- T = 1: entropy -------------------------------------------------------------------------------


# --- Truncation -----------------------------------------------------------------------------------


# --- A temperature --------------------------------------------------------------------------------


# --- Real data and partial refits -----------------------------------------------------------------


# --- A verifier -----------------------------------------------------------------------------------
