"""What becomes of a softmax model that is sampled, trained on its samples, and sampled again.

The process: a `Loop` is a sampler, a corpus and a learner; `run` simulates it in generations,
`flow` in continuous time. `run_resampling` (refits to n samples) and `run_traces` (one gradient
step on a few samples) run the same loops faster, over long horizons and in large ensembles. The
theory: one module of `fixedpoint.laws` per law,

    tempering   infinite samples, full training: logits θ₀T⁻ⁿ
    flow        infinite samples, finite training: gradient flow between two generations
    traces      one sample or a small batch at a time

and `solve` finds the law of a loop. Where there is no formula, `chain` computes exactly: the finite
Markov chain of a loop that draws n samples. Logits have the shape (..., num_outcomes); `-inf` marks
an outcome that is lost for ever. Importing the package loads neither SymPy nor Matplotlib nor
Diffrax.
"""

import importlib
from typing import TYPE_CHECKING, Any

from fixedpoint import potential, simplex
from fixedpoint.loop import (
    Accumulated,
    Curated,
    Exact,
    Fresh,
    GradientFlow,
    GradientSteps,
    Loop,
    MinP,
    Mixed,
    MixtureStep,
    Nucleus,
    Refit,
    Temperature,
    TopK,
    Trajectory,
    flow,
    run,
    run_resampling,
    run_traces,
)

if TYPE_CHECKING:
    from fixedpoint import chain, confront, laws
    from fixedpoint.laws.solve import NoClosedForm, solve

__version__ = "0.1.0"

__all__ = [
    "Accumulated",
    "Curated",
    "Exact",
    "Fresh",
    "GradientFlow",
    "GradientSteps",
    "Loop",
    "MinP",
    "Mixed",
    "MixtureStep",
    "NoClosedForm",
    "Nucleus",
    "Refit",
    "Temperature",
    "TopK",
    "Trajectory",
    "chain",
    "confront",
    "flow",
    "laws",
    "potential",
    "run",
    "run_resampling",
    "run_traces",
    "simplex",
    "solve",
]


def __getattr__(name: str) -> Any:
    """Load the theory and the chains when they are first asked for."""
    if name in ("solve", "NoClosedForm"):
        return getattr(importlib.import_module("fixedpoint.laws.solve"), name)
    if name in ("chain", "confront", "laws"):
        return importlib.import_module(f"fixedpoint.{name}")
    raise AttributeError(f"module 'fixedpoint' has no attribute {name!r}")
