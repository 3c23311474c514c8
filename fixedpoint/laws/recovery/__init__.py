"""Recovery: what a temperature restores, and how far numbers with finitely many digits go."""

from .solution import recovery as recovery
from .solution import storage_cold as storage_cold
from .solution import storage_horizon as storage_horizon
from .solution import storage_hot as storage_hot
