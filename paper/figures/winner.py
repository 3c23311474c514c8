"""Who wins below T = 1: the chance that the initial mode of two outcomes is drawn for ever.

Left: against the step size, at three temperatures, from the exact functional equation (lines),
simulated (dots), and by the law of small steps (dashed). Moderate steps forget the initial mode
more than one huge step does. Right: the chance to lose, for small steps; the exponent of a
diffusion is wrong.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import survival
from fixedpoint.laws.survival import derivation
from fixedpoint.laws.survival.process import losing_chance
from paper import press

FAST = {"num_steps": 9, "num_points": 400, "num_replicates": 512}

GAP = 1.0
TEMPERATURES = (0.5, 0.8, 0.9)
SIMULATED = (0.1, 0.5, 2.0)
COLOURS = {0.5: "#3f90da", 0.8: "#e76300", 0.9: "#832db6"}
SMALL = (0.05, 0.07, 0.1, 0.15, 0.25, 0.5, 1.0)


def compute(
    num_steps: int = 16, num_points: int = 600, num_replicates: int = 2048
) -> dict[str, Any]:
    start = jnp.array([GAP / 2, -GAP / 2])
    steps = np.geomspace(0.05, 50, num_steps)
    data: dict[str, Any] = {"step size": steps, "start": float(simplex.mode_probability(start))}

    def losing(step_size, temperature):
        # From beyond the reach a return is too rare to be seen.
        reach = min(8 * (1 + step_size), 24)
        gaps, chances = losing_chance(step_size, temperature, 1, reach, num_points)
        return np.exp(np.interp(GAP, gaps[1:-1], np.log(np.maximum(chances[1:-1], 1e-300))))

    for temperature in TEMPERATURES:
        lost = np.array([losing(step_size, temperature) for step_size in steps])
        data[f"grid {temperature}"] = 1 - lost
        data[f"law {temperature}"] = 1 - np.asarray(survival.winner(GAP, temperature, steps))
        tempered = simplex.temper(start, temperature)
        data[f"sampled {temperature}"] = float(simplex.mode_probability(tempered))
        won = []
        for number, step_size in enumerate(SIMULATED):
            runs = fp.run(
                fp.Loop(fp.Temperature(temperature), fp.Fresh(1), fp.GradientSteps(step_size)),
                start,
                10_000,
                key=jax.random.key(10 * number + round(10 * temperature)),
                num_replicates=num_replicates,
                observe=lambda logits: logits[..., 0] > logits[..., 1],
                save_at=[10_000],
            )
            won.append(float(runs.value.mean()))
        data[f"simulated {temperature}"] = np.array(won)
        data[f"grid at simulated {temperature}"] = 1 - np.array(
            [losing(step_size, temperature) for step_size in SIMULATED]
        )
    data["small"] = np.array(SMALL)
    data["lost by grid"] = np.array([losing(step_size, 0.5) for step_size in SMALL])
    data["lost by law"] = np.asarray(survival.winner(GAP, 0.5, data["small"]))
    data["lost by a diffusion"] = np.array(
        [
            float(
                derivation.winner.evaluate(
                    {
                        "gap": GAP,
                        "temperature": 0.5,
                        "step_size": step_size,
                        "num_samples": 1,
                    },
                    "a diffusion's exponent",
                    digits=8,
                )
            )
            for step_size in SMALL
        ]
    )
    data["replicates"] = num_replicates
    return data


def check(data: Mapping[str, Any]) -> None:
    for temperature in TEMPERATURES:
        won = data[f"grid {temperature}"]
        gap = data[f"simulated {temperature}"] - data[f"grid at simulated {temperature}"]
        error = 0.5 / np.sqrt(data["replicates"])
        assert np.abs(gap).max() < 4 * error, f"simulation and grid differ at T = {temperature}"
        assert won.min() < data[f"sampled {temperature}"] - 0.02, "there must be a dip"
        assert abs(won[-1] - data[f"sampled {temperature}"]) < 0.02, "huge steps: sampled once"
    assert data["grid 0.8"].min() < data["start"], "the dip must go below the initial chance"
    few = data["small"] <= 0.25
    ratio = {
        name: data[f"lost by {name}"] / data["lost by grid"] for name in ("law", "a diffusion")
    }
    assert np.abs(ratio["law"] - 1)[few].max() < 0.1, "the law of small steps must hold"
    assert ratio["a diffusion"][0] < 0.2, "a diffusion's exponent must be wrong"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(press.TEXT_WIDTH, 2.6), width_ratios=(1.45, 1)
    )
    steps = data["step size"]
    left.axhline(data["start"], color="0.6", linewidth=0.8, linestyle=":")
    left.text(0.053, data["start"] - 0.008, "$p_0$ of the mode", va="top", fontsize=8, color="0.4")
    for temperature, colour in COLOURS.items():
        left.semilogx(steps, data[f"grid {temperature}"], color=colour, linewidth=1.1)
        small = steps <= 1
        left.plot(
            steps[small], data[f"law {temperature}"][small], "--", color="0.25", linewidth=0.8
        )
        left.plot(SIMULATED, data[f"simulated {temperature}"], "o", color=colour, markersize=3.5)
        left.plot(60, data[f"sampled {temperature}"], "<", color=colour, markersize=4)
        left.annotate(
            f"$T={temperature}$",
            (60, data[f"sampled {temperature}"]),
            (5, 0),
            textcoords="offset points",
            va={0.5: "center", 0.8: "bottom", 0.9: "top"}[temperature],
            color=colour,
            annotation_clip=False,
        )
    left.set_xlim(0.045, 62)
    left.set_xlabel(r"step size $\eta$")
    left.set_ylabel("chance that the mode wins")

    inverse = 1 / data["small"]
    right.semilogy(inverse, data["lost by law"], "--", color="0.25", linewidth=0.9)
    right.semilogy(inverse, data["lost by grid"], "o", color=COLOURS[0.5], markersize=3.5)
    right.semilogy(inverse, data["lost by a diffusion"], ":", color=press.HOT, linewidth=1.2)
    right.text(13.2, 3e-4, "law, grid", color="0.25", fontsize=8)
    right.text(9.5, 3e-7, "a diffusion's\nexponent", color=press.HOT, ha="right", fontsize=8)
    right.set_xlabel(r"$1/\eta$")
    right.set_ylabel("chance that the mode loses")
    right.set_title("$T=0.5$")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    won, steps = data["grid 0.8"], data["step size"]
    return {
        "winnerStart": f"{data['start']:.2f}",
        "winnerSampled": f"{data['sampled 0.8']:.2f}",
        "winnerLeast": f"{won.min():.2f}",
        "winnerWorstStep": f"{steps[won.argmin()]:.0f}",
        "winnerLaw": f"{data['lost by law'][0] / data['lost by grid'][0]:.2f}",
        "winnerDiffusion": f"{data['lost by a diffusion'][0] / data['lost by grid'][0]:.2f}",
        "winnerSmall": f"{SMALL[0]:g}",
    }


if __name__ == "__main__":
    press.publish("winner")
