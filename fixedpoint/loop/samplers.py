"""Samplers: from the model's distribution to the one that is drawn from.

A sampler is a function of logits that returns logits. Samplers compose in the order given:
`Loop(sampler=(Temperature(0.8), TopK(50)))` tempers, then truncates. What a sampler removes gets
the logit `-inf` and is never drawn.

**Borders.** A sampler that cuts compares computed numbers: the logarithm of a share 3/10 is
rounded, and so are sums of shares. What agrees to a few units in the last place is equal
(`simplex.rounding`), so that no rounding decides, and all that run a loop (the engines of `run`,
the exact chain) cut alike:

| sampler | keeps | on the border |
|---|---|---|
| `Temperature(0)` | the modes | logits that agree to rounding are all modes |
| `TopK(k)` | the k largest logits | among equals the lowest index |
| `Nucleus(P)` | the fewest whose mass is ≥ P | P reached exactly is enough; the lowest index |
| `MinP(r)` | every p ≥ r · p_max | p = r · p_max stays |

Shares that are whole counts of n samples are cut as exact fractions would be, and a parameter such
as 0.1 as the fraction that it stands for. Different fractions are too far apart to be taken for
equal: a sum of shares misses a mass a/b by 1/(bn) at least, a count misses the ratio a/b by 1/(an)
of itself, and rounding reaches neither while bn and an are below some 10¹³ (10⁵ in float32).
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import checks, simplex
from fixedpoint.loop.parts import Part
from fixedpoint.simplex import rounding


def number(check: Callable[..., Any], name: str) -> Callable[[ArrayLike], Array]:
    """A module's numerical parameter: checked, then held as an array.

    As an array it is a leaf of the pytree: `jax.vmap` and `jax.grad` reach it, and another value
    of it needs no other compilation.

    Args:
        check: The check of `fixedpoint.checks` that the value must pass.
        name: The parameter's name, for the message.

    Returns:
        The converter for `equinox.field`.
    """

    def convert(value: ArrayLike) -> Array:
        check(value, name)
        return floating(value)

    return convert


def floating(value: ArrayLike) -> Array:
    """The value as an array of floats; integers and booleans become the default float."""
    array = jnp.asarray(float(value) if isinstance(value, int) else value)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def _highest(
    logits: Float[Array, "*batch outcomes"], level: Float[Array, "*batch 1"], number: ArrayLike
) -> Float[Array, "*batch outcomes"]:
    """θ on that many of the largest, -inf elsewhere, given the level of the last that is kept.

    All above the level, and of those on it (to rounding) as many as are wanted, the first ones.
    """
    above = logits > level + rounding(level)
    equal = (logits >= level - rounding(level)) & ~above
    left = number - jnp.sum(above, -1, keepdims=True)
    kept = above | (equal & (jnp.cumsum(equal, -1) <= left))
    return jnp.where(kept, logits, -jnp.inf)


class Sampler(Part):
    """What every sampler is: a map from logits to logits along the last axis."""

    @abc.abstractmethod
    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """The logits that are drawn from."""


class Temperature(Sampler):
    """Draws from softmax(θ/T).

    Args:
        temperature: T, 0 ≤ T ≤ ∞. At T = 0 the draws come from the modes, all whose logits agree
            with the largest to rounding, with equal probability; at T = ∞ from every outcome that
            is not lost, with equal probability.

    Raises:
        ValueError: If `temperature` is negative or not a number.

    Validity:
        Exact for every T, also when T is a tracer (`tests/loop/test_samplers.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> logits = fp.Temperature(0.5)(jnp.log(jnp.array([0.25, 0.75])))
        >>> fp.simplex.probabilities(logits)  # 1 : 9
        Array([0.1, 0.9], dtype=float64)
    """

    temperature: Array = eqx.field(converter=number(checks.check_temperature, "temperature"))

    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """θ/T."""
        theta, temperature = simplex.per_distribution(logits, self.temperature)
        top = jax.lax.stop_gradient(jnp.max(theta, -1, keepdims=True))
        # Above 0 a gap that may be rounding is still a gap: it makes no difference until T is tiny.
        tied = (temperature == 0) & (theta >= top - rounding(top))
        return simplex.temper(jnp.where(tied, top, theta), temperature[..., 0])


class TopK(Sampler):
    """Keeps the k most probable outcomes.

    Args:
        k: How many outcomes to keep, k ≥ 1. Among equals (to rounding) the lowest index is kept,
            so that exactly k outcomes remain (all of them if there are no more than k).

    Raises:
        ValueError: If `k` is not a positive integer.

    Validity:
        Exact (`tests/loop/test_samplers.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> fp.TopK(2)(jnp.array([1.0, 3.0, 2.0, 2.0]))
        Array([-inf,   3.,   2., -inf], dtype=float64)

    References:
        Fan, Lewis & Dauphin (2018), Hierarchical neural story generation, section 5.4.
    """

    k: int = eqx.field(static=True, converter=lambda value: checks.check_count(value, "k"))

    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """θ on the k largest, -inf elsewhere."""
        if self.k >= logits.shape[-1]:
            return logits
        level = jax.lax.top_k(jax.lax.stop_gradient(logits), self.k)[0][..., -1:]
        return _highest(logits, level, self.k)


class Nucleus(Sampler):
    """Keeps the fewest outcomes whose probability together is at least `mass`.

    Args:
        mass: P, 0 ≤ P ≤ 1. The most probable outcome is always kept; P = 1 keeps everything.
            Where the most probable m have exactly P together, they are kept and no more. Among
            equals (to rounding) the lowest index comes first.

    Raises:
        ValueError: If `mass` is not in [0, 1].

    Validity:
        Exact for whole counts: `Nucleus(0.3)` keeps three of ten equal outcomes. What is left out
        is compared with 1 − P for P ≥ 1/2, so that masses near 1 are told apart to their own
        rounding (`tests/loop/test_samplers.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> logits = fp.Nucleus(0.75)(jnp.log(jnp.array([0.1, 0.5, 0.15, 0.25])))
        >>> jnp.isfinite(logits)  # 0.5 + 0.25 reaches 0.75
        Array([False,  True, False,  True], dtype=bool)

    References:
        Holtzman, Buys, Du, Forbes & Choi (2020), The curious case of neural text degeneration,
        eq. 2.
    """

    mass: Array = eqx.field(converter=number(checks.check_fraction, "mass"))

    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """θ on the nucleus, -inf elsewhere."""
        theta, mass = simplex.per_distribution(logits, self.mass)
        ranked = -jnp.sort(-jax.lax.stop_gradient(theta), axis=-1)
        p = simplex.probabilities(ranked)
        error = simplex.mass_rounding(ranked)[..., None]
        below = jax.lax.cumsum(p, p.ndim - 1, reverse=True) - p
        short = jnp.where(
            mass < 0.5,
            jnp.cumsum(p, -1) < mass * (1 - error),
            below > (1 - mass) * (1 + error) + jnp.finfo(p.dtype).eps,
        )
        last = jnp.minimum(jnp.sum(short, -1, keepdims=True), p.shape[-1] - 1)
        kept = _highest(theta, jnp.take_along_axis(ranked, last, -1), last + 1)
        return jnp.where(mass < 1, kept, theta)


class MinP(Sampler):
    """Keeps the outcomes with p ≥ ratio · p_max.

    Args:
        ratio: The smallest probability kept, relative to the mode's, 0 ≤ ratio ≤ 1: where
            p = ratio · p_max (to rounding) the outcome stays. At 0 everything is kept, at 1 the
            modes alone.

    Raises:
        ValueError: If `ratio` is not in [0, 1].

    Validity:
        Compared as logits, θ ≥ max θ + log(ratio): no normalisation, no underflow. Exact for whole
        counts: `MinP(0.1)` keeps one sample where the mode has ten
        (`tests/loop/test_samplers.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> logits = fp.MinP(0.5)(jnp.log(jnp.array([0.1, 0.6, 0.3])))
        >>> jnp.isfinite(logits)  # 0.3 = 0.5 * 0.6 > 0.1
        Array([False,  True,  True], dtype=bool)

    References:
        Nguyen et al. (2024), Turning up the heat: min-p sampling for creative and coherent LLM
        outputs.
    """

    ratio: Array = eqx.field(converter=number(checks.check_fraction, "ratio"))

    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """θ where p ≥ ratio · p_max, -inf elsewhere."""
        theta, ratio = simplex.per_distribution(logits, self.ratio)
        top, depth = jax.lax.stop_gradient((jnp.max(theta, -1, keepdims=True), jnp.log(ratio)))
        # A ratio other than 1 has a rounding of its own.
        error = rounding(top) + jnp.where(depth < 0, rounding(1 + jnp.abs(depth)), 0)
        return jnp.where(theta >= top + depth - error, theta, -jnp.inf)
