"""The fused sweep against 60-digit arithmetic, against its plain path and at its edges."""

import json
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest

from fixedpoint.kernels import partition_sums, sweep
from fixedpoint.kernels.sums import fused_sums

INF = np.inf
INVERSE_TEMPERATURES = [0.0, 1e-300, 1e-3, 0.5, 1.0, 1 + 1e-3, 2.5, 40.0, 1e6, 1e300, INF]


def digits(logits, b):
    """Entropy, mode probability, effective number, divergence and survivors, to 60 digits."""
    with mpmath.workdps(60):
        finite = [mpmath.mpf(float(x)) for x in logits if x > -INF]
        top = max(finite)
        gaps = [x - top for x in finite]
        if b == INF:
            weights = [mpmath.mpf(g == 0) for g in gaps]
        else:
            weights = [mpmath.exp(mpmath.mpf(float(b)) * g) for g in gaps]
        total = mpmath.fsum(weights)
        probs = [w / total for w in weights]
        # p log p by the definition; in 60 digits the subtraction next to 1 costs nothing.
        entropy = -mpmath.fsum(p * mpmath.log(p) for p in probs if p > 0)
        start = mpmath.fsum(mpmath.exp(g) for g in gaps)
        divergence = mpmath.fsum(
            p * (mpmath.log(p) - (g - mpmath.log(start)))
            for p, g in zip(probs, gaps, strict=True)
            if p > 0
        )
        scale = 1 + abs(mpmath.log(total)) + abs(mpmath.log(start))
        return entropy, 1 / total, mpmath.exp(entropy), divergence, scale


TABLES = {
    "asymmetric": [0.3, -1.7, 2.9, 2.1, -40.0],
    "lost": [-INF, 1.0, -INF, 0.25, -3.5],
    "ties": [1.5, -2.0, 1.5, 1.5, 0.0],
    "one outcome": [7.0],
    "two outcomes": [0.0, 0.1],
    "one outcome left": [-INF, -2.0],
    "far apart": [0.0, -600.0, -20.0],
    "far from zero": [1e4, 1e4 - 3.0, 1e4 + 2.0],
    "several blocks": list(3 * np.sin(np.arange(2500) ** 1.5)),
}


@pytest.mark.parametrize("name", TABLES)
def test_sweep_equals_sixty_digits(name):
    logits = TABLES[name]
    result = sweep(np.array(logits), INVERSE_TEMPERATURES)
    finite = np.array(logits) > -INF
    modes = np.array(logits) == np.max(logits)
    for i, b in enumerate(INVERSE_TEMPERATURES):
        entropy, mode_probability, effective_number, divergence, scale = digits(logits, b)
        np.testing.assert_allclose(result.entropy[i], float(entropy), rtol=1e-12, atol=1e-300)
        np.testing.assert_allclose(result.mode_probability[i], float(mode_probability), rtol=1e-12)
        np.testing.assert_allclose(result.effective_number[i], float(effective_number), rtol=1e-12)
        error = abs(float(result.kl_from_start[i]) - float(divergence))
        assert error <= 2e-15 * float(scale) + 1e-12 * float(divergence)
        assert result.surviving[i] == (modes if b == INF else finite).sum()


@pytest.mark.long
def test_divergence_is_twelve_digits_away_from_the_start():
    logits = np.array(TABLES["several blocks"])
    for b in (0.0, 0.5, 0.9, 1 / 0.9, 2.0, 40.0, INF):
        expected = float(digits(logits, b)[3])
        np.testing.assert_allclose(sweep(logits, [b]).kl_from_start[0], expected, rtol=1e-12)


def test_an_entropy_near_a_vertex_keeps_its_digits():
    result = sweep(np.array([0.0, -500.0, -510.0]), [1.0])
    with mpmath.workdps(300):
        weights = [mpmath.mpf(1), mpmath.exp(-500), mpmath.exp(-510)]
        probs = [w / mpmath.fsum(weights) for w in weights]
        expected = float(-mpmath.fsum(p * mpmath.log(p) for p in probs))
    assert 1e-216 < expected < 1e-213
    np.testing.assert_allclose(result.entropy[0], expected, rtol=1e-12)


def test_partition_sums_are_the_sums():
    logits = jnp.array([[0.5, 2.0, -jnp.inf, 2.0], [-1.0, 0.0, -3.0, -2.0]])
    b = np.array([1.0, 2.0])
    sums = partition_sums(logits, b)
    for row, gaps in enumerate([np.array([-1.5]), np.array([-1.0, -3.0, -2.0])]):
        weights = np.exp(np.outer(b, gaps))
        np.testing.assert_allclose(sums.rest[:, row], weights.sum(-1), rtol=1e-15)
        np.testing.assert_allclose(sums.slope[:, row], weights @ gaps, rtol=1e-15)
    assert sums.num_modes.tolist() == [2, 1]
    assert sums.num_outcomes.tolist() == [3, 4]


@pytest.fixture
def table():
    """Rows that fill neither a tile nor a block, with lost outcomes and ties."""
    rng = np.random.default_rng(7)
    logits = rng.normal(scale=3, size=(37, 83)).astype(np.float32)
    logits[rng.random(logits.shape) < 0.1] = -INF
    logits[5, 3] = logits[5, 60] = 20.0
    return logits


def check_equal(result, expected, rtol):
    for name, value in result._asdict().items():
        scale = {"kl_from_start": 1e-14}.get(name, 0.0)
        other = getattr(expected, name)
        np.testing.assert_allclose(value, other, rtol=rtol, atol=scale, err_msg=name)


@pytest.mark.long
def test_the_fused_kernel_is_its_plain_twin(table):
    b = jnp.array(INVERSE_TEMPERATURES)
    plain, fused = partition_sums(table, b), fused_sums(jnp.asarray(table), b)
    for name in ("rest", "slope"):
        np.testing.assert_allclose(getattr(fused, name), getattr(plain, name), rtol=2e-13)
    np.testing.assert_array_equal(fused.num_modes, plain.num_modes)
    np.testing.assert_array_equal(fused.num_outcomes, plain.num_outcomes)


@pytest.mark.long
def test_plain_path_gives_the_same_numbers(table):
    b = np.array(INVERSE_TEMPERATURES)
    check_equal(sweep(table, b), jax.jit(sweep)(table, b), rtol=1e-12)


@pytest.mark.long
def test_each_row_and_temperature_stands_alone(table):
    b = np.array([0.3, 1.0, 4.0])
    whole = sweep(table, b)
    for i, row in ((0, 0), (1, 5), (2, 36)):
        alone = sweep(table[row], b[i : i + 1])
        assert alone.entropy.shape == (1,)
        for name, value in alone._asdict().items():
            np.testing.assert_allclose(
                value[0], getattr(whole, name)[i, row], rtol=1e-13, atol=1e-14
            )


@pytest.mark.long
def test_leading_axes_are_kept(table):
    result = sweep(table[:36].reshape(3, 2, 6, 83), [1.0, 2.0])
    flat = sweep(table[:36], [1.0, 2.0])
    assert result.entropy.shape == (2, 3, 2, 6)
    check_equal(type(result)(*(value.reshape(2, 36) for value in result)), flat, rtol=1e-15)


def test_relabelling_and_shift_change_nothing(table):
    order = np.random.default_rng(1).permutation(table.shape[-1])
    moved = (table.astype(np.float64) + 16.0)[:, order]
    check_equal(sweep(moved, [0.0, 0.7, 3.0]), sweep(table, [0.0, 0.7, 3.0]), rtol=1e-12)


def test_float32_logits_are_summed_in_float64(table):
    result = sweep(table, [0.7, 3.0])
    assert result.entropy.dtype == jnp.float64
    check_equal(result, sweep(table.astype(np.float64), [0.7, 3.0]), rtol=1e-15)


@pytest.mark.long
def test_float32_arithmetic_without_x64(table):
    expected = sweep(table, [0.7, 3.0])
    with jax.enable_x64(False):
        result = sweep(table, [0.7, 3.0])
        assert result.entropy.dtype == jnp.float32
        np.testing.assert_allclose(result.entropy, expected.entropy, rtol=2e-6)


@pytest.mark.long
def test_derivative_of_entropy_is_minus_b_times_the_variance():
    logits = jnp.array([0.4, -1.0, 2.0, -jnp.inf])
    b = jnp.array([0.0, 1.7, INF])

    @jax.jit
    @jax.grad
    def slopes(point):
        return sweep(*point).entropy.sum()

    by_logit, by_temperature = slopes((logits, b))
    probs = jax.nn.softmax(1.7 * logits)[:3]
    variance = probs @ logits[:3] ** 2 - (probs @ logits[:3]) ** 2
    np.testing.assert_allclose(by_temperature, [0.0, -1.7 * float(variance), 0.0], rtol=1e-13)
    information = -jnp.log(probs)
    expected = 1.7 * probs * (information - probs @ information)
    np.testing.assert_allclose(by_logit[:3], expected, rtol=1e-12, atol=1e-15)
    assert by_logit[3] == 0


def test_vmap_is_the_loop(table):
    b = jnp.array([0.5, 2.0])
    mapped = jax.jit(jax.vmap(lambda row: sweep(row, b).entropy))(table)
    np.testing.assert_allclose(mapped.T, sweep(table, b).entropy, rtol=1e-13)


@pytest.mark.parametrize(
    ("logits", "inverse_temperatures", "message"),
    [
        ([[0.0, 1.0], [np.nan, 1.0]], [1.0], "`logits` must be finite or -inf; got nan"),
        ([[0.0, 1.0], [INF, 1.0]], [1.0], "`logits` must be finite or -inf; got inf"),
        ([[0.0, 1.0], [-INF, -INF]], [1.0], "`logits` must have a finite entry in every row"),
        ([[], []], [1.0], "`logits` must have at least one outcome"),
        ([[0.0, 1.0]], [-0.5], r"`inverse_temperatures` must be >= 0; got -0.5"),
        ([[0.0, 1.0]], [np.nan], "`inverse_temperatures` must be >= 0; got nan"),
        ([[0.0, 1.0]], 1.0, "`inverse_temperatures` must have one axis; got shape"),
    ],
)
def test_bad_input_is_named(logits, inverse_temperatures, message):
    with pytest.raises(ValueError, match=message):
        sweep(np.array(logits), inverse_temperatures)


@pytest.mark.long
def test_rows_are_shared_out_among_devices():
    code = """
import json, jax, numpy as np
from fixedpoint.kernels import sweep
logits = np.random.default_rng(3).normal(scale=3, size=(7, 1500))
some = jax.devices()[:1], jax.devices()
parts = [sweep(logits, [0.0, 1.5, np.inf], devices=devices) for devices in some]
print(json.dumps({
    "devices": jax.device_count(),
    "same": all(np.allclose(a, b, rtol=1e-13, atol=1e-14) for a, b in zip(*parts)),
    "entropy": float(parts[1].entropy[1, 6]),
}))
"""
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "3", "JAX_ENABLE_X64": "1"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    found = json.loads(answer.stdout)
    logits = np.random.default_rng(3).normal(scale=3, size=(7, 1500))
    assert found["devices"] == 3
    assert found["same"]
    np.testing.assert_allclose(found["entropy"], sweep(logits[6], [1.5]).entropy[0], rtol=1e-13)


@pytest.mark.slow
def test_a_vocabulary_of_contexts_needs_less_than_a_gibibyte_above_itself():
    code = """
import resource, numpy as np
from fixedpoint.kernels import sweep
sweep(np.zeros((2, 3), np.float32), [1.0])
logits = np.random.default_rng(0).standard_normal((256, 126_053), np.float32)
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = peak()
found = sweep(logits, 0.9 ** -np.arange(4.0))
assert found.entropy.shape == (4, 256)
print((peak() - before) / 2**30)
"""
    env = {**os.environ, "JAX_ENABLE_X64": "1", "JAX_NUM_CPU_DEVICES": "2"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert float(answer.stdout) < 1
