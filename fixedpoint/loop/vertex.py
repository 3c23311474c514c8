r"""Single traces over astronomically long horizons: from surprise to surprise near a vertex.

At T = 1 a model near a vertex is drawn from the leader i almost always. Until another outcome is
drawn ("a surprise") it follows a closed form: with centred logits and Y_j = e^{−θ_j} for j ≠ i, all
Y_j grow by the same clock, Y_j + τ, while the generations pass as

    t = (1/η) ∫₀^τ ∏_{j≠i} (Y_j + τ') dτ',

and outcome j surprises with the cumulative hazard log(1 + τ/Y_j)/η. So each outcome's first
surprise comes at τ = Y_j (e^{ηE_j} − 1) with E_j ~ Exp(1), and the earliest one counts: one
exponential variate for each outcome replaces up to e^{400} generations. Where the leader's
probability is not near 1, generations are run one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from fixedpoint import checks, simplex
from fixedpoint.kernels import driver
from fixedpoint.kernels.random import next_uniform, seeds
from fixedpoint.loop.run import Loop
from fixedpoint.loop.traces import parts

__all__ = ["LongTrajectory", "run_events"]


class LongTrajectory(eqx.Module):
    """What `run_events` saved.

    Attributes:
        log_generation: logarithms of the saved generations, shape (S,).
        value: what was observed there, shape (S, num_replicates, ...).
        num_switches: how often, so far, another outcome than the last one came to hold a
            probability above 1 − level; shape (S, num_replicates).
    """

    log_generation: Float[Array, " S"]
    value: Any
    num_switches: Int[Array, "S R"]


class _Lane(NamedTuple):
    """One replicate; as scalars, so that a tile of replicates is elementwise work."""

    logits: tuple[Array, ...]
    time: Array
    words: tuple[Array, Array]
    holder: Array
    num_switches: Array


def run_events(
    loop: Loop,
    logits: Float[Array, " outcomes"],
    log_generations: Sequence[float],
    *,
    key: Array,
    num_replicates: int,
    observe: Callable[[Array], Any] | None = None,
    threshold: float = 1e-2,
    level: float = 0.5,
) -> LongTrajectory:
    """Run a single-trace loop at T = 1 up to generations as late as e^400.

    Args:
        loop: `Loop(Temperature(1), Fresh(1), GradientSteps(step_size=η))`.
        logits: The initial model, finite, shape (num_outcomes,), at least two outcomes.
        log_generations: Logarithms of the generations to save, increasing.
        key: A random key.
        num_replicates: How many independent runs.
        observe: A function of the (centred) logits, shape (num_outcomes,), whose values are saved;
            by default the logits themselves.
        threshold: Surprises are jumped to while the leader lacks less than this of probability 1.
        level: In (0, 1/2]; a switch is counted when an outcome other than the last holder gets a
            probability above 1 − level.

    Returns:
        The saved values and numbers of switches.

    Raises:
        ValueError: If the loop is not of that form, or an argument is out of its range.

    Validity:
        The law of the chain up to a relative error of the order of `threshold` in the pace at the
        entrance to a vertex (it falls with the leader's missing probability); the logits are a
        martingale exactly. Agrees with `run_traces` in two-sample tests
        (`tests/loop/test_vertex.py`). Replicate r depends on the key and r alone. Needs float64.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size=1.0))
        >>> runs = run_events(
        ...     loop, jnp.zeros(3), [50.0, 400.0], key=jax.random.key(0), num_replicates=4,
        ...     observe=fp.simplex.mode,
        ... )
        >>> runs.value.shape
        (2, 4)
    """
    sampler, corpus, learner = parts(loop)
    if float(sampler.temperature) != 1 or corpus.num_samples != 1 or float(learner.weight_decay):
        raise ValueError(f"`loop` must have T = 1, one sample and no weight decay; got {loop}.")
    checks.check_logits(logits)
    start = simplex.centre(jnp.asarray(logits, jnp.result_type(logits, float)))
    if start.ndim != 1 or len(start) < 2 or not np.all(np.isfinite(start)):
        raise ValueError(f"`logits` must be finite, of at least two outcomes; got {logits}.")
    if start.dtype != jnp.float64:
        raise ValueError(f"`logits` must be float64 (jax_enable_x64); got {start.dtype}.")
    num_replicates = checks.check_count(num_replicates, "num_replicates")
    times = np.asarray(log_generations, float)
    if np.any(np.diff(times) <= 0) or times[-1] > 600:
        raise ValueError(f"`log_generations` must increase, to 600 at most; got {times}.")
    if not 0 < level <= 0.5 or not 0 < threshold <= 0.1:
        raise ValueError(
            f"`level` must be in (0, 0.5] and `threshold` in (0, 0.1]; got {level}, {threshold}."
        )
    saved, switches = driver.run(
        _simulate,
        [seeds(key, start.dtype, num_replicates)],
        [
            start,
            jnp.rint(jnp.exp(jnp.asarray(times))),
            learner.step_size.astype(start.dtype),
            threshold,
            level,
        ],
        static=(observe or _itself,),
        tile=min(num_replicates, 512),
        axis=1,
    )
    return LongTrajectory(jnp.asarray(times), saved, switches)


_GENERATIONS = 4
"""Single generations between two looks at whether a tile is finished."""


def _itself(logits: Array) -> Array:
    return logits


def _simulate(
    observe: Callable[[Array], Any],
    words: Array,
    start: Array,
    times: Array,
    step_size: Array,
    threshold: Array,
    level: Array,
) -> tuple[Any, Array]:
    """A tile of replicates, up to each saved time in turn."""

    def until(lane: _Lane, time: Array) -> _Lane:
        def advance(carry: tuple[_Lane, Array]) -> tuple[_Lane, Array]:
            lane, finished = _to_surprise(*carry, time, step_size, threshold, level)

            def generation(_: Any, carry: tuple[_Lane, Array]) -> tuple[_Lane, Array]:
                return _one_generation(*carry, time, step_size, threshold, level)

            return lax.fori_loop(0, _GENERATIONS, generation, (lane, finished))

        lane, _ = lax.while_loop(lambda carry: ~carry[1], advance, (lane, lane.time >= time))
        return _rest(lane, time, step_size)

    def replicate(words: Array) -> tuple[Any, Array]:
        def save(lane: _Lane, time: Array) -> tuple[_Lane, tuple[Any, Array]]:
            lane = until(lane, time)
            return lane, (observe(jnp.stack(lane.logits)), lane.num_switches)

        zero = jnp.zeros((), int)
        lane = _Lane(tuple(start), start[0] * 0, (words[0], words[1]), jnp.argmax(start), zero)
        return lax.scan(save, lane, times)[1]

    return jax.vmap(replicate, out_axes=1)(words)


def _leading(theta: Sequence[Array]) -> tuple[Array, list[Array], Array]:
    """The leader's number, whether each outcome is it, and the others' odds against it."""
    top = reduce(jnp.maximum, theta)
    leader = jnp.zeros(jnp.shape(top), int)
    for number in reversed(range(len(theta))):
        leader = jnp.where(theta[number] == top, number, leader)
    is_leader = [leader == number for number in range(len(theta))]
    odds = sum(
        jnp.where(leads, 0.0, jnp.exp(x - top)) for leads, x in zip(is_leader, theta, strict=True)
    )
    return leader, is_leader, jnp.asarray(odds)


def _to_surprise(
    lane: _Lane, finished: Array, time: Array, step_size: Array, threshold: Array, level: Array
) -> tuple[_Lane, Array]:
    """Near a vertex: to the next surprise, unless it comes later than `time`."""
    _, is_leader, odds = _leading(lane.logits)
    mine = ~finished & (odds < threshold)
    words, delays = lane.words, []
    for leads, x in zip(is_leader, lane.logits, strict=True):
        uniform, words = next_uniform(words)
        delay = jnp.exp(-x) * (jnp.exp(-step_size * jnp.log(1 - uniform)) - 1)
        delays.append(jnp.where(leads, jnp.inf, delay))
    clock = reduce(jnp.minimum, delays)
    arrival = lane.time + _generations_passed(lane.logits, is_leader, clock, step_size)
    beyond = ~(arrival <= time)
    # What was drawn beyond the saved time is forgotten: the hazard has no memory of it.
    clock = jnp.where(beyond, 0.0, clock)
    flowed = _flow(lane.logits, is_leader, clock)
    # The step is that of a leader of probability 1, as in the flow: with it the logits remain a
    # martingale exactly, while the leader's true probability would leave a drift.
    jumped = tuple(
        x + step_size * (jnp.where(delay == clock, 1.0, 0.0) - jnp.where(leads, 1.0, 0.0))
        for x, delay, leads in zip(flowed, delays, is_leader, strict=True)
    )
    moved = lane._replace(logits=jumped, time=arrival)
    moved = _count_switch(moved, level)
    state = _choose(mine & ~beyond, moved, lane)._replace(words=words)
    return state, finished | (mine & beyond)


def _one_generation(
    lane: _Lane, finished: Array, time: Array, step_size: Array, threshold: Array, level: Array
) -> tuple[_Lane, Array]:
    """Elsewhere: draw one sample and take one step."""
    _, is_leader, odds = _leading(lane.logits)
    mine = ~finished & ~(odds < threshold)
    uniform, words = next_uniform(lane.words)
    top = sum(jnp.where(leads, x, 0.0) for leads, x in zip(is_leader, lane.logits, strict=True))
    target, below, hits = uniform * (1 + odds), 0.0, []
    for number, x in enumerate(lane.logits):
        above = below + jnp.exp(x - top)
        last = number == len(lane.logits) - 1
        hits.append((below <= target) & (jnp.asarray(last) | (target < above)))
        below = above
    moved = lane._replace(logits=_step(lane.logits, hits, step_size), time=lane.time + 1)
    state = _choose(mine, _count_switch(moved, level), lane)._replace(words=words)
    return state, finished | (state.time >= time)


def _step(theta: Sequence[Array], hits: Sequence[Array], step_size: Array) -> tuple[Array, ...]:
    """One gradient step on the outcome that was hit."""
    top = reduce(jnp.maximum, theta)
    weights = [jnp.exp(x - top) for x in theta]
    rate = step_size / sum(weights)
    return tuple(
        x + jnp.where(hit, step_size, 0.0) - rate * weight
        for x, hit, weight in zip(theta, hits, weights, strict=True)
    )


def _count_switch(lane: _Lane, level: Array) -> _Lane:
    leader, _, odds = _leading(lane.logits)
    switched = (leader != lane.holder) & ((1 - level) * (1 + odds) < 1)
    return lane._replace(
        holder=jnp.where(switched, leader, lane.holder),
        num_switches=lane.num_switches + switched,
    )


def _choose(condition: Array, first: _Lane, second: _Lane) -> _Lane:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def _flow(theta: Sequence[Array], is_leader: Sequence[Array], clock: Array) -> tuple[Array, ...]:
    """The logits after the clock has advanced without a surprise: e^{−θ_j} + τ."""
    moved = [
        jnp.where(leads, 0.0, -jnp.log(jnp.exp(-x) + clock))
        for leads, x in zip(is_leader, theta, strict=True)
    ]
    others = sum(moved)
    return tuple(jnp.where(leads, -others, x) for leads, x in zip(is_leader, moved, strict=True))


def _generations_passed(
    theta: Sequence[Array], is_leader: Sequence[Array], clock: Array, step_size: Array
) -> Array:
    """(1/η) ∫₀^τ ∏ (Y_j + τ') dτ', by a Gauss rule that is exact for this polynomial."""
    nodes, weights = np.polynomial.legendre.leggauss((len(theta) + 1) // 2)
    integral: Any = 0.0
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        factors = (
            jnp.where(leads, 1.0, jnp.exp(-x) + node * clock)
            for leads, x in zip(is_leader, theta, strict=True)
        )
        integral += weight * reduce(jnp.multiply, factors)
    return integral * clock / step_size


def _rest(lane: _Lane, time: Array, step_size: Array) -> _Lane:
    """The state at exactly the saved time, if the next surprise is beyond it."""
    _, is_leader, _ = _leading(lane.logits)
    left = time - lane.time
    # ∫ ≥ τ ∏ Y bounds τ from above; ∫ ≤ τ ∏ (Y + τ) then bounds it from below.
    pairs = list(zip(is_leader, lane.logits, strict=True))
    goal = jnp.log(step_size) + jnp.log(jnp.maximum(left, 1e-300))
    high = goal + sum(jnp.where(leads, 0.0, x) for leads, x in pairs)
    low = goal - sum(jnp.where(leads, 0.0, jnp.logaddexp(-x, high)) for leads, x in pairs)

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        passed = _generations_passed(lane.logits, is_leader, jnp.exp(middle), step_size)
        early = passed < left
        return jnp.where(early, middle, ends[0]), jnp.where(early, ends[1], middle)

    low, high = lax.fori_loop(0, 60, halve, (low, high))
    flowed = _flow(lane.logits, is_leader, jnp.exp((low + high) / 2))
    return _choose(left > 0, lane._replace(logits=flowed, time=lane.time + left), lane)
