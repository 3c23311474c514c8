"""Single traces: each generation draws n samples and takes one gradient step of size η on them.

The rule is θ' = θ + η (p̂ − p), with p = softmax(θ) and p̂ the frequencies of n samples from
softmax(θ/T). At T = 1 the samples are the model's own and the step has mean 0: what follows is the
theory of that noise.

Proofs take means over one generation of the loop, for the numbers of outcomes named in each step
and every n. Two times occur after t generations: τ = ηt, the time of gradient flow, and s = η²t/n,
in which the noise is of order 1.
"""

from collections.abc import Callable
from functools import cache
from itertools import combinations
from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    LOGITS,
    LOST,
    NUM_OUTCOMES,
    OUTCOME,
    Step,
    at,
    claim,
    total,
)
from fixedpoint.laws.notation import T, eta, n, t, tau, theta, z
from fixedpoint.symbolic import (
    Fresh,
    GradientSteps,
    Loop,
    MixtureStep,
    Temperature,
    Vector,
    centred_logits,
    gap_of,
    pair,
    shares,
    unrolled,
    written_out,
)

s, order, h = (
    argument.symbol
    for argument in (notation.diffusion_time, notation.order, notation.heterozygosities)
)
i, K = OUTCOME, NUM_OUTCOMES
j, k, other = sp.symbols("j k l", integer=True, positive=True)
"""Indices of sums over the outcomes."""

TEMPERED = Loop(Temperature(T), Fresh(n), GradientSteps(eta))
TRACE = Loop(corpus=Fresh(n), learner=GradientSteps(eta))
SINGLE = Loop(corpus=Fresh(1), learner=GradientSteps(eta))
MIXTURE = Loop(corpus=Fresh(n), learner=MixtureStep(eta))
TABLE = "Logits of a table."
KNOWN_MARTINGALE = (
    "known: Robertson, Chu, Dai, Schuurmans, Szepesvari, Mei, NeurIPS 2025, Proposition 3.2 "
    "(equally good arms)"
)
NOTHING = theta[i] / 10**30
"""Zero for every outcome; a plain 0 would not stand for a vector."""


# --- One generation -------------------------------------------------------------------------------


@cache
def orders(size: int, observe: Callable[[Vector], Any]) -> list[list[Any]]:
    """Orders η⁰, η¹ and η² of the mean change of each number read off, for every n."""
    p = shares(size)

    def term(q: Vector, order: int, place: int) -> Any:
        change = sp.diff(observe(q)[place] - observe(p)[place], eta, order).subs(eta, 0)
        return sp.expand(change) / sp.factorial(order)

    places = range(len(observe(p)))
    return [
        [symbolic.mean(TRACE, p, lambda q, a=a, m=m: term(q, m, a)) for a in places]
        for m in range(3)
    ]


def of_outcomes(answer: Any, size: int) -> list[Any]:
    """A vector over the outcomes, written out in their logits θ₁, …, θ_K."""
    return written_out(answer, [sp.exp(value) for value in symbolic.model(size)])


def one_against_equals(answer: Any, p: Any) -> Any:
    """An answer for one outcome of probability p and K − 1 others that share the rest."""
    rest = (1 - p) / (K - 1)

    def among(term: Any, limits: Any) -> Any:
        index = limits[0]
        of = [term.subs(theta[index], sp.log(value)) for value in (p, rest)]
        return of[0] + (K - 1) * of[1]

    written = sp.sympify(answer).replace(sp.Sum, among)
    return written.subs(theta[i], sp.log(p))


def power_sum(order: int) -> Any:
    """Σ p^m of the model."""
    return total(sp.exp(order * theta[j]), j) / total(sp.exp(theta[j]), j) ** order


def plain(expression: Any) -> Any:
    """Products out of logarithms, and what is left in them multiplied out."""
    expanded = sp.expand_log(expression, force=True)
    return expanded.replace(sp.log, lambda inside: sp.log(sp.expand(inside)))


# --- T = 1: the martingale ------------------------------------------------------------------------


@claim(
    "The mean step is η times sampled minus model; at T = 1 it is 0 from every state, so "
    "the logits are a martingale.",
    eta
    * (
        sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)
        - sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
    ),
    lhs=r"{\mathbb{E}[\theta'_i-\theta_i]}",
    of=(
        notation.logits(-3, 3),
        notation.temperature(0.2, 0.8),
        notation.step_size(0.01, 5),
    ),
    loop=TEMPERED,
    given={"num_samples": n},
    assumes=TABLE,
    source=KNOWN_MARTINGALE,
    cites=("robertson2025",),
    near_misses={
        "the opposite sign": eta
        * (
            sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
            - sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)
        ),
        "no drift at any temperature": NOTHING,
        "the model's own gradient left out": eta
        * sp.exp(theta[i] / T)
        / total(sp.exp(theta[j] / T), j),
        "the temperature inverted": eta
        * (
            sp.exp(theta[i] * T) / total(sp.exp(theta[j] * T), j)
            - sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
        ),
    },
    edges=[
        at(LOGITS, 1.0, 0.7, gives=[0.0] * 4),
        at(LOGITS, 3.0, 0.7),
        at(LOST, 0.5, 0.7),
        at([0.5] * 3, 0.5, 1.0, gives=[0.0] * 3),
    ],
)
def martingale(answer: Any) -> list[Step]:
    """The mean of p̂ is p_T; the mean of p is p."""
    steps = []
    for size in (2, 3):
        p = symbolic.softmax(symbolic.model(size))
        start = centred_logits(p)
        # The logits that add up to 0 stay so: their step is that of θ.
        moved = [
            symbolic.mean(TEMPERED, p, lambda q, a=a, start=start: centred_logits(q)[a] - start[a])
            for a in range(size)
        ]
        claimed = of_outcomes(answer, size)
        steps += [
            Step(
                "the mean of a step of the loop",
                [x - y for x, y in zip(moved, claimed, strict=True)],
                reduce=sp.cancel,
                sizes={"K": size},
            ),
            Step(
                "at T = 1 it vanishes from every state",
                [value.subs(T, 1) for value in claimed],
                sizes={"K": size},
            ),
        ]
    return steps


def squared_step(p: Vector, so_far: Vector) -> Any:
    """The mean growth of |θ − θ₀|² in a generation from the model p."""
    now = centred_logits(p)

    def growth(q: Vector) -> Any:
        moved = zip(so_far, centred_logits(q), now, strict=True)
        return sp.expand(sum((d + sp.expand(x - y)) ** 2 - d**2 for d, x, y in moved))

    return symbolic.mean(TRACE, p, growth)


@claim(
    "At T = 1 the mean squared displacement is η²/n times the summed mean 1 − Σp².",
    eta**2 / n * sp.Sum(h[j], (j, 1, t)),
    lhs=r"{\mathbb{E}\,|\theta_t-\theta_0|^2}",
    of=(
        notation.heterozygosities(0, 1),
        notation.step_size(0.01, 5),
        notation.num_samples(1, 100),
    ),
    loop=TRACE,
    assumes=TABLE + " h_j = E[1 − Σp²] before generation j.",
    near_misses={
        "linear in the step size": eta / n * sp.Sum(h[j], (j, 1, t)),
        "the samples do not matter": eta**2 * sp.Sum(h[j], (j, 1, t)),
        "steps all in one direction": (eta * sp.Sum(sp.sqrt(h[j] / n), (j, 1, t))) ** sp.S(2),
        "the last step not counted": eta**2 / n * sp.Sum(h[j], (j, 1, t - 1)),
    },
    edges=[
        at([0.0, 0.0], 1.0, 3, gives=0.0),
    ],
)
def displacement(answer: Any) -> list[Step]:
    """Variances of uncorrelated increments add."""
    spread: Any = sp.IndexedBase("h", positive=True)
    claimed = answer.xreplace(
        {entry: spread[entry.indices[0]] for entry in answer.atoms(sp.Indexed)}
    )
    growth = unrolled(claimed.subs(t, t + 1), t) - unrolled(claimed, t)
    steps = [Step("no generation, no displacement", claimed.subs(t, 0).doit())]
    for size in (2, 3):
        p = shares(size)
        so_far = sp.symbols(f"d1:{size + 1}", real=True)
        steps.append(
            Step(
                "a generation of the loop leads from t to t + 1, whatever the displacement so far",
                growth.subs(spread[t + 1], symbolic.heterozygosity(p)) - squared_step(p, so_far),
                reduce=sp.expand,
                sizes={"K": size},
            )
        )
    return steps


@claim(
    "At T = 1 the root mean square displacement in the time τ is at most √(ητ/n): it "
    "vanishes with the step size, while a drift would move the model by order τ. A generation "
    "from the uniform model attains the bound.",
    (1 - 1 / K) * eta * tau / n,
    lhs=r"{\mathbb{E}\,|\theta_t-\theta_0|^2}",
    kind="bound",
    of=(
        notation.num_outcomes(2, 1000),
        notation.time(0.1, 100),
        notation.step_size(0.01, 5),
        notation.num_samples(1, 100),
    ),
    loop=TRACE,
    assumes=TABLE + " τ = ηt.",
    relation="<=",
    near_misses={
        "quadratic in the step size": (1 - 1 / K) * eta**2 * tau / n,
        "a quarter of it": (1 - 1 / K) * eta * tau / (4 * n),
        "1/K instead of 1 − 1/K": eta * tau / (K * n),
    },
    edges=[
        at(1, 3.0, 0.1, 2, gives=0.0),
        at(50_000, 3.0, 0.1, 2),
    ],
)
def displacement_bound(answer: Any) -> list[Step]:
    """1 − Σp² is largest at the uniform distribution."""
    steps = [Step("no time, no displacement", answer.subs(tau, 0))]
    for size in (2, 3, 4):
        p = shares(size)
        allowed = (answer.subs(tau, tau + eta) - answer).subs(K, size)
        square = sum((x - sp.Rational(1, size)) ** 2 for x in p)
        steps.append(
            Step(
                "a generation takes the time η: the bound grows by more than |θ − θ₀|² does, by "
                "η²/n Σ (p − 1/K)², which is 0 at the uniform model",
                allowed - squared_step(p, [0] * size) - eta**2 / n * square,
                reduce=sp.expand,
                sizes={"K": size},
            )
        )
    return steps


# --- T = 1: the price in log-loss, and two biases -------------------------------------------------


def log_loss_fall(step: Any, spread: bool = True) -> Any:
    """Σ_k p_k log(Σ_j p_j e^{−ηp_j} + p_k e^{−ηp_k} (e^η − 1)): the mean growth of lse(θ)."""
    p = sp.exp(theta[other]) / total(sp.exp(theta[j]), j)
    own = p.subs(other, k)
    base = total(p * sp.exp(-step * p), other)
    hit = own * sp.exp(-step * own) * (sp.exp(step) - 1) if spread else own * (sp.exp(step) - 1)
    return total(own * sp.log(base + hit), k)


@claim(
    "The expected log-likelihood of every outcome falls by one and the same amount, the "
    "mean growth of the log-normaliser; shown for one sample.",
    log_loss_fall(eta),
    lhs=r"{\log p_x-\mathbb{E}\log p'_x}",
    of=(
        notation.logits(-3, 3),
        notation.step_size(0.05, 5),
    ),
    loop=SINGLE,
    assumes=TABLE + " One generation.",
    accuracy=1e-11,
    near_misses={
        "its small-step form": eta**2 / 2 * (power_sum(2) - 2 * power_sum(3) + power_sum(2) ** 2),
        "the gain": -log_loss_fall(eta),
        "the model's own gradient left out of the hit": log_loss_fall(eta, spread=False),
    },
    edges=[
        at(LOGITS, 20.0),
        at(LOST, 0.5),
        at([0.0, 0.0], 1.0),
        at([2.0], 1.0, gives=0.0),
    ],
)
def log_loss(answer: Any) -> list[Step]:
    """The logit of every outcome keeps its mean, the normaliser does not."""
    steps = []
    for size in (2, 3):
        p = shares(size)
        claimed = plain(written_out(answer, p))
        falls = [
            symbolic.mean(SINGLE, p, lambda q, x=p[a], a=a: plain(sp.log(x) - sp.log(q[a])))
            for a in range(size)
        ]
        steps.append(
            Step(
                "the mean of log p(x) − log p'(x), the same for every x",
                [fall - claimed for fall in falls],
                reduce=sp.expand,
                sizes={"K": size},
            )
        )
    return steps


def bias_of(p: Any, s2: Any, s3: Any) -> Any:
    """½ p (f − Σ p f) with f = p (1 + 2 s₂ − 3p)."""
    fitness = p * (1 + 2 * s2 - 3 * p)
    return p * (fitness - (s2 * (1 + 2 * s2) - 3 * s3)) / 2


@claim(
    "Although the logits have no drift the probabilities do, of order η²/n. Their mean "
    "moves away from uniform where Σ p_a p_b (p_a − p_b)² (1 + 2 Σp² − 3p_a − 3p_b) over "
    "all pairs is > 0, and towards it where that is < 0: always for K = 2; near uniform "
    "towards it for K = 3, away from it for K ≥ 5.",
    bias_of(sp.exp(theta[i]) / total(sp.exp(theta[j]), j), power_sum(2), power_sum(3)),
    lhs=r"{\lim_{\eta\to0}(n/\eta^2)\,\mathbb{E}[p'_i-p_i]}",
    of=(notation.logits(-3, 3),),
    loop=TRACE,
    given={"num_samples": n, "step_size": eta},
    assumes=TABLE,
    accuracy=1e-11,
    near_misses={
        "twice": 2
        * bias_of(sp.exp(theta[i]) / total(sp.exp(theta[j]), j), power_sum(2), power_sum(3)),
        "always towards uniform": (1 / K - sp.exp(theta[i]) / total(sp.exp(theta[j]), j)) / 2,
        "the opposite sign": -bias_of(
            sp.exp(theta[i]) / total(sp.exp(theta[j]), j), power_sum(2), power_sum(3)
        ),
        "a martingale too": NOTHING,
    },
    edges=[
        at([0.0] * 5, gives=[0.0] * 5),
        at([2.0, -1.0]),
        at(LOST),
        at([4.0, 0.0, 0.0]),
    ],
)
def bias(answer: Any) -> list[Step]:
    """Second derivatives in η of the mean of a generation."""
    steps = []
    for size in (2, 3):
        claimed = written_out(answer, shares(size))
        *low, second = orders(size, tuple)
        high = [n * x - y for x, y in zip(second, claimed, strict=True)]
        steps += [
            Step("the order η² is as claimed", high, reduce=sp.cancel, sizes={"K": size}),
            Step(
                "the orders η⁰ and η¹ vanish",
                [*low[0], *low[1]],
                reduce=sp.cancel,
                sizes={"K": size},
            ),
        ]
    x, q = sp.symbols("x q", positive=True)
    slope = sp.diff(one_against_equals(answer, 1 / K + x), x).subs(x, 0)
    away = []
    for p in map(shares, (2, 3, 4)):
        s2 = sum(y**2 for y in p)
        pairs = sum(
            a * b * (a - b) ** 2 * (1 + 2 * s2 - 3 * (a + b)) for a, b in combinations(p, 2)
        )
        claimed = written_out(answer, p)
        away.append(sum(y * v for y, v in zip(p, claimed, strict=True)) - pairs / 2)
    return [
        *steps,
        Step("its slope at the uniform model is (K − 4)/(2K²)", slope - (K - 4) / (2 * K**2)),
        Step(
            "the mean's squared distance from uniform changes at the rate 2 Σ p_i times it, which "
            "is Σ_{i<j} p_i p_j (p_i − p_j)² (1 + 2s₂ − 3p_i − 3p_j)",
            away,
            reduce=sp.expand,
            sizes={"K": (2, 3, 4)},
        ),
        Step(
            "for K = 2 it is 2p²q²(1 − 2p): towards 1/2",
            written_out(answer, [q, 1 - q])[0] - 2 * q**2 * (1 - q) ** 2 * (1 - 2 * q),
        ),
    ]


def entropies(p: Vector) -> list[Any]:
    """The entropy, as the one number that is read off."""
    return [symbolic.entropy(p)]


def entropy_bias_rhs() -> Any:
    """−(Q/2 + θ·∇Q/4) with Q = s₂ − 2 s₃ + s₂² and θ replaced by log p."""
    Z = total(sp.exp(theta[j]), j)
    log_p = theta[other] - sp.log(Z)
    first = total(sp.exp(theta[other]) / Z * log_p, other)
    s2, s3 = power_sum(2), power_sum(3)
    d2, d3 = (
        m * (total(sp.exp(m * theta[other]) / Z**m * log_p, other) - power_sum(m) * first)
        for m in (2, 3)
    )
    Q = s2 - 2 * s3 + s2**2
    return -(Q / 2 + ((1 + 2 * s2) * d2 - 2 * d3) / 4)


@claim(
    "The mean entropy falls near the uniform model and rises near a vertex, at order η²/n: "
    "with logits it is no Lyapunov function.",
    entropy_bias_rhs(),
    lhs=r"{\lim_{\eta\to0}(n/\eta^2)\,\mathbb{E}[H'-H]}",
    of=(notation.logits(-3, 3),),
    loop=TRACE,
    given={"num_samples": n, "step_size": eta},
    assumes=TABLE,
    accuracy=1e-11,
    near_misses={
        "always falling": -(power_sum(2) - 2 * power_sum(3) + power_sum(2) ** 2) / 2,
        "twice": 2 * entropy_bias_rhs(),
        "the opposite sign": -entropy_bias_rhs(),
    },
    edges=[
        at([0.0] * 4),
        at(LOST[::2]),
        at([5.0, 0.0, -2.0]),
        at([0.0] * 50_000, gives=-(50_000 - 1) / (2 * 50_000**2)),
    ],
)
def entropy_bias(answer: Any) -> list[Step]:
    """Second derivatives in η of the mean entropy of a generation."""
    steps = []
    for size in (2, 3):
        *low, (second,) = orders(size, entropies)
        steps += [
            Step(
                "the order η² is as claimed",
                n * second - written_out(answer, shares(size)),
                reduce=sp.expand,
                sizes={"K": size},
            ),
            Step(
                "the orders η⁰ and η¹ vanish",
                [*low[0], *low[1]],
                reduce=sp.expand,
                sizes={"K": size},
            ),
        ]
    uniform = one_against_equals(answer, 1 / K)
    odds = sp.Symbol("r", positive=True)
    p = [odds / (1 + odds), 1 / (1 + odds)]
    closed = -2 * (p[0] * p[1]) ** 2 * (1 - sp.log(odds) * (p[0] - p[1]))
    return [
        *steps,
        Step("at the uniform model it is −(K − 1)/(2K²)", uniform + (K - 1) / (2 * K**2)),
        Step(
            "for K = 2 it is −2p²q²(1 − z tanh(z/2))",
            written_out(answer, p) - closed,
            reduce=lambda x: sp.simplify(sp.expand_log(x, force=True)),
        ),
    ]


# --- T = 1, two outcomes: the catenoid and the vertex ---------------------------------------------


@claim(
    "In the limit of small steps the gap of two logits is the height of a Brownian motion "
    "on a catenoid whose distance to the axis is 1/√(pq): E[1/(pq) + z²] grows as 2s.",
    4 * sp.cosh(z / 2) ** 2 + z**2 + 2 * s,
    lhs=r"{\mathbb{E}[1/(p_sq_s)+z_s^2]}",
    of=(
        notation.gap(-8, 8),
        notation.diffusion_time(0, 1000),
    ),
    loop=TRACE,
    given={"num_samples": n, "step_size": eta},
    assumes="K = 2, η → 0 at s = η²t/n.",
    source="the diffusion is the zero-gap case of Lattimore, arXiv:2603.10219; the reading as a "
    "catenoid is derived here",
    cites=("lattimore2026", "castro2014"),
    near_misses={
        "grows as s": 4 * sp.cosh(z / 2) ** 2 + z**2 + s,
        "grows as 4s": 4 * sp.cosh(z / 2) ** 2 + z**2 + 4 * s,
        "the height left out": 4 * sp.cosh(z / 2) ** 2 + 2 * s,
    },
    edges=[
        at(0.0, 0.0, gives=4.0),
        at(600.0, 1e3),
    ],
)
def catenoid(answer: Any) -> list[Step]:
    """The generator of the gap gives the constant 2."""
    p, surface = pair(z), 4 * sp.cosh(z / 2) ** 2
    moved = [
        symbolic.mean(TRACE, p, lambda q, m=m: sp.expand((gap_of(q) - gap_of(p)) ** m))
        for m in (1, 2)
    ]
    # A generation takes the time η²/n.
    drift, variance = (sp.simplify(n / eta**2 * value) for value in moved)

    def as_exp(x: Any) -> Any:
        return sp.simplify(sp.expand(x.rewrite(sp.exp)))

    generated = drift * sp.diff(answer, z) + variance * sp.diff(answer, z, 2) / 2
    return [
        Step(
            "at s = 0 it is 1/(pq) + z²",
            answer.subs(s, 0) - 1 / (p[0] * p[1]) - z**2,
            reduce=as_exp,
        ),
        Step(
            "its slope in s is what drift and variance of a generation make of it",
            sp.diff(answer, s) - generated,
            reduce=as_exp,
        ),
        Step(
            "along the catenoid of radius 2cosh(z/2) a unit of length is cosh(z/2) dz, and its "
            "square over the variance is 1",
            [
                sp.diff(2 * sp.cosh(z / 2), z) ** 2 + 1 - surface / 4,
                variance * surface / 4 - 1,
            ],
            reduce=as_exp,
        ),
    ]


def levy(power: Any) -> Any:
    """ψ(l) = 2ηl − 1 + e^{−2ηl}."""
    return 2 * eta * power - 1 + sp.exp(-2 * eta * power)


@claim(
    "Near a vertex the odds p/q grow like tX, with X in [0, 2η] random: the minority's "
    "probability is 1/(tX), and 1/(2ηt) only as long as nothing surprises.",
    sp.Product(levy(other), (other, 1, order)) / sp.factorial(order),
    lhs=r"{\mathbb{E}\,X^j}",
    of=(
        notation.order(1, 4),
        notation.step_size(0.05, 10),
    ),
    loop=SINGLE,
    assumes="K = 2; exact for the self-similar process that the chain becomes near a "
    "vertex; that the chain itself reaches its entrance law is derived.",
    near_misses={
        "no surprises": (2 * eta) ** order,
        "small steps": (2 * eta**2) ** order * sp.factorial(order),
        "the falls left out": sp.Product(2 * eta * other, (other, 1, order)) / sp.factorial(order),
        "without the factorial": sp.Product(levy(other), (other, 1, order)),
    },
    edges=[
        at(0, 1.0, gives=1.0),
        at(2, 1e-3),
    ],
)
def envelope(answer: Any) -> list[Step]:
    """The generator near a vertex maps R^j to ψ(j) R^{j−1}."""
    R, x, time = sp.symbols("R x t", positive=True)
    # One generation of two outcomes at odds R = 1/x, to the first order in x.
    p = [1 / (1 + x), x / (1 + x)]

    def growth(q: Vector) -> Any:
        return sp.exp(order * sp.expand(gap_of(q) - gap_of(p)))

    rate = sp.diff(symbolic.mean(SINGLE, p, growth), x).subs(x, 0)
    fall = (R**order * sp.exp(-2 * eta * order) - R**order) / R
    moment = answer * time**order
    later = unrolled(moment.subs(order, order + 1), order)
    return [
        Step("E X⁰ = 1", answer.subs(order, 0).doit() - 1),
        Step(
            "near the vertex E[R'^j] = R^j + ψ R^{j−1} up to R^{j−2}; E R_t^j = ψ ∫ E R^{j−1} dt "
            "leads from j to j + 1",
            sp.diff(later, time) / unrolled(moment, order) - rate.subs(order, order + 1),
            reduce=lambda y: sp.expand(sp.combsimp(sp.powsimp(y))),
        ),
        Step(
            "the process that climbs by 2η and falls by e^{−2η} at rate 1/R has that generator",
            sp.expand(2 * eta * sp.diff(R**order, R) + fall - rate * R ** (order - 1)),
        ),
    ]


@claim(
    "After one huge step a model looks collapsed for a time of order e^z/(2η), but the "
    "other outcome comes back: metastable, not final.",
    (1 + 2 * eta * t * sp.exp(-z)) ** (-1 / (2 * eta)),
    lhs=r"{\mathbb{P}(\text{no other outcome in $t$ generations})}",
    kind="asymptotic",
    of=(
        notation.gap(5, 60),
        notation.step_size(0.05, 20),
        notation.generation(0, 10**9),
    ),
    loop=SINGLE,
    assumes="K = 2; e^{−z} ≪ η (relative error about e^{−z}/(4η)).",
    near_misses={
        "a constant rate": sp.exp(-t * sp.exp(-z)),
        "the exponent 1/η": (1 + 2 * eta * t * sp.exp(-z)) ** (-1 / eta),
        "one logit instead of the gap": (1 + eta * t * sp.exp(-z)) ** (-1 / eta),
        "never": sp.Integer(1),
    },
    edges=[
        at(20.0, 1.0, 0, gives=1.0),
        at(700.0, 1.0, 10**6),
    ],
)
def first_surprise(answer: Any) -> list[Step]:
    """Hazard 1/R along R = R₀ + 2ηt."""
    x = sp.Symbol("x", positive=True)
    p = [1 / (1 + x), x / (1 + x)]  # odds R = 1/x
    led = SINGLE.learner(p, [1, 0])
    gain = sp.limit(sp.simplify(led[0] / led[1] - 1 / x), x, 0)
    hazard = sp.limit(p[1] / x, x, 0)
    odds = sp.exp(z) + gain * t
    return [
        Step("no generation, no surprise", answer.subs(t, 0) - 1),
        Step(
            "d log P/dn = −1/R: the chance of a surprise is 1/R up to 1/R², along R = e^z + 2ηn: a "
            "step without surprise adds 2η to the odds, up to 1/R",
            sp.diff(sp.log(answer), t) + hazard / odds,
        ),
    ]


# --- Two charts -----------------------------------------------------------------------------------


def gini() -> Any:
    """1 − Σp²."""
    return 1 - power_sum(2)


@claim(
    "The same rule applied to probabilities instead of logits loses 1 − Σp² geometrically: "
    "there it must die, with the chances p; in logits it can neither die nor settle.",
    gini() * (1 - eta**2 / n) ** t,
    lhs=r"{\mathbb{E}[1-|p_t|^2]}",
    of=(
        notation.logits(-3, 3),
        notation.step_size(0.01, 0.95),
        notation.num_samples(1, 50),
        notation.generation(0, 200),
    ),
    loop=MIXTURE,
    observe="heterozygosity",
    assumes="0 < η ≤ 1.",
    source="known in several fields (linear reward-inaction; Doerr and Zheng, arXiv:1910.14389, "
    "genetic drift of a neutral bit)",
    cites=("doerr2020",),
    near_misses={
        "the typical instead of the mean rate": gini() * (1 - eta) ** (2 * t),
        "linear in the step size": gini() * (1 - eta / n) ** t,
        "the samples do not matter": gini() * (1 - eta**2) ** t,
        "the logits' law: no decay": gini() * sp.Integer(1) ** t,
    },
    edges=[
        at(LOGITS, 0.3, 2, 0),
        at(LOST, 0.3, 2, 5),
        at(LOGITS, 1.0, 1, 3, gives=0.0),
        at([40.0, 0.0], 0.1, 1, 3),
    ],
)
def two_charts(answer: Any) -> list[Step]:
    """One mixture step takes the same share of 1 − Σp² each time."""
    p = pair(z)
    moved = symbolic.mean(TRACE, p, lambda q: sp.expand((gap_of(q) - gap_of(p)) ** 2))
    return [
        *symbolic.by_generations(
            MIXTURE, symbolic.heterozygosity, answer, generation=t, reduce=sp.factor
        ),
        Step(
            "in the logits the same noise has the variance 4η² p(1 − p)/n of the gap: it vanishes "
            "at no finite model, so the logits cannot settle",
            moved - 4 * eta**2 * p[0] * p[1] / n,
        ),
    ]
