"""Texts of classes: templates filled with class names, descriptions from a file or a folder, or the
attributes that a class has, by a template. Which text encoder makes vectors of them stands beside.

Templates, and the mean over them, are CLIP's ensemble of prompts (Radford et al. 2021, section
3.1.4).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import PositiveInt

from zslpipe.datasets.reading.descriptions import read_descriptions
from zslpipe.datasets.words import attribute_words, read_corrections
from zslpipe.formats.index import Index
from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.ranges import (
    ATTRIBUTES,
    CLASS,
    PAIRS,
    AttributesTemplate,
    ClassTemplate,
    FileName,
    OneOrMore,
    TextEncoder,
    TowerWeights,
)
from zslpipe.names import in_words


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about the texts of classes; files are relative to the data
    folder. The texts come from one of ``templates``, ``descriptions`` and ``from_attributes``.
    """

    encoder: TextEncoder  # sentence-transformers:FOLDER, open_clip/ARCHITECTURE, or demo
    weights: TowerWeights | None = None  # of open_clip: a checkpoint, or a folder that it saved
    templates: Annotated[tuple[ClassTemplate, ...], OneOrMore] | None = None  # with {class}
    descriptions: FileName | None = None  # CSV class,text, or a folder of CLASS.txt
    from_attributes: AttributesTemplate | None = None  # template with {attributes} and {class}
    threshold: float | None = None  # a class has the attributes above it; binary ones need none
    strongest: PositiveInt | None = None  # or: so many, of the largest values above 0
    values: str = "att"  # kind of class vectors whose values tell which attributes a class has

    def __post_init__(self) -> None:
        """Raise ValueError unless the texts come from one place, and weights are an encoder's."""
        sources = (self.templates, self.descriptions, self.from_attributes)
        if sum(source is not None for source in sources) != 1:
            raise ValueError("give one of 'templates', 'descriptions' and 'from_attributes'")
        chosen = self.threshold is not None or self.strongest is not None or self.values != "att"
        if self.from_attributes is None and chosen:
            raise ValueError("'threshold', 'strongest', 'values' are of 'from_attributes' alone")
        if self.threshold is not None and self.strongest is not None:
            raise ValueError("give 'threshold' or 'strongest', not both")
        if self.encoder.startswith(PAIRS) and self.weights is None:
            raise ValueError("an encoder of open_clip needs 'weights', a checkpoint or a folder")
        if not self.encoder.startswith(PAIRS) and self.weights is not None:
            raise ValueError(f"encoder {self.encoder!r} takes no 'weights' beside it")


def texts_of_classes(
    index: Index, chosen: Settings, data_root: Path, where: str
) -> dict[str, tuple[str, ...]]:
    """Return the texts of each class by its name, in the index's order.

    Raises InputError for unreadable files, for classes without a text, and where the attributes
    that a class has cannot be told.
    """
    if chosen.descriptions is not None:
        return read_descriptions(data_root / chosen.descriptions, index.class_names, where)
    if chosen.from_attributes is not None:
        return _of_attributes(index, chosen, chosen.from_attributes, where)
    found = {}
    for name in index.class_names:
        words = in_words(name)
        found[name] = tuple(one.replace(CLASS, words) for one in chosen.templates or ())
    return found


def _of_attributes(
    index: Index, chosen: Settings, template: str, where: str
) -> dict[str, tuple[str, ...]]:
    """Return one text a class: the template with the words of the attributes that it has."""
    words = attribute_words(index.attribute_names, read_corrections())
    phrases = [" ".join(words[name]) for name in index.attribute_names]
    found: dict[str, tuple[str, ...]] = {}
    without = []
    for name, has in zip(index.class_names, _had(index, chosen, where), strict=True):
        named = [phrases[number] for number in has]
        if not named:
            without.append(name)
        text = template.replace(CLASS, in_words(name))
        found[name] = (text.replace(ATTRIBUTES, ", ".join(named)),)
    if without:
        named_ones = ", ".join(without[:5])
        raise InputError(f"{where}: {len(without)} classes have no attribute: {named_ones}")
    return found


def _had(index: Index, chosen: Settings, where: str) -> Sequence[np.ndarray]:
    """Return the numbers of the attributes that each class has: with ``strongest`` those of the
    largest values above 0, these first; else those above the threshold, in the dataset's order.
    """
    if chosen.values not in index.semantics:
        known = nearest(chosen.values, index.semantics)
        raise InputError(f"{where}: no class vectors {chosen.values!r}; {known}")
    values = np.asarray(index.semantics[chosen.values], np.float64)
    if values.shape[1] != len(index.attribute_names):
        fault = f"{chosen.values!r} has {values.shape[1]} numbers a class"
        raise InputError(f"{where}: {fault}, not one for each of the attributes; take another kind")
    if chosen.strongest is not None:
        order = np.argsort(-values, axis=1, kind="stable")[:, : chosen.strongest]
        return [numbers[row[numbers] > 0] for numbers, row in zip(order, values, strict=True)]
    threshold = chosen.threshold
    if threshold is None:
        # At unit length a binary vector has 0 and one other value.
        highest = values.max(axis=1, keepdims=True)
        if not ((values == 0) | np.isclose(values, highest)).all() or (highest <= 0).any():
            limits = f"{values.min():.4g} to {values.max():.4g}"
            fault = f"values of {chosen.values!r} are not binary ({limits})"
            raise InputError(f"{where}: {fault}; give 'threshold' or 'strongest'")
        threshold = 0.0
    return [np.flatnonzero(row > threshold) for row in values]
