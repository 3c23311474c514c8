"""`solve` finds the law of a loop, or says what stands in the way."""

import jax
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
    assert solution.law == "families.final_answer"
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


def test_answers_whose_reasonings_are_alike_tie_for_ever():
    """In whatever order they are listed: sums in other orders differ in the last digit."""
    orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]]
    one = np.array([[0.7, 0.0, -1.3], [0.31, -0.53, 0.11], [-1.7, 0.3, 0.9]])
    rows = np.concatenate([np.hstack([one, one[:, order]]) for order in orders])
    loop = fp.Loop(fp.Temperature(0.7), learner=fp.FinalAnswer([0, 0, 0, 1, 1, 1]))
    solution = fp.solve(loop, jnp.array(rows))
    for logits in (solution.limit(), solution.logits(3_000)):
        p = fp.simplex.probabilities(logits)
        np.testing.assert_allclose(p[:, :3].sum(-1), 0.5, rtol=1e-13)


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
            "`learner` MixtureStep on finitely many samples moves only part",
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


def _shown(answers, learner):
    return learner if answers is None else fp.FinalAnswer(answers, learner)


@pytest.mark.parametrize("answers", [None, ["x", "x", "y", "z"]])
def test_weight_decay_moves_a_model_at_temperature_one(answers):
    """(1 - 0.3·0.1)⁵⁰ = 0.218 of every logit is left."""
    start = jnp.array([1.05, -0.35, 0.25, -0.95])
    loop = fp.Loop(learner=_shown(answers, fp.GradientSteps(0.3, weight_decay=0.1)))
    with pytest.raises(fp.NoClosedForm, match="`learner` GradientSteps pulls the logits to 0"):
        fp.solve(loop, start)
    if answers is None:
        last = fp.run(loop, start, 50, save_at=[50]).value[0]
        np.testing.assert_allclose(last, 0.97**50 * start, rtol=1e-12)


@pytest.mark.parametrize("answers", [None, ["x", "x", "y"]])
def test_batches_of_the_exact_distribution_are_samples(answers):
    """At T = 1 the reasonings that a model imputes to its own answers are its own, too."""
    learner = fp.GradientSteps(0.3, batch_size=4)
    solution = fp.solve(fp.Loop(learner=_shown(answers, learner)), LOGITS)
    assert isinstance(solution, Wandering)
    assert (solution.law, solution.num_samples, float(solution.step_size)) == (
        "traces.martingale",
        4,
        0.3,
    )
    for other in (
        fp.GradientSteps(0.3, batch_size=4, num_steps=2),
        fp.GradientSteps(0.3, batch_size=4, start="initial"),
    ):
        with pytest.raises(fp.NoClosedForm, match="`learner` GradientSteps sees random batches"):
            fp.solve(fp.Loop(learner=_shown(answers, other)), LOGITS)


def test_truncated_samples_begin_with_the_whole_model():
    """By hand: (.5, .3, .2) has 1 - .38 = .62; its two best, (5/8, 3/8), have 15/32."""
    loop = fp.Loop(fp.TopK(2), fp.Fresh(num_samples=3))
    solution = fp.solve(loop, jnp.log(jnp.array([0.5, 0.3, 0.2])))
    assert isinstance(solution, Resampled)
    found = [float(solution.heterozygosity(t)) for t in (0, 1, 2)]
    np.testing.assert_allclose(found, [0.62, 15 / 32 * 2 / 3, 15 / 32 * 4 / 9], rtol=1e-14)
    np.testing.assert_allclose(solution.mean_probabilities(0), [0.5, 0.3, 0.2], rtol=1e-14)
    np.testing.assert_allclose(solution.mean_probabilities(1), [0.625, 0.375, 0], rtol=1e-14)
    np.testing.assert_allclose(solution.limit(), [0.625, 0.375, 0], rtol=1e-14)
    tied = fp.solve(loop, jnp.log(jnp.array([0.2, 0.3, 0.25, 0.25])))  # the earlier of equals stays
    assert isinstance(tied, Resampled)
    np.testing.assert_allclose(tied.mean_probabilities(3), [0, 6 / 11, 5 / 11, 0], rtol=1e-14)


@pytest.mark.parametrize("cut", [fp.TopK(3), fp.TopK(50), fp.Nucleus(1.0), fp.MinP(0.0)])
@pytest.mark.parametrize("corpus", [fp.Exact(), fp.Fresh(3)])
def test_truncation_that_cuts_nothing_hides_no_law(cut, corpus):
    with_cut = fp.solve(fp.Loop((fp.Temperature(1.0), cut), corpus), LOGITS)
    without = fp.solve(fp.Loop(fp.Temperature(1.0), corpus), LOGITS)
    assert with_cut.law == without.law
    if not isinstance(with_cut, Resampled) or not isinstance(without, Resampled):
        np.testing.assert_array_equal(with_cut.logits(3), without.logits(3))
    else:
        np.testing.assert_array_equal(with_cut.heterozygosity(3), without.heterozygosity(3))


def test_truncation_of_some_rows_of_a_batch_is_truncation():
    rows = jnp.array([[0.7, 0.0, -jnp.inf], [0.7, 0.0, -1.3]])
    loop = fp.Loop((fp.Temperature(0.8), fp.TopK(2)))
    assert fp.solve(loop, rows[:1]).law == "tempering.logits"
    with pytest.raises(fp.NoClosedForm, match="TopK truncates"):
        fp.solve(loop, rows)


def test_parts_of_ones_own_are_called_so():
    """A subclass may do anything: it does not have the law of its parent."""

    class Halved(fp.Temperature):
        def __call__(self, logits):
            return logits / 2

    class Doubled(fp.Refit):
        def __call__(self, logits, target, key):
            return 2 * target.logits

    class Blurred(fp.Fresh):
        def __call__(self, drawn, memory, key):
            return fp.loop.Target(0.9 * drawn, jnp.inf), None

    for loop, part in (
        (fp.Loop(Halved(1.0)), "`sampler` Halved is none of the parts"),
        (fp.Loop(learner=Doubled()), "`learner` Doubled is none of the parts"),
        (fp.Loop(learner=fp.FinalAnswer([0, 0, 1], Doubled())), "`learner` Doubled is none"),
        (fp.Loop(corpus=Blurred(2)), "`corpus` Blurred is none of the parts"),
    ):
        with pytest.raises(fp.NoClosedForm, match=part):
            fp.solve(loop, LOGITS)


@pytest.mark.parametrize("temperature", [0.0, 0.8, 1.0, np.inf])
@pytest.mark.parametrize("learner", [fp.GradientFlow(0.0), fp.MixtureStep(0.0)])
def test_no_training_has_no_limit_of_full_training(temperature, learner):
    with pytest.raises(fp.NoClosedForm, match="does not train"):
        fp.solve(fp.Loop(fp.Temperature(temperature), learner=learner), LOGITS[:2])


def test_tied_reasonings_of_two_answers_at_zero_temperature():
    """By hand: 2/3 and 1/3 of the draws end with the answers; then the former has the modes."""
    logits = jnp.array([1.0, 1.0, 1.0, -1.0])
    loop = fp.Loop(fp.Temperature(0.0), learner=fp.FinalAnswer([0, 0, 1, 1]))
    share = 1 / (1 + np.exp(-2))
    values = fp.run(loop, logits, 2, observe=fp.simplex.probabilities).value
    expected = [[1 / 3, 1 / 3, share / 3, (1 - share) / 3], [0.5, 0.5, 0, 0]]
    np.testing.assert_allclose(values[1:], expected, rtol=1e-13)
    law = fp.solve(loop, logits)
    for generation in (0, 1, 2):
        p = fp.simplex.probabilities(law.logits(generation))
        np.testing.assert_allclose(p, values[generation], rtol=1e-13)
    np.testing.assert_allclose(fp.simplex.probabilities(law.limit()), expected[-1], rtol=1e-13)
    one_mode = fp.solve(loop, logits.at[2].add(1.0))
    np.testing.assert_allclose(
        fp.simplex.probabilities(one_mode.logits(1))[2:],
        [1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))],
    )


def test_answers_that_all_differ_show_all():
    answers = ["x", "z", "y"]
    solution = fp.solve(fp.Loop(corpus=fp.Fresh(4), learner=fp.FinalAnswer(answers)), LOGITS)
    assert isinstance(solution, Resampled)
    loop = fp.Loop(fp.Temperature(0.5), learner=fp.FinalAnswer(answers, fp.MixtureStep(1.0)))
    assert fp.solve(loop, LOGITS).law == "tempering.logits"


def test_models_of_equal_outcomes_rest_at_every_temperature():
    for temperature in (0.0, 0.7, np.inf):
        loop = fp.Loop(fp.Temperature(temperature), learner=fp.GradientSteps(0.3))
        solution = fp.solve(loop, jnp.array([-0.4, -jnp.inf, -0.4]))
        assert solution.law == "tempering.fixed_point"
        assert float(solution.rate()) == 1
        np.testing.assert_array_equal(solution.logits(5), [0, -jnp.inf, 0])


def test_samples_of_one_outcome_are_exact_unless_pseudo_counts_are_added():
    cold, few = fp.Temperature(0.0), fp.Fresh(2)
    assert fp.solve(fp.Loop(cold, few), LOGITS).law == "tempering.logits"
    for learner in (
        fp.Refit(pseudo_counts=0.5),
        fp.FinalAnswer([0, 0, 1], fp.Refit(pseudo_counts=0.5)),
    ):
        with pytest.raises(fp.NoClosedForm, match="`corpus` Fresh draws finitely many"):
            fp.solve(fp.Loop(cold, few, learner), LOGITS)
        loop = fp.Loop(corpus=few, learner=learner)
        with pytest.raises(
            fp.NoClosedForm, match=f"`learner` {type(learner).__name__} on finitely"
        ):
            fp.solve(loop, jnp.array([0.3, -jnp.inf, -jnp.inf]))


def test_parts_that_do_not_fit_the_outcomes_are_named():
    with pytest.raises(ValueError, match="`answers` must be one label for each of the 3"):
        fp.solve(fp.Loop(learner=fp.FinalAnswer([0, 1], fp.MixtureStep(0.3))), LOGITS)
    with pytest.raises(ValueError, match="`weights` must be one for each of the 3"):
        fp.solve(fp.Loop(corpus=fp.Curated(jnp.ones(4))), LOGITS)


def test_temperatures_of_a_batch():
    """One for each row; with T = 0 among them there is no law of two outcomes for all."""
    rows, learner = jnp.array([[0.3, 0.0], [-0.5, 0.1]]), fp.GradientFlow(1.0)
    loop = fp.Loop(fp.Temperature(jnp.array([0.5, 2.0])), learner=learner)
    solution = fp.solve(loop, rows)
    for row, T in enumerate((0.5, 2.0)):
        alone = fp.solve(fp.Loop(fp.Temperature(T), learner=learner), rows[row])
        np.testing.assert_allclose(solution.logits(2)[row], alone.logits(2), rtol=1e-13)
    with pytest.raises(fp.NoClosedForm, match="GradientFlow stops"):
        fp.solve(fp.Loop(fp.Temperature(jnp.array([0.5, 0.0])), learner=learner), rows)


def test_tied_answers_in_the_cold_rows_of_a_batch():
    rows = jnp.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.5]])
    learner = fp.FinalAnswer([0, 0, 1])
    # One half of the draws has each answer if its modes tie; else all have the mode's.
    mode = np.array([np.e, 1, 0]) / (1 + np.e)
    for cold, expected in ((0, [*mode[:2] / 2, 0.5]), (1, mode)):
        temperatures = jnp.array([0.5, 0.5]).at[cold].set(0.0)
        loop = fp.Loop(fp.Temperature(temperatures), learner=learner)
        p = fp.simplex.probabilities(fp.solve(loop, rows).logits(1))
        np.testing.assert_allclose(p[cold], expected, rtol=1e-13)


def test_zero_has_no_sign_and_a_loop_is_a_loop():
    assert float(fp.solve(fp.Loop(fp.Temperature(-0.0)), LOGITS).rate()) == np.inf

    class Twice(fp.Loop):
        pass

    for wrong in (Twice(), fp.Refit()):
        with pytest.raises(ValueError, match="`loop` must be a Loop"):
            fp.solve(wrong, LOGITS)  # pyright: ignore[reportArgumentType]


def test_what_is_traced_is_taken_for_neither_neutral_nor_extreme():
    temperatures = jnp.array([0.5, 1.0, 2.0])

    @jax.jit
    def last(logits, temperatures):
        def of(T):
            return fp.solve(fp.Loop((fp.Temperature(T), fp.TopK(3))), logits).logits(2)

        return jax.vmap(of)(temperatures)

    expected = [fp.solve(fp.Loop(fp.Temperature(T)), LOGITS).logits(2) for T in temperatures]
    np.testing.assert_allclose(last(LOGITS, temperatures), jnp.stack(expected), rtol=1e-14)

    def of_fraction(fraction):
        return fp.solve(fp.Loop(corpus=fp.Mixed(jnp.full(3, 1 / 3), fraction)), LOGITS).logits(1)

    with pytest.raises(fp.NoClosedForm, match="Mixed adds real data"):
        jax.jit(of_fraction)(0.0)


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


def test_sampled_initial_data_move_a_model_that_would_rest():
    logits = jnp.array([0.3, 1.0])
    resting = fp.solve(fp.Loop(corpus=fp.Accumulated(window=3)), logits)
    assert resting.law == "tempering.logits"
    with pytest.raises(fp.NoClosedForm, match="`corpus` Accumulated keeps all earlier data"):
        fp.solve(fp.Loop(corpus=fp.Accumulated(initial_samples=3)), logits)
