"""A verdict stands as long as what it judged is unchanged, and not a moment longer."""

from pathlib import Path

import pytest

from fixedpoint import fingerprint as module
from fixedpoint.laws.equation import equations
from fixedpoint.verdict import Comparison, Verdict, standing, store

FILES = {
    "confront.py": "THRESHOLD = 5\n",
    "simplex.py": 'from fixedpoint.checks import check\n\n\ndef entropy(x):\n    """Say."""\n',
    "checks.py": "def check(x):\n    return x\n",
    "loop.py": "def run():\n    return 1\n",
    "laws/heat/derivation.py": "x = 1\n\n\ndef helper():\n    return x\n\n\n"
    "def melting(answer):\n    return helper()\n\n\ndef boiling(answer):\n    return 2\n",
    "laws/heat/solution.py": "from fixedpoint import simplex\n\n\n"
    "def melting(t):\n    return simplex.entropy(t)\n\n\ndef boiling(t):\n    return t\n",
    "laws/heat/process.py": "def melting():\n    from fixedpoint.loop import run\n    return run\n"
    "\n\ndef boiling():\n    return 3\n",
}


def forget():
    for part in vars(module).values():
        if hasattr(part, "cache_clear"):
            part.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package in miniature with one law of two quantities."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(module, "PACKAGE", tmp_path)
    monkeypatch.setattr(module, "JUDGE", tmp_path / "confront.py")
    forget()
    yield tmp_path
    monkeypatch.undo()
    forget()


def taken():
    forget()
    return [module.fingerprint(f"heat.{name}") for name in ("melting", "boiling")]


@pytest.mark.parametrize(
    ("name", "old", "new", "changed"),
    [
        ("laws/heat/derivation.py", "return 2", "return 3", (False, True)),
        ("laws/heat/derivation.py", "return x", "return -x", (True, False)),
        ("laws/heat/derivation.py", "x = 1", "x = 2", (True, False)),
        ("laws/heat/solution.py", "return t", "return 2 * t", (False, True)),
        ("laws/heat/process.py", "return 3", "return 4", (False, True)),
        ("loop.py", "return 1", "return 2", (True, False)),
        ("checks.py", "return x", "return None", (True, False)),
        ("confront.py", "5", "6", (True, True)),
        ("simplex.py", '"""Say."""', '"""Say something else."""', (False, False)),
        ("checks.py", "def check", "# A check.\n\n\ndef check", (False, False)),
    ],
)
def test_what_is_behind_a_label_counts_and_nothing_else(package, name, old, new, changed):
    before = taken()
    path: Path = package / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    assert tuple(a != b for a, b in zip(before, taken(), strict=True)) == changed


def test_the_versions_of_the_libraries_count(package, monkeypatch):
    before = taken()
    monkeypatch.setattr(module.importlib.metadata, "version", lambda name: "0")
    assert all(a != b for a, b in zip(before, taken(), strict=True))


def test_every_label_has_its_own():
    found = {label: module.fingerprint(label) for label in equations()}
    assert len(set(found.values())) == len(found)
    assert all(len(one) == 32 for one in found.values())


def test_every_side_of_every_law_is_found_in_its_file():
    for label, equation in equations().items():
        for side in module.SIDES:
            path = module.PACKAGE / "laws" / equation.law / f"{side}.py"
            assert module.behind(path, equation.name), f"{label}: nothing of {side} is hashed"


def test_a_verdict_on_what_has_changed_does_not_stand(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fine = Comparison("passed", "all well")
    now = module.fingerprint("tempering.logits")
    for judged, stands in ((now, True), ("0" * 32, False), ("", False)):
        store([Verdict("tempering.logits", "exact", "So.", fine, fine, fine, judged)])
        assert ("tempering.logits" in standing(equations())) is stands
