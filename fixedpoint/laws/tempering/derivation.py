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

from fixedpoint.laws import notation
from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Edge, Step, at, claim, total

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


def kl_divergence(probabilities: Sequence[Any], others: Sequence[Any]) -> Any:
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


@claim(
    "Training to the minimum on samples at temperature T divides the logits by T.",
    theta[OUTCOME] / T,
    lhs=r"\theta'_i",
    of=(
        notation.logits(-4, 4),
        notation.temperature(0.2, 3),
    ),
    assumes=EXACT_REFIT,
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
def refit() -> list[Step]:
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


@claim(
    "After n generations at temperature T the logits are the initial ones times T⁻ⁿ.",
    theta[OUTCOME] * T**-n,
    lhs=r"\theta^{(n)}_i",
    of=(
        notation.logits(-4, 4),
        notation.temperature(0.4, 2.5),
        notation.generation.written(n)(0, 12),
    ),
    assumes=EXACT_REFIT,
    source=ESCORT,
    cites=("beck1993", "zhang2026"),
    up_to_shift=True,
    near_misses={
        "multiplied instead of divided": theta[OUTCOME] * T**n,
        "off by one generation": theta[OUTCOME] * T ** -(n + 1),
        "linear in the generation": theta[OUTCOME] * (1 + n * (1 / T - 1)),
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
def logits() -> list[Step]:
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


def _differences(values: Sequence[Any], others: Sequence[Any]) -> list[Any]:
    return [a - b for a, b in zip(values, others, strict=True)]


@claim(
    "Temperatures multiply, in any order; here three generations.",
    theta[OUTCOME] / (tau[1] * tau[2] * tau[3]),
    lhs=r"\theta^{(3)}_i",
    of=(
        notation.logits,
        notation.temperatures,
    ),
    assumes=EXACT_REFIT,
    source="Zhang et al., Embarrassingly Simple Self-Distillation, arXiv:2604.01193, Lemma B.1",
    cites=("zhang2026", "beck1993"),
    up_to_shift=True,
    near_misses={
        "only the last temperature counts": theta[OUTCOME] / tau[3],
        "the mean temperature": theta[OUTCOME] * 27 / (tau[1] + tau[2] + tau[3]) ** 3,
        "inverse temperatures add": theta[OUTCOME] * (1 / tau[1] + 1 / tau[2] + 1 / tau[3]),
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
def composition() -> list[Step]:
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
def fixed_point() -> list[Step]:
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


# --- where it leads ------------------------------------------------------------------------------


@claim(
    "Below T = 1 the mass off the m modes falls double-exponentially; the prefactor "
    "is the number of runners-up over the number of modes.",
    num_runners_up / m * sp.exp(-Delta * T**-n),
    lhs=r"1 - P_n(\mathrm{modes})",
    kind="asymptotic",
    of=(
        notation.gap.written(Delta)(0.1, 2),
        notation.num_modes(1, 4),
        notation.num_runners_up(1, 9),
        notation.temperature(0.5, 0.95),
        notation.generation.written(n)(0, 6),
    ),
    assumes=EXACT_REFIT + " T < 1; not every outcome is a mode; gap Δ to the next logit, held by "
    "k₂ outcomes; relative error at most of order e^{-ΔT⁻ⁿ} and of the next gap's exponential.",
    near_misses={
        "no prefactor": sp.exp(-Delta * T**-n),
        "prefactor without the ties of the mode": num_runners_up * sp.exp(-Delta * T**-n),
        "prefactor inverted": m / num_runners_up * sp.exp(-Delta * T**-n),
        "single exponential": num_runners_up / m * sp.exp(-Delta * n / T),
    },
    edges=[
        at(0.7, 2, 3, 0.5, 10**6, gives=0.0),
        at(0.7, 2, 3, 0.0, 1, gives=0.0),
        at(0.7, 2, 49_998, 0.9, 20),
    ],
)
def mode_limit() -> list[Step]:
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


GENERATIONS = sp.log(sp.log(num_runners_up / (m * epsilon)) / Delta) / sp.log(1 / T)


@claim(
    "The generations until the mass off the modes is ε: a double logarithm.",
    GENERATIONS,
    lhs=r"n_\epsilon",
    kind="asymptotic",
    of=(
        notation.gap.written(Delta)(0.1, 2),
        notation.num_modes(1, 4),
        notation.num_runners_up(1, 9),
        notation.temperature(0.3, 0.95),
        notation.tolerance(1e-12, 1e-3),
    ),
    assumes=EXACT_REFIT + " T < 1; log(k₂/(mε)) > Δ (otherwise it is so from the start).",
    near_misses={
        "multiplicities forgotten": sp.log(sp.log(1 / epsilon) / Delta) / sp.log(1 / T),
        "one logarithm": sp.log(num_runners_up / (m * epsilon)) / Delta / sp.log(1 / T),
        "gap outside the logarithm": sp.log(sp.log(num_runners_up / (m * epsilon)))
        / (Delta * sp.log(1 / T)),
        "off by one generation": GENERATIONS + 1,
    },
    edges=[
        at(0.7, 2, 3, 1 - 1e-6, 1e-300),
        at(0.7, 2, 3, 1e-3, 1e-12),
        at(5.0, 2, 3, 0.5, 0.5, gives=0.0),
    ],
)
def generations_to_collapse() -> list[Step]:
    """Solve the asymptotic tail for the generation, with T = e^{-r}."""
    rate = sp.Symbol("r", positive=True)
    generation = GENERATIONS.subs(T, sp.exp(-rate))
    tail = mode_limit.rhs.subs(n, sp.Symbol("t")).subs(T, sp.exp(-rate))
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


@claim(
    "KL between one model at two inverse temperatures.",
    DIVERGENCE_RHS,
    lhs=r"\mathrm{KL}(p_\beta \| p_{\beta'})",
    of=(
        notation.logits(-4, 4),
        notation.inverse_temperature(0, 3),
        notation.inverse_temperature_other(0, 3),
    ),
    assumes="Both are tempered from one model; generation n is β = T⁻ⁿ, the uniform law β = 0.",
    near_misses={
        "arguments swapped": (beta_other - beta) * _mean(beta_other)
        - _log_partition(beta_other)
        + _log_partition(beta),
        "second order only": (beta - beta_other) ** 2
        / 2
        * (_mean(beta, power=2) - _mean(beta) ** 2),
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
def divergence() -> list[Step]:
    """From the definition of KL, with A(β) = log Σ e^{βθ}."""
    return [
        Step(
            f"KL of two temperatures is (β - β') A'(β) - A(β) + A(β') (K = {size})",
            kl_divergence(
                softmax([beta * t for t in model(size)]),
                softmax([beta_other * t for t in model(size)]),
            )
            - _written_out(DIVERGENCE_RHS, size),
            reduce=expand,
        )
        for size in (2, 3)
    ]


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
            kl_divergence(p, uniform) - (B * A.diff(B) - A),
            reduce=expand,
        ),
        Step(
            "KL(u‖p) = A - B A'(0) (K = 3)",
            kl_divergence(uniform, p) - (A - B * mean),
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


@claim(
    "Above T = 1 the divergence of the model from the uniform law falls as T⁻²ⁿ.",
    _B**2 * _CUMULANT[2] / 2 + _B**3 * _CUMULANT[3] / 3,
    lhs=r"\mathrm{KL}(p_n \| u)",
    kind="asymptotic",
    of=(
        notation.logits(-4.0, 4.0),
        notation.temperature(1.05, 2.5),
        notation.generation.written(n)(0, 20),
    ),
    assumes=EXACT_REFIT + " T > 1; T⁻ⁿ small: the series Σ (j-1) κ_j B^j/j! converges only for "
    "B below the nearest complex zero of the mean of e^{Bθ} (|B|x < π/2 for logits ±x).",
    near_misses={
        "leading order only": _B**2 * _CUMULANT[2] / 2,
        "third coefficient of the other direction": _B**2 * _CUMULANT[2] / 2
        + _B**3 * _CUMULANT[3] / 6,
        "sample variance": _B**2 * _CUMULANT[2] * K / (K - 1) / 2 + _B**3 * _CUMULANT[3] / 3,
        "off by one generation": (_B / T) ** 2 * _CUMULANT[2] / 2
        + (_B / T) ** 3 * _CUMULANT[3] / 3,
    },
    edges=_UNIFORM_EDGES,
)
def uniform_limit() -> list[Step]:
    """The cumulant series of KL(p_n ‖ u) about β = 0."""
    return [
        *_prove_cumulants(),
        *_prove_series(lambda A, B: B * A.diff(B) - A, lambda order: order - 1),
    ]


@claim(
    "Above T = 1 the divergence of the uniform law from the model falls as T⁻²ⁿ.",
    _B**2 * _CUMULANT[2] / 2 + _B**3 * _CUMULANT[3] / 6,
    lhs=r"\mathrm{KL}(u \| p_n)",
    kind="asymptotic",
    of=(
        notation.logits(-4.0, 4.0),
        notation.temperature(1.05, 2.5),
        notation.generation.written(n)(0, 20),
    ),
    assumes=EXACT_REFIT + " T > 1; T⁻ⁿ small, as for tempering.uniform_limit.",
    near_misses={
        "leading order only": _B**2 * _CUMULANT[2] / 2,
        "third coefficient of the other direction": _B**2 * _CUMULANT[2] / 2
        + _B**3 * _CUMULANT[3] / 3,
        "sign of the third coefficient": _B**2 * _CUMULANT[2] / 2 - _B**3 * _CUMULANT[3] / 6,
    },
    edges=_UNIFORM_EDGES,
)
def uniform_limit_reverse() -> list[Step]:
    """The cumulant series of KL(u ‖ p_n) about β = 0."""
    B = sp.Symbol("B", real=True)
    mean = sp.Function("A")(B).diff(B).subs(B, 0)
    return [*_prove_cumulants(), *_prove_series(lambda A, B: A - B * mean, lambda order: 1)]


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
def entropy_slope() -> list[Step]:
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
def majorisation() -> list[Step]:
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
    assumes="No real data. Its gradient is p_T - p.",
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
def potential() -> list[Step]:
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


def _generation(number: int, size: int) -> list[Any]:
    return softmax([t / T**number for t in model(size)])


def _refitted(expression: Any, size: int) -> Any:
    return expression.subs({t: t / T for t in model(size)}, simultaneous=True)


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
    assumes=EXACT_REFIT + " The gain is KL(p₁‖p₀) + T KL(p₁‖p₂), the step of a "
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
def ascent() -> list[Step]:
    """The gain of one refit, θ → θ/T, from the potential itself."""
    return [
        Step(
            f"Φ(θ/T) - Φ(θ) = KL(p₁‖p₀) + T KL(p₁‖p₂), p_n = softmax(θT⁻ⁿ) (K = {size})",
            _refitted(_written_out(POTENTIAL_RHS, size), size)
            - _written_out(POTENTIAL_RHS, size)
            - kl_divergence(_generation(1, size), _generation(0, size))
            - T * kl_divergence(_generation(1, size), _generation(2, size)),
            reduce=expand,
        )
        for size in (2, 3)
    ]
