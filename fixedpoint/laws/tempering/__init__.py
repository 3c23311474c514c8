"""Tempering: a model retrained on its own samples at a temperature T.

Generation t has the logits θT⁻ᵗ. `derivation` proves it and what follows from it, this module has
the closed forms, `process` runs the loop.
"""

from .solution import ascent as ascent
from .solution import composition as composition
from .solution import divergence as divergence
from .solution import entropy_slope as entropy_slope
from .solution import fixed_point as fixed_point
from .solution import generations_to_collapse as generations_to_collapse
from .solution import limit as limit
from .solution import logits as logits
from .solution import majorisation as majorisation
from .solution import mode_limit as mode_limit
from .solution import potential as potential
from .solution import refit as refit
from .solution import runners_up as runners_up
from .solution import tail as tail
from .solution import uniform_limit as uniform_limit
from .solution import uniform_limit_reverse as uniform_limit_reverse
