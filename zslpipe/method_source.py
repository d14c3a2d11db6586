"""What a method file declares, read from its source without importing it (and so without torch).

The workflow asks before any job runs: which input a method takes, which settings its ``Config`` has, whether it reads
word vectors (``classes.words``) and whether its ``Model`` has attention maps and attribute scores. All of it is derived
from the file, so that adding a method is one file in ``zslpipe/methods`` and one line in ``config.yaml``.
"""

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from zslpipe.errors import InputError, nearest
from zslpipe.provenance import PACKAGE, syntax_tree

INPUT_KINDS = ("Regions", "Pooled")


@dataclass(frozen=True)
class MethodSource:
    """A method file's declarations: ``settings`` maps each Config field to its annotation as text."""

    name: str
    input_kind: str
    input_arguments: Mapping[str, int]
    settings: Mapping[str, str]
    uses_words: bool
    has_attention: bool
    has_attribute_scores: bool
    has_epochs: bool


def method_names(package: Path = PACKAGE) -> list[str]:
    """Return the names of all method files, sorted."""
    return sorted(path.stem for path in (package / "methods").glob("*.py") if path.stem != "__init__")


def read_method(name: str, package: Path = PACKAGE) -> MethodSource:
    """Return what ``methods/{name}.py`` declares; raises InputError for an unknown name or a missing declaration."""
    path = package / "methods" / f"{name}.py"
    if not path.is_file():
        raise InputError(f"no method {name!r}; {nearest(name, method_names(package))}")
    tree = syntax_tree(path)
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    for required in ("Config", "Model"):
        if required not in classes:
            raise InputError(f"methods/{name}.py declares no class {required}")
    kind, arguments = _input(tree, name)
    functions = {node.name for node in classes["Model"].body if isinstance(node, ast.FunctionDef)}
    return MethodSource(
        name=name,
        input_kind=kind,
        input_arguments=arguments,
        settings={
            node.target.id: ast.unparse(node.annotation)
            for node in classes["Config"].body
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        },
        uses_words=any(isinstance(node, ast.Attribute) and node.attr == "words" for node in ast.walk(tree)),
        has_attention="attention" in functions,
        has_attribute_scores="attribute_scores" in functions,
        has_epochs=any(isinstance(node, ast.ImportFrom) and node.module == "zslpipe.training" for node in tree.body),
    )


def _input(tree: ast.Module, name: str) -> tuple[str, dict[str, int]]:
    """Return kind and arguments of ``INPUT = Kind(size=..., grid=...)``."""
    for node in tree.body:
        if not (
            isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "INPUT"
        ):
            continue
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in INPUT_KINDS:
            return call.func.id, {word.arg: ast.literal_eval(word.value) for word in call.keywords if word.arg}
    raise InputError(f"methods/{name}.py declares no INPUT = Regions(...) or Pooled(...)")
