"""The logits of two outcomes at T = 1 as the height of a Brownian motion on a catenoid.

Left: a Brownian motion made from the surface alone, by steps in its tangent planes. Middle: its
height, beside the logit gap of a model that is trained on single samples of its own. Right: the
exact identity for the mean squared distance from the neck, on many runs of both.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import traces
from fixedpoint.loop.traces import run_traces
from paper import press

PNG = True
FAST = {"num_replicates": 512}

STEP_SIZE = 0.1
DIFFUSION_TIME = 60.0
"""s = (step size)² × generations at the end."""

MODEL, SURFACE = "#bd1f01", "#3f90da"


def radius(height: np.ndarray) -> np.ndarray:
    """Distance of the catenoid from its axis."""
    return 2 * np.cosh(height / 2)


def brownian_motion(num_steps: int, num_replicates: int, time_step: float, every: int):
    """Points in space, shape (saved, num_replicates, 3), from the neck.

    A catenoid is a minimal surface: a Brownian motion on it has no drift in space, only the
    increments' projection to the tangent plane. After each step the point is put back on the
    surface at its height and angle.
    """
    random = np.random.default_rng(8)
    x = np.tile([2.0, 0.0, 0.0], (num_replicates, 1))
    saved = [x]
    for step in range(1, num_steps + 1):
        normal = np.stack([x[:, 0], x[:, 1], -np.sinh(x[:, 2])], -1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
        jump = np.sqrt(time_step) * random.standard_normal(x.shape)
        x = x + jump - np.sum(jump * normal, -1, keepdims=True) * normal
        x[:, :2] *= (radius(x[:, 2]) / np.linalg.norm(x[:, :2], axis=-1))[:, None]
        if step % every == 0:
            saved.append(x)
    return np.stack(saved)


def median(heights: np.ndarray) -> int:
    """Which run ends at the median distance from the neck."""
    return int(np.argsort(np.abs(heights), kind="stable")[len(heights) // 2])


def compute(num_replicates: int = 2048, every: int = 4) -> dict[str, Any]:
    time_step = STEP_SIZE**2
    num_steps = round(DIFFUSION_TIME / time_step)
    path = brownian_motion(num_steps, num_replicates, time_step, every)
    loop = fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(STEP_SIZE))
    runs = run_traces(
        loop,
        jnp.zeros(2),
        num_steps,
        key=jax.random.key(4),
        num_replicates=num_replicates,
        observe=lambda logits: logits[..., 0] - logits[..., 1],
        save_at=range(0, num_steps + 1, every),
    )
    gap, time = np.asarray(runs.value), np.asarray(runs.generation) * time_step
    few = np.linspace(0, len(gap) - 1, 13).round().astype(int)
    p = np.asarray(simplex.probabilities(jnp.stack([gap[few] / 2, -gap[few] / 2], -1)))
    data = {
        "time": time,
        "path": path[:, median(path[-1, :, 2])],
        "gap": gap[:, median(gap[-1])],
        "end of path": path[-1, :, 2],
        "end of gap": gap[-1],
        "mean time": time[few],
        "law": np.asarray(traces.catenoid(0.0, time[few])),
        "slope of the chain": float(traces.envelope(1, STEP_SIZE)) / STEP_SIZE**2,
    }
    square = {"surface": np.sum(path[few] ** 2, -1), "model": 1 / p.prod(-1) + gap[few] ** 2}
    for name, values in square.items():
        data[f"mean of the {name}"] = values.mean(1)
        data[f"error of the {name}"] = values.std(1) / np.sqrt(num_replicates)
    return data


def check(data: Mapping[str, Any]) -> None:
    distance = np.linalg.norm(data["path"][:, :2], axis=-1)
    assert np.abs(distance - radius(data["path"][:, 2])).max() < 1e-9, "the path left the surface"
    number = len(data["end of path"])
    assert apart(np.abs(data["end of path"]), np.abs(data["end of gap"])) < 2.5 * np.sqrt(
        2 / number
    ), "the height on the surface and the logit gap have different laws"
    for name in ("surface", "model"):
        miss = data[f"mean of the {name}"] - data["law"]
        # Steps of 0.1 instead of 0 cost some per cent.
        allowed = 4.5 * data[f"error of the {name}"] + 0.1 * (data["law"] - data["law"][0])
        assert np.all(np.abs(miss) <= allowed), f"the {name} departs from the identity"


def apart(first: np.ndarray, second: np.ndarray) -> float:
    """The largest difference of two empirical distribution functions (Kolmogorov-Smirnov)."""
    every = np.concatenate([first, second])
    ranks = [np.searchsorted(np.sort(x), every, side="right") / len(x) for x in (first, second)]
    return float(np.abs(ranks[0] - ranks[1]).max())


ELEVATION = np.radians(16)


def seen(points: np.ndarray) -> np.ndarray:
    """Where points in space appear on the page, seen from slightly above."""
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([y, z * np.cos(ELEVATION) - x * np.sin(ELEVATION)], -1)


def on_surface(height: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Points of the catenoid."""
    rho = radius(height)
    return np.stack(np.broadcast_arrays(rho * np.cos(angle), rho * np.sin(angle), height), -1)


def draw_surface(axis: Any, path: np.ndarray) -> Any:
    """The catenoid's meridians and parallels, and a path on it, coloured by time."""
    top = 1.05 * np.abs(path[:, 2]).max()
    heights, angles = np.linspace(-top, top, 61), np.linspace(0, 2 * np.pi, 121)
    lines = [seen(on_surface(heights, angle)) for angle in angles[::4]]
    lines += [seen(on_surface(height, angles)) for height in heights[::4]]
    axis.add_collection(LineCollection(lines, colors="0.85", linewidths=0.4))
    points = seen(path)
    pieces = np.stack([points[:-1], points[1:]], 1)
    trace = LineCollection(list(pieces), cmap="viridis", linewidths=0.8, capstyle="round")
    trace.set_array(np.linspace(0, DIFFUSION_TIME, len(pieces)))
    axis.add_collection(trace)
    axis.plot(*points[0], "o", color=press.NEUTRAL, markersize=3.5)
    axis.set_aspect("equal")
    axis.set_axis_off()
    axis.autoscale_view()
    for sign, side in ((1, "bottom"), (-1, "top")):
        name = f"always outcome {1 if sign > 0 else 2}"
        edge = seen(on_surface(np.array(sign * top), angles))[:, 1]
        height = edge.max() + 0.5 if sign > 0 else edge.min() - 0.5
        axis.text(0, height, name, ha="center", va=side, fontsize=8)
    return trace


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, middle, right) = plt.subplots(
        1, 3, figsize=(press.TEXT_WIDTH, 2.2), width_ratios=(1.6, 1, 1)
    )
    draw_surface(left, data["path"])

    middle.axhline(0, color="0.8", linewidth=0.6)
    middle.plot(data["time"], data["path"][:, 2], color=SURFACE, linewidth=0.8)
    middle.plot(data["time"], data["gap"], color=MODEL, linewidth=0.8)
    middle.set_xlabel(r"$s=\eta^2 t$")
    middle.set_ylabel("height, logit gap $z$")

    right.plot(data["mean time"], data["law"], color=press.NEUTRAL, linewidth=1)
    for name, colour, marker in (("surface", SURFACE, "s"), ("model", MODEL, "o")):
        right.errorbar(
            data["mean time"],
            data[f"mean of the {name}"],
            2 * data[f"error of the {name}"],
            fmt=marker,
            color=colour,
            markersize=2.6,
            linewidth=0.7,
            label=name,
        )
    right.set_xlabel(r"$s=\eta^2 t$")
    right.set_ylabel("mean of $1/(pq)+z^2$")
    right.legend(loc="upper left", handletextpad=0.3)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "catenoidStep": f"{STEP_SIZE:g}",
        "catenoidRuns": f"{len(data['end of gap']):,}".replace(",", "{,}"),
        "catenoidChainSlope": f"{data['slope of the chain']:.3f}",
    }


if __name__ == "__main__":
    press.publish("catenoid")
