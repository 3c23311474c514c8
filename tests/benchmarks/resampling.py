"""Refits to n samples: the generations of Wright and Fisher with a temperature.

Random numbers differ between contestants, so it is the law of the last generation that must agree:
the two-sample Kolmogorov-Smirnov statistic of a probability and of the number of survivors.
"""

import importlib.util
import itertools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import machine
import numpy as np
from race import Answer, Contestant, Growth, Race, kolmogorov_smirnov

import fixedpoint as fp


@dataclass(frozen=True)
class Sizes:
    """What is simulated, from p ∝ 1/rank; `temperature` 1 lets outcomes be lost at their pace."""

    num_outcomes: int
    num_samples: int
    temperature: float
    num_replicates: int
    num_generations: int

    @property
    def start(self) -> np.ndarray:
        """The model at generation 0."""
        p = 1 / np.arange(1.0, self.num_outcomes + 1)
        return np.log(p / p.sum())


def race(sizes: Sizes, quick: bool) -> Race:
    """The race at these sizes; 256 replicates over 10 generations if quick."""
    if quick:
        outcomes = min(sizes.num_outcomes, 300)
        sizes = Sizes(outcomes, min(sizes.num_samples, 300), sizes.temperature, 256, 10)
    return Race(
        name=f"resampling-{sizes.num_outcomes}-{sizes.num_samples}",
        title=(
            f"refits to {sizes.num_samples:,} samples: {sizes.num_outcomes:,} outcomes, "
            f"T = {sizes.temperature}, {sizes.num_replicates:,} replicates, "
            f"{sizes.num_generations:,} generations"
        ),
        contestants=list(_contestants(sizes)),
        distance=kolmogorov_smirnov,
        distance_name="two-sample Kolmogorov-Smirnov statistic",
        tolerance=2.8,
    )


def _contestants(sizes: Sizes) -> Iterator[Contestant]:
    loop = fp.Loop(fp.Temperature(sizes.temperature), fp.Fresh(sizes.num_samples))
    keys = map(partial(jax.random.fold_in, jax.random.key(0)), itertools.count())
    seeds = itertools.count()
    start = jnp.asarray(sizes.start)

    def simulate() -> Answer:
        runs = fp.run_resampling(
            loop,
            start,
            sizes.num_generations,
            key=next(keys),
            num_replicates=sizes.num_replicates,
            observe=_observe,
            save_at=[sizes.num_generations],
        )
        return {name: np.asarray(value[0]) for name, value in runs.value.items()}

    yield Contestant("fixedpoint, run_resampling", simulate)
    yield Contestant("NumPy, threads", lambda: _numpy(sizes, next(seeds)))
    if importlib.util.find_spec("numba") and sizes.num_outcomes == 2:
        yield Contestant("Numba, a loop over replicates", _numba(sizes, seeds))


def _observe(logits: jax.Array) -> dict[str, jax.Array]:
    return {"first": jnp.exp(logits[0]), "alive": fp.simplex.num_surviving(logits)}


def _numpy(sizes: Sizes, seed: int) -> Answer:
    """Counts, all replicates of a thread at once."""
    n, R = sizes.num_samples, sizes.num_replicates

    def some(part: int) -> np.ndarray:
        random = np.random.default_rng([seed, part])
        number = R // machine.CORES + (part < R % machine.CORES)
        p = np.tile(np.exp(sizes.start), (number, 1))
        for _ in range(sizes.num_generations):
            if sizes.temperature != 1:
                p = p ** (1 / sizes.temperature)
                p /= p.sum(-1, keepdims=True)
            if sizes.num_outcomes == 2:
                first = random.binomial(n, p[:, 0])
                p = np.stack([first, n - first], -1) / n
            else:
                p = random.multinomial(n, p) / n
        return p

    with ThreadPoolExecutor(machine.CORES) as pool:
        p = np.concatenate(list(pool.map(some, range(machine.CORES))))
    return {"first": p[:, 0], "alive": (p > 0).sum(-1)}


def _numba(sizes: Sizes, seeds: Iterator[int]) -> Callable[[], Answer]:
    import numba

    n, inverse, N = sizes.num_samples, 1 / sizes.temperature, sizes.num_generations

    @numba.njit(parallel=True)
    def simulate(count, p, seed):
        for r in numba.prange(len(count)):
            np.random.seed(seed + r)  # noqa: NPY002
            x = p
            for _ in range(N):
                a, b = x**inverse, (1 - x) ** inverse
                x = np.random.binomial(n, a / (a + b)) / n  # noqa: NPY002
            count[r] = x

    def run() -> Answer:
        p = np.empty(sizes.num_replicates)
        simulate(p, np.exp(sizes.start)[0], 1_000_000 * next(seeds))
        return {"first": p, "alive": (p > 0).astype(int) + (p < 1)}

    return run


@dataclass(frozen=True)
class Contexts:
    """Many contexts at temperature 1, logits normal with deviation 3; each generation observed."""

    num_contexts: int
    num_outcomes: int
    num_samples: int
    num_replicates: int
    num_generations: int

    @property
    def start(self) -> np.ndarray:
        """The models at generation 0."""
        shape = self.num_contexts, self.num_outcomes
        return 3 * np.random.default_rng(0).standard_normal(shape)


OBSERVED = {
    "entropy": fp.simplex.entropy,
    "effective": fp.simplex.effective_number,
    "mode": fp.simplex.mode_probability,
    "alive": fp.simplex.num_surviving,
}
"""What is read off every model in every generation."""


def contexts_race(sizes: Contexts, quick: bool) -> Race:
    """The race at these sizes; 8 contexts of 2,000 outcomes if quick."""
    name = f"refits-{sizes.num_contexts}-{sizes.num_outcomes}"
    if quick:
        sizes = Contexts(8, 2_000, 300, 20, 3)
    return Race(
        name=name,
        title=(
            f"refits to {sizes.num_samples:,} samples: {sizes.num_contexts} contexts, "
            f"{sizes.num_outcomes:,} outcomes, {sizes.num_replicates} replicates, "
            f"{sizes.num_generations} generations, all observed"
        ),
        contestants=list(_contexts_contestants(sizes)),
        distance=kolmogorov_smirnov,
        distance_name="two-sample Kolmogorov-Smirnov statistic",
        tolerance=2.8,
    )


def _contexts_contestants(sizes: Contexts) -> Iterator[Contestant]:
    loop = fp.Loop(corpus=fp.Fresh(sizes.num_samples))
    keys = map(partial(jax.random.fold_in, jax.random.key(0)), itertools.count())
    seeds = itertools.count()
    start, last = sizes.start, sizes.num_generations

    def simulate() -> Answer:
        runs = fp.run_resampling(
            loop,
            start,
            last,
            key=next(keys),
            num_replicates=sizes.num_replicates,
            observe=OBSERVED,
            save_at=range(1, last + 1),
        )
        return {name: np.asarray(value[-1]).ravel() for name, value in runs.value.items()}

    yield Contestant("fixedpoint, run_resampling", simulate)
    yield Contestant(
        "NumPy, survivors of each replicate, threads",
        lambda: _numpy_survivors(sizes, start, next(seeds)),
    )


def _numpy_survivors(sizes: Contexts, start: np.ndarray, seed: int) -> Answer:
    """By inversion in the first generation, then the survivors alone."""
    n = sizes.num_samples
    shape = sizes.num_generations, sizes.num_replicates, len(OBSERVED)

    def context(number: int) -> np.ndarray:
        random, found = np.random.default_rng([seed, number]), np.empty(shape)
        cumulative = np.cumsum(np.exp(start[number] - start[number].max()))
        for values in found.swapaxes(0, 1):
            points = np.sort(random.random(n)) * cumulative[-1]
            counts = np.unique(cumulative.searchsorted(points, "right"), return_counts=True)[1]
            for generation in range(len(values)):
                if generation:
                    counts = random.multinomial(n, counts / n)
                    counts = counts[counts > 0]
                p = counts / n
                entropy = -(p * np.log(p)).sum()
                values[generation] = entropy, np.exp(entropy), p.max(), len(p)
        return found

    with ThreadPoolExecutor(machine.CORES) as pool:
        found = np.stack(list(pool.map(context, range(sizes.num_contexts))))
    return {name: found[:, -1, :, i].ravel() for i, name in enumerate(OBSERVED)}


def _growth(size_name: str, grown: Sequence[Sizes], sizes: Sequence[int], rest: str) -> Growth:
    """Refits at each of some sizes."""

    def prepare(size: int) -> Callable[[], object]:
        now = grown[sizes.index(size)]
        loop = fp.Loop(fp.Temperature(now.temperature), fp.Fresh(now.num_samples))
        start, last = jnp.asarray(now.start), now.num_generations
        return lambda: np.asarray(
            fp.run_resampling(
                loop,
                start,
                last,
                key=jax.random.key(0),
                num_replicates=now.num_replicates,
                observe=fp.simplex.num_surviving,
                save_at=[last],
            ).value
        )

    return Growth(f"resampling-{size_name}", f"refits: {rest}", size_name, sizes, prepare)


def outcomes_growth(quick: bool) -> Growth:
    """Few samples of ever more outcomes: after a generation only those drawn are left."""
    sizes = (100, 1_000) if quick else (100, 1_000, 10_000, 100_000)
    grown = [Sizes(size, 200, 1.0, 256, 200) for size in sizes]
    return _growth("outcomes", grown, sizes, "200 samples, 256 replicates, 200 generations")


def samples_growth(quick: bool) -> Growth:
    """Ever more samples of 16 outcomes."""
    sizes = (25, 100) if quick else (25, 100, 400, 1_600, 6_400, 25_600)
    grown = [Sizes(16, size, 1.1, 1024, 50) for size in sizes]
    return _growth("samples", grown, sizes, "16 outcomes, 1,024 replicates, 50 generations")


def replicates_growth(quick: bool) -> Growth:
    """Ever more replicates of 16 outcomes, 100 samples."""
    sizes = (64, 256) if quick else (256, 1_024, 4_096, 16_384)
    grown = [Sizes(16, 100, 1.1, size, 50) for size in sizes]
    return _growth("replicates", grown, sizes, "16 outcomes, 100 samples, 50 generations")


def generations_growth(quick: bool) -> Growth:
    """Ever more generations of 16 outcomes, 100 samples."""
    sizes = (10, 100) if quick else (100, 1_000, 10_000)
    grown = [Sizes(16, 100, 1.5, 256, size) for size in sizes]
    return _growth("generations", grown, sizes, "16 outcomes, 100 samples, 256 replicates")


RACES = {
    f"resampling-{sizes.num_outcomes}-{sizes.num_samples}": partial(race, sizes)
    for sizes in (
        Sizes(2, 100, 1.1, 4096, 1000),
        Sizes(2, 10_000, 1.1, 4096, 1000),
        Sizes(16, 100, 1.1, 4096, 100),
        Sizes(16, 10_000, 1.1, 4096, 60),
        Sizes(50_000, 1_000_000, 1.0, 16, 50),
    )
} | {
    f"refits-{sizes.num_contexts}-{sizes.num_outcomes}": partial(contexts_race, sizes)
    for sizes in (Contexts(64, 20_000, 1_000, 20, 6), Contexts(256, 50_000, 1_000, 100, 8))
}
GROWTH = {
    "resampling-outcomes": outcomes_growth,
    "resampling-samples": samples_growth,
    "resampling-replicates": replicates_growth,
    "resampling-generations": generations_growth,
}
