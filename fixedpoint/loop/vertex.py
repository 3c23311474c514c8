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

import math
from collections.abc import Callable, Sequence
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
from fixedpoint.loop import kind
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.samplers import floating

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


class _Lanes(NamedTuple):
    """A tile of R replicates, the last axis: what is done to each of them is elementwise work."""

    logits: Array  # (K, R), as everything that has outcomes; all else is (1, R)
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
        martingale exactly. Agrees with `run` in two-sample tests
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
    checks.check_concrete("run_events", loop=loop, logits=logits, log_generations=log_generations)
    numbers = kind.check_single_traces(loop)
    if float(numbers.temperature) != 1 or numbers.num_samples != 1 or float(numbers.weight_decay):
        raise ValueError(f"`loop` must have T = 1, one sample and no weight decay; got {loop}.")
    checks.check_logits(logits)
    checks.check_key(key)
    checks.check_functions(observe, several=False)
    start = simplex.centre(floating(logits))
    checks.check_concrete("run_events", logits=start)  # inside jax.jit everything is traced
    if start.ndim != 1 or len(start) < 2 or not np.all(np.isfinite(start)):
        raise ValueError(f"`logits` must be finite, of at least two outcomes; got {logits}.")
    if start.dtype != jnp.float64:
        raise ValueError(f"`logits` must be float64 (jax_enable_x64); got {start.dtype}.")
    num_replicates = checks.check_count(num_replicates, "num_replicates")
    times = np.asarray(checks.check_range(log_generations, "log_generations", "[-inf, 600]"), float)
    if times.ndim != 1 or times.size == 0 or np.any(times[1:] <= times[:-1]):
        raise ValueError(
            f"`log_generations` must increase, at least one, to 600 at most; got {times.tolist()}."
        )
    checks.check_range(level, "level", "(0, 0.5]")
    checks.check_range(threshold, "threshold", "(0, 0.1]")
    if np.ndim(level) or np.ndim(threshold):
        raise ValueError(f"`level` and `threshold` must be numbers; got {level}, {threshold}.")
    saved, switches = driver.run(
        _simulate,
        [seeds(key, start.dtype, num_replicates)],
        [
            start,
            jnp.rint(jnp.exp(jnp.asarray(times))),
            numbers.step_size.astype(start.dtype),
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

    def until(lanes: _Lanes, time: Array) -> _Lanes:
        def advance(carry: tuple[_Lanes, Array]) -> tuple[_Lanes, Array]:
            begin, done = carry
            lanes, finished = _to_surprise(begin, done, time, step_size, threshold, level)

            def generation(_: Any, carry: tuple[_Lanes, Array]) -> tuple[_Lanes, Array]:
                return _one_generation(*carry, time, step_size, threshold, level)

            lanes, finished = lax.fori_loop(0, _GENERATIONS, generation, (lanes, finished))
            # Whoever waits for the others draws no numbers: none depends on the rest of its tile.
            return _choose(done, begin, lanes), finished

        lanes, _ = lax.while_loop(
            lambda carry: ~jnp.all(carry[1]), advance, (lanes, lanes.time >= time)
        )
        return _rest(lanes, time, step_size)

    def save(lanes: _Lanes, time: Array) -> tuple[_Lanes, tuple[Any, Array]]:
        lanes = until(lanes, time)
        return lanes, (jax.vmap(observe, 1)(lanes.logits), lanes.num_switches[0])

    zero = jnp.zeros((1, len(words)), int)
    lanes = _Lanes(
        jnp.broadcast_to(start[:, None], (len(start), len(words))),
        jnp.zeros((1, len(words)), start.dtype),
        (words[None, :, 0], words[None, :, 1]),
        zero + jnp.argmax(start),
        zero,
    )
    return lax.scan(save, lanes, times)[1]


def _scan(function: Callable[..., Any], start: Any, entries: Any, length: int | None = None) -> Any:
    """A loop over outcomes or nodes, written out if they are few: then XLA makes one of it."""
    number = len(jax.tree.leaves(entries)[0]) if length is None else length
    return lax.scan(function, start, entries, length, unroll=max(1, min(number, 8)))


def _leading(theta: Array) -> tuple[Array, Array, Array]:
    """The leader's number, whether each outcome is it, and the others' odds against it."""
    leader = jnp.argmax(theta, 0, keepdims=True)
    is_leader = jnp.arange(len(theta))[:, None] == leader
    weights = jnp.exp(theta - theta.max(0, keepdims=True))
    return leader, is_leader, jnp.sum(jnp.where(is_leader, 0, weights), 0, keepdims=True)


def _to_surprise(
    lanes: _Lanes, finished: Array, time: Array, step_size: Array, threshold: Array, level: Array
) -> tuple[_Lanes, Array]:
    """Near a vertex: to the next surprise, unless it comes later than `time`."""
    _, is_leader, odds = _leading(lanes.logits)
    mine = ~finished & (odds < threshold)

    def draw(words: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], Array]:
        uniform, words = next_uniform(words)
        return words, uniform

    words, uniform = _scan(draw, lanes.words, None, len(is_leader))
    delays = jnp.exp(-lanes.logits) * (jnp.exp(-step_size * jnp.log(1 - uniform[:, 0])) - 1)
    delays = jnp.where(is_leader, jnp.inf, delays)
    clock = delays.min(0, keepdims=True)
    arrival = lanes.time + _generations_passed(lanes.logits, is_leader, clock, step_size)
    beyond = ~(arrival <= time)
    # What was drawn beyond the saved time is forgotten: the hazard has no memory of it.
    clock = jnp.where(beyond, 0.0, clock)
    # The step is that of a leader of probability 1, as in the flow: with it the logits remain a
    # martingale exactly, while the leader's true probability would leave a drift.
    jump = jnp.where(delays == clock, 1.0, 0.0) - jnp.where(is_leader, 1.0, 0.0)
    jumped = _flow(lanes.logits, is_leader, clock) + step_size * jump
    moved = _count_switch(lanes._replace(logits=jumped, time=arrival), level)
    state = _choose(mine & ~beyond, moved, lanes)._replace(words=words)
    return state, finished | (mine & beyond)


def _one_generation(
    lanes: _Lanes, finished: Array, time: Array, step_size: Array, threshold: Array, level: Array
) -> tuple[_Lanes, Array]:
    """Elsewhere: draw one sample and take one step."""
    _, _, odds = _leading(lanes.logits)
    mine = ~finished & ~(odds < threshold)
    uniform, words = next_uniform(lanes.words)
    target = uniform * (1 + odds)

    def count(carry: tuple[Array, Array], weight: Array) -> tuple[tuple[Array, Array], None]:
        total = carry[0] + weight
        return (total, carry[1] + (total <= target)), None

    # The last outcome has what rounding leaves: it is drawn if none before it is.
    weights = jnp.exp(lanes.logits - lanes.logits.max(0, keepdims=True))
    start = jnp.zeros_like(target), jnp.zeros(target.shape, int)
    (_, drawn), _ = _scan(count, start, weights[:-1, None])
    hit = jnp.arange(len(weights))[:, None] == drawn
    rate = step_size / weights.sum(0, keepdims=True)
    logits = lanes.logits + jnp.where(hit, step_size, 0.0) - rate * weights
    moved = lanes._replace(logits=logits, time=lanes.time + 1)
    state = _choose(mine, _count_switch(moved, level), lanes)._replace(words=words)
    return state, finished | (state.time >= time)


def _count_switch(lanes: _Lanes, level: Array) -> _Lanes:
    leader, _, odds = _leading(lanes.logits)
    switched = (leader != lanes.holder) & ((1 - level) * (1 + odds) < 1)
    return lanes._replace(
        holder=jnp.where(switched, leader, lanes.holder),
        num_switches=lanes.num_switches + switched,
    )


def _choose(condition: Array, first: _Lanes, second: _Lanes) -> _Lanes:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)


def _flow(theta: Array, is_leader: Array, clock: Array) -> Array:
    """The logits after the clock has advanced without a surprise: e^{−θ_j} + τ."""
    moved = jnp.where(is_leader, 0.0, -jnp.log(jnp.exp(-theta) + clock))
    return jnp.where(is_leader, -moved.sum(0, keepdims=True), moved)


def _generations_passed(theta: Array, is_leader: Array, clock: Array, step_size: Array) -> Array:
    """(1/η) ∫₀^τ ∏ (Y_j + τ') dτ', by a Gauss rule that is exact for this polynomial.

    Its coefficients are positive, so that the rule is no worse for it than for one of its powers
    of τ'. For many outcomes fewer nodes give each of these to rounding.
    """
    number = min((len(theta) + 1) // 2, 8 + math.ceil(3 * math.sqrt(len(theta))))
    nodes, weights = np.polynomial.legendre.leggauss(number)

    def add(integral: Array, entry: tuple[Array, Array]) -> tuple[Array, None]:
        node, weight = entry
        factors = jnp.where(is_leader, 1.0, jnp.exp(-theta) + node * clock)
        return integral + weight * factors.prod(0, keepdims=True), None

    entries = jnp.asarray((nodes + 1) / 2), jnp.asarray(weights / 2)
    integral, _ = _scan(add, jnp.zeros_like(clock), entries)
    return integral * clock / step_size


def _rest(lanes: _Lanes, time: Array, step_size: Array) -> _Lanes:
    """The state at exactly the saved time, if the next surprise is beyond it."""
    theta = lanes.logits
    _, is_leader, _ = _leading(theta)
    left = time - lanes.time
    # ∫ ≥ τ ∏ Y bounds τ from above; ∫ ≤ τ ∏ (Y + τ) then bounds it from below.
    goal = jnp.log(step_size) + jnp.log(jnp.maximum(left, 1e-300))
    high = goal + jnp.where(is_leader, 0.0, theta).sum(0, keepdims=True)
    others = jnp.where(is_leader, 0.0, jnp.logaddexp(-theta, high))
    low = goal - others.sum(0, keepdims=True)

    def halve(_: Any, ends: tuple[Array, Array]) -> tuple[Array, Array]:
        middle = (ends[0] + ends[1]) / 2
        early = _generations_passed(theta, is_leader, jnp.exp(middle), step_size) < left
        return jnp.where(early, middle, ends[0]), jnp.where(early, ends[1], middle)

    low, high = lax.fori_loop(0, 60, halve, (low, high))
    flowed = _flow(theta, is_leader, jnp.exp((low + high) / 2))
    return _choose(left > 0, lanes._replace(logits=flowed, time=lanes.time + left), lanes)
