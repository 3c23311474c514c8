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


# --- T = 1: entropy -------------------------------------------------------------------------------


# --- Truncation -----------------------------------------------------------------------------------


# --- A temperature --------------------------------------------------------------------------------


# --- Real data and partial refits -----------------------------------------------------------------


# --- A verifier -----------------------------------------------------------------------------------
