"""Run the benchmarks and write their tables: `python3 run.py bench [NAME ...] [--quick]`.

No benchmark is part of the test suite: how fast a shared machine is today proves nothing. What is
checked here is that all contestants give the same answer; the command fails where they do not.

Every other file of this folder holds the races of one kind of work: it names them in `RACES`, a
function of "quick" for each, and how their cost grows in `GROWTH`. Nothing else lists them. A run
of everything at full size is kept in `results.json`, from which the README's and the paper's table
and figure are made.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jax
import machine

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", machine.CORES)  # both cores, as everybody gets

import report  # noqa: E402
from race import Growth, Race, hold, measure  # noqa: E402

FOLDER = Path(__file__).resolve().parent
RESULTS = FOLDER / "results.json"
FIRST = "predict", "closed-form"
"""Printed first; the others follow in alphabetical order."""


def found() -> tuple[dict[str, Callable[[bool], Race]], dict[str, Callable[[bool], Growth]]]:
    """The races and growths of all files."""
    races: dict[str, Callable[[bool], Race]] = {}
    growths: dict[str, Callable[[bool], Growth]] = {}
    for path in sorted(FOLDER.glob("*.py")):
        if path.stem != "run":
            module = importlib.import_module(path.stem)
            races |= getattr(module, "RACES", {})
            growths |= getattr(module, "GROWTH", {})
    names = [*FIRST, *sorted(set(races) - set(FIRST))]
    return {name: races[name] for name in names}, growths


def main(argv: Sequence[str] | None = None) -> int:
    """Hold the races asked for, print their tables as they end, and write them all."""
    races, growths = found()
    names = ", ".join([*races, *growths])
    parser = argparse.ArgumentParser(prog="python3 run.py bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {names}; all by default, which also renews results.json",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all works")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default: 5)")
    parser.add_argument("--output", type=Path, help="where to write the results instead, as JSON")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in {*races, *growths}]
    if unknown:
        parser.error(f"`NAME` must be one of {names}; got {unknown[0]}.")
    if options.rounds < 1:
        parser.error(f"`--rounds` must be >= 1; got {options.rounds}.")
    asked = options.names or [*races, *growths]
    outcomes, curves = [], []
    for name in asked:
        if name in races:
            outcomes.append(hold(races[name](options.quick), options.rounds))
            print(report.table(report.race_record(outcomes[-1])), flush=True)
        if name in growths:
            curves.append(measure(growths[name](options.quick), min(options.rounds, 3)))
            print(report.growth_line(report.growth_record(curves[-1])), flush=True)
    record = report.record(outcomes, curves, machine.describe(), options.quick)
    print(report.circumstances(record))
    path = options.output
    if path is None and not options.names and not options.quick:
        path = RESULTS
    if path is not None:
        path.write_text(report.as_json(record), encoding="utf-8")
        print(f"wrote {path}")
    if path == RESULTS:
        report.publish(record)
    wrong = [f"{o.race.name}: {name}" for o in outcomes for name in o.disagreeing]
    if wrong:
        print(f"not the reference's answer: {'; '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
