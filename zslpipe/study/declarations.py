"""What a method file declares, read from its source without importing it (and so without torch).

The workflow asks before any job runs: which input a method takes, which settings its ``Config``
has, whether it reads word vectors (``classes.words``) and whether its ``Model`` has attention maps
and attribute scores. All of it is derived from the file, so that adding a method is one file in
``zslpipe/methods`` and one line in ``config.yaml``.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import PACKAGE, syntax_tree

# What a method can take, by its name in the configuration and in the package.
INPUT_KINDS = {"regions": "Regions", "pooled": "Pooled", "images": "Images"}
# Settings that an end-to-end method gets from its extractor.
FROM_EXTRACTOR = ("backbone", "layer")


@dataclass(frozen=True)
class MethodSource:
    """A method file's declarations: ``inputs`` maps each kind of input it takes, the default first,
    to the kind's arguments, ``settings`` each Config field to its annotation as text.
    """

    name: str
    inputs: Mapping[str, Mapping[str, int]]
    settings: Mapping[str, str]
    uses_words: bool
    has_attention: bool
    has_part_attention: bool
    has_attribute_scores: bool
    has_epochs: bool

    @property
    def has_maps(self) -> bool:
        """Return whether the method shows where it looks: maps of attributes, or of parts it finds
        itself.
        """
        return self.has_attention or self.has_part_attention


def method_names(package: Path = PACKAGE) -> list[str]:
    """Return the names of all method files, sorted."""
    return sorted(
        path.stem for path in (package / "methods").glob("*.py") if path.stem != "__init__"
    )


def read_method(name: str, package: Path = PACKAGE) -> MethodSource:
    """Return what ``methods/{name}.py`` declares; raises InputError for an unknown name or a
    missing declaration.
    """
    path = package / "methods" / f"{name}.py"
    if not path.is_file():
        raise InputError(f"no method {name!r}; {nearest(name, method_names(package))}")
    tree = syntax_tree(path)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for required in ("Config", "Model"):
        if required not in classes:
            raise InputError(f"methods/{name}.py declares no class {required}")
    functions = {node.name for node in classes["Model"].body if isinstance(node, ast.FunctionDef)}
    return MethodSource(
        name=name,
        inputs=_inputs(tree, name),
        settings={
            node.target.id: ast.unparse(node.annotation)
            for node in classes["Config"].body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        },
        uses_words=any(
            isinstance(node, ast.Attribute) and node.attr == "words" for node in ast.walk(tree)
        ),
        has_attention="attention" in functions,
        has_part_attention="part_attention" in functions,
        has_attribute_scores="attribute_scores" in functions,
        has_epochs=any(
            isinstance(node, ast.ImportFrom) and node.module == "zslpipe.training.fit"
            for node in tree.body
        ),
    )


def _inputs(tree: ast.Module, name: str) -> dict[str, dict[str, int]]:
    """Return kinds and arguments of ``INPUT = Kind(size=..., grid=...)``, or of a tuple of such."""
    for node in tree.body:
        if not (
            isinstance(node, ast.Assign)
            and isinstance(node.targets[0], ast.Name)
            and node.targets[0].id == "INPUT"
        ):
            continue
        calls = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
        kinds = dict(kind for call in calls for kind in _kind(call))
        if len(kinds) == len(calls):
            return kinds
    raise InputError(
        f"methods/{name}.py declares no INPUT = Regions(...), Pooled(...), Images(...) or a tuple of them"
    )


def _kind(call: ast.expr) -> list[tuple[str, dict[str, int]]]:
    """Return [(kind, arguments)] of a call of one of the kinds, nothing for another expression."""
    if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)):
        return []
    arguments = {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    return [(kind, arguments) for kind, called in INPUT_KINDS.items() if called == call.func.id]
