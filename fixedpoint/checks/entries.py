"""What a number is: an integer or a float of a type that JAX has, alone, in an array or a list."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer


def is_traced(value: Any) -> bool:
    """Whether a value is, or a list of values holds, a tracer."""
    if isinstance(value, list | tuple):
        return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(value))
    return isinstance(value, Tracer)


def is_boolean(value: Any) -> bool:
    """Whether a value is a truth value, which Python would count as a number."""
    return isinstance(value, bool) or str(getattr(value, "dtype", "")) == "bool"


def shown(value: Any) -> str:
    """A value in one line of a message, in short if it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 120 else f"{text[:80]} … {text[-30:]}"


def as_array(value: Any, name: str, rule: str) -> np.ndarray:
    """The value as NumPy sees it."""
    if isinstance(value, np.ma.MaskedArray):
        raise ValueError(
            f"`{name}` must {rule}; got a masked array (`filled` gives one without a mask)."
        )
    try:
        return np.asarray(value)
    except (TypeError, ValueError, OverflowError):  # ragged lists, random keys
        raise ValueError(f"`{name}` must {rule}; got {shown(value)}.") from None


def as_entries(value: Any, name: str, rule: str) -> np.ndarray:
    """The value as an array of real numbers of a type that JAX has, in a type that NumPy has."""
    entries = as_array(value, name, rule)
    dtype = entries.dtype
    if not (jnp.issubdtype(dtype, jnp.floating) or jnp.issubdtype(dtype, jnp.integer)):
        raise ValueError(f"`{name}` must {rule}; got {shown(value)}.")
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
