"""One run of three outcomes at T = 1, on single samples, at log-spaced generations.

Left: on the simplex. Early on it wanders about the interior; later it is seen at corners and, on
its way from one to another, on edges, but no longer inside. Right: its centred logits. One of them
leads, the others sink together; at a crossing two of them meet while the third stays below.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.loop.vertex import run_events
from paper import press

FAST = {"num_replicates": 8}

STEP_SIZE = 0.2
DECADES = 12
SAVED_PER_DECADE = 200

ALIVE = 0.05
"""From which probability on an outcome counts as alive."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
COLOURS = ("#3f90da", "#e76300", "#832db6")


def compute(num_replicates: int = 24) -> dict[str, Any]:
    decades = np.linspace(0, DECADES, SAVED_PER_DECADE * DECADES + 1)
    runs = run_events(
        fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(STEP_SIZE)),
        jnp.zeros(3),
        decades * np.log(10),
        key=jax.random.key(3),
        num_replicates=num_replicates,
    )
    p = np.asarray(simplex.probabilities(runs.value))
    shown = typical(p.argmax(-1)[decades > 3])
    return {
        "decade": decades,
        "probabilities": p[:, shown],
        "logits": np.asarray(runs.value)[:, shown],
        "third": np.sort(p, -1)[..., 0],
        "second": np.sort(p, -1)[..., 1],
        "run": shown,
    }


def typical(leaders: np.ndarray) -> int:
    """Of the runs in which each outcome leads at some time, the one with the median of changes."""
    all_led = [run for run, led in enumerate(leaders.T) if len(np.unique(led)) == 3]
    changes = np.count_nonzero(np.diff(leaders[:, all_led], axis=0), axis=0)
    return all_led[np.argsort(changes, kind="stable")[len(all_led) // 2]]


def alive(data: Mapping[str, Any], which: str, first: float, last: float) -> float:
    """Fraction of runs and saved generations at which an outcome of that rank is alive."""
    during = (data["decade"] >= first) & (data["decade"] < last)
    return float((data[which][during] > ALIVE).mean())


def check(data: Mapping[str, Any]) -> None:
    assert alive(data, "third", 0, 2) > 0.9, "early on all three outcomes must be alive"
    assert alive(data, "third", 4, DECADES) < 0.01, "late only two can be alive"
    later = alive(data, "second", 3, 4)
    assert later > 1.5 * alive(data, "third", 3, 4), "edges must be left later than the interior"
    log_generation = data["decade"] * np.log(10)
    late = data["decade"] > 6
    ratio = np.sort(data["logits"], -1)[late] / log_generation[late, None]
    assert np.abs(ratio - np.array([-1, -1, 2]) / 3).max() < 0.35, "late it must be at a corner"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(press.TEXT_WIDTH, 2.6), width_ratios=(1.15, 1)
    )
    left.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="0.3", linewidth=0.8)
    path, decade = data["probabilities"] @ CORNERS, data["decade"]
    left.plot(*path.T, color="0.75", linewidth=0.5, zorder=1)
    dots = left.scatter(
        *path.T, c=decade, s=5, linewidth=0, cmap="viridis_r", norm=Normalize(0, 6), zorder=2
    )
    names = ("outcome 1", "outcome 2", "outcome 3")
    for corner, name, colour in zip(CORNERS, names, COLOURS, strict=True):
        up = corner[1] > 0
        left.annotate(
            name,
            corner,
            xytext=(0, 4 if up else -5),
            textcoords="offset points",
            ha="center",
            va="bottom" if up else "top",
            fontsize=8,
            color=colour,
        )
    left.set_aspect("equal")
    left.set_axis_off()
    bar = figure.colorbar(dots, ax=left, shrink=0.8, pad=0.02, extend="max")
    bar.set_label("generation")
    bar.set_ticks(range(0, 7, 2), labels=[f"$10^{n}$" for n in range(0, 7, 2)])

    for corner in (2 / 3, -1 / 3):
        right.plot(decade, corner * decade * np.log(10), color="0.6", linewidth=0.8, linestyle=":")
    for logits, colour in zip(data["logits"].T, COLOURS, strict=True):
        right.plot(decade, logits, color=colour, linewidth=0.9)
    ticks = range(0, DECADES + 1, 3)
    right.set_xticks(ticks, [f"$10^{{{n}}}$" for n in ticks])
    right.set_xlim(0, DECADES)
    right.set_xlabel("generation")
    right.set_ylabel("centred logits (nats)")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "skeletonStep": f"{STEP_SIZE:g}",
        "skeletonAlive": f"{ALIVE:g}",
        "skeletonEarly": f"{100 * alive(data, 'third', 2, 3):.0f}",
        "skeletonLate": f"{100 * alive(data, 'third', 3, 4):.1f}",
        "skeletonEdges": f"{100 * alive(data, 'second', 3, 4):.0f}",
        "skeletonRuns": str(data["third"].shape[1]),
    }


if __name__ == "__main__":
    press.publish("skeleton")
