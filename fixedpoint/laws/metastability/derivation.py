"""Metastability: refits to n samples at a temperature, and how rarely they lose an outcome.

Proofs in SymPy.
"""

import itertools
import math
from functools import lru_cache
from typing import Any

import mpmath
import sympy as sp
from sympy.utilities.lambdify import implemented_function

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import FIXED, LOGITS, Step, at, claim, evaluate, total
from fixedpoint.laws.notation import K, T, beta, n, theta, z
from fixedpoint.symbolic import Fresh, Loop, Temperature, chance, elementary, shares, sigmoid

j: Any = sp.Symbol("j", integer=True, positive=True)
share, x, y = sp.symbols("x_0 x y", positive=True)

LOOP = Loop(Temperature(T), Fresh(n))
UNTEMPERED = symbolic.given(LOOP, {T: sp.Integer(1)})
FORMAL = "derived here (formal: large deviations, Freidlin and Wentzell)"


def entropic(upper: Any, factor: Any = 2, sign: int = 1) -> Any:
    """∫₀^upper e^{2κS}."""
    exponent = sign * factor * n * (1 / T - 1) * symbolic.entropy([y, 1 - y])
    return sp.Integral(sp.exp(exponent), (y, 0, upper))


@claim(
    "Close to temperature 1 the chance to be the last of two outcomes is an integral over "
    "the exponential of the entropy: the entropy is the potential of the drift.",
    entropic(share) / entropic(1),
    lhs=r"{\mathbb{P}(p_\infty=e_1)}",
    kind="asymptotic",
    of=(
        notation.probability(0.05, 0.95),
        notation.temperature(0.7, 1.5),
        notation.num_samples(2, 60),
    ),
    loop=LOOP,
    assumes="K = 2; n → ∞ with κ = n(1/T − 1) fixed.",
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
def scale_function(answer: Any) -> list[Step]:
    """Drift and noise of one generation at T = 1/(1 + κ/n), and the harmonic function."""
    kappa, rate = sp.symbols("kappa delta", positive=True)
    scaled = {T: 1 / (1 + rate), n: kappa / rate}

    def leading(power: int) -> tuple[Any, Any]:
        """E (p' − p)^power of a generation at δ = κ/n → 0, and n times that."""
        drawn = symbolic.given(LOOP, {T: scaled[T]}).drawn([share, 1 - share])[0]
        moved = symbolic.mean(UNTEMPERED, [y, 1 - y], lambda p: (p[0] - share) ** power)
        moved = sp.expand(sp.expand(moved).subs(n, scaled[n])).subs(y, drawn)
        return moved.subs(rate, 0), kappa * sp.diff(moved, rate).subs(rate, 0)

    (still, drift), (quiet, noise) = leading(1), leading(2)
    u = sp.sympify(answer).subs(scaled)
    slope = sp.diff(u, share)

    def without_empty(value: Any) -> Any:
        """Integrals over nothing are 0; the others stay as they are."""
        return value.xreplace({v: 0 for v in value.atoms(sp.Integral) if v.limits[0][2] == 0})

    return [
        Step(
            "the claimed chance is 0 at p = 0 and 1 at p = 1",
            [without_empty(u.subs(share, 0)), without_empty(u.subs(share, 1)) - 1],
            reduce=sp.expand,
        ),
        Step(
            "drift: n E[p' − p] → κ p(1 − p) logit p, as 1/T = 1 + κ/n",
            [still, drift - kappa * share * (1 - share) * sp.log(share / (1 - share))],
            reduce=elementary,
        ),
        Step("noise: n Var p' → p(1 − p)", [quiet, noise - share * (1 - share)], reduce=elementary),
        Step(
            "one generation leaves the claimed chance alone: ½ noise u'' + drift u' = 0, and n "
            "and T are in it through κ only",
            noise / 2 * sp.diff(slope, share) / slope + drift,
            reduce=elementary,
        ),
    ]


def entropy_of_uniform_samples(num_outcomes: int, size: int) -> Any:
    """Mean entropy of n samples of K equal outcomes: log n − E log(1 + X), X ~ Bin(n − 1, 1/K)."""
    even = [sp.Rational(1, num_outcomes), 1 - sp.Rational(1, num_outcomes)]
    hits = (sp.log(1 + c) * chance((c, size - 1 - c), even) for c in range(size))
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
        notation.logits(-10, 10),
        notation.num_samples(30, 2000),
    ),
    loop=LOOP,
    assumes="Leading order in 1/n; d = K − 1, all outcomes alive; "
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
def critical_temperature(answer: Any) -> list[Step]:
    """Two changes of the mean entropy of order 1/n."""
    cancel = []
    for size in (2, 3):
        p = shares(size)
        slope = sp.diff(symbolic.entropy(LOOP.drawn(p)), T).subs(T, 1)
        toll = symbolic.generator(UNTEMPERED, symbolic.entropy, p, n) / n
        claimed = symbolic.written_out(answer, p)
        cancel.append(
            Step(
                "in a generation at T the mean entropy changes by (T − 1) dS(p_T)/dT and by half "
                "the trace of S'' times the covariance: at the claimed T they cancel",
                (claimed - 1) * slope + toll,
                reduce=elementary,
                sizes={"K": size},
            )
        )
    hottest = []
    for size, number in ((2, 4), (3, 3)):
        uniform = symbolic.given(LOOP, {T: sp.oo, n: number})
        alive = lambda p: symbolic.entropy([x for x in p if x != 0])  # noqa: E731
        drawn = symbolic.mean(uniform, shares(size), alive)
        hottest.append(drawn - entropy_of_uniform_samples(size, number))
    values = sp.symbols("f0:6")
    drawn = sum(f * chance((c, 5 - c), [x, 1 - x]) for c, f in enumerate(values))
    bends = [
        20 * (values[c + 2] - 2 * values[c + 1] + values[c]) * chance((c, 3 - c), [x, 1 - x])
        for c in range(4)
    ]
    return [
        *cancel,
        Step(
            "the mean of Σf(p') is Σg(p), and g'' is a mean of f's second differences: with the "
            "entropy's concave f, g is concave, so that the mean rises as T makes p more even",
            sp.expand(sp.diff(drawn, x, 2) - sum(bends)),
            sizes={"n": 5},
        ),
        Step(
            "at T = ∞ it is log n − E log(1 + X), X ~ Bin(n−1, 1/K): S(p) is reached only if less "
            "than that",
            hottest,
            reduce=elementary,
            sizes={"K": (2, 3), "n": (3, 4)},
        ),
    ]


def least_action(size: Any, temperature: Any, digits: int = 25) -> Any:
    """The action of the cheapest path from K equal outcomes to the loss of one of them.

    The Euler–Lagrange equation (see `metastability`) is followed backwards from the last
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


c: Any = implemented_function("c", lru_cache(lambda temperature: least_action(2, temperature)))
stair: Any = implemented_function("c_K", lru_cache(least_action))


def followed(size: int, temperature: float) -> float:
    """The least action again, to about 10 digits: the path followed forwards.

    It leaves the fixed point along the direction that grows by T a generation, at a distance
    between 1e-4 and T times that, and must end in the loss exactly: between paths that would go
    below 0 and paths that turn round. There are such paths of two lengths; the cheaper one counts.
    """
    exp, log, b = math.exp, math.log, 1 / temperature
    rest = -log(size - 1)

    def follow(distance: float) -> tuple[bool, float]:
        u_before, u = -b * distance, -distance
        action = (1 - b**2) / (1 + exp(rest)) / (1 + exp(-rest)) * distance**2 / 2
        while True:
            here, drawn = 1 / (1 + exp(-rest - u)), rest + b * u
            after = 1 / (1 + exp(-drawn)) + here * (1 - here) * (u - b * u_before) / b
            if after <= 0 or after >= here:
                return after <= 0, action + math.log1p(exp(drawn))
            logit = log(after / (1 - after))
            action += after * (logit - drawn) + math.log1p(exp(drawn)) - math.log1p(exp(logit))
            u_before, u = u, logit - rest

    grid = [1e-4 * temperature ** (step / 40) for step in range(41)]
    least = math.inf
    for low, high in itertools.pairwise(grid):
        if follow(low)[0] == follow(high)[0]:
            continue
        lost, turned = (low, high) if follow(low)[0] else (high, low)
        for _ in range(50):
            middle = (lost + turned) / 2
            lost, turned = (middle, turned) if follow(middle)[0] else (lost, middle)
        least = min(least, follow(lost)[1])
    return least


def same_actions(answer: Any, points: list[tuple[dict[Any, Any], Any]], **sizes: Any) -> Step:
    """A step that closes if the answer has the followed actions, to 9 digits."""
    gaps = [evaluate(answer, numbers, 20) - action for numbers, action in points]
    return Step(
        "the answer is the action of the cheapest path, followed along this equation in both "
        "directions, to 9 digits",
        [sp.Integer(0) if abs(gap) < 1e-9 else sp.Float(gap, 9) for gap in gaps],
        method="points",
        sizes=sizes,
    )


def softplus(value: Any) -> Any:
    """A(u) = ln(1 + e^u)."""
    return sp.log(1 + sp.exp(value))


def cost(after: Any, before: Any) -> Any:
    """D(x' ‖ y) of two outcomes, in the logit of x' and in that of the model before."""
    drawn = beta * before
    return sigmoid(after) * (after - drawn) + softplus(drawn) - softplus(after)


def cost_of_a_generation() -> list[Step]:
    """What the chance of a generation of the loop costs."""
    loop = symbolic.given(LOOP, {T: 1 / beta})
    y = sp.symbols("y", positive=True)
    drawn = loop.drawn(symbolic.softmax([z, sp.Integer(0)]))
    logit = sp.log(drawn[0] / drawn[1])
    corpus = [n * x, n * (1 - x)]
    ratio = chance(corpus, [y, 1 - y]) / chance(corpus, [x, 1 - x])
    after, before = sp.symbols("a b", positive=True)
    coin = symbolic.kl_divergence(*([v / (1 + v), 1 / (1 + v)] for v in (after, before**beta)))
    written = cost(sp.log(after), sp.log(before))
    return [
        Step("the logit z is drawn with the logit βz", sp.expand_log(logit, force=True) - beta * z),
        Step(
            "the corpus with the share x' has e^{−nD(x'‖y)} times its chance if x' were drawn, "
            "which is at least 1/(n + 1)",
            sp.expand_log(sp.log(ratio), force=True)
            + n * symbolic.kl_divergence([x, 1 - x], [y, 1 - y]),
            reduce=elementary,
        ),
        Step(
            "D(x'‖σ(βz)) = x'(z' − βz) + A(βz) − A(z'), A(u) = ln(1 + e^u)",
            sp.expand_log(coin - written, force=True),
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
    loop=LOOP,
    assumes="K = 2; T > 1 fixed, n → ∞. A constant prefactor, E[τ] = C(T) e^{cn}, is visible "
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
def metastability(answer: Any) -> list[Step]:
    """The cost of a transition, the cheapest path, and its ends."""
    u = sp.symbols("z_1:4", real=True)
    force = sp.diff(cost(u[1], u[0]) + cost(u[2], u[1]), u[1])
    claimed = sigmoid(u[1]) * (1 - sigmoid(u[1])) * (u[1] - beta * u[0]) + beta * (
        sigmoid(beta * u[1]) - sigmoid(u[2])
    )
    d, rate = sp.symbols("d lambda", positive=True)
    path = claimed.subs(dict(zip(u, (d, rate * d, rate**2 * d), strict=True)))
    linear = sp.diff(path, d).subs(d, 0)
    step = sp.diff(cost(rate * d, d), d, 2).subs({d: 0, rate: 1 / beta}) / 2
    even = symbolic.given(LOOP, {T: sp.oo}).drawn(shares(2))
    lost = sum(p**n for p in even)
    return [
        *cost_of_a_generation(),
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
            sp.limit(sp.log(1 / lost) / n, n, sp.oo) - sp.log(2),
        ),
        same_actions(
            answer,
            [
                ({T: 2}, followed(2, 2)),
                ({T: 4}, followed(2, 4)),
                ({T: mpmath.inf}, mpmath.log(2)),
            ],
            T=(2, 4, sp.oo),
        ),
    ]


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
    loop=LOOP,
    assumes="K = 2; T → 1 from above; a formal series (its convergence is not known).",
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
def action_series(answer: Any) -> list[Step]:
    """The momentum on the path, order by order, and its integral."""
    epsilon, after = notation.epsilon, sp.Symbol("z'", real=True)
    orders = [half_line(v) for v in momenta()]
    action = -sum(v * epsilon ** (power + 1) for power, v in enumerate(orders))
    W = sum((v * e_ ** (power + 1) for power, v in enumerate(momenta())), ring.zero)
    shift = ring.zero
    for _ in range(4):
        shift = to_order(-e_ * z_ + shifted(W, shift))
    inverse = sum((e_**power for power in range(5)), ring.zero)
    balance = shifted(x_, shift) - shifted(x_, -e_ * z_) - to_order(x_ * (1 - x_) * W * inverse)
    return [
        Step(
            "c = −∫ W dx from x = 0 to 1/2, order by order in ε = 1 − 1/T",
            answer.subs(T, 1 / (1 - epsilon)) - action,
            reduce=sp.expand,
        ),
        *cost_of_a_generation(),
        Step(
            "the cost of a generation rises with x' by W = z' − βz",
            sp.diff(cost(after, z), after) / sp.diff(sigmoid(after), after) - (after - beta * z),
        ),
        Step(
            "σ(w) = σ(βz) + σ'(z) W(z)/β at the next point w = βz + W(w), orders ε to ε⁴",
            to_order(balance).as_expr(),
        ),
    ]


@claim(
    "Above temperature 1 one of K equal outcomes is lost after a time whose exponent falls "
    "with K: each further loss takes exponentially longer than the one before.",
    stair(K, T),
    lhs=r"{\lim_{n\to\infty}\frac1n\ln\mathbb{E}[\tau_K]}",
    kind="asymptotic",
    of=(
        notation.num_outcomes,
        notation.temperature,
    ),
    loop=LOOP,
    assumes="T > 1 fixed, n → ∞; the path keeps the other outcomes equal, which makes it an upper "
    "bound for K ≥ 3 (the exact chain of K = 3 agrees).",
    source=FORMAL,
    cites=("freidlin2012",),
    accuracy=1e-8,
    near_misses={
        "the weak limit": 2 * (1 - 1 / T) * sp.log(K / (K - 1)),
        "as if every draw were uniform": sp.log(K / (K - 1)),
        "that of two outcomes": stair(2, T),
        "one more outcome": stair(K + 1, T),
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
def staircase(answer: Any) -> list[Step]:
    """One outcome against K − 1 equal ones is a coin with a shifted fixed point."""
    # What is drawn of one outcome, over what is drawn of one of the others: no sum is left in it.
    drawn = symbolic.given(LOOP, {T: 1 / beta}).drawn([x, (1 - x) / (K - 1)])
    logit = sp.log(drawn[0] / drawn[1]) - sp.log(K - 1)
    odds, rest = sp.log(x) - sp.log(1 - x), -sp.log(K - 1)
    relative = sp.log(x * (K - 1) / (1 - x))
    antiderivative = x * sp.log(x) + (1 - x) * sp.log(1 - x) + x * sp.log(K - 1)
    hot = [({K: size, T: mpmath.inf}, math.log(size / (size - 1))) for size in (2, 4)]
    return [
        Step(
            "logit y = z* + β(z − z*), z* = −ln(K − 1): the coin of `metastability` with another "
            "fixed point",
            logit - (rest + beta * (odds - rest)),
            reduce=elementary,
        ),
        *cost_of_a_generation()[1:2],
        Step(
            "T = ∞: a jump from 1/K to 0 costs −ln(1 − 1/K) = ln(1 + e^{z*})",
            1 + sp.exp(rest) - K / (K - 1),
        ),
        Step(
            "ε → 0: the momentum is 2ε (z − z*), and c/(2ε) = −∫₀^{1/K} (z − z*) dx = "
            "ln(K/(K − 1))",
            [
                sp.diff(antiderivative, x) - relative,
                -antiderivative.subs(x, 1 / K) - sp.log(K / (K - 1)),
            ],
            reduce=elementary,
        ),
        same_actions(
            answer,
            [
                ({K: 3, T: 2}, followed(3, 2)),
                ({K: 5, T: 4}, followed(5, 4)),
                *hot,
            ],
            K=(2, 3, 4, 5),
            T=(2, 4, sp.oo),
        ),
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
    loop=LOOP,
    assumes="K = 2. Exact at T = 1; n → ∞ at fixed T ≠ 1, exponentially fast.",
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
def slow_eigenvalue(answer: Any) -> list[Step]:
    """A measure on the logits that one generation multiplies by T; T = 1; a box that holds."""

    def there(temperature: Any) -> Any:
        """The answer's branch at a temperature, with T as a symbol in it."""
        tests = answer.atoms(sp.core.relational.Relational)
        return answer.xreplace({test: sp.sympify(test.subs(T, temperature)) for test in tests})

    k, m = sp.symbols("k m", positive=True)
    # k of n = k + m samples are drawn of the one outcome, y = σ(z/T), dz = T dy/(y(1 − y)).
    one, other = LOOP.drawn(symbolic.softmax([z, sp.Integer(0)]))
    logit = sp.expand_log(sp.log(one / other), force=True)
    stretch = 1 / sp.diff(logit, z)
    ways = sp.gamma(k + m + 1) / sp.gamma(k + 1) / sp.gamma(m + 1)
    kept = stretch * ways * sp.gamma(k) * sp.gamma(m) / sp.gamma(k + m)
    density = sp.integrate(y**2 * (1 - y) ** 3, (y, 0, 1)) - sp.gamma(3) * sp.gamma(4) / sp.gamma(7)
    spacing = (sp.diff(sp.log(x / (1 - x)), x) / (k + m)).subs(x, k / (k + m))
    cold = [
        there(value) for value in (sp.Rational(1, 100), sp.Rational(1, 2), sp.Rational(99, 100))
    ]
    p, gap = shares(2), sp.Symbol("delta", positive=True)
    neutral = symbolic.mean(UNTEMPERED, p, symbolic.heterozygosity)
    spread = symbolic.mean(UNTEMPERED, [y, 1 - y], lambda q: (q[0] - y) ** 2)
    left = sp.limit(1 / (4 * n * gap**2), n, sp.oo)
    return [
        Step(
            "T < 1: logits spread evenly lie, one generation later, with the weight T n/(k(n−k)) "
            "at k of n, and n/(k(n−k)) is dz at the lattice x = k/n: the even spread returns "
            "times λ, up to the error of a sum for a smooth integral",
            [sp.gammasimp(kept) - value * spacing for value in cold],
        ),
        Step("the Beta integral in that weight (at k = 3 of 7)", density),
        Step(
            "T = 1: E[p'(1−p')] = λ p(1−p), positive on the undecided states",
            neutral - there(sp.Integer(1)).subs(T, 1) * symbolic.heterozygosity(p),
        ),
        Step(
            "T > 1: |logit| is drawn smaller by the factor T, so that a box about even odds is "
            "mapped into itself, δ from its walls",
            logit - z / T,
        ),
        Step(
            "… the noise about what is drawn has the variance y(1 − y)/n ≤ 1/(4n)",
            [
                spread - y * (1 - y) / n,
                sp.Rational(1, 4) - y * (1 - y) - (y - sp.S.Half) ** 2,
            ],
        ),
        Step(
            "… so that the box is left with a chance of at most 1/(4nδ²) (Chebyshev): λ → 1",
            [1 - left - there(value) for value in (sp.Rational(101, 100), 2, 100, sp.oo)],
        ),
    ]
