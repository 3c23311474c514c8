"""Weight decay: single traces that are pulled back to the uniform distribution.

Proofs in SymPy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    NUM_OUTCOMES,
    OUTCOME,
    Root,
    Step,
    at,
    claim,
)

theta: Any = sp.IndexedBase("theta", real=True)
eta, T, S, s, z, lam = sp.symbols("eta T S s z lambda", positive=True)
B, k, n = sp.symbols("B k n", integer=True, positive=True)
stationary_h = sp.Symbol("h", positive=True)
i, K = OUTCOME, NUM_OUTCOMES
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
LOST = [0.7, float("-inf"), -0.3]
"""A model that has lost an outcome."""


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


@claim(
    "Under weight decay the stationary squared size of the logits balances the noise.",
    eta * stationary_h / (B * lam * (2 - eta * lam)),
    lhs=r"{\mathbb{E}\,|\theta|^2}",
    of=(
        notation.heterozygosity(0, 1),
        notation.step_size(0.01, 1),
        notation.weight_decay(0.01, 0.9),
        notation.num_samples.written(B)(1, 50),
    ),
    assumes="T = 1, 0 < ηλ < 1, centred logits; h = E[1 − Σp²] in the stationary law.",
    near_misses={
        "first order in ηλ": eta * stationary_h / (2 * B * lam),
        "the batch does not matter": eta * stationary_h / (lam * (2 - eta * lam)),
        "the uniform model's noise": eta * 2 / 3 / (B * lam * (2 - eta * lam)),
    },
    edges=[
        at(0.0, 1.0, 0.5, 1, gives=0.0),
    ],
)
def weight_decay() -> list[Step]:
    """The second moment of one step, and its fixed point."""
    return prove_weight_decay()


@claim(
    "Weight decay lets the mean logits fade at the fixed rate ηλ, however collapsed the model is.",
    theta[i] * (1 - eta * lam) ** n,
    lhs=r"{\mathbb{E}\,\theta^{(n)}_i}",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.step_size(0.01, 1),
        notation.weight_decay(0, 0.9),
        notation.generation.written(n)(0, 300),
    ),
    assumes="T = 1, 0 < ηλ < 1.",
    near_misses={
        "continuous time": theta[i] * sp.exp(-eta * lam * n),
        "off by one generation": theta[i] * (1 - eta * lam) ** (n + 1),
        "for ever": theta[i] * sp.Integer(1) ** n,
    },
    edges=[
        at(LOGITS, 0.5, 0.0, 10**6),
        at(LOST, 0.5, 0.1, 3, gives=[0.7 * 0.95**3, float("-inf"), -0.3 * 0.95**3]),
    ],
)
def memory_time() -> list[Step]:
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


@claim(
    "Under weight decay, the gap between two outcomes has for small steps a stationary "
    "density that depends only on the ratio κ of noise and decay.",
    decay_exponent(ratio),
    lhs=r"{\log\frac{m(z)}{m(0)}}",
    kind="asymptotic",
    of=(
        notation.gap.called("logit_gap")(-8, 8),
        notation.noise_ratio(0.1, 100),
    ),
    assumes="K = 2, T = 1, η → 0 with κ = η/(λB) fixed: the diffusion. That the chain's stationary "
    "law tends to the diffusion's is not proved; it is off by order η.",
    near_misses={
        "without the factor of the noise": decay_exponent(ratio) - 2 * sp.log(sp.cosh(gap / 2)),
        "κ doubled": decay_exponent(2 * ratio),
        "the noise of the uniform model: a Gaussian": -(gap**2) / ratio,
    },
    edges=[
        at(0.0, 3.0, gives=0.0),
        at(1e-6, 3.0),
        at(300.0, 1e6),
    ],
)
def decay_density() -> list[Step]:
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


@claim(
    "The stationary density under weight decay has two modes, one on each side of the "
    "tie, exactly when its curvature at the tie is positive: in the gap (c = 1) for κ > 4, "
    "in the probability (c = 2) for κ > 2.",
    chart / 2 - 2 / ratio,
    lhs=r"{\left.\partial_z^2\log m_c\right|_{z=0}}",
    of=(
        notation.noise_ratio(0.1, 100),
        notation.chart(1, 2, "integer"),
    ),
    assumes="K = 2, T = 1, the diffusion: η → 0 with κ = η/(λB) fixed; density per dz (c = 1) or "
    "per dp (c = 2), its logarithm's curvature taken along z.",
    near_misses={
        "the noise of the uniform model": -2 / ratio + (chart - 1) / 2,
        "κ doubled": chart / 2 - 1 / ratio,
        "the same in both charts": sp.S.Half - 2 / ratio,
    },
    edges=[
        at(4.0, 1, gives=0.0),
        at(2.0, 2, gives=0.0),
    ],
)
def decay_thresholds() -> list[Step]:
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


q = sp.Symbol("q", positive=True)


def lowest_probability(decay: Any) -> Any:
    """The q with λ log((1 − q)/q) = 2q, between x/(1 + x) and x = (λ/2) W(2/λ)."""
    small = decay / 2 * sp.LambertW(2 / decay)
    balance = sp.Lambda(q, 2 * q - decay * sp.log((1 - q) / q))
    return Root(balance, small / (1 + small), small)


@claim(
    "Weight decay keeps the rarer of two outcomes alive: its probability comes as near as "
    "you like to a positive floor, which depends on the decay alone, and stays above it.",
    lowest_probability(lam),
    lhs=r"{\liminf_{n\to\infty}\,\min(p_n,1-p_n)}",
    of=(notation.weight_decay(0.001, 3),),
    assumes="T = 1, K = 2, η(λ + 1/2) ≤ 1, every B. A model that starts inside the floor never "
    "passes it; with larger steps the model does pass it, and only |z| ≤ 2/λ is left.",
    near_misses={
        "the leading logarithm for small decay": lam / 2 * sp.log(2 / lam),
        "small decay: q neglected against 1": lam / 2 * sp.LambertW(2 / lam),
        "what holds for every step size": 1 / (1 + sp.exp(2 / lam)),
        "the gap moved by one logit's step": lowest_probability(2 * lam),
    },
    edges=[
        at(1e-12),
        at(0.01),
        at(100.0),
    ],
)
def decay_floor() -> list[Step]:
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


y = sp.Symbol("y", positive=True)
