"""Real data: refits to own samples mixed with real ones, and partial refits."""

from .solution import immigration as immigration
from .solution import immigration_dirichlet as immigration_dirichlet
from .solution import immigration_pseudo as immigration_pseudo
from .solution import immigration_stratified as immigration_stratified
from .solution import kept_diversity as kept_diversity
from .solution import one_real_sample as one_real_sample
from .solution import partial_refit as partial_refit
from .solution import partial_refit_data as partial_refit_data
