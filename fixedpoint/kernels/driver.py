"""How a kernel is run: its tiles, the devices that share them, and the compiler's options.

A kernel is a pure function of a few rows (a *tile*) that stay in the cache through all its work.
XLA would split every operation on a large array between the cores, tens of thousands of times in a
loop; so here `run` keeps each operation as small as a tile, walks through the tiles in sequence and
gives each device its share of them. Compiler options are allowed only in an outermost `jax.jit`,
which is why kernels are not jitted themselves: this is the only place that is.

The options are experimental in JAX. Where the installed version does not know them, and on other
devices than CPUs, the same program is compiled without them: the numbers agree to rounding, the
speed does not. The same holds of `apart` and `one_function`, which mark parts of a kernel.

What belongs to the process is the user's to switch on, before JAX is first used; nothing here does:

- `jax.config.update("jax_num_cpu_devices", os.cpu_count())` makes every core a device, so that
  the tiles are shared out among the cores (the environment variable is `JAX_NUM_CPU_DEVICES`).
- `jax.config.update("jax_compilation_cache_dir", folder)` with
  `jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)` keeps compiled programs
  between processes: 5 to 10 times less start-up for each. (The command does both for the folder
  that the environment variable FIXEDPOINT_CACHE names.)
"""

import contextlib
import functools
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxlib.version import __version__ as jaxlib_version
from jaxtyping import Array

try:
    from jax.experimental.xla_metadata import set_xla_metadata
except ImportError:  # an experiment of JAX's, which may end
    set_xla_metadata = None

__all__ = ["apart", "makes_one_function", "one_function", "run", "tiled"]

# Asks XLA for the widest vectors (it prefers 256 bits); the arithmetic and its order are the same.
VECTORS = {"xla_cpu_prefer_vector_width": 512}
# Lets XLA add up in another order, as vectors need; NaN, infinities and divisions stay what they
# are.
REASSOCIATION = {
    "xla_cpu_enable_fast_math": True,
    "xla_cpu_fast_math_honor_nans": True,
    "xla_cpu_fast_math_honor_infs": True,
    "xla_cpu_fast_math_honor_division": True,
    "xla_cpu_fast_math_honor_functions": True,
}
# XLA's library of sums and products of matrices cannot be called from what is made one function.
WITHOUT_LIBRARY = {"xla_cpu_experimental_ynn_fusion_type": ""}
# The versions of jaxlib on which all that is made one function was tried: it is a mark that XLA
# uses internally, and where it is not up to what is marked it ends the process. Whoever moves the
# lock runs the whole slow suite and the benchmarks with the new version added here.
_TRIED = ("0.10.2",)
# Bytes that are copied to the devices at once, about.
_COPIED = 2**23
# The sets of options that this version of JAX has been found not to know.
_refused: set[frozenset[tuple[str, Any]]] = set()


def run(
    kernel: Callable[..., Any],
    split: Sequence[Any],
    whole: Sequence[Any] = (),
    *,
    tile: int,
    static: tuple[Hashable, ...] = (),
    axis: int = 0,
    reassociate: bool = False,
    library: bool = True,
    devices: Sequence[Any] | None = None,
) -> Any:
    """Compile a kernel for the machine and run it on all rows.

    Args:
        kernel: `kernel(*static, *split, *whole)`, a function of the module's top level (compiled
            programs are kept for it), handed a tile of each of `split`.
        split: arrays, or trees of arrays, with the rows as leading axis.
        whole: arrays and numbers, or trees of them, that every tile is given as they are.
        tile: how many rows a tile has.
        static: what the program is compiled for.
        axis: where the kernel's results have the axis of rows.
        reassociate: whether sums may be taken in any order. Never for a kernel that is handed a
            function to observe with: what is written with care near a vertex would lose it.
        library: whether XLA may call its library of sums and products of matrices. Not for a kernel
            with something marked as `one_function`.
        devices: which share the tiles; by default all local ones.

    Returns:
        The kernel's results, with all rows. A row's result depends neither on the number of rows
        nor on the devices, if a kernel's does not depend on the other rows of its tile; but for
        another number of devices XLA compiles another program, whose sums may differ by rounding
        (1e-15 was seen).
    """
    devices = tuple(jax.local_devices() if devices is None else devices)
    num_rows = _num_rows(split)
    options = {**VECTORS, **(REASSOCIATION if reassociate else {})}
    if not library and makes_one_function(devices):
        options |= WITHOUT_LIBRARY
    if devices[0].platform != "cpu":
        options = {}
    program = functools.partial(_program, kernel, static, len(split), tile, axis, devices)
    share = NamedSharding(Mesh(np.asarray(devices), ("rows",)), PartitionSpec("rows"))
    size = _part(split, tile * len(devices))

    def part(first: int) -> Any:
        # Straight to the devices: an array of NumPy's would else be copied to one of them first.
        def put(array: Any) -> Array:
            rows = array[first : first + size] if size < num_rows else array
            return jax.device_put(_pad(rows, size), share)

        arrays = [jax.tree.map(put, tree) for tree in split]
        return _tuned(program, frozenset(options.items()), *arrays, *whole)

    results = [part(first) for first in range(0, max(num_rows, 1), size)]
    if len(results) * size == num_rows == size:
        return results[0]

    def join(*leaves: Array) -> Array:
        leaf = leaves[0] if len(leaves) == 1 else jnp.asarray(np.concatenate(leaves, axis))
        return lax.slice_in_dim(leaf, 0, num_rows, axis=axis)

    return jax.tree.map(join, *results)


def _num_rows(split: Sequence[Any]) -> int:
    return len(jax.tree.leaves(split)[0])


def _part(split: Sequence[Any], multiple: int) -> int:
    """How many rows are run at once: while a part of a large table is, the next is copied."""
    copied = sum(leaf.nbytes for leaf in jax.tree.leaves(split) if isinstance(leaf, np.ndarray))
    parts = 1 << max(0, int(copied // _COPIED).bit_length() - 1)
    return max(1, -(-_num_rows(split) // (parts * multiple))) * multiple


def tiled(
    kernel: Callable[..., Any],
    split: Sequence[Any],
    whole: Sequence[Any] = (),
    *,
    tile: int,
    axis: int = 0,
) -> Any:
    """Apply a kernel tile by tile, as `run` does, and no more: for use within a transformation."""
    num_rows = _num_rows(split)
    tiles = jax.tree.map(
        lambda array: _pad(array, tile).reshape(-1, tile, *array.shape[1:]), tuple(split)
    )
    results = lax.map(lambda tile: kernel(*tile, *whole), tiles)

    def join(leaf: Array) -> Array:  # (tiles, ..., tile, ...) → (..., rows, ...)
        shape = leaf.shape
        rows = jnp.moveaxis(leaf, 0, axis).reshape(*shape[1 : axis + 1], -1, *shape[axis + 2 :])
        return lax.slice_in_dim(rows, 0, num_rows, axis=axis)

    return jax.tree.map(join, results)


def apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, computed once, on its own.

    XLA fuses what is cheap into all that uses it, again and again: a chain of k quantities, each of
    which uses all before it, is then computed about k² times. The mark is JAX's own for what is not
    to be inlined, and experimental; a version that does not heed it gives the same numbers, slower.
    """
    return _marked(function, inlineable="false")


def one_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, compiled for CPUs to one function of the machine.

    XLA compiles every operation on its own and calls one after the other, which takes longer than a
    small operation does. Made one, loops over small arrays, searches and branches cost about what
    they cost in C. For what has no sort, no scatter and nothing of a user's in it, and only where
    `run` is told to do without its `library`. No argument may be a constant: XLA would move it
    inside, and end the process as it misses it. On a version of jaxlib on which this was not tried
    the numbers are the same, slower (`makes_one_function`).
    """
    if jaxlib_version not in _TRIED:
        return function
    return _marked(function, True, inlineable="false", xla_cpu_small_call="true")


def makes_one_function(devices: Sequence[Any] | None = None) -> bool:
    """Whether `one_function` does what it says on these devices, by default the local ones."""
    devices = jax.local_devices() if devices is None else devices
    return jaxlib_version in _TRIED and devices[0].platform == "cpu"


def _marked(
    function: Callable[..., Any], without_constants: bool = False, **marks: str
) -> Callable[..., Any]:
    """The function, called with these marks for XLA, which what it calls itself does not have."""
    none = dict.fromkeys(marks)

    def marked(*arguments: Any) -> Any:
        def unmarked() -> Any:
            with _marks(**none):
                return function(*arguments)

        # Of no arguments, as XLA cannot do with any that are not used.
        called = jax.jit(unmarked)
        with _marks(**marks):
            if without_constants:
                outside = getattr(called.trace(), "_consts", ())  # what it closes over
                found = [value for value in outside if not isinstance(value, Tracer)]
                if found:
                    raise ValueError(
                        f"`function` must have no constants to be one function; has {found}."
                    )
            return called()

    return marked


def _marks(**marks: str | None) -> Any:
    return set_xla_metadata(**marks) if set_xla_metadata else contextlib.nullcontext()


def _pad(array: Any, multiple: int) -> Any:
    """Repeat the last row until the number of rows is a multiple."""
    missing = -len(array) % multiple
    if not missing:
        return array
    # What NumPy joins needs no compilation.
    numpy: Any = jnp if isinstance(array, Tracer) else np
    array = numpy.asarray(array)
    return numpy.concatenate([array, numpy.repeat(array[-1:], missing, axis=0)])


def _tuned(program: Callable[..., Any], options: frozenset[Any], *arrays: Any) -> Any:
    """Run the program compiled with the options, or without where they are unknown."""
    if options and options not in _refused:
        try:
            return program(options)(*arrays)
        except (ValueError, jax.errors.JaxRuntimeError):
            if _known(options):
                raise
            _refused.add(options)
    return program(frozenset())(*arrays)


def _known(options: frozenset[Any]) -> bool:
    """Whether this version of JAX compiles anything with these options."""
    try:
        jax.jit(lambda x: x, compiler_options=dict(options))(0.0)
    except (ValueError, jax.errors.JaxRuntimeError):
        return False
    return True


@functools.lru_cache(maxsize=128)
def _program(
    kernel: Callable[..., Any],
    static: tuple[Hashable, ...],
    num_split: int,
    tile: int,
    axis: int,
    devices: tuple[Any, ...],
    options: frozenset[Any],
) -> Callable[..., Any]:
    """The compiled program of a kernel for these devices and options."""

    def walk(*arrays: Any) -> Any:
        split, whole = arrays[:num_split], arrays[num_split:]
        return tiled(functools.partial(kernel, *static), split, whole, tile=tile, axis=axis)

    rows = PartitionSpec("rows")

    def shared(*arrays: Any) -> Any:
        return jax.shard_map(
            walk,
            mesh=Mesh(np.asarray(devices), ("rows",)),
            in_specs=tuple(rows if i < num_split else PartitionSpec() for i in range(len(arrays))),
            out_specs=PartitionSpec(*[None] * axis, "rows"),
            check_vma=False,
        )(*arrays)

    return jax.jit(shared, compiler_options=dict(options) or None)
