"""How to cite the software and the articles that its laws rest on, as BibTeX."""

import re
from collections.abc import Iterable
from importlib import resources
from typing import Any

import fixedpoint
from fixedpoint.laws.equation import equations

TITLE = "fixedpoint: what becomes of a softmax model that is trained on its own samples"
AUTHORS = "The fixedpoint authors"
YEAR = "2026"


def software() -> str:
    """The BibTeX entry of this software: the facts of `CITATION.cff`.

    Returns:
        The entry, under the key `fixedpoint`.

    Example:
        >>> print(software().splitlines()[0])
        @misc{fixedpoint,
    """
    return (
        "@misc{fixedpoint,\n"
        f"  author = {{{{{AUTHORS}}}}},\n"
        f"  title  = {{{{{TITLE}}}}},\n"
        f"  year   = {{{YEAR}}},\n"
        f"  note   = {{Software, version {fixedpoint.__version__}}}\n"
        "}"
    )


def articles() -> dict[str, str]:
    """Every article of `laws/references.bib`.

    Returns:
        For each key its BibTeX entry, in the order of the file.

    Example:
        >>> articles()["mei2020"].startswith("@misc{mei2020,")
        True
    """
    file = resources.files("fixedpoint.laws") / "references.bib"
    entries = re.split(r"\n(?=@)", file.read_text(encoding="utf-8").strip())
    return {entry[entry.index("{") + 1 : entry.index(",")]: entry.strip() for entry in entries}


def cite(labels: Iterable[str] = ()) -> str:
    """What to cite for the laws that were used.

    Args:
        labels: labels of registered equations, e.g. "tempering.logits"; none for the software
            alone.

    Returns:
        BibTeX: the software, then each article once, headed by a comment a label that says where
        the equation comes from. (BibTeX skips what stands between entries.)

    Raises:
        KeyError: no equation has that label.
        ValueError: `labels` is no list of labels.

    Example:
        >>> print(cite(["families.cone", "geometry.natural"]).partition("@")[0].strip())
        % families.cone: derived here
        % geometry.natural: derived here; natural gradient of Amari (1998)
    """
    wanted: list[Any]
    try:
        wanted = list(labels)
    except TypeError:
        wanted = [labels]
    if isinstance(labels, str) or not all(isinstance(label, str) for label in wanted):
        raise ValueError(f"`labels` must be a list such as ['tempering.logits']; got {labels!r}.")
    chosen = [equations()[label] for label in wanted]
    comments = [f"% {equation.label}: {equation.source}" for equation in chosen]
    keys = dict.fromkeys(key for equation in chosen for key in equation.cites)
    known = articles()
    heads = ["\n".join(comments)] if comments else []
    return "\n\n".join([*heads, software(), *(known[key] for key in keys)])
