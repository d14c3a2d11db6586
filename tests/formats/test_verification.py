"""All files of a study at once: what is damaged, and which job makes it again."""

import fcntl
import shutil

import numpy as np
import pytest
import torch

from tests.formats.test_hdf5 import FILES
from tests.formats.test_integrity import write_regions, write_weights
from tests.made_up.miniature import miniature_index
from zslpipe.commands.cli import main
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.history import write_history
from zslpipe.formats.index import write_index
from zslpipe.formats.verification import verify
from zslpipe.machine.errors import InputError
from zslpipe.machine.seals import MARK, seal
from zslpipe.scores.evaluation import write_metrics

SEED = "birds/runs/rsan/default/seed0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A folder of results with a file of every kind."""
    root = tmp_path_factory.mktemp("study") / "results"
    places = {
        "words": "birds/words/glove.h5",
        "scores": f"{SEED}/scores.h5",
        "irrelevant": f"{SEED}/irrelevant.h5",
        "attention": f"{SEED}/attention.h5",
        "gradcam": f"{SEED}/gradcam.h5",
        "list": "irrelevant/bags.h5",
    }
    for kind, place in places.items():
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        FILES[kind][0](root / place)
    seal(root / places["attention"])  # the made-up one is changed in place
    write_index(miniature_index(np.random.default_rng(0)), root / "birds/index.h5")
    (root / "birds/features").mkdir()
    write_regions(root / "birds/features/small.h5")
    (root / "birds/features/small.json").write_text('{"name": "small"}\n')
    write_weights(root / SEED / "weights.pt")
    torch.save({"a": torch.arange(9)}, root / "birds/backbone.pt")
    seal(root / "birds/backbone.pt")
    write_metrics(root / SEED / "scores.h5", root / SEED / "metrics.json")
    row = {"phase": "train", "stage": "", "epoch": 1, "step": 3, "loss": 0.5, "seconds": 1.0}
    write_history([row], root / SEED / "history.csv")
    return root


@pytest.fixture
def study(whole, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(whole, tmp_path / "results")


def test_what_is_whole_is_told_in_one_line(study, capsys):
    found = verify(study)
    assert (found.files, found.without_seal, found.damaged) == (13, 0, ())
    assert found.size == sum(path.stat().st_size for path in study.rglob("*") if path.is_file())
    assert main(["verify", str(study)]) == 0
    said = capsys.readouterr().out
    assert said.startswith("no damage: 13 files, 0.00 GB, ")
    assert said.count("\n") == 1


KINDS = (
    *("birds/index.h5", "birds/words/glove.h5", "birds/features/small.h5", "irrelevant/bags.h5"),
    *(f"{SEED}/scores.h5", f"{SEED}/irrelevant.h5", f"{SEED}/attention.h5", f"{SEED}/gradcam.h5"),
    *(f"{SEED}/weights.pt", "birds/backbone.pt"),
)


@pytest.mark.parametrize("place", KINDS)
def test_one_flipped_byte_is_found_with_its_job(study, capsys, caplog, place):
    data = bytearray((study / place).read_bytes())
    data[len(data) // 2] ^= 64
    (study / place).write_bytes(data)
    assert main(["verify", str(study)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{study / place}: ")
    assert line.endswith(f"makes it again [snakemake --force results/{place}]")
    assert caplog.messages[-1].startswith("error: 1 damaged of 13 files, ")


def test_each_block_of_features_is_looked_at(study):
    path = study / "birds/features/small.h5"
    for name, slab in FeatureFile(path).slabs.items():
        offset, count = slab.place()
        whole = path.read_bytes()
        for place in (offset, offset + count - 1):
            data = bytearray(whole)
            data[place] ^= 1
            path.write_bytes(data)
            assert name in verify(study).damaged[0]
        path.write_bytes(whole)
    assert verify(study).damaged == ()


def test_texts_have_to_be_readable(study):
    (study / SEED / "metrics.json").write_text("{")
    (study / SEED / "history.csv").write_text("no header")
    (study / "birds/features/small.json").write_text("{")
    damaged = verify(study).damaged
    assert len(damaged) == 3
    assert f"[snakemake --force results/{SEED}/metrics.json]" in " ".join(damaged)


def test_what_is_in_use_is_not_called_damaged(study, capsys, caplog):
    with (study / "birds/index.h5").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        found = verify(study)
        assert main(["verify", str(study)]) == 1
    assert found.damaged == () and len(found.unread) == 1
    assert "in use, another process writes to it" in capsys.readouterr().out
    assert "1 could not be looked at, no damage in the rest" in caplog.messages[-1]


def test_a_folder_without_files_of_a_study_is_no_sound_study(tmp_path):
    with pytest.raises(InputError, match="nothing that a study leaves lies in it"):
        verify(tmp_path)


def test_files_cut_off_or_without_a_stamp(study):
    path = study / SEED / "weights.pt"
    path.write_bytes(path.read_bytes()[:300])
    (study / "birds/features/other.h5").write_bytes(b"")
    assert len(verify(study).damaged) == 2


def test_what_has_no_seal_is_counted(study, capsys):
    path = study / SEED / "scores.h5"
    path.write_bytes(path.read_bytes()[: path.read_bytes().rindex(MARK)])
    assert main(["verify", str(study)]) == 0
    assert "; 1 have no seal" in capsys.readouterr().out


def test_weights_without_a_seal_have_the_checksums_of_their_zip_file(study):
    path = study / SEED / "weights.pt"
    data = path.read_bytes()[: path.read_bytes().rindex(MARK)]
    with torch.no_grad():
        place = data.index(torch.load(path, weights_only=True)["state"]["weight"].numpy().tobytes())
    path.write_bytes(data)
    assert verify(study).damaged == ()
    path.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    assert "in it is damaged" in verify(study).damaged[0]


def test_work_folders_pictures_and_tables_are_passed_over(study):
    for place in (f"{SEED}/.seed0.work/x.h5", "tables/main.csv", "birds/images/a.json"):
        (study / place).parent.mkdir(parents=True, exist_ok=True)
        (study / place).write_text("{")
    (study / SEED / "scores.h5.host.12.partial").write_text("x")
    assert verify(study).files == 13


def test_a_file_of_no_known_kind_is_under_its_seal_alone(study):
    path = study / "birds/mine.h5"
    shutil.copy(study / "birds/words/glove.h5", path)
    assert verify(study).damaged == ()
    data = bytearray(path.read_bytes())
    data[700] ^= 1
    path.write_bytes(data)
    assert "mine.h5: not a readable HDF5 file" in verify(study).damaged[0]
