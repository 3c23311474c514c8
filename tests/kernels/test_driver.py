"""The driver: tiles of any size, any number of devices, known and unknown compiler options."""

import functools
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.kernels import driver


def affine(power, rows, slope, shift):
    """Results with the rows as second axis, of whatever shape."""
    model = slope * rows**power + jnp.expand_dims(shift, 0)
    return {"both": jnp.stack([model, -model]), "count": jnp.full((1, len(rows)), len(rows))}


ROWS = jnp.arange(14.0).reshape(7, 2)


@pytest.mark.parametrize("tile", [1, 2, 3, 7, 10])
def test_tiles_are_put_together_again(tile):
    result = driver.run(affine, [ROWS], [2.0, np.arange(2.0)], static=(2,), tile=tile, axis=1)
    expected = 2 * np.asarray(ROWS) ** 2 + [0, 1]
    np.testing.assert_array_equal(result["both"], np.stack([expected, -expected]))
    assert result["count"].tolist() == [[tile] * 7]
    within = jax.jit(
        lambda rows: driver.tiled(
            lambda rows: affine(2, rows, 2.0, jnp.arange(2.0)), [rows], tile=tile, axis=1
        )
    )(ROWS)
    np.testing.assert_array_equal(within["both"], result["both"])


@pytest.mark.parametrize("copied", [1, 30, 60])
def test_a_large_table_is_handed_over_in_parts(copied, monkeypatch):
    monkeypatch.setattr(driver, "_COPIED", copied)
    rows, sizes = np.asarray(ROWS), set()

    def kernel(rows, slope):
        sizes.add(len(rows))
        return affine(2, rows, slope, jnp.zeros(2))["both"]

    put, parts = jax.device_put, []
    monkeypatch.setattr(jax, "device_put", lambda x, *where: parts.append(len(x)) or put(x, *where))
    result = driver.run(kernel, [rows], [3.0], tile=2, axis=1)
    expected = 3 * rows**2
    np.testing.assert_array_equal(result, np.stack([expected, -expected]))
    assert len(parts) == {1: 4, 30: 2, 60: 1}[copied]
    assert len(set(parts)) == 1  # one program does for all
    assert sizes == {2}


def test_no_rows_are_no_results():
    result = driver.run(affine, [ROWS[:0]], [2.0, np.zeros(2)], static=(1,), tile=3, axis=1)
    assert result["both"].shape == (2, 0, 2)


def test_unknown_options_fall_back_to_the_plain_program(monkeypatch):
    unknown = {"an_option_that_no_jaxlib_knows": 1}
    monkeypatch.setattr(driver, "VECTORS", unknown)
    monkeypatch.setattr(driver, "_refused", set())
    result = driver.run(affine, [ROWS], [3.0, np.zeros(2)], static=(1,), tile=2, axis=1)
    np.testing.assert_array_equal(result["both"][0], 3 * ROWS)
    assert driver._refused == {frozenset(unknown.items())}


def test_this_version_knows_the_options():
    known = driver._known(frozenset((driver.VECTORS | driver.REASSOCIATION).items()))
    assert known or jax.__version__ != "0.10.2"


def test_the_error_of_a_kernel_is_not_taken_for_an_unknown_option():
    def broken(rows):
        raise ValueError("`rows` is at fault")

    with pytest.raises(ValueError, match="`rows` is at fault"):
        driver.run(broken, [ROWS], tile=2)


@pytest.mark.parametrize("wrap", [lambda function: function, jax.jit])
def test_what_is_made_one_function_is_the_same(wrap):
    """With loops, branches, what is not used, and what goes through it unchanged."""

    def newton(x, target, unused):
        def improve(carry):
            x, count = carry
            return x - (x * x - target) / (2 * x), count + 1

        far = lambda carry: jnp.any(jnp.abs(carry[0] ** 2 - target) > 1e-12)  # noqa: E731
        root, count = jax.lax.while_loop(far, improve, (x, 0))
        half = jax.lax.cond(count > 4, lambda: root / 2, lambda: -root)
        return root, half, target

    def kernel(one, rows, unused):
        function = driver.one_function(wrap(newton)) if one else newton
        return jnp.stack(function(rows + 1, rows * 0.5 + 2, unused))

    results = [
        driver.run(kernel, [ROWS], [jnp.ones(3)], static=(one,), tile=2, axis=1, library=False)
        for one in (True, False)
    ]
    np.testing.assert_allclose(*results, rtol=1e-14)
    assert results[0].shape == (3, 7, 2)
    assert (results[0][0] > 0).all()


def test_one_function_has_no_constants():
    """With one XLA may end the process."""
    table = np.arange(2.0)

    def kernel(rows):
        return driver.one_function(lambda rows: rows * jnp.asarray(table)[None])(rows)

    with pytest.raises(ValueError, match="`function` must have no constants"):
        driver.run(kernel, [ROWS], tile=2, library=False)


def test_the_locked_version_makes_one_function():
    """Otherwise single traces of many outcomes would visit all of them without saying so."""
    lock = Path(__file__).parents[2].joinpath("requirements.lock").read_text(encoding="utf-8")
    (pin,) = [line for line in lock.splitlines() if line.startswith("jaxlib==")]
    assert pin.split("==")[1].split()[0] in driver._TRIED


def test_a_version_that_was_not_tried_visits_all_outcomes(key, monkeypatch):
    loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size=0.1))
    run = functools.partial(
        fp.run, loop, jnp.zeros(600), 30, key=key, num_replicates=3, save_at=[0, 30]
    )
    monkeypatch.setattr(driver, "_TRIED", ())
    assert not driver.makes_one_function()
    with monkeypatch.context() as patch:
        patch.setattr(fp.loop.traces, "blocks", None)
        there = run().value
    # Each sample adds η to one logit, and what all have lost is of the order of ηp.
    grown = np.rint((there[1] - there[1].min(-1, keepdims=True)) / 0.1)
    np.testing.assert_array_equal(grown.sum(-1), 30)


@pytest.mark.long
def test_devices_share_the_tiles():
    code = """
import json, jax, numpy as np
from fixedpoint.kernels import driver
def where(rows):
    return rows + jax.lax.axis_index("rows")
found = driver.run(where, [np.zeros(10)], tile=2)
alone = driver.run(where, [np.zeros(4)], tile=2, devices=jax.devices()[1:2])
print(json.dumps([found.tolist(), alone.tolist()]))
"""
    env = {**os.environ, "JAX_NUM_CPU_DEVICES": "3"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    three, one = json.loads(answer.stdout)
    assert three == [0] * 4 + [1] * 4 + [2] * 2
    assert one == [0] * 4


def test_what_is_computed_apart_is_the_same():
    """Also with what it closes over, several times, and through all of the driver."""

    def kernel(apart, rows, scale):
        step = lambda x: jnp.sin(x) * scale + rows.sum(-1, keepdims=True)  # noqa: E731
        mapped = driver.apart(step) if apart else step
        return mapped(mapped(rows)).T

    results = [
        driver.run(kernel, [ROWS], [0.3], static=(a,), tile=2, axis=1) for a in (True, False)
    ]
    np.testing.assert_allclose(*results, rtol=1e-15)
    assert results[0].shape == (2, 7)
