"""Bytes of the files that a study makes, from the layouts that :mod:`zslpipe.formats` writes."""

from collections.abc import Mapping
from pathlib import Path

from zslpipe.study.declarations import read_method
from zslpipe.study.known_sizes import KnownSizes, word_length
from zslpipe.study.made_files import Made, made
from zslpipe.study.study import Study
from zslpipe.study.targets import PICTURED_IMAGES
from zslpipe.study.text_widths import text_width

# Head of an HDF5 file, of its names and attributes (measured on the demo).
HEAD = 13_000
# Parts of a feature file that begin at a multiple of the alignment (counted in one: four datasets,
# and HDF5's own records of them).
ALIGNED_PARTS = 9
# A picture of the demo (measured: 2000 are 62.9 MB).
PICTURE = 31_430
# A class's texts and its name (ours: a few sentences).
TEXTS = 500
# An image's row of index.h5 beside its parts: path, label, number in its splits; and a part's x, y.
INDEX_ROW, PART = 60, 16
# Files that are small whatever a study is, by the ends of their names (measured on the demo).
SMALL = {
    "metrics.json": 23_000,
    "inspect.png": 1_100_000,
    "backbone.pt": 3_370_000,
    "pair.pt": 3_430_000,
    "gradcam.h5": 200_000,
    "maps.webp": 150_000,
    "maps.pdf": 400_000,
    "parts.webp": 150_000,
    "parts.pdf": 400_000,
    "index.html": 3_000_000,
    ".webp": 60_000,
    ".pdf": 60_000,
}
OTHER = 4_000  # a list, a table, a history


class FileSizes:
    """Bytes of a study's files; ``weights``: those of a run (method/variant on a dataset) by
    (dataset, run), as far as they are known.
    """

    def __init__(
        self, study: Study, sizes: KnownSizes, weights: Mapping[tuple[str, str], int]
    ) -> None:
        self.study, self.sizes, self.weights = study, sizes, weights

    def of(self, path: str) -> int | None:
        """Return the bytes of a file (of a folder: of all in it), None where nothing tells."""
        found = made(path)
        if found is None:
            return small(path)
        table = {
            "features": self._features,
            "irrelevant_features": self._features,
            "scores": self._scores,
            "rebalanced_scores": self._scores,
            "validation": self._validation,
            "irrelevant": self._irrelevant,
            "attention": self._attention,
            "weights": self._weights,
            "images": self._pictures,
            "auxiliary": self._pictures,
            "words": self._words,
            "texts": self._texts,
            "index": self._index,
        }
        return table[found.kind](found) if found.kind in table else small(path)

    def _features(self, file: Made) -> int | None:
        """Return the bytes of a feature file: float16 regions, float32 means, digests; a checksum
        for each 256 images and slab.
        """
        entry = self.study.config["extractors"][file.of["extractor"]]
        images = self.sizes.extents[file.dataset].images
        if file.kind == "irrelevant_features":
            images = self.sizes.irrelevant_images(self.study, file.dataset)
        width = self.sizes.widths.get(file.of["extractor"])
        if width is None:
            return None
        if entry["backbone"] == "stored":
            return images * 4 * width + HEAD
        cells = int(entry["grid"]) ** 2
        alignment = int(self.study.compute["extract_alignment"])
        return images * (2 * cells * width + 4 * width + 8) + HEAD + ALIGNED_PARTS * alignment

    def _scores(self, file: Made) -> int:
        """Return the bytes of float32 scores against all classes, labels and rows."""
        extent = self.sizes.extents[file.dataset]
        images = extent.splits["trainval"] + extent.tested
        return images * (4 * extent.classes + 16) + HEAD

    def _validation(self, file: Made) -> int:
        """Return the same against the seen classes, of the images of the validation problem."""
        extent = self.sizes.extents[file.dataset]
        images = extent.splits["train"] + extent.splits["val"]
        return images * (4 * extent.seen + 16) + HEAD

    def _irrelevant(self, file: Made) -> int:
        """Return the bytes of scores of task-irrelevant images."""
        images = self.sizes.irrelevant_images(self.study, file.dataset)
        return images * 4 * self.sizes.extents[file.dataset].classes + HEAD

    def _attention(self, file: Made) -> int:
        """Return the bytes of float16 maps of some images and of the peaks of all test images, of
        parts of the training images too.
        """
        extent = self.sizes.extents[file.dataset]
        method, variant = file.of["run"].split("/")
        run = self.study.runs.named(file.dataset, method, variant)
        cells = int(self.study.config["extractors"][run.extractor]["grid"]) ** 2
        if read_method(method).has_attention:
            a_map = PICTURED_IMAGES * extent.attributes * (2 * cells + 4)
            return a_map + extent.tested * (8 * extent.attributes + 8) + HEAD
        images = extent.tested + extent.splits["trainval"]
        return PICTURED_IMAGES * 2 * 4 * cells + images * (8 * 2 + 8) + HEAD

    def _weights(self, file: Made) -> int | None:
        """Return the bytes of a run's weights."""
        known = self.weights.get((file.dataset, file.of["run"]))
        return None if known is None else known + HEAD

    def _pictures(self, file: Made) -> int:
        """Return the bytes of a folder of drawn pictures."""
        if file.kind == "images":
            return self.sizes.extents[file.dataset].images * PICTURE
        source = self.study.config["datasets"][file.dataset]["source"]
        return int(source["auxiliary_classes"] * source["auxiliary_images_per_class"]) * PICTURE

    def _words(self, file: Made) -> int:
        """Return the bytes of float32 word vectors of all attributes."""
        runs = [run for run in self.study.runs.known.values() if run.words == file.of["words"]]
        lengths = [word_length(self.study, run) for run in runs]
        return self.sizes.extents[file.dataset].attributes * (4 * max(lengths, default=300) + 50)

    def _texts(self, file: Made) -> int:
        """Return the bytes of float32 class vectors, and of some texts a class."""
        entry = self.study.config["texts"][file.of["texts"]]
        width = text_width(entry, Path(self.study.data_root))
        return self.sizes.extents[file.dataset].classes * (4 * width + TEXTS) + HEAD

    def _index(self, file: Made) -> int:
        """Return the bytes of an index: a row an image, class vectors."""
        extent = self.sizes.extents[file.dataset]
        vectors = 8 * extent.classes * sum(extent.vectors.values())
        parts = 15 * PART  # as many as CUB has
        return extent.images * (INDEX_ROW + parts) + vectors + HEAD


def small(path: str) -> int:
    """Return the bytes of a file that is small whatever the study is."""
    for end, size in SMALL.items():
        if path.endswith(end):
            return size
    return OTHER
