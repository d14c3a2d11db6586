import numpy as np
import pytest

from zslpipe.features.archive import pack, unpack
from zslpipe.formats import features
from zslpipe.formats.features import BlockWriter
from zslpipe.machine.errors import InputError


def feature_file(folder, images=300):
    random = np.random.default_rng(0)
    regions = random.normal(size=(images, 4, 8)).astype(np.float16)
    pooled = regions.astype(np.float32).mean(1)
    shapes = {"regions": (regions.shape, "float16"), "pooled": (pooled.shape, "float32")}
    # As an extraction's: texts, numbers and means of channels as float32, in no alphabet's order.
    attributes = {"extractor": "m", "backbone": "demo", "grid": 2}
    attributes["deviation"] = np.array([0.229, 0.224], np.float32)
    writer = BlockWriter(folder / ".m.work", shapes, attributes)
    for block in range(-(-images // features.BLOCK)):
        part = slice(block * features.BLOCK, (block + 1) * features.BLOCK)
        writer.write(block, {"regions": regions[part], "pooled": pooled[part]})
    writer.finish(folder / "m.h5")
    return regions, pooled


def test_an_archive_gives_the_feature_file_back(tmp_path):
    regions, pooled = feature_file(tmp_path)
    pack(tmp_path / "m.h5", tmp_path / "m.zarr")
    unpack(tmp_path / "m.zarr", tmp_path / "again" / "m.h5")
    assert (tmp_path / "again" / "m.h5").read_bytes() == (tmp_path / "m.h5").read_bytes()
    again = features.FeatureFile(tmp_path / "again" / "m.h5")
    assert np.array_equal(again.regions, regions)
    assert np.array_equal(again.pooled, pooled)
    assert again.attributes["extractor"] == "m"
    assert again.attributes["grid"] == 2
    assert again.attributes["deviation"].dtype == np.float32


def test_archives_are_not_overwritten_and_half_ones_refused(tmp_path):
    feature_file(tmp_path)
    pack(tmp_path / "m.h5", tmp_path / "m.zarr")
    with pytest.raises(InputError, match="exists already"):
        pack(tmp_path / "m.h5", tmp_path / "m.zarr")
    with pytest.raises(InputError, match="no such archive"):
        unpack(tmp_path / "other.zarr", tmp_path / "n.h5")
    metadata = tmp_path / "m.zarr" / "zarr.json"
    metadata.write_text(metadata.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(InputError, match="not complete"):
        unpack(tmp_path / "m.zarr", tmp_path / "n.h5")
