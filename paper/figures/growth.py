"""How the cost of each kind of work grows with its size, as `python3 run.py bench` measured it.

Seconds against the size, relative to the smallest one, each with the slope fitted to the larger
half of the sizes. The closed form does not grow with the generation at all.

The times are those of the stored measurement (`tests/benchmarks/results.json`): drawing measures
nothing, so that the figure is the same at every run.
"""

import json
from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from paper import press

FAST: dict[str, Any] = {}

RESULTS = press.PAPER.parent / "tests" / "benchmarks" / "results.json"
FLAT = "closed-form-generations"
COLOURS = "#3f90da", "#e76300", "#832db6", "#bd1f01", "#5b8c2a", "#92755c", "#717581", "#222222"
MARKS = "os^Dv<>p"


def compute() -> dict[str, Any]:
    return {"growth": json.loads(RESULTS.read_text(encoding="utf-8"))["growth"]}


def check(data: Mapping[str, Any]) -> None:
    growth = data["growth"]
    for name, curve in growth.items():
        assert np.all(np.diff(curve["sizes"]) > 0), f"{name}: sizes do not increase"
        assert np.all(np.asarray(curve["seconds"]) > 0), f"{name}: not measured"
        half = len(curve["sizes"]) // 2
        fitted = np.polyfit(np.log(curve["sizes"][half:]), np.log(curve["seconds"][half:]), 1)[0]
        assert abs(fitted - curve["slope"]) < 1e-9, f"{name}: not the slope of its points"
    assert growth[FLAT]["slope"] < 0.25, "the closed form must not grow with the generation"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axis = plt.subplots(figsize=(press.TEXT_WIDTH, 3.6), layout="constrained")
    for number, curve in enumerate(data["growth"].values()):
        sizes = np.asarray(curve["sizes"], float)
        axis.loglog(
            sizes / sizes[0],
            curve["seconds"],
            marker=MARKS[number % len(MARKS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=4,
            linewidth=1,
            label=f"{curve['title']}: {curve['size']} from {curve['sizes'][0]:,}"
            f", slope {curve['slope']:.2f}",
        )
    axis.set_xlabel("size, relative to the smallest")
    axis.set_ylabel("seconds")
    figure.legend(loc="outside lower center", ncols=2, fontsize=7, frameon=False)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {}


if __name__ == "__main__":
    press.publish("growth")
