"""Online: infinite samples, and a teacher that moves along with its student.

The loops, run.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fixedpoint import simplex
from fixedpoint.laws.observation import Observation, Refinement
from fixedpoint.loop import (
    Exact,
    GradientSteps,
    Loop,
    Mixed,
    MixtureStep,
    Refit,
    Temperature,
    flow,
    run,
)
from fixedpoint.potential import potential as height

MODEL = np.array([1.3, -0.4, 0.2, -2.1])
"""An asymmetric model: no two gaps alike."""
DIRECTION = MODEL - MODEL.mean()
LEADER, LEADERS = [1.0, 0.2, -0.5, 0.0], [1.0, 0.2, 1.0, -0.5]
"""A model with one mode, and one with two tied modes."""
TIGHT: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-14}
ERROR = 1e-9
"""What the integration of a flow may be off by."""


def online_two_outcomes() -> Iterator[Observation]:
    """Two outcomes of a model that is its own teacher."""
    for temperature, start in ((1 / 3, 0.8), (0.5, -1.1), (2.0, 2.3), (3.0, 1.9)):
        model, times = np.array([start, 0.0]), (0.8, 4.0)
        values = gap(_follow(_online(temperature), model, times))
        for time, value in zip(times, values, strict=True):
            yield Observation(
                f"flow of one's own teacher, T = {temperature:.3g}, gap at t = {time}",
                {"gap": start, "temperature": temperature, "time": time},
                value,
                tolerance=ERROR,
                refinement=_refined(time, partial(_generations, temperature, model, time))
                if (temperature, time) == (0.5, 4.0)
                else None,
            )


def online_chebyshev() -> Iterator[Observation]:
    """The gaps of two outcomes at two times; the law gives the time between them."""
    times = (0.5, 3.5)
    for order, start in ((3, 0.6), (4, 0.5), (5, 0.7), (8, 0.9), (-4, 2.0), (-5, 3.0)):
        temperature = (order - 1) / (order + 1)
        first, second = gap(_follow(_online(temperature), np.array([start, 0.0]), times))
        yield Observation(
            f"flow of one's own teacher, T = {temperature:.3g}, from t = 0.5 to 3.5",
            {"gap": second, "gap_initial": first, "order": order},
            times[1] - times[0],
            tolerance=1e-8,
        )


def online_block() -> Iterator[Observation]:
    """When tied leaders are a gap ahead of the tied others."""
    for modes, start, level in ((1, 0.9, 5.0), (30, 0.8, 4.0)):
        yield Observation(
            f"K = {MANY}, {modes} leaders, T = 1/2, gap {start} → {level}",
            {"gap": level, "gap_initial": start, "num_outcomes": MANY, "num_modes": modes},
            _crossing_time(modes, start, level),
            tolerance=1e-4,
        )


def blow_up() -> Iterator[Observation]:
    """When one leader among many has half of the probability, that is, a gap of log(K - 1)."""
    for start in (0.7, 1.5):
        yield Observation(
            f"K = {MANY}, one leader, T = 1/2, gap {start}",
            {"gap": start, "num_outcomes": MANY},
            _crossing_time(1, start, np.log(MANY - 1)),
            tolerance=2 * np.log(MANY),
        )


def duality() -> Iterator[Observation]:
    """Forth at T, back at 1/T."""
    for temperature, time in ((0.6, 2.0), (2.5, 5.0)):
        there = _follow(_online(temperature), MODEL, (time / 2, time))[1] / temperature
        back = (time / 2 / temperature, time / temperature)
        yield Observation(
            f"T = {temperature} for t = {time}, then 1/T for t/T",
            {"logits": MODEL, "temperature": temperature, "time": time},
            temperature * _follow(_online(1 / temperature), there, back)[1],
            tolerance=1e-7,
        )


def collapse_tail() -> Iterator[Observation]:
    """The probability outside the modes, late, at T = 1/2 and with ties."""
    times = (1e4, 1e6)
    for modes, model in ((1, LEADER), (2, LEADERS)):
        tails = simplex.tail_probability(_follow(_online(0.5), model, times))
        for time, value in zip(times, tails, strict=True):
            yield Observation(
                f"K = 4, {modes} modes, T = 1/2, t = {time:g}",
                {"num_outcomes": 4, "time": time, "num_modes": modes},
                value,
                tolerance=_late_tolerance(value, 4, modes, time),
            )


def losers_equalise() -> Iterator[Observation]:
    """The local exponent with which two losers approach each other."""
    times = (1e6, 4e6)
    for modes, model in ((1, LEADER), (2, LEADERS)):
        late = _follow(_online(0.5), model, times)
        apart = late[:, 1] - late[:, 3]
        yield Observation(
            f"K = 4, {modes} modes, T = 1/2, between t = 1e6 and 4e6",
            {"num_outcomes": 4, "num_modes": modes},
            jnp.log(apart[0] / apart[1]) / np.log(times[1] / times[0]),
            tolerance=1e-2,
        )


def uniform_rate() -> Iterator[Observation]:
    """How small logits grow or decay, both signs averaged."""
    size, times = 1e-4, (1.0, 2.0)
    for temperature in (0.6, 2.5):
        loop = _online(temperature)
        ends = [_follow(loop, sign * size * DIRECTION, times)[1] for sign in (1, -1)]
        shrunk = (ends[0] - ends[1]) @ DIRECTION / (2 * size * DIRECTION @ DIRECTION)
        yield Observation(
            f"K = 4, T = {temperature}, small logits until t = {times[1]}",
            {"temperature": temperature, "num_outcomes": 4},
            -jnp.log(shrunk) / times[1],
            tolerance=1e-7,
        )


def majorisation() -> Iterator[Observation]:
    """How fast the m most probable outcomes gain, by differences along the flow."""
    step = 1e-3
    for temperature, model, top in (
        (0.5, [1.0, 0.3, -0.4, -1.5], 1),
        (0.5, [1.0, 0.3, -0.4, -1.5], 2),
        (0.9, [0.5, 0.49, -1.0, -1.02], 2),
    ):
        ends = _follow(_online(temperature), model, (1 - step, 1 + step))
        mass = simplex.probabilities(ends)[:, :top].sum(-1)
        yield Observation(
            f"T = {temperature}, dP/dt of the top {top} of {model} at t = 1",
            {"logits": ends.mean(0), "temperature": temperature, "num_top": top},
            (mass[1] - mass[0]) / (2 * step),
            tolerance=1e-6,
        )


def mixture_online() -> Iterator[Observation]:
    """Mixture flow of a model that is its own teacher, and small mixture steps."""

    def steps(count: int) -> Array:
        loop = _online(3.0, learner=MixtureStep(2.5 / count))
        return simplex.log_probabilities(_last(loop, MODEL, count))

    for temperature in (0.6, 3.0):
        loop = _online(temperature, learner=MixtureStep(1.0))
        yield Observation(
            f"mixture flow of one's own teacher, T = {temperature}, t = 2.5",
            {"logits": MODEL, "temperature": temperature, "time": 2.5},
            simplex.log_probabilities(_follow(loop, MODEL, (1.0, 2.5))[1]),
            tolerance=ERROR,
            refinement=_refined(2.5, steps) if temperature > 1 else None,
        )


def natural() -> Observation:
    """Natural gradient flow by its definition; and refits at temperatures ever nearer to 1."""
    temperature, time = 0.7, 1.5

    def steps(count: int) -> Array:
        mild = 1 / (1 + (1 / temperature - 1) * time / count)
        return simplex.centre(_last(_online(mild), MODEL, count))

    return Observation(
        f"natural gradient flow of KL(p ‖ p_T), T = {temperature}, t = {time}",
        {"logits": MODEL, "temperature": temperature, "time": time},
        _reverse_kl_flow(MODEL, temperature, time, natural=True),
        tolerance=ERROR,
        refinement=_refined(time, steps),
    )


def reverse_kl_tail() -> Iterator[Observation]:
    """Plain gradient flow of KL(p ‖ p_T) until late."""
    for temperature, time in ((0.4, 1e9), (0.6, 1e8)):
        value = simplex.tail_probability(_reverse_kl_flow(LEADER, temperature, time))
        yield Observation(
            f"K = 4, T = {temperature}, t = {time:g}",
            {"num_outcomes": 4, "temperature": temperature, "time": time},
            value,
            tolerance=1.5 * value / -jnp.log(value),  # the next order is 1/z, z = -log p
        )


def potential() -> Iterator[Observation]:
    """How fast Φ grows along the flow of logits and of probabilities, by differences."""
    temperature, fraction, step = 0.6, 0.2, 1e-3
    logits_real = np.array([-0.5, 0.8, 0.0, 0.3])
    real = simplex.probabilities(logits_real)
    learners: dict[int, Any] = {0: Refit(), 1: MixtureStep(1.0)}
    for natural, learner in learners.items():
        loop = _online(temperature, Mixed(real=real, fraction=fraction), learner)
        ends = _follow(loop, MODEL, (0.7 - step, 0.7 + step))
        phi = height(ends, temperature, real, fraction)
        yield Observation(
            f"dΦ/dt along the {'mixture' if natural else 'online'} flow with real data",
            {
                "logits": ends.mean(0),
                "temperature": temperature,
                "logits_real": logits_real,
                "fraction": fraction,
                "natural": natural,
            },
            (phi[1] - phi[0]) / (2 * step),
            tolerance=1e-6,
        )


# -------------------------------------------------------------------------------------------------

MANY = 2000
"""Outcomes of the models with one leader or a few."""


def gap(logits: Array) -> Array:
    """The gap between the first logit and the last."""
    return logits[..., 0] - logits[..., -1]


def _online(temperature: float, corpus: Any = None, learner: Any = None) -> Loop:
    return Loop(Temperature(temperature), corpus or Exact(), learner or Refit())


def _follow(loop: Loop, model: Any, times: Sequence[float], frozen: bool = False) -> Array:
    """The logits at two times."""
    return flow(loop, jnp.asarray(model), times, frozen=frozen, **TIGHT).value


def _crossing_time(modes: int, start: float, level: float) -> Array:
    """When the gap of leaders over the others crosses a level, at T = 1/2."""
    model = jnp.where(jnp.arange(MANY) < modes, start, 0.0)
    event = flow(_online(0.5), model, [1e5], event=(gap, level), rtol=1e-9, atol=1e-9).event_time
    assert event is not None
    return event


def _last(loop: Loop, model: Any, count: int) -> Array:
    """The logits after so many generations."""
    return run(loop, jnp.asarray(model), count, save_at=[count]).value[0]


def _refined(time: float, result: Callable[[int], Array]) -> Refinement:
    """The result of ever more steps within a time, whose error must be of order 1."""
    counts = [500, 1000]
    return Refinement(1.0, [time / count for count in counts], [result(n) for n in counts])


def _generations(temperature: float, model: Any, time: float, count: int) -> Array:
    """The gap after one gradient step in each of many generations: one's own teacher."""
    learner = GradientSteps(step_size=time / count)
    return gap(_last(_online(temperature, learner=learner), model, count))


def _late_tolerance(value: Array, num_outcomes: int, num_modes: int, time: float) -> Array:
    """What the leading term of the tail at T = 1/2 leaves out.

    The relative correction is of the order of p log(1/p), p being the probability of one loser;
    and the losers remember their gaps as t^(-m/K), squared.
    """
    K, loser = num_outcomes, value / (num_outcomes - num_modes)
    return value * (2 * K * loser * jnp.log(1 / loser) + time ** (-2 * num_modes / K))


@partial(jax.jit, static_argnames="natural")
def _reverse_kl_flow(model: Any, temperature: float, time: float, natural: bool = False) -> Array:
    """Gradient flow of KL(p ‖ teacher), the teacher p_T following the model."""

    def velocity(time: Any, logits: Array, args: Any) -> Array:
        teacher = simplex.temper(logits, temperature)
        downhill = -jax.grad(simplex.kl_divergence)(logits, teacher)
        if not natural:
            return downhill
        return jnp.linalg.lstsq(simplex.fisher_matrix(logits), downhill)[0]

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(velocity),
        diffrax.Dopri8(),
        t0=0.0,
        t1=time,
        dt0=None,
        y0=jnp.asarray(model, float),
        stepsize_controller=diffrax.PIDController(rtol=1e-11, atol=1e-12),
        max_steps=100_000,
    )
    assert solution.ys is not None
    return solution.ys[-1]
