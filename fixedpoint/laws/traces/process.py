"""The single-trace loops themselves: listed history by history, simulated, or followed exactly.

Short loops are listed (`enumerate_histories`), so that expectations are exact; long ones are
simulated (`run_traces`), with standard errors that are known beforehand.
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
from fixedpoint.laws.observation import Observation, Refinement
from fixedpoint.loop import Fresh, GradientSteps, Loop, MixtureStep, Target, Temperature
from fixedpoint.loop.enumeration import Histories, enumerate_histories
from fixedpoint.loop.traces import run_traces
from fixedpoint.loop.vertex import run_events

START = (1.0, 0.2, -1.2)
"""An asymmetric model."""

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
    for temperature, num_samples in ((0.7, 1), (2.0, 2), (1.0, 3)):
        loop = trace_loop(0.8, num_samples, temperature)
        histories = listed(loop, 1)
        observations.append(
            Observation(
                what=f"mean step, K = 3, T = {temperature}, B = {num_samples}: all draws listed",
                arguments={"logits": list(START), "temperature": temperature, "step_size": 0.8},
                value=histories.mean(histories.logits[-1] - histories.logits[0]),
                tolerance=ROUNDING,
            )
        )
    num_generations, num_replicates = 1000, 4096
    runs = run_traces(
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
    for num_samples, num_generations in ((1, 6), (2, 3)):
        loop = trace_loop(0.8, num_samples)
        end = listed(loop, num_generations)
        spread = [float(end.mean(simplex.heterozygosity(model))) for model in end.logits[:-1]]
        square = jnp.sum((end.logits[-1] - end.logits[0]) ** 2, -1)
        observations.append(
            Observation(
                what=f"K = 3, B = {num_samples}, {num_generations} generations listed",
                arguments={
                    "heterozygosity": spread,
                    "step_size": 0.8,
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
    for step_size, num_generations in ((0.1, 6), (0.6, 6)):
        histories = listed(trace_loop(step_size), num_generations, (0.0, 0.0, 0.0))
        observations.append(
            Observation(
                what=f"K = 3 from uniform, eta = {step_size}, {num_generations} generations listed",
                arguments={
                    "num_outcomes": 3,
                    "time": step_size * num_generations,
                    "step_size": step_size,
                    "num_samples": 1,
                },
                value=histories.mean(jnp.sum(histories.logits[-1] ** 2, -1)),
                tolerance=ROUNDING,
            )
        )
    return observations


# --- T = 1: the price in log-loss, and two biases -------------------------------------------------


def log_loss() -> list[Observation]:
    """The mean log-likelihood of each outcome before and after a generation."""
    histories = listed(trace_loop(0.8), 1)
    before = simplex.log_probabilities(jnp.array(START))
    fall = before - histories.mean(simplex.log_probabilities(histories.logits[-1]))
    return [
        Observation(
            what=f"fall of the log-likelihood of outcome {outcome + 1} of 3",
            arguments={"logits": list(START), "step_size": 0.8},
            value=fall[outcome],
            tolerance=ROUNDING,
        )
        for outcome in range(3)
    ]


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


def catenoid() -> Observation:
    """The chain itself at a fixed diffusion time, all histories listed, steps ever smaller."""
    gap, time = 1.3, 0.1
    num_generations = (1, 4, 16)
    steps, values = [], []
    for number in num_generations:
        steps.append(float(np.sqrt(time / number)))
        histories = listed(trace_loop(steps[-1]), number, (gap / 2, -gap / 2))
        z = histories.logits[-1][:, 0] - histories.logits[-1][:, 1]
        p = simplex.probabilities(histories.logits[-1])
        values.append(histories.mean(1 / (p[:, 0] * p[:, 1]) + z**2))
    value, error = extrapolated(values)
    return Observation(
        what="K = 2 after 1, 4 and 16 generations at s = 0.1, extrapolated to small steps",
        arguments={"logit_gap": gap, "diffusion_time": time},
        value=value,
        tolerance=error,
        refinement=Refinement(order=1, step_sizes=steps, values=values),
    )


def envelope() -> list[Observation]:
    """Moments of the leader's odds over the generation, late in a long simulation."""
    observations = []
    num_generations, num_replicates = 20_000, 8192
    for step_size in (0.5, 2.0):
        runs = run_traces(
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
                    arguments={"logit_gap": gap, "step_size": step_size, "generation": number},
                    value=jnp.exp(log_chance),
                    tolerance=float(np.exp(-gap) / (2 * step_size)) + 1e-3 * np.exp(-gap),
                )
            )
    return observations


# --- Two charts, weight decay ---------------------------------------------------------------------


def two_charts() -> list[Observation]:
    """The mixture step, all histories listed."""
    observations = []
    for num_samples, num_generations in ((1, 6), (3, 2)):
        loop = Loop(corpus=Fresh(num_samples), learner=MixtureStep(0.4))
        histories = listed(loop, num_generations)
        observations.append(
            Observation(
                what=f"K = 3, B = {num_samples}, {num_generations} mixture steps listed",
                arguments={
                    "logits0": list(START),
                    "step_size": 0.4,
                    "num_samples": num_samples,
                    "generation": num_generations,
                },
                value=histories.mean(simplex.heterozygosity(histories.logits[-1])),
                tolerance=ROUNDING,
            )
        )
    return observations


def weight_decay() -> Observation:
    """Squared size and heterozygosity of a long stationary run."""
    step_size, decay, num_samples = 1.0, 0.5, 2
    burn_in, num_generations, num_replicates = 60, 360, 4096
    runs = run_traces(
        trace_loop(step_size, num_samples, weight_decay=decay),
        jnp.array(START),
        num_generations,
        key=jax.random.key(2),
        num_replicates=num_replicates,
        observe=lambda logits: (jnp.sum(logits**2, -1), simplex.heterozygosity(logits)),
        save_at=range(burn_in, num_generations + 1),
    )
    square, heterozygosity = (value.mean() for value in runs.value)
    # One step's deviation 2(1 − ηλ)η θ·g + η²|g|² has a standard deviation below 2; the balance
    # divides it by 1 − (1 − ηλ)².
    error = 2 / (1 - (1 - step_size * decay) ** 2)
    return Observation(
        what="K = 3, B = 2, 300 generations of 4096 replicates after 60",
        arguments={
            "heterozygosity": float(heterozygosity),
            "step_size": step_size,
            "weight_decay": decay,
            "num_samples": num_samples,
        },
        value=square,
        standard_error=error / np.sqrt(num_replicates * (num_generations - burn_in)),
    )


def memory_time() -> Observation:
    """The mean logits of three outcomes under weight decay, all histories listed."""
    histories = listed(trace_loop(0.8, weight_decay=0.4), 6)
    return Observation(
        what="K = 3, B = 1, 6 generations listed",
        arguments={"logits0": list(START), "step_size": 0.8, "weight_decay": 0.4, "generation": 6},
        value=histories.mean(histories.logits[-1]),
        tolerance=ROUNDING,
    )


def decay_density() -> list[Observation]:
    """Histograms of the gap in long stationary runs of small steps, κ below and above 4."""
    observations = []
    for ratio, num_samples, step_size, gaps in ((2.0, 1, 0.05, (1.0, 2.0)), (8.0, 2, 0.1, (2.5,))):
        decay = step_size / (ratio * num_samples)
        saved = np.linspace(6, 36, 150) / (step_size * decay)
        runs = run_traces(
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
                    arguments={"logit_gap": gap, "noise_ratio": ratio},
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
    num_generations = 20_000
    for start, step_size in (((0.3, -0.3), 1.0), (START, 0.5)):
        runs = run_traces(
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
                what=f"K = {len(start)}, eta = {step_size}: median of 1024 runs at n = 20,000",
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
                    "logit_gap": gap,
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
    step_size: float, temperature: float, num_outcomes: int, periods: tuple[float, float]
) -> float:
    """Mean |θ|² of 1024 replicates at T > 1, between two multiples of the linear memory time."""
    memory = num_outcomes / (step_size * (1 - 1 / temperature))
    saved = np.linspace(*periods, 60) * memory
    runs = run_traces(
        trace_loop(step_size, temperature=temperature),
        jnp.zeros(num_outcomes),
        int(saved[-1]),
        key=jax.random.key(5),
        num_replicates=1024,
        observe=lambda logits: jnp.sum(logits**2, -1),
        save_at=saved.astype(int).tolist(),
    )
    return float(runs.value.mean())


def stationary() -> list[Observation]:
    """Stationary mean squares at T = 2, steps ever smaller."""
    observations = []
    for num_outcomes in (2, 4):
        step_size = 0.02
        square = mean_square(step_size, 2.0, num_outcomes, (8.0, 40.0))
        variance = square / (num_outcomes - 1)
        observations.append(
            Observation(
                what=f"K = {num_outcomes}, T = 2, eta = 0.02",
                arguments={
                    "num_outcomes": num_outcomes,
                    "temperature": 2.0,
                    "step_size": step_size,
                    "num_samples": 1,
                },
                value=variance,
                # The anharmonic correction is of relative order ηT/(T − 1) = 0.04; the sampling
                # error of 40,000 independent squares is below 1 %.
                tolerance=0.05 * 2 * step_size,
            )
        )
    return observations


def stationary_mixture() -> list[Observation]:
    """Stationary mean squares just above T = 1, steps halved and extrapolated."""
    observations = []
    v = 2.0
    for num_outcomes in (2, 3):
        values = [
            mean_square(step_size, 1 / (1 - step_size / v), num_outcomes, (30.0, 60.0))
            for step_size in (0.16, 0.08)
        ]
        observations.append(
            Observation(
                what=f"K = {num_outcomes}, v = 2: eta = 0.16 and 0.08, extrapolated to 0",
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
    num_replicates, log_generation = 2048, 50.0
    for start in ((4.0, -4.0), (8.0, -2.0, -6.0)):
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
                what=f"start {start}, eta = 2: shares of the leaders at t = e^50",
                arguments={"logits0": list(start), "log_generation": log_generation},
                value=runs.value[0].mean(0),
                # A share's standard error is at most this.
                standard_error=0.5 / np.sqrt(num_replicates),
            )
        )
    return observations


def survival() -> list[Observation]:
    """How often the first leader, 12 ahead of all others, has never been overtaken by e^100."""
    observations = []
    num_replicates, gap = 2048, 12.0
    for num_outcomes in (2, 3):
        runs = run_events(
            trace_loop(3.0),
            jnp.zeros(num_outcomes).at[0].set(gap),
            [100.0],
            key=jax.random.key(7),
            num_replicates=num_replicates,
            threshold=0.05,
            observe=leading,
        )
        share = float(jnp.mean(runs.num_switches[0] == 0))
        sampling = float(np.sqrt(share * (1 - share) / num_replicates))
        observations.append(
            Observation(
                what=f"K = {num_outcomes}, eta = 3: never overtaken by t = e^100",
                arguments={
                    "num_outcomes": num_outcomes,
                    "logit_gap": gap,
                    "log_generation": 100.0,
                },
                value=share,
                # Four standard errors, and a relative correction of order 1/log t that is left.
                tolerance=4 * sampling + 0.1 * share,
            )
        )
    return observations


def switches() -> Observation:
    """Traverses between p < 0.1 and p > 0.9, from generation e^10 to e^25."""
    runs = run_events(
        trace_loop(1.0),
        jnp.array([0.2, -0.2]),
        [10.0, 25.0],
        key=jax.random.key(8),
        num_replicates=2048,
        observe=leading,
        level=0.1,
        threshold=0.05,
    )
    mean_number = runs.num_switches.mean(1)
    growth = float(mean_number[1] - mean_number[0])
    return Observation(
        what="eta = 1, 2048 replicates: mean number of switches from t = e^10 to e^25",
        arguments={"level": 0.1, "log_ratio": 15.0},
        value=growth,
        # Overshoots widen the passage a little; the sampling error is 3 %.
        tolerance=0.15 * growth,
    )
