"""Single entries of arrays inside one function of the machine: read, written, found, added up.

Indices are never negative, which saves the comparison that JAX would make of each.
"""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

VECTOR = 8  # numbers that a processor adds at a time


def running_sums(values: Array) -> Array:
    """The running sums."""

    def add(i: Any, carry: Any) -> Any:
        so_far, sums = carry
        so_far = so_far + at(values, i)
        return so_far, put(sums, so_far, i)

    return lax.fori_loop(0, len(values), add, (jnp.zeros(()), values))[1]


def total(values: Array) -> Array:
    """The sum, most of it in vectors."""
    return values.reshape(-1, VECTOR).sum(0).sum()


def at(array: Array, *place: Any) -> Array:
    """An entry."""
    slice_ = lax.dynamic_slice(array, place, (1,) * array.ndim, allow_negative_indices=False)
    return slice_.reshape(())


def row_of(array: Array, i: Any) -> Array:
    """A row."""
    return lax.dynamic_index_in_dim(array, i, 0, keepdims=False, allow_negative_indices=False)


def column_of(array: Array, i: Any) -> Array:
    """A column."""
    return lax.dynamic_index_in_dim(array, i, 1, keepdims=False, allow_negative_indices=False)


def put_row(array: Array, values: Array, i: Any) -> Array:
    """The array with other values in a row."""
    return lax.dynamic_update_index_in_dim(array, values, i, 0, allow_negative_indices=False)


def put_column(array: Array, values: Array, i: Any) -> Array:
    """The array with other values in a column."""
    return lax.dynamic_update_index_in_dim(array, values, i, 1, allow_negative_indices=False)


def put(array: Array, value: Any, *place: Any) -> Array:
    """The array with another value at a place."""
    value = jnp.asarray(value, array.dtype).reshape((1,) * array.ndim)
    return lax.dynamic_update_slice(array, value, place, allow_negative_indices=False)


def place_of(values: Array, value: Array) -> Array:
    """Where a value first is."""
    return jnp.where(values == value, jnp.arange(len(values)), len(values) - 1).min()


def drawn_place(weights: Array, point: Array) -> Array:
    """The place i with C(i-1) ≤ point < C(i); if rounding finds none, the first, the largest."""

    def is_further(carry: Any) -> Any:
        i, left = carry
        return (i < len(weights) - 1) & (left >= at(weights, i))

    def further(carry: Any) -> Any:
        i, left = carry
        return i + 1, left - at(weights, i)

    i, _ = lax.while_loop(is_further, further, (0, point))
    return jnp.where(at(weights, i) > 0, i, 0)


def find(cumulative: Array, columns: Array, point: Array) -> tuple[Array, Array]:
    """Row and column of the outcome with C(i-1) ≤ point < C(i), one column after the other.

    Should rounding leave the point above the whole sum, the last positive weight is found.
    """
    point = jnp.minimum(point, columns[-1] * (1 - 2.0**-52))
    column = (columns <= point).sum()
    point = point - jnp.where(column > 0, at(columns, jnp.maximum(column - 1, 0)), 0)
    point = jnp.minimum(point, at(cumulative, len(cumulative) - 1, column) * (1 - 2.0**-52))

    def halved(bounds: Any) -> Any:
        low, high = bounds
        middle = (low + high) >> 1
        above = at(cumulative, middle, column) > point
        return jnp.where(above, low, middle + 1), jnp.where(above, middle, high)

    bounds = jnp.asarray(0), jnp.asarray(len(cumulative) - 1)
    row, _ = lax.while_loop(lambda bounds: bounds[0] < bounds[1], halved, bounds)
    return row, column
