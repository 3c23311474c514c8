r"""Resampling: each generation is refitted to n of its own samples, and diversity falls.

The counts of generation t + 1 are multinomial, N' ~ Multinomial(n, p), and the next model is
p' = N'/n: the haploid Wright–Fisher model of population genetics, whose words (heterozygosity,
fixation) are used here.
"""

import math
from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    FIXED,
    LOGITS,
    LOST,
    OUTCOME,
    Step,
    at,
    at_outcomes,
    claim,
    total,
)
from fixedpoint.laws.notation import K, n, t, theta
from fixedpoint.symbolic import (
    Fresh,
    Loop,
    Vector,
    by_generations,
    chance,
    elementary,
    generator,
    probability,
    shares,
    vanishes_towards,
    written_out,
)

j: Any = sp.Symbol("j", integer=True, positive=True)
k: Any = sp.Symbol("k", integer=True)
i = OUTCOME

REFIT = Loop(corpus=Fresh(n))
DERIVED = "derived here"
WRIGHT_FISHER = "known: Fisher 1930, Wright 1931 (neutral Wright–Fisher model, haploid)"
LOST_ENTROPY = math.log1p(math.exp(-1)) + 1 / (1 + math.e)
"""Its entropy: two outcomes, one logit apart."""


def power_sum(order: int) -> Any:
    """Σ p^m of the initial model."""
    return total(sp.exp(order * theta[j]), j) / total(sp.exp(theta[j]), j) ** order


def gini() -> Any:
    """1 − Σp²."""
    return 1 - power_sum(2)


@claim(
    "The mean of 1 − Σp², the chance that two samples differ, falls by the factor 1 − 1/n "
    "a generation, for every number of outcomes.",
    gini() * (1 - 1 / n) ** t,
    lhs=r"{\mathbb{E}[1-\sum p_t^2]}",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(2, 2000),
        notation.generation(0, 3000),
    ),
    loop=REFIT,
    observe="heterozygosity",
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
def heterozygosity(answer: Any) -> list[Step]:
    """Two of the n samples have the same parent with chance 1/n."""
    return by_generations(REFIT, symbolic.heterozygosity, answer, generation=t, outcomes=(2, 3, 4))


order: Any = notation.order.symbol


@claim(
    "The eigenvalues of the chain are n(n − 1)…(n − j + 1)/n^j: 1 for the two ends, "
    "1 − 1/n for the slowest decay.",
    sp.Product(1 - k / n, (k, 0, order - 1)),
    lhs=r"\lambda_j",
    of=(
        notation.num_samples(50, 5000),
        notation.order(0, 50),
    ),
    loop=REFIT,
    assumes="K = 2; for K outcomes the same values, more often.",
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
def spectrum(answer: Any) -> list[Step]:
    """The chain maps the falling factorial of order j to λ_j times the power of order j."""
    p, v, y, x = shares(2), *sp.symbols("v y x")
    generating = symbolic.mean(REFIT, p, lambda q: sp.exp(v * n * q[0])).subs(sp.exp(v), 1 + y)

    def derivative(number: Any) -> Any:
        """The claimed derivative of that order in y of E (1 + y)^{N'}."""
        claimed = answer.subs(order, number).doit()
        return claimed * (n * p[0]) ** number * (1 + y * p[0]) ** (n - number)

    ratio = sp.diff(derivative(order), y) / derivative(order + 1)
    polynomials = []
    for size in (2, 3, 4, 5):
        models = [[sp.Rational(a, size), 1 - sp.Rational(a, size)] for a in range(size + 1)]
        chances = [[chance((b, size - b), REFIT.drawn(q)) for b in range(size + 1)] for q in models]
        values = [answer.subs({n: size, order: number}).doit() for number in range(size + 1)]
        polynomials.append(
            sp.Matrix(chances).charpoly(x).as_expr() - sp.prod(x - value for value in values)
        )
    return [
        Step("E (1 + y)^{N'} = (1 + py)^n, any n", generating - derivative(0)),
        Step(
            "a derivative in y leads from j to j + 1, any n and j; at y = 0 it is E (N')_j = "
            "λ_j N^j: triangular on 1, N, N², … with λ_j on the diagonal",
            ratio - 1,
            reduce=lambda part: sp.simplify(sp.gammasimp(part.rewrite(sp.gamma))),
        ),
        Step(
            "∏_j (x − λ_j) is the characteristic polynomial",
            polynomials,
            reduce=sp.expand,
            sizes={"K": 2, "n": (2, 3, 4, 5)},
        ),
    ]


def model_entropy() -> Any:
    """−Σ p log p of the initial model."""
    return -total(probability(i) * sp.log(probability(i)), i)


@claim(
    "The divergences between successive models add up, in the mean, to the initial "
    "entropy, for every number of samples: each generation pays what it changes.",
    model_entropy(),
    lhs=r"{\sum_{t\ge0}\mathbb{E}\,\mathrm{KL}(p_{t+1}\Vert p_t)}",
    of=(notation.logits(-4, 4),),
    loop=REFIT,
    given={"num_samples": n},
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
def entropy_budget(answer: Any) -> list[Step]:
    """The cross-entropy is linear in p', whose mean is p."""
    steps = []
    for size in (2, 3):
        p, q = shares(size), shares(size, "q")

        def crossed(model: Vector, p: Vector = p) -> Any:
            """−Σ p' log p."""
            return -sum(x * sp.log(y) for x, y in zip(model, p, strict=True))

        parts = written_out(answer, q) + symbolic.kl_divergence(q, p) - crossed(q)
        steps += [
            Step(
                "S(p') + KL(p'‖p) = −Σ p' log p, with the answer for S",
                sp.expand_log(parts, force=True),
                reduce=lambda part: sp.simplify(sp.expand(part)),
                sizes={"K": size},
            ),
            Step(
                "and E[−Σ p' log p] is the answer again, any n: it pays E KL(p'‖p) a generation",
                symbolic.mean(REFIT, p, crossed) - written_out(answer, p),
                sizes={"K": size},
            ),
        ]
    return [*steps, Step("where one outcome is left it is 0", written_out(answer, [sp.Integer(1)]))]


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
        notation.logits(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    loop=REFIT,
    assumes="Leading order for n → ∞ at fixed probabilities.",
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
def entropy_toll(answer: Any) -> list[Step]:
    """Second order of the entropy: its Hessian is minus the inverse covariance."""
    return [
        Step(
            "n E[S(p) − S(p')] to the leading order",
            generator(REFIT, symbolic.entropy, shares(size), n) + n * at_outcomes(answer, size),
            reduce=elementary,
            sizes={"K": size},
        )
        for size in (2, 3, 4)
    ]


@claim(
    "The number of outcomes alive beyond one, summed over all generations, is 2nS₀ in the "
    "mean: the entropy is used up at 1/(2n) nats per live parameter.",
    2 * n * model_entropy(),
    lhs=r"{\mathbb{E}\sum_{t\ge0}(\#\{i: p_{t,i}>0\}-1)}",
    kind="asymptotic",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(1, 10**6),
    ),
    loop=REFIT,
    assumes="Leading order for n → ∞ at fixed probabilities; S₀ in nats.",
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
def entropy_lifetime(answer: Any) -> list[Step]:
    """Each generation takes what it counts, until one outcome is left."""
    steps = [
        Step(
            "n E[u(p') − u(p)] = −(K − 1) n to the leading order",
            generator(REFIT, lambda q: written_out(answer, q), shares(size), n) + n * (size - 1),
            reduce=elementary,
            sizes={"K": size},
        )
        for size in (2, 3, 4)
    ]
    p = shares(3)
    return [
        *steps,
        Step(
            "a lost outcome does not count",
            written_out(answer, p) - written_out(answer, [p[1], 1 - p[1]]),
            reduce=vanishes_towards(p[0], 0),
            sizes={"K": 3},
        ),
        Step("where one outcome is left it is 0", written_out(answer, [sp.Integer(1)])),
    ]
