"""Whether a training can begin: all that it reads is looked at before torch is loaded and a card
taken; imports no torch.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.formats.features import FeatureFile
from zslpipe.formats.identity import (
    OWN_WEIGHTS,
    check_features,
    check_images,
    check_index_source,
)
from zslpipe.formats.index import Index, read_index
from zslpipe.formats.texts import with_texts
from zslpipe.formats.verification import check_weights_file
from zslpipe.formats.words import read_words
from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import check_zip

SHOWN = 3  # images named in a message


def check_inputs(
    spec: Mapping[str, Any],
    index_path: Path,
    words: Path | None,
    features: Path | None,
    images: Path,
    trunk: Path | None,
    texts: Path | None = None,
) -> None:
    """Raise InputError where something that the run ``spec`` reads is missing, damaged or of other
    settings: index, word vectors, texts, every block of its features, or its image files and the
    weights of its network.
    """
    index = read_index(index_path)
    check_index_source(index_path, index, spec.get("index"))
    with_texts(index, spec["semantics"], texts).class_vectors(spec["semantics"], "none")
    if words is not None:
        read_words(words)
    if trunk is not None:
        beside = trunk.parent == index_path.parent
        _check_weights(trunk, beside and trunk.name in OWN_WEIGHTS.values())
    if features is not None:
        _check_features(spec, index, features)
    elif spec["input"] == "images":
        _check_images_are_there(index, images)


def _check_weights(path: Path, is_own: bool) -> None:
    """Raise InputError where a file of weights is damaged. The user's may be of any tool's kind,
    which the training reads: of it the checksums are compared that it has.
    """
    if is_own:
        check_weights_file(path)
        return
    try:
        check_zip(path)
    except ValueError as error:
        raise InputError(f"weights file {path}: {error}; take another copy") from None


def _check_features(spec: Mapping[str, Any], index: Index, path: Path) -> None:
    """Raise InputError where a feature file is not the run's; whose weights they are is compared
    when the training opens them.
    """
    file = FeatureFile(path)
    check_images(path, file.attributes, index, bool(spec.get("index")) and index.made_of != "")
    stamped = str(file.attributes.get("weights_file", ""))
    check_features(path, file.attributes, index, spec.get("cache"), stamped)
    file.check(spec["input"] == "pooled")


def _check_images_are_there(index: Index, root: Path) -> None:
    """Raise InputError where image files are missing."""
    missing = [path for path in index.paths if not (root / path).is_file()]
    if missing:
        named = ", ".join(missing[:SHOWN])
        raise InputError(f"{len(missing)} of {len(index.paths)} images missing in {root}: {named}")
