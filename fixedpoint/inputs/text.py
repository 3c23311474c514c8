"""Counting the characters and the words of a text."""

import io
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

INSIDE = "'·״"
"""Marks that stand inside words, between letters: don't, col·lecció, צה״ל."""

JOINERS = "\u200c\u200d"
"""Zero-width signs that say how the letters of one word are joined (Persian, Hindi, Sinhala)."""

SOFT_HYPHEN = "\u00ad"


class Counts(NamedTuple):
    """Counted outcomes, the most frequent first.

    Attributes:
        outcomes: their names.
        counts: how often each occurred.
    """

    outcomes: tuple[str, ...]
    counts: np.ndarray


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


def read_text(file: str, newline: str | None = None) -> str:
    """The text of a file; of standard input for the name -."""
    content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    try:
        return io.TextIOWrapper(io.BytesIO(content), "utf-8-sig", newline=newline).read()
    except UnicodeDecodeError as failure:
        raise ValueError(
            f"{file}: must be UTF-8 text; byte {failure.start} is not ({failure.reason})."
        ) from None
