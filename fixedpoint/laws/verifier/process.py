"""Verifier: refits to samples of which the wrong ones pass less often.

The loops, run.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from fixedpoint import chain
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    Curated,
    Fresh,
    Loop,
)

ROUNDING = 1e-12


# --- A verifier -----------------------------------------------------------------------------------


def verified_loop(ratio: float, num_samples: int) -> Loop:
    """Own samples of two answers, the first of them right, until n are accepted."""
    return Loop(corpus=Curated(jnp.array([ratio, 1.0]), Fresh(num_samples)))


def verifier() -> list[Observation]:
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
    p, ratio, num_samples = 0.3, 2.0, 5
    states = chain.from_loop(verified_loop(ratio, num_samples))
    first = states.first_generation(jnp.log(jnp.array([p, 1 - p])))
    observations.append(
        Observation(
            what="the loop with curated samples, n = 5: mean share of right samples",
            arguments={"probability": p, "ratio": ratio},
            value=first @ states.counts[:, 0] / num_samples,
            tolerance=ROUNDING,
        )
    )
    return observations


def lost_for_ever(ratio: float, num_samples: int, num_right: int) -> float:
    """Chance that the exact chain ends on the wrong answer."""
    decided = chain.absorption(chain.from_loop(verified_loop(ratio, num_samples)))
    return float(decided.probability[num_right, 0])


def lock_in_weak() -> list[Observation]:
    """Exact chains with n ln r = 2 and 3."""
    observations = []
    for strength, start, num_samples in ((2.0, 0.3, 50), (2.0, 0.3, 400), (3.0, 0.15, 200)):
        ratio, num_right = float(np.exp(strength / num_samples)), round(start * num_samples)
        observations.append(
            Observation(
                what=f"n = {num_samples}, n ln r = {strength:g}: exact chain from p = {start}",
                arguments={
                    "probability": num_right / num_samples,
                    "ratio": ratio,
                    "num_samples": num_samples,
                },
                value=lost_for_ever(ratio, num_samples, num_right),
                tolerance=0.1 / num_samples,
            )
        )
    return observations


def lock_in_strong() -> list[Observation]:
    """Exact chains of 400 accepted samples with few right ones at first."""
    num_samples = 400
    return [
        Observation(
            what=f"n = 400, r = {ratio}: exact chain from {num_right} right samples",
            arguments={"num_right": num_right, "ratio": ratio},
            value=lost_for_ever(ratio, num_samples, num_right),
            tolerance=0.5 / num_samples,
        )
        for ratio, num_right in ((1.5, 1), (2.0, 1), (2.0, 3))
    ]
