"""Flow: infinite samples, and a teacher that is frozen while its student is trained.

Closed forms in JAX. With a target that does not change, dθ/dτ = target - softmax(θ).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, Real

from fixedpoint import checks, simplex, special

NUM_NODES = 128
"""Nodes of the Gauss-Legendre rule in `frozen_one_hot_target`."""

Logits = Real[ArrayLike, "*#batch num_outcomes"]
PerDistribution = Real[ArrayLike, "*#batch"]
Scalars = Real[ArrayLike, "*#shape"]


@checks.arguments()
def frozen_two_outcomes(
    gap_initial: Scalars, gap_target: Scalars, time: Scalars
) -> Float[Array, "*shape"]:
    r"""Gap of two outcomes trained on a frozen teacher (`flow.frozen_two_outcomes`).

    With a = σ(z*), b = 1 - a, the coordinate F(z) = a e^(-bz) - b e^(az) obeys dF/dτ = -2ab F: the
    gap z is the root of F(z) = F(z₀) e^(-2abτ).

    Args:
        gap_initial: Gap z₀ = θ₁ - θ₂ of the student at time 0.
        gap_target: Gap z* of the teacher: z₀/T if it is the student at temperature T.
        time: Time τ >= 0 (learning rate × steps).

    Validity:
        Relative to the larger of the two gaps the error is below 1e-12.

    Example:
        >>> z = frozen_two_outcomes(1.0, 0.0, 1.0)  # an even target: sinh(z/2) falls as e^(-τ/2)
        >>> print(f"{jnp.sinh(z / 2) / jnp.sinh(0.5) * jnp.exp(0.5):.12f}")
        1.000000000000
    """
    return _frozen_gap(*simplex.scalars(gap_initial, gap_target, time))


@jax.jit
def _frozen_gap(z: Array, target: Array, tau: Array) -> Array:
    offset = z - target
    # In u = z - target, F ∝ 1 - e^u up to a factor: log F = log(1 - e^-|u|) + c |u| + const.
    slope = jnp.where(offset < 0, jax.nn.sigmoid(-target), jax.nn.sigmoid(target))
    decay = 2 * jax.nn.sigmoid(target) * jax.nn.sigmoid(-target) * tau
    size = jnp.where(offset == 0, special.negligible(z), jnp.abs(offset))

    def log_coordinate(size: Array) -> Array:
        return special.log1mexp(size) + slope * size

    log_ratio = special.increasing_root(
        lambda y: log_coordinate(size * jnp.exp(y)) - log_coordinate(size) + decay,
        -tau / 2,
        jnp.zeros_like(tau),
    )
    return target + offset * jnp.exp(log_ratio)


@checks.arguments()
def frozen_uniform_target(
    logits: Logits, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Logits trained on the uniform distribution for a time (`flow.frozen_uniform_target`).

    θᵢ(τ) = θᵢ + τ/K - log(1 + w e^θᵢ), where w >= 0 solves Σ log(1 + w e^θᵢ) = τ. The target is
    that of T = ∞: also the model as its own teacher at T = ∞ obeys this law.

    Args:
        logits: The model θ at time 0; -inf marks a lost outcome, which the target lacks as well.
        time: Time τ >= 0.

    Returns:
        The centred logits.

    Validity:
        Relative error below 1e-12 for logits of size 0.1 to 300; for smaller ones the absolute
        error is below 1e-14.

    Example:
        >>> theta = frozen_uniform_target(jnp.array([0.5, -0.5]), 1.0)  # as two outcomes above
        >>> print(f"{jnp.sinh(theta[0]) / jnp.sinh(0.5) * jnp.exp(0.5):.12f}")
        1.000000000000
    """
    theta, tau = simplex.per_distribution(checks.check_logits(logits), time)
    return _to_uniform(theta, tau)


@jax.jit
def _to_uniform(theta: Array, tau: Array) -> Array:
    alive = theta > -jnp.inf
    below = simplex.below(theta, alive)
    weight = jnp.where(alive, jnp.exp(-below), 0)
    # L = log(1 + w e^max θ) is by how much the largest term of the sum contributes to it.
    fall = special.increasing_root(
        lambda L: simplex.total(special.log1p_expm1(weight, L)) - tau,
        tau / jnp.sum(alive, -1, keepdims=True, dtype=theta.dtype),
        tau,
    )
    moved = -special.log1p_expm1(jnp.exp(-fall), below)
    return simplex.centre(jnp.where(alive, moved, -jnp.inf))


@checks.arguments(target=">= 0")
def frozen_one_hot_target(
    logits: Logits, time: PerDistribution, target: Int[ArrayLike, "*#batch"]
) -> Float[Array, "*out num_outcomes"]:
    r"""Logits trained on a single outcome for a time (`flow.frozen_one_hot_target`).

    The others fall as θᵢ(τ) = θᵢ - log(1 + w e^θᵢ), the target r rises by the sum of their falls,
    and w >= 0 solves τ = ∫₀^w e^θᵣ Π(1 + x e^θᵢ) dx + Σ log(1 + w e^θᵢ), over the others. This is
    ordinary training on one label; with the mode as the target it is T = 0, also for a model that
    is its own teacher.

    Args:
        logits: The model θ at time 0; -inf marks a lost outcome.
        time: Time τ >= 0.
        target: Index r of the outcome trained on, counted from 0; it must not be lost.

    Returns:
        The centred logits.

    Validity:
        Relative error below 1e-12 for logits within 300 of each other and every time: the integral
        is taken by a 128-point Gauss-Legendre rule in the logarithm of its variable.

    Example:
        >>> theta = frozen_one_hot_target(jnp.zeros(2), 1.0, target=0)
        >>> z = theta[0] - theta[1]
        >>> print(f"{z + jnp.exp(z):.12f}")  # grows at rate 2 from 0 + e⁰
        3.000000000000
    """
    checks.check_range(target, "target", f"[0, {jnp.shape(logits)[-1]})", whole=True)
    theta, tau, chosen = simplex.per_distribution(checks.check_logits(logits), time, target)
    chosen = jax.lax.broadcasted_iota(theta.dtype, theta.shape, theta.ndim - 1) == chosen
    alive = jnp.any(chosen & (theta > -jnp.inf), -1)
    if not isinstance(alive, Tracer) and not np.all(alive):
        raise ValueError(
            f"`target` must be the index of an outcome that is not lost; got {target!r}."
        )
    return _to_one_hot(theta, tau, chosen)


@jax.jit
def _to_one_hot(theta: Array, tau: Array, chosen: Array) -> Array:
    others = (theta > -jnp.inf) & ~chosen
    any_others = jnp.any(others, -1, keepdims=True)
    top = jnp.max(jnp.where(others, theta, -jnp.inf), -1, keepdims=True)
    lead = jnp.where(any_others, simplex.total(jnp.where(chosen, theta, 0)) - top, 0)
    largest = jnp.finfo(lead.dtype).max
    lead = jnp.clip(lead, -largest, largest)
    below = simplex.below(theta, others)
    weight = jnp.where(others, jnp.exp(-below), 0)
    rule = np.polynomial.legendre.leggauss(NUM_NODES)
    nodes, node_weights = (jnp.asarray(x, tau.dtype)[(None,) * (tau.ndim - 1)] for x in rule)

    def time_to_fall(L: Array) -> Array:
        # L is the fall of the largest of the others; with x = (e^q - 1)/e^top the integrand is
        # analytic in q.
        q = L * (1 + nodes) / 2
        rise = jnp.sum(special.log1p_expm1(weight[..., None, :], q[..., :, None]), -1)
        integral = L / 2 * simplex.total(node_weights * jnp.exp(lead + q + rise))
        return integral + simplex.total(special.log1p_expm1(weight, L))

    fall = special.increasing_root(
        lambda L: time_to_fall(L) - tau,
        jnp.zeros_like(tau),
        jnp.minimum(tau, jax.nn.softplus(jnp.log(tau) - lead)),
    )
    fallen = -special.log1p_expm1(jnp.exp(-fall), below)
    risen = lead + fall + simplex.total(special.log1p_expm1(weight, fall))
    moved = jnp.where(chosen, jnp.where(any_others, risen, 0), fallen)
    return simplex.centre(jnp.where(others | chosen, moved, -jnp.inf))


@checks.arguments()
def relaxation_rate(logits_target: Logits) -> Float[Array, "*batch"]:
    r"""Rate at which gradient flow reaches a frozen teacher in the end (`flow.relaxation_rate`).

    The smallest λ > 0 with Σ pᵢ/(pᵢ - λ) = 0, where p = softmax(logits_target): the second
    eigenvalue of the Fisher matrix. It lies between the two smallest probabilities.

    Args:
        logits_target: Logits of the teacher, finite, at least two outcomes.

    Returns:
        The rate λ: logits approach those of the teacher as e^(-λτ).

    Validity:
        A model that differs from the teacher in faster directions alone (one that ties where the
        teacher's two least probable outcomes do) is quicker. Where the three smallest probabilities
        tie it has no derivative, only finite slopes on each side.

    Example:
        >>> print(f"{relaxation_rate(jnp.log(jnp.array([0.9, 0.1]))):.12f}")  # 2 · 0.9 · 0.1
        0.180000000000
    """
    theta = jnp.sort(simplex.scalars(checks.check_logits(logits_target, "logits_target"))[0], -1)
    if theta.shape[-1] < 2:
        raise ValueError("`logits_target` must have at least two outcomes; got one.")
    if not isinstance(theta, Tracer) and not np.all(np.isfinite(theta)):
        raise ValueError("`logits_target` must be finite: a lost outcome is never reached.")
    return _second_eigenvalue(theta)


@jax.jit
def _second_eigenvalue(theta: Array) -> Array:
    p = simplex.probabilities(theta)
    low, high, rest = p[..., :1], p[..., 1:2], p[..., 2:]

    def secular(rate: Array) -> Array:
        # Multiplied by (rate - low)(high - rate): no poles at the ends.
        apart = rest > rate
        inner = simplex.total(jnp.where(apart, rest / jnp.where(apart, rest - rate, 1), 0))
        return high * (rate - low) - low * (high - rate) + (rate - low) * (high - rate) * inner

    return special.increasing_root(secular, low, high)[..., 0]


@checks.arguments(temperature="(0, inf]", time="[0, inf]")
def multiplier(
    temperature: Scalars, time: Scalars, num_outcomes: Scalars
) -> Float[Array, "*shape"]:
    r"""Factor by which one generation changes small logits (`flow.multiplier`).

    m = 1/T + (1 - 1/T) e^(-τ/K): training for a time τ on a teacher that is the model itself at
    temperature T, near the uniform distribution.

    Args:
        temperature: Sampling temperature T > 0; may be inf.
        time: Training time τ >= 0 of a generation; may be inf.
        num_outcomes: Number of outcomes K.

    Validity:
        Exact for infinitesimal logits. For larger ones it depends on the logits; with two
        outcomes and T < 1 it stays between 1 and 1/T.

    Example:
        >>> print(f"{multiplier(2.0, 10.0, 10):.6f}")  # 1/2 + 1/2 e^-1
        0.683940
    """
    T, tau, K = simplex.scalars(temperature, time, num_outcomes)
    lost = jnp.where(tau < jnp.inf, jnp.expm1(-jnp.where(tau < jnp.inf, tau, 0) / K), -1)
    return 1 - special.inverse_minus_one(T) * lost


@checks.arguments(logits="finite logits", temperature="(0, inf]")
def off_ray(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""How far finite training leads off the line through the logits (`flow.off_ray`).

    To second order in the logits, the transverse part after a time τ is n(τ) (θ²)_⊥, with
    n = e^(-τ/K) [β(β-1) τ/K - (β-1)² (1 - e^(-τ/K))/2] and (θ²)_⊥ the part of θ² that is
    orthogonal to θ and to the constant; β = 1/T.

    Args:
        logits: The model θ, finite.
        temperature: Sampling temperature T > 0 of the teacher, which is the model itself.
        time: Training time τ >= 0.

    Returns:
        The transverse part of the logits after training, a vector: exactly what raising the
        temperature cannot undo.

    Validity:
        Leading order for small logits, every τ. It is 0, and then the line is kept exactly and for
        all time, if and only if the logits take at most two values.

    Example:
        >>> transverse = off_ray(jnp.array([0.01, 0.0, -0.01]), 0.5, 1e-3)
        >>> print((transverse / (1e-3 * 3 / 6) * 1e4).round(3))  # τ (β²-1)/(2K), in units of θ²
        [ 0.333 -0.666  0.333]
    """
    theta, T, tau = simplex.per_distribution(checks.check_logits(logits), temperature, time)
    theta = simplex.centre(theta)
    # A unit, because the square may overflow; compiled, a quotient is a product with its inverse.
    size = jnp.max(jnp.abs(theta), -1, keepdims=True)
    size = jnp.minimum(size, jnp.finfo(theta.dtype).max / 16)
    size = jax.lax.stop_gradient(jnp.where(size > 0, size, 1))
    theta = theta / size
    square = theta**2 - jnp.mean(theta**2, -1, keepdims=True)
    norm = simplex.total(theta**2)
    transverse = square - theta * simplex.total(square * theta) / jnp.where(norm > 0, norm, 1)
    transverse = transverse * size * size
    # Beyond twice the largest exponent nothing is left of it.
    longest = 2 * float(np.log(jnp.finfo(theta.dtype).max))
    excess, elapsed = special.inverse_minus_one(T), jnp.minimum(tau / theta.shape[-1], longest)
    growth = (1 + excess) * excess * elapsed + excess**2 * jnp.expm1(-elapsed) / 2
    return jnp.exp(-elapsed) * growth * transverse


@checks.arguments(time="(0, inf)", generation=">= 1")
def finite_training(
    num_outcomes: Scalars, time: Scalars, generation: Scalars, num_modes: Scalars = 1
) -> Float[Array, "*shape"]:
    r"""Probability outside the modes after many generations of finite training.

    `flow.finite_training`: 1 - P(modes) ≃ m(K - m)/(K t τ) for any T < 1: a power law in t, not the
    double exponential of training to the minimum.

    Args:
        num_outcomes: Number of outcomes K.
        time: Training time τ > 0 of a generation.
        generation: Generation t > 0.
        num_modes: Number of tied modes m.

    Validity:
        Asymptotic: relative error of the order of p log(1/p) at T = 1/2 and of p^(1/T-1) for T
        nearer to 1, p being the value; at T >= 0.8 it is not reached in practice.

    Example:
        >>> print(f"{finite_training(3, 20.0, 1000):.6g}")  # 2/(3 · 20000)
        3.33333e-05
    """
    checks.check_modes(num_modes, num_outcomes)
    K, tau, t, m = simplex.scalars(num_outcomes, time, generation, num_modes)
    return m * (K - m) / (K * t * tau)


@checks.arguments(temperature="(0, inf]")
def lineage(gap: Scalars, gap_initial: Scalars, temperature: Scalars) -> Float[Array, "*shape"]:
    r"""Training time with which a lineage of two outcomes comes to rest at a gap (`flow.lineage`).

    Every generation starts from the initial model, of gap z₀, and is trained for the time τ on the
    generation before. At rest, at the gap z, it is trained on σ(z/T) = a, b = 1 - a:

        τ(z) = log(F(z₀)/F(z))/(2ab),    F(z) = a e^(-bz) - b e^(az)

    From z₀ the generations move one way, and stop at the first gap whose time is that of their
    training: they come to z if every gap on the way from z₀ to z has a shorter one.

    Args:
        gap: Gap z at rest.
        gap_initial: Gap z₀ of the initial model.
        temperature: Temperature T in (0, inf].

    Returns:
        The time τ(z). NaN if no lineage from z₀ comes to rest at z, whatever its training time:

        - T < 1, where gaps grow: if z is nearer to 0 than z₀ or on the other side of it;
        - T > 1, where they shrink: if z is 0, further from 0 than z₀ or on the other side of it,
          or if a gap on the way has a time as long. That happens where z₀ is beyond a threshold
          that grows with T: 1.9 at T = 1.01, 2.8 at 1.1, 5.4 at 2.

        NaN as well where every time would do, as nothing moves: z = z₀ = 0, and z = z₀ at T = 1.

    Validity:
        Which gaps are passed by is found on a grid that is refined once, and agrees with lineages
        that were run (`tests/laws/flow/test_process.py`).

    Example:
        >>> print(f"{lineage(3.0, 1.0, 1e-3):.6f}")  # the mode alone: (e³ + 3 - e - 1)/2
        9.683628
        >>> lineage(jnp.array([3.0, 1.5, 0.3]), 3.6, 1.2).round(3)  # it leaps across 1.5
        Array([7.72 ,   nan, 9.832], dtype=float64)
    """
    z, start, T = simplex.scalars(gap, gap_initial, temperature)
    return _lineage_at_rest(jnp.abs(z), start * jnp.sign(z), T)


@jax.jit
def _lineage_at_rest(z: Array, start: Array, T: Array) -> Array:
    return jnp.where(_comes_to_rest(z, start, T), _resting_time(z, start, T), jnp.nan)


def _resting_time(z: Array, start: Array, T: Array) -> Array:
    """The training time of `lineage`, of gaps z > 0."""
    excess = special.inverse_minus_one(T)
    # A teacher's gap beyond z + 40 is the mode alone to 17 digits (and later on underflows).
    target = z + jnp.minimum(z * excess, 40)
    moved = jnp.where(T < 1, z - start, start - z)
    # F ∝ 1 - e^u in u = z - target, as in `frozen_two_outcomes`; both terms are positive.
    left = jnp.minimum(jnp.abs(z * excess), 40)
    slope = jax.nn.sigmoid(jnp.where(T < 1, -target, target))
    log_ratio = jnp.log1p(-jnp.expm1(-moved) / jnp.expm1(left)) + slope * moved
    return log_ratio / (2 * jax.nn.sigmoid(target) * jax.nn.sigmoid(-target))


def _comes_to_rest(z: Array, start: Array, T: Array) -> Array:
    """Whether a lineage from a gap comes to rest at z >= 0: none on the way has its time."""
    grows = (T < 1) & (start > 0) & (z >= start)
    shrinks = (T > 1) & (z > 0) & (z < start)
    stays = (T > 1) & (z > 0) & (z == start)
    hot = (jnp.where(shrinks, value, 1 + n) for n, value in enumerate((z, start, T)))
    return grows | stays | (shrinks & ~_passed_by(*map(jax.lax.stop_gradient, hot)))


def _passed_by(z: Array, start: Array, T: Array) -> Array:
    """Whether a gap on the way from `start` down to z has a training time as long, T > 1."""

    def slope(x: Array, start: Array, T: Array) -> Array:
        # The map from one generation's gap to the next has this slope, at rest at x. Once above
        # 1 on the way, the time has its largest value there and a smallest one, then grows again.
        a, b = jax.nn.sigmoid(x / T), jax.nn.sigmoid(-x / T)
        left = -x * special.inverse_minus_one(T)
        ahead = left + (start - x)
        part, whole = -jnp.expm1(-left), -jnp.expm1(-ahead)
        ratio = a * a * (start - x) + (a - b) * (special.log1mexp(ahead) - special.log1mexp(left))
        return part / (a + b * jnp.exp(-left)) * (ratio + 1 / part - 1 / whole) / T

    nodes = jnp.linspace(0, 1, 128, dtype=z.dtype)[(None,) * z.ndim]

    def steepest(low: Array, high: Array) -> tuple[Array, Array, Array]:
        on_the_way = low[..., None] + (high - low)[..., None] * nodes
        best = jnp.argmax(slope(on_the_way, start[..., None], T[..., None]), -1, keepdims=True)
        near = jnp.clip(best + jnp.arange(-1, 2)[(None,) * z.ndim], 0, nodes.size - 1)
        low, top, high = jnp.moveaxis(jnp.take_along_axis(on_the_way, near, -1), -1, 0)
        return low, top, high

    def halve(_: int, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        steep = slope(middle, start, T) > 1
        return jnp.where(steep, middle, ends[0]), jnp.where(steep, ends[1], middle)

    low, _, high = steepest(z, start)
    _, top, _ = steepest(low, high)
    fold, _ = jax.lax.fori_loop(0, 60, halve, (top, start))
    as_long = _resting_time(fold, start, T) >= _resting_time(z, start, T)
    return (slope(z, start, T) > 1) | ((slope(top, start, T) > 1) & as_long)
