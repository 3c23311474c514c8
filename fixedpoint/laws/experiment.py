"""Experiments: numbers for the symbols of a claim's loop, and a road by which it is run.

What is run, what is read off and what the solution is given follow from the claim. An experiment
adds the numbers, and the error of what it observes, which is known beforehand:

    road            what it does                               error
    `listed`        all histories of a loop with few samples   rounding
    `exact`         runs a loop that draws nothing at random   the learner's
    `simulated`     the mean over replicates                   deviation/√replicates
    `charted`       the exact chain's distribution             rounding
    `lasting`       the exact chain's stationary distribution  rounding, or what a limit leaves
    `flowed`        a loop in continuous time                  the integrator's
    `changing`      how fast something changes in such a flow  that of three differences
    `followed`      many single traces over a long horizon     as stated
    `small_steps`   one generation, its step ever smaller      how far the last stage moved
    `measured`      what a function finds out about the loop   as stated
    `absorbed`      the exact chain, until one outcome is left rounding, or what a limit leaves

A process may also make an `Observation` by hand.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import sympy as sp

from fixedpoint import chain, simplex
from fixedpoint import loop as loops
from fixedpoint.laws.observation import Observation, Refinement
from fixedpoint.loop.enumeration import Histories, enumerate_histories

ROUNDING = 1e-12  # what summing a few thousand floats can lose
FLOW = 1e-9
"""What the integration of a flow may be off by: logits of ordinary size, over ordinary times."""

TIGHT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-14}
"""The tolerances with which it is integrated."""

Read = Callable[[Any, Callable[..., Any], Mapping[str, Any]], tuple[Any, dict[str, Any], str]]
"""A road: (loop, what is read off the logits, numbers) ↦ (value, its error, how it was found)."""


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run of a claim's loop, which is made when it is asked for.

    Attributes:
        road: how the loop is run.
        numbers: of the symbols of the claim and of its loop, by their names.
        parts: what takes the place of a part of the claim's loop, e.g. another learner that the
            claim is also about.
        unseen: numbers of symbols that the road does not look at, as a step that tends to 0.
    """

    road: Read
    numbers: Mapping[str, Any]
    parts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    unseen: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def observed(self, claim: Any) -> Observation:
        """Run it, and say what was run."""
        loop = loops.Loop(**{**built(claim.loop, self._values(claim)), **self.parts})
        read = getattr(simplex, claim.observe) if claim.observe else _itself
        value, error, how = self.road(loop, read, self.numbers)
        said = {**self.numbers, **{k: type(part).__name__ for k, part in self.parts.items()}}
        return Observation(
            what=", ".join([*(f"{name} = {_brief(v)}" for name, v in said.items()), how]),
            arguments={k: v for k, v in self.numbers.items() if k in claim.symbols},
            value=value,
            **error,
        )

    def _values(self, claim: Any) -> dict[Any, Any]:
        symbols = {**claim.symbols, **claim.given}
        numbers = {**self.unseen, **self.numbers}
        missing = [name for name in symbols if name not in numbers]
        if missing:
            raise ValueError(f"`numbers` must name every argument of {claim.label}; {missing} not.")
        return {symbol: numbers[name] for name, symbol in symbols.items()}


def built(loop: Any, values: Mapping[Any, Any]) -> dict[str, Any]:
    """The parts of a symbolic loop as those of `fixedpoint.loop`, by their names.

    Args:
        loop: a `fixedpoint.symbolic.Loop`.
        values: a number for each of its symbols; a vector of logits for an `IndexedBase`.

    Returns:
        The keyword arguments of `fixedpoint.Loop`.
    """
    scalars = {s: v for s, v in values.items() if not isinstance(s, sp.IndexedBase)}

    def part(value: Any) -> Any:
        if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value)]
            parameters = {name: part(getattr(value, name)) for name in names}
            return getattr(loops, type(value).__name__)(**parameters)
        if isinstance(value, sp.IndexedBase):  # logits in the claim, probabilities in the loop
            return jax.nn.softmax(jnp.asarray(values[value], float))
        if isinstance(value, (tuple, list)):
            return type(value)(map(part, value))
        if value is None or isinstance(value, str):
            return value
        number: Any = sp.sympify(value)
        entries = {e: float(values[e.base][e.indices[0] - 1]) for e in number.atoms(sp.Indexed)}
        number = number.subs({**scalars, **entries})
        return int(number) if number.is_integer else float(number)

    return {field.name: part(getattr(loop, field.name)) for field in dataclasses.fields(loop)}


def listed(
    of: Callable[[Histories], Any] | None = None, attained: bool = False, **numbers: Any
) -> Experiment:
    """The mean over all histories; or what `of` makes of them all."""

    def road(loop: Any, read: Any, numbers: Any) -> Any:
        found = enumerate_histories(loop, _start(numbers), numbers["generation"])
        value = of(found) if of else found.mean(read(found.logits[-1]))
        error = {"tolerance": ROUNDING, "attained": attained}
        return value, error, "all histories listed"

    return Experiment(road, numbers)


def exact(
    tolerance: float = ROUNDING, parts: Any = None, attained: bool = False, **numbers: Any
) -> Experiment:
    """A loop that draws nothing at random, with the learner's error."""

    def road(loop: Any, read: Any, numbers: Any) -> Any:
        last = numbers["generation"]
        runs = loops.run(loop, _start(numbers), last, observe=read, save_at=[last], progress=False)
        return runs.value[0], {"tolerance": tolerance, "attained": attained}, "run"

    return Experiment(road, numbers, parts or {})


def simulated(num_replicates: int, deviation: float, **numbers: Any) -> Experiment:
    """The mean over replicates of what has at most this standard deviation."""

    def road(loop: Any, read: Any, numbers: Any) -> Any:
        last = numbers["generation"]
        runs = loops.run(
            loop,
            _start(numbers),
            last,
            key=jax.random.key(1),
            num_replicates=num_replicates,
            observe=read,
            save_at=[last],
            progress=False,
        )
        error = {"standard_error": deviation / np.sqrt(num_replicates)}
        return runs.value[0].mean(0), error, f"{num_replicates:,} replicates"

    return Experiment(road, numbers)


def charted(num_outcomes: int = 2, **numbers: Any) -> Experiment:
    """The mean over the exact chain's distribution, from a model of whole counts."""

    def road(loop: Any, read: Any, numbers: Any) -> Any:
        states = chain.from_loop(loop, num_outcomes)
        start = np.exp(np.asarray(_start(numbers))) * loop.corpus.num_samples
        weights = chain.law(states, numbers["generation"], np.rint(start).astype(int))
        with np.errstate(divide="ignore"):
            models = jnp.log(jnp.asarray(states.counts, float))
        value = np.tensordot(weights, np.asarray(read(models)), 1)
        return value, {"tolerance": ROUNDING}, "the exact chain"

    return Experiment(road, numbers)


def lasting(
    read: Callable[[np.ndarray, np.ndarray], Any], tolerance: float = ROUNDING, **numbers: Any
) -> Experiment:
    """What is read off the exact chain's stationary law: (probabilities, models) ↦ value."""

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        states = chain.from_loop(loop, len(numbers["logits_real"]))
        law, weights, models = chain.stationary(states), [], []
        for chance, model in states.models():
            weights.append(chance * law)
            models.append(simplex.probabilities(model))
        value = read(np.concatenate(weights), np.concatenate(models))
        return value, {"tolerance": tolerance}, "the stationary law of the exact chain"

    return Experiment(road, numbers)


def continuous(road: Read, parts: Any = None, **numbers: Any) -> Experiment:
    """A loop in continuous time, by another road: its step tends to 0 and is not seen."""
    return Experiment(road, numbers, parts or {}, unseen={"step_size": 1.0})


def flowed(
    tolerance: float = FLOW,
    *,
    read: Any = None,
    frozen: bool = False,
    steps: tuple[int, ...] = (),
    parts: Any = None,
    **numbers: Any,
) -> Experiment:
    """A loop in continuous time, read off at the `time`: ever smaller steps on ever fresher data.

    Args:
        tolerance: the error of what is read off; `FLOW` is that of logits of ordinary size.
        read: what is read off the logits, if the claim does not say.
        frozen: whether the model of the beginning stays the teacher.
        steps: in how many generations the loop takes that time itself, with an error of order 1.
        parts: what takes the place of parts of the claim's loop.
        numbers: of the symbols; a step that tends to 0 needs none.
    """

    def road(loop: Any, observe: Any, numbers: Any) -> Any:
        start, time, observe = _start(numbers), numbers["time"], read or observe

        def stepped(count: int) -> Any:
            learner = dataclasses.replace(loop.learner, step_size=time / count)
            small = dataclasses.replace(loop, learner=learner)
            runs = loops.run(small, start, count, observe=observe, save_at=[count], progress=False)
            return runs.value[0]

        runs = loops.flow(loop, start, [time], observe=observe, frozen=frozen, **TIGHT)
        error: dict[str, Any] = {"tolerance": tolerance}
        if steps:
            sizes, values = [time / count for count in steps], list(map(stepped, steps))
            error["refinement"] = Refinement(1.0, sizes, values)
        return runs.value[0], error, "flow to a frozen teacher" if frozen else "flow"

    return continuous(road, parts, **numbers)


def changing(
    read: Any,
    tolerance: float = 1e-6,
    parts: Any = None,
    attained: bool = False,
    **numbers: Any,
) -> Experiment:
    """How fast what is read off the logits changes when a flow begins.

    By one-sided differences over h = 1e-4, which leave h² times a third of the third derivative.
    """

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        h = 1e-4
        runs = loops.flow(loop, _start(numbers), [0.0, h, 2 * h], observe=read, **TIGHT)
        slope = (-3 * runs.value[0] + 4 * runs.value[1] - runs.value[2]) / (2 * h)
        error = {"tolerance": tolerance, "attained": attained}
        return slope, error, "differences along the flow"

    return continuous(road, parts, **numbers)


def gap(logits: Any) -> Any:
    """The gap between the first logit and the last."""
    return logits[..., 0] - logits[..., -1]


def replicated(
    loop: Any, start: Any, save_at: Sequence[int], num_replicates: int, observe: Any
) -> Any:
    """The observed numbers of many single traces at the saved generations."""
    runs = loops.run(
        loop,
        jnp.asarray(start, float),
        max(save_at),
        key=jax.random.key(1),
        num_replicates=num_replicates,
        observe=observe,
        save_at=save_at,
    )
    return runs.value


def followed(
    observe: Callable[[Any], Any],
    of: Callable[[Any], Any] = jnp.mean,
    *,
    save_at: Sequence[int],
    num_replicates: int,
    standard_error: float | None = None,
    tolerance: float | None = None,
    relative: float | None = None,
    **numbers: Any,
) -> Experiment:
    """What `of` makes of the observed numbers of many single traces over a long horizon.

    The error is a standard error, a tolerance, or a tolerance relative to the value.
    """

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        start = numbers.get("logits", numbers.get("start"))
        value = of(replicated(loop, start, save_at, num_replicates, observe))
        allowed = tolerance if relative is None else relative * float(value)
        error = {"tolerance": allowed, "standard_error": standard_error}
        return value, error, f"{num_replicates:,} replicates to generation {max(save_at):,}"

    return Experiment(road, numbers)


def small_steps(observe: Callable[[Any], Any], **numbers: Any) -> Experiment:
    """(n/η²) × the mean change of what is observed in one generation, as η → 0."""

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        start, values = _start(numbers), []
        for step_size in numbers["step_size"] / 2.0 ** np.arange(6):
            learner = dataclasses.replace(loop.learner, step_size=float(step_size))
            found = enumerate_histories(
                dataclasses.replace(loop, learner=learner), start, num_generations=1
            )
            change = found.mean(observe(found.logits[-1])) - observe(start)
            values.append(loop.corpus.num_samples / step_size**2 * change)
        value, error = extrapolated(values)
        return value, {"tolerance": error}, "all draws listed, η → 0"

    return Experiment(road, {"step_size": 0.4, **numbers})


def measured(
    of: Callable[[Any, Mapping[str, Any]], Any], how: str, *, relative: float = 0, **numbers: Any
) -> Experiment:
    """What a function finds out about a loop: `of(loop, numbers)` ↦ value, or (value, error).

    The error, where it gives none, is rounding and a tolerance relative to the value.
    """

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        found = of(loop, numbers)
        if isinstance(found, tuple):
            return *found, how
        return found, {"tolerance": relative * abs(found) + ROUNDING}, how

    return Experiment(road, numbers)


def extrapolated(values: Sequence[Any], ratio: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """The limit of values at steps h, h/2, h/4, …, and how far the last stage moved it (Romberg).

    Args:
        values: the values, each with an error in powers of its step.
        ratio: how far a halved step lowers the first order; 4 where the error is even in the step.
    """
    table = [np.asarray(value, float) for value in values]
    previous, power = table, 1
    while len(table) > 1:
        previous, factor = table, ratio**power
        table = [(factor * fine - coarse) / (factor - 1) for coarse, fine in pairwise(table)]
        power += 1
    return table[0], np.abs(table[0] - previous[-1]) + 1e-9


def after(loop: Any, start: Any, num_generations: int = 1, observe: Any = None) -> Any:
    """The model after some generations of a loop that draws nothing, or what is observed of it."""
    runs = loops.run(
        loop,
        jnp.asarray(start),
        num_generations,
        observe=observe,
        save_at=[num_generations],
        progress=False,
    )
    return runs.value[0]


def full_training() -> list[tuple[Any, float]]:
    """The learners that reach the minimum, each with the error of its logits.

    They are for models without a probability below 0.04, which is then the least curvature of the
    loss: a thousand steps of size 2 leave (1 - 0.08)¹⁰⁰⁰ = 1e-36 of the distance. The last learner
    trains a lineage: every generation starts from the initial model.
    """
    steps: dict[str, Any] = {"step_size": 2.0, "num_steps": 1000}
    return [
        (loops.Refit(), ROUNDING),
        (loops.GradientFlow(np.inf), 1e-7),
        (loops.GradientSteps(**steps), ROUNDING),
        (loops.GradientSteps(**steps, start="initial"), ROUNDING),
    ]


@dataclasses.dataclass(frozen=True)
class Course:
    """What an exact chain does from generation 1 on, until it is decided.

    Attributes:
        states: the chain.
        start: the logits of generation 0.
        first: the chance of each state in generation 1.
        visits: the mean number of generations at each undecided state.
        ends: the chance of ending at each decided one.
    """

    states: chain.Chain
    start: Any
    first: np.ndarray
    visits: np.ndarray
    ends: np.ndarray

    @property
    def time(self) -> float:
        """The mean number of generations, of which the first model is generation 0."""
        return 1 + self.visits.sum()

    @property
    def last(self) -> np.ndarray:
        """The chance of each outcome to be alive in the end."""
        return self.ends @ (self.states.counts > 0)


def absorbed(
    read: Callable[[Course], Any] = lambda course: course.time,
    tolerance: Any = 10 * ROUNDING,
    until: Callable[[np.ndarray], np.ndarray] = lambda counts: (counts > 0).sum(-1) == 1,
    **numbers: Any,
) -> Experiment:
    """What the exact chain does until one outcome is left, or until the counts are such.

    It starts from the `logits`, the `gap` of two outcomes or the `probability` of the first of two.
    """

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        if "gap" in numbers:
            start = jnp.array([numbers["gap"], 0.0])
        elif "probability" in numbers:
            start = jnp.log(jnp.array([numbers["probability"], 1 - numbers["probability"]]))
        else:
            start = _start(numbers)
        states = chain.from_loop(loop, len(start))
        return read(course(states, start, until)), {"tolerance": tolerance}, "the absorbing chain"

    return Experiment(road, numbers)


@dataclasses.dataclass(frozen=True)
class Combined:
    """A weighted sum of what several experiments observe, for the arguments of the first.

    A limit of many samples leaves terms of known form; with the right weights they cancel.

    Attributes:
        experiments: of the same claim.
        weights: one an experiment.
        tolerance: what is left after that.
    """

    experiments: Sequence[Any]
    weights: Sequence[float]
    tolerance: float

    def observed(self, claim: Any) -> Observation:
        """Run them all, and add up."""
        found = [one.observed(claim) for one in self.experiments]
        value = sum(w * one.value for w, one in zip(self.weights, found, strict=True))
        others = " and ".join(
            f"{w:g} times {one.what}" for w, one in zip(self.weights, found, strict=True)
        )
        return Observation(others, found[0].arguments, value, tolerance=self.tolerance)


def leading(run: Callable[[int], Any], num_samples: int, tolerance: float) -> Combined:
    """A n of A n + B log n + C + O(1/n), from n, 2n and 4n samples: B and C cancel."""
    sizes = (num_samples, 2 * num_samples, 4 * num_samples)
    return Combined([run(size) for size in sizes], (1, -2, 1), tolerance)


def course(states: chain.Chain, start: Any, until: Callable[[np.ndarray], np.ndarray]) -> Course:
    """The course of a chain from a model until its counts are such."""
    first, undecided = states.first_generation(start), ~until(states.counts)
    visits, inside = np.zeros(len(first)), states.matrix[np.ix_(undecided, undecided)]
    visits[undecided] = np.linalg.solve(np.eye(len(inside)) - inside.T, first[undecided])
    ends = np.where(undecided, 0, first + visits @ states.matrix)
    return Course(states, start, first, visits, ends)


def _start(numbers: Mapping[str, Any]) -> Any:
    """The logits at the start, or two outcomes of a given gap."""
    if "logits" not in numbers:
        return jnp.asarray([numbers["gap_initial"], 0.0], float)
    return jnp.asarray(numbers["logits"], float)


def _itself(logits: Any) -> Any:
    return logits


def _brief(value: Any) -> str:
    if np.ndim(value):
        return f"({', '.join(f'{float(x):.4g}' for x in np.ravel(value)[:6])})"
    return str(value)
