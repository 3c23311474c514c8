"""Metastability: refits to n samples at a temperature, and how rarely they lose an outcome."""

from .solution import action_series as action_series
from .solution import critical_temperature as critical_temperature
from .solution import metastability as metastability
from .solution import scale_function as scale_function
from .solution import slow_eigenvalue as slow_eigenvalue
from .solution import staircase as staircase
