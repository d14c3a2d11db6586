"""Which pictures somebody means by files, folders and globs."""

import glob
import logging
from collections.abc import Iterable
from pathlib import Path

from PIL import Image

from zslpipe.folders import is_hidden, list_files
from zslpipe.machine.errors import InputError
from zslpipe.pictures import FORMATS, is_picture

logger = logging.getLogger(__name__)


def listed_pictures(given: Iterable[str | Path]) -> list[Path]:
    """Return the pictures that are meant, each once, in the order given: a file as it stands
    whether it can be read or not; of a folder, at any depth, what is a picture or is named like
    one; what fits a glob that is no file itself.

    Raises InputError where a folder or a glob gives none, and where nothing is given.
    """
    found: list[Path] = []
    for one in given:
        path = Path(one)
        if path.is_dir():
            found += _of_folder(path)
        elif glob.has_magic(str(one)) and not path.exists():
            found += _of_glob(str(one))
        else:
            found.append(path)
    if not found:
        raise InputError("no images: name files, folders or globs")
    return list(dict.fromkeys(found))


def _of_glob(pattern: str) -> list[Path]:
    """Return the files that fit a glob, and the pictures of the folders that do, sorted."""
    path = Path(pattern)
    root = Path(path.anchor)
    fitting = [
        one for one in sorted(root.glob(str(path.relative_to(root)))) if not is_hidden(one.name)
    ]
    if not fitting:
        raise InputError(f"{pattern}: no file fits")
    files = [path for path in fitting if path.is_file()]
    return files or [picture for path in fitting for picture in _of_folder(path)]


def _of_folder(folder: Path) -> list[Path]:
    """Return the pictures below a folder, sorted; the log counts the other files."""
    Image.init()
    endings = {ending for ending, kind in Image.EXTENSION.items() if kind in FORMATS}
    files = [folder / file.path for file in list_files(folder).files]
    pictures = [path for path in files if path.suffix.lower() in endings or is_picture(path)]
    if not pictures:
        raise InputError(f"{folder}: no picture among {len(files)} files")
    if len(pictures) < len(files):
        logger.info(
            "%s: %d files that are no pictures left out", folder, len(files) - len(pictures)
        )
    return pictures
