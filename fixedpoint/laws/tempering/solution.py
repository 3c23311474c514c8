r"""Closed forms of tempering: generation n of a loop at temperature T has the logits θ₀T⁻ⁿ.

Notation: θ logits, p = softmax(θ), T temperature, n generation, β = T⁻ⁿ inverse temperature,
p_β ∝ e^{βθ}. The claims and their proofs are in `derivation`, the loop that they describe in
`process`. Every function works under `jax.jit`, `jax.vmap` and `jax.grad` and follows the dtype of
the logits; -inf marks a lost outcome. Derivatives are exact where they exist; where a value jumps,
is infinite or has an infinite slope they are 0 or infinite, never NaN
(`tests/laws/test_solutions.py`).
"""

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from jax.typing import DTypeLike
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import checks, simplex
from fixedpoint import potential as potentials
from fixedpoint.simplex import Logits, PerDistribution

# --- one generation, and n of them ---------------------------------------------------------------


@checks.arguments()
def refit(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch num_outcomes"]:
    """Logits after one generation: trained to the minimum on samples at a temperature.

    θ' = θ/T (`tempering.refit`).

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf]; one per distribution, or a number.

    Returns:
        θ/T, shifted so that the largest is 0.

    Raises:
        ValueError: If the temperature is negative.

    Validity:
        Exact for infinite samples; relative error below 1e-12 in float64
        (`tests/laws/test_register.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> refit(jnp.array([0.0, -1.0]), 0.5)
        Array([ 0., -2.], dtype=float64)

    References:
        The family p^{1/T}/Σp^{1/T}: escort distributions of Beck & Schlögl (1993).
    """
    return simplex.temper(checks.check_logits(logits), temperature)


@checks.arguments()
def logits(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch num_outcomes"]:
    """Logits of a generation.

    θ_n = θ₀T⁻ⁿ (`tempering.logits`): n generations at T are one sampling at Tⁿ.

    Args:
        logits: The initial model θ₀; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf]; one per distribution, or a number.
        generation: n >= 0; its shape broadcasts with that of the temperature.

    Returns:
        θ₀T⁻ⁿ, shifted so that the largest is 0. Where T⁻ⁿ overflows (T < 1) this is the limit,
        uniform on the modes: 0 there and -inf elsewhere; where Tⁿ does (T > 1), all 0.

    Raises:
        ValueError: If the temperature or the generation is negative.

    Validity:
        Exact for infinite samples and a learner that reaches its minimum; relative error below
        1e-12 in float64 for n up to 10⁶ (`tests/laws/test_register.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> logits(jnp.array([0.0, -1.0]), 0.5, 3)
        Array([ 0., -8.], dtype=float64)

    References:
        Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Lemma B.1 (two
        generations).
    """
    return simplex.temper(logits, _power(temperature, generation))


@checks.arguments(temperatures="each [0, inf]")
def composition(
    logits: Logits, temperatures: Float[ArrayLike, " generations"]
) -> Float[Array, "*batch num_outcomes"]:
    """Logits after generations at different temperatures.

    θ_n = θ₀/(T₁T₂⋯T_n) (`tempering.composition`): the order does not matter, and T followed by 1/T
    is the identity.

    Args:
        logits: The initial model θ₀; -inf marks a lost outcome.
        temperatures: T₁, …, T_n in [0, inf], one for each generation.

    Returns:
        θ₀/∏T, shifted so that the largest is 0. Of temperatures 0 and inf the earliest decides:
        what it leaves, the modes or the uniform law, no later one changes.

    Raises:
        ValueError: If a temperature is negative.

    Validity:
        Exact; relative error below 1e-12 in float64 (`tests/laws/test_register.py`) unless the
        product of the finite temperatures overflows on the way.

    Example:
        >>> import jax.numpy as jnp
        >>> composition(jnp.array([0.0, -1.0]), jnp.array([0.5, 4.0, 0.25]))
        Array([ 0., -2.], dtype=float64)

    References:
        Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Lemma B.1.
    """
    T = jnp.append(jnp.asarray(temperatures), 1.0)  # one more generation, which changes nothing
    extreme = (T == 0) | jnp.isinf(T)
    product = jnp.prod(jnp.where(jnp.any(extreme), 1, T))  # 0 · inf has no slope
    product = jnp.where(jnp.any(extreme), lax.stop_gradient(T[jnp.argmax(extreme)]), product)
    return simplex.temper(logits, product)


@checks.arguments()
def fixed_point(
    logits: Logits, temperature: PerDistribution
) -> Float[Array, "*batch num_outcomes"]:
    """Expected gradient of the loss on the model's own samples.

    ∂CE(p_T, softmax x)/∂x at x = θ is p - p_T (`tempering.fixed_point`). At T = 1 it is 0 for every
    model: a refit, gradient steps, gradient flow and mixture steps leave it alone. Weight decay
    moves it none the less, and so do random batches, whose gradient is 0 only on average. At any
    other T it is 0 only for models that are uniform on their support.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf]; one per distribution, or a number.

    Returns:
        p - p_T, whose negative is the direction of gradient descent; exactly 0 at T = 1.

    Raises:
        ValueError: If the temperature is negative.

    Validity:
        Exact for infinite samples; relative error below 1e-12 in float64, also at T = 1 ± 1e-12
        (`tests/laws/test_register.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> fixed_point(theta, 0.5)  # 3/4 - 9/10
        Array([-0.15,  0.15], dtype=float64)
        >>> fixed_point(theta, 1.0) == 0
        Array([ True,  True], dtype=bool)

    References:
        Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Eq. 9 (T = 1).
    """
    return -potentials.gradient(logits, temperature)


@checks.arguments()
def limit(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch num_outcomes"]:
    """Logits after infinitely many generations.

    T < 1: uniform on the modes; T = 1: the initial model; T > 1: uniform on the support.

    Args:
        logits: The initial model θ₀; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf]; one per distribution, or a number.

    Returns:
        The limit of θ₀T⁻ⁿ as logits with maximum 0; ties are exact ties of the floats.

    Raises:
        ValueError: If the temperature is negative.

    Validity:
        Exact. Not continuous in T at 1.

    Example:
        >>> import jax.numpy as jnp
        >>> limit(jnp.array([1.0, 1.0, 0.0]), 0.9)
        Array([  0.,   0., -inf], dtype=float64)

    References:
        Elementary.
    """
    T = jnp.asarray(checks.check_temperature(temperature))
    return simplex.temper(logits, jnp.where(T < 1, 0.0, jnp.where(T > 1, jnp.inf, 1.0)))


# --- where it leads ------------------------------------------------------------------------------


@checks.arguments()
def runners_up(logits: Logits) -> tuple[Array, Array, Array]:
    """What collapse depends on: the gap below the modes, and how many outcomes tie on each side.

    Args:
        logits: The model θ; -inf marks a lost outcome.

    Returns:
        (gap Δ to the second largest distinct logit, number m of modes, number k₂ of runners-up):
        the leading arguments of `mode_limit` and `generations_to_collapse`. Where every outcome is
        a mode, the gap is inf and there are no runners-up.

    Raises:
        ValueError: If there is no outcome.

    Validity:
        Ties are exact ties of the floats: logits that differ in the last digit are two levels.

    Example:
        >>> import jax.numpy as jnp
        >>> [x.item() for x in runners_up(jnp.array([2.0, 1.5, 2.0, 0.0]))]
        [0.5, 2, 1]

    References:
        Elementary.
    """
    x = simplex.temper(checks.check_logits(logits), 1.0)
    second = jnp.max(jnp.where(x < 0, x, -jnp.inf), -1, keepdims=True)
    return -second[..., 0], jnp.sum(x == 0, -1), jnp.sum((x == second) & (x > -jnp.inf), -1)


@checks.arguments(gap="(0, inf]", num_runners_up=">= 0", temperature="[0, 1)")
def mode_limit(
    gap: PerDistribution,
    num_modes: PerDistribution,
    num_runners_up: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> Float[Array, "*batch"]:
    """Probability off the modes at a late generation, below temperature 1.

    1 - P_n(modes) ≃ (k₂/m) exp(-Δ T⁻ⁿ) (`tempering.mode_limit`): double-exponential in n.

    Args:
        gap: Δ > 0, from the modes' logit to the next one (`runners_up`).
        num_modes: m >= 1, how many outcomes share the largest logit.
        num_runners_up: k₂ >= 0, how many share the next one.
        temperature: T in [0, 1).
        generation: n >= 0.

    Returns:
        The asymptotic probability; 0 where it underflows.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Asymptotic, n -> inf, T < 1: relative error of order exp(-Δ T⁻ⁿ) and of the exponential of
        the next gap. `tail` is exact.

    Example:
        >>> print(f"{mode_limit(0.7, 2, 3, 0.5, 3):.6e}")  # 1.5 exp(-5.6)
        5.546796e-03

    References:
        Derived here.
    """
    gap, m, k, T, n = simplex.scalars(gap, num_modes, num_runners_up, temperature, generation)
    exponent = gap * _power(T, -n)
    gone = exponent > 800  # nothing is left and nothing moves: 0 · inf would be its slope
    B = _power(jnp.where(gone, 1, T), -n)
    return jnp.where(gone, 0, k / m * jnp.exp(-jnp.where(gone, 1, gap) * B))


@checks.arguments()
def tail(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Probability off the modes at a generation, exactly.

    1 - P_n(modes) with P_n = softmax(θ₀T⁻ⁿ).

    Args:
        logits: The initial model θ₀; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf].
        generation: n >= 0.

    Returns:
        The probability of everything but the exactly tied modes.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact; relative error below 1e-12 in float64 (`tests/laws/tempering/test_solution.py`) while
        the probability is a normal number.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{tail(jnp.log(jnp.array([0.75, 0.25])), 0.5, 1):.6f}")  # 1/10
        0.100000

    References:
        Elementary.
    """
    return simplex.tail_probability(_generation(logits, temperature, generation))


@checks.arguments(gap="(0, inf]", num_runners_up=">= 0", tolerance="(0, 1)")
def generations_to_collapse(
    gap: PerDistribution,
    num_modes: PerDistribution,
    num_runners_up: PerDistribution,
    temperature: PerDistribution,
    tolerance: PerDistribution,
) -> Float[Array, "*batch"]:
    """Generations until the probability off the modes has fallen to a tolerance.

    n ≃ log(log(k₂/(mε))/Δ)/log(1/T) (`tempering.generations_to_collapse`), a real number.

    Args:
        gap: Δ > 0, from the modes' logit to the next one (`runners_up`).
        num_modes: m >= 1, how many outcomes share the largest logit.
        num_runners_up: k₂ >= 0, how many share the next one.
        temperature: Sampling temperature T; inf is returned for T >= 1.
        tolerance: ε in (0, 1).

    Returns:
        The number of generations; 0 if log(k₂/(mε)) <= Δ, where it is so from the start.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Asymptotic for small ε, as `mode_limit`, which it inverts.

    Example:
        >>> print(f"{generations_to_collapse(0.7, 2, 3, 0.9, 1e-2):.2f}")
        18.68

    References:
        Derived here.
    """
    gap, m, k, T, tolerance = simplex.scalars(
        gap, num_modes, num_runners_up, temperature, tolerance
    )
    excess = jnp.log(jnp.where(k > 0, k, 1) / m) - jnp.log(tolerance)
    ahead = (k > 0) & (excess > gap)
    cold = (T > 0) & (T < 1)
    n = jnp.log(jnp.where(ahead, excess / gap, 1)) / -jnp.log(jnp.where(cold, T, 0.5))
    return jnp.where(ahead, jnp.where(cold, n, jnp.where(T < 1, 0, jnp.inf)), 0)


@checks.arguments()
def divergence(
    logits: Logits,
    inverse_temperature: PerDistribution,
    inverse_temperature_other: PerDistribution,
) -> Float[Array, "*batch"]:
    """Divergence between one model at two inverse temperatures.

    KL(p_β ‖ p_β') = (β - β') A'(β) - A(β) + A(β'), A(β) = log Σ e^{βθ} (`tempering.divergence`).
    Generation n is β = T⁻ⁿ, the initial model β = 1, the uniform law on the support β = 0.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        inverse_temperature: β in [0, inf].
        inverse_temperature_other: β' in [0, inf].

    Returns:
        The divergence in nats.

    Raises:
        ValueError: If an inverse temperature is negative.

    Validity:
        Exact; relative error below 1e-12 in float64, also of a divergence of 1e-20 from the uniform
        law. Where β and β' nearly agree, the rounding of βθ itself limits it to some machine
        epsilons times β/|β - β'| (`tests/laws/test_register.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{divergence(theta, 1.0, 0.0):.6f}")  # log 2 - S = 0.75 log 1.5 - 0.25 log 2
        0.130812

    References:
        Derived here.
    """
    return simplex.kl_divergence(
        _cooled(logits, inverse_temperature), _cooled(logits, inverse_temperature_other)
    )


@checks.arguments(temperature="(1, inf]")
def uniform_limit(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Divergence of a late generation from the uniform law, above temperature 1.

    KL(p_n ‖ u) ≃ B²κ₂/2 + B³κ₃/3 (`tempering.uniform_limit`), B = T⁻ⁿ, with the second and third
    cumulant of the logits under the uniform law: the first terms of Σ_{j>=2} (j-1) κ_j B^j/j!.

    Args:
        logits: The initial model θ₀; -inf marks a lost outcome (u is uniform on the others).
        temperature: T > 1.
        generation: n >= 0.

    Returns:
        The asymptotic divergence in nats.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Asymptotic, n -> inf, T > 1: error of order B⁴. The series converges only for B below the
        nearest complex zero of the mean of e^{Bθ}; `divergence` is exact.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{uniform_limit(jnp.array([1.0, -1.0]), 2.0, 3):.6f}")  # 2⁻⁶/2
        0.007812

    References:
        Derived here.
    """
    size, second, third = _series(logits, temperature, generation)
    return size * size * (second / 2 + size * third / 3)


@checks.arguments(temperature="(1, inf]")
def uniform_limit_reverse(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Divergence of the uniform law from a late generation, above temperature 1.

    KL(u ‖ p_n) ≃ B²κ₂/2 + B³κ₃/6 (`tempering.uniform_limit_reverse`), B = T⁻ⁿ: the first terms of
    Σ_{j>=2} κ_j B^j/j!.

    Args:
        logits: The initial model θ₀; -inf marks a lost outcome (u is uniform on the others).
        temperature: T > 1.
        generation: n >= 0.

    Returns:
        The asymptotic divergence in nats.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Asymptotic, as `uniform_limit`; `divergence` is exact.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{uniform_limit_reverse(jnp.array([2.0, -1.0, -1.0]), 10.0, 1):.6f}")
        0.010333

    References:
        Derived here.
    """
    size, second, third = _series(logits, temperature, generation)
    return size * size * (second / 2 + size * third / 6)


def _series(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> tuple[Any, ...]:
    """Size of the logits times B, and κ₂ and κ₃ over its powers, under the uniform law."""
    checks.check_logits(logits)
    checks.check_range(temperature, "temperature", "(1, inf]")
    checks.check_nonnegative(generation, "generation")
    theta, B = simplex.per_distribution(logits, _power(temperature, -jnp.asarray(generation)))
    x = simplex.centre(theta)
    alive = x > -jnp.inf
    x = jnp.where(alive, x, 0)
    # The unit's inverse must be a normal number: compiled, x/size is a product with it.
    size = jnp.minimum(jnp.max(jnp.abs(x), -1, keepdims=True), jnp.finfo(x.dtype).max / 16)
    size = lax.stop_gradient(jnp.where(size > 0, size, 1))
    x, num_alive = x / size, jnp.sum(alive, -1)
    second, third = (jnp.sum(x**power, -1) / num_alive for power in (2, 3))
    return (B * size)[..., 0], second, third


# --- how it goes there ---------------------------------------------------------------------------


@checks.arguments(inverse_temperature="[0, inf)")
def entropy_slope(logits: Logits, inverse_temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Slope of the entropy in the inverse temperature.

    dS/dβ = -β Var_β(θ) (`tempering.entropy_slope`), the variance under p_β: the entropy falls with
    every generation below T = 1 and rises above it.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        inverse_temperature: β >= 0.

    Returns:
        The slope, in nats per unit of β; never positive.

    Raises:
        ValueError: If the inverse temperature is negative.

    Validity:
        Exact; relative error below 1e-12 in float64 (`tests/laws/test_register.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{entropy_slope(jnp.array([1.0, -1.0]), 0.5):.6f}")  # -0.5/cosh(0.5)**2
        -0.393224

    References:
        Textbook thermodynamics: the heat capacity is β² times the variance of the energy.
    """
    theta, beta = simplex.per_distribution(logits, inverse_temperature)
    p = simplex.probabilities(_cooled(theta, beta[..., 0]))
    x = jnp.where(p > 0, simplex.temper(theta, 1.0), 0)
    variance = jnp.sum(p * (x - jnp.sum(p * x, -1, keepdims=True)) ** 2, -1)
    return -beta[..., 0] * variance


@checks.arguments(inverse_temperature="[0, inf)", num_top=">= 1")
def majorisation(
    logits: Logits, inverse_temperature: PerDistribution, num_top: ArrayLike
) -> Float[Array, "*batch"]:
    """Slope of the mass of the most probable outcomes in the inverse temperature.

    dP_m/dβ = P (1 - P) (E[θ | top] - E[θ | rest]) = Σ_{i<=m<j} p_i p_j (θ_i - θ_j) >= 0
    (`tempering.majorisation`), the outcomes sorted. As no P_m ever falls, a colder model majorises
    a hotter one, and every Schur-concave measure of diversity is monotone in the generation.

    Args:
        logits: The model θ, in any order; -inf marks a lost outcome.
        inverse_temperature: β >= 0.
        num_top: m, how many outcomes belong to the top; an integer >= 1.

    Returns:
        The slope; never negative.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact; relative error below 1e-12 in float64 (`tests/laws/test_register.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{majorisation(jnp.array([-1.0, 1.0]), 0.0, 1):.6f}")  # 1/2 · 1/2 · 2
        0.500000

    References:
        A. W. Marshall, I. Olkin, B. C. Arnold, Inequalities: theory of majorization and its
        applications, 2nd ed., Springer (2011), chapter 5.
    """
    checks.check_count(num_top, "num_top")
    theta, beta = simplex.per_distribution(logits, inverse_temperature)
    theta = jnp.sort(theta, -1, descending=True)
    p = simplex.probabilities(_cooled(theta, beta[..., 0]))
    top = jnp.broadcast_to(jnp.arange(theta.shape[-1]) < num_top, theta.shape)
    # Seen from the last logit above the cut, no term of the two sums has the other's sign.
    cut = jnp.min(jnp.where(top & (p > 0), theta, jnp.inf), -1, keepdims=True)
    x = jnp.where(p > 0, theta - cut, 0)
    above, below = jnp.where(top, p, 0), jnp.where(top, 0, p)
    return jnp.sum(below, -1) * jnp.sum(above * x, -1) - jnp.sum(above, -1) * jnp.sum(below * x, -1)


# --- the way back --------------------------------------------------------------------------------


@checks.arguments()
def recovery(temperature: PerDistribution, generation: PerDistribution) -> Float[Array, "*batch"]:
    """Temperature at which sampling a generation gives back the initial model.

    τ_n = T⁻ⁿ (`tempering.recovery`): reheat (τ > 1) what was cooled, cool what was heated.

    Args:
        temperature: Sampling temperature T in [0, inf] of the past generations.
        generation: n >= 0.

    Returns:
        T⁻ⁿ; inf or 0 where it overflows or underflows.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact; relative error below 1e-12 in float64. How long a stored generation still holds the
        initial model: `storage_horizon`.

    Example:
        >>> recovery(0.5, 3)
        Array(8., dtype=float64)

    References:
        Derived here.
    """
    return _power(temperature, -jnp.asarray(generation))


@checks.arguments(logit_range="(0, inf)", temperature="(0, 1)", log_smallest="(0, inf)")
def storage_cold(
    logit_range: PerDistribution, temperature: PerDistribution, log_smallest: PerDistribution
) -> Float[Array, "*batch"]:
    """Generations that the initial model survives storage as probabilities, below temperature 1.

    n ≃ log(λ/R)/log(1/T) (`tempering.storage_cold`): then the rarest outcome underflows. Until then
    rounding errors shrink on the way back: together at most uT/(1 - T), u the unit roundoff.

    Args:
        logit_range: R > 0, largest minus smallest initial logit.
        temperature: T in (0, 1).
        log_smallest: λ > 0; e^{-λ} is the smallest number that does not round to 0 (745 in
            float64, 104 in float32, 93 in bfloat16, 17.3 in float16).

    Returns:
        The horizon, a real number; 0 if R >= λ.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Asymptotic for large λ, where uT/(1 - T) is far below the error that will do (nearer to 1 a
        generation changes less than rounding does: `storage_hot`). ℓ nats more or less in λ are
        ℓ/(λ log(1/T)) generations; they are the logarithm of the mode's probability at the horizon,
        and log((1 + 1/(R log(1/T)))/d) for an error d, as a subnormal number has fewer digits.
        So it holds within one generation in float32 for T < 0.95, but not in float16 at 0.9 (8.7
        for 7) or in float32 at 0.999 (2,710 for 2,715) (`tests/laws/tempering/test_process.py`).

    Example:
        >>> print(f"{storage_cold(6.91, 0.8, 745.13):.1f}")
        21.0

    References:
        Derived here.
    """
    R, T, smallest = simplex.scalars(logit_range, temperature, log_smallest)
    return jnp.log(jnp.maximum(smallest / R, 1)) / -jnp.log(T)


@checks.arguments(temperature="(0, inf)", roundoff="(0, 1)")
def storage_hot(
    temperature: PerDistribution, roundoff: PerDistribution, tolerance: PerDistribution
) -> Float[Array, "*batch"]:
    """Generations that the initial model survives rounding, stored as probabilities.

    n >= log(1 + d (T - 1)/(T u))/log T (`tempering.storage_hot`): the way back multiplies the
    rounding error of generation k by Tᵏ. Above T = 1 this is what ends it; below, the errors add up
    to uT/(1 - T) at most, which is within d for ever unless T is very near to 1.

    Args:
        temperature: T > 0.
        roundoff: u, the largest relative change by rounding (2⁻⁵³ in float64, 2⁻²⁴ in float32,
            2⁻¹¹ in float16, 2⁻⁸ in bfloat16).
        tolerance: d, the largest error of a restored logit (up to a common constant) that will do.

    Returns:
        The horizon, a real number; below it the error stays within the tolerance. d/u at T = 1,
        inf for T <= 1/(1 + u/d).

    Raises:
        ValueError: If an argument is out of its range.

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

    References:
        Derived here.
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
    errors add up to d (`storage_hot`; for T < 1/(1 + u/d) they never do) or the range ends: below
    T = 1 `storage_cold`, with λ smaller by what the last, subnormal numbers lose in digits,
    log((1 + 1/(R log(1/T)))/d'), d' = d - uT/(1 - T). As centred logits, until n relative errors u
    add up, d/(uR); below T = 1 no longer than to the overflow, log(largest/R)/log(1/T); above, the
    roundoff e^{-λ} of subnormal numbers adds up too, as in `storage_hot`, and each has half of d.

    Args:
        logit_range: R > 0, largest minus smallest initial logit.
        temperature: Sampling temperature T in (0, inf).
        dtype: What each generation is stored in: float64, float32, bfloat16, …
        stored_as: "probabilities" or "logits" (centred).
        tolerance: d, the largest error of a restored logit that will do.

    Returns:
        The horizon, a real number.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        A lower bound for the rounding of the stored numbers, in arithmetic that is finer, for an
        initial model of normal numbers. It takes the mode to have nearly all the probability when
        the range ends (one nat less is 1/(λ log(1/T)) generations less), and is near to what is
        measured where T is well below 1: 6.8 for 7 in float16 at T = 0.9. Where rounding errors add
        up, the model often survives much longer, as they do not all point the same way (and powers
        of 2 divide logits without any): at T = 0.999, 26 for 36 generations in bfloat16 and 229 for
        588 in float16. `process.measured_horizon` measures it
        (`tests/laws/tempering/test_process.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{storage_horizon(6.91, 0.5, jnp.float32):.2f}")
        3.88
        >>> print(f"{storage_horizon(6.91, 0.5, jnp.float32, stored_as='logits'):.1f}")
        125.2

    References:
        Elementary.
    """
    if stored_as not in ("probabilities", "logits"):
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


# --- what it climbs ------------------------------------------------------------------------------


@checks.arguments(temperature="[0, inf)")
def potential(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Potential of self-training: the entropy integrated over temperature.

    Φ = T lse(θ/T) - lse(θ) = ∫_1^T S(p_T') dT' (`tempering.potential`), with the gradient p_T - p.
    Every generation raises it (`ascent`).

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: Sampling temperature T in [0, inf).

    Returns:
        Φ in nats: at most 0 below T = 1, at least 0 above.

    Raises:
        ValueError: If the temperature is negative.

    Validity:
        Exact; relative error below 1e-12 in float64 (`tests/laws/test_register.py`).
        `fixedpoint.potential` has it with real data.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{potential(jnp.zeros(2), 3.0):.6f}")  # 2 log 2
        1.386294

    References:
        Thermodynamic integration, dF/dT = -S; its use for self-training is derived here.
    """
    return potentials.potential(checks.check_logits(logits), temperature)


@checks.arguments(temperature="(0, inf)")
def ascent(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Gain of the potential in one generation.

    Φ(θ/T) - Φ(θ) = KL(p₁‖p₀) + T KL(p₁‖p₂) >= 0 (`tempering.ascent`), p_n = softmax(θT⁻ⁿ): a refit
    is a minorise-maximise step of Φ.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        temperature: Sampling temperature T in (0, inf).

    Returns:
        The gain in nats; 0 at T = 1 and for a uniform model only.

    Raises:
        ValueError: If the temperature is not positive.

    Validity:
        Exact; relative error below 1e-12 in float64 unless T is within 1e-3 of 1, where it is some
        machine epsilons over |T - 1| (`tests/laws/test_register.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{ascent(theta, 0.5):.6f}")  # log(0.9² + 0.1²)/2 - log(0.75² + 0.25²)/2
        0.135776

    References:
        Derived here.
    """
    T = jnp.asarray(checks.check_positive(temperature, "temperature"))
    start, first, second = (simplex.temper(logits, power) for power in (1.0, T, T**2))
    return simplex.kl_divergence(first, start) + T * simplex.kl_divergence(first, second)


# --- which families it keeps ---------------------------------------------------------------------


@checks.arguments(parameter="(-inf, inf)", base_slope="(-inf, inf)", temperature="(0, inf)")
def exponential_family(
    parameter: PerDistribution,
    base_slope: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> Float[Array, "*batch"]:
    """Natural parameter of a generation in an exponential family.

    η_n = (η₀ + c) T⁻ⁿ - c (`tempering.exponential_family`) for p(x) = h(x) e^{ηt(x) - A} with
    log h = const + c t. A family is closed under tempering if and only if log h is of that form, in
    span{1, t}; `gaussian`, `log_normal`, `gamma`, `geometric` and `pareto` are closed, `poisson` is
    not.

    Args:
        parameter: The initial natural parameter η₀.
        base_slope: c, the slope of log h in t; 0 for a constant base measure.
        temperature: T in (0, inf).
        generation: n >= 0.

    Returns:
        η_n.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact where η_n lies in the natural domain; elsewhere the tempered density cannot be
        normalised. Which base measure is constant depends on the coordinate: densities of x and of
        log x are tempered differently.

    Example:
        >>> print(exponential_family(3.0, -1.0, 0.5, 1))  # gamma's shape: 1 + (3 - 1)/0.5
        5.0

    References:
        Derived here. For a Gaussian with the bias λ = T: Alemohammad et al., arXiv:2307.01850.
    """
    eta, c, T, n = simplex.scalars(parameter, base_slope, temperature, generation)
    # At η = -c every generation is the same, also where T⁻ⁿ overflows: 0 · inf would be NaN.
    factor = _power(T, -n)
    finite = factor < jnp.inf
    moved = (eta + c) * jnp.where(finite, factor, 0) - c
    beyond = jnp.where(eta + c > 0, jnp.inf, -jnp.inf)
    return jnp.where(finite | (eta + c == 0), moved, beyond)


@checks.arguments(mean="(-inf, inf)", temperature="(0, inf)")
def gaussian(
    mean: PerDistribution,
    variance: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> tuple[Array, Array]:
    """Mean and variance of a Gaussian generation: the mean stays, σ_n² = Tⁿσ₀².

    The case c = 0 of `tempering.exponential_family` for the natural parameter 1/σ².

    Args:
        mean: The initial mean.
        variance: The initial variance (or a covariance's eigenvalue), > 0.
        temperature: T in (0, inf).
        generation: n >= 0.

    Returns:
        (mean, variance).

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for infinite samples (`tests/laws/tempering/test_solution.py`).

    Example:
        >>> [x.item() for x in gaussian(1.0, 4.0, 0.5, 2)]
        [1.0, 1.0]

    References:
        With λ = T: Alemohammad et al., arXiv:2307.01850.
    """
    return jnp.asarray(mean), jnp.asarray(variance) * _scale(temperature, generation)


@checks.arguments(location="(-inf, inf)", temperature="(0, inf)")
def log_normal(
    location: PerDistribution,
    variance: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> tuple[Array, Array]:
    """Location and variance (of log x) of a log-normal generation.

    μ_n = μ₀ - σ₀²(1 - Tⁿ), σ_n² = Tⁿσ₀²: below T = 1 it goes to the mode e^{μ-σ²}, not to the
    median. The case c = -1 of `tempering.exponential_family` for the parameter μ/σ² of log x.

    Args:
        location: μ₀, the mean of log x.
        variance: σ₀² > 0, the variance of log x.
        temperature: T in (0, inf).
        generation: n >= 0.

    Returns:
        (location, variance).

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for infinite samples of x with the density of x (`tests/laws/tempering/`).

    Example:
        >>> [x.item() for x in log_normal(1.0, 0.5, 0.5, 1)]
        [0.75, 0.25]

    References:
        Elementary.
    """
    scale = _scale(temperature, generation)
    mu, v = jnp.asarray(location), jnp.asarray(variance)
    return mu - v * (1 - scale), v * scale


@checks.arguments(shape="(0, inf)", rate="(0, inf)", temperature="(0, inf)")
def gamma(
    shape: PerDistribution,
    rate: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> tuple[Array, Array]:
    """Shape and rate of a gamma generation: a_n = 1 + (a₀ - 1)T⁻ⁿ, b_n = b₀T⁻ⁿ.

    The cases c = -1 (shape) and c = 0 (rate) of `tempering.exponential_family`.

    Args:
        shape: a₀ > 0.
        rate: b₀ > 0.
        temperature: T in (0, inf).
        generation: n >= 0.

    Returns:
        (shape, rate). A shape <= 0 says that generation n does not exist.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for infinite samples while a₀ > 1 - Tⁿ; for all n only if a₀ >= 1.

    Example:
        >>> [x.item() for x in gamma(3.0, 2.0, 0.5, 1)]
        [5.0, 4.0]
        >>> [f"{gamma(0.8, 1.0, 0.5, n)[0]:.1f}" for n in (1, 2, 3)]
        ['0.6', '0.2', '-0.6']

    References:
        Elementary.
    """
    return (
        exponential_family(shape, -1.0, temperature, generation),
        exponential_family(rate, 0.0, temperature, generation),
    )


@checks.arguments(ratio="(0, 1)", temperature="(0, inf)")
def geometric(
    ratio: PerDistribution, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Ratio of a geometric generation, p(x) ∝ qˣ: q_n = q₀^{T⁻ⁿ}.

    The case c = 0 of `tempering.exponential_family` for the parameter log q.

    Args:
        ratio: q₀ in (0, 1).
        temperature: T in (0, inf).
        generation: n >= 0.

    Returns:
        q_n.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for infinite samples.

    Example:
        >>> geometric(0.5, 0.5, 1).item()
        0.25

    References:
        Elementary.
    """
    return jnp.exp(exponential_family(jnp.log(ratio), 0.0, temperature, generation))


@checks.arguments(exponent="(1, inf)", temperature="(0, inf)")
def pareto(
    exponent: PerDistribution, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Exponent of a Pareto generation, density x^{-α}: α_n = α₀T⁻ⁿ.

    The case c = 0 of `tempering.exponential_family` for the parameter -α of log x.

    Args:
        exponent: α₀ > 1.
        temperature: T in (0, inf).
        generation: n >= 0.

    Returns:
        α_n. A value <= 1 says that generation n does not exist on [1, inf).

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for infinite samples while α₀ > Tⁿ.

    Example:
        >>> pareto(3.0, 2.0, 1).item()
        1.5

    References:
        Elementary.
    """
    return exponential_family(exponent, 0.0, temperature, generation)


@checks.arguments(mean="(0, inf)", temperature="(0, inf)")
def poisson(mean: PerDistribution, temperature: PerDistribution, num_terms: int = 1000) -> Array:
    """Mean of the next generation of a Poisson student.

    λ' = Σ x (λˣ/x!)^{1/T} / Σ (λˣ/x!)^{1/T} (`tempering.poisson`). Its base measure 1/x! is not in
    span{1, x}: the tempered law is not Poisson, and the student takes its mean. A large mean drifts
    by `poisson_drift`, a small one becomes λ^{1/T}.

    Args:
        mean: λ > 0; one per student, or a number.
        temperature: T in (0, inf), of the same shape.
        num_terms: How many terms of the sums to keep: well above λ + 10√(Tλ) + 30T.

    Returns:
        λ'; NaN if so few terms are kept that the last of them still counts.

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact for infinite samples; relative error below 1e-12 in float64 for λ up to a few hundred,
        if enough terms are kept (`tests/laws/test_register.py`).

    Example:
        >>> print(f"{poisson(100.0, 0.8):.4f}")  # about 100 - (1 - 0.8)/2
        99.8998

    References:
        Derived here.
    """
    checks.check_count(num_terms, "num_terms")
    mean, T = simplex.scalars(mean, temperature)
    x = jnp.expand_dims(jnp.arange(num_terms, dtype=T.dtype), tuple(range(T.ndim)))
    p = simplex.probabilities((x * jnp.log(mean)[..., None] - gammaln(x + 1)) / T[..., None])
    enough = p[..., -1] * num_terms < 1e-3 * jnp.finfo(p.dtype).eps
    return jnp.where(enough, jnp.sum(x * p, -1), jnp.nan)


@checks.arguments(temperature="[0, inf)")
def poisson_drift(temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Change of a large Poisson mean in one generation.

    λ_{n+1} - λ_n ≃ -(1 - T)/2 (`tempering.poisson_drift`): linear in the generation, where a closed
    family collapses exponentially.

    Args:
        temperature: T in [0, inf).

    Returns:
        The drift.

    Raises:
        ValueError: If the temperature is negative.

    Validity:
        Asymptotic, λ -> inf: the next term is -(1 - T²)/(24λ).

    Example:
        >>> print(f"{poisson_drift(0.5):.2f}")
        -0.25

    References:
        Derived here.
    """
    (T,) = simplex.scalars(checks.check_nonnegative(temperature, "temperature"))
    return (T - 1) / 2


# --- which students obey it ----------------------------------------------------------------------


@checks.arguments(inverse_temperature="[0, inf)")
def cone(inverse_temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Multiplier of a student with a frozen base, where a cone's would be 1/T.

    dw'/dw at w = 0 is 4β/(2 + 2^β) (`tempering.cone`) for logits log(1, 2, 1) + w (0, 1, 2). A set
    of logit tables that is closed under scaling (any rank, any trunk with a free last layer) obeys
    `logits` exactly; a frozen base plus an adapter does not, and this is the smallest case.

    Args:
        inverse_temperature: β = 1/T >= 0.

    Returns:
        The multiplier of one generation; below 1 the symmetric state w = 0 is locally stable, which
        sharpening beyond β = 3.66 achieves. Far from it collapse is as usual.

    Raises:
        ValueError: If the inverse temperature is negative.

    Validity:
        Exact for infinite samples and a student trained to its minimum.

    Example:
        >>> print(f"{cone(4.0):.4f}")  # 16/18, not 4
        0.8889

    References:
        Derived here.
    """
    (beta,) = simplex.scalars(checks.check_nonnegative(inverse_temperature, "inverse_temperature"))
    return beta * 4 * jnp.exp2(-beta) / (1 + 2 * jnp.exp2(-beta))


@checks.arguments(inverse_temperature="[0, inf)", offset="(-inf, inf)")
def cone_two_contexts(
    inverse_temperature: PerDistribution, offset: PerDistribution
) -> Float[Array, "*batch"]:
    """Multiplier of a shared logit under frozen offsets of two contexts.

    dw'/dw at w = 0 is β cosh²(δ/2)/cosh²(βδ/2) (`tempering.cone_two_contexts`) for two outcomes,
    two equally frequent contexts and logit gaps w ± δ.

    Args:
        inverse_temperature: β = 1/T >= 0.
        offset: δ, frozen.

    Returns:
        The multiplier of one generation, β if δ = 0.

    Raises:
        ValueError: If the inverse temperature is negative.

    Validity:
        Exact and local: at β = 3, δ = 1 the state w = 0 is stable (0.689) only for |w| < 0.6504;
        beyond, the gap grows as βw.

    Example:
        >>> print(f"{cone_two_contexts(3.0, 1.0):.3f}")
        0.689

    References:
        Derived here.
    """
    beta, offset = simplex.scalars(
        inverse_temperature, checks.check_range(offset, "offset", "(-inf, inf)")
    )
    x = jnp.abs(offset) / 2
    # cosh x = e^x (1 + e^{-2x})/2: the exponentials are taken together, or they overflow.
    ratio = jnp.exp((1 - beta) * x) * (1 + jnp.exp(-2 * x)) / (1 + jnp.exp(-2 * (beta * x)))
    return beta * ratio**2


# --- powers of the temperature -------------------------------------------------------------------


# --- trained on the final answers alone ----------------------------------------------------------


@checks.arguments()
def answers_and_reasonings(
    logits: Logits, answers: Sequence[Any] | ArrayLike, temperature: PerDistribution
) -> tuple[Array, Array]:
    """What `final_answer` depends on: the answers' logits, and how varied their reasonings are.

    An outcome is a reasoning that ends with an answer. The reasonings of an answer have the Rényi
    entropy of order 1/T; its exponential is their effective number.

    Args:
        logits: The model θ of the outcomes; -inf marks a lost outcome.
        answers: The answer that each outcome ends with: labels of any kind, one an outcome.
        temperature: Sampling temperature T in [0, inf].

    Returns:
        (log-probabilities of the A different answers in the order of `numpy.unique`, the entropies
        of their reasonings in nats), each of shape (..., A). A lost answer has -inf and 0.

    Raises:
        ValueError: If there is not one label for each outcome, or the temperature is negative.

    Validity:
        As `fixedpoint.simplex.renyi_entropy`.

    Example:
        >>> import jax.numpy as jnp
        >>> p = jnp.array([0.2, 0.2, 0.2, 0.4])
        >>> a, entropies = answers_and_reasonings(jnp.log(p), ["x", "x", "x", "y"], 0.5)
        >>> jnp.exp(a), jnp.exp(entropies)  # three reasonings against one
        (Array([0.6, 0.4], dtype=float64), Array([3., 1.], dtype=float64))

    References:
        Elementary.
    """
    labels = np.unique(np.asarray(answers), return_inverse=True)[1]
    if labels.shape != jnp.shape(logits)[-1:]:
        raise ValueError(
            f"`answers` must be one label for each of the {jnp.shape(logits)[-1]} outcomes; "
            f"got shape {np.shape(answers)}."
        )
    order = 1 / (jnp.asarray(temperature) * 1.0)
    return _by_answer(
        simplex.log_probabilities(logits), jnp.asarray(labels), order, int(labels.max()) + 1
    )


@partial(jax.jit, static_argnums=3)
def _by_answer(log_p: Array, labels: Array, order: Array, num_answers: int) -> tuple[Array, Array]:
    """Logits and entropies of the answers: compiled, because a bare loop always is anew."""

    def one(label: Array) -> tuple[Array, Array]:
        reasonings = jnp.where(labels == label, log_p, -jnp.inf)
        alive = jnp.any(reasonings > -jnp.inf, -1)
        # In the place of a lost answer all outcomes, whose derivatives are finite.
        some = jnp.where(alive[..., None], reasonings, log_p)
        entropy = simplex.renyi_entropy(some, order)
        return jnp.where(alive, logsumexp(some, -1), -jnp.inf), jnp.where(alive, entropy, 0)

    found = lax.map(one, jnp.arange(num_answers))
    return jnp.moveaxis(found[0], 0, -1), jnp.moveaxis(found[1], 0, -1)


@checks.arguments(entropies="finite logits")
def final_answer(
    logits: Logits, entropies: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch num_answers"]:
    """Logits of the answers of a model that is trained on its final answers alone.

    α_n = H + (α_0 - H) T⁻ⁿ (`tempering.final_answer`): what is tempered is an answer's
    probability for each of the e^H reasonings that lead to it.

    Args:
        logits: α_0, the logits of the answers at the start; -inf marks a lost answer.
        entropies: H, the Rényi entropy of order 1/T of the reasonings of each answer
            (`answers_and_reasonings` has both).
        temperature: Sampling temperature T in [0, inf]; one per distribution, or a number.
        generation: n >= 0.

    Returns:
        α_n, up to a constant. T < 1 leads to the answers with the largest α_0 - H, which need not
        be the most frequent; T > 1 to e^H/Σe^H, not to the uniform law.

    Raises:
        ValueError: If the temperature or the generation is negative.

    Validity:
        T > 0, or one answer with the largest α_0 - H: at T = 0 this is the log-probability of an
        answer's likeliest reasoning, and if several answers tie in it the modes are counted, α_1 =
        log(number of modes with the answer), which H does not tell. `final_answer_logits` counts
        them. Differences α_0 - H that agree to rounding are equal.

        Exact for infinite samples of reasonings with answers, and a learner that reaches the
        maximum of the likelihood of the answers from its last model by a step of expectation
        maximisation (`fixedpoint.FinalAnswer(answers)`): the reasonings of an answer then keep
        their proportions, and H does not change. Plain gradient steps on that likelihood change it.

    Example:
        >>> import jax.numpy as jnp
        >>> p = jnp.array([0.2, 0.2, 0.2, 0.4])
        >>> start = answers_and_reasonings(jnp.log(p), ["x", "x", "x", "y"], 0.5)
        >>> a = final_answer(*start, 0.5, jnp.array([1, 4]))
        >>> jnp.exp(a[:, 0] - a[:, 1])  # 3 (0.2/0.4)^(2ⁿ): the rarer answer wins
        Array([7.50000000e-01, 4.57763672e-05], dtype=float64)

    References:
        Derived here, from Dempster, Laird & Rubin (1977) for the step of the learner.
    """
    dtype = jnp.result_type(logits, float)
    alpha, H = jnp.broadcast_arrays(jnp.asarray(logits, dtype), jnp.asarray(entropies, dtype))
    alive = alpha > -jnp.inf
    gain = jnp.where(alive, alpha - H, -jnp.inf)
    top = jnp.max(gain, -1, keepdims=True)
    # T⁻ⁿ would magnify the rounding of answers that tie, and decide between them.
    size = jnp.max(jnp.where(alive, jnp.abs(alpha) + jnp.abs(H), 0), -1, keepdims=True)
    tied = gain >= top - simplex.rounding(size)
    tempered = simplex.temper(jnp.where(tied, top, gain), _power(temperature, generation))
    return tempered + jnp.broadcast_to(H, tempered.shape)


def final_answer_logits(
    logits: Logits,
    answers: Sequence[Any] | ArrayLike,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> Float[Array, "*batch num_outcomes"]:
    """Logits of a model that is trained on its final answers alone.

    θ_n = θ_0 + α_n - α_0, outcome by outcome with the α of its answer (`tempering.final_answer`):
    the reasonings of an answer keep their gaps. The law is applied from generation 1 on, whose
    answers are those of the draws: at T = 0 it is the number of modes with each that counts.

    Args:
        logits: The model θ_0 of the outcomes; -inf marks a lost outcome.
        answers: The answer that each outcome ends with: labels of any kind, one an outcome.
        temperature: Sampling temperature T in [0, inf].
        generation: n >= 0, an integer.

    Returns:
        θ_n, up to a constant.

    Raises:
        ValueError: If there is not one label for each outcome, or the temperature or the generation
            is negative.

    Validity:
        As `final_answer`, and at T = 0 also where several answers hold a mode: α_1 = log(number of
        modes with the answer); from generation 2 on, of these answers alone, those whose modes are
        the largest share of their reasonings.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.array([1.0, 1.0, 1.0, -1.0])  # three modes, two of them with answer 0
        >>> for n in (1, 2):  # ⅓ for the mode with answer 1 and its other reasoning together
        ...     p = simplex.probabilities(final_answer_logits(theta, [0, 0, 1, 1], 0.0, n))
        ...     print([round(float(share), 4) for share in p])
        [0.3333, 0.3333, 0.2936, 0.0397]
        [0.5, 0.5, 0.0, 0.0]

    References:
        Derived here.
    """
    checks.check_nonnegative(generation, "generation")
    checks.check_temperature(temperature)
    # At T = 0 and at T = ∞ the model does not move with T, though the entropies do.
    T = jnp.asarray(temperature) * 1.0
    T = jnp.where((T > 0) & jnp.isfinite(T), T, lax.stop_gradient(T))
    start, drawn, entropies = _answers_drawn(logits, answers, T)
    n = jnp.asarray(generation)
    later = final_answer(drawn, entropies, T, jnp.maximum(n - 1, 0))
    return _with_answers(logits, answers, start, jnp.where(n == 0, start, later))


def final_answer_limit(
    logits: Logits, answers: Sequence[Any] | ArrayLike, temperature: PerDistribution
) -> Float[Array, "*batch num_outcomes"]:
    """Logits after infinitely many generations of training on the final answers alone.

    T < 1: the answers with the largest α - H; T = 1: the initial model; T > 1: e^H/Σe^H.

    Args:
        logits: The model θ_0 of the outcomes; -inf marks a lost outcome.
        answers: The answer that each outcome ends with: labels of any kind, one an outcome.
        temperature: Sampling temperature T in [0, inf].

    Returns:
        The limit of `final_answer_logits`, up to a constant.

    Raises:
        ValueError: If there is not one label for each outcome, or the temperature is negative.

    Validity:
        Exact; answers that agree to rounding tie. Not continuous in T at 1 and at 0.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.2, 0.2, 0.2, 0.4]))
        >>> print(simplex.probabilities(final_answer_limit(theta, ["x", "x", "x", "y"], 2.0)))
        [0.25 0.25 0.25 0.25]

    References:
        Derived here.
    """
    start, drawn, entropies = _answers_drawn(logits, answers, temperature)
    T = jnp.asarray(temperature)
    ever = jnp.where(T < 1, 0.0, jnp.where(T > 1, jnp.inf, 1.0))
    return _with_answers(logits, answers, start, final_answer(drawn, entropies, ever, 1))


def _answers_drawn(
    logits: Logits, answers: Sequence[Any] | ArrayLike, temperature: PerDistribution
) -> tuple[Array, Array, Array]:
    """The answers' logits at generations 0 and 1, and the entropies of their reasonings."""
    start, entropies = answers_and_reasonings(logits, answers, temperature)
    drawn, _ = answers_and_reasonings(simplex.temper(logits, temperature), answers, 1.0)
    return start, drawn, entropies


def _with_answers(
    logits: Logits, answers: Sequence[Any] | ArrayLike, start: Array, now: Array
) -> Array:
    """The model whose answers had the logits `start` and have `now`, with the same reasonings."""
    alive = start > -jnp.inf
    change = jnp.where(alive, now - jnp.where(alive, start, 0), -jnp.inf)
    return jnp.asarray(logits) + change[..., np.unique(np.asarray(answers), return_inverse=True)[1]]


def _power(temperature: PerDistribution, exponent: ArrayLike) -> Array:
    """T to a power, which is taken as a float: an integer one is multiplied out, and rounds.

    Where it has become 0 or inf its slopes are 0: they would overflow, and 0 · inf is NaN.
    """
    return _saturated_power(*simplex.scalars(temperature, exponent))


@jax.custom_jvp
def _saturated_power(T: Array, n: Array) -> Array:
    """T to a power; what has become 0 or inf moves no more."""
    return jnp.power(T, n)


@_saturated_power.defjvp
def _saturated_power_jvp(
    primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Array, Array]:
    (T, n), (dT, dn) = primals, tangents
    power = _saturated_power(T, n)
    moves = (T > 0) & jnp.isfinite(T) & (power > 0) & (power < jnp.inf)
    safe, most = jnp.where(moves, T, 1), jnp.finfo(T.dtype).max
    by_T = jnp.clip(jnp.where(moves, n * (power / safe), 0), -most, most)
    by_n = jnp.clip(jnp.where(moves, power * jnp.log(safe), 0), -most, most)
    return power, by_T * dT + by_n * dn


def _scale(temperature: PerDistribution, generation: PerDistribution) -> Array:
    """Tⁿ, with both arguments checked."""
    checks.check_temperature(temperature, positive=True)
    checks.check_nonnegative(generation, "generation")
    return _power(temperature, generation)


def _generation(logits_initial: Logits, temperature: PerDistribution, n: PerDistribution) -> Array:
    return logits(logits_initial, temperature, n)


def _cooled(logits: Logits, inverse_temperature: PerDistribution) -> Array:
    """Logits at an inverse temperature, 0 and inf included."""
    theta, beta = simplex.per_distribution(logits, inverse_temperature)
    x = simplex.temper(theta, 1.0)
    finite = beta < jnp.inf
    # Not θ/(1/β), which has no slope at β = 0.
    cooled = jnp.where(x > -jnp.inf, x, 0) * jnp.where(finite, beta, 0)
    coldest = jnp.where(x < 0, -jnp.inf, jnp.zeros_like(x))
    return jnp.where((x > -jnp.inf) & finite, cooled, coldest)
