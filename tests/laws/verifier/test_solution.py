"""A verifier: reference numbers, and the chance to lock in a mistake against exact chains."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import verifier


def exact(num_samples, ratio):
    loop = fp.Loop(corpus=fp.Curated(jnp.array([ratio, 1.0]), fp.Fresh(num_samples)))
    return fp.chain.absorption(fp.chain.from_loop(loop))


def lost_for_ever(ratio, num_samples, num_right):
    return float(exact(num_samples, ratio).probability[num_right, 0])


def test_reference_chain_of_four_samples():
    found = exact(4, 2.0)
    right = np.array([7661488, 9395888, 9840048]) / 9962011
    times = [36246859 / 9962011, 92165905 / 29886033, 20445451 / 9962011]
    np.testing.assert_allclose(found.probability[1:4, -1], right, rtol=1e-12)
    np.testing.assert_allclose(found.mean[1:4], times, rtol=1e-12)
    np.testing.assert_allclose(
        exact(4, 3.0).probability[1:4, -1], [14191 / 15582, 5137 / 5194, 741 / 742], rtol=1e-12
    )
    np.testing.assert_allclose(
        exact(5, 2.0).probability[1, -1], 665034949233 / 861177791939, rtol=1e-12
    )


def test_infinitely_many_samples_add_the_logarithm_of_the_ratio():
    loop = fp.Loop(corpus=fp.Curated(jnp.array([3.0, 1.0])))
    logits = fp.run(loop, jnp.array([-2.0, 0.0]), 4).value
    np.testing.assert_allclose(logits[:, 0] - logits[:, 1], -2 + np.arange(5) * np.log(3))
    assert float(verifier.verifier(0.25, 3.0)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("ratio", "lost", "weak"), [(1.5, 0.4172, 0.4444), (2.0, 0.2032, 0.25), (3.0, 0.0595, 0.1111)]
)
def test_one_right_sample_against_a_strong_verifier(ratio, lost, weak):
    assert float(verifier.lock_in_strong(1, ratio)) == pytest.approx(lost, abs=6e-5)
    assert float(verifier.lock_in_weak(1 / 1e6, ratio, 10**6)) == pytest.approx(weak, abs=5e-5)
    assert float(verifier.lock_in_strong(1, ratio)) < weak


def test_the_weak_form_overestimates_strong_verifiers_exponentially():
    exact_chance = lost_for_ever(2.0, 200, 20)
    assert exact_chance == pytest.approx(3.02e-14, rel=5e-3)
    assert float(verifier.lock_in_weak(0.1, 2.0, 200)) / exact_chance == pytest.approx(30, rel=0.02)
    assert float(verifier.lock_in_strong(20, 2.0)) / exact_chance == pytest.approx(0.47, rel=0.02)


def test_a_budget_of_right_samples_keeps_the_lock_in_below_a_bound():
    """n p ≥ ln(1/δ)/(2 ln r) right samples; conservative, as the weak form overestimates."""
    for ratio, delta in ((1.2, 1e-2), (2.0, 1e-4)):
        budget = int(np.ceil(np.log(1 / delta) / (2 * np.log(ratio))))
        assert lost_for_ever(ratio, 100, budget) < delta
        assert lost_for_ever(ratio, 100, budget // 3) > delta


def test_a_useless_verifier_is_neutral():
    np.testing.assert_allclose(exact(6, 1.0).probability[:, -1], np.arange(7) / 6, atol=1e-14)
    assert float(verifier.lock_in_strong(2, 1.0)) == 1
    near = float(verifier.lock_in_weak(0.3, 1 + 1e-9, 6))
    assert near == pytest.approx(0.7, abs=1e-7)
