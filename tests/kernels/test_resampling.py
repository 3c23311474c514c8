"""Alias tables against exact rationals; NumPy's draws: their laws, their edges, their layout."""

from fractions import Fraction
from math import comb

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.kernels.random import mixed_words
from fixedpoint.kernels.resampling import (
    _bits,
    alias_tables,
    count_points,
    draw_binomials,
    draw_parents,
    draw_survivors,
    move_survivors,
)


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


# --- NumPy's draws --------------------------------------------------------------------------------

WAYS = {"points": count_points, "binomials": draw_binomials, "parents": draw_parents}
COUNTS = np.array([4, 0, 1, 7, 3])
"""Fifteen samples, one outcome without any; as weights they serve all three ways."""


@pytest.mark.parametrize("way", WAYS)
def test_mean_and_covariance_are_multinomial(way):
    rows, n, p = 40_000, 15, COUNTS / 15
    counts = WAYS[way](np.random.default_rng(0), n, np.tile(COUNTS, (rows, 1)))
    assert np.all(counts.sum(1) == n)
    assert not counts[:, 1].any()
    covariance = n * (np.diag(p) - np.outer(p, p))
    error = np.sqrt(np.diag(covariance) / rows)
    assert np.all(np.abs(counts.mean(0) - n * p) <= 5 * error)
    found = (counts - n * p).T @ (counts - n * p) / rows
    # A product of two counts varies by less than twice the product of their variances.
    error = np.sqrt(2 * np.outer(np.diag(covariance), np.diag(covariance)) / rows)
    assert np.all(np.abs(found - covariance) <= 5 * error)


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_drawn_alike_whatever_stands_before_and_below_them(way):
    weights = np.random.default_rng(0).multinomial(15, np.full(6, 1 / 6), 5)
    drawn = WAYS[way](np.random.default_rng(1), 15, weights)
    wider = WAYS[way](np.random.default_rng(1), 15, np.pad(weights[:3], [(0, 0), (9, 0)]))
    np.testing.assert_array_equal(wider[:, 9:], drawn[:3])
    assert not wider[:, :9].any()


def test_what_is_drawn_of_many_outcomes_is_listed():
    p = np.random.default_rng(0).dirichlet(np.full(200, 0.1))
    p[[0, 50, 199]] = 0
    outcomes, counts = draw_survivors(np.random.default_rng(1), 30, np.cumsum(p), 20_000)
    assert outcomes.shape == counts.shape == (20_000, 30)
    assert np.all(counts.sum(1) == 30)
    for row, numbers in zip(outcomes[:50], counts[:50], strict=True):
        there = numbers > 0
        assert np.all(np.diff(there.astype(int)) >= 0)
        assert np.all(np.diff(row[there]) > 0)
    total = np.bincount(outcomes.ravel(), counts.ravel(), minlength=200)
    assert np.all(total[p == 0] == 0)
    assert np.all(np.abs(total - 600_000 * p) <= 5 * np.sqrt(600_000 * p * (1 - p)))
    number = (counts > 0).sum(1)
    expected = (1 - (1 - p) ** 30).sum()
    # Which outcomes are drawn are negatively associated.
    assert abs(number.mean() - expected) < 5 * np.sqrt(expected / 20_000)


def test_survivors_move_to_the_end():
    outcomes, counts = (
        np.array([[3, 5, 8, 9], [0, 0, 2, 4]]),
        np.array([[2, 0, 1, 0], [0, 0, 0, 3]]),
    )
    assert move_survivors(outcomes, counts).tolist() == [2, 1]
    assert outcomes.tolist() == [[0, 0, 3, 8], [0, 0, 0, 4]]
    assert counts.tolist() == [[0, 0, 2, 1], [0, 0, 0, 3]]
