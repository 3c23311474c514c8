"""Families: classes of models that tempering keeps, and students that obey it.

Proofs in SymPy.
"""

import math
from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import OUTCOME, Edge, Step, at, claim
from fixedpoint.laws.notation import T, beta, t
from fixedpoint.symbolic import FinalAnswer, Loop, Temperature

k = sp.Symbol("k", integer=True, positive=True)

TEMPERED = Loop(Temperature(T))
SHARPENED = Loop(Temperature(1 / beta))


def log_odds(p: Any, first: int = 0, other: int = 1) -> Any:
    """The logarithm of p₁/p₂, of a model or of what is drawn from it."""
    return sp.expand(
        sp.expand_log(sp.powdenest(sp.log(p[first] / p[other]), force=True), force=True)
    )


# --- which families it keeps ---------------------------------------------------------------------

eta, c = sp.symbols("eta c", real=True)
lam = sp.Symbol("lambda", positive=True)
N = sp.Symbol("N", integer=True, positive=True)
FAMILY_RHS = (eta + c) * T**-t - c


@claim(
    "A family h(x) e^{ηs(x)} is closed under tempering iff log h ∈ span{1, s}; with "
    "slope c of log h in s, η + c is divided by T.",
    FAMILY_RHS,
    lhs=r"\eta_t",
    of=(
        notation.parameter(1, 4),
        notation.base_slope(-0.9, 0.9),
        notation.temperature(0.4, 2.5),
        notation.generation(0, 10),
    ),
    loop=TEMPERED,
    assumes="Every table of logits is allowed; log h = const + c s on the support; η_t lies in the "
    "natural domain (gamma: shape > 1 - Tᵗ; Pareto density x^{-α}: α > Tᵗ).",
    cites=("alemohammad2023",),
    near_misses={
        "base measure ignored": eta * T**-t,
        "base measure with the wrong sign": (eta - c) * T**-t + c,
        "base measure not restored": (eta + c) * T**-t,
    },
    edges=[
        at(3.0, -1.0, 1.0, 10**6),
        at(3.0, -1.0, 1.1, 10**6, gives=1.0),
        at(3.0, -1.0, 0.9, 10**6, gives=math.inf),
        at(3.0, -1.0, 0.5, 0),
    ],
)
def exponential_family(answer: Any) -> list[Step]:
    """Closure of h(x) e^{ηs(x)} under powers: iff log h lies in the span of 1 and s."""
    x, y, c0 = sp.symbols("x y c_0", positive=True)
    levels, bases = sp.symbols("s1:4", real=True), sp.symbols("g1:4", real=True)

    def model(log_h: Any) -> Any:
        return symbolic.softmax([g + eta * level for g, level in zip(log_h, levels, strict=True)])

    # One generation of three outcomes: which η has its log-odds, and which log h do they need?
    spanned = symbolic.next_model(TEMPERED, model([c0 + c * level for level in levels]))
    found = [
        sp.cancel(log_odds(spanned, 0, other) / (levels[0] - levels[other])) - c for other in (1, 2)
    ]
    eta_next = sp.Symbol("eta'", real=True)
    h_gap, s_gap = bases[0] - bases[1], levels[0] - levels[1]
    free = log_odds(symbolic.next_model(TEMPERED, model(bases)))
    needed = (1 / T - 1) * h_gap - (eta_next - eta / T) * s_gap

    def later(parameter: Any, slope: int) -> Any:
        """What is claimed of a parameter after one generation, with this slope of log h."""
        return answer.subs({eta: parameter, c: slope, t: 1}, simultaneous=True)

    def odds(log_density: Any, *parameters: Any) -> Any:
        return log_density(x, *parameters) - log_density(y, *parameters)

    mu, v, a, b, q, alpha = sp.symbols("mu sigma^2 a b q alpha", positive=True)
    narrowed = 1 / later(1 / v, 0)
    families = {
        "Gaussian: variance T σ²": (
            lambda z, mu, v: -((z - mu) ** 2) / (2 * v),
            (mu, v),
            (later(mu / v, 0) * narrowed, narrowed),
        ),
        "log-normal: μ - σ²(1 - T), T σ²": (
            lambda z, mu, v: -((sp.log(z) - mu) ** 2) / (2 * v) - sp.log(z),
            (mu, v),
            (later(mu / v, -1) * narrowed, narrowed),
        ),
        "gamma: 1 + (a - 1)/T, b/T": (
            lambda z, a, b: (a - 1) * sp.log(z) - b * z,
            (a, b),
            (later(a, -1), later(b, 0)),
        ),
        "geometric: q^{1/T}": (
            lambda z, log_q: z * log_q,
            (sp.log(q),),
            (later(sp.log(q), 0),),
        ),
        "Pareto: α/T": (
            lambda z, alpha: -alpha * sp.log(z),
            (alpha,),
            (later(alpha, 0),),
        ),
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
        Step("generation 0 is the start", answer.subs(t, 0) - eta),
        Step(
            "if log h = c₀ + c s, a generation has the log-odds of one η for all outcomes",
            found[0] - found[1],
            sizes={"K": 3},
        ),
        Step(
            "a generation of the loop leads from t to t + 1",
            answer.subs(t, t + 1) - answer.subs(eta, found[0]),
        ),
        Step(
            "conversely, staying in the family says (1/T - 1) log h ∈ span{1, s}",
            free - (h_gap + eta_next * s_gap) - needed,
            reduce=sp.expand,
        ),
        Step(
            "the odds that are drawn are powers of the model's, of any two values",
            log_odds(TEMPERED.drawn([x, y])) - log_odds([x, y]) / T,
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
    loop=TEMPERED,
    assumes="The student is a Poisson law of least cross-entropy; the terms "
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
def poisson(answer: Any) -> list[Step]:
    """The refit in the Poisson family matches the mean; the family is not closed."""
    matched = []
    for size in (2, 3, 4):
        p = symbolic.normalised([lam**count / sp.factorial(count) for count in range(size)])
        drawn = symbolic.next_model(TEMPERED, p)
        # The student's log-probability of a count, -log x! aside, which does not move.
        loss: Any = -sum(q * (count * eta - sp.exp(eta)) for count, q in enumerate(drawn))
        mean = sp.sympify(answer).subs(N, size).doit()
        matched.append(
            Step(
                "the cross-entropy is stationary where e^η is the claimed mean",
                loss.diff(eta).subs(eta, sp.log(mean)),
                reduce=lambda e: sp.factor(sp.expand_power_base(sp.powdenest(e), force=True)),
                sizes={"N": size},
            )
        )
    tempered_mean = sp.Symbol("M")
    return [
        *matched,
        Step(
            "and convex there: its curvature is e^η",
            -(tempered_mean * eta - sp.exp(eta)).diff(eta, 2) - sp.exp(eta),
        ),
        Step(
            "log h = -log x! is not affine in x: its second difference at 0 is -log 2, not 0",
            (-sp.log(sp.factorial(2)) + 2 * sp.log(sp.factorial(1)) - sp.log(sp.factorial(0)))
            + sp.log(2),
        ),
    ]


DRIFT_RHS = -(1 - T) / 2


@claim(
    "A large Poisson mean moves by a constant per generation, not by a factor.",
    DRIFT_RHS,
    lhs=r"\lambda_{t+1} - \lambda_t",
    kind="asymptotic",
    of=(notation.temperature(0.2, 2),),
    loop=TEMPERED,
    assumes="The student is a Poisson law; λ large, correction of order 1/λ.",
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
def poisson_drift(answer: Any) -> list[Step]:
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

    # What is drawn has the power 1/a of the weights, so that y has the variance a.
    weights = sp.symbols("w1:3", positive=True)
    spread = sp.cancel(log_odds(weights) / log_odds(TEMPERED.drawn(weights)))
    shift = gaussian_mean(y * cubic / a)
    return [
        Step(
            "log(λ^x/x!) = const - y²/2 + s(y³/6 - y/2) + O(s²), with s = 1/√λ",
            [expansion.coeff(s, 0) + y**2 / 2, expansion.coeff(s, 1) - cubic],
        ),
        Step(
            "tempered, y is Gaussian of variance T with the cubic over T as correction: the "
            "mean of √λ y is -(1 - T)/2",
            shift.subs(a, spread) - answer,
        ),
    ]


# --- which students obey it ----------------------------------------------------------------------

delta = sp.Symbol("delta", nonnegative=True)
CONE_RHS = 4 * beta / (2 + 2**beta)
CONE_TWO_CONTEXTS_RHS = beta * sp.cosh(delta / 2) ** 2 / sp.cosh(beta * delta / 2) ** 2


def multiplier(loss: Any, student: Any, last: Any) -> Any:
    """dw'/dw at w = 0 where the slope of the loss in w' vanishes."""
    slope = loss.diff(student)
    start = {student: 0, last: 0}
    return -slope.diff(last).subs(start) / slope.diff(student).subs(start)


@claim(
    "Students closed under scaling of their logits obey the law whatever their rank; "
    "a frozen base plus an adapter does not: smallest counterexample, K = 3.",
    CONE_RHS,
    lhs=r"\left. \frac{dw'}{dw} \right|_{w=0}",
    of=(notation.inverse_temperature(0.1, 6),),
    loop=SHARPENED,
    assumes="Logits log(1, 2, 1) + w (0, 1, 2), w trained to the minimum. "
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
def cone(answer: Any) -> list[Step]:
    """A cone of tables keeps the law; a frozen base measure (1, 2, 1) does not."""
    w, v = sp.symbols("w w'", real=True)
    features = [*sp.symbols("a b", real=True), 0]

    def low_rank(parameter: Any) -> list[Any]:
        return [parameter * feature for feature in features]

    def adapted(parameter: Any) -> list[Any]:
        return [sp.log(base) + parameter * place for place, base in enumerate((1, 2, 1))]

    def loss(table: Any) -> Any:
        drawn = symbolic.next_model(SHARPENED, [sp.exp(x) for x in table(w)])
        return symbolic.cross_entropy(drawn, table(v))

    return [
        Step(
            "frozen base log(1, 2, 1) plus w (0, 1, 2): the slope of the loss, set to 0, gives "
            "dw'/dw at w = 0",
            multiplier(loss(adapted), v, w) - answer,
        ),
        Step(
            "where w = 0 stays",
            loss(adapted).diff(v).subs({v: 0, w: 0}),
        ),
        Step(
            "rank one, θ = w (a, b, 0): the loss in w alone is stationary at w/T",
            loss(low_rank).diff(v).subs(v, beta * w),
            reduce=symbolic.elementary,
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
    loop=SHARPENED,
    assumes="Samples equally from both contexts; logit gaps w ± δ with the shared w "
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
def cone_two_contexts(answer: Any) -> list[Step]:
    """One shared logit, two contexts with frozen offsets ±δ, two outcomes."""
    w, v = sp.symbols("w w'", real=True)

    def table(parameter: Any, sign: int) -> list[Any]:
        return [parameter + sign * delta, 0]

    loss: Any = sum(
        symbolic.cross_entropy(
            symbolic.next_model(SHARPENED, [sp.exp(x) for x in table(w, sign)]), table(v, sign)
        )
        for sign in (1, -1)
    )
    return [
        Step(
            "the slope of the loss, set to 0, gives dw'/dw at w = 0",
            (multiplier(loss, v, w) - answer).rewrite(sp.exp),
            reduce=symbolic.elementary,
        ),
        Step("where w = 0 stays", loss.diff(v).subs({v: 0, w: 0}), reduce=symbolic.elementary),
    ]


# --- trained on the final answers alone ----------------------------------------------------------

alpha: Any = notation.logits_answers.symbol
entropies: Any = notation.entropies.symbol
ANSWERED = Loop(Temperature(T), learner=FinalAnswer((0, 0, 0, 1, 1, 1)))
"""Two answers with three reasonings each; the claim is about any."""
FINAL_ANSWER_RHS = entropies[OUTCOME] + (alpha[OUTCOME] - entropies[OUTCOME]) * T**-t


def _expand_powers(expression: Any) -> Any:
    """Take the common mass out of a sum of powers, and the logarithm of the product apart."""

    def factored(part: Any) -> Any:
        powers: Any = sp.powdenest(sp.expand_power_base(part, force=True))
        return sp.factor_terms(powers)

    split = expression.replace(lambda part: isinstance(part, sp.Add), factored)
    return sp.simplify(sp.expand_log(sp.powsimp(split), force=True))


_THREE_ANSWERS = {"logits_answers": [0.4, -0.3, 0.1], "entropies": [1.2, 0.2, 0.7]}
_ONE_LOST = {"logits_answers": [0.4, -math.inf, 0.1], "entropies": [1.2, 0.0, 0.7]}


@claim(
    "Trained on its final answers alone, a model tempers the probability of an "
    "answer for each of the e^H reasonings that lead to it; the reasonings stay.",
    FINAL_ANSWER_RHS,
    lhs=r"\alpha^{(t)}_i",
    of=(
        notation.logits_answers(-4, 4),
        notation.entropies(0, 3),
        notation.temperature(0.4, 2.5),
        notation.generation(1, 12),
    ),
    loop=ANSWERED,
    assumes="α the logits of the answers, H "
    "the Rényi entropies of order 1/T of their reasonings; each generation is a step of "
    "expectation maximisation on the likelihood of the answers. At T = 0, where several "
    "answers tie in their likeliest reasonings, the logits of generation 1 are the logarithms "
    "of the numbers of modes with each, and the law holds from there.",
    source="derived here, with the step of Dempster, Laird & Rubin (1977)",
    cites=("dempster1977", "phan2023"),
    up_to_shift=True,
    near_misses={
        "the answers tempered like outcomes": alpha[OUTCOME] * T**-t,
        "the entropies added once": entropies[OUTCOME] + alpha[OUTCOME] * T**-t,
        "away from varied reasonings": (alpha[OUTCOME] + entropies[OUTCOME]) * T**-t
        - entropies[OUTCOME],
        "off by one generation": FINAL_ANSWER_RHS.subs(t, t + 1),
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
                "logits_answers": [0.5, 0.2, 0.1],
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
def final_answer(answer: Any) -> list[Step]:
    """Two answers with three reasonings each, from the likelihood of the answers."""
    raw = [sp.symbols(f"{name}1:4", positive=True) for name in ("r", "s")]
    reasonings = [symbolic.normalised(group) for group in raw]
    masses = sp.symbols("P Q", positive=True)
    model = [m * r for m, group in zip(masses, reasonings, strict=True) for r in group]
    after = symbolic.next_model(ANSWERED, model)
    drawn = ANSWERED.drawn(model)

    # The likelihood of the answers, and its slope at what the learner makes of the data q.
    data, others = sp.symbols("q1:3", positive=True), sp.symbols("u1:4", positive=True)
    spread = [q / 3 for q in data for _ in range(3)]
    here = ANSWERED.learner.completed(model, spread)
    student = sp.symbols("x1:7", real=True)
    partition = sp.log(sum(sp.exp(x) for x in student))
    groups = student[:3], student[3:]
    loss: Any = -sum(
        q * (sp.log(sum(sp.exp(x) for x in group)) - partition)
        for q, group in zip(data, groups, strict=True)
    )
    start = dict(zip(student, symbolic.logits(here), strict=True))
    slope = [loss.diff(x).subs(start).subs(data[1], 1 - data[0]) for x in (student[0], student[3])]
    # What any model with the same answers is away from the last one, answer by answer.
    other = symbolic.normalised(others)
    q, p, r = data[0], masses[0], reasonings[0]
    beyond = symbolic.kl_divergence([q * u for u in other], [p * x for x in r])
    nearest = symbolic.kl_divergence([q * x for x in r], [p * x for x in r])

    # Drawn and learnt, the log-odds of the answers; in H, what is claimed of them.
    moved = alpha[OUTCOME] / T + (1 - 1 / T) * entropies[OUTCOME]
    renyi = [sp.log(sum(x ** (1 / T) for x in group)) / (1 - 1 / T) for group in reasonings]
    logits = [
        moved.subs({alpha[OUTCOME]: sp.log(mass), entropies[OUTCOME]: entropy})
        for mass, entropy in zip(masses, renyi, strict=True)
    ]
    odds = sp.log(sum(drawn[:3]) / sum(drawn[3:]))
    # Two of three reasonings of the one answer are modes, and one of the other.
    gaps = sp.symbols("g1:4", positive=True)
    lower = dict(zip((*raw[0], *raw[1]), (0, 0, gaps[0], 0, *gaps[1:]), strict=True))
    sizes = {mass: sum(group) for mass, group in zip(masses, raw, strict=True)}
    unnormalised = [
        [(sp.cancel(x.subs(sizes))) ** (1 / T) for x in model[first : first + 3]]
        for first in (0, 3)
    ]
    of_modes: list[Any] = [
        sp.Add(*unnormalised[group]).subs({r: sp.exp(-gap) for r, gap in lower.items()})
        for group in (0, 1)
    ]
    return [
        Step("generation 0 is the initial model", answer.subs(t, 0) - alpha[OUTCOME]),
        Step(
            "if the law holds in generation t, it holds in the next",
            answer.subs(t, t + 1) - answer.subs(alpha[OUTCOME], moved),
        ),
        Step(
            "drawn at T, an answer has the logit α/T + (1 - 1/T) H, H the Rényi entropy of order "
            "1/T of its reasonings",
            odds - (logits[0] - logits[1]),
            reduce=_expand_powers,
        ),
        Step(
            "the learner has the answers of what is drawn, and leaves the reasonings of each",
            [
                sum(after[:3]) - sum(drawn[:3]),
                *(
                    after[first + place] * group[0] - after[first] * group[place]
                    for first, group in zip((0, 3), reasonings, strict=True)
                    for place in (1, 2)
                ),
            ],
            reduce=sp.factor,
        ),
        Step(
            "at its model the gradient of the loss of the answers vanishes",
            slope,
        ),
        Step(
            "of all such models that which keeps the proportions is nearest to the last one: "
            "another is further by q(y) times the divergence of its proportions",
            beyond - nearest - q * symbolic.kl_divergence(other, r),
            reduce=lambda x: sp.simplify(sp.expand(sp.expand_log(x, force=True))),
        ),
        Step(
            "towards T = 0 the answers of the draws are as frequent as the modes that have them",
            [sp.limit(part, T, 0, "+") - m for part, m in zip(of_modes, (2, 1), strict=True)],
        ),
    ]
