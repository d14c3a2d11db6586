"""Every index says of which settings it was made, as the study of the same settings asks it."""

from pathlib import Path

import pytest

from tests.made_up import lookalike
from tests.made_up.deepfashion import write_deepfashion
from zslpipe.datasets.adapters import deepfashion, demo, folder, xlsa17
from zslpipe.formats.identity import check_index_source
from zslpipe.formats.index import read_index
from zslpipe.machine.errors import InputError
from zslpipe.study.study import Study

ADAPTERS = {"folder": folder, "deepfashion": deepfashion, "xlsa17": xlsa17, "demo": demo}
ANOTHER = {
    "folder": {"test_seen_fraction": 0.4},
    "deepfashion": {"seed": 5},
    "xlsa17": {"seed": 5},
    "demo": {"seed": 5},
}


def settings_of(name: str, root: Path) -> dict[str, object]:
    if name == "demo":
        return {"images_per_class": 2, "auxiliary_classes": 2, "auxiliary_images_per_class": 1}
    if name == "deepfashion":
        return write_deepfashion(root)
    return lookalike.write_folder(root) if name == "folder" else lookalike.write_xlsa17(root)


def asked(name: str, settings: dict[str, object]) -> dict[str, str]:
    """Return what the study of a dataset with these settings asks of its index."""
    entry = {"adapter": name, "source": settings, "extractors": ["x"]}
    extractor = {"backbone": "stored", "size": 224, "grid": 1}
    config = {"methods": ["eszsl"], "datasets": {"mine": entry}, "extractors": {"x": extractor}}
    (run,) = Study(config).runs.all.values()
    return dict(run.index)


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_index_is_what_the_study_asks(tmp_path, name):
    settings = settings_of(name, tmp_path)
    path = tmp_path / "results" / "mine" / "index.h5"
    ADAPTERS[name].write(settings, path, tmp_path)
    index = read_index(path)
    check_index_source(path, index, asked(name, settings))
    other = settings | ANOTHER[name]
    with pytest.raises(InputError, match="not what was asked: made_of: asked"):
        check_index_source(path, index, asked(name, other))
