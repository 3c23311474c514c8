"""The loop, and running it: one compiled loop over generations, many replicates, many devices."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Int, PyTree, Real

from fixedpoint import checks
from fixedpoint.loop.corpora import Corpus, Exact, branch
from fixedpoint.loop.learners import Learner, Refit
from fixedpoint.loop.samplers import Sampler, Temperature, floating

AXIS = "replicates"


class Loop(eqx.Module):
    """A model that is sampled and trained on its samples: sampler + corpus + learner.

    Args:
        sampler: What is drawn from; one sampler, or a tuple of them applied in order.
        corpus: What the learner sees of it.
        learner: How the model moves to the corpus.

    Raises:
        ValueError: If an argument is not of its kind.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(sampler=fp.Temperature(0.5))
        >>> logits, _ = loop.generation(jnp.array([0.0, 1.0]))
        >>> fp.simplex.centre(logits)
        Array([-1.,  1.], dtype=float64)
    """

    sampler: Sampler | tuple[Sampler, ...] = eqx.field(default_factory=lambda: Temperature(1.0))
    corpus: Corpus = eqx.field(default_factory=Exact)
    learner: Learner = eqx.field(default_factory=Refit)

    def __check_init__(self) -> None:
        for sampler in self.samplers:
            checks.check_kind(sampler, Sampler, "sampler", "a sampler, or a tuple of samplers")
        checks.check_kind(self.corpus, Corpus, "corpus", "a corpus")
        checks.check_kind(self.learner, Learner, "learner", "a learner")

    @property
    def samplers(self) -> tuple[Sampler, ...]:
        """The samplers as a tuple."""
        return self.sampler if isinstance(self.sampler, tuple) else (self.sampler,)

    @property
    def stochastic(self) -> bool:
        """Whether a generation needs a random key."""
        return self.corpus.stochastic or self.learner.stochastic

    def drawn(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """Logits of the distribution that a model with these logits is sampled from."""
        for sampler in self.samplers:
            logits = sampler(logits)
        return logits

    def generation(
        self,
        logits: Float[Array, "*batch outcomes"],
        initial: Float[Array, "*batch outcomes"] | None = None,
        memory: Any = None,
        key: Array | None = None,
    ) -> tuple[Float[Array, "*batch outcomes"], Any]:
        """One generation: draw, assemble the corpus, learn.

        Args:
            logits: The model.
            initial: The initial model; the model itself by default.
            memory: The corpus's memory; before the first generation by default.
            key: A random key; not needed by a deterministic loop.

        Returns:
            The trained model's logits and the corpus's memory.
        """
        initial = logits if initial is None else initial
        memory = self.corpus.initial(initial) if memory is None else memory
        assembling, learning = (None, None) if key is None else (branch(key, 0), branch(key, 1))
        target, memory = self.corpus(self.drawn(logits), memory, assembling)
        origin = initial if self.learner.from_initial else logits
        return self.learner(origin, target, learning), memory


class Trajectory(eqx.Module):
    """What `run` saved.

    Attributes:
        generation: The saved generations, shape (S,).
        value: What was observed there: arrays of shape (S, [num_replicates,] ...), in the
            structure of `observe`.
    """

    generation: Array
    value: PyTree


def run(
    loop: Loop,
    logits: Real[ArrayLike, "*batch outcomes"],
    num_generations: int,
    *,
    key: Array | None = None,
    num_replicates: int | None = None,
    observe: PyTree[Callable[[Array], PyTree]] = None,
    save_at: Sequence[int] | Int[ArrayLike, " saved"] | None = None,
    progress: bool | None = None,
    devices: Sequence[Any] | None = None,
) -> Trajectory:
    """Run a loop for a number of generations and save what is observed.

    Replicate r's random numbers are a function of the key, r and the generation alone, so that
    the results are the same on one device or several, and whatever else is saved or shown.

    Args:
        loop: The process.
        logits: The initial model θ₀; the last axis runs over the outcomes, -inf is a lost one.
        num_generations: How many generations, at least 0.
        key: A random key. A deterministic loop needs none.
        num_replicates: R, how many independent runs; None is one run without a replicate axis.
        observe: What to save of the logits (of one replicate): a function, or a tuple, list or
            dict of functions, whose structure the saved value has. None saves the logits.
        save_at: The generations to save, increasing, in 0..num_generations; all by default.
        progress: Whether to show a progress bar; by default if standard error is a terminal.
        devices: The devices that share the replicates; by default all local ones. Several
            processes (`jax.distributed`) pass `jax.devices()`.

    Returns:
        The saved generations and values.

    Raises:
        ValueError: If an argument is out of its range, or a random loop has no key.
        FloatingPointError: If a model is not a distribution any more: nothing survived curation
            or truncation.

    Validity:
        What the loop's parts say. Memory grows with what is saved, not with the number of
        generations. Compiled once for given shapes, `observe` and static parameters; numbers
        (generations, temperatures, step sizes, fractions) may change at no cost.
        Works inside `jax.jit`, `jax.vmap` and `jax.grad`; then without progress bar, on one
        device, and reverse-mode keeps all generations in memory.

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
        >>> runs.generation, runs.value["H"].shape
        (Array([  0, 100], dtype=int64), (2, 5))
    """
    checks.check_kind(loop, Loop, "loop", "a Loop")
    checks.check_logits(logits)
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    if num_replicates is not None:
        num_replicates = checks.check_count(num_replicates, "num_replicates")
    every = range(num_generations + 1)
    saved = checks.check_generations(every if save_at is None else save_at, num_generations)
    checks.check_functions(observe)
    checks.check_devices(devices)
    if key is not None:
        checks.check_key(key)
    elif loop.stochastic:
        raise ValueError(
            "`key` must be given where a loop draws at random (key=jax.random.key(0)); got None."
        )
    logits = floating(logits)
    _check_shapes(loop, logits, key)
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves((loop, logits, key))):
        return _run_traced(loop, logits, key, num_replicates, observe, saved)
    return _run_compiled(loop, logits, key, num_replicates, observe, saved, progress, devices)


def _check_shapes(loop: Loop, logits: Array, key: Array | None) -> None:
    """Whether a generation leads from models of this shape to models of this shape.

    Looked at where it is not so by construction: parts with several numbers, or of a user's own.
    """

    def returned(what: object, result: Any) -> ValueError:
        shape = f"shape {result.shape} and type {result.dtype}" if _is_array(result) else result
        return ValueError(
            f"`loop` must lead from logits of shape {logits.shape} to floats of this shape; "
            f"{what} returns {shape}. (One parameter for each model of a batch goes with logits of "
            "shape (models, outcomes), or with jax.vmap over the loop.)"
        )

    def fits(result: Any) -> bool:
        floats = _is_array(result) and jnp.issubdtype(result.dtype, jnp.floating)
        return floats and result.shape == logits.shape

    def look(what: object, parts: tuple[Any, ...], function: Callable[[], Any]) -> None:
        if all(map(_is_plain, parts)):
            return
        try:
            result = eqx.filter_eval_shape(function)
        except (TypeError, ValueError) as error:
            # Whoever wrote a part sees their own error, and where; ours say what they must.
            if str(error).startswith("`") or not all(map(_is_ours, parts)):
                raise
            raise returned(what, f"no shape ({' '.join(str(error).split())[:100]})") from None
        if not fits(result):
            raise returned(what, result)

    for sampler in loop.samplers:
        look(sampler, (sampler,), lambda sampler=sampler: sampler(logits))
    training = loop.corpus, loop.learner
    look(f"{loop.learner} on {loop.corpus}", training, lambda: loop.generation(logits, key=key)[0])


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _is_ours(part: Any) -> bool:
    return type(part).__module__.startswith(__name__.partition(".")[0] + ".")


def _is_plain(part: Any) -> bool:
    """Whether a part is of this package and has no parameters but single numbers."""
    return _is_ours(part) and all(np.ndim(leaf) == 0 for leaf in jax.tree.leaves(part))


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

    def observed(self, logits: Array) -> PyTree:
        if self.observe is None:
            return logits
        return jax.tree.map(lambda function: function(logits), self.observe, is_leaf=callable)

    def start(self, replicates: Array | None) -> _Carry:
        """Generation 0."""
        each = (lambda f: f) if replicates is None else jax.vmap
        logits = self.logits
        if replicates is not None:
            logits = jnp.broadcast_to(logits, (replicates.size, *logits.shape))
        memory = each(self.loop.corpus.initial)(logits)
        one = jax.eval_shape(each(self.observed), logits)
        values = jax.tree.map(lambda v: jnp.zeros((self.saved.size, *v.shape), v.dtype), one)
        return self.record(_Carry(logits, memory, values, jnp.zeros((), int)), 0, each)

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
            new = each(self.observed)(logits)
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


def _in_dtype(process: _Process) -> _Process:
    """The loop's parameters in the dtype of the logits, which the whole run then follows."""
    dtype = process.logits.dtype

    def cast(leaf: Any) -> Any:
        return leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf

    return eqx.tree_at(lambda p: p.loop, process, jax.tree.map(cast, process.loop))


def _run_traced(
    loop: Loop,
    logits: Array,
    key: Array | None,
    num_replicates: int | None,
    observe: PyTree,
    saved: np.ndarray,
) -> Trajectory:
    process = _in_dtype(_Process(loop, logits, key, observe, jnp.asarray(saved)))
    replicates = None if num_replicates is None else jnp.arange(num_replicates)
    carry = process.advance(replicates, process.start(replicates), 0, int(saved[-1]))
    values = eqx.error_if(carry.values, ~_alive(carry.logits), _DEAD)
    return Trajectory(process.saved, values)


def _run_compiled(
    loop: Loop,
    logits: Array,
    key: Array | None,
    num_replicates: int | None,
    observe: PyTree,
    saved: np.ndarray,
    progress: bool | None,
    devices: Sequence[Any] | None,
) -> Trajectory:
    process = _in_dtype(_Process(loop, logits, key, observe, jnp.asarray(saved)))
    mesh, replicates = None, None
    if num_replicates is not None:
        devices = list(jax.local_devices() if devices is None else devices)
        if len(devices) > 1:
            mesh = jax.sharding.Mesh(np.array(devices), (AXIS,))
        # Every device gets the same number: the surplus replicates are run and dropped.
        replicates = jnp.arange(-(-num_replicates // len(devices)) * len(devices))
    carry = _start(process, replicates, mesh)
    last = int(saved[-1])
    with _progress_bar(last, progress) as bar:
        num_chunks = 1 if bar.disable else 100
        bounds = sorted({last * i // num_chunks for i in range(num_chunks + 1)})
        for first, until in itertools.pairwise(bounds):
            carry = _advance(
                process, replicates, carry, jnp.asarray(first), jnp.asarray(until), mesh
            )
            if not bar.disable:
                jax.block_until_ready(carry.logits)
                bar.update(until - first)
    carry_logits, values = carry.logits, carry.values
    if num_replicates is not None and replicates is not None and replicates.size != num_replicates:
        carry_logits = carry_logits[:num_replicates]
        values = jax.tree.map(lambda value: value[:, :num_replicates], values)
    if not _alive(carry_logits):
        raise FloatingPointError(_DEAD)
    return Trajectory(process.saved, values)


@eqx.filter_jit
def _start(process: _Process, replicates: Array | None, mesh: Any) -> _Carry:
    return _shared(lambda process, replicates: process.start(replicates), mesh)(process, replicates)


@eqx.filter_jit
def _advance(
    process: _Process, replicates: Array | None, carry: _Carry, first: Array, last: Array, mesh: Any
) -> _Carry:
    def advance(process: _Process, replicates: Array | None, carry: _Carry, bounds: Any) -> _Carry:
        return process.advance(replicates, carry, *bounds)

    return _shared(advance, mesh)(process, replicates, carry, (first, last))


def _shared(function: Callable[..., _Carry], mesh: Any) -> Callable[..., _Carry]:
    """The function of (process, replicates, carry...), with the replicates split over the mesh."""
    if mesh is None:
        return function
    one, split = jax.sharding.PartitionSpec(), jax.sharding.PartitionSpec(AXIS)
    saved = jax.sharding.PartitionSpec(None, AXIS)
    carried = _Carry(split, split, saved, one)  # pyright: ignore[reportArgumentType]

    def shared(process: _Process, *rest: Any) -> _Carry:
        arrays, static = eqx.partition(process, eqx.is_array)
        return jax.shard_map(
            lambda arrays, *rest: function(eqx.combine(arrays, static), *rest),
            mesh=mesh,
            in_specs=(one, split, carried, one)[: len(rest) + 1],
            out_specs=carried,
            check_vma=False,  # a replicate's generation involves its own shard only
        )(arrays, *rest)

    return shared


def _progress_bar(total: int, progress: bool | None) -> Any:
    from tqdm import tqdm  # loaded when needed: importing the package stays light

    shown = sys.stderr.isatty() if progress is None else progress
    return tqdm(total=total, disable=not shown, unit="generation")
