"""One potential, four roads: how self-training climbs Φ from one start.

Contours of Φ at T = 1/2 for three outcomes. Refits (dots), gradient flow to a teacher renewed after
each generation (squares), the model as its own teacher, and mixture flow. Left: the simplex. Right:
the plane of the logits, with equal scales, where the road of the online flow is at right angles to
the contours and the refits lie on a straight line.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.potential import gradient, potential
from paper import press

FAST = {"num_points": 60, "num_levels": 40}

PROBABILITIES = (0.38, 0.34, 0.28)
TEMPERATURE = 0.5
TRAINING_TIME = 8.0
NUM_ARCS = 12
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])
AXES = np.array([[1, -1, 0], [-1, -1, 2]]) / np.sqrt([[2], [6]])
"""Orthonormal coordinates of the plane of centred logits."""

LOOK = {
    "refit": {"color": "black", "marker": "o", "markersize": 4, "linewidth": 0.7, "zorder": 5},
    "frozen": {"color": "#832db6", "linewidth": 1.4, "zorder": 3},
    "online": {"color": "#bd1f01", "linewidth": 1.6, "linestyle": (0, (5, 1.5)), "zorder": 4},
    "mixture": {"color": "#0b6fb8", "linewidth": 1.6, "linestyle": (0, (1.2, 1)), "zorder": 4},
}
NAMES = {
    "refit": "refit",
    "frozen": rf"teacher renewed every $\tau={TRAINING_TIME:g}$",
    "online": "own teacher",
    "mixture": "mixture flow",
}


def compute(num_points: int = 240, num_levels: int = 200) -> dict[str, Any]:
    logits0 = simplex.logits(jnp.array(PROBABILITIES))
    loop = fp.Loop(sampler=fp.Temperature(TEMPERATURE))
    mixture = fp.Loop(sampler=fp.Temperature(TEMPERATURE), learner=fp.MixtureStep(step_size=1.0))
    roads = {
        "refit": fp.run(loop, logits0, 6, progress=False).value,
        "online": fp.flow(loop, logits0, path_times(60.0, num_points)).value,
        "mixture": fp.flow(mixture, logits0, path_times(8.0, num_points)).value,
    }
    arcs, teacher = [], logits0
    for _ in range(NUM_ARCS):
        times = np.linspace(0, TRAINING_TIME, num_points // NUM_ARCS)
        arcs.append(fp.flow(loop, teacher, times, frozen=True).value)
        teacher = arcs[-1][-1]
    data: dict[str, Any] = {"renewals": np.asarray([arc[0] for arc in arcs])}
    roads["frozen"] = jnp.concatenate(arcs)
    height, centred, chances = map(jax.jit, (potential, simplex.centre, simplex.probabilities))
    for name, logits in roads.items():
        data[f"{name}: logits"] = np.asarray(centred(logits))
        data[f"{name}: probabilities"] = np.asarray(chances(logits))
        data[f"{name}: potential"] = np.asarray(height(logits, TEMPERATURE))
    data["online: slope"] = np.asarray(jax.jit(gradient)(roads["online"], TEMPERATURE))
    data["triangle"] = grid_on_the_simplex(num_levels)
    with np.errstate(divide="ignore"):
        on_the_simplex = np.log(data["triangle"])
    data["potential on the simplex"] = np.asarray(height(on_the_simplex, TEMPERATURE))
    side = np.linspace(-1, 1, num_levels)
    x, y = np.meshgrid(1.15 + 2.0 * side, -1.5 + 2.0 * side)
    plane = np.stack([x, y], -1) @ AXES
    data["plane"] = np.stack([x, y])
    data["potential on the plane"] = np.asarray(height(plane, TEMPERATURE))
    return data


def path_times(last: float, count: int) -> np.ndarray:
    return np.linspace(0, 1, count) ** 2 * last


def grid_on_the_simplex(count: int) -> np.ndarray:
    """Probabilities i/n, j/n, (n - i - j)/n."""
    i, j = np.mgrid[: count + 1, : count + 1]
    inside = i + j <= count
    return np.stack([i[inside], j[inside], count - i[inside] - j[inside]], -1) / count


def check(data: Mapping[str, Any]) -> None:
    for name in LOOK:
        climbed = np.diff(data[f"{name}: potential"])
        assert climbed.min() > -1e-12, f"{name} must never descend"
        assert np.ptp(data[f"{name}: probabilities"][0] - PROBABILITIES) < 1e-12
        assert data[f"{name}: probabilities"][-1, 0] > 0.8, f"{name} must lead to the mode"
    refits = data["refit: logits"] @ AXES.T
    off_line = refits[1:] @ (refits[0][::-1] * (1, -1))
    assert np.abs(off_line).max() < 1e-9, "refits lie on a straight line"
    online = data["online: logits"]
    steps, slopes = np.diff(online, axis=0), data["online: slope"]
    middle = (slopes[1:] + slopes[:-1]) / 2
    norms = np.linalg.norm(steps, axis=1) * np.linalg.norm(middle, axis=1)
    assert ((steps * middle).sum(1) / norms).min() > 0.999, "online follows the gradient"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(press.TEXT_WIDTH, 2.6), width_ratios=(1.12, 1)
    )
    levels = -0.5 * np.log(3) * np.linspace(0.999, 0, 14) ** 1.2
    left.tricontour(
        *(data["triangle"] @ CORNERS).T,
        data["potential on the simplex"],
        levels=levels,
        colors="0.78",
        linewidths=0.6,
        linestyles="solid",
    )
    left.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="0.3", linewidth=0.8)
    right.contour(
        *data["plane"],
        data["potential on the plane"],
        levels=levels,
        colors="0.78",
        linewidths=0.6,
        linestyles="solid",
    )
    roads(left, data, "probabilities", CORNERS)
    roads(right, data, "logits", AXES.T)
    for number, (corner, side) in enumerate(zip(CORNERS, ("top", "top", "bottom"), strict=True), 1):
        left.annotate(
            f"outcome {number}" + (", the mode" if number == 1 else ""),
            corner,
            xytext=(0, -5 if side == "top" else 4),
            textcoords="offset points",
            ha="center",
            va=side,
            fontsize=8,
        )
    left.set_aspect("equal")
    left.set_xlim(-0.14, 1.12)
    left.set_axis_off()
    right.set_aspect("equal")
    right.set(xlim=(-0.75, 3.15), ylim=(-3.3, 0.45))
    right.set_xlabel(r"$(\theta_1-\theta_2)/\sqrt{2}$  (nats)")
    right.set_ylabel(r"$(2\theta_3-\theta_1-\theta_2)/\sqrt{6}$  (nats)")
    lines, labels = right.get_legend_handles_labels()
    figure.legend(lines, labels, loc="outside upper center", ncols=4, handlelength=2.4)
    return figure


def roads(axis: Axes, data: Mapping[str, Any], what: str, projection: np.ndarray) -> None:
    for name, look in LOOK.items():
        axis.plot(*(data[f"{name}: {what}"] @ projection).T, label=NAMES[name], **look)
    renewals = data["renewals"] if what == "logits" else simplex.probabilities(data["renewals"])
    axis.plot(
        *(np.asarray(renewals) @ projection).T,
        "s",
        color=LOOK["frozen"]["color"],
        markersize=2.6,
        zorder=4,
    )
    start = data[f"refit: {what}"][0] @ projection
    axis.plot(*start, "o", color="white", markeredgecolor="black", markersize=6, zorder=6)


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "roadsStart": f"{data['refit: potential'][0]:.3f}",
        "roadsTime": f"{TRAINING_TIME:g}",
    }


if __name__ == "__main__":
    press.publish("potential")
