"""What ``rule all`` asks for: tables, and figures of whatever has them; imports no torch."""

from collections.abc import Iterable
from pathlib import Path

from zslpipe.formats.figures import FIGURE_SUFFIXES, SCREEN
from zslpipe.machine.errors import InputError
from zslpipe.scores.complete_block import complete_block
from zslpipe.study.config import Run
from zslpipe.study.datasets import Datasets
from zslpipe.study.declarations import read_method
from zslpipe.study.extractors import Extractors
from zslpipe.study.intermediates import Intermediates
from zslpipe.study.paths import PATHS
from zslpipe.study.results import Result, Results
from zslpipe.study.runs import Runs

# Images in a figure of attention maps (ours).
PICTURED_IMAGES = 6
FORMATS = ("csv", "md", "tex")
PARTS = ("parts.md", "parts.tex")
INTERVALS = ("intervals.md", "intervals.tex")
# What a figure of a run is drawn from, of the first seed, where that is drawn from alone.
BEHIND = {
    "maps": PATHS.attention,
    "parts": PATHS.attention,
    "channels": PATHS.attention,
    "gradcam": PATHS.gradcam,
}


BEHIND_NAMES = tuple(Path(pattern).name for pattern in BEHIND.values())
# Figures that the page shows; of pictures with maps it makes galleries.
SHOWN = ("curves", "calibration", "confusion", "losses", "predictions")


class Targets:
    """The targets of a study."""

    def __init__(self, datasets: Datasets, extractors: Extractors, runs: Runs, results: Results):
        self.datasets, self.runs, self.results = datasets, runs, results
        self.intermediates = Intermediates(datasets, extractors, runs, results)

    def all(self) -> list[str]:
        """Return every target: the page, tables, pages about datasets, figures of datasets, runs,
        results; then what lies between.
        """
        return [PATHS.page, *self.tables(), *self._drawn(), *self.intermediates.all()]

    def tables(self) -> list[str]:
        """Return the tables in every format, and the figure of the ranks."""
        found = [f"{PATHS.tables}/main.{kind}" for kind in (*FORMATS, *INTERVALS)]
        if self.localizations():
            kinds = (*FORMATS, *PARTS)
            found += [f"{PATHS.tables}/localization.{kind}" for kind in kinds]
        if self.ranked():
            found += [f"{PATHS.tables}/ranking.{kind}" for kind in FORMATS]
            found += [f"{PATHS.ranking_figure}.{kind}" for kind in FIGURE_SUFFIXES]
        return found

    def shown(self) -> list[str]:
        """Return the figures, of those that a page can show, that the page shows as they are, and
        what it draws itself from.
        """
        files = [path for path in self._drawn() if Path(path).name in BEHIND_NAMES]
        endings = tuple(f".{kind}.{SCREEN}" for kind in SHOWN)
        ranks = [f"{PATHS.ranking_figure}.{SCREEN}"] if self.ranked() else []
        return [*files, *ranks, *[path for path in self._drawn() if path.endswith(endings)]]

    def _drawn(self) -> list[str]:
        """Return the figures of datasets, runs and results, and what they are drawn from."""
        found = []
        for dataset in self.datasets.entries:
            found += self._figures_of_dataset(dataset)
        for run in self.runs.all.values():
            found += self._figures_of_run(run)
        return [*found, *self._predictions()]

    def localizations(self) -> list[str]:
        """Return every localization.json: of runs with maps on datasets whose parts are
        annotated.
        """
        found = []
        for run in self.runs.all.values():
            if read_method(run.method).has_maps and self.datasets.has_visible_parts(run.dataset):
                for seed in self.results.seeds_of(run):
                    found.append(self.runs.path(run, seed, PATHS.localization))
        return found

    def figures_named(self, kinds: Iterable[str], dataset: str, path: str) -> list[str]:
        """Return the figures of some kinds of a result (method/variant, or an ensemble's
        name/default), those that there are of it.
        """
        method, variant = path.split("/")
        stem = PATHS.figure.format(dataset=dataset, method=method, variant=variant)
        compared = self.results.scores_of_first_seed(dataset)
        drawable = {
            "curves": any((one.dataset, one.path) == (dataset, path) for one in self.results.all),
            "confusion": PATHS.scores.format(dataset=dataset, run=path, seed=self.runs.seeds[0])
            in compared,
        }
        drawable["predictions"] = self.datasets.has_images(dataset) and self.has_irrelevant(
            dataset, path
        )
        if method not in self.results.ensembles:
            drawable |= self._drawable(self.runs.named(dataset, method, variant))
        found = []
        for kind in kinds:
            of_dataset = kind in ("curves", "confusion")
            begun = PATHS.dataset_figure.format(dataset=dataset) if of_dataset else stem
            found += _pictures(begun, [kind] if drawable.get(kind) else [])
        return found

    def has_irrelevant(self, dataset: str, path: str) -> bool:
        """Return whether there are, or can be, a result's scores of task-irrelevant images."""
        try:
            self.results.check_irrelevant(Result(dataset, path, ["discriminator"]))
        except InputError:
            return False
        return True

    def ranked(self) -> list[str]:
        """Return every metrics.json where three datasets have three results in common, which then
        are ranked, else none.
        """
        there: dict[tuple[str, str], set[str]] = {}
        for result in self.results.all:
            for kind in result.rebalancing:
                if kind != "oracle":  # never ranked
                    there.setdefault((result.path, kind), set()).add(result.dataset)
        datasets, _ = complete_block(there)
        return self.results.metrics if datasets else []

    def _figures_of_dataset(self, dataset: str) -> list[str]:
        """Return the figures about a whole dataset."""
        stem = PATHS.dataset_figure.format(dataset=dataset)
        figures = _pictures(stem, ["curves", "calibration", "confusion"])
        if self.datasets.has_images(dataset):
            pages = (PATHS.sample, PATHS.inspection)
            figures += [page.format(dataset=dataset) for page in pages]
        return figures

    def _figures_of_run(self, run: Run) -> list[str]:
        """Return the figures of one run, and what they are drawn from."""
        fill = {"dataset": run.dataset, "method": run.method, "variant": run.variant}
        stem = PATHS.figure.format(**fill)
        kinds = self.kinds_of_run(run)
        first = [BEHIND[kind] for kind in kinds if kind in BEHIND]
        behind = first + [PATHS.done(Path(pattern).stem) for pattern in first]
        files = [self.runs.path(run, self.runs.seeds[0], pattern) for pattern in behind]
        return _pictures(stem, kinds) + list(dict.fromkeys(files))

    def kinds_of_run(self, run: Run) -> list[str]:
        """Return the kinds of figures that there are of a run."""
        return [kind for kind, is_wanted in self._drawable(run).items() if is_wanted]

    def _drawable(self, run: Run) -> dict[str, bool]:
        """Return which figures there are of a run, by their kind."""
        declared, images = read_method(run.method), self.datasets.has_images(run.dataset)
        parts = self.datasets.has_visible_parts(run.dataset)
        return {
            "losses": declared.has_epochs,
            "maps": declared.has_attention and images,
            "parts": declared.has_attention and parts,
            "channels": declared.has_part_attention and images,
            "gradcam": has_explained_rules(run) and images,
        }

    def _predictions(self) -> list[str]:
        """Return pictures of predictions before and after R, where a result has it and its images
        are there.
        """
        figures = []
        for dataset in self.datasets.entries:
            for path in self.with_predictions(dataset):
                method, variant = path.split("/")
                fill = {"dataset": dataset, "method": method, "variant": variant}
                figures += _pictures(PATHS.figure.format(**fill), ["predictions"])
        return figures

    def with_predictions(self, dataset: str) -> list[str]:
        """Return the results with R on a dataset whose images are there, as method/variant."""
        own = [result for result in self.results.all if result.dataset == dataset]
        has_r = [result.path for result in own if "discriminator" in result.rebalancing]
        return has_r if self.datasets.has_images(dataset) else []


def _pictures(stem: str, kinds: list[str]) -> list[str]:
    """Return the files of figures whose names begin with ``stem``."""
    return [f"{stem}{kind}.{suffix}" for kind in kinds for suffix in FIGURE_SUFFIXES]


def has_explained_rules(run: Run) -> bool:
    """Return whether a run is a crafted network with one number an attribute in its rules, which
    can be taken away, and with a map: a layer of vectors (grid 1) has none to show.
    """
    rule = run.settings.get("rule", "semantic")
    crafted = (run.method, rule, run.semantics) == ("crafting", "semantic", "att")
    return crafted and run.trunk is not None and run.trunk["grid"] > 1
