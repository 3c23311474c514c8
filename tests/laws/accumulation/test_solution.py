"""Closed forms of accumulated data at numbers that are known by other means."""

import math

import jax.numpy as jnp
import numpy as np

from fixedpoint.laws import accumulation

EVEN = jnp.zeros(2)


def test_the_product_tends_to_eulers_sine():
    for n, share in ((1, 0.0), (4, 2 / math.pi), (9, 3 * math.sqrt(3) / (2 * math.pi))):
        found = 2 * accumulation.product(EVEN, n, 10**16)
        np.testing.assert_allclose(found, share, rtol=1e-14, atol=1e-15)
    late = accumulation.product(EVEN, 4, np.array([10**6, 10**7]))
    np.testing.assert_allclose(np.diff(late) / late[1], -0.25 * (1e-6 - 1e-7), rtol=1e-4)


def test_a_head_start_is_what_is_kept_of_later_factors():
    # From the weight 1 the first factor of the product, 1 − 1/n, is missing.
    for n in (2, 4, 30):
        whole = accumulation.product(EVEN, n, 10**16)
        kept = accumulation.head_start(EVEN, n, 1.0)
        np.testing.assert_allclose(kept * (1 - 1 / n), whole, rtol=1e-14)
    # Pólya's urn keeps r/(r + 1).
    weights = np.array([0.5, 2.0, 10.0])
    found = 2 * accumulation.head_start(EVEN, 1, weights)
    np.testing.assert_allclose(found, weights / (weights + 1), rtol=1e-14)


def test_the_rate_of_a_window_is_that_of_two_lineages():
    """The dominant eigenvalue for 100 samples, from the recursion of two draws."""
    for w, expected in ((1, 1.0), (2, 2.2475), (3, 3.9950), (5, 8.9900)):
        rate = float(accumulation.window(100, w))
        assert abs(1 / (100 * rate) / expected - 1) < 2e-3


def test_winners_of_an_urn():
    known = {
        (3, 1): 0.976397292470834,
        (3, 2): 0.803335908601064,
        (4, 1): 0.995626335123031,
        (6, 4): 0.874992886645524,
        (10, 5): 0.989788494379152,
    }
    for (first, second), chance in known.items():
        assert abs(float(accumulation.monopoly(first, second)) - chance) < 1e-12
        both = accumulation.monopoly(first, second) + accumulation.monopoly(second, first)
        assert abs(float(both) - 1) < 1e-10
    gamma = math.gamma(0.25) ** 8 / (256 * math.pi**5)
    assert abs(float(accumulation.monopoly(2, 1)) - 0.5 - gamma) < 1e-15


def test_escape_is_a_product():
    t = np.arange(1, 51)
    factors = 1 - (1 - 1 / 0.7) / (2.5 + t)
    found = accumulation.escape(0.7, 2.5, t)
    np.testing.assert_allclose(found, np.cumprod(factors), rtol=1e-13)
    late = accumulation.escape(4.0, 1.0, np.array([1e10, 1e12]))
    np.testing.assert_allclose(late[1] / late[0], 100**-0.75, rtol=1e-9)
