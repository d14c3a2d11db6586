"""What a file of the package declares, read from its syntax tree without importing it (and so
without torch).

The workflow asks before any job runs. Of a method: which input it takes (``INPUT``), its settings
with their ranges and defaults (``Config``, ``PUBLISHED``), and what there is to be seen of it
(``DECLARES``, a tuple of the words below). Of an adapter and its like: its ``Settings``, and where
its datasets have the same kinds of class vectors always, these (``SEMANTICS``). A class of settings
is evaluated by itself, so that it may name nothing but Python's and pydantic's types and
:mod:`zslpipe.machine.ranges`.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from zslpipe.folders import is_hidden
from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import PACKAGE, syntax_tree

# What a method can take, by its name in the configuration and in the package.
INPUT_KINDS = {"regions": "Regions", "pooled": "Pooled", "images": "Images"}
# What a method can declare.
WORDS = "words"  # it reads word vectors
EPOCHS = "epochs"  # it trains in epochs, Config.epochs of them in its last stage
ATTENTION = "attention"  # Model.attention: maps of attributes
PART_ATTENTION = "part_attention"  # Model.part_attention: maps of parts that it finds itself
ATTRIBUTE_SCORES = "attribute_scores"  # Model.attribute_scores
SAME_SPACE = "same_space"  # class vectors lie in the space of its features: as wide as they
UNTRAINED = "untrained"  # it trains nothing: the model is what it is built from
CLOSED_FORM = "closed_form"  # its training draws nothing at random: every seed gives the same
DECLARABLE = (
    *(WORDS, EPOCHS, ATTENTION, PART_ATTENTION, ATTRIBUTE_SCORES),
    *(SAME_SPACE, UNTRAINED, CLOSED_FORM),
)
# Modules whose names a class of settings may use.
TYPES = ("collections.abc", "dataclasses", "pydantic", "typing", "zslpipe.machine.ranges")


@dataclass(frozen=True)
class MethodSource:
    """A method file's declarations: ``inputs`` maps each kind of input it takes, the default first,
    to the kind's arguments; ``config`` is its Config, ``published`` the Configs of papers by name
    of the dataset, ``declares`` some of DECLARABLE.
    """

    name: str
    inputs: Mapping[str, Mapping[str, int]]
    config: type[Any]
    published: Mapping[str, Any]
    declares: tuple[str, ...]

    @property
    def uses_words(self) -> bool:
        """Return whether the method reads word vectors."""
        return WORDS in self.declares

    @property
    def has_epochs(self) -> bool:
        """Return whether the method trains in epochs."""
        return EPOCHS in self.declares

    @property
    def is_drawn(self) -> bool:
        """Return whether a seed decides what the method's training gives."""
        return UNTRAINED not in self.declares and CLOSED_FORM not in self.declares

    @property
    def has_attention(self) -> bool:
        """Return whether the method has maps of attributes."""
        return ATTENTION in self.declares

    @property
    def has_part_attention(self) -> bool:
        """Return whether the method has maps of parts that it finds itself."""
        return PART_ATTENTION in self.declares

    @property
    def has_attribute_scores(self) -> bool:
        """Return whether the method scores attributes."""
        return ATTRIBUTE_SCORES in self.declares

    @property
    def has_maps(self) -> bool:
        """Return whether the method shows where it looks: maps of attributes, or of parts."""
        return self.has_attention or self.has_part_attention

    @property
    def knows_attributes(self) -> bool:
        """Return whether each number of a class vector is an attribute to the method, with a word
        vector, a map or a score.
        """
        return self.uses_words or self.has_attention or self.has_attribute_scores

    def defaults(self, settings_of: str | None) -> dict[str, Any]:
        """Return the settings that the method starts from: those published for a dataset, or else
        its own.
        """
        return asdict(self.published.get(settings_of or "", self.config()))


def method_names(package: Path = PACKAGE) -> list[str]:
    """Return the names of all method files, sorted."""
    return _names(package / "methods")


def adapter_names(package: Path = PACKAGE) -> list[str]:
    """Return the names of all adapters of datasets, sorted."""
    return _names(package / "datasets" / "adapters")


def _names(folder: Path) -> list[str]:
    """Return the names of a room's modules, sorted."""
    files = (path for path in folder.glob("*.py") if not is_hidden(path.name))
    return sorted(path.stem for path in files if path.stem != "__init__")


def published_names(package: Path = PACKAGE) -> list[str]:
    """Return the names of all datasets for which some method publishes settings, sorted."""
    methods = [read_method(name, package) for name in method_names(package)]
    return sorted({name for method in methods for name in method.published})


def read_method(name: str, package: Path = PACKAGE) -> MethodSource:
    """Return what ``methods/{name}.py`` declares; raises InputError for an unknown name or a
    missing declaration.
    """
    path = package / "methods" / f"{name}.py"
    if not path.is_file():
        raise InputError(f"no method {name!r}; {nearest(name, method_names(package))}")
    return _method(path, path.stat().st_mtime_ns)


@cache
def _method(path: Path, modified: int) -> MethodSource:
    """Return what a method file declares as of its modification time in nanoseconds."""
    tree = syntax_tree(path)
    where = f"methods/{path.name}"
    classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
    for required in ("Config", "Model"):
        if required not in classes:
            raise InputError(f"{where} declares no class {required}")
    evaluated = _evaluated(tree, ("Config", "PUBLISHED"), where)
    return MethodSource(
        name=path.stem,
        inputs=_inputs(tree, where),
        config=evaluated["Config"],
        published=evaluated.get("PUBLISHED", {}),
        declares=_declares(tree, where),
    )


def read_settings(module: str, name: str = "Settings", package: Path = PACKAGE) -> type[Any]:
    """Return a class of settings of a module such as ``datasets.words``."""
    path = package.joinpath(*module.split(".")).with_suffix(".py")
    return _settings(path, path.stat().st_mtime_ns, name, module)


@cache
def _settings(path: Path, modified: int, name: str, module: str) -> type[Any]:
    """Return a file's class of settings as of its modification time in nanoseconds."""
    found: type[Any] = _evaluated(syntax_tree(path), (name,), module)[name]
    return found


def read_semantics(adapter: str, package: Path = PACKAGE) -> tuple[str, ...]:
    """Return the kinds of class vectors that an adapter's datasets have (``SEMANTICS``), none where
    its files say which.
    """
    tree = syntax_tree(package / "datasets" / "adapters" / f"{adapter}.py")
    found: tuple[str, ...] = ()
    for value in _assigned(tree, "SEMANTICS"):
        found = ast.literal_eval(value)
    return found


def _evaluated(tree: ast.Module, names: tuple[str, ...], where: str) -> dict[str, Any]:
    """Return the values of classes and assignments at a file's top level, by name.

    Raises InputError where they use a name that is none of Python's own or of TYPES.
    """
    body = [node for node in tree.body if _is_import_of_types(node) or _name(node) in names]
    namespace: dict[str, Any] = {"__name__": f"zslpipe.declared.{where}"}
    try:
        exec(compile(ast.Module(body, []), where, "exec"), namespace)
    except NameError as error:
        raise InputError(
            f"{where}: {' and '.join(names)} can use Python's types, pydantic's and those of "
            f"zslpipe.machine.ranges alone ({error})"
        ) from None
    return namespace


def _is_import_of_types(node: ast.stmt) -> bool:
    """Return whether a statement imports what settings are declared with."""
    return isinstance(node, ast.ImportFrom) and node.module in TYPES


def _name(node: ast.stmt) -> str | None:
    """Return the name that a statement defines: a class's, or that of a plain assignment."""
    if isinstance(node, ast.ClassDef):
        return node.name
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id
    return None


def _assigned(tree: ast.Module, name: str) -> Iterator[ast.expr]:
    """Yield what is assigned to a name at the top level."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and _name(node) == name:
            yield node.value


def _declares(tree: ast.Module, where: str) -> tuple[str, ...]:
    """Return the words of ``DECLARES``, none where the file has none; InputError for an unknown
    one.
    """
    declared: tuple[str, ...] = ()
    for value in _assigned(tree, "DECLARES"):
        declared = ast.literal_eval(value)
    for word in declared:
        if word not in DECLARABLE:
            raise InputError(f"{where}, DECLARES: {word!r}; {nearest(word, DECLARABLE)}")
    return declared


def _inputs(tree: ast.Module, where: str) -> dict[str, dict[str, int]]:
    """Return kinds and arguments of ``INPUT = Kind(size=..., grid=...)``, or of a tuple of such."""
    for value in _assigned(tree, "INPUT"):
        calls = value.elts if isinstance(value, ast.Tuple) else [value]
        kinds = dict(kind for call in calls for kind in _kind(call))
        if len(kinds) == len(calls):
            return kinds
    raise InputError(
        f"{where} declares no INPUT = Regions(...), Pooled(...), Images(...) or a tuple of them"
    )


def _kind(call: ast.expr) -> list[tuple[str, dict[str, int]]]:
    """Return [(kind, arguments)] of a call of one of the kinds, nothing for another expression."""
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        return []
    arguments = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    return [(kind, arguments) for kind, called in INPUT_KINDS.items() if called == call.func.id]
