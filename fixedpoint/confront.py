"""The three comparisons that every registered equation must pass.

1. *proved*: every step of its proof closes in SymPy (or, said so, in numbers to 50 digits), and for
   each near miss in the answer's place at least one does not.
2. *evaluated*: the JAX solution equals the SymPy expression at 50 digits, at drawn points and
   at the edges.
3. *confronted*: the process, run by `fixedpoint.loop`, equals the solution within its stated error,
   and the same data reject every near miss.

The command, the tests, the notebooks and the marks in the paper all call `verify`.
"""

import importlib
import multiprocessing
import random
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fixedpoint.agreement import THRESHOLD, excess, floats, orders, relative_error
from fixedpoint.fingerprint import fingerprint
from fixedpoint.laws.equation import Equation, Step, equations
from fixedpoint.laws.observation import Observation
from fixedpoint.verdict import NEAR_MISSES, Comparison, Verdict, store

NUM_DRAWN = 24
"""Points drawn from the domain of an equation, besides its edges."""


def verify(label: str) -> Verdict:
    """Make the three comparisons of a registered equation, in float64.

    A mistake in the law is a failed verdict, never an exception.

    Args:
        label: the equation's label, e.g. "tempering.logits".

    Example:
        >>> print(verify("recovery.storage_hot").mark)
        proved, evaluated, confronted
    """
    equation = equations()[label]
    with jax.enable_x64(True):
        return Verdict(
            label=label,
            kind=equation.kind,
            statement=equation.statement,
            proved=_guard(prove, equation),
            evaluated=_guard(evaluate, equation),
            confronted=_guard(confront, equation),
            fingerprint=fingerprint(label),
        )


def verify_all(
    labels: Iterable[str] | None = None,
    report: Callable[[Verdict], None] | None = None,
    processes: int = 1,
) -> list[Verdict]:
    """Verify many equations and store the record of their verdicts.

    Args:
        labels: which equations; all of them by default.
        report: called with each verdict, in the order of the labels.
        processes: how many processes share the work; see `shared_out`.

    Example:
        >>> [verdict.label for verdict in verify_all([])]
        []
    """
    verdicts = []
    for verdict in shared_out(verify, list(equations() if labels is None else labels), processes):
        verdicts.append(verdict)
        if report:
            report(verdict)
    try:
        store(verdicts)
    except OSError as failure:
        warnings.warn(f"the verdicts could not be recorded: {failure}", stacklevel=2)
    return verdicts


def shared_out(
    function: Callable[[str], Any], labels: Sequence[str], processes: int
) -> Iterator[Any]:
    """What a function gives for each label, in their order, from several processes.

    Args:
        function: a function of this package, by whose name the processes find it.
        labels: what it is called with.
        processes: how many. With more than one, the calling script must guard its entry
            (`if __name__ == "__main__"`), as for any process pool.

    Example:
        >>> list(shared_out(len, ["a.b", "tempering.logits"], 1))
        [3, 16]
    """
    if processes < 2 or len(labels) < 2:
        yield from map(function, labels)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        yield from pool.map(function, labels)


def prove(equation: Equation, answer: Any = None) -> Comparison:
    """Run the steps of the proof, and require that it breaks for every near miss.

    The status is "passed" if SymPy closes every step, "checked" if some were checked in numbers,
    "none" for a conjecture, else "failed". The summary says for which sizes a step was made, where
    it was not made for all.

    Args:
        equation: a registered equation.
        answer: another answer (SymPy) in place of the equation's own: does the proof see it?

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> prove(equations()["recovery.recovery"]).passed
        True
    """
    if equation.proof is None:
        return Comparison("none", "no proof: a conjecture, with its numerical evidence")
    steps = equation.steps(answer)
    closed = [step.closes() for step in steps]
    details: dict[str, Any] = {
        step.claim: {"method": step.method, "closes": closes}
        for step, closes in zip(steps, closed, strict=True)
    }
    open_steps = [step.claim for step, closes in zip(steps, closed, strict=True) if not closes]
    if open_steps or not steps:
        return Comparison("failed", f"does not close: {'; '.join(open_steps)}", details=details)
    in_numbers = [step.how for step in steps if step.how]
    summary = f"{len(steps)} steps close"
    for how in dict.fromkeys(in_numbers):
        summary += f", {in_numbers.count(how)} of them {how}"
    summary += _covered(steps)
    if equation.tied and answer is None:
        survivors = [
            name for name, wrong in equation.near_misses.items() if survives(equation, wrong, steps)
        ]
        if survivors:
            summary = f"the proof also closes for: {', '.join(survivors)}"
            return Comparison("failed", summary, details=details)
        summary += f"; none of {len(equation.near_misses)} near misses does"
    status = "checked" if in_numbers else "passed"
    return Comparison(status, summary, comparisons=len(steps), details=details)


def survives(equation: Equation, wrong: Any, steps: Sequence[Step] = ()) -> bool:
    """Whether the proof closes for a wrong answer too.

    A step that cannot even be formed does not close, nor does one whose residual is a number other
    than 0 at a point where that of the right answer vanishes.

    Args:
        equation: a registered equation whose proof takes its answer.
        wrong: the wrong answer.
        steps: the steps of the right one, which are known to close; those that do not depend on
            the answer are not made again.

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> equation = next(e for e in equations().values() if e.tied)
        >>> survives(equation, 2 * equation.rhs)
        False
    """
    try:
        tried = equation.steps(wrong)
        known = [*steps, *[None] * len(tried)]
        pairs = [
            (step, right)
            for step, right in zip(tried, known, strict=False)
            if right is None or right.residual != step.residual
        ]
        if any(right is not None and step.refuted(right) for step, right in pairs):
            return False
        return bool(tried) and all(step.closes() for step, _ in pairs)
    except Exception:
        return False


def _covered(steps: Iterable[Step]) -> str:
    """For which numbers the steps were made, of the letters that are numbers in some."""
    sizes: dict[str, set[Any]] = {}
    for step in steps:
        for letter, numbers in step.sizes.items():
            several = isinstance(numbers, (tuple, list, set))
            sizes.setdefault(letter, set()).update(numbers if several else [numbers])
    if not sizes:
        return ""
    each = [
        f"{letter} = {', '.join(map(str, sorted(numbers)))}" for letter, numbers in sizes.items()
    ]
    return f", for {'; '.join(each)}"


def evaluate(equation: Equation) -> Comparison:
    """Compare the JAX solution with the SymPy expression at drawn points and at the edges.

    It passes if the largest relative error is within the equation's accuracy; the details have the
    error of each point.

    Args:
        equation: a registered equation.

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> evaluate(equations()["recovery.storage_hot"]).passed
        True
    """
    solution = implementation(equation, "solution")
    details: dict[str, Any] = {}
    points = [(arguments, None) for arguments in draw(equation)]
    points += [(edge.arguments, edge.expected) for edge in equation.edges]
    for number, (arguments, expected) in enumerate(points):
        value = np.asarray(solution(**_arrays(arguments)), dtype=np.float64)
        reference = equation.evaluate(arguments) if expected is None else expected
        error = relative_error(value, reference, equation.up_to_shift)
        name = (
            f"drawn point {number + 1}" if number < NUM_DRAWN else f"edge {number + 1 - NUM_DRAWN}"
        )
        details[name] = {"arguments": _brief(arguments), "error": error}
    worst = max((found["error"] for found in details.values()), default=np.inf)
    failed = [name for name, found in details.items() if not found["error"] <= equation.accuracy]
    summary = f"largest relative error {worst:.1e} at {len(details)} points"
    if failed:
        summary += f" (allowed: {equation.accuracy:.0e}; exceeded at {', '.join(failed)})"
    allowed = f"relative error below {equation.accuracy:.0e} at {len(details)} points"
    return Comparison(
        "failed" if failed or not details else "passed",
        summary,
        error=float(worst),
        comparisons=len(details),
        details=details,
        rounded="" if failed or not details else allowed,
    )


def confront(equation: Equation, answer: Any = None) -> Comparison:
    """Compare the simulated process with the solution, and require it to reject the near misses.

    It passes if every observation is within its stated error of the solution, or within `THRESHOLD`
    of its standard errors, and the same observations put every near miss outside: with finite
    numbers, not because it has none.

    Args:
        equation: a registered equation.
        answer: another answer (SymPy) to compare the process with, in place of the solution; the
            near misses are then left aside.

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> compared = confront(equations()["recovery.storage_hot"])
        >>> compared.passed, min(compared.rejected.values()) > 1
        (True, True)
    """
    observations = observed(equation)
    solution = implementation(equation, "solution")
    details: dict[str, Any] = {}
    rejected = dict.fromkeys(equation.near_misses if answer is None else (), 0.0)
    ok, errors, scores, comparisons = bool(observations), [], [], 0
    for observation in observations:
        value = np.asarray(observation.value, dtype=np.float64)
        if answer is None:
            law = np.asarray(solution(**_arrays(observation.arguments)), dtype=np.float64)
        else:
            law = _evaluated(equation, observation.arguments, answer)
        beyond = excess(equation, observation, value, law)
        found: dict[str, Any] = {"excess": beyond}
        comparisons += value.size
        if observation.standard_error is None:
            errors.append(beyond)
        else:
            scores.append(beyond * THRESHOLD)
            found["z"] = beyond * THRESHOLD
        ok &= beyond <= 1
        if observation.refinement and answer is None:
            found["orders"], settled = orders(observation, law)
            ok &= settled
        for name in rejected:
            wrong = _evaluated(equation, observation.arguments, equation.near_misses[name])
            if wrong.ndim == 0:  # the same for every outcome
                wrong = np.broadcast_to(wrong, law.shape)
            if wrong.shape == law.shape and np.isfinite(wrong).all():
                rejected[name] = max(rejected[name], excess(equation, observation, value, wrong))
        details[observation.what] = found
    within = ["error within its bound"] if errors else []
    within += [f"|z| < {THRESHOLD:.2f}"] if scores else []
    accepted = [name for name, beyond in rejected.items() if not beyond > 1]
    parts = [f"error {max(errors):.2g} of its bound"] if errors else []
    parts += [f"|z| {max(scores):.2f} < {THRESHOLD:.2f}"] if scores else []
    if answer is None:
        details[NEAR_MISSES] = rejected
        missed = f"{len(rejected) - len(accepted)} of {len(rejected)} near misses rejected"
        parts, within = [*parts, missed], [*within, missed]
    if accepted:
        parts.append(f"NOT rejected: {', '.join(accepted)}")
    if not ok:
        parts.append("the process contradicts the " + ("solution" if answer is None else "answer"))
    return Comparison(
        "passed" if ok and not accepted else "failed",
        ", ".join(parts),
        error=float(max(errors)) if errors else None,
        z=float(max(scores)) if scores else None,
        comparisons=comparisons,
        details=details,
        rounded=", ".join(within) if ok and not accepted else "",
    )


def observed(equation: Equation) -> list[Observation]:
    """Run the experiments of an equation, once a process; their errors were stated beforehand.

    Args:
        equation: a registered equation.

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> [o.arguments["temperature"] for o in observed(equations()["tempering.logits"])][:1]
        [0.8]
    """
    process = implementation(equation, "process")
    if process not in _OBSERVED:
        _OBSERVED[process] = [
            one if isinstance(one, Observation) else one.observed(equation)
            for one in _designed(process)
        ]
    return _OBSERVED[process]


def _designed(process: Callable[..., Any]) -> list[Any]:
    """The experiments of a process before they are run, and what it has observed by hand."""
    if process not in _DESIGNED:
        made = process()
        _DESIGNED[process] = list(made) if isinstance(made, Iterable) else [made]
    return _DESIGNED[process]


_DESIGNED: dict[Callable[..., Any], list[Any]] = {}
_OBSERVED: dict[Callable[..., Any], list[Observation]] = {}
"""What the processes have shown so far, of this program."""


def unvaried(equation: Equation) -> list[str]:
    """Name the arguments that take one value alone in all experiments, without a stated reason.

    An argument that never changes is an argument that was not tried.

    Args:
        equation: a registered equation.

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> unvaried(equations()["tempering.logits"])
        []
    """
    values: dict[str, set[Any]] = {name: set() for name in equation.symbols}
    designed = _designed(implementation(equation, "process"))
    known = all(hasattr(one, "numbers") or isinstance(one, Observation) for one in designed)
    for one in designed if known else observed(equation):
        arguments = one.arguments if isinstance(one, Observation) else one.numbers
        for name, seen in values.items():
            seen.add(np.asarray(arguments[name], dtype=np.float64).tobytes())
    return [
        name for name, seen in values.items() if len(seen) < 2 and name not in equation.constant
    ]


def rejects(equation: Equation, wrong: Any) -> bool:
    """Whether one observation contradicts a wrong answer, which has a finite value there.

    Args:
        equation: a registered equation.
        wrong: the wrong answer.

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> equation = equations()["recovery.storage_hot"]
        >>> rejects(equation, 2 * equation.rhs), rejects(equation, equation.rhs)
        (True, False)
    """
    for observation in observed(equation):
        value = np.asarray(observation.value, dtype=np.float64)
        law = _evaluated(equation, observation.arguments, wrong)
        if law.ndim == 0:  # the same for every outcome
            law = np.broadcast_to(law, value.shape)
        if law.shape != value.shape or not np.all(np.isfinite(law)):
            continue
        if excess(equation, observation, value, law) > 1:
            return True
    return False


def _evaluated(equation: Equation, arguments: Mapping[str, Any], answer: Any) -> np.ndarray:
    """An answer as an array of float64; NaN where it has no value."""
    try:
        found = equation.evaluate(arguments, answer=answer, digits=30)
    except (ArithmeticError, ValueError, TypeError):
        return np.asarray(np.nan)
    return np.asarray(floats(found), dtype=np.float64)


def implementation(equation: Equation, side: str) -> Callable[..., Any]:
    """The function behind a label: `fixedpoint.laws.<law>.<side>.<quantity>`.

    Args:
        equation: a registered equation.
        side: "solution" or "process".

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> implementation(equations()["tempering.logits"], "solution").__name__
        'logits'
    """
    module: ModuleType = importlib.import_module(f"fixedpoint.laws.{equation.law}.{side}")
    return getattr(module, equation.name)


def draw(equation: Equation, num_points: int = NUM_DRAWN) -> list[dict[str, Any]]:
    """Draw points from the domain of an equation; the same ones every time.

    Args:
        equation: a registered equation.
        num_points: how many. Each is a dictionary of the solution's keyword arguments; without a
            domain there are none.

    Example:
        >>> from fixedpoint.laws.equation import equations
        >>> sorted(draw(equations()["flow.multiplier"], 1)[0])
        ['num_outcomes', 'temperature', 'time']
    """
    if not equation.domain:
        return []
    rng = random.Random(equation.label)
    points = []
    for _ in range(num_points):
        num_outcomes = rng.choice((2, 3, 5, 8))
        point: dict[str, Any] = {}
        for name, (kind, low, high) in equation.domain.items():
            if kind == "integer":
                point[name] = rng.randint(int(low), int(high))
            elif kind == "real":
                point[name] = rng.uniform(low, high)
            elif kind == "vector":
                point[name] = [rng.uniform(low, high) for _ in range(num_outcomes)]
            else:
                raise ValueError(
                    f"`domain` of {equation.label} has the kind {kind!r} for {name!r}."
                )
        points.append(point)
    return points


def _guard(comparison: Callable[[Equation], Comparison], equation: Equation) -> Comparison:
    """Turn an exception inside a comparison into a failed one: the others still run."""
    try:
        return comparison(equation)
    except Exception as failure:
        return Comparison("failed", f"{type(failure).__name__}: {failure}".splitlines()[0])


def _arrays(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Vectors as arrays; numbers as they are."""
    return {k: jnp.asarray(v) if np.ndim(v) else v for k, v in arguments.items()}


def _brief(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments for the record; a long vector by its length alone."""
    return {
        k: f"vector of {np.size(v):,}" if np.size(v) > 8 else np.asarray(v).tolist()
        for k, v in arguments.items()
    }
