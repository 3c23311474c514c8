"""Online: infinite samples, and a teacher that moves along with its student."""

from .solution import block as block
from .solution import blow_up as blow_up
from .solution import chebyshev as chebyshev
from .solution import collapse_tail as collapse_tail
from .solution import duality as duality
from .solution import losers_equalise as losers_equalise
from .solution import majorisation as majorisation
from .solution import two_outcomes as two_outcomes
from .solution import uniform_rate as uniform_rate
