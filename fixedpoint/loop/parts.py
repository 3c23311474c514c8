"""What the parts of a loop have in common: they print as they are written."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jax.core import Tracer

_FEW = 6
"""Numbers of an array that are printed one by one."""


class Part(eqx.Module):
    """A module that prints its numbers, and leaves out those that are the defaults.

    Example:
        >>> import fixedpoint as fp
        >>> fp.Loop(fp.Temperature(0.8), learner=fp.GradientSteps(0.1, num_steps=3))
        Loop(Temperature(0.8), learner=GradientSteps(0.1, num_steps=3))
    """

    def __repr__(self) -> str:
        parameters = inspect.signature(type(self)).parameters
        if not all(hasattr(self, name) for name in parameters):
            return super().__repr__()
        defaults = {field.name: field for field in dataclasses.fields(self)}
        shown = []
        for number, (name, parameter) in enumerate(parameters.items()):
            text, default = _shown(getattr(self, name)), parameter.default
            factory = defaults[name].default_factory if name in defaults else dataclasses.MISSING
            if factory is not dataclasses.MISSING:
                default = factory()
            if default is inspect.Parameter.empty or text != _shown(default):
                shown.append(text if number == 0 else f"{name}={text}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _shown(value: Any) -> str:
    if isinstance(value, Tracer):
        return eqx.tree_pformat(value)
    if not isinstance(value, jax.Array | np.ndarray):
        return repr(value)
    if value.size > _FEW or value.ndim > 1:
        return eqx.tree_pformat(value)
    numbers = [str(number) for number in np.ravel(value)]
    return f"[{', '.join(numbers)}]" if value.ndim else numbers[0]
