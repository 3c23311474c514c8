"""Survival: which outcomes of single traces stay alive, and for how long.

The loop is that of `traces`: n samples and one gradient step of size η a generation. Proofs take
means over one generation, for every n unless a step names some.
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
    LOGITS,
    OUTCOME,
    Edge,
    Step,
    at,
    claim,
    total,
)
from fixedpoint.laws.notation import K, T, eta, n, t, theta
from fixedpoint.symbolic import (
    Fresh,
    GradientSteps,
    Loop,
    Refit,
    Temperature,
    Vector,
    rational,
    shares,
    written_out,
)

i, z = OUTCOME, notation.gap.symbol
j: Any = sp.Symbol("j", integer=True, positive=True)

TRACES = Loop(corpus=Fresh(n), learner=GradientSteps(eta))
"""One gradient step a generation on n own samples, at T = 1."""
TEMPERED = replace(TRACES, sampler=Temperature(T))
"""The same at another temperature."""
SINGLE = replace(TRACES, corpus=Fresh(1))
"""On one sample a generation, at T = 1."""


# --- One generation of the loop -------------------------------------------------------------------


def over_draws(loop: Loop, p: Vector, quantity: Callable[[Vector], Any]) -> Any:
    """The mean of a quantity of a generation's step in the logits, in units of η."""
    learner = loop.learner
    return symbolic.mean(
        replace(loop, learner=Refit()), p, lambda data: quantity(learner.velocity(p, data))
    )


@lru_cache
def spread(num_outcomes: int) -> Any:
    """The matrix of the mean products of two logits' steps, in units of η², at `shares(K)`."""
    p = shares(num_outcomes)
    rows = [
        [over_draws(TRACES, p, lambda g, a=a, b=b: g[a] * g[b]) for b in range(a + 1)]
        for a in range(num_outcomes)
    ]
    return sp.ImmutableMatrix(num_outcomes, num_outcomes, lambda a, b: rows[max(a, b)][min(a, b)])


# --- Three outcomes and more: only two stay alive -------------------------------------------------

mask: Any = notation.subset.symbol
alpha = notation.exponent.symbol
Z, Q, LAST = sp.symbols("Z Q p_K", positive=True)


def transience_rhs(last: Any = None) -> Any:
    """(α/2) Y^{−α−1}/Z · [(α+1)(1 − m²/(ZY)) − (m − p_A)] over the outcomes that `mask` marks."""
    Z, size = total(sp.exp(theta[j]), j), total(mask[j], j)
    Y = total(mask[j] * sp.exp(-theta[j]), j)
    alive = total(mask[j] * sp.exp(theta[j]), j) / Z
    end = size - alive if last is None else last(size, alive)
    return alpha / 2 * Y ** (-alpha - 1) / Z * ((alpha + 1) * (1 - size**2 / (Z * Y)) - end)


@lru_cache
def curved(marks: tuple[int, ...]) -> tuple[Any, Any, Any]:
    """n/2 times the mean second derivative of Y^{−α} along the noise; Y; the mean step.

    At the model w/Z with w = e^θ in symbols of their own.
    """
    size = len(marks)
    p, x = shares(size), symbolic.model(size)
    Y: Any = sum(mark * sp.exp(-value) for mark, value in zip(marks, x, strict=True))
    here = dict(zip(x, map(sp.log, weights(size)), strict=True))
    curvature = sp.hessian(Y**-alpha, x).subs(here, simultaneous=True)
    second = sum(one * other for one, other in zip(curvature, spread(size), strict=True)) * n / 2
    still = [over_draws(TRACES, p, lambda g, a=a: g[a]) for a in range(size)]
    return second, Y.subs(here, simultaneous=True), still


def weights(num_outcomes: int) -> list[Any]:
    """e^θ = Z p of each outcome, with the last probability as a symbol of its own."""
    return [Z * share for share in (*shares(num_outcomes)[:-1], LAST)]


@claim(
    "For any three outcomes the sum Y of e^(−θ), as Y^(−α) with 0 < α ≤ 1, falls on "
    "average from every state: in the limit of small steps the third largest logit goes "
    "to −∞, and only two outcomes stay alive at a time.",
    transience_rhs(),
    lhs=r"{\lim_{\eta\to0}(n/\eta^2)\,\mathbb{E}[Y'^{-\alpha}-Y^{-\alpha}]}",
    of=(
        notation.logits,
        notation.subset,
        notation.exponent,
    ),
    loop=TRACES,
    given={"num_samples": n, "step_size": eta},
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
        w = weights(len(marks))
        claim_here = written_out(answer, w).subs(marked).subs(sum(w), Z)
        left = (claim_here - second).subs(Y, Q)
        # Without its denominators it is a polynomial.
        left = sp.expand(left * Q ** (alpha + 2)).subs(Q, Y) * sp.prod(w) * w[-1]
        claimed.append(sp.expand(left).subs(LAST, shares(len(marks))[-1]))
        still += first
    m, u, v = sp.symbols("m u v", positive=True)
    bracket = (alpha + 1) * (1 - u) - (m - v)
    sizes = {"K": (2, 3, 4), "m": (2, 3)}
    return [
        Step(
            "the mean change of Y^{−α} is η²/n times the claimed, by its second derivatives",
            claimed,
            reduce=sp.expand,
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
    """g(r) = (e^{−r} − 1 + r)/r²: what third derivatives can leave of the second, at least."""
    return (sp.exp(-spread) - 1 + spread) / spread**2


def growth_ratio(variance: Any) -> Any:
    """κ: the mean growth of log Y over a bound of its mean square, at a mean variance."""
    share = remainder_share(2 * eta)
    return variance * share / (1 + eta * share * sp.sqrt(variance)) ** 2


def supermartingale_exponent(ratio: Any) -> Any:
    """The α with α e^{αη} = 2κ."""
    return sp.LambertW(2 * eta * ratio) / eta


@claim(
    "For every step size and every number of samples, Y^(−α) of three outcomes or more falls on "
    "average from every state if α is small enough: only two outcomes stay alive at a time. The "
    "power is the sharp one, m − 2, for small steps.",
    supermartingale_exponent(growth_ratio(size_alive - 2)),
    lhs=r"{\inf_\theta\,\max\{\alpha:\mathbb{E}[Y'^{-\alpha}]\le Y^{-\alpha}\}}",
    kind="bound",
    of=(
        notation.step_size(0.01, 20),
        notation.num_alive(3, 1000),
    ),
    loop=TRACES,
    given={"num_samples": n},
    assumes="Y = Σ e^{−θ} over m ≥ 3 of the outcomes; every η > 0 and n ≥ 1.",
    relation=">=",
    near_misses={
        "the exponent of small steps": size_alive - 2,
        "… continued by the third derivative alone": 2
        * (size_alive - 2)
        * (eta - 1 + sp.exp(-eta))
        / eta**2,
        "two outcomes as well": supermartingale_exponent(growth_ratio(size_alive - 1)),
    },
    # What is below it is a bound as well: of smaller answers an experiment rejects those alone that
    # are smaller for small steps, where the bound is attained.
    edges=[
        at(1e-4, 3),
        at(1.0, 2, gives=0.0),
        at(1.0, 50_000),
    ],
)
def transience_every_step(answer: Any) -> list[Step]:
    """E[X] and E[X²] of a number X that D, the growth of log Y in one generation, never is below.

    With a_i = e^{−θ_i}/Y, c = 1/(ZY) and v = θ − θ', X is L + g(2η) V: the mean of v under a, and
    a part of its variance.
    """
    u, r, d, b = sp.symbols("u r d b", positive=True)
    means, variances, squares = [], [], []
    for size, chosen in ((2, 2), (3, 3), (4, 3)):
        p = shares(size)
        rare = 1 / sum(1 / x for x in p[:chosen])
        share, noise = [rare / x for x in p[:chosen]], spread(size)
        places = range(chosen)
        second = sum(share[a] * noise[a, a] for a in places)
        first = sum(share[a] * share[b] * noise[a, b] for a in places for b in places)
        still = [over_draws(TRACES, p, lambda g, a=a: g[a]) for a in places]
        means.append(sum(a * g for a, g in zip(share, still, strict=True)))
        squares.append(n * first - rare * (1 - chosen**2 * rare))
        claimed = rare * (chosen - sum(p[:chosen]) - 1 + chosen**2 * rare)
        variances.append(n * (second - first) - claimed)
    x, w = sp.symbols("x1:4", real=True), sp.symbols("w1:4", positive=True)
    lse = sp.log(sum(a * sp.exp(u * value) for a, value in zip(w, x, strict=True)))
    tilted = symbolic.normalised([a * sp.exp(u * value) for a, value in zip(w, x, strict=True)])

    def moment(power: int) -> Any:
        middle = sum(a * value for a, value in zip(tilted, x, strict=True))
        return sum(a * (value - middle) ** power for a, value in zip(tilted, x, strict=True))

    low, high = sp.symbols("l h", real=True)
    weighed = [a / sum(w) for a in w]
    middle = sum(a * value for a, value in zip(weighed, x, strict=True))
    inside = sum(a * (high - y) * (y - low) for a, y in zip(weighed, x, strict=True))
    variance = sum(a * (y - middle) ** 2 for a, y in zip(weighed, x, strict=True))
    part = remainder_share(2 * eta)
    bound = b * part / (1 + eta * part * sp.sqrt(b)) ** 2
    sizes = {"K": (2, 3, 4), "m": (2, 3)}
    return [
        Step(
            "E[X] = g(2η) (η²/n) c b and E[X²] ≤ (η²/n) c (1 + ηg√b)², b ≥ m − 2. So E[e^{−αD}] ≤ "
            "E[e^{−αX}] ≤ 1 − α E[X²] (κ − α e^{αη}/2), κ their ratio at b = m − 2; the bracket is "
            "0 at the α claimed, since W e^W is the argument of W",
            bound.subs(b, size_alive - 2) - answer * sp.exp(answer * eta) / 2,
            reduce=without_lambert,
        ),
        Step("the mean of v under a is 0 on average: E[L] = 0", means, sizes=sizes),
        Step(
            "… and E[L²] = (η²/n) c (1 − m²c) ≤ (η²/n) c",
            squares,
            reduce=rational,
            sizes=sizes,
        ),
        Step(
            "the mean of V is (η²/n) c b, b = (m − p_A) − 1 + m²c ≥ m − 2",
            variances,
            reduce=rational,
            sizes=sizes,
        ),
        Step(
            "V ≤ η², a quarter of the square of the range 2η of v: for every l and h it is "
            "(h − L)(L − l) − Σ a (h − v)(v − l). So E[V²] ≤ η² E[V], and the root of E[X²] is at "
            "most the sum of those of E[L²] and of g² E[V²]",
            variance - (high - middle) * (middle - low) + inside,
            reduce=rational,
            sizes={"K": 3},
        ),
        Step(
            "the ratio of the two bounds grows with b",
            sp.diff(bound, b) - part / (1 + eta * part * sp.sqrt(b)) ** 3,
        ),
        Step(
            "along the step, log Y has the variance as its second derivative and the third "
            "central moment, at most 2η times the variance, as its third",
            [sp.diff(lse, u, order) - moment(order) for order in (2, 3)],
            reduce=rational,
            sizes={"K": 3},
        ),
        Step(
            "so D ≥ X: ∫₀¹ (1 − u) e^{−ru} du = g(r)",
            sp.integrate((1 - u) * sp.exp(-r * u), (u, 0, 1)) - remainder_share(r),
            reduce=rational,
        ),
        Step(
            "e^{−x} = 1 − x + x² ∫₀¹ (1 − u) e^{−ux} du ≤ 1 − x + x² e^{αη}/2 for x = αX ≥ −αη",
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
    given={"temperature": T},
    assumes="T < 1, late: Kηt large against e^θ and against log t.",
    near_misses={
        "each of the others instead of all": 1 / (K * eta * t),
        "without the number of outcomes": 1 / (eta * t),
        "exponential": sp.exp(-eta * t / K),
    },
    # No experiment can tell t from t + 1 where the error of the law is of the order log t.
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
    """A(z) = (1/z) exp ∫₀^z (W'' (Var ξ + n E[ξ]²)/E[ξ] + 1/y) dy, ξ = q or −p, tilted law."""

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
A = implemented_function("A", lambda z, T, n: wkb_prefactor(z, T, n, False))
A_divided = implemented_function("A_n", lambda z, T, n: wkb_prefactor(z, T, n, True))


def winner_rhs(exponent: Any = None, prefactor: Any = None) -> Any:
    """A √(2W/β) Φ(−√(2nW/η)), β = 1/T − 1."""
    exponent = W(z, T) if exponent is None else exponent
    prefactor = A(z, T, n) if prefactor is None else prefactor
    tail = sp.erfc(sp.sqrt(n * exponent / eta)) / 2
    return prefactor * sp.sqrt(2 * exponent / (1 / T - 1)) * tail


@claim(
    "Below temperature 1 the initial mode of two outcomes loses with a probability that "
    "is exponentially small in n/η, with a rate that a diffusion gets wrong.",
    winner_rhs(),
    lhs=r"{\mathbb{P}(\text{the initial mode loses})}",
    kind="asymptotic",
    of=(
        notation.gap,
        notation.temperature,
        notation.step_size,
        notation.num_samples,
    ),
    loop=TEMPERED,
    assumes="T < 1 fixed, K = 2, η → 0 (relative error of order η), uniformly in z > 0. "
    "W = ½∫m with p_T + q_T e^m = e^{mq}; A'/A = W'' (Var ξ + n E[ξ]²)/E[ξ], A ~ 1/z at "
    "the tie.",
    accuracy=2e-6,
    near_misses={
        "a diffusion with the drift and noise at the tie": sp.erfc(
            z * sp.sqrt(n * (1 / T - 1) / (2 * eta))
        )
        / 2,
        "a diffusion's exponent": winner_rhs(
            sp.Integral(
                (1 + sp.exp(y / T)) - (2 + 2 * sp.cosh(y / T)) / (1 + sp.exp(-y)),
                (y, 0, z),
            )
        ),
        "without the prefactor": sp.erfc(sp.sqrt(n * W(z, T) / eta)) / 2,
        "more samples are a smaller step": winner_rhs().subs(n, 1).subs(eta, eta / n),
        "the prefactor's growth divided by n": winner_rhs(prefactor=A_divided(z, T, n)),
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
    beta = 1 / T - 1
    z, far, width, height = sp.symbols("z s W A", positive=True)
    answer = sp.sympify(answer).subs(notation.gap.symbol, z)
    plain = answer.subs({W(z, T): width, A(z, T, n): height})
    # Φ(−√(2s)) √(4πs) e^s → 1, s = nW/η.
    wave = height * sp.exp(-far) * sp.sqrt(width / (beta * far)) / sp.sqrt(2 * sp.pi)
    tied = answer.subs({A(z, T, n): 1 / z, W(z, T): beta * z**2 / 2})
    tie = sp.erfc(z * sp.sqrt(n * beta / (2 * eta))) / 2
    ratio = plain.subs(eta, n * width / far) / wave
    return [
        Step(
            "near the tie, where W = βz²/2 and A = 1/z, it is Φ(−z√(nβ/η)) …",
            tied - tie,
            reduce=sp.expand,
        ),
        Step(
            "… which solves (βz/2) h' + (η/2n) h'' = 0 and is 1/2 at the tie",
            [
                beta * z / 2 * sp.diff(tie, z) + eta / (2 * n) * sp.diff(tie, z, 2),
                tie.subs(z, 0) - sp.Rational(1, 2),
            ],
        ),
        Step(
            "far from it, it is A e^{−nW/η} √(η/(2πnβ))",
            ratio,
            reduce=lambda found: sp.limit(sp.simplify(found), far, sp.oo) - 1,
        ),
        *carried(),
    ]


@lru_cache
def carried() -> list[Step]:
    """A e^{−nW/η} solves the functional equation of the loop to the orders η⁰ and η¹."""
    q, m, m1, a, Q = sp.symbols("q m m_1 a Q", real=True)
    # The gap moves by 2η(q − share of the other): the loop's own step from [1 − q, q].
    drawn = Loop(corpus=Fresh(1))
    zeroth, first = [], []
    fall, rise = Q * sp.exp(m * (1 - q)), (1 - Q) * sp.exp(-m * q)
    mass, mean1, mean2 = (rise * q**k - fall * (1 - q) * (q - 1) ** (k - 1) for k in range(3))
    for size in (1, 2, 3):

        def shifted(data: Vector, size: int = size) -> Any:
            # h = A e^{−nW/η} with W' = m/2, W'' = m₁/2, A'/A = a, at z + 2ηx, to the order η.
            one, other = TRACES.learner.velocity([1 - q, q], data)
            x = (one - other) / 2
            return (1 + 2 * eta * x * a) * sp.exp(-size * m * x) * (1 - size * eta * m1 * x**2)

        equation = symbolic.mean(replace(drawn, corpus=Fresh(size)), [1 - Q, Q], shifted)
        square = mass ** (size - 1) * mean2 + (size - 1) * mass ** max(size - 2, 0) * mean1**2
        zeroth.append(equation.subs(eta, 0) - mass**size)
        order = sp.diff(equation, eta) - 2 * a * mass ** (size - 1) * mean1 + m1 * square
        first.append(order.subs(eta, 0))
    sizes = {"K": 2, "n": (1, 2, 3)}
    return [
        Step(
            "order η⁰: the tilted masses p_T e^{−mq} + q_T e^{mp} are 1 together",
            zeroth,
            sizes=sizes,
        ),
        Step(
            "order η¹: 2 (A'/A) E[ξ] = 2 W'' (Var ξ + n E[ξ]²) under the tilted law",
            first,
            sizes=sizes,
        ),
    ]


# --- Above temperature 1: the stationary law ------------------------------------------------------


def stationary_variance() -> Any:
    """ηT/(2n(T − 1)) over 1 − η(1 − 1/T)/(2K)."""
    return eta * T / (2 * n * (T - 1)) / (1 - eta * (1 - 1 / T) / (2 * K))


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
        notation.num_samples(1, 50),
    ),
    loop=TEMPERED,
    assumes="Stationary; T > 1 fixed, η/n → 0: the linearised chain, relative error about "
    "ηT/(n(T − 1)).",
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
        noise = spread(size).subs(here)
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


variance = notation.variance.symbol


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
    given={"temperature": T, "num_samples": n, "step_size": eta},
    assumes="Stationary; η → 0 and T → 1 from above with v = η/(n(1 − 1/T)) fixed: the diffusion; "
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
        noise = n * spread(size).subs(here, simultaneous=True)
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

log_t, log_ratio, level = (
    argument.symbol for argument in (notation.log_generation, notation.log_ratio, notation.level)
)


@claim(
    "The chance to lead late is 1/K plus the initial centred logit over the logarithm of "
    "the generation: the initial model is forgotten like 1/log t.",
    1 / K + (theta[i] - total(theta[j], j) / K) / log_t,
    lhs=r"{\mathbb{P}(\text{$i$ leads at $t$})}",
    kind="conjecture",
    of=(
        notation.logits(-3, 3),
        notation.log_generation(20, 400),
    ),
    loop=SINGLE,
    given={"step_size": eta},
    assumes="log t large against the centred logits and log η; for K = 2 and small steps "
    "a theorem of the diffusion, for K ≥ 3 derived.",
    near_misses={
        "forgotten at once": 1 / K + theta[i] / 10**30,
        "half of it": 1 / K + (theta[i] - total(theta[j], j) / K) / (2 * log_t),
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
    "The chance that the leader has never been overtaken falls like log t to the power −(2 − 2/K).",
    (z / log_t) ** (2 - 2 / K),
    lhs=r"{\mathbb{P}(\text{not overtaken by $t$})}",
    kind="conjecture",
    of=(
        notation.num_outcomes(2, 1000),
        notation.gap(5, 20),
        notation.log_generation(20, 400),
    ),
    loop=SINGLE,
    given={"step_size": eta},
    assumes="All others start z behind, 1 ≪ z ≪ log t; corrections of order 1/log t.",
    near_misses={
        "the exponent 1 of two outcomes": z / log_t,
        "the exponent 2 of many outcomes": (z / log_t) ** 2,
        "the exponent 1 − 1/K": (z / log_t) ** (1 - 1 / K),
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
    lhs=r"{\mathbb{E}[N(e^\ell t)-N(t)]}",
    kind="conjecture",
    of=(
        notation.level(0.001, 0.4),
        notation.log_ratio(1, 400),
    ),
    loop=SINGLE,
    given={"step_size": eta},
    assumes="K = 2, small steps (overshoots of order η widen the passage), t late.",
    source="derived here; for the diffusion a standard limit law of local times",
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
