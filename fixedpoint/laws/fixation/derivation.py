r"""Fixation: refits to n own samples lose one outcome after another, until a last one is left.

An outcome that was not drawn is lost for ever. Seen backwards, the n samples of a generation have
ever fewer ancestors in the generations before: that says which outcomes are left, and when one is.
"""

import math
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import mpmath
import sympy as sp
from mpmath.libmp import from_str
from sympy.functions.combinatorial.numbers import stirling
from sympy.utilities.lambdify import implemented_function

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import FIXED, LOGITS, LOST, OUTCOME, Step, at, claim, total
from fixedpoint.laws.notation import K, n, t, theta, z
from fixedpoint.symbolic import (
    Fresh,
    Loop,
    NotAfter,
    TopK,
    Vector,
    at_numbers,
    elementary,
    generator,
    mean,
    mean_after,
    num_surviving,
    probability,
    shares,
    unit_step,
    vanishes_towards,
    written_out,
)

j: Any = sp.Symbol("j", integer=True, positive=True)
k: Any = sp.Symbol("k", integer=True)
i = OUTCOME

REFIT = Loop(corpus=Fresh(n))
DERIVED = "derived here"
WRIGHT_FISHER = "known: Fisher 1930, Wright 1931 (neutral Wright–Fisher model, haploid)"


DIFFUSION: Any = -2 * n * total((1 - probability(i)) * sp.log(1 - probability(i)), i)
"""The time until one outcome is left, to the leading order."""
ENTROPY: Any = -2 * n * total(probability(i) * sp.log(probability(i)), i)
"""2nS: the same for two outcomes, not for more."""


def refit(num_samples: int) -> Loop:
    """The loop with a number of samples in place of n."""
    return symbolic.given(REFIT, {n: sp.Integer(num_samples)})


def alive_part(p: Vector) -> list[Any]:
    """The outcomes of a model that are not lost: the others count for nothing, as 0 log 0 = 0."""
    return [x for x in p if x != 0]


def numbers(p: Vector) -> list[Any]:
    """The logits of a model of numbers, with the digits of an evaluation; −∞ for a lost outcome."""
    return [sp.log(x).evalf(80) if x else float("-inf") for x in p]


HALF, THIRD = sp.Rational(1, 2), sp.Rational(1, 3)
MODELS = [
    [sp.Rational(7, 10), sp.Rational(3, 10)],
    [sp.Rational(1, 2), sp.Rational(3, 10), sp.Rational(1, 5)],
]
"""Asymmetric models of two and of three outcomes, where formulas without symbols are compared."""
FOUR = [sp.Rational(x, 20) for x in (3, 8, 2, 7)]
"""One of four."""


@claim(
    "In the end one outcome is left, and outcome i with its initial probability, whatever "
    "the number of samples.",
    probability(),
    lhs=r"{\mathbb{P}(p_\infty=e_i)}",
    of=(notation.logits(-5, 5),),
    loop=REFIT,
    given={"num_samples": n},
    source=WRIGHT_FISHER + "; for refits of exponential families Jangjoo, di Sarra, Marsili, "
    "Roudi, Phys. Rev. Lett. 136, 197301 (2026)",
    cites=("fisher1930", "wright1931", "jangjoo2026"),
    near_misses={
        "the squared probabilities": sp.exp(2 * theta[i]) / total(sp.exp(2 * theta[j]), j),
        "every outcome alike": 1 / K + 0 * theta[i],
        "the square roots": sp.exp(theta[i] / 2) / total(sp.exp(theta[j] / 2), j),
    },
    edges=[
        at(LOST),
        at(FIXED, gives=[0.0, 1.0]),
        at([2.0], gives=[1.0]),
        at([0.5] * 4, gives=[0.25] * 4),
    ],
)
def fixation_probability(answer: Any) -> list[Step]:
    """Its mean is kept, it is 0 or 1 at the ends, and each generation may be the last one."""
    steps = []
    for size in (2, 3):
        p = shares(size)
        ends = [dict(zip(p[:-1], one, strict=False)) for one in sp.eye(size).tolist()]
        claimed = [sp.cancel(x) for x in written_out(answer, p)]
        kept = [
            mean(REFIT, p, lambda q, a=a: written_out(answer, q)[a]) - x
            for a, x in enumerate(claimed)
        ]
        fixed = [
            x.subs(end) - int(a == b) for a, x in enumerate(claimed) for b, end in enumerate(ends)
        ]
        sizes = {"K": size}
        steps += [
            Step("where one outcome is left it is 1 for that outcome", fixed, sizes=sizes),
            Step("a generation of the loop keeps its mean", kept, sizes=sizes),
        ]
    return steps


# Exact where `digits` is None, in rationals, else to the working precision.


@lru_cache(maxsize=64)
def occupations(boxes: int, digits: int | None) -> list[list[Any]]:
    """Chances that k balls thrown into n boxes occupy j of them, k up to n."""
    one = sp.Integer(1) if digits is None else mpmath.mpf(1)
    chances = [[one]]
    for k in range(boxes):
        last, below = [*chances[-1], 0 * one], [0 * one, *chances[-1]]
        chances.append([(last[a] * a + below[a] * (boxes - a + 1)) / boxes for a in range(k + 2)])
    return chances


@lru_cache(maxsize=256)
def ancestors(samples: int, generations: int, digits: int | None) -> list[Any]:
    """The law of A_s on 0, …, n."""
    chances = occupations(samples, digits)
    law = [chances[0][0] * (a == samples) for a in range(samples + 1)]
    if generations == 0:
        return law
    for earlier in range(generations):  # one by one, so that no recursion is deep
        law = ancestors(samples, earlier, digits)
    return [
        sum(law[k] * chances[k][a] for k in range(max(a, 1), samples + 1))
        for a in range(samples + 1)
    ]


@lru_cache(maxsize=64)
def ancestral_times(samples: int, digits: int | None) -> list[Any]:
    """Mean number of generations with k ancestors, k = 0, …, n (those with one do not count)."""
    chances = occupations(samples, digits)
    times = [chances[0][0] * (a == samples) for a in range(samples + 1)]
    for k in range(samples, 1, -1):
        times[k] /= 1 - chances[k][k]
        for a in range(k):
            times[a] += times[k] * chances[k][a]
    return times


def digits_of(x: Any) -> int | None:
    """With how many digits to compute for a number; None for a symbol of SymPy."""
    return None if isinstance(x, sp.Basic) else mpmath.mp.dps


def ancestral_power(x: Any, samples: Any, generations: Any) -> Any:
    """E x^{A_s}; at s = −1 there are infinitely many."""
    if generations < 0:
        return mpmath.mpf(x == 1)
    law = ancestors(int(samples), int(generations), digits_of(x))
    return sum(weight * x**a for a, weight in enumerate(law) if a > 0)


def mean_ancestors(samples: Any, generations: Any) -> Any:
    """E A_s."""
    law = ancestors(int(samples), int(generations), mpmath.mp.dps)
    return mpmath.fsum(weight * a for a, weight in enumerate(law))


def ancestral_time(x: Any, samples: Any) -> Any:
    """w(x) = x + Σ_s (x − E x^{A_s}), and 0 for x = 1: an outcome's share of the fixation time."""
    if x == 1:
        return 0 * x
    times = ancestral_times(int(samples), digits_of(x))
    return x + sum(times[k] * (x - x**k) for k in range(2, int(samples) + 1))


G = implemented_function("G", ancestral_power)
EA = implemented_function("a", mean_ancestors)
w = implemented_function("w", ancestral_time)


@cache
def dual_steps() -> list[Step]:
    """The mean of a power of p' is the mean of a power of p with random exponent."""
    p = shares(2)
    gaps = [
        mean(REFIT, p, lambda q, m=power: q[0] ** m)
        - sum(
            stirling(power, a, kind=2) * sp.ff(n, a) / n**power * p[0] ** a
            for a in range(1, power + 1)
        )
        for power in (1, 2, 3, 4)
    ]
    return [
        Step(
            "duality: E p'^k = Σ_j P(k balls occupy j of n boxes) p^j, with Stirling's number "
            "for the chance, S₂(k, j) (n)_j/n^k, any n  (k = 1, …, 4)",
            gaps,
            reduce=lambda part: sp.cancel(sp.expand_func(part)),
        )
    ]


@claim(
    "The mean time until one outcome is left is a sum over the outcomes, w(p) = p + "
    "Σ_s (p − E p^{A_s}); A_s is the number of ancestors of n samples, s generations back.",
    total(w(probability(i), n), i),
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(2, 40),
    ),
    loop=REFIT,
    assumes="The initial model is generation 0.",
    source=DERIVED + "; the duality is classical (Kingman 1982; Möhle 1999)",
    cites=("kingman1982", "mohle1999"),
    near_misses={
        "the first draw not counted": total(w(probability(i), n), i) - 1,
        "diffusion": DIFFUSION,
        "twice the entropy times n": ENTROPY,
        "one sample more": total(w(probability(i), n + 1), i),
        "diploid": 2 * total(w(probability(i), n), i),
    },
    edges=[
        at(LOGITS, 1, gives=1.0),
        at(LOST, 7),
        at(FIXED, 7, gives=0.0),
        at([0.5], 7, gives=0.0),
        at([0.0] * 4, 120),
        at([40.0, 0.0], 12),
    ],
)
def fixation_time(answer: Any) -> list[Step]:
    """The shares w solve the equation of the mean time, outcome by outcome."""

    def time(p: Vector, size: int) -> Any:
        """The answer, with w in exact rationals."""
        claimed = written_out(answer.subs(n, size), alive_part(p))
        return sp.sympify(claimed).replace(w, ancestral_time)

    steps = [
        Step(
            "it is 1 more than its mean after a generation, and 0 where one outcome is left",
            [
                time(p, size) - 1 - mean(refit(size), p, lambda q, m=size: time(q, m)),
                time([sp.Integer(1)], size),
            ],
            reduce=sp.expand,
            sizes={"K": len(p), "n": size},
        )
        for p, size in (*((shares(2), m) for m in (1, 2, 3, 4)), (shares(3), 2))
    ]
    return [*steps, *dual_steps()]


@claim(
    "For many samples the mean time until one outcome is left is "
    "−2n Σ (1 − p) log(1 − p) generations: 2n at most.",
    DIFFUSION,
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    kind="asymptotic",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    loop=REFIT,
    assumes="n → ∞ at fixed probabilities.",
    source="known: Kimura and Ohta, Genetics 61:763 (1969), for two alleles; Ewens 2004",
    cites=("kimura1969", "ewens2004"),
    near_misses={
        "diploid": 2 * DIFFUSION,
        "twice the entropy times n": ENTROPY,
        "2n, whatever the model": 2 * n + 0 * theta[1],
    },
    edges=[
        at([0.0] * 2_000, 10**6),
        at(LOST, 100),
        at(FIXED, 100, gives=0.0),
        at([40.0, 0.0], 100),
    ],
)
def fixation_time_diffusion(answer: Any) -> list[Step]:
    """The generator of the diffusion takes it to −1 a generation, and it vanishes at the ends."""
    steps = [
        Step(
            "n E[u(p') − u(p)] = −n to the leading order",
            generator(REFIT, lambda q: written_out(answer, q), shares(size), n) + n,
            reduce=elementary,
            sizes={"K": size},
        )
        for size in (2, 3)
    ]
    p = shares(2)
    ends = [
        Step(
            f"it is 0 at p = {end}",
            written_out(answer, p),
            reduce=vanishes_towards(p[0], end, side),
            sizes={"K": 2},
        )
        for end, side in ((0, "+"), (1, "-"))
    ]
    return [*steps, *ends, *ancestral_series()]


@cache
def ancestral_series() -> list[Step]:
    """The same time from the ancestors."""
    x = sp.Symbol("x", positive=True)
    closed = x + (1 - x) * sp.log(1 - x)
    return [
        Step(
            "the same from the ancestors, of which k are left for 2n/(k(k−1)) generations: "
            "Σ_k x^k/(k(k−1)) = x + (1−x) log(1−x)  (to order 12)",
            [
                sp.series(closed, x, 0, 12).removeO().coeff(x, a) - sp.Rational(1, a * (a - 1))
                for a in range(2, 12)
            ],
        ),
    ]


@cache
def few_copies_steps() -> list[Step]:
    """Few copies beside many: Σ_m (1 − s_m^k) generations, s_m the chance of a loss by m."""
    copies, s, e, start = sp.symbols("k s epsilon A", positive=True)
    height = 2 / e + sp.log(e) / 3
    rise = sp.log((1 - sp.exp(-e)) / e) / 3 + 2 / (1 - sp.exp(-e)) - 2 / e - 1
    some: Any = sp.summation((copies * s) ** j / sp.factorial(j), (j, 1, sp.oo))
    tail = 2 * (sp.exp(-copies * e) / e - copies * sp.expint(1, copies * e))
    tail -= sp.expint(1, copies * e) / 3
    small = sp.log(copies * e) + sp.EulerGamma
    inner = sp.Rational(3, 2) + height - start - (2 / e + 2 * copies * (small - 1) + small / 3)
    harmonic = -2 * copies * (sp.log(e) + sp.EulerGamma - 1)
    constant = start + sp.EulerGamma / 3 - sp.Rational(3, 2)
    few = few_copies(copies, constant)
    return [
        Step(
            "k copies beside many have Poisson(k) copies: s_{m+1} = e^{s_m − 1}, so that s_{m+1} = "
            "e^{−ε_m} with ε_0 = 1, ε_{m+1} = 1 − e^{−ε_m}",
            (1 + some) * sp.exp(-copies) - sp.exp(copies * (s - 1)),
        ),
        Step(
            "Φ(ε) = 2/ε + log(ε)/3 + O(ε) grows by 1 a generation: Φ(ε_m) = m + A",
            sp.series(rise, e, 0, 2).removeO(),
        ),
        Step(
            "Σ_m (1 − s_m^k) = 1 + 1/2 + ∫ (1 − e^{−kε}) |dΦ| (Euler and Maclaurin); "
            "∫_δ^∞ e^{−kε} |dΦ| = 2 (e^{−kδ}/δ − k E₁(kδ)) − E₁(kδ)/3, E₁(x) → −log x − γ",
            [
                sp.diff(tail, e) - sp.exp(-copies * e) * sp.diff(height, e),
                sp.limit(sp.expint(1, e) + sp.log(e) + sp.EulerGamma, e, 0, "+"),
            ],
        ),
        Step(
            "from δ on that is −2k log k − log(k)/3 − (A + γ/3 − 3/2), and a multiple of k",
            inner - few - harmonic,
            reduce=lambda part: sp.expand(sp.expand_log(part, force=True)),
        ),
    ]


def few_copies(copies: Any, constant: Any) -> Any:
    """The mean time until a few copies beside many are lost, up to a multiple of their number."""
    return -2 * copies * sp.log(copies) - sp.log(copies) / 3 - constant


class FixationConstant(sp.NumberSymbol):
    """c = A + γ/3 − 3/2 = 0.72170…, with A = lim [2/ε_m + log(ε_m)/3 − m], ε_0 = 1.

    ε_{m+1} = 1 − e^{−ε_m}: the chance that a rare outcome's descendants are alive, m generations
    later. Its digits were computed from 3,000 generations and the next 25 orders of the limit.
    """

    is_real, is_positive = True, True

    def _latex(self, printer: Any) -> str:
        return "c"

    def _sympystr(self, printer: Any) -> str:
        return "c"

    def _as_mpf_val(self, prec: int) -> Any:
        return from_str(FIXATION_DIGITS, prec)

    def _mpmathcode(self, printer: Any) -> str:
        return f"mpf('{FIXATION_DIGITS}')"


FIXATION_DIGITS = "0.721702436051880385793831255982626652475180996625856730256844738117"
CONSTANT: Any = FixationConstant()


S: Any = symbolic.entropy(symbolic.pair(z))
"""The entropy of two outcomes."""


def expansion(third: Any, constant: Any) -> Any:
    """2nS − third · [log(npq) + S] − constant."""
    odds = -sp.log((1 + sp.exp(-z)) * (1 + sp.exp(z)))
    return 2 * n * S - third * (sp.log(n) + odds + S) - constant


@claim(
    "For two outcomes the diffusion's time 2nS is too long by a third of log(npq) + S, and "
    "by a constant, c = 0.7217024.",
    expansion(sp.Rational(1, 3), CONSTANT),
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    kind="asymptotic",
    of=(
        notation.gap(-4, 4),
        notation.num_samples(100, 10**6),
    ),
    loop=REFIT,
    assumes="K = 2; formal expansion for n → ∞, np and nq large, matched to few copies.",
    near_misses={
        "the diffusion alone": 2 * n * S,
        "half of log n": expansion(sp.Rational(1, 2), CONSTANT),
        "without the constant": expansion(sp.Rational(1, 3), 0),
        "the constant added": expansion(sp.Rational(1, 3), -CONSTANT),
    },
    edges=[
        at(0.0, 1000),
    ],
)
def fixation_time_expansion(answer: Any) -> list[Step]:
    """Two orders of the equation of the mean time, and what they meet at a loss."""
    p = shares(2)
    time = answer.subs(z, sp.log(p[0]) - sp.log(p[1]))
    time = time.replace(sp.log, lambda x: sp.log(sp.cancel(x)))
    change = sp.Integer(1)
    for power in (2, 3, 4):  # the fifth and the sixth moment are of the order n⁻³
        central = mean(REFIT, p, lambda q, m=power: (q[0] - p[0]) ** m)
        change += sp.expand(central) * sp.diff(time, p[0], power) / sp.factorial(power)
    copies = sp.Symbol("k", positive=True)
    among = answer.subs(z, sp.log(copies) - sp.log(n - copies))
    gap = among - few_copies(copies, CONSTANT) - 2 * copies * (sp.log(n) + 1)
    return [
        Step(
            "E[u(p') − u(p)] = −1 to the orders n⁰ and n⁻¹",
            n * change,
            reduce=vanishes_towards(n, sp.oo),
        ),
        Step(
            "at p = k/n it is the time of few copies beside many, c = A + γ/3 − 3/2",
            sp.expand_log(gap, force=True),
            reduce=vanishes_towards(n, sp.oo),
        ),
        *few_copies_steps(),
    ]


def alive(power: Callable[[Any], Any]) -> Any:
    """Σ_i (1 − power(1 − p_i))."""
    return total(1 - power(1 - probability(i)), i)


@claim(
    "Outcome i is lost by generation t with the chance E (1 − p_i)^A; A is the number of "
    "distinct ancestors, in generation 1, of the n samples of generation t.",
    alive(lambda x: G(x, n, t - 1)),
    lhs=r"{\mathbb{E}\,\#\{i: p_{t,i}>0\}}",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(1, 30),
        notation.generation(1, 40),
    ),
    loop=REFIT,
    observe="num_surviving",
    assumes="G(x, n, s) = E x^{A_s}.",
    source=DERIVED + "; the duality is classical (Kingman 1982; Möhle 1999)",
    cites=("kingman1982", "mohle1999"),
    near_misses={
        "n ancestors for ever": alive(lambda x: x**n),
        "off by one generation": alive(lambda x: G(x, n, t)),
        "the mean number of ancestors": alive(lambda x: x ** EA(n, t - 1)),
        "every generation a fresh loss": alive(lambda x: 1 - (1 - x**n) ** t),
    },
    edges=[
        at(LOGITS, 6, 0, gives=4.0),
        at(LOST, 6, 0, gives=2.0),
        at(LOST, 6, 3),
        at(LOGITS, 1, 2, gives=1.0),
        at(FIXED, 9, 2, gives=1.0),
        at([0.0] * 4, 90, 5),
        at([0.0] * 300, 20, 3),
    ],
)
def survivors(answer: Any) -> list[Step]:
    """An outcome is absent if none of the n samples' ancestors has it."""

    def number(p: Vector, size: int, last: int) -> Any:
        """The answer, with G in exact rationals."""
        claimed = written_out(answer.subs({n: size, t: last}), alive_part(p))
        return sp.sympify(claimed).replace(G, ancestral_power)

    steps = []
    for p, size in ((shares(2), 2), (shares(2), 3), (shares(3), 2)):
        sizes = {"K": len(p), "n": size}
        drawn = mean(refit(size), p, num_surviving)
        steps.append(
            Step(
                "in generation 1 it is the mean number of outcomes that are drawn",
                number(p, size, 1) - drawn,
                reduce=sp.expand,
                sizes=sizes,
            )
        )
        for last in (1, 2):
            later = mean(refit(size), p, lambda q, a=size, b=last: number(q, a, b))
            steps.append(
                Step(
                    "a generation of the loop leads from t to t + 1",
                    number(p, size, last + 1) - later,
                    reduce=sp.expand,
                    sizes={**sizes, "t": (last, last + 1)},
                )
            )
    return [*steps, *dual_steps()]


alpha, top = notation.exponent.symbol, notation.top_probability.symbol


def mean_field(generations: Any) -> Any:
    """The share a_s of ancestors among many samples: a₀ = 1, a' = 1 − e^{−a}."""
    a = mpmath.mpf(1)
    for _ in range(int(generations)):
        a = -mpmath.expm1(-a)
    return a


a_s = implemented_function("a", mean_field)


def share_of_ancestors(generations: Any) -> Any:
    """The same as a formula."""
    share = sp.Integer(1)
    for _ in range(int(generations)):
        share = 1 - sp.exp(-share)
    return share


def power_law(factor: Any, ancestors_: Any, end: Any) -> Any:
    """Factor · (C · ancestors)^{1/α} + end."""
    return factor * (top * ancestors_) ** (1 / alpha) + end


@claim(
    "If the words have the probabilities C i^{−α}, a number proportional to t^{−1/α} is left "
    "after t generations.",
    power_law(sp.gamma(1 - 1 / alpha), n * a_s(t - 1) + THIRD, -HALF),
    lhs=r"{\mathbb{E}\,\#\{i: p_{t,i}>0\}}",
    kind="asymptotic",
    of=(
        notation.exponent(1.2, 4),
        notation.top_probability(0.1, 0.9),
        notation.num_samples(100, 10**6),
        notation.generation(1, 100),
    ),
    loop=REFIT,
    observe="num_surviving",
    assumes="p_i = C i^{−α}, α > 1; 1 ≪ survivors ≪ outcomes, t ≪ n; a_s ≃ 2/s is "
    "the share of ancestors, a_{s+1} = 1 − e^{−a_s}.",
    near_misses={
        "every ancestor's word": power_law(1, n * a_s(t - 1) + THIRD, -HALF),
        "no ancestry": power_law(sp.gamma(1 - 1 / alpha), n + 0 * t, -HALF),
        "ancestors 1/s": power_law(sp.gamma(1 - 1 / alpha), n * a_s(t - 1) / 2 + THIRD, -HALF),
        "the end of the sum forgotten": power_law(
            sp.gamma(1 - 1 / alpha), n * a_s(t - 1) + THIRD, 0
        ),
    },
    edges=[
        at(2.0, 0.6, 10**6, 2000),
    ],
)
def survivors_power_law(answer: Any) -> list[Step]:
    """The ancestors of many samples, to the order 1/n, and the sum over a power law."""
    u, x = sp.symbols("u x", positive=True)
    by_exponent = sp.integrate(u ** (x - 1) * sp.exp(-u), (u, 0, sp.oo)).subs(x, 1 - 1 / alpha)
    words = []
    for last in (1, 2, 3):
        length = by_exponent * (top * (n * share_of_ancestors(last - 1) + THIRD)) ** (1 / alpha)
        iterated = answer.subs(t, last).replace(a_s, share_of_ancestors)
        # A sum over i = 1, 2, … of what is 1 at i = 0: the integral from 0 on, less one half.
        words.append(iterated - (length - HALF))
    return [
        Step(
            "it is ∫ u^{−1/α} e^{−u} du (mC)^{1/α} for the ancestors m = na + 1/3, less half of "
            "the term at i = 0",
            words,
            sizes={"t": (1, 2, 3)},
        ),
        *ancestor_steps(),
    ]


@cache
def ancestor_steps() -> list[Step]:
    """The ancestors of many samples: their share a, the rest b, the variance v; and the words."""
    a, b, v, u = sp.symbols("a b v u", positive=True)
    kept = sp.log(1 - 1 / n)
    # E(1 − 1/n)^A for A of mean na + b and variance nv.
    empty = sp.exp(kept * (a * n + b) + kept**2 * n * v / 2)
    pairs = n * (1 - 1 / n) ** (a * n) + n * (n - 1) * (1 - 2 / n) ** (a * n)
    noise = pairs - n**2 * (1 - 1 / n) ** (2 * a * n)
    later, small, rest = 1 - sp.exp(-a), a / 3, THIRD
    noise_limit = sp.exp(-a) - (1 + a) * sp.exp(-2 * a)
    variance = noise_limit + sp.exp(-2 * a) * small - small.subs(a, later)
    offset = sp.exp(-a) * (rest + a / 2 - small / 2) - rest
    parts = sp.diff(sp.exp(-u) * u ** (-1 / alpha), u)
    return [
        Step(
            "n boxes, na + b balls of variance nv: a' = 1 − e^{−a}, b' = e^{−a}(b + a/2 − v/2)",
            [
                sp.limit(empty, n, sp.oo) - sp.exp(-a),
                sp.limit(n * (empty * sp.exp(a) - 1), n, sp.oo) + b + a / 2 - v / 2,
            ],
        ),
        Step(
            "… and v' = e^{−a} − (1 + a) e^{−2a} + e^{−2a} v",
            sp.limit(sp.series(noise.subs(n, 1 / u), u, 0, 1).removeO() * u, u, 0) - noise_limit,
        ),
        Step(
            "a ≃ 2/s: 1/a grows by 1/2 a generation",
            sp.limit(1 / later - 1 / a, a, 0) - HALF,
        ),
        Step(
            "v = a/3 and b = 1/3 are at rest, to the leading order in a",
            [sp.series(variance, a, 0, 3).removeO(), sp.series(offset, a, 0, 2).removeO()],
        ),
        Step(
            "∫ (1 − e^{−u}) d(−u^{−1/α}) = ∫ u^{−1/α} e^{−u} du, u = mC i^{−α}, by parts",
            parts + sp.exp(-u) * u ** (-1 / alpha) * (1 + 1 / (alpha * u)),
        ),
    ]


class LineIntegral(sp.Integral):
    """The integral over the line of what falls off like e^−|u|, by trapezia: 17 digits."""

    def _mpmathcode(self, printer: Any) -> str:
        limits: Any = self.limits[0]
        variable, function = printer._print(limits[0]), printer._print(self.function)
        return f"(fsum((lambda {variable}: {function})(mpf(m)/4) for m in range(-180, 340))/4)"


u = sp.Symbol("u", real=True)
Q = implemented_function("Q", lambda x: -mpmath.expm1(-x))


@claim(
    "The mean time until the first outcome is lost is ∫ ∏ (1 − e^{−2np_i/t}) dt: as if the "
    "outcomes were lost independently.",
    2
    * n
    * LineIntegral(
        sp.exp(-u) * sp.Product(Q(probability(i) * sp.exp(u)), (i, 1, K)), (u, -sp.oo, sp.oo)
    ),
    lhs=r"{\mathbb{E}\,T_{\text{first loss}}}",
    kind="asymptotic",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    loop=REFIT,
    assumes="Exact for the diffusion, n → ∞; u = log(2n/t) and Q(x) = 1 − e^{−x}.",
    source="known as a sum over all subsets (Littler, Math. Biosci. 25:151, 1975); the integral "
    "is derived here",
    cites=("littler1975",),
    near_misses={
        "until one is left": DIFFUSION,
        "twice the entropy times n": ENTROPY,
        "n p_i generations": n
        * LineIntegral(
            sp.exp(-u) * sp.Product(Q(probability(i) * sp.exp(u)), (i, 1, K)),
            (u, -sp.oo, sp.oo),
        ),
    },
    edges=[
        at([0.0, 0.0], 1, gives=2 * math.log(2)),
        at(FIXED, 100, gives=float("inf")),
        at([0.5], 100, gives=float("inf")),
        at([40.0, 0.0, 0.0], 100),
    ],
)
def first_extinction(answer: Any) -> list[Step]:
    """The integral solves the equation of the diffusion's mean time, under the sign of integral."""
    (integral,) = answer.atoms(LineIntegral)
    s, later = sp.symbols("s t", positive=True)
    plain = (answer / integral * integral.function).replace(Q, lambda x: 1 - sp.exp(-x))
    steps = []
    for size in (2, 3):
        p = shares(size)

        def integrand(q: Vector) -> Any:
            """What the answer integrates over s = e^u."""
            return sp.simplify(written_out(plain.subs(u, sp.log(s)) / s, q))

        integrated = 0
        for term in sp.Add.make_args(sp.expand(generator(REFIT, integrand, p, n))):
            factor, decay = term.as_independent(s)
            integrated -= factor / sp.diff(sp.log(decay), s)  # ∫ e^{−as} ds = 1/a
        at_time = integrand(p).subs(s, 2 * n / later) * 2 * n / later**2
        listed = sp.prod(1 - sp.exp(-2 * n * x / later) for x in p)
        steps += [
            Step(
                "with s = 2n/t it is ∫ ∏ (1 − e^{−2np_i/t}) dt", at_time - listed, sizes={"K": size}
            ),
            Step("at a loss it is 0", integrand(p).subs(p[0], 0), sizes={"K": size}),
            Step(
                "n E[u(p') − u(p)] = −n to the leading order",
                integrated + n,
                reduce=lambda part: sp.cancel(sp.powsimp(sp.expand_log(part, force=True))),
                sizes={"K": size},
            ),
        ]
    return steps


num_kept: Any = notation.kept.symbol
TRUNCATED = Loop(TopK(num_kept), Fresh(n))
l = sp.Symbol("l", integer=True, positive=True)  # noqa: E741


def is_kept(index: Any, number: Any = num_kept) -> Any:
    """1 if an outcome is one of the k most probable."""
    return unit_step(number + HALF - total(NotAfter(theta, l, index), l))


def kept_probability(number: Any = num_kept) -> Any:
    """The probability of outcome i after keeping the k most probable ones."""
    whole = total(is_kept(j, number) * sp.exp(theta[j]), j)
    return is_kept(i, number) * sp.exp(theta[i]) / whole


def truncated(power: Callable[[Any], Any], number: Any = num_kept) -> Any:
    """Σ_i (1 − power(1 − p_i)) over the truncated model."""
    return total(1 - power(1 - kept_probability(number)), i)


@claim(
    "Keeping the k most probable outcomes acts in the first generation alone: the "
    "survivors are those of the truncated model.",
    truncated(lambda x: G(x, n, t - 1)),
    lhs=r"{\mathbb{E}\,\#\{i: p_{t,i}>0\}}",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(1, 20),
        notation.generation(1, 20),
        notation.kept(1, 6),
    ),
    loop=TRUNCATED,
    observe="num_surviving",
    assumes="t ≥ 1; H is the unit step.",
    near_misses={
        "no truncation": alive(lambda x: G(x, n, t - 1)) + 0 * num_kept,
        "at most k": sp.Min(num_kept, alive(lambda x: G(x, n, t - 1))),
        "one outcome more": truncated(lambda x: G(x, n, t - 1), num_kept + 1),
        "off by one generation": truncated(lambda x: G(x, n, t)),
    },
    edges=[
        at(LOGITS, 6, 0, 2, gives=4.0),
        at(LOGITS, 6, 3, 9),
        at([0.5] * 4, 6, 3, 2),
        at(LOST, 6, 3, 3),
        at(LOGITS, 6, 3, 1, gives=1.0),
    ],
)
def truncation(answer: Any) -> list[Step]:
    """Truncation acts once: after it no more than k outcomes are alive, and all are kept."""
    counted = []
    for p, kept in (*((p, k) for p in MODELS for k in (1, 2)), (FOUR, 2), (FOUR, 3)):
        for size, last in ((2, 1), (3, 1), (3, 2), (2, 3)):
            loop = symbolic.given(TRUNCATED, {n: size, num_kept: kept})
            point = {theta: numbers(p), n: size, t: last, num_kept: kept}
            counted.append((point, mean_after(loop, tuple(p), num_surviving, last)))
    what = "it is the mean over all histories of the truncated loop"
    return [
        at_numbers(answer, counted, what, K=(2, 3, 4), k=(1, 2, 3), n=(2, 3), t=(1, 2, 3)),
        *dual_steps(),
    ]
