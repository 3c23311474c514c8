"""The refitted loops themselves: listed history by history, as exact chains, or simulated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Fresh, Loop, Refit, Temperature, run
from fixedpoint.loop.enumeration import all_counts, enumerate_histories

START = (0.5, 0.3, 0.2)
"""An asymmetric model, as probabilities."""

ROUNDING = 1e-12


def refit_loop(num_samples: int, temperature: float = 1.0) -> Loop:
    """Every generation is refitted to n of its own samples."""
    return Loop(Temperature(temperature), Fresh(num_samples), Refit())


def logits_of(probs: tuple[float, ...]) -> list[float]:
    """The logits of probabilities, as the laws take them."""
    return np.log(probs).tolist()


# --- T = 1: moments, fixation, survivors ----------------------------------------------------------


def listed_chain(loop: Loop, num_outcomes: int) -> tuple[np.ndarray, np.ndarray]:
    """A loop's chain over all counts of its n samples, one generation listed from each of them.

    Returns:
        The counts, shape (states, num_outcomes), and the matrix of transition probabilities.
    """
    counts = all_counts(num_outcomes, loop.corpus.num_samples)  # pyright: ignore
    with np.errstate(divide="ignore"):
        models = np.log(counts)
    rows = [enumerate_histories(loop, jnp.array(model), 1).probability for model in models]
    return counts, np.array(rows)


def until_decided(loop: Loop, start: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each state of the chain is visited while two outcomes or more are alive.

    Returns:
        The counts; the mean number of generations t ≥ 1 spent at each of the undecided ones (0 at
        the decided ones); the chance of ending at each of the decided ones.
    """
    counts, matrix = listed_chain(loop, len(start))
    first = np.array(enumerate_histories(loop, jnp.array(start), 1).probability)
    open_states = (counts > 0).sum(-1) > 1
    visits = np.zeros(len(counts))
    inner = matrix[np.ix_(open_states, open_states)]
    visits[open_states] = np.linalg.solve(np.eye(len(inner)) - inner.T, first[open_states])
    end = np.where(open_states, 0, first + visits @ matrix)
    return counts, visits, end


def heterozygosity() -> list[Observation]:
    """Means over all histories of three outcomes, and over a simulation of two."""
    observations = []
    for num_samples, num_generations in ((4, 3), (1, 1)):
        start = logits_of(START)
        end = enumerate_histories(refit_loop(num_samples), jnp.array(start), num_generations)
        observations.append(
            Observation(
                what=f"K = 3, n = {num_samples}, {num_generations} generations: all listed",
                arguments={
                    "logits0": start,
                    "num_samples": num_samples,
                    "generation": num_generations,
                },
                value=end.mean(simplex.heterozygosity(end.logits[-1])),
                tolerance=ROUNDING,
            )
        )
    num_samples, num_generations, num_replicates = 4, 8, 20_000
    start = logits_of((0.7, 0.3))
    runs = run(
        refit_loop(num_samples),
        jnp.array(start),
        num_generations,
        key=jax.random.key(1),
        num_replicates=num_replicates,
        observe=simplex.heterozygosity,
        save_at=[num_generations],
        progress=False,
    )
    observations.append(
        Observation(
            what="K = 2, n = 4, 8 generations of 20,000 replicates",
            arguments={
                "logits0": start,
                "num_samples": num_samples,
                "generation": num_generations,
            },
            value=runs.value[0].mean(),
            # 1 − Σp² lies in [0, 1/2] for two outcomes: its standard deviation is at most 1/4.
            standard_error=0.25 / np.sqrt(num_replicates),
        )
    )
    return observations


def fixation_probability() -> list[Observation]:
    """Where the chain of two and of three outcomes ends, from its listed generations."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 4), (START, 1)):
        start = logits_of(probs)
        counts, _, end = until_decided(refit_loop(num_samples), start)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: the absorbing chain of the listed loop",
                arguments={"logits0": start},
                value=(counts > 0).T @ end,
                tolerance=ROUNDING,
            )
        )
    return observations


def spectrum() -> list[Observation]:
    """Eigenvalues of the chain of two outcomes, each state's generation listed."""
    num_samples = 6
    _, matrix = listed_chain(refit_loop(num_samples), 2)
    values = np.sort(np.linalg.eigvals(matrix).real)[::-1]
    return [
        Observation(
            what=f"eigenvalue {order} of the listed chain, K = 2, n = 6",
            arguments={"num_samples": num_samples, "order": order},
            value=values[order],
            tolerance=1e-7 if order < 2 else 1e-10,  # 1 is a double eigenvalue
        )
        for order in range(num_samples + 1)
    ]


def fixation_time() -> list[Observation]:
    """Mean time of the listed chain of two and of three outcomes."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 4), (START, 1), ((0.25, 0.75), 10)):
        start = logits_of(probs)
        _, visits, _ = until_decided(refit_loop(num_samples), start)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: the absorbing chain of the listed loop",
                arguments={"logits0": start, "num_samples": num_samples},
                value=1 + visits.sum(),
                tolerance=1e-11,
            )
        )
    return observations


def counted_chain(loop: Loop, num_outcomes: int) -> tuple[np.ndarray, np.ndarray]:
    """A loop's chain over all counts, from the multinomial chances of what it draws.

    Returns:
        The counts, shape (states, num_outcomes), and the matrix of transition probabilities.
    """
    num_samples = loop.corpus.num_samples  # pyright: ignore[reportAttributeAccessIssue]
    counts = all_counts(num_outcomes, num_samples)
    with np.errstate(divide="ignore"):
        drawn = np.array(simplex.log_probabilities(loop.drawn(jnp.array(np.log(counts)))))
    log_factorial = np.cumsum(np.log(np.maximum(np.arange(num_samples + 1), 1)))
    log_ways = log_factorial[-1] - log_factorial[counts].sum(-1)
    possible = np.isfinite(drawn)
    log_chance = np.where(possible, drawn, 0) @ counts.T + log_ways
    # A count of something that is never drawn has chance 0.
    return counts, np.where((~possible) @ counts.T > 0, 0, np.exp(log_chance))


def expected_time(matrix: np.ndarray, running: np.ndarray, pay: np.ndarray) -> np.ndarray:
    """Mean sum of a pay per generation while the chain is in one of the running states."""
    inner = matrix[np.ix_(running, running)]
    value = np.zeros(len(matrix))
    value[running] = np.linalg.solve(np.eye(len(inner)) - inner, pay[running])
    return value


def fixation_time_diffusion() -> list[Observation]:
    """Times of three outcomes, each as a chain of two (itself and the others)."""
    num_samples, start = 200, (100, 60, 40)
    counts, matrix = counted_chain(refit_loop(num_samples), 2)
    # P(i is the one that is left by t) adds up over the outcomes: so do their shares of the time.
    running = counts.min(-1) > 0
    share = expected_time(matrix, running, counts[:, 0] / num_samples)
    return [
        Observation(
            what="K = 3, n = 200: the chains of each outcome against the others",
            arguments={"logits0": logits_of(start), "num_samples": num_samples},
            value=share[list(start)].sum(),
            tolerance=1 + np.log(num_samples) / 2,
        )
    ]


def fixation_time_expansion() -> list[Observation]:
    """Times of two outcomes by elimination, at two numbers of samples."""
    observations = []
    for num_samples in (100, 400):
        counts, matrix = counted_chain(refit_loop(num_samples), 2)
        time = expected_time(matrix, counts.min(-1) > 0, np.ones(len(counts)))
        for share in (0.5, 0.3, 0.1):
            observations.append(
                Observation(
                    what=f"n = {num_samples}, p = {share}: the absorbing chain",
                    arguments={
                        "logit_gap": float(np.log(share / (1 - share))),
                        "num_samples": num_samples,
                    },
                    value=time[round(share * num_samples)],
                    tolerance=0.2 / num_samples,
                )
            )
    return observations


def lost_by(matrix: np.ndarray, lost: np.ndarray, num_generations: int) -> np.ndarray:
    """Chance to be in a lost state after some generations, from every state."""
    chance = lost.astype(float)
    for _ in range(num_generations):
        chance = matrix @ chance
    return chance


def mean_alive(probs: np.ndarray, num_samples: int, num_generations: int) -> float:
    """Mean number of outcomes alive: each is followed in a chain of two, forwards in time."""
    counts, matrix = counted_chain(refit_loop(num_samples), 2)
    lost = lost_by(matrix, counts[:, 0] == 0, num_generations - 1)
    first = counts[:, 0]
    log_ways = np.log(matrix[num_samples // 2])  # the row of p = k/n, to read the ways off
    k = num_samples // 2
    log_ways -= first * np.log(k / num_samples) + (num_samples - first) * np.log1p(-k / num_samples)
    log_chance = np.log(probs)[:, None] * first + np.log1p(-probs)[:, None] * (num_samples - first)
    return float((1 - np.exp(log_chance + log_ways) @ lost).sum())


def survivors() -> list[Observation]:
    """Outcomes alive: three with all histories listed, five as chains of two, many simulated."""
    start = logits_of(START)
    observations = []
    for num_samples, num_generations in ((4, 3), (2, 4)):
        end = enumerate_histories(refit_loop(num_samples), jnp.array(start), num_generations)
        alive = jnp.sum(jnp.isfinite(end.logits[-1]), -1)
        observations.append(
            Observation(
                what=f"K = 3, n = {num_samples}, {num_generations} generations: all listed",
                arguments={
                    "logits0": start,
                    "num_samples": num_samples,
                    "generation": num_generations,
                },
                value=end.mean(alive.astype(float)),
                tolerance=ROUNDING,
            )
        )
    probs = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    for num_generations in (1, 2, 8, 40):
        observations.append(
            Observation(
                what=f"K = 5, n = 20, {num_generations} generations: chains of two, forwards",
                arguments={
                    "logits0": np.log(probs).tolist(),
                    "num_samples": 20,
                    "generation": num_generations,
                },
                value=mean_alive(probs, 20, num_generations),
                tolerance=1e-11,
            )
        )
    return observations


def survivors_power_law() -> list[Observation]:
    """Words with a power law, each as a chain of two, forwards in time."""
    observations = []
    for exponent, num_generations in ((2.0, 10), (3.0, 5)):
        probs = np.arange(1, 5001.0) ** -exponent
        probs /= probs.sum()
        alive = mean_alive(probs, 600, num_generations)
        observations.append(
            Observation(
                what=f"K = 5000, n = 600, exponent {exponent}, {num_generations} generations",
                arguments={
                    "exponent": exponent,
                    "top_probability": float(probs[0]),
                    "num_samples": 600,
                    "generation": num_generations,
                },
                value=alive,
                tolerance=0.01 * alive,
            )
        )
    return observations


def first_extinction() -> list[Observation]:
    """Mean time to the first loss among three outcomes, from the chain of all counts."""
    num_samples, start = 40, (20, 12, 8)
    counts, matrix = counted_chain(refit_loop(num_samples), 3)
    time = expected_time(matrix, counts.min(-1) > 0, np.ones(len(counts)))
    state = np.flatnonzero((counts == start).all(-1))[0]
    return [
        Observation(
            what="K = 3, n = 40: the chain of all counts",
            arguments={"logits0": logits_of(start), "num_samples": num_samples},
            value=time[state],
            tolerance=np.log(num_samples) / 3,
        )
    ]


# --- T = 1: entropy -------------------------------------------------------------------------------


# --- Truncation -----------------------------------------------------------------------------------


# --- A temperature --------------------------------------------------------------------------------


# --- Real data and partial refits -----------------------------------------------------------------


# --- A verifier -----------------------------------------------------------------------------------
