r"""Fused passes over large tables of logits: every generation's observables from two sums.

Under pure tempering generation n is the initial model at inverse temperature b = T⁻ⁿ, so entropy,
mode probability, effective number and divergence of *every* generation follow from

    S₀(b) = Σᵢ exp(b xᵢ),    S₁(b) = Σᵢ xᵢ exp(b xᵢ),    xᵢ = θᵢ − maxⱼ θⱼ ≤ 0.

That is one exponential for each entry and generation, and the exponentials are all that a good
program should spend its time on. Three things stand in the way on a CPU, and fix the shape of
`fused_sums`:

- *Memory.* Written array by array (softmax, then logarithm, product, sum), each generation streams
  the table through memory several times. Here a row is read once and stays in the cache while all
  inverse temperatures are applied to it; the table is stored in its own precision (float32) and the
  arithmetic is done in JAX's default one (float64 when it is enabled).
- *Reductions.* XLA may not reassociate a floating-point sum, so a sum over a row is one scalar
  chain, and two sums over the same exponentials store them first. Here both are one reduction of
  two numbers, compiled with leave to reassociate: one loop, in vectors, that stores nothing.
- *Exponentials.* `exponential.power_of_two` spends no operation on digits that a sum loses.

`partition_sums` has the same sums as plain JAX, which can be transformed; there a row is cut into
blocks that are added lane by lane.

Sums run over the entries that are not modes, and the modes are counted: near a vertex S₀ − 1 keeps
its full relative accuracy, hence so does an entropy of 1e-200.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Real

from fixedpoint.kernels import driver
from fixedpoint.kernels.exponential import LOG2_E, power_of_two

__all__ = ["PartitionSums", "add", "fused_sums", "partition_sums"]

LANES = 1024
"""Rows shorter than this are handled together."""


class PartitionSums(NamedTuple):
    """The sums from which every observable of a tempered row follows.

    Attributes:
        rest: Σ exp(b x) over the outcomes that are not modes, so that S₀ = num_modes + rest.
        slope: S₁ = Σ x exp(b x) ≤ 0, the derivative of S₀ (and of `rest`) in b.
        num_modes: how many outcomes attain the row's maximum.
        num_outcomes: how many outcomes have a logit above -inf.
    """

    rest: Float[Array, "inverse_temperatures ..."]
    slope: Float[Array, "inverse_temperatures ..."]
    num_modes: Int[Array, "..."]
    num_outcomes: Int[Array, "..."]


def partition_sums(
    logits: Real[ArrayLike, "... num_outcomes"],
    inverse_temperatures: Real[ArrayLike, " inverse_temperatures"],
) -> PartitionSums:
    r"""Sum exp(b x) and x exp(b x) over each row, for every inverse temperature b, in one pass.

    S₀(b) = Σᵢ exp(b xᵢ) and S₁(b) = Σᵢ xᵢ exp(b xᵢ) with xᵢ = θᵢ − maxⱼ θⱼ. A plain function of JAX
    arrays: it may be traced, mapped and differentiated. (`sweep` is the one to call on large
    tables: it compiles this function for the machine and shares the rows out among the devices.)

    Args:
        logits: the distributions θ; -inf for a lost outcome, which contributes exactly nothing.
        inverse_temperatures: b ≥ 0; 0 and inf included.

    Returns:
        The sums, with the inverse temperatures as leading axis.

    Validity:
        Exact. `rest` and `slope` are within 1e-13 relative in float64, also when they are tiny,
        provided that b x is representable: an error ε|x| of the stored logits themselves changes
        exp(b x) by b ε |x| relative. A row of NaN, with +inf, or without a finite entry gives NaN.
        Tests: `tests/kernels/test_sums.py`.

    Example:
        >>> sums = partition_sums(jnp.log(jnp.array([4.0, 2.0, 1.0])), jnp.array([0.0, 1.0, 2.0]))
        >>> [round(float(rest), 12) for rest in sums.rest]  # 1 + 1, 1/2 + 1/4, 1/4 + 1/16
        [2.0, 0.75, 0.3125]
        >>> int(sums.num_modes), int(sums.num_outcomes)
        (1, 3)
    """
    logits = jnp.asarray(logits)
    b = jnp.asarray(inverse_temperatures, jnp.result_type(float))
    *batch, K = logits.shape
    sums = driver.tiled(
        lambda rows: _tile_sums(rows, b), [logits.reshape(-1, K)], tile=max(1, LANES // K)
    )
    return PartitionSums(
        *(jnp.moveaxis(sums[i], -1, 0).reshape(len(b), *batch) for i in (0, 1)),
        *(sums[i].reshape(batch) for i in (2, 3)),
    )


def fused_sums(
    rows: Real[Array, "tile num_outcomes"], inverse_temperatures: Float[Array, " b"]
) -> PartitionSums:
    """The kernel: `partition_sums` of a few rows that fit into the cache; not differentiable."""
    dtype = inverse_temperatures.dtype
    top = rows.max(-1, keepdims=True)
    num_modes = (rows == top).sum(-1)
    num_outcomes = (rows > -jnp.inf).sum(-1)
    # A lost outcome becomes a mode: both are left out of `rest`, and add 0 · exp(0) to `slope`.
    columns = jnp.where(rows == -jnp.inf, top, rows).T
    top = top.astype(dtype).T
    at_zero_temperature = jnp.isinf(inverse_temperatures)
    # For 2^(b x log₂e); finite, so that modes have b x = 0.
    scale = jnp.where(at_zero_temperature, 0, inverse_temperatures) * LOG2_E
    scale = jnp.minimum(scale, jnp.finfo(dtype).max)
    power = power_of_two if dtype == jnp.float64 else jnp.exp2

    def sums(scale: Array) -> tuple[Array, Array]:
        x = columns.astype(dtype) - top  # again for each b: cheaper than to fetch it
        weight = power(scale * x)
        zero = jnp.zeros((), dtype)
        return lax.reduce((jnp.where(x < 0, weight, 0), x * weight), (zero, zero), add, (0,))

    rest, slope = (
        jnp.where(at_zero_temperature[:, None], 0, sums) for sums in lax.map(sums, scale)
    )
    return PartitionSums(rest, slope, num_modes, num_outcomes)


def add(a: Sequence[Array], b: Sequence[Array]) -> tuple[Array, ...]:
    """The sum of several numbers at once, for `lax.reduce`."""
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _tile_sums(
    rows: Real[Array, "tile num_outcomes"], inverse_temperatures: Float[Array, " b"]
) -> PartitionSums:
    """Sum a few rows that fit into the cache, for all inverse temperatures (here the last axis)."""
    at_zero_temperature = jnp.isinf(inverse_temperatures)
    finite = jnp.where(at_zero_temperature, 0, inverse_temperatures)
    K = rows.shape[-1]
    x = rows.astype(finite.dtype)
    x = x - x.max(-1, keepdims=True)
    num_modes = (x == 0).sum(-1)
    num_outcomes = (x > -jnp.inf).sum(-1)
    # A lost outcome becomes x = 0, like a mode: both are left out of `rest`, and 0 · exp(0) = 0 in
    # `slope` where -inf · exp(-inf) would be NaN. The padding of the last block is 0 as well.
    x = jnp.where(x == -jnp.inf, 0, x)
    lanes = min(K, LANES)
    blocks = jnp.pad(x, ((0, 0), (0, -K % lanes))).reshape(len(x), -1, lanes).swapaxes(0, 1)

    def sums(b: Array) -> tuple[Array, Array]:
        def add(partial: tuple[Array, Array], x: Array) -> tuple[tuple[Array, Array], None]:
            weight = jnp.exp(b * x)
            return (partial[0] + jnp.where(x < 0, weight, 0), partial[1] + x * weight), None

        zero = jnp.zeros(blocks.shape[1:], x.dtype)
        (rest, slope), _ = lax.scan(add, (zero, zero), blocks)
        return rest.sum(-1), slope.sum(-1)

    rest, slope = (jnp.where(at_zero_temperature, 0, value.T) for value in lax.map(sums, finite))
    return PartitionSums(rest, slope, num_modes, num_outcomes)
