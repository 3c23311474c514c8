"""The loop that the laws of tempering describe: infinite samples, trained to the minimum.

Each function runs it and returns what was observed, with the bound on its error that was known
beforehand. The minimum of the loss is reached by several roads (the exact refit, gradient flow to
convergence, full-batch gradient steps from the last or from the initial model, a student of low
rank), which must lead to one law.
"""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Float

from fixedpoint import simplex
from fixedpoint.laws.experiment import ROUNDING, Experiment, exact
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
from fixedpoint.simplex import tail_probability

MODEL = np.array([0.5, -0.3, 0.1, -0.8])
"""An asymmetric model that gradient steps train quickly."""

OTHER = np.array([-0.2, 0.6, 0.4, 0.0])
"""Another one, so that every argument varies."""

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


def roads() -> list[tuple[Learner, float]]:
    """The learners that reach the minimum, each with the error of its logits.

    The models here have no probability below 0.04, which is then the least curvature of the loss:
    a thousand steps of size 2 leave (1 - 0.08)¹⁰⁰⁰ = 1e-36 of the distance. The last learner
    trains a lineage: every generation starts from the initial model.
    """
    steps: dict[str, Any] = {"step_size": 2.0, "num_steps": 1000}
    return [
        (Refit(), ROUNDING),
        (GradientFlow(np.inf), 1e-7),
        (GradientSteps(**steps), ROUNDING),
        (GradientSteps(**steps, start="initial"), ROUNDING),
    ]


# --- one generation, and n of them ---------------------------------------------------------------


def refit() -> list[Experiment]:
    """One generation, by every road to the minimum."""
    return [
        exact(error, {"learner": learner}, logits=start, temperature=temperature, generation=1)
        for (learner, error), (start, temperature) in zip(
            roads(), ((MODEL, 0.7), (MODEL, 1.4), (OTHER, 0.7), (OTHER, 1.9)), strict=True
        )
    ]


def logits() -> list[Experiment | Observation]:
    """Several generations, by every road, and with a student of rank two in six contexts."""
    start, trained = low_rank_student(temperature=0.8, num_generations=2)
    return [
        *(
            exact(
                generation * error,
                {"learner": learner},
                logits=MODEL,
                temperature=temperature,
                generation=generation,
            )
            for temperature, generation in ((0.8, 3), (1.3, 4))
            for learner, error in roads()
        ),
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
    observed = []
    for start, temperatures in ((WIDE, [0.7, 1.9, 0.4]), (MODEL, [1.3, 0.6, 2.2])):
        arguments = {"logits": start, "temperatures": temperatures}
        said = f"T = {', '.join(map(str, temperatures))}"
        model = start
        for temperature in temperatures:
            model = generations(temperature, model, 1)
        loop = Loop(sampler=tuple(map(Temperature, temperatures)))
        together = run(loop, jnp.asarray(start), 1, progress=False).value[1]
        observed += [
            Observation(f"three generations, {said}", arguments, model, tolerance=ROUNDING),
            Observation(
                f"one generation of three samplers, {said}",
                arguments,
                together,
                tolerance=ROUNDING,
            ),
        ]
    return observed


def fixed_point() -> list[Observation]:
    """The slope of a short training, per step size; at T = 1 also fifty generations of steps."""
    step_size = 0.5

    def pull(start: Any, temperature: float, num_generations: int) -> Array:
        learner = GradientSteps(step_size=step_size)
        trained = generations(temperature, start, num_generations, learner)
        return (start - trained) / step_size

    return [
        Observation(
            f"{num} gradient step(s) of {len(start)} outcomes at T = {temperature}",
            {"logits": start, "temperature": temperature},
            pull(start, temperature, num),
            tolerance=ROUNDING,
        )
        for start, temperature, num in (
            (WIDE, 0.6, 1),
            (WIDE, 1.0, 50),
            (WIDE, 1.7, 1),
            (MODEL, 0.6, 1),
        )
    ]


# --- where it leads ------------------------------------------------------------------------------


class Tied(NamedTuple):
    """A model with ties at the top and below: its gap, how many outcomes hold each, and one more.

    The last one lies `further` below the runners-up.
    """

    gap: float
    num_modes: int
    num_runners_up: int
    further: float = 0.6

    def logits(self) -> np.ndarray:
        """The logits, in falling order."""
        ties = [self.gap] * self.num_modes + [0.0] * self.num_runners_up
        return np.array([*ties, -self.further])

    def late(self, temperature: float, generation: int) -> tuple[float, float]:
        """The mass off the modes after a run, and the relative error of its leading term.

        With A the sum of e^{-Δ_i B} off the modes and A₁ its leading part, the mass is A/(m + A):
        it differs from A₁/m by less than (A - A₁)/m + A²/m².
        """
        tail = generations(temperature, self.logits(), generation, observe=tail_probability)
        B, m = temperature**-generation, self.num_modes
        leading = self.num_runners_up * np.exp(-self.gap * B)
        rest = np.exp(-(self.gap + self.further) * B)
        return float(tail), (rest / m + (leading + rest) ** 2 / m**2) / (leading / m) + ROUNDING

    def arguments(self) -> dict[str, Any]:
        """As the laws take it."""
        return {
            "gap": self.gap,
            "num_modes": self.num_modes,
            "num_runners_up": self.num_runners_up,
        }


COLLAPSES = (
    (Tied(0.7, 2, 3), 0.8, 12),
    (Tied(0.7, 2, 3), 0.5, 4),
    (Tied(1.1, 3, 2), 0.5, 4),
)
"""Cold runs: the model, the temperature, the generation."""


def mode_limit() -> list[Observation]:
    """The mass off the modes, late in a cold run with ties."""
    return [
        Observation(
            f"{tied.num_modes} modes and {tied.num_runners_up} runners-up at T = {temperature}, "
            f"generation {generation}",
            {**tied.arguments(), "temperature": temperature, "generation": generation},
            tail,
            tolerance=error * tail,
        )
        for tied, temperature, generation in COLLAPSES
        for tail, error in [tied.late(temperature, generation)]
    ]


def generations_to_collapse() -> list[Observation]:
    """The generation at which a run shows the mass off the modes that is asked for."""
    return [
        Observation(
            f"generation {generation} at T = {temperature} with {tied.num_modes} modes, whose mass "
            "off the modes is asked for",
            {**tied.arguments(), "temperature": temperature, "tolerance": tail},
            float(generation),
            # The tail falls by Δ T⁻ⁿ log(1/T) per generation, in its logarithm.
            tolerance=1.1 * error / (tied.gap * temperature**-generation * np.log(1 / temperature)),
        )
        for tied, temperature, generation in COLLAPSES
        for tail, error in [tied.late(temperature, generation)]
    ]


def divergence() -> list[Observation]:
    """Divergences between generations of a run, by their definition."""
    observed = []
    for start, hot in ((WIDE, 1.4), (MODEL, 1.3)):
        cooled, heated = generations(0.8, start, 3), generations(hot, start, 3)
        models = {1.0: start, 0.8**-3: cooled, hot**-3: heated, 0.0: np.zeros_like(start)}
        observed += [
            Observation(
                f"{len(start)} outcomes, from β = {beta:.4g} to β = {other:.4g}",
                {"logits": start, "inverse_temperature": beta, "inverse_temperature_other": other},
                _divergence(models[beta], models[other]),
                tolerance=ROUNDING,
            )
            for beta, other in itertools.permutations(models, 2)
        ]
    return observed


def _divergence(logits: Any, logits_other: Any) -> float:
    """Σ p log(p/q), term by term."""
    p, q = (np.asarray(simplex.probabilities(jnp.asarray(x))) for x in (logits, logits_other))
    return float(np.sum(p * np.log(p / q)))


SKEWED = np.array([1.6, -0.4, -0.2, -0.6, -0.4])


def uniform_limit() -> list[Observation]:
    """A hot run's divergence from the uniform law."""
    return _hot(reverse=False)


def uniform_limit_reverse() -> list[Observation]:
    """The uniform law's divergence from a hot run."""
    return _hot(reverse=True)


def _hot(reverse: bool) -> list[Observation]:
    observed = []
    for start, temperature, generation in ((SKEWED, 1.2, 20), (SKEWED[:3], 1.5, 11)):
        model, uniform = generations(temperature, start, generation), np.zeros_like(start)
        B = temperature**-generation
        # The fourth cumulant is at most the fourth power of the largest deviation.
        remainder = (B * np.abs(start - start.mean()).max()) ** 4 / (24 if reverse else 8)
        observed.append(
            Observation(
                f"generation {generation} of {len(start)} outcomes at T = {temperature}",
                {"logits": start, "temperature": temperature, "generation": generation},
                _divergence(uniform, model) if reverse else _divergence(model, uniform),
                tolerance=remainder + 1e-15,
            )
        )
    return observed


# --- how it goes there ---------------------------------------------------------------------------


def entropy_slope() -> list[Observation]:
    """The entropy after one generation, differentiated through the run."""

    def entropy(inverse_temperature: Array, start: Any) -> Array:
        return generations(1 / inverse_temperature, start, 1, observe=simplex.entropy)

    slope = jax.jit(jax.grad(entropy))
    return [
        Observation(
            f"{len(start)} outcomes at β = {beta}",
            {"logits": start, "inverse_temperature": beta},
            slope(jnp.asarray(beta), jnp.asarray(start)),
            tolerance=ROUNDING,
        )
        for start, beta in ((WIDE, 0.4), (WIDE, 1.3), (WIDE, 2.5), (WIDE[1:] / 2, 1.3))
    ]


def majorisation() -> list[Observation]:
    """The masses of the m most probable outcomes, differentiated through the run."""

    def masses(inverse_temperature: Array, start: Any) -> Array:
        p = generations(1 / inverse_temperature, start, 1, observe=simplex.probabilities)
        return jnp.cumsum(p)

    slope = jax.jit(jax.jacfwd(masses))
    return [
        Observation(
            f"the {num_top} most probable of {WIDE.size} at β = {beta}, logits times {scale}",
            {"logits": scale * WIDE, "inverse_temperature": beta, "num_top": num_top},
            slope(jnp.asarray(beta), jnp.asarray(scale * WIDE))[num_top - 1],
            tolerance=ROUNDING,
        )
        for scale, beta in ((1.0, 1.4), (0.5, 0.6))
        for num_top in range(1, WIDE.size)
    ]


# --- what it climbs ------------------------------------------------------------------------------


def potential() -> list[Observation]:
    """The entropies of one generation at every temperature from 1 to T, integrated."""
    nodes, weights = np.polynomial.legendre.leggauss(24)

    def entropy(temperature: Array, start: Any) -> Array:
        return generations(temperature, start, 1, observe=simplex.entropy)

    integrand = jax.jit(jax.vmap(entropy, (0, None)))
    observed = []
    for start, end in ((WIDE, 0.5), (WIDE, 2.2), (WIDE[::-1] / 2, 0.5)):
        temperatures = 1 + (end - 1) * (nodes + 1) / 2
        entropies = integrand(jnp.asarray(temperatures), jnp.asarray(start))
        observed.append(
            Observation(
                f"24 Gauss nodes from T = 1 to {end}, from the logit {start[0]}",
                {"logits": start, "temperature": end},
                jnp.sum(weights * entropies) * (end - 1) / 2,
                tolerance=1e-10,
            )
        )
    return observed


def ascent() -> list[Observation]:
    """The potential before and after one generation."""
    observed = []
    for start, temperature in ((WIDE, 0.6), (WIDE, 1.5), (MODEL, 0.6)):
        before, after = (
            generations(
                temperature, start, num, observe=lambda model, T=temperature: potential_of(model, T)
            )
            for num in (0, 1)
        )
        observed.append(
            Observation(
                f"one refit of {len(start)} outcomes at T = {temperature}",
                {"logits": start, "temperature": temperature},
                after - before,
                tolerance=ROUNDING,
            )
        )
    return observed
