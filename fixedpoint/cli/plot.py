"""A prediction as a picture: `fixedpoint predict --plot FILE`."""

import argparse
import io
import warnings
from typing import TYPE_CHECKING, Any

from fixedpoint.cli.report import SHOWN_GENERATIONS, description, figure, process

if TYPE_CHECKING:
    from fixedpoint.inputs import Distribution
    from fixedpoint.prediction import Prediction

PART_COLOURS = ("#bd1f01", "#3f90da", "#b9b9b9")
"""The colours of lost modes, temperature and the rest: those of the paper."""


def draw(
    file: io.BytesIO,
    suffix: str,
    found: "Prediction",
    options: argparse.Namespace,
    model: "Distribution",
) -> None:
    """Draw the change from generation 0 in its three parts, and the entropy, by generation."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    from fixedpoint.prediction import EVERY_GENERATION

    style: dict[Any, Any] = {"svg.hashsalt": "fixedpoint", "font.size": 9, "axes.spines.top": False}
    with (
        mpl.rc_context({**style, "axes.spines.right": False, "legend.frameon": False}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph")  # a name in letters that the font lacks
        picture = Figure(figsize=(9, 3.4), layout="constrained")
        change, entropy = picture.subplots(1, 2)
        _draw_change(change, found)
        _draw_entropy(entropy, found)
        for axes in (change, entropy):
            if found.generations[-1] > EVERY_GENERATION:
                axes.set_xscale("symlog")
            else:
                axes.locator_params(axis="x", integer=True)
            axes.set_xlim(0, max(1, found.generations[-1]))
            axes.set_ylim(bottom=0)
            axes.set_xlabel("generation")
        picture.legend(*change.get_legend_handles_labels(), loc="outside lower left", ncols=3)
        title = f"{description(model)}\n{process(options)}".encode(errors="replace").decode()
        picture.suptitle(title, fontsize=8, x=0.01, ha="left", parse_math=False)
        dates = {"pdf": ("CreationDate", "ModDate", "Producer", "Creator"), "svg": ("Date",)}
        metadata: Any = dict.fromkeys(dates.get(suffix, ()))
        if suffix == "png":
            metadata = {"Software": None}
        picture.savefig(file, format=suffix, metadata=metadata, dpi=200)


def _draw_change(axes: Any, found: "Prediction") -> None:
    """The divergence from generation 0 as the area of its three parts."""
    from fixedpoint.prediction import PARTS

    # Rounding may leave a part just below 0.
    parts = [found.mean(name)[0].clip(min=0) for name in PARTS]
    names = ("lost modes: undone by nothing", "temperature: undone by another", "the rest")
    axes.stackplot(
        found.generations, parts, labels=names, colors=PART_COLOURS, linewidth=0, alpha=0.9
    )
    whole, errors = found.mean("kl_from_start")
    axes.plot(found.generations, whole, color="0.2", linewidth=1)
    if errors is not None:
        axes.errorbar(found.generations, whole, errors, color="0.2", linewidth=0, elinewidth=0.8)
    axes.set_title("divergence from generation 0 (nats)", fontsize=9, loc="left")
    if not whole.max() > 0:
        axes.set_ylim(0, 1)


def _draw_entropy(axes: Any, found: "Prediction") -> None:
    """The entropy, with its limit; of samples, the mean with its standard error."""
    means, errors = found.mean("entropy")
    marker = "o" if found.generations.size <= SHOWN_GENERATIONS else None
    axes.plot(found.generations, means, marker=marker, markersize=3, color="0.2", clip_on=False)
    if errors is not None:
        axes.fill_between(
            found.generations, means - errors, means + errors, color="0.2", alpha=0.3, linewidth=0
        )
    if found.limit is not None:
        limit = found.limit.figures["entropy"]
        axes.axhline(limit, color="0.5", linestyle="--", linewidth=1, clip_on=False)
        axes.annotate(
            f"limit {figure(limit)}",
            (1, limit),
            (0, 3),
            ("axes fraction", "data"),
            "offset points",
            color="0.4",
            ha="right",
        )
    axes.set_title("entropy (nats)", fontsize=9, loc="left")
    if not means.max() > 0:
        axes.set_ylim(0, 1)
