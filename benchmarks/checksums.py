"""The checksum of a block of features: zlib-ng's CRC-32 against zlib's, the same number.

Run: python benchmarks/checksums.py [--megabytes 50 --rounds 9]. A block of 256 images of
7x7x2048 is 51 MB. The bytes are random and in memory; forms take turns, CPU time of one thread,
medians.
"""

import argparse
import statistics
import time
import zlib

import numpy as np

from zslpipe.machine.checksums import crc32


def main() -> None:
    """Time both forms in turns and print their rates and ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    data = np.random.default_rng(0).bytes(given.megabytes * 1_000_000)
    forms = {"zlib": zlib.crc32, "zlib-ng": crc32}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    numbers = set()
    for _ in range(given.rounds):
        for name, form in forms.items():
            start = time.process_time()
            numbers.add(form(data))
            seconds[name].append(time.process_time() - start)
    assert len(numbers) == 1
    medians = {name: statistics.median(taken) for name, taken in seconds.items()}
    for name, median in medians.items():
        rate = len(data) / 1e9 / median
        print(f"{name:8} {rate:5.1f} GB/s, {medians['zlib'] / median:.1f} x zlib's rate")


if __name__ == "__main__":
    main()
