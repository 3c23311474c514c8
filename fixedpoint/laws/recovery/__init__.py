"""Recovery: what a temperature restores, what it does not, and how fast anything can be lost."""

from .solution import lost_modes as lost_modes
from .solution import recovery as recovery
from .solution import rest as rest
from .solution import sharpening as sharpening
from .solution import speed_limit as speed_limit
from .solution import storage_cold as storage_cold
from .solution import storage_horizon as storage_horizon
from .solution import storage_hot as storage_hot
