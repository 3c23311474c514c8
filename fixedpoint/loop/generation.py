"""One generation of a loop: draw, assemble the corpus, learn."""

from __future__ import annotations

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float

from fixedpoint import checks
from fixedpoint.loop.corpora import Corpus, Exact, branch
from fixedpoint.loop.learners import Learner, Refit
from fixedpoint.loop.parts import Part
from fixedpoint.loop.samplers import Sampler, Temperature


class Loop(Part):
    """A model that is sampled and trained on its samples: sampler + corpus + learner.

    Args:
        sampler: What is drawn from; one sampler, or a tuple of them applied in order.
        corpus: What the learner sees of it.
        learner: How the model moves to the corpus.

    Raises:
        ValueError: If an argument is not of its kind.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(sampler=fp.Temperature(0.5))
        >>> logits, _ = loop.generation(jnp.array([0.0, 1.0]))
        >>> fp.simplex.centre(logits)
        Array([-1.,  1.], dtype=float64)
    """

    sampler: Sampler | tuple[Sampler, ...] = eqx.field(default_factory=lambda: Temperature(1.0))
    corpus: Corpus = eqx.field(default_factory=Exact)
    learner: Learner = eqx.field(default_factory=Refit)

    def __check_init__(self) -> None:
        for sampler in self.samplers:
            checks.check_kind(sampler, Sampler, "sampler", "a sampler, or a tuple of samplers")
        checks.check_kind(self.corpus, Corpus, "corpus", "a corpus")
        checks.check_kind(self.learner, Learner, "learner", "a learner")

    @property
    def samplers(self) -> tuple[Sampler, ...]:
        """The samplers as a tuple."""
        return self.sampler if isinstance(self.sampler, tuple) else (self.sampler,)

    @property
    def stochastic(self) -> bool:
        """Whether a generation needs a random key."""
        return self.corpus.stochastic or self.learner.stochastic

    def drawn(self, logits: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """Logits of the distribution that a model with these logits is sampled from."""
        for sampler in self.samplers:
            logits = sampler(logits)
        return logits

    def generation(
        self,
        logits: Float[Array, "*batch outcomes"],
        initial: Float[Array, "*batch outcomes"] | None = None,
        memory: Any = None,
        key: Array | None = None,
    ) -> tuple[Float[Array, "*batch outcomes"], Any]:
        """One generation: draw, assemble the corpus, learn.

        Args:
            logits: The model.
            initial: The initial model; the model itself by default.
            memory: The corpus's memory; before the first generation by default.
            key: A random key; not needed by a deterministic loop.

        Returns:
            The trained model's logits and the corpus's memory.
        """
        initial = logits if initial is None else initial
        memory = self.corpus.initial(initial) if memory is None else memory
        assembling, learning = (None, None) if key is None else (branch(key, 0), branch(key, 1))
        target, memory = self.corpus(self.drawn(logits), memory, assembling)
        origin = initial if self.learner.from_initial else logits
        return self.learner(origin, target, learning), memory
