"""The single-trace loops themselves: listed history by history, simulated, or followed exactly.

Short loops are listed (`enumerate_histories`), so that expectations are exact; long ones are
simulated (`run`), with standard errors that are known beforehand.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation, Refinement
from fixedpoint.loop import Fresh, GradientSteps, Loop, MixtureStep, Target, Temperature, run
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


# --- T = 1: the martingale ------------------------------------------------------------------------


def martingale() -> list[Observation]:
    """Mean steps, listed at three temperatures, and over a long simulation at T = 1."""
    observations = []
    for temperature, num_samples, start in ((0.7, 1, START), (2.0, 2, OTHER), (1.0, 3, START)):
        loop = trace_loop(0.8, num_samples, temperature)
        histories = listed(loop, 1, start)
        observations.append(
            Observation(
                what=f"mean step, K = 3, T = {temperature}, B = {num_samples}: all draws listed",
                arguments={"logits": list(start), "temperature": temperature, "step_size": 0.8},
                value=histories.mean(histories.logits[-1] - histories.logits[0]),
                tolerance=ROUNDING,
            )
        )
    num_generations, num_replicates = 1000, 4096
    runs = run(
        trace_loop(0.5),
        jnp.array(START),
        num_generations,
        key=jax.random.key(1),
        num_replicates=num_replicates,
        save_at=[num_generations],
    )
    # The variance of one step is η² p(1 − p) ≤ η²/4, whatever the state.
    error = 0.5 / 2 / np.sqrt(num_generations * num_replicates)
    observations.append(
        Observation(
            what="mean step over 1000 generations of 4096 replicates at T = 1",
            arguments={"logits": list(START), "temperature": 1.0, "step_size": 0.5},
            value=(runs.value[0].mean(0) - jnp.array(START)) / num_generations,
            standard_error=error,
        )
    )
    return observations


def displacement() -> list[Observation]:
    """Mean squared displacement of three outcomes, all histories listed."""
    observations = []
    for step_size, num_samples, num_generations in ((0.8, 1, 6), (1.3, 2, 3)):
        loop = trace_loop(step_size, num_samples)
        end = listed(loop, num_generations)
        spread = [float(end.mean(simplex.heterozygosity(model))) for model in end.logits[:-1]]
        square = jnp.sum((end.logits[-1] - end.logits[0]) ** 2, -1)
        observations.append(
            Observation(
                what=f"eta = {step_size}, B = {num_samples}, {num_generations} generations listed",
                arguments={
                    "heterozygosity": spread,
                    "step_size": step_size,
                    "num_samples": num_samples,
                },
                value=end.mean(square),
                tolerance=ROUNDING,
            )
        )
    return observations


def displacement_bound() -> list[Observation]:
    """Mean squared displacement from the uniform model, all histories listed."""
    observations = []
    for size, step_size, num_samples, num_generations in (
        (3, 0.1, 1, 6),
        (3, 0.6, 1, 6),
        (2, 0.2, 2, 6),
        (2, 1.1, 2, 1),
    ):
        loop = trace_loop(step_size, num_samples)
        histories = listed(loop, num_generations, (0.0,) * size)
        observations.append(
            Observation(
                what=f"K = {size} from uniform, eta = {step_size}, B = {num_samples}, "
                f"{num_generations} generations listed",
                arguments={
                    "num_outcomes": size,
                    "time": step_size * num_generations,
                    "step_size": step_size,
                    "num_samples": num_samples,
                },
                value=histories.mean(jnp.sum(histories.logits[-1] ** 2, -1)),
                tolerance=ROUNDING,
            )
        )
    return observations


# --- T = 1: the price in log-loss, and two biases -------------------------------------------------


def log_loss() -> list[Observation]:
    """The mean log-likelihood of each outcome before and after a generation."""
    observations = []
    for start, step_size in ((START, 0.8), (OTHER, 2.5)):
        histories = listed(trace_loop(step_size), 1, start)
        before = simplex.log_probabilities(jnp.array(start))
        fall = before - histories.mean(simplex.log_probabilities(histories.logits[-1]))
        observations += [
            Observation(
                what=f"eta = {step_size}: fall of the log-likelihood of outcome {outcome + 1} of 3",
                arguments={"logits": list(start), "step_size": step_size},
                value=fall[outcome],
                tolerance=ROUNDING,
            )
            for outcome in range(3)
        ]
    return observations


def small_steps(observe: Any, num_samples: int, start: tuple[float, ...]) -> tuple[Any, ...]:
    """(B/η²) × the mean change of a quantity in one generation, in the limit of small steps."""
    values = []
    for step_size in 0.4 / 2.0 ** np.arange(6):
        histories = listed(trace_loop(float(step_size), num_samples), 1, start)
        change = histories.mean(observe(histories.logits[-1])) - observe(jnp.array(start))
        values.append(num_samples / step_size**2 * change)
    return extrapolated(values)


def bias() -> list[Observation]:
    """The mean change of the probabilities, in the limit of small steps."""
    observations = []
    far = tuple(float(x) for x in np.log([0.6, 0.13, 0.11, 0.09, 0.07]))  # towards uniform, K = 5
    near = (0.4, 0.1, 0.0, -0.1, -0.1, -0.3)  # away from it
    for start, num_samples in ((START, 1), (START, 3), (near, 1), (far, 1)):
        value, error = small_steps(simplex.probabilities, num_samples, start)
        observations.append(
            Observation(
                what=f"K = {len(start)}, B = {num_samples}: (B/eta^2) E[p' - p], eta -> 0",
                arguments={"logits": list(start)},
                value=value,
                tolerance=error,
            )
        )
    return observations


def entropy_bias() -> list[Observation]:
    """The mean change of the entropy, in the limit of small steps: it has both signs."""
    observations = []
    for start, num_samples in ((START, 1), (START, 3), ((3.0, 0.3, -0.4), 1)):
        value, error = small_steps(simplex.entropy, num_samples, start)
        observations.append(
            Observation(
                what=f"start {start}, B = {num_samples}: (B/eta^2) E[H' - H], eta -> 0",
                arguments={"logits": list(start)},
                value=value,
                tolerance=error,
            )
        )
    return observations


# --- T = 1, two outcomes: the catenoid and the vertex ---------------------------------------------


def catenoid() -> list[Observation]:
    """The chain itself at fixed diffusion times, all histories listed, steps ever smaller."""
    observations = []
    for gap, time, num_generations in ((1.3, 0.1, (1, 4, 16)), (-2.0, 0.06, (1, 4, 16))):
        steps, values = [], []
        for number in num_generations:
            steps.append(float(np.sqrt(time / number)))
            histories = listed(trace_loop(steps[-1]), number, (gap / 2, -gap / 2))
            z = histories.logits[-1][:, 0] - histories.logits[-1][:, 1]
            p = simplex.probabilities(histories.logits[-1])
            values.append(histories.mean(1 / (p[:, 0] * p[:, 1]) + z**2))
        value, error = extrapolated(values)
        observations.append(
            Observation(
                what=f"K = 2, gap {gap}, after 1, 4 and 16 generations at s = {time}, extrapolated "
                "to small steps",
                arguments={"gap": gap, "diffusion_time": time},
                value=value,
                tolerance=error,
                refinement=Refinement(order=1, step_sizes=steps, values=values),
            )
        )
    return observations


def envelope() -> list[Observation]:
    """Moments of the leader's odds over the generation, late in a long simulation."""
    observations = []
    num_generations, num_replicates = 20_000, 8192
    for step_size in (0.5, 2.0):
        runs = run(
            trace_loop(step_size),
            jnp.array([0.3, -0.3]),
            num_generations,
            key=jax.random.key(3),
            num_replicates=num_replicates,
            observe=lambda logits: jnp.exp(jnp.abs(logits[..., 0] - logits[..., 1])),
            save_at=[num_generations],
        )
        ratio = runs.value[0] / num_generations
        for order in (1, 2, 3):
            # A variable in [0, 2η] to the power k has a standard deviation of at most (2η)^k / 2.
            error = (2 * step_size) ** order / 2 / np.sqrt(num_replicates)
            observations.append(
                Observation(
                    what=f"eta = {step_size}: mean of (odds/t)^{order}, t = 20,000, R = 8192",
                    arguments={"order": order, "step_size": step_size},
                    value=jnp.mean(ratio**order),
                    standard_error=error,
                )
            )
    return observations


def first_surprise() -> list[Observation]:
    """The chance that only the leader is drawn: the chain's own rule, followed to the end."""
    observations = []
    for step_size, gap in ((0.5, 9.0), (3.0, 8.0)):
        learner = GradientSteps(step_size)
        leader = Target(jnp.array([0.0, -jnp.inf]), 1)

        def generation(_, carry: Any, learner: Any = learner, leader: Any = leader):
            logits, log_chance = carry
            log_chance += simplex.log_probabilities(logits)[0]
            return learner(logits, leader, None), log_chance

        start = jnp.array([gap / 2, -gap / 2])
        for number in (300, 30_000):
            _, log_chance = jax.lax.fori_loop(0, number, generation, (start, jnp.zeros(())))
            observations.append(
                Observation(
                    what=f"eta = {step_size}, gap {gap}: {number} generations of the leader alone",
                    arguments={"gap": gap, "step_size": step_size, "generation": number},
                    value=jnp.exp(log_chance),
                    tolerance=float(np.exp(-gap) / (2 * step_size)) + 1e-3 * np.exp(-gap),
                )
            )
    return observations


# --- Two charts, weight decay ---------------------------------------------------------------------


def two_charts() -> list[Observation]:
    """The mixture step, all histories listed."""
    observations = []
    for start, step_size, num_samples, num_generations in ((START, 0.4, 1, 6), (OTHER, 0.7, 3, 2)):
        loop = Loop(corpus=Fresh(num_samples), learner=MixtureStep(step_size))
        histories = listed(loop, num_generations, start)
        observations.append(
            Observation(
                what=f"eta = {step_size}, B = {num_samples}, {num_generations} mixture steps",
                arguments={
                    "logits": list(start),
                    "step_size": step_size,
                    "num_samples": num_samples,
                    "generation": num_generations,
                },
                value=histories.mean(simplex.heterozygosity(histories.logits[-1])),
                tolerance=ROUNDING,
            )
        )
    return observations
