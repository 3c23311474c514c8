"""A prediction on the screen and as JSON."""

import argparse
import math
import sys
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fixedpoint.cli.complaints import WIDTH

if TYPE_CHECKING:
    from fixedpoint.ending import Ending, MeanTime
    from fixedpoint.inputs import Distribution
    from fixedpoint.prediction import Prediction

SHOWN_GENERATIONS = 40
"""More generations than these are thinned out on the screen (never in --json and --output)."""

MOST_DECIMALS = 9
"""Where two digits of a standard error lie beyond, it is not shown."""


def as_json(found: "Prediction", model: "Distribution") -> dict[str, Any]:
    """The prediction as plain data; what is undefined is `None`."""
    from fixedpoint.prediction import FIGURES

    rows: list[dict[str, Any]] = [{"generation": int(n)} for n in found.generations]
    recovered, of = found.recovered()
    if found.modes is not None and not model.logits.shape[:-1]:
        for row, mode in zip(rows, found.modes, strict=True):
            row["mode"] = model.outcomes[mode] if model.outcomes else int(mode)
    for name in FIGURES:
        means, errors = found.mean(name)
        for index, row in enumerate(rows):
            row[name] = _defined(means[index])
            if name == "surviving" and found.modes is not None and means[index].is_integer():
                row[name] = int(means[index])
            if errors is not None:
                row[f"{name}_se"] = _defined(errors[index])
            if name == "recovery_temperature" and of > 1:
                row["recovered"] = int(recovered[index])
    limit = found.limit and {"statement": found.limit.statement, **found.limit.figures}
    return {
        "input": model.source,
        "outcomes": model.num_outcomes,
        "contexts": model.num_contexts,
        "law": found.law,
        "note": found.note or None,
        "limit": limit,
        "simulated": found.sampled,
        "exact_mean_times": found.ending and _mean_times(found.ending, exact=True),
        "asymptotic_mean_times": found.ending and _mean_times(found.ending, exact=False),
        "generations": rows,
    }


def _mean_times(ending: "Ending", exact: bool) -> dict[str, Any]:
    """Those of the mean times that are exact, or those that are asymptotic."""
    times = {"first_loss": ending.first_loss, "fixation": ending.fixation}
    said: dict[str, Any] = {
        name: time.value if time.exact == exact else None for name, time in times.items()
    }
    return {**said, "note": ending.first_loss.note or ending.fixation.note}


def _defined(value: Any) -> float | None:
    return float(value) if math.isfinite(value) else None


def print_heading(model: "Distribution", options: argparse.Namespace) -> None:
    """Print what is predicted, before it is known."""
    print(textwrap.fill(description(model), WIDTH, subsequent_indent="  "))
    print(textwrap.fill(process(options), WIDTH, subsequent_indent="  "))
    if model.num_contexts > 1:
        print(f"Each figure is the mean over {model.num_contexts:,} contexts.")
    sys.stdout.flush()


def print_prediction(found: "Prediction", model: "Distribution") -> None:
    """Print the table of generations, the law in force, the limit and the recovery temperature."""
    shown = _shown(found.generations)
    print()
    for line in _table(_columns(found, model, shown)):
        print(line)
    if len(shown) < found.generations.size:
        print(f"(of {found.generations.size:,} generations; --json and --output have all)")
    print()
    why = found.note.replace("`", "").partition(";")[0]
    _say("law", found.law or f"no closed form, the loop was run: {why}")
    _say("limit", _limit(found, model))
    _say("change", _change(found))
    _say("recovery", _recovery(found))
    if found.ending is not None:
        _say("loss", mean_time(found.ending.first_loss, "until an outcome is lost", found))
        _say("fixation", mean_time(found.ending.fixation, "until one is left", found))


def _columns(
    found: "Prediction", model: "Distribution", shown: Any
) -> list[tuple[str, str, list[str]]]:
    """The columns of the table: two lines of title, and the cells of the generations shown."""
    columns = [("generation", "", [f"{n:,}" for n in found.generations[shown]])]
    if found.modes is not None and found.modes.ndim == 1:
        columns.append(("mode", "", [_name(model, int(m)) for m in found.modes[shown]]))
    for name, title, unit in (
        ("mode_probability", "mode prob.", ""),
        ("entropy", "entropy", "nats"),
        ("effective_number", "effective", "number"),
        ("surviving", "surviving", "outcomes"),
        ("kl_from_start", "KL from", "gen. 0"),
        ("recovery_temperature", "recovery", "temperature"),
    ):
        means, errors = found.mean(name)
        errors = None if errors is None else errors[shown]
        columns.append((title, unit, _column(means[shown], errors)))
    recovered, of = found.recovered()
    if (recovered[shown] < of).any() and of > 1:
        columns.append(("had by", f"of {of:,}", [f"{k:,}" for k in recovered[shown]]))
    return columns


def description(model: "Distribution") -> str:
    """The input in a line: where it comes from, and how many outcomes it has."""
    plural = "" if model.num_outcomes == 1 else "s"
    text = f"{model.source}: {model.num_outcomes:,} outcome{plural}"
    if model.num_contexts > 1:
        shape = " x ".join(f"{size:,}" for size in model.logits.shape[:-1])
        text += f" in {shape} contexts"
    if model.counts is not None and model.counts.dtype.kind == "i":
        text += f", {model.counts.sum():,} counted"
    return text


def replicates(options: argparse.Namespace) -> int:
    """How many runs: those asked for, or a hundred."""
    return 100 if options.replicates is None else options.replicates


def process(options: argparse.Namespace) -> str:
    """What a generation does, in a line."""
    draws = [f"draw at temperature {options.temperature:g}"]
    draws += [f"top-k {options.top_k}"] if options.top_k is not None else []
    draws += [f"top-p {options.top_p:g}"] if options.top_p is not None else []
    draws += [f"min-p {options.min_p:g}"] if options.min_p is not None else []
    if options.samples is None:
        return f"Each generation: {', '.join(draws)}; full refit to the exact distribution."
    runs, seed = replicates(options), f"(seed {options.seed or 0})"
    samples = f"{options.samples:,} sample" + "s" * (options.samples != 1)
    what = f"One run {seed}, which chance decides: --replicates 100 gives means."
    if runs > 1:
        what = f"Means of {runs:,} runs {seed}, with the standard error of the last digits."
    return f"Each generation: {', '.join(draws)}; full refit to {samples}. {what}"


def _shown(generations: Any) -> Any:
    """Indices of the rows to print: all, or those of the series 1, 2, 5, 10, ... and the last."""
    import numpy as np

    if generations.size <= SHOWN_GENERATIONS + 1:
        return np.arange(generations.size)
    series = {m * 10**e for e in range(20) for m in (1, 2, 5)} | {0, int(generations[-1])}
    return np.flatnonzero([int(n) in series for n in generations])


def _name(model: "Distribution", index: int) -> str:
    """How an outcome is called on the screen."""
    if model.outcomes is None:
        return f"#{index}"
    label = model.outcomes[index]
    if len(label) == 1 or not label.isprintable() or label != label.strip():
        label = repr(label)
    return label if len(label) <= 14 else f"{label[:13]}…"


def _column(means: Any, errors: Any) -> list[str]:
    """A column of numbers with the same decimals, each with its standard error if it has one."""
    if errors is not None and any(e > 1e-12 * abs(m) for m, e in zip(means, errors, strict=True)):
        return _with_errors(means, errors)
    largest = max((abs(m) for m in means if math.isfinite(m)), default=0.0)
    if all(m == round(m) for m in means if math.isfinite(m)):
        return [figure(m, 0) for m in means]
    return [figure(m, _decimals(largest)) for m in means]


def _with_errors(means: Any, errors: Any) -> list[str]:
    """Means(standard errors), point below point: two digits of the largest error are shown."""
    largest = max(e for e in errors if math.isfinite(e))
    decimals = max(0, 1 - math.floor(math.log10(largest)))
    if decimals > MOST_DECIMALS:
        return [figure(m) for m in means]
    shown = [
        f"({e * 10**decimals:,.0f})" if math.isfinite(e) and e > 1e-12 * abs(m) else ""
        for m, e in zip(means, errors, strict=True)
    ]
    width = max(map(len, shown))
    return [
        f"{m:,.{decimals}f}{error:<{width}}" if math.isfinite(m) else f"–{'':{width}}"
        for m, error in zip(means, shown, strict=True)
    ]


def _decimals(largest: float) -> int:
    """How many decimals give a number five significant digits; at least one, at most five."""
    return min(5, max(1, 4 - math.floor(math.log10(largest)))) if largest > 0 else 0


def figure(value: float, decimals: int | None = None) -> str:
    """A number with its decimals, scientific where they would hide it; – where undefined."""
    if not math.isfinite(value):
        return "–"
    if value == 0:
        return "0"
    if decimals is None:
        decimals = 0 if value == round(value) else _decimals(abs(value))
    if abs(value) >= 1e9 or (decimals and abs(value) < 10.0 ** (1 - decimals)):
        return f"{value:.2e}"
    return f"{value:,.{decimals}f}"


def _table(columns: Sequence[tuple[str, str, list[str]]]) -> Iterator[str]:
    """Two lines of header and the rows, right-aligned."""
    widths = [max(len(title), len(unit), *map(len, cells)) for title, unit, cells in columns]
    rows = zip(*(cells for _, _, cells in columns), strict=True)
    for row in (*zip(*((title, unit) for title, unit, _ in columns), strict=True), *rows):
        line = "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        if line.strip():
            yield line.rstrip()


def _say(what: str, text: str) -> None:
    print(textwrap.fill(text, WIDTH, initial_indent=f"{what:<10}", subsequent_indent=" " * 10))


def _limit(found: "Prediction", model: "Distribution") -> str:
    if found.limit is None:
        return f"not known in closed form, and not reached by generation {found.generations[-1]:,}"
    text = found.limit.statement
    if text == "the mode alone" and found.modes is not None and found.modes.ndim == 1:
        text = f"the mode alone, {_name(model, int(found.modes[0]))}"
    figures = found.limit.figures
    return (
        f"{text} (entropy {figure(figures['entropy'])}, "
        f"effective number {figure(figures['effective_number'])})"
    )


def mean_time(time: "MeanTime", until: str, found: "Prediction") -> str:
    """A mean time that theory knows, which stands among simulated figures."""
    if time.value is None:
        return f"mean time {until}: not known exactly ({time.note})"
    over = " over the contexts" if found.figures["entropy"].ndim > 2 else ""
    digits, how = (6, "exact") if time.exact else (3, "asymptotic in the number of samples")
    text = f"{time.value:,.{digits}g}"
    if time.value >= 1e6:
        text = f"{time.value:.{digits - (not time.exact)}e}"
    elif not time.exact:
        text = f"{float(text.replace(',', '')):,.6g}"
    unit = "generation" if text == "1" else "generations"
    about = "" if time.exact else "about "
    return f"{about}{text} {unit} on average{over} {until}: {how}; the table is simulated"


def _change(found: "Prediction") -> str:
    """The divergence of the last generation, and the three parts it is the sum of."""
    from fixedpoint.prediction import PARTS

    means = {name: float(found.mean(name)[0][-1]) for name in ("kl_from_start", *PARTS)}
    # What is nothing but rounding, beside the whole, is nothing.
    whole = means["kl_from_start"]
    shown = [figure(0.0 if m < 1e-9 * whole else m, 4) for m in means.values()]
    lost, temperature, rest = shown[1:]
    return (
        f"{shown[0]} nats from generation 0 to {found.generations[-1]:,}: lost modes {lost}, "
        f"temperature {temperature}, rest {rest}"
    )


def _recovery(found: "Prediction") -> str:
    last = f"{found.generations[-1]:,}"
    means, errors = found.mean("recovery_temperature")
    recovered, of = found.recovered()
    value, having = float(means[-1]), int(recovered[-1])
    what = "runs and contexts" if found.figures["entropy"].ndim > 2 else "runs"
    what = what if found.sampled else "contexts"
    if having == 0:
        each = f" in any of {of:,} {what}" if of > 1 else ""
        return f"none: no finite temperature brings generation 0 back from generation {last}{each}"
    if found.law is not None and not found.sampled:
        how = "restores generation 0 exactly"
    else:
        how = "restores what a temperature can: not lost outcomes, nor other changes of shape"
    at = f"{value:.6g}" if errors is None else _column(means[-1:], errors[-1:])[0].strip()
    if having < of:
        at += f" (mean of {having:,} of {of:,} {what}; the others have none)"
    elif found.sampled and of > 1:
        at += f" (mean of {of:,} {what})"
    return f"sampling generation {last} at temperature {at} {how}"
