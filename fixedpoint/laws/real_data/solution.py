"""Real data: refits to own samples mixed with real ones, and partial refits.

Closed forms in JAX.
"""

from __future__ import annotations

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


@checks.arguments(fraction="(0, 1]")
def immigration(
    logits_real: Logits, fraction: Number, num_samples: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Stationary variance if each sample is real with chance a (`real_data.immigration`).

        Var p_i = q_i (1 − q_i) / (1 + Θ),    Θ = (n − 1) a (2 − a)

    Args:
        logits_real: log q, the real distribution.
        fraction: a, the chance of a sample to be real, 0 < a ≤ 1.
        num_samples: n ≥ 1.

    Returns:
        Var p_i. The covariances are −q_i q_j/(1 + Θ), the mean is q.

    Validity:
        Stationary: the mean relaxes by the factor 1 − a a generation, the second moments by
        (1 − a)²(1 − 1/n).

    Example:
        >>> import jax.numpy as jnp
        >>> print(immigration(jnp.zeros(2), 0.25, 4)[0] * 37)  # 4/37
        4.0
    """
    theta, a = simplex.per_distribution(logits_real, fraction)
    theta, n = simplex.per_distribution(theta, num_samples)
    q = simplex.probabilities(theta)
    return q * (1 - q) / (1 + (n - 1) * a * (2 - a))


@checks.arguments(fraction="(0, 1]")
def immigration_pseudo(
    logits_real: Logits, fraction: Number, num_samples: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Stationary variance with noiseless real data, p' = (1 − a) p̂ + a q.

    This is `real_data.immigration_pseudo`; p̂ are the frequencies of n own samples.

        Var p_i = q_i (1 − q_i) (1 − a)² / (n − (n − 1)(1 − a)²)

    Args:
        logits_real: log q, the real distribution.
        fraction: a, the weight of the real data, 0 < a ≤ 1 (pseudo-counts c q have a = c/(n + c)).
        num_samples: n ≥ 1, the model's own samples.

    Returns:
        Var p_i; the covariances are −q_i q_j times the same factor.

    Example:
        >>> import jax.numpy as jnp
        >>> print(immigration_pseudo(jnp.zeros(2), 0.5, 2)[0] * 28)  # (1/4)(1/4)/(7/4)
        1.0
    """
    theta, a = simplex.per_distribution(logits_real, fraction)
    theta, n = simplex.per_distribution(theta, num_samples)
    q = simplex.probabilities(theta)
    return q * (1 - q) * (1 - a) ** 2 / (n - (n - 1) * (1 - a) ** 2)


@checks.arguments(num_real=">= 1")
def immigration_stratified(
    logits_real: Logits, num_real: Number, num_samples: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Stationary variance with exactly M real samples of n (`real_data.immigration_stratified`).

        Var p_i = q_i (1 − q_i) / (1 − a + n a (2 − a)),    a = M/n

    Args:
        logits_real: log q, the real distribution.
        num_real: M, the real samples of a generation, 1 ≤ M ≤ n.
        num_samples: n ≥ 1, real and own samples together.

    Returns:
        Var p_i; the covariances are −q_i q_j times the same factor.

    Example:
        >>> import jax.numpy as jnp
        >>> print(immigration_stratified(jnp.zeros(2), 1, 2)[0] * 8)  # (1/4)/2
        1.0
    """
    if not isinstance(num_real, Tracer) and not isinstance(num_samples, Tracer):
        checks.check_range(np.divide(num_real, num_samples), "num_real / num_samples", "(0, 1]")
    theta, M = simplex.per_distribution(logits_real, num_real)
    theta, n = simplex.per_distribution(theta, num_samples)
    q = simplex.probabilities(theta)
    a = M / n
    return q * (1 - q) / (1 - a + n * a * (2 - a))


@checks.arguments()
def kept_diversity(fraction: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Share of the real data's diversity that is kept for ever (`real_data.kept_diversity`).

        E[1 − Σp²] / (1 − Σq²) = Θ/(1 + Θ),    Θ = (n − 1) a (2 − a)

    Args:
        fraction: a, the chance of a sample to be real, 0 ≤ a ≤ 1.
        num_samples: n ≥ 1.

    Example:
        >>> round(float(kept_diversity(0.5, 2)), 6)  # n = 2, one real sample a generation: 3/7
        0.428571
    """
    a, n = simplex.scalars(fraction, num_samples)
    theta = (n - 1) * a * (2 - a)
    return theta / (1 + theta)


@checks.arguments(num_real="[0, inf)")
def one_real_sample(num_real: Number) -> Float[Array, "*batch"]:
    """Share of the diversity kept by few real samples among many (`real_data.one_real_sample`).

        E[1 − Σp²] / (1 − Σq²) ≃ 2M/(1 + 2M),    M = na

    Args:
        num_real: M ≥ 0, the mean number of real samples a generation; may be below 1.

    Validity:
        The limit n → ∞ at fixed na; `kept_diversity` is exact (n = 2, M = 1: 3/7 instead of 2/3).

    Example:
        >>> float(one_real_sample(0.5))
        0.5
    """
    (M,) = simplex.scalars(checks.check_nonnegative(num_real, "num_real"))
    return M / (0.5 + M)


@checks.arguments(share="[0, 1]", real_probability="(0, 1)", num_real="(0, inf)")
def immigration_dirichlet(
    share: Number, real_probability: Number, num_real: Number
) -> Float[Array, "*batch"]:
    """Stationary distribution function with few real samples (`real_data.immigration_dirichlet`).

    The model is distributed as Dirichlet(2M q), so that p_i is Beta(2M q_i, 2M (1 − q_i)).

        P(p_i ≤ x) ≃ I_x(2M q_i, 2M (1 − q_i)),    M = na

    Args:
        share: x, 0 ≤ x ≤ 1.
        real_probability: q_i, the real probability of the outcome, 0 < q_i < 1.
        num_real: M > 0, the mean number of real samples a generation.

    Validity:
        The diffusion limit n → ∞ at fixed na and T = 1. At finite n, Θ = (n − 1)a(2 − a) in place
        of 2na gives the exact second moments. For 2M q_i < 1 convergence is slow, and the chance of
        p_i = 0 exactly is not given, not even in the limit. Numerically 1e-10.

    Example:
        >>> float(immigration_dirichlet(0.25, 0.5, 1.0))  # Dirichlet(1, 1) is uniform
        0.25
    """
    x, q, M = simplex.scalars(share, real_probability, num_real)
    return jax.scipy.special.betainc(2 * M * q, 2 * M * (1 - q), x)


@checks.arguments(step_size="(0, 1]")
def partial_refit(
    step_size: Number, batch_size: Number, num_steps: Number
) -> Float[Array, "*batch"]:
    """Loss of diversity in a generation of partial refits (`real_data.partial_refit`).

    The generator is frozen for m steps p ← (1 − η) p + η p̂, each on B fresh samples of it.

        1 − E[1 − Σp'²]/(1 − Σp²) = η (1 − (1 − η)^{2m}) / ((2 − η) B)

    Args:
        step_size: η in (0, 1].
        batch_size: B ≥ 1.
        num_steps: m ≥ 1; m = 1 is one on-policy step, and m of these generations lose
            1 − (1 − η²/B)^m.

    Returns:
        1/n_e: a full refit to n_e samples loses as much.

    Validity:
        Exact at T = 1 for the second moment, and misleading beyond it: for η < 1 no outcome is
        ever lost exactly, third moments are larger (1/η times for m = 1), and times until the
        diversity is small are longer than those of n_e samples.

    Example:
        >>> round(float(1 / partial_refit(0.1, 4, 1)), 9)  # B/η²
        400.0
    """
    eta, B, m = simplex.scalars(step_size, batch_size, num_steps)
    return eta * special.complement_of_power(eta, 2 * m) / ((2 - eta) * B)


@checks.arguments(step_size="(0, 1]")
def partial_refit_data(
    step_size: Number, batch_size: Number, num_steps: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Loss of diversity in a generation on minibatches (`real_data.partial_refit_data`).

    A data set of n samples is drawn once; each of m steps p ← (1 − η) p + η p̂ takes B of them at
    random, with replacement.

        A²/n + (1 − 1/n) η (1 − (1 − η)^{2m}) / ((2 − η) B),    A = 1 − (1 − η)^m

    Args:
        step_size: η in (0, 1].
        batch_size: B ≥ 1.
        num_steps: m ≥ 1.
        num_samples: n ≥ 1, the data set.

    Returns:
        1/n_e, as in `partial_refit`, which is the case n = ∞.

    Validity:
        Exact at T = 1 for the second moment; see `partial_refit` for what it does not tell.

    Example:
        >>> float(partial_refit_data(1.0, 2, 1, 2))  # two draws out of two samples: 1/2 + 1/4
        0.75
    """
    eta, m, n = simplex.scalars(step_size, num_steps, num_samples)
    moved = special.complement_of_power(eta, m)
    return moved**2 / n + (1 - 1 / n) * partial_refit(step_size, batch_size, num_steps)
