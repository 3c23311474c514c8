"""The refitted loops themselves: listed history by history, as exact chains, or simulated."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint import chain, simplex
from fixedpoint.chain import from_loop
from fixedpoint.chain.states import binomial
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    Corpus,
    Curated,
    Exact,
    Fresh,
    Loop,
    Mixed,
    MixtureStep,
    Nucleus,
    Pooled,
    Refit,
    Target,
    Temperature,
    TopK,
    run,
)
from fixedpoint.loop.enumeration import all_counts, enumerate_histories

START = (0.5, 0.3, 0.2)
"""An asymmetric model, as probabilities."""

ROUNDING = 1e-12


def refit_loop(num_samples: int, temperature: float = 1.0) -> Loop:
    """Every generation is refitted to n of its own samples."""
    return Loop(Temperature(temperature), Fresh(num_samples), Refit())


def logits_of(probs: tuple[float, ...]) -> list[float]:
    """The logits of probabilities, as the laws take them."""
    return np.log(probs).tolist()


# --- T = 1: moments, fixation, survivors ----------------------------------------------------------


def until_decided(loop: Loop, start: list[float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each state of a loop's chain is visited while two outcomes or more are alive.

    Returns:
        The counts; the mean number of generations t ≥ 1 spent at each of the undecided ones (0 at
        the decided ones); the chance of ending at each of the decided ones.
    """
    found = from_loop(loop, len(start))
    first = found.first_generation(jnp.array(start))
    running = (found.counts > 0).sum(-1) > 1
    visits = np.zeros(len(first))
    inner = found.matrix[np.ix_(running, running)]
    visits[running] = np.linalg.solve(np.eye(len(inner)) - inner.T, first[running])
    return found.counts, visits, np.where(running, 0, first + visits @ found.matrix)


def heterozygosity() -> list[Observation]:
    """Means over all histories of three outcomes, and over a simulation of two."""
    observations = []
    for num_samples, num_generations in ((4, 3), (1, 1)):
        start = logits_of(START)
        end = enumerate_histories(refit_loop(num_samples), jnp.array(start), num_generations)
        observations.append(
            Observation(
                what=f"K = 3, n = {num_samples}, {num_generations} generations: all listed",
                arguments={
                    "logits0": start,
                    "num_samples": num_samples,
                    "generation": num_generations,
                },
                value=end.mean(simplex.heterozygosity(end.logits[-1])),
                tolerance=ROUNDING,
            )
        )
    num_samples, num_generations, num_replicates = 4, 8, 20_000
    start = logits_of((0.7, 0.3))
    runs = run(
        refit_loop(num_samples),
        jnp.array(start),
        num_generations,
        key=jax.random.key(1),
        num_replicates=num_replicates,
        observe=simplex.heterozygosity,
        save_at=[num_generations],
        progress=False,
    )
    observations.append(
        Observation(
            what="K = 2, n = 4, 8 generations of 20,000 replicates",
            arguments={
                "logits0": start,
                "num_samples": num_samples,
                "generation": num_generations,
            },
            value=runs.value[0].mean(),
            # 1 − Σp² lies in [0, 1/2] for two outcomes: its standard deviation is at most 1/4.
            standard_error=0.25 / np.sqrt(num_replicates),
        )
    )
    return observations


def fixation_probability() -> list[Observation]:
    """Where the chain of two and of three outcomes ends."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 4), (START, 1)):
        start = logits_of(probs)
        counts, _, end = until_decided(refit_loop(num_samples), start)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: the absorbing chain",
                arguments={"logits0": start},
                value=(counts > 0).T @ end,
                tolerance=ROUNDING,
            )
        )
    return observations


def spectrum() -> list[Observation]:
    """Eigenvalues of the chain of two outcomes."""
    num_samples = 6
    values = np.linalg.eigvals(from_loop(refit_loop(num_samples)).matrix).real
    return [
        Observation(
            what=f"eigenvalue {order} of the chain, K = 2, n = 6",
            arguments={"num_samples": num_samples, "order": order},
            value=np.sort(values)[::-1][order],
            tolerance=1e-7 if order < 2 else 1e-10,  # 1 is a double eigenvalue
        )
        for order in range(num_samples + 1)
    ]


def fixation_time() -> list[Observation]:
    """Mean time of the chain of all counts, and of each outcome's own chain, forwards in time."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 4), (START, 1)):
        start = logits_of(probs)
        _, visits, _ = until_decided(refit_loop(num_samples), start)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: the absorbing chain",
                arguments={"logits0": start, "num_samples": num_samples},
                value=1 + visits.sum(),
                tolerance=1e-11,
            )
        )
    many = np.arange(1, 9.0) ** -1.3
    observations.append(
        Observation(
            what="K = 8, n = 150: the chain of each outcome against the others",
            arguments={"logits0": np.log(many).tolist(), "num_samples": 150},
            value=chain.fixation_time(np.log(many), 150),
            tolerance=1e-9,
        )
    )
    return observations


def fixation_time_diffusion() -> Observation:
    """Time of three outcomes, from the chain of each against the others."""
    num_samples = 200
    return Observation(
        what="K = 3, n = 200: the chain of each outcome against the others",
        arguments={"logits0": logits_of(START), "num_samples": num_samples},
        value=chain.fixation_time(logits_of(START), num_samples),
        tolerance=1 + np.log(num_samples) / 2,
    )


def fixation_time_expansion() -> list[Observation]:
    """Times of two outcomes by elimination, at two numbers of samples."""
    observations = []
    for num_samples in (100, 400):
        time = chain.absorption(from_loop(refit_loop(num_samples))).mean
        for share in (0.5, 0.3, 0.1):
            observations.append(
                Observation(
                    what=f"n = {num_samples}, p = {share}: the absorbing chain",
                    arguments={
                        "logit_gap": float(np.log(share / (1 - share))),
                        "num_samples": num_samples,
                    },
                    value=time[round(share * num_samples)],
                    tolerance=0.2 / num_samples,
                )
            )
    return observations


def mean_alive(probs: np.ndarray, num_samples: int, num_generations: int) -> float:
    """Mean number of outcomes alive: each is followed in its own chain, forwards in time."""
    two = from_loop(refit_loop(num_samples))
    lost = (two.counts[:, 0] == 0).astype(float)
    for _ in range(num_generations - 1):
        lost = two.matrix @ lost
    first = binomial(np.log(np.column_stack([probs, 1 - probs])), num_samples)
    return float((1 - first @ lost).sum())


def survivors() -> list[Observation]:
    """Outcomes alive: three with all histories listed, five as chains of two, many simulated."""
    start = logits_of(START)
    observations = []
    for num_samples, num_generations in ((4, 3), (2, 4)):
        end = enumerate_histories(refit_loop(num_samples), jnp.array(start), num_generations)
        alive = jnp.sum(jnp.isfinite(end.logits[-1]), -1)
        observations.append(
            Observation(
                what=f"K = 3, n = {num_samples}, {num_generations} generations: all listed",
                arguments={
                    "logits0": start,
                    "num_samples": num_samples,
                    "generation": num_generations,
                },
                value=end.mean(alive.astype(float)),
                tolerance=ROUNDING,
            )
        )
    probs = np.array([0.4, 0.3, 0.15, 0.1, 0.05])
    for num_generations in (1, 2, 8, 40):
        observations.append(
            Observation(
                what=f"K = 5, n = 20, {num_generations} generations: chains of two, forwards",
                arguments={
                    "logits0": np.log(probs).tolist(),
                    "num_samples": 20,
                    "generation": num_generations,
                },
                value=mean_alive(probs, 20, num_generations),
                tolerance=1e-11,
            )
        )
    return observations


def survivors_power_law() -> list[Observation]:
    """Words with a power law, each as a chain of two, forwards in time."""
    observations = []
    for exponent, num_generations in ((2.0, 10), (3.0, 5)):
        probs = np.arange(1, 5001.0) ** -exponent
        probs /= probs.sum()
        alive = mean_alive(probs, 600, num_generations)
        observations.append(
            Observation(
                what=f"K = 5000, n = 600, exponent {exponent}, {num_generations} generations",
                arguments={
                    "exponent": exponent,
                    "top_probability": float(probs[0]),
                    "num_samples": 600,
                    "generation": num_generations,
                },
                value=alive,
                tolerance=0.01 * alive,
            )
        )
    return observations


def first_extinction() -> Observation:
    """Mean time to the first loss among three outcomes, from the chain of all counts."""
    num_samples, start = 40, (20, 12, 8)
    found = from_loop(refit_loop(num_samples), len(start))
    first_loss = found.stopped((found.counts == 0).any(-1))
    return Observation(
        what="K = 3, n = 40: the chain of all counts",
        arguments={"logits0": logits_of(start), "num_samples": num_samples},
        value=chain.absorption(first_loss).mean[found.index(start)],
        tolerance=0.5 + np.log(num_samples) / 2,
    )


# --- T = 1: entropy -------------------------------------------------------------------------------


def mean_cost(start: list[float], num_samples: int) -> float:
    """Mean of Σ_t KL(p_{t+1}‖p_t): every state's mean divergence, as often as it is visited."""
    found = from_loop(refit_loop(num_samples), len(start))
    _, visits, _ = until_decided(refit_loop(num_samples), start)
    models = found.counts / num_samples
    with np.errstate(divide="ignore"):
        log_models = np.log(models)

    def paid(log_p: np.ndarray) -> np.ndarray:
        """KL(p'‖p) for every next model p' that p can lead to."""
        with np.errstate(invalid="ignore"):
            terms = models * np.where(models > 0, log_models - log_p, 0)
        return np.where(np.isfinite(terms).all(-1), terms.sum(-1), 0)

    cost = found.first_generation(jnp.array(start)) @ paid(np.array(start))
    for state in np.flatnonzero(visits):
        cost += visits[state] * found.matrix[state] @ paid(log_models[state])
    return float(cost)


def entropy_budget() -> list[Observation]:
    """Divergences between successive models, over the visited states of the chain."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 6), (START, 3), (START, 1)):
        start = logits_of(probs)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: all generations of the absorbing chain",
                arguments={"logits0": start},
                value=mean_cost(start, num_samples),
                tolerance=1e-11,
            )
        )
    return observations


def entropy_toll() -> list[Observation]:
    """The loss of entropy in one generation, over all corpora."""
    observations = []
    for probs, num_samples in (((0.7, 0.3), 50), (START, 40)):
        start = logits_of(probs)
        found = from_loop(refit_loop(num_samples), len(start))
        with np.errstate(divide="ignore"):
            entropies = simplex.entropy(np.log(found.counts))
        loss = simplex.entropy(jnp.array(start)) - found.first_generation(start) @ entropies
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: all corpora",
                arguments={"logits0": start, "num_samples": num_samples},
                value=loss,
                # The next term is (Σ 1/p − 1)/(12 n²).
                tolerance=sum(1 / p for p in probs) / (6 * num_samples**2),
            )
        )
    return observations


def entropy_lifetime() -> list[Observation]:
    """Outcomes alive beyond one, over all generations of the chain of three."""
    num_samples = 40
    counts, visits, _ = until_decided(refit_loop(num_samples), logits_of(START))
    return [
        Observation(
            what="K = 3, n = 40: the absorbing chain",
            arguments={"logits0": logits_of(START), "num_samples": num_samples},
            value=len(START) - 1 + visits @ ((counts > 0).sum(-1) - 1),
            tolerance=np.log(num_samples),
        )
    ]


# --- Truncation -----------------------------------------------------------------------------------


def truncation() -> list[Observation]:
    """Outcomes alive under top-k, all histories of four outcomes listed."""
    start, kept = logits_of((0.4, 0.1, 0.3, 0.2)), 3
    observations = []
    for num_samples, num_generations in ((3, 1), (3, 3), (4, 2)):
        loop = Loop(TopK(kept), Fresh(num_samples), Refit())
        end = enumerate_histories(loop, jnp.array(start), num_generations)
        observations.append(
            Observation(
                what=f"K = 4, k = 3, n = {num_samples}, {num_generations} generations: all listed",
                arguments={
                    "logits0": start,
                    "num_samples": num_samples,
                    "generation": num_generations,
                    "kept": kept,
                },
                value=end.mean(jnp.sum(jnp.isfinite(end.logits[-1]), -1).astype(float)),
                tolerance=ROUNDING,
            )
        )
    return observations


def nucleus_support() -> list[Observation]:
    """The exact refit to the nucleus, until nothing is cut any more."""
    observations = []
    for exponent, mass in ((1.0, 0.9), (1.5, 0.95), (0.8, 0.95), (0.5, 0.8)):
        start = (-exponent * np.log(np.arange(1, 61))).tolist()
        end = run(
            Loop(Nucleus(mass), Exact(), Refit()),
            jnp.array(start),
            60,
            observe=simplex.num_surviving,
            save_at=[60],
            progress=False,
        )
        observations.append(
            Observation(
                what=f"60 words with exponent {exponent}, nucleus {mass}: 60 generations",
                arguments={"logits0": start, "mass": mass},
                value=end.value[0],
                tolerance=0.5,
            )
        )
    return observations


def nucleus_boundary() -> list[Observation]:
    """Times of two outcomes under nucleus sampling, by elimination."""
    num_samples, mass = 400, 0.9  # 360 of 400 are enough
    loop = Loop(Nucleus(mass), Fresh(num_samples), Refit())
    time = chain.absorption(from_loop(loop)).mean
    # The boundary is overshot by 0.58 standard deviations of one generation.
    delta = 1 - mass
    overshoot = 0.6 * np.sqrt(delta * (1 - delta) / num_samples)
    return [
        Observation(
            what=f"n = 400, nucleus {mass}, p = {share}: the absorbing chain",
            arguments={
                "logit_gap": float(np.log(share / (1 - share))),
                "mass": mass,
                "num_samples": num_samples,
            },
            value=time[round(share * num_samples)],
            tolerance=2 * num_samples * overshoot * np.log((1 - delta) / delta),
        )
        for share in (0.5, 0.3)
    ]


# --- A temperature --------------------------------------------------------------------------------


def scale_function() -> list[Observation]:
    """Exact chains at a fixed scaled temperature, more and more samples."""
    observations = []
    for kappa, num_samples in ((2.0, 50), (2.0, 400), (-2.0, 400)):
        temperature = 1 / (1 + kappa / num_samples)
        decided = chain.absorption(chain.from_loop(refit_loop(num_samples, temperature)))
        start = round(0.3 * num_samples)
        observations.append(
            Observation(
                what=f"K = 2, n = {num_samples}, kappa = {kappa:g}: exact chain from p = 0.3",
                arguments={
                    "probability": start / num_samples,
                    "temperature": temperature,
                    "num_samples": num_samples,
                },
                value=decided.probability[start, -1],
                # The diffusion's error, of order 1/n.
                tolerance=0.1 * abs(kappa) / num_samples,
            )
        )
    return observations


def critical_temperature() -> list[Observation]:
    """Where the mean entropy of the next generation equals the entropy, all corpora listed."""
    observations = []
    for probs, num_samples in ((START, 60), ((0.8, 0.2), 400)):
        start = jnp.log(jnp.array(probs))

        def rise(temperature: Any, start: Any = start, num_samples: Any = num_samples):
            after = enumerate_histories(refit_loop(num_samples, temperature), start, 1)
            return float(after.mean(simplex.entropy(after.logits[-1])) - simplex.entropy(start))

        # Secant steps from T = 1, where the entropy falls by about d/(2n).
        cold, hot = 1.0, 1 + 10 / num_samples
        low, high = rise(cold), rise(hot)
        for _ in range(5):
            cold, hot, low = hot, hot - high * (hot - cold) / (high - low), high
            high = rise(hot)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}: zero of the mean entropy's change",
                arguments={"logits": start.tolist(), "num_samples": num_samples},
                value=hot,
                # The next order, in units of the first one squared.
                tolerance=4 * (hot - 1) ** 2,
            )
        )
    return observations


def exponent(temperature: float, num_samples: tuple[int, ...], num_outcomes: int = 2) -> list[Any]:
    """Slopes of ln(mean time until the first loss), from equal outcomes, in exact chains."""
    times = []
    for number in num_samples:
        states = chain.from_loop(
            refit_loop(number, temperature), num_outcomes, exchangeable=num_outcomes > 2
        )
        first_loss = chain.absorption(states.stopped((states.counts == 0).any(-1)))
        start = states.index([number // num_outcomes] * num_outcomes)
        times.append(np.log(first_loss.mean[start]))
    return list(np.diff(times) / np.diff(num_samples))


def metastability() -> list[Observation]:
    """Slopes of exact chains, where n^{1−1/T} is large."""
    observations = []
    for temperature, num_samples in ((2.0, (200, 300)), (3.0, (100, 200)), (10.0, (60, 120))):
        observations.append(
            Observation(
                what=f"T = {temperature}: slope of ln(mean time) between n = {num_samples}",
                arguments={"temperature": temperature},
                value=exponent(temperature, num_samples)[0],
                # What is left of single survivors, exp(−n^{1−1/T}) and a power of n before it.
                tolerance=2e-4,
            )
        )
    return observations


def cheapest_path(temperature: float, num_generations: int) -> float:
    """The least action of the paths from even odds to the loss in a number of generations.

    Newton's method on all points at once, damped where the action does not fall.
    """
    beta = 1 / temperature

    def action(path: Any):
        z = jnp.concatenate([jnp.zeros(1), path])
        drawn, after = beta * z, jax.nn.sigmoid(path)
        rate = after * (path - drawn[:-1]) + jax.nn.softplus(drawn[:-1]) - jax.nn.softplus(path)
        return jnp.sum(rate) + jax.nn.softplus(drawn[-1])

    value, slope, curvature = map(jax.jit, (action, jax.grad(action), jax.hessian(action)))
    # Away from even odds by the factor T a generation, which the cheapest path is at first.
    path = -2.0 * temperature ** jnp.arange(-num_generations + 1.0, 1)
    damping = 1.0
    for _ in range(200):
        matrix = curvature(path) + damping * jnp.eye(num_generations)
        proposed = path - jnp.linalg.solve(matrix, slope(path))
        better = value(proposed) < value(path)
        path, damping = (proposed, damping / 4) if better else (path, damping * 4)
        if damping > 1e8 or jnp.abs(slope(path)).max() < 1e-9:
            break
    return float(value(path))


def action_series() -> list[Observation]:
    """The cheapest path of 80 generations, near T = 1."""
    return [
        Observation(
            what=f"T = {temperature}: cheapest path of {num_generations} generations",
            arguments={"temperature": temperature},
            value=cheapest_path(temperature, num_generations),
            # The fourth order of the series.
            tolerance=0.5 * (1 - 1 / temperature) ** 4,
        )
        for temperature, num_generations in ((1.1, 80),)
    ]


def staircase() -> list[Observation]:
    """First losses in exact chains; three outcomes extrapolated."""
    slopes = np.array(exponent(2.0, (12, 24, 36, 48), 3))
    first, last = slopes[-2] - slopes[-3], slopes[-1] - slopes[-2]
    return [
        Observation(
            what="K = 3, T = 2: slopes at n = 12 to 48, extrapolated as a geometric series",
            arguments={"num_outcomes": 3, "temperature": 2.0},
            value=slopes[-1] + last**2 / (first - last),
            tolerance=2e-3,
        ),
        Observation(
            what="K = 3, T = 8: slope between n = 24 and 36",
            arguments={"num_outcomes": 3, "temperature": 8.0},
            value=exponent(8.0, (24, 36), 3)[0],
            tolerance=5e-4,
        ),
    ]


def slow_eigenvalue() -> list[Observation]:
    """The decay of the undecided states in exact chains."""
    observations = []
    for temperature, num_samples in ((0.5, 60), (0.8, 120), (1.0, 20), (2.0, 80)):
        kept = chain.quasi_stationary(chain.from_loop(refit_loop(num_samples, temperature)))
        observations.append(
            Observation(
                what=f"K = 2, n = {num_samples}, T = {temperature}: exact chain",
                arguments={"temperature": temperature, "num_samples": num_samples},
                value=1 - kept.decay,
                tolerance=1e-10,
            )
        )
    return observations


# --- Real data and partial refits -----------------------------------------------------------------


def lasting(corpus: Corpus, num_outcomes: int) -> tuple[np.ndarray, np.ndarray]:
    """The stationary law of the counts of own samples: the states and their probabilities."""
    states = chain.from_loop(Loop(corpus=corpus), num_outcomes)
    return states.counts, chain.stationary(states)


def variance(probability: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Variance under probabilities of the states."""
    mean = probability @ values
    return probability @ (values - mean) ** 2


def immigration() -> list[Observation]:
    """Stationary laws of exact chains of two and three outcomes."""
    observations = []
    for probs, fraction, num_samples in (((0.5, 0.5), 0.25, 4), (START, 0.3, 5)):
        counts, law = lasting(Pooled(jnp.array(probs), fraction, Fresh(num_samples)), len(probs))
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}, a = {fraction}: exact chain",
                arguments={
                    "logits_real": logits_of(probs),
                    "fraction": fraction,
                    "num_samples": num_samples,
                },
                value=variance(law, counts / num_samples),
                tolerance=ROUNDING,
            )
        )
    return observations


def immigration_pseudo() -> list[Observation]:
    """Exact chains of the own samples, mixed with the real distribution itself."""
    observations = []
    for probs, fraction, num_samples in (((0.7, 0.3), 0.25, 4), (START, 0.3, 5)):
        counts, law = lasting(Mixed(jnp.array(probs), fraction, Fresh(num_samples)), len(probs))
        observations.append(
            Observation(
                what=f"K = {len(probs)}, m = {num_samples}, a = {fraction}: exact chain",
                arguments={
                    "logits_real": logits_of(probs),
                    "fraction": fraction,
                    "num_samples": num_samples,
                },
                value=(1 - fraction) ** 2 * variance(law, counts / num_samples),
                tolerance=ROUNDING,
            )
        )
    return observations


def immigration_stratified() -> list[Observation]:
    """Exact chains of the own samples, mixed with k real ones."""
    observations = []
    for probs, num_real, num_samples in (((0.7, 0.3), 1, 4), (START, 2, 5)):
        own, fraction = num_samples - num_real, num_real / num_samples
        corpus = Mixed(jnp.array(probs), fraction, Fresh(own), num_real=num_real)
        counts, law = lasting(corpus, len(probs))
        q = np.array(probs)
        # Own samples S and real ones R are independent: p = (1 − a) S/(n − k) + a R/k.
        spread = (1 - fraction) ** 2 * variance(law, counts / own)
        observations.append(
            Observation(
                what=f"K = {len(probs)}, n = {num_samples}, k = {num_real}: exact chain",
                arguments={
                    "logits_real": logits_of(probs),
                    "num_real": num_real,
                    "num_samples": num_samples,
                },
                value=spread + fraction**2 * q * (1 - q) / num_real,
                tolerance=ROUNDING,
            )
        )
    return observations


def kept_share(probs: tuple[float, ...], fraction: float, num_samples: int) -> float:
    """Stationary mean of 1 − Σp² over that of the real data, by the exact chain."""
    counts, law = lasting(Pooled(jnp.array(probs), fraction, Fresh(num_samples)), len(probs))
    diversity = 1 - ((counts / num_samples) ** 2).sum(-1)
    return float(law @ diversity / (1 - np.sum(np.square(probs))))


def kept_diversity() -> list[Observation]:
    """Exact chains of two and three outcomes."""
    return [
        Observation(
            what=f"K = {len(probs)}, n = {num_samples}, a = {fraction}: exact chain",
            arguments={"fraction": fraction, "num_samples": num_samples},
            value=kept_share(probs, fraction, num_samples),
            tolerance=ROUNDING,
        )
        for probs, fraction, num_samples in (((0.7, 0.3), 0.5, 2), (START, 0.2, 5))
    ]


def one_real_sample() -> list[Observation]:
    """Exact chains of 400 samples with half a real one, one and five in the mean."""
    num_samples = 400
    return [
        Observation(
            what=f"K = 2, n = 400, {num_real} real samples a generation: exact chain",
            arguments={"num_real": num_real},
            value=kept_share((0.7, 0.3), num_real / num_samples, num_samples),
            tolerance=0.5 / num_samples,
        )
        for num_real in (0.5, 1.0, 5.0)
    ]


def immigration_dirichlet() -> list[Observation]:
    """The distribution function of an exact chain of 400 samples."""
    num_samples, num_real, q = 400, 4.0, 0.3
    corpus = Pooled(jnp.array([q, 1 - q]), num_real / num_samples, Fresh(num_samples))
    counts, law = lasting(corpus, 2)
    observations = []
    for share in (0.15, 0.3, 0.5):
        # Between two states, where the step function of the chain is half way.
        point = share + 0.5 / num_samples
        observations.append(
            Observation(
                what=f"K = 2, n = 400, four real samples a generation: P(p <= {share})",
                arguments={"share": point, "real_probability": q, "num_real": num_real},
                value=law[counts[:, 0] < point * num_samples].sum(),
                tolerance=1.5 / num_samples,
            )
        )
    return observations


def batches(generator: np.ndarray, num_samples: int) -> tuple[np.ndarray, np.ndarray]:
    """All batches of a distribution, as frequencies, and their multinomial chances."""
    counts = all_counts(len(generator), num_samples)
    ways = [
        math.factorial(num_samples) / math.prod(map(math.factorial, row)) for row in counts.tolist()
    ]
    return np.array(ways) * np.prod(generator**counts, -1), counts / num_samples


def after_steps(generator: np.ndarray, step_size: float, batch_size: int, num_steps: int) -> float:
    """Mean 1 − Σp² after mixture steps on all batches that a frozen generator can draw."""
    chance, frequencies = batches(generator, batch_size)
    with np.errstate(divide="ignore"):
        targets, models = np.log(frequencies), np.log(np.array([START]))
    learner, total = MixtureStep(step_size), np.ones(1)
    for _ in range(num_steps):
        # Every batch with every model.
        target = Target(jnp.array(np.repeat(targets, len(models), 0)), batch_size)
        models = np.array(learner(jnp.array(np.tile(models, (len(targets), 1))), target, None))
        total = np.outer(chance, total).ravel()
    return float(total @ (1 - (np.exp(models) ** 2).sum(-1)))


def partial_refit() -> list[Observation]:
    """All batches listed: three outcomes, one step and two."""
    observations = []
    diversity = 1 - np.sum(np.square(START))
    for step_size, batch_size, num_steps in ((0.4, 2, 2), (0.7, 2, 1)):
        kept = after_steps(np.array(START), step_size, batch_size, num_steps)
        observations.append(
            Observation(
                what=f"K = 3, eta = {step_size}, B = {batch_size}, m = {num_steps}: all listed",
                arguments={
                    "step_size": step_size,
                    "batch_size": batch_size,
                    "num_steps": num_steps,
                },
                value=1 - kept / diversity,
                tolerance=ROUNDING,
            )
        )
    return observations


def partial_refit_data() -> Observation:
    """All data sets and all their minibatches listed."""
    step_size, batch_size, num_steps, num_samples = 0.4, 2, 2, 3
    chance, data = batches(np.array(START), num_samples)
    kept = sum(
        c * after_steps(frequencies, step_size, batch_size, num_steps)
        for c, frequencies in zip(chance, data, strict=True)
    )
    return Observation(
        what="K = 3, n = 3, eta = 0.4, B = 2, m = 2: all listed",
        arguments={
            "step_size": step_size,
            "batch_size": batch_size,
            "num_steps": num_steps,
            "num_samples": num_samples,
        },
        value=1 - kept / (1 - np.sum(np.square(START))),
        tolerance=ROUNDING,
    )


# --- A verifier -----------------------------------------------------------------------------------


def verified_loop(ratio: float, num_samples: int) -> Loop:
    """Own samples of two answers, the first of them right, until n are accepted."""
    return Loop(corpus=Curated(jnp.array([ratio, 1.0]), Fresh(num_samples)))


def verifier() -> list[Observation]:
    """Acceptance itself, and the loop's first generation."""
    observations = []
    rng, num_candidates = np.random.default_rng(3), 400_000
    for p, hit, false_alarm in ((0.3, 0.9, 0.3), (0.1, 0.6, 0.1)):
        right = rng.random(num_candidates) < p
        taken = rng.random(num_candidates) < np.where(right, hit, false_alarm)
        observations.append(
            Observation(
                what=f"p = {p}, TPR = {hit}, FPR = {false_alarm}: right ones among the accepted",
                arguments={"probability": p, "ratio": hit / false_alarm},
                value=right[taken].mean(),
                standard_error=0.5 / np.sqrt(taken.sum()),
            )
        )
    p, ratio, num_samples = 0.3, 2.0, 5
    states = chain.from_loop(verified_loop(ratio, num_samples))
    first = states.first_generation(jnp.log(jnp.array([p, 1 - p])))
    observations.append(
        Observation(
            what="the loop with curated samples, n = 5: mean share of right samples",
            arguments={"probability": p, "ratio": ratio},
            value=first @ states.counts[:, 0] / num_samples,
            tolerance=ROUNDING,
        )
    )
    return observations


def lost_for_ever(ratio: float, num_samples: int, num_right: int) -> float:
    """Chance that the exact chain ends on the wrong answer."""
    decided = chain.absorption(chain.from_loop(verified_loop(ratio, num_samples)))
    return float(decided.probability[num_right, 0])


def lock_in_weak() -> list[Observation]:
    """Exact chains with n ln r = 2 and 3."""
    observations = []
    for strength, num_samples in ((2.0, 50), (2.0, 400), (3.0, 200)):
        ratio, num_right = float(np.exp(strength / num_samples)), round(0.3 * num_samples)
        observations.append(
            Observation(
                what=f"n = {num_samples}, n ln r = {strength:g}: exact chain from p = 0.3",
                arguments={
                    "probability": num_right / num_samples,
                    "ratio": ratio,
                    "num_samples": num_samples,
                },
                value=lost_for_ever(ratio, num_samples, num_right),
                tolerance=0.1 / num_samples,
            )
        )
    return observations


def lock_in_strong() -> list[Observation]:
    """Exact chains of 400 accepted samples with few right ones at first."""
    num_samples = 400
    return [
        Observation(
            what=f"n = 400, r = {ratio}: exact chain from {num_right} right samples",
            arguments={"num_right": num_right, "ratio": ratio},
            value=lost_for_ever(ratio, num_samples, num_right),
            tolerance=0.5 / num_samples,
        )
        for ratio, num_right in ((1.5, 1), (2.0, 1), (2.0, 3))
    ]
