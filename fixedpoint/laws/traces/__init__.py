"""Single traces: one gradient step a generation on a handful of fresh samples."""

from .solution import bias as bias
from .solution import catenoid as catenoid
from .solution import displacement as displacement
from .solution import displacement_bound as displacement_bound
from .solution import entropy_bias as entropy_bias
from .solution import envelope as envelope
from .solution import first_surprise as first_surprise
from .solution import log_loss as log_loss
from .solution import martingale as martingale
from .solution import two_charts as two_charts
