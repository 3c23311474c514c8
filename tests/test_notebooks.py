"""The notebooks: in step with their sources, without errors, and each ends with its assertions."""

import ast
import importlib.util
import json
import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from fixedpoint.laws.equation import equations

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"

specification = importlib.util.spec_from_file_location("execute", NOTEBOOKS / "execute.py")
assert specification is not None
assert specification.loader is not None
execute = importlib.util.module_from_spec(specification)
specification.loader.exec_module(execute)

NAMES = execute.names()
COURSE = "00_start_here"
LAWS = [name for name in NAMES if name != COURSE]
SECTIONS = (
    "What is asked",
    "The derivation",
    "The closed form",
    "The confrontation",
    "Where it breaks",
    "Exercises",
    "What was shown",
)
"""The sections of a law's notebook, in their order."""


def cells(notebook):
    return [(cell["cell_type"], "".join(cell["source"])) for cell in notebook["cells"]]


def stored(name):
    return json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))


def labels_asserted(source):
    """The registered labels that a cell names, if it asserts anything."""
    tree = ast.parse(source)
    if not any(isinstance(node, ast.Assert) for node in ast.walk(tree)):
        return set()
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    return {s for s in strings if isinstance(s, str)} & set(equations())


def test_there_is_a_notebook_a_law_and_one_to_start_with():
    assert COURSE in NAMES
    assert (
        {"tempering", "flow", "traces", "resampling"}
        <= set(LAWS)
        <= {e.law for e in equations().values()}
    )


@pytest.mark.parametrize("name", LAWS)
def test_a_law_has_its_sections_in_order(name):
    text = "\n".join(source for kind, source in cells(execute.read(name)) if kind == "markdown")
    assert tuple(re.findall(r"^## (.*)", text, flags=re.MULTILINE)) == SECTIONS


@pytest.mark.parametrize("name", NAMES)
def test_three_exercises_have_their_answers_folded_in_the_next_cell(name):
    found = execute.read(name).cells
    asked = [
        number
        for number, cell in enumerate(found)
        if re.search(r"^### Exercise", cell.source, re.M)
    ]
    assert len(asked) == 3
    assert [n for n, cell in enumerate(found) if cell.metadata] == [n + 1 for n in asked]
    for number in asked:
        answer = found[number + 1]
        assert answer.cell_type == "code"
        tree = ast.parse(answer.source)
        assert any(isinstance(node, ast.Assert) for node in ast.walk(tree))


@pytest.mark.parametrize("name", LAWS)
def test_a_law_shows_mathematics_and_verdicts(name):
    outputs = [
        "".join(output.get("data", {}).get(kind, ""))
        for cell in stored(name)["cells"]
        for output in cell.get("outputs", [])
        for kind in ("text/latex", "text/markdown")
    ]
    assert sum(output.startswith("$\\displaystyle") for output in outputs) >= 4
    assert sum("evaluated, confronted**" in output for output in outputs) >= 4


@pytest.mark.parametrize("name", NAMES)
def test_stored_notebook_has_the_cells_of_its_source(name):
    assert cells(stored(name)) == cells(execute.read(name)), "run python3 run.py notebooks"


@pytest.mark.parametrize("name", NAMES)
def test_stored_notebook_was_run_from_top_to_bottom_without_error(name):
    code = [cell for cell in stored(name)["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    kinds = {output["output_type"] for cell in code for output in cell["outputs"]}
    assert "error" not in kinds
    pictures = [o for cell in code for o in cell["outputs"] if "image/png" in o.get("data", ())]
    assert pictures


@pytest.mark.parametrize("name", NAMES)
def test_stored_bytes_are_small_and_hold_no_trace_of_the_machine(name):
    notebook = stored(name)
    assert " at 0x" not in json.dumps(notebook), "an object is shown by its address"
    assert notebook["metadata"] == {"kernelspec": execute.KERNEL}
    assert [c["metadata"] for c in notebook["cells"]] == [
        c["metadata"] for c in execute.read(name)["cells"]
    ]
    assert all(cell["metadata"] in ({}, execute.ANSWER) for cell in notebook["cells"])
    assert [c["id"] for c in notebook["cells"]] == [
        f"cell-{number:03d}" for number in range(len(notebook["cells"]))
    ]
    assert (NOTEBOOKS / f"{name}.ipynb").stat().st_size <= execute.LARGEST


@pytest.mark.parametrize("name", NAMES)
def test_notebook_ends_with_assertions_about_registered_equations(name):
    last = [cell["source"] for cell in execute.read(name).cells if cell["cell_type"] == "code"][-1]
    assert labels_asserted(last), "the last code cell must assert, and name the labels it covers"


def test_a_cell_without_assertions_counts_for_nothing():
    assert labels_asserted("x = 'tempering.logits'") == set()
    assert labels_asserted("assert 'tempering.logits'") == {"tempering.logits"}


def test_a_failing_assertion_is_one_line_and_stores_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "wrong.py").write_text("# %%\ngap = 3\nassert gap < 1, 'the gap is wide'\n")
    monkeypatch.setattr(execute, "FOLDER", tmp_path)
    assert execute.main(["wrong"]) == 1
    assert capsys.readouterr().out == (
        "FAIL notebooks/wrong.py: AssertionError: the gap is wide "
        "[assert gap < 1, 'the gap is wide']\n"
    )
    assert not (tmp_path / "wrong.ipynb").exists()


def test_an_unknown_notebook_is_refused(capsys):
    assert execute.main(["temporing"]) == 2
    assert "no notebook named temporing" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_notebook_runs_as_a_script(name, capsys):
    with np.printoptions():  # a notebook sets its own
        runpy.run_path(str(NOTEBOOKS / f"{name}.py"))
    assert "all assertions hold" in capsys.readouterr().out
