"""Verifier: refits to samples of which the wrong ones pass less often.

The loops, run.
"""

from typing import Any

import numpy as np

from fixedpoint.laws.experiment import Course, Experiment, absorbed
from fixedpoint.laws.observation import Observation


def verifier() -> list[Experiment | Observation]:
    """Acceptance itself, and the loop's first generation."""
    observations = []
    rng, num_candidates = np.random.default_rng(3), 400_000
    for p, hit, false_alarm in ((0.3, 0.9, 0.3), (0.1, 0.6, 0.1)):
        right = rng.random(num_candidates) < p
        taken = rng.random(num_candidates) < np.where(right, hit, false_alarm)
        observations.append(
            Observation(
                what=f"p = {p}, TPR = {hit}, FPR = {false_alarm}: right ones among the accepted",
                arguments={"probability": p, "ratio": hit / false_alarm},
                value=right[taken].mean(),
                standard_error=0.5 / np.sqrt(taken.sum()),
            )
        )

    def mean_right(course: Course) -> Any:
        return course.first @ course.states.counts[:, 0] / course.states.num_samples

    return [*observations, absorbed(mean_right, probability=0.3, ratio=2.0, num_samples=5)]


def wrong_for_ever(course: Course) -> Any:
    """The chance that the second of two outcomes, the wrong answer, is alive in the end."""
    return course.last[1]


def lock_in_weak() -> list[Experiment]:
    """Exact chains with n ln r = 2 and 3."""
    return [
        absorbed(
            wrong_for_ever,
            0.1 / size,
            probability=start,
            ratio=float(np.exp(strength / size)),
            num_samples=size,
        )
        for strength, start, size in ((2.0, 0.3, 50), (2.0, 0.3, 400), (3.0, 0.15, 200))
    ]


def lock_in_strong() -> list[Experiment]:
    """Exact chains of 400 accepted samples with few right ones at first."""
    return [
        absorbed(
            wrong_for_ever,
            0.5 / 400,
            num_right=num_right,
            ratio=ratio,
            num_samples=400,
            logits=np.log([num_right, 400 - num_right]),
        )
        for ratio, num_right in ((1.5, 1), (2.0, 1), (2.0, 3))
    ]
