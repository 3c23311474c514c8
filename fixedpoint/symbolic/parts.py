"""What the parts of a loop have in common: how they print."""

import dataclasses
from typing import Any


class Part:
    """A part of a loop, which prints as the twin of its name in `fixedpoint.loop` does.

    Example:
        >>> from fixedpoint.symbolic import Fresh, Loop, Temperature
        >>> Loop(Temperature(2), Fresh(3))
        Loop(Temperature(2), corpus=Fresh(3))
    """

    def __repr__(self) -> str:
        """The class with its numbers and symbols, but for those that are the defaults."""
        shown: list[str] = []
        for place, field in enumerate(dataclasses.fields(self)):  # pyright: ignore[reportArgumentType]
            value = getattr(self, field.name)
            if value != _default(field):
                shown.append(f"{value!r}" if place == 0 else f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"


def _default(field: "dataclasses.Field[Any]") -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
