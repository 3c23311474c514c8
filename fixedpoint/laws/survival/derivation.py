"""Survival: which outcomes of single traces stay alive, and for how long.

Proofs in SymPy.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import product
from typing import Any

import mpmath
import sympy as sp
from sympy.utilities.lambdify import implemented_function

from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    NUM_OUTCOMES,
    OUTCOME,
    Edge,
    Step,
    at,
    claim,
    total,
)

theta: Any = sp.IndexedBase("theta", real=True)
eta, T, S, s, z, lam = sp.symbols("eta T S s z lambda", positive=True)
B, k, n = sp.symbols("B k n", integer=True, positive=True)
j, other, t = sp.symbols("j l t", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES

TRACE = "T = 1, plain gradient steps on fresh own samples, logits of a table; no weight decay."
DERIVED = "derived here"
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""


# --- The definitions: one draw and one step -------------------------------------------------------


def weights(num_outcomes: int) -> list[sp.Symbol]:
    """e^θ as positive symbols."""
    return list(sp.symbols(f"w1:{num_outcomes + 1}", positive=True))


def normalised(values: Sequence[Any]) -> list[Any]:
    """Values over their sum: softmax(θ), if the values are e^θ."""
    whole = sum(values)
    return [value / whole for value in values]


def noise(p: Sequence[Any], drawn: int) -> list[Any]:
    """p̂ − p if the one sample is the outcome `drawn`."""
    return [int(a == drawn) - p[a] for a in range(len(p))]


def mean(p: Sequence[Any], quantity: Callable[[int], Any]) -> Any:
    """The expectation over one sample: Σ_k p_k · quantity(k)."""
    return sum(p[a] * quantity(a) for a in range(len(p)))


def after(values: Sequence[Any], p: Sequence[Any], drawn: int, step: Any = eta) -> list[Any]:
    """e^θ' if e^θ are the values and the sample is `drawn`."""
    return [w * sp.exp(step * g) for w, g in zip(values, noise(p, drawn), strict=True)]


gap = sp.Symbol("z", real=True)


# --- Three outcomes and more: only two stay alive -------------------------------------------------

mask: Any = sp.IndexedBase("a", real=True)
alpha = sp.Symbol("alpha", positive=True)


def transience_rhs(last: Any = None) -> Any:
    """(α/2) Y^{−α−1}/Z · [(α+1)(1 − m²/(ZY)) − (m − p_A)] over the outcomes that `mask` marks."""
    Z, size = total(sp.exp(theta[j]), j), total(mask[j], j)
    Y = total(mask[j] * sp.exp(-theta[j]), j)
    alive = total(mask[j] * sp.exp(theta[j]), j) / Z
    end = size - alive if last is None else last(size, alive)
    return alpha / 2 * Y ** (-alpha - 1) / Z * ((alpha + 1) * (1 - size**2 / (Z * Y)) - end)


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
    assumes=TRACE + " The subset is marked by 1, the rest by 0.",
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
def transience() -> list[Step]:
    """Second derivatives along the noise, then a sum of terms of one sign."""
    closes = []
    for size, chosen in ((2, 2), (3, 3), (4, 3)):
        w = weights(size)
        p = normalised(w)
        Z, Y = sum(w), sum(1 / x for x in w[:chosen])
        step = sp.Symbol("epsilon")
        value = mean(
            p,
            lambda d, w=w, p=p, c=chosen, step=step: (
                sum(1 / x for x in after(w, p, d, step)[:c]) ** -alpha
            ),
        )
        second = sp.diff(value, step, 2).subs(step, 0) / 2
        bracket = (alpha + 1) * (1 - chosen**2 / (Z * Y)) - (chosen - sum(p[:chosen]))
        closes.append((second - alpha / 2 * Y ** (-alpha - 1) / Z * bracket) * Y ** (alpha + 2))
    m, u, v = sp.symbols("m u v", positive=True)
    bracket = (alpha + 1) * (1 - u) - (m - v)
    return [
        Step(
            "the mean change of Y^{−α} is η² (α/2) Y^{−α−1}/Z · […]  (2 of 2, 3 of 3, 3 of 4)",
            closes,
        ),
        Step(
            "[…] = −(m − 2 − α) − (1 − p_A) − (α + 1) m²/(ZY) < 0 for α ≤ m − 2",
            bracket + (m - 2 - alpha) + (1 - v) + (alpha + 1) * u,
            reduce=sp.expand,
        ),
    ]


size_alive = sp.Symbol("m", integer=True, positive=True)


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
    assumes=TRACE + " Y = Σ e^{−θ} over m ≥ 3 of the outcomes; every η > 0 and B ≥ 1.",
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
def transience_every_step() -> list[Step]:
    """E[D] from below and E[D²] from above, D the growth of log Y in one generation."""
    u, r, d, c, v, m = sp.symbols("u r d c v m", positive=True)
    spread, split, growth = [], [], []
    for size, chosen, samples in ((3, 3, 1), (4, 3, 1), (2, 2, 2)):
        w = weights(size)
        p = normalised(w)
        share = normalised([1 / x for x in w[:chosen]])
        draws = list(product(range(size), repeat=samples))
        second = 0
        for drawn in draws:
            step = [
                sum(sp.Rational(int(a == b), samples) for b in drawn) - p[a] for a in range(chosen)
            ]
            first = sum(a * x for a, x in zip(share, step, strict=True))
            square = sum(a * x**2 for a, x in zip(share, step, strict=True))
            second += sp.prod([p[b] for b in drawn]) * (square - first**2)
        rare = 1 / (sum(w) * sum(1 / x for x in w[:chosen]))
        alive = sum(p[:chosen])
        spread.append(second - rare / samples * (chosen - alive - 1 + chosen**2 * rare))
    w = weights(3)
    p, share = normalised(w), normalised([1 / x for x in w])
    x: Any = sp.symbols("x1:4", real=True)
    for drawn in range(3):
        after_draw = sum(1 / value for value in after(w, p, drawn)) / sum(1 / value for value in w)
        raised = sum(a * sp.exp(eta * b) for a, b in zip(share, p, strict=True))
        moved = share[drawn] * sp.exp(eta * p[drawn]) / raised
        split.append(after_draw - raised * (1 - moved * (1 - sp.exp(-eta))))
    lse = sp.log(sum(a * sp.exp(u * b) for a, b in zip(w, x, strict=True)))
    tilted = normalised([a * sp.exp(u * b) for a, b in zip(w, x, strict=True)])
    middle = sum(a * b for a, b in zip(tilted, x, strict=True))
    for order in (2, 3):
        moment = sum(a * (b - middle) ** order for a, b in zip(tilted, x, strict=True))
        growth.append(sp.diff(lse, u, order) - moment)
    lambert: Any = sp.LambertW(2 * eta * r)
    return [
        Step(
            "with a_i = e^{−θ_i}/Y and c = 1/(ZY) the mean variance of a step under a is "
            "(η²/B) c [(m − p_A) − 1 + m²c]  (3 of 3, 3 of 4; 2 of 2 with B = 2)",
            spread,
        ),
        Step(
            "[…] = (m − 2) + (1 − p_A) + m²c ≥ m − 2",
            ((m - v) - 1 + m**2 * c) - ((m - 2) + (1 - v) + m**2 * c),
            reduce=sp.expand,
        ),
        Step(
            "along the step, log Y has the variance as its second derivative and the third "
            "central moment, at most 2η times the variance, as its third  (K = 3)",
            growth,
        ),
        Step(
            "so E[D] ≥ g(2η) times the mean variance: ∫₀¹ (1 − u) e^{−ru} du = g(r)",
            sp.integrate((1 - u) * sp.exp(-r * u), (u, 0, 1)) - remainder_share(r),
        ),
        Step(
            "Y'/Y = Σ a e^{ηp} · (1 − w_k (1 − e^{−η})) if k is drawn, w = a e^{ηp}/Σ a e^{ηp}: D "
            "is a rise of at most Σ a (e^{ηp} − 1) less a fall of at most η w_k  (K = 3)",
            split,
        ),
        Step(
            "e^{ηp} − 1 ≤ p (e^η − 1) on [0, 1], being convex and equal at both ends, and Σ_A a p "
            "= mc ≤ √c: the rise squared is at most c (e^η − 1)², the fall's mean square at most "
            "m η² e^η c",
            [(sp.exp(eta * v) - 1 - v * (sp.exp(eta) - 1)).subs(v, end) for end in (0, 1)]
            + [share[a] * p[a] - 1 / (sum(w) * sum(1 / b for b in w)) for a in range(3)],
        ),
        Step(
            "e^{−x} = 1 − x + x² ∫₀¹ (1 − u) e^{−ux} du ≤ 1 − x + x² e^{|x|}/2",
            sp.exp(-d) - 1 + d - d**2 * sp.integrate((1 - u) * sp.exp(-d * u), (u, 0, 1)),
        ),
        Step(
            "so E[e^{−αD}] ≤ 1 − α E[D²] (κ − α e^{αη}/2), since |D| ≤ η; the bracket is 0 at the "
            "α claimed, since W e^W is the argument of W",
            r - lambert / eta * sp.exp(lambert) / 2,
            reduce=lambda left: sp.simplify(left.subs(sp.exp(lambert), 2 * eta * r / lambert)),
        ),
    ]


# --- Below temperature 1: one outcome for ever ----------------------------------------------------


@claim(
    "Below temperature 1 a single outcome is drawn from some generation on, for every "
    "step size; the others' total probability then falls only like 1/t.",
    (K - 1) / (K * eta * n),
    lhs=1 - sp.Symbol("p_{max}"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(2, 1000),
        notation.step_size(0.01, 10),
        notation.generation.written(n)(100, 10**9),
    ),
    assumes="T < 1, late: Kηn large against e^θ and against log n.",
    near_misses={
        "each of the others instead of all": 1 / (K * eta * n),
        "without the number of outcomes": 1 / (eta * n),
        "exponential": sp.exp(-eta * n / K),
    },
    edges=[
        at(50_000, 0.1, 10**6),
    ],
)
def absorption() -> list[Step]:
    """While only the leader is drawn all e^{−θ_j} grow by the same clock."""
    u, c = sp.symbols("u c", positive=True)
    size = sp.Symbol("K", positive=True)
    w = weights(3)
    p = normalised(w)
    stepped: list[Any] = after(w, p, 0)
    first: Any = [sp.diff(1 / x, eta).subs(eta, 0) for x in stepped[1:]]
    growth = [x - 1 / sum(w) for x in first]
    # Late, all Y_j = τ: the leader's weight is τ^{K−1}, so dt = τ^{K−1} dτ/η.
    passed = sp.integrate(u ** (size - 1), (u, 0, c), conds="none") / eta
    tail = (size - 1) / c / c ** (size - 1)
    return [
        Step("drawing the leader, d e^{−θ_j} = η/Z for every other j  (K = 3)", growth),
        Step("so t = τ^K/(Kη) late", passed - c**size / (size * eta)),
        Step(
            "and the others have (K − 1) e^{−τ-logits} = (K − 1)/(Kηt) together",
            tail - (size - 1) / (size * eta * passed),
        ),
    ]


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
        notation.gap.called("logit_gap").written(z),
        notation.temperature,
        notation.step_size,
        notation.num_samples.written(B),
    ),
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
                "logit_gap": gap,
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
def winner() -> list[Step]:
    """Orders η⁰ and η¹ of the functional equation, and its solution near the tie."""
    q, q_T, m, m1, a = sp.symbols("q q_T m m_1 a", real=True)
    fall = q_T * sp.exp(m * (1 - q))
    rise = (1 - q_T) * sp.exp(-m * q)
    mass, mean1, mean2 = (rise * q**k - fall * (1 - q) * (q - 1) ** (k - 1) for k in range(3))
    zeroth, first = [], []
    for size in (1, 2, 3):
        # h = A e^{−BW/η} with W' = m/2, W'' = m₁/2, A'/A = a, at z + 2ηx, to the first order in η.
        shifted = lambda x, B=size: (  # noqa: E731
            (1 + 2 * eta * x * a) * sp.exp(-B * m * x) * (1 - B * eta * m1 * x**2)
        )
        equation: Any = sum(
            sp.binomial(size, others)
            * q_T**others
            * (1 - q_T) ** (size - others)
            * shifted(q - sp.Rational(others, size))
            for others in range(size + 1)
        )
        square = mass ** (size - 1) * mean2 + (size - 1) * mass ** max(size - 2, 0) * mean1**2
        zeroth.append(equation.subs(eta, 0) - mass**size)
        first.append(sp.diff(equation, eta) - 2 * a * mass ** (size - 1) * mean1 + m1 * square)
    beta = sp.Symbol("beta", positive=True)
    tied = sp.erfc(y * sp.sqrt(B * beta / (2 * eta))) / 2
    return [
        Step(
            "order η⁰: the tilted masses p_T e^{−mq} + q_T e^{mp} are 1 together  (B = 1, 2, 3)",
            zeroth,
        ),
        Step(
            "order η¹: 2 (A'/A) E[ξ] = 2 W'' (Var ξ + B E[ξ]²) under the tilted law  (B = 1, 2, 3)",
            [left.subs(eta, 0) for left in first],
        ),
        Step(
            "near the tie, where W = βz²/2 and A = 1/z, it is Φ(−z√(Bβ/η)), which solves "
            "(βz/2) h' + (η/2B) h'' = 0",
            beta * y / 2 * sp.diff(tied, y) + eta / (2 * B) * sp.diff(tied, y, 2),
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
    assumes="T > 1 fixed, η/B → 0: the linearised chain, relative error about ηT/(B(T − 1)).",
    near_misses={
        "divided by the number of outcomes": stationary_variance() / K,
        "twice": 2 * stationary_variance(),
        "1/(T − 1) without T": stationary_variance() / T,
    },
    edges=[
        at(50_000, 2.0, 0.1, 1),
    ],
)
def stationary() -> list[Step]:
    """Linear drift against the noise at the uniform model."""
    x = sp.symbols("x1:4", real=True)
    total_T, total_1 = (sum(sp.exp(v / c) for v in x) for c in (T, 1))
    drift = sp.exp(x[0] / T) / total_T - sp.exp(x[0]) / total_1
    zero = dict.fromkeys(x, 0)
    slope = [sp.diff(drift, v).subs(zero) for v in x]
    rate, C, size = sp.symbols("r C K", positive=True)
    balance = (1 - rate) ** 2 * C + eta**2 / (B * size) - C
    claimed = eta * T / (2 * B * (T - 1)) / (1 - eta * (1 - 1 / T) / (2 * size))
    return [
        Step(
            "at the uniform model the drift is −(1 − 1/T)/K on centred logits  (K = 3)",
            [slope[0] - slope[1] + (1 - 1 / T) / 3, slope[1] - slope[2], sum(slope)],
        ),
        Step(
            "the linear chain's variance C = (1 − r)² C + η²/(BK), r = η(1 − 1/T)/K",
            balance.subs(C, claimed).subs(rate, eta * (1 - 1 / T) / size),
        ),
    ]


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
    assumes="η → 0 and T → 1 from above with v = η/(B(1 − 1/T)) fixed: the diffusion; that the "
    "chain's stationary law tends to the diffusion's is derived.",
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
def stationary_mixture() -> list[Step]:
    """The noise is reversible; the drift towards log π is a gradient in the same metric."""
    steps: list[Step] = []
    divergence, current, drift = [], [], []
    for size in (2, 3):
        x, anchor = sp.symbols(f"x1:{size + 1}", real=True), sp.symbols(f"l1:{size + 1}", real=True)
        Z = sum(map(sp.exp, x))
        p = [sp.exp(v) / Z for v in x]
        noise_matrix = [
            [(p[a] if a == b else 0) - p[a] * p[b] for b in range(size)] for a in range(size)
        ]
        density = Z**2 * sp.exp(
            -sum((v - c) ** 2 for v, c in zip(x, anchor, strict=True)) / variance
        )
        for a in range(size):
            divergence.append(sum(sp.diff(Z**2 * noise_matrix[a][b], x[b]) for b in range(size)))
            pull = sum(noise_matrix[a][b] * (x[b] - anchor[b]) for b in range(size)) / variance
            spread = sum(sp.diff(noise_matrix[a][b] * density, x[b]) for b in range(size)) / 2
            current.append((pull * density + spread) / density)
            shift = sum(sp.exp(v / T) for v in x)
            slope: Any = sp.diff(sp.exp(x[a] / T) / shift, T).subs(T, 1)
            drift.append(slope + sum(noise_matrix[a][b] * x[b] for b in range(size)))
    steps.append(Step("Σ_j ∂_j (Z² Σ_ij) = 0  (K = 2, 3)", divergence))
    steps.append(
        Step("Z² exp(−|θ − log π|²/v) carries no probability current  (K = 2, 3)", current)
    )
    steps.append(Step("near T = 1 the drift is −(T − 1) Σθ, so π is uniform  (K = 2, 3)", drift))
    size, v = sp.symbols("K v", positive=True)
    corner, edge = (
        size * sp.exp(v * (1 - 1 / size)),
        size * (size - 1) * sp.exp(v * (sp.Rational(1, 2) - 1 / size)),
    )
    inside = (size - 1) * v / 2
    square = inside + (corner * v**2 * (1 - 1 / size) + edge * v**2 / 4 * (2 - 4 / size)) / (
        corner + edge
    )
    steps.append(
        Step(
            "expanding Z² gives K corners at v(e_i − 1/K) and K(K−1)/2 edges half way, and E|θ|²",
            square - mixture_square(size, v),
        )
    )
    return steps


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
        notation.logits.called("logits0")(-3, 3),
        notation.log_generation.written(log_n)(20, 400),
    ),
    assumes=TRACE + " log n large against the centred logits and log η; for K = 2 and small steps "
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
        notation.gap.called("logit_gap").written(z)(5, 20),
        notation.log_generation.written(log_n)(20, 400),
    ),
    assumes=TRACE + " All others start z behind, 1 ≪ z ≪ log n; corrections of order 1/log n.",
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
    assumes="T = 1, K = 2, small steps (overshoots of order η widen the passage), n late.",
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
