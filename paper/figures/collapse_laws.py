"""How fast a model collapses at T = 1/2, for every way of training between two generations.

Left: probability off the mode against the generation or the training time, simulated (dots), with
the registered laws (lines). Right: training for a finite time per generation, against the
generation. A model that goes on from its last state (dots) leaves the double exponential for 1/n; a
lineage, always trained from the initial state (circles), comes to rest. Dashed: the law for many
generations.
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
from fixedpoint.laws import flow, geometry, online, tempering
from paper import press

FAST = {"num_generations": 300, "num_accumulated": 3000, "num_points": 16}

PROBABILITIES = (0.5, 0.3, 0.2)
TEMPERATURE = 0.5
TRAINING_TIMES = (1.0, 10.0, 100.0, 1000.0)
LAST_TIME = 1e5
NUM_REFITS = 7
COLOURS = {
    "refit": "black",
    "mixture": "#0b6fb8",
    "online": "#bd1f01",
    "frozen": "#832db6",
    "accumulated": "#8a6d00",
}
SHADES = ("#d3b6e6", "#b27fd1", "#832db6", "#4b1069")


def compute(
    num_generations: int = 1000, num_accumulated: int = 30_000, num_points: int = 32
) -> dict[str, Any]:
    logits0 = simplex.logits(jnp.array(PROBABILITIES))
    tail = simplex.tail_probability
    tempered = fp.Temperature(TEMPERATURE)

    def lost(loop: fp.Loop, generations: np.ndarray, start: jax.Array = logits0) -> np.ndarray:
        runs = fp.run(
            loop, start, int(generations[-1]), observe=tail, save_at=generations, progress=False
        )
        return np.asarray(runs.value)

    refits = np.arange(NUM_REFITS + 1)
    generations = np.unique(np.geomspace(1, num_generations, num_points).round().astype(int))
    accumulated = np.unique(np.geomspace(1, num_accumulated, num_points).round().astype(int))
    times = np.geomspace(0.1, LAST_TIME, num_points)
    early = np.linspace(0.5, 18, num_points)
    own = fp.Loop(sampler=tempered)
    mixture = fp.Loop(sampler=tempered, learner=fp.MixtureStep(step_size=1.0))
    refit_law = jnp.stack([tempering.logits(logits0, TEMPERATURE, int(n)) for n in refits])
    data = {
        "start": float(tail(logits0)),
        "refit: x": refits,
        "refit": lost(own, refits),
        "law of refit": np.asarray(tail(refit_law)),
        "online: x": times,
        "online": np.asarray(fp.flow(own, logits0, times, observe=tail).value),
        "law of online": np.asarray(online.collapse_tail(3, times)),
        "mixture: x": early,
        "mixture": np.asarray(fp.flow(mixture, logits0, early, observe=tail).value),
        "law of mixture": np.asarray(tail(geometry.mixture_online(logits0, TEMPERATURE, early))),
        "accumulated: x": accumulated,
        "accumulated": lost(
            fp.Loop(sampler=tempered, corpus=fp.Accumulated(fp.Exact())), accumulated
        ),
        "frozen: x": generations,
    }
    for start, name in (("last", "frozen"), ("initial", "lineage")):

        @jax.vmap
        def finite(time: jax.Array, start: Any = start) -> jax.Array:
            loop = fp.Loop(sampler=tempered, learner=fp.GradientFlow(time=time, start=start))
            runs = fp.run(
                loop, logits0, num_generations, observe=tail, save_at=generations, progress=False
            )
            return runs.value

        for time, values in zip(TRAINING_TIMES, finite(jnp.array(TRAINING_TIMES)), strict=True):
            data[f"{name} {time:g}"] = np.asarray(values)
            data[f"law of frozen {time:g}"] = np.asarray(flow.finite_training(3, time, generations))
    return data


def check(data: Mapping[str, Any]) -> None:
    for name in ("refit", "mixture"):
        gap = np.abs(data[name] / data[f"law of {name}"] - 1).max()
        assert gap < 1e-6, f"{name}: the process departs from the law by {gap:.1e}"
    assert abs(data["online"][-1] / data["law of online"][-1] - 1) < 1e-3, "online is (K-1)/(Kt)"
    x, y = np.log(data["accumulated: x"]), np.log(data["accumulated"])
    assert abs((y[-1] - y[-4]) / (x[-1] - x[-4]) + 1) < 0.02, "accumulation collapses as 1/n"
    generations = data["frozen: x"]
    for time in TRAINING_TIMES:
        tuned, lineage = data[f"frozen {time:g}"], data[f"lineage {time:g}"]
        last = abs(tuned[-1] / data[f"law of frozen {time:g}"][-1] - 1)
        assert last < 0.03, f"training for {time:g} must end as 1/n; it is off by {last:.1e}"
        assert np.ptp(lineage[-4:]) < 1e-6 * lineage[-1], "a lineage must come to rest"
        assert np.all(tuned >= 1 / (1 / data["start"] + 2 * time * generations))
        assert np.all(lineage >= 1 / (1 / data["start"] + 2 * time)), "nothing beats the bound"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(1, 2, figsize=(press.TEXT_WIDTH, 2.45), sharey=True)
    for name in ("refit", "mixture", "online"):
        x, colour = data[f"{name}: x"], COLOURS[name]
        first = 1 if name != "online" else int(np.searchsorted(x, 3))
        left.loglog(x[first:], data[f"law of {name}"][first:], color=colour, linewidth=0.9)
        left.loglog(x[data[name] < 1], data[name], "o", color=colour, markersize=2.6)
    left.loglog(
        data["frozen: x"] * 10.0, data["frozen 10"], "s", color=COLOURS["frozen"], markersize=2.6
    )
    left.loglog(
        data["accumulated: x"],
        data["accumulated"],
        "^",
        color=COLOURS["accumulated"],
        markersize=2.8,
    )
    left.set_xlabel("generation, or training time (rate × steps)")
    left.set_ylabel("probability off the mode")
    left.set_ylim(1e-8, 1)
    left.set_xlim(0.3, 2e5)
    for x, y, text, name in (
        (0.6, 1e-5, "refits", "refit"),
        (20, 1.5e-7, "mixture flow", "mixture"),
        (150, 4e-2, "accumulated data", "accumulated"),
        (20, 1.2e-4, "own teacher", "online"),
        (20, 7e-6, "teacher renewed\nevery $\\tau=10$", "frozen"),
    ):
        left.text(x, y, text, color=COLOURS[name], fontsize=8.5)

    generations = data["frozen: x"]
    for time, shade in zip(TRAINING_TIMES, SHADES, strict=True):
        right.loglog(
            generations,
            data[f"frozen {time:g}"],
            "o-",
            color=shade,
            markersize=2.6,
            label=rf"$\tau={time:g}$",
        )
        right.loglog(generations, data[f"lineage {time:g}"], "o", color=shade, mfc="white")
        right.loglog(generations, data[f"law of frozen {time:g}"], "--", color=shade, linewidth=0.7)
    black = {"color": "black", "markersize": 2.6, "label": r"refits"}
    right.loglog(data["refit: x"][1:], data["refit"][1:], "o-", **black)
    right.legend(loc="lower right", ncols=3, columnspacing=0.9, handlelength=1.1)
    right.set_xlabel("generation")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "collapseRefits": str(data["refit: x"][-1]),
        "collapseRefit": f"10^{{{np.log10(data['refit'][-1]):.0f}}}",
        "collapseAccumulated": f"{data['accumulated'][-1] * data['accumulated: x'][-1]:.2f}",
        "collapseLineageOne": f"{data['lineage 1'][-1]:.3f}",
        "collapseLineageHundred": f"{data['lineage 100'][-1]:.4f}",
        "collapseStart": f"{data['start']:.1f}",
    }


if __name__ == "__main__":
    press.publish("collapse_laws")
