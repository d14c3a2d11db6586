"""What the Snakefile asks about datasets: files they are read from, images, slices; imports no
torch.
"""

import hashlib
import os
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from zslpipe.folders import list_files
from zslpipe.provenance import PACKAGE, canonical, code_hash, made_of_hash, module_hash
from zslpipe.study.paths import PATHS, braced

ADAPTERS = PACKAGE / "datasets" / "adapters"
# The settings of an adapter's source that decide which images there are, in which order and how
# cropped; of another adapter all settings do.
IMAGE_SETTINGS = {
    "xlsa17": ("features", "images", "anchor", "boxes"),
    "folder": ("images", "attributes"),
    "deepfashion": ("images", "categories"),
}


def index_of(dataset: str, entry: Mapping[str, Any]) -> dict[str, str]:
    """Return what the index.h5 of a dataset's section says of itself."""
    made_of = made_of_hash(entry["source"])
    return {"dataset": dataset, "adapter": entry["adapter"], "made_of": made_of}


@cache
def folder_fingerprint(root: Path) -> str:
    """Return a hash of path (relative to ``root``), size and time of modification of every file
    below a folder, hidden and system files left out; looked at once in a process.

    A moved folder keeps its fingerprint. A copy without times (cp without -p) does not: everything
    is looked at again.
    """
    listing = list_files(root)
    digest = hashlib.blake2b(digest_size=8)
    for file in listing.files:
        digest.update(os.fsencode(file.path))
        digest.update(f"\0{file.size} {file.modified}\n".encode())
    for path in listing.unread:
        digest.update(os.fsencode(path) + b"\0\n")
    return digest.hexdigest()


class Datasets:
    """The datasets of a checked configuration, their word vectors and task-irrelevant images."""

    def __init__(self, config: Mapping[str, Any]):
        self.config = config
        self.entries: Mapping[str, Any] = config["datasets"]

    @property
    def rendered(self) -> list[str]:
        """Datasets that the pipeline draws itself."""
        return [name for name, entry in self.entries.items() if entry["adapter"] == "demo"]

    @property
    def read(self) -> list[str]:
        """Datasets read from the user's files."""
        return [name for name in self.entries if name not in self.rendered]

    # What an index and word vectors are made from

    def source(self, dataset: str) -> dict[str, Any]:
        """Return the slice that a dataset's index depends on."""
        entry = self.entries[dataset]
        return {"adapter": entry["adapter"], "source": entry["source"]}

    @property
    def indices_json(self) -> str:
        """What every index.h5 says of itself, as JSON: given to jobs in the command, which reruns
        nothing when it changes; the index itself does.
        """
        return canonical({name: index_of(name, entry) for name, entry in self.entries.items()})

    def source_files(self, dataset: str) -> list[str]:
        """Return the files named in a dataset's source; a missing one is the adapter's to complain
        of.
        """
        return self._files(self.source(dataset)["source"])

    def code(self, dataset: str) -> str:
        """Return the hash of the code that writes a dataset's index, and what tells a change of its
        files where Snakemake cannot.
        """
        adapter = self.entries[dataset]["adapter"]
        writer = "zslpipe.commands.datasets:write_index"
        told = braced(self.source_files(dataset))
        return code_hash(writer, f"zslpipe.datasets.adapters.{adapter}") + told

    def word_files(self, words: str) -> list[str]:
        """Return the files that a source of word vectors names."""
        return self._files(self.config["words"][words])

    def _files(self, value: Any) -> list[str]:
        """Return every text inside ``value`` that is a file under data_root, as a path."""
        if isinstance(value, Mapping):
            return self._files(list(value.values()))
        if isinstance(value, list):
            return [path for item in value for path in self._files(item)]
        path = Path(self.config["data_root"]) / str(value)
        return [str(path)] if isinstance(value, str) and path.is_file() else []

    # Images

    def drawn_images(self, dataset: str) -> list[str]:
        """Return the drawn images of a demo dataset; a user's image folder is :meth:`watched`."""
        return [PATHS.images.format(dataset=dataset)] if dataset in self.rendered else []

    def watched(self, dataset: str) -> str:
        """Return a fingerprint of a dataset's image folder, "" where there is none of the user's.

        Asked by the rules that read it, when they are looked at: an image replaced, added or
        removed makes the index due, and an extraction, which computes what changed.
        """
        folder = self.entries[dataset]["source"].get("images")
        if not folder or dataset in self.rendered:
            return ""
        return folder_fingerprint(Path(self.config["data_root"]) / str(folder))

    def listed(self, dataset: str) -> str:
        """Return name, size and time of the user's files that list a dataset's images, "" of a
        drawn one: another list of the same name is extracted, as far as its images are not known.
        """
        if dataset in self.rendered:
            return ""
        files = [Path(path) for path in self._files(self.images(dataset)["source"])]
        return canonical(
            [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        )

    def irrelevant_watched(self, name: str) -> str:
        """Return a fingerprint of the folder of a set of task-irrelevant images, "" for a drawn
        one.
        """
        if "rendered" in self.config["irrelevant"][name]:
            return ""
        folder = self.irrelevant_settings(name)["images"]
        return folder_fingerprint(Path(self.config["data_root"]) / str(folder))

    def image_option(self, dataset: str) -> str:
        """Return ``--images FOLDER`` (under data_root) of a dataset read from files; drawn images
        lie by the index.
        """
        folder = self.entries[dataset]["source"].get("images")
        read = folder and dataset not in self.rendered
        return f"--images {shlex.quote(folder)}" if read else ""

    def pictures(self, dataset: str) -> str:
        """Return the folder of a dataset's images."""
        folder = self.entries[dataset]["source"].get("images")
        if folder and dataset not in self.rendered:
            return str(Path(self.config["data_root"]) / folder)
        return PATHS.images.format(dataset=dataset)

    def images(self, dataset: str) -> dict[str, Any]:
        """Return the slice that a dataset's images depend on: not its splits or attributes, and of
        an adapter's code only what draws the demo.
        """
        source = self.source(dataset)
        adapter, settings = source["adapter"], source["source"]
        if dataset in self.rendered:
            drawing = module_hash(ADAPTERS / "demo.py")
            return source | {"code": [drawing, code_hash("zslpipe.datasets.creatures")]}
        known = IMAGE_SETTINGS.get(adapter, tuple(settings))
        kept = {name: settings[name] for name in known if name in settings}
        return {"adapter": adapter, "source": kept}

    def has_images(self, dataset: str) -> bool:
        """Return whether pictures of a dataset can be drawn."""
        return dataset in self.rendered or bool(self.image_option(dataset))

    def has_parts(self, dataset: str) -> bool:
        """Return whether a dataset's body parts are annotated."""
        return dataset in self.rendered or "parts" in self.entries[dataset]["source"]

    def has_visible_parts(self, dataset: str) -> bool:
        """Return whether a dataset has images with annotated parts."""
        return self.has_images(dataset) and self.has_parts(dataset)

    def removed_option(self, dataset: str) -> str:
        """Return ``--without NAME`` for each attribute that Grad-CAM is to take away."""
        names = self.entries[dataset]["removed_attributes"]
        return " ".join(f"--without {shlex.quote(name)}" for name in names)

    def confused_option(self, dataset: str) -> str:
        """Return ``--class NAME`` for the unseen class that the figure of confusions is about."""
        name = self.entries[dataset].get("confused_class")
        return f"--class {shlex.quote(name)}" if name else ""

    # Task-irrelevant images

    def irrelevant_of(self, dataset: str) -> str | None:
        """Return the name of a dataset's set of task-irrelevant images, None where it has none."""
        name: str | None = self.entries[dataset].get("irrelevant")
        return name

    def irrelevant_list(self, dataset: str) -> str:
        """Return the list of a dataset's task-irrelevant images."""
        return PATHS.irrelevant_list.format(irrelevant=self.irrelevant_of(dataset))

    def irrelevant_settings(self, name: str) -> dict[str, Any]:
        """Return what a set of task-irrelevant images is read by."""
        entry = self.config["irrelevant"][name]
        if "rendered" in entry:
            return {"images": "auxiliary"}
        return {key: entry[key] for key in ("images", "drop", "layout")}

    def irrelevant_folder(self, name: str) -> str:
        """Return the folder that a set's ``images`` is relative to."""
        rendered = self.config["irrelevant"][name].get("rendered")
        if rendered is not None:
            return PATHS.dataset.format(dataset=rendered)
        return str(self.config["data_root"])

    def irrelevant_pictures(self, name: str) -> list[str]:
        """Return the drawn pictures of a set; a user's folder is :meth:`irrelevant_watched`."""
        rendered = self.config["irrelevant"][name].get("rendered")
        return [] if rendered is None else [PATHS.auxiliary.format(dataset=rendered)]

    def irrelevant_images(self, dataset: str) -> str:
        """Return the image folder of a dataset's task-irrelevant images, relative to
        :meth:`irrelevant_root`.
        """
        return str(self.irrelevant_settings(str(self.irrelevant_of(dataset)))["images"])

    def irrelevant_root(self, dataset: str) -> str:
        """Return the folder that :meth:`irrelevant_images` counts from."""
        return self.irrelevant_folder(str(self.irrelevant_of(dataset)))
