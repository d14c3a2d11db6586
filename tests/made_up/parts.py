"""A made-up dataset with annotated body parts, attention.h5 files of its test images, and their
localization.json.
"""

import h5py
import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.index import Index, write_index
from zslpipe.formats.localization import read_localization
from zslpipe.maps.localization import centres_of_cells, localize

PARTS = ("beak", "left eye", "tail", "right eye")
ABOUT = np.array([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]], bool)
GROUPS = ("head", "head", "tail", "", "size")
CLASSES, TRAINING = 4, 12  # of each class 12 images; classes 0 and 1 are seen
HEIGHT, WIDTH = 5, 7
# Not the middles of tiles; columns lie as far from the left edge as from the right.
CENTRES = CellCentres(0.05, 0.15)


def made_up_index(seed=0, size=None):
    """48 images cropped to boxes of different shapes, with some parts hidden; half of a seen
    class's are for tests.
    """
    generator = np.random.default_rng(seed)
    labels = np.repeat(np.arange(CLASSES), TRAINING)
    images = np.arange(len(labels))
    trained = (labels < 2) & (images % 2 == 0)
    splits = {"trainval": images[trained], "train": images[trained & (labels == 0)]}
    splits |= {"val": images[trained & (labels == 1)], "test_unseen": images[labels > 1]}
    splits["test_seen"] = images[(labels < 2) & ~trained]
    locations = generator.uniform(0, 1, (len(labels), len(PARTS), 2)).astype(np.float32)
    locations[generator.random(locations.shape[:2]) < 0.3] = np.nan
    corners = generator.integers(0, 50, (len(labels), 2))
    sizes = (
        generator.integers(40, 90, (len(labels), 2))
        if size is None
        else np.full((len(labels), 2), size)
    )
    return Index(
        dataset="made up",
        adapter="none",
        paths=tuple(f"{number}.png" for number in images),
        labels=labels,
        class_names=tuple("abcd"),
        seen=np.arange(CLASSES) < 2,
        validation=np.arange(CLASSES) == 1,
        splits=splits,
        semantics={"att": generator.uniform(0.1, 1, (CLASSES, len(ABOUT)))},
        attribute_names=tuple(f"attribute {number}" for number in range(len(ABOUT))),
        attribute_groups=GROUPS,
        attribute_parts=ABOUT,
        part_names=PARTS,
        part_locations=locations,
        boxes=np.concatenate([corners, corners + sizes], axis=1),
    )


def cell_peaks(generator, images, maps):
    """Peaks at the centres of cells drawn evenly."""
    cells = generator.integers(0, HEIGHT * WIDTH, (images, maps))
    return centres_of_cells((HEIGHT, WIDTH), CENTRES)[cells].astype(np.float32)


def attention_file(path, index, peaks, train_peaks=None, **attrs):
    """attention.h5 with the peaks (n, m, 2) of the test images; with ``train_peaks``, of found
    parts.
    """
    maps = np.zeros((2, peaks.shape[1], HEIGHT, WIDTH), np.float16)
    with h5py.File(path, "w") as file:
        file["maps" if train_peaks is None else "part_maps"] = maps
        file["test/images"] = np.concatenate(
            [index.splits["test_seen"], index.splits["test_unseen"]]
        )
        file["test/peaks"] = peaks
        if train_peaks is not None:
            file["train/images"], file["train/peaks"] = index.splits["trainval"], train_peaks
        kind = "attributes" if train_peaks is None else "parts"
        given = {
            "dataset": index.dataset,
            "method": "rsan",
            "variant": "default",
            "seed": 3,
            "kind": kind,
            "cell_first": CENTRES.first,
            "cell_step": CENTRES.step,
        }
        file.attrs.update(given | {"complete": True} | attrs)
    return path


def localized(folder, index, peaks, train_peaks=None):
    write_index(index, folder / "index.h5")
    attention = attention_file(folder / "attention.h5", index, peaks, train_peaks)
    localize(attention, folder / "index.h5", folder, folder / "localization.json")
    return read_localization(folder / "localization.json")


def by_name(content):
    return {(share["images"], share["of"], share["name"]): share for share in content["shares"]}
