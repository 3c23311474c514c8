"""Real data: refits to own samples mixed with real ones, and partial refits.

The loops, run.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.chain import from_loop
from fixedpoint.laws.experiment import ROUNDING, Experiment, lasting
from fixedpoint.loop import Fresh, Loop, Target

LOGITS, TWO = np.log([0.5, 0.3, 0.2]), np.log([0.7, 0.3])
"""Asymmetric models."""


def variance(weights: np.ndarray, models: np.ndarray) -> np.ndarray:
    """The variance of each outcome's probability."""
    return weights @ (models - weights @ models) ** 2


def immigration() -> list[Experiment]:
    """Two and three outcomes."""
    return [
        lasting(variance, logits_real=[0.0, 0.0], fraction=0.25, num_samples=4),
        lasting(variance, logits_real=LOGITS, fraction=0.3, num_samples=5),
    ]


def immigration_pseudo() -> list[Experiment]:
    """Two and three outcomes."""
    return [
        lasting(variance, logits_real=TWO, fraction=0.25, num_samples=4),
        lasting(variance, logits_real=LOGITS, fraction=0.3, num_samples=5),
    ]


def immigration_stratified() -> list[Experiment]:
    """Two and three outcomes, with one real sample and with two."""
    return [
        lasting(variance, logits_real=TWO, num_real=1, num_samples=4),
        lasting(variance, logits_real=LOGITS, num_real=2, num_samples=5),
    ]


def kept(logits_real: Any, tolerance: float = ROUNDING, **numbers: Any) -> Experiment:
    """The mean of 1 − Σp² over that of the real data."""
    real = 1 - np.sum(np.exp(logits_real) ** 2)

    def read(weights: np.ndarray, models: np.ndarray) -> float:
        return weights @ (1 - (models**2).sum(-1)) / real

    return lasting(read, tolerance, logits_real=logits_real, **numbers)


def kept_diversity() -> list[Experiment]:
    """Two and three outcomes."""
    return [
        kept(TWO, fraction=0.5, num_samples=2),
        kept(LOGITS, fraction=0.2, num_samples=5),
    ]


def one_real_sample() -> list[Experiment]:
    """With 400 samples: half a real one, one and five in the mean."""
    size = 400
    return [kept(TWO, 0.5 / size, num_real=num, num_samples=size) for num in (0.5, 1.0, 5.0)]


def immigration_dirichlet() -> list[Experiment]:
    """The distribution function, between two states, where the chain's is half way up its step."""

    def below(point: float) -> Callable[[np.ndarray, np.ndarray], Any]:
        return lambda weights, models: weights[models[:, 0] < point].sum()

    size, experiments = 400, []
    for share, real, num_real in ((0.15, 0.3, 4.0), (0.5, 0.3, 4.0), (0.3, 0.2, 2.0)):
        point = share + 0.5 / size
        experiments.append(
            lasting(
                below(point),
                1.5 / size,
                share=point,
                real_probability=real,
                num_real=num_real,
                logits_real=np.log([real, 1 - real]),
                num_samples=size,
            )
        )
    return experiments


def drawn(logits: Any, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """All frequencies of samples of a distribution, as logits, and their chances."""
    states = from_loop(Loop(corpus=Fresh(num_samples)), len(logits))
    with np.errstate(divide="ignore"):
        return states.first_generation(logits), np.log(states.counts / num_samples)


def frozen(generators: Sequence[tuple[float, Any]], **numbers: Any) -> Experiment:
    """The lost share of 1 − Σp², in the mean over generators that stay the same for all steps."""

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        left = 0.0
        for weight, generator in generators:
            chances, batches = drawn(generator, numbers["batch_size"])
            models, total = LOGITS[None], np.ones(1)
            for _ in range(numbers["num_steps"]):  # every batch with every model
                several = np.repeat(batches, len(models), 0), np.tile(models, (len(batches), 1))
                target, model = map(jnp.array, several)
                models = np.array(loop.learner(model, Target(target, numbers["batch_size"]), None))
                total = np.outer(chances, total).ravel()
            left += weight * total @ simplex.heterozygosity(models)
        lost = 1 - left / simplex.heterozygosity(LOGITS)
        return lost, {"tolerance": ROUNDING}, "all batches listed"

    return Experiment(road, {"logits_real": LOGITS, **numbers})


def partial_refit() -> list[Experiment]:
    """Three outcomes, two batches of two and one of three."""
    return [
        frozen([(1.0, LOGITS)], step_size=step_size, batch_size=size, num_steps=num_steps)
        for step_size, size, num_steps in ((0.4, 2, 2), (0.7, 3, 1))
    ]


def partial_refit_data() -> list[Experiment]:
    """All data sets as well: of three samples and of two."""
    return [
        frozen(
            list(zip(*drawn(LOGITS, num_samples), strict=True)),
            step_size=step_size,
            batch_size=size,
            num_steps=num_steps,
            num_samples=num_samples,
        )
        for step_size, size, num_steps, num_samples in ((0.4, 2, 2, 3), (0.7, 3, 1, 2))
    ]
