"""Online: infinite samples, and a teacher that moves along with its student."""

from .solution import blow_up as blow_up
from .solution import collapse_tail as collapse_tail
from .solution import duality as duality
from .solution import losers_equalise as losers_equalise
from .solution import majorisation as majorisation
from .solution import mixture_online as mixture_online
from .solution import natural as natural
from .solution import online_block as online_block
from .solution import online_chebyshev as online_chebyshev
from .solution import online_two_outcomes as online_two_outcomes
from .solution import potential as potential
from .solution import reverse_kl_tail as reverse_kl_tail
from .solution import uniform_rate as uniform_rate
