"""Online: infinite samples, and a teacher that moves along with its student.

Proofs in SymPy. The model is its own teacher at temperature T, dθ/dτ = softmax(θ/T) - softmax(θ).
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Step, at, at_outcomes, claim, total
from fixedpoint.laws.notation import T, beta, eta, m, tau, theta, z
from fixedpoint.symbolic import GradientSteps, Loop, Temperature, gap_speed, rational, velocity

z0: Any = notation.gap_initial.symbol
degree: Any = notation.degree.symbol
U: Any = sp.Symbol("U", positive=True)
y: Any = sp.Symbol("y", positive=True)
j: Any = sp.Symbol("j", integer=True, positive=True)
k: Any = sp.Symbol("k", integer=True, positive=True)
K: Any = NUM_OUTCOMES
i: Any = OUTCOME

ONLINE = Loop(Temperature(T), learner=GradientSteps(eta))
COLD = Loop(Temperature(sp.Rational(1, 2)), learner=GradientSteps(eta))
SMALL = "η → 0, the time being η × generations: the model is its own teacher."
STEP = {"step_size": eta}
"""The step of the loops, which tends to 0 and is not seen in any answer."""
MODEL = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
MANY = [3.0 * math.sin(7.0 * number) for number in range(40)]


def through_exponential(*variables: Any, root: int = 1) -> Callable[[Any], Any]:
    """A reduction: each variable becomes `root` times a logarithm, then one numerator is left."""

    def reduce(expression: Any) -> Any:
        logs = {v: root * sp.log(sp.Symbol(f"e_{v}", positive=True)) for v in variables}
        plain = sp.expand(expression.rewrite(sp.exp)).subs(logs)
        return sp.expand(sp.numer(sp.together(sp.powsimp(sp.expand_log(plain)))))

    return reduce


# --- leaders and losers ---------------------------------------------------------------------------


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


_tail = m * (K - m) / (K * tau)


@claim(
    "A model that is its own teacher at T < 1 collapses as 1/τ, whatever T.",
    _tail,
    lhs=1 - sp.Symbol("P_M"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(4.0, 60.0),
        notation.time(1.0, 1000000.0),
        notation.num_modes(1.0, 3.0),
    ),
    loop=ONLINE,
    observe="tail_probability",
    given={**STEP, "temperature": T},
    assumes=SMALL + " T < 1; late times: p^(1/T-1) << 1.",
    source="derived here; the 1/τ rate is known in softmax policy gradient (Mei et al. 2020)",
    cites=("mei2020",),
    near_misses={
        "(K - m)/τ": (K - m) / tau,
        "1/(Kτ)": 1 / (K * tau),
        "m/(Kτ), one loser": m / (K * tau),
        "(K - m)/(Kτ), m lost": (K - m) / (K * tau),
        "(K - 1)/(Kτ), ties ignored": (K - 1) / (K * tau),
        "the mixture flow": sp.exp(-tau),
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
    lost = f(tau) / (c + G)
    falling = -(K - m) / m * f(tau) * (m / (K * tau))  # g' = -(S/m) g with S = (K - m) p
    # S = (K - m) p falls at (K - m) K P p (p - p_T), of which p_T drops out.
    slowness = sp.limit((K - m) * K * leader * y * y / ((K - m) * y) ** 2, y, 0)
    return [
        Step(
            "dS/dτ = -K S²/(m (K - m)), the leading order, is what the tail S obeys",
            sp.diff(answer, tau) + slowness * answer**2,
        ),
        *levels(ONLINE, 1 / T),
        Step(
            "the gap grows at (P_T - p_T) - (P - p) = (K/m)(p - p_T)",
            (leader_T - loser_T) - (leader - loser) - K / m * (loser - loser_T),
        ),
        Step(
            "dp/dz = -m P p, so that dp/dτ = -K P p (p - p_T)",
            sp.diff(share, z) + m * share * (1 - (K - m) * share) / m,
        ),
        Step(
            "p_T/p is m^(β-1) p^(β-1) to leading order, which vanishes with p for β = 1/T > 1",
            [(loser_T / y**beta).subs(y, 0) - m ** (beta - 1), sp.limit(y**cold, y, 0, "+")],
        ),
        Step(
            "unequal losers: dp/dτ = -p (p + S/m) is solved by g/(c + G), dG/dτ = g, dg/dτ = -Sg/m",
            sp.diff(lost, tau).subs(sp.diff(f(tau), tau), falling)
            - lost * f(tau) / (c + G)
            + lost * (lost + (K - m) / m * (m / (K * tau))),
        ),
        Step(
            "so that their ratio tends to 1 with growing G",
            sp.limit((c + G) / (2 * c + G), G, sp.oo) - 1,
        ),
    ]


def _lambert_gap(rate: Any, power: Any) -> Any:
    scale = sp.Max(1, T)
    c = sp.cosh(z0 / scale) - 1
    now = sp.LambertW(power * c * sp.exp(power * c + rate * tau)) / power
    return sp.sign(z0) * scale * sp.acosh(1 + now)


_steepness = sp.Max(T, 1 / T) - 1


@claim(
    "The gap of two outcomes at T = 1/3, 1/2, 2, 3 by Lambert's W.",
    _lambert_gap(1 / T - 1, _steepness),
    lhs=sp.Function("z")(tau),
    of=(
        notation.gap_initial,
        notation.temperature,
        notation.time,
    ),
    loop=ONLINE,
    given=STEP,
    assumes=SMALL + " Two outcomes; T is 1/3, 1/2, 2 or 3.",
    near_misses={
        "T = 1/2's exponent for every T": _lambert_gap(1 / T - 1, sp.Integer(1)),
        "the rate of small gaps for ever": z0 * sp.exp((1 / T - 1) * tau / 2),
        "twice the rate": _lambert_gap(2 * (1 / T - 1), _steepness),
        "a teacher frozen at time 0, for long": z0 / T,
    },
    edges=[
        *(
            at(gap, temperature, time)
            for temperature in (1 / 3, 0.5, 2.0, 3.0)
            for gap, time in ((1.3, 0.7), (-2.5, 20.0), (1e-5, 3.0), (30.0, 1e6))
        ),
        at(0.0, 0.5, 3.0, gives=0.0),
        at(1.5, 2.0, 0.0, gives=1.5),
        at(600.0, 0.5, 10.0),
    ],
)
def two_outcomes(answer: Any) -> list[Step]:
    """What grows at a constant rate is m c + log c, which Lambert's W inverts."""
    steps, start = [], sp.Symbol("z_0", positive=True)
    for temperature in (sp.Rational(1, 3), sp.Rational(1, 2), sp.Integer(2), sp.Integer(3)):
        scale, power = max(1, temperature), max(temperature, 1 / temperature) - 1
        reached, mirrored = (
            sp.sympify(answer).subs({z0: gap, T: temperature}) for gap in (start, -start)
        )

        def coordinate(gap: Any, scale: Any = scale, power: Any = power) -> Any:
            level = sp.cosh(gap / scale) - 1
            return power * level + sp.log(level)

        growth = sp.diff(coordinate(z), z) * gap_speed(symbolic.given(ONLINE, {T: temperature}), z)
        steps += [
            Step(
                f"it begins with the gap z_0 and is odd in it (T = {temperature})",
                [reached.subs(tau, 0) - start, reached + mirrored],
                reduce=_inverted,
            ),
            Step(
                f"m c + log c has grown by (1/T - 1) τ, c = cosh(z/s) - 1 (T = {temperature})",
                coordinate(reached) - coordinate(start) - (1 / temperature - 1) * tau,
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


def _chebyshev(gap: Any) -> Any:
    """(1/T - 1) τ as a function of the gap, up to a constant."""
    size, v = sp.Abs(degree), gap / (degree - 1)
    number = sp.Symbol("k", integer=True, nonnegative=True)
    # Σ over size - 1, size - 3, …, down to 1 or 2
    cosines = sp.cosh((size - 1 - 2 * number) * v) / (size - 1 - 2 * number)
    whole = sp.Sum(2 * cosines, (number, 0, sp.floor(size / 2) - 1))
    return _logarithm(gap) + whole


def _logarithm(gap: Any) -> Any:
    return sp.log(sp.cosh((1 + sp.Mod(sp.Abs(degree), 2)) * gap / (degree - 1)) - 1)


_chebyshev_time = (degree - 1) / 2 * (_chebyshev(z) - _chebyshev(z0))


@claim(
    "At T = (d-1)/(d+1) the time between two gaps is a finite sum of cosh.",
    _chebyshev_time,
    lhs=tau,
    of=(notation.gap, notation.gap_initial, notation.degree),
    loop=ONLINE,
    given={**STEP, "temperature": T},
    assumes=SMALL + " Two outcomes; T = (d-1)/(d+1); d = ±2, ±3, …",
    near_misses={
        "the logarithm alone": (degree - 1)
        * sp.log(sp.sinh(z / (degree - 1)) / sp.sinh(z0 / (degree - 1))),
        "the rate of small gaps": (degree - 1) * sp.log(z / z0),
        "the sum halved": _chebyshev_time / 2 + (degree - 1) / 4 * (_logarithm(z) - _logarithm(z0)),
    },
    edges=[
        *(
            at(gap, start, number)
            for gap, start in ((3.7, 0.4), (0.3, 2.0))
            for number in (2, 3, 4, 5, 8, -2, -3, -6)
        ),
        at(1.0, 1.0, 5, gives=0.0),
        at(30.0, 1e-6, 3),
        at(3.0, 1.0, 101),
    ],
)
def chebyshev(answer: Any) -> list[Step]:
    """Differentiate the finite sum along the flow: for |d| = 2 and 3, and from |d| to |d| + 2."""
    steps = []
    for number in (2, 3, -2, -3):
        cold = sp.Rational(number - 1, number + 1)
        between = sp.sympify(answer).subs(degree, number).doit()
        speed = gap_speed(symbolic.given(ONLINE, {T: cold}), z)
        steps += [
            Step(f"from a gap to itself it takes no time (d = {number})", between.subs(z, z0)),
            Step(
                f"the time passes at rate 1 along the flow (d = {number}, T = {cold})",
                sp.diff(between, z) * speed - 1,
                reduce=through_exponential(z, root=2 * abs(number - 1)),
            ),
        ]
    h, v = sp.Symbol("h", integer=True, positive=True), sp.Symbol("v", positive=True)
    for sign, parity in itertools.product((1, -1), (0, 1)):
        size = 2 * h + parity
        now = _of_degree(answer, sign * size, v)
        later = _of_degree(answer, sign * (size + 2), v).replace(
            lambda e: isinstance(e, sp.Sum) and e.has(v), _largest_apart
        )
        steps.append(
            Step(
                "per (d - 1)/2 and at the same v = z/(d - 1), its slope in v grows from |d| to "
                "|d| + 2 by 2 sinh((|d| + 1) v)",
                sp.diff(later - now, v) - 2 * sp.sinh((size + 1) * v),
                reduce=lambda e: sp.expand(e.rewrite(sp.exp)),
            )
        )
    w, x = sp.symbols("w x", real=True)  # d v and v
    speed = gap_speed(symbolic.given(ONLINE, {T: (w - x) / (w + x)}), w - x)
    steps.append(
        Step(
            "that slope must be (cosh dv + cosh v)/sinh v, which grows by the same",
            [
                (sp.cosh(w) + sp.cosh(x)) / sp.sinh(x) * speed / 2 - 1,
                sp.cosh(w + 2 * x) - sp.cosh(w) - 2 * sp.sinh(w + x) * sp.sinh(x),
            ],
            reduce=through_exponential(w, x, root=2),
        )
    )
    return steps


def _of_degree(answer: Any, number: Any, v: Any) -> Any:
    """The claimed time per (d - 1)/2, at z = (d - 1) v."""
    factor, rest = sp.sympify(answer).as_independent(z, z0, as_Add=False)
    scaled = sp.cancel(2 * factor / (degree - 1)) * rest
    return scaled.subs({degree: number, z: (number - 1) * v})


def _largest_apart(found: Any) -> Any:
    """A sum as its term at 0 and the rest, counted from 0 again."""
    ((index, low, high),) = found.limits
    rest = found.function.subs(index, index + 1)
    return found.function.subs(index, low) + sp.Sum(rest, (index, low, high - 1))


def _block(base: Any) -> Any:
    """(K/m²) τ as a function of U = e^gap, up to a constant."""
    r = (K - m) / m
    return (1 + r) ** 2 * sp.log(1 - 1 / base) + (1 + r) * sp.log(base) + r**2 / base + base


_block_time = m**2 / K * (_block(sp.exp(z)) - _block(sp.exp(z0)))


@claim(
    "At T = 1/2, the time in which m tied leaders leave K - m tied others behind.",
    _block_time,
    lhs=tau,
    of=(
        notation.gap(2.0, 8.0),
        notation.gap_initial(0.1, 1.5),
        notation.num_outcomes(4.0, 100.0),
        notation.num_modes(1.0, 3.0),
    ),
    loop=COLD,
    given=STEP,
    assumes=SMALL + " The logits take two values.",
    near_misses={
        "K/m in place of K/m²": _block_time / m,
        "the largest term alone": m**2 / K * (sp.exp(z) - sp.exp(z0)),
        "small gaps": K * sp.log(z / z0),
    },
    edges=[
        at(3.0, 1.0, 2, 1),
        at(10.0, 0.5, 50_000, 1),
        at(1.0, 1.0, 9, 2, gives=0.0),
    ],
)
def block(answer: Any) -> list[Step]:
    """Two levels, their exact equation at T = 1/2, and the stated antiderivative."""
    return [
        Step("from a gap to itself it takes no time", answer.subs(z, z0)),
        Step(
            "the time passes at rate 1 along the flow of two levels",
            sp.diff(sp.sympify(answer).subs(z, sp.log(U)), U) * U * levels_speed(2) - 1,
            reduce=sp.factor,
        ),
        *levels(COLD, 2),
    ]


_blow_up = K * (-sp.log(1 - sp.exp(-z0)) - sp.exp(-z0))


@claim(
    "At T = 1/2 one leader among many takes over suddenly, after a time K f(gap).",
    _blow_up,
    lhs=r"\tau^*",
    kind="asymptotic",
    of=(
        notation.gap_initial(0.1, 5.0),
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
    """The limit of many outcomes of the exact time, `online.block`."""
    # Half of the probability is a gap of log(K - 1).
    answer = sp.sympify(answer).subs(z0, sp.log(U))
    exact = sp.expand(block.rhs.subs(m, 1).subs({z: sp.log(K - 1), z0: sp.log(U)}))
    at_start = sp.Add(*(part for part in sp.Add.make_args(exact) if part.has(U)))
    limit = sum(sp.limit(part / K, K, sp.oo) for part in (at_start, exact - at_start))
    return [
        Step("the exact time over this one tends to 1", limit - sp.limit(answer / K, K, sp.oo)),
        Step("it is K times a function of the gap, the leading term", sp.diff(answer / K, K)),
    ]


_unscaled = (
    (T - 1)
    * tau
    * (
        sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
        - sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)
    )
)


@claim(
    "Flow at T for τ, then at 1/T for τ/T on θ/T, leads back: T φ(τ/T) = θ(0).",
    theta[i],
    lhs=r"{T\varphi_i(\tau/T)}",
    of=(
        notation.logits(-3.0, 3.0),
        notation.temperature(0.1, 9.0),
        notation.time(0.0, 9.0),
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

    Where one ends from θ, forth and back for τ, is where one ends from θ moved on, forth and back
    for the rest of τ, once the end has moved on at 1/T: ∂A/∂τ = v_T(θ)·∂A/∂θ + v_{1/T}(A/T).
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
            - sp.diff(end, tau)
            for end, speed in zip(ends, back, strict=True)
        ]
        offsets = [end.subs(tau, 0) - value for end, value in zip(ends, here, strict=True)]
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
    "Under the online flow at T < 1 the losers become equal, as τ^(-m/K).",
    m / K,
    lhs=-sp.Symbol(r"{d\log(\theta_j-\theta_k)/d\log\tau}"),
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
    """Late losers are g/(c + G), see `online.collapse_tail`; G grows as the claimed power of τ."""
    c, d, G = sp.symbols("c d G", positive=True)
    growing = tau**answer
    return [
        Step(
            "g/G = d log G/dτ is the probability m/(Kτ) of one of the K - m losers",
            sp.diff(growing, tau) / growing - collapse_tail.rhs / (K - m),
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
    "At T < 1 the m most probable outcomes gain at least this fast, so that p(τ) majorises "
    "p(s) (outcomes in decreasing order).",
    _majorisation,
    lhs=r"{dP_m/d\tau}",
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
        *(
            at(sorted(logits, reverse=True), temperature, top)
            for logits, top in ((MODEL, 1), (MODEL, 2), (MODEL, 3), (MANY, 7), ([2.0, -1.0], 1))
            for temperature in (0.2, 0.5, 1 - 1e-9, 1 + 1e-9, 3.0)
        ),
        at(MODEL, 1.0, 2, gives=0.0),
        at([0.0] * 4, 0.5, 2, gives=0.0),
        at([1.0, 1.0, 0.0], 0.5, 1),
    ],
)
def majorisation(answer: Any) -> list[Step]:
    """DP/dτ is the bound plus P(1-P)/C times two sums of terms of one sign, identically."""
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
            "dP/dτ = bound + P(1-P)/C [Σ (p_a^(β-1) - p_b^(β-1))(p_a - p_b) + Σ p (M - p^(β-1))]",
            written(sum(speed[:top])) - written(bound) - P * (1 - P) / C * (chebyshev + below),
            reduce=rational,
            sizes={"K": size, "m": top},
        ),
        Step(
            "M - C = (1 - P)(M - M_rest): both brackets have the sign of β - 1",
            C - P * M - (1 - P) * M_rest,
            reduce=sp.cancel,
        ),
    ]
