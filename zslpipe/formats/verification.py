"""Every file of a folder of results looked at: sealed, stamped, and what its kind has to be."""

import json
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from zslpipe.formats.attention import read_peaks
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.gradcam import read_explained
from zslpipe.formats.hdf5 import read_any_hdf5
from zslpipe.formats.history import read_history
from zslpipe.formats.image_list import read_irrelevant_images
from zslpipe.formats.index import check_index, read_index
from zslpipe.formats.localization import read_localization
from zslpipe.formats.metrics import read_metrics
from zslpipe.formats.scores import read_irrelevant, read_scores
from zslpipe.formats.texts import read_class_texts
from zslpipe.formats.words import read_words
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import read_complete
from zslpipe.machine.progress import counted
from zslpipe.machine.seals import check_seal, check_zip, is_sealed, writer_of

# Endings of the files that jobs hand on; pictures, tables and reports are made of them.
ENDINGS = (".h5", ".pt", ".json", ".csv")
# Folders whose files are read by people, or are pictures of a dataset.
PASSED_OVER = ("tables", "figures", "images", "auxiliary")


@dataclass(frozen=True)
class Verified:
    """What was looked at: numbers of files and bytes, files ``without_seal`` (readable, but their
    bytes cannot be told from others), and a line for each of the ``damaged`` and of the
    ``unread``, which are in use, or which the system refuses to read.
    """

    files: int
    size: int
    seconds: float
    without_seal: int
    damaged: tuple[str, ...]
    unread: tuple[str, ...] = ()


def verify(folder: Path) -> Verified:
    """Look at every file that jobs hand on under ``folder``, all of its bytes; none is changed.

    Raises InputError where there is none.
    """
    paths = sorted(_files(folder))
    if not paths:
        raise InputError(f"{folder}: nothing that a study leaves lies in it; name its results/")
    sizes = {path: path.stat().st_size for path in paths}
    start, without_seal = time.monotonic(), 0
    damaged: list[str] = []
    unread: list[str] = []
    size = sum(sizes.values())
    for path in counted(paths, "verify", "bytes", size, sizes.__getitem__, scaled=True):
        try:
            _reader(path)(path)
            without_seal += path.suffix in (".h5", ".pt") and not is_sealed(path)
        except InputError as error:
            # What the system says is the cause of no damage: a lock, a missing right.
            if isinstance(error.__context__, OSError) and error.__context__.errno is not None:
                unread.append(str(error))
            else:
                damaged.append(f"{error} [snakemake --force {_target(path)}]")
    seconds = time.monotonic() - start
    return Verified(len(paths), size, seconds, without_seal, tuple(damaged), tuple(unread))


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files that jobs hand on, not those of work folders and of folders for people."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        kept = not any(part.startswith(".") or part in PASSED_OVER for part in parts[:-1])
        if kept and path.suffix in ENDINGS and not path.name.startswith(".") and path.is_file():
            yield path


def _target(path: Path) -> str:
    """Return a file as the workflow names it: from the folder ``results`` on."""
    parts = path.absolute().parts
    if "results" not in parts:
        return path.as_posix()
    last = len(parts) - 1 - parts[::-1].index("results")
    return "/".join(parts[last:])


def _reader(path: Path) -> Callable[[Path], object]:
    """Return what reads a file whole, by its name or its folder."""
    by_name: dict[str, Callable[[Path], object]] = {
        "index.h5": _read_index,
        "scores.h5": read_scores,
        "validation.h5": read_scores,
        "irrelevant.h5": read_irrelevant,
        "attention.h5": read_peaks,
        "gradcam.h5": read_explained,
        "metrics.json": read_metrics,
        "best_on_test.json": read_metrics,
        "localization.json": read_localization,
        "history.csv": read_history,
    }
    by_folder: dict[str, Callable[[Path], object]] = {
        "features": _read_features,
        "words": read_words,
        "texts": read_class_texts,
        "irrelevant": read_irrelevant_images,
    }
    if path.name in by_name:
        return by_name[path.name]
    if path.suffix == ".h5":
        return by_folder.get(path.parent.name, _read_any_hdf5)
    return {".pt": check_weights_file, ".json": _read_json}.get(path.suffix, Path.read_bytes)


def _read_index(path: Path) -> None:
    """Read an index and check it."""
    check_index(read_index(path))


def _read_features(path: Path) -> None:
    """Look at every block of a feature file."""
    file = FeatureFile(path)
    for name in file.rows:
        file.check_rows(name)


def _read_any_hdf5(path: Path) -> None:
    """Open an HDF5 file whose kind is not known, under its seal."""
    read_any_hdf5(path, len, "HDF5 file", "its rule")


def check_weights_file(path: Path) -> None:
    """Raise InputError where a file of weights that was written here is damaged: its seal, and the
    checksums inside the zip file.
    """
    read_complete(path, _check_weights, "file of weights", writer_of(path))


def _check_weights(path: Path) -> None:
    """Raise ValueError for weights that are damaged, or none of torch's."""
    check_seal(path)
    if not zipfile.is_zipfile(path):
        raise ValueError("cut off, or no file of weights")
    check_zip(path)


def _read_json(path: Path) -> None:
    """Read a JSON file."""
    read_complete(path, lambda path: json.loads(path.read_text("utf-8")), "JSON file", "its rule")
