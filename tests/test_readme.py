"""What the README shows is what the code gives."""

import re
from collections import Counter
from pathlib import Path

import fixedpoint
from fixedpoint import cli
from fixedpoint.laws.equation import equations

TEXT = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_examples_print_what_the_readme_says(capsys):
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL))
    exec(compile(code, "README.md", "exec"), {})
    shown = [line[2:] for line in re.findall(r"^print\(.*\n(# .*)", code, flags=re.MULTILINE)]
    printed = capsys.readouterr().out.splitlines()
    assert len(shown) == len(printed) > 2
    assert printed == shown


def test_the_command_prints_what_the_readme_says(capsys, tmp_path, monkeypatch):
    [counts] = re.findall(r"```\n(outcome,count\n.*?)```", TEXT, flags=re.DOTALL)
    [call] = re.findall(r"`fixedpoint (predict articles.csv .*?)`", TEXT)
    [shown] = re.findall(r"```console\n(.*?)```", TEXT, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("articles.csv").write_text(counts)
    assert cli.main(call.split()) == 0
    assert capsys.readouterr().out == shown


def test_the_table_of_laws_claims_no_more_than_the_register_holds():
    held = Counter((equation.law, equation.kind) for equation in equations().values())
    rows = re.findall(r"^\| `(\w+)` \|.*?\|(.*?)\|", TEXT, flags=re.MULTILINE)
    assert {law for law, _ in rows} == {law for law, _ in held}
    for law, counts in rows:
        claimed = re.findall(r"(\d+) (exact|asymptotic|bound|conjecture)", counts)
        assert claimed
        for number, kind in claimed:
            assert int(number) <= held[law, kind], (law, kind)


def test_every_label_and_name_that_the_readme_mentions_exists():
    register, laws = equations(), {equation.law for equation in equations().values()}
    for label in re.findall(r"`(\w+\.\w+)`", TEXT):
        if label.partition(".")[0] in laws:
            assert label in register
    for name in re.findall(r"`fp\.([\w.]+)`", TEXT):
        found = fixedpoint
        for part in name.split("."):
            found = getattr(found, part)
