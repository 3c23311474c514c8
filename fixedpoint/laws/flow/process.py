"""Flow: infinite samples, and a teacher that is frozen while its student is trained.

The loops, run. A flow is integrated adaptively, so that its error is that of the integrator.
"""

from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.experiment import FLOW, TIGHT, Experiment, continuous, exact, flowed, gap
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Exact, GradientFlow, Loop, Temperature, flow, run

MODEL = np.array([1.3, -0.4, 0.2, -2.1])
"""An asymmetric model: no two gaps alike."""
OTHER = np.array([-0.7, 1.1, 0.1, 1.6])
"""Another one, whose mode comes last."""
LEADER, LEADERS = [1.0, 0.2, -0.5, 0.0], [1.0, 0.2, 1.0, -0.5]
"""A model with one mode, and one with two tied modes."""


def frozen_two_outcomes() -> list[Experiment]:
    """Two outcomes trained on data."""
    return [
        flowed(read=gap, gap_initial=start, gap_target=target, time=time)
        for start, target, time in ((1.4, 2.8, 0.7), (1.4, 2.8, 3.0), (-2.3, -1.353, 1.9))
    ]


def frozen_uniform_target() -> list[Experiment]:
    """Training on the uniform distribution: T = ∞, where a teacher that moves along is the same."""
    return [
        flowed(logits=model, time=time, frozen=frozen)
        for model, time, frozen in ((MODEL, 0.5, True), (MODEL, 4.0, True), (OTHER, 4.0, False))
    ]


def frozen_one_hot_target() -> list[Experiment]:
    """Training on one outcome as data; and on the mode alone, T = 0, also as one's own teacher."""
    alone = np.where(np.eye(4) > 0, 0.0, -np.inf)
    own = {"sampler": Temperature(0.0), "corpus": Exact()}
    return [
        flowed(logits=MODEL, time=0.5, target=2, logits_real=alone[2]),
        flowed(logits=MODEL, time=6.0, target=0, logits_real=alone[0], parts=own, frozen=True),
        flowed(logits=OTHER, time=6.0, target=3, logits_real=alone[3], parts=own),
    ]


def relaxation_rate() -> list[Experiment]:
    """How the distance to the target falls at late times, from half of the target's logits."""

    def approach(loop: Any, _: Any, numbers: Any) -> Any:
        target, times = numbers["logits_target"], (numbers["begin"], numbers["time"])
        late = simplex.centre(flow(loop, target / 2, times, **TIGHT).value)
        left = jnp.linalg.norm(late - simplex.centre(target)[None], axis=-1)
        rate = jnp.log(left[0] / left[1]) / (times[1] - times[0])
        return rate, {"tolerance": 1e-4}, "rate of approach between these times"

    return [
        continuous(approach, logits_target=np.array(target), begin=begin, time=end)
        for target, begin, end in (
            ([-1.5, -1.0, 0.3, 1.4], 150.0, 200.0),
            ([-0.9, -0.2, 1.0], 60.0, 80.0),
        )
    ]


def multiplier() -> list[Experiment]:
    """One generation from small logits, both signs averaged."""
    size = 1e-4

    def odd(loop: Any, _: Any, numbers: Any) -> Any:
        direction = simplex.centre(MODEL[: numbers["num_outcomes"]])
        ends = both_signs(loop, size * direction, numbers["time"])
        value = (ends[0] - ends[1]) @ direction / (2 * size * direction @ direction)
        return value, {"tolerance": 10 * size**2 + 1e-8}, "one generation from small logits"

    return [
        continuous(odd, temperature=temperature, time=time, num_outcomes=num_outcomes)
        for temperature, time, num_outcomes in ((0.5, 3.0, 4), (2.0, 6.0, 4), (0.8, 2.0, 3))
    ]


def off_ray() -> list[Experiment]:
    """The part of the logits after training that is not along the logits before."""

    def across(loop: Any, _: Any, numbers: Any) -> Any:
        start = simplex.centre(jnp.asarray(numbers["logits"]))
        after = simplex.centre(both_signs(loop, start, numbers["time"]))
        share = jnp.sum(after * start[None], -1, keepdims=True) / jnp.sum(start**2)
        off = after - start[None] * share
        # Even in the logits: with both signs the third order drops out, which leaves the fourth.
        size = jnp.max(jnp.abs(start))
        if size < 0.1:
            return off.mean(0), {"tolerance": 5 * size**4 + FLOW}, "one generation, both signs"
        return off[0], {"tolerance": FLOW}, "one generation, from two values: exactly nothing"

    return [
        continuous(across, logits=logits, temperature=temperature, time=time)
        for logits, temperature, time in (
            (1e-2 * MODEL, 0.5, 3.0),
            (1e-2 * MODEL, 2.0, 8.0),
            (np.array([1.5, 0.0, 1.5, 1.5]), 0.5, 3.0),
        )
    ]


def both_signs(loop: Any, start: Any, time: float) -> Any:
    """One generation of finite training, from the logits and from their negative."""
    return flow(loop, jnp.stack([start, -start]), [time], frozen=True, **TIGHT).value[0]


def finite_training() -> list[Experiment]:
    """Many generations, each trained for a finite time, from models with one mode and with two."""
    return [
        exact(
            late_tolerance(len(model), modes, generation * time),
            logits=model,
            temperature=0.5,
            num_outcomes=len(model),
            num_modes=modes,
            time=time,
            generation=generation,
        )
        for model, modes, time, generation in (
            (LEADER, 1, 8.0, 1000),
            (LEADERS, 2, 8.0, 1000),
            (LEADERS[:3], 2, 20.0, 400),
        )
    ]


def late_tolerance(num_outcomes: int, num_modes: int, time: float) -> float:
    """What the leading term of the tail at T = 1/2 leaves out.

    The relative correction is of the order of p log(1/p), p being the probability of one loser;
    and the losers remember their gaps as τ^(-m/K), squared.
    """
    K, loser = num_outcomes, num_modes / (num_outcomes * time)
    correction = 2 * K * loser * np.log(1 / loser) + time ** (-2 * num_modes / K)
    return (num_outcomes - num_modes) * loser * correction


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
        learner = GradientFlow(time, start="initial", **TIGHT)
        loop = Loop(Temperature(temperature), learner=learner)
        rest = run(loop, jnp.array([start, 0.0]), 200, save_at=[200], observe=gap).value[0]
        yield Observation(
            f"lineage at T = {temperature} from the gap {start}, τ = {time}, generation 200",
            {"gap": rest, "gap_initial": start, "temperature": temperature},
            time,
            tolerance=1e-7,
        )
