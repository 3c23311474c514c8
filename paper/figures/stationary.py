"""The stationary law just above T = 1, on the simplex of three outcomes.

Single samples, one small step each; v is the step size over 1 - 1/T. With growing v the law moves
from a blob about the uniform model to the edges and then to the corners.
"""

from collections.abc import Mapping
from itertools import permutations
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import survival
from paper import press

FAST = {"patience": 3}

VARIANCES = (0.5, 2.0, 6.0)
STEP_SIZES = {0.5: 0.1, 2.0: 0.1, 6.0: 0.2}
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


def compute(num_replicates: int = 512, num_saved: int = 41, patience: float = 6) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for number, variance in enumerate(VARIANCES):
        step_size = STEP_SIZES[variance]
        temperature = 1 / (1 - step_size / variance)
        loop = fp.Loop(fp.Temperature(temperature), fp.Fresh(1), fp.GradientSteps(step_size))
        # A corner lies about v from the centre; there surprises come every e^v generations.
        end = round(patience * variance * (10 + np.exp(variance)) / step_size**2)
        runs = fp.run(
            loop,
            jnp.zeros(3),
            end,
            key=jax.random.fold_in(jax.random.key(6), number),
            num_replicates=num_replicates,
            save_at=np.linspace(end // 2, end, num_saved).astype(int),
        )
        logits = runs.value.reshape(-1, 3)
        data[f"probabilities {variance}"] = np.asarray(simplex.probabilities(logits))
        data[f"temperature {variance}"] = temperature
        square = np.asarray(jnp.sum(runs.value**2, -1)).mean(0)
        data[f"square {variance}"] = square.mean()
        data[f"error {variance}"] = square.std() / np.sqrt(num_replicates)
        data[f"law {variance}"] = float(survival.stationary_mixture(3, variance))
        data[f"one {variance}"] = 2 * float(survival.stationary(3, temperature, step_size, 1))
    data["v"] = np.linspace(0.01, 6.6, 100)
    data["law"] = np.asarray(survival.stationary_mixture(3, data["v"]))
    small = 1e-3
    hot = 1 / (1 - small / data["v"])
    data["one"] = 2 * np.asarray(survival.stationary(3, hot, small, 1))
    return data


def check(data: Mapping[str, Any]) -> None:
    for variance in VARIANCES:
        gap = abs(data[f"square {variance}"] - data[f"law {variance}"])
        # The law is that of infinitely small steps; the chain differs by the order of its own.
        allowed = 4 * data[f"error {variance}"] + STEP_SIZES[variance] * data[f"law {variance}"]
        assert gap < allowed, f"the mean square of the logits is not the law's at v = {variance}"
        if variance > 1:
            gap = abs(data[f"square {variance}"] - data[f"one {variance}"])
            assert gap > 0.3 * data[f"law {variance}"], "a single Gaussian must not fit"
    blob, edges, corners = (data[f"probabilities {v}"].max(-1) for v in VARIANCES)
    assert (blob > 0.9).mean() < 0.01, "for small v the law stays about the uniform model"
    assert (corners > 0.9).mean() > 0.5, "for large v it sits near corners"
    assert (blob > 0.9).mean() < (edges > 0.9).mean() < (corners > 0.9).mean()


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axes = plt.subplots(
        1, 4, figsize=(press.TEXT_WIDTH, 1.75), width_ratios=(1.25, 1.25, 1.25, 1)
    )
    for axis, variance in zip(axes, VARIANCES, strict=False):
        # The law does not know the outcomes' names: each point stands for its six permutations.
        p = data[f"probabilities {variance}"]
        points = np.concatenate([p[:, list(order)] for order in permutations(range(3))]) @ CORNERS
        cells = axis.hexbin(
            *points.T,
            gridsize=(32, 16),
            extent=(0, 1, 0, np.sqrt(0.75)),
            norm=LogNorm(4, 1e4),
            mincnt=1,
            cmap="viridis_r",
            linewidths=0.3,
            edgecolors="face",
        )
        cells.set_clip_path(Polygon(CORNERS, transform=axis.transData))
        axis.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="0.3", linewidth=0.8)
        axis.set_title(f"$v={variance:g}$", loc="center")
        axis.set_aspect("equal")
        axis.set_axis_off()
    last = axes[-1]
    last.plot(data["v"], data["law"], color=press.HOT, linewidth=1)
    last.plot(data["v"], data["one"], color="0.6", linewidth=0.9, linestyle="--")
    measured = [data[f"square {v}"] for v in VARIANCES]
    last.plot(VARIANCES, measured, "o", color=press.NEUTRAL, markersize=3.5)
    last.set_xlabel("$v$")
    last.set_ylabel(r"mean of $|\theta|^2$")
    last.set_xlim(0, 6.6)
    last.set_xticks((0, 2, 4, 6))
    last.set_ylim(0, None)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    last = VARIANCES[-1]
    return {
        "stationaryTemperature": f"{data[f'temperature {last}']:.3f}",
        "stationarySquare": f"{data[f'square {last}']:.1f}",
        "stationaryLaw": f"{data[f'law {last}']:.1f}",
        "stationaryOne": f"{data[f'one {last}']:.1f}",
        "stationaryCorner": f"{100 * (data[f'probabilities {last}'].max(-1) > 0.9).mean():.0f}",
    }


if __name__ == "__main__":
    press.publish("stationary")
