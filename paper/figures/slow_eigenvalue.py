"""The slowest factor of the collapse of two outcomes, refitted to n of their samples at T.

Left: the leading eigenvalue of the exact chain. Below temperature 1 it is T for all but few
samples; at 1 it is 1 - 1/n (circles). Right: its distance from 1. Above temperature 1 it falls off
a wall that is exponential in n; dashed: the law's exponent, where it can be seen.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint.laws import metastability
from paper import press

FAST = {"num_temperatures": 12}

NUM_SAMPLES = (10, 30, 100)
COLOURS = {10: "#92b8dd", 30: "#3f7fbf", 100: "#173f6b"}
COLD = 0.8
"""Up to this temperature the largest n is held to the law λ = T."""

HOT = 1.5
"""From this temperature on the exponents are held to the action."""


def decay(num_samples: int, temperature: float) -> float:
    loop = fp.Loop(fp.Temperature(temperature), fp.Fresh(num_samples))
    return fp.chain.quasi_stationary(fp.chain.from_loop(loop)).decay


def compute(num_temperatures: int = 30) -> dict[str, Any]:
    # The bend at 1 is sharp.
    about_one = 1 + np.array([-0.04, -0.02, -0.01, 0.0, 0.01, 0.02, 0.04])
    temperatures = np.unique(np.append(np.linspace(0.3, 2.0, num_temperatures), about_one))
    data: dict[str, Any] = {"temperature": temperatures}
    for number in NUM_SAMPLES:
        data[f"decay {number}"] = np.array([decay(number, float(T)) for T in temperatures])
        data[f"decay at one {number}"] = decay(number, 1.0)
    data["limit"] = np.asarray(metastability.slow_eigenvalue(temperatures, NUM_SAMPLES[-1]))
    data["action"] = np.asarray(metastability.metastability(temperatures))
    return data


def check(data: Mapping[str, Any]) -> None:
    T, largest = data["temperature"], NUM_SAMPLES[-1]
    cold, hot = T <= COLD, T >= HOT
    gap = np.abs(1 - data[f"decay {largest}"] - T)[cold]
    assert gap.max() < 1e-10, "below temperature 1 the eigenvalue must be T"
    for number in NUM_SAMPLES:
        gap = data[f"decay at one {number}"] * number - 1
        assert abs(gap) < 1e-9, "at temperature 1 it must be 1 - 1/n"
    small, large = NUM_SAMPLES[-2:]
    fall = np.log(data[f"decay {small}"] / data[f"decay {large}"])[hot] / (large - small)
    assert np.abs(fall / data["action"][hot] - 1).max() < 0.04, "the wall must have the exponent c"
    assert data[f"decay {largest}"][-1] < 1e-20, "the wall must be high"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(1, 2, figsize=(press.TEXT_WIDTH, 2.5))
    T = data["temperature"]
    left.plot(T, np.minimum(T, 1), color=press.HOT, linewidth=0.9, linestyle="--", zorder=3)
    for number, colour in COLOURS.items():
        left.plot(T, 1 - data[f"decay {number}"], color=colour)
        left.plot(1, 1 - data[f"decay at one {number}"], "o", color=colour, markerfacecolor="white")
        right.semilogy(T, data[f"decay {number}"], color=colour)
        # Where few samples do not blur the exponent: n^{1-1/T} well above 1.
        wall = number ** (1 - 1 / T) > 2.5
        # The law gives the exponent alone: the dashed line is hung up at its right end.
        law = np.exp(-data["action"] * number)
        law *= data[f"decay {number}"][-1] / law[-1]
        right.semilogy(T[wall], law[wall], color=press.HOT, linewidth=0.9, linestyle="--")
        right.annotate(
            f"$n={number}$",
            (T[-1], data[f"decay {number}"][-1]),
            (3, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=colour,
            annotation_clip=False,
        )
    left.annotate("$T$", (0.55, 0.55), (5, -9), textcoords="offset points", color=press.HOT)
    left.set_xlim(0.3, 1.5)
    left.set_ylim(0.25, 1.03)
    left.set_xlabel("temperature $T$")
    left.set_ylabel(r"slow eigenvalue $\lambda$")
    right.set_xlim(0.3, 2)
    right.set_xlabel("temperature $T$")
    right.set_ylabel(r"$1-\lambda$")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    largest = NUM_SAMPLES[-1]
    exponent = int(np.floor(np.log10(data[f"decay {largest}"][-1])))
    return {
        "eigenvalueSamples": str(largest),
        "eigenvalueHot": f"{data['temperature'][-1]:g}",
        "eigenvalueWall": f"10^{{{exponent}}}",
    }


if __name__ == "__main__":
    press.publish("slow_eigenvalue")
