r"""Resampling: each generation is refitted to n of its own samples, drawn at a temperature.

The counts of generation t + 1 are multinomial, N' ~ Multinomial(n, p_T) with p_T ∝ p^{1/T}, and
the next model is p' = N'/n. At T = 1 this is the haploid Wright–Fisher model of population
genetics; its words (heterozygosity, fixation) are used here. An outcome that was not drawn is lost
for ever.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Edge, Equation, Step, register, total

theta: Any = sp.IndexedBase("theta", real=True)
T = sp.Symbol("T", positive=True)
n, t, j = sp.symbols("n t j", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES

FULL_REFIT = "T = 1; every generation is the maximum-likelihood refit to n fresh own samples."
DERIVED = "derived here"
WRIGHT_FISHER = "known: Fisher 1930, Wright 1931 (neutral Wright–Fisher model, haploid)"
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
LOST = [0.7, float("-inf"), -0.3]
"""A model that has lost an outcome."""
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
            Edge({"logits0": [0.0] * 50_000, "num_samples": 10**9, "generation": 10**8}),
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


# --- T = 1: entropy -------------------------------------------------------------------------------


# --- Truncation -----------------------------------------------------------------------------------


# --- A temperature --------------------------------------------------------------------------------


# --- Real data and partial refits -----------------------------------------------------------------


# --- A verifier -----------------------------------------------------------------------------------
