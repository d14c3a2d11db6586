import h5py
import pytest
from PIL import Image

from tests.made_up.places import DATA
from zslpipe.datasets.irrelevant_images import class_texts, write_irrelevant_images
from zslpipe.formats.image_list import read_irrelevant_images
from zslpipe.formats.index import images_hash
from zslpipe.machine.errors import InputError


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), "grey").save(path)


def write_voc(root, objects):
    """Images and annotations; ``objects``: file name -> names of the objects in it."""
    for name, found in objects.items():
        picture(root / f"JPEGImages/{name}.jpg")
        (root / "Annotations").mkdir(exist_ok=True)
        entries = "".join(
            f"<object><name>{each}</name><part><name>head</name></part></object>" for each in found
        )
        (root / f"Annotations/{name}.xml").write_text(
            f"<annotation><folder>VOC2008</folder>{entries}</annotation>"
        )


def kept(folder, **settings):
    write_irrelevant_images({"images": "pictures", **settings}, folder / "list.h5", folder)
    return read_irrelevant_images(folder / "list.h5").paths


def test_voc_images_with_any_dropped_object_are_left_out(tmp_path):
    objects = {
        "2008_3": ["dog", "person"],
        "2008_1": ["bottle"],
        "2008_2": ["bottle", "cat", "bottle"],
        "2008_4": [],
    }
    write_voc(tmp_path / "pictures", objects)
    everything = tuple(f"JPEGImages/2008_{number}.jpg" for number in (1, 2, 3, 4))
    assert kept(tmp_path, layout="voc") == everything
    assert kept(tmp_path, layout="voc", drop=["cat", "dog", "sheep"]) == (
        everything[0],
        everything[3],
    )
    assert kept(tmp_path, layout="voc", drop=["person"]) == (
        everything[0],
        everything[1],
        everything[3],
    )


FOLDER = (
    "n01514668_cock.jpg",
    "n02012849_crane.jpg",
    "n03126707_crane.jpg",
    "car/1.png",
    "car/2.png",
    "n02123_x/3.JPEG",
)


def write_folder(tmp_path):
    for name in FOLDER:
        picture(tmp_path / "pictures" / name)


def test_a_folder_is_dropped_from_by_name_or_synset(tmp_path):
    write_folder(tmp_path)
    assert kept(tmp_path) == tuple(sorted(FOLDER))
    assert set(FOLDER) - set(kept(tmp_path, drop=["cock"])) == {FOLDER[0]}
    assert set(FOLDER) - set(kept(tmp_path, drop=["crane"])) == set(FOLDER[1:3])
    assert set(FOLDER) - set(kept(tmp_path, drop=["n02012849_crane", "car"])) == {
        FOLDER[1],
        *FOLDER[3:5],
    }
    assert set(FOLDER) - set(kept(tmp_path, drop=["n03126707"])) == {FOLDER[2]}


def test_names_of_classes():
    assert class_texts("n01514668_cock.jpg") == {"n01514668_cock", "n01514668", "cock"}
    assert class_texts("n01514668/n01514668_18.JPEG") == {"n01514668"}
    assert class_texts("train/car/1.png") == {"train"}
    assert class_texts("sulphur-crested_cockatoo.jpg") == {"sulphur-crested_cockatoo"}


def test_the_list_is_an_index_of_images_alone(tmp_path):
    write_folder(tmp_path)
    paths = kept(tmp_path, drop=["cock"])
    index = read_irrelevant_images(tmp_path / "list.h5")
    assert index.dataset == "pictures" and index.boxes is None and index.class_names == ()
    assert images_hash(index) != images_hash(index.__class__(**{**vars(index), "paths": paths[1:]}))
    assert all(len(rows) == 0 for rows in index.splits.values()) and index.labels.tolist() == [
        -1
    ] * len(paths)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.h5", "pictures"]


def test_same_images_same_bytes(tmp_path):
    write_folder(tmp_path)
    for name in ("a.h5", "b.h5"):
        write_irrelevant_images({"images": "pictures"}, tmp_path / name, tmp_path)
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


BAD = [
    ({"drop": ["cok"]}, "no image of class 'cok' to drop .*did you mean 'cock'"),
    ({"drop": "cock"}, "a list"),
    ({"layout": "vok"}, "layout: 'vok' is none of folder, voc; did you mean 'voc'"),
    ({"layout": "voc"}, r"no images in .*JPEGImages; is .* VOCdevkit/VOC2008"),
    ({"images": "picture"}, "picture does not exist"),
    ({"image": "pictures"}, "unknown setting 'image'; did you mean 'images'"),
    ({"drop": ["cock", "crane", "car", "n02123_x"]}, "all 6 images .* show a dropped class"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_wrong_settings_are_refused(tmp_path, settings, message):
    write_folder(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        kept(tmp_path, **settings)
    assert "\n" not in str(error.value) and not (tmp_path / "list.h5").exists()


def test_a_folder_without_images_is_refused(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(InputError, match="no images"):
        kept(tmp_path)


def test_missing_and_broken_annotations_are_named(tmp_path):
    root = tmp_path / "pictures"
    write_voc(root, {f"2008_{number}": ["dog"] for number in range(3)})
    (root / "Annotations/2008_1.xml").write_text("<annotation><object></annotation>")
    with pytest.raises(InputError, match=r"2008_1\.xml: not a readable annotation"):
        kept(tmp_path, layout="voc")
    (root / "Annotations/2008_1.xml").write_text(
        "<annotation><object><pose/></object></annotation>"
    )
    with pytest.raises(InputError, match="not an annotation of PASCAL VOC"):
        kept(tmp_path, layout="voc")
    (root / "Annotations/2008_1.xml").unlink()
    with pytest.raises(InputError, match=r"1 of 3 annotations missing in .*: 2008_1\.xml"):
        kept(tmp_path, layout="voc")
    write_voc(root, {"2008_1": ["dog"]})
    with pytest.raises(InputError, match=r"no image of class 'cats' to drop .*did you mean 'cat'"):
        kept(tmp_path, layout="voc", drop=["cats"])


def test_broken_images_are_named(tmp_path):
    write_folder(tmp_path)
    (tmp_path / "pictures" / FOLDER[0]).write_bytes(b"no image")
    with pytest.raises(InputError, match=f"1 of 6 image files .* are no images .*{FOLDER[0]}"):
        kept(tmp_path)
    assert len(kept(tmp_path, drop=["cock"])) == 5


def test_damaged_lists_are_refused(tmp_path):
    path = tmp_path / "list.h5"
    with pytest.raises(InputError, match="no such file; listing"):
        read_irrelevant_images(path)
    write_folder(tmp_path)
    kept(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[:500])
    with pytest.raises(InputError, match="not a readable list of images"):
        read_irrelevant_images(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        del file["paths"]
    with pytest.raises(InputError, match=r"not a readable list of images .*paths"):
        read_irrelevant_images(path)
    path.write_bytes(whole)
    with h5py.File(path, "r+") as file:
        file.attrs["complete"] = False
    with pytest.raises(InputError, match="not stamped complete"):
        read_irrelevant_images(path)


@pytest.mark.data
@pytest.mark.skipif(
    not (DATA / "imagenet_samples").is_dir(), reason="no imagenet_samples in ZSLPIPE_DATA"
)
def test_real_images_without_two_classes(tmp_path):
    settings = {"images": "imagenet_samples", "drop": ["n02012849_crane", "cock"]}
    write_irrelevant_images(settings, tmp_path / "list.h5", DATA)
    paths = read_irrelevant_images(tmp_path / "list.h5").paths
    assert (
        len(paths) == 998 and "n03126707_crane.jpg" in paths and "n02012849_crane.jpg" not in paths
    )
