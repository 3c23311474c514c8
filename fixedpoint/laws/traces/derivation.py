r"""Single traces: each generation draws B samples and takes one gradient step of size η on them.

The rule is θ' = (1 − ηλ) θ + η (p̂ − p), with p = softmax(θ), p̂ the frequencies of B samples from
softmax(θ/T) and λ the weight decay (0 unless named). At T = 1 the samples are the model's own and
the step has mean 0: what follows is the theory of that noise and, for T ≠ 1, of its contest with
the drift.

Proofs enumerate the outcomes of one draw with their probabilities (which is the definition of the
expectation), for the numbers of outcomes named in each step. Two time scales occur: S = ηN, the
time of gradient flow, and s = η²N/B, the time in which the noise is of order 1.
"""

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    NUM_OUTCOMES,
    OUTCOME,
    Step,
    at,
    claim,
    total,
)

theta: Any = sp.IndexedBase("theta", real=True)
eta, T, S, s, z, lam = sp.symbols("eta T S s z lambda", positive=True)
B, k, n = sp.symbols("B k n", integer=True, positive=True)
h: Any = sp.IndexedBase("h", shape=(n,), positive=True)
j, other, t = sp.symbols("j l t", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES

TRACE = "T = 1, plain gradient steps on fresh own samples, logits of a table; no weight decay."
KNOWN_MARTINGALE = (
    "known: Robertson, Chu, Dai, Schuurmans, Szepesvari, Mei, NeurIPS 2025, Proposition 3.2 "
    "(equally good arms)"
)
NOTHING = theta[i] / 10**30
"""Zero for every outcome; a plain 0 would not stand for a vector."""
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
LOST = [0.7, float("-inf"), -0.3]
"""A model that has lost an outcome."""


# --- The definitions: one draw and one step -------------------------------------------------------


def weights(num_outcomes: int) -> list[sp.Symbol]:
    """e^θ as positive symbols."""
    return list(sp.symbols(f"w1:{num_outcomes + 1}", positive=True))


def normalised(values: Sequence[Any]) -> list[Any]:
    """Values over their sum: softmax(θ), if the values are e^θ."""
    whole = sum(values)
    return [value / whole for value in values]


def shares(num_outcomes: int) -> list[Any]:
    """Probabilities p₁, …, p_K with the last one eliminated: they add up to 1 identically."""
    free = list(sp.symbols(f"p1:{num_outcomes}", positive=True))
    return [*free, 1 - sum(free)]


def noise(p: Sequence[Any], drawn: int) -> list[Any]:
    """p̂ − p if the one sample is the outcome `drawn`."""
    return [int(a == drawn) - p[a] for a in range(len(p))]


def mean(p: Sequence[Any], quantity: Callable[[int], Any]) -> Any:
    """The expectation over one sample: Σ_k p_k · quantity(k)."""
    return sum(p[a] * quantity(a) for a in range(len(p)))


def after(values: Sequence[Any], p: Sequence[Any], drawn: int, step: Any = eta) -> list[Any]:
    """e^θ' if e^θ are the values and the sample is `drawn`."""
    return [w * sp.exp(step * g) for w, g in zip(values, noise(p, drawn), strict=True)]


def second_order(p: Sequence[Any], quantity: Callable[[list[Any]], Any]) -> list[Any]:
    """Orders η⁰, η¹ and η² of the mean change of a quantity of the probabilities."""
    step = sp.Symbol("epsilon")
    change = mean(p, lambda drawn: quantity(normalised(after(p, p, drawn, step)))) - quantity(
        list(p)
    )
    return [sp.diff(change, step, order).subs(step, 0) / sp.factorial(order) for order in range(3)]


def power_sum(order: int) -> Any:
    """Σ p^m of the model."""
    return total(sp.exp(order * theta[j]), j) / total(sp.exp(theta[j]), j) ** order


def plain(expression: Any) -> Any:
    """Reduce with the logarithms as independent symbols: quick, and enough for polynomials."""
    logarithms = {x: sp.Dummy() for x in sp.expand_log(expression, force=True).atoms(sp.log)}
    return sp.cancel(sp.together(sp.expand_log(expression, force=True).xreplace(logarithms)))


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
    assumes="Plain steps on fresh samples, logits of a table; every step and batch size.",
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
def martingale() -> list[Step]:
    """The mean of p̂ is p_T; the mean of p is p."""
    x: Any = sp.symbols("x1:4", real=True)
    lse = sp.log(sum(map(sp.exp, x)))
    score = [sp.diff(x[0] - lse, v) - (int(v == x[0]) - sp.exp(v - lse)) for v in x]
    p, q = shares(3), sp.symbols("q1:3", positive=True)
    q = [*q, 1 - sum(q)]
    drift = [mean(q, lambda a, b=b: int(a == b) - p[b]) - (q[b] - p[b]) for b in range(3)]
    return [
        Step("the step on one sample x is η ∇ log p(x) = η (e_x − p)  (K = 3)", score),
        Step("its mean over x ~ p_T is η (p_T − p)  (K = 3)", drift, reduce=sp.expand),
        Step(
            "at T = 1 it vanishes from every state  (K = 2, 3, 4)",
            [
                mean(p, lambda a, b=b, p=p: noise(p, a)[b])
                for p in map(shares, (2, 3, 4))
                for b in range(len(p))
            ],
            reduce=sp.expand,
        ),
    ]


@claim(
    "At T = 1 the mean squared displacement is η²/B times the summed mean 1 − Σp².",
    eta**2 / B * sp.Sum(h[t], (t, 1, n)),
    lhs=r"{\mathbb{E}\,|\theta_n-\theta_0|^2}",
    of=(
        notation.heterozygosity.written(h)(0, 1, "vector"),
        notation.step_size(0.01, 5),
        notation.num_samples.written(B)(1, 100),
    ),
    assumes=TRACE + " h_t = E[1 − Σp²] before step t.",
    near_misses={
        "linear in the step size": eta / B * sp.Sum(h[t], (t, 1, n)),
        "the batch does not matter": eta**2 * sp.Sum(h[t], (t, 1, n)),
        "steps all in one direction": (eta * sp.Sum(sp.sqrt(h[t] / B), (t, 1, n))) ** sp.S(2),
        "the last step not counted": eta**2 / B * sp.Sum(h[t], (t, 1, n - 1)),
    },
    edges=[
        at([0.0, 0.0], 1.0, 3, gives=0.0),
    ],
)
def displacement() -> list[Step]:
    """Variances of uncorrelated increments add."""
    squares = []
    for p in map(shares, (2, 3, 4)):
        spread = mean(p, lambda a, p=p: sum(g**2 for g in noise(p, a)))
        squares.append(spread - (1 - sum(x**2 for x in p)))
    p, d = shares(3), sp.symbols("d1:4", real=True)
    cross = mean(p, lambda a: sum(x * g for x, g in zip(d, noise(p, a), strict=True)))
    pair = sum(
        p[a] * p[b] * sum(((x + y) / 2) ** 2 for x, y in zip(noise(p, a), noise(p, b), strict=True))
        for a in range(3)
        for b in range(3)
    )
    return [
        Step("E|e_x − p|² = 1 − Σp²  (K = 2, 3, 4)", squares, reduce=sp.expand),
        Step(
            "the frequencies of B samples have 1/B of that  (B = 2, K = 3)",
            pair - (1 - sum(x**2 for x in p)) / 2,
            reduce=sp.expand,
        ),
        Step(
            "a step is uncorrelated with the displacement so far  (K = 3)", cross, reduce=sp.expand
        ),
    ]


@claim(
    "At T = 1 the root mean square displacement in the time S is at most √(ηS/B): it "
    "vanishes with the step size, while a drift would move the model by order S.",
    (1 - 1 / K) * eta * S / B,
    lhs=r"{\mathbb{E}\,|\theta_n-\theta_0|^2}",
    kind="bound",
    of=(
        notation.num_outcomes(2, 1000),
        notation.time.written(S)(0.1, 100),
        notation.step_size(0.01, 5),
        notation.num_samples.written(B)(1, 100),
    ),
    assumes=TRACE,
    relation="<=",
    near_misses={
        "quadratic in the step size": (1 - 1 / K) * eta**2 * S / B,
        "a quarter of it": (1 - 1 / K) * eta * S / (4 * B),
        "1/K instead of 1 − 1/K": eta * S / (K * B),
    },
    edges=[
        at(1, 3.0, 0.1, 2, gives=0.0),
        at(50_000, 3.0, 0.1, 2),
    ],
)
def displacement_bound() -> list[Step]:
    """1 − Σp² is largest at the uniform distribution."""
    gaps = []
    for p in map(shares, (2, 3, 4)):
        size = sp.Integer(len(p))
        gap = (1 - 1 / size) - (1 - sum(x**2 for x in p))
        gaps.append(gap - sum((x - 1 / size) ** 2 for x in p))
    return [
        Step("1 − Σp² = 1 − 1/K − Σ (p − 1/K)² ≤ 1 − 1/K  (K = 2, 3, 4)", gaps, reduce=sp.expand),
        Step(
            "N steps of size η take the time S = ηN: Nη²/B = ηS/B",
            (n * eta**2 / B).subs(n, S / eta) - eta * S / B,
        ),
    ]


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
    assumes=TRACE + " B = 1, one generation.",
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
def log_loss() -> list[Step]:
    """The logit of every outcome keeps its mean, the normaliser does not."""
    ratio = []
    for size in (2, 3):
        w = weights(size)
        p = normalised(w)
        base = sum(x * sp.exp(-eta * x) for x in p)
        for drawn in range(size):
            claimed = base + p[drawn] * sp.exp(-eta * p[drawn]) * (sp.exp(eta) - 1)
            ratio.append(sp.expand(sum(after(w, p, drawn)) / sum(w) - claimed))
    p, r = shares(3), sp.symbols("r1:4", positive=True)
    fall = [
        mean(p, lambda a, x=x: eta * noise(p, a)[x] - sp.log(r[a]))
        + mean(p, lambda a: sp.log(r[a]))
        for x in range(3)
    ]
    return [
        Step(
            "if k is drawn, Σe^θ' / Σe^θ = Σ p e^{−ηp} + p_k e^{−ηp_k} (e^η − 1)  (K = 2, 3)",
            ratio,
        ),
        Step(
            "E[log p'(x)] − log p(x) = −E[log(Σe^θ'/Σe^θ)], the same for every x  (K = 3)",
            fall,
            reduce=sp.expand,
        ),
    ]


def bias_of(p: Any, s2: Any, s3: Any) -> Any:
    """½ p (f − Σ p f) with f = p (1 + 2 s₂ − 3p)."""
    fitness = p * (1 + 2 * s2 - 3 * p)
    return p * (fitness - (s2 * (1 + 2 * s2) - 3 * s3)) / 2


@claim(
    "Although the logits have no drift the probabilities do, of order η²/B. Their mean "
    "moves away from uniform where Σ p_a p_b (p_a − p_b)² (1 + 2 Σp² − 3p_a − 3p_b) over "
    "all pairs is > 0, and towards it where that is < 0: always for K = 2; near uniform "
    "towards it for K = 3, away from it for K ≥ 5.",
    bias_of(sp.exp(theta[i]) / total(sp.exp(theta[j]), j), power_sum(2), power_sum(3)),
    lhs=r"{\lim_{\eta\to0}(B/\eta^2)\,\mathbb{E}[p'_i-p_i]}",
    of=(notation.logits(-3, 3),),
    assumes=TRACE,
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
def bias() -> list[Step]:
    """Second derivatives in η of the enumerated mean."""
    low, high = [], []
    for p in map(shares, (2, 3)):
        s2, s3 = (sum(x**m for x in p) for m in (2, 3))
        for a in range(len(p)):
            orders = second_order(p, lambda q, a=a: q[a])
            low += orders[:2]
            high.append(orders[2] - bias_of(p[a], s2, s3))
    x, size = sp.Symbol("x"), sp.Symbol("K", positive=True)
    # One outcome has the probability p, the others share the rest.
    p = 1 / size + x
    rest = (1 - p) / (size - 1)
    s2, s3 = (p**m + (size - 1) * rest**m for m in (2, 3))
    slope = sp.diff(bias_of(p, s2, s3), x).subs(x, 0)
    q = sp.Symbol("q", positive=True)
    away = []
    for p in map(shares, (2, 3, 4)):
        s2, s3 = (sum(y**m for y in p) for m in (2, 3))
        pairs = sum(
            a * b * (a - b) ** 2 * (1 + 2 * s2 - 3 * (a + b)) for a, b in combinations(p, 2)
        )
        away.append(sum(y * bias_of(y, s2, s3) for y in p) - pairs / 2)
    return [
        Step("the orders η⁰ and η¹ vanish  (K = 2, 3)", low, reduce=sp.cancel),
        Step("the order η² is ½ p (f − Σpf)  (K = 2, 3)", high, reduce=sp.cancel),
        Step("its slope at the uniform model is (K − 4)/(2K²)", slope - (size - 4) / (2 * size**2)),
        Step(
            "the mean's squared distance from uniform changes at the rate 2 Σ p_i times it, which "
            "is Σ_{i<j} p_i p_j (p_i − p_j)² (1 + 2s₂ − 3p_i − 3p_j)  (K = 2, 3, 4)",
            away,
            reduce=sp.expand,
        ),
        Step(
            "for K = 2 it is 2p²q²(1 − 2p): towards 1/2",
            bias_of(q, q**2 + (1 - q) ** 2, q**3 + (1 - q) ** 3)
            - 2 * q**2 * (1 - q) ** 2 * (1 - 2 * q),
        ),
    ]


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
    "The mean entropy falls near the uniform model and rises near a vertex, at order η²/B: "
    "with logits it is no Lyapunov function.",
    entropy_bias_rhs(),
    lhs=r"{\lim_{\eta\to0}(B/\eta^2)\,\mathbb{E}[H'-H]}",
    of=(notation.logits(-3, 3),),
    assumes=TRACE,
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
def entropy_bias() -> list[Step]:
    """Second derivatives in η of the enumerated mean entropy."""
    low, high = [], []
    for p in map(shares, (2, 3)):
        logs = [sp.log(x) for x in p]
        orders = second_order(p, lambda q: -sum(x * sp.log(x) for x in q))
        s2, s3 = (sum(x**m for x in p) for m in (2, 3))
        d2, d3 = (
            m * sum(x**m * y for x, y in zip(p, logs, strict=True))
            - m * sum(x**m for x in p) * sum(x * y for x, y in zip(p, logs, strict=True))
            for m in (2, 3)
        )
        low += orders[:2]
        high.append(orders[2] + (s2 - 2 * s3 + s2**2) / 2 + ((1 + 2 * s2) * d2 - 2 * d3) / 4)
    size = sp.Symbol("K", positive=True)
    s2, s3 = 1 / size, 1 / size**2
    q = 1 / (1 + sp.exp(-z))
    Q = lambda x: (x**2 + (1 - x) ** 2) - 2 * (x**3 + (1 - x) ** 3) + (x**2 + (1 - x) ** 2) ** 2  # noqa: E731
    pair = -(Q(q) / 2 + z * sp.diff(Q(q), z) / 4)
    closed = -2 * (q * (1 - q)) ** 2 * (1 - z * (2 * q - 1))
    return [
        Step("the orders η⁰ and η¹ vanish  (K = 2, 3)", low, reduce=plain),
        Step("the order η² is −(Q/2 + θ·∇Q/4)  (K = 2, 3)", high, reduce=plain),
        Step(
            "at the uniform model it is −(K − 1)/(2K²)",
            -(s2 - 2 * s3 + s2**2) / 2 + (size - 1) / (2 * size**2),
        ),
        Step("for K = 2 it is −2p²q²(1 − z tanh(z/2))", pair - closed),
    ]


# --- T = 1, two outcomes: the catenoid and the vertex ---------------------------------------------


@claim(
    "In the limit of small steps the gap of two logits is the height of a Brownian motion "
    "on a catenoid whose distance to the axis is 1/√(pq): E[1/(pq) + z²] grows as 2s.",
    4 * sp.cosh(z / 2) ** 2 + z**2 + 2 * s,
    lhs=r"{\mathbb{E}[1/(p_sq_s)+z_s^2]}",
    of=(
        notation.gap.called("logit_gap").written(z)(-8, 8),
        notation.diffusion_time(0, 1000),
    ),
    assumes="T = 1, K = 2, η → 0 at s = η²N/B.",
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
def catenoid() -> list[Step]:
    """The generator of the gap gives the constant 2."""
    w = sp.Symbol("z", real=True)
    p = 1 / (1 + sp.exp(-w))
    surface = 4 * sp.cosh(w / 2) ** 2
    step = {1: 2 * (1 - p), 0: -2 * p}
    variance = p * step[1] ** 2 + (1 - p) * step[0] ** 2
    as_exp = lambda x: sp.simplify(sp.expand(x.rewrite(sp.exp)))  # noqa: E731
    radius, height = 2 * sp.cosh(w / 2), w
    return [
        Step("the gap's variance per step is 4η²p(1−p)", variance - 4 * p * (1 - p)),
        Step("1/(p(1−p)) = 4 cosh²(z/2)", 1 / (p * (1 - p)) - surface, reduce=as_exp),
        Step(
            "½ · 4p(1−p) · (4cosh²(z/2) + z²)'' = 2",
            2 / surface * sp.diff(surface + w**2, w, 2) * 1 - 2,
            reduce=as_exp,
        ),
        Step(
            "along the catenoid of radius 2cosh(z/2) a unit of length is cosh(z/2) dz",
            sp.diff(radius, w) ** 2 + sp.diff(height, w) ** 2 - sp.cosh(w / 2) ** 2,
            reduce=as_exp,
        ),
    ]


def levy(order: Any) -> Any:
    """ψ(l) = 2ηl − 1 + e^{−2ηl}."""
    return 2 * eta * order - 1 + sp.exp(-2 * eta * order)


@claim(
    "Near a vertex the odds p/q grow like tX, with X in [0, 2η] random: the minority's "
    "probability is 1/(tX), and 1/(2ηt) only as long as nothing surprises.",
    sp.Product(levy(j), (j, 1, k)) / sp.factorial(k),
    lhs=r"{\mathbb{E}\,X^k}",
    of=(
        notation.order.written(k)(1, 4),
        notation.step_size(0.05, 10),
    ),
    assumes="T = 1, K = 2, B = 1; exact for the self-similar process that the chain becomes near a "
    "vertex; that the chain itself reaches its entrance law is derived.",
    near_misses={
        "no surprises": (2 * eta) ** k,
        "small steps": (2 * eta**2) ** k * sp.factorial(k),
        "the falls left out": sp.Product(2 * eta * j, (j, 1, k)) / sp.factorial(k),
        "without the factorial": sp.Product(levy(j), (j, 1, k)),
    },
    edges=[
        at(0, 1.0, gives=1.0),
        at(2, 1e-3),
    ],
)
def envelope() -> list[Step]:
    """The generator near a vertex maps R^k to ψ(k) R^{k−1}."""
    R, x, a, order = sp.symbols("R x a l", positive=True)
    rate = (R**order * sp.exp(-2 * eta * order) - R**order) / R
    generator = 2 * eta * sp.diff(R**order, R) + rate
    # One generation of two outcomes at odds R = 1/x, to the first order in x.
    p = 1 / (1 + x)
    up, down = sp.exp(2 * eta * order * (1 - p)), sp.exp(-2 * eta * order * p)
    mean_growth = p * up + (1 - p) * down - 1
    moment = sp.Product(levy(j), (j, 1, k)) / sp.factorial(k)
    previous = moment.subs(k, k - 1)
    return [
        Step(
            "with odds R = e^z, E[R'^l] = R^l + ψ(l) R^{l−1} up to R^{l−2}",
            sp.diff(mean_growth, x).subs(x, 0) - levy(order),
        ),
        Step(
            "the process that climbs by 2η and falls by e^{−2η} at rate 1/R has that generator",
            generator - levy(order) * R ** (order - 1),
        ),
        Step(
            "so E R_t^k = ψ(k) ∫ E R^{k−1} dt: from 0 it is t^k ∏ψ(j)/k!",
            [
                sp.diff((moment * a**k).subs(k, m).doit(), a)
                - levy(m) * (previous * a ** (k - 1)).subs(k, m).doit()
                for m in (1, 2, 3, 4)
            ],
        ),
        Step(
            "for small steps these are the moments of 2η² times an exponential variate",
            [
                sp.limit(moment.subs(k, m).doit() / (2 * eta**2) ** m, eta, 0) - sp.factorial(m)
                for m in (1, 2, 3)
            ],
        ),
    ]


@claim(
    "After one huge step a model looks collapsed for a time of order e^z/(2η), but the "
    "other outcome comes back: metastable, not final.",
    (1 + 2 * eta * n * sp.exp(-z)) ** (-1 / (2 * eta)),
    lhs=r"{\mathbb{P}(\text{no other outcome in $n$ generations})}",
    kind="asymptotic",
    of=(
        notation.gap.called("logit_gap").written(z)(5, 60),
        notation.step_size(0.05, 20),
        notation.generation.written(n)(0, 10**9),
    ),
    assumes="T = 1, K = 2, B = 1; e^{−z} ≪ η (relative error about e^{−z}/(4η)).",
    near_misses={
        "a constant rate": sp.exp(-n * sp.exp(-z)),
        "the exponent 1/η": (1 + 2 * eta * n * sp.exp(-z)) ** (-1 / eta),
        "one logit instead of the gap": (1 + eta * n * sp.exp(-z)) ** (-1 / eta),
        "never": sp.Integer(1),
    },
    edges=[
        at(20.0, 1.0, 0, gives=1.0),
        at(700.0, 1.0, 10**6),
    ],
)
def first_surprise() -> list[Step]:
    """Hazard 1/R along R = R₀ + 2ηt."""
    u, x = sp.symbols("u x", positive=True)
    survival = (1 + 2 * eta * u * sp.exp(-z)) ** (-1 / (2 * eta))
    odds = sp.exp(z) + 2 * eta * u
    growth = sp.exp(2 * eta * x / (1 + x)) / x  # the odds 1/x after one step without surprise
    return [
        Step(
            "a step without surprise adds 2η to the odds, up to 1/R",
            sp.limit(growth - 1 / x, x, 0) - 2 * eta,
        ),
        Step(
            "the chance of a surprise is 1/R up to 1/R²", sp.limit((1 - 1 / (1 + x)) / x, x, 0) - 1
        ),
        Step("d log P/dt = −1/R along R = e^z + 2ηt", sp.diff(sp.log(survival), u) + 1 / odds),
        Step("P = 1 at t = 0", survival.subs(u, 0) - 1),
    ]


# --- Two charts -----------------------------------------------------------------------------------


def gini() -> Any:
    """1 − Σp²."""
    return 1 - power_sum(2)


@claim(
    "The same rule applied to probabilities instead of logits loses 1 − Σp² geometrically: "
    "there it must die, with the chances p; in logits it can neither die nor settle.",
    gini() * (1 - eta**2 / B) ** n,
    lhs=r"{\mathbb{E}[1-|p_n|^2]}",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.step_size(0.01, 0.95),
        notation.num_samples.written(B)(1, 50),
        notation.generation.written(n)(0, 200),
    ),
    assumes="T = 1; p' = (1 − η) p + η p̂, 0 < η ≤ 1.",
    source="known in several fields (linear reward-inaction; Doerr and Zheng, arXiv:1910.14389, "
    "genetic drift of a neutral bit)",
    cites=("doerr2020",),
    near_misses={
        "the typical instead of the mean rate": gini() * (1 - eta) ** (2 * n),
        "linear in the step size": gini() * (1 - eta / B) ** n,
        "the batch does not matter": gini() * (1 - eta**2) ** n,
        "the logits' law: no decay": gini() * sp.Integer(1) ** n,
    },
    edges=[
        at(LOGITS, 0.3, 2, 0),
        at(LOST, 0.3, 2, 5),
        at(LOGITS, 1.0, 1, 3, gives=0.0),
        at([40.0, 0.0], 0.1, 1, 3),
    ],
)
def two_charts() -> list[Step]:
    """Every product p_i p_j is an eigenfunction of the mixture step."""
    products = []
    for p in map(shares, (2, 3)):
        stepped = lambda a, p=p: [(1 - eta) * x + eta * int(a == b) for b, x in enumerate(p)]  # noqa: E731
        for a in range(len(p)):
            for b in range(a):
                expected = mean(p, lambda d, a=a, b=b, f=stepped: f(d)[a] * f(d)[b])
                products.append(expected - (1 - eta**2) * p[a] * p[b])
    p = shares(2)
    x = [(1 - eta) * p[0] + eta * sp.Rational(c, 2) for c in (0, 1, 2)]
    chance = [p[1] ** 2, 2 * p[0] * p[1], p[0] ** 2]
    pair = sum(c * v * (1 - v) for c, v in zip(chance, x, strict=True))
    logit = mean(p, lambda a: noise(p, a)[0] ** 2)
    return [
        Step(
            "E[p'_i p'_j] = (1 − η²) p_i p_j for i ≠ j, B = 1  (K = 2, 3)",
            products,
            reduce=sp.expand,
        ),
        Step(
            "… and 1 − η²/B for B = 2  (K = 2)",
            pair - (1 - eta**2 / 2) * p[0] * p[1],
            reduce=sp.expand,
        ),
        Step(
            "in the logits the same noise has the variance η² p(1 − p): it vanishes at no finite "
            "model, so the logits cannot settle",
            logit - p[0] * (1 - p[0]),
            reduce=sp.expand,
        ),
    ]
