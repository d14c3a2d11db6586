"""The files between a dataset and the tables: ``rule all`` asks for each of them, so that a deleted
one is made again, and all that stands on it; imports no torch.
"""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from zslpipe.study.config import Run
from zslpipe.study.datasets import Datasets
from zslpipe.study.declarations import read_method
from zslpipe.study.evaluation import Evaluation
from zslpipe.study.extractors import OWN, Extractors
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Result, Results
from zslpipe.study.runs import Runs


class Intermediates:
    """What jobs of a study leave for other jobs."""

    def __init__(self, datasets: Datasets, extractors: Extractors, runs: Runs, results: Results):
        self.datasets, self.extractors = datasets, extractors
        self.runs, self.results = runs, results

    def all(self) -> list[str]:
        """Return every intermediate file, each once, in the order of the chain."""
        found = [PATHS.index.format(dataset=dataset) for dataset in self.datasets.entries]
        for run in self.runs.all.values():
            for seed in self.results.seeds_of(run):
                found += self._read_by(run, seed)
                found += [self.runs.path(run, seed, pattern) for pattern in self._left_by(run)]
        for result in self.results.all:
            for seed in self.results.all_seeds(result):
                found += self._of_result(result, seed)
        return list(dict.fromkeys(found + self.results.tabled + Evaluation(self.results).all))

    def _read_by(self, run: Run, seed: int) -> list[str]:
        """Return the files that a run reads, of those that are made here."""
        inputs = self.runs.inputs(_wildcards(run.dataset, f"{run.method}/{run.variant}", seed))
        trained = [path.format(dataset=run.dataset) for path in OWN.values()]
        trunk = self.extractors.weights_file(run.dataset, run.extractor)
        found = [inputs[name] for name in ("words", "texts", "features") if name in inputs]
        return found + [path for path in trunk if path in trained]

    def _left_by(self, run: Run) -> list[str]:
        """Return the patterns of what a run's training leaves, and of its maps."""
        found = [PATHS.weights, PATHS.scores, PATHS.history]
        located = read_method(run.method).has_maps and self.datasets.has_visible_parts(run.dataset)
        looked = [PATHS.attention, PATHS.done("attention"), PATHS.localization]
        return found + (looked if located else [])

    def _of_result(self, result: Result, seed: int) -> list[str]:
        """Return a result's score matrices under each rebalancing, and what these learn from."""
        fill: dict[str, Any] = {"dataset": result.dataset, "run": result.path, "seed": seed}
        found = [PATHS.scores.format(**fill)]
        for kind in result.rebalancing:
            if kind != "none" and seed in self.results.seeds(result, kind):
                found.append(PATHS.rebalanced_scores.format(rebalancing=kind, **fill))
                needed = self.results.needs(kind)
                found += [f"{PATHS.run.format(**fill)}/{name}.h5" for name in needed]
                found += self._of_members(result, seed, needed)
        return found

    def _of_members(self, result: Result, seed: int, names: Sequence[str]) -> list[str]:
        """Return the files ``names`` (validation, irrelevant) of the runs and imported results
        behind a result, and which task-irrelevant images the runs score.
        """
        found = []
        for path in self.results.behind(result):
            folder = PATHS.run.format(dataset=result.dataset, run=path, seed=seed)
            found += [f"{folder}/{name}.h5" for name in names]
        for run in self.results.runs_of(result):
            found += [self.runs.path(run, seed, PATHS.done(name)) for name in names]
            if "irrelevant" in names:
                wildcards = _wildcards(run.dataset, f"{run.method}/{run.variant}", seed)
                inputs = self.runs.irrelevant_inputs(wildcards)
                found += [inputs[name] for name in ("irrelevant", "features") if name in inputs]
        return found


def _wildcards(dataset: str, run: str, seed: int) -> SimpleNamespace:
    """Return what a rule's functions are asked with."""
    return SimpleNamespace(dataset=dataset, run=run, seed=seed)
