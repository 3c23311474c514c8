"""Metastability: refits to n samples at a temperature, and how rarely they lose an outcome.

Proofs in SymPy.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp
from sympy.utilities.lambdify import implemented_function

from fixedpoint.laws import notation
from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Step, at, claim, total

theta: Any = sp.IndexedBase("theta", real=True)
T = sp.Symbol("T", positive=True)
z = sp.Symbol("z", real=True)
n, t, k = sp.symbols("n t k", integer=True, positive=True)
j = sp.Symbol("j", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
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


def plain(expression: Any) -> Any:
    """Reduce with the logarithms as independent symbols: quick, and enough for polynomials."""
    expanded = sp.expand_log(sp.expand_log(expression, force=True).doit(), force=True)
    logarithms = {found: sp.Dummy() for found in expanded.atoms(sp.log)}
    return sp.cancel(sp.together(expanded.xreplace(logarithms)))


def entropic(upper: Any, factor: Any = 2, sign: int = 1) -> Any:
    """∫₀^upper e^{2κS}."""
    exponent = sign * factor * n * (1 / T - 1) * mixing_entropy(y)
    return sp.Integral(sp.exp(exponent), (y, 0, upper))


@claim(
    "Close to temperature 1 the chance to be the last of two outcomes is an integral over "
    "the exponential of the entropy: the entropy is the potential of the drift.",
    entropic(share) / entropic(1),
    lhs=r"{\mathbb{P}(p_\infty=e_1)}",
    kind="asymptotic",
    of=(
        notation.probability,
        notation.temperature,
        notation.num_samples,
    ),
    assumes=TEMPERED + " n → ∞ with κ = n(1/T − 1) fixed.",
    source="an instance of Kimura, Genetics 47:713 (1962); the rule is conformist transmission "
    "(Boyd, Richerson 1985); the form with the entropy: derived here",
    cites=("kimura1962", "boyd1985"),
    accuracy=1e-10,
    near_misses={
        "half the exponent": entropic(share, 1) / entropic(1, 1),
        "the opposite sign": entropic(share, 2, -1) / entropic(1, 2, -1),
        "diploid: twice the exponent": entropic(share, 4) / entropic(1, 4),
        "neutral": share,
    },
    edges=[
        at(0.3, 0.5, 2),
        at(0.3, 2.0, 4),
        at(0.7, 0.8, 40),
        at(0.01, 1.02, 200),
        at(0.3, 0.5, 300),
        at(0.0, 0.5, 2, gives=0.0),
        at(1.0, 0.5, 2, gives=1.0),
        at(0.2, 1.0, 50, gives=0.2),
    ],
)
def scale_function() -> list[Step]:
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


@claim(
    "At a state of less entropy than n samples of equal outcomes have on average there is "
    "one temperature at which the mean entropy stands still, above 1 by d/(2n) over the "
    "variance of ln p (at other states it falls at every temperature); it is no transition "
    "of the process.",
    1 + (K - 1) / (2 * n * varentropy()),
    lhs="T_c",
    kind="asymptotic",
    of=(
        notation.logits(-3, 3),
        notation.num_samples(30, 2000),
    ),
    assumes="Refits to n fresh samples at T; leading order in 1/n; d = K − 1, all outcomes alive; "
    "S(p) < log n − E log(1 + X), X ~ Bin(n−1, 1/K). Elsewhere the solution is infinite.",
    accuracy=1e-11,
    near_misses={
        "twice the toll": 1 + (K - 1) / (n * varentropy()),
        "K instead of K − 1": 1 + K / (2 * n * varentropy()),
        "the second moment of the logits": 1
        + (K - 1)
        * total(sp.exp(theta[j]), j)
        / (2 * n * total(sp.exp(theta[j]) * theta[j] ** 2, j)),
        "below 1": 1 - (K - 1) / (2 * n * varentropy()),
    },
    edges=[
        at(LOGITS, 1, gives=float("inf")),
        at(LOGITS, 10**9),
        at([math.log(0.6), math.log(0.4)], 10, gives=float("inf")),
        at([math.log(0.6), math.log(0.4)], 30),
        at([0.7, 0.7, 0.7], 9, gives=float("inf")),
        at(FIXED, 9, gives=1.0),
        at([0.0, float("-inf"), 2.0], 50, gives=1 + 1 / (100 * 4 * 0.10499358540350652)),
    ],
)
def critical_temperature() -> list[Step]:
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


@claim(
    "Above temperature 1 two outcomes live side by side for a time that is exponential in "
    "the number of samples, with the least action of a path to the loss as its rate.",
    c(T),
    lhs=r"{\lim_{n\to\infty}\frac1n\ln\mathbb{E}[\tau]}",
    kind="asymptotic",
    of=(notation.temperature,),
    assumes=TEMPERED + " T > 1 fixed, n → ∞. A constant prefactor, E[τ] = C(T) e^{cn}, is visible "
    "only for n^{1−1/T} ≫ 1.",
    source=FORMAL,
    cites=("freidlin2012",),
    accuracy=1e-9,
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
    edges=[
        at(1.25),
        at(1.5),
        at(2.0),
        at(5.0),
        at(50.0),
        at(float("inf"), gives=math.log(2)),
        at(1.0, gives=0.0),
        at(0.5, gives=0.0),
    ],
)
def metastability() -> list[Step]:
    """The cost of a transition, the cheapest path, and its ends."""
    return prove_metastability()


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


@claim(
    "The least action near temperature 1, to the third order in 1 − 1/T.",
    series(THIRD_ORDER),
    lhs=c(T),
    kind="asymptotic",
    of=(notation.temperature(1.0, 2.0),),
    assumes="T → 1 from above; a formal series (its convergence is not known).",
    source=FORMAL + "; the coefficient with ζ(3) was found numerically, then checked",
    cites=("freidlin2012",),
    near_misses={
        "two terms": series(0),
        "without ζ(3)": series(-2 * sp.log(2) / 9),
        "the second term with the opposite sign": series(THIRD_ORDER, sp.log(2) / 3),
        "twice ζ(3)": series(-2 * sp.log(2) / 9 - sp.zeta(3) / 6),
    },
    edges=[
        at(1.0, gives=0.0),
    ],
)
def action_series() -> list[Step]:
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


@claim(
    "Above temperature 1 one of K equal outcomes is lost after a time whose exponent falls "
    "with K: each further loss takes exponentially longer than the one before.",
    stair(size, T),
    lhs=r"{\lim_{n\to\infty}\frac1n\ln\mathbb{E}[\tau_K]}",
    kind="asymptotic",
    of=(
        notation.num_outcomes.written(size),
        notation.temperature,
    ),
    assumes="T > 1 fixed, n → ∞; the path keeps the other outcomes equal, which makes it an upper "
    "bound for K ≥ 3 (the exact chain of K = 3 agrees).",
    source=FORMAL,
    cites=("freidlin2012",),
    accuracy=1e-8,
    near_misses={
        "the weak limit": 2 * (1 - 1 / T) * sp.log(size / (size - 1)),
        "as if every draw were uniform": sp.log(size / (size - 1)),
        "that of two outcomes": stair(2, T),
        "one more outcome": stair(size + 1, T),
    },
    edges=[
        at(2, 2.0),
        at(3, 2.0),
        at(5, 1.5),
        at(100, 4.0),
        at(4, float("inf"), gives=math.log(4 / 3)),
        at(4, 1.0, gives=0.0),
    ],
)
def staircase() -> list[Step]:
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


def eigenvalue(cold: Any = T, neutral: Any = 1 - 1 / n, hot: Any = sp.S.One) -> Any:
    """Below, at and above temperature 1."""
    return sp.Piecewise((cold, T < 1), (neutral, sp.Eq(T, 1)), (hot, True))


@claim(
    "The chance that two outcomes are both alive falls by the factor T a generation below "
    "temperature 1, by 1 − 1/n at 1, and exponentially little above it.",
    eigenvalue(),
    lhs=r"{\lambda_1}",
    kind="asymptotic",
    of=(
        notation.temperature(0.1, 5),
        notation.num_samples(2, 1000),
    ),
    assumes=TEMPERED + " Exact at T = 1; n → ∞ at fixed T ≠ 1, exponentially fast.",
    source="T = 1: known (Feller 1951); T ≠ 1: derived here (formal)",
    cites=("feller1951",),
    near_misses={
        "the square below 1": eigenvalue(cold=T**2),
        "with a term in 1/n below 1": eigenvalue(cold=T * (1 - 1 / n)),
        "diploid at 1": eigenvalue(neutral=1 - 1 / (2 * n)),
        "like 1/T above 1": eigenvalue(hot=1 / T),
    },
    edges=[
        at(1.0, 7),
        at(0.0, 7, gives=0.0),
        at(float("inf"), 7, gives=1.0),
    ],
)
def slow_eigenvalue() -> list[Step]:
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
