"""Refits to finitely many samples, fast: the cost of a generation follows the surviving outcomes.

A refit to n samples is a Markov chain on counts that loses outcomes for ever, and most of what the
general engine does is spent on outcomes that are long lost. This one runs the loop on the counts of
the survivors, of which there are at most n. A *row* is one replicate of
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

Draws are exact up to the resolution of the probabilities: 2⁻³² for n ≤ 256, 2⁻³⁸ of a column of
the alias tables for two outcomes, 2⁻⁵³ elsewhere. A lost outcome stays lost, exactly, and
truncation has the same borders as in every engine (`fixedpoint.loop.samplers`). Replicate r of
context c depends on the key, r and c alone. Memory is that of some millions of counts beside the
logits given, the values saved and the survivors in the end. The entropy, heterozygosity, effective
number, mode probability and number of survivors of `fixedpoint.simplex` cost next to nothing to
observe; any other function is given the logits of all outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from fixedpoint.loop import kind
from fixedpoint.loop.engines import Task, progress_bar
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.rows import Block, Draws, Layouts, num_cores
from fixedpoint.loop.survivors import Reading

__all__ = ["Stopped", "obstacle", "run"]

_COUNTS = 2**22
"""Counts in work at once."""

LARGEST = 10**12
"""Most samples of a generation: NumPy accepts binomial variates by logarithms that are wrong by
about n times the rounding, 1e-4 here."""


class Stopped(eqx.Module):
    """Where a run stopped.

    Attributes:
        layouts: The outcomes that are followed, and their counts.
        start: The models at generation 0.
        num_samples: n.
    """

    layouts: Layouts
    start: Array
    num_samples: int

    @property
    def logits(self) -> Array:
        """The models, with all outcomes that were lost."""
        _, outcomes, counts = self.layouts
        if not self.layouts.generation:
            return jnp.broadcast_to(self.start, (len(counts), *self.start.shape))
        models = np.full((*counts.shape[:-1], self.start.shape[-1]), -np.inf, self.start.dtype)
        entry = np.nonzero(counts)
        models[(*entry[:-1], outcomes[entry])] = np.log(counts[entry] / self.num_samples)
        return jnp.asarray(models)

    @property
    def memory(self) -> None:
        """None: fresh samples leave none."""
        return


def obstacle(loop: Loop, logits: Array) -> str | None:
    """What this engine would need that it does not find; None if it takes the loop."""
    found = kind.refits(loop)
    if found is None:
        return "Loop(samplers, Fresh(n), Refit()), samplers of this package, no pseudo-counts"
    if found.num_samples > LARGEST:
        return f"at most {LARGEST:,} samples"
    if jnp.result_type(float) != jnp.float64:
        return "`jax_enable_x64` to be on"
    if logits.dtype not in (jnp.float32, jnp.float64):
        return "logits in float64 or float32"
    return None


def run(task: Task) -> tuple[PyTree, Stopped]:
    """Run refits to n samples."""
    found, start = kind.refits(task.loop), np.asarray(task.logits)
    assert found is not None
    assert task.key is not None
    assert task.num_replicates is not None
    *batch, num_outcomes = start.shape
    rows, number = start.reshape(-1, num_outcomes), task.num_replicates
    draws = Draws(found.samplers, found.num_samples, rows, task.key, task.devices)
    shape = len(task.saved), number, *batch
    reading = Reading(task.observe, rows, shape, found.num_samples, task.devices)
    blocks = _blocks(draws, number, reading.joint)
    capacity = max(len(contexts) * len(replicates) for contexts, replicates in blocks)
    layouts = []
    with (
        ThreadPoolExecutor(num_cores()) as pool,
        progress_bar(len(blocks) * (task.last - task.first), task.progress) as bar,
    ):
        for contexts, replicates in blocks:
            block = Block(draws, contexts, replicates, capacity, pool)
            if task.first:
                block.resume(task.state.layouts)
            for index, generation in enumerate(task.saved.tolist()):
                block.advance(generation, bar)
                part = index, contexts, replicates
                if generation:
                    reading.read(part, *block.survivors())
                else:
                    reading.read_start(part)
            block.advance(task.last, bar)
            layouts.append(block.layout())
    joined = _joined(task.last, blocks, layouts, batch)
    return reading.values(), Stopped(joined, task.logits, found.num_samples)


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


def _blocks(draws: Draws, num_replicates: int, joint: bool) -> list[tuple[range, range]]:
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
