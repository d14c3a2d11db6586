"""Pictures in image files: opened as a viewer shows them, cropped to a box, and measured, in one
way for all.

Pillow decodes because it refuses a truncated file, which faster decoders fill with grey; plain JPEG
files go through simplejpeg first, which gives the same pixels in two fifths of the time and leaves
to Pillow what it finds odd. Always RGB with 8 bits a channel: the first frame or page; turned as
EXIF says; what is transparent on white; 16 bits scaled to 8. Colour profiles are not applied, as
nobody in the field does. Refused is what can only be guessed: floating-point, signed and 32-bit
pixels, 12 bits stored in 16, a picture that is transparent everywhere.
"""

import hashlib
import io
import re
import struct
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageChops, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from zslpipe.first_bytes import container_of
from zslpipe.machine.errors import InputError, one_line

# What Pillow raises for a file that is missing, cut off, damaged, no image, or larger than it
# opens; its own UnidentifiedImageError is an OSError.
FAULTS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
# What damaged EXIF data raises in Pillow: such a file is shown as it is stored.
BROKEN_EXIF = (*FAULTS, KeyError, TypeError, struct.error)
# Formats whose files are pictures under whatever name (ours); of Pillow's others some are none:
# HDF5, video, PostScript.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "JPEG2000", "PPM")
JPEG = b"\xff\xd8\xff"  # first bytes
ORIENTATION = 0x0112  # EXIF tag
# EXIF's orientation -> how the stored picture is turned to be looked at.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
WHITE_IS_ZERO = (262, 0)  # TIFF's tag PhotometricInterpretation, and its value
TIFF = (b"II*\0", b"MM\0*")  # first bytes
SIGNED = (339, 2)  # TIFF's tag SampleFormat, and its value a channel
# Pillow's names of layouts with 16 bits a channel and more than one channel: it keeps the upper 8.
DEEP_CHANNELS = re.compile(r"'(LA|RGB|RGBA|RGBX|RGBa|CMYK);16[BLN]'")
# A picture of 16 bits whose values need no more than 12 (of cameras, of medicine) would be black.
TWELVE_BITS = 1 << 12
DIGEST_BYTES = 8


def open_picture(path: Path, box: Sequence[int] | None = None) -> Image.Image:
    """Return a picture as RGB, cropped to ``box`` (left, top, right, bottom in pixels of the
    picture as shown) if given.

    Raises one of FAULTS where it cannot be read, or where its pixels have no one meaning.
    """
    return decode(path.read_bytes(), box)


def decode(data: bytes, box: Sequence[int] | None = None) -> Image.Image:
    """Return the picture in an image file's bytes, as :func:`open_picture`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata, very large pictures
        with Image.open(io.BytesIO(data)) as image:
            _refuse_without_white(image)
            tile = str(image.tile)
            image.load()
            turn = TURNS.get(_orientation(image))
            picture = _rgb(image, tile)
    if turn is not None:
        picture = picture.transpose(turn)
    if box is None:
        return picture
    left, top, right, bottom = (int(side) for side in box)
    return picture.crop((left, top, right, bottom))


def decode_pixels(data: bytes, box: Sequence[int] | None = None) -> np.ndarray:
    """Return the picture in an image file's bytes as (height, width, 3) uint8: the pixels of
    :func:`decode`, and its errors.
    """
    pixels = _plain_jpeg(data)
    if pixels is None:
        return np.array(decode(data, box))
    if box is None:
        return pixels
    left, top, right, bottom = (int(side) for side in box)
    inside = 0 <= left < right <= pixels.shape[1] and 0 <= top < bottom <= pixels.shape[0]
    # Beyond the picture Pillow crops black.
    return pixels[top:bottom, left:right] if inside else np.array(decode(data, box))


def _plain_jpeg(data: bytes) -> np.ndarray | None:
    """Return the pixels of a JPEG file of one or three channels that lies as it is shown, None for
    any other file and for one of which a single byte seems wrong.
    """
    if not data.startswith(JPEG):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata, very large pictures
        with Image.open(io.BytesIO(data)) as image:
            is_plain = image.format == "JPEG" and image.mode in ("RGB", "L")
            if not is_plain or _orientation(image) != 1:
                return None
    try:
        return np.asarray(simplejpeg.decode_jpeg(data, "RGB", strict=True))
    except ValueError:
        return None


def _orientation(image: Image.Image) -> int:
    """Return how EXIF says that an image lies, 1 where it says nothing that there is."""
    try:
        said = int(image.getexif().get(ORIENTATION, 1))
    except BROKEN_EXIF:
        return 1
    return said if said in TURNS else 1


def _refuse_without_white(image: Image.Image) -> None:
    """Raise ValueError for pixels of which no format says what white is, by the file's header."""
    tag, value = SIGNED
    if image.mode == "F":
        kind = "floating-point"
    elif isinstance(image, TiffImageFile) and value in np.ravel(image.tag_v2.get(tag, 1)):
        kind = "signed"
    elif image.mode == "I" and image.format not in ("PNG", "PPM"):
        kind = "32-bit"
    else:
        return
    raise ValueError(f"{kind} pixels: nothing says which value is white; store 8 bits")


def _rgb(image: Image.Image, tile: str) -> Image.Image:
    """Return a decoded image as RGB; ``tile`` is how its file stores it, in Pillow's words."""
    if image.mode.startswith("I"):
        return _scaled(image)
    deep = DEEP_CHANNELS.search(tile) is not None
    if _has_transparency(image):
        return _on_white(_as_deep_as_said(image.convert("RGBA"), deep))
    if image.format == "JPEG" and image.mode == "CMYK" and "adobe" not in image.info:
        # Pillow takes every CMYK JPEG for one of Adobe's, which are stored inverted.
        return ImageChops.invert(image).convert("RGB")
    return _as_deep_as_said(image.convert("RGB"), deep)


def _as_deep_as_said(picture: Image.Image, deep: bool) -> Image.Image:
    """Return a picture of which Pillow has kept the upper 8 of 16 bits, where it was ``deep``;
    raises ValueError where they were not used.
    """
    if deep:
        _refuse_shallow(256 * max(high for _, high in _extrema(picture)[:3]))
    return picture


def _has_transparency(image: Image.Image) -> bool:
    """Return whether some pixels of an image may be transparent."""
    return "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")


def _on_white(image: Image.Image) -> Image.Image:
    """Return an RGBA image laid on white; colours under full transparency do not appear."""
    low, high = _extrema(image)[3]
    if high == 0:
        raise ValueError("every pixel is transparent; store it without an alpha channel")
    if low == 255:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image).convert("RGB")


def _extrema(image: Image.Image) -> list[tuple[int, int]]:
    """Return the lowest and highest value of each channel of an 8-bit image."""
    return [(int(low), int(high)) for low, high in image.getextrema()]  # type: ignore[misc]


def _scaled(image: Image.Image) -> Image.Image:
    """Return a greyscale image of 16 bits as RGB of 8: white is 65535."""
    values = np.asarray(image).astype(np.int64)
    hidden = values == image.info.get("transparency", -1)
    _refuse_shallow(int(values.max()))
    tag, zero = WHITE_IS_ZERO
    if isinstance(image, TiffImageFile) and image.tag_v2.get(tag) == zero:
        values = 65535 - values
    grey = ((values + 128) // 257).clip(0, 255).astype(np.uint8)
    grey[hidden] = 255
    return Image.fromarray(grey).convert("RGB")


def _refuse_shallow(highest: int) -> None:
    """Raise ValueError for a picture of 16 bits whose ``highest`` value says that it has 12 or
    fewer.
    """
    if 0 < highest < TWELVE_BITS:
        raise ValueError(
            f"16 bits a pixel, but no value above {highest}: 12 bits or fewer, which would look "
            "black; scale them and store 8 bits"
        )


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
        raise InputError(f"{path}: not a readable image ({fault(error, path)})") from None


def picture_size(path: Path) -> tuple[int, int]:
    """Return width and height in pixels of a picture as shown, from the file's header, its pixels
    undecoded.

    Raises one of FAULTS where the file is missing, no image, larger than is opened, or its pixels
    are of a kind that is refused.
    """
    return measure(path)[0]


def measure(path: Path) -> tuple[tuple[int, int], int]:
    """Return :func:`picture_size` and EXIF's orientation: how the stored pixels are turned to be
    shown, 1 where they are not.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd metadata, very large pictures
        with Image.open(path) as image:
            _refuse_without_white(image)
            # Pillow decodes a whole PNG to look for an orientation behind the pixels.
            told = image.format != "PNG" or "exif" in image.info or b"eXIf" in path.read_bytes()
            orientation = _orientation(image) if told else 1
            width, height = image.size
            # Pillow turns the size that it gives of a TIFF itself.
            swapped = orientation >= 5 and image.format != "TIFF"
    return ((height, width) if swapped else (width, height)), orientation


def is_picture(path: Path) -> bool:
    """Return whether a file of whatever name is a picture of a usual format, by its header."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS):
                return True
    except FAULTS:
        return False


def content_digest(data: bytes, box: Sequence[int] | None = None) -> int:
    """Return 64 bits of BLAKE2b of an image file's bytes and its crop box: equal for what gives
    the same pixels.
    """
    digest = hashlib.blake2b(data, digest_size=DIGEST_BYTES)
    if box is not None:
        digest.update(np.asarray(box, "<i8").tobytes())
    return int.from_bytes(digest.digest(), "little")


def read_digest(path: Path, box: Sequence[int] | None = None) -> int:
    """Return :func:`content_digest` of a file as it is now, 0 where it cannot be read."""
    try:
        return content_digest(path.read_bytes(), box)
    except OSError:
        return 0


def fault(error: Exception, path: Path) -> str:
    """Return why one of FAULTS was raised for a file that is named already, in one line."""
    if isinstance(error, Image.DecompressionBombError):
        found = re.findall(r"\d+", str(error))
        return f"{found[0]} pixels, more than the {found[1]} that are opened; make it smaller"
    if isinstance(error, UnidentifiedImageError):
        return _what_instead(path)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return one_line(error)


def _what_instead(path: Path) -> str:
    """Return what a file is, by its first bytes, that Pillow takes for no picture."""
    with path.open("rb") as file:
        head = file.read(len(TIFF[0]))
    if not head:
        return "the file is empty"
    if head in TIFF:
        return "a TIFF whose pixels are of a kind that is not read; store 8 bits a channel"
    return container_of(path) or "no image that Pillow knows"
