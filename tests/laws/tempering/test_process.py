"""The loop itself, where the registered comparison cannot look."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws.experiment import after, full_training
from fixedpoint.laws.tempering import process


@pytest.mark.parametrize("temperature", [0.8, 1.25])
def test_a_colder_generation_majorises_a_hotter_one(temperature):
    models = fp.run(fp.Loop(fp.Temperature(temperature)), jnp.asarray(process.WIDE), 8).value
    colder, hotter = (models[1:], models[:-1]) if temperature < 1 else (models[:-1], models[1:])
    assert np.all(fp.simplex.majorises(colder, hotter))
    assert not np.any(fp.simplex.majorises(hotter, colder))


def test_at_temperature_one_nothing_moves_for_any_learner():
    for learner, error in full_training():
        still = after(fp.Loop(learner=learner), process.MODEL, 3)
        np.testing.assert_allclose(
            fp.simplex.centre(still), fp.simplex.centre(process.MODEL), atol=error
        )


def test_low_rank_is_harmless_at_every_context():
    start, trained = process.low_rank_student(temperature=0.7, num_generations=1)
    np.testing.assert_allclose(
        fp.simplex.centre(trained), fp.simplex.centre(start / 0.7), atol=1e-6
    )
    assert np.linalg.matrix_rank(np.asarray(start), tol=1e-9) == 2


pytestmark = pytest.mark.slow
