"""The steps of a proof, made from its answer: a wrong answer makes steps that do not close."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any, cast

import mpmath
import sympy as sp

from fixedpoint.laws.equation import OUTCOME, Root, Step, at_outcomes, evaluate
from fixedpoint.symbolic.distribution import Quantity, Vector, logits, shares
from fixedpoint.symbolic.generation import Loop, mean


def written_out(answer: Any, p: Vector, model_symbol: Any = None) -> Any:
    """An answer for the model p: its vector θ over the outcomes becomes log p.

    Args:
        answer: an expression with sums over `NUM_OUTCOMES`; with `OUTCOME` free, a vector.
        p: the model's probabilities.
        model_symbol: the vector that stands for the model's logits; `theta` by default.

    Returns:
        The expression, or the list of it over the outcomes.
    """
    base: Any = sp.IndexedBase("theta", real=True) if model_symbol is None else model_symbol
    expression = sp.sympify(answer)
    if OUTCOME in expression.free_symbols:
        return [
            written_out(expression.subs(OUTCOME, index + 1), p, base) for index in range(len(p))
        ]
    values = {base[index + 1]: value for index, value in enumerate(logits(p))}
    return at_outcomes(expression, len(p)).subs(values, simultaneous=True)


def by_generations(
    loop: Loop,
    observe: Quantity,
    answer: Any,
    *,
    generation: Any,
    outcomes: Sequence[int] = (2, 3),
    reduce: Callable[[Any], Any] = sp.simplify,
    at: Callable[[Any, Vector], Any] = written_out,
) -> list[Step]:
    """Steps that close if the answer is the mean of what is observed, at every generation.

    An induction: u(0, p) = observe(p), and u(t + 1, p) = E u(t, p'), p' one generation of the loop
    from p. Backwards in time the answer itself is averaged, never a second formula. It covers every
    generation, and every number of samples where the loop has a symbol for it.

    Args:
        loop: the claim's loop.
        observe: what is read off the model.
        answer: the claimed mean, an expression of the logits `theta` of the first model.
        generation: the symbol of the generation.
        outcomes: for which numbers of outcomes the steps are made.
        reduce: how a residual is brought to 0.
        at: how the answer is written for a model; see `written_out`.
    """
    steps = []
    for size in outcomes:
        p = shares(size)
        now = at(answer, p)
        later = (
            sp.sympify(now).subs(generation, generation + 1)
            if not isinstance(now, list)
            else [value.subs(generation, generation + 1) for value in now]
        )
        averaged = (
            mean(loop, p, lambda q: at(answer, q))
            if not isinstance(now, list)
            else [
                mean(loop, p, lambda q, place=place: at(answer, q)[place]) for place in range(size)
            ]
        )
        start = observe(p)
        sizes = {"K": size}
        steps += [
            Step(
                "at generation 0 it is what is observed",
                _difference(_at(now, generation, 0), start),
                reduce=reduce,
                sizes=sizes,
            ),
            Step(
                "a generation of the loop leads from t to t + 1",
                _difference(later, averaged),
                reduce=reduce,
                sizes=sizes,
            ),
        ]
    return steps


def _at(values: Any, symbol: Any, number: Any) -> Any:
    if isinstance(values, list):
        return [value.subs(symbol, number) for value in values]
    return sp.sympify(values).subs(symbol, number)


def _difference(values: Any, others: Any) -> Any:
    if isinstance(values, list):
        return [value - other for value, other in zip(values, others, strict=True)]
    return values - others


def along_flow(
    velocity: Mapping[Any, Any],
    observed: Any,
    answer: Any,
    *,
    time: Any,
    what: str = "",
    reduce: Callable[[Any], Any] = sp.simplify,
) -> list[Step]:
    """Steps that close if the answer is what is observed after a time of a flow.

    u(0, x) = observed(x) and ∂u/∂τ = Σ ẋ ∂u/∂x: the answer is carried along by its own start.

    Args:
        velocity: the speed of each symbol of the start.
        observed: what is read off the start.
        answer: the claimed value, an expression of the start's symbols and of the time.
        time: the symbol of the time.
        what: for which sizes the steps are made, for their names.
        reduce: how a residual is brought to 0.
    """
    carried = sum(speed * sp.diff(answer, symbol) for symbol, speed in velocity.items())
    return [
        Step(
            f"at time 0 it is what is observed{what}",
            answer.subs(time, 0) - observed,
            reduce=reduce,
        ),
        Step(
            f"its slope in time is its slope along the flow{what}",
            sp.diff(answer, time) - carried,
            reduce=reduce,
        ),
    ]


def at_rest(
    loop: Loop,
    real: Vector,
    second: Callable[[int, int], Any],
    reduce: Callable[[Any], Any] = sp.simplify,
) -> list[Step]:
    """Steps that close if the claimed second moments reproduce themselves in one generation.

    Args:
        loop: the loop, with the real data q, whose mean model at rest is q (which is checked).
        real: q, in other symbols than `shares(K)`.
        second: E p_i p_j as claimed, by the places of the two outcomes; see `lumped`.
        reduce: how a residual is brought to 0.
    """
    size = len(real)
    p = shares(size)

    def rested(expression: Any) -> Any:
        """The mean at rest of a polynomial of second degree in the model."""
        whole = sp.Integer(0)
        for powers, factor in sp.Poly(sp.expand(expression), *p[:-1]).terms():
            places = [place for place, power in enumerate(powers) for _ in range(power)]
            if len(places) == 2:
                factor *= second(*places)
            elif places:
                factor *= real[places[0]]
            whole += factor
        return whole

    means = [rested(mean(loop, p, lambda x, a=a: x[a])) - real[a] for a in (0, 1)]
    moments = [
        rested(mean(loop, p, lambda x, a=a, b=b: x[a] * x[b])) - second(a, b)
        for a, b in ((0, 0), (0, 1))
        if a != b or size > 2 or (a, b) == (0, 0)
    ]
    sizes = {"K": size}
    return [
        Step("one generation keeps the mean q", means, reduce=reduce, sizes=sizes),
        Step("… and reproduces the claimed second moments", moments, reduce=reduce, sizes=sizes),
    ]


def lumped(variance: Any, real: Vector, symbol: Any) -> Callable[[int, int], Any]:
    """Second moments about q from the claimed variance of one outcome.

    Outcomes may be taken together: the variance of p_i + p_j is that of one outcome with the
    probability q_i + q_j, which gives the covariance.

    Args:
        variance: the claimed variance of outcome i, of the vector `symbol`.
        real: q.
        symbol: the vector that stands for log q in it.

    Returns:
        E p_i p_j by the places of the two outcomes.
    """
    each = written_out(variance, real, symbol)

    def second(a: int, b: int) -> Any:
        if a == b:
            return real[a] ** 2 + each[a]
        together = real[a] + real[b]
        joint = written_out(variance, [together, 1 - together], symbol)[0] if len(real) > 2 else 0
        return real[a] * real[b] + (joint - each[a] - each[b]) / 2

    return second


def as_limit(
    exact: Any,
    answer: Any,
    variable: Any,
    point: Any,
    *,
    what: str = "",
    direction: str = "+",
) -> list[Step]:
    """A step that closes if the ratio of an exact value to the answer tends to 1.

    Args:
        exact: another claim's answer, or what a proof has derived.
        answer: the asymptotic value.
        variable: what tends to the point.
        point: where it tends to; `sp.oo` for large values.
        what: in which regime, for the step's name.
        direction: from which side, if the point is finite.
    """
    ratio = sp.limit(exact / answer, variable, point, direction)
    return [Step(f"the exact value over this one tends to 1{what}", ratio - 1)]


def generator(loop: Loop, value: Quantity, p: Vector, num_samples: Any) -> Any:
    """Leading order of n E[f(p') − f(p)] in a generation that keeps the mean, for many samples.

    n/2 Σ_ij E (p'_i − p_i)(p'_j − p_j) ∂_i ∂_j f, over the free probabilities: what a diffusion
    with the noise of the loop does to f.

    Args:
        loop: a loop of which E p' = p.
        value: f, a quantity of the model.
        p: the model, `shares(K)`.
        num_samples: n.

    Example:
        >>> from fixedpoint.symbolic import Fresh
        >>> n = sp.Symbol("n", positive=True, integer=True)
        >>> sp.expand(generator(Loop(corpus=Fresh(n)), lambda p: p[0] ** 2, shares(2), n))
        -p1**2 + p1
    """
    here, noise = value(p), _covariance(loop, tuple(p))
    return num_samples * sum(v * sp.diff(here, a, b) for (a, b), v in noise.items()) / 2


@cache
def _covariance(loop: Loop, p: tuple[Any, ...]) -> dict[tuple[Any, Any], Any]:
    """E (p'_i − p_i)(p'_j − p_j) of a generation, by the free probabilities."""
    return {
        (p[a], p[b]): sp.expand(mean(loop, p, lambda q, a=a, b=b: (q[a] - p[a]) * (q[b] - p[b])))
        for a, b in itertools.product(range(len(p) - 1), repeat=2)
    }


def at_numbers(
    answer: Any, points: Sequence[tuple[Mapping[Any, Any], Any]], what: str, **sizes: Any
) -> Step:
    """A step that closes if the answer has the derived values at some points, to 50 digits.

    For what SymPy cannot compare as formulas: sums over n terms, roots, special functions.

    Args:
        answer: the claimed value.
        points: numbers for the answer's symbols (lists for vectors), and the value that the proof
            has derived there: a number, or a list over the outcomes.
        what: what the step shows, in words.
        sizes: the numbers for which alone it was made, by letter.
    """
    residuals = []
    for numbers, derived in points:
        found = evaluate(sp.sympify(answer), numbers)
        pairs = zip(found, derived, strict=True) if isinstance(found, list) else [(found, derived)]
        with mpmath.workdps(65):  # SymPy takes an mpf at the working precision
            residuals += [sp.sympify(one) - sp.N(other, 65) for one, other in pairs]
    return Step(what, residuals, method="points", sizes=sizes)


def unrolled(expression: Any, length: Any) -> Any:
    """Write sums and products that end at n + 2, n + 1 or n - 1 as those to n, and what is over.

    So that the answer at n + 1 can be compared with that at n, for every n.

    Args:
        expression: an expression with sums or products from anywhere to n + a number.
        length: n.
    """

    def until(node: Any) -> Any:
        term, (index, low, high) = node.args
        over = high - length
        if not over.is_Integer or over == 0:
            return node
        several = range(1, int(over) + 1) if over > 0 else range(int(over) + 1, 1)
        terms = [term.subs(index, length + place) for place in several]
        whole = node.func(term, (index, low, length))
        if isinstance(node, sp.Sum):
            return whole + (sum(terms) if over > 0 else -sum(terms))
        return whole * (sp.prod(terms) if over > 0 else 1 / sp.prod(terms))

    return expression.replace(lambda node: isinstance(node, (sp.Sum, sp.Product)), until)


def elementary(expression: Any) -> Any:
    """Bring a residual of powers, exponentials and logarithms of positive numbers to 0.

    A number at one point tells at once what does not vanish; only SymPy says that something does.
    """
    value = _at_a_point(expression)
    if value is not None and abs(value) > 1e-20:
        return sp.Float(str(value))
    if _is_zero_fraction(expression):
        return sp.Integer(0)
    split = sp.expand_power_base(expression, force=True)
    split = sp.expand_log(sp.powdenest(split, force=True), force=True)
    if _is_zero_fraction(split):
        return sp.Integer(0)
    return sp.simplify(sp.expand_log(sp.powsimp(sp.expand(split)), force=True))


def rational(expression: Any) -> Any:
    """Bring what is rational in its symbols, powers and exponentials to one numerator, expanded.

    A number at one point tells at once what does not vanish; only SymPy says that something does.
    """
    value = _at_a_point(sp.sympify(expression))
    if value is not None and abs(value) > 1e-20:
        return sp.Float(str(value))
    if expression.has(sp.Abs):
        return expression
    plain = sp.expand(sp.numer(sp.together(expression)))
    if plain == 0:
        return plain
    return sp.expand(sp.powsimp(sp.expand(sp.numer(sp.together(sp.powsimp(expression))))))


def _is_zero_fraction(expression: Any) -> bool:
    """Whether it vanishes as a fraction of its powers, exponentials and logarithms."""

    def powers(base: Any, exponent: Any) -> Any:
        return sp.Mul(*(sp.Pow(base, term) for term in sp.Add.make_args(sp.expand(exponent))))

    # e^{x/2}, e^{-x}, … are powers of one number, by their largest common unit.
    units: dict[Any, Any] = {}
    for exponential in expression.atoms(sp.exp):
        for term in sp.Add.make_args(sp.expand(exponential.exp)):
            times, rest = term.as_coeff_Mul()
            if times.is_Rational:
                units[rest] = times.gcd(units.get(rest, times))
    bases = {rest: sp.Dummy(positive=True) for rest in units}

    def exponentials(exponent: Any) -> Any:
        whole = sp.Integer(1)
        for term in sp.Add.make_args(sp.expand(exponent)):
            logs = [part for part in sp.Mul.make_args(term) if isinstance(part, sp.log)]
            times, rest = term.as_coeff_Mul()
            if len(logs) == 1:  # e^{x log y} is y^x, which SymPy sees for numbers x alone
                whole *= sp.Pow(logs[0].args[0], term / logs[0])
            elif rest in units:
                whole *= bases[rest] ** (times / units[rest])
            else:
                whole *= sp.exp(term)
        return whole

    plain = expression.replace(
        lambda part: part.is_Pow and not part.exp.is_Integer,
        lambda part: powers(part.base, part.exp),
    ).replace(sp.exp, exponentials)
    names: dict[Any, Any] = {}
    for part in cast(Any, sp.postorder_traversal(plain)):
        if (part.is_Pow and not part.exp.is_Integer) or isinstance(part, (sp.exp, sp.log)):
            names.setdefault(part, sp.Dummy())
    named = plain.xreplace(names)
    return sp.expand(sp.numer(sp.together(named))) == 0


def _at_a_point(expression: Any) -> Any:
    """The value where the symbols are unequal numbers below 1/2; None where it has no real one."""
    entries = expression.atoms(sp.Indexed)
    names = {entry.base.label for entry in entries} | {entry.base for entry in entries}
    symbols = sorted(entries | (expression.free_symbols - entries - names), key=str)
    with mpmath.workdps(40):
        point = [mpmath.mpf(2 * place + 7) / (5 * place + 23) for place in range(len(symbols))]
        try:
            value = mpmath.mpmathify(sp.lambdify(symbols, expression, "mpmath")(*point))
        except (NameError, TypeError, ValueError, ArithmeticError, KeyError):
            return None
        real = abs(mpmath.im(value)) <= 1e-20
        return mpmath.re(value) if mpmath.isfinite(value) and real else None


def vanishes_towards(variable: Any, point: Any, direction: str = "+") -> Callable[[Any], Any]:
    """How a residual is brought to 0 that vanishes in a limit: by SymPy, where numbers agree.

    A number near the point tells at once what does not vanish there, where a limit may take for
    ever.

    Args:
        variable: what tends to the point.
        point: where it tends to; `sp.oo` for large values.
        direction: from which side, if the point is finite.

    Example:
        >>> x = sp.Symbol("x", positive=True)
        >>> vanishes_towards(x, 0)(x * sp.log(x)), vanishes_towards(x, sp.oo)(1 + 1 / x)
        (0, 1.0000)
    """
    small = sp.Rational(1, 10**12)
    near = 1 / small if point == sp.oo else point + (small if direction == "+" else -small)

    def reduce(part: Any) -> Any:
        value = _at_a_point(part.subs(variable, near))
        if value is not None and abs(value) > 1e-8:
            return sp.Float(str(value), 5)
        return sp.simplify(sp.limit(sp.cancel(part), variable, point, direction))

    return reduce


def follows_flow(
    velocity: Callable[[Sequence[Any]], Sequence[Any]],
    start: Sequence[Any],
    answer: Sequence[Any],
    *,
    time: Any,
    root: Any = 0,
    sizes: Mapping[str, Any] | None = None,
    reduce: Callable[[Any], Any] = sp.simplify,
) -> list[Step]:
    """Steps that close if the answer starts where it should and moves as the flow moves from it.

    u(0) = start and du/dτ = v(u), forwards in time; the answer may hold a root, which moves as its
    own equation says.

    Args:
        velocity: the speeds of all entries, of all entries.
        start: the entries at time 0.
        answer: the claimed entries, expressions of the time.
        time: the symbol of the time.
        root: what a root in the answer is at time 0.
        sizes: the numbers for which alone the steps are made, by letter.
        reduce: how a residual is brought to 0.
    """
    entries, equations = without_roots(answer)
    begins = {**dict.fromkeys(equations, root), time: 0}
    first = [
        e.subs(begins).doit() - value
        for e, value in zip(
            [*entries, *equations.values()], [*start, *[0] * len(equations)], strict=True
        )
    ]
    moves = [
        slope(entry, time, equations) - speed
        for entry, speed in zip(entries, velocity(entries), strict=True)
    ]
    sizes = sizes or {}
    return [
        Step("at time 0 it is the start", first, sizes=sizes),
        Step("it moves as the flow moves from it", moves, reduce=reduce, sizes=sizes),
    ]


def without_roots(answer: Sequence[Any]) -> tuple[list[Any], dict[Any, Any]]:
    """The entries with a symbol for each root, and what vanishes there, by these symbols."""
    roots = {root for entry in answer for root in sp.sympify(entry).atoms(Root)}
    ordered = enumerate(sorted(roots, key=str))
    symbols = {root: sp.Symbol(f"w_{place}", real=True) for place, root in ordered}
    entries = [sp.sympify(entry).xreplace(symbols) for entry in answer]
    return entries, {symbol: root.args[0](symbol) for root, symbol in symbols.items()}


def slope(expression: Any, variable: Any, equations: Mapping[Any, Any]) -> Any:
    """The derivative of an expression in which some symbols are roots of equations."""
    found = sp.diff(expression, variable)
    for symbol, equation in equations.items():
        moved = -sp.diff(equation, variable) / sp.diff(equation, symbol)
        found += sp.diff(expression, symbol) * moved
    return found
