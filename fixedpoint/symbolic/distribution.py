"""A distribution in SymPy: the twin of `fixedpoint.simplex`, on lists of probabilities."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import sympy as sp
from sympy.utilities.lambdify import implemented_function

from fixedpoint.laws.equation import OUTCOME, total

Vector = Sequence[Any]
"""Probabilities, frequencies, counts or logits, one an outcome."""

Quantity = Callable[[Vector], Any]
"""What is read off a model: a function of its probabilities."""

Draws = list[tuple[Any, Vector]]
"""What is drawn independently in a generation: how many samples, from which distribution."""


def shares(num_outcomes: int, name: str = "p") -> list[Any]:
    """Probabilities p₁, …, p_K with the last one eliminated: they add up to 1 identically."""
    free = list(sp.symbols(f"{name}1:{num_outcomes}", positive=True))
    return [*free, 1 - sum(free)]


def model(num_outcomes: int, name: str = "theta") -> list[Any]:
    """Logits θ₁, …, θ_K as symbols, entries of the vector of that name."""
    base: Any = sp.IndexedBase(name, real=True)
    return [base[index] for index in range(1, num_outcomes + 1)]


def softmax(values: Vector) -> list[Any]:
    """Probabilities e^θ / Σ e^θ."""
    return normalised([sp.exp(value) for value in values])


def probability(index: Any = OUTCOME, base: Any = None, inverse_temperature: Any = 1) -> Any:
    """The probability of one outcome among any number of them: e^{βθ_i} / Σ_j e^{βθ_j}.

    Args:
        index: which outcome, counted from 1.
        base: the vector of the logits; `theta` by default.
        inverse_temperature: β.
    """
    vector: Any = sp.IndexedBase("theta", real=True) if base is None else base
    j = sp.Symbol("j", integer=True, positive=True)
    weight = sp.exp(inverse_temperature * vector[index])
    return weight / total(sp.exp(inverse_temperature * vector[j]), j)


def sigmoid(value: Any) -> Any:
    """The probability of the first of two outcomes, of the difference of their logits."""
    return 1 / (1 + sp.exp(-value))


class NotAfter(sp.Function):
    """1 if an outcome does not come after another, by probability and then by index; else 0.

    `NotAfter(theta, l, i)`: as `ranked` puts them, in a formula over any number of outcomes.
    """

    def _mpmathcode(self, printer: Any) -> str:
        values, first, second = (printer._print(x) for x in cast(Any, self.args))
        return f"int(({values}[{first}], -{first}) >= ({values}[{second}], -{second}))"

    def _latex(self, printer: Any) -> str:
        first, second = (printer._print(x) for x in cast(Any, self.args)[1:])
        return rf"[{first} \preceq {second}]"


unit_step = implemented_function("H", lambda x: int(x > 0))
"""1 above 0, else 0."""


def logits(p: Vector) -> list[Any]:
    """Logits of a model: log p, and θ itself where p = e^θ/Σe^θ is written so."""
    return [sp.log(x) for x in p]


def normalised(weights: Vector) -> list[Any]:
    """Weights, divided by their sum."""
    whole = sum(weights)
    return [weight / whole for weight in weights]


def mixture(p: Vector, q: Vector, weight: Any) -> list[Any]:
    """(1 − w) p + w q."""
    return [(1 - weight) * x + weight * y for x, y in zip(p, q, strict=True)]


def cross_entropy(target: Vector, values: Vector) -> Any:
    """The loss −Σ target · log softmax(θ) of a model with the logits θ."""
    log_partition = sp.log(sum(sp.exp(value) for value in values))
    return -sum(q * (value - log_partition) for q, value in zip(target, values, strict=True))


def slope_of_loss(target: Vector, values: Vector) -> list[Any]:
    """The gradient of the cross-entropy in the logits, with the target held fixed."""
    student = sp.symbols(f"x1:{len(values) + 1}", real=True)
    loss, here = cross_entropy(target, student), dict(zip(student, values, strict=True))
    return [sp.diff(loss, x).subs(here, simultaneous=True) for x in student]


def fisher_matrix(p: Vector) -> Any:
    """diag(p) − p pᵀ."""
    return sp.diag(*p) - sp.Matrix(p) * sp.Matrix(p).T


# --- What is read off a model ---------------------------------------------------------------------


def entropy(p: Vector) -> Any:
    """−Σ p log p."""
    return -sum(x * sp.log(x) for x in p)


def kl_divergence(p: Vector, q: Vector) -> Any:
    """Σ p log(p/q)."""
    return sum(x * sp.log(x / y) for x, y in zip(p, q, strict=True))


def heterozygosity(p: Vector) -> Any:
    """1 − Σ p²."""
    return 1 - sum(x**2 for x in p)


def num_surviving(p: Vector) -> Any:
    """How many outcomes (of numbers) have a positive probability."""
    return sp.Integer(sum(bool(x > 0) for x in numbers(p)))


def numbers(p: Vector) -> Vector:
    """The probabilities, if they are numbers: only these can be ranked."""
    if not all(sp.sympify(x).is_number for x in p):
        raise ValueError(f"`p` must be numbers where outcomes are ranked; got {list(p)}.")
    return p


def ranked(p: Vector) -> list[int]:
    """The places of the outcomes, the most probable one first; among equals in their order."""
    return sorted(range(len(p)), key=lambda place: (-numbers(p)[place], place))


def said(value: Any) -> str:
    """A symbol or a number, as a sentence has it: on one line."""
    expression: Any = sp.sympify(value)
    entries = {x: sp.Symbol(f"{x.base}_{x.indices[0]}") for x in expression.atoms(sp.Indexed)}
    expression = expression.xreplace(entries)
    letters = {x: sp.Symbol(sp.pretty(x)) for x in expression.free_symbols}
    text = sp.pretty(expression, use_unicode=True, wrap_line=False)
    return str(expression.xreplace(letters)) if "\n" in text else text


def centred_logits(p: Vector) -> list[Any]:
    """The logits of a model that add up to 0: log p less its mean, which needs no Σ e^θ.

    A step on logits that add up to 0 keeps them so: of p ∝ w e^x they are log w + x, centred.
    """
    logarithms = [sp.expand_log(sp.log(x), force=True) for x in p]
    return [sp.expand(value - sum(logarithms) / len(p)) for value in logarithms]


class Largest(sp.Function):
    """The largest entry of a vector over the outcomes."""

    def _mpmathcode(self, printer: Any) -> str:
        return f"max({printer._print(self.args[0])}[1:])"

    def _latex(self, printer: Any) -> str:
        return rf"\max {printer._print(self.args[0])}"


def pair(gap: Any) -> list[Any]:
    """The model of two outcomes whose logits differ by a gap θ₁ − θ₂."""
    return [sp.exp(gap) / (1 + sp.exp(gap)), 1 / (1 + sp.exp(gap))]


def gap_of(p: Vector) -> Any:
    """The gap θ₁ − θ₂ of two outcomes."""
    first, second = centred_logits(p)
    return sp.expand(first - second)
