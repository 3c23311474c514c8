"""The docstrings of the public face have the sections that a reader looks for."""

import importlib
import inspect
import re

import pytest

import fixedpoint
from fixedpoint.laws.equation import equations

LAWS = sorted({equation.law for equation in equations().values()})
MODULES = ["simplex", "potential", "chain", "confront", "inputs", "citations"]
SOLUTIONS = [f"laws.{law}" for law in LAWS]


def public(module):
    """What a module offers by its own: functions and classes defined in the package."""
    names = getattr(module, "__all__", None) or [n for n in vars(module) if not n.startswith("_")]
    for name in names:
        found = getattr(module, name)
        home = getattr(found, "__module__", "")
        # A package hands on what its modules define; a module only what is its own.
        own = home == module.__name__ or (hasattr(module, "__path__") and "fixedpoint" in home)
        if own and callable(found):
            yield name, found


FACE = [
    (f"{module}.{name}".removeprefix("."), found)
    for module in ["", *MODULES, *SOLUTIONS]
    for name, found in public(importlib.import_module(f"fixedpoint.{module}".rstrip(".")))
]


def sections(found):
    return set(re.findall(r"^(\w+):$", inspect.getdoc(found) or "", flags=re.MULTILINE))


def expected(name, found):
    """The sections that a docstring must have."""
    if inspect.isclass(found):
        if issubclass(found, Exception):
            return set()
        made_by_users = f"{found.__module__}".startswith("fixedpoint.loop") and name != "Trajectory"
        return {"Example"} if made_by_users else {"Attributes"}
    needed = {"Example"}
    if inspect.signature(found).parameters:
        needed.add("Args")
    return needed


@pytest.mark.parametrize(("name", "found"), FACE, ids=[name for name, _ in FACE])
def test_sections(name, found):
    first = (inspect.getdoc(found) or "").partition("\n")[0]
    assert first.endswith((".", ":", ")"))
    assert expected(name, found) <= sections(found)


def test_the_face_is_all_there():
    names = {name for name, _ in FACE}
    assert set(equations()) <= {name.removeprefix("laws.") for name in names}
    assert {"solve", "run", "simplex.entropy", "confront.verify", "inputs.read_logits"} <= names
    assert "Args" not in sections(test_the_face_is_all_there)
    assert {"Args", "Returns"} <= sections(fixedpoint.run)
