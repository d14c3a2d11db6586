"""DAZLE: Fine-Grained Generalized Zero-Shot Learning via Dense Attribute-Based Attention.

Huynh and Elhamifar, CVPR 2020. Region features f_i^r, word vectors v_a, class vectors z^c of unit
length::

    (2)  alpha(f_i^r, v_a) = softmax over r of  v_a' W_alpha f_i^r
    (3)  h_i^a  = sum_r alpha(f_i^r, v_a) f_i^r
    (4)  e_i^a  = v_a' W_e h_i^a
    (6)  beta_i^a = sigmoid(v_a' W_beta h_i^a)
    (7)  s_i^c  = sum_a e_i^a z_a^c beta_i^a
    (8)  L_ce   = cross-entropy of s_i over the classes
    (11) L_cal  = -log sum_{u unseen} softmax(s_i + 1)^u,  1 is +1 for unseen, -1 for seen classes
    (12) L      = L_ce + lambda L_cal
    (13) prediction: arg max over c of s_i^c + 1(c)

The attended features h (b, a, d) never exist: with P = V W, v_a' W h_i^a = sum_r alpha (P_a .
f_i^r), so that one product of all regions with (3a, d) rows gives all that (2), (4) and (6) need;
outputs and gradients are those of the plain form.

Deviations
    - L_cal is -log of the batch mean of the unseen mass (code); ``calibration = "image mean"`` is
      the paper's mean of -log.
    - Losses are means over the batch, not sums (code).
    - Region features and the initial word vectors have unit length (code); the paper does not say.
    - "No dense attention" keeps W_alpha at zero, so that (2) is 1/R and (3) the mean over regions.
      "No attribute attention" keeps W_beta at zero and doubles beta, so that beta = 1 and (7) is
      (5). Neither needs a branch.
    - Without calibration ("L_ce, seen classes" in table 2) the cross-entropy covers seen classes
      and no margin is added.
    - The random batches of an epoch share no image, and what does not fill a batch waits (code:
      each of an epoch's n / 50 batches is drawn anew).
    - The paper trains by "the default setting of RMSprop" on random batches for at most 20 epochs
      and says nothing else; its code differs, and is followed: momentum 0.9 and weight decay 1e-4
      (5e-5 on CUB's standard split); one image of each of 50 classes a batch elsewhere than on
      CUB; on SUN 100 epochs and no attention over attributes; on AWA2 no momentum, rows of V
      brought back to unit length at each forward pass and negative strengths of attributes set to
      0. DeepFashion's 2 epochs are the paper's (code: 1).
    - Word vectors are whatever the configuration names (paper: GloVe; code: word2vec).
    - The paper's figures are those of the best epoch on the test images (code); here they are of
      the last epoch, or of that which the validation classes choose.
"""

import math
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zslpipe.machine.ranges import BelowOne
from zslpipe.training.batches import SAMPLERS
from zslpipe.training.contract import Batch, Classes, Regions, TrainingData
from zslpipe.training.fit import Objective, fit

INPUT = Regions(size=224, grid=7)
DECLARES = ("words", "epochs", "attention", "attribute_scores")


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    lr: PositiveFloat = 1e-4  # paper, section 5.1
    momentum: BelowOne = 0.9  # code
    weight_decay: NonNegativeFloat = 1e-4  # code
    batch_size: PositiveInt = 50  # paper, section 5.1
    epochs: PositiveInt = 20  # paper, section 5.1
    sampler: Literal["random", "class balanced"] = "random"  # code: CUB; elsewhere balanced
    calibration_weight: NonNegativeFloat = 0.1  # paper, section 5.1 (lambda)
    calibration: Literal["batch mean", "image mean"] = "batch mean"  # code; eq. 10: the other
    margin: NonNegativeFloat = 1.0  # paper, eq. 11
    cross_entropy_classes: Literal["all", "seen"] = "all"  # paper, eq. 8; "seen": table 2
    dense_attention: bool = True  # paper, eq. 2; table 4
    attribute_attention: bool = True  # paper, eq. 6; table 4
    refine_word_vectors: bool = True  # paper, section 4.1; table 4
    unit_word_vectors: bool = False  # code: rows of V normalised at each forward on AWA2 only
    negative_attributes: Literal["keep", "zero"] = "keep"  # code: "zero" on AWA2
    attributes_used: NonNegativeInt = 0  # paper, figure 4: those of lowest entropy; 0 = all


PUBLISHED = {
    "CUB": Config(),
    "CUB standard split": Config(weight_decay=5e-5),  # code; table 3
    "SUN": Config(epochs=100, sampler="class balanced", attribute_attention=False),  # code
    "AWA2": Config(
        momentum=0.0, sampler="class balanced", unit_word_vectors=True, negative_attributes="zero"
    ),  # code
    "DeepFashion": Config(epochs=2, sampler="class balanced"),  # paper, section 5.1; sampler: code
}


class Model(nn.Module):
    """Attention over regions and over attributes; parameters ``word_vectors`` (a, v) and ``W_e``,
    ``W_alpha``, ``W_beta`` (v, d).
    """

    attributes: Tensor
    seen: Tensor
    margins: Tensor

    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        self.config = config
        used = discriminative_attributes(classes.attributes, config.attributes_used)
        attributes = classes.attributes[:, used]
        if config.negative_attributes == "zero":
            attributes = attributes.clamp(min=0)
        if classes.words is None:
            raise ValueError("DAZLE needs word vectors")
        words = F.normalize(classes.words[used], dim=1)
        shape = (words.shape[1], input_shape[-1])
        self.word_vectors = nn.Parameter(words.clone(), requires_grad=config.refine_word_vectors)
        self.W_e = nn.Parameter(torch.empty(shape).normal_())  # code: N(0, 1)
        # code: attention over regions starts uniform, over attributes at 1/2
        self.W_alpha = nn.Parameter(torch.zeros(shape), requires_grad=config.dense_attention)
        self.W_beta = nn.Parameter(torch.zeros(shape), requires_grad=config.attribute_attention)
        self.beta_scale = 1.0 if config.attribute_attention else 2.0
        self.register_buffer("attributes", F.normalize(attributes, dim=1))
        self.register_buffer("seen", classes.seen.clone())
        self.register_buffer("margins", torch.where(classes.seen, -config.margin, config.margin))

    def _compatibilities(self, regions: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return v_a' W f_i^r for W_alpha, W_e, W_beta, each (b, r, a), of region features of unit
        length.
        """
        words: Tensor = self.word_vectors
        if self.config.unit_word_vectors:
            words = F.normalize(words, dim=1)
        rows = torch.cat([words @ matrix for matrix in (self.W_alpha, self.W_e, self.W_beta)])
        # Dividing the few products by |f| spares a copy of all features.
        length = torch.linalg.vector_norm(regions, dim=2, keepdim=True).clamp_min(1e-12)
        alpha, e, beta = (F.linear(regions, rows) / length).chunk(3, dim=2)
        return alpha, e, beta

    def attribute_scores(self, regions: Float[Tensor, "b r d"]) -> Float[Tensor, "b a"]:
        """Return e_i^a beta_i^a (b, a), eq. 2-4 and 6."""
        alpha, e, beta = self._compatibilities(regions)
        alpha = alpha.softmax(dim=1)
        gate = self.beta_scale * torch.sigmoid((alpha * beta).sum(1))
        return (alpha * e).sum(1) * gate

    def _class_scores(self, regions: Tensor) -> Tensor:
        """Return s (b, c), eq. 7, without the margin."""
        return self.attribute_scores(regions) @ self.attributes.T

    def scores(self, inputs: Float[Tensor, "b r d"]) -> Float[Tensor, "b c"]:
        """Return s + 1 (b, c), eq. 13: what the prediction is taken from."""
        return self._class_scores(inputs) + self.margins

    def loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return L_ce (eq. 8) and lambda L_cal (eq. 11)."""
        scores = self._class_scores(batch.inputs)
        considered = scores
        if self.config.cross_entropy_classes == "seen":
            considered = scores.masked_fill(~self.seen, -torch.inf)
        losses = {"cross_entropy": F.cross_entropy(considered, batch.labels)}
        if self.config.calibration_weight:
            losses["calibration"] = self.config.calibration_weight * self._calibration(
                scores + self.margins
            )
        return losses

    def _calibration(self, scores: Tensor) -> Tensor:
        """Return -log of the unseen classes' mass (eq. 10 on eq. 11's scores), averaged inside or
        outside the log.
        """
        mass = scores[:, ~self.seen].logsumexp(1) - scores.logsumexp(1)
        if self.config.calibration == "image mean":
            return -mass.mean()
        return -(mass.logsumexp(0) - math.log(len(mass)))

    def attention(self, inputs: Float[Tensor, "b r d"]) -> Float[Tensor, "b a h w"]:
        """Return alpha as maps (b, a, h, w), eq. 2."""
        alpha = self._compatibilities(inputs)[0].softmax(dim=1).transpose(1, 2)
        side = round(alpha.shape[2] ** 0.5)
        return torch.unflatten(alpha, 2, (side, side))


def discriminative_attributes(attributes: Float[Tensor, "c a"], count: int) -> Int[Tensor, " used"]:
    """Return the numbers of the ``count`` attributes whose distribution over classes has the lowest
    entropy (section 5.2; 0: all).

    ``attributes`` (c, a) class vectors; p_c = z_a^c / sum_c z_a^c, negative strengths counted as
    absent; an attribute that no class has tells nothing and comes last.
    """
    if not count:
        return torch.arange(attributes.shape[1])
    shares = attributes.clamp(min=0)
    shares = shares / shares.sum(0).clamp_min(1e-12)
    entropy = torch.where(shares.any(0), -torch.xlogy(shares, shares).sum(0), torch.inf)
    return entropy.argsort(stable=True)[:count].sort().values


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Minimise eq. 12 by RMSprop (paper: its default setting)."""
    refined = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.RMSprop(
        refined, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    sampler = partial(SAMPLERS[config.sampler], size=config.batch_size)
    fit(model, data, sampler, Objective(model.loss, optimizer), config.epochs)
