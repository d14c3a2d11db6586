"""What the Snakefile asks about the evaluation of score matrices: which metrics.json have to be of
the present code before a table is made of them; imports no torch.
"""

from collections.abc import Iterable
from typing import Any

from zslpipe.provenance import canonical
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Results


class Evaluation:
    """The jobs that evaluate a study's results again where other code has evaluated them."""

    def __init__(self, results: Results):
        self.results = results

    def _measured(self, wildcards: Any) -> dict[str, str]:
        """Return the metrics.json of a dataset's results from one seed, with the hash of its
        run.
        """
        folder = f"{PATHS.dataset.format(dataset=wildcards.dataset)}/"
        seed = f"/seed{wildcards.seed}/"
        found = {}
        for path, run in self.results.measured.items():
            if path.startswith(folder) and seed in path:
                found[path] = run
        return found

    def files(self, wildcards: Any) -> dict[str, list[str]]:
        """Return what the evaluation of a dataset's results from one seed reads."""
        return scored_and_measured(self._measured(wildcards))

    def asked(self, wildcards: Any) -> str:
        """Return the hashes of the runs of :meth:`files`, in its order, as JSON."""
        return canonical(list(self._measured(wildcards).values()))

    @property
    def all(self) -> list[str]:
        """Return the files that say that every metrics.json is from the present code."""
        found = []
        for result in self.results.all:
            for seed in self.results.all_seeds(result):
                found.append(PATHS.evaluated.format(dataset=result.dataset, seed=seed))
        return list(dict.fromkeys(found))

    @property
    def of_first_seed(self) -> str:
        """Return the pattern of a dataset's file of :attr:`all`, from the first seed."""
        return PATHS.evaluated.replace("{seed}", str(self.results.runs.seeds[0]))


def scored_and_measured(measured: Iterable[str]) -> dict[str, list[str]]:
    """Return every metrics.json of ``measured`` and the scores.h5 beside it."""
    metrics = list(measured)
    scores = [path.replace("metrics.json", "scores.h5") for path in metrics]
    return {"scores": scores, "metrics": metrics}
