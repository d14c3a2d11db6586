"""Where the bytes of a feature file lie, to damage them."""

from pathlib import Path

from zslpipe.formats.shards import ShardedArray
from zslpipe.formats.slabs import Slab

STORAGES = ("hdf5", "zarr")


def place_of(path: Path, slab: Slab | ShardedArray, row: int) -> tuple[Path, int]:
    """Return the file and the offset in it of a row of the feature file ``path``."""
    if isinstance(slab, Slab):
        return path, slab.offset + row * slab.row_bytes
    return slab.path(row // slab.block), row % slab.block * slab.row_bytes


def flip(path: Path, offset: int) -> None:
    """Change a bit of a file."""
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)
        file.seek(offset)
        file.write(bytes([byte[0] ^ 1]))


def all_bytes(path: Path) -> dict[str, bytes]:
    """Return all bytes of a feature file and of its store, where it has one."""
    store = path.with_suffix(".zarr")
    found = {one.relative_to(store).as_posix(): one for one in store.rglob("*") if one.is_file()}
    return {name: one.read_bytes() for name, one in {**found, "": path}.items()}
