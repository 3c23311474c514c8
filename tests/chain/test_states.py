"""The chain of a loop: its entries, its states, and what it refuses."""

import time
from fractions import Fraction
from math import comb, factorial, prod

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import from_loop
from fixedpoint.loop.enumeration import all_counts, enumerate_histories

REAL, ODDS = jnp.array([0.8, 0.2]), jnp.array([1.0, 2.0])


def tempered(num_samples, temperature=1.0, **parts):
    sampler = fp.Temperature(temperature)
    return fp.Loop(sampler=sampler, corpus=fp.Fresh(num_samples), **parts)


def test_entries_are_binomial_to_the_last_digits():
    """T = 1 and 1/2, where p_T is rational, in exact rationals: also the entries below 1e-100."""
    n = 300
    for temperature, power in ((1.0, 1), (0.5, 2)):
        matrix = from_loop(tempered(n, temperature)).matrix
        for k in (1, 7, 150, 290):
            p = Fraction(k**power, k**power + (n - k) ** power)
            exact = [float(comb(n, j) * p**j * (1 - p) ** (n - j)) for j in range(n + 1)]
            np.testing.assert_allclose(matrix[k], exact, rtol=2e-12, atol=1e-300)
            big = np.array(exact) > 1e-20
            np.testing.assert_allclose(matrix[k][big], np.array(exact)[big], rtol=3e-14)


def test_models_with_real_data_that_tie_are_drawn_alike_at_temperature_zero():
    """Two roads to the share 1/2: a mixture rounds, and a mode must not be decided by that."""
    real, fraction, n = Fraction(3, 10), Fraction(1, 3), 10
    rounded = jnp.array([float(real), 1 - float(real)])
    cold = fp.Temperature(0.0)
    chain = from_loop(fp.Loop(cold, fp.Mixed(rounded, float(fraction), fp.Fresh(n))))
    shares = [(1 - fraction) * Fraction(k, n) + fraction * real for k in range(n + 1)]
    assert shares[6] == Fraction(1, 2)
    expected = [0.5 if 2 * p == 1 else float(2 * p > 1) for p in shares]
    np.testing.assert_allclose(chain.matrix @ np.arange(n + 1) / n, expected, rtol=1e-14)
    # With sampled real data: k + j of 18 samples.
    n, m = 12, 6
    chain = from_loop(fp.Loop(cold, fp.Mixed(rounded, m / (n + m), fp.Fresh(n), num_real=m)))
    for k, row in enumerate(chain.matrix):
        exact = [Fraction(0)] * (n + 1)
        for j in range(m + 1):
            chance = comb(m, j) * real**j * (1 - real) ** (m - j)
            if 2 * (k + j) == n + m:
                exact = [p + chance * Fraction(comb(n, i), 2**n) for i, p in enumerate(exact)]
            else:
                exact[n if 2 * (k + j) > n + m else 0] += chance
        np.testing.assert_allclose(row, [float(p) for p in exact], rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize(("n", "temperature"), [(7, 1e-3), (100, 5e-3), (10, 1e-300), (6, 0.3)])
def test_rows_at_low_temperatures(n, temperature):
    """Odds from e^{−10⁵} to e^{10⁵}: every row is a law, at 30 digits the right one."""
    chain = from_loop(tempered(n, temperature))
    np.testing.assert_allclose(chain.matrix.sum(1), 1, rtol=1e-13)
    with mpmath.workdps(30):
        for k in {1, n // 3, n // 2, n - 1}:
            odds = mpmath.mpf(k) / (n - k)
            odds = mpmath.exp(mpmath.log(odds) / mpmath.mpf(temperature))
            p, q = odds / (1 + odds), 1 / (1 + odds)
            exact = [float(comb(n, j) * p**j * q ** (n - j)) for j in range(n + 1)]
            np.testing.assert_allclose(chain.matrix[k], exact, rtol=1e-11, atol=1e-300)


@pytest.mark.parametrize("gap", [720.0, -720.0, 700.0, 745.5, 30.0])
def test_generation_1_of_models_with_far_logits(gap):
    n = 10
    row = from_loop(tempered(n)).first_generation(jnp.array([0.0, -gap]))
    with mpmath.workdps(30):
        p, q = 1 / (1 + mpmath.exp(-gap)), 1 / (1 + mpmath.exp(gap))
        exact = [float(comb(n, j) * p**j * q ** (n - j)) for j in range(n + 1)]
    np.testing.assert_allclose(row, exact, rtol=1e-12, atol=1e-307)


def test_three_outcomes_are_multinomial():
    chain = from_loop(tempered(5, 0.5), 3)
    for row, counts in zip(chain.matrix, chain.counts.tolist(), strict=True):
        p = [Fraction(c * c, sum(c * c for c in counts)) for c in counts]
        for found, new in zip(row, chain.counts.tolist(), strict=True):
            ways = factorial(5) // prod(map(factorial, new))
            exact = float(ways * prod(q**c for q, c in zip(p, new, strict=True)))
            assert found == pytest.approx(exact, rel=1e-14, abs=0)


@pytest.mark.parametrize(
    "loop",
    [
        tempered(4, 1.7),
        fp.Loop((fp.Temperature(0.9), fp.Nucleus(0.7)), fp.Fresh(4)),
        fp.Loop(fp.MinP(0.4), fp.Fresh(4), fp.Refit(pseudo_counts=0.3)),
    ],
    ids=["temperature", "nucleus", "min-p and pseudo-counts"],
)
def test_three_generations_are_those_of_all_histories(loop):
    """From a model that four samples cannot give; the counts are read off the last model."""
    logits = jnp.log(jnp.array([0.37, 0.63]))
    chain = from_loop(loop)
    law = fp.chain.law(chain, 2, chain.first_generation(logits))
    histories = enumerate_histories(loop, logits, 3)
    models = fp.simplex.probabilities(histories.logits[-1])[:, 0]
    pseudo = float(loop.learner.pseudo_counts)
    counts = np.round(np.asarray(models) * (4 + 2 * pseudo) - pseudo).astype(int)
    expected = np.bincount(counts, np.asarray(histories.probability), 5)
    np.testing.assert_allclose(law, expected, rtol=1e-13, atol=1e-16)


@pytest.mark.long
@pytest.mark.parametrize(
    "corpus",
    [
        fp.Mixed(REAL, 0.3, fp.Fresh(3), num_real=2),
        fp.Curated(ODDS, fp.Mixed(REAL, 0.3, fp.Fresh(3))),
        fp.Pooled(REAL, 0.3, fp.Curated(ODDS, fp.Fresh(3))),
        pytest.param(fp.Mixed(REAL, 0.3, fp.Fresh(3)), marks=pytest.mark.slow),
        pytest.param(fp.Mixed(REAL, 0.3, fp.Curated(ODDS, fp.Fresh(3))), marks=pytest.mark.slow),
        pytest.param(fp.Curated(ODDS, fp.Fresh(3)), marks=pytest.mark.slow),
    ],
    ids=["sampled real", "curated mixture", "pooled curation", "real", "mixed curation", "curated"],
)
def test_wrapped_corpora_give_the_law_of_the_loop_itself(corpus, key):
    """The mean model of 20,000 runs of the loop, with the standard error of the chain's law."""
    loop = fp.Loop(fp.Temperature(0.8), corpus, fp.Refit(pseudo_counts=0.25))
    logits = jnp.log(jnp.array([0.6, 0.4]))
    chain = from_loop(loop)
    runs = fp.run(loop, logits, 3, key=key, num_replicates=20_000, observe=loop.drawn, save_at=[2])
    # What the third generation draws from, before curation: averaged over the second's counts.
    drawn = np.asarray(fp.simplex.probabilities(runs.value[0]))[:, 0]
    law = fp.chain.law(chain, 1, chain.first_generation(logits))
    values = conditional_means(loop, chain)
    assert abs(drawn.mean() - law @ values) < 4 * drawn.std() / np.sqrt(20_000)
    # Without the mixture or the curation the same data are refused.
    plain = from_loop(tempered(3, 0.8, learner=fp.Refit(pseudo_counts=0.25)))
    other = fp.chain.law(plain, 1, plain.first_generation(logits)) @ conditional_means(loop, plain)
    assert abs(drawn.mean() - other) > 8 * drawn.std() / np.sqrt(20_000)


def conditional_means(loop, chain):
    """E[first probability that is drawn from | counts], with the real data written out by hand."""
    p = chain.counts / chain.num_samples
    a, size, corpus = 0.3, chain.num_samples, loop.corpus
    real = [(1.0, None)]
    while isinstance(corpus, fp.Mixed | fp.Pooled | fp.Curated):
        if isinstance(corpus, fp.Mixed):
            q, m = np.asarray(corpus.real), corpus.num_real
            real, size = [(1.0, q)], size + (m or 0)
            if m is not None:
                real = [
                    (comb(m, j) * q[0] ** j * q[1] ** (m - j), np.array([j, m - j]) / m)
                    for j in range(m + 1)
                ]
        corpus = corpus.corpus
    total = 0
    for chance, q in real:
        model = p if q is None else (1 - a) * p + a * q
        model = (size * model + 0.25) / (size + 0.5)
        weights = model ** (1 / 0.8)
        total += chance * weights[:, 0] / weights.sum(-1)
    return total


def test_absorbing_states_are_those_that_nothing_leaves():
    assert np.flatnonzero(from_loop(tempered(6)).absorbing).tolist() == [0, 6]
    # So cold that the chance of another draw is lost in rounding: not absorbing all the same.
    cold = from_loop(tempered(6, 0.02, learner=fp.Refit(pseudo_counts=1e-3)))
    assert cold.matrix[0, 0] == 1
    assert not cold.absorbing.any()
    # One outcome is killed: only the other can stay.
    killed = fp.Loop(corpus=fp.Curated(jnp.array([1.0, 0.0]), fp.Fresh(3)))
    with pytest.raises(ValueError, match="nothing survives truncation and curation in 1 of them"):
        from_loop(killed)


def test_lumping_keeps_the_law():
    loop = tempered(7, 1.6)
    full, lumped = from_loop(loop, 3), from_loop(loop, 3, exchangeable=True)
    assert (len(full.counts), len(lumped.counts)) == (36, 8)
    logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
    law = fp.chain.law(full, 2, full.first_generation(logits))
    other = fp.chain.law(lumped, 2, lumped.first_generation(logits))
    for counts, chance in zip(lumped.counts, other, strict=True):
        same = (np.sort(full.counts, -1)[:, ::-1] == counts).all(-1)
        assert chance == pytest.approx(law[same].sum(), rel=1e-13)


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        (fp.Loop(), "it draws no samples"),
        (fp.Loop(corpus=fp.Accumulated(fp.Fresh(3))), "Accumulated remembers more"),
        (tempered(3, learner=fp.GradientSteps(0.1)), "GradientSteps starts from the last model"),
        (tempered(3, learner=fp.MixtureStep(0.5)), "MixtureStep starts from the last model"),
        (
            tempered(3, learner=fp.GradientSteps(0.1, batch_size=2, start="initial")),
            "GradientSteps draws batches of its own",
        ),
        (tempered(3, learner=fp.MixtureStep(0.5, start="initial")), "`initial` must be the model"),
        (tempered(6_000), "`num_samples` must leave at most 6,000 states"),
    ],
)
def test_what_is_not_a_chain_of_counts_is_refused(loop, message):
    with pytest.raises(ValueError, match=message):
        from_loop(loop)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((488, 3, True), "at most 6,000 states .* hence 20,090 states"),
        ((489, 3, True), "at most 120,000 vectors of counts .* hence 120,295 vectors"),
        ((10**9, 50_000, False), "hence more than 60,000 states"),
        ((10**12, 3, True), "hence more than 1,200,000 vectors of counts"),
    ],
)
def test_what_a_chain_would_take_is_known_before(arguments, message):
    num_samples, num_outcomes, exchangeable = arguments
    started = time.perf_counter()
    with pytest.raises(ValueError, match=message):
        from_loop(tempered(num_samples), num_outcomes, exchangeable=exchangeable)
    assert time.perf_counter() - started < 2


def test_samples_of_real_data_are_not_listed_without_end():
    loop = fp.Loop(corpus=fp.Mixed(REAL, 0.3, fp.Fresh(3), num_real=10**10))
    with pytest.raises(ValueError, match="`num_real` must leave at most 1,250,000,000 different"):
        from_loop(loop)
    with pytest.raises(ValueError, match="`num_real` must leave at most"):
        fp.chain.leading_spectrum(loop, 1)


def test_real_data_are_not_exchangeable():
    loop = fp.Loop(corpus=fp.Mixed(jnp.array([0.5, 0.3, 0.2]), 0.1, fp.Fresh(3)))
    with pytest.raises(ValueError, match="`exchangeable` must be False"):
        from_loop(loop, 3, exchangeable=True)


@pytest.mark.long
def test_a_lineage_of_retrainings_is_a_chain():
    """p' = (1-η) p₀ + η N/n, whatever the last model was."""
    start = jnp.log(jnp.array([0.3, 0.7]))
    chain = from_loop(tempered(4, learner=fp.MixtureStep(0.25, start="initial")), initial=start)
    p = 0.75 * 0.3 + 0.25 * np.arange(5) / 4
    expected = [[comb(4, j) * x**j * (1 - x) ** (4 - j) for j in range(5)] for x in p]
    np.testing.assert_allclose(chain.matrix, expected, rtol=1e-14)
    assert from_loop(tempered(4, learner=fp.MixtureStep(1.0))).absorbing.sum() == 2


def test_states_are_found_by_their_counts():
    three = from_loop(tempered(4), 3)
    assert all(three.index(counts) == number for number, counts in enumerate(three.counts))
    np.testing.assert_array_equal(three.counts, all_counts(3, 4))
    for wrong in ([1, 1, 1], [4, 0], 4):
        with pytest.raises(ValueError, match="`counts` must be 3 counts that add up to 4"):
            three.index(wrong)


def test_float32_is_refused():
    with jax.enable_x64(False), pytest.raises(ValueError, match="`jax_enable_x64` must be on"):
        from_loop(tempered(3))
