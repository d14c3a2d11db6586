"""What the Snakefile asks about rebalancings: which are made together, of a run from one seed in a
job, and what these jobs read; imports no torch.
"""

from dataclasses import dataclass
from typing import Any

from zslpipe.provenance import canonical
from zslpipe.study.alike import alike
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Results


@dataclass(frozen=True)
class Together:
    """Kinds of rebalancing that a job makes of a run from one seed: a rule, ``name``, for each of
    ``paths`` (method/variant, or an ensemble's name/default) on each of ``datasets``.
    """

    results: Results
    kinds: tuple[str, ...]
    name: str = ""
    datasets: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def each(self, pattern: str) -> list[str]:
        """Return a pattern of :class:`Paths` for each kind."""
        return [pattern.replace("{rebalancing}", kind) for kind in self.kinds]

    def needed(self, wildcards: Any) -> dict[str, str]:
        """Return what the kinds need besides the scores: validation.h5, irrelevant.h5."""
        names = [name for kind in self.kinds for name in self.results.needs(kind)]
        folder = PATHS.run.format(dataset=wildcards.dataset, run=wildcards.run, seed=wildcards.seed)
        return {name: f"{folder}/{name}.h5" for name in dict.fromkeys(names)}

    def options(self, wildcards: Any) -> str:
        """Return the options that name what the kinds need."""
        return " ".join(f"--{name} {path}" for name, path in self.needed(wildcards).items())

    @property
    def settings(self) -> str:
        """Kind -> its settings, as JSON."""
        configured = self.results.config["rebalancing"]
        return canonical({kind: configured.get(kind, {}) for kind in self.kinds})


class Rebalancings:
    """The jobs that rebalance a study's results."""

    def __init__(self, results: Results):
        self.results = results

    @property
    def together(self) -> list[Together]:
        """What the configuration asks for: a rule for results with the same kinds on the same
        datasets, but for ensembles of what is rebalanced already.
        """
        wanted = []
        for result in self.results.all:
            kinds = tuple(kind for kind in result.rebalancing if kind != "none")
            if kinds and result.path.split("/")[0] not in self.results.rebalanced_first:
                wanted.append((kinds, result.dataset, result.path))
        found = []
        for one in alike("rebalance", wanted):
            found.append(Together(self.results, one.asked, one.name, one.datasets, one.members))
        return found

    # What studies ask for beside: a kind alone

    def needed(self, wildcards: Any) -> dict[str, str]:
        """Return what a kind needs besides the scores."""
        return self._alone(wildcards).needed(wildcards)

    def options(self, wildcards: Any) -> str:
        """Return the options that name what a kind needs."""
        return self._alone(wildcards).options(wildcards)

    def settings(self, wildcards: Any) -> str:
        """Return the settings of a kind, as JSON."""
        return self._alone(wildcards).settings

    def _alone(self, wildcards: Any) -> Together:
        """Return the job of one kind."""
        return Together(self.results, (wildcards.rebalancing,))
