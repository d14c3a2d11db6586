"""Every HDF5 file of the chain is refused in one line where it is absent, damaged, lacks a part, or
is in use.
"""

import errno
import fcntl
import json
import os

import h5py
import numpy as np
import pytest
from PIL import Image

from tests.formats.test_scores import irrelevant, matrix
from tests.made_up.parts import CENTRES, attention_file, cell_peaks, made_up_index
from zslpipe.formats.attention import read_peaks, read_pictured, write_attention
from zslpipe.formats.features import FeatureFile, locate_slabs, write_pooled_features
from zslpipe.formats.gradcam import read_explained, write_explained
from zslpipe.formats.hdf5 import read_stamped, stamped, texts, write_texts
from zslpipe.formats.image_list import read_irrelevant_images, write_image_list
from zslpipe.formats.index import read_index, write_index
from zslpipe.formats.scores import read_irrelevant, read_scores, write_irrelevant, write_scores
from zslpipe.formats.words import read_words, write_words_file
from zslpipe.machine.errors import InputError

SPEC = {"dataset": "made up", "method": "rsan", "variant": "default", "further": "not written"}


def explained():
    generator = np.random.default_rng(0)
    arrays = {"images": np.arange(3), "labels": np.arange(3), "predicted": np.arange(3)}
    arrays |= {"attributes": np.zeros((3, 2), int), "maps": generator.random((3, 4, 4))}
    return arrays | {"maps_without": generator.random((3, 2, 4, 4))}


def attention(path):
    attention_file(path, made_up_index(), cell_peaks(np.random.default_rng(0), 36, 5))


# Each file: how it is written and read, a dataset and an attribute that it cannot do without.
FILES = {
    "index": (lambda path: write_index(made_up_index(), path), read_index, "parts/name", "notes"),
    "words": (
        lambda path: write_words_file(path, np.ones((2, 3)), ["a", "b"], "GloVe", {}, {}),
        read_words,
        "vectors",
        "source",
    ),
    "scores": (lambda path: write_scores(path, matrix()), read_scores, "seen", "chosen"),
    "irrelevant": (
        lambda path: write_irrelevant(path, irrelevant()),
        read_irrelevant,
        "classes",
        "source",
    ),
    "attention": (attention, read_peaks, "test/peaks", "kind"),
    "gradcam": (
        lambda path: write_explained(path, explained(), SPEC, 0, CENTRES),
        read_explained,
        "maps",
        "variant",
    ),
    "list": (
        lambda path: write_image_list(path, "VOC", {}, ["a.jpg"]),
        read_irrelevant_images,
        "paths",
        "source",
    ),
    "features": (
        lambda path: write_pooled_features(path, np.ones((3, 2)), {"extractor": "x"}),
        FeatureFile,
        "pooled",
        "complete",
    ),
}


@pytest.fixture(params=FILES)
def file(request, tmp_path):
    """Return a whole file, its reader, a dataset and an attribute of it."""
    write, read, dataset, attribute = FILES[request.param]
    write(tmp_path / "x.h5")
    read(tmp_path / "x.h5")
    return tmp_path / "x.h5", read, dataset, attribute


def refused(path, read, message):
    with pytest.raises(InputError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_said_to_be_absent_and_who_writes_it(file):
    path, read, _, _ = file
    path.unlink()
    refused(path, read, r"no such file; .+ writes it$")


@pytest.mark.parametrize("kept", [0, 50, 600, -8])
def test_a_file_that_was_cut_off_is_to_be_deleted(file, kept):
    path, read, _, _ = file
    path.write_bytes(path.read_bytes()[:kept])
    refused(path, read, r"not a readable .*(delete it and run again|name another file)")


def test_a_missing_part_is_named(file):
    path, read, dataset, attribute = file
    with h5py.File(path, "r+") as opened:
        del opened.attrs[attribute]
    refused(path, read, f"lacks the attribute {attribute}|not stamped complete")
    with h5py.File(path, "r+") as opened:
        opened.attrs[attribute] = {"kind": "parts", "complete": True}.get(attribute, "[]")
        del opened[dataset]
    refused(path, read, r"not a readable .*it (lacks|holds neither)")


def test_a_file_that_another_process_writes_to_is_in_use_and_not_damaged(file):
    path, read, _, _ = file
    with path.open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)  # what HDF5 does to a file that it opens for writing
        refused(path, read, "in use, another process writes to it")
    read(path)


def test_only_a_finished_writer_stamps(tmp_path):
    with pytest.raises(RuntimeError, match="stopped"), stamped(tmp_path / "x.h5") as opened:
        opened["a"] = 1
        raise RuntimeError("stopped")
    assert list(tmp_path.iterdir()) == []
    with h5py.File(tmp_path / "x.h5", "w") as opened:
        opened["a"] = 1
    with pytest.raises(InputError, match=r"not stamped complete: .*to repeat nobody, delete it"):
        read_stamped(tmp_path / "x.h5", lambda opened: None, "file", "nobody")


def test_numbers_are_no_texts(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as opened:
        opened["a"] = [1, 2]
        with pytest.raises(KeyError, match="a holds no texts"):
            texts(opened, "a")


def test_attention_comes_back(tmp_path):
    path, maps = tmp_path / "new" / "attention.h5", np.ones((2, 3, 4, 4), np.float16)
    arrays = {"images": np.array([7, 9]), "labels": np.array([0, 1]), "predicted": np.array([1, 1])}
    write_attention(path, arrays | {"maps": maps}, SPEC, 5, "attributes", CENTRES)
    found = read_pictured(path, "attributes")
    assert found.title == "rsan / default on made up"
    assert found.scores is None
    assert np.array_equal(found.maps, maps)
    assert found.images.tolist() == [7, 9] and found.centres == CENTRES
    stamps = {name: SPEC[name] for name in ("dataset", "method", "variant")}
    with h5py.File(path) as opened:
        assert dict(opened.attrs) == stamps | {
            "seed": 5,
            "run": json.dumps(SPEC | {"seed": 5}, sort_keys=True),
            "kind": "attributes",
            "cell_first": CENTRES.first,
            "cell_step": CENTRES.step,
            "complete": True,
        }
    with pytest.raises(
        InputError, match="holds maps of attributes, this figure draws maps of part"
    ):
        read_pictured(path, "parts")


def test_an_unfinished_feature_file_shows_where_its_slabs_lie(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as opened:
        opened["pooled"] = np.ones((3, 2), np.float32)
    assert locate_slabs(tmp_path / "x.h5")["pooled"].row_bytes == 8


def test_file_names_that_are_no_utf8_come_back_as_they_were(tmp_path):
    names = [b"Caf\xe9/\xff.jpg".decode("utf-8", "surrogateescape"), "Caf\u00e9/1.jpg", ""]
    with h5py.File(tmp_path / "names.h5", "w") as file:
        write_texts(file, "path", names)
    with h5py.File(tmp_path / "names.h5") as file:
        assert texts(file, "path") == tuple(names)


def test_a_good_file_of_another_kind_is_called_by_its_kind(tmp_path):
    """Nobody is told to delete it."""
    index, picture = tmp_path / "index.h5", tmp_path / "a.jpg"
    write_index(made_up_index(), index)
    Image.new("RGB", (9, 9)).save(picture)
    for read, kind in ((read_scores, "scores.h5"), (read_words, "words.h5")):
        with pytest.raises(InputError) as caught:
            read(index)
        assert str(caught.value) == f"{index}: is index.h5, expected {kind}; name another file"
    with pytest.raises(InputError, match=r"is index\.h5, expected feature file; name"):
        FeatureFile(index)
    with pytest.raises(InputError, match=r"a\.jpg: .*no HDF5 file.*; name another file"):
        FeatureFile(picture)


def test_features_and_maps_are_called_by_their_kind(tmp_path):
    """Nobody is told to delete features, which take a day, because scores were asked for."""
    path = tmp_path / "x.h5"
    for name, kind in (("features", "feature file"), ("list", "list of images")):
        FILES[name][0](path)
        with pytest.raises(InputError) as caught:
            read_scores(path)
        assert str(caught.value) == f"{path}: is {kind}, expected scores.h5; name another file"


@pytest.mark.parametrize(
    ("stamp", "is_complete"),
    [
        *[(np.True_, True), (1, True), (np.ones((1, 1), "u1"), True), ("true", True)],
        *[(np.False_, False), (0, False), ("false", False), ("no", False), (np.empty(0), False)],
        (np.array([True, False]), False),
    ],
)
def test_what_says_that_a_file_is_complete(tmp_path, stamp, is_complete):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["pooled"] = np.ones((3, 2), np.float32)
        file.attrs["complete"] = stamp
    if is_complete:
        assert FeatureFile(tmp_path / "x.h5").pooled.shape == (3, 2)
    else:
        with pytest.raises(InputError, match="not stamped complete"):
            FeatureFile(tmp_path / "x.h5")


def test_a_file_that_another_process_holds_is_no_damage(tmp_path):

    path = tmp_path / "index.h5"
    write_index(made_up_index(), path)
    with path.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="in use, another process writes to it; run again"):
            read_index(path)


def test_a_file_system_without_locks_is_no_hindrance(tmp_path, monkeypatch):
    """As Lustre is mounted without flock."""
    write_index(made_up_index(), tmp_path / "index.h5")

    def refuse(file, how):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    assert read_index(tmp_path / "index.h5").paths == made_up_index().paths


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"dtype": "f8"}, "/pooled holds float64, expected float16 or float32; write it as one"),
        ({"dtype": "i4"}, "/pooled holds int32, expected float16 or float32"),
        ({"dtype": "f4", "compression": "gzip"}, "/pooled is stored gzip, and features are read"),
        ({"dtype": "f4", "chunks": (2, 3)}, "/pooled is stored in chunks, and features are read"),
        ({"dtype": "f4", "shape": (6, 1, 3)}, "/pooled is 6x1x3, expected (image, d); write it"),
    ],
)
def test_own_features_that_cannot_be_mapped_are_told_by_what_they_are(tmp_path, options, told):
    path = tmp_path / "own.h5"
    with h5py.File(path, "w") as file:
        file.attrs["complete"] = True
        file.create_dataset("pooled", **{"shape": (6, 3), **options})
    with pytest.raises(InputError) as caught:
        FeatureFile(path)
    assert told in str(caught.value)
