"""Online: infinite samples, and a teacher that moves along with its student.

Proofs in SymPy.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, cast

import sympy as sp

from fixedpoint import symbolic
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
from fixedpoint.laws.notation import T, a, beta, eta, m, psi, theta
from fixedpoint.symbolic import GradientSteps, Loop, Mixed, MixtureStep, Temperature

t: Any = sp.Symbol("t", positive=True)
U: Any = sp.Symbol("U", positive=True)
_reached: Any = sp.Symbol("z", positive=True)
_start: Any = sp.Symbol("z_0", positive=True)
kappa: Any = sp.Symbol("kappa", integer=True)
z: Any = sp.Symbol("z", real=True)
z0: Any = sp.Symbol("z_0", real=True)
y: Any = sp.Symbol("y", real=True)
sigma: Any = sp.Symbol("sigma", real=True)
j: Any = sp.Symbol("j", integer=True, positive=True)
k: Any = sp.Symbol("k", integer=True, positive=True)
k0: Any = sp.Symbol("k", integer=True, nonnegative=True)
K: Any = NUM_OUTCOMES
i: Any = OUTCOME
ONLINE = Loop(Temperature(T), learner=GradientSteps(eta))
COLD = Loop(Temperature(sp.Rational(1, 2)), learner=GradientSteps(eta))
MIXTURE = Loop(Temperature(T), learner=MixtureStep(eta))
REAL = Loop(Temperature(T), Mixed(psi, a), GradientSteps(eta))
SMALL = "η → 0, the time being η × generations: the model is its own teacher."
STEP = {"step_size": eta}
"""The step of the loops, which tends to 0 and is not seen in any answer."""
MODEL = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
MANY = [3.0 * math.sin(7.0 * number) for number in range(50_000)]


class Largest(sp.Function):
    """The largest entry of a vector."""

    def _mpmathcode(self, printer: Any) -> str:
        return f"max({printer._print(self.args[0])}[1:])"

    def _latex(self, printer: Any) -> str:
        return rf"\max {printer._print(self.args[0])}"


# --- the definitions ------------------------------------------------------------------------------


def velocity(loop: Loop, p: Sequence[Any]) -> list[Any]:
    """How fast the loop moves, per unit of time: logits, or probabilities by mixture steps.

    Logits know no common constant: p may be weights that do not add up to 1.
    """
    return list(loop.learner.velocity(p, loop.corpus.data(loop.drawn(p), [])))


def gap_speed(loop: Loop, gap: Any) -> Any:
    """How fast the gap of two outcomes moves."""
    first, second = velocity(loop, [sp.exp(gap), sp.Integer(1)])
    return first - second


def rational(expression: Any) -> Any:
    """Bring an expression that is rational in its exponentials to one numerator, and expand it."""
    return sp.expand(sp.powsimp(sp.expand(sp.numer(sp.together(sp.powsimp(expression))))))


def through_exponential(*variables: Any, root: int = 1) -> Callable[[Any], Any]:
    """A reduction: each variable becomes `root` times a logarithm, then one numerator is left."""

    def reduce(expression: Any) -> Any:
        logs = {v: root * sp.log(sp.Symbol(f"e_{v}", positive=True)) for v in variables}
        plain = sp.expand(expression.rewrite(sp.exp)).subs(logs)
        return sp.expand(sp.numer(sp.together(sp.powsimp(sp.expand_log(plain)))))

    return reduce


def at_gap(answer: Any, gap: Any = None) -> Any:
    """An expression whose gap is written as the logarithm of U."""
    return sp.sympify(answer).subs(_reached if gap is None else gap, sp.log(U))


# --- the model as its own teacher -----------------------------------------------------------------


def _two_levels(power: Any) -> tuple[Any, Any, Any, Any]:
    """P, P_T of m leaders and p, p_T of K - m losers, with p = y and P from Σ = 1."""
    leader = (1 - (K - m) * y) / m
    partition = m * leader**power + (K - m) * y**power
    return leader, leader**power / partition, y, y**power / partition


def levels_speed(power: Any) -> Any:
    """How fast m leaders, e^gap = U times as probable as K - m others, move away from them."""

    def apart(ratio: Any) -> Any:
        return (ratio - 1) / (m * ratio + K - m)

    return apart(U**power) - apart(U)


@functools.cache
def levels(loop: Loop, power: Any) -> list[Step]:
    """Two levels of logits stay two levels, and their gap moves as stated."""
    steps = []
    for leaders, others in ((2, 1), (1, 3), (2, 2)):
        speeds = velocity(loop, [U] * leaders + [sp.Integer(1)] * others)
        stated = levels_speed(power).subs({m: leaders, K: leaders + others})
        steps.append(
            Step(
                "the gap of two levels moves at (P_T - p_T) - (P - p)",
                [v - speeds[-1] - stated for v in speeds[:leaders]]
                + [v - speeds[-1] for v in speeds[leaders:-1]],
                reduce=sp.factor,
                sizes={"K": leaders + others},
            )
        )
    return steps


_tail = m * (K - m) / (K * t)


@claim(
    "A model that is its own teacher at T < 1 collapses as 1/t, whatever T.",
    _tail,
    lhs=1 - sp.Symbol("P_M"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(4.0, 60.0),
        notation.time.written(t)(1.0, 1000000.0),
        notation.num_modes(1.0, 3.0),
    ),
    loop=ONLINE,
    given={**STEP, "temperature": T},
    assumes=SMALL + " T < 1; late times: p^(1/T-1) << 1.",
    source="derived here; the 1/t rate is known in softmax policy gradient (Mei et al. 2020)",
    cites=("mei2020",),
    near_misses={
        "(K - m)/t": (K - m) / t,
        "1/(Kt)": 1 / (K * t),
        "m/(Kt), one loser": m / (K * t),
        "(K - m)/(Kt), m lost": (K - m) / (K * t),
        "(K - 1)/(Kt), ties ignored": (K - 1) / (K * t),
        "the mixture flow": sp.exp(-t),
    },
    edges=[
        at(50_000, 1e8, 1),
    ],
)
def collapse_tail(answer: Any) -> list[Step]:
    """Losers of one size: their exact equation, and its limit for small p."""
    leader, leader_T, loser, loser_T = _two_levels(beta)
    share = sp.exp(-z) / (m + (K - m) * sp.exp(-z))
    c, G = sp.symbols("c G", positive=True)
    f = sp.Function("g", positive=True)
    cold = sp.Symbol("gamma", positive=True)
    lost = f(t) / (c + G)
    falling = -(K - m) / m * f(t) * (m / (K * t))  # g' = -(S/m) g with S = (K - m) p
    # S = (K - m) p falls at (K - m) K P p (p - p_T), of which p_T drops out.
    slowness = sp.limit((K - m) * K * leader * y * y / ((K - m) * y) ** 2, y, 0)
    return [
        Step(
            "dS/dt = -K S²/(m (K - m)), the leading order, is what the tail S obeys",
            sp.diff(answer, t) + slowness * answer**2,
        ),
        *levels(ONLINE, 1 / T),
        Step(
            "the gap grows at (P_T - p_T) - (P - p) = (K/m)(p - p_T)",
            (leader_T - loser_T) - (leader - loser) - K / m * (loser - loser_T),
        ),
        Step(
            "dp/dz = -m P p, so that dp/dt = -K P p (p - p_T)",
            sp.diff(share, z) + m * share * (1 - (K - m) * share) / m,
        ),
        Step(
            "p_T/p is m^(β-1) p^(β-1) to leading order, which vanishes with p for β = 1/T > 1",
            [(loser_T / y**beta).subs(y, 0) - m ** (beta - 1), sp.limit(y**cold, y, 0, "+")],
        ),
        Step(
            "unequal losers: dp/dt = -p (p + S/m) is solved by g/(c + G), dG/dt = g, dg/dt = -Sg/m",
            sp.diff(lost, t).subs(sp.diff(f(t), t), falling)
            - lost * f(t) / (c + G)
            + lost * (lost + (K - m) / m * (m / (K * t))),
        ),
        Step(
            "so that their ratio tends to 1 with growing G",
            sp.limit((c + G) / (2 * c + G), G, sp.oo) - 1,
        ),
    ]


def _lambert_gap(rate: Any, power: Any) -> Any:
    scale = sp.Max(1, T)
    c = sp.cosh(z0 / scale) - 1
    now = sp.LambertW(power * c * sp.exp(power * c + rate * t)) / power
    return sp.sign(z0) * scale * sp.acosh(1 + now)


_steepness = sp.Max(T, 1 / T) - 1


@claim(
    "The gap of two outcomes at T = 1/3, 1/2, 2, 3 by Lambert's W.",
    _lambert_gap(1 / T - 1, _steepness),
    lhs=sp.Function("z")(t),
    of=(
        notation.gap.written(z0),
        notation.temperature,
        notation.time.written(t),
    ),
    loop=ONLINE,
    given=STEP,
    assumes=SMALL + " Two outcomes; T is 1/3, 1/2, 2 or 3.",
    near_misses={
        "T = 1/2's exponent for every T": _lambert_gap(1 / T - 1, sp.Integer(1)),
        "the rate of small gaps for ever": z0 * sp.exp((1 / T - 1) * t / 2),
        "twice the rate": _lambert_gap(2 * (1 / T - 1), _steepness),
        "a teacher frozen at time 0, for long": z0 / T,
    },
    edges=[
        Edge({"gap": gap, "temperature": temperature, "time": time})
        for temperature in (1 / 3, 0.5, 2.0, 3.0)
        for gap, time in ((1.3, 0.7), (-2.5, 20.0), (1e-5, 3.0), (30.0, 1e6))
    ]
    + [
        Edge({"gap": 0.0, "temperature": 0.5, "time": 3.0}, 0.0),
        Edge({"gap": 1.5, "temperature": 2.0, "time": 0.0}, 1.5),
        Edge({"gap": 600.0, "temperature": 0.5, "time": 10.0}),
    ],
)
def online_two_outcomes(answer: Any) -> list[Step]:
    """M c + log c grows at a constant rate; Lambert's W inverts it."""
    steps = []
    for temperature in (sp.Rational(1, 3), sp.Rational(1, 2), sp.Integer(2), sp.Integer(3)):
        scale, power = max(1, temperature), max(temperature, 1 / temperature) - 1
        reached = sp.sympify(answer).subs({z0: _start, T: temperature})
        mirrored = sp.sympify(answer).subs(z0, -_start).subs(T, temperature)

        def coordinate(gap: Any, scale: Any = scale, power: Any = power) -> Any:
            level = sp.cosh(gap / scale) - 1
            return power * level + sp.log(level)

        growth = sp.diff(coordinate(z), z) * gap_speed(symbolic.given(ONLINE, {T: temperature}), z)
        steps += [
            Step(
                f"it begins with the gap z_0 and is odd in it (T = {temperature})",
                [reached.subs(t, 0) - _start, reached + mirrored],
                reduce=_inverted,
            ),
            Step(
                f"m c + log c has grown by (1/T - 1) t, c = cosh(z/s) - 1 (T = {temperature})",
                coordinate(reached) - coordinate(_start) - (1 / temperature - 1) * t,
                reduce=_inverted,
            ),
            Step(
                f"m c + log c grows at 1/T - 1 along the flow (T = {temperature})",
                growth - (1 / temperature - 1),
                reduce=through_exponential(z, root=6),
            ),
        ]
    return steps


def _inverted(expression: Any) -> Any:
    """A reduction: W(u e^u) = u and acosh(cosh u) = u for u > 0; log W(x) = log x - W(x)."""

    def of_product(x: Any) -> Any:
        inside = sp.powsimp(x)
        exponents = [part for part in sp.Mul.make_args(inside) if isinstance(part, sp.exp)]
        plain = inside / exponents[0] if len(exponents) == 1 else None
        same = plain is not None and sp.expand(sp.log(exponents[0]) - plain) == 0
        return plain if same else sp.LambertW(x)

    found = sp.expand(expression.replace(sp.LambertW, of_product))
    found = found.replace(
        lambda e: isinstance(e, sp.acosh) and isinstance(e.args[0], sp.cosh),
        lambda e: e.args[0].args[0],
    )
    found = sp.expand_log(sp.expand(found), force=True)
    found = found.replace(
        lambda e: isinstance(e, sp.log) and isinstance(e.args[0], sp.LambertW),
        lambda e: sp.log(e.args[0].args[0]) - e.args[0],
    )
    found = sp.expand_log(found, force=True).replace(sp.log, lambda x: sp.log(sp.factor(x)))
    return sp.expand(sp.expand_log(found, force=True))


def _chebyshev(gap: Any, order: Any) -> Any:
    """(1/T - 1) t as a function of the gap, up to a constant."""
    size, v = sp.Abs(order), gap / (order - 1)
    count = sp.floor(size / 2)
    cosines = sp.cosh((size - 1 - 2 * k0) * v) / (size - 1 - 2 * k0)
    # Σ over size - 1, size - 3, …, down to 1 or 2
    total_cosines = sp.Sum(2 * cosines, (k0, 0, count - 1))
    return sp.log(sp.cosh((1 + sp.Mod(size, 2)) * v) - 1) + total_cosines


_kappa_time = (kappa - 1) / 2 * (_chebyshev(_reached, kappa) - _chebyshev(_start, kappa))


@claim(
    "At T = (κ-1)/(κ+1) the time between two gaps is a finite sum of cosh.",
    _kappa_time,
    lhs="t",
    of=(
        notation.gap.written(_reached),
        notation.gap_initial.written(_start),
        notation.order.written(kappa),
    ),
    loop=ONLINE,
    given={**STEP, "temperature": T},
    assumes=SMALL + " Two outcomes; T = (κ-1)/(κ+1); κ = ±2, ±3, …",
    near_misses={
        "the logarithm alone": (kappa - 1)
        * sp.log(sp.sinh(_reached / (kappa - 1)) / sp.sinh(_start / (kappa - 1))),
        "the rate of small gaps": (kappa - 1) * sp.log(_reached / _start),
        "the sum halved": _kappa_time / 2
        + (kappa - 1)
        / 4
        * (
            sp.log(sp.cosh((1 + sp.Mod(kappa, 2)) * _reached / (kappa - 1)) - 1)
            - sp.log(sp.cosh((1 + sp.Mod(kappa, 2)) * _start / (kappa - 1)) - 1)
        ),
    },
    edges=[
        Edge({"gap": gap, "gap_initial": start, "order": order})
        for gap, start in ((3.7, 0.4), (0.3, 2.0))
        for order in (2, 3, 4, 5, 8, -2, -3, -6)
    ]
    + [
        Edge({"gap": 1.0, "gap_initial": 1.0, "order": 5}, 0.0),
        Edge({"gap": 30.0, "gap_initial": 1e-6, "order": 3}),
        Edge({"gap": 3.0, "gap_initial": 1.0, "order": 101}),
    ],
)
def online_chebyshev(answer: Any) -> list[Step]:
    """Differentiate the finite sum along the flow: for |κ| = 2 and 3, and from |κ| to |κ| + 2."""
    steps = []
    for order in (2, 3, 4, -2, -3, -4):
        inverse = sp.Rational(order + 1, order - 1)
        between = sp.sympify(answer).subs(kappa, order).doit()
        speed = gap_speed(symbolic.given(ONLINE, {T: 1 / inverse}), _reached)
        steps += [
            Step(
                f"from a gap to itself it takes no time (κ = {order})",
                between.subs(_reached, _start),
            ),
            Step(
                f"the time passes at rate 1 along the flow (κ = {order}, T = {1 / inverse})",
                sp.diff(between, _reached) * speed - 1,
                reduce=through_exponential(_reached, root=2 * abs(order - 1)),
            ),
        ]
    h, v = sp.Symbol("h", integer=True, positive=True), sp.Symbol("v", positive=True)
    for sign in (1, -1):
        for parity in (0, 1):
            size = 2 * h + parity
            now = _of_order(answer, sign * size, v)
            later = _of_order(answer, sign * (size + 2), v).replace(
                lambda e: isinstance(e, sp.Sum) and e.has(v), _largest_apart
            )
            steps.append(
                Step(
                    "per (κ - 1)/2 and at the same v = z/(κ - 1), its slope in v grows from |κ| to "
                    "|κ| + 2 by 2 sinh((|κ| + 1) v)",
                    sp.diff(later - now, v) - 2 * sp.sinh((size + 1) * v),
                    reduce=lambda e: sp.expand(e.rewrite(sp.exp)),
                )
            )
    w, x = sp.symbols("w x", real=True)  # κ v and v
    speed = gap_speed(symbolic.given(ONLINE, {T: (w - x) / (w + x)}), w - x)
    steps.append(
        Step(
            "that slope must be (cosh κv + cosh v)/sinh v, which grows by the same",
            [
                (sp.cosh(w) + sp.cosh(x)) / sp.sinh(x) * speed / 2 - 1,
                sp.cosh(w + 2 * x) - sp.cosh(w) - 2 * sp.sinh(w + x) * sp.sinh(x),
            ],
            reduce=through_exponential(w, x, root=2),
        )
    )
    return steps


def _of_order(answer: Any, order: Any, v: Any) -> Any:
    """The claimed time per (κ - 1)/2, at z = (κ - 1) v."""
    factor, rest = sp.sympify(answer).as_independent(_reached, _start, as_Add=False)
    scaled = sp.cancel(2 * factor / (kappa - 1)) * rest
    return scaled.subs({kappa: order, _reached: (order - 1) * v})


def _largest_apart(found: Any) -> Any:
    """A sum as its term at 0 and the rest, counted from 0 again."""
    ((index, low, high),) = found.limits
    rest = found.function.subs(index, index + 1)
    return found.function.subs(index, low) + sp.Sum(rest, (index, low, high - 1))


def _block(base: Any) -> Any:
    """(K/m²) t as a function of U = e^gap, up to a constant."""
    r = (K - m) / m
    return (1 + r) ** 2 * sp.log(1 - 1 / base) + (1 + r) * sp.log(base) + r**2 / base + base


_block_time = m**2 / K * (_block(sp.exp(_reached)) - _block(sp.exp(_start)))


@claim(
    "At T = 1/2, the time in which m tied leaders leave K - m tied others behind.",
    _block_time,
    lhs="t",
    of=(
        notation.gap.written(_reached)(2.0, 8.0),
        notation.gap_initial.written(_start)(0.1, 1.5),
        notation.num_outcomes(4.0, 100.0),
        notation.num_modes(1.0, 3.0),
    ),
    loop=COLD,
    given=STEP,
    assumes=SMALL + " The logits take two values.",
    near_misses={
        "K/m in place of K/m²": _block_time / m,
        "the largest term alone": m**2 / K * (sp.exp(_reached) - sp.exp(_start)),
        "small gaps": K * sp.log(_reached / _start),
    },
    edges=[
        at(3.0, 1.0, 2, 1),
        at(10.0, 0.5, 50_000, 1),
        at(1.0, 1.0, 9, 2, gives=0.0),
    ],
)
def online_block(answer: Any) -> list[Step]:
    """Two levels, their exact equation at T = 1/2, and the stated antiderivative."""
    return [
        Step("from a gap to itself it takes no time", answer.subs(_reached, _start)),
        Step(
            "the time passes at rate 1 along the flow of two levels",
            sp.diff(at_gap(answer), U) * U * levels_speed(2) - 1,
            reduce=sp.factor,
        ),
        *levels(COLD, 2),
    ]


_blow_up = K * (-sp.log(1 - sp.exp(-z0)) - sp.exp(-z0))


@claim(
    "At T = 1/2 one leader among many takes over suddenly, after a time K f(gap).",
    _blow_up,
    lhs="t^*",
    kind="asymptotic",
    of=(
        notation.gap.written(z0)(0.1, 5.0),
        notation.num_outcomes(100.0, 100_000.0),
    ),
    loop=COLD,
    given=STEP,
    assumes=SMALL + " One leader, the others equal; K → ∞.",
    near_misses={
        "without the second term": -K * sp.log(1 - sp.exp(-z0)),
        "a square in place of the logarithm": K * sp.exp(-2 * z0) / 2,
        "K - 1 leaders to beat at rate 1": sp.log(K) / z0,
        "growth at the rate of small gaps": K * sp.log(sp.log(K) / z0),
    },
    edges=[
        at(20.0, 50_000),
        at(1e-9, 50_000),
    ],
)
def blow_up(answer: Any) -> list[Step]:
    """The limit of many outcomes of the exact time, `online.online_block`."""
    # Half the probability is a gap of log(K - 1).
    exact = online_block.rhs.subs(m, 1).subs({_reached: sp.log(K - 1), _start: sp.log(U)})
    limit = sum(sp.limit(part / K, K, sp.oo) for part in sp.Add.make_args(_one_leader(exact)))
    return [
        Step(
            "the exact time over this one tends to 1",
            sp.limit(at_gap(answer, z0) / K, K, sp.oo) / limit - 1,
        ),
    ]


def _one_leader(time: Any) -> Any:
    """The end and the start of a time, each as one term."""
    at_start = [part for part in sp.Add.make_args(sp.expand(time)) if part.has(U)]
    return sp.Add(sum(at_start), sp.expand(time) - sum(at_start), evaluate=False)


_unscaled = (
    (T - 1)
    * t
    * (
        sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
        - sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)
    )
)


@claim(
    "Flow at T for t, then at 1/T for t/T on θ/T, leads back: T φ(t/T) = θ(0).",
    theta[i],
    lhs=r"{T\varphi_i(t/T)}",
    of=(
        notation.logits(-3.0, 3.0),
        notation.temperature(0.1, 9.0),
        notation.time.written(t)(0.0, 9.0),
    ),
    loop=ONLINE,
    given=STEP,
    assumes=SMALL,
    up_to_shift=True,
    near_misses={
        "the time not divided by T (leading order)": theta[i] + _unscaled,
        "the logits not divided by T": theta[i] * T,
        "the sign turned": -theta[i],
    },
)
def duality(answer: Any) -> list[Step]:
    """The two vector fields are each other's negative once logits and time are scaled.

    Where one ends from θ, forth and back for t, is where one ends from θ moved on, forth and back
    for the rest of t, once the end has moved on at 1/T: ∂A/∂t = v_T(θ)·∂A/∂θ + v_{1/T}(A/T).
    """
    steps = []
    for size in (2, 3):
        here = symbolic.model(size)
        forth = velocity(ONLINE, [sp.exp(value) for value in here])
        ends = [at_outcomes(sp.sympify(answer).subs(i, place + 1), size) for place in range(size)]
        back = velocity(symbolic.given(ONLINE, {T: 1 / T}), [sp.exp(value / T) for value in ends])
        moved = [
            sum(v * sp.diff(end, value) for v, value in zip(forth, here, strict=True))
            + speed
            - sp.diff(end, t)
            for end, speed in zip(ends, back, strict=True)
        ]
        offsets = [end.subs(t, 0) - value for end, value in zip(ends, here, strict=True)]
        steps += [
            Step(
                "after no time it is θ, up to a constant",
                [offset - offsets[0] for offset in offsets[1:]],
                sizes={"K": size},
            ),
            Step(
                "forth for an instant and back for an instant lead nowhere",
                [one - moved[0] for one in moved[1:]],
                reduce=rational,
                sizes={"K": size},
            ),
        ]
    return steps


@claim(
    "Under the online flow at T < 1 the losers become equal, as t^(-m/K).",
    m / K,
    lhs=-sp.Symbol(r"{d\log(\theta_j-\theta_k)/d\log t}"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(4.0, 60.0),
        notation.num_modes(1.0, 3.0),
    ),
    loop=ONLINE,
    given={**STEP, "temperature": T},
    assumes=SMALL + " T < 1; late times.",
    near_misses={
        "1/K, ties ignored": 1 / K,
        "m/(K - m)": m / (K - m),
        "1/m": 1 / m,
        "they stay apart": 0 * K,
    },
    edges=[
        at(2, 1, gives=0.5),
    ],
)
def losers_equalise(answer: Any) -> list[Step]:
    """Late losers are g/(c + G), see `online.collapse_tail`; G grows as the claimed power of t."""
    c, d, G = sp.symbols("c d G", positive=True)
    growing = t**answer
    return [
        Step(
            "g/G = d log G/dt is the probability m/(Kt) of one of the K - m losers",
            sp.diff(growing, t) / growing - collapse_tail.rhs / (K - m),
        ),
        Step(
            "log p_j/p_k = log (d + G)/(c + G) ~ (d - c)/G",
            sp.limit(G * sp.log((d + G) / (c + G)), G, sp.oo) - (d - c),
        ),
    ]


@claim(
    "Small logits decay at the rate (1 - 1/T)/K, all directions alike.",
    (1 - 1 / T) / K,
    lhs="r",
    of=(
        notation.temperature(0.1, 9.0),
        notation.num_outcomes(2.0, 60.0),
    ),
    loop=ONLINE,
    given=STEP,
    assumes=SMALL + " Infinitesimal logits.",
    near_misses={
        "no 1/K, as in the mixture flow": 1 - 1 / T,
        "(T - 1)/K": (T - 1) / K,
        "the sign turned": (1 / T - 1) / K,
        "1/K, as with a uniform target": 1 / K,
    },
    edges=[
        at(math.inf, 4, gives=0.25),
        at(1.0, 4, gives=0.0),
        at(1e-3, 50_000),
    ],
)
def uniform_rate(answer: Any) -> list[Step]:
    """Linearise the online flow at the uniform distribution.

    The slope commutes with every permutation of the outcomes: on logits that add up to 0 it is one
    number, which two levels show for every K.
    """
    steps = [
        Step(
            "m outcomes a little above the K - m others: the gap decays at the claimed rate",
            sp.diff(levels_speed(1 / T).subs(U, sp.exp(z)), z).subs(z, 0) + answer,
        )
    ]
    scale = sp.Symbol("epsilon", real=True)
    for size in (2, 3, 5):
        free = symbolic.model(size)[:-1]
        v = [*free, -sum(free)]
        speeds = velocity(ONLINE, [sp.exp(scale * value) for value in v])
        steps.append(
            Step(
                "any small θ with Σθ = 0 decays at the claimed rate",
                [
                    sp.diff(speed, scale).subs(scale, 0) + sp.sympify(answer).subs(K, size) * value
                    for speed, value in zip(speeds, v, strict=True)
                ],
                sizes={"K": size},
            )
        )
    return steps


_excess: Any = 1 / T - 1
_q = sp.exp(theta[j]) / total(sp.exp(theta[k]), k)
_P: Any = sp.Sum(_q, (j, 1, m))
_C: Any = total(_q ** (1 + _excess), j)
_M: Any = sp.Sum(_q ** (1 + _excess), (j, 1, m)) / _P
_x_top: Any = sp.Sum(_q**2, (j, 1, m)) / _P
_x_rest: Any = sp.Sum(_q**2, (j, m + 1, K)) / (1 - _P)
_majorisation = _P * (1 - _P) * (_M / _C - 1) * (_x_top - _x_rest)


@claim(
    "At T < 1 the m most probable outcomes gain at least this fast, so that p(t) majorises "
    "p(s) (outcomes in decreasing order).",
    _majorisation,
    lhs="{dP_m/dt}",
    kind="bound",
    of=(
        notation.logits,
        notation.temperature,
        notation.num_top,
    ),
    loop=ONLINE,
    given=STEP,
    assumes=SMALL + " T < 1; for T > 1 the inequality turns.",
    source="derived here; the order itself in Marshall, Olkin and Arnold (2011)",
    cites=("marshall2011",),
    relation=">=",
    near_misses={
        "without (M/C - 1)": _P * (1 - _P) * (_x_top - _x_rest),
        "M in place of M/C - 1": _P * (1 - _P) * _M * (_x_top - _x_rest),
        "without P(1 - P)": _majorisation / (_P * (1 - _P)),
        "doubled": 2 * _majorisation,
    },
    edges=[
        Edge({"logits": sorted(logits, reverse=True), "temperature": temperature, "num_top": top})
        for logits, top in (
            (MODEL, 1),
            (MODEL, 2),
            (MODEL, 3),
            (MANY[:40], 7),
            ([2.0, -1.0], 1),
        )
        for temperature in (0.2, 0.5, 1 - 1e-9, 1 + 1e-9, 3.0)
    ]
    + [
        Edge({"logits": MODEL, "temperature": 1.0, "num_top": 2}, 0.0),
        Edge({"logits": [0.0] * 4, "temperature": 0.5, "num_top": 2}, 0.0),
        Edge({"logits": [1.0, 1.0, 0.0], "temperature": 0.5, "num_top": 1}),
    ],
)
def majorisation(answer: Any) -> list[Step]:
    """DP/dt is the bound plus P(1-P)/C times two sums of terms of one sign, identically."""
    size, top = 4, 2
    p = symbolic.shares(size)
    powers = sp.symbols(f"r1:{size + 1}", positive=True)  # p^(β-1)
    plain = {q ** (1 / T): q * r for q, r in zip(p, powers, strict=True)}

    def written(expression: Any) -> Any:
        return expression.subs(plain)

    C: Any = sum(q * r for q, r in zip(p, powers, strict=True))
    speed = symbolic.fisher_matrix(p) * sp.Matrix(velocity(ONLINE, p))
    P: Any = sum(p[:top])
    mean_top = [q / P for q in p[:top]]
    mean_rest = [q / (1 - P) for q in p[top:]]
    M: Any = sum(q * r for q, r in zip(mean_top, powers[:top], strict=True))
    chebyshev: Any = sum(
        mean_top[a] * mean_top[b] * (powers[a] - powers[b]) * (p[a] - p[b])
        for a in range(top)
        for b in range(a + 1, top)
    )
    rest = list(zip(mean_rest, p[top:], powers[top:], strict=True))
    below: Any = sum(q * a * (M - r) for q, a, r in rest)
    M_rest: Any = sum(q * r for q, _, r in rest)
    bound = symbolic.written_out(sp.sympify(answer).subs(m, top), p)
    return [
        Step(
            "dP/dt = bound + P(1-P)/C [Σ (p_a^(β-1) - p_b^(β-1))(p_a - p_b) + Σ p (M - p^(β-1))]",
            written(sum(speed[:top])) - written(bound) - P * (1 - P) / C * (chebyshev + below),
            reduce=lambda e: sp.expand(sp.numer(sp.together(e))),
            sizes={"K": size, "m": top},
        ),
        Step(
            "M - C = (1 - P)(M - M_rest): both brackets have the sign of β - 1",
            C - P * M - (1 - P) * M_rest,
            reduce=sp.cancel,
        ),
    ]


# --- other geometries -----------------------------------------------------------------------------


_model_p = sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
_drawn_p = sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)


def _mixture_online(power: Any = 1 / T - 1) -> Any:
    partition = total(sp.exp(theta[k]), k)

    def log_p(at: Any, shift: Any) -> Any:
        base = (sp.exp(at) / partition) ** (-power) - power * shift
        return -t - sp.log(base) / power

    largest = sp.exp(Largest(theta)) / partition
    excess = total(sp.exp(log_p(theta[j], sigma)), j) - 1
    high = (largest ** (-power) - sp.exp(-power * t)) / power
    root = Root(sp.Lambda(sigma, excess), sp.Integer(0), high)
    return log_p(theta[i], root)


@claim(
    "Mixture flow as one's own teacher moves all outcomes alike in p^(1-1/T).",
    _mixture_online(),
    lhs=sp.log(sp.Function("p_i")(t)),
    of=(
        notation.logits(-2.0, 2.0),
        notation.temperature(0.3, 4.0),
        notation.time.written(t)(0.01, 8.0),
    ),
    loop=MIXTURE,
    given=STEP,
    assumes=SMALL,
    source="derived here; parabolic and hyperbolic replicators (Szathmáry and Smith 1997)",
    cites=("szathmary1997", "marchi2024"),
    near_misses={
        "the teacher frozen": sp.log((1 - sp.exp(-t)) * _drawn_p + sp.exp(-t) * _model_p),
        "the natural flow of the reverse divergence": theta[i] * sp.exp((1 / T - 1) * t)
        - sp.log(total(sp.exp(theta[j] * sp.exp((1 / T - 1) * t)), j)),
        "translated in the logarithm of order 1/2 always": _mixture_online(sp.Rational(1, 2)),
    },
    edges=[
        at(MODEL, 0.5, 50.0),
        at(MODEL, 0.5, 1e-9),
        at(MODEL, 1 - 1e-9, 3.0),
        at(MODEL, 1 + 1e-12, 3.0),
        at(MODEL, 100.0, 3.0),
        at(MODEL, 0.1, 10.0),
        at([1.0, 1.0, -0.5, 0.0], 0.5, 4.0),
        at(MANY[:30], 2.0, 4.0),
    ],
)
def mixture_online(answer: Any) -> list[Step]:
    """E^t p moves by a common factor times its own power β: one translation for all.

    With σ a symbol s in the answer A = log p, dA/dt = ∂A/∂t + ds/dt ∂A/∂s must be the flow's.
    """
    s, excess_power = sp.Symbol("s", positive=True), sp.Symbol("b", real=True)
    hot = {T: 1 / (1 + excess_power)}  # b = 1/T - 1, of either sign
    answer = sp.sympify(answer).subs(hot)
    (root,) = answer.atoms(Root)
    loop = symbolic.given(MIXTURE, hot)
    steps = []
    for size in (2, 3):
        P, start = sp.symbols(f"P1:{size + 1}", positive=True), symbolic.shares(size, "q")
        moved = symbolic.written_out(answer.xreplace({root: s}), start)
        speeds = [sp.diff(value, s) for value in moved]
        known: Any = dict(zip((sp.log(x) for x in P), moved, strict=True))
        # dp/dt + p = p ds/dt ∂A/∂s, in logarithms and up to log ds/dt.
        logs = [
            cast(Any, sp.expand_log(sp.log((v + x) / x), force=True)).subs(known) - sp.log(speed)
            for v, x, speed in zip(velocity(loop, P), P, speeds, strict=True)
        ]
        excess = symbolic.written_out(root.args[0](s), start)
        steps += [
            Step(
                "at fixed σ every log p falls at rate 1",
                [sp.diff(value, t) + 1 for value in moved],
                sizes={"K": size},
            ),
            Step(
                "σ moves all outcomes at one speed along the flow",
                [one - logs[0] for one in logs[1:]],
                reduce=lambda e: sp.expand(sp.expand_log(sp.expand(e), force=True)),
                sizes={"K": size},
            ),
            Step(
                "at time 0, where σ = 0, it is the model",
                [
                    sp.expand_log(value.subs({s: 0, t: 0}), force=True) - sp.log(x)
                    for value, x in zip(moved, start, strict=True)
                ],
                sizes={"K": size},
            ),
            Step(
                "σ is where the probabilities add up to 1",
                excess - (sum(sp.exp(value) for value in moved) - 1),
                sizes={"K": size},
            ),
        ]
    return steps


@claim(
    "Natural gradient flow of KL(p ‖ p_T) is tempering in continuous time.",
    theta[i] * sp.exp((1 / T - 1) * t),
    lhs=sp.Function(r"\theta_i")(t),
    of=(
        notation.logits(-3.0, 3.0),
        notation.temperature(0.2, 4.0),
        notation.time.written(t)(0.0, 5.0),
    ),
    assumes="Infinite samples; natural gradient flow; the model is its own teacher.",
    source="derived here; natural gradient of Amari (1998)",
    cites=("amari1998",),
    up_to_shift=True,
    near_misses={
        "1/T in place of 1/T - 1": theta[i] * sp.exp(t / T),
        "the teacher frozen": theta[i] * (1 / T + (1 - 1 / T) * sp.exp(-t)),
        "T^(-t), one refit per unit of time": theta[i] * T ** (-t),
        "the Euclidean flow of small logits": theta[i] * sp.exp((1 / T - 1) * t / K),
    },
    edges=[
        at(MODEL, 1.0, 3.0, gives=MODEL),
        at(MODEL, 1 + 1e-12, 3.0),
        at(MODEL, 0.5, 0.0, gives=MODEL),
        at(MANY, 2.0, 0.0, gives=MANY),
    ],
)
def natural(answer: Any) -> list[Step]:
    """F dθ/dt = -∇ KL(p ‖ p_T) is solved by dθ/dt = (β - 1) θ."""
    size = 3
    here = symbolic.model(size)
    direction = [(1 / T - 1) * value for value in here]
    gradient = [-slope for slope in _downhill(tuple(here), T)]
    moved = [at_outcomes(sp.sympify(answer).subs(i, place + 1), size) for place in range(size)]
    steps = [
        step
        for value, end in zip(here, moved, strict=True)
        for step in symbolic.along_flow(
            dict(zip(here, direction, strict=True)), value, end, time=t, what=" (K = 3)"
        )
    ]
    return [
        *steps,
        Step(
            "F (1/T - 1) θ = -∇ KL(softmax ‖ teacher) at the model",
            list(
                symbolic.fisher_matrix(symbolic.softmax(here)) * sp.Matrix(direction)
                + sp.Matrix(gradient)
            ),
            reduce=rational,
            sizes={"K": size},
        ),
    ]


@functools.cache
def _downhill(values: tuple[Any, ...], temperature: Any) -> list[Any]:
    """Minus the gradient of KL(p ‖ p_T) in the logits of p, at p_T of the model itself."""
    student = sp.symbols(f"x1:{len(values) + 1}", real=True)
    drawn = Temperature(temperature)([sp.exp(value) for value in values])
    here = dict(zip(student, values, strict=True))
    divergence = symbolic.kl_divergence(symbolic.softmax(student), drawn)
    return [-sp.diff(divergence, x).subs(here, simultaneous=True) for x in student]


_s = (1 / T - 1) * t
_z_late = -sp.LambertW(-1 / (K * _s), -1)


@claim(
    "Plain gradient flow of KL(p ‖ p_T) collapses as 1/(t log t).",
    (K - 1) / (K * _s * _z_late),
    lhs=1 - sp.Symbol("p_{max}"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(2.0, 50.0),
        notation.temperature(0.2, 0.8),
        notation.time.written(t)(100.0, 1e8),
    ),
    assumes="Infinite samples; gradient flow of KL(p ‖ p_T) on the logits; T < 1; late times.",
    near_misses={
        "no logarithm": (K - 1) / (K * _s),
        "log t in place of z": (K - 1) / (K * _s * sp.log(t)),
        "K left out": (K - 1) / (_s * _z_late),
        "one loser": 1 / (K * _s * _z_late),
        "T ignored": (K - 1) / (K * t * -sp.LambertW(-1 / (K * t), -1)),
    },
)
def reverse_kl_tail(answer: Any) -> list[Step]:
    """The gap of a leader over equal losers, exactly, and the late solution."""
    s, b = sp.symbols("s b", positive=True)  # s = (1/T - 1) t and b = 1/T - 1 > 0
    leading = (K - 1) / sp.sympify(answer).subs(T, 1 / (1 + b)).subs(t, s / b)  # e^z
    steps = [
        Step(
            "e^z = (K - 1)/tail of the claimed tail solves e^z/z = K s",
            leading / (K * s) - sp.log(leading),
            reduce=_late_root,
        ),
        Step(
            "late, dz/ds = K z e^-z: e^z/z grows at K(1 - 1/z)",
            sp.diff(sp.exp(_reached) / _reached, _reached) * K * _reached * sp.exp(-_reached)
            - K * (1 - 1 / _reached),
        ),
    ]
    for size in (3, 4):
        values = (z, *[sp.Integer(0)] * (size - 1))
        speeds, p = _downhill(values, T), symbolic.softmax(values)
        steps.append(
            Step(
                "dz/dt = (1/T - 1) K p_mode p_loser z",
                speeds[0] - speeds[1] - (1 / T - 1) * size * p[0] * p[1] * z,
                reduce=rational,
                sizes={"K": size},
            )
        )
    return steps


def _late_root(expression: Any) -> Any:
    """A reduction: Z = -W(x) of the lower branch has log Z = Z + log(-x)."""
    roots = [found for found in expression.atoms(sp.LambertW) if found.args[1:] == (-1,)]
    if len(roots) != 1:
        return expression
    late = sp.Symbol("Z", positive=True)
    found = sp.expand_log(sp.expand(expression.xreplace({roots[0]: -late})), force=True)
    return sp.expand(found.subs(sp.log(late), late + sp.expand_log(sp.log(-roots[0].args[0]))))


# --- one potential --------------------------------------------------------------------------------

_nu: Any = notation.natural.symbol


_q_real = sp.exp(psi[j]) / total(sp.exp(psi[k]), k)
_p_j = sp.exp(theta[j]) / total(sp.exp(theta[k]), k)
_drawn_j = sp.exp(theta[j] / T) / total(sp.exp(theta[k] / T), k)
_slope = (1 - a) * _drawn_j + a * _q_real - _p_j


@claim(
    "Online flow (ν = 0) and mixture flow (ν = 1) climb one potential Φ.",
    total(_slope**2 / _p_j**_nu, j),
    lhs=r"d\Phi/dt",
    of=(
        notation.logits(-3.0, 3.0),
        notation.temperature(0.2, 3.0),
        notation.logits_real(-2.0, 2.0),
        notation.fraction(0.0, 1.0),
        notation.natural(0.0, 1.0),
    ),
    loop=REAL,
    given=STEP,
    assumes=SMALL + " ν = 1: the steps are on the probabilities.",
    source="derived here; each ingredient (CCCP, MM, mirror descent) is classical",
    cites=("yuille2003", "hunter2004", "raskutti2013"),
    near_misses={
        "the other geometry": total(_slope**2 / _p_j ** (1 - _nu), j),
        "real data ignored": total((_drawn_j - _p_j) ** 2 / _p_j**_nu, j),
        "divided by the corpus": total(_slope**2 / (_slope + _p_j) ** _nu, j) * (1 + _nu),
        "halved": total(_slope**2 / _p_j**_nu, j) / 2,
    },
    edges=[
        Edge(
            {
                "logits": MODEL,
                "temperature": temperature,
                "logits_real": MODEL[::-1],
                "fraction": fraction,
                "natural": natural,
            }
        )
        for temperature, fraction in ((0.01, 0.0), (1.0, 0.3), (1e3, 1.0), (0.5, 0.25))
        for natural in (0, 1)
    ],
)
def potential(answer: Any) -> list[Step]:
    """∇Φ, the two flows, the minorant behind refit and frozen teacher, and the common stability."""
    # The answer, and the loop's own speeds, at any model and any real data.
    size = 3
    model, real = symbolic.shares(size), symbolic.shares(size, "q")
    flow = symbolic.given(REAL, {psi: real})
    mixture = Loop(flow.sampler, flow.corpus, MixtureStep(eta))

    def climbed(nu: int) -> Any:
        rate = symbolic.written_out(sp.sympify(answer).subs(_nu, nu), model)
        return symbolic.written_out(rate, real, psi).replace(
            lambda e: isinstance(e, sp.exp) and e.args[0].atoms(sp.log),
            lambda e: sp.Mul(*(_power(part) for part in sp.Add.make_args(e.args[0]))),
        )

    ascent = velocity(mixture, model)
    return [
        Step(
            "Σ ∇Φ · dθ/dt is the claimed rate, ∇Φ = g: ν = 0, where dθ/dt is g",
            sum(g * g for g in ascent) - climbed(0),
            reduce=sp.expand,
            sizes={"K": size},
        ),
        Step(
            "… and ν = 1, where dp/dt = p dθ/dt is g, up to a constant of the logits",
            sum(g * g / x for g, x in zip(ascent, model, strict=True)) - climbed(1),
            reduce=sp.expand,
            sizes={"K": size},
        ),
        Step(
            "g is the loop's own dθ/dt",
            [v - g for v, g in zip(velocity(flow, model), ascent, strict=True)],
            reduce=lambda e: sp.expand(sp.numer(sp.together(e))),
            sizes={"K": size},
        ),
        *climbing(size),
    ]


@functools.cache
def climbing(size: int) -> list[Step]:
    """The steps about Φ itself, which every answer needs: made once."""
    here, s = symbolic.model(size), 1 - a
    log_partition = sp.log(sum(sp.exp(v) for v in here))
    tempered = T * sp.log(sum(sp.exp(v / T) for v in here))
    real = symbolic.shares(size, "q")
    phi = s * tempered + a * sum(q * v for q, v in zip(real, here, strict=True)) - log_partition
    p, p_T = symbolic.softmax(here), symbolic.softmax([v / T for v in here])
    corpus = [s * b + a * q for b, q in zip(p_T, real, strict=True)]
    slope = [c - b for c, b in zip(corpus, p, strict=True)]
    natural_direction = [v / b for v, b in zip(slope, p, strict=True)]
    student = sp.symbols(f"s1:{size + 1}", real=True)
    log_corpus = [sp.log(c) for c in corpus]
    jacobian = sp.Matrix(size, size, lambda row, column: sp.diff(log_corpus[row], here[column]))
    ratio = sp.diag(*[1 / c for c in corpus])
    u = sp.symbols("u1:4", real=True)
    curvature = sum(
        sp.diff(tempered, one, other) * u_one * u_other
        for one, u_one in zip(here, u, strict=True)
        for other, u_other in zip(here, u, strict=True)
    )
    spread = sum(
        p_T[one] * p_T[other] * (u[one] - u[other]) ** 2
        for one in range(size)
        for other in range(one + 1, size)
    )
    # Stability: with B F = 1 - e^(-τF), a function of F, and G = s β F_{p_T}; C is the root of B.
    B, F, G, C, inverse = sp.symbols("B F G C C^{-1}", commutative=False)
    decay = 1 - B * F
    return [
        Step(
            "∇Φ = s p_T + a q - p: the online flow is its gradient flow, dΦ/dt = Σ g²",
            [sp.diff(phi, v) - g_v for v, g_v in zip(here, slope, strict=True)],
        ),
        Step(
            "g/p is the natural gradient, F (g/p) = g = dp/dt: dΦ/dt = Σ g²/p",
            list(symbolic.fisher_matrix(p) * sp.Matrix(natural_direction) - sp.Matrix(slope)),
            reduce=rational,
        ),
        Step(
            "Φ + lse is convex, with curvature Σ p_T p_T (u - u)²/T: its tangent is a minorant",
            (curvature - spread / T).subs(here[2], 0),
            reduce=rational,
        ),
        Step(
            "the minorant's gradient in the student is corpus - softmax, minus that of the "
            "cross-entropy: a refit maximises it and the flow to a frozen teacher climbs it",
            [
                sp.diff(
                    sum(c * v for c, v in zip(corpus, student, strict=True))
                    - sp.log(sum(sp.exp(v) for v in student)),
                    v,
                )
                + sp.diff(symbolic.cross_entropy(corpus, student), v)
                - 0
                for v in student
            ],
            reduce=rational,
        ),
        Step(
            "the refit's Jacobian at a fixed point is s β diag(1/p) F_{p_T}, similar to the "
            "symmetric s β F_p^(-1/2) F_{p_T} F_p^(-1/2): below 1 iff the flow's Jacobian "
            "s β F_{p_T} - F_p is negative",
            list(jacobian - ratio * s / T * symbolic.fisher_matrix(p_T)),
            reduce=rational,
        ),
        Step(
            "a frozen teacher for a time τ has the Jacobian e^(-τF) + B G = 1 - B (F - G)",
            (decay + B * G) - (1 - B * (F - G)),
            reduce=sp.expand,
        ),
        Step(
            "with B = C² it is similar to the symmetric 1 - C (F - G) C: below 1 iff F - G is "
            "positive; and to e^(-τF) + C G C, which is positive: the same stability",
            [
                inverse * (1 - C * C * (F - G)) * C - (1 - C * (F - G) * C),
                inverse * (C * C * G) * C - C * G * C,
            ],
            reduce=lambda e: sp.expand(sp.expand(e).subs(inverse * C, 1)),
        ),
    ]


def _power(exponent: Any) -> Any:
    """The exponential of c log x, as x^c."""
    logs = [part for part in sp.Mul.make_args(exponent) if isinstance(part, sp.log)]
    return logs[0].args[0] ** (exponent / logs[0]) if len(logs) == 1 else sp.exp(exponent)
