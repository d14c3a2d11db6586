"""Files of weights, as people's tools write them: what wraps a network in a file or stands before
its names is seen through, and of what a network needs nothing may be missing.

Wrappers are dictionaries (``{"state_dict": ...}``, Lightning's, timm's), prefixes stand before
every name (``backbone.``, ``model.``, ``ema.``), ``module.`` (DataParallel) and ``_orig_mod.``
(torch.compile) anywhere in one. No foreign object is ever unpickled.
"""

import argparse
import logging
import pickle
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import check_seal

logger = logging.getLogger(__name__)

State = Mapping[str, Tensor]

# Parts of a name that tools put anywhere in it: of DataParallel, of torch.compile.
PUT_IN = {"module", "_orig_mod"}
# torchvision's files of DenseNet name layers as Python before 3.6 allowed (its
# models.densenet._load_state_dict).
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
# Averaged weights go before plain ones (timm.models.load_state_dict).
AVERAGED = re.compile(r"(^|[._])ema")
# Counts that no evaluation reads; files older than torch 0.4.1 have none.
COUNTS = "num_batches_tracked"
# Dictionaries in dictionaries that are looked into (ours: {"checkpoint": {"model": {...}}}).
DEPTH = 3
# Names of either side that a refusal shows (ours).
SHOWN = 3
# Beside tensors, what a training leaves in its file: options, and numbers of numpy (loss,
# accuracy), under numpy's names before and since version 2.
HARMLESS: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "bool")),
    (np.float64(0).__reduce__()[0], "numpy.core.multiarray.scalar"),
    (np.float64(0).__reduce__()[0], "numpy._core.multiarray.scalar"),
]
UNSAFE = re.compile(r"Unsupported (?:global|class|operand)[^.]*?: GLOBAL ([\w.]+)|GLOBAL ([\w.]+)")


@dataclass(frozen=True)
class Found:
    """A network that a file may hold: where in the file, under which prefix, its tensors."""

    place: str
    prefix: str
    state: State

    @property
    def name(self) -> str:
        """Return what a message calls it."""
        return " > ".join(part for part in (self.place, f"{self.prefix}*") if part)


def read_weights(path: Path, expected: State, network: str) -> dict[str, Tensor]:
    """Return the tensors of a file by the names of ``expected``, whatever lies around them.

    Raises InputError where the file is absent, damaged, or more than tensors; where something that
    ``network`` needs is missing or of another shape; where two networks fit.
    """
    parts = list(_dictionaries(_content(path), ""))
    if not parts:
        raise InputError(f"weights file {path} holds no state dict; save network.state_dict()")
    candidates = [found for place, part in parts for found in _candidates(place, part, expected)]
    needed = {name for name in expected if not name.endswith(COUNTS)}
    fitting = [one for one in candidates if not _misfits(one.state, expected, needed)]
    if not fitting:
        raise _misfit(path, network, parts, candidates, expected, needed)
    averaged = [one for one in fitting if AVERAGED.search(f"{one.place}.{one.prefix}")]
    chosen = (averaged or fitting)[0]
    if len(averaged or fitting) > 1:
        names = ", ".join(one.name for one in averaged or fitting)
        raise InputError(f"weights file {path} holds several networks that fit: {names}; save one")
    if chosen.place or chosen.prefix:
        logger.info("weights %s: taken from %s", path, chosen.name)
    return {name: chosen.state[name] for name in expected if name in chosen.state}


def _content(path: Path) -> Any:
    """Return what a file holds, on the CPU; InputError where it cannot be read."""
    if not path.is_file():
        raise InputError(f"weights file {path} does not exist")
    _check_seal(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        if error.errno is not None:
            raise
        reason = "cut off, or no file of weights"
    except (RuntimeError, EOFError, ValueError, SafetensorError, pickle.UnpicklingError) as error:
        reason = _reason(str(error))
    raise InputError(f"weights file {path} cannot be read ({reason}); save network.state_dict()")


def _check_seal(path: Path) -> None:
    """Raise InputError where a file has the seal of the demo's backbone and is damaged."""
    try:
        check_seal(path)
    except ValueError as error:
        again = "delete it and run again: the rule 'pretrain' makes it again"
        raise InputError(f"weights file {path}: {error}; {again}") from None


def _reason(said: str) -> str:
    """Return why torch does not load a file, in a few words."""
    unsafe = UNSAFE.search(said)
    if unsafe:
        kind = unsafe[1] or unsafe[2]
        return f"it holds a {kind} beside tensors, which could run foreign code and is not loaded"
    if "TorchScript" in said:
        return "it is a TorchScript archive"
    return "cut off, or no file of weights"


def _dictionaries(content: Any, place: str) -> Iterator[tuple[str, State]]:
    """Yield every dictionary that holds tensors, with the keys that lead to it."""
    if not isinstance(content, Mapping):
        return
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield place, tensors
    if place.count(".") + 1 < DEPTH:
        for key, value in content.items():
            yield from _dictionaries(value, f"{place}.{key}" if place else str(key))


def _candidates(place: str, part: State, expected: State) -> Iterator[Found]:
    """Yield what a dictionary holds under each prefix that stands before an expected name."""
    plain = {_plain(name): value for name, value in part.items()}
    landmark = next(iter(expected))
    ends = [name for name in plain if name == landmark or name.endswith(f".{landmark}")]
    for prefix in [name.removesuffix(landmark) for name in ends]:
        under = [name for name in plain if name.startswith(prefix)]
        yield Found(place, prefix, {name.removeprefix(prefix): plain[name] for name in under})


def _plain(name: str) -> str:
    """Return a tensor's name without what DataParallel and torch.compile put into it."""
    parts = [part for part in name.split(".") if part not in PUT_IN]
    return OLD_DENSENET.sub(r"\1\2.", ".".join(parts))


def _misfits(state: State, expected: State, needed: set[str]) -> list[str]:
    """Return the needed names that a state lacks or has in another shape, in order."""
    wrong = []
    for name in expected:
        found = state.get(name)
        fits = found is not None and found.shape == expected[name].shape
        if not fits and (name in needed or found is not None):
            wrong.append(name)
    return wrong


def _misfit(
    path: Path,
    network: str,
    parts: list[tuple[str, State]],
    candidates: list[Found],
    expected: State,
    needed: set[str],
) -> InputError:
    """Return the refusal of a file in which no network fits, with names of both sides."""
    if not candidates:
        place, largest = max(parts, key=lambda part: len(part[1]))
        inside = f" under {place!r}" if place else ""
        sides = f"it needs {_first(expected)}, the file has{inside} {_first(largest)}"
        return InputError(f"weights {path} do not fit {network}: {sides}")
    nearest = min(candidates, key=lambda one: len(_misfits(one.state, expected, needed)))
    wrong = _misfits(nearest.state, expected, needed)
    first = f"first {wrong[0]} {_shape(expected[wrong[0]])}"
    found = nearest.state.get(wrong[0])
    has = "absent" if found is None else f"the file has {_shape(found)}"
    return InputError(
        f"weights {path} do not fit {network}: {len(wrong)} of {len(expected)} tensors missing or "
        f"of another shape, {first}: {has}; the file has {_first(nearest.state)}"
    )


def _shape(tensor: Tensor) -> str:
    """Return a shape as "64x3x7x7"."""
    return "x".join(map(str, tensor.shape)) or "a number"


def _first(state: State) -> str:
    """Return the first names of a state."""
    names = ", ".join(list(state)[:SHOWN])
    return f"{names}, ... ({len(state)})" if len(state) > SHOWN else names
