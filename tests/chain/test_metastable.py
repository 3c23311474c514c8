"""Absorption times beyond 1e308 generations."""

import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import absorption, from_loop
from fixedpoint.chain.metastable import escape


def tempered(num_samples, temperature):
    return from_loop(fp.Loop(fp.Temperature(temperature), fp.Fresh(num_samples)))


@pytest.mark.parametrize(
    ("n", "temperature", "expected"),
    [
        (60, 1.0, [9.499136055602864781, 69.773064964593908523, 81.319819866262086859]),
        (80, 2.0, [5314808491331624268.8, 5315861008424719463.8, 5315861008424738149.5]),
    ],
)
def test_logarithms_where_the_times_are_known(n, temperature, expected):
    """To 60 digits (mpmath), from k = 1, 17 and n/2."""
    logs = tempered(n, temperature).log_matrix()
    assert logs is not None
    found, chance = escape(logs[1:-1, 1:-1], logs[1:-1, [0, -1]], n // 2 - 1)
    np.testing.assert_allclose(np.exp(found[[0, 16, n // 2 - 1]]), expected, rtol=1e-12)
    plain = absorption(tempered(n, temperature)).probability[1:-1]
    np.testing.assert_allclose(chance, plain, rtol=1e-11)


@pytest.mark.long
def test_coin_tosses_take_two_to_the_n_minus_one():
    """T = inf: every generation is n fair coins, all alike with probability 2^(1-n)."""
    n = 1200
    found = absorption(tempered(n, np.inf))
    np.testing.assert_allclose(found.log_mean[1:-1], (n - 1) * np.log(2), rtol=1e-13)
    assert np.isinf(found.mean[1:-1]).all()
    np.testing.assert_allclose(found.probability[1:-1], 0.5, rtol=1e-10)
    np.testing.assert_array_equal(found.mean[[0, -1]], 0)


@pytest.mark.slow
def test_the_rate_is_the_action_of_the_cheapest_path():
    """T = 5: ln τ grows by 0.6727435 a sample (path minimisation), also beyond 1e308."""
    times = [absorption(tempered(n, 5.0)).log_mean[n // 2] for n in (1000, 1200)]
    assert times[0] < np.log(1e308) < times[1]
    assert (times[1] - times[0]) / 200 == pytest.approx(0.6727435, abs=2e-6)
