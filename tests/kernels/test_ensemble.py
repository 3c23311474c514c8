"""The integrator of many flows against diffrax, the tableau's conditions and its order."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.kernels import driver, ensemble
from fixedpoint.laws.online import two_outcomes
from fixedpoint.loop.flow import _growing_steps, _grows_from_rounding, _side_by_side

TIMES = jnp.array([0.0, 0.5, 6.0])
LATE, ONE_TWO = jnp.array([60.0]), jnp.array([1.0, 2.0])


def starts(number=70):
    logits = 2 * np.random.default_rng(1).normal(size=(number, 5))
    logits[3, 2] = logits[7, :2] = -np.inf
    return jnp.asarray(logits + 3.0)


def test_tableau_is_that_of_diffrax():
    theirs = diffrax.Dopri8.tableau
    for row, other in zip(ensemble.A, theirs.a_lower, strict=False):
        np.testing.assert_array_equal(row, other)
    np.testing.assert_array_equal((*ensemble.B, 0), theirs.b_sol)
    error = np.subtract(ensemble.B, ensemble.B_SEVENTH)
    np.testing.assert_array_equal((*error, 0), theirs.b_error)


def solve(logits, num_steps, frozen=False, temperature=0.6, time=8.0):
    return driver.run(
        ensemble.integrate,
        [logits],
        [
            temperature,
            jnp.array([time / num_steps]),
            jnp.ones(1),
            jnp.array([num_steps]),
            jnp.array([1.0, 0.0]),
        ],
        static=(frozen,),
        tile=len(logits),
        axis=1,
    )


@pytest.mark.long
def test_order_is_eight_and_the_estimate_is_no_underestimate():
    logits = starts(20)
    exact, _ = solve(logits, 128)
    errors, estimates = [], []
    for number in (4, 8):
        states, estimate = solve(logits, number)
        errors.append(float(jnp.nanmax(jnp.abs(states - exact))))
        estimates.append(float(estimate.max()))
    assert 7.3 < np.log2(errors[0] / errors[1]) < 9.5
    assert all(e > 1e-14 for e in errors)
    assert all(a > b for a, b in zip(estimates, errors, strict=True))


@pytest.mark.long
@pytest.mark.parametrize("frozen", [False, True])
def test_many_flows_are_those_of_one_at_a_time(frozen):
    logits, loop = starts(), fp.Loop(sampler=fp.Temperature(0.6))
    many = fp.flow(loop, logits, TIMES, frozen=frozen)
    tight = {"solver": diffrax.Dopri8(), "rtol": 1e-12, "atol": 1e-12}
    own = fp.flow(loop, logits, TIMES, frozen=frozen, **tight)
    assert many.value.shape == own.value.shape == (3, 70, 5)
    np.testing.assert_allclose(many.value, own.value, rtol=0, atol=1e-9)
    assert np.any(many.value != own.value)
    np.testing.assert_allclose(many.value[0], logits, rtol=0, atol=1e-14)
    np.testing.assert_array_equal(many.value == -np.inf, own.value == -np.inf)
    assert many.successful.shape == (70,)
    assert many.successful.all()


@pytest.mark.long
@pytest.mark.parametrize("frozen", [False, True])
def test_logits_whose_weights_no_double_holds_move_as_they_should(frozen):
    """A hot teacher draws what has a logit of −900, and it comes up by hundreds."""
    logits = starts().at[:, 4].add(-900.0)
    loop, times = fp.Loop(sampler=fp.Temperature(3000.0)), jnp.array([2000.0])
    many = fp.flow(loop, logits, times, frozen=frozen, rtol=1e-9, atol=1e-9)
    tight = {"solver": diffrax.Dopri8(), "rtol": 1e-11, "atol": 1e-11}
    own = fp.flow(loop, logits[::10], times, frozen=frozen, **tight)
    np.testing.assert_allclose(many.value[:, ::10], own.value, rtol=1e-9, atol=1e-9)
    assert np.all(many.value[0, :, 4] - logits[:, 4] > 250)


@pytest.mark.long
@pytest.mark.parametrize(
    ("temperature", "frozen", "time"),
    [
        (0.5, False, 1.0),
        (0.5, False, 30.0),
        (1.2, False, 100.0),
        (3.0, False, 10.0),
        (0.5, True, 100.0),
        (1.5, True, 10.0),
    ],
)
@pytest.mark.parametrize("tolerance", [1e-6, 1e-9])
def test_the_tolerance_is_kept_by_every_one_of_many(temperature, frozen, time, tolerance):
    logits = 2 * np.random.default_rng(2).normal(size=(3000, 16))
    loop = fp.Loop(sampler=fp.Temperature(temperature))

    def solved(tolerance):
        options = {"frozen": frozen, "rtol": tolerance, "atol": tolerance}
        return np.asarray(fp.flow(loop, logits, [time], **options).value[0])

    exact = solved(1e-12)
    unit = tolerance * (1 + np.abs(exact))
    worst = (np.abs(solved(tolerance) - exact) / unit).max()
    assert 1e-4 < worst < 1


@pytest.mark.long
def test_observables_and_leading_axes_are_the_same():
    logits, loop = starts().reshape(7, 10, 5), fp.Loop(sampler=fp.Temperature(1.5))
    result = fp.flow(loop, logits, TIMES, observe={"S": fp.simplex.entropy})
    assert result.value["S"].shape == (3, 7, 10)
    assert result.successful.shape == (7, 10)
    alone = fp.flow(loop, logits[2, 3], TIMES, observe={"S": fp.simplex.entropy})
    np.testing.assert_allclose(result.value["S"][:, 2, 3], alone.value["S"], rtol=1e-8)


@pytest.mark.parametrize(
    ("loop", "logits", "times"),
    [
        (fp.Loop(learner=fp.MixtureStep(0.1)), starts(), TIMES),
        (fp.Loop(learner=fp.GradientSteps(0.1, weight_decay=0.2)), starts(), TIMES),
        (fp.Loop(sampler=fp.TopK(2)), starts(), TIMES),
        (fp.Loop(sampler=fp.Temperature(0.0)), starts(), TIMES),
        (fp.Loop(corpus=fp.Mixed(jnp.full(5, 0.2), 0.1)), starts(), TIMES),
        (fp.Loop(), starts(10), TIMES),
        (fp.Loop(), starts(), jnp.array([1e9])),
        (fp.Loop(), starts().astype(jnp.float32), TIMES),
        (fp.Loop(sampler=fp.Temperature(0.5)), starts().at[9, 1:3].set(9 + 1e-12 * ONE_TWO), LATE),
        (fp.Loop(sampler=fp.Temperature(0.9)), 1e-9 * starts(), 20 * LATE),
    ],
)
def test_what_is_not_the_way_is_left_to_the_adaptive_integrator(loop, logits, times):
    tolerances = (1e-10, 1e-10)
    assert _side_by_side(loop, logits, times, False, tolerances, 100_000) is None


def test_a_gap_that_does_not_grow_may_be_small():
    tied = np.asarray(starts().at[9, 1:3].set(9 + 1e-12 * ONE_TWO))
    assert _grows_from_rounding(tied, 0.5, 60.0, 1e-10)
    assert not _grows_from_rounding(tied, 0.5, 6.0, 1e-10)  # its error is 1e-16 e³
    assert not _grows_from_rounding(tied, 1.5, 60.0, 1e-10)
    assert not _grows_from_rounding(tied, 0.5, 60.0, 1e-3)
    assert not _grows_from_rounding(np.where(tied > 9, 9.0, tied), 0.5, 60.0, 1e-10)  # a tie stays


@pytest.mark.slow
def test_many_nearly_uniform_models_leave_at_the_right_time():
    start = jnp.zeros((64, 2)).at[:, 0].set(jnp.logspace(-12, -3, 64))
    found = fp.flow(fp.Loop(sampler=fp.Temperature(0.5)), start, [40.0]).value[0]
    expected = two_outcomes(start[:, 0], 0.5, 40.0)
    np.testing.assert_allclose(found[:, 0] - found[:, 1], expected, rtol=1e-8)


def test_a_flow_within_a_transformation_is_adaptive():
    loop = fp.Loop(sampler=fp.Temperature(0.6))
    value = jax.jit(lambda logits: fp.flow(loop, logits, TIMES).value)(starts())
    np.testing.assert_allclose(value, fp.flow(loop, starts(), TIMES).value, rtol=0, atol=5e-9)


def test_growing_steps_fill_their_stretches():
    ends = np.array([0.0, 0.5, 0.5 + 1e-9, 6.0, 300.0])
    first, growth, number = _growing_steps(ends, 0.7, 1.2)
    durations, longest = np.diff(ends, prepend=0), []
    for h, g, n, duration in zip(first, growth, number, durations, strict=True):
        steps = h * g ** np.arange(n)
        np.testing.assert_allclose(steps.sum(), duration, rtol=1e-12)
        longest.append(steps.max(initial=0))
    assert max(longest) <= 1.2 * (1 + 1e-12)
    assert longest[3] <= 0.7 * (1 + 6 / 600)
    assert 0.6 * 300 / 1.2 < number.sum() < 300 / 0.7
