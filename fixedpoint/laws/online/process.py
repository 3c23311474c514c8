"""Online: infinite samples, and a teacher that moves along with its student.

The loops, run: in continuous time, and by ever smaller gradient steps, one in each generation.
"""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.experiment import TIGHT, Experiment, changing, continuous, flowed, gap
from fixedpoint.loop import Temperature, flow

MODEL = np.array([1.3, -0.4, 0.2, -2.1])
"""An asymmetric model: no two gaps alike."""
OTHER = np.array([-0.7, 0.9, 0.1])
"""Another one, of three outcomes."""
LEADER, LEADERS = [1.0, 0.2, -0.5, 0.0], [1.0, 0.2, 1.0, -0.5]
"""A model with one mode, and one with two tied modes."""
FEWER = [1.0, 0.2, -0.5]
"""One mode of three outcomes."""
MANY = 2000
"""Outcomes of the models with one leader or a few."""


def two_outcomes() -> list[Experiment]:
    """Two outcomes of a model that is its own teacher, and one gradient step in each generation."""
    cold: dict[str, Any] = {"gap_initial": -1.1, "temperature": 0.5, "time": 4.0}
    return [
        *(
            flowed(read=gap, gap_initial=start, temperature=temperature, time=time)
            for temperature, start in ((1 / 3, 0.8), (0.5, -1.1), (2.0, 2.3), (3.0, 1.9))
            for time in (0.8, 4.0)
        ),
        flowed(read=gap, steps=(500, 1000), **cold),
    ]


def chebyshev() -> list[Experiment]:
    """Time until the gap of two outcomes reaches another value."""
    return [
        crossing(1e-8, gap=end, gap_initial=start, degree=d, temperature=(d - 1) / (d + 1))
        for d, start, end in (
            *((3, 0.6, 1.3), (4, 0.5, 0.8), (5, 0.7, 1.0), (8, 0.9, 1.1)),
            *((-4, 2.0, 1.2), (-5, 3.0, 1.9)),
        )
    ]


def block() -> list[Experiment]:
    """Time until tied leaders lead the tied others by a given gap."""
    return [
        crossing(
            1e-6,
            gap=end,
            gap_initial=start,
            num_outcomes=size,
            num_modes=modes,
            logits=start * (np.arange(size) < modes),
        )
        for size, modes, start, end in ((MANY, 1, 0.9, 5.0), (MANY, 30, 0.8, 4.0), (7, 3, 0.5, 2.0))
    ]


def blow_up() -> list[Experiment]:
    """Time until one leader among many has half of the probability: a gap of log(K - 1).

    The law leaves out log K + 1 - z₀ + 2e^(-z₀), z₀ the first gap, up to 1/K.
    """
    return [
        crossing(
            np.log(size) + 1 - start + 2 * np.exp(-start) + 5 / size,
            level=np.log(size - 1),
            gap_initial=start,
            num_outcomes=size,
            logits=start * (np.arange(size) < 1),
        )
        for size, start in ((MANY, 0.7), (MANY, 1.5), (MANY // 4, 0.4), (20, 1e-9))
    ]


def crossing(tolerance: float, **numbers: Any) -> Experiment:
    """Time until the gap between the first logit and the last is `gap`, or another level."""

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        level = numbers.get("level", numbers.get("gap"))
        start = jnp.asarray(numbers.get("logits", [numbers["gap_initial"], 0.0]))
        found = flow(loop, start, [1e5], event=(gap, level), rtol=1e-10, atol=1e-10).event_time
        return found, {"tolerance": tolerance}, "the time when that gap is reached"

    return continuous(road, **numbers)


def duality() -> list[Experiment]:
    """Forwards at T, then back at 1/T."""

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        T, time = numbers["temperature"], numbers["time"]
        hot = dataclasses.replace(loop, sampler=Temperature(1 / T))
        there = flow(loop, jnp.asarray(numbers["logits"]), [time], **TIGHT).value[0]
        back = flow(hot, there / T, [time / T], **TIGHT).value[0]
        return T * back, {"tolerance": 1e-7}, "then at 1/T for τ/T on the logits over T"

    return [
        continuous(road, logits=model, temperature=T, time=time)
        for T, time, model in ((0.6, 2.0, MODEL), (2.5, 5.0, OTHER))
    ]


def collapse_tail() -> list[Experiment]:
    """The probability outside the modes, late, at three temperatures and with ties."""
    return [
        flowed(
            late_tolerance(len(model), modes, time, temperature),
            logits=model,
            temperature=temperature,
            num_outcomes=len(model),
            num_modes=modes,
            time=time,
        )
        for temperature, modes, model in (
            (0.5, 1, LEADER),
            (0.5, 2, LEADERS),
            (0.3, 1, FEWER),
            (0.6, 1, FEWER),
        )
        for time in (1e4, 1e6)
    ]


def late_tolerance(num_outcomes: int, num_modes: int, time: float, temperature: float) -> float:
    """What the leading term of the tail leaves out.

    The relative correction is of the order of p log(1/p), p being the probability of one loser, and
    for T > 1/2 that of p^(1/T-1)/(2-1/T); and the losers remember their gaps as τ^(-m/K), squared.
    """
    K, T, loser = num_outcomes, temperature, num_modes / (num_outcomes * time)
    mild = 2 * loser ** (1 / T - 1) / (2 - 1 / T) if T > 0.5 else 0
    correction = 2 * K * loser * np.log(1 / loser) + mild + time ** (-2 * num_modes / K)
    return (num_outcomes - num_modes) * loser * correction


def losers_equalise() -> list[Experiment]:
    """The exponent with which two losers approach each other, between two late times."""

    def exponent(loop: Any, _: Any, numbers: Any) -> Any:
        times = (1e6, 4e6)
        late = flow(loop, jnp.asarray(numbers["logits"]), times, **TIGHT).value
        apart = late[:, 1] - late[:, -1]
        value = jnp.log(apart[0] / apart[1]) / np.log(times[1] / times[0])
        return value, {"tolerance": 1e-2}, "between τ = 1e6 and 4e6"

    return [
        continuous(
            exponent,
            logits=model,
            temperature=temperature,
            num_outcomes=len(model),
            num_modes=modes,
        )
        for temperature, modes, model in ((0.5, 1, LEADER), (0.5, 2, LEADERS), (0.3, 1, FEWER))
    ]


def uniform_rate() -> list[Experiment]:
    """How small logits grow or decay until τ = 2, both signs averaged."""
    size, time = 1e-4, 2.0

    def rate(loop: Any, _: Any, numbers: Any) -> Any:
        direction = simplex.centre(jnp.asarray(numbers["logits"]))
        starts = size * jnp.stack([direction, -direction])
        ends = flow(loop, starts, [time], **TIGHT).value[0]
        shrunk = (ends[0] - ends[1]) @ direction / (2 * size * direction @ direction)
        return -jnp.log(shrunk) / time, {"tolerance": 1e-7}, f"times {size:g}"

    return [
        continuous(rate, logits=model, temperature=temperature, num_outcomes=len(model))
        for temperature, model in ((0.6, MODEL), (2.5, MODEL), (1.7, OTHER))
    ]


def majorisation() -> list[Experiment]:
    """How fast the m most probable outcomes gain; with many equal losers it is nearly the bound."""

    def mass(top: int) -> Any:
        return lambda logits: simplex.probabilities(logits)[..., :top].sum(-1)

    def crowded(top: int, T: float, losers: int = 300) -> Experiment:
        """Tied leaders with half of the probability: what they gain beyond the bound is known."""
        p, q = 0.5 / top, 0.5 / losers
        apart, mean = p ** (1 / T - 1) - q ** (1 / T - 1), p ** (1 / T - 1) + q ** (1 / T - 1)
        return changing(
            mass(top),
            0.5 * q * apart / mean + 1e-6,
            attained=True,
            logits=np.log([p] * top + [q] * losers),
            temperature=T,
            num_top=top,
        )

    return [
        crowded(1, 0.5),
        crowded(2, 0.8),
        *(
            changing(mass(top), logits=logits, temperature=temperature, num_top=top)
            for temperature, logits, top in (
                (0.5, [1.0, 0.3, -0.4, -1.5], 1),
                (0.5, [1.0, 0.3, -0.4, -1.5], 2),
                (0.9, [0.5, 0.49, -1.0, -1.02], 2),
                (0.6, [1.0, 1.0, -0.5, -0.5], 1),
            )
        ),
    ]
