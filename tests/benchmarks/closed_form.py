"""The closed form of tempering against running the loop: the entropy of generation 50."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from race import Answer, Contestant, Race, relative_error

import fixedpoint as fp
from fixedpoint.kernels import sweep
from fixedpoint.laws import tempering

TEMPERATURE, GENERATION = 0.97, 50


def race(quick: bool) -> Race:
    """256 contexts over 4,096 outcomes; 8 over 500 if quick."""
    shape = (8, 500) if quick else (256, 4_096)
    logits = 3 * np.random.default_rng(0).standard_normal(shape)
    return Race(
        name="closed-form",
        title=f"entropy of generation {GENERATION}: {shape[0]} × {shape[1]:,} float64 logits",
        contestants=list(_contestants(logits)),
        distance=relative_error,
        distance_name="largest relative difference of a figure",
        tolerance=1e-9,
    )


def _contestants(table: np.ndarray) -> Iterator[Contestant]:
    logits = jnp.asarray(table)
    loop = fp.Loop(sampler=fp.Temperature(TEMPERATURE))
    b = TEMPERATURE ** -np.arange(GENERATION + 1, dtype=float)

    @jax.jit
    def at_once(logits: jax.Array, generation: jax.Array) -> jax.Array:
        return fp.simplex.entropy(tempering.logits(logits, TEMPERATURE, generation))

    def simulate(save_at: list[int] | None) -> Answer:
        observe = fp.simplex.entropy
        runs = fp.run(loop, logits, GENERATION, observe=observe, save_at=save_at, progress=False)
        return {"entropy": np.asarray(runs.value)[-1]}

    generation = jnp.asarray(GENERATION)
    yield Contestant("closed form", lambda: {"entropy": np.asarray(at_once(logits, generation))})
    yield Contestant(
        "closed form, all 51 generations",
        lambda: {"entropy": np.asarray(sweep(logits, b).entropy)[-1]},
    )
    yield Contestant("loop, fixedpoint", lambda: simulate([GENERATION]))
    yield Contestant("loop, fixedpoint, all 51 generations", lambda: simulate(None))
    yield Contestant("loop, NumPy", lambda: _numpy(table))


def _numpy(logits: np.ndarray) -> Answer:
    """Draw at the temperature, learn what is drawn, again and again."""
    log_p = logits
    for _ in range(GENERATION):
        log_p = log_p / TEMPERATURE
        log_p = log_p - log_p.max(-1, keepdims=True)
        log_p = log_p - np.log(np.exp(log_p).sum(-1, keepdims=True))
    return {"entropy": -(np.exp(log_p) * log_p).sum(-1)}


RACES = {"closed-form": race}
