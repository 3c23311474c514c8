"""Exact chains: absorption times of two outcomes, their leading spectrum, and single traces.

At temperature 1 an ordinary solve gives the same times and is the measure. Above it the times are
e^{cn} generations, a solve returns anything without a word, and stands there without an answer.
"""

import importlib.util
from collections.abc import Callable, Iterator

import numpy as np
from race import Answer, Contestant, Growth, Race, relative_error

import fixedpoint as fp
from fixedpoint.chain import absorption, from_loop, leading_spectrum, spectrum, traces_mean
from fixedpoint.chain.elimination import Elimination

STEP_SIZE, GAP = 0.05, 0.5


def times(temperature: float, name: str, quick: bool) -> Race:
    """From every state of 2,000 samples; of 100 if quick."""
    n = 100 if quick else 2_000
    chain = from_loop(fp.Loop(fp.Temperature(temperature), fp.Fresh(n)))
    order = np.argsort(-np.abs(2 * np.arange(1, n) - n), kind="stable") + 1
    Q = chain.matrix[np.ix_(order, order)]
    exits = chain.matrix[order, 0] + chain.matrix[order, n]
    expected = absorption(chain).mean
    right = temperature == 1

    def at_states(x: np.ndarray) -> Answer:
        mean = np.zeros(n + 1)
        mean[order] = x
        return {"mean": mean[None]}

    def solved(solve: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Answer | None:
        x = solve(np.eye(len(Q)) - Q, np.ones(len(Q)))
        return at_states(x) if right else None

    def contestants() -> Iterator[Contestant]:
        wrong = "" if right else f" (wrong: {_deviation(Q, expected[order]):.0e} relative error)"
        ordinary = Contestant(f"NumPy, solve{wrong}", lambda: solved(np.linalg.solve))
        ours = Contestant(
            "fixedpoint, Elimination",
            lambda: at_states(Elimination(Q, exits).solve(np.ones(len(Q)))),
        )
        yield from (ordinary, ours) if right else (ours, ordinary)
        yield Contestant("fixedpoint, absorption", lambda: {"mean": absorption(chain).mean[None]})
        if right and importlib.util.find_spec("numba"):
            yield Contestant("Numba, the same, state by state", _numba(Q, exits, at_states))

    return Race(
        name=name,
        title=f"absorption times of {n:,} samples of two outcomes at temperature {temperature:g}",
        contestants=list(contestants()),
        distance=relative_error,
        distance_name="largest relative difference of a time",
        tolerance=1e-9 if right else 1e-12,  # the ordinary solve sets the measure at T = 1
    )


def _deviation(Q: np.ndarray, expected: np.ndarray) -> float:
    found = np.linalg.solve(np.eye(len(Q)) - Q, np.ones(len(Q)))
    return float(np.abs(found / expected - 1).max())


def _numba(
    Q: np.ndarray, exits: np.ndarray, at_states: Callable[[np.ndarray], Answer]
) -> Callable[[], Answer]:
    import numba

    @numba.njit
    def eliminate(A, r, x):
        size = len(A)
        for k in range(size):
            leaving = r[k]
            for j in range(k + 1, size):
                leaving += A[k, j]
            A[k, k] = leaving
            for i in range(k + 1, size):
                factor = A[i, k] / leaving
                if factor > 0:
                    for j in range(k + 1, size):
                        A[i, j] += factor * A[k, j]
                    r[i] += factor * r[k]
                    x[i] += factor * x[k]
        for k in range(size - 1, -1, -1):
            for j in range(k + 1, size):
                x[k] += A[k, j] * x[j]
            x[k] /= A[k, k]

    def run() -> Answer:
        x = np.ones(len(Q))
        eliminate(Q.copy(), exits.copy(), x)
        return at_states(x)

    return run


def eigenvalues(quick: bool) -> Race:
    """The first four, for 1,000 samples; for 100 if quick."""
    n = 100 if quick else 1_000
    loop = fp.Loop(fp.Temperature(0.9), fp.Fresh(n))
    chain = from_loop(loop)

    def first(found: np.ndarray) -> Answer:
        return {"eigenvalues": np.real(found[:4])[:, None]}

    return Race(
        name="chain-spectrum",
        title=f"four leading eigenvalues for {n:,} samples of two outcomes at temperature 0.9",
        contestants=[
            Contestant(
                "fixedpoint, collocation", lambda: first(leading_spectrum(loop).eigenvalues)
            ),
            Contestant("NumPy, all eigenvalues of the matrix", lambda: first(spectrum(chain))),
        ],
        distance=relative_error,
        distance_name="largest difference of an eigenvalue",
        tolerance=1e-9,
    )


def traces(quick: bool) -> Race:
    """The mean heterozygosity after 10,000 generations; after 100 if quick."""
    generations = 100 if quick else 10_000
    loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(STEP_SIZE))
    logits = np.array([GAP / 2, -GAP / 2])

    def ours(number: int) -> np.ndarray:
        return traces_mean(loop, logits, number, fp.simplex.heterozygosity).value

    def million() -> None:
        ours(10**6)

    return Race(
        name="chain-traces",
        title=f"mean of single traces of two outcomes after {generations:,} generations",
        contestants=[
            Contestant("fixedpoint, traces_mean", lambda: {"mean": ours(generations)}),
            Contestant("fixedpoint, traces_mean, after 1,000,000", million),
            Contestant("NumPy, local interpolation, step by step", lambda: _steps(generations)),
        ],
        distance=relative_error,
        distance_name="relative difference of the mean",
        tolerance=1e-7,
    )


def _steps(generations: int, points: int = 3201, end: float = 16.0) -> Answer:
    """Interpolation of order 6 on a grid that 0.5 belongs to."""
    gap = np.linspace(-end, end, points)
    p = 1 / (1 + np.exp(-gap))
    values = 2 * p * (1 - p)
    places, weights = [], []
    for chance, to in ((p, gap + 2 * STEP_SIZE * (1 - p)), (1 - p, gap - 2 * STEP_SIZE * p)):
        place = (np.clip(to, -end, end) + end) / (gap[1] - gap[0])
        first = np.clip(place.astype(int) - 2, 0, points - 6)
        for i in range(6):
            places.append(first + i)
            weights.append(
                chance * np.prod([(place - first - j) / (i - j) for j in range(6) if j != i], 0)
            )
    places, weights = np.array(places), np.array(weights)
    for _ in range(generations):
        values = np.einsum("cz,cz->z", weights, values[places])
    return {"mean": values[[(points - 1) // 2 + int(GAP / (gap[1] - gap[0]) + 0.5)]]}


def _prepare(n: int) -> Callable[[], object]:
    chain = from_loop(fp.Loop(corpus=fp.Fresh(n)))
    return lambda: absorption(chain)


def growth(quick: bool) -> Growth:
    """All of `absorption`, its matrix given."""
    return Growth(
        name="chain-growth",
        title="absorption: two outcomes",
        size_name="samples",
        sizes=(50, 100, 200) if quick else (100, 200, 400, 800, 1600),
        prepare=_prepare,
    )


RACES = {
    "chain": lambda quick: times(1.0, "chain", quick),
    "chain-hot": lambda quick: times(1.1, "chain-hot", quick),
    "chain-spectrum": eigenvalues,
    "chain-traces": traces,
}
GROWTH = {"chain-growth": growth}
