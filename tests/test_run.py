"""The bootstrap: what a new user meets before anything is installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_help_lists_every_verb(bootstrap):
    answer = subprocess.run(
        [sys.executable, ROOT / "run.py", "--help"], capture_output=True, text=True, check=True
    )
    for verb, what in bootstrap.VERBS.items():
        assert f"{verb:<11}{what}" in answer.stdout


def test_a_mistyped_verb_is_named(bootstrap):
    answer = subprocess.run(
        [sys.executable, ROOT / "run.py", "tests"], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert "invalid choice: 'tests'" in answer.stderr


def test_an_old_python_is_refused_by_name(bootstrap, monkeypatch):
    monkeypatch.setattr(bootstrap.sys, "version_info", (3, 10, 4))
    monkeypatch.setattr(bootstrap.sys, "argv", ["run.py", "test"])
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer; this is Python 3\.10\.4"):
        bootstrap.main()


def test_a_changed_lock_renews_the_environment(bootstrap, tmp_path, monkeypatch):
    lock = tmp_path / "requirements.lock"
    lock.write_text("jax==1\n")
    monkeypatch.setattr(bootstrap, "LOCK", lock)
    before = bootstrap.environment_stamp()
    assert bootstrap.environment_stamp() == before
    lock.write_text("jax==2\n")
    assert bootstrap.environment_stamp() != before


def test_the_lock_names_no_address_and_hashes_every_package():
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    assert not [line for line in lines if "://" in line or line.startswith("--")]
    packages = [n for n, line in enumerate(lines) if "==" in line]
    assert len(packages) > 80
    for n in packages:
        assert "--hash=sha256:" in lines[n + 1]
