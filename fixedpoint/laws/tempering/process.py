"""The loop that the laws of tempering describe: infinite samples, trained to the minimum.

The minimum of the loss is reached by several learners (the exact refit, gradient flow to
convergence, full-batch gradient steps from the last or from the initial model, a student of low
rank), which must lead to one law.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jaxtyping import Array, Float

from fixedpoint import simplex
from fixedpoint.laws.experiment import ROUNDING, Experiment, after, exact, full_training, measured
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import GradientSteps, Loop, Temperature
from fixedpoint.potential import potential as potential_of

Numbers = Mapping[str, Any]

MODEL = np.array([0.5, -0.3, 0.1, -0.8])
"""An asymmetric model that gradient steps train quickly."""

OTHER = np.array([-0.2, 0.6, 0.4, 0.0])
"""Another one, so that every argument varies."""

WIDE = np.array([2.0, 1.3, 0.4, -0.9, -2.2])
"""A wider one, in falling order."""

SKEWED = np.array([1.6, -0.4, -0.2, -0.6, -0.4])
"""One whose third cumulant is large."""


# --- one generation, and many of them ------------------------------------------------------------


def refit() -> list[Experiment]:
    """One generation, by every learner that reaches the minimum."""
    return [
        exact(error, {"learner": learner}, logits=start, temperature=temperature, generation=1)
        for (learner, error), (start, temperature) in zip(
            full_training(), ((MODEL, 0.7), (MODEL, 1.4), (OTHER, 0.7), (OTHER, 1.9)), strict=True
        )
    ]


def logits() -> list[Experiment]:
    """Several generations, by every learner, and of a student of rank two in six contexts."""
    numbers: Sequence[dict[str, Any]] = (
        {"temperature": 0.8, "generation": 3},
        {"temperature": 1.3, "generation": 4},
    )
    start, _ = low_rank_student(1.0, 0)

    def one_context(loop: Loop, numbers: Numbers) -> Any:
        _, trained = low_rank_student(numbers["temperature"], numbers["generation"])
        return trained[0], {"tolerance": 1e-6}

    return [
        *(
            exact(some["generation"] * error, {"learner": learner}, logits=MODEL, **some)
            for some in numbers
            for learner, error in full_training()
        ),
        measured(
            one_context,
            "one of six contexts of a student of rank 2",
            logits=start[0],
            temperature=0.8,
            generation=2,
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


def composition() -> list[Experiment]:
    """Three samplers in one generation, and three generations."""

    def one_by_one(_: Loop, numbers: Numbers) -> Any:
        model = numbers["logits"]
        for temperature in numbers["temperatures"]:
            model = after(Loop(Temperature(temperature)), model)
        return model, {"tolerance": ROUNDING}

    numbers: Sequence[dict[str, Any]] = (
        {"logits": WIDE, "temperatures": [0.7, 1.9, 0.4]},
        {"logits": MODEL, "temperatures": [1.3, 0.6, 2.2]},
    )
    return [
        *(exact(**some, generation=1) for some in numbers),
        *(measured(one_by_one, "three generations", **some) for some in numbers),
    ]


def fixed_point() -> list[Experiment]:
    """What steps take off the logits, per step size; at T = 1 also after fifty generations."""

    def pull(loop: Loop, numbers: Numbers) -> Any:
        start, step_size = numbers["logits"], numbers["time"]
        steps = Loop(loop.sampler, learner=GradientSteps(step_size=step_size))
        return (start - after(steps, start, numbers["generation"])) / step_size

    return [
        measured(
            pull,
            "gradient steps",
            logits=start,
            temperature=temperature,
            time=0.5,
            generation=generation,
        )
        for start, temperature, generation in (
            (WIDE, 0.6, 1),
            (WIDE, 1.0, 50),
            (WIDE, 1.7, 1),
            (MODEL, 0.6, 1),
        )
    ]


# --- where it leads ------------------------------------------------------------------------------

COLLAPSES: Sequence[dict[str, Any]] = (
    {"gap": 0.7, "num_modes": 2, "num_runners_up": 3, "temperature": 0.8, "generation": 12},
    {"gap": 0.7, "num_modes": 2, "num_runners_up": 3, "temperature": 0.5, "generation": 4},
    {"gap": 1.1, "num_modes": 3, "num_runners_up": 2, "temperature": 0.5, "generation": 4},
)
"""Cold runs of models with ties at the top and below, and one more outcome further down."""


def late_tail(
    gap: float, num_modes: int, num_runners_up: int, temperature: float, generation: int
) -> tuple[float, float]:
    """The mass off the modes after a run, and the relative error of its leading term.

    With A the sum of e^{-zβ} off the modes and A₁ its leading part, the mass is A/(m + A): it
    differs from A₁/m by less than (A - A₁)/m + A²/m².
    """
    further = 0.6
    model = np.array([gap] * num_modes + [0.0] * num_runners_up + [-further])
    tail = after(Loop(Temperature(temperature)), model, generation, simplex.tail_probability)
    beta = temperature**-generation
    leading = num_runners_up * np.exp(-gap * beta)
    rest = np.exp(-(gap + further) * beta)
    error = (rest / num_modes + (leading + rest) ** 2 / num_modes**2) / (leading / num_modes)
    return float(tail), error + ROUNDING


def mode_limit() -> list[Experiment]:
    """The mass off the modes, late in a cold run with ties."""

    def tail_of(_: Loop, numbers: Numbers) -> Any:
        tail, error = late_tail(**numbers)
        return tail, {"tolerance": error * tail}

    return [measured(tail_of, "late", **numbers) for numbers in COLLAPSES]


def generations_to_collapse() -> list[Observation]:
    """The generation at which a run shows the mass off the modes that is asked for."""
    observed = []
    for numbers in COLLAPSES:
        tail, error = late_tail(**numbers)
        arguments = {**numbers, "tolerance": tail}
        generation, gap, T = arguments.pop("generation"), numbers["gap"], numbers["temperature"]
        # The tail falls by z T⁻ᵗ log(1/T) per generation, in its logarithm.
        steepness = gap * T**-generation * np.log(1 / T)
        what = f"generation {generation} at T = {T} from the gap {gap}, whose tail is asked for"
        observed.append(
            Observation(what, arguments, float(generation), tolerance=1.1 * error / steepness)
        )
    return observed


def divergence() -> list[Experiment]:
    """Divergences between generations at two temperatures, by their definition."""

    def between(loop: Loop, numbers: Numbers) -> Any:
        start, other = numbers["logits"], numbers["inverse_temperature_other"]
        hotter = Loop(Temperature(1 / other if other else np.inf))
        return _divergence(after(loop, start), after(hotter, start)), {"tolerance": ROUNDING}

    return [
        measured(
            between,
            "term by term",
            logits=start,
            inverse_temperature=beta,
            inverse_temperature_other=other,
        )
        for start, hot in ((WIDE, 0.36), (MODEL, 0.46))
        for beta, other in itertools.permutations((1.0, 1.95, hot, 0.0), 2)
        if beta
    ]


def _divergence(logits: Any, logits_other: Any) -> float:
    """Σ p log(p/q), term by term."""
    p, q = (np.asarray(simplex.probabilities(jnp.asarray(x))) for x in (logits, logits_other))
    return float(np.sum(p * np.log(p / q)))


HOT: Sequence[dict[str, Any]] = (
    {"logits": SKEWED, "temperature": 1.2, "generation": 20},
    {"logits": SKEWED[:3], "temperature": 1.5, "generation": 11},
)
"""Hot runs, nearly uniform at their end."""


def _remainder(order: int, numbers: Numbers) -> dict[str, float]:
    """The fourth cumulant is at most the fourth power of the largest deviation."""
    deviation = np.abs(numbers["logits"] - numbers["logits"].mean()).max()
    beta = numbers["temperature"] ** -numbers["generation"]
    return {"tolerance": (beta * deviation) ** 4 / order + 1e-15}


def uniform_limit() -> list[Experiment]:
    """A hot run's divergence from the uniform law."""

    def from_uniform(loop: Loop, numbers: Numbers) -> Any:
        model = after(loop, numbers["logits"], numbers["generation"])
        return _divergence(model, np.zeros_like(model)), _remainder(8, numbers)

    return [measured(from_uniform, "term by term", **numbers) for numbers in HOT]


def uniform_limit_reverse() -> list[Experiment]:
    """The uniform law's divergence from a hot run."""

    def of_uniform(loop: Loop, numbers: Numbers) -> Any:
        model = after(loop, numbers["logits"], numbers["generation"])
        return _divergence(np.zeros_like(model), model), _remainder(24, numbers)

    return [measured(of_uniform, "term by term", **numbers) for numbers in HOT]


# --- how it goes there ---------------------------------------------------------------------------


def _read_at(inverse_temperature: Any, start: Any, observe: Any) -> Array:
    return after(Loop(Temperature(1 / inverse_temperature)), start, observe=observe)


def entropy_slope() -> list[Experiment]:
    """The entropy after one generation, differentiated through the run."""
    slope = jax.jit(jax.grad(lambda beta, start: _read_at(beta, start, simplex.entropy)))
    return [
        measured(
            lambda _, numbers: slope(numbers["inverse_temperature"], numbers["logits"]),
            "differentiated",
            logits=start,
            inverse_temperature=beta,
        )
        for start, beta in ((WIDE, 0.4), (WIDE, 1.3), (WIDE, 2.5), (WIDE[1:] / 2, 1.3))
    ]


def majorisation() -> list[Experiment]:
    """The masses of the m most probable outcomes, differentiated through the run."""

    def masses(inverse_temperature: Any, start: Any) -> Array:
        return jnp.cumsum(_read_at(inverse_temperature, start, simplex.probabilities))

    slope = jax.jit(jax.jacfwd(masses))

    def of_top(_: Loop, numbers: Numbers) -> Any:
        return slope(numbers["inverse_temperature"], numbers["logits"])[numbers["num_top"] - 1]

    return [
        measured(
            of_top,
            "differentiated",
            logits=scale * WIDE,
            inverse_temperature=beta,
            num_top=num_top,
        )
        for scale, beta in ((1.0, 1.4), (0.5, 0.6))
        for num_top in range(1, WIDE.size)
    ]


# --- what it climbs ------------------------------------------------------------------------------


def potential() -> list[Experiment]:
    """The entropies of one generation at every temperature from 1 to T, integrated."""
    nodes, weights = np.polynomial.legendre.leggauss(24)
    entropies = jax.jit(
        jax.vmap(lambda T, start: _read_at(1 / T, start, simplex.entropy), (0, None))
    )

    def integrated(_: Loop, numbers: Numbers) -> Any:
        half = (numbers["temperature"] - 1) / 2
        found = entropies(1 + half * (nodes + 1), jnp.asarray(numbers["logits"]))
        return jnp.sum(weights * found) * half, {"tolerance": 1e-10}

    return [
        measured(integrated, "24 Gauss nodes", logits=start, temperature=end, time=0.0)
        for start, end in ((WIDE, 0.5), (WIDE, 2.2), (WIDE[::-1] / 2, 0.5))
    ]


def ascent() -> list[Experiment]:
    """The potential after one generation, less that before."""

    def gain(loop: Loop, numbers: Numbers) -> Any:
        start, T = jnp.asarray(numbers["logits"]), numbers["temperature"]
        return potential_of(after(loop, start), T) - potential_of(start, T)

    return [
        measured(gain, "one refit", logits=start, temperature=temperature)
        for start, temperature in ((WIDE, 0.6), (WIDE, 1.5), (MODEL, 0.6))
    ]
