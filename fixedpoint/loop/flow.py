"""The loop in continuous time, and the integration behind `GradientFlow`.

Ever smaller steps on ever fresher data make a learner a differential equation, with time =
learning rate × steps. The model is its own teacher all the while (online), unless the teacher is
frozen:

    logits:         dθ/dt = target(θ) - softmax(θ) - λθ      Refit, GradientFlow, GradientSteps
    probabilities:  dp/dt = target(p) - p                     MixtureStep

and within `FinalAnswer` as its learner does, on data that the model completes all the while.

The second is integrated as dθᵢ/dt = targetᵢ/pᵢ - 1, which keeps the relative accuracy of every
probability. No difference of two probabilities is taken that nearly agree, and below T = 1, where a
small gap between logits grows, the error is kept small beside the gap: the flow leaves a nearly
uniform model in the time that it should, in float32 as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float, PyTree, Real

from fixedpoint import checks, potential, simplex
from fixedpoint.kernels import driver
from fixedpoint.kernels.ensemble import integrate
from fixedpoint.loop.corpora import Accumulated, Corpus, Exact
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.learners import (
    FinalAnswer,
    GradientFlow,
    GradientSteps,
    Learner,
    MixtureStep,
)
from fixedpoint.loop.samplers import Temperature, floating

if TYPE_CHECKING:  # diffrax and optimistix take seconds to load: only where they are used
    import diffrax


class Flow(eqx.Module):
    """What `flow` computed.

    Attributes:
        time: The times, shape (S,).
        value: What was observed there: arrays of shape (S, ...), in the structure of `observe`.
        event_time: When the event's observable crossed its level, one per initial model; inf if
            it did not until the last time; None if no event was asked for.
        result: How the integration ended, one per initial model (`diffrax.RESULTS`).
    """

    time: Array
    value: PyTree
    event_time: Array | None
    result: Any

    @property
    def successful(self) -> Array:
        """Whether the integration reached the last time, one per initial model."""
        import diffrax

        return self.result == diffrax.RESULTS.successful


def flow(
    loop: Loop,
    logits: Real[ArrayLike, "*batch outcomes"],
    times: Sequence[float] | Real[ArrayLike, " times"],
    *,
    observe: PyTree[Callable[[Array], PyTree]] = None,
    event: tuple[Callable[[Array], Array], float] | None = None,
    frozen: bool = False,
    rtol: float | None = None,
    atol: float | None = None,
    max_steps: int = 100_000,
    solver: diffrax.AbstractSolver[Any] | None = None,
    step_size: float | Array | None = None,
    throw: bool = True,
) -> Flow:
    """Follow a deterministic loop in continuous time.

    Args:
        loop: The process. Its learner fixes the geometry: `MixtureStep` moves the probabilities,
            every other learner the logits (see the top of this module).
        logits: The model θ at time 0; a batch is solved side by side, each with its own steps, or,
            if it is of 64 models or more and the loop no more than a temperature, all with the
            same steps, chosen for the most difficult of them: far faster.
        times: When to save, increasing, ≥ 0; in units of learning rate × steps.
        observe: What to save of the logits: a function, or a tuple, list or dict of functions.
            None saves the logits.
        event: (observable, level): also find when the observable, a function of one model's
            logits, first crosses the level.
        frozen: Whether the initial model stays the teacher, rather than the model itself.
        rtol: Relative tolerance; by default 1e-10 in float64, 1e-5 in float32.
        atol: Absolute tolerance on the logits; by default the same.
        max_steps: How many steps the integrator may take.
        solver: A diffrax solver; by default `diffrax.Dopri8()`.
        step_size: Constant time step in place of the adaptive one.
        throw: Whether a failed integration is an error; if not, see `Flow.successful`.

    Returns:
        The times and values, the event's time, and how the integration ended.

    Raises:
        ValueError: If an argument is out of its range; if the loop is random or remembers
            (`Accumulated`), or its learner starts anew every generation; if a tolerance below
            1e-6 is asked in float32.
        RuntimeError: If the integration fails and `throw` is True.

    Validity:
        Error of the order of the tolerance, which holds for the logits relative to the largest gap
        between them where that is below 1 (`tests/loop/test_flow.py`, with the solver's order of
        convergence). Lost outcomes stay lost; a `MixtureStep` loop whose real data would
        bring one back is an error, because its logit has no finite speed. A crossing is found if
        the observable is on different sides of the level at the two ends of a step of the
        integrator. Works inside `jax.jit`, `jax.vmap` and reverse-mode `jax.grad`.

    Example:
        >>> import jax.numpy as jnp
        >>> import fixedpoint as fp
        >>> loop = fp.Loop(sampler=fp.Temperature(0.5))
        >>> result = fp.flow(loop, jnp.log(jnp.array([0.6, 0.4])), [0.0, 1.0])
        >>> gap = result.value[1, 0] - result.value[1, 1]
        >>> c = jnp.cosh(jnp.log(1.5)) - 1  # cosh z - 1 + log(cosh z - 1) grows at rate 1
        >>> print(f"{jnp.cosh(gap) - 1 + jnp.log(jnp.cosh(gap) - 1) - c - jnp.log(c):.8f}")
        1.00000000

    References:
        Kidger (2022), On neural differential equations, chapter 5 (the integrators of diffrax).
    """
    checks.check_logits(logits)
    _check_continuous(loop)
    checks.check_count(max_steps, "max_steps")
    checks.check_functions(observe)
    if solver is not None:
        import diffrax

        checks.check_kind(solver, diffrax.AbstractSolver, "solver", "a solver of diffrax")
    if event is not None:
        _check_event(event)
    if step_size is not None:
        checks.check_positive(step_size, "step_size")
        if np.ndim(step_size):
            raise ValueError(f"`step_size` must be one number; got {step_size}.")
        step_size = jnp.asarray(step_size, float)  # data: another step needs no other compilation
    logits = floating(logits)
    times = _check_times(times).astype(logits.dtype)
    tolerances = _tolerances(logits.dtype, rtol, atol)
    level = None if event is None else (event[0], jnp.asarray(event[1], logits.dtype))
    if event is None and solver is None and step_size is None:
        states = _side_by_side(loop, logits, times, frozen, tolerances, max_steps)
        if states is not None:
            return _finished(states, times, observe, logits.shape[:-1])
    return _flow(
        loop, logits, times, observe, level, frozen, tolerances, max_steps, solver, step_size, throw
    )


def _check_event(event: Any) -> None:
    if not (isinstance(event, tuple) and len(event) == 2 and callable(event[0])):
        raise ValueError(f"`event` must be a pair (observable, level); got {event!r}.")
    checks.check_range(event[1], "event", "(-inf, inf)")


def _check_continuous(loop: Loop) -> None:
    checks.check_kind(loop, Loop, "loop", "a Loop")
    if loop.stochastic:
        raise ValueError(
            "`loop` must be deterministic to have a flow: use Exact(), or run it in generations "
            f"with fixedpoint.run; got {loop.corpus!r} and {loop.learner!r}."
        )
    if loop.learner.from_initial:
        raise ValueError(
            '`loop` must learn with start="last" to have a flow: a lineage starts anew every '
            f"generation; got {loop.learner!r}."
        )
    corpus: Corpus | None = loop.corpus
    while corpus is not None:
        if isinstance(corpus, Accumulated):
            raise ValueError(
                "`loop` must not remember: the flow of an Accumulated corpus is that of "
                "MixtureStep in the time log(generation); got Accumulated."
            )
        corpus = getattr(corpus, "corpus", None)


def _check_times(times: Any) -> Array:
    times = jnp.asarray(checks.check_range(times, "times", "[-inf, inf]"))
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"`times` must be a list of times; got shape {times.shape}.")
    if not isinstance(times, Tracer):
        concrete = np.asarray(times)
        if not (np.all(np.diff(concrete) > 0) and concrete[0] >= 0 and concrete[-1] < np.inf):
            raise ValueError(f"`times` must increase, be >= 0 and finite; got {concrete.tolist()}.")
    return times


def _tolerances(dtype: Any, rtol: float | None, atol: float | None) -> tuple[float, float]:
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


@eqx.filter_jit
def _flow(
    loop: Loop,
    logits: Array,
    times: Array,
    observe: PyTree,
    event: tuple[Callable[[Array], Array], Array] | None,
    frozen: bool,
    tolerances: tuple[float, float],
    max_steps: int,
    solver: Any,
    step_size: Array | None,
    throw: bool,
) -> Flow:
    import diffrax

    dtype = logits.dtype
    loop = jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, loop)
    controller: Any = _controller(*tolerances) if step_size is None else diffrax.ConstantStepSize()
    temperature = None if frozen else _only_temperature(loop)

    def solve(theta: Array) -> tuple[Array, Array | None, Any, Array]:
        alive = theta > -jnp.inf
        # The state is centred: a constant would take digits of the gaps.
        start = jnp.where(alive, simplex.centre(theta), 0)
        level = jnp.max(theta) - jnp.max(start, where=alive, initial=-jnp.inf)

        def logits_of(state: Array) -> Array:
            return jnp.where(alive, state + level, -jnp.inf)

        def field(time: Any, state: Array, args: Any) -> Array:
            model = jnp.where(alive, state, -jnp.inf)
            target = _target(loop, theta if frozen else model)
            return _velocity(loop, model, target, state + level, temperature)

        def integrate(saveat: diffrax.SaveAt, event: diffrax.Event | None = None) -> Any:
            return diffrax.diffeqsolve(
                diffrax.ODETerm(field),
                diffrax.Dopri8() if solver is None else solver,
                t0=jnp.zeros((), dtype),
                t1=times[-1],
                dt0=None if step_size is None else step_size.astype(dtype),
                y0=start,
                saveat=saveat,
                stepsize_controller=controller,
                max_steps=max_steps,
                event=event,
                throw=False,
            )

        solution = integrate(diffrax.SaveAt(ts=times))
        states = logits_of(solution.ys)
        crossing = None
        if event is not None:
            crossing = _crossing(integrate, event, logits_of, tolerances)
        impossible = ~alive & (_target(loop, theta) > -jnp.inf)
        return states, crossing, solution.result, jnp.any(impossible)

    rows = logits.reshape(-1, logits.shape[-1])
    states, crossing, result, impossible = jax.vmap(solve, out_axes=(1, 0, 0, 0))(rows)
    states = states.reshape(times.size, *logits.shape)
    batch = logits.shape[:-1]
    if crossing is not None:
        crossing = crossing.reshape(batch)
    result = jax.tree.map(lambda x: x.reshape(batch), result)
    if isinstance(_geometry(loop), MixtureStep):
        states = eqx.error_if(
            states,
            impossible,
            "`logits` must be finite for every outcome of the real data: a mixture flow would give "
            "a lost outcome back at infinite speed of its logit.",
        )
    if throw:
        states = result.error_if(states, result != diffrax.RESULTS.successful)
    value: PyTree = states
    if observe is not None:
        value = jax.tree.map(lambda function: jax.vmap(function)(states), observe, is_leaf=callable)
    return Flow(times, value, crossing, result)


def _controller(rtol: float, atol: float) -> Any:
    """Steps whose error is rtol |θᵢ| + atol min(1, range of θ) at most, for centred θ.

    An absolute error would be an error of all of a gap that is smaller, and grow with it.
    """
    import diffrax

    class Controller(diffrax.PIDController):
        def adapt_step_size(
            self,
            t0: Any,
            t1: Any,
            y0: Any,
            y1_candidate: Any,
            args: Any,
            y_error: Any,
            error_order: Any,
            controller_state: Any,
        ) -> Any:
            # The allowed error is written as rtol times a state; that of zeros must not be 0.
            relative = eqx.tree_at(lambda controller: controller.atol, self, 0.0)
            least = float(jnp.finfo(y0.dtype).tiny) ** 0.5

            def allowed(y: Array) -> Array:
                gap = jnp.max(y) - jnp.min(y)
                return jnp.abs(y) + jnp.clip(gap, least, 1) * (self.atol / self.rtol)

            states, rest = (allowed(y0), allowed(y1_candidate)), (args, y_error, error_order)
            return diffrax.PIDController.adapt_step_size(
                relative, t0, t1, *states, *rest, controller_state
            )

    return Controller(rtol, atol)


def _finished(states: Array, times: Array, observe: PyTree, batch: tuple[int, ...]) -> Flow:
    """The result of a flow whose every integration was successful."""
    import diffrax

    value: PyTree = states
    if observe is not None:
        value = jax.tree.map(lambda function: jax.vmap(function)(states), observe, is_leaf=callable)
    result = jax.tree.map(lambda x: jnp.broadcast_to(x, batch), diffrax.RESULTS.successful)
    return Flow(times, value, None, result)


MANY = 64
"""From this number of models on they are integrated with the same steps."""

_TILE = 40  # not a power of two, for whose multiples a cache has few places
_LONGEST = 8.0  # beyond it the method, at the Jacobian's -1/2, is near the end of its stability
_MOST_STEPS = 5_000  # beyond which steps that follow the solution are better than fixed ones


def _side_by_side(
    loop: Loop,
    logits: Array,
    times: Array,
    frozen: bool,
    tolerances: tuple[float, float],
    max_steps: int,
) -> Array | None:
    """Many models of a tempering loop with the same steps; None where that is not the way.

    How large an error is, is found by halving the steps: first for a few models that are likely to
    be difficult, in search of the steps; then, after all have been solved, for those whose embedded
    estimates (of the seventh order, too large by far) are the largest. It must be within the
    tolerance twice over.
    """
    rows = logits.reshape(-1, logits.shape[-1])
    if isinstance(rows, Tracer) or isinstance(times, Tracer) or len(rows) < MANY:
        return None
    temperature = _temperature_alone(loop)
    table = np.asarray(rows)
    fits = table.dtype == np.float64 and np.isfinite(table.max(-1)).all()
    if temperature is None or not fits:
        return None
    ends = np.asarray(times)
    if not frozen and _grows_from_rounding(table, float(temperature), ends[-1], min(tolerances)):
        return None
    longest = _LONGEST * (1.0 if frozen else min(1.0, float(temperature)))

    def solve(rows: np.ndarray, steps: tuple[np.ndarray, ...], devices: Any = None) -> Any:
        states, error = driver.run(
            integrate,
            [rows],
            [temperature, *steps, np.asarray(tolerances)],
            static=(frozen,),
            tile=_TILE,
            axis=1,
            library=False,
            devices=devices,
        )
        return states, np.asarray(error)[0]

    few, one = _hardest(table, float(temperature)), jax.local_devices()[:1]
    # Speeds are of order 1 always, so that the tolerance tells about what step to begin with.
    step = longest * min(1, 0.29 * (min(tolerances) / 1e-8) ** (1 / 8))
    for _ in range(8):
        steps = _growing_steps(ends, step, longest)
        if steps[-1].sum() > min(_MOST_STEPS, max_steps):
            return None
        halved = _growing_steps(ends, step / 2, longest / 2)
        coarse, fine = (np.asarray(solve(few, each, one)[0]) for each in (steps, halved))
        true = _in_units(coarse, fine, tolerances)
        if 3 * true <= 1:
            states, estimates = solve(table, steps)
            doubtful = np.argpartition(estimates, -_TILE)[-_TILE:]
            few = table[doubtful]
            fine = np.asarray(solve(few, halved, one)[0])
            true = _in_units(np.asarray(states)[:, doubtful], fine, tolerances)
            if 2 * true <= 1:
                return states.reshape(len(ends), *logits.shape)
        step *= min(0.9, (4 * true) ** (-1 / 8)) if np.isfinite(true) else 0.5
    return None


def _grows_from_rounding(
    rows: np.ndarray, temperature: float, duration: float, tolerance: float
) -> bool:
    """Whether a gap below the mode is so small that the kernel's weights e^θ hold too little of it.

    Below T = 1 it grows as e^(1/T - 1)t/2 at most, until it is of order 1, and its error with it.
    """
    top = rows.max(-1, keepdims=True)
    gap = top[:, 0] - np.where(rows < top, rows, -np.inf).max(-1)
    growth = np.exp(np.clip((1 / temperature - 1) * duration / 2, 0, 700))
    error = np.finfo(rows.dtype).eps / 2 / gap * np.minimum(1, gap * growth)
    return bool((error > 2 * tolerance).any())


def _hardest(rows: np.ndarray, temperature: float) -> np.ndarray:
    """A tile of models that are likely to have the largest errors, from a sample of them.

    Where T < 1 these are models that are almost even, where T > 1 those that are almost certain,
    and the fastest everywhere; some others are added.
    """
    sample = rows[:: -(-len(rows) // 1024)]
    relative = sample - sample.max(-1, keepdims=True)
    model, drawn = np.exp(relative), np.exp(relative / temperature)
    model, drawn = (w / w.sum(-1, keepdims=True) for w in (model, drawn))
    certain, fast = np.argsort(model.max(-1)), np.argsort(np.abs(drawn - model).max(-1))
    quarter = _TILE // 4
    others = np.linspace(0, len(sample) - 1, quarter).astype(int)
    return sample[np.concatenate([certain[:quarter], certain[-quarter:], fast[-quarter:], others])]


def _growing_steps(ends: np.ndarray, step: float, longest: float) -> tuple[np.ndarray, ...]:
    """First steps, factors and numbers of steps of the stretches between the ends.

    A flow slows down: the steps grow in proportion to the time that is behind, from `step` at the
    beginning to three times as much late in a long time, or to the longest.
    """
    edges = np.concatenate([[0.0], ends])
    length = np.minimum(longest, step * (1 + 2 * edges / (ends[-1] + 10)))
    duration = np.diff(edges)
    ratio = length[1:] / length[:-1]
    # The logarithmic mean of a stretch's first and last step, so that neither is exceeded.
    mean = length[:-1] * np.where(ratio > 1, (ratio - 1) / np.log(np.maximum(ratio, 1 + 1e-9)), 1)
    number = np.ceil(duration / mean).astype(int)
    growth = ratio ** (1 / np.maximum(number - 1, 1))
    whole = np.where(growth > 1, np.expm1(number * np.log(growth)), number)
    first = duration * np.where(growth > 1, growth - 1, 1) / np.maximum(whole, 1e-300)
    return first, growth, number


def _in_units(coarse: np.ndarray, fine: np.ndarray, tolerances: tuple[float, float]) -> float:
    """The largest difference of two solutions, in units of the tolerance."""
    atol, rtol = tolerances
    alive = fine > -np.inf
    difference = np.abs(coarse[alive] - fine[alive]) / (atol + rtol * np.abs(fine[alive]))
    return float(difference.max())


def _only_temperature(loop: Loop) -> Array | None:
    """T of a loop whose logits learn what is drawn at a temperature, and see nothing else."""
    learner, samplers = loop.learner, loop.samplers
    plain = type(loop.corpus) is Exact and not isinstance(learner, (MixtureStep, FinalAnswer))
    if not plain or len(samplers) != 1 or type(samplers[0]) is not Temperature:
        return None
    return samplers[0].temperature


def _temperature_alone(loop: Loop) -> Array | None:
    """T of a loop that is nothing but drawing at T > 0 and learning what is drawn."""
    if isinstance(loop.learner, GradientSteps):
        decay = loop.learner.weight_decay
        if isinstance(decay, Tracer) or np.any(decay):
            return None
    temperature = _only_temperature(loop)
    if temperature is None or isinstance(temperature, Tracer) or np.ndim(temperature):
        return None
    return temperature if 0 < np.asarray(temperature) < np.inf else None


def _target(loop: Loop, model: Array) -> Array:
    """Logits of what the learner sees of a model."""
    return loop.corpus(loop.drawn(model), loop.corpus.initial(model), None)[0].logits


def _geometry(loop: Loop) -> Learner:
    """The learner that moves the model, whatever it is shown."""
    return loop.learner.learner if isinstance(loop.learner, FinalAnswer) else loop.learner


def _velocity(
    loop: Loop, model: Array, target: Array, state: Array, temperature: Array | None
) -> Array:
    """dθ/dt of the loop's learner; 0 for a lost outcome.

    The model may be shifted, the state may not. Where all that the loop does is a temperature, it
    tells the pull more accurately than the target.
    """
    learner = _geometry(loop)
    if isinstance(loop.learner, FinalAnswer):
        target = loop.learner.completed(model, target)
    alive = model > -jnp.inf
    if isinstance(learner, MixtureStep):
        return jnp.where(alive, jnp.expm1(simplex.log_ratio(target, model)), 0)
    velocity = _pull(model, target, temperature)
    if isinstance(learner, GradientSteps):
        velocity = velocity - learner.weight_decay * jnp.where(alive, state, 0)
    return velocity


def _pull(model: Array, target: Array, temperature: Array | None = None) -> Array:
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


def _crossing(
    integrate: Callable[..., Any],
    event: tuple[Callable[..., Any], Array],
    logits_of: Callable[[Array], Array],
    tolerances: tuple[Any, ...],
) -> Array:
    """When the observable crosses the level; inf if it does not."""
    import diffrax
    import optimistix

    observable, level = event

    def height(t: Array, y: Array, args: Any, **kwargs: Any) -> Array:
        return observable(logits_of(y)) - level

    finder = optimistix.Newton(*tolerances)
    solution = integrate(diffrax.SaveAt(t1=True), diffrax.Event(height, finder))
    crossed = solution.result == diffrax.RESULTS.event_occurred
    failed = ~crossed & (solution.result != diffrax.RESULTS.successful)
    return jnp.where(failed, jnp.nan, jnp.where(crossed, solution.ts[0], jnp.inf))


def train(
    learner: GradientFlow, logits: Float[Array, "*batch outcomes"], target: Array
) -> Float[Array, "*batch outcomes"]:
    """One generation of `GradientFlow`: the model after `learner.time` with a fixed target.

    Args:
        learner: The learner.
        logits: The model that training starts from.
        target: Logits of the training data.

    Returns:
        The logits after training.
    """
    import diffrax

    rtol, atol = _tolerances(logits.dtype, learner.rtol, learner.atol)

    def one(theta: Array, target: Array) -> Array:
        alive = theta > -jnp.inf
        wanted = simplex.probabilities(jnp.where(alive, target, -jnp.inf))

        def field(time: Any, state: Array, args: Any) -> Array:
            return _pull(jnp.where(alive, state, -jnp.inf), target)

        def agrees(t: Array, y: Array, args: Any, **kwargs: Any) -> Array:
            model = simplex.probabilities(jnp.where(alive, y, -jnp.inf))
            return jnp.all(jnp.abs(model - wanted) <= 10 * rtol * jnp.where(wanted > 0, wanted, 1))

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            diffrax.Kvaerno5() if learner.endless else diffrax.Dopri8(),
            t0=jnp.zeros((), theta.dtype),
            t1=jnp.asarray(learner.time, theta.dtype),
            dt0=None,
            y0=jnp.where(alive, theta, 0),
            stepsize_controller=diffrax.PIDController(rtol, atol),
            max_steps=learner.max_steps,
            event=diffrax.Event(agrees) if learner.endless else None,
        )
        last: Any = solution.ys
        return jnp.where(alive, last[-1], -jnp.inf)

    return jnp.vectorize(one, signature="(k),(k)->(k)")(
        logits, jnp.broadcast_to(target, logits.shape)
    )
