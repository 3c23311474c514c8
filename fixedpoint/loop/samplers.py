"""Samplers: from the model's distribution to the one that is drawn from.

A sampler is a function of logits that returns logits. Samplers compose in the order given:
`Loop(sampler=(Temperature(0.8), TopK(50)))` tempers, then truncates. What a sampler removes gets
the logit `-inf` and is never drawn.
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


class Sampler(eqx.Module):
    """What every sampler is: a map from logits to logits along the last axis."""

    @abc.abstractmethod
    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """The logits that are drawn from."""


class Temperature(Sampler):
    """Draws from softmax(θ/T).

    Args:
        temperature: T, 0 ≤ T ≤ ∞. At T = 0 the draws come from the modes, with equal
            probability; at T = ∞ from every outcome that is not lost, with equal probability.

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
        return simplex.temper(logits, self.temperature)


class TopK(Sampler):
    """Keeps the k most probable outcomes.

    Args:
        k: How many outcomes to keep, k ≥ 1. Among equals the lowest index is kept, so that
            exactly k outcomes remain (all of them if there are no more than k).

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
        _, kept = jax.lax.top_k(logits, self.k)
        mask = jnp.put_along_axis(jnp.zeros(logits.shape, bool), kept, True, -1, inplace=False)
        return jnp.where(mask, logits, -jnp.inf)


class Nucleus(Sampler):
    """Keeps the smallest set of most probable outcomes whose probability reaches `mass`.

    Args:
        mass: The cumulative probability to reach, 0 ≤ mass ≤ 1. The most probable outcome is
            always kept; mass = 1 keeps everything. Among equals the lowest index comes first.

    Raises:
        ValueError: If `mass` is not in [0, 1].

    Validity:
        As exact as a cumulative sum of floats: where the probabilities of a prefix add up to
        `mass` exactly, rounding decides whether one more outcome is kept. For ten equal outcomes
        and mass = 0.3, the sum of three floats may fall on either side of the float 0.3.
        `mass` = 1 is safe: it keeps everything, whatever the rounding.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> logits = fp.Nucleus(0.7)(jnp.log(jnp.array([0.1, 0.5, 0.15, 0.25])))
        >>> jnp.isfinite(logits)  # 0.5 + 0.25 reaches 0.7
        Array([False,  True, False,  True], dtype=bool)

    References:
        Holtzman, Buys, Du, Forbes & Choi (2020), The curious case of neural text degeneration,
        eq. 2.
    """

    mass: Array = eqx.field(converter=number(checks.check_fraction, "mass"))

    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """θ on the nucleus, -inf elsewhere."""
        order = jnp.argsort(-logits, axis=-1, stable=True)
        ranked = simplex.probabilities(jnp.take_along_axis(logits, order, -1))
        before = jnp.cumsum(ranked, -1) - ranked  # the mass of all that is more probable
        kept = (before < self.mass) | (self.mass >= 1)
        kept = kept.at[..., 0].set(True)
        mask = jnp.put_along_axis(jnp.zeros(logits.shape, bool), order, kept, -1, inplace=False)
        return jnp.where(mask, logits, -jnp.inf)


class MinP(Sampler):
    """Keeps the outcomes with p ≥ ratio · p_max.

    Args:
        ratio: The smallest probability kept, relative to the mode's, 0 ≤ ratio ≤ 1. At 0
            everything is kept, at 1 the modes alone.

    Raises:
        ValueError: If `ratio` is not in [0, 1].

    Validity:
        Compared as logits, θ ≥ max θ + log(ratio): no normalisation, no underflow.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> logits = fp.MinP(0.4)(jnp.log(jnp.array([0.1, 0.6, 0.3])))
        >>> jnp.isfinite(logits)  # 0.3 >= 0.4 * 0.6 > 0.1
        Array([False,  True,  True], dtype=bool)

    References:
        Nguyen et al. (2024), Turning up the heat: min-p sampling for creative and coherent LLM
        outputs.
    """

    ratio: Array = eqx.field(converter=number(checks.check_fraction, "ratio"))

    def __call__(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """θ where p ≥ ratio · p_max, -inf elsewhere."""
        threshold = jnp.max(logits, -1, keepdims=True) + jnp.log(self.ratio)
        return jnp.where(logits >= jax.lax.stop_gradient(threshold), logits, -jnp.inf)
