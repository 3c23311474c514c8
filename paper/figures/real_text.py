"""Twenty generations of self-training on real text, at T = 0.9, 1 and 1.1.

Columns: the characters and the words of Shakespeare's plays, and the next word after "not to" in a
trigram model. Top: probability against rank after 0, 5, 10 and 20 generations. Bottom: the
effective number of outcomes, exp(entropy).
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

import fixedpoint as fp
from fixedpoint import simplex
from fixedpoint.inputs import character_counts, word_counts
from fixedpoint.laws import tempering
from paper import data as texts
from paper import press

FAST = {"num_generations": 20, "num_characters": 200_000}

HISTORY = "not to"
TEMPERATURES = (0.9, 1.0, 1.1)
SHOWN = (0, 5, 10, 20)


def distributions(num_characters: int | None = None) -> dict[str, np.ndarray]:
    """Logits of the three real distributions, the most probable outcome first, none lost."""
    text = texts.shakespeare()[:num_characters]
    next_word = texts.next_word_distribution(HISTORY)
    return {
        "characters": np.log(character_counts(text).counts),
        "words": np.log(word_counts(text).counts),
        "next word": np.sort(next_word[np.isfinite(next_word)])[::-1],
    }


def compute(num_generations: int = 20, num_characters: int | None = None) -> dict[str, Any]:
    data: dict[str, Any] = {"generation": np.arange(num_generations + 1)}
    for name, logits0 in distributions(num_characters).items():
        logits0 = jnp.asarray(logits0)
        data[f"{name}: rank"] = ranks(logits0.size)
        for temperature in TEMPERATURES:
            loop = fp.Loop(sampler=fp.Temperature(temperature))
            observe = {"entropy": simplex.entropy, "mode": simplex.mode_probability}
            runs = fp.run(loop, logits0, num_generations, observe=observe, progress=False)
            law = tempering.logits(logits0, temperature, num_generations)
            data[f"{name}: entropy {temperature}"] = np.asarray(runs.value["entropy"])
            data[f"{name}: mode {temperature}"] = np.asarray(runs.value["mode"])
            data[f"{name}: law of entropy {temperature}"] = float(simplex.entropy(law))
            shown = fp.run(
                loop,
                logits0,
                num_generations,
                observe=simplex.log_probabilities,
                save_at=[n for n in SHOWN if n <= num_generations],
                progress=False,
            )
            data[f"{name}: log-probability {temperature}"] = np.asarray(
                shown.value[:, data[f"{name}: rank"] - 1]
            )
        data[f"{name}: outcomes"] = logits0.size
    return data


def ranks(num_outcomes: int, most: int = 160) -> np.ndarray:
    """Log-spaced ranks, enough for a smooth line."""
    return np.unique(np.geomspace(1, num_outcomes, most).round().astype(int))


def check(data: Mapping[str, Any]) -> None:
    for name in ("characters", "words", "next word"):
        most = np.log(data[f"{name}: outcomes"])
        for temperature in TEMPERATURES:
            entropy = data[f"{name}: entropy {temperature}"]
            gap = abs(entropy[-1] - data[f"{name}: law of entropy {temperature}"])
            assert gap < 1e-10, f"{name}: the loop departs from the law at T = {temperature}"
        assert np.ptp(data[f"{name}: entropy 1.0"]) < 1e-9, f"{name}: T = 1 must change nothing"
        assert np.all(np.diff(data[f"{name}: entropy 0.9"]) < 0)
        assert data[f"{name}: entropy 1.1"][-1] > 0.95 * most, f"{name}: T = 1.1 must flatten"
    assert data["characters: mode 0.9"][-1] > 0.9, "the blank must take nearly everything"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axes = plt.subplots(2, 3, figsize=(press.TEXT_WIDTH, 3.9), height_ratios=(1.25, 1))
    titles = {
        "characters": f"characters ($K={data['characters: outcomes']}$)",
        "words": f"words ($K={data['words: outcomes']:,}$)".replace(",", "{,}"),
        "next word": f"next word ($K={data['next word: outcomes']:,}$)".replace(",", "{,}"),
    }
    for (name, title), top, bottom in zip(titles.items(), axes[0], axes[1], strict=True):
        for temperature in (0.9, 1.1):
            curves = data[f"{name}: log-probability {temperature}"]
            for generation, curve in list(zip(SHOWN, curves, strict=False))[1:]:
                top.loglog(
                    data[f"{name}: rank"],
                    np.exp(np.maximum(curve, -300)),
                    color=press.shade(0.8 if temperature < 1 else 1.25),
                    alpha=0.3 + 0.7 * generation / SHOWN[-1],
                    linewidth=0.7 + 0.6 * generation / SHOWN[-1],
                )
        curve = data[f"{name}: log-probability 1.0"][0]
        top.loglog(data[f"{name}: rank"], np.exp(curve), color=press.NEUTRAL, linewidth=1.4)
        top.set_ylim(1e-14, 3)
        top.set_title(title)
        top.set_xlabel("rank")
        for temperature in TEMPERATURES:
            bottom.semilogy(
                data["generation"],
                np.exp(data[f"{name}: entropy {temperature}"]),
                "o-",
                markersize=2,
                linewidth=0.9,
                color=press.shade({0.9: 0.8, 1.0: 1.0, 1.1: 1.25}[temperature]),
                label=f"$T={temperature:g}$",
            )
        bottom.axhline(data[f"{name}: outcomes"], color="0.7", linewidth=0.6, linestyle=":")
        bottom.set_ylim(0.8, 2.5 * data[f"{name}: outcomes"])
        bottom.set_xlabel("generation")
        bottom.set_xticks((0, 5, 10, 15, 20))
    axes[0, 0].set_ylabel("probability")
    axes[1, 0].set_ylabel("effective number")
    axes[1, 1].legend(loc="center right", bbox_to_anchor=(1.0, 0.42), labelspacing=0.3)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    printed = {"textHistory": HISTORY}
    for name, word in {
        "characters": "Characters",
        "words": "Words",
        "next word": "Next",
    }.items():
        printed[f"textNum{word}"] = f"{data[f'{name}: outcomes']:,}".replace(",", "{,}")
        for temperature, kind in {0.9: "Cold", 1.0: "Start", 1.1: "Hot"}.items():
            effective = np.exp(data[f"{name}: entropy {temperature}"][-1])
            printed[f"text{word}{kind}"] = rounded(effective)
        printed[f"text{word}Mode"] = f"{data[f'{name}: mode 0.9'][-1]:.3f}"
    return printed


def rounded(value: float) -> str:
    """Three significant digits, with separated thousands."""
    digits = max(0, 2 - int(np.floor(np.log10(value))))
    return f"{round(value, digits if value < 100 else 0):,.{digits}f}".replace(",", "{,}")


if __name__ == "__main__":
    press.publish("real_text")
