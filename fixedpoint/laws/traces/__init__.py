"""Single traces: one gradient step a generation on a handful of fresh samples."""

from .solution import absorption as absorption
from .solution import bias as bias
from .solution import catenoid as catenoid
from .solution import decay_density as decay_density
from .solution import decay_floor as decay_floor
from .solution import decay_thresholds as decay_thresholds
from .solution import displacement as displacement
from .solution import displacement_bound as displacement_bound
from .solution import entropy_bias as entropy_bias
from .solution import envelope as envelope
from .solution import first_surprise as first_surprise
from .solution import log_loss as log_loss
from .solution import martingale as martingale
from .solution import memory as memory
from .solution import memory_time as memory_time
from .solution import stationary as stationary
from .solution import stationary_mixture as stationary_mixture
from .solution import survival as survival
from .solution import switches as switches
from .solution import transience as transience
from .solution import transience_every_step as transience_every_step
from .solution import two_charts as two_charts
from .solution import weight_decay as weight_decay
from .solution import winner as winner
