"""Weight decay: single traces that are pulled back to the uniform distribution.

The loops, run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import simplex
from fixedpoint.laws.experiment import (
    Experiment,
    extrapolated,
    followed,
    listed,
    measured,
    replicated,
)
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import Fresh, GradientSteps, Loop, Target
from fixedpoint.loop.enumeration import enumerate_histories

START = (1.0, 0.2, -1.2)
"""An asymmetric model."""
OTHER = (0.4, -0.9, 1.1)
"""Another one."""

Numbers = Mapping[str, Any]


def pair(gap: float) -> tuple[float, float]:
    """The logits of two outcomes with a gap."""
    return gap / 2, -gap / 2


def weight_decay() -> list[Observation]:
    """Squared size and heterozygosity of long stationary runs."""
    observations = []
    saved, replicates = range(60, 361), 4096
    # One step's deviation from its mean is 2(1 − ηλ)η θ·g + η²(|g|² − E|g|²): its standard
    # deviation is below the last number, since |g|² < 2, Var θ·g ≤ |θ|²/2n and E|θ|² < 2. The
    # balance divides it by 1 − (1 − ηλ)².
    for eta, decay, n, deviation in ((1.0, 0.5, 2, 2), (1.4, 0.3, 1, 4)):
        loop = Loop(corpus=Fresh(n), learner=GradientSteps(eta, weight_decay=decay))
        square, heterozygosity = replicated(
            loop,
            START,
            saved,
            replicates,
            lambda logits: (jnp.sum(logits**2, -1), simplex.heterozygosity(logits)),
        )
        error = deviation / (1 - (1 - eta * decay) ** 2)
        observations.append(
            Observation(
                what=f"K = 3, step_size = {eta}, weight_decay = {decay}, num_samples = {n}, "
                "300 generations of 4096 replicates after 60",
                arguments={
                    "heterozygosity": float(heterozygosity.mean()),
                    "step_size": eta,
                    "weight_decay": decay,
                    "num_samples": n,
                },
                value=square.mean(),
                standard_error=error / np.sqrt(replicates * len(saved)),
            )
        )
    return observations


def memory_time() -> list[Experiment]:
    """The mean logits of three outcomes under weight decay, all histories listed."""

    def last(histories: Any) -> Any:
        return histories.mean(histories.logits[-1])

    return [
        listed(last, logits=start, step_size=eta, weight_decay=decay, num_samples=n, generation=t)
        for start, eta, decay, n, t in ((START, 0.8, 0.4, 1, 6), (OTHER, 1.3, 0.15, 2, 3))
    ]


def decay_density() -> list[Experiment]:
    """Histograms of the gap in long stationary runs of small steps, κ below and above 4."""

    def height(gap: float, half: float = 0.15) -> Any:
        def read(gaps: Any) -> Any:
            # Gaps of both signs fall into the bin of |z|; the one about the tie is folded, not cut.
            share = jnp.mean(jnp.abs(gaps - gap) < half) / 2
            return jnp.log(share / jnp.mean(gaps < half))

        return read

    return [
        followed(
            lambda logits: jnp.abs(logits[..., 0] - logits[..., 1]),
            height(gap),
            start=pair(0.0),
            gap=gap,
            noise_ratio=ratio,
            num_samples=n,
            step_size=eta,
            weight_decay=eta / (ratio * n),
            save_at=(np.linspace(6, 36, 150) * ratio * n / eta**2).astype(int).tolist(),
            num_replicates=1024,
            # Order η; the width of the bins (δ²/24 of m″/m); and a few per cent for some 15,000
            # independent gaps, of which hundreds are in the rarest bin.
            tolerance=0.12,
        )
        for ratio, n, eta, gap in ((2.0, 1, 0.05, 1.0), (2.0, 1, 0.05, 2.0), (8.0, 2, 0.1, 2.5))
    ]


def decay_thresholds() -> list[Experiment]:
    """Curvature at the tie without a current, from all outcomes of one step about the tie."""

    def curvature(loop: Loop, chart: int, width: float) -> float:
        gaps = width * np.arange(-2, 3)
        drift, spread, chances = [], [], []
        for gap in gaps:
            found = enumerate_histories(loop, jnp.array(pair(gap)), 1)
            moved = found.logits[-1][:, 0] - found.logits[-1][:, 1] - gap
            drift.append(found.mean(moved))
            spread.append(found.mean(moved**2) - found.mean(moved) ** 2)
            chances.append(simplex.probabilities(jnp.array([gap, 0.0]))[0])
        drift, spread, chances = map(np.asarray, (drift, spread, chances))
        # No current: (log m)' = 2 drift/spread − (log spread)'; m per dp has one dp/dz fewer.
        logarithm = -np.log(spread[1:-1])
        if chart == 2:
            logarithm -= np.log(chances[2:] - chances[:-2])
        slope = (2 * drift / spread)[1:-1]
        return np.diff(logarithm, 2)[0] / width**2 + (slope[2] - slope[0]) / (2 * width)

    def limit(loop: Loop, numbers: Numbers) -> Any:
        values = [curvature(loop, numbers["chart"], width) for width in (0.2, 0.1, 0.05)]
        value, error = extrapolated(values, 4)
        return value, {"tolerance": error}

    return [
        measured(
            limit,
            "one step listed, differences",
            noise_ratio=ratio,
            chart=chart,
            num_samples=2,
            step_size=0.1,
            weight_decay=0.1 / (ratio * 2),
        )
        for ratio, chart in ((3.0, 1), (5.0, 1), (1.5, 2), (3.0, 2))
    ]


def decay_floor() -> list[Experiment]:
    """The rarer outcome's least probability over 300 draws of the leader and every history of 6."""
    leader = Target(jnp.array([0.0, -jnp.inf]), 1)

    def least(loop: Loop, numbers: Numbers) -> float:
        start = jnp.array(pair(numbers["gap"]))
        led = jax.lax.fori_loop(0, 300, lambda _, model: loop.learner(model, leader, None), start)
        found = enumerate_histories(loop, led, 6)
        return float(jnp.min(simplex.probabilities(found.logits)))

    return [
        measured(
            least,
            "the leader 300 times, then every history of 6 generations",
            step_size=eta,
            weight_decay=decay,
            num_samples=1,
            gap=gap,
        )
        for eta, decay, gap in ((1.0, 0.4, 0.5), (0.9, 0.5, 6.0), (1.6, 0.1, 0.5))
    ]
