"""What is left of a stored model: horizons, and the way back."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import recovery
from fixedpoint.laws.experiment import after
from fixedpoint.laws.recovery import process

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("temperature", "generation"), [(0.7, 6), (1.4, 9)])
def test_one_generation_at_the_recovery_temperature_restores_the_model(temperature, generation):
    model = after(fp.Loop(fp.Temperature(temperature)), process.WIDE, generation)
    restored = after(fp.Loop(fp.Temperature(recovery.recovery(temperature, generation))), model)
    np.testing.assert_allclose(
        fp.simplex.probabilities(restored), fp.simplex.probabilities(process.WIDE), rtol=1e-13
    )


# Measured once; the guarantee beside it is `storage_horizon`. Float32 and bfloat16 are rounded from
# float64 arithmetic and therefore exactly reproducible.
MEASURED = {
    ("probabilities", jnp.float32): {0.5: 3, 0.8: 12, 0.95: 52, 1.05: 234, 1.25: 59, 2.0: 20},
    ("probabilities", jnp.bfloat16): {0.5: 3, 0.95: 50, 0.98: 128, 0.999: 36, 1.05: 30, 2.0: 4},
    ("probabilities", jnp.float16): {
        0.5: 1,
        0.8: 3,
        0.9: 7,
        0.98: 40,
        0.999: 588,
        1.1: 38,
        1.5: 11,
    },
    ("logits", jnp.float32): {0.5: 125, 2.0: 146},
    ("logits", jnp.bfloat16): {0.5: 125, 0.8: 87, 1.25: 80, 2.0: 130},
}


@pytest.mark.parametrize(
    ("stored_as", "dtype", "temperature"),
    [(*how, temperature) for how, table in MEASURED.items() for temperature in table],
)
def test_stored_models_survive_as_long_as_guaranteed(stored_as, dtype, temperature):
    measured = process.measured_horizon(temperature, dtype, stored_as)
    expected = MEASURED[stored_as, dtype][temperature]
    assert abs(measured - expected) <= max(1, 0.01 * expected)
    guaranteed = recovery.storage_horizon(np.log(1000), temperature, dtype, stored_as)
    assert measured > guaranteed - 1
    if temperature < 0.95 and stored_as == "probabilities":
        assert measured < guaranteed + 1


def test_in_float64_the_arithmetic_costs_a_few_percent():
    for temperature, expected in ((1.25, 142), (2.0, 46)):
        measured = process.measured_horizon(temperature, np.float64)
        guaranteed = recovery.storage_horizon(np.log(1000), temperature, np.float64)
        assert 0.93 < measured / guaranteed < 1
        assert measured == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("dtype", [np.float16, jnp.bfloat16, np.float32])
@pytest.mark.parametrize("temperature", [0.4, 0.9, 0.97, 0.995, 1.003, 1.2])
def test_no_model_is_lost_before_its_horizon(temperature, dtype):
    """Models of few outcomes, and rounding by NumPy alone."""
    for initial in ([0.0, -0.7, -1.1], [0.0, -2.0, -6.9], [0.0, -1.0, -8.1, -8.9]):
        initial = np.array(initial)
        horizon = recovery.storage_horizon(np.ptp(initial), temperature, dtype)
        model = initial
        for generation in range(1, int(min(horizon, 600)) + 1):
            weights = np.exp((model - model.max()) / temperature)
            model = np.log((weights / weights.sum()).astype(dtype).astype(float))
            error = model * temperature**generation - initial
            assert np.ptp(error) / 2 <= 0.1
