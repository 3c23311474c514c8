"""The alias tables of the binomial laws against exact rationals."""

from fractions import Fraction
from math import comb

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.kernels.random import mixed_words
from fixedpoint.kernels.resampling import _bits, alias_tables


def unpacked(n, p):
    """The law that each row of the tables draws from."""
    entries, num_columns = alias_tables(n, p)
    entries = entries.reshape(len(p), num_columns)
    column_bits, threshold_bits = _bits(num_columns, n)
    threshold = (entries & np.uint64(2**threshold_bits - 1)) * 2.0**-threshold_bits
    alias = (entries >> np.uint64(threshold_bits)) & np.uint64(num_columns - 1)
    first = entries >> np.uint64(threshold_bits + column_bits)
    laws = np.zeros((len(p), n + 1 + num_columns))
    rows = np.broadcast_to(np.arange(len(p))[:, None], entries.shape)
    own = first.astype(int) + np.arange(num_columns)
    np.add.at(laws, (rows, own), threshold / num_columns)
    np.add.at(laws, (rows, (first + alias).astype(int)), (1 - threshold) / num_columns)
    return laws


@pytest.mark.parametrize("n", [1, 2, 7, 150])
def test_rows_are_the_binomial_laws(n):
    p = np.array([0.0, 1e-9, 0.003, 0.2, 0.5, 0.77, 1 - 2**-20, 1.0])
    laws = unpacked(n, p)
    for law, share in zip(laws, map(Fraction, p), strict=True):
        exact = np.array(
            [float(comb(n, k) * share**k * (1 - share) ** (n - k)) for k in range(n + 1)]
        )
        np.testing.assert_allclose(law[: n + 1], exact, atol=1e-12)
        assert np.all(law[n + 1 :] == 0)
    # A certain outcome has all of the mass but what the last threshold bit leaves over.
    assert np.all(laws[0, 1:] == 0)
    assert np.all(np.delete(laws[-1], n) == 0)


def test_words_are_those_of_splitmix64():
    """The first words of the state 1234567, as published with the algorithm's reference program."""
    words, state = mixed_words(jnp.asarray([1234567], jnp.uint64), 3)
    assert words[:, 0].tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
    again, _ = mixed_words(state, 2)
    assert again[0, 0] == 4593380528125082431
