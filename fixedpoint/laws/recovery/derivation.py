"""Recovery: what a temperature restores, and how far numbers with finitely many digits go.

The way back undoes the generations of the loop below, one by one.
"""

import math
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import Step, at, claim
from fixedpoint.laws.notation import T, epsilon, t
from fixedpoint.symbolic import Loop, Temperature, elementary, next_model

R: Any = notation.logit_range.symbol
smallest: Any = notation.log_smallest.symbol
roundoff: Any = notation.roundoff.symbol

REFIT = Loop(Temperature(T))
"""A generation is θ → θ/T."""
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
