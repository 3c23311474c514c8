"""Reading a model from a file: logits or probabilities, counts, or plain text.

`read_logits` takes what the command takes: `.npy`, `.npz`, `.csv`, `text:FILE` and `words:FILE`.
The counting functions beneath it serve any text: `character_counts`, `word_counts` and
`next_character_counts`.
"""

import csv
import io
import re
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

NAMED_ARRAYS = ("logits", "probabilities")
"""Names under which an `.npz` archive of several arrays may hold the model."""

WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")
"""A word: letters of any alphabet, with apostrophes between letters (don't, o'er)."""


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
    `x.csv`       lines `outcome,count`, with or without a header
    `text:FILE`   the characters of a UTF-8 text
    `words:FILE`  its words, in lower case; see `word_counts`
    ============  ==================================================================

    Args:
        path: the file, with the prefix `text:` or `words:` for text.
        probabilities: whether the numbers of a `.npy`, `.npz` or `.csv` file are probabilities. An
            array named `probabilities` is taken for them anyway.

    Returns:
        The model. float16, float32 and float64 stay what they are; integers become float64.

    Raises:
        OSError: the file cannot be read.
        ValueError: its content is no model: NaN, negative counts, probabilities that do not sum to
            1, no outcome at all, ... The message says where.

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
        text = _read_text(Path(file))
        counted = character_counts(text) if kind == "text" else word_counts(text)
        if not counted.outcomes:
            what = "characters" if kind == "text" else "words"
            raise ValueError(f"{file}: the corpus must not be empty; it has 0 {what}.")
        return _from_counts(counted.outcomes, counted.counts, name)
    suffix = Path(name).suffix.lower()
    if suffix == ".csv":
        return _read_csv(Path(name), probabilities)
    if suffix in (".npy", ".npz"):
        return _read_arrays(Path(name), probabilities)
    hint = f" For a text: words:{name} or text:{name}." if suffix in (".txt", ".md", "") else ""
    raise ValueError(
        "`INPUT` must end in .npy, .npz or .csv, or begin with text: (characters) or words:; "
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

    A word is a run of letters of any alphabet, with apostrophes inside (don't, o'er): digits,
    hyphens and all other punctuation part words. Case is ignored (`str.lower`), the typographic
    apostrophe ’ is the plain one, and accents are composed (NFC).

    Args:
        text: any text.

    Returns:
        The distinct words with their counts, the most frequent first.

    Example:
        >>> word_counts("Don't, don't! It’s well-known.").outcomes
        ("don't", "it's", 'known', 'well')
    """
    plain = unicodedata.normalize("NFC", text).replace("’", "'").lower()
    return _ranked(Counter(WORD.findall(plain)))


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
    with np.errstate(divide="ignore"):
        logits = np.log(counts / counts.sum())
    return Distribution(logits, tuple(outcomes), counts, source)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as failure:
        raise ValueError(
            f"{path}: must be UTF-8 text; byte {failure.start} is not ({failure.reason})."
        ) from None


def _read_csv(path: Path, probabilities: bool) -> Distribution:
    """Read lines `outcome,count`; every complaint names its line."""
    what = "probability" if probabilities else "count"
    found: dict[str, tuple[int, float]] = {}
    lines = csv.reader(io.StringIO(_read_text(path)))
    try:
        for row in lines:
            number = lines.line_num
            if not any(cell.strip() for cell in row):
                continue
            if len(row) != 2:
                raise ValueError(
                    f"{path}, line {number}: must be outcome,{what}; got {len(row)} fields."
                )
            outcome, value = row[0], _number(row[1])
            if value is None and number == 1 and not re.search(r"\d", row[1]):
                continue  # the header
            if value is None or not 0 <= value < np.inf:
                raise ValueError(
                    f"{path}, line {number}: the {what} must be a finite number >= 0; "
                    f"got {row[1].strip()!r}."
                )
            if outcome in found:
                raise ValueError(
                    f"{path}, line {number}: every outcome must occur once; "
                    f"{outcome!r} was on line {found[outcome][0]} already."
                )
            found[outcome] = (number, value)
    except csv.Error as failure:
        raise ValueError(f"{path}, line {lines.line_num}: must be CSV; {failure}.") from None
    values = np.array([value for _, value in found.values()])
    if not values.sum() > 0:
        raise ValueError(f"{path}: the corpus must not be empty; its {what} column sums to 0.")
    if probabilities:
        logits = _log(_checked_probabilities(values, str(path)))
        return Distribution(logits, tuple(found), None, str(path))
    if np.all(values == np.round(values)) and values.sum() < 2**53:
        values = values.astype(np.int64)
    return _from_counts(found, values, str(path))


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _read_arrays(path: Path, probabilities: bool) -> Distribution:
    """Read `.npy` or `.npz`, never a pickle."""
    labels = None
    try:
        with path.open("rb") as file:  # NumPy leaves a file that it cannot read open
            loaded = np.load(file, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                array = loaded
            else:
                name = _array_name(path, loaded.files)
                array = loaded[name]
                probabilities = probabilities or name == "probabilities"
                if "outcomes" in loaded.files and loaded["outcomes"].dtype.kind == "U":
                    labels = tuple(map(str, loaded["outcomes"]))
    except _ArchiveError:
        raise
    except (zipfile.BadZipFile, EOFError, ValueError) as failure:
        raise ValueError(f"{path}: must be a NumPy file without pickled objects.") from failure
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{path}: must hold real numbers; got the type {array.dtype}.")
    if array.ndim == 0 or array.size == 0:
        raise ValueError(
            f"{path}: must have the shape (..., outcomes), not empty; got {array.shape}."
        )
    if array.dtype.kind != "f":
        array = array.astype(np.float64)
    if labels is not None and len(labels) != array.shape[-1]:
        raise ValueError(
            f"{path}: `outcomes` must label all {array.shape[-1]} outcomes; got {len(labels)}."
        )
    checked = _checked_probabilities if probabilities else _checked_logits
    logits = checked(array, str(path))
    return Distribution(_log(logits) if probabilities else logits, labels, None, str(path))


class _ArchiveError(ValueError):
    """An archive in which the model cannot be told from the other arrays."""


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
    return logits


def _checked_probabilities(probabilities: np.ndarray, name: str) -> np.ndarray:
    """Refuse NaN, negative numbers and rows that do not sum to 1 as well as their type can."""
    valid = (probabilities >= 0) & (probabilities <= 1.01)
    _refuse(~valid, probabilities, f"{name}: probabilities must be between 0 and 1")
    sums = probabilities.sum(-1, dtype=np.float64)
    tolerance = max(1e-6, float(np.finfo(probabilities.dtype).eps) ** 0.5)
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
        raise ValueError(f"{rule}; got {values[wrong].flat[0]}{_position(wrong)}.")


def _position(wrong: Any) -> str:
    """Where the first offender stands, as an index to type; nothing if there is no choice."""
    index = np.argwhere(wrong)[0]
    return f" at [{', '.join(map(str, index))}]" if index.size else ""


def _log(probabilities: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(probabilities)
