#!/usr/bin/env python3
"""Set up `fixedpoint` and do one of its jobs: `python3 run.py reproduce`, `python3 run.py test`.

Standard library only. The first call makes `.venv` from `requirements.lock`; a change of the lock
or of `pyproject.toml` renews it. Any Python 3.11+ with pip will do: no root, no compiler, no GPU.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
LOCK = ROOT / "requirements.lock"
VENV = ROOT / ".venv"
STAMP = VENV / "made-from"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

LAW_FILE, FILE = 900, 500
"""The most lines that a file of a law may have, and any other file of the package."""

VERBS = {
    "reproduce": "verify every law, run the notebooks, draw the figures, build the paper",
    "test": "run the test suite (further arguments go to pytest, e.g. --slow, -k tempering)",
    "lint": "count lines against their budgets; run ruff (lint and format) and pyright",
    "bench": "run the benchmarks and write their table to paper/generated/",
    "notebooks": "execute the notebooks from their .py sources and store them with their outputs",
    "lock": "resolve requirements.lock again from pyproject.toml (--upgrade moves the pins)",
    "setup": "only make or renew the environment",
    "exec": "run a command inside the environment: python3 run.py exec fixedpoint laws",
}


def environment_stamp() -> str:
    """Identify what the environment was made from: this Python, the lock and the project."""
    made_from = hashlib.sha256(f"{sys.version_info[:2]} {sys.prefix}\n".encode())
    for path in (LOCK, ROOT / "pyproject.toml"):
        made_from.update(path.read_bytes())
    return made_from.hexdigest()


def set_up() -> None:
    """Make `.venv` from the lock, unless it is there already and was made from this very lock."""
    stamp = environment_stamp()
    if STAMP.exists() and STAMP.read_text() == stamp:
        return
    print("Setting up .venv from requirements.lock (once; about half a minute) ...", flush=True)
    install = [
        "--quiet",
        "--no-deps",
        "--require-hashes",
        "--only-binary",
        ":all:",
        "-r",
        str(LOCK),
    ]
    # with_pip=False also works where Debian's Python comes without its venv package.
    venv.create(VENV, clear=True, with_pip=False, symlinks=os.name != "nt")
    uv = shutil.which("uv")
    if uv:
        command = [uv, "pip", "install", "--python", str(PYTHON), *install]
    else:
        command = [sys.executable, "-m", "pip", "--python", str(PYTHON), "install", *install]
    try:
        subprocess.run(command, check=True)
    except (subprocess.CalledProcessError, FileNotFoundError) as failure:
        sys.exit(
            f"run.py: installing requirements.lock failed ({failure}).\n"
            "It needs network access to a package index and pip >= 22.3 (python3 -m pip --version) "
            "or uv. Nothing else was changed; run the same command again to retry."
        )
    install_checkout()
    STAMP.write_text(stamp)


def install_checkout() -> None:
    """Put this checkout on the environment's path and write its `fixedpoint` command.

    `pip install -e .` does the same for a user; here it would fetch an unlocked build backend.
    """
    query = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    answer = subprocess.run([PYTHON, "-c", query], check=True, capture_output=True, text=True)
    Path(answer.stdout.strip(), "fixedpoint.pth").write_text(f"{ROOT}\n")
    if os.name == "nt":
        (BIN / "fixedpoint.cmd").write_text('@"%~dp0python.exe" -m fixedpoint.cli %*\n')
    else:
        command = BIN / "fixedpoint"
        command.write_text(
            f"#!{PYTHON}\nimport sys\n\nfrom fixedpoint.cli import main\n\n"
            'if __name__ == "__main__":\n    sys.exit(main())\n'
        )
        command.chmod(0o755)


def call(*command: str | Path, check: bool = True) -> int:
    """Run a command in the project's root with the environment first on PATH."""
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    env = {**os.environ, "PATH": path, "VIRTUAL_ENV": str(VENV)}
    code = subprocess.run([str(part) for part in command], cwd=ROOT, env=env).returncode
    if check and code:
        sys.exit(code)
    return code


def lines_by_folder(package: Path = ROOT / "fixedpoint") -> dict[str, dict[Path, int]]:
    """The lines of every file of the package, folder by folder."""
    folders: dict[str, dict[Path, int]] = {}
    for path in sorted(package.rglob("*.py")):
        folder = path.parent.relative_to(package.parent).as_posix()
        number = len(path.read_text(encoding="utf-8").splitlines())
        folders.setdefault(folder, {})[path] = number
    return folders


def above_budget(folders: dict[str, dict[Path, int]]) -> list[str]:
    """The files that are longer than they may be: one becomes two, along a joint of its matter."""
    found = []
    for folder, files in folders.items():
        budget = LAW_FILE if folder.count("/") == 2 and "/laws/" in folder else FILE
        for path, number in files.items():
            if number > budget:
                found.append(f"{folder}/{path.name}: {number:,} lines, may have {budget}")
    return found


def count_lines() -> None:
    """Print the lines of each folder; stop where a file is above its budget."""
    folders = lines_by_folder()
    for folder, files in folders.items():
        longest = max(files, key=lambda path: files[path])
        most = f"{files[longest]:>5,} in {longest.name}"
        print(f"{folder:<34}{len(files):>3} files {sum(files.values()):>7,} lines, {most}")
    above = above_budget(folders)
    if above:
        sys.exit("above its budget:\n" + "\n".join(f"  {line}" for line in above))


def lint() -> None:
    """Run the style checks; stop with the first that fails."""
    count_lines()
    call(BIN / "ruff", "check", ".")
    call(BIN / "ruff", "format", "--check", ".")
    call(BIN / "pyright")


def lock(extra: list[str]) -> None:
    """Resolve the lock: the packages with their dependencies, the data packages without."""
    uv = shutil.which("uv")
    if not uv:
        sys.exit("run.py lock: needs uv on PATH (python3 -m pip install uv).")
    import tomllib

    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["data"]
    flags = ["--universal", "--fork-strategy", "fewest", "--python-version", "3.11"]
    flags += ["--generate-hashes", "--no-emit-index-url", "--no-annotate", "--no-header", "--quiet"]
    parts = []
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(folder, "data.in")
        packages.write_text("\n".join(data))
        for source in (["pyproject.toml", "--group", "dev"], [packages, "--no-deps"]):
            # The old lock stands where the result goes, so that its pins are kept.
            result = Path(folder, f"{len(parts)}.txt")
            result.write_text(LOCK.read_text() if LOCK.exists() else "")
            call(uv, "pip", "compile", *source, *flags, *extra, "--output-file", result)
            parts.append(result.read_text())
    LOCK.write_text("".join(parts))
    print(f"wrote {LOCK.name}: {LOCK.read_text().count('==')} packages")


def main() -> int:
    """Parse the verb, set up the environment, do the job."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file must start anywhere to say so
        found = ".".join(map(str, sys.version_info[:3]))
        sys.exit(f"run.py: fixedpoint needs Python 3.11 or newer; this is Python {found}.")
    listing = "\n".join(f"  {verb:<11}{what}" for verb, what in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="python3 run.py",
        description="Set up fixedpoint (first call only) and do one of its jobs.",
        epilog=f"verbs:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", choices=VERBS, metavar="verb", help="what to do; see below")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the verb")
    options = parser.parse_args()
    verb, extra = options.verb, options.arguments
    if verb == "lock":
        lock(extra)
        return 0
    set_up()
    if verb == "reproduce":
        return call(PYTHON, "-m", "fixedpoint.cli", "reproduce", *extra, check=False)
    if verb == "test":
        # Two processes; neighbours stay together, since they share what is compiled.
        shared = [] if any(option.startswith("-n") for option in extra) else ["-n", "2"]
        command = [PYTHON, "-m", "pytest", *shared, "--dist", "worksteal", *extra]
        return call(*command, check=False)
    if verb == "lint":
        lint()
    elif verb == "bench":
        return call(PYTHON, "tests/benchmarks/run.py", *extra, check=False)
    elif verb == "notebooks":
        return call(PYTHON, "notebooks/execute.py", *extra, check=False)
    elif verb == "exec":
        if not extra:
            sys.exit(
                "run.py exec: name the command to run, e.g. python3 run.py exec fixedpoint laws"
            )
        return call(*extra, check=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
