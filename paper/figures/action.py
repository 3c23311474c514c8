"""How long two outcomes live side by side above T = 1: ln(mean time)/n against 1/T.

Dots: exact chains of n samples, from even odds. Black: the least action, their limit. Dashed: its
expansions at T = 1 (three terms) and at T = infinity (two terms).
"""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint.laws import metastability
from paper import press

FAST = {"num_temperatures": 6}

NUM_SAMPLES = (50, 100, 200)
COLOURS = {50: "#f2a38f", 100: "#d9573f", 200: "#8c1500"}


def log_time(num_samples: int, temperature: float) -> float:
    """Logarithm of the mean time to the loss, from even odds."""
    loop = fp.Loop(fp.Temperature(temperature), fp.Fresh(num_samples))
    decided = fp.chain.absorption(fp.chain.from_loop(loop))
    return float(np.log(decided.mean[num_samples // 2]))


def compute(num_temperatures: int = 16) -> dict[str, Any]:
    inverse = np.linspace(0, 1, num_temperatures)
    with np.errstate(divide="ignore"):
        temperatures = 1 / inverse
    data: dict[str, Any] = {"inverse": inverse}
    for number in NUM_SAMPLES:
        times = [log_time(number, float(T)) for T in temperatures]
        data[f"exponent {number}"] = np.array(times) / number
    data["action"] = np.asarray(metastability.metastability(temperatures))
    curve = np.append(np.linspace(0, 0.98, 50), 1.0)
    with np.errstate(divide="ignore"):
        data["curve action"] = np.asarray(metastability.metastability(1 / curve))
        data["cold end"] = np.asarray(metastability.action_series(1 / curve))
    data["curve"] = curve
    data["hot end"] = np.log(2) - curve**2 / 2
    return data


def check(data: Mapping[str, Any]) -> None:
    small, large = NUM_SAMPLES[-2:]
    slope = large * data[f"exponent {large}"] - small * data[f"exponent {small}"]
    slope /= large - small
    hot = data["inverse"] < 0.7
    gap = np.abs(slope[hot] / data["action"][hot] - 1)
    assert gap.max() < 0.01, "the slopes of the exact chains must be the action"
    errors = [np.abs(data[f"exponent {n}"] - data["action"])[hot].max() for n in NUM_SAMPLES]
    assert errors[0] > errors[1] > errors[2], "the chains must tend to the action"
    near, far = data["curve"] > 0.85, data["curve"] < 0.25
    assert np.abs(data["cold end"] - data["curve action"])[near].max() < 3e-4
    assert np.abs(data["hot end"] - data["curve action"])[far].max() < 3e-3


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axis = plt.subplots(figsize=(press.TEXT_WIDTH, 2.7))
    curve = data["curve"]
    axis.plot(curve, data["cold end"], color="0.55", linewidth=0.9, linestyle="--")
    axis.plot(curve, data["hot end"], color="0.55", linewidth=0.9, linestyle="--")
    axis.plot(curve, data["curve action"], color="black", linewidth=1.1)
    for number, colour in COLOURS.items():
        axis.plot(data["inverse"], data[f"exponent {number}"], "o", color=colour)
        axis.plot([], [], "o", color=colour, label=f"$n={number}$")
    axis.text(0.52, 0.75, "at $T=1$", fontsize=8, color="0.4")
    axis.text(0.75, 0.44, r"at $T=\infty$", fontsize=8, color="0.4")
    axis.text(0.3, 0.585, "$c(T)$", ha="right")
    axis.legend(loc="lower left")
    axis.set_xlim(-0.01, 1.01)
    axis.set_ylim(0, 0.8)
    axis.set_xlabel("$1/T$")
    axis.set_ylabel(r"$\ln\mathbb{E}[\tau]\,/\,n$")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    action = float(metastability.metastability(2.0))
    return {
        "actionTwo": f"{action:.4f}",
        "actionDouble": f"{np.log(10) / action:.1f}",
        "actionSamples": str(NUM_SAMPLES[-1]),
    }


if __name__ == "__main__":
    press.publish("action")
