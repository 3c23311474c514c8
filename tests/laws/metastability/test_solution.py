"""Refits at a temperature: reference numbers, edges, and what the laws do not say."""

from fractions import Fraction

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import fixedpoint as fp
from fixedpoint.laws import metastability
from fixedpoint.laws.metastability import solution
from fixedpoint.laws.metastability.process import cheapest_path, states


def exact(num_samples, temperature):
    return fp.chain.absorption(states(temperature, num_samples))


def test_reference_chain_of_four_samples_at_half_temperature():
    found = exact(4, 0.5)
    np.testing.assert_allclose(found.probability[1:4, -1], [7 / 178, 1 / 2, 171 / 178], rtol=1e-12)
    times = [Fraction(3368, 2081), Fraction(6024, 2081), Fraction(3368, 2081)]
    np.testing.assert_allclose(found.mean[1:4], [float(t) for t in times], rtol=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("kappa", [0.0, 2.0, -2.0, 8.0, 300.0])
def test_scale_function_is_odd_about_even_odds_and_increases(kappa):
    x = jnp.linspace(0, 1, 41)
    found = metastability.scale_function(x, 1 / (1 + kappa / 400), 400)
    np.testing.assert_allclose(found + found[::-1], 1, rtol=1e-12)
    assert np.all(np.diff(found) >= 0)
    away = (np.asarray(found) - np.asarray(x))[1:20]
    assert np.all(away < 1e-12) if kappa >= 0 else np.all(away > 0)


def test_scale_function_has_the_wrong_exponent_at_a_fixed_temperature():
    # −ln P / n of the wrong mode at T = 1/2: the diffusion is not the chain.
    rate = -np.log(exact(200, 0.5).probability[40, -1]) / 200
    assert abs(-np.log(metastability.scale_function(0.2, 0.5, 200)) / 200 / rate - 1) > 0.1


def test_critical_temperature_depends_on_the_state():
    p = jnp.array([0.6, 0.3, 0.1])
    near, far = (metastability.critical_temperature(s * jnp.log(p), 100) for s in (0.3, 1.0))
    assert near > far > 1
    assert metastability.critical_temperature(jnp.zeros(5), 100) == np.inf


def mean_entropy(p, num_samples):
    """Mean entropy of the next generation, from the binomial counts of each outcome."""
    counts = np.arange(num_samples + 1)
    terms = -counts / num_samples * np.log(np.maximum(counts, 1) / num_samples)
    return sum(terms @ scipy.stats.binom.pmf(counts, num_samples, x) for x in p)


def test_the_mean_entropy_stands_still_at_one_temperature_or_at_none():
    temperatures = np.append(np.geomspace(0.3, 1e4, 24), np.inf)
    finite, cases = [], [([0.6, 0.4], 10), ([0.6, 0.4], 28), ([0.7, 0.3], 4), ([0.7, 0.3], 8)]
    cases += [([0.5, 0.3, 0.2], n) for n in (1, 13, 14, 30)] + [([0.97, 0.02, 0.01], 3)]
    for p, num_samples in cases:
        logits = np.log(np.array(p))
        hot = np.exp(logits[None] / temperatures[:, None])
        after = [mean_entropy(x / x.sum(), num_samples) for x in hot]
        rises = np.array(after) > -np.sum(p * logits)
        assert np.all(np.diff(after) > 0) or num_samples == 1
        finite.append(rises[-1])
        found = metastability.critical_temperature(jnp.asarray(logits), num_samples)
        assert np.isfinite(found) == rises[-1]
    assert 3 <= sum(finite) <= 6
    assert metastability.critical_temperature(jnp.log(jnp.array([0.6, 0.4])), 10) == np.inf


@pytest.mark.parametrize("size", [2, 3, 100, 10_000])
@pytest.mark.parametrize("num_samples", [1, 2, 13, 1000])
def test_the_entropy_of_samples_of_equal_outcomes(num_samples, size):
    found = solution._entropy_of_uniform_samples(jnp.asarray(size), jnp.asarray(num_samples * 1.0))
    expected = size * mean_entropy([1 / size], num_samples)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("temperature", [0.97, 1.03])
def test_there_is_no_transition_at_the_critical_temperature(temperature):
    """The time from even odds, where T_c is infinite, changes smoothly through T = 1 ± 3/n."""
    around = [np.log(exact(100, temperature + shift).mean[50]) for shift in (-0.002, 0.0, 0.002)]
    first, second = np.diff(around)
    assert 0 < first < second < 1.05 * first


def test_action_table():
    temperatures = (1.1, 1.25, 1.5, 2.0, 3.0, 5.0, 20.0)
    table = [0.1239023, 0.2652181, 0.4164216, 0.5514918, 0.6344202, 0.6727435, 0.6918956]
    found = [metastability.metastability(T) for T in temperatures]
    np.testing.assert_allclose(found, table, atol=6e-8)


def test_action_far_above_one_and_below_it():
    assert float(metastability.metastability(jnp.inf)) == pytest.approx(np.log(2), rel=1e-15)
    assert float(metastability.metastability(0.7)) == 0
    hot = 100.0
    expansion = np.log(2) - 1 / (2 * hot**2)
    assert float(metastability.metastability(hot)) == pytest.approx(expansion, abs=1e-7)


@pytest.mark.slow
def test_the_action_is_that_of_the_cheapest_path():
    assert cheapest_path(2.0, 40) == pytest.approx(
        float(metastability.metastability(2.0)), abs=1e-9
    )
    # Fewer generations are a restriction.
    assert cheapest_path(2.0, 3) > float(metastability.metastability(2.0)) + 1e-4


def test_the_series_is_off_by_the_fourth_order():
    for T, expected in ((1.02, -0.313), (1.05, -0.3266)):
        gap = float(metastability.metastability(T) - metastability.action_series(T))
        assert gap / (1 - 1 / T) ** 4 == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(("K", "action"), [(2, 0.551492), (3, 0.324784), (4, 0.231057)])
def test_each_further_loss_takes_longer(K, action):
    assert float(metastability.staircase(K, 2.0)) == pytest.approx(action, abs=1e-6)
    jump = np.log(K / (K - 1))
    assert float(metastability.staircase(K, np.inf)) == pytest.approx(jump, rel=1e-14)
    # The corrections are of order ε.
    for small in (0.01, 0.02, 0.05):
        ratio = float(metastability.staircase(K, 1 / (1 - small))) / (2 * small * jump)
        assert 0 < (1 - ratio) / small < 0.2


def test_the_prefactor_is_no_constant_near_temperature_one():
    c = float(metastability.metastability(1.25))
    prefactor = [exact(n, 1.25).mean[n // 2] * np.exp(-c * n) for n in (50, 100, 200)]
    np.testing.assert_allclose(prefactor, [0.518, 0.304, 0.187], atol=2e-3)


def test_at_infinite_temperature_the_time_is_a_power_of_two():
    assert exact(12, np.inf).mean[6] == pytest.approx(2**11, rel=1e-12)


def test_the_slow_eigenvalue_is_the_temperature_up_to_an_exponentially_small_error():
    errors = []
    for n in (25, 50, 100):
        kept = fp.chain.quasi_stationary(states(0.8, n))
        errors.append(abs(1 - kept.decay - 0.8))
    assert errors[0] < 1e-3
    assert errors[1] < errors[0] / 100
    assert errors[2] < 1e-12
