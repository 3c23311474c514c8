"""Survival: which outcomes of single traces stay alive, and for how long.

The loops, run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.experiment import Experiment, followed, measured, replicated, small_steps
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Fresh, GradientSteps, Loop, Target, Temperature
from fixedpoint.loop.enumeration import enumerate_histories
from fixedpoint.loop.vertex import run_events

START = (1.0, 0.2, -1.2)
"""An asymmetric model."""

Numbers = Mapping[str, Any]


# --- Three outcomes and more ----------------------------------------------------------------------


def transience() -> list[Experiment]:
    """The mean change of Y^{−α} of a subset, in the limit of small steps."""

    def experiment(start: Any, subset: Any, exponent: float, num_samples: int) -> Experiment:
        return small_steps(
            lambda logits: (jnp.exp(-logits) @ jnp.array(subset)) ** -exponent,
            logits=start,
            subset=subset,
            exponent=exponent,
            num_samples=num_samples,
        )

    return [
        experiment(START, (1.0, 1.0, 1.0), 1.0, 1),
        experiment((0.4, 1.1, -0.3, -1.2), (1.0, 0.0, 1.0, 1.0), 0.5, 1),
        experiment(START, (1.0, 0.0, 1.0), 1.7, 2),
    ]


def growths(loop: Loop, logits: np.ndarray, num_alive: int) -> tuple[np.ndarray, np.ndarray]:
    """Growth of log Y, Y = Σ e^{−θ} of the first outcomes, for every draw; and their chances."""
    found = enumerate_histories(loop, jnp.asarray(logits), 1)
    log_sums = np.logaddexp.reduce(-np.asarray(found.logits)[..., :num_alive], -1)
    return log_sums[1] - log_sums[0], np.asarray(found.probability)


def largest_exponent(growth: np.ndarray, chance: np.ndarray, most: float = 50.0) -> float:
    """The largest α up to `most` with E[e^{−αD}] ≤ 1: that mean is convex in α and 1 at α = 0."""
    low, high = 0.0, most
    for _ in range(50):
        middle = (low + high) / 2
        falls = chance @ np.expm1(-middle * growth) <= 0
        low, high = (middle, high) if falls else (low, middle)
    return low


STATES = np.random.default_rng(3).normal(scale=1.5, size=(40, 4))
"""Models of four outcomes at which the exponent is looked for."""


def transience_every_step() -> list[Experiment]:
    """The least exponent over many states, all draws listed; two outcomes of four as a control."""

    def least(loop: Loop, numbers: Numbers) -> Any:
        m, eta = numbers["num_alive"], numbers["step_size"]
        # … and towards a corner of the outcomes in Y alone, where its exponent is the least.
        states = [*STATES, np.array([5.0, *[0.5] * (m - 2), -5.3])]
        exponents = [largest_exponent(*growths(loop, state, m)) for state in states]
        # For small steps it is m − 2, less an unknown part of what the bound is below that.
        rest = (m - 2) * (2 / 3 + math.sqrt(m - 2) + (m - 2)) * eta
        small = eta < 0.05
        return min(exponents), {"tolerance": rest if small else 1e-9, "attained": small}

    return [
        measured(least, "the least of 41 states", step_size=eta, num_alive=m, num_samples=n)
        for m, eta, n in (
            (3, 0.005, 1),
            (4, 0.01, 1),
            (2, 0.3, 1),
            (3, 0.1, 1),
            (3, 1.0, 1),
            (3, 1.0, 2),
            (4, 3.0, 1),
            (4, 1.0, 2),
            (3, 8.0, 1),
        )
    ]


# --- Below temperature 1 --------------------------------------------------------------------------


def absorption() -> list[Experiment]:
    """The losers' median probability, late in a simulation at T = 1/2."""
    return [
        followed(
            simplex.tail_probability,
            jnp.median,
            start=start,
            num_outcomes=len(start),
            temperature=0.5,
            step_size=eta,
            generation=last,
            save_at=[last],
            num_replicates=1024,
            # The surprises and the start moved the leader's odds by a few hundred generations.
            tolerance=0.05 / (eta * last),
        )
        for start, eta, last in (((0.3, -0.3), 1.0, 20_000), (START, 0.5, 30_000))
    ]


@jax.jit
def _drawn(logits: Array, temperature: Array) -> Array:
    """What the outcomes are drawn with."""
    return simplex.probabilities(Temperature(temperature)(logits))


@jax.jit
def _gap_after(logits: Array, step_size: Array, data: Array) -> Array:
    """The gap after one step on counts whose logarithms are given."""
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

    h(z) = E h(z') over the draws of n samples from (p_T, q_T), h(−z) = 1 − h(z), h = 0 beyond the
    reach, with cubic interpolation between the points of the grid: an error of fourth order in
    their distance.

    Returns:
        The gaps and the chances.
    """
    gaps = np.linspace(0, reach, num_points)
    logits = jnp.stack([jnp.asarray(gaps) / 2, -jnp.asarray(gaps) / 2], -1)
    p_T, q_T = np.asarray(_drawn(logits, temperature)).T
    matrix, constant = np.eye(num_points), np.zeros(num_points)
    rows = np.arange(num_points)
    for others in range(num_samples + 1):
        ways = math.comb(num_samples, others)
        chance = ways * q_T**others * p_T ** (num_samples - others)
        with np.errstate(divide="ignore"):
            data = np.log([num_samples - others, others])
        position = np.asarray(_gap_after(logits, step_size, data)) / gaps[1]
        base = np.floor(position)
        for offset in range(-1, 3):
            weight = chance.copy()
            for other in set(range(-1, 3)) - {offset}:
                weight *= (position - base - other) / (offset - other)
            node = (base + offset).astype(int)
            mirrored = node < 0
            inside = np.abs(node) < num_points
            constant += weight * mirrored
            sign = np.where(mirrored, -1.0, 1.0)
            np.subtract.at(matrix, (rows[inside], np.abs(node[inside])), (sign * weight)[inside])
    matrix[0], constant[0] = np.eye(num_points)[0], 0.5
    return gaps, np.linalg.solve(matrix, constant)


def winner() -> list[Experiment]:
    """The exact functional equation for the winner, solved on a grid."""

    def lost(loop: Loop, numbers: Numbers) -> float:
        arguments = (numbers[name] for name in ("step_size", "temperature", "num_samples"))
        gaps, chances = losing_chance(*arguments, num_points=800)
        return float(np.exp(np.interp(numbers["gap"], gaps, np.log(np.maximum(chances, 1e-300)))))

    return [
        measured(
            lost,
            "the functional equation on a grid",
            relative=0.25 * eta,
            gap=gap,
            temperature=T,
            step_size=eta,
            num_samples=n,
        )
        for eta, T, gap, n in (
            (0.1, 0.5, 1.0, 1),
            (0.05, 0.5, 1.0, 1),
            (0.1, 0.8, 1.5, 1),
            (0.2, 0.5, 1.0, 2),
        )
    ]


# --- Above temperature 1 --------------------------------------------------------------------------


def late(
    step_size: float, temperature: float, num_outcomes: int, first: float, last: float
) -> list[int]:
    """60 generations between two multiples of the linear memory time."""
    memory = num_outcomes / (step_size * (1 - 1 / temperature))
    return (np.linspace(first, last, 60) * memory).astype(int).tolist()


def squared(logits: Array) -> Array:
    """|θ|² of centred logits."""
    return jnp.sum(logits**2, -1)


def stationary() -> list[Experiment]:
    """Stationary mean squares: small steps on single samples, large ones on large batches."""
    return [
        followed(
            lambda logits, K=K: squared(logits) / (K - 1),
            start=(0.0,) * K,
            num_outcomes=K,
            temperature=T,
            step_size=eta,
            num_samples=n,
            save_at=late(eta, T, K, 8.0, 70.0),
            num_replicates=1024,
            # The anharmonic correction is of relative order ηT/(n(T − 1)); the sampling error of
            # some ten thousand independent squares is below 1 %.
            relative=0.02 + eta * T / (n * (T - 1)),
        )
        for K, T, eta, n in ((2, 2.0, 0.02, 1), (2, 2.0, 2.0, 200), (3, 4.0, 1.5, 150))
    ]


def stationary_mixture() -> list[Observation]:
    """Stationary mean squares just above T = 1, steps halved and extrapolated."""

    def mean_square(K: int, step_size: float, v: float) -> float:
        T = 1 / (1 - step_size / v)
        loop = Loop(Temperature(T), Fresh(1), GradientSteps(step_size))
        saved = late(step_size, T, K, 30.0, 60.0)
        return float(replicated(loop, (0.0,) * K, saved, 1024, squared).mean())

    observations = []
    for K, v in ((2, 2.0), (3, 1.5)):
        coarse, fine = (mean_square(K, step_size, v) for step_size in (0.16, 0.08))
        observations.append(
            Observation(
                what=f"K = {K}, v = {v}: step sizes 0.16 and 0.08, extrapolated to 0",
                arguments={"num_outcomes": K, "variance": v},
                value=2 * fine - coarse,
                # Order η² is left, and the sampling error of 1024 runs over a few memory times.
                tolerance=0.08 * fine,
            )
        )
    return observations


# --- Astronomic horizons --------------------------------------------------------------------------

REPLICATES = 4096


def events(loop: Loop, start: Any, log_generations: Any, level: float = 0.5) -> Any:
    """Which outcomes lead at generations e^…, and how often the lead has changed."""
    return run_events(
        loop,
        jnp.asarray(start),
        log_generations,
        key=jax.random.key(6),
        num_replicates=REPLICATES,
        observe=lambda logits: logits == jnp.max(logits, -1, keepdims=True),
        level=level,
        threshold=0.05,
    )


def memory() -> list[Experiment]:
    """How often each outcome leads at generation e^50 or e^60."""

    def shares(loop: Loop, numbers: Numbers) -> Any:
        found = events(loop, numbers["logits"], [numbers["log_generation"]])
        # A share's standard error is at most this.
        return found.value[0].mean(0), {"standard_error": 0.5 / math.sqrt(REPLICATES)}

    how = f"{REPLICATES:,} replicates"
    return [
        measured(shares, how, logits=start, log_generation=log_t, step_size=2.0)
        for start, log_t in (((4.0, -4.0), 50.0), ((16.0, 6.0, 2.0), 60.0))
    ]


def survival() -> list[Experiment]:
    """How often the first leader, far ahead of all others, has never been overtaken."""

    def unbeaten(loop: Loop, numbers: Numbers) -> Any:
        start = (numbers["gap"], *[0.0] * (numbers["num_outcomes"] - 1))
        found = events(loop, start, [numbers["log_generation"]])
        share = float(jnp.mean(found.num_switches[0] == 0))
        sampling = math.sqrt(share * (1 - share) / REPLICATES)
        # Four standard errors, and a relative correction of order 1/log t that is left.
        return share, {"tolerance": 4 * sampling + 0.1 * share}

    how = f"{REPLICATES:,} replicates"
    return [
        measured(unbeaten, how, num_outcomes=K, gap=gap, log_generation=log_t, step_size=3.0)
        for K, gap, log_t in ((2, 12.0, 100.0), (3, 15.0, 120.0))
    ]


def switches() -> list[Experiment]:
    """Traverses between p < p₀ and p > 1 − p₀, from one late generation to a later one."""

    def growth(loop: Loop, numbers: Numbers) -> float:
        last = 10.0 + numbers["log_ratio"]
        found = events(loop, (0.2, -0.2), [10.0, last], numbers["level"])
        first, second = found.num_switches.mean(1)
        return float(second - first)

    how = f"mean number from generation e^10 on, {REPLICATES:,} replicates"
    return [
        # Overshoots widen the passage a little; the sampling error is 3 %.
        measured(growth, how, relative=0.15, level=level, log_ratio=ratio, step_size=eta)
        for level, eta, ratio in ((0.1, 1.0, 15.0), (0.3, 0.2, 8.0))
    ]
