"""Every check names the argument, the rule and the value, and lets tracers pass."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fixedpoint import checks

INF, NAN = np.inf, np.nan

REJECTED = [
    (checks.check_temperature, -0.5, "`value` must be >= 0; got -0.5."),
    (checks.check_temperature, NAN, "`value` must be >= 0; got nan."),
    (checks.check_temperature, np.array([0.5, -2.0]), "`value` must be >= 0; got -2.0."),
    (checks.check_temperature, "hot", "`value` must be >= 0; got 'hot'."),
    (checks.check_positive, 0.0, "`value` must be positive and finite; got 0.0."),
    (checks.check_positive, INF, "`value` must be positive and finite; got inf."),
    (checks.check_nonnegative, -1, "`value` must be >= 0 and finite; got -1.0."),
    (checks.check_nonnegative, jnp.array([1.0, NAN]), "`value` must be >= 0 and finite; got nan."),
    (checks.check_fraction, 1.5, "`value` must be between 0 and 1; got 1.5."),
    (checks.check_fraction, -1e-9, "`value` must be between 0 and 1; got -1e-09."),
    (checks.check_count, 0, "`value` must be an integer >= 1; got 0."),
    (checks.check_count, 1e9, "`value` must be an integer >= 1; got 1000000000.0. Write int(1000"),
    (checks.check_count, 2.5, "`value` must be an integer >= 1; got 2.5."),
    (checks.check_count, True, "`value` must be an integer >= 1; got True."),
    (checks.check_count, None, "`value` must be an integer >= 1; got None."),
    (
        checks.check_logits,
        [],
        "`value` must have at least one outcome in the last axis; got shape (0,).",
    ),
    (
        checks.check_logits,
        3.0,
        "`value` must have at least one outcome in the last axis; got shape ().",
    ),
    (checks.check_logits, [0.0, NAN], "`value` must be finite or -inf; got nan."),
    (checks.check_logits, [0.0, INF], "`value` must be finite or -inf; got inf."),
    (
        checks.check_logits,
        np.array([[0.0, -INF], [-INF, -INF]]),
        "`value` must have a finite entry in every row; got only -inf in row (1,).",
    ),
    (checks.check_probabilities, [0.5, 0.4], "`value` must sum to 1; got 0.9."),
    (
        checks.check_probabilities,
        [0.6, -0.5],
        "`value` must be probabilities, between 0 and 1, not logits",
    ),
    (checks.check_probabilities, [NAN, 1.0], "`value` must be probabilities, between 0 and 1"),
    (
        checks.check_probabilities,
        np.array([0.3, 0.3, 0.39], np.float32),
        "`value` must sum to 1; got 0.99",
    ),
]

ACCEPTED = [
    (checks.check_temperature, 0),
    (checks.check_temperature, INF),
    (checks.check_temperature, jnp.array([0.0, 1.5])),
    (checks.check_positive, 1e-300),
    (checks.check_nonnegative, 0.0),
    (checks.check_fraction, np.array([0.0, 1.0])),
    (checks.check_count, 1),
    (checks.check_logits, [0.0, -INF]),
    (checks.check_logits, np.zeros((2, 3), np.float32)),
    (checks.check_logits, jnp.zeros(3, jnp.bfloat16)),
    (checks.check_probabilities, [[1.0, 0.0], [0.25, 0.75]]),
    (checks.check_probabilities, jnp.full(3, 1 / 3, jnp.bfloat16)),
    (checks.check_probabilities, np.array([0, 1])),
]


@pytest.mark.parametrize(("check", "value", "message"), REJECTED)
def test_rejects_and_says_why(check, value, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared below)
        check(value, "value")
    assert str(error.value).startswith(message)


@pytest.mark.parametrize(("check", "value"), ACCEPTED)
def test_returns_what_it_accepts(check, value):
    assert check(value, "value") is value


@pytest.mark.parametrize("check", sorted({check for check, *_ in REJECTED}, key=str))
def test_tracers_pass_unchecked(check):
    seen = jax.jit(lambda value: check(value, "value"))(jnp.array([-3.0, -INF]))
    np.testing.assert_array_equal(seen, [-3.0, -INF])


def test_shapes_are_static_and_checked_under_jit():
    with pytest.raises(ValueError, match="at least one outcome"):
        jax.jit(lambda value: checks.check_logits(value))(jnp.zeros((2, 0)))


def test_positive_temperature():
    assert checks.check_temperature(0.1, positive=True) == 0.1
    with pytest.raises(ValueError, match=r"`temperature` must be > 0; got 0\.0\."):
        checks.check_temperature(0.0, positive=True)


def test_counts_become_python_integers():
    for value in (np.int32(7), jnp.asarray(7), np.array(7)):
        count = checks.check_count(value, "num_samples")
        assert type(count) is int
        assert count == 7
    assert checks.check_count(0, "generation", minimum=0) == 0


def test_the_names_of_the_arguments_are_the_usual_ones():
    with pytest.raises(ValueError, match="`logits` must be finite"):
        checks.check_logits([NAN])
    with pytest.raises(ValueError, match="`probabilities` must sum"):
        checks.check_probabilities([0.1])
    with pytest.raises(ValueError, match="`temperature` must be"):
        checks.check_temperature(-1)


@pytest.mark.parametrize(
    ("value", "interval", "whole", "message"),
    [
        (0.0, "(0, 1]", False, "`value` must be in (0, 1]; got 0.0."),
        (np.array([1.0, 1.5]), "(0, 1]", False, "`value` must be in (0, 1]; got 1.5."),
        (INF, "[2, inf)", False, "`value` must be in [2, inf); got inf."),
        (NAN, "[2, inf]", False, "`value` must be in [2, inf]; got nan."),
        (2.5, "[2, inf)", True, "`value` must be a whole number in [2, inf); got 2.5."),
        (1, "[2, inf)", True, "`value` must be a whole number in [2, inf); got 1.0."),
    ],
)
def test_a_range_is_what_its_interval_says(value, interval, whole, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        checks.check_range(value, "value", interval, whole)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("value", "interval", "whole"),
    [
        (1.0, "(0, 1]", False),
        (INF, "(1, inf]", False),
        (2, "[2, inf)", True),
        (3.0, "[2, 3]", True),
    ],
)
def test_a_range_holds_its_closed_ends(value, interval, whole):
    assert checks.check_range(value, "value", interval, whole) is value
