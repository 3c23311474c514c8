"""Recovery: what a temperature restores, and how far numbers with finitely many digits go.

The loops, run.
"""

import itertools
from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import optimistix
from jax.typing import DTypeLike
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    Loop,
    Refit,
    Temperature,
    run,
)
from fixedpoint.loop.learners import Learner

WIDE = np.array([2.0, 1.3, 0.4, -0.9, -2.2])
"""A wider one, in falling order."""


def generations(
    temperature: Any,
    logits: Any,
    num_generations: int,
    learner: Learner | None = None,
    observe: Callable[[Array], Any] | None = None,
) -> Any:
    """What is observed after a number of generations at a temperature, from exact samples."""
    loop = Loop(sampler=Temperature(temperature), learner=learner or Refit())
    logits = jnp.asarray(logits)
    result = run(
        loop, logits, num_generations, observe=observe, save_at=[num_generations], progress=False
    )
    return result.value[0]


# --- the way back --------------------------------------------------------------------------------


def recovery() -> list[Observation]:
    """The temperature at which a generation is sampled to come nearest to the initial model."""
    observed = []
    for temperature, generation in ((0.8, 5), (1.3, 6)):
        model = generations(temperature, WIDE, generation)
        initial = simplex.probabilities(jnp.asarray(WIDE))

        def excess(log_probe: Array, model: Array, initial: Array) -> Array:
            drawn = generations(jnp.exp(log_probe), model, 1, observe=simplex.probabilities)
            return jnp.sum((drawn - initial) * model) / jnp.max(jnp.abs(model))

        # The cross-entropy to the initial model is stationary where the mean logits agree.
        solver = optimistix.Bisection(rtol=1e-14, atol=1e-14)
        solution = optimistix.root_find(
            lambda x, _, excess=excess, model=model, initial=initial: excess(x, model, initial),
            solver,
            jnp.asarray(0.0),
            options={"lower": -3.0, "upper": 3.0},
            max_steps=200,
        )
        observed.append(
            Observation(
                f"the best temperature for generation {generation} at T = {temperature}",
                {"temperature": temperature, "generation": generation},
                jnp.exp(solution.value),
                tolerance=1e-10,
            )
        )
    return observed


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
    model = initial
    for generation in range(1, max_generations + 1):
        model = np.asarray(generations(temperature, model, 1), dtype=np.float64)
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


def storage_cold() -> list[Observation]:
    """Measured horizons below T = 1; the law holds within a generation."""
    return [
        Observation(
            f"{num_outcomes} outcomes stored as {np.dtype(dtype).name} probabilities at T = "
            f"{temperature}",
            {
                "logit_range": float(np.log(num_outcomes)),
                "temperature": temperature,
                "log_smallest": _log_smallest(dtype),
            },
            float(measured_horizon(temperature, dtype, num_outcomes=num_outcomes)),
            tolerance=1.0,
        )
        for num_outcomes, temperatures in ((1000, (0.5, 0.8, 0.95)), (4, (0.9,)))
        for temperature in temperatures
        for dtype in (np.float64, np.float32, jnp.bfloat16)
    ]


def storage_hot() -> list[Observation]:
    """Measured horizons above T = 1 and near it; a whole number may lie one below the bound."""
    return [
        Observation(
            f"stored as {np.dtype(dtype).name} probabilities at T = {temperature}, within "
            f"{tolerance}",
            {
                "temperature": temperature,
                "roundoff": float(jnp.finfo(dtype).eps) / 2,
                "tolerance": tolerance,
            },
            float(measured_horizon(temperature, dtype, tolerance=tolerance)),
            tolerance=1.0,
        )
        for temperature, dtype, tolerance in (
            *itertools.product((1.05, 1.25, 2.0), (np.float32, jnp.bfloat16), (0.1,)),
            *((0.999, np.float16, 0.1), (0.999, jnp.bfloat16, 0.1), (0.98, jnp.bfloat16, 0.1)),
            *((1.25, np.float32, 0.4), (1.25, np.float16, 0.02)),
        )
    ]


def _log_smallest(dtype: DTypeLike) -> float:
    """-log of the number below which everything rounds to 0: half the least subnormal one."""
    return -float(np.log(float(jnp.finfo(dtype).smallest_subnormal))) + float(np.log(2))
