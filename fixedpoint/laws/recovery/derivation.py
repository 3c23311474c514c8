"""Recovery: what a temperature restores, and how far numbers with finitely many digits go.

Proofs in SymPy.
"""

import math
from collections.abc import Sequence
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import Step, at, claim

theta: Any = sp.IndexedBase("theta", real=True)
T = sp.Symbol("T", positive=True)
n = sp.Symbol("n", integer=True, nonnegative=True)

EXACT_REFIT = "Infinite samples; the learner reaches the minimum; every table of logits is allowed."
"""The three conditions under which a generation is θ → θ/T."""


# --- the definitions -----------------------------------------------------------------------------


def model(num_outcomes: int) -> list[Any]:
    """The logits θ₁, …, θ_K as symbols."""
    return [theta[i] for i in range(1, num_outcomes + 1)]


def softmax(logits: Sequence[Any]) -> list[Any]:
    """Probabilities e^θ / Σ e^θ."""
    partition = sum(sp.exp(x) for x in logits)
    return [sp.exp(x) / partition for x in logits]


def tempered(probabilities: Sequence[Any], temperature: Any) -> list[Any]:
    """What is drawn from: p^{1/T} / Σ p^{1/T}."""
    powers = [p ** (1 / temperature) for p in probabilities]
    return [power / sum(powers) for power in powers]


def expand(expression: Any) -> Any:
    """Split powers of products and logarithms of quotients of positive numbers, then simplify."""
    split = sp.expand_log(sp.powdenest(sp.expand_power_base(expression, force=True), force=True))
    return sp.simplify(sp.expand_log(sp.powsimp(split), force=True))


def _differences(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    return [a - b for a, b in zip(values, others, strict=True)]


# --- the way back --------------------------------------------------------------------------------


@claim(
    "Sampling generation n at temperature T⁻ⁿ restores the initial model.",
    T**-n,
    lhs=r"\tau_n",
    of=(
        notation.temperature(0.4, 2.5),
        notation.generation.written(n)(0, 30),
    ),
    assumes=EXACT_REFIT + " The generation is known to enough digits (recovery.storage_cold, "
    "recovery.storage_hot) and is not uniform.",
    near_misses={
        "the same temperature again": T**n,
        "one generation too many": T ** -(n + 1),
        "only the last generation undone": 1 / T,
        "linear in the generation": 1 + n * (1 / T - 1),
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
def recovery() -> list[Step]:
    """Sample generation n at τ = T⁻ⁿ, from the definition of p_τ."""
    probe = sp.Symbol("tau", positive=True)
    steps = []
    for size in (2, 3):
        generation = softmax([t * T**-n for t in model(size)])
        steps.append(
            Step(
                f"generation n sampled at T⁻ⁿ is the initial model (K = {size})",
                _differences(tempered(generation, T**-n), softmax(model(size))),
                reduce=expand,
            )
        )
    back = tempered(softmax([t * T**-n for t in model(2)]), probe)
    steps.append(
        Step(
            "at τ its log-odds are (θ_i - θ_j) T⁻ⁿ/τ: no other τ restores them",
            sp.log(back[0] / back[1]) - (theta[1] - theta[2]) * T**-n / probe,
            reduce=expand,
        )
    )
    return steps


R, smallest, roundoff, tolerance = sp.symbols("R lambda u d", positive=True)
STORAGE_COLD_RHS = sp.log(smallest / R) / sp.log(1 / T)


@claim(
    "Below T = 1 the initial model survives storage as probabilities until its "
    "rarest outcome underflows.",
    STORAGE_COLD_RHS,
    lhs="n_*",
    kind="asymptotic",
    of=(
        notation.logit_range(1, 20),
        notation.temperature(0.3, 0.97),
        notation.log_smallest(80, 750),
    ),
    assumes=EXACT_REFIT + " T < 1; e^{-λ} is the smallest number that does not round to 0, λ "
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
def storage_cold() -> list[Step]:
    """When the least probability underflows, with T = e^{-r}."""
    rate, B = sp.symbols("r B", positive=True)
    p = softmax([0, -sp.Symbol("a", positive=True) * B, -R * B])
    return [
        Step(
            "the least probability of generation n is e^{-R T⁻ⁿ} times that of the mode (K = 3)",
            sp.log(p[2] / p[0]) + R * B,
            reduce=expand,
        ),
        Step(
            "at the horizon that is the smallest number e^{-λ}",
            (R * sp.exp(rate * n)).subs(n, STORAGE_COLD_RHS.subs(T, sp.exp(-rate))) - smallest,
        ),
    ]


STORAGE_HOT_RHS = sp.log(1 + tolerance * (T - 1) / (T * roundoff)) / sp.log(T)


@claim(
    "Stored as probabilities, the initial model survives at least until the rounding "
    "errors, those of generation k times T^k, add up to the tolerance: soon above T = 1 and "
    "near it, never for T < 1/(1 + u/d).",
    STORAGE_HOT_RHS,
    lhs="n_*",
    kind="bound",
    of=(
        notation.temperature(1.03, 3),
        notation.roundoff(1e-9, 1e-6),
        notation.tolerance.written(tolerance)(0.01, 0.5),
    ),
    assumes=EXACT_REFIT + " T > 1/(1 + u/d), d/u at T = 1; rounding changes each "
    "log-probability by at most the unit roundoff u a generation (to first order, while "
    "probabilities are normal numbers), all other arithmetic is finer; the error is the "
    "largest of the restored logits, up to a common constant.",
    relation=">=",
    near_misses={
        "errors do not add up": sp.log(tolerance / roundoff) / sp.log(T),
        "half the temperature's effect": 2 * STORAGE_HOT_RHS,
        "linear amplification": tolerance / roundoff / T,
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
def storage_hot() -> list[Step]:
    """Rounding errors of the logits, each at most u, added up by the way back, with T = e^r."""
    rate = sp.Symbol("r", real=True, nonzero=True)
    t = sp.Symbol("t", real=True)
    error = roundoff * T * (1 - T**-t) / (T - 1)
    return [
        Step("nothing is lost before the rounding", error.subs(t, 0)),
        Step(
            "one generation divides the error by T and adds u",
            error.subs(t, t + 1) - (error / T + roundoff),
        ),
        Step(
            "the way back multiplies it by Tⁿ, and at the horizon that is the tolerance",
            (error * T**t).subs(T, sp.exp(rate)).subs(t, STORAGE_HOT_RHS.subs(T, sp.exp(rate)))
            - tolerance,
        ),
        Step(
            "for T < 1 it stays below uT/(1 - T): within the tolerance for ever if T < 1/(1 + u/d)",
            [
                (error * T**t) - roundoff * T / (1 - T) * (1 - T**t),
                (roundoff * T / (1 - T)).subs(T, 1 / (1 + roundoff / tolerance)) - tolerance,
            ],
        ),
    ]
