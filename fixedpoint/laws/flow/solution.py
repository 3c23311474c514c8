"""Closed forms of gradient flow; `fixedpoint.laws.flow` describes the dynamics and the notation.

Every function is elementwise in its scalar arguments and takes batches of logits; a number that
belongs to a distribution (a time, a temperature) broadcasts with the batch. All work under
`jax.jit`, `jax.vmap` and `jax.grad`.
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


# A frozen teacher ---------------------------------------------------------------------------------


@checks.arguments()
def frozen_two_outcomes(gap: Scalars, gap_target: Scalars, time: Scalars) -> Float[Array, "*shape"]:
    r"""Logit gap of two outcomes trained on a frozen teacher (`flow.frozen_two_outcomes`).

    With a = σ(gap_target), b = 1 - a, the coordinate F(z) = a e^(-bz) - b e^(az) obeys
    dF/dt = -2ab F: the gap z(t) is the root of F(z(t)) = F(z(0)) e^(-2abt).

    Args:
        gap: Logit gap z(0) = θ₁ - θ₂ of the student.
        gap_target: Logit gap of the teacher: z(0)/T if it is the student at temperature T.
        time: Time t >= 0 (learning rate × steps).

    Returns:
        The gap z(t), between `gap` and `gap_target`.

    Raises:
        ValueError: If the time is negative or infinite.

    Validity:
        Exact; relative to the larger of the two gaps the error is below 1e-12 in float64
        (`fixedpoint verify flow.frozen_two_outcomes`).

    Example:
        >>> z = frozen_two_outcomes(1.0, 0.0, 1.0)  # an even target: sinh(z/2) falls as e^(-t/2)
        >>> print(f"{jnp.sinh(z / 2) / jnp.sinh(0.5) * jnp.exp(0.5):.12f}")
        1.000000000000

    References:
        Derived here. The limit a → 1, z + e^z = 2t + const, is the flow of the logistic loss.
    """
    z, target, t = _floats(gap, gap_target, time)
    return _frozen_gap(z, target, t)


@jax.jit
def _frozen_gap(z: Array, target: Array, t: Array) -> Array:
    offset = z - target
    # In u = z - target, F ∝ 1 - e^u up to a factor: log F = log(1 - e^-|u|) + c |u| + const.
    slope = jnp.where(offset < 0, jax.nn.sigmoid(-target), jax.nn.sigmoid(target))
    decay = 2 * jax.nn.sigmoid(target) * jax.nn.sigmoid(-target) * t
    size = jnp.where(offset == 0, _tiny(z), jnp.abs(offset))

    def log_coordinate(size: Array) -> Array:
        return _log1mexp(size) + slope * size

    log_ratio = special.increasing_root(
        lambda y: log_coordinate(size * jnp.exp(y)) - log_coordinate(size) + decay,
        -t / 2,
        jnp.zeros_like(t),
    )
    return target + offset * jnp.exp(log_ratio)


@checks.arguments()
def frozen_uniform_target(
    logits: Logits, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Logits trained on the uniform distribution for a time (`flow.frozen_uniform_target`).

    θᵢ(t) = θᵢ + t/K - log(1 + w e^θᵢ), where w >= 0 solves Σ log(1 + w e^θᵢ) = t. The target is
    that of T = ∞: also the model as its own teacher at T = ∞ obeys this law.

    Args:
        logits: The model θ at time 0; -inf marks a lost outcome, which the target lacks as well.
        time: Time t >= 0.

    Returns:
        Centred logits at time t.

    Raises:
        ValueError: If the time is negative or infinite, or the logits are none.

    Validity:
        Exact for every K; relative error below 1e-12 in float64 for logits of size 0.1 to 300; for
        smaller ones the absolute error is below 1e-14
        (`fixedpoint verify flow.frozen_uniform_target`).

    Example:
        >>> theta = frozen_uniform_target(jnp.array([0.5, -0.5]), 1.0)  # as two outcomes above
        >>> print(f"{jnp.sinh(theta[0]) / jnp.sinh(0.5) * jnp.exp(0.5):.12f}")
        1.000000000000

    References:
        Derived here.
    """
    theta, t = _per_distribution(checks.check_logits(logits), time)
    return _to_uniform(theta, t)


@jax.jit
def _to_uniform(theta: Array, t: Array) -> Array:
    alive = theta > -jnp.inf
    below = _below(theta, alive)
    weight = jnp.where(alive, jnp.exp(-below), 0)
    # L = log(1 + w e^max θ) is by how much the largest term of the sum contributes to it.
    fall = special.increasing_root(
        lambda L: _total(special.log1p_expm1(weight, L)) - t,
        t / jnp.sum(alive, -1, keepdims=True, dtype=theta.dtype),
        t,
    )
    moved = -special.log1p_expm1(jnp.exp(-fall), below)
    return simplex.centre(jnp.where(alive, moved, -jnp.inf))


@checks.arguments(target=">= 0")
def frozen_one_hot_target(
    logits: Logits, time: PerDistribution, target: Int[ArrayLike, "*#batch"]
) -> Float[Array, "*out num_outcomes"]:
    r"""Logits trained on a single outcome for a time (`flow.frozen_one_hot_target`).

    The others fall as θᵢ(t) = θᵢ - log(1 + w e^θᵢ), the target rises by the sum of their falls, and
    w >= 0 solves t = ∫₀^w e^θₜ Π(1 + x e^θᵢ) dx + Σ log(1 + w e^θᵢ), over the others. This is
    ordinary training on one label; with the mode as the target it is T = 0, also for a model that
    is its own teacher.

    Args:
        logits: The model θ at time 0; -inf marks a lost outcome.
        time: Time t >= 0.
        target: Index of the outcome trained on, counted from 0; it must not be lost.

    Returns:
        Centred logits at time t.

    Raises:
        ValueError: If the time is negative or infinite, the logits are none, or the target is not
            an outcome that is alive.

    Validity:
        Exact for every K (the integral by a 128-point Gauss-Legendre rule in the logarithm of its
        variable); relative error below 1e-12 in float64 for logits within 300 of each other and
        every time (`fixedpoint verify flow.frozen_one_hot_target`).

    Example:
        >>> theta = frozen_one_hot_target(jnp.zeros(2), 1.0, target=0)
        >>> z = theta[0] - theta[1]
        >>> print(f"{z + jnp.exp(z):.12f}")  # grows at rate 2 from 0 + e⁰
        3.000000000000

    References:
        Derived here; K = 2 is the flow of the logistic loss.
    """
    checks.check_range(target, "target", f"[0, {jnp.shape(logits)[-1]})", whole=True)
    theta, t, chosen = _per_distribution(checks.check_logits(logits), time, target)
    chosen = _outcomes(theta) == chosen
    alive = jnp.any(chosen & (theta > -jnp.inf), -1)
    if not isinstance(alive, Tracer) and not np.all(alive):
        raise ValueError(
            f"`target` must be the index of an outcome that is not lost; got {target!r}."
        )
    return _to_one_hot(theta, t, chosen)


@jax.jit
def _to_one_hot(theta: Array, t: Array, chosen: Array) -> Array:
    others = (theta > -jnp.inf) & ~chosen
    any_others = jnp.any(others, -1, keepdims=True)
    top = jnp.max(jnp.where(others, theta, -jnp.inf), -1, keepdims=True)
    lead = jnp.where(any_others, _total(jnp.where(chosen, theta, 0)) - top, 0)
    lead = _within_range(lead)
    below = _below(theta, others)
    weight = jnp.where(others, jnp.exp(-below), 0)
    rule = np.polynomial.legendre.leggauss(NUM_NODES)
    nodes, node_weights = (jnp.asarray(x, t.dtype)[(None,) * (t.ndim - 1)] for x in rule)

    def time_to_fall(L: Array) -> Array:
        # L is the fall of the largest of the others; with x = (e^q - 1)/e^top the integrand is
        # analytic in q.
        q = L * (1 + nodes) / 2
        rise = jnp.sum(special.log1p_expm1(weight[..., None, :], q[..., :, None]), -1)
        integral = L / 2 * _total(node_weights * jnp.exp(lead + q + rise))
        return integral + _total(special.log1p_expm1(weight, L))

    fall = special.increasing_root(
        lambda L: time_to_fall(L) - t,
        jnp.zeros_like(t),
        jnp.minimum(t, jax.nn.softplus(jnp.log(t) - lead)),
    )
    fallen = -special.log1p_expm1(jnp.exp(-fall), below)
    risen = lead + fall + _total(special.log1p_expm1(weight, fall))
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
        The rate λ: logits approach those of the teacher as e^(-λt).

    Raises:
        ValueError: If the logits are none or not finite, or there is only one outcome.

    Validity:
        Exact for every K; relative error below 1e-12 in float64
        (`fixedpoint verify flow.relaxation_rate`). A model that differs from the teacher in faster
        directions alone (one that ties where the teacher's two least probable outcomes do) is
        quicker. Where the three smallest probabilities tie it has no derivative, only finite
        slopes on each side.

    Example:
        >>> print(f"{relaxation_rate(jnp.log(jnp.array([0.9, 0.1]))):.12f}")  # 2 · 0.9 · 0.1
        0.180000000000

    References:
        The secular equation of a diagonal matrix plus one of rank 1: G. H. Golub, Some modified
        matrix eigenvalue problems, SIAM Rev. 15 (1973) 318.
    """
    theta = jnp.sort(_floats(checks.check_logits(logits_target, "logits_target"))[0], -1)
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
        inner = _total(jnp.where(apart, rest / jnp.where(apart, rest - rate, 1), 0))
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

    Returns:
        The multiplier m: 1 for τ = 0, 1/T for τ = ∞.

    Raises:
        ValueError: If the temperature is not positive or the time is negative.

    Validity:
        Exact for infinitesimal logits. For larger ones it depends on the logits; with two
        outcomes and T < 1 it stays between 1 and 1/T.

    Example:
        >>> print(f"{multiplier(2.0, 10.0, 10):.6f}")  # 1/2 + 1/2 e^-1
        0.683940

    References:
        Derived here.
    """
    T, t, K = _floats(temperature, time, num_outcomes)
    lost = jnp.where(t < jnp.inf, jnp.expm1(-jnp.where(t < jnp.inf, t, 0) / K), -1)
    return 1 - _excess(T) * lost


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

    Raises:
        ValueError: If the temperature is not positive or the time is negative.

    Validity:
        Leading order for small logits, every τ. It is 0, and then the line is kept exactly and for
        all time, if and only if the logits take at most two values.

    Example:
        >>> transverse = off_ray(jnp.array([0.01, 0.0, -0.01]), 0.5, 1e-3)
        >>> print((transverse / (1e-3 * 3 / 6) * 1e4).round(3))  # τ (β²-1)/(2K), in units of θ²
        [ 0.333 -0.666  0.333]

    References:
        Derived here.
    """
    theta, T, t = _per_distribution(checks.check_logits(logits), temperature, time)
    theta = simplex.centre(theta)
    # A unit, because the square may overflow; compiled, a quotient is a product with its inverse.
    size = jnp.max(jnp.abs(theta), -1, keepdims=True)
    size = jnp.minimum(size, jnp.finfo(theta.dtype).max / 16)
    size = jax.lax.stop_gradient(jnp.where(size > 0, size, 1))
    theta = theta / size
    square = theta**2 - jnp.mean(theta**2, -1, keepdims=True)
    norm = _total(theta**2)
    transverse = square - theta * _total(square * theta) / jnp.where(norm > 0, norm, 1)
    transverse = transverse * size * size
    excess, elapsed = _excess(T), t / theta.shape[-1]
    growth = (1 + excess) * excess * elapsed + excess**2 * jnp.expm1(-elapsed) / 2
    return jnp.exp(-elapsed) * growth * transverse


@checks.arguments(time="(0, inf)", generation=">= 1")
def finite_training(
    num_outcomes: Scalars, time: Scalars, generation: Scalars, num_modes: Scalars = 1
) -> Float[Array, "*shape"]:
    r"""Probability outside the modes after many generations of finite training.

    `flow.finite_training`: 1 - P(modes) ≃ m(K - m)/(K n τ) for any T < 1: a power law in n, not the
    double exponential of training to the minimum.

    Args:
        num_outcomes: Number of outcomes K.
        time: Training time τ > 0 of a generation.
        generation: Generation n > 0.
        num_modes: Number of tied modes m.

    Returns:
        The leading term of the probability outside the modes.

    Raises:
        ValueError: If the time is not positive.

    Validity:
        Asymptotic: relative error of the order of p log(1/p) at T = 1/2 and of p^(1/T-1) for T
        nearer to 1, p being the value; at T >= 0.8 it is not reached in practice.

    Example:
        >>> print(f"{finite_training(3, 20.0, 1000):.6g}")  # 2/(3 · 20000)
        3.33333e-05

    References:
        Derived here. The 1/t rate is that of softmax policy gradient: J. Mei et al., On the global
        convergence rates of softmax policy gradient methods, arXiv:2005.06392.
    """
    _check_modes(num_modes, num_outcomes)
    K, t, n, m = _floats(num_outcomes, time, generation, num_modes)
    return m * (K - m) / (K * n * t)


@checks.arguments(temperature="(0, inf]")
def lineage(gap: Scalars, gap_initial: Scalars, temperature: Scalars) -> Float[Array, "*shape"]:
    r"""Training time with which a lineage of two outcomes comes to rest at a gap (`flow.lineage`).

    Every generation starts from the initial model, of gap z₀, and is trained for the time τ on the
    generation before. At rest, at the gap z, it is trained on σ(z/T) = a, b = 1 - a:

        τ(z) = log(F(z₀)/F(z))/(2ab),    F(z) = a e^(-bz) - b e^(az)

    From z₀ the generations move one way, and stop at the first gap whose time is that of their
    training: they come to z if every gap on the way from z₀ to z has a shorter one.

    Args:
        gap: Logit gap z at rest.
        gap_initial: Logit gap z₀ of the initial model.
        temperature: Temperature T in (0, inf].

    Returns:
        The time τ(z). NaN if no lineage from z₀ comes to rest at z, whatever its training time:

        - T < 1, where gaps grow: if z is nearer to 0 than z₀ or on the other side of it;
        - T > 1, where they shrink: if z is 0, further from 0 than z₀ or on the other side of it,
          or if a gap on the way has a time as long. That happens where z₀ is beyond a threshold
          that grows with T: 1.9 at T = 1.01, 2.8 at 1.1, 5.4 at 2.

        NaN as well where every time would do, as nothing moves: z = z₀ = 0, and z = z₀ at T = 1.

    Raises:
        ValueError: If the temperature is not positive.

    Validity:
        Exact; relative error below 1e-12 in float64 (`fixedpoint verify flow.lineage`). Which gaps
        are passed by is found on a grid that is refined once, and agrees with lineages that were
        run (`tests/laws/flow/test_solution.py`).

    Example:
        >>> print(f"{lineage(3.0, 1.0, 1e-3):.6f}")  # the mode alone: (e³ + 3 - e - 1)/2
        9.683628
        >>> lineage(jnp.array([3.0, 1.5, 0.3]), 3.6, 1.2).round(3)  # it leaps across 1.5
        Array([7.72 ,   nan, 9.832], dtype=float64)

    References:
        Derived here, from `frozen_two_outcomes`.
    """
    z, start, T = _floats(gap, gap_initial, temperature)
    return _lineage_at_rest(jnp.abs(z), start * jnp.sign(z), T)


@jax.jit
def _lineage_at_rest(z: Array, start: Array, T: Array) -> Array:
    return jnp.where(_comes_to_rest(z, start, T), _resting_time(z, start, T), jnp.nan)


def _resting_time(z: Array, start: Array, T: Array) -> Array:
    """The training time of `lineage`, of gaps z > 0."""
    excess = _excess(T)
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
        # Of the map from one generation's gap to the next, at rest at x. Once it is above 1 on the
        # way, the time has its largest value (there) and a smallest one, before it grows again.
        a, b = jax.nn.sigmoid(x / T), jax.nn.sigmoid(-x / T)
        left = -x * _excess(T)
        ahead = left + (start - x)
        part, whole = -jnp.expm1(-left), -jnp.expm1(-ahead)
        ratio = a * a * (start - x) + (a - b) * (_log1mexp(ahead) - _log1mexp(left))
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


# Other geometries ---------------------------------------------------------------------------------


@checks.arguments(time="[0, inf]")
def mixture_frozen(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Log-probabilities under mixture flow to a frozen teacher (`flow.mixture_frozen`).

    p(t) = (1 - e^(-t)) p_T + e^(-t) p(0), in the probabilities: natural gradient flow of the
    cross-entropy.

    Args:
        logits: The model θ at time 0, which at temperature T is the teacher.
        temperature: Sampling temperature T, in [0, inf].
        time: Time t >= 0; may be inf.

    Returns:
        log p(t).

    Raises:
        ValueError: If the temperature or the time is negative.

    Validity:
        Exact; absolute error of a few machine epsilons times the largest logit
        (`fixedpoint verify flow.mixture_frozen`).

    Example:
        >>> log_p = mixture_frozen(jnp.log(jnp.array([0.75, 0.25])), 0.0, jnp.log(2.0))
        >>> print(jnp.exp(log_p))  # half way from (3/4, 1/4) to (1, 0)
        [0.875 0.125]

    References:
        Elementary.
    """
    theta, T, t = _per_distribution(checks.check_logits(logits), temperature, time)
    return _mixed_with_teacher(theta, T, t)


@jax.jit
def _mixed_with_teacher(theta: Array, T: Array, t: Array) -> Array:
    model = simplex.log_probabilities(theta)
    teacher = simplex.log_probabilities(simplex.temper(theta, T[..., 0]))
    larger = jax.lax.stop_gradient(jnp.maximum(model, teacher))
    larger = jnp.where(jnp.isfinite(larger), larger, 0)
    mixture = jnp.exp(model - larger - t) - jnp.expm1(-t) * jnp.exp(teacher - larger)
    return jnp.where(mixture > 0, jnp.log(jnp.where(mixture > 0, mixture, 1)) + larger, -jnp.inf)


# -------------------------------------------------------------------------------------------------


def _check_modes(num_modes: Scalars, num_outcomes: Scalars) -> None:
    """Check that the modes are one at least and no more than the outcomes."""
    known = not isinstance(num_outcomes, Tracer)
    interval = f"[1, {np.min(num_outcomes)}]" if known else "[1, inf)"
    checks.check_range(num_modes, "num_modes", interval, whole=True)


def _floats(*values: ArrayLike) -> tuple[Array, ...]:
    """Arrays of one floating dtype and one shape."""
    arrays = [jnp.asarray(value) for value in values]
    dtype = jnp.result_type(*values)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    return tuple(jnp.broadcast_arrays(*(array.astype(dtype) for array in arrays)))


def _per_distribution(logits: Logits, *values: ArrayLike) -> tuple[Array, ...]:
    """Logits and numbers broadcast against each other; the numbers get a last axis of length 1."""
    values = tuple(jnp.broadcast_arrays(*map(jnp.asarray, values)))
    theta, _ = simplex.per_distribution(logits, values[0])
    return theta, *(simplex.per_distribution(theta, value)[1] for value in values)


def _outcomes(like: Array) -> Array:
    """The index of every entry's outcome."""
    return jnp.broadcast_to(jnp.arange(like.shape[-1]), like.shape)


def _total(terms: Array) -> Array:
    return jnp.sum(terms, -1, keepdims=True)


def _below(theta: Array, chosen: Array) -> Array:
    """By how much each chosen logit is below the largest of them; 0 elsewhere."""
    top = jnp.max(jnp.where(chosen, theta, -jnp.inf), -1, keepdims=True)
    gap = jnp.where(chosen, top, 0) - jnp.where(chosen, theta, 0)
    return jnp.where(chosen, _within_range(gap), 0)


def _within_range(difference: Array) -> Array:
    """A difference of finite numbers that overflows is the largest number."""
    largest = jnp.finfo(difference.dtype).max
    return jnp.clip(difference, -largest, largest)


def _excess(temperature: Array) -> Array:
    """1/T - 1, exact near T = 1; -1 at T = inf."""
    T = jnp.where(temperature < jnp.inf, temperature, 1)
    return jnp.where(temperature < jnp.inf, (1 - T) / T, -1)


def _log1mexp(x: Array) -> Array:
    """log(1 - e^-x) for x > 0."""
    return jnp.where(x < 0.7, jnp.log(-jnp.expm1(-x)), jnp.log1p(-jnp.exp(-x)))


def _tiny(like: Array) -> Array:
    """A number that is nothing beside 1 and whose square is still normal."""
    return jnp.asarray(float(jnp.finfo(like.dtype).tiny) ** 0.45, like.dtype)
