"""Losers diverge under refits and become equal when the model is its own teacher.

Five outcomes at T = 1/2. Left: logits below the mode's over the generations of a refit; every
difference doubles. Middle: the same under the online flow, over time. Right: the gap between the
first and the last loser, simulated (dots) and in closed form: T^-n for refits (line), and with the
slope -1/K in the end for the online flow (dashed).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.laws import online, tempering
from paper import press

FAST = {"num_times": 25}

PROBABILITIES = (0.3, 0.26, 0.2, 0.14, 0.1)
TEMPERATURE = 0.5
NUM_GENERATIONS = 7
LAST_TIME = 1e6


def compute(num_times: int = 49) -> dict[str, Any]:
    logits0 = simplex.logits(jnp.array(PROBABILITIES))
    loop = fp.Loop(sampler=fp.Temperature(TEMPERATURE))
    refits = fp.run(loop, logits0, NUM_GENERATIONS, progress=False)
    times = np.geomspace(1e-1, LAST_TIME, num_times)
    moving = fp.flow(loop, logits0, times)
    law = [tempering.logits(logits0, TEMPERATURE, n) for n in range(NUM_GENERATIONS + 1)]
    num_outcomes = len(PROBABILITIES)
    return {
        "generation": np.asarray(refits.generation),
        "refit": below_the_mode(refits.value),
        "law of refit": below_the_mode(np.asarray(law)),
        "time": times,
        "online": below_the_mode(moving.value),
        "tail": np.asarray(simplex.tail_probability(moving.value)),
        "law of tail": np.asarray(online.collapse_tail(num_outcomes, times)),
        "exponent": float(online.losers_equalise(num_outcomes)),
    }


def below_the_mode(logits: Any) -> np.ndarray:
    """Logits of the losers, the mode's subtracted."""
    logits = np.asarray(logits)
    return logits[..., 1:] - logits[..., :1]


def gap(below: np.ndarray) -> np.ndarray:
    """Between the first and the last loser."""
    return below[:, 0] - below[:, -1]


def check(data: Mapping[str, Any]) -> None:
    distance = np.abs(data["refit"] - data["law of refit"]).max()
    assert distance < 1e-9, "the loop departs from the law of refits"
    assert np.all(np.diff(gap(data["refit"])) > 0), "refits drive the losers apart"
    late = data["time"] > 1e4
    apart = gap(data["online"])
    slope = np.polyfit(np.log(data["time"][late]), np.log(apart[late]), 1)[0]
    assert abs(slope + data["exponent"]) < 0.003, "the losers must become equal as t^(-1/K)"
    assert abs(data["tail"][-1] / data["law of tail"][-1] - 1) < 1e-3
    assert np.all(np.diff(data["online"][late], axis=0) < 0), "while all fall below the mode"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(press.TEXT_WIDTH, 2.2))
    generation, time = data["generation"], data["time"]
    for loser, shade in enumerate(("#10406b", "#2f78b7", "#7fbbe9", "#b5d9f2")):
        look = {"color": shade, "linewidth": 1.3}
        left.plot(generation, data["refit"][:, loser], "o-", **look, markersize=2.8)
        middle.semilogx(time, data["online"][:, loser], **look, label=f"outcome {loser + 2}")
    left.set_title("refits: apart")
    left.set_xlabel("generation")
    left.set_ylabel("logit below the mode's (nats)")
    middle.set_title("own teacher: together")
    middle.set_xlabel("time (rate × steps)")
    middle.set_ylim(None, 0.5)
    middle.legend(loc="lower left", handlelength=1.2)
    apart = gap(data["online"])
    right.loglog(time, apart, "o", color=press.HOT, markersize=2.2)
    late = time > 100
    guide = 0.55 * apart[-1] * (time / time[-1]) ** -data["exponent"]
    right.loglog(time[late], guide[late], "--", color=press.HOT, linewidth=0.9)
    right.loglog(generation[1:], gap(data["refit"])[1:], "o", color="black", markersize=3)
    right.loglog(generation[1:], gap(data["law of refit"])[1:], color="black", linewidth=0.9)
    right.set_title("outcome 2 against outcome 5")
    right.set_xlabel("generation, or time")
    right.set_ylabel("gap (nats)")
    right.set_ylim(0.02, None)
    right.text(20, 50, "refits", fontsize=8.5)
    right.text(2e3, 0.55, "own teacher", fontsize=8.5, color=press.HOT)
    right.text(0.3, 0.09, r"slope $-1/K$", fontsize=8.5, color=press.HOT)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "losersGapStart": f"{gap(data['refit'])[0]:.2f}",
        "losersGapRefit": f"{gap(data['refit'])[-1]:.0f}",
        "losersGenerations": str(data["generation"][-1]),
        "losersGapOnline": f"{gap(data['online'])[-1]:.3f}",
    }


if __name__ == "__main__":
    press.publish("losers")
