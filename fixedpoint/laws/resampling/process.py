"""Resampling: each generation is refitted to n of its own samples, and diversity falls.

The loops, run.
"""

from typing import Any

import numpy as np

from fixedpoint import chain, simplex
from fixedpoint.laws.experiment import (
    Combined,
    Course,
    Experiment,
    absorbed,
    leading,
    listed,
    simulated,
)
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Fresh, Loop

TWO, THREE = np.log([0.7, 0.3]), np.log([0.5, 0.3, 0.2])
"""Asymmetric models."""


def heterozygosity() -> list[Experiment]:
    """All histories of three outcomes, and a simulation of two."""
    # 1 − Σp² lies in [0, 1/2] for two outcomes: its standard deviation is at most 1/4.
    return [
        listed(logits=THREE, num_samples=4, generation=3),
        listed(logits=THREE, num_samples=1, generation=1),
        simulated(20_000, 0.25, logits=TWO, num_samples=4, generation=8),
    ]


def spectrum() -> list[Observation]:
    """Eigenvalues of chains of two outcomes."""
    observations = []
    for num_samples in (6, 3):
        values = np.linalg.eigvals(chain.from_loop(Loop(corpus=Fresh(num_samples))).matrix).real
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


def paid(course: Course) -> Any:
    """The mean of Σ_t KL(p_{t+1}‖p_t): each state's mean divergence, as often as it is visited."""
    with np.errstate(divide="ignore"):
        models = np.log(course.states.counts / course.states.num_samples)

    def divergences(log_p: np.ndarray) -> np.ndarray:
        """KL(p'‖p) for every next model p' that p can lead to."""
        with np.errstate(invalid="ignore"):
            terms = np.exp(models) * np.where(models > -np.inf, models - log_p, 0)
        return np.where(np.isfinite(terms).all(-1), terms.sum(-1), 0)

    cost = course.first @ divergences(np.asarray(course.start))
    for state in np.flatnonzero(course.visits):
        cost += course.visits[state] * course.states.matrix[state] @ divergences(models[state])
    return cost


def entropy_budget() -> list[Experiment]:
    """Divergences between successive models, over the visited states of the chain."""
    return [
        absorbed(paid, logits=start, num_samples=size)
        for start, size in ((TWO, 6), (THREE, 3), (THREE, 1))
    ]


def entropy_toll() -> list[Experiment]:
    """The loss of entropy in one generation, over all corpora."""

    def lost(course: Course) -> Any:
        with np.errstate(divide="ignore"):
            after = simplex.entropy(np.log(course.states.counts))
        return simplex.entropy(course.start) - course.first @ after

    # The next term is (Σ 1/p − 1)/(12 n²).
    return [
        absorbed(lost, np.exp(-start).sum() / (6 * size**2), logits=start, num_samples=size)
        for start, size in ((TWO, 50), (THREE, 40))
    ]


def entropy_lifetime() -> list[Combined | Experiment]:
    """Outcomes alive beyond one, over all generations: directly, and by what grows with n."""

    def run(logits: Any, size: int, tolerance: float = 0) -> Experiment:
        def counted(course: Course) -> Any:
            return len(logits) - 1 + course.visits @ ((course.states.counts > 0).sum(-1) - 1)

        return absorbed(counted, tolerance, logits=logits, num_samples=size)

    return [
        run(THREE, 40, np.log(40)),
        leading(lambda size: run(TWO, size), 25, 0.2 / 25),
        leading(lambda size: run(THREE, size), 12, 0.2 / 12),
    ]
