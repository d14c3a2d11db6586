"""What the Snakefile asks about results made of score matrices: runs, imported scores, ensembles of
these, and rebalancings of any; imports no torch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import canonical, settings_hash
from zslpipe.scores.kinds import KINDS
from zslpipe.study.config import Run
from zslpipe.study.datasets import Datasets
from zslpipe.study.declarations import method_names
from zslpipe.study.imported import Imported
from zslpipe.study.paths import PATHS
from zslpipe.study.runs import Runs


@dataclass(frozen=True)
class Result:
    """Rows of the table that share one score matrix a seed: ``path`` (method/variant, or an
    ensemble's name/default) on a dataset, under each kind of ``rebalancing``.
    """

    dataset: str
    path: str
    rebalancing: Sequence[str]


class Results:
    """Runs, ensembles and rebalancings of a checked configuration.

    Raises InputError for members that do not exist and task-irrelevant images that are missing.
    """

    def __init__(self, config: Mapping[str, Any], datasets: Datasets, runs: Runs):
        self.config, self.datasets, self.runs = config, datasets, runs
        self.imported = Imported(config, datasets)
        self.ensembles: dict[str, Any] = dict(config["ensembles"])  # those of studies come behind
        for name in config["ensembles"]:
            if name.casefold() in [method.casefold() for method in method_names()]:
                fault = "a method has this name; choose another"
                raise InputError(f"config, ensembles.{name}: {fault}")
            self._check_members(name)
        for result in self.all:
            if "discriminator" in result.rebalancing:
                self.check_irrelevant(result)
            self._check_imported(result)

    def members(self, ensemble: str) -> list[str]:
        """Return the runs of an ensemble as method/variant; InputError for one that is not
        configured.
        """
        members = []
        entry = self.ensembles[ensemble]
        for name in entry["of"] or [entry["seen"], entry["unseen"]]:
            member = name if "/" in name else f"{name}/default"
            known = [*self.runs.names, *self.imported.paths]
            if member not in known:
                fault = f"no run {member!r}; {nearest(member, known)}"
                raise InputError(f"config, ensembles.{ensemble}: {fault}")
            members.append(member)
        return members

    def _check_members(self, ensemble: str) -> None:
        """Raise InputError for a member that is given twice, and where no dataset has them all."""
        members, where = self.members(ensemble), f"config, ensembles.{ensemble}"
        for member in members:
            if members.count(member) > 1:
                raise InputError(f"{where}: {member!r} is given twice")
        there = {dataset: self._paths(dataset) for dataset in self.config["datasets"]}
        if not any(paths.issuperset(members) for paths in there.values()):
            raise InputError(f"{where}: no dataset has all of {', '.join(members)}")

    def _paths(self, dataset: str) -> set[str]:
        """Return the runs and imported results of a dataset as method/variant."""
        runs = [run for run in self.runs.all.values() if run.dataset == dataset]
        imported = {f"{name}/default" for name in self.imported.of_dataset(dataset)}
        return {f"{run.method}/{run.variant}" for run in runs} | imported

    @cached_property
    def all(self) -> list[Result]:
        """Every score matrix: runs in the order of the table, behind them what a dataset has of
        imported results, then its ensembles.
        """
        results = []
        for dataset in self.config["datasets"]:
            runs = [run for run in self.runs.all.values() if run.dataset == dataset]
            own = [Result(dataset, f"{run.method}/{run.variant}", run.rebalancing) for run in runs]
            for name in self.imported.of_dataset(dataset):
                kinds = self.imported.entries[name]["rebalancing"]
                own.append(Result(dataset, f"{name}/default", kinds))
            results += own
            for name, entry in self.config["ensembles"].items():
                if self._paths(dataset).issuperset(self.members(name)):
                    kinds = entry.get("rebalancing", ["none"])
                    results.append(Result(dataset, f"{name}/default", kinds))
        return results

    def check_irrelevant(self, result: Result) -> None:
        """Raise InputError where a discriminator has no task-irrelevant images to learn from."""
        where = f"config, datasets.{result.dataset}"
        if self.datasets.irrelevant_of(result.dataset) is None:
            known = ", ".join(self.config["irrelevant"]) or "(none defined)"
            fault = f"{result.path} with 'discriminator': set 'irrelevant' to one of: {known}"
            raise InputError(f"{where}: {fault}")
        for run in self.runs_of(result):
            if run.extractor in self.runs.extractors.stored:
                fault = f"'discriminator' needs an extractor that runs, {run.extractor!r} is stored"
                raise InputError(f"{where}: {fault}")

    def _check_imported(self, result: Result) -> None:
        """Raise InputError where a rebalancing, or an ensemble's temperature, needs scores of an
        imported result that are not given.
        """
        name = result.path.split("/")[0]
        ensemble = self.ensembles.get(name)
        where = f"config, {'imported' if ensemble is None else 'ensembles'}.{name}"
        needs = {kind: self.needs(kind) for kind in result.rebalancing}
        if ensemble is not None and ensemble["temperature"] == "likeliest":
            needs["temperature 'likeliest'"] = ("validation",)
        self.imported.check_needs(result.dataset, self.behind(result), needs, where)

    def behind(self, result: Result) -> list[str]:
        """Return what is behind a result, as method/variant: itself, or an ensemble's members."""
        name = result.path.split("/")[0]
        return self.members(name) if name in self.ensembles else [result.path]

    def seeds(self, result: Result, kind: str) -> list[int]:
        """Return the seeds of a result under a ``kind`` of rebalancing: all, or the first where an
        imported file behind it is the only one, and where others would give the same.
        """
        names = [path.split("/")[0] for path in self.behind(result) if path in self.imported.paths]
        has_each = all(self.imported.has_each_seed(result.dataset, name) for name in names)
        # An ensemble and an imported result count as drawn.
        runs = self.runs_of(result) if self.behind(result) == [result.path] else []
        is_drawn = not runs or self.runs.is_drawn(runs[0]) or bool(self.needs(kind))
        return self.runs.seeds if has_each and is_drawn else self.runs.seeds[:1]

    def all_seeds(self, result: Result) -> list[int]:
        """Return the seeds of a result under any of its kinds of rebalancing."""
        return max((self.seeds(result, kind) for kind in result.rebalancing), key=len)

    def seeds_of(self, run: Run) -> list[int]:
        """Return the seeds from which a run is made: those of every result that it is behind."""
        return self._seeds_behind[run.dataset, f"{run.method}/{run.variant}"]

    @cached_property
    def _seeds_behind(self) -> dict[tuple[str, str], list[int]]:
        """The seeds of what is behind the results, by dataset and path."""
        found: dict[tuple[str, str], list[int]] = {}
        for result in self.all:
            seeds = self.all_seeds(result)
            for path in self.behind(result):
                key = (result.dataset, path)
                found[key] = max(found.get(key, seeds), seeds, key=len)
        return found

    def runs_of(self, result: Result) -> list[Run]:
        """Return the runs behind a result, of those that are trained here."""
        paths = [path for path in self.behind(result) if path not in self.imported.paths]
        return [self.runs.named(result.dataset, *path.split("/")) for path in paths]

    @property
    def kinds(self) -> list[str]:
        """Every kind of rebalancing that is not the scores as they are."""
        return [kind for kind in KINDS if kind != "none"]

    @property
    def rebalanced_first(self) -> list[str]:
        """Ensembles that average what was rebalanced."""
        entries = self.ensembles.items()
        return [name for name, entry in entries if entry["order"] == "rebalance first"]

    def needs(self, kind: str) -> tuple[str, ...]:
        """Return which files a kind of rebalancing needs with its settings, besides the scores."""
        return KINDS[kind](**self.config["rebalancing"].get(kind, {})).needs()

    def run_of(self, dataset: str, path: str, seed: int, kind: str = "none") -> dict[str, Any]:
        """Return what the files of a result (``path``: method/variant or ensemble/default) under a
        ``kind`` of rebalancing say of their run: its slice and seed, of an ensemble its members.
        """
        name, variant = path.split("/")
        last = kind
        if name in self.ensembles:
            first = kind if name in self.rebalanced_first else "none"
            last = "none" if name in self.rebalanced_first else kind
            hashes = {}
            for member in self.members(name):
                hashes[member] = settings_hash(self.run_of(dataset, member, seed, first))
            found: dict[str, Any] = {"members": hashes, "seed": seed}
            if not self.ensembles[name]["of"]:
                found["experts"] = list(hashes)
        elif name in self.imported.entries:
            found = self.imported.run(dataset, name, seed)
        else:
            found = {**self.runs.named(dataset, name, variant).slice, "seed": seed}
        if last != "none":
            found["rebalancing"] = {last: self.config["rebalancing"].get(last, {})}
        return found

    def asked(self, wildcards: Any) -> str:
        """Return what the files of a result say of their run, as JSON."""
        return canonical(self.run_of(wildcards.dataset, wildcards.run, int(wildcards.seed)))

    def asked_of_first_seed(self, wildcards: Any) -> str:
        """Return what :meth:`asked` does, of a figure's run from the first seed."""
        run = f"{wildcards.method}/{wildcards.variant}"
        return canonical(self.run_of(wildcards.dataset, run, self.runs.seeds[0]))

    def before_and_after(self, wildcards: Any, kind: str) -> str:
        """Return the hashes of a figure's run (first seed), as it is and rebalanced, as JSON."""
        run, seed = f"{wildcards.method}/{wildcards.variant}", self.runs.seeds[0]
        found = [self.run_of(wildcards.dataset, run, seed, one) for one in ("none", kind)]
        return canonical([settings_hash(one) for one in found])

    @cached_property
    def measured(self) -> dict[str, str]:
        """Every metrics.json, in the table's order, with the hash of its run."""
        found: dict[str, str] = {}
        for result in self.all:
            for kind in result.rebalancing:
                found |= self.measured_of(result, kind)
        return found

    def measured_of(self, result: Result, kind: str) -> dict[str, str]:
        """Return the metrics.json of a result's seeds under a kind of rebalancing, with the hash of
        its run.
        """
        found: dict[str, str] = {}
        pattern = PATHS.metrics if kind == "none" else PATHS.rebalanced_metrics
        fill = {"dataset": result.dataset, "run": result.path, "rebalancing": kind}
        for seed in self.seeds(result, kind):
            run = self.run_of(result.dataset, result.path, seed, kind)
            found[pattern.format(seed=seed, **fill)] = settings_hash(run)
        return found

    @property
    def metrics(self) -> list[str]:
        """Every metrics.json, in the table's order."""
        return list(self.measured)

    @cached_property
    def rows(self) -> dict[str, str]:
        """Every file that is a row of the table, with the hash of its run: metrics.json, and
        best_on_test.json of what is tracked.
        """
        found = dict(self.measured)
        for run in self.runs.all.values():
            for seed in self.seeds_of(run) if run.track == "test" else ():
                hashed = settings_hash({**run.slice, "seed": seed})
                found[self.runs.path(run, seed, PATHS.best_on_test)] = hashed
        return found

    @property
    def tabled(self) -> list[str]:
        """Every file that is a row of the table."""
        return list(self.rows)

    @property
    def tabled_asked(self) -> str:
        """The hashes of the runs of :attr:`tabled`, in its order, as JSON."""
        return canonical(list(self.rows.values()))

    @property
    def metrics_asked(self) -> str:
        """The hashes of the runs of :attr:`metrics`, in its order, as JSON."""
        return canonical(list(self.measured.values()))

    def metrics_of_first_seed(self, dataset: str) -> list[str]:
        """Return the metrics of a dataset's results from the first seed."""
        folder = f"{PATHS.dataset.format(dataset=dataset)}/"
        own = [path for path in self.metrics if path.startswith(folder)]
        return [path for path in own if f"/seed{self.runs.seeds[0]}/" in path]

    def curves_asked(self, wildcards: Any) -> str:
        """Return the hashes of the runs of :meth:`metrics_of_first_seed`, as JSON."""
        paths = self.metrics_of_first_seed(wildcards.dataset)
        return canonical([self.measured[path] for path in paths])

    def scores_of_first_seed(self, dataset: str) -> list[str]:
        """Return the score matrices of a dataset's methods as configured and of its imported
        results, from the first seed.
        """
        fill = {"dataset": dataset, "seed": self.runs.seeds[0]}
        return [PATHS.scores.format(run=path, **fill) for path in self._compared(dataset)]

    def _compared(self, dataset: str) -> list[str]:
        """Return the results whose predictions are compared, as method/variant."""
        runs = [f"{run.method}/{run.variant}" for run in self.runs.as_configured(dataset)]
        return [*runs, *[f"{name}/default" for name in self.imported.of_dataset(dataset)]]

    def confusion_asked(self, wildcards: Any) -> str:
        """Return the hashes of the runs of :meth:`scores_of_first_seed`, in its order, as JSON."""
        seed, dataset = self.runs.seeds[0], wildcards.dataset
        runs = [self.run_of(dataset, path, seed) for path in self._compared(dataset)]
        return canonical([settings_hash(run) for run in runs])
