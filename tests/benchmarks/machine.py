"""The machine: what it is, what is installed on it, and what it can do at best."""

import ctypes
import functools
import importlib.metadata
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
PACKAGES = "fixedpoint-retraining", "jax", "jaxlib", "numpy", "scipy", "numba", "torch"
FLAGS = "-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp"


def describe() -> dict[str, str]:
    """Processor, cores, system and versions, for the table's caption and the JSON."""
    versions, found = {}, compiler()
    for package in PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": processor(),
        "cores": str(CORES),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "C compiler": Path(found).name if found else "none",
        **versions,
    }


def processor() -> str:
    """The processor's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    name = {key.strip(): value.strip() for key, value in fields.items()}.get("model name")
    return name or platform.machine()


def compiler() -> str | None:
    """The C compiler, if there is one."""
    return next(filter(None, map(shutil.which, ("gcc", "cc"))), None)


@functools.cache
def _limits() -> ctypes.CDLL | None:
    """Compile `limits.c` for this machine and load it; `None` where that fails."""
    found = compiler()
    if found is None:
        return None
    source = Path(__file__).with_name("limits.c")
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "limits.so")
        command = [found, *FLAGS, "-shared", "-fPIC", "-o", str(library), str(source), "-lm"]
        try:
            subprocess.run(command, check=True, capture_output=True)
            return ctypes.CDLL(str(library))
        except (subprocess.CalledProcessError, OSError):
            return None


def has_limit() -> bool:
    """Whether the limit can be measured here."""
    return _limits() is not None


def tempered_sums(logits: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """S0 and S1 (num_b, rows) of float32 logits without lost outcomes, by the C program."""
    library = _limits()
    if library is None:
        raise RuntimeError("no C compiler; ask `has_limit` beforehand")
    logits = np.ascontiguousarray(logits, np.float32)
    b = np.ascontiguousarray(b, np.float64)
    sums = np.empty((2, len(logits), len(b)))
    integers = [ctypes.c_int64(number) for number in (*logits.shape, len(b))]
    failed = library.tempered_sums(
        _pointer(logits), integers[0], integers[1], _pointer(b), integers[2], *map(_pointer, sums)
    )
    if failed:
        raise MemoryError("limits.c: no memory for a row")
    return sums[0].T, sums[1].T


@dataclass(frozen=True)
class Rates:
    """What the machine does in a second at best, on all cores, measured now.

    Attributes:
        bytes: read and written in a copy between two arrays far larger than the caches.
        exponentials: in double precision, of numbers in the cache.
        multiply_adds: in double precision, of numbers in registers.
    """

    bytes: float
    exponentials: float
    multiply_adds: float


def probe() -> Rates | None:
    """Measure the machine's rates in about a tenth of a second; `None` without a C compiler."""
    library = _limits()
    if library is None:
        return None
    library.multiply_adds.restype = ctypes.c_double
    source, target = _arrays()
    table = np.linspace(-3, 3, 8 * CORES * 1024, dtype=np.float32).reshape(-1, 1024)
    b = np.linspace(0.5, 2, 800)
    repeats = 2_000_000

    def copy() -> float:
        library.copy(_pointer(target), _pointer(source), ctypes.c_int64(source.size))
        return 2.0 * source.nbytes

    def exponentials() -> float:
        tempered_sums(table, b)
        return float(table.size * len(b))

    def multiply_adds() -> float:
        return library.multiply_adds(ctypes.c_int64(repeats))

    return Rates(*(_rate(work) for work in (copy, exponentials, multiply_adds)))


@functools.cache
def _arrays() -> tuple[np.ndarray, np.ndarray]:
    return np.ones(2**23), np.ones(2**23)


def _rate(work: Callable[[], float]) -> float:
    """The better of two rates."""
    rates = []
    for _ in range(2):
        start = time.perf_counter()
        amount = work()
        rates.append(amount / (time.perf_counter() - start))
    return max(rates)


def _pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
