"""Lengths of the vectors that text encoders make, before anything is encoded: what a plan of a run
on texts follows from.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zslpipe.machine.ranges import SENTENCES

# By the beginnings of open_clip's architectures, the longer ones first (embed_dim of its
# model_configs).
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
    known = [width for beginning, width in PAIRS.items() if name.startswith(beginning)]
    return known[0] if known else USUAL


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
