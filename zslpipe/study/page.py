"""What the page of all results is made of; imports no torch."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from zslpipe.formats.figures import SCREEN
from zslpipe.provenance import canonical
from zslpipe.study.datasets import Datasets
from zslpipe.study.extractors import HOW
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Results
from zslpipe.study.runs import Runs
from zslpipe.study.targets import Targets

# Sections that the page shows as configured. Of methods it shows the complete settings of each run,
# which no default written out changes; where and how jobs compute decides nothing.
SAID = (
    *("seeds", "methods", "datasets", "words", "texts", "irrelevant", "imported", "ensembles"),
    "rebalancing",
)


class Page:
    """The page of a study."""

    def __init__(
        self,
        config: Mapping[str, Any],
        datasets: Datasets,
        runs: Runs,
        results: Results,
        targets: Targets,
    ):
        self.config, self.datasets, self.runs = config, datasets, runs
        self.results, self.targets = results, targets

    @cached_property
    def files(self) -> list[str]:
        """Every file that the page shows something of, in the table's order."""
        found = [f"{PATHS.tables}/main.csv"]
        tables = [path for path in self.targets.tables() if path.endswith(".md")]
        found += [path for path in tables if path != f"{PATHS.tables}/main.md"]
        found += [PATHS.index.format(dataset=dataset) for dataset in self.datasets.entries]
        found += [*self.results.tabled, *self.targets.localizations()]
        for run in self.runs.all.values():
            seeds = self.results.seeds_of(run)
            found += [self.runs.path(run, seed, PATHS.history) for seed in seeds]
            found.append(self.runs.path(run, self.runs.seeds[0], PATHS.scores))
        for dataset in self.datasets.entries:
            fill = {"dataset": dataset, "seed": self.runs.seeds[0], "file": "scores"}
            for name in self.results.imported.of_dataset(dataset):
                found.append(PATHS.imported.format(imported=name, **fill))
        return found + self.targets.shown()

    @property
    def drawn(self) -> list[str]:
        """The folders of drawn images."""
        folders = []
        for dataset in self.datasets.entries:
            folders += self.datasets.drawn_images(dataset)
        return folders

    @property
    def configuration(self) -> str:
        """The study as configured, as JSON."""
        extractors = {}
        for name, entry in self.config["extractors"].items():
            extractors[name] = {key: value for key, value in entry.items() if key not in HOW}
        said = {name: self.config[name] for name in SAID if name in self.config}
        return canonical(said | {"extractors": extractors})

    @property
    def images(self) -> str:
        """Dataset -> its folder of images under data_root, "" for drawn ones beside its index, as
        JSON.
        """
        folders = {}
        for dataset, entry in self.datasets.entries.items():
            if self.datasets.has_images(dataset):
                drawn = dataset in self.datasets.rendered
                folders[dataset] = "" if drawn else str(entry["source"]["images"])
        return canonical(folders)

    @property
    def studies(self) -> str:
        """A fingerprint of the studies that were run: they are made on request, so none is an
        input.
        """
        told = []
        for path in sorted(Path(PATHS.studies).glob("*")):
            if path.suffix in (".md", f".{SCREEN}"):
                told.append([path.name, path.stat().st_size, path.stat().st_mtime_ns])
        return canonical(told) if told else ""
