"""``weights.pt``: a trained model, with all that builds it again; torch's zip file under a seal
(:mod:`zslpipe.machine.seals`), for torch does not check the checksums inside.
"""

import importlib
import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zslpipe.formats.identity import check_run
from zslpipe.formats.index import Index
from zslpipe.machine.files import read_complete, written_whole
from zslpipe.machine.seals import check_seal, seal
from zslpipe.runs.problems import classes_of
from zslpipe.training.contract import Model


def save_weights(
    model: Model, config: Any, spec: Mapping[str, Any], shape: tuple[int, ...], path: Path
) -> None:
    """Write weights with all that builds the model again, whole or not at all; readable with
    ``weights_only=True``.
    """
    state = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    saved = {
        "state": state,
        "config": asdict(config),
        "run": json.dumps(dict(spec)),
        "input_shape": list(shape),
    }
    # An open file: torch would write the temporary name into it.
    with written_whole(path) as temporary:
        with temporary.open("wb") as file:
            torch.save(saved, file)
        seal(temporary)


def read_spec(path: Path) -> dict[str, Any]:
    """Return the run whose weights ``path`` holds, a :class:`zslpipe.study.config.Run` as a dict
    and its ``seed``; InputError as :func:`load_model`.
    """
    return dict(json.loads(_saved(path)["run"]))


def read_asked_spec(path: Path, asked: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what :func:`read_spec` does; InputError, which names both sides, where the weights are
    of another run than the one ``asked`` (None: any).
    """
    spec = read_spec(path)
    check_run(path, asked, spec)
    return spec


def read_config(path: Path, module: Any) -> Any:
    """Return the method's Config whose weights ``path`` holds, with what was chosen; InputError as
    :func:`load_model`.
    """
    return module.Config(**_saved(path)["config"])


def _saved(path: Path) -> dict[str, Any]:
    """Return what ``weights.pt`` holds; raises InputError where it cannot be read."""
    damage = (RuntimeError, KeyError, ValueError, TypeError)
    return read_complete(path, _load, "weights.pt", "training a method", damage)


def _load(path: Path) -> dict[str, Any]:
    """Read the file; raises RuntimeError where it is cut off, KeyError where it is none of ours."""
    check_seal(path)
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, KeyError):  # their texts speak of other things
        raise KeyError("not what torch writes") from None
    found = saved if isinstance(saved, dict) else {}
    absent = [name for name in ("state", "config", "run", "input_shape") if name not in found]
    if absent:
        raise KeyError(f"it lacks {', '.join(absent)}")
    return found


def load_model(
    path: Path, index: Index, words: np.ndarray | None
) -> tuple[Any, Model, dict[str, Any]]:
    """Return (method module, model in evaluation mode, run spec) from ``weights.pt``; raises
    InputError where it cannot be read.
    """
    saved = _saved(path)
    spec = json.loads(saved["run"])
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    classes = classes_of(index, spec["semantics"], spec["normalisation"], words)
    model = module.Model(module.Config(**saved["config"]), classes, tuple(saved["input_shape"]))
    model.load_state_dict(saved["state"])
    return module, model.eval(), spec
