"""Refits to a few samples: a tile of replicates through many generations of sampling.

Two kernels and a table, and draws of NumPy's. `thermometer` draws the counts of a few outcomes:
each of n uniform numbers is compared with every cumulative probability,
N_k = #{j : u_j < C_k} − #{j : u_j < C_{k−1}}, which is n·K comparisons and nothing else. `walk`
follows two outcomes, a Markov chain on the counts 0..n of the first: with one alias table for each
of its n + 1 states (`alias_tables`), a generation is one look-up. Both stop when every replicate of
the tile is absorbed.

What NumPy draws has one row a replicate, and is filled from the right: a row's counts, and the
random numbers that it takes, are the same whatever stands to the left of it. Sorted points invert
the distribution function: few points are looked up among many outcomes (`draw_survivors`), many
are counted between few (`count_points`). At temperature 1 every sample repeats one of the n before
it (`draw_parents`). Where there are many an outcome, binomial variates take fewer random numbers
(`draw_binomials`).

References:
    Walker (1977), An efficient method for generating discrete random variables with general
    distributions, ACM Trans. Math. Softw. 3, 253.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, UInt

from fixedpoint.kernels import driver
from fixedpoint.kernels.random import mixed_words

__all__ = [
    "alias_tables",
    "count_points",
    "draw_binomials",
    "draw_parents",
    "draw_survivors",
    "move_survivors",
    "thermometer",
    "walk",
]

_LOOK = 32
"""Generations between two looks at whether a tile is absorbed."""
_PASS = 64
"""Words that are compared in one pass, two samples each."""


def thermometer(
    tabled: bool,
    num_samples: int,
    words: UInt[Array, " tile"],
    counts: Int[Array, "tile outcomes"],
    length: Array,
    sampler: Any,
) -> tuple[Array, Array]:
    """Run a tile of replicates for some generations.

    Args:
        tabled: whether `sampler` is a table of weights, one for each count 0..n; otherwise it is a
            tuple of functions of the logits.
        num_samples: n.
        words: the generators' states.
        counts: of each outcome.
        length: how many generations.
        sampler: what makes weights of counts.

    Returns:
        The generators' states and the counts.
    """
    num_words = -(-num_samples // 2)
    num_outcomes = counts.shape[1]

    def weights(counts: Array) -> Array:
        if tabled:
            return sampler[counts]
        logits = jnp.where(counts > 0, jnp.log(counts / num_samples), -jnp.inf).T
        for one in sampler:
            logits = one(logits)
        return jnp.exp(logits - logits.max(-1, keepdims=True)).T

    def add_to_next(i: Array, values: Array) -> Array:
        before, here = lax.dynamic_slice_in_dim(values, i - 1, 2)
        return lax.dynamic_update_index_in_dim(values, before + here, i, 0)

    def generation(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        words, counts = state
        weight = weights(counts)
        # Whole numbers in float64 add up exactly: an outcome of weight 0 has its neighbour's
        # threshold to the last bit, and is never drawn.
        units = jnp.floor(weight * (2.0**32 / weight.sum(0, keepdims=True)))
        cumulative = lax.fori_loop(1, num_outcomes, add_to_next, units)
        last = cumulative == cumulative[-1:]
        thresholds = (cumulative - 2.0**31).astype(jnp.int32)
        drawn, words = mixed_words(words, num_words)
        # Two arrays, not one of both halves: joining them would keep the pass from being vectors.
        halves = [_signed(drawn >> np.uint64(32)), _signed(drawn & np.uint64(2**32 - 1))]

        def compare(below: Array, numbers: Any, threshold: Array) -> Array:
            for number in numbers:  # unrolled: one pass over the replicates for many numbers
                below = below + (number < threshold)
            return below

        def outcome(index: Array, below: Array) -> Array:
            threshold = lax.dynamic_index_in_dim(thresholds, index, keepdims=False)

            def some(part: Array, below: Array) -> Array:
                first = part * _PASS
                parts = [lax.dynamic_slice_in_dim(half, first, _PASS) for half in halves]
                return compare(below, [number for part in parts for number in part], threshold)

            passes = num_samples // (2 * _PASS)
            number = jnp.zeros_like(threshold)
            if passes:
                number = lax.fori_loop(0, passes, some, number)
            rest = [number for half in halves for number in half[passes * _PASS :]]
            number = compare(number, rest[: num_samples - 2 * passes * _PASS], threshold)
            return lax.dynamic_update_index_in_dim(below, number, index, 0)

        below = lax.fori_loop(0, num_outcomes, outcome, jnp.zeros_like(thresholds))
        below = jnp.where(last, num_samples, below)
        return words, jnp.diff(below, axis=0, prepend=jnp.zeros_like(below[:1]))

    def unfinished(counts: Array) -> Array:
        return jnp.any(counts.max(0) < num_samples)

    words, counts = _until_absorbed(
        generation, unfinished, (words, counts.T), length, is_ours=tabled
    )
    return words, counts.T


def _signed(half: Array) -> Array:
    """The low 32 bits as a signed number: processors compare these."""
    return lax.bitcast_convert_type(half.astype(jnp.uint32), jnp.int32)


def walk(
    num_columns: int,
    num_samples: int,
    words: UInt[Array, " tile"],
    count: Int[Array, " tile"],
    length: Array,
    table: UInt[Array, " entries"],
) -> tuple[Array, Array]:
    """Follow the count of the first of two outcomes for some generations.

    Args:
        num_columns: of the table, a power of two.
        num_samples: n.
        words: the generators' states.
        count: of the first outcome.
        length: how many generations.
        table: of `alias_tables`, flat.

    Returns:
        The generators' states and the counts.
    """
    column_bits, threshold_bits = _bits(num_columns, num_samples)

    def shift(number: int) -> Array:
        return jnp.asarray(number, jnp.uint64)

    def generation(_: Any, state: tuple[Array, Array]) -> tuple[Array, Array]:
        words, count = state
        (drawn,), words = mixed_words(words, 1)
        column = drawn >> shift(64 - column_bits)
        place = count * num_columns + column.astype(jnp.int32)
        entry = table.at[place].get(mode="promise_in_bounds")
        kept = (drawn << shift(column_bits)) >> shift(64 - threshold_bits)
        threshold = entry & shift(2**threshold_bits - 1)
        alias = (entry >> shift(threshold_bits)) & shift(num_columns - 1)
        first = entry >> shift(threshold_bits + column_bits)
        column = jnp.where(kept < threshold, column, alias)
        return words, (first + column).astype(count.dtype)

    def unfinished(count: Array) -> Array:
        return jnp.any((count > 0) & (count < num_samples))

    return _until_absorbed(generation, unfinished, (words, count), length)


def _until_absorbed(
    generation: Any, unfinished: Any, state: Any, length: Array, is_ours: bool = True
) -> Any:
    """Generations until the last one or until all replicates are absorbed."""

    def some(carry: Any) -> Any:
        state, left = carry
        now = jnp.minimum(left, _LOOK)

        def generations(state: Any) -> Any:
            return lax.fori_loop(0, now, generation, state)

        return (driver.one_function(generations) if is_ours else generations)(state), left - now

    def more(carry: Any) -> Array:
        (_, counts), left = carry
        return (left > 0) & unfinished(counts)

    return lax.while_loop(more, some, (state, length))[0]


def _bits(num_columns: int, num_samples: int) -> tuple[int, int]:
    """How many of an entry's 64 bits are column and threshold; the rest is the first count."""
    column_bits = num_columns.bit_length() - 1
    return column_bits, min(52, 64 - column_bits - num_samples.bit_length())


def alias_tables(
    num_samples: int, probabilities: Float[np.ndarray, " states"]
) -> tuple[np.ndarray, int]:
    """One alias table for each of the laws Bin(n, p), p the given probabilities.

    A table covers the counts within nine standard deviations, in a power of two of columns; an
    entry packs the first count of the row, the alias of the column and the threshold below which
    the column itself is taken.

    Args:
        num_samples: n.
        probabilities: p, each in [0, 1].

    Returns:
        The entries, flat, and the number of columns.

    Validity:
        The binomial probabilities to about 1e-12 relative; what lies outside of a row is below
        1e-18. The thresholds have 38 bits at least for n ≤ 10⁴. A count of probability 0 has no
        entry (`tests/kernels/test_resampling.py`).
    """
    n, p = num_samples, np.asarray(probabilities, float)
    num_columns = 1 << int(np.ceil(np.log2(max(2.0, min(n + 1, 9 * np.sqrt(n) + 8)))))
    column_bits, threshold_bits = _bits(num_columns, n)
    first = np.clip(np.rint(n * p).astype(int) - num_columns // 2, 0, max(0, n + 1 - num_columns))
    entries = _aligned(len(p) * num_columns).reshape(len(p), num_columns)
    for rows in np.array_split(np.arange(len(p)), max(1, len(p) * num_columns // 2**21)):
        mass = _binomial_masses(n, p[rows], first[rows], num_columns)
        threshold, alias = _sweep(mass * num_columns)
        whole = np.minimum(np.rint(threshold * 2.0**threshold_bits), 2**threshold_bits - 1)
        entries[rows] = (
            (first[rows, None].astype(np.uint64) << np.uint64(column_bits + threshold_bits))
            | (alias.astype(np.uint64) << np.uint64(threshold_bits))
            | whole.astype(np.uint64)
        )
    return entries.ravel(), num_columns


def _aligned(number: int) -> np.ndarray:
    """An array of words at the beginning of a large page: JAX takes it over without a copy."""
    page = 2**21 if number * 8 >= 2**21 else 64
    raw = np.empty(number * 8 + page, np.uint8)
    first = -raw.ctypes.data % page
    return raw[first : first + number * 8].view(np.uint64)


def _binomial_masses(n: int, p: np.ndarray, first: np.ndarray, num_columns: int) -> np.ndarray:
    """Bin(n, p) at `first` + 0, 1, …; relative to the mode, whose mass is the largest."""
    k = np.arange(n)
    log_choose = np.concatenate([[0.0], np.cumsum(np.log((n - k) / (k + 1)))])
    counts = first[:, None] + np.arange(num_columns)
    inside = counts <= n
    counts = np.minimum(counts, n)
    certain = (p <= 0) | (p >= 1)
    odds = np.where(certain, 0.5, p)
    mode = np.minimum(np.floor((n + 1) * odds), n).astype(int)
    log_odds = np.log(odds) - np.log1p(-odds)
    log_mass = log_choose[counts] - log_choose[mode][:, None]
    log_mass += (counts - mode[:, None]) * log_odds[:, None]
    mass = np.where(inside, np.exp(log_mass), 0)
    sure = np.where(p >= 1, n, 0)
    mass = np.where(certain[:, None], inside & (counts == sure[:, None]), mass)
    return mass / mass.sum(1, keepdims=True)


def _sweep(load: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Thresholds and aliases of rows of loads with mean 1, each row with one heap in the middle.

    All rows at once, a column of each at every step: either a light column is filled up by the
    heavy one at hand, or that one, become light, is filled up by the next heavy one.
    """
    num_rows, num_columns = load.shape
    heavy = load > 1
    begin = heavy.argmax(1)
    end = num_columns - 1 - heavy[:, ::-1].argmax(1)
    # Column by column in memory: neighbouring rows are at about the same column all the time.
    flat, row = load.T.ravel(), np.arange(num_rows)
    threshold, alias = np.ones(load.size), np.zeros(load.size, np.int64)
    light, current = np.where(begin == 0, end + 1, 0), begin
    left = flat[current * num_rows + row]
    for _ in range(num_columns):
        at_end = current == end
        fill = (light < num_columns) & ((left > 1) | at_end)
        following = np.where(at_end, end, current + 1)
        next_load = flat[np.where(fill, light, following) * num_rows + row]
        here = np.where(fill, light, current) * num_rows + row
        threshold[here] = np.where(fill, next_load, np.where(at_end, 1, left))
        alias[here] = np.where(fill, current, following)
        left = left - 1 + next_load
        light = light + fill
        light = np.where(light == begin, end + 1, light)
        current = np.where(fill, current, following)
    threshold = np.minimum(threshold, 1)
    return threshold.reshape(-1, num_rows).T, alias.reshape(-1, num_rows).T


# --- Draws of NumPy's -----------------------------------------------------------------------------


def draw_survivors(
    generator: np.random.Generator,
    num_samples: int,
    cumulative: Float[np.ndarray, " outcomes"],
    num_rows: int,
) -> tuple[Int[np.ndarray, "rows samples"], Int[np.ndarray, "rows samples"]]:
    """Draw fewer samples than there are outcomes, and list those that are drawn.

    Args:
        generator: of the random numbers.
        num_samples: n.
        cumulative: sums of the first 1, 2, 3, … weights; an outcome of weight 0 is never drawn.
        num_rows: how many times.

    Returns:
        The outcomes that are drawn, in increasing order at the end of each row, and their counts;
        in the places before, outcome and count are 0.
    """
    points = _sorted_points(generator, (num_rows, num_samples), cumulative[-1])
    drawn = cumulative.searchsorted(points, side="right")
    new = np.ones(drawn.shape, bool)
    new[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
    filled = _last_places(new)
    outcomes, counts = np.zeros_like(drawn), np.zeros_like(drawn)
    outcomes[filled] = drawn[new]
    # The first sample of every row is new: no run of equal ones reaches into the next row.
    counts[filled] = np.diff(np.flatnonzero(new), append=drawn.size)
    return outcomes, counts


def count_points(
    generator: np.random.Generator, num_samples: int, weights: Float[np.ndarray, "rows outcomes"]
) -> Int[np.ndarray, "rows outcomes"]:
    """Draw samples of a few outcomes: n sorted points, counted between cumulative weights.

    Args:
        generator: of the random numbers.
        num_samples: n.
        weights: of the outcomes; what is 0 is never drawn.

    Returns:
        The counts.
    """
    cumulative = np.cumsum(weights, axis=1)
    points = _sorted_points(generator, (len(weights), num_samples), cumulative[:, -1:])
    below = np.zeros((len(weights), weights.shape[1] + 1), np.int64)
    for row, sorted_points in enumerate(points):
        below[row, 1:] = sorted_points.searchsorted(cumulative[row])
    return np.diff(below, axis=1)


def draw_parents(
    generator: np.random.Generator, num_samples: int, counts: Int[np.ndarray, "rows outcomes"]
) -> Int[np.ndarray, "rows outcomes"]:
    """Draw samples in proportion to counts: each repeats one of the n samples before it.

    Args:
        generator: of the random numbers.
        num_samples: n, which is also the sum of each row.
        counts: of the outcomes.

    Returns:
        The counts.
    """
    rows = np.arange(len(counts))[:, None]
    places = np.repeat(np.arange(counts.size), counts.ravel())
    parents = (generator.random((len(counts), num_samples)) * num_samples).astype(np.int64)
    drawn = places.take(parents + num_samples * rows)
    return np.bincount(drawn.ravel(), minlength=counts.size).reshape(counts.shape)


def _sorted_points(
    generator: np.random.Generator, shape: tuple[int, int], total: Any
) -> Float[np.ndarray, "rows samples"]:
    """Uniform points in [0, total), each row sorted."""
    points = generator.random(shape)
    points *= total
    # Against a uniform number that rounds to the whole.
    np.minimum(points, np.nextafter(total, 0), out=points)
    points.sort(axis=1)
    return points


def draw_binomials(
    generator: np.random.Generator, num_samples: int, weights: Float[np.ndarray, "rows outcomes"]
) -> Int[np.ndarray, "rows outcomes"]:
    """Draw many samples of each outcome: one binomial variate after the other.

    Args:
        generator: of the random numbers.
        num_samples: n.
        weights: of the outcomes; what is 0 is never drawn.

    Returns:
        The counts.
    """
    # Added up one after the other: zeros to the left leave the last digit as it is.
    p = weights / np.cumsum(weights, axis=1)[:, -1:]
    counts = generator.multinomial(num_samples, p)
    # NumPy gives what rounding left over to the last outcome, be its probability 0.
    for row in np.flatnonzero((counts[:, -1] > 0) & (p[:, -1] == 0)):
        counts[row, p[row].argmax()] += counts[row, -1]
        counts[row, -1] = 0
    return counts


def move_survivors(
    outcomes: Int[np.ndarray, "rows width"], counts: Int[np.ndarray, "rows width"]
) -> Int[np.ndarray, " rows"]:
    """Move what has a count to the end of each row, in place and in order; all else becomes 0.

    Returns:
        How many outcomes of each row survive.
    """
    alive = counts > 0
    filled = _last_places(alive)
    for array in (outcomes, counts):
        kept = array[alive]
        array[...] = 0
        array[filled] = kept
    return alive.sum(axis=1)


def _last_places(mask: np.ndarray) -> np.ndarray:
    """As many places at the end of each row as the mask has anywhere in it."""
    return np.arange(mask.shape[1]) >= mask.shape[1] - mask.sum(axis=1, keepdims=True)
