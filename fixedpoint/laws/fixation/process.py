"""Fixation: refits to n own samples lose one outcome after another, until a last one is left.

The loops, run.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from fixedpoint.chain import Chain, from_loop
from fixedpoint.chain.counts import binomial
from fixedpoint.laws.experiment import Combined, Experiment, absorbed, leading, listed

TWO, THREE, FIVE = (np.log(p) for p in ([0.7, 0.3], [0.5, 0.3, 0.2], [0.4, 0.3, 0.15, 0.1, 0.05]))
"""Asymmetric models."""


def apart(
    worth: Callable[[Chain, Any], np.ndarray],
    tolerance: float | Callable[[float], float],
    **numbers: Any,
) -> Experiment:
    """A sum over the outcomes, each against all the others: a chain of two outcomes (T = 1).

    Args:
        worth: what each state of that chain in generation 1 counts for, by chain and numbers.
        tolerance: the error of the sum, or how it follows from the sum.
        numbers: of the claim, with the `logits` of any number of outcomes.
    """

    def road(loop: Any, _: Any, numbers: Any) -> Any:
        logits = np.asarray(numbers["logits"])
        p, times = np.unique(np.exp(logits - np.logaddexp.reduce(logits)), return_counts=True)
        states = from_loop(loop)
        first = binomial(np.log(np.column_stack([p, 1 - p])), states.num_samples)
        value = float(times @ (first @ worth(states, numbers)))
        error = tolerance(value) if callable(tolerance) else tolerance
        return value, {"tolerance": error}, "the chain of each outcome against the others"

    return Experiment(road, numbers)


def fixation_probability() -> list[Experiment]:
    """Where the chain of two and of three outcomes ends."""
    return [
        absorbed(lambda course: course.last, logits=start, num_samples=size)
        for start, size in ((TWO, 6), (THREE, 4), (THREE, 1))
    ]


def waiting(states: Chain, _: Any) -> np.ndarray:
    """Σ_t N_t/n from a state until the chain of two is decided: summed over outcomes, the time."""
    share = states.counts[:, 0] / states.num_samples
    worth, inner = share.copy(), slice(1, -1)
    stay = np.eye(len(share) - 2) - states.matrix[inner, inner]
    worth[inner] += np.linalg.solve(stay, share[inner])
    return worth


def fixation_time() -> list[Experiment]:
    """The chain of all counts, and of each outcome against the others."""
    counted = [
        absorbed(logits=start, num_samples=size)
        for start, size in ((TWO, 6), (THREE, 4), (THREE, 1))
    ]
    words = -1.3 * np.log(np.arange(1, 9.0))
    return [*counted, apart(waiting, 1e-9, logits=words, num_samples=150)]


def fixation_time_diffusion() -> list[Combined | Experiment]:
    """Two and three outcomes, directly and by what grows with n."""
    return [
        apart(waiting, 1 + np.log(200) / 2, logits=THREE, num_samples=200),
        leading(lambda size: absorbed(logits=TWO, num_samples=size), 25, 0.2 / 25),
        leading(lambda size: absorbed(logits=THREE, num_samples=size), 10, 0.2 / 10),
    ]


def fixation_time_expansion() -> list[Experiment]:
    """Two outcomes, with two numbers of samples."""
    return [
        absorbed(tolerance=0.2 / size, gap=float(np.log(p / (1 - p))), num_samples=size)
        for size in (100, 400)
        for p in (0.5, 0.3, 0.1)
    ]


def alive(states: Chain, numbers: Any) -> np.ndarray:
    """The chance that the first of two outcomes is alive at a generation, from one at 1."""
    found = (states.counts[:, 0] > 0).astype(float)
    for _ in range(numbers["generation"] - 1):
        found = states.matrix @ found
    return found


def survivors() -> list[Experiment]:
    """All histories of three outcomes; five outcomes, each against the others."""
    few = [
        listed(logits=THREE, num_samples=size, generation=last) for size, last in ((4, 3), (2, 4))
    ]
    more = [
        apart(alive, 1e-11, logits=FIVE, num_samples=20, generation=last) for last in (1, 2, 8, 40)
    ]
    return few + more


def survivors_power_law() -> list[Experiment]:
    """Words with a power law, each against the others."""
    experiments = []
    for exponent, size, last, words in (
        (2.0, 60, 2, 50_000),
        (3.0, 60, 1, 5_000),
        (2.5, 60, 2, 20_000),
        (2.0, 200, 5, 20_000),
    ):
        logits = -exponent * np.log(np.arange(1.0, words + 1))
        experiments.append(
            apart(
                alive,
                # Of the relative order t/n, which is left out.
                lambda value, share=0.1 * last / size: share * value,
                logits=logits,
                exponent=exponent,
                top_probability=1 / np.exp(logits).sum(),
                num_samples=size,
                generation=last,
            )
        )
    return experiments


def first_extinction() -> list[Combined | Experiment]:
    """Two and three outcomes, directly and by what grows with n."""

    def run(logits: Any, size: int, tolerance: float = 0) -> Experiment:
        lost = lambda counts: (counts == 0).any(-1)  # noqa: E731
        return absorbed(tolerance=tolerance, until=lost, logits=logits, num_samples=size)

    return [
        run(THREE, 40, 0.5 + np.log(40) / 2),
        leading(lambda size: run(TWO, size), 25, 0.2 / 25),
        leading(lambda size: run(np.log([0.6, 0.22, 0.18]), size), 12, 0.5 / 12),
    ]


def truncation() -> list[Experiment]:
    """All histories of four and five outcomes."""
    four, five = np.log([0.4, 0.1, 0.3, 0.2]), np.log([0.1, 0.35, 0.05, 0.3, 0.2])
    return [
        listed(logits=start, kept=kept, num_samples=size, generation=last)
        for start, kept, size, last in (
            (four, 3, 3, 1),
            (four, 3, 3, 3),
            (four, 3, 4, 2),
            (five, 2, 3, 2),
        )
    ]
