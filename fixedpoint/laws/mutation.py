"""Wrong answers made by machine: what a proof and an experiment must be able to tell apart.

Near misses are the mistakes that people name. A mutant is the answer with one argument replaced
(T → 1/T, n → n + 1, a → 1 − a, z → −z), one term dropped, or one number changed. One that is the
same function where points are drawn is no mutant and is left out, and so is one that is complex or
has no value wherever it is another.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import mpmath
import sympy as sp

from fixedpoint.laws.equation import NUM_OUTCOMES, Equation

DIGITS = 30
"""Digits to which an answer and its mutant are compared."""

CLOSE = mpmath.mpf(10) ** -9
"""Relative difference up to which they count as the same function."""


def mutants(equation: Equation, points: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The answer's mutants that are other functions.

    Args:
        equation: a registered equation.
        points: arguments at which answer and mutant are compared.

    Returns:
        The mutants, by what was changed.
    """
    right = [_numbers(equation.evaluate(point, digits=DIGITS)) for point in points]
    found: dict[str, Any] = {}
    for name, mutant in _changed(equation):
        if mutant == equation.rhs or mutant in found.values():
            continue
        if any(
            _differ(one, _evaluated(equation, point, mutant), equation.up_to_shift)
            for one, point in zip(right, points, strict=True)
        ):
            found[name] = mutant
    return found


def _changed(equation: Equation) -> Iterator[tuple[str, Any]]:
    """Every change, whether or not it makes another function."""
    answer = sp.sympify(equation.rhs)
    for name, symbol in equation.symbols.items():
        kind, low, _ = equation.domain.get(name, ("vector", -1, 1))
        if isinstance(symbol, sp.IndexedBase):
            yield f"−{symbol} for {symbol}", _for_vector(answer, symbol)
        elif kind == "integer" or symbol.is_integer:
            yield f"{symbol} + 1 for {symbol}", answer.subs(symbol, symbol + 1)
        elif low >= 0:
            high = equation.domain[name][2] if name in equation.domain else sp.oo
            if high <= 1:
                yield f"1 − {symbol} for {symbol}", answer.subs(symbol, 1 - symbol)
            else:
                yield f"1/{symbol} for {symbol}", answer.subs(symbol, 1 / symbol)
            yield f"2{symbol} for {symbol}", answer.subs(symbol, 2 * symbol)
        else:
            yield f"−{symbol} for {symbol}", answer.subs(symbol, -symbol)
            yield f"2{symbol} for {symbol}", answer.subs(symbol, 2 * symbol)
    yield from _terms(answer)
    yield "twice the answer", 2 * answer
    if NUM_OUTCOMES in answer.free_symbols and NUM_OUTCOMES not in equation.symbols.values():
        # A sum over the outcomes keeps their number while K elsewhere is changed.
        bare = sp.Dummy("K", integer=True, positive=True)
        sums = {node: node.subs(NUM_OUTCOMES, bare) for node in answer.atoms(sp.Sum, sp.Product)}
        changed = answer.xreplace(sums).subs(NUM_OUTCOMES, NUM_OUTCOMES + 1)
        yield "K + 1 for K", changed.subs(bare, NUM_OUTCOMES)


def _for_vector(answer: Any, base: Any) -> Any:
    entries = [entry for entry in answer.atoms(sp.Indexed) if entry.base == base]
    return answer.xreplace({entry: -entry for entry in entries})


def _terms(answer: Any) -> Iterator[tuple[str, Any]]:
    """Each term of each sum dropped, each whole factor or exponent changed, at most a few."""
    seen = 0
    for node in sp.postorder_traversal(answer):
        if seen >= 8:
            return
        if isinstance(node, sp.Add) and len(node.args) > 1:
            for term in node.args[:4]:
                seen += 1
                yield f"without {term} in {node}", answer.xreplace({node: node - term})
        elif isinstance(node, sp.Mul):
            factor, rest = node.as_coeff_Mul()
            if factor not in (1, -1):
                seen += 1
                yield f"without the factor {factor} of {rest}", answer.xreplace({node: rest})


def _evaluated(equation: Equation, point: Mapping[str, Any], mutant: Any) -> list[Any]:
    try:
        return _numbers(equation.evaluate(point, digits=DIGITS, answer=mutant))
    except (ArithmeticError, LookupError, NameError, TypeError, ValueError):
        return []


def _numbers(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def _differ(right: list[Any], wrong: list[Any], up_to_shift: bool) -> bool:
    """Whether two values differ, both being real numbers wherever the right one is.

    What is complex, infinite or without a value there is no answer that anybody could give.
    """
    if len(right) != len(wrong):
        return False
    pairs = [(a, b) for a, b in zip(right, map(_real, wrong), strict=True) if mpmath.isfinite(a)]
    if not pairs or not all(mpmath.isfinite(b) for _, b in pairs):
        return False
    gaps = [b - mpmath.re(a) for a, b in pairs]
    if up_to_shift:
        middle = mpmath.fsum(gaps) / len(gaps)
        gaps = [gap - middle for gap in gaps]
    scale = max(abs(a) for a, _ in pairs)
    return max(map(abs, gaps)) > CLOSE * max(scale, mpmath.mpf(10) ** -300)


def _real(value: Any) -> Any:
    """A number without the trace of an imaginary part that a root may leave; else NaN."""
    try:
        number = mpmath.mpmathify(value)
    except (TypeError, ValueError):
        return mpmath.nan
    traced = abs(mpmath.im(number)) <= abs(mpmath.re(number)) * mpmath.mpf(10) ** -20
    return mpmath.re(number) if traced else mpmath.nan
