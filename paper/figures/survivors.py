"""How many of the plays' words are left after generations of retraining on own samples.

A model of word frequencies is refitted to samples as numerous as the words of the plays. Line: the
exact mean. Dots: one simulation of each kind, with the share of real words in every corpus.
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
from fixedpoint.laws import fixation
from paper import data as texts
from paper import press

FAST = {"num_generations": 100, "num_replicates": 4, "num_characters": 200_000}

REAL = {0.01: 1000, 0.1: 100}
"""The shares of real words, and for how many generations each is followed."""
COLOURS = {0.01: "#e8920c", 0.1: "#2f8f4e"}


def generations(last: int, per_decade: int = 6) -> np.ndarray:
    """Log-spaced generations from 1 on."""
    number = round(per_decade * np.log10(last)) + 1
    return np.unique(np.geomspace(1, last, number).round().astype(int))


def compute(
    num_generations: int = 10_000, num_replicates: int = 4, num_characters: int | None = None
) -> dict[str, Any]:
    counts = np.array(word_counts(texts.shakespeare()[:num_characters]).counts)
    num_samples, logits0 = int(counts.sum()), jnp.log(jnp.asarray(counts, float))
    shown = generations(num_generations)
    runs = fp.run_resampling(
        fp.Loop(corpus=fp.Fresh(num_samples)),
        logits0,
        num_generations,
        key=jax.random.key(0),
        num_replicates=num_replicates,
        observe=simplex.num_surviving,
        save_at=shown.tolist(),
    )
    data: dict[str, Any] = {
        "words": counts.size,
        "samples": num_samples,
        "generation": shown,
        "law": np.asarray(fixation.survivors(logits0, num_samples, shown.tolist())),
        "alive": np.asarray(runs.value),
    }
    for share, last in REAL.items():
        last = min(last, num_generations)
        data[f"generation {share}"] = generations(last)
        data[f"alive {share}"] = mixed(counts / num_samples, num_samples, share, last)
    return data


def mixed(real: np.ndarray, num_samples: int, share: float, last: int) -> np.ndarray:
    """Words in the corpus where every sample is real with a given chance, else the model's own."""
    rng = np.random.default_rng(0)
    model, alive = real, []
    for generation in range(1, last + 1):
        model = rng.multinomial(num_samples, (1 - share) * model + share * real) / num_samples
        if generation in generations(last):
            alive.append(np.count_nonzero(model))
    return np.array(alive)


def check(data: Mapping[str, Any]) -> None:
    law, alive = data["law"], data["alive"]
    assert np.all(np.diff(law) < 0), "words are lost in every generation"
    # Losing one outcome makes losing others less likely: the variance is at most the mean.
    gap = abs(alive.mean(1) - law)
    assert np.all(gap < 5 * np.sqrt(law / alive.shape[1])), "simulation and exact mean disagree"
    for share in REAL:
        kept = data[f"alive {share}"]
        common = np.isin(data["generation"], data[f"generation {share}"])
        assert kept[-1] > 1.5 * law[common][-1], f"{share:.0%} of real words must keep many alive"
        assert kept[-1] > 0.95 * kept[-2], f"with {share:.0%} of real words the loss must end"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axis = plt.subplots(figsize=(press.TEXT_WIDTH, 2.4))
    axis.axhline(data["words"], color="0.7", linewidth=0.6, linestyle=":")
    axis.loglog(data["generation"], data["law"], color=press.NEUTRAL, label="own words: exact mean")
    axis.loglog(
        data["generation"],
        data["alive"][:, 0],
        "o",
        markersize=3.2,
        color=press.NEUTRAL,
        markerfacecolor="white",
        label="own words: one run",
    )
    for share, colour in COLOURS.items():
        axis.loglog(
            data[f"generation {share}"],
            data[f"alive {share}"],
            "o",
            markersize=3.2,
            color=colour,
            label=f"{share:.0%} real words: one run",
        )
    axis.set_xlabel("generation")
    axis.set_ylabel("words left")
    axis.set_ylim(top=1.6 * data["words"])
    axis.legend(loc="lower left")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    law = dict(zip(data["generation"].tolist(), data["law"], strict=True))
    printed = {
        "survivorsWords": data["words"],
        "survivorsSamples": data["samples"],
        "survivorsHundred": law[100],
        "survivorsLast": data["law"][-1],
        "survivorsOnePercent": data["alive 0.01"][-1],
        "survivorsTenPercent": data["alive 0.1"][-1],
    }
    return {name: f"{value:,.0f}".replace(",", "{,}") for name, value in printed.items()}


if __name__ == "__main__":
    press.publish("survivors")
