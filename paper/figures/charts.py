"""Two charts of one rule: the same step on probabilities and on logits, at T = 1, one sample each.

Both start at even odds with the same step size. In probabilities each run freezes at an outcome;
in logits it swings for ever, more and more slowly: against log t it keeps switching.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import traces
from fixedpoint.loop.traces import logarithmic_generations
from fixedpoint.loop.vertex import run_events
from paper import press

FAST = {"num_generations": 1000, "num_replicates": 256}

STEP_SIZE = 0.4
DECADES = 30
"""The horizon of the second panel is 10 to this power."""

SHOWN = ((0, "#3f90da"), (1, "#ffa90e"), (2, "#832db6"))
"""Runs that are drawn, and their colours."""


def compute(num_generations: int = 1000, num_replicates: int = 1024) -> dict[str, Any]:
    logits0 = jnp.zeros(2)
    saved = logarithmic_generations(num_generations)
    mixture = fp.run(
        fp.Loop(corpus=fp.Fresh(1), learner=fp.MixtureStep(STEP_SIZE)),
        logits0,
        num_generations,
        key=jax.random.key(5),
        num_replicates=num_replicates,
        save_at=saved,
        progress=False,
    )
    decades = np.linspace(0, DECADES, 40 * DECADES + 1)
    softmax = run_events(
        fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(STEP_SIZE)),
        logits0,
        decades * np.log(10),
        key=jax.random.key(5),
        num_replicates=num_replicates,
        observe=lambda logits: logits[0] - logits[1],
    )
    gap = np.asarray(softmax.value)
    heterozygosity = np.asarray(simplex.heterozygosity(mixture.value)).mean(1)
    return {
        "mixture generation": saved,
        "mixture gap": np.asarray(mixture.value[..., 0] - mixture.value[..., 1]),
        "mixture heterozygosity": heterozygosity,
        "law": np.array([traces.two_charts(logits0, STEP_SIZE, 1, int(n)) for n in saved]),
        "softmax decade": decades,
        "softmax gap": gap,
        "switches": np.asarray(softmax.num_switches),
    }
