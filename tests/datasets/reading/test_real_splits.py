"""The field's own split files and image lists, where they lie on the machine: every number is the
published one.
"""

import numpy as np
import pytest

from tests.made_up.places import DATA
from zslpipe.datasets.adapters import xlsa17
from zslpipe.datasets.inspection import inspect_splits
from zslpipe.datasets.reading.expected_sizes import index_sizes
from zslpipe.datasets.reading.split_files import LOCATIONS, read_split_file
from zslpipe.formats.index import read_index
from zslpipe.formats.published_sizes import EXPECTED
from zslpipe.machine.errors import InputError

pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(
        not (DATA / "splits").is_dir(), reason=f"no split files in {DATA}/splits (ZSLPIPE_DATA)"
    ),
]

# file: dataset, generation, test_seen images in train and val, train, val, missing values
FILES = {
    "APY/att_splits.generation_b.mat": ("aPY", "b", 0, None, None),
    "APY/att_splits.generation_c.mat": ("aPY", "c", 0, 4906, 1026),
    "AWA1/att_splits.generation_a.mat": ("AWA1", "a", 4958, 13460, 6372),
    "AWA1/att_splits.generation_c.mat": ("AWA1", "c", 0, 13460, 6372),
    "AWA2/att_splits.generation_a.mat": ("AWA2", "a", 5882, 16187, 7340),
    "AWA2/att_splits.generation_b.mat": ("AWA2", "b", 0, None, None),
    "AWA2/att_splits.generation_c.mat": ("AWA2", "c", 0, 16187, 7340),
    "AWA2/binaryAtt_splits.generation_a.mat": ("AWA2", "a", 5882, 16187, 7340),
    "CUB/att_splits.generation_b.mat": ("CUB", "b", 0, None, None),
    "CUB/sent_splits.generation_a.mat": ("CUB", "a", 1764, 4702, 2355),
    "FLO/att_splits.generation_a.mat": ("FLO", "a", 1403, 4705, 926),
    "SUN/att_splits.generation_a.mat": ("SUN", "a", 2580, 9280, 1040),
    "SUN/att_splits.generation_b.mat": ("SUN", "b", 0, None, None),
}


@pytest.mark.parametrize("name", FILES)
def test_every_file_has_its_generation_counts_and_leaks(name):
    known_as, generation, leaked, train, val = FILES[name]
    found = read_split_file(DATA / "splits" / name)
    sizes = EXPECTED[known_as]
    assert found.generation == generation
    assert found.notes == (
        (f"generation a: {leaked} test_seen images taken out of train and val",) if leaked else ()
    )
    for split in ("trainval", "test_seen", "test_unseen"):
        assert len(found.numbers[split]) == getattr(sizes, split)
    assert sum(len(found.numbers[split]) for split in LOCATIONS[:3]) == sizes.images
    assert len(found.class_names) == sizes.seen + sizes.unseen
    counts = {split: len(numbers) for split, numbers in found.numbers.items()}
    assert (counts.get("train"), counts.get("val")) == (train, val)
    assert f"generation    {generation}:" in inspect_splits(DATA / "splits" / name)


def test_generations_a_and_c_of_awa2_are_the_same_split():
    first, third = (
        read_split_file(DATA / f"splits/AWA2/att_splits.generation_{g}.mat") for g in "ac"
    )
    for split in LOCATIONS:
        np.testing.assert_array_equal(np.sort(first.numbers[split]), np.sort(third.numbers[split]))
    assert first.class_names == third.class_names
    np.testing.assert_array_equal(first.semantics["att"], third.semantics["att"])


LISTS = {"CUB": "CUB/att_splits.generation_b.mat", "SUN": "SUN/att_splits.generation_a.mat"}
LISTS |= {f"AWA2 {g}": f"AWA2/att_splits.generation_{g}.mat" for g in "abc"}


@pytest.mark.slow
@pytest.mark.parametrize("case", LISTS)
def test_image_lists_with_their_splits_give_the_published_sizes(tmp_path, case):
    known_as = case.split()[0]
    settings = {
        "features": f"splits/{known_as}/image_list.mat",
        "splits": f"splits/{LISTS[case]}",
        "known_as": known_as,
    }
    output = tmp_path / known_as / "index.h5"
    xlsa17.write(settings, output, DATA)
    index = read_index(output)
    expected = EXPECTED[known_as]
    assert index_sizes(index) == {name: getattr(expected, name) for name in index_sizes(index)}
    assert not any("joined by number" in note or "expected" in note for note in index.notes)
    assert any("4 missing attribute values" in note for note in index.notes) == (known_as == "AWA2")


def test_sentence_vectors_of_cub_are_joined_by_name(tmp_path):
    settings = {
        "features": "splits/CUB/image_list.mat",
        "splits": "splits/CUB/att_splits.generation_b.mat",
    }
    settings |= {
        "extra_semantics": {"sent_att": "splits/CUB/sent_splits.generation_a.mat"},
        "known_as": "CUB",
    }
    xlsa17.write(settings, tmp_path / "CUB/index.h5", DATA)
    assert {
        kind: vectors.shape
        for kind, vectors in read_index(tmp_path / "CUB/index.h5").semantics.items()
    } == {
        "att": (200, 312),
        "original_att": (200, 312),
        "sent_att": (200, 1024),
    }


@pytest.mark.parametrize("known_as", ["CUB", "AWA2", "SUN"])
def test_an_image_list_is_no_split_file(known_as):
    with pytest.raises(InputError, match="no variable 'trainval_loc'"):
        inspect_splits(DATA / "splits" / known_as / "image_list.mat")


@pytest.mark.slow
def test_cub127_with_images_parts_and_names(tmp_path):
    settings = {
        "features": "cub127/mbv2.mat",
        "splits": "cub127/att_splits.mat",
        "images": "cub127/images",
    }
    settings |= {"attribute_names": "cub127/attributes.txt", "parts": "cub127/part_locs.csv"}
    xlsa17.write(settings, tmp_path / "cub127/index.h5", DATA)
    index = read_index(tmp_path / "cub127/index.h5")
    sizes = {
        "images": 7456,
        "trainval": 4402,
        "test_seen": 1087,
        "test_unseen": 1967,
        "seen": 94,
        "unseen": 33,
    }
    assert index_sizes(index) == sizes | {"attributes": 312, "validation": 30}
    assert index.notes == ("generation a: 1087 test_seen images taken out of train and val",)
    beak = index.part_locations[
        index.paths.index("001.Black_footed_Albatross/Black_Footed_Albatross_0046_18.jpg"), 1
    ]
    np.testing.assert_allclose(beak, [176.0 / 227, 115.7 / 227], rtol=1e-6)
    wing = index.attribute_parts[index.attribute_groups.index("wing color")]
    assert [name for name, about in zip(index.part_names, wing, strict=True) if about] == [
        "left wing",
        "right wing",
    ]
