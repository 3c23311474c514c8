"""Every registered solution, from its equation alone: slopes, transformations, precision, refusals.

The slopes are compared with differences of the equation itself, to 50 digits. Where the equation
has no value, as where a temperature is infinite, the slopes must at least be numbers; a few are
known by hand.
"""

import math
import random
import re
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fixedpoint import agreement, confront
from fixedpoint.laws import families, flow, online, recovery, tempering, traces
from fixedpoint.laws.equation import Root, equations

INF, NAN = math.inf, math.nan

# Of the labels a few stand for all; the others are `long`.
SHORT = ["flow.multiplier", "families.cone", "tempering.mode_limit", "traces.two_charts"]
assert set(SHORT) <= set(equations()), "a label in SHORT is not registered"

each_label = pytest.mark.parametrize("label", sorted(equations()))
each_label_in_time = pytest.mark.parametrize(
    "label",
    [pytest.param(x, marks=[pytest.mark.long] * (x not in SHORT)) for x in sorted(equations())],
    scope="module",
)

# Arguments that a solution takes as they are, never traced.
WHOLE = (
    "chart",
    "degree",
    "kept",
    "natural",
    "num_first",
    "num_second",
    "num_terms",
    "num_top",
    "order",
    "subset",
    "target",
)
WHOLE_IN = {
    "accumulation.product": ("generation",),
    "online.two_outcomes": ("temperature",),
    "fixation.fixation_time": ("num_samples",),
    # JAX has the slope of the incomplete beta function in its last argument only.
    "real_data.immigration_dirichlet": ("real_probability", "num_real"),
    "fixation.survivors": ("num_samples", "generation"),
    "fixation.survivors_power_law": ("generation",),
    "fixation.truncation": ("num_samples", "generation"),
}
# What is accurate to no more than a rule of integration or a search has such slopes.
ROUGH = {
    "verifier.lock_in_weak": 1e-7,
    "metastability.metastability": 1e-5,
    "metastability.scale_function": 1e-8,
    "metastability.staircase": 1e-6,
    "recovery.storage_hot": 1e-4,  # within 1e-12 of T = 1, and nowhere else
    "survival.winner": 1e-4,
}


# Refused in single precision.
DOUBLE = ("survival.winner",)


def solution(label):
    return confront.implementation(equations()[label], "solution")


def fixed(label):
    return WHOLE + WHOLE_IN.get(label, ())


def points(label, num_drawn=3):
    """Points drawn and edges, but for those of many outcomes; with what is expected there."""
    equation = equations()[label]
    found = [(arguments, None) for arguments in confront.draw(equation, num_drawn)]
    found += [(edge.arguments, edge.expected) for edge in equation.edges]
    return [
        (arguments, expected)
        for arguments, expected in found
        if all(np.size(value) <= 8 for value in arguments.values())
    ]


def split(label, arguments, dtype=jnp.float64):
    """The arguments that may be traced, as arrays; and those that may not."""
    moving = {k: jnp.asarray(v, dtype) for k, v in arguments.items() if k not in fixed(label)}
    staying = {
        k: jnp.asarray(v) if np.ndim(v) else v for k, v in arguments.items() if k in fixed(label)
    }
    return moving, staying


# --- slopes ---------------------------------------------------------------------------------------


def reference(equation, arguments, expected, name, direction):
    """Slope of the equation along a direction of one argument; None where it has no value."""
    if expected is not None and any(abs(v) > 1e5 for v in np.ravel(list_of(arguments))):
        return None  # a million powers of a temperature: 50 digits would take a million as well
    if equation.name == "majorisation" and np.any(np.diff(arguments["logits"]) >= 0):
        return None  # its outcomes are in descending order, and a tie has no slope
    if equation.label == "resampling.spectrum" and arguments["order"] > arguments["num_samples"]:
        return None  # 0 for whole numbers of samples alone
    if equation.label == "truncation.nucleus_support" and arguments["mass"] == 1:
        return None  # a count that jumps there
    with mpmath.workdps(70):
        at = np.array(arguments[name], dtype=object)
        # A root of the reference itself is exact to some 30 digits.
        digits = 14 if equation.rhs.atoms(Root) else 20
        step = min([mpmath.mpf(1), *(abs(x) for x in at.flat if x)]) * mpmath.mpf(10) ** -digits
        try:
            low, middle, high = (
                np.array(equation.evaluate({**arguments, name: shifted(at, direction, s * step)}))
                for s in (-1, 0, 1)
            )
            if expected is not None:
                here = floats(middle)
                if not agreement.relative_error(here, expected, equation.up_to_shift) < 1e-9:
                    return None
            left, right = floats((middle - low) / step), floats((high - middle) / step)
            slope = floats((high - low) / (2 * step))
        except (ArithmeticError, TypeError, ValueError):
            return None
    # At a jump or an edge of the range the two sides differ.
    return slope if np.allclose(left, right, rtol=1e-6, atol=1e-12) else None


def floats(numbers):
    values = [float(mpmath.re(x)) for x in np.ravel(numbers)]
    return np.array(values).reshape(np.shape(numbers))


def list_of(arguments):
    return [x for value in arguments.values() for x in np.ravel(value) if np.isfinite(x)]


def shifted(at, direction, step):
    moved = [mpmath.mpf(x) + step * d if d else x for x, d in zip(at.flat, direction, strict=True)]
    return moved if at.ndim else moved[0]


@each_label_in_time
def test_slopes_are_those_of_the_equation(label):
    equation, rng = equations()[label], random.Random(label)
    programs: dict[Any, Any] = {}
    compared, chosen = 0, points(label)
    for arguments, expected in rng.sample(chosen, min(len(chosen), 12)):
        moving, staying = split(label, arguments)
        if not moving:
            continue
        value = np.asarray(solution(label)(**moving, **staying))
        finite = np.isfinite(value)
        weights = np.where(finite, [rng.uniform(0.5, 2) for _ in finite.flat], 0)
        weights = weights.reshape(finite.shape)
        if equation.up_to_shift and finite.any():
            weights = np.where(finite, weights - weights[finite].mean(), 0)
        key = str([np.shape(v) for v in moving.values()]) + str(staying)
        if key not in programs:

            def slopes(moving, moved, weights, staying=staying):
                along = jax.jvp(lambda x: solution(label)(**x, **staying), (moving,), (moved,))[1]
                back = jax.vjp(lambda x: solution(label)(**x, **staying), moving)[1](weights)[0]
                return along, back

            programs[key] = jax.jit(slopes)
        for name, at in moving.items():
            direction = (
                np.where(np.isfinite(at), [rng.uniform(0.5, 2) for _ in range(at.size)], 0).reshape(
                    at.shape
                )
                if at.ndim
                else np.asarray(float(np.isfinite(at)))
            )
            still = {k: jnp.zeros_like(v) for k, v in moving.items()}
            forward, back = programs[key](
                moving, {**still, name: jnp.asarray(direction)}, jnp.asarray(weights)
            )
            forward, backward = np.asarray(forward)[finite], np.sum(direction * back[name])
            where = f"{name} at {arguments}"
            assert not np.isnan(back[name]).any(), f"reverse mode: {where}"
            assert not np.isnan(forward).any(), f"forward mode: {where}"
            slope = reference(equation, arguments, expected, name, direction.ravel())
            if slope is None or not np.isfinite(slope[finite]).all():
                continue
            slope = slope[finite]
            if equation.up_to_shift and slope.size:
                forward, slope = forward - forward.mean(), slope - slope.mean()
            compared += 1
            size = np.abs(value[finite]).max(initial=0)
            tolerance = {"rtol": 0, "atol": ROUGH.get(label, 1e-8) * np.abs(slope).max(initial=0)}
            tolerance["atol"] += 1e-12 * max(size, 1e-3)
            np.testing.assert_allclose(forward, slope, **tolerance, err_msg=f"forward: {where}")
            tolerance["atol"] *= 1 + np.abs(weights).sum()
            wanted = np.sum(weights[finite] * slope)
            np.testing.assert_allclose(backward, wanted, **tolerance, err_msg=f"back: {where}")
    assert compared or not split(label, points(label)[0][0])[0]


@pytest.mark.long
def test_slopes_known_by_hand():
    """Where the equation has no value, or none that 50 digits could tell from a limit."""
    theta = jnp.array([1.3, -0.4, 0.2, -2.1])
    variance = float(jnp.var(theta))
    info, decay = np.finfo(np.float32), math.log(2)
    rest = 0.1 - float(info.eps) / 2
    range_left = decay - math.log(float(info.smallest_subnormal))
    range_left -= math.log1p(1 / (7 * decay)) - math.log(rest)
    growing = 1 / (49 * decay) / (1 + 1 / (7 * decay)) / range_left
    for at, call, wanted in [
        # T where Tⁿ overflows, and the generation at T = ∞: the uniform law does not move.
        (1.1, lambda T: tempering.logits(theta, T, 1e6)[1], 0),
        (3.0, lambda n: tempering.logits(theta, INF, n)[1], 0),
        (0.0, lambda b: tempering.entropy_slope(theta, b), -variance),
        (
            0.0,
            lambda b: tempering.divergence(theta, 1.0, b),
            jnp.mean(theta) - jax.nn.softmax(theta) @ theta,
        ),
        (2000.0, families.cone, 0),
        (0.0, lambda T: tempering.mode_limit(0.7, 2, 3, T, 4), 0),
        (0.7, lambda gap: tempering.mode_limit(gap, 2, 3, 0.0, 4), 0),
        (0.7, lambda gap: tempering.generations_to_collapse(gap, 2, 3, 0.0, 1e-6), 0),
        # log(λ/R)/log(1/T) below T = 1, d/(u R) or d/u from there on.
        (7.0, lambda R: recovery.storage_horizon(R, 0.5, jnp.float32), (growing - 1 / 7) / decay),
        (7.0, lambda R: recovery.storage_horizon(R, 1.0, jnp.float32), 0),
        (7.0, lambda R: recovery.storage_horizon(R, 2.0, jnp.float32), 0),
        (
            7.0,
            lambda R: recovery.storage_horizon(R, 1.0, jnp.float32, "logits"),
            -0.1 * 2**24 / 49,
        ),
        (1.0, lambda T: recovery.storage_horizon(7.0, T, jnp.float32), 0),
        (0.0, lambda z: online.two_outcomes(z, 0.5, 3.0), math.exp(1.5)),
        (600.0, lambda z: online.two_outcomes(z, 0.5, 10.0), 1),
        (1.0, lambda eta: traces.two_charts(jnp.zeros(2), eta, 1, 1), -1),
        (INF, lambda t: flow.multiplier(0.5, t, 3), 0),
    ]:
        forward = jax.jvp(call, (jnp.asarray(at),), (jnp.ones(()),))[1]
        np.testing.assert_allclose(forward, wanted, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(jax.grad(call)(at), wanted, rtol=1e-9, atol=1e-12)


# --- transformations and precision ----------------------------------------------------------------


@each_label_in_time
def test_a_batch_is_a_loop_and_transformations_change_nothing(label):
    equation = equations()[label]
    first, *others = [arguments for arguments, _ in points(label, 12)]
    like = [
        arguments
        for arguments in others
        if all(np.shape(arguments[name]) == np.shape(first[name]) for name in first)
    ]
    _, staying = split(label, first)
    rows = [split(label, arguments)[0] for arguments in [first, *like[:2]]]

    def compute(moving):
        return solution(label)(**moving, **staying)

    loop = np.stack([compute(row) for row in rows])
    if not rows[0]:
        return
    batch = {name: jnp.stack([row[name] for row in rows]) for name in rows[0]}
    found = {"jit and vmap": jax.jit(jax.vmap(compute))(batch)}
    if label != "tempering.composition":  # its temperatures are one axis
        found["batch"] = compute(batch)
    scale = np.abs(loop[np.isfinite(loop)]).max(initial=0)
    tolerance = max(1e-12, equation.accuracy)
    for how, value in found.items():
        np.testing.assert_allclose(value, loop, rtol=tolerance, atol=tolerance * scale, err_msg=how)


def test_single_precision_stays():
    widened = []
    for label in equations():
        arguments = points(label)[0][0]
        _, staying = split(label, arguments)
        moving = {
            name: jax.ShapeDtypeStruct(
                np.shape(v), jnp.int32 if isinstance(v, int) else jnp.float32
            )
            for name, v in arguments.items()
            if name not in staying
        }
        if label not in DOUBLE and any(x.dtype == jnp.float32 for x in moving.values()):
            found = jax.eval_shape(lambda x, y=label, s=staying: solution(y)(**x, **s), moving)
            widened += [label] * (found.dtype != jnp.float32)
    assert not widened


@each_label_in_time
def test_single_precision_is_accurate(label):
    for arguments, _ in points(label)[:3]:
        single, staying = split(label, arguments, jnp.float32)
        if label in DOUBLE:
            with pytest.raises(ValueError, match=r"must be float64 .*; got float32"):
                solution(label)(**single, **staying)
            continue
        value = np.asarray(solution(label)(**single, **staying))
        double = {name: jnp.asarray(x, jnp.float64) for name, x in single.items()}
        exact = np.asarray(solution(label)(**double, **staying))
        scale = np.abs(exact[np.isfinite(exact)]).max(initial=0)
        np.testing.assert_allclose(value, exact, rtol=0, atol=2e-5 * max(scale, 1e-12))


# --- refusals -------------------------------------------------------------------------------------

REAL = (NAN, INF)
FROM_ZERO = (-0.5, NAN)
POSITIVE = (0.0, -1.0, NAN)
FRACTION = (-1e-9, 1.5, NAN)
COUNT = (0, -3, NAN)
OUTSIDE: dict[str, tuple[float, ...]] = {
    "base_slope": REAL,
    "batch_size": COUNT,
    "chart": (0, 3, 1.5),
    "diffusion_time": FROM_ZERO,
    "degree": (0, 1, 1.5),
    "entropies": REAL,
    "exponent": POSITIVE,
    "fraction": FRACTION,
    "gap": (NAN,),
    "gap_initial": REAL,
    "gap_real": FROM_ZERO,
    "gap_target": REAL,
    "generation": (-1, NAN),
    "heterozygosities": FRACTION,
    "heterozygosity": FRACTION,
    "initial_weight": POSITIVE,
    "inverse_temperature": FROM_ZERO,
    "inverse_temperature_other": FROM_ZERO,
    "kept": COUNT,
    "level": (0.0, 0.5, -0.1),
    "log_generation": POSITIVE,
    "log_ratio": FROM_ZERO,
    "log_smallest": POSITIVE,
    "logit_range": POSITIVE,
    "logits": REAL,
    "logits_answers": REAL,
    "logits_real": REAL,
    "logits_target": REAL,
    "mass": FRACTION,
    "mean": POSITIVE,
    "natural": (-1, 2, 0.5),
    "noise_ratio": POSITIVE,
    "num_alive": (1, 2.5),
    "num_first": (0, 13, 2.5),
    "num_modes": (0, 1.5),
    "num_outcomes": (0, -2, 2.5),
    "num_real": FROM_ZERO,
    "num_right": FROM_ZERO,
    "num_runners_up": (-1, 1.5),
    "num_samples": COUNT,
    "num_second": (0, 13, 2.5),
    "num_steps": COUNT,
    "num_terms": COUNT,
    "num_top": COUNT,
    "offset": REAL,
    "order": (-1, 1.5),
    "parameter": REAL,
    "probability": FRACTION,
    "ratio": POSITIVE,
    "real_probability": (0.0, 1.0, NAN),
    "roundoff": (0.0, 1.0),
    "scores": REAL,
    "share": FRACTION,
    "step_size": POSITIVE,
    "subset": FRACTION,
    "target": (-1, 8),
    "temperature": FROM_ZERO,
    "temperatures": FROM_ZERO,
    "time": FROM_ZERO,
    "tolerance": POSITIVE,
    "top_probability": (0.0, 1.5),
    "variance": POSITIVE,
    "weight_decay": FROM_ZERO,
    "window": (0, 2.5),
}
OUTSIDE_IN: dict[str, dict[str, tuple[float, ...]]] = {
    "accumulation.escape": {"temperature": (0.0,)},
    "accumulation.hot": {"generation": (0,), "temperature": (0.0,)},
    "accumulation.leaders": {"generation": (0,), "temperature": (2.0,)},
    "flow.finite_training": {"num_modes": (10**6,)},
    "online.collapse_tail": {"num_modes": (10**6,)},
    "online.losers_equalise": {"num_modes": (10**6,)},
    "online.blow_up": {"gap_initial": POSITIVE},
    "online.majorisation": {"num_top": (8,), "temperature": (0.0,)},
    "geometry.mixture_online": {"temperature": (0.0,)},
    "online.block": {"gap": POSITIVE, "gap_initial": POSITIVE, "num_modes": (10**6,)},
    "online.two_outcomes": {"temperature": (0.7, 0.503)},
    "geometry.reverse_kl_tail": {"temperature": (0.0, 1.0)},
    "metastability.action_series": {"temperature": (0.9,)},
    "real_data.immigration_dirichlet": {"num_real": (0.0,)},
    "real_data.immigration_stratified": {"num_real": (0, 10**6, 1.5)},
    "real_data.partial_refit": {"step_size": (1.5,)},
    "real_data.partial_refit_data": {"step_size": (1.5,)},
    "metastability.slow_eigenvalue": {"num_samples": (1,)},
    "metastability.staircase": {"num_outcomes": (1,)},
    "fixation.survivors_power_law": {"exponent": (1.0,), "generation": (0,)},
    "tempering.ascent": {"temperature": (0.0, INF)},
    "tempering.generations_to_collapse": {"gap": POSITIVE, "tolerance": (1.0,)},
    "tempering.mode_limit": {"gap": POSITIVE, "temperature": (1.0,)},
    "families.poisson": {"temperature": (0.0, INF)},
    "tempering.potential": {"temperature": (INF,)},
    "recovery.rest": {"temperature": (0.0, INF)},
    "recovery.sharpening": {"temperature": (0.0, INF)},
    "recovery.storage_cold": {"temperature": (0.0, 1.0)},
    "recovery.storage_hot": {"temperature": (INF,)},
    "tempering.uniform_limit": {"temperature": (1.0,)},
    "tempering.uniform_limit_reverse": {"temperature": (1.0,)},
    "survival.absorption": {"generation": (0,), "num_outcomes": (1,)},
    "weight_decay.decay_floor": {"weight_decay": (0.0,)},
    "weight_decay.memory_time": {"weight_decay": (200.0,)},
    "survival.stationary": {"temperature": (1.0,), "num_outcomes": (1,)},
    "survival.survival": {"gap": POSITIVE},
    "traces.two_charts": {"step_size": (1.5,)},
    "weight_decay.weight_decay": {"weight_decay": (0.0, 200.0)},
    "survival.winner": {"gap": POSITIVE, "temperature": (0.0, 1.0)},
}
assert set(OUTSIDE_IN) <= set(equations()), "a label in OUTSIDE_IN is not registered"


@each_label
def test_arguments_outside_their_range_are_refused(label):
    arguments, answers = points(label)[0][0], {}
    for name in equations()[label].symbols:
        for value in OUTSIDE[name] + OUTSIDE_IN.get(label, {}).get(name, ()):
            entries = arguments[name]
            wrong = jnp.array([value, *entries[1:]]) if np.ndim(entries) else value
            given = {k: jnp.asarray(v) if np.ndim(v) else v for k, v in arguments.items()}
            try:
                answers[name, value] = solution(label)(**{**given, name: wrong})
            except ValueError as refusal:
                if not re.search(rf"`.*\b{name}\b.*` must .*; got", str(refusal)):
                    answers[name, value] = refusal
    assert not answers
