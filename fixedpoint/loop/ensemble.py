"""Many models of a tempering loop in continuous time, with the same steps for all."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array

from fixedpoint.kernels import driver
from fixedpoint.kernels.ensemble import integrate
from fixedpoint.loop import kind
from fixedpoint.loop.generation import Loop

__all__ = ["MANY", "side_by_side"]

MANY = 64
"""From this number of models on they are integrated with the same steps."""

_TILE = 40  # not a power of two, for whose multiples a cache has few places
_LONGEST = 8.0  # beyond it the method, at the Jacobian's -1/2, is near the end of its stability
_MOST_STEPS = 5_000  # beyond which steps that follow the solution are better than fixed ones


def side_by_side(
    loop: Loop,
    logits: Array,
    times: Array,
    frozen: bool,
    tolerances: tuple[float, float],
    max_steps: int,
) -> Array | None:
    """Many models of a tempering loop with the same steps; None where that is not the way.

    How large an error is, is found by halving the steps: first for a few models that are likely to
    be difficult, in search of the steps; then, after all have been solved, for those whose embedded
    estimates (of the seventh order, too large by far) are the largest. It must be within the
    tolerance twice over.
    """
    rows = logits.reshape(-1, logits.shape[-1])
    if isinstance(rows, Tracer) or isinstance(times, Tracer) or len(rows) < MANY:
        return None
    temperature = _temperature(loop)
    table = np.asarray(rows)
    fits = table.dtype == np.float64 and np.isfinite(table.max(-1)).all()
    if temperature is None or not fits:
        return None
    ends = np.asarray(times)
    if not frozen and _grows_from_rounding(table, float(temperature), ends[-1], min(tolerances)):
        return None
    longest = _LONGEST * (1.0 if frozen else min(1.0, float(temperature)))

    def solve(rows: np.ndarray, steps: tuple[np.ndarray, ...], devices: Any = None) -> Any:
        states, error = driver.run(
            integrate,
            [rows],
            [temperature, *steps, np.asarray(tolerances)],
            static=(frozen,),
            tile=_TILE,
            axis=1,
            library=False,
            devices=devices,
        )
        return states, np.asarray(error)[0]

    few, one = _hardest(table, float(temperature)), jax.local_devices()[:1]
    # Speeds are of order 1 always, so that the tolerance tells about what step to begin with.
    step = longest * min(1, 0.29 * (min(tolerances) / 1e-8) ** (1 / 8))
    for _ in range(8):
        steps = _growing_steps(ends, step, longest)
        if steps[-1].sum() > min(_MOST_STEPS, max_steps):
            return None
        halved = _growing_steps(ends, step / 2, longest / 2)
        coarse, fine = (np.asarray(solve(few, each, one)[0]) for each in (steps, halved))
        true = _in_units(coarse, fine, tolerances)
        if 3 * true <= 1:
            states, estimates = solve(table, steps)
            doubtful = np.argpartition(estimates, -_TILE)[-_TILE:]
            few = table[doubtful]
            fine = np.asarray(solve(few, halved, one)[0])
            true = _in_units(np.asarray(states)[:, doubtful], fine, tolerances)
            if 2 * true <= 1:
                return states.reshape(len(ends), *logits.shape)
        step *= min(0.9, (4 * true) ** (-1 / 8)) if np.isfinite(true) else 0.5
    return None


def _grows_from_rounding(
    rows: np.ndarray, temperature: float, duration: float, tolerance: float
) -> bool:
    """Whether a gap below the mode is so small that the kernel's weights e^θ hold too little of it.

    Below T = 1 it grows as e^(1/T - 1)t/2 at most, until it is of order 1, and its error with it.
    """
    top = rows.max(-1, keepdims=True)
    gap = top[:, 0] - np.where(rows < top, rows, -np.inf).max(-1)
    growth = np.exp(np.clip((1 / temperature - 1) * duration / 2, 0, 700))
    error = np.finfo(rows.dtype).eps / 2 / gap * np.minimum(1, gap * growth)
    return bool((error > 2 * tolerance).any())


def _hardest(rows: np.ndarray, temperature: float) -> np.ndarray:
    """A tile of models that are likely to have the largest errors, from a sample of them.

    Where T < 1 these are models that are almost even, where T > 1 those that are almost certain,
    and the fastest everywhere; some others are added.
    """
    sample = rows[:: -(-len(rows) // 1024)]
    relative = sample - sample.max(-1, keepdims=True)
    model, drawn = np.exp(relative), np.exp(relative / temperature)
    model, drawn = (w / w.sum(-1, keepdims=True) for w in (model, drawn))
    certain, fast = np.argsort(model.max(-1)), np.argsort(np.abs(drawn - model).max(-1))
    quarter = _TILE // 4
    others = np.linspace(0, len(sample) - 1, quarter).astype(int)
    return sample[np.concatenate([certain[:quarter], certain[-quarter:], fast[-quarter:], others])]


def _growing_steps(ends: np.ndarray, step: float, longest: float) -> tuple[np.ndarray, ...]:
    """First steps, factors and numbers of steps of the stretches between the ends.

    A flow slows down: the steps grow in proportion to the time that is behind, from `step` at the
    beginning to three times as much late in a long time, or to the longest.
    """
    edges = np.concatenate([[0.0], ends])
    length = np.minimum(longest, step * (1 + 2 * edges / (ends[-1] + 10)))
    duration = np.diff(edges)
    ratio = length[1:] / length[:-1]
    # The logarithmic mean of a stretch's first and last step, so that neither is exceeded.
    mean = length[:-1] * np.where(ratio > 1, (ratio - 1) / np.log(np.maximum(ratio, 1 + 1e-9)), 1)
    number = np.ceil(duration / mean).astype(int)
    growth = ratio ** (1 / np.maximum(number - 1, 1))
    whole = np.where(growth > 1, np.expm1(number * np.log(growth)), number)
    first = duration * np.where(growth > 1, growth - 1, 1) / np.maximum(whole, 1e-300)
    return first, growth, number


def _in_units(coarse: np.ndarray, fine: np.ndarray, tolerances: tuple[float, float]) -> float:
    """The largest difference of two solutions, in units of the tolerance."""
    atol, rtol = tolerances
    alive = fine > -np.inf
    difference = np.abs(coarse[alive] - fine[alive]) / (atol + rtol * np.abs(fine[alive]))
    return float(difference.max())


def _temperature(loop: Loop) -> Array | None:
    """T of a loop that is nothing but drawing at T > 0 and learning what is drawn."""
    decay, temperature = kind.weight_decay(loop.learner), kind.only_temperature(loop)
    if temperature is None or kind.is_traced(temperature) or np.ndim(temperature):
        return None
    if decay is not None and not kind.is_number(decay, 0):
        return None
    return temperature if 0 < np.asarray(temperature) < np.inf else None
