"""Reading a table of counts or probabilities: lines `outcome,count`."""

import contextlib
import csv
import io
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fixedpoint.inputs.distribution import (
    EXACT,
    Distribution,
    checked_probabilities,
    from_counts,
    log,
)
from fixedpoint.inputs.text import read_text

SEPARATORS = ",;\t "
"""What may stand between an outcome and its count; of two that would do equally the earlier."""

SAMPLE = 1_000
"""From so many rows the separator of a table is told."""

MISSING = {"", "-", "n/a", "na", "nil", "none", "null"}
"""Words for a value that is not there: no heading of a column."""


class _Row(NamedTuple):
    """A line of a table, with the number it has in its file."""

    line: int
    fields: list[str]


def _rows(lines: Iterable[str], separator: str) -> Iterator[_Row]:
    """The lines that are not blank, cut at the separator; several blanks are one."""
    blank = separator == " "
    reader = csv.reader(
        (line.strip() for line in lines) if blank else lines,
        delimiter=separator,
        skipinitialspace=blank,
        strict=True,  # a quotation mark that is never closed must not swallow the lines after it
    )
    try:
        for fields in reader:
            if any(field.strip() for field in fields):
                yield _Row(reader.line_num, fields)
    except csv.Error as failure:
        raise _TableError(reader.line_num, f"must be CSV; {failure}.") from None


class _TableError(ValueError):
    """What is wrong with a line of a table."""

    def __init__(self, line: int, complaint: str) -> None:
        super().__init__(complaint)
        self.line = line


def read_table(file: str, probabilities: bool) -> Distribution:
    """Read lines `outcome,count`; every complaint names its line."""
    what = "probability" if probabilities else "count"
    lines = list(io.StringIO(read_text(file, newline=""), newline=""))
    lead = 0
    if declared := re.fullmatch(r'"?sep=([^\w"\s]|[ \t])"?\s*', lines[0] if lines else "", re.I):
        separator, lead = declared[1], 1
    elif Path(file).suffix.lower() == ".tsv":
        separator = "\t"
    else:
        separator = _separator(lines, file)
    found: dict[str, tuple[int, float]] = {}
    try:
        for number, (line, fields) in enumerate(_rows(lines[lead:], separator)):
            if len(fields) != 2:
                raise _TableError(line, f"must be outcome,{what}; got {len(fields)} fields.")
            outcome, cell = fields[0], fields[1].strip()
            value = _number(cell)
            if value is None and number == 0 and _is_heading(cell):
                continue
            if value is None or not 0 <= value < np.inf:
                raise _TableError(line, _no_count(outcome, cell, what))
            if outcome in found:
                raise _TableError(
                    line,
                    f"every outcome must occur once; {outcome!r} was on line "
                    f"{found[outcome][0] + lead} already.",
                )
            found[outcome] = (line, value)
    except _TableError as failure:
        raise ValueError(f"{file}, line {failure.line + lead}: {failure}") from None
    values = np.array([value for _, value in found.values()])
    if not (values > 0).any():
        raise ValueError(
            f"{file}: the corpus must not be empty; "
            + (f"its {what} column sums to 0." if found else f"it has no line outcome,{what}.")
        )
    if probabilities:
        logits = log(checked_probabilities(values, file))
        return Distribution(logits, tuple(found), None, file)
    with np.errstate(over="ignore"):
        whole = np.all(values == np.round(values)) and values.sum() < EXACT
    return from_counts(found, values.astype(np.int64) if whole else values, file)


def _separator(lines: list[str], file: str) -> str:
    """What cuts the most of the lines in two; refuse if that may be read in two ways."""
    halves: dict[str, list[_Row]] = {}
    for separator in SEPARATORS:
        rows: list[_Row] = []
        # A file that is no CSV with this separator is told by the lines before the trouble.
        with contextlib.suppress(_TableError):
            rows.extend(itertools.islice(_rows(lines, separator), SAMPLE))
        halves[separator] = [row for row in rows if len(row.fields) == 2]
    best = max(SEPARATORS, key=lambda separator: len(halves[separator]))
    for other in SEPARATORS[:-1]:
        if other != best and 0 < len(halves[other]) == len(halves[best]):
            # a;1,5 has the count 1,5 or the outcome a;1: both ways each line has some number.
            both = zip(halves[best], halves[other], strict=True)
            if all(
                _looks_like_number(a[1]) and _looks_like_number(b[1]) for (_, a), (_, b) in both
            ):
                (line, a), (_, b) = halves[best][0], halves[other][0]
                raise ValueError(
                    f"{file}, line {line}: must have one meaning; may be outcome {a[0]!r}, count "
                    f"{a[1]}, or outcome {b[0]!r}, count {b[1]}. Begin the file with a line sep=, "
                    "or sep=; and write counts as 1500 or 1.5."
                )
    return best


def _looks_like_number(cell: str) -> bool:
    """Whether someone may have meant a number, with whatever marks between its digits."""
    return (
        re.fullmatch(r"[+-]?\d[\d.,'_ \u00a0\u202f]*(e[+-]?\d+)?", cell.strip(), re.I) is not None
    )


def _is_heading(cell: str) -> bool:
    """Whether what stands over the counts is the name of a column."""
    return cell.lower() not in MISSING and (cell[:1].isalpha() or cell[:1] in ("#", "_"))


def _no_count(outcome: str, cell: str, what: str) -> str:
    """What is wrong with a cell that should hold a count."""
    text = f"the {what} must be a finite number >= 0; got {cell!r}."
    if _number(cell) is None and _looks_like_number(cell):
        text += " Write 1,500 as 1500, and the decimal comma as a point."
    elif _number(cell) is None and _number(outcome) is not None:
        text += f" The outcome comes first, then the {what}."
    return text


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
