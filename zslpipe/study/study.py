"""The checked configuration and the askers of each stage: what the Snakefile imports; no torch."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from zslpipe.provenance import canonical
from zslpipe.study import config as configuration
from zslpipe.study.datasets import Datasets
from zslpipe.study.ensembles import Ensembles
from zslpipe.study.evaluation import Evaluation
from zslpipe.study.extractors import Extractors
from zslpipe.study.figures import Figures
from zslpipe.study.localizations import Localizations
from zslpipe.study.page import Page
from zslpipe.study.paths import PATHS
from zslpipe.study.rebalancings import Rebalancings
from zslpipe.study.resources import Resources
from zslpipe.study.results import Results
from zslpipe.study.runs import Runs
from zslpipe.study.studies import Studies
from zslpipe.study.targets import Targets
from zslpipe.study.texts import Texts


def alternatives(names: Iterable[str]) -> str:
    """Return a pattern that matches exactly ``names`` (nothing, where there are none)."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


class Study:
    """A configuration (``given`` is Snakemake's ``config``) and what follows from it, stage by
    stage; raises InputError.
    """

    def __init__(self, given: Mapping[str, Any]):
        self.config = configuration.load(given)
        self.paths = PATHS
        self.datasets = Datasets(self.config)
        self.extractors = Extractors(self.config, self.datasets)
        self.texts = Texts(self.config)
        self.runs = Runs(self.config, self.datasets, self.extractors, self.texts)
        self.resources = Resources(self.config, self.datasets, self.extractors, self.runs)
        self.results = Results(self.config, self.datasets, self.runs)
        self.ensembles = Ensembles(self.results)
        self.evaluation = Evaluation(self.results)
        self.rebalancings = Rebalancings(self.results)
        self.targets = Targets(self.datasets, self.extractors, self.runs, self.results)
        askers = (self.datasets, self.runs, self.results, self.targets)
        self.localizations = Localizations(self.targets, self.results)
        self.figures = Figures(self.targets, self.results)
        self.studies = Studies(self.config, *askers)
        self.page = Page(self.config, self.datasets, self.runs, self.results, self.targets)
        self.compute: Mapping[str, Any] = self.config["compute"]
        self.data_root: str = self.config["data_root"]

    @property
    def gpu(self) -> int:
        """Cards that a training or extraction asks for."""
        return 0 if self.compute["device"] == "cpu" else 1

    @property
    def extract_gpu(self) -> int:
        """Cards that an extraction asks for: one a task."""
        return self.gpu * int(self.compute["extract_tasks"])

    @property
    def launcher(self) -> str | None:
        """What starts the tasks of an extraction under SLURM, None where it is one: the executor
        then starts the job's command itself, and not as a step of one task (``mpi`` is its name for
        that).
        """
        return "srun" if int(self.compute["extract_tasks"]) > 1 else None

    @property
    def compute_json(self) -> str:
        """How jobs compute, as JSON: given to them in the command, which reruns nothing when it
        changes.
        """
        return canonical({**self.compute, "extractors": self.extractors.how()})
