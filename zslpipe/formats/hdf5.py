"""What the HDF5 files of this room share: one way to stamp, seal, open and take out of them.

Every file that is written here ends in a seal (:mod:`zslpipe.machine.seals`) over all of its bytes,
which every reading checks first. A file without one, written by another program or changed in place
by h5py, is read as it is.
"""

import fcntl
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import h5py
import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.first_bytes import container_of
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import read_complete, written_whole
from zslpipe.machine.seals import check_seal, seal

Content = TypeVar("Content")
# Which file it is, by datasets that no other kind has together.
KINDS = {
    "index.h5": ("images/path", "classes/name", "splits"),
    "words.h5": ("vectors", "attributes"),
    "texts.h5": ("vectors", "texts/text"),
    "scores.h5": ("trainval/scores", "test_unseen/scores"),
    "irrelevant.h5": ("scores", "classes"),
    "attention.h5": ("test/peaks",),
    "gradcam.h5": ("maps_without",),
    "feature file": ("pooled",),
    "list of images": ("paths",),
}
# What h5py raises on damaged bytes (files with random bytes changed), beside OSError.
DAMAGE = (KeyError, ValueError, RuntimeError, TypeError, AttributeError, SystemError)


@contextmanager
def sealed(path: Path, version: str | None = None) -> Iterator[h5py.File]:
    """Yield a new file, kept in memory until it is closed, that appears whole and sealed at
    ``path``, or not at all; ``version`` is h5py's ``libver``.

    HDF5 keeps writing what a full disk has refused, from every object that is let go, and ends by a
    crash (exit code 139): here the disk is written to by plain writes alone.
    """
    content = io.BytesIO()
    with written_whole(path) as temporary:
        with h5py.File(content, "w", libver=version) as file:
            yield file
        with temporary.open("wb") as whole:
            whole.write(content.getbuffer())
        seal(temporary)


@contextmanager
def stamped(path: Path) -> Iterator[h5py.File]:
    """Yield a new file that appears whole and sealed at ``path``, stamped complete, or not at
    all.
    """
    with sealed(path) as file:
        yield file
        file.attrs["complete"] = True


def read_stamped(
    path: Path, read: Callable[[h5py.File], Content], kind: str, writer: str
) -> Content:
    """Return ``read`` of the open file, which has to be stamped complete; InputError, in one line,
    as :func:`zslpipe.machine.files.read_complete`.
    """

    def read_finished(file: h5py.File) -> Content:
        """Return ``read`` of a file that says it is complete."""
        if not _is_true(file.attrs.get("complete", False)):
            raise InputError(
                f"{path}: not stamped complete: a program of yours wrote it (let it set the "
                f"attribute complete to true), or its writer stopped early: to repeat {writer}, "
                "delete it and run again"
            )
        return read(file)

    return read_hdf5(path, read_finished, kind, writer)


def read_hdf5(path: Path, read: Callable[[h5py.File], Content], kind: str, writer: str) -> Content:
    """Return ``read`` of the open file, of a kind without a stamp; InputError as
    :func:`read_stamped`. ``read`` raises KeyError for a part that is missing.
    """

    def read_kind(file: h5py.File) -> Content:
        """Return ``read`` of a file that is not known to be of another kind."""
        found = kind_of(file)
        if found and found != kind:
            raise InputError(f"{path}: is {found}, expected {kind}; name another file")
        return read(file)

    return read_any_hdf5(path, read_kind, kind, writer)


def read_any_hdf5(
    path: Path, read: Callable[[h5py.File], Content], kind: str, writer: str
) -> Content:
    """Return ``read`` of the open file of whatever kind; InputError as :func:`read_hdf5`."""

    def opened(path: Path) -> Content:
        """Return ``read`` of the file, once it is known to be HDF5, free and undamaged."""
        if path.is_file() and path.stat().st_size and not h5py.is_hdf5(path):
            if path.suffix != ".h5":  # nobody's to delete
                found = container_of(path) or "no HDF5 file"
                raise InputError(f"{path}: {found}, expected {kind}; name another file")
            raise KeyError("it is no HDF5 file, or its beginning is damaged")
        _check_free(path)
        # Before HDF5 looks at it: damaged bytes can keep the library in an endless loop.
        check_seal(path)
        with h5py.File(path) as file:
            return read(file)

    return read_complete(path, opened, kind, writer, DAMAGE)


def _check_free(path: Path) -> None:
    """Raise BlockingIOError where another process has locked a file, which is no damage. A file
    system without locks (some of clusters) has none that could be held.
    """
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:
            return


def _is_true(value: object) -> bool:
    """Return whether an attribute, of any program, says yes: true, 1, the text "true"; where it
    is several, all of them.
    """
    told = np.asarray(value).ravel().tolist()
    return bool(told) and all(str(one).casefold() in ("true", "1", "1.0") for one in told)


def kind_of(file: h5py.File) -> str | None:
    """Return which of the chain's files this one is, by what only such a file holds; None for
    another.
    """
    for kind, names in KINDS.items():
        if all(name in file for name in names):
            return kind
    return None


def array(file: h5py.File, name: str) -> np.ndarray:
    """Return a whole dataset; raises KeyError where there is none of that name."""
    return np.asarray(dataset(file, name)[()])


def texts(file: h5py.File, name: str) -> tuple[str, ...]:
    """Return a dataset of texts; raises KeyError where there is none of that name."""
    found = dataset(file, name)
    if h5py.check_string_dtype(found.dtype) is None:
        raise KeyError(f"{name} holds no texts")
    return tuple(found.asstr(errors="surrogateescape")[()])


def write_texts(file: h5py.File, name: str, values: Sequence[str]) -> None:
    """Write texts as a dataset of UTF-8 of any length; bytes of a file name that are no UTF-8 stay
    as they are, so that the name read back still opens the file.
    """
    data = [value.encode("utf-8", "surrogateescape") for value in values]
    file.create_dataset(name, data=data, shape=(len(values),), dtype=h5py.string_dtype())


def dataset(file: h5py.File, name: str) -> h5py.Dataset:
    """Return a dataset of an open file; raises KeyError where there is none of that name."""
    if name not in file:
        raise KeyError(f"it lacks {name}")
    found = file[name]
    if not isinstance(found, h5py.Dataset):
        raise KeyError(f"{name} is a group, expected a dataset")
    return found


def attribute(file: h5py.File, name: str) -> Any:
    """Return an attribute of the file; raises KeyError where there is none of that name."""
    if name not in file.attrs:
        raise KeyError(f"it lacks the attribute {name}")
    return file.attrs[name]


def all_attributes(file: h5py.File) -> dict[str, Any]:
    """Return all attributes of the file, in the order in which they lie there."""
    names: list[str] = []
    # Of h5py's own listing the order is the alphabet's.
    h5py.h5a.iterate(
        file.id,
        lambda name: names.append(name.decode()),
        index_type=h5py.h5.INDEX_NAME,
        order=h5py.h5.ITER_NATIVE,
    )
    return {name: file.attrs[name] for name in names}


def centre_attributes(centres: CellCentres) -> dict[str, float]:
    """Return the attributes that say where the cells of a file's maps look: ``cell_first`` and
    ``cell_step``, as fractions of the side of the square that the network sees.
    """
    return {"cell_first": float(centres.first), "cell_step": float(centres.step)}


def write_maps(
    file: h5py.File,
    arrays: Mapping[str, np.ndarray],
    spec: Mapping[str, Any],
    seed: int,
    centres: CellCentres,
) -> None:
    """Write ``arrays`` by name into an open file, whose run of ``spec`` it is, and where the cells
    of its maps look.
    """
    for name, values in arrays.items():
        file[name] = values
    for name in ("dataset", "method", "variant"):
        file.attrs[name] = spec[name]
    file.attrs["seed"] = seed
    file.attrs["run"] = json.dumps({**spec, "seed": seed}, sort_keys=True)
    file.attrs.update(centre_attributes(centres))


def cell_centres(file: h5py.File) -> CellCentres:
    """Return where the cells of a file's maps look; raises KeyError where it does not say."""
    first, step = attribute(file, "cell_first"), attribute(file, "cell_step")
    return CellCentres(float(first), float(step))


def identity(file: h5py.File) -> tuple[str, str, str]:
    """Return the attributes dataset, method and variant; raises KeyError where one is absent."""
    return (
        str(attribute(file, "dataset")),
        str(attribute(file, "method")),
        str(attribute(file, "variant")),
    )
