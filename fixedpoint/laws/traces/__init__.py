"""Single traces: one gradient step a generation on a handful of fresh samples."""

from .solution import *  # noqa: F403
