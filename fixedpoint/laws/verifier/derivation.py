"""Verifier: refits to samples of which the wrong ones pass less often.

Proofs in SymPy.
"""

from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import Step, at, claim

n, t, k = sp.symbols("n t k", integer=True, positive=True)


# --- The definitions: one generation --------------------------------------------------------------


def shares(num_outcomes: int) -> list[Any]:
    """Probabilities p₁, …, p_K with the last one eliminated: they add up to 1 identically."""
    free = list(sp.symbols(f"p1:{num_outcomes}", positive=True))
    return [*free, 1 - sum(free)]


# --- A temperature --------------------------------------------------------------------------------

beta, eps, kappa, share, x, y = sp.symbols("beta epsilon kappa x_0 x y", positive=True)


# --- A verifier -----------------------------------------------------------------------------------

r, s = sp.symbols("r s", positive=True)
right = sp.Symbol("k", nonnegative=True)


def accepted(p: Any = share, ratio: Any = r) -> Any:
    """The chance r p/(1 − p + r p)."""
    return ratio * p / (1 - p + ratio * p)


@claim(
    "Of n accepted samples a binomial number is right, whose chance has r times the "
    "model's odds: a verifier adds ln r to the logit.",
    accepted(),
    lhs="v",
    of=(
        notation.probability(0, 1),
        notation.ratio(0.01, 100),
    ),
    assumes="Samples are drawn until n are accepted; r = TPR/FPR.",
    source="elementary (Bayes's rule); with infinitely many samples Feng et al. 2024",
    cites=("feng2024",),
    near_misses={
        "r added to the logit": accepted(ratio=sp.exp(r)),
        "the odds divided": accepted(ratio=1 / r),
        "the probability times r": r * share,
        "weighed by 1 + r": accepted(ratio=1 + r),
    },
    edges=[
        at(0.0, 3.0, gives=0.0),
        at(1.0, 3.0, gives=1.0),
        at(0.2, 1.0, gives=0.2),
    ],
)
def verifier() -> list[Step]:
    """Bayes's rule, and the geometric series of the rejected candidates."""
    p = shares(2)[0]
    true, false = sp.symbols("TPR FPR", positive=True)
    taken = true * p + false * (1 - p)
    # The first accepted sample is right: Σ_k (1 − taken)^k · TPR p, a geometric series.
    first = true * p / (1 - (1 - taken))
    return [
        Step("an accepted sample is right with chance v", first - accepted(p, true / false)),
        Step(
            "its odds are r times the model's: logit v = logit p + ln r",
            accepted(p) / (1 - accepted(p)) - r * p / (1 - p),
        ),
    ]


def kimura(strength: Any) -> Any:
    """(e^{−ap} − e^{−a})/(1 − e^{−a})."""
    return (sp.exp(-strength * share) - sp.exp(-strength)) / (1 - sp.exp(-strength))


@claim(
    "With a weak verifier the chance that the right answer is lost for ever falls by the "
    "factor r² with each right sample.",
    kimura(2 * n * sp.log(r)),
    lhs=r"{\mathbb{P}(\text{wrong for ever})}",
    kind="asymptotic",
    of=(
        notation.probability(0, 1),
        notation.ratio(1.001, 2),
        notation.num_samples(5, 200),
    ),
    assumes="T = 1; n accepted samples a generation; n → ∞ at fixed n ln r.",
    source="known: Kimura, Genetics 47:713 (1962), haploid form, with s = ln r",
    cites=("kimura1962",),
    accuracy=1e-11,
    near_misses={
        "s = r − 1": kimura(2 * n * (r - 1)),
        "diploid": kimura(4 * n * sp.log(r)),
        "half the exponent": kimura(n * sp.log(r)),
        "neutral": 1 - share,
    },
    edges=[
        at(0.0, 1.1, 50, gives=1.0),
        at(1.0, 1.1, 50, gives=0.0),
        at(0.3, 1 + 1e-9, 50),
    ],
)
def lock_in_weak() -> list[Step]:
    """Kimura's equation with s = ln r."""
    p = shares(2)[0]
    strength = 2 * s * n
    lost: Any = (sp.exp(-strength * p) - sp.exp(-strength)) / (1 - sp.exp(-strength))
    drift = sp.diff(accepted(p, sp.exp(s)), s).subs(s, 0)
    equation = sp.diff(lost, p, 2) / (2 * n) + s * sp.diff(lost, p)
    return [
        Step("drift: v − p = s p(1 − p) to first order in s = ln r", drift - p * (1 - p)),
        Step("the chance h to lose it solves h''/(2n) + s h' = 0", equation),
        Step("h(0) = 1, h(1) = 0", [lost.subs(p, 0) - 1, lost.subs(p, 1)]),
    ]


def extinction(ratio: Any = r) -> Any:
    """1 − ρ = −W₀(−r e^{−r})/r."""
    return -sp.LambertW(-ratio * sp.exp(-ratio)) / ratio


@claim(
    "Among many samples k right ones die out with the chance that k families of a "
    "branching process do, more rarely than the weak form says.",
    extinction() ** right,
    lhs=r"{\mathbb{P}(\text{wrong for ever})}",
    kind="asymptotic",
    of=(
        notation.num_right(0, 30),
        notation.ratio(1.05, 8),
    ),
    assumes="T = 1; n accepted samples a generation; n → ∞ at fixed r > 1 and k.",
    source="known: Haldane 1927 (branching process)",
    cites=("haldane1927",),
    accuracy=1e-11,
    near_misses={
        "the weak form": r ** (-2 * right),
        "a birth–death process": r ** (-right),
        "s = r − 1": sp.exp(-2 * (r - 1) * right),
        "one generation": sp.exp(-r * right),
    },
    edges=[
        at(3, 1.0, gives=1.0),
        at(3, 0.5, gives=1.0),
        at(0, 2.0, gives=1.0),
        at(1, 40.0),
    ],
)
def lock_in_strong() -> list[Step]:
    """The offspring of one right sample, and the smallest fixed point of its law."""
    W, order, mark = sp.symbols("W h u", positive=True)
    # E u^N' for N' ~ Binomial(n, v), v = r (k/n)/(1 − k/n + r k/n), at n = 1/h.
    drawn = accepted(right * order)
    growth: Any = sp.limit(sp.log(1 - drawn * (1 - mark)) / order, order, 0)
    lost = -W / r
    return [
        Step(
            "for n → ∞ the right samples multiply like a branching process with Poisson(r) "
            "offspring: E u^N' → e^{−rk(1−u)}",
            growth + r * right * (1 - mark),
        ),
        Step(
            "1 − ρ = −W/r with W e^W = −r e^{−r} solves 1 − ρ = e^{−rρ}",
            (lost - sp.exp(-r) * sp.exp(-W)).subs(sp.exp(-W), W / (-r * sp.exp(-r))),
        ),
    ]
