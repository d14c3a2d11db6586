"""S-CC and V-CC: Classifier Crafting, Turn Your ConvNet into a Zero-Shot Learner!

Cavazza, 2021. The softmax classifier of a network gets fixed rules w_j, one a class; what trains is
the feature f that has to match them, on images of seen classes alone (algorithm 1). Class
embeddings z_j; x is the backbone's last map, averaged over positions, or the layer before its
softmax (AlexNet's fc7: an extractor with a ``layer``); the numbers from (2) on are ours::

    (1) p_j = exp(f . w_j) / sum_l exp(f . w_l), at training over the seen classes, at test over all
    (2) semantic rules (S-CC):  w_j = z_j,  f = A x + a
    (3) visual rules (V-CC):  w_j = m_j, the mean f of class j's training images before training,
        f = x
    (4) w_k = V z_k for a class without training images,
        V = arg min sum_j |V z_j - m_j|^2 + lambda s |V|^2

A method of two inputs: images fine-tune the backbone; pooled features leave it as it is, so that
S-CC trains (A, a) alone and V-CC nothing at all, which is the paper's "V-CC without fine-tuning".

Deviations
    - f and w_j have unit length and f . w_j is divided by a temperature (ours): the norms of rules
      differ, those of (4) are shrunk by the ridge, and a plain inner product prefers the long ones
      (V-CC on the validation classes of CUB's birds: H 42 with unit length, 4 without).
      ``similarity = "inner product"`` with temperature 1 is the paper's (1).
    - The paper mentions a temperature that smoothes predictions at test, without a value. Here the
      same one divides the logits at training and at test: softmax(scores) is p of (1).
    - The linear layer of (2) is ours: the paper does not say how f gets the embedding's dimension.
    - The linear projection of (4) is a ridge regression without intercept; s, the mean of |z_j|^2,
      makes lambda independent of the embeddings' scale (ours: the paper says "closed form").
    - Optimiser, rates, batch and epochs are ours: the paper names none. Batch norms keep their
      statistics and nothing is dropped out (ours): the prototypes were made so, and a file of
      weights may hold batch norms folded into the convolutions, to which the statistics of a batch
      do not belong.
    - From images the linear layer trains alone first, for ``head_epochs`` on x as the pretrained
      network makes it, and stays while the network trains (ours): a random layer sends the network
      gradients that damage it, and one that goes on training loses of the unseen classes what the
      network gains (on CUB's birds, validation classes, T1 58.2 before the network trains; 58.2,
      59.5 and 59.1 after 1, 1.5 and 2 epochs; 57.2 and 57.7 after 1 and 2 if it goes on at lr).
    - V&S-CC is the mean of the two models' softmax(scores), each at its likeliest temperature; like
      the rebalancing it is made from their score matrices (:mod:`zslpipe.scores.ensembles`).
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import build_trunk
from zslpipe.training.batches import random_batches
from zslpipe.training.contract import Batch, Classes, Images, Pooled, TrainingData
from zslpipe.training.fit import Objective, fit
from zslpipe.training.frozen_stage import stored
from zslpipe.training.held import Held

INPUT = (Images(size=224), Pooled(size=224))
DECLARES = ("epochs",)


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    rule: Literal["semantic", "visual"] = "semantic"  # paper, section 2.1: S-CC or V-CC
    backbone: str = "resnet101"  # paper, table 2
    layer: str = ""  # ours: the last convolutional map
    similarity: Literal["cosine", "inner product"] = "cosine"  # ours; paper, eq. 1: inner product
    temperature: PositiveFloat = 0.05  # ours: T1 on the validation classes of CUB's birds
    regulariser: PositiveFloat = 0.1  # lambda; ours, likewise
    lr: PositiveFloat = 3e-4  # of the linear layer alone; ours, likewise
    head_epochs: NonNegativeInt = 5  # of the linear layer before the backbone trains; ours
    trunk_lr: NonNegativeFloat = 1e-4  # of the backbone; ours: below lr, since it is pretrained
    joint_lr: NonNegativeFloat = 0.0  # of the linear layer while the backbone trains; ours
    batch_size: PositiveInt = 32  # ours
    epochs: PositiveInt = 5  # ours: T1 on the validation classes, pooled features


class Model(nn.Module):
    """A backbone whose features meet fixed rules; the buffer ``rules`` (c, k) never trains.

    ``trunk`` is there for images (3, size, size) alone; ``projection`` is the linear layer (d, a)
    of S-CC.
    """

    rules: Tensor
    seen: Tensor

    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        self.config = config
        self.trunk: nn.Module = nn.Identity()
        width = input_shape[0]
        if len(input_shape) == 3:
            self.trunk = build_trunk(config.backbone, "random", config.layer, input_shape[1])
            with torch.no_grad():
                width = self.trunk(torch.zeros(1, *input_shape)).shape[1]
        self.projection: nn.Module = nn.Identity()
        rules = torch.zeros(len(classes.names), width)  # of V-CC: filled in by train()
        if config.rule == "semantic":
            self.projection = nn.Linear(width, classes.attributes.shape[1])
            rules = scaled(classes.attributes, config).clone()
        self.register_buffer("rules", rules)
        self.register_buffer("seen", classes.seen.clone())

    def train(self, mode: bool = True) -> "Model":
        """Set the mode of all but the trunk, whose batch norms keep their statistics."""
        super().train(mode)
        self.trunk.eval()
        return self

    def features(self, inputs: Float[Tensor, "b *shape"]) -> Float[Tensor, "b k"]:
        """Return f (b, k) of images (b, 3, h, w) or of their pooled features (b, d)."""
        pooled = self.pooled(inputs) if inputs.ndim == 4 else inputs
        features = self.projection(pooled).to(self.rules.dtype)
        return scaled(features, self.config)

    def pooled(self, images: Float[Tensor, "b 3 size size"]) -> Float[Tensor, "b d"]:
        """Return x (b, d): the backbone's last map of images, averaged over positions."""
        averaged: Tensor = self.trunk(images).mean(dim=(2, 3))
        return averaged

    def scores(self, inputs: Float[Tensor, "b *shape"]) -> Float[Tensor, "b c"]:
        """Return the logits (b, c) of eq. 1 for all classes, the temperature divided out."""
        features = self.features(inputs)
        # bfloat16 would round cosines to steps of 1/256, 0.08 in a logit at a temperature of 0.05.
        with torch.autocast(features.device.type, enabled=False):
            return features @ self.rules.T / self.config.temperature

    def loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return the cross-entropy of eq. 1 over the seen classes."""
        seen_scores = self.scores(batch.inputs).masked_fill(~self.seen, -torch.inf)
        return {"cross_entropy": F.cross_entropy(seen_scores, batch.labels)}


def scaled(vectors: Float[Tensor, "n k"], config: Config) -> Float[Tensor, "n k"]:
    """Return features or rules (n, k) as eq. 1 multiplies them: of unit length where it takes the
    cosine.
    """
    return F.normalize(vectors, dim=1) if config.similarity == "cosine" else vectors


def class_means(
    model: Model, data: TrainingData
) -> tuple[Float[Tensor, "c d"], Float[Tensor, " c"]]:
    """Return the mean feature m (c, d) of each class's training images, not augmented, and how many
    there are; float64, zero for a class without images (eq. 3).
    """
    sums = torch.zeros_like(model.rules, dtype=torch.float64)
    counts = sums.new_zeros(len(sums))
    model.eval()
    with torch.no_grad():
        for batch in data.in_order(data.inputs.at_once):
            labelled = F.one_hot(batch.labels, len(sums)).double()
            sums += labelled.T @ model.features(batch.inputs).double()
            counts += labelled.sum(0)
    return sums / counts.clamp_min(1)[:, None], counts


def projected_rules(
    embeddings: Float[Tensor, "c a"],
    prototypes: Float[Tensor, "j d"],
    known: Float[Tensor, "j a"],
    regulariser: float,
) -> Float[Tensor, "c d"]:
    """Return V z (c, d) of ``embeddings``, with V from the ``prototypes`` of classes with
    embeddings ``known`` (eq. 4).
    """
    scale = regulariser * known.square().sum(1).mean()
    gram = known.T @ known + scale * torch.eye(known.shape[1]).to(known)
    projection: Tensor = torch.linalg.solve(gram, known.T @ prototypes)
    return embeddings @ projection


def set_visual_rules(model: Model, config: Config, data: TrainingData) -> None:
    """Fill the rules with prototypes: means where there are training images, projections elsewhere
    (eq. 3 and 4).
    """
    means, counts = class_means(model, data)
    embeddings, has_images = data.classes.attributes.to(means), counts > 0
    projected = projected_rules(
        embeddings, means[has_images], embeddings[has_images], config.regulariser
    )
    model.rules.copy_(scaled(torch.where(has_images[:, None], means, projected), config))


def pooled_inputs(model: Model, data: TrainingData) -> TrainingData:
    """Return the training images as x (n, d) of the network as it is, not augmented."""
    size = (len(data.rows), next(model.projection.parameters()).shape[1])
    shapes: dict[str, tuple[tuple[int, ...], str]] = {"pooled": (size, "float32")}
    kept = stored(lambda images: [model.pooled(images)], data, shapes, data.inputs.at_once)
    values = torch.from_numpy(kept.maps(pooled=True)[:]).to(data.run.device)
    run = replace(data.run, after_epoch=None)
    return replace(data, inputs=Held(values), rows=torch.arange(len(values)), run=run)


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Fix the rules, then fit what there is to fit by Adam (algorithm 1)."""
    sampler = partial(random_batches, size=config.batch_size)
    from_images = len(data.inputs.shape) == 3
    if config.rule == "visual":
        set_visual_rules(model, config, data)
    elif from_images and not config.head_epochs + config.joint_lr:
        raise InputError("head_epochs 0 and joint_lr 0 leave the linear layer random; set either")
    elif from_images and config.head_epochs:
        optimizer = torch.optim.Adam(model.projection.parameters(), config.lr)
        objective = Objective(model.loss, optimizer)
        fit(model, pooled_inputs(model, data), sampler, objective, config.head_epochs, "head")
    rate = config.joint_lr if from_images else config.lr
    parts = ((model.trunk, config.trunk_lr), (model.projection, rate))
    every = [{"params": list(part.parameters()), "lr": lr} for part, lr in parts]
    groups = [group for group in every if group["params"]]
    if not groups:  # V-CC on pooled features is in closed form
        return
    optimizer = torch.optim.Adam(groups)
    fit(model, data, sampler, Objective(model.loss, optimizer), config.epochs)
