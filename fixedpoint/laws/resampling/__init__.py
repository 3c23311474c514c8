"""Resampling: each generation is refitted to finitely many of its own samples."""

from .solution import fixation_probability as fixation_probability
from .solution import heterozygosity as heterozygosity
