"""Word vectors of attributes that a dataset does not have, from the source of those that it has."""

import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.datasets.reading.text_files import existing_file
from zslpipe.datasets.words import Settings, known_vectors, mean_vectors, words_of
from zslpipe.machine.errors import InputError
from zslpipe.settings import parse_settings

logger = logging.getLogger(__name__)

# Ours: vectors that are the same differ by the rounding of a mean in float32 alone.
TOLERANCE = 1e-5


def more_vectors(
    settings: Mapping[str, Any],
    known: Mapping[str, np.ndarray],
    names: Sequence[str],
    data_root: Path,
    file: Path | None = None,
) -> np.ndarray:
    """Return (attribute, dimension) float32 vectors of the attributes ``names``, by the
    ``settings`` that made those of the ``known`` ones.

    ``file`` is where the source's vectors lie now; without it where the settings say, below
    ``data_root``. Raises InputError where the settings are not known or name a file that holds the
    known attributes alone, where the file or the corrections are missing or unreadable, where the
    known attributes have other vectors in it, and for an attribute without a word in it.
    """
    where = "word vectors of new attributes"
    if not settings:
        fault = "the run's words.h5 does not say how it was made (an earlier version wrote it)"
        raise InputError(f"{where}: {fault}; delete it and run the workflow: it takes seconds")
    chosen = parse_settings(Settings, settings, where)
    if chosen.kind == "text":
        fault = f"the run's come from the text encoder {chosen.encoder}, which is not asked here"
        raise InputError(f"{where}: {fault}; train on words of kind glove or word2vec instead")
    if chosen.kind == "ready":
        fault = f"the run's come from {chosen.file}, which holds those of its own attributes alone"
        raise InputError(f"{where}: {fault}; train on words of kind glove or word2vec instead")
    source = None if chosen.file is None else _file(chosen.file, data_root, file, where)
    words = words_of([*known, *names], chosen, data_root, where)
    wanted = {word for found in words.values() for word in found}
    vectors, report = mean_vectors(words, known_vectors(chosen, source, wanted), where)
    _check_same(vectors[: len(known)], known, str(source or chosen.kind), where)
    if chosen.kind == "random":
        _tell_drawn(words, known)
    for name in names:
        entry = report[name]
        left_out = f", without {', '.join(entry['missing'])}" if entry["missing"] else ""
        logger.info("new attribute %r: the mean of %s%s", name, ", ".join(entry["used"]), left_out)
    return vectors[len(known) :]


def _tell_drawn(words: Mapping[str, Sequence[str]], known: Collection[str]) -> None:
    """Say which words of new attributes are in no known one: their random vectors tell nothing."""
    old = {word for name in known for word in words[name]}
    drawn = sorted({word for name in words for word in words[name]} - old)
    if drawn:
        told = (
            "the run's word vectors are random: %s are in none of its attributes and tell nothing"
        )
        logger.warning(told, ", ".join(drawn))


def _file(named: str, data_root: Path, given: Path | None, where: str) -> Path:
    """Return the file of the source's vectors; InputError where there is none."""
    if given is not None:
        return existing_file(Path(), str(given), where)
    if not (data_root / named).is_file():
        fault = f"{data_root / named}, their source, is not there"
        raise InputError(f"{where}: {fault}; name it by --word-vectors, or its --data-root")
    return existing_file(data_root, named, where)


def _check_same(
    vectors: np.ndarray, known: Mapping[str, np.ndarray], source: str, where: str
) -> None:
    """Raise InputError where the known attributes come out otherwise than the run read them."""
    for name, found, expected in zip(known, vectors, known.values(), strict=True):
        same = found.shape == expected.shape
        if not same or not np.allclose(found, expected, rtol=TOLERANCE, atol=TOLERANCE):
            fault = f"{source} gives {name!r} another vector than the run was trained with"
            raise InputError(f"{where}: {fault}; give the file that its words were made of")
