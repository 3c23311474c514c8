"""Reading logits or probabilities from NumPy's files, never a pickle."""

import warnings
from pathlib import Path

import numpy as np

from fixedpoint.inputs.distribution import (
    EXACT,
    Distribution,
    checked_logits,
    checked_probabilities,
    log,
    refuse,
    row_sums,
    tolerance_of,
)

NAMED_ARRAYS = ("logits", "probabilities")
"""Names under which an `.npz` archive of several arrays may hold the model."""

RECIPE = ' Store numpy.asarray(array, dtype="float32") instead.'
"""What to do with an array of a type that NumPy does not read back."""


def read_arrays(path: Path, probabilities: bool) -> Distribution:
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
        logits = log(checked_probabilities(array, str(path), precision))
    else:
        logits = checked_logits(array, str(path))
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
    refuse(np.isinf(double) & np.isfinite(array), array, f"{path}: must be within ±1.8e308")
    return double, float(np.finfo(float).eps)


def _warn_of_other_kinds(
    logits: np.ndarray, name: str, precision: float, whole_numbers: bool
) -> None:
    """Warn of probabilities and counts, which would pass for logits."""
    if logits.shape[-1] == 1 or logits.min() < 0:
        return
    if logits.max() <= 1 and (np.abs(row_sums(logits) - 1) <= tolerance_of(precision)).all():
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
