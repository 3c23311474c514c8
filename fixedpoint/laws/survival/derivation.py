"""Survival: which outcomes of single traces stay alive, and for how long.

Proofs in SymPy.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp
from sympy.utilities.lambdify import implemented_function

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    OUTCOME,
    Edge,
    Step,
    at,
    claim,
    total,
)
from fixedpoint.laws.notation import B, K, T, eta, t, theta
from fixedpoint.symbolic import (
    Fresh,
    GradientSteps,
    Loop,
    Refit,
    Temperature,
    Vector,
    shares,
    written_out,
)

z = sp.Symbol("z", positive=True)
j: Any = sp.Symbol("j", integer=True, positive=True)
i = OUTCOME

TRACES = Loop(corpus=Fresh(B), learner=GradientSteps(eta))
"""One gradient step a generation on B own samples, at T = 1."""
TEMPERED = replace(TRACES, sampler=Temperature(T))
"""The same at another temperature."""
DERIVED = "derived here"
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""


# --- One generation of the loop -------------------------------------------------------------------


def over_draws(loop: Loop, p: Vector, quantity: Callable[[Vector], Any]) -> Any:
    """The mean of a quantity of a generation's step in the logits, in units of η."""
    learner = loop.learner
    return symbolic.mean(
        replace(loop, learner=Refit()), p, lambda data: quantity(learner.velocity(p, data))
    )


@lru_cache
def spread(loop: Loop, num_outcomes: int) -> Any:
    """The matrix of the mean products of two logits' steps, in units of η², at `shares(K)`."""
    places = range(num_outcomes)
    p = shares(num_outcomes)
    return sp.ImmutableMatrix(
        [[over_draws(loop, p, lambda g, a=a, b=b: g[a] * g[b]) for b in places] for a in places]
    )


def rational(expression: Any) -> Any:
    """The numerator of a rational function, expanded: 0 if and only if the function is."""
    return sp.expand(sp.numer(sp.together(expression)))


# --- Three outcomes and more: only two stay alive -------------------------------------------------

mask: Any = notation.subset.symbol
alpha = notation.exponent.symbol
Z, Q = sp.symbols("Z Q", positive=True)


def transience_rhs(last: Any = None) -> Any:
    """(α/2) Y^{−α−1}/Z · [(α+1)(1 − m²/(ZY)) − (m − p_A)] over the outcomes that `mask` marks."""
    Z, size = total(sp.exp(theta[j]), j), total(mask[j], j)
    Y = total(mask[j] * sp.exp(-theta[j]), j)
    alive = total(mask[j] * sp.exp(theta[j]), j) / Z
    end = size - alive if last is None else last(size, alive)
    return alpha / 2 * Y ** (-alpha - 1) / Z * ((alpha + 1) * (1 - size**2 / (Z * Y)) - end)


@lru_cache
def curved(marks: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """B/2 times the mean second derivative of Y^{−α} along the noise; Y; the first derivative."""
    p, x = shares(len(marks)), symbolic.model(len(marks))
    Y: Any = sum(mark * sp.exp(-value) for mark, value in zip(marks, x, strict=True))
    here = dict(zip(x, symbolic.logits([Z * share for share in p]), strict=True))
    curvature = sp.hessian(Y**-alpha, x).subs(here, simultaneous=True)
    noise = spread(TRACES, len(p))
    second = sum(one * other for one, other in zip(curvature, noise, strict=True)) * B / 2
    still = [over_draws(TRACES, p, lambda g, a=a: g[a]) for a in range(len(p))]
    return second, Y.subs(here, simultaneous=True), still


@claim(
    "For any three outcomes the sum Y of 1/e^θ, as Y^(−α) with 0 < α ≤ 1, falls on "
    "average from every state: in the limit of small steps the third largest logit goes "
    "to −∞, and only two outcomes stay alive at a time.",
    transience_rhs(),
    lhs=r"{\lim_{\eta\to0}(B/\eta^2)\,\mathbb{E}[Y'^{-\alpha}-Y^{-\alpha}]}",
    of=(
        notation.logits,
        notation.subset,
        notation.exponent,
    ),
    loop=TRACES,
    assumes="The limit of small steps. The subset is marked by 1, the rest by 0.",
    near_misses={
        "the subset's probability left out": transience_rhs(lambda size, alive: size),
        "the opposite sign": -transience_rhs(),
        "twice": 2 * transience_rhs(),
    },
    edges=tuple(
        Edge({"logits": logits, "subset": subset, "exponent": exponent})
        for logits, subset, exponent in (
            ([0.3, -0.3], [1.0, 1.0], 0.5),
            ([1.0, 0.2, -1.2], [1.0, 1.0, 1.0], 1.0),
            ([1.0, 0.2, -1.2], [1.0, 0.0, 1.0], 1.3),
            (LOGITS, [0.0, 1.0, 1.0, 1.0], 1.0),
            (LOGITS, [1.0, 1.0, 1.0, 1.0], 2.0),
            ([5.0, -2.0, -4.0, 1.0, 0.0], [1.0, 0.0, 1.0, 1.0, 0.0], 0.1),
        )
    ),
)
def transience(answer: Any) -> list[Step]:
    """Second derivatives along the noise, then a sum of terms of one sign."""
    claimed, still = [], []
    for marks in ((1, 1), (1, 1, 1), (1, 0, 1, 1)):
        second, Y, first = curved(marks)
        marked = {mask[place + 1]: mark for place, mark in enumerate(marks)}
        w = [Z * share for share in shares(len(marks))]  # e^θ
        left = (written_out(answer, w).subs(marked) - second).subs(Y, Q)
        claimed.append(sp.expand(left * Q ** (alpha + 2)).subs(Q, Y))
        still += first
    m, u, v = sp.symbols("m u v", positive=True)
    bracket = (alpha + 1) * (1 - u) - (m - v)
    sizes = {"K": (2, 3, 4), "m": (2, 3)}
    return [
        Step(
            "the mean change of Y^{−α} is η²/B times the claimed, by its second derivatives",
            claimed,
            reduce=rational,
            sizes=sizes,
        ),
        Step("… its first ones add nothing: no logit moves on average", still, sizes=sizes),
        Step(
            "[…] = −(m − 2 − α) − (1 − p_A) − (α + 1) m²/(ZY) < 0 for α ≤ m − 2",
            bracket + (m - 2 - alpha) + (1 - v) + (alpha + 1) * u,
            reduce=sp.expand,
        ),
    ]


size_alive = notation.num_alive.symbol


def remainder_share(spread: Any) -> Any:
    """g(r) = (e^{−r} − 1 + r)/r²: what a third order of at most r times the second can leave."""
    return (sp.exp(-spread) - 1 + spread) / spread**2


def growth_ratio(size: Any) -> Any:
    """κ: the mean growth of log Y is at least this multiple of its mean square."""
    square = (sp.exp(eta) - 1) ** 2 + size * eta**2 * sp.exp(eta)
    return (size - 2) * eta**2 * remainder_share(2 * eta) / (B * square)


def supermartingale_exponent(size: Any) -> Any:
    """The α with α e^{αη} = 2κ."""
    return sp.LambertW(2 * eta * growth_ratio(size)) / eta


@claim(
    "For every step size and batch, Y^(−α) of three outcomes or more falls on average from "
    "every state if α is small enough: only two outcomes stay alive at a time.",
    supermartingale_exponent(size_alive),
    lhs=r"{\inf_\theta\,\max\{\alpha:\mathbb{E}[Y'^{-\alpha}]\le Y^{-\alpha}\}}",
    kind="bound",
    of=(
        notation.step_size(0.01, 20),
        notation.num_samples.written(B)(1, 50),
        notation.num_alive(3, 1000),
    ),
    loop=TRACES,
    assumes="Y = Σ e^{−θ} over m ≥ 3 of the outcomes; every η > 0 and B ≥ 1.",
    relation=">=",
    near_misses={
        "the exponent of small steps": size_alive - 2,
        "… continued by the third order alone": 2
        * (size_alive - 2)
        * (eta - 1 + sp.exp(-eta))
        / eta**2,
        "two outcomes as well": supermartingale_exponent(size_alive + 1),
    },
    edges=[
        at(1e-4, 1, 3),
        at(1.0, 1, 2, gives=0.0),
        at(1.0, 3, 50_000),
    ],
)
def transience_every_step(answer: Any) -> list[Step]:
    """E[D] from below and E[D²] from above, D the growth of log Y in one generation."""
    u, r, d, c, v = sp.symbols("u r d c v", positive=True)
    m = size_alive
    # The mean growth of log Y is at least c times this, c = 1/(ZY), and its mean square at most c
    # times that.
    growth = (m - 2) * eta**2 / B * remainder_share(2 * eta)
    square = (sp.exp(eta) - 1) ** 2 + m * eta**2 * sp.exp(eta)
    varied = []
    for size, chosen in ((2, 2), (3, 3), (4, 3)):
        p = shares(size)
        rare = 1 / sum(1 / x for x in p[:chosen])
        share, noise = [rare / x for x in p[:chosen]], spread(TRACES, size)
        places = range(chosen)
        second = sum(share[a] * noise[a, a] for a in places)
        first = sum(share[a] * share[b] * noise[a, b] for a in places for b in places)
        alive = sum(p[:chosen])
        varied.append(second - first - rare / B * (chosen - alive - 1 + chosen**2 * rare))
    p = shares(3)
    rare = 1 / sum(1 / x for x in p)
    share = [rare / x for x in p]
    split = []
    for drawn in range(3):
        data = [sp.Integer(drawn == place) for place in range(3)]
        moved = TRACES.learner.velocity(p, data)
        after = sum(a * sp.exp(-eta * g) for a, g in zip(share, moved, strict=True))
        raised = sum(a * sp.exp(eta * x) for a, x in zip(share, p, strict=True))
        fallen = share[drawn] * sp.exp(eta * p[drawn]) / raised
        split.append(after - raised * (1 - fallen * (1 - sp.exp(-eta))))
    x, w = sp.symbols("x1:4", real=True), sp.symbols("w1:4", positive=True)
    lse = sp.log(sum(a * sp.exp(u * b) for a, b in zip(w, x, strict=True)))
    tilted = symbolic.normalised([a * sp.exp(u * b) for a, b in zip(w, x, strict=True)])
    middle = sum(a * b for a, b in zip(tilted, x, strict=True))
    cumulants = [
        sp.diff(lse, u, order)
        - sum(a * (b - middle) ** order for a, b in zip(tilted, x, strict=True))
        for order in (2, 3)
    ]
    return [
        Step(
            "so E[e^{−αD}] ≤ 1 − α E[D²] (κ − α e^{αη}/2), since |D| ≤ η, κ the mean growth over "
            "the mean square; the bracket is 0 at the α claimed, since W e^W is the argument of W",
            growth / square - answer * sp.exp(answer * eta) / 2,
            reduce=without_lambert,
        ),
        Step(
            "with a_i = e^{−θ_i}/Y and c = 1/(ZY) the mean variance of a step under a is "
            "(η²/B) c [(m − p_A) − 1 + m²c]",
            varied,
            reduce=rational,
            sizes={"K": (2, 3, 4), "m": (2, 3)},
        ),
        Step(
            "[…] = (m − 2) + (1 − p_A) + m²c ≥ m − 2",
            ((m - v) - 1 + m**2 * c) - ((m - 2) + (1 - v) + m**2 * c),
            reduce=sp.expand,
        ),
        Step(
            "along the step, log Y has the variance as its second derivative and the third "
            "central moment, at most 2η times the variance, as its third",
            cumulants,
            reduce=rational,
            sizes={"K": 3},
        ),
        Step(
            "so E[D] ≥ g(2η) times the mean variance: ∫₀¹ (1 − u) e^{−ru} du = g(r)",
            sp.integrate((1 - u) * sp.exp(-r * u), (u, 0, 1)) - remainder_share(r),
            reduce=rational,
        ),
        Step(
            "Y'/Y = Σ a e^{ηp} · (1 − w_k (1 − e^{−η})) if k is drawn, w = a e^{ηp}/Σ a e^{ηp}: D "
            "is a rise of at most Σ a (e^{ηp} − 1) less a fall of at most η w_k",
            split,
            reduce=rational,
            sizes={"K": 3},
        ),
        Step(
            "e^{ηp} − 1 ≤ p (e^η − 1) on [0, 1], being convex and equal at both ends, and Σ_A a p "
            "= mc ≤ √c: the rise squared is at most c (e^η − 1)², the fall's mean square at most "
            "m η² e^η c",
            [(sp.exp(eta * v) - 1 - v * (sp.exp(eta) - 1)).subs(v, end) for end in (0, 1)]
            + [a * x - rare for a, x in zip(share, p, strict=True)],
            reduce=rational,
        ),
        Step(
            "e^{−x} = 1 − x + x² ∫₀¹ (1 − u) e^{−ux} du ≤ 1 − x + x² e^{|x|}/2",
            sp.exp(-d) - 1 + d - d**2 * sp.integrate((1 - u) * sp.exp(-d * u), (u, 0, 1)),
            reduce=rational,
        ),
    ]


def without_lambert(expression: Any) -> Any:
    """A residual in which e^W is x/W, W e^W = x."""
    powers = {
        power: power.exp.args[0] / power.exp
        for power in sp.sympify(expression).atoms(sp.exp)
        if isinstance(power.exp, sp.LambertW)
    }
    return rational(sp.sympify(expression).xreplace(powers))


# --- Below temperature 1: one outcome for ever ----------------------------------------------------


@claim(
    "Below temperature 1 a single outcome is drawn from some generation on, for every "
    "step size; the others' total probability then falls only like 1/t.",
    (K - 1) / (K * eta * t),
    lhs=1 - sp.Symbol("p_{max}"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(2, 1000),
        notation.step_size(0.01, 10),
        notation.generation(100, 10**9),
    ),
    loop=replace(TEMPERED, corpus=Fresh(1)),
    assumes="T < 1, late: Kηt large against e^θ and against log t.",
    near_misses={
        "each of the others instead of all": 1 / (K * eta * t),
        "without the number of outcomes": 1 / (eta * t),
        "exponential": sp.exp(-eta * t / K),
    },
    edges=[
        at(50_000, 0.1, 10**6),
    ],
)
def absorption(answer: Any) -> list[Step]:
    """While only the leader is drawn, the others' probability loses in proportion to its square."""
    lost, b = sp.symbols("x b", positive=True)
    steps = []
    for size in (2, 3, 5):
        p = [1 - lost, *[lost / (size - 1)] * (size - 1)]
        data = [1, *[0] * (size - 1)]
        left: Any = 1 - TEMPERED.learner(p, data)[0]
        bend: Any = sp.diff(left, lost, 2)
        slope: Any = sp.diff(left, lost)
        pace = bend.subs(lost, 0) / 2
        found, sizes = sp.sympify(answer).subs(K, size), {"K": size}
        drawn = sum(TEMPERED.drawn(p)[1:]) / lost ** (1 / T)
        kept = sp.simplify(drawn.subs(T, 1 / b)).subs(lost, 0)
        steps += [
            Step(
                "drawing the leader, the others together fall from x to x − x² Kη/(K − 1) + O(x³)",
                [
                    left.subs(lost, 0),
                    slope.subs(lost, 0) - 1,
                    pace + size * eta / sp.Integer(size - 1),
                ],
                sizes=sizes,
            ),
            Step(
                "… which the claimed value follows from a start at ∞",
                [sp.diff(found, t) - pace * found**2, (1 / found).subs(t, 0)],
                sizes=sizes,
            ),
            Step(
                "they are drawn with chances of the order x^{1/T}, which is summable where T < 1",
                kept - sp.Integer(size - 1) ** (1 - b),
                sizes=sizes,
            ),
        ]
    return steps


@lru_cache(maxsize=100_000)
def tilt_root(gap: Any, temperature: Any, digits: int) -> Any:
    """The m > 0 with p_T + q_T e^m = e^{mq}, by Newton's method from the right: it is convex."""
    with mpmath.workdps(digits):
        q = 1 / (1 + mpmath.exp(gap))
        q_T = 1 / (1 + mpmath.exp(gap / temperature))
        m = -mpmath.log(q_T) / (1 - q)
        for _ in range(200):
            shared = 1 - q_T + q_T * mpmath.exp(m)
            value = mpmath.log(shared) - m * q
            step = value / (q_T * mpmath.exp(m) / shared - q)
            m -= step
            if abs(step) < abs(m) * mpmath.mpf(10) ** (4 - digits):
                break
        return m


def from_the_tie(slope: Callable[[Any], Any], gap: Any) -> Any:
    """∫₀^z of a smooth function that is evaluated with twice the digits, for it cancels at 0."""
    # To 40 digits, always: computing the nodes of the rule would take longer than all the rest.
    with mpmath.workdps(40):
        return mpmath.quad(mpmath.workdps(ROOT_DIGITS)(slope), [0, gap], method="gauss-legendre")


ROOT_DIGITS = 80


@lru_cache
def wkb_exponent(gap: Any, temperature: Any) -> Any:
    """W(z) = ½ ∫₀^z m dy."""
    return from_the_tie(lambda y: tilt_root(y, temperature, ROOT_DIGITS), gap) / 2


@lru_cache
def wkb_prefactor(gap: Any, temperature: Any, num_samples: Any, divided: bool) -> Any:
    """A(z) = (1/z) exp ∫₀^z (W'' (Var ξ + B E[ξ]²)/E[ξ] + 1/y) dy, ξ = q or −p, tilted law."""

    def slope(y: Any) -> Any:
        m = tilt_root(y, temperature, ROOT_DIGITS)
        q, q_T = 1 / (1 + mpmath.exp(y)), 1 / (1 + mpmath.exp(y / temperature))
        p = 1 - q
        fall = q_T * mpmath.exp(m * p)
        first, second = q - fall, q**2 + fall * (p**2 - q**2)
        spread = second + (num_samples - 1) * first**2
        uphill = (
            q_T * (1 - q_T) / temperature * (1 - mpmath.exp(m)) * mpmath.exp(-m * q) + m * p * q
        )
        return uphill / first / 2 * spread / first / (num_samples if divided else 1) + 1 / y

    return mpmath.exp(from_the_tie(slope, gap)) / gap


y = sp.Symbol("y", positive=True)
W = implemented_function("W", wkb_exponent)
A = implemented_function("A", lambda z, T, B: wkb_prefactor(z, T, B, False))
A_divided = implemented_function("A_B", lambda z, T, B: wkb_prefactor(z, T, B, True))


def winner_rhs(exponent: Any = None, prefactor: Any = None) -> Any:
    """A √(2W/β) Φ(−√(2BW/η)), β = 1/T − 1."""
    exponent = W(z, T) if exponent is None else exponent
    prefactor = A(z, T, B) if prefactor is None else prefactor
    tail = sp.erfc(sp.sqrt(B * exponent / eta)) / 2
    return prefactor * sp.sqrt(2 * exponent / (1 / T - 1)) * tail


@claim(
    "Below temperature 1 the initial mode of two outcomes loses with a probability that "
    "is exponentially small in B/η, with a rate that a diffusion gets wrong.",
    winner_rhs(),
    lhs=r"{\mathbb{P}(\text{the initial mode loses})}",
    kind="asymptotic",
    of=(
        notation.gap.written(z),
        notation.temperature,
        notation.step_size,
        notation.num_samples.written(B),
    ),
    loop=TEMPERED,
    assumes="T < 1 fixed, K = 2, η → 0 (relative error of order η), uniformly in z > 0. "
    "W = ½∫m with p_T + q_T e^m = e^{mq}; A'/A = W'' (Var ξ + B E[ξ]²)/E[ξ], A ~ 1/z at "
    "the tie.",
    accuracy=2e-6,
    near_misses={
        "a diffusion with the drift and noise at the tie": sp.erfc(
            z * sp.sqrt(B * (1 / T - 1) / (2 * eta))
        )
        / 2,
        "a diffusion's exponent": winner_rhs(
            sp.Integral(
                (1 + sp.exp(y / T)) - (2 + 2 * sp.cosh(y / T)) / (1 + sp.exp(-y)),
                (y, 0, z),
            )
        ),
        "without the prefactor": sp.erfc(sp.sqrt(B * W(z, T) / eta)) / 2,
        "a batch is a smaller step": winner_rhs().subs(B, 1).subs(eta, eta / B),
        "the prefactor's growth divided by B": winner_rhs(prefactor=A_divided(z, T, B)),
    },
    edges=tuple(
        Edge(
            {
                "gap": gap,
                "temperature": temperature,
                "step_size": step_size,
                "num_samples": num_samples,
            }
        )
        for gap, temperature, step_size, num_samples in (
            (1.0, 0.5, 0.1, 1),
            (0.3, 0.8, 0.02, 1),
            (2.0, 0.4, 0.3, 4),
            (3.0, 0.9, 0.05, 2),
            (0.05, 0.7, 1.0, 1),
        )
    ),
)
def winner(answer: Any) -> list[Step]:
    """Orders η⁰ and η¹ of the functional equation, and its solution near the tie."""
    beta, far = 1 / T - 1, sp.Symbol("s", positive=True)
    width, height = sp.symbols("W A", positive=True)
    answer = sp.sympify(answer)
    plain = answer.subs({W(z, T): width, A(z, T, B): height})
    # Φ(−√(2s)) √(4πs) e^s → 1, s = BW/η.
    wave = height * sp.exp(-far) * sp.sqrt(width / (beta * far)) / sp.sqrt(2 * sp.pi)
    tied = answer.subs({A(z, T, B): 1 / z, W(z, T): beta * z**2 / 2})
    tie = sp.erfc(z * sp.sqrt(B * beta / (2 * eta))) / 2
    ratio = plain.subs(eta, B * width / far) / wave
    return [
        Step(
            "near the tie, where W = βz²/2 and A = 1/z, it is Φ(−z√(Bβ/η)) …",
            tied - tie,
            reduce=sp.expand,
        ),
        Step(
            "… which solves (βz/2) h' + (η/2B) h'' = 0 and is 1/2 at the tie",
            [
                beta * z / 2 * sp.diff(tie, z) + eta / (2 * B) * sp.diff(tie, z, 2),
                tie.subs(z, 0) - sp.Rational(1, 2),
            ],
        ),
        Step(
            "far from it, it is A e^{−BW/η} √(η/(2πBβ))",
            ratio,
            reduce=lambda found: sp.limit(sp.simplify(found), far, sp.oo) - 1,
        ),
        *carried(),
    ]


@lru_cache
def carried() -> list[Step]:
    """A e^{−BW/η} solves the functional equation of the loop to the orders η⁰ and η¹."""
    q, m, m1, a, Q = sp.symbols("q m m_1 a Q", real=True)
    # The gap moves by 2η(q − share of the other): the loop's own step from [1 − q, q].
    drawn = Loop(corpus=Fresh(1))
    zeroth, first = [], []
    fall, rise = Q * sp.exp(m * (1 - q)), (1 - Q) * sp.exp(-m * q)
    mass, mean1, mean2 = (rise * q**k - fall * (1 - q) * (q - 1) ** (k - 1) for k in range(3))
    for size in (1, 2, 3):

        def shifted(data: Vector, size: int = size) -> Any:
            # h = A e^{−BW/η} with W' = m/2, W'' = m₁/2, A'/A = a, at z + 2ηx, to the order η.
            one, other = TRACES.learner.velocity([1 - q, q], data)
            x = (one - other) / 2
            return (1 + 2 * eta * x * a) * sp.exp(-size * m * x) * (1 - size * eta * m1 * x**2)

        equation = symbolic.mean(replace(drawn, corpus=Fresh(size)), [1 - Q, Q], shifted)
        square = mass ** (size - 1) * mean2 + (size - 1) * mass ** max(size - 2, 0) * mean1**2
        zeroth.append(equation.subs(eta, 0) - mass**size)
        order = sp.diff(equation, eta) - 2 * a * mass ** (size - 1) * mean1 + m1 * square
        first.append(order.subs(eta, 0))
    sizes = {"K": 2, "B": (1, 2, 3)}
    return [
        Step(
            "order η⁰: the tilted masses p_T e^{−mq} + q_T e^{mp} are 1 together",
            zeroth,
            sizes=sizes,
        ),
        Step(
            "order η¹: 2 (A'/A) E[ξ] = 2 W'' (Var ξ + B E[ξ]²) under the tilted law",
            first,
            sizes=sizes,
        ),
    ]


# --- Above temperature 1: the stationary law ------------------------------------------------------


def stationary_variance() -> Any:
    """ηT/(2B(T − 1)) over 1 − η(1 − 1/T)/(2K)."""
    return eta * T / (2 * B * (T - 1)) / (1 - eta * (1 - 1 / T) / (2 * K))


@claim(
    "Above temperature 1 the logits fluctuate about uniform; for small steps each "
    "contrast between them has the same variance, whatever the number of outcomes.",
    stationary_variance(),
    lhs=r"{\mathbb{E}\,|\theta|^2/(K-1)}",
    kind="asymptotic",
    of=(
        notation.num_outcomes(2, 1000),
        notation.temperature(1.1, 10),
        notation.step_size(0.001, 0.5),
        notation.num_samples.written(B)(1, 50),
    ),
    loop=TEMPERED,
    assumes="Stationary; T > 1 fixed, η/B → 0: the linearised chain, relative error about "
    "ηT/(B(T − 1)).",
    near_misses={
        "divided by the number of outcomes": stationary_variance() / K,
        "twice": 2 * stationary_variance(),
        "1/(T − 1) without T": stationary_variance() / T,
    },
    edges=[
        at(50_000, 2.0, 0.1, 1),
    ],
)
def stationary(answer: Any) -> list[Step]:
    """Linear drift against the noise at the uniform model."""
    steps = []
    for size in (2, 3, 4):
        x = symbolic.model(size)
        uniform = dict.fromkeys(x, sp.Integer(0))
        p = symbolic.softmax(x)
        drawn = TEMPERED.drawn([sp.exp(value) for value in x])
        drift = [q - share for q, share in zip(drawn, p, strict=True)]
        slope = sp.Matrix(drift).jacobian(x).subs(uniform)
        here = dict(zip(shares(size)[:-1], [sp.Rational(1, size)] * size, strict=False))
        noise = spread(TRACES, size).subs(here)
        contrast = sp.Matrix([1, -1, *[0] * (size - 2)])
        rate = slope[0, 0] - slope[1, 0]
        variance = sp.sympify(answer).subs(K, size) * contrast.dot(contrast)
        steps += [
            Step(
                "at the uniform model a generation turns a contrast into a multiple of itself",
                list(slope * contrast - rate * contrast),
                sizes={"K": size},
            ),
            Step(
                "… so that the variance C = (1 + ηr)² C + η² · noise reproduces itself",
                (1 + eta * rate) ** 2 * variance
                + eta**2 * contrast.dot(noise * contrast)
                - variance,
                sizes={"K": size},
            ),
        ]
    return steps


variance = sp.Symbol("v", positive=True)


def mixture_square(size: Any, v: Any) -> Any:
    """(K−1)v/2 + v² [(1 − 1/K) e^{v/2} + (K−1)(1/2 − 1/K)] / (e^{v/2} + K − 1)."""
    half = sp.Rational(1, 2)
    corner = sp.exp(v / 2)
    centres = ((1 - 1 / size) * corner + (size - 1) * (half - 1 / size)) / (corner + size - 1)
    return (size - 1) * v / 2 + v**2 * centres


@claim(
    "Just above temperature 1 the stationary law of the logits is a mixture of K(K+1)/2 "
    "Gaussians, one for each corner and each edge; its mean square follows.",
    mixture_square(K, variance),
    lhs=r"{\mathbb{E}\,|\theta|^2}",
    of=(
        notation.num_outcomes(2, 1000),
        notation.variance(0.01, 50),
    ),
    loop=TEMPERED,
    assumes="Stationary; η → 0 and T → 1 from above with v = η/(B(1 − 1/T)) fixed: the diffusion; "
    "that the chain's stationary law tends to the diffusion's is derived.",
    near_misses={
        "one Gaussian": (K - 1) * variance / 2,
        "corners alone": (K - 1) * variance / 2 + variance**2 * (1 - 1 / K),
        "a corner weighted by e^v": (K - 1) * variance / 2
        + variance**2
        * ((1 - 1 / K) * sp.exp(variance) + (K - 1) * (sp.Rational(1, 2) - 1 / K))
        / (sp.exp(variance) + K - 1),
    },
    edges=[
        at(50_000, 30.0),
        at(3, 1200.0),
    ],
)
def stationary_mixture(answer: Any) -> list[Step]:
    """The noise is reversible; the drift towards log π is a gradient in the same metric."""
    v, half = variance, sp.Rational(1, 2)
    corners, edges = K * sp.exp(v * (1 - 1 / K)), K * (K - 1) * sp.exp(v * (half - 1 / K))
    whole = sp.log(v) * (K - 1) / 2 + sp.log(corners + edges)
    return [
        Step(
            "the density's sum over K corners at v(e_i − 1/K) and K(K−1)/2 edges half way, v times "
            "differentiated in v, has the claimed E|θ|²",
            v**2 * sp.diff(whole, v) - answer,
        ),
        *mixture_steps(),
    ]


@lru_cache
def mixture_steps() -> list[Step]:
    """What makes the mixture the stationary law: the steps without its mean square."""
    v, half = variance, sp.Rational(1, 2)
    divergence, current, drift, weights = [], [], [], []
    for size in (2, 3):
        x, anchor = symbolic.model(size), sp.symbols(f"l1:{size + 1}", real=True)
        p, Z = symbolic.softmax(x), sum(map(sp.exp, x))
        here = dict(zip(shares(size)[:-1], p, strict=False))
        noise = B * spread(TRACES, size).subs(here, simultaneous=True)
        log_density = 2 * sp.log(Z) - sum((y - c) ** 2 for y, c in zip(x, anchor, strict=True)) / v
        drawn = TEMPERED.drawn([sp.exp(value) for value in x])
        for a in range(size):
            divergence.append(sum(sp.diff(Z**2 * noise[a, b], x[b]) for b in range(size)))
            pull = sum(noise[a, b] * (x[b] - anchor[b]) for b in range(size)) / v
            flow = sum(
                sp.diff(noise[a, b], x[b]) + noise[a, b] * sp.diff(log_density, x[b])
                for b in range(size)
            )
            current.append(pull + flow / 2)
            slope: Any = sp.diff(drawn[a], T).subs(T, 1)
            drift.append(slope + sum(noise[a, b] * x[b] for b in range(size)))
        centring = sp.eye(size) - sp.ones(size, size) / size
        for a in range(size):
            for b in range(size):
                tilt = sp.Matrix([int(a == c) + int(b == c) for c in range(size)])
                square = tilt.dot(centring * tilt)
                weights.append(square / 4 - ((1 if a == b else half) - sp.Rational(1, size)))
    sizes = {"K": (2, 3)}
    return [
        Step("Σ_j ∂_j (Z² Σ_ij) = 0", divergence, reduce=rational, sizes=sizes),
        Step(
            "Z² exp(−|θ − log π|²/v) carries no probability current",
            current,
            reduce=rational,
            sizes=sizes,
        ),
        Step(
            "near T = 1 the drift is −(T − 1) Σθ, so π is uniform",
            drift,
            reduce=rational,
            sizes=sizes,
        ),
        Step(
            "the term e^{θ_i + θ_j} of Z² weighs e^{v|b|²/4}, b = e_i + e_j centred: v(1 − 1/K) in "
            "the exponent for a corner, v(1/2 − 1/K) for an edge",
            weights,
            sizes=sizes,
        ),
    ]


# --- Astronomic horizons: derived, not proved -----------------------------------------------------

log_n = sp.Symbol(r"{\log n}", positive=True)
log_ratio, level = sp.symbols("ell p_0", positive=True)


@claim(
    "The chance to lead late is 1/K plus the initial centred logit over the logarithm of "
    "the generation: the initial model is forgotten like 1/log n.",
    1 / K + (theta[i] - total(theta[j], j) / K) / log_n,
    lhs=r"{\mathbb{P}(\text{$i$ leads at $n$})}",
    kind="conjecture",
    of=(
        notation.logits(-3, 3),
        notation.log_generation.written(log_n)(20, 400),
    ),
    loop=replace(TRACES, corpus=Fresh(1)),
    assumes="log n large against the centred logits and log η; for K = 2 and small steps "
    "a theorem of the diffusion, for K ≥ 3 derived.",
    near_misses={
        "forgotten at once": 1 / K + theta[i] / 10**30,
        "half of it": 1 / K + (theta[i] - total(theta[j], j) / K) / (2 * log_n),
        "never forgotten": sp.exp(theta[i]) / total(sp.exp(theta[j]), j),
    },
    edges=[
        at([2.0, 2.0, 2.0], 50.0, gives=[1 / 3] * 3),
    ],
)
def memory() -> list[Step]:
    """No proof is known; what speaks for it is the confrontation."""
    return []


@claim(
    "The chance that the leader has never been overtaken falls like log n to the power −(2 − 2/K).",
    (z / log_n) ** (2 - 2 / K),
    lhs=r"{\mathbb{P}(\text{not overtaken by $n$})}",
    kind="conjecture",
    of=(
        notation.num_outcomes(2, 1000),
        notation.gap.written(z)(5, 20),
        notation.log_generation.written(log_n)(20, 400),
    ),
    loop=replace(TRACES, corpus=Fresh(1)),
    assumes="All others start z behind, 1 ≪ z ≪ log n; corrections of order 1/log n.",
    near_misses={
        "the exponent 1 of two outcomes": z / log_n,
        "the exponent 2 of many outcomes": (z / log_n) ** 2,
        "the exponent 1 − 1/K": (z / log_n) ** (1 - 1 / K),
    },
    edges=[
        at(50_000, 12.0, 400.0),
    ],
)
def survival() -> list[Step]:
    """No proof is known; what speaks for it is the confrontation."""
    return []


@claim(
    "Two outcomes take turns for ever, ever more slowly: the mean number of changes "
    "between p < p₀ and p > 1 − p₀ grows like the logarithm of the generation.",
    log_ratio / (2 * sp.log((1 - level) / level)),
    lhs=r"{\mathbb{E}[N(e^\ell n)-N(n)]}",
    kind="conjecture",
    of=(
        notation.level(0.001, 0.4),
        notation.log_ratio(1, 400),
    ),
    loop=replace(TRACES, corpus=Fresh(1)),
    assumes="K = 2, small steps (overshoots of order η widen the passage), n late.",
    source=DERIVED + "; for the diffusion a standard limit law of local times",
    cites=("pitman1986",),
    near_misses={
        "counted one way only": log_ratio / (4 * sp.log((1 - level) / level)),
        "half the distance": log_ratio / sp.log((1 - level) / level),
        "never again": sp.Integer(0),
    },
    edges=[
        at(1e-9, 100.0),
    ],
)
def switches() -> list[Step]:
    """No proof is known; what speaks for it is the confrontation."""
    return []
