"""What the Snakefile asks about extractors: which run, their slices, their weights; imports no
torch.
"""

from collections.abc import Mapping
from typing import Any

from zslpipe.machine.errors import InputError
from zslpipe.machine.weight_names import is_weights_file, said_of_folder, weights_path
from zslpipe.provenance import settings_hash
from zslpipe.study.datasets import Datasets
from zslpipe.study.networks import check_folder
from zslpipe.study.paths import PATHS, braced, is_pattern

# Raised by hand when the features themselves change; hashing the code would cost GPU days at every
# refactoring.
FEATURES_VERSION = 2
# Settings of an extractor that say how it computes. They travel in the command; in the slice they
# stand at these values, whatever a user writes, so that changing them runs nothing again.
HOW = {"batch_size": 32, "dtype": "bfloat16"}
# Networks that the demo trains itself, and the files of their weights (formats.identity's).
OWN = {"demo": PATHS.backbone, "demo_pair": PATHS.pair}


class Extractors:
    """The extractors of a checked configuration.

    Raises InputError for a network that there is not, for one without weights, and for one that a
    dataset without images is to run.
    """

    def __init__(self, config: Mapping[str, Any], datasets: Datasets):
        self.entries: Mapping[str, Any] = config["extractors"]
        self.device = config["compute"]["device"]
        self.data_root = config["data_root"]
        for name, entry in self.entries.items():
            if "weights" not in entry and entry["backbone"] not in (*OWN, "stored"):
                known = "a .pt file or the library's name (or random, to try things)"
                raise InputError(f"extractor {name!r}: give 'weights': {known}")
            said = said_of_folder(self.data_root, entry.get("weights", ""))
            check_folder(entry["backbone"], said, f"config, extractors.{name}")
        for dataset, entry in datasets.entries.items():
            if not datasets.has_images(dataset):
                self._refuse_computed(dataset, entry["extractors"])

    def _refuse_computed(self, dataset: str, names: list[str]) -> None:
        """Raise InputError where one of the extractors ``names`` needs images."""
        for name in names:
            if name in self.computed:
                raise InputError(
                    f"config, datasets.{dataset}: extractor {name!r} needs images; give its source "
                    "an 'images' folder, or name an extractor with 'backbone: stored'"
                )

    @property
    def stored(self) -> list[str]:
        """Extractors whose pooled features the dataset's own file holds."""
        return [name for name, entry in self.entries.items() if entry["backbone"] == "stored"]

    @property
    def computed(self) -> list[str]:
        """Extractors that run a network over images."""
        return [name for name in self.entries if name not in self.stored]

    def settings(self, name: str) -> dict[str, Any]:
        """Return the slice that a feature file depends on, besides its images; ``weights`` as
        written.

        A ``dtype`` counts where a GPU may compute: a CPU knows float32 alone.
        """
        entry = {"name": name, **self.entries[name], **HOW}
        if self.device != "cpu":
            entry["dtype"] = self.entries[name].get("dtype", HOW["dtype"])
        return entry

    def how(self) -> dict[str, dict[str, Any]]:
        """Return how each extractor computes, by its name, the version of what it computes, and its
        file of weights where no rule can name it as an input.
        """
        found = {}
        for name in self.computed:
            entry = HOW | self.entries[name]
            found[name] = {key: entry[key] for key in HOW} | {"features_version": FEATURES_VERSION}
            for path in self._user_file(entry):
                if is_pattern(path):
                    found[name]["weights_file"] = path
        return found

    def version(self, name: str) -> int | str:
        """Return the version of what an extractor computes, and what tells a change of its weights
        where Snakemake cannot.
        """
        told = self.unseen(name)
        return f"{FEATURES_VERSION}{told}" if told else FEATURES_VERSION

    def unseen(self, name: str) -> str:
        """Return what tells a change of an extractor's weights, to be a part of parameters, where
        no rule's input does, "" where there is nothing: a file that cannot be an input, and what
        the config.json of a folder says, which may forbid the weights and changes none of them.
        """
        entry = self.entries[name]
        said = said_of_folder(self.data_root, entry.get("weights", ""))
        return braced(self._user_file(entry)) + (settings_hash(said) if said else "")

    def weights_file(self, dataset: str, name: str) -> list[str]:
        """Return the path of an extractor's weights file (the demo's is trained on the way), none
        for a name.
        """
        entry = self.entries[name]
        if entry["backbone"] in OWN and "weights" not in entry:
            return [OWN[entry["backbone"]].format(dataset=dataset)]
        return self._user_file(entry)

    def _user_file(self, entry: Mapping[str, Any]) -> list[str]:
        """Return the path of a weights file that the configuration names, none for a name."""
        weights = entry.get("weights", "")
        return [str(weights_path(self.data_root, weights))] if is_weights_file(weights) else []
