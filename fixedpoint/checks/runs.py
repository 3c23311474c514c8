"""Checks of what runs loops: keys, generations, observables, devices."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fixedpoint.checks.entries import as_array, is_traced, shown


def check_kind(value: Any, kind: type | tuple[type, ...], name: str, description: str) -> Any:
    """Check that an argument is of its kind.

    Example:
        >>> check_kind(3, str, "label", "a text")
        Traceback (most recent call last):
        ...
        ValueError: `label` must be a text; got 3.
    """
    if not isinstance(value, kind):
        raise ValueError(f"`{name}` must be {description}; got {shown(value)}.")
    return value


def check_key(key: Any, name: str = "key") -> Any:
    """Check a random key: one, of `jax.random.key` or `jax.random.PRNGKey`.

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
    raise ValueError(f"`{name}` must be a random key (jax.random.key(0)); got {shown(key)}.")


def _raw_key_shape() -> tuple[int, ...]:
    return jax.eval_shape(lambda: jax.random.key_data(jax.random.key(0))).shape


def check_generations(
    save_at: Any, num_generations: int, earliest: int = 0, name: str = "save_at"
) -> np.ndarray:
    """Check which generations are to be saved.

    Example:
        >>> check_generations([0, 5, 12], 10)
        Traceback (most recent call last):
        ...
        ValueError: `save_at` must increase within 0..10; got [0, 5, 12].
    """
    rule = "be a list of generations, at least one"
    if is_traced(save_at):
        raise ValueError(f"`{name}` must {rule}, known when the run is compiled; got a tracer.")
    saved = as_array(save_at, name, rule)
    if saved.ndim != 1 or saved.size == 0 or not np.issubdtype(saved.dtype, np.integer):
        raise ValueError(f"`{name}` must {rule}; got {shown(save_at)}.")
    if saved[0] < earliest or saved[-1] > num_generations or np.any(saved[1:] <= saved[:-1]):
        raise ValueError(
            f"`{name}` must increase within {earliest}..{num_generations}; got "
            f"{shown(saved.tolist())}."
        )
    return saved


def check_functions(observe: Any, name: str = "observe", several: bool = True) -> Any:
    """Check what is to be observed: a function of the logits, or a tree of such functions.

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
    found = shown(wrong[0] if wrong else observe)
    raise ValueError(f"`{name}` must be a function (simplex.entropy){trees}; got {found}.")


def check_devices(devices: Any, name: str = "devices") -> Any:
    """Check the devices that share the work; None stands for all local ones.

    Example:
        >>> check_devices([])
        Traceback (most recent call last):
        ...
        ValueError: `devices` must be a list of devices (jax.local_devices()); got [].
    """
    known = isinstance(devices, Sequence) and all(isinstance(one, jax.Device) for one in devices)
    if devices is not None and not (known and len(devices)):
        raise ValueError(
            f"`{name}` must be a list of devices (jax.local_devices()); got {shown(devices)}."
        )
    return devices


def check_concrete(function: str, **values: Any) -> None:
    """Refuse tracers where the numbers themselves decide what is compiled.

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
