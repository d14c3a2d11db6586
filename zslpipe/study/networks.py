"""Whether there is the network of an extractor, the weights of a library that it names, and the
grid that it is to give: what a job would find out after the jobs before it have run. Imports no
torch.

``torchvision_networks.csv`` lists torchvision's classifiers with the names of their weights and the
width of their last map (a test holds it in step); timm's 1,300 are known to timm alone, the patches
of its transformers by their names.
"""

import csv
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.weight_names import IN_FOLDER, OF_FOLDER, TOLD_FILES, is_weights_file
from zslpipe.provenance import PACKAGE

TABLE = PACKAGE / "study" / "torchvision_networks.csv"
# torchvision's transformers, which have no map, and the same networks of timm, which are read by
# their tokens.
TWINS = {
    "vit_b_16": "timm/vit_base_patch16_224",
    "vit_b_32": "timm/vit_base_patch32_224",
    "vit_l_16": "timm/vit_large_patch16_224",
    "vit_l_32": "timm/vit_large_patch32_224",
    "vit_h_14": "timm/vit_huge_patch14_224",
}
PATCH = re.compile(r"patch(\d+)")
# One of several files of weights (huggingface_hub's and transformers' name for it).
PART = re.compile(r"-\d{5}-of-\d{5}\.")
# Beginnings of the names of timm's networks that cut images into patches and keep that grid.
ONE_GRID = ("vit_", "deit", "beit", "eva", "naflexvit")
# Widths of tokens that such names tell (all 127 names of timm 1.0.31 that are of this form).
NAMED = re.compile(
    r"timm/(vit|vit_relpos|deit|deit3|beit|beitv2|eva02)_(?P<width>tiny|small|base|large)_"
    r"(distilled_)?patch\d+(?!_plus)(_|\.|$)"
)
NAMED_WIDTHS = {"tiny": 192, "small": 384, "base": 768, "large": 1024}
# Blocks that they tell (all 124 names but three with a number of their own, as vit_..._36x1_224).
NAMED_BLOCKS = {"tiny": 12, "small": 12, "base": 12, "large": 24}
BLOCKS_OF_ITS_OWN = re.compile(r"_\d+x\d")
BLOCK = re.compile(r"blocks\.(\d+)")
# Parts of the names of timm's networks that have no class token; a ViT behind a stem has one
# (vit_base_resnet50d_224).
NO_CLASS_TOKEN = re.compile("siglip|timm/(?!vit_).*(swin|maxvit|mixer_|resnet|convnext)")
# Tags of timm's weights: those without a number (timm 1.0.31) are listed, so that a word of which
# is none is told before a job runs.
TAG = re.compile(r"(?=.*\d)[a-z0-9]+(_[a-z0-9]+)*")
TAGS = (
    *("apple_mclip", "apple_mclip_lt", "apple_pt", "apple_pt_dist", "bamboo", "c_radio", "pt"),
    *("clip_laiona", "datacompxl", "dino", "fb", "fb_dino", "fb_tiling", "fcmae", "indomain_pt"),
    *("mae", "metaclip_altogether", "ogvl_dist", "openai", "pali_mix", "pali_ocrvqa", "pali_pt"),
    *("pali_refcoco_seg", "robbyant", "seer", "webli"),
)


@cache
def _weights() -> Mapping[str, list[str]]:
    """Return torchvision's networks with the names of their weights."""
    with TABLE.open(encoding="utf8", newline="") as file:
        return {row["backbone"]: row["weights"].split() for row in csv.DictReader(file)}


# Widths of the maps of the demo's networks (networks.demo_network and demo_pair; a test holds them
# in step).
DEMO_WIDTHS = {"demo": 192, "demo_pair": 64}


@cache
def _widths() -> Mapping[str, str]:
    """Return the widths of the last maps of torchvision's networks, "" for those without one."""
    with TABLE.open(encoding="utf8", newline="") as file:
        return {row["backbone"]: row["width"] for row in csv.DictReader(file)}


def map_width(extractor: Mapping[str, Any]) -> int | None:
    """Return d of an extractor's regions; None where only its network can tell: of a layer that is
    named and is no block, of most of timm's networks, of features that came with a dataset.
    """
    if extractor["backbone"] in DEMO_WIDTHS:
        return DEMO_WIDTHS[extractor["backbone"]]
    named = NAMED.match(extractor["backbone"])
    if named and extractor.get("layer", "blocks.").startswith("blocks."):
        return NAMED_WIDTHS[named["width"]]
    width = "" if "layer" in extractor else _widths().get(extractor["backbone"], "")
    return int(width) if width else None


def check_network(extractor: Mapping[str, Any], where: str, root: str | Path = "data") -> None:
    """Raise InputError, which begins with ``where``, for an extractor's network that torchvision
    does not have, weights that no library has of it (and that are no folder under ``root``), one of
    torchvision's that has tokens alone, a grid that the patches do not give, a block behind its
    last one where its name tells how many it has, and pooled features that it does not have.
    """
    backbone, weights = extractor["backbone"], extractor.get("weights", "random")
    _check_pooled(backbone, extractor.get("pooled", "mean"), where)
    if backbone == "stored":
        return
    is_file = is_weights_file(weights) or weights == "random"
    offered = _offered(backbone, where)
    if not (is_file or weights in offered or _is_tag(backbone, weights)):
        if (Path(root) / weights).is_dir():
            raise InputError(
                f"{where}.weights: {weights!r} is a folder; write {OF_FOLDER}{weights}"
            )
        known = f"{TOLD_FILES}, random"
        named = f", nor one of {', '.join(offered)}" if offered else ""
        of_timm = " or a tag of timm's" if backbone.startswith("timm/") else ""
        told = f"{weights!r} of {backbone}: neither {known}{named}{of_timm}"
        raise InputError(f"{where}.weights: {told}")
    if backbone in TWINS and "layer" not in extractor:
        raise InputError(
            f"{where}.backbone: {backbone!r} has tokens and no map; take {TWINS[backbone]}, the"
            " same network, whose tokens are read as regions"
        )
    if backbone.startswith("timm/"):
        _check_patches(backbone.removeprefix("timm/"), extractor, where)
        _check_block(backbone, str(extractor.get("layer", "")), where)


def check_place(root: str | Path, weights: str, where: str) -> None:
    """Raise InputError, which begins with ``where``, for weights that are a folder under ``root``
    in which none of the files lies that its kind has.
    """
    folder = Path(root) / weights.removeprefix(OF_FOLDER)
    if not weights.startswith(OF_FOLDER) or not folder.is_dir():  # absent: Snakemake says so
        return
    if any((folder / name).is_file() for name in IN_FOLDER):
        return
    told = f"the folder {folder} holds no weights ({', '.join(IN_FOLDER[:2])} ...)"
    advice = "name the folder in which they lie"
    parts = sorted(path.name for path in folder.iterdir() if PART.search(path.name))
    if parts:
        told = f"the weights in {folder} lie in several files ({parts[0]} ...)"
        advice = f"put them into one, {IN_FOLDER[0]}"
    raise InputError(f"{where}.weights: {told}; {advice}")


def check_folder(backbone: str, said: Mapping[str, Any], where: str) -> None:
    """Raise InputError where a folder of weights says, by what its config.json has (``said``), that
    they are of another network, or of a library whose names nobody here knows.
    """
    name = backbone.removeprefix("timm/").partition(".")[0]
    architecture = str(said.get("architecture", name))
    if architecture.partition(".")[0] != name:
        told = f"the folder's config.json says architecture {architecture!r}, not {name!r}"
        raise InputError(f"{where}.weights: {told}; write backbone: timm/{architecture}")
    if "transformers_version" in said or "architectures" in said:
        told = "the folder is of the library transformers, whose names timm does not know"
        raise InputError(f"{where}.weights: {told}; take the same network's folder of timm's")


def _is_tag(backbone: str, weights: str) -> bool:
    """Return whether ``weights`` may be a tag of timm's, which timm alone knows."""
    return backbone.startswith("timm/") and (weights in TAGS or TAG.fullmatch(weights) is not None)


def _check_pooled(backbone: str, pooled: str, where: str) -> None:
    """Raise InputError for pooled features that a network does not have."""
    if pooled == "mean":
        return
    if not backbone.startswith("timm/"):
        told = f"{pooled!r} is read of timm's networks, and this is {backbone!r}"
        raise InputError(f"{where}.pooled: {told}; leave it out for the mean over the regions")
    if pooled == "class_token" and NO_CLASS_TOKEN.search(backbone):
        told = f"{backbone!r} has no class token; write head, or leave it out for the mean"
        raise InputError(f"{where}.pooled: {told} over the regions")


def has_patches(backbone: str) -> bool:
    """Return whether a network is one of timm's that cut images into patches and keep that grid."""
    name = backbone.removeprefix("timm/")
    return backbone.startswith("timm/") and name.startswith(ONE_GRID) and bool(PATCH.search(name))


def _check_patches(name: str, extractor: Mapping[str, Any], where: str) -> None:
    """Raise InputError where the patches that a timm network's name tells do not divide the size,
    or do not give the grid.
    """
    found = PATCH.search(name)
    size, grid, layer = (extractor.get(key) for key in ("size", "grid", "layer"))
    if found is None or size is None or not name.startswith(ONE_GRID):
        return
    patch = int(found[1])
    if size % patch:
        below = size - size % patch
        told = f"{size} px are no multiple of {name}'s patches of {patch} px"
        raise InputError(f"{where}.size: {told}; write {below} or {below + patch}")
    if grid != size // patch and (layer is None or str(layer).startswith("blocks.")):
        cells = size // patch
        told = f"the network {name} has {cells} x {cells} patches at this size, not {grid} x {grid}"
        raise InputError(f"{where}.grid: {told}; write {cells}")


def _check_block(backbone: str, layer: str, where: str) -> None:
    """Raise InputError where the name of a timm network tells that it has fewer blocks."""
    named, block = NAMED.match(backbone), BLOCK.fullmatch(layer)
    if named is None or block is None or BLOCKS_OF_ITS_OWN.search(backbone):
        return
    blocks = NAMED_BLOCKS[named["width"]]
    if int(block[1]) >= blocks:
        told = f"{backbone} has blocks.0 to blocks.{blocks - 1}, not {layer}"
        raise InputError(f"{where}.layer: {told}; leave it out for the last one behind its norm")


def check_views(trunk: Mapping[str, Any], settings: Mapping[str, Any], where: str) -> None:
    """Raise InputError where a method sends views of a share of its images (``view``) through a
    network whose patches do not divide them.
    """
    backbone, size = trunk["backbone"], trunk.get("size")
    found = PATCH.search(backbone)
    if "view" not in settings or not has_patches(backbone) or found is None or size is None:
        return
    patch, share = int(found[1]), settings["view"]
    if round(share * size) % patch:
        multiples = range(patch, 4 * size, patch)
        fitting = [other for other in multiples if not round(share * other) % patch]
        nearest_ones = sorted(fitting, key=lambda other: abs(other - size))[:2]
        told = f"{round(share * size)} px, {share:g} of images of {size} px, are no multiple of"
        advice = f"take an extractor of {' or '.join(map(str, sorted(nearest_ones)))} px"
        raise InputError(f"{where}.view: {told} {backbone}'s patches of {patch} px; {advice}")


def _offered(backbone: str, where: str) -> list[str]:
    """Return the names of a network's weights; InputError where torchvision has no such network."""
    if backbone in DEMO_WIDTHS:
        return []
    if backbone.startswith("timm/"):
        return ["pretrained"]
    if backbone not in _weights():
        near = nearest(backbone, [*_weights(), *DEMO_WIDTHS, "stored"])
        advice = f"{near} (timm networks are written timm/NAME)"
        if has_patches(f"timm/{backbone}"):
            advice = f"timm's are written timm/{backbone}"
        elif "/" in backbone:
            advice = "networks of timm are written timm/NAME, and a folder stands under weights"
        raise InputError(f"{where}.backbone: no torchvision network {backbone!r}; {advice}")
    return _weights()[backbone]
