"""Weight decay: single traces that are pulled back to the uniform distribution."""

from .solution import decay_density as decay_density
from .solution import decay_floor as decay_floor
from .solution import decay_thresholds as decay_thresholds
from .solution import memory_time as memory_time
from .solution import weight_decay as weight_decay
