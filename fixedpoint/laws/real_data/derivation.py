"""Real data: refits to own samples mixed with real ones, and partial refits.

Each of n samples is real with chance a, or exactly M of them are, or the real distribution is added
without noise. The model then fluctuates about the real distribution for ever, and the second
moments of the stationary law reproduce themselves in one generation of the loop.
"""

from typing import Any

import sympy as sp

from fixedpoint import symbolic
from fixedpoint.laws import notation
from fixedpoint.laws.equation import FIXED, LOGITS, LOST, Step, at, claim
from fixedpoint.laws.notation import B, M, a, eta, m, n, psi
from fixedpoint.symbolic import (
    Fresh,
    Loop,
    Mixed,
    MixtureStep,
    Pooled,
    at_rest,
    lumped,
    probability,
    shares,
)

ISLAND = "known: Wright 1931 (migration into a finite population)"
STATIONARY = "Stationary."

POOLED = Loop(corpus=Pooled(psi, a, Fresh(n)))
PSEUDO = Loop(corpus=Mixed(psi, a, Fresh(n)))
STRATIFIED = Loop(corpus=Mixed(psi, M / n, Fresh(n - M), M))
SCARCE = Loop(corpus=Pooled(psi, M / n, Fresh(n)))
"""M real samples a generation in the mean."""
FROZEN = Loop(corpus=Pooled(psi, 1, Fresh(B)), learner=MixtureStep(eta))
"""Steps towards batches of a generator that stays the same."""


def real_variance(factor: Any) -> Any:
    """q_i (1 − q_i) times a factor, q the real distribution."""
    q = probability(base=psi)
    return q * (1 - q) * factor


def reproduced(loop: Loop, answer: Any) -> list[Step]:
    """A claimed variance and the covariances that follow from it reproduce themselves."""
    steps = []
    for size in (2, 3):
        q = shares(size, "q")
        steps += at_rest(symbolic.given(loop, {psi: q}), q, lumped(answer, q, psi))
    return steps


# --- The variance at rest -------------------------------------------------------------------------


def pooled_factor() -> Any:
    """1/(1 + Θ), Θ = (n − 1) a (2 − a)."""
    return 1 / (1 + (n - 1) * a * (2 - a))


@claim(
    "If each sample is real with chance a, the model fluctuates about the real "
    "distribution, with a known covariance; shown for the variances.",
    real_variance(pooled_factor()),
    lhs=r"{\operatorname{Var} p_i}",
    of=(
        notation.logits_real(-3, 3),
        notation.fraction(0, 1),
        notation.num_samples(1, 2000),
    ),
    loop=POOLED,
    assumes=STATIONARY,
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
def immigration(answer: Any) -> list[Step]:
    """The second moments reproduce themselves."""
    return reproduced(POOLED, answer)


def pseudo_factor() -> Any:
    """(1 − a)²/(n − (n − 1)(1 − a)²)."""
    return (1 - a) ** 2 / (n - (n - 1) * (1 - a) ** 2)


@claim(
    "Real data that are added without noise (as pseudo-counts) leave the variance of the "
    "model's own samples alone.",
    real_variance(pseudo_factor()),
    lhs=r"{\operatorname{Var} p_i}",
    of=(
        notation.logits_real(-3, 3),
        notation.fraction(0, 1),
        notation.num_samples(1, 2000),
    ),
    loop=PSEUDO,
    assumes=STATIONARY,
    accuracy=1e-11,
    near_misses={
        "as if real samples were drawn": real_variance(pooled_factor()),
        "without the factor (1 − a)²": real_variance(1 / (n - (n - 1) * (1 - a) ** 2)),
        "n instead of n − 1": real_variance((1 - a) ** 2 / (n - n * (1 - a) ** 2)),
    },
    edges=[
        at(LOST, 0.1, 7),
        at(LOGITS, 0.3, 1),
    ],
)
def immigration_pseudo(answer: Any) -> list[Step]:
    """The second moments reproduce themselves, with the noise in the own part alone."""
    return reproduced(PSEUDO, answer)


def stratified_factor() -> Any:
    """1/(1 − a + na(2 − a)) at a = M/n."""
    return 1 / (1 - M / n + M * (2 - M / n))


@claim(
    "The variance if exactly M of the n samples are real.",
    real_variance(stratified_factor()),
    lhs=r"{\operatorname{Var} p_i}",
    of=(
        notation.logits_real(-3, 3),
        notation.num_real(1, 20, "integer"),
        notation.num_samples(20, 2000),
    ),
    loop=STRATIFIED,
    assumes=STATIONARY,
    near_misses={
        "as if their number were random": real_variance(pooled_factor().subs(a, M / n)),
        "without 1 − a": real_variance(1 / (M * (2 - M / n))),
        "the diffusion limit": real_variance(1 / (1 + 2 * M)),
    },
    edges=[
        at(LOST, 2, 7),
        at(LOGITS, 7, 7),
    ],
)
def immigration_stratified(answer: Any) -> list[Step]:
    """The second moments reproduce themselves, with two independent parts of fixed sizes."""
    return reproduced(STRATIFIED, answer)


# --- How much diversity is kept -------------------------------------------------------------------


@claim(
    "The share of the real data's diversity that is kept for ever depends on the number of "
    "samples and the fraction of real ones alone.",
    1 - pooled_factor(),
    lhs=r"{\mathbb{E}[1-\sum p^2]/(1-\sum q^2)}",
    of=(
        notation.fraction(0, 1),
        notation.num_samples(2, 2000),
    ),
    loop=POOLED,
    given={"logits_real": psi},
    assumes=STATIONARY,
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
def kept_diversity(answer: Any) -> list[Step]:
    """The second moments that lose the rest of 1 − Σq² reproduce themselves."""
    steps = []
    for size in (2, 3):
        q = shares(size, "q")

        def second(first: int, other: int, q: list[Any] = q) -> Any:
            same = q[first] if first == other else 0
            return q[first] * q[other] + (1 - answer) * (same - q[first] * q[other])

        lost = 1 - sum(second(place, place) for place in range(size))
        steps += [
            *at_rest(symbolic.given(POOLED, {psi: q}), q, second),
            Step(
                "1 − Σ E p² is the share of 1 − Σq² that is claimed",
                lost - answer * symbolic.heterozygosity(q),
                sizes={"K": size},
            ),
        ]
    return steps


@claim(
    "One real sample every other generation keeps half of the diversity for ever, one in "
    "each generation two thirds, however many samples there are besides.",
    2 * M / (1 + 2 * M),
    lhs=r"{\mathbb{E}[1-\sum p^2]/(1-\sum q^2)}",
    kind="asymptotic",
    of=(notation.num_real(0, 100),),
    loop=SCARCE,
    given={"logits_real": psi, "num_samples": n},
    assumes="Stationary; n ≫ M, 1.",
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
def one_real_sample(answer: Any) -> list[Step]:
    """The limit of `real_data.kept_diversity` at fixed na."""
    return symbolic.as_limit(kept_diversity.rhs.subs(a, M / n), answer, n, sp.oo)


def beta_law(first: Any, second: Any) -> Any:
    """The Beta distribution's function at x: a regularised incomplete Beta integral."""
    return sp.betainc(first, second, 0, share) / sp.beta(first, second)


share: Any = notation.share.symbol
q_i: Any = notation.real_probability.symbol


@claim(
    "With few real samples among many the model is distributed as a Dirichlet law about "
    "the real distribution; shown for one outcome.",
    beta_law(2 * M * q_i, 2 * M * (1 - q_i)),
    lhs=r"{\mathbb{P}(p_i\le x)}",
    kind="asymptotic",
    of=(
        notation.share(0.01, 0.99),
        notation.real_probability(0.05, 0.95),
        notation.num_real(0.3, 20),
    ),
    loop=SCARCE,
    given={"logits_real": psi, "num_samples": n},
    assumes="Stationary; n → ∞ at fixed M. The mass at p_i = 0 is not given.",
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
def immigration_dirichlet(answer: Any) -> list[Step]:
    """Drift and noise of one generation carry no current in the claimed density."""
    q = [q_i, 1 - q_i]
    loop = symbolic.given(SCARCE, {psi: q})
    moved = [symbolic.mean(loop, [share, 1 - share], lambda x: x[0] - share)]
    moved.append(symbolic.mean(loop, [share, 1 - share], lambda x: (x[0] - share) ** 2))
    drift, noise = (sp.limit(sp.simplify(n * moment), n, sp.oo) for moment in moved)
    density = sp.diff(answer, share)
    current = drift * density - sp.diff(noise * density, share) / 2
    ends = [({share: x, q_i: 0.375, M: 3}, x) for x in (0, 1)]
    return [
        Step("the density carries no probability current", sp.simplify(current / density)),
        symbolic.at_numbers(answer, ends, "its distribution function is 0 at 0 and 1 at 1", M=3),
    ]


# --- Partial refits -------------------------------------------------------------------------------


def refit_noise(steps: Any = m, size: Any = B) -> Any:
    """η (1 − (1 − η)^{2m}) / ((2 − η) B)."""
    return eta * (1 - (1 - eta) ** (2 * steps)) / ((2 - eta) * size)


def lost_diversity(loop: Loop, size: int = 3) -> tuple[Any, Any]:
    """What one step makes of |x − q|², x the model and q the generator: its factor, what it adds.

    The noise is in units of 1 − Σq².
    """
    q, x = shares(size, "q"), list(sp.symbols(f"x1:{size + 1}", positive=True))

    def distance(model: Any) -> Any:
        return sum((u - v) ** 2 for u, v in zip(model, q, strict=True))

    after = sp.expand(symbolic.mean(symbolic.given(loop, {psi: q}), x, distance))
    noise = sp.simplify(after.subs(dict(zip(x, q, strict=True))) / symbolic.heterozygosity(q))
    return sp.simplify((after - noise * symbolic.heterozygosity(q)) / distance(x)), noise


@claim(
    "m partial refits on fresh batches of a frozen generator lose as much diversity as a "
    "full refit to n_e samples.",
    refit_noise(),
    lhs=r"{1/n_e}",
    of=(
        notation.step_size(0.01, 1),
        notation.batch_size(1, 100),
        notation.num_steps(1, 100),
    ),
    loop=FROZEN,
    given={"logits_real": psi},
    assumes="m steps from the generator itself; the second moment alone.",
    near_misses={
        "on-policy, m steps": 1 - (1 - eta**2 / B) ** m,
        "m times one step": m * eta**2 / B,
        "η/B per step": eta * (1 - (1 - eta) ** m) / B,
    },
    edges=[
        at(1.0, 5, 3, gives=0.2),
        at(1e-6, 5, 10**7),
    ],
)
def partial_refit(answer: Any) -> list[Step]:
    """One step turns the variance v into (1 − η)² v + η²/B, in units of 1 − Σp²."""
    factor, noise = lost_diversity(FROZEN)
    return [
        Step(
            "one step of the loop leads from m to m + 1",
            answer.subs(m, m + 1) - factor * answer - noise,
            sizes={"K": 3},
        ),
        Step("no step, no noise", answer.subs(m, 0)),
        Step(
            "a full refit to n samples loses the share 1/n of 1 − Σp²",
            lost_diversity(symbolic.given(FROZEN, {eta: sp.Integer(1), B: n}))[1] - 1 / n,
            sizes={"K": 3},
        ),
    ]


def data_noise() -> Any:
    """A²/n + (1 − 1/n) times the noise of the minibatches."""
    return (1 - (1 - eta) ** m) ** 2 / n + (1 - 1 / n) * refit_noise()


@claim(
    "The same on minibatches, drawn with replacement from one data set of n samples.",
    data_noise(),
    lhs=r"{1/n_e}",
    of=(
        notation.step_size(0.01, 1),
        notation.batch_size(1, 100),
        notation.num_steps(1, 100),
        notation.num_samples(1, 1000),
    ),
    loop=FROZEN,
    given={"logits_real": psi},
    assumes=(
        "The frozen generator is itself a data set of n samples, new in each generation; the "
        "second moment alone."
    ),
    near_misses={
        "fresh batches": refit_noise(),
        "noises simply added": (1 - (1 - eta) ** m) ** 2 / n + refit_noise(),
        "the data learnt in full": 1 / n + (1 - 1 / n) * refit_noise(),
    },
    edges=[
        at(1.0, 2, 1, 2, gives=0.75),
        at(0.3, 2, 10**6, 9),
    ],
)
def partial_refit_data(answer: Any) -> list[Step]:
    """The data's own noise, and the minibatches' given the data."""
    p = shares(3)
    kept = symbolic.mean(Loop(corpus=Fresh(n)), p, symbolic.heterozygosity)
    of_data = sp.simplify(kept / symbolic.heterozygosity(p))
    factor, noise = lost_diversity(FROZEN)
    # x − p = (x − p̂) + (p̂ − p): with c the covariance of x − p and p̂ − p, over 1 − Σp².
    covariance = (1 - (1 - eta) ** m) / n
    return [
        Step(
            "the data keep 1 − 1/n of 1 − Σp² in the mean",
            of_data - (1 - 1 / n),
            sizes={"K": 3},
        ),
        Step(
            "the covariance with the data goes c ← (1 − η) c + η/n, from 0",
            [
                covariance.subs(m, m + 1) - (1 - eta) * covariance - eta / n,
                covariance.subs(m, 0),
            ],
        ),
        Step(
            "one step of the loop leads from m to m + 1: (1 − η)² v + 2η(1 − η) c + η²/n + noise",
            answer.subs(m, m + 1)
            - factor * answer
            - 2 * eta * (1 - eta) * covariance
            - eta**2 / n
            - of_data * noise,
            sizes={"K": 3},
        ),
        Step("no step, no noise", answer.subs(m, 0)),
    ]
