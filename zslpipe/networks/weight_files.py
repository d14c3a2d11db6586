"""Files of weights, as people's tools write them: what wraps a network in a file or stands before
its names is seen through, and of what a network needs nothing may be missing.

Wrappers are dictionaries (``{"state_dict": ...}``, Lightning's, timm's), prefixes stand before
every name (``backbone.``, ``model.``, ``ema.``), ``module.`` (DataParallel), ``_orig_mod.``
(torch.compile) and what FSDP and checkpointing wrap anywhere in one. What a file is, is read from
its bytes, not from its name. No foreign object is ever unpickled.
"""

import argparse
import datetime
import logging
import pathlib
import pickle
import re
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from warnings import catch_warnings, simplefilter

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import check_seal, check_zip, writer_of
from zslpipe.networks.file_kinds import SAVE, is_safetensors, kind_of, reason_of
from zslpipe.networks.foreign_weights import Convert, State, conversions

logger = logging.getLogger(__name__)

# Parts of a name that tools put anywhere in it: of DataParallel, of torch.compile, of
# FullyShardedDataParallel and of activation checkpointing (torch.distributed).
PUT_IN = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# torchvision's files of DenseNet name layers as Python before 3.6 allowed (its
# models.densenet._load_state_dict).
OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")
# Averaged weights go before plain ones (timm.models.load_state_dict; torch's are called swa).
AVERAGED = re.compile(r"(^|[._])(ema|swa)(?![a-z])")
# Counts that no evaluation reads; files older than torch 0.4.1 have none.
COUNTS = "num_batches_tracked"
# Dictionaries and lists in one another that are looked into (ours, two more than any seen:
# {"checkpoint": {"model": {...}}}).
DEPTH = 5
# Names of either side that a refusal shows (ours).
SHOWN = 3
# Beside tensors, what a training leaves in its file: options, times, and numbers and arrays of
# numpy (loss, accuracy, weights), under numpy's names before and since version 2.
NUMBERS = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")
SCALAR, ARRAY = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
HARMLESS: list[Any] = [
    *(argparse.Namespace, pathlib.PosixPath, datetime.datetime, datetime.timedelta),
    *(defaultdict, dict, list, int, float, np.dtype, np.ndarray),
    *(type(np.dtype(kind)) for kind in NUMBERS),
    *((SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *((ARRAY, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")),
]
# What torch's reader of pickles, and that of safetensors, raise of bytes that are neither: each is
# read as an instruction.
UNREADABLE = (
    *(RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(struct.error, SafetensorError, pickle.UnpicklingError),
)


@dataclass(frozen=True)
class Found:
    """A network that a file may hold: where in the file, under which prefix, its tensors."""

    place: str
    prefix: str
    state: State
    told: str = ""  # what was done to it beside its names

    @property
    def name(self) -> str:
        """Return what a message calls it."""
        return " > ".join(part for part in (self.place, f"{self.prefix}*") if part)


def read_weights(
    path: Path, expected: State, network: str, convert: Convert | None = None
) -> dict[str, Tensor]:
    """Return the tensors of a file by the names of ``expected``, whatever lies around them; where
    none fits as it is, what ``convert`` makes of them.

    Raises InputError where the file is absent, damaged, or more than tensors; where something that
    ``network`` needs is missing, of another shape or not finite; where two networks fit.
    """
    parts = list(_dictionaries(read_content(path), ""))
    if not parts:
        raise InputError(f"weights file {path} holds no state dict; save network.state_dict()")
    candidates = [found for place, part in parts for found in _candidates(place, part, expected)]
    needed = {name for name in expected if not name.endswith(COUNTS)}
    fitting = [one for one in candidates if not _misfits(one.state, expected, needed)]
    if not fitting and convert is not None:
        others = _converted(parts, candidates, convert, expected)
        fitting = [one for one in others if not _misfits(one.state, expected, needed)]
        candidates += others
    if not fitting:
        raise _misfit(path, network, parts, candidates, expected, needed)
    averaged = [one for one in fitting if AVERAGED.search(f"{one.place}.{one.prefix}")]
    chosen = (averaged or fitting)[0]
    if len(averaged or fitting) > 1:
        names = ", ".join(one.name for one in averaged or fitting)
        raise InputError(f"weights file {path} holds several networks that fit: {names}; save one")
    if chosen.place or chosen.prefix:
        logger.info("weights %s: taken from %s", path, chosen.name)
    if chosen.told:
        logger.info("weights %s: %s", path, chosen.told)
    found = {name: chosen.state[name] for name in expected if name in chosen.state}
    for name, value in found.items():
        if not value.float().isfinite().all():  # torch does not ask it of numbers of 8 bits
            raise InputError(
                f"weights file {path}: {name} holds nan or infinity; take another file"
            )
    return found


def read_content(path: Path) -> Any:
    """Return what a file holds, on the CPU; InputError where it cannot be read."""
    if not path.is_file():
        what = "is a folder; name a file in it" if path.is_dir() else "does not exist"
        raise InputError(f"weights file {path} {what}")
    _check_bytes(path)
    try:
        if is_safetensors(path):
            return load_file(path)
        # Of an open file: by the name *.safetensors torch would take it for one. It warns of a
        # pickle that it then refuses.
        with torch.serialization.safe_globals(HARMLESS), path.open("rb") as file, catch_warnings():
            simplefilter("ignore", UserWarning)
            return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        if error.errno is not None:
            raise
        reason, advice = kind_of(path)
    except UNREADABLE as error:
        told = reason_of(str(error))
        reason, advice = (told, SAVE) if told else kind_of(path)
    raise InputError(f"weights file {path} cannot be read ({reason}); {advice}")


def _check_bytes(path: Path) -> None:
    """Raise InputError where a file has the seal of the demo's networks and is damaged, and where
    one of somebody's has other bytes than its zip file has checksums of.
    """
    try:
        check_seal(path)
    except ValueError as error:
        again = f"delete it and run again: {writer_of(path)} makes it again"
        raise InputError(f"weights file {path}: {error}; {again}") from None
    try:
        check_zip(path)
    except ValueError as error:
        raise InputError(f"weights file {path}: {error}; take another copy") from None


def _dictionaries(content: Any, place: str, depth: int = 0) -> Iterator[tuple[str, State]]:
    """Yield every dictionary that holds tensors, or arrays of numbers, with the keys that lead to
    it.
    """
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        content = dict(enumerate(content))
    elif not isinstance(content, Mapping):
        return
    tensors = {}
    for key, value in content.items():
        is_array = isinstance(value, np.ndarray) and value.dtype.kind in "fiub"
        if isinstance(key, str) and (is_array or isinstance(value, Tensor)):
            tensors[key] = torch.as_tensor(value)
    if tensors:
        yield place, tensors
    if depth + 1 < DEPTH:
        for key, value in content.items():
            yield from _dictionaries(value, f"{place}.{key}" if place else str(key), depth + 1)


def _candidates(place: str, part: State, expected: State) -> Iterator[Found]:
    """Yield what a dictionary holds under each prefix that stands before an expected name."""
    plain = {_plain(name): value for name, value in part.items()}
    landmark = next(iter(expected))
    ends = [name for name in plain if name == landmark or name.endswith(f".{landmark}")]
    for prefix in [name.removesuffix(landmark) for name in ends]:
        under = [name for name in plain if name.startswith(prefix)]
        yield Found(place, prefix, {name.removeprefix(prefix): plain[name] for name in under})


def _converted(
    parts: list[tuple[str, State]], candidates: list[Found], convert: Convert, expected: State
) -> list[Found]:
    """Return what a library makes of a file's dictionaries and of what lies under a prefix."""
    sources: list[tuple[str, State]] = []
    for place, part in parts:
        sources.append((place, {_plain(name): part[name] for name in part}))
    sources += [(one.name, one.state) for one in candidates if one.prefix]
    found = []
    for place, state, told in conversions(sources, convert):
        for one in _candidates(place, state, expected):
            found.append(replace(one, told=told or "names are another tool's"))
    return found


def _plain(name: str) -> str:
    """Return a tensor's name without what DataParallel and torch.compile put into it."""
    parts = [part for part in name.split(".") if part not in PUT_IN]
    return OLD_DENSENET.sub(r"\1\2.", ".".join(parts))


def _misfits(state: State, expected: State, needed: set[str]) -> list[str]:
    """Return the needed names that a state lacks or has in another shape or kind of number, in
    order.
    """
    wrong = []
    for name in expected:
        found = state.get(name)
        fits = found is not None and _numbers(found) == _numbers(expected[name])
        if found is not None and name.endswith(COUNTS):  # in whatever numbers a tool has left it
            fits = found.shape == expected[name].shape
        if not fits and (name in needed or found is not None):
            wrong.append(name)
    return wrong


def _numbers(tensor: Tensor) -> tuple[torch.Size, bool, bool]:
    """Return what has to be the same of two tensors: shape, and whether they hold floating or
    complex numbers; quantised weights are neither.
    """
    return tensor.shape, tensor.is_floating_point(), tensor.is_complex()


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
    of_type = "" if found is None or found.is_floating_point() else f" of {found.dtype}"
    has = "absent" if found is None else f"the file has {_shape(found)}{of_type}"
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
