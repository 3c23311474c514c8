"""The loop that the laws of tempering describe: infinite samples, trained to the minimum.

Each function runs it and returns what was observed, with the bound on its error that was known
beforehand. The minimum of the loss is reached by several roads (the exact refit, gradient flow to
convergence, full-batch gradient steps from the last or from the initial model, a student of low
rank), which must lead to one law.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Float

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    GradientFlow,
    GradientSteps,
    Loop,
    Refit,
    Temperature,
    run,
)
from fixedpoint.loop.learners import Learner
from fixedpoint.potential import potential as potential_of

ROUNDING = 1e-12
"""Bound on the error of what is computed without integration or iteration."""

MODEL = np.array([0.5, -0.3, 0.1, -0.8])
"""An asymmetric model that gradient steps train quickly."""

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


def roads() -> Mapping[str, tuple[Learner, float]]:
    """The learners that reach the minimum, each with the error of its logits.

    The models here have no probability below 0.04, which is then the least curvature of the loss:
    a thousand steps of size 2 leave (1 - 0.08)¹⁰⁰⁰ = 1e-36 of the distance.
    """
    steps: dict[str, Any] = {"step_size": 2.0, "num_steps": 1000}
    return {
        "refit": (Refit(), ROUNDING),
        "gradient flow to convergence": (GradientFlow(np.inf), 1e-7),
        "gradient steps, fine-tuning": (GradientSteps(**steps), ROUNDING),
        "gradient steps, a lineage": (GradientSteps(**steps, start="initial"), ROUNDING),
    }


# --- one generation, and n of them ---------------------------------------------------------------


def refit() -> list[Observation]:
    """One generation, by every road to the minimum."""
    return [
        Observation(
            what=f"one generation at T = 0.7: {road}",
            arguments={"logits": MODEL, "temperature": 0.7},
            value=generations(0.7, MODEL, 1, learner),
            tolerance=error,
        )
        for road, (learner, error) in roads().items()
    ]


def logits() -> list[Observation]:
    """Several generations, by every road, and with a student of rank two in six contexts."""
    observed = [
        Observation(
            what=f"{num} generations at T = {temperature}: {road}",
            arguments={"logits": MODEL, "temperature": temperature, "generation": num},
            value=generations(temperature, MODEL, num, learner),
            tolerance=num * error,
        )
        for temperature, num in ((0.8, 3), (1.3, 4))
        for road, (learner, error) in roads().items()
    ]
    start, trained = low_rank_student(temperature=0.8, num_generations=2)
    return [
        *observed,
        Observation(
            what="2 generations at T = 0.8 of a student of rank 2: one of its six contexts",
            arguments={"logits": start[0], "temperature": 0.8, "generation": 2},
            value=trained[0],
            tolerance=1e-6,
        ),
    ]


def low_rank_student(
    temperature: float, num_generations: int
) -> tuple[Float[Array, "contexts outcomes"], Float[Array, "contexts outcomes"]]:
    """Retrain a student whose logits in six contexts are features times a 2 x 5 matrix.

    Args:
        temperature: The sampling temperature.
        num_generations: How often the matrix is retrained on its own samples.

    Returns:
        The logits before and after.
    """
    rng = np.random.default_rng(0)
    features = jnp.asarray(rng.normal(size=(6, 2)))
    start = jnp.asarray(rng.normal(size=(2, 5)))
    sampler = Loop(sampler=Temperature(temperature))

    def loss(matrix: Array, drawn: Array) -> Array:
        return -jnp.sum(drawn * simplex.log_probabilities(features @ matrix))

    matrix = start
    for _ in range(num_generations):
        drawn = simplex.probabilities(sampler.drawn(features @ matrix))
        solver = optimistix.BFGS(rtol=1e-12, atol=1e-12)
        matrix = optimistix.minimise(loss, solver, matrix, drawn, max_steps=1000).value
    return features @ start, features @ matrix


def composition() -> list[Observation]:
    """Three generations at three temperatures; and three samplers in one generation."""
    temperatures = [0.7, 1.9, 0.4]
    arguments = {"logits": WIDE, "temperatures": temperatures}
    model = WIDE
    for temperature in temperatures:
        model = generations(temperature, model, 1)
    loop = Loop(sampler=tuple(Temperature(temperature) for temperature in temperatures))
    return [
        Observation("three generations, T = 0.7, 1.9, 0.4", arguments, model, tolerance=ROUNDING),
        Observation(
            "one generation of three samplers",
            arguments,
            run(loop, jnp.asarray(WIDE), 1, progress=False).value[1],
            tolerance=ROUNDING,
        ),
    ]


def fixed_point() -> list[Observation]:
    """The first gradient step, per step size; at T = 1 also fifty generations of steps."""
    step_size = 0.5

    def pull(temperature: float, num_generations: int) -> Array:
        learner = GradientSteps(step_size=step_size)
        trained = generations(temperature, WIDE, num_generations, learner)
        return (WIDE - trained) / step_size

    return [
        Observation(
            f"{num} gradient step(s) at T = {temperature}",
            {"logits": WIDE, "temperature": temperature},
            pull(temperature, num),
            tolerance=ROUNDING,
        )
        for temperature, num in ((0.6, 1), (1.0, 50), (1.7, 1))
    ]


# --- where it leads ------------------------------------------------------------------------------


TIED = np.array([0.7, 0.7, 0.0, 0.0, 0.0, -0.6])
"""Two modes, three runners-up 0.7 below, and one outcome 0.6 further down."""


def _late(temperature: float, generation: int) -> tuple[float, float]:
    """The mass off the modes of `TIED`, and the relative error of its leading term.

    With A the sum of e^{-Δ_i B} off the modes and A₁ its leading part, the mass is A/(m + A): it
    differs from A₁/m by less than (A - A₁)/m + A²/m².
    """
    tail = generations(temperature, TIED, generation, observe=simplex.tail_probability)
    B = temperature**-generation
    leading, rest = 3 * np.exp(-0.7 * B), np.exp(-1.3 * B)
    return float(tail), (rest / 2 + (leading + rest) ** 2 / 4) / (leading / 2) + ROUNDING


def mode_limit() -> list[Observation]:
    """The mass off the modes, late in a cold run with ties."""
    return [
        Observation(
            f"two modes and three runners-up at T = {temperature}, generation {generation}",
            {**_TIES, "temperature": temperature, "generation": generation},
            tail,
            tolerance=error * tail,
        )
        for temperature, generation in ((0.8, 12), (0.5, 4))
        for tail, error in [_late(temperature, generation)]
    ]


_TIES = {"gap": 0.7, "num_modes": 2, "num_runners_up": 3}


def generations_to_collapse() -> list[Observation]:
    """The generation at which a run shows the mass off the modes that is asked for."""
    return [
        Observation(
            f"generation {generation} at T = {temperature}, whose mass off the modes is asked for",
            {**_TIES, "temperature": temperature, "tolerance": tail},
            float(generation),
            # The tail falls by Δ T⁻ⁿ log(1/T) per generation, in its logarithm.
            tolerance=1.1 * error / (0.7 * temperature**-generation * np.log(1 / temperature)),
        )
        for temperature, generation in ((0.8, 12), (0.5, 4))
        for tail, error in [_late(temperature, generation)]
    ]


def divergence() -> list[Observation]:
    """Divergences between generations of a run, by their definition."""
    cooled, heated = generations(0.8, WIDE, 3), generations(1.4, WIDE, 3)
    models = {1.0: WIDE, 0.8**-3: cooled, 1.4**-3: heated, 0.0: np.zeros_like(WIDE)}
    return [
        Observation(
            f"from β = {beta:.4g} to β = {other:.4g}",
            {"logits": WIDE, "inverse_temperature": beta, "inverse_temperature_other": other},
            _divergence(models[beta], models[other]),
            tolerance=ROUNDING,
        )
        for beta in models
        for other in models
        if beta != other
    ]


def _divergence(logits: Any, logits_other: Any) -> float:
    """Σ p log(p/q), term by term."""
    p, q = (np.asarray(simplex.probabilities(jnp.asarray(x))) for x in (logits, logits_other))
    return float(np.sum(p * np.log(p / q)))


SKEWED = np.array([1.6, -0.4, -0.2, -0.6, -0.4])


def uniform_limit() -> Observation:
    """A hot run's divergence from the uniform law."""
    return _hot(reverse=False)


def uniform_limit_reverse() -> Observation:
    """The uniform law's divergence from a hot run."""
    return _hot(reverse=True)


def _hot(reverse: bool) -> Observation:
    temperature, generation = 1.2, 20
    model, uniform = generations(temperature, SKEWED, generation), np.zeros_like(SKEWED)
    B = temperature**-generation
    # The fourth cumulant is at most the fourth power of the largest deviation.
    remainder = (B * np.abs(SKEWED - SKEWED.mean()).max()) ** 4 / (24 if reverse else 8)
    return Observation(
        f"generation {generation} at T = {temperature}",
        {"logits": SKEWED, "temperature": temperature, "generation": generation},
        _divergence(uniform, model) if reverse else _divergence(model, uniform),
        tolerance=remainder + 1e-15,
    )


# --- how it goes there ---------------------------------------------------------------------------


def entropy_slope() -> list[Observation]:
    """The entropy after one generation, differentiated through the run."""

    def entropy(inverse_temperature: Array) -> Array:
        return generations(1 / inverse_temperature, WIDE, 1, observe=simplex.entropy)

    betas = (0.4, 1.3, 2.5)
    slopes = jax.jit(jax.vmap(jax.grad(entropy)))(jnp.asarray(betas))
    return [
        Observation(
            f"at β = {beta}",
            {"logits": WIDE, "inverse_temperature": beta},
            slope,
            tolerance=ROUNDING,
        )
        for beta, slope in zip(betas, slopes, strict=True)
    ]


def majorisation() -> list[Observation]:
    """The masses of the m most probable outcomes, differentiated through the run."""

    def masses(inverse_temperature: Array) -> Array:
        p = generations(1 / inverse_temperature, WIDE, 1, observe=simplex.probabilities)
        return jnp.cumsum(p)

    slopes = jax.jit(jax.jacfwd(masses))(jnp.asarray(1.4))
    return [
        Observation(
            f"the {num_top} most probable of {WIDE.size}",
            {"logits": WIDE, "inverse_temperature": 1.4, "num_top": num_top},
            slopes[num_top - 1],
            tolerance=ROUNDING,
        )
        for num_top in range(1, WIDE.size)
    ]


# --- what it climbs ------------------------------------------------------------------------------


def potential() -> list[Observation]:
    """The entropies of one generation at every temperature from 1 to T, integrated."""
    nodes, weights = np.polynomial.legendre.leggauss(24)

    def entropy(temperature: Array) -> Array:
        return generations(temperature, WIDE, 1, observe=simplex.entropy)

    integrand = jax.jit(jax.vmap(entropy))
    observed = []
    for end in (0.5, 2.2):
        temperatures = 1 + (end - 1) * (nodes + 1) / 2
        entropies = integrand(jnp.asarray(temperatures))
        observed.append(
            Observation(
                f"24 Gauss nodes from T = 1 to {end}",
                {"logits": WIDE, "temperature": end},
                jnp.sum(weights * entropies) * (end - 1) / 2,
                tolerance=1e-10,
            )
        )
    return observed


def ascent() -> list[Observation]:
    """The potential before and after one generation."""
    observed = []
    for temperature in (0.6, 1.5):
        before, after = (
            generations(
                temperature, WIDE, num, observe=lambda model, T=temperature: potential_of(model, T)
            )
            for num in (0, 1)
        )
        observed.append(
            Observation(
                f"one refit at T = {temperature}",
                {"logits": WIDE, "temperature": temperature},
                after - before,
                tolerance=ROUNDING,
            )
        )
    return observed
