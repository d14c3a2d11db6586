"""Figures of a run by their kind: each kind's module says what it shows."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from zslpipe.reports.figures.attributes import attention_maps
from zslpipe.reports.figures.body_parts import part_maps
from zslpipe.reports.figures.channels import channel_maps
from zslpipe.reports.figures.gradcam import grad_cam_maps
from zslpipe.reports.figures.losses import loss_curves
from zslpipe.reports.figures.predictions import predictions

# Over images of the dataset, from these files, its index and the folder of its images.
OVER_IMAGES: Mapping[str, Callable[..., tuple[Path, Path]]] = {
    "maps": attention_maps,
    "parts": part_maps,
    "channels": channel_maps,
    "gradcam": grad_cam_maps,
    "predictions": predictions,
}


def draw(kind: str, files: Sequence[Path], index: Path, images: Path, stem: Path) -> None:
    """Draw a figure of ``kind`` from a run's ``files`` to ``stem``, which gets the endings; raises
    InputError as the kind's function, KeyError for an unknown kind.
    """
    if kind == "losses":
        loss_curves(files, stem)
    else:
        OVER_IMAGES[kind](*files, index, images, stem)
