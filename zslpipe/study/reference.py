"""The configuration reference: written from the classes that a configuration is checked by.

``python -m zslpipe.study.reference`` writes ``docs/configuration.md`` again. Types, ranges and
defaults are those of the dataclasses; meanings are the docstrings and comments beside their fields.
"""

import ast
import dataclasses
import inspect
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from zslpipe.machine.ranges import told
from zslpipe.provenance import PACKAGE
from zslpipe.scores.kinds import KINDS
from zslpipe.settings import known_names
from zslpipe.study.declarations import (
    adapter_names,
    method_names,
    published_names,
    read_method,
    read_semantics,
    read_settings,
)
from zslpipe.study.field_comments import field_comments, source_of
from zslpipe.study.schema import DESCRIBED
from zslpipe.study.sections import (
    Compute,
    Configuration,
    Dataset,
    Ensemble,
    Extractor,
    Imported,
    Irrelevant,
    RunSection,
    Variants,
)
from zslpipe.study.study_sections import PaperStudy, StudyRow, Sweep

FILE = PACKAGE.parent / "docs" / "configuration.md"
INTRODUCTION = """\
# Configuration reference

Written by `python -m zslpipe.study.reference` from the classes that check a configuration; a test
holds it in step. `config.yaml` and `workflow/experiments/` hold whole configurations,
`workflow/schemas/config.schema.yaml` is the schema for editors.

**Checked before any job.** An unknown key or name, a wrong type and a number out of range end in
one line that names the place, the value and what is allowed. No number is infinite or nan, none is
larger or smaller than float32 holds. A whole number is written without a point.

**YAML.** A key given twice, tabs, a second document (`---`), another encoding than UTF-8, and
numbers that YAML reads as others (`010` is 8, `1:30` is 90) are refused with their line. Names that
YAML reads as numbers, true or false (`2020:`, `no:`, `on:`) are quoted. A number such as `1e-4` is
written `1.0e-4`. Anchors, aliases and `<<` work. A file given with `--configfile` is read by
Snakemake first, which says less of a file that is no YAML; `python -m zslpipe.study.check FILE`
says all.

**Names** of datasets, extractors and sources consist of letters from A to Z, digits, `_`, `.` and
`-`; those of variants and ensembles of letters, digits and `_`. Two names that differ in case alone
are one file on some systems and are refused, as are names that stand for something else under
`results/`.

**Files** are relative to `data_root`, or absolute. `~` and `$VARIABLES` are looked up in
`data_root` alone (one that is not set is named); in any other file's name they are refused. Spaces,
quotes, `#`, `%`, braces and letters of any language may stand in `data_root` and in the names of
files and folders below it. The checkout itself cannot lie in a folder with a brace or a colon in
its path.

**On the command line**: `snakemake --config set="dazle.lr=0.5 seeds=[0,1]"` sets nested values,
typed as YAML types them; a value with spaces stands in quotes of its own:
`set="data_root='/my data'"`.

**Defaults of methods** carry their source: *paper*, *code* (the authors'), *family* (code of
related methods), *ours*. `settings_of: NAME` of a dataset starts every method from the settings
that it publishes for that dataset; one that publishes none starts from its own defaults, which is
said when a run begins. A name that no method knows is refused.

In the tables, **needed** means that there is no default.
"""
SECTIONS: Mapping[str, type] = {
    "Top level": Configuration,
    "`datasets.NAME`": Dataset,
    "`extractors.NAME`": Extractor,
    "`irrelevant.NAME`": Irrelevant,
    "`ensembles.NAME`": Ensemble,
    "`imported.NAME`": Imported,
    "`compute`": Compute,
    "`studies.NAME`": PaperStudy,
    "`studies.NAME.rows` and `lines` of a sweep": StudyRow,
    "`studies.NAME.sweep` and `METHOD.sweep`": Sweep,
}
# What settings mean that many methods have; the comment behind each says the rest.
COMMON = {
    "lr": "learning rate",
    "trunk_lr": "learning rate of the network",
    "momentum": "of the optimiser",
    "weight_decay": "of the optimiser",
    "batch_size": "images of a batch",
    "epochs": "passes over the training images",
    "sampler": "how batches are drawn",
    "backbone": "the network, where there is one: that of the extractor",
    "layer": "the network's layer: that of the extractor",
}


def as_text() -> str:
    """Return the reference as its file holds it."""
    blocks = [INTRODUCTION.strip()]
    for title, kind in SECTIONS.items():
        blocks += _section(title, _first(kind), _described(kind))
    names = ", ".join(f"`{name}`" for name in published_names())
    blocks[blocks.index("## `datasets.NAME`") + 1] += f" Names for `settings_of`: {names}."
    for name in adapter_names():
        blocks += _adapter(name)
    title = "`words.NAME`"
    blocks += _section(title, *_commented("datasets.words", "Settings"))
    blocks += _section("`texts.NAME`", *_commented("datasets.texts", "Settings"))
    for name, kind in KINDS.items():
        if known_names(kind, ()):
            rows = _rows(kind, field_comments(PACKAGE / "scores" / "kinds.py", kind.__name__))
            blocks += _section(f"`rebalancing.{name}`", _first(kind), rows)
    of_a_run = [*_described(RunSection), *_described(Variants)]
    blocks += _section("METHOD and `METHOD.variants.NAME`", _first(RunSection), of_a_run)
    for name in method_names():
        blocks += method_section(name)
    return "\n\n".join(blocks) + "\n"


def _section(title: str, said: str, rows: list[dict[str, str]]) -> list[str]:
    """Return the heading, what is said of a section, and its table."""
    return [f"## {title}", said, _table(rows)]


def _adapter(name: str) -> list[str]:
    """Return the part of an adapter."""
    said, rows = _commented(f"datasets.adapters.{name}", "Settings")
    semantics = " and ".join(f"`{kind}`" for kind in read_semantics(name))
    vectors = semantics or "those of the split file, and of `extra_semantics`"
    title = f"`datasets.NAME.source`, adapter `{name}`"
    return _section(title, f"{said} Class vectors (`semantics`): {vectors}.", rows)


def method_section(name: str) -> list[str]:
    """Return the part of a method: heading, what it reads, the table of its Config, and what it
    publishes by dataset.
    """
    method = read_method(name)
    path = PACKAGE / "methods" / f"{name}.py"
    comments = field_comments(path, "Config")
    meanings = {}
    for key, comment in comments.items():
        meanings[key] = f"{COMMON[key]}; {comment}" if key in COMMON else comment
    rows = _rows(method.config, meanings)
    for row in rows:
        row["source"] = source_of(comments[row["key"].strip("`")])
    words = ", word vectors" if method.uses_words else ""
    heading = (
        f"{_docstring(path)} Reads {' or '.join(method.inputs)}{words}. What equations and Greek "
        f"letters are stands in [methods/{name}.py](../zslpipe/methods/{name}.py)."
    )
    return [*_section(f"`{name}`", heading, rows), *_published(name)]


def _published(name: str) -> Iterator[str]:
    """Yield which settings a method starts from with ``settings_of``, by dataset."""
    method, lines = read_method(name), []
    own = dataclasses.asdict(method.config())
    for dataset, published in method.published.items():
        changed = dataclasses.asdict(published).items() - own.items()
        told_of = ", ".join(f"{key} {_value(value)}" for key, value in sorted(changed))
        lines.append(f"- `{dataset}`: {told_of or 'the defaults above'}")
    if lines:
        yield "\n".join(["With `settings_of` it starts from:", "", *lines])
    else:
        yield "It publishes no settings: with `settings_of` it starts from the defaults above."


def _commented(module: str, name: str) -> tuple[str, list[dict[str, str]]]:
    """Return what a module says of itself first, and the rows of its class of settings."""
    path = PACKAGE.joinpath(*module.split(".")).with_suffix(".py")
    return _docstring(path), _rows(read_settings(module, name), field_comments(path, name))


def _docstring(path: Path) -> str:
    """Return the first paragraph of a file's docstring, in one line."""
    said = ast.get_docstring(ast.parse(path.read_text(encoding="utf8"))) or ""
    return " ".join(said.split("\n\n")[0].split())


def _first(kind: type) -> str:
    """Return a class's docstring in one line."""
    return " ".join((inspect.getdoc(kind) or "").split()).replace("``", "`")


def _described(kind: type) -> list[dict[str, str]]:
    """Return the rows of a class of the configuration, whose fields have docstrings."""
    schemas = _schemas(kind)
    return _rows(kind, {name: one.get("description", "") for name, one in schemas.items()})


def _schemas(kind: Any) -> dict[str, Any]:
    """Return the JSON schema of each field of a dataclass by name."""
    made = TypeAdapter(tuple[kind], config=DESCRIBED).json_schema()
    fields: dict[str, Any] = made["$defs"][kind.__name__]["properties"]
    return fields


def _rows(kind: Any, meanings: Mapping[str, str]) -> list[dict[str, str]]:
    """Return key, value, default and meaning of each field of a dataclass."""
    rows, schemas = [], _schemas(kind)
    for field in dataclasses.fields(kind):
        schema = _without_null(schemas[field.name])
        row = {"key": f"`{field.name}`", "value": told(schema), "default": _default(field)}
        rows.append(row | {"source": "", "meaning": meanings.get(field.name, "")})
    return rows


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a JSON schema without "or null"."""
    others = [one for one in schema.get("anyOf", []) if one.get("type") != "null"]
    return others[0] if others else schema


def _default(field: dataclasses.Field[Any]) -> str:
    """Return a field's default as the table shows it."""
    if field.default_factory is not dataclasses.MISSING:
        return "nothing"
    if field.default is dataclasses.MISSING:
        return "**needed**"
    return "nothing" if field.default in (None, (), "") else _value(field.default)


def _value(value: Any) -> str:
    """Return a value as one writes it in YAML."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(str(item) for item in value)}]`"
    text = str(value)
    if isinstance(value, float) and "e" in text and "." not in text:
        text = text.replace("e", ".0e")  # YAML reads 1e-5 as a text
    return f"`{text}`"


def _stands_somewhere(column: str, rows: list[dict[str, str]]) -> bool:
    """Return whether a row has something in a column."""
    return any(row[column] for row in rows)


def _table(rows: list[dict[str, str]]) -> str:
    """Return rows as a table in Markdown, without columns in which nothing stands."""
    columns = [name for name in rows[0] if _stands_somewhere(name, rows)]
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    for row in rows:
        cells = [row[name].replace("|", "\\|") for name in columns]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(as_text(), encoding="utf8")
