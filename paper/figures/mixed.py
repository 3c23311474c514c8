"""How much real data a model needs at a temperature, and how it jumps when there is too little.

Left: the shares of uniform real data above which the uniform model is stable, above which it is
alone, and above which one fixed point is left whatever the real data. Right: the probability of the
mode at rest for 50,000 outcomes at T = 0.9, from the law, and where runs of the loop end.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import mixing
from paper import press

FAST = {"num_generations": 400, "num_shares": 3}

SIZES = {3: "#3f90da", 50_000: "#832db6"}
MANY = 50_000
TEMPERATURE = 0.9


def compute(num_generations: int = 1500, num_shares: int = 5) -> dict[str, Any]:
    temperatures = np.linspace(0.02, 0.995, 196)
    data: dict[str, Any] = {"temperature": temperatures}
    for size in SIZES:
        data[f"spinodal {size}"] = np.asarray(mixing.spinodal(1, size, temperatures))
        data[f"guarantee {size}"] = np.asarray(mixing.guarantee(size, temperatures))
    gaps = np.linspace(1e-3, 22, 4000)
    data["share"] = np.asarray(mixing.fraction(gaps, 1, MANY, TEMPERATURE))
    data["mode"] = 1 / (1 + (MANY - 1) * np.exp(-gaps))
    data["stable"] = np.asarray(mixing.approach(gaps, 1, MANY, TEMPERATURE)) < 1
    data["jump"] = float(mixing.spinodal(1, MANY, TEMPERATURE))
    shares = np.linspace(0.2, 0.8, num_shares)
    data["shares"] = shares
    real = jnp.full(MANY, 1 / MANY)
    start = jnp.where(jnp.arange(MANY) < 1, 20.0, 0.0)

    def ends(share: float) -> float:
        loop = fp.Loop(fp.Temperature(TEMPERATURE), fp.Mixed(real, share))
        runs = fp.run(
            loop,
            start,
            num_generations,
            observe=simplex.mode_probability,
            save_at=[num_generations],
            progress=False,
        )
        return float(runs.value[0])

    data["ends"] = np.array([ends(float(share)) for share in shares])
    return data


def check(data: Mapping[str, Any]) -> None:
    stable = data["stable"]
    order = np.argsort(data["share"][stable])
    law = np.interp(data["shares"], data["share"][stable][order], data["mode"][stable][order])
    expected = np.where(data["shares"] < data["jump"], law, 1 / MANY)
    assert np.allclose(data["ends"], expected, rtol=1e-3), "runs do not end where the law rests"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(1, 2, figsize=(press.TEXT_WIDTH, 2.3))
    heat = data["temperature"]
    left.plot(heat, 1 - heat, color=press.NEUTRAL, linewidth=1)
    left.text(0.2, 0.6, "$1-T$", color=press.NEUTRAL, fontsize=8.5, ha="right")
    for (size, colour), place in zip(SIZES.items(), ((0.57, 0.52), (0.72, 0.78)), strict=True):
        left.plot(heat, data[f"spinodal {size}"], color=colour, linewidth=1)
        left.plot(heat, data[f"guarantee {size}"], "--", color=colour, linewidth=0.9)
        name = f"$K = {size:,}$".replace(",", "{,}")
        left.text(*place, name, color=colour, fontsize=8.5, ha="left" if size == 3 else "right")
    left.set_xlim(0, 1)
    left.set_ylim(0, 1.02)
    left.set_xlabel("temperature $T$")
    left.set_ylabel("share of real data $a$")
    for chosen, style in ((data["stable"], "-"), (~data["stable"], ":")):
        right.semilogy(
            np.where(chosen, data["share"], np.nan),
            data["mode"],
            style,
            color=SIZES[MANY],
            linewidth=1,
        )
    for low, high, style in ((1 - TEMPERATURE, 1, "-"), (0, 1 - TEMPERATURE, ":")):
        right.plot([low, high], [1 / MANY] * 2, style, color=press.NEUTRAL, linewidth=1)
    right.plot(data["shares"], data["ends"], "o", color=press.NEUTRAL, markersize=3.5)
    right.set_xlim(0, 1)
    right.set_xlabel("share of real data $a$")
    right.set_ylabel("probability of the mode")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "mixedSpinodal": f"{data['jump']:.2f}",
        "mixedGuarantee": f"{float(mixing.guarantee(MANY, TEMPERATURE)):.2f}",
    }


if __name__ == "__main__":
    press.publish("mixed")
