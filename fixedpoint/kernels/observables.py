"""Observables of a table of logits at any temperatures, and the temperature of a given entropy.

All follow from the two sums of `fixedpoint.kernels.sums`, or, for many temperatures, from the
compressed `fixedpoint.kernels.spectrum`.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Real

from fixedpoint.checks import (
    check_devices,
    check_logits,
    check_numbers,
    check_outcomes,
    check_range,
    check_temperature,
)
from fixedpoint.kernels import driver
from fixedpoint.kernels.exponential import LOG2_E, power_of_two
from fixedpoint.kernels.spectrum import LARGEST, SMALLEST, Spectrum, compress, spectral_sums
from fixedpoint.kernels.sums import LANES, PartitionSums, add, fused_sums, partition_sums

__all__ = ["Sweep", "sweep", "temperature_for_entropy"]

MANY = 100
"""From this number of inverse temperatures on a table is compressed."""

COMPRESSIBLE = range(4096, 2**17)
"""Numbers of outcomes for which it is."""


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


def _observables(
    sums: Callable[[Array, Array], PartitionSums], logits: Array, b: Array, reference: Array
) -> Sweep:
    """Sum the rows and read the observables off; `reference` is the place of b = 1."""
    result = sums(logits, b)
    excess = result.rest[reference] + (result.num_modes - 1)
    return _figures(result, b, jnp.log1p(excess))


def _figures(sums: PartitionSums, b: Array, log_partition_start: Array) -> Sweep:
    """Read the observables off the sums; log S₀(1) of the rows is given."""
    rest, slope, num_modes, num_outcomes = sums
    b = b.reshape(-1, *[1] * num_modes.ndim)
    excess = rest + (num_modes - 1)[None]  # S₀ − 1
    log_partition = jnp.log1p(excess)
    mean = slope / (1 + excess)  # E x, and b E x → 0 as b → ∞
    at_zero_temperature = jnp.isinf(b)
    finite_b = jnp.where(at_zero_temperature, 1, b)
    entropy = log_partition - finite_b * mean  # both terms ≥ 0: nothing cancels
    divergence = (finite_b - 1) * mean - log_partition + log_partition_start[None]
    surviving = jnp.where(at_zero_temperature, num_modes[None], num_outcomes[None])
    return Sweep(entropy, 1 / (1 + excess), jnp.exp(entropy), jnp.maximum(divergence, 0), surviving)


def sweep(
    logits: Real[ArrayLike, "... num_outcomes"],
    inverse_temperatures: Real[ArrayLike, " inverse_temperatures"] | Sequence[float],
    *,
    compressed: bool | None = None,
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
        compressed: whether those between 1/64 and 64 are evaluated from a compressed spectrum: one
            pass over the table, which takes as long as about fifty inverse temperatures, and
            then next to nothing for each. By default if there are a hundred of them or more and
            4,096 to 131,071 outcomes. False refuses it, for the full accuracy.
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
        unless b is close to 1. Tests: `tests/kernels/test_sums.py`. From a compressed spectrum the
        entropy and the logarithms of the mode probability and the effective number are within 1e-9
        absolutely, the divergence within 1e-9 times the size of its terms; tests:
        `tests/kernels/test_spectrum.py`.

    Example:
        >>> result = sweep(jnp.log(jnp.array([[4.0, 2.0, 1.0]])), jnp.array([0.0, 1.0, jnp.inf]))
        >>> [round(float(p), 12) for p in result.mode_probability[:, 0]]  # 1/3, 4/7, 1
        [0.333333333333, 0.571428571429, 1.0]
        >>> [int(number) for number in result.surviving[:, 0]]
        [3, 3, 1]
    """
    if isinstance(logits, Tracer) or isinstance(inverse_temperatures, Tracer):
        b = jnp.append(jnp.asarray(inverse_temperatures, jnp.result_type(float)), 1.0)
        result = _observables(partition_sums, jnp.asarray(logits), b, jnp.asarray(-1))
        return Sweep(*(value[:-1] for value in result))
    check_outcomes(check_numbers(logits, "logits"), "logits")
    b = np.asarray(check_temperature(inverse_temperatures, "inverse_temperatures"))
    check_devices(devices)
    if b.ndim != 1:
        raise ValueError(f"`inverse_temperatures` must have one axis; got shape {b.shape}.")
    *batch, num_outcomes = np.shape(logits)
    table = _table(logits)
    within = (b >= SMALLEST) & (b <= LARGEST)
    if compressed is None:
        compressed = within.sum() >= MANY and num_outcomes in COMPRESSIBLE
    if compressed and within.any() and jnp.result_type(float) == jnp.float64:
        result = _sweep_compressed(table, b, within, devices)
    else:
        result = _sweep(table, b, devices)
    result = Sweep(*(value.reshape(len(b), *batch) for value in result))
    if not jnp.isfinite(result.entropy).all():  # one look at the result spares a pass beforehand
        check_logits(logits)
    return result


def _table(logits: Any) -> Any:
    """The rows; what is NumPy's stays so until it is shared out among the devices."""
    table = logits if isinstance(logits, np.ndarray | Array) else jnp.asarray(logits)
    return table.reshape(-1, table.shape[-1])


def _sweep(table: Any, b: np.ndarray, devices: Sequence[Any] | None) -> Sweep:
    ones = np.flatnonzero(b == 1)
    points = b if len(ones) else np.append(b, 1.0)
    reference = ones[0] if len(ones) else len(b)
    result = driver.run(
        _observables,
        [table],
        [jnp.asarray(points, float), jnp.asarray(reference)],
        static=(fused_sums,),
        tile=_tile(table),
        axis=1,
        reassociate=True,
        devices=devices,
    )
    return result if len(points) == len(b) else Sweep(*(value[:-1] for value in result))


def _sweep_compressed(
    table: Array, b: np.ndarray, within: np.ndarray, devices: Sequence[Any] | None
) -> Sweep:
    """Inside the range by the spectrum, outside it directly, and directly at b = 1."""
    direct = _sweep(table, np.append(b[~within], 1.0), devices)
    spectrum = compress(table, float(b[within].min()), float(b[within].max()), devices=devices)
    start = -jnp.log(direct.mode_probability[-1])
    many = _figures_of(spectrum, jnp.asarray(b[within]), start)
    values = []
    for inside, outside in zip(many, direct, strict=True):
        value = np.empty((len(b), len(table)), inside.dtype)
        value[within], value[~within] = inside, outside[:-1]
        values.append(jnp.asarray(value))
    return Sweep(*values)


@jax.jit
def _figures_of(spectrum: Spectrum, b: Array, log_partition_start: Array) -> Sweep:
    return _figures(spectral_sums(spectrum, b), b, log_partition_start)


def _tile(table: Array) -> int:
    num_rows, num_outcomes = table.shape
    return max(1, min(LANES // num_outcomes, num_rows))


# --- The temperature of a given entropy -----------------------------------------------------------


def temperature_for_entropy(
    logits: Real[ArrayLike, "... num_outcomes"],
    entropy: Real[ArrayLike, "..."],
    *,
    compressed: bool | None = None,
    devices: Sequence[Any] | None = None,
) -> Float[Array, "..."]:
    r"""The temperature at which softmax(θ/T) has a given entropy.

    The entropy H of softmax(bθ), b = 1/T, falls from the logarithm of the number of outcomes at
    b = 0 to that of the number of modes at b = ∞, with dH/d log b = −b² Var θ: Newton's method in
    log b, within bisected bounds.

    Args:
        logits: the distributions θ, one per row; -inf for a lost outcome.
        entropy: in nats, of the shape of the rows or with further leading axes: several targets for
            each row.
        compressed: whether T is found from a compressed spectrum (see `sweep`); by default with 10
            targets a row or more. Where T is beyond 1/64..64 it is found directly all the same.
        devices: the devices that share the rows; by default all local ones.

    Returns:
        T, of the shape of `entropy`: 0 where the entropy is that of the modes alone, inf where it
        is that of all outcomes.

    Raises:
        ValueError: an entropy is not between those of a row's modes and of its outcomes, the shapes
            do not match, or the logits are not valid.

    Validity:
        The entropy at T is within 1e-12 (1 + H) of the one asked for; within 1e-9 from a compressed
        spectrum. In float64. Tests: `tests/kernels/test_observables.py`.

    Example:
        >>> logits = jnp.log(jnp.array([0.9, 0.1]))
        >>> temperature = temperature_for_entropy(logits, 0.5623351446188083)  # of (3/4, 1/4)
        >>> print(f"{temperature:.9f}")  # log 9 / log 3
        2.000000000
    """
    check_outcomes(check_numbers(logits, "logits"), "logits")
    if jnp.result_type(float) != jnp.float64:
        raise ValueError("`logits` need float64 arithmetic here: set jax_enable_x64.")
    *batch, num_outcomes = np.shape(logits)
    targets = np.asarray(check_range(entropy, "entropy", "[0, inf)"), float)
    check_devices(devices)
    if targets.shape[targets.ndim - len(batch) :] != tuple(batch):
        raise ValueError(
            f"`entropy` must have the rows' axes {tuple(batch)} last; got shape {targets.shape}."
        )
    if not targets.size:
        return jnp.asarray(targets)
    table = _table(logits)
    wanted = targets.reshape(-1, len(table)).T  # (rows, targets)
    if compressed is None:
        compressed = wanted.shape[1] >= 10 and num_outcomes in COMPRESSIBLE

    def direct(rows: Any) -> list[np.ndarray]:
        found = driver.run(
            _direct_roots,
            [table[rows], wanted[rows]],
            tile=1,
            reassociate=True,
            devices=devices,
        )
        return [np.array(value) for value in found]

    if compressed:
        check_logits(logits)
        spectrum = compress(table, devices=devices)
        log_b = np.array(_spectral_roots(spectrum, jnp.asarray(wanted)))
        counts = np.asarray(spectrum.num_modes), np.asarray(spectrum.num_outcomes)
    else:
        log_b, *counts = direct(slice(None))
        if not np.all(counts[1]):  # one look at the result spares a pass beforehand
            check_logits(logits)
    lowest, highest = (np.log(count)[:, None] for count in counts)
    slack = 1e-12 * (1 + highest)
    wrong = ~((wanted >= lowest - slack) & (wanted <= highest + slack))
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(1))[0])
        raise ValueError(
            f"`entropy` must be between {lowest[row, 0]:.6g} (the modes alone) and "
            f"{highest[row, 0]:.6g} (all outcomes) for row {row}; got {wanted[row][wrong[row]][0]}."
        )
    inner = (wanted > lowest + slack) & (wanted < highest - slack)
    missing = inner & ~(np.abs(log_b) <= np.log(LARGEST))
    if compressed and missing.any():
        rows = np.flatnonzero(missing.any(1))
        log_b[rows] = np.where(missing[rows], direct(rows)[0], log_b[rows])
    temperature = np.where(inner, np.exp(-log_b), np.where(wanted > lowest + slack, np.inf, 0.0))
    return jnp.asarray(temperature.T.reshape(targets.shape))


def _direct_roots(rows: Array, entropy: Array) -> tuple[Array, Array, Array]:
    """The kernel: log b of a row for each of its entropies; the row stays in the cache.

    With the numbers of modes and of outcomes, both 0 where the row is not valid.
    """
    row = rows[0]
    top = row.max()
    valid = jnp.isfinite(top)
    num_modes = jnp.where(valid, (row == top).sum(), 0)
    num_outcomes = jnp.where(valid, (row > -jnp.inf).sum(), 0)
    kept = jnp.where(row == -jnp.inf, top, row)
    top = top.astype(float)

    def moments(b: Array) -> tuple[Array, Array, Array]:
        x = kept.astype(float) - top
        weight = jnp.where(x < 0, power_of_two(jnp.minimum(b * LOG2_E, 1e300) * x), 0)
        zero = jnp.zeros(())
        rest, slope, square = lax.reduce(
            (weight, x * weight, x * x * weight), (zero, zero, zero), add, (0,)
        )
        return rest, slope, square

    # An entropy outside the open interval has a limit, or is an error; nothing is sought for it.
    lowest, highest = jnp.log(1.0 * num_modes), jnp.log(1.0 * num_outcomes)
    within = (entropy[0] > lowest) & (entropy[0] < highest)
    asked = jnp.where(within, entropy[0], (lowest + highest) / 2)
    found = lax.map(lambda target: _root(moments, num_modes, target), asked)
    return jnp.where(within, found, jnp.nan)[None], num_modes[None], num_outcomes[None]


@jax.jit
def _spectral_roots(spectrum: Spectrum, entropy: Array) -> Array:
    """Log b of each row for each of its entropies, as far as the spectrum reaches."""

    def of_row(weights: Array, num_modes: Array, entropy: Array) -> Array:
        def moments(b: Array) -> tuple[Array, Array, Array]:
            values = weights * jnp.exp(-b * spectrum.gaps)
            x = -spectrum.gaps
            return jnp.maximum(values.sum(), 0), values @ x, values @ x**2

        bound = float(np.log(LARGEST))
        return jax.vmap(lambda target: _root(moments, num_modes, target, bound))(entropy)

    return jax.vmap(of_row)(spectrum.weights, spectrum.num_modes, entropy)


def _root(
    moments: Callable[[Array], tuple[Array, Array, Array]],
    num_modes: Array,
    entropy: Array,
    bound: float = 690.0,
) -> Array:
    """Log b with the given entropy, between bounds; beyond them, more than the bound."""

    def excess(log_b: Array) -> tuple[Array, Array]:
        b = jnp.exp(log_b)
        rest, slope, square = moments(b)
        partition = num_modes + rest
        mean = slope / partition
        height = jnp.log1p(rest + (num_modes - 1)) - b * mean - entropy
        return height, -(b**2) * jnp.maximum(square / partition - mean**2, 0)

    def improve(state: tuple[Any, ...]) -> tuple[Any, ...]:
        low, high, log_b, _, count = state
        height, slope = excess(log_b)
        low = jnp.where(height > 0, log_b, low)
        high = jnp.where(height > 0, high, log_b)
        step = -height / jnp.where(slope < 0, slope, -1e-300)
        newton = log_b + step
        inside = (newton > low) & (newton < high)
        following = jnp.where(inside, newton, (low + high) / 2)
        # After a Newton step this small the next would be below the rounding error.
        done = (inside & (jnp.abs(step) < 1e-8)) | (high - low < 1e-13) | (height == 0)
        return low, high, jnp.where(height == 0, log_b, following), done, count + 1

    def unfinished(state: tuple[Any, ...]) -> Array:
        return ~state[3] & (state[4] < 200)

    start = (jnp.asarray(-bound), jnp.asarray(bound), jnp.zeros(()), jnp.asarray(False), 0)
    low, high, log_b, _, _ = lax.while_loop(unfinished, improve, start)
    at_bound = (low == -bound) | (high == bound)
    return jnp.where(at_bound & (high - low < 1e-12), jnp.inf, log_b)
