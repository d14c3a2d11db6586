"""A run's inputs and its model: what every job that trains or scores begins with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import Index
from zslpipe.machine.progress import counted
from zslpipe.runs.problems import Problem
from zslpipe.settings import parse_settings
from zslpipe.training.contract import Classes, Inputs, Model, TrainingData, TrainingRun


@dataclass(frozen=True, eq=False)
class RunInputs:
    """A dataset as a run reads it on ``device``: ``identity`` changes when the index or the inputs
    do; ``trunk`` is the pretrained network of an end-to-end method, None for cached ``features``.
    """

    index: Index
    inputs: Inputs
    device: torch.device
    identity: str
    trunk: Model | None = None
    features: FeatureFile | None = None


def configured(module: Any, spec: Mapping[str, Any]) -> Any:
    """Return the method's Config; ``spec`` is a :class:`zslpipe.study.config.Run` as a dict, whose
    settings are complete. Raises InputError for a name or a value that the Config has not.
    """
    return parse_settings(module.Config, spec["settings"], "--spec", ("settings",))


def build_model(module: Any, config: Any, classes: Classes, run_inputs: RunInputs) -> Model:
    """Return a new model on the run's device; an end-to-end method's network has the pretrained
    weights and lies channels-last.
    """
    model = module.Model(config, classes, run_inputs.inputs.shape)
    if run_inputs.trunk is not None:
        model.trunk.load_state_dict(run_inputs.trunk.state_dict())
        model.to(memory_format=torch.channels_last)
    return model.to(run_inputs.device)


def train_model(
    module: Any, config: Any, problem: Problem, run_inputs: RunInputs, run: TrainingRun
) -> Model:
    """Return a model of ``config`` trained on ``problem``; everything random in it comes from the
    run's seed.
    """
    torch.manual_seed(run.seed)
    model = build_model(module, config, problem.classes, run_inputs)
    data = TrainingData(
        run_inputs.inputs, problem.train_rows, problem.train_labels, problem.classes, run
    )
    module.train(model, config, data)
    return model


def score_rows(model: Model, inputs: Inputs, rows: Tensor) -> np.ndarray:
    """Return ``model.scores`` (image, class) float32 of the images ``rows``, in inference mode."""
    if not len(rows):  # no image, but all classes: as many columns as any other image's scores have
        return score_rows(model, inputs, torch.tensor([0]))[:0]
    model.eval()
    with torch.inference_mode():
        streamed = inputs.stream(rows.split(inputs.at_once))
        told = counted(streamed, "scoring", "images", len(rows), len)
        parts = [model.scores(part).float().cpu() for part in told]
    return torch.cat(parts).numpy()
