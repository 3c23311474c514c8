"""How far numbers are from what they should be, and how far chance may take them."""

from collections.abc import Iterable
from statistics import NormalDist
from typing import Any

import mpmath
import numpy as np

from fixedpoint.laws.equation import Equation
from fixedpoint.laws.observation import Observation

FALSE_ALARM = 1e-3
"""Probability that chance alone fails one verification of the whole register."""

CAPACITY = 10_000
"""Stochastic comparisons the register may hold: a constant, so no selection moves a threshold."""

THRESHOLD = -NormalDist().inv_cdf(FALSE_ALARM / CAPACITY / 2)
"""Largest |z| that a single stochastic comparison may show: 5.33."""


def relative_error(value: np.ndarray, reference: Any, up_to_shift: bool = False) -> float:
    """Largest error over the largest finite entry of the reference; infinities must agree.

    It is infinite where shapes, infinities or signs differ. What is not a number agrees with
    nothing, and no numbers are not an agreement.

    Args:
        value: what was computed.
        reference: what it should be: a number or nested lists of numbers, with all their digits.
        up_to_shift: whether both are logits, defined up to a common constant.

    Example:
        >>> float(relative_error(np.array([1.0, 2.02]), [1.0, 2.0])).__round__(12)
        0.01
    """
    expected = np.array(floats(reference))
    if value.shape != expected.shape or value.size == 0:
        return np.inf
    if not np.array_equal(np.isfinite(value), np.isfinite(expected)):
        return np.inf
    finite = np.isfinite(expected)
    if not np.array_equal(value[~finite], expected[~finite]) or not finite.any():
        return 0.0 if np.array_equal(value, expected) else np.inf
    if up_to_shift:
        value = value - value[finite].mean()
        expected[finite] = _centred(np.ravel(np.asarray(reference, dtype=object))[finite.ravel()])
    with np.errstate(over="ignore", invalid="ignore"):
        error = np.abs(value[finite] - expected[finite]).max()
    scale = np.abs(expected[finite]).max()
    if np.isnan(error) or np.isnan(scale):
        return np.inf
    # Below the smallest normal number nothing relative can be asked.
    return float(error / scale) if scale > 1e-300 else float(error > 1e-300)


def excess(equation: Equation, observation: Observation, value: Any, law: Any) -> float:
    """How far the value is from the law, in units of what its stated error allows.

    Infinite where either is infinite or not a number: a bound of infinity says nothing.
    """
    if value.shape != law.shape or not (np.isfinite(value).all() and np.isfinite(law).all()):
        return np.inf
    gap = value - law
    if equation.up_to_shift:
        gap = gap - gap.mean(-1, keepdims=True)
    if equation.relation == "<=" and not observation.attained:
        gap = np.maximum(gap, 0)
    elif equation.relation == ">=" and not observation.attained:
        gap = np.maximum(-gap, 0)
    if observation.standard_error is None:
        allowed = np.asarray(observation.tolerance, dtype=np.float64)
    else:
        allowed = THRESHOLD * np.asarray(observation.standard_error, dtype=np.float64)
    if not np.all(allowed >= 0):  # NaN is not, and a negative error would allow everything
        return np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(gap == 0, 0.0, np.abs(gap) / allowed)
    return float(np.where(np.isnan(ratio), np.inf, ratio).max())


def orders(observation: Observation, law: np.ndarray) -> tuple[list[float], bool]:
    """Measured orders of convergence, and whether they settle within 0.1 of the stated one."""
    refinement = observation.refinement
    assert refinement is not None
    errors = [np.abs(np.asarray(v, dtype=np.float64) - law).max() for v in refinement.values]
    steps = np.asarray(refinement.step_sizes)
    measured = np.diff(np.log(errors)) / np.diff(np.log(steps))
    return [float(o) for o in measured], bool(abs(measured[-1] - refinement.order) < 0.1)


def _centred(reference: Iterable[Any]) -> list[float]:
    """Reference numbers minus their mean, taken with all their digits: in float64 it may cancel."""
    with mpmath.workdps(60):
        numbers = [mpmath.mpmathify(number) for number in reference]
        mean = mpmath.fsum(numbers) / len(numbers)
        return [float(number - mean) for number in numbers]


def floats(value: Any) -> Any:
    """Numbers of mpmath, in nested lists, as float64; NaN for what is complex.

    Args:
        value: the numbers.

    Example:
        >>> floats([mpmath.mpf(1) / 4, mpmath.mpc(1, 1)])
        [0.25, nan]
    """
    if isinstance(value, (list, tuple)):
        return [floats(v) for v in value]
    if isinstance(value, mpmath.mpc):  # a root may leave a trace of an imaginary part
        real = abs(value.imag) <= abs(value.real) * mpmath.mpf(10) ** -20
        return float(value.real) if real else np.nan
    return float(value) if isinstance(value, mpmath.mpf) else value
