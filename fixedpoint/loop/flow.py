"""The loop in continuous time.

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
from jaxtyping import Array, ArrayLike, PyTree, Real

from fixedpoint import checks, simplex
from fixedpoint.loop import kind
from fixedpoint.loop.ensemble import side_by_side
from fixedpoint.loop.generation import Loop
from fixedpoint.loop.integrate import check_tolerances, pull
from fixedpoint.loop.samplers import floating

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
    tolerances = check_tolerances(logits.dtype, rtol, atol)
    level = None if event is None else (event[0], jnp.asarray(event[1], logits.dtype))
    if event is None and solver is None and step_size is None:
        states = side_by_side(loop, logits, times, frozen, tolerances, max_steps)
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
    if any(kind.name(layer) == "Accumulated" for layer in kind.layers(loop.corpus)):
        raise ValueError(
            "`loop` must not remember: the flow of an Accumulated corpus is that of "
            "MixtureStep in the time log(generation); got Accumulated."
        )


def _check_times(times: Any) -> Array:
    times = jnp.asarray(checks.check_range(times, "times", "[-inf, inf]"))
    if times.ndim != 1 or times.size == 0:
        raise ValueError(f"`times` must be a list of times; got shape {times.shape}.")
    if not isinstance(times, Tracer):
        concrete = np.asarray(times)
        if not (np.all(np.diff(concrete) > 0) and concrete[0] >= 0 and concrete[-1] < np.inf):
            raise ValueError(f"`times` must increase, be >= 0 and finite; got {concrete.tolist()}.")
    return times


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
    temperature = None if frozen else kind.only_temperature(loop)

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
    if kind.moves_probabilities(loop.learner):
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


def _target(loop: Loop, model: Array) -> Array:
    """Logits of what the learner sees of a model."""
    return loop.corpus(loop.drawn(model), loop.corpus.initial(model), None)[0].logits


def _velocity(
    loop: Loop, model: Array, target: Array, state: Array, temperature: Array | None
) -> Array:
    """dθ/dt of the loop's learner; 0 for a lost outcome.

    The model may be shifted, the state may not. Where all that the loop does is a temperature, it
    tells the pull more accurately than the target.
    """
    if kind.completes(loop.learner):
        target = loop.learner.completed(model, target)  # type: ignore[attr-defined]
    alive = model > -jnp.inf
    if kind.moves_probabilities(loop.learner):
        return jnp.where(alive, jnp.expm1(simplex.log_ratio(target, model)), 0)
    velocity = pull(model, target, temperature)
    decay = kind.weight_decay(loop.learner)
    return velocity if decay is None else velocity - decay * jnp.where(alive, state, 0)


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
