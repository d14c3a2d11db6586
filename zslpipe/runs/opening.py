"""Opens what a run reads: a feature file, or images and the network that an end-to-end method
trains.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py

from zslpipe.formats.index import Index, read_index
from zslpipe.machine.devices import Compute, device_of
from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import Trunk, build_trunk, state_hash
from zslpipe.provenance import file_hash, settings_hash
from zslpipe.runs.cached_inputs import CachedInputs, open_features
from zslpipe.runs.image_inputs import ImageInputs
from zslpipe.runs.models import RunInputs


def open_run_inputs(
    spec: Mapping[str, Any],
    index_path: Path,
    features: Path | None,
    images: Path,
    weights: Path | None,
    compute: Compute,
    read: Callable[[Path], Index] = read_index,
) -> RunInputs:
    """Return what a run reads: ``features`` (a feature file), or ``images`` (a folder) for the
    network with ``weights`` (a file; None where ``spec`` names weights of the library). ``read``
    reads the index.

    Raises InputError where a file is missing, damaged or of other images than the index lists.
    """
    device = device_of(compute)
    index = read(index_path)
    if spec["input"] != "images":
        if features is None:
            raise InputError(
                f"{spec['method']} reads {spec['input']}: give its feature file with --features"
            )
        file = open_features(features, index)
        cached = CachedInputs(file, spec["input"] == "pooled", device)
        identity = settings_hash([file_hash(index_path), _contents(file.path)])
        return RunInputs(index, cached, device, identity)
    trunk = _pretrained(spec["trunk"], weights)
    # On a CPU half of the cores decode and all compute, as in an extraction.
    workers = compute.threads if device.type == "cuda" else compute.threads // 2
    read_again = ImageInputs(
        images, index, spec["trunk"]["size"], trunk.mean, trunk.deviation, device, workers
    )
    identity = settings_hash([file_hash(index_path), state_hash(trunk)])
    return RunInputs(index, read_again, device, identity, trunk)


def _pretrained(trunk: Mapping[str, Any], weights: Path | None) -> Trunk:
    """Return the network that a run's ``trunk`` describes, with the weights of the file where there
    is one.
    """
    return build_trunk(trunk["backbone"], str(weights or trunk["weights"]), trunk.get("layer"))


def _contents(features: Path) -> list[int] | int:
    """Return what changes with a feature file's contents: the checksums of its blocks, or its time
    of modification where it holds none.
    """
    with h5py.File(features) as file:
        if "checksums" in file:
            return [int(checksum) for checksum in file["checksums"][()]]
    return features.stat().st_mtime_ns
