"""The loop that the laws of tempering describe: infinite samples, trained to the minimum.

Each function runs it and returns what was observed, with the bound on its error that was known
beforehand. The minimum of the loss is reached by several roads (the exact refit, gradient flow to
convergence, full-batch gradient steps from the last or from the initial model, a student of low
rank), which must lead to one law.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import optimistix
from jax.scipy.special import gammaln, logsumexp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation
from fixedpoint.loop import (
    FinalAnswer,
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


_RANGE = float(np.log(1000))


def storage_cold() -> list[Observation]:
    """Measured horizons below T = 1; the law holds within a generation."""
    return [
        Observation(
            f"stored as {np.dtype(dtype).name} probabilities at T = {temperature}",
            {
                "logit_range": _RANGE,
                "temperature": temperature,
                "log_smallest": _log_smallest(dtype),
            },
            float(measured_horizon(temperature, dtype)),
            tolerance=1.0,
        )
        for temperature in (0.5, 0.8, 0.95)
        for dtype in (np.float64, np.float32, jnp.bfloat16)
    ]


def storage_hot() -> list[Observation]:
    """Measured horizons above T = 1 and near it; a whole number may lie one below the bound."""
    return [
        Observation(
            f"stored as {np.dtype(dtype).name} probabilities at T = {temperature}",
            {
                "temperature": temperature,
                "roundoff": float(jnp.finfo(dtype).eps) / 2,
                "tolerance": 0.1,
            },
            float(measured_horizon(temperature, dtype)),
            tolerance=1.0,
        )
        for temperature, dtype in (
            *itertools.product((1.05, 1.25, 2.0), (np.float32, jnp.bfloat16)),
            *((0.999, np.float16), (0.999, jnp.bfloat16), (0.98, jnp.bfloat16)),
        )
    ]


def _log_smallest(dtype: DTypeLike) -> float:
    """-log of the number below which everything rounds to 0: half the least subnormal one."""
    return -float(np.log(float(jnp.finfo(dtype).smallest_subnormal))) + float(np.log(2))


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


# --- which families it keeps ---------------------------------------------------------------------


def exponential_family() -> list[Observation]:
    """Densities on a uniform grid, run for three generations; the exponents read off by a fit."""
    temperature, generation = 0.7, 3
    x, n = np.linspace(0.05, 12.0, 240), np.arange(60.0)
    log_x = np.log(x)
    mean, variance, shape, rate, ratio, exponent = 1.5, 0.8, 2.5, 0.7, 0.6, 1.8
    cases = {
        # name: (log-density, sufficient statistics, which, parameter, slope c of the base measure)
        "Gaussian, 1/σ²": (
            -((x - mean) ** 2) / (2 * variance),
            (x, -(x**2) / 2),
            1,
            1 / variance,
            0.0,
        ),
        "log-normal, μ/σ²": (
            -((log_x - mean) ** 2) / (2 * variance) - log_x,
            (log_x, -(log_x**2) / 2),
            0,
            mean / variance,
            -1.0,
        ),
        "gamma, shape": ((shape - 1) * log_x - rate * x, (log_x, -x), 0, shape, -1.0),
        "gamma, rate": ((shape - 1) * log_x - rate * x, (log_x, -x), 1, rate, 0.0),
        "geometric, log q": (n * np.log(ratio), (n,), 0, np.log(ratio), 0.0),
        "Pareto, α": (-exponent * log_x, (-log_x,), 0, exponent, 0.0),
    }
    observed = []
    for name, (log_density, statistics, which, parameter, slope) in cases.items():
        model = np.asarray(generations(temperature, log_density, generation))
        design = np.stack([np.ones_like(model), *statistics], axis=1)
        fitted, *_ = np.linalg.lstsq(design, model, rcond=None)
        observed.append(
            Observation(
                f"{name}: generation {generation} at T = {temperature}",
                {
                    "parameter": float(parameter),
                    "base_slope": slope,
                    "temperature": temperature,
                    "generation": generation,
                },
                float(fitted[1 + which]) - slope,
                tolerance=1e-10,
            )
        )
    return observed


def _poisson_step(mean: Any, temperature: float, num_terms: int) -> Array:
    """The mean of what a Poisson model is trained on, which its student takes."""
    x = jnp.arange(float(num_terms))
    drawn = generations(
        temperature,
        x * jnp.log(mean) - gammaln(x + 1),
        1,
        observe=simplex.probabilities,
    )
    return jnp.sum(x * drawn)


def poisson() -> list[Observation]:
    """One generation of a student that is kept in the Poisson family."""
    return [
        Observation(
            f"λ = {mean} at T = {temperature}",
            {"mean": mean, "temperature": temperature, "num_terms": 150},
            _poisson_step(mean, temperature, 150),
            tolerance=1e-11,
        )
        for mean, temperature in ((2.5, 0.6), (7.0, 1.5))
    ]


def poisson_drift() -> list[Observation]:
    """Ten generations of a Poisson student with a large mean."""
    observed = []
    for temperature in (0.5, 1.25):
        first = mean = 400.0
        for _ in range(10):
            mean = _poisson_step(mean, temperature, 900)
        observed.append(
            Observation(
                f"ten generations from λ = 400 at T = {temperature}",
                {"temperature": temperature},
                (mean - first) / 10,
                # The next term of the series in 1/λ is (1 - T²)/(24λ); twice that is allowed.
                tolerance=2 * abs(1 - temperature**2) / (24 * 390),
            )
        )
    return observed


# --- which students obey it ----------------------------------------------------------------------


def cone() -> list[Observation]:
    """The student log(1, 2, 1) + w (0, 1, 2), retrained near w = 0."""

    def student(w: Array) -> Array:
        return jnp.log(jnp.array([1.0, 2.0, 1.0])) + w * jnp.arange(3.0)

    def outcome(p: Array) -> Array:
        return jnp.sum(jnp.arange(3.0) * p)

    betas = (0.5, 2.0, 4.0)
    return [
        Observation(f"at β = {beta}", {"inverse_temperature": beta}, multiplier, tolerance=1e-9)
        for beta, multiplier in zip(betas, _multipliers(student, outcome, betas), strict=True)
    ]


def cone_two_contexts() -> list[Observation]:
    """The student with logit gaps w + δ and w - δ in two contexts, retrained near w = 0."""
    offset, betas = 1.0, (0.5, 3.0)

    def student(w: Array) -> Array:
        gaps = w + offset * jnp.array([1.0, -1.0])
        return jnp.stack([gaps / 2, -gaps / 2], axis=-1)

    def outcome(p: Array) -> Array:
        return jnp.sum(p[:, 0])

    return [
        Observation(
            f"at β = {beta}, δ = {offset}",
            {"inverse_temperature": beta, "offset": offset},
            multiplier,
            tolerance=1e-9,
        )
        for beta, multiplier in zip(betas, _multipliers(student, outcome, betas), strict=True)
    ]


def _multipliers(
    student: Callable[[Array], Array],
    outcome: Callable[[Array], Array],
    inverse_temperatures: Sequence[float],
) -> Array:
    """dw'/dw at w = 0 of a generation whose student can only move its parameter w.

    Its cross-entropy is least where its mean outcome is that of what it is trained on.
    """

    def mean(w: Array) -> Array:
        return outcome(simplex.probabilities(student(w)))

    def retrain(w: Array, inverse_temperature: Array) -> Array:
        drawn = generations(1 / inverse_temperature, student(w), 1, observe=simplex.probabilities)
        trained = w
        for _ in range(4):  # Newton's method, from the last generation's model
            trained += (outcome(drawn) - mean(trained)) / jax.grad(mean)(trained)
        return trained

    slope = jax.jit(jax.vmap(jax.jacfwd(retrain), in_axes=(None, 0)))
    return slope(jnp.zeros(()), jnp.asarray(inverse_temperatures))


# --- trained on the final answers alone ----------------------------------------------------------

REASONINGS = np.array([1.1, 0.2, -0.4, 0.9, 0.3, 1.6])
ANSWERS = [0, 0, 0, 1, 1, 2]
"""Six reasonings with three answers: three, two and one of them."""


def final_answer() -> list[Observation]:
    """Runs of a learner that sees the answers alone, by every road to the minimum."""
    groups = [REASONINGS[np.equal(ANSWERS, answer)] for answer in range(3)]

    def of_answers(logits: Array) -> Array:
        return jnp.stack([logsumexp(logits[np.equal(ANSWERS, answer)]) for answer in range(3)])

    observed = []
    for temperature, num in ((0.8, 3), (1.4, 4)):
        order = 1 / temperature
        proportions = [np.exp(group) / np.exp(group).sum() for group in groups]
        entropies = [np.log((r**order).sum()) / (1 - order) for r in proportions]
        arguments = {
            "logits": np.array([np.log(np.exp(group).sum()) for group in groups]),
            "entropies": np.array(entropies),
            "temperature": temperature,
            "generation": num,
        }
        observed += [
            Observation(
                f"{num} generations at T = {temperature}: {road}",
                arguments,
                generations(
                    temperature, REASONINGS, num, FinalAnswer(ANSWERS, learner), of_answers
                ),
                tolerance=num * error,
            )
            for road, (learner, error) in roads().items()
        ]
    return observed
