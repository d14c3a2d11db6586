"""Hashes that decide what runs again: of configuration slices and of the package's own code.
Imports no torch.
"""

import ast
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
# Endings of the package's own tables (published numbers, corrections of words): what they say is
# part of the code.
TABLES = (".yaml", ".csv")


def canonical(value: object) -> str:
    """Return ``value`` as JSON with sorted keys: equal settings give equal text, whatever their
    order in the file.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def settings_hash(value: object) -> str:
    """Return a 16-digit hash of a JSON-able value, independent of the order of keys."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """Return a 16-digit SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def code_hash(*modules: str, package: Path = PACKAGE) -> str:
    """Return a hash of the syntax trees of ``modules``, of all they import in the package, and of
    the tables they name.

    Comments, docstrings and layout do not count, so that a better explanation costs no training.
    Snakemake does not see package code; rules pass this hash as a parameter instead.
    """
    closure = sorted({name for module in modules for name in _closure(module, package)})
    return hashlib.sha256("\n".join(_code(name, package) for name in closure).encode()).hexdigest()[
        :16
    ]


def _closure(module: str, package: Path) -> set[str]:
    """Return ``module`` and every package module it imports, directly or not."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting.extend(_imports(name, package))
    return found


def _module_path(name: str, package: Path) -> Path | None:
    """Return the file of a dotted module name, None where the name is not a module of the package."""
    parts = name.split(".")
    if parts[0] != package.name:
        return None
    path = package.joinpath(*parts[1:])
    if path.is_dir():
        return path / "__init__.py"
    path = path.with_suffix(".py")
    return path if path.is_file() else None


@dataclass(frozen=True)
class _Source:
    """What a hash needs of a file: its tree without docstrings, the tree as text, names it imports,
    texts it holds.
    """

    tree: ast.Module
    structure: str
    imports: frozenset[str]
    texts: frozenset[str]


def _source(path: Path) -> _Source:
    """Return a file's source, parsed once per modification: a hash is asked for with every job."""
    return _parsed(path, path.stat().st_mtime_ns)


@cache
def _parsed(path: Path, modified: int) -> _Source:
    """Parse a file as of its modification time in nanoseconds."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    nodes = list(ast.walk(tree))
    texts = (
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    return _Source(
        tree, _as_text(tree), frozenset().union(*map(_imported, nodes)), frozenset(texts)
    )


def syntax_tree(path: Path) -> ast.Module:
    """Return a Python file's syntax tree without docstrings."""
    return _source(path).tree


def _as_text(node: object) -> str:
    """Return a tree as text without positions and empty fields: ``ast.dump`` differs between
    versions of Python.
    """
    if isinstance(node, ast.AST):
        fields = [
            (name, value)
            for name, value in ast.iter_fields(node)
            if value is not None and value != []
        ]
        return f"{type(node).__name__}({','.join(f'{name}={_as_text(value)}' for name, value in fields)})"
    return (
        f"[{','.join(_as_text(item) for item in node)}]" if isinstance(node, list) else repr(node)
    )


def _imported(node: ast.AST) -> set[str]:
    """Return the dotted names that an import statement may load: modules, and what is taken from
    them.
    """
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
        return {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return set()


def _imports(name: str, package: Path) -> set[str]:
    """Return the package modules that a module imports itself, wherever the import stands in the
    file.
    """
    path = _module_path(name, package)
    names = _source(path).imports if path is not None else frozenset()
    return {imported for imported in names if _module_path(imported, package) is not None}


def _code(name: str, package: Path) -> str:
    """Return what stands for a module's code: its name, its syntax tree, hashes of the tables
    beside it that it names.
    """
    path = _module_path(name, package)
    if path is None:
        raise ModuleNotFoundError(f"no module {name!r} in {package}")
    source = _source(path)
    named = [
        path.with_name(text) for text in source.texts if text.endswith(TABLES) and "/" not in text
    ]
    tables = sorted(table for table in named if table.is_file())
    return "\n".join([name, source.structure, *(file_hash(table) for table in tables)])
