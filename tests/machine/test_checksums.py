"""The CRC-32 of large data is zlib's, whatever the length, the memory and the steps."""

import mmap
import zlib
from functools import reduce

import numpy as np
import pytest

from zslpipe.machine.checksums import crc32

RANDOM = np.random.default_rng(0).integers(0, 256, 1 << 20, np.uint8).tobytes()
# Around the sizes at which implementations change their way: words, folds, chunks.
LENGTHS = [*range(300), 1023, 1024, 1025, 4096, 5119, 5120, 5121, 65535, 65537, 999_983, 1 << 20]
REVERSED_POLYNOMIAL = 0xEDB88320  # of IEEE 802.3


def bit_by_bit(data: bytes) -> int:
    """Return the CRC-32 by its definition: a division of polynomials, a bit at a time."""
    rest = 0xFFFFFFFF
    for byte in data:
        rest ^= byte
        for _ in range(8):
            rest = rest >> 1 ^ (REVERSED_POLYNOMIAL if rest & 1 else 0)
    return rest ^ 0xFFFFFFFF


def times(matrix: list[int], vector: int) -> int:
    """Return the product of a matrix over the field of two elements, given as its columns, and a
    vector of bits.
    """
    columns = [column for bit, column in enumerate(matrix) if vector >> bit & 1]
    return reduce(lambda one, other: one ^ other, columns, 0)


def of_zeros(power: int) -> int:
    """Return the CRC-32 of 2**power bytes of zeros: each doubling squares what they do to the
    rest of the division.
    """
    columns = []
    for bit in range(32):
        rest = 1 << bit
        for _ in range(8):
            rest = rest >> 1 ^ (REVERSED_POLYNOMIAL if rest & 1 else 0)
        columns.append(rest)
    for _ in range(power):
        columns = [times(columns, column) for column in columns]
    return times(columns, 0xFFFFFFFF) ^ 0xFFFFFFFF


def test_the_check_value_of_the_standard() -> None:
    assert crc32(b"123456789") == 0xCBF43926 == bit_by_bit(b"123456789")
    assert crc32(b"") == 0 and crc32(b"", 7) == 7


@pytest.mark.parametrize("offset", [0, 1, 7])  # aligned to words and not
def test_every_length_gives_zlibs_number(offset: int) -> None:
    for length in LENGTHS:
        data = memoryview(RANDOM)[offset : offset + length]
        assert crc32(data) == zlib.crc32(data), length
        assert crc32(data.tobytes(), 0xDEADBEEF) == zlib.crc32(data, 0xDEADBEEF), length
    assert crc32(RANDOM[:200]) == bit_by_bit(RANDOM[:200])


def test_steps_give_the_number_of_the_whole() -> None:
    generator = np.random.default_rng(1)
    for _ in range(50):
        cuts = np.sort(generator.integers(0, len(RANDOM), 5))
        checksum = 0
        for part in np.split(np.frombuffer(RANDOM, np.uint8), cuts):
            checksum = crc32(part.data, checksum)
        assert checksum == zlib.crc32(RANDOM)


def test_arrays_count_in_bytes() -> None:
    values = np.frombuffer(RANDOM, np.float16).reshape(64, 4, -1)
    assert crc32(values.data) == zlib.crc32(RANDOM)
    assert crc32(values[3:5].data) == zlib.crc32(values[3:5].tobytes())


def test_the_rest_of_zeros_is_that_of_the_definition() -> None:
    for power in range(8):
        assert of_zeros(power) == bit_by_bit(bytes(1 << power))


@pytest.mark.slow
def test_more_than_four_gibibytes_are_one_number() -> None:
    # Pages of an anonymous map that nobody has written are all one page of zeros.
    with mmap.mmap(-1, (1 << 32) + 5, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as data:
        data[-5:] = b"ended"
        with memoryview(data) as view:
            assert crc32(view) == zlib.crc32(b"ended", of_zeros(32))
    assert crc32(b"ended") != zlib.crc32(b"ended", of_zeros(32))
