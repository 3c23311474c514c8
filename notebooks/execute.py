"""Execute the notebooks and store them with their outputs: `python notebooks/execute.py [NAME]`.

The source is `<name>.py` (percent format); the result is `<name>.ipynb` beside it, with the same
bytes at every run: numbered cells, no timestamps, no versions. A cell tagged "answer" is stored
folded: it shows its answer to an exercise when it is opened. A notebook that fails, or that
prints a warning, costs one line here and is not stored.
"""

import os
import re
import sys
import tempfile
import time
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError
from traitlets.config import Config

FOLDER = Path(__file__).parent
INLINE = "module://matplotlib_inline.backend_inline"
SECONDS_PER_CELL = 300
LARGEST = 400_000
"""Bytes that a stored notebook may have."""

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

ANSWER = {"jupyter": {"outputs_hidden": True, "source_hidden": True}, "tags": ["answer"]}
"""Metadata of an answer: a notebook's reader unfolds it."""


class NotebookError(Exception):
    """A notebook did not run through; the message is one line."""


def names() -> list[str]:
    """The notebooks, by the stems of their sources."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if path != Path(__file__))


def read(name: str) -> nbformat.NotebookNode:
    """The notebook as its source has it, without outputs."""
    notebook = jupytext.read(FOLDER / f"{name}.py", fmt="py:percent")
    notebook.metadata = nbformat.from_dict({"kernelspec": KERNEL})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number:03d}"
        answer = "answer" in cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict(ANSWER if answer else {})
    return notebook


def execute(name: str) -> bytes:
    """Run a notebook in a kernel of its own.

    Args:
        name: the stem of its source.

    Returns:
        The executed notebook, as it is stored.

    Raises:
        NotebookError: a cell raised an exception or printed to the error stream.
    """
    notebook = read(name)
    with tempfile.TemporaryDirectory() as sockets:
        # Sockets in the file system: no port to open, nothing for others to listen to.
        local = {"transport": "ipc", "ip": f"{sockets}/kernel"}
        client = NotebookClient(
            notebook,
            timeout=SECONDS_PER_CELL,
            record_timing=False,
            coalesce_streams=True,  # how a stream comes in pieces is a matter of timing
            resources={"metadata": {"path": str(FOLDER)}},
            config=Config({"KernelManager": local, "AsyncKernelManager": local}),
        )
        try:
            # Pictures go into the notebook, whatever backend this process was told to draw with.
            client.execute(env={**os.environ, "MPLBACKEND": INLINE})
        except CellExecutionError as failure:
            raise NotebookError(told(failure)) from None
        except CellTimeoutError:
            raise NotebookError(f"a cell took longer than {SECONDS_PER_CELL} s") from None
        except RuntimeError as failure:  # the kernel did not start, or died
            raise NotebookError(str(failure).splitlines()[0]) from None
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                raise NotebookError(f"{cell.id} printed: {output.text.strip().splitlines()[-1]}")
    stored = (nbformat.writes(notebook) + "\n").encode()
    if len(stored) > LARGEST:
        raise NotebookError(f"{len(stored):,} bytes with its outputs; at most {LARGEST:,}")
    return stored


def told(failure: CellExecutionError) -> str:
    """What a cell failed with, and at which line, in one line."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", failure.traceback)
    lines = re.findall(r"^-+> *\d+ (.*)", plain, flags=re.MULTILINE)
    message = f"{failure.ename}: {failure.evalue}".splitlines()[0]
    return f"{message} [{lines[0].strip()}]" if lines else message


def main(chosen: list[str]) -> int:
    """Execute the chosen notebooks, all by default; return 1 if any failed."""
    unknown = sorted(set(chosen) - set(names()))
    if unknown:
        print(f"no notebook named {', '.join(unknown)}; there are: {', '.join(names())}")
        return 2
    failures = 0
    for name in chosen or names():
        started = time.perf_counter()
        try:
            stored = execute(name)
        except NotebookError as failure:
            print(f"FAIL notebooks/{name}.py: {failure}", flush=True)
            failures += 1
            continue
        (FOLDER / f"{name}.ipynb").write_bytes(stored)
        seconds = time.perf_counter() - started
        print(f"ok   notebooks/{name}.ipynb: {len(stored):,} bytes, {seconds:.0f} s", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
