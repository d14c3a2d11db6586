"""CLIP: Learning Transferable Visual Models From Natural Language Supervision.

Radford, Kim, Hallacy, Ramesh, Goh, Agarwal, Sastry, Askell, Mishkin, Clark, Krueger and Sutskever,
ICML 2021; its zero-shot prediction, a baseline that trains nothing here. x (d) is an image's vector
and t_p^c (d) that of class c's text under prompt p, from the two towers of a network that was
trained on pairs of images and texts; sections are those of arXiv:2103.00020, the numbers ours::

    (1)  z^c = mean over p of t_p^c / |t_p^c|                            section 3.1.4
    (2)  s_c = alpha x' z^c / (|x| |z^c|)                                section 3.1.2, figure 3
    (3)  prediction: arg max over c of s_c

z^c are the class vectors: the configuration encodes the texts, the prompts among them (``semantics:
{text: ...}``), x the pooled features of an extractor whose network is the pair's image tower.

Deviations
    - The paper predicts among the classes of one test set; here candidates are all classes, seen
      and unseen, as for every method. No image of a seen class is trained on, but nobody knows
      which of them were among the pair's own images.
    - Images are resized as for every extractor (antialiased bilinear); the paper's code resizes by
      bicubic interpolation.
    - alpha is learned with the towers in the paper; here it is a setting, since the towers' files
      do not always hold it. Predictions do not depend on it; probabilities and what weighs classes
      by them (calibration, rebalancing, ensembles) do.
"""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float
from pydantic import PositiveFloat
from torch import Tensor, nn

from zslpipe.machine.errors import InputError
from zslpipe.training.contract import Classes, Pooled, TrainingData

INPUT = Pooled(size=224)
DECLARES = ("same_space", "untrained")


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    logit_scale: PositiveFloat = 100.0  # alpha; paper, 2.5: clipped there, and where it ends (code)


class Model(nn.Module):
    """The cosine of image and class text; the class vectors are the whole state."""

    attributes: Tensor

    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        width, expected = classes.attributes.shape[1], input_shape[-1]
        if width != expected:
            raise InputError(
                f"clip compares features of width {expected} with class vectors of width {width}: "
                "they have to come from one pair; name the extractor of its image tower (with "
                "'pooled: head') and 'semantics: {text: ...}' of its text encoder"
            )
        self.scale = config.logit_scale
        self.register_buffer("attributes", classes.attributes.clone())

    def scores(self, inputs: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """Return eq. 2 (b, c) of pooled features (b, d)."""
        return self.scale * F.normalize(inputs, dim=1) @ F.normalize(self.attributes, dim=1).T


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Leave the model as it is: the pair was trained by others."""
