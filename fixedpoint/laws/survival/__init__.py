"""Survival: which outcomes of single traces stay alive, and for how long."""

from .solution import absorption as absorption
from .solution import memory as memory
from .solution import stationary as stationary
from .solution import stationary_mixture as stationary_mixture
from .solution import survival as survival
from .solution import switches as switches
from .solution import transience as transience
from .solution import transience_every_step as transience_every_step
from .solution import winner as winner
