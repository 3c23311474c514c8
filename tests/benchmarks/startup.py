"""What is waited for before the work begins: a new process, and the compilation of each kernel."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
from race import Contestant, Race

import fixedpoint as fp
from fixedpoint.kernels import driver, sweep, temperature_for_entropy

COUNTS = "outcome,count\nyes,50\nno,30\nmaybe,20\n"


def process(quick: bool) -> Race:
    """The command on a small file, from the start of its process to the end."""
    folder = tempfile.TemporaryDirectory()
    table = Path(folder.name, "counts.csv")
    table.write_text(COUNTS, encoding="utf-8")
    command = "import sys; from fixedpoint.cli import main; sys.exit(main())"
    predict = "-c", command, "predict", table, "--temperature", "0.9", "--generations", "5"
    # A cache of compiled programs would be the user's; here there is none.
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "FIXEDPOINT"))}

    def run(*arguments: Any) -> None:
        assert folder  # keeps the file
        command = [sys.executable, *arguments]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)

    contestants = [
        Contestant("fixedpoint predict, a csv of three lines", partial(run, *predict)),
        Contestant("import fixedpoint", partial(run, "-c", "import fixedpoint")),
        Contestant("import jax.numpy", partial(run, "-c", "import jax.numpy")),
        Contestant("Python alone", partial(run, "-c", "pass")),
    ]
    return _race("start", "a new process", contestants)


def compilation(quick: bool) -> Race:
    """Each kernel's program, from the function to machine code, at the sizes of small work."""
    works = _works()
    contestants = [Contestant(name, _program(work)) for name, work in works.items()]
    largest = "traces, 4,096 outcomes"
    alone = _program(works[largest], traced_alone=True)
    contestants.append(Contestant(f"{largest}, the tracing of it", alone))
    title = "tracing and compilation of each kernel, without a cache"
    return _race("compilation", title, contestants)


def _race(name: str, title: str, contestants: list[Contestant]) -> Race:
    return Race(
        name=name,
        title=title,
        contestants=contestants,
        distance=lambda answer, reference: 0.0,
        distance_name="nothing to compare",
        tolerance=0.0,
    )


def _works() -> dict[str, Callable[[], object]]:
    """Small work for every kernel."""
    logits = np.random.default_rng(0).standard_normal((8, 5_000)).astype(np.float32)
    starts = np.random.default_rng(0).standard_normal((64, 16))
    key = jax.random.key(0)

    def single(num_outcomes: int) -> object:
        loop = fp.Loop(fp.Temperature(0.9), fp.Fresh(1), fp.GradientSteps(step_size=0.1))
        start = jnp.linspace(0.4, -0.4, num_outcomes)
        return fp.run(loop, start, 10, key=key, num_replicates=8, save_at=[10])

    def refits(num_outcomes: int) -> object:
        loop = fp.Loop(fp.Temperature(1.1), fp.Fresh(100))
        start = jnp.linspace(0.4, -0.4, num_outcomes)
        return fp.run(loop, start, 10, key=key, num_replicates=8, save_at=[10])

    return {
        "sweep": lambda: sweep(logits, [0.5, 1.0, 2.0]),
        "spectrum": lambda: sweep(logits, np.linspace(0.5, 1.5, 100), compressed=True),
        "temperature": lambda: temperature_for_entropy(logits, np.full(8, 3.0)),
        "flow": lambda: fp.flow(fp.Loop(sampler=fp.Temperature(0.9)), starts, [1.0]),
        "traces, 2 outcomes": lambda: single(2),
        "traces, 16 outcomes": lambda: single(16),
        "traces, 256 outcomes": lambda: single(256),
        "traces, 4,096 outcomes": lambda: single(4096),
        "refits, 2 outcomes": lambda: refits(2),
        "refits, 16 outcomes": lambda: refits(16),
    }


def _program(work: Callable[[], object], traced_alone: bool = False) -> Callable[[], None]:
    """What compiles the last of the programs that the work has the driver run."""
    found: list[Any] = []
    tuned = driver._tuned  # pyright: ignore[reportPrivateUsage]

    def recorded(program: Any, options: Any, *arrays: Any) -> Any:
        found[:] = program, options, arrays
        return tuned(program, options, *arrays)

    with mock.patch.object(driver, "_tuned", recorded):
        work()
    program, options, arrays = found

    def compile_anew() -> None:
        driver._program.cache_clear()  # pyright: ignore[reportPrivateUsage]
        lowered = program(options).lower(*arrays)
        if not traced_alone:
            lowered.compile()

    return compile_anew


RACES = {"start": process, "compilation": compilation}
