"""What the Snakefile asks about figures of runs, of which those of a dataset are drawn in one job;
imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zslpipe.formats.figures import PAPER, SCREEN
from zslpipe.machine.names import rule_names
from zslpipe.provenance import canonical, settings_hash
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Results
from zslpipe.study.targets import BEHIND, Targets

# What the report says of each kind of figure of a run.
SAID = {
    "losses": "losses",
    "maps": "attention maps",
    "parts": "body parts",
    "channels": "groups of channels",
    "gradcam": "Grad-CAM",
    "predictions": "before and after R",
}


@dataclass(frozen=True)
class Drawn:
    """A figure of a result (``path``: method/variant, or an ensemble's name/default): its ``kind``,
    the ``files`` that it is drawn from and the hash of each one's run, none where files do not say
    it.
    """

    kind: str
    dataset: str
    path: str
    files: tuple[str, ...]
    runs: tuple[str, ...]

    @property
    def stem(self) -> str:
        """Its path without the ending."""
        method, variant = self.path.split("/")
        fill = {"dataset": self.dataset, "method": method, "variant": variant}
        return f"{PATHS.figure.format(**fill)}{self.kind}"

    @property
    def screen(self) -> str:
        """Its file that the report shows."""
        return f"{self.stem}.{SCREEN}"

    @property
    def paper(self) -> str:
        """Its file for print."""
        return f"{self.stem}.{PAPER}"

    @property
    def labels(self) -> Mapping[str, str]:
        """What the report says of it."""
        method, variant = self.path.split("/")
        told = {"dataset": self.dataset, "method": f"{method} ({variant})"}
        return {**told, "figure": SAID[self.kind]}


@dataclass(frozen=True)
class OfDataset:
    """The figures of a dataset's runs: a rule, ``name``."""

    name: str
    dataset: str
    figures: tuple[Drawn, ...]

    @property
    def files(self) -> list[str]:
        """What they are drawn from, each file once."""
        return list(dict.fromkeys(path for figure in self.figures for path in figure.files))

    @property
    def told(self) -> str:
        """What the job is told, as JSON."""
        told = [[one.kind, one.stem, one.files, one.runs] for one in self.figures]
        return canonical(told)


class Figures:
    """The figures of a study's runs."""

    def __init__(self, targets: Targets, results: Results):
        self.targets, self.results = targets, results

    @cached_property
    def of_datasets(self) -> list[OfDataset]:
        """The jobs, one for each dataset with such figures."""
        datasets = list(self.targets.datasets.entries)
        found = []
        for dataset, name in zip(datasets, rule_names("figures", datasets), strict=True):
            figures = (*self._of_runs(dataset), *self._predictions(dataset))
            if figures:
                found.append(OfDataset(name, dataset, figures))
        return found

    def _of_runs(self, dataset: str) -> list[Drawn]:
        """Return what is drawn of the runs on a dataset."""
        runs, found = self.results.runs, []
        for run in runs.all.values():
            path = f"{run.method}/{run.variant}"
            for kind in self.targets.kinds_of_run(run) if run.dataset == dataset else ():
                if kind == "losses":
                    histories = [runs.path(run, seed, PATHS.history) for seed in runs.seeds]
                    found.append(Drawn(kind, dataset, path, tuple(histories), ()))
                else:
                    file = runs.path(run, runs.seeds[0], BEHIND[kind])
                    found.append(Drawn(kind, dataset, path, (file,), (self._hash(dataset, path),)))
        return found

    def _predictions(self, dataset: str) -> list[Drawn]:
        """Return the pictures of predictions before and after R on a dataset."""
        seed, found = self.results.runs.seeds[0], []
        for path in self.targets.with_predictions(dataset):
            fill = {"dataset": dataset, "run": path, "seed": seed, "rebalancing": "discriminator"}
            files = tuple(one.format(**fill) for one in (PATHS.scores, PATHS.rebalanced_scores))
            kinds = ("none", "discriminator")
            hashes = tuple(self._hash(dataset, path, kind) for kind in kinds)
            found.append(Drawn("predictions", dataset, path, files, hashes))
        return found

    def _hash(self, dataset: str, path: str, kind: str = "none") -> str:
        """Return the hash of a result's run from the first seed."""
        run: Any = self.results.run_of(dataset, path, self.results.runs.seeds[0], kind)
        return settings_hash(run)
