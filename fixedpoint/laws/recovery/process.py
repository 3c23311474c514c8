"""The loops that the laws of recovery describe, and what is left of a model that was stored."""

import itertools
from collections.abc import Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax.typing import DTypeLike
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.experiment import Experiment, after, measured
from fixedpoint.loop import Loop, Temperature

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
