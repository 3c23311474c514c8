"""Samplers: from the model's distribution to the one that is drawn from."""

from dataclasses import dataclass
from typing import Any

import sympy as sp

from fixedpoint.symbolic.distribution import Vector, normalised, numbers, ranked, said
from fixedpoint.symbolic.parts import Part


@dataclass(frozen=True, repr=False)
class Temperature(Part):
    """Draws from p_T ∝ p^{1/T}."""

    temperature: Any = 1

    def words(self) -> str:
        """Return what the part does, in words."""
        T = self.temperature
        return f"draws at temperature {said(T)}"

    def __call__(self, p: Vector) -> Vector:
        """Return what is drawn from."""
        if self.temperature == 1:
            return p
        return normalised([x ** (1 / sp.sympify(self.temperature)) for x in p])


@dataclass(frozen=True, repr=False)
class TopK(Part):
    """Draws from the k most probable outcomes (of numbers); among equals the first one stays."""

    k: Any

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"draws from the {said(self.k)} most probable outcomes"

    def __call__(self, p: Vector) -> Vector:
        """Return what is drawn from."""
        kept = ranked(p)[: int(self.k)]
        return normalised([x if place in kept else sp.Integer(0) for place, x in enumerate(p)])


@dataclass(frozen=True, repr=False)
class Nucleus(Part):
    """Draws from the fewest most probable outcomes (of numbers) whose mass is at least `mass`."""

    mass: Any

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"draws from the nucleus of mass {said(self.mass)}"

    def __call__(self, p: Vector) -> Vector:
        """Return what is drawn from."""
        kept: set[int] = set()
        for place in ranked(p):
            if kept and sum(p[other] for other in kept) >= self.mass:
                break
            kept.add(place)
        return normalised([x if place in kept else sp.Integer(0) for place, x in enumerate(p)])


@dataclass(frozen=True, repr=False)
class MinP(Part):
    """Draws from the outcomes (of numbers) with p ≥ ratio · max p."""

    ratio: Any

    def words(self) -> str:
        """Return what the part does, in words."""
        return f"draws where p ≥ {said(self.ratio)} max p"

    def __call__(self, p: Vector) -> Vector:
        """Return what is drawn from."""
        least = self.ratio * max(numbers(p))
        return normalised([x if x >= least else sp.Integer(0) for x in p])
