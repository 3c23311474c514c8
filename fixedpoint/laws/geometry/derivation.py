"""Other geometries: infinite samples, and a flow that is measured in another way.

    mixture flow       dp/dτ = target - p, small steps on the probabilities
    natural gradient   F dθ/dτ = -∇ KL(p ‖ p_T), mild refits; without F, mild gradient steps

The target is the model of the beginning or the model itself, tempered. Proofs in SymPy.
"""

import functools
import math
from typing import Any, cast

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import (
    NUM_OUTCOMES,
    OUTCOME,
    Root,
    Step,
    at,
    at_outcomes,
    claim,
    total,
)
from fixedpoint.laws.notation import T, a, eta, psi, tau, theta, z
from fixedpoint.symbolic import (
    GradientSteps,
    Largest,
    Loop,
    Mixed,
    MixtureStep,
    Temperature,
    rational,
    velocity,
)

nu: Any = notation.natural.symbol
sigma: Any = sp.Symbol("sigma", real=True)
j: Any = sp.Symbol("j", integer=True, positive=True)
k: Any = sp.Symbol("k", integer=True, positive=True)
K: Any = NUM_OUTCOMES
i: Any = OUTCOME

MIXTURE = Loop(Temperature(T), learner=MixtureStep(eta))
REAL = Loop(Temperature(T), Mixed(psi, a), GradientSteps(eta))
MILD = Temperature(1 / (1 + eta * (1 / T - 1)))
"""A temperature that tends to 1 with the step η of the time."""
REFITS = Loop(MILD)
STEPS = Loop(MILD, learner=GradientSteps(1))
SMALL = "η → 0, the time being η × generations: the model is its own teacher."
STEP = {"step_size": eta}
"""The step of the loops, which tends to 0 and is not seen in any answer."""
MODEL = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
MANY = [3.0 * math.sin(7.0 * number) for number in range(50_000)]

_model_p = sp.exp(theta[i]) / total(sp.exp(theta[j]), j)
_drawn_p = sp.exp(theta[i] / T) / total(sp.exp(theta[j] / T), j)


@claim(
    "Mixture flow to a frozen teacher mixes the two distributions.",
    sp.log((1 - sp.exp(-tau)) * _drawn_p + sp.exp(-tau) * _model_p),
    lhs=sp.log(sp.Function("p_i")(tau)),
    of=(
        notation.logits(-4.0, 4.0),
        notation.temperature(0.2, 4.0),
        notation.time(0.0, 9.0),
    ),
    loop=MIXTURE,
    given=STEP,
    assumes="η → 0, the time being η × steps of one generation: the teacher is frozen.",
    source="elementary",
    cites=("marchi2024",),
    near_misses={
        "the logits are mixed": (1 - sp.exp(-tau)) * sp.log(_drawn_p)
        + sp.exp(-tau) * sp.log(_model_p),
        "weights exchanged": sp.log((1 - sp.exp(-tau)) * _model_p + sp.exp(-tau) * _drawn_p),
        "one large step": sp.log(_model_p + tau / (1 + tau) * (_drawn_p - _model_p)),
    },
    edges=[
        at(MODEL, 0.5, 0.0),
        at(MODEL, 1e-2, 2.0),
        at(MODEL, 1e3, 1e-12),
        at(MODEL, 1.0, 40.0),
        at(MANY[:200], 0.7, 1.0),
    ],
)
def mixture_frozen(answer: Any) -> list[Step]:
    """It starts at the model and moves as the flow does, which is the natural gradient flow."""
    steps = []
    for size in (2, 3):
        p = sp.symbols(f"p1:{size + 1}", positive=True)  # up to a factor
        steps += symbolic.follows_flow(
            lambda now, p=p: velocity(MIXTURE, now, p),
            symbolic.normalised(p),
            [sp.exp(entry) for entry in symbolic.written_out(answer, p)],
            time=tau,
            sizes={"K": size},
            reduce=symbolic.elementary,
        )
    q, s = symbolic.shares(3, "q"), symbolic.softmax(symbolic.model(3))
    data = Mixed(q, 1).data(s, [])
    direction = sp.Matrix([y / x - 1 for x, y in zip(s, q, strict=True)])
    slopes = GradientSteps(eta).velocity(s, data)
    return [
        *steps,
        Step(
            "dθ/dτ = q/p - 1 solves F dθ/dτ = q - p = -∇ CE, and F dθ/dτ = dp/dτ",
            list(symbolic.fisher_matrix(s) * direction - sp.Matrix(slopes)),
            reduce=rational,
            sizes={"K": 3},
        ),
    ]


def _mixture_online(power: Any = 1 / T - 1) -> Any:
    partition = total(sp.exp(theta[k]), k)

    def log_p(at: Any, shift: Any) -> Any:
        base = (sp.exp(at) / partition) ** (-power) - power * shift
        return -tau - sp.log(base) / power

    largest = sp.exp(Largest(theta)) / partition
    excess = total(sp.exp(log_p(theta[j], sigma)), j) - 1
    high = (largest ** (-power) - sp.exp(-power * tau)) / power
    root = Root(sp.Lambda(sigma, excess), sp.Integer(0), high)
    return log_p(theta[i], root)


@claim(
    "Mixture flow as one's own teacher moves all outcomes alike in p^(1-1/T).",
    _mixture_online(),
    lhs=sp.log(sp.Function("p_i")(tau)),
    of=(
        notation.logits(-2.0, 2.0),
        notation.temperature(0.3, 4.0),
        notation.time(0.01, 8.0),
    ),
    loop=MIXTURE,
    given=STEP,
    assumes=SMALL,
    source="derived here; parabolic and hyperbolic replicators (Szathmáry and Smith 1997)",
    cites=("szathmary1997", "marchi2024"),
    near_misses={
        "the teacher frozen": sp.log((1 - sp.exp(-tau)) * _drawn_p + sp.exp(-tau) * _model_p),
        "the natural flow of the reverse divergence": theta[i] * sp.exp((1 / T - 1) * tau)
        - sp.log(total(sp.exp(theta[j] * sp.exp((1 / T - 1) * tau)), j)),
        "translated in the logarithm of order 1/2 always": _mixture_online(sp.Rational(1, 2)),
    },
    edges=[
        at(MODEL, 0.5, 50.0),
        at(MODEL, 0.5, 1e-9),
        at(MODEL, 1 - 1e-9, 3.0),
        at(MODEL, 1 + 1e-12, 3.0),
        at(MODEL, 100.0, 3.0),
        at(MODEL, 0.1, 10.0),
        at([1.0, 1.0, -0.5, 0.0], 0.5, 4.0),
        at(MANY[:30], 2.0, 4.0),
    ],
)
def mixture_online(answer: Any) -> list[Step]:
    """E^τ p moves by a common factor times its own power β: one translation for all.

    With σ a symbol s in the answer A = log p, dA/dτ = ∂A/∂τ + ds/dτ ∂A/∂s must be the flow's.
    """
    s, excess_power = sp.Symbol("s", positive=True), sp.Symbol("b", real=True)
    hot = {T: 1 / (1 + excess_power)}  # b = 1/T - 1, of either sign
    answer = sp.sympify(answer).subs(hot)
    (root,) = answer.atoms(Root)
    loop = symbolic.given(MIXTURE, hot)
    steps = []
    for size in (2, 3):
        P, start = sp.symbols(f"P1:{size + 1}", positive=True), symbolic.shares(size, "q")
        moved = symbolic.written_out(answer.xreplace({root: s}), start)
        speeds = [sp.diff(value, s) for value in moved]
        known: Any = dict(zip((sp.log(x) for x in P), moved, strict=True))
        # dp/dτ + p = p ds/dτ ∂A/∂s, in logarithms and up to log ds/dτ.
        logs = [
            cast(Any, sp.expand_log(sp.log((v + x) / x), force=True)).subs(known) - sp.log(speed)
            for v, x, speed in zip(velocity(loop, P), P, speeds, strict=True)
        ]
        excess = symbolic.written_out(root.args[0](s), start)
        steps += [
            Step(
                "at fixed σ every log p falls at rate 1",
                [sp.diff(value, tau) + 1 for value in moved],
                sizes={"K": size},
            ),
            Step(
                "σ moves all outcomes at one speed along the flow",
                [one - logs[0] for one in logs[1:]],
                reduce=lambda e: sp.expand(sp.expand_log(sp.expand(e), force=True)),
                sizes={"K": size},
            ),
            Step(
                "at time 0, where σ = 0, it is the model",
                [
                    sp.expand_log(value.subs({s: 0, tau: 0}), force=True) - sp.log(x)
                    for value, x in zip(moved, start, strict=True)
                ],
                sizes={"K": size},
            ),
            Step(
                "σ is where the probabilities add up to 1",
                excess - (sum(sp.exp(value) for value in moved) - 1),
                sizes={"K": size},
            ),
        ]
    return steps


@claim(
    "Natural gradient flow of KL(p ‖ p_T) is tempering in continuous time.",
    theta[i] * sp.exp((1 / T - 1) * tau),
    lhs=sp.Function(r"\theta_i")(tau),
    of=(
        notation.logits(-3.0, 3.0),
        notation.temperature(0.2, 4.0),
        notation.time(0.0, 5.0),
    ),
    loop=REFITS,
    given=STEP,
    assumes="η → 0, the time being η × generations: natural gradient flow of KL(p ‖ p_T).",
    source="derived here; natural gradient of Amari (1998)",
    cites=("amari1998",),
    up_to_shift=True,
    near_misses={
        "1/T in place of 1/T - 1": theta[i] * sp.exp(tau / T),
        "the teacher frozen": theta[i] * (1 / T + (1 - 1 / T) * sp.exp(-tau)),
        "T^(-τ), one refit per unit of time": theta[i] * T ** (-tau),
        "the Euclidean flow of small logits": theta[i] * sp.exp((1 / T - 1) * tau / K),
    },
    edges=[
        at(MODEL, 1.0, 3.0, gives=MODEL),
        at(MODEL, 1 + 1e-12, 3.0),
        at(MODEL, 0.5, 0.0, gives=MODEL),
        at(MANY, 2.0, 0.0, gives=MANY),
    ],
)
def natural(answer: Any) -> list[Step]:
    """Ever milder refits move the logits as F dθ/dτ = -∇ KL(p ‖ p_T) asks, and as is claimed."""
    size = 3
    here = symbolic.model(size)
    speeds = at_once(REFITS, tuple(here))
    ends = [at_outcomes(sp.sympify(answer).subs(i, place + 1), size) for place in range(size)]
    moved = [
        sp.diff(end, tau) - sum(v * sp.diff(end, x) for v, x in zip(speeds, here, strict=True))
        for end in ends
    ]
    fisher = symbolic.fisher_matrix(symbolic.softmax(here))
    return [
        Step(
            "at time 0 it is the model",
            [end.subs(tau, 0) - value for end, value in zip(ends, here, strict=True)],
            sizes={"K": size},
        ),
        Step(
            "its slope in time is its slope along the mild refits, up to a constant",
            [one - moved[0] for one in moved[1:]],
            reduce=rational,
            sizes={"K": size},
        ),
        Step(
            "mild refits are steps along the natural gradient: F dθ/dτ = -∇ KL(softmax ‖ teacher)",
            list(fisher * sp.Matrix(speeds) - sp.Matrix(downhill(tuple(here)))),
            reduce=rational,
            sizes={"K": size},
        ),
    ]


@functools.cache
def at_once(loop: Loop, values: tuple[Any, ...]) -> list[Any]:
    """How fast the logits move, per unit of time η, in a generation of a loop with η → 0."""
    after = symbolic.centred_logits(symbolic.next_model(loop, symbolic.softmax(values)))
    return [sp.diff(value, eta).subs(eta, 0) for value in after]


@functools.cache
def downhill(values: tuple[Any, ...]) -> list[Any]:
    """Minus the gradient of KL(p ‖ p_T) in the logits of p, at p_T of the model itself."""
    student = sp.symbols(f"x1:{len(values) + 1}", real=True)
    drawn = Temperature(T)([sp.exp(value) for value in values])
    here = dict(zip(student, values, strict=True))
    divergence = symbolic.kl_divergence(symbolic.softmax(student), drawn)
    return [-sp.diff(divergence, x).subs(here, simultaneous=True) for x in student]


_s = (1 / T - 1) * tau
_z_late = -sp.LambertW(-1 / (K * _s), -1)


@claim(
    "Plain gradient flow of KL(p ‖ p_T) collapses as 1/(τ log τ).",
    (K - 1) / (K * _s * _z_late),
    lhs=1 - sp.Symbol("p_{max}"),
    kind="asymptotic",
    of=(
        notation.num_outcomes(2.0, 50.0),
        notation.temperature(0.2, 0.8),
        notation.time(100.0, 1e8),
    ),
    loop=STEPS,
    observe="tail_probability",
    given=STEP,
    assumes="η → 0, the time being η × generations: gradient flow of KL(p ‖ p_T) on the logits. "
    "T < 1; late times.",
    near_misses={
        "no logarithm": (K - 1) / (K * _s),
        "log τ in place of z": (K - 1) / (K * _s * sp.log(tau)),
        "K left out": (K - 1) / (_s * _z_late),
        "one loser": 1 / (K * _s * _z_late),
        "T ignored": (K - 1) / (K * tau * -sp.LambertW(-1 / (K * tau), -1)),
    },
)
def reverse_kl_tail(answer: Any) -> list[Step]:
    """The gap of a leader over equal losers, exactly, and the late solution."""
    s, b = sp.symbols("s b", positive=True)  # s = (1/T - 1) τ and b = 1/T - 1 > 0
    leading = (K - 1) / sp.sympify(answer).subs(T, 1 / (1 + b)).subs(tau, s / b)  # e^z
    steps = [
        Step(
            "e^z = (K - 1)/tail of the claimed tail solves e^z/z = K s",
            leading / (K * s) - sp.log(leading),
            reduce=_late_root,
        ),
        Step(
            "late, dz/ds = K z e^-z: e^z/z grows at K(1 - 1/z)",
            sp.diff(sp.exp(z) / z, z) * K * z * sp.exp(-z) - K * (1 - 1 / z),
        ),
    ]
    for size in (3, 4):
        values = (z, *[sp.Integer(0)] * (size - 1))
        speeds, slopes, p = at_once(STEPS, values), downhill(values), symbolic.softmax(values)
        steps += [
            Step(
                "mild gradient steps follow -∇ KL(softmax ‖ teacher), up to a constant",
                [v - u - (speeds[0] - slopes[0]) for v, u in zip(speeds, slopes, strict=True)],
                reduce=rational,
                sizes={"K": size},
            ),
            Step(
                "dz/dτ = (1/T - 1) K p_mode p_loser z",
                speeds[0] - speeds[1] - (1 / T - 1) * size * p[0] * p[1] * z,
                reduce=rational,
                sizes={"K": size},
            ),
        ]
    return steps


def _late_root(expression: Any) -> Any:
    """A reduction: Z = -W(x) of the lower branch has log Z = Z + log(-x)."""
    roots = [found for found in expression.atoms(sp.LambertW) if found.args[1:] == (-1,)]
    if len(roots) != 1:
        return expression
    late = sp.Symbol("Z", positive=True)
    found = sp.expand_log(sp.expand(expression.xreplace({roots[0]: -late})), force=True)
    return sp.expand(found.subs(sp.log(late), late + sp.expand_log(sp.log(-roots[0].args[0]))))


# --- one potential --------------------------------------------------------------------------------

_q_real = sp.exp(psi[j]) / total(sp.exp(psi[k]), k)
_p_j = sp.exp(theta[j]) / total(sp.exp(theta[k]), k)
_drawn_j = sp.exp(theta[j] / T) / total(sp.exp(theta[k] / T), k)
_corpus_j = (1 - a) * _drawn_j + a * _q_real
_slope = _corpus_j - _p_j


@claim(
    "Online flow (ν = 0) and mixture flow (ν = 1) climb one potential Φ.",
    total(_slope**2 / _p_j**nu, j),
    lhs=r"d\Phi/d\tau",
    of=(
        notation.logits(-3.0, 3.0),
        notation.temperature(0.2, 3.0),
        notation.logits_real(-2.0, 2.0),
        notation.fraction(0.0, 1.0),
        notation.natural(0.0, 1.0),
    ),
    loop=REAL,
    given=STEP,
    assumes=SMALL + " ν = 1: the steps are on the probabilities.",
    source="derived here; each ingredient (CCCP, MM, mirror descent) is classical",
    cites=("yuille2003", "hunter2004", "raskutti2013"),
    near_misses={
        "the other geometry": total(_slope**2 / _p_j ** (1 - nu), j),
        "real data ignored": total((_drawn_j - _p_j) ** 2 / _p_j**nu, j),
        "divided by the corpus": total(_slope**2 / _corpus_j**nu, j),
        "halved": total(_slope**2 / _p_j**nu, j) / 2,
    },
    edges=[
        at(MODEL, temperature, MODEL[::-1], fraction, geometry)
        for temperature, fraction in ((0.01, 0.0), (1.0, 0.3), (1e3, 1.0), (0.5, 0.25))
        for geometry in (0, 1)
    ],
)
def potential(answer: Any) -> list[Step]:
    """∇Φ, the two flows, the minorant behind refit and frozen teacher, and the common stability."""
    # The answer, and the loop's own speeds, at any model and any real data.
    size = 3
    model, real = symbolic.shares(size), symbolic.shares(size, "q")
    flow = symbolic.given(REAL, {psi: real})
    mixture = Loop(flow.sampler, flow.corpus, MixtureStep(eta))

    def climbed(geometry: int) -> Any:
        rate = symbolic.written_out(sp.sympify(answer).subs(nu, geometry), model)
        return symbolic.written_out(rate, real, psi)

    ascent = velocity(mixture, model)
    return [
        Step(
            "Σ ∇Φ · dθ/dτ is the claimed rate, ∇Φ = g: ν = 0, where dθ/dτ is g",
            sum(g * g for g in ascent) - climbed(0),
            reduce=symbolic.elementary,
            sizes={"K": size},
        ),
        Step(
            "… and ν = 1, where dp/dτ = p dθ/dτ is g, up to a constant of the logits",
            sum(g * g / x for g, x in zip(ascent, model, strict=True)) - climbed(1),
            reduce=symbolic.elementary,
            sizes={"K": size},
        ),
        Step(
            "g is the loop's own dθ/dτ",
            [v - g for v, g in zip(velocity(flow, model), ascent, strict=True)],
            reduce=rational,
            sizes={"K": size},
        ),
        *climbing(size),
    ]


@functools.cache
def climbing(size: int) -> list[Step]:
    """The steps about Φ itself, which every answer needs: made once."""
    here, s = symbolic.model(size), 1 - a
    log_partition = sp.log(sum(sp.exp(v) for v in here))
    tempered = T * sp.log(sum(sp.exp(v / T) for v in here))
    real = symbolic.shares(size, "q")
    phi = s * tempered + a * sum(q * v for q, v in zip(real, here, strict=True)) - log_partition
    p, p_T = symbolic.softmax(here), symbolic.softmax([v / T for v in here])
    corpus = [s * b + a * q for b, q in zip(p_T, real, strict=True)]
    slope = [c - b for c, b in zip(corpus, p, strict=True)]
    natural_direction = [v / b for v, b in zip(slope, p, strict=True)]
    student = sp.symbols(f"s1:{size + 1}", real=True)
    log_corpus = [sp.log(c) for c in corpus]
    jacobian = sp.Matrix(size, size, lambda row, column: sp.diff(log_corpus[row], here[column]))
    ratio = sp.diag(*[1 / c for c in corpus])
    u = sp.symbols("u1:4", real=True)
    curvature = sum(
        sp.diff(tempered, one, other) * u_one * u_other
        for one, u_one in zip(here, u, strict=True)
        for other, u_other in zip(here, u, strict=True)
    )
    spread = sum(
        p_T[one] * p_T[other] * (u[one] - u[other]) ** 2
        for one in range(size)
        for other in range(one + 1, size)
    )
    # Stability: with B F = 1 - e^(-τF), a function of F, and G = s β F_{p_T}; C is the root of B.
    B, F, G, C, inverse = sp.symbols("B F G C C^{-1}", commutative=False)
    decay = 1 - B * F
    return [
        Step(
            "∇Φ = s p_T + a q - p: the online flow is its gradient flow, dΦ/dτ = Σ g²",
            [sp.diff(phi, v) - g_v for v, g_v in zip(here, slope, strict=True)],
        ),
        Step(
            "g/p is the natural gradient, F (g/p) = g = dp/dτ: dΦ/dτ = Σ g²/p",
            list(symbolic.fisher_matrix(p) * sp.Matrix(natural_direction) - sp.Matrix(slope)),
            reduce=rational,
        ),
        Step(
            "Φ + lse is convex, with curvature Σ p_T p_T (u - u)²/T: its tangent is a minorant",
            (curvature - spread / T).subs(here[2], 0),
            reduce=rational,
        ),
        Step(
            "the minorant's gradient in the student is corpus - softmax, minus that of the "
            "cross-entropy: a refit maximises it and the flow to a frozen teacher climbs it",
            [
                sp.diff(
                    sum(c * v for c, v in zip(corpus, student, strict=True))
                    - sp.log(sum(sp.exp(v) for v in student)),
                    v,
                )
                + sp.diff(symbolic.cross_entropy(corpus, student), v)
                for v in student
            ],
            reduce=rational,
        ),
        Step(
            "the refit's Jacobian at a fixed point is s β diag(1/p) F_{p_T}, similar to the "
            "symmetric s β F_p^(-1/2) F_{p_T} F_p^(-1/2): below 1 iff the flow's Jacobian "
            "s β F_{p_T} - F_p is negative",
            list(jacobian - ratio * s / T * symbolic.fisher_matrix(p_T)),
            reduce=rational,
        ),
        Step(
            "a frozen teacher for a time τ has the Jacobian e^(-τF) + B G = 1 - B (F - G)",
            (decay + B * G) - (1 - B * (F - G)),
            reduce=sp.expand,
        ),
        Step(
            "with B = C² it is similar to the symmetric 1 - C (F - G) C: below 1 iff F - G is "
            "positive; and to e^(-τF) + C G C, which is positive: the same stability",
            [
                inverse * (1 - C * C * (F - G)) * C - (1 - C * (F - G) * C),
                inverse * (C * C * G) * C - C * G * C,
            ],
            reduce=lambda e: sp.expand(sp.expand(e).subs(inverse * C, 1)),
        ),
    ]
