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

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Real

from fixedpoint.checks import check_logits, check_outcomes, check_temperature
from fixedpoint.kernels import driver
from fixedpoint.kernels.exponential import LOG2_E, power_of_two

__all__ = ["PartitionSums", "Sweep", "partition_sums", "sweep"]

_LANES = 1024


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


class Sweep(NamedTuple):
    """Observables of a table of distributions at several inverse temperatures.

    Attributes:
        entropy: Shannon entropy in nats.
        mode_probability: probability of a mode (of each of them where they tie).
        effective_number: exp(entropy).
        kl_from_start: KL(tempered || the row at inverse temperature 1), in nats.
        surviving: number of outcomes with a positive probability.
    """

    entropy: Float[Array, "inverse_temperatures ..."]
    mode_probability: Float[Array, "inverse_temperatures ..."]
    effective_number: Float[Array, "inverse_temperatures ..."]
    kl_from_start: Float[Array, "inverse_temperatures ..."]
    surviving: Int[Array, "inverse_temperatures ..."]


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
        lambda rows: _tile_sums(rows, b), [logits.reshape(-1, K)], tile=max(1, _LANES // K)
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
        return lax.reduce((jnp.where(x < 0, weight, 0), x * weight), (zero, zero), _add, (0,))

    rest, slope = (
        jnp.where(at_zero_temperature[:, None], 0, sums) for sums in lax.map(sums, scale)
    )
    return PartitionSums(rest, slope, num_modes, num_outcomes)


def _add(a: Sequence[Array], b: Sequence[Array]) -> tuple[Array, ...]:
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
    lanes = min(K, _LANES)
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


def _observables(
    sums: Callable[[Array, Array], PartitionSums], logits: Array, inverse_temperatures: Array
) -> Sweep:
    """Read the observables off the partition sums; b = 1 is summed last, as the reference."""
    dtype = jnp.result_type(float)
    b = jnp.append(jnp.asarray(inverse_temperatures, dtype), jnp.ones((), dtype))
    rest, slope, num_modes, num_outcomes = sums(logits, b)
    b = b.reshape(-1, *[1] * num_modes.ndim)
    excess = rest + (num_modes - 1)[None]  # S₀ − 1
    log_partition = jnp.log1p(excess)
    mean = slope / (1 + excess)  # E x, and b E x → 0 as b → ∞
    at_zero_temperature = jnp.isinf(b)
    finite_b = jnp.where(at_zero_temperature, 1, b)
    entropy = log_partition - finite_b * mean  # both terms ≥ 0: nothing cancels
    divergence = (finite_b - 1) * mean - log_partition + log_partition[-1:]
    surviving = jnp.where(at_zero_temperature, num_modes[None], num_outcomes[None])
    observables = (
        entropy,
        1 / (1 + excess),
        jnp.exp(entropy),
        jnp.maximum(divergence, 0),
        surviving,
    )
    return Sweep(*(value[:-1] for value in observables))


def sweep(
    logits: Real[ArrayLike, "... num_outcomes"],
    inverse_temperatures: Real[ArrayLike, " inverse_temperatures"] | Sequence[float],
    *,
    devices: Sequence[Any] | None = None,
) -> Sweep:
    r"""Observables of every row of a table at every inverse temperature.

    With S₀, S₁ of `partition_sums`: the entropy is log S₀ − b S₁/S₀, the mode's probability 1/S₀,
    the effective number exp(entropy), and the divergence from the row at b = 1 (generation 0 of
    pure tempering, where generation n has b = T⁻ⁿ) is (b − 1) S₁/S₀ − log S₀(b) + log S₀(1).

    Args:
        logits: the distributions θ, one per row; -inf for a lost outcome. Best kept in float32 when
            large: the arithmetic is done in JAX's default precision all the same.
        inverse_temperatures: b ≥ 0; inf is the limit of zero temperature (uniform on the modes),
            0 that of infinite temperature (uniform on the outcomes not lost).
        devices: the devices that share the rows; by default all local ones. A CPU with many cores
            counts as one device unless `jax_num_cpu_devices` says otherwise.

    Returns:
        The observables; the inverse temperatures are the leading axis of each.

    Raises:
        ValueError: an inverse temperature is negative or NaN, or a row of logits holds NaN or +inf
            or no finite entry (not checked under a transformation such as `jax.jit`).

    Validity:
        Exact. In float64 the entropy, mode probability and effective number are within 1e-12
        relative, an entropy near a vertex too. The divergence is within 2e-15 times the size of
        its terms (about log K): 1e-12 relative unless it is below a thousandth of that, that is,
        unless b is close to 1. Tests: `tests/kernels/test_sums.py`.

    Example:
        >>> result = sweep(jnp.log(jnp.array([[4.0, 2.0, 1.0]])), jnp.array([0.0, 1.0, jnp.inf]))
        >>> [round(float(p), 12) for p in result.mode_probability[:, 0]]  # 1/3, 4/7, 1
        [0.333333333333, 0.571428571429, 1.0]
        >>> [int(number) for number in result.surviving[:, 0]]
        [3, 3, 1]
    """
    if isinstance(logits, Tracer) or isinstance(inverse_temperatures, Tracer):
        return _observables(partition_sums, jnp.asarray(logits), jnp.asarray(inverse_temperatures))
    check_outcomes(logits, "logits")
    b = np.asarray(check_temperature(inverse_temperatures, "inverse_temperatures"))
    if b.ndim != 1:
        raise ValueError(f"`inverse_temperatures` must have one axis; got shape {b.shape}.")
    *batch, num_outcomes = np.shape(logits)
    table = jnp.asarray(logits).reshape(-1, num_outcomes)
    result = driver.run(
        _observables,
        [table],
        [jnp.asarray(b, float)],
        static=(fused_sums,),
        tile=max(1, min(_LANES // num_outcomes, len(table))),
        axis=1,
        reassociate=True,
        devices=devices,
    )
    result = Sweep(*(value.reshape(len(b), *batch) for value in result))
    if not jnp.isfinite(result.entropy).all():  # one look at the result spares a pass beforehand
        check_logits(logits)
    return result
