"""Every registered solution, from its equation alone: slopes, transformations, precision, refusals.

The slopes are compared with differences of the equation itself, to 50 digits. Where the equation
has no value, as where a temperature is infinite, the slopes must at least be numbers; those known
by hand are in `SLOPES`.
"""

import math
import random
from typing import Any

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fixedpoint import confront
from fixedpoint.laws import flow, resampling, tempering, traces
from fixedpoint.laws.equation import equations

INF, NAN = math.inf, math.nan

# Of the labels a few stand for all; the others are `long`.
SHORT = [
    "flow.multiplier",
    "resampling.heterozygosity",
    "resampling.partial_refit_data",
    "tempering.cone",
    "tempering.entropy_slope",
    "tempering.generations_to_collapse",
    "tempering.mode_limit",
    "traces.two_charts",
]
assert set(SHORT) <= set(equations()), "a label in SHORT is not registered"

each_label = pytest.mark.parametrize("label", sorted(equations()))
each_label_in_time = pytest.mark.parametrize(
    "label",
    [pytest.param(x, marks=[pytest.mark.long] * (x not in SHORT)) for x in sorted(equations())],
    scope="module",
)

# Arguments that a solution takes as they are, never traced.
WHOLE = ("chart", "kept", "natural", "num_terms", "num_top", "order", "subset", "target")
WHOLE_IN = {
    "flow.online_two_outcomes": ("temperature",),
    "resampling.fixation_time": ("num_samples",),
    # JAX has the slope of the incomplete beta function in its last argument only.
    "resampling.immigration_dirichlet": ("real_probability", "num_real"),
    "resampling.survivors": ("num_samples", "generation"),
    "resampling.survivors_power_law": ("generation",),
    "resampling.truncation": ("num_samples", "generation"),
}
# What is accurate to no more than a rule of integration or a search has such slopes.
ROUGH = {
    "resampling.metastability": 1e-7,
    "resampling.scale_function": 1e-8,
    "resampling.staircase": 1e-6,
    "tempering.storage_hot": 1e-4,  # within 1e-12 of T = 1, and nowhere else
    "traces.winner": 1e-4,
}


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
    with mpmath.workdps(70):
        at = np.array(arguments[name], dtype=object)
        step = min([mpmath.mpf(1), *(abs(x) for x in at.flat if x)]) * mpmath.mpf(10) ** -20
        try:
            low, middle, high = (
                np.array(equation.evaluate({**arguments, name: shifted(at, direction, s * step)}))
                for s in (-1, 0, 1)
            )
            if expected is not None:
                here = floats(middle)
                if not confront.relative_error(here, expected, equation.up_to_shift) < 1e-9:
                    return None
            slope = floats((high - low) / (2 * step))
        except (ArithmeticError, TypeError, ValueError):
            return None
    return slope


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
    compared = 0
    for arguments, expected in points(label):
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
