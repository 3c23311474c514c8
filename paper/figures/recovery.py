"""When the tail becomes unrecoverable: how long raising the temperature undoes sharpening.

The characters of Shakespeare's plays are retrained at temperature T and stored as probabilities
after every generation, in three formats. Colour: the largest error of the logits when generation n
is sampled at temperature T^-n to restore the start; grey: an outcome was rounded to 0 and is lost.
Lines: the horizons `recovery.storage_cold` (T < 1) and `recovery.storage_hot` (T > 1).
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from matplotlib import patheffects
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from fixedpoint import simplex
from fixedpoint.inputs import character_counts
from fixedpoint.laws import recovery
from paper import data as texts
from paper import press

FAST = {"num_temperatures": 8, "num_generations": 60, "num_characters": 200_000}

FORMATS = ("float64", "float32", "bfloat16")
TOLERANCE = 0.1
"""Largest error of a logit, in nats, that still counts as recovered."""

QUOTED = 0.9
"""The temperature whose horizons the text quotes."""


def compute(
    num_temperatures: int = 81, num_generations: int = 1000, num_characters: int | None = None
) -> dict[str, Any]:
    counts = character_counts(texts.shakespeare()[:num_characters]).counts
    logits0 = jnp.log(jnp.asarray(counts, float))
    # An even number of them: T = 1 itself, where nothing happens, is left out.
    temperatures = np.geomspace(0.5, 2, num_temperatures + num_temperatures % 2)
    temperatures = np.union1d(temperatures, [QUOTED])
    data: dict[str, Any] = {
        "temperature": temperatures,
        "generation": np.arange(1, num_generations + 1),
        "range": float(jnp.ptp(logits0)),
    }
    errors = jax.jit(jax.vmap(recovery_errors, (None, 0, None, None)), static_argnums=(2, 3))
    for name in FORMATS:
        data[name] = np.asarray(errors(logits0, jnp.asarray(temperatures), num_generations, name))
        precision = jnp.finfo(name)
        cold = recovery.storage_cold(
            logit_range=data["range"],
            temperature=jnp.asarray(temperatures[temperatures < 1]),
            log_smallest=-np.log(float(precision.tiny)),
        )
        hot = recovery.storage_hot(
            temperature=jnp.asarray(temperatures[temperatures > 1]),
            roundoff=float(precision.eps) / 2,
            tolerance=TOLERANCE,
        )
        data[f"horizon {name}"] = np.concatenate([np.asarray(cold), np.asarray(hot)])
        data[f"recovered {name}"] = (data[name] < TOLERANCE).cumprod(1).sum(1)
    return data


def recovery_errors(
    logits0: jax.Array, temperature: jax.Array, num_generations: int, stored_as: str
) -> jax.Array:
    """Largest error of the restored logits after each generation; infinite if one is lost."""
    start = simplex.centre(logits0)

    def generation(logits: jax.Array, n: jax.Array) -> tuple[jax.Array, jax.Array]:
        tempered = simplex.probabilities(simplex.temper(logits, temperature))
        stored = tempered.astype(stored_as).astype(logits.dtype)
        kept = jnp.all(stored > 0)
        logits = jnp.log(stored)
        restored = simplex.temper(logits, recovery.recovery(temperature, n))
        error = jnp.abs(simplex.centre(restored) - start).max()
        return logits, jnp.where(kept, error, jnp.inf)

    return jax.lax.scan(generation, logits0, jnp.arange(1, num_generations + 1))[1]


def check(data: Mapping[str, Any]) -> None:
    cold = data["temperature"] < 1
    last = data["generation"][-1]
    for name in FORMATS:
        predicted, found = data[f"horizon {name}"], data[f"recovered {name}"]
        within = cold & (predicted < last)
        assert np.abs(predicted - found)[within].max() < 1.5, f"{name}: T < 1, horizon missed"
        # In float64 the arithmetic rounds too, so that a generation's error is a few roundoffs.
        roundoffs = 8 if name == "float64" else 1
        at_least = np.floor(predicted - np.log(roundoffs) / np.log(data["temperature"]))
        enough = found >= np.minimum(at_least, last)
        assert np.all(enough[~cold]), f"{name}: T > 1, lost too early"
    assert np.all(data["recovered float64"] >= data["recovered float32"])


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, axes = plt.subplots(1, 3, figsize=(press.TEXT_WIDTH, 2.4), sharey=True)
    last = data["generation"][-1]
    shown = np.unique(np.geomspace(1, last, 120).round().astype(int))
    outline = [patheffects.withStroke(linewidth=2.6, foreground="white")]
    temperatures = data["temperature"]
    mesh = None
    for axis, name in zip(axes, FORMATS, strict=True):
        errors = np.maximum(data[name][:, shown - 1], 1e-16)
        axis.set_facecolor("#d0d0d0")
        mesh = axis.pcolormesh(
            shown,
            temperatures,
            np.ma.masked_invalid(errors),
            norm=LogNorm(1e-16, 10),
            rasterized=True,
            shading="nearest",
        )
        for side in (temperatures < 1, temperatures > 1):
            inside = side & (data[f"horizon {name}"] >= 1)
            axis.plot(
                data[f"horizon {name}"][inside],
                temperatures[inside],
                color="black",
                linewidth=1.2,
                path_effects=outline,
            )
        axis.set_xscale("log")
        axis.set_yscale("log")
        axis.set_xlim(1, last)
        axis.set_ylim(temperatures[0], temperatures[-1])
        axis.set_yticks((0.5, 0.7, 1, 1.4, 2), ("0.5", "0.7", "1", "1.4", "2"))
        axis.set_yticks((), minor=True)
        axis.set_title(name)
        axis.set_xticks((1, 10, 100, 1000), ("1", "10", "100", "1000"))
        axis.set_xlabel("generation")
    axes[0].set_ylabel("temperature $T$")
    axes[1].text(0.96, 0.08, "lost", transform=axes[1].transAxes, ha="right", fontsize=9)
    assert mesh is not None
    bar = figure.colorbar(mesh, ax=axes, ticks=[1e-16, 1e-11, 1e-6, 1e-1], pad=0.01, aspect=15)
    bar.set_label("largest logit error (nats)")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    printed = {
        "recoveryRange": f"{data['range']:.1f}",
        "recoveryTolerance": f"{TOLERANCE:g}",
        "recoveryTemperature": f"{QUOTED:g}",
    }
    quoted = int(np.searchsorted(data["temperature"], QUOTED))
    for name, word in zip(FORMATS, ("Double", "Single", "Brain"), strict=True):
        printed[f"recovery{word}"] = str(data[f"recovered {name}"][quoted])
    return printed


if __name__ == "__main__":
    press.publish("recovery")
