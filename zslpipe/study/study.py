"""What the Snakefile asks of the configuration: targets, inputs of rules, and slices that decide
what runs again.

Imports no torch.
"""

import ast
import re
import shlex
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.provenance import PACKAGE, canonical, code_hash, settings_hash, syntax_tree
from zslpipe.study import config as configuration
from zslpipe.study.config import Run
from zslpipe.study.declarations import read_method

# Raised by hand when the features themselves change; hashing the code would cost GPU days at every
# refactoring.
FEATURES_VERSION = 1
# The settings of an adapter's source that decide which images there are, in which order and how
# cropped; of another adapter all settings do.
IMAGE_SETTINGS = {
    "xlsa17": ("features", "images", "anchor", "boxes"),
    "folder": ("images", "attributes"),
    "deepfashion": ("images", "categories"),
}
# Images in a figure of attention maps (ours).
PICTURED_IMAGES = 6


def alternatives(names: Iterable[str]) -> str:
    """Return a pattern that matches exactly ``names`` (nothing, where there are none)."""
    return "|".join(re.escape(name) for name in names) or "(?!)"


def _has_semantic_rules(run: Run) -> bool:
    """Return whether a run is a crafted network with one number an attribute in its rules, which
    can be taken away.
    """
    rule = run.settings.get("rule", "semantic")
    return (run.method, rule, run.semantics) == (
        "crafting",
        "semantic",
        "att",
    ) and run.trunk is not None


class Plan:
    """The checked configuration and what follows from it; ``given`` is Snakemake's ``config``.
    Raises InputError.
    """

    def __init__(self, given: Mapping[str, Any], schema: str):
        self.config = configuration.load(given, Path(schema))
        self.compute = self.config["compute"]
        self.data_root = self.config["data_root"]
        self.runs = {
            (run.dataset, run.method, run.variant): run for run in configuration.runs(self.config)
        }
        for dataset, entry in self.config["datasets"].items():
            self._check_dataset(dataset, entry)
        for name, entry in self.config["extractors"].items():
            if "weights" not in entry and entry["backbone"] not in ("demo", "stored"):
                raise InputError(
                    f"extractor {name!r}: give 'weights': a .pt file or the library's name (or random, to try things)"
                )

    def _check_dataset(self, dataset: str, entry: Mapping[str, Any]) -> None:
        """Raise InputError for an unknown adapter, or an extractor that needs images the dataset
        does not have.
        """
        known = {
            path.stem
            for path in (PACKAGE / "datasets" / "adapters").glob("*.py")
            if "\ndef write(" in path.read_text(encoding="utf8")
        }
        if entry["adapter"] not in known:
            raise InputError(
                f"config, datasets.{dataset}: no adapter {entry['adapter']!r}; {nearest(entry['adapter'], known)}"
            )
        without_images = entry["adapter"] != "demo" and "images" not in entry["source"]
        for name in entry["extractors"]:
            if without_images and name in self.computed_extractors:
                raise InputError(
                    f"config, datasets.{dataset}: extractor {name!r} needs images; give its source an 'images' folder, "
                    "or name an extractor with 'backbone: stored'"
                )

    # Resources and options shared by rules

    @property
    def gpu(self) -> int:
        """Cards that a training or extraction asks for."""
        return 0 if self.compute["device"] == "cpu" else 1

    @property
    def compute_json(self) -> str:
        """The ``compute`` section as JSON; given to jobs in the command, which reruns nothing when
        it changes.
        """
        return canonical(self.compute)

    # Datasets

    @property
    def rendered(self) -> list[str]:
        """Datasets that the pipeline draws itself."""
        return [
            name for name, entry in self.config["datasets"].items() if entry["adapter"] == "demo"
        ]

    @property
    def read(self) -> list[str]:
        """Datasets read from the user's files."""
        return [name for name in self.config["datasets"] if name not in self.rendered]

    def source(self, dataset: str) -> dict[str, Any]:
        """Return the slice that a dataset's index depends on."""
        entry = self.config["datasets"][dataset]
        return {"adapter": entry["adapter"], "source": entry["source"]}

    def source_files(self, dataset: str) -> list[str]:
        """Return the files named in a dataset's source; a missing one is the adapter's to complain
        of.
        """
        return self._files(self.source(dataset)["source"])

    def word_files(self, words: str) -> list[str]:
        """Return the files that a source of word vectors names."""
        return self._files(self.config["words"][words])

    def _files(self, value: Any) -> list[str]:
        """Return every text inside ``value`` that is a file under data_root, as a path."""
        if isinstance(value, Mapping | list):
            items = value.values() if isinstance(value, Mapping) else value
            return [path for item in items for path in self._files(item)]
        path = Path(self.data_root) / value if isinstance(value, str) else None
        return [str(path)] if path is not None and path.is_file() else []

    def image_input(self, dataset: str) -> list[str]:
        """Return the drawn images of a demo dataset; a user's image folder is not watched, its
        index is.
        """
        return [f"results/{dataset}/images"] if dataset in self.rendered else []

    def image_option(self, dataset: str) -> str:
        """Return ``--images FOLDER`` (under data_root) of a dataset read from files; drawn images
        lie by the index.
        """
        folder = self.config["datasets"][dataset]["source"].get("images")
        return f"--images {shlex.quote(folder)}" if folder and dataset not in self.rendered else ""

    def images(self, dataset: str) -> dict[str, Any]:
        """Return the slice that a dataset's images depend on: not its splits or attributes, and of
        an adapter's code only what draws the demo.
        """
        source = self.source(dataset)
        adapter, settings = source["adapter"], source["source"]
        if dataset in self.rendered:
            code = settings_hash(
                ast.unparse(syntax_tree(PACKAGE / "datasets" / "adapters" / "demo.py"))
            )
            return source | {"code": [code, code_hash("zslpipe.datasets.creatures")]}
        known = IMAGE_SETTINGS.get(adapter, tuple(settings))
        return {
            "adapter": adapter,
            "source": {name: settings[name] for name in known if name in settings},
        }

    # Extractors

    @property
    def stored_extractors(self) -> list[str]:
        """Extractors whose pooled features the dataset's own file holds."""
        return [
            name
            for name, entry in self.config["extractors"].items()
            if entry["backbone"] == "stored"
        ]

    @property
    def computed_extractors(self) -> list[str]:
        """Extractors that run a network over images."""
        return [name for name in self.config["extractors"] if name not in self.stored_extractors]

    def extractor(self, name: str) -> dict[str, Any]:
        """Return the slice that a feature file depends on, besides its images; ``weights`` as
        written.
        """
        return {
            "name": name,
            "features_version": FEATURES_VERSION,
            **self.config["extractors"][name],
        }

    def weights_file(self, dataset: str, name: str) -> list[str]:
        """Return the path of an extractor's weights file (the demo's is trained on the way), none
        for a name.
        """
        entry = self.config["extractors"][name]
        if entry["backbone"] == "demo" and "weights" not in entry:
            return [f"results/{dataset}/backbone.pt"]
        weights = entry.get("weights", "")
        return (
            [str(Path(self.data_root) / weights)] if Path(weights).suffix in (".pt", ".pth") else []
        )

    # Runs

    @property
    def light_runs(self) -> list[str]:
        """Runs on cached features, as method/variant."""
        return [f"{run.method}/{run.variant}" for run in self.runs.values() if run.trunk is None]

    @property
    def end_to_end_runs(self) -> list[str]:
        """Runs from images, as method/variant."""
        return [
            f"{run.method}/{run.variant}" for run in self.runs.values() if run.trunk is not None
        ]

    def run(self, wildcards: Any) -> Run:
        """Return the run that the wildcards name."""
        key = (wildcards.dataset, *wildcards.run.split("/"))
        if key not in self.runs:
            raise InputError(f"no run {'/'.join(key)} in the configuration")
        return self.runs[key]

    def features(self, wildcards: Any) -> list[str]:
        """Return the feature file of a run, none for a method that reads images."""
        run = self.run(wildcards)
        return [] if run.trunk else [f"results/{run.dataset}/features/{run.extractor}.h5"]

    def drawn_images(self, wildcards: Any) -> list[str]:
        """Return the drawn images of a run that reads images."""
        return self.image_input(wildcards.dataset) if self.run(wildcards).trunk else []

    def trunk_weights(self, wildcards: Any) -> list[str]:
        """Return the weights file of the network that a run trains, none where it reads features."""
        run = self.run(wildcards)
        return self.weights_file(run.dataset, run.extractor) if run.trunk else []

    def source_options(self, wildcards: Any) -> str:
        """Return the options that name what a run reads."""
        run = self.run(wildcards)
        if not run.trunk:
            return f"--features {self.features(wildcards)[0]}"
        weights = [f"--trunk {shlex.quote(path)}" for path in self.trunk_weights(wildcards)]
        return " ".join([self.image_option(run.dataset), *weights]).strip()

    def run_code(self, wildcards: Any) -> str:
        """Return the hash of all code that decides a run's result."""
        reader = (
            "zslpipe.runs.image_inputs"
            if self.run(wildcards).trunk
            else "zslpipe.runs.cached_inputs"
        )
        return code_hash(
            f"zslpipe.methods.{self.run(wildcards).method}", "zslpipe.runs.train", reader
        )

    def words(self, wildcards: Any) -> list[str]:
        """Return the word vectors of a run, none for a method that reads none."""
        words = self.run(wildcards).words
        return [f"results/{wildcards.dataset}/words/{words}.h5"] if words else []

    # Targets

    def histories(self, wildcards: Any) -> list[str]:
        """Return the histories of all seeds of a run."""
        return [
            f"results/{wildcards.dataset}/runs/{wildcards.method}/{wildcards.variant}/seed{seed}/history.csv"
            for seed in self.config["seeds"]
        ]

    def targets(self) -> list[str]:
        """Return what ``rule all`` asks for: tables, and figures of every run that has them."""
        targets = [f"results/tables/main.{kind}" for kind in ("csv", "md", "tex")]
        targets += [
            f"results/figures/{dataset}.{kind}.png"
            for dataset in self.config["datasets"]
            for kind in ("curves", "confusion")
        ]
        targets += [
            f"results/{dataset}/inspect.png"
            for dataset in self.config["datasets"]
            if self.has_images(dataset)
        ]
        if self.localizations:
            targets += [f"results/tables/localization.{kind}" for kind in ("csv", "md", "tex")]
        return targets + [figure for run in self.runs.values() for figure in self._figures(run)]

    def _figures(self, run: Run) -> list[str]:
        """Return the figures of one run."""
        source = read_method(run.method)
        kinds = ["losses"] if source.has_epochs else []
        if self.has_images(run.dataset):
            kinds += ["maps"] if source.has_attention else []
            kinds += ["parts"] if source.has_attention and self._has_parts(run.dataset) else []
            kinds += ["channels"] if source.has_part_attention else []
            kinds += ["gradcam"] if _has_semantic_rules(run) else []
        return [
            f"results/figures/{run.dataset}.{run.method}.{run.variant}.{kind}.png" for kind in kinds
        ]

    @cached_property
    def localizations(self) -> list[str]:
        """Every localization.json: of runs with maps on datasets whose parts are annotated."""
        return [
            f"results/{run.dataset}/runs/{run.method}/{run.variant}/seed{seed}/localization.json"
            for run in self.runs.values()
            if read_method(run.method).has_maps
            and self.has_images(run.dataset)
            and self._has_parts(run.dataset)
            for seed in self.config["seeds"]
        ]

    def score_matrices_of_first_seed(self, dataset: str) -> list[str]:
        """Return the score matrices of a dataset's methods as configured (no variants), from the
        first seed.
        """
        return [
            f"results/{dataset}/runs/{run.method}/{run.variant}/seed{self.config['seeds'][0]}/scores.h5"
            for run in self.runs.values()
            if (run.dataset, run.variant) == (dataset, "default")
        ]

    def _has_parts(self, dataset: str) -> bool:
        """Return whether a dataset's body parts are annotated."""
        return dataset in self.rendered or "parts" in self.config["datasets"][dataset]["source"]

    def has_images(self, dataset: str) -> bool:
        """Return whether pictures of a dataset can be drawn."""
        return dataset in self.rendered or bool(self.image_option(dataset))
