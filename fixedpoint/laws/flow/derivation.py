r"""Flow: infinite samples, and a teacher that is frozen while its student is trained.

    dθ/dτ = -∇ CE(target, softmax θ) = target - softmax(θ)

Meanwhile the target does not change: it is data, or the model of the beginning of a generation,
tempered.
"""

import itertools
import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    NUM_OUTCOMES,
    OUTCOME,
    Edge,
    Root,
    Step,
    at,
    at_outcomes,
    claim,
    total,
)
from fixedpoint.laws.notation import T, m, psi, t, tau, theta, z
from fixedpoint.symbolic import (
    GradientFlow,
    Largest,
    Loop,
    Mixed,
    Temperature,
    follows_flow,
    gap_speed,
    given,
    model,
    rational,
    shares,
    slope,
    softmax,
    velocity,
    without_roots,
    written_out,
)

z0: Any = notation.gap_initial.symbol
g: Any = notation.gap_target.symbol
w: Any = sp.Symbol("w", real=True)
x: Any = sp.Symbol("x", real=True)
y: Any = sp.Symbol("y", positive=True)
lam: Any = sp.Symbol("lambda", real=True)
j: Any = sp.Symbol("j", integer=True, positive=True)
k: Any = sp.Symbol("k", integer=True, positive=True)
target_index: Any = notation.target.symbol
K: Any = NUM_OUTCOMES
i: Any = OUTCOME

MODEL = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
MANY = [3.0 * math.sin(7.0 * number) for number in range(50_000)]

TAUGHT = Loop(corpus=Mixed(psi, 1), learner=GradientFlow(tau))
"""Training on data that stay the same."""
GENERATION = Loop(Temperature(T), learner=GradientFlow(tau))
"""A generation of finite training: its teacher is the model of its beginning."""
LINEAGE = Loop(Temperature(T), learner=GradientFlow(tau, start="initial"))
"""The same, each generation trained from the initial model."""


class PolynomialIntegral(sp.Integral):
    """The integral of a polynomial, evaluated by Gauss-Legendre rules (exact to degree 47)."""

    def doit(self, **hints: Any) -> Any:
        """Write out the sums in it, without integrating it."""
        limits: Any = self.limits[0]
        (variable, low, high), integrand = limits, self.function
        if low == high:
            return sp.Integer(0)
        return PolynomialIntegral(integrand.doit(**hints), (variable, low, high))

    def _mpmathcode(self, printer: Any) -> str:
        limits: Any = self.limits[0]
        (variable, low, high), integrand = limits, self.function
        function = f"lambda {printer._print(variable)}: {printer._print(integrand)}"
        return f"quadgl({function}, [{printer._print(low)}, {printer._print(high)}], maxdegree=4)"


def entries(answer: Any, size: int) -> list[Any]:
    """A claimed vector, entry by entry, for K outcomes."""
    return [at_outcomes(sp.sympify(answer).subs(i, place), size) for place in range(1, size + 1)]


def sigmoid(value: Any) -> Any:
    """The probability of the first of two outcomes whose logit gap is `value`."""
    return 1 / (1 + sp.exp(-value))


# --- a frozen teacher -----------------------------------------------------------------------------


def linearising(gap: Any, first: Any) -> Any:
    """F(z) = a e^(-bz) - b e^(az), the coordinate in which the flow to (a, b) is linear."""
    a, b = first, 1 - first
    return a * sp.exp(-b * gap) - b * sp.exp(a * gap)


def _frozen_gap(decay: Any, start: Any = z0) -> Any:
    a = sigmoid(g)
    equation = linearising(z, a) - linearising(start, a) * sp.exp(-decay * tau)
    return Root(sp.Lambda(z, equation), sp.Min(z0, g), sp.Max(z0, g))


TWO = given(TAUGHT, {psi: [sigmoid(g), sigmoid(-g)]})


@claim(
    "With two outcomes a e^(-bz) - b e^(az) decays exponentially.",
    _frozen_gap(2 * sigmoid(g) * sigmoid(-g)),
    lhs=sp.Function("z")(tau),
    of=(
        notation.gap_initial(-4.0, 4.0),
        notation.gap_target(-6.0, 6.0),
        notation.time(0.0, 30.0),
    ),
    loop=TWO,
    near_misses={
        "decays with ab": _frozen_gap(sigmoid(g) * sigmoid(-g)),
        "decays with the rate 1/2 of an even target": _frozen_gap(sp.Rational(1, 2)),
        "the gap itself decays": g + (z0 - g) * sp.exp(-2 * sigmoid(g) * sigmoid(-g) * tau),
    },
    edges=[
        at(1.5, 3.0, 0.0, gives=1.5),
        at(1.5, 0.0, 2.0),
        at(1.5, 1.5, 2.0, gives=1.5),
        at(1.5, 1.5 + 1e-9, 2.0),
        at(-2.0, 40.0, 50.0),
        at(30.0, -30.0, 20.0),
    ],
)
def frozen_two_outcomes(answer: Any) -> list[Step]:
    """The claimed gap is carried along by its own start: no gap but the start's is looked at."""
    (gap,), equations = without_roots([answer])
    begins = {**dict.fromkeys(equations, z0), tau: 0}
    a = sigmoid(g)
    carried = gap_speed(TWO, z0) * slope(gap, z0, equations)
    steps = [
        Step(
            "at time 0 it is the gap z_0",
            [gap.subs(begins) - z0, *(e.subs(begins) for e in equations.values())],
        ),
        Step(
            "its slope in time is its slope along the flow, dz/dτ = 2(a - σ(z))",
            slope(gap, tau, equations) - carried,
            reduce=rational,
        ),
    ]
    for root, equation in equations.items():
        still = sp.exp(-2 * a * sigmoid(-g) * tau)
        ends = [equation.subs(root, end) for end in (z0, g)]
        steps += [
            Step(
                "the root's equation has other signs at z_0 and z*, as F(z*) = 0",
                ends[0] * still + ends[1] * (1 - still),
                reduce=rational,
            ),
            Step(
                "and falls between them, as F'(z) = -ab (e^(-bz) + e^(az)) < 0",
                sp.diff(equation, root)
                + a * (1 - a) * (sp.exp(-(1 - a) * root) + sp.exp(a * root)),
                reduce=rational,
            ),
        ]
    return steps


UNIFORM = Loop(Temperature(sp.oo), learner=GradientFlow(tau))


def _uniform_target() -> Any:
    equation = total(sp.log(1 + w * sp.exp(theta[j])), j) - tau
    largest: Any = Largest(theta)
    root = Root(sp.Lambda(w, equation), sp.Integer(0), (sp.exp(tau) - 1) * sp.exp(-largest))
    return theta[i] + tau / K - sp.log(1 + root * sp.exp(theta[i]))


@claim(
    "To a uniform target every e^-θ moves by one w(τ), with Σ log(1 + w e^θ) = τ.",
    _uniform_target(),
    lhs=sp.Function(r"\theta_i")(tau),
    of=(
        notation.logits(-3.0, 3.0),
        notation.time(0.0, 40.0),
    ),
    loop=UNIFORM,
    up_to_shift=True,
    near_misses={
        "each logit relaxes exponentially": theta[i] * sp.exp(-tau / K),
        "w of the time τ/K": _uniform_target().subs(tau, tau / K),
        "w from the probabilities of equal logits": theta[i]
        - sp.log(1 + (sp.exp(tau / K) - 1) * sp.exp(theta[i])),
    },
    edges=[
        at(MODEL, 0.0, gives=MODEL),
        at(MODEL, 1e-9),
        at(MODEL, 3000.0),
        at([1.0, 1.0, -0.5, -0.5, 0.0], 3.0),
        at([30.0, -30.0, 0.0], 25.0),
        at(MANY[:50], 60.0),
    ],
)
def frozen_uniform_target(answer: Any) -> list[Step]:
    """Each logit moves as the flow from all of them; w moves as its equation says."""
    steps = []
    for size in (2, 3, 4):
        steps += follows_flow(
            lambda values: velocity(UNIFORM, [sp.exp(value) for value in values]),
            model(size),
            entries(answer, size),
            time=tau,
            sizes={"K": size},
            reduce=rational,
        )
    return steps


def _one_hot_target(power: Any = 1) -> Any:
    chosen = theta[target_index + 1]

    def others(at: Any) -> Any:
        return total(sp.log(1 + at * sp.exp(theta[j])), j) - sp.log(1 + at * sp.exp(chosen))

    integral = PolynomialIntegral(sp.exp(chosen + power * others(x)), (x, 0, w))
    equation = integral + others(w) - tau
    root = Root(sp.Lambda(w, equation), sp.Integer(0), tau * sp.exp(-chosen))
    return theta[i] + sp.Piecewise(
        (others(root), sp.Eq(i, target_index + 1)), (-sp.log(1 + root * sp.exp(theta[i])), True)
    )


@claim(
    "Trained on one outcome, every other 1/e^θ grows by the same w(τ).",
    _one_hot_target(),
    lhs=sp.Function(r"\theta_i")(tau),
    of=(
        notation.logits,
        notation.time,
        notation.target,
    ),
    loop=TAUGHT,
    given={"logits_real": psi},
    assumes="The data are the outcome r alone.",
    source="derived here; K = 2 is the flow of the logistic loss",
    cites=("soudry2018",),
    up_to_shift=True,
    near_misses={
        "the target rises by the mean fall": _one_hot_target(1 / (K - 1)),
        "the target's logit alone moves": theta[i]
        + sp.Piecewise((sp.log(1 + tau), sp.Eq(i, target_index + 1)), (0, True)),
    },
    edges=[
        at(MODEL, 0.0, 0, gives=MODEL),
        at(MODEL, 1e-9, 2),
        at(MODEL, 1.0, 1),
        at(MODEL, 1e5, 0),
        at([0.7, -0.4], 1e250, 1),
        at([0.7, -0.4], 20.0, 1),
        at(MODEL[:3], 4.0, 2),
        at([0.5, 0.5, -1.0, 2.0], 3.0, 3),
        at([0.0, 20.0, 1.0], 5.0, 0),
    ],
)
def frozen_one_hot_target(answer: Any) -> list[Step]:
    """Each logit moves as the flow from all of them; w moves as its equation says."""
    steps = []
    for size, place in ((2, 1), (3, 0), (3, 2), (4, 1)):
        alone = [sp.Integer(index == place) for index in range(size)]
        steps += follows_flow(
            lambda values, alone=alone: velocity(
                given(TAUGHT, {psi: alone}), [sp.exp(value) for value in values]
            ),
            model(size),
            entries(sp.sympify(answer).subs(target_index, place), size),
            time=tau,
            sizes={"K": size},
            reduce=rational,
        )
    return steps


_p = sp.exp(psi[j]) / total(sp.exp(psi[k]), k)
_smallest, _second = (sp.exp(psi[number]) / total(sp.exp(psi[k]), k) for number in (1, 2))
_rest = sp.Sum(_p / (_p - lam), (j, 3, K))
_secular = (
    _second * (lam - _smallest)
    - _smallest * (_second - lam)
    + (lam - _smallest) * (_second - lam) * _rest
)


@claim(
    "A frozen teacher is reached at the rate λ with Σ p/(p - λ) = 0 between its two "
    "smallest probabilities (outcomes in increasing order).",
    Root(sp.Lambda(lam, _secular), _smallest, _second),
    lhs=r"\lambda_2",
    of=(notation.logits_target,),
    loop=TAUGHT,
    given={"time": tau},
    assumes="Late times, from a model that differs in the slowest direction: not, for "
    "example, from one that ties where the two smallest probabilities of the teacher do.",
    source="derived here, from the secular equation of a rank-one update (Golub 1973)",
    cites=("golub1973",),
    near_misses={
        "the smallest probability": _smallest,
        "the second smallest probability": _second,
        "their mean": (_smallest + _second) / 2,
        "1/K, as for the uniform target": 1 / K,
    },
    edges=[
        at(sorted(MODEL)),
        at([-1.0, 2.0]),
        at([-0.5, -0.5, 1.0]),
        at([0.0, 0.0, 0.0, 0.0], gives=0.25),
        at([0.0, 1e-9, 0.5]),
        at([-30.0, -20.0, 0.0, 1.0]),
        at(sorted(MANY[:60])),
    ],
)
def relaxation_rate(answer: Any) -> list[Step]:
    """The rate is an eigenvalue of the linearised flow."""
    steps = []
    for size in (2, 3, 4):
        target = shares(size)
        taught = given(TAUGHT, {psi: softmax(model(size))})
        # At the target, dθ/dτ is 0 and its slopes are those of -softmax.
        speed = sp.Matrix(velocity(taught, [sp.exp(v) for v in model(size, "phi")]))
        here = {sp.exp(v): p for v, p in zip(model(size, "phi"), target, strict=True)}
        jacobian = speed.jacobian(model(size, "phi")).subs(here).applyfunc(sp.expand)
        written = written_out(answer, target, psi)
        (rate,), equations = without_roots([written])
        vanishing = equations.get(rate, lam - rate)  # an explicit rate is the root of this
        rate = rate if equations else lam
        shifted = jacobian + rate * sp.eye(size)
        sign = (rate - target[0]) * (target[1] - rate)
        moved = shifted * sp.Matrix([p / (p - rate) for p in target])
        if size < 4:
            others = sp.prod([p - rate for p in target[2:]])
            steps.append(
                Step(
                    "det(J + λ), J the flow linearised at its target, vanishes with the equation",
                    shifted.det(method="berkowitz") - (-1) ** size * rate * vanishing * others,
                    reduce=rational,
                    sizes={"K": size},
                )
            )
        steps.append(
            Step(
                "(J + λ) v, v = p/(p - λ), vanishes with the equation: v relaxes at its root λ",
                list(moved - rate * vanishing / sign * sp.Matrix(target)),
                reduce=rational,
                sizes={"K": size},
            )
        )
        if equations:
            low, high = (vanishing.subs(rate, end) for end in written.args[1:])
            p, q = target[:2]
            steps.append(
                Step(
                    "between the two smallest probabilities it changes its sign; once, as "
                    "Σ p/(p - λ) grows there",
                    [low + p * (q - p), high - q * (q - p)],
                    reduce=sp.expand,
                    sizes={"K": size},
                )
            )
    return steps


@claim(
    "A generation of training for a time τ multiplies small logits by m.",
    1 / T + (1 - 1 / T) * sp.exp(-tau / K),
    lhs="m",
    of=(
        notation.temperature(0.1, 5.0),
        notation.time(0.0, 50.0),
        notation.num_outcomes(2.0, 50.0),
    ),
    loop=GENERATION,
    assumes="Infinitesimal logits.",
    near_misses={
        "relaxes at rate 1": 1 / T + (1 - 1 / T) * sp.exp(-tau),
        "exchanged ends": 1 + (1 / T - 1) * sp.exp(-tau / K),
        "the online flow for the same time": sp.exp((1 / T - 1) * tau / K),
        "a refit": 1 / T,
    },
    edges=[
        at(0.5, 0.0, 3, gives=1.0),
        at(0.5, math.inf, 3, gives=2.0),
        at(math.inf, 3.0, 3, gives=math.exp(-1)),
        at(1.0, 3.0, 3, gives=1.0),
        at(1 + 1e-12, 3.0, 3),
        at(1e-3, 1e-9, 50_000),
    ],
)
def multiplier(answer: Any) -> list[Step]:
    """Near the uniform distribution the flow of a multiple of the logits is another multiple."""
    steps = [Step("at time 0 nothing is multiplied", sp.sympify(answer).subs(tau, 0) - 1)]
    for size in (2, 3, 5):
        claimed = sp.sympify(answer).subs(K, size)
        values = model(size)
        moved = orders([claimed * v for v in values], [sp.Integer(0)] * size, values, order=1)
        steps.append(
            Step(
                "to the lowest order in θ, mθ moves as the flow to the tempered θ does",
                [
                    sp.diff(claimed, tau) * (one - other) - (first - last)
                    for one, other, first, last in zip(
                        values, values[1:], moved, moved[1:], strict=False
                    )
                ],
                reduce=sp.expand,
                sizes={"K": size},
            )
        )
    return [
        *steps,
        Step(
            "dm/dτ = (1/T - m)/K for any K",
            sp.diff(answer, tau) - (1 / T - answer) / K,
            reduce=sp.expand,
        ),
    ]


def orders(
    linear: Sequence[Any], quadratic: Sequence[Any], start: Sequence[Any], order: int
) -> list[Any]:
    """The speeds of εa + ε²b in the generation that begins at εθ: what stands at ε or at ε²."""
    letters, first = _orders(len(start), order)
    speeds = []
    for place in range(len(start)):
        # The outcomes are alike: the speed of one is that of the first, relabelled.
        rows = [list(row) for row in (linear, quadratic, start)]
        for row in rows:
            row[0], row[place] = row[place], row[0]
        values = dict(zip(letters, itertools.chain(*rows), strict=True))
        speeds.append(first.subs(values, simultaneous=True))
    return speeds


@cache
def _orders(size: int, order: int) -> tuple[list[Any], Any]:
    """What stands at ε or at ε² in the speed of the first logit, by derivatives in the weights."""
    a, b, c = (sp.symbols(f"{letter}1:{size + 1}") for letter in "abc")
    here, teacher = (sp.symbols(f"{letter}1:{size + 1}", positive=True) for letter in "wy")

    def along(expression: Any, moves: Sequence[Any]) -> Any:
        pairs = zip(moves, [*here, *teacher], strict=True)
        return sum(v * x * sp.diff(expression, x) for v, x in pairs)

    speed = sp.factor(velocity(GENERATION, here, teacher)[0])
    once, ones = along(speed, [*a, *c]), dict.fromkeys([*here, *teacher], 1)
    if order == 2:
        once = along(once, [*a, *c]) / 2 + along(speed, [*b, *[0] * size])
    return [*a, *b, *c], sp.expand(once.subs(ones))


_excess, _elapsed = 1 / T - 1, tau / K
_growth = sp.exp(-_elapsed) * (_excess / T * _elapsed - _excess**2 * (1 - sp.exp(-_elapsed)) / 2)


def _transverse(growth: Any) -> Any:
    mean = total(theta[k], k) / K
    v = theta[i] - mean
    u = theta[j] - mean
    second, third, norm = total(u**2, j) / K, total(u**3, j), total(u**2, j)
    return growth * (v**2 - second - v * third / norm)


@claim(
    "Finite training leaves the line through the logits unless they take two values.",
    _transverse(_growth),
    lhs=r"\theta_{\perp,i}",
    kind="asymptotic",
    of=(
        notation.logits,
        notation.temperature,
        notation.time,
    ),
    loop=GENERATION,
    assumes="Small logits.",
    near_misses={
        "short times only": _transverse(tau * (1 / T**2 - 1) / (2 * K)),
        "(β - 1)² in place of β² - 1": _transverse(_growth * (1 - T) / (1 + T)),
        "no transverse part": 0 * theta[i],
        "not projected off the logits": _growth * (theta[i] ** 2 - total(theta[j] ** 2, j) / K),
    },
    edges=[
        Edge({"logits": MODEL, "temperature": temperature, "time": time})
        for temperature in (0.3, 1 - 1e-9, 1 + 1e-9, 2.0, 1e3)
        for time in (1e-6, 1.0, 40.0)
    ]
    + [
        Edge({"logits": MODEL, "temperature": 0.5, "time": 0.0}, [0.0] * 4),
        Edge({"logits": MODEL, "temperature": 1.0, "time": 3.0}, [0.0] * 4),
        Edge({"logits": MANY[:500], "temperature": 0.5, "time": 100.0}),
    ],
)
def off_ray(answer: Any) -> list[Step]:
    """What is not along θ moves, to second order, as the flow moves it."""
    steps = []
    for size in (3, 4):
        # Free of a common constant: the last logit is minus the others' sum. For K = 4 numbers.
        free = model(size)[:-1] if size == 3 else [sp.Rational(n, 7) for n in (3, -5, 11)]
        values = [*free, -sum(free)]
        here = dict(zip(model(size), values, strict=True))
        claimed = [entry.subs(here, simultaneous=True) for entry in entries(answer, size)]
        along = [multiplier.rhs.subs(K, size) * value for value in values]
        moved = orders(along, claimed, values, order=2)
        norm = sum(value**2 for value in values)

        def across(vector: list[Any], values: list[Any] = values, norm: Any = norm) -> list[Any]:
            mean = sum(vector) / len(vector)
            share = sum(v * u for v, u in zip(vector, values, strict=True)) / norm
            return [v - mean - share * u for v, u in zip(vector, values, strict=True)]

        steps += [
            Step(
                "at time 0 nothing is transverse",
                [entry.subs(tau, 0) for entry in claimed],
                sizes={"K": size},
            ),
            Step(
                "it is transverse, and moves as the transverse part of the flow's second order, "
                "along mθ",
                [
                    sum(claimed),
                    *(
                        sp.diff(entry, tau) - speed
                        for entry, speed in zip(claimed, across(moved), strict=True)
                    ),
                ],
                reduce=rational,
                sizes={"K": size},
            ),
        ]
    a, b = sp.symbols("a b", real=True)
    return [
        *steps,
        Step(
            "on two values a, b every function is affine, as θ² = (a+b)θ - ab: nothing transverse",
            [v**2 - (a + b) * v + a * b for v in (a, b)],
        ),
        Step(
            "for short times it is τ(β² - 1)/(2K) times the transverse part of θ², which is not 0 "
            "unless T = 1",
            sp.diff(_growth, tau).subs(tau, 0) - (1 / T**2 - 1) / (2 * K),
        ),
    ]


# --- the model as its own teacher -----------------------------------------------------------------


@claim(
    "With finite training in each generation the collapse is 1/t.",
    m * (K - m) / (K * t * tau),
    lhs=1 - sp.Symbol("P_M"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(4.0, 60.0),
        notation.time(0.5, 100.0),
        notation.generation(1.0, 10_000.0),
        notation.num_modes(1.0, 3.0),
    ),
    loop=GENERATION,
    observe="tail_probability",
    given={"temperature": T},
    assumes="T < 1; many generations.",
    near_misses={
        "(K - m)/(tτ)": (K - m) / (t * tau),
        "1/(Ktτ)": 1 / (K * t * tau),
        "independent of τ": m * (K - m) / (K * t),
        "per generation only the gap log τ": 1 / tau**t,
        "(K - m)/(Ktτ), m lost": (K - m) / (K * t * tau),
    },
    edges=[
        at(50_000, 10.0, 10**6, 1),
    ],
)
def finite_training(answer: Any) -> list[Step]:
    """A loser falls as if its teacher had none: 1/p grows by the same in each generation."""
    s, c = sp.symbols("s c", positive=True)
    growth = (K - m) * (1 / answer.subs(t, t + 1) - 1 / answer)
    steps = []
    for leaders, losers in ((1, 1), (1, 3), (2, 2)):
        sizes = {K: leaders + losers, m: leaders}

        def levels(loser: Any, leaders: int = leaders, losers: int = losers) -> list[Any]:
            return [(1 - losers * loser) / leaders] * leaders + [loser] * losers

        p = levels(y)
        cold = given(GENERATION, {T: sp.Rational(1, 2)})
        speeds = velocity(cold, p, levels(c * y))
        fall = speeds[-1] - sum(q * v for q, v in zip(p, speeds, strict=True))
        steps.append(
            Step(
                "p = S/(K - m) of a loser: d(1/p)/dτ, as p → 0 against a teacher with cp, is the "
                "growth of 1/p in a generation, over τ",
                sp.cancel(sp.together(-fall / y)).subs(y, 0) - (growth / tau).subs(sizes),
                sizes={"K": leaders + losers, "m": leaders, "T": sp.Rational(1, 2)},
            )
        )
        drawn = given(GENERATION, {T: 1 / (1 + s)}).drawn(levels(c * y))[-1]
        steps.append(
            Step(
                "at any T < 1 the teacher's p_T is of the order p^(1/T): nothing beside p",
                sp.limit(drawn / y ** (1 + s), y, 0, "+") - c ** (1 + s) * leaders**s,
                sizes={"K": leaders + losers, "m": leaders},
            )
        )
    return [
        *steps,
        Step(
            "1/p grows by Kτ/m in a generation, for any K and m",
            growth - K * tau / m,
        ),
        Step("it is 1/t times a constant, the leading term", sp.diff(t * answer, t)),
    ]


def resting_time(first: Any, decay: Any = None) -> Any:
    """log(F(z₀)/F(z))/(2ab), F that of a teacher with the probability `first` = a."""
    decay = 2 * first * (1 - first) if decay is None else decay
    return sp.log(linearising(z0, first) / linearising(z, first)) / decay


@claim(
    "A lineage whose generations are trained for a finite time comes to rest, while "
    "fine-tuning goes on: at the gap z if τ is the training time and every gap on the way "
    "from z_0 has a shorter one.",
    resting_time(sigmoid(z / T)),
    lhs=tau,
    of=(
        notation.gap(1.0, 4.0),
        notation.gap_initial(0.0, 0.9),
        notation.temperature(0.2, 0.95),
    ),
    loop=LINEAGE,
    assumes="Two outcomes. T < 1: z lies beyond z_0 ≠ 0 (then τ grows on the "
    "way). T > 1: z lies between 0 and z_0 (far from 0, the lineage leaps across gaps).",
    near_misses={
        # Its gap is not beyond the teacher's: the time to the gap z is a complex number.
        "one generation: the initial model as the teacher": sp.log(
            sp.Abs(linearising(z0, sigmoid(z0 / T)) / linearising(z, sigmoid(z0 / T)))
        )
        / (2 * sigmoid(z0 / T) * (1 - sigmoid(z0 / T))),
        "the mode alone as the teacher": (sp.exp(z) + z - sp.exp(z0) - z0) / 2,
        "decays with ab": resting_time(sigmoid(z / T), sigmoid(z / T) * (1 - sigmoid(z / T))),
        "decays with the rate 1/2 of an even target": resting_time(
            sigmoid(z / T), sp.Rational(1, 2)
        ),
    },
    edges=[
        at(0.7, 2.5, 2.0),
        at(-2.0, -1.5, 0.6),
        at(0.5, 0.5, 0.5, gives=0.0),
        at(0.5 + 1e-9, 0.5, 0.5),
        at(6.0, 0.5, 0.1),
        at(3.0, 1.0, 0.05),
        at(1e-6, 3.0, 1.2),
        at(5.8, 6.0, 1.2),
        at(0.4, 3.6, 1.2),
        at(2.0, 1.9, 1 - 1e-9),
        at(1.0, 2.0, math.inf),
    ],
)
def lineage(answer: Any) -> list[Step]:
    """A lineage is a monotone, bounded sequence: it comes to rest where training leads back."""
    a = sp.Symbol("a", positive=True)
    speed = gap_speed(given(TAUGHT, {psi: [a, 1 - a]}), z)
    q = sp.exp(-w)
    ratio = a**2 * w + (2 * a - 1) * sp.log(1 - q) - 1 / (1 - q)
    return [
        Step("from a gap to itself training takes no time", sp.sympify(answer).subs(z0, z)),
        Step(
            "at rest z is trained, from z_0, on its own σ(z/T): the time that remains falls at 1 "
            "along this flow",
            sp.diff(answer, z0) * gap_speed(LINEAGE, z0, z) + 1,
            reduce=rational,
        ),
        Step(
            "a teacher with a larger gap trains to a larger one: dz/dτ grows with a",
            sp.diff(speed, a) - 2,
        ),
        Step(
            "speed limit: e^z + z, which grows with z, grows at 2 at most, with the mode alone as "
            "the teacher",
            (sp.exp(z) + 1) * speed - 2 - 2 * (a - 1) * (1 + sp.exp(z)),
        ),
        Step(
            "it stops at the first gap on its way with the time τ. For T < 1 there is one: τ(z) = "
            "∫ ds z/(2[σ(z/T) - σ(zs)]), z_0/z < s < 1, grows with z, as σ'(zv) falls with it",
            sp.diff(sigmoid(z), z, 2) + sp.diff(sigmoid(z), z) * sp.tanh(z / 2),
            reduce=lambda e: sp.simplify(e.rewrite(sp.exp)),
        ),
        Step(
            "for T > 1 τ has folds where the map of the generations has the slope 1, that is "
            "σ'(z/T)/T (σ(z) - a) ∫ dx/(σ(x) - a)²; the integral, with x = w + log(a/b)",
            sp.diff(ratio, w) - (a * (1 - a)) ** 2 / (a / (a + (1 - a) * q) - a) ** 2,
            reduce=lambda e: sp.simplify(rational(e)),
        ),
    ]
