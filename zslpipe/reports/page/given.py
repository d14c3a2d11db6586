"""What the page is made of: files of the chain, told apart by their names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zslpipe.formats.figures import SCREEN
from zslpipe.formats.index import Index, read_index
from zslpipe.formats.metrics import read_metrics
from zslpipe.formats.told import read_identity
from zslpipe.machine.errors import InputError, nearest

TABLE = "md"
# Ours: files with maps, of which the page shows all; each adds a quarter of a megabyte.
MOST_PICTURED = 36
NAMES = (
    "main.csv",
    "metrics.json",
    "best_on_test.json",
    "localization.json",
    "history.csv",
    "attention.h5",
    "gradcam.h5",
    "scores.h5",
    "index.h5",
)


@dataclass(frozen=True, eq=False)
class Given:
    """Files by their names, in the order given; ``images``: dataset -> its image folder;
    ``configuration`` as the study is configured; ``benchmarks`` and ``studies``: folders of what is
    shown where it exists.
    """

    files: Mapping[str, Sequence[Path]]
    images: Mapping[str, Path]
    configuration: Mapping[str, Any]
    benchmarks: Path
    studies: Path

    @cached_property
    def indices(self) -> dict[str, Index]:
        """The datasets, by name."""
        indices = [read_index(path) for path in self.files["index.h5"]]
        return {index.dataset: index for index in indices}

    @cached_property
    def metrics(self) -> list[Mapping[str, Any]]:
        """What every metrics.json holds."""
        return [read_metrics(path) for path in self.files["metrics.json"]]

    @cached_property
    def rows(self) -> list[Mapping[str, Any]]:
        """What every row of the main table is the mean of: metrics and best epochs on test."""
        best = [read_metrics(path) for path in self.files["best_on_test.json"]]
        return [*self.metrics, *best]

    @cached_property
    def scores(self) -> dict[str, list[Path]]:
        """Every scores.h5 by its dataset: each reading of a file goes through all of its bytes."""
        found: dict[str, list[Path]] = {}
        for path in self.files["scores.h5"]:
            found.setdefault(read_identity(path)[0], []).append(path)
        return found

    @cached_property
    def pictured(self) -> dict[Path, tuple[str, str, str]]:
        """Every attention.h5 and gradcam.h5, or, of more than MOST_PICTURED, the first of each
        dataset and method, with its dataset, method and variant.
        """
        paths = [*self.files["attention.h5"], *self.files["gradcam.h5"]]
        found = {path: read_identity(path) for path in paths}
        if len(found) <= MOST_PICTURED:
            return found
        firsts: dict[tuple[str, str, str], Path] = {}
        for path, (dataset, method, _) in found.items():
            firsts.setdefault((dataset, method, path.name), path)
        return {path: found[path] for path in firsts.values()}

    def pictured_of(self, dataset: str, name: str) -> list[tuple[Path, str]]:
        """Return the files of a ``name`` (attention.h5, gradcam.h5) of a dataset, each with its
        run's name.
        """
        found = []
        for path, (own, *run) in self.pictured.items():
            if (own, path.name) == (dataset, name):
                found.append((path, named(run)))
        return found

    @property
    def told_of_pictured(self) -> str:
        """What is said of maps where some are left out, "" where all are shown."""
        whole = len(self.files["attention.h5"]) + len(self.files["gradcam.h5"])
        if len(self.pictured) == whole:
            return ""
        return (
            " Of each method the first variant alone; the others' figures lie in results/figures."
        )

    def metrics_of(self, dataset: str) -> dict[tuple[str, str, str], list[Mapping[str, Any]]]:
        """Return (method, variant, rebalancing) -> metrics of all seeds of a dataset."""
        found: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
        for entry in self.metrics:
            if entry["dataset"] == dataset:
                result = entry["method"], entry["variant"], entry["rebalancing"]
                found.setdefault(result, []).append(entry)
        return found

    def figures(self, dataset: str, kind: str) -> dict[str, Path]:
        """Return the figures of a kind: "method / variant" -> path, "" for the dataset's own."""
        found = {}
        for path in self.files[SCREEN]:
            if path.stem.startswith(f"{dataset}.") and path.stem.endswith(f".{kind}"):
                between = path.stem[len(dataset) : -len(kind)].strip(".")
                found[named(between.split("."))] = path
        return found


def sorted_files(paths: Sequence[Path]) -> dict[str, list[Path]]:
    """Return the files by their names, pictures and Markdown by their ending; InputError
    for one that is none of a report's.
    """
    endings = (SCREEN, TABLE)
    found: dict[str, list[Path]] = {name: [] for name in (*NAMES, *endings)}
    for path in paths:
        ending = path.suffix.removeprefix(".")
        kind = ending if ending in endings else path.name
        if kind not in found:
            raise InputError(f"{path}: nothing that a report shows; {nearest(kind, found)}")
        found[kind].append(path)
    return found


def named(result: Sequence[str]) -> str:
    """Return "method / variant / rebalancing" without what is as usual."""
    return " / ".join(name for name in result if name not in ("default", "none"))
