"""Lengths of the vectors that text encoders make, before anything is encoded: what a plan of a run
on texts follows from.
"""

import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from zslpipe.machine.ranges import SENTENCES

# Where open_clip is not installed, by the beginnings of its architectures, the longer ones first
# (embed_dim of its model_configs).
PAIRS = {
    "ViT-bigG": 1280,
    "ViT-SO400M": 1152,
    "ViT-L": 768,
    "ViT-H": 1024,
    "ViT-g": 1024,
    "RN50x4": 640,
    "RN50x16": 768,
    "RN50": 1024,
}
# ViT-B and RN101 of the same; all-MiniLM's are shorter.
USUAL = 512
DEMO = 64  # of the demo's pair (networks.demo_pair.WIDTH)
# File of a folder that open_clip saved.
PAIR_CONFIG = "open_clip_config.json"
# Files of a folder of sentence-transformers that tell it, and their keys (versions 2 to 6).
TOLD_IN = {
    "1_Pooling/config.json": ("embedding_dimension", "word_embedding_dimension"),
    "config.json": ("hidden_size",),
}


def text_width(entry: Mapping[str, Any], data_root: Path) -> int:
    """Return the length of the vectors of a section under ``texts``, or ``words`` of kind text: as
    the encoder's folder or name tells it, else that of most.
    """
    encoder = str(entry["encoder"])
    if encoder == "demo":
        return DEMO
    if encoder.startswith(SENTENCES):
        return _of_folder(data_root / encoder.removeprefix(SENTENCES))
    name = encoder.partition("/")[2]
    told = _of_pair(name, data_root / entry.get("weights", ""))
    if told is not None:
        return told
    known = [width for beginning, width in PAIRS.items() if name.startswith(beginning)]
    return known[0] if known else USUAL


def _of_pair(name: str, weights: Path) -> int | None:
    """Return what the folder of an open_clip network says, else that library of the architecture;
    None where neither can be read. The library itself, with torch, is not imported.
    """
    configs = pair_configurations()
    for path in (weights / PAIR_CONFIG, *([configs[name]] if name in configs else [])):
        try:
            told = json.loads(path.read_text(encoding="utf8"))
            return int(told.get("model_cfg", told)["embed_dim"])
        except (OSError, ValueError, TypeError, LookupError, AttributeError):
            continue
    return None


def pair_configurations() -> dict[str, Path]:
    """Return the file of each of open_clip's architectures by its name, nothing where that library
    is not installed. It is not imported, nor is torch.
    """
    library = find_spec("open_clip")
    roots = library.submodule_search_locations or () if library else ()
    found: dict[str, Path] = {}
    for root in roots:
        found |= {path.stem: path for path in Path(root, "model_configs").glob("*.json")}
    return found


def _of_folder(folder: Path) -> int:
    """Return what a sentence encoder's own files say, as far as they can be read."""
    for name, keys in TOLD_IN.items():
        try:
            told = json.loads((folder / name).read_text(encoding="utf8"))
            found = [told[key] for key in keys if key in told]
        except (OSError, ValueError, TypeError):
            continue
        if found:
            return int(found[0])
    return USUAL
