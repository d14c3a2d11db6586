"""What the files of a training, and of what a trained model is asked, are made of, as a hash
(:mod:`zslpipe.formats.kept`).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zslpipe.formats.words import read_words
from zslpipe.machine.devices import Compute
from zslpipe.provenance import code_hash, file_hash, settings_hash
from zslpipe.runs.models import RunInputs
from zslpipe.runs.train import prepare_run
from zslpipe.runs.weights import read_spec


def made_of(
    spec: Mapping[str, Any],
    seed: int,
    run_inputs: RunInputs,
    words_path: Path | None,
    output: Path,
    compute: Compute,
    images: Path,
    made_by: str,
    further: Iterable[Path] = (),
) -> str:
    """Return a hash of all that the training of ``output`` depends on: settings, code (the module
    ``made_by`` and what it calls), inputs, word vectors and ``further`` files, and of a run from
    images path, size and time of each below the folder ``images``.
    """
    words, _ = read_words(words_path)
    stamp = prepare_run(spec, seed, run_inputs, words, output, compute).stamp
    read = run_inputs.index.paths if spec["input"] == "images" else ()
    hashes = [file_hash(path) for path in further]
    return settings_hash([stamp, code_hash(made_by), *hashes, *_seen(images, read)])


def looked_at(
    weights: Path,
    run_inputs: RunInputs,
    words_path: Path | None,
    images: Path,
    made_by: str,
    told: Sequence[str | int],
) -> str:
    """Return a hash of all that a file depends on that a trained model is asked for: the bytes of
    its ``weights``, code (the module ``made_by`` and what it calls, and the method), inputs, word
    vectors and what else the job is ``told``, and of a run from images as :func:`made_of`.
    """
    spec = read_spec(weights)
    read = run_inputs.index.paths if spec["input"] == "images" else ()
    files = [weights] if words_path is None else [weights, words_path]
    code = code_hash(f"zslpipe.methods.{spec['method']}", made_by, "zslpipe.runs.opening")
    hashes = [file_hash(path) for path in files]
    return settings_hash([hashes, code, run_inputs.identity, _seen(images, read), list(told)])


def _seen(root: Path, paths: Iterable[str]) -> list[list[str | int]]:
    """Return path, size and time (ns) of files below ``root``."""
    told: list[list[str | int]] = []
    for path in paths:
        found = (root / path).stat()
        told.append([path, found.st_size, found.st_mtime_ns])
    return told
