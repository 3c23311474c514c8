"""Other geometries: infinite samples, and a flow that is measured in another way.

The loops, run.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.experiment import TIGHT, Experiment, changing, continuous, exact, flowed
from fixedpoint.loop import MixtureStep, flow
from fixedpoint.potential import potential as height
from fixedpoint.simplex import log_probabilities

MODEL = np.array([1.3, -0.4, 0.2, -2.1])
"""An asymmetric model: no two gaps alike."""
OTHER = np.array([-0.7, 0.9, 0.1])
"""Another one, of three outcomes."""


def mixture_frozen() -> list[Experiment]:
    """Mixture flow to the teacher of the beginning."""
    return [
        flowed(read=log_probabilities, frozen=True, logits=model, temperature=T, time=time)
        for model, T, time in ((MODEL, 0.5, 0.5), (MODEL, 0.5, 1.5), (OTHER, 1.8, 1.5))
    ]


def mixture_online() -> list[Experiment]:
    """Mixture flow of a model that is its own teacher, and small mixture steps."""
    return [
        flowed(read=log_probabilities, logits=OTHER, temperature=0.6, time=1.2),
        flowed(read=log_probabilities, steps=(500, 1000), logits=MODEL, temperature=3.0, time=2.5),
    ]


def natural() -> list[Experiment]:
    """Refits at temperatures ever nearer to 1.

    With s = 1/T - 1, each multiplies the logits by 1 + ηs: together by e^(sτ) (1 - ηs²τ/2 …).
    """

    def mild(logits: Any, temperature: float, time: float, count: int) -> Experiment:
        s, step = 1 / temperature - 1, time / count
        error = np.max(np.abs(logits)) * np.exp(s * time) * step * s**2 * time / 2
        return exact(
            1.01 * error,
            logits=logits,
            temperature=temperature,
            time=time,
            step_size=step,
            generation=count,
        )

    return [mild(MODEL, 0.7, 1.5, 10_000), mild(MODEL[::-1], 2.5, 0.8, 20_000)]


def reverse_kl_tail() -> list[Experiment]:
    """Gradient steps at a temperature near 1, in continuous time, until late."""

    def late(loop: Any, read: Any, numbers: Any) -> Any:
        start, time = jnp.asarray(numbers["logits"]), numbers["time"] / numbers["step_size"]
        value = flow(loop, start, [time], observe=read, **TIGHT).value[0]
        K, s = numbers["num_outcomes"], (1 / numbers["temperature"] - 1) * numbers["time"]
        # The next order is 1/z of the leading one, (K - 1)/(Ksz) with z > log Ks.
        error = 1.5 * (K - 1) / (K * s * np.log(K * s) ** 2)
        return value, {"tolerance": error}, "flow"

    return [
        continuous(
            late,
            logits=logits,
            num_outcomes=len(logits),
            temperature=temperature,
            time=time,
            step_size=1e-6,
        )
        for logits, temperature, time in (
            ([1.0, 0.2, -0.5, 0.0], 0.4, 1e9),
            ([1.0, 0.2, -0.5, 0.0], 0.6, 1e8),
            ([0.3, -0.4], 0.5, 1e8),
        )
    ]


def potential() -> list[Experiment]:
    """How fast Φ grows along the flow of logits, and along that of probabilities."""

    def climbing(
        natural: int, logits: Any, temperature: float, fraction: float, logits_real: Any
    ) -> Experiment:
        real = simplex.probabilities(logits_real)
        return changing(
            lambda logits: height(logits, temperature, real, fraction),
            parts={"learner": MixtureStep(1.0)} if natural else {},
            logits=logits,
            temperature=temperature,
            logits_real=logits_real,
            fraction=fraction,
            natural=natural,
        )

    q = np.array([-0.5, 0.8, 0.0, 0.3])
    return [
        climbing(0, MODEL, 0.6, 0.2, q),
        climbing(1, MODEL, 0.6, 0.2, q),
        climbing(1, -0.5 * MODEL, 1.8, 0.35, q[::-1]),
    ]
