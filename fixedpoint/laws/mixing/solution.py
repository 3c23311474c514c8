"""Mixing: refits to a mixture of real data and of very many own samples, in stable JAX.

a is the share of real data, T the temperature at which own samples are drawn, K the number of
outcomes, z by how much the leading ones lead.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- Uniform real data: models of two values ------------------------------------------------------


@checks.arguments(gap="(0, inf)", temperature="(0, 1)", num_top=">= 1", num_outcomes=">= 2")
def fraction(
    gap: Number, num_top: Number, num_outcomes: Number, temperature: Number
) -> Float[Array, "*batch"]:
    """Share of uniform real data at which a peaked model stays as it is (`mixing.fraction`).

        a = K p_K (1 − e^{−(1/T − 1) z})/(1 − e^{−z/T}),    p_K = 1/(m e^z + K − m)

    Args:
        gap: z > 0, by how much the logits of the leading outcomes exceed all others.
        num_top: m, how many lead; 1 ≤ m < K.
        num_outcomes: K ≥ 2.
        temperature: T in (0, 1).

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(fraction(jnp.log(4.0), 1, 2, 0.5)), 12)  # 2/(4 + 1) · 1/(1 + 1/4)
        0.32
    """
    z, m, K, T = simplex.scalars(gap, num_top, num_outcomes, temperature)
    return _fraction(z, *_sizes(m, K), T)


def _sizes(m: Array, K: Array) -> tuple[Array, Array]:
    """How many lead, and how many there are: finite in their dtype, and not all lead."""
    checks.check_range(K, "num_outcomes", "[2, inf)")
    checks.check_range(m / K, "num_top / num_outcomes", "(0, 1)")
    return m, K


def _fraction(z: Array, m: Array, K: Array, T: Array) -> Array:
    sharper = (1 - T) * _phi1(-(1 / T - 1) * z) / _phi1(-z / T)
    return K * jnp.exp(-z) / (m + (K - m) * jnp.exp(-z)) * sharper


@checks.arguments(gap="(0, inf)", temperature="(0, 1)", num_top=">= 1", num_outcomes=">= 2")
def approach(
    gap: Number, num_top: Number, num_outcomes: Number, temperature: Number
) -> Float[Array, "*batch"]:
    """Factor of a generation near a peaked fixed point (`mixing.approach`).

        v = (1 − a) P_T (1 − P_T)/(T P (1 − P))

    P is the probability of all m leading outcomes, P_T the one they are drawn with. Below 1 a model
    with one leader comes back; at 1 it meets its unstable twin, at `mixing.spinodal`.

    Args:
        gap: z > 0, by how much the logits of the leading outcomes exceed all others.
        num_top: m, how many lead; 1 ≤ m < K.
        num_outcomes: K ≥ 2.
        temperature: T in (0, 1).

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(approach(jnp.log(4.0), 1, 2, 0.5)), 12)  # 0.68 · 2 · (16/289)/(4/25)
        0.470588235294
    """
    z, m, K, T = simplex.scalars(gap, num_top, num_outcomes, temperature)
    m, K = _sizes(m, K)
    odds = (K - m) / m
    sharper = (1 + odds * jnp.exp(-z)) / (1 + odds * jnp.exp(-z / T))
    return _among(z, T) * sharper * jnp.exp(-(1 / T - 1) * z)


@checks.arguments(gap="(0, inf)", temperature="(0, 1)")
def stability(gap: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Factor by which two outcomes that lead together drift apart (`mixing.stability`).

        v = (1 − e^{−z})/(T (1 − e^{−z/T})) > 1

    Args:
        gap: z > 0, by how much the logits of the leading outcomes exceed all others.
        temperature: T in (0, 1).

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(stability(jnp.log(4.0), 0.5)), 12)  # 2 · (3/4)/(15/16)
        1.6
    """
    return _among(*simplex.scalars(gap, temperature))


def _among(z: Array, T: Array) -> Array:
    return _phi1(-z) / _phi1(-z / T)


def _phi1(x: Array) -> Array:
    """(e^x − 1)/x, without the difference of its parts where x is small."""
    small = jnp.abs(x) < 1
    far = jnp.where(small, 1, x)
    return jnp.where(small, 1 + x * special.phi2(jnp.where(small, x, 0)), jnp.expm1(far) / far)


# --- Uniform real data: where the peaked models appear --------------------------------------------


@checks.arguments(num_top=">= 1", num_outcomes=">= 2", temperature="(0, 1)")
def spinodal(num_top: Number, num_outcomes: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Share of uniform real data up to which a peaked model survives (`mixing.spinodal`).

        a_sp = max_z `mixing.fraction`,    at T = 1/2: K/(√m + √(K − m))²

    Args:
        num_top: m, how many outcomes lead; 1 ≤ m ≤ K/2. One that leads alone is the only stable
            kind.
        num_outcomes: K ≥ 2.
        temperature: T in (0, 1).

    Example:
        >>> round(float(spinodal(1, 10, 0.5)), 12)  # 10/(1 + 3)²
        0.625
    """
    m, K, T = simplex.scalars(num_top, num_outcomes, temperature)
    return _spinodal(*_sizes(m, K), T)


@jax.jit
def _spinodal(m: Array, K: Array, T: Array) -> Array:
    excess = (K - 2 * m) / m
    inner = excess > 0
    safe = jnp.where(inner, excess, 1)

    # What vanishes, over z²: with two terms of the exponential series taken off nothing cancels.
    def slope(z: Array) -> Array:
        hot = _odd(z / T) / T - safe * special.phi2(-z / T) / T
        return hot - _odd(z) + safe * special.phi2(-z)

    z = special.increasing_root(slope, jnp.log1p(safe) / (1 + 1 / T), jnp.log1p(safe))
    return jnp.where(inner, _fraction(z, m, K, T), 1 - T)


def _odd(x: Array) -> Array:
    """2 (sinh x − x)/x², the difference of `special.phi2` at x and −x."""
    small = jnp.abs(x) < 0.5
    y = jnp.where(small, x, 0)
    series = 2 * y * jnp.polyval(jnp.array(_SERIES[1::2][::-1], x.dtype), y**2)
    big = jnp.where(small, 1, x)
    return jnp.where(small, series, 2 * (jnp.sinh(big) - big) / big**2)


def _inverse_factorials(number: int) -> list[float]:
    values, value = [], 0.5
    for order in range(number):
        values.append(value)
        value /= order + 3
    return values


_SERIES = _inverse_factorials(16)
"""1/(k + 2)!: the coefficients of (e^x − 1 − x)/x²."""


@checks.arguments(num_outcomes=">= 2", temperature="(0, 1)")
def spinodal_asymptotic(num_outcomes: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Least share of own samples of a peaked model, large K (`mixing.spinodal_asymptotic`).

        1 − a_sp ≃ e^{h(T)}/K^{1 − T},    h(T) = −T log T − (1 − T) log(1 − T)

    Args:
        num_outcomes: K, large.
        temperature: T in (0, 1).

    Validity:
        Asymptotic for K → ∞ with one leader; at T = 1/2 too large by about 1/√K of itself.

    Example:
        >>> round(float(spinodal_asymptotic(10_000, 0.5)), 12)  # 2/√K
        0.02
    """
    K, T = simplex.scalars(num_outcomes, temperature)
    entropy = -T * jnp.log(T) - (1 - T) * jnp.log1p(-T)
    return jnp.exp(entropy - (1 - T) * jnp.log(K))


@checks.arguments(num_outcomes=">= 3", temperature="(0, 1)")
def maxwell(num_outcomes: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Share of uniform real data at which peaked and uniform model are level (`mixing.maxwell`).

    The two have the same `fixedpoint.potential`. Below this share isotropic noise prefers the
    peaked model, above it the uniform one; without noise both stay up to `mixing.spinodal`.

    Args:
        num_outcomes: K ≥ 3.
        temperature: T in (0, 1).

    Validity:
        Relative error below 1e-11 in float64 for T up to 0.95.

    Example:
        >>> round(float(maxwell(3, 0.5)), 5)  # the spinodal: 0.51472
        0.5131
    """
    K, T = simplex.scalars(num_outcomes, temperature)
    return _maxwell(checks.check_range(K, "num_outcomes", "[3, inf)"), T)


@jax.jit
def _maxwell(K: Array, T: Array) -> Array:
    one = jnp.ones_like(K)

    def level(z: Array) -> Array:
        a = _fraction(z, one, K, T)
        tempered, own = (_log_mean(y, K) for y in (z / T, z))
        return (1 - a) * T * tempered + a * z / K - own

    lead = jnp.log(K - 1)
    z = special.increasing_root(level, lead / (1 + 1 / T), lead)
    return _fraction(z, one, K, T)


def _log_mean(y: Array, K: Array) -> Array:
    """log((e^y + K − 1)/K), y > 0."""
    return jnp.where(y < 1, jnp.log1p(jnp.expm1(jnp.minimum(y, 1)) / K), 0) + jnp.where(
        y < 1, 0, y + jnp.log1p((K - 1) * jnp.exp(-y)) - jnp.log(K)
    )


@checks.arguments(fraction="[0, 0.5]")
def pitchfork(fraction: Number) -> Float[Array, "*batch"]:
    """Difference of two probabilities at rest, T = 1/2, uniform real data (`mixing.pitchfork`).

        p₁ − p₂ = √(1 − 2a)

    Args:
        fraction: a in [0, 1/2]; above it the two are equal.

    Example:
        >>> round(float(pitchfork(0.32)), 12)  # the model (4/5, 1/5)
        0.6
    """
    (a,) = simplex.scalars(fraction)
    return jnp.sqrt(1 - 2 * a)


# --- Any real data --------------------------------------------------------------------------------


@checks.arguments(gap_real="[0, inf)", temperature="(0, 1)")
def cusp(gap_real: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Share of real data above which a model that leans against them is let go (`mixing.cusp`).

        a = 1 − T cosh²(y/T)/cosh² y,    tanh y − (1 − a) tanh(y/T) + a tanh(g/2) = 0

    Args:
        gap_real: g ≥ 0, by how much the real data's logit of the other outcome is larger.
        temperature: T in (0, 1).

    Example:
        >>> float(cusp(0.0, 0.5))  # uniform real data: 1 − T
        0.5
    """
    return _cusp(*simplex.scalars(gap_real, temperature))


@jax.jit
def _cusp(g: Array, T: Array) -> Array:
    lean = jnp.tanh(g / 2)
    apart = lean > 0
    safe = jnp.where(apart, lean, 1)

    def against(y: Array) -> Array:
        own = _own(y, T)
        return own * jnp.tanh(y / T) - jnp.tanh(y) - (1 - own) * safe

    high = T * jnp.log(4 / T) / (2 * (1 - T))
    y = special.increasing_root(against, jnp.zeros_like(high), high)
    return jnp.where(apart, 1 - _own(y, T), 1 - T)


def _own(y: Array, T: Array) -> Array:
    """T cosh²(y/T)/cosh² y."""
    ratio = (1 + jnp.exp(-2 * y / T)) / (1 + jnp.exp(-2 * y))
    return T * (jnp.exp((1 / T - 1) * y) * ratio) ** 2


@checks.arguments(num_outcomes=">= 2", temperature="(0, 1)")
def guarantee(num_outcomes: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Share of real data that leaves one fixed point, whatever they are (`mixing.guarantee`).

        a* = 1 − e^{1/T − 1},    2 + (K − 2) e^{1/T} = (e^{1/T − 1}/T)(2 + (K − 2) e)

    At T = 1/2 it is √K/(√K + √2).

    Args:
        num_outcomes: K ≥ 2.
        temperature: T in (0, 1).

    Validity:
        A conjecture: that a smaller share does not do is proved, that this one does is a numerical
        search over models.

    Example:
        >>> float(guarantee(8, 0.5))  # √8/(√8 + √2)
        0.6666666666666667
    """
    K, T = simplex.scalars(num_outcomes, temperature)
    return _guarantee(checks.check_range(K, "num_outcomes", "[2, inf)"), T)


@jax.jit
def _guarantee(K: Array, T: Array) -> Array:
    # In v = e^{1/T − 1}, 1/L: the equation is e^{1/T}(1/T − 1)(K − 2) + 2 v/T = 2.
    def excess(v: Array) -> Array:
        power = jnp.exp(jnp.log(v) / (1 - T))  # e^{1/T}
        return (K - 2) * (1 / T - 1) * power + 2 * v / T - 2

    v = special.increasing_root(excess, jnp.zeros_like(T), T * jnp.ones_like(K))
    return 1 - v


@checks.arguments(fraction="(0, 1]")
def kl_bound(fraction: Number) -> Float[Array, "*batch"]:
    """Largest divergence of the real data from the model (`mixing.kl_bound`).

        D(q‖p_t) ≤ log(1/a)

    Args:
        fraction: a in (0, 1].

    Validity:
        For every temperature, generation t ≥ 1 and number of outcomes.

    Example:
        >>> round(float(kl_bound(0.5)), 12)  # log 2
        0.69314718056
    """
    (a,) = simplex.scalars(fraction)
    return 0 - jnp.log(a)


@checks.arguments(fraction="(0, 1]", temperature="(1, inf)")
def hot(
    logits_real: Logits, fraction: Number, temperature: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Model that rests above T = 1, with any real data (`mixing.hot`).

        p_i = (1 − a) p_i^{1/T}/C + a q_i,    Σ p_i = 1

    Args:
        logits_real: ψ, the logits of the real data.
        fraction: a in (0, 1].
        temperature: T > 1.

    Example:
        >>> import jax.numpy as jnp
        >>> hot(jnp.array([0.0, 0.0]), 0.3, 2.0)
        Array([0.5, 0.5], dtype=float64)
    """
    psi, a = simplex.per_distribution(logits_real, fraction)
    psi, T = simplex.per_distribution(psi, temperature)
    return _hot(simplex.probabilities(psi), a, T)


@jax.jit
def _hot(q: Array, a: Array, T: Array) -> Array:
    whole = a == 1  # then nothing is drawn, and C is anything
    share = jnp.where(whole, 0.5, a)
    own, least = (1 - share) * jnp.ones_like(q), share * q
    width = q.shape[-1]

    def at(scale: Array) -> Array:
        """The x of each outcome for a C, from the logarithm of x: concave, so Newton's is safe."""
        return special.increasing_root(
            lambda x: x - own * x ** (1 / T) / scale - least, least, jnp.ones_like(q)
        )

    def excess(log_scale: Array) -> Array:
        return 1 - jnp.sum(at(jnp.exp(log_scale)), -1, keepdims=True)

    shape = jnp.ones_like(q[..., :1]) * T
    high = (1 - 1 / T) * jnp.log(width) * jnp.ones_like(shape)
    scale = special.increasing_root(excess, jnp.zeros_like(high), high)
    p = at(jnp.exp(scale))
    p = p / p.sum(-1, keepdims=True)
    tempered = q ** (1 / T)
    drawn = tempered / tempered.sum(-1, keepdims=True)
    return jnp.where(whole, (1 - a) * drawn + a * q, p)
