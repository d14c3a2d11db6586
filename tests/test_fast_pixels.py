"""The faster decoder gives Pillow's pixels or none: no picture changes by it."""

import io
import itertools
import random

import numpy as np
import pytest
import simplejpeg
from PIL import Image

import zslpipe.pictures as pictures
from tests.made_up.places import DATA
from zslpipe.pictures import FAULTS, decode, decode_pixels

SIZES = ((1, 1), (7, 9), (16, 16), (33, 50), (70, 41))
WAYS = (
    {"subsampling": 0},
    {"subsampling": 1},
    {"subsampling": 2},
    {"subsampling": 2, "progressive": True},
    {"keep_rgb": True},
    {"subsampling": 2, "restart_marker_blocks": 2},
)


def jpeg(size: tuple[int, int], seed: int, mode: str = "RGB", **how: object) -> bytes:
    """Return a JPEG file of waves under noise."""
    draws = np.random.default_rng(seed)
    width, height = size
    waves = np.sin(
        np.arange(height)[:, None, None] / 5 + np.arange(width)[:, None] / 3 + np.arange(3)
    )
    pixels = 127 + 90 * waves + draws.normal(0, 20, (height, width, 3))
    picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).convert(mode)
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=(40, 75, 98)[seed % 3], **how)
    return file.getvalue()


def outcome(data: bytes, opener) -> bytes | str:
    """Return the pixels' shape and bytes, or the error's kind and text."""
    try:
        pixels = np.asarray(opener(data))
    except FAULTS as error:
        return f"{type(error).__name__}: {str(error).split(' at 0x')[0]}"
    return repr(pixels.shape).encode() + pixels.tobytes()


def is_fast(data: bytes, monkeypatch) -> bool:
    """Return whether a file's pixels come without Pillow's decoder."""
    with monkeypatch.context() as patch:
        patch.setattr(pictures, "decode", lambda *_: np.zeros((1, 1, 3), np.uint8))
        patch.setattr(simplejpeg, "decode_jpeg", lambda *_, **__: np.ones((1, 1, 3), np.uint8))
        return bool(decode_pixels(data).any())


@pytest.mark.parametrize("how", WAYS, ids=repr)
@pytest.mark.parametrize("size", SIZES)
def test_plain_files_have_pillows_pixels(size, how, monkeypatch) -> None:
    for seed, mode in itertools.product(range(3), ("RGB", "L")):
        asked = {key: value for key, value in how.items() if mode == "RGB" or key == "progressive"}
        data = jpeg(size, seed, mode, **asked)
        assert is_fast(data, monkeypatch)
        found = decode_pixels(data)
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, np.asarray(decode(data)))


def test_a_box_is_cropped_as_pillow_crops_it() -> None:
    data = jpeg((40, 30), 1)
    for box in ([0, 0, 40, 30], [5, 2, 25, 12], [-3, -2, 20, 10], [30, 20, 55, 41], [9, 9, 10, 10]):
        np.testing.assert_array_equal(decode_pixels(data, box), np.asarray(decode(data, box)))


def turned() -> bytes:
    """Return a file that says it is to be turned."""
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = 6
    return jpeg((40, 30), 2, exif=exif)


def in_format(name: str) -> bytes:
    file = io.BytesIO()
    with Image.open(io.BytesIO(jpeg((40, 30), 3))) as picture:
        picture.save(file, name)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [turned(), jpeg((20, 10), 4, "CMYK"), in_format("PNG"), in_format("BMP")],
    ids=["turned", "CMYK", "PNG", "BMP"],
)
def test_other_files_are_left_to_pillow(data, monkeypatch) -> None:
    assert not is_fast(data, monkeypatch)
    np.testing.assert_array_equal(decode_pixels(data), np.asarray(decode(data)))


def damaged(data: bytes, draws: random.Random) -> bytes:
    """Return a file cut off, with bits turned round, or with something behind its end."""
    changed = bytearray(data)
    kind = draws.choice(("cut", "bit", "bits", "header", "more"))
    if kind == "cut":
        del changed[draws.randrange(2, len(changed)) :]
    elif kind == "more":
        changed += draws.randbytes(40)
    else:
        last = min(200, len(changed)) if kind == "header" else len(changed)
        for _ in range(1 + 2 * (kind == "bits")):
            changed[draws.randrange(2, last)] ^= 1 << draws.randrange(8)
    return bytes(changed)


def test_damaged_files_end_as_with_pillow() -> None:
    """Its refusal in its words, or the pixels that it makes of them."""
    draws = random.Random(0)
    refused = 0
    for number in range(400):
        how = dict(WAYS[number % len(WAYS)])
        data = damaged(jpeg(SIZES[1 + number % 4], number, **how), draws)
        expected = outcome(data, decode)
        refused += isinstance(expected, str)
        assert outcome(data, decode_pixels) == expected
    assert 50 < refused < 350


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="the real data are not there")
@pytest.mark.parametrize("folder", ["cub127/images", "imagenet_samples"])
def test_photographs_have_pillows_pixels(folder) -> None:
    """Of the files of the field's datasets every tenth; all of them are plain."""
    files = sorted((DATA / folder).rglob("*.jp*g"))[::10]
    assert len(files) >= 100
    for path in files:
        data = path.read_bytes()
        pixels = pictures._plain_jpeg(data)
        assert pixels is not None and np.array_equal(pixels, np.asarray(decode(data))), path


def test_an_empty_file_is_refused() -> None:
    with pytest.raises(FAULTS):
        decode_pixels(b"")
