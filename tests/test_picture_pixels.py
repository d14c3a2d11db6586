"""The picture that a viewer shows, or a refusal: depth, transparency, turns, CMYK, frames."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from zslpipe.machine.errors import InputError
from zslpipe.pictures import load_picture, measure, open_picture, picture_size

RAMP = np.linspace(0, 65535, 24 * 32).reshape(24, 32).astype(np.uint16)
COLOURS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
SMOOTH = np.indices((24, 32)).sum(0)[..., None].repeat(3, 2).astype(np.uint8) * 4
ORIENTATION = 0x0112


def shown(path: Path) -> np.ndarray:
    return np.asarray(open_picture(path)).astype(int)


def png(colour: int, values: np.ndarray, *chunks: tuple[bytes, bytes], depth: int = 16) -> bytes:
    """Return a PNG of (height, width, channels) values, written by the book; ``chunks`` stand
    behind its pixels where their name is lower case in the first letter.
    """

    def chunk(name: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + checksum

    height, width = values.shape[:2]
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in values)
    before = b"".join(chunk(*one) for one in chunks if one[0] == b"tRNS")
    after = b"".join(chunk(*one) for one in chunks if one[0] != b"tRNS")
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + pixels
        + after
        + chunk(b"IEND", b"")
    )


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    expected = np.repeat(np.round(RAMP / 257).astype(int)[..., None], 3, 2)
    for name in ("x.png", "x.tif"):
        Image.fromarray(RAMP).save(tmp_path / name)
        assert np.array_equal(shown(tmp_path / name), expected)
    (tmp_path / "x.pgm").write_bytes(b"P5 32 24 65535\n" + RAMP.astype(">u2").tobytes())
    assert np.array_equal(shown(tmp_path / "x.pgm"), expected)
    # Netpbm states its white: 4095 here is full white, not a dark 16-bit value.
    (tmp_path / "12.pgm").write_bytes(b"P5 32 24 4095\n" + (RAMP >> 4).astype(">u2").tobytes())
    assert np.abs(shown(tmp_path / "12.pgm") - expected).max() <= 1
    three = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], 2)
    (tmp_path / "rgb.png").write_bytes(png(2, three))
    assert np.abs(shown(tmp_path / "rgb.png") - three / 257).max() < 1


def test_white_may_be_zero(tmp_path):
    Image.fromarray(RAMP).save(tmp_path / "x.tif", tiffinfo={262: 0})
    expected = 255 - np.round(RAMP / 257).astype(int)
    assert np.abs(shown(tmp_path / "x.tif")[..., 0] - expected).max() <= 1


@pytest.mark.parametrize("name", ["x.png", "x.tif", "rgb.png", "alpha.png"])
def test_twelve_bits_in_sixteen_are_refused(tmp_path, name):
    dark = RAMP >> 4
    if name == "rgb.png":
        (tmp_path / name).write_bytes(png(2, dark[..., None].repeat(3, 2)))
    elif name == "alpha.png":
        (tmp_path / name).write_bytes(png(4, np.stack([dark, np.full_like(dark, 65535)], 2)))
    else:
        Image.fromarray(dark).save(tmp_path / name)
    with pytest.raises(
        InputError, match=r"16 bits a pixel, but no value above \d+: 12 bits or fewer"
    ):
        load_picture(tmp_path, name)
    black = np.zeros((3, 4), np.uint16)
    Image.fromarray(black).save(tmp_path / "black.png")
    assert shown(tmp_path / "black.png").max() == 0


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (RAMP.astype(np.float32), "floating-point pixels: nothing says which value is white"),
        (RAMP.astype(np.float32) / 65535, "floating-point pixels"),
        (RAMP.astype(np.int32), "signed pixels: nothing says which value is white"),
        (COLOURS[..., 0], "signed pixels"),
    ],
)
def test_pixels_without_a_white_are_refused(tmp_path, pixels, message):
    # Of whole numbers the tag SampleFormat says whether they have a sign.
    told = {} if pixels.dtype == np.float32 else {339: 2}
    Image.fromarray(pixels).save(tmp_path / "x.tif", tiffinfo=told)
    with pytest.raises(InputError, match=f"not a readable image .*{message}"):
        load_picture(tmp_path, "x.tif")
    with pytest.raises(ValueError, match=message):
        picture_size(tmp_path / "x.tif")  # the header tells: no index lists it


def on_white(colours: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None] / 255
    return colours * share + 255 * (1 - share)


def test_what_is_transparent_lies_on_white(tmp_path):
    alpha = np.zeros((24, 32), np.uint8)
    alpha[:, 8:16], alpha[:, 16:] = 128, 255
    rgba = np.dstack([COLOURS, alpha])
    for name in ("x.png", "x.tif", "x.webp"):
        Image.fromarray(rgba).save(
            tmp_path / name, **({"lossless": True, "exact": True} if name == "x.webp" else {})
        )
        assert np.abs(shown(tmp_path / name) - on_white(COLOURS, alpha)).max() <= 1
        assert (shown(tmp_path / name)[:, :8] == 255).all()
    Image.fromarray(rgba[..., [0, 3]], "LA").save(tmp_path / "la.png")
    grey = COLOURS[..., :1].repeat(3, 2)
    assert np.abs(shown(tmp_path / "la.png") - on_white(grey, alpha)).max() <= 1


def test_a_colour_or_a_place_of_a_palette_may_be_transparent(tmp_path):
    palette = Image.fromarray(COLOURS).quantize(8)
    hidden = np.asarray(palette) == 3
    expected = np.where(hidden[..., None], 255, np.asarray(palette.convert("RGB")))
    for name in ("x.png", "x.gif"):
        palette.save(tmp_path / name, transparency=3)
        assert np.array_equal(shown(tmp_path / name), expected)
    grey = COLOURS[..., 0] // 64 * 64
    Image.fromarray(grey).save(tmp_path / "l.png", transparency=64)
    expected = np.where(grey == 64, 255, grey)[..., None].repeat(3, 2)
    assert np.array_equal(shown(tmp_path / "l.png"), expected)
    deep = np.where(grey == 64, 64, grey.astype(np.uint16) * 257)[..., None]
    (tmp_path / "l16.png").write_bytes(png(0, deep, (b"tRNS", struct.pack(">H", 64))))
    assert np.array_equal(shown(tmp_path / "l16.png"), expected)


def test_opaque_alpha_changes_nothing_and_all_transparent_is_refused(tmp_path):
    Image.fromarray(np.dstack([COLOURS, np.full((24, 32), 255, np.uint8)])).save(tmp_path / "x.png")
    assert np.array_equal(shown(tmp_path / "x.png"), COLOURS)
    Image.fromarray(np.dstack([COLOURS, np.zeros((24, 32), np.uint8)])).save(tmp_path / "y.png")
    with pytest.raises(InputError, match="every pixel is transparent"):
        load_picture(tmp_path, "y.png")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_as_exif_says(tmp_path, ending, turn):
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    path = tmp_path / f"x.{ending}"
    options = {"jpg": {"quality": 100}, "webp": {"lossless": True}}.get(ending, {})
    Image.fromarray(SMOOTH).save(path, exif=exif, **options)
    plain = tmp_path / f"plain.{ending}"
    Image.fromarray(SMOOTH).save(plain, **options)
    # By EXIF's own words: which side of the picture the stored first row and first column are.
    expected = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: a[::-1].swapaxes(0, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: a[:, ::-1].swapaxes(0, 1),
    }[turn](np.asarray(Image.open(plain).convert("RGB")))
    assert np.array_equal(shown(path), expected)
    assert picture_size(path) == expected.shape[1::-1]
    assert measure(path) == (picture_size(path), turn)
    box = (2, 3, 12, 20)
    assert np.array_equal(np.asarray(open_picture(path, box)), expected[3:20, 2:12])


def test_an_orientation_behind_the_pixels_counts_too(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    data = exif.tobytes()[6:]
    (tmp_path / "x.png").write_bytes(png(2, COLOURS, (b"eXIf", data), depth=8))
    assert np.array_equal(shown(tmp_path / "x.png"), COLOURS[::-1].swapaxes(0, 1))
    assert measure(tmp_path / "x.png") == ((24, 32), 6)


def test_a_broken_orientation_is_none(tmp_path):
    Image.fromarray(SMOOTH).save(tmp_path / "x.png", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff")
    assert np.array_equal(shown(tmp_path / "x.png"), SMOOTH)
    exif = Image.Exif()
    exif[ORIENTATION] = 9
    Image.fromarray(SMOOTH).save(tmp_path / "y.png", exif=exif)
    assert np.array_equal(shown(tmp_path / "y.png"), SMOOTH)


def test_cmyk_is_inverted_only_where_adobe_wrote_it(tmp_path):
    colours = np.zeros((16, 16, 3), np.uint8)
    colours[:, :8], colours[:, 8:] = (200, 30, 60), (10, 250, 90)
    picture = Image.fromarray(colours).convert("CMYK")
    stored = io.BytesIO()
    picture.save(stored, "JPEG", quality=100, subsampling=0)
    data = stored.getvalue()
    (tmp_path / "adobe.jpg").write_bytes(data)
    assert np.abs(shown(tmp_path / "adobe.jpg") - colours).max() <= 6
    start = data.index(b"\xff\xee")
    length = struct.unpack(">H", data[start + 2 : start + 4])[0]
    (tmp_path / "plain.jpg").write_bytes(data[:start] + data[start + 2 + length :])
    inverted = np.asarray(Image.fromarray(255 - np.asarray(picture), "CMYK").convert("RGB"))
    assert np.abs(shown(tmp_path / "plain.jpg") - inverted).max() <= 6
    picture.save(tmp_path / "x.tif")
    assert np.array_equal(shown(tmp_path / "x.tif"), np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize("name", ["x.gif", "x.webp", "x.png", "x.tif"])
def test_of_several_frames_the_first_is_shown(tmp_path, name):
    frames = [Image.new("RGB", (12, 10), colour) for colour in ("red", "lime", "blue")]
    lossless = {"lossless": True} if name == "x.webp" else {}
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **lossless)
    assert np.array_equal(shown(tmp_path / name), np.asarray(frames[0]))


def test_a_picture_too_large_is_told_with_its_size_and_what_to_do(tmp_path):
    zeros = zlib.compress(bytes(20001 * 4), 1)
    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n"
    for name, chunk in ((b"IHDR", header), (b"IDAT", zeros)):
        checksum = struct.pack(">I", zlib.crc32(name + chunk))
        data += struct.pack(">I", len(chunk)) + name + chunk + checksum
    (tmp_path / "x.png").write_bytes(data)
    expected = "400000000 pixels, more than the 178956970 that are opened; make it smaller"
    with pytest.raises(InputError, match=expected):
        load_picture(tmp_path, "x.png")


def test_pillow_would_turn_in_the_same_way(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 5
    Image.fromarray(COLOURS).save(tmp_path / "x.png", exif=exif)
    with Image.open(tmp_path / "x.png") as image:
        assert np.array_equal(shown(tmp_path / "x.png"), np.asarray(ImageOps.exif_transpose(image)))
