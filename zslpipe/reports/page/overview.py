"""What was run on what."""

from collections.abc import Mapping
from typing import Any

import yaml

from zslpipe.formats.index import Index
from zslpipe.formats.told import read_run
from zslpipe.reports.page.given import Given
from zslpipe.reports.tables.published import BACKBONES, INPUTS

ALWAYS = ("method", "variant")
COLUMNS = {
    "dataset": "dataset",
    "method": "method",
    "variant": "variant",
    "reads": "reads",
    "extractor": "extractor",
    "semantics": "class vectors",
    "words": "words",
    "selection": "selection",
    "seeds": "seeds",
}


def overview(given: Given) -> dict[str, Any]:
    """Return the datasets, runs, versions and the configuration."""
    return {
        "datasets": [_dataset(index) for index in given.indices.values()],
        **_runs_table(given),
        "versions": _versions(given),
        "configuration": _as_yaml(given.configuration),
        "settings": _settings(given),
    }


def _dataset(index: Index) -> dict[str, Any]:
    """Return a dataset's counts, split and notes."""
    seen = int(index.seen.sum())
    images = {name: len(index.splits[name]) for name in ("trainval", "test_seen", "test_unseen")}
    return {
        "name": index.dataset,
        "adapter": index.adapter,
        "protocol": index.protocol,
        "images": len(index.paths),
        "split": images,
        "seen": seen,
        "validation": int(index.validation.sum()),
        "unseen": len(index.class_names) - seen,
        "attributes": len(index.attribute_names),
        "parts": ", ".join(index.part_names),
        "notes": index.notes,
    }


def _runs_table(given: Given) -> dict[str, Any]:
    """Return ``runs``, of how many ``kinds`` (methods and variants, whatever the dataset) they are,
    ``columns`` (name -> title) in which they differ, and what all ``share``.
    """
    runs = _runs(given)
    for run in runs:
        run["seeds"] = ", ".join(str(seed) for seed in run["seeds"])
    columns, share = {}, {}
    for name, title in COLUMNS.items():
        values = {run[name] for run in runs}
        if len(values) > 1 or name in ALWAYS:
            columns[name] = title
        else:
            share[title] = values.pop()
    told = {title: value for title, value in share.items() if value}
    kinds = len({(run["method"], run["variant"]) for run in runs})
    return {"runs": runs, "kinds": kinds, "columns": columns, "share": told}


def _runs(given: Given) -> list[dict[str, Any]]:
    """Return a row a method and variant on a dataset: what it reads, and its seeds."""
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for entry in given.metrics:
        who = tuple(entry[name] for name in ("dataset", "method", "variant"))
        row = rows.setdefault(who, _run(entry))
        if entry["seed"] not in row["seeds"]:
            row["seeds"].append(entry["seed"])
        if entry["rebalancing"] not in row["rebalancing"]:
            row["rebalancing"].append(entry["rebalancing"])
    return list(rows.values())


def _run(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the metrics of one seed say of their run."""
    names = ("dataset", "method", "variant", "extractor", "semantics", "words", "selection")
    row = {name: entry[name] for name in names}
    return row | {"reads": _reads(entry.get("reads", {})), "seeds": [], "rebalancing": []}


def _reads(reads: Mapping[str, Any]) -> str:
    """Return in words what a run reads."""
    if not reads:
        return ""
    told = [_in_words(reads, "input", INPUTS), _in_words(reads, "backbone", BACKBONES)]
    told.append(_in_words(reads, "weights", {}))
    size, file = _in_words(reads, "size", {}), _in_words(reads, "file", {})
    told += [f"{size} px"] * bool(size) + [f"scores from {file}"] * bool(file)
    return ", ".join(filter(None, told))


def _in_words(reads: Mapping[str, Any], name: str, words: Mapping[str, str]) -> str:
    """Return one thing that a run, or each member of an ensemble, reads, in words where there are
    any.
    """
    parts = str(reads.get(name) or "").split(" + ")
    return " + ".join(words.get(part, part) for part in parts if part not in ("", "none"))


def _versions(given: Given) -> list[str]:
    """Return "library version, ..." lines, the same once."""
    lines = []
    for entry in given.metrics:
        told = [f"{name} {version}" for name, version in (entry.get("versions") or {}).items()]
        lines.append(", ".join(told))
    return [line for line in dict.fromkeys(lines) if line]


def _settings(given: Given) -> list[dict[str, str]]:
    """Return the complete settings of each run of the first seed as YAML."""
    found = []
    for path in given.files["scores.h5"]:
        run = read_run(path)
        if "settings" in run:
            name = f"{run['dataset']}: {run['method']} / {run['variant']}"
            kept = {key: value for key, value in run.items() if key not in ("seed", "index")}
            found.append({"name": name, "text": _as_yaml(kept)})
    return found


def _as_yaml(values: Mapping[str, Any]) -> str:
    """Return a mapping as YAML, keys in their order."""
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=90).rstrip()
