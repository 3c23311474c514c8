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
from functools import lru_cache
from itertools import combinations, product
from typing import Any

import mpmath
import sympy as sp
from sympy.utilities.lambdify import implemented_function

from fixedpoint.laws.equation import (
    NUM_OUTCOMES,
    OUTCOME,
    Edge,
    Equation,
    Root,
    Step,
    register,
    total,
)

theta: Any = sp.IndexedBase("theta", real=True)
eta, T, S, s, z, lam = sp.symbols("eta T S s z lambda", positive=True)
B, k, n = sp.symbols("B k n", integer=True, positive=True)
h: Any = sp.IndexedBase("h", shape=(n,), positive=True)
stationary_h = sp.Symbol("h", positive=True)
j, other, t = sp.symbols("j l t", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES

TRACE = "T = 1, plain gradient steps on fresh own samples, logits of a table; no weight decay."
DERIVED = "derived here"
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


def prove_martingale() -> list[Step]:
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


MARTINGALE = register(
    Equation(
        label="traces.martingale",
        kind="exact",
        statement=(
            "The mean step is η times sampled minus model; at T = 1 it is 0 from every state, so "
            "the logits are a martingale."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}[\theta'_i-\theta_i]}"),
        rhs=eta
        * (
            sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)
            - sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
        ),
        symbols={"logits": theta, "temperature": T, "step_size": eta},
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
        proof=prove_martingale,
        domain={
            "logits": ("vector", -3, 3),
            "temperature": ("real", 0.2, 0.8),
            "step_size": ("real", 0.01, 5),
        },
        edges=(
            Edge({"logits": LOGITS, "temperature": 1.0, "step_size": 0.7}, [0.0] * 4),
            Edge({"logits": LOGITS, "temperature": 3.0, "step_size": 0.7}),
            Edge({"logits": LOST, "temperature": 0.5, "step_size": 0.7}),
            Edge({"logits": [0.5] * 3, "temperature": 0.5, "step_size": 1.0}, [0.0] * 3),
        ),
    )
)


def prove_displacement() -> list[Step]:
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


DISPLACEMENT = register(
    Equation(
        label="traces.displacement",
        kind="exact",
        statement="At T = 1 the mean squared displacement is η²/B times the summed mean 1 − Σp².",
        lhs=sp.Symbol(r"{\mathbb{E}\,|\theta_n-\theta_0|^2}"),
        rhs=eta**2 / B * sp.Sum(h[t], (t, 1, n)),
        symbols={"heterozygosity": h, "step_size": eta, "num_samples": B},
        assumes=TRACE + " h_t = E[1 − Σp²] before step t.",
        source=DERIVED,
        near_misses={
            "linear in the step size": eta / B * sp.Sum(h[t], (t, 1, n)),
            "the batch does not matter": eta**2 * sp.Sum(h[t], (t, 1, n)),
            "steps all in one direction": (eta * sp.Sum(sp.sqrt(h[t] / B), (t, 1, n))) ** sp.S(2),
            "the last step not counted": eta**2 / B * sp.Sum(h[t], (t, 1, n - 1)),
        },
        proof=prove_displacement,
        domain={
            "heterozygosity": ("vector", 0, 1),
            "step_size": ("real", 0.01, 5),
            "num_samples": ("integer", 1, 100),
        },
        edges=(Edge({"heterozygosity": [0.0, 0.0], "step_size": 1.0, "num_samples": 3}, 0.0),),
    )
)


def prove_displacement_bound() -> list[Step]:
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


DISPLACEMENT_BOUND = register(
    Equation(
        label="traces.displacement_bound",
        kind="bound",
        relation="<=",
        statement=(
            "At T = 1 the root mean square displacement in the time S is at most √(ηS/B): it "
            "vanishes with the step size, while a drift would move the model by order S."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,|\theta_n-\theta_0|^2}"),
        rhs=(1 - 1 / K) * eta * S / B,
        symbols={"num_outcomes": K, "time": S, "step_size": eta, "num_samples": B},
        assumes=TRACE,
        source=DERIVED,
        near_misses={
            "quadratic in the step size": (1 - 1 / K) * eta**2 * S / B,
            "a quarter of it": (1 - 1 / K) * eta * S / (4 * B),
            "1/K instead of 1 − 1/K": eta * S / (K * B),
        },
        proof=prove_displacement_bound,
        domain={
            "num_outcomes": ("integer", 2, 1000),
            "time": ("real", 0.1, 100),
            "step_size": ("real", 0.01, 5),
            "num_samples": ("integer", 1, 100),
        },
        edges=(
            Edge({"num_outcomes": 1, "time": 3.0, "step_size": 0.1, "num_samples": 2}, 0.0),
            Edge({"num_outcomes": 50_000, "time": 3.0, "step_size": 0.1, "num_samples": 2}),
        ),
    )
)


# --- T = 1: the price in log-loss, and two biases -------------------------------------------------


def log_loss_fall(step: Any, spread: bool = True) -> Any:
    """Σ_k p_k log(Σ_j p_j e^{−ηp_j} + p_k e^{−ηp_k} (e^η − 1)): the mean growth of lse(θ)."""
    p = sp.exp(theta[other]) / total(sp.exp(theta[j]), j)
    own = p.subs(other, k)
    base = total(p * sp.exp(-step * p), other)
    hit = own * sp.exp(-step * own) * (sp.exp(step) - 1) if spread else own * (sp.exp(step) - 1)
    return total(own * sp.log(base + hit), k)


def prove_log_loss() -> list[Step]:
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


LOG_LOSS = register(
    Equation(
        label="traces.log_loss",
        kind="exact",
        statement=(
            "The expected log-likelihood of every outcome falls by one and the same amount, the "
            "mean growth of the log-normaliser; shown for one sample."
        ),
        lhs=sp.Symbol(r"{\log p_x-\mathbb{E}\log p'_x}"),
        rhs=log_loss_fall(eta),
        symbols={"logits": theta, "step_size": eta},
        assumes=TRACE + " B = 1, one generation.",
        source=DERIVED,
        near_misses={
            "its small-step form": eta**2
            / 2
            * (power_sum(2) - 2 * power_sum(3) + power_sum(2) ** 2),
            "the gain": -log_loss_fall(eta),
            "the model's own gradient left out of the hit": log_loss_fall(eta, spread=False),
        },
        proof=prove_log_loss,
        domain={"logits": ("vector", -3, 3), "step_size": ("real", 0.05, 5)},
        edges=(
            Edge({"logits": LOGITS, "step_size": 20.0}),
            Edge({"logits": LOST, "step_size": 0.5}),
            Edge({"logits": [0.0, 0.0], "step_size": 1.0}),
            Edge({"logits": [2.0], "step_size": 1.0}, 0.0),
        ),
        accuracy=1e-11,
    )
)


def bias_of(p: Any, s2: Any, s3: Any) -> Any:
    """½ p (f − Σ p f) with f = p (1 + 2 s₂ − 3p)."""
    fitness = p * (1 + 2 * s2 - 3 * p)
    return p * (fitness - (s2 * (1 + 2 * s2) - 3 * s3)) / 2


def prove_bias() -> list[Step]:
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


BIAS = register(
    Equation(
        label="traces.bias",
        kind="exact",
        statement=(
            "Although the logits have no drift the probabilities do, of order η²/B. Their mean "
            "moves away from uniform where Σ p_a p_b (p_a − p_b)² (1 + 2 Σp² − 3p_a − 3p_b) over "
            "all pairs is > 0, and towards it where that is < 0: always for K = 2; near uniform "
            "towards it for K = 3, away from it for K ≥ 5."
        ),
        lhs=sp.Symbol(r"{\lim_{\eta\to0}(B/\eta^2)\,\mathbb{E}[p'_i-p_i]}"),
        rhs=bias_of(sp.exp(theta[i]) / total(sp.exp(theta[j]), j), power_sum(2), power_sum(3)),
        symbols={"logits": theta},
        assumes=TRACE,
        source=DERIVED,
        near_misses={
            "twice": 2
            * bias_of(sp.exp(theta[i]) / total(sp.exp(theta[j]), j), power_sum(2), power_sum(3)),
            "always towards uniform": (1 / K - sp.exp(theta[i]) / total(sp.exp(theta[j]), j)) / 2,
            "the opposite sign": -bias_of(
                sp.exp(theta[i]) / total(sp.exp(theta[j]), j), power_sum(2), power_sum(3)
            ),
            "a martingale too": NOTHING,
        },
        proof=prove_bias,
        domain={"logits": ("vector", -3, 3)},
        edges=(
            Edge({"logits": [0.0] * 5}, [0.0] * 5),
            Edge({"logits": [2.0, -1.0]}),
            Edge({"logits": LOST}),
            Edge({"logits": [4.0, 0.0, 0.0]}),
        ),
        accuracy=1e-11,
    )
)


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


def prove_entropy_bias() -> list[Step]:
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


ENTROPY_BIAS = register(
    Equation(
        label="traces.entropy_bias",
        kind="exact",
        statement=(
            "The mean entropy falls near the uniform model and rises near a vertex, at order η²/B: "
            "with logits it is no Lyapunov function."
        ),
        lhs=sp.Symbol(r"{\lim_{\eta\to0}(B/\eta^2)\,\mathbb{E}[H'-H]}"),
        rhs=entropy_bias_rhs(),
        symbols={"logits": theta},
        assumes=TRACE,
        source=DERIVED,
        near_misses={
            "always falling": -(power_sum(2) - 2 * power_sum(3) + power_sum(2) ** 2) / 2,
            "twice": 2 * entropy_bias_rhs(),
            "the opposite sign": -entropy_bias_rhs(),
        },
        proof=prove_entropy_bias,
        domain={"logits": ("vector", -3, 3)},
        edges=(
            Edge({"logits": [0.0] * 4}),
            Edge({"logits": LOST[::2]}),
            Edge({"logits": [5.0, 0.0, -2.0]}),
            Edge({"logits": [0.0] * 50_000}, -(50_000 - 1) / (2 * 50_000**2)),
        ),
        accuracy=1e-11,
    )
)


# --- T = 1, two outcomes: the catenoid and the vertex ---------------------------------------------


def prove_catenoid() -> list[Step]:
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


CATENOID = register(
    Equation(
        label="traces.catenoid",
        kind="exact",
        statement=(
            "In the limit of small steps the gap of two logits is the height of a Brownian motion "
            "on a catenoid whose distance to the axis is 1/√(pq): E[1/(pq) + z²] grows as 2s."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}[1/(p_sq_s)+z_s^2]}"),
        rhs=4 * sp.cosh(z / 2) ** 2 + z**2 + 2 * s,
        symbols={"logit_gap": z, "diffusion_time": s},
        assumes="T = 1, K = 2, η → 0 at s = η²N/B.",
        source=(
            "the diffusion is the zero-gap case of Lattimore, arXiv:2603.10219; the reading as a "
            "catenoid is derived here"
        ),
        cites=("lattimore2026", "castro2014"),
        near_misses={
            "grows as s": 4 * sp.cosh(z / 2) ** 2 + z**2 + s,
            "grows as 4s": 4 * sp.cosh(z / 2) ** 2 + z**2 + 4 * s,
            "the height left out": 4 * sp.cosh(z / 2) ** 2 + 2 * s,
        },
        proof=prove_catenoid,
        domain={"logit_gap": ("real", -8, 8), "diffusion_time": ("real", 0, 1000)},
        edges=(
            Edge({"logit_gap": 0.0, "diffusion_time": 0.0}, 4.0),
            Edge({"logit_gap": 600.0, "diffusion_time": 1e3}),
        ),
    )
)


def levy(order: Any) -> Any:
    """ψ(l) = 2ηl − 1 + e^{−2ηl}."""
    return 2 * eta * order - 1 + sp.exp(-2 * eta * order)


def prove_envelope() -> list[Step]:
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


ENVELOPE = register(
    Equation(
        label="traces.envelope",
        kind="exact",
        statement=(
            "Near a vertex the odds p/q grow like tX, with X in [0, 2η] random: the minority's "
            "probability is 1/(tX), and 1/(2ηt) only as long as nothing surprises."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,X^k}"),
        rhs=sp.Product(levy(j), (j, 1, k)) / sp.factorial(k),
        symbols={"order": k, "step_size": eta},
        assumes=(
            "T = 1, K = 2, B = 1; exact for the self-similar process that the chain becomes near a "
            "vertex; that the chain itself reaches its entrance law is derived."
        ),
        source=DERIVED,
        near_misses={
            "no surprises": (2 * eta) ** k,
            "small steps": (2 * eta**2) ** k * sp.factorial(k),
            "the falls left out": sp.Product(2 * eta * j, (j, 1, k)) / sp.factorial(k),
            "without the factorial": sp.Product(levy(j), (j, 1, k)),
        },
        proof=prove_envelope,
        domain={"order": ("integer", 1, 4), "step_size": ("real", 0.05, 10)},
        edges=(Edge({"order": 0, "step_size": 1.0}, 1.0), Edge({"order": 2, "step_size": 1e-3})),
    )
)


def prove_first_surprise() -> list[Step]:
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


FIRST_SURPRISE = register(
    Equation(
        label="traces.first_surprise",
        kind="asymptotic",
        statement=(
            "After one huge step a model looks collapsed for a time of order e^z/(2η), but the "
            "other outcome comes back: metastable, not final."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(\text{no other outcome in $n$ generations})}"),
        rhs=(1 + 2 * eta * n * sp.exp(-z)) ** (-1 / (2 * eta)),
        symbols={"logit_gap": z, "step_size": eta, "generation": n},
        assumes="T = 1, K = 2, B = 1; e^{−z} ≪ η (relative error about e^{−z}/(4η)).",
        source=DERIVED,
        near_misses={
            "a constant rate": sp.exp(-n * sp.exp(-z)),
            "the exponent 1/η": (1 + 2 * eta * n * sp.exp(-z)) ** (-1 / eta),
            "one logit instead of the gap": (1 + eta * n * sp.exp(-z)) ** (-1 / eta),
            "never": sp.Integer(1),
        },
        proof=prove_first_surprise,
        domain={
            "logit_gap": ("real", 5, 60),
            "step_size": ("real", 0.05, 20),
            "generation": ("integer", 0, 10**9),
        },
        edges=(
            Edge({"logit_gap": 20.0, "step_size": 1.0, "generation": 0}, 1.0),
            Edge({"logit_gap": 700.0, "step_size": 1.0, "generation": 10**6}),
        ),
    )
)


# --- Two charts -----------------------------------------------------------------------------------


def gini() -> Any:
    """1 − Σp²."""
    return 1 - power_sum(2)


def prove_two_charts() -> list[Step]:
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


TWO_CHARTS = register(
    Equation(
        label="traces.two_charts",
        kind="exact",
        statement=(
            "The same rule applied to probabilities instead of logits loses 1 − Σp² geometrically: "
            "there it must die, with the chances p; in logits it can neither die nor settle."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}[1-|p_n|^2]}"),
        rhs=gini() * (1 - eta**2 / B) ** n,
        symbols={"logits0": theta, "step_size": eta, "num_samples": B, "generation": n},
        assumes="T = 1; p' = (1 − η) p + η p̂, 0 < η ≤ 1.",
        source=(
            "known in several fields (linear reward-inaction; Doerr and Zheng, arXiv:1910.14389, "
            "genetic drift of a neutral bit)"
        ),
        cites=("doerr2020",),
        near_misses={
            "the typical instead of the mean rate": gini() * (1 - eta) ** (2 * n),
            "linear in the step size": gini() * (1 - eta / B) ** n,
            "the batch does not matter": gini() * (1 - eta**2) ** n,
            "the logits' law: no decay": gini() * sp.Integer(1) ** n,
        },
        proof=prove_two_charts,
        domain={
            "logits0": ("vector", -3, 3),
            "step_size": ("real", 0.01, 0.95),
            "num_samples": ("integer", 1, 50),
            "generation": ("integer", 0, 200),
        },
        edges=(
            Edge({"logits0": LOGITS, "step_size": 0.3, "num_samples": 2, "generation": 0}),
            Edge({"logits0": LOST, "step_size": 0.3, "num_samples": 2, "generation": 5}),
            Edge({"logits0": LOGITS, "step_size": 1.0, "num_samples": 1, "generation": 3}, 0.0),
            Edge({"logits0": [40.0, 0.0], "step_size": 0.1, "num_samples": 1, "generation": 3}),
        ),
        accuracy=1e-12,
    )
)


# --- Weight decay ---------------------------------------------------------------------------------


def prove_weight_decay() -> list[Step]:
    """The second moment of one step, and its fixed point."""
    p, x = shares(3), sp.symbols("x1:4", real=True)
    keep = 1 - eta * lam
    moment = mean(
        p, lambda a: sum((keep * v + eta * g) ** 2 for v, g in zip(x, noise(p, a), strict=True))
    )
    spread = 1 - sum(v**2 for v in p)
    size, het = sp.symbols("M h", positive=True)
    balance = eta * het / (B * lam * (2 - eta * lam))
    first = [
        mean(p, lambda a, b=b: keep * x[b] + eta * noise(p, a)[b]) - keep * x[b] for b in range(3)
    ]
    return [
        Step("E θ' = (1 − ηλ) θ  (K = 3)", first, reduce=sp.expand),
        Step(
            "E|θ'|² = (1 − ηλ)² |θ|² + η² (1 − Σp²), B = 1  (K = 3)",
            moment - keep**2 * sum(v**2 for v in x) - eta**2 * spread,
            reduce=sp.expand,
        ),
        Step(
            "in the stationary law M = (1 − ηλ)² M + η² h/B has the solution claimed",
            (keep**2 * size + eta**2 * het / B - size).subs(size, balance),
        ),
    ]


WEIGHT_DECAY = register(
    Equation(
        label="traces.weight_decay",
        kind="exact",
        statement=(
            "Under weight decay the stationary squared size of the logits balances the noise."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,|\theta|^2}"),
        rhs=eta * stationary_h / (B * lam * (2 - eta * lam)),
        symbols={
            "heterozygosity": stationary_h,
            "step_size": eta,
            "weight_decay": lam,
            "num_samples": B,
        },
        assumes="T = 1, 0 < ηλ < 1, centred logits; h = E[1 − Σp²] in the stationary law.",
        source=DERIVED,
        near_misses={
            "first order in ηλ": eta * stationary_h / (2 * B * lam),
            "the batch does not matter": eta * stationary_h / (lam * (2 - eta * lam)),
            "the uniform model's noise": eta * 2 / 3 / (B * lam * (2 - eta * lam)),
        },
        proof=prove_weight_decay,
        domain={
            "heterozygosity": ("real", 0, 1),
            "step_size": ("real", 0.01, 1),
            "weight_decay": ("real", 0.01, 0.9),
            "num_samples": ("integer", 1, 50),
        },
        edges=(
            Edge(
                {"heterozygosity": 0.0, "step_size": 1.0, "weight_decay": 0.5, "num_samples": 1},
                0.0,
            ),
        ),
    )
)


def prove_memory_time() -> list[Step]:
    """The mean obeys a linear recursion."""
    return [
        *prove_weight_decay()[:1],
        Step(
            "(1 − ηλ)^n solves x(n+1) = (1 − ηλ) x(n), x(0) = 1",
            [
                sp.expand((1 - eta * lam) ** (n + 1) - (1 - eta * lam) * (1 - eta * lam) ** n),
                ((1 - eta * lam) ** n).subs(n, 0) - 1,
            ],
        ),
    ]


MEMORY_TIME = register(
    Equation(
        label="traces.memory_time",
        kind="exact",
        statement=(
            "Weight decay lets the mean logits fade at the fixed rate ηλ, however collapsed the "
            "model is."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,\theta^{(n)}_i}"),
        rhs=theta[i] * (1 - eta * lam) ** n,
        symbols={"logits0": theta, "step_size": eta, "weight_decay": lam, "generation": n},
        assumes="T = 1, 0 < ηλ < 1.",
        source=DERIVED,
        near_misses={
            "continuous time": theta[i] * sp.exp(-eta * lam * n),
            "off by one generation": theta[i] * (1 - eta * lam) ** (n + 1),
            "for ever": theta[i] * sp.Integer(1) ** n,
        },
        proof=prove_memory_time,
        domain={
            "logits0": ("vector", -3, 3),
            "step_size": ("real", 0.01, 1),
            "weight_decay": ("real", 0, 0.9),
            "generation": ("integer", 0, 300),
        },
        edges=(
            Edge({"logits0": LOGITS, "step_size": 0.5, "weight_decay": 0.0, "generation": 10**6}),
            Edge(
                {"logits0": LOST, "step_size": 0.5, "weight_decay": 0.1, "generation": 3},
                [0.7 * 0.95**3, float("-inf"), -0.3 * 0.95**3],
            ),
        ),
    )
)


ratio, chart = sp.Symbol("kappa", positive=True), sp.Symbol("c", integer=True, positive=True)
gap = sp.Symbol("z", real=True)


def decay_exponent(kappa: Any) -> Any:
    """The exponent log m(z) − log m(0) = 2 log cosh(z/2) − (2/κ) ∫₀^z y cosh²(y/2) dy."""
    pull = gap**2 / 4 + (gap * sp.sinh(gap) - sp.cosh(gap) + 1) / 2
    return 2 * sp.log(sp.cosh(gap / 2)) - 2 * pull / kappa


def one_step_of_the_gap() -> tuple[Any, Any]:
    """Mean and variance of z' − z, z = θ₁ − θ₂, from the two outcomes of one draw and B of them."""
    p = [1 / (1 + sp.exp(-gap)), 1 / (1 + sp.exp(gap))]
    moves = [noise(p, a)[0] - noise(p, a)[1] for a in range(2)]
    drift = -eta * lam * gap + eta * mean(p, lambda a: moves[a])
    return drift, eta**2 * mean(p, lambda a: moves[a] ** 2) / B


def prove_decay_density() -> list[Step]:
    """The zero-current solution of the Fokker–Planck equation."""
    drift, spread = one_step_of_the_gap()
    exponent = decay_exponent(eta / (lam * B))
    # The current drift · m − (spread · m)'/2 over spread · m, with m = e^exponent.
    current = drift / spread - (sp.diff(sp.log(spread), gap) + sp.diff(exponent, gap)) / 2
    return [
        Step("the drift of the gap is −ηλz", (drift + eta * lam * gap).rewrite(sp.exp)),
        Step(
            "the variance of a step is η²/(B cosh²(z/2))",
            (spread * B / eta**2 - 1 / sp.cosh(gap / 2) ** 2).rewrite(sp.exp),
        ),
        Step("m carries no probability current, κ = η/(λB)", current.rewrite(sp.exp)),
        Step("the ratio is 1 at z = 0", decay_exponent(ratio).subs(gap, 0)),
    ]


DECAY_DENSITY = register(
    Equation(
        label="traces.decay_density",
        kind="asymptotic",
        statement=(
            "Under weight decay, the gap between two outcomes has for small steps a stationary "
            "density that depends only on the ratio κ of noise and decay."
        ),
        lhs=sp.Symbol(r"{\log\frac{m(z)}{m(0)}}"),
        rhs=decay_exponent(ratio),
        symbols={"logit_gap": gap, "noise_ratio": ratio},
        assumes=(
            "K = 2, T = 1, η → 0 with κ = η/(λB) fixed: the diffusion. That the chain's stationary "
            "law tends to the diffusion's is not proved; it is off by order η."
        ),
        source=DERIVED,
        near_misses={
            "without the factor of the noise": decay_exponent(ratio) - 2 * sp.log(sp.cosh(gap / 2)),
            "κ doubled": decay_exponent(2 * ratio),
            "the noise of the uniform model: a Gaussian": -(gap**2) / ratio,
        },
        proof=prove_decay_density,
        domain={"logit_gap": ("real", -8, 8), "noise_ratio": ("real", 0.1, 100)},
        edges=(
            Edge({"logit_gap": 0.0, "noise_ratio": 3.0}, 0.0),
            Edge({"logit_gap": 1e-6, "noise_ratio": 3.0}),
            Edge({"logit_gap": 300.0, "noise_ratio": 1e6}),
        ),
    )
)


def prove_decay_thresholds() -> list[Step]:
    """Curvature at the tie in either chart, and why it decides about the number of modes."""
    p = 1 / (1 + sp.exp(-gap))
    gap_density = decay_exponent(ratio)
    density = gap_density - sp.log(sp.diff(p, gap) / sp.diff(p, gap).subs(gap, 0))
    u = gap / 2
    general = gap_density + 2 * (chart - 1) * sp.log(sp.cosh(u))
    balance = gap * sp.cosh(u) ** 3 / sp.sinh(u)
    growth = sp.diff(balance, gap) / balance * sp.sinh(u) * sp.cosh(u)
    slope = chart * sp.tanh(u) - 2 * gap * sp.cosh(u) ** 2 / ratio
    return [
        Step(
            "per dz the density has the factor cosh²(z/2), per dp, by dp/dz, its square",
            [
                (sp.diff(general.subs(chart, c) - log_density, gap)).rewrite(sp.exp)
                for c, log_density in ((1, gap_density), (2, density))
            ],
        ),
        Step("its slope is c tanh(z/2) − (2/κ) z cosh²(z/2)", sp.diff(general, gap) - slope),
        Step(
            "the curvature at z = 0, where the slope is 0",
            [sp.diff(slope, gap).subs(gap, 0) - (chart / 2 - 2 / ratio), slope.subs(gap, 0)],
        ),
        Step(
            "away from 0 the slope vanishes where z cosh³(z/2)/sinh(z/2) = κc/2, which is 2 at 0",
            [
                slope - 2 * sp.tanh(u) / ratio * (ratio * chart / 2 - balance),
                sp.limit(balance, gap, 0) - 2,
            ],
        ),
        Step(
            "and grows with z > 0, since sinh z > z: one mode on each side if and only if κ > 4/c",
            (growth - (sp.sinh(gap) / (2 * gap) - sp.S.Half) - sp.sinh(u) ** 2).rewrite(sp.exp),
        ),
    ]


DECAY_THRESHOLDS = register(
    Equation(
        label="traces.decay_thresholds",
        kind="exact",
        statement=(
            "The stationary density under weight decay has two modes, one on each side of the "
            "tie, exactly when its curvature at the tie is positive: in the gap (c = 1) for κ > 4, "
            "in the probability (c = 2) for κ > 2."
        ),
        lhs=sp.Symbol(r"{\left.\partial_z^2\log m_c\right|_{z=0}}"),
        rhs=chart / 2 - 2 / ratio,
        symbols={"noise_ratio": ratio, "chart": chart},
        assumes=(
            "K = 2, T = 1, the diffusion: η → 0 with κ = η/(λB) fixed; density per dz (c = 1) or "
            "per dp (c = 2), its logarithm's curvature taken along z."
        ),
        source=DERIVED,
        near_misses={
            "the noise of the uniform model": -2 / ratio + (chart - 1) / 2,
            "κ doubled": chart / 2 - 1 / ratio,
            "the same in both charts": sp.S.Half - 2 / ratio,
        },
        proof=prove_decay_thresholds,
        domain={"noise_ratio": ("real", 0.1, 100), "chart": ("integer", 1, 2)},
        edges=(
            Edge({"noise_ratio": 4.0, "chart": 1}, 0.0),
            Edge({"noise_ratio": 2.0, "chart": 2}, 0.0),
        ),
    )
)


q = sp.Symbol("q", positive=True)


def lowest_probability(decay: Any) -> Any:
    """The q with λ log((1 − q)/q) = 2q, between x/(1 + x) and x = (λ/2) W(2/λ)."""
    small = decay / 2 * sp.LambertW(2 / decay)
    balance = sp.Lambda(q, 2 * q - decay * sp.log((1 - q) / q))
    return Root(balance, small / (1 + small), small)


def prove_decay_floor() -> list[Step]:
    """The leader's own map of the gap: where it rests, and when it keeps the order of gaps."""
    p = [1 / (1 + sp.exp(-gap)), 1 / (1 + sp.exp(gap))]
    moves = [noise(p, a)[0] - noise(p, a)[1] for a in range(2)]
    up, down = ((1 - eta * lam) * gap + eta * move for move in moves)
    rest = sp.log((1 - q) / q)
    slope = 1 - eta * lam - 2 * eta * p[0] * p[1]
    return [
        Step(
            "drawing the leader, z' − z = η (2/(1 + e^z) − λz), which decreases in z: the largest "
            "gap z* has λz* = 2q, with q = 1/(1 + e^z*)",
            [
                up - gap - eta * (2 * p[1] - lam * gap),
                (2 * p[1] - lam * gap).subs(gap, rest) - (2 * q - lam * rest),
                sp.diff(2 * p[1] - lam * gap, gap) + 2 * p[0] * p[1] + lam,
            ],
        ),
        Step("drawing the other is its mirror image", up.subs(gap, -gap) + down),
        Step(
            "a draw of B samples moves the gap to a point between the two",
            (1 - eta * lam) * gap + eta * (2 * y - 2 * p[0]) - (y * up + (1 - y) * down),
        ),
        Step("the slope of the map is 1 − ηλ − 2ηpq", sp.diff(up, gap) - slope),
        Step(
            "… = 1 − η(λ + 1/2) + η(p − q)²/2 ≥ 0 for η(λ + 1/2) ≤ 1: no gap below z* passes it, "
            "and gaps above it fall to it",
            slope - (1 - eta * (lam + sp.S.Half) + eta * (p[0] - p[1]) ** 2 / 2),
        ),
    ]


DECAY_FLOOR = register(
    Equation(
        label="traces.decay_floor",
        kind="exact",
        statement=(
            "Weight decay keeps the rarer of two outcomes alive: its probability comes as near as "
            "you like to a positive floor, which depends on the decay alone, and stays above it."
        ),
        lhs=sp.Symbol(r"{\liminf_{n\to\infty}\,\min(p_n,1-p_n)}"),
        rhs=lowest_probability(lam),
        symbols={"weight_decay": lam},
        assumes=(
            "T = 1, K = 2, η(λ + 1/2) ≤ 1, every B. A model that starts inside the floor never "
            "passes it; with larger steps the model does pass it, and only |z| ≤ 2/λ is left."
        ),
        source=DERIVED,
        near_misses={
            "the leading logarithm for small decay": lam / 2 * sp.log(2 / lam),
            "small decay: q neglected against 1": lam / 2 * sp.LambertW(2 / lam),
            "what holds for every step size": 1 / (1 + sp.exp(2 / lam)),
            "the gap moved by one logit's step": lowest_probability(2 * lam),
        },
        proof=prove_decay_floor,
        domain={"weight_decay": ("real", 0.001, 3)},
        edges=(
            Edge({"weight_decay": 1e-12}),
            Edge({"weight_decay": 0.01}),
            Edge({"weight_decay": 100.0}),
        ),
    )
)


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


def prove_transience() -> list[Step]:
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


TRANSIENCE = register(
    Equation(
        label="traces.transience",
        kind="exact",
        statement=(
            "For any three outcomes the sum Y of 1/e^θ, as Y^(−α) with 0 < α ≤ 1, falls on "
            "average from every state: in the limit of small steps the third largest logit goes "
            "to −∞, and only two outcomes stay alive at a time."
        ),
        lhs=sp.Symbol(r"{\lim_{\eta\to0}(B/\eta^2)\,\mathbb{E}[Y'^{-\alpha}-Y^{-\alpha}]}"),
        rhs=transience_rhs(),
        symbols={"logits": theta, "subset": mask, "exponent": alpha},
        assumes=TRACE + " The subset is marked by 1, the rest by 0.",
        source=DERIVED,
        near_misses={
            "the subset's probability left out": transience_rhs(lambda size, alive: size),
            "the opposite sign": -transience_rhs(),
            "twice": 2 * transience_rhs(),
        },
        proof=prove_transience,
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
)


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


def prove_transience_every_step() -> list[Step]:
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


TRANSIENCE_EVERY_STEP = register(
    Equation(
        label="traces.transience_every_step",
        kind="bound",
        relation=">=",
        statement=(
            "For every step size and batch, Y^(−α) of three outcomes or more falls on average from "
            "every state if α is small enough: only two outcomes stay alive at a time."
        ),
        lhs=sp.Symbol(r"{\inf_\theta\,\max\{\alpha:\mathbb{E}[Y'^{-\alpha}]\le Y^{-\alpha}\}}"),
        rhs=supermartingale_exponent(size_alive),
        symbols={"step_size": eta, "num_samples": B, "num_alive": size_alive},
        assumes=TRACE + " Y = Σ e^{−θ} over m ≥ 3 of the outcomes; every η > 0 and B ≥ 1.",
        source=DERIVED,
        near_misses={
            "the exponent of small steps": size_alive - 2,
            "… continued by the third order alone": 2
            * (size_alive - 2)
            * (eta - 1 + sp.exp(-eta))
            / eta**2,
            "two outcomes as well": supermartingale_exponent(size_alive + 1),
        },
        proof=prove_transience_every_step,
        domain={
            "step_size": ("real", 0.01, 20),
            "num_samples": ("integer", 1, 50),
            "num_alive": ("integer", 3, 1000),
        },
        edges=(
            Edge({"step_size": 1e-4, "num_samples": 1, "num_alive": 3}),
            Edge({"step_size": 1.0, "num_samples": 1, "num_alive": 2}, 0.0),
            Edge({"step_size": 1.0, "num_samples": 3, "num_alive": 50_000}),
        ),
    )
)


# --- Below temperature 1: one outcome for ever ----------------------------------------------------


def prove_absorption() -> list[Step]:
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


ABSORPTION = register(
    Equation(
        label="traces.absorption",
        kind="asymptotic",
        statement=(
            "Below temperature 1 a single outcome is drawn from some generation on, for every "
            "step size; the others' total probability then falls only like 1/t."
        ),
        lhs=1 - sp.Symbol("p_{max}"),
        rhs=(K - 1) / (K * eta * n),
        symbols={"num_outcomes": K, "step_size": eta, "generation": n},
        assumes="T < 1, late: Kηn large against e^θ and against log n.",
        source=DERIVED,
        near_misses={
            "each of the others instead of all": 1 / (K * eta * n),
            "without the number of outcomes": 1 / (eta * n),
            "exponential": sp.exp(-eta * n / K),
        },
        proof=prove_absorption,
        domain={
            "num_outcomes": ("integer", 2, 1000),
            "step_size": ("real", 0.01, 10),
            "generation": ("integer", 100, 10**9),
        },
        edges=(Edge({"num_outcomes": 50_000, "step_size": 0.1, "generation": 10**6}),),
    )
)


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


def prove_winner() -> list[Step]:
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


WINNER = register(
    Equation(
        label="traces.winner",
        kind="asymptotic",
        statement=(
            "Below temperature 1 the initial mode of two outcomes loses with a probability that "
            "is exponentially small in B/η, with a rate that a diffusion gets wrong."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(\text{the initial mode loses})}"),
        rhs=winner_rhs(),
        symbols={"logit_gap": z, "temperature": T, "step_size": eta, "num_samples": B},
        assumes=(
            "T < 1 fixed, K = 2, η → 0 (relative error of order η), uniformly in z > 0. "
            "W = ½∫m with p_T + q_T e^m = e^{mq}; A'/A = W'' (Var ξ + B E[ξ]²)/E[ξ], A ~ 1/z at "
            "the tie."
        ),
        source=DERIVED,
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
        proof=prove_winner,
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
        accuracy=2e-6,
    )
)


# --- Above temperature 1: the stationary law ------------------------------------------------------


def prove_stationary() -> list[Step]:
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


def stationary_variance() -> Any:
    """ηT/(2B(T − 1)) over 1 − η(1 − 1/T)/(2K)."""
    return eta * T / (2 * B * (T - 1)) / (1 - eta * (1 - 1 / T) / (2 * K))


STATIONARY = register(
    Equation(
        label="traces.stationary",
        kind="asymptotic",
        statement=(
            "Above temperature 1 the logits fluctuate about uniform; for small steps each "
            "contrast between them has the same variance, whatever the number of outcomes."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,|\theta|^2/(K-1)}"),
        rhs=stationary_variance(),
        symbols={
            "num_outcomes": K,
            "temperature": T,
            "step_size": eta,
            "num_samples": B,
        },
        assumes="T > 1 fixed, η/B → 0: the linearised chain, relative error about ηT/(B(T − 1)).",
        source=DERIVED,
        near_misses={
            "divided by the number of outcomes": stationary_variance() / K,
            "twice": 2 * stationary_variance(),
            "1/(T − 1) without T": stationary_variance() / T,
        },
        proof=prove_stationary,
        domain={
            "num_outcomes": ("integer", 2, 1000),
            "temperature": ("real", 1.1, 10),
            "step_size": ("real", 0.001, 0.5),
            "num_samples": ("integer", 1, 50),
        },
        edges=(
            Edge({"num_outcomes": 50_000, "temperature": 2.0, "step_size": 0.1, "num_samples": 1}),
        ),
    )
)

variance = sp.Symbol("v", positive=True)


def prove_stationary_mixture() -> list[Step]:
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


def mixture_square(size: Any, v: Any) -> Any:
    """(K−1)v/2 + v² [(1 − 1/K) e^{v/2} + (K−1)(1/2 − 1/K)] / (e^{v/2} + K − 1)."""
    half = sp.Rational(1, 2)
    corner = sp.exp(v / 2)
    centres = ((1 - 1 / size) * corner + (size - 1) * (half - 1 / size)) / (corner + size - 1)
    return (size - 1) * v / 2 + v**2 * centres


STATIONARY_MIXTURE = register(
    Equation(
        label="traces.stationary_mixture",
        kind="exact",
        statement=(
            "Just above temperature 1 the stationary law of the logits is a mixture of K(K+1)/2 "
            "Gaussians, one for each corner and each edge; its mean square follows."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,|\theta|^2}"),
        rhs=mixture_square(K, variance),
        symbols={"num_outcomes": K, "variance": variance},
        assumes=(
            "η → 0 and T → 1 from above with v = η/(B(1 − 1/T)) fixed: the diffusion; that the "
            "chain's stationary law tends to the diffusion's is derived."
        ),
        source=DERIVED,
        near_misses={
            "one Gaussian": (K - 1) * variance / 2,
            "corners alone": (K - 1) * variance / 2 + variance**2 * (1 - 1 / K),
            "a corner weighted by e^v": (K - 1) * variance / 2
            + variance**2
            * ((1 - 1 / K) * sp.exp(variance) + (K - 1) * (sp.Rational(1, 2) - 1 / K))
            / (sp.exp(variance) + K - 1),
        },
        proof=prove_stationary_mixture,
        domain={"num_outcomes": ("integer", 2, 1000), "variance": ("real", 0.01, 50)},
        edges=(
            Edge({"num_outcomes": 50_000, "variance": 30.0}),
            Edge({"num_outcomes": 3, "variance": 1200.0}),
        ),
    )
)


# --- Astronomic horizons: derived, not proved -----------------------------------------------------

log_n = sp.Symbol(r"{\log n}", positive=True)
log_ratio, level = sp.symbols("ell p_0", positive=True)

MEMORY = register(
    Equation(
        label="traces.memory",
        kind="conjecture",
        statement=(
            "The chance to lead late is 1/K plus the initial centred logit over the logarithm of "
            "the generation: the initial model is forgotten like 1/log n."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(\text{$i$ leads at $n$})}"),
        rhs=1 / K + (theta[i] - total(theta[j], j) / K) / log_n,
        symbols={"logits0": theta, "log_generation": log_n},
        assumes=(
            TRACE + " log n large against the centred logits and log η; for K = 2 and small steps "
            "a theorem of the diffusion, for K ≥ 3 derived."
        ),
        source=DERIVED,
        near_misses={
            "forgotten at once": 1 / K + theta[i] / 10**30,
            "half of it": 1 / K + (theta[i] - total(theta[j], j) / K) / (2 * log_n),
            "never forgotten": sp.exp(theta[i]) / total(sp.exp(theta[j]), j),
        },
        domain={"logits0": ("vector", -3, 3), "log_generation": ("real", 20, 400)},
        edges=(Edge({"logits0": [2.0, 2.0, 2.0], "log_generation": 50.0}, [1 / 3] * 3),),
    )
)

SURVIVAL = register(
    Equation(
        label="traces.survival",
        kind="conjecture",
        statement=(
            "The chance that the leader has never been overtaken falls like log n to the power "
            "−(2 − 2/K)."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(\text{not overtaken by $n$})}"),
        rhs=(z / log_n) ** (2 - 2 / K),
        symbols={"num_outcomes": K, "logit_gap": z, "log_generation": log_n},
        assumes=TRACE + " All others start z behind, 1 ≪ z ≪ log n; corrections of order 1/log n.",
        source=DERIVED,
        near_misses={
            "the exponent 1 of two outcomes": z / log_n,
            "the exponent 2 of many outcomes": (z / log_n) ** 2,
            "the exponent 1 − 1/K": (z / log_n) ** (1 - 1 / K),
        },
        domain={
            "num_outcomes": ("integer", 2, 1000),
            "logit_gap": ("real", 5, 20),
            "log_generation": ("real", 20, 400),
        },
        edges=(Edge({"num_outcomes": 50_000, "logit_gap": 12.0, "log_generation": 400.0}),),
    )
)

SWITCHES = register(
    Equation(
        label="traces.switches",
        kind="conjecture",
        statement=(
            "Two outcomes take turns for ever, ever more slowly: the mean number of changes "
            "between p < p₀ and p > 1 − p₀ grows like the logarithm of the generation."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}[N(e^\ell n)-N(n)]}"),
        rhs=log_ratio / (2 * sp.log((1 - level) / level)),
        symbols={"level": level, "log_ratio": log_ratio},
        assumes="T = 1, K = 2, small steps (overshoots of order η widen the passage), n late.",
        source=DERIVED + "; for the diffusion a standard limit law of local times",
        cites=("pitman1986",),
        near_misses={
            "counted one way only": log_ratio / (4 * sp.log((1 - level) / level)),
            "half the distance": log_ratio / sp.log((1 - level) / level),
            "never again": sp.Integer(0),
        },
        domain={"level": ("real", 0.001, 0.4), "log_ratio": ("real", 1, 400)},
        edges=(Edge({"level": 1e-9, "log_ratio": 100.0}),),
    )
)
