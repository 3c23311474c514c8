"""What temperature sampling does to a model that is trained on its own samples for ever.

Left: three outcomes on the simplex. The simulated generations (dots) run along one curve, that of
the initial model at all temperatures: to the mode if T < 1, to the uniform distribution if T > 1,
nowhere if T = 1. Right: their entropy, simulated (dots) and in closed form (lines).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import tempering
from paper import press

PNG = True
FAST = {"num_generations": 24}

PROBABILITIES = (0.55, 0.38, 0.07)
TEMPERATURES = (0.8, 0.9, 1.0, 1.1, 1.25)
ON_THE_SIMPLEX = (0.8, 1.0, 1.25)
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


def compute(num_generations: int = 24) -> dict[str, Any]:
    logits0 = simplex.logits(jnp.array(PROBABILITIES))
    observe = {"probabilities": simplex.probabilities, "entropy": simplex.entropy}
    data: dict[str, Any] = {"generation": np.arange(num_generations + 1)}
    for temperature in TEMPERATURES:
        loop = fp.Loop(sampler=fp.Temperature(temperature))
        runs = fp.run(loop, logits0, num_generations, observe=observe, progress=False)
        law = jnp.stack(
            [tempering.logits(logits0, temperature, int(n)) for n in data["generation"]]
        )
        data[f"probabilities {temperature}"] = np.asarray(runs.value["probabilities"])
        data[f"entropy {temperature}"] = np.asarray(runs.value["entropy"])
        data[f"law of probabilities {temperature}"] = np.asarray(simplex.probabilities(law))
        data[f"law of entropy {temperature}"] = np.asarray(simplex.entropy(law))
    every_temperature = np.geomspace(1e-2, 1e3, 400)
    data["curve"] = np.asarray(simplex.probabilities(simplex.temper(logits0, every_temperature)))
    return data


def check(data: Mapping[str, Any]) -> None:
    for temperature in TEMPERATURES:
        for what in ("probabilities", "entropy"):
            gap = np.abs(data[f"{what} {temperature}"] - data[f"law of {what} {temperature}"])
            assert gap.max() < 1e-12, f"the loop departs from the law at T = {temperature}"
        entropy = data[f"entropy {temperature}"]
        if temperature < 1:
            assert np.all(np.diff(entropy) < 0), "T < 1 must lose entropy in every generation"
        elif temperature > 1:
            assert np.all(np.diff(entropy) > 0), "T > 1 must gain entropy in every generation"
            assert entropy[-1] < np.log(3)
        else:
            assert np.ptp(entropy) < 1e-14, "T = 1 must change nothing"
    assert data["probabilities 0.8"][-1, 0] > 0.999, "T < 1 must end at the mode"
    assert np.ptp(data["probabilities 1.25"][-1]) < 0.01, "T > 1 must end at the uniform"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(press.TEXT_WIDTH, 2.75), width_ratios=(1, 1.15)
    )
    colours = {t: press.shade(t) for t in TEMPERATURES}

    left.plot(*np.vstack([CORNERS, CORNERS[:1]]).T, color="0.3", linewidth=0.8)
    left.plot(*(data["curve"] @ CORNERS).T, color="0.75", linewidth=0.9, zorder=1)
    for temperature in ON_THE_SIMPLEX:
        path = data[f"probabilities {temperature}"] @ CORNERS
        left.plot(*path.T, "o", color=colours[temperature], markersize=3.2, zorder=2)
    start = np.array(PROBABILITIES) @ CORNERS
    left.plot(*start, "o", color=press.NEUTRAL, markersize=5.5, zorder=3)
    left.annotate(
        "start; $T=1$\nstays here",
        start,
        xytext=(0.545, 0.055),
        textcoords="data",
        va="bottom",
        color=press.NEUTRAL,
        fontsize=8.5,
        arrowprops={"arrowstyle": "-", "color": "0.5", "linewidth": 0.6, "shrinkB": 4},
    )
    left.text(0.2, 0.085, "$T=0.8$", color=colours[0.8], fontsize=9, ha="center")
    left.text(0.535, 0.3, "$T=1.25$", color=colours[1.25], fontsize=9, ha="left")
    names = ("outcome 1, the mode", "outcome 2", "outcome 3")
    for corner, name, offset in zip(CORNERS, names, ((0, -9), (0, -9), (0, 4)), strict=True):
        left.annotate(
            name,
            corner,
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="top" if offset[1] < 0 else "bottom",
            fontsize=8,
        )
    left.set_aspect("equal")
    left.set_xlim(-0.12, 1.1)
    left.set_axis_off()

    generation = data["generation"]
    for temperature in TEMPERATURES:
        colour = colours[temperature]
        right.plot(generation, data[f"law of entropy {temperature}"], color=colour, linewidth=1)
        right.plot(generation, data[f"entropy {temperature}"], "o", color=colour, markersize=2.6)
    places = {0.8: (3.2, 0.4), 0.9: (16.5, 0.42), 1.0: (19, 0.81), 1.1: (19, 1.0), 1.25: (2, 1.12)}
    for temperature, place in places.items():
        right.text(*place, f"$T={temperature:g}$", color=colours[temperature], fontsize=8.5)
    right.set_xlabel("generation")
    right.set_ylabel("entropy (nats)")
    right.set_ylim(-0.03, 1.2)
    right.set_xlim(-0.5, generation[-1] + 0.5)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "limitsModeAfterTen": f"{data['probabilities 0.8'][10, 0]:.4f}",
        "limitsEntropyStart": f"{data['entropy 1.0'][0]:.4f}",
        "limitsEntropyAfterTen": f"{data['entropy 0.8'][10]:.4f}",
        "limitsEntropyHotAfterTen": f"{data['entropy 1.25'][10]:.4f}",
    }


if __name__ == "__main__":
    press.publish("limits")
