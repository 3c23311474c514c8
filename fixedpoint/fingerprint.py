"""What a verdict judged, as a hash: it no longer holds once any of it has changed.

Hashed are the definitions behind a label in the three files of its law (the function of its name,
whatever of the same file that uses, and so on), every file of the package that they import, and the
versions of the libraries. Comments, docstrings and blank lines do not count. Nothing is imported
for it: the sources alone are read.
"""

import ast
import hashlib
import importlib.metadata
from collections.abc import Iterable
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
SIDES = ("derivation", "solution", "process")
LIBRARIES = ("diffrax", "jax", "jaxlib", "mpmath", "numpy", "sympy")
JUDGE = PACKAGE / "confront.py"


@cache
def fingerprint(label: str) -> str:
    """The hash of what stands behind a label.

    Args:
        label: `<law>.<quantity>`.

    Returns:
        32 hexadecimal digits.

    Example:
        >>> fingerprint("tempering.logits") == fingerprint("tempering.refit")
        False
    """
    law, _, name = label.partition(".")
    found = hashlib.sha256()
    files: set[Path] = {JUDGE}
    for side in SIDES:
        path = PACKAGE / "laws" / law / f"{side}.py"
        nodes = behind(path, name)
        found.update(f"{side}\n{_code(nodes)}\n".encode())
        files |= _imported(path, nodes)
    for path in sorted(_closure(frozenset(files))):
        found.update(f"{path.relative_to(PACKAGE)}\n{_whole(path)}\n".encode())
    found.update(_versions().encode())
    return found.hexdigest()[:32]


@cache
def _tree(path: Path) -> ast.Module:
    """The syntax of a file, without its docstrings; nothing where there is no file."""
    tree = ast.parse(path.read_text(encoding="utf-8") if path.is_file() else "")
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [part for part in node.body if not _is_text(part)]
    return tree


def _is_text(node: ast.stmt) -> bool:
    """Whether a statement is nothing but a string: a docstring, wherever it stands."""
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def _code(nodes: Iterable[ast.AST]) -> str:
    return "\n".join(map(ast.dump, nodes))


@cache
def _whole(path: Path) -> str:
    """The hash of a whole file."""
    return hashlib.sha256(_code([_tree(path)]).encode()).hexdigest()


@cache
def _definitions(path: Path) -> dict[str, tuple[ast.stmt, ...]]:
    """The statements of a file by the names that they define or import."""
    found: dict[str, tuple[ast.stmt, ...]] = {}
    for node in _tree(path).body:
        for name in _defined(node):
            found[name] = (*found.get(name, ()), node)
    return found


def _defined(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.partition(".")[0] for alias in node.names}
    stored = (part for part in ast.walk(node) if isinstance(part, ast.Name))
    return {part.id for part in stored if isinstance(part.ctx, ast.Store)}


def behind(path: Path, name: str) -> list[ast.stmt]:
    """The definition of a name and of every name of the same file that it uses, in their order."""
    definitions = _definitions(path)
    chosen: dict[int, ast.stmt] = {}
    waiting = [name]
    seen: set[str] = set()
    while waiting:
        word = waiting.pop()
        if word in seen:
            continue
        seen.add(word)
        for node in definitions.get(word, ()):
            chosen[node.lineno] = node
            waiting += [part.id for part in ast.walk(node) if isinstance(part, ast.Name)]
    return [node for _, node in sorted(chosen.items())]


@cache
def _closure(files: frozenset[Path]) -> frozenset[Path]:
    """The files and all that they import within the package."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imports(path)
    return frozenset(found)


@cache
def _imports(path: Path) -> frozenset[Path]:
    return frozenset(_imported(path, [_tree(path)]))


def _imported(path: Path, nodes: Iterable[ast.AST]) -> set[Path]:
    """The files of the package that some code of a file imports, at any depth."""
    parents = ["fixedpoint", *path.relative_to(PACKAGE).with_suffix("").parts[:-1]]
    found: set[Path | None] = set()
    for node in (part for whole in nodes for part in ast.walk(whole)):
        if isinstance(node, ast.Import):
            found |= {_file(alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                within = parents[: len(parents) - node.level + 1]
                base = ".".join([*within, *([base] if base else [])])
            for alias in node.names:
                found.add(_file(f"{base}.{alias.name}") or _file(base))
    return {one for one in found if one is not None}


def _file(module: str) -> Path | None:
    """The file of a module of the package; None for what is none."""
    first, *rest = module.split(".")
    if first != "fixedpoint":
        return None
    path = PACKAGE.joinpath(*rest)
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if rest and candidate.is_file():
            return candidate
    return None


def _versions() -> str:
    return " ".join(f"{name} {importlib.metadata.version(name)}" for name in LIBRARIES)
