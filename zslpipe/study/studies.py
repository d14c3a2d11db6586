"""What the Snakefile asks about studies: which there are, the runs behind each, what its job is
told; imports no torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from zslpipe.formats.figures import FIGURE_SUFFIXES
from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical
from zslpipe.settings import as_plain
from zslpipe.study.datasets import Datasets
from zslpipe.study.evaluation import scored_and_measured
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Result, Results
from zslpipe.study.runs import Runs
from zslpipe.study.study_files import DRAWN, Wanted, read_studies, wanted_rows
from zslpipe.study.study_runs import StudyRuns
from zslpipe.study.study_sections import PaperStudy
from zslpipe.study.targets import FORMATS, Targets

# How the reason begins that an ensemble is not there: which of its members are not.
WITHOUT = "without "
# What a figure needs that a dataset or a run does not have.
LACKING = {
    "curves": "they show what the configuration itself has",
    "confusion": "it shows the configuration's methods, as they are configured",
    "losses": "the method has no epochs",
    "maps": "no images, or no maps of attributes",
    "parts": "no images with annotated parts, or no maps of attributes",
    "channels": "no images, or no maps of parts",
    "gradcam": "needs images, S-CC on attributes, and a network with a map, trained from images",
    "predictions": "no images, or no task-irrelevant ones that a discriminator could learn from",
}


@dataclass(frozen=True)
class Entry:
    """A row of a study on a dataset: ``path`` (method/variant, or an ensemble's name/default) under
    the row's rebalancing.
    """

    dataset: str
    path: str
    row: Wanted

    @property
    def told(self) -> dict[str, Any]:
        """What its job is told."""
        told: dict[str, Any] = {
            "dataset": self.dataset,
            "path": self.path,
            "rebalancing": self.row.rebalancing,
        }
        told |= {"label": self.row.label, "group": self.row.group, "printed": self.row.printed}
        if self.row.panel is not None:
            told |= {"panel": self.row.panel, "value": self.row.value}
        return told


class Studies:
    """The studies of a checked configuration. Their runs are entered in ``runs`` and ``results``
    beside the configuration's own, which stay what they are.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        datasets: Datasets,
        runs: Runs,
        results: Results,
        targets: Targets,
    ):
        self.config, self.datasets = config, datasets
        self.runs, self.results, self.targets = runs, results, targets
        self.all: dict[str, PaperStudy] = read_studies(config)
        self.entries: dict[str, list[Entry]] = {}
        self.notes: dict[str, list[str]] = {}
        entered = StudyRuns(config, runs, results)
        for name, study in self.all.items():
            self.entries[name], self.notes[name] = [], []
            for dataset in config["datasets"] if study.kind != "sizes" else ():
                self._enter(name, study, dataset, entered)

    def _enter(self, name: str, study: PaperStudy, dataset: str, entered: StudyRuns) -> None:
        """Enter a study's rows on a dataset; a row that cannot be becomes a note."""
        called = [dataset, self.config["datasets"][dataset].get("settings_of", dataset)]
        found: dict[str, str] = {}
        refused: dict[str, list[str]] = {}
        for row in wanted_rows(study, called):
            try:
                path = self._path(dataset, row, found, entered, ("studies", name))
                self._check_rebalancing(dataset, path, row.rebalancing)
            except InputError as error:
                refused.setdefault(_reason(name, error), []).append(_named(row))
                continue
            found[row.variant] = path
            self.entries[name].append(Entry(dataset, path, row))
        if not found:  # then an ensemble's members say it
            refused = {why: rows for why, rows in refused.items() if not why.startswith(WITHOUT)}
        for reason, rows in refused.items():
            whole = not found and len(refused) == 1
            shown = "" if whole else f", {', '.join(dict.fromkeys(rows))}"
            self.notes[name].append(f"{dataset}{shown}: {reason}")
        self.notes[name] += self._not_drawn(study, dataset, found.values())

    def _not_drawn(self, study: PaperStudy, dataset: str, paths: Iterable[str]) -> list[str]:
        """Return a line for each figure of a study that a dataset's results do not have."""
        lines = []
        for path in dict.fromkeys(paths):
            for kind in study.figures:
                if not self.targets.figures_named([kind], dataset, path):
                    lines.append(f"{dataset}: no {kind} of {path}: {LACKING[kind]}")
        return lines

    def _path(
        self,
        dataset: str,
        row: Wanted,
        found: Mapping[str, str],
        entered: StudyRuns,
        where: tuple[str, ...],
    ) -> str:
        """Return the result of a row; ``found``: of the rows before it, by variant."""
        if not row.of:
            return entered.path(dataset, row, where)
        absent = [name for name in row.of if name not in found]
        if absent:
            raise InputError(f"{WITHOUT}{', '.join(absent)}")
        return entered.ensemble(row, [found[name] for name in row.of])

    def _check_rebalancing(self, dataset: str, path: str, kind: str) -> None:
        """Raise InputError where a discriminator has nothing to learn from."""
        if kind == "discriminator":
            self.results.check_irrelevant(Result(dataset, path, [kind]))

    @property
    def methods(self) -> list[str]:
        """Methods, ensembles and imported results, of the configuration and of studies, each
        once.
        """
        of_runs = [run.method for run in self.runs.known.values()]
        behind = [*self.results.ensembles, *self.config["imported"]]
        return list(dict.fromkeys([*self.config["methods"], *of_runs, *behind]))

    # Files

    def made(self, name: str) -> list[str]:
        """Return what a study leaves: its table, its picture, figures that are drawn anyway."""
        found = [f"{PATHS.study.format(study=name)}.{suffix}" for suffix in FORMATS]
        if name in self.drawn:
            found += [f"{PATHS.study.format(study=name)}.{suffix}" for suffix in FIGURE_SUFFIXES]
        return [*found, *self.figures(name)]

    @property
    def drawn(self) -> list[str]:
        """Studies with a picture of their own."""
        kinds = self.all.items()
        return [name for name, study in kinds if study.kind in DRAWN and self.entries[name]]

    @property
    def tabled(self) -> list[str]:
        """Studies with a table of results: all but the sizes of datasets."""
        return [name for name in self.all if name not in self.sizes]

    @property
    def sizes(self) -> list[str]:
        """Studies of the datasets' sizes."""
        return [name for name, study in self.all.items() if study.kind == "sizes"]

    def figures(self, name: str) -> list[str]:
        """Return the figures that a study shows of those that are drawn anyway."""
        found = []
        for entry in self.entries[name]:
            found += self.targets.figures_named(self.all[name].figures, entry.dataset, entry.path)
        return list(dict.fromkeys(found))

    def measured(self, name: str) -> dict[str, str]:
        """Return every metrics.json of a study, with the hash of its run."""
        found: dict[str, str] = {}
        for entry in self.entries[name]:
            result = Result(entry.dataset, entry.path, [entry.row.rebalancing])
            found |= self.results.measured_of(result, entry.row.rebalancing)
        return found

    def evaluated_files(self, wildcards: Any) -> dict[str, list[str]]:
        """Return what the evaluation of a study's results reads."""
        return scored_and_measured(self.measured(wildcards.study))

    def evaluated(self, wildcards: Any) -> list[str]:
        """Return the file that says that every metrics.json of a study is from the present code;
        none where it has none.
        """
        name = wildcards.study
        return [PATHS.study_evaluated.format(study=name)] if self.measured(name) else []

    def _scored(self, name: str) -> dict[str, str]:
        """Return the score matrices of a study from the first seed, with the hash of their run."""
        found = {}
        for path, hashed in self.measured(name).items():
            if f"/seed{self.runs.seeds[0]}/" in path:
                found[path.replace("metrics.json", "scores.h5")] = hashed
        return found

    def drawn_from(self, wildcards: Any) -> list[str]:
        """Return the files that a study's picture is drawn from."""
        return list(self._drawn_from(wildcards.study))

    def drawn_asked(self, wildcards: Any) -> str:
        """Return the hashes of the runs of :meth:`drawn_from`, in its order, as JSON."""
        return canonical(list(self._drawn_from(wildcards.study).values()))

    def _drawn_from(self, name: str) -> dict[str, str]:
        """Return the files that a study's picture is drawn from, with the hash of their run."""
        if self.all[name].kind != "entropies":
            return self.measured(name)
        found = dict(self._scored(name))
        for path, hashed in self._scored(name).items():
            _, dataset, _, method, variant, _, *rebalanced = path.split("/")
            is_plain = rebalanced == ["scores.h5"]
            if is_plain and self.targets.has_irrelevant(dataset, f"{method}/{variant}"):
                found[path.replace("scores.h5", "irrelevant.h5")] = hashed
        return found

    def tabled_asked(self, wildcards: Any) -> str:
        """Return the hashes of the runs of a study's metrics, in their order, as JSON."""
        return canonical(list(self.measured(wildcards.study).values()))

    # What its jobs are told

    def layout(self, wildcards: Any) -> str:
        """Return a study's title, columns, rows and notes, as JSON."""
        name = wildcards.study
        study = self.all[name]
        told: dict[str, Any] = {"name": name, "kind": study.kind, "title": study.title}
        told |= {"paper": study.paper, "place": study.place, "measures": list(study.measures)}
        told |= {
            "printed_for": list(study.datasets),
            "others": as_plain(list(study.others.items())),
        }
        told |= {"notes": [*study.notes, *[f"Not run: {note}" for note in self.notes[name]]]}
        told["figures"] = self._shown(name)
        told["rows"] = [entry.told for entry in self.entries[name]]
        told["panels"] = []
        for sweep in study.sweep:
            panel = {"setting": sweep.setting, "title": sweep.title or sweep.setting}
            told["panels"].append({**panel, "plot": list(sweep.plot), "scale": sweep.scale})
        return canonical(told)

    def _shown(self, name: str) -> list[str]:
        """Return the figures of a study without their ending, each once."""
        return list(dict.fromkeys(path.rsplit(".", 1)[0] for path in self.figures(name)))

    def indices(self) -> list[str]:
        """Return the index of every dataset."""
        return [PATHS.index.format(dataset=dataset) for dataset in self.config["datasets"]]


def _named(row: Wanted) -> str:
    """Return a row's label, with its value in a sweep."""
    return row.label if row.panel is None else f"{row.label} at {row.value}"


def _reason(name: str, error: InputError) -> str:
    """Return why a row of a study cannot be, in one line."""
    told = str(error).removeprefix("config, ").removeprefix(f"studies.{name}: ")
    return " ".join(told.split())
