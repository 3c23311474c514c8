"""Gradient flow of one generation: the model after a time with a fixed target.

It integrates

    dθ/dt = target − softmax(θ),

the gradient flow of the cross-entropy to the target, by diffrax. `fixedpoint.loop.flow` follows a
whole loop in continuous time, and pulls in the same way.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from fixedpoint import checks, potential, simplex

__all__ = ["check_tolerances", "gradient_flow", "pull"]


def gradient_flow(
    logits: Float[Array, "*batch outcomes"],
    target: Float[Array, "*batch outcomes"],
    time: ArrayLike,
    *,
    rtol: float | None = None,
    atol: float | None = None,
    max_steps: int = 100_000,
    endless: bool = False,
) -> Float[Array, "*batch outcomes"]:
    """The model after a time of gradient flow to a fixed target.

    Args:
        logits: The model that training starts from.
        target: Logits of the training data.
        time: Learning rate × steps.
        rtol: Relative tolerance; by default 1e-10 in float64, 1e-5 in float32.
        atol: Absolute tolerance on the logits; by default the same.
        max_steps: How many steps the integrator may take.
        endless: Whether the time is infinite: until the model agrees with the target.

    Example:
        >>> import jax.numpy as jnp
        >>> gap = jnp.diff(gradient_flow(jnp.zeros(2), jnp.array([0.0, -jnp.inf]), 2.0))[0]
        >>> print(f"{jnp.exp(-gap) - gap:.8f}")  # e^z + z grows at rate 2, z the gap
        5.00000000
    """
    import diffrax

    rtol, atol = check_tolerances(logits.dtype, rtol, atol)

    def one(theta: Array, target: Array) -> Array:
        alive = theta > -jnp.inf
        wanted = simplex.probabilities(jnp.where(alive, target, -jnp.inf))

        def field(time: Any, state: Array, args: Any) -> Array:
            return pull(jnp.where(alive, state, -jnp.inf), target)

        def agrees(t: Array, y: Array, args: Any, **kwargs: Any) -> Array:
            model = simplex.probabilities(jnp.where(alive, y, -jnp.inf))
            return jnp.all(jnp.abs(model - wanted) <= 10 * rtol * jnp.where(wanted > 0, wanted, 1))

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Kvaerno5() if endless else diffrax.Dopri8(),
            t0=jnp.zeros((), theta.dtype),
            t1=jnp.asarray(time, theta.dtype),
            dt0=None,
            y0=jnp.where(alive, theta, 0),
            stepsize_controller=diffrax.PIDController(rtol, atol),
            max_steps=max_steps,
            event=diffrax.Event(agrees) if endless else None,
        )
        last: Any = solution.ys
        return jnp.where(alive, last[-1], -jnp.inf)

    return jnp.vectorize(one, signature="(k),(k)->(k)")(
        logits, jnp.broadcast_to(target, logits.shape)
    )


def pull(model: Array, target: Array, temperature: Array | None = None) -> Array:
    """The pull target - softmax(θ), with the target restricted to the model's outcomes.

    The entries of the modes are small differences of numbers near 1/m when the model is nearly on
    its m modes; Σ dθ/dt = 0 tells their rounding error, which is taken off them alike: θ keeps its
    accuracy over long times, and equal logits stay equal.
    """
    if temperature is not None and not jnp.ndim(temperature):
        pull = potential.gradient(model, temperature)
    else:
        pull = simplex.difference(jnp.where(model > -jnp.inf, target, -jnp.inf), model)
    modes = model == jnp.max(model)
    return pull - jnp.where(modes, jnp.sum(pull) / jnp.sum(modes), 0)


def check_tolerances(dtype: Any, rtol: float | None, atol: float | None) -> tuple[float, float]:
    """The relative and the absolute tolerance, honest about what the dtype can do."""
    double = jnp.finfo(dtype).bits >= 64
    default = 1e-10 if double else 1e-5
    for name, value in (("rtol", rtol), ("atol", atol)):
        if value is None:
            continue
        checks.check_positive(value, name)
        if np.ndim(value):
            raise ValueError(f"`{name}` must be one number; got {value}.")
        if not double and value < 1e-6:
            raise ValueError(
                f"`{name}` must be >= 1e-06 in {dtype}, which cannot give more: pass float64 "
                f"logits (and set jax_enable_x64); got {value!r}."
            )
    return (default if rtol is None else rtol), (default if atol is None else atol)
