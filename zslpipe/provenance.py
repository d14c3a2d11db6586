"""Hashes that decide what runs again: of configuration slices and of the package's own code. Imports no torch."""

import ast
import hashlib
import json
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def canonical(value: object) -> str:
    """Return ``value`` as JSON with sorted keys: equal settings give equal text, whatever their order in the file."""
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
    """Return a hash of the syntax trees of ``modules`` and of all they import inside the package.

    Comments, docstrings and layout do not count, so that a better explanation costs no training. Snakemake does not
    see package code; rules pass this hash as a parameter instead.
    """
    closure = sorted({name for module in modules for name in _closure(module, package)})
    return hashlib.sha256("\n".join(_code(name, package) for name in closure).encode()).hexdigest()[:16]


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


@cache
def _tree(path: Path, modified: int) -> ast.Module:
    """Parse a file once per modification time, docstrings removed."""
    tree = ast.parse(path.read_text(encoding="utf8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return tree


def syntax_tree(path: Path) -> ast.Module:
    """Return a Python file's syntax tree without docstrings."""
    return _tree(path, path.stat().st_mtime_ns)


def _imports(name: str, package: Path) -> set[str]:
    """Return the package modules that a module imports itself, wherever the import stands in the file."""
    path = _module_path(name, package)
    if path is None:
        return set()
    candidates: set[str] = set()
    for node in ast.walk(syntax_tree(path)):
        if isinstance(node, ast.Import):
            candidates |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            candidates |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {candidate for candidate in candidates if _module_path(candidate, package) is not None}


def _code(name: str, package: Path) -> str:
    """Return the text that stands for a module's code: its name and its syntax tree without positions."""
    path = _module_path(name, package)
    if path is None:
        raise ModuleNotFoundError(f"no module {name!r} in {package}")
    return f"{name}\n{ast.dump(syntax_tree(path))}"
