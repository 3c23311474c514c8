"""Accumulation: a model that is trained on all data so far, or on the last few generations of them.

Trained to the end on everything, the model is the average of its data, and a generation is one step
on the probabilities whose size falls like 1/t. Proofs take means over that step
(`symbolic.at_generation`), for every number n of samples.
"""

from functools import cache
from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import LOGITS, OUTCOME, Step, at, claim, total
from fixedpoint.laws.notation import K, T, n, t, theta
from fixedpoint.symbolic import Accumulated, Exact, Fresh, Loop, Temperature, at_generation, shares

i, j, k = OUTCOME, *sp.symbols("j k", integer=True, positive=True)
w_0, w, top, c_1, c_2 = (
    argument.symbol
    for argument in (
        notation.initial_weight,
        notation.window,
        notation.top_probability,
        notation.num_first,
        notation.num_second,
    )
)

SAMPLED = Loop(corpus=Accumulated(Fresh(n), initial_samples=n))
"""n real samples, and n own ones more in every generation."""
STARTED = Loop(corpus=Accumulated(Fresh(n), initial_weight=w_0))
"""Real data, and n own samples more in every generation."""
WINDOW = Loop(corpus=Accumulated(Fresh(n), window=w))
TEMPERED = Loop(Temperature(T), Accumulated(Exact(), initial_weight=w_0))
"""Infinitely many samples, at a temperature."""
KAZDAN = "known for the variance of a Gaussian (Kazdan et al., arXiv:2410.16713); for outcomes here"


def gini() -> Any:
    """1 − Σp² of the first model."""
    Z = total(sp.exp(theta[j]), j)
    return 1 - total(sp.exp(2 * theta[j]), j) / Z**2


def mean_factor(loop: Loop, generation: Any, size: int) -> Any:
    """What the mean of 1 − Σp² is multiplied by from generation t to t + 1, whatever the model."""
    p = shares(size)
    after = symbolic.mean(at_generation(loop, generation), p, symbolic.heterozygosity)
    return sp.factor(after / symbolic.heterozygosity(p))


# --- All data are kept ----------------------------------------------------------------------------


@claim(
    "If n real samples and all later ones are kept, n own samples a generation, the chance that "
    "two draws differ falls by factors 1 − 1/(nj²), whose product does not tend to 0 for n > 1.",
    gini() * sp.Product(1 - 1 / (n * j**2), (j, 1, t)),
    lhs=r"{\mathbb{E}[1-|p_t|^2]}",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(2, 100),
        notation.generation(0, 300),
    ),
    loop=SAMPLED,
    observe="heterozygosity",
    assumes="Generation 1 is the real samples alone.",
    source=KAZDAN,
    cites=("kazdan2024", "gerstgrasser2024"),
    near_misses={
        "nothing is kept": gini() * (1 - 1 / n) ** t,
        "steps in proportion to their size": gini() * sp.Product(1 - 1 / (n * j), (j, 1, t)),
        "the real samples not counted": gini() * sp.Product(1 - 1 / (n * j**2), (j, 2, t)),
    },
    edges=[
        at(LOGITS, 1, 0),
        at(LOGITS, 1, 3, gives=0.0),
        at([0.7, float("-inf"), -0.3], 4, 5),
        at(LOGITS, 3, 5000),
    ],
)
def product(answer: Any) -> list[Step]:
    """Each factor is the mean over one generation; that of the real samples is the first."""
    ratio = sp.simplify(symbolic.unrolled(answer.subs(t, t + 1), t) / answer)
    steps = [Step("at generation 0 it is 1 − Σp²", answer.subs(t, 0).doit() - gini())]
    for size in (2, 3):
        steps += [
            Step(
                "the real samples take the factor of the first generation",
                mean_factor(SAMPLED, sp.Integer(0), size) - ratio.subs(t, 0),
                sizes={"K": size},
            ),
            Step(
                "a generation leads from t to t + 1, for every t ≥ 1",
                mean_factor(SAMPLED, t + 1, size) - ratio.subs(t, t + 1),
                sizes={"K": size},
            ),
        ]
    return steps


def kept_share(weight: Any) -> Any:
    """Γ(w₀ + 1)²/(Γ(w₀ + 1 + z) Γ(w₀ + 1 − z)), z = 1/√n: the product of all later factors."""
    z = 1 / sp.sqrt(n)
    return sp.gamma(weight + 1) ** 2 / (sp.gamma(weight + 1 + z) * sp.gamma(weight + 1 - z))


@claim(
    "Real data with the weight of w₀ corpora, and everything later kept: this share of the chance "
    "that two draws differ is kept for ever.",
    gini() * kept_share(w_0),
    lhs=r"{\lim_{t\to\infty}\mathbb{E}[1-|p_t|^2]}",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(1, 100),
        notation.initial_weight(0.2, 20),
    ),
    loop=STARTED,
    observe="heterozygosity",
    assumes="The initial model is the real data, with the weight w₀.",
    source=KAZDAN,
    cites=("kazdan2024", "gerstgrasser2024", "dey2024"),
    near_misses={
        "all is kept": gini(),
        "to first order in 1/n, at w₀ = 1": gini() * (1 - (sp.pi**2 / 6 - 1) / n),
        "one corpus of real data less": gini() * kept_share(w_0 - 1),
    },
    edges=[
        at(LOGITS, 4, 1.0),
        at([0.7, float("-inf"), -0.3], 1, 2.0),
        at([0.0, 0.0], 9, 1e6),
    ],
)
def head_start(answer: Any) -> list[Step]:
    """A generation makes the weight w₀ + 1 of w₀; with much weight nothing is lost."""
    steps = []
    shorter = sp.gammasimp(answer / answer.subs(w_0, w_0 + 1))
    for size in (2, 3):
        steps.append(
            Step(
                "a generation's factor leads from the weight w₀ to w₀ + 1",
                mean_factor(STARTED, sp.Integer(0), size) - shorter,
                sizes={"K": size},
            )
        )
    sinc = sp.sin(sp.pi / sp.sqrt(n)) / (sp.pi / sp.sqrt(n))
    return [
        *steps,
        Step("with much weight nothing is lost", late_limit(logarithm(answer / gini()), w_0)),
        Step(
            "n real samples in place of the data, one more factor 1 − 1/n, leave sin(π/√n)/(π/√n)",
            sp.gammasimp((answer / gini()).subs(w_0, 1) * (1 - 1 / n) - sinc),
        ),
    ]


def logarithm(quotient: Any) -> Any:
    """The logarithm of a quotient of gamma functions, as a sum."""
    log_gamma = {g: sp.exp(sp.loggamma(g.args[0])) for g in sp.sympify(quotient).atoms(sp.gamma)}
    return sp.expand_log(sp.log(sp.sympify(quotient).xreplace(log_gamma)), force=True)


@cache
def late_limit(expression: Any, variable: Any) -> Any:
    """The limit for large values."""
    x = sp.Symbol("x", positive=True)
    return sp.limit(expression.subs(variable, x), x, sp.oo)


# --- The last few generations are kept ------------------------------------------------------------


@claim(
    "If the last w corpora are kept, the chance that two draws differ falls like that of a model "
    "refitted to n ((w + 1)/2)² samples.",
    4 / (n * (w + 1) ** 2),
    lhs=r"{\lim_{t\to\infty}\log\frac{\mathbb{E}[1-|p_t|^2]}{\mathbb{E}[1-|p_{t+1}|^2]}}",
    kind="asymptotic",
    of=(
        notation.num_samples(2, 1000),
        notation.window(1, 50),
    ),
    loop=WINDOW,
    assumes="n large; relative error of order 1/n.",
    near_misses={
        "refitted to all samples kept": 1 / (n * w),
        "… squared": 1 / (n * w**2),
        "the mean age without its half": 1 / (n * (w + 1) ** 2),
    },
    # No experiment can tell n from n + 1 where the error of the law is of the order 1/n.
    edges=[at(100, 1, gives=0.01), at(10**6, 3)],
)
def window(answer: Any) -> list[Step]:
    """To first order in 1/n: what two draws from corpora of different ages have in common."""
    p, q = shares(2), shares(2, "q")
    own = symbolic.mean(Loop(corpus=Fresh(n)), p, symbolic.heterozygosity)
    other = symbolic.mean(
        Loop(corpus=Fresh(n)), p, lambda f: 1 - sum(a * b for a, b in zip(f, q, strict=True))
    )
    rate = sp.sympify(answer) * n
    steps = [
        Step(
            "two draws from one corpus differ as two from its model do, times 1 − 1/n",
            own - (1 - 1 / n) * symbolic.heterozygosity(p),
        ),
        Step(
            "of draws from two corpora the later one may as well be from its model",
            other - (1 - sum(a * b for a, b in zip(p, q, strict=True))),
        ),
    ]
    for size in (1, 2, 3, 4, 5):
        # Draws from corpora d apart, the later one of generation s, differ with chance
        # λ^s (1 + y_d/n), λ = 1 − ρ/n, and a model is the mean of w corpora.
        y = [sp.Integer(0), *sp.symbols(f"y1:{size}")]
        ages = range(1, size + 1)
        rho = rate.subs(w, size)
        apart = [
            y[d] - sum(rho * min(a, d) + y[abs(a - d)] for a in ages) / size for d in ages[:-1]
        ]
        solved = sp.solve(apart, y[1:], dict=True)[0] if size > 1 else {}
        same = sum(rho * min(a, b) + y[abs(a - b)] for a in ages for b in ages)
        steps.append(
            Step(
                "what is lost to order 1/n is what the claimed rate takes",
                (sp.sympify(same).subs(solved) / size**2 - 1) / n,
                sizes={"w": size},
            )
        )
    return steps


# --- Other temperatures ---------------------------------------------------------------------------


@claim(
    "Kept real data slow every collapse down: however cold the sampling, the probability off the "
    "mode falls no faster than 1/t; greedy sampling attains it.",
    (1 - top) * w_0 / (w_0 + t),
    lhs=r"{1-\max_ip_i(t)}",
    kind="bound",
    of=(
        notation.top_probability(0.2, 0.99),
        notation.initial_weight(0.1, 20),
        notation.generation(0, 10**6),
    ),
    loop=TEMPERED,
    observe="tail_probability",
    given={"temperature": T},
    assumes="C is the initial probability of the mode; every temperature.",
    relation=">=",
    near_misses={
        "no loss": 1 - top,
        "the generations without the initial weight": (1 - top) / (1 + t),
        "half as fast": (1 - top) * sp.sqrt(w_0 / (w_0 + t)),
    },
    edges=[at(1.0, 1.0, 5, gives=0.0), at(0.5, 1.0, 0, gives=0.5)],
)
def cold(answer: Any) -> list[Step]:
    """What nothing is added to keeps its weight while the whole grows."""
    x, added = sp.symbols("x q", positive=True)
    step = at_generation(TEMPERED, t).learner
    grown = step([1 - x, x], [1 - added, added])[1]
    return [
        Step("at generation 0 it is what the model has", answer.subs(t, 0) - (1 - top)),
        Step(
            "a generation in which only the mode is drawn leads from t to t + 1",
            step([1 - answer, answer], [1, 0])[1] - answer.subs(t, t + 1),
        ),
        Step(
            "what else is drawn adds to it",
            grown - step([1 - x, x], [1, 0])[1] - step.step_size * added,
        ),
    ]


@claim(
    "Near the uniform model a deviation grows like t^(1/T − 1) below temperature 1, and falls like "
    "t^−(1 − 1/T) above it.",
    sp.gamma(w_0 + t + 1 / T) * sp.gamma(w_0 + 1) / (sp.gamma(w_0 + t + 1) * sp.gamma(w_0 + 1 / T)),
    lhs=r"{\lim_{z_0\to0}z_t/z_0}",
    of=(
        notation.temperature(0.3, 5),
        notation.initial_weight(0.2, 20),
        notation.generation(0, 200),
    ),
    loop=TEMPERED,
    assumes="z is the gap of two outcomes of a model that is uniform otherwise.",
    near_misses={
        "its power alone": (1 + t / w_0) ** (1 / T - 1),
        "nothing is kept": (1 / T) ** t,
        "the temperature inverted": sp.gamma(w_0 + t + T)
        * sp.gamma(w_0 + 1)
        / (sp.gamma(w_0 + t + 1) * sp.gamma(w_0 + T)),
    },
    edges=[at(1.0, 1.0, 1000, gives=1.0), at(0.5, 1.0, 7, gives=4.5)],
)
def escape(answer: Any) -> list[Step]:
    """One generation, linear about the uniform model."""
    steps = [Step("at generation 0 it is 1", answer.subs(t, 0) - 1, reduce=sp.gammasimp)]
    step = at_generation(TEMPERED, t)
    for size in (2, 3):
        z = sp.Symbol("z", real=True)
        p = symbolic.softmax([z, 0, *[z / 2] * (size - 2)])
        after = symbolic.next_model(step, p)
        slope: Any = sp.diff(sp.log(after[0] / after[1]), z).subs(z, 0)
        steps.append(
            Step(
                "a generation leads from t to t + 1",
                sp.gammasimp(answer.subs(t, t + 1) / answer) - slope,
                sizes={"K": size},
            )
        )
    return steps


@claim(
    "Late, a small deviation from the uniform model is a power of the generation: with all data "
    "kept it fades like t^−(1 − 1/T) above temperature 1.",
    sp.gamma(w_0 + 1) / sp.gamma(w_0 + 1 / T) * t ** (1 / T - 1),
    lhs=r"{\lim_{z_0\to0}z_t/z_0}",
    kind="asymptotic",
    of=(
        notation.temperature(1.1, 10),
        notation.initial_weight(0.2, 20),
        notation.generation(100, 10**9),
    ),
    loop=TEMPERED,
    assumes="t large against w₀; relative error of the order w₀/t.",
    near_misses={
        "without the start": t ** (1 / T - 1),
        "the temperature inverted": sp.gamma(w_0 + 1) / sp.gamma(w_0 + T) * t ** (T - 1),
        "whatever the temperature": sp.gamma(w_0 + 1) / sp.gamma(w_0 + 1 / T) / t,
    },
    # No experiment can tell t from t + 1 where the error of the law is of the order 1/t.
    edges=[at(1.0, 1.0, 100, gives=1.0), at(2.0, 1.0, 10**12)],
)
def hot(answer: Any) -> list[Step]:
    """The exact product of `escape`, late."""
    beta = sp.Symbol("beta", positive=True)
    late = sp.loggamma(w_0 + t + beta) - sp.loggamma(w_0 + t + 1) + (1 - beta) * sp.log(t)
    # Γ(w₀ + t + β)/Γ(w₀ + t + 1) is t^(β − 1) up to a factor that tends to 1.
    power = sp.gamma(w_0 + t + 1) * t ** (1 / T - 1)
    exact = escape.rhs.subs(sp.gamma(w_0 + t + 1 / T), power)
    return [
        Step("log Γ(w₀ + t + β) − log Γ(w₀ + t + 1) − (β − 1) log t → 0", late_limit(late, t)),
        Step("so that the product tends to the answer", exact / answer - 1),
    ]


# --- One sample at a time: urns -------------------------------------------------------------------


def rubin(first: Any, second: Any) -> Any:
    """The chance of the first outcome, from the times at which two birth processes explode."""
    behind = sp.gamma(k + second) / (k * sp.gamma(k - second + 1))
    ahead = sp.gamma(first + sp.I * k) * sp.gamma(first - sp.I * k)
    term = 2 * (-1) ** (k - second) * behind * ahead / (sp.gamma(first) * sp.gamma(second)) ** 2
    return sp.Sum(term, (k, second, second + TERMS))


TERMS = 80
"""Terms of the series, which fall like e^(−πk): beyond them nothing is left of 50 digits."""


@claim(
    "One sample at a time at T = 1/2, with all data kept: from some sample on only one of two "
    "outcomes is drawn, and it is the first with this chance.",
    rubin(c_1, c_2),
    lhs=r"{\mathbb{P}(\text{the first outcome is drawn for ever})}",
    of=(
        notation.num_first(1, 6),
        notation.num_second(1, 6),
    ),
    loop=Loop(Temperature(sp.Rational(1, 2)), Accumulated(Fresh(1), initial_weight=c_1 + c_2)),
    assumes="K = 2, c₁ and c₂ samples at the start.",
    source="Rubin's embedding (in Davis, Reinforced random walk, 1990); the sum derived here",
    cites=("davis1990",),
    near_misses={
        "the share of the first": c_1 / (c_1 + c_2),
        "what is drawn next": c_1**2 / (c_1**2 + c_2**2),
        "the other outcome": rubin(c_2, c_1),
    },
    edges=[at(1, 1, gives=0.5), at(2, 1), at(3, 2)],
)
def monopoly(answer: Any) -> list[Step]:
    """Every term solves the equation of one sample, and the two chances add up to 1."""
    drawn = Temperature(sp.Rational(1, 2))([c_1 / (c_1 + c_2), c_2 / (c_1 + c_2)])
    term = sp.sympify(answer).args[0]

    def moved(first: Any, second: Any) -> Any:
        later = term.subs({c_1: c_1 + first, c_2: c_2 + second}, simultaneous=True)
        return sp.simplify(sp.gammasimp(later / term))

    numbers = [(a, b) for a in (1, 2, 4) for b in (1, 3)]
    both = [
        ({c_1: a, c_2: b}, 1 - sp.sympify(answer).subs({c_1: b, c_2: a}, simultaneous=True))
        for a, b in numbers
    ]
    return [
        Step(
            "a term of the series is the mean of what it is after one sample",
            drawn[0] * moved(1, 0) + drawn[1] * moved(0, 1) - 1,
        ),
        symbolic.at_numbers(
            answer,
            [(at_point, sp.N(other.doit(), 60)) for at_point, other in both],
            "the chances of the two outcomes add up to 1: they are 1/2 from a tie",
            c=(1, 2, 3, 4),
        ),
        symbolic.at_numbers(
            answer,
            [({c_1: 2, c_2: 1}, lemniscate())],
            "from 2 to 1 it is 1/2 + Γ(1/4)⁸/(256π⁵)",
            c=(1, 2),
        ),
    ]


def lemniscate() -> Any:
    """1/2 + Γ(1/4)⁸/(256π⁵)."""
    return sp.N(sp.Rational(1, 2) + sp.gamma(sp.Rational(1, 4)) ** 8 / (256 * sp.pi**5), 60)


@claim(
    "Above temperature 2, with all data kept, the model settles at uniform, and its noise is a "
    "fixed multiple of that of as many independent samples; the multiple is infinite at 2.",
    (1 - 1 / K) * T / (n * t * (T - 2)),
    lhs=r"{\mathbb{E}\,|p_t-1/K|^2}",
    kind="asymptotic",
    of=(
        notation.num_outcomes(2, 1000),
        notation.temperature(2.2, 10),
        notation.num_samples(1, 100),
        notation.generation(100, 10**9),
    ),
    loop=Loop(Temperature(T), Accumulated(Fresh(n))),
    assumes="T > 2, late; relative error of the order t^−(1 − 2/T).",
    near_misses={
        "independent samples": (1 - 1 / K) / (n * t),
        "the threshold at temperature 1": (1 - 1 / K) * T / (n * t * (T - 1)),
        "faster": (1 - 1 / K) * T / (n * t**2 * (T - 2)),
    },
    # With t + 1 for t it is the same to the order that proof and experiments have.
    edges=[at(50_000, 4.0, 1, 10**6)],
)
def leaders(answer: Any) -> list[Step]:
    """Linear pull against the noise of a generation, both of which fall like 1/t."""
    steps = []
    for size in (2, 3):
        loop = at_generation(Loop(Temperature(T), Accumulated(Fresh(n))), t - 1)
        eta = loop.learner.step_size
        p = shares(size)
        uniform = dict.fromkeys(p[:-1], sp.Rational(1, size))
        pull: Any = sp.diff(loop.drawn(p)[0], p[0]).subs(uniform)
        noise = symbolic.mean(Loop(corpus=Fresh(n)), p, symbolic.heterozygosity).subs(uniform)
        square = 1 - sp.Rational(1, size) - noise
        now = sp.sympify(answer).subs(K, size)
        kept = (1 - eta + eta * pull) ** 2 * now.subs(t, t - 1) + eta**2 * square
        steps.append(
            Step(
                "the variance of a generation, linear about uniform, reproduces it up to 1/t³",
                sp.limit(sp.simplify((now - kept) * t**2), t, sp.oo),
                sizes={"K": size},
            )
        )
    return steps
