"""The temperature of a given entropy; the sweep itself is tested in `test_sums.py`."""

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.kernels import sweep, temperature_for_entropy

INF = np.inf


def table():
    rng = np.random.default_rng(2)
    logits = np.zeros((5, 300))
    logits[0] = 3 * rng.normal(size=300)
    logits[1] = 1e-3 * rng.normal(size=300)
    logits[2, :2], logits[2, 2:] = 500.0, rng.normal(size=298)
    logits[3, 200:] = -INF
    logits[3, :200] = 40 * rng.normal(size=200)
    logits[4, 0], logits[4, 1:] = 5.0, 0.0
    return logits


@pytest.mark.long
@pytest.mark.parametrize("share", [1e-6, 0.05, 0.5, 0.999])
def test_entropy_at_the_temperature_found_is_the_one_asked_for(share):
    lowest = np.log([1, 1, 2, 1, 1])
    highest = np.log([300, 300, 300, 200, 300])
    entropy = lowest + share * (highest - lowest)
    temperature = np.asarray(temperature_for_entropy(table(), entropy))
    assert np.all(temperature > 0)
    found = [
        simplex.entropy(simplex.temper(jnp.asarray(row), t))
        for row, t in zip(table(), temperature, strict=True)
    ]
    np.testing.assert_allclose(found, entropy, rtol=1e-12, atol=1e-12)


def test_the_ends_are_limits():
    assert temperature_for_entropy(table()[2], np.log(2)) == 0
    assert temperature_for_entropy(table()[3], np.log(200)) == INF
    flat = temperature_for_entropy(np.zeros(4), np.log(4))
    assert flat == INF or flat == 0


@pytest.mark.long
def test_many_targets_by_the_spectrum():
    logits = np.random.default_rng(3).normal(scale=3, size=(2, 5000)).astype(np.float32)
    entropy = np.geomspace(0.01, 8.5, 12)[:, None] * [1.0, 0.9]
    quick = np.asarray(temperature_for_entropy(logits, entropy))
    direct = np.asarray(temperature_for_entropy(logits, entropy, compressed=False))
    assert quick.shape == (12, 2)
    np.testing.assert_allclose(quick, direct, rtol=1e-6)
    assert np.any(quick != direct)
    for i, row in enumerate(logits):
        found = np.asarray(sweep(row, 1 / quick[:, i], compressed=False).entropy)
        np.testing.assert_allclose(found, entropy[:, i], atol=1e-9)
        found = np.asarray(sweep(row, 1 / direct[:, i], compressed=False).entropy)
        np.testing.assert_allclose(found, entropy[:, i], atol=1e-11)


@pytest.mark.parametrize(
    ("logits", "entropy", "message"),
    [
        ([0.0, 1.0], 0.8, r"`entropy` must be between 0 .* and 0.693147 .* row 0; got 0.8"),
        ([[0.0, 1.0], [2.0, 2.0]], [0.1, 0.1], r"between 0.693147 .* for row 1; got 0.1"),
        ([0.0, 1.0], np.nan, "got nan"),
        ([[0.0, 1.0], [2.0, 3.0]], [0.1], r"`entropy` must have the rows' axes \(2,\) last"),
        ([0.0, np.nan], 0.1, "`logits` must be finite or -inf"),
    ],
)
def test_bad_input_is_named(logits, entropy, message):
    with pytest.raises(ValueError, match=message):
        temperature_for_entropy(np.array(logits), entropy)
