"""Closed forms of recovery: what a temperature restores, what not, and how fast things are lost."""

import math
from typing import Literal

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fixedpoint import checks, simplex, special
from fixedpoint.simplex import Decomposition, Logits, PerDistribution

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


# --- what a temperature does not restore ---------------------------------------------------------


@checks.arguments(scores="logits")
def lost_modes(logits: Logits, scores: Logits) -> Float[Array, "*batch"]:
    """What the loss of outcomes has cost, in nats, whatever else has become of the model.

    -log p₀(S) (`recovery.lost_modes`), S the outcomes that are sometimes kept. The three parts of
    any change are in `fixedpoint.simplex.decomposition`.

    Args:
        logits: The initial model θ; -inf marks a lost outcome.
        scores: v, the log-odds with which samples of an outcome are kept; -inf: never.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.5, 0.25, 0.25]))
        >>> print(f"{lost_modes(theta, jnp.array([0.0, 0.7, -jnp.inf])):.6f}")  # -log 3/4
        0.287682
    """
    return _parts(logits, scores, 1.0).lost_modes


@checks.arguments(scores="logits", temperature="(0, inf)")
def sharpening(
    logits: Logits, scores: Logits, temperature: PerDistribution
) -> Float[Array, "*batch"]:
    """The part of a change that a temperature undoes, in nats.

    KL(p_b‖p₀) (`recovery.sharpening`), p_b ∝ e^{bθ} being nearest to the changed model
    p ∝ e^{θ/T + v}; of what is left, if outcomes are lost.

    Args:
        logits: The initial model θ; -inf marks a lost outcome.
        scores: v, the log-odds with which samples of an outcome are kept; -inf: never.
        temperature: Sampling temperature T in (0, inf).

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{sharpening(theta, jnp.zeros(2), 0.5):.6f}")  # 0.9 log 1.2 + 0.1 log 0.4
        0.072460
    """
    return _parts(logits, scores, temperature).temperature


@checks.arguments(scores="logits", temperature="(0, inf)")
def rest(logits: Logits, scores: Logits, temperature: PerDistribution) -> Float[Array, "*batch"]:
    """The part of a change that neither a loss nor a temperature explains, in nats.

    KL(p‖p_b) (`recovery.rest`), p_b ∝ e^{bθ} being nearest to the changed model p ∝ e^{θ/T + v}.

    Args:
        logits: The initial model θ; -inf marks a lost outcome.
        scores: v, the log-odds with which samples of an outcome are kept; -inf: never.
        temperature: Sampling temperature T in (0, inf).

    Validity:
        Relative error below 1e-10: the parts add up to the whole, of which this may be little.

    Example:
        >>> import jax.numpy as jnp
        >>> theta, odds = jnp.array([1.0, 0.0, -1.0]), jnp.array([1.0, 2.0, 1.0])
        >>> changed = rest(theta, jnp.log(odds) - theta, 1.0)  # p = odds/4, and b = 0
        >>> print(f"{changed:.6f}")  # log 3 - 3/2 log 2
        0.058892
    """
    return _parts(logits, scores, temperature).rest


def _parts(logits: Logits, scores: Logits, temperature: PerDistribution) -> Decomposition:
    """The parts of the change of a model by one generation of curated samples."""
    changed = simplex.temper(logits, temperature) + simplex.centre(scores)
    return simplex.decomposition(checks.check_logits(changed, "logits + scores"), logits)


# --- how fast anything can be lost ---------------------------------------------------------------


@checks.arguments()
def speed_limit(
    probability: PerDistribution, time: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """The least probability off an outcome that any teachers can leave.

    1 - p >= s/(1 + 2stτ) (`recovery.speed_limit`), s = 1 - x₀, after t generations of gradient flow
    for a time τ each, whatever they are trained on.

    Args:
        probability: x₀, the probability of the outcome at generation 0.
        time: τ >= 0, learning rate times steps of one generation.
        generation: t >= 0.

    Example:
        >>> print(speed_limit(0.5, 1.5, 2))  # 1/2/(1 + 3)
        0.125
    """
    x, time, t = simplex.scalars(probability, time, generation)
    return (1 - x) / (1 + 2 * (1 - x) * (t * time))
