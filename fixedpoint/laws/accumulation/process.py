"""Accumulation: a model that is trained on all data so far, or on the last few generations of them.

The loops, run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.experiment import Experiment, exact, extrapolated, measured, simulated
from fixedpoint.loop import Loop, run

START = (1.0, 0.2, -1.2)
"""An asymmetric model."""
TWO = (0.4, -0.4)
"""One of two outcomes."""

Numbers = Mapping[str, Any]


# --- All data are kept, at temperature 1 ----------------------------------------------------------


def product() -> list[Experiment]:
    """Means of 1 − Σp², a number in [0, 1 − 1/K]: its deviation is at most half of that."""
    return [
        simulated(10_000, deviation=1 / 4, logits=TWO, num_samples=2, generation=1),
        simulated(10_000, deviation=1 / 4, logits=TWO, num_samples=2, generation=3),
        simulated(10_000, deviation=1 / 3, logits=START, num_samples=3, generation=2),
        simulated(10_000, deviation=1 / 4, logits=TWO, num_samples=2, generation=50),
    ]


def head_start() -> list[Experiment]:
    """The same at generation 300, when 1/(300 n) of what is kept has still to be lost."""

    def late(loop: Loop, numbers: Numbers) -> Any:
        last, replicates = 300, 4096
        runs = run(
            loop,
            jnp.array(numbers["logits"]),
            last,
            key=jax.random.key(2),
            num_replicates=replicates,
            observe=simplex.heterozygosity,
            save_at=[last],
            progress=False,
        )
        return runs.value.mean(), {"standard_error": 1 / 3 / math.sqrt(replicates)}

    return [
        measured(late, "4,096 replicates", logits=start, num_samples=n, initial_weight=weight)
        for start, n, weight in ((TWO, 2, 0.5), (START, 1, 1.0), (START, 3, 0.25))
    ]


def window() -> list[Experiment]:
    """What is lost over many generations, from models that have forgotten their start."""

    def rate(loop: Loop, numbers: Numbers) -> Any:
        n, w = numbers["num_samples"], numbers["window"]
        memory = n * (w + 1) ** 2 // 4
        first, last = 4 * w, 4 * w + 2 * memory
        runs = run(
            loop,
            jnp.zeros(2),
            last,
            key=jax.random.key(3),
            num_replicates=8192,
            observe=simplex.heterozygosity,
            save_at=[first, last],
            progress=False,
        )
        start, end = runs.value.mean(1)
        # 1/n for what the law leaves out; sampling, 2 % of the mean that is left.
        return float(jnp.log(start / end)) / (last - first)

    return [
        measured(rate, "8,192 replicates", relative=1 / n + 0.03, num_samples=n, window=w)
        for n, w in ((20, 1), (16, 2), (12, 3), (8, 5))
    ]


# --- Other temperatures ---------------------------------------------------------------------------


def cold() -> list[Experiment]:
    """The probability off the mode, greedy and at two temperatures."""

    def experiment(temperature: float, weight: float, generation: int) -> Experiment:
        return exact(
            attained=temperature == 0,
            logits=START,
            top_probability=float(simplex.mode_probability(jnp.array(START))),
            initial_weight=weight,
            generation=generation,
            temperature=temperature,
        )

    rare = exact(
        logits=(0.0, -40.0),
        top_probability=float(simplex.mode_probability(jnp.array([0.0, -40.0]))),
        initial_weight=1.0,
        generation=3,
        temperature=0.5,
    )
    return [
        experiment(0.0, 1.0, 40),
        experiment(0.0, 2.5, 7),
        experiment(0.5, 1.0, 40),
        experiment(0.2, 3.0, 200),
        rare,
    ]


def growth(loop: Loop, numbers: Numbers) -> tuple[float, float]:
    """The gap of two outcomes over what it was, for ever smaller ones; and the error of that."""

    def ratio(gap: float) -> float:
        start, last = jnp.array([gap / 2, -gap / 2]), numbers["generation"]
        runs = run(loop, start, last, save_at=[last], progress=False)
        return float(runs.value[0, 0] - runs.value[0, 1]) / gap

    value, error = extrapolated([ratio(0.04 / 2**level) for level in range(4)], 4)
    return float(value), float(error)


def escape() -> list[Experiment]:
    """The growth or fall of ever smaller gaps."""

    def exactly(loop: Loop, numbers: Numbers) -> Any:
        value, error = growth(loop, numbers)
        return value, {"tolerance": error}

    return [
        measured(exactly, "ever smaller gaps", temperature=T, initial_weight=weight, generation=t)
        for T, weight, t in ((0.5, 1.0, 7), (0.8, 2.5, 30), (3.0, 0.5, 12))
    ]


def hot() -> list[Experiment]:
    """The same, late."""

    def late(loop: Loop, numbers: Numbers) -> Any:
        value, error = growth(loop, numbers)
        rest = 2 * numbers["initial_weight"] / numbers["generation"]
        return value, {"tolerance": error + rest * value}

    return [
        measured(late, "ever smaller gaps", temperature=T, initial_weight=weight, generation=t)
        for T, weight, t in ((1.3, 1.0, 400), (2.0, 2.5, 1000), (4.0, 0.5, 400))
    ]


# --- Urns -----------------------------------------------------------------------------------------


def monopoly() -> list[Experiment]:
    """The loop's own rule for every composition of up to 2000 samples, backwards in time."""

    def first_wins(loop: Loop, numbers: Numbers) -> Any:
        a, b, last = numbers["num_first"], numbers["num_second"], 2000
        drawn = jax.jit(lambda logits: simplex.probabilities(loop.drawn(logits))[:, 0])
        # Chances by the number of first outcomes; at the end the majority's.
        counts = np.arange(last + 1)
        chance = np.where(2 * counts == last, 0.5, 1.0 * (2 * counts > last))
        for size in range(last - 1, a + b - 1, -1):
            counts = np.arange(1.0, last)
            rest = np.maximum(size - counts, 1e-300)
            p = np.asarray(drawn(jnp.log(jnp.stack([counts, rest], -1))))
            chance[1:-1] = p * chance[2:] + (1 - p) * chance[1:-1]
        # A minority of m samples at the end is still to win with a chance of the order 1/last.
        return chance[a], {"tolerance": 2 / last}

    return [
        measured(first_wins, "compositions up to 2000 samples", num_first=a, num_second=b)
        for a, b in ((2, 1), (1, 1), (1, 3), (4, 3), (5, 2))
    ]


def leaders() -> list[Experiment]:
    """The mean squared distance from uniform, late, at high temperatures."""

    def distance(loop: Loop, numbers: Numbers) -> float:
        K, last = numbers["num_outcomes"], numbers["generation"]

        def observe(logits: Any) -> Any:
            return jnp.sum((simplex.probabilities(logits) - 1 / K) ** 2, -1)

        runs = run(
            loop,
            jnp.zeros(K),
            last,
            key=jax.random.key(4),
            num_replicates=4096,
            observe=observe,
            save_at=[last],
            progress=False,
        )
        return float(runs.value.mean())

    return [
        measured(
            distance,
            "4,096 replicates",
            # The order that the law leaves out, and 3 standard errors of a square.
            relative=t ** -(1 - 2 / T) + 3 * math.sqrt(2 / 4096),
            num_outcomes=K,
            temperature=T,
            num_samples=n,
            generation=t,
        )
        for K, T, n, t in ((2, 10.0, 1, 700), (3, 6.0, 2, 700), (3, 8.0, 3, 300))
    ]
