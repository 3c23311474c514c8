"""What is cited exists, and every equation that is not ours alone cites something."""

import re
from pathlib import Path

import pytest

import fixedpoint
from fixedpoint import citations, cli
from fixedpoint.laws.equation import equations

REGISTER = equations()
ARTICLES = citations.articles()


@pytest.mark.parametrize("label", REGISTER)
def test_an_equation_cites_articles_that_exist(label):
    equation = REGISTER[label]
    assert set(equation.cites) <= set(ARTICLES)
    assert len(set(equation.cites)) == len(equation.cites)
    assert equation.cites or equation.source == "derived here", "`cites` must name an article"
    assert "@" not in equation.source, "BibTeX would take it for an entry"


def test_every_entry_is_whole_and_in_order():
    file = Path(fixedpoint.__file__).parent / "laws" / "references.bib"
    text = file.read_text(encoding="utf-8")
    assert list(ARTICLES) == sorted(re.findall(r"^@\w+\{(\w+),", text, flags=re.MULTILINE))
    for entry in ARTICLES.values():
        assert entry.count("{") == entry.count("}")
        assert {"author", "title", "year"} <= set(
            re.findall(r"^  (\w+) *= \{", entry, re.MULTILINE)
        )


def test_the_software_is_cited_as_its_citation_file_says():
    facts = (Path(__file__).parents[1] / "CITATION.cff").read_text()
    entry = citations.software()
    for name, value in re.findall(r'^(title|  - name|version): "?(.*?)"?$', facts, re.MULTILINE):
        assert value in entry, name
    [year] = re.findall(r"^date-released: (\d{4})", facts, re.MULTILINE)
    assert f"{{{year}}}" in entry
    assert citations.cite() == entry


def test_the_command_prints_each_article_once(capsys):
    assert cli.main(["cite", "tempering.composition", "tempering.fixed_point"]) == 0
    printed = capsys.readouterr().out
    assert re.findall(r"^@\w+\{(\w+),", printed, re.MULTILINE) == [
        "fixedpoint",
        "zhang2026",
        "beck1993",
    ]
    assert "% tempering.fixed_point: Zhang et al." in printed


def test_a_law_stands_for_its_equations(capsys):
    assert cli.main(["cite", "traces"]) == 0
    assert capsys.readouterr().out.count("% traces.") == sum(
        e.law == "traces" for e in REGISTER.values()
    )
