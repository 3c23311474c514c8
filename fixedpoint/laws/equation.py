"""An equation of the theory, and the register of all of them.

An `Equation` is a claim that three things must agree on: its proof (SymPy), its JAX solution and
the simulated process. It is written once, as a SymPy object; the paper prints that very object.

A notebook shows an equation, and each step of its proof, as mathematics. The expressions that they
are made of are described in `laws/expression.py`.
"""

import importlib
import inspect
import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import mpmath
import sympy as sp

from fixedpoint.laws.expression import MODULES, Expression, Printer
from fixedpoint.laws.expression import NUM_OUTCOMES as NUM_OUTCOMES
from fixedpoint.laws.expression import OUTCOME as OUTCOME
from fixedpoint.laws.expression import Root as Root
from fixedpoint.laws.expression import at_outcomes as at_outcomes
from fixedpoint.laws.expression import evaluate as evaluate
from fixedpoint.laws.expression import total as total
from fixedpoint.laws.expression import vector as vector

Kind = Literal["exact", "asymptotic", "bound", "conjecture"]

LONGEST_SHOWN = 600
"""Characters of LaTeX up to which a notebook shows the residual of a step."""


@dataclass(frozen=True, repr=False)
class Step:
    """One step of a proof: a residual, formed from the definitions, that must vanish.

    Attributes:
        claim: what the step shows, in words.
        residual: a SymPy expression, or several, each of which must reduce to 0.
        method: "symbolic" (SymPy reduces the residual to 0) or "points" (SymPy cannot; the residual
            is checked to 50 digits: at 30 random exact-rational points, or, if it is made of
            numbers alone, as it stands; the verdict says which).
        reduce: how a symbolic residual is brought to 0; `sympy.simplify` unless said otherwise.
        domain: for "points": the open interval each free symbol is drawn from, default (1/10, 3).
        sizes: the numbers for which alone the step was made, by letter, e.g. {"K": 3, "n": (2, 4)};
            what is not named stays a symbol in it.
    """

    claim: str
    residual: Any
    method: Literal["symbolic", "points"] = "symbolic"
    reduce: Callable[[Expression], Expression] = sp.simplify
    domain: Mapping[Any, tuple[Any, Any]] = field(default_factory=dict)
    sizes: Mapping[str, Any] = field(default_factory=dict)

    def remainders(self) -> list[Any]:
        """What is left of each residual: zeros where the step closes."""
        reduce = self.reduce if self.method == "symbolic" else self._at_points
        return [0 if part.is_zero else reduce(part) for part in self._parts()]

    def _parts(self) -> list[Expression]:
        several = isinstance(self.residual, (list, tuple, sp.Matrix))
        return [sp.sympify(part) for part in (self.residual if several else [self.residual])]

    def closes(self) -> bool:
        """Whether there is a residual, and every one reduces to 0."""
        remainders = self.remainders()
        return bool(remainders) and all(remainder == 0 for remainder in remainders)

    @property
    def how(self) -> str:
        """How it is checked where SymPy does not close it; empty where it does."""
        if self.method == "symbolic":
            return ""
        parts = self._parts()
        if any(_unknowns(part) for part in parts):
            return "at 30 rational points"
        return f"at {len(parts)} chosen numbers"

    def refuted(self, known: "Step") -> bool:
        """Whether it has a value other than 0 at a point where a step that closes vanishes.

        What differs from 0 in a number need not be simplified, which may take minutes.
        """
        for part, right in zip(self._parts(), known._parts(), strict=False):
            names = sorted({*_unknowns(part), *_unknowns(right)}, key=str)
            point = [_sample(place, name) for place, name in enumerate(names)]
            here, there = (_value(expression, names, point) for expression in (part, right))
            if None not in (here, there) and abs(there) < 1e-40 and abs(here) > 1e-20:
                return True
        return False

    def __repr__(self) -> str:
        """Say the claim, not the whole residual."""
        return f"<Step {self.claim!r}>"

    def _repr_markdown_(self) -> str:
        """What a notebook shows: the claim, whether it closes, and what must vanish."""
        how = f" ({self.how})" if self.how else ""
        text = f"{'✓' if self.closes() else '✗'} {markdown(self.claim)}{how}"
        latex = sp.latex(next((part for part in self._parts() if part != 0), sp.S.Zero))
        if latex == "0" or len(latex) > LONGEST_SHOWN:
            return text
        return f"{text}\n\n$${latex} = 0$$"

    def _at_points(self, part: Expression, num_points: int = 30, digits: int = 50) -> Any:
        """Return 0 if the residual vanishes at random rational points, else its largest value.

        NaN at any of them is NaN.
        """
        if part in (sp.nan, sp.zoo):
            return sp.nan
        rng = random.Random(self.claim)
        names = _unknowns(part)
        largest = mpmath.mpf(0)
        function = sp.lambdify(names, part, "mpmath")
        with mpmath.workdps(digits + 20):
            for _ in range(num_points):
                point = [
                    _rational(rng, *self.domain.get(s, (sp.Rational(1, 10), 3))) for s in names
                ]
                value = abs(mpmath.mpmathify(function(*point)))
                if mpmath.isnan(value):  # which `max` would pass over
                    return sp.nan
                largest = max(largest, value)
            return 0 if largest < mpmath.mpf(10) ** -digits else sp.Float(largest, 5)


def markdown(text: str) -> str:
    """A plain sentence as Markdown: what would be taken for markup is escaped."""
    return "".join(f"\\{sign}" if sign in "\\`*_<|$[]~" else sign for sign in text)


def _unknowns(expression: Expression) -> list[Any]:
    """The symbols and the entries of vectors that an expression has; not the vectors' names."""
    entries = expression.atoms(sp.Indexed)
    names = {name for entry in entries for name in (entry.base, entry.base.label)}
    return sorted(entries | (expression.free_symbols - names), key=str)


def _sample(place: int, symbol: Any) -> Any:
    """A number for a symbol, of the kind that it assumes, and unequal to those in other places."""
    if symbol.is_integer:
        return place + 2
    return mpmath.mpf(2 * place + 7) / (5 * place + 23)


def _value(expression: Expression, names: Sequence[Any], point: Sequence[Any]) -> Any:
    """The value at a point to 60 digits; None where it has none."""
    with mpmath.workdps(60):
        try:
            value = mpmath.mpmathify(sp.lambdify(names, expression, MODULES)(*point))
        except Exception:  # SymPy and mpmath raise a dozen kinds
            return None
        return value if mpmath.isfinite(value) else None


def _rational(rng: random.Random, low: Any, high: Any) -> Any:
    """A random rational number between two others, to the working precision."""
    span: Expression = sp.Rational(high) - sp.Rational(low)
    value: Expression = sp.Rational(low) + span * sp.Rational(rng.randint(1, 9972), 9973)
    return mpmath.mpf(value.p) / value.q


@dataclass(frozen=True)
class Edge:
    """An argument point at the edge of a law's range, where the expression may only have a limit.

    Attributes:
        arguments: keyword arguments of the solution.
        expected: what it must return there; `None` lets the expression itself be evaluated.
    """

    arguments: Mapping[str, Any]
    expected: Any = None


@dataclass(frozen=True, repr=False)
class Equation:
    """A claim of the theory under one label.

    Attributes:
        label: `<law>.<quantity>`; names the result in code, tests, notebooks and paper.
        kind: "exact", "asymptotic", "bound" or "conjecture"; printed wherever the verdict is.
        statement: the claim in one plain sentence.
        lhs: what is computed (SymPy; usually a named function).
        rhs: its value (SymPy). With `OUTCOME` free it stands for a vector over the outcomes.
        symbols: the solution's keyword arguments and their SymPy symbols (`IndexedBase` = vector).
        assumes: the conditions under which it holds.
        source: where it comes from: an article with its equation number, or "derived here".
        near_misses: plausible wrong right-hand sides; verification must reject every one.
        proof: returns the steps of the proof, given the answer that is to be proved (or, if it
            takes none, of the right-hand side as it stands); `None` only for a conjecture.
        domain: per argument, how the points at which the solution is compared are drawn:
            `("real", low, high)`, `("integer", low, high)` or `("vector", low, high)`.
        edges: further points of comparison: limits, ties, lost outcomes, many outcomes.
        loop: the loop that it is about, in the objects of `fixedpoint.symbolic`.
        observe: what is read off the model: the name of a function of `fixedpoint.simplex`, or of
            `fixedpoint.symbolic`; None if the claim is about something else than a model's number.
        given: symbols of the loop that the solution does not depend on, by name.
        constant: arguments that take one value in all experiments, and why they must.
        relation: how the process relates to the right-hand side: "=", "<=" or ">=".
        up_to_shift: whether both sides are logits, defined up to a common constant.
        accuracy: relative accuracy of the solution in float64 (largest error over largest entry).
        cites: the articles that `source` speaks of, by their keys in `laws/references.bib`.
    """

    label: str
    kind: Kind
    statement: str
    lhs: Any
    rhs: Any
    symbols: Mapping[str, Any]
    assumes: str
    source: str
    near_misses: Mapping[str, Any]
    proof: Callable[..., Sequence[Step]] | None = None
    domain: Mapping[str, tuple[str, float, float]] = field(default_factory=dict)
    edges: Sequence[Edge] = ()
    relation: Literal["=", "<=", ">="] = "="
    up_to_shift: bool = False
    accuracy: float = 1e-12
    cites: tuple[str, ...] = ()
    loop: Any = None
    observe: str | None = None
    given: Mapping[str, Any] = field(default_factory=dict)
    constant: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse an equation that could not be verified."""
        if self.proof is None and self.kind != "conjecture":
            raise ValueError(f"`proof` of {self.label} is missing; only a conjecture has none.")
        if not self.near_misses:
            raise ValueError(f"`near_misses` of {self.label} is empty; name a plausible mistake.")

    @property
    def law(self) -> str:
        """The law it belongs to: the part of the label before the dot."""
        return self.label.partition(".")[0]

    @property
    def name(self) -> str:
        """The name of its solution and of its process: the part of the label after the dot."""
        return self.label.partition(".")[2]

    @property
    def tied(self) -> bool:
        """Whether the proof takes the answer, so that it cannot pass without looking at it."""
        asked = inspect.signature(self.proof).parameters if self.proof else {}
        return any(one.default is one.empty for one in asked.values())

    def steps(self, answer: Any = None) -> list[Step]:
        """The steps of the proof, of the right-hand side or of another answer.

        Args:
            answer: a SymPy expression in place of the right-hand side.

        Raises:
            ValueError: another answer is given, but the proof takes none.
        """
        if self.proof is None:
            return []
        if self.tied:
            return list(self.proof(self.rhs if answer is None else sp.sympify(answer)))
        if answer is not None:
            raise ValueError(f"`answer` cannot be given: the proof of {self.label} takes none.")
        return list(self.proof())

    def latex(self) -> str:
        """The equation as LaTeX, from the SymPy objects themselves."""
        relation = {"=": "=", "<=": r"\le", ">=": r"\ge"}[self.relation]
        if self.kind == "asymptotic" and self.relation == "=":
            relation = r"\simeq"
        printer = Printer()
        return f"{printer.doprint(self.lhs)} {relation} {printer.doprint(self.rhs)}"

    def __repr__(self) -> str:
        """Say the label, not every symbol."""
        return f"<Equation {self.label} ({self.kind})>"

    def _repr_markdown_(self) -> str:
        """What a notebook shows: label, kind, statement, the equation, its conditions."""
        return (
            f"`{self.label}` ({self.kind}): {markdown(self.statement)}\n\n$${self.latex()}$$\n\n"
            f"*Assumes:* {markdown(self.assumes)} *Source:* {markdown(self.source)}."
        )

    def evaluate(
        self,
        arguments: Mapping[str, Any],
        near_miss: str | None = None,
        digits: int = 50,
        answer: Any = None,
    ) -> Any:
        """Evaluate the right-hand side, one of its near misses or another answer, to many digits.

        Args:
            arguments: the solution's keyword arguments; floats are taken at their exact value.
            near_miss: which wrong right-hand side to evaluate instead.
            digits: decimal digits of the result.
            answer: a SymPy expression to evaluate instead.

        Returns:
            An `mpmath.mpf`, or a list of them over the outcomes.
        """
        if answer is None:
            answer = self.near_misses[near_miss] if near_miss else self.rhs
        expression = sp.sympify(answer)
        values = {symbol: arguments[name] for name, symbol in self.symbols.items()}
        return evaluate(expression, values, digits)


# --- Claims: an equation, written on its proof ----------------------------------------------------


@dataclass(frozen=True)
class Argument:
    """An argument of the theory, said once for all laws (`laws/notation.py`).

    Attributes:
        name: the keyword by which solutions take it and experiments give it.
        symbol: how proofs and the paper write it.
        meaning: what it is, its unit and its range, as the table of notation says it.
        kind: how points are drawn: "real", "integer" or "vector".
        domain: what they are drawn from; a claim narrows it by a call, `num_samples(2, 40)`.
    """

    name: str
    symbol: Any
    meaning: str
    kind: Literal["real", "integer", "vector"] = "real"
    domain: tuple[float, float] | None = None

    def __call__(
        self, low: float, high: float, kind: Literal["real", "integer", "vector"] | None = None
    ) -> "Argument":
        """The same argument, drawn from `low` to `high`, as another kind of number if need be."""
        return replace(self, domain=(low, high), kind=kind or self.kind)


LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
LOST = [0.7, float("-inf"), -0.3]
"""A model that has lost an outcome."""
FIXED = [float("-inf"), 0.3]
"""A model with one outcome left."""


def at(*values: Any, gives: Any = None) -> tuple[tuple[Any, ...], Any]:
    """A row of a claim's table of edges: values in the order of `of`, and what is expected."""
    return values, gives


def claim(
    statement: str,
    answer: Any,
    *,
    lhs: Any,
    of: Sequence[Argument],
    near_misses: Mapping[str, Any],
    loop: Any = None,
    observe: str | None = None,
    kind: Kind = "exact",
    edges: Sequence[Edge | tuple[tuple[Any, ...], Any]] = (),
    assumes: str = "",
    source: str = "derived here",
    **more: Any,
) -> Callable[[Callable[..., Sequence[Step]]], Equation]:
    """Register the claim that the decorated function proves, under the function's name.

    The function takes the answer and returns the steps of its proof. That of a conjecture returns
    none; its docstring says what speaks for it.

    Args:
        statement: the claim in one plain sentence.
        answer: its value (SymPy); see `Equation.rhs`.
        lhs: what is computed, as it is printed.
        of: the arguments: the head of the table whose rows are the edges.
        near_misses: plausible wrong answers.
        loop: the loop that the claim is about.
        observe: what is read off the model.
        kind: "exact" unless it is said otherwise.
        edges: further points of comparison, `at(...)` each.
        assumes: the conditions that the loop does not say.
        source: an article with its equation number, or "derived here".
        more: further fields of `Equation`.
    """
    names = [argument.name for argument in of]
    drawn = {a.name: (a.kind, *a.domain) for a in of if a.domain is not None}
    if drawn and len(drawn) < len(names):
        raise ValueError(
            f"`of` must give a range for all arguments or for none; got {sorted(drawn)} of {names}."
        )

    def edge(row: Edge | tuple[tuple[Any, ...], Any]) -> Edge:
        if isinstance(row, Edge):
            return row
        values, gives = row
        return Edge(dict(zip(names, values, strict=True)), gives)

    def registered(proof: Callable[..., Sequence[Step]]) -> Equation:
        conditions = [text for text in (loop.words() if loop else "", assumes) if text]
        return register(
            Equation(
                label=f"{proof.__module__.split('.')[-2]}.{proof.__name__}",
                kind=kind,
                statement=statement,
                lhs=sp.Symbol(lhs) if isinstance(lhs, str) else lhs,
                rhs=answer,
                symbols={argument.name: argument.symbol for argument in of},
                assumes=" ".join(conditions),
                source=source,
                near_misses=near_misses,
                proof=None if kind == "conjecture" else proof,
                domain=drawn,
                edges=tuple(map(edge, edges)),
                loop=loop,
                observe=observe,
                **more,
            )
        )

    return registered


REGISTER: dict[str, Equation] = {}


def register(equation: Equation) -> Equation:
    """Enter an equation in the register and return it."""
    if equation.label in REGISTER:
        raise ValueError(f"`label` must be unique in the register; got {equation.label!r} twice.")
    REGISTER[equation.label] = equation
    return equation


def equations() -> dict[str, Equation]:
    """All registered equations by label, chapter by chapter, in the order of the derivations."""
    chapters = importlib.import_module("fixedpoint.laws").CHAPTERS
    laws = list(itertools.chain(*chapters.values()))
    for law in laws:
        importlib.import_module(f"fixedpoint.laws.{law}.derivation")
    return dict(sorted(REGISTER.items(), key=lambda entry: laws.index(entry[1].law)))
