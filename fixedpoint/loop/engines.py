"""What every engine of `run` is given, and what it hands back.

An engine is a function (task) ↦ (values, state). The task is checked already: an engine looks at
no argument again. Its module says with `obstacle` what it cannot take.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PyTree

from fixedpoint.loop.generation import Loop

__all__ = ["Observer", "State", "Task", "checked", "observed", "progress_bar", "shown"]


class State(Protocol):
    """Where a run stopped: all that its next generations depend on, in the engine's own form."""

    @property
    def logits(self) -> Array:
        """The models, shape ([num_replicates,] ..., num_outcomes)."""
        ...

    @property
    def memory(self) -> PyTree:
        """The memory of the corpus; None if it has none."""
        ...


class Task(NamedTuple):
    """A run, as an engine is given it.

    Attributes:
        loop: The process.
        logits: The model at generation 0, shape (..., num_outcomes).
        key: A random key; None if the loop draws nothing.
        num_replicates: How many independent runs; None is one, without a replicate axis, which the
            general engine alone is given.
        observe: A tree of functions of one replicate's logits; None is the logits themselves.
        saved: The generations to save, increasing, from `first` to `last`.
        first: The generation to begin at.
        last: The generation to reach.
        state: Where the run stopped that goes on at `first`; None begins at generation 0.
        progress: Whether to show a progress bar; None shows it on a terminal.
        devices: Which share the replicates.
    """

    loop: Loop
    logits: Float[Array, "*batch outcomes"]
    key: Array | None
    num_replicates: int | None
    observe: PyTree
    saved: Int[np.ndarray, " saved"]
    first: int
    last: int
    state: Any
    progress: bool | None
    devices: tuple[Any, ...]


class Observer(NamedTuple):
    """What a program that observes is compiled for: all of `observe` but the arrays in it."""

    structure: Any
    leaves: tuple[Any, ...]

    @staticmethod
    def of(observe: PyTree) -> tuple[Observer, list[Any]]:
        """Tell functions and arrays apart."""
        leaves, structure = jax.tree.flatten(observe)
        arrays = [leaf for leaf in leaves if _is_array(leaf)]
        return Observer(structure, tuple(None if _is_array(x) else x for x in leaves)), arrays

    def observed(self, arrays: Sequence[Any], logits: Array) -> PyTree:
        """What is observed of one replicate."""
        rest = iter(arrays)
        leaves = [next(rest) if leaf is None else leaf for leaf in self.leaves]
        return observed(jax.tree.unflatten(self.structure, leaves), logits)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def observed(observe: PyTree[Callable[[Array], PyTree]], logits: Array) -> PyTree:
    """What is observed of one replicate's logits: themselves, unless there are functions."""
    if observe is None:
        return logits
    return jax.tree.map(lambda function: checked(function(logits)), observe, is_leaf=callable)


def checked(values: PyTree) -> PyTree:
    """What a function to observe has returned, if that can be saved."""
    for leaf in jax.tree.leaves(values):
        if not isinstance(leaf, jax.Array | np.ndarray | np.generic | float | int):
            raise ValueError(
                "`observe` must return numbers or arrays, or a tree of them; got a "
                f"{type(leaf).__name__}."
            )
    return values


def shown(progress: bool | None) -> bool:
    """Whether to show progress: if that is asked for or, where it is not said, on a terminal."""
    return sys.stderr.isatty() if progress is None else progress


def progress_bar(total: int, progress: bool | None, unit: str = "generation") -> Any:
    """A bar, if progress is shown."""
    from tqdm import tqdm  # loaded when needed: importing the package stays light

    return tqdm(total=total, disable=not shown(progress), unit=unit)
