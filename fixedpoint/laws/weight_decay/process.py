"""Weight decay: single traces that are pulled back to the uniform distribution.

The loops, run.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Fresh, GradientSteps, Loop, Target, Temperature, run
from fixedpoint.loop.enumeration import Histories, enumerate_histories

START = (1.0, 0.2, -1.2)
"""An asymmetric model."""
OTHER = (0.4, -0.9, 1.1)
"""Another one."""

ROUNDING = 1e-12


def trace_loop(
    step_size: float, num_samples: int = 1, temperature: float = 1.0, weight_decay: float = 0.0
) -> Loop:
    """One gradient step a generation on B fresh samples."""
    learner = GradientSteps(step_size, weight_decay=weight_decay)
    return Loop(Temperature(temperature), Fresh(num_samples), learner)


def listed(loop: Loop, num_generations: int, start: tuple[float, ...] = START) -> Histories:
    """All histories of a loop from an asymmetric model."""
    return enumerate_histories(loop, jnp.array(start), num_generations)


def extrapolated(values: list[Any], ratio: float = 2.0) -> tuple[np.ndarray, np.ndarray]:
    """Limit of values at steps ε, ε/2, ε/4, … (Romberg), and how far the last stage moved it."""
    table = [np.asarray(value, float) for value in values]
    previous, power = table, 1
    while len(table) > 1:
        previous, factor = table, ratio**power
        table = [(factor * fine - coarse) / (factor - 1) for coarse, fine in pairwise(table)]
        power += 1
    return table[0], np.abs(table[0] - previous[-1]) + 1e-9


def weight_decay() -> list[Observation]:
    """Squared size and heterozygosity of long stationary runs."""
    observations = []
    burn_in, num_generations, num_replicates = 60, 360, 4096
    # One step's deviation from its mean is 2(1 − ηλ)η θ·g + η²(|g|² − E|g|²): its standard
    # deviation is below the last number, since |g|² < 2, Var θ·g ≤ |θ|²/2B and E|θ|² < 2. The
    # balance divides it by 1 − (1 − ηλ)².
    for step_size, decay, num_samples, deviation in ((1.0, 0.5, 2, 2), (1.4, 0.3, 1, 4)):
        runs = run(
            trace_loop(step_size, num_samples, weight_decay=decay),
            jnp.array(START),
            num_generations,
            key=jax.random.key(2),
            num_replicates=num_replicates,
            observe=lambda logits: (jnp.sum(logits**2, -1), simplex.heterozygosity(logits)),
            save_at=range(burn_in, num_generations + 1),
        )
        square, heterozygosity = (value.mean() for value in runs.value)
        error = deviation / (1 - (1 - step_size * decay) ** 2)
        observations.append(
            Observation(
                what=f"K = 3, eta = {step_size}, lambda = {decay}, B = {num_samples}, "
                "300 generations of 4096 replicates after 60",
                arguments={
                    "heterozygosity": float(heterozygosity),
                    "step_size": step_size,
                    "weight_decay": decay,
                    "num_samples": num_samples,
                },
                value=square,
                standard_error=error / np.sqrt(num_replicates * (num_generations - burn_in)),
            )
        )
    return observations


def memory_time() -> list[Observation]:
    """The mean logits of three outcomes under weight decay, all histories listed."""
    observations = []
    for start, step_size, decay, number in ((START, 0.8, 0.4, 6), (OTHER, 1.3, 0.15, 3)):
        histories = listed(trace_loop(step_size, weight_decay=decay), number, start)
        observations.append(
            Observation(
                what=f"K = 3, eta = {step_size}, lambda = {decay}, B = 1, {number} generations "
                "listed",
                arguments={
                    "logits": list(start),
                    "step_size": step_size,
                    "weight_decay": decay,
                    "generation": number,
                },
                value=histories.mean(histories.logits[-1]),
                tolerance=ROUNDING,
            )
        )
    return observations


def decay_density() -> list[Observation]:
    """Histograms of the gap in long stationary runs of small steps, κ below and above 4."""
    observations = []
    for ratio, num_samples, step_size, gaps in ((2.0, 1, 0.05, (1.0, 2.0)), (8.0, 2, 0.1, (2.5,))):
        decay = step_size / (ratio * num_samples)
        saved = np.linspace(6, 36, 150) / (step_size * decay)
        runs = run(
            trace_loop(step_size, num_samples, weight_decay=decay),
            jnp.zeros(2),
            int(saved[-1]),
            key=jax.random.key(11),
            num_replicates=1024,
            observe=lambda logits: jnp.abs(logits[..., 0] - logits[..., 1]),
            save_at=saved.astype(int).tolist(),
        )
        found = np.asarray(runs.value)
        half = 0.15
        tie = np.mean(found < half)
        for gap in gaps:
            # Gaps of both signs fall into the bin of |z|; the one about the tie is folded, not cut.
            share = np.mean(np.abs(found - gap) < half) / 2
            observations.append(
                Observation(
                    what=f"kappa = {ratio:g}, B = {num_samples}, eta = {step_size}: z = {gap}",
                    arguments={"gap": gap, "noise_ratio": ratio},
                    value=np.log(share / tie),
                    # Order η; the width of the bins (δ²/24 of m″/m); and a few per cent for some
                    # 15,000 independent gaps, of which hundreds are in the rarest bin.
                    tolerance=0.12,
                )
            )
    return observations


def decay_thresholds() -> list[Observation]:
    """Curvature at the tie without a current, from all outcomes of one step about the tie."""
    step_size, num_samples, observations = 0.1, 2, []

    def curvature(decay: float, chart: int, width: float) -> float:
        gaps = width * np.arange(-2, 3)
        drift, spread, chances = [], [], []
        for gap in gaps:
            loop = trace_loop(step_size, num_samples, weight_decay=decay)
            histories = listed(loop, 1, (gap / 2, -gap / 2))
            moved = histories.logits[-1][:, 0] - histories.logits[-1][:, 1] - gap
            drift.append(histories.mean(moved))
            spread.append(histories.mean(moved**2) - histories.mean(moved) ** 2)
            chances.append(simplex.probabilities(jnp.array([gap, 0.0]))[0])
        drift, spread, chances = map(np.asarray, (drift, spread, chances))
        # No current: (log m)' = 2 drift/spread − (log spread)'; m per dp has one dp/dz fewer.
        logarithm = -np.log(spread[1:-1])
        if chart == 2:
            logarithm -= np.log(chances[2:] - chances[:-2])
        slope = (2 * drift / spread)[1:-1]
        return np.diff(logarithm, 2)[0] / width**2 + (slope[2] - slope[0]) / (2 * width)

    for ratio, chart in ((3.0, 1), (5.0, 1), (1.5, 2), (3.0, 2)):
        decay = step_size / (ratio * num_samples)
        value, error = extrapolated([curvature(decay, chart, w) for w in (0.2, 0.1, 0.05)], 4)
        observations.append(
            Observation(
                what=f"kappa = {ratio:g}, c = {chart}, B = 2: one step listed, differences",
                arguments={"noise_ratio": ratio, "chart": chart},
                value=value,
                tolerance=error,
            )
        )
    return observations


def least_probability(step_size: float, decay: float, gap: float) -> float:
    """Least probability of an outcome over 300 draws of the leader and then every history of 6."""
    learner = GradientSteps(step_size, weight_decay=decay)
    leader = Target(jnp.array([0.0, -jnp.inf]), 1)
    start = jnp.array([gap / 2, -gap / 2])
    led = jax.lax.fori_loop(0, 300, lambda _, model: learner(model, leader, None), start)
    histories = listed(trace_loop(step_size, weight_decay=decay), 6, tuple(led.tolist()))
    return float(jnp.min(simplex.probabilities(histories.logits)))


def decay_floor() -> list[Observation]:
    """The rarer outcome's least probability, from inside the floor and from beyond it."""
    observations = []
    for step_size, decay, gap in ((1.0, 0.4, 0.5), (0.9, 0.5, 6.0), (1.6, 0.1, 0.5)):
        observations.append(
            Observation(
                what=f"eta = {step_size}, lambda = {decay}, gap {gap}: the leader 300 times, then "
                "every history of 6 generations",
                arguments={"weight_decay": decay},
                value=least_probability(step_size, decay, gap),
                tolerance=ROUNDING,
            )
        )
    return observations
