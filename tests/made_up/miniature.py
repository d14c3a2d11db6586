"""A dataset small enough for tests: eight classes, five attributes, features linear in the class
vectors.
"""

from pathlib import Path

import h5py
import numpy as np

from zslpipe.cell_centres import CellCentres
from zslpipe.formats.block_writer import BlockWriter
from zslpipe.formats.index import Index, images_hash, write_index

CLASSES, ATTRIBUTES, GRID, WIDTH, WORD_WIDTH = 8, 5, 2, 12, 6
SEEN = np.array([True, True, False, True, True, True, False, True])
VALIDATION = np.array([False, True, False, False, False, True, False, False])
TRAINING_IMAGES, TEST_IMAGES = 10, 4  # of a class
CENTRES = CellCentres(0.0625, 0.5)  # of regions, not in the middles of tiles


def write_miniature(folder: Path, seed: int = 0) -> dict[str, Path]:
    """Write index.h5, features.h5 and words.h5 of a made-up dataset; return their paths by these
    names.
    """
    generator = np.random.default_rng(seed)
    index = miniature_index(generator)
    paths = {name: folder / f"{name}.h5" for name in ("index", "features", "words")}
    write_index(index, paths["index"])
    write_features(index, generator, paths["features"])
    with h5py.File(paths["words"], "w") as file:
        file["vectors"] = generator.normal(size=(ATTRIBUTES, WORD_WIDTH)).astype(np.float32)
        file.create_dataset(
            "attributes", data=list(index.attribute_names), dtype=h5py.string_dtype()
        )
        file.attrs["source"] = "made up"
    return paths


def miniature_index(generator: np.random.Generator) -> Index:
    """Return an index of SEEN and VALIDATION classes; images of a class follow each other."""
    labels, splits = (
        [],
        {"trainval": [], "test_seen": [], "test_unseen": [], "train": [], "val": []},
    )
    for number in range(CLASSES):
        kinds = (
            ["trainval"] * TRAINING_IMAGES + ["test_seen"] * TEST_IMAGES
            if SEEN[number]
            else ["test_unseen"] * TEST_IMAGES
        )
        for kind in kinds:
            splits[kind].append(len(labels))
            if kind == "trainval":
                splits["val" if VALIDATION[number] else "train"].append(len(labels))
            labels.append(number)
    return Index(
        dataset="miniature",
        adapter="none",
        paths=tuple(f"{number}.png" for number in range(len(labels))),
        labels=np.array(labels),
        class_names=tuple(f"class {number}" for number in range(CLASSES)),
        seen=SEEN,
        validation=VALIDATION,
        splits={name: np.array(rows) for name, rows in splits.items()},
        semantics={"att": generator.uniform(0, 1, (CLASSES, ATTRIBUTES))},
        attribute_names=tuple(f"attribute {number}" for number in range(ATTRIBUTES)),
        attribute_groups=("",) * ATTRIBUTES,
        attribute_parts=np.zeros((ATTRIBUTES, 0), bool),
    )


def write_features(index: Index, generator: np.random.Generator, path: Path) -> None:
    """Write region and pooled features: a random linear map of the class vector plus noise."""
    directions = generator.normal(size=(ATTRIBUTES, WIDTH))
    regions = (index.semantics["att"][index.labels] @ directions)[:, None, :]
    regions = regions + 0.2 * generator.normal(size=(len(index.labels), GRID**2, WIDTH))
    arrays = {"regions": regions.astype(np.float16), "pooled": regions.mean(1).astype(np.float32)}
    shapes = {name: (array.shape, str(array.dtype)) for name, array in arrays.items()}
    writer = BlockWriter(
        path.parent / ".features.work",
        shapes,
        {
            "extractor": "miniature",
            "images_hash": images_hash(index),
            "cell_first": CENTRES.first,
            "cell_step": CENTRES.step,
        },
    )
    writer.write(0, arrays)
    writer.finish(path)
