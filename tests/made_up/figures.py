"""A small dataset with attention maps, and what a drawn figure is told by."""

import h5py
import numpy as np
from PIL import Image
from pypdf import PdfReader

from zslpipe.formats.index import Index, write_index

PARTS = ("head", "tail")
NAMES = ("head_red", "head_blue", "tail_long", "has_size::large")


def is_drawn(paths, width=300):
    """A webp of some size with more than a few colours, a pdf without a date; return the pdf."""
    screen, paper = paths
    assert screen.suffix == ".webp" and paper.suffix == ".pdf"
    with Image.open(screen) as image:
        assert image.width > width and len(set(image.convert("L").get_flattened_data())) > 10
    assert not PdfReader(paper).metadata
    return paper


def titles(paper):
    """The lines of text in a figure's pdf, in the order in which they were drawn."""
    (page,) = PdfReader(paper).pages
    return [line.strip() for line in page.extract_text().splitlines()]


def dataset(folder, sizes=((60, 40), (48, 48), (40, 80), (32, 32))):
    """Four images, two seen classes (0, 1) and two unseen ones (2, 3); part places known but for
    one tail.
    """
    generator = np.random.default_rng(0)
    for number, (width, height) in enumerate(sizes):
        Image.fromarray(generator.integers(0, 255, (height, width, 3)).astype(np.uint8)).save(
            folder / f"{number}.png"
        )
    places = np.full((4, 2, 2), 0.5, np.float32)
    places[3, 1] = np.nan
    splits = {"trainval": [0, 1], "train": [0], "val": [1], "test_seen": [4], "test_unseen": [2, 3]}
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(folder / "4.png")
    index = Index(
        *("demo", "demo", tuple(f"{number}.png" for number in range(5)), np.array([0, 1, 2, 3, 0])),
        *(
            ("a", "b", "Sooty_gull", "d"),
            np.array([True, True, False, False]),
            np.array([False, True, False, False]),
        ),
        {name: np.array(rows) for name, rows in splits.items()},
        {"att": np.array([[1, 2, 3, 4], [1, 1, 1, 1], [3, 5, 1, 4], [1, 0, 9, 8.0]])},
        *(NAMES, ("head", "head", "tail", ""), np.array([[1, 0], [1, 0], [0, 1], [0, 0]], bool)),
        *(PARTS, np.concatenate([places, places[:1]])),
    )
    write_index(index, folder / "index.h5")
    return index


def attention_file(path, images=(2, 3), labels=(2, 3), predicted=(2, 0), attributes=4, **extra):
    generator = np.random.default_rng(1)
    with h5py.File(path, "w") as file:
        file["maps"] = generator.random((len(images), attributes, 7, 7)).astype(np.float16)
        file["images"], file["labels"], file["predicted"] = (
            np.array(images),
            np.array(labels),
            np.array(predicted),
        )
        for name, value in extra.items():
            file[name] = value
        file.attrs.update({"method": "dazle", "variant": "default", "dataset": "demo", "seed": 0})
        file.attrs.update({"kind": "attributes", "complete": True})
        file.attrs.update({"cell_first": 0.02, "cell_step": 1 / 7})
    return path
