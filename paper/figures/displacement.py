"""How far single samples move a model in a fixed training time, against the step size.

Five outcomes, one sample a generation, step size times generations = 20. At T = 1 nothing but noise
moves the logits: the root mean square displacement falls like the square root of the step size. At
any other temperature there is a drift, and it does not.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import traces
from paper import press

FAST = {"smallest": 6e-3, "num_replicates": 256}

PROBABILITIES = (0.54, 0.24, 0.12, 0.08, 0.02)
TEMPERATURES = (0.8, 1.0, 1.25)
TIME = 20.0
"""Step size times number of generations."""


def compute(smallest: float = 1e-3, num_replicates: int = 512) -> dict[str, Any]:
    logits0 = simplex.logits(jnp.array(PROBABILITIES))

    def observe(logits):
        moved = logits - jnp.broadcast_to(logits0, logits.shape)
        return jnp.sum(moved**2, -1), simplex.heterozygosity(logits)

    num_steps = 1 + round(4 * np.log10(1 / smallest))
    step_sizes = TIME / np.round(TIME / np.geomspace(smallest, 1, num_steps))
    data: dict[str, Any] = {"step size": step_sizes}
    for temperature in TEMPERATURES:
        sampler = fp.Temperature(temperature)
        squares, errors, law = [], [], []
        for number, step_size in enumerate(step_sizes):
            loop = fp.Loop(sampler, fp.Fresh(1), fp.GradientSteps(step_size))
            num_generations = round(TIME / step_size)
            saved = np.unique(np.linspace(0, num_generations, 21).round().astype(int))
            runs = fp.run(
                loop,
                logits0,
                num_generations,
                key=jax.random.fold_in(jax.random.key(11), number),
                num_replicates=num_replicates,
                observe=observe,
                save_at=saved.tolist(),
            )
            square, heterozygosity = (np.asarray(value) for value in runs.value)
            squares.append(square[-1].mean())
            errors.append(square[-1].std() / np.sqrt(num_replicates))
            every = np.interp(np.arange(num_generations), saved, heterozygosity.mean(1))
            law.append(float(traces.displacement(every, step_size, 1)))
        data[f"rms {temperature}"] = np.sqrt(squares)
        data[f"error {temperature}"] = np.array(errors) / (2 * np.sqrt(squares))
        if temperature == 1:
            data["law"] = np.sqrt(law)
        else:
            drifted = fp.flow(fp.Loop(sampler), logits0, [TIME]).value[0] - logits0
            data[f"drift {temperature}"] = float(jnp.linalg.norm(simplex.centre(drifted)))
    data["bound"] = np.sqrt(traces.displacement_bound(len(PROBABILITIES), TIME, step_sizes, 1))
    return data


def slope(data: Mapping[str, Any], temperature: float) -> float:
    """Slope of log rms against log step size over the smallest decade."""
    few = data["step size"] < 10.01 * data["step size"][0]
    return np.polyfit(np.log(data["step size"][few]), np.log(data[f"rms {temperature}"][few]), 1)[0]


def check(data: Mapping[str, Any]) -> None:
    pull = (data["rms 1.0"] - data["law"]) / data["error 1.0"]
    assert np.abs(pull).max() < 4.5, "the displacement at T = 1 departs from the law"
    assert np.all(data["rms 1.0"] < data["bound"] + 4.5 * data["error 1.0"])
    assert abs(slope(data, 1.0) - 0.5) < 0.05, "T = 1: the slope must be 1/2"
    for temperature in (0.8, 1.25):
        assert abs(slope(data, temperature)) < 0.15, "T other than 1: the slope must be 0"
        ratio = data[f"rms {temperature}"][0] / data[f"drift {temperature}"]
        assert abs(ratio - 1) < 0.05, "small steps must follow the drift"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axis = plt.subplots(figsize=(press.TEXT_WIDTH, 2.3))
    steps = data["step size"]
    axis.loglog(steps, data["bound"], color="0.6", linewidth=0.9, linestyle=":")
    axis.loglog(steps, data["law"], color=press.NEUTRAL, linewidth=1)
    for temperature in TEMPERATURES:
        colour, marker = press.shade(temperature), {0.8: "v", 1.0: "o", 1.25: "^"}[temperature]
        if temperature != 1:
            axis.axhline(data[f"drift {temperature}"], color=colour, linewidth=1)
        axis.loglog(steps, data[f"rms {temperature}"], marker, color=colour, markersize=4)
    left = steps[0]
    for temperature, where in ((0.8, "bottom"), (1.25, "top")):
        height = data[f"drift {temperature}"] * (1.09 if where == "bottom" else 0.91)
        colour, text = press.shade(temperature), f"$T={temperature}$: slope 0"
        axis.text(left, height, text, color=colour, va=where, fontsize=9)
    place = steps[3], data["law"][3]
    axis.annotate(
        "$T=1$: slope 1/2", place, (10, -4), textcoords="offset points", va="top", fontsize=9
    )
    place = steps[1], data["bound"][1]
    axis.annotate(
        "bound", place, (-4, 3), textcoords="offset points", ha="right", color="0.45", fontsize=8.5
    )
    axis.set_yticks((0.1, 0.3, 1, 3), ("0.1", "0.3", "1", "3"))
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel(r"step size $\eta$")
    axis.set_ylabel("rms displacement (nats)")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "displacementTime": f"{TIME:g}",
        # Adding 0 turns a rounded -0.0 into 0.0.
        "displacementSlope": f"{round(slope(data, 1.0), 2) + 0:.2f}",
        "displacementSlopeCold": f"{round(slope(data, 0.8), 2) + 0:.2f}",
        "displacementSlopeHot": f"{round(slope(data, 1.25), 2) + 0:.2f}",
    }


if __name__ == "__main__":
    press.publish("displacement")
