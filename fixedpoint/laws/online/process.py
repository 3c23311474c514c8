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
OTHER = np.array([-0.7, 0.9, 0.1])
"""Another one, of three outcomes."""
LEADER, LEADERS = [1.0, 0.2, -0.5, 0.0], [1.0, 0.2, 1.0, -0.5]
"""A model with one mode, and one with two tied modes."""
FEWER = [1.0, 0.2, -0.5]
"""One mode of three outcomes."""
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
    for size, modes, start, level in ((MANY, 1, 0.9, 5.0), (MANY, 30, 0.8, 4.0), (7, 3, 0.5, 2.0)):
        yield Observation(
            f"K = {size}, {modes} leaders, T = 1/2, gap {start} → {level}",
            {"gap": level, "gap_initial": start, "num_outcomes": size, "num_modes": modes},
            _crossing_time(size, modes, start, level),
            tolerance=1e-4,
        )


def blow_up() -> Iterator[Observation]:
    """When one leader among many has half of the probability, that is, a gap of log(K - 1)."""
    for size, start in ((MANY, 0.7), (MANY, 1.5), (MANY // 4, 0.4)):
        yield Observation(
            f"K = {size}, one leader, T = 1/2, gap {start}",
            {"gap": start, "num_outcomes": size},
            _crossing_time(size, 1, start, np.log(size - 1)),
            tolerance=2 * np.log(size),
        )


def duality() -> Iterator[Observation]:
    """Forth at T, back at 1/T."""
    for temperature, time, model in ((0.6, 2.0, MODEL), (2.5, 5.0, OTHER)):
        there = _follow(_online(temperature), model, (time / 2, time))[1] / temperature
        back = (time / 2 / temperature, time / temperature)
        yield Observation(
            f"T = {temperature} for t = {time}, then 1/T for t/T",
            {"logits": model, "temperature": temperature, "time": time},
            temperature * _follow(_online(1 / temperature), there, back)[1],
            tolerance=1e-7,
        )


def collapse_tail() -> Iterator[Observation]:
    """The probability outside the modes, late, at three temperatures and with ties."""
    times = (1e4, 1e6)
    for temperature, modes, model in (
        (0.5, 1, LEADER),
        (0.5, 2, LEADERS),
        (0.3, 1, FEWER),
        (0.6, 1, FEWER),
    ):
        size = len(model)
        tails = simplex.tail_probability(_follow(_online(temperature), model, times))
        for time, value in zip(times, tails, strict=True):
            yield Observation(
                f"K = {size}, {modes} modes, T = {temperature}, t = {time:g}",
                {"num_outcomes": size, "time": time, "num_modes": modes},
                value,
                tolerance=_late_tolerance(value, size, modes, time, temperature),
            )


def losers_equalise() -> Iterator[Observation]:
    """The local exponent with which two losers approach each other."""
    times = (1e6, 4e6)
    for temperature, modes, model in ((0.5, 1, LEADER), (0.5, 2, LEADERS), (0.3, 1, FEWER)):
        late = _follow(_online(temperature), model, times)
        apart = late[:, 1] - late[:, -1]
        yield Observation(
            f"K = {len(model)}, {modes} modes, T = {temperature}, between t = 1e6 and 4e6",
            {"num_outcomes": len(model), "num_modes": modes},
            jnp.log(apart[0] / apart[1]) / np.log(times[1] / times[0]),
            tolerance=1e-2,
        )


def uniform_rate() -> Iterator[Observation]:
    """How small logits grow or decay, both signs averaged."""
    size, times = 1e-4, (1.0, 2.0)
    for temperature, model in ((0.6, MODEL), (2.5, MODEL), (1.7, OTHER)):
        loop, direction = _online(temperature), model - model.mean()
        ends = [_follow(loop, sign * size * direction, times)[1] for sign in (1, -1)]
        shrunk = (ends[0] - ends[1]) @ direction / (2 * size * direction @ direction)
        yield Observation(
            f"K = {len(model)}, T = {temperature}, small logits until t = {times[1]}",
            {"temperature": temperature, "num_outcomes": len(model)},
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
        (0.6, [1.0, 1.0, -0.5, -0.5], 1),
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

    for temperature, time, model in ((0.6, 1.2, OTHER), (3.0, 2.5, MODEL)):
        loop = _online(temperature, learner=MixtureStep(1.0))
        yield Observation(
            f"mixture flow of one's own teacher, T = {temperature}, t = {time}",
            {"logits": model, "temperature": temperature, "time": time},
            simplex.log_probabilities(_follow(loop, model, (1.0, time))[1]),
            tolerance=ERROR,
            refinement=_refined(time, steps) if temperature > 1 else None,
        )


def natural() -> Iterator[Observation]:
    """Natural gradient flow by its definition; and refits at temperatures ever nearer to 1."""
    temperature, time = 0.7, 1.5

    def steps(count: int) -> Array:
        mild = 1 / (1 + (1 / temperature - 1) * time / count)
        return simplex.centre(_last(_online(mild), MODEL, count))

    yield Observation(
        f"natural gradient flow of KL(p ‖ p_T), T = {temperature}, t = {time}",
        {"logits": MODEL, "temperature": temperature, "time": time},
        _reverse_kl_flow(MODEL, temperature, time, natural=True),
        tolerance=ERROR,
        refinement=_refined(time, steps),
    )
    temperature, time = 2.5, 0.8
    yield Observation(
        f"natural gradient flow of KL(p ‖ p_T), T = {temperature}, t = {time}",
        {"logits": MODEL[::-1], "temperature": temperature, "time": time},
        _reverse_kl_flow(MODEL[::-1], temperature, time, natural=True),
        tolerance=ERROR,
    )


def reverse_kl_tail() -> Iterator[Observation]:
    """Plain gradient flow of KL(p ‖ p_T) until late."""
    for model, temperature, time in (
        (LEADER, 0.4, 1e9),
        (LEADER, 0.6, 1e8),
        ([0.3, -0.4], 0.5, 1e8),
    ):
        size = len(model)
        value = simplex.tail_probability(_reverse_kl_flow(model, temperature, time))
        yield Observation(
            f"K = {size}, T = {temperature}, t = {time:g}",
            {"num_outcomes": size, "temperature": temperature, "time": time},
            value,
            tolerance=1.5 * value / -jnp.log(value),  # the next order is 1/z, z = -log p
        )


def potential() -> Iterator[Observation]:
    """How fast Φ grows along the flow of logits and of probabilities, by differences."""
    step, q = 1e-3, np.array([-0.5, 0.8, 0.0, 0.3])
    learners: list[tuple[int, Any, float, float, np.ndarray]] = [
        (0, Refit(), 0.6, 0.2, q),
        (1, MixtureStep(1.0), 0.6, 0.2, q),
        (1, MixtureStep(1.0), 1.8, 0.35, q[::-1]),
    ]
    for natural, learner, temperature, fraction, logits_real in learners:
        real = simplex.probabilities(logits_real)
        loop = _online(temperature, Mixed(real=real, fraction=fraction), learner)
        ends = _follow(loop, MODEL, (0.7 - step, 0.7 + step))
        phi = height(ends, temperature, real, fraction)
        yield Observation(
            f"dΦ/dt, {'mixture' if natural else 'online'} flow, T = {temperature}, a = {fraction}",
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


def _crossing_time(size: int, modes: int, start: float, level: float) -> Array:
    """When the gap of leaders over the others crosses a level, at T = 1/2."""
    model = jnp.where(jnp.arange(size) < modes, start, 0.0)
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


def _late_tolerance(
    value: Array, num_outcomes: int, num_modes: int, time: float, temperature: float
) -> Array:
    """What the leading term of the tail leaves out.

    The relative correction is of the order of p log(1/p), p being the probability of one loser, and
    for T > 1/2 that of p^(1/T-1)/(2-1/T); and the losers remember their gaps as t^(-m/K), squared.
    """
    K, loser = num_outcomes, value / (num_outcomes - num_modes)
    mild = 2 * loser ** (1 / temperature - 1) / (2 - 1 / temperature) if temperature > 0.5 else 0
    remembered = time ** (-2 * num_modes / K)
    return value * (2 * K * loser * jnp.log(1 / loser) + mild + remembered)


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
