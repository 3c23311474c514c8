"""Truncation: samplers that cut the tail of what is drawn, again and again.

Proofs in SymPy.
"""

import math
from typing import Any

import mpmath
import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import FIXED, LOGITS, LOST, OUTCOME, Step, at, claim, total
from fixedpoint.laws.notation import n, theta, z
from fixedpoint.symbolic import (
    Exact,
    Fresh,
    Loop,
    NotAfter,
    Nucleus,
    Vector,
    generator,
    probability,
    shares,
    unit_step,
)

nucleus: Any = notation.mass.symbol
other: Any = sp.Symbol("l", integer=True, positive=True)
EXACT = Loop(Nucleus(nucleus), Exact())
SAMPLED = Loop(Nucleus(nucleus), Fresh(n))


def up_to(index: Any) -> Any:
    """S_i: the probability of an outcome and of all before it."""
    return total(probability(other) * NotAfter(theta, other, index), other)


MODELS = [
    ([9, 2, 7, 1, 5, 3], sp.Rational(3, 5)),
    ([9, 2, 7, 1, 5, 3], sp.Rational(4, 5)),
    ([9, 2, 7, 1, 5, 3], sp.Rational(19, 20)),
    ([5, 6, 7, 4], sp.Rational(7, 10)),
    ([5, 6, 7, 4], sp.Rational(9, 10)),
    ([1, 3], sp.Rational(2, 3)),
    ([12, 6, 4, 3, 2, 2, 1, 1], sp.Rational(17, 20)),
]
"""Weights of the outcomes, in no order, and the mass of a nucleus: no threshold is met exactly."""


def left_by(weights: list[int], mass: Any) -> Any:
    """How many outcomes the loop leaves in the end."""
    loop = symbolic.given(EXACT, {nucleus: mass})
    p = [sp.Rational(weight, sum(weights)) for weight in weights]
    while (after := symbolic.next_model(loop, p)) != p:
        p = after
    return symbolic.num_surviving(p)


@claim(
    "Nucleus sampling with infinitely many samples cuts, generation by generation, down to "
    "the m* outcomes with p_m > (1 − π)(p_1 + … + p_m), and there it stops.",
    total(unit_step(probability() - (1 - nucleus) * up_to(OUTCOME)), OUTCOME),
    lhs=r"{m^*}",
    of=(
        notation.logits(-3, 3),
        notation.mass(0.3, 0.99),
    ),
    loop=EXACT,
    observe="num_surviving",
    assumes="After so many generations that nothing is cut any more.",
    near_misses={
        "1/(1 − π) outcomes": 1 / (1 - nucleus) + 0 * theta[1],
        "the first nucleus": total(unit_step(nucleus - up_to(OUTCOME) + probability()), OUTCOME),
        "π instead of 1 − π": total(unit_step(probability() - nucleus * up_to(OUTCOME)), OUTCOME),
        "one outcome": 1 + 0 * theta[1] + 0 * nucleus,
    },
    edges=[
        at([0.0] * 40, 0.905, gives=10.0),
        at([0.0] * 40, 0.9, gives=9.0),
        at([0.0, -800.0, -math.inf], 1.0, gives=2.0),
        at([-math.log(m) for m in range(1, 10_001)], 0.9, gives=4.0),
        at([-math.log(m) for m in range(1, 10_001)], 0.99, gives=25.0),
        at([-1.5 * math.log(m) for m in range(1, 50_001)], 0.95, gives=5.0),
        at(LOST, 1.0, gives=2.0),
        at(LOGITS, 0.0, gives=1.0),
        at(FIXED, 0.5, gives=1.0),
    ],
)
def nucleus_support(answer: Any) -> list[Step]:
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
        symbolic.at_numbers(
            answer,
            [
                ({theta: list(map(mpmath.log, model)), nucleus: mass}, left_by(model, mass))
                for model, mass in MODELS
            ],
            "the loop itself, run until nothing is cut any more",
            K=tuple(len(model) for model, _ in MODELS),
        ),
    ]


S: Any = symbolic.entropy(symbolic.pair(z))
"""The entropy of two outcomes."""


def bounded_time(edge: Any) -> Any:
    """2n [S(p) − S(δ)]."""
    return 2 * n * (S - symbolic.entropy([edge, 1 - edge]))


@claim(
    "Nucleus sampling moves the absorbing boundary of two outcomes from 0 to 1 − π: the "
    "mean time is 2n[S(p) − S(1 − π)].",
    bounded_time(1 - nucleus),
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    kind="asymptotic",
    of=(
        notation.gap(-1, 1),
        notation.mass(0.75, 0.999),
        notation.num_samples(10, 10**6),
    ),
    loop=SAMPLED,
    assumes="K = 2, 1 − π < p < π, n(1 − π) ≫ 1; leading order.",
    near_misses={
        "the boundary not moved": 2 * n * S + 0 * nucleus,
        "half of it on each side": bounded_time((1 - nucleus) / 2),
        "diploid": 2 * bounded_time(1 - nucleus),
        "the truncated entropy": 2 * n * nucleus * S,
    },
    edges=[
        at(0.0, 1.0, 100, gives=200 * math.log(2)),
    ],
)
def nucleus_boundary(answer: Any) -> list[Step]:
    """The backward equation between 1 − π and π, where nothing is cut, and its ends."""
    (p, q), mass = shares(2), sp.Rational(9, 10)
    # Between its ends the nucleus is the model: what is drawn from has the mean and the noise of
    # plain samples.
    plain = Loop(corpus=SAMPLED.corpus)

    def time(model: Vector) -> Any:
        return answer.subs(z, sp.log(model[0]) - sp.log(model[1]))

    inside, outside = (
        symbolic.given(SAMPLED, {nucleus: mass}).drawn(
            [sp.Rational(k, 100), 1 - sp.Rational(k, 100)]
        )
        for k in (11, 9)
    )
    return [
        Step(
            "½ E[(p' − p)²] d²/dp² of the claimed time is −1, and E[p' − p] = 0",
            [
                generator(plain, time, [p, q], n) / n + 1,
                symbolic.mean(plain, [p, q], lambda x: x[0] - p),
            ],
        ),
        Step(
            "it is 0 at p = 1 − π and at p = π",
            [time([1 - nucleus, nucleus]), time([nucleus, 1 - nucleus])],
        ),
        Step(
            "above 1 − π the nucleus leaves both outcomes, below it one alone",
            [inside[0] - sp.Rational(11, 100), *outside[:1]],
            sizes={"π": mass},
        ),
    ]
