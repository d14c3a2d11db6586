"""The loss of images that a training was not shown: the second curve of a figure of losses (SGMA,
figure 3).
"""

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from zslpipe.runs.models import RunInputs
from zslpipe.runs.problems import Problem
from zslpipe.training.contract import Batch, Model


@runtime_checkable
class OfOneLoss(Protocol):
    """A model that one loss trains; of several stages each has its own, a closed form has none."""

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Return the terms whose sum is minimised, by name."""


def validation_loss(model: Model, problem: Problem, run_inputs: RunInputs) -> dict[str, float]:
    """Return ``validation_loss``, what ``model.loss`` sums up to as a mean over the images of seen
    classes that ``problem`` evaluates; nothing of a model without one loss, or without such
    images.

    Images are not augmented and the model is in evaluation mode: it can lie below the training's
    loss, which is the mean over an epoch's steps.
    """
    model.eval()
    if not isinstance(model, OfOneLoss):
        return {}
    held_out = problem.classes.seen[problem.test_labels]
    rows, labels = problem.test_rows[held_out], problem.test_labels[held_out]
    if not len(rows):
        return {}
    size, total = run_inputs.inputs.at_once, 0.0
    with torch.inference_mode():
        streamed = run_inputs.inputs.stream(rows.split(size))
        for inputs, part in zip(streamed, labels.split(size), strict=True):
            terms = model.loss(Batch(inputs, part.to(run_inputs.device)))
            total += torch.stack(list(terms.values())).sum().item() * len(part)
    return {"validation_loss": total / len(rows)}
