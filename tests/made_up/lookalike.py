"""Datasets in the true layout of the field's files, with made-up content: true counts where asked,
tiny image files.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image

from zslpipe.formats.published_sizes import EXPECTED, ExpectedSizes

SMALL = ExpectedSizes(
    images=96,
    trainval=48,
    test_seen=16,
    test_unseen=32,
    seen=8,
    unseen=4,
    attributes=6,
    validation=3,
)
FEATURES = 5
WORDS = (
    "has_bill_shape::dagger",
    "has_wing_color::blue",
    "has_size::small",
    "has_tail_shape::forked_(deep)",
)
BOX = (1, 2, 7, 6)
SIZE = (8, 10)  # width, height of the tiny images


def cells(texts: Sequence[str]) -> np.ndarray:
    """MATLAB's n x 1 cell array."""
    column = np.empty((len(texts), 1), dtype=object)
    column[:, 0] = texts
    return column


def sizes_of(known_as: str, true_counts: bool) -> ExpectedSizes:
    return EXPECTED[known_as] if true_counts else SMALL


def _even(total: int, parts: int) -> np.ndarray:
    return np.diff(np.linspace(0, total, parts + 1).astype(int))


def class_names(known_as: str, count: int) -> list[str]:
    """Class names in the order of their folders."""
    if known_as == "CUB":
        return [f"{number + 1:03d}.Some_Bird_{number}" for number in range(count)]
    if (
        known_as == "SUN"
    ):  # a third of the real ones lie a folder deeper, joined by "_" in the split file
        return [
            f"hall_{number}_indoor" if number % 3 == 0 else f"place{number}"
            for number in range(count)
        ]
    return [f"odd+beast{number}" for number in range(count)]


def stored_path(known_as: str, name: str, image: int) -> str:
    """The path as the field's files store it, with somebody's own folders in front."""
    if known_as == "CUB":
        return f"/BS/somebody/work/data/CUB_200_2011/images/{name}/Bird_{image:05d}.jpg"
    if known_as == "SUN":
        folder = f"{name[0]}/{name.removesuffix('_indoor')}" + (
            "/indoor" if name.endswith("_indoor") else ""
        )
        return f"/BS/somebody/SUN//images/{folder}/sun_{image:05d}.jpg"
    if known_as == "FLO":
        return f"/BS/somebody/Flowers/jpg/image_{image:05d}.jpg"
    if known_as == "aPY":
        folder = "VOC2012/JPEGImages" if image % 4 else "ayahoo_test_images"
        return f"/BS/somebody/data/aPY/{folder}/{2008 + image % 3}_{image:06d}.jpg"
    return f"/BS/somebody/Animals_with_Attributes2//JPEGImages/{name}/{name}_{image:05d}.jpg"


def relative(path: str) -> str:
    """Where the image lies in the dataset's folder."""
    for anchor in ("/images/", "/JPEGImages/", "/jpg/"):
        if anchor in path:
            return (
                path.split(anchor)[1]
                if "VOC" not in path
                else f"JPEGImages/{path.split(anchor)[1]}"
            )
    return f"ayahoo_test_images/{path.split('/')[-1]}"


def split_numbers(
    labels: np.ndarray, sizes: ExpectedSizes, generation: str
) -> dict[str, np.ndarray]:
    """0-based splits of the right sizes: the last classes by folder are unseen, the first ones
    validation.
    """
    seen_rows, unseen = np.flatnonzero(labels < sizes.seen), np.flatnonzero(labels >= sizes.seen)
    test_seen = seen_rows[np.linspace(0, len(seen_rows) - 1, sizes.test_seen).astype(int)]
    trainval = np.setdiff1d(seen_rows, test_seen)
    numbers = {"trainval_loc": trainval, "test_seen_loc": test_seen, "test_unseen_loc": unseen}
    if generation == "b":
        return numbers
    pool = seen_rows if generation == "a" else trainval
    inside = labels[pool] < sizes.validation
    return numbers | {"train_loc": pool[~inside], "val_loc": pool[inside]}


def write_xlsa17(
    root: Path,
    known_as: str = "CUB",
    generation: str = "c",
    true_counts: bool = False,
    images: bool = True,
) -> dict[str, object]:
    """Write the files of one dataset below ``root / known_as``; return what reads them."""
    sizes, random = sizes_of(known_as, true_counts), np.random.default_rng(0)
    folder = root / known_as
    folder.mkdir(parents=True)
    total = sizes.seen + sizes.unseen
    names = class_names(known_as, total)
    counts = [
        *_even(sizes.trainval + sizes.test_seen, sizes.seen),
        *_even(sizes.test_unseen, sizes.unseen),
    ]
    by_folder = np.repeat(np.arange(total), counts)
    stored = [stored_path(known_as, names[label], image) for image, label in enumerate(by_folder)]
    order = np.random.default_rng(1).permutation(
        total
    )  # position in the split file -> folder number
    labels = np.argsort(order)[by_folder] + 1
    features = random.random((FEATURES, len(stored)), dtype=np.float32)
    features[0] = np.arange(len(stored))
    listed = {
        "features": features,
        "labels": labels[:, None].astype(float),
        "image_files": cells(stored),
    }
    scipy.io.savemat(folder / "res101.mat", listed)
    original = random.integers(1, 100, (sizes.attributes, total)).astype(float)
    if known_as.startswith("AWA"):
        original[:4, 0] = -1.0
    variables = {"att": original / np.linalg.norm(original, axis=0), "original_att": original}
    if known_as != "FLO":
        variables["allclasses_names"] = cells([names[number] for number in order])
    numbers = split_numbers(by_folder, sizes, generation)
    variables |= {name: (rows + 1)[:, None].astype(np.uint16) for name, rows in numbers.items()}
    scipy.io.savemat(folder / "att_splits.mat", variables)
    settings: dict[str, object] = {
        "features": f"{known_as}/res101.mat",
        "splits": f"{known_as}/att_splits.mat",
    }
    if images:
        settings["images"] = f"{known_as}/images"
        write_images(folder / "images", [relative(path) for path in stored])
    return settings


def write_images(root: Path, paths: Sequence[str]) -> None:
    """Write tiny pictures that look alike, none a copy of another: bytes behind a JPEG's end do not
    count.
    """
    root.mkdir(parents=True)
    picture = io.BytesIO()
    Image.new("RGB", SIZE, (200, 30, 90)).save(picture, "JPEG")
    for number, path in enumerate(dict.fromkeys(paths)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(picture.getvalue() + str(number).encode())


def write_boxes(root: Path, stored: Sequence[str], lists: int = 3) -> list[str]:
    """Write aPY's three lists of object boxes in the order of the rows; return their names."""
    names = ["apascal_train.txt", "apascal_test.txt", "ayahoo_test.txt"][:lists]
    for name, rows in zip(names, np.array_split(np.arange(len(stored)), lists), strict=True):
        lines = [f"{Path(stored[row]).name} thing {' '.join(map(str, BOX))} 0 1 0" for row in rows]
        (root / name).write_text("\n".join(lines) + "\n")
    return names


def write_parts(path: Path, images: Sequence[str]) -> None:
    """Write part locations: the beak at (2, 5) px everywhere, the left wing nowhere, the tail
    outside.
    """
    rows = ["image,part,x,y,visible"]
    for image in images:
        rows += [
            f"{image},beak,2.0,5.0,1",
            f"{image},left wing,0.0,0.0,0",
            f"{image},tail,99.0,3.0,1",
        ]
    path.write_text("\n".join(rows) + "\n")


def write_folder(root: Path, classes: int = 8, images_each: int = 5) -> dict[str, object]:
    """Write one's own data: class folders, a CSV of attributes, a list of unseen classes."""
    names = [f"thing {number}" for number in range(classes)]
    write_images(
        root / "pictures", [f"{name}/{image}.jpg" for name in names for image in range(images_each)]
    )
    lines = [
        f"{name},{number},{number * 0.5 + 1},{classes - number}"
        for number, name in enumerate(names)
    ]
    (root / "attributes.csv").write_text("\n".join(["class,colour::red,size,shape", *lines]) + "\n")
    (root / "unseen.txt").write_text("thing 6\nthing 1\n")
    return {"images": "pictures", "attributes": "attributes.csv", "unseen_classes": "unseen.txt"}
