"""Real data: refits to own samples mixed with real ones, and partial refits.

The loops, run.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from fixedpoint.laws.experiment import ROUNDING, Experiment, lasting
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import MixtureStep, Target
from fixedpoint.loop.enumeration import all_counts

START = (0.5, 0.3, 0.2)
"""An asymmetric model, as probabilities."""

LOGITS = np.log(START)
TWO = np.log([0.7, 0.3])


# --- Real data ------------------------------------------------------------------------------------


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


# --- Partial refits -------------------------------------------------------------------------------


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


def observation(
    arguments: dict[str, Any], generators: Sequence[tuple[float, np.ndarray]]
) -> Observation:
    """The lost share of 1 − Σp², in the mean over the generators, all batches listed."""
    names = ("step_size", "batch_size", "num_steps")
    steps = [arguments[name] for name in names]
    left = sum(weight * after_steps(generator, *steps) for weight, generator in generators)
    said = ", ".join(f"{name} = {value}" for name, value in arguments.items())
    lost = 1 - left / (1 - np.sum(np.square(START)))
    return Observation(f"{said}: all listed", arguments, lost, tolerance=ROUNDING)


def partial_refit() -> list[Observation]:
    """Three outcomes, two batches of two and one of three."""
    return [
        observation(
            {"step_size": step_size, "batch_size": batch_size, "num_steps": num_steps},
            [(1.0, np.array(START))],
        )
        for step_size, batch_size, num_steps in ((0.4, 2, 2), (0.7, 3, 1))
    ]


def partial_refit_data() -> list[Observation]:
    """All data sets as well: of three samples and of two."""
    return [
        observation(
            {
                "step_size": step_size,
                "batch_size": batch_size,
                "num_steps": num_steps,
                "num_samples": num_samples,
            },
            list(zip(*batches(np.array(START), num_samples), strict=True)),
        )
        for step_size, batch_size, num_steps, num_samples in ((0.4, 2, 2, 3), (0.7, 3, 1, 2))
    ]
