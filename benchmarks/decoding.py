"""Decoding of plain JPEG files: as jobs read them against Pillow alone, with equal pixels.

Run: python benchmarks/decoding.py [IMAGES --count 40 --rounds 9]. IMAGES is a folder of JPEG files,
of which the first of the alphabet are taken; without it JPEGs of 500 x 375 are rendered. Files are
in memory; forms take turns, CPU time of one thread, medians.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from extract import write_images

from zslpipe.pictures import decode, decode_pixels

AIM = 0.45  # ours: at most this share of Pillow's time


def with_pillow(data: bytes) -> np.ndarray:
    """Return a picture's pixels by Pillow alone."""
    return np.array(decode(data))


def read(folder: Path | None, count: int) -> list[bytes]:
    """Return the bytes of JPEG files of a folder, or of rendered ones."""
    if folder is not None:
        return [path.read_bytes() for path in sorted(folder.rglob("*.jpg"))[:count]]
    with tempfile.TemporaryDirectory() as name:
        return [(Path(name) / one).read_bytes() for one in write_images(Path(name), count)]


def main() -> None:
    """Time both forms in turns and print medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    files = read(given.images, given.count)
    forms = {"Pillow": with_pillow, "simplejpeg first": decode_pixels}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for data in files:
        np.testing.assert_array_equal(decode_pixels(data), with_pillow(data))
    for _ in range(given.rounds):
        for name, form in forms.items():
            start = time.process_time()
            for data in files:
                form(data)
            seconds[name].append(time.process_time() - start)
    medians = {name: statistics.median(taken) / len(files) for name, taken in seconds.items()}
    for name, median in medians.items():
        print(f"{name:16} {1e3 * median:6.2f} ms an image, {median / medians['Pillow']:.2f}")
    print(f"{len(files)} images, equal pixels; aim: at most {AIM}")


if __name__ == "__main__":
    main()
