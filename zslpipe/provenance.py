"""Hashes that decide what runs again: of configuration slices and of the package's own code.

Imports no torch.
"""

import ast
import hashlib
import json
import platform
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path

PACKAGE = Path(__file__).parent
# Endings of the package's own tables and templates (published numbers, the page): what they say is
# part of the code.
TABLES = (".yaml", ".csv", ".html", ".css", ".js")
# Rooms and modules that decide no number: where and how a job runs, what is hashed itself, who
# refuses settings.
SILENT = ("machine", "provenance", "settings")
# Keywords of calls that only explain: of click, of tqdm.
HELP_TEXTS = ("help", "short_help", "epilog", "desc")
# Libraries that compute what a result holds; a feature file says which ones decoded its images.
LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn")
Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide a result's last digits."""
    return {"python": platform.python_version(), **{name: version(name) for name in LIBRARIES}}


def canonical(value: object) -> str:
    """Return ``value`` as JSON with sorted keys: equal settings give equal text, whatever their
    order in the file.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def settings_hash(value: object) -> str:
    """Return a 16-digit hash of a JSON-able value, independent of the order of keys."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:16]


def made_of_hash(settings: Mapping[str, object]) -> str:
    """Return the hash of an adapter's complete settings; what is empty says nothing."""
    kept = {name: value for name, value in settings.items() if value not in (None, [], {})}
    return settings_hash(kept)


def bytes_hash(content: bytes) -> str:
    """Return the :func:`file_hash` of a file with these bytes."""
    return hashlib.sha256(content).hexdigest()[:16]


def file_hash(path: Path) -> str:
    """Return a 16-digit SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()[:16]


def code_hash(*entries: str, without: Collection[str] = (), package: Path = PACKAGE) -> str:
    """Return a hash of the code that decides what ``entries`` compute.

    An entry is a module of the package (``zslpipe.methods.dazle``) or one function of a module
    (``zslpipe.commands.runs:train``: that function, and what it uses of its module and, function
    by function, of the others in its room). What they import from the package counts too, directly
    or not, and so do the tables beside a module that names them.

    Left out is what decides no number: the modules of SILENT and those of ``without``; comments,
    docstrings and layout; what is only said (arguments of ``raise``, calls of a logger, help texts
    of options). A better explanation must cost no training. Snakemake does not see package code;
    rules pass this hash as a parameter instead.

    Raises ModuleNotFoundError or AttributeError for an entry that does not exist.
    """
    left_out = [f"{package.name}.{name}" for name in SILENT] + list(without)
    texts: dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        entry = waiting.pop()
        if entry not in texts and not _within(entry, left_out):
            code = _code(entry, package)
            texts[entry] = code.text
            waiting.extend(code.imports)
    told = "\n".join(texts[entry] for entry in sorted(texts))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _within(entry: str, modules: Iterable[str]) -> bool:
    """Return whether an entry is one of ``modules`` or lies inside one of them."""
    name = entry.partition(":")[0]
    return any(f"{name}.".startswith(f"{module}.") for module in modules)


@dataclass(frozen=True)
class _Code:
    """What a hash needs of an entry: its code as text, the package's modules that it imports."""

    text: str
    imports: frozenset[str]


def _code(entry: str, package: Path) -> _Code:
    """Return an entry's code as of now: tables are read each time, files parsed when changed."""
    path = _module_path(entry.partition(":")[0], package)
    if path is None:
        raise ModuleNotFoundError(f"no module {entry!r} in {package}")
    parsed, tables = _parsed_entry(entry, path, path.stat().st_mtime_ns)
    existing = [path.with_name(name) for name in tables if path.with_name(name).is_file()]
    hashes = [file_hash(table) for table in existing]
    imports = [name for name in parsed.imports if _module_path(name.partition(":")[0], package)]
    return _Code("\n".join([parsed.text, *hashes]), frozenset(imports))


@cache
def _parsed_entry(entry: str, path: Path, modified: int) -> tuple[_Code, list[str]]:
    """Return an entry's code, all that it imports, and names of tables, sorted."""
    tree = _parsed(path, modified)
    function = entry.partition(":")[2]
    statements = _used_by(function, tree, entry) if function else tree.body
    nodes = [node for statement in statements for node in ast.walk(statement)]
    room = entry.rpartition(".")[0] if function else None
    imports = frozenset().union(*(_imported(node, room) for node in nodes))
    constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
    texts = {value for value in constants if isinstance(value, str) and "/" not in value}
    tables = sorted(text for text in texts if text.endswith(TABLES))
    return _Code("\n".join([entry, *map(_as_text, statements)]), imports), tables


def _module_path(name: str, package: Path) -> Path | None:
    """Return the file of a dotted module name, None where the name is not a module of the
    package.
    """
    parts = name.split(".")
    if parts[0] != package.name:
        return None
    path = package.joinpath(*parts[1:])
    if path.is_dir():
        return path / "__init__.py"
    path = path.with_suffix(".py")
    return path if path.is_file() else None


def syntax_tree(path: Path) -> ast.Module:
    """Return a Python file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf8"))


def module_hash(path: Path) -> str:
    """Return a hash of one file's code alone, of nothing that it imports."""
    tree = _parsed(path, path.stat().st_mtime_ns)
    return hashlib.sha256(_as_text(tree).encode()).hexdigest()[:16]


@cache
def _parsed(path: Path, modified: int) -> ast.Module:
    """Return a file's tree without what is only said, as of its modification time in nanoseconds:
    every job asks for hashes.
    """
    tree = syntax_tree(path)
    _Unsaid().visit(tree)
    return tree


class _Unsaid(ast.NodeTransformer):
    """Takes out of a tree what is only said: docstrings, messages of errors, log, help texts."""

    def generic_visit(self, node: ast.AST) -> ast.AST:
        """Take a docstring away, then look further down."""
        if isinstance(node, Documented) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
        return super().generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Drop texts that were put together for messages alone, once these are taken out."""
        self.generic_visit(node)
        names = [name for name in ast.walk(node) if isinstance(name, ast.Name)]
        read = {name.id for name in names if isinstance(name.ctx, ast.Load)}
        for parent in ast.walk(node):
            if isinstance(parent, ast.FunctionDef | ast.If | ast.For | ast.With | ast.Try):
                kept = [one for one in parent.body if not _is_unread_text(one, read)]
                parent.body = kept or [ast.Pass()]
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        """Keep which error is raised, not its message."""
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        """Make nothing of a logger's call."""
        called = node.value.func if isinstance(node.value, ast.Call) else None
        owner = called.value if isinstance(called, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id == "logger":
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        """Drop the help text of an option or a command."""
        node.keywords = [word for word in node.keywords if word.arg not in HELP_TEXTS]
        return self.generic_visit(node)


def _is_unread_text(statement: ast.stmt, read: set[str]) -> bool:
    """Return whether a statement gives a name that nobody reads a text."""
    if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
        return False
    text = isinstance(statement.value, ast.JoinedStr | ast.Constant)
    return text and statement.targets[0].id not in read


def _used_by(function: str, tree: ast.Module, entry: str) -> list[ast.stmt]:
    """Return the top-level statements that define ``function`` and all that it uses of its module,
    in their order; raises AttributeError where it is not defined there.
    """
    defined = {name: statement for statement in tree.body for name in _defines(statement)}
    if function not in defined:
        raise AttributeError(f"{entry}: no such function")
    used: set[str] = set()
    waiting = [function]
    while waiting:
        name = waiting.pop()
        if name in defined and name not in used:
            used.add(name)
            nodes = ast.walk(defined[name])
            waiting.extend(node.id for node in nodes if isinstance(node, ast.Name))
    kept = [statement for statement in tree.body if used.intersection(_defines(statement))]
    return [_trimmed(statement, used) for statement in kept]


def _defines(statement: ast.stmt) -> list[str]:
    """Return the names that a top-level statement gives a meaning."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return [statement.name]
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return [_meant(alias) for alias in statement.names]
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        stored = [node for node in ast.walk(statement) if isinstance(node, ast.Name)]
        return [node.id for node in stored if isinstance(node.ctx, ast.Store)]
    return []


def _meant(alias: ast.alias) -> str:
    """Return the name that an import gives a meaning."""
    return (alias.asname or alias.name).partition(".")[0]


def _trimmed(statement: ast.stmt, used: set[str]) -> ast.stmt:
    """Return a statement, of an import only what is used."""
    if not isinstance(statement, ast.ImportFrom):
        return statement
    names = [alias for alias in statement.names if _meant(alias) in used]
    return ast.ImportFrom(statement.module, names, statement.level)


def _imported(node: ast.AST, room: str | None) -> set[str]:
    """Return the dotted names that an import statement may load: modules, and what is taken from
    them; of modules of ``room`` the functions, as entries.
    """
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    if not (isinstance(node, ast.ImportFrom) and node.module and node.level == 0):
        return set()
    if room is not None and node.module.startswith(f"{room}."):
        return {f"{node.module}:{alias.name}" for alias in node.names}
    return {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}


def _as_text(node: object) -> str:
    """Return a tree as text without positions and empty fields: ``ast.dump`` differs between
    versions of Python.
    """
    if isinstance(node, ast.AST):
        pairs = ast.iter_fields(node)
        fields = [f"{name}={_as_text(value)}" for name, value in pairs if value not in (None, [])]
        return f"{type(node).__name__}({','.join(fields)})"
    if isinstance(node, list):
        return f"[{','.join(map(_as_text, node))}]"
    return repr(node)
