"""The benchmarks' results as Markdown (for the README), LaTeX (for the paper) and JSON."""

import dataclasses
import json
from collections.abc import Sequence

from race import Entry, Outcome

HEADINGS = ("", "seconds", "ratio", "CPU seconds (ratio)", "first call +", "difference")
NOTE = (
    "Ratio: wall time over that of the first line, median over the rounds of the ratios within a "
    "round. CPU seconds: all threads. First call +: what the first call takes longer (compilation)."
)


def markdown(outcomes: Sequence[Outcome], machine: dict[str, str], sizes: str) -> str:
    """A heading and a table for each race, then the circumstances."""
    parts = []
    for outcome in outcomes:
        lines = [
            f"**{outcome.race.title}**",
            "",
            "| " + " | ".join(HEADINGS) + " |",
            "|---|" + "---:|" * (len(HEADINGS) - 1),
        ]
        lines += ["| " + " | ".join(cells(entry)) + " |" for entry in outcome.entries]
        parts.append("\n".join(lines))
    parts.append(f"{NOTE} {circumstances(outcomes, machine, sizes)}")
    return "\n\n".join(parts) + "\n"


def latex(outcomes: Sequence[Outcome], machine: dict[str, str], sizes: str) -> str:
    """One tabular for all races; needs no package."""
    columns = "l" + "r" * (len(HEADINGS) - 1)
    lines = [
        rf"% {_escaped(circumstances(outcomes, machine, sizes))}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\hline",
        " & ".join(HEADINGS) + r" \\",
    ]
    for outcome in outcomes:
        title = rf"\multicolumn{{{len(HEADINGS)}}}{{l}}{{\emph{{{_escaped(outcome.race.title)}}}}}"
        lines += [r"\hline", rf"{title} \\"]
        lines += [" & ".join(map(_escaped, cells(entry))) + r" \\" for entry in outcome.entries]
    return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"


def as_json(outcomes: Sequence[Outcome], machine: dict[str, str], sizes: str) -> str:
    """Everything that was measured, with the machine's description."""
    races = {
        outcome.race.name: {
            "title": outcome.race.title,
            "rounds": outcome.rounds,
            "load": outcome.load,
            "distance": outcome.race.distance_name,
            "tolerance": outcome.race.tolerance,
            "entries": [dataclasses.asdict(entry) for entry in outcome.entries],
        }
        for outcome in outcomes
    }
    return json.dumps({"machine": machine, "sizes": sizes, "races": races}, indent=1) + "\n"


def circumstances(outcomes: Sequence[Outcome], machine: dict[str, str], sizes: str) -> str:
    """Machine, versions, rounds and load, in a line."""
    loads = [load for outcome in outcomes for load in outcome.load]
    rounds = sorted({outcome.rounds for outcome in outcomes})
    distances = dict.fromkeys(
        f"{outcome.race.distance_name} (at most {outcome.race.tolerance:g})" for outcome in outcomes
    )
    described = ", ".join(f"{key} {value}" for key, value in machine.items())
    return (
        f"Difference: {'; '.join(distances)}. {sizes.capitalize()} sizes; "
        f"rounds: {', '.join(map(str, rounds))}; "
        f"load average {min(loads):.1f} to {max(loads):.1f}. "
        f"{described}."
    )


def cells(entry: Entry) -> tuple[str, ...]:
    """The cells of an entry's row."""
    return (
        entry.name,
        _short(entry.seconds),
        _short(entry.ratio),
        f"{_short(entry.cpu_seconds)} ({_short(entry.cpu_ratio)})",
        f"{entry.setup_seconds:.1f}",
        "–" if entry.distance is None else f"{entry.distance:.1g}",
    )


def _short(number: float) -> str:
    """Two figures, and never an exponent for what is large."""
    return f"{number:.2g}" if number < 10 else f"{number:.0f}"


def _escaped(text: str) -> str:
    for character in "&%#_":
        text = text.replace(character, f"\\{character}")
    return text.replace("×", r"$\times$").replace("–", "--").replace("−", "$-$").replace("√", "")
