"""Every check of an argument, and its message.

A check returns the value it was given, so that it can stand where the value is used, and raises
`ValueError` with a message that names the argument, the rule and the value:
``"`temperature` must be >= 0; got -0.5."``. Only concrete values are looked at: a tracer (inside
`jax.jit`, `jax.vmap` or `jax.grad`) passes unchecked.
"""

import operator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

__all__ = [
    "check_count",
    "check_float64",
    "check_fraction",
    "check_logits",
    "check_nonnegative",
    "check_outcomes",
    "check_positive",
    "check_probabilities",
    "check_range",
    "check_real",
    "check_temperature",
]


def check_temperature(value: Any, name: str = "temperature", positive: bool = False) -> Any:
    """Check a temperature: a number or an array in [0, inf], or in (0, inf] if `positive`.

    Args:
        value: The temperature.
        name: Name of the argument, for the message.
        positive: Whether 0 (draw from the modes) is excluded.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is negative or NaN, or is 0 although `positive`.

    Example:
        >>> check_temperature(0.8)
        0.8
        >>> check_temperature(-0.5)
        Traceback (most recent call last):
        ...
        ValueError: `temperature` must be >= 0; got -0.5.
    """
    if positive:
        return _check_entries(value, name, "be > 0", lambda entries: entries > 0)
    return _check_entries(value, name, "be >= 0", lambda entries: entries >= 0)


def check_positive(value: Any, name: str) -> Any:
    """Check that a number or every entry of an array is positive and finite.

    Args:
        value: The number or array.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is not in (0, inf).

    Example:
        >>> check_positive(0.0, "step_size")
        Traceback (most recent call last):
        ...
        ValueError: `step_size` must be positive and finite; got 0.0.
    """
    return _check_entries(
        value, name, "be positive and finite", lambda entries: (entries > 0) & (entries < np.inf)
    )


def check_nonnegative(value: Any, name: str) -> Any:
    """Check that a number or every entry of an array is in [0, inf).

    Args:
        value: The number or array.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is negative, infinite or NaN.

    Example:
        >>> check_nonnegative(-1.0, "time")
        Traceback (most recent call last):
        ...
        ValueError: `time` must be >= 0 and finite; got -1.0.
    """
    return _check_entries(
        value, name, "be >= 0 and finite", lambda entries: (entries >= 0) & (entries < np.inf)
    )


def check_fraction(value: Any, name: str) -> Any:
    """Check that a number or every entry of an array is in [0, 1].

    Args:
        value: The number or array.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is outside [0, 1] or NaN.

    Example:
        >>> check_fraction(1.5, "fraction")
        Traceback (most recent call last):
        ...
        ValueError: `fraction` must be between 0 and 1; got 1.5.
    """
    return _check_entries(
        value, name, "be between 0 and 1", lambda entries: (entries >= 0) & (entries <= 1)
    )


def check_range(value: Any, name: str, interval: str, whole: bool = False) -> Any:
    """Check that a number or every entry of an array lies in an interval.

    Args:
        value: The number or array.
        name: Name of the argument, for the message.
        interval: The interval as one writes it: "(0, 1)", "[1, inf)", "(1, inf]".
        whole: Whether it must be a whole number as well (of any type: 3.0 is one).

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is outside the interval, NaN, or not whole although it must be.

    Example:
        >>> check_range(1.0, "temperature", "(0, 1)")
        Traceback (most recent call last):
        ...
        ValueError: `temperature` must be in (0, 1); got 1.0.
        >>> check_range(2.5, "num_outcomes", "[2, inf)", whole=True)
        Traceback (most recent call last):
        ...
        ValueError: `num_outcomes` must be a whole number in [2, inf); got 2.5.
    """
    low, high = (float(end) for end in interval[1:-1].split(","))

    def allowed(entries: Any) -> Any:
        above = entries >= low if interval[0] == "[" else entries > low
        below = entries <= high if interval[-1] == "]" else entries < high
        return above & below & ((entries == np.floor(entries)) if whole else True)

    return _check_entries(
        value, name, f"be {'a whole number ' if whole else ''}in {interval}", allowed
    )


def check_real(value: Any, name: str) -> Any:
    """Check that a number or every entry of an array is a finite real number.

    Args:
        value: The number or array.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is infinite or NaN.

    Example:
        >>> check_real(float("nan"), "logit_gap")
        Traceback (most recent call last):
        ...
        ValueError: `logit_gap` must be a finite number; got nan.
    """
    return _check_entries(value, name, "be a finite number", np.isfinite)


def check_count(value: Any, name: str, minimum: int = 1) -> int:
    """Check a whole number: samples, generations, replicates, steps.

    Args:
        value: The number; NumPy and JAX integers count, floats and booleans do not.
        name: Name of the argument, for the message.
        minimum: The smallest value allowed.

    Returns:
        The value as a Python integer (a tracer unchanged).

    Raises:
        ValueError: If the value is not an integer or is below `minimum`.

    Example:
        >>> check_count(100, "num_samples")
        100
        >>> check_count(0, "num_samples")
        Traceback (most recent call last):
        ...
        ValueError: `num_samples` must be an integer >= 1; got 0.
    """
    if isinstance(value, Tracer):
        return value  # pyright: ignore[reportReturnType]
    try:
        count = operator.index(value)
    except TypeError:
        count = None
    if count is None or isinstance(value, bool | np.bool) or count < minimum:
        whole = isinstance(value, float) and value.is_integer() and value >= minimum
        advice = f" Write int({value!r})." if whole else ""
        raise ValueError(f"`{name}` must be an integer >= {minimum}; got {value!r}.{advice}")
    return count


def check_float64(value: Any, name: str) -> Any:
    """Check that what is computed with is float64, where float32 would not do.

    Args:
        value: The array that JAX has made of the argument; a tracer has a type as well.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If the value is of another type.

    Example:
        >>> check_float64(jnp.float32(1.0), "logit_gap")
        Traceback (most recent call last):
        ...
        ValueError: `logit_gap` must be float64 (set jax_enable_x64); got float32.
    """
    if value.dtype != jnp.float64:
        raise ValueError(f"`{name}` must be float64 (set jax_enable_x64); got {value.dtype}.")
    return value


def check_logits(logits: Any, name: str = "logits") -> Any:
    """Check logits: at least one outcome, no NaN, no +inf, at least one finite entry per row.

    Args:
        logits: Array whose last axis runs over the outcomes; -inf marks a lost outcome.
        name: Name of the argument, for the message.

    Returns:
        The logits, unchanged.

    Raises:
        ValueError: If there is no outcome, an entry is NaN or +inf, or a row is all -inf.

    Example:
        >>> check_logits([-float("inf"), -float("inf")])
        Traceback (most recent call last):
        ...
        ValueError: `logits` must have a finite entry in every row; got only -inf in row ().
    """
    check_outcomes(logits, name)
    _check_entries(logits, name, "be finite or -inf", lambda entries: entries < np.inf)
    if not isinstance(logits, Tracer):
        lost = np.all(np.isneginf(np.asarray(logits, dtype=float)), axis=-1)
        if np.any(lost):
            row = tuple(int(i) for i in np.argwhere(lost)[0])
            raise ValueError(
                f"`{name}` must have a finite entry in every row; got only -inf in row {row}."
            )
    return logits


def check_probabilities(probabilities: Any, name: str = "probabilities") -> Any:
    """Check probabilities: at least one outcome, entries in [0, 1], rows that sum to 1.

    The sum may be off by the square root of the machine epsilon, and by 1e-6 in float64.

    Args:
        probabilities: Array whose last axis runs over the outcomes.
        name: Name of the argument, for the message.

    Returns:
        The probabilities, unchanged.

    Raises:
        ValueError: If there is no outcome, an entry is outside [0, 1], or a row does not sum to 1.

    Example:
        >>> check_probabilities([0.5, 0.4])
        Traceback (most recent call last):
        ...
        ValueError: `probabilities` must sum to 1; got 0.9.
    """
    check_outcomes(probabilities, name)
    rule = "be probabilities, between 0 and 1, not logits (simplex.probabilities makes them)"
    _check_entries(probabilities, name, rule, lambda entries: (entries >= 0) & (entries <= 1))
    if not isinstance(probabilities, Tracer):
        dtype = getattr(probabilities, "dtype", np.dtype(float))
        precision = float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.floating) else 0.0
        totals = np.asarray(probabilities, dtype=float).sum(axis=-1)
        wrong = np.abs(totals - 1.0) > max(1e-6, precision**0.5)
        if np.any(wrong):
            raise ValueError(f"`{name}` must sum to 1; got {totals[wrong][0]:.9g}.")
    return probabilities


def check_outcomes(values: Any, name: str) -> Any:
    """Check the shape of an array over outcomes: a last axis of length at least 1.

    Args:
        values: The array (or anything that has its shape).
        name: Name of the argument, for the message.

    Returns:
        The values, unchanged.

    Raises:
        ValueError: If the array is a scalar or its last axis is empty.

    Example:
        >>> check_outcomes([], "logits")
        Traceback (most recent call last):
        ...
        ValueError: `logits` must have at least one outcome in the last axis; got shape (0,).
    """
    shape = np.shape(values)
    if not shape or shape[-1] == 0:
        raise ValueError(
            f"`{name}` must have at least one outcome in the last axis; got shape {shape}."
        )
    return values


def _check_entries(value: Any, name: str, rule: str, allowed: Any) -> Any:
    """Return the value if every entry is allowed; else raise with the first that is not."""
    if isinstance(value, Tracer):
        return value
    try:
        entries = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must {rule}; got {value!r}.") from None
    wrong = ~allowed(entries)
    if np.any(wrong):
        raise ValueError(f"`{name}` must {rule}; got {float(entries[wrong][0])!r}.")
    return value
