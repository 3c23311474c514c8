"""The closed forms of survival: shapes, precision and numbers one can check."""

import numpy as np
import pytest

from fixedpoint import special
from fixedpoint.laws import survival


@pytest.mark.slow
def test_winner_takes_arrays_for_every_argument():
    each = [float(survival.winner(1.0, T, 0.1, B)) for T, B in ((0.5, 1), (0.7, 2), (0.9, 4))]
    both = survival.winner(1.0, np.array([0.5, 0.7, 0.9]), 0.1, np.array([1, 2, 4]))
    np.testing.assert_allclose(both, each, rtol=1e-12)


def test_the_exponent_of_every_step_size_is_sharp_for_small_steps():
    sizes = np.arange(3, 9)
    found = survival.transience_every_step(1e-200, sizes)
    np.testing.assert_allclose(found, sizes - 2, rtol=1e-14)
    # … and falls like 1/η for large ones, where g(2η) = 1/(2η).
    large = survival.transience_every_step(1e9, sizes)
    ratio = (sizes - 2) / (1 + np.sqrt(sizes - 2) / 2) ** 2
    np.testing.assert_allclose(large * 1e9, special.lambertw(ratio), rtol=1e-7)
