"""The refitted loops themselves: listed history by history, as exact chains, or simulated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import chain, simplex
from fixedpoint.chain import from_loop
from fixedpoint.chain.counts import binomial
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    Fresh,
    Loop,
    Refit,
    Temperature,
    TopK,
    run,
)
from fixedpoint.loop.enumeration import enumerate_histories

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


def until_decided(loop: Loop, start: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each state of a loop's chain is visited while two outcomes or more are alive.

    Returns:
        The counts; the mean number of generations t ≥ 1 spent at each of the undecided ones (0 at
        the decided ones); the chance of ending at each of the decided ones.
    """
    found = from_loop(loop, len(start))
    first = found.first_generation(jnp.array(start))
    running = (found.counts > 0).sum(-1) > 1
    visits = np.zeros(len(first))
    inner = found.matrix[np.ix_(running, running)]
    visits[running] = np.linalg.solve(np.eye(len(inner)) - inner.T, first[running])
    return found.counts, visits, np.where(running, 0, first + visits @ found.matrix)


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
                    "logits": start,
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
                "logits": start,
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
    """Where the chain of two and of three outcomes ends."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 4), (START, 1)):
        start = logits_of(probs)
        counts, _, end = until_decided(refit_loop(num_samples), start)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: the absorbing chain",
                arguments={"logits": start},
                value=(counts > 0).T @ end,
                tolerance=ROUNDING,
            )
        )
    return observations


def spectrum() -> list[Observation]:
    """Eigenvalues of chains of two outcomes."""
    observations = []
    for num_samples in (6, 3):
        values = np.linalg.eigvals(from_loop(refit_loop(num_samples)).matrix).real
        observations += [
            Observation(
                what=f"eigenvalue {order} of the chain, K = 2, n = {num_samples}",
                arguments={"num_samples": num_samples, "order": order},
                value=np.sort(values)[::-1][order],
                tolerance=1e-7 if order < 2 else 1e-10,  # 1 is a double eigenvalue
            )
            for order in range(num_samples + 1)
        ]
    return observations


def fixation_time() -> list[Observation]:
    """Mean time of the chain of all counts, and of each outcome's own chain, forwards in time."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 4), (START, 1)):
        start = logits_of(probs)
        _, visits, _ = until_decided(refit_loop(num_samples), start)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: the absorbing chain",
                arguments={"logits": start, "num_samples": num_samples},
                value=1 + visits.sum(),
                tolerance=1e-11,
            )
        )
    many = np.arange(1, 9.0) ** -1.3
    observations.append(
        Observation(
            what="K = 8, n = 150: the chain of each outcome against the others",
            arguments={"logits": np.log(many).tolist(), "num_samples": 150},
            value=chain.fixation_time(np.log(many), 150),
            tolerance=1e-9,
        )
    )
    return observations


def fixation_time_diffusion() -> list[Observation]:
    """Times of two and of three outcomes, from the chain of each against the others."""
    return [
        Observation(
            what=f"K = {len(probs)}, n = {num_samples}: the chain of each outcome",
            arguments={"logits": logits_of(probs), "num_samples": num_samples},
            value=chain.fixation_time(logits_of(probs), num_samples),
            tolerance=1 + np.log(num_samples) / 2,
        )
        for probs, num_samples in ((START, 200), ((0.9, 0.1), 100))
    ]


def fixation_time_expansion() -> list[Observation]:
    """Times of two outcomes by elimination, at two numbers of samples."""
    observations = []
    for num_samples in (100, 400):
        time = chain.absorption(from_loop(refit_loop(num_samples))).mean
        for share in (0.5, 0.3, 0.1):
            observations.append(
                Observation(
                    what=f"n = {num_samples}, p = {share}: the absorbing chain",
                    arguments={
                        "gap": float(np.log(share / (1 - share))),
                        "num_samples": num_samples,
                    },
                    value=time[round(share * num_samples)],
                    tolerance=0.2 / num_samples,
                )
            )
    return observations


def mean_alive(probs: np.ndarray, num_samples: int, num_generations: int) -> float:
    """Mean number of outcomes alive: each is followed in its own chain, forwards in time."""
    two = from_loop(refit_loop(num_samples))
    lost = (two.counts[:, 0] == 0).astype(float)
    for _ in range(num_generations - 1):
        lost = two.matrix @ lost
    first = binomial(np.log(np.column_stack([probs, 1 - probs])), num_samples)
    return float((1 - first @ lost).sum())


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
                    "logits": start,
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
                    "logits": np.log(probs).tolist(),
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
    for exponent, num_samples, num_generations in ((2.0, 600, 10), (3.0, 600, 5), (2.5, 60, 2)):
        probs = np.arange(1, 5001.0) ** -exponent
        probs /= probs.sum()
        alive = mean_alive(probs, num_samples, num_generations)
        observations.append(
            Observation(
                what=f"n = {num_samples}, exponent {exponent}, {num_generations} generations",
                arguments={
                    "exponent": exponent,
                    "top_probability": float(probs[0]),
                    "num_samples": num_samples,
                    "generation": num_generations,
                },
                value=alive,
                tolerance=0.01 * alive,
            )
        )
    return observations


def first_extinction() -> list[Observation]:
    """Mean time to the first loss among two or three outcomes, from the chain of all counts."""
    observations = []
    for start in ((20, 12, 8), (28, 4)):
        num_samples = sum(start)
        found = from_loop(refit_loop(num_samples), len(start))
        first_loss = found.stopped((found.counts == 0).any(-1))
        observations.append(
            Observation(
                what=f"K = {len(start)}, n = {num_samples}: the chain of all counts",
                arguments={"logits": logits_of(start), "num_samples": num_samples},
                value=chain.absorption(first_loss).mean[found.index(start)],
                tolerance=0.5 + np.log(num_samples) / 2,
            )
        )
    return observations


# --- T = 1: entropy -------------------------------------------------------------------------------


def mean_cost(start: list[float], num_samples: int) -> float:
    """Mean of Σ_t KL(p_{t+1}‖p_t): every state's mean divergence, as often as it is visited."""
    found = from_loop(refit_loop(num_samples), len(start))
    _, visits, _ = until_decided(refit_loop(num_samples), start)
    models = found.counts / num_samples
    with np.errstate(divide="ignore"):
        log_models = np.log(models)

    def paid(log_p: np.ndarray) -> np.ndarray:
        """KL(p'‖p) for every next model p' that p can lead to."""
        with np.errstate(invalid="ignore"):
            terms = models * np.where(models > 0, log_models - log_p, 0)
        return np.where(np.isfinite(terms).all(-1), terms.sum(-1), 0)

    cost = found.first_generation(jnp.array(start)) @ paid(np.array(start))
    for state in np.flatnonzero(visits):
        cost += visits[state] * found.matrix[state] @ paid(log_models[state])
    return float(cost)


def entropy_budget() -> list[Observation]:
    """Divergences between successive models, over the visited states of the chain."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 3), (START, 1)):
        start = logits_of(probs)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: all generations of the absorbing chain",
                arguments={"logits": start},
                value=mean_cost(start, num_samples),
                tolerance=1e-11,
            )
        )
    return observations


def entropy_toll() -> list[Observation]:
    """The loss of entropy in one generation, over all corpora."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 50), (START, 40)):
        start = logits_of(probs)
        found = from_loop(refit_loop(num_samples), len(start))
        with np.errstate(divide="ignore"):
            entropies = simplex.entropy(np.log(found.counts))
        loss = simplex.entropy(jnp.array(start)) - found.first_generation(start) @ entropies
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: all corpora",
                arguments={"logits": start, "num_samples": num_samples},
                value=loss,
                # The next term is (Σ 1/p − 1)/(12 n²).
                tolerance=sum(1 / p for p in probs) / (6 * num_samples**2),
            )
        )
    return observations


def entropy_lifetime() -> list[Observation]:
    """Outcomes alive beyond one, over all generations of the chains of two and three."""
    observations = []
    for probs, num_samples in ((START, 40), ((0.9, 0.1), 60)):
        counts, visits, _ = until_decided(refit_loop(num_samples), logits_of(probs))
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: the absorbing chain",
                arguments={"logits": logits_of(probs), "num_samples": num_samples},
                value=len(probs) - 1 + visits @ ((counts > 0).sum(-1) - 1),
                tolerance=np.log(num_samples),
            )
        )
    return observations


# --- Truncation -----------------------------------------------------------------------------------


def truncation() -> list[Observation]:
    """Outcomes alive under top-k, all histories of four and five outcomes listed."""
    four, five = (0.4, 0.1, 0.3, 0.2), (0.1, 0.35, 0.05, 0.3, 0.2)
    observations = []
    for probs, kept, num_samples, num_generations in (
        (four, 3, 3, 1),
        (four, 3, 3, 3),
        (four, 3, 4, 2),
        (five, 2, 3, 2),
    ):
        start = logits_of(probs)
        loop = Loop(TopK(kept), Fresh(num_samples), Refit())
        end = enumerate_histories(loop, jnp.array(start), num_generations)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, k = {kept}, n = {num_samples}, t = {num_generations}",
                arguments={
                    "logits": start,
                    "num_samples": num_samples,
                    "generation": num_generations,
                    "kept": kept,
                },
                value=end.mean(jnp.sum(jnp.isfinite(end.logits[-1]), -1).astype(float)),
                tolerance=ROUNDING,
            )
        )
    return observations
