"""Recovery: what a temperature restores, and how far numbers with finitely many digits go.

Closed forms in JAX.
"""

import math
from typing import Literal

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fixedpoint import checks, simplex, special
from fixedpoint.simplex import PerDistribution

# --- the way back --------------------------------------------------------------------------------


@checks.arguments()
def recovery(temperature: PerDistribution, generation: PerDistribution) -> Float[Array, "*batch"]:
    """Temperature at which sampling a generation gives back the initial model.

    T⁻ᵗ (`recovery.recovery`), inf or 0 where it overflows or underflows: reheat what was cooled,
    cool what was heated. `storage_horizon` says how long a stored generation holds enough digits.

    Args:
        temperature: Sampling temperature T in [0, inf] of the past generations.
        generation: t >= 0.

    Example:
        >>> recovery(0.5, 3)
        Array(8., dtype=float64)
    """
    return special.power(*simplex.scalars(temperature, -jnp.asarray(generation)))


@checks.arguments(logit_range="(0, inf)", temperature="(0, 1)", log_smallest="(0, inf)")
def storage_cold(
    logit_range: PerDistribution, temperature: PerDistribution, log_smallest: PerDistribution
) -> Float[Array, "*batch"]:
    """Generations that the initial model survives storage as probabilities, below temperature 1.

    t ≃ log(λ/R)/log(1/T) (`recovery.storage_cold`), a real number, 0 if R >= λ: then the rarest
    outcome underflows. Until then rounding errors shrink on the way back: together at most
    uT/(1 - T), u the unit roundoff.

    Args:
        logit_range: R > 0, largest minus smallest initial logit.
        temperature: T in (0, 1).
        log_smallest: λ > 0; e^{-λ} is the smallest number that does not round to 0 (745 in
            float64, 104 in float32, 93 in bfloat16, 17.3 in float16).

    Validity:
        Asymptotic for large λ, where uT/(1 - T) is far below the error that will do (nearer to 1 a
        generation changes less than rounding does: `storage_hot`). ℓ nats more or less in λ are
        ℓ/(λ log(1/T)) generations; they are the logarithm of the mode's probability at the horizon,
        and log((1 + 1/(R log(1/T)))/ε) for an error ε, as a subnormal number has fewer digits.
        So it holds within one generation in float32 for T < 0.95, but not in float16 at 0.9 (8.7
        for 7) or in float32 at 0.999 (2,710 for 2,715) (`tests/laws/recovery/test_process.py`).

    Example:
        >>> print(f"{storage_cold(6.91, 0.8, 745.13):.1f}")
        21.0
    """
    R, T, smallest = simplex.scalars(logit_range, temperature, log_smallest)
    return jnp.log(jnp.maximum(smallest / R, 1)) / -jnp.log(T)


@checks.arguments(temperature="(0, inf)", roundoff="(0, 1)")
def storage_hot(
    temperature: PerDistribution, roundoff: PerDistribution, tolerance: PerDistribution
) -> Float[Array, "*batch"]:
    """Generations that the initial model survives rounding, stored as probabilities.

    t >= log(1 + ε (T - 1)/(T u))/log T (`recovery.storage_hot`), a real number: the way back
    multiplies the rounding error of generation k by Tᵏ. Above T = 1 this is what ends it, ε/u at
    T = 1; below, the errors add up to uT/(1 - T) at most, which is within ε for ever, inf, for
    T <= 1/(1 + u/ε).

    Args:
        temperature: T > 0.
        roundoff: u, the largest relative change by rounding (2⁻⁵³ in float64, 2⁻²⁴ in float32,
            2⁻¹¹ in float16, 2⁻⁸ in bfloat16).
        tolerance: ε, the largest error of a restored logit (up to a common constant) that will do.

    Validity:
        A bound, to first order in u, while all probabilities are normal numbers: rounding errors
        that do not all point the same way leave more generations, those of a model that hardly
        moves beside u do not. It counts the rounding of the stored numbers alone; stored in the
        precision of the arithmetic itself they fare a few percent worse.

    Example:
        >>> print(f"{storage_hot(2.0, 2.0**-24, 0.1):.2f}")
        19.68
        >>> print(f"{storage_hot(0.999, 2.0**-8, 0.1):.2f}, {storage_hot(0.9, 2.0**-8, 0.1):.2f}")
        25.95, inf
    """
    T, u, tolerance = simplex.scalars(temperature, roundoff, tolerance)
    growth = tolerance * (T - 1) / (T * u)
    ends, still = growth > -1, T == 1
    horizon = jnp.log1p(jnp.where(ends, growth, 0)) / jnp.log(jnp.where(still, 2, T))
    return jnp.where(still, tolerance / u, jnp.where(ends, horizon, jnp.inf))


@checks.arguments(logit_range="(0, inf)", temperature="(0, inf)", dtype="dtype")
def storage_horizon(
    logit_range: PerDistribution,
    temperature: PerDistribution,
    dtype: DTypeLike,
    stored_as: Literal["probabilities", "logits"] = "probabilities",
    tolerance: PerDistribution = 0.1,
) -> Float[Array, "*batch"]:
    """Generations after which the initial model can still be restored from a stored generation.

    Every generation is stored in `dtype`, with unit roundoff u. As probabilities, until rounding
    errors add up to ε (`storage_hot`; for T < 1/(1 + u/ε) they never do) or the range ends: below
    T = 1 `storage_cold`, with λ smaller by what the last, subnormal numbers lose in digits,
    log((1 + 1/(R log(1/T)))/ε'), ε' = ε - uT/(1 - T). As centred logits, until t relative errors u
    add up, ε/(uR); below T = 1 no longer than to the overflow, log(largest/R)/log(1/T); above, the
    roundoff e^{-λ} of subnormal numbers adds up too, as in `storage_hot`, and each has half of ε.
    The horizon is a real number.

    Args:
        logit_range: R > 0, largest minus smallest initial logit.
        temperature: Sampling temperature T in (0, inf).
        dtype: What each generation is stored in: float64, float32, bfloat16, …
        stored_as: "probabilities" or "logits" (centred).
        tolerance: ε, the largest error of a restored logit that will do.

    Validity:
        A lower bound for the rounding of the stored numbers, in arithmetic that is finer, for an
        initial model of normal numbers. It takes the mode to have nearly all the probability when
        the range ends (one nat less is 1/(λ log(1/T)) generations less), and is near to what is
        measured where T is well below 1: 6.8 for 7 in float16 at T = 0.9. Where rounding errors add
        up, the model often survives much longer, as they do not all point the same way (and powers
        of 2 divide logits without any): at T = 0.999, 26 for 36 generations in bfloat16 and 229 for
        588 in float16. `process.measured_horizon` measures it
        (`tests/laws/recovery/test_process.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{storage_horizon(6.91, 0.5, jnp.float32):.2f}")
        3.88
        >>> print(f"{storage_horizon(6.91, 0.5, jnp.float32, stored_as='logits'):.1f}")
        125.2
    """
    if not isinstance(stored_as, str) or stored_as not in ("probabilities", "logits"):
        raise ValueError(f'`stored_as` must be "probabilities" or "logits"; got {stored_as!r}.')
    R, T, tolerance = simplex.scalars(logit_range, temperature, tolerance)
    info = jnp.finfo(dtype)
    u = float(info.eps) / 2
    # In Python's floats: compiled JAX on a CPU takes a subnormal number for 0.
    log_smallest = math.log(2) - math.log(float(info.smallest_subnormal))
    cools, heats = T < 1, T > 1
    # On its own side each law is at home; elsewhere it stands in for nothing, and has slopes.
    cold, hot = jnp.where(cools, T, 0.5), jnp.where(heats, T, 2)
    if stored_as == "probabilities":
        left = tolerance - u * cold / (1 - cold)
        lost = jnp.log1p(-1 / (R * jnp.log(cold))) - jnp.log(jnp.where(left > 0, left, 1))
        log_normal = -math.log(float(info.tiny))
        log_least = jnp.where(left > 0, log_smallest - jnp.maximum(lost, 0), log_normal)
        range_ends = storage_cold(R, cold, jnp.maximum(log_least, log_normal))
        return jnp.minimum(storage_hot(T, u, tolerance), jnp.where(cools, range_ends, jnp.inf))
    overflow = (math.log(float(info.max)) - jnp.log(R)) / -jnp.log(cold)
    underflow = (jnp.log(tolerance / 2 * (hot - 1) / hot) + log_smallest) / jnp.log(hot)
    range_ends = jnp.where(cools, overflow, jnp.where(heats, underflow, jnp.inf))
    return jnp.minimum(range_ends, tolerance / (u * R) * jnp.where(heats, 0.5, 1))
