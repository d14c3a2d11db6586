"""What belongs to a class is joined by its name: image labels by folders, class vectors across
files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from zslpipe.datasets.reading.matfile import class_rows, read_mat, required, texts
from zslpipe.datasets.reading.split_files import SplitFile
from zslpipe.datasets.reading.text_files import read_lines
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames, joined


def names_of_classes(
    split_file: SplitFile, listed: Path | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the class names in the split file's order, and a note where they come from
    elsewhere: from a list, one a line, or, without one, from their numbers.
    """
    count = len(split_file.class_names)
    if any(split_file.class_names):
        return split_file.class_names, ()
    if listed is None:
        advice = "set 'class_names' to a list in the order of its columns"
        note = f"{split_file.path.name} names no classes: numbered; {advice}"
        return tuple(f"class {number + 1:03d}" for number in range(count)), (note,)
    names = tuple(read_lines(listed))
    if len(names) != count:
        told = f"{len(names)} class names, {split_file.path} has {count} classes"
        raise InputError(f"{listed}: {told}")
    return names, (f"class names from {listed.name}",)


def labels_by_name(
    labels: np.ndarray, paths: Sequence[str], names: Sequence[str], where: str
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels (n) as positions in ``names`` by the images' class folders, and a note where
    that mattered.

    Where every image lies in a folder that bears a class's name (joined as in
    :mod:`zslpipe.names`), that name decides, provided that each number stands for one name;
    otherwise (aPY, FLO) the numbers are kept. Raises InputError where a number stands for two
    names.
    """
    known = KnownNames(names)
    for folder_name in (_last_folder, _joined_folders):
        folders = [folder_name(path) for path in paths]
        number = {folder: _number(known, folder) for folder in set(folders)}
        by_name = np.array([number[folder] for folder in folders], np.int64)
        if (by_name >= 0).all():
            break
    else:
        note = "image folders do not bear the class names: images and classes joined by number"
        return labels, (note,)
    if np.array_equal(by_name, labels):
        return labels, ()
    for first, second in ((labels, by_name), (by_name, labels)):
        if len(np.unique(np.stack([first, second]), axis=1).T) != len(np.unique(first)):
            wrong = paths[int(np.flatnonzero(labels != by_name)[0])]
            raise InputError(
                f"{where}: labels contradict the class folders of the images, first {wrong}"
            )
    corrected = len(np.unique(labels[labels != by_name]))
    return by_name, (f"class numbers of {corrected} classes corrected by their folders' names",)


def _number(known: KnownNames, folder: str) -> int:
    """Return the class number of the only name that a folder's fits, -1 where there is none."""
    number = known.one(folder)
    return -1 if number is None else number


def _last_folder(path: str) -> str:
    """Return the folder an image lies in."""
    return PurePosixPath(path).parent.name


def _joined_folders(path: str) -> str:
    """Return SUN's class name of ``a/airport/airport/x.jpg``: the folders below the letter, joined
    by ``_``.
    """
    folders = PurePosixPath(path).parent.parts
    return "_".join(folders[1:] if folders and len(folders[0]) == 1 else folders)


def class_vectors(
    split_file: SplitFile, names: Sequence[str], further: Mapping[str, Path]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return (class, ?) vectors by kind, missing values replaced, and notes.

    ``further`` maps kinds to .mat files whose ``att`` they are; classes are joined by name where a
    file has names. Raises InputError where a class has no vector there.
    """
    semantics = dict(split_file.semantics)
    for kind, path in further.items():
        variables = read_mat(path, ("att", "allclasses_names"))
        rows = class_rows(required(variables, "att", path), "att", path, len(names))
        if "allclasses_names" in variables:
            named = texts(variables["allclasses_names"], "allclasses_names", path)
            rows = rows[joined(names, named, f"{path}: classes without vectors", "class")]
        semantics[kind] = rows
    return replace_missing(semantics, names)


def replace_missing(
    semantics: dict[str, np.ndarray], names: Sequence[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return ``semantics`` with the missing values of original_att (-1) set to 0, there and in att,
    and a note.

    Strengths of original_att count from 0, so -1 can only mean that nobody was asked. It becomes 0,
    as the field's code does (it sets negative entries of AWA2's att to 0 first); att is
    original_att at unit length, so the same entries are missing there. Lengths change by less than
    1e-4: att is not normalised again.
    """
    original = semantics.get("original_att")
    if original is None or not (original == -1).any():
        return semantics, ()
    missing = original == -1
    repaired = semantics | {"original_att": np.where(missing, 0.0, original)}
    if semantics["att"].shape == missing.shape:
        repaired["att"] = np.where(missing & (semantics["att"] < 0), 0.0, semantics["att"])
    classes = ", ".join(np.asarray(names)[missing.any(axis=1)][:5])
    return repaired, (f"{missing.sum()} missing attribute values (-1) set to 0, classes {classes}",)
