"""What the Snakefile asks about runs (a method as a variant, on a dataset): what their jobs read,
and the hash of the code that decides their results; imports no torch.
"""

import shlex
from collections.abc import Mapping
from typing import Any

from zslpipe.machine.errors import InputError
from zslpipe.provenance import code_hash
from zslpipe.study import config as configuration
from zslpipe.study.beside import BESIDE
from zslpipe.study.config import Run
from zslpipe.study.datasets import Datasets
from zslpipe.study.declarations import read_method
from zslpipe.study.extractors import Extractors
from zslpipe.study.paths import PATHS, watched
from zslpipe.study.texts import Texts

# What opens a run's inputs: a light head never opens images, an end-to-end method no cache.
READERS = {"cache": "zslpipe.runs.cached_inputs", "images": "zslpipe.runs.image_inputs"}


class Runs:
    """The runs of a checked configuration; ``all`` by (dataset, method, variant). ``further`` are
    runs of studies, which no target asks for but theirs.
    """

    def __init__(
        self, config: Mapping[str, Any], datasets: Datasets, extractors: Extractors, texts: Texts
    ):
        self.datasets, self.extractors, self.texts = datasets, extractors, texts
        self.seeds: list[int] = config["seeds"]
        self.compute: Mapping[str, Any] = config["compute"]
        found = configuration.runs(config)
        self.all = {(run.dataset, run.method, run.variant): run for run in found}
        self.further: dict[tuple[str, str, str], Run] = {}

    @property
    def known(self) -> dict[tuple[str, str, str], Run]:
        """All runs and those of studies."""
        return {**self.all, **self.further}

    @property
    def light(self) -> list[str]:
        """Runs on cached features, as method/variant."""
        cached = [run for run in self.known.values() if run.trunk is None]
        return [f"{run.method}/{run.variant}" for run in cached]

    @property
    def end_to_end(self) -> list[str]:
        """Runs from images, as method/variant."""
        return [
            f"{run.method}/{run.variant}" for run in self.known.values() if run.trunk is not None
        ]

    @property
    def names(self) -> list[str]:
        """All runs and those of studies, as method/variant, each once."""
        return list(dict.fromkeys([*self.light, *self.end_to_end]))

    @property
    def notes(self) -> list[str]:
        """What a configuration asks for and does not get: settings of a dataset for which a method
        publishes none.
        """
        found = []
        for run in self.all.values():
            name = self.datasets.entries[run.dataset].get("settings_of")
            published = read_method(run.method).published
            if name is not None and name not in published:
                where = f"config, datasets.{run.dataset}.settings_of"
                some = f" (it does for {', '.join(published)})" if published else ""
                found.append(
                    f"{where}: {run.method} publishes no settings for {name}{some} and starts from "
                    "its own defaults"
                )
        return list(dict.fromkeys(found))

    def run(self, wildcards: Any) -> Run:
        """Return the run that the wildcards name."""
        key = (wildcards.dataset, *wildcards.run.split("/"))
        if key not in self.all and key not in self.further:
            raise InputError(f"no run {'/'.join(key)} in the configuration")
        return self.named(*key)

    def named(self, dataset: str, method: str, variant: str) -> Run:
        """Return a run, of the configuration or of a study."""
        key = (dataset, method, variant)
        return self.all[key] if key in self.all else self.further[key]

    def is_drawn(self, run: Run) -> bool:
        """Return whether a seed decides what a run gives: in its training, or as the images of the
        validation problem, by which something is chosen.
        """
        return read_method(run.method).is_drawn or run.selection == "validation"

    def path(self, run: Run, seed: int, pattern: str) -> str:
        """Return ``pattern`` of :class:`Paths` for a run from one seed."""
        return pattern.format(dataset=run.dataset, run=f"{run.method}/{run.variant}", seed=seed)

    # What a job on a run reads

    def inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return the files that a run reads, by name: its index, word vectors where its method
        reads some, texts where its class vectors are made of some, features, or images and the
        network's weights.
        """
        run = self.run(wildcards)
        found: dict[str, Any] = {"index": PATHS.index.format(dataset=run.dataset)}
        if run.words:
            found["words"] = PATHS.words.format(dataset=run.dataset, words=run.words)
        for path in self.texts.of_run(run):
            found["texts"] = path
        if run.trunk is None:
            found["features"] = self._features(run, PATHS.features)
        else:
            found["images"] = self.datasets.drawn_images(run.dataset)
            found["trunk"] = watched(self._trunk(run))
        return found

    def irrelevant_inputs(self, wildcards: Any) -> dict[str, Any]:
        """Return what :meth:`inputs` does, of task-irrelevant images."""
        run, found = self.run(wildcards), self.inputs(wildcards)
        found["irrelevant"] = self.datasets.irrelevant_list(run.dataset)
        if run.trunk is None:
            found["features"] = self._features(run, PATHS.irrelevant_features)
        else:
            found["images"] = []
        return found

    def _features(self, run: Run, pattern: str) -> str:
        """Return a feature file of a run's extractor."""
        return pattern.format(dataset=run.dataset, extractor=run.extractor)

    def options(self, wildcards: Any) -> str:
        """Return the options that name a run's inputs."""
        run = self.run(wildcards)
        images = self.datasets.image_option(run.dataset) if run.trunk else ""
        return self._options(run, self.inputs(wildcards), images)

    def irrelevant_options(self, wildcards: Any) -> str:
        """Return the options that name a run's inputs, of task-irrelevant images."""
        run, inputs = self.run(wildcards), self.irrelevant_inputs(wildcards)
        folder = shlex.quote(self.datasets.irrelevant_images(run.dataset))
        images = f"--images {folder}" if run.trunk else ""
        return f"--irrelevant {inputs['irrelevant']} {self._options(run, inputs, images)}"

    def _options(self, run: Run, inputs: Mapping[str, Any], images: str) -> str:
        """Return index, word vectors, texts, features, images and trunk as options, where there
        are.
        """
        named = ("index", "words", "texts", "features")
        options = [f"--{name} {inputs[name]}" for name in named if name in inputs]
        trunk = [f"--trunk {shlex.quote(path)}" for path in self._trunk(run)]
        return " ".join([*options, images, *trunk]).strip()

    def _trunk(self, run: Run) -> list[str]:
        """Return the file of weights that a run's network starts from, where it is a file."""
        return self.extractors.weights_file(run.dataset, run.extractor) if run.trunk else []

    # How a job on a run computes

    def threads(self, wildcards: Any) -> int:
        """Return the threads of a job on a run."""
        return int(self.compute["image_threads" if self.run(wildcards).trunk else "threads"])

    def code(self, wildcards: Any, command: str) -> str:
        """Return the hash of all code that decides what ``command`` makes of a run, and what tells
        a change of its network's weights where Snakemake cannot.
        """
        run = self.run(wildcards)
        unused = [READERS["cache" if run.trunk else "images"], *BESIDE]
        entries = [f"zslpipe.commands.runs:{command}", f"zslpipe.methods.{run.method}"]
        told = self.extractors.unseen(run.extractor) if run.trunk else ""
        return code_hash(*entries, without=unused) + told

    # Files of several seeds

    def of_first_seed(self, pattern: str, rebalancing: str = "") -> str:
        """Return ``pattern`` of :class:`Paths` of a run from the first seed, with the wildcards of
        a figure: dataset, method, variant.
        """
        fill = {"seed": self.seeds[0], "rebalancing": rebalancing}
        return pattern.format(dataset="{dataset}", run="{method}/{variant}", **fill)

    def histories(self, wildcards: Any) -> list[str]:
        """Return the histories of all seeds of a run."""
        run = f"{wildcards.method}/{wildcards.variant}"
        fill = {"dataset": wildcards.dataset, "run": run}
        return [PATHS.history.format(seed=seed, **fill) for seed in self.seeds]

    def as_configured(self, dataset: str) -> list[Run]:
        """Return a dataset's methods as configured: no variants."""
        chosen = [run for run in self.all.values() if run.dataset == dataset]
        return [run for run in chosen if run.variant == "default"]
