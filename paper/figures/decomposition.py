"""Sharpening against losing modes: the exact split of KL(p_n || p_0) over the generations.

The words of Shakespeare's plays under five rules of retraining. Blue: what raising the temperature
undoes; red: probability of words that are lost for ever; grey: any other reshaping.
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
from fixedpoint.inputs import word_counts
from paper import data as texts
from paper import press

FAST = {"num_generations": 3, "num_characters": 100_000}

PARTS = ("lost_modes", "temperature", "rest")
COLOURS = (press.HOT, press.COLD, "#b9b9b9")


def rules(probabilities: jax.Array) -> dict[str, fp.Loop]:
    """The five loops by the titles of their panels."""
    return {
        "$T=0.9$": fp.Loop(sampler=fp.Temperature(0.9)),
        "nucleus 0.9": fp.Loop(sampler=fp.Nucleus(0.9)),
        "top 50": fp.Loop(sampler=fp.TopK(50)),
        "min-$p$ 0.01, $T=0.9$": fp.Loop(sampler=(fp.MinP(0.01), fp.Temperature(0.9))),
        "$T=0.9$, 5% real": fp.Loop(
            sampler=fp.Temperature(0.9), corpus=fp.Mixed(real=probabilities, fraction=0.05)
        ),
    }


def compute(num_generations: int = 20, num_characters: int | None = None) -> dict[str, Any]:
    counts = jnp.asarray(word_counts(texts.shakespeare()[:num_characters]).counts, float)
    logits0 = jnp.log(counts)

    split, divergence = jax.jit(simplex.decomposition), jax.jit(simplex.kl_divergence)
    data: dict[str, Any] = {"generation": np.arange(num_generations + 1)}
    for title, loop in rules(counts / counts.sum()).items():
        runs = fp.run(loop, logits0, num_generations, progress=False)
        for name, values in split(runs.value, logits0)._asdict().items():
            data[f"{title}: {name}"] = np.asarray(values)
        data[f"{title}: divergence"] = np.asarray(divergence(runs.value, logits0))
        data[f"{title}: surviving"] = np.asarray(simplex.num_surviving(runs.value))
    data["titles"] = [name.partition(": ")[0] for name in data if name.endswith(": divergence")]
    data["largest"] = -float(simplex.log_probabilities(logits0).max())
    return data


def check(data: Mapping[str, Any]) -> None:
    for title in data["titles"]:
        whole = sum(data[f"{title}: {part}"] for part in PARTS)
        gap = np.abs(whole - data[f"{title}: divergence"])
        assert gap.max() < 1e-9, f"{title}: the three parts do not add up"
    tempered, nucleus, top, truncated, mixed = (
        {part: data[f"{title}: {part}"][-1] for part in PARTS} for title in data["titles"]
    )
    assert tempered["lost_modes"] == 0, "temperature loses no word"
    assert abs(tempered["rest"]) < 1e-9
    assert tempered["temperature"] > 0, "and is undone by temperature alone"
    for truncation in (nucleus, top):
        assert truncation["lost_modes"] > 0
        assert abs(truncation["temperature"]) + abs(truncation["rest"]) < 1e-9
    assert np.ptp(data[f"{data['titles'][2]}: lost_modes"][1:]) < 1e-9, "top-k acts once"
    assert truncated["lost_modes"] > 0
    assert truncated["temperature"] > 0
    assert mixed["lost_modes"] == 0, "real data keep every word"
    assert mixed["rest"] > 0


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axes = plt.subplots(1, 5, figsize=(press.TEXT_WIDTH, 1.95), sharey=True)
    labels = ("lost modes", "temperature", "rest")
    for axis, title in zip(axes, data["titles"], strict=True):
        parts = [np.maximum(data[f"{title}: {part}"], 0) for part in PARTS]
        axis.stackplot(data["generation"], parts, colors=COLOURS, labels=labels, linewidth=0)
        axis.axhline(data["largest"], color="0.6", linewidth=0.6, linestyle=":")
        axis.set_title(title, fontsize=8)
        axis.set_xlabel("generation")
        axis.set_xticks((0, 10, 20))
        axis.set_xlim(0, data["generation"][-1])
    axes[0].set_ylim(0, 1.12 * data["largest"])
    axes[0].set_ylabel("KL from the start (nats)")
    axes[2].legend(loc="upper left", bbox_to_anchor=(0.0, 0.92), handlelength=1)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    titles = data["titles"]
    nucleus = data[f"{titles[1]}: surviving"]
    return {
        "partsGenerations": str(data["generation"][-1]),
        "partsNucleusLeft": str(int(nucleus[-1])),
        "partsTopLost": f"{data[f'{titles[2]}: lost_modes'][-1]:.3f}",
        "partsMinLost": f"{data[f'{titles[3]}: lost_modes'][-1]:.3f}",
        "partsMixedTemperature": f"{data[f'{titles[4]}: recovery_temperature'][-1]:.2f}",
        "partsMixedRest": f"{data[f'{titles[4]}: rest'][-1]:.3f}",
        "partsLargest": f"{data['largest']:.2f}",
    }


if __name__ == "__main__":
    press.publish("decomposition")
