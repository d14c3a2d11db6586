"""Texts become vectors: of a class the mean of its texts', of an attribute its phrase's."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.class_vectors import all_alike
from zslpipe.formats.texts import ClassTexts, write_class_texts
from zslpipe.formats.words import write_words_file
from zslpipe.machine.devices import Compute, device_of
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import SENTENCES
from zslpipe.machine.weight_names import OF_FOLDER
from zslpipe.networks.text_encoders import encode_texts, encoder_stamp

logger = logging.getLogger(__name__)

# Of an encoder's stamp what is no library's version.
NOT_LIBRARIES = ("encoder", "weights")


def write_encoded_classes(
    dataset: str,
    texts: Mapping[str, tuple[str, ...]],
    settings: Mapping[str, Any],
    encoder: str,
    weights: Path | None,
    output: Path,
    compute: Compute,
) -> None:
    """Write ``texts/{name}.h5`` of the ``texts`` of all classes, by class name.

    A class's vector is the mean of its texts' embeddings, each of unit length, at unit length again
    (CLIP's ensemble of prompts, Radford et al. 2021, section 3.1.4). Raises InputError as the
    encoder, and where the texts of a class cancel out or all classes come out the same.
    """
    every = [text for of_class in texts.values() for text in of_class]
    counts = [len(of_class) for of_class in texts.values()]
    stamp = encoder_stamp(encoder, weights)
    vectors = class_means(encode_texts(every, encoder, weights, device_of(compute)), counts)
    where = f"texts {output.stem!r}"
    check_vectors(vectors, tuple(texts), where)
    if all_alike(vectors):
        fault = f"all {len(vectors)} classes have the same vector"
        raise InputError(f"{where}: {fault}; give texts that this encoder tells apart")
    source = f"{told(stamp, weights)}, {len(every)} texts"
    write_class_texts(output, ClassTexts(dataset, texts, vectors, source, stamp, settings))
    logger.info("%s: %d classes, %d dimensions, %s", where, *vectors.shape, source)


def class_means(vectors: np.ndarray, counts: Sequence[int]) -> np.ndarray:
    """Return (class, e) float32 means of the (n, e) ``vectors``, each at unit length first, at unit
    length; zero where they cancel out. ``counts`` of a class follow each other.
    """
    unit = _unit(vectors.astype(np.float64))
    first = np.cumsum([0, *counts[:-1]])
    means = np.add.reduceat(unit, first, axis=0) / np.array(counts)[:, None]
    return _unit(means).astype(np.float32)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Return vectors at unit length; zero ones stay."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit: np.ndarray = vectors / np.where(lengths > 0, lengths, 1)
    return unit


def check_vectors(vectors: np.ndarray, names: Sequence[str], where: str) -> None:
    """Raise InputError for a vector of zeros: nothing can be told by it."""
    empty = np.flatnonzero(~vectors.any(axis=1)).tolist()
    if empty:
        named = ", ".join(names[number] for number in empty[:5])
        fault = f"{len(empty)} have vectors of zeros: {named}"
        raise InputError(f"{where}: {fault}; give other texts, or another encoder")


def write_encoded_words(
    phrases: Mapping[str, str],
    report: Mapping[str, Any],
    settings: Mapping[str, Any],
    source: str | None,
    encoder: str,
    weights: Path | None,
    output: Path,
    compute: Compute,
) -> None:
    """Write ``words.h5`` of the ``phrases`` of all attributes, by attribute name, their vectors as
    the encoder gives them; ``source`` in the words of a table instead of the encoder's.

    Raises InputError as the encoder does, and for a vector of zeros.
    """
    stamp = encoder_stamp(encoder, weights)
    vectors = encode_texts(list(phrases.values()), encoder, weights, device_of(compute))
    where = f"words {output.stem!r}"
    check_vectors(vectors, tuple(phrases), where)
    named = source or told(stamp, weights)
    write_words_file(output, vectors, tuple(phrases), named, report, settings, stamp)
    logger.info("%s: %d attributes, %d dimensions, %s", where, *vectors.shape, named)


def located(
    encoder: str, weights: str | None, data_root: Path, pair: Path | None
) -> tuple[str, Path | None]:
    """Return an encoder, as a configuration names it, with the place of its folder, and the place
    of its weights; ``pair`` is the file of the demo's. Raises InputError where that is not given.
    """
    if encoder == "demo":
        if pair is None:
            raise InputError("encoder demo: give the file of the demo's pair with --pair")
        return encoder, pair
    if encoder.startswith(SENTENCES):
        return f"{SENTENCES}{data_root / encoder.removeprefix(SENTENCES)}", None
    return encoder, None if weights is None else data_root / weights.removeprefix(OF_FOLDER)


def told(stamp: Mapping[str, str], weights: Path | None) -> str:
    """Return an encoder in the words of a table: name, file of weights, libraries."""
    libraries = [f"{name} {one}" for name, one in stamp.items() if name not in NOT_LIBRARIES]
    file = "" if weights is None else f" {weights.name}"
    return ", ".join([f"{stamp['encoder']}{file}", *libraries])
