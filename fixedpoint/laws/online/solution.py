"""Online: infinite samples, and a teacher that moves along with its student.

Closed forms in JAX.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special
from fixedpoint.potential import gradient

Logits = Real[ArrayLike, "*#batch num_outcomes"]
PerDistribution = Real[ArrayLike, "*#batch"]
Scalars = Real[ArrayLike, "*#shape"]


# The model as its own teacher ---------------------------------------------------------------------


@checks.arguments(temperature="(0, inf)")
def online_two_outcomes(
    gap: Scalars, temperature: Scalars, time: Scalars
) -> Float[Array, "*shape"]:
    r"""Logit gap of two outcomes of a model that is its own teacher (`online.online_two_outcomes`).

    T in {1/3, 1/2, 2, 3}: cosh(z/s) = 1 + W(m c₀ e^(m c₀ + (1/T - 1) t))/m, where
    s = max(1, T), m = max(T, 1/T) - 1, c₀ = cosh(z(0)/s) - 1, and W is Lambert's function.

    Args:
        gap: Logit gap z(0) = θ₁ - θ₂.
        temperature: Sampling temperature T: 1/3, 1/2, 2 or 3.
        time: Time t >= 0.

    Returns:
        The gap z(t), of the sign of `gap`.

    Raises:
        ValueError: If the temperature is another one (`online_chebyshev` has more) or the time is
            negative or infinite.

    Validity:
        Exact; relative error below 1e-12 in float64.

    Example:
        >>> z = online_two_outcomes(1.0, 0.5, 2.0)
        >>> grown = jnp.cosh(z) - 1 + jnp.log(jnp.cosh(z) - 1)  # grows at rate 1
        >>> print(f"{grown - (jnp.cosh(1.0) - 1 + jnp.log(jnp.cosh(1.0) - 1)):.9f}")
        2.000000000

    References:
        Derived here.
    """
    if not isinstance(temperature, Tracer):
        T = np.asarray(temperature, dtype=float)
        if not np.all(np.isclose(T[..., None], [1 / 3, 1 / 2, 2, 3], rtol=1e-6, atol=0).any(-1)):
            raise ValueError(
                "`temperature` must be 1/3, 1/2, 2 or 3 (others: `online_chebyshev`, or "
                f"`fixedpoint.flow`); got {temperature!r}."
            )
    z, T, t = _floats(gap, temperature, time)
    s, m = jnp.maximum(1, T), jnp.maximum(T, 1 / T) - 1
    u, change = z / (2 * s), (1 / T - 1) * t
    # Where m c₀ ≃ m e^(2|u|)/2 overflows, W adds the change to it: nothing, or nearly so.
    log_start = jnp.log(m / 2) + 2 * jnp.abs(u)
    far = log_start > float(np.log(jnp.finfo(z.dtype).max)) - 1
    added = jnp.maximum(change * jnp.exp(-jnp.where(far, log_start, 0)), -0.99)
    moved = jnp.sign(z) * 2 * s * (jnp.abs(u) + jnp.log1p(jnp.where(far, added, 0)) / 2)
    sinh = jnp.sinh(jnp.where(far, 1, u))
    start = m * 2 * sinh**2 + _tiny(z)
    now = special.lambertw_exp(jnp.log(start) + start + change)
    # Not √(now/start), whose slope has start² and, where nothing is left, 1/0.
    left = now > 0
    ratio = jnp.exp((jnp.log(jnp.where(left, now, 1)) - jnp.log(start)) / 2)
    return jnp.where(far, moved, 2 * s * jnp.arcsinh(sinh * jnp.where(left, ratio, 0)))


@checks.arguments(order="")
def online_chebyshev(gap: Scalars, gap_initial: Scalars, order: int) -> Float[Array, "*shape"]:
    r"""Time in which the gap of two outcomes goes from one value to another.

    `online.online_chebyshev`: at T = (κ - 1)/(κ + 1), κ = ±2, ±3, …, with w = (1/T - 1) z/2,

        (1/T - 1) t = [log sinh w + ∫ cosh(κw)/sinh w dw], a finite sum of hyperbolic cosines,

    taken between the two gaps: Chebyshev polynomials in cosh w (κ even) or cosh 2w (κ odd).

    Args:
        gap: The gap z(t) that is reached, of the sign of `gap_initial` and not 0.
        gap_initial: The gap z(0), not 0.
        order: κ, a whole number other than -1, 0 and 1; T = 1/3, 1/2, 3/5, 2/3, … for
            κ = 2, 3, 4, 5, … and their inverses for κ = -2, -3, …

    Returns:
        The time t from `gap_initial` to `gap`; negative if that lies in the past.

    Raises:
        ValueError: If |κ| < 2 or κ is no whole number.

    Validity:
        Exact; relative error below 1e-12 in float64 of the largest term
        (`fixedpoint verify online.online_chebyshev`).

    Example:
        >>> z = online_two_outcomes(1.0, 0.5, 2.0)
        >>> print(f"{online_chebyshev(z, 1.0, order=3):.9f}")
        2.000000000

    References:
        Derived here.
    """
    size = abs(checks.check_count(order, "order", minimum=-(2**31)))
    if size < 2:
        raise ValueError(f"`order` must not be -1, 0 or 1; got {order}.")
    traced = isinstance(gap, Tracer) or isinstance(gap_initial, Tracer)
    if not traced and np.any(np.sign(gap) * np.sign(gap_initial) <= 0):
        raise ValueError(
            f"`gap` must have the sign of `gap_initial`, not 0; got {gap} and {gap_initial}."
        )
    z, start = _floats(gap, gap_initial)
    w, w0 = z / (order - 1), start / (order - 1)
    half = 1 if size % 2 else 2  # the argument of the logarithm is 2 sinh²(w/half)
    total = 2 * jnp.log(jnp.sinh(w / half) / jnp.sinh(w0 / half))
    for j in range(size - 1, 0, -2):
        total += 4 / j * jnp.sinh(j * (w + w0) / 2) * jnp.sinh(j * (w - w0) / 2)
    return (order - 1) / 2 * total


@checks.arguments(gap="(0, inf)", gap_initial="(0, inf)", num_outcomes=">= 2")
def online_block(
    gap: Scalars, gap_initial: Scalars, num_outcomes: Scalars, num_modes: Scalars = 1
) -> Float[Array, "*shape"]:
    r"""Time in which m tied leaders leave K - m tied others, T = 1/2 (`online.online_block`).

    With U = e^gap and r = (K - m)/m, taken between the two gaps,
    (K/m²) t = (1+r)² log(1 - 1/U) + (1+r) log U + r²/U + U.

    Args:
        gap: The gap that is reached, positive.
        gap_initial: The gap at time 0, positive.
        num_outcomes: Number of outcomes K.
        num_modes: Number of leaders m < K.

    Returns:
        The time from `gap_initial` to `gap`.

    Raises:
        ValueError: If a gap is not positive.

    Validity:
        Exact; relative error below 1e-12 in float64 of the largest term, e^gap below 1e308
        (`fixedpoint verify online.online_block`).

    Example:
        >>> z = online_two_outcomes(1.0, 0.5, 2.0)
        >>> print(f"{online_block(z, 1.0, num_outcomes=2):.9f}")
        2.000000000

    References:
        Derived here.
    """
    _check_modes(num_modes, num_outcomes)
    z, start, K, m = _floats(gap, gap_initial, num_outcomes, num_modes)
    r = (K - m) / m

    def coordinate(z: Array) -> Array:
        tail = (1 + r) ** 2 * _log_remainder(z) + (1 + 2 * r) * jnp.exp(-z)
        return (1 + r) * z + jnp.exp(z) - tail

    return m**2 / K * (coordinate(z) - coordinate(start))


@checks.arguments(temperature="(0, inf)")
def duality(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Where flow at T for t, then at 1/T for t/T on the logits over T, leads (`online.duality`).

    T φ(t/T) = θ(0), where φ obeys the flow at 1/T from φ(0) = θ(t)/T: hot self-training is cold
    self-training run backwards, in logits divided by T.

    Args:
        logits: The model θ(0).
        temperature: Temperature T of the first flow, in (0, inf).
        time: Its duration t >= 0; the second one takes t/T.

    Returns:
        T φ(t/T): the initial logits, broadcast with the other arguments.

    Raises:
        ValueError: If the temperature is not positive and finite, or the time is negative.

    Validity:
        Exact for every K.

    Example:
        >>> print(duality(jnp.array([1.0, 0.0, -1.0]), 2.0, 3.0))
        [ 1.  0. -1.]

    References:
        Derived here.
    """
    return _per_distribution(checks.check_logits(logits), temperature, time)[0]


@checks.arguments(time="(0, inf)")
def collapse_tail(
    num_outcomes: Scalars, time: Scalars, num_modes: Scalars = 1
) -> Float[Array, "*shape"]:
    r"""Probability outside the modes at late times, T < 1 (`online.collapse_tail`).

    1 - P(modes) ≃ m(K - m)/(K t), whatever T < 1.

    Args:
        num_outcomes: Number of outcomes K.
        time: Time t > 0.
        num_modes: Number of tied modes m.

    Returns:
        The leading term of the probability outside the modes.

    Raises:
        ValueError: If the time is not positive.

    Validity:
        Asymptotic. For 1/2 < T < 1 the relative correction is p^(1/T-1)/(2-1/T), p being the
        probability of one loser: for T >= 0.8 the constant is not seen in practice. At T <= 1/2 it
        is of the order of p log(1/p).

    Example:
        >>> print(collapse_tail(3, 1000.0))  # 2/3000
        0.0006666666666666666

    References:
        Derived here. The 1/t rate is that of softmax policy gradient: J. Mei et al., On the global
        convergence rates of softmax policy gradient methods, arXiv:2005.06392.
    """
    _check_modes(num_modes, num_outcomes)
    K, t, m = _floats(num_outcomes, time, num_modes)
    return m * (K - m) / (K * t)


@checks.arguments()
def losers_equalise(num_outcomes: Scalars, num_modes: Scalars = 1) -> Float[Array, "*shape"]:
    r"""Exponent with which losing outcomes become equal, T < 1 (`online.losers_equalise`).

    The difference of the logits of two losers falls as t^(-m/K); under a refit it grows as T⁻ⁿ.

    Args:
        num_outcomes: Number of outcomes K.
        num_modes: Number of tied modes m < K.

    Returns:
        The exponent m/K.

    Validity:
        Asymptotic, late times; for large K it is never reached.

    Example:
        >>> print(losers_equalise(4))
        0.25

    References:
        Derived here.
    """
    _check_modes(num_modes, num_outcomes)
    K, m = _floats(num_outcomes, num_modes)
    return m / K


@checks.arguments(temperature="(0, inf]")
def uniform_rate(temperature: Scalars, num_outcomes: Scalars) -> Float[Array, "*shape"]:
    r"""Rate at which small logits of a model that teaches itself decay (`online.uniform_rate`).

    (1 - 1/T)/K: logits near 0 go as e^(-rate t); T > 1 is driven to the uniform distribution, T < 1
    away from it.

    Args:
        temperature: Sampling temperature T > 0; may be inf.
        num_outcomes: Number of outcomes K.

    Returns:
        The rate; negative for T < 1.

    Raises:
        ValueError: If the temperature is not positive.

    Validity:
        Exact for infinitesimal logits, the same in every direction; the rate of the final approach
        from everywhere if T > 1.

    Example:
        >>> print(uniform_rate(2.0, 5))
        0.1

    References:
        Derived here.
    """
    T, K = _floats(temperature, num_outcomes)
    return -_excess(T) / K


@checks.arguments(temperature="(0, inf]", num_top=">= 1")
def majorisation(
    logits: Logits, temperature: PerDistribution, num_top: PerDistribution
) -> Float[Array, "*out"]:
    r"""Lower bound on how fast the m most probable outcomes gain, T < 1 (`online.majorisation`).

    Their mass P obeys dP/dt >= P(1 - P)(M/C - 1)(x̄ - ȳ) >= 0, where M = E[p^(β-1)] over the top m,
    C = E[p^(β-1)] over all, and x̄, ȳ = E[p] over the top m and over the rest (expectations under
    p): p(t) majorises p(s) for t > s, so that every Rényi entropy falls. For T > 1 both signs
    turn: the value is at most 0 and an upper bound.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T > 0.
        num_top: m, from 1 to K - 1; among ties the first come first.

    Returns:
        The bound on dP/dt.

    Raises:
        ValueError: If the temperature is not positive.

    Validity:
        A bound for every K and all logits; an equality where p takes one value among the top m and
        one among the rest, and in the limit T → 1.

    Example:
        >>> theta = jnp.log(jnp.array([0.5, 0.3, 0.2]))
        >>> print(f"{majorisation(theta, 0.5, 1):.6f}")  # .25 (.5/.38 - 1) (.5 - .26)
        0.018947

    References:
        Derived here; the order itself: A. W. Marshall, I. Olkin, B. C. Arnold, Inequalities (2011),
        chapter 5.
    """
    checks.check_range(num_top, "num_top", f"[1, {jnp.shape(logits)[-1]})", whole=True)
    theta, T, m = _per_distribution(logits, temperature, num_top)
    p = -jnp.sort(-simplex.probabilities(theta), -1)
    top = _outcomes(p) < m
    log_ratio = jnp.log(jnp.where(p > 0, p, 1) / p[..., :1])
    power = jnp.where(p > 0, jnp.expm1(_excess(T) * log_ratio), -1)  # (p/p_max)^(β-1) - 1

    def mean(values: Array, chosen: Array) -> Array:
        weights = jnp.where(chosen, p, 0)
        mass = _total(weights)
        return _total(weights * values) / jnp.where(mass > 0, mass, 1)

    mass, rest = _total(jnp.where(top, p, 0)), _total(jnp.where(top, 0, p))
    # M/C - 1 = (1 - P)(M - M_rest)/C loses no digits near T = 1.
    lead = rest * (mean(power, top) - mean(power, ~top)) / _total(p * (1 + power))
    return (mass * rest * lead * (mean(p, top) - mean(p, ~top)))[..., 0]


@checks.arguments(gap="(0, inf)", num_outcomes=">= 2")
def blow_up(gap: Scalars, num_outcomes: Scalars) -> Float[Array, "*shape"]:
    r"""When one leader among many equal outcomes takes over, T = 1/2 (`online.blow_up`).

    t* ≃ K [-log(1 - 1/U) - 1/U], U = e^gap: until then next to nothing happens.

    Args:
        gap: Logit gap between the leader and the others at time 0, positive.
        num_outcomes: Number of outcomes K.

    Returns:
        The leading term of the time at which the leader has half the probability.

    Raises:
        ValueError: If the gap is not positive.

    Validity:
        Asymptotic for many outcomes, with an error of log K + O(1); `online_block` is exact.

    Example:
        >>> print(f"{blow_up(1.0, 50_000):.0f}")
        4540

    References:
        Derived here.
    """
    z, K = _floats(gap, num_outcomes)
    return K * _log_remainder(z)


@checks.arguments(temperature="(0, inf]")
def mixture_online(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Log-probabilities under mixture flow as one's own teacher (`online.mixture_online`).

    dp/dt = p_T - p is solved by pᵢ(t) = e^(-t) [pᵢ(0)^(1-β) + (1-β) σ]^(1/(1-β)), β = 1/T, where
    σ(t) is fixed by Σ p = 1: all outcomes move equally in one deformed logarithm.

    Args:
        logits: The model θ at time 0; -inf marks a lost outcome.
        temperature: Sampling temperature T in (0, inf].
        time: Time t >= 0.

    Returns:
        log p(t).

    Raises:
        ValueError: If the temperature is not positive, or the time is negative or infinite.

    Validity:
        Exact for every K; absolute error below 1e-12 in float64, also for T → 1
        (`fixedpoint verify online.mixture_online`).

    Example:
        >>> p = jnp.exp(mixture_online(jnp.log(jnp.array([0.64, 0.36])), 2.0, jnp.log(1.5)))
        >>> s = (-1.4 + jnp.sqrt(1.96 + 2 * 0.5)) / 2  # T = 2: √p(t) = e^(-t/2) (√p(0) + s)
        >>> print(p.round(9), ((jnp.array([0.8, 0.6]) + s) ** 2 / 1.5).round(9))
        [0.61469767 0.38530233] [0.61469767 0.38530233]

    References:
        Derived here; replicators of this kind: E. Szathmáry, J. Maynard Smith, J. theor. Biol. 187
        (1997) 555.
    """
    theta, T, t = _per_distribution(checks.check_logits(logits), temperature, time)
    return _mixed_with_itself(theta, T, t)


@jax.jit
def _mixed_with_itself(theta: Array, T: Array, t: Array) -> Array:
    alive = theta > -jnp.inf
    log_p = simplex.log_probabilities(theta)
    power = _excess(T)
    power = jnp.where(jnp.abs(power) > 1e-30, power, 1e-30)  # the limit T → 1: nothing moves
    top = jnp.max(log_p, -1, keepdims=True)
    below = _below(theta, alive)
    # Far below the mode, T > 1, the two large terms of log p(0) - bracket/(β - 1) are log p of the
    # mode, and what is left is log(c + (1 - c) e^(-(1-β) below)) with c = 1 - e^(-(1-β)(gain + t)).
    far = -power * below > 1
    scale = -jnp.expm1(-power * jnp.where(far, 0, below))
    start = jnp.where(alive & ~far, log_p, 0)

    def moved(gain: Array) -> Array:
        # gain = change of the mode's log p; the mode's bracket is e^((1-β)(gain + t)) p(0)^(1-β).
        elapsed = power * (t + gain)
        near = start + gain - special.log1p_expm1(scale, elapsed) / power
        reached = jnp.where(far & (elapsed < 0), elapsed, -1)
        kept = jnp.where(far, power * below, 0)
        log_sum = jnp.logaddexp(_log1mexp(-reached), reached + kept)
        log_sum = jnp.where(elapsed < 0, log_sum, kept)
        return jnp.where(alive, jnp.where(far, top + gain - log_sum / power, near), -jnp.inf)

    count = jnp.sum(alive, -1, keepdims=True, dtype=theta.dtype)
    low, high = jnp.broadcast_arrays(jnp.maximum(-top - jnp.log(count), -t), -top)
    gain = special.increasing_root(
        lambda gain: jax.nn.logsumexp(moved(gain), -1, keepdims=True), low, high
    )
    return moved(gain)


@checks.arguments(temperature="(0, inf]")
def natural(
    logits: Logits, temperature: PerDistribution, time: PerDistribution
) -> Float[Array, "*out num_outcomes"]:
    r"""Logits under natural gradient flow of KL(p ‖ p_T), one's own teacher (`online.natural`).

    θ(t) = θ(0) e^((1/T - 1) t), an exponential geodesic: tempering in continuous time.

    Args:
        logits: The model θ at time 0.
        temperature: Sampling temperature T in (0, inf].
        time: Time t >= 0.

    Returns:
        Centred logits at time t.

    Raises:
        ValueError: If the temperature is not positive or the time is negative.

    Validity:
        Exact. A teacher frozen at time 0 leads to θ(0) [1/T + (1 - 1/T) e^(-t)] instead.

    Example:
        >>> print(natural(jnp.array([1.0, -1.0]), 0.5, jnp.log(3.0)))
        [ 3. -3.]

    References:
        Natural gradient: S. Amari, Neural Computation 10 (1998) 251.
    """
    theta, T, t = _per_distribution(checks.check_logits(logits), temperature, time)
    alive, largest = theta > -jnp.inf, jnp.finfo(theta.dtype).max
    # What overflows is the largest number: 0 times it stays 0, and no outcome is lost.
    factor = jnp.minimum(jnp.exp(_excess(T) * t), largest)
    moved = simplex.centre(theta) * jnp.where(alive, factor, 1)
    return jnp.where(alive, jnp.clip(moved, -largest, largest), -jnp.inf)


@checks.arguments(temperature="(0, 1)", time="(0, inf)", num_outcomes=">= 2")
def reverse_kl_tail(
    num_outcomes: Scalars, temperature: Scalars, time: Scalars
) -> Float[Array, "*shape"]:
    r"""Probability outside the mode under gradient flow of KL(p ‖ p_T) (`online.reverse_kl_tail`).

    One's own teacher, T < 1, plain gradient in the logits: 1 - p_mode ≃ (K - 1)/(K s z), where
    s = (1/T - 1) t and z - log z = log(K s): slower than 1/t by a logarithm, z ~ log t.

    Args:
        num_outcomes: Number of outcomes K.
        temperature: Sampling temperature T < 1.
        time: Time t, late: K s > e.

    Returns:
        The leading term of the probability outside the mode; NaN before K s = e.

    Raises:
        ValueError: If the temperature is not between 0 and 1 or the time is not positive.

    Validity:
        Asymptotic, with a relative correction of 1/z: 6% at s = 1e6.

    Example:
        >>> tail = reverse_kl_tail(2, 0.5, 1e6)
        >>> z = 1 / (2e6 * tail)
        >>> print(f"{z:.3f} {jnp.exp(z) / z / 2e6:.3f}")
        17.363 1.000

    References:
        Derived here.
    """
    K, T, t = _floats(num_outcomes, temperature, time)
    rate = K * _excess(T) * t
    return jnp.where(rate > jnp.e, _late_reverse_kl(K, jnp.maximum(rate, jnp.e)), jnp.nan)


@jax.jit
def _late_reverse_kl(K: Array, rate: Array) -> Array:
    # For z >= 1, z <= 2 log(rate) + 2 bounds the root of z - log z = log(rate).
    z = special.increasing_root(
        lambda z: z - jnp.log(z) - jnp.log(rate), jnp.ones_like(rate), 2 + 2 * jnp.log(rate)
    )
    return (K - 1) / (rate * z)


# One potential ------------------------------------------------------------------------------------


@checks.arguments(temperature="(0, inf)", natural="[0, 1]")
def potential(
    logits: Logits,
    temperature: PerDistribution,
    logits_real: Logits,
    fraction: PerDistribution,
    natural: PerDistribution,
) -> Float[Array, "*out"]:
    r"""Rate at which the potential Φ grows, Euclidean or natural flow (`online.potential`).

    dΦ/dt = Σ gᵢ²/pᵢ^ν, g = s p_T + a q - p, is never negative: ν = 0 for the logits following
    dθ/dt = g (online flow, ∇Φ itself), ν = 1 for the probabilities following dp/dt = g (mixture
    flow, the natural gradient of Φ). A refit and the flow to a frozen teacher raise Φ as well.

    Args:
        logits: The model θ.
        temperature: Sampling temperature T > 0.
        logits_real: Logits of the real data's distribution q.
        fraction: Fraction a of real data; s = 1 - a.
        natural: ν, 0 (Euclidean) or 1 (natural).

    Returns:
        dΦ/dt.

    Raises:
        ValueError: If the temperature is negative or the fraction outside [0, 1].

    Validity:
        Exact; the error is that of the difference of two probabilities.

    Example:
        >>> theta = jnp.log(jnp.array([0.75, 0.25]))
        >>> print(f"{potential(theta, 0.5, theta, 0.0, 0):.6f}")  # 2 · (0.9 - 0.75)²
        0.045000

    References:
        Each ingredient is classical: A. L. Yuille, A. Rangarajan, The concave-convex procedure,
        Neural Computation 15 (2003) 915; D. R. Hunter, K. Lange, A tutorial on MM algorithms, Am.
        Stat. 58 (2004) 30.
    """
    checks.check_range(natural, "natural", "[0, 1]", whole=True)
    theta, T, a, nu = _per_distribution(logits, temperature, fraction, natural)
    real = jnp.broadcast_to(simplex.probabilities(logits_real), theta.shape)
    slope = gradient(theta, T[..., 0], real, a[..., 0])
    p = simplex.probabilities(theta)
    safe = jnp.where(p > 0, p, 1)
    return jnp.sum(slope * slope / safe**nu, -1)


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


def _log_remainder(z: Array) -> Array:
    """-log(1 - e^-z) - e^-z for z > 0: Σ e^(-nz)/n over n >= 2."""
    x = jnp.exp(-z)
    series = x * jnp.polyval(jnp.asarray([1 / n for n in range(17, 1, -1)], x.dtype), x) * x
    return jnp.where(x < 0.1, series, -_log1mexp(z) - x)


def _tiny(like: Array) -> Array:
    """A number that is nothing beside 1 and whose square is still normal."""
    return jnp.asarray(float(jnp.finfo(like.dtype).tiny) ** 0.45, like.dtype)
