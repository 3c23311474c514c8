"""The engine of single traces: one gradient step a generation on a handful of fresh samples.

A single-trace loop asks for a hundred thousand generations of thousands of replicates, where the
work of one generation is a few exponentials,

    θ' = (1 − ηλ) θ + η (p̂ − p),    p = softmax(θ),    p̂ the frequencies of B samples.

Here it has the form that a processor likes:

- *Random numbers* come from a xoroshiro generator inside the loop, one per replicate, seeded with
  the key and the replicate's number alone: nothing is drawn or stored in advance.
- *Tiles.* Replicates are run in tiles that stay in the cache, each through all its generations.
- *Two outcomes* are carried as the gap z = θ₁ − θ₂ of the logits.
- *More outcomes* are carried as the weights e^θ and e^{θ/T}, which one sample changes by factors
  near 1: short polynomials instead of exponentials. (Several samples, weight decay or large steps:
  the logits are carried.) They are searched in blocks of √K.
- *Hundreds of outcomes and more* are visited once in some hundreds of generations; in between, a
  generation touches the most probable ones and the one drawn (`fixedpoint.kernels.lazy`). Its cost
  hardly depends on their number, and the law is the same. (On the versions of jaxlib on which this
  was tried; elsewhere all outcomes are visited.)
- *Memory* holds the saved observables and the last models, whatever the number of generations.

The rule holds to rounding: after t generations the logits are within about t · 1e-15 of it, for the
same samples; the samples are exact up to the resolution of the uniform numbers (2⁻⁵² in float64,
2⁻⁴⁴ or better in float32). From 512 outcomes on (one sample a generation, no weight decay, float64,
η ≤ min(T, 1)) what the improbable outcomes have lost is interpolated: the logits are within
1e-9 + t · 1e-15 of the rule for the same samples, which have the law of these logits
(`tests/kernels/test_lazy.py`). In float32 a gap of the logits stops growing near 15, where its
increments fall below the rounding: use float64 for long horizons.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from fixedpoint import simplex
from fixedpoint.kernels import driver
from fixedpoint.kernels.lazy import TABLE, blocks
from fixedpoint.kernels.random import seeds
from fixedpoint.kernels.traces import simulate, uses_library
from fixedpoint.loop import kind
from fixedpoint.loop.engines import Observer, Task, progress_bar, shown
from fixedpoint.loop.generation import Loop

__all__ = ["obstacle", "run"]

_MANY = 512
"""Outcomes from which on not all are visited in every generation."""

_NUM_HEAVY = 32

_LONG = 10**8
"""Generations × replicates × outcomes from which on progress is shown, in pieces."""

_PIECES = 50


def obstacle(loop: Loop, logits: Array) -> str | None:
    """What this engine would need that it does not find; None if it takes the loop."""
    if kind.single_traces(loop) is None:
        return (
            "Loop(Temperature(T), Fresh(B), GradientSteps(step_size)) with 0 < T < inf and one "
            "full-batch step from the last model"
        )
    if logits.ndim != 1 or not np.all(np.isfinite(logits)):
        return "one model, logits of shape (num_outcomes,) without lost outcomes"
    if logits.dtype not in (jnp.float32, jnp.float64):
        return "logits in float64 or float32"
    return None


def run(task: Task) -> tuple[PyTree, Stopped]:
    """Run single traces."""
    number = task.num_replicates
    assert number is not None
    start = simplex.centre(task.logits)
    level = float(jnp.mean(task.logits))
    in_pieces = shown(task.progress) and (task.last - task.first) * number * len(start) >= _LONG
    points = _points(task, in_pieces)
    decay = _decay(task.loop)
    values, state = [], task.state
    with progress_bar(task.last - task.first, task.progress) as bar:
        now = task.first
        # As many points in every piece, so that one program does them all.
        size = -(-len(points) // _PIECES) if in_pieces else len(points)
        for piece in range(0, len(points), size):
            stops = points[piece : piece + size]
            padded = np.pad(stops, (0, size - len(stops)), mode="edge")
            levels = level * decay ** padded.astype(float)
            found, state = _advanced(task, start, state, number, now, padded, levels)
            kept = np.flatnonzero(np.isin(stops, task.saved))
            whole = len(kept) == len(padded)
            values.append(found if whole else jax.tree.map(lambda x, k=kept: x[k], found))
            bar.update(int(stops[-1]) - now)
            now = int(stops[-1])
    value = values[0]
    if len(values) > 1:
        value = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *values)
    return value, eqx.tree_at(lambda left: left.level, state, level * decay**task.last)


class Stopped(eqx.Module):
    """Where a run stopped, as the kernel hands it back: every array (1, num_replicates, ...).

    Attributes:
        centred: The models, centred logits.
        level: The mean of their logits.
        carried: What the kernel goes on with.
    """

    centred: Array
    level: float
    carried: PyTree

    @property
    def logits(self) -> Array:
        """The models."""
        return self.centred[0] + self.level

    @property
    def memory(self) -> None:
        """None: fresh samples leave none."""
        return

    def rows(self) -> PyTree:
        """What the kernel goes on with, the replicates first."""
        return jax.tree.map(lambda leaf: leaf[0], self.carried)


def _decay(loop: Loop) -> float:
    """The factor of the mean of the logits in a generation."""
    numbers = kind.check_single_traces(loop)
    return 1 - float(numbers.step_size) * float(numbers.weight_decay)


def _points(task: Task, in_pieces: bool) -> np.ndarray:
    """The generations to stop at: those that are saved, the last one, and others to show."""
    points = {*task.saved.tolist(), task.last}
    if in_pieces:
        length = task.last - task.first
        points |= {task.first + length * i // _PIECES for i in range(1, _PIECES)}
    return np.array(sorted(points))


def _advanced(
    task: Task,
    start: Array,
    state: Any,
    number: int,
    first: int,
    stops: np.ndarray,
    levels: np.ndarray,
) -> tuple[PyTree, Stopped]:
    """Go on to each of the stops in turn: what is observed there, and where that leaves the run."""
    numbers = kind.check_single_traces(task.loop)
    step_size, weight_decay, temperature = (
        jnp.asarray(value, start.dtype)
        for value in (numbers.step_size, numbers.weight_decay, numbers.temperature)
    )
    num_outcomes, is_one = len(start), float(numbers.temperature) == 1
    reach = _reach(numbers, start)
    if reach and num_outcomes >= _MANY and driver.makes_one_function(task.devices):
        kernel, static = blocks, (_NUM_HEAVY, is_one, reach)
        # A light outcome's room: two or three samples, or one; every proposal pays for it.
        room = jnp.maximum(1.01 * step_size, 0.25 * jnp.minimum(temperature, 1.0))
        parameters = step_size, temperature, room, TABLE
        library, tiles = False, (1, 1)
    else:
        kernel, static = simulate, (numbers.num_samples, is_one, reach)
        parameters = step_size, weight_decay, temperature
        library = uses_library(num_outcomes, reach)
        most = max(1, min(128, (2**15 if library else 2**13) // num_outcomes))
        tiles = min(16, most), most
    observer, arrays = Observer.of(task.observe)
    assert task.key is not None
    words = seeds(task.key, start.dtype, number) if state is None else None
    lengths = np.diff(stops, prepend=first)
    values, logits, carried = driver.run(
        _observing,
        [words, None if state is None else state.rows()],
        [
            start,
            jnp.asarray(lengths),
            jnp.asarray(levels, start.dtype),
            jnp.asarray(first, lengths.dtype),
            *parameters,
            arrays,
        ],
        static=(kernel, observer, *static),
        tile=_tile(-(-number // len(task.devices)), *tiles),
        axis=1,
        library=library,
        devices=task.devices,
    )
    return values, Stopped(logits, float(levels[-1]), carried)


def _observing(kernel: Callable[..., Any], observer: Observer, *arguments: Any) -> Any:
    """A kernel, handed the function to observe a tile of replicates with."""
    arrays = arguments[-1]
    return kernel(jax.vmap(lambda logits: observer.observed(arrays, logits)), *arguments[:-1])


def _tile(each: int, least: int, most: int) -> int:
    """A power of two of replicates, as many as a device has of them or as its cache holds."""
    largest = 1 << (max(least, most).bit_length() - 1)
    return min(largest, max(least, 1 << (each - 1).bit_length()))


def _reach(numbers: kind.SingleTraces, start: Array) -> float:
    """A bound of the changes of θ and θ/T, one of a few; 0 if weights cannot be carried."""
    temperature, step_size = float(numbers.temperature), float(numbers.step_size)
    smallest = min(temperature, 1.0)
    # Logits fall by the logarithm of the generations: 40 is more than any run's.
    within = (float(jnp.abs(start).max()) + 40) / smallest < 700
    single = numbers.num_samples == 1 and not float(numbers.weight_decay)
    if not (single and within and start.dtype == jnp.float64):
        return 0.0
    reaches = 1 / 32, 1 / 8, 1 / 2, 1.0
    return next((reach for reach in reaches if step_size / smallest <= reach), 0.0)
