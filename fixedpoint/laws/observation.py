"""What a process hands over to be compared with its law."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Refinement:
    """The same run at ever smaller steps, to measure an integrator's order of convergence.

    Attributes:
        order: the order that the errors must show.
        step_sizes: decreasing, each half of the one before.
        values: the run's result at each step size.
    """

    order: float
    step_sizes: Sequence[float]
    values: Sequence[Any]


@dataclass(frozen=True)
class Observation:
    """One run of a loop, as numbers, with what is known of its error beforehand.

    Exactly one of `tolerance` and `standard_error` is given.

    Attributes:
        what: which loop was run and what was read off, in words.
        arguments: keyword arguments of the solution that predicts the value.
        value: what the run gave; a scalar or an array of the solution's shape.
        tolerance: for a deterministic run, the bound on its absolute error (scalar or array).
        standard_error: for a stochastic run, the *predicted* standard error of `value`. Not the
            sample's own: near absorption that one is far too small.
        refinement: for an integrated flow, the runs that show its order of convergence.
        attained: whether a bound is attained here, so that the value must equal it.
    """

    what: str
    arguments: Mapping[str, Any]
    value: Any
    tolerance: Any = None
    standard_error: Any = None
    refinement: Refinement | None = None
    attained: bool = False

    def __post_init__(self) -> None:
        """Refuse an observation without a stated error."""
        if (self.tolerance is None) == (self.standard_error is None):
            raise ValueError(
                "`tolerance` or `standard_error` must be given, and not both; "
                f"got {self.tolerance!r} and {self.standard_error!r} for {self.what!r}."
            )
