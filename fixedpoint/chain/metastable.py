"""Absorption times beyond the range of floating-point numbers, as logarithms.

Where a chain stays for longer than 1e300 generations, what leads out are probabilities that round
to 0. They are kept in units of what they must be small by: V(j), the cheapest road from the state
where the chain stays to state j, a sum of −log P over its steps. States are eliminated from high V
to low; what leads down is of order 1 and kept as it is, what leads up from i to j is kept times
e^{V(j) − V(i)}, block by block, and nothing that matters is out of range.
"""

from __future__ import annotations

import itertools

import numpy as np

from fixedpoint.chain.elimination import eliminate_block

__all__ = ["escape"]

BLOCK = 64


def escape(
    log_inside: np.ndarray, log_ends: np.ndarray, last: int
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of mean absorption times, and absorption probabilities.

    Args:
        log_inside: log P among the S transient states, shape (S, S).
        log_ends: log P from them to the absorbing ones, shape (S, A).
        last: The transient state around which the chain stays.

    Returns:
        log E τ, shape (S,), and the probabilities of the ends, shape (S, A).

    Validity:
        As accurate as the logarithms that it is given, relative to the times
        (`tests/chain/test_metastable.py`).
    """
    height = _cheapest_roads(log_inside, last)
    size = len(height)
    order = np.append(np.argsort(-height, kind="stable"), last)
    order = np.delete(order, np.flatnonzero(order[:-1] == last))
    edges = [*range(0, size - 1, BLOCK), size - 1, size]
    blocks = list(itertools.pairwise(edges))
    level = np.concatenate([np.full(c - a, height[order[a:c]].min()) for a, c in blocks])
    number = np.concatenate([np.full(c - a, i) for i, (a, c) in enumerate(blocks)])
    summit = float((height[:, None] - log_ends).min())

    if not np.isfinite(summit):
        raise FloatingPointError("no absorbing state can be reached from where the chain stays.")
    climb = np.where(number[None] < number[:, None], level[None] - level[:, None], 0)
    # What leads up, in units of its climb; what is below 1e-250 there adds nothing to the rest.
    A = log_inside[np.ix_(order, order)] + climb
    A = np.where(A > -575, np.exp(np.maximum(A, -575)), 0)
    ends = np.exp(log_ends[order] + (summit - level)[:, None])
    down = np.exp(level - summit)  # from these units to probabilities
    y = np.ones(size)
    inverses = []
    for i, (a, c) in enumerate(blocks[:-1]):
        leaving = A[a:c, c:].sum(1) + ends[a:c].sum(1) * down[a:c]
        lower, upper = eliminate_block(A[a:c, a:c], leaving)
        inverses.append(upper)
        A[a:c, c:] = lower @ A[a:c, c:]
        ends[a:c], y[a:c] = lower @ ends[a:c], lower @ y[a:c]
        back = A[c:, a:c] @ upper  # rows below, in units of their climb to this block
        here = np.exp(level[c:] - level[a])
        plain, low = back * here[:, None], A[a:c, c:] * here
        for b, d in blocks[i + 1 :]:
            A[b:d, b:] += plain[b - c : d - c] @ A[a:c, b:]
            A[b:d, c:b] += back[b - c : d - c] @ low[:, : b - c]
        ends[c:] += back @ ends[a:c]
        y[c:] += plain @ y[a:c]

    # From the last state: alone with the ends.
    log_last = np.log(y[-1]) - np.log(ends[-1].sum()) + (summit - level[-1])
    before, reach = np.zeros(size), np.zeros(size)  # the time before `last`, and its probability
    chance = np.zeros_like(ends)
    reach[-1] = 1
    for (a, c), upper in zip(reversed(blocks[:-1]), reversed(inverses), strict=True):
        before[a:c] = upper @ (y[a:c] + A[a:c, c:] @ before[c:])
        reach[a:c] = upper @ (A[a:c, c:] @ reach[c:])
        chance[a:c] = upper @ (ends[a:c] * down[a:c, None] + A[a:c, c:] @ chance[c:])
    with np.errstate(divide="ignore"):
        log_mean = np.logaddexp(np.log(before), np.log(reach) + log_last)
    chance += np.outer(reach, ends[-1] / ends[-1].sum())
    result, probability = np.empty(size), np.empty_like(chance)
    result[order], probability[order] = log_mean, chance
    return result, probability


def _cheapest_roads(log_inside: np.ndarray, source: int) -> np.ndarray:
    """Smallest sum of −log P over a road from the source to every state (Dijkstra, 1959)."""
    height = np.full(len(log_inside), np.inf)
    height[source] = 0
    open_ = height.copy()
    for _ in range(len(height)):
        state = int(np.argmin(open_))
        if open_[state] == np.inf:
            break
        open_[state] = np.inf
        shorter = np.minimum(height, height[state] - log_inside[state])
        changed = shorter < height
        height = shorter
        open_[changed] = shorter[changed]
    return np.minimum(height, height[np.isfinite(height)].max())
