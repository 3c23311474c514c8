"""Reading a model from a file: logits or probabilities, counts, or plain text.

`read_logits` takes what the command takes: `.npy`, `.npz`, `.csv`, `text:FILE` and `words:FILE`.
The counting functions beneath it serve any text: `character_counts`, `word_counts` and
`next_character_counts`.
"""

import contextlib
import csv
import io
import itertools
import re
import sys
import unicodedata
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAMED_ARRAYS = ("logits", "probabilities")
"""Names under which an `.npz` archive of several arrays may hold the model."""

WIDEST = 1e290
"""Largest difference of two finite logits: beyond it differences and their products overflow."""

EXACT = 2**53
"""Up to it float64 has every whole number."""

SEPARATORS = ",;\t "
"""What may stand between an outcome and its count; of two that would do equally the earlier."""

SAMPLE = 1_000
"""From so many rows the separator of a table is told."""

MISSING = {"", "-", "n/a", "na", "nil", "none", "null"}
"""Words for a value that is not there: no heading of a column."""

RECIPE = ' Store numpy.asarray(array, dtype="float32") instead.'
"""What to do with an array of a type that NumPy does not read back."""

INSIDE = "'·״"
"""Marks that stand inside words, between letters: don't, col·lecció, צה״ל."""

JOINERS = "\u200c\u200d"
"""Zero-width signs that say how the letters of one word are joined (Persian, Hindi, Sinhala)."""

SOFT_HYPHEN = "\u00ad"


@dataclass(frozen=True)
class Distribution:
    """A model as read from a file.

    Attributes:
        logits: shape (..., num_outcomes), floating point; `-inf` where an outcome is lost.
        outcomes: the outcomes' labels, or `None` where the file has none.
        counts: how often each outcome was counted, or `None` where the file holds no counts.
        source: what was read, as given.
    """

    logits: np.ndarray
    outcomes: tuple[str, ...] | None
    counts: np.ndarray | None
    source: str

    @property
    def num_outcomes(self) -> int:
        """K, the number of outcomes."""
        return self.logits.shape[-1]

    @property
    def num_contexts(self) -> int:
        """Number of distributions: the product of the leading dimensions."""
        return int(np.prod(self.logits.shape[:-1], dtype=int))


class Counts(NamedTuple):
    """Counted outcomes, the most frequent first.

    Attributes:
        outcomes: their names.
        counts: how often each occurred.
    """

    outcomes: tuple[str, ...]
    counts: np.ndarray


def read_logits(path: str | Path, probabilities: bool = False) -> Distribution:
    r"""Read a model from a file.

    ============  ==================================================================
    `x.npy`       logits, shape (..., num_outcomes)
    `x.npz`       the same: its only array, or the one named `logits` or
                  `probabilities`; labels from an array named `outcomes`
    `x.csv`       lines `outcome,count`, with or without a header; semicolons, tabs or
                  blanks separate as well, and a leading line `sep=;` says which do
    `x.tsv`       the same with tabs
    `text:FILE`   the characters of a UTF-8 text; `text:-` reads standard input
    `words:FILE`  its words, in lower case; see `word_counts`
    ============  ==================================================================

    Args:
        path: the file, with the prefix `text:` or `words:` for text.
        probabilities: whether the numbers of a `.npy`, `.npz` or `.csv` file are probabilities. An
            array named `probabilities` is taken for them anyway.

    Returns:
        The model. float16, float32 and float64 stay what they are, in this machine's byte order;
        bfloat16 becomes float32; integers and longer floats become float64.

    Raises:
        OSError: the file cannot be read.
        ValueError: its content is no model: NaN, negative counts, probabilities that do not sum to
            1, finite logits more than 1e290 apart, no outcome at all, ... The message says where.

    Warns:
        UserWarning: what is taken for logits looks like something else: rows that lie in [0, 1] and
            add up to 1 like probabilities, or whole numbers like counts.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = pathlib.Path(folder, "coin.csv")
        ...     _ = file.write_text("outcome,count\nheads,3\ntails,1\n")
        ...     coin = read_logits(file)
        >>> coin.outcomes, np.exp(coin.logits).tolist()
        (('heads', 'tails'), [0.75, 0.25])
    """
    name = str(path)
    kind, colon, file = name.partition(":")
    if colon and kind in ("text", "words"):
        if probabilities:
            raise ValueError(f"`--probabilities` is not for text, which is counted; got {name}.")
        if not file:
            raise ValueError(f"`INPUT` must name a file after {kind}:; got {name!r}.")
        text = _read_text(file)
        counted = character_counts(text) if kind == "text" else word_counts(text)
        if not counted.outcomes:
            what = "characters" if kind == "text" else "words"
            raise ValueError(f"{file}: the corpus must not be empty; it has 0 {what}.")
        return _from_counts(counted.outcomes, counted.counts, name)
    suffix = Path(name).suffix.lower()
    if suffix in (".csv", ".tsv"):
        return _read_table(name, probabilities)
    if suffix in (".npy", ".npz"):
        return _read_arrays(Path(name), probabilities)
    hint = ' An array of another kind: numpy.save("x.npy", array) makes such a file.'
    if suffix in (".txt", ".md", ""):
        hint = f" For a text: words:{name} or text:{name}."
    raise ValueError(
        "`INPUT` must end in .npy, .npz, .csv or .tsv, or begin with text: (characters) or words:; "
        f"got {name!r}.{hint}"
    )


def character_counts(text: str) -> Counts:
    """Count the characters of a text, line ends and blanks included.

    Args:
        text: any text.

    Returns:
        The distinct characters with their counts, the most frequent first.

    Example:
        >>> character_counts("to be")
        Counts(outcomes=(' ', 'b', 'e', 'o', 't'), counts=array([1, 1, 1, 1, 1]))
    """
    return _ranked(Counter(text))


def word_counts(text: str) -> Counts:
    """Count the words of a text.

    A word is a run of letters of any alphabet, each with the marks that stand on it (accents,
    vowel signs, points), with apostrophes and zero-width joiners inside (don't, o'er): digits,
    hyphens and all other punctuation part words. Case is ignored (`str.lower`), the typographic
    apostrophe ’ is the plain one, soft hyphens are left out, and accents are composed (NFC).
    Where no blanks are written between words (Chinese, Japanese, Thai, Khmer, Burmese), to tell
    them takes a dictionary: there a run is what stands between blanks and punctuation.

    Args:
        text: any text.

    Returns:
        The distinct words with their counts, the most frequent first.

    Example:
        >>> word_counts("Don't, don't! It’s well-known.").outcomes
        ("don't", "it's", 'known', 'well')
        >>> word_counts("किताब और किताब").outcomes
        ('किताब', 'और')
    """
    plain = unicodedata.normalize("NFC", text.replace("’", "'").replace(SOFT_HYPHEN, "").lower())
    return _ranked(Counter(_word_pattern(set(plain)).findall(plain)))


def _word_pattern(alphabet: set[str]) -> re.Pattern[str]:
    """What a word is in a text of these characters.

    The rules 4 to 7c of the Unicode standard on word boundaries (UAX #29), without its words of
    digits: `re` knows no class of marks, so that the text's own are listed.
    """
    letters = "".join(c for c in sorted(alphabet) if c.isalpha())
    marks = "".join(c for c in sorted(alphabet) if unicodedata.category(c).startswith("M"))
    if not letters:
        return re.compile(r"(?!)")
    letter, mark = f"[{re.escape(letters)}]", f"[{re.escape(marks + JOINERS)}]"
    within = f"{mark}*(?:[{re.escape(INSIDE)}]{mark}*)?{letter}"
    # A joiner at the end of a word joins nothing.
    return re.compile(f"{letter}(?:{within})*{mark}*(?<![{JOINERS}])")


def next_character_counts(text: str) -> Counts:
    """Count which character follows which.

    The text is read as a ring, its last character followed by its first. So every row has a
    count, row and column sums both equal the character counts, and the character distribution is
    exactly stationary under the next-character probabilities.

    Args:
        text: a text of at least one character.

    Returns:
        The distinct characters in the order of `character_counts`, and a matrix whose entry (i, j)
        says how often outcome j followed outcome i.

    Raises:
        ValueError: the text is empty.

    Example:
        >>> next_character_counts("aab")
        Counts(outcomes=('a', 'b'), counts=array([[1, 1],
               [1, 0]]))
    """
    outcomes = character_counts(text).outcomes
    if not outcomes:
        raise ValueError("`text` must not be empty; got 0 characters.")
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    rank = np.zeros(codes.max() + 1, dtype=np.int64)
    rank[[ord(character) for character in outcomes]] = np.arange(len(outcomes))
    this = rank[codes]
    pairs = this * len(outcomes) + np.roll(this, -1)
    square = (len(outcomes), len(outcomes))
    return Counts(outcomes, np.bincount(pairs, minlength=square[0] ** 2).reshape(square))


def _ranked(counter: Counter[str]) -> Counts:
    ranking = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    return Counts(
        tuple(outcome for outcome, _ in ranking), np.array([n for _, n in ranking], dtype=np.int64)
    )


def _from_counts(outcomes: Iterable[str], counts: np.ndarray, source: str) -> Distribution:
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        total, top = counts.sum(), counts.max()
        scaled = counts if np.isfinite(total) else counts / top
        shares = scaled / scaled.sum()
        # Where a share is below the range of float64, its logarithm is not.
        tiny = np.log(counts.astype(float)) - np.log(float(top)) - np.log((counts / top).sum())
        logits = np.where(shares < np.finfo(float).tiny, tiny, np.log(shares))
    return Distribution(logits, tuple(outcomes), counts, source)


def _read_text(file: str, newline: str | None = None) -> str:
    """The text of a file; of standard input for the name -."""
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline=newline).read()
    except UnicodeDecodeError as failure:
        raise ValueError(
            f"{file}: must be UTF-8 text; byte {failure.start} is not ({failure.reason})."
        ) from None


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


def _read_table(file: str, probabilities: bool) -> Distribution:
    """Read lines `outcome,count`; every complaint names its line."""
    what = "probability" if probabilities else "count"
    lines = list(io.StringIO(_read_text(file, newline=""), newline=""))
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
        logits = _log(_checked_probabilities(values, file))
        return Distribution(logits, tuple(found), None, file)
    with np.errstate(over="ignore"):
        whole = np.all(values == np.round(values)) and values.sum() < EXACT
    return _from_counts(found, values.astype(np.int64) if whole else values, file)


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


def _read_arrays(path: Path, probabilities: bool) -> Distribution:
    """Read `.npy` or `.npz`, never a pickle."""
    labels = None
    with path.open("rb") as file:  # NumPy leaves a file that it cannot read open
        start = file.read(6)
        if not start:
            raise ValueError(f"{path}: must be a NumPy file; it is empty.")
        if start != b"\x93NUMPY" and start[:2] != b"PK":
            raise ValueError(
                f"{path}: must be a NumPy file; it begins with {start!r} (numpy.save writes one)."
            )
        file.seek(0)
        try:
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                array = loaded
            else:
                name = _array_name(path, loaded.files)
                array = loaded[name]
                if not isinstance(array, np.ndarray):
                    raise _ArchiveError(f"{path}: {name} must be an array; it is none of NumPy's.")
                probabilities = probabilities or name == "probabilities"
                if "outcomes" in loaded.files and name != "outcomes":
                    labels = _labels(path, loaded["outcomes"])
        except _ArchiveError:
            raise
        except MemoryError:
            raise ValueError(f"{path}: must fit into memory.") from None
        except Exception as failure:  # NumPy and zipfile raise a dozen kinds
            why = str(failure).rstrip(".")
            raise ValueError(
                f"{path}: must be a whole NumPy file without pickled objects; {why}."
                + (RECIPE if "descr" in why else "")
            ) from failure
    if array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"{path}: must have the shape (..., outcomes), not empty; got {array.shape}."
        )
    whole_numbers = array.dtype.kind in "iu"
    array, precision = _native(array, path)
    if labels is not None and len(labels) != array.shape[-1]:
        raise ValueError(
            f"{path}: `outcomes` must label all {array.shape[-1]} outcomes; got {len(labels)}."
        )
    if probabilities:
        logits = _log(_checked_probabilities(array, str(path), precision))
    else:
        logits = _checked_logits(array, str(path))
        _warn_of_other_kinds(array, str(path), precision, whole_numbers)
    return Distribution(logits, labels, None, str(path))


def _labels(path: Path, outcomes: np.ndarray) -> tuple[str, ...]:
    """The outcomes' names: text, bytes of UTF-8 text, or numbers."""
    if outcomes.dtype.kind not in "USiu":
        raise _ArchiveError(f"{path}: `outcomes` must be text; got the type {outcomes.dtype}.")
    if outcomes.ndim != 1:
        raise _ArchiveError(f"{path}: `outcomes` must be a list; got shape {outcomes.shape}.")
    try:
        return tuple(x.decode() if isinstance(x, bytes) else str(x) for x in outcomes.tolist())
    except UnicodeDecodeError as failure:
        raise _ArchiveError(
            f"{path}: `outcomes` must be UTF-8 text; got {failure.object!r}."
        ) from None


def _native(array: np.ndarray, path: Path) -> tuple[np.ndarray, float]:
    """The numbers in a type that JAX knows, and the precision they were stored in."""
    kind, given = array.dtype.kind, array.dtype
    if kind == "V" and given.names is None and given.itemsize == 2:
        # What NumPy stores of a bfloat16 array: the upper half of a float32.
        return (array.view("<u2").astype(np.uint32) << 16).view(np.float32), 2.0**-7
    if kind not in "iuf":
        recipe = RECIPE if kind == "V" and given.names is None else ""
        raise ValueError(f"{path}: must hold real numbers; got the type {given}.{recipe}")
    if kind != "f" and max(abs(int(array.min())), abs(int(array.max()))) > EXACT:
        raise ValueError(f"{path}: whole numbers must be within ±2^53, as float64 has them all.")
    if kind == "f" and given.itemsize <= 8:
        return array.astype(given.newbyteorder("="), copy=False), float(np.finfo(given).eps)
    with np.errstate(over="ignore"):
        double = array.astype(np.float64)
    _refuse(np.isinf(double) & np.isfinite(array), array, f"{path}: must be within ±1.8e308")
    return double, float(np.finfo(float).eps)


def _warn_of_other_kinds(
    logits: np.ndarray, name: str, precision: float, whole_numbers: bool
) -> None:
    """Warn of probabilities and counts, which would pass for logits."""
    if logits.shape[-1] == 1 or logits.min() < 0:
        return
    if logits.max() <= 1 and (np.abs(_sums(logits) - 1) <= _tolerance(precision)).all():
        like, instead = "each row lies in [0, 1] and adds up to 1, like", "--probabilities"
        what = f"probabilities; if they are, say so: {instead} (read_logits: probabilities=True)"
    elif whole_numbers and logits.max() > 1:
        like = "there are whole numbers >= 0 alone, like"
        what = "counts; if they are, store their logarithms instead"
    else:
        return
    warnings.warn(f"{name}: taken as logits, but {like} {what}.", UserWarning, stacklevel=4)


class _ArchiveError(ValueError):
    """An archive in which the model or its labels cannot be told."""


def _array_name(path: Path, names: list[str]) -> str:
    named = [name for name in NAMED_ARRAYS if name in names]
    if len(named) == 1:
        return named[0]
    if len(names) == 1:
        return names[0]
    raise _ArchiveError(
        f"{path}: must hold one array, or exactly one named logits or probabilities; "
        f"got {', '.join(names) or 'none'}."
    )


def _checked_logits(logits: np.ndarray, name: str) -> np.ndarray:
    """Refuse NaN, +inf and rows without any outcome; name the first offender."""
    _refuse(np.isnan(logits), logits, f"{name}: logits must not be NaN")
    _refuse(logits == np.inf, logits, f"{name}: logits must be < inf")
    lost = ~np.isfinite(logits).any(-1)
    if lost.any():
        where = _position(lost)
        raise ValueError(
            f"{name}: at least one logit must be finite; all {logits.shape[-1]} are -inf{where}."
        )
    if logits.dtype == np.float64:
        top = logits.max(-1, keepdims=True)
        with np.errstate(over="ignore"):
            apart = np.isfinite(logits) & (top - logits > WIDEST)
        rule = f"{name}: logits must be within {WIDEST:g} of their row's largest, or -inf (lost)"
        _refuse(apart, logits, rule)
    return logits


def _sums(rows: np.ndarray) -> np.ndarray:
    return rows.sum(-1, dtype=np.float64)


def _tolerance(precision: float) -> float:
    """How far from 1 probabilities of a precision may add up to."""
    return max(1e-6, precision**0.5)


def _checked_probabilities(
    probabilities: np.ndarray, name: str, precision: float = 0.0
) -> np.ndarray:
    """Refuse NaN, negative numbers and rows that do not sum to 1 as well as their type can."""
    valid = (probabilities >= 0) & (probabilities <= 1.01)
    _refuse(~valid, probabilities, f"{name}: probabilities must be between 0 and 1")
    sums, tolerance = _sums(probabilities), _tolerance(precision)
    off = np.abs(sums - 1) > tolerance
    if off.any():
        where = _position(off)
        raise ValueError(
            f"{name}: probabilities must sum to 1 (within {tolerance:.0e}); "
            f"got {sums[off].flat[0]:.7g}{where}."
        )
    return probabilities


def _refuse(wrong: np.ndarray, values: np.ndarray, rule: str) -> None:
    if wrong.any():
        raise ValueError(f"{rule}; got {values[wrong].flat[0]!s}{_position(wrong)}.")


def _position(wrong: Any) -> str:
    """Where the first offender stands, as an index to type; nothing if there is no choice."""
    index = np.argwhere(wrong)[0]
    return f" at [{', '.join(map(str, index))}]" if index.size else ""


def _log(probabilities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(probabilities)
