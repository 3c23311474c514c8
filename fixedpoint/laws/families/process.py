"""The loops of families that tempering keeps, and of students that obey it."""

import itertools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.experiment import Experiment, after, full_training, measured
from fixedpoint.loop import FinalAnswer, Loop, Temperature

Numbers = Mapping[str, Any]

# --- which families it keeps ---------------------------------------------------------------------

X, COUNTS = np.linspace(0.05, 12.0, 240), np.arange(60.0)
FAMILIES: Mapping[str, tuple[Any, tuple[Any, ...], int, float, float]] = {
    # name: log-density, sufficient statistics, which, its parameter, slope c of the base measure
    "Gaussian, 1/σ²": (-((X - 1.5) ** 2) / 1.6, (X, -(X**2) / 2), 1, 1 / 0.8, 0.0),
    "log-normal, μ/σ²": (
        -((np.log(X) - 1.5) ** 2) / 1.6 - np.log(X),
        (np.log(X), -(np.log(X) ** 2) / 2),
        0,
        1.5 / 0.8,
        -1.0,
    ),
    "gamma, shape": (1.5 * np.log(X) - 0.7 * X, (np.log(X), -X), 0, 2.5, -1.0),
    "gamma, rate": (1.5 * np.log(X) - 0.7 * X, (np.log(X), -X), 1, 0.7, 0.0),
    "geometric, log q": (COUNTS * np.log(0.6), (COUNTS,), 0, np.log(0.6), 0.0),
    "Pareto, α": (-1.8 * np.log(X), (-np.log(X),), 0, 1.8, 0.0),
}
"""Families on a grid."""


def exponential_family() -> list[Experiment]:
    """Densities on a uniform grid, run for a few generations; the exponents read off by a fit."""

    def experiment(name: str, temperature: float, generation: int) -> Experiment:
        log_density, statistics, which, parameter, slope = FAMILIES[name]

        def fitted(loop: Loop, numbers: Numbers) -> Any:
            model = np.asarray(after(loop, log_density, generation))
            design = np.stack([np.ones_like(model), *statistics], axis=1)
            found, *_ = np.linalg.lstsq(design, model, rcond=None)
            return found[1 + which] - slope, {"tolerance": 1e-10}

        return measured(
            fitted,
            name,
            parameter=parameter,
            base_slope=slope,
            temperature=temperature,
            generation=generation,
        )

    settings = itertools.cycle(((0.7, 3), (1.2, 2)))
    return [experiment(name, *some) for name, some in zip(FAMILIES, settings, strict=False)]


def _poisson_step(loop: Loop, mean: Any, num_terms: int) -> Array:
    """The mean of what a Poisson model is trained on, which its student takes."""
    x = jnp.arange(float(num_terms))
    drawn = after(loop, x * jnp.log(mean) - gammaln(x + 1), observe=simplex.probabilities)
    return jnp.sum(x * drawn)


def poisson() -> list[Experiment]:
    """One generation of a student that is kept in the Poisson family."""

    def trained(loop: Loop, numbers: Numbers) -> Any:
        return _poisson_step(loop, numbers["mean"], numbers["num_terms"]), {"tolerance": 1e-11}

    return [
        measured(trained, "one student", mean=mean, temperature=temperature, num_terms=num_terms)
        for mean, temperature, num_terms in ((2.5, 0.6, 100), (7.0, 1.5, 150))
    ]


def poisson_drift() -> list[Experiment]:
    """Ten generations of a Poisson student with a large mean."""

    def drift(loop: Loop, numbers: Numbers) -> Any:
        mean = 400.0
        for _ in range(10):
            mean = _poisson_step(loop, mean, 900)
        # The next term of the series in 1/λ is (1 - T²)/(24λ); twice that is allowed.
        return (mean - 400) / 10, {"tolerance": abs(1 - numbers["temperature"] ** 2) / (12 * 390)}

    return [
        measured(drift, "ten generations from λ = 400", temperature=temperature)
        for temperature in (0.5, 1.25)
    ]


# --- which students obey it ----------------------------------------------------------------------


def _slope(student: Any, outcome: Any) -> Any:
    """dw'/dw at w = 0 of a generation whose student can only move its parameter w.

    Its cross-entropy is least where its mean outcome is that of what it is trained on.
    """

    def retrain(w: Array, inverse_temperature: Any, numbers: Any) -> Array:
        def mean(w: Array) -> Array:
            return outcome(simplex.probabilities(student(w, **numbers)))

        loop = Loop(Temperature(1 / inverse_temperature))
        drawn = after(loop, student(w, **numbers), observe=simplex.probabilities)
        trained = w
        for _ in range(4):  # Newton's method, from the last generation's model
            trained += (outcome(drawn) - mean(trained)) / jax.grad(mean)(trained)
        return trained

    slope = jax.jit(jax.jacfwd(retrain))

    def found(_: Loop, numbers: Numbers) -> Any:
        others = dict(numbers)
        return slope(jnp.zeros(()), others.pop("inverse_temperature"), others), {"tolerance": 1e-9}

    return found


def cone() -> list[Experiment]:
    """The student log(1, 2, 1) + w (0, 1, 2), retrained near w = 0."""

    def student(w: Array) -> Array:
        return jnp.log(jnp.array([1.0, 2.0, 1.0])) + w * jnp.arange(3.0)

    slope = _slope(student, lambda p: jnp.sum(jnp.arange(3.0) * p))
    return [measured(slope, "near w = 0", inverse_temperature=beta) for beta in (0.5, 2.0, 4.0)]


def cone_two_contexts() -> list[Experiment]:
    """The student with logit gaps w + δ and w - δ in two contexts, retrained near w = 0."""

    def student(w: Array, offset: Any) -> Array:
        gaps = w + offset * jnp.array([1.0, -1.0])
        return jnp.stack([gaps / 2, -gaps / 2], axis=-1)

    slope = _slope(student, lambda p: jnp.sum(p[:, 0]))
    return [
        measured(slope, "near w = 0", inverse_temperature=beta, offset=offset)
        for beta, offset in ((0.5, 1.0), (3.0, 1.0), (0.7, 2.5))
    ]


# --- trained on the final answers alone ----------------------------------------------------------

REASONINGS = np.array([1.1, 0.2, -0.4, 0.9, 0.3, 1.6])
ANSWERS = [0, 0, 0, 1, 1, 2]
"""Six reasonings with three answers: three, two and one of them."""


def _of_answers(logits: Any) -> Array:
    groups = [logits[..., np.equal(ANSWERS, answer)] for answer in range(3)]
    return jnp.stack([logsumexp(jnp.asarray(group), -1) for group in groups], -1)


def final_answer() -> list[Experiment]:
    """Runs of a learner that sees the answers alone, by every learner that reaches the minimum."""

    def experiment(learner: Any, error: float, temperature: float, num: int, start: Any) -> Any:
        def answers(_: Loop, numbers: Numbers) -> Any:
            loop = Loop(Temperature(temperature), learner=FinalAnswer(ANSWERS, learner))
            return after(loop, start, num, _of_answers), {"tolerance": num * error}

        order = 1 / temperature
        return measured(
            answers,
            f"six reasonings, {type(learner).__name__}",
            logits_answers=np.asarray(_of_answers(start)),
            # Rényi's, log Σ r^a/(1 - a), r the proportions of the reasonings of an answer.
            entropies=np.asarray(_of_answers(order * start) - order * _of_answers(start))
            / (1 - order),
            temperature=temperature,
            generation=num,
        )

    return [
        experiment(learner, error, temperature, num, start)
        for temperature, num, start in ((0.8, 3, REASONINGS), (1.4, 4, REASONINGS[::-1]))
        for learner, error in full_training()
    ]
