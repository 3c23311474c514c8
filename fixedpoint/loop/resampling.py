"""Refits to finitely many samples, fast: the cost of a generation follows the surviving outcomes.

`run` carries any loop; a refit to n samples is a Markov chain on counts that loses outcomes for
ever, and most of what `run` does is spent on outcomes that are long lost. `run_refits` runs the
same loop on the counts of the survivors, of which there are at most n. A *row* is one replicate of
one context. At generations 1, 2, 4, 8, … (1, 2, 3, 4, 6, 9, … beyond 256 samples) what has survived
becomes the *layout* of the row, the outcomes that it holds counts of, and says how it is drawn:

- *one outcome*: it is absorbed, nothing remains to be done;
- *two outcomes* (n ≤ 10⁴): one look-up a generation, in the alias tables of the chain on 0..n;
- *few samples* (n ≤ 256): n uniform numbers against the cumulative probabilities;
- *some samples an outcome*: n sorted uniform numbers, counted between cumulative probabilities, or
  at temperature 1 as many choices of a parent;
- *many samples an outcome*: binomial variates, one outcome after the other.

The first two of these that draw run in compiled kernels, the others in NumPy on all cores (see
`fixedpoint.kernels.resampling`); what is observed is read off the survivors too, where it can be
(`fixedpoint.loop.survivors`). NumPy draws for a *group* of replicates at once, from a fast
generator that is seeded anew with the Philox numbers of its context, group and generation: no
random number depends on what was drawn before, and a run goes on from its layouts alone.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, ArrayLike, Float, Int, PyTree, Real

from fixedpoint import checks
from fixedpoint.kernels import driver
from fixedpoint.kernels.random import GAMMA
from fixedpoint.kernels.resampling import (
    alias_tables,
    count_points,
    draw_binomials,
    draw_parents,
    draw_survivors,
    move_survivors,
    thermometer,
    walk,
)
from fixedpoint.loop.corpora import Fresh, branch
from fixedpoint.loop.learners import Refit
from fixedpoint.loop.run import Loop, Trajectory
from fixedpoint.loop.samplers import MinP, Nucleus, Sampler, Temperature, TopK, floating
from fixedpoint.loop.survivors import Reading
from fixedpoint.loop.traces import logarithmic_generations

__all__ = ["Layouts", "run_refits", "run_resampling"]

_WALK, _THERMOMETER = 10_000, 256
"""The largest number of samples for which each of the kernels is the fastest (measured)."""

_POINTS = 16
"""Samples an outcome up to which sorted points are faster than binomial variates (measured)."""

_TABLE = 2**20
"""The largest number of samples for which the weights of all counts are kept in a table."""

_COUNTS = 2**22
"""Counts in work at once."""

LARGEST = 10**12
"""Most samples of a generation: NumPy accepts binomial variates by logarithms that are wrong by
about n times the rounding, 1e-4 here."""


class Layouts(NamedTuple):
    """The state of a run: the outcomes that are followed, and how often each was drawn.

    Attributes:
        generation: which these counts are of; at 0 nothing has been drawn, and width is 0.
        outcomes: shape (R, *batch, width); -1 where a row has fewer.
        counts: of these outcomes, among them 0.
    """

    generation: int
    outcomes: Int[np.ndarray, "replicates *batch width"]
    counts: Int[np.ndarray, "replicates *batch width"]


def run_resampling(
    loop: Loop,
    logits: Real[ArrayLike, "*batch outcomes"],
    num_generations: int,
    *,
    key: Array,
    num_replicates: int,
    observe: PyTree[Callable[[Array], PyTree]] = None,
    save_at: Sequence[int] | None = None,
    progress: bool | None = None,
    devices: Sequence[Any] | None = None,
) -> Trajectory:
    """Run a loop that refits to n fresh samples, for many replicates, contexts or outcomes.

    One generation counts n draws from the sampler's distribution and becomes the counts' shares,

        N ~ Multinomial(n, sampler(p)),    p' = N/n.

    The same law as `run` with the same arguments, from other random numbers. Use it where `run`
    takes too long; `run` for every other corpus or learner, under transformations, and where the
    numbers must come from `jax.random` alone.

    Args:
        loop: `Loop(samplers, Fresh(n), Refit())`; the samplers Temperature, TopK, Nucleus, MinP.
        logits: The initial model, or one for each context, shape (..., num_outcomes); -inf is a
            lost outcome.
        num_generations: How many generations, at least 0.
        key: A random key.
        num_replicates: How many independent runs.
        observe: What to save of the logits (of one replicate): a function, or a tuple, list or
            dict of functions, as for `run`. None saves the logits. The entropy, heterozygosity,
            effective number, mode probability and number of survivors of `fixedpoint.simplex` cost
            next to nothing; any other function is given the logits of all outcomes.
        save_at: The generations to save, increasing; by default about nine per decade
            (`logarithmic_generations`).
        progress: Whether to show a progress bar; by default if standard error is a terminal.
        devices: The devices that share the rows where a kernel runs them; by default all
            local ones. NumPy's part runs on all cores.

    Returns:
        The saved generations and values, of shape (S, num_replicates, ...).

    Raises:
        ValueError: If the loop is not of that form, an argument is out of its range (n is at most
            10¹²), or float64 is not enabled.

    Validity:
        Draws are exact up to the resolution of the probabilities: 2⁻³² for n ≤ 256, 2⁻³⁸ of a
        column of the alias tables for two outcomes, 2⁻⁵³ elsewhere. A lost outcome stays lost,
        exactly, and truncation has the same borders as in `run` (`fixedpoint.loop.samplers`).
        Replicate r of context c depends on the key, r and c (and on the versions of NumPy and JAX)
        alone; not on the number of either or the saved generations, and but for the rounding of
        probabilities not on the devices, for whose number XLA may compile otherwise. Memory is that
        of some millions of counts beside the logits given and the values saved, whatever the number
        of generations, replicates and contexts. Tests against the exact chain and all histories:
        `tests/loop/test_resampling.py`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(fp.Temperature(1.0), fp.Fresh(num_samples=50), fp.Refit())
        >>> runs = fp.run_resampling(
        ...     loop, jnp.zeros(1000), 10_000, key=jax.random.key(0), num_replicates=3,
        ...     observe=fp.simplex.num_surviving, save_at=[0, 10_000],
        ... )
        >>> runs.value.tolist()
        [[1000, 1000, 1000], [1, 1, 1]]
    """
    checks.check_concrete("run_resampling", loop=loop, logits=logits, key=key)
    checks.check_logits(logits)
    checks.check_key(key)
    checks.check_functions(observe)
    checks.check_devices(devices)
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    num_replicates = checks.check_count(num_replicates, "num_replicates")
    every = logarithmic_generations(num_generations)
    saved = checks.check_generations(every if save_at is None else save_at, num_generations)
    value, _ = run_refits(
        loop,
        logits,
        key=key,
        num_replicates=num_replicates,
        observe=observe,
        saved=saved,
        progress=progress,
        devices=devices,
    )
    return Trajectory(generation=jnp.asarray(saved), value=value)


def run_refits(
    loop: Loop,
    logits: Real[ArrayLike, "*batch outcomes"],
    *,
    key: Array,
    num_replicates: int,
    observe: PyTree[Callable[[Array], PyTree]],
    saved: Int[np.ndarray, " saved"],
    state: Layouts | None = None,
    progress: bool | None = None,
    devices: Sequence[Any] | None = None,
) -> tuple[PyTree, Layouts]:
    """Run refits up to the last saved generation: the engine, behind all checks of arguments.

    Args:
        loop: as for `run_resampling`.
        logits: as there.
        key: as there.
        num_replicates: as there.
        observe: as there.
        saved: the generations to save, increasing.
        state: what a run with the same loop, logits, key and number of replicates ended with; this
            one goes on from there, and saves what one long run would.
        progress: as there.
        devices: as there.

    Returns:
        The values, of shape (S, num_replicates, *batch, ...), and the state.
    """
    samplers, num_samples = _parts(loop)
    start = np.asarray(floating(logits))
    if jnp.result_type(float) != jnp.float64:
        raise ValueError("`jax_enable_x64` must be on for `run_resampling`; got float32.")
    *batch, num_outcomes = start.shape
    start = start.reshape(-1, num_outcomes)
    devices = tuple(jax.local_devices() if devices is None else devices)
    draws = _Draws(samplers, num_samples, start, key, devices)
    shape = len(saved), num_replicates, *batch
    reading = Reading(observe, start, shape, num_samples, devices)
    blocks = _blocks(draws, num_replicates, reading.joint)
    capacity = max(len(contexts) * len(replicates) for contexts, replicates in blocks)
    began, last = (0 if state is None else state.generation), int(saved[-1])
    layouts = []
    with (
        ThreadPoolExecutor(_num_cores()) as pool,
        _progress_bar(len(blocks) * (last - began), progress) as bar,
    ):
        for contexts, replicates in blocks:
            block = _Block(draws, contexts, replicates, capacity, pool)
            if state is not None and began:
                block.resume(state)
            for index, generation in enumerate(saved.tolist()):
                block.advance(generation, bar)
                part = index, contexts, replicates
                if generation:
                    reading.read(part, *block.survivors())
                else:
                    reading.read_start(part)
            layouts.append(block.layout())
    return reading.values(), _joined(last, blocks, layouts, batch)


def _joined(
    generation: int,
    blocks: list[tuple[range, range]],
    layouts: list[tuple[np.ndarray, np.ndarray]],
    batch: Sequence[int],
) -> Layouts:
    """The layouts of all blocks."""
    shape = blocks[-1][1].stop, blocks[-1][0].stop, max(counts.shape[2] for _, counts in layouts)
    outcomes, counts = np.full(shape, -1, np.int32), np.zeros(shape, np.int64)
    for (contexts, replicates), part in zip(blocks, layouts, strict=True):
        place = slice(replicates.start, replicates.stop), slice(contexts.start, contexts.stop)
        columns = slice(shape[2] - part[0].shape[2], None)
        outcomes[*place, columns], counts[*place, columns] = (
            array.swapaxes(0, 1) for array in part
        )
    shape = shape[0], *batch, shape[2]
    return Layouts(generation, outcomes.reshape(shape), counts.reshape(shape))


def _parts(loop: Loop) -> tuple[tuple[Sampler, ...], int]:
    """Samplers and number of samples of a loop that refits to fresh samples."""
    checks.check_kind(loop, Loop, "loop", "a Loop")
    # Samplers that look at an outcome's number would not allow the lost ones to be left out.
    known = all(type(one) in (Temperature, TopK, Nucleus, MinP) for one in loop.samplers)
    corpus, learner = loop.corpus, loop.learner
    known &= all(np.ndim(leaf) == 0 for leaf in jax.tree.leaves(loop))
    refit = type(corpus) is Fresh and type(learner) is Refit and not np.any(learner.pseudo_counts)
    if not (known and refit):
        raise ValueError(
            "`loop` must be Loop(samplers, Fresh(n), Refit()) with the samplers of this package "
            f"and without pseudo-counts; `run` takes every loop. Got {loop}."
        )
    num_samples = corpus.num_samples  # type: ignore[union-attr]
    if num_samples > LARGEST:
        raise ValueError(
            f"`num_samples` must be at most {LARGEST:,} for `run_resampling` (`run` takes any that "
            f"float64 can count); got {num_samples:,}."
        )
    return loop.samplers, num_samples


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _progress_bar(total: int, progress: bool | None) -> Any:
    from tqdm import tqdm  # loaded when needed: importing the package stays light

    shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(total=total, disable=not shown, unit="generation", leave=False, delay=1)


def _blocks(draws: _Draws, num_replicates: int, joint: bool) -> list[tuple[range, range]]:
    """Contexts and replicates that are run together, of about the same size.

    Their counts, and the distributions of their contexts, are some millions of numbers. Functions
    that must be given all contexts at once allow only the replicates to be split.
    """
    num_contexts, width = len(draws.start), draws.width
    most = num_contexts if joint else _COUNTS // max(width * num_replicates, draws.start.shape[1])
    contexts = _split(num_contexts, max(1, most), 1)
    most = _COUNTS // (width * len(contexts[0]))
    replicates = _split(num_replicates, max(1, most), draws.group)
    return [(some, others) for some in contexts for others in replicates]


def _split(number: int, most: int, multiple: int) -> list[range]:
    """Ranges of about equal length, at most that long (or one multiple)."""
    parts = -(-number // most)
    size = -(-number // parts // multiple) * multiple
    return [range(first, min(first + size, number)) for first in range(0, number, size)]


def _next_look(generation: int, num_samples: int) -> int:
    """When layouts are made after this generation: twice as late each time, or half as much."""
    look = 1
    while look <= generation:
        look += look if num_samples <= _THERMOMETER else max(1, look // 2)
    return look


@functools.partial(jax.jit, static_argnums=0)
def _tempered(parts: Any, leaves: Any, logits: Array) -> Array:
    """The probabilities that are drawn from."""
    for sampler in jax.tree.unflatten(parts, leaves):
        logits = sampler(logits)
    weights = jnp.exp(logits - logits.max(-1, keepdims=True))
    return weights / weights.sum(-1, keepdims=True)


@jax.jit
def _words(key: Array, contexts: Array, replicates: Array) -> Array:
    """Two seeds for each context and replicate, of the kernels' generators."""

    def of_row(context: Array, replicate: Array) -> Array:
        return jax.random.bits(branch(branch(key, context), replicate), (2,), jnp.uint64)

    rows = jax.vmap(of_row, (None, 0))
    return jax.vmap(rows, (0, None))(contexts, replicates)


@functools.lru_cache(maxsize=2)
def _tables(num_samples: int, probabilities: bytes, devices: tuple[Any, ...]) -> tuple[Array, int]:
    """The alias tables of the chain, on every device."""
    entries, num_columns = alias_tables(num_samples, np.frombuffer(probabilities))
    everywhere = NamedSharding(Mesh(np.asarray(devices), ("rows",)), PartitionSpec())
    return jax.device_put(entries, everywhere), num_columns


class _Draws:
    """What all rows have in common: the sampler's weights, and NumPy's random numbers."""

    def __init__(
        self,
        samplers: tuple[Sampler, ...],
        num_samples: int,
        start: Float[np.ndarray, "contexts outcomes"],
        key: Array,
        devices: tuple[Any, ...],
    ) -> None:
        self.samplers, self.n, self.start = samplers, num_samples, start
        self.key, self.devices = key, devices
        self.width = min(num_samples, start.shape[1])
        """The largest number of outcomes that can be drawn."""
        self.group = 1 << int(np.clip(12 - np.log2(self.width), 0, 8))
        """How many replicates share NumPy's generator."""
        self.exponent = self._exponent()
        tabled = self.exponent is not None and self.n <= _TABLE
        self.table = self._power(np.arange(self.n + 1)) if tabled else None
        """The weights of all counts."""
        self._seed = np.resize(np.asarray(jax.random.key_data(key)).view(np.uint64), 2)
        self._of_thread = threading.local()

    def _exponent(self) -> float | None:
        """1/T where a count's weight depends on the count alone."""
        if len(self.samplers) != 1 or type(self.samplers[0]) is not Temperature:
            return None
        temperature = float(self.samplers[0].temperature)
        if temperature * 280 < np.log2(self.n) + 1:  # weights would come near underflow
            return None
        return 1 / temperature

    def _power(self, counts: np.ndarray) -> np.ndarray:
        assert self.exponent is not None
        share = counts / self.n
        return np.where(share > 0, share**self.exponent, 0.0)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """What is drawn from, given logits in float64."""
        leaves, parts = jax.tree.flatten(self.samplers)
        return np.asarray(_tempered(parts, leaves, logits))

    def first_weights(self, context: int) -> tuple[np.ndarray, np.ndarray]:
        """Outcomes that can be drawn in the first generation, and their probabilities.

        Where they are more than the samples, all outcomes and the sums of their probabilities;
        else the rarest first, as the binomial variates divide by what the outcomes before have left
        of 1. (But a truncation may cut ties by their order.)
        """
        p = self.probabilities(self.start[context][None].astype(float))[0]
        outcomes = np.flatnonzero(p)
        if len(outcomes) > self.n:
            return np.arange(len(p)), np.cumsum(p)
        if all(type(one) is Temperature for one in self.samplers):
            outcomes = outcomes[np.argsort(p[outcomes], kind="stable")]
        return outcomes, p[outcomes]

    def weights(self, counts: np.ndarray) -> np.ndarray:
        """What counts are drawn from, up to a factor for each row."""
        if self.table is not None:
            return self.table[counts]
        if self.exponent is not None:
            return self._power(counts)
        # Few shapes, few compilations. An outcome in front that is never drawn does no harm.
        num_rows, width = counts.shape
        padded = np.zeros((self.group, 4 ** -(-(width - 1).bit_length() // 2)))
        padded[num_rows:, -1] = 1
        padded[:num_rows, padded.shape[1] - width :] = counts
        with np.errstate(divide="ignore"):
            logits = np.log(padded)
        return self.probabilities(logits)[:num_rows, padded.shape[1] - width :]

    def by_points(self, num_outcomes: Any) -> Any:
        """Whether so many outcomes are drawn by sorted points."""
        return self.n <= _POINTS * num_outcomes

    def draw(
        self, group: _Group, generation: int, weights: np.ndarray, by_points: bool
    ) -> np.ndarray:
        """Counts of the next generation, for each row of weights."""
        generator = self.generator(group, generation, int(by_points))
        return (count_points if by_points else draw_binomials)(generator, self.n, weights)

    def redraw(
        self, group: _Group, generation: int, counts: np.ndarray, by_points: bool
    ) -> np.ndarray:
        """Counts of the next generation, for each row of counts."""
        if by_points and self.exponent == 1:
            return draw_parents(self.generator(group, generation, 1), self.n, counts)
        return self.draw(group, generation, self.weights(counts), by_points)

    def generator(self, group: _Group, generation: int, way: int) -> np.random.Generator:
        """A generator of its own for each of these; until the thread asks for the next one."""
        own = self._of_thread
        if not hasattr(own, "fast"):
            own.seeder = np.random.Philox(key=self._seed)
            own.fast = np.random.Generator(np.random.SFC64(0))
            own.seeds, own.state = own.seeder.state, own.fast.bit_generator.state
        own.seeds["state"]["counter"][:] = 0, generation, 4 * group.number + way, group.context
        own.seeder.state = own.seeds
        own.state["state"]["state"][:] = own.seeder.random_raw(4)
        own.fast.bit_generator.state = own.state
        return own.fast


class _Group(NamedTuple):
    """Replicates that share NumPy's generator: of which context, which one, and their rows."""

    context: int
    number: int
    rows: np.ndarray


class _Block:
    """Rows of some contexts and replicates, each advanced by what suits it.

    A row's layout stands at the end of its line of `outcomes` and `counts`, `number` of them.
    """

    def __init__(
        self,
        draws: _Draws,
        contexts: range,
        replicates: range,
        capacity: int,
        pool: ThreadPoolExecutor,
    ) -> None:
        self.draws, self.contexts, self.replicates = draws, contexts, replicates
        self.capacity, self.pool, self.generation = capacity, pool, 0
        self.shape = len(contexts), len(replicates)
        size = len(contexts) * len(replicates)
        self.outcomes = np.zeros((size, draws.width), np.int32)
        self.counts = np.zeros((size, draws.width), np.int64)
        self.number = np.zeros(size, int)
        self.words: np.ndarray | None = None
        rows = np.arange(size).reshape(self.shape)
        self.groups = [
            _Group(context, (replicates.start + first) // draws.group, some[first:][: draws.group])
            for context, some in zip(contexts, rows, strict=True)
            for first in range(0, len(replicates), draws.group)
        ]

    def resume(self, state: Layouts) -> None:
        """Go on from where a run has ended."""
        width = state.counts.shape[-1]
        some = np.ix_(self.replicates, self.contexts)
        for name in ("outcomes", "counts"):
            given = getattr(state, name)
            given = given.reshape(len(given), -1, width)[some].swapaxes(0, 1)
            getattr(self, name)[:, self.draws.width - width :] = given.reshape(-1, width)
        self.number = (self.outcomes >= 0)[:, self.draws.width - width :].sum(1)
        np.maximum(self.outcomes, 0, out=self.outcomes)
        self.generation = state.generation

    def layout(self) -> tuple[np.ndarray, np.ndarray]:
        """Outcomes and counts, (contexts, replicates, width), as wide as they need be."""
        width = self.draws.width
        there = np.arange(width) >= width - self.number[:, None]
        columns = int(self.number.max())
        outcomes = np.where(there, self.outcomes, -1)[:, width - columns :]
        counts = self.counts[:, width - columns :].copy()
        return outcomes.reshape(*self.shape, -1), counts.reshape(*self.shape, -1)

    def survivors(self) -> tuple[np.ndarray, np.ndarray]:
        """Outcomes and counts to be read, (contexts, replicates, width), in one of few widths."""
        columns = 2  # or 16, 128, 1,024, …: what is observed is compiled for each
        while columns < self.number.max():
            columns *= 8
        first = max(0, self.draws.width - columns)
        outcomes, counts = self.outcomes[:, first:], self.counts[:, first:]
        return outcomes.reshape(*self.shape, -1), counts.reshape(*self.shape, -1)

    # --- From generation to generation ---

    def advance(self, generation: int, bar: Any) -> None:
        """Go on to a generation."""
        longest = generation if bar.disable else max(1, bar.total // 100)
        while self.generation < generation:
            now, look = self.generation, _next_look(self.generation, self.draws.n)
            if now == 0:
                then = 1
                self._begin()
            else:
                # Nothing is left to decide where only walks remain; they find out on their own.
                walking = self.draws.n <= _WALK and np.all(self.number <= 2)
                then = min(generation, now + longest, generation if walking else look)
                self._go_on(then - now)
            self.generation = then
            if then == look:
                list(self._map(self._look))
            bar.update(then - now)

    def _map(self, function: Callable[..., None], *arguments: Any) -> Iterator[None]:
        """Begin with a piece of work for every group, on all cores; it is done when asked for."""
        number = max(1, min(len(self.groups), 8 * _num_cores()))

        def work(part: int) -> None:
            for group in self.groups[part::number]:
                function(group, *arguments)

        return self.pool.map(work, range(number))

    def _begin(self) -> None:
        first = dict(
            zip(self.contexts, self.pool.map(self.draws.first_weights, self.contexts), strict=True)
        )
        list(self._map(self._draw_first, first))

    def _draw_first(self, group: _Group, first: dict[int, tuple[np.ndarray, np.ndarray]]) -> None:
        draws, rows = self.draws, group.rows
        outcomes, p = first[group.context]
        if len(outcomes) > draws.n:
            generator = draws.generator(group, 1, 2)
            drawn = draw_survivors(generator, draws.n, p, len(rows))
            self.outcomes[rows], self.counts[rows] = drawn
        else:
            weights = np.tile(p, (len(rows), 1))
            self.outcomes[rows, -len(outcomes) :] = outcomes
            self.counts[rows, -len(outcomes) :] = draws.draw(
                group, 1, weights, draws.by_points(len(outcomes))
            )

    def _look(self, group: _Group) -> None:
        """Leave out of the layouts what is lost by now."""
        columns = int(self.number[group.rows].max())
        if columns == 1:
            return
        # In the first generation all places may be filled.
        place = group.rows, slice(-(columns or self.draws.width), None)
        outcomes, counts = self.outcomes[place], self.counts[place]
        self.number[group.rows] = move_survivors(outcomes, counts)
        self.outcomes[place], self.counts[place] = outcomes, counts

    def _go_on(self, length: int) -> None:
        """Some generations with the layouts as they are."""
        width = self._kernel_widths()
        done = self._map(self._draw_group, width == 0, length) if not np.all(width) else ()
        running = []
        for one in np.unique(width[width > 1]).tolist():
            which = np.flatnonzero(width == one)
            walks = one == 2 and self.draws.n <= _WALK
            run = self._walk(which, length) if walks else self._thermometer(which, one, length)
            running.append((which, *run))
        for which, slots, counts in running:
            counts = np.asarray(counts)[slots]
            if counts.ndim == 1:
                counts = np.stack([counts, self.draws.n - counts], 1)
            columns = min(counts.shape[1], self.draws.width)
            self.counts[which, -columns:] = counts[:, -columns:]
        list(done)

    def _kernel_widths(self) -> np.ndarray:
        """For how many outcomes a kernel draws each row: 1 is absorbed, 2 a walk, 0 is NumPy's."""
        width = np.zeros_like(self.number)
        if self.draws.n <= _THERMOMETER:
            width = 1 << np.ceil(np.log2(np.maximum(self.number, 2))).astype(int)
        if self.draws.n <= _WALK:
            width = np.where(self.number == 2, 2, width)
        return np.where(self.number == 1, 1, width)

    def _draw_group(self, group: _Group, by_numpy: np.ndarray, length: int) -> None:
        draws = self.draws
        rows = group.rows[by_numpy[group.rows]]
        by_points = draws.by_points(self.number[rows])
        for points in (True, False):
            chosen = rows[by_points == points]
            if not len(chosen):
                continue
            columns = slice(-int(self.number[chosen].max()), None)
            counts = self.counts[chosen, columns]
            for generation in range(self.generation + 1, self.generation + length + 1):
                if generation % 16 == 0 and np.all(counts.max(1) == draws.n):
                    break
                counts = draws.redraw(group, generation, counts, points)
            self.counts[chosen, columns] = counts

    # --- What the kernels draw ---

    def _walk(self, which: np.ndarray, length: int) -> Any:
        draws, count = self.draws, np.arange(self.draws.n + 1)
        with np.errstate(divide="ignore"):
            logits = np.log(np.stack([count, draws.n - count], 1) / draws.n)
        p = np.ascontiguousarray(draws.probabilities(logits)[:, 0])
        table, num_columns = _tables(draws.n, p.tobytes(), draws.devices)
        whole = np.int64(length), table
        words = self._seeds(which, 1, self.generation)
        return self._run(walk, (num_columns, draws.n), words, self.counts[which, -2], whole)

    def _thermometer(self, which: np.ndarray, width: int, length: int) -> Any:
        draws = self.draws
        counts = np.zeros((len(which), width), np.int32)
        columns = min(width, draws.width)
        counts[:, -columns:] = self.counts[which, -columns:]
        tabled = draws.table is not None
        whole = np.int64(length), draws.table if tabled else draws.samplers
        words = self._seeds(which, 0, self.generation * -(-draws.n // 2))
        return self._run(thermometer, (tabled, draws.n), words, counts, whole)

    def _seeds(self, which: np.ndarray, kernel: int, used: int) -> np.ndarray:
        """The states of the rows' generators when that many words have been used."""
        if self.words is None:
            contexts, replicates = (np.asarray(some) for some in (self.contexts, self.replicates))
            words = _words(self.draws.key, contexts, replicates)
            self.words = np.asarray(words).reshape(-1, 2)
        return self.words[which, kernel] + np.uint64(GAMMA * used % 2**64)

    def _run(
        self,
        kernel: Callable[..., Any],
        static: tuple[Any, ...],
        words: np.ndarray,
        counts: np.ndarray,
        whole: tuple[Any, ...],
    ) -> tuple[np.ndarray, Any]:
        """The places of the rows in what the kernel returns, and the counts that it returns.

        The rows are dealt out to the devices in turn.
        """
        draws = self.draws
        num_devices = len(draws.devices)
        each = -(-self.capacity // num_devices)
        each = 1 << (each - 1).bit_length()  # a whole number of tiles, all powers of two
        turn, device = np.divmod(np.arange(len(words)), num_devices)
        slots = device * each + turn
        states = np.zeros(each * num_devices, np.uint64)
        states[slots] = words
        rows = np.zeros((len(states), *counts.shape[1:]), np.int32)
        # What is not filled is absorbed from the beginning.
        rows.reshape(len(rows), -1)[:, 0] = draws.n
        rows[slots] = counts
        _, drawn = driver.run(
            kernel,
            [states, rows],
            whole,
            tile=min(_tile(kernel, draws.n), each),
            static=static,
            library=kernel is thermometer and not static[0],
            devices=draws.devices,
        )
        return slots, drawn


def _tile(kernel: Callable[..., Any], num_samples: int) -> int:
    """How many rows are run together: beyond, XLA would split their work (measured)."""
    if kernel is walk:
        return 2048
    return 64 if num_samples <= 112 else 32 if num_samples <= 220 else 128
