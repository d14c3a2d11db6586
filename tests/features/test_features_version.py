"""FEATURES_VERSION is raised by hand: extraction does not run again for its code's sake, so here
its code is held beside the version.
"""

import shutil

import pytest

from tests.made_up.places import PACKAGE
from zslpipe.provenance import code_hash
from zslpipe.study.extractors import FEATURES_VERSION

# What decides a feature's value. Of the networks' module what cuts, normalises and folds; how a
# file of weights is read shows in the hash of the weights, which every feature file carries.
DECODED = ("zslpipe.pictures", "zslpipe.features.images", "zslpipe.features.mapper")
NETWORKS = "zslpipe.networks.backbones"
CUT = (
    *(f"{NETWORKS}:{name}" for name in ("Trunk", "folded", "last_map")),
    *(f"zslpipe.networks.library_networks:{name}" for name in ("normalisation", "_sizes")),
    "zslpipe.networks.token_maps:TokenMaps",
)
# The version, and the hash of that code when it was raised or looked at last.
HELD = (2, "07cd7da023f2b3ac-8cb9dfdfd872de8f")


def hash_of_code() -> str:
    return f"{code_hash(*DECODED, without=[NETWORKS])}-{code_hash(*CUT)}"


def test_code_that_decodes_crops_or_maps_does_not_change_under_an_unchanged_version() -> None:
    version, code = HELD
    if (version, code) == (FEATURES_VERSION, hash_of_code()):
        return
    found = f"({FEATURES_VERSION}, {hash_of_code()!r})"
    pytest.fail(
        "code that decodes, crops or maps images has changed. If one image's features can now "
        "differ, raise FEATURES_VERSION in zslpipe/study/extractors.py: nobody's features are "
        "extracted again otherwise. If they cannot (a refactoring), leave it: raising it costs GPU "
        f"days. Then write HELD = {found} here."
    )


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("pictures", '"white"', '"black"'),
        ("features/images", "antialias=True", "antialias=False"),
        ("features/mapper", "regions.mean(1)", "regions.amax(1)"),
        ("networks/backbones", "channels_last", "contiguous_format"),
    ],
)
def test_a_change_of_what_is_computed_changes_the_hash(tmp_path, module, old, new) -> None:
    """The hash is taken of a copy of the package in which one word differs."""
    shutil.copytree(PACKAGE, tmp_path / "zslpipe", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "zslpipe" / f"{module}.py"
    text = path.read_text(encoding="utf8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf8")
    package = tmp_path / "zslpipe"
    decoded = code_hash(*DECODED, without=[NETWORKS], package=package)
    assert f"{decoded}-{code_hash(*CUT, package=package)}" != hash_of_code()
