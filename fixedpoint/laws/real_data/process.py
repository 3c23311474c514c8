"""Real data: refits to own samples mixed with real ones, and partial refits.

The loops, run.
"""

from __future__ import annotations

import math

import jax.numpy as jnp
import numpy as np

from fixedpoint import chain
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    Corpus,
    Fresh,
    Loop,
    Mixed,
    MixtureStep,
    Pooled,
    Target,
)
from fixedpoint.loop.enumeration import all_counts

START = (0.5, 0.3, 0.2)
"""An asymmetric model, as probabilities."""

ROUNDING = 1e-12


def logits_of(probs: tuple[float, ...]) -> list[float]:
    """The logits of probabilities, as the laws take them."""
    return np.log(probs).tolist()


# --- Real data and partial refits -----------------------------------------------------------------


def lasting(corpus: Corpus, num_outcomes: int) -> tuple[np.ndarray, np.ndarray]:
    """The stationary law of the counts of own samples: the states and their probabilities."""
    states = chain.from_loop(Loop(corpus=corpus), num_outcomes)
    return states.counts, chain.stationary(states)


def variance(probability: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Variance under probabilities of the states."""
    mean = probability @ values
    return probability @ (values - mean) ** 2


def immigration() -> list[Observation]:
    """Stationary laws of exact chains of two and three outcomes."""
    observations = []
    for probs, fraction, num_samples in (((0.5, 0.5), 0.25, 4), (START, 0.3, 5)):
        counts, law = lasting(Pooled(jnp.array(probs), fraction, Fresh(num_samples)), len(probs))
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}, a = {fraction}: exact chain",
                arguments={
                    "logits_real": logits_of(probs),
                    "fraction": fraction,
                    "num_samples": num_samples,
                },
                value=variance(law, counts / num_samples),
                tolerance=ROUNDING,
            )
        )
    return observations


def immigration_pseudo() -> list[Observation]:
    """Exact chains of the own samples, mixed with the real distribution itself."""
    observations = []
    for probs, fraction, num_samples in (((0.7, 0.3), 0.25, 4), (START, 0.3, 5)):
        counts, law = lasting(Mixed(jnp.array(probs), fraction, Fresh(num_samples)), len(probs))
        observations.append(
            Observation(
                what=f"K = {len(probs)}, m = {num_samples}, a = {fraction}: exact chain",
                arguments={
                    "logits_real": logits_of(probs),
                    "fraction": fraction,
                    "num_samples": num_samples,
                },
                value=(1 - fraction) ** 2 * variance(law, counts / num_samples),
                tolerance=ROUNDING,
            )
        )
    return observations


def immigration_stratified() -> list[Observation]:
    """Exact chains of the own samples, mixed with k real ones."""
    observations = []
    for probs, num_real, num_samples in (((0.7, 0.3), 1, 4), (START, 2, 5)):
        own, fraction = num_samples - num_real, num_real / num_samples
        corpus = Mixed(jnp.array(probs), fraction, Fresh(own), num_real=num_real)
        counts, law = lasting(corpus, len(probs))
        q = np.array(probs)
        # Own samples S and real ones R are independent: p = (1 − a) S/(n − k) + a R/k.
        spread = (1 - fraction) ** 2 * variance(law, counts / own)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}, k = {num_real}: exact chain",
                arguments={
                    "logits_real": logits_of(probs),
                    "num_real": num_real,
                    "num_samples": num_samples,
                },
                value=spread + fraction**2 * q * (1 - q) / num_real,
                tolerance=ROUNDING,
            )
        )
    return observations


def kept_share(probs: tuple[float, ...], fraction: float, num_samples: int) -> float:
    """Stationary mean of 1 − Σp² over that of the real data, by the exact chain."""
    counts, law = lasting(Pooled(jnp.array(probs), fraction, Fresh(num_samples)), len(probs))
    diversity = 1 - ((counts / num_samples) ** 2).sum(-1)
    return float(law @ diversity / (1 - np.sum(np.square(probs))))


def kept_diversity() -> list[Observation]:
    """Exact chains of two and three outcomes."""
    return [
        Observation(
            what=f"K = {len(probs)}, n = {num_samples}, a = {fraction}: exact chain",
            arguments={"fraction": fraction, "num_samples": num_samples},
            value=kept_share(probs, fraction, num_samples),
            tolerance=ROUNDING,
        )
        for probs, fraction, num_samples in (((0.7, 0.3), 0.5, 2), (START, 0.2, 5))
    ]


def one_real_sample() -> list[Observation]:
    """Exact chains of 400 samples with half a real one, one and five in the mean."""
    num_samples = 400
    return [
        Observation(
            what=f"K = 2, n = 400, {num_real} real samples a generation: exact chain",
            arguments={"num_real": num_real},
            value=kept_share((0.7, 0.3), num_real / num_samples, num_samples),
            tolerance=0.5 / num_samples,
        )
        for num_real in (0.5, 1.0, 5.0)
    ]


def immigration_dirichlet() -> list[Observation]:
    """The distribution function of an exact chain of 400 samples."""
    num_samples, num_real, q = 400, 4.0, 0.3
    corpus = Pooled(jnp.array([q, 1 - q]), num_real / num_samples, Fresh(num_samples))
    counts, law = lasting(corpus, 2)
    observations = []
    for share in (0.15, 0.3, 0.5):
        # Between two states, where the step function of the chain is half way.
        point = share + 0.5 / num_samples
        observations.append(
            Observation(
                what=f"K = 2, n = 400, four real samples a generation: P(p <= {share})",
                arguments={"share": point, "real_probability": q, "num_real": num_real},
                value=law[counts[:, 0] < point * num_samples].sum(),
                tolerance=1.5 / num_samples,
            )
        )
    return observations


def batches(generator: np.ndarray, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """All batches of a distribution, as frequencies, and their multinomial chances."""
    counts = all_counts(len(generator), num_samples)
    ways = [
        math.factorial(num_samples) / math.prod(map(math.factorial, row)) for row in counts.tolist()
    ]
    return np.array(ways) * np.prod(generator**counts, -1), counts / num_samples


def after_steps(generator: np.ndarray, step_size: float, batch_size: int, num_steps: int) -> float:
    """Mean 1 − Σp² after mixture steps on all batches that a frozen generator can draw."""
    chance, frequencies = batches(generator, batch_size)
    with np.errstate(divide="ignore"):
        targets, models = np.log(frequencies), np.log(np.array([START]))
    learner, total = MixtureStep(step_size), np.ones(1)
    for _ in range(num_steps):
        # Every batch with every model.
        target = Target(jnp.array(np.repeat(targets, len(models), 0)), batch_size)
        models = np.array(learner(jnp.array(np.tile(models, (len(targets), 1))), target, None))
        total = np.outer(chance, total).ravel()
    return float(total @ (1 - (np.exp(models) ** 2).sum(-1)))


def partial_refit() -> list[Observation]:
    """All batches listed: three outcomes, one step and two."""
    observations = []
    diversity = 1 - np.sum(np.square(START))
    for step_size, batch_size, num_steps in ((0.4, 2, 2), (0.7, 2, 1)):
        kept = after_steps(np.array(START), step_size, batch_size, num_steps)
        observations.append(
            Observation(
                what=f"K = 3, eta = {step_size}, B = {batch_size}, m = {num_steps}: all listed",
                arguments={
                    "step_size": step_size,
                    "batch_size": batch_size,
                    "num_steps": num_steps,
                },
                value=1 - kept / diversity,
                tolerance=ROUNDING,
            )
        )
    return observations


def partial_refit_data() -> Observation:
    """All data sets and all their minibatches listed."""
    step_size, batch_size, num_steps, num_samples = 0.4, 2, 2, 3
    chance, data = batches(np.array(START), num_samples)
    kept = sum(
        c * after_steps(frequencies, step_size, batch_size, num_steps)
        for c, frequencies in zip(chance, data, strict=True)
    )
    return Observation(
        what="K = 3, n = 3, eta = 0.4, B = 2, m = 2: all listed",
        arguments={
            "step_size": step_size,
            "batch_size": batch_size,
            "num_steps": num_steps,
            "num_samples": num_samples,
        },
        value=1 - kept / (1 - np.sum(np.square(START))),
        tolerance=ROUNDING,
    )
