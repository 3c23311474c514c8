"""Find the law that governs a loop."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import simplex
from fixedpoint.checks import check_kind, check_logits
from fixedpoint.laws import flow, resampling, tempering, traces
from fixedpoint.loop import (
    Accumulated,
    Curated,
    Exact,
    FinalAnswer,
    Fresh,
    GradientFlow,
    GradientSteps,
    Learner,
    Loop,
    Mixed,
    MixtureStep,
    Pooled,
    Refit,
    Temperature,
    TopK,
)


class NoClosedForm(ValueError):  # noqa: N818 - it names a fact of the theory, not a fault
    """No law in the register covers this loop; the message says why and what to call instead."""


class Solution(eqx.Module):
    """What `solve` finds; each kind of law says what it can, and refuses the rest with a reason.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes).
    """

    law: str = eqx.field(static=True)
    initial: Float[Array, "*batch num_outcomes"]

    def logits(self, generation: int) -> Float[Array, "*batch num_outcomes"]:
        """Logits of the model at a generation."""
        raise self._unknown("logits(generation)")

    def limit(self) -> Float[Array, "*batch num_outcomes"]:
        """What becomes of the model after infinitely many generations."""
        raise self._unknown("limit()")

    def rate(self) -> Any:
        """Factor by which the law's quantity changes in one generation."""
        raise self._unknown("rate()")

    def _unknown(self, quantity: str) -> NoClosedForm:
        own = [name for name in vars(type(self)) if not name.startswith("_")]
        return NoClosedForm(f"`{self.law}` knows no {quantity}; it has {', '.join(own)}.")


class Tempered(Solution):
    """A loop governed by `tempering`: generation n has the logits θ₀T⁻ⁿ.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes).
        temperature: the product of the loop's sampling temperatures.
    """

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


class Answered(Solution):
    """A loop governed by `tempering.final_answer`: full training on the final answers alone.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes).
        temperature: the product of the loop's sampling temperatures.
        answers: the number of the answer that each outcome ends with, shape (num_outcomes,).
    """

    temperature: Any
    answers: Array

    def logits(self, generation: int) -> Float[Array, "*batch num_outcomes"]:
        """Logits of the model at a generation: the reasonings of an answer keep their gaps."""
        return self._of(self.temperature, generation)

    def limit(self) -> Float[Array, "*batch num_outcomes"]:
        """Logits after infinitely many generations."""
        T = jnp.asarray(self.temperature)
        return self._of(jnp.where(T < 1, 0.0, jnp.where(T > 1, jnp.inf, 1.0)), 1)

    def rate(self) -> Array:
        """Factor by which all that is left of the start shrinks or grows in one generation, 1/T."""
        return 1 / jnp.asarray(self.temperature)

    def _of(self, tempering_by: Any, generation: int) -> Array:
        start, entropies = tempering.answers_and_reasonings(
            self.initial, self.answers, self.temperature
        )
        now = tempering.final_answer(start, entropies, tempering_by, generation)
        alive = start > -jnp.inf
        change = jnp.where(alive, now - jnp.where(alive, start, 0), -jnp.inf)
        return self.initial + change[..., self.answers]


class Flowed(Solution):
    """A loop governed by `flow`: a frozen teacher and a finite time of training a generation.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes).
        temperature: the product of the loop's sampling temperatures.
        time: the time of gradient flow in each generation.
    """

    temperature: Any
    time: Any

    def logits(self, generation: int) -> Float[Array, "*batch num_outcomes"]:
        """Logits of the model at a generation."""
        if self.law == "flow.frozen_uniform_target":  # the teacher is the same in all generations
            return flow.frozen_uniform_target(self.initial, generation * self.time)
        if self.law == "flow.frozen_one_hot_target":
            mode = jnp.argmax(self.initial, -1)
            return flow.frozen_one_hot_target(self.initial, generation * self.time, mode)

        def generation_of(_: Any, gap: Array) -> Array:
            return flow.frozen_two_outcomes(gap, gap / self.temperature, self.time)

        gap = self.initial[..., 0] - self.initial[..., 1]
        gap = lax.fori_loop(0, generation, generation_of, gap)
        return jnp.stack([gap / 2, -gap / 2], -1)

    def limit(self) -> Float[Array, "*batch num_outcomes"]:
        """Logits after infinitely many generations, the same as of full training."""
        return tempering.limit(self.initial, self.temperature)


class Resampled(Solution):
    """A loop governed by `resampling`: a refit to n of its own samples at temperature 1.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes); truncated once, if
            the loop truncates to its top outcomes.
        num_samples: n, how many samples a generation draws.
    """

    num_samples: int = eqx.field(static=True)

    def mean_probabilities(self, generation: int) -> Float[Array, "*batch num_outcomes"]:
        """Mean of the model over replicates, the same at every generation."""
        return simplex.probabilities(self.initial)

    def heterozygosity(self, generation: int) -> Float[Array, "*batch"]:
        """Mean of 1 - Σp² at a generation (`resampling.heterozygosity`)."""
        return resampling.heterozygosity(self.initial, self.num_samples, generation)

    def limit(self) -> Float[Array, "*batch num_outcomes"]:
        """Probability of each outcome to be the last (`resampling.fixation_probability`)."""
        return resampling.fixation_probability(self.initial)

    def rate(self) -> float:
        """Factor by which the heterozygosity shrinks in one generation, 1 - 1/n."""
        return 1 - 1 / self.num_samples


class Wandering(Solution):
    """A loop governed by `traces`: one gradient step a generation on own samples at temperature 1.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes).
        step_size: η, the step of the logits.
        num_samples: B, how many samples a generation draws.
    """

    step_size: Any
    num_samples: int = eqx.field(static=True)

    def mean_logits(self, generation: int) -> Float[Array, "*batch num_outcomes"]:
        """Mean of the logits over replicates, the same at every generation."""
        return self.initial

    def displacement_bound(self, generation: int) -> Float[Array, ""]:
        """Bound of the mean of |θ - θ₀|² at a generation (`traces.displacement_bound`)."""
        return traces.displacement_bound(
            self.initial.shape[-1], self.step_size * generation, self.step_size, self.num_samples
        )


def solve(loop: Loop, logits: Float[ArrayLike, "*batch num_outcomes"]) -> Solution:
    """Find the law that governs a loop.

    | the loop | the solution | offers |
    |---|---|---|
    | exact corpus, full training (or T = 1) | `Tempered` | logits, limit, rate |
    | the same, on the final answers alone | `Answered` | logits, limit, rate |
    | exact corpus, gradient flow for a time | `Flowed` | logits, limit |
    | finitely many samples, full refit, T = 1 | `Resampled` | heterozygosity, limit, rate, means |
    | finitely many samples, one step, T = 1 | `Wandering` | mean logits, bound of displacement |

    Args:
        loop: the process.
        logits: the model at generation 0, shape (..., num_outcomes).

    Returns:
        The solution; `.law` is the label of its equation, and it prints what it holds.

    Raises:
        NoClosedForm: no law covers the loop; says which part stands in the way and what to call.
        ValueError: the logits are no model.

    Validity:
        Exact. Temperature sampling of the exact distribution with a full refit or gradient flow to
        convergence, on all of an outcome or its final answer; at temperature 1 with every learner,
        since nothing moves. Gradient flow for a time with two outcomes, at T = ∞ and at T = 0 (one
        mode, no outcome lost). A random model is described by its exact means at T = 1.
        Tests: `tests/test_solve.py`.

    Example:
        >>> import jax.numpy as jnp, fixedpoint as fp
        >>> solution = fp.solve(fp.Loop(sampler=fp.Temperature(0.5)), jnp.array([0.0, -1.0]))
        >>> solution.law, solution.logits(3).tolist()
        ('tempering.logits', [0.0, -8.0])
        >>> loop = fp.Loop(corpus=fp.Fresh(num_samples=4))
        >>> float(fp.solve(loop, jnp.zeros(2)).heterozygosity(2))  # (1/2)(1 - 1/4)²
        0.28125
    """
    check_kind(loop, Loop, "loop", "a Loop")
    check_logits(logits)
    initial = jnp.asarray(logits)
    corpus, learner = loop.corpus, loop.learner
    drawn_once = isinstance(corpus, Fresh) and isinstance(learner, Refit)
    temperature = jnp.ones(())
    for sampler in loop.samplers:
        if isinstance(sampler, TopK) and drawn_once:
            continue  # once it has acted no more than k outcomes are left
        if not isinstance(sampler, Temperature):
            raise NoClosedForm(
                f"`sampler` {_name(sampler)} truncates the distribution, which no registered law "
                "covers; call fixedpoint.run (exact for an Exact corpus), and "
                "fixedpoint.simplex.decomposition to see what it does."
            )
        # What 0 or inf has left, equal outcomes, no later temperature changes.
        settled = (temperature == 0) | (temperature == jnp.inf)
        temperature = jnp.where(settled, temperature, temperature * sampler.temperature)
    if isinstance(corpus, Fresh):
        return _of_samples(loop, corpus, initial, temperature)
    if not isinstance(corpus, Exact):
        raise NoClosedForm(f"`corpus` {_name(corpus)} {_CORPUS_ADVICE[type(corpus)]}")
    if _is_full(learner):
        return Tempered("tempering.logits", initial, temperature)
    if isinstance(learner, FinalAnswer) and _is_full(learner.learner):
        return Answered("tempering.final_answer", initial, temperature, learner.answers)
    if _is(temperature, 1):
        # The exact corpus is the model itself: no learner has a gradient to follow.
        return Tempered("tempering.fixed_point", initial, temperature)
    if isinstance(learner, GradientFlow) and learner.start == "last":
        law = _frozen_teacher(initial, temperature)
        if law:
            return Flowed(law, initial, temperature, learner.time)
    raise NoClosedForm(f"`learner` {_name(learner)} {_LEARNER_ADVICE[type(learner)]}")


def _is_full(learner: Learner) -> bool:
    """Whether the learner reaches the minimum of its loss."""
    return isinstance(learner, Refit) or (
        isinstance(learner, GradientFlow) and _is(learner.time, jnp.inf)
    )


def _of_samples(loop: Loop, corpus: Fresh, initial: Array, temperature: Any) -> Solution:
    """The law of a loop that draws n samples: exact means are known at temperature 1."""
    learner, n = loop.learner, corpus.num_samples
    advice = f"`corpus` {_name(corpus)} {_CORPUS_ADVICE[Fresh]}"
    if not _is(temperature, 1):
        raise NoClosedForm(advice)
    if isinstance(learner, Refit) and _is(learner.pseudo_counts, 0):
        return Resampled("resampling.heterozygosity", loop.drawn(initial), n)
    if (
        isinstance(learner, GradientSteps)
        and (learner.num_steps, learner.batch_size, learner.start) == (1, None, "last")
        and _is(learner.weight_decay, 0)
    ):
        return Wandering("traces.martingale", initial, learner.step_size, n)
    raise NoClosedForm(advice)


def _frozen_teacher(initial: Array, temperature: Any) -> str | None:
    """The law of training on a teacher that is frozen for a generation, if there is one."""
    if _is(temperature, jnp.inf):
        return "flow.frozen_uniform_target"
    if _is(temperature, 0):
        num_modes = (initial == initial.max(-1, keepdims=True)).sum(-1)
        return "flow.frozen_one_hot_target" if _is(num_modes, 1) else None
    if initial.shape[-1] == 2 and _is(jnp.isfinite(initial), True):
        return "flow.frozen_two_outcomes"
    return None


_CORPUS_ADVICE: dict[type, str] = {
    Fresh: (
        "draws finitely many samples, so that the model is random, and its exact means are known "
        "at temperature 1 alone (full refit or one plain step); call fixedpoint.run with "
        "num_replicates, fixedpoint.chain for two outcomes, or a function of "
        "fixedpoint.laws.resampling (full refit) or fixedpoint.laws.traces (one step)."
    ),
    Mixed: (
        "adds real data; call fixedpoint.run, or fixedpoint.laws.resampling.immigration for the "
        "stationary covariance of refits to samples."
    ),
    Pooled: (
        "adds real data; call fixedpoint.run, or fixedpoint.laws.resampling.immigration for the "
        "stationary covariance of refits to samples."
    ),
    Accumulated: "keeps all earlier data, which no registered law covers; call fixedpoint.run.",
    Curated: (
        "selects what is kept; call fixedpoint.run, or fixedpoint.laws.resampling.verifier for two "
        "answers."
    ),
}

_LEARNER_ADVICE: dict[type, str] = {
    FinalAnswer: (
        "shows the answers alone to a learner that stops before the minimum, which no registered "
        "law covers; call fixedpoint.run or fixedpoint.flow."
    ),
    GradientFlow: (
        "stops after a finite time, for which a law is known with two outcomes, at temperature 0 "
        "(one mode) and at infinite temperature, each generation starting from the last; else call "
        "fixedpoint.run."
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


def _is(value: Any, number: Any) -> bool:
    """Whether concrete values all equal a number (traced ones cannot tell)."""
    try:
        return bool((jnp.asarray(value) == number).all())
    except jax.errors.ConcretizationTypeError:
        return False


def _name(part: Any) -> str:
    return type(part).__name__
