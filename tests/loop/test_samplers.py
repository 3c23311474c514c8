"""Samplers: what is drawn from."""

from fractions import Fraction

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp

LOGITS = jnp.array([0.3, -jnp.inf, 1.7, -0.4, 1.1])


# Compiled as a whole: operation by operation, each is a compilation of its own.
probabilities = jax.jit(fp.simplex.probabilities)


@eqx.filter_jit
def drawn(sampler, logits):
    return sampler(logits)


def kept(logits):
    return np.isfinite(np.asarray(logits))


@pytest.mark.parametrize("temperature", [0.1, 1, 2.5])
def test_temperature_divides_gaps(temperature):
    tempered = drawn(fp.Temperature(temperature), LOGITS)
    np.testing.assert_allclose(
        tempered - tempered[0], (LOGITS - LOGITS[0]) / temperature, rtol=1e-14
    )
    assert tempered[1] == -jnp.inf


def test_zero_temperature_draws_from_the_modes_and_infinite_from_all_that_is_left():
    tied = jnp.array([2.0, 1.0, 2.0, -jnp.inf])
    for sampler, expected in [
        (fp.Temperature(0.0), [0.5, 0, 0.5, 0]),
        (fp.Temperature(np.inf), [1 / 3, 1 / 3, 1 / 3, 0]),
    ]:
        np.testing.assert_allclose(
            probabilities(drawn(sampler, tied)), expected, rtol=1e-15, atol=0
        )


def test_temperature_is_a_leaf_for_vmap_and_grad():
    temperatures = jnp.array([0.0, 0.5, 1.0, jnp.inf])
    rows = jax.vmap(lambda T: drawn(fp.Temperature(T), LOGITS))(temperatures)
    for row, temperature in zip(rows, temperatures, strict=True):
        np.testing.assert_array_equal(row, drawn(fp.Temperature(temperature), LOGITS))
    # dS/dT of a distribution over two outcomes with gap z: z^2 e^{-z/T} / (T^3 (1 + e^{-z/T})^2)
    z, T = 0.7, 0.9
    slope = jax.grad(lambda T: fp.simplex.entropy(drawn(fp.Temperature(T), jnp.array([z, 0.0]))))(T)
    weight = np.exp(-z / T)
    assert slope == pytest.approx(z**2 * weight / (T**3 * (1 + weight) ** 2), rel=1e-12)


def test_top_k_keeps_exactly_k_and_the_lowest_index_among_equals():
    assert kept(drawn(fp.TopK(2), LOGITS)).tolist() == [False, False, True, False, True]
    assert kept(drawn(fp.TopK(3), jnp.zeros(5))).tolist() == [True, True, True, False, False]
    assert kept(drawn(fp.TopK(3), jnp.array([0.0, 1.0, 0.0, 1.0, 0.0]))).tolist() == [
        True,
        True,
        False,
        True,
        False,
    ]
    np.testing.assert_array_equal(drawn(fp.TopK(9), LOGITS), LOGITS)
    # A lost outcome is not kept, even if k asks for it.
    np.testing.assert_array_equal(drawn(fp.TopK(5), LOGITS), LOGITS)
    np.testing.assert_array_equal(
        drawn(fp.TopK(4), jnp.array([-jnp.inf] * 4 + [0.0])), [-np.inf] * 4 + [0]
    )


def test_nucleus_keeps_the_smallest_prefix_that_reaches_the_mass():
    logits = jnp.log(jnp.array([0.1, 0.5, 0.15, 0.25]))
    for mass, expected in [(0.0, 1), (0.49, 1), (0.51, 2), (0.74, 2), (0.76, 3), (0.91, 4), (1, 4)]:
        result = kept(drawn(fp.Nucleus(mass), logits))
        assert result.sum() == expected, mass
        assert result[np.argsort(-np.asarray(logits))][:expected].all()


def test_nucleus_of_mass_one_keeps_all_whatever_the_rounding():
    logits = jnp.concatenate([jnp.zeros(1000), jnp.full(1000, -40.0)]).astype(jnp.float32)
    assert kept(drawn(fp.Nucleus(1.0), logits)).all()
    assert kept(drawn(fp.Nucleus(1.0), LOGITS)).tolist() == kept(LOGITS).tolist()


def test_nucleus_breaks_ties_by_index():
    assert kept(drawn(fp.Nucleus(0.45), jnp.zeros(4))).tolist() == [True, True, False, False]


def test_min_p_compares_with_the_mode():
    logits = jnp.log(jnp.array([0.1, 0.6, 0.3]))
    for ratio, expected in [(0, [1, 1, 1]), (0.1, [1, 1, 1]), (0.4, [0, 1, 1]), (1.0, [0, 1, 0])]:
        assert kept(drawn(fp.MinP(ratio), logits)).tolist() == [bool(x) for x in expected]
    # e^{-800} underflows; its logit does not.
    assert kept(drawn(fp.MinP(1e-300), jnp.array([0.0, -690.0, -800.0]))).tolist() == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    "sampler", [fp.Temperature(0.7), fp.TopK(2), fp.Nucleus(0.6), fp.MinP(0.3)]
)
def test_batches_and_dtypes(sampler):
    batch = jnp.stack([LOGITS, LOGITS[::-1], jnp.zeros(5)])[:, None]
    result = drawn(sampler, batch)
    assert result.shape == batch.shape
    for row, logits in zip(result[:, 0], batch[:, 0], strict=True):
        np.testing.assert_array_equal(row, drawn(sampler, logits))
    gradient = jax.jit(jax.grad(lambda x: fp.simplex.entropy(sampler(x))))(LOGITS)
    assert np.isfinite(gradient).all()
    run = fp.run(fp.Loop(sampler=sampler), LOGITS.astype(jnp.float32), 1)
    assert run.value.dtype == jnp.float32


def test_samplers_compose_in_the_order_given():
    logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
    cold_first = fp.Loop(sampler=(fp.Temperature(0.5), fp.Nucleus(0.6)))
    cut_first = fp.Loop(sampler=(fp.Nucleus(0.6), fp.Temperature(0.5)))
    # 0.25 : 0.09 : 0.04, so that the first alone has 0.658; before tempering it has 0.5.
    assert kept(cold_first.drawn(logits)).tolist() == [True, False, False]
    assert kept(cut_first.drawn(logits)).tolist() == [True, True, False]


# --- Borders: whole counts, judged by fractions ---------------------------------------------------


def decimals(largest):
    """All fractions a/b in [0, 1] with b up to the largest."""
    return sorted({Fraction(a, b) for b in range(1, largest + 1) for a in range(b + 1)})


def fewest(counts, mass):
    """The indices that a nucleus keeps, in exact arithmetic."""
    order = sorted(np.flatnonzero(counts), key=lambda i: (-counts[i], i))
    total, kept, size = sum(counts), [], 0
    for index in order:
        kept.append(index)
        size += counts[index]
        if mass < 1 and Fraction(size, total) >= mass:
            break
    return kept


def partitions(total, parts, largest=None):
    largest = total if largest is None else largest
    if parts == 1:
        return [(total,)] if total <= largest else []
    return [
        (one, *rest)
        for one in range(min(total, largest), -1, -1)
        for rest in partitions(total - one, parts - 1, one)
    ]


def logs_of(counts, dtype):
    """Logits of counts as they come: shares, the counts themselves, and shifted."""
    counts = np.asarray(counts, float)
    with np.errstate(divide="ignore"):
        shares = np.log(counts / counts.sum(-1, keepdims=True))
        far = np.log(counts) + (100.0 if dtype == jnp.float32 else 1e5)
    return [jnp.asarray(logits, dtype) for logits in (shares, far)]


@jax.jit
def keeps_by_ratio(logits, ratios):
    return jax.vmap(lambda row, ratio: fp.MinP(ratio)(row))(logits, ratios) > -jnp.inf


@jax.jit
def keeps_by_mass(logits, masses):
    return jax.vmap(lambda row, mass: fp.Nucleus(mass)(row))(logits, masses) > -jnp.inf


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_min_p_keeps_every_tie_of_counts_up_to_thirty(dtype):
    ratios = decimals(30)
    pairs = [(few, many) for many in range(1, 31) for few in range(1, many + 1)]
    rows = [(*pair, ratio) for pair in pairs for ratio in ratios]
    few, many, _ = zip(*rows, strict=True)
    expected = [few * ratio.denominator >= ratio.numerator * many for few, many, ratio in rows]
    given = jnp.asarray([float(ratio) for *_, ratio in rows], dtype)
    assert sum(Fraction(few, many) == ratio for few, many, ratio in rows) == len(pairs)
    for logits in logs_of(np.stack([few, many], -1), dtype):
        kept = keeps_by_ratio(logits, given)
        np.testing.assert_array_equal(kept[:, 0], expected)
        assert kept[:, 1].all()


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_a_nucleus_takes_the_fewest_of_counts_up_to_thirty(dtype):
    """Masses that a prefix reaches exactly, and those a little above and below."""
    states = [counts for total in range(1, 31) for counts in partitions(total, 4)]
    rng = np.random.default_rng(3)
    rows = []
    for counts in rng.permuted(np.array(states), axis=1).tolist():
        for size in range(1, 4):
            reached = Fraction(sum(sorted(counts)[-size:]), sum(counts))
            nudge = Fraction(1, 1000) if size == 2 else 0
            rows += [(counts, mass) for mass in {reached, reached - nudge} if mass <= 1]
    expected = np.zeros((len(rows), 4), bool)
    for row, (counts, mass) in zip(expected, rows, strict=True):
        row[fewest(counts, mass)] = True
    masses = jnp.asarray([float(mass) for _, mass in rows], dtype)
    for logits in logs_of([counts for counts, _ in rows], dtype):
        np.testing.assert_array_equal(keeps_by_mass(logits, masses), expected)


def test_two_outcomes_of_up_to_thirty_samples_under_every_nucleus():
    """All shares against all fractions; also one unit in the last place around each mass."""
    rows = [
        (count, total, mass)
        for total in range(1, 31)
        for count in range((total + 1) // 2, total)
        for mass in decimals(30)[:-1]
    ]
    expected = [count * mass.denominator >= mass.numerator * total for count, total, mass in rows]
    counts = np.array([(count, total - count) for count, total, _ in rows])
    logits, masses = logs_of(counts, jnp.float64)[0], np.array([float(mass) for *_, mass in rows])
    for near in (masses, np.nextafter(masses, 0), np.nextafter(masses, 1)):
        kept = keeps_by_mass(logits, jnp.asarray(near))
        # Of two equal outcomes the first one is kept.
        assert kept[:, 0].all()
        np.testing.assert_array_equal(~kept[:, 1], expected)


def test_masses_near_one_are_told_apart_to_their_own_rounding():
    tail = jnp.log(jnp.array([1.0, 1e-6, 3e-12, 1e-12]))
    for left_out, expected in [(5e-13, 4), (2e-12, 3), (5e-12, 2), (2e-6, 1)]:
        assert kept(drawn(fp.Nucleus(1 - left_out), tail)).sum() == expected
    # In float32 a tail of 1.1e-5 is more than 1 - 0.99999.
    tail = jnp.log(jnp.array([1.0, 1.1e-5], jnp.float32))
    assert kept(drawn(fp.Nucleus(0.99999), tail)).all()


def test_equal_outcomes_are_cut_at_whole_numbers():
    """Also many, whose sums are rounded often, and the lowest numbers stay."""
    for number, dtype in ((10, jnp.float64), (1000, jnp.float64), (1000, jnp.float32)):
        logits = jnp.full(number, -jnp.log(3.0), dtype)
        for tenths in range(1, 10):
            result = kept(drawn(fp.Nucleus(jnp.asarray(tenths / 10, dtype)), logits))
            wanted = tenths * number // 10
            np.testing.assert_array_equal(result, np.arange(number) < wanted)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.float32])
def test_equal_shares_on_different_roads_tie(dtype):
    """One of every three samples is real: shares (N + M)/30, which a mixture rounds."""
    rng = np.random.default_rng(5)
    model, real = rng.multinomial(20, [0.1, 0.2, 0.3, 0.4], 500), np.array([4, 3, 2, 1])
    mixed = fp.Mixed(jnp.asarray(real / 10, dtype), jnp.asarray(1 / 3, dtype))
    with np.errstate(divide="ignore"):
        logits = jnp.asarray(np.log(model / 20), dtype)
    shares = jax.jit(lambda logits: mixed(logits, None, None)[0].logits)(logits)
    total = model + real
    top = total == total.max(1, keepdims=True)
    assert (top.sum(1) > 1).sum() > 50
    for sampler, expected in [
        (fp.Temperature(0.0), top),
        (fp.MinP(1.0), top),
        (fp.MinP(0.5), 2 * total >= total.max(1, keepdims=True)),
        (fp.TopK(1), top & (np.cumsum(top, 1) == 1)),
    ]:
        np.testing.assert_array_equal(kept(drawn(sampler, shares)), expected)


def test_one_mass_and_ratio_for_every_model_of_a_batch():
    logits = jnp.log(jnp.array([[0.25, 0.5, 0.25], [0.2, 0.2, 0.6]]))
    for sampler, expected in [
        (fp.Nucleus(jnp.array([0.5, 0.8])), [[0, 1, 0], [1, 0, 1]]),
        (fp.MinP(jnp.array([0.5, 0.5])), [[1, 1, 1], [0, 0, 1]]),
    ]:
        np.testing.assert_array_equal(kept(drawn(sampler, logits)), np.array(expected, bool))


def test_ties_are_those_of_the_numbers_at_any_scale():
    """A small gap is not a tie: a high temperature before another sampler decides nothing."""
    hot = drawn(fp.Temperature(1e20), jnp.array([0.3, 0.1, 0.5]))
    assert kept(drawn(fp.Temperature(0.0), hot)).tolist() == [False, False, True]
    assert kept(drawn(fp.TopK(1), hot)).tolist() == [False, False, True]
    assert kept(drawn(fp.MinP(1.0), hot)).tolist() == [False, False, True]
    near = jnp.array([2.0, jnp.nextafter(2.0, 3.0), 2.0 - 1e-12])
    assert kept(drawn(fp.Temperature(0.0), near)).tolist() == [True, True, False]
    assert kept(drawn(fp.TopK(1), near)).tolist() == [True, False, False]


@pytest.mark.parametrize(
    "sampler", [fp.Temperature(0.0), fp.TopK(2), fp.Nucleus(0.5), fp.MinP(0.5)]
)
def test_gradients_and_batches_on_the_border(sampler):
    """Of shares 1/2, 1/4, 1/4: the derivative of what stays, by logits."""
    logits = jnp.log(jnp.array([0.25, 0.5, 0.25]))
    result = drawn(sampler, logits)
    forward, backward = jax.jit(lambda x: (jax.jacfwd(sampler)(x), jax.jacrev(sampler)(x)))(logits)
    expected = np.diag(kept(result).astype(float))
    if isinstance(sampler, fp.Temperature):  # the limit does not move
        expected = np.zeros((3, 3))
    np.testing.assert_array_equal(forward, expected)
    np.testing.assert_array_equal(backward, expected)
    rows = jnp.stack([logits, jnp.roll(logits, 1)])
    for row, alone in zip(jax.jit(jax.vmap(sampler))(rows), rows, strict=True):
        np.testing.assert_array_equal(row, drawn(sampler, alone))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fp.Temperature(-0.5), r"`temperature` must be >= 0; got -0\.5"),
        (lambda: fp.Temperature(np.nan), r"`temperature` must be >= 0; got nan"),
        (lambda: fp.TopK(0), r"`k` must be an integer >= 1; got 0"),
        (lambda: fp.Nucleus(1.5), r"`mass` must be between 0 and 1; got 1\.5"),
        (lambda: fp.MinP(-0.1), r"`ratio` must be between 0 and 1; got -0\.1"),
    ],
)
def test_bad_arguments(make, message):
    with pytest.raises(ValueError, match=message):
        make()
