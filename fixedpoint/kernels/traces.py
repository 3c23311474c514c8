"""Single traces: a tile of replicates of one model, through all its generations.

The model of a tile is kept as (num_outcomes, tile), for two outcomes as the gap (tile,): the
replicates are the last axis, on which every operation is elementwise. `fixedpoint.loop.traces` says
what is computed and checks the arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from fixedpoint.kernels.random import next_uniform

__all__ = ["simulate"]


def simulate(
    observe: Callable[[Array], Any],
    num_samples: int,
    is_one: bool,
    words: Array,
    start: Array,
    lengths: Array,
    step_size: Array,
    weight_decay: Array,
    temperature: Array,
) -> Any:
    """Run a tile of replicates and observe each between stretches of generations.

    Args:
        observe: a function of the logits, shape (tile, num_outcomes).
        num_samples: B, the samples of a generation.
        is_one: whether the temperature is 1, which saves an exponential.
        words: the generators' states, shape (tile, 2).
        start: the logits at generation 0, shape (num_outcomes,).
        lengths: how many generations pass before each observation.
        step_size: η.
        weight_decay: λ.
        temperature: T.

    Returns:
        What was observed, shape (S, tile, ...).
    """
    two = len(start) == 2

    def observed(model: Array) -> Any:
        return observe(jnp.stack([model / 2, -model / 2], -1) if two else model[: len(start)].T)

    def generation(_: Any, state: Any) -> Any:
        advance = _gap_generation if two else _logits_generation
        return advance(state, step_size, weight_decay, temperature, num_samples, is_one)

    def until_saved(state: Any, length: Array) -> Any:
        state = lax.fori_loop(0, length, generation, state)
        return state, observed(state[0])

    return lax.scan(until_saved, (_initial(start, len(words)), (*words.T,)), lengths)[1]


def _initial(start: Array, size: int) -> Array:
    """The model at generation 0 for every replicate of a tile."""
    if len(start) == 2:
        return jnp.full(size, start[0] - start[1])
    block = _block_size(len(start))
    padded = jnp.pad(start, (0, -len(start) % block), constant_values=-jnp.inf)
    return jnp.tile(padded[:, None], (1, size))


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
