"""Who may import whom, and how light `import fixedpoint` is."""

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fixedpoint
from fixedpoint.laws import CHAPTERS

PACKAGE = Path(fixedpoint.__file__).parent
ROOT = PACKAGE.parent

# Per place: the modules of this package that must not be imported there, and the libraries.
FORBIDDEN = {
    "checks/*.py": ["fixedpoint."],
    "simplex/*.py": ["fixedpoint.loop", "fixedpoint.laws", "fixedpoint.confront", "fixedpoint.cli"],
    "potential.py": ["fixedpoint.loop", "fixedpoint.laws", "fixedpoint.confront", "sympy"],
    "special.py": ["fixedpoint.", "sympy"],
    "kernels/*.py": [
        "fixedpoint.loop",
        "fixedpoint.laws",
        "fixedpoint.confront",
        "fixedpoint.cli",
        "sympy",
        "diffrax",
    ],
    "chain/*.py": ["fixedpoint.laws", "fixedpoint.confront", "fixedpoint.cli", "sympy"],
    "inputs/*.py": ["fixedpoint.laws", "fixedpoint.confront", "fixedpoint.cli", "fixedpoint.loop"],
    "loop/*.py": ["fixedpoint.laws", "fixedpoint.confront", "fixedpoint.cli", "sympy"],
    "symbolic/*.py": ["fixedpoint.loop", "fixedpoint.laws.*", "fixedpoint.simplex", "jax", "numpy"],
    "laws/expression.py": ["fixedpoint.", "jax", "numpy"],
    "laws/equation.py": ["fixedpoint.", "jax", "numpy"],
    "laws/notation.py": ["fixedpoint.", "jax", "numpy"],
    "laws/mutation.py": ["fixedpoint.", "jax", "numpy"],
    "laws/experiment.py": [
        "fixedpoint.laws.*.solution",
        "fixedpoint.laws.*.derivation",
        "fixedpoint.confront",
        "fixedpoint.cli",
    ],
    "laws/observation.py": ["fixedpoint.", "jax", "sympy"],
    "laws/*/derivation.py": [
        "jax",
        "numpy",
        "fixedpoint.loop",
        "fixedpoint.simplex",
        "fixedpoint.laws.*.solution",
        "fixedpoint.laws.*.process",
        "fixedpoint.confront",
    ],
    "laws/*/solution.py": [
        "sympy",
        "fixedpoint.loop",
        "fixedpoint.laws",
        "fixedpoint.confront",
        "fixedpoint.chain",
    ],
    "laws/*/process.py": [
        "sympy",
        "fixedpoint.laws.*.solution",
        "fixedpoint.laws.*.derivation",
        "fixedpoint.confront",
    ],
    "agreement.py": ["fixedpoint.cli", "fixedpoint.confront", "fixedpoint.loop"],
    "confront.py": ["fixedpoint.cli"],
    "ending.py": ["fixedpoint.cli", "fixedpoint.prediction"],
    "prediction.py": ["fixedpoint.cli"],
    "reproduction.py": ["fixedpoint.cli"],
}


def imported(path: Path) -> set[str]:
    """Every module that a file imports, relative imports resolved, at any depth of the code."""
    package = ".".join(path.relative_to(ROOT).with_suffix("").parts[:-1])
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([base] if base else [])])
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def matches(name: str, rule: str) -> bool:
    if rule.endswith("."):
        return name.startswith(rule)
    parts, pattern = name.split("."), rule.split(".")
    return len(parts) >= len(pattern) and all(
        r in ("*", p) for p, r in zip(parts, pattern, strict=False)
    )


@pytest.mark.parametrize("place", FORBIDDEN)
def test_nobody_imports_what_the_design_forbids(place):
    for path in PACKAGE.glob(place):
        names = ("expression", "equation", "observation")
        allowed = {f"fixedpoint.laws.{name}" for name in names if name != path.stem}
        if path.name == "solution.py":
            allowed = set()
        if path.parent.name == "checks":
            allowed = {"fixedpoint.checks."}
        for name in imported(path):
            for rule in FORBIDDEN[place]:
                broken = matches(name, rule) and not any(name.startswith(a) for a in allowed)
                assert not broken, f"{path.relative_to(ROOT)} imports {name} ({rule} is forbidden)"


def test_the_rule_checker_can_fail():
    assert matches("fixedpoint.laws.flow.solution.tail", "fixedpoint.laws.*.solution")
    assert matches("jax.numpy", "jax")
    assert not matches("jaxtyping", "jax")
    assert matches("fixedpoint.loop", "fixedpoint.")


def module(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def circles(folder: str) -> list[set[str]]:
    """Modules of a folder that import each other, at any depth of the code, not by its package."""
    paths = {module(path): path for path in (PACKAGE / folder).rglob("*.py")}
    paths = {name: path for name, path in paths.items() if path.stem != "__init__"}
    seen = {name: imported(path) & set(paths) for name, path in paths.items()}
    while True:
        further = {name: names.union(*(seen[n] for n in names)) for name, names in seen.items()}
        if further == seen:
            break
        seen = further
    found = [frozenset({n for n in seen if n in seen[m] and m in seen[n]}) for m in seen]
    return [set(circle) for circle in set(found) if circle]


@pytest.mark.parametrize("folder", ["loop", "kernels", "chain", "symbolic"])
def test_no_modules_import_each_other_in_a_circle(folder):
    assert not circles(folder)


PARTS = {
    name
    for name, part in vars(fixedpoint.loop).items()
    if isinstance(part, type)
    and issubclass(part, (fixedpoint.loop.Sampler, fixedpoint.loop.Corpus, fixedpoint.loop.Learner))
}
LOOP = sorted((PACKAGE / "loop").glob("*.py"))
ASKING = [
    *LOOP,
    *(PACKAGE / "chain").glob("*.py"),
    PACKAGE / "laws" / "solve.py",
    PACKAGE / "laws" / "experiment.py",
    PACKAGE / "prediction.py",
]


def looks_at_a_part(node: ast.AST) -> bool:
    """Whether the code asks for the class of something and a part of a loop is the answer."""
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        return node.func.id in ("isinstance", "issubclass") and bool(names & PARTS)
    return isinstance(node, ast.Compare) and "type" in names and bool(names & PARTS)


def test_kind_alone_looks_at_the_parts_of_a_loop_by_type():
    parts = {"samplers", "corpora", "learners"}
    for path in ASKING:
        looking = [n for n in ast.walk(ast.parse(path.read_text())) if looks_at_a_part(n)]
        if path.stem == "kind":
            assert looking
        elif path.stem not in parts:
            lines = [node.lineno for node in looking]  # type: ignore[attr-defined]
            assert not lines, f"{path.relative_to(ROOT)} looks at a part's type: lines {lines}"


def test_no_file_of_the_loop_is_too_long():
    lengths = {path.name: len(path.read_text().splitlines()) for path in LOOP}
    assert {name: number for name, number in lengths.items() if number > 500} == {}


def test_each_law_has_the_same_three_files():
    laws = [path for path in (PACKAGE / "laws").iterdir() if (path / "__init__.py").exists()]
    assert laws
    for law in laws:
        names = {path.name for path in law.glob("*.py")}
        assert {"derivation.py", "solution.py", "process.py"} <= names, law.name


def test_each_law_has_its_place_in_a_chapter():
    laws = {path.name for path in (PACKAGE / "laws").iterdir() if (path / "__init__.py").exists()}
    listed = [law for chapter in CHAPTERS.values() for law in chapter]
    assert len(listed) == len(set(listed))
    assert set(listed) == laws


def test_import_is_light():
    heavy = "sympy", "matplotlib", "diffrax", "scipy.stats"
    code = f"import sys, fixedpoint; print([m for m in {heavy!r} if m in sys.modules])"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_import_sets_no_global_option():
    code = (
        "import jax; before = dict(jax.config.values);"
        "import fixedpoint, fixedpoint.laws.tempering;"
        "after = jax.config.values; print({k for k in before if before[k] != after[k]})"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "set()"


@pytest.fixture(scope="module")
def bootstrap():
    spec = importlib.util.spec_from_file_location("bootstrap", ROOT / "run.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_file_is_above_its_budget(bootstrap):
    assert bootstrap.above_budget(bootstrap.lines_by_folder()) == []


def test_a_file_above_its_budget_is_named(bootstrap):
    folders = {
        "fixedpoint": {Path("a.py"): 500, Path("b.py"): 501},
        "fixedpoint/laws": {Path("c.py"): 901},
        "fixedpoint/laws/heat": {Path("d.py"): 900, Path("e.py"): 901},
    }
    assert bootstrap.above_budget(folders) == [
        "fixedpoint/b.py: 501 lines, may have 500",
        "fixedpoint/laws/c.py: 901 lines, may have 500",
        "fixedpoint/laws/heat/e.py: 901 lines, may have 900",
    ]


def private_names(path: Path) -> set[str]:
    """The private names of other files of the package that a file uses."""
    found, modules = set(), set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level or "fixedpoint" in (node.module or "")):
            found |= {a.name for a in node.names if re.match(r"_[^_]", a.name)}
            modules |= {a.asname or a.name for a in node.names if a.name.islower()}
        elif isinstance(node, ast.Attribute) and re.match(r"_[^_]", node.attr):
            found |= {ast.unparse(node)} if _names(node.value, modules) else set()
    return found


def _names(node: ast.expr, modules: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in modules


def test_no_private_name_is_used_across_files():
    used = {path.relative_to(ROOT): private_names(path) for path in PACKAGE.rglob("*.py")}
    assert {path: names for path, names in used.items() if names} == {}


def test_no_file_is_named_after_nothing():
    banned = {"utils", "helpers", "common", "core", "misc"}
    assert not {path.stem for path in PACKAGE.rglob("*.py")} & banned
