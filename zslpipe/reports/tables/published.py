"""The papers' printed numbers (``published.yaml``), to stand beside ours where dataset and protocol
are the same, and what a run reads that its paper did not.
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from zslpipe.formats.index import PROPOSED_SPLIT
from zslpipe.formats.metrics import BEST_ON_TEST
from zslpipe.machine.weight_names import is_weights_file

METRICS = ("T1", "U", "S", "H")
# Names in an index that a kind of class vectors may have; which one it is, their length tells: the
# sentence embeddings of sent_splits.mat and of FLO's att_splits.mat are called att there.
NAMES = {
    "attributes": ("att", "original_att"),
    "sentence embeddings": ("att", "sent_att"),
    "TF-IDF of texts": (),  # in no split file
}
SENTENCE_LENGTH = 1024  # of the sentence embeddings in sent_splits.mat and in FLO's att_splits.mat
# What "pretrained on ImageNet" is of the libraries' names: torchvision's first weights, timm's own.
IMAGENET = ("IMAGENET1K_V1", "pretrained")
STANDARD_SPLIT, STANDARD = "standard split", "_standard"
NETWORK = ("backbone", "size", "grid", "width")
BACKBONES = {
    "stored": "the dataset's stored features",
    "demo": "the demo's network",
    "demo_pair": "the demo's image-text pair",
    "alexnet": "AlexNet",
    "vgg19": "VGG-19",
    "resnet101": "ResNet-101",
    "densenet201": "DenseNet-201",
    "timm/darknet53": "DarkNet-53",
    "mobilenet_v2": "MobileNetV2",
}
INPUTS = {
    "regions": "fixed features of regions",
    "pooled": "fixed pooled features",
    "images": "a network trained from images",
}
ON_TEST = "by its authors' own code the best epoch on the test images"


@functools.cache
def papers() -> dict[str, Any]:
    """Return the content of published.yaml: method -> paper, what it used, exceptions, rows."""
    text = Path(__file__).with_name("published.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def paper_dataset(dataset: str, protocol: str) -> str:
    """Return a dataset's name in the papers: CUB_standard under the standard split is CUB, which
    needs two names where a configuration has it under both splits.
    """
    return dataset.removesuffix(STANDARD) if protocol == STANDARD_SPLIT else dataset


def _rows(method: str, variant: str, dataset: str, protocol: str) -> list[dict[str, Any]]:
    """Return the rows of a method's variant on one dataset under one split; empty for unknown
    names.
    """
    wanted = (variant, paper_dataset(dataset, protocol), protocol)
    rows = papers().get(method, {}).get("rows", [])
    return [
        row
        for row in rows
        if (row["variant"], row["dataset"], row.get("protocol", PROPOSED_SPLIT)) == wanted
    ]


def published(
    method: str, variant: str, dataset: str, protocol: str, rebalancing: str = "none"
) -> dict[str, float]:
    """Return the printed T1, U, S, H in per cent; what was not printed has no key.

    The dataset's name has to be the paper's (``CUB``; not ``cub127``) or, under the standard split,
    begin with it (``CUB_standard``), and ``protocol``
    (``Index.protocol``) the paper's split, else nothing is returned. U, S and H are given only for
    the rebalancing they were printed with; T1 is the same under any.
    """
    values: dict[str, float] = {}
    for row in _rows(method, variant, dataset, protocol):
        same = row.get("rebalancing", "none") == rebalancing
        for name in METRICS:
            if name in row and (same or name == "T1"):
                values[name] = float(row[name])
    return values


def printed_at(
    place: str, method: str, variant: str, dataset: str, protocol: str, rebalancing: str = "none"
) -> dict[str, float]:
    """Return what :func:`published` does; of a number that is printed at several places that of
    ``place`` ("table 2", "figure 7").
    """
    values = published(method, variant, dataset, protocol, rebalancing)
    for row in _rows(method, variant, dataset, protocol):
        same = row.get("rebalancing", "none") == rebalancing
        if is_at(row, place) and same:
            values |= {name: float(row[name]) for name in METRICS if name in row}
    return values


def rows_of(method: str, variant: str) -> list[dict[str, Any]]:
    """Return all printed rows of a method's variant; empty for unknown names."""
    rows = papers().get(method, {}).get("rows", [])
    return [row for row in rows if row["variant"] == variant]


def is_at(row: Mapping[str, Any], place: str) -> bool:
    """Return whether a printed row stands at a place, such as "table 2" or "figure 7"."""
    return place in (f"table {row['table']}", str(row["table"]).removeprefix("text of "))


def printed_beside(row: Mapping[str, Any]) -> dict[str, float]:
    """Return what is printed for a row of the table (``IDENTITY`` of metrics.json): as
    :func:`published`, and beside the best epoch on test only what came about the same way.
    """
    chosen_on = papers().get(row["method"], {}).get("chosen_on")
    if row["selection"] == BEST_ON_TEST and chosen_on != "test":
        return {}
    names = ("method", "variant", "dataset", "protocol", "rebalancing")
    return published(*(row[name] for name in names))


def source(method: str, variant: str, dataset: str, protocol: str) -> str:
    """Return where the numbers are printed, what the paper used and what chose its epoch, "" where
    there are none.
    """
    rows = _rows(method, variant, dataset, protocol)
    if not rows:
        return ""
    paper, used = papers()[method], _used(method, rows[0])
    told = [f"{paper['paper']}, {_places({row['table'] for row in rows})}"]
    told.append(f"{INPUTS[used['input']]}, {_network(used)}")
    if used.get("words", "none") != "none":
        told.append(f"words: {used['words']}")
    told.append(f"class vectors: {_vectors(**paper['class_vectors'][rows[0]['dataset']])}")
    if paper.get("chosen_on") == "test":
        told.append(ON_TEST)
    return "; ".join(told)


def differences(row: Mapping[str, Any], reads: Mapping[str, Any]) -> list[str]:
    """Return what the run of a table's row (``IDENTITY``) used instead of what its paper used, a
    text each; ``reads`` as in a score matrix. Nothing where nothing is printed.
    """
    who = [row[name] for name in ("method", "variant", "dataset", "protocol")]
    rows = _rows(*who)
    if not rows:
        return []
    if "backbone" not in reads:  # scores of another program
        return ["what was read is not told"]
    used = _used(row["method"], rows[0])
    vectors = papers()[row["method"]]["class_vectors"][rows[0]["dataset"]]
    found = [
        *_other_network(used, reads),
        *_other_vectors(vectors, row["semantics"], reads["class_vectors"]),
    ]
    return [*found, *_other_words(used, row["words"])]


def departures(row: Mapping[str, Any], reads: Mapping[str, Any]) -> list[str]:
    """Return what a run used instead of what its method's paper used on its own datasets, for a row
    beside which nothing is printed; a text each. Nothing for a method without printed numbers, and
    where what was read is not told.
    """
    paper = papers().get(row["method"], {})
    if not paper.get("rows") or not {"backbone", "class_vectors"} <= reads.keys():
        return []
    of_variant = [printed for printed in paper["rows"] if printed["variant"] == row["variant"]]
    used = _used(row["method"], of_variant[0] if of_variant else {})
    found = _other_network(used, reads)
    kinds = dict.fromkeys(vectors["kind"] for vectors in paper["class_vectors"].values())
    kind = _kind(row["semantics"], reads["class_vectors"])
    if kind not in kinds:
        length = reads["class_vectors"]
        found.append(f"class vectors: {kind}, {length}-d instead of {' or '.join(kinds)}")
    return [*found, *_other_words(used, row["words"])]


def _kind(semantics: str, length: int) -> str:
    """Return which kind the class vectors of a run are, their name in the index if it is none of a
    paper's: sentences have the length of their embedding.
    """
    name = semantics if " + " in semantics else semantics.split(" (")[0]
    if name == "sent_att" or (name == "att" and length == SENTENCE_LENGTH):
        return "sentence embeddings"
    return "attributes" if name in NAMES["attributes"] else name


def _other_words(used: Mapping[str, Any], words: str) -> list[str]:
    """Return how a run's word vectors differ from the paper's."""
    source = str(used.get("words", "none"))
    if source == "none" or source.lower() in words.lower():
        return []
    return [f"words: {words or 'none'} instead of {source}"]


def unknown(row: Mapping[str, Any], reads: Mapping[str, Any]) -> str:
    """Return what of a run's network no file tells and is taken to be the paper's, "" where nothing
    is.
    """
    who = [row[name] for name in ("method", "variant", "dataset", "protocol")]
    if not _rows(*who) or "backbone" not in reads:
        return ""
    weights = str(reads.get("weights", ""))
    if reads["backbone"] != papers()[row["method"]]["used"]["backbone"]:
        return ""
    if reads["backbone"] == "stored":
        return "no file tells which network made the stored features: taken to be the paper's"
    if is_weights_file(weights):
        return f"no file tells what {weights} was trained on: taken to be ImageNet"
    return ""


def _used(method: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a paper used for a row, by the names of a score matrix's ``reads`` and words."""
    used: dict[str, Any] = papers()[method]["used"]
    return used | {name: row[name] for name in used if name in row}


def _other_network(used: Mapping[str, Any], reads: Mapping[str, Any]) -> list[str]:
    """Return how a run's network and what is done with it differ from the paper's."""
    found = []
    compared = [name for name in NETWORK if name in used]
    if any(reads.get(name) != used[name] for name in compared):
        shown = {name: reads[name] for name in compared if name in reads}
        found.append(f"{_network(shown)} instead of {_network(used)}")
    if reads["input"] != used["input"]:
        given = str(reads["input"])
        found.append(f"{INPUTS.get(given, given)} instead of {INPUTS[used['input']]}")
    weights = str(reads.get("weights", ""))
    known = weights in IMAGENET or is_weights_file(weights)
    if "weights" in used and reads["backbone"] == used["backbone"] and not known:
        found.append(f"weights {weights} instead of those of ImageNet ({IMAGENET[0]})")
    return found


def _other_vectors(paper: Mapping[str, Any], semantics: str, length: int) -> list[str]:
    """Return how a run's class vectors ("att (unit)") differ from the paper's kind."""
    name = semantics if " + " in semantics else semantics.split(" (")[0]
    if name in NAMES[paper["kind"]] and length == paper.get("length"):
        return []
    return [f"class vectors: {name}, {length}-d instead of {_vectors(**paper)}"]


def _places(found: set[int | str]) -> str:
    """Return the tables ("tables 2, 3") and other places where numbers are printed."""
    numbers = sorted(place for place in found if isinstance(place, int))
    others = sorted(place for place in found if isinstance(place, str))
    if numbers:
        word = "table" if len(numbers) == 1 else "tables"
        others.insert(0, f"{word} {', '.join(map(str, numbers))}")
    return ", ".join(others)


def _network(told: Mapping[str, Any]) -> str:
    """Return a network in words: name, pixels, regions, length of features, as far as told."""
    name = str(told["backbone"])
    words = [BACKBONES.get(name, name)]
    if "size" in told:
        words.append(f"{told['size']} px")
    if "grid" in told:
        words.append(f"{told['grid']}x{told['grid']}")
    if "width" in told:
        words.append(f"{told['width']}-d")
    return " ".join(words)


def _vectors(kind: str, length: int | None = None) -> str:
    """Return a kind of class vectors in words."""
    return kind if length is None else f"{kind}, {length}-d"
