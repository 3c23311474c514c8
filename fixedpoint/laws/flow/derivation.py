r"""Gradient flow: infinite samples, and a learner that follows the gradient for a time.

The proofs start from the definitions below: softmax, the tempered model, the cross-entropy, and
the three flows

    logits          dθ/dt = -∇ CE(target, softmax θ) = target - softmax(θ)
    probabilities   dp/dt = target - p
    natural         F dθ/dt = -∇ KL(softmax θ ‖ target), F the Fisher matrix

with the target frozen at its first value or the model itself at temperature T (online).
"""

import math
from collections.abc import Sequence
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
T: Any = sp.Symbol("T", positive=True)
t: Any = sp.Symbol("t", positive=True)
tau: Any = sp.Symbol("tau", positive=True)
n: Any = sp.Symbol("n", integer=True, positive=True)
m: Any = sp.Symbol("m", integer=True, positive=True)
z: Any = sp.Symbol("z", real=True)
z0: Any = sp.Symbol("z_0", real=True)
g: Any = sp.Symbol("z_*", real=True)
w: Any = sp.Symbol("w", real=True)
x: Any = sp.Symbol("x", real=True)
y: Any = sp.Symbol("y", real=True)
lam: Any = sp.Symbol("lambda", real=True)
j: Any = sp.Symbol("j", integer=True, positive=True)
k: Any = sp.Symbol("k", integer=True, positive=True)
target_index: Any = sp.Symbol("r", integer=True, nonnegative=True)
K: Any = NUM_OUTCOMES
i: Any = OUTCOME

DERIVED = "derived here"
FROZEN = "Infinite samples; gradient flow on the logits; the teacher does not change meanwhile."
MODEL = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
MANY = [3.0 * math.sin(7.0 * number) for number in range(50_000)]


class PolynomialIntegral(sp.Integral):
    """The integral of a polynomial, evaluated by Gauss-Legendre rules (exact to degree 47)."""

    def _mpmathcode(self, printer: Any) -> str:
        limits: Any = self.limits[0]
        (variable, low, high), integrand = limits, self.function
        function = f"lambda {printer._print(variable)}: {printer._print(integrand)}"
        return f"quadgl({function}, [{printer._print(low)}, {printer._print(high)}], maxdegree=4)"


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


def fisher(p: Sequence[Any]) -> sp.Matrix:
    """diag(p) - p pᵀ."""
    return sp.diag(*p) - sp.Matrix(p) * sp.Matrix(p).T


def sigmoid(value: Any) -> Any:
    """The probability of the first of two outcomes whose logit gap is `value`."""
    return 1 / (1 + sp.exp(-value))


def rational(expression: Any) -> Any:
    """Bring an expression that is rational in its exponentials to one numerator, and expand it."""
    return sp.expand(sp.powsimp(sp.expand(sp.numer(sp.together(sp.powsimp(expression))))))


# --- a frozen teacher -----------------------------------------------------------------------------


def linearising(gap: Any, first: Any) -> Any:
    """F(z) = a e^(-bz) - b e^(az), the coordinate in which the flow to (a, b) is linear."""
    a, b = first, 1 - first
    return a * sp.exp(-b * gap) - b * sp.exp(a * gap)


def prove_frozen_two_outcomes() -> list[Step]:
    """The gap's equation from the cross-entropy, and F as its linearising coordinate."""
    a = sp.Symbol("a", positive=True)
    gap = theta[1] - theta[2]
    first, second = velocity([a, 1 - a], model(2))
    speed = 2 * (a - sigmoid(z))
    return [
        Step("dz/dt = 2(a - σ(z)) from the cross-entropy", first - second - speed.subs(z, gap)),
        Step(
            "dF/dt = -2ab F",
            sp.diff(linearising(z, a), z) * speed + 2 * a * (1 - a) * linearising(z, a),
        ),
        Step("F vanishes at the target: a = σ(z*)", linearising(sp.log(a / (1 - a)), a)),
    ]


def _frozen_gap(decay: Any, start: Any = z0) -> Any:
    a = sigmoid(g)
    equation = linearising(z, a) - linearising(start, a) * sp.exp(-decay * t)
    return Root(sp.Lambda(z, equation), sp.Min(z0, g), sp.Max(z0, g))


@claim(
    "With two outcomes a e^(-bz) - b e^(az) decays exponentially.",
    _frozen_gap(2 * sigmoid(g) * sigmoid(-g)),
    lhs=sp.Function("z")(t),
    of=(
        notation.gap.written(z0)(-4.0, 4.0),
        notation.gap_target(-6.0, 6.0),
        notation.time.written(t)(0.0, 30.0),
    ),
    assumes=FROZEN,
    near_misses={
        "decays with ab": _frozen_gap(sigmoid(g) * sigmoid(-g)),
        "decays with the rate 1/2 of an even target": _frozen_gap(sp.Rational(1, 2)),
        "the gap itself decays": g + (z0 - g) * sp.exp(-2 * sigmoid(g) * sigmoid(-g) * t),
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
def frozen_two_outcomes() -> list[Step]:
    """The gap's equation from the cross-entropy, and F as its linearising coordinate."""
    return prove_frozen_two_outcomes()


def _uniform_target() -> Any:
    equation = total(sp.log(1 + w * sp.exp(theta[j])), j) - t
    largest: Any = Largest(theta)
    root = Root(sp.Lambda(w, equation), sp.Integer(0), (sp.exp(t) - 1) * sp.exp(-largest))
    return theta[i] + t / K - sp.log(1 + root * sp.exp(theta[i]))


@claim(
    "To a uniform target every e^-θ moves by one w(t), with Σ log(1 + w e^θ) = t.",
    _uniform_target(),
    lhs=sp.Function(r"\theta_i")(t),
    of=(
        notation.logits(-3.0, 3.0),
        notation.time.written(t)(0.0, 40.0),
    ),
    assumes=FROZEN,
    up_to_shift=True,
    near_misses={
        "each logit relaxes exponentially": theta[i] * sp.exp(-t / K),
        "w of the time t/K": _uniform_target().subs(t, t / K),
        "w from the probabilities of equal logits": theta[i]
        - sp.log(1 + (sp.exp(t / K) - 1) * sp.exp(theta[i])),
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
def frozen_uniform_target() -> list[Step]:
    """The logits in terms of w, whose own equation dw/dt = 1/Z follows from the constraint."""
    steps, start = [], {w: 0, t: 0}
    for size in (2, 3, 4):
        logits = [v + t / size - sp.log(1 + w * sp.exp(v)) for v in model(size)]
        constraint = sum(sp.log(1 + w * sp.exp(v)) for v in model(size)) - t
        dw = -sp.diff(constraint, t) / sp.diff(constraint, w)
        wanted = velocity([sp.Rational(1, size)] * size, logits)
        flow = [sp.diff(v, t) + sp.diff(v, w) * dw - u for v, u in zip(logits, wanted, strict=True)]
        steps.append(Step(f"dθ/dt = 1/K - softmax(θ) (K = {size})", flow, reduce=rational))
        kept = [v.subs(start) - u for v, u in zip(logits, model(size), strict=True)]
        steps.append(Step(f"w = 0 at t = 0 (K = {size})", [constraint.subs(start), *kept]))
    return steps


def _one_hot_target(power: Any = 1) -> Any:
    chosen = theta[target_index + 1]

    def others(at: Any) -> Any:
        return total(sp.log(1 + at * sp.exp(theta[j])), j) - sp.log(1 + at * sp.exp(chosen))

    integral = PolynomialIntegral(sp.exp(chosen + power * others(x)), (x, 0, w))
    equation = integral + others(w) - t
    root = Root(sp.Lambda(w, equation), sp.Integer(0), t * sp.exp(-chosen))
    return theta[i] + sp.Piecewise(
        (others(root), sp.Eq(i, target_index + 1)), (-sp.log(1 + root * sp.exp(theta[i])), True)
    )


@claim(
    "Trained on one outcome, every other 1/e^θ grows by the same w(t).",
    _one_hot_target(),
    lhs=sp.Function(r"\theta_i")(t),
    of=(
        notation.logits,
        notation.time.written(t),
        notation.target,
    ),
    assumes=FROZEN,
    source=DERIVED + "; K = 2 is the flow of the logistic loss",
    cites=("soudry2018",),
    up_to_shift=True,
    near_misses={
        "the target rises by the mean fall": _one_hot_target(1 / (K - 1)),
        "the target's logit alone moves": theta[i]
        + sp.Piecewise((sp.log(1 + t), sp.Eq(i, target_index + 1)), (0, True)),
    },
    edges=[
        at(MODEL, 0.0, 0, gives=MODEL),
        at(MODEL, 1e-9, 2),
        at(MODEL, 1.0, 1),
        at(MODEL, 1e5, 0),
        at([0.7, -0.4], 20.0, 1),
        at(MODEL[:3], 4.0, 2),
        at([0.5, 0.5, -1.0, 2.0], 3.0, 3),
        at([0.0, 20.0, 1.0], 5.0, 0),
    ],
)
def frozen_one_hot_target() -> list[Step]:
    """The logits and the time in terms of w; the rest is the chain rule."""
    steps = []
    for size in (2, 3, 4):
        others = model(size)[1:]
        logits = [theta[1] + sum(sp.log(1 + w * sp.exp(v)) for v in others)]
        logits += [v - sp.log(1 + w * sp.exp(v)) for v in others]
        product = sp.prod([1 + w * sp.exp(v) for v in others])
        # The fundamental theorem of calculus: dt/dw of the stated integral plus the sum.
        dt = sp.exp(theta[1]) * product + sum(sp.diff(sp.log(1 + w * sp.exp(v)), w) for v in others)
        wanted = velocity([1] + [0] * (size - 1), logits)
        flow = [sp.diff(v, w) / dt - u for v, u in zip(logits, wanted, strict=True)]
        steps.append(Step(f"dθ/dt = one-hot - softmax(θ) (K = {size})", flow, reduce=rational))
    return steps


_p = sp.exp(theta[j]) / total(sp.exp(theta[k]), k)
_smallest, _second = (sp.exp(theta[number]) / total(sp.exp(theta[k]), k) for number in (1, 2))
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
    of=(notation.logits_target.written(theta),),
    assumes=FROZEN + " Late times, from a model that differs in the slowest direction: not, for "
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
def relaxation_rate() -> list[Step]:
    """The linearised flow is -F, whose characteristic polynomial is the secular equation."""
    steps = []
    for size in (2, 3, 4):
        p = [*sp.symbols(f"p1:{size}", positive=True)]
        p.append(1 - sum(p))
        secular = sum(q / (q - lam) for q in p)
        polynomial = (fisher(p) - lam * sp.eye(size)).det(method="berkowitz")
        product = sp.prod([q - lam for q in p])
        steps.append(
            Step(
                f"det(F - λ) = -λ Π(p - λ) Σ p/(p - λ) (K = {size})",
                polynomial + lam * product * secular,
                reduce=lambda e: sp.expand(sp.numer(sp.together(e))),
            )
        )
    q, r = sp.symbols("q r", positive=True)
    jacobian = sp.Matrix(velocity([q, r, 1 - q - r], model(3))).jacobian(model(3))
    return [
        Step(
            "the flow linearised at its target is -F",
            list(jacobian + fisher(softmax(model(3)))),
            reduce=rational,
        ),
        *steps,
        Step(
            "Σ p/(p - λ) grows in λ, from -∞ to ∞ between the two smallest: one root there",
            sp.diff(q / (q - lam), lam) - q / (q - lam) ** 2,
        ),
    ]


def _slope_at_uniform(logits: Sequence[Any]) -> Any:
    """The derivative of softmax at the uniform distribution along the logits."""
    scale = sp.Symbol("epsilon", real=True)
    return [sp.diff(p, scale).subs(scale, 0) for p in softmax([scale * value for value in logits])]


def _centred(size: int) -> list[Any]:
    free = model(size)[:-1]
    return [*free, -sum(free)]


@claim(
    "A generation of training for a time τ multiplies small logits by m.",
    1 / T + (1 - 1 / T) * sp.exp(-tau / K),
    lhs="m",
    of=(
        notation.temperature(0.1, 5.0),
        notation.time(0.0, 50.0),
        notation.num_outcomes(2.0, 50.0),
    ),
    assumes=FROZEN + " Infinitesimal logits.",
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
def multiplier() -> list[Step]:
    """Linearise the generation at the uniform distribution, then solve dm/dt = (1/T - m)/K."""
    multiplier = 1 / T + (1 - 1 / T) * sp.exp(-tau / K)
    linear = [
        Step(
            f"near uniform, softmax(θ) = 1/K + θ/K (K = {size})",
            [
                slope - value / size
                for slope, value in zip(
                    _slope_at_uniform(_centred(size)), _centred(size), strict=True
                )
            ],
        )
        for size in (2, 3, 5)
    ]
    return [
        *linear,
        Step("dm/dτ = (1/T - m)/K", sp.diff(multiplier, tau) - (1 / T - multiplier) / K),
        Step("m = 1 at τ = 0", multiplier.subs(tau, 0) - 1),
    ]


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
    assumes=FROZEN + " Small logits.",
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
def off_ray() -> list[Step]:
    """Second order of softmax at uniform, its equation, and the two cases of the criterion."""
    scale, a, b = sp.symbols("epsilon a b", real=True)
    steps = []
    for size in (3, 4):
        logits = _centred(size)
        mean = sum(value**2 for value in logits) / size
        second: list[Any] = [
            sp.diff(p / 2, scale, 2).subs(scale, 0)
            for p in softmax([scale * value for value in logits])
        ]
        steps.append(
            Step(
                f"the second order of softmax at uniform is (θ² - mean)/(2K) (K = {size})",
                [s - (v**2 - mean) / (2 * size) for s, v in zip(second, logits, strict=True)],
            )
        )
    multiplier = 1 / T + (1 - 1 / T) * sp.exp(-_elapsed)
    rate = (1 / T**2 - multiplier**2) / (2 * K) - _growth / K
    return [
        *steps,
        Step("dn/dτ = (β² - m²)/(2K) - n/K", sp.expand(sp.diff(_growth, tau) - rate)),
        Step("n = 0 at τ = 0", _growth.subs(tau, 0)),
        Step(
            "on two values a, b every function is affine, as θ² = (a+b)θ - ab: nothing transverse",
            [v**2 - (a + b) * v + a * b for v in (a, b)],
        ),
        Step(
            "for short times n = τ(β² - 1)/(2K), which is not 0 unless T = 1",
            sp.diff(_growth, tau).subs(tau, 0) - (1 / T**2 - 1) / (2 * K),
        ),
    ]


# --- the model as its own teacher -----------------------------------------------------------------


def _two_levels(power: Any) -> tuple[Any, Any, Any, Any]:
    """P, P_T of m leaders and p, p_T of K - m losers, with p = y and P from Σ = 1."""
    leader = (1 - (K - m) * y) / m
    partition = m * leader**power + (K - m) * y**power
    return leader, leader**power / partition, y, y**power / partition


_tail_domain = {
    "num_outcomes": ("integer", 4.0, 60.0),
    "time": ("real", 1.0, 1e6),
    "num_modes": ("integer", 1.0, 3.0),
}


@claim(
    "With finite training in each generation the collapse is 1/n.",
    m * (K - m) / (K * n * tau),
    lhs=1 - sp.Symbol("P_M"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(4.0, 60.0),
        notation.time(0.5, 100.0),
        notation.generation.written(n)(1.0, 10_000.0),
        notation.num_modes(1.0, 3.0),
    ),
    assumes=FROZEN + " T < 1; many generations.",
    near_misses={
        "(K - m)/(nτ)": (K - m) / (n * tau),
        "1/(Knτ)": 1 / (K * n * tau),
        "independent of τ": m * (K - m) / (K * n),
        "per generation only the gap log τ": 1 / tau**n,
        "(K - m)/(Knτ), m lost": (K - m) / (K * n * tau),
    },
    edges=[
        at(50_000, 10.0, 10**6, 1),
    ],
)
def finite_training() -> list[Step]:
    """Within a generation the loser's equation is the online one, because the teacher has none."""
    generation = sp.Symbol("n", positive=True)
    leader, _, loser, loser_T = _two_levels(2)
    after = 1 / (1 / y + K * tau / m)
    return [
        Step(
            "against a frozen teacher the gap grows at (P_T - p_T) - (P - p), P_T from the start",
            ((1 - (K - m) * w) / m - w) - (leader - loser) - K / m * (loser - w),
        ),
        Step("the teacher's p_T is nothing beside p (T = 1/2)", sp.limit(loser_T / loser, y, 0)),
        Step("so 1/p grows by Kτ/m in a generation", 1 / after - 1 / y - K * tau / m),
        Step(
            "solving dp/dt = -(K/m) p²",
            sp.diff(after, tau) + K / m * after**2,
        ),
        Step(
            "n generations: n τ p → m/K",
            sp.limit(generation * tau / (1 / y + generation * K * tau / m), generation, sp.oo)
            - m / K,
        ),
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
    assumes="Two outcomes, infinite samples; every generation is trained from the initial model by "
    "gradient flow on the one before. T < 1: z lies beyond z_0 ≠ 0 (then τ grows on the "
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
def lineage() -> list[Step]:
    """A lineage is a monotone, bounded sequence: it comes to rest where training leads back."""
    a = sp.Symbol("a", positive=True)
    gap = theta[1] - theta[2]
    first, second = velocity([a, 1 - a], model(2))
    speed = first - second
    q = sp.exp(-w)
    ratio = a**2 * w + (2 * a - 1) * sp.log(1 - q) - 1 / (1 - q)
    rest = linearising(z, a) - linearising(z0, a) * sp.exp(-2 * a * (1 - a) * t)
    return [
        *prove_frozen_two_outcomes()[:2],
        Step(
            "a teacher with a larger gap trains to a larger one: dz/dt grows with a",
            sp.diff(speed, a) - 2,
        ),
        Step(
            "speed limit: e^z + z, which grows with z, grows at 2 at most, with the mode alone as "
            "the teacher",
            ((sp.exp(gap) + 1) * speed - 2 - 2 * (a - 1) * (1 + sp.exp(gap))),
        ),
        Step(
            "at rest z is trained on its own a = σ(z/T), F(z) = F(z₀) e^(-2abτ): the time claimed",
            rest.subs(t, resting_time(a)),
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


# --- other geometries -----------------------------------------------------------------------------


_model_p = sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
_drawn_p = sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)


@claim(
    "Mixture flow to a frozen teacher mixes the two distributions.",
    sp.log((1 - sp.exp(-t)) * _drawn_p + sp.exp(-t) * _model_p),
    lhs=sp.log(sp.Function("p_i")(t)),
    of=(
        notation.logits(-4.0, 4.0),
        notation.temperature(0.2, 4.0),
        notation.time.written(t)(0.0, 9.0),
    ),
    assumes="Infinite samples; flow of the probabilities; the teacher is frozen.",
    source="elementary",
    cites=("marchi2024",),
    near_misses={
        "the logits are mixed": (1 - sp.exp(-t)) * sp.log(_drawn_p) + sp.exp(-t) * sp.log(_model_p),
        "weights exchanged": sp.log((1 - sp.exp(-t)) * _model_p + sp.exp(-t) * _drawn_p),
        "one large step": sp.log(_model_p + t / (1 + t) * (_drawn_p - _model_p)),
    },
    edges=[
        at(MODEL, 0.5, 0.0),
        at(MODEL, 1e-2, 2.0),
        at(MODEL, 1e3, 1e-12),
        at(MODEL, 1.0, 40.0),
        at(MANY[:200], 0.7, 1.0),
    ],
)
def mixture_frozen() -> list[Step]:
    """The solution, and why the mixture flow is the natural gradient flow of the cross-entropy."""
    p0, p_T = sp.symbols("p_0 p_T", positive=True)
    p = (1 - sp.exp(-t)) * p_T + sp.exp(-t) * p0
    q = [*sp.symbols("q1:3", positive=True)]
    q.append(1 - sum(q))
    s = softmax(model(3))
    natural_direction = sp.Matrix([b / a - 1 for a, b in zip(s, q, strict=True)])
    return [
        Step("dp/dt = p_T - p", sp.diff(p, t) - (p_T - p)),
        Step("p(0) = p_0", p.subs(t, 0) - p0),
        Step(
            "dθ/dt = q/p - 1 solves F dθ/dt = q - p = -∇ CE, and F dθ/dt = dp/dt",
            list(fisher(s) * natural_direction - sp.Matrix(velocity(q, model(3)))),
            reduce=rational,
        ),
    ]
