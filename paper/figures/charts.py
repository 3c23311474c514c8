"""Two charts of one rule: the same step on probabilities and on logits, at T = 1, one sample each.

Both start at even odds with the same step size. In probabilities each run freezes at an outcome;
in logits it swings for ever, more and more slowly.
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
from fixedpoint.laws import survival, traces
from fixedpoint.loop.vertex import run_events
from paper import press

FAST = {"num_replicates": 16}

STEP_SIZE = 0.4
LEVEL = 0.1
"""A switch is complete when the other outcome has a probability above 1 minus this."""

DECADES = 30
"""The runs on logits are followed up to generation 10 to this power ..."""

SHOWN = 6
"""... and drawn up to this."""

COLOURS = ("#3f90da", "#e76300", "#832db6")
"""One for each of the runs that are drawn."""


def compute(num_generations: int = 1000, num_replicates: int = 64) -> dict[str, Any]:
    logits0 = jnp.zeros(2)
    saved = np.arange(num_generations + 1)
    mixture = fp.run(
        fp.Loop(corpus=fp.Fresh(1), learner=fp.MixtureStep(STEP_SIZE)),
        logits0,
        num_generations,
        key=jax.random.key(5),
        num_replicates=num_replicates,
        progress=False,
    )
    decades = np.append(np.linspace(0, SHOWN, 120 * SHOWN + 1), np.arange(SHOWN, DECADES) + 1)
    softmax = run_events(
        fp.Loop(corpus=fp.Fresh(1), learner=fp.GradientSteps(STEP_SIZE)),
        logits0,
        decades * np.log(10),
        key=jax.random.key(5),
        num_replicates=num_replicates,
        observe=lambda logits: logits[0] - logits[1],
        level=LEVEL,
    )
    gap = np.asarray(softmax.value)
    heterozygosity = np.asarray(simplex.heterozygosity(mixture.value)).mean(1)
    return {
        "mixture generation": saved,
        "mixture gap": np.asarray(mixture.value[..., 0] - mixture.value[..., 1]),
        "mixture heterozygosity": heterozygosity,
        "law": np.array([traces.two_charts(logits0, STEP_SIZE, 1, int(n)) for n in saved]),
        "softmax decade": decades,
        "softmax gap": gap,
        "switches": np.asarray(softmax.num_switches),
        # In units of the diffusion's time (step size)² n, which is 1 when it begins to switch.
        "switches by the law": np.asarray(
            survival.switches(LEVEL, (np.log(10) * decades + 2 * np.log(STEP_SIZE)).clip(0))
        ),
    }


def check(data: Mapping[str, Any]) -> None:
    num_replicates = len(data["switches"][0])
    gap = data["mixture heterozygosity"] - data["law"]
    # 1 − Σp² is in [0, 1/2], so its standard deviation is at most 1/4.
    assert np.abs(gap).max() < 4.5 / 4 / np.sqrt(num_replicates), "probabilities: not the law"
    # The chance that anything but the winner is drawn later is about e^−gap / step size.
    assert np.abs(data["mixture gap"][-1]).min() > 100, "in probabilities every run must freeze"
    late = data["softmax decade"] > DECADES / 2
    switches = data["switches"][-1] - data["switches"][~late][-1]
    assert np.count_nonzero(switches) > num_replicates / 4, "in logits runs must keep switching"
    assert data["switches"][-1].min() < data["switches"][-1].max() / 4, "each at its own pace"


def typical_to_restless(switches: np.ndarray) -> np.ndarray:
    """The runs at the median and the upper quartile of the switches, and the one with most."""
    order = np.argsort(switches, kind="stable")
    return order[[len(order) // 2, 3 * len(order) // 4, -1]]


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    shown = data["softmax decade"] == SHOWN
    runs = typical_to_restless(data["switches"][shown][0])
    figure = plt.figure(figsize=(press.TEXT_WIDTH, 2.4))
    grid = figure.add_gridspec(len(COLOURS), 3, width_ratios=(1, 1.9, 1.15))
    with np.errstate(over="ignore"):
        mixture, softmax = (1 / (1 + np.exp(-data[f"{c} gap"])) for c in ("mixture", "softmax"))
    for row, (run, colour) in enumerate(zip(runs, COLOURS, strict=True)):
        left, middle = (figure.add_subplot(grid[row, column]) for column in (0, 1))
        left.semilogx(data["mixture generation"], mixture[:, run], color=colour, linewidth=1)
        middle.plot(data["softmax decade"], softmax[:, run], color=colour, linewidth=0.9)
        for axis in (left, middle):
            axis.set_ylim(-0.06, 1.06)
            axis.set_yticks((0, 1))
        left.set_xlim(1, data["mixture generation"][-1])
        middle.set_xlim(0, SHOWN)
        ticks = range(0, SHOWN + 1, 2)
        middle.set_xticks(ticks, [f"$10^{n}$" for n in ticks])
        if row == 0:
            left.set_title("on probabilities")
            middle.set_title("on logits")
        if row == 1:
            left.set_ylabel("$p_1$ of three runs")
        last = row == len(COLOURS) - 1
        for axis in (left, middle):
            axis.set_xlabel("generation" if last else "")
            axis.tick_params(labelbottom=last)

    right = figure.add_subplot(grid[:, 2])
    decade, switches = data["softmax decade"], data["switches"]
    mean, error = switches.mean(1), switches.std(1) / np.sqrt(switches.shape[1])
    right.fill_between(decade, mean - 2 * error, mean + 2 * error, color="0.85", linewidth=0)
    right.plot(decade, mean, color=press.NEUTRAL, linewidth=1)
    right.plot(decade, data["switches by the law"], color="0.4", linewidth=0.9, linestyle="--")
    right.set_title("switches so far")
    ticks = range(0, DECADES + 1, 10)
    right.set_xticks(ticks, [f"$10^{{{n}}}$" for n in ticks])
    right.set_xlim(0, DECADES)
    right.set_ylim(0, None)
    right.set_xlabel("generation")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    switches = data["switches"][-1]
    return {
        "chartsStep": f"{STEP_SIZE:g}",
        "chartsDecades": str(DECADES),
        "chartsRuns": str(len(switches)),
        "chartsFewest": str(switches.min()),
        "chartsMean": f"{switches.mean():.0f}",
        "chartsMost": str(switches.max()),
    }


if __name__ == "__main__":
    press.publish("charts")
