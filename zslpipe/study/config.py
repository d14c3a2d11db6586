"""The configuration: read, checked, completed with defaults, and turned into typed runs. Imports no
torch.

:mod:`zslpipe.study.sections` says what every key means; a method's section is checked against its
``Config``, a dataset's source against the adapter's ``Settings``.
"""

import copy
import os
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.ranges import VARIABLE
from zslpipe.provenance import PACKAGE
from zslpipe.scores.kinds import KINDS
from zslpipe.settings import as_plain, parse_settings
from zslpipe.study.assignments import apply_assignments
from zslpipe.study.datasets import index_of
from zslpipe.study.declarations import (
    adapter_names,
    published_names,
    read_method,
    read_settings,
)
from zslpipe.study.extractor_choice import extractor_of
from zslpipe.study.extractors import FEATURES_VERSION
from zslpipe.study.method_sections import Row, check_datasets_of, rows
from zslpipe.study.names import check_encoder, check_names, check_reads_texts, check_semantics
from zslpipe.study.networks import check_network, check_place, check_views
from zslpipe.study.section_types import WITH_SETTINGS
from zslpipe.study.sections import Configuration
from zslpipe.study.yaml_files import check_keys

SECTIONS = tuple(field.name for field in fields(Configuration))
# What an extractor says that decides no number of a network that is trained.
NOT_OF_A_TRUNK = ("batch_size", "dtype", "pooled")


@dataclass(frozen=True)
class Run:
    """One row of the table: a method as a variant on a dataset; ``settings`` are all fields of the
    method's Config: its defaults, what the paper publishes for the dataset, the user's.

    ``input`` is a kind of :mod:`zslpipe.study.declarations`; ``trunk`` the extractor's own section
    where the method runs the network itself, None where it reads the extractor's features: there
    ``cache`` is the section, with name and version, that the feature file has to be of, and
    ``index`` what index.h5 has to say of itself.
    """

    dataset: str
    method: str
    variant: str
    input: str
    extractor: str
    trunk: Mapping[str, Any] | None
    cache: Mapping[str, Any] | None
    index: Mapping[str, str]
    words: str | None
    semantics: str
    normalisation: str
    precision: str
    selection: str
    criterion: str
    choose: Mapping[str, list[Any]]
    track: str
    settings: Mapping[str, Any]
    rebalancing: tuple[str, ...]

    @property
    def slice(self) -> dict[str, Any]:
        """All that the run's result depends on in the configuration; what Snakemake compares."""
        return {name: value for name, value in asdict(self).items() if name != "rebalancing"}


def load(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with ``set`` applied, checked and completed; raises InputError in
    one line.
    """
    config = copy.deepcopy(dict(given))
    apply_assignments(config, config.pop("set", None))
    check_keys(config)
    # The methods' names come first: a misspelt method is better named than called an unknown key.
    sections = _method_sections(config)
    for name in sections:
        read_method(name)
    parsed = parse_settings(Configuration, _without_empty(config), "config", called="key")
    complete: dict[str, Any] = as_plain(parsed)
    complete["data_root"] = _expanded(complete["data_root"])
    for name, entry in complete["datasets"].items():
        _complete_dataset(name, entry)
    for entry in complete["extractors"].values():
        # Left out, as before there were others than the mean: nothing runs again.
        if entry["pooled"] == "mean":
            del entry["pooled"]
    for name, entry in complete["words"].items():
        complete["words"][name] = _settings_of("datasets.words", entry, ("words", name))
    for name, entry in complete["texts"].items():
        complete["texts"][name] = _settings_of("datasets.texts", entry, ("texts", name))
    for kind in WITH_SETTINGS:
        written = complete["rebalancing"].get(kind, {})
        complete["rebalancing"][kind] = _completed(KINDS[kind], written, ("rebalancing", kind))
    found: list[Row] = []
    for name in sections:
        complete[name] = {} if config.get(name) is None else config[name]
        check_datasets_of(name, complete[name], complete["datasets"])
        for dataset in [None, *complete["datasets"]]:
            found += rows(name, complete[name], dataset)
    check_names(complete, found)
    # Before a row is told that none of the extractors fits it.
    for name, entry in complete["extractors"].items():
        where = f"config, extractors.{name}"
        check_place(complete["data_root"], entry.get("weights", "random"), where)
        check_network(entry, where, complete["data_root"])
    list(runs(complete))
    return complete


def _method_sections(config: Mapping[str, Any]) -> list[str]:
    """Return the names that must be methods: those listed, and every section that is none of
    SECTIONS.
    """
    listed = config.get("methods")
    listed = [name for name in listed if isinstance(name, str)] if isinstance(listed, list) else []
    others = [key for key in config if key not in SECTIONS]
    for key in others:
        if key not in listed and not (PACKAGE / "methods" / f"{key}.py").is_file():
            raise InputError(f"config: unknown key {key!r}; {nearest(key, [*SECTIONS, *listed])}")
    return list(dict.fromkeys([*listed, *others]))


def _without_empty(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of SECTIONS without those in which nothing is written (all their lines
    are comments).
    """
    may_be_empty = [
        field.name for field in fields(Configuration) if field.default_factory is not MISSING
    ]
    kept = {key: config[key] for key in SECTIONS if key in config}
    for key in may_be_empty:
        if key in kept and kept[key] is None:
            del kept[key]
    datasets = kept.get("datasets")
    for entry in datasets.values() if isinstance(datasets, dict) else ():
        if isinstance(entry, dict) and "source" in entry and entry["source"] is None:
            del entry["source"]
    return kept


def _expanded(folder: str) -> str:
    """Return ``data_root`` with ~ and $VARIABLES looked up; InputError for one that is not set, and
    for a user that there is not.
    """
    try:
        found = os.path.expandvars(Path(folder).expanduser() if folder.startswith("~") else folder)
    except RuntimeError:
        fault = f"no folder of a user {folder.split('/')[0]} is known; write the whole path"
        raise InputError(f"config, data_root: {folder!r}: {fault}") from None
    unknown = VARIABLE.search(found)
    if unknown:
        raise InputError(f"config, data_root: {folder!r}: the variable {unknown[0]} is not set")
    return str(found)


def _complete_dataset(name: str, entry: dict[str, Any]) -> None:
    """Fill in a dataset's source; raises InputError for an unknown adapter or settings that no
    paper publishes.
    """
    adapter = entry["adapter"]
    if adapter not in adapter_names():
        raise InputError(
            f"config, datasets.{name}: no adapter {adapter!r}; {nearest(adapter, adapter_names())}"
        )
    module = f"datasets.adapters.{adapter}"
    entry["source"] = _settings_of(module, entry["source"], ("datasets", name, "source"))
    published = entry.get("settings_of")
    if published is not None and published not in published_names():
        raise InputError(
            f"config, datasets.{name}.settings_of: no method has published settings for "
            f"{published!r}; {nearest(published, published_names())}"
        )


def _settings_of(module: str, given: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return settings checked against the ``Settings`` of the module that reads them, complete."""
    return _completed(read_settings(module), given, path)


def _completed(kind: type[Any], given: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """Return settings checked against their dataclass, with its defaults; an empty list is left
    out, as what is None is: it says nothing.
    """
    complete = as_plain(parse_settings(kind, given, "config", path))
    return {key: value for key, value in complete.items() if value not in ([], {})}


def runs(config: Mapping[str, Any]) -> Iterator[Run]:
    """Yield every row of the table: datasets x methods x (default, variants); InputError for what
    does not fit.
    """
    for dataset in config["datasets"]:
        for method in _methods_of(config, dataset):
            for row in rows(method, config[method], dataset):
                if dataset in _datasets_of(config, row):
                    yield run_of(config, dataset, row)


def _datasets_of(config: Mapping[str, Any], row: Row) -> list[str]:
    """Return the datasets that have a row."""
    only = row.section.only_on
    return list(config["datasets"] if only is None else only)


def _methods_of(config: Mapping[str, Any], dataset: str) -> list[str]:
    """Return the methods that run on a dataset, in the order of ``methods``; InputError for one not
    listed there.
    """
    listed = config["methods"]
    only = config["datasets"][dataset].get("methods", listed)
    for name in only:
        if name not in listed:
            raise InputError(
                f"config, datasets.{dataset}.methods: {name!r} is not among methods; "
                f"{nearest(name, listed)}"
            )
    return [name for name in listed if name in only]


def run_of(config: Mapping[str, Any], dataset: str, row: Row) -> Run:
    """Return a method's row on a dataset; InputError for what does not fit."""
    entry, section = config["datasets"][dataset], row.section
    if section.semantics is not None:
        check_semantics(config, dataset, section.semantics, row.where)
    semantics = section.semantics or entry["semantics"]
    check_reads_texts(row, semantics)
    kind = row.input
    extractor = extractor_of(config, dataset, row)
    trunk = _trunk(config["extractors"][extractor]) if kind == "images" else None
    settings = row.complete(entry.get("settings_of"), trunk)
    if trunk is not None:
        check_views(trunk, settings, row.where)
    return Run(
        dataset=dataset,
        method=row.source.name,
        variant=row.variant,
        input=kind,
        extractor=extractor,
        trunk=trunk,
        cache=None if trunk else _cache(extractor, config["extractors"][extractor]),
        index=index_of(dataset, entry),
        words=_words(config, dataset, row),
        semantics=semantics,
        normalisation=section.normalisation or entry["normalisation"],
        precision=section.precision,
        selection=section.selection,
        # Where nothing is chosen, by what decides nothing.
        criterion=section.criterion if section.selection == "validation" else "H",
        choose=row.choose,
        track=section.track,
        settings=settings,
        rebalancing=section.rebalancing,
    )


def _trunk(extractor: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an extractor says of a network that a method trains itself."""
    return {key: value for key, value in extractor.items() if key not in NOT_OF_A_TRUNK}


def _cache(name: str, extractor: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file of an extractor's features has to be of."""
    pooled = {name: extractor[name] for name in ("pooled",) if name in extractor}
    return {"name": name, **_trunk(extractor), **pooled, "features_version": FEATURES_VERSION}


def _words(config: Mapping[str, Any], dataset: str, row: Row) -> str | None:
    """Return the word vectors that a row reads, None for a method that reads none."""
    if not row.source.uses_words:
        return None
    words: str | None = row.section.words or config["datasets"][dataset].get("words")
    if words not in config["words"]:
        raise InputError(
            f"config, datasets.{dataset}: method {row.source.name!r} reads word vectors; "
            f"set 'words' to one of: {', '.join(config['words']) or '(none defined)'}"
        )
    check_encoder(config, dataset, config["words"][words], f"{row.where}.words")
    return words
