"""The verbs about the theory: `laws`, `show`, `verify` and `cite`."""

import argparse
import json
import os
import sys
import textwrap
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fixedpoint.cli.complaints import WIDTH, InputError, got

if TYPE_CHECKING:
    from fixedpoint.verdict import Verdict


def laws(options: argparse.Namespace) -> int:
    """Print the table of laws."""
    from fixedpoint.laws.equation import equations
    from fixedpoint.verdict import load, standing

    register, record = equations(), load()
    stand = standing(register)
    rows = []
    for label, equation in register.items():
        verdict = "?" if label in record else "not verified yet"
        if label in stand:
            verdict = stand[label]["mark"]
        rows.append((label, equation.kind, verdict, equation.statement))
    if options.json:
        names = ("label", "kind", "verdict", "statement")
        print(json.dumps([dict(zip(names, row, strict=True)) for row in rows], indent=2))
        return 0
    label_width = max((len(row[0]) for row in rows), default=5) + 2
    print(f"{'label':<{label_width}}{'kind':<12}verdict of the last verification")
    law = None
    for label, kind, verdict, statement in rows:
        if label.partition(".")[0] != law:
            law = label.partition(".")[0]
            print("─" * WIDTH)
        print(f"{label:<{label_width}}{kind:<12}{verdict}")
        print(textwrap.fill(statement, WIDTH, initial_indent="  ", subsequent_indent="  "))
    passed = sum(verdict["passed"] for verdict in stand.values())
    print("─" * WIDTH)
    if any(row[2] == "?" for row in rows):
        print("?: verified once, but what was judged has changed since.")
    print(
        f"{len(rows)} equations, {passed} of them verified. Verify: fixedpoint verify [LABEL ...]"
    )
    return 0


def show(options: argparse.Namespace) -> int:
    """Print one law on one page."""
    from fixedpoint.laws.equation import equations
    from fixedpoint.page import page

    register = equations()
    if options.label not in register:
        raise InputError(
            f"`LABEL` must be a registered equation; {got(options.label, [*register])}"
        )
    print(page(options.label))
    return 0


def verify(options: argparse.Namespace) -> int:
    """Make the three comparisons and print them."""
    from fixedpoint.confront import verify_all
    from fixedpoint.reproduction import tally

    labels = selected(options.labels)
    # A process of its own takes seconds to start: worth it for a whole law.
    processes = (os.cpu_count() or 1) if len(labels) > 8 else 1
    if options.mutants:
        return _mutants(labels, options.json, processes)
    started = time.perf_counter()
    verdicts = verify_all(labels, None if options.json else print_verdict, processes)
    failed = [verdict.label for verdict in verdicts if not verdict.passed]
    if options.json:
        print(json.dumps([v.as_dict() for v in verdicts], indent=2, allow_nan=False))
    else:
        print(f"{tally(verdicts)}, in {time.perf_counter() - started:.0f} s")
    return 1 if failed else 0


def _mutants(labels: Sequence[str], as_json: bool, processes: int) -> int:
    """Print how many wrong answers fall in the proof, and how many in the confrontation."""
    from tqdm import tqdm

    from fixedpoint.laws.equation import equations
    from fixedpoint.mutants import Fall, fell_of_all, score

    register, width = equations(), max(map(len, labels))
    waiting = tqdm(total=len(labels), unit="law", leave=False, disable=not sys.stderr.isatty())

    def report(label: str, found: Sequence[Fall]) -> None:
        waiting.update()
        waiting.set_postfix_str(label)
        if as_json:
            return
        falls = score(found)
        proof = f"{falls.proof:>12}" if register[label].tied else f"{'no answer':>12}"
        with tqdm.external_write_mode():
            print(f"{label:<{width}}  {falls.mutants:>7}  {proof}  {falls.confrontation:>20}")
            for fall in found:
                if not fall.somewhere:
                    print(textwrap.fill(f"survives: {fall.change}", WIDTH, initial_indent="    "))
            sys.stdout.flush()

    if not as_json:
        print(f"{'label':<{width}}  mutants  in the proof  in the confrontation")
    falls = fell_of_all(labels, report, processes)
    waiting.close()
    if as_json:
        print(json.dumps([fall._asdict() for fall in falls], indent=2))
        return 0
    whole = score(falls)
    print(
        f"{whole.mutants} mutants: {whole.proof} of {whole.tied} fall in a proof that takes its "
        f"answer ({_share(whole.proof, whole.tied)}), {whole.confrontation} in the confrontation "
        f"({_share(whole.confrontation, whole.mutants)}), {whole.somewhere} in either."
    )
    return 0


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else "none"


def cite(options: argparse.Namespace) -> int:
    """Print the BibTeX entries of the software and of the articles behind the chosen laws."""
    from fixedpoint import citations

    print(citations.cite(selected(options.labels) if options.labels else ()))
    return 0


def selected(wanted: Sequence[str]) -> list[str]:
    """The labels that are meant: all by default, all of a law for the law's name."""
    from fixedpoint.laws.equation import equations

    register = equations()
    names = list(dict.fromkeys(equation.law for equation in register.values()))
    chosen: dict[str, None] = {}
    for name in wanted or names:
        found = [label for label in register if name in (label, label.partition(".")[0])]
        if not found:
            known = [*register, *names]
            raise InputError(f"`LABEL` must be a registered equation or law; {got(name, known)}")
        chosen.update(dict.fromkeys(found))
    return list(chosen)


def print_verdict(verdict: "Verdict") -> None:
    """Print one equation's three comparisons."""
    print(f"{verdict}\n", flush=True)
