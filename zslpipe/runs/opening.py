"""Opens what a run reads: a feature file, or images and the network that an end-to-end method
trains.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zslpipe.formats.identity import check_index_source
from zslpipe.formats.index import Index, read_index
from zslpipe.formats.texts import with_texts
from zslpipe.machine.devices import Compute, device_of
from zslpipe.machine.errors import InputError
from zslpipe.provenance import file_hash, settings_hash
from zslpipe.runs.cached_inputs import CachedInputs, open_features
from zslpipe.runs.models import RunInputs


def open_index(path: Path, spec: Mapping[str, Any], texts: Path | None = None) -> Index:
    """Return the index of a run, with the class vectors of the file ``texts`` where the run's are
    made of texts; raises InputError where it was made of other settings than the run ``spec`` says
    (its ``index``; any, where that is left out), and where the texts are of other classes.
    """
    index = read_index(path)
    check_index_source(path, index, spec.get("index"))
    return with_texts(index, spec["semantics"], texts)


def open_run_inputs(
    spec: Mapping[str, Any],
    index_path: Path,
    features: Path | None,
    images: Path,
    weights: Path | None,
    compute: Compute,
    read: Callable[[Path], Index] = read_index,
    texts: Path | None = None,
) -> RunInputs:
    """Return what a run reads: ``features`` (a feature file), or ``images`` (a folder) for the
    network with ``weights`` (a file; None where ``spec`` names weights of the library). ``read``
    reads the index; ``texts`` is the file of class vectors made of texts, for a run on such.

    Raises InputError where a file is missing, damaged, of other images than the index lists, or of
    another dataset or extractor than ``spec`` says.
    """
    device = device_of(compute)
    is_list = read is not read_index
    index = read(index_path) if is_list else open_index(index_path, spec, texts)
    read_from = [index_path] if texts is None else [index_path, texts]
    hashes = [file_hash(path) for path in read_from]
    if spec["input"] == "images":
        from zslpipe.runs.image_inputs import open_images

        # On a CPU half of the cores decode and all compute, as in an extraction.
        workers = compute.threads if device.type == "cuda" else compute.threads // 2
        read_again, trunk, contents = open_images(
            spec["trunk"], weights, images, index, device, workers
        )
        identity = settings_hash([*hashes, contents])
        return RunInputs(index, read_again, device, identity, trunk)
    if features is None:
        raise InputError(
            f"{spec['method']} reads {spec['input']}: give its feature file with --features"
        )
    file = open_features(features, index, spec, weights, _network_hash)
    cached = CachedInputs(file, spec["input"] == "pooled", device)
    identity = settings_hash([*hashes, file.contents])
    return RunInputs(index, cached, device, identity, features=file)


def _network_hash(described: Mapping[str, Any], weights: Path) -> str:
    """Return :func:`zslpipe.runs.image_inputs.network_hash`, of which few jobs have need."""
    from zslpipe.runs.image_inputs import network_hash

    return network_hash(described, weights)
