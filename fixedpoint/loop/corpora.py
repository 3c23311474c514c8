"""Corpora: what the learner sees of the distribution that is drawn from.

A corpus turns the drawn distribution into a `Target`: the empirical distribution of the training
data and its size. `Exact` is the limit of infinitely many samples; `Fresh` counts a finite number
of them; `Mixed`, `Pooled`, `Accumulated` and `Curated` wrap another corpus.

**Losing an outcome is exact.** An outcome that was not counted has the target logit `-inf`, and an
outcome of probability 0 is never counted, whatever the rounding (see `count_draws`).
"""

from __future__ import annotations

import abc
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import checks, simplex
from fixedpoint.kernels.multinomial import by_binomials, by_bisection
from fixedpoint.loop.samplers import number


class Target(NamedTuple):
    """The training data as a distribution.

    Attributes:
        logits: The empirical distribution, up to a constant; `-inf` is "not in the data".
        size: How many samples the data consist of; inf for an exact distribution.
    """

    logits: Float[Array, "*batch outcomes"]
    size: ArrayLike


class Corpus(eqx.Module):
    """What every corpus is: an initial memory and a map (drawn, memory, key) ↦ (Target, memory)."""

    @property
    @abc.abstractmethod
    def stochastic(self) -> bool:
        """Whether assembling the corpus needs a random key."""

    @abc.abstractmethod
    def initial(self, logits: Float[Array, "*batch outcomes"]) -> Any:
        """The memory before the first generation, given the initial model (None: no memory)."""

    @abc.abstractmethod
    def __call__(
        self, drawn: Float[Array, "*batch outcomes"], memory: Any, key: Array | None
    ) -> tuple[Target, Any]:
        """The data of one generation and the memory afterwards.

        Args:
            drawn: Logits of the distribution that is drawn from.
            memory: What `initial` or the last generation left.
            key: A random key; None will do if the corpus is not stochastic.

        Returns:
            The target and the memory for the next generation.
        """


def branch(key: Array, index: ArrayLike) -> Array:
    """One of several independent keys made from one."""
    return jax.random.fold_in(key, index)  # pyright: ignore[reportArgumentType]


def needed(key: Array | None, consumer: object) -> Array:
    """The key, or a ValueError that names who needs one."""
    if key is None:
        raise ValueError(
            f"`key` must be a random key (jax.random.key(0)), {type(consumer).__name__} draws at "
            "random; got None."
        )
    return key


def mixture(
    first: Float[Array, "*batch outcomes"],
    second: Float[Array, "*batch outcomes"],
    weight: Float[ArrayLike, ""],
) -> Float[Array, "*batch outcomes"]:
    """log((1-w) p + w q) for log-probabilities log p, log q, with exact zeros.

    Args:
        first: log p.
        second: log q.
        weight: w, 0 ≤ w ≤ 1.

    Returns:
        The mixture's log-probabilities: -inf exactly where every term with a positive weight is.

    Validity:
        No term underflows, and the gradients are finite, also where both terms are -inf and at
        w = 0 and 1.
    """
    weight = jnp.asarray(weight)
    # A term of weight 0 must not set the scale: the other may be smaller by any factor.
    top = jax.lax.stop_gradient(
        jnp.maximum(jnp.where(weight < 1, first, -jnp.inf), jnp.where(weight > 0, second, -jnp.inf))
    )
    alive = top > -jnp.inf
    top = jnp.where(alive, top, 0)
    limit = jnp.log(jnp.finfo(top.dtype).max) / 2

    def relative(term: Array) -> Array:
        """e^(term - top), written so that gradients meet no infinity."""
        finite = term > -jnp.inf
        return jnp.where(finite, jnp.exp(jnp.minimum(jnp.where(finite, term - top, 0), limit)), 0)

    p, q = relative(first), relative(second)
    total = jnp.where(alive, (1 - weight) * p + weight * q, 1)
    return jnp.where(alive, top + jnp.log(total), -jnp.inf)


def logarithm(values: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Logarithm: log x for x ≥ 0, with log 0 = -inf and a finite gradient there."""
    positive = values > 0
    return jnp.where(positive, jnp.log(jnp.where(positive, values, 1)), -jnp.inf)


def count_draws(
    key: Array, logits: Float[Array, "*batch outcomes"], num_samples: int
) -> Float[Array, "*batch outcomes"]:
    """Counts of `num_samples` independent draws from softmax(θ).

    Args:
        key: A random key.
        logits: θ; each leading position is drawn independently.
        num_samples: How many draws, at least 1.

    Returns:
        The counts, as floats of the dtype of the logits; they add up to `num_samples`.

    Validity:
        An outcome whose probability is 0 (also by underflow) is never drawn. Few draws invert the
        distribution function, many draws per outcome use one binomial variate an outcome
        (`kernels.multinomial`). Exact up to rounding of the probabilities to the dtype: an outcome
        of probability 1e-12 is drawn as often as it should, in float32 as well, wherever it stands.

    Raises:
        ValueError: If the dtype cannot hold the counts exactly.
    """
    dtype = logits.dtype
    if num_samples > 1 / jnp.finfo(dtype).eps:
        raise ValueError(
            f"`num_samples` must be <= {1 / jnp.finfo(dtype).eps:.0f} in {dtype}, which cannot "
            f"hold larger counts exactly; got {num_samples}."
        )
    logits = jax.lax.stop_gradient(logits).astype(jnp.promote_types(dtype, jnp.float32))
    weights = jnp.exp(logits - jnp.max(logits, -1, keepdims=True))
    # Measured on a CPU: a binomial variate costs as much as some sixty bisections.
    count = by_binomials if num_samples > 64 * logits.shape[-1] else by_bisection
    counts = count(key, weights, num_samples)
    # A distribution without mass must not pass for counts of 0.
    return jnp.where(jnp.any(weights > 0, -1, keepdims=True), counts, jnp.nan).astype(dtype)


class Exact(Corpus):
    """Infinitely many samples: the learner sees the drawn distribution itself.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> target, _ = fp.Exact()(jnp.array([0.0, 1.0]), None, None)
        >>> target.logits, target.size
        (Array([0., 1.], dtype=float64), inf)
    """

    @property
    def stochastic(self) -> bool:
        """False."""
        return False

    def initial(self, logits: Float[Array, "*batch outcomes"]) -> None:
        """No memory."""
        return

    def __call__(
        self, drawn: Float[Array, "*batch outcomes"], memory: None, key: Array | None
    ) -> tuple[Target, None]:
        """The drawn distribution."""
        return Target(drawn, jnp.inf), None


class Fresh(Corpus):
    """Counts of independent samples, drawn anew in every generation.

    Args:
        num_samples: n, how many samples a generation draws, at least 1.

    Raises:
        ValueError: If `num_samples` is not a positive integer.

    Validity:
        See `count_draws`. Counts are constants to `jax.grad`.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> target, _ = fp.Fresh(4)(jnp.array([0.0, -jnp.inf]), None, jax.random.key(0))
        >>> target
        Target(logits=Array([  0., -inf], dtype=float64), size=4)
    """

    num_samples: int = eqx.field(
        static=True, converter=lambda value: checks.check_count(value, "num_samples")
    )

    @property
    def stochastic(self) -> bool:
        """True."""
        return True

    def initial(self, logits: Float[Array, "*batch outcomes"]) -> None:
        """No memory."""
        return

    def __call__(
        self, drawn: Float[Array, "*batch outcomes"], memory: None, key: Array | None
    ) -> tuple[Target, None]:
        """The empirical distribution of the samples."""
        counts = count_draws(needed(key, self), drawn, self.num_samples)
        return Target(logarithm(counts / self.num_samples), self.num_samples), None


def _of_each(values: Array, drawn: Array, name: str) -> Array:
    """The logarithms of a corpus's parameter, one for each outcome, for every model of a batch."""
    shape = drawn.shape
    fits = values.shape[-1] == shape[-1] and values.ndim <= len(shape)
    if not fits or np.broadcast_shapes(values.shape, shape) != shape:
        raise ValueError(
            f"`{name}` must have one entry for each of the {shape[-1]} outcomes of the model; got "
            f"shape {values.shape} for logits of shape {shape}."
        )
    return jnp.broadcast_to(logarithm(values), shape)


class Mixed(Corpus):
    """Another corpus, diluted with real data: target = (1-a) · corpus + a · real.

    Args:
        real: q, the distribution of the real data: probabilities, the last axis the outcomes.
        fraction: a, the fraction of real data, 0 ≤ a ≤ 1.
        corpus: The other data; `Exact()` by default.
        num_real: How many real samples a generation draws; None takes q itself.

    Raises:
        ValueError: If `real` is not a distribution or `fraction` is not in [0, 1].

    Validity:
        Added as logarithms: no term underflows, exact zeros stay. With `num_real` the fraction is
        still a: it says how the two parts are weighed, not how many samples each has.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> corpus = fp.Mixed(real=jnp.array([0.5, 0.5, 0.0]), fraction=0.5)
        >>> target, _ = corpus(jnp.array([0.0, -jnp.inf, -jnp.inf]), None, None)
        >>> fp.simplex.probabilities(target.logits)  # (1 + 0.5)/2, 0.5/2, 0
        Array([0.75, 0.25, 0.  ], dtype=float64)
    """

    real: Array = eqx.field(converter=number(checks.check_probabilities, "real"))
    fraction: Array = eqx.field(converter=number(checks.check_fraction, "fraction"))
    corpus: Corpus = eqx.field(default_factory=Exact)
    num_real: int | None = eqx.field(
        default=None,
        static=True,
        converter=lambda value: None if value is None else checks.check_count(value, "num_real"),
    )

    @property
    def stochastic(self) -> bool:
        """Whether either part is sampled."""
        return self.num_real is not None or self.corpus.stochastic

    def initial(self, logits: Float[Array, "*batch outcomes"]) -> Any:
        """The other corpus's memory."""
        return self.corpus.initial(logits)

    def __call__(
        self, drawn: Float[Array, "*batch outcomes"], memory: Any, key: Array | None
    ) -> tuple[Target, Any]:
        """The mixture of the other corpus's target and the real data."""
        target, memory = self.corpus(drawn, memory, None if key is None else branch(key, 0))
        real = _of_each(self.real, drawn, "real")
        size = target.size
        if self.num_real is not None:
            counts = count_draws(branch(needed(key, self), 1), real, self.num_real)
            real = logarithm(counts / self.num_real)
            size = size + self.num_real
        mixed = mixture(simplex.log_probabilities(target.logits), real, self.fraction)
        return Target(mixed, size), memory


class Pooled(Corpus):
    """Another corpus, whose samples come from a pool with real data: (1-a) · drawn + a · real.

    `Pooled(q, a, Fresh(n))` draws n samples, each of which is real with probability a; their
    number varies. `Mixed(q, a, Fresh(m))` adds the real data without noise to m samples of the
    model, and `Mixed(q, k/n, Fresh(n-k), num_real=k)` has exactly k real samples among n.

    Args:
        real: q, the distribution of the real data: probabilities, the last axis the outcomes.
        fraction: a, the fraction of the pool that is real, 0 ≤ a ≤ 1.
        corpus: What counts the samples; `Exact()` by default, where it is the same as `Mixed`.

    Raises:
        ValueError: If `real` is not a distribution or `fraction` is not in [0, 1].

    Validity:
        Added as logarithms: no term underflows, exact zeros stay.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> corpus = fp.Pooled(real=jnp.array([0.5, 0.5, 0.0]), fraction=0.5)
        >>> target, _ = corpus(jnp.array([0.0, -jnp.inf, -jnp.inf]), None, None)
        >>> fp.simplex.probabilities(target.logits)  # (1 + 0.5)/2, 0.5/2, 0
        Array([0.75, 0.25, 0.  ], dtype=float64)
    """

    real: Array = eqx.field(converter=number(checks.check_probabilities, "real"))
    fraction: Array = eqx.field(converter=number(checks.check_fraction, "fraction"))
    corpus: Corpus = eqx.field(default_factory=Exact)

    @property
    def stochastic(self) -> bool:
        """Whether the samples are counted."""
        return self.corpus.stochastic

    def initial(self, logits: Float[Array, "*batch outcomes"]) -> Any:
        """The inner corpus's memory."""
        return self.corpus.initial(logits)

    def pool(self, drawn: Float[Array, "*batch outcomes"]) -> Float[Array, "*batch outcomes"]:
        """Logits of the distribution that a sample comes from."""
        real = _of_each(self.real, drawn, "real")
        return mixture(simplex.log_probabilities(drawn), real, self.fraction)

    def __call__(
        self, drawn: Float[Array, "*batch outcomes"], memory: Any, key: Array | None
    ) -> tuple[Target, Any]:
        """The inner corpus of the pool."""
        return self.corpus(self.pool(drawn), memory, key)


def _count_or_none(name: str) -> Any:
    return lambda value: None if value is None else checks.check_count(value, name)


class Accumulated(Corpus):
    """Everything so far: the initial data and every generation's, each with the same weight.

    The target of generation n is (w p₀ + Σ_{j=1}^{n} target_j)/(w + n): the running average over
    the initial model, which stands for the real data, and what the inner corpus added in each
    generation.

    Args:
        corpus: What each generation adds; `Exact()` by default.
        initial_weight: w > 0, the weight of the initial data relative to one generation's.
        initial_samples: How many samples of the initial model the initial data are: the first
            generation is trained on these alone. None takes the initial model itself.
        window: How many generations are kept, the initial data (generation 0) among them; None
            keeps all.

    Raises:
        ValueError: If `initial_weight` is not positive, or a number is not a positive integer.

    Validity:
        Exact up to rounding. The memory is one distribution, however many generations there are;
        with a window, one for each generation in it.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> corpus = fp.Accumulated()
        >>> start = jnp.log(jnp.array([0.5, 0.5]))
        >>> drawn = jnp.log(jnp.array([0.8, 0.2]))
        >>> target, memory = corpus(drawn, corpus.initial(start), None)
        >>> fp.simplex.probabilities(target.logits)  # (0.5 + 0.8)/2
        Array([0.65, 0.35], dtype=float64)

    References:
        Gerstgrasser et al. (2024), Is model collapse inevitable?, section 2.
    """

    corpus: Corpus = eqx.field(default_factory=Exact)
    initial_weight: Array = eqx.field(
        default=1.0, converter=number(checks.check_positive, "initial_weight")
    )
    initial_samples: int | None = eqx.field(
        default=None, static=True, converter=_count_or_none("initial_samples")
    )
    window: int | None = eqx.field(default=None, static=True, converter=_count_or_none("window"))

    @property
    def stochastic(self) -> bool:
        """Whether what is added, or the initial data, are sampled."""
        return self.initial_samples is not None or self.corpus.stochastic

    def initial(self, logits: Float[Array, "*batch outcomes"]) -> Any:
        """The average so far, its weight, and the inner corpus's memory.

        With a window, those of each generation, the last one first. Initial data that are sampled
        add whether they have been.
        """
        average = simplex.log_probabilities(logits)
        weight = jnp.asarray(self.initial_weight, logits.dtype)
        if self.window is not None:
            empty = jnp.full((self.window - 1, *average.shape), -jnp.inf, average.dtype)
            average = jnp.concatenate([average[None], empty])
            weight = jnp.zeros(self.window, weight.dtype).at[0].set(weight)
        memory = average, weight, self.corpus.initial(logits)
        return memory if self.initial_samples is None else (jnp.asarray(False), memory)

    def __call__(
        self, drawn: Float[Array, "*batch outcomes"], memory: Any, key: Array | None
    ) -> tuple[Target, Any]:
        """The average, with this generation's data."""
        if self.initial_samples is None:
            return self._later(drawn, memory, key)
        begun, memory = memory
        key = needed(key, self)
        target, memory = jax.lax.cond(
            begun,
            lambda: self._later(drawn, memory, branch(key, 0)),
            lambda: self._first(self.initial_samples, memory, branch(key, 1)),
        )
        return target, (jnp.asarray(True), memory)

    def _first(self, number: Any, memory: Any, key: Array) -> tuple[Target, Any]:
        """The samples of the initial model alone."""
        average, weight, inner = memory
        real = average if self.window is None else average[0]
        counted = logarithm(count_draws(key, real, number) / number)
        average = counted if self.window is None else average.at[0].set(counted)
        return Target(counted, jnp.asarray(number, real.dtype)), (average, weight, inner)

    def _later(self, drawn: Array, memory: Any, key: Array | None) -> tuple[Target, Any]:
        """What there is, and what the inner corpus adds."""
        average, weight, inner = memory
        target, inner = self.corpus(drawn, inner, key)
        added = simplex.log_probabilities(target.logits)
        if self.window is None:
            whole = weight = weight + 1
            average = mean = mixture(average, added, 1 / whole)
        else:
            average = jnp.concatenate([added[None], average[:-1]])
            weight = jnp.concatenate([jnp.ones(1, weight.dtype), weight[:-1]])
            mean, whole = added, weight[0]
            for kept, its_weight in zip(average[1:], weight[1:], strict=True):
                whole = whole + its_weight
                mean = mixture(mean, kept, its_weight / whole)
        size = jnp.asarray(whole * target.size, average.dtype)
        return Target(mean, size), (average, weight, inner)


def _check_weights(value: ArrayLike, name: str) -> None:
    checks.check_nonnegative(checks.check_outcomes(value, name), name)
    if not isinstance(value, Tracer) and not np.any(np.asarray(value) > 0):
        raise ValueError(f"`{name}` must have a positive entry; got {np.asarray(value)}.")


class Curated(Corpus):
    """What is drawn is kept with given odds before it is counted: target ∝ drawn · w.

    Args:
        weights: w ≥ 0, one an outcome: the odds with which a draw survives curation (a verifier,
            a reward, a filter). Only their ratios matter. w = 0 kills the outcome for good.
        corpus: What counts the survivors; `Exact()` by default. `Fresh(n)` draws until n
            samples have survived.

    Raises:
        ValueError: If a weight is negative or all of them are 0.

    Validity:
        Exact. A drawn distribution of which nothing survives is an error in `run`.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> target, _ = fp.Curated(jnp.array([1.0, 3.0, 0.0]))(jnp.zeros(3), None, None)
        >>> fp.simplex.probabilities(target.logits)
        Array([0.25, 0.75, 0.  ], dtype=float64)

    References:
        Ferbach, Bertrand, Bose & Gidel (2024), Self-consuming generative models with curated
        data provably optimize human preferences.
    """

    weights: Array = eqx.field(converter=number(_check_weights, "weights"))
    corpus: Corpus = eqx.field(default_factory=Exact)

    @property
    def stochastic(self) -> bool:
        """Whether the survivors are sampled."""
        return self.corpus.stochastic

    def initial(self, logits: Float[Array, "*batch outcomes"]) -> Any:
        """The inner corpus's memory."""
        return self.corpus.initial(logits)

    def __call__(
        self, drawn: Float[Array, "*batch outcomes"], memory: Any, key: Array | None
    ) -> tuple[Target, Any]:
        """The inner corpus of the curated distribution."""
        odds = _of_each(self.weights, drawn, "weights")
        return self.corpus(drawn + odds, memory, key)
