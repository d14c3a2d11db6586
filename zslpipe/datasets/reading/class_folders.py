"""Class folders and class lists of one's own data, joined to the table of class attributes."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from zslpipe.datasets.reading.text_files import check_folder, read_lines
from zslpipe.folders import is_hidden
from zslpipe.machine.errors import InputError
from zslpipe.names import KnownNames, joined, readable, suggestion

SHOWN = 3  # folders named in a message
DEEPEST = 3  # folders (ours) between the image folder and the classes' that are looked through


def class_folders(root: Path) -> list[str]:
    """Return the names of the folders in the image folder, sorted, without hidden and
    system ones.
    """
    folders = (entry.name for entry in root.iterdir() if entry.is_dir())
    return sorted(name for name in folders if not is_hidden(name))


def folders_by_class(root: Path, table: Mapping[str, object], where: str) -> dict[str, str]:
    """Return class -> folder in the order of the table, for the classes that have one.

    Raises InputError where a folder has no row in the table or may have two, or two folders have
    one.
    """
    folders = class_folders(root)
    known = KnownNames(table)
    unknown = [name for name in folders if not known.fitting(name)]
    if unknown:
        fault = f"{len(unknown)} class folders without attributes, first {readable(unknown[0])!r}"
        raise InputError(f"{where}: {fault}; {suggestion(unknown[0], table)}"[:300])
    rows = joined(folders, known.names, f"{where}: class folders", "class")
    ordered = sorted(zip(rows, folders, strict=True))
    return {known.names[row]: folder for row, folder in ordered}


def check_layout(root: Path, table: Mapping[str, object], words: Sequence[str], where: str) -> None:
    """Raise InputError where the image folder is absent, holds the class folders deeper down
    (``train/CLASS``), or the table has attributes in its rows and classes in its columns.
    """
    check_folder(root, where)
    folders = class_folders(root)
    known, columns = KnownNames(table), KnownNames(words)
    if any(known.fitting(name) for name in folders):
        return
    if folders and all(columns.fitting(name) for name in folders):
        fault = "the table of attributes has classes in its columns"
        raise InputError(f"{where}: {fault}; write a row a class, a column an attribute")
    deeper = _with_classes(root, known)
    if deeper:
        told = f"class folders lie deeper, in {', '.join(deeper[:SHOWN])}, not in {root}"
        advice = f"set 'images' to one of these (.../{root.name}/{deeper[0]}), or put all images"
        advice = f"{advice} of a class into one folder: the split is drawn here"
        raise InputError(f"{where}: {told}; {advice}")


def _with_classes(root: Path, known: KnownNames) -> list[str]:
    """Return the folders nearest below ``root`` that hold one of a known class, relative to it."""
    level = class_folders(root)
    for _ in range(DEEPEST):
        held = {folder: class_folders(root / folder) for folder in level}
        found = [folder for folder in level if any(map(known.fitting, held[folder]))]
        if found:
            return found
        level = [f"{folder}/{name}" for folder in level for name in held[folder]]
    return []


def check_listed(
    listed: Path | None, table: Mapping[str, object], names: Sequence[str], attribute_file: Path
) -> None:
    """Raise InputError where a list names a class that has attributes and, not being among
    ``names``, no images.
    """
    if listed is None:
        return
    known = KnownNames(table)
    for line in read_lines(listed):
        row = known.one(line)
        if row is not None and known.names[row] not in names:
            has = f"class {known.names[row]!r} has a row in {attribute_file.name} and no image"
            raise InputError(f"{listed}: {has}; add images, or take it out of the list")
