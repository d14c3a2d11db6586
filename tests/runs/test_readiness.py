"""Whether a training can begin: what it reads is looked at before the last one's results go."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from tests.made_up.miniature import write_miniature
from tests.made_up.specification import SPEC
from zslpipe.formats.index import read_index
from zslpipe.machine.errors import InputError
from zslpipe.runs.readiness import check_inputs

IMAGES = {**SPEC, "method": "rsan", "input": "images"}
STATE = {"weight": torch.arange(400.0)}


@pytest.fixture
def paths(tmp_path: Path) -> dict[str, Path]:
    """The miniature with its pictures."""
    paths = write_miniature(tmp_path)
    for name in read_index(paths["index"]).paths:
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    return paths


def check(paths: dict[str, Path], trunk: Path | None = None) -> None:
    check_inputs(IMAGES, paths["index"], None, None, paths["index"].parent, trunk)


def test_weights_of_every_tool_pass(paths: dict[str, Path], tmp_path: Path) -> None:
    """Files of torch before 1.6, of safetensors and without checksums are no zip files, or bare."""
    old, safe, bare = (tmp_path / name for name in ("old.pth", "x.safetensors", "bare.pt"))
    torch.save(STATE, old, _use_new_zipfile_serialization=False)
    save_file(STATE, safe)
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(STATE, bare)
    finally:
        torch.serialization.set_crc32_options(True)
    for trunk in (None, old, safe, bare):
        check(paths, trunk)


def test_a_byte_of_the_users_weights_that_changed_is_told(
    paths: dict[str, Path], tmp_path: Path
) -> None:
    trunk = tmp_path / "x.pt"
    torch.save(STATE, trunk)
    data = bytearray(trunk.read_bytes())
    data[data.index(STATE["weight"].numpy().tobytes()) + 9] ^= 1
    trunk.write_bytes(data)
    with pytest.raises(InputError, match=r"x\.pt: .*data/0 in it is damaged: .* another copy"):
        check(paths, trunk)


def test_a_damaged_backbone_of_the_demo_is_made_again(paths: dict[str, Path]) -> None:
    trunk = paths["index"].parent / "backbone.pt"
    torch.save(STATE, trunk)
    check(paths, trunk)
    trunk.write_bytes(trunk.read_bytes()[:300])
    with pytest.raises(InputError, match="the rule 'pretrain' makes it again"):
        check(paths, trunk)


def test_missing_pictures_are_counted(paths: dict[str, Path]) -> None:
    (paths["index"].parent / "3.png").unlink()
    with pytest.raises(InputError, match=r"1 of 92 images missing in .*: 3\.png"):
        check(paths)
