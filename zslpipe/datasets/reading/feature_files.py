"""Feature files of the field (``res101.mat``): images in their order, labels, pooled features."""

import logging
from pathlib import Path

import numpy as np

from zslpipe.datasets.reading.matfile import read_mat, required, texts, zero_based
from zslpipe.machine.errors import InputError

logger = logging.getLogger(__name__)


def read_image_list(path: Path, classes: int) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the stored image paths and 0-based labels (n) of a feature file.

    Raises InputError where their numbers differ, or a label lies beyond the number of classes.
    """
    variables = read_mat(path, ("image_files", "labels"))
    stored = texts(required(variables, "image_files", path), "image_files", path)
    labels = zero_based(required(variables, "labels", path), "labels", path)
    if len(stored) != len(labels):
        raise InputError(f"{path}: {len(stored)} image_files but {len(labels)} labels")
    if labels.max() >= classes:
        beyond = f"{(labels >= classes).sum()} labels without a name: up to {labels.max() + 1}"
        raise InputError(f"{path}: {beyond}, the split file has {classes} classes")
    return stored, labels


def read_pooled(path: Path, count: int) -> np.ndarray:
    """Return the pooled features, stored d x n, of ``count`` images as (n, d) float32; stored n x d
    where only the rows are as many as the images, which the log says.

    Raises InputError where they are not d x n numbers, or not finite.
    """
    features = required(read_mat(path, ("features",)), "features", path)
    shape, kind = features.shape, features.dtype
    if len(shape) != 2 or kind.kind not in "iuf" or count not in shape:
        expected = f"d x {count} numbers expected"
        raise InputError(f"{path}: features has shape {shape}, type {kind}; {expected}")
    if shape[1] != count:
        logger.info("%s: features lie transposed, an image a row, and are read so", path)
        features = features.T
    pooled = np.ascontiguousarray(features.T, np.float32)
    bad = np.flatnonzero(~np.isfinite(pooled).all(axis=1))
    if len(bad):
        told = f"features of {len(bad)} images are not finite, first image {bad[0] + 1}"
        raise InputError(f"{path}: {told}")
    return pooled
