"""Timing in one run, paired: every contestant once a round, in alternating order.

Seconds do not travel between machines, nor between two hours of a shared one; ratios taken within
a round do. So each contestant's time is divided by the reference's time *of the same round*, and
the median of these ratios is reported. Processor seconds (all threads) stand beside the wall's:
where the two disagree, the machine was busy with something else.
"""

import gc
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import machine
import numpy as np

Answer = dict[str, np.ndarray]


@dataclass(frozen=True)
class Contestant:
    """One way to do the work.

    Attributes:
        name: what it is, as printed.
        run: does all of the work and hands over the answer; the answer of a contestant that shows
            what the machine can do at best, and computes nothing to compare, is `None`.
    """

    name: str
    run: Callable[[], Answer | None]


@dataclass(frozen=True)
class Work:
    """What a race cannot do without, as far as it counts; it sets the machine's limit.

    Attributes:
        bytes: moved from and to memory.
        exponentials: of numbers in double precision.
        multiply_adds: in double precision.
    """

    bytes: float = 0
    exponentials: float = 0
    multiply_adds: float = 0

    def limit(self, rates: machine.Rates) -> float:
        """Seconds below which a machine of these rates cannot do it."""
        return max(
            self.bytes / rates.bytes,
            self.exponentials / rates.exponentials,
            self.multiply_adds / rates.multiply_adds,
        )


@dataclass(frozen=True)
class Race:
    """Several ways to do the same work.

    Attributes:
        name: by which the command calls it.
        title: what is timed, with its sizes.
        contestants: the first is the reference, to which the ratios refer.
        distance: of a contestant's answer from the reference's.
        distance_name: what that distance is, as printed.
        tolerance: the largest distance at which the answers count as the same.
        work: what cannot be done without; `None` where nobody knows.
    """

    name: str
    title: str
    contestants: Sequence[Contestant]
    distance: Callable[[Answer, Answer], float]
    distance_name: str
    tolerance: float
    work: Work | None = None


@dataclass(frozen=True)
class Entry:
    """What was measured of one contestant. Medians over the rounds; times in seconds.

    Attributes:
        name: of the contestant.
        seconds: wall time.
        ratio: wall time over the reference's of the same round.
        ratio_range: the smallest and the largest of these ratios.
        cpu_seconds: processor time of all threads.
        cpu_ratio: processor time over the reference's of the same round.
        setup_seconds: what the first call took longer: compilation above all.
        distance: of the answer from the reference's; `None` where there is nothing to compare.
        limit_ratio: wall time over the limit that the machine's probes gave in the same round;
            `None` where the race names no work or the probes cannot be compiled.
    """

    name: str
    seconds: float
    ratio: float
    ratio_range: tuple[float, float]
    cpu_seconds: float
    cpu_ratio: float
    setup_seconds: float
    distance: float | None
    limit_ratio: float | None = None


@dataclass
class Outcome:
    """The entries of a race and the circumstances."""

    race: Race
    rounds: int
    entries: list[Entry] = field(default_factory=list)
    load: tuple[float, float] = (0.0, 0.0)

    @property
    def disagreeing(self) -> list[str]:
        """The contestants whose answer is not the reference's."""
        return [
            entry.name
            for entry in self.entries
            if entry.distance is not None and not entry.distance <= self.race.tolerance
        ]


def hold(race: Race, rounds: int) -> Outcome:
    """Run every contestant once to warm up and compare, then once a round against the clock."""
    load_before = _load()
    setup, answers = [], []
    for contestant in race.contestants:
        wall, _, answer = _timed(contestant.run)
        setup.append(wall)
        answers.append(answer)
    gc.collect()
    gc.freeze()  # what is alive now stays, and need not be looked through before each timing
    walls = np.empty((rounds, len(race.contestants)))
    cpus = np.empty_like(walls)
    limits = np.full(rounds, np.nan)
    for turn in range(rounds):
        rates = machine.probe() if race.work else None
        if race.work and rates:
            limits[turn] = race.work.limit(rates)
        order = range(len(race.contestants))
        for index in order if turn % 2 == 0 else reversed(order):
            walls[turn, index], cpus[turn, index], _ = _timed(race.contestants[index].run)
    outcome = Outcome(race, rounds, load=(load_before, _load()))
    for index, contestant in enumerate(race.contestants):
        ratios = walls[:, index] / walls[:, 0]
        seconds = float(np.median(walls[:, index]))
        answer = answers[index]
        outcome.entries.append(
            Entry(
                name=contestant.name,
                seconds=seconds,
                ratio=float(np.median(ratios)),
                ratio_range=(float(ratios.min()), float(ratios.max())),
                cpu_seconds=float(np.median(cpus[:, index])),
                cpu_ratio=float(np.median(cpus[:, index] / cpus[:, 0])),
                setup_seconds=max(0.0, setup[index] - seconds),
                distance=None if answer is None else race.distance(answer, answers[0]),
                limit_ratio=_number(np.median(walls[:, index] / limits)),
            )
        )
    return outcome


@dataclass(frozen=True)
class Growth:
    """How the cost of some work grows with one of its sizes.

    Attributes:
        name: by which the command calls it.
        title: what is timed.
        size_name: which size grows.
        sizes: increasing.
        prepare: given a size, the work of that size, ready to be timed.
    """

    name: str
    title: str
    size_name: str
    sizes: Sequence[int]
    prepare: Callable[[int], Callable[[], Any]]


@dataclass(frozen=True)
class Curve:
    """What was measured of a growth.

    Attributes:
        growth: what was timed.
        seconds: for each size, the fastest of the rounds: others disturb, none helps.
    """

    growth: Growth
    seconds: list[float]

    @property
    def slope(self) -> float:
        """Slope of log seconds against log size over the larger half of the sizes."""
        half = len(self.seconds) // 2
        sizes = np.log(np.asarray(self.growth.sizes[half:], float))
        return float(np.polyfit(sizes, np.log(self.seconds[half:]), 1)[0])


def measure(growth: Growth, rounds: int) -> Curve:
    """Time every size, each once a round, the first time to warm up."""
    works = [growth.prepare(size) for size in growth.sizes]
    for work in works:
        work()
    gc.collect()
    gc.freeze()
    walls = [[_timed(work)[0] for work in works] for _ in range(rounds)]
    return Curve(growth, np.min(walls, axis=0).tolist())


def relative_error(answer: Answer, reference: Answer) -> float:
    """Largest difference of any number, relative to the largest of its kind in the same row."""
    worst = 0.0
    for name, expected in reference.items():
        found = np.asarray(answer[name], float)
        expected = np.asarray(expected, float)
        if found.shape != expected.shape or not np.isfinite(found).all():
            return float("inf")
        scale = np.maximum(np.abs(expected).max(0), 1e-300)
        worst = max(worst, float((np.abs(found - expected) / scale).max()))
    return worst


def kolmogorov_smirnov(answer: Answer, reference: Answer) -> float:
    """Largest two-sample statistic √(nm/(n+m)) sup|F − G|; beyond 2.8 with probability 3e-7."""
    return max(_kolmogorov_smirnov(answer[name], reference[name]) for name in reference)


def _kolmogorov_smirnov(values: Any, others: Any) -> float:
    values, others = np.sort(np.ravel(values)), np.sort(np.ravel(others))
    points = np.concatenate([values, others])
    below = [np.searchsorted(v, points, side="right") / len(v) for v in (values, others)]
    number = len(values) * len(others) / (len(values) + len(others))
    return float(np.sqrt(number) * np.abs(below[0] - below[1]).max())


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None


def _timed(run: Callable[[], Any]) -> tuple[float, float, Any]:
    gc.collect()
    wall, cpu = time.perf_counter(), time.process_time()
    answer = run()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def _load() -> float:
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
