"""What becomes of a softmax model that is sampled, trained on its samples, and sampled again.

The theory, one module of `fixedpoint.laws` per law:

    law         the loop that it governs                     what it says
    tempering   infinite samples, full training              logits θT⁻ᵗ
    flow        infinite samples, finite training            gradient flow; collapse as 1/n
    traces      one sample or a small batch at a time        T = 1: a martingale, never settling
    resampling  a refit to n samples                         an outcome not drawn is lost for ever

The process: a `Loop` is a sampler, a corpus and a learner.

    run, flow           simulate it, in generations or in continuous time
    run_resampling,     ... faster, over long horizons and in large ensembles: refits to n samples,
    run_traces          and gradient steps on a few samples
    solve               finds the law that governs a loop, or says what stands in the way
    chain               where there is no formula: the exact Markov chain of a loop with n samples
    symbolic            one generation of a loop in SymPy: exact means over it, as formulas
    simplex             what is read off a distribution: entropies, divergences, decomposition
    confront            compares proof, solution and process: the verdict on an equation

Logits have the shape (..., num_outcomes); `-inf` marks an outcome that is lost for ever. Importing
the package loads neither SymPy nor Matplotlib nor Diffrax.

Example:
    >>> import jax.numpy as jnp
    >>> import fixedpoint as fp
    >>> law = fp.solve(fp.Loop(sampler=fp.Temperature(0.5)), jnp.log(jnp.array([0.75, 0.25])))
    >>> print(law.law, fp.simplex.probabilities(law.logits(2)).round(3))  # odds 3 : 1 → 81 : 1
    tempering.logits [0.988 0.012]
"""

import importlib
from typing import TYPE_CHECKING, Any

from fixedpoint import potential, simplex
from fixedpoint.loop import (
    Accumulated,
    Curated,
    Exact,
    FinalAnswer,
    Fresh,
    GradientFlow,
    GradientSteps,
    Loop,
    MinP,
    Mixed,
    MixtureStep,
    Nucleus,
    Pooled,
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
    from fixedpoint import chain, confront, laws, symbolic
    from fixedpoint.laws.solve import NoClosedForm, solve

__version__ = "0.1.0"

__all__ = [
    "Accumulated",
    "Curated",
    "Exact",
    "FinalAnswer",
    "Fresh",
    "GradientFlow",
    "GradientSteps",
    "Loop",
    "MinP",
    "Mixed",
    "MixtureStep",
    "NoClosedForm",
    "Nucleus",
    "Pooled",
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
    "symbolic",
]


def __getattr__(name: str) -> Any:
    """Load the theory and the chains when they are first asked for."""
    if name in ("solve", "NoClosedForm"):
        return getattr(importlib.import_module("fixedpoint.laws.solve"), name)
    if name in ("chain", "confront", "laws", "symbolic"):
        return importlib.import_module(f"fixedpoint.{name}")
    raise AttributeError(f"module 'fixedpoint' has no attribute {name!r}")
