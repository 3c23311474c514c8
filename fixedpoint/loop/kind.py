"""What kind of loop this is: the one place that looks at a loop's parts by their type.

`run` asks which engine takes a loop, `fixedpoint.solve` which law governs it, `fixedpoint.chain`
whether its counts are a Markov chain, `flow` how its learner moves, `predict` what to print. A part
of the user's own, also one derived from a part of this package, may do anything: it is of no kind,
and only what asks nothing of a part (the general engine) takes it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from fixedpoint import checks
from fixedpoint.loop.corpora import Accumulated, Corpus, Curated, Exact, Fresh, Mixed, Pooled
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.learners import (
    FinalAnswer,
    GradientFlow,
    GradientSteps,
    Learner,
    MixtureStep,
    Refit,
)
from fixedpoint.loop.samplers import MinP, Nucleus, Sampler, Temperature, TopK

_SAMPLERS = Temperature, TopK, Nucleus, MinP
_CORPORA = Exact, Fresh, Mixed, Pooled, Accumulated, Curated
_LEARNERS = Refit, GradientFlow, GradientSteps, MixtureStep, FinalAnswer


def name(part: Any) -> str:
    """The name of a part of this package; nothing of one that is the user's own.

    Args:
        part: A sampler, corpus or learner.

    Example:
        >>> import fixedpoint as fp
        >>> name(fp.Fresh(3)), name(fp.Refit())
        ('Fresh', 'Refit')
    """
    return type(part).__name__ if type(part) in _SAMPLERS + _CORPORA + _LEARNERS else ""


def is_number(value: Any, number: Any) -> bool:
    """Whether concrete values all equal a number (traced ones cannot tell)."""
    return not isinstance(value, Tracer) and bool((np.asarray(value) == number).all())


def is_traced(tree: Any) -> bool:
    """Whether a number in it is not known before the program runs."""
    return any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(tree))


# --- Loops that have an engine of their own -------------------------------------------------------


class Refits(NamedTuple):
    """A loop that refits to n fresh samples of its own."""

    samplers: tuple[Sampler, ...]
    num_samples: int


class SingleTraces(NamedTuple):
    """A loop that takes one gradient step a generation on B fresh samples of its own."""

    temperature: Array
    num_samples: int
    step_size: Array
    weight_decay: Array


def refits(loop: Loop) -> Refits | None:
    """The numbers of a loop `Loop(samplers, Fresh(n), Refit())`; None if it is another.

    Example:
        >>> import fixedpoint as fp
        >>> refits(fp.Loop(corpus=fp.Fresh(num_samples=10))).num_samples
        10
    """
    corpus, learner = loop.corpus, loop.learner
    plain = type(loop) is Loop and _has_single_numbers(loop)
    # Samplers that look at an outcome's number would not allow the lost ones to be left out.
    plain = plain and all(type(sampler) in _SAMPLERS for sampler in loop.samplers)
    if not plain or type(corpus) is not Fresh or type(learner) is not Refit:
        return None
    smoothed = not is_number(learner.pseudo_counts, 0)
    return None if smoothed else Refits(loop.samplers, corpus.num_samples)


def single_traces(loop: Loop) -> SingleTraces | None:
    """The numbers of a loop `Loop(Temperature(T), Fresh(B), GradientSteps(η))`; None if another.

    T is positive and finite, and a generation one step on all of its samples.

    Example:
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size=0.5))
        >>> float(single_traces(loop).step_size)
        0.5
    """
    corpus, learner = loop.corpus, loop.learner
    if type(loop) is not Loop or not _has_single_numbers(loop) or len(loop.samplers) != 1:
        return None
    (sampler,) = loop.samplers
    if type(sampler) is not Temperature or not 0 < float(sampler.temperature) < np.inf:
        return None
    if type(corpus) is not Fresh or type(learner) is not GradientSteps:
        return None
    if (learner.num_steps, learner.batch_size, learner.start) != (1, None, "last"):
        return None
    return SingleTraces(
        sampler.temperature, corpus.num_samples, learner.step_size, learner.weight_decay
    )


def check_single_traces(loop: Loop) -> SingleTraces:
    """The numbers of a single-trace loop, or a ValueError that says what one is."""
    checks.check_kind(loop, Loop, "loop", "a Loop")
    found = single_traces(loop)
    if found is None:
        raise ValueError(
            "`loop` must be Loop(Temperature(T), Fresh(B), GradientSteps(step_size)) with "
            f"0 < T < inf and one full-batch step; got {loop}."
        )
    return found


def _has_single_numbers(loop: Loop) -> bool:
    """Whether every parameter is one number, and known."""
    return not is_traced(loop) and all(np.ndim(leaf) == 0 for leaf in jax.tree.leaves(loop))


# --- Samplers and corpora -------------------------------------------------------------------------


def is_temperature(sampler: Sampler) -> bool:
    """Whether a sampler is a temperature."""
    return type(sampler) is Temperature


def temperature(samplers: tuple[Sampler, ...]) -> Array:
    """The product of the temperatures among the samplers."""
    product = jnp.ones(())
    for sampler in samplers:
        if type(sampler) is Temperature:
            # What 0 or inf has left, equal outcomes, no later temperature changes.
            settled = (product == 0) | (product == jnp.inf)
            product = jnp.where(settled, product, product * sampler.temperature)
    return jnp.abs(product)  # -0 is 0


def draws_itself(loop: Loop) -> bool:
    """Whether the model itself is drawn from, at temperature 1 and without truncation."""
    return all(type(s) is Temperature and is_number(s.temperature, 1) for s in loop.samplers)


def num_samples(corpus: Corpus) -> int | None:
    """How many fresh samples make the corpus; None if it is another one than `Fresh`."""
    return corpus.num_samples if type(corpus) is Fresh else None


def layers(corpus: Corpus) -> tuple[Corpus, ...]:
    """The corpus and those that it wraps, the outermost first.

    Example:
        >>> import fixedpoint as fp
        >>> [name(layer) for layer in layers(fp.Curated([1.0, 2.0], fp.Fresh(3)))]
        ['Curated', 'Fresh']
    """
    found = [corpus]
    while isinstance(inner := getattr(found[-1], "corpus", None), Corpus):
        found.append(inner)
    return tuple(found)


def on(corpus: Corpus, inner: Corpus, **changes: Any) -> Corpus:
    """The same corpus, wrapped about another one, with other parameters if any are named."""
    return dataclasses.replace(corpus, corpus=inner, **changes)  # type: ignore[call-arg]


def num_real(corpus: Corpus) -> int | None:
    """How many real samples a generation mixes in; None if none are drawn."""
    return corpus.num_real if isinstance(corpus, Mixed) else None


def real(corpus: Corpus) -> Array:
    """The distribution of the real data of a corpus that has some."""
    assert isinstance(corpus, Mixed | Pooled)
    return corpus.real


# --- Learners -------------------------------------------------------------------------------------


def is_full(learner: Learner) -> bool:
    """Whether the learner reaches the minimum of its loss."""
    return (
        type(learner) is Refit
        or (type(learner) is MixtureStep and is_number(learner.step_size, 1))
        or (type(learner) is GradientFlow and is_number(learner.time, jnp.inf))
    )


def is_refit_to_samples(learner: Learner) -> bool:
    """Whether the model becomes the frequencies of its samples, losing all that was not drawn."""
    return (type(learner) is Refit and is_number(learner.pseudo_counts, 0)) or (
        type(learner) is MixtureStep and is_number(learner.step_size, 1)
    )


def plain_step(learner: Learner) -> GradientSteps | None:
    """The learner if a generation is one gradient step from the last model, without weight decay.

    None if it is another.
    """
    plain = (
        type(learner) is GradientSteps
        and (learner.num_steps, learner.start) == (1, "last")
        and is_number(learner.weight_decay, 0)
    )
    return learner if plain else None  # pyright: ignore[reportReturnType]


def finite_flow(learner: Learner) -> Array | None:
    """The time of gradient flow from the last model; None if the learner does something else."""
    flows = type(learner) is GradientFlow and learner.start == "last"
    return learner.time if flows else None  # pyright: ignore[reportAttributeAccessIssue]


def rests(learner: Learner) -> bool:
    """Whether the learner leaves a model alone that is shown its own distribution."""
    if type(learner) is FinalAnswer:
        return rests(learner.learner)
    if type(learner) is GradientSteps:
        return learner.batch_size is None and is_number(learner.weight_decay, 0)
    return type(learner) in (Refit, MixtureStep, GradientFlow)


def is_idle(learner: Learner) -> bool:
    """Whether the learner leaves every model alone."""
    if type(learner) is FinalAnswer:
        return is_idle(learner.learner)
    return (type(learner) is MixtureStep and is_number(learner.step_size, 0)) or (
        type(learner) is GradientFlow and is_number(learner.time, 0)
    )


def smooths(learner: Learner) -> bool:
    """Whether the learner adds to the samples that it sees (one of the user's own might)."""
    if type(learner) is FinalAnswer:
        return smooths(learner.learner)
    if type(learner) is Refit:
        return not is_number(learner.pseudo_counts, 0)
    return type(learner) not in (MixtureStep, GradientFlow, GradientSteps)


def mover(learner: Learner) -> Learner:
    """The learner that moves the model, also one that is shown the final answers alone."""
    return learner.learner if isinstance(learner, FinalAnswer) else learner


def completes(learner: Learner) -> bool:
    """Whether the model completes what the learner is shown."""
    return isinstance(learner, FinalAnswer)


def moves_probabilities(learner: Learner) -> bool:
    """Whether the learner steps on the probabilities; every other steps on the logits."""
    return isinstance(mover(learner), MixtureStep)


def weight_decay(learner: Learner) -> Array | None:
    """The pull of the logits to 0; None of a learner that has none."""
    moving = mover(learner)
    return moving.weight_decay if isinstance(moving, GradientSteps) else None


def only_temperature(loop: Loop) -> Array | None:
    """T of a loop whose logits learn what is drawn at a temperature, and see nothing else."""
    if type(loop.corpus) is not Exact or completes(loop.learner):
        return None
    if moves_probabilities(loop.learner) or len(loop.samplers) != 1:
        return None
    (sampler,) = loop.samplers
    return sampler.temperature if type(sampler) is Temperature else None


# --- The loop without what does nothing -----------------------------------------------------------


class Model(NamedTuple):
    """What the initial model tells beforehand; a traced one tells as little as is safe."""

    num_surviving: int
    """The most outcomes that a row has left."""
    drawable: Bool[np.ndarray, "*batch num_outcomes"]
    """Which outcomes are ever drawn."""
    is_certain: bool
    """Whether one outcome alone is ever drawn, so that samples are what they are drawn from."""
    is_own_teacher: bool
    """Whether what is drawn is the model itself: T = 1, or all outcomes are alike."""


def model(initial: Float[Array, "*batch num_outcomes"], temperature: Array) -> Model:
    """What the initial model tells, if it is drawn from at a temperature."""
    if isinstance(initial, Tracer):
        alive = modes = np.ones(initial.shape, bool)
        uniform = initial.shape[-1] == 1
    else:
        values = np.asarray(initial)
        alive, modes = values > -np.inf, values == values.max(-1, keepdims=True)
        uniform = bool((alive == modes).all())
    is_cold = np.zeros(()) if isinstance(temperature, Tracer) else np.asarray(temperature) == 0
    drawable = np.where(is_cold[..., None], modes, alive)
    return Model(
        num_surviving=int(alive.sum(-1).max(initial=0)),
        drawable=drawable,
        is_certain=bool((drawable.sum(-1) == 1).all()),
        is_own_teacher=uniform or is_number(temperature, 1),
    )


def effective_learner(learner: Learner, model: Model) -> Learner:
    """The learner without what does nothing: answers that all differ, batches of one outcome."""
    if type(learner) is FinalAnswer:
        num_outcomes = model.drawable.shape[-1]
        if learner.answers.shape != (num_outcomes,):
            learner.of_answers(jnp.zeros(num_outcomes))  # which says what is wrong
        inner = effective_learner(learner.learner, model)
        if is_number(jnp.bincount(learner.answers, length=num_outcomes), 1):
            return inner
        return eqx.tree_at(lambda whole: whole.learner, learner, inner)
    if type(learner) is GradientSteps and model.is_certain:
        return dataclasses.replace(learner, batch_size=None)
    return learner


def effective_corpus(corpus: Corpus, learner: Learner, model: Model) -> Corpus:
    """The corpus without what does nothing."""
    if type(corpus) in (Mixed, Pooled) and is_number(corpus.fraction, 0):  # type: ignore
        return effective_corpus(corpus.corpus, learner, model)  # type: ignore
    if type(corpus) is Curated and _keeps_all(corpus, model):
        return effective_corpus(corpus.corpus, learner, model)
    resting = model.is_own_teacher and rests(learner)
    if type(corpus) is Accumulated and corpus.initial_samples is None and resting:
        # While nothing moves, the average over all generations is each of them.
        inner = effective_corpus(corpus.corpus, learner, model)
        return inner if type(inner) is Exact else corpus
    if type(corpus) is Fresh and model.is_certain and not smooths(learner):
        return Exact()
    return corpus


def _keeps_all(corpus: Curated, model: Model) -> bool:
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


def first_cut(samplers: tuple[Sampler, ...], model: Model, refitted: bool) -> Sampler | None:
    """The first sampler other than a temperature that changes what is drawn; None if none does.

    Args:
        samplers: The samplers, in their order.
        model: What the initial model tells.
        refitted: Whether the model is refitted to samples: once a top k has acted, no more than k
            outcomes are left, and it has nothing to do any more.
    """
    for index, sampler in enumerate(samplers):
        if type(sampler) is Temperature:
            continue
        if type(sampler) not in _SAMPLERS:
            return sampler
        before = temperature(samplers[:index])
        # All three keep the most probable outcome, whatever else they cut.
        if model.is_certain or _cuts_nothing(sampler, model, before):
            continue
        if type(sampler) is TopK and refitted:
            continue
        return sampler
    return None


def _cuts_nothing(sampler: Sampler, model: Model, before: Array) -> bool:
    if isinstance(sampler, TopK):
        return sampler.k >= model.num_surviving
    if isinstance(sampler, Nucleus):
        return is_number(sampler.mass, 1)
    assert isinstance(sampler, MinP)
    # After a temperature of 0 or inf all that can be drawn has one and the same probability.
    none = is_number(before, 0) or is_number(before, jnp.inf)
    return none or is_number(sampler.ratio, 0)
