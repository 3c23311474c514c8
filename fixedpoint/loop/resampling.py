"""Refits to finitely many samples, fast: the cost of a generation follows the surviving outcomes.

A refit to n samples is a Markov chain on counts that loses outcomes for ever, and most of what the
general engine does is spent on outcomes that are long lost. This one runs the loop on counts and
looks, at generations 1, 2, 4, 8, … (1, 2, 3, 4, 6, 9, … where NumPy draws),
at what is left of each replicate:

- *one outcome*: it is absorbed, nothing remains to be done;
- *two outcomes* (n ≤ 10⁴): one look-up a generation, in the alias tables of the chain on 0..n;
- *few samples* (n ≤ 256): n uniform numbers against the cumulative probabilities;
- *else*: NumPy's multinomial draws, on all cores.

In between the survivors alone are kept. The first generation, from a distribution that all
replicates share, inverts the distribution function where there are fewer samples than outcomes.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, PyTree

from fixedpoint.kernels import driver
from fixedpoint.kernels.random import seeds
from fixedpoint.kernels.resampling import alias_tables, thermometer, walk
from fixedpoint.loop import kind
from fixedpoint.loop.corpora import branch
from fixedpoint.loop.engines import Task
from fixedpoint.loop.general import Stopped
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.samplers import Sampler, Temperature

__all__ = ["obstacle", "run"]

_WALK, _THERMOMETER = 10_000, 256
"""The largest number of samples for which each of the kernels is the fastest (measured)."""

_TABLE = 2**20
"""The largest number of samples for which the weights of all counts are kept in a table."""

LARGEST = 10**12
"""Most samples of a generation: NumPy accepts binomial variates by logarithms that are wrong by
about n times the rounding, 1e-4 here."""


def _tile(kernel: Callable[..., Any], num_samples: int) -> int:
    """How many replicates are run together: beyond, XLA would split their work (measured)."""
    if kernel is walk:
        return 2048
    return 64 if num_samples <= 112 else 32 if num_samples <= 220 else 128


def obstacle(loop: Loop, logits: Array) -> str | None:
    """What this engine would need that it does not find; None if it takes the loop."""
    found = kind.refits(loop)
    if found is None:
        return "Loop(samplers, Fresh(n), Refit()), samplers of this package, no pseudo-counts"
    if found.num_samples > LARGEST:
        return f"at most {LARGEST:,} samples"
    if logits.ndim != 1 or logits.dtype != jnp.float64:
        return "one model, logits of shape (num_outcomes,) in float64"
    return None


def run(task: Task) -> tuple[PyTree, Any]:
    """Run refits to n samples."""
    found = kind.refits(task.loop)
    assert found is not None
    assert task.key is not None
    engine = _Engine(found.samplers, found.num_samples, task.logits, task.key, task.devices)
    functions, structure = jax.tree.flatten(task.observe or _itself, is_leaf=callable)
    observed = functools.partial(_observed, tuple(functions), structure)
    number = task.num_replicates
    assert number is not None
    saved = np.union1d(task.saved, task.last)
    parts = []
    # A block of replicates at a time, so that the memory is that of some millions of counts.
    size = max(1, 2**23 // len(task.logits) // engine.group) * engine.group
    with ThreadPoolExecutor(_num_cores()) as pool:
        for first in range(0, number, size):
            each = min(size, number - first)
            series = [
                (jax.tree.map(np.asarray, observed(logits[:each])), np.asarray(logits[:each]))
                for logits in engine.run(first, each, saved, pool)
            ]
            values = [value for value, _ in series][: len(task.saved)]
            parts.append((jax.tree.map(lambda *leaves: np.stack(leaves), *values), series[-1][1]))
    values, logits = zip(*parts, strict=True)
    value = jax.tree.map(lambda *leaves: jnp.asarray(np.concatenate(leaves, 1)), *values)
    return value, Stopped(jnp.concatenate(logits), None)


@functools.partial(jax.jit, static_argnums=(0, 1))
def _observed(functions: tuple[Callable[..., Any], ...], parts: Any, logits: Array) -> Any:
    """What is observed of each replicate."""
    return jax.tree.unflatten(parts, [jax.vmap(function)(logits) for function in functions])


def _itself(logits: Array) -> Array:
    return logits


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _looks(last: int, num_samples: int) -> Iterator[int]:
    """Generations at which the survivors are counted: twice as late each time, or half as much."""
    generation = 1
    while generation < last:
        yield generation
        generation += generation if num_samples <= _THERMOMETER else max(1, generation // 2)


@jax.jit
def _entropy(key: Array, groups: Array) -> Array:
    """Seeds of NumPy's generators."""
    return jax.vmap(lambda group: jax.random.bits(branch(key, group), (4,), jnp.uint32))(groups)


@functools.partial(jax.jit, static_argnums=0)
def _tempered(parts: Any, leaves: Any, logits: Array) -> Array:
    """The probabilities that are drawn from."""
    for sampler in jax.tree.unflatten(parts, leaves):
        logits = sampler(logits)
    weights = jnp.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


@functools.lru_cache(maxsize=2)
def _tables(num_samples: int, probabilities: bytes, devices: tuple[Any, ...]) -> tuple[Array, int]:
    """The alias tables of the chain, on every device."""
    entries, num_columns = alias_tables(num_samples, np.frombuffer(probabilities))
    everywhere = NamedSharding(Mesh(np.asarray(devices), ("rows",)), PartitionSpec())
    return jax.device_put(entries, everywhere), num_columns


class _Engine:
    """Blocks of replicates as counts on the survivors, each advanced by what suits it."""

    def __init__(
        self,
        samplers: tuple[Sampler, ...],
        num_samples: int,
        start: Float[Array, " outcomes"],
        key: Array,
        devices: tuple[Any, ...],
    ) -> None:
        self.samplers, self.n, self.key, self.devices = samplers, num_samples, key, devices
        self.start = start
        probabilities = self.probabilities(np.asarray(start)[None])[0]
        # The rarest first, as NumPy divides by what the outcomes before have left of 1; but a
        # truncation may cut ties by their order.
        plain = all(type(one) is Temperature for one in samplers)
        order = np.argsort(probabilities, kind="stable") if plain else np.arange(len(start))
        self.first = order[probabilities[order] > 0]
        self.p = probabilities[self.first]
        # Replicates that share a NumPy generator; always run together, whoever asks for them.
        self.group = 1 << int(np.clip(16 - np.log2(len(self.first)), 2, 8))
        self.exponent = self._exponent()
        tabled = self.exponent is not None and self.n <= _TABLE
        self.weights = self._weights(np.arange(self.n + 1)) if tabled else None

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        leaves, parts = jax.tree.flatten(self.samplers)
        return np.asarray(_tempered(parts, leaves, logits))

    def _exponent(self) -> float | None:
        """1/T where a count's weight depends on the count alone."""
        if len(self.samplers) != 1 or type(self.samplers[0]) is not Temperature:
            return None
        temperature = float(self.samplers[0].temperature)
        if temperature * 280 < np.log2(self.n) + 1:  # weights would come near underflow
            return None
        return 1 / temperature

    def _weights(self, counts: np.ndarray) -> np.ndarray:
        assert self.exponent is not None
        share = counts / self.n
        return np.where(share > 0, share**self.exponent, 0.0)

    # --- The course of a block ---

    def run(
        self, first: int, number: int, saved: np.ndarray, pool: ThreadPoolExecutor
    ) -> Iterator[Array]:
        """Yield the logits (replicates, outcomes) at each saved generation."""
        number += -number % self.group
        last = int(saved[-1])
        self.rows = 1 << int(np.ceil(np.log2(number)))
        words = np.asarray(seeds(branch(self.key, 0), jnp.float64, first + number))
        self.words = words[first:, 0].copy()
        groups = range(first // self.group, (first + number) // self.group)
        entropy = np.asarray(_entropy(branch(self.key, 1), np.arange(groups.start, groups.stop)))
        generators = [np.random.Generator(np.random.SFC64(words)) for words in entropy.tolist()]
        looks, wanted = set(_looks(last, self.n)), set(saved.tolist())
        if 0 in wanted:
            yield jnp.broadcast_to(self.start, (number, len(self.start)))
        if last == 0:
            return
        self.support, self.counts = self._first_generation(generators, pool)
        self.width, self.number = np.zeros(number, int), np.full(number, self.counts.shape[1] + 1)
        if 1 in wanted:
            yield self._logits()
        self._look()
        now = 1
        for then in sorted({last, *looks, *wanted} - {0, 1}):
            # Nothing is left to decide where only walks remain; they find out on their own.
            walking = self.n <= _WALK and self.width.max(initial=1) in (1, 2)
            if walking and np.all(self.width > 0) and then not in wanted:
                continue
            self._advance(then - now, generators, pool)
            now = then
            if then in wanted:
                yield self._logits()
            if then in looks:
                self._look()

    def _logits(self) -> Array:
        """Of all outcomes, from the survivors' counts."""
        logits = np.full((len(self.counts), len(self.start)), -np.inf)
        row, column = np.nonzero(self.counts)
        counts = self.counts[row, column]
        logits[row, self.support[row, column]] = np.log(counts / self.n)
        return jnp.asarray(logits)

    def _look(self) -> None:
        """Decide what advances each replicate, and leave out the outcomes that are lost by then."""
        alive = self.counts > 0
        number = alive.sum(1)
        small = self.n <= _THERMOMETER
        width = np.where(small, 1 << np.ceil(np.log2(np.maximum(number, 2))).astype(int), 0)
        width = np.where((number == 2) & (self.n <= _WALK), 2, width)
        # The kernel's width of each replicate: 1 is absorbed, 2 a walk, 0 is NumPy's.
        width = np.where(number == 1, 1, width)
        lost = (width == 0) & (number < self.number)
        which = np.flatnonzero((width != self.width) | lost)
        self.width, self.number = width, number
        columns = int(np.where(width == 0, number, width).max())
        # Fixed until the next look, as NumPy's use of random numbers depends on it.
        self.columns = np.where(width == 0, number, 1).reshape(-1, self.group).max(1)
        row, column = np.nonzero(alive[which])
        place = np.arange(len(row)) - (np.cumsum(number[which]) - number[which])[row]
        for name in ("support", "counts"):
            array = getattr(self, name)
            kept = array[:, :columns].copy()
            kept[which] = 0
            kept[which[row], place] = array[which[row], column]
            setattr(self, name, kept)

    def _advance(self, length: int, generators: list[Any], pool: ThreadPoolExecutor) -> None:
        numpy_done = pool.map(
            lambda group: self._draw_group(group, generators[group], length),
            range(len(generators)) if not np.all(self.width) else (),
        )
        running = []
        for width in np.unique(self.width[self.width > 1]).tolist():
            which = np.flatnonzero(self.width == width)
            walks = width == 2 and self.n <= _WALK
            results = (
                self._walk(which, length) if walks else self._thermometer(which, width, length)
            )
            running.append((which, *results))
        for which, slots, (words, counts) in running:
            self.words[which] = np.asarray(words)[slots]
            counts = np.asarray(counts)[slots]
            if counts.ndim == 1:
                counts = np.stack([counts, self.n - counts], 1)
            self.counts[which, : counts.shape[1]] = counts[:, : self.counts.shape[1]]
        list(numpy_done)

    # --- What advances them ---

    def _first_generation(
        self, generators: list[Any], pool: ThreadPoolExecutor
    ) -> tuple[np.ndarray, np.ndarray]:
        few = self.n < len(self.p)
        cumulative = np.cumsum(self.p)
        # Against a uniform number that rounds to the whole.
        top = np.nextafter(cumulative[-1], 0)

        def draw(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
            if not few:
                counts = _multinomial(generator, self.n, np.tile(self.p, (self.group, 1)))
                return np.tile(np.arange(len(self.p)), (self.group, 1)), counts
            points = generator.random((self.group, self.n)) * cumulative[-1]
            drawn = np.searchsorted(cumulative, np.minimum(points, top), side="right")
            return _histograms(np.sort(drawn, axis=1))

        supports, counts = zip(*pool.map(draw, generators), strict=True)
        return self.first[np.concatenate(supports)], np.concatenate(counts).astype(np.int64)

    def _draw_group(self, group: int, generator: np.random.Generator, length: int) -> None:
        """NumPy's draws for those of a group that are too large for the kernels."""
        of_group = slice(group * self.group, (group + 1) * self.group)
        rows = group * self.group + np.flatnonzero(self.width[of_group] == 0)
        if not len(rows):
            return
        counts = self.counts[rows, : self.columns[group]]
        for generation in range(length):
            if generation % 16 == 0 and np.all(counts.max(1) == self.n):
                break
            counts = _multinomial(generator, self.n, self._drawn(counts))
        self.counts[rows, : counts.shape[1]] = counts

    def _drawn(self, counts: np.ndarray) -> np.ndarray:
        if self.exponent is not None:
            weights = self._weights(counts) if self.weights is None else self.weights[counts]
            return weights / weights.sum(1, keepdims=True)
        rows, width = (
            1 << int(np.ceil(np.log2(len(counts)))),
            1 << (counts.shape[1] - 1).bit_length(),
        )
        padded = np.zeros((rows, width))
        padded[:, 0] = 1
        padded[: len(counts), : counts.shape[1]] = counts
        with np.errstate(divide="ignore"):
            logits = np.log(padded)
        return self.probabilities(logits)[: len(counts), : counts.shape[1]]

    def _walk(self, which: np.ndarray, length: int) -> Any:
        count = np.arange(self.n + 1)
        with np.errstate(divide="ignore"):
            logits = np.log(np.stack([count, self.n - count], 1) / self.n)
        p = np.ascontiguousarray(self.probabilities(logits)[:, 0])
        table, num_columns = _tables(self.n, p.tobytes(), self.devices)
        first, whole = self.counts[which, 0], (np.int64(length), table)
        return self._run(walk, (num_columns, self.n), which, first, whole)

    def _thermometer(self, which: np.ndarray, width: int, length: int) -> Any:
        counts = np.zeros((len(which), width), np.int32)
        columns = min(width, self.counts.shape[1])
        counts[:, :columns] = self.counts[which, :columns]
        tabled = self.weights is not None
        whole = np.int64(length), self.weights if tabled else self.samplers
        return self._run(thermometer, (tabled, self.n), which, counts, whole)

    def _run(
        self,
        kernel: Callable[..., Any],
        static: tuple[Any, ...],
        which: np.ndarray,
        counts: np.ndarray,
        whole: tuple[Any, ...],
    ) -> tuple[np.ndarray, Any]:
        """The kernel's results and the places in them, dealt out to the devices in turn.

        It is given as many rows always, so that few programs are compiled.
        """
        num_devices = len(self.devices)
        each = -(-self.rows // num_devices)
        each = 1 << int(np.ceil(np.log2(each)))  # a whole number of tiles, all powers of two
        turn, device = np.divmod(np.arange(len(which)), num_devices)
        slots = device * each + turn
        words = np.zeros(each * num_devices, np.uint64)
        words[slots] = self.words[which]
        rows = np.zeros((len(words), *counts.shape[1:]), np.int32)
        # What is not filled is absorbed from the beginning.
        rows.reshape(len(rows), -1)[:, 0] = self.n
        rows[slots] = counts
        return slots, driver.run(
            kernel,
            [words, rows],
            whole,
            tile=min(_tile(kernel, self.n), each),
            static=static,
            library=kernel is thermometer and not static[0],
            devices=self.devices,
        )


def _multinomial(generator: np.random.Generator, n: int, p: np.ndarray) -> np.ndarray:
    """Counts of n draws for each row of p."""
    counts = generator.multinomial(n, p)
    # NumPy gives what rounding left over to the last outcome, be its probability 0.
    for row in np.flatnonzero((counts[:, -1] > 0) & (p[:, -1] == 0)):
        counts[row, p[row].argmax()] += counts[row, -1]
        counts[row, -1] = 0
    return counts


def _histograms(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers of each sorted row and how often they occur, padded with zeros."""
    new = np.ones(drawn.shape, bool)
    new[:, 1:] = drawn[:, 1:] != drawn[:, :-1]
    place = np.cumsum(new, 1) - 1
    support, counts = np.zeros_like(drawn), np.zeros_like(drawn)
    rows = np.broadcast_to(np.arange(len(drawn))[:, None], drawn.shape)
    support[rows, place] = drawn
    np.add.at(counts, (rows, place), 1)
    return support, counts
