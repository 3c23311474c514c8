"""The chance that a verified model learns the wrong answer for ever, against its right samples.

Of n accepted samples a generation k are right at first; r is how much more often the verifier
accepts a right sample. Dots: the exact chain. Lines: the branching process of many samples, (1 -
rho) to the power k. Dashed: the weak form, r to the power -2k, which is too pessimistic.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint.laws import verifier
from paper import press

FAST = {"num_samples": 100}

RATIOS = (1.2, 1.5, 2.0, 3.0)
COLOURS = {1.2: "#e76300", 1.5: "#832db6", 2.0: "#3f90da", 3.0: "#444444"}
MOST = 14


def compute(num_samples: int = 400) -> dict[str, Any]:
    right = np.arange(MOST + 1)
    data: dict[str, Any] = {"right": right, "samples": num_samples}
    for ratio in RATIOS:
        loop = fp.Loop(corpus=fp.Curated(np.array([ratio, 1.0]), fp.Fresh(num_samples)))
        decided = fp.chain.absorption(fp.chain.from_loop(loop))
        data[f"exact {ratio}"] = decided.probability[right, 0]
        data[f"strong {ratio}"] = np.asarray(verifier.lock_in_strong(right, ratio))
        data[f"weak {ratio}"] = ratio ** (-2.0 * right)
    return data


def check(data: Mapping[str, Any]) -> None:
    right, n = data["right"], data["samples"]
    for ratio in RATIOS:
        exact, strong = np.log(data[f"exact {ratio}"][1:]), np.log(data[f"strong {ratio}"][1:])
        # The first correction grows like k²/n: right answers get in each other's way.
        few = right[1:] ** 2 < n / 20
        assert np.abs(exact / strong - 1)[few].max() < 0.02, f"not the branching law at {ratio}"
        assert np.all(exact < np.log(data[f"weak {ratio}"][1:])), "the weak form must be too high"
    last = data["weak 3.0"][MOST] / data["exact 3.0"][MOST]
    assert last > 100, "for strong verifiers the weak form must be far off"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axis = plt.subplots(figsize=(press.TEXT_WIDTH, 2.7))
    right = data["right"]
    for ratio, colour in COLOURS.items():
        axis.semilogy(right, data[f"strong {ratio}"], color=colour, linewidth=1)
        axis.plot(right, data[f"weak {ratio}"], "--", color=colour, linewidth=0.8)
        axis.plot(right, data[f"exact {ratio}"], "o", color=colour)
        axis.annotate(
            f"$r={ratio:g}$",
            (right[-1], data[f"exact {ratio}"][-1]),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            annotation_clip=False,
        )
    axis.set_xlim(0, MOST + 0.2)
    axis.set_ylim(1e-18, 2)
    axis.set_xlabel("right samples $k$ at first")
    axis.set_ylabel("chance of the wrong answer for ever")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "lockSamples": str(data["samples"]),
        "lockOne": f"{100 * data['exact 2.0'][1]:.0f}",
        "lockFive": f"{100 * data['exact 2.0'][5]:.2g}",
        "lockWeak": f"{100 * data['weak 2.0'][1]:.0f}",
    }


if __name__ == "__main__":
    press.publish("lock_in")
