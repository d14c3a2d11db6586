"""Pictures in a pdf as JPEG: matplotlib writes their pixels as they are."""

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image
from pypdf import PdfWriter
from pypdf.generic import NameObject, NumberObject, StreamObject

from zslpipe.pictures import decode

# The first bytes of a PNG file and its numbers of colour types (PNG specification, 5.2, 11.2.2).
PNG = b"\x89PNG\r\n\x1a\n"
COLOUR_TYPES = {"/DeviceGray": 0, "/DeviceRGB": 2, "/Indexed": 3}
EIGHT_BITS = 8


def compress_pictures(path: Path, quality: int) -> None:
    """Write the pictures of matplotlib's pdf at ``path`` as JPEG of PIL's ``quality``, without
    their transparency; the page stays what it is.
    """
    document = PdfWriter(clone_from=path)
    for page in document.pages:
        resources: Any = page["/Resources"].get_object()
        for reference in resources.get("/XObject", {}).values():
            part = reference.get_object()
            if part["/Subtype"] == "/Image":
                _compress(part, quality)
    document.write(path)


def _compress(part: Any, quality: int) -> None:
    """Make a picture of a pdf JPEG."""
    written = BytesIO()
    _picture(part).save(written, "JPEG", quality=quality)
    StreamObject.set_data(part, written.getvalue())
    for name in ("/DecodeParms", "/SMask"):
        part.pop(name, None)
    part[NameObject("/Filter")] = NameObject("/DCTDecode")
    part[NameObject("/ColorSpace")] = NameObject("/DeviceRGB")
    part[NameObject("/BitsPerComponent")] = NumberObject(EIGHT_BITS)


def _picture(part: Any) -> Image.Image:
    """Return a picture of a pdf.

    Its stream is what a PNG file holds in its IDAT chunk: as such a file PIL decodes it at once,
    where pypdf goes through its rows in Python (measured: 20 of 72 seconds that figures took) and
    reads a palette of two colours wrong.
    """
    colours, palette = part["/ColorSpace"], b""
    if not isinstance(colours, str):  # [/Indexed /DeviceRGB, the last colour's number, the colours]
        palette = colours[3].get_object().original_bytes
        colours = colours[0]
    kind = COLOUR_TYPES[colours]
    sizes = (part["/Width"], part["/Height"], part["/BitsPerComponent"])
    file = PNG + _chunk(b"IHDR", struct.pack(">II5B", *sizes, kind, 0, 0, 0))
    if palette:
        file += _chunk(b"PLTE", palette)
    file += _chunk(b"IDAT", StreamObject.get_data(part)) + _chunk(b"IEND", b"")
    return decode(file)


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file: length, name, content, CRC-32."""
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)
