"""Online: infinite samples, and a teacher that moves along with its student.

Proofs in SymPy.
"""

import math
from collections.abc import Callable, Sequence
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
    claim,
    total,
)

theta: Any = sp.IndexedBase("theta", real=True)
psi: Any = sp.IndexedBase("psi", real=True)
T: Any = sp.Symbol("T", positive=True)
t: Any = sp.Symbol("t", positive=True)
U: Any = sp.Symbol("U", positive=True)
beta: Any = sp.Symbol("beta", positive=True)
m: Any = sp.Symbol("m", integer=True, positive=True)
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
ONLINE = "Infinite samples; gradient flow on the logits; the model is its own teacher."
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


def model(num_outcomes: int, base: sp.IndexedBase = theta) -> list[Any]:
    """The logits θ₁, …, θ_K as symbols."""
    return [base[number] for number in range(1, num_outcomes + 1)]


def softmax(logits: Sequence[Any]) -> list[Any]:
    """The probabilities e^θ / Σ e^θ."""
    partition = sum(sp.exp(value) for value in logits)
    return [sp.exp(value) / partition for value in logits]


def cross_entropy(target: Sequence[Any], logits: Sequence[Any]) -> Any:
    """-Σ target log softmax(logits)."""
    log_partition = sp.log(sum(sp.exp(value) for value in logits))
    return -sum(q * (value - log_partition) for q, value in zip(target, logits, strict=True))


def velocity(target: Sequence[Any], logits: Sequence[Any]) -> list[Any]:
    """dθ/dt of the gradient flow: minus the gradient of the cross-entropy, the target fixed."""
    student = sp.symbols(f"s1:{len(logits) + 1}", real=True)
    here = dict(zip(student, logits, strict=True))
    loss = cross_entropy(target, student)
    return [-sp.diff(loss, s).subs(here, simultaneous=True) for s in student]


def online(logits: Sequence[Any], temperature: Any) -> list[Any]:
    """dθ/dt of a model that is its own teacher."""
    return velocity(softmax([value / temperature for value in logits]), logits)


def fisher(p: Sequence[Any]) -> sp.Matrix:
    """diag(p) - p pᵀ."""
    return sp.diag(*p) - sp.Matrix(p) * sp.Matrix(p).T


def sigmoid(value: Any) -> Any:
    """The probability of the first of two outcomes whose logit gap is `value`."""
    return 1 / (1 + sp.exp(-value))


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


def _centred(size: int) -> list[Any]:
    free = model(size)[:-1]
    return [*free, -sum(free)]


# --- the model as its own teacher -----------------------------------------------------------------


def _two_levels(power: Any) -> tuple[Any, Any, Any, Any]:
    """P, P_T of m leaders and p, p_T of K - m losers, with p = y and P from Σ = 1."""
    leader = (1 - (K - m) * y) / m
    partition = m * leader**power + (K - m) * y**power
    return leader, leader**power / partition, y, y**power / partition


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
    assumes=ONLINE + " T < 1; late times: p^(1/T-1) << 1.",
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
def collapse_tail() -> list[Step]:
    """Losers of one size: their exact equation, and its limit for small p."""
    leader, leader_T, loser, loser_T = _two_levels(beta)
    gap_speed = (leader_T - loser_T) - (leader - loser)
    share = sp.exp(-z) / (m + (K - m) * sp.exp(-z))
    tail = m / (K * t)
    c, G = sp.symbols("c G", positive=True)
    f = sp.Function("g", positive=True)
    cold = sp.Symbol("gamma", positive=True)
    small = sp.limit(y**cold, y, 0, "+")
    lost = f(t) / (c + G)
    falling = -(K - m) / m * f(t) * (m / (K * t))  # g' = -(S/m) g with S = (K - m) p
    return [
        Step(
            "the gap grows at (P_T - p_T) - (P - p) = (K/m)(p - p_T)",
            gap_speed - K / m * (loser - loser_T),
        ),
        Step(
            "dp/dz = -m P p, so that dp/dt = -K P p (p - p_T)",
            sp.diff(share, z) + m * share * (1 - (K - m) * share) / m,
        ),
        Step(
            "p_T/p is m^(β-1) p^(β-1) to leading order, which vanishes with p for β = 1/T > 1",
            [(loser_T / y**beta).subs(y, 0) - m ** (beta - 1), small],
        ),
        Step("and P → 1/m", leader.subs(y, 0) - 1 / m),
        Step("dp/dt = -(K/m) p² has the tail p = m/(Kt)", sp.diff(tail, t) + K / m * tail**2),
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
    assumes=ONLINE + " T is 1/3, 1/2, 2 or 3.",
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
def online_two_outcomes() -> list[Step]:
    """M c + log c grows at a constant rate; Lambert's W inverts it."""
    steps = [
        Step(
            "dz/dt = 2(σ(z/T) - σ(z)) from the cross-entropy",
            (online(model(2), T)[0] - online(model(2), T)[1])
            - 2 * (sigmoid(z / T) - sigmoid(z)).subs(z, theta[1] - theta[2]),
            reduce=rational,
        )
    ]
    for temperature in (sp.Rational(1, 3), sp.Rational(1, 2), sp.Integer(2), sp.Integer(3)):
        scale, power = max(1, temperature), max(temperature, 1 / temperature) - 1
        c = sp.cosh(z / scale) - 1
        growth = sp.diff(power * c + sp.log(c), z) * 2 * (sigmoid(z / temperature) - sigmoid(z))
        steps.append(
            Step(
                f"m c + log c grows at 1/T - 1, c = cosh(z/s) - 1 (T = {temperature})",
                growth - (1 / temperature - 1),
                reduce=through_exponential(z, root=6),
            )
        )
    now, start, power, r = sp.symbols("c c_0 m r", positive=True)
    steps.append(
        Step(
            "it has grown by rt once m c e^(m c) = m c_0 e^(m c_0 + rt), which W inverts",
            sp.expand_log(sp.log(now * sp.exp(power * now)), force=True)
            - sp.expand_log(sp.log(start * sp.exp(power * start + r * t)), force=True)
            - (power * now + sp.log(now) - power * start - sp.log(start) - r * t),
        )
    )
    return steps


def _chebyshev(gap: Any, order: Any) -> Any:
    """(1/T - 1) t as a function of the gap, up to a constant."""
    size, v = sp.Abs(order), gap / (order - 1)
    count = sp.floor(size / 2)
    cosines = sp.cosh((size - 1 - 2 * k0) * v) / (size - 1 - 2 * k0)
    # Σ over size - 1, size - 3, …, down to 1 or 2
    total_cosines = sp.Sum(2 * cosines, (k0, 0, count - 1))
    return sp.log(sp.cosh((1 + sp.Mod(size, 2)) * v) - 1) + total_cosines


_reached = sp.Symbol("z", positive=True)
_start = sp.Symbol("z_0", positive=True)
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
    assumes=ONLINE + " Two outcomes; κ = ±2, ±3, …",
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
def online_chebyshev() -> list[Step]:
    """Differentiate the finite sum along the flow, order by order."""
    steps = []
    for order in (2, 3, 4, 5, 6, 7, -2, -3, -4, -5):
        inverse = sp.Rational(order + 1, order - 1)
        coordinate = _chebyshev(z, sp.Integer(order)).doit()
        growth = sp.diff(coordinate, z) * 2 * (sigmoid(inverse * z) - sigmoid(z))
        steps.append(
            Step(
                f"it grows at 1/T - 1 (κ = {order}, T = {1 / inverse})",
                growth - (inverse - 1),
                reduce=through_exponential(z, root=2 * abs(order - 1)),
            )
        )
    return steps


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
    assumes=ONLINE + " T = 1/2; the logits take two values.",
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
def online_block() -> list[Step]:
    """Two levels, their exact equation at T = 1/2, and the stated antiderivative."""
    leader, loser = U / (m * U + K - m), 1 / (m * U + K - m)
    leader_T, loser_T = U**2 / (m * U**2 + K - m), 1 / (m * U**2 + K - m)
    speed = U * ((leader_T - loser_T) - (leader - loser))
    three = online([z, z, sp.Integer(0)], sp.Rational(1, 2))
    gap_speed = (speed / U).subs({m: 2, K: 3}).subs(U, sp.exp(z))
    return [
        Step(
            "the gap's equation is that of the flow (K = 3, m = 2)",
            [three[0] - three[2] - gap_speed, three[1] - three[2] - gap_speed],
            reduce=rational,
        ),
        Step("the stated coordinate grows at K/m²", sp.diff(_block(U), U) * speed - K / m**2),
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
    assumes=ONLINE + " T = 1/2; one leader, the others equal; K → ∞.",
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
def blow_up() -> list[Step]:
    """The limit of many outcomes of the exact time."""
    half = (_block(U) / K**2).subs(m, 1)
    late = (_block(K - 1) / K**2).subs(m, 1)
    speed = U * ((U**2 - 1) / (U**2 + K - 1) - (U - 1) / (U + K - 1))
    return [
        Step(
            "the exact coordinate (one leader) grows at K",
            sp.diff(_block(U), U).subs(m, 1) * speed - K,
        ),
        Step(
            "its start over K² tends to log(1 - 1/U) + 1/U",
            sp.limit(half, K, sp.oo) - sp.log(1 - 1 / U) - 1 / U,
        ),
        Step("its end, half the probability at U = K - 1, to 0", sp.limit(late, K, sp.oo)),
    ]


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
    assumes=ONLINE,
    up_to_shift=True,
    near_misses={
        "the time not divided by T (leading order)": theta[i] + _unscaled,
        "the logits not divided by T": theta[i] * T,
        "the sign turned": -theta[i],
    },
)
def duality() -> list[Step]:
    """The two vector fields are each other's negative once logits and time are scaled."""
    here = model(3)
    scaled = [value / T for value in here]
    forth, back = online(here, T), online(scaled, 1 / T)
    return [
        Step(
            "softmax(θ/T) - softmax(θ) = -[softmax(Tφ) - softmax(φ)] with φ = θ/T",
            [a + b for a, b in zip(forth, back, strict=True)],
        ),
        Step(
            "so φ(s) = θ(t)/T obeys the flow at 1/T in s = -t/T: dφ/ds = (dθ/dt)(1/T)(-T)",
            [a / T * (-T) - b for a, b in zip(forth, back, strict=True)],
        ),
    ]


@claim(
    "Under the online flow at T < 1 the losers become equal, as t^(-m/K).",
    m / K,
    lhs=-sp.Symbol(r"{d\log(\theta_j-\theta_k)/d\log t}"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(4.0, 60.0),
        notation.num_modes(1.0, 3.0),
    ),
    assumes=ONLINE + " T < 1; late times.",
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
def losers_equalise() -> list[Step]:
    """Late losers are g/(c + G); G grows as t^(m/K)."""
    c, d, G = sp.symbols("c d G", positive=True)
    growing = t ** (m / K)
    return [
        Step(
            "p = g/(c + G) with dG/dt = g and the tail p = m/(Kt) make G = t^(m/K)",
            sp.diff(growing, t) / growing - m / (K * t),
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
    assumes=ONLINE + " Infinitesimal logits.",
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
def uniform_rate() -> list[Step]:
    """Linearise the online flow at the uniform distribution."""
    steps = []
    for size in (2, 3, 5):
        v = _centred(size)
        scale = sp.Symbol("epsilon", real=True)
        p = softmax([scale * value for value in v])
        p_T = softmax([scale * value / T for value in v])
        slope = [sp.diff(b - a, scale).subs(scale, 0) for a, b in zip(p, p_T, strict=True)]
        steps.append(
            Step(
                f"d(p_T - p) = -(1 - 1/T)/K θ along any θ with Σθ = 0 (K = {size})",
                [s + (1 - 1 / T) / size * value for s, value in zip(slope, v, strict=True)],
            )
        )
    return steps


_power = 1 / T - 1
_q = sp.exp(theta[j]) / total(sp.exp(theta[k]), k)
_P: Any = sp.Sum(_q, (j, 1, m))
_C: Any = total(_q ** (1 + _power), j)
_M: Any = sp.Sum(_q ** (1 + _power), (j, 1, m)) / _P
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
    assumes=ONLINE + " T < 1; for T > 1 the inequality turns.",
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
def majorisation() -> list[Step]:
    """DP/dt = P(1-P)(bound/(P(1-P)) + two sums of terms of one sign), identically."""
    size, top = 4, 2
    p: list[Any] = [*sp.symbols(f"p1:{size}", positive=True)]
    p.append(1 - sum(p))
    powers = sp.symbols(f"r1:{size + 1}", positive=True)  # p^(β-1)
    C: Any = sum(q * r for q, r in zip(p, powers, strict=True))
    gain = [q * r / C - q for q, r in zip(p, powers, strict=True)]
    mean = sum(q * v for q, v in zip(p, gain, strict=True))
    speed = [q * (v - mean) for q, v in zip(p, gain, strict=True)]
    P: Any = sum(p[:top])
    mean_top = [q / P for q in p[:top]]
    mean_rest = [q / (1 - P) for q in p[top:]]
    M: Any = sum(q * r for q, r in zip(mean_top, powers[:top], strict=True))
    x_top: Any = sum(q * a for q, a in zip(mean_top, p[:top], strict=True))
    x_rest: Any = sum(q * a for q, a in zip(mean_rest, p[top:], strict=True))
    chebyshev: Any = sum(
        mean_top[a] * mean_top[b] * (powers[a] - powers[b]) * (p[a] - p[b])
        for a in range(top)
        for b in range(a + 1, top)
    )
    rest = list(zip(mean_rest, p[top:], powers[top:], strict=True))
    below: Any = sum(q * a * (M - r) for q, a, r in rest)
    bound = P * (1 - P) * (M / C - 1) * (x_top - x_rest)
    M_rest: Any = sum(q * r for q, _, r in rest)
    here, s, d = model(3), softmax(model(3)), online(model(3), T)
    mean_d = sum(a * u for a, u in zip(s, d, strict=True))
    return [
        Step(
            "dp/dt = p (d - mean d), d = p_T - p, is the flow of the logits (K = 3)",
            [
                sum(sp.diff(a, b) * v for b, v in zip(here, d, strict=True)) - a * (u - mean_d)
                for a, u in zip(s, d, strict=True)
            ],
            reduce=rational,
        ),
        Step(
            "dP/dt = bound + P(1-P)/C [Σ (p_a^(β-1) - p_b^(β-1))(p_a - p_b) + Σ p (M - p^(β-1))] "
            "(K = 4, m = 2)",
            sum(speed[:top]) - bound - P * (1 - P) / C * (chebyshev + below),
            reduce=lambda e: sp.expand(sp.numer(sp.together(e))),
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
    assumes="Infinite samples; flow of the probabilities; the model is its own teacher.",
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
def mixture_online() -> list[Step]:
    """E^t p moves by a common factor times its own power β: one translation for all."""
    C, start = sp.symbols("C p_0", positive=True)
    s = sp.Symbol("sigma", positive=True)
    f = sp.Function("p", positive=True)(t)
    base = start ** (1 - beta) + (1 - beta) * s
    lifted = base ** (1 / (1 - beta))
    return [
        Step(
            "y = e^t p obeys dy/dt = y^β e^(t(1-β))/C: the factor is common to all outcomes",
            sp.diff(sp.exp(t) * f, t).subs(sp.diff(f, t), f**beta / C - f)
            - (sp.exp(t) * f) ** beta * sp.exp(t * (1 - beta)) / C,
            reduce=lambda e: sp.simplify(
                sp.powsimp(sp.expand_power_base(sp.expand(e), force=True))
            ),
        ),
        Step(
            "dy/dσ = y^β for y = [p_0^(1-β) + (1-β)σ]^(1/(1-β)) (of the logarithm)",
            sp.diff(sp.log(base) / (1 - beta), s) - base ** (beta / (1 - beta)) / lifted,
            reduce=lambda e: sp.simplify(sp.powsimp(e)),
        ),
        Step(
            "σ = 0 at t = 0",
            sp.powdenest(lifted.subs(s, 0), force=True) - start,
        ),
    ]


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
def natural() -> list[Step]:
    """F dθ/dt = -∇ KL(p ‖ p_T) is solved by dθ/dt = (β - 1) θ."""
    student = sp.symbols("s1:4", real=True)
    divergence = sum(
        a
        * (
            (s - sp.log(sum(sp.exp(u) for u in student)))
            - (v / T - sp.log(sum(sp.exp(u / T) for u in model(3))))
        )
        for a, s, v in zip(softmax(student), student, model(3), strict=True)
    )
    here = dict(zip(student, model(3), strict=True))
    gradient = sp.Matrix([sp.diff(divergence, s).subs(here, simultaneous=True) for s in student])
    direction = (1 / T - 1) * sp.Matrix(model(3))
    return [
        Step(
            "F (1/T - 1) θ = -∇ KL(softmax ‖ teacher) at the model (K = 3)",
            list(fisher(softmax(model(3))) * direction + gradient),
            reduce=rational,
        ),
        Step(
            "dθ/dt = (1/T - 1) θ",
            sp.diff(theta[1] * sp.exp((1 / T - 1) * t), t)
            - (1 / T - 1) * theta[1] * sp.exp((1 / T - 1) * t),
        ),
    ]


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
def reverse_kl_tail() -> list[Step]:
    """The gap of a leader over equal losers, exactly, and the late solution."""
    student = sp.symbols("s1:4", real=True)
    teacher = [2 * value for value in (z, 0, 0)]
    log_teacher = sp.log(sum(sp.exp(v) for v in teacher))
    log_student = sp.log(sum(sp.exp(v) for v in student))
    divergence = sum(
        a * ((s - log_student) - (v - log_teacher))
        for a, s, v in zip(softmax(student), student, teacher, strict=True)
    )
    here = dict(zip(student, (z, 0, 0), strict=True))
    first, second = (-sp.diff(divergence, s).subs(here, simultaneous=True) for s in student[:2])
    p = softmax([z, 0, 0])
    s = sp.Symbol("s", positive=True)
    late = sp.Symbol("z", positive=True)
    return [
        Step(
            "dz/dt = (1/T - 1) K p_mode p_loser z (K = 3, T = 1/2)",
            first - second - 3 * p[0] * p[1] * z,
            reduce=rational,
        ),
        Step(
            "late, dz/ds = K z e^-z: e^z/z grows at K(1 - 1/z)",
            sp.diff(sp.exp(late) / late, late) * K * late * sp.exp(-late) - K * (1 - 1 / late),
        ),
        Step(
            "e^z/z = Ks is z - log z = log(Ks), whose late root is -W_{-1}(-1/(Ks))",
            sp.expand_log(sp.log(sp.exp(late) / late / (K * s)), force=True)
            - (late - sp.log(late) - sp.log(K * s)),
            reduce=lambda e: sp.expand_log(e, force=True),
        ),
        Step(
            "losers: (K - 1) e^-z = (K - 1)/(K s z)",
            sp.exp(-late) - 1 / (sp.exp(late) / late * late),
        ),
    ]


# --- one potential --------------------------------------------------------------------------------

_a = sp.Symbol("a", nonnegative=True)
_nu = sp.Symbol("nu", integer=True, nonnegative=True)


_q_real = sp.exp(psi[j]) / total(sp.exp(psi[k]), k)
_p_j = sp.exp(theta[j]) / total(sp.exp(theta[k]), k)
_drawn_j = sp.exp(theta[j] / T) / total(sp.exp(theta[k] / T), k)
_slope = (1 - _a) * _drawn_j + _a * _q_real - _p_j


@claim(
    "Online flow (ν = 0) and mixture flow (ν = 1) climb one potential Φ.",
    total(_slope**2 / _p_j**_nu, j),
    lhs=r"d\Phi/dt",
    of=(
        notation.logits(-3.0, 3.0),
        notation.temperature(0.2, 3.0),
        notation.logits_real(-2.0, 2.0),
        notation.fraction.written(_a)(0.0, 1.0),
        notation.natural(0.0, 1.0),
    ),
    assumes="Infinite samples; a fraction a of real data with the distribution q.",
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
def potential() -> list[Step]:
    """∇Φ, the two flows, the minorant behind refit and frozen teacher, and the common stability."""
    size = 3
    here, s = model(size), 1 - _a
    log_partition = sp.log(sum(sp.exp(v) for v in here))
    tempered = T * sp.log(sum(sp.exp(v / T) for v in here))
    real = [*sp.symbols(f"q1:{size}", positive=True)]
    real.append(1 - sum(real))
    phi = s * tempered + _a * sum(q * v for q, v in zip(real, here, strict=True)) - log_partition
    p, p_T = softmax(here), softmax([v / T for v in here])
    corpus = [s * b + _a * q for b, q in zip(p_T, real, strict=True)]
    slope = [c - b for c, b in zip(corpus, p, strict=True)]
    natural_direction = [v / b for v, b in zip(slope, p, strict=True)]
    student = sp.symbols(f"s1:{size + 1}", real=True)
    log_corpus = [sp.log(c) for c in corpus]
    jacobian = sp.Matrix(size, size, lambda a, b: sp.diff(log_corpus[a], here[b]))
    ratio = sp.diag(*[1 / c for c in corpus])
    u = sp.symbols("u1:4", real=True)
    curvature = sum(
        sp.diff(tempered, a, b) * ua * ub
        for a, ua in zip(here, u, strict=True)
        for b, ub in zip(here, u, strict=True)
    )
    spread = sum(
        p_T[a] * p_T[b] * (u[a] - u[b]) ** 2 for a in range(size) for b in range(a + 1, size)
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
            list(fisher(p) * sp.Matrix(natural_direction) - sp.Matrix(slope)),
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
                + sp.diff(cross_entropy(corpus, student), v)
                - 0
                for v in student
            ],
            reduce=rational,
        ),
        Step(
            "the refit's Jacobian at a fixed point is s β diag(1/p) F_{p_T}, similar to the "
            "symmetric s β F_p^(-1/2) F_{p_T} F_p^(-1/2): below 1 iff the flow's Jacobian "
            "s β F_{p_T} - F_p is negative",
            list(jacobian - ratio * s / T * fisher(p_T)),
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
