"""Real data and partial refits: reference numbers, limits, and where equal moments mislead."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws import real_data

Q = jnp.log(jnp.array([0.5, 0.3, 0.2]))
HALF = jnp.zeros(2)


def test_reference_law_of_four_samples():
    corpus = fp.Pooled(jnp.array([0.5, 0.5]), 0.25, fp.Fresh(4))
    law = fp.chain.stationary(fp.chain.from_loop(fp.Loop(corpus=corpus)))
    np.testing.assert_allclose(law * 294113, [47240, 65408, 68817, 65408, 47240], rtol=1e-12)


@pytest.mark.parametrize(
    ("q", "fraction", "num_samples", "variance"),
    [(0.5, 0.25, 4, 4 / 37), (0.25, 0.25, 4, 3 / 37), (0.5, 0.5, 2, 1 / 7)],
)
def test_reference_variances(q, fraction, num_samples, variance):
    real = jnp.log(jnp.array([q, 1 - q]))
    found = real_data.immigration(real, fraction, num_samples)
    np.testing.assert_allclose(found, variance, rtol=1e-13)


def test_the_three_schemes_agree_for_few_real_samples_among_many():
    n, k = 10**6, 3.0
    pooled = real_data.immigration(Q, k / n, n)
    stratified = real_data.immigration_stratified(Q, k, n)
    pseudo = real_data.immigration_pseudo(Q, k / n, n)
    np.testing.assert_allclose(stratified, pooled, rtol=1e-5)
    np.testing.assert_allclose(pseudo, pooled, rtol=1e-5)


def test_the_less_random_the_real_data_the_smaller_the_variance():
    n, k = 10, 2
    pooled = real_data.immigration(Q, k / n, n)
    stratified = real_data.immigration_stratified(Q, k, n)
    pseudo = real_data.immigration_pseudo(Q, k / n, n - k)
    assert np.all(pseudo < stratified)
    assert np.all(stratified < pooled)


def test_pseudo_counts_are_noiseless_real_data():
    n, c = 6, 0.5
    loop = fp.Loop(corpus=fp.Fresh(n), learner=fp.Refit(pseudo_counts=c))
    chain = fp.chain.from_loop(loop)
    p = (chain.counts[:, 0] + c) / (n + 2 * c)
    variance = fp.chain.stationary(chain) @ (p - 0.5) ** 2
    law = real_data.immigration_pseudo(HALF, 2 * c / (n + 2 * c), n)[0]
    np.testing.assert_allclose(variance, law, rtol=1e-12)


@pytest.mark.parametrize(
    ("n", "kept"), [(2, 3 / 7), (5, 0.590), (10, 0.631), (100, 0.663), (10**6, 2 / 3)]
)
def test_one_real_sample_keeps_two_thirds_among_many_samples_only(n, kept):
    np.testing.assert_allclose(real_data.kept_diversity(1 / n, n), kept, atol=5e-4)
    assert float(real_data.one_real_sample(1.0)) == pytest.approx(2 / 3)


def test_laws_broadcast():
    fractions = jnp.array([0.1, 0.2, 0.5, 1.0])
    assert real_data.immigration(Q, fractions, 7).shape == (4, 3)
    assert real_data.immigration_pseudo(jnp.tile(Q, (4, 1)), fractions, 7).shape == (4, 3)
    assert real_data.kept_diversity(fractions, jnp.array([5, 9, 2, 3])).shape == (4,)


@pytest.mark.slow
def test_partial_refits_lose_no_outcome():
    """Equal second moments, different fates: n_e = 8 samples lose outcomes, small steps do not."""
    steps = fp.Loop(corpus=fp.Fresh(2), learner=fp.MixtureStep(0.5))
    refits = fp.Loop(corpus=fp.Fresh(8))
    assert float(real_data.partial_refit(0.5, 2, 1)) == pytest.approx(1 / 8)
    left = [
        fp.run(
            loop,
            HALF,
            30,
            key=jax.random.key(0),
            num_replicates=500,
            observe=lambda logits: jnp.sum(jnp.isfinite(logits), -1),
            save_at=[30],
            progress=False,
        ).value
        for loop in (steps, refits)
    ]
    assert np.all(left[0] == 2)
    assert np.mean(np.asarray(left[1]) == 2) < 0.1


def test_partial_refits_tend_to_full_ones():
    assert float(real_data.partial_refit(1.0, 7, 5)) == pytest.approx(1 / 7)
    whole = real_data.partial_refit_data(1e-4, 1, 200_000, 50)
    assert float(whole) == pytest.approx(1 / 50, rel=3e-3)
    # Many steps: n_e = B (2 − η)/η, not B/η².
    assert float(real_data.partial_refit(0.1, 5, 10_000)) == pytest.approx(1 / 95)
