"""Pictures inside the page: nothing is loaded from elsewhere."""

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image

from zslpipe.pictures import picture_size

TILE, THUMBNAIL = 160, 56  # ours: pixels of a picture in a gallery, 3 kB, and of its sign, 1 kB
QUALITY = 75  # ours: of WebP


def file_data(path: Path) -> dict[str, object]:
    """Return a picture file's data address and size in pixels."""
    width, height = picture_size(path)
    address = _address(path.read_bytes(), path.suffix.removeprefix("."))
    return {"src": address, "width": width, "height": height}


def pixel_data(pixels: np.ndarray, side: int = TILE) -> str:
    """Return the data address of a (height, width, 3) picture in 0..1, made ``side`` pixels
    wide.
    """
    whole = Image.fromarray((255 * pixels.clip(0, 1)).round().astype(np.uint8))
    buffer = io.BytesIO()
    small = whole.resize((side, side), Image.Resampling.LANCZOS)
    small.save(buffer, "WEBP", quality=QUALITY, method=6)
    return _address(buffer.getvalue(), "webp")


def _address(data: bytes, kind: str) -> str:
    """Return the address of a picture that lies in the page itself."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
