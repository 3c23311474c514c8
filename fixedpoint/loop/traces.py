"""Single traces, fast: one gradient step per generation on a handful of fresh samples.

`run` carries any loop; a single-trace loop asks for a hundred thousand generations of thousands of
replicates, where the work of one generation is a few exponentials. `run_traces` runs the same loop
(Temperature, Fresh, one GradientSteps step) in the form that a processor likes:

- *Random numbers* come from a xoroshiro generator inside the loop, one per replicate, seeded with
  the key and the replicate's number alone: nothing is drawn or stored in advance.
- *Tiles.* Replicates are run in tiles that stay in the cache, each through all its generations.
- *Two outcomes* are carried as the gap z = θ₁ − θ₂ of the logits.
- *More outcomes* are carried as the weights e^θ and e^{θ/T}, which one sample changes by factors
  near 1: short polynomials instead of exponentials. (Several samples, weight decay or large steps:
  the logits are carried.) They are searched in blocks of √K.
- *Hundreds of outcomes and more* are visited once in some hundreds of generations; in between, a
  generation touches the most probable ones and the one drawn (`fixedpoint.kernels.lazy`). Its cost
  hardly depends on their number, and the law is the same. (On CPUs, and on the versions of jaxlib
  on which this was tried; elsewhere all outcomes are visited.)
- *None of them probable*: `leap` takes several generations at a time, approximately.
- *Memory* holds the saved observables alone, whatever the number of generations.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from fixedpoint import checks, simplex
from fixedpoint.kernels import driver
from fixedpoint.kernels.lazy import TABLE, blocks
from fixedpoint.kernels.random import seeds
from fixedpoint.kernels.traces import leaps, simulate, uses_library
from fixedpoint.loop.corpora import Fresh
from fixedpoint.loop.learners import GradientSteps
from fixedpoint.loop.run import Loop, Trajectory
from fixedpoint.loop.samplers import Temperature, floating

__all__ = ["logarithmic_generations", "run_traces"]


def run_traces(
    loop: Loop,
    logits: Float[Array, " outcomes"],
    num_generations: int,
    *,
    key: Array,
    num_replicates: int,
    observe: Callable[[Array], Any] | None = None,
    save_at: Sequence[int] | None = None,
    leap: float | None = None,
    devices: Sequence[Any] | None = None,
) -> Trajectory:
    """Run a single-trace loop over a long horizon.

    One generation draws B samples with frequencies p̂ from softmax(θ/T) and takes one step,

        θ' = (1 − ηλ) θ + η (p̂ − p),    p = softmax(θ).

    Args:
        loop: `Loop(Temperature(T), Fresh(B), GradientSteps(step_size=η, weight_decay=λ))`.
        logits: The initial model, finite, shape (num_outcomes,); it is centred (mean 0) first,
            which changes the model only in how it is written.
        num_generations: How many generations, at least 0.
        key: A random key.
        num_replicates: How many independent runs.
        observe: A function of the logits, shape (..., num_outcomes), whose values are saved; by
            default the logits themselves.
        save_at: The generations to save, increasing; by default about nine per decade
            (`logarithmic_generations`).
        leap: For thousands of outcomes, none of them probable: several generations at a time, from
            the model they begin with, as long as no logit is expected to move by more than `leap`
            (0.02, say). Approximate, and at best twice as fast as every generation, which None
            takes.
        devices: The devices that share the replicates; by default all local ones.

    Returns:
        The saved generations and values, of shape (S, num_replicates, ...).

    Raises:
        ValueError: If the loop is not of that form, or an argument is out of its range.

    Validity:
        The rule to rounding: after t generations the logits are within about t · 1e-15 of it, for
        the same samples; the samples are exact up to the resolution of the uniform numbers (2⁻⁵² in
        float64, 2⁻⁴⁴ or better in float32). From 512 outcomes on (one sample a generation, no
        weight decay, float64, η ≤ min(T, 1)) what the improbable outcomes have lost is
        interpolated: the logits are within 1e-9 + t · 1e-15 of the rule for the same samples, which
        have the law of these logits (`tests/kernels/test_lazy.py`). In float32 a gap of the logits
        stops growing near 15, where its increments fall below the rounding: use float64 for long
        horizons. Replicate r depends on the key and r alone; not on the other replicates or the
        saved generations, and to rounding (1e-15 a generation) not on the devices, for whose number
        XLA may arrange the same sums otherwise. With `leap` the law of the logits has an error of
        the order of `leap`; compare with half of it. Leaps end at saved generations. The cost of a
        generation is that of all outcomes divided by the generations of a leap, leap/(η max p) of
        them, 256 at most; where an outcome is probable nothing is gained.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(step_size=0.1))
        >>> runs = run_traces(
        ...     loop, jnp.zeros(2), 10_000, key=jax.random.key(0), num_replicates=3,
        ...     observe=fp.simplex.entropy, save_at=[0, 10_000],
        ... )
        >>> runs.value.shape
        (2, 3)
    """
    checks.check_concrete("run_traces", loop=loop, logits=logits)
    sampler, corpus, learner = parts(loop)
    checks.check_logits(logits)
    checks.check_key(key)
    checks.check_functions(observe, several=False)
    checks.check_devices(devices)
    start = simplex.centre(floating(logits))
    checks.check_concrete("run_traces", logits=start)  # inside jax.jit everything is traced
    if start.ndim != 1 or not np.all(np.isfinite(start)):
        raise ValueError(
            f"`logits` must be finite, of shape (num_outcomes,), without lost outcomes; "
            f"got {logits}."
        )
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    num_replicates = checks.check_count(num_replicates, "num_replicates")
    every = logarithmic_generations(num_generations)
    saved = checks.check_generations(every if save_at is None else save_at, num_generations)

    step_size, weight_decay, temperature = (
        jnp.asarray(number, start.dtype)
        for number in (learner.step_size, learner.weight_decay, sampler.temperature)
    )
    num_outcomes, is_one = len(start), float(temperature) == 1
    reach = _reach(loop, start)
    devices = tuple(jax.local_devices() if devices is None else devices)
    if leap is not None:
        checks.check_positive(leap, "leap")
        if corpus.num_samples != 1 or float(weight_decay) or start.dtype != jnp.float64:
            raise ValueError(
                "`leap` needs one sample a generation, no weight decay and float64 logits; "
                f"got {loop}, {start.dtype}."
            )
        kernel, static = leaps, (_LONGEST_LEAP,)
        parameters = step_size, temperature, jnp.asarray(float(leap))
        library, tiles = True, (1, 1)
    elif (
        reach
        and num_outcomes >= _MANY
        and driver.makes_one_function(devices)
        and not isinstance(key, Tracer)  # whose batch would bring scatters into the one function
    ):
        kernel, static = blocks, (_NUM_HEAVY, is_one, reach)
        # A light outcome's room: two or three samples, or one; every proposal pays for it.
        room = jnp.maximum(1.01 * step_size, 0.25 * jnp.minimum(temperature, 1.0))
        parameters = step_size, temperature, room, TABLE
        library, tiles = False, (1, 1)
    else:
        kernel, static = simulate, (corpus.num_samples, is_one, reach)
        parameters = step_size, weight_decay, temperature
        library = uses_library(num_outcomes, reach)
        most = max(1, min(128, (2**15 if library else 2**13) // num_outcomes))
        tiles = min(16, most), most
    value = driver.run(
        kernel,
        [seeds(key, start.dtype, num_replicates)],
        [start, jnp.asarray(np.diff(saved, prepend=0)), *parameters],
        static=(observe or _itself, *static),
        tile=_tile(-(-num_replicates // len(devices)), *tiles),
        axis=1,
        library=library,
        devices=devices,
    )
    return Trajectory(generation=jnp.asarray(saved), value=value)


def _tile(each: int, least: int, most: int) -> int:
    """A power of two of replicates, as many as a device has of them or as its cache holds."""
    largest = 1 << (max(least, most).bit_length() - 1)
    return min(largest, max(least, 1 << (each - 1).bit_length()))


_LONGEST_LEAP = 256

_MANY = 512
"""Outcomes from which on not all are visited in every generation."""

_NUM_HEAVY = 32


def logarithmic_generations(num_generations: int) -> np.ndarray:
    """Generations 0, 1, …, 9, 10, 20, …, 90, 100, …, up to and including the last one.

    Args:
        num_generations: The last one, at least 0.

    Returns:
        Increasing generations, nine per decade.

    Raises:
        ValueError: If `num_generations` is negative.

    Example:
        >>> logarithmic_generations(25).tolist()
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 25]
    """
    num_generations = checks.check_count(num_generations, "num_generations", minimum=0)
    decades = range(len(str(num_generations)))
    series = [digit * 10**decade for decade in decades for digit in range(1, 10)]
    return np.array(
        [0, *(n for n in series if n < num_generations), *[num_generations][:num_generations]]
    )


def parts(loop: Loop) -> tuple[Temperature, Fresh, GradientSteps]:
    """Sampler, corpus and learner of a single-trace loop."""
    checks.check_kind(loop, Loop, "loop", "a Loop")
    sampler, corpus, learner = loop.sampler, loop.corpus, loop.learner
    if isinstance(sampler, tuple) and len(sampler) == 1:
        (sampler,) = sampler
    single = (
        isinstance(sampler, Temperature)
        and isinstance(corpus, Fresh)
        and isinstance(learner, GradientSteps)
        and (learner.num_steps, learner.batch_size, learner.start) == (1, None, "last")
        and all(np.ndim(leaf) == 0 for leaf in jax.tree.leaves(loop))
        and 0 < float(sampler.temperature) < np.inf
    )
    if not single:
        raise ValueError(
            "`loop` must be Loop(Temperature(T), Fresh(B), GradientSteps(step_size)) with "
            f"0 < T < inf and one full-batch step; `run` takes every loop. Got {loop}."
        )
    return sampler, corpus, learner  # type: ignore[return-value]


def _reach(loop: Loop, start: Array) -> float:
    """A bound of the changes of θ and θ/T, one of a few; 0 if weights cannot be carried."""
    sampler, corpus, learner = parts(loop)
    temperature, step_size = float(sampler.temperature), float(learner.step_size)
    smallest = min(temperature, 1.0)
    # Logits fall by the logarithm of the generations: 40 is more than any run's.
    within = (float(jnp.abs(start).max()) + 40) / smallest < 700
    single = corpus.num_samples == 1 and not float(learner.weight_decay)
    if not (single and within and start.dtype == jnp.float64):
        return 0.0
    reaches = 1 / 32, 1 / 8, 1 / 2, 1.0
    return next((reach for reach in reaches if step_size / smallest <= reach), 0.0)


def _itself(logits: Array) -> Array:
    return logits
