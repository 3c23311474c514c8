"""Single traces, fast: one gradient step per generation on a handful of fresh samples.

`run` carries any loop; a single-trace loop asks for a hundred thousand generations of thousands of
replicates, where the work of one generation is a few exponentials. `run_traces` runs the same loop
(Temperature, Fresh, one GradientSteps step) in the form that a processor likes:

- *Random numbers* come from a xoroshiro generator inside the loop, one per replicate, seeded with
  the key and the replicate's number alone: nothing is drawn or stored in advance.
- *Tiles.* Replicates are run in tiles that stay in the cache, each through all its generations.
- *Two outcomes* are carried as the gap z = θ₁ − θ₂ of the logits: one exponential a generation.
- *More outcomes* are searched in two levels (a block of √K outcomes, then one of the block).
- *Memory* holds the saved observables alone, whatever the number of generations.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float

from fixedpoint import checks, simplex
from fixedpoint.loop.corpora import Fresh
from fixedpoint.loop.learners import GradientSteps
from fixedpoint.loop.run import Loop, Trajectory
from fixedpoint.loop.samplers import Temperature

__all__ = ["logarithmic_generations", "run_traces"]

# Asks XLA for the widest vectors; the arithmetic and its order are the same.
TUNING = {"xla_cpu_prefer_vector_width": 512}

# Shifts of xoroshiro128+ and of its half-size sibling, by the number of bits of a word.
_SHIFTS = {64: (24, 16, 37), 32: (26, 9, 13)}


def run_traces(
    loop: Loop,
    logits: Float[Array, " outcomes"],
    num_generations: int,
    *,
    key: Array,
    num_replicates: int,
    observe: Callable[[Array], Any] | None = None,
    save_at: Sequence[int] | None = None,
    devices: Sequence[Any] | None = None,
) -> Trajectory:
    """Run a single-trace loop over a long horizon.

    One generation draws B samples with frequencies p̂ from softmax(θ/T) and takes one step,

        θ' = (1 − ηλ) θ + η (p̂ − p),    p = softmax(θ).

    Args:
        loop: `Loop(Temperature(T), Fresh(B), GradientSteps(step_size=η, weight_decay=λ))`.
        logits: The initial model, finite, shape (num_outcomes,); it is centred (mean 0) first,
            which changes the model only in how it is written.
        num_generations: How many generations, at least 0.
        key: A random key.
        num_replicates: How many independent runs.
        observe: A function of the logits, shape (..., num_outcomes), whose values are saved; by
            default the logits themselves.
        save_at: The generations to save, increasing; by default about nine per decade
            (`logarithmic_generations`).
        devices: The devices that share the replicates; by default all local ones.

    Returns:
        The saved generations and values, of shape (S, num_replicates, ...).

    Raises:
        ValueError: If the loop is not of that form, or an argument is out of its range.

    Validity:
        Exact arithmetic of the rule; the samples are exact up to the resolution of the uniform
        numbers (2⁻⁵² in float64). In float32 a gap of the logits stops growing near 15, where its
        increments fall below the rounding: use float64 for long horizons. Replicate r depends on
        the key and r alone; not on the other replicates, the saved generations or the devices.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size=0.1))
        >>> runs = run_traces(
        ...     loop, jnp.zeros(2), 10_000, key=jax.random.key(0), num_replicates=3,
        ...     observe=fp.simplex.entropy, save_at=[0, 10_000],
        ... )
        >>> runs.value.shape
        (2, 3)
    """
    sampler, corpus, learner = parts(loop)
    checks.check_logits(logits)
    start = simplex.centre(jnp.asarray(logits, jnp.result_type(logits, float)))
    if start.ndim != 1 or not np.all(np.isfinite(start)):
        raise ValueError(
            f"`logits` must be finite, of shape (num_outcomes,), without lost outcomes; "
            f"got {logits}."
        )
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    num_replicates = checks.check_count(num_replicates, "num_replicates")
    saved = logarithmic_generations(num_generations) if save_at is None else np.asarray(save_at)
    if np.any(np.diff(saved) <= 0) or saved[0] < 0 or saved[-1] > num_generations:
        raise ValueError(f"`save_at` must increase within 0..{num_generations}; got {saved}.")

    devices = tuple(jax.local_devices() if devices is None else devices)
    tile = int(np.clip(4096 // len(start), 16, 512))
    num_tiles = -(-num_replicates // tile)
    num_tiles += -num_tiles % len(devices)
    words = seeds(key, start.dtype, num_tiles * tile).reshape(num_tiles, tile, 2).swapaxes(1, 2)
    driver = _driver(
        devices, observe or _itself, corpus.num_samples, float(sampler.temperature) == 1
    )
    lengths = jnp.asarray(np.diff(saved, prepend=0))
    numbers = [
        jnp.asarray(number, start.dtype)
        for number in (learner.step_size, learner.weight_decay, sampler.temperature)
    ]
    value = driver(words, start, lengths, *numbers)
    return Trajectory(
        generation=jnp.asarray(saved),
        value=jax.tree.map(lambda leaf: _replicates_second(leaf, num_replicates), value),
    )


def logarithmic_generations(num_generations: int) -> np.ndarray:
    """Generations 0, 1, …, 9, 10, 20, …, 90, 100, …, up to and including the last one.

    Args:
        num_generations: The last one, at least 0.

    Returns:
        Increasing generations, nine per decade.

    Raises:
        ValueError: If `num_generations` is negative.

    Example:
        >>> logarithmic_generations(25).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 25]
    """
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    decades = range(len(str(num_generations)))
    series = [digit * 10**decade for decade in decades for digit in range(1, 10)]
    return np.array(
        [0, *(n for n in series if n < num_generations), *[num_generations][:num_generations]]
    )


def parts(loop: Loop) -> tuple[Temperature, Fresh, GradientSteps]:
    """Sampler, corpus and learner of a single-trace loop."""
    sampler, corpus, learner = loop.sampler, loop.corpus, loop.learner
    if isinstance(sampler, tuple) and len(sampler) == 1:
        (sampler,) = sampler
    single = (
        isinstance(sampler, Temperature)
        and isinstance(corpus, Fresh)
        and isinstance(learner, GradientSteps)
        and (learner.num_steps, learner.batch_size, learner.start) == (1, None, "last")
        and 0 < float(sampler.temperature) < np.inf
    )
    if not single:
        raise ValueError(
            "`loop` must be Loop(Temperature(T), Fresh(B), GradientSteps(step_size)) with "
            f"0 < T < inf and one full-batch step; `run` takes every loop. Got {loop}."
        )
    return sampler, corpus, learner  # type: ignore[return-value]


def _itself(logits: Array) -> Array:
    return logits


def _replicates_second(leaf: Array, num_replicates: int) -> Array:
    """From (tiles, S, tile, ...) to (S, num_replicates, ...)."""
    saved_first = jnp.moveaxis(leaf, 0, 1)
    return saved_first.reshape(leaf.shape[1], -1, *leaf.shape[3:])[:, :num_replicates]


# --- Random numbers -------------------------------------------------------------------------------


def seeds(key: Array, dtype: Any, num_replicates: int) -> Array:
    """Two words for every replicate, made from the key and its number: (num_replicates, 2)."""
    word = jnp.uint64 if dtype == jnp.float64 else jnp.uint32
    keys = jax.vmap(lambda r: jax.random.fold_in(key, r))(jnp.arange(num_replicates))
    return jax.vmap(lambda k: jax.random.bits(k, (2,), word))(keys)


def next_uniform(words: tuple[Array, Array]) -> tuple[Array, tuple[Array, Array]]:
    """A number in [0, 1) and the generator's next state."""
    low, high = words
    dtype = low.dtype
    size, kept = (64, 52) if dtype == jnp.uint64 else (32, 23)
    a, b, c = _SHIFTS[size]

    def rotated(word: Array, by: int) -> Array:
        return (word << dtype.type(by)) | (word >> dtype.type(size - by))

    output = low + high if size == 64 else low * dtype.type(0x9E3779BB)
    uniform = (output >> dtype.type(size - kept)).astype(f"float{size}") * 2.0**-kept
    mixed = low ^ high
    return uniform, (rotated(low, a) ^ mixed ^ (mixed << dtype.type(b)), rotated(mixed, c))


# --- One generation -------------------------------------------------------------------------------
# The model of a tile is kept as (num_outcomes, tile), for two outcomes as the gap (tile,).


def _gap_generation(state, step_size, weight_decay, temperature, num_samples, is_one):
    """One generation of two outcomes, in the gap z = θ₁ − θ₂."""
    gap, words = state
    p = 1 / (1 + jnp.exp(-gap))
    drawn = p if is_one else 1 / (1 + jnp.exp(-gap / temperature))

    def draw(_, carry):
        count, words = carry
        uniform, words = next_uniform(words)
        return count + (uniform < drawn), words

    count, words = _repeat(num_samples, draw, (jnp.zeros_like(gap), words))
    decay = 1 - step_size * weight_decay
    return decay * gap + 2 * step_size * (count / num_samples - p), words


def _logits_generation(state, step_size, weight_decay, temperature, num_samples, is_one):
    """One generation of K outcomes, in the logits; rows of padding have the logit -inf."""
    logits, words = state
    weights = jnp.exp(logits)
    blocks = _block_sums(weights)
    normaliser = blocks.sum(0, keepdims=True)
    drawn = weights if is_one else jnp.exp(logits / temperature)
    drawn_blocks = blocks if is_one else _block_sums(drawn)
    rows = jnp.arange(len(logits))[:, None]

    def draw(_, carry):
        counts, words = carry
        uniform, words = next_uniform(words)
        return counts + (rows == _search(drawn, drawn_blocks, uniform)[None]), words

    counts, words = _repeat(num_samples, draw, (jnp.zeros_like(logits), words))
    decay = 1 - step_size * weight_decay
    step = step_size * (counts / num_samples - weights / normaliser)
    return decay * logits + step, words


def _repeat(times: int, body: Callable, carry: Any) -> Any:
    return body(0, carry) if times == 1 else lax.fori_loop(0, times, body, carry)


def _block_size(num_outcomes: int) -> int:
    return int(np.ceil(np.sqrt(num_outcomes)))


def _block_sums(weights: Array) -> Array:
    size = _block_size(len(weights))
    return weights.reshape(-1, size, weights.shape[1]).sum(1)


def _search(weights: Array, blocks: Array, uniform: Array) -> Array:
    """The outcome i with C(i-1) ≤ u C(K) < C(i), found block by block."""
    size = len(weights) // len(blocks)
    target = uniform * blocks.sum(0)
    block, below = _first_above(blocks, target)
    inside = jnp.take_along_axis(weights.reshape(*blocks.shape[:1], size, -1), block[None, None], 0)
    place, _ = _first_above(inside[0], target - below)
    return block * size + place


def _first_above(weights: Array, target: Array) -> tuple[Array, Array]:
    """First row at which the running sum exceeds the target, and the sum before it.

    A row of weight 0 is never chosen; should rounding leave the target above the whole sum, the
    last row of positive weight is.
    """

    def row(carry, weight):
        below, chosen, start, number = carry
        positive = (weight > 0) & (below <= target)
        chosen = jnp.where(positive, number, chosen)
        start = jnp.where(positive, below, start)
        return (below + weight, chosen, start, number + 1), None

    zero = jnp.zeros_like(target)
    nowhere = jnp.zeros(target.shape, int)
    (_, chosen, start, _), _ = lax.scan(row, (zero, nowhere, zero, 0), weights)
    return chosen, start


# --- The driver -----------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _driver(
    devices: tuple[Any, ...], observe: Callable, num_samples: int, is_one: bool
) -> Callable[..., Any]:
    """Compile the run of all tiles; the options are allowed only in an outermost jit."""

    def simulate(words, start, lengths, step_size, weight_decay, temperature):
        two = len(start) == 2

        def observed(model):
            return observe(jnp.stack([model / 2, -model / 2], -1) if two else model[: len(start)].T)

        def generation(_, state):
            advance = _gap_generation if two else _logits_generation
            return advance(state, step_size, weight_decay, temperature, num_samples, is_one)

        def until_saved(state, length):
            state = lax.fori_loop(0, length, generation, state)
            return state, observed(state[0])

        def tile(words):
            return lax.scan(until_saved, (_initial(start, words.shape[1]), (*words,)), lengths)[1]

        return lax.map(tile, words)

    mesh = Mesh(np.asarray(devices), ("tiles",))
    tiles, whole = PartitionSpec("tiles"), PartitionSpec()
    sharded = jax.shard_map(
        simulate,
        mesh=mesh,
        in_specs=(tiles, *[whole] * 5),
        out_specs=tiles,
        check_vma=False,
    )
    return jax.jit(sharded, compiler_options=TUNING if devices[0].platform == "cpu" else None)


def _initial(start: Array, size: int) -> Array:
    """The model at generation 0 for every replicate of a tile."""
    if len(start) == 2:
        return jnp.full(size, start[0] - start[1])
    block = _block_size(len(start))
    padded = jnp.pad(start, (0, -len(start) % block), constant_values=-jnp.inf)
    return jnp.tile(padded[:, None], (1, size))
