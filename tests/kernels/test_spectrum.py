"""The compressed spectrum against direct sums, where its error is largest."""

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.kernels import driver, spectrum, sweep
from fixedpoint.kernels.observables import MANY
from fixedpoint.kernels.spectrum import chebyshev_moments, compress, spectral_sums
from fixedpoint.kernels.sums import partition_sums

INF = np.inf
K = 5000


def test_moments_are_the_sums_of_chebyshev_polynomials():
    gaps = np.array([0.0, 0.0, 0.3, 7.0, 1.5, 1e4, INF])
    shift, widest = 0.0625, 8.0
    moments, num_modes, num_outcomes = driver.run(
        chebyshev_moments, [jnp.asarray(-gaps[None])], [shift, widest], static=(9,), tile=1
    )
    counted = gaps[2:5]  # neither the modes nor what is beyond the widest gap
    u = 2 * np.log(counted / shift + 1) / np.log(widest / shift + 1) - 1
    expected = [np.cos(k * np.arccos(u)).sum() for k in range(9)]
    np.testing.assert_allclose(moments[0], expected, atol=1e-14)
    assert (num_modes.tolist(), num_outcomes.tolist()) == ([2], [6])


def tables():
    """Rows of one mode and K - 1 outcomes at a gap, whose rounding errors all have one sign, ..."""
    rng = np.random.default_rng(5)
    two_levels = np.zeros((24, K))
    two_levels[:, 1:] = -np.geomspace(1e-3, 2500, 24)[:, None]
    random = [3 * rng.normal(size=K), 300 * rng.normal(size=K), rng.standard_t(3, size=K)]
    ragged = rng.normal(size=K)
    ragged[rng.random(K) < 0.3] = -INF
    ragged[:3] = 6.0
    return jnp.asarray(np.stack([*two_levels, *random, ragged]), jnp.float32)


@pytest.mark.long
@pytest.mark.parametrize(
    ("low", "high"),
    [
        (1 / 64, 64),
        pytest.param(1, 10, marks=pytest.mark.slow),
        pytest.param(0.2, 1, marks=pytest.mark.slow),
    ],
)
def test_error_is_below_1e_9(low, high):
    b = np.geomspace(low, high, 25)
    direct = sweep(tables(), b, compressed=False)
    quick = sweep(tables(), b, compressed=True)
    for name in ("mode_probability", "effective_number"):
        ratio = np.log(getattr(quick, name)) - np.log(getattr(direct, name))
        assert np.abs(ratio).max() < 1e-9, name
    error = np.abs(np.asarray(quick.entropy - direct.entropy))
    assert 1e-14 < error.max() < 1e-9
    size = 1 + np.log(K) + np.abs(np.asarray(direct.kl_from_start))
    assert np.max(np.abs(quick.kl_from_start - direct.kl_from_start) / size) < 1e-9
    np.testing.assert_array_equal(quick.surviving, direct.surviving)


@pytest.mark.slow
def test_too_few_nodes_are_noticed(monkeypatch):
    monkeypatch.setattr(spectrum, "_SIZES", (24, 32))
    b = np.geomspace(1 / 64, 64, 25)
    table = tables()[:24]
    error = sweep(table, b, compressed=True).entropy - sweep(table, b, compressed=False).entropy
    assert np.abs(np.asarray(error)).max() > 1e-6


@pytest.mark.long
def test_many_temperatures_are_compressed_by_default_and_can_be_refused():
    table = tables()[-2:]
    b = np.append(np.geomspace(0.5, 2, MANY), [INF, 0.0, 100.0, 1.0])
    order = np.random.default_rng(0).permutation(len(b))
    result = {c: sweep(table, b[order], compressed=c) for c in (None, True, False)}
    for name in ("entropy", "surviving", "kl_from_start"):
        by_default, compressed, direct = (getattr(result[c], name) for c in (None, True, False))
        np.testing.assert_array_equal(by_default, compressed)
        np.testing.assert_allclose(compressed, direct, atol=1e-9)
    outside = (b[order] > 64) | (b[order] < 1 / 64)
    np.testing.assert_allclose(
        result[None].entropy[outside], result[False].entropy[outside], rtol=1e-13
    )
    few = sweep(table, b[: MANY - 1])
    np.testing.assert_array_equal(
        few.entropy, sweep(table, b[: MANY - 1], compressed=False).entropy
    )


@pytest.mark.long
def test_spectral_sums_are_partition_sums():
    table = tables()[-3:]
    b = jnp.array([0.25, 1.0, 3.0])
    found = spectral_sums(compress(table, 0.25, 4.0), b)
    exact = partition_sums(table, b)
    np.testing.assert_allclose(found.rest, exact.rest, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.slope, exact.slope, rtol=1e-9, atol=1e-9)
    np.testing.assert_array_equal(found.num_modes, exact.num_modes)
    np.testing.assert_array_equal(found.num_outcomes, exact.num_outcomes)
