"""Gradient flow of many starts to a fixed target, by every integrator at one final error.

The tolerance of each contestant is what gives it the final error of a few 1e-9 that all must have;
the error is that against `fixedpoint` at a tolerance a thousand times smaller.
"""

import importlib.util
from collections.abc import Callable, Iterator

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from race import Answer, Contestant, Growth, Race

import fixedpoint as fp
from fixedpoint import simplex

TIME, TEMPERATURE = 100.0, 0.5


def race(quick: bool) -> Race:
    """10,000 starts of 16 outcomes up to time 100; 200 if quick."""
    number, outcomes = (200 if quick else 10_000), 16
    logits = 2 * np.random.default_rng(0).standard_normal((number, outcomes))
    loop = fp.Loop(sampler=fp.Temperature(TEMPERATURE))
    exact = np.asarray(fp.flow(loop, logits, [TIME], frozen=True, rtol=1e-12, atol=1e-12).value[0])
    return Race(
        name="flow",
        title=f"gradient flow: {number:,} starts, {outcomes} outcomes, time {TIME:g}",
        contestants=list(_contestants(loop, logits, exact)),
        distance=lambda answer, _: float(answer["error"].max()),
        distance_name="largest error of a logit",
        tolerance=1e-8,
    )


def _contestants(loop: fp.Loop, logits: np.ndarray, exact: np.ndarray) -> Iterator[Contestant]:
    start = jnp.asarray(logits)

    def judged(solve: Callable[[], object]) -> Callable[[], Answer]:
        return lambda: {"error": np.abs(np.asarray(solve()) - exact)}

    def ours() -> object:
        return fp.flow(loop, start, [TIME], frozen=True, rtol=1e-8, atol=1e-8).value[0]

    yield Contestant("fixedpoint, flow", judged(ours))
    target = simplex.probabilities(start / TEMPERATURE)
    for solver, tolerance in ((diffrax.Tsit5(), 1e-10), (diffrax.Dopri8(), 1e-9)):
        solve = _diffrax(solver, tolerance)
        yield Contestant(
            f"diffrax, {type(solver).__name__} under vmap",
            judged(lambda solve=solve: solve(start, target)),
        )
    if importlib.util.find_spec("scipy"):
        yield Contestant("SciPy, DOP853 on all at once", judged(lambda: _scipy(logits, target)))


def _diffrax(solver: diffrax.AbstractSolver, tolerance: float) -> Callable:
    def one(start: jax.Array, target: jax.Array) -> jax.Array:
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(lambda t, y, args: target - jax.nn.softmax(y)),
            solver,
            t0=0.0,
            t1=TIME,
            dt0=None,
            y0=start,
            stepsize_controller=diffrax.PIDController(tolerance, tolerance),
            max_steps=10_000,
        )
        assert solution.ys is not None
        return solution.ys[-1]

    return jax.jit(jax.vmap(one))


def _scipy(logits: np.ndarray, target: jax.Array) -> np.ndarray:
    from scipy.integrate import solve_ivp

    wanted = np.asarray(target)

    def velocity(time: float, state: np.ndarray) -> np.ndarray:
        weights = np.exp(state.reshape(logits.shape))
        return (wanted - weights / weights.sum(-1, keepdims=True)).ravel()

    solution = solve_ivp(
        velocity, (0, TIME), logits.ravel(), "DOP853", rtol=1e-10, atol=1e-10, t_eval=[TIME]
    )
    return solution.y[:, -1].reshape(logits.shape)


def replicates_growth(quick: bool) -> Growth:
    """The flow against the number of starts."""
    sizes = [64, 256, 1024] if quick else [256, 1024, 4096, 16384]
    return _growth("replicates", "time 10", sizes, lambda size: (size, 10.0))


def time_growth(quick: bool) -> Growth:
    """The flow against the time, the limit of generations with ever smaller steps."""
    sizes = [1, 10] if quick else [1, 10, 100, 1000]
    return _growth("time", "1,024 replicates", sizes, lambda size: (1024, float(size)))


def _growth(
    size_name: str, rest: str, sizes: list[int], numbers: Callable[[int], tuple[int, float]]
) -> Growth:
    loop = fp.Loop(sampler=fp.Temperature(TEMPERATURE))

    def prepare(size: int) -> Callable[[], object]:
        number, time = numbers(size)
        logits = 2 * np.random.default_rng(0).standard_normal((number, 16))
        return lambda: np.asarray(fp.flow(loop, logits, [time]).value)

    title = f"gradient flow: 16 outcomes, {rest}"
    return Growth(f"flow-{size_name}", title, size_name, sizes, prepare)


RACES = {"flow": race}
GROWTH = {"flow-replicates": replicates_growth, "flow-time": time_growth}
