r"""Many temperatures at the price of one pass: a row's logits compressed to a few dozen numbers.

The partition sum Z(b) = Σᵢ exp(−b yᵢ), yᵢ = maxⱼ θⱼ − θᵢ ≥ 0, is linear in the distribution of the
gaps y. As a function of u, log(y + d) scaled to [−1, 1], exp(−b y) is smooth, the more so the
smaller the range of b: a polynomial of degree < N stands for it at every b of the range. So the N
Chebyshev moments of the gaps, or as well N signed weights at the N Chebyshev nodes Xⱼ,

    wⱼ = (1/N) Σₖ (2 − δₖ₀) mₖ cos(k ϑⱼ),    mₖ = Σᵢ Tₖ(u(yᵢ)),    ϑⱼ = π (j + ½)/N,

say all there is to know: Z(b) = number of modes + Σⱼ wⱼ exp(−b Xⱼ), a matrix product for all rows
and all b. (The modes, y = 0, are counted and left out.) The weights are as large as the number of
outcomes and cancel where b is large, which is why the error has a floor near 1e-15 of that number.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real

from fixedpoint.kernels import driver
from fixedpoint.kernels.exponential import logarithm
from fixedpoint.kernels.sums import PartitionSums, add

__all__ = ["LARGEST", "SMALLEST", "Spectrum", "compress", "spectral_sums"]

SMALLEST, LARGEST = 1 / 64, 64.0
"""Range of the inverse temperatures that a spectrum may stand for."""

_SIZES = range(32, 137, 8)
_BLOCK = 1024
_NEGLIGIBLE = 45.0  # exp(-45) = 3e-20: gaps beyond this over the smallest b are left out


class Spectrum(NamedTuple):
    """A compressed table of logits.

    Attributes:
        gaps: the nodes Xⱼ, the same for all rows.
        weights: wⱼ of each row.
        num_modes: how many outcomes attain the row's maximum.
        num_outcomes: how many outcomes have a logit above -inf.
    """

    gaps: Float[Array, " nodes"]
    weights: Float[Array, "rows nodes"]
    num_modes: Int[Array, " rows"]
    num_outcomes: Int[Array, " rows"]


def compress(
    table: Real[Array, "rows num_outcomes"],
    smallest: float = SMALLEST,
    largest: float = LARGEST,
    *,
    devices: Any = None,
) -> Spectrum:
    """Compress a table for the inverse temperatures between two.

    Args:
        table: logits, one distribution a row; -inf for a lost outcome.
        smallest: the smallest inverse temperature that will be asked for, >= 1/64.
        largest: the largest one, <= 64.
        devices: which share the rows.

    Returns:
        The spectrum.

    Validity:
        |Δ log Z| and |Δ entropy| ≤ 1e-9 for up to 130,000 outcomes (`tests/kernels/
        test_spectrum.py`, with the two-level rows for which they are largest). In float64 only.
    """
    shift = 4 / largest
    widest = float(driver.run(_widths, [table], tile=1, devices=devices).max(initial=shift))
    widest = max(shift, min(widest, _NEGLIGIBLE / smallest))
    size = _num_nodes(shift, widest, smallest, largest)
    moments, num_modes, num_outcomes = driver.run(
        chebyshev_moments,
        [table],
        [shift, widest],
        static=(size,),
        tile=1,
        reassociate=True,
        devices=devices,
    )
    jax.block_until_ready(moments)  # the caller may change a table of NumPy's from now on
    values = _chebyshev(size)
    to_weights = values.T * np.where(np.arange(size) == 0, 1, 2)[:, None] / size
    gaps = _gap(values[:, 1], shift, widest)
    return Spectrum(jnp.asarray(gaps), moments @ to_weights, num_modes, num_outcomes)


def _widths(rows: Real[Array, "tile num_outcomes"]) -> Array:
    """The largest gap of each row, lost outcomes apart."""
    lowest = jnp.where(rows == -jnp.inf, jnp.inf, rows).min(-1)
    return rows.max(-1).astype(jnp.float64) - lowest.astype(jnp.float64)


def chebyshev_moments(
    num_moments: int,
    rows: Real[Array, "tile num_outcomes"],
    shift: Float[Array, ""],
    widest: Float[Array, ""],
) -> tuple[Array, Array, Array]:
    """The kernel: mₖ of the gaps between 0 and `widest`, and the numbers of modes and outcomes."""
    dtype = jnp.float64
    top = rows.max(-1, keepdims=True)
    num_modes = (rows == top).sum(-1)
    num_outcomes = (rows > -jnp.inf).sum(-1)
    # In blocks: the sum of many equal numbers gathers rounding errors of one sign.
    missing = -rows.shape[-1] % _BLOCK
    blocks = jnp.pad(rows, ((0, 0), (0, missing)), constant_values=-jnp.inf)
    blocks = blocks.reshape(len(rows), -1, _BLOCK)
    y = top[..., None].astype(dtype) - blocks.astype(dtype)
    counted = (y > 0) & (y <= widest)
    low = jnp.log(shift)
    scale = 2 / (jnp.log(widest + shift) - low)
    u = jnp.where(counted, (logarithm(jnp.where(counted, y, 0) + shift) - low) * scale - 1, 0)
    polynomials = [jnp.where(counted, 1.0, 0.0), u]
    while len(polynomials) < num_moments:
        polynomials.append(2 * u * polynomials[-1] - polynomials[-2])
    zero = jnp.zeros((), dtype)
    sums = lax.reduce(tuple(polynomials), (zero,) * num_moments, add, (2,))
    return jnp.stack(sums, -1).sum(1), num_modes, num_outcomes


def spectral_sums(spectrum: Spectrum, inverse_temperatures: Float[Array, " b"]) -> PartitionSums:
    """`partition_sums` from a spectrum, within the range that it was made for."""
    values = jnp.exp(-jnp.outer(inverse_temperatures, spectrum.gaps))
    weights = spectrum.weights.T
    rest = jnp.maximum(values @ weights, 0)
    slope = -(values @ (weights * spectrum.gaps[:, None]))
    return PartitionSums(rest, slope, spectrum.num_modes, spectrum.num_outcomes)


def _gap(u: np.ndarray, shift: float, widest: float) -> np.ndarray:
    """The gap at a coordinate u in [-1, 1]."""
    return shift * np.expm1((u + 1) / 2 * np.log1p(widest / shift))


def _num_nodes(shift: float, widest: float, smallest: float, largest: float) -> int:
    """Where the Chebyshev series of exp(-b y) may be cut, for all b of the range."""
    values = _chebyshev(2 * _SIZES[-1])
    gaps = _gap(values[:, 1], shift, widest)
    b = np.geomspace(smallest, largest, 13)
    series = np.abs(np.exp(-np.outer(b, gaps)) @ values * (2 / len(values))).max(0)
    # Beyond the size at which double precision is reached, one size more.
    enough = (more for size, more in pairwise(_SIZES) if series[size:].max() <= 1e-15)
    return next(enough, _SIZES[-1])


def _chebyshev(size: int) -> np.ndarray:
    """Polynomials (columns) at the nodes cos(π (2j + 1)/(2 size)) (rows)."""
    number = np.arange(size)
    # In whole numbers up to the cosine: an angle of many turns would lose two digits.
    turns = np.outer(2 * number + 1, number) % (4 * size)
    return np.cos(np.pi / 2 * turns / size)
