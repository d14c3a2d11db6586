"""Scores of pictures that no dataset lists, by a finished run or an ensemble of several: what its
scores.h5 would hold of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical
from zslpipe.runs.deciding import Terms, attribute_terms
from zslpipe.runs.ensemble import Ensemble
from zslpipe.runs.picture_inputs import PictureInputs, Read
from zslpipe.runs.trained import Trained
from zslpipe.training.contract import Model

Opened = Trained | Ensemble


@dataclass(frozen=True, eq=False)
class Scored:
    """A batch of pictures: ``scores`` (image, class) float64 of those that can be read, at
    ``places`` in the list, with what they are a sum of; what is wrong with the others, by place.
    """

    places: list[int]
    scores: np.ndarray
    terms: Terms | None
    faults: dict[int, str]


class PictureScores:
    """Scores pictures by what is ``opened`` on ``device``, decoded by ``workers`` processes beside
    this one; members that read the same inputs read them once.
    """

    def __init__(self, opened: Opened, device: torch.device, workers: int):
        self.opened = opened
        found: dict[str, int] = {}
        self.readers: list[PictureInputs] = []
        self.reader_of: list[int] = []  # of each member
        for number, member in enumerate(opened.members):
            key = _told_apart(member, number)
            if key not in found:
                found[key] = len(self.readers)
                self.readers.append(PictureInputs(member, device, workers))
            self.reader_of.append(found[key])

    def scored(
        self, images: Sequence[Path], models: Sequence[Model], seen: np.ndarray, explained: bool
    ) -> Iterator[Scored]:
        """Yield the scores of pictures batch by batch against the classes of ``models``, one a
        member, of which ``seen`` (class,) are seen, with their terms where ``explained``.
        """
        streams = [reader.stream(images, told=reader is self.readers[0]) for reader in self.readers]
        for reads in zip(*streams, strict=True):
            places = reads[0].places
            if any(read.places != places for read in reads):
                raise InputError("pictures changed while they were read; predict again")
            if not places:
                yield Scored([], np.empty((0, 0)), None, reads[0].faults)
                continue
            yield self._batch(reads, models, seen, explained)

    def _batch(
        self, reads: Sequence[Read], models: Sequence[Model], seen: np.ndarray, explained: bool
    ) -> Scored:
        """Return the scores of one batch of pictures."""
        parts, terms = [], None
        with torch.inference_mode():
            for model, number in zip(models, self.reader_of, strict=True):
                parts.append(model.scores(reads[number].inputs).double().cpu().numpy())
            if explained and isinstance(self.opened, Trained):
                method = self.opened.spec["method"]
                terms = attribute_terms(method, models[0], reads[0].inputs)
        scores = self.opened.united(parts, seen).astype(np.float64)
        return Scored(reads[0].places, scores, terms, reads[0].faults)


def _told_apart(member: Trained, number: int) -> str:
    """Return what members have in common that read the same inputs; a network that was trained with
    a method is its own.
    """
    if member.trunk is None:
        return str(number)
    return canonical([member.spec["input"], member.network_hash, dict(member.extractor)])
