"""Families: classes of models that tempering keeps, and students that obey it.

Proofs in SymPy.
"""

import math
from collections.abc import Sequence
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import OUTCOME, Edge, Step, at, claim

T = sp.Symbol("T", positive=True)
n = sp.Symbol("n", integer=True, nonnegative=True)
j, k, h = sp.symbols("j k h", integer=True, positive=True)
beta, beta_other = sp.Symbol("beta", positive=True), sp.Symbol(r"\beta'", positive=True)

EXACT_REFIT = "Infinite samples; the learner reaches the minimum; every table of logits is allowed."
"""The three conditions under which a generation is θ → θ/T."""


def softmax(logits: Sequence[Any]) -> list[Any]:
    """Probabilities e^θ / Σ e^θ."""
    partition = sum(sp.exp(x) for x in logits)
    return [sp.exp(x) / partition for x in logits]


def tempered(probabilities: Sequence[Any], temperature: Any) -> list[Any]:
    """What is drawn from: p^{1/T} / Σ p^{1/T}."""
    powers = [p ** (1 / temperature) for p in probabilities]
    return [power / sum(powers) for power in powers]


def cross_entropy(target: Sequence[Any], logits: Sequence[Any]) -> Any:
    """-Σ target log softmax(logits)."""
    log_partition = sp.log(sum(sp.exp(x) for x in logits))
    return -sum(t * (x - log_partition) for t, x in zip(target, logits, strict=True))


def kl_divergence(probabilities: Sequence[Any], others: Sequence[Any]) -> Any:
    """KL(p ‖ q) = Σ p log(p/q)."""
    return sum(p * sp.log(p / q) for p, q in zip(probabilities, others, strict=True))


def expand(expression: Any) -> Any:
    """Split powers of products and logarithms of quotients of positive numbers, then simplify."""
    split = sp.expand_log(sp.powdenest(sp.expand_power_base(expression, force=True), force=True))
    return sp.simplify(sp.expand_log(sp.powsimp(split), force=True))


# --- which families it keeps ---------------------------------------------------------------------

eta, c = sp.symbols("eta c", real=True)
lam = sp.Symbol("lambda", positive=True)
N = sp.Symbol("N", integer=True, positive=True)
FAMILY_RHS = (eta + c) * T**-n - c


@claim(
    "A family h(x) e^{ηt(x)} is closed under tempering iff log h ∈ span{1, t}; with "
    "slope c of log h in t, η + c is divided by T.",
    FAMILY_RHS,
    lhs=r"\eta_n",
    of=(
        notation.parameter(1, 4),
        notation.base_slope(-0.9, 0.9),
        notation.temperature(0.4, 2.5),
        notation.generation.written(n)(0, 10),
    ),
    assumes=EXACT_REFIT + " log h = const + c t on the support; η_n lies in the natural domain "
    "(gamma: shape > 1 - Tⁿ; Pareto density x^{-α}: α > Tⁿ).",
    cites=("alemohammad2023",),
    near_misses={
        "base measure ignored": eta * T**-n,
        "base measure with the wrong sign": (eta - c) * T**-n + c,
        "base measure not restored": (eta + c) * T**-n,
    },
    edges=[
        at(3.0, -1.0, 1.0, 10**6),
        at(3.0, -1.0, 1.1, 10**6, gives=1.0),
        at(3.0, -1.0, 0.9, 10**6, gives=math.inf),
        at(3.0, -1.0, 0.5, 0),
    ],
)
def exponential_family() -> list[Step]:
    """Closure of h(x) e^{ηt(x)} under powers: iff log h lies in the span of 1 and t."""
    x, y, c0 = sp.symbols("x y c_0", positive=True)
    t, log_h = sp.Function("t"), sp.Function("g")
    eta_next, A, A_next = sp.symbols("eta' A A'")

    def odds(logarithm: Any, *arguments: Any) -> Any:
        return logarithm(x, *arguments) - logarithm(y, *arguments)

    def spanned(z: Any, parameter: Any) -> Any:
        return c0 + c * t(z) + parameter * t(z)

    tempered_log = (log_h(x) + eta * t(x) - A) / T
    family_log = log_h(x) + eta_next * t(x) - A_next
    needed = (1 / T - 1) * log_h(x) - (eta_next - eta / T) * t(x) - (A / T - A_next)

    mu, variance, a, b, q, alpha = sp.symbols("mu sigma^2 a b q alpha", positive=True)
    q_log = sp.log(q)
    families = {
        "Gaussian: variance T σ²": (
            lambda z, mu, v: -((z - mu) ** 2) / (2 * v),
            (mu, variance),
            (mu, T * variance),
        ),
        "log-normal: μ - σ²(1 - T), T σ²": (
            lambda z, mu, v: -((sp.log(z) - mu) ** 2) / (2 * v) - sp.log(z),
            (mu, variance),
            (mu - variance * (1 - T), T * variance),
        ),
        "gamma: 1 + (a - 1)/T, b/T": (
            lambda z, a, b: (a - 1) * sp.log(z) - b * z,
            (a, b),
            (1 + (a - 1) / T, b / T),
        ),
        "geometric: q^{1/T}": (lambda z, log_q: z * log_q, (q_log,), (q_log / T,)),
        "Pareto: α/T": (lambda z, alpha: -alpha * sp.log(z), (alpha,), (alpha / T,)),
    }
    closed = [
        Step(
            f"{name}: the tempered odds are the family's own",
            odds(log, *before) / T - odds(log, *after),
            reduce=lambda e: sp.simplify(sp.expand(e)),
        )
        for name, (log, before, after) in families.items()
    ]
    return [
        Step(
            "if log h = c₀ + c t, one generation maps η to (η + c)/T - c",
            odds(spanned, eta) / T - odds(spanned, FAMILY_RHS.subs(n, 1)),
            reduce=lambda e: sp.simplify(sp.expand(e)),
        ),
        Step(
            "n generations: the map of one composes to the claim",
            FAMILY_RHS.subs(n, 1).subs(eta, FAMILY_RHS) - FAMILY_RHS.subs(n, n + 1),
        ),
        Step("generation 0 is the start", FAMILY_RHS.subs(n, 0) - eta),
        Step(
            "conversely, staying in the family says (1/T - 1) log h ∈ span{1, t}",
            tempered_log - family_log - needed,
            reduce=sp.expand,
        ),
        *closed,
    ]


def _mean_count(weight: Any) -> Any:
    """Mean of k = 0, …, N - 1 under weights that depend on k."""
    counts = (k, 0, N - 1)
    whole: Any = sp.Sum(weight, counts)
    return sp.Sum(k * weight, counts) / whole


POISSON_RHS = _mean_count((lam**k / sp.factorial(k)) ** (1 / T))


@claim(
    "Poisson, not closed under tempering: a student kept in the family takes the "
    "mean of what is drawn.",
    POISSON_RHS,
    lhs=r"\lambda'",
    of=(
        notation.mean(0.1, 12),
        notation.temperature(0.3, 2),
        notation.num_terms(120, 120),
    ),
    assumes="Infinite samples; the student is a Poisson law of least cross-entropy; the terms "
    "from N on are negligible.",
    near_misses={
        "as if the family were closed": lam ** (1 / T),
        "mean unchanged": lam,
        "base measure not tempered": _mean_count(lam ** (k / T) / sp.factorial(k)),
    },
    edges=[
        at(1e-6, 0.5, 60),
        at(5.0, 1.0, 120, gives=5.0),
        at(200.0, 0.8, 600),
    ],
)
def poisson() -> list[Step]:
    """The refit in the Poisson family matches the mean; the family is not closed."""
    x, y = sp.symbols("x y", positive=True)
    tempered_mean, log_factorial = sp.symbols("M G")
    loss = -(tempered_mean * eta - sp.exp(eta) - log_factorial)
    return [
        Step(
            "the cross-entropy is stationary where e^η is the mean of what is drawn",
            loss.diff(eta).subs(eta, sp.log(tempered_mean)),
        ),
        Step("and convex there: its curvature is e^η", loss.diff(eta, 2) - sp.exp(eta)),
        Step(
            "log h = -log x! is not affine in x: its second difference at 0 is -log 2, not 0",
            (-sp.log(sp.factorial(2)) + 2 * sp.log(sp.factorial(1)) - sp.log(sp.factorial(0)))
            + sp.log(2),
        ),
        Step(
            "what is drawn is the power of the Poisson law",
            sp.log((lam**x / y * sp.exp(-lam)) ** (1 / T))
            - (sp.log((lam**x / y) ** (1 / T)) - lam / T),
            reduce=expand,
        ),
    ]


DRIFT_RHS = -(1 - T) / 2


@claim(
    "A large Poisson mean moves by a constant per generation, not by a factor.",
    DRIFT_RHS,
    lhs=r"\lambda_{n+1} - \lambda_n",
    kind="asymptotic",
    of=(notation.temperature(0.2, 2),),
    assumes="Infinite samples; the student is a Poisson law; λ large, correction of order 1/λ.",
    near_misses={
        "no factor one half": -(1 - T),
        "sign": (1 - T) / 2,
        "inverse temperature": -(1 / T - 1) / 2,
    },
    edges=[
        at(1.0, gives=0.0),
        at(1 + 1e-12),
        at(1e-3),
    ],
)
def poisson_drift() -> list[Step]:
    """Stirling's series about the mean: x = λ + √λ y, to first order in 1/√λ."""
    s, y = sp.Symbol("s", positive=True), sp.Symbol("y", real=True)
    a = sp.Symbol("a", positive=True)
    mean = 1 / s**2
    x = mean * (1 + s * y)
    # log(λ^x/x!) by Stirling; log(1 + s y) is expanded before it meets the large factor.
    log_ratio = sp.series(sp.log(1 + s * y), s, 0, 6).removeO()
    log_weight = -x * log_ratio + x - log_ratio / 2
    expansion = sp.expand(log_weight - mean)
    cubic = y**3 / 6 - y / 2

    def gaussian_mean(polynomial: Any) -> Any:
        density = sp.exp(-(y**2) / (2 * a)) / sp.sqrt(2 * sp.pi * a)
        return sp.integrate(sp.expand(polynomial) * density, (y, -sp.oo, sp.oo))

    shift = gaussian_mean(y * cubic / a)
    return [
        Step(
            "log(λ^x/x!) = const - y²/2 + s(y³/6 - y/2) + O(s²), with s = 1/√λ",
            [expansion.coeff(s, 0) + y**2 / 2, expansion.coeff(s, 1) - cubic],
        ),
        Step(
            "tempered, y is Gaussian of variance T with the cubic over T as correction: the "
            "mean of √λ y is -(1 - T)/2",
            shift.subs(a, T) - DRIFT_RHS,
        ),
    ]


# --- which students obey it ----------------------------------------------------------------------

delta = sp.Symbol("delta", nonnegative=True)
CONE_RHS = 4 * beta / (2 + 2**beta)
CONE_TWO_CONTEXTS_RHS = beta * sp.cosh(delta / 2) ** 2 / sp.cosh(beta * delta / 2) ** 2


def _moment(weights: Sequence[Any], slope: Any) -> Any:
    terms = [weight * sp.exp(slope * t) for t, weight in enumerate(weights)]
    return sum(t * term for t, term in enumerate(terms)) / sum(terms)


@claim(
    "Students closed under scaling of their logits obey the law whatever their rank; "
    "a frozen base plus an adapter does not: smallest counterexample, K = 3.",
    CONE_RHS,
    lhs=r"\left. \frac{dw'}{dw} \right|_{w=0}",
    of=(notation.inverse_temperature(0.1, 6),),
    assumes="Infinite samples; logits log(1, 2, 1) + w (0, 1, 2), w trained to the minimum. "
    "Below 1 (sharper than T = 0.273) the symmetric state is stable, but only locally.",
    near_misses={
        "the law of a cone": beta,
        "base tempered twice": 4 * beta / (2 + 4**beta),
        "without the normalisation": 2 * beta / 2**beta,
    },
    edges=[
        at(1.0, gives=1.0),
        at(0.0, gives=0.0),
        at(4.0, gives=16 / 18),
        at(1e4, gives=0.0),
    ],
)
def cone() -> list[Step]:
    """A cone of tables keeps the law; a frozen base measure (1, 2, 1) does not."""
    w, v, a, b = sp.symbols("w v a b", real=True)
    features = (a, b)
    low_rank = [w * feature for feature in (a, b, 0)]
    teacher = tempered(softmax(low_rank), T)
    loss = cross_entropy(teacher, [v * feature for feature in (*features, 0)])
    student = _moment([sp.Integer(1), 2, 1], w)
    drawn = _moment([sp.Integer(1), 2**beta, 1], beta * w)
    return [
        Step(
            "rank one, θ = w (a, b, 0): the loss in w alone is stationary at w/T",
            loss.diff(v).subs(v, w / T),
            reduce=expand,
        ),
        Step(
            "frozen base log(1, 2, 1) plus w (0, 1, 2): equal means at w = 0",
            (student - drawn).subs(w, 0),
        ),
        Step(
            "matching the means, dw'/dw at w = 0 is the claim",
            drawn.diff(w).subs(w, 0) / student.diff(w).subs(w, 0) - CONE_RHS,
        ),
    ]


@claim(
    "The same with two outcomes and two contexts whose offsets ±δ are frozen.",
    CONE_TWO_CONTEXTS_RHS,
    lhs=r"\left. \frac{dw'}{dw} \right|_{w=0}",
    of=(
        notation.inverse_temperature(0.1, 6),
        notation.offset(0, 4),
    ),
    assumes="Infinite samples, equally from both contexts; logit gaps w ± δ with the shared w "
    "trained to the minimum. A statement about small w: far away the gap grows as β w.",
    near_misses={
        "the law of a cone": beta,
        "offset not halved": beta * sp.cosh(delta) ** 2 / sp.cosh(beta * delta) ** 2,
        "not squared": beta * sp.cosh(delta / 2) / sp.cosh(beta * delta / 2),
    },
    edges=[
        at(1.0, 2.0, gives=1.0),
        at(3.0, 0.0, gives=3.0),
        at(1e-3, 30.0),
        at(100.0, 30.0, gives=0.0),
    ],
)
def cone_two_contexts() -> list[Step]:
    """One shared logit, two contexts with frozen offsets ±δ, two outcomes."""
    w = sp.Symbol("w", real=True)

    def mean(slope: Any) -> Any:
        return sum(1 / (1 + sp.exp(-slope * (w + sign * delta))) for sign in (1, -1)) / 2

    student, drawn = mean(1), mean(beta)
    ratio = drawn.diff(w).subs(w, 0) / student.diff(w).subs(w, 0)
    return [
        Step("the means agree at w = 0", (student - drawn).subs(w, 0)),
        Step(
            "matching the means, dw'/dw at w = 0 is the claim",
            (ratio - CONE_TWO_CONTEXTS_RHS).rewrite(sp.exp),
        ),
    ]


# --- trained on the final answers alone ----------------------------------------------------------

alpha: Any = sp.IndexedBase("alpha", real=True)
entropies: Any = sp.IndexedBase("H", real=True)
FINAL_ANSWER_RHS = entropies[OUTCOME] + (alpha[OUTCOME] - entropies[OUTCOME]) * T**-n


def _expand_powers(expression: Any) -> Any:
    """Take the common mass out of a sum of powers, and the logarithm of the product apart."""

    def factored(part: Any) -> Any:
        powers: Any = sp.powdenest(sp.expand_power_base(part, force=True))
        return sp.factor_terms(powers)

    split = expression.replace(lambda part: isinstance(part, sp.Add), factored)
    return sp.simplify(sp.expand_log(sp.powsimp(split), force=True))


_THREE_ANSWERS = {"logits": [0.4, -0.3, 0.1], "entropies": [1.2, 0.2, 0.7]}
_ONE_LOST = {"logits": [0.4, -math.inf, 0.1], "entropies": [1.2, 0.0, 0.7]}


@claim(
    "Trained on its final answers alone, a model tempers the probability of an "
    "answer for each of the e^H reasonings that lead to it; the reasonings stay.",
    FINAL_ANSWER_RHS,
    lhs=r"\alpha^{(n)}_i",
    of=(
        notation.logits.written(alpha)(-4, 4),
        notation.entropies(0, 3),
        notation.temperature(0.4, 2.5),
        notation.generation.written(n)(1, 12),
    ),
    assumes="Infinite samples of reasonings with answers; α the logits of the answers, H "
    "the Rényi entropies of order 1/T of their reasonings; each generation is a step of "
    "expectation maximisation on the likelihood of the answers. At T = 0, where several "
    "answers tie in their likeliest reasonings, the logits of generation 1 are the logarithms "
    "of the numbers of modes with each, and the law holds from there.",
    source="derived here, with the step of Dempster, Laird & Rubin (1977)",
    cites=("dempster1977", "phan2023"),
    up_to_shift=True,
    near_misses={
        "the answers tempered like outcomes": alpha[OUTCOME] * T**-n,
        "the entropies added once": entropies[OUTCOME] + alpha[OUTCOME] * T**-n,
        "away from varied reasonings": (alpha[OUTCOME] + entropies[OUTCOME]) * T**-n
        - entropies[OUTCOME],
        "off by one generation": FINAL_ANSWER_RHS.subs(n, n + 1),
    },
    edges=[
        Edge({**_THREE_ANSWERS, "temperature": 0.8, "generation": 0}, [0.4, -0.3, 0.1]),
        Edge({**_THREE_ANSWERS, "temperature": 1.0, "generation": 10**6}, [0.4, -0.3, 0.1]),
        Edge({**_THREE_ANSWERS, "temperature": 1 + 1e-12, "generation": 10**6}),
        Edge({**_THREE_ANSWERS, "temperature": 1 - 1e-12, "generation": 10**6}),
        Edge({**_THREE_ANSWERS, "temperature": 1e-3, "generation": 2}),
        Edge({**_THREE_ANSWERS, "temperature": 1.1, "generation": 10**6}, [1.2, 0.2, 0.7]),
        Edge(
            {**_THREE_ANSWERS, "temperature": 0.9, "generation": 10**6},
            [-math.inf, 0.0, -math.inf],
        ),
        Edge({**_THREE_ANSWERS, "temperature": math.inf, "generation": 1}, [1.2, 0.2, 0.7]),
        Edge({**_THREE_ANSWERS, "temperature": 0.0, "generation": 0}, [0.4, -0.3, 0.1]),
        Edge(
            {**_THREE_ANSWERS, "temperature": 0.0, "generation": 2},
            [-math.inf, 0.0, -math.inf],
        ),
        # 0.5 - 0.4 and 0.2 - 0.1 tie, which two roundings must not decide.
        Edge(
            {
                "logits": [0.5, 0.2, 0.1],
                "entropies": [0.4, 0.1, 0.7],
                "temperature": 0.5,
                "generation": 1100,
            },
            [0.4, 0.1, -math.inf],
        ),
        *(
            Edge({**_ONE_LOST, "temperature": temperature, "generation": 3}, expected)
            for temperature, expected in (
                (0.0, [-math.inf, -math.inf, 0.7]),
                (math.inf, [1.2, -math.inf, 0.7]),
            )
        ),
        Edge({**_ONE_LOST, "temperature": 0.7, "generation": 3}),
    ],
)
def final_answer() -> list[Step]:
    """Two answers with three reasonings each, from the likelihood of the answers."""
    raw = [sp.symbols(f"{name}1:4", positive=True) for name in ("r", "s")]
    reasonings = [[x / sum(group) for x in group] for group in raw]
    masses = sp.symbols("P Q", positive=True)
    data, others = sp.symbols("q1:3", positive=True), sp.symbols("u1:4", positive=True)
    logits = [
        sp.log(q) + sp.log(r) for q, group in zip(data, reasonings, strict=True) for r in group
    ]
    student = sp.symbols("x1:7", real=True)
    partition = sp.log(sum(sp.exp(x) for x in student))
    groups = student[:3], student[3:]
    loss: Any = -sum(
        q * (sp.log(sum(sp.exp(x) for x in group)) - partition)
        for q, group in zip(data, groups, strict=True)
    )
    here = dict(zip(student, logits, strict=True))
    slope: list[Any] = [loss.diff(x).subs(here, simultaneous=True) for x in student]
    normalised = {data[1]: 1 - data[0]}
    # What any model with the same answers is away from the last one, answer by answer.
    other = [u / sum(others) for u in others]
    q, p, r = data[0], masses[0], reasonings[0]
    beyond = kl_divergence([q * u for u in other], [p * x for x in r])
    nearest = kl_divergence([q * x for x in r], [p * x for x in r])
    drawn = [
        sum((mass * x) ** (1 / T) for x in group)
        for mass, group in zip(masses, reasonings, strict=True)
    ]
    renyi = [sp.log(sum(x ** (1 / T) for x in group)) / (1 - 1 / T) for group in reasonings]
    claim = [
        sp.log(mass) / T + (1 - 1 / T) * entropy
        for mass, entropy in zip(masses, renyi, strict=True)
    ]
    step = FINAL_ANSWER_RHS / T + (1 - 1 / T) * entropies[OUTCOME]
    # Two of three reasonings of the one answer are modes, and one of the other.
    gaps = sp.symbols("g1:4", positive=True)
    lower = dict(zip((*raw[0], *raw[1]), (0, 0, gaps[0], 0, *gaps[1:]), strict=True))
    levels = {r: sp.exp(-gap) for r, gap in lower.items()}
    sizes = {mass: sum(group) for mass, group in zip(masses, raw, strict=True)}
    of_modes: list[Any] = [sp.simplify(sp.S(part).subs(sizes)).subs(levels) for part in drawn]
    return [
        Step(
            "the gradient of the loss of the answers vanishes where they are those of the data, "
            "in whatever proportions their reasonings are",
            [sp.simplify(part).subs(normalised) for part in slope],
        ),
        Step(
            "of all such models that which keeps the proportions is nearest to the last one: "
            "another is further by q(y) times the divergence of its proportions",
            beyond - nearest - q * kl_divergence(other, r),
            reduce=lambda x: sp.simplify(sp.expand(sp.expand_log(x, force=True))),
        ),
        Step(
            "drawn at T, an answer has the logit α/T + (1 - 1/T) H, H the Rényi entropy of order "
            "1/T of its reasonings",
            (sp.log(drawn[0] / drawn[1]) - (claim[0] - claim[1])),
            reduce=_expand_powers,
        ),
        Step(
            "towards T = 0 the answers of the draws are as frequent as the modes that have them",
            [sp.limit(part, T, 0, "+") - m for part, m in zip(of_modes, (2, 1), strict=True)],
        ),
        Step("generation 0 is the initial model", FINAL_ANSWER_RHS.subs(n, 0) - alpha[OUTCOME]),
        Step(
            "if the law holds in generation n, it holds in the next",
            FINAL_ANSWER_RHS.subs(n, n + 1) - step,
        ),
    ]
