"""Recovery: what a temperature restores, what it does not, and how fast anything can be lost.

The way back undoes the generations of the loop below, one by one.
"""

import math
from collections.abc import Sequence
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import NUM_OUTCOMES, Root, Step, at, claim, total
from fixedpoint.laws.notation import T, epsilon, t, tau, theta
from fixedpoint.symbolic import (
    Curated,
    GradientFlow,
    Loop,
    Mixed,
    Temperature,
    elementary,
    given,
    kl_divergence,
    next_model,
    normalised,
    rational,
    shares,
    without_roots,
    written_out,
)

R: Any = notation.logit_range.symbol
smallest: Any = notation.log_smallest.symbol
roundoff: Any = notation.roundoff.symbol
v: Any = notation.scores.symbol
x0: Any = notation.probability.symbol
j, k = sp.symbols("j k", integer=True, positive=True)

REFIT = Loop(Temperature(T))
"""A generation is θ → θ/T."""
FILTERED = Loop(Temperature(T), Curated(v))
"""Any change of a model can be written as a temperature and odds of being kept."""
TAUGHT = Loop(Temperature(T), Mixed(notation.psi, notation.a), GradientFlow(tau))
"""Finite training on any mixture of own and real data."""
EVERY_TABLE = "Every table of logits is allowed."


# --- the way back --------------------------------------------------------------------------------


@claim(
    "Sampling generation t at temperature T⁻ᵗ restores the initial model.",
    T**-t,
    lhs=r"T_{\mathrm{back}}",
    of=(
        notation.temperature(0.4, 2.5),
        notation.generation(0, 30),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " The generation is known to enough digits (recovery.storage_cold, "
    "recovery.storage_hot) and is not uniform.",
    near_misses={
        "the same temperature again": T**t,
        "one generation too many": T ** -(t + 1),
        "only the last generation undone": 1 / T,
        "linear in the generation": 1 + t * (1 / T - 1),
    },
    edges=[
        at(1.0, 10**6, gives=1.0),
        at(1 + 1e-12, 10**6),
        at(1 - 1e-12, 10**6),
        at(1e-3, 50),
        at(1e3, 50),
        at(0.9, 10**6, gives=math.inf),
        at(1.1, 10**6, gives=0.0),
        at(0.7, 0, gives=1.0),
    ],
)
def recovery(answer: Any) -> list[Step]:
    """Induction: what undoes t generations and what undoes one more, by the definition of p_T."""
    first, probe = sp.symbols("T_1 T_2", positive=True)
    now, later = answer.subs(t, 0), answer.subs(t, t + 1) / answer
    steps = []
    for size in (2, 3):
        w, sizes = sp.symbols(f"w1:{size + 1}", positive=True), {"K": size}

        def gaps(values: Any, others: Any) -> list[Any]:
            """Differences of the log-odds against the last outcome."""
            pairs = list(zip(values, others, strict=True))
            return [sp.log(x / values[-1]) - sp.log(y / others[-1]) for x, y in pairs[:-1]]

        steps += [
            Step(
                "generation 0 is drawn at the temperature 1",
                gaps(Temperature(now)(w), w),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "what undoes t + 1 generations undoes one after what undoes t",
                gaps(Temperature(later)(next_model(REFIT, w)), w),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "drawing at T₁ and then at T₂ is drawing at T₁T₂",
                gaps(Temperature(probe)(Temperature(first)(w)), Temperature(first * probe)(w)),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "at T₂ the log-odds are (θ_i - θ_j)/T₂: no other temperature restores them",
                [
                    gap - sp.log(x / w[-1]) * (1 / probe - 1)
                    for gap, x in zip(gaps(Temperature(probe)(w), w), w[:-1], strict=True)
                ],
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


STORAGE_COLD_RHS = sp.log(smallest / R) / sp.log(1 / T)


@claim(
    "Below T = 1 the initial model survives storage as probabilities until its "
    "rarest outcome underflows.",
    STORAGE_COLD_RHS,
    lhs="t_*",
    kind="asymptotic",
    of=(
        notation.logit_range(1, 20),
        notation.temperature(0.3, 0.97),
        notation.log_smallest(80, 750),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " T < 1; e^{-λ} is the smallest number that does not round to 0, λ "
    "large; rounding errors, together at most uT/(1 - T), are negligible "
    "(recovery.storage_hot where they are not). ℓ nats in λ are ℓ/(λ log(1/T)) generations, "
    "among them the logarithm of the mode's probability at the horizon.",
    near_misses={
        "range of the logits forgotten": sp.log(smallest) / sp.log(1 / T),
        "one logarithm": smallest / R / sp.log(1 / T),
        "digits instead of range": sp.log(sp.sqrt(smallest / R)) / sp.log(1 / T),
    },
    edges=[
        at(7.0, 1 - 1e-6, 745.0),
        at(7.0, 1e-3, 745.0),
        at(800.0, 0.5, 745.0, gives=0.0),
    ],
)
def storage_cold(answer: Any) -> list[Step]:
    """When the least probability underflows, with T = e^{-r}."""
    rate, between = sp.symbols("r a", positive=True)
    start, spread = [1, sp.exp(-between), sp.exp(-R)], R * sp.exp(rate * t)
    after = next_model(REFIT, start)
    return [
        Step(
            "at the horizon the range of the logits is that of the numbers, λ",
            spread.subs(t, answer.subs(T, sp.exp(-rate))) - smallest,
        ),
        Step("the range of the logits is R at first", spread.subs(t, 0) - R),
        Step(
            "a generation of the loop divides it by T",
            [
                sp.log(after[0] / after[-1]) - R / T,
                spread.subs(t, t + 1) - spread / sp.exp(-rate),
            ],
            reduce=elementary,
            sizes={"K": 3},
        ),
    ]


STORAGE_HOT_RHS = sp.log(1 + epsilon * (T - 1) / (T * roundoff)) / sp.log(T)


@claim(
    "Stored as probabilities, the initial model survives at least until the rounding "
    "errors, those of generation k times T^k, add up to the tolerance: soon above T = 1 and "
    "near it, never for T < 1/(1 + u/ε).",
    STORAGE_HOT_RHS,
    lhs="t_*",
    kind="bound",
    of=(
        notation.temperature(1.03, 3),
        notation.roundoff(1e-9, 1e-6),
        notation.tolerance(0.01, 0.5),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " T > 1/(1 + u/ε), ε/u at T = 1; rounding changes each "
    "log-probability by at most the unit roundoff u a generation (to first order, while "
    "probabilities are normal numbers), all other arithmetic is finer; the error is the "
    "largest of the restored logits, up to a common constant.",
    relation=">=",
    near_misses={
        "errors do not add up": sp.log(epsilon / roundoff) / sp.log(T),
        "half the temperature's effect": 2 * STORAGE_HOT_RHS,
        "linear amplification": epsilon / roundoff / T,
    },
    edges=[
        at(1 + 1e-3, 2.0**-53, 0.1),
        at(1e3, 2.0**-53, 0.1),
        at(1 + 1e-12, 2.0**-8, 0.1),
        at(1.0, 2.0**-8, 0.1, gives=25.6),
        at(0.999, 2.0**-8, 0.1),
        at(0.999, 2.0**-11, 0.1),
        at(0.9, 2.0**-8, 0.1, gives=math.inf),
    ],
)
def storage_hot(answer: Any) -> list[Step]:
    """Rounding errors of the logits, each at most u, added up by the way back, with T = e^r."""
    rate = sp.Symbol("r", real=True, nonzero=True)
    x = sp.Symbol("x", real=True)
    error = roundoff * T * (1 - T**-x) / (T - 1)
    apart, other = sp.symbols("e w", positive=True)
    # Two outcomes, one of which is wrong by e in its logit.
    right, wrong = (next_model(REFIT, [x, other]) for x in (1, sp.exp(apart)))
    return [
        Step(
            "the way back multiplies the error by Tᵗ, and at the horizon that is the tolerance",
            (error * T**x).subs(T, sp.exp(rate)).subs(x, answer.subs(T, sp.exp(rate))) - epsilon,
        ),
        Step("nothing is lost before the rounding", error.subs(x, 0)),
        Step(
            "a generation of the loop divides an error by T",
            sp.log(wrong[0] / wrong[1]) - sp.log(right[0] / right[1]) - apart / T,
            reduce=elementary,
            sizes={"K": 2},
        ),
        Step(
            "one generation divides the error by T and adds u",
            error.subs(x, x + 1) - (error / T + roundoff),
        ),
        Step(
            "for T < 1 it stays below uT/(1 - T): within the tolerance for ever if T < 1/(1 + u/ε)",
            [
                (error * T**x) - roundoff * T / (1 - T) * (1 - T**x),
                (roundoff * T / (1 - T)).subs(T, 1 / (1 + roundoff / epsilon)) - epsilon,
            ],
        ),
    ]


# --- what a temperature does not restore ---------------------------------------------------------

_KEPT: Any = sp.Piecewise((1, v[k] > -sp.oo), (0, True))
_ALL = total(sp.exp(theta[k]), k)
_LEFT = total(_KEPT * sp.exp(theta[k]), k)
START = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""


@claim(
    "Whatever else becomes of a model, outcomes that are lost cost -log p₀(S), S what is left: KL "
    "from the initial model is that and the KL from it given S.",
    sp.log(_ALL) - sp.log(_LEFT),
    lhs=r"-\log p_0(S)",
    of=(notation.logits, notation.scores),
    loop=FILTERED,
    given={"temperature": T},
    assumes="S are the outcomes that are sometimes kept.",
    source="elementary (conditioning)",
    cites=("csiszar1975",),
    near_misses={
        "outcomes counted, not weighed": sp.log(NUM_OUTCOMES) - sp.log(total(_KEPT, k)),
        "the share that is lost": 1 - _LEFT / _ALL,
        "the logarithm of what is lost": sp.log(_ALL) - sp.log(_ALL - _LEFT),
    },
    edges=[
        at(START, [0.3, -math.inf, 0.0, -1.2]),
        at(START, [-math.inf, 0.2, -math.inf, 0.1]),
        at(START, [0.3, 0.4, 0.0, -1.2], gives=0.0),
        at([0.4, -0.7], [-math.inf, 2.0]),
        at([30.0, 0.0, -30.0], [0.0, -math.inf, 1.0]),
        at([-40.0, 0.0], [0.0, -math.inf]),
        at([0.7], [-0.2], gives=0.0),
    ],
)
def lost_modes(answer: Any) -> list[Step]:
    """Conditioning, whatever the temperature and the odds of what is kept."""
    steps = []
    for size, kept in ((2, 1), (3, 2), (3, 1)):
        w, odds = list(sp.symbols(f"w1:{size + 1}", positive=True)), _odds(size)[:kept]
        lost = [0] * (size - kept)
        changed = next_model(given(FILTERED, {v: [*odds, *lost]}), w)[:kept]
        steps.append(
            Step(
                "KL(p‖p₀) - KL(p‖p₀ given S) is the claim",
                kl_divergence(changed, normalised(w)[:kept])
                - kl_divergence(changed, normalised(w[:kept]))
                - _filled(answer, w, [*odds, *lost]),
                reduce=elementary,
                sizes={"K": size},
            )
        )
    return steps


def _odds(num_outcomes: int) -> list[Any]:
    return list(sp.symbols(f"u1:{num_outcomes + 1}", positive=True))


def _filled(answer: Any, w: Sequence[Any], odds: Sequence[Any]) -> Any:
    """The answer for a model with the weights w, kept with these odds."""
    scores = {v[place]: sp.log(odd) if odd else -sp.oo for place, odd in enumerate(odds, 1)}
    return sp.expand_log(written_out(answer, w).xreplace(scores).doit(), force=True)


_WEIGHT = sp.exp(theta[k] / T + v[k])
_b = sp.Symbol("b", real=True)


def _changed_mean(value: Any) -> Any:
    """The mean of a value of outcome k under the changed model."""
    return total(_WEIGHT * value, k) / total(_WEIGHT, k)


def _log_partition(inverse_temperature: Any) -> Any:
    return sp.log(total(sp.exp(inverse_temperature * theta[k]), k))


def _tempered_mean(inverse_temperature: Any, value: Any = theta[k]) -> Any:
    weight = sp.exp(inverse_temperature * theta[k])
    return total(weight * value, k) / total(weight, k)


# The bracket is wide enough for the points of comparison.
_B = Root(
    sp.Lambda(_b, _tempered_mean(_b) - _changed_mean(theta[k])), sp.Integer(-30), sp.Integer(30)
)
"""The inverse temperature at which the initial model has the mean logit of the changed one."""


def _tempered(b: Any, other: Any) -> Any:
    """KL(p_b ‖ p_b') of the initial model at two inverse temperatures."""
    return (b - other) * _tempered_mean(b) - _log_partition(b) + _log_partition(other)


def _off(b: Any) -> Any:
    """KL(p ‖ p_b), of the changed model and the initial one at an inverse temperature."""
    drawn = _changed_mean(theta[k] / T + v[k] - b * theta[k])
    return drawn - sp.log(total(_WEIGHT, k)) + _log_partition(b)


def nearest_temperature(answer: Any, part: Any) -> list[Step]:
    """Steps that close if the answer is a part of the change, with b where KL(p‖p_b) is least.

    Args:
        answer: the claimed part, with a root.
        part: which of KL(p‖p_b) and KL(p_b‖p₀) it is.
    """
    steps = []
    for size in (2, 3):
        w, y = (list(sp.symbols(f"{name}1:{size + 1}", positive=True)) for name in "wy")
        p, sizes = normalised(y), {"K": size}
        # Odds of being kept that make any p of the initial model.
        odds = [new * old ** (-1 / T) for new, old in zip(y, w, strict=True)]
        changed = next_model(given(FILTERED, {v: odds}), w)
        [claimed], equations = without_roots([_filled(answer, w, odds)])
        [(b, vanishes)] = equations.items()
        tempered, start = Temperature(1 / b)(w), normalised(w)
        off, sharpened, whole = (
            sp.expand_log(kl_divergence(*pair), force=True)
            for pair in ((p, tempered), (tempered, start), (p, start))
        )
        steps += [
            Step(
                "the loop makes any model p of the initial one",
                [x - y for x, y in zip(changed, p, strict=True)],
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "for every b it is the part by its definition",
                part(off, sharpened) - claimed,
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "b is where the slope of KL(p‖p_b) vanishes",
                sp.diff(off, b) - vanishes,
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "there is one such b: the slope grows, at the variance of θ under p_b",
                sp.diff(vanishes, b) - _variance(tempered, w),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "there KL(p‖p_b) + KL(p_b‖p₀) is KL(p‖p₀): Pythagoras",
                off + sharpened - whole - (b - 1) * vanishes,
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


def _variance(p: Sequence[Any], w: Sequence[Any]) -> Any:
    """The variance of log w, pair by pair."""
    pairs = [(a, c) for c in range(len(p)) for a in range(c)]
    return sum(p[a] * p[c] * (sp.log(w[a]) - sp.log(w[c])) ** 2 for a, c in pairs)


_PARTS_ASSUME = (
    "No outcome is lost, or p₀ given what is left stands for p₀ (recovery.lost_modes). b, which "
    "may be negative, is where KL(p‖p_b) is least; p_b is the initial model at the inverse "
    "temperature b, and θ is not constant."
)
# With two outcomes every change is one of temperature, and nothing is left.
_PARTS_EDGES = [
    at(START, [0.3, 0.4, 0.0, -1.2], 1.0),
    at(START, [3.0, 0.4, 0.0, 7.0], 1.7),
    at(START, [0.3, 0.4, 0.0, -1.2], 50.0),
    at(START, [0.3, 0.4, 0.0, -1.2], 0.3),
    at([0.4, -0.7, 1.9], [0.1, 2.0, -0.3], 0.8),
]


@claim(
    "What sharpening did: the part of a change that a temperature undoes is KL(p_b‖p₀).",
    _tempered(_B, 1),
    lhs=r"\mathrm{KL}(p_b \| p_0|_S)",
    of=(notation.logits, notation.scores, notation.temperature),
    loop=FILTERED,
    assumes=_PARTS_ASSUME,
    cites=("csiszar1975",),
    near_misses={
        "what is kept is forgotten": _tempered(1 / T, 1),
        "arguments swapped": _tempered(1, _B),
        "second order in b - 1": (_B - 1) ** 2
        / 2
        * (_tempered_mean(1, theta[k] ** 2) - _tempered_mean(1) ** 2),
    },
    edges=_PARTS_EDGES,
    accuracy=1e-11,
)
def sharpening(answer: Any) -> list[Step]:
    """From the definition, with b where KL(p‖p_b) is least."""
    return nearest_temperature(answer, lambda off, sharpened: sharpened)


@claim(
    "What moved sideways: the part of a change that neither a loss nor a temperature explains is "
    "KL(p‖p_b), the least divergence from the initial model at any temperature.",
    _off(_B),
    lhs=r"\mathrm{KL}(p \| p_b)",
    of=(notation.logits, notation.scores, notation.temperature),
    loop=FILTERED,
    assumes=_PARTS_ASSUME,
    cites=("csiszar1975",),
    near_misses={
        "from the sampled model": _off(1 / T),
        "from the initial model": _off(1),
        "without the odds of being kept": _off(_B) - _changed_mean(v[k]),
    },
    edges=_PARTS_EDGES,
    accuracy=1e-10,
)
def rest(answer: Any) -> list[Step]:
    """From the definition, with b where KL(p‖p_b) is least."""
    return nearest_temperature(answer, lambda off, sharpened: off)


# --- how fast anything can be lost ---------------------------------------------------------------

SPEED_LIMIT_RHS = (1 - x0) / (1 + 2 * (1 - x0) * t * tau)


@claim(
    "A limit of speed: however sharp the teachers, t generations of gradient flow for a time τ "
    "leave at least s/(1 + 2stτ) of a probability s off an outcome.",
    SPEED_LIMIT_RHS,
    lhs="1 - p_i^{(t)}",
    kind="bound",
    relation=">=",
    of=(notation.probability(0.05, 0.95), notation.time(0.1, 50), notation.generation(0, 20)),
    loop=TAUGHT,
    given={
        "temperature": T,
        "fraction": notation.a,
        "logits_real": notation.psi,
    },
    assumes="x₀ = 1 - s; any teacher, also one that changes. Two outcomes with a teacher that "
    "knows nothing but the one attain it as s vanishes.",
    cites=("mei2020",),
    near_misses={
        "half the speed": (1 - x0) / (1 + (1 - x0) * t * tau),
        "one generation alone": (1 - x0) / (1 + 2 * (1 - x0) * tau),
        "quadratic in what is off": (1 - x0) / (1 + 2 * (1 - x0) ** 2 * t * tau),
        "exponential": (1 - x0) * sp.exp(-2 * t * tau),
    },
    edges=[
        at(0.5, 0.0, 3, gives=0.5),
        at(0.5, 2.0, 0, gives=0.5),
        at(1.0, 2.0, 3, gives=0.0),
        at(0.0, 2.0, 3),
        at(0.3, 1e300, 10, gives=5e-302),
    ],
)
def speed_limit(answer: Any) -> list[Step]:
    """The slope of one probability under any teacher, and the flow that is as fast as allowed."""
    steps = []
    for size in (2, 3, 4):
        p, q = shares(size), shares(size, "q")
        speeds = TAUGHT.learner.velocity(p, q)
        slope = p[0] * (speeds[0] - sum(x * y for x, y in zip(p, speeds, strict=True)))
        s = 1 - p[0]
        others = sum(x * y for x, y in zip(p[1:], q[1:], strict=True))
        pairs = sum(p[a] * p[c] for a in range(1, size) for c in range(1, size) if a != c)
        steps.append(
            Step(
                "dp/dτ is 2ps² less p[(1 - q)s + Σ p_j q_j + Σ p_j p_k] over the others, j ≠ k: at "
                "most 2s²",
                slope - 2 * p[0] * s**2 + p[0] * ((1 - q[0]) * s + others + pairs),
                reduce=rational,
                sizes={"K": size},
            )
        )
    once = answer.subs(t, 1)
    return [
        *steps,
        Step("at time 0 it is what is off the outcome", once.subs(tau, 0) - (1 - x0)),
        Step("it falls at twice its square, which no model outruns", once.diff(tau) + 2 * once**2),
        Step(
            "the more is off the outcome, the more is left: its slope is that of a square",
            once.diff(x0) + (once / (1 - x0)) ** 2,
        ),
        Step(
            "a further generation starts from what the ones before have left",
            answer.subs(t, t + 1) - once.subs(x0, 1 - answer),
        ),
        Step("generation 0 is the initial model", answer.subs(t, 0) - (1 - x0)),
    ]
