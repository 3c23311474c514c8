"""Fixation: refits to n own samples lose one outcome after another, until a last one is left.

Closed forms in JAX. A_s is the number of distinct ancestors, s generations earlier, of the n
samples of one generation: A₀ = n, and A_{s+1} is how many of n boxes A_s balls fall into.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


@checks.arguments()
def fixation_probability(logits: Logits) -> Float[Array, "*batch num_outcomes"]:
    """Chance that an outcome is the last one left (`fixation.fixation_probability`).

        P(p_∞ = e_i) = p_i,   whatever the number of samples

    Args:
        logits: The initial model; -inf marks a lost outcome.

    Example:
        >>> fixation_probability(jnp.log(jnp.array([3.0, 1.0])))
        Array([0.75, 0.25], dtype=float64)
    """
    return simplex.probabilities(checks.check_logits(logits, "logits"))


@checks.arguments(num_samples="")
def fixation_time(logits: Logits, num_samples: int) -> Float[Array, "*batch"]:
    """Mean number of generations until one outcome is left (`fixation.fixation_time`).

        E T = Σ_i w(p_i),   w(x) = x + Σ_{s≥0} (x − E x^{A_s})   (w(1) = 0)

    Args:
        logits: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, a Python integer.

    Validity:
        The initial model is generation 0, whatever its probabilities. Relative error below 1e-12
        for n ≤ 1024, where the ancestors are followed one by one; below 1e-9 beyond, where their
        first generations are followed by three cumulants, until √n are left
        (`tests/laws/fixation`). Cost: 64 passes over the outcomes; for n = 10¹¹, the largest
        allowed, ten seconds besides.

    Example:
        >>> float(fixation_time(jnp.zeros(2), 4)) * 29  # 132/29
        132.0
    """
    n = checks.check_count(num_samples, "num_samples")
    if n > MOST_SAMPLES:
        raise ValueError(
            f"`num_samples` must be at most {MOST_SAMPLES:,} (`fixation_time_diffusion` takes any "
            f"number, and is within log(n) generations); got {n:,}."
        )
    log_p = simplex.log_probabilities(logits)
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
def fixation_time_diffusion(logits: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Leading term of the time until one is left (`fixation.fixation_time_diffusion`).

        E T ≃ −2n Σ_i (1 − p_i) log(1 − p_i)

    Args:
        logits: The initial model; -inf marks a lost outcome.
        num_samples: n, large.

    Validity:
        Asymptotic for n → ∞ at fixed probabilities (2n for many equal outcomes); too large by about
        log(n)/3 generations for two outcomes (`fixation_time_expansion`), so by 4 to 7% if p = 1/n.

    Example:
        >>> round(float(fixation_time_diffusion(jnp.zeros(2), 100)) / 200, 6)  # log 2
        0.693147
    """
    theta, n = simplex.per_distribution(logits, num_samples)
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
def fixation_time_expansion(gap: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Time until one of two is left, to the constant term (`fixation.fixation_time_expansion`).

        E T ≃ 2nS − [log(npq) + S]/3 − c,   S = −p log p − q log q

    c = A + γ/3 − 3/2 = 0.7217024…, where A is the limit of 2/ε_m + log(ε_m)/3 − m for ε_0 = 1 and
    ε_{m+1} = 1 − e^{−ε_m}: what the last few copies of an outcome are worth.

    Args:
        gap: z = log(p/q).
        num_samples: n, with np and nq large.

    Validity:
        Asymptotic and formal: K = 2, n → ∞ at fixed p; the error is of order 1/n.

    Example:
        >>> round(float(fixation_time_expansion(0.0, 1000)), 4)  # the exact time: 1383.5010
        1383.5011
    """
    n, z = simplex.scalars(num_samples, gap)
    log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    S = -jnp.exp(log_p) * log_p - jnp.exp(log_q) * log_q
    return 2 * n * S - (jnp.log(n) + log_p + log_q + S) / 3 - FIXATION_CONSTANT


@checks.arguments(num_samples="", generation="")
def survivors(
    logits: Logits, num_samples: int, generation: int | Sequence[int]
) -> Float[Array, "*batch"]:
    """Mean number of outcomes left after t generations (`fixation.survivors`).

        E[#alive at t] = Σ_i (1 − E(1 − p_i)^{A_{t−1}})

    Args:
        logits: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, a Python integer.
        generation: t ≥ 0, a Python integer; or several, which become the last axis.

    Validity:
        Relative error below 1e-12 for n ≤ 1024, where
        the law of A is followed state by state; below 1e-9 beyond, where it is followed by three
        cumulants as long as A is above 320 on average (`tests/laws/fixation`). Cost: one pass
        over the outcomes for every likely value of A, for each generation asked for; and three
        microseconds for each generation up to n/160, of which 10⁷ at most are followed.

    Example:
        >>> float(survivors(jnp.zeros(2), 2, 1))  # two samples of two equal outcomes
        1.5
        >>> print(survivors(jnp.zeros(50_000), 1_000_000, [1, 1000]).round(3))
        [50000.     1954.919]
    """
    n = checks.check_count(num_samples, "num_samples")
    asked = [checks.check_count(t, "generation", minimum=0) for t in np.ravel(generation).tolist()]
    if not asked:
        raise ValueError(f"`generation` must have an entry; got shape {np.shape(generation)}.")
    later = sorted({t for t in asked if t})
    if later and min(2 * n // FEW_ANCESTORS, later[-1]) > MOST_GENERATIONS:
        raise ValueError(
            f"`num_samples` must be at most {MOST_GENERATIONS * FEW_ANCESTORS // 2:,} beyond "
            f"generation {MOST_GENERATIONS:,} (`survivors_power_law` and `heterozygosity` take "
            f"any number); got {n:,} and generation {later[-1]:,}."
        )
    p = simplex.probabilities(checks.check_logits(logits, "logits"))
    found = {0: simplex.num_surviving(logits).astype(p.dtype)}
    laws = _laws_of_ancestors(n, [t - 1 for t in later]) if later else ()
    for t, law in zip(later, laws, strict=True):
        found[t] = _alive(p, *_padded(*law))
    return jnp.stack([found[t] for t in asked], -1).reshape(*p.shape[:-1], *np.shape(generation))


@checks.arguments(exponent="(1, inf)", top_probability="(0, 1]", generation=">= 1")
def survivors_power_law(
    exponent: Number, top_probability: Number, num_samples: Number, generation: Number
) -> Float[Array, "*batch"]:
    """Survivors of words with a power law (`fixation.survivors_power_law`).

        E[#alive at t] ≃ Γ(1 − 1/α) [C (n a_{t−1} + 1/3)]^{1/α} − 1/2,   a₀ = 1, a' = 1 − e^{−a}

    which falls like t^{−1/α}, since a_s ≃ 2/s.

    Args:
        exponent: α > 1 of the initial probabilities p_i = C i^{−α}.
        top_probability: C.
        num_samples: n, large.
        generation: t ≥ 1, a whole number much smaller than n.

    Validity:
        Asymptotic: many survivors, but many fewer than outcomes, and t ≪ n. Relative error below
        1% while ten or more survive.

    Example:
        >>> law = [float(survivors_power_law(2.0, 0.6, 10**6, t)) + 0.5 for t in (1000, 4000)]
        >>> round(law[0] / law[1], 2)  # 4^{1/2}
        2.0
    """
    alpha, C, n = simplex.scalars(exponent, top_probability, num_samples)
    t = jnp.asarray(generation)
    start = jnp.ones(jnp.broadcast_shapes(alpha.shape, t.shape), alpha.dtype)
    last = jnp.max(t).astype(int)
    a = jax.lax.fori_loop(1, last, lambda s, a: jnp.where(s < t, -jnp.expm1(-a), a), start)
    gamma = jnp.exp(jax.scipy.special.gammaln(1 - 1 / alpha))
    return gamma * (C * (n * a + 1 / 3)) ** (1 / alpha) - 0.5


@checks.arguments()
def first_extinction(logits: Logits, num_samples: Number) -> Float[Array, "*batch"]:
    """Mean time until the first outcome is lost (`fixation.first_extinction`).

        E T₁ ≃ ∫₀^∞ ∏_i (1 − e^{−2np_i/t}) dt

    Args:
        logits: The initial model; outcomes lost already (-inf) do not count.
        num_samples: n, large.

    Returns:
        The time in generations; inf if only one outcome is alive.

    Validity:
        Exact for the diffusion; asymptotic for the chain, n → ∞ with every np_i large. Cost: linear
        in the number of outcomes.

    Example:
        >>> round(float(first_extinction(jnp.zeros(2), 100)) / 200, 6)  # two outcomes: log 2
        0.693147
    """
    theta, n = simplex.per_distribution(logits, num_samples)
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


@checks.arguments(num_samples="", generation="")
def truncation(
    logits: Logits, num_samples: int, generation: int | Sequence[int], kept: int
) -> Float[Array, "*batch"]:
    """Mean number of outcomes left if only the k most probable are drawn (`fixation.truncation`).

    It is `survivors` of the model truncated to its k most probable outcomes: from the first
    generation on no more than k are left, and truncation has nothing to cut.

    Args:
        logits: The initial model; -inf marks a lost outcome.
        num_samples: n ≥ 1, a Python integer.
        generation: t ≥ 0, a Python integer; or several, which become the last axis.
        kept: k ≥ 1, a Python integer.

    Returns:
        The mean number of outcomes with a positive probability; at t = 0 that of the initial model.

    Example:
        >>> float(truncation(jnp.zeros(10), 2, 1, 2))  # as two equal outcomes
        1.5
    """
    kept = checks.check_count(kept, "kept")
    theta = simplex.log_probabilities(checks.check_logits(logits, "logits"))
    rank = jnp.argsort(jnp.argsort(-theta, -1, stable=True), -1)
    left = survivors(jnp.where(rank < kept, theta, -jnp.inf), num_samples, generation)
    whole = simplex.num_surviving(theta).astype(theta.dtype)
    whole = whole.reshape(whole.shape + (1,) * np.ndim(generation))
    return jnp.where(np.asarray(generation) == 0, whole, left)


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
