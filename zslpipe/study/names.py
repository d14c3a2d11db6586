"""Names that a configuration uses: each is given somewhere, whether or not some run needs it."""

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.ranges import PAIRS
from zslpipe.names import text_name
from zslpipe.study.declarations import SAME_SPACE, read_semantics
from zslpipe.study.method_sections import Row
from zslpipe.study.text_widths import pair_configurations

# What an entry of a section is called.
CALLED = {
    "extractors": "extractor",
    "datasets": "dataset",
    "words": "source of words",
    "texts": "texts",
    "irrelevant": "set of irrelevant images",
}
# Kinds of class vectors that are strengths of attributes whatever a dataset is (xlsa17's names).
ATTRIBUTES = ("att", "original_att")


def check_names(config: Mapping[str, Any], rows: Collection[Row]) -> None:
    """Raise InputError for a name that datasets, rows of methods or sets of task-irrelevant images
    use and nothing in the configuration gives.
    """
    for where, section, name in _used(config, rows):
        _check_name(config, where, section, name)
    for name, entry in config["datasets"].items():
        check_semantics(config, name, entry["semantics"], f"config, datasets.{name}")
    for name, entry in config["irrelevant"].items():
        rendered = entry.get("rendered")
        if rendered is not None and config["datasets"][rendered]["adapter"] != "demo":
            fault = f"{rendered!r} is no dataset that is drawn (adapter demo)"
            raise InputError(f"config, irrelevant.{name}: {fault}")


def check_names_of(config: Mapping[str, Any], row: Row) -> None:
    """Raise InputError for a name that a row uses and nothing in the configuration gives."""
    for where, section, name in _used_by(row):
        _check_name(config, where, section, name)


def _check_name(config: Mapping[str, Any], where: str, section: str, name: str) -> None:
    """Raise InputError for a name that a section of the configuration does not give."""
    if name not in config[section]:
        advice = nearest(name, config[section])
        raise InputError(f"config, {where}: no {CALLED[section]} {name!r}; {advice}")


def check_semantics(config: Mapping[str, Any], dataset: str, kind: str, where: str) -> None:
    """Raise InputError for class vectors that a dataset's adapter cannot have; those of a file are
    known when it is read; of texts that the configuration does not give.
    """
    texts = text_name(kind)
    if texts is not None:
        _check_name(config, f"{where.removeprefix('config, ')}.semantics", "texts", texts)
        check_encoder(config, dataset, config["texts"][texts], f"{where}.semantics")
        return
    adapter = config["datasets"][dataset]["adapter"]
    known = read_semantics(adapter)
    if known and kind not in known:
        raise InputError(
            f"{where}.semantics: adapter {adapter!r} of dataset {dataset!r} has no class vectors "
            f"{kind!r}; {nearest(kind, known)}"
        )


def check_encoder(
    config: Mapping[str, Any], dataset: str, entry: Mapping[str, Any], where: str
) -> None:
    """Raise InputError where a section's encoder is the demo's pair and the dataset is none that is
    drawn: it knows words of creatures alone; and for an architecture that open_clip, where it is
    installed, does not have: a folder that it saved may have one of its own.
    """
    encoder = str(entry.get("encoder", ""))
    if encoder.startswith(PAIRS):
        name, known = encoder.removeprefix(PAIRS), pair_configurations()
        is_folder = (Path(config["data_root"]) / entry["weights"]).is_dir()
        if known and name not in known and not is_folder:
            raise InputError(f"{where}: no open_clip architecture {name!r}; {nearest(name, known)}")
    if encoder == "demo" and config["datasets"][dataset]["adapter"] != "demo":
        fault = f"the encoder demo knows the drawn datasets alone, and {dataset!r} is none"
        raise InputError(f"{where}: {fault}; take one of sentence-transformers or open_clip")


def check_reads_texts(row: Row, semantics: str) -> None:
    """Raise InputError where class vectors are made of texts and the method knows each of their
    numbers as an attribute, by its word vector or in its maps; where they are attributes and the
    method takes them for points among its features.
    """
    texts = text_name(semantics)
    if semantics in ATTRIBUTES and SAME_SPACE in row.source.declares:
        fault = f"{row.source.name} compares features with vectors of texts in their space, and"
        advice = "write 'semantics: {text: NAME}' of a section under texts"
        raise InputError(f"{row.where}.semantics: {fault} {semantics!r} are attributes; {advice}")
    if texts is not None and row.source.knows_attributes:
        fault = f"{row.source.name} knows class vectors attribute by attribute, and those of the"
        advice = "set its 'semantics: att' (words: {kind: text} encode its attributes' words)"
        raise InputError(f"{row.where}.semantics: {fault} texts {texts!r} are none; {advice}")


def _used(config: Mapping[str, Any], rows: Collection[Row]) -> Iterator[tuple[str, str, str]]:
    """Yield where a name is used, the section that has to give it, and the name."""
    for dataset, entry in config["datasets"].items():
        for key in ("words", "irrelevant"):
            if key in entry:
                yield f"datasets.{dataset}.{key}", key, entry[key]
        for name in entry["extractors"]:
            yield f"datasets.{dataset}.extractors", "extractors", name
    for row in rows:
        yield from _used_by(row)
    for name, entry in config["irrelevant"].items():
        if "rendered" in entry:
            yield f"irrelevant.{name}.rendered", "datasets", entry["rendered"]


def _used_by(row: Row) -> Iterator[tuple[str, str, str]]:
    """Yield what :func:`_used` does, of a row."""
    where = ".".join(row.path)
    if row.section.words is not None:
        yield f"{where}.words", "words", row.section.words
    if row.section.extractor is not None:
        yield f"{where}.extractor", "extractors", row.section.extractor
    for name in row.section.only_on or ():
        yield f"{where}.only_on", "datasets", name
