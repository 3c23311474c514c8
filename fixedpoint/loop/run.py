"""Running a loop: one verb for every loop, which chooses its engine.

| engine | loops | how |
|---|---|---|
| `"refits"` | `Loop(samplers, Fresh(n), Refit())` | counts of the surviving outcomes alone |
| `"traces"` | `Loop(Temperature(T), Fresh(B), GradientSteps(η))` | one kernel for all |
| `"general"` | every loop | calls the loop, generation by generation |

All have the law of the loop. Which one runs is decided by the loop, the model and the kind of
device alone, so that a replicate does not depend on what else is run or saved.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Int, PyTree, Real

from fixedpoint import checks
from fixedpoint.loop import general, kind, resampling, traces
from fixedpoint.loop.engines import Task, observed
from fixedpoint.loop.fits import check_fits
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.samplers import floating

ENGINES: dict[str, ModuleType] = {"refits": resampling, "traces": traces}
"""The engines besides the general one, by the names that `run` knows them by."""

LARGEST = 2**32
"""Most bytes of saved values, 4 GiB."""


class Trajectory(eqx.Module):
    """What `run` saved, and where it stopped: given to `run` in place of logits, the run goes on.

    Attributes:
        generation: The saved generations, shape (S,).
        value: What was observed there: arrays of shape (S, [num_replicates,] ...), in the
            structure of `observe`.
        engine: The engine that ran.
        reached: The last generation that was run, saved or not.
        state: Where the run stopped; `logits` and `memory` are what can be read off it.
        origin: What a run that goes on must share with this one: the loop, the model at
            generation 0 and the key.
        num_replicates: How many independent runs; None is one, without a replicate axis.
    """

    generation: Array
    value: PyTree
    engine: str = eqx.field(static=True)
    reached: int = eqx.field(static=True)
    state: Any
    origin: tuple[Loop, Array, Array | None]
    num_replicates: int | None = eqx.field(static=True)

    @property
    def logits(self) -> Array:
        """The models at the generation reached, shape ([num_replicates,] ..., num_outcomes)."""
        logits = self.state.logits
        return logits[0] if self.num_replicates is None and self.engine in ENGINES else logits

    @property
    def memory(self) -> PyTree:
        """The memory of the corpus at the generation reached; None if it has none."""
        return self.state.memory


def run(
    loop: Loop,
    logits: Real[ArrayLike, "*batch outcomes"] | Trajectory,
    num_generations: int,
    *,
    key: Array | None = None,
    num_replicates: int | None = None,
    observe: PyTree[Callable[[Array], PyTree]] = None,
    save_at: Sequence[int] | Int[ArrayLike, " saved"] | None = None,
    engine: str | None = None,
    progress: bool | None = None,
    devices: Sequence[Any] | None = None,
) -> Trajectory:
    """Run a loop for a number of generations and save what is observed.

    A fast engine has other random numbers for the same key than the general one, and the same law.
    With each, replicate r depends on the key and r alone (and on the versions of JAX and NumPy):
    not on the number of replicates, nor on what is saved or shown; on the number of devices to
    rounding.

    Args:
        loop: The process.
        logits: The initial model θ₀; the last axis runs over the outcomes, -inf is a lost one. Or
            the trajectory of this loop that is to go on: to the numbers of one long run.
        num_generations: How many generations, at least 0; how many more, if a run goes on.
        key: A random key. A deterministic loop needs none, a run that goes on has its own.
        num_replicates: R, how many independent runs; None is one run without a replicate axis, and
            as many as before if a run goes on.
        observe: What to save of the logits (of one replicate): a function, or a tuple, list or
            dict of functions, whose structure the saved value has. None saves the logits.
        save_at: The generations to save, increasing, in 0..num_generations; all by default. Where
            a run goes on they are counted from generation 0 as before.
        engine: "general", "refits" or "traces" (see the top of this module); by default the fastest
            that takes the loop, the model and its type: on CPUs and outside of JAX's
            transformations one of the fast ones.
        progress: Whether to show a progress bar; by default if standard error is a terminal.
        devices: The devices that share the replicates; by default all local ones. Several
            processes (`jax.distributed`) pass `jax.devices()`.

    Returns:
        What was saved, which engine ran, and where it stopped.

    Raises:
        ValueError: If an argument is out of its range, or a part does not fit.
        FloatingPointError: If a model is not a distribution any more: nothing survived curation or
            truncation.

    Validity:
        What the loop's parts say, and `fixedpoint.loop.traces` and `fixedpoint.loop.resampling` of
        their draws. Memory grows with what is saved, not with the number of generations. Compiled
        once for given shapes, `observe` and static parameters; numbers (generations, temperatures,
        step sizes, fractions) may change at no cost. Works inside `jax.jit`, `jax.vmap` and
        `jax.grad`; then without progress bar, on one device, and reverse-mode keeps all generations
        in memory.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> runs = fp.run(
        ...     fp.Loop(sampler=fp.Temperature(0.5)), jnp.log(jnp.array([0.25, 0.75])), 2,
        ...     observe=fp.simplex.probabilities,
        ... )
        >>> runs.value[1]  # 1 : 9
        Array([0.1, 0.9], dtype=float64)
        >>> loop = fp.Loop(corpus=fp.Fresh(num_samples=10))
        >>> runs = fp.run(
        ...     loop, jnp.zeros(3), 100, key=jax.random.key(0), num_replicates=5, save_at=[0, 100],
        ...     observe={"H": fp.simplex.heterozygosity, "alive": fp.simplex.num_surviving},
        ... )
        >>> runs.generation, runs.value["H"].shape, runs.engine
        (Array([  0, 100], dtype=int64), (2, 5), 'refits')
        >>> more = fp.run(loop, runs, 400, save_at=[200, 500])  # the same replicates, further on
        >>> more.reached, more.value.shape
        (500, (2, 5, 3))
    """
    checks.check_kind(loop, Loop, "loop", "a Loop")
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    if num_replicates is not None:
        num_replicates = checks.check_count(num_replicates, "num_replicates")
    if key is not None:
        checks.check_key(key)
    _check_engine(engine)
    first, state = 0, None
    if isinstance(logits, Trajectory):
        before = logits
        _check_goes_on(before, loop, key, num_replicates, engine)
        (_, logits, key), engine = before.origin, before.engine
        first, state, num_replicates = before.reached, before.state, before.num_replicates
    else:
        checks.check_logits(logits)
        logits = floating(logits)
    if key is None and loop.stochastic:
        raise ValueError(
            "`key` must be given where a loop draws at random (key=jax.random.key(0)); got None."
        )
    checks.check_functions(observe)
    checks.check_devices(devices)
    check_fits(loop, logits, key)
    last = first + num_generations
    if save_at is None:
        # What goes on has saved the generation that it begins at.
        earliest = min(first + 1, last) if first else 0
        _check_size(last + 1 - earliest, logits, num_replicates, observe)
        save_at = range(earliest, last + 1)
    saved = checks.check_generations(save_at, last, first)
    _check_size(len(saved), logits, num_replicates, observe)
    everywhere = tuple(jax.local_devices() if devices is None else devices)
    traced = kind.is_traced((loop, logits, key, state))
    engine = _chosen(engine, loop, logits, everywhere, traced)
    number = num_replicates
    if number is None and engine in ENGINES:
        number = 1
    task = Task(loop, logits, key, number, observe, saved, first, last, state, progress, everywhere)
    if traced:
        value, state = general.run_traced(task)
    else:
        value, state = ENGINES.get(engine, general).run(task)
    if number != num_replicates:
        value = jax.tree.map(lambda leaf: leaf[:, 0], value)
    origin = loop, logits, key
    return Trajectory(jnp.asarray(saved), value, engine, last, state, origin, num_replicates)


def logarithmic_generations(num_generations: int) -> np.ndarray:
    """Generations 0, 1, …, 9, 10, 20, …, 90, 100, …, up to and including the last one.

    Args:
        num_generations: The last one, at least 0.

    Returns:
        Increasing generations, nine per decade: what to `save_at` of a long run.

    Example:
        >>> logarithmic_generations(25).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 25]
    """
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    decades = range(len(str(num_generations)))
    series = [digit * 10**decade for decade in decades for digit in range(1, 10)]
    return np.array(
        [0, *(n for n in series if n < num_generations), *[num_generations][:num_generations]]
    )


# --- Which engine ---------------------------------------------------------------------------------


def _chosen(
    engine: str | None, loop: Loop, logits: Array, devices: tuple[Any, ...], traced: bool
) -> str:
    """The engine that is asked for, if it can; the fastest, if none is."""
    if engine == "general":
        return engine
    local = {device.process_index for device in devices} == {jax.process_index()}
    if engine is None:
        if traced or not local or devices[0].platform != "cpu":
            return "general"
        takes = (name for name, one in ENGINES.items() if one.obstacle(loop, logits) is None)
        return next(takes, "general")
    if traced:
        needed = "to be called outside of jax.jit, jax.vmap and jax.grad"
    elif not local:
        needed = "devices of this process alone"
    else:
        needed = ENGINES[engine].obstacle(loop, logits)
    if needed is not None:
        raise ValueError(
            f'`engine` must be "general" here (or None): {engine!r} needs {needed}; got {loop} '
            f"and logits of shape {logits.shape} in {logits.dtype}."
        )
    return engine


# --- Checks ---------------------------------------------------------------------------------------


def _check_engine(engine: Any) -> None:
    names = ("general", *ENGINES)
    if engine is not None and not (isinstance(engine, str) and engine in names):
        shown = " ".join(repr(engine).split())[:80]
        raise ValueError(f"`engine` must be one of {', '.join(map(repr, names))}; got {shown}.")


def _check_goes_on(
    before: Trajectory, loop: Loop, key: Array | None, num_replicates: int | None, engine: Any
) -> None:
    """Whether the arguments are those of the run that goes on."""
    old_loop, _, old_key = before.origin
    if not _same(loop, old_loop):
        raise ValueError(
            "`loop` must be that of the trajectory which goes on (start another from its `logits`);"
            f" got {loop} after {old_loop}."
        )
    if key is not None and not _same(key, old_key):
        raise ValueError("`key` must be that of the trajectory which goes on; got another.")
    if num_replicates not in (None, before.num_replicates):
        raise ValueError(
            f"`num_replicates` must be {before.num_replicates}, as in the trajectory which goes "
            f"on; got {num_replicates}."
        )
    if engine not in (None, before.engine):
        raise ValueError(
            f"`engine` must be {before.engine!r}, that of the trajectory which goes on; got "
            f"{engine!r}."
        )


def _same(one: Any, other: Any) -> bool:
    """Whether two trees have equal leaves; of traced ones only the structure is known."""

    def plain(tree: Any) -> tuple[list[Any], Any]:
        leaves, structure = jax.tree.flatten(tree)
        keys = [jnp.issubdtype(getattr(x, "dtype", float), jax.dtypes.prng_key) for x in leaves]
        data = jax.random.key_data
        return [data(x) if is_key else x for x, is_key in zip(leaves, keys, strict=True)], structure

    (leaves, structure), (others, other_structure) = plain(one), plain(other)
    if structure != other_structure:
        return False
    pairs = zip(leaves, others, strict=True)
    return all(kind.is_traced(pair) or np.array_equal(*pair) for pair in pairs)


def _check_size(number: int, logits: Array, num_replicates: int | None, observe: PyTree) -> None:
    """Refuse to fill the memory with what is saved."""
    if number * (num_replicates or 1) * logits.nbytes <= LARGEST:
        return  # what is observed is seldom larger, and to trace it takes time
    sizes = jax.tree.leaves(eqx.filter_eval_shape(observed, observe, logits))
    each = sum(leaf.size * leaf.dtype.itemsize for leaf in sizes) * (num_replicates or 1)
    if number * max(each, 8) > LARGEST:
        raise ValueError(
            f"`save_at` must name so few generations that what is saved takes at most "
            f"{LARGEST // 2**30} GiB; got {number:,} of {each:,} bytes each. (All are saved by "
            "default; `save_at=[last]` saves one, `fixedpoint.loop.logarithmic_generations` nine "
            "a decade, and `observe` a few numbers of each.)"
        )
