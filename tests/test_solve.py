"""`solve` finds the law of a loop, or says what stands in the way."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp
from fixedpoint.laws.solve import Resampled, Wandering
from fixedpoint.loop.enumeration import enumerate_histories

LOGITS = jnp.array([0.7, 0.0, -1.3])


@pytest.mark.parametrize("learner", [fp.Refit(), fp.GradientFlow(time=np.inf)])
def test_full_training_on_the_exact_distribution_is_tempering(learner):
    solution = fp.solve(fp.Loop(sampler=fp.Temperature(0.8), learner=learner), LOGITS)
    assert solution.law == "tempering.logits"
    gaps = solution.logits(3) - solution.logits(3)[1]
    np.testing.assert_allclose(gaps, LOGITS / 0.8**3, rtol=1e-13)
    assert float(solution.rate()) == pytest.approx(1.25, rel=1e-15)
    np.testing.assert_array_equal(fp.simplex.probabilities(solution.limit()), [1, 0, 0])


def test_the_solution_is_what_the_loop_does():
    loop = fp.Loop(sampler=fp.Temperature(1.3))
    simulated = fp.run(loop, LOGITS, num_generations=6, observe=fp.simplex.probabilities)
    law = fp.simplex.probabilities(fp.solve(loop, LOGITS).logits(6))
    np.testing.assert_allclose(simulated.value[-1], law, rtol=1e-13)


@pytest.mark.parametrize("learner", [fp.Refit(), fp.GradientFlow(time=np.inf)])
@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6])
def test_full_training_on_final_answers_is_what_the_loop_does(temperature, learner):
    """Also with a reasoning and with an answer lost at the start, and in a batch."""
    logits = jnp.array([[0.7, 0.0, -1.3, 0.4, 0.1], [0.7, -jnp.inf, -1.3, 0.4, -jnp.inf]])
    learner = fp.FinalAnswer(["x", "x", "y", "y", "z"], learner)
    loop = fp.Loop(sampler=fp.Temperature(temperature), learner=learner)
    solution = fp.solve(loop, logits)
    assert solution.law == "tempering.final_answer"
    simulated = fp.run(loop, logits, num_generations=5, observe=fp.simplex.probabilities)
    law = fp.simplex.probabilities(solution.logits(5))
    np.testing.assert_allclose(simulated.value[-1], law, rtol=1e-6, atol=1e-12)
    assert float(solution.rate()) == pytest.approx(1 / temperature, rel=1e-15)


def test_the_limits_of_training_on_final_answers():
    """Cold: the answer most probable for each of its effective reasonings. Hot: their numbers."""
    logits = jnp.log(jnp.array([0.2, 0.2, 0.2, 0.4]))
    for temperature, expected in ((0.5, [0, 0, 0, 1]), (2.0, [0.25] * 4)):
        loop = fp.Loop(fp.Temperature(temperature), learner=fp.FinalAnswer(["x"] * 3 + ["y"]))
        limit = fp.simplex.probabilities(fp.solve(loop, logits).limit())
        np.testing.assert_allclose(limit, expected, rtol=1e-14)
        simulated = fp.run(loop, logits, 60, observe=fp.simplex.probabilities, save_at=[60])
        np.testing.assert_allclose(simulated.value[0], expected, rtol=1e-13)


def test_temperatures_of_several_samplers_multiply():
    both = fp.Loop(sampler=(fp.Temperature(0.5), fp.Temperature(2.0)))
    np.testing.assert_allclose(
        fp.simplex.probabilities(fp.solve(both, LOGITS).logits(7)),
        fp.simplex.probabilities(LOGITS),
        rtol=1e-14,
    )


@pytest.mark.parametrize(
    "learner", [fp.GradientFlow(time=0.5), fp.GradientSteps(step_size=0.1), fp.MixtureStep(0.3)]
)
def test_at_temperature_one_no_learner_moves(learner):
    loop = fp.Loop(sampler=fp.Temperature(1.0), learner=learner)
    solution = fp.solve(loop, LOGITS)
    assert solution.law == "tempering.fixed_point"
    simulated = fp.run(loop, LOGITS, num_generations=3, observe=fp.simplex.probabilities)
    expected = fp.simplex.probabilities(solution.logits(3))
    np.testing.assert_allclose(simulated.value[-1], expected, rtol=1e-14)


@pytest.mark.parametrize(
    ("parts", "part"),
    [
        ({"sampler": fp.TopK(2)}, "`sampler` TopK truncates"),
        ({"corpus": fp.Fresh(num_samples=10)}, "`corpus` Fresh draws finitely many samples"),
        ({"corpus": fp.Accumulated()}, "`corpus` Accumulated keeps all earlier data"),
        ({"learner": fp.GradientFlow(time=1.0)}, "`learner` GradientFlow stops after a finite"),
        (
            {
                "sampler": fp.Temperature(1.0),
                "corpus": fp.Fresh(10),
                "learner": fp.MixtureStep(0.1),
            },
            "`corpus` Fresh draws finitely many samples",
        ),
        ({"learner": fp.GradientSteps(step_size=0.1)}, "`learner` GradientSteps takes finitely"),
        ({"learner": fp.MixtureStep(0.1)}, "`learner` MixtureStep moves only part"),
        (
            {"learner": fp.FinalAnswer([0, 0, 1], fp.MixtureStep(0.1))},
            "`learner` FinalAnswer shows the answers alone",
        ),
    ],
)
def test_what_has_no_law_says_what_stands_in_the_way(parts, part):
    loop = fp.Loop(**{"sampler": fp.Temperature(0.8), **parts})
    with pytest.raises(fp.NoClosedForm, match=part):
        fp.solve(loop, LOGITS)


@pytest.mark.parametrize(
    ("temperature", "logits", "law"),
    [
        (0.7, LOGITS[:2], "flow.frozen_two_outcomes"),
        (1.6, LOGITS[:2], "flow.frozen_two_outcomes"),
        (np.inf, LOGITS, "flow.frozen_uniform_target"),
        (0.0, LOGITS, "flow.frozen_one_hot_target"),
    ],
)
def test_finite_training_is_flow(temperature, logits, law):
    learner = fp.GradientFlow(time=1.3, rtol=1e-11, atol=1e-12)
    loop = fp.Loop(sampler=fp.Temperature(temperature), learner=learner)
    solution = fp.solve(loop, logits)
    assert solution.law == law
    simulated = fp.run(loop, logits, num_generations=3, observe=fp.simplex.centre)
    np.testing.assert_allclose(
        fp.simplex.centre(solution.logits(3)), simulated.value[-1], rtol=1e-8, atol=1e-9
    )


def test_two_modes_at_zero_temperature_have_no_law_of_flow():
    loop = fp.Loop(sampler=fp.Temperature(0.0), learner=fp.GradientFlow(time=1.0))
    with pytest.raises(fp.NoClosedForm, match="one mode"):
        fp.solve(loop, jnp.array([1.0, 1.0, 0.0]))


def test_refits_to_own_samples_are_resampling():
    loop = fp.Loop(sampler=fp.TopK(2), corpus=fp.Fresh(num_samples=3))
    solution = fp.solve(loop, LOGITS)
    assert isinstance(solution, Resampled)
    assert solution.law == "resampling.heterozygosity"
    listed = enumerate_histories(loop, LOGITS, 2)
    exact = listed.mean(fp.simplex.heterozygosity(listed.logits[-1]))
    np.testing.assert_allclose(solution.heterozygosity(2), exact, rtol=1e-13)
    mean = listed.mean(fp.simplex.probabilities(listed.logits[-1]))
    np.testing.assert_allclose(solution.mean_probabilities(2), mean, atol=1e-15)
    np.testing.assert_allclose(solution.limit(), mean, atol=1e-15)
    assert solution.rate() == pytest.approx(2 / 3)


def test_single_steps_on_own_samples_wander():
    loop = fp.Loop(corpus=fp.Fresh(num_samples=2), learner=fp.GradientSteps(step_size=0.4))
    solution = fp.solve(loop, LOGITS)
    assert isinstance(solution, Wandering)
    assert solution.law == "traces.martingale"
    with pytest.raises(fp.NoClosedForm, match=r"no limit\(\); it has .*mean_logits"):
        solution.limit()
    listed = enumerate_histories(loop, LOGITS, 2)
    np.testing.assert_allclose(solution.mean_logits(2), listed.mean(listed.logits[-1]), atol=1e-14)
    square = listed.mean(jnp.sum((listed.logits[-1] - listed.logits[0]) ** 2, -1))
    assert 0.5 * float(solution.displacement_bound(2)) < square < solution.displacement_bound(2)


def test_bad_logits_are_named():
    with pytest.raises(ValueError, match="`logits`"):
        fp.solve(fp.Loop(), jnp.array([0.0, np.nan]))
