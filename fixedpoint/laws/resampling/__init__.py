"""Resampling: each generation is refitted to finitely many of its own samples."""

from .solution import entropy_budget as entropy_budget
from .solution import entropy_lifetime as entropy_lifetime
from .solution import entropy_toll as entropy_toll
from .solution import heterozygosity as heterozygosity
from .solution import spectrum as spectrum
