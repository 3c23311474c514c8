"""Wrong answers made by machine, put in the place of the right ones: what notices them.

A mutant (`laws.mutation`) falls in the proof if a step does not close for it, and in the
confrontation if an observation contradicts it.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax

from fixedpoint.confront import draw, observed, rejects, shared_out, survives
from fixedpoint.laws.equation import Equation, equations
from fixedpoint.laws.mutation import mutants

NUM_POINTS = 6
"""At how many drawn points, and of how many observations, a mutant must differ somewhere."""


class Fall(NamedTuple):
    """What became of one mutant.

    Attributes:
        label: whose answer it was.
        change: what was changed.
        proof: whether the proof broke; None if it takes no answer.
        confrontation: whether the process rejected it.
    """

    label: str
    change: str
    proof: bool | None
    confrontation: bool

    @property
    def somewhere(self) -> bool:
        """Whether anything noticed."""
        return self.proof is True or self.confrontation


class Score(NamedTuple):
    """How many mutants fell.

    Attributes:
        mutants: how many there are.
        tied: how many of these have a proof that takes its answer.
        proof: how many fell in it.
        confrontation: how many the processes rejected.
        somewhere: how many fell in either.
    """

    mutants: int
    tied: int
    proof: int
    confrontation: int
    somewhere: int


def fell(equation: Equation) -> list[Fall]:
    """Put each mutant of the answer in its place, and see whether proof and process notice.

    Args:
        equation: a registered equation.

    Example:
        >>> all(fall.confrontation for fall in fell(equations()["real_data.one_real_sample"]))
        True
    """
    with jax.enable_x64(True):
        seen = [dict(observation.arguments) for observation in observed(equation)]
        points = draw(equation, NUM_POINTS) + seen[:NUM_POINTS]
        steps = equation.steps()
        return [
            Fall(
                equation.label,
                change,
                not survives(equation, wrong, steps) if equation.tied else None,
                rejects(equation, wrong),
            )
            for change, wrong in mutants(equation, points).items()
        ]


def fell_of(label: str) -> list[Fall]:
    """What became of the mutants of a registered equation.

    Args:
        label: the equation's label.

    Example:
        >>> len(fell_of("real_data.one_real_sample"))
        6
    """
    return fell(equations()[label])


def fell_of_all(
    labels: Sequence[str],
    report: Callable[[str, list[Fall]], None] | None = None,
    processes: int = 1,
) -> list[Fall]:
    """What became of the mutants of many equations.

    Args:
        labels: of the equations.
        report: called with each label and its falls, in the order of the labels.
        processes: how many processes share the work; see `confront.shared_out`.

    Example:
        >>> fell_of_all([])
        []
    """
    falls: list[Fall] = []
    for label, found in zip(labels, shared_out(fell_of, labels, processes), strict=True):
        falls += found
        if report:
            report(label, found)
    return falls


def score(falls: Iterable[Fall]) -> Score:
    """Count the mutants that fell.

    Args:
        falls: what became of each.

    Example:
        >>> score([Fall("a.b", "2T for T", None, True), Fall("a.c", "2T for T", False, False)])
        Score(mutants=2, tied=1, proof=0, confrontation=1, somewhere=1)
    """
    several = list(falls)
    tied = [fall for fall in several if fall.proof is not None]
    return Score(
        mutants=len(several),
        tied=len(tied),
        proof=sum(fall.proof is True for fall in tied),
        confrontation=sum(fall.confrontation for fall in several),
        somewhere=sum(fall.somewhere for fall in several),
    )
