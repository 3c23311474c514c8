"""Accumulation: a model that is trained on all data so far, or on the last few generations."""

from .solution import cold as cold
from .solution import escape as escape
from .solution import head_start as head_start
from .solution import hot as hot
from .solution import leaders as leaders
from .solution import monopoly as monopoly
from .solution import product as product
from .solution import window as window
