"""Every path under ``results/``, once: patterns that rules write to, filled in by the askers."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical

SEED = "results/{dataset}/runs/{run}/seed{seed}"
REBALANCED = f"{SEED}/{{rebalancing}}"


@dataclass(frozen=True)
class Paths:
    """Patterns of paths, with the wildcards of the rules that write them; ``run`` is
    method/variant.

    ``figure``, ``dataset_figure`` and ``study`` are stems: a figure has two files, see
    ``formats.figures``.
    """

    dataset: str = "results/{dataset}"
    index: str = "results/{dataset}/index.h5"
    images: str = "results/{dataset}/images"
    auxiliary: str = "results/{dataset}/auxiliary"
    inspection: str = "results/{dataset}/inspect.txt"
    sample: str = "results/{dataset}/inspect.png"
    words: str = "results/{dataset}/words/{words}.h5"
    captions: str = "results/{dataset}/captions.csv"
    texts: str = "results/{dataset}/texts/{texts}.h5"
    pair: str = "results/{dataset}/pair.pt"
    backbone: str = "results/{dataset}/backbone.pt"
    backbone_settings: str = "results/{dataset}/backbone.json"
    features: str = "results/{dataset}/features/{extractor}.h5"
    feature_settings: str = "results/{dataset}/features/{extractor}.json"
    earlier_features: str = "results/{dataset}/features/.{extractor}.before"
    irrelevant_list: str = "results/irrelevant/{irrelevant}.h5"
    irrelevant_settings: str = "results/{dataset}/features/{extractor}.irrelevant.json"
    earlier_irrelevant: str = "results/{dataset}/features/.{extractor}.irrelevant.before"
    irrelevant_features: str = "results/{dataset}/features/{extractor}.irrelevant.h5"
    run: str = SEED
    weights: str = f"{SEED}/weights.pt"
    scores: str = f"{SEED}/scores.h5"
    history: str = f"{SEED}/history.csv"
    metrics: str = f"{SEED}/metrics.json"
    best_on_test: str = f"{SEED}/best_on_test.json"
    validation: str = f"{SEED}/validation.h5"
    irrelevant: str = f"{SEED}/irrelevant.h5"
    attention: str = f"{SEED}/attention.h5"
    localization: str = f"{SEED}/localization.json"
    gradcam: str = f"{SEED}/gradcam.h5"
    ensemble: str = "results/{dataset}/runs/{ensemble}/default/seed{seed}/{file}.h5"
    ensemble_scores: str = "results/{dataset}/runs/{ensemble}/default/seed{seed}/scores.h5"
    ensemble_metrics: str = "results/{dataset}/runs/{ensemble}/default/seed{seed}/metrics.json"
    imported: str = "results/{dataset}/runs/{imported}/default/seed{seed}/{file}.h5"
    imported_scores: str = "results/{dataset}/runs/{imported}/default/seed{seed}/scores.h5"
    imported_metrics: str = "results/{dataset}/runs/{imported}/default/seed{seed}/metrics.json"
    rebalanced_ensemble: str = (
        "results/{dataset}/runs/{ensemble}/default/seed{seed}/{rebalancing}/scores.h5"
    )
    rebalanced_ensemble_metrics: str = (
        "results/{dataset}/runs/{ensemble}/default/seed{seed}/{rebalancing}/metrics.json"
    )
    rebalanced_scores: str = f"{REBALANCED}/scores.h5"
    rebalanced_metrics: str = f"{REBALANCED}/metrics.json"
    evaluated: str = "results/{dataset}/.evaluated/seed{seed}.json"
    tables: str = "results/tables"
    page: str = "results/report/index.html"
    benchmarks: str = "results/benchmarks"
    rates: str = "results/.rates.json"
    studies: str = "results/studies"
    study: str = "results/studies/{study}"
    study_evaluated: str = "results/studies/.evaluated/{study}.json"
    figure: str = "results/figures/{dataset}.{method}.{variant}."
    dataset_figure: str = "results/figures/{dataset}."
    ranking_figure: str = "results/figures/ranking"

    def done(self, name: str) -> str:
        """Return what a job leaves beside ``{name}.h5`` of a run, which stays until there is
        another one: without this file, which a job that fails has not left, the job is due.
        """
        return f"{SEED}/.{name}.done"

    def measured(self, rule: str, of: str = "{dataset}/{run}/seed{seed}") -> str:
        """Return where Snakemake writes what a rule's job took: time, memory."""
        return f"{self.benchmarks}/{rule}/{of}.tsv"

    def labels(self, figure: str) -> dict[str, str]:
        """Return what the report says of a run's figure."""
        return {"dataset": "{dataset}", "method": "{method} ({variant})", "figure": figure}

    def dataset_labels(self, figure: str) -> dict[str, str]:
        """Return what the report says of a dataset's figure."""
        return {"dataset": "{dataset}", "method": "all", "figure": figure}


PATHS = Paths()


def is_pattern(path: str) -> bool:
    """Return whether Snakemake would look for wildcards in a path: it knows no escaped brace."""
    return "{" in path


def watched(paths: Iterable[str]) -> list[str]:
    """Return those of a user's files that can be a rule's input."""
    return [path for path in paths if not is_pattern(path)]


def braced(paths: Iterable[str]) -> str:
    """Return what tells a change of those files that cannot be a rule's input, to be a part of its
    parameters instead: path, size and time of each; nothing where there are none.
    """
    files = [Path(path) for path in paths if is_pattern(path) and Path(path).is_file()]
    told = [[str(file), file.stat().st_size, file.stat().st_mtime_ns] for file in files]
    return canonical(told) if told else ""


def is_settled(made: str, others: Iterable[str] = ()) -> bool:
    """Return whether the file ``made`` is there and no older than any of ``others``."""
    path = Path(made)
    times = [Path(other).stat().st_mtime for other in others if Path(other).is_file()]
    return path.is_file() and path.stat().st_mtime >= max(times, default=0.0)


def check_checkout(*folders: Path) -> None:
    """Raise InputError for a folder that the workflow cannot stand in: Snakemake takes a brace, in
    the path of its own locks too, for the beginning of a wildcard, and PYTHONPATH is cut at a
    colon.
    """
    for folder in folders:
        for mark in "{}:":
            if mark in str(folder):
                raise InputError(
                    f"{folder}: Snakemake cannot work in a checkout with {mark!r} in its path; "
                    "rename or move the folder (data may lie in such a folder)"
                )
