"""What training on the final answers alone does, and what training on everything would do.

Five reasonings lead to two answers: three to the more frequent one, two to the other. Left: the
share of the more frequent answer. Right: the entropy of its reasonings. Models that are shown the
answers alone, simulated (dots) and in closed form (lines); and models that are shown everything
(dashes).
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
from fixedpoint.laws import families
from paper import press

FAST = {"num_generations": 24}

PROBABILITIES = (0.2, 0.19, 0.16, 0.35, 0.1)
ANSWERS = (0, 0, 0, 1, 1)
TEMPERATURES = (0.8, 0.9, 1.0, 1.1, 1.25)
SHOWN_EVERYTHING = (0.8, 1.25)


def share(logits: jax.Array) -> jax.Array:
    return simplex.probabilities(logits)[:3].sum()


def spread(logits: jax.Array) -> jax.Array:
    return simplex.entropy(logits[:3])


def compute(num_generations: int = 24) -> dict[str, Any]:
    start = jnp.log(jnp.array(PROBABILITIES))
    observe = {"share": share, "spread": spread}
    data: dict[str, Any] = {"generation": np.arange(num_generations + 1)}
    for temperature in TEMPERATURES:
        for name, learner in (("answers", fp.FinalAnswer(ANSWERS)), ("everything", fp.Refit())):
            loop = fp.Loop(sampler=fp.Temperature(temperature), learner=learner)
            runs = fp.run(loop, start, num_generations, observe=observe, progress=False)
            for what, values in runs.value.items():
                data[f"{what} {name} {temperature}"] = np.asarray(values)
        answers, entropies = families.answers_and_reasonings(start, ANSWERS, temperature)
        law = families.final_answer(answers, entropies, temperature, data["generation"])
        data[f"law {temperature}"] = np.asarray(simplex.probabilities(law)[:, 0])
        data[f"limit {temperature}"] = np.asarray(simplex.probabilities(entropies)[0])
        data[f"score {temperature}"] = np.asarray(answers - entropies)
    return data


def check(data: Mapping[str, Any]) -> None:
    for temperature in TEMPERATURES:
        shares, spreads = (data[f"{what} answers {temperature}"] for what in ("share", "spread"))
        gap = np.abs(shares - data[f"law {temperature}"])
        assert gap.max() < 1e-12, f"the loop departs from the law at T = {temperature}"
        assert np.ptp(spreads) < 1e-9, "the reasonings of an answer must keep their proportions"
        assert shares[0] > 0.5, "the answer must be the more frequent one at the start"
        if temperature < 1:
            first, second = data[f"score {temperature}"]
            assert first < second
            assert np.all(np.diff(shares) < 0), "it must lose at T < 1"
        elif temperature > 1:
            assert np.all(np.diff(np.abs(shares - data[f"limit {temperature}"])) < 0)
        else:
            assert np.ptp(shares) < 1e-14, "T = 1 must change nothing"
    assert data["spread everything 0.8"][-1] < 0.05, "shown everything, reasonings are lost"
    assert data["spread answers 0.8"][-1] > 1.0


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(
        1, 2, figsize=(press.TEXT_WIDTH, 2.6), gridspec_kw={"wspace": 0.08}
    )
    generation = data["generation"]
    for temperature in TEMPERATURES:
        colour = press.shade(temperature)
        left.plot(generation, data[f"law {temperature}"], color=colour, linewidth=1)
        shares, spreads = (data[f"{what} answers {temperature}"] for what in ("share", "spread"))
        left.plot(generation, shares, "o", color=colour, markersize=2.6)
        if temperature in SHOWN_EVERYTHING:
            size = 4.6 if temperature < 1 else 2.2  # the two lie on each other
            right.plot(generation, spreads, "o", color=colour, markersize=size)
            for ax, what in ((left, "share"), (right, "spread")):
                values = data[f"{what} everything {temperature}"]
                ax.plot(generation, values, "--", color=colour, linewidth=0.9)
    places = {
        0.8: (1.2, 0.2),
        0.9: (14.2, 0.28),
        1.0: (18, 0.512),
        1.1: (18, 0.563),
        1.25: (2, 0.63),
    }
    for temperature, place in places.items():
        left.text(*place, f"$T={temperature:g}$", color=press.shade(temperature), fontsize=8.5)
    right.text(0.2, 0.84, "answers alone,", fontsize=8.5, color=press.NEUTRAL)
    right.text(0.2, 0.75, "every $T$", fontsize=8.5, color=press.NEUTRAL)
    right.text(13.5, 0.75, "everything, $T=0.8$", fontsize=8.5, color=press.shade(0.8))
    right.text(13.5, 1.13, "everything, $T=1.25$", fontsize=8.5, color=press.shade(1.25))
    left.set_xlabel("generation")
    left.set_ylabel("share of the more frequent answer")
    left.set_ylim(-0.03, 0.7)
    right.set_xlabel("generation")
    right.set_ylabel("entropy of its reasonings (nats)")
    right.set_ylim(-0.05, 1.25)
    for ax in (left, right):
        ax.set_xlim(-0.5, generation[-1] + 0.5)
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "answerShareStart": f"{data['share answers 1.0'][0]:.2f}",
        "answerShareAfterTen": f"{data['share answers 0.8'][10]:.4f}",
        "answerShareHot": f"{data['limit 1.25']:.3f}",
    }


if __name__ == "__main__":
    press.publish("final_answer")
