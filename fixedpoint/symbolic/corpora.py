"""Corpora: which samples are drawn, and what the learner sees of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fixedpoint.symbolic.distribution import Draws, Vector, mixture, normalised, said
from fixedpoint.symbolic.parts import Part


@dataclass(frozen=True, repr=False)
class Exact(Part):
    """The drawn distribution itself: infinitely many samples."""

    def words(self) -> str:
        """Return what the part does, in words."""
        return "infinitely many samples"

    def draws(self, drawn: Vector) -> Draws:
        """Nothing is left to chance."""
        return []

    def data(self, drawn: Vector, frequencies: Sequence[Vector]) -> Vector:
        """Return what the learner sees."""
        return drawn


@dataclass(frozen=True, repr=False)
class Fresh(Part):
    """The frequencies of n samples, drawn anew in every generation."""

    num_samples: Any

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"{said(self.num_samples)} fresh samples a generation"

    def draws(self, drawn: Vector) -> Draws:
        """Return how many samples are drawn, and from what."""
        return [(self.num_samples, drawn)]

    def data(self, drawn: Vector, frequencies: Sequence[Vector]) -> Vector:
        """Return what the learner sees."""
        return frequencies[0]


@dataclass(frozen=True, repr=False)
class Mixed(Part):
    """(1 − a) · corpus + a · real; the real data without noise, or `num_real` draws of them."""

    real: Any
    fraction: Any
    corpus: Any = field(default_factory=Exact)
    num_real: Any = None

    def words(self) -> str:
        """Return what the part does, in words."""
        own = self.corpus.words()
        if self.num_real is None:
            return f"{own}, a share {said(self.fraction)} of the data real without noise"
        return f"{own} and {said(self.num_real)} real ones, with the share {said(self.fraction)}"

    def draws(self, drawn: Vector) -> Draws:
        """Return the draws of the corpus, then those of the real data."""
        real = [] if self.num_real is None else [(self.num_real, self.real)]
        return [*self.corpus.draws(drawn), *real]

    def data(self, drawn: Vector, frequencies: Sequence[Vector]) -> Vector:
        """Return what the learner sees."""
        if self.num_real is None:
            return mixture(self.corpus.data(drawn, frequencies), self.real, self.fraction)
        own, real = frequencies[:-1], frequencies[-1]
        return mixture(self.corpus.data(drawn, own), real, self.fraction)


@dataclass(frozen=True, repr=False)
class Pooled(Part):
    """Another corpus, drawn from the pool (1 − a) · drawn + a · real."""

    real: Any
    fraction: Any
    corpus: Any = field(default_factory=Exact)

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"{self.corpus.words()}, each real with chance {said(self.fraction)}"

    def draws(self, drawn: Vector) -> Draws:
        """Return the draws from the pool."""
        return self.corpus.draws(mixture(drawn, self.real, self.fraction))

    def data(self, drawn: Vector, frequencies: Sequence[Vector]) -> Vector:
        """Return what the learner sees."""
        return self.corpus.data(mixture(drawn, self.real, self.fraction), frequencies)


@dataclass(frozen=True, repr=False)
class Accumulated(Part):
    """Everything so far: the initial data, with a weight, and what another corpus adds.

    Its data are of several generations. Trained to the end, one generation of all of them is a step
    on the probabilities: see `at_generation`.
    """

    corpus: Any = field(default_factory=Exact)
    initial_weight: Any = 1
    initial_samples: Any = None
    window: Any = None

    def words(self) -> str:
        """Return what the part does, in words."""
        kept = "all data so far" if self.window is None else f"the last {said(self.window)} corpora"
        initial = f"the initial ones with the weight {said(self.initial_weight)}"
        if self.initial_samples is not None:
            initial += f", {said(self.initial_samples)} samples"
        return f"{self.corpus.words()}; {kept}, {initial}"

    def draws(self, drawn: Vector) -> Draws:
        """Refuse: one generation alone has no data."""
        raise ValueError("`corpus` remembers; `at_generation` has its loop from t to t + 1.")


@dataclass(frozen=True, repr=False)
class Curated(Part):
    """Another corpus, drawn from what survives: drawn · w, normalised."""

    weights: Any
    corpus: Any = field(default_factory=Exact)

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"{self.corpus.words()}, kept with odds w"

    def draws(self, drawn: Vector) -> Draws:
        """Return the draws from the survivors."""
        return self.corpus.draws(self.kept(drawn))

    def data(self, drawn: Vector, frequencies: Sequence[Vector]) -> Vector:
        """Return what the learner sees."""
        return self.corpus.data(self.kept(drawn), frequencies)

    def kept(self, drawn: Vector) -> Vector:
        """Return the distribution of what survives."""
        return normalised([w * x for w, x in zip(self.weights, drawn, strict=True)])
