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


KINDS = {
    "exact": "exact",
    "asymptotic": "asymptotic",
    "bound": "bounds",
    "conjecture": "conjectures",
}


def test_the_table_of_laws_counts_what_the_register_holds():
    held = Counter((equation.law, equation.kind) for equation in equations().values())
    rows = dict(re.findall(r"^\| `(\w+)` \|.*?\| (.*?) \|", TEXT, flags=re.MULTILINE))
    assert set(rows) == {law for law, _ in held}
    for law, counts in rows.items():
        numbers = {kind: held[law, kind] for kind in KINDS}
        expected = [
            f"{number} {kind if number == 1 else KINDS[kind]}"
            for kind, number in numbers.items()
            if number
        ]
        assert counts == ", ".join(expected)


def test_how_many_laws_are_proved_is_what_the_register_says():
    [counts] = re.findall(r"(\d+) of them, of which (\d+) have a \*\*proof\*\* and (\d+) are", TEXT)
    register = equations()
    conjectures = sum(equation.proof is None for equation in register.values())
    assert conjectures == sum(equation.kind == "conjecture" for equation in register.values())
    held = len(register), len(register) - conjectures, conjectures
    assert tuple(map(int, counts)) == held


def test_every_label_and_name_that_the_readme_mentions_exists():
    register, laws = equations(), {equation.law for equation in equations().values()}
    for label in re.findall(r"`(\w+\.\w+)`", TEXT):
        if label.partition(".")[0] in laws:
            assert label in register
    for name in re.findall(r"`fp\.([\w.]+)`", TEXT):
        found = fixedpoint
        for part in name.split("."):
            found = getattr(found, part)
