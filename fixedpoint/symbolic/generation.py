"""One generation of a loop: the next model, or the exact mean of what is read off it."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache
from typing import Any, cast

import sympy as sp

from fixedpoint.symbolic.corpora import Accumulated, Exact, Fresh
from fixedpoint.symbolic.distribution import Quantity, Vector, normalised
from fixedpoint.symbolic.learners import MixtureStep, Refit
from fixedpoint.symbolic.parts import Part
from fixedpoint.symbolic.samplers import Temperature


@dataclass(frozen=True, repr=False)
class Loop(Part):
    """Sampler (or several, in this order), corpus, learner."""

    sampler: Any = field(default_factory=Temperature)
    corpus: Any = field(default_factory=Exact)
    learner: Any = field(default_factory=Refit)

    def words(self) -> str:
        """Return what a generation does, in a sentence."""
        parts = [part.words() for part in (*self.samplers, self.corpus, self.learner)]
        sentence = "; ".join(parts)
        return f"{sentence[0].upper()}{sentence[1:]}."

    @property
    def samplers(self) -> tuple[Any, ...]:
        """The samplers as a tuple."""
        return self.sampler if isinstance(self.sampler, tuple) else (self.sampler,)

    def drawn(self, p: Vector) -> Vector:
        """Return the distribution that a model is sampled from."""
        for sampler in self.samplers:
            p = sampler(p)
        return p


def given(part: Any, values: Mapping[Any, Any]) -> Any:
    """A loop, or a part of one, with numbers or vectors in place of its symbols.

    Args:
        part: the loop.
        values: what to put for each symbol; a list for a vector.

    Example:
        >>> import sympy as sp
        >>> from fixedpoint.symbolic import Fresh
        >>> n = sp.Symbol("n")
        >>> given(Loop(corpus=Fresh(n)), {n: 3}).corpus
        Fresh(3)
    """
    if is_dataclass(part) and not isinstance(part, type):
        changed = {one.name: given(getattr(part, one.name), values) for one in fields(part)}
        return replace(part, **changed)
    if isinstance(part, sp.IndexedBase):
        return values.get(part, part)
    if isinstance(part, sp.Basic):
        return part.subs({key: v for key, v in values.items() if not isinstance(v, list)})
    if isinstance(part, (tuple, list)):
        return type(part)(given(one, values) for one in part)
    return part


def at_generation(loop: Loop, generation: Any) -> Loop:
    """What a loop that keeps all data and trains to the end does from generation t to t + 1.

    The model is the average of the data; the new ones are one more of them.

    Args:
        loop: a loop with an `Accumulated` corpus and a `Refit`.
        generation: t; where the initial data are sampled, 0 is those samples alone.

    Returns:
        A loop without memory: the inner corpus, and a step on the probabilities.

    Example:
        >>> from fixedpoint.symbolic import Accumulated, Fresh
        >>> at_generation(Loop(corpus=Accumulated(Fresh(4))), 2).learner
        MixtureStep(1/4)
    """
    corpus = loop.corpus
    if not isinstance(corpus, Accumulated) or loop.learner != Refit() or corpus.window is not None:
        raise ValueError(
            f"`loop` must have an Accumulated corpus without a window, and a Refit; got {loop}."
        )
    if corpus.initial_samples is None:
        weight = corpus.initial_weight + generation
    elif generation == 0:
        return Loop(corpus=Fresh(corpus.initial_samples))
    else:
        weight = corpus.initial_weight + generation - 1
    step = MixtureStep(1 / sp.sympify(weight + 1))
    return replace(loop, corpus=corpus.corpus, learner=step)


def next_model(loop: Loop, p: Vector) -> Vector:
    """The model after one generation of a loop that draws nothing at random."""
    drawn = loop.drawn(p)
    if loop.corpus.draws(drawn):
        raise ValueError("`loop` draws at random: take a `mean` over its generation instead.")
    return loop.learner(p, loop.corpus.data(drawn, []))


def velocity(loop: Loop, p: Vector, teacher: Vector | None = None) -> list[Any]:
    """How fast ever smaller steps of the learner move the model, per unit of time τ.

    The speeds are those of the logits, or of the probabilities where the learner steps on them.

    Args:
        loop: a loop that draws nothing at random.
        p: the model. Logits know no common constant: these may be weights that do not add up to 1.
        teacher: the model that the data are drawn from; the model itself if it is not given.
    """
    teacher = p if teacher is None else teacher
    drawn = loop.drawn(teacher)
    # At T = 1 nothing has divided the weights by their sum.
    drawn = normalised(drawn) if drawn is teacher else drawn
    return list(loop.learner.velocity(p, loop.corpus.data(drawn, [])))


def gap_speed(loop: Loop, gap: Any, teacher: Any = None) -> Any:
    """How fast the gap of two outcomes moves, that of the teacher being the same or another.

    Args:
        loop: a loop that draws nothing at random and moves the logits.
        gap: the difference of the two logits.
        teacher: the teacher's gap, if it is another.
    """
    taught = None if teacher is None else [sp.exp(teacher), sp.Integer(1)]
    first, second = velocity(loop, [sp.exp(gap), sp.Integer(1)], taught)
    return first - second


def mean(loop: Loop, p: Vector, quantity: Quantity) -> Any:
    """The exact mean of a quantity of the next model.

    Args:
        loop: the loop. Where its numbers of samples are numbers, all corpora are listed; where one
            is a symbol, the quantity must be a sum of terms polynomial · exponential in the counts.
        p: the model; symbols or numbers.
        quantity: what is read off the next model.

    Returns:
        The mean, as a formula. It is not simplified.

    Example:
        >>> import sympy as sp
        >>> from fixedpoint.symbolic import Fresh, heterozygosity
        >>> half = [sp.Rational(1, 2)] * 2
        >>> mean(Loop(corpus=Fresh(2)), half, heterozygosity)
        1/4
    """
    drawn = loop.drawn(p)
    draws = loop.corpus.draws(drawn)
    size = sum((number for number, _ in draws), sp.Integer(0)) or sp.oo

    def after(counts: Sequence[Vector]) -> Any:
        frequencies = [
            [count / sp.sympify(number) for count in row]
            for row, (number, _) in zip(counts, draws, strict=True)
        ]
        return quantity(loop.learner(p, loop.corpus.data(drawn, frequencies), size))

    if all(sp.sympify(number).is_Integer for number, _ in draws):
        listed = itertools.product(*(all_counts(len(p), int(number)) for number, _ in draws))
        return sum(
            sp.prod(chance(row, q) for row, (_, q) in zip(counts, draws, strict=True))
            * after(counts)
            for counts in listed
        )
    free = [sp.symbols(f"N{d}_1:{len(p)}", positive=True) for d in range(len(draws))]
    rows = [
        [*row, sp.sympify(number) - sum(row)] for row, (number, _) in zip(free, draws, strict=True)
    ]
    counts = list(itertools.chain(*free))
    whole = 0
    for factor, powers, rates in _terms(after(rows), counts):
        for number, (size, q) in enumerate(draws):
            places = slice(number * (len(p) - 1), (number + 1) * (len(p) - 1))
            factor *= moment(powers[places], rates[places], size)(*q)
        whole += factor
    return whole


@cache
def mean_after(loop: Loop, p: tuple[Any, ...], quantity: Quantity, generations: int) -> Any:
    """The exact mean of a quantity some generations after a model of numbers: all are listed.

    Args:
        loop: the loop, with numbers.
        p: the model, as a tuple of numbers.
        quantity: what is read off the last model.
        generations: how many.

    Example:
        >>> import sympy as sp
        >>> from fixedpoint.symbolic import Fresh, num_surviving
        >>> mean_after(Loop(corpus=Fresh(2)), (sp.S.Half, sp.S.Half), num_surviving, 2)
        5/4
    """
    if generations == 0:
        return sp.sympify(quantity(p))
    return mean(loop, p, lambda q: mean_after(loop, tuple(q), quantity, generations - 1))


def _terms(expression: Any, counts: Sequence[Any]) -> list[tuple[Any, tuple[int, ...], Any]]:
    """Split an expression into factor · ∏ Nᵃ · e^{Σ sN}: the factors, the a and the s."""
    found = []
    for term in sp.Add.make_args(sp.expand(sp.powsimp(sp.expand(sp.together(expression))))):
        inside, outside = term.as_independent(*counts, as_Add=False)[::-1]
        exponent: Any = sp.Integer(0)
        rest: Any = sp.Integer(1)
        for part in sp.Mul.make_args(inside):
            if isinstance(part, sp.exp):
                exponent += cast(Any, part).args[0]
            else:
                rest *= part
        linear = sp.Poly(exponent, *counts)
        if linear.total_degree() > 1:
            raise ValueError(
                f"`quantity` must be polynomial · exponential in the counts; got {term}."
            )
        rates = tuple(linear.coeff_monomial(count) for count in counts)
        outside *= sp.exp(linear.coeff_monomial(1))
        for powers, factor in sp.Poly(rest, *counts).terms():
            found.append((outside * factor, powers, rates))
    return found


def all_counts(num_outcomes: int, num_samples: int) -> list[tuple[int, ...]]:
    """All counts (N₁, …, N_K) of n samples."""
    ranges = itertools.product(range(num_samples + 1), repeat=num_outcomes - 1)
    return [(*c, num_samples - sum(c)) for c in ranges if sum(c) <= num_samples]


def chance(counts: Sequence[int], p: Vector) -> Any:
    """Multinomial probability of the counts of samples drawn from p (0⁰ = 1)."""
    ways = sp.factorial(sum(counts)) / sp.prod(map(sp.factorial, counts))
    return ways * sp.prod(x**c for x, c in zip(p, counts, strict=True))


@cache
def moment(powers: tuple[int, ...], rates: tuple[Any, ...], num_samples: Any) -> Callable[..., Any]:
    """E ∏ Nᵃ e^{sN} of the counts of n samples but the last, for any n, as a function of p.

    The draws are independent, so that E e^{s·N} = (Σ p e^s)^n; moments are its derivatives.
    """
    p = sp.symbols(f"x1:{len(powers) + 2}")
    s = sp.symbols(f"s1:{len(powers) + 1}")
    # The probabilities add up to 1, so that the last one is what the others leave.
    each = sum(x * (sp.exp(v) - 1) for x, v in zip(p, s, strict=False))
    generating = (1 + each) ** num_samples
    for v, power in zip(s, powers, strict=True):
        generating = sp.diff(generating, v, power) if power else generating
    here = generating.subs(dict(zip(s, rates, strict=True)), simultaneous=True)
    return lambda *q: here.subs(dict(zip(p, q, strict=True)), simultaneous=True)
