"""The general engine: any loop, in one compiled program over generations, replicates and devices.

It calls the loop itself, one generation after the other, and takes its random numbers from
`jax.random`: replicate r's at a generation are a function of the key, r and the generation alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from fixedpoint.loop.corpora import branch
from fixedpoint.loop.engines import Task, observed, progress_bar
from fixedpoint.loop.generation import Loop

__all__ = ["run", "run_traced"]

AXIS = "replicates"


class Stopped(eqx.Module):
    """Where a run stopped.

    Attributes:
        logits: The models, shape ([num_replicates,] ..., num_outcomes).
        memory: The memory of the corpus.
    """

    logits: Array
    memory: PyTree


class _Carry(eqx.Module):
    """What a run carries from one generation to the next; with replicates, each has its own."""

    logits: Array
    memory: PyTree
    values: PyTree  # what was observed, (S, [R,] ...)
    slot: Array  # where in `values` the next observation goes


class _Process(eqx.Module):
    """All that a run depends on except which replicates and generations it does."""

    loop: Loop
    logits: Array
    key: Array | None
    observe: PyTree
    saved: Array

    def start(self, replicates: Array | None, state: Any, first: Any) -> _Carry:
        """The first generation of the run: generation 0, or where it stopped."""
        each = (lambda f: f) if replicates is None else jax.vmap
        if state is None:
            logits = self.logits
            if replicates is not None:
                logits = jnp.broadcast_to(logits, (replicates.size, *logits.shape))
            memory = each(self.loop.corpus.initial)(logits)
        else:
            logits, memory = state
        one = jax.eval_shape(each(partial(observed, self.observe)), logits)
        values = jax.tree.map(lambda v: jnp.zeros((self.saved.size, *v.shape), v.dtype), one)
        return self.record(_Carry(logits, memory, values, jnp.zeros((), int)), first, each)

    def advance(self, replicates: Array | None, carry: _Carry, first: Any, last: Any) -> _Carry:
        """Generations first + 1 to last. Integers make a scan, which has a reverse mode."""
        each = (lambda f: f) if replicates is None else jax.vmap
        keys = self.key
        if keys is not None:
            # Without replicates the only run is replicate 0.
            keys = each(partial(branch, keys))(0 if replicates is None else replicates)

        def step(logits: Array, memory: PyTree, key: Array | None, generation: Array) -> Any:
            key = None if key is None else branch(key, generation)
            return self.loop.generation(logits, self.logits, memory, key)

        def body(index: Array, carry: _Carry) -> _Carry:
            one = partial(step, generation=index + 1)
            logits, memory = each(one)(carry.logits, carry.memory, keys)
            return self.record(_Carry(logits, memory, carry.values, carry.slot), index + 1, each)

        return jax.lax.fori_loop(first, last, body, carry)

    def record(self, carry: _Carry, generation: Any, each: Callable[..., Any]) -> _Carry:
        """Write the observation if this generation is to be saved."""

        def write(values: PyTree, logits: Array) -> PyTree:
            new = each(partial(observed, self.observe))(logits)
            return jax.tree.map(lambda old, value: old.at[carry.slot].set(value), values, new)

        hit = self.saved[carry.slot] == generation
        values = jax.lax.cond(hit, write, lambda values, _: values, carry.values, carry.logits)
        return _Carry(carry.logits, carry.memory, values, carry.slot + hit)


_DEAD = (
    "a model is not a distribution any more: no outcome has a positive probability, or a logit is "
    "NaN. Did truncation, curation and the data leave an outcome that all three allow?"
)


@jax.jit
def _alive(logits: Array) -> Array:
    return jnp.all(jnp.isfinite(jnp.max(logits, -1)))


def _process(task: Task) -> _Process:
    """The loop's parameters in the dtype of the logits, which the whole run then follows."""
    dtype = task.logits.dtype

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf

    loop, saved = jax.tree.map(cast, task.loop), jnp.asarray(task.saved)
    return _Process(loop, task.logits, task.key, task.observe, saved)


def _left(task: Task) -> Any:
    return None if task.state is None else (task.state.logits, task.state.memory)


def run_traced(task: Task) -> tuple[PyTree, Stopped]:
    """Run within a transformation of JAX's: no progress, one device."""
    process = _process(task)
    replicates = None if task.num_replicates is None else jnp.arange(task.num_replicates)
    carry = process.start(replicates, _left(task), task.first)
    carry = process.advance(replicates, carry, task.first, task.last)
    values = eqx.error_if(carry.values, ~_alive(carry.logits), _DEAD)
    return values, Stopped(carry.logits, carry.memory)


def run(task: Task) -> tuple[PyTree, Stopped]:
    """Run any loop."""
    process, number, left = _process(task), task.num_replicates, _left(task)
    mesh, replicates = None, None
    if number is not None:
        devices = task.devices
        if len(devices) > 1:
            mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
        # Every device gets the same number: the surplus replicates are run and dropped.
        replicates = jnp.arange(-(-number // len(devices)) * len(devices))
        surplus = replicates.size - number
        if surplus and left is not None:
            left = jax.tree.map(lambda x: jnp.concatenate([x, x[:1].repeat(surplus, 0)]), left)
    carry = _start(process, replicates, left, jnp.asarray(task.first), mesh)
    with progress_bar(task.last - task.first, task.progress) as bar:
        num_chunks = 1 if bar.disable else 100
        length = task.last - task.first
        bounds = sorted({task.first + length * i // num_chunks for i in range(num_chunks + 1)})
        for first, until in itertools.pairwise(bounds):
            carry = _advance(
                process, replicates, carry, jnp.asarray(first), jnp.asarray(until), mesh
            )
            if not bar.disable:
                jax.block_until_ready(carry.logits)
                bar.update(until - first)
    values, state = carry.values, Stopped(carry.logits, carry.memory)
    if replicates is not None and replicates.size != number:
        state = jax.tree.map(lambda leaf: leaf[:number], state)
        values = jax.tree.map(lambda value: value[:, :number], values)
    if not _alive(state.logits):
        raise FloatingPointError(_DEAD)
    return values, state


@eqx.filter_jit
def _start(
    process: _Process, replicates: Array | None, left: Any, first: Array, mesh: Any
) -> _Carry:
    def start(process: _Process, replicates: Array | None, left: Any, first: Array) -> _Carry:
        return process.start(replicates, left, first)

    one, split = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(AXIS)
    return _shared(start, mesh, split, one)(process, replicates, left, first)


@eqx.filter_jit
def _advance(
    process: _Process, replicates: Array | None, carry: _Carry, first: Array, last: Array, mesh: Any
) -> _Carry:
    def advance(process: _Process, replicates: Array | None, carry: _Carry, bounds: Any) -> _Carry:
        return process.advance(replicates, carry, *bounds)

    one = jax.sharding.PartitionSpec()
    return _shared(advance, mesh, _split_carry(), one)(process, replicates, carry, (first, last))


def _split_carry() -> Any:
    one, split = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(AXIS)
    saved: Any = jax.sharding.PartitionSpec(None, AXIS)
    return _Carry(split, split, saved, one)  # pyright: ignore[reportArgumentType]


def _shared(function: Callable[..., _Carry], mesh: Any, *specs: Any) -> Callable[..., _Carry]:
    """The function of (process, replicates, ...), with the replicates split over the mesh."""
    if mesh is None:
        return function
    one, split = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(AXIS)

    def shared(process: _Process, *rest: Any) -> _Carry:
        arrays, static = eqx.partition(process, eqx.is_array)
        return jax.shard_map(
            lambda arrays, *rest: function(eqx.combine(arrays, static), *rest),
            mesh=mesh,
            in_specs=(one, split, *specs),
            out_specs=_split_carry(),
            check_vma=False,  # a replicate's generation involves its own shard only
        )(arrays, *rest)

    return shared
