"""Single traces: a tile of replicates of one model, through all its generations.

The replicates are the last axis of everything, on which every operation is elementwise. The model
has three forms: the gap of two outcomes, the weights e^θ of more, the logits themselves.
`fixedpoint.loop.traces` says what is computed and checks the arguments.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from fixedpoint.kernels import driver
from fixedpoint.kernels.exponential import exponential
from fixedpoint.kernels.random import next_uniform, next_word, uniform_near_0

__all__ = ["decay_polynomial", "simulate", "uses_library"]


def simulate(
    observe: Callable[[Array], Any],
    num_samples: int,
    is_one: bool,
    reach: float,
    words: Array | None,
    carried: Any,
    start: Array,
    lengths: Array,
    levels: Array,
    first: Array,
    step_size: Array,
    weight_decay: Array,
    temperature: Array,
) -> tuple[Any, Array, Any]:
    """Run a tile of replicates and observe each between stretches of generations.

    Args:
        observe: a function of the logits, shape (tile, num_outcomes).
        num_samples: B, the samples of a generation.
        is_one: whether the temperature is 1, which saves an exponential.
        reach: a bound of η and η/T up to which the weights themselves are carried (for one sample
            without weight decay); 0 carries the logits.
        words: the generators' states at generation 0, shape (tile, 2); None where a run goes on.
        carried: where it stopped, as it was handed back; None at generation 0.
        start: the logits at generation 0, shape (num_outcomes,).
        lengths: how many generations pass before each observation.
        levels: what is added to the logits that are observed, shape (S,).
        first: the generation at which the run begins or goes on.
        step_size: η.
        weight_decay: λ.
        temperature: T.

    Returns:
        What was observed, shape (S, tile, ...); the logits in the end, (1, tile, num_outcomes); and
        the state with which the run goes on, every array (1, tile, ...).
    """
    parameters, num_outcomes = (step_size, weight_decay, temperature), len(start)
    if num_outcomes == 2:
        model: Any = _Gap(parameters, num_samples, is_one)
    elif reach:
        model = _Weights(parameters, is_one, reach, num_outcomes)
    else:
        model = _Logits(parameters, num_samples, is_one, num_outcomes)

    def until_saved(carry: Any, entry: Any) -> Any:
        length, level = entry

        # The state is refreshed at fixed generations, whatever is saved in between.
        def generations(number: Array, state: Any) -> Any:
            return lax.fori_loop(0, number, lambda _, state: model.generation(state), state)

        if not uses_library(num_outcomes, reach):
            generations = driver.one_function(generations)

        def stretch(carry: Any) -> Any:
            state, passed, left = carry
            now = jnp.minimum(left, _REFRESH - passed % _REFRESH)
            state = generations(now, state)
            passed = passed + now
            state = lax.cond(passed % _REFRESH == 0, model.refreshed, lambda state: state, state)
            return state, passed, left - now

        state, passed, _ = lax.while_loop(lambda carry: carry[2] > 0, stretch, (*carry, length))
        return (state, passed), observe(model.logits(state) + level)

    if words is None:
        state = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -1), carried)
    else:
        state = model.initial(start, (*words.T,))
    (state, _), values = lax.scan(until_saved, (state, first), (lengths, levels))
    left = jax.tree.map(lambda leaf: jnp.moveaxis(leaf, -1, 0)[None], state)
    return values, model.logits(state)[None], left


_REFRESH = 1024
"""Generations after which carried weights are computed anew from one set of logits."""


class _Gap:
    """Two outcomes, in the gap z = θ₁ − θ₂: the state is (z, words)."""

    def __init__(self, parameters: tuple[Any, ...], num_samples: int, is_one: bool) -> None:
        self.parameters, self.num_samples, self.is_one = parameters, num_samples, is_one

    def initial(self, start: Array, words: Any) -> Any:
        return jnp.full(words[0].shape, start[0] - start[1]), words

    def logits(self, state: Any) -> Array:
        return jnp.stack([state[0] / 2, -state[0] / 2], -1)

    def refreshed(self, state: Any) -> Any:
        return state

    def generation(self, state: Any) -> Any:
        gap, words = state
        step_size, weight_decay, temperature = self.parameters
        odds = _exponential(-gap)  # of the second outcome
        drawn_odds = odds if self.is_one else _exponential(-gap * (1 / temperature))

        def draw(_: Any, carry: Any) -> Any:
            count, words = carry
            if gap.dtype == jnp.float64:
                uniform, words = next_uniform(words)
                return count + (uniform * (1 + drawn_odds) < 1), words
            # The rarer one at the end where float32 has small numbers, that is near 0.
            (first, second), words = _two_words(words)
            rare = jnp.minimum(drawn_odds, 1 / drawn_odds)
            is_rare = uniform_near_0(first, second, gap.dtype) * (1 + rare) < rare
            return count + (is_rare != (drawn_odds <= 1)), words

        count, words = _repeat(self.num_samples, draw, (jnp.zeros_like(gap), words))
        decay = 1 - step_size * weight_decay
        return decay * gap + 2 * step_size * (count / self.num_samples - 1 / (1 + odds)), words


def _exponential(y: Array) -> Array:
    return exponential(jnp.minimum(y, 708.0)) if y.dtype == jnp.float64 else jnp.exp(y)


class _Weights:
    """K outcomes in a = e^θ and, unless T = 1, b = e^{θ/T}: the state is ((a, b), prepared, words).

    One sample changes the weights by the factors e^{−ηp}, and e^{η} for the outcome drawn: short
    polynomials instead of exponentials. What the next generation needs of all outcomes together
    (the rate, and where the point drawn falls) is prepared at the end of each; carried from one to
    the next it is computed once, where XLA would otherwise compute it again for every outcome.

    Of up to `_FLAT` outcomes the one drawn is found by adding them up in turn. More are arranged in
    blocks of about √K: (blocks, block, tile).
    """

    def __init__(
        self, parameters: tuple[Any, ...], is_one: bool, reach: float, num_outcomes: int
    ) -> None:
        self.step_size, _, temperature = parameters
        self.is_one, self.inverse = is_one, 1 / temperature
        self.num_outcomes = num_outcomes
        flat = num_outcomes <= _FLAT
        self.block = num_outcomes if flat else int(np.ceil(np.sqrt(num_outcomes)))
        self.decay = decay_polynomial(reach)
        self.running = jnp.asarray(np.tril(np.ones((self.block, self.block))))
        self.num_blocks = -(-num_outcomes // self.block)
        self.running_blocks = jnp.asarray(np.tril(np.ones((self.num_blocks, self.num_blocks))))

    def initial(self, start: Array, words: Any) -> Any:
        padding = self.num_blocks * self.block - self.num_outcomes
        theta = jnp.pad(start, (0, padding), constant_values=-jnp.inf)
        theta = theta.reshape(self.num_blocks, self.block, 1)
        theta = jnp.broadcast_to(theta, (*theta.shape[:2], *words[0].shape))
        uniform, words = next_uniform(words)
        return self._from(theta, uniform, words)

    def logits(self, state: Any) -> Array:
        a = state[0][0]
        theta = jnp.log(a.reshape(-1, a.shape[-1])[: self.num_outcomes]).T
        return theta - theta.mean(-1, keepdims=True)

    def refreshed(self, state: Any) -> Any:
        (a, *_), (_, _, uniform), words = state
        theta = jnp.log(a)
        return self._from(theta - theta.max((0, 1), keepdims=True), uniform, words)

    def _from(self, theta: Array, uniform: Array, words: Any) -> Any:
        a = jnp.exp(theta)
        weights = (a,) if self.is_one else (a, jnp.exp(theta * self.inverse))
        return weights, (self._rate(a), self._drawn(weights[-1], uniform), uniform), words

    def _rate(self, a: Array) -> Array:
        return self.step_size / a.sum((0, 1))

    def _drawn(self, b: Array, uniform: Array) -> tuple[Array, ...]:
        """The outcome drawn; or, of blocks, their running sums and the point that falls there."""
        if self.num_blocks == 1:
            sums = list(accumulate(b[0]))
            point = uniform * sums[-1]
            return (sum(((below <= point) * 1 for below in sums[:-1]), jnp.zeros_like(point, int)),)
        sums = self.running_blocks @ b.sum(1)
        return sums, uniform * sums[-1]

    def generation(self, state: Any) -> Any:
        (a, *others), (rate, drawn, _), words = state
        chosen = self._chosen(others[0] if others else a, *drawn)
        outcomes = jnp.arange(self.num_blocks * self.block).reshape(self.num_blocks, self.block, 1)
        hit = outcomes == chosen[None, None]
        uniform, words = next_uniform(words)

        def moved(weight: Array, rate: Array, step_size: Array) -> Array:
            growth = jnp.where(hit, jnp.exp(step_size), 1)
            return weight * self.decay(-a * rate[None, None]) * growth

        if others:
            slower = driver.apart(lambda rate: rate * self.inverse)(rate)
            others = [moved(others[0], slower, self.step_size * self.inverse)]
            drawn = self._drawn(others[0], uniform)
            # What was a is needed for b. The 0 makes a wait for that, or XLA would copy it first.
            rate = driver.apart(lambda rate, point: rate + jnp.minimum(point, 0))(rate, drawn[-1])
        a = moved(a, rate, self.step_size)
        if not others:
            drawn = self._drawn(a, uniform)
        return (a, *others), (self._rate(a), drawn, uniform), words

    def _chosen(self, b: Array, *drawn: Array) -> Array:
        """The outcome drawn, C(i-1) ≤ point < C(i)."""
        if self.num_blocks == 1:
            return drawn[0]
        sums, point = drawn
        block = jnp.minimum((sums <= point[None]).sum(0), self.num_blocks - 1)
        below = jnp.take_along_axis(sums, jnp.maximum(block - 1, 0)[None], 0)[0]
        left = point - jnp.where(block > 0, below, 0)
        inside = jnp.take_along_axis(b, block[None, None], 0)[0]
        place = (self.running @ inside <= left[None]).sum(0)
        return driver.apart(
            lambda block, place: block * self.block + jnp.minimum(place, self.block - 1)
        )(block, place)


_FLAT = 48
"""Up to so many outcomes are added up one after the other."""


def uses_library(num_outcomes: int, reach: float) -> bool:
    """Whether `simulate` is to be run with XLA's library: where it adds up blocks of weights."""
    return bool(reach) and num_outcomes > _FLAT


def decay_polynomial(reach: float) -> Callable[[Array], Array]:
    """e^y on [−reach, 0] to 1e-15, and 1 at y = 0 exactly: 1 + y times an interpolation."""
    degree = 1
    # The error of interpolating (e^y − 1)/y, whose n-th derivative is at most 1/(n + 1), times y.
    while 2 * reach * (reach / 4) ** degree / math.factorial(degree + 1) > 3e-16:
        degree += 1
    angles = np.pi * (np.arange(degree) + 0.5) / degree
    points = [Fraction(point) for point in -reach / 2 * (1 + np.cos(angles))]
    # In fractions, as the powers of y in it are large and cancel: Newton's divided differences.
    terms = [Fraction(1, math.factorial(j + 1)) for j in range(30)]
    values = [sum((term * y**j for j, term in enumerate(terms)), Fraction(0)) for y in points]
    for order in range(1, degree):
        for i in reversed(range(order, degree)):
            values[i] = (values[i] - values[i - 1]) / (points[i] - points[i - order])
    exact: list[Fraction] = []  # the coefficients of 1, y, y², …
    for value, point in zip(reversed(values), reversed(points), strict=True):
        shifted = [Fraction(0), *exact]
        for power, coefficient in enumerate(exact):
            shifted[power] -= point * coefficient
        exact = [shifted[0] + value, *shifted[1:]]
    coefficients = [float(coefficient) for coefficient in exact]

    def decay(y: Array) -> Array:
        value = jnp.full_like(y, coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            value = value * y + coefficient
        return value * y + 1

    return decay


class _Logits:
    """K outcomes in the logits, (num_outcomes, tile), padded with -inf: the state is (θ, words)."""

    def __init__(
        self, parameters: tuple[Any, ...], num_samples: int, is_one: bool, num_outcomes: int
    ) -> None:
        self.parameters, self.num_samples, self.is_one = parameters, num_samples, is_one
        self.num_outcomes = num_outcomes

    def initial(self, start: Array, words: Any) -> Any:
        padding = -len(start) % _block_size(len(start))
        padded = jnp.pad(start, (0, padding), constant_values=-jnp.inf)
        return jnp.tile(padded[:, None], (1, len(words[0]))), words

    def logits(self, state: Any) -> Array:
        return state[0][: self.num_outcomes].T

    def refreshed(self, state: Any) -> Any:
        return state

    def generation(self, state: Any) -> Any:
        logits, words = state
        step_size, weight_decay, temperature = self.parameters
        weights = jnp.exp(logits)
        blocks = _block_sums(weights)
        normaliser = blocks.sum(0, keepdims=True)
        drawn = weights if self.is_one else jnp.exp(logits / temperature)
        drawn_blocks = blocks if self.is_one else _block_sums(drawn)
        rows = jnp.arange(len(logits))[:, None]

        shares = drawn / drawn_blocks.sum(0, keepdims=True)
        in_units = None if logits.dtype == jnp.float64 else _Units(shares)

        def draw(_: Any, carry: Any) -> Any:
            counts, words = carry
            if in_units is None:
                uniform, words = next_uniform(words)
                place = _search(drawn, drawn_blocks, uniform)
            else:
                (first, second), words = _two_words(words)
                place = in_units.search(first, second)
            return counts + (rows == place[None]), words

        counts, words = _repeat(self.num_samples, draw, (jnp.zeros_like(logits), words))
        decay = 1 - step_size * weight_decay
        step = step_size * (counts / self.num_samples - weights / normaliser)
        return decay * logits + step, words


def _two_words(words: Any) -> tuple[tuple[Array, Array], Any]:
    first, words = next_word(words)
    second, words = next_word(words)
    return (first, second), words


def _repeat(times: int, body: Callable[..., Any], carry: Any) -> Any:
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

    def row(carry: Any, weight: Any):
        below, chosen, start, number = carry
        positive = (weight > 0) & (below <= target)
        chosen = jnp.where(positive, number, chosen)
        start = jnp.where(positive, below, start)
        return (below + weight, chosen, start, number + 1), None

    zero = jnp.zeros_like(target)
    nowhere = jnp.zeros(target.shape, int)
    (_, chosen, start, _), _ = lax.scan(row, (zero, nowhere, zero, 0), weights)
    return chosen, start


class _Units:
    """Shares (num_outcomes, tile) in whole numbers, found block by block like `_search` does.

    In float32 an outcome of share 1e-8 would add nothing to a sum near 1. A share is two words in
    units of 2⁻³⁰ and of 2⁻³⁰⁻ᵇ, b so few bits that no sum of the second words overflows.
    """

    def __init__(self, shares: Array) -> None:
        self.size = _block_size(len(shares))
        self.bits = np.uint32(min(24, 31 - len(shares).bit_length()))
        self.one = np.uint32(1 << self.bits)
        self.words = [
            word.reshape(-1, self.size, shares.shape[1]) for word in self._words_of(shares)
        ]
        self.blocks = self._carried(*(word.sum(1, dtype=jnp.uint32) for word in self.words))
        whole, _ = self._carried(*(word.sum(0, dtype=jnp.uint32) for word in self.blocks))
        # What the shares add up to besides 1, by which the points are stretched.
        self.excess = (whole.astype(jnp.int32) - 2**30).astype(shares.dtype) * 2.0**-30

    def _words_of(self, share: Array) -> tuple[Array, Array]:
        high = jnp.floor(share * 2.0**30)
        low = jnp.floor((share * 2.0**30 - high) * float(self.one))
        return high.astype(jnp.uint32), low.astype(jnp.uint32)

    def _carried(self, high: Array, low: Array) -> tuple[Array, Array]:
        return high + (low >> self.bits), low & (self.one - np.uint32(1))

    def search(self, first: Array, second: Array) -> Array:
        """The outcome at the point that two words of 32 random bits make."""
        high, low = first >> np.uint32(2), second >> (np.uint32(32) - self.bits)
        uniform = high.astype(self.excess.dtype) * 2.0**-30
        more, rest = self._words_of(uniform * jnp.abs(self.excess))
        longer = self._carried(high + more, low + rest)
        shorter = self._carried(high - more - np.uint32(1), low - rest + self.one)
        target = [
            jnp.where(self.excess > 0, up, down) for up, down in zip(longer, shorter, strict=True)
        ]
        block, below = self._first_above(self.blocks, target)
        target = self._carried(target[0] - below[0] - np.uint32(1), target[1] - below[1] + self.one)
        inside = [jnp.take_along_axis(word, block[None, None], 0)[0] for word in self.words]
        return block * self.size + self._first_above(inside, target)[0]

    def _first_above(self, words: Any, target: Any) -> tuple[Array, Any]:
        """As the function of this name, in pairs of words."""

        def row(carry: Any, word: Any) -> Any:
            below, chosen, start, number = carry
            lower = (below[0] == target[0]) & (below[1] <= target[1])
            hit = ((word[0] | word[1]) > 0) & ((below[0] < target[0]) | lower)
            chosen = jnp.where(hit, number, chosen)
            start = [jnp.where(hit, new, old) for new, old in zip(below, start, strict=True)]
            below = [*self._carried(below[0] + word[0], below[1] + word[1])]
            return (below, chosen, start, number + 1), None

        zero = [jnp.zeros_like(word) for word in target]
        nowhere = jnp.zeros(target[0].shape, int)
        (_, chosen, start, _), _ = lax.scan(row, (zero, nowhere, zero, 0), tuple(words))
        return chosen, start
