"""Verifier: refits to samples of which the wrong ones pass less often.

Proofs in SymPy.
"""

from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import Step, at, claim
from fixedpoint.laws.notation import n
from fixedpoint.symbolic import Curated, Fresh, Loop

share: Any = notation.probability.symbol
r: Any = notation.ratio.symbol
right: Any = notation.num_right.symbol
mark, order, strength = sp.symbols("s h sigma", positive=True)

VERIFIED = Loop(corpus=Curated((r, 1), Fresh(n)))
"""Own samples of two answers, the first of them right, until n are accepted."""


def accepted(p: Any = share, ratio: Any = r) -> Any:
    """The chance r p/(1 − p + r p)."""
    return ratio * p / (1 - p + ratio * p)


def of_right(p: Any, quantity: Any) -> Any:
    """The mean of a quantity of the share of right samples, one generation after p."""
    return symbolic.mean(VERIFIED, [p, 1 - p], lambda x: quantity(x[0]))


@claim(
    "The number of right ones among n accepted samples is binomial, at r times the model's "
    "odds: a verifier adds ln r to the logit.",
    accepted(),
    lhs="v",
    of=(
        notation.probability(0, 1),
        notation.ratio(0.01, 100),
    ),
    loop=VERIFIED,
    given={"num_samples": n},
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
def verifier(answer: Any) -> list[Step]:
    """Bayes's rule, the geometric series of the rejected candidates, and the loop's moments."""
    true, false = sp.symbols("TPR FPR", positive=True)
    taken = true * share + false * (1 - share)
    # The first accepted sample is right: Σ_k (1 − taken)^k · TPR p, a geometric series.
    first = true * share / (1 - (1 - taken))
    odds = answer / (1 - answer)
    generating = of_right(share, lambda x: sp.exp(mark * n * x))
    return [
        Step("an accepted sample is right with chance v", first - answer.subs(r, true / false)),
        Step("its odds are r times the model's", odds - r * share / (1 - share)),
        Step(
            "of the n samples of a generation Binomial(n, v) are right: E e^{sN} is that of "
            "independent draws",
            generating - (1 + answer * (sp.exp(mark) - 1)) ** n,
            reduce=_by_bases,
        ),
    ]


def _by_bases(expression: Any) -> Any:
    """Bring the bases of n-th powers to one form, so that equal powers cancel."""
    return expression.replace(
        lambda part: part.is_Pow and part.exp == n, lambda part: sp.factor(part.base) ** n
    )


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
    loop=VERIFIED,
    assumes="n → ∞ at fixed n ln r.",
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
def lock_in_weak(answer: Any) -> list[Step]:
    """Kimura's equation, with the drift and the noise of the loop at r = e^{σ/n}."""
    scaled = {r: sp.exp(strength * order), n: 1 / order}
    moments = [of_right(share, lambda x, power=power: (x - share) ** power) for power in (1, 2)]
    drift, noise = (
        sp.limit(sp.factor(moment.subs(scaled)) / order, order, 0) for moment in moments
    )
    lost = answer.subs(r, sp.exp(strength / n))
    equation = drift * sp.diff(lost, share) + noise * sp.diff(lost, share, 2) / 2
    return [
        Step(
            "without right samples they are lost, with nothing else they never are",
            [lost.subs(share, 0) - 1, lost.subs(share, 1)],
        ),
        Step(
            "drift and noise of a generation leave the chance to lose them as it is, "
            "n → ∞ at fixed σ = n ln r",
            equation,
        ),
    ]


def extinction(ratio: Any = r) -> Any:
    """1 − ρ = −W₀(−r e^{−r})/r."""
    return -sp.LambertW(-ratio * sp.exp(-ratio)) / ratio


def _without_lambert(expression: Any) -> Any:
    """Put −w for W(−r e^{−r}), with log w = w + log r − r, which is its equation."""
    w = sp.Symbol("w", positive=True)
    plain = expression.subs(sp.LambertW(-r * sp.exp(-r)), -w)
    return sp.expand(sp.expand_log(plain).subs(sp.log(w), w + sp.log(r) - r))


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
    loop=VERIFIED,
    given={"num_samples": n},
    assumes="n → ∞ at fixed r > 1 and k.",
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
def lock_in_strong(answer: Any) -> list[Step]:
    """The offspring of one right sample, and the smallest fixed point of its law."""
    # E e^{−sN} = base^n after k right ones among n = 1/h samples.
    base, _ = of_right(right / n, lambda x: sp.exp(-mark * n * x)).as_base_exp()
    growth = sp.limit(sp.log(sp.factor(base.subs(n, 1 / order))) / order, order, 0)
    single = answer.subs(right, 1)
    harmonic = sp.log(single) - growth.subs({sp.exp(mark): 1 / single, right: 1})
    at_two = sp.N(single.subs(r, 2), 50)
    return [
        Step("with no right sample at the start they have died out", answer.subs(right, 0) - 1),
        Step(
            "k families die out independently",
            sp.powsimp(answer.subs(right, right + 1) - answer * single),
        ),
        Step(
            "for n → ∞ the right samples multiply like a branching process with Poisson(r) "
            "offspring: E u^N' → e^{−rk(1−u)}",
            growth + r * right * (1 - sp.exp(-mark)),
        ),
        Step(
            "its generation leaves the chance to die out as it is: ln u = −r (1 − u)",
            harmonic,
            reduce=_without_lambert,
        ),
        Step(
            "the answer is the root below 1; for r > 1 the two roots are never equal (at r = 2)",
            sp.Integer(0) if at_two < 1 else at_two,
        ),
    ]
