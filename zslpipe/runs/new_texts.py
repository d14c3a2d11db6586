"""Classes that nobody trained on, described by texts, beside those of a run that knows its classes
by texts: encoded as these were, by the same encoder.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from zslpipe.features.text_encoding import check_vectors, class_means, located
from zslpipe.formats.class_vectors import groups_alike, normalised, told_groups
from zslpipe.machine.errors import InputError
from zslpipe.names import text_name
from zslpipe.networks.text_encoders import DEMO, encode_texts, encoder_stamp
from zslpipe.runs.new_classes import check_names, model_of
from zslpipe.runs.trained import Trained
from zslpipe.training.contract import Classes, Model

logger = logging.getLogger(__name__)


def with_new_texts(
    trained: Trained,
    texts: Mapping[str, Sequence[str]],
    data_root: Path,
    pair: Path | None,
    device: torch.device,
) -> tuple[Classes, Model]:
    """Return the run's classes with those of ``texts``, one or more a class, behind them, all
    unseen, and a trained model of both.

    The encoder's folder or weights lie under ``data_root``, those of the demo's are ``pair``.
    Raises InputError for a run that knows classes by something else, for a class that it has
    already, where the encoder is not the one that encoded its own or knows nothing of a text, and
    for a method that has learned something of each class.
    """
    if text_name(trained.spec["semantics"]) is None:
        kind = trained.spec["semantics"]
        raise InputError(f"{trained.name}: knows classes by {kind!r}; describe new ones by that")
    check_names(tuple(texts), trained.classes.names, with_own=False)
    added = _encoded(trained, texts, data_root, pair, device)
    vectors = _normalised(added, trained)
    own, seen = trained.classes.attributes, trained.classes.seen
    both = Classes(
        names=(*trained.classes.names, *texts),
        attributes=torch.cat([own, torch.from_numpy(vectors).to(own)]),
        seen=torch.cat([seen, torch.zeros(len(texts), dtype=torch.bool)]),
        attribute_names=(),
    )
    groups = groups_alike(both.attributes.numpy())
    if groups:
        alike = told_groups(groups, both.names, both.seen.numpy())
        logger.warning("class vectors that cannot be told apart: %s", alike)
    return both, model_of(trained, both)


def _encoded(
    trained: Trained,
    texts: Mapping[str, Sequence[str]],
    data_root: Path,
    pair: Path | None,
    device: torch.device,
) -> np.ndarray:
    """Return the vectors (class, e) of new classes, made as those of the run's own."""
    if not trained.texts:
        fault = "does not say what encoded its texts (an earlier version wrote it)"
        raise InputError(f"{trained.name}: {fault}; export it again")
    settings, asked = trained.texts["settings"], trained.texts["encoder"]
    if settings["encoder"] == DEMO and pair is None:
        advice = "predict by the run's folder under results/, above which its pair.pt lies"
        raise InputError(f"{trained.name}: the demo's pair encoded its texts; {advice}")
    encoder, weights = located(settings["encoder"], settings.get("weights"), data_root, pair)
    found = encoder_stamp(encoder, weights)
    if found["weights"] != asked["weights"]:
        sides = f"asked {asked['weights']}, it has {found['weights']}"
        fault = f"the weights of {settings['encoder']!r} are not those that encoded the run's texts"
        raise InputError(f"{trained.name}: {fault} ({sides}); name their --data-root")
    every = [text for of_class in texts.values() for text in of_class]
    counts = [len(of_class) for of_class in texts.values()]
    vectors = class_means(encode_texts(every, encoder, weights, device), counts)
    check_vectors(vectors, tuple(texts), "new classes")
    return vectors


def _normalised(added: np.ndarray, trained: Trained) -> np.ndarray:
    """Return vectors of new classes normalised as the run's: by the ranges of its own classes where
    those count.
    """
    if trained.spec["normalisation"] != "minmax":
        return normalised(added, trained.spec["normalisation"])
    low, high = trained.vectors.min(axis=0), trained.vectors.max(axis=0)
    scaled: np.ndarray = (added - low) / np.maximum(high - low, 1e-12)
    return scaled
