"""Whose a file is: what the configuration asks for, against what the file says of itself.

Snakemake knows by whom a file was written only where its own records lie beside it; of results that
were copied into another checkout it sees the times alone. So every job compares, before it uses a
file, and says both sides.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.hdf5 import read_any_hdf5
from zslpipe.formats.index import Index, images_hash
from zslpipe.formats.metrics import read_metrics
from zslpipe.machine.errors import InputError
from zslpipe.machine.weight_names import OF_FOLDER
from zslpipe.provenance import settings_hash

# Differences that a message names (ours).
SHOWN = 3
# Who makes a file of a run again, by its name.
WRITERS = {
    "attention.h5": "the rule 'attend'",
    "gradcam.h5": "the rule 'gradcam'",
    "irrelevant.h5": "the rule 'score_irrelevant'",
    "validation.h5": "the rule 'validate'",
}
TRAINED = "training the run"
# Weights of the networks that the demo trains itself on the way, beside its index, by backbone.
OWN_WEIGHTS = {"demo": "backbone.pt", "demo_pair": "pair.pt"}
EXTRACT_AGAIN = (
    "put the right file there, or delete it and run again: the rule 'extract' (or 'store') makes it"
    " again"
)


def differences(asked: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Return "name: asked X, it says Y" of every entry of ``asked``, however deep, in which
    ``found`` differs, and of every entry that ``found`` has beside them.
    """
    told: list[str] = []
    for name in [*asked, *(name for name in found if name not in asked)]:
        one, other = asked.get(name), found.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            told += [f"{name}.{difference}" for difference in differences(one, other)]
        elif one != other or (name in asked) != (name in found):
            sides = [_said(name, side) for side in (asked, found)]
            told.append(f"{name}: asked {sides[0]}, it says {sides[1]}")
    return told


def _said(name: str, side: Mapping[str, Any]) -> str:
    """Return what one side says, in few characters."""
    return repr(side[name])[:80] if name in side else "nothing"


def refuse_other(
    path: Path, asked: Mapping[str, Any], found: Mapping[str, Any], remedy: str
) -> None:
    """Raise InputError, which names both sides and the ``remedy``, where ``found``, what the file
    says of itself, is not what was ``asked``.
    """
    told = differences(asked, found)
    if told:
        more = f" and {len(told) - SHOWN} more" if len(told) > SHOWN else ""
        raise InputError(f"{path}: not what was asked: {'; '.join(told[:SHOWN])}{more}; {remedy}")


def check_run(path: Path, asked: Mapping[str, Any] | None, found: Mapping[str, Any]) -> None:
    """Raise InputError where a file of the run ``found`` is not of that ``asked`` (None: any)."""
    if asked is None:
        return
    writer = WRITERS.get(path.name, TRAINED)
    if not found:
        raise InputError(
            f"{path}: does not say of which run it is (an earlier version or another program wrote "
            f"it); delete it and run again: {writer} makes it again; by hand leave out --run"
        )
    # As JSON holds it: a tuple is a list there.
    one, other = json.loads(json.dumps([asked, found]))
    remedy = f"delete it and run again: {writer} makes it again, the features stay"
    refuse_other(path, one, other, remedy)


def check_run_file(path: Path, asked: Mapping[str, Any] | None) -> None:
    """Raise InputError as :func:`check_run` for an HDF5 file with the attribute ``run``."""
    if asked is not None:
        check_run(path, asked, run_of(path))


def run_of(path: Path) -> dict[str, Any]:
    """Return the run that an HDF5 file says it is of, empty where it says none."""
    writer = WRITERS.get(path.name, TRAINED)
    found: dict[str, Any] = read_any_hdf5(
        path, lambda file: json.loads(file.attrs.get("run", "{}")), path.name, writer
    )
    return found


def run_hash(run: Mapping[str, Any]) -> str:
    """Return the hash of a run, "" where there is none to speak of."""
    return settings_hash(run) if run else ""


def check_hashes(paths: Sequence[Path], asked: Sequence[str] | None) -> None:
    """Raise InputError where the files (HDF5, or metrics.json) are not of the runs with the hashes
    ``asked``, in the same order (None: any).
    """
    if asked is None:
        return
    if len(asked) != len(paths):
        raise InputError(f"--runs names {len(asked)} runs of {len(paths)} files; give one of each")
    for path, hashed in zip(paths, asked, strict=True):
        of_metrics = path.suffix == ".json"
        found = read_metrics(path).get("run", "") if of_metrics else run_hash(run_of(path))
        if found != hashed:
            writer = WRITERS.get(path.name, TRAINED)
            raise InputError(
                f"{path}: of another configuration: asked run {hashed}, it says {found or 'none'}; "
                f"delete it and run again: {writer} makes it again, the features stay"
            )


def check_index_source(path: Path, index: Index, asked: Mapping[str, Any] | None) -> None:
    """Raise InputError where an index is of another dataset, or made of other settings, than
    ``asked`` (``dataset``, ``adapter`` and ``made_of``, its hash); an index of an earlier version
    does not say the last.
    """
    if asked is None:
        return
    found = {"dataset": index.dataset, "adapter": index.adapter, "made_of": index.made_of}
    known = {name: value for name, value in found.items() if value}
    remedy = "delete it and run again: the rule 'index' (the demo's 'render') makes it again"
    refuse_other(path, {name: asked[name] for name in known}, known, f"{remedy}; features stay")


def check_features(
    path: Path,
    stamps: Mapping[str, Any],
    index: Index,
    asked: Mapping[str, Any] | None,
    weights: str,
) -> None:
    """Raise InputError unless a feature file with these ``stamps`` is of the extractor ``asked``
    (its section, with its name and the version of features; None: any) and of the index's dataset.

    ``weights``: hash of the network's weights file as it lies there now, "" where that is not
    known. Compared is what the file says: features of another program may say little.
    """
    if "features_version" in stamps:  # an extraction's own: it says what is not the mean
        stamps = {"pooled": "mean", **stamps}
    wanted = {**_stamps_of(asked or {}), "dataset": index.dataset, "weights_file": weights}
    shared = [name for name in wanted if "" not in (wanted[name], stamps.get(name, ""))]
    found = {name: np.asarray(stamps[name]).item() for name in shared}
    refuse_other(path, {name: wanted[name] for name in shared}, found, EXTRACT_AGAIN)


def _stamps_of(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an extraction by the section ``asked`` stamps, nothing for an empty one."""
    stamps = {name: asked[name] for name in ("backbone", "size", "grid") if name in asked}
    if "name" in asked:
        stamps["extractor"] = asked["name"]
    if asked.get("backbone", "stored") != "stored":
        weights = asked.get("weights", OWN_WEIGHTS.get(asked["backbone"], ""))
        if not weights.startswith(OF_FOLDER):  # a folder's file has one of several names
            stamps["weights"] = Path(weights).name
        stamps["layer"] = asked.get("layer") or "last map"
        stamps["pooled"] = asked.get("pooled", "mean")
        stamps["features_version"] = asked["features_version"]
    return stamps


def check_images(path: Path, stamps: Mapping[str, Any], index: Index, is_own: bool) -> None:
    """Raise InputError unless the rows of a feature file with these ``stamps`` are the images of
    ``index``, in that order. ``is_own``: whether the index is known to be the configuration's;
    where it is not the message blames neither side and names the cheap one first.
    """
    asked, found = images_hash(index), stamps.get("images_hash")
    if found is None:
        raise InputError(
            f"{path}: does not say of which images it is; if its rows are the images of the index, "
            f"in that order, write its attribute images_hash = {asked!r}"
        )
    if found == asked:
        return
    count, dataset = len(index.paths), index.dataset
    sides = f"asked {asked}, {count} images of {dataset!r}, it says {found}"
    sides += f" of {str(stamps['dataset'])!r}" if "dataset" in stamps else ""
    remedy = EXTRACT_AGAIN
    if is_own:
        sides += "; the index is the configuration's"
    else:
        remedy = "make the index again first, it takes seconds; the features only if this is"
        remedy += " said once more"
    raise InputError(f"{path}: made from other images than the index lists: {sides}; {remedy}")
