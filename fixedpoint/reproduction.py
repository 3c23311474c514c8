"""Reproducing everything: the verdicts, the notebooks, the figures, the numbers and the paper."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
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
    """One job of `reproduce`, and how it ended."""

    stage: str
    name: str
    seconds: float
    failed: bool
    output: tuple[str, ...]


def reproduce() -> int:
    """Verify, run the notebooks, draw the figures, build the paper; end with a summary.

    A failure is told, and the rest goes on. Without a checkout only the laws are verified.

    Returns:
        The exit status: 0 if everything succeeded, else 1.
    """
    started = time.perf_counter()
    print("1 of 4: verify every law\n", flush=True)
    verdicts = _verified()
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
                for job in pool.map(partial(_run, root, stage), commands):
                    _tell(job)
                    jobs.append(job)
            print(flush=True)
        notes += [line for job in jobs for line in job.output if line.startswith("skip ")]
    _summarise(verdicts, jobs, notes, time.perf_counter() - started)
    failed = any(not verdict.passed for verdict in verdicts) or any(job.failed for job in jobs)
    return 1 if failed else 0


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


def _run(root: Path, stage: str, command: Sequence[str]) -> Job:
    """Run a script of the checkout with this Python; a failure is kept, not raised."""
    name = " ".join(command)
    environment = {
        **os.environ,
        "JAX_ENABLE_X64": "1",
        "MPLBACKEND": "Agg",
        "PYTHONPATH": os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH")))),
    }
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, *command],
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return Job(
        stage,
        name,
        time.perf_counter() - started,
        result.returncode != 0,
        tuple(result.stdout.strip().splitlines()) or ("no output",),
    )


def _tell(job: Job) -> None:
    """Print how a job ended; of a failure, its last lines."""
    print(f"  {'✗' if job.failed else '✓'} {job.name:<60}{job.seconds:>8.1f} s", flush=True)
    if job.failed:
        print(textwrap.indent("\n".join(job.output[-12:]), "      "), flush=True)


def _summarise(
    verdicts: Sequence[Verdict], jobs: Sequence[Job], notes: Sequence[str], seconds: float
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
        spent = sum(job.seconds for job in members)
        print(f"  {sign} {stage:<14}{good} of {len(members)} succeeded in {spent:.0f} s")
    failed = [verdict.label for verdict in verdicts if not verdict.passed]
    failed += [f"{job.name}: {job.output[-1]}" for job in jobs if job.failed]
    for text in failed:
        print(textwrap.fill(text, WIDTH, initial_indent="  FAILED ", subsequent_indent=" " * 9))
    for note in filter(None, notes):
        print(textwrap.fill(note, WIDTH, initial_indent="  ", subsequent_indent="  "))
    outcome = f"{len(failed)} failed" if failed else "everything succeeded"
    print(f"\n{tally(verdicts)}; {outcome}; {seconds / 60:.1f} minutes")


def tally(verdicts: Sequence[Verdict]) -> str:
    """How many equations are verified, and which failed, in a line."""
    failed = [verdict.label for verdict in verdicts if not verdict.passed]
    text = f"{len(verdicts) - len(failed)} of {len(verdicts)} equations verified"
    return text + (f"; FAILED: {', '.join(failed)}" if failed else "")
