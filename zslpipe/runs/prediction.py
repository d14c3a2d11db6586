"""Classes of pictures that no dataset lists, by a finished run: each picture is scored against all
classes and gets the likeliest of them.
"""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from zslpipe.machine.devices import Compute, device_of
from zslpipe.machine.errors import InputError, nearest
from zslpipe.runs.deciding import Terms
from zslpipe.runs.ensemble import Ensemble, is_ensemble, open_ensemble
from zslpipe.runs.export import is_exported, read_exported
from zslpipe.runs.given_pictures import listed_pictures
from zslpipe.runs.new_attributes import WordSource
from zslpipe.runs.new_classes import with_new_classes
from zslpipe.runs.new_texts import with_new_texts
from zslpipe.runs.picture_inputs import PictureInputs
from zslpipe.runs.picture_scores import Opened, PictureScores, Scored
from zslpipe.runs.trained import Trained, open_trained
from zslpipe.scores.gating import log_softmax
from zslpipe.settings import parse_settings
from zslpipe.training.contract import Classes, Model

GROUPS = ("all", "seen", "unseen", "new")
COLUMNS = ("image", "rank", "class", "probability", "seen", "attributes", "problem")
TYPES = {"rank": "Int64", "probability": "Float64", "seen": "boolean"}


@dataclass(frozen=True, eq=False)
class Asked:
    """What is asked of each picture: the ``top`` of the ``candidates`` (class numbers) among
    ``classes``, and up to ``attributes`` attributes of each.
    """

    classes: Classes
    candidates: np.ndarray
    top: int
    attributes: int


class Predictor:
    """A finished run, or an ensemble, that predicts the classes of pictures on ``device``, decoded
    by ``workers`` processes beside this one (0: by this one); ``source`` gives word vectors of
    attributes that nobody trained on.
    """

    def __init__(
        self,
        trained: Opened,
        device: torch.device,
        workers: int = 0,
        source: WordSource | None = None,
    ):
        self.trained, self.device, self.source = trained, device, source
        self.classes = trained.classes
        self.models = tuple(member.model().to(device) for member in trained.members)
        self.picture_scores = PictureScores(trained, device, workers)

    @property
    def member(self) -> Trained:
        """Return the run itself, or the first member of an ensemble."""
        return self.trained.members[0]

    @property
    def model(self) -> Model:
        """Return the model of :attr:`member`."""
        return self.models[0]

    @property
    def pictures(self) -> PictureInputs:
        """Return what reads pictures for :attr:`member`."""
        return self.picture_scores.readers[0]

    @property
    def notes(self) -> list[str]:
        """What has to be said of the predictions, a sentence each."""
        how, found = self.trained.probabilities, []
        if isinstance(self.trained, Ensemble):
            found.append(self.trained.told)
        told = "probabilities: not calibrated (no validation.h5 of this run), a softmax of its"
        told += " scores as they are"
        if how.temperature is not None:
            told = f"probabilities: a softmax of the scores at temperature {how.temperature:.3g},"
            told += " the likeliest on the validation classes"
        found.append(told)
        if how.rebalancing != "none":
            found.append(how.told)
        if self.trained.boxed:
            found.append("the run's images were cropped to boxes: crop pictures to what they show")
        return found

    def with_classes(self, table: pd.DataFrame, missing_as_zero: bool = False) -> "Predictor":
        """Return what predicts classes that nobody trained on too, as
        :func:`zslpipe.runs.new_classes.with_new_classes` takes them; of an ensemble every member
        does.
        """
        return self._with(
            [
                with_new_classes(member, table, missing_as_zero, self.source)
                for member in self.trained.members
            ]
        )

    def with_texts(
        self,
        texts: Mapping[str, Sequence[str]],
        data_root: str | Path = "data",
        pair: Path | None = None,
    ) -> "Predictor":
        """Return what predicts classes that nobody trained on too, described by ``texts``, as
        :func:`zslpipe.runs.new_texts.with_new_texts` takes them; of an ensemble every member does.
        """
        given = (texts, Path(data_root), pair, self.device)
        return self._with([with_new_texts(member, *given) for member in self.trained.members])

    def _with(self, found: Sequence[tuple[Classes, Model]]) -> "Predictor":
        """Return what predicts the classes of each member's model for more of them."""
        wider = copy.copy(self)
        wider.classes = found[0][0]
        wider.models = tuple(model.to(self.device) for _, model in found)
        return wider

    def predict(
        self,
        images: str | Path | Iterable[str | Path],
        top: int = 5,
        classes: pd.DataFrame | None = None,
        group: str = "all",
        attributes: int = 3,
        missing_as_zero: bool = False,
    ) -> pd.DataFrame:
        """Return the ``top`` likeliest classes of each picture, a row each, the likeliest first.

        ``images``: files, folders, globs. ``classes``: classes that nobody trained on, as
        :meth:`with_classes` takes them. ``group``: which classes are
        candidates, "all", "seen", "unseen" (new ones among them) or "new"; probabilities are among
        the candidates. Columns: image, rank (from 1), class, probability, seen, attributes (a tuple
        of up to ``attributes`` pairs: a name, and what it did for the class in units of the score,
        as :mod:`zslpipe.runs.deciding` says), problem. A picture that cannot be read has one row
        with its ``problem`` and no class. Raises InputError where nothing is given, a class that is
        given does not fit, and for a group without classes.
        """
        listed = listed_pictures([images] if isinstance(images, str | Path) else images)
        if classes is not None:
            wider = self.with_classes(classes, missing_as_zero)
            return wider.predict(listed, top, None, group, attributes)
        known = self.classes
        asked = Asked(known, self._candidates(known, group), top, attributes)
        rows: dict[int, list[dict[str, object]]] = {}
        seen = known.seen.numpy()
        for scored in self.picture_scores.scored(listed, self.models, seen, attributes > 0):
            for place, problem in scored.faults.items():
                rows[place] = [{"problem": problem, "attributes": ()}]
            for number, place in enumerate(scored.places):
                rows[place] = self._likeliest(scored, number, asked)
        found = []
        for place, of_image in sorted(rows.items()):
            found += [{"image": str(listed[place]), "problem": "", **row} for row in of_image]
        return pd.DataFrame(found, columns=list(COLUMNS)).astype(TYPES)

    def scores(self, images: Sequence[Path]) -> np.ndarray:
        """Return (image, class) scores of pictures, float64, as scores.h5 has them; raises
        InputError where one cannot be read.
        """
        parts, seen = [], self.classes.seen.numpy()
        for scored in self.picture_scores.scored(images, self.models, seen, False):
            for place, problem in scored.faults.items():
                raise InputError(f"{images[place]}: {problem}")
            parts.append(scored.scores)
        return np.concatenate(parts)

    def _candidates(self, known: Classes, group: str) -> np.ndarray:
        """Return the numbers of the classes of a group; InputError for one that is empty."""
        if group not in GROUPS:
            raise InputError(f"group {group!r}; {nearest(group, GROUPS)}")
        seen, old = known.seen.numpy(), len(self.trained.classes.names)
        new = np.arange(len(seen)) >= old
        chosen = {"all": seen | ~seen, "seen": seen, "unseen": ~seen, "new": new}[group]
        if not chosen.any():
            raise InputError(f"{self.trained.name}: no class is {group}; ask for another group")
        return np.flatnonzero(chosen)

    def _likeliest(self, scored: Scored, number: int, asked: Asked) -> list[dict[str, object]]:
        """Return a row for each of the likeliest classes of a batch's picture ``number``."""
        how, seen = self.trained.probabilities, asked.classes.seen.numpy()
        scores = scored.scores[number, asked.candidates]
        logarithms = log_softmax(scores[None], how.temperature or 1.0)[0]
        rows: list[dict[str, object]] = []
        for place in np.argsort(-logarithms, kind="stable")[: asked.top]:
            label = int(asked.candidates[place])
            row: dict[str, object] = {"rank": len(rows) + 1, "class": asked.classes.names[label]}
            row |= {"probability": float(np.exp(logarithms[place])), "seen": bool(seen[label])}
            rows.append(row | {"attributes": _deciding(scored.terms, number, label, asked)})
        return rows


def _deciding(
    terms: Terms | None, number: int, label: int, asked: Asked
) -> tuple[tuple[str, float], ...]:
    """Return the attributes that did most for a class in a batch's picture ``number``, the most
    first; none where the method has no such terms, or class vectors are no attributes.
    """
    names = asked.classes.attribute_names
    if terms is None or terms.vectors.shape[1] != len(names):
        return ()
    shares = terms.shares(number, label, asked.candidates)
    order = np.argsort(-shares, kind="stable")[: asked.attributes]
    return tuple((names[place], float(shares[place])) for place in order if shares[place] > 0)


def open_predictor(
    folder: str | Path,
    data_root: str | Path = "data",
    device: str = "auto",
    threads: int = 0,
    source: WordSource | None = None,
) -> Predictor:
    """Return the run or ensemble of a folder of results, or of an exported one; ``data_root`` is
    where a file of the extractor's weights is counted from, ``threads`` how many compute (0: as
    many as torch has), ``source`` what gives word vectors of new attributes.

    On a GPU as many processes decode; on a CPU half of them, as in an extraction. Raises InputError
    as :func:`zslpipe.runs.trained.open_trained`, :func:`zslpipe.runs.ensemble.open_ensemble` and
    :func:`zslpipe.runs.export.read_exported`.
    """
    compute = parse_settings(
        Compute, {"device": device, "threads": threads or torch.get_num_threads()}, "--device"
    )
    on = device_of(compute)
    workers = compute.threads if on.type == "cuda" else compute.threads // 2
    opened = Path(folder)
    if is_exported(opened):
        return Predictor(read_exported(opened), on, workers, source)
    return Predictor(open_result(opened, Path(data_root)), on, workers, source)


def open_result(folder: Path, data_root: Path) -> Opened:
    """Return the trained run, or the ensemble of such, whose results lie in ``folder``; InputError
    as :func:`open_predictor`.
    """
    if is_ensemble(folder.resolve()):
        return open_ensemble(folder, data_root)
    return open_trained(folder, data_root)
