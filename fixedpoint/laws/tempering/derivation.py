r"""Tempering: infinite samples at a temperature T, and a learner that reaches its minimum.

One generation draws from p_T ∝ p^{1/T} and minimises the cross-entropy to it. For a table of logits
the minimiser is θ/T, so that generation t has the logits θT⁻ᵗ; everything else follows.

The proofs take means and minima over generations of the loops below, from the answer that they
prove.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import LOGITS, NUM_OUTCOMES, OUTCOME, Step, at, claim, total
from fixedpoint.laws.notation import T, beta, epsilon, m, t, theta, z
from fixedpoint.symbolic import (
    GradientFlow,
    Loop,
    Temperature,
    elementary,
    entropy,
    given,
    kl_divergence,
    next_model,
    slope_of_loss,
    softmax,
    written_out,
)

j, k, h = sp.symbols("j k h", integer=True, positive=True)
beta_other: Any = notation.inverse_temperature_other.symbol
num_runners_up: Any = notation.num_runners_up.symbol
temperatures: Any = notation.temperatures.symbol
K = NUM_OUTCOMES

REFIT = Loop(Temperature(T))
"""A generation is θ → θ/T."""
COMPOSED = Loop(tuple(Temperature(temperatures[place]) for place in (1, 2, 3)))
"""Three temperatures in one generation; in three of them it is the same."""
COOLED = Loop(Temperature(1 / beta))
"""One generation, whose model is p_β ∝ e^{βθ}."""
FLOW = Loop(Temperature(T), learner=GradientFlow(notation.tau))
"""A short time of training: its slope is that of the loss."""

EVERY_TABLE = "Every table of logits is allowed."

ESCORT = "elementary (the group of escort distributions); the iterated form is spelled out here"

MANY = [3.0 * math.sin(7.0 * i) for i in range(50_000)]
"""A model with 50,000 outcomes for the edges."""


def weights(num_outcomes: int) -> list[Any]:
    """A model by the positive numbers e^θ, which need not add up to 1."""
    return list(sp.symbols(f"w1:{num_outcomes + 1}", positive=True))


def differences(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    """Entry by entry."""
    return [x - y for x, y in zip(values, others, strict=True)]


# --- one generation, and many of them -------------------------------------------------------------


@claim(
    "Training to the minimum on samples at temperature T divides the logits by T.",
    theta[OUTCOME] / T,
    lhs=r"\theta'_i",
    of=(
        notation.logits(-4, 4),
        notation.temperature(0.2, 3),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE,
    source=ESCORT,
    cites=("beck1993",),
    up_to_shift=True,
    near_misses={
        "multiplied instead of divided": theta[OUTCOME] * T,
        "temperature ignored": theta[OUTCOME],
        "temperature applied twice": theta[OUTCOME] / T**2,
    },
    edges=[
        at(LOGITS, 1e-3),
        at(LOGITS, 1.0),
        at(LOGITS, 1 + 1e-12),
        at(LOGITS, 1 - 1e-12),
        at(LOGITS, 1e3),
        at(LOGITS, math.inf, gives=[0.0, 0.0, 0.0, 0.0]),
        at([1.0, 1.0, 0.5], 0.0, gives=[0.0, 0.0, -math.inf]),
        at([1.0, -math.inf, 0.5], 0.5),
        at([0.7], 0.5),
        at(MANY, 0.8),
    ],
)
def refit(answer: Any) -> list[Step]:
    """The answer is where the cross-entropy to what is drawn is least, and nowhere else."""
    steps = []
    for size in (2, 3):
        w, sizes = weights(size), {"K": size}
        x, v = sp.symbols(f"x1:{size + 1}", real=True), sp.symbols(f"v1:{size + 1}", real=True)
        loss, p = symbolic.cross_entropy(REFIT.drawn(w), x), softmax(x)
        curvature: Any = sum(
            sp.diff(loss, a, b) * va * vb
            for a, va in zip(x, v, strict=True)
            for b, vb in zip(x, v, strict=True)
        )
        spread = sum(
            p[a] * p[b] * (v[a] - v[b]) ** 2 for a in range(size) for b in range(a + 1, size)
        )
        steps += [
            Step(
                "the gradient of the cross-entropy vanishes there",
                slope_of_loss(REFIT.drawn(w), written_out(answer, w)),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "its curvature along v is Σ p_i p_j (v_i - v_j)²: 0 for constants alone",
                curvature - spread,
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


@claim(
    "After t generations at temperature T the logits are the initial ones times T⁻ᵗ.",
    theta[OUTCOME] * T**-t,
    lhs=r"\theta^{(t)}_i",
    of=(
        notation.logits(-4, 4),
        notation.temperature(0.4, 2.5),
        notation.generation(0, 12),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE,
    source=ESCORT,
    cites=("beck1993", "zhang2026"),
    up_to_shift=True,
    near_misses={
        "multiplied instead of divided": theta[OUTCOME] * T**t,
        "off by one generation": theta[OUTCOME] * T ** -(t + 1),
        "linear in the generation": theta[OUTCOME] * (1 + t * (1 / T - 1)),
    },
    edges=[
        at(LOGITS, 0.8, 0),
        at(LOGITS, 1.0, 10**6),
        at(LOGITS, 1 + 1e-12, 10**6),
        at(LOGITS, 1 - 1e-12, 10**6),
        at(LOGITS, 1e-3, 5),
        at(LOGITS, 1e3, 5),
        at([1.0, 0.5, 1.0, -math.inf], 0.9, 10**6, gives=[0.0, -math.inf, 0.0, -math.inf]),
        at([1.0, 0.5, -math.inf], 1.1, 10**6, gives=[0.0, 0.0, -math.inf]),
        at([1.0, 0.5, 1.0], 0.0, 1, gives=[0.0, -math.inf, 0.0]),
        at([1.0, 0.5], math.inf, 1, gives=[0.0, 0.0]),
        at([1.0, -math.inf, 0.5], 0.5, 3),
        at(MANY, 0.9, 7),
    ],
)
def logits(answer: Any) -> list[Step]:
    """Induction over the generations, each a minimum of the cross-entropy."""
    steps = []
    for size in (2, 3):
        w, sizes = weights(size), {"K": size}
        now = written_out(answer, w)
        later = [value.subs(t, t + 1) for value in now]
        teacher = REFIT.drawn([sp.exp(value) for value in now])
        steps += [
            Step(
                "generation 0 is the initial model",
                [value.subs(t, 0) - sp.log(x) for value, x in zip(now, w, strict=True)],
                sizes=sizes,
            ),
            Step(
                "from generation t, the minimum of the loss is the answer at t + 1",
                slope_of_loss(teacher, later),
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


@claim(
    "Temperatures multiply, in any order; here three generations.",
    theta[OUTCOME] / (temperatures[1] * temperatures[2] * temperatures[3]),
    lhs=r"\theta^{(3)}_i",
    of=(
        notation.logits,
        notation.temperatures,
    ),
    loop=COMPOSED,
    assumes=EVERY_TABLE,
    source="Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Lemma B.1",
    cites=("zhang2026", "beck1993"),
    up_to_shift=True,
    near_misses={
        "only the last temperature counts": theta[OUTCOME] / temperatures[3],
        "the mean temperature": theta[OUTCOME]
        * 27
        / (temperatures[1] + temperatures[2] + temperatures[3]) ** 3,
        "inverse temperatures add": theta[OUTCOME]
        * (1 / temperatures[1] + 1 / temperatures[2] + 1 / temperatures[3]),
    },
    edges=[
        at(LOGITS, [0.7, 1.9, 0.4]),
        at(LOGITS, [1.3, 0.6, 2.2]),
        at(LOGITS, [0.1, 10.0, 1.0]),
        at(LOGITS, [1e-3, 1e-3, 1e3]),
        at(LOGITS, [1 + 1e-12, 1.0, 1 - 1e-12]),
        at(LOGITS, [0.5, math.inf, 0.5], gives=[0.0] * 4),
        at([2.0, 1.0, 2.0], [0.5, 0.0, math.inf], gives=[0.0, -math.inf, 0.0]),
        at([2.0, 1.0, 2.0], [math.inf, 0.0, 0.5], gives=[0.0] * 3),
        at([0.3, -math.inf, -1.0], [0.7, 1.9, 0.4]),
    ],
)
def composition(answer: Any) -> list[Step]:
    """Three generations, one after the other, and three samplers in one."""
    w, sizes = weights(3), {"K": 3}
    logits_of = written_out(answer, w)
    one_by_one = w
    for place in (1, 2, 3):
        one_by_one = next_model(Loop(Temperature(temperatures[place])), one_by_one)
    claimed = softmax(logits_of)
    back = {temperatures[2]: 1 / temperatures[1], temperatures[3]: 1}
    orders = list(itertools.permutations((1, 2, 3)))[1:]
    return [
        Step(
            "three samplers in one generation lead there",
            slope_of_loss(COMPOSED.drawn(w), logits_of),
            reduce=elementary,
            sizes=sizes,
        ),
        Step(
            "so do three generations",
            differences(one_by_one, claimed),
            reduce=elementary,
            sizes=sizes,
        ),
        Step(
            "the order does not matter",
            [
                answer.subs(
                    {temperatures[x]: temperatures[y] for x, y in enumerate(order, 1)},
                    simultaneous=True,
                )
                - answer
                for order in orders
            ],
        ),
        Step(
            "T then 1/T is the identity",
            [
                value.subs(back, simultaneous=True) - sp.log(x)
                for value, x in zip(logits_of, w, strict=True)
            ],
            sizes=sizes,
        ),
    ]


def _softmax_at(inverse_temperature: Any, index: Any = OUTCOME) -> Any:
    return sp.exp(inverse_temperature * theta[index]) / total(
        sp.exp(inverse_temperature * theta[k]), k
    )


@claim(
    "The expected gradient on the model's own samples is p - p_T: 0 at T = 1, for every p.",
    _softmax_at(1) - _softmax_at(1 / T),
    lhs=r"\partial_{\theta_i} \mathrm{CE}(p_T, p)",
    of=(
        notation.logits(-4, 4),
        notation.temperature(0.3, 3),
    ),
    loop=FLOW,
    given={"time": notation.time.symbol},
    assumes=EVERY_TABLE + " It is the gradient of the "
    "loss alone: weight decay adds its own, and that of a random batch has this mean but is "
    "not it.",
    source="Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Eq. 9",
    cites=("zhang2026",),
    near_misses={
        "sign": _softmax_at(1 / T) - _softmax_at(1),
        "scaled by the inverse temperature": (_softmax_at(1) - _softmax_at(1 / T)) / T,
        "hot where cold": _softmax_at(1) - _softmax_at(T),
    },
    edges=[
        at(LOGITS, 1.0, gives=[0.0] * 4),
        at(LOGITS, 1 + 1e-12),
        at(LOGITS, 1 - 1e-12),
        at(LOGITS, 1e-3),
        at(LOGITS, 1e3),
        at([0.5, 0.5, 0.5], 0.7, gives=[0.0] * 3),
        at([0.0, -math.inf, 0.0], 0.7, gives=[0.0] * 3),
        at([30.0, 0.0], 0.8),
    ],
)
def fixed_point(answer: Any) -> list[Step]:
    """The gradient at the teacher's own logits, from the cross-entropy."""
    steps = []
    for size in (2, 3):
        w, sizes = weights(size), {"K": size}
        gradient = written_out(answer, w)
        p = symbolic.normalised(w)
        drawn = differences(p, gradient)
        odds = sp.log(drawn[0] / drawn[1]) - sp.log(w[0] / w[1]) / T
        steps += [
            Step(
                "it is the slope of the loop's training, with the other sign",
                [
                    x + speed
                    for x, speed in zip(
                        gradient, FLOW.learner.velocity(w, FLOW.drawn(w)), strict=True
                    )
                ],
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "at T = 1 it vanishes for every model",
                [x.subs(T, 1) for x in gradient],
                sizes=sizes,
            ),
            Step(
                "p less the gradient has the log-odds (θ_i - θ_j)/T: at T ≠ 1 only uniform models "
                "rest",
                odds,
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


# --- where it leads ------------------------------------------------------------------------------


@claim(
    "Below T = 1 the mass off the m modes falls double-exponentially; the prefactor "
    "is the number of runners-up over the number of modes.",
    num_runners_up / m * sp.exp(-z * T**-t),
    lhs=r"1 - P_t(\mathrm{modes})",
    kind="asymptotic",
    of=(
        notation.gap(0.1, 2),
        notation.num_modes(1, 4),
        notation.num_runners_up(1, 9),
        notation.temperature(0.5, 0.95),
        notation.generation(0, 6),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " T < 1; not every outcome is a mode; gap z to the next logit, held by "
    "k₂ outcomes; relative error at most of order e^{-zT⁻ᵗ} and of the next gap's exponential.",
    near_misses={
        "no prefactor": sp.exp(-z * T**-t),
        "prefactor without the ties of the mode": num_runners_up * sp.exp(-z * T**-t),
        "prefactor inverted": m / num_runners_up * sp.exp(-z * T**-t),
        "single exponential": num_runners_up / m * sp.exp(-z * t / T),
    },
    edges=[
        at(0.7, 2, 3, 0.5, 10**6, gives=0.0),
        at(0.7, 2, 3, 0.0, 1, gives=0.0),
        at(0.7, 2, 49_998, 0.9, 20),
    ],
)
def mode_limit(answer: Any) -> list[Step]:
    """The mass off the modes, sorted by the distance of its logits from the top."""
    further, rate = sp.symbols("delta r", positive=True)
    rest = sp.Symbol("r_3", integer=True, positive=True)

    def tail(u: Any, v: Any) -> Any:
        off = num_runners_up * u + rest * u * v
        return off / (m + off)

    sizes = {m: 2, num_runners_up: 3, rest: 1}
    u, v = sp.symbols("u v", positive=True)
    after = next_model(REFIT, [1, 1, u, u, u, u * v])
    start = softmax([0, 0, -z, -z, -z, -z - further])
    # T⁻ᵗ = β, with T = e^{-r}.
    late = answer.subs(t, sp.log(beta) / rate).subs(T, sp.exp(-rate))
    u, v = sp.exp(-z * beta), sp.exp(-further * beta)
    correction = (1 + rest * v / num_runners_up) / (1 + (num_runners_up * u + rest * u * v) / m)
    small = sp.symbols("u v", positive=True)
    return [
        Step(
            "its ratio to the claim, at generation t, for all multiplicities",
            tail(u, v) / late - correction,
            reduce=elementary,
        ),
        Step(
            "the ratio tends to 1 as u = e^{-zβ} and v = e^{-δβ} vanish",
            correction.subs({u: small[0], v: small[1]}).subs(dict.fromkeys(small, 0)) - 1,
        ),
        Step(
            "the mass off the modes at generation 0 is that of u = e^{-z}, v = e^{-δ}",
            1 - sum(start[:2]) - tail(sp.exp(-z), sp.exp(-further)).subs(sizes),
            reduce=elementary,
            sizes={"m": 2, "k₂": 3},
        ),
        Step(
            "a generation of the loop takes u and v to the power 1/T, so that β = T⁻ᵗ",
            1 - sum(after[:2]) - tail(small[0] ** (1 / T), small[1] ** (1 / T)).subs(sizes),
            reduce=elementary,
            sizes={"m": 2, "k₂": 3},
        ),
    ]


GENERATIONS = sp.log(sp.log(num_runners_up / (m * epsilon)) / z) / sp.log(1 / T)


@claim(
    "The generations until the mass off the modes is ε: a double logarithm.",
    GENERATIONS,
    lhs=r"t_\epsilon",
    kind="asymptotic",
    of=(
        notation.gap(0.1, 2),
        notation.num_modes(1, 4),
        notation.num_runners_up(1, 9),
        notation.temperature(0.3, 0.95),
        notation.tolerance(1e-12, 1e-3),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " T < 1; log(k₂/(mε)) > z (otherwise it is so from the start).",
    near_misses={
        "multiplicities forgotten": sp.log(sp.log(1 / epsilon) / z) / sp.log(1 / T),
        "one logarithm": sp.log(num_runners_up / (m * epsilon)) / z / sp.log(1 / T),
        "gap outside the logarithm": sp.log(sp.log(num_runners_up / (m * epsilon)))
        / (z * sp.log(1 / T)),
        "off by one generation": GENERATIONS + 1,
    },
    edges=[
        at(0.7, 2, 3, 1 - 1e-6, 1e-300),
        at(0.7, 2, 3, 1e-3, 1e-12),
        at(5.0, 2, 3, 0.5, 0.5, gives=0.0),
    ],
)
def generations_to_collapse(answer: Any) -> list[Step]:
    """Solve the asymptotic tail for the generation, with T = e^{-r}."""
    rate, moment = sp.Symbol("r", positive=True), sp.Symbol("x", real=True)
    tail = mode_limit.rhs.subs(t, moment).subs(T, sp.exp(-rate))
    reached = answer.subs(T, sp.exp(-rate))
    return [
        Step("there the mass off the modes is ε", tail.subs(moment, reached) - epsilon),
        Step(
            "the mass only falls: its logarithmic slope is -z r e^{rx}",
            sp.diff(sp.log(tail), moment) + z * rate * sp.exp(rate * moment),
        ),
    ]


def _log_partition(inverse_temperature: Any) -> Any:
    return sp.log(total(sp.exp(inverse_temperature * theta[k]), k))


def _mean(inverse_temperature: Any, power: int = 1) -> Any:
    return total(theta[j] ** power * sp.exp(inverse_temperature * theta[j]), j) / total(
        sp.exp(inverse_temperature * theta[k]), k
    )


DIVERGENCE_RHS = (
    (beta - beta_other) * _mean(beta) - _log_partition(beta) + _log_partition(beta_other)
)


@claim(
    "KL between one model at two inverse temperatures.",
    DIVERGENCE_RHS,
    lhs=r"\mathrm{KL}(p_\beta \| p_{\beta'})",
    of=(
        notation.logits(-4, 4),
        notation.inverse_temperature(0, 3),
        notation.inverse_temperature_other(0, 3),
    ),
    loop=COOLED,
    assumes="The other one is drawn at β′ from the same model; generation t is β = T⁻ᵗ, the "
    "uniform law β = 0.",
    near_misses={
        "arguments swapped": (beta_other - beta) * _mean(beta_other)
        - _log_partition(beta_other)
        + _log_partition(beta),
        "second order only": (beta - beta_other) ** 2
        / 2
        * (_mean(beta, power=2) - _mean(beta) ** 2),
    },
    edges=[
        at(LOGITS, 1e-10, 0.0),
        at(LOGITS, 0.0, 1e-10),
        at(LOGITS, 1e-5, 0.0),
        at(LOGITS, 0.03, 0.0),
        at(LOGITS, 1.0, 1.01),
        at(LOGITS, 1.0, 1.0),
        at(LOGITS, 100.0, 0.0),
        at(LOGITS, 0.0, 100.0),
        at(LOGITS, 100.0, 1.0),
        at([1.0, -math.inf, 1.0], 0.3, 0.0, gives=0.0),
    ],
)
def divergence(answer: Any) -> list[Step]:
    """From the definition of KL, with A(β) = log Σ e^{βθ}."""
    other = given(COOLED, {beta: beta_other})
    return [
        Step(
            "KL of two generations is (β - β') A'(β) - A(β) + A(β')",
            kl_divergence(next_model(COOLED, w), next_model(other, w)) - written_out(answer, w),
            reduce=elementary,
            sizes={"K": len(w)},
        )
        for w in (weights(2), weights(3))
    ]


def about_uniform(answer: Any, divergence_of: Any, in_cumulants: Any) -> list[Step]:
    """KL to or from the uniform law by A(β) = log mean e^{βθ}, up to the third power of β = T⁻ᵗ.

    Args:
        answer: the claimed divergence at generation t.
        divergence_of: KL, of the model and the uniform law.
        in_cumulants: what it is in terms of A.
    """
    rate = sp.Symbol("r", positive=True)
    steps = []
    for size in (2, 3):
        w, sizes = weights(size), {"K": size}
        A = sp.log(sum(x**beta for x in w) / size)
        exact = in_cumulants(A)
        # T⁻ᵗ = β, with T = e^r.
        early = written_out(answer, w).subs(t, -sp.log(beta) / rate).subs(T, sp.exp(rate))
        steps += [
            Step(
                "its powers of β up to the third are those of the claim",
                [(exact - early).diff(beta, order).subs(beta, 0) for order in range(4)],
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "it is KL, by its definition, of the model drawn at temperature 1/β = Tᵗ",
                divergence_of(Temperature(1 / beta)(w), [sp.Rational(1, size)] * size) - exact,
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


_CENTRED = theta[j] - total(theta[k], k) / K
_CUMULANT = {power: total(_CENTRED**power, j) / K for power in (2, 3)}
_UNIFORM_EDGES = [
    at(LOGITS, 1.2, 400),
    at(LOGITS, 10.0, 10),
    at(LOGITS, 1.1, 10**6, gives=0.0),
    at(LOGITS, math.inf, 1, gives=0.0),
    at([0.7, 0.7], 1.2, 3, gives=0.0),
    at(MANY, 1.2, 10),
]
_BETA = T**-t


@claim(
    "Above T = 1 the divergence of the model from the uniform law falls as T⁻²ᵗ.",
    _BETA**2 * _CUMULANT[2] / 2 + _BETA**3 * _CUMULANT[3] / 3,
    lhs=r"\mathrm{KL}(p_t \| u)",
    kind="asymptotic",
    of=(
        notation.logits(-4.0, 4.0),
        notation.temperature(1.05, 2.5),
        notation.generation(0, 20),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " T > 1; T⁻ᵗ small: the series Σ (j-1) κ_j β^j/j! converges only for "
    "β = T⁻ᵗ below the nearest complex zero of the mean of e^{βθ} (βx < π/2 for logits ±x).",
    near_misses={
        "leading order only": _BETA**2 * _CUMULANT[2] / 2,
        "third coefficient of the other direction": _BETA**2 * _CUMULANT[2] / 2
        + _BETA**3 * _CUMULANT[3] / 6,
        "sample variance": _BETA**2 * _CUMULANT[2] * K / (K - 1) / 2 + _BETA**3 * _CUMULANT[3] / 3,
        "off by one generation": (_BETA / T) ** 2 * _CUMULANT[2] / 2
        + (_BETA / T) ** 3 * _CUMULANT[3] / 3,
    },
    edges=_UNIFORM_EDGES,
)
def uniform_limit(answer: Any) -> list[Step]:
    """The cumulant series of KL(p_t ‖ u) about β = T⁻ᵗ = 0."""
    return about_uniform(answer, kl_divergence, lambda A: beta * A.diff(beta) - A)


@claim(
    "Above T = 1 the divergence of the uniform law from the model falls as T⁻²ᵗ.",
    _BETA**2 * _CUMULANT[2] / 2 + _BETA**3 * _CUMULANT[3] / 6,
    lhs=r"\mathrm{KL}(u \| p_t)",
    kind="asymptotic",
    of=(
        notation.logits(-4.0, 4.0),
        notation.temperature(1.05, 2.5),
        notation.generation(0, 20),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " T > 1; T⁻ᵗ small, as for tempering.uniform_limit.",
    near_misses={
        "leading order only": _BETA**2 * _CUMULANT[2] / 2,
        "third coefficient of the other direction": _BETA**2 * _CUMULANT[2] / 2
        + _BETA**3 * _CUMULANT[3] / 3,
        "sign of the third coefficient": _BETA**2 * _CUMULANT[2] / 2 - _BETA**3 * _CUMULANT[3] / 6,
    },
    edges=_UNIFORM_EDGES,
)
def uniform_limit_reverse(answer: Any) -> list[Step]:
    """The cumulant series of KL(u ‖ p_t) about β = T⁻ᵗ = 0."""

    def less_its_tangent(A: Any) -> Any:
        return A - beta * A.diff(beta).subs(beta, 0)

    return about_uniform(answer, lambda p, u: kl_divergence(u, p), less_its_tangent)


# --- how it goes there ---------------------------------------------------------------------------


_VARIANCE = total((theta[h] - _mean(beta)) ** 2 * _softmax_at(beta, h), h)


@claim(
    "The entropy falls with the inverse temperature at the rate β Var(θ).",
    -beta * _VARIANCE,
    lhs=r"\frac{dS}{d\beta}",
    of=(
        notation.logits(-4, 4),
        notation.inverse_temperature(0, 3),
    ),
    loop=COOLED,
    assumes="The variance is taken under the tempered model p_β ∝ e^{βθ}.",
    source="textbook thermodynamics (the heat capacity is β² Var of the energy)",
    cites=("beck1993",),
    near_misses={
        "sign": beta * _VARIANCE,
        "without the factor β": -_VARIANCE,
        "variance under the untempered model": -beta * _VARIANCE.subs(beta, 1),
    },
    edges=[
        at(LOGITS, 0.0, gives=0.0),
        at(LOGITS, 1e-9),
        at(LOGITS, 100.0),
        at([0.5, 0.5], 2.0, gives=0.0),
        at([0.5, -math.inf, 0.5], 2.0, gives=0.0),
    ],
)
def entropy_slope(answer: Any) -> list[Step]:
    """dS/dβ through the partition sum Z(β), for every K at once."""
    Z = sp.Function("Z", positive=True)(beta)
    spread = Z.diff(beta, 2) / Z - (Z.diff(beta) / Z) ** 2
    S = sp.log(Z) - beta * Z.diff(beta) / Z
    steps = []
    for size in (3, 2):
        w, sizes = weights(size), {"K": size}
        sum_of_powers = sum(x**beta for x in w)
        steps += [
            Step(
                "-β (Z''/Z - (Z'/Z)²) is the claimed slope",
                -beta * spread.subs(Z, sum_of_powers).doit() - written_out(answer, w),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "the entropy after the generation is log Z - β Z'/Z",
                entropy(next_model(COOLED, w)) - S.subs(Z, sum_of_powers).doit(),
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return [
        *steps,
        Step("its slope is -β (Z''/Z - (Z'/Z)²), for every Z", S.diff(beta) + beta * spread),
    ]


_PAIRS: Any = sp.Sum(
    _softmax_at(beta, h) * _softmax_at(beta, j) * (theta[h] - theta[j]), (j, m + 1, K), (h, 1, m)
)


@claim(
    "Cooling never lowers the mass of the m most probable outcomes, for any m: a "
    "colder model majorises a hotter one.",
    _PAIRS,
    lhs=r"\frac{d P_m}{d\beta}",
    of=(
        notation.logits,
        notation.inverse_temperature,
        notation.num_top,
    ),
    loop=COOLED,
    assumes="The logits are listed in falling order (tempering keeps the order), so that every "
    "term is at least 0; hence every Schur-concave measure of diversity is monotone.",
    source="Marshall, Olkin and Arnold, Inequalities: Theory of Majorization, chapter 5",
    cites=("marshall2011",),
    near_misses={
        "sign": -_PAIRS,
        "only the pairs next to the cut": _softmax_at(beta, m)
        * _softmax_at(beta, m + 1)
        * (theta[m] - theta[m + 1]),
        "at the untempered model": _PAIRS.subs(beta, 1),
    },
    edges=[
        at(sorted(logits, reverse=True), b, top)
        for logits in (LOGITS, [2.0, 2.0, -1.0, 0.3, 0.3])
        for b in (1e-9, 0.3, 1.0, 2.7, 40.0)
        for top in (1, 2, 3)
    ]
    + [
        at(LOGITS, 1.0, 4, gives=0.0),
        at([0.2, 0.2, 0.2], 1.0, 2, gives=0.0),
    ],
)
def majorisation(answer: Any) -> list[Step]:
    """Differentiate the mass of the first outcomes after the generation."""
    steps = []
    top = notation.num_top.symbol
    for size, number in ((2, 1), (3, 1), (3, 2), (4, 2)):
        w, sizes = weights(size), {"K": size, "m": number}
        p = next_model(COOLED, w)
        pairs = written_out(answer.subs(top, number), w)
        weighted = [x * sp.log(y) for x, y in zip(p, w, strict=True)]
        inside, outside = sum(p[:number]), sum(p[number:])
        across = outside * sum(weighted[:number]) - inside * sum(weighted[number:])
        steps += [
            Step(
                "dP/dβ = Σ p_i p_j (θ_i - θ_j) over pairs across the cut",
                sp.diff(sum(p[:number]), beta) - pairs,
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "which is P (1 - P) times the difference of the means",
                across - pairs,
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


# --- what it climbs ------------------------------------------------------------------------------


POTENTIAL_RHS = T * _log_partition(1 / T) - _log_partition(1)


@claim(
    "The potential of self-training is the entropy integrated over temperature.",
    POTENTIAL_RHS,
    lhs=r"\int_1^T S(p_{T'})\, dT'",
    of=(
        notation.logits(-4, 4),
        notation.temperature(0.2, 3),
    ),
    loop=FLOW,
    given={"time": notation.time.symbol},
    assumes="Its gradient is p_T - p.",
    source="thermodynamic integration (dF/dT = -S); the use for self-training is derived here",
    cites=("beck1993",),
    near_misses={
        "without the factor T": _log_partition(1 / T) - _log_partition(1),
        "sign": -POTENTIAL_RHS,
        "entropy at the end times the distance": (T - 1)
        * (_log_partition(1 / T) - _mean(1 / T) / T),
    },
    edges=[
        at(LOGITS, 1.0, gives=0.0),
        at(LOGITS, 1 + 1e-12),
        at(LOGITS, 1 - 1e-12),
        at(LOGITS, 1e-3),
        at(LOGITS, 1e3),
        at([0.4], 0.3, gives=0.0),
    ],
)
def potential(answer: Any) -> list[Step]:
    """The integral of the entropy over temperature, and the gradient."""
    steps = []
    for size in (2, 3):
        w, sizes = weights(size), {"K": size}
        Phi = written_out(answer, w)
        velocity = FLOW.learner.velocity(w, FLOW.drawn(w))
        steps += [
            Step(
                "it vanishes at T = 1, so that it is the integral",
                Phi.subs(T, 1),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "dΦ/dT is the entropy of what is drawn",
                Phi.diff(T) - entropy(FLOW.drawn(w)),
                reduce=elementary,
                sizes=sizes,
            ),
            Step(
                "∇Φ = p_T - p is the slope of the loop's training",
                [x * Phi.diff(x) - speed for x, speed in zip(w, velocity, strict=True)],
                reduce=elementary,
                sizes=sizes,
            ),
        ]
    return steps


def _kl(first: Any, second: Any) -> Any:
    return DIVERGENCE_RHS.subs({beta: first, beta_other: second}, simultaneous=True)


@claim(
    "A generation raises the potential by two divergences: it never lowers it.",
    _kl(1 / T, 1) + T * _kl(1 / T, T**-2),
    lhs=r"\Phi(\theta^{(1)}) - \Phi(\theta^{(0)})",
    of=(
        notation.logits(-4, 4),
        notation.temperature(0.3, 3),
    ),
    loop=REFIT,
    assumes=EVERY_TABLE + " The gain is KL(p₁‖p₀) + T KL(p₁‖p₂), the step of a "
    "minorise-maximise scheme.",
    cites=("yuille2003", "hunter2004", "raskutti2013"),
    near_misses={
        "one divergence only": _kl(1 / T, 1),
        "without the factor T": _kl(1 / T, 1) + _kl(1 / T, T**-2),
        "first divergence reversed": _kl(1, 1 / T) + T * _kl(1 / T, T**-2),
    },
    edges=[
        at(LOGITS, 1.0, gives=0.0),
        at(LOGITS, 1.01),
        at(LOGITS, 0.05),
        at(LOGITS, 100.0),
    ],
)
def ascent(answer: Any) -> list[Step]:
    """The gain of one generation, from the potential itself."""
    return [
        Step(
            "Φ(θ') - Φ(θ) = KL(p₁‖p₀) + T KL(p₁‖p₂), θ' one generation of the loop from θ",
            written_out(potential.rhs, next_model(REFIT, w))
            - written_out(potential.rhs, w)
            - written_out(answer, w),
            reduce=elementary,
            sizes={"K": len(w)},
        )
        for w in (weights(2), weights(3))
    ]
