"""What the user is told where something is not what it must be: one line, always."""

import argparse
import contextlib
import difflib
import re
from collections.abc import Generator, Sequence
from decimal import Decimal, InvalidOperation
from typing import NoReturn

WIDTH = 100
"""Columns that the output keeps within."""

LARGEST = 10**15
"""Largest whole number accepted: floats count every one up to it."""


class InputError(Exception):
    """Something the user gave is not what it must be; the message says what, in one line."""


class ComputationError(Exception):
    """What was asked for cannot be computed; the message says why, in one line."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose complaints are one line."""

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise InputError(re.sub(r"^argument ([^:]+): ", r"`\1` ", message))


def number(text: str) -> float:
    """A float from the command line."""
    try:
        return float(text) + 0.0  # which makes 0 of -0
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be a number; got {text!r}.") from None


def whole(text: str) -> int:
    """An integer from the command line; 1e9 is one."""
    try:
        value = Decimal(text)
        # (The digits of 1e999999999 would not fit into memory.)
        if value.is_finite() and value.adjusted() > 30 and value > 0:
            raise argparse.ArgumentTypeError(f"must be <= {LARGEST:,}; got {text!r}.")
        if value.is_finite() and value == value.to_integral_value():
            return int(value)
    except InvalidOperation:
        pass
    raise argparse.ArgumentTypeError(
        f"must be a whole number (1000 or 1e3, without separators); got {text!r}."
    )


def got(value: str, allowed: Sequence[str], meant: str | None = None) -> str:
    """What was got, and the nearest of what is allowed."""
    near = difflib.get_close_matches(meant or value, allowed, n=1, cutoff=0.5)
    return f"got {value!r}." + (f" Did you mean {near[0]!r}?" if near else "")


@contextlib.contextmanager
def complaints(argument: str = "") -> Generator[None]:
    """Turn what a check or a file says of an argument into one line for the user."""
    try:
        yield
    except OSError as failure:
        where = f"{failure.filename}: " if failure.filename is not None else ""
        text = f"{where}{failure.strerror or failure}"
    except ValueError as failure:
        text = " ".join(str(failure).split())
    else:
        return
    raise InputError(text if text.startswith("`") else f"`{argument}` {text}")
