"""Survival: which outcomes of single traces stay alive, and for how long.

The loops, run.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Fresh, GradientSteps, Loop, Target, Temperature, run
from fixedpoint.loop.enumeration import Histories, enumerate_histories
from fixedpoint.loop.vertex import run_events

START = (1.0, 0.2, -1.2)
"""An asymmetric model."""


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


def small_steps(observe: Any, num_samples: int, start: tuple[float, ...]) -> tuple[Any, ...]:
    """(B/η²) × the mean change of a quantity in one generation, in the limit of small steps."""
    values = []
    for step_size in 0.4 / 2.0 ** np.arange(6):
        histories = listed(trace_loop(float(step_size), num_samples), 1, start)
        change = histories.mean(observe(histories.logits[-1])) - observe(jnp.array(start))
        values.append(num_samples / step_size**2 * change)
    return extrapolated(values)


# --- Three outcomes and more ----------------------------------------------------------------------


def transience() -> list[Observation]:
    """The mean change of Y^{−α} of a subset, in the limit of small steps."""
    observations = []
    for start, subset, exponent in (
        (START, (1.0, 1.0, 1.0), 1.0),
        ((0.4, 1.1, -0.3, -1.2), (1.0, 0.0, 1.0, 1.0), 0.5),
    ):

        def power(logits: Any, subset: Any = subset, exponent: Any = exponent):
            return (jnp.exp(-logits) @ jnp.array(subset)) ** -exponent

        value, error = small_steps(power, 1, start)
        observations.append(
            Observation(
                what=f"start {start}, subset {subset}: mean change of Y^-{exponent}, eta -> 0",
                arguments={
                    "logits": list(start),
                    "subset": list(subset),
                    "exponent": exponent,
                },
                value=value,
                tolerance=error,
            )
        )
    return observations


def growths(
    logits: np.ndarray, num_alive: int, step_size: float, num_samples: int
) -> tuple[np.ndarray, np.ndarray]:
    """Growth of log Y, Y = Σ e^{−θ} of the first outcomes, for every draw; and their chances."""
    histories = listed(trace_loop(step_size, num_samples), 1, tuple(logits))
    log_sums = np.logaddexp.reduce(-np.asarray(histories.logits)[..., :num_alive], -1)
    return log_sums[1] - log_sums[0], np.asarray(histories.probability)


def largest_exponent(growth: np.ndarray, chance: np.ndarray, most: float = 50.0) -> float:
    """The largest α up to `most` with E[e^{−αD}] ≤ 1: that mean is convex in α and 1 at α = 0."""
    low, high = 0.0, most
    for _ in range(50):
        middle = (low + high) / 2
        falls = chance @ np.expm1(-middle * growth) <= 0
        low, high = (middle, high) if falls else (low, middle)
    return low


def transience_every_step() -> list[Observation]:
    """The least exponent over many states, all draws listed; two outcomes of four as a control."""
    states = np.random.default_rng(3).normal(scale=1.5, size=(60, 4))
    observations = []
    for num_alive, step_size, num_samples in (
        (2, 0.3, 1),
        (3, 0.1, 1),
        (3, 1.0, 1),
        (3, 1.0, 2),
        (4, 3.0, 1),
        (4, 1.0, 2),
    ):
        exponents = [
            largest_exponent(*growths(state, num_alive, step_size, num_samples)) for state in states
        ]
        observations.append(
            Observation(
                what=f"{num_alive} of K = 4, eta = {step_size}, B = {num_samples}: the least of "
                "60 states",
                arguments={
                    "step_size": step_size,
                    "num_samples": num_samples,
                    "num_alive": num_alive,
                },
                value=min(exponents),
                tolerance=1e-9,
            )
        )
    return observations


# --- Other temperatures ---------------------------------------------------------------------------


def absorption() -> list[Observation]:
    """The losers' median probability, late in a simulation at T = 1/2."""
    observations = []
    for start, step_size, num_generations in (((0.3, -0.3), 1.0, 20_000), (START, 0.5, 30_000)):
        runs = run(
            trace_loop(step_size, temperature=0.5),
            jnp.array(start),
            num_generations,
            key=jax.random.key(4),
            num_replicates=1024,
            observe=simplex.tail_probability,
            save_at=[num_generations],
        )
        late = step_size * num_generations
        observations.append(
            Observation(
                what=f"K = {len(start)}, eta = {step_size}: median of 1024 runs at t = "
                f"{num_generations:,}",
                arguments={
                    "num_outcomes": len(start),
                    "step_size": step_size,
                    "generation": num_generations,
                },
                value=jnp.median(runs.value[0]),
                # The surprises and the start moved the leader's odds by a few hundred generations.
                tolerance=0.05 / late,
            )
        )
    return observations


@jax.jit
def drawn_chances(logits: Array, temperature: Array) -> Array:
    """What the outcomes are drawn with."""
    return simplex.probabilities(Temperature(temperature)(logits))


@jax.jit
def gap_after(logits: Array, step_size: Array, data: Array) -> Array:
    """The gap after one step on a batch whose logarithmic counts are given."""
    target = Target(jnp.broadcast_to(data, logits.shape), 1)
    moved = GradientSteps(step_size)(logits, target, None)
    return moved[..., 0] - moved[..., 1]


def losing_chance(
    step_size: float,
    temperature: float,
    num_samples: int = 1,
    reach: float = 8.0,
    num_points: int = 1600,
) -> tuple[np.ndarray, np.ndarray]:
    """Chance to end on the other outcome, for gaps on a grid: the exact functional equation.

    h(z) = E h(z') over the draws of B samples from (p_T, q_T), h(−z) = 1 − h(z), h = 0 beyond the
    reach, with cubic interpolation between the points of the grid: an error of fourth order in
    their distance.

    Returns:
        The gaps and the chances.
    """
    gaps = np.linspace(0, reach, num_points)
    distance = gaps[1]
    logits = jnp.stack([jnp.asarray(gaps) / 2, -jnp.asarray(gaps) / 2], -1)
    p_T, q_T = np.asarray(drawn_chances(logits, temperature)).T
    matrix, constant = np.eye(num_points), np.zeros(num_points)
    rows = np.arange(num_points)
    for others in range(num_samples + 1):
        ways = math.comb(num_samples, others)
        chance = ways * q_T**others * p_T ** (num_samples - others)
        with np.errstate(divide="ignore"):
            data = np.log([num_samples - others, others])
        position = np.asarray(gap_after(logits, step_size, data)) / distance
        base = np.floor(position)
        for offset in range(-1, 3):
            others = [other for other in range(-1, 3) if other != offset]
            weight = chance.copy()
            for other in others:
                weight *= (position - base - other) / (offset - other)
            node = (base + offset).astype(int)
            mirrored = node < 0
            inside = np.abs(node) < num_points
            constant += weight * mirrored
            sign = np.where(mirrored, -1.0, 1.0)
            np.subtract.at(matrix, (rows[inside], np.abs(node[inside])), (sign * weight)[inside])
    matrix[0], constant[0] = np.eye(num_points)[0], 0.5
    return gaps, np.linalg.solve(matrix, constant)


def winner() -> list[Observation]:
    """The exact functional equation for the winner, solved on a grid."""
    observations = []
    for step_size, temperature, gap, num_samples in (
        (0.1, 0.5, 1.0, 1),
        (0.05, 0.5, 1.0, 1),
        (0.1, 0.8, 1.5, 1),
        (0.2, 0.5, 1.0, 2),
    ):
        gaps, chances = losing_chance(step_size, temperature, num_samples, num_points=800)
        chance = float(np.exp(np.interp(gap, gaps, np.log(np.maximum(chances, 1e-300)))))
        observations.append(
            Observation(
                what=f"T = {temperature}, eta = {step_size}, B = {num_samples}, gap {gap}: "
                "functional equation on a grid",
                arguments={
                    "gap": gap,
                    "temperature": temperature,
                    "step_size": step_size,
                    "num_samples": num_samples,
                },
                value=chance,
                tolerance=0.25 * step_size * chance,
            )
        )
    return observations


def mean_square(
    step_size: float,
    temperature: float,
    num_outcomes: int,
    periods: tuple[float, float],
    num_samples: int = 1,
) -> float:
    """Mean |θ|² of 1024 replicates at T > 1, between two multiples of the linear memory time."""
    memory = num_outcomes / (step_size * (1 - 1 / temperature))
    saved = np.linspace(*periods, 60) * memory
    runs = run(
        trace_loop(step_size, num_samples, temperature),
        jnp.zeros(num_outcomes),
        int(saved[-1]),
        key=jax.random.key(5),
        num_replicates=1024,
        observe=lambda logits: jnp.sum(logits**2, -1),
        save_at=saved.astype(int).tolist(),
    )
    return float(runs.value.mean())


def stationary() -> list[Observation]:
    """Stationary mean squares: small steps on single samples, large ones on large batches."""
    observations = []
    for num_outcomes, temperature, step_size, num_samples in (
        (2, 2.0, 0.02, 1),
        (2, 2.0, 2.0, 200),
        (3, 4.0, 1.5, 150),
    ):
        square = mean_square(step_size, temperature, num_outcomes, (8.0, 70.0), num_samples)
        variance = square / (num_outcomes - 1)
        # The anharmonic correction is of relative order ηT/(B(T − 1)); the sampling error of
        # some ten thousand independent squares is below 1 %.
        anharmonic = step_size * temperature / (num_samples * (temperature - 1))
        observations.append(
            Observation(
                what=f"K = {num_outcomes}, T = {temperature}, eta = {step_size}, B = {num_samples}",
                arguments={
                    "num_outcomes": num_outcomes,
                    "temperature": temperature,
                    "step_size": step_size,
                    "num_samples": num_samples,
                },
                value=variance,
                tolerance=(0.02 + anharmonic) * variance,
            )
        )
    return observations


def stationary_mixture() -> list[Observation]:
    """Stationary mean squares just above T = 1, steps halved and extrapolated."""
    observations = []
    for num_outcomes, v in ((2, 2.0), (3, 1.5)):
        values = [
            mean_square(step_size, 1 / (1 - step_size / v), num_outcomes, (30.0, 60.0))
            for step_size in (0.16, 0.08)
        ]
        observations.append(
            Observation(
                what=f"K = {num_outcomes}, v = {v}: eta = 0.16 and 0.08, extrapolated to 0",
                arguments={"num_outcomes": num_outcomes, "variance": v},
                value=2 * values[1] - values[0],
                # Order η² is left, and the sampling error of 1024 runs over a few memory times.
                tolerance=0.08 * values[1],
            )
        )
    return observations


# --- Astronomic horizons --------------------------------------------------------------------------


def leading(logits: Array) -> Array:
    """Which outcome leads."""
    return logits == jnp.max(logits, -1, keepdims=True)


def memory() -> list[Observation]:
    """Which outcome leads at generation e^50, with 2048 replicates."""
    observations = []
    num_replicates = 2048
    for start, log_generation in (((4.0, -4.0), 50.0), ((16.0, 6.0, 2.0), 60.0)):
        runs = run_events(
            trace_loop(2.0),
            jnp.array(start),
            [log_generation],
            key=jax.random.key(6),
            num_replicates=num_replicates,
            threshold=0.05,
            observe=leading,
        )
        observations.append(
            Observation(
                what=f"start {start}, eta = 2: shares of the leaders at t = e^{log_generation:g}",
                arguments={"logits": list(start), "log_generation": log_generation},
                value=runs.value[0].mean(0),
                # A share's standard error is at most this.
                standard_error=0.5 / np.sqrt(num_replicates),
            )
        )
    return observations


def survival() -> list[Observation]:
    """How often the first leader, far ahead of all others, has never been overtaken."""
    observations = []
    num_replicates = 2048
    for num_outcomes, gap, log_generation in ((2, 12.0, 100.0), (3, 15.0, 120.0)):
        runs = run_events(
            trace_loop(3.0),
            jnp.zeros(num_outcomes).at[0].set(gap),
            [log_generation],
            key=jax.random.key(7),
            num_replicates=num_replicates,
            threshold=0.05,
            observe=leading,
        )
        share = float(jnp.mean(runs.num_switches[0] == 0))
        sampling = float(np.sqrt(share * (1 - share) / num_replicates))
        observations.append(
            Observation(
                what=f"K = {num_outcomes}, eta = 3: never overtaken by t = e^{log_generation:g}",
                arguments={
                    "num_outcomes": num_outcomes,
                    "gap": gap,
                    "log_generation": log_generation,
                },
                value=share,
                # Four standard errors, and a relative correction of order 1/log t that is left.
                tolerance=4 * sampling + 0.1 * share,
            )
        )
    return observations


def switches() -> list[Observation]:
    """Traverses between p < p₀ and p > 1 − p₀, from one late generation to a later one."""
    observations = []
    for level, step_size, first, last in ((0.1, 1.0, 10.0, 25.0), (0.3, 0.2, 10.0, 18.0)):
        runs = run_events(
            trace_loop(step_size),
            jnp.array([0.2, -0.2]),
            [first, last],
            key=jax.random.key(8),
            num_replicates=2048,
            observe=leading,
            level=level,
            threshold=0.05,
        )
        mean_number = runs.num_switches.mean(1)
        growth = float(mean_number[1] - mean_number[0])
        observations.append(
            Observation(
                what=f"eta = {step_size}, 2048 replicates: mean number of switches from t = "
                f"e^{first:g} to e^{last:g}",
                arguments={"level": level, "log_ratio": last - first},
                value=growth,
                # Overshoots widen the passage a little; the sampling error is 3 %.
                tolerance=0.15 * growth,
            )
        )
    return observations
