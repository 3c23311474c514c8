"""The loops behind the law of gradient flow, run as they are and read off.

A flow is integrated adaptively (relative tolerance 1e-12), so that its stated error is that of the
integrator. Where the loop itself takes steps (gradient steps, mixture steps, ever milder refits),
ever smaller ones must come nearer to the law at order 1: the loop converges to its flow.

Most models have four outcomes and are read off at two times, so that they share a compilation.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation, Refinement
from fixedpoint.loop import (
    Exact,
    GradientFlow,
    GradientSteps,
    Loop,
    Mixed,
    MixtureStep,
    Refit,
    Temperature,
    flow,
    run,
)

MODEL = np.array([1.3, -0.4, 0.2, -2.1])
"""An asymmetric model: no two gaps alike."""
OTHER = np.array([-0.7, 1.1, 0.1, 1.6])
"""Another one, whose mode comes last."""
LEADER, LEADERS = [1.0, 0.2, -0.5, 0.0], [1.0, 0.2, 1.0, -0.5]
"""A model with one mode, and one with two tied modes."""
TIGHT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-14}
ERROR = 1e-9
"""What the integration of a flow may be off by."""


def frozen_two_outcomes() -> Iterator[Observation]:
    """Two outcomes trained on their own tempered distribution of the beginning."""
    for temperature, start in ((0.5, 1.4), (1.7, -2.3)):
        model, times = np.array([start, 0.0]), (0.7, 3.0)
        values = gap(_follow(_online(temperature), model, times, frozen=True))
        for time, value in zip(times, values, strict=True):
            yield Observation(
                f"flow to a frozen teacher, T = {temperature}, gap at t = {time}",
                {"gap": start, "gap_target": start / temperature, "time": time},
                value,
                tolerance=ERROR,
                refinement=_refined(time, partial(_gradient_steps, temperature, model, time))
                if (temperature, time) == (0.5, 3.0)
                else None,
            )


def frozen_uniform_target() -> Iterator[Observation]:
    """Training on the uniform distribution; also the model as its own teacher at T = ∞."""
    times = (0.5, 4.0)
    for name, model, frozen in (("frozen teacher", MODEL, True), ("own teacher", OTHER, False)):
        values = _follow(_online(np.inf), model, times, frozen)
        for time, value in zip(times, values, strict=True):
            yield Observation(
                f"flow at T = ∞, {name}, logits at t = {time}",
                {"logits": model, "time": time},
                value,
                tolerance=ERROR,
            )


def frozen_one_hot_target() -> Iterator[Observation]:
    """Training on the mode alone (T = 0), also as one's own teacher; and on any outcome as data."""
    corpus = Mixed(real=np.eye(4)[2], fraction=1.0)
    times = (0.5, 6.0)
    for target, model, loop, frozen in (
        (0, MODEL, _online(0.0), True),
        (3, OTHER, _online(0.0), False),
        (2, MODEL, _online(1.0, corpus), False),
    ):
        values = _follow(loop, model, times, frozen)
        for time, value in zip(times, values, strict=True):
            yield Observation(
                f"flow to outcome {target} alone ({type(loop.corpus).__name__}, "
                f"{'frozen' if frozen else 'own'} teacher), logits at t = {time}",
                {"logits": model, "time": time, "target": target},
                value,
                tolerance=ERROR,
            )


def relaxation_rate() -> Iterator[Observation]:
    """How the distance to a frozen teacher falls at late times."""
    for target, times in (
        (np.array([-1.5, -1.0, 0.3, 1.4]), (150.0, 200.0)),
        (np.array([-0.9, -0.2, 1.0]), (60.0, 80.0)),
    ):
        # A model that is to become softmax(target) at T = 1/2: it starts from half of target.
        late = _follow(_online(0.5), target / 2, times, frozen=True)
        distance = jnp.linalg.norm(simplex.centre(late) - simplex.centre(target)[None], axis=-1)
        yield Observation(
            f"flow to a frozen teacher of {len(target)} outcomes, rate of approach between "
            f"t = {times[0]:.0f} and {times[1]:.0f}",
            {"logits_target": target},
            jnp.log(distance[0] / distance[1]) / (times[1] - times[0]),
            tolerance=1e-4,
        )


def multiplier() -> Iterator[Observation]:
    """One generation of finite training from small logits, both signs averaged."""
    size = 1e-4
    for temperature, time, num_outcomes in ((0.5, 3.0, 4), (2.0, 6.0, 4), (0.8, 2.0, 3)):
        direction = simplex.centre(MODEL[:num_outcomes])
        ends = _trained(temperature, time, size * direction)
        odd = (ends[0] - ends[1]) / (2 * size)
        yield Observation(
            f"one generation, K = {num_outcomes}, T = {temperature}, τ = {time}",
            {"temperature": temperature, "time": time, "num_outcomes": num_outcomes},
            odd @ direction / (direction @ direction),
            tolerance=10 * size**2 + 1e-8,
        )


def off_ray() -> Iterator[Observation]:
    """The part of the logits after training that is not along the logits before."""

    def transverse(logits: Array, start: Array) -> Array:
        along = simplex.centre(start)[None]
        after = simplex.centre(logits)
        return after - along * jnp.sum(after * along, -1, keepdims=True) / jnp.sum(along**2)

    for temperature, time in ((0.5, 3.0), (2.0, 8.0)):
        start = 1e-2 * jnp.asarray(MODEL)
        # Even in the logits: with both signs the third order drops out.
        value = transverse(_trained(temperature, time, start), start).mean(0)
        yield Observation(
            f"one generation, T = {temperature}, τ = {time}, small logits",
            {"logits": start, "temperature": temperature, "time": time},
            value,
            tolerance=1e-2 * jnp.max(jnp.abs(value)),
        )
    start = jnp.array([1.5, 0.0, 1.5, 1.5])
    yield Observation(
        "one generation, T = 0.5, τ = 3, large logits of two values",
        {"logits": start, "temperature": 0.5, "time": 3.0},
        transverse(_trained(0.5, 3.0, start), start)[0],
        tolerance=ERROR,
    )


def finite_training() -> Iterator[Observation]:
    """Many generations, each trained for a finite time, from models with one mode and with two."""
    for models, modes, time, generation in (
        ([LEADER, LEADERS], (1, 2), 8.0, 1000),
        ([LEADERS[:3]], (2,), 20.0, 400),
    ):
        num_outcomes = len(models[0])
        loop = _online(0.5, learner=GradientFlow(time))
        late = run(loop, jnp.array(models), generation, save_at=[generation]).value[0]
        for number, value in zip(modes, simplex.tail_probability(late), strict=True):
            yield Observation(
                f"K = {num_outcomes}, {number} modes, T = 1/2, τ = {time}, generation {generation}",
                {
                    "num_outcomes": num_outcomes,
                    "time": time,
                    "generation": generation,
                    "num_modes": number,
                },
                value,
                tolerance=_late_tolerance(value, num_outcomes, number, generation * time),
            )


def lineage() -> Iterator[Observation]:
    """Many generations, each trained from the initial model; the law gives their training time."""
    # The last two rest on either side of gaps at which no lineage rests.
    for temperature, start, time in (
        (0.5, 0.8, 3.0),
        (0.7, -0.6, 1.5),
        (2.0, 2.5, 4.0),
        (1.2, 6.0, 17.26),
        (1.2, -3.6, 12.0),
    ):
        loop = _online(temperature, learner=GradientFlow(time, start="initial", **TIGHT))
        yield Observation(
            f"lineage at T = {temperature} from the gap {start}, τ = {time}, generation 200",
            {
                "gap": gap(_last(loop, np.array([start, 0.0]), 200)),
                "gap_initial": start,
                "temperature": temperature,
            },
            time,
            tolerance=1e-7,
        )


def mixture_frozen() -> Iterator[Observation]:
    """Mixture flow to the teacher of the beginning, and small mixture steps to it as data."""
    times = (0.5, 1.5)

    def steps(teacher: Array, count: int) -> Array:
        step = MixtureStep(times[1] / count)
        loop = Loop(corpus=Mixed(real=teacher, fraction=1.0), learner=step)
        return simplex.log_probabilities(_last(loop, MODEL, count))

    for model, temperature in ((MODEL, 0.5), (OTHER, 1.8)):
        loop = _online(temperature, learner=MixtureStep(1.0))
        values = simplex.log_probabilities(_follow(loop, model, times, frozen=True))
        teacher = simplex.probabilities(simplex.temper(model, temperature))
        for time, value in zip(times, values, strict=True):
            yield Observation(
                f"mixture flow to a frozen teacher, T = {temperature}, t = {time}",
                {"logits": model, "temperature": temperature, "time": time},
                value,
                tolerance=ERROR,
                refinement=_refined(time, partial(steps, teacher))
                if (temperature, time) == (0.5, times[1])
                else None,
            )


def gap(logits: Array) -> Array:
    """The gap between the first logit and the last."""
    return logits[..., 0] - logits[..., -1]


def _online(temperature: float, corpus: Any = None, learner: Any = None) -> Loop:
    return Loop(Temperature(temperature), corpus or Exact(), learner or Refit())


def _follow(loop: Loop, model: Any, times: Sequence[float], frozen: bool = False) -> Array:
    """The logits at two times."""
    return flow(loop, jnp.asarray(model), times, frozen=frozen, **TIGHT).value


def _last(loop: Loop, model: Any, count: int) -> Array:
    """The logits after so many generations."""
    return run(loop, jnp.asarray(model), count, save_at=[count]).value[0]


def _trained(temperature: float, time: float, start: Any) -> Array:
    """One generation of finite training, from the logits and from their negative."""
    loop = _online(temperature, learner=GradientFlow(time, **TIGHT))
    return _last(loop, jnp.stack([start, -start]), 1)


def _refined(time: float, result: Callable[[int], Array]) -> Refinement:
    """The result of ever more steps within a time, whose error must be of order 1."""
    counts = [500, 1000]
    return Refinement(1.0, [time / count for count in counts], [result(n) for n in counts])


def _gradient_steps(temperature: float, model: Any, time: float, count: int) -> Array:
    """The gap after gradient steps all in one generation: the teacher is frozen."""
    learner = GradientSteps(step_size=time / count, num_steps=count)
    return gap(_last(_online(temperature, learner=learner), model, 1))


def _late_tolerance(value: Array, num_outcomes: int, num_modes: int, time: float) -> Array:
    """What the leading term of the tail at T = 1/2 leaves out.

    The relative correction is of the order of p log(1/p), p being the probability of one loser;
    and the losers remember their gaps as t^(-m/K), squared.
    """
    K, loser = num_outcomes, value / (num_outcomes - num_modes)
    return value * (2 * K * loser * jnp.log(1 / loser) + time ** (-2 * num_modes / K))
