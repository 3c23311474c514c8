"""The law of single traces with two outcomes, as powers of a transfer operator.

The gap z = θ₁ − θ₂ of the logits is a Markov chain on the line. What an observable f is worth on
average one generation later is another function of the gap,

    (Kf)(z) = Σ_c Binomial(c; B, σ(z/T)) f(z′),   z′ = (1 − ηλ) z + 2η (c/B − σ(z)),

and N generations later Kᴺf, which N squarings of a matrix give in log₂ N of them. Functions are
held by their values at Chebyshev nodes; even and odd ones apart, as K keeps them apart.

Two things make a million generations as exact as one. The matrix that is squared is K − I, as
(I + G)² − I = 2G + G²: hardly anything moves at the ends, and what moves little keeps its digits.
And the interval reaches so far that a path from the start cannot come near its ends: there a
polynomial would have to be continued beyond its nodes, which grows without bound.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import ArrayLike

from fixedpoint import checks
from fixedpoint.chain.counts import binomial
from fixedpoint.loop import kind
from fixedpoint.loop.generation import Loop

__all__ = ["TracesMean", "traces_mean"]

LARGEST = 10_000
"""Most samples of a generation: each of their counts takes its own step from every node."""

NODES = (200, 280, 400, 560, 800, 1120)
"""Numbers of Chebyshev nodes that are tried in turn, until two agree."""


class TracesMean(NamedTuple):
    """Expectation of an observable.

    Attributes:
        value: at each generation asked for, shape (generations, ...).
        error: The largest difference between the last two numbers of nodes: an upper estimate of
            the error, as each further number of nodes gains digits.
    """

    value: Float[np.ndarray, " generations *shape"]
    error: float


def traces_mean(
    loop: Loop,
    logits: ArrayLike,
    generations: Sequence[int] | int,
    observe: Callable[[Array], Any],
    *,
    tolerance: float = 1e-10,
) -> TracesMean:
    """Expectation of any smooth observable of single traces with two outcomes, without sampling.

    Args:
        loop: `Loop(Temperature(T), Fresh(B), GradientSteps(step_size=η, weight_decay=λ))`.
        logits: The initial model, two finite logits, of which only the difference counts.
        generations: Which generations, increasing, or one; a million is as good as one.
        observe: A function of centred logits, shape (..., 2), with values of shape (..., *shape):
            `fixedpoint.simplex.entropy`, or any other that is smooth in the logits.
        tolerance: Largest error accepted, relative to the largest value that the observable takes.

    Returns:
        The expectations and an estimate of their error.

    Raises:
        ValueError: If the loop is not of that form, has more than 10,000 samples, or JAX is not in
            float64.
        FloatingPointError: If 1,120 nodes do not reach the tolerance: for an observable with a
            kink or a jump, T far below 1 with tiny steps, or steps η > 4, which mix without
            smoothing.

    Validity:
        Exact up to the returned error, typically 1e-13: against all histories of a few
        generations, another discretisation, and the martingale E z = z₀ at T = 1 over a million
        generations (`tests/chain/test_traces.py`).

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size=0.05))
        >>> logits = jnp.array([0.2, -0.1])
        >>> left = fp.chain.traces_mean(loop, logits, 10**6, fp.simplex.heterozygosity)
        >>> print(f"{left.value[0]:.12f}", left.error < 1e-10)
        0.003206333292 True

    References:
        Trefethen (2013), Approximation theory and approximation practice (Chebyshev nodes).
    """
    numbers = kind.check_single_traces(loop)
    if not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError(
            "`jax_enable_x64` must be on to hold 10 digits "
            '(jax.config.update("jax_enable_x64", True)); got False.'
        )
    if numbers.num_samples > LARGEST:
        raise ValueError(
            f"`num_samples` must be at most {LARGEST:,} (`fixedpoint.run` simulates any "
            f"number); got {numbers.num_samples:,}."
        )
    checks.check_logits(logits)
    theta = np.asarray(logits, float)
    if theta.shape != (2,) or not np.isfinite(theta).all():
        raise ValueError(f"`logits` must be two finite logits; got {theta}.")
    if not callable(observe):
        raise ValueError(f"`observe` must be a function (simplex.entropy); got {observe!r}.")
    checks.check_positive(tolerance, "tolerance")
    number = np.atleast_1d(checks.check_whole(generations, "generations", 0))
    if number.ndim > 1 or not number.size or not np.issubdtype(number.dtype, np.integer):
        raise ValueError(f"`generations` must be whole numbers >= 0; got {generations}.")
    if (number[1:] <= number[:-1]).any():
        raise ValueError(f"`generations` must increase; got {number.tolist()}.")
    process = _Gap(
        float(numbers.temperature),
        numbers.num_samples,
        float(numbers.step_size),
        float(numbers.weight_decay),
    )
    previous, error = None, np.inf
    for nodes in NODES:
        value, scale = process.means(nodes, theta[0] - theta[1], number, observe)
        if previous is not None:
            error = float(np.abs(value - previous).max(initial=0.0))
            if error <= tolerance * scale:
                return TracesMean(value, error)
        previous = value
    raise FloatingPointError(
        f"`observe` could not be averaged to {tolerance:g}: {NODES[-1]:,} nodes leave {error:.1e} "
        "(an observable with a kink or a jump, or a process that is too rough)."
    )


class _Gap(NamedTuple):
    """The gap's chain: temperature, samples and learning rate of a generation, weight decay."""

    temperature: float
    num_samples: int
    step_size: float
    weight_decay: float

    def means(
        self, nodes: int, start: float, number: np.ndarray, observe: Callable[[Array], Any]
    ) -> tuple[np.ndarray, float]:
        """Expectations at the generations, and the largest value of the observable."""
        reach = self._reach(abs(start), int(number[-1]))
        # Beyond the reach: what moves there, N 2η e⁻ᶻ, stays below the distance of two nodes.
        end = reach + np.log(nodes**2 / reach)
        angle = (np.arange(nodes // 2) + 0.5) * np.pi / nodes
        gap = end * np.cos(angle)
        values = np.concatenate([_observed(observe, gap), _observed(observe, -gap)])
        shape = values.shape[1:]
        here, there = values.reshape(2, len(gap), -1)
        total = np.zeros((len(number), here.shape[1]))
        for odd, part in enumerate(((here + there) / 2, (here - there) / 2)):
            if np.abs(part).max() <= 1e-15 * np.abs(values).max():
                continue  # an even observable, up to rounding
            degree = 2 * np.arange(nodes // 2) + odd
            analysis = np.cos(np.outer(degree, angle)) * (4 / nodes)
            if not odd:
                analysis[0] /= 2
            read = np.cos(degree * np.arccos(start / end)) @ analysis
            power = self._moves(gap, angle, end, degree) @ analysis
            # Row s of `waiting` is generation number[s], of which the lower bits are done.
            waiting = np.repeat(part[None], len(number), 0)
            for bit in range(int(number[-1]).bit_length()):
                if bit:
                    power = 2 * power + power @ power
                if not odd:
                    # A constant stays the same.
                    power[np.diag_indices(len(gap))] -= power.sum(1)
                chosen = np.flatnonzero(number >> bit & 1)
                waiting[chosen] += power @ waiting[chosen]
            total += read @ waiting
        return total.reshape(len(number), *shape), float(np.abs(values).max())

    def _reach(self, start: float, generations: int) -> float:
        """No path gets beyond: e^z grows by at most 2η e^{2η} in a generation."""
        eta, decay = self.step_size, self.weight_decay
        reach = np.logaddexp(start, np.log(max(generations, 1) * 2 * eta) + 2 * eta)
        if decay > 0 and eta * decay <= 1:
            reach = min(reach, max(start, 1 / decay, 2 * eta))
        return max(reach, 1.0)

    def _moves(
        self, gap: np.ndarray, angle: np.ndarray, end: float, degree: np.ndarray
    ) -> np.ndarray:
        """E[T_k(z′/end)] − T_k(z/end) for every node z and degree k, without cancellation."""
        B, eta = self.num_samples, self.step_size
        with np.errstate(over="ignore"):
            p, q = 1 / (1 + np.exp(-gap)), 1 / (1 + np.exp(gap))
        drawn = -np.logaddexp(0, np.stack([-gap, gap], -1) / self.temperature)
        moved = np.zeros((len(gap), len(degree)))
        for count, chance in enumerate(binomial(drawn, B).T):
            step = 2 * eta * (count * q - (B - count) * p) / B - eta * self.weight_decay * gap
            step = np.clip(step, -end - gap, end - gap) / end
            # The turn e of the angle: cos(α + e) − cos α = −2 sin(α + e/2) sin(e/2) = step.
            turn = np.arccos(np.clip(np.cos(angle) + step, -1, 1)) - angle
            for _ in range(2):
                turn = -2 * np.arcsin(np.clip(step / (2 * np.sin(angle + turn / 2)), -1, 1))
            middle, half = np.outer(angle + turn / 2, degree), np.outer(turn / 2, degree)
            moved -= 2 * chance[:, None] * np.sin(middle) * np.sin(half)
        return moved


def _observed(observe: Callable[[Array], Any], gap: np.ndarray) -> np.ndarray:
    return np.asarray(observe(jnp.asarray(np.stack([gap / 2, -gap / 2], -1))), float)
