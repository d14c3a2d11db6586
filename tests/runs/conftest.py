"""What tests of runs on a ``dataset`` with pictures (tests.made_up.pictured) ask for."""

from pathlib import Path

import pytest

from zslpipe.formats.index import Index, read_index


@pytest.fixture(scope="module")
def index(dataset: Path) -> Index:
    return read_index(dataset / "index.h5")


@pytest.fixture(scope="module")
def images(dataset: Path, index: Index) -> list[Path]:
    return [dataset / "images" / name for name in index.paths]
