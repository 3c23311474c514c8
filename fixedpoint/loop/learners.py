"""Learners: how the model moves to its training data.

A learner is a map (logits, target, key) ↦ logits. All minimise the cross-entropy to the target;
they differ in how far they go and along which road: all the way (`Refit`, or `GradientFlow` with
time = ∞), for a finite time (`GradientFlow`), by steps on the logits (`GradientSteps`), by a step
on the probabilities (`MixtureStep`). `FinalAnswer` wraps one of them, and hides from it all of an
outcome but its answer.

**Lost outcomes.** The gradient with respect to a logit of `-inf` is 0: a learner that follows the
gradient leaves it lost and learns the target restricted to what it can express. `Refit` and
`MixtureStep` write probabilities and give an outcome back if the data contain it (real data do).
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import checks, simplex
from fixedpoint.loop.corpora import Target, branch, count_draws, logarithm, mixture, needed
from fixedpoint.loop.integrate import gradient_flow
from fixedpoint.loop.parts import Part
from fixedpoint.loop.samplers import floating, number

Start = Literal["last", "initial"]


def _check_start(value: Start) -> Start:
    if not (isinstance(value, str) and value in ("last", "initial")):
        raise ValueError(f'`start` must be "last" or "initial"; got {value!r}.')
    return value


class Learner(Part):
    """What every learner is: a map (logits, target, key) ↦ logits."""

    @property
    def stochastic(self) -> bool:
        """Whether learning needs a random key."""
        return False

    @property
    def from_initial(self) -> bool:
        """Whether every generation starts from the initial model (a lineage of retrainings)."""
        return getattr(self, "start", "last") == "initial"

    @abc.abstractmethod
    def __call__(
        self, logits: Float[Array, "*batch outcomes"], target: Target, key: Array | None
    ) -> Float[Array, "*batch outcomes"]:
        """The trained model.

        Args:
            logits: The model that training starts from.
            target: The training data.
            key: A random key; None will do if the learner is not stochastic.

        Returns:
            The logits after training.
        """


def restricted(
    target: Float[Array, "*batch outcomes"], support: Float[Array, "*batch outcomes"]
) -> Float[Array, "*batch outcomes"]:
    """The target's logits where the support's are finite, -inf elsewhere."""
    return jnp.where(support > -jnp.inf, target, -jnp.inf)


class Refit(Learner):
    """The minimiser of the cross-entropy: the model becomes the empirical distribution.

    θ' = log target; with pseudo-counts c and a corpus of n samples,
    p' = (n · target + c)/(n + cK).

    Args:
        pseudo_counts: c ≥ 0, added to the count of each of the K outcomes. They give lost
            outcomes back on purpose. They do not change an exact corpus (n = ∞).

    Raises:
        ValueError: If `pseudo_counts` is negative.

    Validity:
        Exact. Starts from nowhere, so that a lineage and fine-tuning are the same.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> data = fp.loop.Target(jnp.log(jnp.array([0.75, 0.25])), 4)  # counts 3, 1
        >>> fp.simplex.probabilities(fp.Refit(pseudo_counts=1.0)(jnp.zeros(2), data, None))
        Array([0.66666667, 0.33333333], dtype=float64)
    """

    pseudo_counts: Array = eqx.field(
        default=0.0, converter=number(checks.check_nonnegative, "pseudo_counts")
    )

    def __call__(
        self, logits: Float[Array, "*batch outcomes"], target: Target, key: Array | None
    ) -> Float[Array, "*batch outcomes"]:
        """The target, smoothed if the corpus is finite."""
        if isinstance(target.size, float) and target.size == np.inf:
            return target.logits
        num_outcomes = target.logits.shape[-1]
        total = self.pseudo_counts * num_outcomes
        uniform = jnp.full_like(target.logits, -np.log(num_outcomes))
        # total/(n + total), written so that n = inf gives 0.
        weight = jnp.asarray(total / (target.size + total), logits.dtype)
        return mixture(simplex.log_probabilities(target.logits), uniform, weight)


class GradientSteps(Learner):
    """Plain gradient steps on the cross-entropy: θ' = (1-ηλ) θ + η (p̂ - p), repeated.

    Args:
        step_size: η > 0.
        num_steps: How many steps a generation takes, at least 1.
        batch_size: B; each step sees p̂ = the frequencies of B draws from the target. None: the
            target itself (a full batch).
        weight_decay: λ ≥ 0, a pull of the logits to 0.
        start: "last" starts from the last generation's model (fine-tuning), "initial" from the
            initial one (a lineage of retrainings).

    Raises:
        ValueError: If an argument is out of its range.

    Validity:
        Exact arithmetic of the stated rule; Σθ is conserved if λ = 0. Lost outcomes stay lost.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> data = fp.loop.Target(jnp.array([0.0, -jnp.inf]), jnp.inf)
        >>> fp.GradientSteps(step_size=0.1)(jnp.zeros(2), data, None)
        Array([ 0.05, -0.05], dtype=float64)
    """

    step_size: Array = eqx.field(converter=number(checks.check_positive, "step_size"))
    num_steps: int = eqx.field(
        default=1, static=True, converter=lambda value: checks.check_count(value, "num_steps")
    )
    batch_size: int | None = eqx.field(
        default=None,
        static=True,
        converter=lambda value: None if value is None else checks.check_count(value, "batch_size"),
    )
    weight_decay: Array = eqx.field(
        default=0.0, converter=number(checks.check_nonnegative, "weight_decay")
    )
    start: Start = eqx.field(default="last", static=True, converter=_check_start)

    @property
    def stochastic(self) -> bool:
        """Whether the steps see batches."""
        return self.batch_size is not None

    def __call__(
        self, logits: Float[Array, "*batch outcomes"], target: Target, key: Array | None
    ) -> Float[Array, "*batch outcomes"]:
        """The model after `num_steps` steps."""
        alive = logits > -jnp.inf
        drawn = restricted(target.logits, logits)
        decay = 1 - self.step_size * self.weight_decay

        def step(index: ArrayLike, finite: Array) -> Array:
            if self.batch_size is None:
                # Of what nearly agrees: a difference of probabilities would lose its digits.
                pull = simplex.difference(drawn, jnp.where(alive, finite, -jnp.inf))
            else:
                counts = count_draws(branch(needed(key, self), index), drawn, self.batch_size)
                pull = counts / self.batch_size - jax.nn.softmax(finite, where=alive)
            return decay * finite + self.step_size * jnp.where(alive, pull, 0)

        finite = jnp.where(alive, logits, 0)
        finite = (
            step(0, finite)
            if self.num_steps == 1
            else jax.lax.fori_loop(0, self.num_steps, step, finite)
        )
        return jnp.where(alive, finite, -jnp.inf)


class MixtureStep(Learner):
    """A step on the probabilities: p' = (1-η) p + η · target.

    Args:
        step_size: η, 0 < η ≤ 1; at 1 the step is a refit.
        start: "last" starts from the last generation's model (fine-tuning), "initial" from the
            initial one (a lineage of retrainings).

    Raises:
        ValueError: If `step_size` is not in (0, 1].

    Validity:
        Added as logarithms: no term underflows, exact zeros stay.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> data = fp.loop.Target(jnp.array([0.0, -jnp.inf]), jnp.inf)
        >>> fp.simplex.probabilities(fp.MixtureStep(step_size=0.2)(jnp.zeros(2), data, None))
        Array([0.6, 0.4], dtype=float64)
    """

    step_size: Array = eqx.field(converter=number(checks.check_fraction, "step_size"))
    start: Start = eqx.field(default="last", static=True, converter=_check_start)

    def __call__(
        self, logits: Float[Array, "*batch outcomes"], target: Target, key: Array | None
    ) -> Float[Array, "*batch outcomes"]:
        """The model's mixture with the target."""
        return mixture(
            simplex.log_probabilities(logits),
            simplex.log_probabilities(target.logits),
            self.step_size,
        )


class GradientFlow(Learner):
    """Gradient flow on the cross-entropy for a time: dθ/dt = target - softmax(θ).

    Args:
        time: How long, in units of learning rate × steps, 0 ≤ time ≤ ∞. With time = ∞ the flow
            is integrated until the model agrees with the target.
        rtol: Relative tolerance of the integrator; by default 1e-10 in float64, 1e-5 in float32.
        atol: Absolute tolerance on the logits; by default the same.
        max_steps: How many steps the integrator may take.
        start: "last" starts from the last generation's model (fine-tuning), "initial" from the
            initial one (a lineage of retrainings).

    Raises:
        ValueError: If an argument is out of its range, or a tolerance below 1e-6 is asked in
            float32.

    Validity:
        A finite time: Dopri8, explicit and adaptive, error of the order of the tolerance. time =
        ∞: Kvaerno5, implicit (its cost is K³), until every probability agrees with the target
        to 10 rtol relative, which is then the error of the logits; an outcome that the target
        lacks is driven below 10 rtol but never lost. Lost outcomes stay lost. Reverse-mode
        gradients work, forward-mode does not.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> data = fp.loop.Target(jnp.log(jnp.array([0.8, 0.2])), jnp.inf)
        >>> logits = fp.GradientFlow(time=float("inf"))(jnp.zeros(2), data, None)
        >>> print(f"{fp.simplex.probabilities(logits)[0]:.8f}")
        0.80000000

    References:
        Kidger (2022), On neural differential equations, chapter 5 (the integrators of diffrax).
    """

    time: Array = eqx.field(converter=number(checks.check_temperature, "time"))
    rtol: float | None = eqx.field(static=True)
    atol: float | None = eqx.field(static=True)
    max_steps: int = eqx.field(
        static=True, converter=lambda value: checks.check_count(value, "max_steps")
    )
    start: Start = eqx.field(static=True, converter=_check_start)
    endless: bool = eqx.field(static=True)

    def __init__(
        self,
        time: ArrayLike,
        *,
        rtol: float | None = None,
        atol: float | None = None,
        max_steps: int = 100_000,
        start: Start = "last",
    ) -> None:
        checks.check_temperature(time, "time")
        for name, value in (("rtol", rtol), ("atol", atol)):
            if value is not None:
                checks.check_positive(value, name)
                if np.ndim(value):
                    raise ValueError(f"`{name}` must be one number; got {value}.")
        self.time = floating(time)
        self.rtol = None if rtol is None else float(rtol)
        self.atol = None if atol is None else float(atol)
        self.max_steps, self.start = max_steps, start
        # Under jax.jit the time is not known when the integrator is chosen.
        self.endless = not isinstance(time, Tracer) and bool(np.all(np.isinf(time)))

    def __call__(
        self, logits: Float[Array, "*batch outcomes"], target: Target, key: Array | None
    ) -> Float[Array, "*batch outcomes"]:
        """The model after the flow."""
        return gradient_flow(
            logits,
            target.logits,
            self.time,
            rtol=self.rtol,
            atol=self.atol,
            max_steps=self.max_steps,
            endless=self.endless,
        )


def _answers(labels: Sequence[Any] | ArrayLike) -> Array:
    """One number an outcome, from labels of any kind: equal labels are the same answer."""
    if isinstance(labels, Tracer):
        return labels
    rule = "`answers` must be a list of labels of one kind, one an outcome"
    try:
        values = np.asarray(labels)
        numbers = np.unique(values, return_inverse=True)[1]
    except (TypeError, ValueError):  # ragged, or labels that cannot be compared
        raise ValueError(f"{rule}; got {labels!r}.") from None
    if values.ndim != 1 or values.size == 0:
        raise ValueError(f"{rule}; got shape {values.shape}.")
    return jnp.asarray(numbers)


class FinalAnswer(Learner):
    """Another learner, which is shown nothing of the data but the final answers.

    An outcome is a reasoning that ends with an answer. The loss is that of the answers alone,
    -Σ q(y) log P(y) with P(y) the sum of p over the reasonings that end with y; how an answer was
    reached the model has to tell itself. It imputes: of the data with answer y, the fraction
    p(outcome)/P(y) is that outcome. The wrapped learner is trained on the data so completed.

    With `Refit` this is a step of expectation maximisation: the answers become those of the data,
    and the reasonings of each keep their proportions. With one of `GradientSteps` it is a step
    against the gradient of the loss of the answers, θ' = θ + η (q(y) p/P(y) - p).

    Args:
        answers: The answer that each outcome ends with: labels of any kind, one an outcome.
        learner: The wrapped learner; `Refit()` by default.

    Raises:
        ValueError: If `answers` is not a list of labels, or `learner` not another learner; when
            called, if there is not one label for each outcome.

    Validity:
        Exact. The reasonings are imputed once a generation, by the model that training starts
        from: several gradient steps go towards these imputed data. An answer that the model has
        lost cannot be imputed, and data with this answer are left out. With `Refit` and a corpus
        `Fresh(n)` at T = 1 the answers are those of a model that is refitted to n of its own
        (`fixedpoint.laws.resampling`), and no reasoning is lost but with its answer.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> learner = fp.FinalAnswer(["yes", "yes", "no"])
        >>> model = jnp.log(jnp.array([0.3, 0.1, 0.6]))
        >>> data = fp.loop.Target(jnp.log(jnp.array([0.0, 0.8, 0.2])), jnp.inf)
        >>> fp.simplex.probabilities(learner(model, data, None))  # 0.8 in proportions 3 : 1
        Array([0.6, 0.2, 0.2], dtype=float64)

    References:
        Dempster, Laird & Rubin (1977), Maximum likelihood from incomplete data via the EM
        algorithm; Phan et al. (2023), Training chain-of-thought via latent-variable inference.
    """

    answers: Array = eqx.field(converter=_answers)
    learner: Learner = eqx.field(default_factory=Refit)

    def __check_init__(self) -> None:
        if not isinstance(self.learner, Learner) or isinstance(self.learner, FinalAnswer):
            raise ValueError(f"`learner` must be any other learner; got {self.learner!r}.")

    @property
    def stochastic(self) -> bool:
        """Whether the wrapped learner needs a random key."""
        return self.learner.stochastic

    @property
    def from_initial(self) -> bool:
        """Whether the wrapped learner starts every generation from the initial model."""
        return self.learner.from_initial

    def of_answers(
        self, logits: Float[Array, "*batch outcomes"]
    ) -> Float[Array, "*batch outcomes"]:
        """The log-probability of the answer that each outcome ends with."""
        if self.answers.shape != logits.shape[-1:]:
            raise ValueError(
                f"`answers` must be one label for each of the {logits.shape[-1]} outcomes; "
                f"got {self.answers.size}."
            )
        num_labels = logits.shape[-1]  # at most

        def one(x: Array) -> Array:
            top = jax.ops.segment_max(x, self.answers, num_labels)[self.answers]
            top = jax.lax.stop_gradient(jnp.where(top > -jnp.inf, top, 0))
            weights = jax.ops.segment_sum(jnp.exp(x - top), self.answers, num_labels)
            return top + logarithm(weights[self.answers])

        return jnp.vectorize(one, signature="(k)->(k)")(simplex.log_probabilities(logits))

    def completed(
        self,
        logits: Float[Array, "*batch outcomes"],
        target: Float[Array, "*batch outcomes"],
    ) -> Float[Array, "*batch outcomes"]:
        """The data's answers with the reasonings of a model: log p + log q(y) - log P(y)."""
        model, seen = self.of_answers(logits), self.of_answers(target)
        alive = (logits > -jnp.inf) & (model > -jnp.inf) & (seen > -jnp.inf)
        change = jnp.where(alive, seen, 0) - jnp.where(alive, model, 0)
        log_p = jnp.where(alive, simplex.log_probabilities(logits), 0)
        return jnp.where(alive, log_p + change, -jnp.inf)

    def __call__(
        self, logits: Float[Array, "*batch outcomes"], target: Target, key: Array | None
    ) -> Float[Array, "*batch outcomes"]:
        """The model that the wrapped learner makes of the completed data."""
        completed = self.completed(logits, jnp.broadcast_to(target.logits, logits.shape))
        return self.learner(logits, Target(completed, target.size), key)
