"""The potential: its two forms, its gradient, and that every kind of learner climbs it."""

import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from jax.test_util import check_grads

from fixedpoint import simplex
from fixedpoint.potential import gradient, potential

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def digits():
    """Enough of them for what the tests ask, and for these tests alone."""
    with mp.workdps(60):
        yield


INF = np.inf
LOGITS = np.array([0.3, -1.2, 2.1, 0.4, -0.7])
LOST = np.array([0.3, -INF, 2.1, 2.1, -0.7])
REAL = np.array([0.1, 0.0, 0.2, 0.3, 0.4])
TEMPERATURES = [1e-3, 0.3, 1 - 1e-9, 1 + 1e-9, 1.7, 40.0, 1e3]

compiled = jax.jit(potential)
compiled_gradient = jax.jit(gradient)


def exact_potential(logits, temperature, real, fraction):
    """s T lse(θ/T) + a q·θ - lse(θ), as it is defined."""
    T, a = mp.mpf(temperature), mp.mpf(fraction)
    theta = [mp.mpf(float(x)) for x in logits if x > -INF]
    q = [mp.mpf(float(y)) for x, y in zip(logits, real, strict=True) if x > -INF]

    def lse(values):
        return mp.log(mp.fsum(mp.exp(v) for v in values))

    data = mp.fsum(y * x for x, y in zip(theta, q, strict=True)) / mp.fsum(q)
    return (1 - a) * T * lse([x / T for x in theta]) + a * data - lse(theta)


class TestValue:
    @pytest.mark.parametrize("temperature", TEMPERATURES)
    @pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
    def test_equals_its_definition(self, temperature, fraction):
        for logits in (LOGITS, LOST, 20 * LOGITS + 500):
            exact = exact_potential(logits, temperature, REAL, fraction)
            value = compiled(logits, temperature, REAL, fraction)
            assert abs(mp.mpf(float(value)) / exact - 1) < 1e-12

    def test_without_real_data_the_fraction_is_zero(self):
        assert compiled(LOGITS, 0.7) == compiled(LOGITS, 0.7, REAL, 0.0)

    def test_at_zero_temperature_it_is_the_log_probability_of_the_mode(self):
        np.testing.assert_allclose(
            compiled(LOGITS, 0.0), jnp.log(simplex.mode_probability(LOGITS)), rtol=1e-14
        )

    def test_it_vanishes_at_temperature_one(self):
        assert compiled(LOGITS, 1.0) == 0

    def test_it_is_the_entropy_integrated_over_the_temperature(self):
        def entropy(T):
            weights = [mp.exp(mp.mpf(float(x)) / T) for x in LOGITS]
            p = [w / mp.fsum(weights) for w in weights]
            return -mp.fsum(x * mp.log(x) for x in p)

        with mp.workdps(20):
            integral = mp.quad(entropy, [1, mp.mpf("1.7")])
        np.testing.assert_allclose(compiled(LOGITS, 1.7), float(integral), rtol=1e-13)  # pyright: ignore[reportArgumentType]

    def test_real_data_on_a_lost_outcome_is_minus_infinity(self):
        assert compiled(np.array([0.0, 1.0, -INF]), 0.5, np.array([0.2, 0.3, 0.5]), 0.1) == -INF

    def test_a_single_outcome(self):
        for temperature in (0.0, 0.5, 1.0, 1e3, INF):
            assert not jnp.isnan(potential(np.array([4.2]), temperature))
        assert potential(np.array([4.2]), 0.5) == 0

    def test_temperatures_and_batches_broadcast(self):
        batch = np.stack([LOGITS, LOST, -LOGITS])
        values = compiled(batch, np.array([0.5, 1.5])[:, None], REAL, 0.3)
        assert values.shape == (2, 3)
        np.testing.assert_allclose(values[1, 2], compiled(batch[2], 1.5, REAL, 0.3), rtol=1e-14)
        sources = np.stack([REAL, REAL[::-1]])[:, None, :]
        assert compiled_gradient(batch, 0.5, sources, 0.3).shape == (2, 3, 5)

    def test_float32_stays(self):
        logits = LOGITS.astype(np.float32)
        value = potential(logits, 0.7, REAL, 0.3)
        assert value.dtype == jnp.float32
        assert gradient(logits, 0.7, REAL, 0.3).dtype == jnp.float32
        np.testing.assert_allclose(value, potential(LOGITS, 0.7, REAL, 0.3), rtol=1e-6)


class TestGradient:
    @pytest.mark.parametrize("temperature", [0.0, 1e-3, 0.3, 1.0, 1.7, 1e3])
    def test_closed_form_equals_automatic(self, temperature):
        automatic = jax.jit(jax.grad(potential))
        for data in ((), (REAL, 0.3)):
            closed = compiled_gradient(LOGITS, temperature, *data)
            np.testing.assert_allclose(automatic(LOGITS, temperature, *data), closed, atol=1e-13)
            np.testing.assert_allclose(jnp.sum(closed), 0, atol=1e-15)

    def test_is_finite_and_right_through_lost_outcomes(self):
        automatic = jax.jit(jax.grad(potential))(LOST, 0.7)
        np.testing.assert_allclose(automatic, compiled_gradient(LOST, 0.7), atol=1e-15)
        assert automatic[1] == 0

    def test_hand_computed(self):
        logits, real = np.log([0.75, 0.25]), np.array([0.5, 0.5])
        np.testing.assert_allclose(gradient(logits, 0.5), [0.15, -0.15], rtol=1e-14)
        np.testing.assert_allclose(gradient(logits, 0.5, real, 0.5), [-0.05, 0.05], rtol=1e-14)

    def test_vanishes_at_temperature_one(self):
        np.testing.assert_array_equal(gradient(LOST, 1.0), 0)
        np.testing.assert_allclose(compiled_gradient(LOST, 1.0), 0, atol=1e-16)

    def test_limits(self):
        p = simplex.probabilities(LOST)
        np.testing.assert_allclose(
            compiled_gradient(LOST, 0.0), np.array([0, 0, 0.5, 0.5, 0]) - p, atol=1e-16
        )
        np.testing.assert_allclose(
            compiled_gradient(LOST, INF), np.array([0.25, 0, 0.25, 0.25, 0.25]) - p, atol=1e-16
        )

    def test_in_the_temperature_it_is_the_entropy(self):
        slope = jax.jit(jax.grad(potential, argnums=1))
        for temperature in (0.4, 1.0, 3.0):
            tempered = simplex.temper(LOGITS, temperature)
            np.testing.assert_allclose(
                slope(LOGITS, temperature), simplex.entropy(tempered), rtol=1e-11
            )

    def test_hessian(self):
        check_grads(
            jax.jit(lambda t: potential(t, 0.6, REAL, 0.3)), (jnp.array(LOGITS),), 2, modes=["rev"]
        )


class TestAscent:
    """Theorem: none of the four kinds of learner lowers the potential."""

    @given(
        hnp.arrays(float, 5, elements=st.floats(-8, 8)),
        st.floats(0.05, 20),
        st.sampled_from([0.0, 0.1, 0.5]),
        st.floats(0.01, 1.0),
    )
    def test_refit_mixture_and_small_gradient_steps(self, logits, temperature, fraction, size):
        real = np.array([0.1, 0.15, 0.2, 0.3, 0.25])
        before = float(compiled(logits, temperature, real, fraction))
        p = np.asarray(simplex.probabilities(logits))
        ascent = np.asarray(compiled_gradient(logits, temperature, real, fraction))
        corpus = p + ascent
        steps = {
            "refit": np.log(np.maximum(corpus, 1e-300)),
            "mixture": np.log(np.maximum(p + size * ascent, 1e-300)),
            # Φ + lse is convex and lse is 1/2-smooth, so that any step up to 2/(1/2) ascends.
            "gradient": logits + size * ascent,
        }
        for name, after in steps.items():
            gain = float(compiled(after, temperature, real, fraction)) - before
            assert gain >= -1e-12 * (1 + abs(before)), name


class TestBadInput:
    def test_negative_temperature(self):
        with pytest.raises(ValueError, match=r"`temperature` must be >= 0; got -1\.0\."):
            potential(LOGITS, -1.0)

    def test_fraction_out_of_range(self):
        with pytest.raises(ValueError, match=r"`fraction` must be between 0 and 1; got 1\.5\."):
            gradient(LOGITS, 0.5, REAL, 1.5)

    def test_fraction_without_data(self):
        with pytest.raises(ValueError, match=r"`real` must be given if `fraction` is not 0"):
            potential(LOGITS, 0.5, fraction=0.3)

    def test_data_that_are_no_distribution(self):
        with pytest.raises(ValueError, match=r"`real` must sum to 1; got 1\.2\."):
            potential(LOGITS, 0.5, REAL * 1.2, 0.3)
