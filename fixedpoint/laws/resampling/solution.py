"""The closed forms of refits to finitely many own samples, in stable JAX.

n is the number of samples a generation, T the temperature they are drawn at.

Every function works under `jax.jit`, `jax.vmap` and `jax.grad` and follows the dtype of its
arguments. Derivatives are exact where they exist; where a value jumps, is infinite or has an
infinite slope they are 0 or infinite, never NaN (`tests/laws/test_solutions.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex, special

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- T = 1: moments, fixation, survivors ----------------------------------------------------------


@checks.arguments()
def heterozygosity(
    logits0: Logits, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Mean of 1 − Σp² after t generations: (1 − Σp₀²)(1 − 1/n)^t (`resampling.heterozygosity`).

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, samples a generation.
        generation: t ≥ 0.

    Returns:
        E[1 − Σp_t²], the chance that two samples differ.

    Validity:
        Exact at T = 1 for every number of outcomes and samples (`tests/laws/resampling`). The
        initial model counts as generation 0, whether or not it is a multiple of 1/n.

    Example:
        >>> import jax.numpy as jnp
        >>> float(heterozygosity(jnp.zeros(2), 4, 2))  # (1/2)(3/4)²
        0.28125

    References:
        Wright, Evolution in Mendelian populations, Genetics 16:97 (1931).
    """
    theta, n = simplex.per_distribution(logits0, num_samples)
    theta, t = simplex.per_distribution(theta, generation)
    return simplex.heterozygosity(theta) * special.power_of_complement(1 / n, t)[..., 0]


@checks.arguments()
def fixation_probability(logits0: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Chance that an outcome is the last one left: p_i (`resampling.fixation_probability`).

    Args:
        logits0: The initial model; -inf marks a lost outcome.

    Returns:
        P(p_∞ = e_i) for every outcome i.

    Validity:
        Exact at T = 1 for every number of samples.

    Example:
        >>> import jax.numpy as jnp
        >>> fixation_probability(jnp.log(jnp.array([3.0, 1.0])))
        Array([0.75, 0.25], dtype=float64)

    References:
        Wright, Evolution in Mendelian populations, Genetics 16:97 (1931).
    """
    return simplex.probabilities(checks.check_logits(logits0, "logits0"))


@checks.arguments(order=">= 0")
def spectrum(num_samples: Number, order: Number) -> Float[Array, "*batch"]:
    """Eigenvalues of the chain: λ_j = n(n − 1)…(n − j + 1)/n^j (`resampling.spectrum`).

    Args:
        num_samples: n ≥ 1.
        order: j, a whole number from 0 to n.

    Returns:
        λ_j. With two outcomes each occurs once: λ₀ = λ₁ = 1 for the two ends, λ₂ = 1 − 1/n for the
        slowest decay. With K outcomes λ_j occurs (j + K − 2 choose j) times, and 1 occurs K times.

    Validity:
        Exact at T = 1.

    Example:
        >>> [round(float(spectrum(4, j)), 9) for j in (1, 2, 3)]  # 1, 3/4, 6/16
        [1.0, 0.75, 0.375]

    References:
        Feller, Diffusion processes in genetics, Proc. 2nd Berkeley Symp. (1951), p. 227.
    """
    (n,) = simplex.scalars(num_samples)
    return jnp.where(jnp.asarray(order) > n, 0, jnp.exp(_log_falling(n, jnp.asarray(order))))


@jax.custom_jvp
def _log_falling(n: Array, order: Array) -> Array:
    """Log of n(n − 1)…(n − j + 1)/n^j."""
    return _sum_below(lambda i: jnp.log1p(-i / n), n, order)


@_log_falling.defjvp
def _log_falling_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    n, order = primals
    slope = _sum_below(lambda i: i / (n * (n - i)), n, order)
    return _log_falling(n, order), slope * tangents[0]


def _sum_below(term: Callable[[Array], Array], n: Array, order: Array) -> Array:
    """Σ term(i) over i < j, j the order, as far as i < n."""

    def add(i: Array, total: Array) -> Array:
        counts = (i < order) & (i < n)
        return total + jnp.where(counts, term(jnp.where(counts, i, 0)), 0)

    start = jnp.zeros(jnp.broadcast_shapes(n.shape, order.shape), n.dtype)
    return jax.lax.fori_loop(0, jnp.max(order), add, start)


@checks.arguments(num_samples="")
def fixation_time(logits0: Logits, num_samples: int) -> Float[Array, "*batch"]:
    """Mean number of generations until one outcome is left (`resampling.fixation_time`).

        E T = Σ_i w(p_i),   w(x) = x + Σ_{s≥0} (x − E x^{A_s})   (w(1) = 0)

    A_s is the number of distinct ancestors, s generations earlier, of the n samples of one
    generation: A₀ = n, and A_{s+1} is how many of n boxes A_s balls fall into.

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, a Python integer.

    Returns:
        E T in generations; the initial model is generation 0, whatever its probabilities.

    Raises:
        ValueError: If `num_samples` is not a positive integer.

    Validity:
        Exact at T = 1 for any number of outcomes. Relative error below 1e-12 for n ≤ 1024, where
        the ancestors are followed one by one; below 1e-9 beyond, where their first generations are
        followed by three cumulants, until √n are left (`tests/laws/resampling`). Cost: 64 passes
        over the outcomes; for n = 10¹¹, the largest allowed, ten seconds besides.

    Example:
        >>> import jax.numpy as jnp
        >>> float(fixation_time(jnp.zeros(2), 4)) * 29  # 132/29
        132.0

    References:
        Derived here (`laws/resampling/derivation.py`), by duality with the ancestors.
    """
    n = checks.check_count(num_samples, "num_samples")
    if n > MOST_SAMPLES:
        raise ValueError(
            f"`num_samples` must be at most {MOST_SAMPLES:,} (`fixation_time_diffusion` takes any "
            f"number, and is within log(n) generations); got {n:,}."
        )
    log_p = simplex.log_probabilities(logits0)
    sizes, times = _time_with_ancestors(n)
    # Beyond k = 64 no power p^k but the mode's matters.
    few = sizes <= 64
    early = _mode_differs(log_p, *_padded(sizes[~few], times[~few], 64))
    late = _differ(log_p, *_padded(sizes[few], times[few]))
    # By the logits: the log-probability of the mode is 0 with others of 1e-324 beside it.
    return jnp.where(jnp.sum(log_p > -jnp.inf, -1) > 1, 1 + early + late, 0)


@jax.jit
def _differ(log_p: Array, sizes: Array, times: Array) -> Array:
    """Σ_k times_k (1 − Σ_i p_i^k), the bracket as Σ_i p_i (1 − p_i^{k−1})."""

    def one(total: Array, entry: tuple[Array, Array]) -> tuple[Array, None]:
        size, time = entry
        repeated = jnp.where(log_p > -jnp.inf, (size - 1) * log_p, -jnp.inf)
        return total - time * jnp.sum(jnp.exp(log_p) * jnp.expm1(repeated), -1), None

    entries = jnp.asarray(sizes, log_p.dtype), jnp.asarray(times, log_p.dtype)
    return jax.lax.scan(one, jnp.zeros(log_p.shape[:-1], log_p.dtype), entries)[0]


@jax.jit
def _mode_differs(log_p: Array, sizes: Array, times: Array) -> Array:
    """Σ_k times_k (1 − p_max^k)."""
    largest = jnp.max(log_p, -1)

    def some(total: Array, entries: tuple[Array, Array]) -> tuple[Array, None]:
        sizes, times = entries
        return total - jnp.expm1(jnp.multiply.outer(largest, sizes)) @ times, None

    # Not all at once, which many contexts would have no room for.
    rows = jnp.stack(
        [jnp.asarray(values, log_p.dtype).reshape(-1, 64) for values in (sizes, times)]
    )
    return jax.lax.scan(some, jnp.zeros_like(largest), (rows[0], rows[1]))[0]


@checks.arguments()
def fixation_time_diffusion(logits0: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Leading term of the time until one is left (`resampling.fixation_time_diffusion`).

        E T ≃ −2n Σ_i (1 − p_i) log(1 − p_i)

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        num_samples: n, large.

    Returns:
        The time in generations. It tends to 2n for many equal outcomes.

    Validity:
        Asymptotic for n → ∞ at fixed probabilities; too large by about log(n)/3 generations for
        two outcomes (`fixation_time_expansion`), so by 4 to 7% if p = 1/n.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(fixation_time_diffusion(jnp.zeros(2), 100)) / 200, 6)  # log 2
        0.693147

    References:
        Kimura and Ohta, Genetics 61:763 (1969), for two outcomes.
    """
    theta, n = simplex.per_distribution(logits0, num_samples)
    return -2 * n[..., 0] * _complement_terms(simplex.probabilities(theta))


@jax.jit
def _complement_terms(p: Array) -> Array:
    """Σ (1 − p) log(1 − p); only the mode can be so near to 1 that 1 − p cancels."""
    first = jax.nn.one_hot(jnp.argmax(p, -1), p.shape[-1], dtype=bool)
    rest = jnp.sum(jnp.where(first, 0, p), -1, keepdims=True)
    others = jax.scipy.special.xlog1py(1 - p, jnp.where(first, 0, -p))
    alone = rest == 0  # x log x has an infinite slope at 0, where nothing moves
    mode = jnp.where(alone, 0, rest * jnp.log(jnp.where(alone, 1, rest)))
    return jnp.sum(jnp.where(first, mode, others), -1)


FIXATION_CONSTANT = 0.7217024360518804
"""A + γ/3 − 3/2 of `fixation_time_expansion`."""


@checks.arguments()
def fixation_time_expansion(logit_gap: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Time until one of two is left, to the constant term (`resampling.fixation_time_expansion`).

        E T ≃ 2nS − [log(npq) + S]/3 − c,   S = −p log p − q log q

    c = A + γ/3 − 3/2 = 0.7217024…, where A is the limit of 2/ε_m + log(ε_m)/3 − m for ε_0 = 1 and
    ε_{m+1} = 1 − e^{−ε_m}: what the last few copies of an outcome are worth.

    Args:
        logit_gap: z = log(p/q).
        num_samples: n, with np and nq large.

    Returns:
        The time in generations.

    Validity:
        Asymptotic and formal: K = 2, T = 1, n → ∞ at fixed p; the error is of order 1/n.

    Example:
        >>> round(float(fixation_time_expansion(0.0, 1000)), 4)  # the exact time: 1383.5010
        1383.5011

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    n, z = simplex.scalars(num_samples, logit_gap)
    log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    S = -jnp.exp(log_p) * log_p - jnp.exp(log_q) * log_q
    return 2 * n * S - (jnp.log(n) + log_p + log_q + S) / 3 - FIXATION_CONSTANT


@checks.arguments(num_samples="", generation="")
def survivors(
    logits0: Logits, num_samples: int, generation: int | Sequence[int]
) -> Float[Array, "*batch"]:
    """Mean number of outcomes left after t generations (`resampling.survivors`).

        E[#alive at t] = Σ_i (1 − E(1 − p_i)^{A_{t−1}})

    A_s is the number of distinct ancestors, s generations earlier, of the n samples of one
    generation (`fixation_time`).

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, a Python integer.
        generation: t ≥ 0, a Python integer; or several, which become the last axis.

    Returns:
        The mean number of outcomes with a positive probability.

    Raises:
        ValueError: If an argument is not an integer of its range.

    Validity:
        Exact at T = 1 for any number of outcomes. Relative error below 1e-12 for n ≤ 1024, where
        the law of A is followed state by state; below 1e-9 beyond, where it is followed by three
        cumulants as long as A is above 320 on average (`tests/laws/resampling`). Cost: one pass
        over the outcomes for every likely value of A, for each generation asked for; and three
        microseconds for each generation up to n/160, of which 10⁷ at most are followed.

    Example:
        >>> import jax.numpy as jnp
        >>> float(survivors(jnp.zeros(2), 2, 1))  # two samples of two equal outcomes
        1.5
        >>> print(survivors(jnp.zeros(50_000), 1_000_000, [1, 1000]).round(3))
        [50000.     1954.919]

    References:
        Derived here (`laws/resampling/derivation.py`), by duality with the ancestors.
    """
    n = checks.check_count(num_samples, "num_samples")
    asked = [checks.check_count(t, "generation", minimum=0) for t in np.ravel(generation).tolist()]
    later = sorted({t for t in asked if t})
    if later and min(2 * n // FEW_ANCESTORS, later[-1]) > MOST_GENERATIONS:
        raise ValueError(
            f"`num_samples` must be at most {MOST_GENERATIONS * FEW_ANCESTORS // 2:,} beyond "
            f"generation {MOST_GENERATIONS:,} (`survivors_power_law` and `heterozygosity` take "
            f"any number); got {n:,} and generation {later[-1]:,}."
        )
    p = simplex.probabilities(checks.check_logits(logits0, "logits0"))
    found = {0: simplex.num_surviving(logits0).astype(p.dtype)}
    laws = _laws_of_ancestors(n, [t - 1 for t in later]) if later else ()
    for t, law in zip(later, laws, strict=True):
        found[t] = _alive(p, *_padded(*law))
    return jnp.stack([found[t] for t in asked], -1).reshape(*p.shape[:-1], *np.shape(generation))


@checks.arguments(exponent="(1, inf)", top_probability="(0, 1]", generation=">= 1")
def survivors_power_law(
    exponent: Number, top_probability: Number, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Survivors of words with a power law (`resampling.survivors_power_law`).

        E[#alive at t] ≃ Γ(1 − 1/α) [C (n a_{t−1} + 1/3)]^{1/α} − 1/2,   a₀ = 1, a' = 1 − e^{−a}

    which falls like t^{−1/α}, since a_s ≃ 2/s.

    Args:
        exponent: α > 1 of the initial probabilities p_i = C i^{−α}.
        top_probability: C.
        num_samples: n, large.
        generation: t ≥ 1, a whole number much smaller than n.

    Returns:
        The mean number of outcomes alive.

    Validity:
        Asymptotic: many survivors, but many fewer than outcomes, and t ≪ n. Relative error below
        1% while ten or more survive.

    Example:
        >>> law = [float(survivors_power_law(2.0, 0.6, 10**6, t)) + 0.5 for t in (1000, 4000)]
        >>> round(law[0] / law[1], 2)  # 4^{1/2}
        2.0

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    alpha, C, n = simplex.scalars(exponent, top_probability, num_samples)
    t = jnp.asarray(generation)
    start = jnp.ones(jnp.broadcast_shapes(alpha.shape, t.shape), alpha.dtype)
    a = jax.lax.fori_loop(1, jnp.max(t), lambda s, a: jnp.where(s < t, -jnp.expm1(-a), a), start)
    gamma = jnp.exp(jax.scipy.special.gammaln(1 - 1 / alpha))
    return gamma * (C * (n * a + 1 / 3)) ** (1 / alpha) - 0.5


@checks.arguments()
def first_extinction(logits0: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Mean time until the first outcome is lost (`resampling.first_extinction`).

        E T₁ ≃ ∫₀^∞ ∏_i (1 − e^{−2np_i/t}) dt

    Args:
        logits0: The initial model; outcomes lost already (-inf) do not count.
        num_samples: n, large.

    Returns:
        The time in generations; inf if only one outcome is alive.

    Validity:
        Exact for the diffusion (any number of outcomes); asymptotic for the chain, n → ∞ with
        every np_i large. Relative accuracy of the integral 1e-12 in float64. Cost: linear in the
        number of outcomes.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(first_extinction(jnp.zeros(2), 100)) / 200, 6)  # two outcomes: log 2
        0.693147

    References:
        Littler, Loss of variability at one locus in a finite population, Math. Biosci. 25:151
        (1975), in the form of a sum over all subsets.
    """
    theta, n = simplex.per_distribution(logits0, num_samples)
    if theta.shape[-1] == 1:
        return jnp.full(theta.shape[:-1], jnp.inf, theta.dtype)
    presence = _presence(simplex.log_probabilities(theta))
    finite = presence < jnp.inf
    return jnp.where(finite, 2 * n[..., 0] * jnp.where(finite, presence, 0), jnp.inf)


@jax.jit
def _presence(log_p: Array) -> Array:
    """∫ e^{−u} ∏_i (1 − e^{−p_i e^u}) du over all u = log(2n/t), by the trapezoidal rule."""
    alive = log_p > -jnp.inf
    rarest = jnp.sort(jnp.where(alive, log_p, jnp.inf), -1)
    several = rarest[..., 1] < jnp.inf
    # Below the second rarest outcome the integrand falls off like e^u, above the rarest like e^−u.
    low, high = jnp.where(several, -rarest[..., 1], 0) - 38, -rarest[..., 0] + 38
    spacing = 0.3  # the rule errs by e^{−π²/spacing}

    def term(u: Array) -> Array:
        x = jnp.exp(jnp.where(alive, log_p, 0) + jnp.minimum(u, high)[..., None])
        absent = jnp.where(alive, jnp.log(-jnp.expm1(-x)), 0)
        return jnp.where(u <= high, jnp.exp(jnp.sum(absent, -1) - u), 0)

    def add(total: Array, index: Array) -> tuple[Array, None]:
        u = low + spacing * index
        return total + jax.lax.cond(jnp.any(u <= high), term, jnp.zeros_like, u), None

    # Enough points for any two floats; those above `high` cost nothing.
    points = jnp.arange(2700)
    integral = spacing * jax.lax.scan(add, jnp.zeros_like(low), points)[0]
    return jnp.where(several, integral, jnp.inf)


@jax.jit
def _alive(p: Array, sizes: Array, weights: Array) -> Array:
    """Σ_i (1 − E(1 − p_i)^A) for a law of A."""
    certain = p == 1  # p of a single outcome, which does not move: 0 · inf would be its slope
    log_others = jnp.log1p(-jnp.where(certain, 0, p))
    entries = jnp.asarray(sizes, p.dtype), jnp.asarray(weights, p.dtype)

    def one(seen: Array, entry: tuple[Array, Array]) -> tuple[Array, None]:
        size, weight = entry
        return seen - weight * jnp.expm1(size * log_others), None

    seen = jax.lax.scan(one, jnp.zeros_like(p), entries)[0]
    return jnp.sum(jnp.where(certain, jnp.sum(entries[1]), seen), -1)


def _padded(
    sizes: np.ndarray, weights: np.ndarray, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """A law with its list of values filled up to a power of two, to compile few shapes."""
    missing = (1 << (max(len(sizes), least) - 1).bit_length()) - len(sizes)
    return np.pad(sizes, (0, missing), constant_values=1), np.pad(weights, (0, missing))


EXACT_ANCESTORS = 1024
"""Up to so many samples all numbers of ancestors are followed, from the first generation on."""

FEW_ANCESTORS = 320
"""Beyond, they are followed when their mean has fallen below this, or below √n for sums over t."""

MOST_SAMPLES = 10**11
"""Most samples for `fixation_time`, which follows some √n generations and numbers of ancestors."""

MOST_GENERATIONS = 10**7
"""Most generations that `survivors` follows by cumulants, half a minute."""


def _laws_of_ancestors(
    num_samples: int, generations: Sequence[int]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The laws of A_s at some s, increasing: each as the values of A and their weights."""
    wanted, law, now = iter(generations), None, -1
    s = next(wanted)
    for now, cumulants in enumerate(_crowded(num_samples, FEW_ANCESTORS)):
        mean = cumulants[0]
        if mean <= FEW_ANCESTORS or num_samples <= EXACT_ANCESTORS:
            law = _law(*cumulants)
            break
        if now == s:
            yield _quadrature(*cumulants)
            if (s := next(wanted, None)) is None:
                return
    assert law is not None
    most = len(law) - 1
    lost = _lost(num_samples, most, most)
    chances = np.zeros((most + 1, most + 1))
    for size in range(most + 1):
        chances[size, : size + 1] = lost[size, size::-1]
    while s is not None:
        law, now = _later(law, chances, s - now), s
        likely = np.nonzero(np.abs(law) > 1e-20)[0]
        yield likely.astype(float), law[likely]
        s = next(wanted, None)


def _later(law: np.ndarray, chances: np.ndarray, generations: int) -> np.ndarray:
    """The law after some generations, step by step and, where they are many, by squaring."""
    for passed in range(generations):
        if passed >= 256 or (passed >= 16 and len(law) <= 128):
            # What is squared is P − I, as (I + G)² − I = 2G + G²: what hardly moves keeps the
            # digits of its chance to move.
            moves, left = chances[: len(law), : len(law)] - np.eye(len(law)), generations - passed
            while left:
                if left & 1:
                    law = law + law @ moves
                left >>= 1
                moves = 2 * moves + moves @ moves if left else moves
            return law
        law = law @ chances[: len(law), : len(law)]
        law = law[: np.nonzero(np.abs(law) > 1e-20)[0][-1] + 1]
    return law


def _lost(boxes: int, most: int, width: int) -> np.ndarray:
    """Chance that k balls thrown into n boxes occupy k − d of them: [k, d] up to `width`."""
    chances = np.zeros((most + 1, width + 1))
    chances[0, 0] = 1
    d = np.arange(width + 1)
    for k in range(most):
        full = np.maximum(k - d, 0) / boxes
        chances[k + 1] = chances[k] * (1 - full)
        chances[k + 1, 1:] += chances[k, :-1] * full[:-1]
    return chances


@lru_cache(maxsize=4)
def _time_with_ancestors(num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """How many generations A spends on average at each value above 1: values and times."""
    few = max(FEW_ANCESTORS, math.isqrt(num_samples))
    *crowded, last = _crowded(num_samples, few)
    times = _law(*last)
    most = len(times) - 1
    # The number lost in a generation is nearly Poisson's, or less.
    width = most**2 / (2 * num_samples)
    width = min(most, int(width + 12 * np.sqrt(width)) + 30)
    lost = _lost(num_samples, most, width)
    # The chance to become fewer as a sum of those of how many: nothing cancels, none is lost.
    leaving = lost[:, 1:].sum(1)
    for size in range(most, 1, -1):
        times[size] /= leaving[size]
        fewer = min(width, size)
        times[size - fewer : size] += times[size] * lost[size, fewer:0:-1]
    sizes, weights = np.arange(2.0, most + 1), times[2:]
    if crowded:
        early = _quadrature(*np.array(crowded).T[:, :, None])
        sizes, weights = (
            np.append(np.ravel(many), rest)
            for many, rest in zip(early, (sizes, weights), strict=True)
        )
    return sizes, weights


def _crowded(num_samples: int, few: int) -> Iterator[tuple[float, float, float]]:
    """Mean, variance and third cumulant of A₀, A₁, … until it can be followed state by state.

    The empty boxes have the factorial moments (n)_j E(1 − j/n)^A, and that expectation is the
    exponential of the cumulants of A in the small variable c_j = −log(1 − j/n): leaving out the
    fourth one is an error of order 1/n³. The last is the first with a mean of at most `few`.
    """
    n, mean, variance, third = num_samples, float(num_samples), 0.0, 0.0
    yield mean, variance, third
    if n <= EXACT_ANCESTORS:
        return
    c1, c2, c3 = (-math.log1p(-j / n) for j in (1, 2, 3))
    excess = sum(n**-j / (j + 1) for j in range(1, 7))  # n c₁ − 1
    # c₂ − 2c₁ and c₃ − 3c₂ + 3c₁, which would cancel; the same of their squares and cubes.
    second_excess = math.log1p(1 / (n * (n - 2)))
    third_excess = math.log1p((2 * n - 3) / ((n - 3) * (n - 1) ** 3))
    second_square, second_cube = c2**2 - 2 * c1**2, c2**3 - 2 * c1**3
    third_square, third_cube = c3**2 - 3 * c2**2 + 3 * c1**2, c3**3 - 3 * c2**3 + 3 * c1**3
    while mean > few:
        log_empty = -c1 * mean + c1**2 * variance / 2 - c1**3 * third / 6
        empty = n * math.exp(log_empty)
        # The factorial moments over the powers of the first one, minus 1: of two, and of three
        # over the cube of that of two as well.
        pair = math.expm1(
            -c1 - second_excess * mean + second_square * variance / 2 - second_cube * third / 6
        )
        triple = math.expm1(
            -second_excess
            - third_excess * mean
            + third_square * variance / 2
            - third_cube * third / 6
        )
        # Variance and third cumulant over the mean of the empty boxes, written so that no square
        # or cube of that cancels.
        relative = 1 + empty * pair
        if log_empty < -0.01:
            mean = -n * math.expm1(log_empty)
        else:
            # As a small change: the mean keeps its digits over millions of generations.
            x = log_empty
            curved = x**2 * (1 + x / 3 * (1 + x / 4 * (1 + x / 5 * (1 + x / 6 * (1 + x / 7))))) / 2
            mean += excess * mean - n * (c1**2 * variance / 2 - c1**3 * third / 6 + curved)
        variance = empty * relative
        shared = 1 + empty**2 * triple * (1 + pair) ** 3
        third = -empty * (3 * relative * (relative - 1) + (empty * pair) ** 2 * pair + shared)
        yield mean, variance, third


def _law(mean: float, variance: float, third: float) -> np.ndarray:
    """Weights on 0, 1, 2, … with the given cumulants."""
    k = np.arange(int(mean + 9 * np.sqrt(variance)) + 1)
    if variance == 0:
        return np.where(k == mean, 1.0, 0.0)
    z = (k - mean) / np.sqrt(variance)
    weights = np.exp(-(z**2) / 2) * _skewed(z, variance, third)
    return weights / weights.sum()


HERMITE = np.polynomial.hermite_e.hermegauss(9)
"""Nodes and weights for averages over a Gaussian law."""


def _quadrature(mean: Any, variance: Any, third: Any) -> tuple[np.ndarray, np.ndarray]:
    """Nine values and weights with the given cumulants, for functions smooth on their scale."""
    z, weights = HERMITE
    return mean + np.sqrt(variance) * z, weights / weights.sum() * _skewed(z, variance, third)


def _skewed(z: np.ndarray, variance: Any, third: Any) -> np.ndarray:
    """The density relative to a Gaussian one, to the second order in the skewness."""
    skewness = np.where(variance > 0, third / np.where(variance > 0, variance, 1) ** 1.5, 0.0)
    third_hermite, sixth_hermite = z**3 - 3 * z, z**6 - 15 * z**4 + 45 * z**2 - 15
    return 1 + skewness / 6 * third_hermite + skewness**2 / 72 * sixth_hermite


# --- T = 1: entropy -------------------------------------------------------------------------------


@checks.arguments()
def entropy_budget(logits0: Logits) -> Float[Array, "*batch"]:
    """Sum of the divergences of all generations: the initial entropy (`resampling.entropy_budget`).

        Σ_{t≥0} E KL(p_{t+1}‖p_t) = S(p₀),   since E S(p') = S(p) − E KL(p'‖p)

    Args:
        logits0: The initial model; -inf marks a lost outcome.

    Returns:
        The sum in nats.

    Validity:
        Exact at T = 1 for every number of samples and outcomes.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(entropy_budget(jnp.zeros(2))), 6)  # log 2, for one sample or a million
        0.693147

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    return simplex.entropy(checks.check_logits(logits0, "logits0"))


@checks.arguments()
def entropy_toll(logits0: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Mean loss of entropy in one generation: d/(2n) (`resampling.entropy_toll`).

    Args:
        logits0: The model; -inf marks a lost outcome.
        num_samples: n, large.

    Returns:
        S(p) − E S(p') in nats, with d the number of outcomes alive minus 1.

    Validity:
        Asymptotic for n → ∞ at T = 1: the probabilities alive must be large against 1/n. The exact
        loss is E KL(p'‖p) (`entropy_budget`).

    Example:
        >>> import jax.numpy as jnp
        >>> float(entropy_toll(jnp.zeros(5), 8))  # 4/16
        0.25

    References:
        Miller, Note on the bias of information estimates (1955).
    """
    theta, n = simplex.per_distribution(logits0, num_samples)
    return (simplex.num_surviving(theta) - 1) / (2 * n[..., 0])


@checks.arguments()
def entropy_lifetime(logits0: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Generations times live parameters: E Σ_t d_t ≃ 2nS₀ (`resampling.entropy_lifetime`).

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        num_samples: n, large.

    Returns:
        The mean of Σ_t (number of outcomes alive at t − 1), generation 0 included.

    Validity:
        Asymptotic for n → ∞ at T = 1; relative error of order log(n)/n per outcome (2.6% for three
        equal outcomes and n = 60). With two outcomes it is the time until one is left.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(entropy_lifetime(jnp.zeros(2), 100)), 4)  # 200 log 2
        138.6294

    References:
        Allelic Entropy and Times until Loss or Fixation of Neutral Polymorphisms, Genes 14:1751
        (2023).
    """
    theta, n = simplex.per_distribution(logits0, num_samples)
    return 2 * n[..., 0] * simplex.entropy(theta)


# --- Truncation -----------------------------------------------------------------------------------


@checks.arguments(num_samples="", generation="")
def truncation(
    logits0: Logits, num_samples: int, generation: int | Sequence[int], kept: int
) -> Float[Array, "*batch"]:
    """Mean number of outcomes left if the k most probable are drawn (`resampling.truncation`).

    It is `survivors` of the model truncated to its k most probable outcomes: from the first
    generation on there are no more than k, and truncation does nothing.

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, a Python integer.
        generation: t ≥ 0, a Python integer; or several, which become the last axis.
        kept: k ≥ 1, a Python integer.

    Returns:
        The mean number of outcomes with a positive probability; at t = 0 that of the initial model.

    Raises:
        ValueError: If an argument is not an integer of its range.

    Validity:
        As `survivors`.

    Example:
        >>> import jax.numpy as jnp
        >>> float(truncation(jnp.zeros(10), 2, 1, 2))  # as two equal outcomes
        1.5

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    kept = checks.check_count(kept, "kept")
    theta = simplex.log_probabilities(checks.check_logits(logits0, "logits0"))
    rank = jnp.argsort(jnp.argsort(-theta, -1, stable=True), -1)
    left = survivors(jnp.where(rank < kept, theta, -jnp.inf), num_samples, generation)
    whole = simplex.num_surviving(theta).astype(theta.dtype)
    whole = whole.reshape(whole.shape + (1,) * np.ndim(generation))
    return jnp.where(np.asarray(generation) == 0, whole, left)


@checks.arguments()
def nucleus_support(logits0: Logits, mass: Number) -> Float[Array, "*batch"]:
    """Outcomes that nucleus sampling leaves in the end (`resampling.nucleus_support`).

        m* = #{m : p_m > (1 − π)(p_1 + … + p_m)},   p_1 ≥ p_2 ≥ …

    Args:
        logits0: The initial model; -inf marks a lost outcome.
        mass: π in [0, 1], the probability that the nucleus reaches.

    Returns:
        m*, below 1/(1 − π): the nucleus is applied in every generation until nothing is cut.

    Raises:
        ValueError: If the mass is not in [0, 1].

    Validity:
        Exact for infinitely many samples. Where p_m = (1 − π)(p_1 + … + p_m) to rounding, the first
        m − 1 reach π and the nucleus cuts the m-th: of ten equal outcomes π = 0.9 leaves nine.

    Example:
        >>> import jax.numpy as jnp
        >>> words = -jnp.log(jnp.arange(1, 10_001))  # p ∝ 1/m
        >>> float(nucleus_support(words, 0.9)), float(nucleus_support(words, 0.99))
        (4.0, 25.0)

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    return _staying(*simplex.per_distribution(logits0, mass))


@jax.jit
def _staying(theta: Array, mass: Array) -> Array:
    """How many of the most probable outcomes a nucleus leaves alone, at least one."""
    ranked = -jnp.sort(-theta, -1)
    p = simplex.probabilities(ranked)
    # The same allowance as in `fixedpoint.Nucleus`, whose limit this is.
    error = simplex.mass_rounding(ranked)[..., None]
    least = (1 - mass) * (1 + error) + jnp.finfo(p.dtype).eps
    # Written with 1 − π, not with S_{m−1} < π S_m, which would cancel.
    stays = jnp.where(mass < 1, p > least * jnp.cumsum(p, -1), ranked > -jnp.inf)
    return jnp.maximum(jnp.sum(stays, -1), 1).astype(p.dtype)


@checks.arguments()
def nucleus_boundary(
    logit_gap: Number, mass: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Time until one of two is left under nucleus sampling (`resampling.nucleus_boundary`).

        E T ≃ 2n [S(p) − S(δ)],   δ = 1 − π,   S(x) = −x log x − (1 − x) log(1 − x)

    Args:
        logit_gap: z = log(p/q), with 1 − π < p < π.
        mass: π in (1/2, 1].
        num_samples: n, large against 1/(1 − π).

    Returns:
        The mean time in generations. The outcome wins with the chance (p − δ)/(1 − 2δ). On the
        boundary and beyond it is 0: one generation, of which the order n knows nothing.

    Validity:
        Asymptotic, K = 2, T = 1, for n → ∞. The chain jumps over the boundary: take
        δ − 0.58 √(δ(1 − δ)/n) for δ to halve the number of digits lost (heuristic).

    Example:
        >>> round(float(nucleus_boundary(0.0, 0.9, 400)), 1)  # 800 (log 2 − S(0.1)); exactly 307.8
        294.5

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    z, mass, n = simplex.scalars(logit_gap, mass, num_samples)
    whole = mass == 1  # nothing is cut; the slope is infinite there
    delta = jnp.where(whole, 0.5, 1 - mass)
    log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    S = -jnp.exp(log_p) * log_p - jnp.exp(log_q) * log_q
    edge = -jax.scipy.special.xlogy(delta, delta) - jax.scipy.special.xlog1py(1 - delta, -delta)
    edge = jnp.where(whole, 0, edge)
    # S increases with the smaller probability: above S(δ) both are above δ.
    inside = (edge < S) & (whole | (delta < 0.5))
    return jnp.where(inside, 2 * n * (S - edge), 0)


# --- A temperature --------------------------------------------------------------------------------


@checks.arguments(temperature="(0, inf)")
def scale_function(
    probability: Number, temperature: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Chance that the first of two outcomes is the last one left (`resampling.scale_function`).

        u(x) = ∫₀ˣ e^{2κS(y)} dy / ∫₀¹ e^{2κS(y)} dy,   κ = n(1/T − 1),
        S(y) = −y ln y − (1 − y) ln(1 − y)

    Args:
        probability: x, the initial probability of the outcome, 0 ≤ x ≤ 1.
        temperature: T > 0.
        num_samples: n ≥ 1.

    Returns:
        u(x): below x for x < 1/2 at T < 1, where the minority dies sooner, above it at T > 1.

    Validity:
        The limit n → ∞ at fixed κ; at finite n the error is of order 1/n (0.09/n at κ = 2,
        x = 0.3). For fixed T ≠ 1 and n → ∞, where |κ| is of order n, the exponent is wrong: call
        `metastability`. Numerically accurate to 1e-10 relative for |κ| ≤ 1000.

    Example:
        >>> round(float(scale_function(0.3, 0.5, 2)), 5)  # κ = 2; the chain of n = 800: 0.18662
        0.18673

    References:
        Kimura, On the probability of fixation of mutant genes in a population, Genetics 47:713
        (1962), of which it is an instance; the entropy in its exponent: derived here.
    """
    x, T, n = simplex.scalars(probability, temperature, num_samples)
    kappa = n * (1 / T - 1)
    # Beyond 1/2 the complement is integrated, so that each part keeps its relative accuracy.
    minor = _minor_share(jnp.where(x <= 0.5, x, 1 - x), kappa)
    return jnp.where(x <= 0.5, minor, 1 - minor)


@jax.custom_jvp
def _minor_share(x: Array, kappa: Array) -> Array:
    """∫₀ˣ e^{2κS(y)} dy / ∫₀¹ e^{2κS(y)} dy for x ≤ 1/2; its slope in x is the integrand itself."""
    return jnp.exp(_log_entropic(x, kappa) - _log_entropic(0 * x + 0.5, kappa)) / 2


@_minor_share.defjvp
def _minor_share_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    (x, kappa), (dx, dkappa) = primals, tangents

    def log_integral(x: Array) -> tuple[Array, Array]:
        along = (jnp.ones_like(kappa),)
        return jax.jvp(lambda kappa: _log_entropic(x, kappa), (kappa,), along)

    half, half_slope = log_integral(0 * x + 0.5)
    _, part_slope = log_integral(jnp.where(x > 0, x, 0.5))
    share = _minor_share(x, kappa)
    entropy = jax.scipy.special.entr(x) + jax.scipy.special.entr(1 - x)
    by_x = jnp.exp(2 * kappa * entropy - half) / 2
    return share, by_x * dx + share * (part_slope - half_slope) * dkappa


@partial(jnp.vectorize, signature="(),()->()")
def _log_entropic(x: Array, kappa: Array) -> Array:
    """Log of ∫₀ˣ e^{2κS(y)} dy for x ≤ 1/2, by the tanh-sinh rule: S has infinite slope at 0."""
    t = np.linspace(-4.5, 4.5, 1201)
    u = np.pi / 2 * np.sinh(t)
    log_weight = np.log(np.pi / 4 * (t[1] - t[0]) * np.cosh(t)) - 2 * np.log(np.cosh(u))
    y = x * jnp.asarray(1 / (1 + np.exp(-2 * u)), x.dtype)
    entropy = jax.scipy.special.entr(y) + jax.scipy.special.entr(1 - y)
    exponents = 2 * kappa * entropy + jnp.asarray(log_weight, x.dtype)
    return jnp.log(x) + jax.scipy.special.logsumexp(exponents)


@checks.arguments()
def critical_temperature(logits: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Temperature at which the mean entropy stands still (`resampling.critical_temperature`).

        T_c ≃ 1 + (d/2n) / Var ln p,    d = surviving outcomes − 1,  Var ln p = Σ p ln²p − S²

    The mean entropy of the next generation rises with T. At T = ∞ it is that of n samples of d + 1
    equal outcomes, log n − E log(1 + X) with X ~ Bin(n − 1, 1/(d + 1)). There is a T_c, and only
    one, exactly where the model's entropy S is less than that.

    Args:
        logits: The model θ; -inf marks a lost outcome.
        num_samples: n ≥ 1.

    Returns:
        T_c at this model: below it the mean entropy falls in the next generation, above it it
        rises. `inf` where it falls at every temperature (among others, for outcomes of equal
        probability); 1 for a single outcome, where nothing moves.

    Validity:
        Whether it is `inf` is exact. Its value is the leading order in 1/n of a property of the
        *state*, the zero of the entropy's drift; the true one grows without limit as S nears the
        entropy beyond which there is none. It is no transition of the process, whose collapse slows
        down smoothly where T − 1 is of the order of 1/n; every T < ∞ collapses in the end.

    Example:
        >>> import jax.numpy as jnp
        >>> round(float(critical_temperature(jnp.log(jnp.array([0.75, 0.25])), 100)), 6)
        1.022094
        >>> float(critical_temperature(jnp.log(jnp.array([0.6, 0.4])), 10))  # too few samples
        inf

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    theta, n = simplex.per_distribution(logits, num_samples)
    p = simplex.probabilities(theta)
    # Relative to the mode, so that equal outcomes have a variance of exactly 0.
    gap = jnp.where(p > 0, theta - jnp.max(theta, -1, keepdims=True), 0)
    mean = jnp.sum(p * gap, -1, keepdims=True)
    variance = jnp.sum(p * (gap - mean) ** 2, -1)
    # A short float does not hold every number of samples, but what is divided by it.
    num_alive, n = simplex.num_surviving(theta), jnp.asarray(num_samples, float)
    toll = ((num_alive - 1) / (2 * n)).astype(theta.dtype)
    stands_still = simplex.entropy(theta) < _entropy_of_uniform_samples(num_alive, n)
    spread = stands_still & (variance > 0)
    excess = jnp.where(spread, toll / jnp.where(spread, variance, 1), jnp.inf)
    return 1 + jnp.where(toll > 0, excess, 0)


@jax.jit
def _entropy_of_uniform_samples(num_outcomes: Array, n: Array) -> Array:
    """Mean entropy of n samples of K >= 2 equal outcomes: log n − E log(1 + X), X ~ Bin(n−1, 1/K).

    E log(1 + X) = ∫ (1 − (1 − (1 − e^{−s})/K)^{n−1}) e^{−s} ds/s, by the trapezium rule in log s.
    """
    K, n = (x[..., None] for x in jnp.broadcast_arrays(jnp.maximum(num_outcomes, 2), n))
    low, high = -38 - jnp.log(n), np.log(45.0)
    steps = jnp.linspace(0, 1, 320, dtype=n.dtype)[(None,) * (n.ndim - 1)]
    s = jnp.exp(low + (high - low) * steps)
    none_drawn = jnp.exp((n - 1) * jnp.log1p(jnp.expm1(-s) / K))
    integral = jnp.sum((1 - none_drawn) * jnp.exp(-s), -1) * ((high - low) / 319)[..., 0]
    return jnp.log(n[..., 0]) - integral


@checks.arguments()
def metastability(temperature: Number) -> Float[Array, "*batch"]:
    """Exponent c(T) of the time until one of two outcomes is lost (`resampling.metastability`).

    Above T = 1 the model lingers near even odds for C(T) e^{cn} generations, n the samples of
    each. c is the least action of a path from even odds to the loss:

        c = min Σ_t D(x_{t+1} ‖ y_t),   logit y_t = logit(x_t)/T,   x₀ = 1/2, …, x_m = 0,

    D the relative entropy of two coins.

    Args:
        temperature: T > 1.01, also inf, where c = ln 2; a T ≤ 1 has no barrier and c = 0.

    Returns:
        c(T) = lim ln(mean time)/n.

    Validity:
        The limit is formal (large deviations) and agrees with the slopes of exact chains. A law
        C e^{cn} with a constant C is seen only where n^{1−1/T} ≫ 1 (at least 8): at T = 1.25 the
        prefactor still falls between n = 50 and 800. Numerically accurate to 1e-9 for T > 1.02,
        its slope to 1e-5.

    Example:
        >>> round(float(metastability(2.0)), 6)  # the exact chain between n = 200 and 300: 0.55155
        0.551492

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    return staircase(2, temperature)


@checks.arguments(temperature="[1, inf]")
def action_series(temperature: Number) -> Float[Array, "*batch"]:
    """Expansion of c(T) near T = 1 (`resampling.action_series`).

        c ≃ 2ε ln 2 − (ε²/3) ln 2 − ε³ [(2/9) ln 2 + ζ(3)/12],   ε = 1 − 1/T

    Args:
        temperature: T ≥ 1.

    Returns:
        The three terms.

    Validity:
        A formal series; its error is about 0.3 ε⁴ for small ε (`metastability` is the number).

    Example:
        >>> round(float(action_series(1.1)), 6)  # c itself: 0.123902
        0.123926

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    (T,) = simplex.scalars(checks.check_range(temperature, "temperature", "[1, inf]"))
    eps = 1 - 1 / T
    ln2, zeta3 = math.log(2), 1.2020569031595942
    return eps * (2 * ln2 - eps * (ln2 / 3 + eps * (2 / 9 * ln2 + zeta3 / 12)))


@checks.arguments(num_outcomes=">= 2")
def staircase(num_outcomes: Number, temperature: Number) -> Float[Array, "*batch"]:
    """Exponent of the time until one of K equal outcomes is lost (`resampling.staircase`).

    The least action (as in `metastability`) of the loss of one outcome while the others stay
    equal. In K it decreases: each further loss takes exponentially longer than the one before.

        c_K ≃ 2ε ln(K/(K−1)) for small ε = 1 − 1/T,    c_K = ln(K/(K−1)) at T = ∞

    Args:
        num_outcomes: K ≥ 2.
        temperature: T > 1.01, also inf; a T ≤ 1 has no barrier and c = 0.

    Returns:
        c_K(T); NaN for K ≥ 3 and 1 < T ≤ 1.01, where the path is not resolved.

    Validity:
        An upper bound of lim ln(mean time)/n, because the path is restricted for K ≥ 3; the slopes
        of the exact chain of K = 3, T = 2 tend to it. Numerically accurate to 1e-9.

    Example:
        >>> import jax.numpy as jnp
        >>> staircase(jnp.array([2, 3, 4]), 2.0).round(6)
        Array([0.551492, 0.324784, 0.231057], dtype=float64)

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    K, T = simplex.scalars(num_outcomes, temperature)
    hot = (T > 1) & jnp.isfinite(T)
    action = _action(1 / jnp.where(hot, T, 2), jnp.log(K - 1))
    action = jnp.where((K > 2) & (T <= 1.01), jnp.nan, action)
    return jnp.where(hot, action, jnp.where(T > 1, jnp.log(K / (K - 1)), 0))


@jax.custom_jvp
def _action(beta: Array, depth: Array) -> Array:
    """The least action from z = −depth, z the logit of the outcome that is to be lost."""
    return _least_action(beta, depth)[0]


@_action.defjvp
def _action_jvp(primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> tuple[Array, Array]:
    # The path is stationary: the slopes are those of the action along the path as it is.
    action, by_beta, by_depth = _least_action(*primals)
    return action, by_beta * tangents[0] + by_depth * tangents[1]


@jax.jit
@partial(jnp.vectorize, signature="(),()->(),(),()")
def _least_action(beta: Array, depth: Array) -> tuple[Array, Array, Array]:
    """The least action, and its slopes in β and in the depth.

    The Euler–Lagrange equation gives each point of the path from the two after it. Starting with
    the last point before the loss and going back, the path ends in the fixed point for the right
    last point only; others pass it by or turn round before it.
    """
    softplus, sigmoid, rest = jax.nn.softplus, jax.nn.sigmoid, -depth

    def retrace(last: Array) -> tuple[Array, Array, tuple[Array, Array, Array]]:
        """Whether the path passes the fixed point, how closely it misses it, and its action.

        Points are logits relative to the fixed point. With the action come its slopes: what is
        drawn at a point z has the logit rest + β z, and D(x ‖ y) the slope y − x in logit y.
        """

        def before(state: tuple[Any, ...]) -> tuple[Any, ...]:
            u, x_next, action, by_beta, by_rest, _, _ = state
            gap = x_next - sigmoid(rest + beta * u)
            drawn = u - beta * gap * (2 + 2 * jnp.cosh(rest + u))
            previous, x = drawn / beta, sigmoid(rest + u)
            ended = (previous >= 0) | ~(previous > u)
            cost = x * (u - drawn) + softplus(rest + drawn) - softplus(rest + u)
            miss = jnp.maximum(jnp.abs(u), jnp.abs(previous))
            action = jnp.where(ended, action, action + cost)
            excess = jnp.where(ended, 0, sigmoid(rest + drawn) - x)
            by_beta, by_rest = by_beta + excess * previous, by_rest + excess * (1 - beta)
            passed = jnp.where(ended, (previous >= 0).astype(u.dtype), -1)
            return jnp.where(ended, u, previous), x, action, by_beta, by_rest, miss, passed

        lost = sigmoid(rest + beta * last)
        slopes = lost * last, lost * (1 - beta)
        start = last, 0 * last, softplus(rest + beta * last), *slopes, 0 * last, 0 * last - 1
        found = lax.while_loop(lambda state: state[-1] < 0, before, start)
        end, _, action, by_beta, by_rest, miss, passed = found
        # What is left from the fixed point to the turning point, where the action is quadratic.
        spread = sigmoid(rest) * sigmoid(-rest)
        action += (1 - beta**2) * spread * end**2 / 2
        return passed > 0, miss, (action, by_beta - beta * spread * end**2, -by_rest)

    scale = jnp.log(beta), jnp.log(6 / (1 - beta))
    candidates = -jnp.exp(jnp.linspace(*scale, 200))
    passed, miss, _ = jax.vmap(retrace)(candidates)
    # The deepest last point at which "passes" changes to "turns round". Near T = 1 the path
    # forgets its last point to within rounding, and any that comes close will do.
    edge = passed[:-1] & ~passed[1:]
    index = jnp.where(edge.any(), jnp.max(jnp.where(edge, jnp.arange(199), 0)), jnp.argmin(miss))

    def halve(_: int, bracket: tuple[Any, ...]) -> tuple[Any, ...]:
        high, low = bracket
        middle = (high + low) / 2
        passes = retrace(middle)[0]
        return jnp.where(passes, middle, high), jnp.where(passes, low, middle)

    bracket = candidates[index], candidates[jnp.where(edge.any(), index + 1, index)]
    _, low = lax.fori_loop(0, 52, halve, bracket)
    return retrace(low)[2]


@checks.arguments(num_samples=">= 2")
def slow_eigenvalue(temperature: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Factor by which two outcomes' chance to be undecided falls (`resampling.slow_eigenvalue`).

        λ ≃ T for T < 1,    λ = 1 − 1/n at T = 1,    λ ≃ 1 for T > 1

    Args:
        temperature: T ≥ 0.
        num_samples: n ≥ 2.

    Returns:
        The leading eigenvalue of the chain among its undecided states.

    Validity:
        Exact at T = 1. For fixed T ≠ 1 it is the limit of many samples, reached exponentially
        fast: at T = 0.8 the error is 4e-8 at n = 50; for T > 1 the distance from 1 is
        e^{−cn}/C, with c from `metastability`. Between the three lies a window |T − 1| of the
        order of 1/n (`chain.quasi_stationary` is exact there).

    Example:
        >>> [float(slow_eigenvalue(T, 50)) for T in (0.8, 1.0, 1.5)]
        [0.8, 0.98, 1.0]

    References:
        T = 1: Feller, Diffusion processes in genetics (1951); T ≠ 1: derived here.
    """
    T, n = simplex.scalars(temperature, num_samples)
    return jnp.where(T == 1, 1 - 1 / n, jnp.minimum(T, 1))


# --- Real data and partial refits -----------------------------------------------------------------


@checks.arguments(fraction="(0, 1]")
def immigration(
    logits_real: Logits, fraction: Number, num_samples: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Stationary variance if each sample is real with chance a (`resampling.immigration`).

        Var p_i = q_i (1 − q_i) / (1 + Θ),    Θ = (n − 1) a (2 − a)

    Args:
        logits_real: log q, the real distribution.
        fraction: a, the chance of a sample to be real, 0 < a ≤ 1.
        num_samples: n ≥ 1.

    Returns:
        Var p_i. The covariances are −q_i q_j/(1 + Θ), the mean is q.

    Validity:
        Exact at T = 1, for every n, a and number of outcomes. The mean relaxes by 1 − a a
        generation, the second moments by (1 − a)²(1 − 1/n).

    Example:
        >>> import jax.numpy as jnp
        >>> print(immigration(jnp.zeros(2), 0.25, 4)[0] * 37)  # 4/37
        4.0

    References:
        Wright 1931 (migration into a finite population).
    """
    theta, a = simplex.per_distribution(logits_real, fraction)
    theta, n = simplex.per_distribution(theta, num_samples)
    q = simplex.probabilities(theta)
    return q * (1 - q) / (1 + (n - 1) * a * (2 - a))


@checks.arguments(fraction="(0, 1]")
def immigration_pseudo(
    logits_real: Logits, fraction: Number, num_samples: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Stationary variance with noiseless real data, p' = (1 − a) p̂ + a q.

    This is `resampling.immigration_pseudo`; p̂ are the frequencies of m own samples.

        Var p_i = q_i (1 − q_i) (1 − a)² / (m − (m − 1)(1 − a)²)

    Args:
        logits_real: log q, the real distribution.
        fraction: a, the weight of the real data, 0 < a ≤ 1 (pseudo-counts c q have a = c/(m + c)).
        num_samples: m ≥ 1, the model's own samples.

    Returns:
        Var p_i; the covariances are −q_i q_j times the same factor.

    Validity:
        Exact at T = 1, for every m, a and number of outcomes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(immigration_pseudo(jnp.zeros(2), 0.5, 2)[0] * 28)  # (1/4)(1/4)/(7/4)
        1.0

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    theta, a = simplex.per_distribution(logits_real, fraction)
    theta, m = simplex.per_distribution(theta, num_samples)
    q = simplex.probabilities(theta)
    return q * (1 - q) * (1 - a) ** 2 / (m - (m - 1) * (1 - a) ** 2)


@checks.arguments(num_real=">= 1")
def immigration_stratified(
    logits_real: Logits, num_real: Number, num_samples: Number
) -> Float[Array, "*batch num_outcomes"]:
    """Stationary variance with exactly k real samples of n (`resampling.immigration_stratified`).

        Var p_i = q_i (1 − q_i) / (1 − a + n a (2 − a)),    a = k/n

    Args:
        logits_real: log q, the real distribution.
        num_real: k, the real samples of a generation, 1 ≤ k ≤ n.
        num_samples: n ≥ 1, real and own samples together.

    Returns:
        Var p_i; the covariances are −q_i q_j times the same factor.

    Validity:
        Exact at T = 1, for every n, k and number of outcomes.

    Example:
        >>> import jax.numpy as jnp
        >>> print(immigration_stratified(jnp.zeros(2), 1, 2)[0] * 8)  # (1/4)/2
        1.0

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    if not isinstance(num_real, Tracer) and not isinstance(num_samples, Tracer):
        checks.check_range(np.divide(num_real, num_samples), "num_real / num_samples", "(0, 1]")
    theta, k = simplex.per_distribution(logits_real, num_real)
    theta, n = simplex.per_distribution(theta, num_samples)
    q = simplex.probabilities(theta)
    a = k / n
    return q * (1 - q) / (1 - a + n * a * (2 - a))


@checks.arguments()
def kept_diversity(fraction: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Share of the real data's diversity that is kept for ever (`resampling.kept_diversity`).

        E[1 − Σp²] / (1 − Σq²) = Θ/(1 + Θ),    Θ = (n − 1) a (2 − a)

    Args:
        fraction: a, the chance of a sample to be real, 0 ≤ a ≤ 1.
        num_samples: n ≥ 1.

    Returns:
        The stationary share, 0 to 1 − 1/n.

    Validity:
        Exact at T = 1, whatever the real distribution and the number of outcomes.

    Example:
        >>> round(float(kept_diversity(0.5, 2)), 6)  # n = 2, one real sample a generation: 3/7
        0.428571

    References:
        Wright 1931 (migration into a finite population).
    """
    a, n = simplex.scalars(fraction, num_samples)
    theta = (n - 1) * a * (2 - a)
    return theta / (1 + theta)


@checks.arguments(num_real="[0, inf)")
def one_real_sample(num_real: Number) -> Float[Array, "*batch"]:
    """Share of the diversity kept by few real samples among many (`resampling.one_real_sample`).

        E[1 − Σp²] / (1 − Σq²) ≃ 2m/(1 + 2m),    m = na

    Args:
        num_real: m ≥ 0, the mean number of real samples a generation; may be below 1.

    Returns:
        The stationary share: a half with one real sample every other generation, two thirds with
        one in each.

    Validity:
        The limit n → ∞ at fixed na; `kept_diversity` is exact (n = 2, m = 1: 3/7 instead of 2/3).

    Example:
        >>> float(one_real_sample(0.5))
        0.5

    References:
        The rule of one migrant a generation: Wright 1931; Spieth, Gene flow and genetic
        differentiation, Genetics 78:961 (1974).
    """
    (m,) = simplex.scalars(checks.check_nonnegative(num_real, "num_real"))
    return m / (0.5 + m)


@checks.arguments(share="[0, 1]", real_probability="(0, 1)", num_real="(0, inf)")
def immigration_dirichlet(
    share: Number, real_probability: Number, num_real: Number
) -> Float[Array, "*batch"]:
    """Stationary distribution function with few real samples (`resampling.immigration_dirichlet`).

    The model is distributed as Dirichlet(2m q), so that p_i is Beta(2m q_i, 2m (1 − q_i)).

        P(p_i ≤ x) ≃ I_x(2m q_i, 2m (1 − q_i)),    m = na

    Args:
        share: x, 0 ≤ x ≤ 1.
        real_probability: q_i, the real probability of the outcome, 0 < q_i < 1.
        num_real: m > 0, the mean number of real samples a generation.

    Returns:
        P(p_i ≤ x).

    Validity:
        The diffusion limit n → ∞ at fixed na and T = 1. At finite n, Θ = (n − 1)a(2 − a) in place
        of 2na gives the exact second moments. For 2m q_i < 1 convergence is slow, and the chance of
        p_i = 0 exactly is not given, not even in the limit. Numerically 1e-10.

    Example:
        >>> float(immigration_dirichlet(0.25, 0.5, 1.0))  # Dirichlet(1, 1) is uniform
        0.25

    References:
        Wright, Evolution in Mendelian populations, Genetics 16:97 (1931).
    """
    x, q, m = simplex.scalars(share, real_probability, num_real)
    return jax.scipy.special.betainc(2 * m * q, 2 * m * (1 - q), x)


@checks.arguments(step_size="(0, 1]")
def partial_refit(
    step_size: Number, batch_size: Number, num_steps: Number
) -> Float[Array, "*batch"]:
    """Loss of diversity in a generation of partial refits (`resampling.partial_refit`).

    The generator is frozen for m steps p ← (1 − η) p + η p̂, each on B fresh samples of it.

        1 − E[1 − Σp'²]/(1 − Σp²) = η (1 − (1 − η)^{2m}) / ((2 − η) B)

    Args:
        step_size: η in (0, 1].
        batch_size: B ≥ 1.
        num_steps: m ≥ 1; m = 1 is one on-policy step, and m of these generations lose
            1 − (1 − η²/B)^m.

    Returns:
        1/n_e: a full refit to n_e samples loses as much.

    Validity:
        Exact at T = 1 for the second moment, and misleading beyond it: for η < 1 no outcome is
        ever lost exactly, third moments are larger (1/η times for m = 1), and times until the
        diversity is small are longer than those of n_e samples.

    Example:
        >>> round(float(1 / partial_refit(0.1, 4, 1)), 9)  # B/η²
        400.0

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    eta, B, m = simplex.scalars(step_size, batch_size, num_steps)
    return eta * special.complement_of_power(eta, 2 * m) / ((2 - eta) * B)


@checks.arguments(step_size="(0, 1]")
def partial_refit_data(
    step_size: Number, batch_size: Number, num_steps: Number, num_samples: Number
) -> Float[Array, "*batch"]:
    """Loss of diversity in a generation on minibatches (`resampling.partial_refit_data`).

    A data set of n samples is drawn once; each of m steps p ← (1 − η) p + η p̂ takes B of them at
    random, with replacement.

        A²/n + (1 − 1/n) η (1 − (1 − η)^{2m}) / ((2 − η) B),    A = 1 − (1 − η)^m

    Args:
        step_size: η in (0, 1].
        batch_size: B ≥ 1.
        num_steps: m ≥ 1.
        num_samples: n ≥ 1, the data set.

    Returns:
        1/n_e, as in `partial_refit`, which is the case n = ∞.

    Validity:
        Exact at T = 1 for the second moment; see `partial_refit` for what it does not tell.

    Example:
        >>> float(partial_refit_data(1.0, 2, 1, 2))  # two draws out of two samples: 1/2 + 1/4
        0.75

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    eta, m, n = simplex.scalars(step_size, num_steps, num_samples)
    moved = special.complement_of_power(eta, m)
    return moved**2 / n + (1 - 1 / n) * partial_refit(step_size, batch_size, num_steps)


# --- A verifier -----------------------------------------------------------------------------------


@checks.arguments(ratio="(0, inf)")
def verifier(probability: Number, ratio: Number) -> Float[Array, "*batch"]:
    """Chance that an accepted sample is right (`resampling.verifier`).

        v = r p/(1 − p + r p), that is logit v = logit p + ln r;    r = TPR/FPR

    Args:
        probability: p, the model's probability of a right sample.
        ratio: r > 0, how much more often the verifier accepts a right sample than a wrong one.

    Returns:
        v. Of n accepted samples Binomial(n, v) are right, whatever the rates themselves. With
        infinitely many, each generation adds ln r to the logit.

    Validity:
        Exact if samples are drawn until n are accepted. With a fixed number of candidates the
        number of accepted ones is random.

    Example:
        >>> float(verifier(0.2, 4.0))  # odds 1 : 4 become 1 : 1
        0.5

    References:
        Bayes's rule.
    """
    p, r = simplex.scalars(probability, ratio)
    return r * p / (1 - p + r * p)


@checks.arguments(ratio="[1, inf)")
def lock_in_weak(probability: Number, ratio: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Chance that the wrong answer is learnt for ever, weak verifier (`resampling.lock_in_weak`).

        (e^{−2snp} − e^{−2sn}) / (1 − e^{−2sn}),    s = ln r

    Args:
        probability: p, the initial probability of the right answer.
        ratio: r ≥ 1, the verifier's ratio TPR/FPR.
        num_samples: n ≥ 1, accepted samples a generation.

    Returns:
        The chance that the right answer is lost; each right sample more divides it by r². 1 − p
        without a verifier, r = 1.

    Validity:
        The limit n → ∞ at fixed n ln r, T = 1. With s = r − 1 instead the error at finite n is
        ten times as large. For strong verifiers it is too large by a factor exponential in n
        (r = 2, n = 200, p = 0.1: 9e-13 instead of 3e-14): see `lock_in_strong`.

    Example:
        >>> round(float(lock_in_weak(0.5, 2.0, 1)), 12)  # (1/2 − 1/4)/(1 − 1/4)
        0.333333333333

    References:
        Kimura, On the probability of fixation of mutant genes in a population, Genetics 47:713
        (1962), haploid form.
    """
    p, r, n = simplex.scalars(probability, ratio, num_samples)
    strength = 2 * n * jnp.log(r)
    works = strength != 0
    strength = jnp.where(works, strength, 1)
    lost = jnp.exp(-strength * p) * jnp.expm1(-strength * (1 - p)) / jnp.expm1(-strength)
    return jnp.where(works, lost, 1 - p)


@checks.arguments(num_right=">= 0", ratio="(0, inf)")
def lock_in_strong(num_right: Number, ratio: Number) -> Float[Array, "*batch"]:
    """Chance that k right samples die out among many (`resampling.lock_in_strong`).

        (1 − ρ)^k,    1 − ρ = e^{−rρ},    ρ = 1 + W₀(−r e^{−r})/r

    Args:
        num_right: k ≥ 0, the right samples of a generation.
        ratio: r > 0, the verifier's ratio TPR/FPR.

    Returns:
        The chance that the wrong answer is learnt for ever; 1 for r ≤ 1.

    Validity:
        The limit n → ∞ at fixed k and r, T = 1: a branching process with Poisson(r) offspring; the
        error is of order 1/n. Numerically 1e-12 for r ≥ 1.05, towards 1 only 1e-7.

    Example:
        >>> round(float(lock_in_strong(1, 2.0)), 6)  # the chain of n = 200: 0.20385
        0.203188

    References:
        Haldane, A mathematical theory of natural and artificial selection V (1927); Harris, The
        theory of branching processes (1963).
    """
    k, r = simplex.scalars(num_right, ratio)
    safe = jnp.where(r > 1, r, 2)  # at r = 1 the slope of W is infinite
    extinct = jnp.where(r > 1, -special.lambertw(-safe * jnp.exp(-safe)) / safe, 1)
    return extinct**k
