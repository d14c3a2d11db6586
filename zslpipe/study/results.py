"""What the Snakefile asks about results made of score matrices: ensembles of runs, and rebalancings
of either.

Imports no torch.
"""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import canonical
from zslpipe.scores.rebalancing import NEEDS
from zslpipe.study.config import Run
from zslpipe.study.study import Plan


@dataclass(frozen=True)
class Result:
    """Rows of the table that share one score matrix a seed: ``path`` (method/variant, or an
    ensemble's name/default) on a dataset, under each kind of ``rebalancing``.
    """

    dataset: str
    path: str
    rebalancing: Sequence[str]


class Combinations:
    """Ensembles and rebalancings of a plan. Raises InputError for members that do not exist and
    images that are missing.
    """

    def __init__(self, study: Plan):
        self.study = study
        self.config = study.config
        for name in self.config["ensembles"]:
            if name in self.config["methods"]:
                raise InputError(
                    f"config, ensembles.{name}: a method has this name; choose another"
                )
            self.members(name)
        for result in self.results:
            if "discriminator" in result.rebalancing:
                self._check_irrelevant(result)

    def members(self, ensemble: str) -> list[str]:
        """Return the runs of an ensemble as method/variant; InputError for one that is not
        configured.
        """
        known = list(dict.fromkeys([*self.study.light_runs, *self.study.end_to_end_runs]))
        members = [
            name if "/" in name else f"{name}/default"
            for name in self.config["ensembles"][ensemble]["of"]
        ]
        for member in members:
            if member not in known:
                raise InputError(
                    f"config, ensembles.{ensemble}: no run {member!r}; {nearest(member, known)}"
                )
        return members

    @cached_property
    def results(self) -> list[Result]:
        """Every score matrix: runs in the order of the table, behind them a dataset's ensembles."""
        results = []
        for dataset in self.config["datasets"]:
            runs = [run for run in self.study.runs.values() if run.dataset == dataset]
            results += [
                Result(dataset, f"{run.method}/{run.variant}", run.rebalancing) for run in runs
            ]
            there = {f"{run.method}/{run.variant}" for run in runs}
            for name, entry in self.config["ensembles"].items():
                if there.issuperset(self.members(name)):
                    results.append(
                        Result(dataset, f"{name}/default", entry.get("rebalancing", ["none"]))
                    )
        return results

    def _check_irrelevant(self, result: Result) -> None:
        """Raise InputError where a result's discriminator has no task-irrelevant images to learn
        from.
        """
        where = f"config, datasets.{result.dataset}"
        name = self.config["datasets"][result.dataset].get("irrelevant")
        if name not in self.config["irrelevant"]:
            known = ", ".join(self.config["irrelevant"]) or "(none defined)"
            raise InputError(
                f"{where}: {result.path} with 'discriminator': set 'irrelevant' to one of: {known}"
            )
        rendered = self.config["irrelevant"][name].get("rendered")
        if rendered is not None and rendered not in self.study.rendered:
            raise InputError(
                f"config, irrelevant.{name}: {rendered!r} is no dataset that is drawn (adapter demo)"
            )
        stored = self.study.stored_extractors
        for run in self._runs_of(result):
            if run.extractor in stored:
                raise InputError(
                    f"{where}: 'discriminator' needs an extractor that runs, {run.extractor!r} is stored"
                )

    def _runs_of(self, result: Result) -> list[Run]:
        """Return the runs behind a result: its own, or an ensemble's members."""
        name = result.path.split("/")[0]
        paths = self.members(name) if name in self.config["ensembles"] else [result.path]
        split = [path.split("/") for path in paths]
        return [self.study.runs[result.dataset, method, variant] for method, variant in split]

    # Inputs of rules

    def member_files(self, wildcards: Any) -> list[str]:
        """Return the files of an ensemble's members that are averaged."""
        folder = f"results/{wildcards.dataset}/runs"
        return [
            f"{folder}/{member}/seed{wildcards.seed}/{wildcards.file}.h5"
            for member in self.members(wildcards.ensemble)
        ]

    def needed(self, wildcards: Any) -> dict[str, str]:
        """Return what a rebalancing needs besides the scores: validation.h5, irrelevant.h5."""
        settings = self.config["rebalancing"].get(wildcards.rebalancing, {})
        names = [] if "factor" in settings else NEEDS[wildcards.rebalancing]
        folder = f"results/{wildcards.dataset}/runs/{wildcards.run}/seed{wildcards.seed}"
        return {name: f"{folder}/{name}.h5" for name in names}

    def settings(self, wildcards: Any) -> str:
        """Return the settings of a kind of rebalancing as JSON."""
        return canonical(self.config["rebalancing"].get(wildcards.rebalancing, {}))

    def irrelevant_list(self, dataset: str) -> str:
        """Return the list of a dataset's task-irrelevant images."""
        return f"results/irrelevant/{self.config['datasets'][dataset]['irrelevant']}.h5"

    def irrelevant_settings(self, name: str) -> dict[str, Any]:
        """Return what a set of task-irrelevant images is read by."""
        entry = self.config["irrelevant"][name]
        if "rendered" in entry:
            return {"images": "auxiliary"}
        return {key: entry[key] for key in ("images", "drop", "layout")}

    def irrelevant_folder(self, name: str) -> str:
        """Return the folder that a set's ``images`` is relative to."""
        rendered = self.config["irrelevant"][name].get("rendered")
        return self.study.data_root if rendered is None else f"results/{rendered}"

    def irrelevant_input(self, name: str) -> list[str]:
        """Return the drawn pictures of a set; a user's folder is not watched."""
        rendered = self.config["irrelevant"][name].get("rendered")
        return [] if rendered is None else [f"results/{rendered}/auxiliary"]

    def irrelevant_images(self, dataset: str) -> str:
        """Return the image folder of a dataset's task-irrelevant images, relative to
        :meth:`irrelevant_root`.
        """
        return str(
            self.irrelevant_settings(self.config["datasets"][dataset]["irrelevant"])["images"]
        )

    def irrelevant_root(self, dataset: str) -> str:
        """Return the folder that :meth:`irrelevant_images` counts from."""
        return self.irrelevant_folder(self.config["datasets"][dataset]["irrelevant"])

    def irrelevant_source(self, wildcards: Any) -> str:
        """Return the options that name the task-irrelevant images as a run reads them."""
        run = self.study.run(wildcards)
        if not run.trunk:
            return f"--features {self.irrelevant_features(wildcards)[0]}"
        weights = [f"--trunk {shlex.quote(path)}" for path in self.study.trunk_weights(wildcards)]
        return " ".join([f"--images {shlex.quote(self.irrelevant_images(run.dataset))}", *weights])

    def irrelevant_features(self, wildcards: Any) -> list[str]:
        """Return the feature file of the task-irrelevant images, none for a method that reads
        images.
        """
        run = self.study.run(wildcards)
        return (
            [] if run.trunk else [f"results/{run.dataset}/features/{run.extractor}.irrelevant.h5"]
        )

    # Targets

    @cached_property
    def metrics(self) -> list[str]:
        """Every metrics.json, in the table's order."""
        return [
            str(
                Path(f"results/{result.dataset}/runs/{result.path}/seed{seed}")
                / folder
                / "metrics.json"
            )
            for result in self.results
            for kind in result.rebalancing
            for folder in ["" if kind == "none" else kind]
            for seed in self.config["seeds"]
        ]

    def metrics_of_first_seed(self, dataset: str) -> list[str]:
        """Return the metrics of a dataset's results from the first seed."""
        first = f"/seed{self.config['seeds'][0]}/"
        return [
            path
            for path in self.metrics
            if path.startswith(f"results/{dataset}/") and first in path
        ]

    def targets(self) -> list[str]:
        """Return pictures of predictions before and after R, where a result has it and its images
        are there.
        """
        return [
            f"results/figures/{result.dataset}.{result.path.replace('/', '.')}.predictions.png"
            for result in self.results
            if "discriminator" in result.rebalancing and self.study.has_images(result.dataset)
        ]
