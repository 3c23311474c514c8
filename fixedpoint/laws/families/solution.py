"""Closed forms of families that tempering keeps, and of students that obey it.

All are for infinite samples and full training, exact to 1e-12 relative in float64 unless a function
says otherwise.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import checks, simplex, special
from fixedpoint.simplex import Logits, PerDistribution

# --- which families it keeps ---------------------------------------------------------------------


@checks.arguments(parameter="(-inf, inf)", base_slope="(-inf, inf)", temperature="(0, inf)")
def exponential_family(
    parameter: PerDistribution,
    base_slope: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> Float[Array, "*batch"]:
    """Natural parameter of a generation in an exponential family.

    η_t = (η + c) T⁻ᵗ - c (`families.exponential_family`) for p(x) = h(x) e^{ηs(x) - A} with
    log h = const + c s. A family is closed under tempering if and only if log h is of that form, in
    span{1, s}; `gaussian`, `log_normal`, `gamma`, `geometric` and `pareto` are closed, `poisson` is
    not.

    Args:
        parameter: The initial natural parameter η.
        base_slope: c, the slope of log h in s; 0 for a constant base measure.
        temperature: T in (0, inf).
        generation: t >= 0.

    Validity:
        Where η_t lies in the natural domain; elsewhere the tempered density cannot be
        normalised. Which base measure is constant depends on the coordinate: densities of x and of
        log x are tempered differently.

    Example:
        >>> print(exponential_family(3.0, -1.0, 0.5, 1))  # gamma's shape: 1 + (3 - 1)/0.5
        5.0
    """
    eta, c, T, t = simplex.scalars(parameter, base_slope, temperature, generation)
    # At η = -c every generation is the same, also where T⁻ᵗ overflows: 0 · inf would be NaN.
    factor = special.power(T, -t)
    finite = factor < jnp.inf
    moved = (eta + c) * jnp.where(finite, factor, 0) - c
    beyond = jnp.where(eta + c > 0, jnp.inf, -jnp.inf)
    return jnp.where(finite | (eta + c == 0), moved, beyond)


@checks.arguments(mean="(-inf, inf)", temperature="(0, inf)")
def gaussian(
    mean: PerDistribution,
    variance: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> tuple[Array, Array]:
    """Mean and variance of a Gaussian generation: the mean stays, the variance is σ²Tᵗ.

    The case c = 0 of `families.exponential_family` for the natural parameter 1/σ².

    Args:
        mean: The initial mean.
        variance: The initial variance (or a covariance's eigenvalue), > 0.
        temperature: T in (0, inf).
        generation: t >= 0.

    Example:
        >>> [x.item() for x in gaussian(1.0, 4.0, 0.5, 2)]
        [1.0, 1.0]
    """
    return jnp.asarray(mean), jnp.asarray(variance) * _scale(temperature, generation)


@checks.arguments(location="(-inf, inf)", temperature="(0, inf)")
def log_normal(
    location: PerDistribution,
    variance: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> tuple[Array, Array]:
    """Location and variance (of log x) of a log-normal generation.

    They are μ - σ²(1 - Tᵗ) and σ²Tᵗ: below T = 1 it goes to the mode e^{μ-σ²}, not to the
    median. The case c = -1 of `families.exponential_family` for the parameter μ/σ² of log x.

    Args:
        location: μ, the mean of log x.
        variance: σ² > 0, the variance of log x.
        temperature: T in (0, inf).
        generation: t >= 0.

    Validity:
        For samples of x with the density of x.

    Example:
        >>> [x.item() for x in log_normal(1.0, 0.5, 0.5, 1)]
        [0.75, 0.25]
    """
    scale = _scale(temperature, generation)
    mu, v = jnp.asarray(location), jnp.asarray(variance)
    return mu - v * (1 - scale), v * scale


@checks.arguments(shape="(0, inf)", rate="(0, inf)", temperature="(0, inf)")
def gamma(
    shape: PerDistribution,
    rate: PerDistribution,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> tuple[Array, Array]:
    """Shape and rate of a gamma generation, 1 + (a - 1)T⁻ᵗ and bT⁻ᵗ.

    The cases c = -1 (shape) and c = 0 (rate) of `families.exponential_family`.

    Args:
        shape: a > 0.
        rate: b > 0.
        temperature: T in (0, inf).
        generation: t >= 0.

    Validity:
        While a > 1 - Tᵗ, for all t only if a >= 1: a shape <= 0 says that there is no such
        generation.

    Example:
        >>> [x.item() for x in gamma(3.0, 2.0, 0.5, 1)]
        [5.0, 4.0]
        >>> [f"{gamma(0.8, 1.0, 0.5, t)[0]:.1f}" for t in (1, 2, 3)]
        ['0.6', '0.2', '-0.6']
    """
    return (
        exponential_family(shape, -1.0, temperature, generation),
        exponential_family(rate, 0.0, temperature, generation),
    )


@checks.arguments(ratio="(0, 1)", temperature="(0, inf)")
def geometric(
    ratio: PerDistribution, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Ratio of a geometric generation, p(x) ∝ qˣ: q^{T⁻ᵗ}.

    The case c = 0 of `families.exponential_family` for the parameter log q.

    Args:
        ratio: q in (0, 1).
        temperature: T in (0, inf).
        generation: t >= 0.

    Example:
        >>> geometric(0.5, 0.5, 1).item()
        0.25
    """
    return jnp.exp(exponential_family(jnp.log(ratio), 0.0, temperature, generation))


@checks.arguments(exponent="(1, inf)", temperature="(0, inf)")
def pareto(
    exponent: PerDistribution, temperature: PerDistribution, generation: PerDistribution
) -> Float[Array, "*batch"]:
    """Exponent of a Pareto generation, density x^{-α}: αT⁻ᵗ.

    The case c = 0 of `families.exponential_family` for the parameter -α of log x.

    Args:
        exponent: α > 1.
        temperature: T in (0, inf).
        generation: t >= 0.

    Validity:
        While α > Tᵗ: a value <= 1 says that there is no such generation on [1, inf).

    Example:
        >>> pareto(3.0, 2.0, 1).item()
        1.5
    """
    return exponential_family(exponent, 0.0, temperature, generation)


@checks.arguments(mean="(0, inf)", temperature="(0, inf)")
def poisson(mean: PerDistribution, temperature: PerDistribution, num_terms: int = 1000) -> Array:
    """Mean of the next generation of a Poisson student.

    λ' = Σ x (λˣ/x!)^{1/T} / Σ (λˣ/x!)^{1/T} (`families.poisson`). Its base measure 1/x! is not in
    span{1, x}: the tempered law is not Poisson, and the student takes its mean. A large mean drifts
    by `poisson_drift`, a small one becomes λ^{1/T}.

    Args:
        mean: λ > 0; one per student, or a number.
        temperature: T in (0, inf), of the same shape.
        num_terms: How many terms of the sums to keep: well above λ + 10√(Tλ) + 30T.

    Validity:
        For λ up to a few hundred; NaN if so few terms are kept that the last of them still counts.

    Example:
        >>> print(f"{poisson(100.0, 0.8):.4f}")  # about 100 - (1 - 0.8)/2
        99.8998
    """
    checks.check_count(num_terms, "num_terms")
    mean, T = simplex.scalars(mean, temperature)
    x = jnp.expand_dims(jnp.arange(num_terms, dtype=T.dtype), tuple(range(T.ndim)))
    p = simplex.probabilities((x * jnp.log(mean)[..., None] - gammaln(x + 1)) / T[..., None])
    enough = p[..., -1] * num_terms < 1e-3 * jnp.finfo(p.dtype).eps
    return jnp.where(enough, jnp.sum(x * p, -1), jnp.nan)


@checks.arguments(temperature="[0, inf)")
def poisson_drift(temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Change of a large Poisson mean in one generation.

    λ_{t+1} - λ_t ≃ -(1 - T)/2 (`families.poisson_drift`): linear in the generation, where a closed
    family collapses exponentially.

    Args:
        temperature: T in [0, inf).

    Validity:
        Asymptotic, λ -> inf: the next term is -(1 - T²)/(24λ).

    Example:
        >>> print(f"{poisson_drift(0.5):.2f}")
        -0.25
    """
    (T,) = simplex.scalars(checks.check_nonnegative(temperature, "temperature"))
    return (T - 1) / 2


# --- which students obey it ----------------------------------------------------------------------


@checks.arguments(inverse_temperature="[0, inf)")
def cone(inverse_temperature: PerDistribution) -> Float[Array, "*batch"]:
    """Multiplier of a student with a frozen base, where a cone's would be 1/T.

    dw'/dw at w = 0 is 4β/(2 + 2^β) (`families.cone`) for logits log(1, 2, 1) + w (0, 1, 2). A set
    of logit tables that is closed under scaling (any rank, any trunk with a free last layer) obeys
    `logits` exactly; a frozen base plus an adapter does not, and this is the smallest case.

    Args:
        inverse_temperature: β = 1/T >= 0.

    Validity:
        Below 1 the symmetric state w = 0 is locally stable, which sharpening beyond β = 3.66
        achieves. Far from it collapse is as usual.

    Example:
        >>> print(f"{cone(4.0):.4f}")  # 16/18, not 4
        0.8889
    """
    (beta,) = simplex.scalars(checks.check_nonnegative(inverse_temperature, "inverse_temperature"))
    return beta * 4 * jnp.exp2(-beta) / (1 + 2 * jnp.exp2(-beta))


@checks.arguments(inverse_temperature="[0, inf)", offset="(-inf, inf)")
def cone_two_contexts(
    inverse_temperature: PerDistribution, offset: PerDistribution
) -> Float[Array, "*batch"]:
    """Multiplier of a shared logit under frozen offsets of two contexts; β without offsets.

    dw'/dw at w = 0 is β cosh²(δ/2)/cosh²(βδ/2) (`families.cone_two_contexts`) for two outcomes,
    two equally frequent contexts and logit gaps w ± δ.

    Args:
        inverse_temperature: β = 1/T >= 0.
        offset: δ, frozen.

    Validity:
        Local: at β = 3, δ = 1 the state w = 0 is stable (0.689) only for |w| < 0.6504;
        beyond, the gap grows as βw.

    Example:
        >>> print(f"{cone_two_contexts(3.0, 1.0):.3f}")
        0.689
    """
    beta, offset = simplex.scalars(
        inverse_temperature, checks.check_range(offset, "offset", "(-inf, inf)")
    )
    x = jnp.abs(offset) / 2
    # cosh x = e^x (1 + e^{-2x})/2: the exponentials are taken together, or they overflow.
    ratio = jnp.exp((1 - beta) * x) * (1 + jnp.exp(-2 * x)) / (1 + jnp.exp(-2 * (beta * x)))
    return beta * ratio**2


# --- trained on the final answers alone ----------------------------------------------------------


@checks.arguments()
def answers_and_reasonings(
    logits: Logits, answers: Sequence[Any] | ArrayLike, temperature: PerDistribution
) -> tuple[Array, Array]:
    """What `final_answer` depends on: the answers' logits, and how varied their reasonings are.

    An outcome is a reasoning that ends with an answer. The reasonings of an answer have the Rényi
    entropy of order 1/T; its exponential is their effective number.

    Args:
        logits: The model θ of the outcomes; -inf marks a lost outcome.
        answers: The answer that each outcome ends with: labels of any kind, one an outcome.
        temperature: Sampling temperature T in [0, inf].

    Returns:
        (log-probabilities of the A different answers in the order of `numpy.unique`, the entropies
        of their reasonings in nats), each of shape (..., A). A lost answer has -inf and 0.

    Example:
        >>> import jax.numpy as jnp
        >>> p = jnp.array([0.2, 0.2, 0.2, 0.4])
        >>> a, entropies = answers_and_reasonings(jnp.log(p), ["x", "x", "x", "y"], 0.5)
        >>> jnp.exp(a), jnp.exp(entropies)  # three reasonings against one
        (Array([0.6, 0.4], dtype=float64), Array([3., 1.], dtype=float64))
    """
    labels = np.unique(np.asarray(answers), return_inverse=True)[1]
    if labels.shape != jnp.shape(logits)[-1:]:
        raise ValueError(
            f"`answers` must be one label for each of the {jnp.shape(logits)[-1]} outcomes; "
            f"got shape {np.shape(answers)}."
        )
    order = 1 / (jnp.asarray(temperature) * 1.0)
    return _by_answer(
        simplex.log_probabilities(logits), jnp.asarray(labels), order, int(labels.max()) + 1
    )


@partial(jax.jit, static_argnums=3)
def _by_answer(log_p: Array, labels: Array, order: Array, num_answers: int) -> tuple[Array, Array]:
    """Logits and entropies of the answers: compiled, because a bare loop always is anew."""

    def one(label: Array) -> tuple[Array, Array]:
        reasonings = jnp.where(labels == label, log_p, -jnp.inf)
        alive = jnp.any(reasonings > -jnp.inf, -1)
        # In the place of a lost answer all outcomes, whose derivatives are finite.
        some = jnp.where(alive[..., None], reasonings, log_p)
        entropy = simplex.renyi_entropy(some, order)
        return jnp.where(alive, logsumexp(some, -1), -jnp.inf), jnp.where(alive, entropy, 0)

    found = lax.map(one, jnp.arange(num_answers))
    return jnp.moveaxis(found[0], 0, -1), jnp.moveaxis(found[1], 0, -1)


@checks.arguments(logits_answers="logits", entropies="finite logits")
def final_answer(
    logits_answers: Logits,
    entropies: Logits,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> Float[Array, "*batch num_answers"]:
    """Logits of the answers of a model that is trained on its final answers alone.

    H + (α - H) T⁻ᵗ, up to a constant (`families.final_answer`): what is tempered is an answer's
    probability for each of the e^H reasonings that lead to it. T < 1 leads to the answers with the
    largest α - H, which need not be the most frequent; T > 1 to e^H/Σe^H, not to the uniform law.

    Args:
        logits_answers: α, the logits of the answers at the start; -inf marks a lost answer.
        entropies: H, the Rényi entropy of order 1/T of the reasonings of each answer
            (`answers_and_reasonings` has both).
        temperature: Sampling temperature T in [0, inf]; one per distribution, or a number.
        generation: t >= 0.

    Validity:
        T > 0, or one answer with the largest α - H: at T = 0 this is the log-probability of an
        answer's likeliest reasoning, and if several answers tie in it the modes are counted: the
        logits of generation 1 are log(number of modes with the answer), which H does not tell.
        `final_answer_logits` counts them. Differences α - H that agree to rounding are equal.

        For samples of reasonings with answers, and a learner that reaches the
        maximum of the likelihood of the answers from its last model by a step of expectation
        maximisation (`fixedpoint.FinalAnswer(answers)`): the reasonings of an answer then keep
        their proportions, and H does not change. Plain gradient steps on that likelihood change it.

    Example:
        >>> import jax.numpy as jnp
        >>> p = jnp.array([0.2, 0.2, 0.2, 0.4])
        >>> start = answers_and_reasonings(jnp.log(p), ["x", "x", "x", "y"], 0.5)
        >>> a = final_answer(*start, 0.5, jnp.array([1, 4]))
        >>> jnp.exp(a[:, 0] - a[:, 1])  # 3 (0.2/0.4)^(2ᵗ): the rarer answer wins
        Array([7.50000000e-01, 4.57763672e-05], dtype=float64)
    """
    dtype = jnp.result_type(logits_answers, float)
    alpha, H = (jnp.asarray(values, dtype) for values in (logits_answers, entropies))
    alpha, H = jnp.broadcast_arrays(alpha, H)
    alive = alpha > -jnp.inf
    gain = jnp.where(alive, alpha - H, -jnp.inf)
    top = jnp.max(gain, -1, keepdims=True)
    # T⁻ᵗ would magnify the rounding of answers that tie, and decide between them.
    size = jnp.max(jnp.where(alive, jnp.abs(alpha) + jnp.abs(H), 0), -1, keepdims=True)
    tied = gain >= top - simplex.rounding(size)
    power = special.power(*simplex.scalars(temperature, generation))
    tempered = simplex.temper(jnp.where(tied, top, gain), power)
    return tempered + jnp.broadcast_to(H, tempered.shape)


def final_answer_logits(
    logits: Logits,
    answers: Sequence[Any] | ArrayLike,
    temperature: PerDistribution,
    generation: PerDistribution,
) -> Float[Array, "*batch num_outcomes"]:
    """Logits of a model that is trained on its final answers alone, up to a constant.

    Each outcome moves with the α of its answer (`families.final_answer`): the reasonings of an
    answer keep their gaps. The law is applied from generation 1 on, whose answers are those of the
    draws: at T = 0 it is the number of modes with each that counts.

    Args:
        logits: The model θ of the outcomes; -inf marks a lost outcome.
        answers: The answer that each outcome ends with: labels of any kind, one an outcome.
        temperature: Sampling temperature T in [0, inf].
        generation: t >= 0, an integer.

    Validity:
        As `final_answer`, and at T = 0 also where several answers hold a mode: the logits of
        generation 1 are log(number of modes with the answer); from generation 2 on only those of
        these answers are left whose modes are the largest share of their reasonings.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.array([1.0, 1.0, 1.0, -1.0])  # three modes, two of them with answer 0
        >>> for t in (1, 2):  # ⅓ for the mode with answer 1 and its other reasoning together
        ...     p = simplex.probabilities(final_answer_logits(theta, [0, 0, 1, 1], 0.0, t))
        ...     print([round(float(share), 4) for share in p])
        [0.3333, 0.3333, 0.2936, 0.0397]
        [0.5, 0.5, 0.0, 0.0]
    """
    checks.check_nonnegative(generation, "generation")
    checks.check_temperature(temperature)
    # At T = 0 and at T = ∞ the model does not move with T, though the entropies do.
    T = jnp.asarray(temperature) * 1.0
    T = jnp.where((T > 0) & jnp.isfinite(T), T, lax.stop_gradient(T))
    start, drawn, entropies = _answers_drawn(logits, answers, T)
    t = jnp.asarray(generation)
    later = final_answer(drawn, entropies, T, jnp.maximum(t - 1, 0))
    return _with_answers(logits, answers, start, jnp.where(t == 0, start, later))


def final_answer_limit(
    logits: Logits, answers: Sequence[Any] | ArrayLike, temperature: PerDistribution
) -> Float[Array, "*batch num_outcomes"]:
    """Logits after infinitely many generations of training on final answers, up to a constant.

    T < 1: the answers with the largest α - H; T = 1: the initial model; T > 1: e^H/Σe^H.

    Args:
        logits: The model θ of the outcomes; -inf marks a lost outcome.
        answers: The answer that each outcome ends with: labels of any kind, one an outcome.
        temperature: Sampling temperature T in [0, inf].

    Validity:
        Answers that agree to rounding tie. Not continuous in T at 1 and at 0.

    Example:
        >>> import jax.numpy as jnp
        >>> theta = jnp.log(jnp.array([0.2, 0.2, 0.2, 0.4]))
        >>> print(simplex.probabilities(final_answer_limit(theta, ["x", "x", "x", "y"], 2.0)))
        [0.25 0.25 0.25 0.25]
    """
    start, drawn, entropies = _answers_drawn(logits, answers, temperature)
    T = jnp.asarray(temperature)
    ever = jnp.where(T < 1, 0.0, jnp.where(T > 1, jnp.inf, 1.0))
    return _with_answers(logits, answers, start, final_answer(drawn, entropies, ever, 1))


def _answers_drawn(
    logits: Logits, answers: Sequence[Any] | ArrayLike, temperature: PerDistribution
) -> tuple[Array, Array, Array]:
    """The answers' logits at generations 0 and 1, and the entropies of their reasonings."""
    start, entropies = answers_and_reasonings(logits, answers, temperature)
    drawn, _ = answers_and_reasonings(simplex.temper(logits, temperature), answers, 1.0)
    return start, drawn, entropies


def _with_answers(
    logits: Logits, answers: Sequence[Any] | ArrayLike, start: Array, now: Array
) -> Array:
    """The model whose answers had the logits `start` and have `now`, with the same reasonings."""
    alive = start > -jnp.inf
    change = jnp.where(alive, now - jnp.where(alive, start, 0), -jnp.inf)
    return jnp.asarray(logits) + change[..., np.unique(np.asarray(answers), return_inverse=True)[1]]


def _scale(temperature: PerDistribution, generation: PerDistribution) -> Array:
    """Tᵗ, with both arguments checked."""
    checks.check_temperature(temperature, positive=True)
    checks.check_nonnegative(generation, "generation")
    return special.power(*simplex.scalars(temperature, generation))
