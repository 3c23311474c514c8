"""From a figure's script to its files: the same bytes at every run.

A script `figures/<stem>.py` has four functions and one constant:

    compute(**sizes) -> dict    what is shown, as arrays; the defaults are the printed sizes
    check(data)                 asserts what the caption claims
    draw(data) -> Figure        calls `check` first
    numbers(data) -> dict       what the text quotes: names (letters only) and printed values
    FAST                        sizes that the tests use
"""

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt

PAPER = Path(__file__).parent
GENERATED = PAPER / "generated"
TEXT_WIDTH = 6.3
"""Width of the printed page's text in inches."""

COLD, NEUTRAL, HOT = "#3f90da", "#444444", "#bd1f01"
"""Colours of T < 1, T = 1 and T > 1, the same in every figure."""

SAVED_WITHOUT = {"CreationDate": None, "ModDate": None, "Producer": None, "Creator": None}


def stems() -> list[str]:
    """The figures, by the stems of their scripts."""
    return sorted(path.stem for path in (PAPER / "figures").glob("*.py"))


def script(stem: str) -> ModuleType:
    """The script of a figure, as a module."""
    return importlib.import_module(f"paper.figures.{stem}")


def style() -> Any:
    """The look of the paper, as a context: nothing outside it is changed."""
    return mpl.rc_context(fname=PAPER / "paper.mplstyle")


def publish(stem: str) -> list[Path]:
    """Compute a figure in float64, check its claim, draw it, and write its files.

    Args:
        stem: the stem of its script.

    Returns:
        The files written: `generated/<stem>.pdf`, `generated/<stem>.json` (the numbers it gives to
        the text) and, if the script sets `PNG`, the picture for the web beside the script.
    """
    figure = script(stem)
    GENERATED.mkdir(exist_ok=True)
    written = [GENERATED / f"{stem}.pdf", GENERATED / f"{stem}.json"]
    with jax.enable_x64(True), mpl.rc_context(), style():
        mpl.use("agg")
        data = figure.compute()
        drawing = figure.draw(data)
        drawing.savefig(written[0], metadata=SAVED_WITHOUT)
        written[1].write_text(json.dumps(checked_numbers(stem, figure.numbers(data)), indent=1))
        if getattr(figure, "PNG", False):
            written.append(PAPER / "figures" / f"{stem}.png")
            drawing.savefig(written[-1], metadata={"Software": None})
        plt.close(drawing)
    return written


def checked_numbers(stem: str, numbers: Mapping[str, str]) -> dict[str, str]:
    """Refuse numbers that cannot be TeX macros."""
    for name, value in numbers.items():
        if not (name.isascii() and name.isalpha()):
            raise ValueError(f"{stem}: a number's name must be letters only; got {name!r}.")
        if not isinstance(value, str):
            raise ValueError(f"{stem}: {name} must be printed (a string); got {value!r}.")
    return dict(numbers)


def shade(temperature: float) -> str:
    """The colour of a temperature: blues for T < 1, reds for T > 1, the stronger the farther."""
    if temperature == 1:
        return NEUTRAL
    strong = abs(temperature - 1) >= 0.15
    if temperature < 1:
        return COLD if strong else "#7fbbe9"
    return HOT if strong else "#e8705c"
