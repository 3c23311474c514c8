"""The SymPy twin of the loop is the loop: one generation of each part, by both."""

import inspect
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
import sympy as sp

import fixedpoint as fp
from fixedpoint import symbolic
from fixedpoint.laws.equation import evaluate, total
from fixedpoint.loop.enumeration import enumerate_histories

P = [sp.Rational(1, 2), sp.Rational(3, 10), sp.Rational(1, 5)]
Q = [sp.Rational(1, 10), sp.Rational(1, 10), sp.Rational(4, 5)]
START, REAL = np.log(np.array(P, float)), np.array(Q, float)

HALF, TENTH = sp.Rational(1, 2), sp.Rational(3, 10)
SAMPLERS = {
    "Temperature": (symbolic.Temperature(HALF), fp.Temperature(0.5)),
    "TopK": (symbolic.TopK(2), fp.TopK(2)),
    "Nucleus": (symbolic.Nucleus(sp.Rational(7, 10)), fp.Nucleus(0.7)),
    "MinP": (symbolic.MinP(HALF), fp.MinP(0.5)),
}
CORPORA = {
    "Exact": (symbolic.Exact(), fp.Exact()),
    "Fresh": (symbolic.Fresh(3), fp.Fresh(3)),
    "Mixed": (symbolic.Mixed(Q, TENTH, symbolic.Fresh(3)), fp.Mixed(REAL, 0.3, fp.Fresh(3))),
    "Pooled": (symbolic.Pooled(Q, TENTH, symbolic.Fresh(3)), fp.Pooled(REAL, 0.3, fp.Fresh(3))),
    "Curated": (
        symbolic.Curated([1, 3, 2], symbolic.Fresh(3)),
        fp.Curated(np.array([1.0, 3.0, 2.0]), fp.Fresh(3)),
    ),
}
LEARNERS = {
    "Refit": (symbolic.Refit(), fp.Refit()),
    "Refit with pseudo-counts": (symbolic.Refit(HALF), fp.Refit(0.5)),
    "MixtureStep": (symbolic.MixtureStep(sp.Rational(2, 5)), fp.MixtureStep(0.4)),
    "GradientSteps": (symbolic.GradientSteps(HALF, 2, TENTH), fp.GradientSteps(0.5, 2, None, 0.3)),
    "GradientFlow": (symbolic.GradientFlow(), fp.GradientFlow(float("inf"))),
    "FinalAnswer": (
        symbolic.FinalAnswer(["a", "b", "a"]),
        fp.FinalAnswer(["a", "b", "a"]),
    ),
}
WITHOUT_A_TWIN = {
    "Accumulated": "its data are of all generations: tested below, from one to the next",
}


def test_every_part_has_its_twin_and_its_case():
    parts = {
        name
        for name, part in vars(fp.loop).items()
        if inspect.isclass(part)
        and issubclass(part, (fp.loop.Sampler, fp.loop.Corpus, fp.loop.Learner))
        and not inspect.isabstract(part)
    }
    covered = {name.split()[0] for name in (*SAMPLERS, *CORPORA, *LEARNERS)}
    assert parts - set(WITHOUT_A_TWIN) == covered
    for name in covered:
        # The fields that a twin has are named as the loop's own.
        own = set(inspect.signature(getattr(symbolic, name)).parameters)
        assert own <= set(inspect.signature(getattr(fp, name)).parameters)


def expected(sampler, corpus, learner):
    loop = symbolic.Loop(sampler, corpus, learner)
    with np.errstate(all="ignore"):
        return float(symbolic.mean(loop, P, symbolic.heterozygosity))


def found(sampler, corpus, learner):
    loop = fp.Loop(sampler, corpus, learner)
    if not loop.stochastic:
        return float(fp.simplex.heterozygosity(loop.generation(jnp.asarray(START))[0]))
    end = enumerate_histories(loop, jnp.asarray(START), 1)
    return float(end.mean(fp.simplex.heterozygosity(end.logits[-1])))


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler(name):
    twin, part = SAMPLERS[name]
    rest, own = (symbolic.Fresh(3), symbolic.Refit()), (fp.Fresh(3), fp.Refit())
    np.testing.assert_allclose(found(part, *own), expected(twin, *rest), rtol=1e-13)


@pytest.mark.parametrize("name", LEARNERS)
def test_a_learner_of_exact_data_and_of_samples(name):
    twin, part = LEARNERS[name]
    hot, own = symbolic.Temperature(HALF), fp.Temperature(0.5)
    accuracy = 1e-7 if name == "GradientFlow" else 1e-13
    np.testing.assert_allclose(
        found(own, fp.Exact(), part), expected(hot, symbolic.Exact(), twin), rtol=accuracy
    )
    if name != "GradientFlow":  # endless training on data that lack an outcome never ends
        np.testing.assert_allclose(
            found(own, fp.Fresh(3), part), expected(hot, symbolic.Fresh(3), twin), rtol=accuracy
        )


@pytest.mark.parametrize("name", CORPORA)
def test_a_corpus_by_the_exact_chain(name):
    twin, part = CORPORA[name]
    wanted = expected(symbolic.Temperature(), twin, symbolic.Refit())
    if name == "Exact":
        assert found(fp.Temperature(1.0), part, fp.Refit()) == pytest.approx(wanted, rel=1e-14)
        return
    states = fp.chain.from_loop(fp.Loop(corpus=part), 3)
    row = states.first_generation(jnp.asarray(START))
    mean = sum(
        chance * row @ np.asarray(fp.simplex.heterozygosity(jnp.asarray(models)))
        for chance, models in states.models()
    )
    assert mean == pytest.approx(wanted, rel=1e-13)


def test_real_samples_by_the_exact_chain():
    twin = symbolic.Mixed(Q, sp.Rational(2, 5), symbolic.Fresh(3), 2)
    states = fp.chain.from_loop(fp.Loop(corpus=fp.Mixed(REAL, 0.4, fp.Fresh(3), num_real=2)), 3)
    row = states.first_generation(jnp.asarray(START))
    mean = sum(
        chance * row @ np.asarray(fp.simplex.heterozygosity(jnp.asarray(models)))
        for chance, models in states.models()
    )
    assert mean == pytest.approx(
        expected(symbolic.Temperature(), twin, symbolic.Refit()), rel=1e-13
    )


@pytest.mark.parametrize(
    "loop",
    [
        lambda n: symbolic.Loop(corpus=symbolic.Fresh(n)),
        lambda n: symbolic.Loop(corpus=symbolic.Pooled(Q, TENTH, symbolic.Fresh(n))),
        lambda n: symbolic.Loop(corpus=symbolic.Mixed(Q, sp.Rational(1, 4), symbolic.Fresh(n), 1)),
        lambda n: symbolic.Loop(
            symbolic.Temperature(HALF), symbolic.Fresh(n), symbolic.MixtureStep(HALF)
        ),
    ],
    ids=["fresh", "pooled", "stratified", "mixture step"],
)
def test_any_number_of_samples_is_every_number_of_samples(loop):
    n, p = sp.Symbol("n", integer=True, positive=True), symbolic.shares(3)
    general = symbolic.mean(loop(n), p, symbolic.heterozygosity)
    for number in (1, 2, 3):
        counted = symbolic.mean(loop(number), p, symbolic.heterozygosity)
        assert sp.simplify(general.subs(n, number) - counted) == 0


def test_means_of_exponentials_of_the_counts():
    n, eta = sp.Symbol("n", integer=True, positive=True), sp.Symbol("eta", positive=True)
    p = symbolic.shares(2)

    def odds(q):
        return sp.powsimp(sp.simplify(q[0] / q[1]))

    general = symbolic.mean(
        symbolic.Loop(corpus=symbolic.Fresh(n), learner=symbolic.GradientSteps(eta)), p, odds
    )
    for number in (1, 2):
        loop = symbolic.Loop(corpus=symbolic.Fresh(number), learner=symbolic.GradientSteps(eta))
        gap = general.subs(n, number) - symbolic.mean(loop, p, odds)
        assert abs(gap.subs({p[0]: sp.Rational(3, 10), eta: HALF}).evalf(30)) < 1e-25


def test_a_velocity_is_the_slope_of_the_loss():
    p, data = symbolic.shares(3), Q
    for learner in (symbolic.GradientFlow(), symbolic.GradientSteps(sp.Symbol("eta"))):
        wanted = [q - x for q, x in zip(data, p, strict=True)]
        assert [
            sp.simplify(v - w) for v, w in zip(learner.velocity(p, data), wanted, strict=True)
        ] == [0] * 3


@pytest.mark.parametrize("wrong", [0, 1])
def test_what_has_no_formula_says_so(wrong):
    p = symbolic.shares(2)
    if wrong:
        with pytest.raises(ValueError, match="`time` must be oo"):
            symbolic.next_model(symbolic.Loop(learner=symbolic.GradientFlow(sp.Symbol("tau"))), p)
    else:
        with pytest.raises(ValueError, match="`p` must be numbers"):
            symbolic.TopK(1)(p)


def test_a_loop_says_what_it_does():
    n, T = sp.symbols("n T", positive=True)
    loop = symbolic.Loop(symbolic.Temperature(T), symbolic.Fresh(n), symbolic.Refit())
    assert loop.words() == "Draws at temperature T; n fresh samples a generation; full training."


def test_logits_that_add_up_to_0_take_the_step_itself():
    eta, (first, *others) = sp.Symbol("eta", positive=True), symbolic.shares(3)
    data = [sp.Rational(1, 6), sp.Rational(1, 3), sp.Rational(1, 2)]
    p = [first, *others]
    moved = symbolic.centred_logits(symbolic.GradientSteps(eta)(p, data))
    for after, before, x, d in zip(moved, symbolic.centred_logits(p), p, data, strict=True):
        assert sp.expand(after - before - eta * (d - x)) == 0


@pytest.mark.parametrize("over", [-2, -1, 0, 1, 3])
def test_sums_and_products_are_unrolled_to_the_same_end(over):
    n, j = sp.symbols("n j", integer=True, positive=True)
    h: Any = sp.IndexedBase("h", positive=True)
    for node in (sp.Sum, sp.Product):
        whole = node(h[j] + j, (j, 1, n + over))
        unrolled = symbolic.unrolled(whole, n)
        assert {limits[2] for part in unrolled.atoms(node) for limits in part.limits} == {n}
        assert sp.simplify((unrolled / whole).subs(n, 5).doit()) == 1


def test_a_part_is_said_on_one_line() -> None:
    beta = sp.Symbol("beta")
    tau: Any = sp.IndexedBase("tau")
    assert symbolic.Temperature(1 / beta).words() == "draws at temperature 1/β"
    assert symbolic.Temperature(tau[2]).words() == "draws at temperature τ₂"


def test_what_vanishes_is_told_from_what_does_not() -> None:
    x, y, T = sp.symbols("x y T", positive=True)
    power = sp.exp(sp.log(x) / T, evaluate=False)
    assert symbolic.elementary(power / (power + y) + y / (y + x ** (1 / T)) - 1) == 0
    assert symbolic.elementary(sp.log(x**T * y) - T * sp.log(x) - sp.log(y)) == 0
    assert symbolic.elementary(power - x**T) != 0


def test_an_answer_is_compared_at_numbers_to_fifty_digits() -> None:
    x = sp.Symbol("x", positive=True)
    right = symbolic.at_numbers(sp.sqrt(x), [({x: 2}, sp.sqrt(2))], "the root of 2", x=2)
    near = sp.sqrt(2) + sp.Rational(1, 10**30)
    wrong = symbolic.at_numbers(sp.sqrt(x), [({x: 2}, near)], "nearly the root of 2", x=2)
    assert right.closes()
    assert not wrong.closes()


def test_outcomes_that_survive_are_counted_among_numbers_of_sympy() -> None:
    assert symbolic.num_surviving([HALF, sp.Integer(0), HALF]) == 2
    with pytest.raises(ValueError, match="`p` must be numbers"):
        symbolic.num_surviving(symbolic.shares(2))


def test_the_generator_of_refits_is_that_of_the_wright_fisher_diffusion() -> None:
    n, p = sp.Symbol("n", integer=True, positive=True), symbolic.shares(3)
    loop = symbolic.Loop(corpus=symbolic.Fresh(n))
    found = symbolic.generator(loop, symbolic.heterozygosity, p, n)
    assert sp.expand(found + symbolic.heterozygosity(p)) == 0
    entropy = symbolic.generator(loop, symbolic.entropy, p, n)
    assert symbolic.elementary(entropy + 1) == 0  # (K − 1)/2


def test_a_mean_some_generations_later_is_that_of_the_histories() -> None:
    loop = symbolic.Loop(corpus=symbolic.Fresh(2))
    end = enumerate_histories(fp.Loop(corpus=fp.Fresh(2)), jnp.asarray(START), 3)
    expected = end.mean(fp.simplex.heterozygosity(end.logits[-1]))
    found = symbolic.mean_after(loop, tuple(P), symbolic.heterozygosity, 3)
    assert float(found) == pytest.approx(float(expected), rel=1e-13)


def test_a_limit_that_is_0_is_told_from_one_that_is_not() -> None:
    x, y = sp.symbols("x y", positive=True)
    assert symbolic.vanishes_towards(x, 0)(x * sp.log(x) * y) == 0
    assert symbolic.vanishes_towards(x, sp.oo)((sp.log(1 + y / x) * x - y) / y) == 0
    assert symbolic.vanishes_towards(x, 1, "-")(sp.log(x) / (2 - x)) == 0
    assert symbolic.vanishes_towards(x, sp.oo)(x * sp.log(1 + y / x)) != 0
    assert symbolic.vanishes_towards(x, 0)(x ** sp.Rational(1, 100) + y) != 0


def test_formulas_over_the_outcomes() -> None:
    i, l = sp.symbols("i l", integer=True, positive=True)  # noqa: E741
    theta: Any = sp.IndexedBase("theta", real=True)
    model = symbolic.written_out(symbolic.probability(inverse_temperature=2), P)
    assert [sp.cancel(x) for x in model] == symbolic.Temperature(HALF)(P)
    # How many come before or with an outcome, among equals in their order.
    place = total(symbolic.NotAfter(theta, l, i), l)
    numbers = {theta: [0.3, 1.2, 0.3, -1.0]}
    assert [int(x) for x in evaluate(place, numbers)] == [2, 1, 3, 4]
    z = sp.Symbol("z")
    assert [evaluate(symbolic.unit_step(z), {z: x}) for x in (-1, 0, 2)] == [0, 0, 1]


def test_the_speeds_are_those_of_small_steps():
    step = 1e-6
    for learner, own, read in (
        (symbolic.GradientSteps(1), fp.GradientSteps(step), fp.simplex.centre),
        (symbolic.MixtureStep(1), fp.MixtureStep(step), fp.simplex.probabilities),
    ):
        loop = symbolic.Loop(symbolic.Temperature(HALF), learner=learner)
        speeds = np.array([sp.N(v) for v in symbolic.velocity(loop, P)], float)
        moved = fp.Loop(fp.Temperature(0.5), learner=own).generation(jnp.asarray(START))[0]
        change = np.asarray(read(moved) - read(jnp.asarray(START))) / step
        np.testing.assert_allclose(change, speeds, rtol=1e-4)
    z = sp.Symbol("z")
    loop = symbolic.Loop(learner=symbolic.GradientSteps(1))
    assert sp.simplify(symbolic.gap_speed(loop, z)) == 0
    taught = symbolic.gap_speed(loop, z, teacher=2 * z).subs(z, 1)
    assert float(taught) == pytest.approx(2 / (1 + np.exp(-2)) - 2 / (1 + np.exp(-1)))


def test_the_largest_entry_is_that_and_what_vanishes_is_seen():
    theta = sp.IndexedBase("theta", real=True)
    function = sp.lambdify([theta], symbolic.Largest(theta), "mpmath")
    assert function([float("nan"), 1, 3, 2]) == 3
    z = sp.Symbol("z", real=True)
    assert symbolic.rational(1 / (1 + sp.exp(-z)) - sp.exp(z) / (1 + sp.exp(z))) == 0
    assert symbolic.rational(1 / (1 + sp.exp(-z)) - sp.exp(z)) != 0


ACCUMULATED = symbolic.Loop(
    symbolic.Temperature(HALF), symbolic.Accumulated(initial_weight=sp.Rational(5, 2))
)


def test_a_loop_that_keeps_all_data_from_one_generation_to_the_next():
    loop = fp.Loop(fp.Temperature(0.5), fp.Accumulated(initial_weight=2.5))
    models = fp.run(loop, jnp.asarray(START), 3, observe=fp.simplex.probabilities).value
    for t in range(3):
        step = symbolic.at_generation(ACCUMULATED, t)
        after = symbolic.next_model(step, [sp.Float(float(x), 30) for x in models[t]])
        np.testing.assert_allclose(np.array(after, float), models[t + 1], rtol=1e-13)


def test_sampled_initial_data_come_first():
    loop = symbolic.Loop(corpus=symbolic.Accumulated(symbolic.Fresh(4), 2, 8))
    first, *later = [symbolic.at_generation(loop, t) for t in range(3)]
    assert (first.corpus, first.learner) == (symbolic.Fresh(8), symbolic.Refit())
    # 8 real samples have the weight of two corpora of 4.
    assert [step.learner.step_size for step in later] == [sp.Rational(1, 3), sp.Rational(1, 4)]
    own = symbolic.shares(2)
    shared = symbolic.mean(later[0], own, symbolic.heterozygosity)
    assert sp.simplify(shared / symbolic.heterozygosity(own) - (1 - sp.Rational(1, 36))) == 0
    with pytest.raises(ValueError, match="without a window"):
        symbolic.at_generation(symbolic.Loop(corpus=symbolic.Accumulated(window=3)), 1)
    with pytest.raises(ValueError, match="`at_generation`"):
        symbolic.mean(loop, own, symbolic.heterozygosity)
