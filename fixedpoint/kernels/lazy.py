"""Single traces of hundreds of outcomes and more, for far less than their number a generation.

A generation multiplies the weight a = e^θ of every outcome by e^{−ca}, c = η/Z with Z the sum of
all weights, and that of the outcome drawn by e^η as well. So what becomes of an outcome that is not
drawn depends on its weight alone, and smoothly. The run is cut into *blocks* of some hundreds of
generations. All outcomes are visited when a block begins; in it, a generation touches

- the *heavy* outcomes, the few largest, which are carried one by one;
- *nodes*: imaginary outcomes at the Chebyshev points of (0, limit], the limit being above the
  weights of all other outcomes, the *light* ones, in this block. What log a has lost since the
  block began is a function `fall` of the weight u, in units of the limit, that it began with.
  Between the nodes it is interpolated, and the weights of the light outcomes add up to a
  quadrature, Σ uᵢ e^{−fall(uᵢ)} = first + Σⱼ weightⱼ (e^{−fallⱼ} − 1);
- the outcome drawn. A light one goes on as if it had begun the block with a larger logit, its
  *lift* added: with that which leads to the logit it has now.

A light outcome is *proposed* with the weight b = e^{θ/T} that it began the block with, times
e^{room/T}, which bounds its weight as long as its logit has not grown by more than the room (there
the block ends), and it is accepted with the chance of its weight b over that bound: each sample has
the law of its generation. A rejection takes no time: generations and rejections are *ticks*.

A tile is one replicate: what begins a block, what passes in it and what ends it are each made one
function of the machine (`driver.one_function`), in which branches and searches cost little.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from fixedpoint.kernels import driver
from fixedpoint.kernels.entries import (
    at,
    column_of,
    drawn_place,
    find,
    place_of,
    put,
    put_column,
    put_row,
    row_of,
    running_sums,
    total,
)
from fixedpoint.kernels.exponential import exponential
from fixedpoint.kernels.random import next_uniform
from fixedpoint.kernels.traces import decay_polynomial

__all__ = ["TABLE", "blocks"]

NODES = 8
"""How many, beside the weight 0, which never falls."""

FALL = 0.2
"""The largest fall in a block, that of the limit. With ε = e^FALL − 1 falls are about log(1 + εu),
whose singularity is −1/ε: the interpolation errs by about (4/ε + 2)^−NODES, 3e-11."""

TICKS = 4096
"""The ticks of a block at most: carried weights are computed anew before rounding adds up."""

_POINTS = np.sin(np.pi / 2 * np.arange(1, NODES + 1) / NODES) ** 2
_DEGREES = np.arange(1, NODES + 1)
# The coefficients of u, u², … of the polynomial with given values at the points and 0 at 0.
_TO_POWERS = np.linalg.inv(_POINTS[:, None] ** _DEGREES)
TABLE = np.stack([_POINTS, 1 / _POINTS, np.log(_POINTS), _DEGREES, *_TO_POWERS])
"""What is needed of the nodes: an argument, as what is made one function has no constants."""

_WIDTH = 128  # outcomes in a row: what runs along a row is computed in vectors


def blocks(
    observe: Callable[[Array], Any],
    num_heavy: int,
    is_one: bool,
    reach: float,
    words: Array | None,
    carried: Any,
    start: Array,
    lengths: Array,
    levels: Array,
    first: Array,
    step_size: Array,
    temperature: Array,
    room: Array,
    table: Array,
) -> tuple[Any, Array, Any]:
    """Run a replicate and observe it between stretches of generations.

    Its blocks end where its history ends them: they do not depend on what is observed.

    Args:
        observe: a function of the logits, shape (tile, num_outcomes).
        num_heavy: how many outcomes are carried one by one, a multiple of 8, fewer than all.
        is_one: whether the temperature is 1, which saves an exponential.
        reach: a bound of η and η/T.
        words: the generator's state at generation 0, shape (1, 2): a tile is one replicate; None
            where a run goes on.
        carried: where it stopped, as it was handed back; None at generation 0.
        start: the logits at generation 0, shape (num_outcomes,).
        lengths: how many generations pass before each observation.
        levels: what is added to the logits that are observed, shape (S,).
        first: the generation at which the run begins or goes on.
        step_size: η, with η e^{room + FALL} < FALL (num_heavy + 1).
        temperature: T.
        room: by how much the logit of a light outcome may grow in a block; more than η, or else
            every sample of a light outcome ends its block.
        table: `TABLE`.

    Returns:
        What was observed, shape (S, 1, ...); the logits in the end, (1, 1, num_outcomes); and the
        state with which the run goes on, every array (1, 1, ...).

    Validity:
        The samples have the law of the generation they are drawn in, up to the resolution of the
        uniform numbers, 2⁻⁵²; for the same samples the logits are within 1e-9 of the rule over
        10,000 generations (1e-11 is what is found; `tests/kernels/test_lazy.py`).
    """
    num_outcomes = len(start)
    model = _Model(num_heavy, is_one, reach, step_size, temperature, room, table)
    # Not one function but three: they are compiled at the same time.
    opened, passed, closed = (
        driver.one_function(part) for part in (model.opened, model.passed, model.closed)
    )

    def until_ended(carry: Any) -> Any:
        block, theta, saved = carry
        block = lax.cond(block.ended, opened, lambda block, _: block, block, theta)
        block = passed(block, saved)
        return block, closed(block), saved

    def unfinished(carry: Any) -> Array:
        block, _, saved = carry
        return block.generation < saved

    def until_saved(carry: Any, entry: Any) -> Any:
        (block, theta, saved), (length, level) = carry, entry
        carry = lax.while_loop(unfinished, until_ended, (block, theta, saved + length))
        return carry, observe(logits(carry[1]) + level)

    def logits(theta: Array) -> Array:
        return theta.reshape(1, -1)[:, :num_outcomes]

    if words is None:
        block, theta = jax.tree.map(lambda leaf: leaf[0], carried)
    else:
        theta = jnp.pad(start, (0, -num_outcomes % _WIDTH), constant_values=-jnp.inf)
        theta = theta.reshape(-1, _WIDTH)
        block = model.before(theta, words[0], first)
    (block, theta, _), values = lax.scan(until_saved, (block, theta, first), (lengths, levels))
    left = jax.tree.map(lambda leaf: leaf[None, None], (block, theta))
    return values, logits(theta)[None], left


class _Block(NamedTuple):
    """A block of a replicate.

    Attributes:
        theta: the logits when the block began, (rows, columns); an outcome is at row and column.
        cumulative: the weights b of the light outcomes then, added up down each column.
        columns: the sums of the columns, added up.
        lifts: of the light outcomes, (rows, columns).
        heavy: the rows and columns of the heavy outcomes, the largest first, (L, 2).
        top: the largest logit when the block began: weights are a = e^{θ − top}.
        limit: the unit of u.
        carried: the weights a and, unless T = 1, b, of the heavy outcomes and of the nodes now,
            (1 or 2, L + NODES).
        falls: what the nodes' logits have lost, (NODES,).
        first: Σ u of the light outcomes, with their lifts.
        weights: of the quadrature, (NODES,).
        rate: η over the sum of all weights a.
        words: the generator's state.
        ticks: how many have passed.
        ended: whether another tick would leave the bounds.
        generation: since the run began.
    """

    theta: Array
    cumulative: Array
    columns: Array
    lifts: Array
    heavy: Array
    top: Array
    limit: Array
    carried: Array
    falls: Array
    first: Array
    weights: Array
    rate: Array
    words: tuple[Array, Array]
    ticks: Array
    ended: Array
    generation: Array


class _Model:
    """What begins a block, what a tick does to it, and when it ends."""

    def __init__(
        self,
        num_heavy: int,
        is_one: bool,
        reach: float,
        step_size: Array,
        temperature: Array,
        room: Array,
        table: Array,
    ) -> None:
        self.num_heavy, self.is_one, self.decay = num_heavy, is_one, decay_polynomial(reach)
        self.step_size, self.inverse, self.room = step_size, 1 / temperature, room
        self.table = table
        # Newton's steps from an error of η: it is squared in each, and divided by ten at least.
        self.newton = 3 if reach <= 1 / 8 else 4

    @property
    def powers(self) -> Array:
        """The weights that are carried are e^θ to these powers."""
        return jnp.ones(1) if self.is_one else jnp.stack([jnp.ones(()), self.inverse])

    def _coefficients(self, values: Array) -> Array:
        """Coefficients of u, u², … of the polynomial with these values at the nodes."""
        return (self.table[4:] * values[None]).sum(1)

    def _weights(self, sums: Array) -> Array:
        """Quadrature weights: Σⱼ weightⱼ fⱼ is the sum of uᵢ f(uᵢ) for the Σu², Σu³, … given."""
        return (self.table[4:] * sums[:, None]).sum(0)

    def before(self, theta: Array, words: Array, generation: Array) -> _Block:
        """A placeholder that has ended with these logits, before the first block of the run."""
        table, nodes, zero = (jnp.zeros(shape) for shape in (theta.shape, NODES, ()))
        none = jnp.zeros_like(generation)
        return _Block(
            theta=theta,
            cumulative=table,
            columns=table[0],
            lifts=table,
            heavy=jnp.zeros((self.num_heavy, 2), int),
            top=zero,
            limit=zero + 1,
            carried=jnp.zeros((len(self.powers), self.num_heavy + NODES)),
            falls=nodes,
            first=zero,
            weights=nodes,
            rate=zero,
            words=(words[0], words[1]),
            ticks=none,
            ended=jnp.ones((), bool),
            generation=generation,
        )

    def opened(self, block: _Block, theta: Array) -> _Block:
        """Begin a block with these logits, after one that has ended."""
        light, heavy, largest, rest = _divided(theta, self.num_heavy)
        top = largest[0]
        log_limit = jnp.maximum(rest - top + self.room + FALL, -690.0)
        limit = jnp.exp(log_limit)

        def row(i: Any, carry: Any) -> Any:
            sums, below, cumulative = carry
            weights = exponential((row_of(light, i) - top)[None] * self.powers[:, None])
            u, below = weights[0] / limit, below + weights[-1]

            def add(k: Any, carry: Any) -> Any:
                sums, power = carry
                return put_row(sums, row_of(sums, k) + power, k), power * u

            sums, _ = lax.fori_loop(0, NODES + 1, add, (sums, u))
            return sums, below, put_row(cumulative, below, i)

        none = jnp.zeros((NODES + 1, _WIDTH)), jnp.zeros(_WIDTH), jnp.zeros_like(theta)
        sums, below, cumulative = lax.fori_loop(0, len(theta), row, none)
        # One column after the other: XLA would make a large program of the sums along the rows.
        sums = lax.fori_loop(
            0, _WIDTH, lambda i, total: total + column_of(sums, i), jnp.zeros(NODES + 1)
        )
        logits = jnp.concatenate([largest - top, log_limit + self.table[2]])
        carried = lax.fori_loop(
            0,
            len(logits),
            lambda i, carried: put_column(carried, jnp.exp(at(logits, i) * self.powers), i),
            jnp.zeros((len(self.powers), len(logits))),
        )
        return block._replace(
            theta=theta,
            cumulative=cumulative,
            columns=running_sums(below),
            lifts=jnp.zeros_like(theta),
            heavy=heavy,
            top=top,
            limit=limit,
            carried=carried,
            falls=jnp.zeros(NODES),
            first=sums[0],
            weights=self._weights(sums[1:]),
            rate=self.step_size / (total(carried[0, : self.num_heavy]) + limit * sums[0]),
            ticks=jnp.zeros_like(block.ticks),
            ended=jnp.zeros((), bool),
        )

    def passed(self, block: _Block, saved: Array) -> _Block:
        """Run the block until it ends or the generation asked for is reached."""
        return lax.while_loop(
            lambda block: ~block.ended & (block.generation < saved), self.tick, block
        )

    def tick(self, block: _Block) -> _Block:
        """One generation or rejection."""
        first_uniform, words = next_uniform(block.words)
        second_uniform, words = next_uniform(words)
        b, nodes = block.carried[-1, : self.num_heavy], block.carried[0, self.num_heavy :]
        heavy_total, bound = total(b), jnp.exp(self.room * self.inverse)
        point = first_uniform * (heavy_total + block.columns[-1] * bound)

        def heavy() -> tuple[Any, ...]:
            unchanged = jnp.zeros((), int), jnp.zeros((), int), at(block.lifts, 0, 0)
            return drawn_place(b, point), True, *unchanged, -jnp.inf, 0.0, jnp.zeros(NODES)

        def light() -> tuple[Any, ...]:
            row, column = find(block.cumulative, block.columns, (point - heavy_total) / bound)
            falls = block.falls + block.rate * nodes
            return -1, *self._lifted(block, falls, row, column, second_uniform)

        is_heavy = point < heavy_total
        drawn, happens, row, column, lift, grown, first, weights = lax.cond(is_heavy, heavy, light)
        rate = jnp.where(happens, block.rate, 0.0)
        hit = jnp.arange(block.carried.shape[1]) == drawn
        growth = jnp.where(hit[None], jnp.exp(self.step_size * self.powers)[:, None], 1)
        y = block.carried[:1] * (-rate * self.powers)[:, None]
        block = block._replace(
            carried=block.carried * self.decay(y) * growth,
            falls=block.falls + rate * nodes,
            first=block.first + first,
            weights=block.weights + weights,
            lifts=put(block.lifts, lift, row, column),
            words=words,
            ticks=block.ticks + 1,
            generation=block.generation + happens,
        )
        block = block._replace(rate=self._rate(block))
        return block._replace(ended=self._ended(block, grown))

    def _rate(self, block: _Block) -> Array:
        heavy, nodes = block.carried[0, : self.num_heavy], block.carried[0, self.num_heavy :]
        kept = nodes * self.table[1] / block.limit
        light = block.first + (block.weights * (kept - 1)).sum()
        return self.step_size / (total(heavy) + block.limit * light)

    def _ended(self, block: _Block, grown: Array) -> Array:
        falls_too_far = block.rate * block.limit > FALL - block.falls[-1]
        return falls_too_far | (block.ticks >= TICKS) | (grown > self.room)

    def _lifted(
        self, block: _Block, falls: Array, row: Array, column: Array, uniform: Array
    ) -> tuple[Any, ...]:
        """Accept or reject a light outcome that is proposed, and find its lift.

        Whether it is accepted, its row and column, its lift then, by how much its logit has grown
        in this block, and what the quadrature gains: Σu and the weights.

        The logit gains lift − fall(u), u = e^{base + lift}. A lift that gives it η more is found by
        Newton's method from the old one on. (The derivative of `fall` is at most FALL.)
        """
        lift = at(block.lifts, row, column)
        base = at(block.theta, row, column) - block.top - jnp.log(block.limit)
        u = jnp.exp(base + lift)
        powers = _powers(jnp.minimum(u, 1))
        grown = lift - (self._coefficients(block.falls) * powers).sum()
        accepted = uniform < jnp.exp((grown - self.room) * self.inverse)
        coefficients = self._coefficients(falls)
        slopes = coefficients * self.table[3]  # of u d fall/du
        grown = lift - (coefficients * powers).sum() + self.step_size

        def improved(_: Any, carry: Any) -> Any:
            # Beyond the limit `fall` is continued by a constant, in `closed` as well: a lift that
            # leads there ends the block and is not asked for more than the logit it stands for.
            risen, u = carry
            powers = _powers(jnp.minimum(u, 1))
            slope = jnp.where(u < 1, (slopes * powers).sum(), 0)
            residual = risen - (coefficients * powers).sum() - grown
            risen = risen - residual / (1 - slope)
            return risen, jnp.exp(base + risen)

        risen, risen_u = lax.fori_loop(0, self.newton, improved, (lift, u))
        first, others = _differences(risen_u, u)
        outcome = (
            jnp.where(accepted, value, otherwise)
            for value, otherwise in (
                (risen, lift),
                (grown, -jnp.inf),
                (first, 0.0),
                (self._weights(others), 0.0),
            )
        )
        return accepted, row, column, *outcome

    def closed(self, block: _Block) -> Array:
        """The logits as they are now, (rows, columns)."""
        coefficients = self._coefficients(block.falls)
        lifted = block.theta + block.lifts
        u = jnp.minimum(jnp.exp(lifted - block.top) / block.limit, 1)
        fall = coefficients[-1]
        for i in reversed(range(NODES - 1)):
            fall = fall * u + coefficients[i]
        theta = lifted - fall * u

        def weighed(i: Any, theta: Array) -> Array:
            place = at(block.heavy, i, 0), at(block.heavy, i, 1)
            weight = at(block.carried, 0, i)
            # A weight that has underflown neither falls nor is drawn.
            now = jnp.where(weight > 0, block.top + jnp.log(weight), at(block.theta, *place))
            return put(theta, now, *place)

        return lax.fori_loop(0, self.num_heavy, weighed, theta)


def _powers(u: Array) -> Array:
    """The powers u, u², …, (NODES,)."""
    powers = u[None]
    while len(powers) < NODES:
        powers = jnp.concatenate([powers, powers * powers[-1:]])
    return powers


def _differences(new: Array, old: Array) -> tuple[Array, Array]:
    """The difference new − old, and those of the squares and higher powers, (NODES,)."""
    return new - old, new * _powers(new) - old * _powers(old)


def _divided(theta: Array, number: int) -> tuple[Array, Array, Array, Array]:
    """Split off the largest logits.

    The others, with -inf in the place of the largest, (rows, columns); the rows and columns of the
    largest, the very largest first, (number, 2); their logits, (number,); the largest of the rest.
    """
    nowhere = jnp.full(theta.shape[1], -jnp.inf)
    maxima = lax.fori_loop(
        0, len(theta), lambda i, top: jnp.maximum(top, row_of(theta, i)), nowhere
    )

    def take(i: Any, carry: Any) -> Any:
        others, maxima, places, values = carry
        value = maxima.max()
        column = place_of(maxima, value)
        below = column_of(others, column)
        row = place_of(below, value)
        left = jnp.where(jnp.arange(len(below)) == row, -jnp.inf, below).max()
        places = put(put(places, row, i, 0), column, i, 1)
        # The last one is only looked for.
        others = put(others, jnp.where(i < number, -jnp.inf, value), row, column)
        return others, put(maxima, left, column), places, put(values, value, i)

    none = jnp.zeros((number + 1, 2), int), jnp.zeros(number + 1)
    others, _, places, values = lax.fori_loop(0, number + 1, take, (theta, maxima, *none))
    return others, places[:-1], values[:-1], values[-1]
