"""Outside the range that its docstring states a solution refuses, or returns NaN: no number."""

import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint.laws import (
    families,
    flow,
    geometry,
    metastability,
    recovery,
    survival,
    tempering,
    verifier,
)

THETA = jnp.log(jnp.array([0.5, 0.3, 0.2]))
LOST = jnp.array([0.4, -jnp.inf, 0.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tempering.mode_limit(0.7, 2, 3, 1.5, 3), r"`temperature` must be in .*1\)"),
        (lambda: tempering.mode_limit(-0.7, 2, 3, 0.5, 3), "`gap` must be > 0"),
        (
            lambda: tempering.generations_to_collapse(-0.7, 2, 3, 0.5, 0.1),
            "`gap` must be > 0",
        ),
        (lambda: tempering.uniform_limit(THETA, 1.0, 3), r"`temperature` must be in \(1"),
        (lambda: tempering.uniform_limit_reverse(THETA, 0.5, 3), r"`temperature` must be in \(1"),
        (lambda: recovery.storage_cold(7.0, 1.5, 745.0), r"`temperature` must be in .*1\)"),
        (lambda: families.pareto(0.5, 2.0, 1), r"`exponent` must be in \(1"),
        (lambda: geometry.reverse_kl_tail(3, 2.0, 100.0), r"`temperature` must be in .*1\)"),
        (lambda: flow.relaxation_rate(LOST), "`logits_target` must be finite"),
        (lambda: flow.frozen_one_hot_target(LOST, 1.0, 1), "`target` .* not lost; got 1"),
        (lambda: flow.frozen_one_hot_target(THETA, 1.0, 7), r"`target` must be .* in \[0, 3\)"),
        (lambda: families.poisson(5.0, jnp.inf, num_terms=100), "`temperature` must be"),
        (lambda: survival.winner(1.0, 1.5, 0.1), r"`temperature` must be in .*1\)"),
        (lambda: survival.winner(-1.0, 0.5, 0.1), "`gap` must be positive"),
        (lambda: survival.stationary(3, 0.5, 0.1, 1), r"`temperature` must be in \(1"),
    ],
)
def test_a_refusal_names_the_rule(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: families.poisson(500.0, 0.8, num_terms=100),
        lambda: geometry.reverse_kl_tail(3, 0.5, 0.1),
        lambda: metastability.staircase(3, 1.005),
    ],
)
def test_no_number_where_there_is_none(call):
    assert np.isnan(call())


def test_without_a_verifier_the_right_answer_is_lost_like_any_other():
    found = verifier.lock_in_weak(jnp.array([0.3, 0.3]), jnp.array([1.0, 1 + 1e-9]), 6)
    np.testing.assert_allclose(found, 0.7, atol=1e-8)
