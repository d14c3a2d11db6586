"""Captions of the demo's auxiliary pictures: what each shows, in words, for its image-text pair.

``captions.csv`` beside the folder of pictures, a row a picture: image (its path in the folder),
text. A caption names the attributes that the picture itself shows, in the words and by the template
from which the texts of classes are made of attributes (:mod:`zslpipe.datasets.words`): the text
tower reads one language in both.
"""

import csv
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from zslpipe.datasets.creatures import ATTRIBUTES, Look, sample_looks
from zslpipe.datasets.words import attribute_words, read_corrections
from zslpipe.machine.files import written_whole

TEMPLATE = "a creature with {attributes}"


def write_captions(
    output: Path, pictures: Mapping[str, tuple[np.ndarray, list[int]]], names: tuple[str, ...]
) -> None:
    """Write the captions of ``pictures``: path -> the class's attribute strengths and the seed from
    which the picture is drawn; ``names`` are the attributes'.
    """
    words = attribute_words(names, read_corrections())
    phrases = dict(zip(ATTRIBUTES, (" ".join(words[name]) for name in names), strict=True))
    with (
        written_whole(output) as temporary,
        temporary.open("w", encoding="utf8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["image", "text"])
        for path, (strengths, seed) in pictures.items():
            looks = sample_looks(strengths, np.random.default_rng(seed))
            shown = [phrases[part, value] for part, value in ATTRIBUTES if _has(looks, part, value)]
            writer.writerow([path, TEMPLATE.replace("{attributes}", ", ".join(shown))])


def _has(looks: Mapping[str, Look], part: str, value: str) -> bool:
    """Return whether a part has a colour or a form."""
    return value == looks[part].colour or value in looks[part].forms
