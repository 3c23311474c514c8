"""One claim on one page."""

import pytest

from fixedpoint import cli
from fixedpoint.laws.equation import equations
from fixedpoint.page import page


def test_a_page_has_every_side_of_a_claim(capsys):
    assert cli.main(["show", "recovery.recovery"]) == 0
    shown = capsys.readouterr().out
    assert shown.rstrip("\n") == page("recovery.recovery")
    titles = [line for line in shown.splitlines() if line and not line.startswith((" ", "─"))]
    assert titles == [
        "recovery.recovery (exact)",
        "claim",
        "loop",
        "arguments",
        "near misses",
        "proof",
        "solution",
        "experiments",
        "verdict",
        "source",
    ]
    equation = equations()["recovery.recovery"]
    for text in (equation.statement[:60], *equation.near_misses, *equation.symbols):
        assert text in shown
    assert "def recovery(" in shown
    assert "Example:" not in shown  # the docstring's facts stand elsewhere on the page
    assert "proved, evaluated, confronted" in shown


def test_a_left_hand_side_is_on_the_page_as_it_is_written():
    assert r"\mathbb{E}[1-\sum p^2]/(1-\sum q^2) =" in page("real_data.kept_diversity")


def test_an_unknown_label_is_refused(capsys):
    assert cli.main(["show", "recovery.recovry"]) == 2
    assert "did you mean" in capsys.readouterr().err.lower()


@pytest.mark.parametrize("as_json", [False, True])
def test_mutants_are_counted(capsys, as_json):
    call = ["verify", "--mutants", "real_data.one_real_sample", *["--json"] * as_json]
    assert cli.main(call) == 0
    shown = capsys.readouterr().out
    if as_json:
        assert shown.count('"confrontation": true') == 6
    else:
        assert "6 mutants: 6 of 6 fall in a proof that takes its answer" in shown
