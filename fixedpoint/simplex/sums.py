"""Logits of one batch and one dtype, and their sums of terms of one sign."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Bool, Float, Real

from fixedpoint import checks

Logits = Real[ArrayLike, "*#batch num_outcomes"]
"""Logits, the last axis over the outcomes; leading axes broadcast."""

OtherLogits = Real[ArrayLike, "*#other_batch num_others"]
"""Logits over the same outcomes, of a batch that broadcasts with the one of `Logits`."""

PerDistribution = Real[ArrayLike, "*#batch"]
"""A number, or one for every distribution of a batch."""


def per_distribution(logits: Logits, *values: PerDistribution) -> tuple[Float[Array, "..."], ...]:
    """Broadcast logits against parameters that are numbers, or one for every distribution.

    Args:
        logits: Logits of shape ``(*batch, num_outcomes)``.
        *values: Numbers, or arrays whose shapes broadcast with ``batch``.

    Returns:
        The logits, of shape ``(*joint, num_outcomes)``, and each parameter in their dtype, of shape
        ``(*joint, 1)``, where ``joint`` is the broadcast of all batch shapes.

    Example:
        >>> theta, temperature, time = per_distribution(jnp.zeros(5), jnp.array([0.5, 1, 2]), 3)
        >>> theta.shape, temperature.shape, time.shape
        ((3, 5), (3, 1), (3, 1))
    """
    theta = floating_logits(logits)
    parameters = [jnp.asarray(value).astype(theta.dtype) for value in values]
    joint = jnp.broadcast_shapes(theta.shape[:-1], *(value.shape for value in parameters))
    return (
        jnp.broadcast_to(theta, (*joint, theta.shape[-1])),
        *(jnp.broadcast_to(value, joint)[..., None] for value in parameters),
    )


def below(
    logits: Float[Array, "*batch num_outcomes"], chosen: Bool[Array, "*batch num_outcomes"]
) -> Float[Array, "*batch num_outcomes"]:
    """By how much each chosen logit is below the largest of them; 0 elsewhere.

    A difference of finite logits that overflows is the largest number.

    Args:
        logits: Logits θ.
        chosen: Which outcomes are meant; their logits must be finite.

    Example:
        >>> print(below(jnp.array([1.0, 5.0, 0.5]), jnp.array([True, False, True])))
        [0.  0.  0.5]
    """
    top = jnp.max(jnp.where(chosen, logits, -jnp.inf), -1, keepdims=True)
    gap = jnp.where(chosen, top, 0) - jnp.where(chosen, logits, 0)
    largest = jnp.finfo(gap.dtype).max
    return jnp.where(chosen, jnp.clip(gap, -largest, largest), 0)


def total(terms: Array) -> Array:
    """Sum over the outcomes, the axis kept.

    Args:
        terms: A number for each outcome.

    Example:
        >>> total(jnp.array([1.0, 2.0]))
        Array([3.], dtype=float64)
    """
    return jnp.sum(terms, -1, keepdims=True)


def scalars(*values: Real[ArrayLike, "..."]) -> tuple[Float[Array, "..."], ...]:
    """Numbers as arrays of one shape and of the one floating dtype that holds them.

    Args:
        values: Numbers or arrays whose shapes broadcast.

    Returns:
        The arrays; integers alone become the default float, beside a float they take its dtype.

    Example:
        >>> temperature, num_samples = scalars(jnp.float32(0.5), jnp.array([10, 20]))
        >>> temperature.shape, num_samples.dtype
        ((2,), dtype('float32'))
    """
    dtype = jnp.result_type(*values)
    dtype = dtype if jnp.issubdtype(dtype, jnp.floating) else jnp.result_type(float)
    return tuple(jnp.broadcast_arrays(*(jnp.asarray(value).astype(dtype) for value in values)))


def pair(logits: Logits, logits_other: OtherLogits) -> tuple[Array, Array]:
    """Broadcast the batches of two sets of logits over the same outcomes."""
    theta, phi = floating_logits(logits), floating_logits(logits_other)
    if theta.shape[-1] != phi.shape[-1]:
        raise ValueError(
            "both distributions must have the same number of outcomes; "
            f"got {theta.shape[-1]} and {phi.shape[-1]}."
        )
    joint = jnp.broadcast_shapes(theta.shape, phi.shape)
    return jnp.broadcast_to(theta, joint), jnp.broadcast_to(phi, joint)


def floating(values: ArrayLike) -> Array:
    """Array of floats; floats keep their dtype."""
    array = jnp.asarray(values)
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def floating_logits(logits: Logits) -> Array:
    """Array of floats with at least one outcome."""
    return floating(checks.check_outcomes(logits, "logits"))


def relative(logits: Logits) -> tuple[Array, Array, Array]:
    """Logits relative to the first mode, Σ e^x over the others, and the mask of the first mode.

    The mode's own logit is read through the mask, not through `max`, whose gradient is shared among
    ties: the excess leaves out one of them only.
    """
    theta = floating_logits(logits)
    first = jax.nn.one_hot(jnp.argmax(theta, -1), theta.shape[-1], dtype=bool)
    x = theta - total(jnp.where(first, theta, 0))
    # What overflows is as low as can be, but not lost.
    x = jnp.where((x == -jnp.inf) & (theta > -jnp.inf), jnp.finfo(x.dtype).min, x)
    return x, total(jnp.where(first, 0, jnp.exp(x))), first


def probabilities_and_complements(logits: Logits) -> tuple[Array, Array]:
    """Return p and 1 - p; only the mode can be so near to 1 that 1 - p cancels."""
    x, excess, first = relative(logits)
    p = jnp.exp(x) / (1 + excess)
    return p, jnp.where(first, excess / (1 + excess), 1 - p)


def expectation(p: Array, values: Array) -> Array:
    """Σ p v over the finite v (an infinite one belongs to a lost outcome), the axis kept."""
    return total(p * jnp.where(jnp.isfinite(values), values, 0))


def decay_over(rate: Array, x: Array) -> Array:
    """(1 - e^{-rate x})/rate for rate >= 0 and x >= 0, which is x at 0."""
    y = rate * x
    small = y < 1e-4
    near = jnp.where(small, y, 0)
    series = x * (1 - near / 2 * (1 - near / 3 * (1 - near / 4)))
    return jnp.where(small, series, -jnp.expm1(-y) / jnp.where(small, 1, rate))


def log1p_over(y: Array) -> Array:
    """log(1 + y)/y for y > -1, which is 1 at 0."""
    small = jnp.abs(y) < 1e-4
    near = jnp.where(small, y, 0)
    series = 1 - near * (1 / 2 - near * (1 / 3 - near / 4))
    y = jnp.where(small, 1, y)
    return jnp.where(small, series, jnp.log1p(y) / y)


@jax.custom_jvp
def divide(x: Array, temperature: Array) -> Array:
    """x/T, whose derivative -(x/T)/T does not form the 1/T² that overflows long before x/T."""
    return x / temperature


@divide.defjvp
def _divide_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (x, temperature), (dx, dtemperature) = primals, tangents
    scaled = divide(x, temperature)
    finite = jnp.where(jnp.isfinite(scaled), scaled, 0)
    # At T = inf nothing moves, however T depends on what is varied: 0 · inf would be NaN.
    moved = jnp.where(jnp.isinf(temperature), 0, dx - finite * dtemperature)
    return scaled, divide(moved, temperature)
