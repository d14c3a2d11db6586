"""A trained run as a folder of its own, which opens on another machine without the results it came
from. Layout::

    model.safetensors   state.{name}            the method's tensors
                        trunk.{name}            those of the network that makes its features, where
                                                they came from a file; of a library's weights the
                                                name is enough
                        classes.attributes      (class, a) float32, as the run read them
                        classes.vectors         (class, a) float64, as the dataset gives them
                        classes.words           (a, v) float32, where the method reads word vectors
    config.json         format, run (as configured, with its seed), settings, input_shape, classes,
                        seen, attributes, network_hash, probabilities, boxed, word_settings,
                        told, texts, exported_by (versions), model_hash (of model.safetensors)
    README.md           the model card

config.json is written last: a folder without it is none.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.machine.files import read_complete, written_whole
from zslpipe.machine.weight_names import is_weights_file
from zslpipe.networks.backbones import Trunk, described_trunk, state_hash
from zslpipe.provenance import file_hash, library_versions
from zslpipe.runs.probabilities import Probabilities
from zslpipe.runs.trained import Trained
from zslpipe.scores.changes import as_plain, from_plain
from zslpipe.settings import parse_settings
from zslpipe.training.contract import Classes

FORMAT = 2  # raised when a reader of the last one would misread
PARTS = (
    *("run", "settings", "input_shape", "classes", "seen", "attributes", "network_hash"),
    *("probabilities", "boxed", "word_settings", "told", "model_hash"),
)
FILES = ("model.safetensors", "config.json", "README.md")


def described(trained: Trained) -> dict[str, Any]:
    """Return what config.json says of a run, but the hash of its tensors."""
    return {
        "format": FORMAT,
        "run": dict(trained.spec),
        "settings": asdict(trained.config),
        "input_shape": list(trained.shape),
        "classes": list(trained.classes.names),
        "seen": trained.classes.seen.tolist(),
        "attributes": list(trained.classes.attribute_names),
        "network_hash": trained.network_hash,
        "probabilities": _described(trained.probabilities),
        "boxed": trained.boxed,
        "word_settings": dict(trained.word_settings),
        "told": dict(trained.told),
        "texts": dict(trained.texts),
        "exported_by": library_versions(),
    }


def _described(how: Probabilities) -> dict[str, Any]:
    """Return how scores become probabilities as JSON holds it, and in words."""
    change = as_plain(how.change)
    return {
        "rebalancing": how.rebalancing,
        "change": change,
        "temperature": how.temperature,
        "told": how.told,
    }


def _probabilities(told: Mapping[str, Any], where: str) -> Probabilities:
    """Return what :func:`_described` tells."""
    change = from_plain(told["change"], where)
    return Probabilities(told["rebalancing"], change, told["temperature"])


def export(trained: Trained, folder: Path, card: str) -> None:
    """Write a run and its model ``card`` to a folder; InputError for one that holds other files."""
    others = {path.name for path in folder.iterdir()} - set(FILES) if folder.is_dir() else set()
    if others:
        raise InputError(f"{folder}: holds {sorted(others)[0]}; export to a folder of its own")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").unlink(missing_ok=True)
    with written_whole(folder / "model.safetensors") as temporary:
        # Not save_file, whose files nobody else may read.
        temporary.write_bytes(save(_tensors(trained)))
    with written_whole(folder / "README.md") as temporary:
        temporary.write_text(card, encoding="utf-8")
    told = described(trained) | {"model_hash": file_hash(folder / "model.safetensors")}
    with written_whole(folder / "config.json") as temporary:
        text = json.dumps(told, indent=1, ensure_ascii=False)
        temporary.write_text(f"{text}\n", encoding="utf-8")


def _tensors(trained: Trained) -> dict[str, Tensor]:
    """Return all tensors of a run by their names in the file, each in memory of its own."""
    tensors = {f"state.{name}": tensor for name, tensor in trained.state.items()}
    if trained.trunk is not None and not _is_of_library(trained.extractor):
        state = trained.trunk.state_dict()
        tensors |= {f"trunk.{name}": tensor for name, tensor in state.items()}
    tensors["classes.attributes"] = trained.classes.attributes
    tensors["classes.vectors"] = torch.from_numpy(trained.vectors)
    if trained.classes.words is not None:
        tensors["classes.words"] = trained.classes.words
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}


def _is_of_library(extractor: Mapping[str, Any]) -> bool:
    """Return whether an extractor's weights can be had by their name."""
    named = extractor.get("weights", "")
    return bool(named) and not is_weights_file(named)


def is_exported(folder: Path) -> bool:
    """Return whether a folder is one that :func:`export` wrote."""
    return all((folder / name).is_file() for name in FILES[:2])


def read_exported(folder: Path) -> Trained:
    """Return the run that :func:`export` wrote to a folder.

    Raises InputError where it is cut off, damaged or of a later version, and where a library's
    weights of its network cannot be fetched or are others by now.
    """
    told = read_complete(folder / "config.json", _read, "config.json", "zslpipe export")
    path = folder / "model.safetensors"
    if file_hash(path) != told["model_hash"]:
        fault = "not the tensors that config.json belongs to: damaged, or of another export"
        raise InputError(f"{path}: {fault}; export again")
    tensors = read_complete(path, load_file, path.name, "zslpipe export", (SafetensorError,))
    where = str(folder / "config.json")
    module = importlib.import_module(f"zslpipe.methods.{told['run']['method']}")
    return Trained(
        spec=told["run"],
        config=parse_settings(module.Config, told["settings"], where, ("settings",)),
        shape=tuple(told["input_shape"]),
        state=_below("state.", tensors),
        classes=Classes(
            names=tuple(told["classes"]),
            attributes=tensors["classes.attributes"],
            seen=torch.tensor(told["seen"]),
            attribute_names=tuple(told["attributes"]),
            words=tensors.get("classes.words"),
        ),
        vectors=tensors["classes.vectors"].numpy(),
        trunk=_network(told, _below("trunk.", tensors), folder),
        network_hash=told["network_hash"],
        probabilities=_probabilities(told["probabilities"], where),
        boxed=told["boxed"],
        word_settings=told["word_settings"],
        told=told["told"],
        texts=told.get("texts", {}),  # earlier exports do not tell
    )


def _read(path: Path) -> dict[str, Any]:
    """Read config.json; raises KeyError where it is none of ours or of a later version."""
    found = json.loads(path.read_text(encoding="utf-8"))
    told = found if isinstance(found, dict) else {}
    if told.get("format") != FORMAT:
        raise KeyError(f"it has format {told.get('format')!r}, this version reads {FORMAT}")
    absent = [name for name in PARTS if name not in told]
    if absent:
        raise KeyError(f"it lacks {', '.join(absent)}")
    return told


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors under a prefix, without it."""
    names = [name for name in tensors if name.startswith(prefix)]
    return {name.removeprefix(prefix): tensors[name] for name in names}


def _network(told: Mapping[str, Any], state: Mapping[str, Tensor], folder: Path) -> Trunk | None:
    """Return the network that makes a run's features, None where the method has its own."""
    if told["run"]["trunk"]:
        return None
    cache = told["run"]["cache"]
    named = "random" if state else cache["weights"]
    trunk = described_trunk(cache, named)
    if state:
        trunk.load_state_dict(state)
    if state_hash(trunk) != told["network_hash"]:
        fault = f"weights {named!r} of {cache['backbone']} are not those it was trained with"
        raise InputError(f"{folder}: {fault}; export it again with a file of them")
    return trunk
