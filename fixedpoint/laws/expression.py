"""Expressions over the outcomes: sums, vectors and roots, and their values to many digits.

Vectors are `sympy.IndexedBase` with outcomes counted from 1 to `NUM_OUTCOMES`, so that one
expression serves every number of outcomes: `total(sp.exp(theta[i]), i)` is the partition sum. An
expression with `OUTCOME` free stands for the whole vector.
"""

import itertools
from collections.abc import Callable, Mapping
from typing import Any, cast

import mpmath
import sympy as sp
from sympy.printing.latex import LatexPrinter

NUM_OUTCOMES = sp.Symbol("K", integer=True, positive=True)
OUTCOME = sp.Symbol("i", integer=True, positive=True)

Expression = Any
"""A SymPy expression. (SymPy's own annotations are too partial to check arithmetic with.)"""


def vector(name: str, **assumptions: Any) -> Expression:
    """A vector over the outcomes, e.g. the logits: `vector("theta", real=True)`."""
    return sp.IndexedBase(name, **assumptions)


def total(expression: Expression, index: Expression) -> Expression:
    """Sum an expression over all outcomes: Σ_{index=1..K}."""
    return sp.Sum(expression, (index, 1, NUM_OUTCOMES))


def at_outcomes(expression: Expression, num_outcomes: int) -> Expression:
    """Write an expression out for a given number of outcomes, with θ[1], θ[2], … as symbols."""

    def terms(function: Any, *limits: Any) -> Any:
        index, low, high = limits[0]
        if len(limits) > 1 or not (low.is_Integer and high.is_Integer):
            return sp.Sum(function, *limits)
        # SymPy would first look for partial fractions.
        return sp.Add(*(function.subs(index, number) for number in range(low, high + 1)))

    return sp.sympify(expression).subs(NUM_OUTCOMES, num_outcomes).replace(sp.Sum, terms).doit()


class Root(sp.Expr):
    """The root of a monotone expression between two ends, where no formula gives it.

    `Root(sp.Lambda(x, expression), low, high)` is the x between `low` and `high` at which the
    expression vanishes; it changes its sign there once. It may hold sums over the outcomes.
    """

    def _mpmathcode(self, printer: Any) -> str:
        function, low, high = cast(Expression, self.args)
        (variable,), expression = function.args
        ends = f"{printer._print(low)}, {printer._print(high)}"
        return f"root(lambda {printer._print(variable)}: {printer._print(expression)}, {ends})"

    def _latex(self, printer: Any) -> str:
        (variable,), expression = cast(Expression, self.args[0]).args
        x, equation = printer._print(variable), printer._print(expression)
        return rf"\operatorname{{root}}_{{{x}}}\left[{equation} = 0\right]"


def _root(function: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """The root between two ends, to the working precision; NaN where the sign does not change."""
    ends = function(low), function(high)
    for end, value in zip((low, high), ends, strict=True):
        if value == 0:
            return end
    if mpmath.sign(ends[0]) == mpmath.sign(ends[1]):
        return mpmath.nan
    found = mpmath.findroot(function, (low, high), solver="anderson", maxsteps=60, verify=False)
    # On a wide bracket it may stop short: the sign must change beside what it has found.
    apart = abs(found) * mpmath.mpf(10) ** (12 - mpmath.mp.dps)
    if function(found - apart) * function(found + apart) <= 0:
        return found
    low, high = mpmath.mpmathify(low), mpmath.mpmathify(high)
    for _ in range(40 * mpmath.mp.dps):
        middle = (low + high) / 2
        below = mpmath.sign(function(middle)) == mpmath.sign(ends[0])
        low, high = (middle, high) if below else (low, middle)
        if abs(high - low) <= abs(middle) * mpmath.mpf(10) ** (3 - mpmath.mp.dps):
            break
    return (low + high) / 2


MODULES = [{"root": _root}, "mpmath"]
"""What an expression is evaluated with."""


def evaluate(expression: Expression, values: Mapping[Any, Any], digits: int = 50) -> Any:
    """Evaluate an expression to many digits.

    Args:
        expression: a SymPy expression; it may have sums over the outcomes, roots, products. With
            `OUTCOME` free it stands for a vector.
        values: a number for each of its symbols, a list of numbers for a vector; floats are taken
            at their exact value.
        digits: decimal digits of the result.

    Returns:
        An `mpmath.mpf`, or a list of them over the outcomes.
    """
    with mpmath.workdps(digits + 15):
        known: dict[Any, Any] = {}
        for symbol, value in values.items():
            if isinstance(symbol, sp.IndexedBase):
                # Outcomes are counted from 1: entry 0 is never read.
                known[symbol] = [mpmath.nan, *map(_exact, value)]
                # A vector over something else than the outcomes says so by its shape.
                length = symbol.shape[0] if symbol.shape else NUM_OUTCOMES
                known.setdefault(length, len(known[symbol]) - 1)
            else:
                known[symbol] = _exact(value)
        expression = expression.replace(sp.Product, _as_sum)
        expression = _collapse_sums(_collapse_roots(expression, known), known)
        if OUTCOME in expression.free_symbols:
            function = sp.lambdify([OUTCOME, *known], expression, MODULES)
            outcomes = range(1, known[NUM_OUTCOMES] + 1)
            return [function(k, *known.values()) for k in outcomes]
        return sp.lambdify(list(known), expression, MODULES)(*known.values())


class _Whole(int):
    """An integer that counts like any other, but whose quotients have all digits."""

    def __add__(self, other: Any) -> Any:
        return _whole(int(self) + other)

    def __sub__(self, other: Any) -> Any:
        return _whole(int(self) - other)

    def __mul__(self, other: Any) -> Any:
        return _whole(int(self) * other)

    def __neg__(self) -> Any:
        return _Whole(-int(self))

    def __rsub__(self, other: Any) -> Any:
        return _whole(other - int(self))

    def __truediv__(self, other: Any) -> Any:
        return mpmath.mpf(int(self)) / other

    def __rtruediv__(self, other: Any) -> Any:
        return mpmath.mpmathify(other) / int(self)

    def __pow__(self, other: Any, modulus: Any = None) -> Any:
        negative = isinstance(other, int) and other < 0
        return mpmath.mpf(int(self)) ** other if negative else _whole(int(self) ** other)

    __radd__, __rmul__ = __add__, __mul__


def _whole(number: Any) -> Any:
    """An integer as one of those; anything else as it is."""
    return _Whole(number) if isinstance(number, int) else number


def _exact(value: Any) -> Any:
    """A Python or NumPy number as an integer or an mpf of exactly the same value."""
    number = value.item() if hasattr(value, "item") else value
    if isinstance(number, sp.Rational):
        number = int(number) if number.is_Integer else mpmath.mpf(int(number.p)) / int(number.q)
    return _whole(number) if isinstance(number, int) else mpmath.mpmathify(number)


def _as_sum(factor: Expression, limits: Expression) -> Expression:
    """A product as the exponential of a sum of logarithms, which `lambdify` can print."""
    return sp.exp(sp.Sum(sp.log(factor), limits))


def _collapse_sums(expression: Expression, values: dict[Any, Any]) -> Expression:
    """Replace each sum that stands on its own by a symbol that `values` maps to its number.

    Sums are computed once each, innermost first; one that depends on an outer index (or on
    `OUTCOME`) is left for its surroundings to evaluate.
    """
    while True:
        sums: set[Expression] = expression.atoms(sp.Sum)
        bound = _bound_symbols(expression)
        closed = [s for s in sums if not s.free_symbols & bound]
        if not closed:
            return expression
        innermost = [s for s in closed if not any(s is not t and s.has(t) for t in closed)]
        numbers = {}
        for s in innermost:
            indices = [limit[0] for limit in s.limits]
            ranges = [_range(low, high, values) for _, low, high in s.limits]
            function = sp.lambdify([*indices, *values], s.function, MODULES)
            numbers[s] = sp.Dummy(real=True)
            terms = (function(*k, *values.values()) for k in itertools.product(*ranges))
            values[numbers[s]] = mpmath.fsum(terms)
        expression = expression.xreplace(numbers)


def _collapse_roots(expression: Expression, values: dict[Any, Any]) -> Expression:
    """Replace each root that stands on its own by a symbol, as `_collapse_sums` does sums."""
    numbers = {}
    for found in expression.atoms(Root):
        if not found.free_symbols & _bound_symbols(expression):
            numbers[found] = sp.Dummy(real=True)
            plain = _collapse_sums(found, values)
            value = sp.lambdify(list(values), plain, MODULES)(*values.values())
            values[numbers[found]] = value
    return expression.xreplace(numbers)


def _bound_symbols(expression: Expression) -> set[Any]:
    """What has no value yet: the index of a sum, a variable of integration, the outcome."""
    scopes = expression.atoms(sp.Sum, sp.Integral, sp.Lambda)
    return {symbol for scope in scopes for symbol in scope.bound_symbols} | {OUTCOME}


def _range(low: Any, high: Any, values: Mapping[Any, Any]) -> range:
    """The indices from `low` to `high`, which may depend on whole-number arguments."""
    whole = {symbol: value for symbol, value in values.items() if isinstance(value, int)}
    first, last = (int(sp.sympify(end).subs(whole)) for end in (low, high))
    return range(first, last + 1)


class Printer(LatexPrinter):
    """SymPy's LaTeX, but fractions in an exponent of e stand on one line."""

    def _print_ExpBase(self, expr: Expression, exp: str | None = None) -> str:  # noqa: N802
        settings: dict[str, Any] = self._settings
        folded = settings["fold_short_frac"]
        settings["fold_short_frac"] = True
        try:
            return super()._print_ExpBase(expr, exp)
        finally:
            settings["fold_short_frac"] = folded

    def _print_beta(self, expr: Expression, exp: str | None = None) -> str:
        # SymPy's own leaves the arguments as they look in Python.
        arguments = ", ".join(self._print(argument) for argument in expr.args)
        return self._do_exponent(rf"\operatorname{{B}}\left({arguments}\right)", exp)
