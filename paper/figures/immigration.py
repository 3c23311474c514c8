"""What real data keep alive: the share of their diversity that is kept for ever.

Left: against the mean number of real samples a generation. Lines: the law, for n samples in all;
dots: exact chains of two outcomes; crosses: simulations of fifty. Dashed: the limit of many
samples. Right: the same against half of (n - 1) a (2 - a), where all lie on the dashed line.
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
from fixedpoint.laws import real_data
from paper import press

FAST = {"num_replicates": 128}

NUM_SAMPLES = (2, 5, 20, 100)
COLOURS = {2: "#e76300", 5: "#832db6", 20: "#3f90da", 100: "#444444"}
DOTS = {2: (0.15, 0.4, 1.0), 5: (0.15, 0.6, 2.0), 20: (0.2, 0.8, 3.0), 100: (0.1, 0.5, 1.0, 4.0)}
SIMULATED = ((20, 1.5), (100, 2.5))
RANGE = (0.05, 5.0)


def exact_share(num_samples: int, num_real: float) -> float:
    """The stationary share of a chain of two outcomes."""
    q = np.array([0.7, 0.3])
    corpus = fp.Pooled(jnp.array(q), num_real / num_samples, fp.Fresh(num_samples))
    chain = fp.chain.from_loop(fp.Loop(corpus=corpus))
    diversity = 1 - ((chain.counts / num_samples) ** 2).sum(-1)
    return float(fp.chain.stationary(chain) @ diversity / (1 - q @ q))


def simulated_share(num_samples: int, num_real: float, num_replicates: int) -> tuple[float, float]:
    """The share of fifty outcomes long after the start, and its standard error."""
    q = 1 / np.arange(1, 51)
    q /= q.sum()
    fraction = num_real / num_samples
    # What is left of the start: (1 - a)² (1 - 1/n) a generation.
    patience = int(np.ceil(8 / (2 * fraction)))
    runs = fp.run(
        fp.Loop(corpus=fp.Pooled(jnp.array(q), fraction, fp.Fresh(num_samples))),
        jnp.log(jnp.array(q)),
        patience,
        key=jax.random.key(num_samples),
        num_replicates=num_replicates,
        observe=simplex.heterozygosity,
        save_at=[patience],
        progress=False,
    )
    kept = np.asarray(runs.value[0]) / (1 - q @ q)
    return float(kept.mean()), float(kept.std() / np.sqrt(num_replicates))


def theta(num_samples: Any, num_real: Any) -> Any:
    """The strength (n - 1) a (2 - a) of the real data."""
    fraction = num_real / num_samples
    return (num_samples - 1) * fraction * (2 - fraction)


def compute(num_replicates: int = 512) -> dict[str, Any]:
    real = np.geomspace(*RANGE, 60)
    data: dict[str, Any] = {"real": real, "limit": np.asarray(real_data.one_real_sample(real))}
    for number in NUM_SAMPLES:
        inside = real[real <= number]
        data[f"law {number}"] = np.asarray(real_data.kept_diversity(inside / number, number))
        data[f"exact {number}"] = np.array([exact_share(number, m) for m in DOTS[number]])
    found = [simulated_share(n, m, num_replicates) for n, m in SIMULATED]
    data["simulated"], data["error"] = np.array(found).T
    data["simulated law"] = np.array(
        [float(real_data.kept_diversity(m / n, n)) for n, m in SIMULATED]
    )
    return data


def check(data: Mapping[str, Any]) -> None:
    for number in NUM_SAMPLES:
        dots = np.array(DOTS[number])
        half = theta(number, dots) / 2
        gap = data[f"exact {number}"] - np.asarray(real_data.one_real_sample(half))
        assert np.abs(gap).max() < 1e-11, "exact chains must lie on the one curve"
    gap = np.abs(data["simulated"] - data["simulated law"]) / data["error"]
    assert gap.max() < 4.5, "fifty outcomes must keep the same share as two"
    many = data[f"law {NUM_SAMPLES[-1]}"]
    assert np.abs(many - data["limit"]).max() < 0.01, "a hundred samples must be many"
    few = data[f"law {NUM_SAMPLES[0]}"]
    assert few[-1] < data["limit"][len(few) - 1] - 0.2, "two samples must not be many"


def draw(data: Mapping[str, Any]) -> Figure:
    check(data)
    figure, (left, right) = plt.subplots(1, 2, figsize=(press.TEXT_WIDTH, 2.5), sharey=True)
    real = data["real"]
    for number, colour in COLOURS.items():
        law = data[f"law {number}"]
        left.semilogx(real[: len(law)], law, color=colour, label=f"$n={number}$")
        dots = np.array(DOTS[number])
        left.plot(dots, data[f"exact {number}"], "o", color=colour)
        right.plot(theta(number, dots) / 2, data[f"exact {number}"], "o", color=colour)
    for (number, m), share in zip(SIMULATED, data["simulated"], strict=True):
        style = {"color": COLOURS[number], "markersize": 6}
        left.plot(m, share, "x", **style)
        right.plot(theta(number, m) / 2, share, "x", **style)
    for axis in (left, right):
        axis.set_xscale("log")
        axis.plot(real, data["limit"], "--", color="0.55", linewidth=0.9, zorder=0)
        axis.set_ylim(0, 1)
        axis.set_xlim(*RANGE)
        ticks = (0.1, 0.5, 1, 5)
        axis.set_xticks(ticks, [f"{t:g}" for t in ticks])
        axis.minorticks_off()
    left.legend(loc="upper left")
    left.set_xlabel("real samples a generation $na$")
    left.set_ylabel("kept share of the diversity")
    right.set_xlabel("$(n-1)\\,a(2-a)/2$")
    return figure


def numbers(data: Mapping[str, Any]) -> dict[str, str]:
    return {
        "immigrationSimulated": f"{data['simulated'][0]:.3f}",
        "immigrationLaw": f"{data['simulated law'][0]:.3f}",
        "immigrationTwo": f"{float(real_data.kept_diversity(0.5, 2)):.2f}",
    }


if __name__ == "__main__":
    press.publish("immigration")
