"""Truncation: samplers that cut the tail of what is drawn, again and again."""

from .solution import nucleus_boundary as nucleus_boundary
from .solution import nucleus_support as nucleus_support
