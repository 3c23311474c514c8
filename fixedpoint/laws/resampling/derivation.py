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

from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Edge, Equation, Step, register, total

theta: Any = sp.IndexedBase("theta", real=True)
T = sp.Symbol("T", positive=True)
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


def tempered(p: Sequence[Any], temperature: Any = T) -> list[Any]:
    """p_T ∝ p^{1/T}: what is drawn at a temperature."""
    powers = [x ** (1 / sp.sympify(temperature)) for x in p]
    return [x / sum(powers) for x in powers]


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


def prove_heterozygosity() -> list[Step]:
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


def gini() -> Any:
    """1 − Σp²."""
    return 1 - power_sum(2)


HETEROZYGOSITY = register(
    Equation(
        label="resampling.heterozygosity",
        kind="exact",
        statement=(
            "The mean of 1 − Σp², the chance that two samples differ, falls by the factor 1 − 1/n "
            "a generation, for every number of outcomes."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}[1-\sum p_t^2]}"),
        rhs=gini() * (1 - 1 / n) ** t,
        symbols={"logits0": theta, "num_samples": n, "generation": t},
        assumes=FULL_REFIT,
        source=WRIGHT_FISHER,
        cites=("fisher1930", "wright1931"),
        near_misses={
            "exponential decay": gini() * sp.exp(-t / n),
            "diploid: 2n samples": gini() * (1 - 1 / (2 * n)) ** t,
            "off by one generation": gini() * (1 - 1 / n) ** (t + 1),
            "unbiased variance: n − 1": gini() * (1 - 1 / (n + 1)) ** t,
        },
        proof=prove_heterozygosity,
        domain={
            "logits0": ("vector", -3, 3),
            "num_samples": ("integer", 2, 2000),
            "generation": ("integer", 0, 3000),
        },
        edges=(
            Edge({"logits0": LOGITS, "num_samples": 1, "generation": 1}, 0.0),
            Edge({"logits0": LOGITS, "num_samples": 1, "generation": 0}),
            Edge({"logits0": LOST, "num_samples": 7, "generation": 3}),
            Edge({"logits0": FIXED, "num_samples": 7, "generation": 3}, 0.0),
            Edge({"logits0": [0.5], "num_samples": 7, "generation": 3}, 0.0),
            Edge({"logits0": [0.0] * 2_000, "num_samples": 10**9, "generation": 10**8}),
        ),
    )
)


def prove_fixation_probability() -> list[Step]:
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


FIXATION_PROBABILITY = register(
    Equation(
        label="resampling.fixation_probability",
        kind="exact",
        statement=(
            "In the end one outcome is left, and outcome i with its initial probability, whatever "
            "the number of samples."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(p_\infty=e_i)}"),
        rhs=probability(),
        symbols={"logits0": theta},
        assumes=FULL_REFIT,
        source=(
            WRIGHT_FISHER + "; for refits of exponential families Jangjoo, di Sarra, Marsili, "
            "Roudi, Phys. Rev. Lett. 136, 197301 (2026)"
        ),
        cites=("fisher1930", "wright1931", "jangjoo2026"),
        near_misses={
            "the squared probabilities": sp.exp(2 * theta[i]) / total(sp.exp(2 * theta[j]), j),
            "every outcome alike": 1 / K + 0 * theta[i],
            "the square roots": sp.exp(theta[i] / 2) / total(sp.exp(theta[j] / 2), j),
        },
        proof=prove_fixation_probability,
        domain={"logits0": ("vector", -5, 5)},
        edges=(
            Edge({"logits0": LOST}),
            Edge({"logits0": FIXED}, [0.0, 1.0]),
            Edge({"logits0": [2.0]}, [1.0]),
            Edge({"logits0": [0.5] * 4}, [0.25] * 4),
        ),
    )
)


def occupation(boxes: Any, balls: int, occupied: int) -> Any:
    """Chance that k balls thrown into n boxes occupy j of them: S₂(k, j) (n)_j / n^k."""
    ways = stirling(balls, occupied, kind=2)
    return ways * sp.ff(boxes, occupied) / boxes**balls


def prove_spectrum() -> list[Step]:
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


def moment_of_falling(p: Sequence[Any], order: int) -> Any:
    """E N(N − 1)…(N − j + 1) of the first outcome, from its moments, any n."""
    y = sp.Symbol("y")
    powers = sp.Poly(sp.expand(sp.expand_func(sp.ff(y, order))), y).all_coeffs()[::-1]
    return sp.simplify(sp.Add(*(c * moment(p, [a, 0]) for a, c in enumerate(powers))))


order = sp.Symbol("j", integer=True, nonnegative=True)

SPECTRUM = register(
    Equation(
        label="resampling.spectrum",
        kind="exact",
        statement=(
            "The eigenvalues of the chain are n(n − 1)…(n − j + 1)/n^j: 1 for the two ends, "
            "1 − 1/n for the slowest decay."
        ),
        lhs=sp.Symbol(r"\lambda_j"),
        rhs=sp.Product(1 - k / n, (k, 0, order - 1)),
        symbols={"num_samples": n, "order": order},
        assumes=FULL_REFIT + " K = 2; for K outcomes the same values, more often.",
        source="known: Feller, Proc. 2nd Berkeley Symp. 227 (1951)",
        cites=("feller1951",),
        near_misses={
            "powers of the slowest": (1 - 1 / n) ** (order * (order - 1) / 2),
            "without replacement: (n)_j/n! ": sp.Product(1 - k / (n + 1), (k, 0, order - 1)),
            "off by one": sp.Product(1 - k / n, (k, 0, order)),
            "coalescent rates": sp.exp(-order * (order - 1) / (2 * n)),
        },
        proof=prove_spectrum,
        domain={"num_samples": ("integer", 50, 5000), "order": ("integer", 0, 50)},
        edges=(
            Edge({"num_samples": 1, "order": 1}, 1.0),
            Edge({"num_samples": 1, "order": 2}, 0.0),
            Edge({"num_samples": 5, "order": 9}, 0.0),
            Edge({"num_samples": 10**9, "order": 2}),
            Edge({"num_samples": 300, "order": 300}),
        ),
    )
)


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


def prove_fixation_time() -> list[Step]:
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


def exact_share(samples: int) -> Callable[[Any], Any]:
    """The share w in exact rationals; the generations with k ancestors are mean numbers."""
    size = sp.Integer(samples)
    times = {k: sp.Integer(k == samples) for k in range(1, samples + 1)}
    for k in range(samples, 1, -1):
        times[k] /= 1 - occupation(size, k, k)
        for a in range(1, k):
            times[a] += times[k] * occupation(size, k, a)
    return lambda x: x + sum(times[k] * (x - x**k) for k in range(2, samples + 1))


FIXATION_TIME = register(
    Equation(
        label="resampling.fixation_time",
        kind="exact",
        statement=(
            "The mean time until one outcome is left is a sum over the outcomes, w(p) = p + "
            "Σ_s (p − E p^{A_s}); A_s is the number of ancestors of n samples, s generations back."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,T_{\mathrm{fix}}}"),
        rhs=total(w(probability(i), n), i),
        symbols={"logits0": theta, "num_samples": n},
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
        proof=prove_fixation_time,
        domain={"logits0": ("vector", -3, 3), "num_samples": ("integer", 2, 40)},
        edges=(
            Edge({"logits0": LOGITS, "num_samples": 1}, 1.0),
            Edge({"logits0": LOST, "num_samples": 7}),
            Edge({"logits0": FIXED, "num_samples": 7}, 0.0),
            Edge({"logits0": [0.5], "num_samples": 7}, 0.0),
            Edge({"logits0": [0.0] * 4, "num_samples": 120}),
            Edge({"logits0": [40.0, 0.0], "num_samples": 12}),
        ),
    )
)


def diffusion_operator(value: Callable[..., Any], p: Sequence[Any]) -> Any:
    """Leading order of n E[f(p') − f(p)]: ½ Σ_ij p_i (δ_ij − p_j) ∂_i ∂_j f, on the free p's."""
    free = p[:-1]
    return sum(a * (int(a == b) - b) * sp.diff(value(*p), a, b) for a in free for b in free) / 2


def prove_fixation_time_diffusion() -> list[Step]:
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


FIXATION_TIME_DIFFUSION = register(
    Equation(
        label="resampling.fixation_time_diffusion",
        kind="asymptotic",
        statement=(
            "For many samples the mean time until one outcome is left is "
            "−2n Σ (1 − p) log(1 − p) generations: 2n at most."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,T_{\mathrm{fix}}}"),
        rhs=-2 * n * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
        symbols={"logits0": theta, "num_samples": n},
        assumes=FULL_REFIT + " n → ∞ at fixed probabilities.",
        source="known: Kimura and Ohta, Genetics 61:763 (1969), for two alleles; Ewens 2004",
        cites=("kimura1969", "ewens2004"),
        near_misses={
            "diploid": -4 * n * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
            "twice the entropy times n": -2 * n * total(probability(i) * sp.log(probability(i)), i),
            "2n, whatever the model": 2 * n + 0 * theta[1],
        },
        proof=prove_fixation_time_diffusion,
        domain={"logits0": ("vector", -3, 3), "num_samples": ("integer", 1, 10**6)},
        edges=(
            Edge({"logits0": [0.0] * 2_000, "num_samples": 10**6}),
            Edge({"logits0": LOST, "num_samples": 100}),
            Edge({"logits0": FIXED, "num_samples": 100}, 0.0),
            Edge({"logits0": [40.0, 0.0], "num_samples": 100}),
        ),
    )
)


def prove_fixation_time_expansion() -> list[Step]:
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


FIXATION_TIME_EXPANSION = register(
    Equation(
        label="resampling.fixation_time_expansion",
        kind="asymptotic",
        statement=(
            "For two outcomes the diffusion's time 2nS is too long by a third of log(npq) + S, and "
            "by a constant, c = 0.7217024."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,T_{\mathrm{fix}}}"),
        rhs=expansion(sp.Rational(1, 3), CONSTANT),
        symbols={"logit_gap": z, "num_samples": n},
        assumes=FULL_REFIT
        + " K = 2; formal expansion for n → ∞, np and nq large, matched to few copies.",
        source=DERIVED,
        near_misses={
            "the diffusion alone": 2 * n * binary_entropy(z),
            "half of log n": expansion(sp.Rational(1, 2), CONSTANT),
            "without the constant": expansion(sp.Rational(1, 3), 0),
            "the constant added": expansion(sp.Rational(1, 3), -CONSTANT),
        },
        proof=prove_fixation_time_expansion,
        domain={"logit_gap": ("real", -4, 4), "num_samples": ("integer", 100, 10**6)},
        edges=(Edge({"logit_gap": 0.0, "num_samples": 1000}),),
    )
)


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


SURVIVORS = register(
    Equation(
        label="resampling.survivors",
        kind="exact",
        statement=(
            "Outcome i is lost by generation t with the chance E (1 − p_i)^A; A is the number of "
            "distinct ancestors, in generation 1, of the n samples of generation t."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,\#\{i: p_{t,i}>0\}}"),
        rhs=alive(lambda x: G(x, n, t - 1)),
        symbols={"logits0": theta, "num_samples": n, "generation": t},
        assumes=FULL_REFIT + " G(x, n, s) = E x^{A_s}.",
        source=DERIVED + "; the duality is classical (Kingman 1982; Möhle 1999)",
        cites=("kingman1982", "mohle1999"),
        near_misses={
            "n ancestors for ever": alive(lambda x: x**n),
            "off by one generation": alive(lambda x: G(x, n, t)),
            "the mean number of ancestors": alive(lambda x: x ** EA(n, t - 1)),
            "every generation a fresh loss": alive(lambda x: 1 - (1 - x**n) ** t),
        },
        proof=prove_survivors,
        domain={
            "logits0": ("vector", -3, 3),
            "num_samples": ("integer", 1, 30),
            "generation": ("integer", 1, 40),
        },
        edges=(
            Edge({"logits0": LOGITS, "num_samples": 6, "generation": 0}, 4.0),
            Edge({"logits0": LOST, "num_samples": 6, "generation": 0}, 2.0),
            Edge({"logits0": LOST, "num_samples": 6, "generation": 3}),
            Edge({"logits0": LOGITS, "num_samples": 1, "generation": 2}, 1.0),
            Edge({"logits0": FIXED, "num_samples": 9, "generation": 2}, 1.0),
            Edge({"logits0": [0.0] * 4, "num_samples": 90, "generation": 5}),
            Edge({"logits0": [0.0] * 300, "num_samples": 20, "generation": 3}),
        ),
    )
)

alpha, top = sp.symbols("alpha C", positive=True)
THIRD, HALF = sp.Rational(1, 3), sp.Rational(1, 2)


def mean_field(generations: Any) -> Any:
    """The share a_s of ancestors among many samples: a₀ = 1, a' = 1 − e^{−a}."""
    a = mpmath.mpf(1)
    for _ in range(int(generations)):
        a = -mpmath.expm1(-a)
    return a


a_s = implemented_function("a", mean_field)


def prove_survivors_power_law() -> list[Step]:
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


def power_law(factor: Any, ancestors_: Any, end: Any) -> Any:
    """Factor · (C · ancestors)^{1/α} + end."""
    return factor * (top * ancestors_) ** (1 / alpha) + end


SURVIVORS_POWER_LAW = register(
    Equation(
        label="resampling.survivors_power_law",
        kind="asymptotic",
        statement=(
            "Of words with probabilities C i^{−α} a number proportional to t^{−1/α} is left after "
            "t generations."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,\#\{i: p_{t,i}>0\}}"),
        rhs=power_law(sp.gamma(1 - 1 / alpha), n * a_s(t - 1) + THIRD, -HALF),
        symbols={"exponent": alpha, "top_probability": top, "num_samples": n, "generation": t},
        assumes=(
            FULL_REFIT + " p_i = C i^{−α}, α > 1; 1 ≪ survivors ≪ outcomes, t ≪ n; a_s ≃ 2/s is "
            "the share of ancestors, a_{s+1} = 1 − e^{−a_s}."
        ),
        source=DERIVED,
        near_misses={
            "every ancestor's word": power_law(1, n * a_s(t - 1) + THIRD, -HALF),
            "no ancestry": power_law(sp.gamma(1 - 1 / alpha), n + 0 * t, -HALF),
            "ancestors 1/s": power_law(sp.gamma(1 - 1 / alpha), n * a_s(t - 1) / 2 + THIRD, -HALF),
            "the end of the sum forgotten": power_law(
                sp.gamma(1 - 1 / alpha), n * a_s(t - 1) + THIRD, 0
            ),
        },
        proof=prove_survivors_power_law,
        domain={
            "exponent": ("real", 1.2, 4),
            "top_probability": ("real", 0.1, 0.9),
            "num_samples": ("integer", 100, 10**6),
            "generation": ("integer", 1, 100),
        },
        edges=(
            Edge(
                {
                    "exponent": 2.0,
                    "top_probability": 0.6,
                    "num_samples": 10**6,
                    "generation": 2000,
                }
            ),
        ),
    )
)


def presence(p: Sequence[Any]) -> Any:
    """∫₀^∞ s^{−2} ∏_i (1 − e^{−p_i s}) ds as a sum over the subsets: ± |p_A| log |p_A|."""
    value = sp.Integer(0)
    for size in range(1, len(p) + 1):
        for chosen in itertools.combinations(p, size):
            value += (-1) ** size * sum(chosen) * sp.log(sum(chosen))
    return value


def prove_first_extinction() -> list[Step]:
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


class LineIntegral(sp.Integral):
    """The integral over the line of what falls off like e^−|u|, by trapezia: 17 digits."""

    def _mpmathcode(self, printer: Any) -> str:
        limits: Any = self.limits[0]
        variable, function = printer._print(limits[0]), printer._print(self.function)
        return f"(fsum((lambda {variable}: {function})(mpf(m)/4) for m in range(-180, 340))/4)"


u = sp.Symbol("u", real=True)
Q = implemented_function("Q", lambda x: -mpmath.expm1(-x))

FIRST_EXTINCTION = register(
    Equation(
        label="resampling.first_extinction",
        kind="asymptotic",
        statement=(
            "The mean time until the first outcome is lost is ∫ ∏ (1 − e^{−2np_i/t}) dt: as if the "
            "outcomes were lost independently."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,T_{\text{first loss}}}"),
        rhs=2
        * n
        * LineIntegral(
            sp.exp(-u) * sp.Product(Q(probability(i) * sp.exp(u)), (i, 1, K)), (u, -sp.oo, sp.oo)
        ),
        symbols={"logits0": theta, "num_samples": n},
        assumes=(
            FULL_REFIT + " Exact for the diffusion, n → ∞; u = log(2n/t) and Q(x) = 1 − e^{−x}."
        ),
        source=(
            "known as a sum over all subsets (Littler, Math. Biosci. 25:151, 1975); the integral "
            "is derived here"
        ),
        cites=("littler1975",),
        near_misses={
            "until one is left": -2
            * n
            * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
            "twice the entropy times n": -2 * n * total(probability(i) * sp.log(probability(i)), i),
            "n p_i generations": n
            * LineIntegral(
                sp.exp(-u) * sp.Product(Q(probability(i) * sp.exp(u)), (i, 1, K)),
                (u, -sp.oo, sp.oo),
            ),
        },
        proof=prove_first_extinction,
        domain={"logits0": ("vector", -3, 3), "num_samples": ("integer", 1, 10**6)},
        edges=(
            Edge({"logits0": [0.0, 0.0], "num_samples": 1}, 2 * math.log(2)),
            Edge({"logits0": FIXED, "num_samples": 100}, float("inf")),
            Edge({"logits0": [0.5], "num_samples": 100}, float("inf")),
            Edge({"logits0": [40.0, 0.0, 0.0], "num_samples": 100}),
        ),
    )
)


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


def prove_entropy_budget() -> list[Step]:
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


def log_free(expression: Any) -> Any:
    """Expand with each logarithm of a symbol as a symbol of its own; numbers' ones in primes."""
    expression = sp.expand_log(sp.expand(expression), force=True)
    logarithms = {x: sp.Dummy() for x in expression.atoms(sp.log)}
    return sp.expand(expression.xreplace(logarithms))


ENTROPY_BUDGET = register(
    Equation(
        label="resampling.entropy_budget",
        kind="exact",
        statement=(
            "The divergences between successive models add up, in the mean, to the initial "
            "entropy, for every number of samples: each generation pays what it changes."
        ),
        lhs=sp.Symbol(r"{\sum_{t\ge0}\mathbb{E}\,\mathrm{KL}(p_{t+1}\Vert p_t)}"),
        rhs=model_entropy(),
        symbols={"logits0": theta},
        assumes=FULL_REFIT + " E S(p') = S(p) − E KL(p'‖p) in every generation.",
        source=DERIVED + "; martingale of sufficient statistics: Jangjoo et al., PRL 136, 197301",
        cites=("jangjoo2026",),
        near_misses={
            "twice the entropy": 2 * model_entropy(),
            "the largest entropy": sp.log(K) + 0 * theta[1],
            "the collision entropy": -sp.log(power_sum(2)),
            "the heterozygosity": gini(),
        },
        proof=prove_entropy_budget,
        domain={"logits0": ("vector", -4, 4)},
        edges=(
            Edge({"logits0": LOST}, LOST_ENTROPY),
            Edge({"logits0": FIXED}, 0.0),
            Edge({"logits0": [0.5] * 4}, math.log(4)),
            Edge({"logits0": [40.0, 0.0]}),
        ),
    )
)


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


ENTROPY_TOLL = register(
    Equation(
        label="resampling.entropy_toll",
        kind="asymptotic",
        statement=(
            "A generation of n samples costs d/(2n) nats of entropy; d is the number of live "
            "parameters, one less than the outcomes alive."
        ),
        lhs=sp.Symbol(r"{S(p)-\mathbb{E}\,S(p')}"),
        rhs=(num_alive() - 1) / (2 * n),
        symbols={"logits0": theta, "num_samples": n},
        assumes=FULL_REFIT + " Leading order for n → ∞ at fixed probabilities.",
        source=(
            "known: the bias of Miller 1955 and Madow; for its iteration in population genetics "
            "Allelic Entropy and Times until Loss or Fixation, Genes 14:1751 (2023)"
        ),
        cites=("allelic2023",),
        near_misses={
            "one more parameter": num_alive() / (2 * n),
            "per sample, not half": (num_alive() - 1) / n,
            "twice: diploid": (num_alive() - 1) / (4 * n),
            "a share of the entropy": model_entropy() / n,
        },
        proof=prove_entropy_toll,
        domain={"logits0": ("vector", -3, 3), "num_samples": ("integer", 1, 10**6)},
        edges=(
            Edge({"logits0": LOST, "num_samples": 4}, 1 / 8),
            Edge({"logits0": FIXED, "num_samples": 4}, 0.0),
            Edge({"logits0": [0.0] * 2_000, "num_samples": 10**6}),
        ),
    )
)


def prove_entropy_lifetime() -> list[Step]:
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


ENTROPY_LIFETIME = register(
    Equation(
        label="resampling.entropy_lifetime",
        kind="asymptotic",
        statement=(
            "The number of outcomes alive beyond one, summed over all generations, is 2nS₀ in the "
            "mean: the entropy is used up at 1/(2n) nats per live parameter."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\sum_{t\ge0}(\#\{i: p_{t,i}>0\}-1)}"),
        rhs=2 * n * model_entropy(),
        symbols={"logits0": theta, "num_samples": n},
        assumes=FULL_REFIT + " Leading order for n → ∞ at fixed probabilities; S₀ in nats.",
        source=(
            "known: Allelic Entropy and Times until Loss or Fixation of Neutral Polymorphisms, "
            "Genes 14:1751 (2023)"
        ),
        cites=("allelic2023",),
        near_misses={
            "diploid": 4 * n * model_entropy(),
            "entropy in bits": 2 * n * model_entropy() / sp.log(2),
            "the time until one is left": -2
            * n
            * total((1 - probability(i)) * sp.log(1 - probability(i)), i),
        },
        proof=prove_entropy_lifetime,
        domain={"logits0": ("vector", -3, 3), "num_samples": ("integer", 1, 10**6)},
        edges=(
            Edge({"logits0": LOST, "num_samples": 4}, 8 * LOST_ENTROPY),
            Edge({"logits0": FIXED, "num_samples": 4}, 0.0),
            Edge({"logits0": [0.0] * 2_000, "num_samples": 10**6}),
        ),
    )
)


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


def prove_truncation() -> list[Step]:
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


TRUNCATION = register(
    Equation(
        label="resampling.truncation",
        kind="exact",
        statement=(
            "Keeping the k most probable outcomes acts in the first generation alone: the "
            "survivors are those of the truncated model."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,\#\{i: p_{t,i}>0\}}"),
        rhs=truncated(lambda x: G(x, n, t - 1)),
        symbols={"logits0": theta, "num_samples": n, "generation": t, "kept": num_kept},
        assumes=FULL_REFIT + " Drawn from the k most probable outcomes; t ≥ 1; H is the unit step.",
        source=DERIVED,
        near_misses={
            "no truncation": alive(lambda x: G(x, n, t - 1)) + 0 * num_kept,
            "at most k": sp.Min(num_kept, alive(lambda x: G(x, n, t - 1))),
            "one outcome more": truncated(lambda x: G(x, n, t - 1), num_kept + 1),
            "off by one generation": truncated(lambda x: G(x, n, t)),
        },
        proof=prove_truncation,
        domain={
            "logits0": ("vector", -3, 3),
            "num_samples": ("integer", 1, 20),
            "generation": ("integer", 1, 20),
            "kept": ("integer", 1, 6),
        },
        edges=(
            Edge({"logits0": LOGITS, "num_samples": 6, "generation": 0, "kept": 2}, 4.0),
            Edge({"logits0": LOGITS, "num_samples": 6, "generation": 3, "kept": 9}),
            Edge({"logits0": [0.5] * 4, "num_samples": 6, "generation": 3, "kept": 2}),
            Edge({"logits0": LOST, "num_samples": 6, "generation": 3, "kept": 3}),
            Edge({"logits0": LOGITS, "num_samples": 6, "generation": 3, "kept": 1}, 1.0),
        ),
    )
)

nucleus = sp.Symbol("pi", positive=True)


def up_to(index: Any) -> Any:
    """S_i: the probability of an outcome and of all before it."""
    return total(sp.exp(theta[l]) * NotAfter(theta, l, index), l) / total(sp.exp(theta[j]), j)


def prove_nucleus_support() -> list[Step]:
    """A set of the m most probable is left alone exactly if p_m > (1 − π) S_m."""
    p, p_next, S, mass, m = sp.symbols("p p_+ S pi m", positive=True)
    return [
        Step(
            "m outcomes stay iff S_{m−1} < πS_m, which is p_m > (1 − π) S_m",
            (mass * S - (S - p)) - (p - (1 - mass) * S),
            reduce=sp.expand,
        ),
        Step(
            "p_m/S_m falls with m, p_m S_{m+1} − p_{m+1} S_m = (p_m − p_{m+1}) S_m + p_m p_{m+1}: "
            "the condition holds up to one m*, and a cut from m > m* never goes below m*, where "
            "S_{m*−1} < πS_{m*} ≤ πS_m",
            p * (S + p_next) - p_next * S - (p - p_next) * S - p * p_next,
            reduce=sp.expand,
        ),
        Step(
            "p_m ≤ S_m/m: so m* < 1/(1 − π), nearly reached by equal outcomes",
            (S / m - (1 - mass) * S) - S * (1 / m - (1 - mass)),
            reduce=sp.expand,
        ),
    ]


NUCLEUS_SUPPORT = register(
    Equation(
        label="resampling.nucleus_support",
        kind="exact",
        statement=(
            "Nucleus sampling with infinitely many samples cuts, generation by generation, down to "
            "the m* outcomes with p_m > (1 − π)(p_1 + … + p_m), and there it stops."
        ),
        lhs=sp.Symbol(r"{m^*}"),
        rhs=total(step(probability() - (1 - nucleus) * up_to(i)), i),
        symbols={"logits0": theta, "mass": nucleus},
        assumes="Infinite samples; every generation is the exact refit to the nucleus of mass π.",
        source=DERIVED,
        near_misses={
            "1/(1 − π) outcomes": 1 / (1 - nucleus) + 0 * theta[1],
            "the first nucleus": total(step(nucleus - up_to(i) + probability()), i),
            "π instead of 1 − π": total(step(probability() - nucleus * up_to(i)), i),
            "one outcome": 1 + 0 * theta[1] + 0 * nucleus,
        },
        proof=prove_nucleus_support,
        domain={"logits0": ("vector", -3, 3), "mass": ("real", 0.3, 0.99)},
        edges=(
            Edge({"logits0": [0.0] * 40, "mass": 0.905}, 10.0),
            # Nine of ten are 0.9 exactly: the tenth is cut, whatever the rounding.
            Edge({"logits0": [0.0] * 40, "mass": 0.9}, 9.0),
            Edge({"logits0": [0.0, -800.0, -math.inf], "mass": 1.0}, 2.0),
            Edge({"logits0": [-math.log(m) for m in range(1, 10_001)], "mass": 0.9}, 4.0),
            Edge({"logits0": [-math.log(m) for m in range(1, 10_001)], "mass": 0.99}, 25.0),
            Edge({"logits0": [-1.5 * math.log(m) for m in range(1, 50_001)], "mass": 0.95}, 5.0),
            Edge({"logits0": LOST, "mass": 1.0}, 2.0),
            Edge({"logits0": LOGITS, "mass": 0.0}, 1.0),
            Edge({"logits0": FIXED, "mass": 0.5}, 1.0),
        ),
    )
)


def prove_nucleus_boundary() -> list[Step]:
    """The generator of two outcomes between δ and 1 − δ: at p = π = 1 − δ the other one is cut."""
    p, delta = sp.symbols("p delta", positive=True)
    S = lambda x: -x * sp.log(x) - (1 - x) * sp.log(1 - x)  # noqa: E731
    time = 2 * (S(p) - S(delta))
    return [
        Step("½ p(1−p) d²/dp² of 2[S(p) − S(δ)] is −1", p * (1 - p) / 2 * sp.diff(time, p, 2) + 1),
        Step("it is 0 at p = δ and 1 − δ", [time.subs(p, delta), time.subs(p, 1 - delta)]),
    ]


def bounded_time(edge: Any) -> Any:
    """2n [S(p) − S(δ)] at p = 1/(1 + e^{−z})."""
    return 2 * n * (binary_entropy(z) + edge * sp.log(edge) + (1 - edge) * sp.log(1 - edge))


NUCLEUS_BOUNDARY = register(
    Equation(
        label="resampling.nucleus_boundary",
        kind="asymptotic",
        statement=(
            "Nucleus sampling moves the absorbing boundary of two outcomes from 0 to 1 − π: the "
            "mean time is 2n[S(p) − S(1 − π)]."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}\,T_{\mathrm{fix}}}"),
        rhs=bounded_time(1 - nucleus),
        symbols={"logit_gap": z, "mass": nucleus, "num_samples": n},
        assumes=(
            FULL_REFIT.replace("own samples", "samples of its nucleus of mass π")
            + " K = 2, 1 − π < p < π, n(1 − π) ≫ 1; leading order."
        ),
        source=DERIVED,
        near_misses={
            "the boundary not moved": 2 * n * binary_entropy(z) + 0 * nucleus,
            "half of it on each side": bounded_time((1 - nucleus) / 2),
            "diploid": 2 * bounded_time(1 - nucleus),
            "the truncated entropy": 2 * n * nucleus * binary_entropy(z),
        },
        proof=prove_nucleus_boundary,
        domain={
            "logit_gap": ("real", -1, 1),
            "mass": ("real", 0.75, 0.999),
            "num_samples": ("integer", 10, 10**6),
        },
        edges=(Edge({"logit_gap": 0.0, "mass": 1.0, "num_samples": 100}, 200 * math.log(2)),),
    )
)


# --- A temperature --------------------------------------------------------------------------------

beta, eps, kappa, share, x, y = sp.symbols("beta epsilon kappa x_0 x y", positive=True)

TEMPERED = "Every generation is the maximum-likelihood refit to n fresh samples drawn at T; K = 2."
FORMAL = "derived here (formal: large deviations, Freidlin and Wentzell)"


def sigmoid(value: Any) -> Any:
    """The probability of a logit."""
    return 1 / (1 + sp.exp(-value))


def mixing_entropy(p: Any) -> Any:
    """S(p) of two outcomes."""
    return -p * sp.log(p) - (1 - p) * sp.log(1 - p)


def prove_scale_function() -> list[Step]:
    """Drift and noise of one generation at T = 1/(1 + κ/n), and the harmonic function."""
    p = shares(2)[0]
    rate = sp.Symbol("delta", positive=True)
    drawn = tempered(shares(2), 1 / (1 + rate))[0]
    slope = sp.diff(drawn, rate).subs(rate, 0)
    potential = sp.exp(2 * kappa * mixing_entropy(p))
    three = tempered(shares(3), 1 / (1 + rate))
    logs = [sp.log(v) for v in shares(3)]
    mean_log = sum(v * g for v, g in zip(shares(3), logs, strict=True))
    steps = [
        sp.diff(v, rate).subs(rate, 0) - q * (g - mean_log)
        for v, q, g in zip(three, shares(3), logs, strict=True)
    ]
    variance = moment(shares(2), [2, 0]) / n**2 - p**2
    return [
        Step(
            "drift: n E[p' − p] → κ p(1 − p) logit p, as 1/T = 1 + κ/n",
            slope - p * (1 - p) * sp.log(p / (1 - p)),
            reduce=plain,
        ),
        Step("noise: n Var p' = p(1 − p)", n * variance - p * (1 - p)),
        Step(
            "u' = e^{2κS} makes ½ u'' + κ logit(p) u' vanish: no drift of u",
            sp.expand_log(
                sp.diff(potential, p) / potential / 2 + kappa * sp.log(p / (1 - p)), force=True
            ),
        ),
        Step("any K: the drift is p_i (ln p_i − Σ p ln p)  (K = 3)", steps, reduce=plain),
    ]


def plain(expression: Any) -> Any:
    """Reduce with the logarithms as independent symbols: quick, and enough for polynomials."""
    expanded = sp.expand_log(sp.expand_log(expression, force=True).doit(), force=True)
    logarithms = {found: sp.Dummy() for found in expanded.atoms(sp.log)}
    return sp.cancel(sp.together(expanded.xreplace(logarithms)))


def entropic(upper: Any, factor: Any = 2, sign: int = 1) -> Any:
    """∫₀^upper e^{2κS}."""
    exponent = sign * factor * n * (1 / T - 1) * mixing_entropy(y)
    return sp.Integral(sp.exp(exponent), (y, 0, upper))


SCALE_FUNCTION = register(
    Equation(
        label="resampling.scale_function",
        kind="asymptotic",
        statement=(
            "Close to temperature 1 the chance to be the last of two outcomes is an integral over "
            "the exponential of the entropy: the entropy is the potential of the drift."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(p_\infty=e_1)}"),
        rhs=entropic(share) / entropic(1),
        symbols={"probability": share, "temperature": T, "num_samples": n},
        assumes=TEMPERED + " n → ∞ with κ = n(1/T − 1) fixed.",
        source=(
            "an instance of Kimura, Genetics 47:713 (1962); the rule is conformist transmission "
            "(Boyd, Richerson 1985); the form with the entropy: derived here"
        ),
        cites=("kimura1962", "boyd1985"),
        near_misses={
            "half the exponent": entropic(share, 1) / entropic(1, 1),
            "the opposite sign": entropic(share, 2, -1) / entropic(1, 2, -1),
            "diploid: twice the exponent": entropic(share, 4) / entropic(1, 4),
            "neutral": share,
        },
        proof=prove_scale_function,
        edges=(
            Edge({"probability": 0.3, "temperature": 0.5, "num_samples": 2}),
            Edge({"probability": 0.3, "temperature": 2.0, "num_samples": 4}),
            Edge({"probability": 0.7, "temperature": 0.8, "num_samples": 40}),
            Edge({"probability": 0.01, "temperature": 1.02, "num_samples": 200}),
            Edge({"probability": 0.3, "temperature": 0.5, "num_samples": 300}),
            Edge({"probability": 0.0, "temperature": 0.5, "num_samples": 2}, 0.0),
            Edge({"probability": 1.0, "temperature": 0.5, "num_samples": 2}, 1.0),
            Edge({"probability": 0.2, "temperature": 1.0, "num_samples": 50}, 0.2),
        ),
        accuracy=1e-10,
    )
)


def prove_critical_temperature() -> list[Step]:
    """Two changes of the mean entropy of order 1/n."""
    temperature, toll = [], []
    for size in (2, 3):
        p = shares(size)
        logs = [sp.log(v) for v in p]
        S = -sum(v * g for v, g in zip(p, logs, strict=True))
        hot = tempered(p)
        slope = sp.diff(-sum(v * sp.log(v) for v in hot), T).subs(T, 1)
        temperature.append(slope - (sum(v * g**2 for v, g in zip(p, logs, strict=True)) - S**2))
        free = list(p[:-1])
        second = 0
        for a in range(size - 1):
            for b in range(size - 1):
                spread = moment(p, [int(c == a) + int(c == b) for c in range(size)]) / n**2
                second += (spread - p[a] * p[b]) * sp.diff(S, free[a], free[b]) / 2
        toll.append(second + sp.Rational(size - 1, 2) / n)
    hottest = []
    for size, number in ((2, 4), (3, 3)):
        uniform = [sp.Rational(1, size)] * size
        drawn = mean(uniform, number, lambda c, number=number: _entropy_of_counts(c, number))
        hottest.append(drawn - entropy_of_uniform_samples(size, number))
    x, values = sp.Symbol("x", positive=True), sp.symbols("f0:6")
    drawn = sum(f * _binomial(5, c, x) for c, f in enumerate(values))
    bends = [
        20 * (values[c + 2] - 2 * values[c + 1] + values[c]) * _binomial(3, c, x) for c in range(4)
    ]
    return [
        Step(
            "the mean of Σf(p') is Σg(p), and g'' is a mean of f's second differences: with the "
            "entropy's concave f, g is concave, so that the mean rises as T makes p more even "
            "(n = 5)",
            sp.expand(sp.diff(drawn, x, 2) - sum(bends)),
        ),
        Step(
            "at T = ∞ it is log n − E log(1 + X), X ~ Bin(n−1, 1/K): S(p) is reached only if less "
            "than that  (K = 2, n = 4; K = 3, n = 3)",
            hottest,
            reduce=plain,
        ),
        Step("dS(p_T)/dT at T = 1 is Var ln p  (K = 2, 3)", temperature, reduce=plain),
        Step(
            "sampling costs half the trace of S'' times the covariance, which is −d/(2n)  "
            "(K = 2, 3)",
            toll,
        ),
        Step(
            "they cancel where (T − 1) Var ln p = d/(2n)",
            (T - 1) * sp.Symbol("V")
            - (K - 1) / (2 * n)
            - sp.Symbol("V") * (T - (1 + (K - 1) / (2 * n * sp.Symbol("V")))),
        ),
    ]


def _binomial(size: int, count: int, chance: Any) -> Any:
    """The chance of `count` hits in `size` trials."""
    return sp.binomial(size, count) * chance**count * (1 - chance) ** (size - count)


def _entropy_of_counts(counts: Sequence[int], size: int) -> Any:
    """The entropy of a corpus."""
    return sum(-sp.Rational(c, size) * sp.log(sp.Rational(c, size)) for c in counts if c)


def entropy_of_uniform_samples(num_outcomes: int, size: int) -> Any:
    """Mean entropy of n samples of K equal outcomes: log n − E log(1 + X), X ~ Bin(n − 1, 1/K)."""
    chance = sp.Rational(1, num_outcomes)
    hits = (sp.log(1 + c) * _binomial(size - 1, c, chance) for c in range(size))
    return sp.log(size) - sum(hits)


def varentropy() -> Any:
    """Var ln p."""
    square = total(sp.exp(theta[j]) * theta[j] ** 2, j) / total(sp.exp(theta[j]), j)
    first = total(sp.exp(theta[j]) * theta[j], j) / total(sp.exp(theta[j]), j)
    return square - first**2


CRITICAL_TEMPERATURE = register(
    Equation(
        label="resampling.critical_temperature",
        kind="asymptotic",
        statement=(
            "At a state of less entropy than n samples of equal outcomes have on average there is "
            "one temperature at which the mean entropy stands still, above 1 by d/(2n) over the "
            "variance of ln p (at other states it falls at every temperature); it is no transition "
            "of the process."
        ),
        lhs=sp.Symbol("T_c"),
        rhs=1 + (K - 1) / (2 * n * varentropy()),
        symbols={"logits": theta, "num_samples": n},
        assumes=(
            "Refits to n fresh samples at T; leading order in 1/n; d = K − 1, all outcomes alive; "
            "S(p) < log n − E log(1 + X), X ~ Bin(n−1, 1/K). Elsewhere the solution is infinite."
        ),
        source=DERIVED,
        near_misses={
            "twice the toll": 1 + (K - 1) / (n * varentropy()),
            "K instead of K − 1": 1 + K / (2 * n * varentropy()),
            "the second moment of the logits": 1
            + (K - 1)
            * total(sp.exp(theta[j]), j)
            / (2 * n * total(sp.exp(theta[j]) * theta[j] ** 2, j)),
            "below 1": 1 - (K - 1) / (2 * n * varentropy()),
        },
        proof=prove_critical_temperature,
        domain={"logits": ("vector", -3, 3), "num_samples": ("integer", 30, 2000)},
        edges=(
            Edge({"logits": LOGITS, "num_samples": 1}, float("inf")),
            Edge({"logits": LOGITS, "num_samples": 10**9}),
            Edge({"logits": [math.log(0.6), math.log(0.4)], "num_samples": 10}, float("inf")),
            Edge({"logits": [math.log(0.6), math.log(0.4)], "num_samples": 30}),
            Edge({"logits": [0.7, 0.7, 0.7], "num_samples": 9}, float("inf")),
            Edge({"logits": FIXED, "num_samples": 9}, 1.0),
            Edge(
                {"logits": [0.0, float("-inf"), 2.0], "num_samples": 50},
                1 + 1 / (100 * 4 * 0.10499358540350652),
            ),
        ),
        accuracy=1e-11,
    )
)


def least_action(size: Any, temperature: Any, digits: int = 25) -> Any:
    """The action of the cheapest path from K equal outcomes to the loss of one of them.

    The Euler–Lagrange equation (see `prove_metastability`) is followed backwards from the last
    point before the loss. The right last point is the one whose path ends in the fixed point,
    between those whose paths pass it and those that turn round before it.
    """
    if mpmath.isinf(temperature):
        return mpmath.log(mpmath.mpf(size) / (size - 1))

    def retrace(last: Any, context: Any) -> tuple[bool, Any, Any]:
        b, rest = 1 / context.mpf(temperature), -context.log(context.mpf(size) - 1)
        sigma = lambda u: 1 / (1 + context.exp(-u))  # noqa: E731
        free = lambda u: context.log(1 + context.exp(u))  # noqa: E731
        z, x_next = last, context.mpf(0)
        action = free(rest + b * (z - rest))
        while True:
            drawn = rest + b * (z - rest)
            before = z - b * (x_next - sigma(drawn)) * (2 + 2 * context.cosh(z))
            previous, x_next = rest + (before - rest) / b, sigma(z)
            if previous >= rest or previous <= z:
                left = (1 - b**2) * sigma(rest) * sigma(-rest) * (z - rest) ** 2 / 2
                return previous >= rest, action + left, z
            action += x_next * (z - before) + free(before) - free(z)
            z = previous

    quick, exact = mpmath.fp, mpmath.mp
    rest, b = -quick.log(float(size) - 1), 1 / float(temperature)
    ratio = (6 / (1 - b) / b) ** (1 / 100)
    high, low = rest, None
    for power in range(100, -1, -1):
        candidate = rest - b * ratio**power
        if not retrace(candidate, quick)[0]:
            low = candidate
        elif low is not None:
            high = candidate
            break
    with mpmath.workdps(digits + 5):
        high, low = exact.mpf(high), exact.mpf(low)
        for _ in range(int(3.4 * digits)):
            middle = (high + low) / 2
            if retrace(middle, exact)[0]:
                high = middle
            else:
                low = middle
        return retrace(low, exact)[1]


size = sp.Symbol("K_0", positive=True)
c: Any = implemented_function("c", lru_cache(lambda temperature: least_action(2, temperature)))
stair: Any = implemented_function("c_K", lru_cache(least_action))


def prove_metastability() -> list[Step]:
    """The cost of a transition, the cheapest path, and its ends."""
    softplus = lambda u: sp.log(1 + sp.exp(u))  # noqa: E731
    u = sp.symbols("z_1:4", real=True)
    cost = lambda after, before: (  # noqa: E731
        sigmoid(after) * (after - beta * before) + softplus(beta * before) - softplus(after)
    )
    odds = sp.symbols("a b", positive=True)
    p, q = (v / (1 + v) for v in odds)
    coin = p * sp.log(p / q) + (1 - p) * sp.log((1 - p) / (1 - q))
    written = p * sp.log(odds[0] / odds[1]) + sp.log(1 + odds[1]) - sp.log(1 + odds[0])
    force = sp.diff(cost(u[1], u[0]) + cost(u[2], u[1]), u[1])
    claimed = sigmoid(u[1]) * (1 - sigmoid(u[1])) * (u[1] - beta * u[0]) + beta * (
        sigmoid(beta * u[1]) - sigmoid(u[2])
    )
    d, rate = sp.symbols("d lambda", positive=True)
    path = claimed.subs(dict(zip(u, (d, rate * d, rate**2 * d), strict=True)))
    linear = sp.diff(path, d).subs(d, 0)
    step = sp.diff(cost(rate * d, d), d, 2).subs({d: 0, rate: 1 / beta}) / 2
    return [
        Step(
            "a generation from z to x' has the chance e^{−nD}, D(x'‖σ(βz)) = "
            "x'(z' − βz) + A(βz) − A(z'), A(u) = ln(1 + e^u)",
            sp.expand_log(coin - written, force=True),
        ),
        Step(
            "the cheapest path: x(1 − x)(z_t − βz_{t−1}) = β(x_{t+1} − σ(βz_t))",
            force - claimed,
        ),
        Step(
            "near even odds it grows by 1/β = T a generation",
            linear.subs(rate, 1 / beta),
        ),
        Step(
            "and has cost (1 − β²) z²/8 up to z: the sum over the earlier generations",
            step * beta**2 / (1 - beta**2) - (1 - beta**2) / 8,
        ),
        Step(
            "T = ∞: every generation draws at even odds and ends with chance 2·2^{−n}, so that "
            "the mean time is 2^{n−1} and c = ln 2",
            [1 / (2 * sp.Rational(1, 2) ** n) - 2 ** (n - 1), sp.log(2) - softplus(0)],
        ),
    ]


def diffusive() -> Any:
    """The exponent of a diffusion with the same drift and noise: 2∫ (y − x)/(y(1 − y)) dx."""
    # x(1 − x)/(y(1 − y)), written without overflow.
    ratio = sp.exp(-z * (1 - 1 / T)) * ((1 + sp.exp(-z / T)) / (1 + sp.exp(-z))) ** 2
    return sp.Integral(2 * (sigmoid(z) - sigmoid(z / T)) * ratio, (z, 0, sp.oo))


METASTABILITY = register(
    Equation(
        label="resampling.metastability",
        kind="asymptotic",
        statement=(
            "Above temperature 1 two outcomes live side by side for a time that is exponential in "
            "the number of samples, with the least action of a path to the loss as its rate."
        ),
        lhs=sp.Symbol(r"{\lim_{n\to\infty}\frac1n\ln\mathbb{E}[\tau]}"),
        rhs=c(T),
        symbols={"temperature": T},
        assumes=(
            TEMPERED + " T > 1 fixed, n → ∞. A constant prefactor, E[τ] = C(T) e^{cn}, is visible "
            "only for n^{1−1/T} ≫ 1."
        ),
        source=FORMAL,
        cites=("freidlin2012",),
        near_misses={
            "the weak limit": 2 * (1 - 1 / T) * sp.log(2),
            "three terms of the series": (
                2 * (1 - 1 / T) * sp.log(2)
                - (1 - 1 / T) ** 2 * sp.log(2) / 3
                - (1 - 1 / T) ** 3 * (2 * sp.log(2) / 9 + sp.zeta(3) / 12)
            ),
            "every draw at even odds": sp.log(2),
            "the exponent of a diffusion": diffusive(),
        },
        proof=prove_metastability,
        edges=(
            Edge({"temperature": 1.25}),
            Edge({"temperature": 1.5}),
            Edge({"temperature": 2.0}),
            Edge({"temperature": 5.0}),
            Edge({"temperature": 50.0}),
            Edge({"temperature": float("inf")}, math.log(2)),
            Edge({"temperature": 1.0}, 0.0),
            Edge({"temperature": 0.5}, 0.0),
        ),
        accuracy=1e-9,
    )
)


SECOND_ORDER = -sp.log(2) / 3
THIRD_ORDER = -(2 * sp.log(2) / 9 + sp.zeta(3) / 12)

ring, e_, z_, x_ = sp.ring("epsilon z x", sp.QQ)
"""Polynomials in ε, z and x = σ(z), two symbols whose relation is in `along` alone."""


def momenta() -> list[Any]:
    """W₁, W₂, W₃ of the momentum W(z) = z_t − βz_{t−1} along the path, in powers of ε."""
    return [
        2 * z_,
        -z_ + z_**2 * (2 * x_ - 1) / 3,
        z_**2 * (14 * x_**2 * z_ - 14 * x_ * z_ - 18 * x_ + 2 * z_ + 9) / 18,
    ]


def along(polynomial: Any) -> Any:
    """d/dz, where dx/dz = x(1 − x)."""
    return polynomial.diff(z_) + x_ * (1 - x_) * polynomial.diff(x_)


def to_order(polynomial: Any, order: int = 4) -> Any:
    """Without what is beyond an order of ε."""
    return ring.from_dict({key: v for key, v in polynomial.items() if key[0] <= order})


def shifted(polynomial: Any, shift: Any, order: int = 4) -> Any:
    """Taylor's series of a polynomial at z + shift, the shift being of order ε."""
    result, derivative, factor = ring.zero, polynomial, ring.one
    for power in range(order + 1):
        result += to_order(derivative * factor)
        derivative, factor = along(derivative), to_order(factor * shift) / (power + 1)
    return result


def prove_action_series() -> list[Step]:
    """The momentum on the path, order by order, and its integral."""
    W = sum((v * e_ ** (power + 1) for power, v in enumerate(momenta())), ring.zero)
    shift = ring.zero
    for _ in range(4):
        shift = to_order(-e_ * z_ + shifted(W, shift))
    inverse = sum((e_**power for power in range(5)), ring.zero)
    balance = shifted(x_, shift) - shifted(x_, -e_ * z_) - to_order(x_ * (1 - x_) * W * inverse)
    terms = [2 * sp.log(2), SECOND_ORDER, THIRD_ORDER]
    return [
        Step(
            "σ(w) = σ(βz) + σ'(z) W(z)/β at the next point w = βz + W(w), orders ε to ε⁴",
            to_order(balance).as_expr(),
        ),
        Step(
            "c = −∫ W dx from x = 0 to 1/2, order by order",
            [-half_line(v) - term for v, term in zip(momenta(), terms, strict=True)],
            reduce=sp.expand,
        ),
    ]


def half_line(polynomial: Any) -> Any:
    """∫ from x = 0 to 1/2 of a polynomial in z and x = σ(z), by its series in e^z.

    x^j = Σ_m (−1)^{m−j} C(m − 1, j − 1) e^{mz}, and ∫ z^k e^{mz} dz = (−1)^k k!/m^{k+1}.
    The sums over m are alternating; Abel's limit of Σ (−1)^{m−1} m^{−q} is Dirichlet's η(q).
    """
    m = sp.Symbol("m", positive=True)
    result: Any = 0
    for (_, power, order), factor in (polynomial * x_ * (1 - x_)).items():
        ways = sp.Poly(sp.expand(sp.prod((m - g) / g for g in range(1, order))), m)
        for (g,), part in ways.terms():
            alternating = (-1) ** (order - 1) * sp.dirichlet_eta(power + 1 - g)
            result += factor * part * (-1) ** power * sp.factorial(power) * alternating
    return result.doit().rewrite(sp.zeta)


def series(third: Any, second: Any = SECOND_ORDER) -> Any:
    """2ε ln 2 + ε² second + ε³ third, at ε = 1 − 1/T."""
    small = 1 - 1 / T
    return 2 * small * sp.log(2) + small**2 * second + small**3 * third


ACTION_SERIES = register(
    Equation(
        label="resampling.action_series",
        kind="asymptotic",
        statement="The least action near temperature 1, to the third order in 1 − 1/T.",
        lhs=c(T),
        rhs=series(THIRD_ORDER),
        symbols={"temperature": T},
        assumes="T → 1 from above; a formal series (its convergence is not known).",
        source=FORMAL + "; the coefficient with ζ(3) was found numerically, then checked",
        cites=("freidlin2012",),
        near_misses={
            "two terms": series(0),
            "without ζ(3)": series(-2 * sp.log(2) / 9),
            "the second term with the opposite sign": series(THIRD_ORDER, sp.log(2) / 3),
            "twice ζ(3)": series(-2 * sp.log(2) / 9 - sp.zeta(3) / 6),
        },
        proof=prove_action_series,
        domain={"temperature": ("real", 1.0, 2.0)},
        edges=(Edge({"temperature": 1.0}, 0.0),),
    )
)


def prove_staircase() -> list[Step]:
    """One outcome against K − 1 equal ones is a coin with a shifted fixed point."""
    odds = sp.log(x) - sp.log(1 - x)
    drawn = sp.log(x**beta) - sp.log((size - 1) * ((1 - x) / (size - 1)) ** beta)
    rest = -sp.log(size - 1)
    at_rest = 1 + sp.exp(rest) - size / (size - 1)
    p = shares(2)[0]
    weak = sp.Integral(-2 * z * sigmoid(z) * (1 - sigmoid(z)), (z, -sp.oo, 0))
    relative = sp.log(p * (size - 1) / (1 - p))
    antiderivative = p * sp.log(p) + (1 - p) * sp.log(1 - p) + p * sp.log(size - 1)
    return [
        Step(
            "logit y = z* + β(z − z*), z* = −ln(K − 1): the coin of `metastability` with another "
            "fixed point",
            drawn - (rest + beta * (odds - rest)),
            reduce=plain,
        ),
        Step("T = ∞: a jump from 1/K to 0 costs −ln(1 − 1/K) = ln(1 + e^{z*})", at_rest),
        Step(
            "ε → 0: the momentum is 2ε (z − z*), and c/(2ε) = −∫₀^{1/K} (z − z*) dx = "
            "ln(K/(K − 1))",
            [
                sp.diff(antiderivative, p) - sp.expand_log(relative, force=True),
                sp.expand_log(-antiderivative.subs(p, 1 / size), force=True)
                - sp.expand_log(sp.log(size / (size - 1)), force=True),
            ],
            reduce=lambda e: sp.simplify(sp.expand_log(sp.simplify(e), force=True)),
        ),
        Step("which is the first term of the series at K = 2", weak.doit() - 2 * sp.log(2)),
    ]


STAIRCASE = register(
    Equation(
        label="resampling.staircase",
        kind="asymptotic",
        statement=(
            "Above temperature 1 one of K equal outcomes is lost after a time whose exponent falls "
            "with K: each further loss takes exponentially longer than the one before."
        ),
        lhs=sp.Symbol(r"{\lim_{n\to\infty}\frac1n\ln\mathbb{E}[\tau_K]}"),
        rhs=stair(size, T),
        symbols={"num_outcomes": size, "temperature": T},
        assumes=(
            "T > 1 fixed, n → ∞; the path keeps the other outcomes equal, which makes it an upper "
            "bound for K ≥ 3 (the exact chain of K = 3 agrees)."
        ),
        source=FORMAL,
        cites=("freidlin2012",),
        near_misses={
            "the weak limit": 2 * (1 - 1 / T) * sp.log(size / (size - 1)),
            "as if every draw were uniform": sp.log(size / (size - 1)),
            "that of two outcomes": stair(2, T),
            "one more outcome": stair(size + 1, T),
        },
        proof=prove_staircase,
        edges=(
            Edge({"num_outcomes": 2, "temperature": 2.0}),
            Edge({"num_outcomes": 3, "temperature": 2.0}),
            Edge({"num_outcomes": 5, "temperature": 1.5}),
            Edge({"num_outcomes": 100, "temperature": 4.0}),
            Edge({"num_outcomes": 4, "temperature": float("inf")}, math.log(4 / 3)),
            Edge({"num_outcomes": 4, "temperature": 1.0}, 0.0),
        ),
        accuracy=1e-8,
    )
)


def prove_slow_eigenvalue() -> list[Step]:
    """A measure on the logits that one generation multiplies by T, and T = 1 and ∞."""
    k, m = sp.symbols("k m", positive=True)
    # k of n = k + m samples are drawn of the first outcome, y = σ(z/T), dz = T dy/(y(1 − y)).
    ways = sp.gamma(k + m + 1) / sp.gamma(k + 1) / sp.gamma(m + 1)
    kept = T * ways * sp.gamma(k) * sp.gamma(m) / sp.gamma(k + m)
    density = sp.integrate(y**2 * (1 - y) ** 3, (y, 0, 1)) - sp.gamma(3) * sp.gamma(4) / sp.gamma(7)
    spacing = 1 / (k + m) / (k / (k + m) * m / (k + m))
    p = shares(2)
    mixed = 1 - (moment(p, [2, 0]) + moment(p, [0, 2])) / n**2
    return [
        Step(
            "∫ C(n,k) y^k (1−y)^{n−k} dz = T n/(k(n−k)): logits spread evenly, one generation "
            "later  (the Beta integral, at k = 3 of 7)",
            [sp.gammasimp(kept) - T * (k + m) / (k * m), density],
        ),
        Step(
            "and n/(k(n−k)) is dz at the lattice x = k/n: the even spread returns T times itself, "
            "up to the error of a sum for a smooth integral",
            spacing - (k + m) / (k * m),
        ),
        Step(
            "T = 1: E[p'(1−p')] = (1 − 1/n) p(1−p), positive on the undecided states",
            mixed / 2 - (1 - 1 / n) * p[0] * p[1],
        ),
        Step(
            "T = ∞: every generation stays undecided with chance 1 − 2·2^{−n}",
            1 - 2 * sp.Rational(1, 2) ** n - (1 - 2 ** (1 - n)),
        ),
    ]


def eigenvalue(cold: Any = T, neutral: Any = 1 - 1 / n, hot: Any = sp.S.One) -> Any:
    """Below, at and above temperature 1."""
    return sp.Piecewise((cold, T < 1), (neutral, sp.Eq(T, 1)), (hot, True))


SLOW_EIGENVALUE = register(
    Equation(
        label="resampling.slow_eigenvalue",
        kind="asymptotic",
        statement=(
            "The chance that two outcomes are both alive falls by the factor T a generation below "
            "temperature 1, by 1 − 1/n at 1, and exponentially little above it."
        ),
        lhs=sp.Symbol(r"{\lambda_1}"),
        rhs=eigenvalue(),
        symbols={"temperature": T, "num_samples": n},
        assumes=TEMPERED + " Exact at T = 1; n → ∞ at fixed T ≠ 1, exponentially fast.",
        source="T = 1: known (Feller 1951); T ≠ 1: derived here (formal)",
        cites=("feller1951",),
        near_misses={
            "the square below 1": eigenvalue(cold=T**2),
            "with a term in 1/n below 1": eigenvalue(cold=T * (1 - 1 / n)),
            "diploid at 1": eigenvalue(neutral=1 - 1 / (2 * n)),
            "like 1/T above 1": eigenvalue(hot=1 / T),
        },
        proof=prove_slow_eigenvalue,
        domain={"temperature": ("real", 0.1, 5), "num_samples": ("integer", 2, 1000)},
        edges=(
            Edge({"temperature": 1.0, "num_samples": 7}),
            Edge({"temperature": 0.0, "num_samples": 7}, 0.0),
            Edge({"temperature": float("inf"), "num_samples": 7}, 1.0),
        ),
    )
)


# --- Real data and partial refits -----------------------------------------------------------------

a, eta, B, M = sp.symbols("a eta B m", positive=True)
real: Any = sp.IndexedBase(r"{\log q}", real=True)

REFRESHED = "T = 1; full refits. "
ISLAND = "known: Wright 1931 (migration into a finite population)"


def real_share(index: Any = i) -> Any:
    """q_i, the real distribution."""
    return sp.exp(real[index]) / total(sp.exp(real[j]), j)


def real_variance(factor: Any) -> Any:
    """q_i (1 − q_i) times a factor."""
    return real_share() * (1 - real_share()) * factor


def second_moments(num_outcomes: int, balance: Callable[..., Any], factor: Any) -> list[Any]:
    """Residuals of stationarity for E p_i² and E p_i p_j, if Cov(p) = factor · (diag q − qq').

    Args:
        num_outcomes: K.
        balance: (E p_i p_j, q_i, q_j, δ_ij q_i) ↦ the same second moment one generation later.
        factor: the claimed factor.
    """
    q = shares(num_outcomes)
    residuals = []
    for first, second in ((0, 0), (0, 1)):
        same = q[0] if first == second else sp.Integer(0)
        claimed = q[first] * q[second] + factor * (same - q[first] * q[second])
        residuals.append(balance(claimed, q[first], q[second], same) - claimed)
    return residuals


def multinomial_step() -> Step:
    """Second moments of the frequencies of n draws."""
    p = shares(3)
    return Step(
        "frequencies of n draws from r: E p̂_i p̂_j = (1 − 1/n) r_i r_j + δ_ij r_i/n  (K = 3)",
        [
            moment(p, [2, 0, 0]) / n**2 - ((1 - 1 / n) * p[0] ** 2 + p[0] / n),
            moment(p, [1, 1, 0]) / n**2 - (1 - 1 / n) * p[0] * p[1],
        ],
    )


def immigration_factor() -> Any:
    """1/(1 + Θ)."""
    return 1 / (1 + (n - 1) * a * (2 - a))


def prove_immigration() -> list[Step]:
    """The second moments reproduce themselves."""

    def balance(square: Any, first: Any, second: Any, same: Any) -> Any:
        # r = (1 − a) p + a q, with E p = q.
        drawn = (1 - a) ** 2 * square + (1 - (1 - a) ** 2) * first * second
        return (1 - 1 / n) * drawn + same / n

    return [
        multinomial_step(),
        Step(
            "E p = q is kept: (1 − a) q + a q = q",
            (1 - a) * real_share() + a * real_share() - real_share(),
        ),
        Step(
            "variances and covariances (δ_ij q_i − q_i q_j)/(1 + Θ) are kept  (K = 2, 3)",
            [r for size in (2, 3) for r in second_moments(size, balance, immigration_factor())],
        ),
    ]


IMMIGRATION = register(
    Equation(
        label="resampling.immigration",
        kind="exact",
        statement=(
            "If each sample is real with chance a, the model fluctuates about the real "
            "distribution, with a known covariance; shown for the variances."
        ),
        lhs=sp.Symbol(r"{\operatorname{Var} p_i}"),
        rhs=real_variance(immigration_factor()),
        symbols={"logits_real": real, "fraction": a, "num_samples": n},
        assumes=REFRESHED + "Stationary; each of the n samples is real with chance a > 0.",
        source=ISLAND,
        cites=("wright1931", "bakshi2026"),
        near_misses={
            "the diffusion limit": real_variance(1 / (1 + 2 * n * a)),
            "n instead of n − 1": real_variance(1 / (1 + n * a * (2 - a))),
            "2a instead of a(2 − a)": real_variance(1 / (1 + 2 * (n - 1) * a)),
            "one generation of sampling noise": real_variance(1 / n),
        },
        proof=prove_immigration,
        domain={
            "logits_real": ("vector", -3, 3),
            "fraction": ("real", 0, 1),
            "num_samples": ("integer", 1, 2000),
        },
        edges=(
            Edge({"logits_real": LOST, "fraction": 0.1, "num_samples": 7}),
            Edge({"logits_real": FIXED, "fraction": 0.1, "num_samples": 7}, [0.0, 0.0]),
            Edge({"logits_real": LOGITS, "fraction": 1.0, "num_samples": 7}),
            Edge({"logits_real": LOGITS, "fraction": 0.3, "num_samples": 1}),
        ),
    )
)


def pseudo_factor() -> Any:
    """(1 − a)²/(m − (m − 1)(1 − a)²)."""
    return (1 - a) ** 2 / (n - (n - 1) * (1 - a) ** 2)


def prove_immigration_pseudo() -> list[Step]:
    """As before, with the noise in the own part alone."""

    def balance(square: Any, first: Any, second: Any, same: Any) -> Any:
        own = (1 - 1 / n) * square + same / n
        return (1 - a) ** 2 * own + (1 - (1 - a) ** 2) * first * second

    return [
        multinomial_step(),
        Step(
            "p' = (1 − a) p̂ + a q keeps the claimed second moments  (K = 2, 3)",
            [r for size in (2, 3) for r in second_moments(size, balance, pseudo_factor())],
        ),
    ]


IMMIGRATION_PSEUDO = register(
    Equation(
        label="resampling.immigration_pseudo",
        kind="exact",
        statement=(
            "Real data that are added without noise (as pseudo-counts) leave the variance of the "
            "model's own samples alone."
        ),
        lhs=sp.Symbol(r"{\operatorname{Var} p_i}"),
        rhs=real_variance(pseudo_factor()),
        symbols={"logits_real": real, "fraction": a, "num_samples": n},
        assumes=REFRESHED + "Stationary; p' = (1 − a) p̂ + a q with a > 0 and m own samples.",
        source=DERIVED,
        near_misses={
            "as if real samples were drawn": real_variance(immigration_factor()),
            "without the factor (1 − a)²": real_variance(1 / (n - (n - 1) * (1 - a) ** 2)),
            "m instead of m − 1": real_variance((1 - a) ** 2 / (n - n * (1 - a) ** 2)),
        },
        proof=prove_immigration_pseudo,
        domain={
            "logits_real": ("vector", -3, 3),
            "fraction": ("real", 0, 1),
            "num_samples": ("integer", 1, 2000),
        },
        edges=(
            Edge({"logits_real": LOST, "fraction": 0.1, "num_samples": 7}),
            Edge({"logits_real": LOGITS, "fraction": 0.3, "num_samples": 1}),
        ),
        accuracy=1e-11,
    )
)

R = sp.Symbol("k", positive=True)


def stratified_factor() -> Any:
    """1/(1 − a + na(2 − a)) at a = k/n."""
    return 1 / (1 - R / n + R * (2 - R / n))


def prove_immigration_stratified() -> list[Step]:
    """Two independent parts of fixed sizes."""
    own, fraction = n - R, R / n

    def balance(square: Any, first: Any, second: Any, same: Any) -> Any:
        # E[(S + R)_i (S + R)_j]/n² with S ~ Multinomial(n − k, p) and R ~ Multinomial(k, q).
        drawn = own * (own - 1) * square + own * same
        given = R * (R - 1) * first * second + R * same
        return (drawn + given + 2 * own * R * first * second) / n**2

    noise = balance(sp.Symbol("E"), sp.Symbol("q"), sp.Symbol("q"), sp.Symbol("q"))
    direct = (1 - fraction) ** 2 * sp.Symbol("E") + (1 - (1 - fraction) ** 2) * sp.Symbol("q") ** 2
    spread = (1 - fraction) * (sp.Symbol("q") - sp.Symbol("E")) + fraction * (
        sp.Symbol("q") - sp.Symbol("q") ** 2
    )
    return [
        multinomial_step(),
        Step("k real and n − k own samples: their noises add up", noise - direct - spread / n),
        Step(
            "the claimed second moments are kept  (K = 2, 3)",
            [r for size in (2, 3) for r in second_moments(size, balance, stratified_factor())],
        ),
    ]


IMMIGRATION_STRATIFIED = register(
    Equation(
        label="resampling.immigration_stratified",
        kind="exact",
        statement="The variance if exactly k of the n samples are real.",
        lhs=sp.Symbol(r"{\operatorname{Var} p_i}"),
        rhs=real_variance(stratified_factor()),
        symbols={"logits_real": real, "num_real": R, "num_samples": n},
        assumes=REFRESHED + "Stationary; k ≥ 1 real and n − k own samples a generation.",
        source=DERIVED,
        near_misses={
            "as if their number were random": real_variance(immigration_factor().subs(a, R / n)),
            "without 1 − a": real_variance(1 / (R * (2 - R / n))),
            "the diffusion limit": real_variance(1 / (1 + 2 * R)),
        },
        proof=prove_immigration_stratified,
        domain={
            "logits_real": ("vector", -3, 3),
            "num_real": ("integer", 1, 20),
            "num_samples": ("integer", 20, 2000),
        },
        edges=(
            Edge({"logits_real": LOST, "num_real": 2, "num_samples": 7}),
            Edge({"logits_real": LOGITS, "num_real": 7, "num_samples": 7}),
        ),
    )
)


def prove_kept_diversity() -> list[Step]:
    """Summed over the outcomes."""
    steps = []
    for size in (2, 3):
        q = shares(size)
        squares = sum(v**2 + immigration_factor() * v * (1 - v) for v in q)
        whole = 1 - sum(v**2 for v in q)
        Theta = (n - 1) * a * (2 - a)
        steps.append((1 - squares) - whole * Theta / (1 + Theta))
    return [
        *prove_immigration(),
        Step("1 − E Σp² = (1 − Σq²) (1 − 1/(1 + Θ))  (K = 2, 3)", steps),
    ]


KEPT_DIVERSITY = register(
    Equation(
        label="resampling.kept_diversity",
        kind="exact",
        statement=(
            "The share of the real data's diversity that is kept for ever depends on the number of "
            "samples and the fraction of real ones alone."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}[1-\sum p^2]/(1-\sum q^2)}"),
        rhs=1 - immigration_factor(),
        symbols={"fraction": a, "num_samples": n},
        assumes=REFRESHED + "Stationary; each of the n samples is real with chance a.",
        source=ISLAND,
        cites=("wright1931", "bakshi2026"),
        near_misses={
            "the diffusion limit": 2 * n * a / (1 + 2 * n * a),
            "n instead of n − 1": n * a * (2 - a) / (1 + n * a * (2 - a)),
            "diploid": 4 * n * a / (1 + 4 * n * a),
        },
        proof=prove_kept_diversity,
        domain={"fraction": ("real", 0, 1), "num_samples": ("integer", 2, 2000)},
        edges=(
            Edge({"fraction": 0.0, "num_samples": 7}, 0.0),
            Edge({"fraction": 0.5, "num_samples": 1}, 0.0),
            Edge({"fraction": 1e-9, "num_samples": 10**6}),
        ),
    )
)


def prove_one_real_sample() -> list[Step]:
    """The limit of Θ at fixed na."""
    Theta = ((n - 1) * a * (2 - a)).subs(a, M / n)
    order = sp.Symbol("h", positive=True)
    small = sp.expand(Theta.subs(n, 1 / order))
    return [
        Step("Θ → 2m for n → ∞ at a = m/n", small.subs(order, 0) - 2 * M),
        Step(
            "the share's first correction is −m(m + 2)/(1 + 2m)² / n",
            sp.diff(small / (1 + small), order).subs(order, 0) + M * (M + 2) / (1 + 2 * M) ** 2,
        ),
    ]


ONE_REAL_SAMPLE = register(
    Equation(
        label="resampling.one_real_sample",
        kind="asymptotic",
        statement=(
            "One real sample every other generation keeps half of the diversity for ever, one in "
            "each generation two thirds, however many samples there are besides."
        ),
        lhs=sp.Symbol(r"{\mathbb{E}[1-\sum p^2]/(1-\sum q^2)}"),
        rhs=2 * M / (1 + 2 * M),
        symbols={"num_real": M},
        assumes=REFRESHED + "Stationary; m = na real samples a generation in the mean, n ≫ m, 1.",
        source="known: one migrant a generation (Wright 1931; Spieth 1974)",
        cites=("wright1931",),
        near_misses={
            "diploid": 4 * M / (1 + 4 * M),
            "half of it": M / (1 + M),
            "everything once there is one": 1 - sp.exp(-2 * M),
        },
        proof=prove_one_real_sample,
        domain={"num_real": ("real", 0, 100)},
        edges=(Edge({"num_real": 0.0}, 0.0), Edge({"num_real": 0.5}, 0.5)),
    )
)


def prove_immigration_dirichlet() -> list[Step]:
    """Drift a(q − p) and noise p(1 − p)/n carry no current in the Beta density."""
    q, strength = sp.symbols("q Theta", positive=True)
    density = x ** (strength * q - 1) * (1 - x) ** (strength * (1 - q) - 1)
    drift, noise = strength / 2 * (q - x), x * (1 - x)
    current = drift * density - sp.diff(noise * density, x) / 2
    moments = [
        sp.gamma(strength * q + power)
        * sp.gamma(strength)
        / sp.gamma(strength * q)
        / sp.gamma(strength + power)
        for power in (1, 2)
    ]
    return [
        Step(
            "drift: n E[p' − p] = na (q − p) = (Θ/2)(q − p), Θ = 2na",
            n * ((1 - a) * x + a * q - x) - (strength / 2 * (q - x)).subs(strength, 2 * n * a),
        ),
        Step("the Beta density carries no probability current", current / density),
        Step(
            "its variance is q(1 − q)/(1 + Θ), as in `resampling.immigration`",
            sp.gammasimp(moments[1] - moments[0] ** 2) - q * (1 - q) / (1 + strength),
        ),
    ]


def beta_law(first: Any, second: Any) -> Any:
    """The Beta distribution's function at x₀: a regularised incomplete Beta integral."""
    return sp.betainc(first, second, 0, share) / sp.beta(first, second)


q_i = sp.Symbol("q_i", positive=True)

IMMIGRATION_DIRICHLET = register(
    Equation(
        label="resampling.immigration_dirichlet",
        kind="asymptotic",
        statement=(
            "With few real samples among many the model is distributed as a Dirichlet law about "
            "the real distribution; shown for one outcome."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(p_i\le x_0)}"),
        rhs=beta_law(2 * M * q_i, 2 * M * (1 - q_i)),
        symbols={"share": share, "real_probability": q_i, "num_real": M},
        assumes=REFRESHED + "Stationary; n → ∞ at fixed m = na. The mass at p_i = 0 is not given.",
        source="known: Wright 1931",
        cites=("wright1931",),
        near_misses={
            "half the strength": beta_law(M * q_i, M * (1 - q_i)),
            "diploid: twice the strength": beta_law(4 * M * q_i, 4 * M * (1 - q_i)),
            "the outcome and the rest exchanged": beta_law(2 * M * (1 - q_i), 2 * M * q_i),
        },
        proof=prove_immigration_dirichlet,
        domain={
            "share": ("real", 0.01, 0.99),
            "real_probability": ("real", 0.05, 0.95),
            "num_real": ("real", 0.3, 20),
        },
        edges=(
            Edge({"share": 0.0, "real_probability": 0.3, "num_real": 2.0}, 0.0),
            Edge({"share": 1.0, "real_probability": 0.3, "num_real": 2.0}, 1.0),
            Edge({"share": 0.25, "real_probability": 0.5, "num_real": 1.0}, 0.25),
        ),
        accuracy=1e-9,
    )
)


def refit_noise(steps: Any = M, size: Any = B) -> Any:
    """η (1 − (1 − η)^{2m}) / ((2 − η) B)."""
    return eta * (1 - (1 - eta) ** (2 * steps)) / ((2 - eta) * size)


def prove_partial_refit() -> list[Step]:
    """Variance after m steps: v ← (1 − η)² v + η² h/B."""
    p = shares(3)
    lost = 1 - sum(
        v**2 + (moment(p, [2 * int(g == c) for c in range(3)]) / n**2 - v**2)
        for g, v in enumerate(p)
    )
    return [
        Step(
            "noise of variance p(1 − p) v takes the share v of 1 − Σp²  (n draws: v = 1/n, K = 3)",
            lost - (1 - 1 / n) * (1 - sum(v**2 for v in p)),
        ),
        Step(
            "v(m + 1) = (1 − η)² v(m) + η²/B",
            refit_noise(M + 1) - (1 - eta) ** 2 * refit_noise(M) - eta**2 / B,
        ),
        Step("v(0) = 0, v(1) = η²/B", [refit_noise(0), refit_noise(1) - eta**2 / B]),
    ]


PARTIAL_REFIT = register(
    Equation(
        label="resampling.partial_refit",
        kind="exact",
        statement=(
            "m partial refits on fresh batches of a frozen generator lose as much diversity as a "
            "full refit to n_e samples."
        ),
        lhs=sp.Symbol(r"{1/n_e}"),
        rhs=refit_noise(),
        symbols={"step_size": eta, "batch_size": B, "num_steps": M},
        assumes="T = 1; p ← (1 − η) p + η p̂, B samples a step; the second moment alone.",
        source=DERIVED,
        near_misses={
            "on-policy, m steps": 1 - (1 - eta**2 / B) ** M,
            "m times one step": M * eta**2 / B,
            "η/B per step": eta * (1 - (1 - eta) ** M) / B,
        },
        proof=prove_partial_refit,
        domain={
            "step_size": ("real", 0.01, 1),
            "batch_size": ("integer", 1, 100),
            "num_steps": ("integer", 1, 100),
        },
        edges=(
            Edge({"step_size": 1.0, "batch_size": 5, "num_steps": 3}, 0.2),
            Edge({"step_size": 1e-6, "batch_size": 5, "num_steps": 10**7}),
        ),
    )
)


def data_noise() -> Any:
    """A²/n + (1 − 1/n) times the noise of the minibatches."""
    return (1 - (1 - eta) ** M) ** 2 / n + (1 - 1 / n) * refit_noise()


def prove_partial_refit_data() -> list[Step]:
    """The data's own noise, and the minibatches' given the data."""
    p = shares(3)
    A = lambda steps: 1 - (1 - eta) ** steps  # noqa: E731
    diversity = 1 - sum(moment(p, [2 * int(g == c) for c in range(3)]) / n**2 for g in range(3))
    return [
        Step(
            "given the data, the mean after m steps is (1 − A) p + A p̂",
            [A(M + 1) - ((1 - eta) * A(M) + eta), A(0)],
        ),
        Step(
            "the data's own 1 − Σp̂² is (1 − 1/n)(1 − Σp²) in the mean  (K = 3)",
            diversity - (1 - 1 / n) * (1 - sum(v**2 for v in p)),
        ),
        *prove_partial_refit(),
        Step(
            "the variance grows as v ← (1 − η)² v + 2η(1 − η) c + η²(1/n + (1 − 1/n)/B), c = A/n "
            "the covariance with the data; the claim does, from 0",
            [
                data_noise().subs(M, M + 1)
                - (1 - eta) ** 2 * data_noise()
                - 2 * eta * (1 - eta) * A(M) / n
                - eta**2 * (1 / n + (1 - 1 / n) / B),
                data_noise().subs(M, 0),
            ],
        ),
    ]


PARTIAL_REFIT_DATA = register(
    Equation(
        label="resampling.partial_refit_data",
        kind="exact",
        statement=(
            "The same on minibatches, drawn with replacement from one data set of n samples."
        ),
        lhs=sp.Symbol(r"{1/n_e}"),
        rhs=data_noise(),
        symbols={"step_size": eta, "batch_size": B, "num_steps": M, "num_samples": n},
        assumes="T = 1; a new data set of n samples each generation; the second moment alone.",
        source=DERIVED,
        near_misses={
            "fresh batches": refit_noise(),
            "noises simply added": (1 - (1 - eta) ** M) ** 2 / n + refit_noise(),
            "the data learnt in full": 1 / n + (1 - 1 / n) * refit_noise(),
        },
        proof=prove_partial_refit_data,
        domain={
            "step_size": ("real", 0.01, 1),
            "batch_size": ("integer", 1, 100),
            "num_steps": ("integer", 1, 100),
            "num_samples": ("integer", 1, 1000),
        },
        edges=(
            Edge({"step_size": 1.0, "batch_size": 2, "num_steps": 1, "num_samples": 2}, 0.75),
            Edge({"step_size": 0.3, "batch_size": 2, "num_steps": 10**6, "num_samples": 9}),
        ),
    )
)


# --- A verifier -----------------------------------------------------------------------------------

r, s = sp.symbols("r s", positive=True)
right = sp.Symbol("k", nonnegative=True)


def accepted(p: Any = share, ratio: Any = r) -> Any:
    """The chance r p/(1 − p + r p)."""
    return ratio * p / (1 - p + ratio * p)


def prove_verifier() -> list[Step]:
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


VERIFIER = register(
    Equation(
        label="resampling.verifier",
        kind="exact",
        statement=(
            "Of n accepted samples a binomial number is right, whose chance has r times the "
            "model's odds: a verifier adds ln r to the logit."
        ),
        lhs=sp.Symbol("v"),
        rhs=accepted(),
        symbols={"probability": share, "ratio": r},
        assumes="Samples are drawn until n are accepted; r = TPR/FPR.",
        source="elementary (Bayes's rule); with infinitely many samples Feng et al. 2024",
        cites=("feng2024",),
        near_misses={
            "r added to the logit": accepted(ratio=sp.exp(r)),
            "the odds divided": accepted(ratio=1 / r),
            "the probability times r": r * share,
            "weighed by 1 + r": accepted(ratio=1 + r),
        },
        proof=prove_verifier,
        domain={"probability": ("real", 0, 1), "ratio": ("real", 0.01, 100)},
        edges=(
            Edge({"probability": 0.0, "ratio": 3.0}, 0.0),
            Edge({"probability": 1.0, "ratio": 3.0}, 1.0),
            Edge({"probability": 0.2, "ratio": 1.0}, 0.2),
        ),
    )
)


def prove_lock_in_weak() -> list[Step]:
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


def kimura(strength: Any) -> Any:
    """(e^{−ap} − e^{−a})/(1 − e^{−a})."""
    return (sp.exp(-strength * share) - sp.exp(-strength)) / (1 - sp.exp(-strength))


LOCK_IN_WEAK = register(
    Equation(
        label="resampling.lock_in_weak",
        kind="asymptotic",
        statement=(
            "With a weak verifier the chance that the right answer is lost for ever falls by the "
            "factor r² with each right sample."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(\text{wrong for ever})}"),
        rhs=kimura(2 * n * sp.log(r)),
        symbols={"probability": share, "ratio": r, "num_samples": n},
        assumes="T = 1; n accepted samples a generation; n → ∞ at fixed n ln r.",
        source="known: Kimura, Genetics 47:713 (1962), haploid form, with s = ln r",
        cites=("kimura1962",),
        near_misses={
            "s = r − 1": kimura(2 * n * (r - 1)),
            "diploid": kimura(4 * n * sp.log(r)),
            "half the exponent": kimura(n * sp.log(r)),
            "neutral": 1 - share,
        },
        proof=prove_lock_in_weak,
        domain={
            "probability": ("real", 0, 1),
            "ratio": ("real", 1.001, 2),
            "num_samples": ("integer", 5, 200),
        },
        edges=(
            Edge({"probability": 0.0, "ratio": 1.1, "num_samples": 50}, 1.0),
            Edge({"probability": 1.0, "ratio": 1.1, "num_samples": 50}, 0.0),
            Edge({"probability": 0.3, "ratio": 1 + 1e-9, "num_samples": 50}),
        ),
        accuracy=1e-11,
    )
)


def extinction(ratio: Any = r) -> Any:
    """1 − ρ = −W₀(−r e^{−r})/r."""
    return -sp.LambertW(-ratio * sp.exp(-ratio)) / ratio


def prove_lock_in_strong() -> list[Step]:
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


LOCK_IN_STRONG = register(
    Equation(
        label="resampling.lock_in_strong",
        kind="asymptotic",
        statement=(
            "Among many samples k right ones die out with the chance that k families of a "
            "branching process do, more rarely than the weak form says."
        ),
        lhs=sp.Symbol(r"{\mathbb{P}(\text{wrong for ever})}"),
        rhs=extinction() ** right,
        symbols={"num_right": right, "ratio": r},
        assumes="T = 1; n accepted samples a generation; n → ∞ at fixed r > 1 and k.",
        source="known: Haldane 1927 (branching process)",
        cites=("haldane1927",),
        near_misses={
            "the weak form": r ** (-2 * right),
            "a birth–death process": r ** (-right),
            "s = r − 1": sp.exp(-2 * (r - 1) * right),
            "one generation": sp.exp(-r * right),
        },
        proof=prove_lock_in_strong,
        domain={"num_right": ("integer", 0, 30), "ratio": ("real", 1.05, 8)},
        edges=(
            Edge({"num_right": 3, "ratio": 1.0}, 1.0),
            Edge({"num_right": 3, "ratio": 0.5}, 1.0),
            Edge({"num_right": 0, "ratio": 2.0}, 1.0),
            Edge({"num_right": 1, "ratio": 40.0}),
        ),
        accuracy=1e-11,
    )
)
