"""The single-trace loops themselves: listed history by history, simulated, or followed exactly.

Short loops are listed, so that expectations are exact; long ones are simulated, with standard
errors that are known beforehand.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.experiment import (
    ROUNDING,
    Experiment,
    extrapolated,
    followed,
    listed,
    measured,
    small_steps,
)
from fixedpoint.laws.observation import Observation, Refinement
from fixedpoint.loop import Fresh, GradientSteps, Loop, Target
from fixedpoint.loop.enumeration import Histories, enumerate_histories

START = (1.0, 0.2, -1.2)
"""An asymmetric model."""
OTHER = (0.4, -0.9, 1.1)
"""Another one."""


def moved(histories: Histories) -> Any:
    """The mean change of the logits."""
    return histories.mean(histories.logits[-1] - histories.logits[0])


def squared_distance(histories: Histories) -> Any:
    """The mean squared distance of the last logits from the first."""
    return histories.mean(jnp.sum((histories.logits[-1] - histories.logits[0]) ** 2, -1))


# --- T = 1: the martingale ------------------------------------------------------------------------


def martingale() -> list[Experiment]:
    """Mean steps, listed at three temperatures, and over a long simulation at T = 1."""
    return [
        *(
            listed(moved, logits=start, temperature=T, step_size=0.8, num_samples=n, generation=1)
            for T, n, start in ((0.7, 1, START), (2.0, 2, OTHER), (1.0, 3, START))
        ),
        followed(
            lambda logits: (logits - jnp.array(START)) / 1000,
            lambda value: value[0].mean(0),
            logits=START,
            temperature=1.0,
            step_size=0.5,
            num_samples=1,
            save_at=[1000],
            num_replicates=4096,
            # The variance of one step is η² p(1 − p) ≤ η²/4, whatever the state.
            standard_error=0.5 / 2 / np.sqrt(1000 * 4096),
        ),
    ]


def displacement() -> list[Observation]:
    """Mean squared displacement of three outcomes, all histories listed."""
    observations = []
    for eta, n, generations in ((0.8, 1, 6), (1.3, 2, 3)):
        loop = Loop(corpus=Fresh(n), learner=GradientSteps(eta))
        end = enumerate_histories(loop, jnp.array(START), generations)
        spread = [float(end.mean(simplex.heterozygosity(model))) for model in end.logits[:-1]]
        observations.append(
            Observation(
                what=f"step_size = {eta}, num_samples = {n}, {generations} generations listed",
                arguments={"heterozygosities": spread, "step_size": eta, "num_samples": n},
                value=squared_distance(end),
                tolerance=ROUNDING,
            )
        )
    return observations


def displacement_bound() -> list[Experiment]:
    """Mean squared displacement from the uniform model; a single generation attains the bound."""
    return [
        listed(
            squared_distance,
            attained=generations == 1,
            logits=(0.0,) * K,
            num_outcomes=K,
            time=eta * generations,
            step_size=eta,
            num_samples=n,
            generation=generations,
        )
        for K, eta, n, generations in (
            (3, 0.1, 1, 6),
            (3, 0.6, 1, 6),
            (2, 0.2, 2, 6),
            (2, 1.1, 2, 1),
            (5, 0.4, 3, 1),
        )
    ]


# --- T = 1: the price in log-loss, and two biases -------------------------------------------------


def log_loss() -> list[Experiment]:
    """The mean log-likelihood of each outcome before and after a generation."""

    def fall(outcome: int) -> Any:
        def read(histories: Histories) -> Any:
            before, after = simplex.log_probabilities(histories.logits)[..., outcome]
            return histories.mean(before - after)

        return read

    return [
        listed(fall(outcome), logits=start, step_size=eta, generation=1)
        for start, eta in ((START, 0.8), (OTHER, 2.5))
        for outcome in range(3)
    ]


def bias() -> list[Experiment]:
    """The mean change of the probabilities, in the limit of small steps."""
    far = tuple(np.log([0.6, 0.13, 0.11, 0.09, 0.07]))  # towards uniform, K = 5
    near = (0.4, 0.1, 0.0, -0.1, -0.1, -0.3)  # away from it
    return [
        small_steps(simplex.probabilities, logits=start, num_samples=n)
        for start, n in ((START, 1), (START, 3), (near, 1), (far, 1))
    ]


def entropy_bias() -> list[Experiment]:
    """The mean change of the entropy, in the limit of small steps: it has both signs."""
    return [
        small_steps(simplex.entropy, logits=start, num_samples=n)
        for start, n in ((START, 1), (START, 3), ((3.0, 0.3, -0.4), 1))
    ]


# --- T = 1, two outcomes: the catenoid and the vertex ---------------------------------------------


def catenoid() -> list[Observation]:
    """The chain itself at fixed diffusion times, all histories listed, steps ever smaller."""

    def mean(gap: float, step_size: float, n: int, generations: int) -> Any:
        loop = Loop(corpus=Fresh(n), learner=GradientSteps(step_size))
        found = enumerate_histories(loop, jnp.array([gap / 2, -gap / 2]), generations)
        z = found.logits[-1][:, 0] - found.logits[-1][:, 1]
        return found.mean(1 / jnp.prod(simplex.probabilities(found.logits[-1]), -1) + z**2)

    observations = []
    for gap, time, n, generations in (
        (1.3, 0.1, 1, (1, 4, 16)),
        (-2.0, 0.06, 1, (1, 4, 16)),
        (0.7, 0.04, 2, (1, 2, 4, 8)),
    ):
        steps = [float(np.sqrt(n * time / number)) for number in generations]
        values = [mean(gap, eta, n, number) for eta, number in zip(steps, generations, strict=True)]
        value, error = extrapolated(values, steps[0] / steps[1])
        observations.append(
            Observation(
                what=f"K = 2, n = {n}, gap {gap}, after {generations} generations at s = {time}, "
                "extrapolated to small steps",
                arguments={"gap": gap, "diffusion_time": time},
                value=value,
                tolerance=error,
                refinement=Refinement(order=1, step_sizes=steps, values=values) if n == 1 else None,
            )
        )
    return observations


def envelope() -> list[Experiment]:
    """Moments of the leader's odds over the generation, late in a long simulation."""
    last, replicates = 20_000, 8192
    return [
        followed(
            lambda logits, j=j: (jnp.exp(jnp.abs(logits[..., 0] - logits[..., 1])) / last) ** j,
            start=(0.3, -0.3),
            order=j,
            step_size=eta,
            save_at=[last],
            num_replicates=replicates,
            # A variable in [0, 2η] to the power j has a standard deviation of at most (2η)^j / 2.
            standard_error=(2 * eta) ** j / 2 / np.sqrt(replicates),
        )
        for eta in (0.5, 2.0)
        for j in (1, 2, 3)
    ]


def first_surprise() -> list[Experiment]:
    """The chance that only the leader is drawn: the chain's own rule, followed to the end."""
    leader = Target(jnp.array([0.0, -jnp.inf]), 1)

    def calm(loop: Any, numbers: Mapping[str, Any]) -> Any:
        gap = numbers["gap"]

        def generation(_, carry: Any):
            logits, log_chance = carry
            log_chance += simplex.log_probabilities(loop.drawn(logits))[0]
            return loop.learner(logits, leader, None), log_chance

        begin = jnp.array([gap / 2, -gap / 2]), jnp.zeros(())
        chance = jnp.exp(jax.lax.fori_loop(0, numbers["generation"], generation, begin)[1])
        rest = np.exp(-gap) / (2 * numbers["step_size"]) + 1e-3 * np.exp(-gap)
        return chance, {"tolerance": rest}

    return [
        measured(calm, "the leader alone", gap=gap, step_size=eta, generation=t)
        for eta, gap in ((0.5, 9.0), (3.0, 8.0))
        for t in (300, 30_000)
    ]


# --- Two charts -----------------------------------------------------------------------------------


def two_charts() -> list[Experiment]:
    """The mixture step, all histories listed."""
    return [
        listed(logits=START, step_size=0.4, num_samples=1, generation=6),
        listed(logits=OTHER, step_size=0.7, num_samples=3, generation=2),
    ]
