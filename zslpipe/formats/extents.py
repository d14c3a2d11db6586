"""How large a dataset is: all that the costs of its jobs depend on."""

from collections.abc import Mapping
from dataclasses import dataclass

from zslpipe.formats.index import SPLITS, Index
from zslpipe.formats.published_sizes import DEEPFASHION, DEEPFASHION_VALIDATION, EXPECTED


@dataclass(frozen=True)
class Extent:
    """Numbers of a dataset's images and classes: ``splits`` by the names of an index's splits,
    ``vectors`` lengths of its class vectors by their kind; ``told`` says where they are from.
    """

    images: int
    splits: Mapping[str, int]
    seen: int
    unseen: int
    validation: int
    attributes: int
    vectors: Mapping[str, int]
    told: str

    @property
    def classes(self) -> int:
        """Return the number of all classes."""
        return self.seen + self.unseen

    @property
    def tested(self) -> int:
        """Return the number of all test images."""
        return self.splits["test_seen"] + self.splits["test_unseen"]


def extent_of(index: Index, told: str) -> Extent:
    """Return the extent of an index."""
    return Extent(
        images=len(index.paths),
        splits={name: len(index.splits[name]) for name in SPLITS},
        seen=int(index.seen.sum()),
        unseen=int((~index.seen).sum()),
        validation=int(index.validation.sum()),
        attributes=len(index.attribute_names),
        vectors={kind: vectors.shape[1] for kind, vectors in index.semantics.items()},
        told=told,
    )


def published_extent(name: str) -> Extent | None:
    """Return the published extent of one of the field's datasets, None for another name. Training
    images of validation classes are as many as their share of the seen classes.
    """
    if name == "DeepFashion":
        # Nobody publishes how they divide: halves (ours; what is counted from them is their sum).
        tested = DEEPFASHION["test"] // 2
        sizes = {"test_seen": DEEPFASHION["test"] - tested, "test_unseen": tested}
        sizes |= {name: DEEPFASHION[name] for name in ("trainval", "seen", "unseen", "attributes")}
        sizes |= {"validation": DEEPFASHION_VALIDATION}
    elif name in EXPECTED:
        sizes = vars(EXPECTED[name])
    else:
        return None
    splits = {split: sizes[split] for split in ("trainval", "test_seen", "test_unseen")}
    splits["val"] = round(sizes["trainval"] * sizes["validation"] / sizes["seen"])
    splits["train"] = sizes["trainval"] - splits["val"]
    return Extent(
        images=sum(splits[split] for split in ("trainval", "test_seen", "test_unseen")),
        splits=splits,
        seen=sizes["seen"],
        unseen=sizes["unseen"],
        validation=sizes["validation"],
        attributes=sizes["attributes"],
        vectors={"att": sizes["attributes"]},
        told=f"published sizes of {name}",
    )
