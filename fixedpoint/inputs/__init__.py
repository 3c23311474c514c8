"""Reading a model from a file: logits or probabilities, counts, or plain text.

`read_logits` takes what the command takes: `.npy`, `.npz`, `.csv`, `text:FILE` and `words:FILE`.
The counting functions beneath it serve any text: `character_counts`, `word_counts` and
`next_character_counts`.
"""

from pathlib import Path

from fixedpoint.inputs.arrays import read_arrays
from fixedpoint.inputs.distribution import Distribution, from_counts
from fixedpoint.inputs.table import read_table
from fixedpoint.inputs.text import (
    Counts,
    character_counts,
    next_character_counts,
    read_text,
    word_counts,
)

__all__ = [
    "Counts",
    "Distribution",
    "character_counts",
    "next_character_counts",
    "read_logits",
    "word_counts",
]


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

    Warns:
        UserWarning: what is taken for logits looks like something else: rows that lie in [0, 1] and
            add up to 1 like probabilities, or whole numbers like counts.

    Example:
        >>> import pathlib, tempfile
        >>> import numpy as np
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
        text = read_text(file)
        counted = character_counts(text) if kind == "text" else word_counts(text)
        if not counted.outcomes:
            what = "characters" if kind == "text" else "words"
            raise ValueError(f"{file}: the corpus must not be empty; it has 0 {what}.")
        return from_counts(counted.outcomes, counted.counts, name)
    suffix = Path(name).suffix.lower()
    if suffix in (".csv", ".tsv"):
        return read_table(name, probabilities)
    if suffix in (".npy", ".npz"):
        return read_arrays(Path(name), probabilities)
    hint = ' An array of another kind: numpy.save("x.npy", array) makes such a file.'
    if suffix in (".txt", ".md", ""):
        hint = f" For a text: words:{name} or text:{name}."
    raise ValueError(
        "`INPUT` must end in .npy, .npz, .csv or .tsv, or begin with text: (characters) or words:; "
        f"got {name!r}.{hint}"
    )
