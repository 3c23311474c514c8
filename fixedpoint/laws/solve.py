"""Find the law that governs a loop."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Bool, Float

from fixedpoint import simplex
from fixedpoint.checks import check_kind, check_logits
from fixedpoint.laws import families, fixation, flow, resampling, tempering, traces
from fixedpoint.loop import (
    Accumulated,
    Corpus,
    Curated,
    Exact,
    FinalAnswer,
    Fresh,
    GradientFlow,
    GradientSteps,
    Learner,
    Loop,
    MinP,
    Mixed,
    MixtureStep,
    Nucleus,
    Pooled,
    Refit,
    Sampler,
    Temperature,
    TopK,
)
from fixedpoint.loop.samplers import floating


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
    """A loop governed by `tempering`: generation t has the logits θT⁻ᵗ.

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
    """A loop governed by `families.final_answer`: full training on the final answers alone.

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
        return families.final_answer_logits(
            self.initial, self.answers, self.temperature, generation
        )

    def limit(self) -> Float[Array, "*batch num_outcomes"]:
        """Logits after infinitely many generations."""
        return families.final_answer_limit(self.initial, self.answers, self.temperature)

    def rate(self) -> Array:
        """Factor by which all that is left of the start shrinks or grows in one generation, 1/T."""
        return 1 / jnp.asarray(self.temperature)


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
        initial: the model's logits at generation 0, shape (..., num_outcomes).
        drawn: the logits that generation 1 is drawn from: those of the initial model, truncated if
            the loop truncates to its top outcomes. From then on truncation has nothing left to do.
        num_samples: n, how many samples a generation draws.
    """

    drawn: Float[Array, "*batch num_outcomes"]
    num_samples: int = eqx.field(static=True)

    def mean_probabilities(self, generation: int) -> Float[Array, "*batch num_outcomes"]:
        """Mean of the model over replicates, the same at every generation from 1 on."""
        initial, drawn = simplex.probabilities(self.initial), simplex.probabilities(self.drawn)
        return jnp.where(generation > 0, drawn, initial)

    def heterozygosity(self, generation: int) -> Float[Array, "*batch"]:
        """Mean of 1 - Σp² at a generation (`resampling.heterozygosity`)."""
        return jnp.where(
            generation > 0,
            resampling.heterozygosity(self.drawn, self.num_samples, generation),
            simplex.heterozygosity(self.initial),
        )

    def limit(self) -> Float[Array, "*batch num_outcomes"]:
        """Probability of each outcome to be the last (`fixation.fixation_probability`)."""
        return fixation.fixation_probability(self.drawn)

    def rate(self) -> float:
        """Factor by which the heterozygosity shrinks in one generation of samples, 1 - 1/n."""
        return 1 - 1 / self.num_samples


class Wandering(Solution):
    """A loop governed by `traces`: one gradient step a generation on own samples at temperature 1.

    Attributes:
        law: the label of the governing equation.
        initial: the model's logits at generation 0, shape (..., num_outcomes).
        step_size: η, the step of the logits.
        num_samples: n, how many samples a step sees: the generation's, or a batch of them.
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
    | exact corpus, full training | `Tempered` | logits, limit, rate |
    | the same, on the final answers alone | `Answered` | logits, limit, rate |
    | exact corpus, T = 1, no weight decay, no random batches | `Tempered` | logits, limit, rate |
    | exact corpus, gradient flow for a time | `Flowed` | logits, limit |
    | finitely many samples, full refit, T = 1 | `Resampled` | heterozygosity, limit, rate, means |
    | finitely many samples, one step, T = 1 | `Wandering` | mean logits, bound of displacement |

    A part that changes nothing hides no law: real data of fraction 0, curation with equal odds,
    `TopK` of at least as many outcomes as there are, `Nucleus(1)`, `MinP(0)`, `MixtureStep(1)`
    (a refit), answers that all differ, samples of a distribution that has one outcome left.

    Args:
        loop: The process.
        logits: The model at generation 0, shape (..., num_outcomes).

    Returns:
        The solution; `.law` is the label of its equation, and it prints what it holds.

    Raises:
        NoClosedForm: no law covers the loop; says which part stands in the way and what to call.
        ValueError: the logits are no model, or a part does not fit their number of outcomes.

    Validity:
        Exact. Temperature sampling of the exact distribution with a full refit or gradient flow to
        convergence, on all of an outcome or its final answer (at T = 0 only if the modes end with
        one answer). At temperature 1, and at any other for a model that is uniform on its
        outcomes, nothing moves with a refit, mixture steps, gradient flow, and gradient steps
        on the whole distribution without weight decay, on all of an outcome or its final answer;
        steps so large that training is unstable amplify a simulation's rounding. A step with a
        batch from the exact distribution is a step on so many samples. Gradient flow for a time
        with two outcomes, at T = ∞ and at T = 0 (one mode). A random model is described by its
        exact means at T = 1. Parameters under `jax.jit` or `jax.vmap` are not known here: they are
        taken as neither neutral nor extreme.
        Tests: `tests/test_solve.py`, and every kind of part with every other in
        `tests/test_solve_grid.py`.

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
    if type(loop) is not Loop:
        raise ValueError(f"`loop` must be a Loop (a subclass may do anything); got {loop!r}.")
    check_logits(logits)
    initial = floating(logits)
    temperature = _temperature(loop.samplers)
    model = _facts(initial, temperature)
    learner = _effective_learner(loop.learner, model)
    if _is_idle(learner):
        raise NoClosedForm(
            f"`learner` {_name(learner)} does not train (its time or step size is 0): every "
            "generation is the initial model."
        )
    corpus = _effective_corpus(loop.corpus, learner, model)
    # Once it has acted on what is refitted to samples, no more than k outcomes are left.
    cut_once = type(corpus) is Fresh and _is_refit_to_samples(learner)
    _check_samplers(loop.samplers, model, cut_once)
    if type(corpus) is Fresh:
        return _of_samples(loop, corpus.num_samples, learner, initial, temperature)
    if type(corpus) is not Exact:
        raise NoClosedForm(f"`corpus` {_name(corpus)} {_advice(_CORPUS_ADVICE, corpus)}")
    if _is_full(learner):
        return Tempered("tempering.logits", initial, temperature)
    if type(learner) is FinalAnswer and _is_full(learner.learner):
        return Answered("families.final_answer", initial, temperature, learner.answers)
    if model.is_own_teacher and _rests(learner):
        return Tempered("tempering.fixed_point", initial, jnp.ones(()))
    if _is(temperature, 1):
        # The data are the model's own, so that the reasonings are as it would impute them.
        learner = learner.learner if type(learner) is FinalAnswer else learner
        if type(learner) is GradientSteps and learner.batch_size and _is_plain_step(learner):
            return Wandering("traces.martingale", initial, learner.step_size, learner.batch_size)
    elif type(learner) is GradientFlow and learner.start == "last":
        law = _frozen_teacher(initial, temperature, model)
        if law:
            return Flowed(law, initial, temperature, learner.time)
    if type(learner) is FinalAnswer and type(learner.learner) not in _LEARNER_ADVICE:
        learner = learner.learner
    raise NoClosedForm(f"`learner` {_name(learner)} {_learner_advice(learner, temperature)}")


# --- what is known of the loop before it runs -----------------------------------------------------


class _Facts(NamedTuple):
    """What `solve` needs to know of the initial model; of a traced one, as little as is safe."""

    num_surviving: int
    """The most outcomes that a row has left."""
    drawable: Bool[np.ndarray, "*batch num_outcomes"]
    """Which outcomes are ever drawn."""
    is_certain: bool
    """Whether one outcome alone is ever drawn, so that samples are what they are drawn from."""
    is_own_teacher: bool
    """Whether what is drawn is the model itself: T = 1, or all outcomes are alike."""


def _temperature(samplers: tuple[Sampler, ...]) -> Array:
    """The product of the temperatures."""
    temperature = jnp.ones(())
    for sampler in samplers:
        if type(sampler) is Temperature:
            # What 0 or inf has left, equal outcomes, no later temperature changes.
            settled = (temperature == 0) | (temperature == jnp.inf)
            temperature = jnp.where(settled, temperature, temperature * sampler.temperature)
    return jnp.abs(temperature)  # -0 is 0


def _facts(initial: Array, temperature: Array) -> _Facts:
    if isinstance(initial, Tracer):
        alive = modes = np.ones(initial.shape, bool)
        uniform = initial.shape[-1] == 1
    else:
        values = np.asarray(initial)
        alive, modes = values > -np.inf, values == values.max(-1, keepdims=True)
        uniform = bool((alive == modes).all())
    is_cold = np.zeros(()) if isinstance(temperature, Tracer) else np.asarray(temperature) == 0
    drawable = np.where(is_cold[..., None], modes, alive)
    return _Facts(
        num_surviving=int(alive.sum(-1).max(initial=0)),
        drawable=drawable,
        is_certain=bool((drawable.sum(-1) == 1).all()),
        is_own_teacher=uniform or _is(temperature, 1),
    )


def _effective_learner(learner: Learner, model: _Facts) -> Learner:
    """The learner without what does nothing: answers that all differ, batches of one outcome."""
    if type(learner) is FinalAnswer:
        num_outcomes = model.drawable.shape[-1]
        if learner.answers.shape != (num_outcomes,):
            learner.of_answers(jnp.zeros(num_outcomes))  # which says what is wrong
        inner = _effective_learner(learner.learner, model)
        if _is(jnp.bincount(learner.answers, length=num_outcomes), 1):
            return inner
        return eqx.tree_at(lambda whole: whole.learner, learner, inner)
    if type(learner) is GradientSteps and model.is_certain:
        return dataclasses.replace(learner, batch_size=None)
    return learner


def _effective_corpus(corpus: Corpus, learner: Learner, model: _Facts) -> Corpus:
    """The corpus without what does nothing."""
    kind = type(corpus)
    if isinstance(corpus, Mixed | Pooled) and kind in (Mixed, Pooled) and _is(corpus.fraction, 0):
        return _effective_corpus(corpus.corpus, learner, model)
    if type(corpus) is Curated and _keeps_all(corpus, model):
        return _effective_corpus(corpus.corpus, learner, model)
    if type(corpus) is Accumulated and model.is_own_teacher and _rests(learner):
        # While nothing moves, the average over all generations is each of them.
        inner = _effective_corpus(corpus.corpus, learner, model)
        return inner if type(inner) is Exact else corpus
    if type(corpus) is Fresh and model.is_certain and not _smooths(learner):
        return Exact()
    return corpus


def _keeps_all(corpus: Curated, model: _Facts) -> bool:
    """Whether curation has the same odds for all that is ever drawn."""
    if isinstance(corpus.weights, Tracer):
        return False
    shape, num_outcomes = corpus.weights.shape, model.drawable.shape[-1]
    if shape[-1] not in (1, num_outcomes):
        raise ValueError(
            f"`weights` must be one for each of the {num_outcomes} outcomes; got shape {shape}."
        )
    weights, drawable = np.broadcast_arrays(np.asarray(corpus.weights), model.drawable)
    largest = np.where(drawable, weights, 0).max(-1, keepdims=True)
    return bool((~drawable | ((weights == largest) & (weights > 0))).all())


def _check_samplers(samplers: tuple[Sampler, ...], model: _Facts, cut_once: bool) -> None:
    """Refuse a sampler other than temperature that changes what is drawn."""
    for index, sampler in enumerate(samplers):
        if type(sampler) is Temperature:
            continue
        if not isinstance(sampler, TopK | Nucleus | MinP) or type(sampler) not in _CUTS:
            raise NoClosedForm(f"`sampler` {_name(sampler)} {_UNKNOWN}")
        before = _temperature(samplers[:index])
        # All three keep the most probable outcome, whatever else they cut.
        if model.is_certain or _cuts_nothing(sampler, model, before):
            continue
        if type(sampler) is TopK and cut_once:
            continue
        raise NoClosedForm(
            f"`sampler` {_name(sampler)} truncates the distribution, for which `solve` has no law; "
            "call fixedpoint.run (exact for an Exact corpus), fixedpoint.simplex.decomposition "
            f"to see what it does, and at temperature 1 {_CUTS[type(sampler)]}"
        )


def _cuts_nothing(sampler: TopK | Nucleus | MinP, model: _Facts, before: Array) -> bool:
    if isinstance(sampler, TopK):
        return sampler.k >= model.num_surviving
    if isinstance(sampler, Nucleus):
        return _is(sampler.mass, 1)
    # After a temperature of 0 or inf all that can be drawn has one and the same probability.
    return _is(sampler.ratio, 0) or _is(before, 0) or _is(before, jnp.inf)


# --- what the parts do ----------------------------------------------------------------------------


def _is_full(learner: Learner) -> bool:
    """Whether the learner reaches the minimum of its loss."""
    return (
        type(learner) is Refit
        or (type(learner) is MixtureStep and _is(learner.step_size, 1))
        or (type(learner) is GradientFlow and _is(learner.time, jnp.inf))
    )


def _is_refit_to_samples(learner: Learner) -> bool:
    """Whether the model becomes the frequencies of its samples, losing all that was not drawn."""
    return (type(learner) is Refit and _is(learner.pseudo_counts, 0)) or (
        type(learner) is MixtureStep and _is(learner.step_size, 1)
    )


def _is_plain_step(learner: GradientSteps) -> bool:
    """Whether a generation is one gradient step from the last model."""
    return (learner.num_steps, learner.start) == (1, "last") and _is(learner.weight_decay, 0)


def _rests(learner: Learner) -> bool:
    """Whether the learner leaves a model alone that is shown its own distribution."""
    if type(learner) is FinalAnswer:
        return _rests(learner.learner)
    if type(learner) is GradientSteps:
        return learner.batch_size is None and _is(learner.weight_decay, 0)
    return type(learner) in (Refit, MixtureStep, GradientFlow)


def _is_idle(learner: Learner) -> bool:
    """Whether the learner leaves every model alone."""
    if type(learner) is FinalAnswer:
        return _is_idle(learner.learner)
    return (type(learner) is MixtureStep and _is(learner.step_size, 0)) or (
        type(learner) is GradientFlow and _is(learner.time, 0)
    )


def _smooths(learner: Learner) -> bool:
    """Whether the learner adds to the samples that it sees (one of the user's own might)."""
    if type(learner) is FinalAnswer:
        return _smooths(learner.learner)
    if type(learner) is Refit:
        return not _is(learner.pseudo_counts, 0)
    return type(learner) not in (MixtureStep, GradientFlow, GradientSteps)


def _of_samples(
    loop: Loop, num_samples: int, learner: Learner, initial: Array, temperature: Array
) -> Solution:
    """The law of a loop that draws n samples: exact means are known at temperature 1."""
    if not _is(temperature, 1):
        raise NoClosedForm(
            "`corpus` Fresh draws finitely many samples, so that the model is random, and its "
            "exact means are known at temperature 1 alone (full refit or one plain step); call "
            "fixedpoint.run with num_replicates, fixedpoint.chain for two outcomes, or a function "
            "of fixedpoint.laws.resampling (full refit) or fixedpoint.laws.traces (one step)."
        )
    if _is_refit_to_samples(learner):
        drawn = loop.drawn(initial)
        return Resampled("resampling.heterozygosity", initial, drawn, num_samples)
    if type(learner) is GradientSteps and learner.batch_size is None and _is_plain_step(learner):
        return Wandering("traces.martingale", initial, learner.step_size, num_samples)
    raise NoClosedForm(
        f"`learner` {_name(learner)} on finitely many samples {_sampled_advice(learner)}"
    )


def _frozen_teacher(initial: Array, temperature: Array, model: _Facts) -> str | None:
    """The law of training on a teacher that is frozen for a generation, if there is one."""
    if _is(temperature, jnp.inf):
        return "flow.frozen_uniform_target"
    if _is(temperature, 0):
        return "flow.frozen_one_hot_target" if model.is_certain else None
    between = (temperature > 0) & (temperature < jnp.inf)
    if initial.shape[-1] == 2 and _is(jnp.isfinite(initial), True) and _is(between, True):
        return "flow.frozen_two_outcomes"
    return None


# --- what to say where no law is known ------------------------------------------------------------


_UNKNOWN = (
    "is none of the parts that fixedpoint has laws for (a part of one's own, or a subclass); "
    "call fixedpoint.run."
)

_CUTS: dict[type, str] = {
    TopK: (
        "fixedpoint.laws.fixation.truncation for the number of outcomes that refits to samples "
        "leave."
    ),
    Nucleus: (
        "fixedpoint.laws.truncation.nucleus_support for the number of outcomes that full training "
        "on infinitely many samples leaves, nucleus_boundary for two outcomes and many samples."
    ),
    MinP: "fixedpoint.chain for refits to samples of two outcomes.",
}

_REAL_DATA = (
    "adds real data, which `solve` has no law for; call fixedpoint.run, or "
    "fixedpoint.laws.real_data.immigration for the stationary covariance of refits to samples."
)

_CORPUS_ADVICE: dict[type, str] = {
    Mixed: _REAL_DATA,
    Pooled: _REAL_DATA,
    Accumulated: "keeps all earlier data: see fixedpoint.laws.accumulation or call fixedpoint.run.",
    Curated: (
        "selects what is kept; call fixedpoint.run, or fixedpoint.laws.verifier.verifier for two "
        "answers."
    ),
}

_LEARNER_ADVICE: dict[type, str] = {
    FinalAnswer: (
        "shows the answers alone to a learner that stops before the minimum, which no registered "
        "law covers; call fixedpoint.run or fixedpoint.flow."
    ),
    GradientFlow: (
        "stops after a finite time, for which a law is known with two outcomes (none lost), at "
        "temperature 0 (one mode) and at infinite temperature, each generation starting from the "
        "last; else call "
        "fixedpoint.run, or fixedpoint.laws.flow.lineage for where two outcomes come to rest if "
        "each generation starts from the initial model."
    ),
    GradientSteps: (
        "takes finitely many steps; call fixedpoint.laws.flow for tiny steps, "
        "fixedpoint.laws.traces for single samples, else fixedpoint.run."
    ),
    MixtureStep: (
        "moves only part of the way; call fixedpoint.laws.geometry.mixture_online for tiny steps, "
        "else fixedpoint.run."
    ),
}


def _learner_advice(learner: Learner, temperature: Array) -> str:
    """What stands in the way of a law for a learner with the exact corpus."""
    if type(learner) is GradientSteps and not _is(learner.weight_decay, 0):
        return (
            "pulls the logits to 0 (`weight_decay`), so that they move at temperature 1 as well; "
            "call fixedpoint.run, or fixedpoint.laws.traces for single samples (weight_decay)."
        )
    if type(learner) is GradientSteps and _is(temperature, 1):
        return (  # what else but batches is left
            "sees random batches (`batch_size`), and their exact means are known alone if each "
            "generation takes one step from the last model; call fixedpoint.run with "
            "num_replicates."
        )
    return _advice(_LEARNER_ADVICE, learner)


def _sampled_advice(learner: Learner) -> str:
    """What stands in the way of a law for a learner that sees samples drawn at temperature 1."""
    if type(learner) is Refit:
        return (
            "adds pseudo-counts; call fixedpoint.run with num_replicates, or "
            "fixedpoint.laws.real_data.immigration_pseudo for the stationary covariance."
        )
    if type(learner) is MixtureStep:
        return (
            "moves only part of the way; call fixedpoint.run with num_replicates, or "
            "fixedpoint.laws.real_data.partial_refit for the diversity lost in a generation that "
            "starts from the last."
        )
    if type(learner) is GradientFlow:
        return (
            "loses no outcome that the samples lack, however long it runs; call fixedpoint.run "
            "with num_replicates, or take Refit for a full refit."
        )
    if type(learner) is GradientSteps:
        return (
            "has a law only for one step a generation from the last model, on all of the samples "
            "and without weight decay; call fixedpoint.run with num_replicates, or a function of "
            "fixedpoint.laws.traces (weight_decay for the stationary spread)."
        )
    if type(learner) is FinalAnswer:
        return (
            "has a law for the answers alone: with Refit these are refitted to samples; call "
            "`solve` for their logits (fixedpoint.laws.families.answers_and_reasonings) without "
            "FinalAnswer, or fixedpoint.run with num_replicates."
        )
    return _UNKNOWN


def _advice(known: dict[type, str], part: Any) -> str:
    return known.get(type(part), _UNKNOWN)


def _is(value: Any, number: Any) -> bool:
    """Whether concrete values all equal a number (traced ones cannot tell)."""
    return not isinstance(value, Tracer) and bool((np.asarray(value) == number).all())


def _name(part: Any) -> str:
    return type(part).__name__
