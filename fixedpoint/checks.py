"""Every check of an argument, and its message.

A check returns the value it was given, so that it can stand where the value is used, and raises
`ValueError` with a message that names the argument, the rule and the value:
``"`temperature` must be >= 0; got -0.5."``. Only concrete values are looked at: a tracer (inside
`jax.jit`, `jax.vmap` or `jax.grad`) passes unchecked.

A number is an integer or a float that JAX has a type for, alone or in an array or a list: no text,
no boolean, no complex number. The arguments of a law are checked by their names, which mean the
same everywhere: see `arguments`.
"""

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

__all__ = [
    "arguments",
    "check_concrete",
    "check_count",
    "check_devices",
    "check_dtype",
    "check_float64",
    "check_fraction",
    "check_functions",
    "check_generations",
    "check_key",
    "check_kind",
    "check_logits",
    "check_modes",
    "check_nonnegative",
    "check_numbers",
    "check_outcomes",
    "check_positive",
    "check_probabilities",
    "check_range",
    "check_temperature",
    "check_whole",
]

Function = TypeVar("Function", bound=Callable[..., Any])


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
    return check_range(value, name, "(0, inf]" if positive else "[0, inf]")


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
    return check_range(value, name, "(0, inf)")


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
    return check_range(value, name, "[0, inf)")


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
    return check_range(value, name, "[0, 1]")


def check_count(value: Any, name: str, minimum: int = 1) -> int:
    """Check a whole number: samples, generations, replicates, steps.

    Args:
        value: The number; NumPy and JAX integers count, floats and booleans do not.
        name: Name of the argument, for the message.
        minimum: The smallest value allowed.

    Returns:
        The value as a Python integer (a tracer unchanged).

    Raises:
        ValueError: If the value is not an integer, is below `minimum`, or is more than JAX's
            integers hold.

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
    if count is None or _is_boolean(value) or count < minimum:
        whole = isinstance(value, float) and value.is_integer() and value >= minimum
        advice = f" Write int({value!r})." if whole else ""
        raise ValueError(f"`{name}` must be an integer >= {minimum}; got {_shown(value)}.{advice}")
    largest = int(jnp.iinfo(jnp.result_type(int)).max)
    if count > largest:
        raise ValueError(f"`{name}` must be an integer <= {largest}; got {_shown(value)}.")
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
    if _is_traced(logits):
        return logits
    entries = _entries(logits, name, "be finite or -inf")
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
    if not _is_traced(probabilities):
        entries = np.atleast_1d(_entries(probabilities, name, rule))
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
    rule = "have at least one outcome in the last axis"
    shape = values.shape if isinstance(values, Tracer) else np.shape(_array(values, name, rule))
    if not shape or 0 in shape:
        raise ValueError(f"`{name}` must {rule}; got shape {shape}.")
    return values


def check_range(value: Any, name: str, interval: str, whole: bool = False) -> Any:
    """Check that a number or every entry of an array is within an interval.

    Args:
        value: The number or array.
        name: Name of the argument, for the message.
        interval: As mathematics writes it: "[0, 1)" has the 0 but not the 1.
        whole: Whether it must be a whole number as well (of any type: 3.0 is one).

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is outside the interval, is NaN, or is not a number.

    Example:
        >>> check_range(1.0, "temperature", "[0, 1)")
        Traceback (most recent call last):
        ...
        ValueError: `temperature` must be in [0, 1); got 1.0.
    """
    if _is_traced(value):
        return value
    low, high = map(float, interval[1:-1].split(","))
    above = operator.ge if interval[0] == "[" else operator.gt
    below = operator.le if interval[-1] == "]" else operator.lt
    rule = f"be a whole number in {interval}" if whole else _IN_WORDS.get(interval)
    rule = rule or f"be in {interval}"
    entries = np.atleast_1d(_entries(value, name, rule))
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

    Args:
        value: The number or array; floats count if they are whole.
        name: Name of the argument, for the message.
        minimum: The smallest value allowed.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If an entry is not whole, or is below `minimum`.

    Example:
        >>> check_whole(2.5, "num_samples")
        Traceback (most recent call last):
        ...
        ValueError: `num_samples` must be a whole number >= 1; got 2.5.
    """
    if _is_traced(value):
        return value
    rule = f"be a whole number >= {minimum}"
    entries = np.atleast_1d(_entries(value, name, rule))
    wrong = entries[~((entries >= minimum) & (entries < np.inf) & (entries == np.floor(entries)))]
    if wrong.size:
        raise ValueError(f"`{name}` must {rule}; got {wrong[0].item()!r}.")
    return value


def check_modes(num_modes: Any, num_outcomes: Any) -> None:
    """Refuse tied modes that are none, or more than the outcomes.

    Args:
        num_modes: How many outcomes share the largest logit.
        num_outcomes: How many there are.

    Raises:
        ValueError: If a number of modes is not whole, below 1 or above the number of outcomes.

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

    Args:
        value: The number or array.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If it is no number of a type that JAX has.

    Example:
        >>> check_numbers("a", "logits")
        Traceback (most recent call last):
        ...
        ValueError: `logits` must be real numbers; got 'a'.
    """
    if not _is_traced(value):
        _entries(value, name, "be real numbers")
    return value


# --- The arguments of the laws, by their names ----------------------------------------------------


def _finite_logits(value: Any, name: str) -> Any:
    check_range(check_outcomes(value, name), name, "(-inf, inf)")
    return value


def _values(value: Any, name: str) -> Any:
    check_range(check_outcomes(value, name), name, "[-inf, inf]")
    return value


_OF_DISTRIBUTIONS: dict[str, Callable[[Any, str], Any]] = {
    "logits": check_logits,
    "finite logits": _finite_logits,
    "probabilities": check_probabilities,
    "values": _values,
}
"""The rules of what has an axis of outcomes; all other arguments are numbers for each of these."""

_RULES = {
    **dict.fromkeys(
        ["logits", "logits_initial", "logits_other", "logits_real", "logits_target"],
        "logits",
    ),
    **dict.fromkeys(["temperature", "temperatures", "inverse_temperature"], "[0, inf]"),
    **dict.fromkeys(["inverse_temperature_other", "order"], "[0, inf]"),
    **dict.fromkeys(["time", "weight_decay", "diffusion_time", "log_generation"], "[0, inf)"),
    **dict.fromkeys(["step_size", "tolerance", "variance"], "(0, inf)"),
    **dict.fromkeys(["fraction", "mass", "probability", "heterozygosity"], "[0, 1]"),
    **dict.fromkeys(["gap", "gap_initial", "gap_target"], "(-inf, inf)"),
    **dict.fromkeys(["num_samples", "num_outcomes", "num_modes", "num_runners_up"], ">= 1"),
    **dict.fromkeys(["batch_size", "num_steps"], ">= 1"),
    "generation": ">= 0",
    "probabilities": "probabilities",
}
"""What the names of arguments stand for in all laws, unless a law says otherwise."""


def arguments(**rules: str) -> Callable[[Function], Function]:
    """Check the arguments of a function of one or many distributions, by their names.

    A rule is an interval ("[0, 1)"), the smallest of the whole numbers allowed (">= 1"), or
    "logits", "finite logits", "probabilities" or "values" of each outcome, or "dtype" for a type of
    floats; "" is no rule. The usual
    names have theirs. Lists become arrays, the shapes of numbers must fit those of the
    distributions, unless the rule begins with "each", and distributions have equally many outcomes.

    Args:
        **rules: The rules of arguments that have other names or other rules than usual.

    Returns:
        A decorator.

    Example:
        >>> @arguments(mass="(0.5, 1]")
        ... def likely(mass, temperature):
        ...     return mass
        >>> likely(0.4, 1.0)
        Traceback (most recent call last):
        ...
        ValueError: `mass` must be in (0.5, 1]; got 0.4.
    """

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)
        unknown = set(rules) - set(signature.parameters)
        assert not unknown, f"{function} has no argument {unknown}"
        found = {name: {**_RULES, **rules}.get(name, "") for name in signature.parameters}
        ruled = {name: rule for name, rule in found.items() if rule}
        own_axis = {name for name, rule in ruled.items() if rule.startswith(("each ", "dtype"))}
        optional = {name for name, one in signature.parameters.items() if one.default is None}

        @functools.wraps(function)
        def checked(*args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(*args, **kwargs)
            values, given = bound.arguments, []
            for name in [name for name in ruled if name in values]:
                if values[name] is not None or name not in optional:
                    values[name] = _checked(values[name], name, ruled[name])
                    given.append(name)
            shapes = {name: np.shape(values[name]) for name in given if name not in own_axis}
            _check_shapes(shapes, ruled)
            return function(*bound.args, **bound.kwargs)

        checked.rules = found  # pyright: ignore[reportAttributeAccessIssue]
        return checked  # pyright: ignore[reportReturnType]

    return decorate


def _checked(value: Any, name: str, rule: str) -> Any:
    if rule == "dtype":
        return check_dtype(value, name)
    own_axis = rule.startswith("each ")
    rule = rule.removeprefix("each ")
    if rule in _OF_DISTRIBUTIONS:
        _OF_DISTRIBUTIONS[rule](value, name)
    elif rule.startswith(">="):
        check_whole(value, name, int(rule[2:]))
    else:
        check_range(value, name, rule)
    if 0 in np.shape(value) and not own_axis:
        raise ValueError(f"`{name}` must have an entry; got shape {np.shape(value)}.")
    if isinstance(value, list | tuple | range):
        return jnp.asarray(value)
    dtype = np.dtype(getattr(value, "dtype", float))
    # Short integers would wrap in sums and products, short floats overflow; those of distributions
    # are kept, as results have their type.
    if dtype.kind in "iu":
        return jnp.asarray(value).astype(int)
    if jnp.issubdtype(dtype, jnp.floating) and dtype.itemsize < 4 and rule not in _OF_DISTRIBUTIONS:
        return jnp.asarray(value).astype(jnp.float32)
    return value


def _check_shapes(shapes: dict[str, tuple[int, ...]], rules: dict[str, str]) -> None:
    """Whether numbers broadcast with the batches of the distributions, which must fit as well."""
    batch, outcomes = (), None
    for name, shape in shapes.items():
        if rules[name] in _OF_DISTRIBUTIONS:
            outcomes = outcomes or shape[-1]
            if shape[-1] != outcomes:
                raise ValueError(
                    f"`{name}` must have {outcomes} outcomes in the last axis; got shape {shape}."
                )
            shape = shape[:-1]
        try:
            batch = np.broadcast_shapes(batch, shape)
        except ValueError:
            raise ValueError(
                f"`{name}` must have a shape that fits the other arguments, {batch} (one number "
                f"for each distribution, or one for all); got {shape}."
            ) from None


def check_dtype(value: Any, name: str = "dtype") -> Any:
    """Check a type of floats.

    Args:
        value: The type, as JAX and NumPy write it.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If it is no type of floats.

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
            f"`{name}` must be a type of floats (float32, jnp.bfloat16); got {_shown(value)}."
        )
    return value


# --- The arguments of what runs loops -------------------------------------------------------------


def check_kind(value: Any, kind: type | tuple[type, ...], name: str, description: str) -> Any:
    """Check that an argument is of its kind.

    Args:
        value: The argument.
        kind: The class, or several.
        name: Name of the argument, for the message.
        description: What it must be, in words.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If the value is of another kind.

    Example:
        >>> check_kind(3, str, "label", "a text")
        Traceback (most recent call last):
        ...
        ValueError: `label` must be a text; got 3.
    """
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be {description}; got {_shown(value)}.")
    return value


def check_key(key: Any, name: str = "key") -> Any:
    """Check a random key: one, of `jax.random.key` or `jax.random.PRNGKey`.

    Args:
        key: The key.
        name: Name of the argument, for the message.

    Returns:
        The key, unchanged.

    Raises:
        ValueError: If it is something else, or an array of keys.

    Example:
        >>> check_key(0)
        Traceback (most recent call last):
        ...
        ValueError: `key` must be a random key (jax.random.key(0)); got 0.
    """
    if isinstance(key, jax.Array | np.ndarray):
        if jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
            single = key.shape == ()
        else:
            single = key.dtype == np.uint32 and key.shape == _raw_key_shape()
        if single:
            return key
        raise ValueError(
            f"`{name}` must be one random key (jax.random.key(0)); got an array of shape "
            f"{key.shape} and type {key.dtype}."
        )
    raise ValueError(f"`{name}` must be a random key (jax.random.key(0)); got {_shown(key)}.")


def _raw_key_shape() -> tuple[int, ...]:
    return jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0))).shape


def check_generations(
    save_at: Any, num_generations: int, earliest: int = 0, name: str = "save_at"
) -> np.ndarray:
    """Check which generations are to be saved.

    Args:
        save_at: The generations, increasing.
        num_generations: The last one possible.
        earliest: The first one possible.
        name: Name of the argument, for the message.

    Returns:
        The generations as an array of integers.

    Raises:
        ValueError: If they are not whole numbers, do not increase, or are beyond the last.

    Example:
        >>> check_generations([0, 5, 12], 10)
        Traceback (most recent call last):
        ...
        ValueError: `save_at` must increase within 0..10; got [0, 5, 12].
    """
    rule = "be a list of generations, at least one"
    if _is_traced(save_at):
        raise ValueError(f"`{name}` must {rule}, known when the run is compiled; got a tracer.")
    saved = _array(save_at, name, rule)
    if saved.ndim != 1 or saved.size == 0 or not np.issubdtype(saved.dtype, np.integer):
        raise ValueError(f"`{name}` must {rule}; got {_shown(save_at)}.")
    if saved[0] < earliest or saved[-1] > num_generations or np.any(saved[1:] <= saved[:-1]):
        raise ValueError(
            f"`{name}` must increase within {earliest}..{num_generations}; got "
            f"{_shown(saved.tolist())}."
        )
    return saved


def check_functions(observe: Any, name: str = "observe", several: bool = True) -> Any:
    """Check what is to be observed: a function of the logits, or a tree of such functions.

    Args:
        observe: The function or functions; None is none.
        name: Name of the argument, for the message.
        several: Whether a tuple, list or dict of functions will do.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If it is, or holds, something else.

    Example:
        >>> check_functions("entropy")
        Traceback (most recent call last):
        ...
        ValueError: `observe` must be a function (simplex.entropy) or a tree of them; got 'entropy'.
    """
    leaves = jax.tree.leaves(observe, is_leaf=callable) if several else [observe]
    wrong = [leaf for leaf in leaves if not callable(leaf)]
    if observe is None or (leaves and not wrong):
        return observe
    trees = " or a tree of them" if several else ""
    shown = _shown(wrong[0] if wrong else observe)
    raise ValueError(f"`{name}` must be a function (simplex.entropy){trees}; got {shown}.")


def check_devices(devices: Any, name: str = "devices") -> Any:
    """Check the devices that share the work; None stands for all local ones.

    Args:
        devices: A list of JAX devices, at least one.
        name: Name of the argument, for the message.

    Returns:
        The value, unchanged.

    Raises:
        ValueError: If it is something else.

    Example:
        >>> check_devices([])
        Traceback (most recent call last):
        ...
        ValueError: `devices` must be a list of devices (jax.local_devices()); got [].
    """
    known = isinstance(devices, Sequence) and all(isinstance(one, jax.Device) for one in devices)
    if devices is not None and not (known and len(devices)):
        raise ValueError(
            f"`{name}` must be a list of devices (jax.local_devices()); got {_shown(devices)}."
        )
    return devices


def check_concrete(function: str, **values: Any) -> None:
    """Refuse tracers where the numbers themselves decide what is compiled.

    Args:
        function: Name of the function, for the message.
        **values: Its arguments.

    Raises:
        ValueError: If one of them holds a tracer.

    Example:
        >>> check_concrete("run_events", logits=[0.0, 1.0])
    """
    for name, value in values.items():
        if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value)):
            raise ValueError(
                f"`{name}` must be known when `{function}` is called, which chooses its engine by "
                "it: call it outside of jax.jit, jax.vmap and jax.grad (`num_replicates` are run "
                "side by side), or use `fixedpoint.run`, which works inside; got a tracer."
            )


# --- What a number is -----------------------------------------------------------------------------


def _is_traced(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value))
    return isinstance(value, Tracer)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool"


def _shown(value: Any) -> str:
    """A value in one line of a message, in short if it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:80]} … {text[-30:]}"


def _array(value: Any, name: str, rule: str) -> np.ndarray:
    """The value as NumPy sees it."""
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(
            f"`{name}` must {rule}; got a masked array (`filled` gives one without a mask)."
        )
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError):  # ragged lists, random keys
        raise ValueError(f"`{name}` must {rule}; got {_shown(value)}.") from None


def _entries(value: Any, name: str, rule: str) -> np.ndarray:
    """The value as an array of real numbers of a type that JAX has, in a type that NumPy has."""
    entries = _array(value, name, rule)
    dtype = entries.dtype
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        raise ValueError(f"`{name}` must {rule}; got {_shown(value)}.")
    if dtype.itemsize > 8 or not dtype.isnative:
        raise ValueError(
            f"`{name}` must have a type that JAX has (`{name}.astype(float)` makes one); "
            f"got {dtype if dtype.isnative else dtype.str}."
        )
    if dtype.kind in "iu" and entries.size:
        largest = max(int(entries.max()), -int(entries.min()))
        if largest > jnp.iinfo(jnp.result_type(int)).max:  # JAX would wrap it
            raise ValueError(f"`{name}` must be a float where it is as large as {largest}.")
    # The short floats of machine learning are no types of NumPy's own.
    return entries.astype(np.float32) if dtype.kind == "V" else entries
