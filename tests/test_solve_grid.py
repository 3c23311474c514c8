"""Every sampler with every corpus and every learner: `solve` refuses truly, or is what happens.

The grid has each option of each part at neutral and at other values, samplers in two orders,
temperatures 0, 1, ∞ and between, and models of one to three outcomes, tied and lost ones among
them. A loop is followed generation by generation, in all its histories where it draws a corpus: the
part that draws is replaced by one that is told what was drawn. A gradient flow is followed by an
integrator of its own, so that nothing is compiled loop by loop.
"""

import dataclasses
import importlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import Array

import fixedpoint as fp
from fixedpoint import loop as parts
from fixedpoint.laws.solve import Resampled, Wandering
from fixedpoint.loop.corpora import logarithm
from fixedpoint.loop.enumeration import all_counts

INF = float("inf")
GENERATIONS = (0, 1, 2, 7)
NUM_PATHS = 3**7
"""Histories or replicates of a loop, always as many: arrays of one shape share what is compiled."""


# --- parts of one's own, also such as pass for one that is known ----------------------------------


class Masked(fp.loop.Sampler):
    def __call__(self, logits):
        return logits.at[..., 0].add(-0.5)


class Warmer(fp.Temperature):
    def __call__(self, logits):
        return logits / (self.temperature + 0.5)


class Dimmed(fp.Exact):
    def __call__(self, drawn, memory, key):
        return fp.loop.Target(0.9 * drawn, jnp.inf), None


class Halfway(fp.Refit):
    def __call__(self, logits, target, key):
        return (logits + target.logits) / 2


# --- the grid -------------------------------------------------------------------------------------

TEMPERATURES = [fp.Temperature(T) for T in (1.0, 0.0, INF, 0.5, 1.7)]
CUTS = [
    *(fp.TopK(k) for k in (1, 2, 9)),
    *(fp.Nucleus(mass) for mass in (1.0, 0.7, 0.0)),
    *(fp.MinP(ratio) for ratio in (0.0, 0.4, 1.0)),
]
SAMPLERS = [
    (),
    *((one,) for one in (*TEMPERATURES, *CUTS, Masked(), Warmer(1.0))),
    *(pair for a in TEMPERATURES[1:] for b in CUTS for pair in ((a, b), (b, a))),
    *((fp.Temperature(a), fp.Temperature(b)) for a, b in ((0.5, 2), (0, INF), (INF, 0))),
    (fp.Temperature(0.5), fp.TopK(2), fp.Temperature(2.0)),
]


def corpora(K: int) -> list[fp.loop.Corpus]:
    """Each corpus alone, around samples, and around another that does nothing."""
    real, even = jnp.arange(1.0, K + 1) / (K * (K + 1) / 2), jnp.full(K, 0.3)
    odds, flat = jnp.arange(2.0, K + 2), jnp.full(K, 1 / K)
    few = fp.Fresh(2)
    return [
        fp.Exact(),
        few,
        fp.Fresh(1),
        *(fp.Mixed(real, a, inner) for a in (0.0, 0.4) for inner in (fp.Exact(), few)),
        *(fp.Mixed(q, a, num_real=2) for q, a in ((real, 0.0), (flat, 0.4))),
        *(fp.Pooled(real, 0.0, inner) for inner in (fp.Exact(), few)),
        *(fp.Pooled(flat, 0.4, inner) for inner in (fp.Exact(), few)),
        *(fp.Accumulated(inner) for inner in (fp.Exact(), few, fp.Pooled(real, 0.0))),
        fp.Accumulated(initial_weight=3.0),
        fp.Accumulated(few, initial_samples=4),
        fp.Accumulated(few, window=2),
        *(fp.Curated(w, inner) for w in (even, odds) for inner in (fp.Exact(), few)),
        fp.Curated(odds.at[-1].set(0.0) if K > 1 else odds),
        fp.Curated(even, fp.Mixed(real, 0.0, fp.Pooled(real, 0.0, few))),
        Dimmed(),
    ]


def learners(K: int) -> list[fp.loop.Learner]:
    """Each learner alone, and shown the final answers only: some, all different, and one."""
    plain = [
        fp.Refit(),
        fp.Refit(pseudo_counts=0.5),
        fp.GradientSteps(0.3),
        fp.GradientSteps(0.3, num_steps=3),
        fp.GradientSteps(0.3, weight_decay=0.1),
        fp.GradientSteps(0.3, batch_size=4),
        fp.GradientSteps(0.3, batch_size=4, num_steps=3),
        fp.GradientSteps(0.4, start="initial"),
        fp.GradientSteps(0.4, batch_size=2, start="initial"),
        *(fp.MixtureStep(eta) for eta in (0.0, 0.3, 1.0)),
        *(fp.MixtureStep(eta, start="initial") for eta in (0.3, 1.0)),
        *(fp.GradientFlow(time) for time in (0.0, 0.7, INF)),
        *(fp.GradientFlow(time, start="initial") for time in (0.7, INF)),
    ]
    pairs, distinct = [0, *range(K - 1)], list(range(K))
    inner = [plain[i] for i in (0, 1, 2, 4, 5, 9, 10, 11, 13, 15, 16)]
    return [
        *plain,
        *(fp.FinalAnswer(pairs, learner) for learner in inner),
        *(fp.FinalAnswer(distinct, plain[i]) for i in (0, 2, 5)),
        fp.FinalAnswer([1] * K),
        fp.FinalAnswer(pairs, Halfway()),
        Halfway(),
    ]


MODELS = {
    1: jnp.array([[0.3]]),
    2: jnp.array([[0.4, -0.3], [0.2, 0.2], [0.1, -jnp.inf]]),
    3: jnp.array([[0.7, 0.0, -1.3], [0.7, -0.2, 0.7], [-0.4, -jnp.inf, 0.7], [-0.5, -0.5, -0.5]]),
}
LAWS = {
    "tempering.logits",
    "tempering.fixed_point",
    "families.final_answer",
    "flow.frozen_two_outcomes",
    "flow.frozen_uniform_target",
    "flow.frozen_one_hot_target",
    "resampling.heterozygosity",
    "traces.martingale",
}


def grid(stride: int) -> Iterator[Any]:
    """Every so manieth of the 642,816 loops: (number of outcomes, the three parts, the model)."""
    for K, models in MODELS.items():
        axes = SAMPLERS, corpora(K), learners(K), range(len(models))
        sizes = [len(axis) for axis in axes]
        for number in range(0, math.prod(sizes), stride):
            places = np.unravel_index(number, sizes)
            yield K, *(axis[i] for axis, i in zip(axes, places, strict=True))


# --- following a loop -----------------------------------------------------------------------------


class Given(fp.loop.Corpus):
    """Stands for `Fresh`: what was drawn is known, and what it was drawn from is remembered."""

    counts: Array

    @property
    def stochastic(self):
        return False

    def initial(self, logits):
        return logits

    def __call__(self, drawn, memory, key):
        num_samples = int(self.counts[0].sum())
        return fp.loop.Target(logarithm(self.counts / num_samples), num_samples), drawn


class Flowing(fp.loop.Learner):
    """Stands for `GradientFlow`: classical Runge-Kutta steps, or the end that they lead to."""

    time: float
    start: str = eqx.field(static=True)

    def __call__(self, logits, target, key):
        alive = logits > -jnp.inf
        wanted = jnp.where(alive, target.logits, -jnp.inf)
        if self.time == INF:
            return wanted
        moved = runge_kutta(jnp.where(alive, logits, 0), alive, wanted, self.time)
        return jnp.where(alive, moved, -jnp.inf)


@jax.jit
def runge_kutta(theta, alive, wanted, time):
    def slope(x):
        model = fp.simplex.probabilities(jnp.where(alive, x, -jnp.inf))
        return jnp.where(alive, fp.simplex.probabilities(wanted) - model, 0)

    def step(_, x):
        h = time / 40
        a = slope(x)
        b = slope(x + h / 2 * a)
        c = slope(x + h / 2 * b)
        return x + h / 6 * (a + 2 * b + 2 * c + slope(x + h * c))

    return jax.lax.fori_loop(0, 40, step, theta)


def leaf(corpus: Any) -> Any:
    """What is inside all the wrappers."""
    return leaf(corpus.corpus) if hasattr(corpus, "corpus") else corpus


def told(corpus: Any, counts: Array) -> Any:
    """The corpus with the samples given."""
    if isinstance(corpus, fp.Fresh):
        return Given(counts)
    return eqx.tree_at(lambda c: c.corpus, corpus, told(corpus.corpus, counts))


def flowing(learner: Any) -> Any:
    if isinstance(learner, fp.FinalAnswer):
        return eqx.tree_at(lambda one: one.learner, learner, flowing(learner.learner))
    if isinstance(learner, fp.GradientFlow):
        return Flowing(float(learner.time), learner.start)
    return learner


class Paths(NamedTuple):
    """All that may happen: the chance of each path (alike for replicates), and its models."""

    chance: np.ndarray
    models: dict[int, Array]
    are_replicates: bool

    def mean(self, values: Any) -> np.ndarray:
        weight = self.chance.reshape(-1, *(1,) * (values.ndim - 1))
        return np.where(weight > 0, weight * np.asarray(values), 0).sum(0)


def follow(loop: fp.Loop, model: Array) -> Paths:
    """The loop, generation by generation, without a program of its own."""
    key, K = jax.random.key(3), model.shape[-1]
    loop = eqx.tree_at(lambda one: one.learner, loop, flowing(loop.learner))
    samples, batches = isinstance(leaf(loop.corpus), fp.Fresh), loop.learner.stochastic
    last, counts = GENERATIONS[-1], np.ones((1, K))
    if samples:
        counts = all_counts(K, leaf(loop.corpus).num_samples)
    while len(counts) ** last > NUM_PATHS:
        last -= 1
    # Written in base "number of corpora", a path's number spells the corpora it draws.
    path, orders = np.arange(NUM_PATHS), math.factorial(int(counts[0].sum()))
    ways = orders / np.array([math.prod(map(math.factorial, c)) for c in counts.astype(int)])
    initial = state = jnp.tile(model, (NUM_PATHS, 1))
    chance, memory = np.where(path < len(counts) ** last, 1.0, 0.0), None
    if batches:
        chance = np.full(NUM_PATHS, 1 / NUM_PATHS)
    models = {0: state}
    for t in range(1, last + 1):
        now = loop
        drawn = path // len(counts) ** (t - 1) % len(counts)
        seen = counts[drawn].astype(float)
        if samples:
            now = eqx.tree_at(lambda one: one.corpus, loop, told(loop.corpus, jnp.asarray(seen)))
        # As within `run`, where a path that cannot happen may be left without an outcome.
        step = partial(now.generation, initial=initial, key=jax.random.fold_in(key, t))
        lifted = jax.tree.map(lambda x: jnp.asarray(x)[None], (state, memory))
        moved = jax.vmap(lambda s, m, step=step: step(s, memory=m))(*lifted)
        state, memory = jax.tree.map(lambda x: x[0], moved)
        if samples:
            source = memory
            while isinstance(source, tuple):  # of an average, its weight and what is inside
                source = source[-1]
            p = np.asarray(fp.simplex.probabilities(source))
            chance = chance * ways[drawn] * np.prod(p**seen, -1)
        # What cannot happen may leave no model: it stays where it began, with a chance of 0.
        ended = ~jnp.isfinite(jnp.max(state, -1)) & ~(chance > 0)
        state = jnp.where(ended[:, None], initial, state)
        models[t] = state
    return Paths(chance, {t: models[t] for t in GENERATIONS if t <= last}, batches and not samples)


def check(solution: Any, loop: fp.Loop, model: Array) -> None:
    """The law is what the loop does: on every path, or in the mean over all of them."""
    paths = follow(loop, model)
    for t, state in paths.models.items():
        p = fp.simplex.probabilities(state)
        if isinstance(solution, Resampled):
            close(paths.mean(p), solution.mean_probabilities(t))
            close(paths.mean(fp.simplex.heterozygosity(state)), solution.heterozygosity(t))
        elif isinstance(solution, Wandering):
            alive = np.isfinite(model)
            moved = np.where(alive, np.asarray(state) - np.where(alive, model, 0), 0)
            bound = float(solution.displacement_bound(t))
            error = 5 * math.sqrt(bound / NUM_PATHS) if paths.are_replicates else 0
            close(paths.mean(moved), np.zeros(len(alive)), error)
            close(solution.mean_logits(t), model)
            assert paths.mean((moved**2).sum(-1)) <= bound * 1.1 + 1e-12
        else:
            possible = paths.chance > 0
            law = fp.simplex.probabilities(solution.logits(t))
            close(np.asarray(p)[possible], np.broadcast_to(law, (possible.sum(), len(model))))
    if isinstance(solution, Resampled):
        last = paths.models[max(paths.models)]
        close(paths.mean(fp.simplex.probabilities(last)), solution.limit())


def close(found: Any, expected: Any, error: float = 0.0) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-9 + error)


# --- what a refusal says --------------------------------------------------------------------------


def check_reason(loop: fp.Loop, model: Array, reason: str) -> None:
    """What stands in the way, taken away, no longer does; in the end there is a law."""
    for name in re.findall(r"fixedpoint\.[a-z_.]+\w", reason):
        module, function = name.rsplit(".", 1)
        assert hasattr(importlib.import_module(module), function), name
    for _ in range(6):
        [(kind, name)] = re.findall(r"^`(\w+)` (\w+) ", reason)
        before, loop = loop, without(loop, kind, name)
        assert loop is not before, f"{reason}: there is no such part in {before}"
        then = reason_of(loop, model)
        if then is None:
            return
        assert f"`{kind}` {name} " not in then, "it was not in the way"
        reason = then
    raise AssertionError(f"no end of reasons: {reason}")


def reason_of(loop: fp.Loop, model: Array) -> str | None:
    """Why there is no law; None if there is one."""
    try:
        fp.solve(loop, model)
    except fp.NoClosedForm as reason:
        return str(reason)
    return None


def without(loop: fp.Loop, kind: str, name: str) -> fp.Loop:
    """The loop with the named part neutral, if it has one."""
    if kind == "sampler":
        kept = tuple(s for s in loop.samplers if type(s).__name__ != name)
        changed = len(kept) < len(loop.samplers)
        return dataclasses.replace(loop, sampler=kept) if changed else loop
    part, neutral = getattr(loop, kind), {"corpus": fp.Exact(), "learner": fp.Refit()}[kind]
    inside = [part]
    while hasattr(inside[-1], kind):
        inside.append(getattr(inside[-1], kind))
    named = name in [type(one).__name__ for one in inside]
    return dataclasses.replace(loop, **{kind: neutral}) if named else loop


# --- the tests ------------------------------------------------------------------------------------


def examine(cases: Iterable[Any]) -> dict[str, int]:
    """Check each case; how many each law has answered."""
    answered: dict[str, int] = {}
    for K, sampler, corpus, learner, row in cases:
        loop, model = fp.Loop(sampler, corpus, learner), MODELS[K][row]
        try:
            reason = reason_of(loop, model)
            if reason is not None:
                check_reason(loop, model, reason)
                continue
            solution = fp.solve(loop, model)
            check(solution, loop, model)
        except AssertionError as error:
            raise AssertionError(f"{loop}, {model}: {error}") from None
        answered[solution.law] = answered.get(solution.law, 0) + 1
    return answered


def kinds(base: type) -> set[type]:
    """All parts of a kind that the package has."""
    below = set(base.__subclasses__())
    every = below.union(*map(kinds, below))
    own = {one for one in every if one.__module__.startswith("fixedpoint.")}
    # The example in `help(fp.loop)` makes parts of its own, where it is run.
    own = {one for one in own if one.__module__ != "fixedpoint.loop"}
    return {one for one in own if not one.__name__.startswith("_")}


def nested(part: Any) -> list[Any]:
    inner = [getattr(part, name) for name in ("corpus", "learner") if hasattr(part, name)]
    return [part, *itertools.chain(*map(nested, inner))]


@pytest.mark.parametrize("base", [fp.loop.Sampler, fp.loop.Corpus, fp.loop.Learner])
def test_every_option_of_every_part_is_in_the_grid(base):
    """A part or an option that is added to the package needs its values above."""
    every = [*itertools.chain(*SAMPLERS), *corpora(3), *learners(3)]
    every = list(itertools.chain(*map(nested, every)))
    assert {one for one in vars(parts).values() if isinstance(one, type) and issubclass(one, base)
            } - {base} == kinds(base), "a part is not exported"  # fmt: skip
    integrator = {"rtol", "atol", "max_steps", "endless"}  # how exactly a flow is followed
    for kind in kinds(base):
        found = [one for one in every if type(one) is kind]
        assert found, f"{kind.__name__} is not in the grid"
        for field in {one.name for one in dataclasses.fields(kind)} - integrator:
            values = {str(getattr(one, field)) for one in found}
            assert len(values) > 1, f"{kind.__name__}.{field} has one value in the grid"


def test_one_loop_in_five_thousand_is_refused_truly_or_has_a_law():
    refused = 0
    for K, sampler, corpus, learner, row in grid(5003):
        loop, model = fp.Loop(sampler, corpus, learner), MODELS[K][row]
        reason = reason_of(loop, model)
        if reason is not None:
            check_reason(loop, model, reason)
            refused += 1
    assert refused > 80


def test_what_does_nothing_hides_no_law():
    """Loops of most laws, each with parts that do nothing."""
    real, few, plain = jnp.array([0.1, 0.2, 0.7]), fp.Fresh(2), fp.Exact()
    hot, cold, mode = fp.Temperature(1.7), fp.Temperature(0.5), fp.Temperature(0.0)
    curated = fp.Curated(jnp.full(3, 0.2), fp.Pooled(real, 0.0, few))
    cases = [
        ((hot, fp.Nucleus(1.0)), fp.Mixed(real, 0.0), fp.MixtureStep(1.0), 0),
        ((fp.MinP(0.4), mode, fp.TopK(1)), fp.Curated(real, few), fp.Refit(), 0),
        ((fp.TopK(2), cold), plain, fp.Refit(pseudo_counts=1.0), 2),  # two are left
        ((), fp.Accumulated(initial_weight=3.0), fp.GradientSteps(0.3, start="initial"), 0),
        ((cold, fp.TopK(3)), plain, fp.GradientSteps(0.3), 3),  # all are alike
        ((cold, fp.TopK(2), fp.Temperature(2.0)), curated, fp.MixtureStep(1.0), 0),
        ((fp.MinP(0.0),), curated, fp.GradientSteps(0.3), 2),
        ((fp.Temperature(INF), fp.MinP(1.0)), plain, fp.GradientFlow(0.7), 2),
        ((mode,), few, fp.GradientFlow(0.7), 2),
    ]
    answered = examine([(3, *case) for case in cases])
    assert sum(answered.values()) == len(cases)
    assert LAWS - set(answered) == {"flow.frozen_two_outcomes", "families.final_answer"}


@pytest.mark.long
def test_one_loop_in_six_hundred_is_refused_truly_or_followed():
    answered = examine(grid(601))
    assert sum(answered.values()) > 200
    assert len(answered) >= 5


@pytest.mark.long
def test_plain_loops_are_refused_truly_or_followed():
    """Temperature alone and the exact corpus: where most laws are."""
    cases = [
        (K, (sampler,), fp.Exact(), learner, row)
        for K, models in MODELS.items()
        for sampler, row in itertools.product(TEMPERATURES, range(len(models)))
        for learner in learners(K)
        if not isinstance(learner, fp.FinalAnswer)
    ]
    answered = examine(cases)
    assert LAWS - set(answered) == {"resampling.heterozygosity", "families.final_answer"}
