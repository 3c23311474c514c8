"""How the cost of each kind of work grows with its sizes, as `python3 run.py bench` measured it.

A panel for each size, a line for each kind of work, with the slope fitted to the larger half of the
sizes. The closed form does not grow with the generation at all.

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
PANELS = {
    "outcomes": "outcomes",
    "samples": "samples",
    "replicates": "replicates",
    "generations": "generations, or time",
    "temperatures": "temperatures",
}
KINDS = {
    "closed form of tempering": ("#222222", "o"),
    "sweep": ("#3f90da", "s"),
    "compressed sweep": ("#92755c", "v"),
    "gradient flow": ("#e76300", "^"),
    "single traces": ("#832db6", "D"),
    "refits": ("#bd1f01", "<"),
    "absorption": ("#5b8c2a", "p"),
}
"""Colour and mark of each kind of work."""


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
        assert curve["size"] in {*PANELS, "time"}, f"{name}: no panel for {curve['size']}"
    assert growth[FLAT]["slope"] < 0.25, "the closed form must not grow with the generation"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axes = plt.subplots(
        2, 3, figsize=(press.TEXT_WIDTH, 4.3), layout="constrained", sharey=True
    )
    for axis, (size, label) in zip(axes.flat, PANELS.items(), strict=False):
        for curve in data["growth"].values():
            kind = curve["title"].split(":")[0]
            if (curve["size"] if curve["size"] != "time" else "generations") != size:
                continue
            colour, mark = KINDS[kind]
            axis.loglog(
                curve["sizes"],
                curve["seconds"],
                color=colour,
                marker=mark,
                markersize=4,
                linewidth=1,
                label=f"{curve['slope']:.2f}".replace("-", "−"),
            )
        axis.set_xlabel(label)
        axis.legend(title="slope", loc="upper left", fontsize=7, title_fontsize=7)
    bottom, top = axes[0, 0].get_ylim()
    axes[0, 0].set_ylim(bottom, 10 * top)  # room for the slopes
    for axis in axes[:, 0]:
        axis.set_ylabel("seconds")
    last = axes.flat[len(PANELS)]
    last.axis("off")
    for kind, (colour, mark) in KINDS.items():
        last.plot([], [], color=colour, marker=mark, markersize=4, linewidth=1, label=kind)
    last.legend(loc="center", fontsize=8, frameon=False)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {}


if __name__ == "__main__":
    press.publish("growth")
