"""The benchmarks' results as JSON, as Markdown for the README and as LaTeX for the paper.

The tables are made from the record (`results.json`) alone, so that the paper is built without a
measurement. `python tests/benchmarks/report.py` writes the README's table again.
"""

import dataclasses
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from race import Curve, Outcome

HEADINGS = ("", "seconds", "ratio", "CPU ratio", "first call +", "difference", "limit")
NOTE = (
    "Ratio: wall time over that of the first line, median over the rounds of the ratios within a "
    "round (CPU: of all threads). First call +: what the first call takes longer, above all to "
    "compile. Difference: from the first line's answer, relative, but absolute for entropies, "
    "temperatures and logits (of the flow: the error); KS: of two samples, the statistic "
    "√(nm/(n+m)) sup|F − G| of Kolmogorov and Smirnov, about 0.9 for equal laws and beyond 2.8 "
    "with probability 3e-7. Limit: wall time over what the machine's fastest copy, exponential and "
    "multiply–add in C, measured in the same round, would need."
)
README = Path(__file__).resolve().parents[2] / "README.md"
BEGIN, END = "<!-- benchmarks: begin -->", "<!-- benchmarks: end -->"

SIGNS = {"×": r"$\times$", "–": "--", "−": "$-$", "√": "", "≥": r"$\ge$", "∝": r"$\propto$"}

Record = dict[str, Any]


def race_record(outcome: "Outcome") -> Record:
    """Everything that was measured in a race."""
    return {
        "title": outcome.race.title,
        "rounds": outcome.rounds,
        "load": outcome.load,
        "difference": outcome.race.distance_name,
        "tolerance": outcome.race.tolerance,
        "entries": [dataclasses.asdict(entry) for entry in outcome.entries],
    }


def growth_record(curve: "Curve") -> Record:
    """Everything that was measured of a growth."""
    return {
        "title": curve.growth.title,
        "size": curve.growth.size_name,
        "sizes": list(curve.growth.sizes),
        "seconds": curve.seconds,
        "slope": curve.slope,
    }


def record(
    outcomes: Sequence["Outcome"], curves: Sequence["Curve"], machine: dict[str, str], quick: bool
) -> Record:
    """All that was measured, with the machine's description."""
    return {
        "machine": machine,
        "quick": quick,
        "races": {outcome.race.name: race_record(outcome) for outcome in outcomes},
        "growth": {curve.growth.name: growth_record(curve) for curve in curves},
    }


def as_json(record: Record) -> str:
    """The record as it is stored."""
    return json.dumps(record, indent=1, ensure_ascii=False) + "\n"


def markdown(record: Record) -> str:
    """A heading and a table for each race, the growths, then the circumstances."""
    parts = [table(race) for race in record["races"].values()]
    if record["growth"]:
        parts.append(growths(record))
    return "\n\n".join([*parts, f"{NOTE} {circumstances(record)}"]) + "\n"


def summary(record: Record) -> str:
    """A line for each race, the growths, then the circumstances."""
    lines = ["| race | seconds | the others, in times the first |", "|---|---:|---|"]
    for race in record["races"].values():
        first, *others = race["entries"]
        ratios = "; ".join(f"{entry['name']} {_short(entry['ratio'])}" for entry in others)
        lines.append(
            f"| {race['title']} | {first['name']}: {_short(first['seconds'])} | {ratios} |"
        )
    parts = ["\n".join(lines), growths(record), circumstances(record)]
    return "\n\n".join(filter(None, parts)) + "\n"


def growths(record: Record) -> str:
    """How each kind of work grows, a line each."""
    return "\n".join(growth_line(growth) for growth in record["growth"].values())


def table(race: Record) -> str:
    """A race in Markdown."""
    lines = [
        f"**{race['title']}**",
        "",
        "| " + " | ".join(HEADINGS) + " |",
        "|---|" + "---:|" * (len(HEADINGS) - 1),
    ]
    return "\n".join(
        lines + ["| " + " | ".join(cells(entry, race)) + " |" for entry in race["entries"]]
    )


def growth_line(growth: Record) -> str:
    """A growth in a line."""
    sizes, seconds = growth["sizes"], growth["seconds"]
    return (
        f"- {growth['title']}: seconds ∝ {growth['size']}^{growth['slope']:.2f} "
        f"({_short(seconds[0])} s at {sizes[0]:,}, {_short(seconds[-1])} s at {sizes[-1]:,})"
    )


def latex(record: Record) -> str:
    """The rows of the paper's longtable of all races, from its head to its end."""
    head = " & ".join(HEADINGS) + r" \\"
    strut = r"\rule{0pt}{2.4ex}"
    lines = [head, r"\endfirsthead", r"\hline", head, r"\endhead"]
    for race in record["races"].values():
        title = (
            rf"\multicolumn{{{len(HEADINGS)}}}{{l}}{{{strut}\emph{{{_escaped(race['title'])}}}}}"
        )
        lines += [r"\hline", rf"{title} \\*"]
        lines += [
            " & ".join(map(_escaped, cells(entry, race))) + r" \\*" for entry in race["entries"]
        ]
        lines[-1] = lines[-1].removesuffix("*")
    measured = _escaped(circumstances(record))
    foot = rf"\multicolumn{{{len(HEADINGS)}}}{{p{{0.7\linewidth}}}}{{{strut}{measured}}} \\"
    return "\n".join([*lines, r"\hline", foot, r"\end{longtable}"]) + "\n"


def circumstances(record: Record) -> str:
    """Machine, versions, rounds and load, in a line."""
    races = record["races"].values()
    described = ", ".join(f"{key} {value}" for key, value in record["machine"].items())
    if not races:
        return f"{described}."
    loads = [load for race in races for load in race["load"]]
    rounds = sorted({race["rounds"] for race in races})
    return (
        f"{'Quick' if record['quick'] else 'Full'} sizes; rounds: {', '.join(map(str, rounds))}; "
        f"load average {min(loads):.1f} to {max(loads):.1f}. {described}."
    )


def cells(entry: Record, race: Record) -> tuple[str, ...]:
    """The cells of an entry's row."""
    sampled = "Kolmogorov" in race["difference"]
    unit = " KS" if sampled else ""
    return (
        entry["name"],
        _short(entry["seconds"]),
        _short(entry["ratio"]),
        _short(entry["cpu_ratio"]),
        f"{entry['setup_seconds']:.1f}",
        "–" if entry["distance"] is None else f"{entry['distance']:.{1 + sampled}g}{unit}",
        "–" if entry["limit_ratio"] is None else _short(entry["limit_ratio"]),
    )


def publish(record: Record) -> None:
    """Write the README's table; the paper has the long ones."""
    text = README.read_text(encoding="utf-8")
    pattern = re.compile(rf"(?<={re.escape(BEGIN)}\n).*?(?={re.escape(END)})", re.DOTALL)
    README.write_text(pattern.sub(lambda _: summary(record), text), encoding="utf-8")


def _short(number: float) -> str:
    """Two figures, and never an exponent for what is large."""
    return f"{number:.2g}" if number < 10 else f"{number:.0f}"


def _escaped(text: str) -> str:
    for character in "&%#_":
        text = text.replace(character, f"\\{character}")
    for character, command in SIGNS.items():
        text = text.replace(character, command)
    return text


if __name__ == "__main__":
    publish(json.loads(Path(__file__).with_name("results.json").read_text(encoding="utf-8")))
