"""The closed forms of families: other integrals, late generations, bad input."""

import numpy as np
import pytest

from fixedpoint.laws import families

pytestmark = pytest.mark.slow


def test_close_families_close_on_themselves():
    """Parameters of a tempered density, by integrating it, against the closed forms."""
    x = np.linspace(1e-3, 60, 400_001)

    def moments(log_density, statistic, T):
        weights = np.exp((log_density - log_density.max()) / T)
        mean = np.sum(weights * statistic) / np.sum(weights)
        return mean, np.sum(weights * (statistic - mean) ** 2) / np.sum(weights)

    T, n = 0.7, 3
    found = moments(-((x - 30) ** 2) / 8, x, T**n)
    np.testing.assert_allclose(found, families.gaussian(30.0, 4.0, T, n), rtol=1e-8)
    found = moments(-((np.log(x) - 1.5) ** 2) / 1.0 - np.log(x), np.log(x), T**n)
    location, variance = families.log_normal(1.5, 0.5, T, n)
    # In x the tempered density is log-normal: its log x is Gaussian with these two parameters.
    np.testing.assert_allclose(found, (location, variance), rtol=1e-6)
    shape, rate = families.gamma(3.0, 0.7, T, n)
    found = moments(2 * np.log(x) - 0.7 * x, x, T**n)
    np.testing.assert_allclose(found, (shape / rate, shape / rate**2), rtol=1e-6)
    assert families.geometric(0.6, T, n) == pytest.approx(0.6 ** (0.7**-3), rel=1e-13)
    assert families.pareto(1.8, T, n) == pytest.approx(1.8 / 0.343, rel=1e-13)


def test_late_generations_of_the_families():
    assert [float(x) for x in families.gaussian(1.0, 2.0, 0.9, 10**6)] == [1.0, 0.0]
    location, _ = families.log_normal(1.5, 0.5, 0.9, 10**6)
    assert location == 1.0  # the mode e^{μ-σ²}
    shape, rate = families.gamma(3.0, 0.5, 0.9, 300)
    assert (shape - 1) / rate == pytest.approx(4.0)  # the mode (a - 1)/b
    assert families.geometric(0.6, 0.9, 10**6) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: families.gaussian(0.0, -1.0, 0.5, 1), r"`variance` must be positive"),
        (lambda: families.gamma(-1.0, 1.0, 0.5, 1), r"`shape` must be positive"),
        (lambda: families.geometric(1.5, 0.5, 1), r"`ratio` must be in"),
        (lambda: families.pareto(0.0, 0.5, 1), r"`exponent` must be in"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
