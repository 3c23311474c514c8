"""Closed forms for a model that is trained, to the end, on all data so far or on the last few.

n is the number of samples that a generation adds, t the generation, w₀ the weight of the initial
data in units of what one generation adds.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- All data are kept, at temperature 1 ----------------------------------------------------------


@checks.arguments()
def product(logits: Logits, num_samples: Number, generation: Number) -> Float[Array, "*batch"]:
    """Mean of 1 − Σp² if n real samples and all later ones are kept (`accumulation.product`).

        E[1 − Σp_t²] = (1 − Σp₀²) ∏_{j=1}^t (1 − 1/(nj²)) → (1 − Σp₀²) sin(π/√n)/(π/√n)

    Args:
        logits: The real distribution; -inf marks a lost outcome.
        num_samples: n ≥ 1, the real samples, and the own ones that each generation adds.
        generation: t ≥ 0; generation 1 is the real samples alone.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(product(jnp.zeros(2), 2, 2)), 12)  # (1/2)(1 − 1/2)(1 − 1/8)
        0.21875
    """
    n, t = simplex.scalars(num_samples, generation)
    z = 1 / jnp.sqrt(n)
    far = special.euler_product(jnp.where(t > 0, t, 1) + 1, z)
    kept = jnp.where(t > 0, special.euler_product(1, z) / far, 1)
    theta, kept = simplex.per_distribution(logits, kept)
    return simplex.heterozygosity(theta) * kept[..., 0]


@checks.arguments(initial_weight="(0, inf)")
def head_start(
    logits: Logits, num_samples: Number, initial_weight: Number
) -> Float[Array, "*batch"]:
    """Diversity that is kept for ever beside real data of weight w₀ (`accumulation.head_start`).

        lim E[1 − Σp_t²] = (1 − Σp₀²) Γ(w₀ + 1)²/(Γ(w₀ + 1 + 1/√n) Γ(w₀ + 1 − 1/√n))

    Args:
        logits: The real data, which are the initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, own samples that each generation adds.
        initial_weight: w₀ > 0, the weight of the real data: w₀ n samples.

    Example:
        >>> import jax.numpy as jnp
        >>> float(head_start(jnp.zeros(2), 1, 3.0)).__round__(12)  # Pólya's urn: (1/2) · 3/4
        0.375
    """
    n, weight = simplex.scalars(num_samples, initial_weight)
    kept = special.euler_product(weight + 1, 1 / jnp.sqrt(n))
    theta, kept = simplex.per_distribution(logits, kept)
    return simplex.heterozygosity(theta) * kept[..., 0]


@checks.arguments(window=">= 1")
def window(num_samples: Number, window: Number) -> Float[Array, "*batch"]:
    """Rate at which 1 − Σp² is lost if the last w corpora are kept (`accumulation.window`).

        log(E[1 − Σp_t²]/E[1 − Σp_{t+1}²]) ≃ 4/(n (w + 1)²)

    Args:
        num_samples: n ≥ 1, samples that each generation adds.
        window: w ≥ 1, how many generations are kept; 1 is the last alone.

    Validity:
        Asymptotic for large n, with a relative error of order 1/n.

    Example:
        >>> float(window(100, 3))  # as if refitted to 400 samples
        0.0025
    """
    n, w = simplex.scalars(num_samples, window)
    return 4 / (n * (w + 1) ** 2)


# --- Other temperatures ---------------------------------------------------------------------------


@checks.arguments(top_probability="(0, 1]", initial_weight="(0, inf)")
def cold(
    top_probability: Number, initial_weight: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Least probability off the mode beside real data of weight w₀ (`accumulation.cold`).

        1 − max p_t ≥ (1 − C) w₀/(w₀ + t)

    Args:
        top_probability: C, the initial probability of the mode.
        initial_weight: w₀ > 0, the weight of the real data.
        generation: t ≥ 0.

    Validity:
        A bound at every temperature and number of samples, attained by greedy sampling (T = 0).

    Example:
        >>> float(cold(0.6, 1.0, 3))  # 0.4 / 4
        0.1
    """
    top, weight, t = simplex.scalars(top_probability, initial_weight, generation)
    return (1 - top) * (weight / (weight + t))


@checks.arguments(temperature="(0, inf]", initial_weight="(0, inf)")
def escape(
    temperature: Number, initial_weight: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Growth of a small deviation from the uniform model (`accumulation.escape`).

        lim z_t/z_0 = Γ(w₀ + t + 1/T) Γ(w₀ + 1)/(Γ(w₀ + t + 1) Γ(w₀ + 1/T)) ~ t^(1/T − 1)

    Args:
        temperature: T > 0.
        initial_weight: w₀ > 0, the weight of the real data.
        generation: t ≥ 0.

    Validity:
        The limit of small deviations, with infinitely many samples.

    Example:
        >>> round(float(escape(0.5, 1.0, 7)), 9)  # (1 + 1/2)(1 + 1/3)…(1 + 1/8)
        4.5
    """
    T, weight, t = simplex.scalars(temperature, initial_weight, generation)
    excess = 1 / T - 1
    late = special.log_gamma_quotient(weight + 1 + t, excess)
    return jnp.exp(late - special.log_gamma_quotient(weight + 1, excess))


@checks.arguments(temperature="(0, inf]", initial_weight="(0, inf)", generation=">= 1")
def hot(temperature: Number, initial_weight: Number, generation: Number) -> Float[Array, "*batch"]:
    """Late growth or fall of a small deviation from the uniform model (`accumulation.hot`).

        lim z_t/z_0 ≃ Γ(w₀ + 1)/Γ(w₀ + 1/T) t^(1/T − 1)

    Args:
        temperature: T > 0.
        initial_weight: w₀ > 0, the weight of the real data.
        generation: t ≥ 1, late.

    Validity:
        Asymptotic, with a relative error of the order w₀/t; `escape` is exact.

    Example:
        >>> round(float(hot(0.5, 1.0, 100)), 9)  # 100/Γ(3)
        50.0
    """
    T, weight, t = simplex.scalars(temperature, initial_weight, generation)
    excess = 1 / T - 1
    return jnp.exp(excess * jnp.log(t) - special.log_gamma_quotient(weight + 1, excess))


# --- Urns -----------------------------------------------------------------------------------------

_MOST = 12


def monopoly(num_first: int, num_second: int) -> Float[Array, ""]:
    """Chance that the first of two outcomes is drawn for ever at T = 1/2 (`accumulation.monopoly`).

        2/(Γ(c₁)Γ(c₂))² Σ_{k ≥ c₂} (−1)^{k−c₂} Γ(k + c₂)/(k Γ(k − c₂ + 1)) |Γ(c₁ + ik)|²

    Args:
        num_first: c₁, samples of the first outcome at the start, from 1 to 12.
        num_second: c₂, of the second.

    Validity:
        One sample a generation, all data kept. Accurate to 1e-12; for more samples at the start
        the terms of the series cancel.

    Example:
        >>> round(float(monopoly(2, 1)), 12)  # 1/2 + Γ(1/4)⁸/(256π⁵)
        0.881117833977
    """
    first, second = (
        int(checks.check_range(checks.check_count(value, name), name, f"[1, {_MOST}]", whole=True))
        for value, name in ((num_first, "num_first"), (num_second, "num_second"))
    )
    k = second + jnp.arange(40.0)
    # |Γ(c + ik)|² is that of 1 + ik, πk/sinh(πk), times a factor for each whole number below c.
    terms = 4 * jnp.pi * k * jnp.exp(-jnp.pi * k) / -jnp.expm1(-2 * jnp.pi * k)
    for j in range(1, first):
        terms = terms * (1 + (k / j) ** 2)
    for j in range(1, second):
        terms = terms * ((k / j) ** 2 - 1)
    return jnp.sum(jnp.where((k - second) % 2 == 0, terms, -terms))


@checks.arguments(num_outcomes=">= 1", temperature="(2, inf]", generation=">= 1")
def leaders(
    num_outcomes: Number, temperature: Number, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Distance from uniform above temperature 2, all data kept (`accumulation.leaders`).

        E|p_t − 1/K|² ≃ (1 − 1/K) T/(n t (T − 2))

    Args:
        num_outcomes: K ≥ 1.
        temperature: T > 2. Below 2 the start decides who leads, and the distance falls more slowly.
        num_samples: n ≥ 1, samples that each generation adds.
        generation: t ≥ 1, late.

    Validity:
        Asymptotic, with a relative error of the order t^−(1 − 2/T).

    Example:
        >>> float(leaders(2, 4.0, 1, 100))  # (1/2) · 2/100
        0.01
    """
    K, T, n, t = simplex.scalars(num_outcomes, temperature, num_samples, generation)
    return (1 - 1 / K) / (n * t * (1 - 2 / T))
