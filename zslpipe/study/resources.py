"""What jobs ask a scheduler for: memory from the sizes of what they read, time from what they do,
both times the attempt. Imports no torch.

Memory is in MB, as ``mem_mb`` is. A constant is measured as the peak of a job's processes together
(``max_rss`` of results/benchmarks, which counts shared pages twice) where it says so: once, on two
cores. A test holds the sums of the demo's jobs to such peaks; of other networks and sizes no
command here measures again.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from zslpipe.study.config import Run
from zslpipe.study.datasets import Datasets
from zslpipe.study.expected_counts import Counts, counts_of
from zslpipe.study.extractors import Extractors
from zslpipe.study.networks import map_width
from zslpipe.study.paths import PATHS
from zslpipe.study.runs import Runs

MEGABYTE = 10**6
# Snakemake runs twice in a job of SLURM: in its batch script, and as the step that runs the command
# (measured: 165 MB each).
SNAKEMAKE = 350
# A process without torch (measured: 200 MB), one with torch that has opened its inputs (measured:
# 740 MB), and what a GPU's libraries add to that (ours).
NUMPY, TORCH, CUDA = SNAKEMAKE + 300, SNAKEMAKE + 850, 3000
# A process that reads images for a network (measured: 400 MB).
READER = 450
# A text encoder: its library, and weights of the largest of open_clip's text towers (ours).
ENCODER = 4000
# Features that are larger are read from the disk wherever a job runs (ours): nobody's queue waits
# for a machine with more.
HELD_AT_MOST = 24_000
# Of an extractor whose network is not known here: as wide as a ResNet's last map.
WIDTH = 2048
# MB that training takes for an image of 224 x 224 px (measured: 22 of the demo's network, 77 of
# mobilenet_v2, 105 of VGG-19, 157 of ResNet-101), and that scoring it takes (13 to 17).
TRAINED_IMAGE = {"demo": 30, "mobilenet_v2": 90}
TRAINED_OTHER, SCORED_IMAGE, SCORED_AT_ONCE = 180, 25, 32
# A network's weights, their gradients and the optimiser's copies: VGG-19 and ResNet-101 are below.
NETWORK = 700
# The same of a head: of MLIS's generator and critic, 4096 wide.
HEAD = 600
# Copies of pooled features that methods compute with: float64 (eszsl), scaled, generated (mlis).
POOLED_COPIES = 6
# Images of cached regions that are scored together (runs.cached_inputs), and arrays as large as
# (image, attribute, feature) that a head holds of them (dazle).
REGIONS_AT_ONCE, ATTRIBUTE_FEATURES = 256, 2
# Task-irrelevant images (ours; ImageNet's thousand classes, one each).
IRRELEVANT = 1000
# Arrays of scores (image, class) that a job holds: in parts, joined, as they are written.
SCORE_COPIES = 3
# An extraction's blocks of 256 images between network and file (features.extraction).
BLOCKS, BLOCK = 4, 256

# Minutes, ours: heads take minutes, networks a GPU's hours; what is cut off goes on.
HEAD_MINUTES, NETWORK_MINUTES, SCORING_MINUTES = 240, 1440, 60
# Images that an extraction passes in a minute on two processors at 448 px (measured: ResNet-101,
# as benchmarks/extract.py --size 448 does).
IMAGES_A_MINUTE, EXTRACTION_MINUTES, LONGEST = 60, 120, 2880


class Resources:
    """Memory and time of the jobs of a checked configuration. What a rule asks with is Snakemake's:
    its wildcards, and the number of the attempt, 1 at first.
    """

    def __init__(
        self, config: Mapping[str, Any], datasets: Datasets, extractors: Extractors, runs: Runs
    ):
        self.datasets, self.extractors, self.runs = datasets, extractors, runs
        self.compute: Mapping[str, Any] = config["compute"]
        self.on_cpu = self.compute["device"] == "cpu"

    # Runs

    def training(self, wildcards: Any, attempt: int) -> int:
        """Return MB of a training and of what scores its model: train, validate, attend and
        grad-cam.
        """
        run = self.runs.run(wildcards)
        images = self._images(run.dataset)
        memory = self._torch + SCORE_COPIES * _megabytes(images.images * images.classes * 4)
        memory += self._from_images(run) if run.trunk else self._from_cache(run, images)
        return math.ceil(memory) * attempt

    def irrelevant(self, wildcards: Any, attempt: int) -> int:
        """Return MB of the scoring of task-irrelevant images, which are few."""
        run, classes = self.runs.run(wildcards), self._images(wildcards.dataset)
        few = replace(classes, images=min(classes.images, IRRELEVANT))
        memory = self._from_images(run) if run.trunk else self._from_cache(run, few)
        return math.ceil(self._torch + memory) * attempt

    def training_minutes(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes of a training."""
        trunk = self.runs.run(wildcards).trunk
        return (NETWORK_MINUTES if trunk else HEAD_MINUTES) * attempt

    def scoring_minutes(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes of a job that scores images or looks at them by a trained model."""
        trunk = self.runs.run(wildcards).trunk
        return SCORING_MINUTES * (4 if trunk else 1) * attempt

    # Features

    def extraction(self, wildcards: Any, attempt: int) -> int:
        """Return MB of an extraction, of all its tasks: it does not grow with the dataset."""
        entry = self.extractors.entries[wildcards.extractor]
        width, share = self._width(wildcards.dataset, wildcards.extractor), _share(entry["size"])
        block = _megabytes(BLOCK * width * (2 * entry["grid"] ** 2 + 4))
        at_once = entry.get("batch_size", SCORED_AT_ONCE)
        network = NETWORK + at_once * SCORED_IMAGE * share if self.on_cpu else 0
        readers = READER * max(1, self._readers(self.compute["extract_threads"]))
        each = math.ceil(self._torch + network + BLOCKS * block + readers)
        return each * int(self.compute["extract_tasks"]) * attempt

    def extraction_minutes(self, wildcards: Any, attempt: int) -> int:
        """Return the minutes of an extraction, which grow with the dataset and the picture."""
        entry = self.extractors.entries[wildcards.extractor]
        images = self._images(wildcards.dataset).images
        minutes = images * _share(entry["size"]) / 4 / IMAGES_A_MINUTE
        return min(LONGEST, EXTRACTION_MINUTES + math.ceil(minutes)) * attempt

    def pretraining(self, wildcards: Any, attempt: int) -> int:
        """Return MB of the training of the demo's backbone, which holds its pictures."""
        source = self.datasets.entries[wildcards.dataset]["source"]
        pictures = source["auxiliary_classes"] * source["auxiliary_images_per_class"]
        return math.ceil(self._torch + _megabytes(2 * pictures * 3 * 128**2) + HEAD) * attempt

    # Datasets

    def reading(self, wildcards: Any, attempt: int) -> int:
        """Return MB of a job that reads the user's files of a dataset: at most twice their bytes,
        in float64.
        """
        return self._of_files(self.datasets.source_files(wildcards.dataset), attempt)

    def word_vectors(self, wildcards: Any, attempt: int) -> int:
        """Return MB of a job that reads a source of word vectors."""
        return self._of_files(self.datasets.word_files(wildcards.words), attempt)

    def encoding(self, wildcards: Any, attempt: int) -> int:
        """Return MB of a job that makes vectors of texts."""
        return (self._torch + ENCODER) * attempt

    def _of_files(self, paths: list[str], attempt: int) -> int:
        """Return MB of a process without torch that holds files and what it makes of them."""
        size = sum(Path(path).stat().st_size for path in paths if Path(path).is_file())
        return math.ceil(NUMPY + 3 * _megabytes(size)) * attempt

    def scores(self, wildcards: Any, attempt: int) -> int:
        """Return MB of a job that works on score matrices: several of float64, of each image."""
        images = self._images(wildcards.dataset)
        return math.ceil(NUMPY + 8 * _megabytes(images.images * images.classes * 8)) * attempt

    # What these are made of

    @property
    def _torch(self) -> int:
        """Return MB of a process that computes, before it has read anything."""
        return TORCH if self.on_cpu else TORCH + CUDA

    def _from_cache(self, run: Run, images: Counts) -> float:
        """Return MB of cached features and of a head that trains on them. A job holds what fits
        into half of its free memory (runs.cached_inputs), so that it asks for twice what it holds.
        """
        width = self._width(run.dataset, run.extractor)
        pooled = _megabytes(images.images * width * 4)
        if run.input == "pooled":
            return HEAD + (2 + POOLED_COPIES) * pooled
        grid = self.extractors.entries[run.extractor]["grid"]
        held = _megabytes(images.images * grid**2 * width * 2)
        each = images.attributes * (width + grid**2) * 4
        head = HEAD + ATTRIBUTE_FEATURES * _megabytes(REGIONS_AT_ONCE * each)
        if not self.on_cpu:
            return head
        return head + (2 * held if held <= HELD_AT_MOST else 0)

    def _from_images(self, run: Run) -> float:
        """Return MB of a network that trains on images, and of what reads these."""
        assert run.trunk is not None
        readers = READER * self._readers(self.compute["image_threads"])
        if not self.on_cpu:
            return readers
        each, share = (
            TRAINED_IMAGE.get(run.trunk["backbone"], TRAINED_OTHER),
            _share(run.trunk["size"]),
        )
        trained = each * _batch(run.settings) * share
        return NETWORK + readers + max(trained, SCORED_AT_ONCE * SCORED_IMAGE * share)

    def _readers(self, threads: int) -> int:
        """Return how many processes read images for a job: half of its threads on a CPU."""
        return threads // 2 if self.on_cpu else threads

    def _images(self, dataset: str) -> Counts:
        """Return the counts of a dataset."""
        return counts_of(dataset, self.datasets.entries[dataset])

    def _width(self, dataset: str, extractor: str) -> int:
        """Return d of an extractor's features: as their file says where it is there."""
        path = Path(PATHS.features.format(dataset=dataset, extractor=extractor))
        found = _stored_width(path, path.stat().st_mtime_ns) if path.is_file() else None
        return found or map_width(self.extractors.entries[extractor]) or WIDTH


@cache
def _stored_width(path: Path, modified: int) -> int | None:
    """Return d of a feature file as of its time of modification, None where it cannot be read."""
    import h5py  # a tenth of a second, which a study without features need not wait for

    try:
        with h5py.File(path, "r") as file:
            return int(file["pooled"].shape[-1])
    except (OSError, KeyError):
        return None


def _megabytes(count: float) -> float:
    """Return bytes as MB."""
    return count / MEGABYTE


def _share(size: int) -> float:
    """Return the pixels of a square picture over those of 224 x 224."""
    return (size / 224) ** 2


def _batch(settings: Mapping[str, Any]) -> int:
    """Return the images of a training's batch, by its method's settings."""
    if settings.get("sampler") == "episodes":
        return int(settings["ways"] * settings["shots"])
    return int(settings.get("batch_size", SCORED_AT_ONCE))
