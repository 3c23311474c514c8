"""Families: classes of models that tempering keeps, and students that obey it."""

from .solution import answers_and_reasonings as answers_and_reasonings
from .solution import cone as cone
from .solution import cone_two_contexts as cone_two_contexts
from .solution import exponential_family as exponential_family
from .solution import final_answer as final_answer
from .solution import final_answer_limit as final_answer_limit
from .solution import final_answer_logits as final_answer_logits
from .solution import gamma as gamma
from .solution import gaussian as gaussian
from .solution import geometric as geometric
from .solution import log_normal as log_normal
from .solution import pareto as pareto
from .solution import poisson as poisson
from .solution import poisson_drift as poisson_drift
