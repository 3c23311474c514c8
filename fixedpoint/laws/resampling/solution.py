"""The closed forms of refits to finitely many own samples, in stable JAX.

n is the number of samples a generation, T the temperature they are drawn at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Real

from fixedpoint import checks, simplex

Logits = Real[ArrayLike, "*#batch num_outcomes"]
Number = Real[ArrayLike, "*#batch"]


# --- T = 1: moments, fixation, survivors ----------------------------------------------------------


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
    n, generation = jnp.asarray(num_samples), jnp.asarray(generation)
    first = simplex.heterozygosity(logits0)
    decay = jnp.exp(generation * jnp.log1p(-1 / n.astype(first.dtype)))
    return first * jnp.where(generation > 0, decay, 1).astype(first.dtype)


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
    return simplex.probabilities(logits0)


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
    n, order = jnp.asarray(num_samples, float), jnp.asarray(order)

    def factor(i: Array, log_product: Array) -> Array:
        return log_product + jnp.where(i < order, jnp.log1p(-jnp.minimum(i / n, 1)), 0)

    start = jnp.zeros(jnp.broadcast_shapes(n.shape, order.shape), n.dtype)
    return jnp.exp(jax.lax.fori_loop(0, jnp.max(order), factor, start))


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
        followed by three cumulants (`tests/laws/resampling`). Cost: one pass over the outcomes.

    Example:
        >>> import jax.numpy as jnp
        >>> float(fixation_time(jnp.zeros(2), 4)) * 29  # 132/29
        132.0

    References:
        Derived here (`laws/resampling/derivation.py`), by duality with the ancestors.
    """
    n = checks.check_count(num_samples, "num_samples")
    log_p = simplex.log_probabilities(logits0)
    sizes, times = _time_with_ancestors(n)
    # Beyond k = 64 no power p^k but the mode's matters.
    few = sizes <= 64
    early = _mode_differs(log_p, *_padded(sizes[~few], times[~few]))
    late = _differ(log_p, *_padded(sizes[few], times[few]))
    return jnp.where(jnp.max(log_p, -1) < 0, 1 + early + late, 0)


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
    sizes, times = jnp.asarray(sizes, log_p.dtype), jnp.asarray(times, log_p.dtype)
    return -jnp.expm1(jnp.multiply.outer(jnp.max(log_p, -1), sizes)) @ times


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
    p = simplex.probabilities(logits0)
    # Only the mode can be so near to 1 that 1 − p cancels.
    first = jax.nn.one_hot(jnp.argmax(p, -1), p.shape[-1], dtype=bool)
    rest = jnp.sum(jnp.where(first, 0, p), -1, keepdims=True)
    others = jax.scipy.special.xlog1py(1 - p, jnp.where(first, 0, -p))
    terms = jnp.where(first, jax.scipy.special.xlogy(rest, rest), others)
    return -2 * jnp.asarray(num_samples) * jnp.sum(terms, -1)


FIXATION_CONSTANT = 0.72170251
"""The constant of `fixation_time_expansion`, extrapolated from exact times."""


def fixation_time_expansion(logit_gap: Number, num_samples: Number) -> Float[Array, "*batch"]:
    """Time until one of two is left, to the constant term (`resampling.fixation_time_expansion`).

        E T ≃ 2nS − [log(npq) + S]/3 − c,   S = −p log p − q log q

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
    n, z = jnp.asarray(num_samples), jnp.asarray(logit_gap, float)
    log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    S = -jnp.exp(log_p) * log_p - jnp.exp(log_q) * log_q
    return 2 * n * S - (jnp.log(n) + log_p + log_q + S) / 3 - FIXATION_CONSTANT


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
        cumulants as long as A is above 320 on average (`tests/laws/resampling`). Cost per
        generation asked for: one pass over the outcomes for every likely value of A.

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
    p = simplex.probabilities(logits0)
    found = {0: jnp.sum(p > 0, -1).astype(p.dtype)}
    for t, law in enumerate(islice(_ancestors(n), max(asked)), start=1):
        if t in asked:
            found[t] = _alive(p, *_padded(*law))
    return jnp.stack([found[t] for t in asked], -1).reshape(*p.shape[:-1], *np.shape(generation))


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
    alpha, n = jnp.asarray(exponent, float), jnp.asarray(num_samples)
    a = jax.lax.fori_loop(
        1, jnp.asarray(generation), lambda _, a: -jnp.expm1(-a), jnp.ones_like(alpha)
    )
    gamma = jnp.exp(jax.scipy.special.gammaln(1 - 1 / alpha))
    return gamma * (top_probability * (n * a + 1 / 3)) ** (1 / alpha) - 0.5


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
    log_p = simplex.log_probabilities(logits0)
    if log_p.shape[-1] == 1:
        return jnp.full(log_p.shape[:-1], jnp.inf, log_p.dtype)
    return 2 * jnp.asarray(num_samples) * _presence(log_p)


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
    log_others = jnp.log1p(-p)
    entries = jnp.asarray(sizes, p.dtype), jnp.asarray(weights, p.dtype)

    def one(seen: Array, entry: tuple[Array, Array]) -> tuple[Array, None]:
        size, weight = entry
        return seen - weight * jnp.expm1(size * log_others), None

    return jnp.sum(jax.lax.scan(one, jnp.zeros_like(p), entries)[0], -1)


def _padded(sizes: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A law with its list of values filled up to a power of two, to compile few shapes."""
    missing = (1 << max(len(sizes) - 1, 0).bit_length()) - len(sizes)
    return np.pad(sizes, (0, missing), constant_values=1), np.pad(weights, (0, missing))


EXACT_ANCESTORS = 1024
"""Up to so many samples all numbers of ancestors are followed, from the first generation on."""

FEW_ANCESTORS = 320
"""Beyond, they are followed when their mean has fallen below this."""


@lru_cache(maxsize=4)
def _occupied(boxes: int, most: int) -> np.ndarray:
    """Chance that k balls thrown into n boxes occupy j of them, [k, j] up to `most` balls."""
    chances = np.zeros((most + 1, most + 1))
    chances[0, 0] = 1
    j = np.arange(most + 1)
    for k in range(most):
        chances[k + 1] = chances[k] * j / boxes
        chances[k + 1, 1:] += chances[k, :-1] * np.maximum(boxes - j[:-1], 0) / boxes
    return chances


def _ancestors(num_samples: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The laws of A₀, A₁, …: each as the values of A and their weights."""
    *crowded, last = _crowded(num_samples)
    yield from (_quadrature(*cumulants) for cumulants in crowded)
    law = _law(*last)
    chances = _occupied(num_samples, len(law) - 1)
    while True:
        likely = np.nonzero(np.abs(law) > 1e-20)[0]
        law = law[: likely[-1] + 1]
        yield likely.astype(float), law[likely]
        law = law @ chances[: len(law), : len(law)]


@lru_cache(maxsize=4)
def _time_with_ancestors(num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """How many generations A spends on average at each value above 1: values and times."""
    *crowded, last = _crowded(num_samples)
    times = _law(*last)
    most = len(times) - 1
    chances = _occupied(num_samples, most)
    for size in range(most, 1, -1):
        # The chance that the ancestors become fewer, without cancellation.
        leaving = -np.expm1(np.sum(np.log1p(-np.arange(1, size) / num_samples)))
        times[size] /= leaving
        times[:size] += times[size] * chances[size, :size]
    parts = [_quadrature(*cumulants) for cumulants in crowded] + [
        (np.arange(2.0, most + 1), times[2:])
    ]
    sizes, weights = zip(*parts, strict=True)
    return np.concatenate(sizes), np.concatenate(weights)


@lru_cache(maxsize=4)
def _crowded(num_samples: int) -> list[tuple[float, float, float]]:
    """Mean, variance and third cumulant of A₀, A₁, … until it can be followed state by state.

    The empty boxes have the factorial moments (n)_j E(1 − j/n)^A, and that expectation is the
    exponential of the cumulants of A in the small variable c_j = −log(1 − j/n): leaving out the
    fourth one is an error of order 1/n³.
    """
    n, mean, variance, third = num_samples, float(num_samples), 0.0, 0.0
    found = [(mean, variance, third)]
    if n <= EXACT_ANCESTORS:
        return found
    j = np.arange(1, 4)
    c = -np.log1p(-j / n)
    # c_j − j c_1 and log((n)_j/n^j), which would cancel.
    excess = np.log1p([0, 1 / (n * (n - 2)), (3 - 1 / n) / (n * (n - 3))])
    falling = -np.cumsum([0, c[0], c[1]])
    while mean > FEW_ANCESTORS:
        log_empty = -c[0] * mean + c[0] ** 2 * variance / 2 - c[0] ** 3 * third / 6
        spread = (c**2 - j * c[0] ** 2) * variance / 2 - (c**3 - j * c[0] ** 3) * third / 6
        # The factorial moments over the powers of the first one, minus 1.
        _, second, triple = np.expm1(falling - excess * mean + spread)
        empty = n * np.exp(log_empty)
        mean = -n * np.expm1(log_empty)
        variance = empty**2 * second + empty
        third = -(empty**3 * (triple - 3 * second) + 3 * empty**2 * second + empty)
        found.append((mean, variance, third))
    return found


def _law(mean: float, variance: float, third: float) -> np.ndarray:
    """Weights on 0, 1, 2, … with the given cumulants."""
    k = np.arange(int(mean + 9 * np.sqrt(variance)) + 1)
    if variance == 0:
        return np.where(k == mean, 1.0, 0.0)
    z = (k - mean) / np.sqrt(variance)
    weights = np.exp(-(z**2) / 2) * _skewed(z, variance, third)
    return weights / weights.sum()


def _quadrature(mean: float, variance: float, third: float) -> tuple[np.ndarray, np.ndarray]:
    """Nine values and weights with the given cumulants, for functions smooth on their scale."""
    z, weights = np.polynomial.hermite_e.hermegauss(9)
    return mean + np.sqrt(variance) * z, weights / weights.sum() * _skewed(z, variance, third)


def _skewed(z: np.ndarray, variance: float, third: float) -> np.ndarray:
    """The density relative to a Gaussian one, to the second order in the skewness."""
    skewness = third / variance**1.5 if variance > 0 else 0.0
    third_hermite, sixth_hermite = z**3 - 3 * z, z**6 - 15 * z**4 + 45 * z**2 - 15
    return 1 + skewness / 6 * third_hermite + skewness**2 / 72 * sixth_hermite


# --- T = 1: entropy -------------------------------------------------------------------------------


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
    return simplex.entropy(logits0)


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
    alive = simplex.num_surviving(logits0)
    dtype = simplex.log_probabilities(logits0).dtype
    return (alive - 1).astype(dtype) / (2 * jnp.asarray(num_samples))


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
    return 2 * jnp.asarray(num_samples) * simplex.entropy(logits0)


# --- Truncation -----------------------------------------------------------------------------------


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
    theta = simplex.log_probabilities(logits0)
    rank = jnp.argsort(jnp.argsort(-theta, -1, stable=True), -1)
    left = survivors(jnp.where(rank < kept, theta, -jnp.inf), num_samples, generation)
    whole = simplex.num_surviving(theta).astype(theta.dtype)
    whole = whole.reshape(whole.shape + (1,) * np.ndim(generation))
    return jnp.where(np.asarray(generation) == 0, whole, left)


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
        Exact for infinitely many samples. Where p_m = (1 − π)(p_1 + … + p_m) holds exactly, the
        rule cuts but rounding decides: ten equal outcomes and π = 0.9.

    Example:
        >>> import jax.numpy as jnp
        >>> words = -jnp.log(jnp.arange(1, 10_001))  # p ∝ 1/m
        >>> float(nucleus_support(words, 0.9)), float(nucleus_support(words, 0.99))
        (4.0, 25.0)

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    checks.check_fraction(mass, "mass")
    p, mass = simplex.per_distribution(simplex.probabilities(logits0), mass)
    ranked = -jnp.sort(-p, -1)
    # Written with 1 − π, not with S_{m−1} < π S_m, which would cancel.
    stays = ranked > (1 - mass) * jnp.cumsum(ranked, -1)
    return jnp.maximum(jnp.sum(stays, -1), 1).astype(p.dtype)


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
        The mean time in generations. The outcome wins with the chance (p − δ)/(1 − 2δ).

    Validity:
        Asymptotic, K = 2, T = 1, for n → ∞. The chain jumps over the boundary: take
        δ − 0.58 √(δ(1 − δ)/n) for δ to halve the number of digits lost (heuristic).

    Example:
        >>> round(float(nucleus_boundary(0.0, 0.9, 400)), 1)  # 800 (log 2 − S(0.1)); exactly 307.8
        294.5

    References:
        Derived here (`laws/resampling/derivation.py`).
    """
    z, n = jnp.asarray(logit_gap, float), jnp.asarray(num_samples)
    delta = 1 - jnp.asarray(mass, z.dtype)
    log_p, log_q = jax.nn.log_sigmoid(z), jax.nn.log_sigmoid(-z)
    S = -jnp.exp(log_p) * log_p - jnp.exp(log_q) * log_q
    edge = -jax.scipy.special.xlogy(delta, delta) - jax.scipy.special.xlog1py(1 - delta, -delta)
    return 2 * n * (S - edge)


# --- A temperature --------------------------------------------------------------------------------


# --- Real data and partial refits -----------------------------------------------------------------


# --- A verifier -----------------------------------------------------------------------------------
