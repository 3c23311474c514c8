"""The roads by which experiments are run."""

import numpy as np

from fixedpoint.laws.experiment import extrapolated


def test_extrapolation_finds_the_limit_of_a_series():
    steps = 0.5 ** np.arange(5)
    value, error = extrapolated(list(3 + steps - 2 * steps**2 + steps**3))
    assert abs(value - 3) <= error < 1e-6
