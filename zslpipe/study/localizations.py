"""What the Snakefile asks about localisations: those of a dataset's runs are measured in one job;
imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from zslpipe.machine.names import rule_names
from zslpipe.provenance import canonical, settings_hash
from zslpipe.study.declarations import read_method
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Results
from zslpipe.study.targets import Targets


@dataclass(frozen=True)
class Located:
    """The localisations of a dataset's runs: a rule, ``name``; attention.h5 -> hash of its run."""

    name: str
    dataset: str
    runs: Mapping[str, str]

    @property
    def attention(self) -> list[str]:
        """The files that are looked at."""
        return list(self.runs)

    @property
    def files(self) -> list[str]:
        """The files that are made, in the order of :attr:`attention`."""
        return [path.replace("attention.h5", "localization.json") for path in self.runs]

    @property
    def asked(self) -> str:
        """The hashes of the runs, as JSON."""
        return canonical(list(self.runs.values()))


class Localizations:
    """The localisations of a study."""

    def __init__(self, targets: Targets, results: Results):
        self.targets, self.results = targets, results

    @cached_property
    def of_datasets(self) -> list[Located]:
        """The jobs, one for each dataset with annotated parts and runs that look at them."""
        datasets, runs = self.targets.datasets, self.results.runs
        looking: dict[str, dict[str, str]] = {name: {} for name in datasets.entries}
        for run in runs.all.values():
            if read_method(run.method).has_maps and datasets.has_visible_parts(run.dataset):
                for seed in self.results.seeds_of(run):
                    asked = self.results.run_of(run.dataset, f"{run.method}/{run.variant}", seed)
                    file = runs.path(run, seed, PATHS.attention)
                    looking[run.dataset][file] = settings_hash(asked)
        names = rule_names("localize", list(looking))
        pairs = zip(names, looking.items(), strict=True)
        return [Located(name, dataset, files) for name, (dataset, files) in pairs if files]
