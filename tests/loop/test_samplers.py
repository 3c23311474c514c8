"""Samplers: what is drawn from."""

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
