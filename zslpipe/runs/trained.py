"""A finished run, opened for pictures that no dataset lists: its method's settings and state, its
classes, the network that made its features, and how its scores become probabilities.
"""

import importlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.features import FeatureFile
from zslpipe.formats.identity import OWN_WEIGHTS, check_run
from zslpipe.formats.metrics import METRICS, read_metrics
from zslpipe.formats.scores import read_scores
from zslpipe.formats.texts import read_class_texts
from zslpipe.formats.words import read_word_settings, read_words
from zslpipe.machine.errors import InputError
from zslpipe.machine.weight_names import is_weights_file, weights_path
from zslpipe.names import text_name
from zslpipe.networks.backbones import Trunk, described_trunk, state_hash
from zslpipe.runs.opening import open_index
from zslpipe.runs.probabilities import Probabilities, temperature_of
from zslpipe.runs.problems import classes_of
from zslpipe.runs.weights import load_model, read_config, read_spec
from zslpipe.scores.changes import Kept, LearnedChange
from zslpipe.scores.learned import learned_change
from zslpipe.training.contract import Classes, Model

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained run without the files it came from.

    ``spec`` is the run as it was configured, ``config`` its method's Config with what was chosen,
    ``shape`` one image's inputs, ``state`` the model's tensors. ``classes`` are those of the
    dataset as the run read them, ``vectors`` (c, a) float64 the same as the dataset gives them.
    ``trunk`` is the network of a run on cached features, as before folding, and ``network_hash``
    the hash of its weights; None and "" where the method has its network in its own state.
    ``boxed``: whether the dataset's images were cropped to boxes. ``word_settings``: how its word
    vectors were made, {} where it reads none or nothing says. ``told``, for people: source of
    the ``words``, class vectors (``semantics``) with theirs, ``protocol`` of the split, ``metrics``
    where there are. ``texts``: the ``settings`` and the ``encoder`` (its stamp) of class vectors
    that are made of texts, {} of others.
    """

    spec: Mapping[str, Any]
    config: Any
    shape: tuple[int, ...]
    state: Mapping[str, Tensor]
    classes: Classes
    vectors: np.ndarray
    trunk: Trunk | None
    network_hash: str
    probabilities: Probabilities
    boxed: bool = False
    word_settings: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)
    texts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return what messages call the run."""
        run = (self.spec["dataset"], self.spec["method"], self.spec["variant"])
        return f"{'/'.join(run)} seed {self.spec['seed']}"

    @property
    def members(self) -> "tuple[Trained, ...]":
        """Return the runs that score: this one."""
        return (self,)

    def united(self, scores: Sequence[np.ndarray], seen: np.ndarray) -> np.ndarray:
        """Return (image, class) scores, as its scores.h5 holds them, of those of its model."""
        return self.probabilities.changed(scores[0], seen)

    @property
    def extractor(self) -> Mapping[str, Any]:
        """Return the section of the network that images go through first."""
        section: Mapping[str, Any] = self.spec["trunk"] or self.spec["cache"]
        return section

    @property
    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Return the channel means and deviations, (1, 3, 1, 1), that the first network expects."""
        if self.trunk is not None:
            return self.trunk.mean, self.trunk.deviation
        return self.state["trunk.mean"], self.state["trunk.deviation"]

    def built(self, classes: Classes) -> Model:
        """Return a model of the run's settings for ``classes``, untrained."""
        module = importlib.import_module(f"zslpipe.methods.{self.spec['method']}")
        return module.Model(self.config, classes, self.shape)

    def model(self) -> Model:
        """Return the trained model, in evaluation mode."""
        model = self.built(self.classes)
        model.load_state_dict(dict(self.state))
        return model.eval()


def open_trained(folder: Path, data_root: Path) -> Trained:
    """Return the run whose results lie in ``folder``, results/{dataset}/runs/{method}/{variant}/
    seed{n}, or in the folder of a rebalancing in it; ``data_root`` is where a file of the
    extractor's weights is counted from.

    Raises InputError where it is no such folder, a file is missing, damaged or of another run,
    where the run's features came with the dataset (no network makes them of a picture), where the
    extractor's weights are not those that made the features, and for a rebalancing that cannot be
    applied to other pictures (:func:`zslpipe.scores.learned.learned_change`).
    """
    seed, rebalanced = _folders(folder.resolve())
    spec = read_spec(seed / "weights.pt")
    _check_extractor(spec, seed)
    dataset = seed.parents[3]
    texts = text_name(spec["semantics"])
    texts_path = dataset / "texts" / f"{texts}.h5" if texts is not None else None
    index = open_index(dataset / "index.h5", spec, texts_path)
    words_path = dataset / "words" / f"{spec['words']}.h5" if spec.get("words") else None
    words, source = read_words(words_path)
    module, model, spec = load_model(seed / "weights.pt", index, words)
    trunk, hashed = _network(spec, dataset, data_root)
    rebalancing, change = _rebalancing(rebalanced, spec)
    return Trained(
        spec=spec,
        config=read_config(seed / "weights.pt", module),
        shape=_shape(spec, trunk),
        state=model.state_dict(),
        classes=classes_of(index, spec["semantics"], spec["normalisation"], words),
        vectors=index.class_vectors(spec["semantics"], "none"),
        trunk=trunk,
        network_hash=hashed,
        probabilities=Probabilities(rebalancing, change, temperature_of(seed, spec, change)),
        boxed=index.boxes is not None,
        word_settings={} if words_path is None else read_word_settings(words_path),
        told={
            "words": source,
            "semantics": index.told(spec["semantics"]),
            "protocol": index.protocol,
            "metrics": metrics_of((rebalanced or seed) / "metrics.json"),
        },
        texts={} if texts_path is None else _encoding(texts_path),
    )


def _encoding(path: Path) -> dict[str, Any]:
    """Return how the texts of a file were encoded."""
    found = read_class_texts(path)
    return {"settings": dict(found.settings), "encoder": dict(found.encoder)}


def metrics_of(path: Path) -> dict[str, Any]:
    """Return what metrics.json says of a result besides curves, classes and names; nothing where it
    is not there.
    """
    found = dict(read_metrics(path)) if path.is_file() else {}
    kept = (*METRICS, "selection", "images", "versions")
    return {name: found[name] for name in kept if name in found}


def _folders(folder: Path) -> tuple[Path, Path | None]:
    """Return the folder of the seed and that of a rebalancing, None where none was named."""
    if (folder / "weights.pt").is_file():
        return folder, None
    if (folder / "scores.h5").is_file() and (folder.parent / "weights.pt").is_file():
        return folder.parent, folder
    wanted = "name the folder of a seed, results/{dataset}/runs/{method}/{variant}/seed0"
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; {wanted}")
    seeds = sorted(path.parent.name for path in folder.glob("seed*/weights.pt"))
    if seeds:
        raise InputError(f"{folder}: holds {', '.join(seeds)}; name one of them")
    if (folder / "scores.h5").is_file():
        fault = "scores without a weights.pt: another program's, or copied without it"
        raise InputError(f"{folder}: {fault}; name a run that was trained here")
    raise InputError(f"{folder}: no weights.pt; {wanted}, or a folder that 'export' wrote")


def _check_extractor(spec: Mapping[str, Any], seed: Path) -> None:
    """Raise InputError where nothing says how a picture becomes the run's inputs."""
    if spec["trunk"]:
        return
    cache = spec.get("cache")
    if not cache:
        fault = "does not say which network made its features (an earlier version wrote it)"
        raise InputError(f"{seed / 'weights.pt'}: {fault}; train the run again")
    if cache["backbone"] == "stored":
        fault = f"its features ({cache['name']}) came with the dataset, and no network here makes"
        raise InputError(f"{seed}: {fault} them of a picture; train on an extractor of your own")


def _network(spec: Mapping[str, Any], dataset: Path, data_root: Path) -> tuple[Trunk | None, str]:
    """Return the network that made a run's features and the hash of its weights; InputError where
    they are not those that the feature file says.
    """
    if spec["trunk"]:
        return None, ""
    cache = spec["cache"]
    named = cache.get("weights", "")
    weights = named
    if not named:
        weights = str(dataset / OWN_WEIGHTS[cache["backbone"]])  # trained on the way
    elif is_weights_file(named):
        weights = str(weights_path(data_root, named))
    if is_weights_file(weights) and not Path(weights).is_file():
        fault = f"the weights of its extractor {cache['name']!r} are not there"
        raise InputError(f"{weights}: {fault}; say with --data-root where your data lie")
    trunk = described_trunk(cache, weights)
    hashed = state_hash(trunk)
    _check_stamp(dataset / "features" / f"{cache['name']}.h5", hashed, weights)
    return trunk, hashed


def _check_stamp(features: Path, hashed: str, weights: str) -> None:
    """Raise InputError where the features were made by other weights; say so where they are gone
    and cannot be asked.
    """
    if not features.is_file():
        logger.info("%s is not there: that %s made it cannot be checked", features, weights)
        return
    made_by = FeatureFile(features).attributes.get("weights_hash", "")
    if made_by != hashed:
        sides = f"{weights} ({hashed}) are not the weights that made them ({made_by or 'unsaid'})"
        raise InputError(f"{features}: {sides}; put the right ones there, or extract again")


def _shape(spec: Mapping[str, Any], trunk: Trunk | None) -> tuple[int, ...]:
    """Return the shape of one image's inputs."""
    size = (spec["trunk"] or spec["cache"])["size"]
    if trunk is None:
        return (3, size, size)
    with torch.inference_mode():
        maps, pooled = trunk.features(torch.zeros(1, 3, size, size))
    width, *sides = maps.shape[1:]
    if spec["input"] == "regions":
        return (sides[0] * sides[1], width)
    return (width if pooled is None else pooled.shape[1],)


def _rebalancing(rebalanced: Path | None, spec: Mapping[str, Any]) -> tuple[str, LearnedChange]:
    """Return a rebalancing's name and what it does to scores."""
    if rebalanced is None:
        return "none", Kept()
    path = rebalanced / "scores.h5"
    matrix = read_scores(path)
    check_run(path, spec, {name: of for name, of in matrix.run.items() if name != "rebalancing"})
    return matrix.rebalancing, learned_change(path)
