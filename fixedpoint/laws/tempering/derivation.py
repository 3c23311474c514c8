r"""Tempering: infinite samples at a temperature T, and a learner that reaches its minimum.

One generation draws from p_T ∝ p^{1/T} and minimises the cross-entropy to it. For a table of logits
the minimiser is θ/T, so that generation n has the logits θ₀T⁻ⁿ; everything else follows.

The proofs start from the definitions below (softmax, tempered distribution, cross-entropy) and hold
for the numbers of outcomes named in each step.
"""

import math
from collections.abc import Sequence
from typing import Any

import sympy as sp

from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Edge, Equation, Step, register, total

theta: Any = sp.IndexedBase("theta", real=True)
tau: Any = sp.IndexedBase("tau", positive=True)
T = sp.Symbol("T", positive=True)
n = sp.Symbol("n", integer=True, nonnegative=True)
m = sp.Symbol("m", integer=True, positive=True)
j, k, h = sp.symbols("j k h", integer=True, positive=True)
beta, beta_other = sp.Symbol("beta", positive=True), sp.Symbol(r"\beta'", positive=True)
Delta, epsilon = sp.symbols("Delta epsilon", positive=True)
num_runners_up = sp.Symbol("k_2", integer=True, positive=True)
K = NUM_OUTCOMES

EXACT_REFIT = "Infinite samples; the learner reaches the minimum; every table of logits is allowed."
"""The three conditions under which a generation is θ → θ/T."""

DERIVED = "derived here"
ESCORT = "elementary (the group of escort distributions); the iterated form is spelled out here"

LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
MANY = [3.0 * math.sin(7.0 * i) for i in range(50_000)]
"""A model with 50,000 outcomes for the edges."""


# --- the definitions -----------------------------------------------------------------------------


def model(num_outcomes: int) -> list[Any]:
    """The logits θ₁, …, θ_K as symbols."""
    return [theta[i] for i in range(1, num_outcomes + 1)]


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


def entropy(probabilities: Sequence[Any]) -> Any:
    """-Σ p log p."""
    return -sum(p * sp.log(p) for p in probabilities)


def divergence(probabilities: Sequence[Any], others: Sequence[Any]) -> Any:
    """KL(p ‖ q) = Σ p log(p/q)."""
    return sum(p * sp.log(p / q) for p, q in zip(probabilities, others, strict=True))


def slope_of_loss(target: Sequence[Any], logits: Sequence[Any]) -> list[Any]:
    """Gradient of the cross-entropy in the student's logits, at `logits`."""
    student = sp.symbols(f"x1:{len(logits) + 1}", real=True)
    loss = cross_entropy(target, student)
    here = dict(zip(student, logits, strict=True))
    return [sp.diff(loss, x).subs(here, simultaneous=True) for x in student]


def expand(expression: Any) -> Any:
    """Split powers of products and logarithms of quotients of positive numbers, then simplify."""
    split = sp.expand_log(sp.powdenest(sp.expand_power_base(expression, force=True), force=True))
    return sp.simplify(sp.expand_log(sp.powsimp(split), force=True))


def rational(expression: Any) -> Any:
    """Reduce an expression that is rational in its exponentials: bring it to one numerator."""
    return sp.expand(sp.numer(sp.together(sp.powsimp(sp.expand(expression)))))


# --- one generation, and n of them ---------------------------------------------------------------


def prove_refit() -> list[Step]:
    """The tempered model's own logits are where the cross-entropy is least, and nowhere else."""
    steps = []
    for size in (2, 3):
        target = tempered(softmax(model(size)), T)
        x, v = sp.symbols(f"x1:{size + 1}", real=True), sp.symbols(f"v1:{size + 1}", real=True)
        loss, p = cross_entropy(target, x), softmax(x)
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
                f"the gradient of the cross-entropy vanishes at θ/T (K = {size})",
                slope_of_loss(target, [t / T for t in model(size)]),
                reduce=expand,
            ),
            Step(
                f"its curvature along v is Σ p_i p_j (v_i - v_j)²: 0 for constants (K = {size})",
                curvature.subs(dict(zip(model(size), [0] * size, strict=True))) - spread,
            ),
        ]
    return steps


REFIT = register(
    Equation(
        label="tempering.refit",
        kind="exact",
        statement="Training to the minimum on samples at temperature T divides the logits by T.",
        lhs=sp.Symbol(r"\theta'_i"),
        rhs=theta[OUTCOME] / T,
        symbols={"logits": theta, "temperature": T},
        assumes=EXACT_REFIT,
        source=ESCORT,
        cites=("beck1993",),
        near_misses={
            "multiplied instead of divided": theta[OUTCOME] * T,
            "temperature ignored": theta[OUTCOME],
            "temperature applied twice": theta[OUTCOME] / T**2,
        },
        proof=prove_refit,
        domain={"logits": ("vector", -4, 4), "temperature": ("real", 0.2, 3)},
        edges=[
            Edge({"logits": LOGITS, "temperature": 1e-3}),
            Edge({"logits": LOGITS, "temperature": 1.0}),
            Edge({"logits": LOGITS, "temperature": 1 + 1e-12}),
            Edge({"logits": LOGITS, "temperature": 1 - 1e-12}),
            Edge({"logits": LOGITS, "temperature": 1e3}),
            Edge({"logits": LOGITS, "temperature": math.inf}, [0.0, 0.0, 0.0, 0.0]),
            Edge({"logits": [1.0, 1.0, 0.5], "temperature": 0.0}, [0.0, 0.0, -math.inf]),
            Edge({"logits": [1.0, -math.inf, 0.5], "temperature": 0.5}),
            Edge({"logits": [0.7], "temperature": 0.5}),
            Edge({"logits": MANY, "temperature": 0.8}),
        ],
        up_to_shift=True,
    )
)


def prove_logits() -> list[Step]:
    """Induction over the generations, each a minimum of the cross-entropy."""
    steps = [
        Step("generation 0 is the initial model", [(t / T**n - t).subs(n, 0) for t in model(3)])
    ]
    for size in (2, 3):
        teacher = tempered(softmax([t * T**-n for t in model(size)]), T)
        student = [t * T ** -(n + 1) for t in model(size)]
        steps.append(
            Step(
                f"if generation n is θ₀T⁻ⁿ, then θ₀T⁻⁽ⁿ⁺¹⁾ is the minimum of the loss (K = {size})",
                slope_of_loss(teacher, student),
                reduce=expand,
            )
        )
    return steps


LOGITS_EQUATION = register(
    Equation(
        label="tempering.logits",
        kind="exact",
        statement="After n generations at temperature T the logits are the initial ones times T⁻ⁿ.",
        lhs=sp.Symbol(r"\theta^{(n)}_i"),
        rhs=theta[OUTCOME] * T**-n,
        symbols={"logits": theta, "temperature": T, "generation": n},
        assumes=EXACT_REFIT,
        source=ESCORT,
        cites=("beck1993", "zhang2026"),
        near_misses={
            "multiplied instead of divided": theta[OUTCOME] * T**n,
            "off by one generation": theta[OUTCOME] * T ** -(n + 1),
            "linear in the generation": theta[OUTCOME] * (1 + n * (1 / T - 1)),
        },
        proof=prove_logits,
        domain={
            "logits": ("vector", -4, 4),
            "temperature": ("real", 0.4, 2.5),
            "generation": ("integer", 0, 12),
        },
        edges=[
            Edge({"logits": LOGITS, "temperature": 0.8, "generation": 0}),
            Edge({"logits": LOGITS, "temperature": 1.0, "generation": 10**6}),
            Edge({"logits": LOGITS, "temperature": 1 + 1e-12, "generation": 10**6}),
            Edge({"logits": LOGITS, "temperature": 1 - 1e-12, "generation": 10**6}),
            Edge({"logits": LOGITS, "temperature": 1e-3, "generation": 5}),
            Edge({"logits": LOGITS, "temperature": 1e3, "generation": 5}),
            Edge(
                {"logits": [1.0, 0.5, 1.0, -math.inf], "temperature": 0.9, "generation": 10**6},
                [0.0, -math.inf, 0.0, -math.inf],
            ),
            Edge(
                {"logits": [1.0, 0.5, -math.inf], "temperature": 1.1, "generation": 10**6},
                [0.0, 0.0, -math.inf],
            ),
            Edge(
                {"logits": [1.0, 0.5, 1.0], "temperature": 0.0, "generation": 1},
                [0.0, -math.inf, 0.0],
            ),
            Edge({"logits": [1.0, 0.5], "temperature": math.inf, "generation": 1}, [0.0, 0.0]),
            Edge({"logits": [1.0, -math.inf, 0.5], "temperature": 0.5, "generation": 3}),
            Edge({"logits": MANY, "temperature": 0.9, "generation": 7}),
        ],
        up_to_shift=True,
    )
)


def prove_composition() -> list[Step]:
    """Tempering twice, from the definition of p_T."""
    first, second = sp.symbols("T_1 T_2", positive=True)
    p = softmax(model(3))
    twice = tempered(tempered(p, first), second)
    other_way = tempered(tempered(p, second), first)
    once = tempered(p, first * second)
    back = tempered(tempered(p, first), 1 / first)
    return [
        Step("T₁ then T₂ is T₁T₂ (K = 3)", _differences(twice, once), reduce=expand),
        Step("the order does not matter (K = 3)", _differences(twice, other_way), reduce=expand),
        Step("T then 1/T is the identity (K = 3)", _differences(back, p), reduce=expand),
    ]


def _differences(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    return [a - b for a, b in zip(values, others, strict=True)]


COMPOSITION = register(
    Equation(
        label="tempering.composition",
        kind="exact",
        statement="Temperatures multiply, in any order; here three generations.",
        lhs=sp.Symbol(r"\theta^{(3)}_i"),
        rhs=theta[OUTCOME] / (tau[1] * tau[2] * tau[3]),
        symbols={"logits": theta, "temperatures": tau},
        assumes=EXACT_REFIT,
        source="Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Lemma B.1",
        cites=("zhang2026", "beck1993"),
        near_misses={
            "only the last temperature counts": theta[OUTCOME] / tau[3],
            "the mean temperature": theta[OUTCOME] * 27 / (tau[1] + tau[2] + tau[3]) ** 3,
            "inverse temperatures add": theta[OUTCOME] * (1 / tau[1] + 1 / tau[2] + 1 / tau[3]),
        },
        proof=prove_composition,
        edges=[
            Edge({"logits": LOGITS, "temperatures": [0.7, 1.9, 0.4]}),
            Edge({"logits": LOGITS, "temperatures": [1.3, 0.6, 2.2]}),
            Edge({"logits": LOGITS, "temperatures": [0.1, 10.0, 1.0]}),
            Edge({"logits": LOGITS, "temperatures": [1e-3, 1e-3, 1e3]}),
            Edge({"logits": LOGITS, "temperatures": [1 + 1e-12, 1.0, 1 - 1e-12]}),
            Edge({"logits": LOGITS, "temperatures": [0.5, math.inf, 0.5]}, [0.0] * 4),
            Edge(
                {"logits": [2.0, 1.0, 2.0], "temperatures": [0.5, 0.0, math.inf]},
                [0.0, -math.inf, 0.0],
            ),
            Edge({"logits": [2.0, 1.0, 2.0], "temperatures": [math.inf, 0.0, 0.5]}, [0.0] * 3),
            Edge({"logits": [0.3, -math.inf, -1.0], "temperatures": [0.7, 1.9, 0.4]}),
        ],
        up_to_shift=True,
    )
)


def prove_fixed_point() -> list[Step]:
    """The gradient at the teacher's own logits, from the cross-entropy."""
    steps = []
    for size in (2, 3):
        p = softmax(model(size))
        pull = slope_of_loss(tempered(p, T), model(size))
        claim = _differences(p, softmax([t / T for t in model(size)]))
        steps += [
            Step(
                f"the gradient of the cross-entropy at θ is p - p_T (K = {size})",
                _differences(pull, claim),
                reduce=expand,
            ),
            Step(
                f"at T = 1 it vanishes for every model (K = {size})", [c.subs(T, 1) for c in claim]
            ),
        ]
    p, p_T = softmax(model(2)), softmax([t / T for t in model(2)])
    odds = sp.log(p_T[0] / p_T[1]) - sp.log(p[0] / p[1]) - (1 / T - 1) * (theta[1] - theta[2])
    steps.append(
        Step(
            "the log-odds of teacher and model differ by (1/T - 1)(θ_i - θ_j): at T ≠ 1 only "
            "uniform models rest",
            odds,
            reduce=expand,
        )
    )
    return steps


def _softmax_at(inverse_temperature: Any, index: Any = OUTCOME) -> Any:
    return sp.exp(inverse_temperature * theta[index]) / total(
        sp.exp(inverse_temperature * theta[k]), k
    )


FIXED_POINT = register(
    Equation(
        label="tempering.fixed_point",
        kind="exact",
        statement="The expected gradient on the model's own samples is p - p_T: 0 at T = 1, "
        "for every p.",
        lhs=sp.Symbol(r"\partial_{\theta_i} \mathrm{CE}(p_T, p)"),
        rhs=_softmax_at(1) - _softmax_at(1 / T),
        symbols={"logits": theta, "temperature": T},
        assumes="Infinite samples; every table of logits is allowed. It is the gradient of the "
        "loss alone: weight decay adds its own, and that of a random batch has this mean but is "
        "not it.",
        source="Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Eq. 9",
        cites=("zhang2026",),
        near_misses={
            "sign": _softmax_at(1 / T) - _softmax_at(1),
            "scaled by the inverse temperature": (_softmax_at(1) - _softmax_at(1 / T)) / T,
            "hot where cold": _softmax_at(1) - _softmax_at(T),
        },
        proof=prove_fixed_point,
        domain={"logits": ("vector", -4, 4), "temperature": ("real", 0.3, 3)},
        edges=[
            Edge({"logits": LOGITS, "temperature": 1.0}, [0.0] * 4),
            Edge({"logits": LOGITS, "temperature": 1 + 1e-12}),
            Edge({"logits": LOGITS, "temperature": 1 - 1e-12}),
            Edge({"logits": LOGITS, "temperature": 1e-3}),
            Edge({"logits": LOGITS, "temperature": 1e3}),
            Edge({"logits": [0.5, 0.5, 0.5], "temperature": 0.7}, [0.0] * 3),
            Edge({"logits": [0.0, -math.inf, 0.0], "temperature": 0.7}, [0.0] * 3),
            Edge({"logits": [30.0, 0.0], "temperature": 0.8}),
        ],
    )
)


# --- where it leads ------------------------------------------------------------------------------


def prove_mode_limit() -> list[Step]:
    """The mass off the modes, sorted by the distance of its logits from the top."""
    B, further = sp.symbols("B delta", positive=True)
    rest = sp.Symbol("r", integer=True, positive=True)
    u, v = sp.symbols("u v", positive=True)
    tail = (num_runners_up * u + rest * u * v) / (m + num_runners_up * u + rest * u * v)
    claim = num_runners_up / m * u
    p = softmax([0, 0, -Delta * B, -Delta * B, -Delta * B, -(Delta + further) * B])
    sizes = {m: 2, num_runners_up: 3, rest: 1}
    here = {u: sp.exp(-Delta * B), v: sp.exp(-further * B)}
    correction = (1 + rest * v / num_runners_up) / (1 + u * (num_runners_up + rest * v) / m)
    return [
        Step(
            "the mass off the modes by u = e^{-ΔB}, v = e^{-δB} (2 modes, 3 runners-up, 1 more)",
            1 - p[0] - p[1] - tail.subs(sizes).subs(here),
        ),
        Step("its ratio to the claim, for all multiplicities", tail / claim - correction),
        Step("the ratio tends to 1 as u and v vanish", correction.subs({u: 0, v: 0}) - 1),
    ]


MODE_LIMIT = register(
    Equation(
        label="tempering.mode_limit",
        kind="asymptotic",
        statement="Below T = 1 the mass off the m modes falls double-exponentially; the prefactor "
        "is the number of runners-up over the number of modes.",
        lhs=sp.Symbol(r"1 - P_n(\mathrm{modes})"),
        rhs=num_runners_up / m * sp.exp(-Delta * T**-n),
        symbols={
            "gap": Delta,
            "num_modes": m,
            "num_runners_up": num_runners_up,
            "temperature": T,
            "generation": n,
        },
        assumes=EXACT_REFIT
        + " T < 1; not every outcome is a mode; gap Δ to the next logit, held by "
        "k₂ outcomes; relative error at most of order e^{-ΔT⁻ⁿ} and of the next gap's exponential.",
        source=DERIVED,
        near_misses={
            "no prefactor": sp.exp(-Delta * T**-n),
            "prefactor without the ties of the mode": num_runners_up * sp.exp(-Delta * T**-n),
            "prefactor inverted": m / num_runners_up * sp.exp(-Delta * T**-n),
            "single exponential": num_runners_up / m * sp.exp(-Delta * n / T),
        },
        proof=prove_mode_limit,
        domain={
            "gap": ("real", 0.1, 2),
            "num_modes": ("integer", 1, 4),
            "num_runners_up": ("integer", 1, 9),
            "temperature": ("real", 0.5, 0.95),
            "generation": ("integer", 0, 6),
        },
        edges=[
            Edge(
                {
                    "gap": 0.7,
                    "num_modes": 2,
                    "num_runners_up": 3,
                    "temperature": 0.5,
                    "generation": 10**6,
                },
                0.0,
            ),
            Edge(
                {
                    "gap": 0.7,
                    "num_modes": 2,
                    "num_runners_up": 3,
                    "temperature": 0.0,
                    "generation": 1,
                },
                0.0,
            ),
            Edge(
                {
                    "gap": 0.7,
                    "num_modes": 2,
                    "num_runners_up": 49_998,
                    "temperature": 0.9,
                    "generation": 20,
                }
            ),
        ],
    )
)


def prove_generations_to_collapse() -> list[Step]:
    """Solve the asymptotic tail for the generation, with T = e^{-r}."""
    rate = sp.Symbol("r", positive=True)
    generation = GENERATIONS.subs(T, sp.exp(-rate))
    tail = MODE_LIMIT.rhs.subs(n, sp.Symbol("t")).subs(T, sp.exp(-rate))
    return [
        Step(
            "there the mass off the modes is ε",
            tail.subs(sp.Symbol("t"), sp.simplify(generation)) - epsilon,
        ),
        Step(
            "the mass only falls: its logarithmic slope is -Δ r e^{rt}",
            sp.diff(sp.log(tail), sp.Symbol("t")) + Delta * rate * sp.exp(rate * sp.Symbol("t")),
        ),
    ]


GENERATIONS = sp.log(sp.log(num_runners_up / (m * epsilon)) / Delta) / sp.log(1 / T)

GENERATIONS_TO_COLLAPSE = register(
    Equation(
        label="tempering.generations_to_collapse",
        kind="asymptotic",
        statement="The generations until the mass off the modes is ε: a double logarithm.",
        lhs=sp.Symbol(r"n_\epsilon"),
        rhs=GENERATIONS,
        symbols={
            "gap": Delta,
            "num_modes": m,
            "num_runners_up": num_runners_up,
            "temperature": T,
            "tolerance": epsilon,
        },
        assumes=EXACT_REFIT + " T < 1; log(k₂/(mε)) > Δ (otherwise it is so from the start).",
        source=DERIVED,
        near_misses={
            "multiplicities forgotten": sp.log(sp.log(1 / epsilon) / Delta) / sp.log(1 / T),
            "one logarithm": sp.log(num_runners_up / (m * epsilon)) / Delta / sp.log(1 / T),
            "gap outside the logarithm": sp.log(sp.log(num_runners_up / (m * epsilon)))
            / (Delta * sp.log(1 / T)),
            "off by one generation": GENERATIONS + 1,
        },
        proof=prove_generations_to_collapse,
        domain={
            "gap": ("real", 0.1, 2),
            "num_modes": ("integer", 1, 4),
            "num_runners_up": ("integer", 1, 9),
            "temperature": ("real", 0.3, 0.95),
            "tolerance": ("real", 1e-12, 1e-3),
        },
        edges=[
            Edge(
                {
                    "gap": 0.7,
                    "num_modes": 2,
                    "num_runners_up": 3,
                    "temperature": 1 - 1e-6,
                    "tolerance": 1e-300,
                }
            ),
            Edge(
                {
                    "gap": 0.7,
                    "num_modes": 2,
                    "num_runners_up": 3,
                    "temperature": 1e-3,
                    "tolerance": 1e-12,
                }
            ),
            Edge(
                {
                    "gap": 5.0,
                    "num_modes": 2,
                    "num_runners_up": 3,
                    "temperature": 0.5,
                    "tolerance": 0.5,
                },
                0.0,
            ),
        ],
    )
)


def prove_divergence() -> list[Step]:
    """From the definition of KL, with A(β) = log Σ e^{βθ}."""
    return [
        Step(
            f"KL of two temperatures is (β - β') A'(β) - A(β) + A(β') (K = {size})",
            divergence(
                softmax([beta * t for t in model(size)]),
                softmax([beta_other * t for t in model(size)]),
            )
            - _written_out(DIVERGENCE_RHS, size),
            reduce=expand,
        )
        for size in (2, 3)
    ]


def _written_out(expression: Any, size: int) -> Any:
    return expression.subs(K, size).doit()


def _log_partition(inverse_temperature: Any) -> Any:
    return sp.log(total(sp.exp(inverse_temperature * theta[k]), k))


def _mean(inverse_temperature: Any, power: int = 1) -> Any:
    return total(theta[j] ** power * sp.exp(inverse_temperature * theta[j]), j) / total(
        sp.exp(inverse_temperature * theta[k]), k
    )


DIVERGENCE_RHS = (
    (beta - beta_other) * _mean(beta) - _log_partition(beta) + _log_partition(beta_other)
)

DIVERGENCE = register(
    Equation(
        label="tempering.divergence",
        kind="exact",
        statement="KL between one model at two inverse temperatures.",
        lhs=sp.Symbol(r"\mathrm{KL}(p_\beta \| p_{\beta'})"),
        rhs=DIVERGENCE_RHS,
        symbols={
            "logits": theta,
            "inverse_temperature": beta,
            "inverse_temperature_other": beta_other,
        },
        assumes="Both are tempered from one model; generation n is β = T⁻ⁿ, the uniform law β = 0.",
        source=DERIVED,
        near_misses={
            "arguments swapped": (beta_other - beta) * _mean(beta_other)
            - _log_partition(beta_other)
            + _log_partition(beta),
            "second order only": (beta - beta_other) ** 2
            / 2
            * (_mean(beta, power=2) - _mean(beta) ** 2),
        },
        proof=prove_divergence,
        domain={
            "logits": ("vector", -4, 4),
            "inverse_temperature": ("real", 0, 3),
            "inverse_temperature_other": ("real", 0, 3),
        },
        edges=[
            Edge({"logits": LOGITS, "inverse_temperature": b, "inverse_temperature_other": b_other})
            for b, b_other in [
                (1e-10, 0.0),
                (0.0, 1e-10),
                (1e-5, 0.0),
                (0.03, 0.0),
                (1.0, 1.01),
                (1.0, 1.0),
                (100.0, 0.0),
                (0.0, 100.0),
                (100.0, 1.0),
            ]
        ]
        + [
            Edge(
                {
                    "logits": [1.0, -math.inf, 1.0],
                    "inverse_temperature": 0.3,
                    "inverse_temperature_other": 0.0,
                },
                0.0,
            ),
        ],
    )
)


def prove_uniform_limit() -> list[Step]:
    """The cumulant series of KL(p_n ‖ u) about β = 0."""
    return [
        *_prove_cumulants(),
        *_prove_series(lambda A, B: B * A.diff(B) - A, lambda order: order - 1),
    ]


def prove_uniform_limit_reverse() -> list[Step]:
    """The cumulant series of KL(u ‖ p_n) about β = 0."""
    B = sp.Symbol("B", real=True)
    mean = sp.Function("A")(B).diff(B).subs(B, 0)
    return [*_prove_cumulants(), *_prove_series(lambda A, B: A - B * mean, lambda order: 1)]


def _prove_cumulants() -> list[Step]:
    """KL in terms of A(B) = log mean e^{Bθ}, and the derivatives of A at 0."""
    B, size = sp.Symbol("B", real=True), 3
    uniform = [sp.Rational(1, size)] * size
    p = softmax([B * t for t in model(size)])
    A = sp.log(sum(sp.exp(B * t) for t in model(size)) / size)
    mean = sum(model(size)) / size
    moment = {power: sum((t - mean) ** power for t in model(size)) / size for power in (2, 3)}
    return [
        Step(
            "KL(p‖u) = B A' - A (K = 3)",
            divergence(p, uniform) - (B * A.diff(B) - A),
            reduce=expand,
        ),
        Step(
            "KL(u‖p) = A - B A'(0) (K = 3)",
            divergence(uniform, p) - (A - B * mean),
            reduce=expand,
        ),
        Step(
            "A(0) = 0, A'(0) is the mean, A'' and A''' are the second and third central moments",
            [A.subs(B, 0), A.diff(B).subs(B, 0) - mean]
            + [A.diff(B, power).subs(B, 0) - moment[power] for power in (2, 3)],
        ),
    ]


def _prove_series(divergence_of: Any, coefficient: Any) -> list[Step]:
    B = sp.Symbol("B", real=True)
    A = sp.Function("A")(B)
    series = divergence_of(A, B)
    residuals = [
        (series.diff(B, order) - coefficient(order) * A.diff(B, order)).subs(B, 0).doit()
        for order in (2, 3)
    ]
    return [
        Step(
            "Taylor coefficients at B = 0 in terms of the cumulants, for every A with A(0) = 0",
            [
                series.subs(B, 0).doit().subs(A.subs(B, 0), 0),
                series.diff(B).subs(B, 0).doit(),
                *residuals,
            ],
        )
    ]


_CENTRED = theta[j] - total(theta[k], k) / K
_CUMULANT = {power: total(_CENTRED**power, j) / K for power in (2, 3)}
_UNIFORM_EDGES = [
    Edge({"logits": LOGITS, "temperature": 1.2, "generation": 400}),
    Edge({"logits": LOGITS, "temperature": 10.0, "generation": 10}),
    Edge({"logits": LOGITS, "temperature": 1.1, "generation": 10**6}, 0.0),
    Edge({"logits": LOGITS, "temperature": math.inf, "generation": 1}, 0.0),
    Edge({"logits": [0.7, 0.7], "temperature": 1.2, "generation": 3}, 0.0),
    Edge({"logits": MANY, "temperature": 1.2, "generation": 10}),
]
_UNIFORM_DOMAIN = {
    "logits": ("vector", -4.0, 4.0),
    "temperature": ("real", 1.05, 2.5),
    "generation": ("integer", 0, 20),
}
_B = T**-n

UNIFORM_LIMIT = register(
    Equation(
        label="tempering.uniform_limit",
        kind="asymptotic",
        statement="Above T = 1 the divergence of the model from the uniform law falls as T⁻²ⁿ.",
        lhs=sp.Symbol(r"\mathrm{KL}(p_n \| u)"),
        rhs=_B**2 * _CUMULANT[2] / 2 + _B**3 * _CUMULANT[3] / 3,
        symbols={"logits": theta, "temperature": T, "generation": n},
        assumes=EXACT_REFIT + " T > 1; T⁻ⁿ small: the series Σ (j-1) κ_j B^j/j! converges only for "
        "B below the nearest complex zero of the mean of e^{Bθ} (|B|x < π/2 for logits ±x).",
        source=DERIVED,
        near_misses={
            "leading order only": _B**2 * _CUMULANT[2] / 2,
            "third coefficient of the other direction": _B**2 * _CUMULANT[2] / 2
            + _B**3 * _CUMULANT[3] / 6,
            "sample variance": _B**2 * _CUMULANT[2] * K / (K - 1) / 2 + _B**3 * _CUMULANT[3] / 3,
            "off by one generation": (_B / T) ** 2 * _CUMULANT[2] / 2
            + (_B / T) ** 3 * _CUMULANT[3] / 3,
        },
        proof=prove_uniform_limit,
        domain=_UNIFORM_DOMAIN,
        edges=_UNIFORM_EDGES,
    )
)

UNIFORM_LIMIT_REVERSE = register(
    Equation(
        label="tempering.uniform_limit_reverse",
        kind="asymptotic",
        statement="Above T = 1 the divergence of the uniform law from the model falls as T⁻²ⁿ.",
        lhs=sp.Symbol(r"\mathrm{KL}(u \| p_n)"),
        rhs=_B**2 * _CUMULANT[2] / 2 + _B**3 * _CUMULANT[3] / 6,
        symbols={"logits": theta, "temperature": T, "generation": n},
        assumes=EXACT_REFIT + " T > 1; T⁻ⁿ small, as for tempering.uniform_limit.",
        source=DERIVED,
        near_misses={
            "leading order only": _B**2 * _CUMULANT[2] / 2,
            "third coefficient of the other direction": _B**2 * _CUMULANT[2] / 2
            + _B**3 * _CUMULANT[3] / 3,
            "sign of the third coefficient": _B**2 * _CUMULANT[2] / 2 - _B**3 * _CUMULANT[3] / 6,
        },
        proof=prove_uniform_limit_reverse,
        domain=_UNIFORM_DOMAIN,
        edges=_UNIFORM_EDGES,
    )
)


# --- how it goes there ---------------------------------------------------------------------------


def prove_entropy_slope() -> list[Step]:
    """dS/dβ through the partition sum Z(β), for every K at once."""
    Z = sp.Function("Z", positive=True)(beta)
    exponentials = sum(sp.exp(beta * t) for t in model(3))
    p = softmax([beta * t for t in model(3)])
    variance = sum(a * t**2 for a, t in zip(p, model(3), strict=True)) - (
        sum(a * t for a, t in zip(p, model(3), strict=True)) ** 2
    )
    spread = Z.diff(beta, 2) / Z - (Z.diff(beta) / Z) ** 2
    S = sp.log(Z) - beta * Z.diff(beta) / Z
    return [
        Step(
            "the entropy is log Z - β Z'/Z (K = 3)",
            entropy(p) - S.subs(Z, exponentials).doit(),
            reduce=expand,
        ),
        Step("its slope is -β (Z''/Z - (Z'/Z)²), for every Z", S.diff(beta) + beta * spread),
        Step(
            "the bracket is the variance of the logits (K = 3)",
            spread.subs(Z, exponentials).doit() - variance,
        ),
    ]


_VARIANCE = total((theta[h] - _mean(beta)) ** 2 * _softmax_at(beta, h), h)

ENTROPY_SLOPE = register(
    Equation(
        label="tempering.entropy_slope",
        kind="exact",
        statement="The entropy falls with the inverse temperature at the rate β Var(θ).",
        lhs=sp.Symbol(r"\frac{dS}{d\beta}"),
        rhs=-beta * _VARIANCE,
        symbols={"logits": theta, "inverse_temperature": beta},
        assumes="The variance is taken under the tempered model p_β ∝ e^{βθ}.",
        source="textbook thermodynamics (the heat capacity is β² Var of the energy)",
        cites=("beck1993",),
        near_misses={
            "sign": beta * _VARIANCE,
            "without the factor β": -_VARIANCE,
            "variance under the untempered model": -beta * _VARIANCE.subs(beta, 1),
        },
        proof=prove_entropy_slope,
        domain={"logits": ("vector", -4, 4), "inverse_temperature": ("real", 0, 3)},
        edges=[
            Edge({"logits": LOGITS, "inverse_temperature": 0.0}, 0.0),
            Edge({"logits": LOGITS, "inverse_temperature": 1e-9}),
            Edge({"logits": LOGITS, "inverse_temperature": 100.0}),
            Edge({"logits": [0.5, 0.5], "inverse_temperature": 2.0}, 0.0),
            Edge({"logits": [0.5, -math.inf, 0.5], "inverse_temperature": 2.0}, 0.0),
        ],
    )
)


def prove_majorisation() -> list[Step]:
    """Differentiate the mass of the first outcomes, from the softmax."""
    steps = []
    for size, top in ((2, 1), (3, 1), (3, 2), (4, 2)):
        p = softmax([beta * t for t in model(size)])
        pairs: Any = sum(
            p[a] * p[b] * (theta[a + 1] - theta[b + 1])
            for a in range(top)
            for b in range(top, size)
        )
        steps.append(
            Step(
                f"dP/dβ = Σ p_i p_j (θ_i - θ_j) over pairs across the cut (K = {size}, m = {top})",
                sp.Add(*p[:top]).diff(beta) - pairs,
                reduce=rational,
            )
        )
        weights = sp.symbols(f"p1:{size + 1}", positive=True)
        inside, outside = (
            sum(a * t for a, t in zip(weights[part], model(size)[part], strict=True))
            / sum(weights[part])
            for part in (slice(top), slice(top, None))
        )
        across = sum(weights[:top]) * sum(weights[top:]) * (inside - outside)
        named = pairs.subs(dict(zip(p, weights, strict=True)))
        steps.append(
            Step(
                f"which is P (1 - P) times the difference of the means (K = {size}, m = {top})",
                sp.expand(across) - sp.expand(named),
            )
        )
    return steps


_PAIRS: Any = sp.Sum(
    _softmax_at(beta, h) * _softmax_at(beta, j) * (theta[h] - theta[j]), (j, m + 1, K), (h, 1, m)
)

MAJORISATION = register(
    Equation(
        label="tempering.majorisation",
        kind="exact",
        statement="Cooling never lowers the mass of the m most probable outcomes, for any m: a "
        "colder model majorises a hotter one.",
        lhs=sp.Symbol(r"\frac{d P_m}{d\beta}"),
        rhs=_PAIRS,
        symbols={"logits": theta, "inverse_temperature": beta, "num_top": m},
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
        proof=prove_majorisation,
        edges=[
            Edge({"logits": sorted(logits, reverse=True), "inverse_temperature": b, "num_top": top})
            for logits in (LOGITS, [2.0, 2.0, -1.0, 0.3, 0.3])
            for b in (1e-9, 0.3, 1.0, 2.7, 40.0)
            for top in (1, 2, 3)
        ]
        + [
            Edge({"logits": LOGITS, "inverse_temperature": 1.0, "num_top": 4}, 0.0),
            Edge({"logits": [0.2, 0.2, 0.2], "inverse_temperature": 1.0, "num_top": 2}, 0.0),
        ],
    )
)


# --- the way back --------------------------------------------------------------------------------


def prove_recovery() -> list[Step]:
    """Sample generation n at τ = T⁻ⁿ, from the definition of p_τ."""
    probe = sp.Symbol("tau", positive=True)
    steps = []
    for size in (2, 3):
        generation = softmax([t * T**-n for t in model(size)])
        steps.append(
            Step(
                f"generation n sampled at T⁻ⁿ is the initial model (K = {size})",
                _differences(tempered(generation, T**-n), softmax(model(size))),
                reduce=expand,
            )
        )
    back = tempered(softmax([t * T**-n for t in model(2)]), probe)
    steps.append(
        Step(
            "at τ its log-odds are (θ_i - θ_j) T⁻ⁿ/τ: no other τ restores them",
            sp.log(back[0] / back[1]) - (theta[1] - theta[2]) * T**-n / probe,
            reduce=expand,
        )
    )
    return steps


RECOVERY = register(
    Equation(
        label="tempering.recovery",
        kind="exact",
        statement="Sampling generation n at temperature T⁻ⁿ restores the initial model.",
        lhs=sp.Symbol(r"\tau_n"),
        rhs=T**-n,
        symbols={"temperature": T, "generation": n},
        assumes=EXACT_REFIT + " The generation is known to enough digits (tempering.storage_cold, "
        "tempering.storage_hot) and is not uniform.",
        source=DERIVED,
        near_misses={
            "the same temperature again": T**n,
            "one generation too many": T ** -(n + 1),
            "only the last generation undone": 1 / T,
            "linear in the generation": 1 + n * (1 / T - 1),
        },
        proof=prove_recovery,
        domain={"temperature": ("real", 0.4, 2.5), "generation": ("integer", 0, 30)},
        edges=[
            Edge({"temperature": 1.0, "generation": 10**6}, 1.0),
            Edge({"temperature": 1 + 1e-12, "generation": 10**6}),
            Edge({"temperature": 1 - 1e-12, "generation": 10**6}),
            Edge({"temperature": 1e-3, "generation": 50}),
            Edge({"temperature": 1e3, "generation": 50}),
            Edge({"temperature": 0.9, "generation": 10**6}, math.inf),
            Edge({"temperature": 1.1, "generation": 10**6}, 0.0),
            Edge({"temperature": 0.7, "generation": 0}, 1.0),
        ],
    )
)

R, smallest, roundoff, tolerance = sp.symbols("R lambda u d", positive=True)
STORAGE_COLD_RHS = sp.log(smallest / R) / sp.log(1 / T)


def prove_storage_cold() -> list[Step]:
    """When the least probability underflows, with T = e^{-r}."""
    rate, B = sp.symbols("r B", positive=True)
    p = softmax([0, -sp.Symbol("a", positive=True) * B, -R * B])
    return [
        Step(
            "the least probability of generation n is e^{-R T⁻ⁿ} times that of the mode (K = 3)",
            sp.log(p[2] / p[0]) + R * B,
            reduce=expand,
        ),
        Step(
            "at the horizon that is the smallest number e^{-λ}",
            (R * sp.exp(rate * n)).subs(n, STORAGE_COLD_RHS.subs(T, sp.exp(-rate))) - smallest,
        ),
    ]


STORAGE_COLD = register(
    Equation(
        label="tempering.storage_cold",
        kind="asymptotic",
        statement="Below T = 1 the initial model survives storage as probabilities until its "
        "rarest outcome underflows.",
        lhs=sp.Symbol("n_*"),
        rhs=STORAGE_COLD_RHS,
        symbols={"logit_range": R, "temperature": T, "log_smallest": smallest},
        assumes=EXACT_REFIT + " T < 1; e^{-λ} is the smallest number that does not round to 0, λ "
        "large; rounding errors, together at most uT/(1 - T), are negligible "
        "(tempering.storage_hot where they are not). ℓ nats in λ are ℓ/(λ log(1/T)) generations, "
        "among them the logarithm of the mode's probability at the horizon.",
        source=DERIVED,
        near_misses={
            "range of the logits forgotten": sp.log(smallest) / sp.log(1 / T),
            "one logarithm": smallest / R / sp.log(1 / T),
            "digits instead of range": sp.log(sp.sqrt(smallest / R)) / sp.log(1 / T),
        },
        proof=prove_storage_cold,
        domain={
            "logit_range": ("real", 1, 20),
            "temperature": ("real", 0.3, 0.97),
            "log_smallest": ("real", 80, 750),
        },
        edges=[
            Edge({"logit_range": 7.0, "temperature": 1 - 1e-6, "log_smallest": 745.0}),
            Edge({"logit_range": 7.0, "temperature": 1e-3, "log_smallest": 745.0}),
            Edge({"logit_range": 800.0, "temperature": 0.5, "log_smallest": 745.0}, 0.0),
        ],
    )
)

STORAGE_HOT_RHS = sp.log(1 + tolerance * (T - 1) / (T * roundoff)) / sp.log(T)


def prove_storage_hot() -> list[Step]:
    """Rounding errors of the logits, each at most u, added up by the way back, with T = e^r."""
    rate = sp.Symbol("r", real=True, nonzero=True)
    t = sp.Symbol("t", real=True)
    error = roundoff * T * (1 - T**-t) / (T - 1)
    return [
        Step("nothing is lost before the rounding", error.subs(t, 0)),
        Step(
            "one generation divides the error by T and adds u",
            error.subs(t, t + 1) - (error / T + roundoff),
        ),
        Step(
            "the way back multiplies it by Tⁿ, and at the horizon that is the tolerance",
            (error * T**t).subs(T, sp.exp(rate)).subs(t, STORAGE_HOT_RHS.subs(T, sp.exp(rate)))
            - tolerance,
        ),
        Step(
            "for T < 1 it stays below uT/(1 - T): within the tolerance for ever if T < 1/(1 + u/d)",
            [
                (error * T**t) - roundoff * T / (1 - T) * (1 - T**t),
                (roundoff * T / (1 - T)).subs(T, 1 / (1 + roundoff / tolerance)) - tolerance,
            ],
        ),
    ]


STORAGE_HOT = register(
    Equation(
        label="tempering.storage_hot",
        kind="bound",
        statement="Stored as probabilities, the initial model survives at least until the rounding "
        "errors, those of generation k times T^k, add up to the tolerance: soon above T = 1 and "
        "near it, never for T < 1/(1 + u/d).",
        lhs=sp.Symbol("n_*"),
        rhs=STORAGE_HOT_RHS,
        symbols={"temperature": T, "roundoff": roundoff, "tolerance": tolerance},
        assumes=EXACT_REFIT + " T > 1/(1 + u/d), d/u at T = 1; rounding changes each "
        "log-probability by at most the unit roundoff u a generation (to first order, while "
        "probabilities are normal numbers), all other arithmetic is finer; the error is the "
        "largest of the restored logits, up to a common constant.",
        source=DERIVED,
        relation=">=",
        near_misses={
            "errors do not add up": sp.log(tolerance / roundoff) / sp.log(T),
            "half the temperature's effect": 2 * STORAGE_HOT_RHS,
            "linear amplification": tolerance / roundoff / T,
        },
        proof=prove_storage_hot,
        domain={
            "temperature": ("real", 1.03, 3),
            "roundoff": ("real", 1e-9, 1e-6),
            "tolerance": ("real", 0.01, 0.5),
        },
        edges=[
            Edge({"temperature": 1 + 1e-3, "roundoff": 2.0**-53, "tolerance": 0.1}),
            Edge({"temperature": 1e3, "roundoff": 2.0**-53, "tolerance": 0.1}),
            Edge({"temperature": 1 + 1e-12, "roundoff": 2.0**-8, "tolerance": 0.1}),
            Edge({"temperature": 1.0, "roundoff": 2.0**-8, "tolerance": 0.1}, 25.6),
            Edge({"temperature": 0.999, "roundoff": 2.0**-8, "tolerance": 0.1}),
            Edge({"temperature": 0.999, "roundoff": 2.0**-11, "tolerance": 0.1}),
            Edge({"temperature": 0.9, "roundoff": 2.0**-8, "tolerance": 0.1}, math.inf),
        ],
    )
)


# --- what it climbs ------------------------------------------------------------------------------


def prove_potential() -> list[Step]:
    """The integral of the entropy over temperature, and the gradient."""
    steps = []
    for size in (2, 3):
        Phi = _written_out(POTENTIAL_RHS, size)
        steps += [
            Step(
                f"dΦ/dT is the entropy at temperature T (K = {size})",
                Phi.diff(T) - entropy(softmax([t / T for t in model(size)])),
                reduce=expand,
            ),
            Step(f"Φ vanishes at T = 1, so that it is the integral (K = {size})", Phi.subs(T, 1)),
            Step(
                f"∇Φ = p_T - p (K = {size})",
                [
                    Phi.diff(t) - (a - b)
                    for t, a, b in zip(
                        model(size),
                        softmax([t / T for t in model(size)]),
                        softmax(model(size)),
                        strict=True,
                    )
                ],
            ),
        ]
    return steps


POTENTIAL_RHS = T * _log_partition(1 / T) - _log_partition(1)

POTENTIAL = register(
    Equation(
        label="tempering.potential",
        kind="exact",
        statement="The potential of self-training is the entropy integrated over temperature.",
        lhs=sp.Symbol(r"\int_1^T S(p_{T'})\, dT'"),
        rhs=POTENTIAL_RHS,
        symbols={"logits": theta, "temperature": T},
        assumes="No real data. Its gradient is p_T - p.",
        source="thermodynamic integration (dF/dT = -S); the use for self-training is derived here",
        cites=("beck1993",),
        near_misses={
            "without the factor T": _log_partition(1 / T) - _log_partition(1),
            "sign": -POTENTIAL_RHS,
            "entropy at the end times the distance": (T - 1)
            * (_log_partition(1 / T) - _mean(1 / T) / T),
        },
        proof=prove_potential,
        domain={"logits": ("vector", -4, 4), "temperature": ("real", 0.2, 3)},
        edges=[
            Edge({"logits": LOGITS, "temperature": 1.0}, 0.0),
            Edge({"logits": LOGITS, "temperature": 1 + 1e-12}),
            Edge({"logits": LOGITS, "temperature": 1 - 1e-12}),
            Edge({"logits": LOGITS, "temperature": 1e-3}),
            Edge({"logits": LOGITS, "temperature": 1e3}),
            Edge({"logits": [0.4], "temperature": 0.3}, 0.0),
        ],
    )
)


def prove_ascent() -> list[Step]:
    """The gain of one refit, θ → θ/T, from the potential itself."""
    return [
        Step(
            f"Φ(θ/T) - Φ(θ) = KL(p₁‖p₀) + T KL(p₁‖p₂), p_n = softmax(θT⁻ⁿ) (K = {size})",
            _refitted(_written_out(POTENTIAL_RHS, size), size)
            - _written_out(POTENTIAL_RHS, size)
            - divergence(_generation(1, size), _generation(0, size))
            - T * divergence(_generation(1, size), _generation(2, size)),
            reduce=expand,
        )
        for size in (2, 3)
    ]


def _generation(number: int, size: int) -> list[Any]:
    return softmax([t / T**number for t in model(size)])


def _refitted(expression: Any, size: int) -> Any:
    return expression.subs({t: t / T for t in model(size)}, simultaneous=True)


def _kl(first: Any, second: Any) -> Any:
    return DIVERGENCE_RHS.subs({beta: first, beta_other: second}, simultaneous=True)


ASCENT = register(
    Equation(
        label="tempering.ascent",
        kind="exact",
        statement="A generation raises the potential by two divergences: it never lowers it.",
        lhs=sp.Symbol(r"\Phi(\theta^{(1)}) - \Phi(\theta^{(0)})"),
        rhs=_kl(1 / T, 1) + T * _kl(1 / T, T**-2),
        symbols={"logits": theta, "temperature": T},
        assumes=EXACT_REFIT + " The gain is KL(p₁‖p₀) + T KL(p₁‖p₂), the step of a "
        "minorise-maximise scheme.",
        source=DERIVED,
        cites=("yuille2003", "hunter2004", "raskutti2013"),
        near_misses={
            "one divergence only": _kl(1 / T, 1),
            "without the factor T": _kl(1 / T, 1) + _kl(1 / T, T**-2),
            "first divergence reversed": _kl(1, 1 / T) + T * _kl(1 / T, T**-2),
        },
        proof=prove_ascent,
        domain={"logits": ("vector", -4, 4), "temperature": ("real", 0.3, 3)},
        edges=[
            Edge({"logits": LOGITS, "temperature": 1.0}, 0.0),
            Edge({"logits": LOGITS, "temperature": 1.01}),
            Edge({"logits": LOGITS, "temperature": 0.05}),
            Edge({"logits": LOGITS, "temperature": 100.0}),
        ],
    )
)


# --- which families it keeps ---------------------------------------------------------------------

eta, c = sp.symbols("eta c", real=True)
lam = sp.Symbol("lambda", positive=True)
N = sp.Symbol("N", integer=True, positive=True)
FAMILY_RHS = (eta + c) * T**-n - c


def prove_exponential_family() -> list[Step]:
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


EXPONENTIAL_FAMILY = register(
    Equation(
        label="tempering.exponential_family",
        kind="exact",
        statement="A family h(x) e^{ηt(x)} is closed under tempering iff log h ∈ span{1, t}; with "
        "slope c of log h in t, η + c is divided by T.",
        lhs=sp.Symbol(r"\eta_n"),
        rhs=FAMILY_RHS,
        symbols={"parameter": eta, "base_slope": c, "temperature": T, "generation": n},
        assumes=EXACT_REFIT + " log h = const + c t on the support; η_n lies in the natural domain "
        "(gamma: shape > 1 - Tⁿ; Pareto density x^{-α}: α > Tⁿ).",
        source=DERIVED,
        cites=("alemohammad2023",),
        near_misses={
            "base measure ignored": eta * T**-n,
            "base measure with the wrong sign": (eta - c) * T**-n + c,
            "base measure not restored": (eta + c) * T**-n,
        },
        proof=prove_exponential_family,
        domain={
            "parameter": ("real", 1, 4),
            "base_slope": ("real", -0.9, 0.9),
            "temperature": ("real", 0.4, 2.5),
            "generation": ("integer", 0, 10),
        },
        edges=[
            Edge({"parameter": 3.0, "base_slope": -1.0, "temperature": 1.0, "generation": 10**6}),
            Edge(
                {"parameter": 3.0, "base_slope": -1.0, "temperature": 1.1, "generation": 10**6}, 1.0
            ),
            Edge(
                {"parameter": 3.0, "base_slope": -1.0, "temperature": 0.9, "generation": 10**6},
                math.inf,
            ),
            Edge({"parameter": 3.0, "base_slope": -1.0, "temperature": 0.5, "generation": 0}),
        ],
    )
)


def _mean_count(weight: Any) -> Any:
    """Mean of k = 0, …, N - 1 under weights that depend on k."""
    counts = (k, 0, N - 1)
    whole: Any = sp.Sum(weight, counts)
    return sp.Sum(k * weight, counts) / whole


POISSON_RHS = _mean_count((lam**k / sp.factorial(k)) ** (1 / T))


def prove_poisson() -> list[Step]:
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


POISSON = register(
    Equation(
        label="tempering.poisson",
        kind="exact",
        statement="Poisson, not closed under tempering: a student kept in the family takes the "
        "mean of what is drawn.",
        lhs=sp.Symbol(r"\lambda'"),
        rhs=POISSON_RHS,
        symbols={"mean": lam, "temperature": T, "num_terms": N},
        assumes="Infinite samples; the student is a Poisson law of least cross-entropy; the terms "
        "from N on are negligible.",
        source=DERIVED,
        near_misses={
            "as if the family were closed": lam ** (1 / T),
            "mean unchanged": lam,
            "base measure not tempered": _mean_count(lam ** (k / T) / sp.factorial(k)),
        },
        proof=prove_poisson,
        domain={
            "mean": ("real", 0.1, 12),
            "temperature": ("real", 0.3, 2),
            "num_terms": ("integer", 120, 120),
        },
        edges=[
            Edge({"mean": 1e-6, "temperature": 0.5, "num_terms": 60}),
            Edge({"mean": 5.0, "temperature": 1.0, "num_terms": 120}, 5.0),
            Edge({"mean": 200.0, "temperature": 0.8, "num_terms": 600}),
        ],
    )
)


def prove_poisson_drift() -> list[Step]:
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


DRIFT_RHS = -(1 - T) / 2

POISSON_DRIFT = register(
    Equation(
        label="tempering.poisson_drift",
        kind="asymptotic",
        statement="A large Poisson mean moves by a constant per generation, not by a factor.",
        lhs=sp.Symbol(r"\lambda_{n+1} - \lambda_n"),
        rhs=DRIFT_RHS,
        symbols={"temperature": T},
        assumes="Infinite samples; the student is a Poisson law; λ large, correction of order 1/λ.",
        source=DERIVED,
        near_misses={
            "no factor one half": -(1 - T),
            "sign": (1 - T) / 2,
            "inverse temperature": -(1 / T - 1) / 2,
        },
        proof=prove_poisson_drift,
        domain={"temperature": ("real", 0.2, 2)},
        edges=[
            Edge({"temperature": 1.0}, 0.0),
            Edge({"temperature": 1 + 1e-12}),
            Edge({"temperature": 1e-3}),
        ],
    )
)


# --- which students obey it ----------------------------------------------------------------------

delta = sp.Symbol("delta", nonnegative=True)
CONE_RHS = 4 * beta / (2 + 2**beta)
CONE_TWO_CONTEXTS_RHS = beta * sp.cosh(delta / 2) ** 2 / sp.cosh(beta * delta / 2) ** 2


def prove_cone() -> list[Step]:
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


def _moment(weights: Sequence[Any], slope: Any) -> Any:
    terms = [weight * sp.exp(slope * t) for t, weight in enumerate(weights)]
    return sum(t * term for t, term in enumerate(terms)) / sum(terms)


CONE = register(
    Equation(
        label="tempering.cone",
        kind="exact",
        statement="Students closed under scaling of their logits obey the law whatever their rank; "
        "a frozen base plus an adapter does not: smallest counterexample, K = 3.",
        lhs=sp.Symbol(r"\left. \frac{dw'}{dw} \right|_{w=0}"),
        rhs=CONE_RHS,
        symbols={"inverse_temperature": beta},
        assumes="Infinite samples; logits log(1, 2, 1) + w (0, 1, 2), w trained to the minimum. "
        "Below 1 (sharper than T = 0.273) the symmetric state is stable, but only locally.",
        source=DERIVED,
        near_misses={
            "the law of a cone": beta,
            "base tempered twice": 4 * beta / (2 + 4**beta),
            "without the normalisation": 2 * beta / 2**beta,
        },
        proof=prove_cone,
        domain={"inverse_temperature": ("real", 0.1, 6)},
        edges=[
            Edge({"inverse_temperature": 1.0}, 1.0),
            Edge({"inverse_temperature": 0.0}, 0.0),
            Edge({"inverse_temperature": 4.0}, 16 / 18),
            Edge({"inverse_temperature": 1e4}, 0.0),
        ],
    )
)


def prove_cone_two_contexts() -> list[Step]:
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


CONE_TWO_CONTEXTS = register(
    Equation(
        label="tempering.cone_two_contexts",
        kind="exact",
        statement="The same with two outcomes and two contexts whose offsets ±δ are frozen.",
        lhs=sp.Symbol(r"\left. \frac{dw'}{dw} \right|_{w=0}"),
        rhs=CONE_TWO_CONTEXTS_RHS,
        symbols={"inverse_temperature": beta, "offset": delta},
        assumes="Infinite samples, equally from both contexts; logit gaps w ± δ with the shared w "
        "trained to the minimum. A statement about small w: far away the gap grows as β w.",
        source=DERIVED,
        near_misses={
            "the law of a cone": beta,
            "offset not halved": beta * sp.cosh(delta) ** 2 / sp.cosh(beta * delta) ** 2,
            "not squared": beta * sp.cosh(delta / 2) / sp.cosh(beta * delta / 2),
        },
        proof=prove_cone_two_contexts,
        domain={"inverse_temperature": ("real", 0.1, 6), "offset": ("real", 0, 4)},
        edges=[
            Edge({"inverse_temperature": 1.0, "offset": 2.0}, 1.0),
            Edge({"inverse_temperature": 3.0, "offset": 0.0}, 3.0),
            Edge({"inverse_temperature": 1e-3, "offset": 30.0}),
            Edge({"inverse_temperature": 100.0, "offset": 30.0}, 0.0),
        ],
    )
)


# --- trained on the final answers alone ----------------------------------------------------------

alpha: Any = sp.IndexedBase("alpha", real=True)
entropies: Any = sp.IndexedBase("H", real=True)
FINAL_ANSWER_RHS = entropies[OUTCOME] + (alpha[OUTCOME] - entropies[OUTCOME]) * T**-n


def prove_final_answer() -> list[Step]:
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
    beyond = divergence([q * u for u in other], [p * x for x in r])
    nearest = divergence([q * x for x in r], [p * x for x in r])
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
            beyond - nearest - q * divergence(other, r),
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


def _expand_powers(expression: Any) -> Any:
    """Take the common mass out of a sum of powers, and the logarithm of the product apart."""

    def factored(part: Any) -> Any:
        powers: Any = sp.powdenest(sp.expand_power_base(part, force=True))
        return sp.factor_terms(powers)

    split = expression.replace(lambda part: isinstance(part, sp.Add), factored)
    return sp.simplify(sp.expand_log(sp.powsimp(split), force=True))


_THREE_ANSWERS = {"logits": [0.4, -0.3, 0.1], "entropies": [1.2, 0.2, 0.7]}
_ONE_LOST = {"logits": [0.4, -math.inf, 0.1], "entropies": [1.2, 0.0, 0.7]}

FINAL_ANSWER = register(
    Equation(
        label="tempering.final_answer",
        kind="exact",
        statement="Trained on its final answers alone, a model tempers the probability of an "
        "answer for each of the e^H reasonings that lead to it; the reasonings stay.",
        lhs=sp.Symbol(r"\alpha^{(n)}_i"),
        rhs=FINAL_ANSWER_RHS,
        symbols={"logits": alpha, "entropies": entropies, "temperature": T, "generation": n},
        assumes="Infinite samples of reasonings with answers; α the logits of the answers, H "
        "the Rényi entropies of order 1/T of their reasonings; each generation is a step of "
        "expectation maximisation on the likelihood of the answers. At T = 0, where several "
        "answers tie in their likeliest reasonings, the logits of generation 1 are the logarithms "
        "of the numbers of modes with each, and the law holds from there.",
        source="derived here, with the step of Dempster, Laird & Rubin (1977)",
        cites=("dempster1977", "phan2023"),
        near_misses={
            "the answers tempered like outcomes": alpha[OUTCOME] * T**-n,
            "the entropies added once": entropies[OUTCOME] + alpha[OUTCOME] * T**-n,
            "away from varied reasonings": (alpha[OUTCOME] + entropies[OUTCOME]) * T**-n
            - entropies[OUTCOME],
            "off by one generation": FINAL_ANSWER_RHS.subs(n, n + 1),
        },
        proof=prove_final_answer,
        domain={
            "logits": ("vector", -4, 4),
            "entropies": ("vector", 0, 3),
            "temperature": ("real", 0.4, 2.5),
            "generation": ("integer", 1, 12),
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
        up_to_shift=True,
    )
)
