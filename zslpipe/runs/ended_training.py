"""A training that has ended, kept in its work folder until everything made of it is written: a job
that dies while it scores is not trained again.

``{phase}.trained.pt``: torch's zip file under a seal (:mod:`zslpipe.machine.seals`) with ``stamp``,
``state``, ``config``, ``chosen`` and ``history``. Snakemake deletes the declared outputs of a job
that fails, ``weights.pt`` among them; the work folder it does not know.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from zslpipe.machine.files import written_whole
from zslpipe.machine.seals import check_seal, seal
from zslpipe.runs.models import RunInputs, build_model
from zslpipe.runs.problems import Problem
from zslpipe.training.contract import Model, TrainingRun

logger = logging.getLogger(__name__)

# What is told of a stop after a training.
STOPPED_SCORING = "told to stop while scoring, trained to the end"


@dataclass(frozen=True, eq=False)
class EndedTraining:
    """What a training ended with: the model's tensors, its method's Config with what was
    ``chosen``, and the rows of its history.
    """

    state: Mapping[str, Tensor]
    config: Any
    chosen: Mapping[str, Any]
    history: Sequence[dict[str, Any]]


def keep_training(run: TrainingRun, model: Model, config: Any, chosen: Mapping[str, Any]) -> None:
    """Write what the training ``run`` has ended with, whole or not at all."""
    saved = {
        "stamp": run.stamp,
        "state": {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()},
        "config": asdict(config),
        "chosen": dict(chosen),
        "history": list(run.history),
    }
    # An open file: torch would write the temporary name into it.
    with written_whole(_place(run)) as temporary:
        with temporary.open("wb") as file:
            torch.save(saved, file)
        seal(temporary)


def kept_training(run: TrainingRun, module: ModuleType) -> EndedTraining | None:
    """Return what an earlier process's training of the same stamp ended with; None where there is
    none, or it is damaged.
    """
    path = _place(run)
    if not path.is_file():
        return None
    try:
        check_seal(path)
    except ValueError as error:
        logger.info("%s is damaged (%s): left behind", path.name, error)
        return None
    saved = torch.load(path, map_location="cpu", weights_only=True)
    if saved["stamp"] != run.stamp:
        return None
    logger.info("trained before and not scored to the end: only scored now")
    config = module.Config(**saved["config"])
    return EndedTraining(saved["state"], config, saved["chosen"], saved["history"])


def restored(
    ended: EndedTraining, module: ModuleType, problem: Problem, run_inputs: RunInputs
) -> Model:
    """Return the trained model on the run's device."""
    model = build_model(module, ended.config, problem.classes, run_inputs)
    model.load_state_dict(dict(ended.state))
    return model


def _place(run: TrainingRun) -> Path:
    """Return where the training is kept."""
    return run.folder / f"{run.phase}.trained.pt"
