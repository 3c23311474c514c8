"""Verifier: refits to samples of which the wrong ones pass less often.

Closed forms in JAX.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Number = Real[ArrayLike, "*#batch"]


@checks.arguments(ratio="(0, inf)")
def verifier(probability: Number, ratio: Number) -> Float[Array, "*batch"]:
    """Chance that an accepted sample is right (`verifier.verifier`).

        v = r x₀/(1 − x₀ + r x₀), that is logit v = logit x₀ + ln r;    r = TPR/FPR

    Args:
        probability: x₀, the model's probability of a right sample.
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
    """
    x, r = simplex.scalars(probability, ratio)
    return r * x / (1 - x + r * x)


@checks.arguments(ratio="[1, inf)")
def lock_in_weak(probability: Number, ratio: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Chance that the wrong answer is learnt for ever, weak verifier (`verifier.lock_in_weak`).

        (e^{−2snx₀} − e^{−2sn}) / (1 − e^{−2sn}),    s = ln r

    Args:
        probability: x₀, the initial probability of the right answer.
        ratio: r ≥ 1, the verifier's ratio TPR/FPR.
        num_samples: n ≥ 1, accepted samples a generation.

    Returns:
        The chance that the right answer is lost; each right sample more divides it by r². Without
        a verifier, r = 1, it is 1 − x₀.

    Validity:
        The limit n → ∞ at fixed n ln r, T = 1. With s = r − 1 instead the error at finite n is
        ten times as large. For strong verifiers it is too large by a factor exponential in n
        (r = 2, n = 200, x₀ = 0.1: 9e-13 instead of 3e-14): see `lock_in_strong`.

    Example:
        >>> round(float(lock_in_weak(0.5, 2.0, 1)), 12)  # (1/2 − 1/4)/(1 − 1/4)
        0.333333333333
    """
    x, r, n = simplex.scalars(probability, ratio, num_samples)
    strength = 2 * n * jnp.log(r)
    works = strength != 0
    strength = jnp.where(works, strength, 1)
    lost = jnp.exp(-strength * x) * jnp.expm1(-strength * (1 - x)) / jnp.expm1(-strength)
    return jnp.where(works, lost, 1 - x)


@checks.arguments(num_right=">= 0", ratio="(0, inf)")
def lock_in_strong(num_right: Number, ratio: Number) -> Float[Array, "*batch"]:
    """Chance that k right samples die out among many (`verifier.lock_in_strong`).

        (1 − ρ)^k,    1 − ρ = e^{−rρ},    ρ = 1 + W₀(−r e^{−r})/r

    Args:
        num_right: k ≥ 0, the right samples of a generation.
        ratio: r > 0, the verifier's ratio TPR/FPR.

    Validity:
        1 for r ≤ 1. The limit n → ∞ at fixed k and r: a branching process with Poisson(r)
        offspring; the error is of order 1/n. Numerically 1e-12 for r ≥ 1.05, towards 1 only 1e-7.

    Example:
        >>> round(float(lock_in_strong(1, 2.0)), 6)  # the chain of n = 200: 0.20385
        0.203188
    """
    k, r = simplex.scalars(num_right, ratio)
    safe = jnp.where(r > 1, r, 2)  # at r = 1 the slope of W is infinite
    extinct = jnp.where(r > 1, -special.lambertw(-safe * jnp.exp(-safe)) / safe, 1)
    return extinct**k
