"""Any number of outcomes at temperature 1, against the full chain and exact values."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.chain import absorption, ancestors, fixation_time, from_loop, law, survivors


def test_fixation_time_equals_the_full_chain():
    chain = from_loop(fp.Loop(corpus=fp.Fresh(7)), 3)
    full = absorption(chain).mean
    for counts, expected in zip(chain.counts, full, strict=True):
        assert fixation_time(counts / 7, 7) == pytest.approx(expected, rel=1e-13)
    p = np.array([0.2, 0.5, 0.3])  # no multiple of 1/7
    from_model = 1 + chain.first_generation(jnp.log(p)) @ full
    assert fixation_time(p, 7) == pytest.approx(from_model, rel=1e-13)
    assert fixation_time([0.25, 0.25, 0.5], 4) == pytest.approx(749 / 145, rel=1e-14)
    assert fixation_time(np.array([15, 8, 4, 2, 1]) / 30, 30) == pytest.approx(46.0034, abs=5e-5)
    assert fixation_time([0.0, 1.0], 5) == 0
    assert fixation_time([0.3, 0.7], 1) == 1


def test_survivors_equal_the_full_chain():
    p = np.array([0.5, 0.3, 0.15, 0.05])
    chain = from_loop(fp.Loop(corpus=fp.Fresh(6)), 4)
    left = (chain.counts > 0).sum(-1)
    first = chain.first_generation(jnp.log(p))
    for generation in (1, 2, 9):
        expected = law(chain, generation - 1, first) @ left
        assert survivors(p, 6, generation) == pytest.approx(expected, rel=1e-13)
    assert survivors(np.append(p, 0), 6, 0) == 4


def test_survivors_of_a_power_law():
    p = np.arange(1, 201) ** -1.5
    found = [survivors(p / p.sum(), 50, t) for t in (1, 2, 5, 10, 50, 200)]
    np.testing.assert_allclose(found, [16.581, 12.436, 7.903, 5.360, 1.9723, 1.0410], atol=6e-4)


def test_ancestors():
    n = 8
    assert ancestors(n, 0)[n] == 1
    # E[occupied boxes] = n (1 - (1 - 1/n)^balls)
    mean = ancestors(n, 1) @ np.arange(n + 1)
    assert mean == pytest.approx(n * (1 - (1 - 1 / n) ** n), rel=1e-14)
    late = ancestors(n, 1_000)
    assert late[1] == pytest.approx(1, rel=1e-13)
    assert late.sum() == pytest.approx(1, rel=1e-13)


def test_misuse_is_named():
    with pytest.raises(ValueError, match="`num_samples` must be at most 6,000"):
        survivors([0.5, 0.5], 10_000, 1)
    with pytest.raises(ValueError, match=r"`probabilities` must have shape \(num_outcomes,\)"):
        fixation_time([[0.5, 0.5]], 10)
    with pytest.raises(ValueError, match="`probabilities` must sum to 1"):
        survivors([0.5, 0.4], 10, 1)
