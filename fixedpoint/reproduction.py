"""Reproducing everything: the verdicts, the notebooks, the figures, the numbers and the paper."""

import contextlib
import os
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fixedpoint.confront import verify_all
from fixedpoint.laws.equation import equations
from fixedpoint.verdict import Verdict

WIDTH = 100
"""Columns that the output keeps within."""


@dataclass(frozen=True)
class Job:
    """One job of `reproduce`, how it ended, and what it cost."""

    stage: str
    name: str
    seconds: float
    processor_seconds: float
    failed: bool
    output: tuple[str, ...]


def reproduce() -> int:
    """Verify, run the notebooks, draw the figures, build the paper; end with a summary.

    A failure is told, and the rest goes on. Without a checkout only the laws are verified.

    Returns:
        The exit status: 0 if everything succeeded, else 1.
    """
    with compiled_once():
        return _reproduced()


@contextlib.contextmanager
def compiled_once() -> Generator[None]:
    """Let the processes that are started share what JAX compiles, in a folder for this run.

    A folder that the environment names already is kept.
    """
    shared = {
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    if "JAX_COMPILATION_CACHE_DIR" in os.environ:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="fixedpoint-") as folder:
        shared["JAX_COMPILATION_CACHE_DIR"] = folder
        before = {name: os.environ.get(name) for name in shared}
        os.environ.update(shared)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name)
                os.environ.update({} if value is None else {name: value})


def _reproduced() -> int:
    started, spent = time.perf_counter(), processor_seconds()
    print("1 of 4: verify every law\n", flush=True)
    verdicts = _verified()
    costs = {"laws": processor_seconds() - spent}
    jobs: list[Job] = []
    root = checkout()
    notes = []
    if root is None:
        notes.append(
            "Notebooks, figures and paper need a checkout of the project; this is an installed "
            "package, so only the laws were verified."
        )
    else:
        for title, stage, commands in _stages(root):
            print(f"{title}", flush=True)
            # Threads that wait for processes: the scripts share the cores, their order is kept.
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for job in pool.map(partial(run, root, stage), commands):
                    _tell(job)
                    jobs.append(job)
            print(flush=True)
        notes += [line for job in jobs for line in job.output if line.startswith("skip ")]
    for job in jobs:
        costs[job.stage] = costs.get(job.stage, 0.0) + job.processor_seconds
    _summarise(verdicts, jobs, notes, costs, time.perf_counter() - started)
    failed = any(not verdict.passed for verdict in verdicts) or any(job.failed for job in jobs)
    return 1 if failed else 0


def processor_seconds() -> float:
    """What this process and those it has waited for have cost so far."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def checkout() -> Path | None:
    """The project's source tree, or `None` when the package is installed without it."""
    root = Path(__file__).resolve().parents[1]
    return root if (root / "paper" / "main.tex").is_file() else None


def _verified() -> list[Verdict]:
    total = len(equations())
    done = 0

    def report(verdict: Verdict) -> None:
        nonlocal done
        done += 1
        sign = "✓" if verdict.passed else "✗"
        print(f"  {sign} {done:>3}/{total}  {verdict.label:<36}{verdict.mark}", flush=True)

    verdicts = verify_all(None, report, processes=os.cpu_count() or 1)
    print(flush=True)
    return verdicts


def _stages(root: Path) -> Iterator[tuple[str, str, list[list[str]]]]:
    """The jobs after verification: title, stage, and the scripts with their arguments."""
    notebooks = sorted(set((root / "notebooks").glob("*.py")) - {root / "notebooks/execute.py"})
    figures = sorted((root / "paper/figures").glob("*.py"))
    yield (
        "2 of 4: run the notebooks",
        "notebooks",
        [["notebooks/execute.py", notebook.stem] for notebook in notebooks],
    )
    yield "3 of 4: draw the figures", "figures", [[f"paper/figures/{f.name}"] for f in figures]
    yield "4 of 4: build the paper", "paper", [["paper/build.py", "--no-figures"]]


def run(root: Path, stage: str, command: Sequence[str]) -> Job:
    """Run a script of the checkout with this Python; a failure is kept, not raised."""
    name = " ".join(command)
    environment = {
        **os.environ,
        "JAX_ENABLE_X64": "1",
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH")))),
    }
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+", errors="replace") as said:
        process = subprocess.Popen(
            [sys.executable, *command], cwd=root, env=environment, stdout=said, stderr=said
        )
        failed, spent = _awaited(process)
        said.seek(0)
        output = tuple(said.read().strip().splitlines())
    seconds = time.perf_counter() - started
    return Job(stage, name, seconds, spent, failed, output or ("no output",))


def _awaited(process: subprocess.Popen[bytes]) -> tuple[bool, float]:
    """Whether a process failed, and what it and its own processes cost: 0 where nobody counts."""
    if not hasattr(os, "wait4"):  # Windows
        return process.wait() != 0, 0.0
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode != 0, usage.ru_utime + usage.ru_stime


def _tell(job: Job) -> None:
    """Print how a job ended; of a failure, its last lines."""
    sign, cost = "✗" if job.failed else "✓", f"{job.processor_seconds:>8.1f} CPU s"
    print(f"  {sign} {job.name:<56}{job.seconds:>8.1f} s{cost}", flush=True)
    if job.failed:
        print(textwrap.indent("\n".join(job.output[-12:]), "      "), flush=True)


def _summarise(
    verdicts: Sequence[Verdict],
    jobs: Sequence[Job],
    notes: Sequence[str],
    costs: Mapping[str, float],
    seconds: float,
) -> None:
    """Print the one-page summary."""
    print(f"\n{'─' * WIDTH}\nSummary\n")
    by_law: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        by_law.setdefault(verdict.label.partition(".")[0], []).append(verdict)
    for law, members in by_law.items():
        marks: dict[str, int] = {}
        for verdict in members:
            marks[verdict.mark] = marks.get(verdict.mark, 0) + 1
        sign = "✓" if all(verdict.passed for verdict in members) else "✗"
        parts = "; ".join(f"{count} {mark}" for mark, count in marks.items())
        print(
            textwrap.fill(
                parts, WIDTH, initial_indent=f"  {sign} {law:<14}", subsequent_indent=" " * 18
            )
        )
    for stage in dict.fromkeys(job.stage for job in jobs):
        members = [job for job in jobs if job.stage == stage]
        good = sum(not job.failed for job in members)
        sign = "✓" if good == len(members) else "✗"
        print(f"  {sign} {stage:<14}{good} of {len(members)} succeeded")
    failed = [verdict.label for verdict in verdicts if not verdict.passed]
    failed += [f"{job.name}: {job.output[-1]}" for job in jobs if job.failed]
    for text in failed:
        print(textwrap.fill(text, WIDTH, initial_indent="  FAILED ", subsequent_indent=" " * 9))
    for note in filter(None, notes):
        print(textwrap.fill(note, WIDTH, initial_indent="  ", subsequent_indent="  "))
    spent = ", ".join(f"{stage} {cost:.0f}" for stage, cost in costs.items())
    print(f"\n  CPU seconds: {spent}; together {sum(costs.values()):.0f}")
    outcome = f"{len(failed)} failed" if failed else "everything succeeded"
    print(f"\n{tally(verdicts)}; {outcome}; {seconds / 60:.1f} minutes")


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many equations are verified, and which failed, in a line."""
    failed = [verdict.label for verdict in verdicts if not verdict.passed]
    text = f"{len(verdicts) - len(failed)} of {len(verdicts)} equations verified"
    return text + (f"; FAILED: {', '.join(failed)}" if failed else "")
