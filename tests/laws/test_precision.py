"""Float32, and numbers that overflow, underflow or cancel on the way to a result that does not."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import sympy as sp

from fixedpoint import agreement, confront, potential
from fixedpoint.laws import fixation, flow, geometry, online, real_data, survival, tempering
from fixedpoint.laws.equation import equations

EQUATIONS = equations()
OF_LOGITS = {
    label: [name for name, symbol in e.symbols.items() if isinstance(symbol, sp.IndexedBase)]
    for label, e in EQUATIONS.items()
    if any(name.startswith("logits") for name in e.symbols)
}
DOCUMENTED = {
    # The validity says so: what the relative error in float32 is, where it is not the default one.
    "tempering.ascent": 1e-4,
    "tempering.divergence": 1e-4,
    "traces.log_loss": 1e-4,
    "traces.entropy_bias": 1e-4,
}
LARGE = 0.556


def single(value):
    """An argument in float32; whole numbers stay."""
    return value if isinstance(value, int) else jnp.asarray(value, jnp.float32)


@pytest.mark.long
@pytest.mark.parametrize("label", EQUATIONS)
def test_a_solution_is_right_to_float32(label):
    equation = EQUATIONS[label]
    solution = confront.implementation(equation, "solution")
    for arguments in confront.draw(equation, 3):
        rounded = {name: single(value) for name, value in arguments.items()}
        value = np.asarray(solution(**rounded), dtype=float)
        plain = {
            k: v if isinstance(v, int) else np.asarray(v, float).tolist()
            for k, v in rounded.items()
        }
        reference = equation.evaluate(plain, digits=25)
        size = float(np.max(np.abs(np.asarray(agreement.floats(reference), dtype=float))))
        if size > 1e-35:  # a normal number, with room for its terms
            error = agreement.relative_error(value, reference, equation.up_to_shift)
            assert error < DOCUMENTED.get(label, 1e-5), (arguments, value, reference)


@pytest.mark.long
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("label", OF_LOGITS)
def test_logits_near_the_largest_number_have_no_nan(label, dtype):
    equation, largest = EQUATIONS[label], np.finfo(dtype).max
    solution = confront.implementation(equation, "solution")
    point = (confront.draw(equation, 1) or [equation.edges[0].arguments])[0]
    rows = [[LARGE, 0, -LARGE], [-LARGE, LARGE, 1e-300], [LARGE, LARGE, -LARGE], [1e-8, 0, -1]]
    for row in rows:
        arguments = {
            name: single(value) if dtype == np.float32 else value for name, value in point.items()
        }
        for name in OF_LOGITS[label]:
            of_logits = name.startswith("logits")
            entries = np.asarray(row) * largest if of_logits else np.resize(point[name], 3)
            arguments[name] = jnp.asarray(entries, dtype)
        for name in ("num_top", "target", "kept"):
            if name in arguments:
                arguments[name] = 1
        assert not np.isnan(solution(**arguments)).any(), row


def one_hot(logits, time, target):
    """The exact law: its integral is that of a polynomial in w."""
    theta = [mpmath.mpf(x) for x in logits]
    others = [x for k, x in enumerate(theta) if k != target]
    coefficients = [mpmath.mpf(1)]
    for x in others:
        shifted = [mpmath.mpf(0), *(c * mpmath.exp(x) for c in coefficients)]
        coefficients = [a + b for a, b in zip([*coefficients, mpmath.mpf(0)], shifted, strict=True)]

    def elapsed(log_w):
        w = mpmath.exp(log_w)
        terms = (c * w ** (k + 1) / (k + 1) for k, c in enumerate(coefficients))
        integral = mpmath.exp(theta[target]) * mpmath.fsum(terms)
        return integral + mpmath.fsum(mpmath.log1p(w * mpmath.exp(x)) for x in others)

    low, high = mpmath.mpf(-3000), mpmath.mpf(3000)
    for _ in range(220):
        middle = (low + high) / 2
        low, high = (middle, high) if elapsed(middle) < time else (low, middle)
    falls = [mpmath.log1p(mpmath.exp(low + x)) for x in theta]
    rise = mpmath.fsum(fall for k, fall in enumerate(falls) if k != target)
    moved = [x + rise if k == target else x - falls[k] for k, x in enumerate(theta)]
    return [x - mpmath.fsum(moved) / len(moved) for x in moved]


@pytest.mark.long
@pytest.mark.parametrize("time", [1e-200, 1e10, 1e200, 1e300])
@pytest.mark.parametrize("logits", [(0.0, 150.0, -150.0), (-150.0, 150.0, 149.0)])
def test_one_hot_training_over_any_time(logits, time):
    with mpmath.workdps(50):
        expected = one_hot(logits, time, 0)
        found = flow.frozen_one_hot_target(jnp.array(logits), time, 0)
        assert agreement.relative_error(np.asarray(found), expected) < 1e-12


@pytest.mark.parametrize("gap", [745.0, 800.0, 1e6, 1e308])
def test_a_loser_too_rare_for_a_float_is_lost_in_one_generation(gap):
    """E T = 1 + n e^-gap + …: it is not fixed yet, but in the next generation."""
    logits = jnp.array([0.0, -gap])
    assert fixation.fixation_time(logits, 4) == 1
    np.testing.assert_array_equal(fixation.survivors(logits, 4, [0, 1]), [2, 1])
    assert fixation.fixation_time(jnp.array([0.0, -jnp.inf]), 4) == 0


@pytest.mark.long
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 3e-6), (np.float64, 1e-13)])
def test_mixture_flow_above_temperature_1_from_far_apart(dtype, tolerance):
    logits, T, t = np.array([1100.0, 0, -3.5], dtype), dtype(2.75), dtype(3.25)
    with mpmath.workdps(60):
        power = 1 - 1 / mpmath.mpf(float(T))
        weights = [mpmath.exp(mpmath.mpf(float(x)) - 1100) for x in logits]
        start = [(w / mpmath.fsum(weights)) ** power for w in weights]

        def excess(gain):
            return mpmath.fsum((x + power * gain) ** (1 / power) for x in start) - mpmath.exp(
                float(t)
            )

        gain = mpmath.findroot(excess, (0.1, 30), solver="anderson", tol=1e-40)
        expected = [mpmath.log(x + power * gain) / power - mpmath.mpf(float(t)) for x in start]
        found = np.asarray(geometry.mixture_online(logits, T, t), dtype=float)
        assert agreement.relative_error(found, expected) < tolerance


@pytest.mark.long
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gaps_whose_hyperbolic_cosine_overflows(dtype):
    for gap, T in ((600.0, 0.5), (2000.0, 2.0), (-1e30, 1 / 3)):
        moved = online.two_outcomes(dtype(gap), dtype(T), dtype(10.0))
        assert moved == dtype(gap)  # by 10 e^-600, and less
    moved = geometry.natural(np.array([1.0, 0, -1], dtype), dtype(0.5), dtype(1000.0))
    np.testing.assert_array_equal(moved, np.finfo(dtype).max * np.array([1, 0, -1]))


@pytest.mark.parametrize("T", [0.999, 1.001, 10.0])
def test_the_expected_gradient_in_float32(T):
    """p_T - p has no cancellation near T = 1, and no overflow far from it."""
    logits, T = np.array([1e-4, 0, -200.0], np.float32), np.float32(T)
    with mpmath.workdps(50):
        p, p_T = (
            [w / mpmath.fsum(weights) for w in weights]
            for weights in (
                [mpmath.exp(mpmath.mpf(float(x)) / divisor) for x in logits]
                for divisor in (1, float(T))
            )
        )
        expected = [x - y for x, y in zip(p_T, p, strict=True)]
    for found in (potential.gradient(logits, T), -tempering.fixed_point(logits, T)):
        assert found.dtype == np.float32
        assert agreement.relative_error(np.asarray(found, float), expected) < 2e-6


def test_the_drift_that_shows_transience_is_computed_in_logarithms():
    logits, subset = jnp.array([1.0, 0.2, -0.7]), jnp.array([1.0, 1.0, 1.0])
    at = survival.transience(logits, subset, 1.5)
    # Y^(-α-1)/Z goes as e^(α shift).
    for shift in (300.0, -300.0, 470.0):
        shifted = survival.transience(logits + shift, subset, 1.5)
        np.testing.assert_allclose(shifted / np.exp(1.5 * shift), at, rtol=1e-10)
    np.testing.assert_allclose(
        survival.memory(jnp.array([1e308, 0.0, -1e308]), 2e307),
        [16 / 3, 1 / 3, -14 / 3],
        rtol=1e-14,
    )


def test_a_chance_that_float32_cannot_tell_is_refused():
    with jax.enable_x64(False), pytest.raises(ValueError, match="`gap` must be float64"):
        survival.winner(1.0, 0.5, 0.1)
    assert float(survival.winner(1.0, 0.001, 0.1)) == 0  # not NaN: e^(-10⁴)
    assert real_data.one_real_sample(1e308) == 1
