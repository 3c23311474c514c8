"""Whether the parts of a loop fit each other and the model.

It is looked at before a run, by shapes alone, where it is not so by construction: parts with
several numbers, or of a user's own. Whoever wrote a part sees their own error, and where.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from fixedpoint.loop import kind
from fixedpoint.loop.corpora import Target, branch
from fixedpoint.loop.generation import Loop

__all__ = ["check_fits"]


def check_fits(loop: Loop, logits: Array, key: Array | None) -> None:
    """Check that a generation leads from models of this shape to models of this shape.

    Args:
        loop: The process.
        logits: The model.
        key: A random key; None if the loop draws nothing.
    """
    for sampler in loop.samplers:
        if not _is_plain(sampler):
            found = _shapes(sampler, (sampler,), lambda s=sampler: s(logits), logits)
            _check_model(sampler, found, logits)
    training = loop.corpus, loop.learner
    if not _is_ours(loop.corpus):
        _check_corpus(loop, logits, key)
    if not all(map(_is_plain, training)):
        what = f"{loop.learner} on {loop.corpus}"
        found = _shapes(what, training, lambda: loop.generation(logits, key=key)[0], logits)
        _check_model(what, found, logits)


def _check_corpus(loop: Loop, logits: Array, key: Array | None) -> None:
    """A corpus of one's own: (Target, memory), and a memory that keeps its form."""
    corpus = loop.corpus

    def assemble() -> Any:
        memory = corpus.initial(logits)
        return memory, corpus(loop.drawn(logits), memory, None if key is None else branch(key, 0))

    memory, result = _shapes(corpus, (corpus,), assemble, logits)
    if not (isinstance(result, tuple) and len(result) == 2 and isinstance(result[0], Target)):
        raise ValueError(f"`corpus` must return (Target, memory); {corpus} returns {result}.")
    target, after = result
    _check_model(corpus, target.logits, logits)
    before = jax.tree.map(_described, memory)
    if jax.tree.map(_described, after) != before:
        raise ValueError(
            "`corpus` must keep the form of its memory, structure, shapes and types; that of "
            f"{corpus} is {memory} at first and {after} after a generation."
        )


def _check_model(what: object, result: Any, logits: Array) -> None:
    floats = _is_array(result) and jnp.issubdtype(result.dtype, jnp.floating)
    if floats and result.shape == logits.shape:
        return
    shown = f"shape {result.shape} and type {result.dtype}" if _is_array(result) else result
    raise _misfit(what, shown, logits)


def _misfit(what: object, returned: Any, logits: Array) -> ValueError:
    return ValueError(
        f"`loop` must lead from logits of shape {logits.shape} to floats of this shape; {what} "
        f"returns {returned}. (One parameter for each model of a batch goes with logits of shape "
        "(models, outcomes), or with jax.vmap over the loop.)"
    )


def _shapes(
    what: object, parts: tuple[Any, ...], function: Callable[[], Any], logits: Array
) -> Any:
    """The shapes that a function of these parts returns, or what they raise."""
    try:
        return eqx.filter_eval_shape(function)
    except (TypeError, ValueError) as error:
        # Whoever wrote a part sees their own error, and where; ours say what they must.
        if all(map(_is_ours, parts)) and not str(error).startswith("`"):
            text = " ".join(str(error).split())[:100]
            raise _misfit(what, f"no shape ({text})", logits) from None
        error.add_note(
            f"This is what {what} raises in one generation of `fixedpoint.run`, given logits of "
            f"shape {logits.shape}. (A key is None where no part says that it is stochastic.)"
        )
        raise


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype")


def _described(leaf: Any) -> Any:
    return (leaf.shape, str(leaf.dtype)) if _is_array(leaf) else leaf


def _is_ours(part: Any) -> bool:
    return bool(kind.name(part))


def _is_plain(part: Any) -> bool:
    """Whether a part is of this package and has no parameters but single numbers."""
    return _is_ours(part) and all(np.ndim(leaf) == 0 for leaf in jax.tree.leaves(part))
