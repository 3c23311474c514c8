"""What is kept of the diversity if a model is refitted to the last data alone, to some, or to all.

Left: the share of 1 − Σp² that is kept for ever if all data are kept, against the samples of a
generation. Right: its mean, generation by generation, with the last 1, 2, 4 or all corpora kept.
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
from fixedpoint.laws import accumulation
from paper import press

FAST = {"num_replicates": 400}

SAMPLES = (1, 2, 4, 9, 25)
FEW = 10
"""Samples of a generation on the right."""
WINDOWS = (1, 2, 4, None)
COLOURS = {1: "#3f90da", 2: "#832db6", 4: "#e76300", None: "#444444"}
LAST = 100


def compute(num_replicates: int = 1200) -> dict[str, Any]:
    start = jnp.log(jnp.array([0.5, 0.3, 0.2]))
    whole = float(simplex.heterozygosity(start))

    def kept(corpus: Any, key: int) -> np.ndarray:
        runs = fp.run(
            fp.Loop(corpus=corpus),
            start,
            LAST,
            key=jax.random.key(key),
            num_replicates=num_replicates,
            observe=simplex.heterozygosity,
            progress=False,
        )
        return np.asarray(runs.value).mean(1) / whole

    every = np.arange(1, 101)
    data: dict[str, Any] = {
        "replicates": num_replicates,
        "generation": np.arange(LAST + 1),
        "every": every,
        "law": np.asarray(accumulation.product(start, every, 10**12)) / whole,
    }
    found = {n: kept(fp.Accumulated(fp.Fresh(n), initial_samples=n), n) for n in SAMPLES}
    data["simulated"] = np.array([found[n][-1] for n in SAMPLES])
    at_last = [float(accumulation.product(start, n, LAST)) / whole for n in SAMPLES]
    data["law at last"] = np.array(at_last)
    for window in WINDOWS:
        corpus = fp.Accumulated(fp.Fresh(FEW), initial_samples=FEW, window=window)
        data[f"window {window}"] = kept(corpus, 100)
    every = data["generation"]
    data["law None"] = np.asarray(accumulation.product(start, FEW, every)) / whole
    for window in WINDOWS[:-1]:
        data[f"rate {window}"] = float(accumulation.window(FEW, window))
    return data


def check(data: Mapping[str, Any]) -> None:
    # 1 − Σp² is in [0, 2/3], and 0.62 at first: its deviation is at most 0.54 of that.
    error = 0.54 / np.sqrt(data["replicates"])
    assert np.abs(data["simulated"] - data["law at last"]).max() < 4.5 * error, "not Euler's sine"
    assert np.abs(data["window None"] - data["law None"]).max() < 4.5 * error, "not the product"
    for window in WINDOWS[:-1]:
        mean, rate = data[f"window {window}"], data[f"rate {window}"]
        lost = np.log(mean[4 * window] / mean[40]) / (40 - 4 * window)
        assert abs(lost / rate - 1) < 0.2, f"a window of {window} loses at another rate"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(1, 2, figsize=(press.TEXT_WIDTH, 2.2))
    left.semilogx(data["every"], data["law"], color=press.NEUTRAL, linewidth=1)
    left.plot(SAMPLES, data["simulated"], "o", color=press.NEUTRAL, markersize=3.5)
    left.set_xlabel("samples $n$ of a generation")
    left.set_ylabel(r"share of $1-|p|^2$ kept for ever")
    left.set_ylim(0, 1)
    for window in WINDOWS:
        colour, mean = COLOURS[window], data[f"window {window}"]
        right.plot(data["generation"], mean, color=colour, linewidth=1)
        if window is None:
            right.plot(data["generation"], data["law None"], "--", color="0.6", linewidth=0.9)
        else:
            shown = data["generation"][4 * window :]
            law = mean[4 * window] * np.exp(-data[f"rate {window}"] * (shown - shown[0]))
            right.plot(shown, law, "--", color=colour, linewidth=0.8)
        name = "all" if window is None else f"last {window}" if window > 1 else "last alone"
        place = {1: (2, 0.06), 2: (26, 0.36), 4: (40, 0.6), None: (55, 0.9)}[window]
        right.text(*place, name, color=colour, fontsize=8.5)
    right.set_xlabel("generation")
    right.set_ylabel("mean of $1-|p|^2$, of its start")
    right.set_xlim(0, LAST)
    right.set_ylim(0, 1)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "accumulatedSamples": str(FEW),
        "accumulatedRuns": f"{data['replicates']:,}".replace(",", "{,}"),
    }


if __name__ == "__main__":
    press.publish("accumulated")
