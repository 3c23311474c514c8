"""Single traces: one sample and one gradient step a generation, in thousands of replicates.

Random numbers differ between contestants, so it is the law of the last generation that must agree:
the two-sample Kolmogorov-Smirnov statistic of a logit and of the mode's probability; of thousands
of outcomes, in whose logits single samples show, of sums over many.
"""

import importlib.util
import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import jax
import jax.numpy as jnp
import machine
import numpy as np
from race import Answer, Contestant, Growth, Race, Work, kolmogorov_smirnov

import fixedpoint as fp

TEMPERATURE, STEP_SIZE = 0.9, 0.1
# Replicates and generations: of thousands of outcomes, what a loop over all takes a second for.
SIZES = {
    2: (4096, 10_000),
    16: (4096, 2_000),
    256: (4096, 200),
    4096: (128, 300),
    65_536: (32, 200),
}
MANY = 512


def race(num_outcomes: int, quick: bool) -> Race:
    """Thousands of replicates over thousands of generations, fewer of more outcomes."""
    num_replicates, num_generations = SIZES[num_outcomes]
    if quick:
        num_replicates, num_generations = min(num_replicates, 256), min(num_generations, 50)
    logits = np.linspace(0.4, -0.4, num_outcomes)
    return Race(
        name=f"traces-{num_outcomes}",
        title=(
            f"single traces: {num_outcomes:,} outcomes, {num_replicates:,} replicates, "
            f"{num_generations:,} generations"
        ),
        contestants=list(_contestants(logits, num_replicates, num_generations)),
        distance=kolmogorov_smirnov,
        distance_name="two-sample Kolmogorov-Smirnov statistic",
        tolerance=2.8,
        # Many outcomes need not all be visited: nobody knows what cannot be done without.
        work=None
        if num_outcomes >= MANY
        else Work(
            exponentials=num_replicates
            * num_generations
            * (2 if num_outcomes == 2 else 2 * num_outcomes)
        ),
    )


def _contestants(logits: np.ndarray, R: int, N: int) -> Iterator[Contestant]:
    loop = _loop()
    # Every call of every contestant draws its own random numbers.
    keys = map(partial(jax.random.fold_in, jax.random.key(0)), itertools.count())
    seeds = itertools.count()
    start = jnp.asarray(logits)

    def simulate(engine: str) -> Answer:
        runs = fp.run(
            loop,
            start,
            N,
            key=next(keys),
            num_replicates=R,
            save_at=[N],
            engine=engine,
            progress=False,
        )
        return _figures(np.asarray(runs.value[0]))

    yield Contestant("fixedpoint, run", lambda: simulate("traces"))
    if importlib.util.find_spec("numba"):
        yield Contestant("Numba, a loop over replicates", _numba(logits, R, N, seeds))
    if len(logits) <= 4096:
        yield Contestant("NumPy, threads", lambda: _threads(logits, R, N, next(seeds)))
    if importlib.util.find_spec("torch") and len(logits) == 2:
        yield Contestant("PyTorch, all replicates at once", _torch(logits, R, N, seeds))
    if len(logits) == 2:
        yield Contestant("fixedpoint, run, the general engine", lambda: simulate("general"))


def _loop() -> fp.Loop:
    return fp.Loop(
        sampler=fp.Temperature(TEMPERATURE),
        corpus=fp.Fresh(num_samples=1),
        learner=fp.GradientSteps(step_size=STEP_SIZE),
    )


def _figures(logits: np.ndarray) -> Answer:
    """What is compared of the last generation, logits (replicates, outcomes)."""
    centred = logits - logits.mean(-1, keepdims=True)
    weights = np.exp(centred)
    if centred.shape[-1] >= MANY:
        p = weights / weights.sum(-1, keepdims=True)
        return {"collisions": (p**2).sum(-1), "first_half": p[:, : p.shape[-1] // 2].sum(-1)}
    return {
        "first_logit": centred[:, 0],
        "mode_probability": weights.max(-1) / weights.sum(-1),
    }


def _threads(logits: np.ndarray, R: int, N: int, seed: int) -> Answer:
    """NumPy on all cores, all replicates of a thread at once."""
    with ThreadPoolExecutor(machine.CORES) as pool:
        sizes = [R // machine.CORES + (part < R % machine.CORES) for part in range(machine.CORES)]
        parts = pool.map(
            lambda part: _numpy(logits, sizes[part], N, [seed, part]), range(len(sizes))
        )
        parts = list(parts)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _numpy(logits: np.ndarray, R: int, N: int, seed: list[int]) -> Answer:
    random = np.random.default_rng(seed)
    if len(logits) == 2:
        gap = np.full(R, logits[0] - logits[1])
        for _ in range(N):
            first = random.random(R) < 1 / (1 + np.exp(-gap / TEMPERATURE))
            gap += 2 * STEP_SIZE * (first - 1 / (1 + np.exp(-gap)))
        return _figures(np.stack([gap / 2, -gap / 2], -1))
    theta, rows = np.tile(logits, (R, 1)), np.arange(R)
    for _ in range(N):
        cumulative = np.exp(theta / TEMPERATURE).cumsum(-1)
        target = random.random((R, 1)) * cumulative[:, -1:]
        drawn = np.minimum((cumulative <= target).sum(-1), len(logits) - 1)
        weights = np.exp(theta)
        theta -= STEP_SIZE / weights.sum(-1, keepdims=True) * weights
        theta[rows, drawn] += STEP_SIZE
    return _figures(theta)


def _torch(logits: np.ndarray, R: int, N: int, seeds: Iterator[int]) -> Callable[[], Answer]:
    """Two outcomes, in the gap of the logits."""
    import torch  # pyright: ignore[reportMissingImports]

    def run() -> Answer:
        torch.set_num_threads(machine.CORES)
        random = torch.Generator().manual_seed(next(seeds))
        gap = torch.full((R,), float(logits[0] - logits[1]), dtype=torch.float64)
        for _ in range(N):
            uniform = torch.rand(R, generator=random, dtype=torch.float64)
            first = (uniform < torch.sigmoid(gap / TEMPERATURE)).double()
            gap = gap + 2 * STEP_SIZE * (first - torch.sigmoid(gap))
        return _figures(torch.stack([gap / 2, -gap / 2], -1).numpy())

    return run


def _numba(logits: np.ndarray, R: int, N: int, seeds: Iterator[int]) -> Callable[[], Answer]:
    import numba

    @numba.njit(parallel=True, fastmath=True)
    def gaps(gap, N, seed):
        for r in numba.prange(len(gap)):
            np.random.seed(seed + r)  # noqa: NPY002
            z = gap[r]
            for _ in range(N):
                first = np.random.random() < 1 / (1 + np.exp(-z / TEMPERATURE))  # noqa: NPY002
                z += 2 * STEP_SIZE * (first - 1 / (1 + np.exp(-z)))
            gap[r] = z

    @numba.njit(parallel=True, fastmath=True)
    def tables(theta, N, seed):
        K = theta.shape[1]
        for r in numba.prange(len(theta)):
            np.random.seed(seed + r)  # noqa: NPY002
            state = theta[r].copy()
            cumulative, weights = np.empty(K), np.empty(K)
            for _ in range(N):
                drawn_total, total = 0.0, 0.0
                for k in range(K):
                    drawn_total += np.exp(state[k] / TEMPERATURE)
                    cumulative[k] = drawn_total
                    weights[k] = np.exp(state[k])
                    total += weights[k]
                target = np.random.random() * drawn_total  # noqa: NPY002
                drawn = 0
                while drawn < K - 1 and cumulative[drawn] <= target:
                    drawn += 1
                for k in range(K):
                    state[k] -= STEP_SIZE * weights[k] / total
                state[drawn] += STEP_SIZE
            theta[r] = state

    def run() -> Answer:
        seed = 1_000_000 * next(seeds)
        if len(logits) == 2:
            gap = np.full(R, logits[0] - logits[1])
            gaps(gap, N, seed)
            return _figures(np.stack([gap / 2, -gap / 2], -1))
        theta = np.tile(logits, (R, 1))
        tables(theta, N, seed)
        return _figures(theta)

    return run


def _growth(
    size_name: str,
    title: str,
    sizes: list[int],
    start: Callable[[int], np.ndarray],
    numbers: Callable[[int], tuple[int, int]],
) -> Growth:
    """The logits at the start, and the numbers of replicates and generations, of every size."""

    def prepare(size: int) -> Callable[[], object]:
        logits, (replicates, generations) = jnp.asarray(start(size)), numbers(size)

        def work() -> object:
            runs = fp.run(
                _loop(),
                logits,
                generations,
                key=jax.random.key(0),
                num_replicates=replicates,
                observe=fp.simplex.entropy,
                save_at=[generations],
            )
            return np.asarray(runs.value)

        return work

    return Growth(f"traces-{size_name}", f"single traces: {title}", size_name, sizes, prepare)


def _sixteen(_: int) -> np.ndarray:
    return np.linspace(0.4, -0.4, 16)


def replicates_growth(quick: bool) -> Growth:
    """Single traces against the number of replicates."""
    sizes = [64, 256] if quick else [256, 1024, 4096, 16384]
    title = "16 outcomes, 200 generations"
    return _growth("replicates", title, sizes, _sixteen, lambda size: (size, 200))


def generations_growth(quick: bool) -> Growth:
    """Single traces against the number of generations."""
    sizes = [10, 100] if quick else [100, 1_000, 10_000]
    title = "16 outcomes, 1,024 replicates"
    return _growth("generations", title, sizes, _sixteen, lambda size: (1024, size))


def outcomes_growth(quick: bool) -> Growth:
    """Single traces against the number of outcomes, which begin with Zipf's law."""
    sizes = [256, 1024] if quick else [256, 1024, 4096, 16_384, 65_536]
    replicates, generations = (64, 50) if quick else (128, 4000)
    return _growth(
        "outcomes",
        f"Zipf's law at the start, {replicates} replicates, {generations:,} generations",
        sizes,
        lambda size: -np.log(np.arange(1.0, size + 1)),
        lambda _: (replicates, generations),
    )


RACES = {f"traces-{number}": partial(race, number) for number in SIZES}
GROWTH = {
    "traces-outcomes": outcomes_growth,
    "traces-replicates": replicates_growth,
    "traces-generations": generations_growth,
}
