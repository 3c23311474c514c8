"""Tempering: a model retrained on its own samples at a temperature T.

Generation n has the logits θ₀T⁻ⁿ. `derivation` proves it and what follows from it, this module has
the closed forms, `process` runs the loop.
"""

from .solution import answers_and_reasonings as answers_and_reasonings
from .solution import ascent as ascent
from .solution import composition as composition
from .solution import cone as cone
from .solution import cone_two_contexts as cone_two_contexts
from .solution import divergence as divergence
from .solution import entropy_slope as entropy_slope
from .solution import exponential_family as exponential_family
from .solution import final_answer as final_answer
from .solution import final_answer_limit as final_answer_limit
from .solution import final_answer_logits as final_answer_logits
from .solution import fixed_point as fixed_point
from .solution import gamma as gamma
from .solution import gaussian as gaussian
from .solution import generations_to_collapse as generations_to_collapse
from .solution import geometric as geometric
from .solution import limit as limit
from .solution import log_normal as log_normal
from .solution import logits as logits
from .solution import majorisation as majorisation
from .solution import mode_limit as mode_limit
from .solution import pareto as pareto
from .solution import poisson as poisson
from .solution import poisson_drift as poisson_drift
from .solution import potential as potential
from .solution import recovery as recovery
from .solution import refit as refit
from .solution import runners_up as runners_up
from .solution import storage_cold as storage_cold
from .solution import storage_horizon as storage_horizon
from .solution import storage_hot as storage_hot
from .solution import tail as tail
from .solution import uniform_limit as uniform_limit
from .solution import uniform_limit_reverse as uniform_limit_reverse
