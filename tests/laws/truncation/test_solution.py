"""The closed forms of truncation: known numbers, ties, edges."""

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.laws import truncation


def test_nucleus_support_of_words_and_of_equal_outcomes():
    def words(exponent, number=10_000):
        return -exponent * jnp.log(jnp.arange(1, number + 1.0))

    found = [
        truncation.nucleus_support(words(e), q)
        for e, q in ((1, 0.9), (1, 0.99), (1.5, 0.95), (0.8, 0.95))
    ]
    assert found == [4, 25, 5, 9]
    assert truncation.nucleus_support(jnp.zeros(1000), 0.905) == 10
    # Of b equal outcomes b − 1 have the mass (b − 1)/b exactly, which is enough.
    sizes = np.arange(2, 31)
    for dtype in (jnp.float64, jnp.float32):
        models = jnp.zeros((len(sizes), 40), dtype)
        found = truncation.nucleus_support(models, jnp.asarray((sizes - 1) / sizes, dtype))
        np.testing.assert_array_equal(found, sizes - 1)
    # A mass of 1 cuts nothing, also not what underflows.
    assert truncation.nucleus_support(jnp.array([0.0, -800.0, -jnp.inf]), 1.0) == 2


def test_on_the_boundary_of_a_nucleus_and_beyond_nothing_is_left_to_decide():
    for share in (0.9, 0.95, 0.05):
        gap = np.log(share / (1 - share))
        assert 0 <= truncation.nucleus_boundary(gap, 0.9, 400) < 1e-10
    assert truncation.nucleus_boundary(0.0, 0.4, 400) == 0
    # 800 (S(0.3) − S(0.1))
    entropy = -0.3 * np.log(0.3) - 0.7 * np.log(0.7) + 0.1 * np.log(0.1) + 0.9 * np.log(0.9)
    gap = np.log(0.3 / 0.7)
    assert truncation.nucleus_boundary(gap, 0.9, 400) == pytest.approx(800 * entropy, rel=1e-12)
