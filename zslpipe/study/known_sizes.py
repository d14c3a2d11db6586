"""Numbers that the costs of a study follow from: sizes of datasets, widths of features, images of
task-irrelevant sets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from zslpipe.formats.extents import Extent
from zslpipe.names import text_name
from zslpipe.study.config import Run
from zslpipe.study.networks import map_width
from zslpipe.study.study import Study
from zslpipe.study.text_widths import text_width

# Width of xlsa17's own features (Xian et al. 2018: ResNet-101's pooled ones).
STORED_WIDTH = 2048
GLOVE = 300  # of word vectors whose file is not looked into (Pennington et al. 2014)


@dataclass(frozen=True)
class KnownSizes:
    """``extents`` by dataset; ``irrelevant``: images by set; ``widths`` of features by extractor,
    those that are known.
    """

    extents: Mapping[str, Extent]
    irrelevant: Mapping[str, int] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)

    def irrelevant_images(self, study: Study, dataset: str) -> int:
        """Return how many task-irrelevant images a dataset has."""
        return self.irrelevant.get(str(study.datasets.irrelevant_of(dataset)), 0)

    def shape(self, study: Study, run: Run) -> tuple[int, ...] | None:
        """Return the shape of one image's inputs, None where the width of its features is not
        known.
        """
        entry = study.config["extractors"][run.extractor]
        if run.trunk is not None:
            return (3, entry["size"], entry["size"])
        width = self.widths.get(run.extractor)
        # What a head gives has another width than regions, which its weights alone tell.
        if width is None or (run.input, entry.get("pooled")) == ("pooled", "head"):
            return None
        return (width,) if run.input == "pooled" else (entry["grid"] ** 2, width)


def known_widths(study: Study, measured: Mapping[str, int]) -> dict[str, int]:
    """Return the widths of features by extractor: ``measured`` ones first."""
    found = {}
    for name, entry in study.config["extractors"].items():
        width = measured.get(name) or map_width(entry)
        if entry["backbone"] == "stored":
            width = STORED_WIDTH
        if width is not None:
            found[name] = width
    return found


def word_length(study: Study, run: Run) -> int:
    """Return the length of a run's word vectors, 0 where it reads none."""
    if run.words is None:
        return 0
    entry = study.config["words"][run.words]
    if entry["kind"] == "text":
        return text_width(entry, Path(study.data_root))
    return int(entry.get("dimension", GLOVE)) if entry["kind"] == "random" else GLOVE


def class_widths(study: Study, sizes: KnownSizes, run: Run) -> dict[str, int]:
    """Return the lengths of class vectors by kind, of a run's dataset and of the texts that the run
    reads.
    """
    found, name = dict(sizes.extents[run.dataset].vectors), text_name(run.semantics)
    if name is not None:
        found[run.semantics] = text_width(study.config["texts"][name], Path(study.data_root))
    return found
