"""A model as read from a file, and what its numbers must be."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

WIDEST = 1e290
"""Largest difference of two finite logits: beyond it differences and their products overflow."""

EXACT = 2**53
"""Up to it float64 has every whole number."""


@dataclass(frozen=True)
class Distribution:
    """A model as read from a file.

    Attributes:
        logits: shape (..., num_outcomes), floating point; `-inf` where an outcome is lost.
        outcomes: the outcomes' labels, or `None` where the file has none.
        counts: how often each outcome was counted, or `None` where the file holds no counts.
        source: what was read, as given.
    """

    logits: np.ndarray
    outcomes: tuple[str, ...] | None
    counts: np.ndarray | None
    source: str

    @property
    def num_outcomes(self) -> int:
        """K, the number of outcomes."""
        return self.logits.shape[-1]

    @property
    def num_contexts(self) -> int:
        """Number of distributions: the product of the leading dimensions."""
        return int(np.prod(self.logits.shape[:-1], dtype=int))


def from_counts(outcomes: Iterable[str], counts: np.ndarray, source: str) -> Distribution:
    """The model that counted outcomes are: their shares."""
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        total, top = counts.sum(), counts.max()
        scaled = counts if np.isfinite(total) else counts / top
        shares = scaled / scaled.sum()
        # Where a share is below the range of float64, its logarithm is not.
        tiny = np.log(counts.astype(float)) - np.log(float(top)) - np.log((counts / top).sum())
        logits = np.where(shares < np.finfo(float).tiny, tiny, np.log(shares))
    return Distribution(logits, tuple(outcomes), counts, source)


def checked_logits(logits: np.ndarray, name: str) -> np.ndarray:
    """Refuse NaN, +inf and rows without any outcome; name the first offender."""
    refuse(np.isnan(logits), logits, f"{name}: logits must not be NaN")
    refuse(logits == np.inf, logits, f"{name}: logits must be < inf")
    lost = ~np.isfinite(logits).any(-1)
    if lost.any():
        where = _position(lost)
        raise ValueError(
            f"{name}: at least one logit must be finite; all {logits.shape[-1]} are -inf{where}."
        )
    if logits.dtype == np.float64:
        top = logits.max(-1, keepdims=True)
        with np.errstate(over="ignore"):
            apart = np.isfinite(logits) & (top - logits > WIDEST)
        rule = f"{name}: logits must be within {WIDEST:g} of their row's largest, or -inf (lost)"
        refuse(apart, logits, rule)
    return logits


def row_sums(rows: np.ndarray) -> np.ndarray:
    """The sum of each row, in float64."""
    return rows.sum(-1, dtype=np.float64)


def tolerance_of(precision: float) -> float:
    """How far from 1 probabilities of a precision may add up to."""
    return max(1e-6, precision**0.5)


def checked_probabilities(
    probabilities: np.ndarray, name: str, precision: float = 0.0
) -> np.ndarray:
    """Refuse NaN, negative numbers and rows that do not sum to 1 as well as their type can."""
    valid = (probabilities >= 0) & (probabilities <= 1.01)
    refuse(~valid, probabilities, f"{name}: probabilities must be between 0 and 1")
    sums, tolerance = row_sums(probabilities), tolerance_of(precision)
    off = np.abs(sums - 1) > tolerance
    if off.any():
        where = _position(off)
        raise ValueError(
            f"{name}: probabilities must sum to 1 (within {tolerance:.0e}); "
            f"got {sums[off].flat[0]:.7g}{where}."
        )
    return probabilities


def refuse(wrong: np.ndarray, values: np.ndarray, rule: str) -> None:
    """Refuse values of which some are wrong; name the first offender."""
    if wrong.any():
        raise ValueError(f"{rule}; got {values[wrong].flat[0]!s}{_position(wrong)}.")


def _position(wrong: Any) -> str:
    """Where the first offender stands, as an index to type; nothing if there is no choice."""
    index = np.argwhere(wrong)[0]
    return f" at [{', '.join(map(str, index))}]" if index.size else ""


def log(probabilities: np.ndarray) -> np.ndarray:
    """Logarithms, -inf of 0."""
    with np.errstate(divide="ignore"):
        return np.log(probabilities)
