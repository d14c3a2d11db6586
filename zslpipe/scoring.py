"""Scores of any inputs by any model, in inference mode."""

import numpy as np
import torch
from torch import Tensor

from zslpipe.data import Inputs, Model


def score_rows(model: Model, inputs: Inputs, rows: Tensor) -> np.ndarray:
    """Return ``model.scores`` (image, class) float32 of the images ``rows``, in inference mode."""
    model.eval()
    with torch.inference_mode():
        parts = [model.scores(part).float().cpu() for part in inputs.stream(rows.split(inputs.at_once))]
    return torch.cat(parts).numpy()
