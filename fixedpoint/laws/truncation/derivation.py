"""Truncation: samplers that cut the tail of what is drawn, again and again.

Proofs in SymPy.
"""

import math
from typing import Any, cast

import sympy as sp
from sympy.utilities.lambdify import implemented_function

from fixedpoint.laws import notation
from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Step, at, claim, total

theta: Any = sp.IndexedBase("theta", real=True)
z = sp.Symbol("z", real=True)
n, t, k = sp.symbols("n t k", integer=True, positive=True)
j = sp.Symbol("j", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES

FULL_REFIT = "T = 1; every generation is the maximum-likelihood refit to n fresh own samples."
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
LOST = [0.7, float("-inf"), -0.3]
"""A model that has lost an outcome."""
FIXED = [float("-inf"), 0.3]
"""A model with one outcome left."""


def probability(index: Any = i) -> Any:
    """The initial probability of an outcome: softmax(θ₀)."""
    return sp.exp(theta[index]) / total(sp.exp(theta[j]), j)


def binary_entropy(logit: Any) -> Any:
    """−p log p − q log q at p = 1/(1 + e^{−z})."""
    p, q = 1 / (1 + sp.exp(-logit)), 1 / (1 + sp.exp(logit))
    return -p * sp.log(p) - q * sp.log(q)


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
l = sp.Symbol("l", integer=True, positive=True)  # noqa: E741


nucleus = sp.Symbol("pi", positive=True)


def up_to(index: Any) -> Any:
    """S_i: the probability of an outcome and of all before it."""
    return total(sp.exp(theta[l]) * NotAfter(theta, l, index), l) / total(sp.exp(theta[j]), j)


@claim(
    "Nucleus sampling with infinitely many samples cuts, generation by generation, down to "
    "the m* outcomes with p_m > (1 − π)(p_1 + … + p_m), and there it stops.",
    total(step(probability() - (1 - nucleus) * up_to(i)), i),
    lhs=r"{m^*}",
    of=(
        notation.logits.called("logits0")(-3, 3),
        notation.mass(0.3, 0.99),
    ),
    assumes="Infinite samples; every generation is the exact refit to the nucleus of mass π.",
    near_misses={
        "1/(1 − π) outcomes": 1 / (1 - nucleus) + 0 * theta[1],
        "the first nucleus": total(step(nucleus - up_to(i) + probability()), i),
        "π instead of 1 − π": total(step(probability() - nucleus * up_to(i)), i),
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
def nucleus_support() -> list[Step]:
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


def bounded_time(edge: Any) -> Any:
    """2n [S(p) − S(δ)] at p = 1/(1 + e^{−z})."""
    return 2 * n * (binary_entropy(z) + edge * sp.log(edge) + (1 - edge) * sp.log(1 - edge))


@claim(
    "Nucleus sampling moves the absorbing boundary of two outcomes from 0 to 1 − π: the "
    "mean time is 2n[S(p) − S(1 − π)].",
    bounded_time(1 - nucleus),
    lhs=r"{\mathbb{E}\,T_{\mathrm{fix}}}",
    kind="asymptotic",
    of=(
        notation.gap.called("logit_gap")(-1, 1),
        notation.mass(0.75, 0.999),
        notation.num_samples(10, 10**6),
    ),
    assumes=FULL_REFIT.replace("own samples", "samples of its nucleus of mass π")
    + " K = 2, 1 − π < p < π, n(1 − π) ≫ 1; leading order.",
    near_misses={
        "the boundary not moved": 2 * n * binary_entropy(z) + 0 * nucleus,
        "half of it on each side": bounded_time((1 - nucleus) / 2),
        "diploid": 2 * bounded_time(1 - nucleus),
        "the truncated entropy": 2 * n * nucleus * binary_entropy(z),
    },
    edges=[
        at(0.0, 1.0, 100, gives=200 * math.log(2)),
    ],
)
def nucleus_boundary() -> list[Step]:
    """The generator of two outcomes between δ and 1 − δ: at p = π = 1 − δ the other one is cut."""
    p, delta = sp.symbols("p delta", positive=True)
    S = lambda x: -x * sp.log(x) - (1 - x) * sp.log(1 - x)  # noqa: E731
    time = 2 * (S(p) - S(delta))
    return [
        Step("½ p(1−p) d²/dp² of 2[S(p) − S(δ)] is −1", p * (1 - p) / 2 * sp.diff(time, p, 2) + 1),
        Step("it is 0 at p = δ and 1 − δ", [time.subs(p, delta), time.subs(p, 1 - delta)]),
    ]


# --- A temperature --------------------------------------------------------------------------------

beta, eps, kappa, share, x, y = sp.symbols("beta epsilon kappa x_0 x y", positive=True)
