r"""Resampling: each generation is refitted to n of its own samples, drawn at a temperature.

The counts of generation t + 1 are multinomial, N' ~ Multinomial(n, p_T) with p_T ∝ p^{1/T}, and
the next model is p' = N'/n. At T = 1 this is the haploid Wright–Fisher model of population
genetics; its words (heterozygosity, fixation) are used here. An outcome that was not drawn is lost
for ever.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, cast

import mpmath
import sympy as sp
from mpmath.libmp import from_str
from sympy.functions.combinatorial.numbers import stirling
from sympy.utilities.lambdify import implemented_function

from fixedpoint.laws import notation
from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Step, at, claim, total

theta: Any = sp.IndexedBase("theta", real=True)
z = sp.Symbol("z", real=True)
n, t, k = sp.symbols("n t k", integer=True, positive=True)
j = sp.Symbol("j", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES

FULL_REFIT = "T = 1; every generation is the maximum-likelihood refit to n fresh own samples."
DERIVED = "derived here"
WRIGHT_FISHER = "known: Fisher 1930, Wright 1931 (neutral Wright–Fisher model, haploid)"
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
LOST = [0.7, float("-inf"), -0.3]
"""A model that has lost an outcome."""
LOST_ENTROPY = math.log1p(math.exp(-1)) + 1 / (1 + math.e)
"""Its entropy: two outcomes, one logit apart."""
FIXED = [float("-inf"), 0.3]
"""A model with one outcome left."""


# --- The definitions: one generation --------------------------------------------------------------


def shares(num_outcomes: int) -> list[Any]:
    """Probabilities p₁, …, p_K with the last one eliminated: they add up to 1 identically."""
    free = list(sp.symbols(f"p1:{num_outcomes}", positive=True))
    return [*free, 1 - sum(free)]


def corpora(num_outcomes: int, num_samples: int) -> list[tuple[int, ...]]:
    """All counts (N₁, …, N_K) of n samples."""
    ranges = itertools.product(range(num_samples + 1), repeat=num_outcomes - 1)
    return [(*c, num_samples - sum(c)) for c in ranges if sum(c) <= num_samples]


def chance(counts: Sequence[int], p: Sequence[Any]) -> Any:
    """Multinomial probability of the counts of samples drawn from p (0⁰ = 1)."""
    ways = sp.factorial(sum(counts)) / sp.prod(map(sp.factorial, counts))
    return ways * sp.prod(x**c for x, c in zip(p, counts, strict=True))


def mean(p: Sequence[Any], num_samples: int, quantity: Callable[[tuple[int, ...]], Any]) -> Any:
    """The expectation over one corpus: Σ over all counts of their chance times the quantity."""
    return sum(chance(c, p) * quantity(c) for c in corpora(len(p), num_samples))


def moment(p: Sequence[Any], powers: Sequence[int]) -> Any:
    """E ∏ N_i^{a_i} of the counts of n samples, for any n.

    The draws are independent, so that E e^{s·N} = (Σ p_i e^{s_i})^n; moments are its derivatives.
    """
    s = sp.symbols(f"s1:{len(p) + 1}")
    generating = sum(x * sp.exp(v) for x, v in zip(p, s, strict=True)) ** n
    for v, power in zip(s, powers, strict=True):
        generating = sp.diff(generating, v, power) if power else generating
    return sp.simplify(generating.subs(dict.fromkeys(s, 0)))


def states(num_samples: int) -> list[int]:
    """The undecided states of two outcomes: k of n samples, 0 < k < n."""
    return list(range(1, num_samples))


def transitions(num_samples: int, drawn: Callable[[Any], Any] = lambda p: p) -> Any:
    """The chain of two outcomes, (n + 1) × (n + 1): from k samples to k', drawn with chance f(k/n).

    Args:
        num_samples: n.
        drawn: f, what is drawn of the first outcome if the model gives it p.
    """
    size = num_samples
    chances = [sp.sympify(drawn(sp.Rational(k, size))) for k in range(size + 1)]
    return sp.Matrix(
        size + 1,
        size + 1,
        lambda a, b: sp.binomial(size, b) * chances[a] ** b * (1 - chances[a]) ** (size - b),
    )


def probability(index: Any = i) -> Any:
    """The initial probability of an outcome: softmax(θ₀)."""
    return sp.exp(theta[index]) / total(sp.exp(theta[j]), j)


def power_sum(order: int) -> Any:
    """Σ p^m of the initial model."""
    return total(sp.exp(order * theta[j]), j) / total(sp.exp(theta[j]), j) ** order


# --- T = 1: moments, fixation, survivors ----------------------------------------------------------


def gini() -> Any:
    """1 − Σp²."""
    return 1 - power_sum(2)


@claim(
    "The mean of 1 − Σp², the chance that two samples differ, falls by the factor 1 − 1/n "
    "a generation, for every number of outcomes.",
    gini() * (1 - 1 / n) ** t,
    lhs=r"{\mathbb{E}[1-\sum p_t^2]}",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(2, 2000),
        notation.generation.written(t)(0, 3000),
    ),
    assumes=FULL_REFIT,
    source=WRIGHT_FISHER,
    cites=("fisher1930", "wright1931"),
    near_misses={
        "exponential decay": gini() * sp.exp(-t / n),
        "diploid: 2n samples": gini() * (1 - 1 / (2 * n)) ** t,
        "off by one generation": gini() * (1 - 1 / n) ** (t + 1),
        "unbiased variance: n − 1": gini() * (1 - 1 / (n + 1)) ** t,
    },
    edges=[
        at(LOGITS, 1, 1, gives=0.0),
        at(LOGITS, 1, 0),
        at(LOST, 7, 3),
        at(FIXED, 7, 3, gives=0.0),
        at([0.5], 7, 3, gives=0.0),
        at([0.0] * 2_000, 10**9, 10**8),
    ],
)
def heterozygosity() -> list[Step]:
    """Two of the n samples have the same parent with chance 1/n."""
    decay = []
    for p in map(shares, (2, 3, 4)):
        same = sum(moment(p, [2 * int(a == b) for b in range(len(p))]) for a in range(len(p)))
        decay.append((1 - same / n**2) - (1 - 1 / n) * (1 - sum(x**2 for x in p)))
    H, factor = sp.Symbol("H"), 1 - 1 / n
    return [
        Step("E[1 − Σp'²] = (1 − 1/n)(1 − Σp²), any n  (K = 2, 3, 4)", decay),
        Step(
            "so t generations multiply it by (1 − 1/n)^t",
            factor * H * factor**t - H * factor ** (t + 1),
        ),
    ]


@claim(
    "In the end one outcome is left, and outcome i with its initial probability, whatever "
    "the number of samples.",
    probability(),
    lhs=r"{\mathbb{P}(p_\infty=e_i)}",
    of=(notation.logits.called("logits0")(-5, 5),),
    assumes=FULL_REFIT,
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
def fixation_probability() -> list[Step]:
    """The mean is kept, and some generation is the last one with two outcomes."""
    means, reached = [], []
    for p in map(shares, (2, 3, 4)):
        for a in range(len(p)):
            means.append(moment(p, [int(a == b) for b in range(len(p))]) / n - p[a])
    for size in (2, 3, 4, 5):
        inner = transitions(size)[1:size, 1:size]
        hit = transitions(size)[1:size, size]
        chances = (sp.eye(size - 1) - inner).LUsolve(hit)
        reached += [chances[k - 1] - sp.Rational(k, size) for k in states(size)]
    p = shares(2)
    first = mean(p, 5, lambda c: sp.Rational(c[0], 5)) - p[0]
    return [
        Step("E p' = p, any n  (K = 2, 3, 4): no outcome is favoured", means),
        Step(
            "from k of n samples the chain ends on the outcome with chance k/n  (n = 2, …, 5)",
            reached,
        ),
        Step("from any initial model: E[N₁/n] = p₁  (n = 5)", first, reduce=sp.expand),
    ]


def occupation(boxes: Any, balls: int, occupied: int) -> Any:
    """Chance that k balls thrown into n boxes occupy j of them: S₂(k, j) (n)_j / n^k."""
    ways = stirling(balls, occupied, kind=2)
    return ways * sp.ff(boxes, occupied) / boxes**balls


def moment_of_falling(p: Sequence[Any], order: int) -> Any:
    """E N(N − 1)…(N − j + 1) of the first outcome, from its moments, any n."""
    y = sp.Symbol("y")
    powers = sp.Poly(sp.expand(sp.expand_func(sp.ff(y, order))), y).all_coeffs()[::-1]
    return sp.simplify(sp.Add(*(c * moment(p, [a, 0]) for a, c in enumerate(powers))))


order = sp.Symbol("j", integer=True, nonnegative=True)


@claim(
    "The eigenvalues of the chain are n(n − 1)…(n − j + 1)/n^j: 1 for the two ends, "
    "1 − 1/n for the slowest decay.",
    sp.Product(1 - k / n, (k, 0, order - 1)),
    lhs=r"\lambda_j",
    of=(
        notation.num_samples(50, 5000),
        notation.order(0, 50),
    ),
    assumes=FULL_REFIT + " K = 2; for K outcomes the same values, more often.",
    source="known: Feller, Proc. 2nd Berkeley Symp. 227 (1951)",
    cites=("feller1951",),
    near_misses={
        "powers of the slowest": (1 - 1 / n) ** (order * (order - 1) / 2),
        "without replacement: (n)_j/n! ": sp.Product(1 - k / (n + 1), (k, 0, order - 1)),
        "off by one": sp.Product(1 - k / n, (k, 0, order)),
        "coalescent rates": sp.exp(-order * (order - 1) / (2 * n)),
    },
    edges=[
        at(1, 1, gives=1.0),
        at(1, 2, gives=0.0),
        at(5, 9, gives=0.0),
        at(10**9, 2),
        at(300, 300),
    ],
)
def spectrum() -> list[Step]:
    """The chain maps the falling factorial of order j to λ_j times the power of order j."""
    p = shares(2)
    factorials = [
        moment_of_falling(p, order) - sp.ff(n, order) * p[0] ** order for order in (1, 2, 3)
    ]
    x = sp.Symbol("x")
    polynomials = []
    for size in (2, 3, 4, 5):
        values = sp.prod(
            x - sp.ff(size, order) / sp.Integer(size) ** order for order in range(size + 1)
        )
        polynomials.append(transitions(size).charpoly(x).as_expr() - values)
    return [
        Step(
            "E (N')_j = (n)_j p^j, any n: triangular on 1, p, p², … with (n)_j/n^j on the diagonal "
            " (j = 1, 2, 3)",
            factorials,
        ),
        Step(
            "∏_j (x − λ_j) is the characteristic polynomial  (n = 2, …, 5)",
            polynomials,
            reduce=sp.expand,
        ),
    ]


@lru_cache(maxsize=64)
def occupations(boxes: int, digits: int) -> list[list[Any]]:
    """Chances that k balls occupy j of the boxes, to the working precision, k up to n."""
    chances = [[mpmath.mpf(1)]]
    for k in range(boxes):
        last = [*chances[-1], mpmath.mpf(0)]
        below = [mpmath.mpf(0), *chances[-1]]
        chances.append([(last[a] * a + below[a] * (boxes - a + 1)) / boxes for a in range(k + 2)])
    return chances


@lru_cache(maxsize=256)
def ancestors(samples: int, generations: int, digits: int) -> list[Any]:
    """The law of A_s on 0, …, n, to the working precision."""
    if generations == 0:
        return [mpmath.mpf(a == samples) for a in range(samples + 1)]
    law, chances = ancestors_before(samples, generations, digits), occupations(samples, digits)
    return [
        mpmath.fsum(law[k] * chances[k][a] for k in range(max(a, 1), samples + 1))
        for a in range(samples + 1)
    ]


def ancestors_before(samples: int, generations: int, digits: int) -> list[Any]:
    """The law one generation earlier; asked for step by step, so that no recursion is deep."""
    for earlier in range(generations - 1):
        ancestors(samples, earlier, digits)
    return ancestors(samples, generations - 1, digits)


def ancestral_power(x: Any, samples: Any, generations: Any) -> Any:
    """E x^{A_s}; at s = −1 there are infinitely many."""
    if generations < 0:
        return mpmath.mpf(x == 1)
    law = ancestors(int(samples), int(generations), mpmath.mp.dps)
    return mpmath.fsum(weight * mpmath.mpf(x) ** a for a, weight in enumerate(law) if a > 0)


def mean_ancestors(samples: Any, generations: Any) -> Any:
    """E A_s."""
    law = ancestors(int(samples), int(generations), mpmath.mp.dps)
    return mpmath.fsum(weight * a for a, weight in enumerate(law))


@lru_cache(maxsize=64)
def ancestral_times(samples: int, digits: int) -> list[Any]:
    """Mean number of generations with k ancestors, k = 0, …, n (those with one do not count)."""
    chances = occupations(samples, digits)
    times = [mpmath.mpf(a == samples) for a in range(samples + 1)]
    for k in range(samples, 1, -1):
        times[k] /= 1 - chances[k][k]
        for a in range(k):
            times[a] += times[k] * chances[k][a]
    return times


def ancestral_time(x: Any, samples: Any) -> Any:
    """w(x) = x + Σ_s (x − E x^{A_s}), and 0 for x = 1: an outcome's share of the fixation time."""
    if x == 1:
        return mpmath.mpf(0)
    times = ancestral_times(int(samples), mpmath.mp.dps)
    return x + mpmath.fsum(times[k] * (x - x**k) for k in range(2, int(samples) + 1))


G = implemented_function("G", ancestral_power)
EA = implemented_function("a", mean_ancestors)
w = implemented_function("w", ancestral_time)


def dual_steps() -> list[Step]:
    """The mean of a power of p' is the mean of a power of p with random exponent."""
    p = shares(2)
    every = [
        moment(p, [m, 0]) / n**m - sum(occupation(n, m, a) * p[0] ** a for a in range(1, m + 1))
        for m in (1, 2, 3, 4)
    ]
    counted = [
        mean(p, size, lambda c, m=m, size=size: sp.Rational(c[0], size) ** m)
        - sum(occupation(sp.Integer(size), m, a) * p[0] ** a for a in range(1, m + 1))
        for size, m in ((2, 2), (3, 3), (4, 4), (4, 6))
    ]
    return [
        Step(
            "duality: E p'^k = Σ_j P(k balls occupy j of n boxes) p^j, any n  (k = 1, …, 4)",
            every,
            reduce=lambda e: sp.simplify(sp.expand(sp.expand_func(e))),
        ),
        Step("… and by counting all corpora  (n = 2, 3, 4)", counted, reduce=sp.expand),
    ]


def exact_share(samples: int) -> Callable[[Any], Any]:
    """The share w in exact rationals; the generations with k ancestors are mean numbers."""
    size = sp.Integer(samples)
    times = {k: sp.Integer(k == samples) for k in range(1, samples + 1)}
    for k in range(samples, 1, -1):
        times[k] /= 1 - occupation(size, k, k)
        for a in range(1, k):
            times[a] += times[k] * occupation(size, k, a)
    return lambda x: x + sum(times[k] * (x - x**k) for k in range(2, samples + 1))


@claim(
    "The mean time until one outcome is left is a sum over the outcomes, w(p) = p + "
    "Σ_s (p − E p^{A_s}); A_s is the number of ancestors of n samples, s generations back.",
    total(w(probability(i), n), i),
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(2, 40),
    ),
    assumes=FULL_REFIT + " The initial model is generation 0.",
    source=DERIVED + "; the duality is classical (Kingman 1982; Möhle 1999)",
    cites=("kingman1982", "mohle1999"),
    near_misses={
        "the first draw not counted": total(w(probability(i), n), i) - 1,
        "diffusion": -2 * n * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
        "twice the entropy times n": -2 * n * total(probability(i) * sp.log(probability(i)), i),
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
def fixation_time() -> list[Step]:
    """The shares w solve the equation of the mean time, outcome by outcome."""
    x = shares(2)[0]
    balances, states_by_state, sums = [], [], []
    for size in (1, 2, 3, 4, 5):
        share = exact_share(size)
        after = mean(
            [x, 1 - x], size, lambda c, f=share, m=size: f(sp.Rational(c[0], m)) * int(c[0] < m)
        )
        balances.append(after - (share(x) - x))
    for size in (3, 4, 5):
        inner, share = transitions(size)[1:size, 1:size], exact_share(size)
        times = (sp.eye(size - 1) - inner).LUsolve(sp.ones(size - 1, 1))
        for k in states(size):
            chance_ = sp.Rational(k, size)
            states_by_state.append(times[k - 1] - share(chance_) - share(1 - chance_))
    for p in map(shares, (3,)):
        size = 3
        share = exact_share(size)
        whole = mean(
            p,
            size,
            lambda c, f=share, m=size: sum(f(sp.Rational(a, m)) for a in c) * int(max(c) < m),
        )
        sums.append(whole - (sum(share(v) for v in p) - 1))
    return [
        *dual_steps(),
        Step(
            "P(all samples at t are i) = E p_i^{A_{t−1}}: w(p) = p + E w(p')  (n = 1, …, 5)",
            balances,
            reduce=sp.expand,
        ),
        Step(
            "Σ_i w(p_i) falls by 1 in every undecided generation  (K = 3, n = 3)",
            sums,
            reduce=sp.expand,
        ),
        Step(
            "it solves (I − Q) τ = 1 of the chain of two outcomes  (n = 3, 4, 5)", states_by_state
        ),
    ]


def diffusion_operator(value: Callable[..., Any], p: Sequence[Any]) -> Any:
    """Leading order of n E[f(p') − f(p)]: ½ Σ_ij p_i (δ_ij − p_j) ∂_i ∂_j f, on the free p's."""
    free = p[:-1]
    return sum(a * (int(a == b) - b) * sp.diff(value(*p), a, b) for a in free for b in free) / 2


@claim(
    "For many samples the mean time until one outcome is left is "
    "−2n Σ (1 − p) log(1 − p) generations: 2n at most.",
    -2 * n * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    kind="asymptotic",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    assumes=FULL_REFIT + " n → ∞ at fixed probabilities.",
    source="known: Kimura and Ohta, Genetics 61:763 (1969), for two alleles; Ewens 2004",
    cites=("kimura1969", "ewens2004"),
    near_misses={
        "diploid": -4 * n * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
        "twice the entropy times n": -2 * n * total(probability(i) * sp.log(probability(i)), i),
        "2n, whatever the model": 2 * n + 0 * theta[1],
    },
    edges=[
        at([0.0] * 2_000, 10**6),
        at(LOST, 100),
        at(FIXED, 100, gives=0.0),
        at([40.0, 0.0], 100),
    ],
)
def fixation_time_diffusion() -> list[Step]:
    """The generator of the diffusion takes it to −1, and it vanishes at the ends."""
    gaps = []
    for p in map(shares, (2, 3)):
        time = lambda *x: -2 * sum((1 - v) * sp.log(1 - v) for v in x)  # noqa: E731
        gaps.append(diffusion_operator(time, p) + 1)
    x = sp.Symbol("x", positive=True)
    closed = x + (1 - x) * sp.log(1 - x)
    return [
        Step("½ Σ p_i(δ_ij − p_j) ∂²_ij [−2 Σ (1−p) log(1−p)] = −1  (K = 2, 3)", gaps),
        Step("at the ends it is 0", [sp.limit((1 - x) * sp.log(1 - x), x, e) for e in (0, 1)]),
        Step(
            "the same from the ancestors, of which k are left for 2n/(k(k−1)) generations: "
            "Σ_k x^k/(k(k−1)) = x + (1−x) log(1−x)  (to order 12)",
            [
                sp.series(closed, x, 0, 12).removeO().coeff(x, a) - sp.Rational(1, a * (a - 1))
                for a in range(2, 12)
            ],
        ),
    ]


def _prove_fixation_constant() -> list[Step]:
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
    S = -x * sp.log(x) - (1 - x) * sp.log(1 - x)
    outer = 2 * n * S - (sp.log(n * x * (1 - x)) + S) / 3
    near = -2 * copies * sp.log(copies / n) + 2 * copies - sp.log(copies) / 3
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
            inner - (-2 * copies * sp.log(copies) + harmonic - sp.log(copies) / 3 - constant),
            reduce=lambda part: sp.expand(sp.expand_log(part, force=True)),
        ),
        Step(
            "2nS − [log(npq) + S]/3 at p = k/n is the same but for the constant",
            sp.limit(sp.expand_log(outer.subs(x, copies / n) - near, force=True), n, sp.oo),
        ),
    ]


def mean_power(order: int) -> Any:
    """E (p' − p)^k of the first of two outcomes, any n."""
    p = shares(2)
    powers = [sp.binomial(order, a) * (-p[0]) ** (order - a) for a in range(order + 1)]
    return sum(c * moment(p, [a, 0]) / n**a for a, c in enumerate(powers))


def binary_entropy(logit: Any) -> Any:
    """−p log p − q log q at p = 1/(1 + e^{−z})."""
    p, q = 1 / (1 + sp.exp(-logit)), 1 / (1 + sp.exp(logit))
    return -p * sp.log(p) - q * sp.log(q)


def log_product(logit: Any) -> Any:
    """The logarithm of pq at p = 1/(1 + e^{−z})."""
    return -sp.log((1 + sp.exp(-logit)) * (1 + sp.exp(logit)))


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


def expansion(third: Any, constant: Any) -> Any:
    """2nS − third · [log(npq) + S] − constant."""
    S = binary_entropy(z)
    return 2 * n * S - third * (sp.log(n) + log_product(z) + S) - constant


@claim(
    "For two outcomes the diffusion's time 2nS is too long by a third of log(npq) + S, and "
    "by a constant, c = 0.7217024.",
    expansion(sp.Rational(1, 3), CONSTANT),
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    kind="asymptotic",
    of=(
        notation.gap.called("logit_gap")(-4, 4),
        notation.num_samples(100, 10**6),
    ),
    assumes=FULL_REFIT
    + " K = 2; formal expansion for n → ∞, np and nq large, matched to few copies.",
    near_misses={
        "the diffusion alone": 2 * n * binary_entropy(z),
        "half of log n": expansion(sp.Rational(1, 2), CONSTANT),
        "without the constant": expansion(sp.Rational(1, 3), 0),
        "the constant added": expansion(sp.Rational(1, 3), -CONSTANT),
    },
    edges=[
        at(0.0, 1000),
    ],
)
def fixation_time_expansion() -> list[Step]:
    """The second order of the generator on the diffusion's time, and what it meets at a loss."""
    p = sp.Symbol("p", positive=True)
    q = 1 - p
    x = shares(2)[0]
    central = [sp.expand(mean_power(power)) for power in (2, 3, 4)]
    S = -p * sp.log(p) - q * sp.log(q)
    g = -(sp.log(p * q) + S) / 3
    first = lambda f: p * q / 2 * sp.diff(f, p, 2)  # noqa: E731
    second = lambda f: p * q * (q - p) / 6 * sp.diff(f, p, 3) + p**2 * q**2 / 8 * sp.diff(f, p, 4)  # noqa: E731
    stated = [
        x * (1 - x) / n,
        x * (1 - x) * (1 - 2 * x) / n**2,
        3 * x**2 * (1 - x) ** 2 / n**2 + x * (1 - x) * (1 - 6 * x * (1 - x)) / n**3,
    ]
    return [
        Step(
            "E(p'−p)^k = pq/n, pq(q−p)/n², 3p²q²/n² + O(n⁻³), any n",
            [sp.expand(a - b) for a, b in zip(central, stated, strict=True)],
        ),
        Step("order n⁰: ½ pq (2S)'' = −1", first(2 * S) + 1),
        Step(
            "order n⁻¹: ½ pq g'' + (the next moments on 2S) = 0, g = −[log(pq) + S]/3",
            first(g) + second(2 * S),
        ),
        *_prove_fixation_constant(),
    ]


def prove_survivors() -> list[Step]:
    """An outcome is absent if none of the n samples' ancestors has it."""
    x, size = shares(2)[0], 3
    absent = [(1 - sp.Rational(count, size)) ** size for count in range(size + 1)]
    twice = mean([x, 1 - x], size, lambda c: absent[c[0]])
    dual: Any = sum(
        occupation(sp.Integer(size), size, a) * (1 - x) ** a for a in range(1, size + 1)
    )
    again = mean(
        [x, 1 - x], size, lambda c: dual.subs(x, sp.Rational(c[0], size)) if c[0] else sp.Integer(1)
    )
    law = {a: occupation(sp.Integer(size), size, a) for a in range(1, size + 1)}
    second = {
        b: sum(law[a] * occupation(sp.Integer(size), a, b) for a in law if a >= b) for b in law
    }
    return [
        *dual_steps(),
        Step(
            "P(outcome lost in generation 2) = E(1−p)^{A₁}, by counting  (n = 3)",
            twice - dual,
            reduce=sp.expand,
        ),
        Step(
            "P(outcome lost in generation 3) = E(1−p)^{A₂}, by counting  (n = 3)",
            again - sum(second[b] * (1 - x) ** b for b in second),
            reduce=sp.expand,
        ),
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
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(1, 30),
        notation.generation.written(t)(1, 40),
    ),
    assumes=FULL_REFIT + " G(x, n, s) = E x^{A_s}.",
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
def survivors() -> list[Step]:
    """An outcome is absent if none of the n samples' ancestors has it."""
    return prove_survivors()


alpha, top = sp.symbols("alpha C", positive=True)
THIRD, HALF = sp.Rational(1, 3), sp.Rational(1, 2)


def mean_field(generations: Any) -> Any:
    """The share a_s of ancestors among many samples: a₀ = 1, a' = 1 − e^{−a}."""
    a = mpmath.mpf(1)
    for _ in range(int(generations)):
        a = -mpmath.expm1(-a)
    return a


a_s = implemented_function("a", mean_field)


def power_law(factor: Any, ancestors_: Any, end: Any) -> Any:
    """Factor · (C · ancestors)^{1/α} + end."""
    return factor * (top * ancestors_) ** (1 / alpha) + end


@claim(
    "Of words with probabilities C i^{−α} a number proportional to t^{−1/α} is left after "
    "t generations.",
    power_law(sp.gamma(1 - 1 / alpha), n * a_s(t - 1) + THIRD, -HALF),
    lhs=r"{\mathbb{E}\,\#\{i: p_{t,i}>0\}}",
    kind="asymptotic",
    of=(
        notation.exponent(1.2, 4),
        notation.top_probability(0.1, 0.9),
        notation.num_samples(100, 10**6),
        notation.generation.written(t)(1, 100),
    ),
    assumes=FULL_REFIT + " p_i = C i^{−α}, α > 1; 1 ≪ survivors ≪ outcomes, t ≪ n; a_s ≃ 2/s is "
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
def survivors_power_law() -> list[Step]:
    """The ancestors of many samples, to the order 1/n, and the sum over a power law."""
    a, b, v, u = sp.symbols("a b v u", positive=True)
    kept = sp.log(1 - 1 / n)
    # E(1 − 1/n)^A for A of mean na + b and variance nv.
    empty = sp.exp(kept * (a * n + b) + kept**2 * n * v / 2)
    pairs = n * (1 - 1 / n) ** (a * n) + n * (n - 1) * (1 - 2 / n) ** (a * n)
    noise = pairs - n**2 * (1 - 1 / n) ** (2 * a * n)
    later, small = 1 - sp.exp(-a), a / 3
    noise_limit = sp.exp(-a) - (1 + a) * sp.exp(-2 * a)
    variance = noise_limit + sp.exp(-2 * a) * small - small.subs(a, later)
    offset = sp.exp(-a) * (THIRD + a / 2 - small / 2) - THIRD
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
        Step(
            "∫ u^{−1/α} e^{−u} du = Γ(1 − 1/α)  (α = 3/2, 2, 3)",
            [
                sp.integrate(u ** (-1 / x) * sp.exp(-u), (u, 0, sp.oo)) - sp.gamma(1 - 1 / x)
                for x in (sp.Rational(3, 2), sp.Integer(2), sp.Integer(3))
            ],
        ),
    ]


def presence(p: Sequence[Any]) -> Any:
    """∫₀^∞ s^{−2} ∏_i (1 − e^{−p_i s}) ds as a sum over the subsets: ± |p_A| log |p_A|."""
    value = sp.Integer(0)
    for size in range(1, len(p) + 1):
        for chosen in itertools.combinations(p, size):
            value += (-1) ** size * sum(chosen) * sp.log(sum(chosen))
    return value


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
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    assumes=FULL_REFIT + " Exact for the diffusion, n → ∞; u = log(2n/t) and Q(x) = 1 − e^{−x}.",
    source="known as a sum over all subsets (Littler, Math. Biosci. 25:151, 1975); the integral "
    "is derived here",
    cites=("littler1975",),
    near_misses={
        "until one is left": -2 * n * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
        "twice the entropy times n": -2 * n * total(probability(i) * sp.log(probability(i)), i),
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
def first_extinction() -> list[Step]:
    """The integral solves the equation of the diffusion's mean time."""
    s = sp.Symbol("s", positive=True)
    bends, ends = [], []
    for size in (2, 3):
        p = sp.symbols(f"p1:{size + 1}", positive=True)
        others = sp.expand(sp.prod(1 - sp.exp(-x * s) for x in p[1:]))
        integrand = sp.expand(-sp.exp(-p[0] * s) * others)
        second = sum(sp.integrate(part, (s, 0, sp.oo)) for part in integrand.as_ordered_terms())
        bends.append(second - sp.diff(presence(p), p[0], 2))
        ends.append(sp.limit(presence(p), p[0], 0))
    generator = [
        diffusion_operator(lambda *p: 2 * presence(p), p) + 1 for p in (shares(2), shares(3))
    ]
    return [
        Step(
            "∂²/∂p₁² of ∫ s^{−2} ∏ (1 − e^{−p_i s}) ds is that of Σ_A ± |p_A| log |p_A| (K = 2, 3)",
            bends,
        ),
        Step("both are 0 where p₁ = 0", ends),
        Step("½ Σ p_i(δ_ij − p_j) ∂²_ij of twice the sum is −1  (K = 2, 3)", generator),
        Step("t = 2n/s: 2n s^{−2} ds = −dt", sp.diff(2 * n / s, s) + 2 * n / s**2),
    ]


# --- T = 1: entropy -------------------------------------------------------------------------------


def entropy(p: Sequence[Any]) -> Any:
    """−Σ p log p of numbers or symbols, with 0 log 0 = 0."""
    return -sum(x * sp.log(x) for x in p if x != 0)


def model_entropy() -> Any:
    """−Σ p log p of the initial model."""
    return -total(probability(i) * sp.log(probability(i)), i)


def divergence(q: Sequence[Any], p: Sequence[Any]) -> Any:
    """KL(q‖p), with 0 log 0 = 0."""
    return sum(y * (sp.log(y) - sp.log(x)) for y, x in zip(q, p, strict=True) if y != 0)


def log_free(expression: Any) -> Any:
    """Expand with each logarithm of a symbol as a symbol of its own; numbers' ones in primes."""
    expression = sp.expand_log(sp.expand(expression), force=True)
    logarithms = {x: sp.Dummy() for x in expression.atoms(sp.log)}
    return sp.expand(expression.xreplace(logarithms))


@claim(
    "The divergences between successive models add up, in the mean, to the initial "
    "entropy, for every number of samples: each generation pays what it changes.",
    model_entropy(),
    lhs=r"{\sum_{t\ge0}\mathbb{E}\,\mathrm{KL}(p_{t+1}\Vert p_t)}",
    of=(notation.logits.called("logits0")(-4, 4),),
    assumes=FULL_REFIT + " E S(p') = S(p) − E KL(p'‖p) in every generation.",
    source=DERIVED + "; martingale of sufficient statistics: Jangjoo et al., PRL 136, 197301",
    cites=("jangjoo2026",),
    near_misses={
        "twice the entropy": 2 * model_entropy(),
        "the largest entropy": sp.log(K) + 0 * theta[1],
        "the collision entropy": -sp.log(power_sum(2)),
        "the heterozygosity": gini(),
    },
    edges=[
        at(LOST, gives=LOST_ENTROPY),
        at(FIXED, gives=0.0),
        at([0.5] * 4, gives=math.log(4)),
        at([40.0, 0.0]),
    ],
)
def entropy_budget() -> list[Step]:
    """The cross-entropy is linear in p', whose mean is p."""
    gaps, linear = [], []
    for p, size in ((shares(2), 2), (shares(2), 4), (shares(3), 2), (shares(3), 3)):
        refit = lambda c, m=size: [sp.Rational(a, m) for a in c]  # noqa: E731
        left = mean(p, size, lambda c, f=refit: entropy(f(c)))
        paid = mean(p, size, lambda c, f=refit, p=p: divergence(f(c), p))
        gaps.append(left - entropy(p) + paid)
    p = shares(3)
    for a in range(3):
        # −Σ E[p'_i] log p_i with E p' = p, any n.
        linear.append((moment(p, [int(a == b) for b in range(3)]) / n - p[a]) * sp.log(p[a]))
    return [
        Step("E[−Σ p' log p] = S(p), any n: the cross-entropy is linear in p'  (K = 3)", linear),
        Step(
            "S(p') + KL(p'‖p) = −Σ p' log p, so E S(p') = S(p) − E KL(p'‖p)  (K = 2, 3)",
            gaps,
            reduce=log_free,
        ),
        Step("in the end one outcome is left, of entropy 0", entropy([1, 0])),
    ]


def toll(p: Sequence[Any]) -> Any:
    """Leading order of n E[S(p') − S(p)]."""
    return diffusion_operator(lambda *x: entropy(x), p)


def prove_entropy_toll() -> list[Step]:
    """Second order of the entropy: its Hessian is minus the inverse covariance."""
    return [
        Step(
            "½ Σ p_i(δ_ij − p_j) ∂²_ij S = −(K − 1)/2  (K = 2, 3, 4)",
            [toll(p) + sp.Rational(len(p) - 1, 2) for p in map(shares, (2, 3, 4))],
        )
    ]


def num_alive() -> Any:
    """How many outcomes have a positive probability."""
    return total(sp.Piecewise((1, sp.exp(theta[i]) > 0), (0, True)), i)


@claim(
    "A generation of n samples costs d/(2n) nats of entropy; d is the number of live "
    "parameters, one less than the outcomes alive.",
    (num_alive() - 1) / (2 * n),
    lhs=r"{S(p)-\mathbb{E}\,S(p')}",
    kind="asymptotic",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    assumes=FULL_REFIT + " Leading order for n → ∞ at fixed probabilities.",
    source="known: the bias of Miller 1955 and Madow; for its iteration in population genetics "
    "Allelic Entropy and Times until Loss or Fixation, Genes 14:1751 (2023)",
    cites=("allelic2023",),
    near_misses={
        "one more parameter": num_alive() / (2 * n),
        "per sample, not half": (num_alive() - 1) / n,
        "twice: diploid": (num_alive() - 1) / (4 * n),
        "a share of the entropy": model_entropy() / n,
    },
    edges=[
        at(LOST, 4, gives=1 / 8),
        at(FIXED, 4, gives=0.0),
        at([0.0] * 2_000, 10**6),
    ],
)
def entropy_toll() -> list[Step]:
    """Second order of the entropy: its Hessian is minus the inverse covariance."""
    return prove_entropy_toll()


@claim(
    "The number of outcomes alive beyond one, summed over all generations, is 2nS₀ in the "
    "mean: the entropy is used up at 1/(2n) nats per live parameter.",
    2 * n * model_entropy(),
    lhs=r"{\mathbb{E}\sum_{t\ge0}(\#\{i: p_{t,i}>0\}-1)}",
    kind="asymptotic",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    assumes=FULL_REFIT + " Leading order for n → ∞ at fixed probabilities; S₀ in nats.",
    source="known: Allelic Entropy and Times until Loss or Fixation of Neutral Polymorphisms, "
    "Genes 14:1751 (2023)",
    cites=("allelic2023",),
    near_misses={
        "diploid": 4 * n * model_entropy(),
        "entropy in bits": 2 * n * model_entropy() / sp.log(2),
        "the time until one is left": -2
        * n
        * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
    },
    edges=[
        at(LOST, 4, gives=8 * LOST_ENTROPY),
        at(FIXED, 4, gives=0.0),
        at([0.0] * 2_000, 10**6),
    ],
)
def entropy_lifetime() -> list[Step]:
    """The entropy falls by d/(2n) in every generation and ends at 0: so the d's add up to 2nS₀."""
    p = shares(2)
    return [
        *prove_entropy_toll(),
        Step("in the end one outcome is left, of entropy 0", entropy([1, 0])),
        Step(
            "two outcomes have d = 1 until the end: −2n Σ(1−p) log(1−p) is the same",
            2 * entropy(p) + 2 * sum((1 - x) * sp.log(1 - x) for x in p),
        ),
    ]


# --- Truncation -----------------------------------------------------------------------------------


class NotAfter(sp.Function):
    """1 if an outcome does not come after another, by probability and then by index; else 0."""

    def _mpmathcode(self, printer: Any) -> str:
        values, first, second = (printer._print(x) for x in cast(Any, self.args))
        return f"int(({values}[{first}], -{first}) >= ({values}[{second}], -{second}))"

    def _latex(self, printer: Any) -> str:
        first, second = (printer._print(x) for x in cast(Any, self.args)[1:])
        return rf"[{first} \preceq {second}]"


step = implemented_function("H", lambda x: int(x > 0))
num_kept = sp.Symbol("k", integer=True, positive=True)
l = sp.Symbol("l", integer=True, positive=True)  # noqa: E741


def is_kept(index: Any, number: Any = num_kept) -> Any:
    """1 if an outcome is one of the k most probable."""
    return step(number + HALF - total(NotAfter(theta, l, index), l))


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
        notation.logits.called("logits0")(-3, 3),
        notation.num_samples(1, 20),
        notation.generation.written(t)(1, 20),
        notation.kept(1, 6),
    ),
    assumes=FULL_REFIT + " Drawn from the k most probable outcomes; t ≥ 1; H is the unit step.",
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
def truncation() -> list[Step]:
    """Truncation acts once; what follows is a refit of k outcomes."""
    p = sp.symbols("p1:4", positive=True)
    k_top = p[:2]
    kept = [x / sum(k_top) for x in k_top]
    drawn = mean(kept, 3, lambda c: sum(int(a > 0) for a in c))
    formula = sum(1 - (1 - x) ** 3 for x in kept)
    return [
        Step("the k kept outcomes add up to 1  (k = 2)", sum(kept) - 1),
        Step(
            "generation 1: E[#alive] = Σ (1 − (1 − p_i)^n) over the kept ones  (n = 3)",
            drawn - formula,
        ),
        *prove_survivors(),
    ]


# --- A temperature --------------------------------------------------------------------------------

beta, eps, kappa, share, x, y = sp.symbols("beta epsilon kappa x_0 x y", positive=True)
