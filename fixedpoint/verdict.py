"""The verdict on an equation: what the three comparisons found, and the record of it.

`fixedpoint.confront` makes the comparisons. The record of the last verification is a file in the
user's cache folder; a verdict stands as long as nothing behind its label has changed.
"""

import json
import math
import os
import tempfile
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fixedpoint.fingerprint import fingerprint
from fixedpoint.laws.equation import markdown

NEAR_MISSES = "near misses: violation over allowance"
"""Under this name the details of a confrontation hold the near misses."""


@dataclass(frozen=True)
class Comparison:
    """Outcome of one of the three comparisons.

    Attributes:
        status: "passed", "checked" (a proof with steps checked at points), "none" or "failed".
        summary: one line for the screen.
        error: evaluated: largest relative error. Confronted: largest error over its bound.
        z: largest |z| of the stochastic comparisons, if any.
        comparisons: how many numbers were compared.
        details: per step, edge, observation and near miss, what was found.
        rounded: the summary without the digits that rounding decides, which differ between
            processors; the same as the summary if empty.
    """

    status: str
    summary: str
    error: float | None = None
    z: float | None = None
    comparisons: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    rounded: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing speaks against the equation; what is not a number does."""
        numbers = (self.error, self.z, *self.rejected.values())
        known = self.status in ("passed", "checked", "none")
        return known and not any(np.isnan(number) for number in numbers if number is not None)

    @property
    def rejected(self) -> Mapping[str, float]:
        """By how much each near miss violates what the data allow; above 1 it is rejected.

        Only finite numbers of the right shape do: a near miss that cannot be evaluated has 0.
        """
        return self.details.get(NEAR_MISSES, {})


@dataclass(frozen=True, repr=False)
class Verdict:
    """The three comparisons of one equation. A notebook shows them as a list.

    Attributes:
        label: the equation's label.
        kind: "exact", "asymptotic", "bound" or "conjecture".
        statement: the claim in one plain sentence.
        proved: whether its proof closes.
        evaluated: whether the solution agrees with the expression at 50 digits.
        confronted: whether the process agrees with the solution, and rejects the near misses.
        fingerprint: of what was judged; see `fixedpoint.fingerprint`.
    """

    label: str
    kind: str
    statement: str
    proved: Comparison
    evaluated: Comparison
    confronted: Comparison
    fingerprint: str = ""

    @property
    def passed(self) -> bool:
        """Whether all three comparisons passed."""
        return self.proved.passed and self.evaluated.passed and self.confronted.passed

    @property
    def mark(self) -> str:
        """The verdict in a few words, as printed beside the equation."""
        if not self.passed:
            return "FAILED"
        proof = {"passed": "proved", "checked": "checked at points", "none": "not proved"}
        return f"{proof[self.proved.status]}, evaluated, confronted"

    def __str__(self) -> str:
        """The three comparisons as `fixedpoint verify` prints them."""
        lines = [f"{self.label} ({self.kind}): {self.mark}"]
        for name, comparison in self._comparisons():
            head = f"  {_sign(comparison.passed)} {name:<12}"
            lines.append(_filled(comparison.summary, head, " " * 16))
        for name, excess in self.confronted.rejected.items():
            text = f"rejects “{name}”: off by {_times(excess)} times the allowance"
            lines.append(_filled(text, f"    {_sign(excess > 1)} ", " " * 6))
        return "\n".join(lines)

    def __repr__(self) -> str:
        """Say the label and the mark, not every number."""
        return f"<Verdict {self.label}: {self.mark}>"

    def _repr_markdown_(self) -> str:
        """What a notebook shows: the same on every processor, where nothing failed."""
        lines = [f"`{self.label}` ({self.kind}): **{self.mark}**\n"]
        for name, comparison in self._comparisons():
            summary = comparison.rounded or comparison.summary
            lines.append(f"- {_sign(comparison.passed)} *{name}*: {markdown(summary)}")
        for name, excess in self.confronted.rejected.items():
            text = markdown(f"“{name}”: off by {magnitude(excess)} the allowance")
            lines.append(f"  - {_sign(excess > 1)} rejects {text}")
        return "\n".join(lines)

    def _comparisons(self) -> Iterable[tuple[str, Comparison]]:
        yield from (("proved", self.proved), ("evaluated", self.evaluated))
        yield "confronted", self.confronted

    def as_dict(self) -> dict[str, Any]:
        """The verdict as plain data for JSON."""
        return _plain({**asdict(self), "passed": self.passed, "mark": self.mark})


def _plain(data: Any) -> Any:
    """Data that JSON can say: infinities, and whatever else it cannot, as text."""
    if isinstance(data, Mapping):
        return {str(key): _plain(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_plain(value) for value in data]
    data = data.item() if hasattr(data, "item") else data
    if data is None or isinstance(data, str | int):
        return data
    return data if isinstance(data, float) and math.isfinite(data) else str(data)


def _sign(good: bool) -> str:
    return "✓" if good else "✗"


def _filled(text: str, head: str, indent: str) -> str:
    """A line of the screen, broken at 100 columns."""
    return textwrap.fill(text, 100, initial_indent=head, subsequent_indent=indent)


def _times(excess: float) -> str:
    return f"{excess:,.3g}" if excess < 1e4 else f"{excess:.0e}"


def magnitude(excess: float) -> str:
    """How often the allowance is exceeded, to the power of ten below it."""
    if not excess > 1:
        return "less than"
    if not math.isfinite(excess) or excess < 10:
        return "more than"
    return f"more than {10 ** math.floor(math.log10(excess)):.0e} times"


def record_path() -> Path:
    """Where the verdicts of the last verification are kept, in the user's cache folder.

    Example:
        >>> record_path().name
        'verdicts.json'
    """
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "fixedpoint" / "verdicts.json"


def store(verdicts: Iterable[Verdict]) -> None:
    """Merge verdicts into the record of the last verification.

    Args:
        verdicts: the new ones; those of other equations stay as they are.

    Example:
        >>> store([])
    """
    path = record_path()
    merged = {**load(), **{v.label: v.as_dict() for v in verdicts}}
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        json.dump(merged, file, indent=1, allow_nan=False)
    os.replace(file.name, path)


def load() -> dict[str, dict[str, Any]]:
    """The record of the last verification: per label what `Verdict.as_dict` gives.

    Example:
        >>> isinstance(load(), dict)
        True
    """
    try:
        return json.loads(record_path().read_text())
    except (OSError, ValueError):
        return {}


def standing(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The recorded verdicts that still stand: what they judged is what the code says now.

    Args:
        labels: of registered equations.

    Returns:
        The part of the record; a verdict on what has changed since is left out.

    Example:
        >>> standing([])
        {}
    """
    record = load()
    return {
        label: record[label]
        for label in labels
        if label in record and record[label].get("fingerprint") == fingerprint(label)
    }
