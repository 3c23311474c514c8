"""`solve` finds the law of a loop, or says what stands in the way."""

import jax.numpy as jnp
import numpy as np
import pytest

import fixedpoint as fp

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
        ({"learner": fp.GradientSteps(step_size=0.1)}, "`learner` GradientSteps takes finitely"),
        ({"learner": fp.MixtureStep(0.1)}, "`learner` MixtureStep moves only part"),
    ],
)
def test_what_has_no_law_says_what_stands_in_the_way(parts, part):
    loop = fp.Loop(**{"sampler": fp.Temperature(0.8), **parts})
    with pytest.raises(fp.NoClosedForm, match=part):
        fp.solve(loop, LOGITS)


def test_bad_logits_are_named():
    with pytest.raises(ValueError, match="`logits`"):
        fp.solve(fp.Loop(), jnp.array([0.0, np.nan]))
