"""What is observed of refits, read off the outcomes that survive wherever that is enough.

Three kinds of functions are told apart:

- those of `UNCHANGED`, which lost outcomes make no difference to, are given the survivors' logits;
- those with an attribute `of_survivors`, a function of `Survivors`, are read by that: it knows
  generation 0 as well;
- all others are given the logits of all outcomes and contexts, of a few replicates at a time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from fixedpoint import simplex
from fixedpoint.kernels import driver

__all__ = ["Reading", "Survivors"]

UNCHANGED = (
    simplex.effective_number,
    simplex.entropy,
    simplex.heterozygosity,
    simplex.mode_probability,
    simplex.num_surviving,
)
"""Functions of one model's logits that give the same number with and without lost outcomes."""

_TABLE = 2**20
"""The largest number of samples for which the logits of all counts are kept in a table."""

_LOGITS = 2**22
"""Logits of whole models in work at once."""

_TILE = 2**14
"""Logits of survivors that are read together, and stay in the cache."""


_PIECE = 2**18
"""Logits of survivors that are handed over at once."""


class Survivors(NamedTuple):
    """One model by the outcomes that it has not lost; all other places have -inf for both logits.

    Attributes:
        logits: of the survivors, shape (width,).
        initial: log-probabilities of the same outcomes at generation 0.
        num_lost: how many outcomes of generation 0 are lost.
    """

    logits: Array
    initial: Array
    num_lost: Array


Part = tuple[int, range, range]
"""Which part of the values is read: the place among the saved generations, contexts, replicates."""


class Reading:
    """Reads functions off models, part after part, and keeps the values.

    Args:
        observe: a function of the logits of one replicate, shape (*batch, outcomes), or a tree of
            such functions; None stands for the logits themselves.
        start: the models at generation 0, shape (contexts, outcomes).
        shape: (saved generations, replicates, *batch).
        num_samples: n.
        devices: which share the reading.

    Attributes:
        joint: whether some function must be given all contexts at once.
    """

    def __init__(
        self,
        observe: PyTree[Callable[[Array], PyTree]],
        start: Float[np.ndarray, "contexts outcomes"],
        shape: Sequence[int],
        num_samples: int,
        devices: Sequence[Any],
    ) -> None:
        self.start, self.shape, self.n, self.devices = start, tuple(shape), num_samples, devices
        observe = _all_logits if observe is None else observe
        functions, self.structure = jax.tree.flatten(observe, is_leaf=callable)
        self.by_row = [_reads_survivors(function) for function in functions]
        self.joint = not all(self.by_row)
        self.compares = any(hasattr(function, "of_survivors") for function in functions)
        of_rows = [
            getattr(one, "of_survivors", one)
            for one, by_row in zip(functions, self.by_row, strict=True)
            if by_row
        ]
        of_models = [one for one, by_row in zip(functions, self.by_row, strict=True) if not by_row]
        self.of_rows, self.of_models = _hashable(of_rows), _hashable(of_models)
        self._values: list[PyTree] = []
        self._table = None
        if num_samples <= _TABLE:
            self._table = self._logits(np.arange(num_samples + 1))
        self._known: tuple[range, np.ndarray] | None = None

    def read_start(self, part: Part) -> None:
        """Read generation 0, which all replicates share."""
        _, contexts, _ = part
        rows = self.start[contexts.start : contexts.stop]
        initial = self._log_probabilities(contexts) if self.compares else rows
        of_rows = self._read_rows(rows, initial, np.zeros(len(rows), int))
        of_rows = jax.tree.map(lambda leaf: leaf[None], of_rows)
        self._record(part, of_rows, self._read_models(rows[None]) if self.joint else [])

    def read(
        self,
        part: Part,
        outcomes: Int[np.ndarray, "contexts replicates width"],
        counts: Int[np.ndarray, "contexts replicates width"],
    ) -> None:
        """Read a later generation off counts.

        Args:
            part: which part of the values they are for.
            outcomes: what the counts are of.
            counts: of n samples; 0 where an outcome is lost, and where a row has no outcome.
        """
        *shape, _ = counts.shape
        logits = self._logits(counts)
        initial, num_lost = logits, np.zeros(shape, int)
        if self.compares:
            log_p = self._log_probabilities(part[1])
            initial = log_p[np.arange(len(log_p))[:, None, None], outcomes]
            initial = np.where(counts > 0, initial, -np.inf)
            num_lost = (log_p > -np.inf).sum(-1)[:, None] - (counts > 0).sum(-1)

        def rows(array: np.ndarray) -> np.ndarray:
            return array.reshape(-1, *array.shape[2:])

        def table(leaf: np.ndarray) -> np.ndarray:
            return leaf.reshape(*shape, *leaf.shape[1:]).swapaxes(0, 1)

        of_rows = self._read_rows(rows(logits), rows(initial), rows(num_lost))
        of_models = self._read_all(outcomes, counts, logits) if self.joint else []
        self._record(part, jax.tree.map(table, of_rows), of_models)

    def values(self) -> PyTree:
        """All that was read, of shape (saved, replicates, ...)."""
        shaped = [
            jax.tree.map(
                lambda value: jnp.asarray(value.reshape(*self.shape, *value.shape[3:])), one
            )
            if by_row
            else jax.tree.map(jnp.asarray, one)
            for by_row, one in zip(self.by_row, self._values, strict=True)
        ]
        return jax.tree.unflatten(self.structure, shaped)

    def _record(self, part: Part, of_rows: list[PyTree], of_models: list[PyTree]) -> None:
        index, contexts, replicates = part
        place = index, slice(replicates.start, replicates.stop)
        row_place = *place, slice(contexts.start, contexts.stop)
        found = {True: iter(of_rows), False: iter(of_models)}
        values = [next(found[by_row]) for by_row in self.by_row]

        def room(leaf: np.ndarray, by_row: bool) -> np.ndarray:
            shape = (len(self.start), *leaf.shape[2:]) if by_row else leaf.shape[1:]
            return np.empty((*self.shape[:2], *shape), leaf.dtype)

        if not self._values:
            self._values = [
                jax.tree.map(functools.partial(room, by_row=by_row), one)
                for by_row, one in zip(self.by_row, values, strict=True)
            ]
        for by_row, kept, one in zip(self.by_row, self._values, values, strict=True):
            where = row_place if by_row else place
            jax.tree.map(functools.partial(_put, where), kept, one)

    def _logits(self, counts: np.ndarray) -> np.ndarray:
        if self._table is not None:
            return self._table.take(counts)
        with np.errstate(divide="ignore"):
            return np.log(counts / self.n).astype(self.start.dtype)

    def _log_probabilities(self, contexts: range) -> np.ndarray:
        """At generation 0, of the contexts that are being read."""
        if self._known is None or self._known[0] != contexts:
            rows = self.start[contexts.start : contexts.stop]
            self._known = contexts, np.asarray(simplex.log_probabilities(rows))
        return self._known[1]

    def _read_rows(
        self, logits: np.ndarray, initial: np.ndarray, num_lost: np.ndarray
    ) -> list[PyTree]:
        """In pieces of one size, the last one filled up, so that one program serves all."""
        if not any(self.by_row):
            return []
        (static, arrays), (num_rows, width) = self.of_rows, logits.shape
        tile = _power_of_two(min(_TILE // width, -(-num_rows // len(self.devices))))
        turn = tile * len(self.devices)
        size = turn * _power_of_two(min(_PIECE // (turn * width), -(-num_rows // turn)))
        pieces = []
        for first in range(0, num_rows, size):
            part = slice(first, first + size)
            piece = driver.run(
                read_survivors,
                [_filled(rows[part], size) for rows in (logits, initial, num_lost)],
                [arrays],
                tile=tile,
                static=(static,),
                devices=self.devices,
            )
            pieces.append(piece)
        return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num_rows], *pieces)

    def _read_all(
        self, outcomes: np.ndarray, counts: np.ndarray, logits: np.ndarray
    ) -> list[PyTree]:
        """From the logits of all outcomes, a few replicates at a time."""
        num_replicates = counts.shape[1]
        size = min(num_replicates, max(1, _LOGITS // self.start.size))
        parts = []
        for first in range(0, num_replicates, size):
            before = min(first, num_replicates - size)  # the last part is as long as the others
            models = np.full((size, *self.start.shape), -np.inf, self.start.dtype)
            context, replicate, place = np.nonzero(counts[:, before : before + size])
            entry = context, replicate + before, place
            models[replicate, context, outcomes[entry]] = logits[entry]
            values = self._read_models(models)
            parts.append(jax.tree.map(lambda leaf, skip=first - before: leaf[skip:], values))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)

    def _read_models(self, models: np.ndarray) -> list[PyTree]:
        static, arrays = self.of_models
        models = models.reshape(len(models), *self.shape[2:], models.shape[-1])
        values = _read_models(static, arrays, models)
        return jax.tree.map(np.asarray, values)


def read_survivors(
    static: Any, logits: Array, initial: Array, num_lost: Array, arrays: Any
) -> list[PyTree]:
    """Read functions off a tile of models, given by their survivors: a kernel."""

    def of_row(*row: Array) -> list[PyTree]:
        survivors = Survivors(*row)
        return [
            function(survivors.logits if _is_unchanged(function) else survivors)
            for function in _functions(static, arrays)
        ]

    return jax.vmap(of_row)(logits, initial, num_lost)


@functools.partial(jax.jit, static_argnums=0)
def _read_models(static: Any, arrays: Any, models: Array) -> list[PyTree]:
    functions = _functions(static, arrays)
    return jax.vmap(lambda logits: [function(logits) for function in functions])(models)


def _reads_survivors(function: Callable[..., Any]) -> bool:
    return hasattr(function, "of_survivors") or _is_unchanged(function)


def _is_unchanged(function: Callable[..., Any]) -> bool:
    return any(function is one for one in UNCHANGED)


def _hashable(functions: list[Callable[..., Any]]) -> tuple[Any, Any]:
    """What a program is compiled for, and the arrays that the functions hold."""
    arrays, rest = eqx.partition(functions, lambda leaf: isinstance(leaf, Array | np.ndarray))
    leaves, structure = jax.tree.flatten(rest)
    return (tuple(leaves), structure), arrays


def _functions(static: Any, arrays: Any) -> list[Callable[..., Any]]:
    leaves, structure = static
    return eqx.combine(arrays, jax.tree.unflatten(structure, leaves))


def _power_of_two(number: int) -> int:
    """The least that is not smaller, and 1 at least."""
    return 1 << max(0, number - 1).bit_length()


def _filled(rows: np.ndarray, size: int) -> np.ndarray:
    """As many rows as that, by repetition."""
    return rows if len(rows) == size else np.resize(rows, (size, *rows.shape[1:]))


def _put(place: Any, array: np.ndarray, values: np.ndarray) -> None:
    array[place] = values


def _all_logits(logits: Array) -> Array:
    return logits
