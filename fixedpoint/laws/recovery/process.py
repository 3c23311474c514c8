"""The loops that the laws of recovery describe, and what is left of a model that was stored."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax.typing import DTypeLike
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.experiment import Experiment, after, measured
from fixedpoint.loop import Curated, Loop, Temperature

Numbers = Mapping[str, Any]

WIDE = np.array([2.0, 1.3, 0.4, -0.9, -2.2])
"""A model in falling order."""


# --- the way back --------------------------------------------------------------------------------


@jax.jit
def _nearest(model: Array, initial: Array) -> Array:
    """The temperature at which a model is sampled to come nearest to the initial one."""

    def excess(log_probe: Array, _: Any) -> Array:
        probe = Loop(Temperature(jnp.exp(log_probe)))
        drawn = after(probe, model, observe=simplex.probabilities)
        # The cross-entropy to the initial model is stationary where the mean logits agree.
        return jnp.sum((drawn - simplex.probabilities(initial)) * model) / jnp.max(jnp.abs(model))

    ends = {"lower": -3.0, "upper": 3.0}
    solver = optimistix.Bisection(rtol=1e-14, atol=1e-14)
    found = optimistix.root_find(excess, solver, jnp.asarray(0.0), options=ends, max_steps=200)
    return jnp.exp(found.value)


def recovery() -> list[Experiment]:
    """The temperature at which a generation is sampled to come nearest to the initial model."""

    def nearest(loop: Loop, numbers: Numbers) -> Any:
        model = after(loop, WIDE, numbers["generation"])
        return _nearest(model, jnp.asarray(WIDE)), {"tolerance": 1e-10}

    return [
        measured(nearest, "sought by bisection", temperature=temperature, generation=generation)
        for temperature, generation in ((0.8, 5), (1.3, 6))
    ]


def measured_horizon(
    temperature: float,
    dtype: DTypeLike,
    stored_as: Literal["probabilities", "logits"] = "probabilities",
    num_outcomes: int = 1000,
    tolerance: float = 0.1,
    max_generations: int = 1000,
) -> int:
    """The last generation from which the initial model can be restored, by storing each of them.

    A Zipf model, p_i proportional to 1/i, is run generation by generation; each is rounded to the
    dtype, as probabilities or as centred logits, and the next starts from what was stored. The
    rounding is NumPy's, which keeps subnormal numbers (compiled JAX on a CPU does not).

    Args:
        temperature: The sampling temperature.
        dtype: What each generation is stored in.
        stored_as: "probabilities" or "logits".
        num_outcomes: How many outcomes; the range of the logits is its logarithm.
        tolerance: The largest error of a restored logit (up to a common constant) that will do.
        max_generations: Where to stop.

    Returns:
        The number of generations, at most `max_generations`.
    """
    initial = -np.log(np.arange(1.0, num_outcomes + 1))
    model, loop = initial, Loop(Temperature(temperature))
    for generation in range(1, max_generations + 1):
        model = np.asarray(after(loop, model), dtype=np.float64)
        with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
            if stored_as == "probabilities":
                weights = np.exp(model - model.max())
                model = np.log((weights / weights.sum()).astype(dtype).astype(np.float64))
            else:
                model = (model - model.mean()).astype(dtype).astype(np.float64)
            error = model * temperature**generation - initial
            # Half the range: the largest error for the best common constant.
            if not (error.max() - error.min()) / 2 <= tolerance:
                return generation - 1
    return max_generations


def storage_cold() -> list[Experiment]:
    """Measured horizons below T = 1; the law holds within a generation."""

    def experiment(num_outcomes: int, temperature: float, dtype: DTypeLike) -> Experiment:
        def horizon(_: Loop, numbers: Numbers) -> Any:
            found = measured_horizon(temperature, dtype, num_outcomes=num_outcomes)
            return float(found), {"tolerance": 1.0}

        # Half the least subnormal number is the one below which everything rounds to 0.
        least = np.log(2) - np.log(float(jnp.finfo(dtype).smallest_subnormal))
        return measured(
            horizon,
            f"stored as {np.dtype(dtype).name} probabilities",
            logit_range=float(np.log(num_outcomes)),
            temperature=temperature,
            log_smallest=float(least),
        )

    return [
        experiment(num_outcomes, temperature, dtype)
        for num_outcomes, temperature in ((1000, 0.5), (1000, 0.8), (1000, 0.95), (4, 0.9))
        for dtype in (np.float64, np.float32, jnp.bfloat16)
    ]


def storage_hot() -> list[Experiment]:
    """Measured horizons above T = 1 and near it; a whole number may lie one below the bound."""

    def experiment(temperature: float, dtype: DTypeLike, tolerance: float) -> Experiment:
        def horizon(_: Loop, numbers: Numbers) -> Any:
            found = measured_horizon(temperature, dtype, tolerance=tolerance)
            return float(found), {"tolerance": 1.0}

        return measured(
            horizon,
            f"stored as {np.dtype(dtype).name} probabilities",
            temperature=temperature,
            roundoff=float(jnp.finfo(dtype).eps) / 2,
            tolerance=tolerance,
        )

    def worst(loop: Loop, numbers: Numbers) -> Any:
        """Two logits, rounded by the whole roundoff each time, and always apart."""
        model, generation = np.zeros(2), 0
        apart = numbers["roundoff"] * np.array([1.0, -1.0])
        while np.ptp(model) / 2 * numbers["temperature"] ** generation <= numbers["tolerance"]:
            model, generation = np.asarray(after(loop, model)) + apart, generation + 1
        return generation - 1.0, {"tolerance": 1.0, "attained": True}

    rounded_apart = [
        measured(worst, "at worst", temperature=temperature, roundoff=u, tolerance=tolerance)
        for temperature, u, tolerance in ((1.05, 2e-4, 0.1), (1.02, 1e-3, 0.2), (0.99, 5e-4, 0.04))
    ]
    return rounded_apart + [
        experiment(temperature, dtype, tolerance)
        for temperature, dtype, tolerance in (
            *itertools.product((1.05, 1.25, 2.0), (np.float32, jnp.bfloat16), (0.1,)),
            *((0.999, np.float16, 0.1), (0.999, jnp.bfloat16, 0.1), (0.98, jnp.bfloat16, 0.1)),
            *((1.25, np.float32, 0.4), (1.25, np.float16, 0.02)),
        )
    ]


# --- what a temperature does not restore ---------------------------------------------------------

CHANGES: Sequence[dict[str, Any]] = (
    {"logits": WIDE, "scores": np.array([0.4, -0.7, 0.9, -0.2, 0.3]), "temperature": 0.7},
    {"logits": WIDE[::-1] / 2, "scores": np.array([0.9, 0.2, -1.1, 0.0, 0.6]), "temperature": 1.6},
    {"logits": WIDE[:3], "scores": np.array([0.2, 0.8, -0.5]), "temperature": 0.7},
)
"""One generation of curated samples each."""


def lost_modes() -> list[Experiment]:
    """The divergence after a change, less that from the initial model without what is lost."""

    def lost(loop: Loop, numbers: Numbers) -> Any:
        start, alive = jnp.asarray(numbers["logits"]), numbers["scores"] > -np.inf
        changed, left = after(loop, start), after(Loop(corpus=Curated(1.0 * alive)), start)
        return simplex.kl_divergence(changed, start) - simplex.kl_divergence(changed, left)

    some, most = np.array([0.4, -np.inf, 0.9, -0.2, -np.inf]), np.array([-np.inf, 0.2, -np.inf])
    return [
        measured(lost, "one generation", logits=WIDE, scores=some, temperature=0.7),
        measured(lost, "one generation", logits=WIDE, scores=some, temperature=1.6),
        measured(lost, "one generation", logits=WIDE[1:4], scores=most, temperature=0.7),
    ]


@jax.jit
def _least_divergence(model: Array, initial: Array) -> Array:
    """How near the initial model comes to another one at any temperature."""

    def divergence(log_probe: Array) -> Array:
        return simplex.kl_divergence(model, after(Loop(Temperature(jnp.exp(log_probe))), initial))

    ends, solver = {"lower": -4.0, "upper": 4.0}, optimistix.Bisection(rtol=1e-13, atol=1e-13)
    slope = jax.grad(divergence)
    start = jnp.asarray(0.0)
    found = optimistix.root_find(lambda x, _: slope(x), solver, start, options=ends, max_steps=200)
    return divergence(found.value)


def sharpening() -> list[Experiment]:
    """The divergence after a change, less the least one from any temperature."""

    def undone(loop: Loop, numbers: Numbers) -> Any:
        start = jnp.asarray(numbers["logits"])
        changed = after(loop, start)
        return simplex.kl_divergence(changed, start) - _least_divergence(changed, start)

    return [measured(undone, "the nearest temperature", **numbers) for numbers in CHANGES]


def rest() -> list[Experiment]:
    """The least divergence from the initial model at any temperature."""

    def left(loop: Loop, numbers: Numbers) -> Any:
        start = jnp.asarray(numbers["logits"])
        return _least_divergence(after(loop, start), start)

    return [measured(left, "the nearest temperature", **numbers) for numbers in CHANGES]


# --- how fast anything can be lost ---------------------------------------------------------------


def speed_limit() -> list[Experiment]:
    """What is left off the mode: with a teacher that knows the mode alone, and with others."""

    def off_the_mode(loop: Loop, numbers: Numbers) -> Any:
        t, time, s = numbers["generation"], numbers["time"], 1 - numbers["probability"]
        left = after(loop, numbers["logits"], t, simplex.tail_probability)
        one_hot = len(numbers["logits"]) == 2 and numbers["logits_real"][1] == -np.inf
        if not one_hot:
            return left, {"tolerance": 1e-6}
        # The slope is -2ps² there, p at least 1 - s.
        slack = s / (1 + 2 * s * (1 - s) * t * time) - s / (1 + 2 * s * t * time)
        return left, {"tolerance": slack + 1e-6 * s, "attained": True}

    return [
        measured(
            off_the_mode,
            "gradient flow",
            logits=np.asarray(logits),
            logits_real=np.asarray(real),
            probability=float(jnp.max(jax.nn.softmax(jnp.asarray(logits)))),
            temperature=0.5,
            fraction=fraction,
            time=time,
            generation=generation,
        )
        for logits, real, fraction, time, generation in (
            ([5.0, 0.0], [0.0, -np.inf], 1.0, 300.0, 1),
            ([5.0, 0.0], [0.0, -np.inf], 1.0, 300.0, 3),
            ([4.0, 0.0], [0.0, -np.inf], 1.0, 60.0, 2),
            ([1.0, 0.2, -0.3], [0.0, -1.0, -np.inf], 0.3, 2.0, 4),
        )
    ]
