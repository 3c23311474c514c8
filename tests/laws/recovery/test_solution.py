"""The closed forms of recovery: storage, the three parts of a change, the limit of speed."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import simplex
from fixedpoint.laws import recovery


@pytest.mark.parametrize(
    ("stored_as", "dtype", "expected"),
    [
        ("probabilities", jnp.float64, [6.76, 20.98, 643.4, 48.7]),
        ("probabilities", jnp.float32, [3.877, 12.029, 231.4, 19.7]),
        ("logits", jnp.float32, [125.2, 388.9, 2007.2, 144.7]),
    ],
)
def test_storage_horizons(stored_as, dtype, expected):
    found = recovery.storage_horizon(
        math.log(1000), jnp.array([0.5, 0.8, 1.05, 2.0]), dtype, stored_as
    )
    np.testing.assert_allclose(found, expected, rtol=2e-3)


def test_storage_at_temperature_one_and_near_it():
    at_one = recovery.storage_horizon(7.0, 1.0, jnp.float32)
    assert at_one == 0.1 / 2**-24
    for near in (1 + 1e-12, 1 - 1e-12):
        np.testing.assert_allclose(
            recovery.storage_horizon(7.0, near, jnp.float32), at_one, rtol=1e-5
        )
    # Rounding errors add up: measured are 36, 588 and 7 (`test_process.py`).
    near_one = [
        recovery.storage_horizon(math.log(1000), temperature, dtype)
        for temperature, dtype in ((0.999, jnp.bfloat16), (0.999, jnp.float16), (0.9, jnp.float16))
    ]
    np.testing.assert_allclose(near_one, [25.95, 229.30, 6.783], rtol=2e-3)


def test_the_storage_of_something_else_is_refused():
    with pytest.raises(ValueError, match=r'`stored_as` must be "probabilities" or "logits"; got'):
        recovery.storage_horizon(7.0, 0.5, "f4", "text")  # pyright: ignore[reportArgumentType]


def test_the_parts_of_a_change_are_the_whole():
    theta, scores = jnp.array([1.3, -0.4, 0.2, -2.1]), jnp.array([0.3, -jnp.inf, -0.5, 1.2])
    changed = theta / 0.8 + scores
    parts = (
        recovery.lost_modes(theta, scores),
        recovery.sharpening(theta, scores, 0.8),
        recovery.rest(theta, scores, 0.8),
    )
    assert min(map(float, parts)) > 1e-3
    np.testing.assert_allclose(sum(parts), simplex.kl_divergence(changed, theta), rtol=1e-13)
    assert recovery.sharpening(theta, jnp.zeros(4), 1.0) == pytest.approx(0, abs=1e-15)
    assert recovery.rest(theta, jnp.zeros(4), 0.3) == pytest.approx(0, abs=1e-14)
    with pytest.raises(ValueError, match="logits \\+ scores"):
        recovery.rest(jnp.array([0.0, -jnp.inf]), jnp.array([-jnp.inf, 0.0]), 1.0)


def test_the_limit_of_speed_at_its_ends():
    assert recovery.speed_limit(1.0, 5.0, 3) == 0
    assert recovery.speed_limit(0.25, 0.0, 3) == 0.75
    np.testing.assert_allclose(
        recovery.speed_limit(0.5, jnp.array([1e200, 1e300]), 2), 0, atol=1e-199
    )
