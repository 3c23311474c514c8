"""Weight decay: single traces that are pulled back to the uniform distribution.

Proofs take means over one generation of the loop, for every number n of its samples.
"""

from typing import Any

import mpmath
import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    LOGITS,
    LOST,
    OUTCOME,
    Root,
    Step,
    at,
    claim,
)
from fixedpoint.laws.notation import eta, lam, n, t, theta
from fixedpoint.symbolic import (
    Fresh,
    GradientSteps,
    Loop,
    Vector,
    centred_logits,
    gap_of,
    pair,
    shares,
)

stationary_h = notation.heterozygosity.symbol
i = OUTCOME

DECAYING = Loop(corpus=Fresh(n), learner=GradientSteps(eta, weight_decay=lam))
"""Single traces; the logits that add up to 0 stay so."""


def squared_size(p: Vector) -> Any:
    """|θ|², of logits that add up to 0."""
    return sp.expand(sum(value**2 for value in centred_logits(p)))


# --- Any number of outcomes -----------------------------------------------------------------------


@claim(
    "Under weight decay the stationary squared size of the logits balances the noise.",
    eta * stationary_h / (n * lam * (2 - eta * lam)),
    lhs=r"{\mathbb{E}\,|\theta|^2}",
    of=(
        notation.heterozygosity(0, 1),
        notation.step_size(0.01, 1),
        notation.weight_decay(0.01, 0.9),
        notation.num_samples(1, 50),
    ),
    loop=DECAYING,
    assumes="0 < ηλ < 1, centred logits; h = E[1 − Σp²] in the stationary law.",
    near_misses={
        "first order in ηλ": eta * stationary_h / (2 * n * lam),
        "the samples do not matter": eta * stationary_h / (lam * (2 - eta * lam)),
        "the uniform model's noise": eta * 2 / 3 / (n * lam * (2 - eta * lam)),
    },
    edges=[
        at(0.0, 1.0, 0.5, 1, gives=0.0),
    ],
)
def weight_decay(answer: Any) -> list[Step]:
    """The second moment of one generation, and its fixed point."""
    steps = []
    for size in (2, 3):
        p = shares(size)
        # The logarithms as symbols of their own.
        logs = {
            sp.log(x): symbol for x, symbol in zip(p, sp.symbols(f"x1:{size + 1}"), strict=True)
        }
        before = squared_size(p).xreplace(logs)
        after = sp.expand(symbolic.mean(DECAYING, p, squared_size)).xreplace(logs)
        noise = after.subs(dict.fromkeys(logs.values(), 0))
        kept = sp.cancel((after - noise) / before)
        steps.append(
            Step(
                "E|θ'|² = (1 − ηλ)² |θ|² + noise of one generation, at rest with |θ|²",
                (kept - 1) * answer.subs(stationary_h, symbolic.heterozygosity(p)) + noise,
                reduce=sp.cancel,
                sizes={"K": size},
            )
        )
    return steps


@claim(
    "Weight decay lets the mean logits fade at the fixed rate ηλ, however collapsed the model is.",
    theta[i] * (1 - eta * lam) ** t,
    lhs=r"{\mathbb{E}\,\theta^{(t)}_i}",
    of=(
        notation.logits(-3, 3),
        notation.step_size(0.01, 1),
        notation.weight_decay(0, 0.9),
        notation.generation(0, 300),
    ),
    loop=DECAYING,
    given={"num_samples": n},
    assumes="0 < ηλ < 1.",
    near_misses={
        "continuous time": theta[i] * sp.exp(-eta * lam * t),
        "off by one generation": theta[i] * (1 - eta * lam) ** (t + 1),
        "for ever": theta[i] * sp.Integer(1) ** t,
    },
    edges=[
        at(LOGITS, 0.5, 0.0, 10**6),
        at(LOST, 0.5, 0.1, 3, gives=[0.7 * 0.95**3, float("-inf"), -0.3 * 0.95**3]),
    ],
)
def memory_time(answer: Any) -> list[Step]:
    """The mean logits of one generation."""

    def of_logits(claimed: Any, p: Vector) -> list[Any]:
        return [
            claimed.subs(i, place).subs(theta[place], value)
            for place, value in enumerate(centred_logits(p), start=1)
        ]

    return symbolic.by_generations(
        DECAYING, centred_logits, answer, generation=t, reduce=sp.simplify, at=of_logits
    )


gap, ratio, chart = (
    argument.symbol for argument in (notation.gap, notation.noise_ratio, notation.chart)
)


def decay_exponent(kappa: Any) -> Any:
    """The exponent log m(z) − log m(0) = 2 log cosh(z/2) − (2/κ) ∫₀^z y cosh²(y/2) dy."""
    pull = gap**2 / 4 + (gap * sp.sinh(gap) - sp.cosh(gap) + 1) / 2
    return 2 * sp.log(sp.cosh(gap / 2)) - 2 * pull / kappa


def slope_without_current() -> Any:
    """The slope of log m(z) in which drift and noise of a generation carry no current.

    In the Fokker–Planck equation the current is drift · m − (variance · m)'/2.
    """
    p = pair(gap)
    drift, square = (
        symbolic.mean(DECAYING, p, lambda q, m=m: sp.expand((gap_of(q) - gap) ** m)) for m in (1, 2)
    )
    variance = sp.factor(square - drift**2)
    slope = (2 * drift - sp.diff(variance, gap)) / variance
    return sp.simplify(slope.subs(lam, eta / (ratio * n)))


@claim(
    "Under weight decay, the gap between two outcomes has for small steps a stationary "
    "density that depends only on the ratio κ of noise and decay.",
    decay_exponent(ratio),
    lhs=r"{\log\frac{m(z)}{m(0)}}",
    kind="asymptotic",
    of=(
        notation.gap(-8, 8),
        notation.noise_ratio(0.1, 100),
    ),
    loop=DECAYING,
    given={"num_samples": n, "step_size": eta, "weight_decay": lam},
    assumes="K = 2, η → 0 with κ = η/(λn) fixed: the diffusion. That the chain's stationary "
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
def decay_density(answer: Any) -> list[Step]:
    """The zero-current solution of the Fokker–Planck equation."""
    return [
        Step("the ratio is 1 at z = 0", answer.subs(gap, 0)),
        Step(
            "the density carries no probability current, κ = η/(λn)",
            (sp.diff(answer, gap) - slope_without_current()).rewrite(sp.exp),
        ),
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
    loop=DECAYING,
    given={"num_samples": n, "step_size": eta, "weight_decay": lam},
    assumes="K = 2, the diffusion: η → 0 with κ = η/(λn) fixed; density per dz (c = 1) or "
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
def decay_thresholds(answer: Any) -> list[Step]:
    """Curvature at the tie in either chart, and why it decides about the number of modes."""
    # Per dp there is one dp/dz fewer than per dz.
    slope = slope_without_current() - (chart - 1) * sp.diff(sp.log(sp.diff(pair(gap)[0], gap)), gap)
    u = gap / 2
    balance = gap * sp.cosh(u) ** 3 / sp.sinh(u)
    growth = sp.diff(balance, gap) / balance * sp.sinh(u) * sp.cosh(u)
    return [
        Step(
            "the curvature at z = 0, where the slope is 0",
            [sp.diff(slope, gap).subs(gap, 0) - answer, slope.subs(gap, 0)],
        ),
        Step("it is 0 at κ = 4/c", answer.subs(ratio, 4 / chart)),
        Step(
            "away from 0 the slope vanishes where z cosh³(z/2)/sinh(z/2) = κc/2, which is 2 at 0",
            [
                (slope - 2 * sp.tanh(u) / ratio * (ratio * chart / 2 - balance)).rewrite(sp.exp),
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
    lhs=r"{\liminf_{t\to\infty}\,\min(p_t,1-p_t)}",
    of=(notation.weight_decay(0.001, 3),),
    loop=DECAYING,
    given={"num_samples": n, "step_size": eta},
    assumes="K = 2, η(λ + 1/2) ≤ 1, every n. A model that starts inside the floor never "
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
def decay_floor(answer: Any) -> list[Step]:
    """The leader's own map of the gap: where it rests, and when it keeps the order of gaps."""
    p = pair(gap)
    up, down = (gap_of(DECAYING.learner(p, drawn)) for drawn in ([1, 0], [0, 1]))
    share = sp.Symbol("y", positive=True)
    between = gap_of(DECAYING.learner(p, [share, 1 - share]))
    slope = 1 - eta * lam - 2 * eta * p[0] * p[1]

    def rarest(decay: Any) -> Any:
        """The rarer probability where a draw of the leader leaves the gap alone."""
        rest = sp.lambdify(gap, ((up - gap) / eta).subs(lam, decay).simplify(), "mpmath")
        with mpmath.workdps(70):
            found = mpmath.findroot(rest, (0, 2 / mpmath.mpmathify(decay)), solver="anderson")
            return sp.Float(1 / (1 + mpmath.exp(found)), 65)

    numbers = [sp.Rational(x) for x in ("1/32", "1/4", "5/8", "3/2", "3")]
    return [
        symbolic.at_numbers(
            answer,
            [({lam: decay}, rarest(decay)) for decay in numbers],
            "it is the rarer probability at the gap z* where a draw of the leader leaves the gap",
            λ=tuple(numbers),
        ),
        Step(
            "drawing the leader, z' − z = η (2/(1 + e^z) − λz), which decreases in z: z* is the "
            "largest gap",
            [
                up - gap - eta * (2 * p[1] - lam * gap),
                sp.diff(2 * p[1] - lam * gap, gap) + 2 * p[0] * p[1] + lam,
            ],
        ),
        Step("drawing the other is its mirror image", up.subs(gap, -gap) + down),
        Step(
            "a draw of n samples moves the gap to a point between the two",
            between - (share * up + (1 - share) * down),
        ),
        Step("the slope of the map is 1 − ηλ − 2ηpq", sp.diff(up, gap) - slope),
        Step(
            "… = 1 − η(λ + 1/2) + η(p − q)²/2 ≥ 0 for η(λ + 1/2) ≤ 1: no gap below z* passes it, "
            "and gaps above it fall to it",
            slope - (1 - eta * (lam + sp.S.Half) + eta * (p[0] - p[1]) ** 2 / 2),
        ),
    ]
