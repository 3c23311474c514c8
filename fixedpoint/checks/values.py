"""Checks of numbers and of distributions."""

import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fixedpoint.checks.entries import as_array, as_entries, is_boolean, is_traced, shown


def check_temperature(value: Any, name: str = "temperature", positive: bool = False) -> Any:
    """Check a temperature: a number or an array in [0, inf], or in (0, inf] if `positive`.

    Example:
        >>> check_temperature(0.8)
        0.8
        >>> check_temperature(-0.5)
        Traceback (most recent call last):
        ...
        ValueError: `temperature` must be >= 0; got -0.5.
    """
    return check_range(value, name, "(0, inf]" if positive else "[0, inf]")


def check_positive(value: Any, name: str) -> Any:
    """Check that a number or every entry of an array is positive and finite.

    Example:
        >>> check_positive(0.0, "step_size")
        Traceback (most recent call last):
        ...
        ValueError: `step_size` must be positive and finite; got 0.0.
    """
    return check_range(value, name, "(0, inf)")


def check_nonnegative(value: Any, name: str) -> Any:
    """Check that a number or every entry of an array is in [0, inf).

    Example:
        >>> check_nonnegative(-1.0, "time")
        Traceback (most recent call last):
        ...
        ValueError: `time` must be >= 0 and finite; got -1.0.
    """
    return check_range(value, name, "[0, inf)")


def check_fraction(value: Any, name: str) -> Any:
    """Check that a number or every entry of an array is in [0, 1].

    Example:
        >>> check_fraction(1.5, "fraction")
        Traceback (most recent call last):
        ...
        ValueError: `fraction` must be between 0 and 1; got 1.5.
    """
    return check_range(value, name, "[0, 1]")


def check_count(value: Any, name: str, minimum: int = 1) -> int:
    """Check a whole number: samples, generations, replicates, steps.

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
    except (TypeError, ValueError):
        count = None
    if count is None or is_boolean(value) or count < minimum:
        whole = isinstance(value, float) and value.is_integer() and value >= minimum
        advice = f" Write int({value!r})." if whole else ""
        raise ValueError(f"`{name}` must be an integer >= {minimum}; got {shown(value)}.{advice}")
    largest = int(jnp.iinfo(jnp.result_type(int)).max)
    if count > largest:
        raise ValueError(f"`{name}` must be an integer <= {largest}; got {shown(value)}.")
    return count


def check_float64(value: Any, name: str) -> Any:
    """Check that what is computed with is float64, where float32 would not do.

    Example:
        >>> check_float64(jnp.float32(1.0), "gap")
        Traceback (most recent call last):
        ...
        ValueError: `gap` must be float64 (set jax_enable_x64); got float32.
    """
    if value.dtype != jnp.float64:
        raise ValueError(f"`{name}` must be float64 (set jax_enable_x64); got {value.dtype}.")
    return value


def check_logits(logits: Any, name: str = "logits") -> Any:
    """Check logits: at least one outcome, no NaN, no +inf, at least one finite entry per row.

    Example:
        >>> check_logits([-float("inf"), -float("inf")])
        Traceback (most recent call last):
        ...
        ValueError: `logits` must have a finite entry in every row; got only -inf in row ().
    """
    check_outcomes(logits, name)
    if is_traced(logits):
        return logits
    entries = as_entries(logits, name, "be finite or -inf")
    top = entries.max(-1)  # NaN where there is one
    if np.isfinite(top).all():
        return logits
    wrong = entries[~(entries < np.inf)]
    if wrong.size:
        raise ValueError(f"`{name}` must be finite or -inf; got {float(wrong[0])!r}.")
    row = tuple(int(i) for i in np.argwhere(np.isneginf(top))[0])
    raise ValueError(f"`{name}` must have a finite entry in every row; got only -inf in row {row}.")


def check_probabilities(probabilities: Any, name: str = "probabilities") -> Any:
    """Check probabilities: at least one outcome, entries in [0, 1], rows that sum to 1.

    The sum may be off by the square root of the machine epsilon, and by 1e-6 in float64.

    Example:
        >>> check_probabilities([0.5, 0.4])
        Traceback (most recent call last):
        ...
        ValueError: `probabilities` must sum to 1; got 0.9.
    """
    check_outcomes(probabilities, name)
    rule = "be probabilities, between 0 and 1, not logits (simplex.probabilities makes them)"
    if not is_traced(probabilities):
        entries = np.atleast_1d(as_entries(probabilities, name, rule))
        wrong = entries[~((entries >= 0) & (entries <= 1))]
        if wrong.size:
            raise ValueError(f"`{name}` must {rule}; got {float(wrong[0])!r}.")
        dtype = getattr(probabilities, "dtype", np.dtype(float))
        precision = float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.floating) else 0.0
        totals = np.asarray(probabilities, dtype=float).sum(axis=-1)
        wrong = np.abs(totals - 1.0) > max(1e-6, precision**0.5)
        if np.any(wrong):
            total = np.atleast_1d(totals)[np.atleast_1d(wrong)][0]
            raise ValueError(f"`{name}` must sum to 1; got {total:.9g}.")
    return probabilities


def check_outcomes(values: Any, name: str) -> Any:
    """Check the shape of an array over outcomes: a last axis of length at least 1.

    Example:
        >>> check_outcomes([], "logits")
        Traceback (most recent call last):
        ...
        ValueError: `logits` must have at least one outcome in the last axis; got shape (0,).
    """
    rule = "have at least one outcome in the last axis"
    shape = values.shape if isinstance(values, Tracer) else np.shape(as_array(values, name, rule))
    if not shape or 0 in shape:
        raise ValueError(f"`{name}` must {rule}; got shape {shape}.")
    return values


def check_range(value: Any, name: str, interval: str, whole: bool = False) -> Any:
    """Check that a number or every entry of an array is within an interval.

    Example:
        >>> check_range(1.0, "temperature", "[0, 1)")
        Traceback (most recent call last):
        ...
        ValueError: `temperature` must be in [0, 1); got 1.0.
    """
    if is_traced(value):
        return value
    low, high = map(float, interval[1:-1].split(","))
    above = operator.ge if interval[0] == "[" else operator.gt
    below = operator.le if interval[-1] == "]" else operator.lt
    rule = f"be a whole number in {interval}" if whole else _IN_WORDS.get(interval)
    rule = rule or f"be in {interval}"
    entries = np.atleast_1d(as_entries(value, name, rule))
    inside = above(entries, low) & below(entries, high)
    wrong = entries[~(inside & (entries == np.floor(entries)) if whole else inside)]
    if wrong.size:
        raise ValueError(f"`{name}` must {rule}; got {float(wrong[0])!r}.")
    if interval.startswith("(0,") and np.issubdtype(entries.dtype, np.floating):
        smallest = np.finfo(entries.dtype).tiny
        wrong = entries[entries < smallest]
        if wrong.size:  # compiled, a number below the normal ones is 0
            raise ValueError(f"`{name}` must be >= {smallest:.3g}; got {float(wrong[0])!r}.")
    return value


_IN_WORDS = {
    "[0, inf]": "be >= 0",
    "(0, inf]": "be > 0",
    "(0, inf)": "be positive and finite",
    "[0, inf)": "be >= 0 and finite",
    "[0, 1]": "be between 0 and 1",
    "(-inf, inf)": "be finite",
    "[-inf, inf]": "be numbers",
}


def check_whole(value: Any, name: str, minimum: int = 1) -> Any:
    """Check whole numbers where an array of them will do: samples, generations, outcomes.

    Example:
        >>> check_whole(2.5, "num_samples")
        Traceback (most recent call last):
        ...
        ValueError: `num_samples` must be a whole number >= 1; got 2.5.
    """
    if is_traced(value):
        return value
    rule = f"be a whole number >= {minimum}"
    entries = np.atleast_1d(as_entries(value, name, rule))
    wrong = entries[~((entries >= minimum) & (entries < np.inf) & (entries == np.floor(entries)))]
    if wrong.size:
        raise ValueError(f"`{name}` must {rule}; got {wrong[0].item()!r}.")
    return value


def check_modes(num_modes: Any, num_outcomes: Any) -> None:
    """Refuse tied modes that are none, or more than the outcomes.

    Example:
        >>> check_modes(5, 3)
        Traceback (most recent call last):
        ...
        ValueError: `num_modes` must be a whole number in [1, 3]; got 5.0.
    """
    known = not isinstance(num_outcomes, Tracer)
    interval = f"[1, {np.min(num_outcomes)}]" if known else "[1, inf)"
    check_range(num_modes, "num_modes", interval, whole=True)


def check_numbers(value: Any, name: str) -> Any:
    """Check the type of numbers, whatever their values: for what is too large to be looked at.

    Example:
        >>> check_numbers("a", "logits")
        Traceback (most recent call last):
        ...
        ValueError: `logits` must be real numbers; got 'a'.
    """
    if not is_traced(value):
        as_entries(value, name, "be real numbers")
    return value


def check_dtype(value: Any, name: str = "dtype") -> Any:
    """Check a type of floats.

    Example:
        >>> check_dtype("int8")
        Traceback (most recent call last):
        ...
        ValueError: `dtype` must be a type of floats (float32, jnp.bfloat16); got 'int8'.
    """
    try:
        one = value is not None and not isinstance(value, np.ndarray | np.generic | jax.Array)
        floats = one and jnp.issubdtype(jnp.dtype(value), jnp.floating)
    except (TypeError, ValueError):
        floats = False
    if not floats:
        raise ValueError(
            f"`{name}` must be a type of floats (float32, jnp.bfloat16); got {shown(value)}."
        )
    return value
