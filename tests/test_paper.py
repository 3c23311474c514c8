"""The paper: every number and equation it prints is generated, and nothing is generated in vain."""

import re
import shutil
import subprocess

import pytest

from fixedpoint.citations import articles
from fixedpoint.laws import CHAPTERS, notation
from fixedpoint.laws.equation import Equation, equations
from paper import build, press

TEXT = build.source()
REGISTER = equations()


def displayed(text=TEXT):
    return re.findall(r"\\fpeq\{([a-z_.]+)\}", text)


def named(text=TEXT):
    return re.findall(r"\\fp(?:label|inrow|body)\{([a-z_.]+)\}", text)


def environments(*names):
    """The bodies of some of the text's environments."""
    found = re.findall(rf"\\begin\{{({'|'.join(names)})\}}(.*?)\\end\{{\1\}}", TEXT, re.DOTALL)
    return [body for _, body in found]


def label_of(body):
    return re.findall(r"\\label\{(\w+:\w+)\}", body)[0]


def laws_with_a_section():
    return [law for law in {e.law for e in REGISTER.values()} if rf"\label{{sec:{law}}}" in TEXT]


def test_every_printed_label_is_registered():
    assert set(displayed()) | set(named()) <= set(REGISTER)


def test_no_equation_is_displayed_twice():
    assert len(displayed()) == len(set(displayed()))


def test_the_paper_names_every_equation():
    assert set(REGISTER) <= set(displayed()) | set(named())


def test_no_law_is_displayed_without_its_verdict():
    text = TEXT[TEXT.index(r"\begin{document}") :]
    assert not re.search(r"\\begin\{(equation|align|gather|multline|eqnarray)", text)
    assert not re.search(r"\\\[(?!\d)|\$\$", text)
    for body in environments("theorem", "proposition", "conjecture"):
        assert r"\begin{setup}" not in body, "a claim displays what has no verdict"


def test_a_law_is_called_a_conjecture_where_it_is_one():
    conjectures = {label for label, equation in REGISTER.items() if equation.kind == "conjecture"}
    assert {label for body in environments("conjecture") for label in displayed(body)} == (
        conjectures & set(displayed())
    )
    assert conjectures <= set(displayed())


def test_every_theorem_is_proved():
    claims = {label_of(body) for body in environments("theorem", "proposition")}
    proofs = re.findall(r"\\begin\{proof\}\[Proof of \w+~\\ref\{(\w+:\w+)\}\]", TEXT)
    assert len(proofs) == len(set(proofs))
    assert set(proofs) == claims


def test_the_table_of_claims_gives_a_law_and_a_figure_to_each():
    [table] = [t for t in environments("table") if label_of(t) == "tab:claims"]
    rows = re.split(r"\n(?=\d & )", table)[1:]
    assert [row[0] for row in rows] == list("1234567")
    for row in rows:
        assert named(row)
        assert r"\ref{fig:" in row


def test_references_to_equations_are_to_displayed_ones():
    assert set(re.findall(r"\\ref\{eq:([a-z_.]+)\}", TEXT)) <= set(displayed())


def test_references_to_sections_figures_and_tables_exist():
    used = set(re.findall(r"\\ref\{((?:sec|fig|tab|thm):\w+)\}", TEXT))
    there = set(re.findall(r"\\label\{((?:sec|fig|tab|thm):\w+)\}", TEXT))
    assert used <= there
    assert {label for label in there if label.startswith(("fig", "tab"))} <= used


def test_every_printed_figure_has_a_script():
    assert {"limits", "real_text", "recovery", "decomposition"} <= set(build.printed())
    assert set(build.printed()) <= set(press.stems())


def test_citations_and_bibliography_agree():
    cited = {
        key.strip()
        for keys in re.findall(r"\\cite[pt]?(?:\[[^]]*\])*\{([^}]+)\}", TEXT)
        for key in keys.split(",")
    }
    assert cited <= set(articles())
    assert set(articles()) <= cited | {key for e in REGISTER.values() for key in e.cites}


@pytest.mark.parametrize("word", ["novel", "for the first time", "we are the first", "new result"])
def test_the_text_claims_no_priority(word):
    assert word not in TEXT.lower()


@pytest.mark.parametrize("label", REGISTER)
def test_every_statement_and_equation_can_be_printed(label):
    equation = REGISTER[label]
    for text in (equation.statement, equation.assumes, equation.source):
        assert build.prose(text).isascii(), "TeX would stop at it"
    latex = REGISTER[label].latex()
    assert latex.count("{") == latex.count("}")
    assert not re.search(r"\w\*\w", latex), "Python among the LaTeX"
    assert "'" not in re.sub(r"\\theta'|\\lambda'|\w'|\}'", "", latex)


@pytest.mark.parametrize(
    ("plain", "latex"),
    [
        ("logits θ₀T⁻ⁿ", r"logits $\theta_{0}T^{-n}$"),
        ("p_T is the model's own", r"$p_T$ is the model's own"),
        ("a letter a, a law h(x)", r"a letter a, a law $h$($x$)"),
        ("e^{ηt} - 1", r"$e^{\eta t}$ $-$ 1"),
        ("Σpᵢ² over i", r"$\sum p_{i}^{2}$ over $i$"),
        ("e^(-bz) and e^θ", r"$e^{-bz}$ and $e^{\theta }$"),
        ("h(x) e^{ηt(x)}", r"$h$($x$) $e^{\eta t(x)}$"),
        ("τ^{1/K} and T^{−tᵗ}", r"$\tau ^{1/K}$ and $T^{- t^{t}}$"),
        ("50% of K", r"50\% of $K$"),
        ("every e^-θ like tX", r"every $e^{-\theta }$ like $tX$"),
        ("1/√(ηS)", r"1/$\sqrt{\eta S}$"),
    ],
)
def test_prose(plain, latex):
    assert build.prose(plain) == latex


def test_prose_refuses_what_it_cannot_print():
    with pytest.raises(ValueError, match="got '☃'"):
        build.prose("a ☃")


def record(proved="passed", evaluated="passed", confronted="passed"):
    stages = {"proved": proved, "evaluated": evaluated, "confronted": confronted}
    details = {
        "evaluated": {"error": 3e-14},
        "confronted": {"z": 3.251, "comparisons": 1200},
    }
    found = {
        stage: {"status": status, **details.get(stage, {})} for stage, status in stages.items()
    }
    return {**found, "passed": "failed" not in (proved, evaluated, confronted)}


def test_marks_show_each_comparison():
    assert build.marks(record()) == r"\fppassed\fppassed\fppassed"
    assert build.marks(record("checked", "failed")) == r"\fpchecked\fpfailed\fppassed"
    assert build.marks(None) == r"\fpunknown\fpunknown\fpunknown"


def test_equations_come_from_the_registered_objects():
    label = "tempering.logits"
    register: dict[str, Equation] = {label: REGISTER[label]}
    text = build.equations_tex(register, {label: record()})
    assert REGISTER[label].latex() in text
    assert rf"\fpdefine{{{label}}}{{\fppassed\fppassed\fppassed}}" in text
    assert (press.PAPER / build.TEST).resolve().is_file()
    assert "exact" in build.laws_tex(register)


def test_every_argument_has_its_row_in_the_table_of_notation():
    table = notation.table()
    rows = build.notation_tex(table).splitlines()[1:]
    assert len(rows) == len(table) > 30
    for row, argument in zip(rows, table, strict=True):
        assert row.count("&") == 2
        assert argument.name.replace("_", r"\_") in row
    assert r"$n$&\texttt{num\_samples}&" in build.notation_tex(table)
    assert r"\fpletters" in TEXT


def test_the_table_follows_the_sections():
    sections = [
        law for law in re.findall(r"\\label\{sec:(\w+)\}", TEXT) if law in laws_with_a_section()
    ]
    found = [law for law in build.laws_in_order(REGISTER) if law in sections]
    heads = [law for chapter in CHAPTERS.values() for law in chapter[:1]]
    assert [law for law in found if law in heads] == [law for law in sections if law in heads]
    assert len(found) > 3
    assert build.laws_in_order({"x.y": REGISTER["geometry.natural"]}) == ["geometry"]


def test_the_last_verification_is_told_in_numbers():
    label = "tempering.logits"
    register = {label: REGISTER[label]}
    assert build.tally(register, {label: record(confronted="failed")}) == {
        "equations": "1",
        "verified": "0",
        "proved": "1",
        "checkedAtPoints": "0",
        "conjectures": "0",
        "tight": "1",
        "largestError": "$10^{-13}$",
        "threshold": "5.33",
        "stochastic": "1,200",
        "largestZ": "3.25",
        "nearMisses": str(len(REGISTER[label].near_misses)),
    }
    assert build.tally(register, {})["largestError"] == "$0$"


def test_macros():
    assert build.macros_tex({"mean": "1.5"}).splitlines()[1] == r"\newcommand{\FPmean}{1.5}"


def test_a_constant_is_solved_from_its_equation():
    beta = float(build.constants(REGISTER)["coneThreshold"])
    assert abs(4 * beta / (2 + 2**beta) - 1) < 2e-3


def test_missing_figures_are_named(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(press, "GENERATED", tmp_path)
    monkeypatch.setattr(build, "printed", lambda: ["limits", "recovery"])
    assert build.main(["--no-figures"]) == 1
    assert "not drawn yet: limits, recovery" in capsys.readouterr().out


def test_without_latexmk_one_line_names_the_packages(monkeypatch, capsys):
    monkeypatch.setattr(build.shutil, "which", lambda name: None)
    monkeypatch.setattr(build, "write_tex", lambda: None)
    monkeypatch.setattr(build, "printed", list)
    assert build.main(["--no-figures"]) == 0
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "apt-get install" in out
    assert "latexmk" in out


def test_a_tex_error_is_one_line(monkeypatch, tmp_path, capsys):
    (tmp_path / "main.log").write_text("This is pdfTeX\n! Undefined control sequence.\nl.3 \\FPx\n")
    failed = subprocess.CompletedProcess([], 12, "", "")
    monkeypatch.setattr(press, "GENERATED", tmp_path)
    monkeypatch.setattr(build.shutil, "which", lambda name: name)
    monkeypatch.setattr(build.subprocess, "run", lambda *a, **k: failed)
    monkeypatch.setattr(build, "write_tex", lambda: None)
    monkeypatch.setattr(build, "printed", list)
    assert build.main(["--no-figures"]) == 1
    assert capsys.readouterr().out == (
        "FAIL paper/main.tex: TeX stopped: ! Undefined control sequence.\n"
    )


def test_overfull_lines_are_found():
    log = "Overfull \\hbox (14.6pt too wide) in paragraph at lines 3--4\nOverfull \\hbox (0.5pt too"
    assert build.overfull(log) == ["14.6 pt in paragraph at lines 3--4"]


@pytest.mark.slow
def test_two_builds_give_the_same_bytes():
    drawn = all((press.GENERATED / f"{stem}.pdf").exists() for stem in build.printed())
    if not (shutil.which("latexmk") and drawn):
        pytest.skip("needs latexmk and the figures (python3 run.py reproduce)")
    build.write_tex()
    builds = [build.typeset().read_bytes() for _ in range(2)]
    assert builds[0] == builds[1]
    assert not build.overfull((press.GENERATED / "main.log").read_text(errors="replace"))
