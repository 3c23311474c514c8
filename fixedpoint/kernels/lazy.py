"""Single traces of hundreds of outcomes and more, for far less than their number a generation.

A generation multiplies the weight a = e^θ of every outcome by e^{−ca}, c = η/Z with Z the sum of
all weights, and that of the outcome drawn by e^η as well. So what becomes of an outcome that is not
drawn depends on its weight alone, and smoothly. The run is cut into *blocks* of some hundreds of
generations. All outcomes are visited when a block begins and ends; between, a generation touches

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
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array

from fixedpoint.kernels.exponential import exponential
from fixedpoint.kernels.random import GAMMA, mixed_words
from fixedpoint.kernels.traces import decay_polynomial

__all__ = ["blocks"]

NODES = 8
"""How many, beside the weight 0, which never falls."""

FALL = 0.2
"""The largest fall in a block, that of the limit. With ε = e^FALL − 1 falls are about log(1 + εu),
whose singularity is −1/ε: the interpolation errs by about (4/ε + 2)^−NODES, 3e-11."""

TICKS = 4096
"""The ticks of a block at most: carried weights are computed anew before rounding adds up."""

_POINTS = np.sin(np.pi / 2 * np.arange(1, NODES + 1) / NODES) ** 2
# The coefficients of u, u², … of the polynomial with given values at the points and 0 at 0.
_TO_POWERS = np.linalg.inv(_POINTS[:, None] ** np.arange(1, NODES + 1))
_INNER = 16  # outcomes of a group of the innermost level, in which proposals are searched
_OUTER = 8  # groups of as many heavy outcomes
_STRETCH = 8  # ticks between two looks at how many replicates wait for a new block


def blocks(
    observe: Callable[[Array], Any],
    num_heavy: int,
    num_proposals: int,
    is_one: bool,
    reach: float,
    words: Array,
    start: Array,
    lengths: Array,
    step_size: Array,
    temperature: Array,
    room: Array,
) -> Any:
    """Run a tile of replicates and observe each between stretches of generations.

    A replicate's blocks end where its own history ends them: they depend neither on the other
    replicates nor on what is observed.

    Args:
        observe: a function of the logits, shape (tile, num_outcomes).
        num_heavy: how many outcomes are carried one by one, a multiple of 8, fewer than all.
        num_proposals: how many light outcomes are proposed in a block at most.
        is_one: whether the temperature is 1, which saves an exponential.
        reach: a bound of η and η/T.
        words: the generators' states, shape (tile, 2).
        start: the logits at generation 0, shape (num_outcomes,).
        lengths: how many generations pass before each observation.
        step_size: η, with η e^{room + FALL} < FALL (num_heavy + 1).
        temperature: T.
        room: by how much the logit of a light outcome may grow in a block; more than η, or else
            every sample of a light outcome ends its block.

    Returns:
        What was observed, shape (S, tile, ...).

    Validity:
        The samples have the law of the generation they are drawn in, up to the resolution of the
        uniform numbers, 2⁻⁵³; for the same samples the logits are within 1e-9 of the rule over
        10,000 generations (1e-11 is what is found; `tests/kernels/test_lazy.py`).
    """
    num_outcomes = len(start)
    groups = int(np.ceil(np.sqrt(num_outcomes / _INNER)))
    padding = _INNER * groups**2 - num_outcomes
    padded = jnp.pad(start, (0, padding), constant_values=-jnp.inf)
    model = _Model(num_heavy, num_proposals, is_one, reach, step_size, temperature, room)

    def until_saved(carry: Any, length: Array) -> Any:
        block, saved = carry
        saved = saved + length

        def until_many_wait(block: _Block) -> _Block:
            def few_wait(block: _Block) -> Array:
                live = block.generation < saved
                return (live & ~model.ended(block)).sum() * 4 > live.sum() * 3

            block = model.renewed(block)
            return lax.while_loop(few_wait, lambda block: model.ticks(block, saved), block)

        block = lax.while_loop(
            lambda block: (block.generation < saved).any(), until_many_wait, block
        )
        logits = lax.map(model.closed, _with_lanes(block, 0))
        return (block, saved), observe(logits[:, :num_outcomes])

    none = jnp.zeros_like(lengths[0])
    return lax.scan(until_saved, (model.before(padded, words, none), none), lengths)[1]


class _Block(NamedTuple):
    """A block of every replicate of a tile; or, without the axis of the tile, of one.

    Attributes:
        theta: the logits when the block began, (tile, K).
        heavy: the heavy outcomes, (tile, L).
        proposals: outcomes, in the order in which they are proposed, (tile, P).
        slots: for each proposal, the one that stands for all of the same outcome, (tile, P).
        begins: the proposals' weights u when the block began, (tile, P).
        lifts: their lifts, kept at the proposal that stands for the outcome, (tile, P).
        top: the largest logit when the block began: weights are a = e^{θ − top}, (tile,).
        limit: the unit of u, (tile,).
        envelope: the bound of the light outcomes' weight b, (tile,).
        a, b: the weights of the heavy outcomes now, (L, tile). At temperature 1 b is not used.
        nodes: the weights a of the nodes now, (NODES, tile).
        falls: what the nodes' logits have lost, (NODES, tile).
        first: Σ u of the light outcomes, with their lifts, (tile,).
        weights: of the quadrature, (NODES, tile).
        words: the states of two generators, for the proposals and for the ticks, (2, tile).
        used: how many proposals have passed, (tile,).
        passed: how many ticks, (tile,).
        burst: whether a light outcome has outgrown the room, (tile,).
        generation: since the run began, (tile,).
    """

    theta: Array
    heavy: Array
    proposals: Array
    slots: Array
    begins: Array
    lifts: Array
    top: Array
    limit: Array
    envelope: Array
    a: Array
    b: Array
    nodes: Array
    falls: Array
    first: Array
    weights: Array
    words: Array
    used: Array
    passed: Array
    burst: Array
    generation: Array


# What every tick computes with has the replicates as its last axis; the rest as its first.
_LANES_LAST = "a", "b", "nodes", "falls", "weights", "words"


def _with_lanes(block: _Block, axis: int) -> _Block:
    """The block with the replicates as the first axis of everything (0), or as above (-1)."""
    moved = {name: jnp.moveaxis(getattr(block, name), -1 - axis, axis) for name in _LANES_LAST}
    return block._replace(**moved)


class _Model:
    """What begins a block, what a tick does to it, and when it ends."""

    def __init__(
        self,
        num_heavy: int,
        num_proposals: int,
        is_one: bool,
        reach: float,
        step_size: Array,
        temperature: Array,
        room: Array,
    ) -> None:
        self.num_heavy, self.num_proposals = num_heavy, num_proposals
        self.is_one, self.decay = is_one, decay_polynomial(reach)
        self.step_size, self.inverse, self.room = step_size, 1 / temperature, room
        self.growth_a, self.growth_b = jnp.exp(step_size), jnp.exp(step_size * self.inverse)

    def before(self, theta: Array, words: Array, generation: Array) -> _Block:
        """Blocks that have ended with these logits: those that begin the run follow them."""
        shapes = jax.eval_shape(self.opened, theta, words[0], generation)
        block = _Block(*(jnp.zeros(leaf.shape, leaf.dtype) for leaf in shapes))
        block = block._replace(theta=theta, limit=jnp.ones(()), burst=jnp.ones((), bool))
        lanes = (len(words),)
        blocks = _Block(*(jnp.broadcast_to(leaf, lanes + leaf.shape) for leaf in block))
        return _with_lanes(blocks._replace(words=words), -1)

    def opened(self, theta: Array, words: Array, generation: Array) -> _Block:
        """The block that one replicate begins with these logits."""
        heavy = _largest(theta, self.num_heavy)
        top = theta[heavy[0]]
        heavy_theta = theta[heavy] - top
        light = theta.at[heavy].set(-jnp.inf) - top
        a = exponential(light)
        b = a if self.is_one else exponential(light * self.inverse)
        limit = jnp.maximum(a.max() * jnp.exp(self.room + FALL), 1e-300)
        u = a / limit
        first, *others = _sums_of_powers(u)
        drawn, proposing = mixed_words(words[0], self.num_proposals)
        proposals, total = _drawn(b, _uniform(drawn))
        order = jnp.arange(self.num_proposals)
        none = jnp.zeros((), order.dtype)
        return _Block(
            theta=theta,
            heavy=heavy,
            proposals=proposals,
            slots=jnp.zeros(theta.shape, order.dtype).at[proposals].set(order)[proposals],
            begins=u[proposals],
            lifts=jnp.zeros(self.num_proposals),
            top=top,
            limit=limit,
            envelope=total * jnp.exp(self.room * self.inverse),
            a=jnp.exp(heavy_theta),
            b=jnp.exp(heavy_theta * self.inverse),
            nodes=limit * jnp.asarray(_POINTS),
            falls=jnp.zeros(NODES),
            first=first,
            weights=jnp.stack(others) @ _TO_POWERS,
            words=jnp.stack([proposing, words[1]]),
            used=none,
            passed=none,
            burst=jnp.zeros((), bool),
            generation=generation,
        )

    def closed(self, block: _Block) -> Array:
        """The logits of one replicate as they are now."""
        coefficients = _TO_POWERS @ block.falls

        def now(theta: Array, u: Array) -> Array:
            return theta - _polynomial(coefficients, jnp.minimum(u, 1))

        theta = now(block.theta, exponential(block.theta - block.top) / block.limit)
        lifts = block.lifts[block.slots]
        lifted = now(block.theta[block.proposals] + lifts, block.begins * exponential(lifts))
        theta = theta.at[block.proposals].set(lifted)
        # A weight that has underflown neither falls nor is drawn.
        heavy = jnp.where(block.a > 0, block.top + jnp.log(block.a), block.theta[block.heavy])
        return theta.at[block.heavy].set(heavy)

    def renewed(self, blocks: _Block) -> _Block:
        """New blocks for the replicates whose blocks have ended, one after another."""
        axes = [-1 if name in _LANES_LAST else 0 for name in _Block._fields]

        def renew(carry: Any) -> Any:
            blocks, ended = carry
            lane = jnp.argmax(ended)
            block = _Block(
                *(
                    lax.dynamic_index_in_dim(all_lanes, lane, axis, keepdims=False)
                    for all_lanes, axis in zip(blocks, axes, strict=True)
                )
            )
            block = self.opened(self.closed(block), block.words, block.generation)
            blocks = _Block(
                *(
                    lax.dynamic_update_index_in_dim(all_lanes, one, lane, axis % all_lanes.ndim)
                    for all_lanes, one, axis in zip(blocks, block, axes, strict=True)
                )
            )
            return blocks, ended.at[lane].set(False)

        ended = self.ended(blocks)
        return lax.while_loop(lambda carry: carry[1].any(), renew, (blocks, ended))[0]

    def ended(self, block: _Block) -> Array:
        """Whether a replicate's block has to end before its next tick."""
        return self._ended(block, self._normaliser(block))

    def _normaliser(self, block: _Block) -> Array:
        kept = block.nodes * (1 / _POINTS)[:, None] * (1 / block.limit)[None]
        light = block.first + (block.weights * (kept - 1)).sum(0)
        return block.a.sum(0) + block.limit * light

    def _ended(self, block: _Block, normaliser: Array) -> Array:
        falls_too_far = self.step_size * block.limit > (FALL - block.falls[-1]) * normaliser
        spent = (block.used >= self.num_proposals) | (block.passed >= TICKS)
        return (falls_too_far & (block.passed > 0)) | spent | block.burst

    def ticks(self, block: _Block, saved: Array) -> _Block:
        """A few ticks of every replicate, except where its block or the stretch has ended."""
        drawn, _ = mixed_words(block.words[1], 2 * _STRETCH)
        uniforms = _uniform(drawn).reshape(_STRETCH, 2, -1)
        after, _ = lax.scan(lambda b, u: (self.tick(b, saved, u), None), block, uniforms)
        words = (after.passed - block.passed).astype(np.uint64) * np.uint64(2 * GAMMA % 2**64)
        return after._replace(words=jnp.stack([block.words[0], block.words[1] + words]))

    def tick(self, block: _Block, saved: Array, uniforms: Array) -> _Block:
        """One generation or rejection.

        XLA computes a fused operation again for every element of every result that needs it,
        unless it holds a division or an exponential. Hence `jnp.exp` here, and no `exponential`;
        hence also the division by infinity where nothing happens.
        """
        normaliser = self._normaliser(block)
        active = ~self._ended(block, normaliser) & (block.generation < saved)
        sums = jnp.tril(jnp.ones((self.num_heavy // _OUTER,) * 2)) @ self._groups(block).sum(1)
        point = uniforms[0] * (sums[-1] + block.envelope)
        is_light = point >= sums[-1]
        # The light outcome that would be next.
        lanes = jnp.arange(len(point))
        slot = block.slots[lanes, jnp.minimum(block.used, self.num_proposals - 1)]
        begin, lift = block.begins[lanes, slot], block.lifts[lanes, slot]
        u = begin * jnp.exp(lift)
        grown = lift - _polynomial(_TO_POWERS @ block.falls, jnp.minimum(u, 1))
        accepted = uniforms[1] < jnp.exp((grown - self.room) * self.inverse)
        happens = active & (accepted | ~is_light)
        is_risen = active & accepted & is_light
        # The generation.
        step = -self.step_size / jnp.where(happens, normaliser, jnp.inf)
        falls = block.falls - step[None] * block.nodes
        y = step[None] * block.a
        hit = self._hit(block, sums, jnp.where(active & ~is_light, point, jnp.inf))
        a = block.a * self.decay(y)
        a = jnp.where(hit, a * self.growth_a, a)
        b = block.b
        if not self.is_one:
            b = b * self.decay(y * self.inverse)
            b = jnp.where(hit, b * self.growth_b, b)
        risen, grown = self._risen(falls, begin, lift, u)
        first, *others = _differences(
            jnp.where(is_risen, begin * jnp.exp(risen), 0), jnp.where(is_risen, u, 0)
        )
        return block._replace(
            a=a,
            b=b,
            nodes=block.nodes * self.decay(step[None] * block.nodes),
            falls=falls,
            first=block.first + first,
            weights=block.weights + _TO_POWERS.T @ jnp.stack(others),
            lifts=block.lifts.at[lanes, slot].set(jnp.where(is_risen, risen, lift)),
            used=block.used + (active & is_light),
            passed=block.passed + active,
            burst=block.burst | (is_risen & (grown > self.room)),
            generation=block.generation + happens,
        )

    def _groups(self, block: _Block) -> Array:
        """The heavy outcomes' weights in the draw, (groups, 8, tile)."""
        b = block.a if self.is_one else block.b
        return b.reshape(-1, _OUTER, b.shape[-1])

    def _hit(self, block: _Block, sums: Array, point: Array) -> Array:
        """Whether each heavy outcome is the one drawn, C(i-1) ≤ point < C(i)."""
        groups = self._groups(block)
        group = (sums <= point[None]).sum(0)
        is_group = jnp.arange(len(groups))[:, None] == group[None]
        below = jnp.where(is_group, sums - groups.sum(1), 0).sum(0)
        inside = jnp.where(is_group[:, None], groups, 0).sum(0)
        inside = jnp.tril(jnp.ones((_OUTER, _OUTER))) @ inside
        # Rounding may leave the point above the group: then its last positive weight is drawn.
        place = jnp.minimum((inside <= (point - below)[None]).sum(0), (inside < inside[-1:]).sum(0))
        return jnp.arange(self.num_heavy)[:, None] == (group * _OUTER + place)[None]

    def _risen(self, falls: Array, begin: Array, lift: Array, u: Array) -> tuple[Array, Array]:
        """The lift of a light outcome after it was drawn, and what its logit has gained by now.

        The logit gains lift − fall(begin e^lift); three Newton steps give the lift that gives it η
        more. (The derivative of `fall` is at most FALL: their errors are below 1e-2, 1e-5, 1e-11.)
        """
        coefficients = _TO_POWERS @ falls
        slopes = (_TO_POWERS * np.arange(1, NODES + 1)[:, None]) @ falls  # of u d fall/du
        grown = lift - _polynomial(coefficients, jnp.minimum(u, 1)) + self.step_size
        risen = lift + self.step_size
        for _ in range(3):
            # Beyond the limit `fall` is continued by a constant, in `closed` as well: a lift that
            # leads there ends the block and is not asked for more than the logit it stands for.
            u = begin * jnp.exp(risen)
            inside = jnp.minimum(u, 1)
            slope = jnp.where(u < 1, _polynomial(slopes, inside), 0)
            residual = risen - _polynomial(coefficients, inside) - grown
            risen = risen - residual / (1 - slope)
        return risen, grown


def _polynomial(coefficients: Any, u: Array) -> Array:
    """The polynomial c₁u + c₂u² + …, without a constant."""
    value = coefficients[-1] * u
    for i in reversed(range(NODES - 1)):
        value = (value + coefficients[i]) * u
    return value


def _sums_of_powers(u: Array) -> list[Array]:
    """The sums Σu, Σu², … of `NODES + 1` powers, in one pass."""
    powers = [u]
    for _ in range(NODES):
        powers.append(powers[-1] * u)
    zeros = [jnp.zeros(())] * len(powers)
    return lax.reduce(powers, zeros, lambda x, y: [a + b for a, b in zip(x, y, strict=True)], (0,))


def _differences(new: Array, old: Array) -> list[Array]:
    """The differences new − old, new² − old², … of `NODES + 1` powers."""
    differences, powers = [], (new, old)
    for _ in range(NODES + 1):
        differences.append(powers[0] - powers[1])
        powers = powers[0] * new, powers[1] * old
    return differences


def _uniform(words: Array) -> Array:
    return (words >> np.uint64(11)) * 2.0**-53


def _drawn(weights: Array, uniform: Array) -> tuple[Array, Array]:
    """Outcomes drawn with these weights, found on three levels, and the sum of the weights."""
    inner = weights.reshape(-1, _INNER) @ np.triu(np.ones((_INNER, _INNER)))
    groups = int(np.sqrt(len(inner)))
    above = np.triu(np.ones((groups, groups)))
    middle = inner[:, -1].reshape(groups, groups) @ above
    outer = middle[:, -1] @ above
    i, point = _found(jnp.broadcast_to(outer[None], (len(uniform), groups)), uniform * outer[-1])
    j, point = _found(middle[i], point)
    k, _ = _found(inner[i * groups + j], point)
    return (i * groups + j) * _INNER + k, outer[-1]


def _found(cumulative: Array, point: Array) -> tuple[Array, Array]:
    """For every row the place i with C(i-1) ≤ point < C(i), and point − C(i-1).

    Should rounding leave the point above the whole sum, the last positive weight is found.
    """
    last = (cumulative < cumulative[:, -1:]).sum(1)
    place = jnp.minimum((cumulative <= point[:, None]).sum(1), last)
    before = jnp.take_along_axis(cumulative, jnp.maximum(place - 1, 0)[:, None], 1)[:, 0]
    return place, point - jnp.where(place > 0, before, 0)


def _largest(values: Array, number: int) -> Array:
    """Where the largest values are, the very largest first; equal in single precision is equal.

    They are in the groups with the largest maxima: a fraction of all is looked at twice.
    """
    values = values.astype(jnp.float32)
    groups = values.reshape(-1, _INNER)
    if len(groups) <= number:
        return _top(values, number)
    chosen = _top(groups.max(1), number)
    place = _top(groups[chosen].reshape(-1), number)
    return chosen[place // _INNER] * _INNER + place % _INNER


def _top(values: Array, number: int) -> Array:
    # Where nobody asks for the values, XLA sorts everything.
    top, places = lax.top_k(values, number)
    return jnp.where(jnp.isnan(top), 0, places)
