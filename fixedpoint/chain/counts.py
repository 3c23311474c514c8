"""Counts of n samples: how many there are, and their probabilities, to their last digits."""

import itertools
import math

import numpy as np
from jaxtyping import Float, Int


def num_counts(num_samples: int, num_outcomes: int, most: int) -> int:
    """(n + K − 1 choose K − 1); beyond `most`, some larger number, without thousands of digits."""
    number, total = 1, num_samples + num_outcomes - 1
    for bar in range(min(num_samples, num_outcomes - 1)):
        number = number * (total - bar) // (bar + 1)
        if number > most:  # it only grows
            break
    return number


def num_partitions(num_samples: int, num_outcomes: int) -> int:
    """Partitions of n into at most K parts, which are those into parts of at most K."""
    ways = [1] + [0] * num_samples
    for part in range(1, min(num_outcomes, num_samples) + 1):
        for size in range(part, num_samples + 1):
            ways[size] += ways[size - part]
    return ways[-1]


def multinomial(
    log_drawn: Float[np.ndarray, "rows outcomes"],
    counts: Int[np.ndarray, "states outcomes"],
    ways: Float[np.ndarray, " states"] | None = None,
) -> Float[np.ndarray, "rows states"]:
    """Probabilities of the counts under each drawn distribution, normalised.

    `ways` is `log_ways(counts)`, where it is known already.
    """
    if counts.shape[1] == 2:
        return binomial(log_drawn, int(counts[0].sum()))
    rows = log_multinomial(log_drawn, counts, log_ways(counts) if ways is None else ways)
    np.exp(rows, out=rows)
    return rows / rows.sum(1, keepdims=True)


def log_ways(counts: Int[np.ndarray, "states outcomes"]) -> Float[np.ndarray, " states"]:
    """The logarithm of n!/∏ N_i!, from whole numbers: to its last digits."""
    numbers = range(1, int(counts[0].sum()) + 1)
    factorials = list(itertools.accumulate(numbers, int.__mul__, initial=1))
    ways = [factorials[-1] // math.prod(factorials[k] for k in row) for row in counts.tolist()]
    return np.array([math.log(number) for number in ways])


def log_multinomial(
    log_drawn: Float[np.ndarray, "rows outcomes"],
    counts: Int[np.ndarray, "states outcomes"],
    ways: Float[np.ndarray, " states"],
) -> Float[np.ndarray, "rows states"]:
    """Logarithms of these probabilities, not normalised again."""
    powers = np.arange(int(counts[0].sum()) + 1)
    rows = np.empty((len(log_drawn), len(counts)))
    for row, log_p in zip(rows, log_drawn, strict=True):
        # 0⁰ = 1: an outcome that cannot be drawn is not drawn.
        with np.errstate(invalid="ignore", over="ignore"):
            terms = np.where(powers > 0, powers * log_p[:, None], 0)
        row[:] = sum((term[c] for term, c in zip(terms, counts.T, strict=True)), ways)
    return rows


def binomial(
    log_drawn: Float[np.ndarray, "rows 2"], num_samples: int
) -> Float[np.ndarray, "rows states"]:
    """Binomial probabilities of 0..n draws of the first outcome, outwards from the mode.

    Neighbours have the ratio (n − k)/(k + 1) · p/q: every entry is a product of ratios, without a
    subtraction, relative to the largest one.
    """
    n = num_samples
    k = np.arange(n)
    chances = np.empty((len(log_drawn), n + 1))
    for first in range(0, len(log_drawn), 256):
        log_p, log_q = log_drawn[first : first + 256].T
        rows = chances[first : first + 256]
        rows[:] = 0
        sure = np.isneginf(log_p) | np.isneginf(log_q)
        rows[np.isneginf(log_p), 0] = rows[np.isneginf(log_q), n] = 1
        log_odds = np.where(sure, 0, log_p - log_q)[:, None]
        mode = np.minimum((n + 1) * np.exp(log_p[:, None]), n).astype(int)
        # A row that is sure is not taken from the products, which must stay finite all the same.
        mode = np.where(sure[:, None], n // 2, mode)
        with np.errstate(under="ignore", over="ignore"):
            # Odds beyond e^709 overflow on the side of the mode where there is nothing.
            up, down = (n - k) / (k + 1) * np.exp(log_odds), (k + 1) / (n - k) * np.exp(-log_odds)
            above = np.cumprod(np.where(k >= mode, up, 1), 1)
            below = np.cumprod(np.where(k < mode, down, 1)[:, ::-1], 1)[:, ::-1]
            # At k both products count the steps from the mode to k; one of them is empty.
            outward = np.ones_like(rows)
            outward[:, 1:] *= above
            outward[:, :-1] *= below
        outward /= outward.sum(1, keepdims=True)
        rows[~sure] = outward[~sure]
    return chances


def sorted_by_class(
    states: Int[np.ndarray, "states outcomes"], everything: Int[np.ndarray, "counts outcomes"]
) -> tuple[Int[np.ndarray, " counts"] | None, Int[np.ndarray, " states"]]:
    """The vectors of counts in the order of the states they belong to, and where each begins.

    None if every vector is a state.
    """
    if len(everything) == len(states):
        return None, np.arange(len(states))
    index = {tuple(row): number for number, row in enumerate(states.tolist())}
    classes = np.array([index[tuple(sorted(row, reverse=True))] for row in everything.tolist()])
    order = np.argsort(classes, kind="stable")
    return order, np.searchsorted(classes[order], np.arange(len(states)))
