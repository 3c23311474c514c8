"""Fixation: how many outcomes are left, when a last one is, and which."""

from .solution import first_extinction as first_extinction
from .solution import fixation_probability as fixation_probability
from .solution import fixation_time as fixation_time
from .solution import fixation_time_diffusion as fixation_time_diffusion
from .solution import fixation_time_expansion as fixation_time_expansion
from .solution import survivors as survivors
from .solution import survivors_power_law as survivors_power_law
from .solution import truncation as truncation
