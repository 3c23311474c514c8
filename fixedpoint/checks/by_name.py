"""Checks of the arguments of a law, by their names, which mean the same everywhere."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

import jax.numpy as jnp
import numpy as np

from fixedpoint.checks.values import (
    check_dtype,
    check_logits,
    check_outcomes,
    check_probabilities,
    check_range,
    check_whole,
)

Function = TypeVar("Function", bound=Callable[..., Any])


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
