"""Corpora: what is trained on, and that losing an outcome is exact."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.loop import corpora
from fixedpoint.loop.corpora import logarithm

# Compiled as a whole: operation by operation, each is a compilation of its own.
count_draws = jax.jit(corpora.count_draws, static_argnums=2)
mixture = jax.jit(corpora.mixture)
probabilities = jax.jit(fp.simplex.probabilities)

P0 = jnp.array([0.5, 0.3, 0.15, 0.05])

# (draws, outcomes): by bisection, and by binomial variates.
METHODS = [(50, 6), (5_000, 6)]


def with_zeros(num_outcomes):
    """An asymmetric distribution with zeros at both ends and inside."""
    p = np.arange(1.0, num_outcomes + 1)
    p[[0, 2, -1]] = 0
    return jnp.asarray(p / p.sum())


@pytest.mark.slow
@pytest.mark.parametrize(("num_samples", "num_outcomes"), METHODS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_counts_are_multinomial(key, num_samples, num_outcomes, dtype):
    p = with_zeros(num_outcomes)
    logits = jnp.log(p).astype(dtype)
    num_keys = 400
    counts = np.asarray(
        jax.jit(jax.vmap(lambda k: count_draws(k, logits, num_samples)))(
            jax.random.split(key, num_keys)
        ),
        dtype=float,
    )
    assert np.all(counts.sum(-1) == num_samples)
    assert np.all(counts[:, p == 0] == 0)
    alive = np.asarray(p)[np.asarray(p) > 0]
    mean, variance = num_samples * alive, num_samples * alive * (1 - alive)
    counts = counts[:, np.asarray(p) > 0]
    z = (counts.mean(0) - mean) / np.sqrt(variance / num_keys)
    assert np.abs(z).max() < 5
    # The sample variance of a near-normal count has relative standard deviation sqrt(2/num_keys).
    assert np.abs(counts.var(0) / variance - 1).max() < 5.5 * np.sqrt(2 / num_keys)
    covariance = np.cov(counts[:, 0], counts[:, -1])[0, 1]
    expected = -num_samples * alive[0] * alive[-1]
    assert abs(covariance - expected) < 5 * np.sqrt(variance[0] * variance[-1] / num_keys)


@pytest.mark.parametrize(("num_samples", "num_outcomes"), METHODS)
def test_nothing_of_probability_zero_is_drawn_whatever_the_rounding(key, num_samples, num_outcomes):
    """Many zeros between weights of very different size, in float32."""
    weights = jnp.where(jnp.arange(num_outcomes) % 2 == 1, 0.1 ** jnp.arange(num_outcomes), 0)
    weights = jnp.where(jnp.arange(num_outcomes) == 0, 1 / 3, weights).astype(jnp.float32)
    logits = logarithm(weights)
    counts = jax.jit(jax.vmap(lambda k: count_draws(k, logits, num_samples)))(
        jax.random.split(key, 200)
    )
    assert np.all(counts.sum(-1) == num_samples)
    assert np.all(counts[:, weights == 0] == 0)


def test_batches_are_drawn_independently(key):
    counts = count_draws(key, jnp.zeros((2, 3, 4)), 30)
    assert counts.shape == (2, 3, 4)
    assert np.all(counts.sum(-1) == 30)
    assert len({tuple(row) for row in np.asarray(counts).reshape(6, 4).tolist()}) > 1


@pytest.mark.parametrize("num_samples", [10, 10_000])
def test_what_has_no_mass_cannot_be_drawn(key, num_samples):
    assert np.isnan(count_draws(key, jnp.full(3, -jnp.inf), num_samples)).all()
    killed = fp.Curated(jnp.array([0.0, 1.0, 1.0, 1.0]), fp.Fresh(num_samples))
    loop = fp.Loop(fp.TopK(1), killed, fp.GradientSteps(0.1))
    with pytest.raises(FloatingPointError, match="not a distribution any more"):
        fp.run(loop, jnp.log(P0), 2, key=key)


def test_counts_that_the_dtype_cannot_hold_are_refused(key):
    with pytest.raises(ValueError, match=r"`num_samples` must be <= 8388608 in float32"):
        count_draws(key, jnp.zeros(3, jnp.float32), 10_000_000)


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_mixture_is_exact_and_smooth(weight):
    p, q = jnp.array([0.6, 0.4, 0.0, 0.0]), jnp.array([0.1, 0.0, 0.9, 0.0])
    mixed = mixture(logarithm(p), logarithm(q), weight)
    np.testing.assert_allclose(jnp.exp(mixed), (1 - weight) * p + weight * q, rtol=1e-14, atol=0)

    def mean(log_p, log_q, weight):
        mixed = probabilities(mixture(log_p, log_q, weight))
        return jnp.sum(mixed * jnp.arange(4.0))

    gradients = jax.jit(jax.grad(mean, (0, 1, 2)))(logarithm(p), logarithm(q), weight)
    assert all(np.isfinite(g).all() for g in gradients)
    p, q = jnp.array([0.6, 0.3, 0.1, 0.0]), jnp.array([0.1, 0.2, 0.7, 0.0])
    slope = jax.jit(jax.grad(mean, 2))(logarithm(p), logarithm(q), weight)
    assert slope == pytest.approx(float(jnp.sum((q - p) * jnp.arange(4.0))), rel=1e-13)


def test_mixture_does_not_underflow():
    far = jnp.array([0.0, -2000.0])
    assert mixture(far, far, 0.25)[1] == pytest.approx(-2000.0, rel=1e-15)
    # Weight 1 takes the second even where the first is larger by e^2000.
    assert mixture(jnp.array([0.0, -jnp.inf]), far, 1.0)[1] == -2000.0


def test_mixed_real_data_sets_the_fixed_point():
    """At temperature 1, p_n - q shrinks by 1 - a in every generation."""
    real = jnp.array([0.1, 0.2, 0.3, 0.4])
    loop = fp.Loop(corpus=fp.Mixed(real=real, fraction=0.2))
    runs = fp.run(loop, jnp.log(P0), 10, observe=probabilities)
    expected = real[None] + 0.8 ** np.arange(11)[:, None] * (P0 - real)[None]
    np.testing.assert_allclose(runs.value, expected, rtol=1e-13)


@pytest.mark.slow
def test_sampled_real_data(key):
    """All real, m samples: the mean is q and the variance q(1-q)/m, whatever is drawn."""
    real, m, replicates = jnp.array([0.1, 0.2, 0.7]), 25, 4000
    loop = fp.Loop(corpus=fp.Mixed(real=real, fraction=1.0, num_real=m))
    runs = fp.run(
        loop, jnp.zeros(3), 1, key=key, num_replicates=replicates,
        observe=probabilities, save_at=[1],
    )  # fmt: skip
    z = (runs.value[0].mean(0) - real) / np.sqrt(real * (1 - real) / m / replicates)
    assert np.abs(z).max() < 4.5


def test_accumulated_data_are_the_running_average():
    temperature, weight = 0.6, 2.5
    loop = fp.Loop(
        sampler=fp.Temperature(temperature), corpus=fp.Accumulated(initial_weight=weight)
    )
    runs = fp.run(loop, jnp.log(P0), 6, observe=probabilities)
    q = np.asarray(P0)
    total, model = weight * q, q
    for n in range(7):
        np.testing.assert_allclose(runs.value[n], model, rtol=1e-13)
        drawn = model ** (1 / temperature)
        total = total + drawn / drawn.sum()
        model = total / total.sum()


def test_a_window_keeps_the_last_corpora_alone():
    temperature, weight = 0.6, 2.5
    corpus = fp.Accumulated(initial_weight=weight, window=3)
    loop = fp.Loop(sampler=fp.Temperature(temperature), corpus=corpus)
    models = fp.run(loop, jnp.log(P0), 6, observe=probabilities).value
    corpora, weights = [np.asarray(P0)], [weight]
    for n in range(6):
        drawn = np.asarray(models[n]) ** (1 / temperature)
        corpora, weights = [drawn / drawn.sum(), *corpora], [1.0, *weights]
        mean = np.average(corpora[:3], axis=0, weights=weights[:3])
        np.testing.assert_allclose(models[n + 1], mean, rtol=1e-13)
    one = fp.Loop(fp.Temperature(temperature), fp.Accumulated(window=1))
    alone = fp.run(one, jnp.log(P0), 3, observe=probabilities).value
    refits = fp.run(fp.Loop(fp.Temperature(temperature)), jnp.log(P0), 3, observe=probabilities)
    np.testing.assert_allclose(alone, refits.value, rtol=1e-13)


@pytest.mark.parametrize("window", [None, 4])
def test_sampled_initial_data_are_the_first_generation(key, window):
    corpus = fp.Accumulated(fp.Fresh(3), initial_weight=2.0, initial_samples=6, window=window)
    runs = fp.run(
        fp.Loop(corpus=corpus), jnp.log(P0), 3, key=key, num_replicates=200, observe=probabilities
    ).value
    for n, size in ((1, 6), (2, 9), (3, 12)):
        counts = size * np.asarray(runs[n])
        np.testing.assert_allclose(counts, np.rint(counts), atol=1e-9)
    # What has been drawn stays: each generation adds 3 samples.
    added = 9 * np.asarray(runs[2]) - 6 * np.asarray(runs[1])
    assert added.min() > -1e-9
    assert np.ptp(added.sum(-1)) < 1e-9
    lost = np.asarray(runs[1]) == 0
    assert lost.any()
    assert np.all(np.asarray(runs[2])[lost] == 0)
    assert corpus.stochastic
    assert fp.Accumulated(initial_samples=2).stochastic


def test_curated_logits_follow_their_closed_form():
    """θ_n = β^n θ_0 + ω (β^n - 1)/(β - 1)."""
    temperature, weights = 0.8, jnp.array([1.0, 4.0, 2.0, 0.5])
    loop = fp.Loop(sampler=fp.Temperature(temperature), corpus=fp.Curated(weights))
    runs = fp.run(loop, jnp.log(P0), 5)
    beta, n = 1 / temperature, np.arange(6)[:, None]
    theta = beta**n * np.log(P0)[None] + np.log(weights)[None] * (beta**n - 1) / (beta - 1)
    np.testing.assert_allclose(
        fp.simplex.centre(runs.value), theta - theta.mean(-1, keepdims=True), rtol=1e-12
    )


def test_curation_kills_for_good(key):
    loop = fp.Loop(corpus=fp.Curated(jnp.array([1.0, 0.0, 2.0, 1.0]), corpus=fp.Fresh(200)))
    runs = fp.run(loop, jnp.log(P0), 20, key=key, num_replicates=50)
    assert np.all(runs.value[1:, :, 1] == -np.inf)


def test_wrapping_corpora_compose(key):
    """Accumulated fresh counts of a curated distribution, diluted with real data."""
    real = jnp.array([0.0, 0.0, 0.5, 0.5])
    corpus = fp.Mixed(
        real=real,
        fraction=0.25,
        corpus=fp.Accumulated(fp.Curated(jnp.array([1.0, 0.0, 1.0, 1.0]), fp.Fresh(10))),
    )
    assert corpus.stochastic
    runs = fp.run(fp.Loop(corpus=corpus), jnp.log(P0), 3, key=key, observe=probabilities)
    # Outcome 1 is in the initial data alone: weight 1/(n + 1) of the accumulated part.
    n = np.arange(1, 4)
    np.testing.assert_allclose(runs.value[1:, 1], 0.75 * 0.3 / (n + 1), rtol=1e-12)


@pytest.mark.long
def test_a_pool_draws_each_sample_from_the_mixture(key):
    real, fraction, n, replicates = jnp.array([0.0, 0.0, 0.5, 0.5]), 0.3, 5, 4000
    loop = fp.Loop(corpus=fp.Pooled(real, fraction, fp.Fresh(n)))
    runs = fp.run(loop, jnp.log(P0), 1, key=key, num_replicates=replicates, observe=probabilities)
    r = (1 - fraction) * P0 + fraction * real
    share = runs.value[1]
    np.testing.assert_allclose(share * n, jnp.round(share * n), atol=1e-12)
    np.testing.assert_allclose(share.mean(0), r, atol=5 * 0.5 / np.sqrt(n * replicates))
    # All noise is that of n draws: real samples that are not drawn would add none.
    np.testing.assert_allclose(share.var(0), r * (1 - r) / n, rtol=0.15)


def test_an_exact_pool_is_a_mixture():
    real = jnp.array([0.0, 0.25, 0.5, 0.25])
    pooled, mixed = (kind(real, 0.2)(jnp.log(P0), None, None)[0] for kind in (fp.Pooled, fp.Mixed))
    np.testing.assert_array_equal(pooled.logits, mixed.logits)
    assert not fp.Pooled(real, 0.2).stochastic


@pytest.mark.slow
def test_size_of_the_corpus(key):
    drawn = jnp.log(P0)
    for corpus, size in [
        (fp.Exact(), np.inf),
        (fp.Fresh(7), 7),
        (fp.Curated(jnp.ones(4), fp.Fresh(7)), 7),
        (fp.Mixed(P0, 0.5, fp.Fresh(7)), 7),
        (fp.Pooled(P0, 0.5, fp.Fresh(7)), 7),
        (fp.Mixed(P0, 0.5, fp.Fresh(7), num_real=5), 12),
        (fp.Mixed(P0, 0.5, num_real=5), np.inf),
        (fp.Accumulated(fp.Fresh(7), initial_weight=2.0), 21),
    ]:
        target, _ = corpus(drawn, corpus.initial(drawn), key)
        assert float(target.size) == size


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fp.Fresh(0), r"`num_samples` must be an integer >= 1; got 0"),
        (lambda: fp.Fresh(2.5), r"`num_samples` must be an integer >= 1; got 2\.5"),
        (lambda: fp.Mixed(jnp.array([0.5, 0.4]), 0.5), r"`real` must sum to 1; got 0\.9"),
        (lambda: fp.Pooled(jnp.array([0.5, 0.4]), 0.5), r"`real` must sum to 1; got 0\.9"),
        (lambda: fp.Pooled(P0, 1.5), r"`fraction` must be between 0 and 1; got 1\.5"),
        (lambda: fp.Mixed(P0, 1.5), r"`fraction` must be between 0 and 1; got 1\.5"),
        (lambda: fp.Mixed(P0, 0.5, num_real=0), r"`num_real` must be an integer >= 1; got 0"),
        (lambda: fp.Curated(jnp.array([1.0, -1.0])), r"`weights` must be >= 0 and finite; got -1"),
        (lambda: fp.Curated(jnp.zeros(3)), r"`weights` must have a positive entry; got"),
        (
            lambda: fp.Accumulated(initial_weight=0.0),
            r"`initial_weight` must be positive and finite; got 0\.0",
        ),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("backwards", [False, True])
def test_survivors_in_single_precision(key, backwards):
    """4,000,000 samples; half of 60 outcomes have probabilities below the rounding of 1."""
    p = np.append(np.geomspace(0.5, 1e-6, 30), np.geomspace(5e-8, 5e-9, 30))
    p = (p[::-1] if backwards else p) / p.sum()
    logits = jnp.tile(jnp.asarray(np.log(p), jnp.float32), (512, 1))
    counts = np.asarray(count_draws(key, logits, 4_000_000), float)
    assert np.all(counts.sum(-1) == 4_000_000)
    lost = (1 - p) ** 4_000_000
    error = np.sqrt((lost * (1 - lost)).sum() / 512)
    assert abs((counts > 0).sum(-1).mean() - (1 - lost).sum()) < 5 * error


def test_draws_in_half_precision(key):
    """Its own uniform numbers would have eight bits: a share of 1/3000 would be 0 or 1/256."""
    p = np.array([1 / 3000, 0.6, 0.4 - 1 / 3000])
    logits = jnp.tile(jnp.log(jnp.asarray(p, jnp.bfloat16)), (2**12, 1))
    counts = count_draws(key, logits, 100)
    assert counts.dtype == jnp.bfloat16
    exact = np.exp(np.asarray(logits[0], float))
    exact /= exact.sum()
    found = np.asarray(counts, float).mean(0)
    assert np.all(np.abs(found - 100 * exact) < 5 * np.sqrt(100 * exact / 2**12))
