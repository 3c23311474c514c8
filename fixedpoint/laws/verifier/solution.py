"""Verifier: refits to samples of which the wrong ones pass less often.

Closed forms in JAX.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Number = Real[ArrayLike, "*#batch"]


# --- A verifier -----------------------------------------------------------------------------------


@checks.arguments(ratio="(0, inf)")
def verifier(probability: Number, ratio: Number) -> Float[Array, "*batch"]:
    """Chance that an accepted sample is right (`verifier.verifier`).

        v = r p/(1 − p + r p), that is logit v = logit p + ln r;    r = TPR/FPR

    Args:
        probability: p, the model's probability of a right sample.
        ratio: r > 0, how much more often the verifier accepts a right sample than a wrong one.

    Returns:
        v. Of n accepted samples Binomial(n, v) are right, whatever the rates themselves. With
        infinitely many, each generation adds ln r to the logit.

    Validity:
        Exact if samples are drawn until n are accepted. With a fixed number of candidates the
        number of accepted ones is random.

    Example:
        >>> float(verifier(0.2, 4.0))  # odds 1 : 4 become 1 : 1
        0.5

    References:
        Bayes's rule.
    """
    p, r = simplex.scalars(probability, ratio)
    return r * p / (1 - p + r * p)


@checks.arguments(ratio="[1, inf)")
def lock_in_weak(probability: Number, ratio: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Chance that the wrong answer is learnt for ever, weak verifier (`verifier.lock_in_weak`).

        (e^{−2snp} − e^{−2sn}) / (1 − e^{−2sn}),    s = ln r

    Args:
        probability: p, the initial probability of the right answer.
        ratio: r ≥ 1, the verifier's ratio TPR/FPR.
        num_samples: n ≥ 1, accepted samples a generation.

    Returns:
        The chance that the right answer is lost; each right sample more divides it by r². 1 − p
        without a verifier, r = 1.

    Validity:
        The limit n → ∞ at fixed n ln r, T = 1. With s = r − 1 instead the error at finite n is
        ten times as large. For strong verifiers it is too large by a factor exponential in n
        (r = 2, n = 200, p = 0.1: 9e-13 instead of 3e-14): see `lock_in_strong`.

    Example:
        >>> round(float(lock_in_weak(0.5, 2.0, 1)), 12)  # (1/2 − 1/4)/(1 − 1/4)
        0.333333333333

    References:
        Kimura, On the probability of fixation of mutant genes in a population, Genetics 47:713
        (1962), haploid form.
    """
    p, r, n = simplex.scalars(probability, ratio, num_samples)
    strength = 2 * n * jnp.log(r)
    works = strength != 0
    strength = jnp.where(works, strength, 1)
    lost = jnp.exp(-strength * p) * jnp.expm1(-strength * (1 - p)) / jnp.expm1(-strength)
    return jnp.where(works, lost, 1 - p)


@checks.arguments(num_right=">= 0", ratio="(0, inf)")
def lock_in_strong(num_right: Number, ratio: Number) -> Float[Array, "*batch"]:
    """Chance that k right samples die out among many (`verifier.lock_in_strong`).

        (1 − ρ)^k,    1 − ρ = e^{−rρ},    ρ = 1 + W₀(−r e^{−r})/r

    Args:
        num_right: k ≥ 0, the right samples of a generation.
        ratio: r > 0, the verifier's ratio TPR/FPR.

    Returns:
        The chance that the wrong answer is learnt for ever; 1 for r ≤ 1.

    Validity:
        The limit n → ∞ at fixed k and r, T = 1: a branching process with Poisson(r) offspring; the
        error is of order 1/n. Numerically 1e-12 for r ≥ 1.05, towards 1 only 1e-7.

    Example:
        >>> round(float(lock_in_strong(1, 2.0)), 6)  # the chain of n = 200: 0.20385
        0.203188

    References:
        Haldane, A mathematical theory of natural and artificial selection V (1927); Harris, The
        theory of branching processes (1963).
    """
    k, r = simplex.scalars(num_right, ratio)
    safe = jnp.where(r > 1, r, 2)  # at r = 1 the slope of W is infinite
    extinct = jnp.where(r > 1, -special.lambertw(-safe * jnp.exp(-safe)) / safe, 1)
    return extinct**k
