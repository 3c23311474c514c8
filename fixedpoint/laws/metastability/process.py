"""Metastability: refits to n samples at a temperature, and how rarely they lose an outcome.

The loops, run.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import chain, simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    Fresh,
    Loop,
    Refit,
    Temperature,
)
from fixedpoint.loop.enumeration import enumerate_histories

START = (0.5, 0.3, 0.2)
"""An asymmetric model, as probabilities."""


def refit_loop(num_samples: int, temperature: float = 1.0) -> Loop:
    """Every generation is refitted to n of its own samples."""
    return Loop(Temperature(temperature), Fresh(num_samples), Refit())


# --- A temperature --------------------------------------------------------------------------------


def scale_function() -> list[Observation]:
    """Exact chains at a fixed scaled temperature, more and more samples."""
    observations = []
    for kappa, num_samples, shares in (
        (2.0, 50, (0.3,)),
        (2.0, 400, (0.3, 0.6)),
        (-2.0, 400, (0.3,)),
    ):
        temperature = 1 / (1 + kappa / num_samples)
        decided = chain.absorption(chain.from_loop(refit_loop(num_samples, temperature)))
        observations += [
            Observation(
                what=f"K = 2, n = {num_samples}, kappa = {kappa:g}: exact chain from p = {share}",
                arguments={
                    "probability": round(share * num_samples) / num_samples,
                    "temperature": temperature,
                    "num_samples": num_samples,
                },
                value=decided.probability[round(share * num_samples), -1],
                # The diffusion's error, of order 1/n.
                tolerance=0.1 * abs(kappa) / num_samples,
            )
            for share in shares
        ]
    return observations


def critical_temperature() -> list[Observation]:
    """Where the mean entropy of the next generation equals the entropy, all corpora listed."""
    observations = []
    for probs, num_samples in ((START, 60), ((0.8, 0.2), 400), ((0.8, 0.12, 0.08), 100)):
        start = jnp.log(jnp.array(probs))

        def rise(temperature: Any, start: Any = start, num_samples: Any = num_samples):
            after = enumerate_histories(refit_loop(num_samples, temperature), start, 1)
            return float(after.mean(simplex.entropy(after.logits[-1])) - simplex.entropy(start))

        # Secant steps from T = 1, where the entropy falls by about d/(2n).
        cold, hot = 1.0, 1 + 10 / num_samples
        low, high = rise(cold), rise(hot)
        for _ in range(5):
            cold, hot, low = hot, hot - high * (hot - cold) / (high - low), high
            high = rise(hot)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: zero of the mean entropy's change",
                arguments={"logits": start.tolist(), "num_samples": num_samples},
                value=hot,
                # The next order, in units of the first one squared.
                tolerance=4 * (hot - 1) ** 2,
            )
        )
    return observations


def exponent(temperature: float, num_samples: tuple[int, ...], num_outcomes: int = 2) -> list[Any]:
    """Slopes of ln(mean time until the first loss), from equal outcomes, in exact chains."""
    times = []
    for number in num_samples:
        states = chain.from_loop(
            refit_loop(number, temperature), num_outcomes, exchangeable=num_outcomes > 2
        )
        first_loss = chain.absorption(states.stopped((states.counts == 0).any(-1)))
        start = states.index([number // num_outcomes] * num_outcomes)
        times.append(np.log(first_loss.mean[start]))
    return list(np.diff(times) / np.diff(num_samples))


def metastability() -> list[Observation]:
    """Slopes of exact chains, where n^{1−1/T} is large."""
    observations = []
    for temperature, num_samples in ((2.0, (200, 300)), (3.0, (100, 200)), (10.0, (60, 120))):
        observations.append(
            Observation(
                what=f"T = {temperature}: slope of ln(mean time) between n = {num_samples}",
                arguments={"temperature": temperature},
                value=exponent(temperature, num_samples)[0],
                # What is left of single survivors, exp(−n^{1−1/T}) and a power of n before it.
                tolerance=2e-4,
            )
        )
    return observations


def cheapest_path(temperature: float, num_generations: int) -> float:
    """The least action of the paths from even odds to the loss in a number of generations.

    Newton's method on all points at once, damped where the action does not fall.
    """
    beta = 1 / temperature

    def action(path: Any):
        z = jnp.concatenate([jnp.zeros(1), path])
        drawn, after = beta * z, jax.nn.sigmoid(path)
        rate = after * (path - drawn[:-1]) + jax.nn.softplus(drawn[:-1]) - jax.nn.softplus(path)
        return jnp.sum(rate) + jax.nn.softplus(drawn[-1])

    value, slope, curvature = map(jax.jit, (action, jax.grad(action), jax.hessian(action)))
    # Away from even odds by the factor T a generation, which the cheapest path is at first.
    path = -2.0 * temperature ** jnp.arange(-num_generations + 1.0, 1)
    damping = 1.0
    for _ in range(200):
        matrix = curvature(path) + damping * jnp.eye(num_generations)
        proposed = path - jnp.linalg.solve(matrix, slope(path))
        better = value(proposed) < value(path)
        path, damping = (proposed, damping / 4) if better else (path, damping * 4)
        if damping > 1e8 or jnp.abs(slope(path)).max() < 1e-9:
            break
    return float(value(path))


def action_series() -> list[Observation]:
    """The cheapest path of 80 generations, near T = 1."""
    return [
        Observation(
            what=f"T = {temperature}: cheapest path of {num_generations} generations",
            arguments={"temperature": temperature},
            value=cheapest_path(temperature, num_generations),
            # The fourth order of the series.
            tolerance=0.5 * (1 - 1 / temperature) ** 4,
        )
        for temperature, num_generations in ((1.1, 80), (1.2, 40))
    ]


def staircase() -> list[Observation]:
    """First losses in exact chains; three outcomes extrapolated."""
    slopes = np.array(exponent(2.0, (12, 24, 36, 48), 3))
    first, last = slopes[-2] - slopes[-3], slopes[-1] - slopes[-2]
    return [
        Observation(
            what="K = 3, T = 2: slopes at n = 12 to 48, extrapolated as a geometric series",
            arguments={"num_outcomes": 3, "temperature": 2.0},
            value=slopes[-1] + last**2 / (first - last),
            tolerance=2e-3,
        ),
        Observation(
            what="K = 3, T = 8: slope between n = 24 and 36",
            arguments={"num_outcomes": 3, "temperature": 8.0},
            value=exponent(8.0, (24, 36), 3)[0],
            tolerance=5e-4,
        ),
        Observation(
            what="K = 2, T = 5: slope between n = 60 and 120",
            arguments={"num_outcomes": 2, "temperature": 5.0},
            value=exponent(5.0, (60, 120))[0],
            tolerance=2e-4,
        ),
    ]


def slow_eigenvalue() -> list[Observation]:
    """The decay of the undecided states in exact chains."""
    observations = []
    for temperature, num_samples in ((0.5, 60), (0.8, 120), (1.0, 20), (2.0, 80)):
        kept = chain.quasi_stationary(chain.from_loop(refit_loop(num_samples, temperature)))
        observations.append(
            Observation(
                what=f"K = 2, n = {num_samples}, T = {temperature}: exact chain",
                arguments={"temperature": temperature, "num_samples": num_samples},
                value=1 - kept.decay,
                tolerance=1e-10,
            )
        )
    return observations
