"""What the README shows is what the code gives."""

import re
from pathlib import Path

TEXT = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_examples_print_what_the_readme_says(capsys):
    code = "\n".join(re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL))
    exec(compile(code, "README.md", "exec"), {})
    shown = [line[2:] for line in re.findall(r"^print\(.*\n(# .*)", code, flags=re.MULTILINE)]
    printed = capsys.readouterr().out.splitlines()
    assert len(shown) == len(printed) > 2
    assert printed == shown
