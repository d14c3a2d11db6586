"""A finished ensemble, opened for pictures that no dataset lists: its members, each a trained run,
and how their scores become one matrix (:mod:`zslpipe.scores.ensembles`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.formats.identity import run_hash
from zslpipe.formats.scores import ScoreMatrix, read_scores
from zslpipe.machine.errors import InputError
from zslpipe.runs.probabilities import Probabilities, temperature_of
from zslpipe.runs.trained import Trained, open_trained
from zslpipe.scores.ensembles import united
from zslpipe.scores.gating import log_softmax
from zslpipe.scores.kinds import are_log_probabilities
from zslpipe.scores.learned import learned_change
from zslpipe.training.contract import Classes


@dataclass(frozen=True, eq=False)
class Ensemble:
    """An ensemble without the files it came from.

    ``temperatures`` of its ``members``, in which their softmax is taken; None of one whose scores
    are log-probabilities as they are, after a rebalancing of its own. ``experts``: the first member
    is that of the seen classes, the second of the unseen ones. ``probabilities`` are those of the
    scores.h5 that was named: its rebalancing, and its temperature.
    """

    name: str
    members: tuple[Trained, ...]
    temperatures: tuple[float | None, ...]
    experts: bool
    probabilities: Probabilities

    @property
    def classes(self) -> Classes:
        """Return the classes of all members, as the first one reads them."""
        return self.members[0].classes

    @property
    def boxed(self) -> bool:
        """Return whether the dataset's images were cropped to boxes."""
        return self.members[0].boxed

    def united(self, scores: Sequence[np.ndarray], seen: np.ndarray) -> np.ndarray:
        """Return (image, class) scores, as its scores.h5 holds them, of those of each member's
        model.
        """
        parts = []
        for member, temperature, given in zip(self.members, self.temperatures, scores, strict=True):
            own = member.probabilities.changed(given, seen)
            if temperature is None:
                parts.append(own.astype(np.float64))
            else:
                parts.append(log_softmax(own, temperature))
        return self.probabilities.changed(united(parts, seen, self.experts), seen)

    @property
    def told(self) -> str:
        """Return what is done with its members, in one sentence."""
        said = []
        for member, temperature in zip(self.members, self.temperatures, strict=True):
            how = "as it is" if temperature is None else f"at temperature {temperature:.3g}"
            own = member.probabilities.rebalancing
            name = f"{member.spec['method']}/{member.spec['variant']}"
            said.append(f"{name} {how}" if own == "none" else f"{name} after {own}, {how}")
        if self.experts:
            return f"experts: seen classes by {said[0]}; unseen ones by {said[1]}"
        return f"mean of the probabilities of {', '.join(said[:-1])} and {said[-1]}"


def is_ensemble(folder: Path) -> bool:
    """Return whether a folder holds the scores of an ensemble, or is of a rebalancing of one."""
    path = folder / "scores.h5"
    if not path.is_file() or (folder / "weights.pt").is_file():
        return False
    return not (folder.parent / "weights.pt").is_file() and bool(_members(read_scores(path)))


def _members(matrix: ScoreMatrix) -> Mapping[str, str]:
    """Return the members of an ensemble's scores, method/variant -> hash; none of others'."""
    told = matrix.run.get("members")
    return told if isinstance(told, Mapping) else {}


def open_ensemble(folder: Path, data_root: Path) -> Ensemble:
    """Return the ensemble whose results lie in ``folder``, results/{dataset}/runs/{ensemble}/
    default/seed{n}, or in the folder of a rebalancing in it; its members lie beside it.

    Raises InputError where a member was not trained here, is gone, or is another by now, and as
    :func:`zslpipe.runs.trained.open_trained` for each.
    """
    folder = folder.resolve()
    path = folder / "scores.h5"
    matrix = read_scores(path)
    after = "rebalancing" in matrix.run  # the ensemble was rebalanced, not its members
    first = "" if after else matrix.rebalancing.replace("none", "")
    seed = folder.parent if after or first else folder
    experts = [str(name) for name in _listed(matrix.run.get("experts"))]
    names = experts or list(_members(matrix))
    members, temperatures = [], []
    for name in names:
        one, temperature = _member(path, matrix, seed, name, first, data_root)
        members.append(one)
        temperatures.append(temperature)
    run = {name: of for name, of in matrix.run.items() if name != "rebalancing"}
    kind, change = "none", Probabilities().change
    if after:
        kind, change = matrix.rebalancing, learned_change(path)
    temperature = None if first else temperature_of(seed, run, change)
    return Ensemble(
        name=f"{matrix.dataset}/{matrix.method}/{matrix.variant} seed {matrix.seed}",
        members=tuple(members),
        temperatures=tuple(temperatures),
        experts=bool(experts),
        probabilities=Probabilities(kind, change, temperature),
    )


def _listed(value: object) -> list[Any]:
    """Return a list of JSON, empty for what is none."""
    return value if isinstance(value, list) else []


def _member(
    path: Path, matrix: ScoreMatrix, seed: Path, name: str, rebalancing: str, data_root: Path
) -> tuple[Trained, float | None]:
    """Return the member ``name`` (method/variant) of an ensemble's scores and its temperature."""
    folder = seed.parents[2] / name / f"seed{matrix.seed}"
    if not (folder / "weights.pt").is_file():
        fault = f"its member {name} has no weights.pt there: another program's scores, or deleted"
        raise InputError(f"{path}: {fault}; only runs that were trained here score new pictures")
    folder = folder / rebalancing
    found = read_scores(folder / "scores.h5")
    if run_hash(found.run) != _members(matrix)[name]:
        fault = f"{folder} is another run than the ensemble was made of"
        raise InputError(f"{path}: {fault}; run the workflow, which makes the ensemble again")
    trained = open_trained(folder, data_root)
    if are_log_probabilities(found):
        return trained, None
    chosen = matrix.chosen.get(name.replace("/", " / ", 1))
    told = chosen if isinstance(chosen, Mapping) else {}
    return trained, float(told.get("likeliest_temperature", 1.0))
