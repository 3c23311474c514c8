"""What all tests share: float64, checked shapes, fixed keys and the switch for slow tests."""

import atexit
import gc
import os
import shutil
import tempfile
import zlib
from pathlib import Path

# What one process of the run has compiled the others find in a folder, which goes with the run.
# (Named before JAX is loaded; the workers of pytest-xdist inherit it.)
if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="fixedpoint-compiled-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import hypothesis
import jax
import numpy as np
import pytest
from jaxtyping import install_import_hook

# Here and not in the library, which never sets a global option.
jax.config.update("jax_enable_x64", True)
# A missing axis is an error, not a guess. (Dtypes are promoted as usual: a law multiplies logits by
# an integer generation or divides by a count, which "strict" forbids. That float32 stays float32 is
# tested where it is promised.)
jax.config.update("jax_numpy_rank_promotion", "raise")

# The same examples in every run; a compilation may take longer than any sensible deadline.
hypothesis.settings.register_profile("fixed", derandomize=True, deadline=None)
hypothesis.settings.load_profile("fixed")

# The shapes and types that these modules promise are checked at every call; those above them call
# them with everything they have. (Listed, not all: elsewhere annotations also serve loop bodies
# and tables, which JAX and SymPy call with their own types.)
install_import_hook(["fixedpoint.potential", "fixedpoint.simplex"], "beartype.beartype")


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run those marked slow or long as well")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        skip = pytest.mark.skip(reason="run with --slow")
        for item in items:
            if {"slow", "long"} & set(item.keywords):
                item.add_marker(skip)


@pytest.fixture(autouse=True, scope="module")
def room_for_programs():
    """Forget what was compiled before the process has all the memory maps that Linux gives it.

    Every program holds some of the 65,530; the compiler that gets no more ends the process.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 25_000:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def key(request):
    """A random key that depends on the name of the test alone."""
    return jax.random.fold_in(
        jax.random.PRNGKey(0), np.uint32(zlib.crc32(request.node.nodeid.encode()))
    )
