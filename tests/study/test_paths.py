"""A user's paths that Snakemake cannot take: what is watched instead, and what is refused."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from zslpipe.machine.errors import InputError
from zslpipe.study.extractors import FEATURES_VERSION
from zslpipe.study.paths import braced, check_checkout, watched
from zslpipe.study.study import Study


def test_what_no_rule_can_name_is_watched_as_a_parameter(tmp_path: Path) -> None:
    plain, odd = tmp_path / "plain.csv", tmp_path / "{2019}.csv"
    for path in (plain, odd):
        path.write_text("12345", encoding="utf8")
        os.utime(path, ns=(0, 7))
    both = [str(plain), str(odd)]
    assert watched(both) == [str(plain)]
    assert braced(both) == f'[["{odd}",5,7]]'
    assert braced([str(plain), str(tmp_path / "{absent}.csv")]) == ""
    os.utime(odd, ns=(0, 8))
    assert braced(both) == f'[["{odd}",5,8]]'


@pytest.mark.parametrize("name", ["a {2019}", "a{", "a}", "a:b"])
def test_a_checkout_that_snakemake_cannot_work_in_is_named(name: str, tmp_path: Path) -> None:
    check_checkout(tmp_path, tmp_path / "it's #1 50% \u00e9")
    with pytest.raises(InputError, match="cannot work in a checkout with") as error:
        check_checkout(tmp_path, tmp_path / name)
    assert str(error.value).startswith(str(tmp_path / name))


def study_of(folder: Path, changes: str = "") -> Study:
    """Return a study of a dataset and a network whose files lie in a folder."""
    return Study(
        {
            "set": changes,
            "data_root": str(folder),
            "methods": ["eszsl", "crafting"],
            "datasets": {
                "own": {
                    "adapter": "folder",
                    "source": {"images": "i", "attributes": "a.csv", "unseen_classes": "u.txt"},
                    "extractors": ["net"],
                    "words": "ready",
                }
            },
            "extractors": {
                "net": {"backbone": "resnet18", "weights": "w.pt", "size": 224, "grid": 7}
            },
            "words": {"ready": {"kind": "ready", "file": "words.npy"}},
        }
    )


@pytest.mark.parametrize("name", ["plain", "a {2019}"])
def test_files_are_inputs_or_parameters(name: str, tmp_path: Path) -> None:
    folder = tmp_path / name
    folder.mkdir()
    for file in ("a.csv", "u.txt", "w.pt", "words.npy"):
        (folder / file).touch()
    made, is_plain = study_of(folder), name == "plain"
    run = SimpleNamespace(dataset="own", run="crafting/default")
    weights = [str(folder / "w.pt")]
    assert made.runs.inputs(run)["trunk"] == (weights if is_plain else [])
    assert "w.pt" in made.runs.options(run)
    assert ("w.pt" in made.runs.code(run, "train")) != is_plain
    assert ("a.csv" in made.datasets.code("own")) != is_plain
    assert (made.extractors.version("net") == FEATURES_VERSION) == is_plain
    assert ("weights_file" in made.extractors.how()["net"]) != is_plain
    before = made.datasets.code("own"), made.extractors.version("net")
    os.utime(folder / "a.csv", ns=(1, 1))
    os.utime(folder / "w.pt", ns=(1, 1))
    changed = made.datasets.code("own") != before[0], made.extractors.version("net") != before[1]
    assert changed == (not is_plain, not is_plain)


def test_what_a_folder_says_of_its_weights_is_a_parameter(tmp_path: Path) -> None:
    """Of a training from images, too, which has no other trace of it."""
    (tmp_path / "vit").mkdir()
    (tmp_path / "vit" / "model.safetensors").touch()
    changes = "extractors.net.backbone=timm/test_vit extractors.net.weights='hf:vit'"
    changes += " extractors.net.size=64 extractors.net.grid=4 eszsl.extractor=net"
    changes += " crafting.extractor=net crafting.variants.cached.input=pooled"
    found: dict[str, set[str]] = {"version": set(), "crafting/default": set()}
    found["crafting/cached"] = set()
    said = {"architecture": "test_vit", "pretrained_cfg": {"mean": [0.5, 0.5, 0.5]}}
    for mean, indent in ((0.5, 0), (0.5, 4), (0.4, 0)):
        text = json.dumps(said | {"pretrained_cfg": {"mean": [mean] * 3}}, indent=indent)
        (tmp_path / "vit" / "config.json").write_text(text, encoding="utf8")
        made = study_of(tmp_path, changes)
        found["version"].add(str(made.extractors.version("net")))
        for name in ("crafting/default", "crafting/cached"):
            run = SimpleNamespace(dataset="own", run=name)
            found[name].add(made.runs.code(run, "train"))
    # A run on features has them as its input.
    assert [len(values) for values in found.values()] == [2, 2, 1]
