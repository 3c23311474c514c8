"""One claim on one page: what `fixedpoint show LABEL` prints."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator

import jax
import sympy as sp

from fixedpoint import confront
from fixedpoint.laws import notation
from fixedpoint.laws.equation import Equation, equations

WIDTH = 100
"""Columns that a page keeps within."""


def page(label: str) -> str:
    """The claim, its loop and arguments, its proof, solution and experiments, and the verdict.

    The three comparisons are made for it, in float64.

    Args:
        label: a registered label, e.g. "resampling.heterozygosity".

    Returns:
        The page as plain text of at most 100 columns, but for formulas and code that are wider.

    Raises:
        KeyError: If no equation has that label.
    """
    equation = equations()[label]
    verdict = confront.verify(label)
    with jax.enable_x64(True):
        experiments = list(_experiments(equation))
    parts = {
        "claim": [equation.statement, "", *_formula(equation)],
        "loop": [equation.assumes],
        "arguments": list(_arguments(equation)),
        "near misses": [f"“{name}”" for name in equation.near_misses],
        "proof": list(_proof(equation)),
        "solution": _code(equation),
        "experiments": experiments,
        "verdict": str(verdict).splitlines(),
        "source": [
            equation.source,
            *([f"cites {', '.join(equation.cites)}"] * bool(equation.cites)),
        ],
    }
    lines = [f"{label} ({equation.kind})", "─" * WIDTH]
    for title, text in parts.items():
        lines += ["", title, *(_indented(line) for line in text)]
    return "\n".join(lines)


def _indented(line: str) -> str:
    """A sentence broken at the page's width; what is laid out already (code, formulas) as it is."""
    if len(line) <= WIDTH - 4 or line.startswith(" "):
        return f"    {line}".rstrip()
    return textwrap.fill(line, WIDTH, initial_indent="    ", subsequent_indent="      ")


def _formula(equation: Equation) -> list[str]:
    relation = {"=": "=", "<=": "≤", ">=": "≥"}[equation.relation]
    left = _left(equation.lhs)
    right = sp.pretty(equation.rhs, use_unicode=True, wrap_line=False).replace("theta[", "θ[")
    if "\n" not in left + right:
        return [f"{left} {relation} {right}"]
    return [f"{left.strip()} {relation}", "", *(f" {line}" for line in right.splitlines())]


def _left(lhs: sp.Expr) -> str:
    """What is computed; of a symbol that is written in TeX, as TeX has it."""
    if isinstance(lhs, sp.Symbol) and "\\" in lhs.name:
        return re.sub(r"^\{(.*)\}$", r"\1", lhs.name)
    return sp.pretty(lhs, use_unicode=True, wrap_line=False)


def _arguments(equation: Equation) -> Iterator[str]:
    known = {argument.name: argument for argument in notation.table()}
    width = max(map(len, equation.symbols), default=0)
    for name, symbol in equation.symbols.items():
        letter = sp.pretty(sp.Symbol(str(symbol)), use_unicode=True)
        meaning = known[name].meaning if name in known else ""
        drawn = equation.domain.get(name)
        between = f"; drawn from {drawn[1]:g} to {drawn[2]:g}" if drawn else ""
        yield f"{name:<{width}}  {letter}: {meaning}{between}"


def _proof(equation: Equation) -> Iterator[str]:
    if equation.proof is None:
        yield "None is known."
        return
    if equation.proof.__doc__:
        yield equation.proof.__doc__.strip()
    for step in equation.steps():
        sizes = "; ".join(f"{letter} = {numbers}" for letter, numbers in step.sizes.items())
        how = f" ({step.how})" if step.how else ""
        sign = "✓" if step.closes() else "✗"
        yield f"{sign} {step.claim}{f'  ({sizes})' if sizes else ''}{how}"


def _code(equation: Equation) -> list[str]:
    """The solution's source without its docstring, which says what stands on this page."""
    source = textwrap.dedent(inspect.getsource(confront.implementation(equation, "solution")))
    lines = source.splitlines()
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.FunctionDef)
    first = body.body[0]
    if ast.get_docstring(body) and first.end_lineno is not None:
        del lines[first.lineno - 1 : first.end_lineno]
    return [f" {line}" for line in lines]


def _experiments(equation: Equation) -> Iterator[str]:
    for observation in confront.observed(equation):
        exact = observation.standard_error is None
        yield f"{observation.what} ({'error known' if exact else 'predicted standard error'})"
