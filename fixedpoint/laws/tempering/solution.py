r"""Closed forms of tempering: generation t of a loop at temperature T has the logits θT⁻ᵗ.

Notation: θ logits of generation 0, p = softmax(θ), T temperature, t generation, β = T⁻ᵗ inverse
temperature, p_β ∝ e^{βθ}. The claims and their proofs are in `derivation`, the loop that they
describe in `process`.

What holds for every function unless it says otherwise: it is exact for infinite samples and full
training, to 1e-12 relative in float64; it follows the dtype of the logits and works under
`jax.jit`, `jax.vmap` and `jax.grad`; -inf marks a lost outcome; temperatures are in [0, inf], one
per distribution or a number. Derivatives are exact where they exist; where a value jumps, is
infinite or has an infinite slope they are 0 or infinite, never NaN.
"""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import checks, simplex, special
from fixedpoint import potential as potentials
from fixedpoint.simplex import Logits, PerDistribution

# --- one generation, and many of them ------------------------------------------------------------


@checks.arguments()
def refit(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch num_outcomes"]:
    """Logits after one generation, shifted so that the largest is 0.

    θ' = θ/T (`tempering.refit`), where the cross-entropy to samples at that temperature is least.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T.

    Example:
        >>> import jax.numpy as jnp
        >>> refit(jnp.array([0.0, -1.0]), 0.5)
        Array([ 0., -2.], dtype=float64)
    """
    return simplex.temper(checks.check_logits(logits), temperature)


@checks.arguments()
def logits(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch num_outcomes"]:
    """Logits of a generation, shifted so that the largest is 0.

    θT⁻ᵗ (`tempering.logits`): t generations at T are one sampling at Tᵗ. Where T⁻ᵗ overflows
    (T < 1) this is the limit, 0 for the modes and -inf elsewhere; where Tᵗ does (T > 1), all 0.

    Args:
        logits: The initial model θ.
        temperature: Sampling temperature T.
        generation: t >= 0; its shape broadcasts with that of the temperature.

    Validity:
        Relative error below 1e-12 for t up to 10⁶.

    Example:
        >>> import jax.numpy as jnp
        >>> logits(jnp.array([0.0, -1.0]), 0.5, 3)
        Array([ 0., -8.], dtype=float64)
    """
    return simplex.temper(logits, special.power(*simplex.scalars(temperature, generation)))


@checks.arguments(temperatures="each [0, inf]")
def composition(
    logits: Logits, temperatures: Float[ArrayLike, " generations"]
) -> Float[Array, "*batch num_outcomes"]:
    """Logits after generations at different temperatures, shifted so that the largest is 0.

    θ/(T₁T₂⋯) (`tempering.composition`): the order does not matter, and T followed by 1/T is the
    identity. Among temperatures 0 and inf the earliest decides: what it leaves, the modes or the
    uniform law, no later one changes.

    Args:
        logits: The initial model θ.
        temperatures: T₁, T₂, …, one for each generation.

    Validity:
        Unless the product of the finite temperatures overflows on the way.

    Example:
        >>> import jax.numpy as jnp
        >>> composition(jnp.array([0.0, -1.0]), jnp.array([0.5, 4.0, 0.25]))
        Array([ 0., -2.], dtype=float64)
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
    """Expected gradient of the loss on the model's own samples; descent goes the other way.

    ∂CE(p_T, softmax x)/∂x at x = θ is p - p_T (`tempering.fixed_point`). At T = 1 it is exactly 0
    for every model: a refit, gradient steps, gradient flow and mixture steps leave it alone. Weight
    decay moves it none the less, and so do random batches, whose gradient is 0 only on average. At
    any other T it is 0 only for models that are uniform on their support.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> fixed_point(theta, 0.5)  # 3/4 - 9/10
        Array([-0.15,  0.15], dtype=float64)
        >>> fixed_point(theta, 1.0) == 0
        Array([ True,  True], dtype=bool)
    """
    return -potentials.gradient(logits, temperature)


@checks.arguments()
def limit(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch num_outcomes"]:
    """Logits after infinitely many generations, the largest being 0.

    T < 1: uniform on the modes; T = 1: the initial model; T > 1: uniform on the support.

    Args:
        logits: The initial model θ.
        temperature: Sampling temperature T.

    Validity:
        Ties are exact ties of the floats. Not continuous in T at 1.

    Example:
        >>> import jax.numpy as jnp
        >>> limit(jnp.array([1.0, 1.0, 0.0]), 0.9)
        Array([  0.,   0., -inf], dtype=float64)
    """
    T = jnp.asarray(checks.check_temperature(temperature))
    return simplex.temper(logits, jnp.where(T < 1, 0.0, jnp.where(T > 1, jnp.inf, 1.0)))


# --- where it leads ------------------------------------------------------------------------------


@checks.arguments()
def runners_up(logits: Logits) -> tuple[Array, Array, Array]:
    """What collapse depends on: the gap below the modes, and how many outcomes tie on each side.

    Args:
        logits: The model θ.

    Returns:
        (gap z to the second largest distinct logit, number m of modes, number k₂ of runners-up):
        the leading arguments of `mode_limit` and `generations_to_collapse`. Where every outcome is
        a mode, the gap is inf and there are no runners-up.

    Validity:
        Ties are exact ties of the floats: logits that differ in the last digit are two levels.

    Example:
        >>> import jax.numpy as jnp
        >>> [x.item() for x in runners_up(jnp.array([2.0, 1.5, 2.0, 0.0]))]
        [0.5, 2, 1]
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

    1 - P_t(modes) ≃ (k₂/m) exp(-z T⁻ᵗ) (`tempering.mode_limit`): double-exponential in t.

    Args:
        gap: z > 0, from the modes' logit to the next one (`runners_up`).
        num_modes: m >= 1, how many outcomes share the largest logit.
        num_runners_up: k₂ >= 0, how many share the next one.
        temperature: T in [0, 1).
        generation: t >= 0.

    Validity:
        Asymptotic, t -> inf: relative error of order exp(-z T⁻ᵗ) and of the exponential of the
        next gap. `tail` is exact.

    Example:
        >>> print(f"{mode_limit(0.7, 2, 3, 0.5, 3):.6e}")  # 1.5 exp(-5.6)
        5.546796e-03
    """
    gap, m, k, T, t = simplex.scalars(gap, num_modes, num_runners_up, temperature, generation)
    exponent = gap * special.power(T, -t)
    gone = exponent > 800  # nothing is left and nothing moves: 0 · inf would be its slope
    beta = special.power(jnp.where(gone, 1, T), -t)
    return jnp.where(gone, 0, k / m * jnp.exp(-jnp.where(gone, 1, gap) * beta))


@checks.arguments()
def tail(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Probability off the modes at a generation, exactly; a tie is an exact tie.

    1 - P_t(modes) with P_t = softmax(θT⁻ᵗ).

    Args:
        logits: The initial model θ.
        temperature: Sampling temperature T.
        generation: t >= 0.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{tail(jnp.log(jnp.array([0.75, 0.25])), 0.5, 1):.6f}")  # 1/10
        0.100000
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
    """Generations until the probability off the modes has fallen to a tolerance, a real number.

    t ≃ log(log(k₂/(mε))/z)/log(1/T) (`tempering.generations_to_collapse`); 0 if log(k₂/(mε)) <= z,
    where it is so from the start, and inf for T >= 1.

    Args:
        gap: z > 0, from the modes' logit to the next one (`runners_up`).
        num_modes: m >= 1, how many outcomes share the largest logit.
        num_runners_up: k₂ >= 0, how many share the next one.
        temperature: Sampling temperature T.
        tolerance: ε in (0, 1).

    Validity:
        Asymptotic for small ε, as `mode_limit`, which it inverts.

    Example:
        >>> print(f"{generations_to_collapse(0.7, 2, 3, 0.9, 1e-2):.2f}")
        18.68
    """
    gap, m, k, T, tolerance = simplex.scalars(
        gap, num_modes, num_runners_up, temperature, tolerance
    )
    excess = jnp.log(jnp.where(k > 0, k, 1) / m) - jnp.log(tolerance)
    ahead = (k > 0) & (excess > gap)
    cold = (T > 0) & (T < 1)
    t = jnp.log(jnp.where(ahead, excess / gap, 1)) / -jnp.log(jnp.where(cold, T, 0.5))
    return jnp.where(ahead, jnp.where(cold, t, jnp.where(T < 1, 0, jnp.inf)), 0)


@checks.arguments()
def divergence(
    logits: Logits,
    inverse_temperature: PerDistribution,
    inverse_temperature_other: PerDistribution,
) -> Float[Array, "*batch"]:
    """Divergence between one model at two inverse temperatures, in nats.

    KL(p_β ‖ p_β′) = (β - β′) A'(β) - A(β) + A(β′), A(β) = log Σ e^{βθ} (`tempering.divergence`).
    Generation t is β = T⁻ᵗ, the initial model β = 1, the uniform law on the support β = 0.

    Args:
        logits: The model θ.
        inverse_temperature: β in [0, inf].
        inverse_temperature_other: β′ in [0, inf].

    Validity:
        Relative error below 1e-12, also of a divergence of 1e-20 from the uniform law. Where β and
        β′ nearly agree, the rounding of βθ itself limits it to some machine epsilons times
        β/|β - β′|.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{divergence(theta, 1.0, 0.0):.6f}")  # log 2 - S = 0.75 log 1.5 - 0.25 log 2
        0.130812
    """
    return simplex.kl_divergence(
        _cooled(logits, inverse_temperature), _cooled(logits, inverse_temperature_other)
    )


@checks.arguments(temperature="(1, inf]")
def uniform_limit(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Divergence of a late generation from the uniform law, above temperature 1, in nats.

    KL(p_t ‖ u) ≃ β²κ₂/2 + β³κ₃/3 (`tempering.uniform_limit`), β = T⁻ᵗ, with the second and third
    cumulant of the logits under the uniform law: the first terms of Σ_{j>=2} (j-1) κ_j β^j/j!.

    Args:
        logits: The initial model θ; u is uniform on what is not lost.
        temperature: T > 1.
        generation: t >= 0.

    Validity:
        Asymptotic, t -> inf: error of order β⁴. The series converges only for β below the nearest
        complex zero of the mean of e^{βθ}; `divergence` is exact.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{uniform_limit(jnp.array([1.0, -1.0]), 2.0, 3):.6f}")  # 2⁻⁶/2
        0.007812
    """
    size, second, third = _series(logits, temperature, generation)
    return size * size * (second / 2 + size * third / 3)


@checks.arguments(temperature="(1, inf]")
def uniform_limit_reverse(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Divergence of the uniform law from a late generation, above temperature 1, in nats.

    KL(u ‖ p_t) ≃ β²κ₂/2 + β³κ₃/6 (`tempering.uniform_limit_reverse`), β = T⁻ᵗ: the first terms of
    Σ_{j>=2} κ_j β^j/j!.

    Args:
        logits: The initial model θ; u is uniform on what is not lost.
        temperature: T > 1.
        generation: t >= 0.

    Validity:
        Asymptotic, as `uniform_limit`; `divergence` is exact.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{uniform_limit_reverse(jnp.array([2.0, -1.0, -1.0]), 10.0, 1):.6f}")
        0.010333
    """
    size, second, third = _series(logits, temperature, generation)
    return size * size * (second / 2 + size * third / 6)


def _series(
    logits: Logits, temperature: PerDistribution, generation: PerDistribution
) -> tuple[Any, ...]:
    """Size of the logits times β, and κ₂ and κ₃ over its powers, under the uniform law."""
    beta = special.power(*simplex.scalars(temperature, -jnp.asarray(generation)))
    theta, beta = simplex.per_distribution(logits, beta)
    x = simplex.centre(theta)
    alive = x > -jnp.inf
    x = jnp.where(alive, x, 0)
    # The unit's inverse must be a normal number: compiled, x/size is a product with it.
    size = jnp.minimum(jnp.max(jnp.abs(x), -1, keepdims=True), jnp.finfo(x.dtype).max / 16)
    size = lax.stop_gradient(jnp.where(size > 0, size, 1))
    x, num_alive = x / size, jnp.sum(alive, -1)
    second, third = (jnp.sum(x**power, -1) / num_alive for power in (2, 3))
    return (beta * size)[..., 0], second, third


# --- how it goes there ---------------------------------------------------------------------------


@checks.arguments(inverse_temperature="[0, inf)")
def entropy_slope(logits: Logits, inverse_temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Slope of the entropy in the inverse temperature, in nats per unit of it; never positive.

    dS/dβ = -β Var_β(θ) (`tempering.entropy_slope`), the variance under p_β: the entropy falls with
    every generation below T = 1 and rises above it.

    Args:
        logits: The model θ.
        inverse_temperature: β >= 0.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{entropy_slope(jnp.array([1.0, -1.0]), 0.5):.6f}")  # -0.5/cosh(0.5)**2
        -0.393224
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
    """Slope of the mass of the most probable outcomes in the inverse temperature; never negative.

    dP_m/dβ = P (1 - P) (E[θ | top] - E[θ | rest]) = Σ_{i<=m<j} p_i p_j (θ_i - θ_j) >= 0
    (`tempering.majorisation`), the outcomes sorted. As no P_m ever falls, a colder model majorises
    a hotter one, and every Schur-concave measure of diversity is monotone in the generation.

    Args:
        logits: The model θ, in any order.
        inverse_temperature: β >= 0.
        num_top: m, how many outcomes belong to the top; an integer >= 1.

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{majorisation(jnp.array([-1.0, 1.0]), 0.0, 1):.6f}")  # 1/2 · 1/2 · 2
        0.500000
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


# --- what it climbs ------------------------------------------------------------------------------


@checks.arguments(temperature="[0, inf)")
def potential(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Potential of self-training: the entropy integrated over temperature, in nats.

    Φ = T lse(θ/T) - lse(θ) = ∫_1^T S(p_T') dT' (`tempering.potential`), with the gradient p_T - p:
    at most 0 below T = 1, at least 0 above. Every generation raises it (`ascent`).
    `fixedpoint.potential` has it with real data.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T in [0, inf).

    Example:
        >>> import jax.numpy as jnp
        >>> print(f"{potential(jnp.zeros(2), 3.0):.6f}")  # 2 log 2
        1.386294
    """
    return potentials.potential(checks.check_logits(logits), temperature)


@checks.arguments(temperature="(0, inf)")
def ascent(logits: Logits, temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Gain of the potential in one generation, in nats; 0 at T = 1 and for a uniform model only.

    Φ(θ/T) - Φ(θ) = KL(p₁‖p₀) + T KL(p₁‖p₂) >= 0 (`tempering.ascent`), p_t = softmax(θT⁻ᵗ): a refit
    is a minorise-maximise step of Φ.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T in (0, inf).

    Validity:
        Relative error below 1e-12 unless T is within 1e-3 of 1, where it is some machine epsilons
        over |T - 1|.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{ascent(theta, 0.5):.6f}")  # log(0.9² + 0.1²)/2 - log(0.75² + 0.25²)/2
        0.135776
    """
    T = jnp.asarray(checks.check_positive(temperature, "temperature"))
    start, first, second = (simplex.temper(logits, power) for power in (1.0, T, T**2))
    return simplex.kl_divergence(first, start) + T * simplex.kl_divergence(first, second)


def _generation(logits_initial: Logits, temperature: PerDistribution, t: PerDistribution) -> Array:
    return logits(logits_initial, temperature, t)


def _cooled(logits: Logits, inverse_temperature: PerDistribution) -> Array:
    """Logits at an inverse temperature, 0 and inf included."""
    theta, beta = simplex.per_distribution(logits, inverse_temperature)
    x = simplex.temper(theta, 1.0)
    finite = beta < jnp.inf
    # Not θ/(1/β), which has no slope at β = 0.
    cooled = jnp.where(x > -jnp.inf, x, 0) * jnp.where(finite, beta, 0)
    coldest = jnp.where(x < 0, -jnp.inf, jnp.zeros_like(x))
    return jnp.where((x > -jnp.inf) & finite, cooled, coldest)
