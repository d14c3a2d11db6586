"""What the Snakefile asks about somebody else's scores (``imported`` of the configuration): files,
seeds, and what their score matrices say of themselves; imports no torch.
"""

import itertools
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path, PurePath
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import canonical, code_hash
from zslpipe.study.beside import EVALUATION
from zslpipe.study.datasets import Datasets, index_of
from zslpipe.study.declarations import method_names
from zslpipe.study.paths import PATHS, braced, watched

SEED = "{seed}"  # in a file's name: one file a seed
FILES = ("scores", "validation", "irrelevant")
TOLD = ("extractor", "semantics", "words", "selection")
# What does without scores of the validation problem.
WITHOUT = {
    "calibrated_stacking": ", or a factor under rebalancing.calibrated_stacking",
    "temperature 'likeliest'": ", or set temperature: trained",
}


class Imported:
    """The imported results of a checked configuration, each NAME/default.

    Raises InputError for a name that a method or an ensemble has, and for a dataset that there is
    not, or without task-irrelevant images where scores of them are given.
    """

    def __init__(self, config: Mapping[str, Any], datasets: Datasets):
        self.config, self.datasets = config, datasets
        self.entries: Mapping[str, Any] = config["imported"]
        taken = {name.casefold(): "a method" for name in method_names()}
        taken |= {name.casefold(): "an ensemble" for name in config["ensembles"]}
        for name, entry in self.entries.items():
            where = f"config, imported.{name}"
            if name.casefold() in taken:
                other = taken[name.casefold()]
                raise InputError(f"{where}: {other} has this name; choose another")
            for file in FILES:
                self._check_datasets(name, entry, file)

    def _check_datasets(self, name: str, entry: Mapping[str, Any], file: str) -> None:
        """Raise InputError for a dataset of a section that is not there or lacks what is needed."""
        for dataset in entry[file]:
            where = f"config, imported.{name}.{file}"
            if dataset not in self.config["datasets"]:
                advice = nearest(dataset, self.config["datasets"])
                raise InputError(f"{where}: no dataset {dataset!r}; {advice}")
            if dataset not in entry["scores"]:
                fault = f"{dataset!r} is not among its scores"
                raise InputError(f"{where}: {fault}; give scores of its test images, too")
            if file == "irrelevant" and self.datasets.irrelevant_of(dataset) is None:
                fault = f"dataset {dataset!r} names no set of task-irrelevant images"
                raise InputError(f"{where}: {fault}; set datasets.{dataset}.irrelevant")

    @property
    def paths(self) -> list[str]:
        """All imported results, as NAME/default."""
        return [f"{name}/default" for name in self.entries]

    def of_dataset(self, dataset: str) -> list[str]:
        """Return the names of a dataset's imported results."""
        return [name for name, entry in self.entries.items() if dataset in entry["scores"]]

    def has_each_seed(self, dataset: str, name: str) -> bool:
        """Return whether there is a file for every seed: one alone is of the first seed."""
        return SEED in self.entries[name]["scores"][dataset]

    def check_needs(
        self,
        dataset: str,
        paths: Collection[str],
        needs: Mapping[str, Collection[str]],
        where: str,
    ) -> None:
        """Raise InputError where one of the results ``paths`` is imported and lacks files
        (validation, irrelevant) that are needed, named by what needs them; ``where`` it is asked
        for.
        """
        for path, (what, files) in itertools.product(paths, needs.items()):
            name = path.split("/")[0]
            if path not in self.paths:
                continue
            absent = [file for file in files if dataset not in self.entries[name][file]]
            if absent:
                advice = f"give imported.{name}.{absent[0]}.{dataset}{WITHOUT.get(what, '')}"
                told = f"{what} needs {absent[0]} scores of {name!r} on dataset {dataset!r}"
                raise InputError(f"{where}: {told}; {advice}")

    def file(self, wildcards: Any, kind: str = "scores") -> str:
        """Return the user's file behind a file of a result; ``kind``: scores, validation or
        irrelevant.
        """
        pattern = self.entries[wildcards.imported][kind][wildcards.dataset]
        name = pattern.replace(SEED, str(wildcards.seed))
        return str(Path(self.config["data_root"]) / name)

    def inputs(self, wildcards: Any, kind: str = "scores") -> dict[str, Any]:
        """Return what an import reads, by name; that the user's file is missing is the command's to
        tell.
        """
        source = [path for path in [self.file(wildcards, kind)] if Path(path).is_file()]
        found: dict[str, Any] = {
            "index": PATHS.index.format(dataset=wildcards.dataset),
            "source": watched(source),
        }
        if kind == "irrelevant":
            found["images"] = self.datasets.irrelevant_list(wildcards.dataset)
        return found

    def options(self, wildcards: Any, kind: str = "scores") -> str:
        """Return the options that say what an import is of."""
        entry = self.entries[wildcards.imported]
        options = {
            "unit": entry.get("unit", ""),
            "called": self._called(wildcards.dataset, wildcards.imported, kind),
            "told": canonical({name: entry[name] for name in TOLD}),
        }
        if kind == "irrelevant":
            options["irrelevant"] = self.datasets.irrelevant_list(wildcards.dataset)
        return " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items())

    def code(self, wildcards: Any, kind: str = "scores") -> str:
        """Return the hash of the code of an import, and what tells a change of its file where
        Snakemake cannot.
        """
        decides = code_hash("zslpipe.commands.scores:import_scores", without=EVALUATION)
        return decides + braced([self.file(wildcards, kind)])

    def run(self, dataset: str, name: str, seed: int) -> dict[str, Any]:
        """Return what the files of an imported result say of their run: no folder of any
        machine.
        """
        entry = self.entries[name]
        told = {key: entry[key] for key in TOLD}
        told |= {file: self._called(dataset, name, file) for file in FILES}
        index = index_of(dataset, self.config["datasets"][dataset])
        unit = entry.get("unit", "")
        return {"imported": name, "index": index, "unit": unit, **told, "seed": seed}

    def asked(self, wildcards: Any) -> str:
        """Return what :meth:`run` does, as JSON."""
        return canonical(self.run(wildcards.dataset, wildcards.imported, int(wildcards.seed)))

    def _called(self, dataset: str, name: str, file: str) -> str:
        """Return how a file is called, without its folders; "" where none is given."""
        return PurePath(self.entries[name][file].get(dataset, "")).name
