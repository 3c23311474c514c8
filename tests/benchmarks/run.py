"""Run the benchmarks and write their tables: `python3 run.py bench [NAME ...] [--quick]`.

No benchmark is part of the test suite: how fast a shared machine is today proves nothing. What is
checked here is that all contestants give the same answer; the command fails where they do not.
"""

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import machine

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_num_cpu_devices", machine.CORES)  # both cores, as everybody gets

import closed_form  # noqa: E402
import predict  # noqa: E402
import report  # noqa: E402
import traces  # noqa: E402
from race import hold  # noqa: E402

RACES = {
    "closed-form": closed_form.race,
    "predict": predict.race,
    "traces-2": partial(traces.race, 2),
    "traces-16": partial(traces.race, 16),
}
GENERATED = Path(__file__).resolve().parents[2] / "paper" / "generated"


def main(argv: Sequence[str] | None = None) -> int:
    """Hold the races asked for, print their tables as they end, and write them all."""
    parser = argparse.ArgumentParser(prog="python3 run.py bench", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(RACES)}; all by default; the tables hold these alone",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that all works")
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds (default: 5)")
    parser.add_argument("--output", type=Path, default=GENERATED, help="folder of the tables")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in RACES]
    if unknown:
        parser.error(f"`NAME` must be one of {', '.join(RACES)}; got {unknown[0]}.")
    if options.rounds < 1:
        parser.error(f"`--rounds` must be >= 1; got {options.rounds}.")
    sizes, described = "quick" if options.quick else "full", machine.describe()
    outcomes = []
    for name in options.names or RACES:
        outcomes.append(hold(RACES[name](options.quick), options.rounds))
        print(report.markdown(outcomes[-1:], described, sizes), flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    for suffix, write in (("md", report.markdown), ("tex", report.latex), ("json", report.as_json)):
        path = options.output / f"benchmarks.{suffix}"
        path.write_text(write(outcomes, described, sizes), encoding="utf-8")
        print(f"wrote {path}")
    wrong = [f"{o.race.name}: {name}" for o in outcomes for name in o.disagreeing]
    if wrong:
        print(f"not the reference's answer: {'; '.join(wrong)}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
