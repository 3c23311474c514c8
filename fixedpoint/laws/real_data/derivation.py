"""Real data: refits to own samples mixed with real ones, and partial refits.

Proofs in SymPy.
"""

from collections.abc import Callable, Sequence
from typing import Any

import sympy as sp

from fixedpoint.laws import notation
from fixedpoint.laws.equation import NUM_OUTCOMES, OUTCOME, Step, at, claim, total

n, t, k = sp.symbols("n t k", integer=True, positive=True)
j = sp.Symbol("j", integer=True, positive=True)
i, K = OUTCOME, NUM_OUTCOMES
LOGITS = [1.3, -0.4, 0.2, -2.1]
"""An asymmetric model for the edges."""
LOST = [0.7, float("-inf"), -0.3]
"""A model that has lost an outcome."""
FIXED = [float("-inf"), 0.3]
"""A model with one outcome left."""


# --- The definitions: one generation --------------------------------------------------------------


def shares(num_outcomes: int) -> list[Any]:
    """Probabilities p₁, …, p_K with the last one eliminated: they add up to 1 identically."""
    free = list(sp.symbols(f"p1:{num_outcomes}", positive=True))
    return [*free, 1 - sum(free)]


def moment(p: Sequence[Any], powers: Sequence[int]) -> Any:
    """E ∏ N_i^{a_i} of the counts of n samples, for any n.

    The draws are independent, so that E e^{s·N} = (Σ p_i e^{s_i})^n; moments are its derivatives.
    """
    s = sp.symbols(f"s1:{len(p) + 1}")
    generating = sum(x * sp.exp(v) for x, v in zip(p, s, strict=True)) ** n
    for v, power in zip(s, powers, strict=True):
        generating = sp.diff(generating, v, power) if power else generating
    return sp.simplify(generating.subs(dict.fromkeys(s, 0)))


# --- A temperature --------------------------------------------------------------------------------

beta, eps, kappa, share, x, y = sp.symbols("beta epsilon kappa x_0 x y", positive=True)


# --- Real data and partial refits -----------------------------------------------------------------

a, eta, B, M = sp.symbols("a eta B m", positive=True)
real: Any = sp.IndexedBase(r"{\log q}", real=True)

REFRESHED = "T = 1; full refits. "
ISLAND = "known: Wright 1931 (migration into a finite population)"


def real_share(index: Any = i) -> Any:
    """q_i, the real distribution."""
    return sp.exp(real[index]) / total(sp.exp(real[j]), j)


def real_variance(factor: Any) -> Any:
    """q_i (1 − q_i) times a factor."""
    return real_share() * (1 - real_share()) * factor


def second_moments(num_outcomes: int, balance: Callable[..., Any], factor: Any) -> list[Any]:
    """Residuals of stationarity for E p_i² and E p_i p_j, if Cov(p) = factor · (diag q − qq').

    Args:
        num_outcomes: K.
        balance: (E p_i p_j, q_i, q_j, δ_ij q_i) ↦ the same second moment one generation later.
        factor: the claimed factor.
    """
    q = shares(num_outcomes)
    residuals = []
    for first, second in ((0, 0), (0, 1)):
        same = q[0] if first == second else sp.Integer(0)
        claimed = q[first] * q[second] + factor * (same - q[first] * q[second])
        residuals.append(balance(claimed, q[first], q[second], same) - claimed)
    return residuals


def multinomial_step() -> Step:
    """Second moments of the frequencies of n draws."""
    p = shares(3)
    return Step(
        "frequencies of n draws from r: E p̂_i p̂_j = (1 − 1/n) r_i r_j + δ_ij r_i/n  (K = 3)",
        [
            moment(p, [2, 0, 0]) / n**2 - ((1 - 1 / n) * p[0] ** 2 + p[0] / n),
            moment(p, [1, 1, 0]) / n**2 - (1 - 1 / n) * p[0] * p[1],
        ],
    )


def immigration_factor() -> Any:
    """1/(1 + Θ)."""
    return 1 / (1 + (n - 1) * a * (2 - a))


def prove_immigration() -> list[Step]:
    """The second moments reproduce themselves."""

    def balance(square: Any, first: Any, second: Any, same: Any) -> Any:
        # r = (1 − a) p + a q, with E p = q.
        drawn = (1 - a) ** 2 * square + (1 - (1 - a) ** 2) * first * second
        return (1 - 1 / n) * drawn + same / n

    return [
        multinomial_step(),
        Step(
            "E p = q is kept: (1 − a) q + a q = q",
            (1 - a) * real_share() + a * real_share() - real_share(),
        ),
        Step(
            "variances and covariances (δ_ij q_i − q_i q_j)/(1 + Θ) are kept  (K = 2, 3)",
            [r for size in (2, 3) for r in second_moments(size, balance, immigration_factor())],
        ),
    ]


@claim(
    "If each sample is real with chance a, the model fluctuates about the real "
    "distribution, with a known covariance; shown for the variances.",
    real_variance(immigration_factor()),
    lhs=r"{\operatorname{Var} p_i}",
    of=(
        notation.logits_real.written(real)(-3, 3),
        notation.fraction(0, 1),
        notation.num_samples(1, 2000),
    ),
    assumes=REFRESHED + "Stationary; each of the n samples is real with chance a > 0.",
    source=ISLAND,
    cites=("wright1931", "bakshi2026"),
    near_misses={
        "the diffusion limit": real_variance(1 / (1 + 2 * n * a)),
        "n instead of n − 1": real_variance(1 / (1 + n * a * (2 - a))),
        "2a instead of a(2 − a)": real_variance(1 / (1 + 2 * (n - 1) * a)),
        "one generation of sampling noise": real_variance(1 / n),
    },
    edges=[
        at(LOST, 0.1, 7),
        at(FIXED, 0.1, 7, gives=[0.0, 0.0]),
        at(LOGITS, 1.0, 7),
        at(LOGITS, 0.3, 1),
    ],
)
def immigration() -> list[Step]:
    """The second moments reproduce themselves."""
    return prove_immigration()


def pseudo_factor() -> Any:
    """(1 − a)²/(m − (m − 1)(1 − a)²)."""
    return (1 - a) ** 2 / (n - (n - 1) * (1 - a) ** 2)


@claim(
    "Real data that are added without noise (as pseudo-counts) leave the variance of the "
    "model's own samples alone.",
    real_variance(pseudo_factor()),
    lhs=r"{\operatorname{Var} p_i}",
    of=(
        notation.logits_real.written(real)(-3, 3),
        notation.fraction(0, 1),
        notation.num_samples(1, 2000),
    ),
    assumes=REFRESHED + "Stationary; p' = (1 − a) p̂ + a q with a > 0 and m own samples.",
    accuracy=1e-11,
    near_misses={
        "as if real samples were drawn": real_variance(immigration_factor()),
        "without the factor (1 − a)²": real_variance(1 / (n - (n - 1) * (1 - a) ** 2)),
        "m instead of m − 1": real_variance((1 - a) ** 2 / (n - n * (1 - a) ** 2)),
    },
    edges=[
        at(LOST, 0.1, 7),
        at(LOGITS, 0.3, 1),
    ],
)
def immigration_pseudo() -> list[Step]:
    """As before, with the noise in the own part alone."""

    def balance(square: Any, first: Any, second: Any, same: Any) -> Any:
        own = (1 - 1 / n) * square + same / n
        return (1 - a) ** 2 * own + (1 - (1 - a) ** 2) * first * second

    return [
        multinomial_step(),
        Step(
            "p' = (1 − a) p̂ + a q keeps the claimed second moments  (K = 2, 3)",
            [r for size in (2, 3) for r in second_moments(size, balance, pseudo_factor())],
        ),
    ]


R = sp.Symbol("k", positive=True)


def stratified_factor() -> Any:
    """1/(1 − a + na(2 − a)) at a = k/n."""
    return 1 / (1 - R / n + R * (2 - R / n))


@claim(
    "The variance if exactly k of the n samples are real.",
    real_variance(stratified_factor()),
    lhs=r"{\operatorname{Var} p_i}",
    of=(
        notation.logits_real.written(real)(-3, 3),
        notation.num_real.written(R)(1, 20, "integer"),
        notation.num_samples(20, 2000),
    ),
    assumes=REFRESHED + "Stationary; k ≥ 1 real and n − k own samples a generation.",
    near_misses={
        "as if their number were random": real_variance(immigration_factor().subs(a, R / n)),
        "without 1 − a": real_variance(1 / (R * (2 - R / n))),
        "the diffusion limit": real_variance(1 / (1 + 2 * R)),
    },
    edges=[
        at(LOST, 2, 7),
        at(LOGITS, 7, 7),
    ],
)
def immigration_stratified() -> list[Step]:
    """Two independent parts of fixed sizes."""
    own, fraction = n - R, R / n

    def balance(square: Any, first: Any, second: Any, same: Any) -> Any:
        # E[(S + R)_i (S + R)_j]/n² with S ~ Multinomial(n − k, p) and R ~ Multinomial(k, q).
        drawn = own * (own - 1) * square + own * same
        given = R * (R - 1) * first * second + R * same
        return (drawn + given + 2 * own * R * first * second) / n**2

    noise = balance(sp.Symbol("E"), sp.Symbol("q"), sp.Symbol("q"), sp.Symbol("q"))
    direct = (1 - fraction) ** 2 * sp.Symbol("E") + (1 - (1 - fraction) ** 2) * sp.Symbol("q") ** 2
    spread = (1 - fraction) * (sp.Symbol("q") - sp.Symbol("E")) + fraction * (
        sp.Symbol("q") - sp.Symbol("q") ** 2
    )
    return [
        multinomial_step(),
        Step("k real and n − k own samples: their noises add up", noise - direct - spread / n),
        Step(
            "the claimed second moments are kept  (K = 2, 3)",
            [r for size in (2, 3) for r in second_moments(size, balance, stratified_factor())],
        ),
    ]


@claim(
    "The share of the real data's diversity that is kept for ever depends on the number of "
    "samples and the fraction of real ones alone.",
    1 - immigration_factor(),
    lhs=r"{\mathbb{E}[1-\sum p^2]/(1-\sum q^2)}",
    of=(
        notation.fraction(0, 1),
        notation.num_samples(2, 2000),
    ),
    assumes=REFRESHED + "Stationary; each of the n samples is real with chance a.",
    source=ISLAND,
    cites=("wright1931", "bakshi2026"),
    near_misses={
        "the diffusion limit": 2 * n * a / (1 + 2 * n * a),
        "n instead of n − 1": n * a * (2 - a) / (1 + n * a * (2 - a)),
        "diploid": 4 * n * a / (1 + 4 * n * a),
    },
    edges=[
        at(0.0, 7, gives=0.0),
        at(0.5, 1, gives=0.0),
        at(1e-9, 10**6),
    ],
)
def kept_diversity() -> list[Step]:
    """Summed over the outcomes."""
    steps = []
    for size in (2, 3):
        q = shares(size)
        squares = sum(v**2 + immigration_factor() * v * (1 - v) for v in q)
        whole = 1 - sum(v**2 for v in q)
        Theta = (n - 1) * a * (2 - a)
        steps.append((1 - squares) - whole * Theta / (1 + Theta))
    return [
        *prove_immigration(),
        Step("1 − E Σp² = (1 − Σq²) (1 − 1/(1 + Θ))  (K = 2, 3)", steps),
    ]


@claim(
    "One real sample every other generation keeps half of the diversity for ever, one in "
    "each generation two thirds, however many samples there are besides.",
    2 * M / (1 + 2 * M),
    lhs=r"{\mathbb{E}[1-\sum p^2]/(1-\sum q^2)}",
    kind="asymptotic",
    of=(notation.num_real.written(M)(0, 100),),
    assumes=REFRESHED + "Stationary; m = na real samples a generation in the mean, n ≫ m, 1.",
    source="known: one migrant a generation (Wright 1931; Spieth 1974)",
    cites=("wright1931",),
    near_misses={
        "diploid": 4 * M / (1 + 4 * M),
        "half of it": M / (1 + M),
        "everything once there is one": 1 - sp.exp(-2 * M),
    },
    edges=[
        at(0.0, gives=0.0),
        at(0.5, gives=0.5),
    ],
)
def one_real_sample() -> list[Step]:
    """The limit of Θ at fixed na."""
    Theta = ((n - 1) * a * (2 - a)).subs(a, M / n)
    order = sp.Symbol("h", positive=True)
    small = sp.expand(Theta.subs(n, 1 / order))
    return [
        Step("Θ → 2m for n → ∞ at a = m/n", small.subs(order, 0) - 2 * M),
        Step(
            "the share's first correction is −m(m + 2)/(1 + 2m)² / n",
            sp.diff(small / (1 + small), order).subs(order, 0) + M * (M + 2) / (1 + 2 * M) ** 2,
        ),
    ]


def beta_law(first: Any, second: Any) -> Any:
    """The Beta distribution's function at x₀: a regularised incomplete Beta integral."""
    return sp.betainc(first, second, 0, share) / sp.beta(first, second)


q_i = sp.Symbol("q_i", positive=True)


@claim(
    "With few real samples among many the model is distributed as a Dirichlet law about "
    "the real distribution; shown for one outcome.",
    beta_law(2 * M * q_i, 2 * M * (1 - q_i)),
    lhs=r"{\mathbb{P}(p_i\le x_0)}",
    kind="asymptotic",
    of=(
        notation.share(0.01, 0.99),
        notation.real_probability(0.05, 0.95),
        notation.num_real.written(M)(0.3, 20),
    ),
    assumes=REFRESHED + "Stationary; n → ∞ at fixed m = na. The mass at p_i = 0 is not given.",
    source="known: Wright 1931",
    cites=("wright1931",),
    accuracy=1e-9,
    near_misses={
        "half the strength": beta_law(M * q_i, M * (1 - q_i)),
        "diploid: twice the strength": beta_law(4 * M * q_i, 4 * M * (1 - q_i)),
        "the outcome and the rest exchanged": beta_law(2 * M * (1 - q_i), 2 * M * q_i),
    },
    edges=[
        at(0.0, 0.3, 2.0, gives=0.0),
        at(1.0, 0.3, 2.0, gives=1.0),
        at(0.25, 0.5, 1.0, gives=0.25),
    ],
)
def immigration_dirichlet() -> list[Step]:
    """Drift a(q − p) and noise p(1 − p)/n carry no current in the Beta density."""
    q, strength = sp.symbols("q Theta", positive=True)
    density = x ** (strength * q - 1) * (1 - x) ** (strength * (1 - q) - 1)
    drift, noise = strength / 2 * (q - x), x * (1 - x)
    current = drift * density - sp.diff(noise * density, x) / 2
    moments = [
        sp.gamma(strength * q + power)
        * sp.gamma(strength)
        / sp.gamma(strength * q)
        / sp.gamma(strength + power)
        for power in (1, 2)
    ]
    return [
        Step(
            "drift: n E[p' − p] = na (q − p) = (Θ/2)(q − p), Θ = 2na",
            n * ((1 - a) * x + a * q - x) - (strength / 2 * (q - x)).subs(strength, 2 * n * a),
        ),
        Step("the Beta density carries no probability current", current / density),
        Step(
            "its variance is q(1 − q)/(1 + Θ), as in `real_data.immigration`",
            sp.gammasimp(moments[1] - moments[0] ** 2) - q * (1 - q) / (1 + strength),
        ),
    ]


def refit_noise(steps: Any = M, size: Any = B) -> Any:
    """η (1 − (1 − η)^{2m}) / ((2 − η) B)."""
    return eta * (1 - (1 - eta) ** (2 * steps)) / ((2 - eta) * size)


def prove_partial_refit() -> list[Step]:
    """Variance after m steps: v ← (1 − η)² v + η² h/B."""
    p = shares(3)
    lost = 1 - sum(
        v**2 + (moment(p, [2 * int(g == c) for c in range(3)]) / n**2 - v**2)
        for g, v in enumerate(p)
    )
    return [
        Step(
            "noise of variance p(1 − p) v takes the share v of 1 − Σp²  (n draws: v = 1/n, K = 3)",
            lost - (1 - 1 / n) * (1 - sum(v**2 for v in p)),
        ),
        Step(
            "v(m + 1) = (1 − η)² v(m) + η²/B",
            refit_noise(M + 1) - (1 - eta) ** 2 * refit_noise(M) - eta**2 / B,
        ),
        Step("v(0) = 0, v(1) = η²/B", [refit_noise(0), refit_noise(1) - eta**2 / B]),
    ]


@claim(
    "m partial refits on fresh batches of a frozen generator lose as much diversity as a "
    "full refit to n_e samples.",
    refit_noise(),
    lhs=r"{1/n_e}",
    of=(
        notation.step_size(0.01, 1),
        notation.batch_size.written(B)(1, 100),
        notation.num_steps(1, 100),
    ),
    assumes="T = 1; p ← (1 − η) p + η p̂, B samples a step; the second moment alone.",
    near_misses={
        "on-policy, m steps": 1 - (1 - eta**2 / B) ** M,
        "m times one step": M * eta**2 / B,
        "η/B per step": eta * (1 - (1 - eta) ** M) / B,
    },
    edges=[
        at(1.0, 5, 3, gives=0.2),
        at(1e-6, 5, 10**7),
    ],
)
def partial_refit() -> list[Step]:
    """Variance after m steps: v ← (1 − η)² v + η² h/B."""
    return prove_partial_refit()


def data_noise() -> Any:
    """A²/n + (1 − 1/n) times the noise of the minibatches."""
    return (1 - (1 - eta) ** M) ** 2 / n + (1 - 1 / n) * refit_noise()


@claim(
    "The same on minibatches, drawn with replacement from one data set of n samples.",
    data_noise(),
    lhs=r"{1/n_e}",
    of=(
        notation.step_size(0.01, 1),
        notation.batch_size.written(B)(1, 100),
        notation.num_steps(1, 100),
        notation.num_samples(1, 1000),
    ),
    assumes="T = 1; a new data set of n samples each generation; the second moment alone.",
    near_misses={
        "fresh batches": refit_noise(),
        "noises simply added": (1 - (1 - eta) ** M) ** 2 / n + refit_noise(),
        "the data learnt in full": 1 / n + (1 - 1 / n) * refit_noise(),
    },
    edges=[
        at(1.0, 2, 1, 2, gives=0.75),
        at(0.3, 2, 10**6, 9),
    ],
)
def partial_refit_data() -> list[Step]:
    """The data's own noise, and the minibatches' given the data."""
    p = shares(3)
    A = lambda steps: 1 - (1 - eta) ** steps  # noqa: E731
    diversity = 1 - sum(moment(p, [2 * int(g == c) for c in range(3)]) / n**2 for g in range(3))
    return [
        Step(
            "given the data, the mean after m steps is (1 − A) p + A p̂",
            [A(M + 1) - ((1 - eta) * A(M) + eta), A(0)],
        ),
        Step(
            "the data's own 1 − Σp̂² is (1 − 1/n)(1 − Σp²) in the mean  (K = 3)",
            diversity - (1 - 1 / n) * (1 - sum(v**2 for v in p)),
        ),
        *prove_partial_refit(),
        Step(
            "the variance grows as v ← (1 − η)² v + 2η(1 − η) c + η²(1/n + (1 − 1/n)/B), c = A/n "
            "the covariance with the data; the claim does, from 0",
            [
                data_noise().subs(M, M + 1)
                - (1 - eta) ** 2 * data_noise()
                - 2 * eta * (1 - eta) * A(M) / n
                - eta**2 * (1 / n + (1 - 1 / n) / B),
                data_noise().subs(M, 0),
            ],
        ),
    ]
