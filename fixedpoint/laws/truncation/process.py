"""Truncation: samplers that cut the tail of what is drawn, again and again.

The loops, run.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from fixedpoint import chain, simplex
from fixedpoint.chain import from_loop
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    Exact,
    Fresh,
    Loop,
    Nucleus,
    Refit,
    run,
)


def nucleus_support() -> list[Observation]:
    """The exact refit to the nucleus, until nothing is cut any more."""
    observations = []
    for exponent, mass in ((1.0, 0.9), (1.5, 0.95), (0.8, 0.95), (0.5, 0.8)):
        start = (-exponent * np.log(np.arange(1, 61))).tolist()
        end = run(
            Loop(Nucleus(mass), Exact(), Refit()),
            jnp.array(start),
            60,
            observe=simplex.num_surviving,
            save_at=[60],
            progress=False,
        )
        observations.append(
            Observation(
                what=f"60 words with exponent {exponent}, nucleus {mass}: 60 generations",
                arguments={"logits": start, "mass": mass},
                value=end.value[0],
                tolerance=0.5,
            )
        )
    return observations


def nucleus_boundary() -> list[Observation]:
    """Times of two outcomes under nucleus sampling, by elimination."""
    observations = []
    for num_samples, mass, starts in ((400, 0.9, (0.5, 0.3)), (200, 0.8, (0.4,))):
        loop = Loop(Nucleus(mass), Fresh(num_samples), Refit())
        time = chain.absorption(from_loop(loop)).mean
        # The boundary is overshot by 0.58 standard deviations of one generation.
        delta = 1 - mass
        overshoot = 0.6 * np.sqrt(delta * (1 - delta) / num_samples)
        observations += [
            Observation(
                what=f"n = {num_samples}, nucleus {mass}, p = {share}: the absorbing chain",
                arguments={
                    "gap": float(np.log(share / (1 - share))),
                    "mass": mass,
                    "num_samples": num_samples,
                },
                value=time[round(share * num_samples)],
                tolerance=2 * num_samples * overshoot * np.log((1 - delta) / delta),
            )
            for share in starts
        ]
    return observations
