r"""Build the paper: figures, numbers, equations with their verdicts, and the PDF.

`python paper/build.py [--no-figures]` writes `generated/` and, where latexmk is found, `main.pdf`.
Everything that the text quotes comes from here:

    generated/<stem>.pdf, .json   figures and their numbers (paper/figures/<stem>.py)
    generated/macros.tex          \FP<name> for every number
    generated/equations.tex       \fpeq{<label>}: the SymPy object as LaTeX, with its verdict
    generated/laws.tex            the table of all registered equations
    generated/notation.tex        the table of all arguments, with their letters
    generated/benchmarks.tex      the table of the stored benchmarks
"""

import argparse
import json
import math
import os
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import mpmath
import sympy as sp

from fixedpoint import agreement
from fixedpoint.laws import notation
from fixedpoint.laws.equation import Argument, Equation, equations
from fixedpoint.verdict import standing
from paper import press

MAIN = press.PAPER / "main.tex"
PDF = press.PAPER / "main.pdf"
BIBLIOGRAPHY = press.PAPER.parent / "fixedpoint" / "laws" / "references.bib"
"""The articles; they belong to the package, so that `fixedpoint cite` can print them."""
BUILT_AT = "1767225600"
"""The moment printed into the PDF (2026-01-01), so that two builds give the same bytes."""

TEST = "../tests/laws/test_register.py"
"""The test that makes the three comparisons of every equation, as a link from the PDF."""

DEBIAN_PACKAGES = "latexmk lmodern texlive-latex-recommended texlive-fonts-recommended"

MARKS = {
    "passed": r"\fppassed",
    "checked": r"\fpchecked",
    "none": r"\fpnone",
    "failed": r"\fpfailed",
}
"""How the paper prints the status of one comparison."""

GREEK_AND_SIGNS = (
    "θtheta βbeta ηeta τtau λlambda μmu νnu ξxi ρrho "
    "σsigma κkappa φvarphi ψpsi ωomega αalpha γgamma δdelta εvarepsilon "
    "ΔDelta ΦPhi Σsum ∫int ·cdot ×times ±pm ≤le ≥ge "
    "≈approx →to ∞infty ≠ne ∈in ½tfrac12 ‖| ∂partial ∇nabla "
    "√surd ℓell ≪ll ≫gg ∏prod ΓGamma ζzeta πpi ∝propto ≃simeq "
)
SYMBOLS = {sign[0]: rf"\{sign[1:]}" for sign in GREEK_AND_SIGNS.split()} | {"−": "-"}
"""Mathematical symbols that statements may use."""

SPECIAL = {c: rf"\{c}" for c in "&%#_{}$"} | {
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": "$<$",
    ">": "$>$",
    "–": "--",
    "’": "'",
    "…": r"\dots{}",
    "′": "$'$",
    "é": r"\'e",
    "á": r"\'a",
    "ö": r"\"o",
}
RAISED = dict(zip("⁰¹²³⁴⁵⁶⁷⁸⁹ⁿᵗ⁻⁺⁽⁾ᵀ", "0123456789nt-+()T", strict=True))
LOWERED = dict(zip("₀₁₂₃₄₅₆₇₈₉ₙ₊₋ᵢⱼ", "0123456789n+-ij", strict=True))


def prose(text: str) -> str:
    """A sentence of the register as LaTeX.

    Args:
        text: plain text with Unicode mathematics (θT⁻ᵗ).

    Returns:
        The same in LaTeX.

    Raises:
        ValueError: a character has no translation here.
    """
    latex = "".join(_typeset(piece) for piece in PIECES.findall(text))
    # Neighbouring formulas are one; a command's name must not run into the letter after it.
    return re.sub(r"(\\[A-Za-z]+)\$\$(?=[A-Za-z])", r"\1 ", latex).replace("$$", "")


PIECES = re.compile(
    r"\w?\^(?:\{[^}]*\}|\([^()]*\)|-?\w)"  # e^{ηt}, e^(-bz), e^-θ
    r"|√\([^()]*\)"  # √(pq)
    r"|\b[a-z][A-Z]\b"  # tX
    r"|[A-Za-z][A-Za-z']+"  # a word
    r"|[A-Za-z]_\w"  # p_T
    r"|[B-HJ-Zb-z]"  # a letter on its own, but neither "a" nor "I"
    rf"|[{''.join(RAISED)}]+|[{''.join(LOWERED)}]+| - |."
)
"""What a statement is cut into; mathematics is recognised by its looks."""


def _typeset(piece: str) -> str:
    if piece[0] in RAISED:
        return f"$^{{{''.join(RAISED[c] for c in piece)}}}$"
    if piece[0] in LOWERED:
        return f"$_{{{''.join(LOWERED[c] for c in piece)}}}$"
    if piece == " - ":
        return " $-$ "
    if "^" in piece[:2] and len(piece) > 1:
        base, _, power = piece.partition("^")
        power = power[1:-1] if power[0] in "{(" else power
        return f"${_signs(base)}^{{{_signs(power)}}}$"
    if piece[0] == "√" and len(piece) > 1:
        return rf"$\sqrt{{{_signs(piece[2:-1])}}}$"
    if re.fullmatch(r"[B-HJ-Zb-z]|[a-z][A-Z]|[A-Za-z]_\w", piece):
        return f"${_signs(piece)}$"
    if piece in SYMBOLS:
        return f"${SYMBOLS[piece]}$"
    if piece in SPECIAL or piece.isascii():
        return SPECIAL.get(piece, piece)
    raise ValueError(f"`text` must be ASCII or in the tables of build.py; got {piece!r}.")


def _signs(formula: str) -> str:
    raised = re.sub(f"[{''.join(RAISED)}]+", _raised, formula)
    return "".join(SYMBOLS.get(c, c) + " " * (c in SYMBOLS) for c in raised)


def _raised(match: re.Match[str]) -> str:
    return f"^{{{''.join(RAISED[c] for c in match.group())}}}"


def marks(record: Mapping[str, Any] | None) -> str:
    """The three marks of an equation: proved, evaluated, confronted; "?" where none stands."""
    if record is None:
        return r"\fpunknown\fpunknown\fpunknown"
    stages = ("proved", "evaluated", "confronted")
    return "".join(MARKS[record[stage]["status"]] for stage in stages)


def equations_tex(register: Mapping[str, Equation], record: Mapping[str, Any]) -> str:
    r"""Each equation of the register as a TeX definition that `\fpeq` looks up."""
    lines = ["% Written by paper/build.py from the registered SymPy objects.\n"]
    for label, equation in register.items():
        fields = label, marks(record.get(label)), TEST, equation.latex()
        lines.append(r"\fpdefine" + "".join(f"{{{field}}}" for field in fields) + "\n")
    return "".join(lines)


def laws_tex(register: Mapping[str, Equation]) -> str:
    """The table of all laws: label, statement, kind; TeX looks the verdict up."""
    rows = ["% Written by paper/build.py from the register.\n"]
    for law in laws_in_order(register):
        rows.append(rf"\fplaw{{{law.replace('_', ' ')}}}" + "\n")
        rows += [
            rf"\fprow{{{label}}}{{{prose(equation.statement)}}}{{{equation.kind}}}" + "\n"
            for label, equation in register.items()
            if equation.law == law
        ]
    return "".join(rows)


def notation_tex(arguments: Iterable[Argument]) -> str:
    """The table of notation: the letter of each argument, its name in the code, what it is."""
    rows = ["% Written by paper/build.py from the arguments of all laws.\n"]
    for argument in arguments:
        letter, name = sp.latex(argument.symbol), argument.name.replace("_", r"\_")
        rows.append(rf"${letter}$&\texttt{{{name}}}&{prose(argument.meaning)}\\" + "\n")
    return "".join(rows)


def laws_in_order(register: Mapping[str, Equation]) -> list[str]:
    """The laws chapter by chapter, as the register has them."""
    return list(dict.fromkeys(equation.law for equation in register.values()))


def tally(register: Mapping[str, Equation], record: Mapping[str, Any]) -> dict[str, str]:
    """What the text says of the last verification: how many equations passed, how closely."""
    found = [record[label] for label in register if label in record]
    tight = [label for label, equation in register.items() if equation.accuracy <= 1e-12]
    errors = [record[label]["evaluated"].get("error") or 0.0 for label in tight if label in record]
    proofs = [verdict["proved"]["status"] for verdict in found]
    drawn = [v["confronted"] for v in found if v["confronted"]["z"] is not None]
    return {
        "equations": str(len(register)),
        "verified": str(sum(verdict["passed"] for verdict in found)),
        "proved": str(proofs.count("passed")),
        "checkedAtPoints": str(proofs.count("checked")),
        "conjectures": str(proofs.count("none")),
        "tight": str(len(tight)),
        "largestError": power_of_ten(max(errors, default=0.0)),
        "threshold": f"{agreement.THRESHOLD:.2f}",
        "stochastic": f"{sum(comparison['comparisons'] for comparison in drawn):,}",
        "largestZ": f"{max((comparison['z'] for comparison in drawn), default=0.0):.2f}",
        "nearMisses": str(sum(len(equation.near_misses) for equation in register.values())),
    }


def power_of_ten(number: float) -> str:
    """The power of ten that a small positive number is below, as LaTeX."""
    return rf"$10^{{{math.floor(math.log10(number)) + 1}}}$" if number > 0 else "$0$"


def constants(register: Mapping[str, Equation]) -> dict[str, str]:
    """Numbers that the text quotes from the equations themselves."""
    multiplier = register["families.cone"].rhs
    [beta] = multiplier.free_symbols
    root = mpmath.findroot(sp.lambdify(beta, multiplier - 1, "mpmath"), 3.5)
    return {"coneThreshold": f"{float(root):.2f}"}


def macros_tex(numbers: Mapping[str, str]) -> str:
    r"""Each number as a macro `\FP<name>`."""
    lines = ["% Written by paper/build.py from the figures' numbers.\n"]
    lines += [rf"\newcommand{{\FP{name}}}{{{value}}}" + "\n" for name, value in numbers.items()]
    return "".join(lines)


def source() -> str:
    r"""The text of the paper without its comments: `main.tex` and the sections it `\input`s."""
    text = MAIN.read_text(encoding="utf-8")
    for section in re.findall(r"\\input\{(\w+)\}", text):
        written = (press.PAPER / f"{section}.tex").read_text(encoding="utf-8")
        text = text.replace(rf"\input{{{section}}}", written)
    return re.sub(r"(?<!\\)%.*", "", text)


def printed() -> list[str]:
    """The figures that the text includes."""
    found = re.findall(r"\\includegraphics(?:\[[^]]*\])?\{generated/(\w+)\}", source())
    return sorted(set(found))


def collect(stems: Iterable[str]) -> dict[str, str]:
    """The numbers that the drawn figures left behind; no name may be given twice."""
    numbers: dict[str, str] = {}
    for stem in stems:
        for name, value in json.loads((press.GENERATED / f"{stem}.json").read_text()).items():
            if name in numbers:
                raise ValueError(f"{stem}: the number {name!r} is given by another figure already.")
            numbers[name] = value
    return numbers


def benchmarks_tex() -> str:
    """The table of the stored measurement; nothing is measured here."""
    folder = press.PAPER.parent / "tests" / "benchmarks"
    record = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return runpy.run_path(str(folder / "report.py"))["latex"](record)


def write_tex() -> None:
    """Write the TeX files of `generated/`."""
    register = equations()
    record = standing(register)
    numbers = {**tally(register, record), **constants(register), **collect(printed())}
    press.GENERATED.mkdir(exist_ok=True)
    for name, text in {
        "benchmarks.tex": benchmarks_tex(),
        "equations.tex": equations_tex(register, record),
        "laws.tex": laws_tex(register),
        "macros.tex": macros_tex(numbers),
        "notation.tex": notation_tex(notation.table()),
    }.items():
        (press.GENERATED / name).write_text(text, encoding="utf-8")


def typeset() -> Path:
    """Run latexmk on `main.tex`.

    Returns:
        The PDF, the same bytes for the same input.

    Raises:
        FileNotFoundError: latexmk is not installed; says what to install.
        RuntimeError: TeX stopped at an error, or something in the text is undefined.
    """
    if not shutil.which("latexmk"):
        raise FileNotFoundError(
            "the PDF needs latexmk; on Debian: apt-get install --no-install-recommends "
            + DEBIAN_PACKAGES
        )
    environment = {**os.environ, "SOURCE_DATE_EPOCH": BUILT_AT, "FORCE_SOURCE_DATE": "1"}
    environment["BIBINPUTS"] = f"{BIBLIOGRAPHY.parent}{os.pathsep}"
    command = ["latexmk", "-pdf", "-g", "-halt-on-error", "-interaction=nonstopmode", "-quiet"]
    command += ["-outdir=generated", MAIN.name]
    run = subprocess.run(command, cwd=press.PAPER, env=environment, capture_output=True, text=True)
    log_file = press.GENERATED / "main.log"
    log = log_file.read_text(errors="replace") if log_file.exists() else run.stdout + run.stderr
    if run.returncode:
        errors = [line for line in log.splitlines() if line.startswith("!")]
        raise RuntimeError(f"TeX stopped: {(errors or [run.stderr.strip() or 'see main.log'])[0]}")
    if undefined := re.findall(r"(?:Citation|Reference) [`'](.+?)' .*undefined", log):
        raise RuntimeError(f"the text refers to what does not exist: {', '.join(set(undefined))}")
    return Path(shutil.copyfile(press.GENERATED / "main.pdf", PDF))


def overfull(log: str) -> list[str]:
    """Lines of the page that run into the margin by more than a point."""
    wide = re.findall(r"Overfull \\hbox \((\d+\.\d+)pt too wide\) (.*)", log)
    return [f"{width} pt {place}" for width, place in wide if float(width) > 1]


def main(arguments: list[str] | None = None) -> int:
    """Build everything; return 1 if a figure's claim or the text fails."""
    parser = argparse.ArgumentParser(prog="python paper/build.py", description="Build the paper.")
    parser.add_argument("--no-figures", action="store_true", help="keep the figures drawn before")
    options = parser.parse_args(arguments)
    failures = 0
    for stem in [] if options.no_figures else press.stems():
        try:
            press.publish(stem)
            print(f"ok   paper/figures/{stem}.py", flush=True)
        except (AssertionError, FileNotFoundError, ValueError) as failure:
            print(f"FAIL paper/figures/{stem}.py: {failure}", flush=True)
            failures += 1
    if failures:
        return 1
    if missing := [s for s in printed() if not (press.GENERATED / f"{s}.json").exists()]:
        print(f"FAIL paper/main.tex: these figures are not drawn yet: {', '.join(missing)}")
        return 1
    write_tex()
    try:
        pdf = typeset()
    except FileNotFoundError as missing:
        print(f"skip paper/main.pdf: {missing}")
        return 0
    except RuntimeError as failure:
        print(f"FAIL paper/main.tex: {failure}")
        return 1
    print(f"ok   paper/{pdf.name}: {pdf.stat().st_size:,} bytes")
    for line in overfull((press.GENERATED / "main.log").read_text(errors="replace")):
        print(f"     too wide: {line}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
