"""Other geometries: the flow of the probabilities, natural gradients, and one potential for all."""

from .solution import mixture_frozen as mixture_frozen
from .solution import mixture_online as mixture_online
from .solution import natural as natural
from .solution import potential as potential
from .solution import reverse_kl_tail as reverse_kl_tail
