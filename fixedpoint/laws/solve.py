"""Find the law that governs a loop."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from fixedpoint.checks import check_logits
from fixedpoint.laws import tempering
from fixedpoint.loop import (
    Accumulated,
    Curated,
    Exact,
    Fresh,
    GradientFlow,
    GradientSteps,
    Loop,
    Mixed,
    MixtureStep,
    Refit,
    Temperature,
)


class NoClosedForm(ValueError):  # noqa: N818 - it names a fact of the theory, not a fault
    """No law in the register covers this loop; the message says why and what to call instead."""


class Tempered(eqx.Module):
    """A loop governed by `tempering`: generation n has the logits θ₀T⁻ⁿ.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes).
        temperature: the product of the loop's sampling temperatures.
    """

    law: str = eqx.field(static=True)
    initial: Float[Array, "*batch num_outcomes"]
    temperature: Any

    def logits(self, generation: int) -> Float[Array, "*batch num_outcomes"]:
        """Logits of the model at a generation (`tempering.logits`)."""
        return tempering.logits(self.initial, self.temperature, generation)

    def limit(self) -> Float[Array, "*batch num_outcomes"]:
        """Logits after infinitely many generations: modes (T < 1), itself (T = 1), uniform."""
        return tempering.limit(self.initial, self.temperature)

    def rate(self) -> Array:
        """Factor by which every difference of logits grows in one generation, 1/T."""
        return 1 / jnp.asarray(self.temperature)


def solve(loop: Loop, logits: Float[Array, "*batch num_outcomes"]) -> Tempered:
    """Find the law that governs a loop.

    Args:
        loop: the process.
        logits: the model at generation 0, shape (..., num_outcomes).

    Returns:
        The solution, with `.law` (its label), `.logits(generation)`, `.limit()` and `.rate()`.

    Raises:
        NoClosedForm: no law covers the loop; says which part stands in the way and what to call.

    Validity:
        Exact for temperature sampling of the exact distribution with a full refit or gradient flow
        to convergence; at temperature 1, for every learner, since nothing moves.

    Example:
        >>> import jax.numpy as jnp, fixedpoint as fp
        >>> solution = fp.solve(fp.Loop(sampler=fp.Temperature(0.5)), jnp.array([0.0, -1.0]))
        >>> solution.law, solution.logits(3).tolist()
        ('tempering.logits', [0.0, -8.0])
    """
    check_logits(logits)
    temperature = jnp.ones(())
    for sampler in loop.samplers:
        if not isinstance(sampler, Temperature):
            raise NoClosedForm(
                f"`sampler` {_name(sampler)} truncates the distribution, which no registered law "
                "covers; call fixedpoint.run (exact for an Exact corpus), and "
                "fixedpoint.simplex.decomposition to see what it does."
            )
        # What 0 or inf has left, equal outcomes, no later temperature changes.
        settled = (temperature == 0) | (temperature == jnp.inf)
        temperature = jnp.where(settled, temperature, temperature * sampler.temperature)
    corpus = loop.corpus
    if not isinstance(corpus, Exact):
        raise NoClosedForm(f"`corpus` {_name(corpus)} {_CORPUS_ADVICE[type(corpus)]}")
    learner = loop.learner
    if isinstance(learner, Refit) or (
        isinstance(learner, GradientFlow) and learner.time == jnp.inf
    ):
        return Tempered("tempering.logits", jnp.asarray(logits), temperature)
    if _is_one(temperature):
        # The exact corpus is the model itself: no learner has a gradient to follow.
        return Tempered("tempering.fixed_point", jnp.asarray(logits), temperature)
    raise NoClosedForm(f"`learner` {_name(learner)} {_LEARNER_ADVICE[type(learner)]}")


_CORPUS_ADVICE: dict[type, str] = {
    Fresh: (
        "draws finitely many samples, so that the model is random; call fixedpoint.run with "
        "num_replicates, or fixedpoint.laws.traces for one sample at a time."
    ),
    Mixed: "adds real data, which no registered law covers; call fixedpoint.run.",
    Accumulated: "keeps all earlier data, which no registered law covers; call fixedpoint.run.",
    Curated: "selects what is kept, which no registered law covers; call fixedpoint.run.",
}

_LEARNER_ADVICE: dict[type, str] = {
    GradientFlow: (
        "stops after a finite time; call fixedpoint.laws.flow for one generation with two "
        "outcomes, a uniform or a one-hot target, else fixedpoint.run."
    ),
    GradientSteps: (
        "takes finitely many steps; call fixedpoint.laws.flow for tiny steps, "
        "fixedpoint.laws.traces for single samples, else fixedpoint.run."
    ),
    MixtureStep: (
        "moves only part of the way; call fixedpoint.laws.flow.mixture_online for tiny steps, "
        "else fixedpoint.run."
    ),
}


def _is_one(temperature: Any) -> bool:
    """Whether a concrete temperature is exactly 1 (a traced one cannot tell)."""
    try:
        return bool((temperature == 1).all())
    except Exception:
        return False


def _name(part: Any) -> str:
    return type(part).__name__
