"""Metastability: refits to n samples at a temperature, and how rarely they lose an outcome.

The loops, run.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import chain, simplex
from fixedpoint.laws.experiment import Combined, Experiment, absorbed
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Fresh, Loop, Temperature
from fixedpoint.loop.enumeration import enumerate_histories


def states(temperature: float, num_samples: int, num_outcomes: int = 2) -> chain.Chain:
    """The exact chain of refits; more than two outcomes are told apart by their counts alone."""
    loop = Loop(Temperature(temperature), Fresh(num_samples))
    return chain.from_loop(loop, num_outcomes, exchangeable=num_outcomes > 2)


def scale_function() -> list[Combined | Experiment]:
    """Exact chains at a fixed scaled temperature, directly and with their order 1/n cancelled."""

    def run(kappa: float, share: float, size: int) -> Experiment:
        return absorbed(
            lambda course: course.last[0],
            0.1 * abs(kappa) / size,  # the diffusion's error, of order 1/n
            probability=share,
            temperature=1 / (1 + kappa / size),
            num_samples=size,
        )

    cases = ((2.0, 0.3), (2.0, 0.6), (-2.0, 0.3))
    return [
        *(run(*case, 400) for case in cases),
        *(
            Combined([run(*case, 50), run(*case, 100)], (-1, 2), 0.2 * case[0] ** 2 / 50**2)
            for case in cases
        ),
    ]


def standstill(start: Any, num_samples: int) -> float:
    """The temperature at which the mean entropy stays in one generation, all corpora listed."""

    def rise(temperature: float) -> float:
        loop = Loop(Temperature(temperature), Fresh(num_samples))
        after = enumerate_histories(loop, start, 1)
        return float(after.mean(simplex.entropy(after.logits[-1])) - simplex.entropy(start))

    # Secant steps from T = 1, where the entropy falls by about d/(2n).
    cold, hot = 1.0, 1 + 10 / num_samples
    low, high = rise(cold), rise(hot)
    for _ in range(5):
        cold, hot, low = hot, hot - high * (hot - cold) / (high - low), high
        high = rise(hot)
    return hot


def critical_temperature() -> list[Observation]:
    """Where the mean entropy stands still, with its second order in 1/n cancelled."""
    observations = []
    for probs, size in (((0.5, 0.3, 0.2), 60), ((0.8, 0.2), 200), ((0.8, 0.12, 0.08), 100)):
        start = jnp.log(jnp.array(probs))
        first, second = (standstill(start, number) - 1 for number in (size, 2 * size))
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {size} and {2 * size}: zero of the entropy's change",
                arguments={"logits": start.tolist(), "num_samples": size},
                value=1 + 4 * second - first,
                tolerance=20 * first**3,  # the third order
            )
        )
    return observations


def slopes(temperature: float, sizes: Sequence[int], num_outcomes: int = 2) -> np.ndarray:
    """Slopes in n of ln(mean time until the first loss), from equal outcomes, in exact chains."""
    times = []
    for size in sizes:
        several = states(temperature, size, num_outcomes)
        first_loss = chain.absorption(several.stopped((several.counts == 0).any(-1)))
        start = several.index([size // num_outcomes] * num_outcomes)
        times.append(first_loss.log_mean[start])
    return np.diff(times) / np.diff(sizes)


def metastability() -> list[Observation]:
    """Slopes of exact chains, where n^{1−1/T} is large."""
    return [
        Observation(
            what=f"T = {temperature}: slope of ln(mean time) between n = {sizes}",
            arguments={"temperature": temperature},
            value=slopes(temperature, sizes)[0],
            # What is left of single survivors, exp(−n^{1−1/T}) and a power of n before it.
            tolerance=2e-4,
        )
        for temperature, sizes in ((2.0, (200, 300)), (3.0, (100, 200)), (10.0, (60, 120)))
    ]


def cheapest_path(temperature: float, num_generations: int) -> float:
    """The least action of the paths from even odds to the loss in a number of generations.

    Newton's method on all points at once, damped where the action does not fall.
    """
    beta = 1 / temperature

    def action(path: Any) -> Any:
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
    """The cheapest path of many generations, near T = 1."""
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
    """First losses in exact chains; three outcomes at T = 2 extrapolated."""
    some = slopes(2.0, (12, 24, 36, 48), 3)
    first, last = some[-2] - some[-3], some[-1] - some[-2]
    return [
        Observation(
            what=f"K = {num_outcomes}, T = {temperature}: slopes between n = {sizes}",
            arguments={"num_outcomes": num_outcomes, "temperature": temperature},
            value=value,
            tolerance=tolerance,
        )
        for num_outcomes, temperature, sizes, value, tolerance in (
            # As a geometric series.
            (3, 2.0, (12, 24, 36, 48), some[-1] + last**2 / (first - last), 2e-3),
            (3, 8.0, (24, 36), slopes(8.0, (24, 36), 3)[0], 5e-4),
            (2, 5.0, (60, 120), slopes(5.0, (60, 120))[0], 2e-4),
        )
    ]


def slow_eigenvalue() -> list[Observation]:
    """The decay of the undecided states in exact chains."""
    return [
        Observation(
            what=f"K = 2, n = {size}, T = {temperature}: exact chain",
            arguments={"temperature": temperature, "num_samples": size},
            value=1 - chain.quasi_stationary(states(temperature, size)).decay,
            tolerance=1e-10,
        )
        for temperature, size in ((0.5, 60), (0.8, 120), (1.0, 20), (2.0, 80))
    ]
