"""Learners: how the model moves to its training data."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from fixedpoint.symbolic.distribution import (
    Vector,
    logits,
    mixture,
    normalised,
    said,
    slope_of_loss,
)
from fixedpoint.symbolic.parts import Part


@dataclass(frozen=True, repr=False)
class Refit(Part):
    """The minimum of the cross-entropy: the data's frequencies, with c pseudo-counts each.

    `num_samples` says how many samples the data are, which pseudo-counts are weighed against.
    """

    pseudo_counts: Any = 0

    def words(self) -> str:
        """Return what the part does, in words."""
        if self.pseudo_counts == 0:
            return "full training"
        return f"a refit with {said(self.pseudo_counts)} pseudo-counts"

    def __call__(self, p: Vector, data: Vector, num_samples: Any = sp.oo) -> Vector:
        """Return the trained model."""
        if self.pseudo_counts == 0 or num_samples == sp.oo:
            return data
        total = num_samples + self.pseudo_counts * len(p)
        return [(num_samples * x + self.pseudo_counts) / total for x in data]


@dataclass(frozen=True, repr=False)
class MixtureStep(Part):
    """A step on the probabilities: p' = (1 − η) p + η · data."""

    step_size: Any

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"a step {said(self.step_size)} on the probabilities"

    def __call__(self, p: Vector, data: Vector, num_samples: Any = sp.oo) -> Vector:
        """Return the trained model."""
        return mixture(p, data, self.step_size)

    def velocity(self, p: Vector, data: Vector) -> Vector:
        """Return dp/dτ of ever smaller steps."""
        return [y - x for x, y in zip(p, data, strict=True)]


@dataclass(frozen=True, repr=False)
class GradientSteps(Part):
    """Steps on the logits: θ' = (1 − ηλ) θ + η (data − p), repeated on the same data."""

    step_size: Any
    num_steps: int = 1
    weight_decay: Any = 0

    def words(self) -> str:
        """Return what the part does, in words."""
        number = "one step" if self.num_steps == 1 else f"{self.num_steps} steps"
        decay = f", weight decay {said(self.weight_decay)}" if self.weight_decay else ""
        return f"{number} {said(self.step_size)} on the logits{decay}"

    def __call__(self, p: Vector, data: Vector, num_samples: Any = sp.oo) -> Vector:
        """Return the trained model."""
        for _ in range(self.num_steps):
            kept = 1 - self.step_size * self.weight_decay
            p = normalised(
                [x**kept * sp.exp(self.step_size * (d - x)) for x, d in zip(p, data, strict=True)]
            )
        return p

    def velocity(self, p: Vector, data: Vector) -> Vector:
        """Return dθ/dτ of ever smaller steps: minus the slope of the loss and of the decay."""
        pull = (
            [self.weight_decay * value for value in logits(p)]
            if self.weight_decay
            else [0] * len(p)
        )
        return [-slope - v for slope, v in zip(slope_of_loss(data, logits(p)), pull, strict=True)]


@dataclass(frozen=True, repr=False)
class GradientFlow(Part):
    """Gradient flow on the cross-entropy for a time: dθ/dτ = data − p."""

    time: Any = sp.oo
    start: str = "last"

    def words(self) -> str:
        """Return what the part does, in words."""
        start = " from the initial model" if self.start == "initial" else ""
        if self.time == sp.oo:
            return f"gradient flow{start} to its end"
        return f"gradient flow on the logits{start} for the time {said(self.time)}"

    def __call__(self, p: Vector, data: Vector, num_samples: Any = sp.oo) -> Vector:
        """Return the trained model of endless training."""
        if self.time == sp.oo:
            return data
        raise ValueError(
            f"`time` must be oo for a generation in closed form; got {self.time}. A finite time is "
            "followed by its velocity: see `along_flow`."
        )

    def velocity(self, p: Vector, data: Vector) -> Vector:
        """Return dθ/dτ, minus the slope of the cross-entropy to the data."""
        return [-slope for slope in slope_of_loss(data, logits(p))]


@dataclass(frozen=True, repr=False)
class FinalAnswer(Part):
    """Another learner, on data of which it sees the answers alone: the model imputes the rest."""

    answers: Sequence[Any]
    learner: Any = field(default_factory=Refit)

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"{self.learner.words()}, on final answers alone"

    def __call__(self, p: Vector, data: Vector, num_samples: Any = sp.oo) -> Vector:
        """Return the trained model."""
        return self.learner(p, self.completed(p, data), num_samples)

    def velocity(self, p: Vector, data: Vector) -> Vector:
        """Return dθ/dτ of the wrapped learner."""
        return self.learner.velocity(p, self.completed(p, data))

    def completed(self, p: Vector, data: Vector) -> Vector:
        """Return the data's answers with the reasonings of the model."""

        def share(values: Vector, answer: Any) -> Any:
            return sum(v for v, a in zip(values, self.answers, strict=True) if a == answer)

        pairs = zip(p, self.answers, strict=True)
        return [x * share(data, answer) / share(p, answer) for x, answer in pairs]
