"""Families: classes of models that tempering keeps, and students that obey it.

The loops, run.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    FinalAnswer,
    GradientFlow,
    GradientSteps,
    Loop,
    Refit,
    Temperature,
    run,
)
from fixedpoint.loop.learners import Learner

ROUNDING = 1e-12
"""Bound on the error of what is computed without integration or iteration."""


def generations(
    temperature: Any,
    logits: Any,
    num_generations: int,
    learner: Learner | None = None,
    observe: Callable[[Array], Any] | None = None,
) -> Any:
    """What is observed after a number of generations at a temperature, from exact samples."""
    loop = Loop(sampler=Temperature(temperature), learner=learner or Refit())
    logits = jnp.asarray(logits)
    result = run(
        loop, logits, num_generations, observe=observe, save_at=[num_generations], progress=False
    )
    return result.value[0]


def roads() -> Mapping[str, tuple[Learner, float]]:
    """The learners that reach the minimum, each with the error of its logits.

    The models here have no probability below 0.04, which is then the least curvature of the loss:
    a thousand steps of size 2 leave (1 - 0.08)¹⁰⁰⁰ = 1e-36 of the distance.
    """
    steps: dict[str, Any] = {"step_size": 2.0, "num_steps": 1000}
    return {
        "refit": (Refit(), ROUNDING),
        "gradient flow to convergence": (GradientFlow(np.inf), 1e-7),
        "gradient steps, fine-tuning": (GradientSteps(**steps), ROUNDING),
        "gradient steps, a lineage": (GradientSteps(**steps, start="initial"), ROUNDING),
    }


# --- which families it keeps ---------------------------------------------------------------------


def exponential_family() -> list[Observation]:
    """Densities on a uniform grid, run for a few generations; the exponents read off by a fit."""
    x, n = np.linspace(0.05, 12.0, 240), np.arange(60.0)
    log_x = np.log(x)
    mean, variance, shape, rate, ratio, exponent = 1.5, 0.8, 2.5, 0.7, 0.6, 1.8
    cases = {
        # name: (log-density, sufficient statistics, which, parameter, slope c of the base measure)
        "Gaussian, 1/σ²": (
            -((x - mean) ** 2) / (2 * variance),
            (x, -(x**2) / 2),
            1,
            1 / variance,
            0.0,
        ),
        "log-normal, μ/σ²": (
            -((log_x - mean) ** 2) / (2 * variance) - log_x,
            (log_x, -(log_x**2) / 2),
            0,
            mean / variance,
            -1.0,
        ),
        "gamma, shape": ((shape - 1) * log_x - rate * x, (log_x, -x), 0, shape, -1.0),
        "gamma, rate": ((shape - 1) * log_x - rate * x, (log_x, -x), 1, rate, 0.0),
        "geometric, log q": (n * np.log(ratio), (n,), 0, np.log(ratio), 0.0),
        "Pareto, α": (-exponent * log_x, (-log_x,), 0, exponent, 0.0),
    }
    observed = []
    settings = itertools.cycle(((0.7, 3), (1.2, 2)))
    for (name, case), (temperature, generation) in zip(cases.items(), settings, strict=False):
        log_density, statistics, which, parameter, slope = case
        model = np.asarray(generations(temperature, log_density, generation))
        design = np.stack([np.ones_like(model), *statistics], axis=1)
        fitted, *_ = np.linalg.lstsq(design, model, rcond=None)
        observed.append(
            Observation(
                f"{name}: generation {generation} at T = {temperature}",
                {
                    "parameter": float(parameter),
                    "base_slope": slope,
                    "temperature": temperature,
                    "generation": generation,
                },
                float(fitted[1 + which]) - slope,
                tolerance=1e-10,
            )
        )
    return observed


def _poisson_step(mean: Any, temperature: float, num_terms: int) -> Array:
    """The mean of what a Poisson model is trained on, which its student takes."""
    x = jnp.arange(float(num_terms))
    drawn = generations(
        temperature,
        x * jnp.log(mean) - gammaln(x + 1),
        1,
        observe=simplex.probabilities,
    )
    return jnp.sum(x * drawn)


def poisson() -> list[Observation]:
    """One generation of a student that is kept in the Poisson family."""
    return [
        Observation(
            f"λ = {mean} at T = {temperature}",
            {"mean": mean, "temperature": temperature, "num_terms": num_terms},
            _poisson_step(mean, temperature, num_terms),
            tolerance=1e-11,
        )
        for mean, temperature, num_terms in ((2.5, 0.6, 100), (7.0, 1.5, 150))
    ]


def poisson_drift() -> list[Observation]:
    """Ten generations of a Poisson student with a large mean."""
    observed = []
    for temperature in (0.5, 1.25):
        first = mean = 400.0
        for _ in range(10):
            mean = _poisson_step(mean, temperature, 900)
        observed.append(
            Observation(
                f"ten generations from λ = 400 at T = {temperature}",
                {"temperature": temperature},
                (mean - first) / 10,
                # The next term of the series in 1/λ is (1 - T²)/(24λ); twice that is allowed.
                tolerance=2 * abs(1 - temperature**2) / (24 * 390),
            )
        )
    return observed


# --- which students obey it ----------------------------------------------------------------------


def cone() -> list[Observation]:
    """The student log(1, 2, 1) + w (0, 1, 2), retrained near w = 0."""

    def student(w: Array) -> Array:
        return jnp.log(jnp.array([1.0, 2.0, 1.0])) + w * jnp.arange(3.0)

    def outcome(p: Array) -> Array:
        return jnp.sum(jnp.arange(3.0) * p)

    betas = (0.5, 2.0, 4.0)
    return [
        Observation(f"at β = {beta}", {"inverse_temperature": beta}, multiplier, tolerance=1e-9)
        for beta, multiplier in zip(betas, _multipliers(student, outcome, betas), strict=True)
    ]


def cone_two_contexts() -> list[Observation]:
    """The student with logit gaps w + δ and w - δ in two contexts, retrained near w = 0."""

    def outcome(p: Array) -> Array:
        return jnp.sum(p[:, 0])

    observed = []
    for offset, betas in ((1.0, (0.5, 3.0)), (2.5, (0.7,))):

        def student(w: Array, offset: float = offset) -> Array:
            gaps = w + offset * jnp.array([1.0, -1.0])
            return jnp.stack([gaps / 2, -gaps / 2], axis=-1)

        observed += [
            Observation(
                f"at β = {beta}, δ = {offset}",
                {"inverse_temperature": beta, "offset": offset},
                multiplier,
                tolerance=1e-9,
            )
            for beta, multiplier in zip(betas, _multipliers(student, outcome, betas), strict=True)
        ]
    return observed


def _multipliers(
    student: Callable[[Array], Array],
    outcome: Callable[[Array], Array],
    inverse_temperatures: Sequence[float],
) -> Array:
    """dw'/dw at w = 0 of a generation whose student can only move its parameter w.

    Its cross-entropy is least where its mean outcome is that of what it is trained on.
    """

    def mean(w: Array) -> Array:
        return outcome(simplex.probabilities(student(w)))

    def retrain(w: Array, inverse_temperature: Array) -> Array:
        drawn = generations(1 / inverse_temperature, student(w), 1, observe=simplex.probabilities)
        trained = w
        for _ in range(4):  # Newton's method, from the last generation's model
            trained += (outcome(drawn) - mean(trained)) / jax.grad(mean)(trained)
        return trained

    slope = jax.jit(jax.vmap(jax.jacfwd(retrain), in_axes=(None, 0)))
    return slope(jnp.zeros(()), jnp.asarray(inverse_temperatures))


# --- trained on the final answers alone ----------------------------------------------------------

REASONINGS = np.array([1.1, 0.2, -0.4, 0.9, 0.3, 1.6])
ANSWERS = [0, 0, 0, 1, 1, 2]
"""Six reasonings with three answers: three, two and one of them."""


def final_answer() -> list[Observation]:
    """Runs of a learner that sees the answers alone, by every road to the minimum."""

    def of_answers(logits: Array) -> Array:
        return jnp.stack([logsumexp(logits[np.equal(ANSWERS, answer)]) for answer in range(3)])

    observed = []
    for temperature, num, logits in ((0.8, 3, REASONINGS), (1.4, 4, REASONINGS[::-1])):
        order = 1 / temperature
        groups = [logits[np.equal(ANSWERS, answer)] for answer in range(3)]
        proportions = [np.exp(group) / np.exp(group).sum() for group in groups]
        entropies = [np.log((r**order).sum()) / (1 - order) for r in proportions]
        arguments = {
            "logits_answers": np.array([np.log(np.exp(group).sum()) for group in groups]),
            "entropies": np.array(entropies),
            "temperature": temperature,
            "generation": num,
        }
        observed += [
            Observation(
                f"{num} generations at T = {temperature}: {road}",
                arguments,
                generations(temperature, logits, num, FinalAnswer(ANSWERS, learner), of_answers),
                tolerance=num * error,
            )
            for road, (learner, error) in roads().items()
        ]
    return observed
