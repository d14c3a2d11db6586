"""CRC-32 of the bytes of large files: zlib's numbers, by the processor's own multiplication without
carries instead of tables.

Every block of features is read whole for its checksum before a training takes a row of it, so that
the checksum's rate is a share of the first epoch.
"""

from zlib_ng import zlib_ng


def crc32(data: bytes | memoryview, before: int = 0) -> int:
    """Return the CRC-32 of ``data``, of any length, behind bytes of which ``before`` is the CRC-32
    (0: none). Other threads go on meanwhile.
    """
    return zlib_ng.crc32(data, before)
