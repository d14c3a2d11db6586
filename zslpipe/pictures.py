"""Pictures in image files: opened as RGB, cropped to a box, and measured, in one way for all.

Pillow decodes because it refuses a truncated file, which faster decoders fill with grey.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from zslpipe.machine.errors import InputError, one_line

# What Pillow raises for a file that is missing, cut off, damaged, no image, or larger than it
# opens; its own UnidentifiedImageError is an OSError.
FAULTS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def open_picture(path: Path, box: Sequence[int] | None = None) -> Image.Image:
    """Return a picture as RGB, cropped to ``box`` (left, top, right, bottom in pixels) if given.

    Greyscale, palette and RGBA files become RGB. Raises one of FAULTS where it cannot be read.
    """
    with Image.open(path) as image:
        picture = image.convert("RGB")
    if box is None:
        return picture
    left, top, right, bottom = (int(side) for side in box)
    return picture.crop((left, top, right, bottom))


def load_picture(root: Path, name: str, box: Sequence[int] | None = None) -> Image.Image:
    """Return the picture ``name`` of the image folder ``root`` as :func:`open_picture`; raises
    InputError where it cannot be read.
    """
    path = root / name
    try:
        return open_picture(path, box)
    except FileNotFoundError:
        raise InputError(f"{path}: no such image; is {root} the dataset's image folder?") from None
    except FAULTS as error:
        raise InputError(f"{path}: not a readable image ({fault(error)})") from None


def picture_size(path: Path) -> tuple[int, int]:
    """Return a picture's width and height in pixels from the file's header, its pixels undecoded.

    Raises one of FAULTS where the file is missing or no image.
    """
    with warnings.catch_warnings():
        # Odd metadata; very large pictures are an error only when decoded.
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            return image.size


def fault(error: Exception) -> str:
    """Return what one of FAULTS says of a file that is named already, in one line."""
    if isinstance(error, UnidentifiedImageError):
        return "no image that Pillow knows"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error)
