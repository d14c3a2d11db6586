"""SGMA: Semantic-Guided Multi-Attention Localization for Zero-Shot Learning.

Zhu, Xie, Tang, Peng and Elgammal, NeurIPS 2019, as the reproduction report of Arriaza Barriga,
Xiong and Katsarou gives it ("paper" below). Map b of a network, parts i in {1, 2}, positions z;
pooled features theta of the views x^0 (whole image), x^1, x^2 (crops); class vectors phi of unit
length::

    (1)  p_c   = mean over z of b_c(z)
    (2)  a_i   = sigmoid(W_2 relu(W_1 p)),  (11) at first 1 for the channels of k-means cluster i
    (3)  M_i   = sigmoid(sum_c a_i^c b_c)
    (4)  x^i   = zoom of x V_x V_y,  V_x = f(x - t_x + t_s / 2) - f(x - t_x - t_s / 2),
         f(x) = 1 / (1 + exp(-k x))
    (5)  L_CPT = mean over z of (m_i^z - ideal_i^z)^2
    (6)  L_DIV = sum over z of m_i^z max(0, m_k^z - margin),  k != i
    (7)  L_CLS = cross-entropy over seen classes of s_j = e' phi(j),  e = sum_i W' theta(x^i)
    (8)  L_CCT = max(0, margin + |e/|e| - C_y|^2 - |e/|e| - C_k|^2),  centres |C| = 1, k != y
    (9)  L     = sum_i (L_CPT + lambda L_DIV) + alpha L_CLS + beta L_CCT
    (10) P_u   = R P_s,  R = arg min |Phi_u - R Phi_s|^2 + ridge |R|^2,  P_s class means of e/|e|
    prediction: arg max over y of s_y, of P_y' e/|e|, or of their sum

Deviations
    - (3) as printed is 1 nearly everywhere, the sigmoid of a sum of hundreds of non-negative
      channels: the sum is stretched to [-5, 5] over each map first (ours).
    - (2), (11): the last layer has a bias, +-2.2 by the cluster; W_2 starts at 0 (ours). p is of
      all channels (eq. 1).
    - K-means sees where a channel peaks in each training image; a constant channel peaks where the
      others do on average. The cluster that lies higher in the images is part 1 (ours).
    - (4): coordinates are cells of the map (code), each where its receptive field is centred. The
      square has a fixed side around a soft arg max, inside the image; "network" starts there and
      corrects place and side (ours; code: starts anywhere).
    - (5): the ideal map is a Gaussian at the peak. (6) is a mean over z: lambda does not follow the
      map's size (ours).
    - (7): one W, as printed (code: one a view). theta has length ``feature_length``: the report's
      baseline was hard to train on raw features (ours).
    - (8): the hardest wrong centre (family: He et al. 2018), or the mean over all. The paper's
      N(0, 0.01) is a deviation of 0.01, as its code has it. Read as a variance, centres are ten
      times as long and turn more slowly; where 0.01 makes them far shorter than 0.2 (few
      attributes), the first steps stretch them so far that they hardly turn any more.
    - (10): rows of P have unit length, since the ridge shrinks P_u, which would lose every
      comparison with P_s. In the sum, s is divided by |e|: two cosines of one embedding (ours). The
      paper prints arg min there.
    - "Three CNNs" are one, in evaluation mode. While it is frozen, images are not augmented, its
      batch norms are folded and what it makes of the whole image is stored before training.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau

from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import BelowOne, Share
from zslpipe.networks.backbones import build_trunk, folded
from zslpipe.networks.class_centres import centre_triplet, drawn_centres, ridge_combinations
from zslpipe.networks.cropping import ChannelAttention, Cropping, channel_clusters
from zslpipe.networks.map_losses import compactness, diversity
from zslpipe.networks.receptive_fields import known_cell_centres
from zslpipe.training.batches import SAMPLERS
from zslpipe.training.contract import Batch, Classes, Images, TrainingData
from zslpipe.training.fit import Objective, fit
from zslpipe.training.frozen_stage import StoredStage, stored
from zslpipe.training.held import Held, Unaugmented

INPUT = Images(size=448)
DECLARES = ("epochs", "part_attention")

# theta of the view x^0 (b, d); the regions of the map b (b, r, d), None for the baseline.
FirstStage = tuple[Tensor, Tensor | None]


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    backbone: str = "vgg19"  # paper, section 2.1
    layer: str = ""  # ours: the last convolutional map
    trunk_lr: NonNegativeFloat = 0.0  # paper, section 3.2: frozen; else it falls as lr does
    parts: Literal["two", "none"] = "two"  # paper, section 2; "none" is the baseline of section 3.3
    view: Share = 0.5  # paper, section 3.2: a view has 224 px where the image has 448
    crop: Literal["peak", "network"] = "peak"  # paper, section 2.2; code: "network"
    square: Share = 0.5  # ours: the crop's side, as a share of the image's
    steepness: PositiveFloat = 10.0  # paper, section 3.2 (k)
    feature_length: PositiveFloat = 10.0  # ours: chosen on validation classes (cub127, baseline)
    diversity_weight: NonNegativeFloat = 10.0  # ours (lambda): at 1 the maps do not part (cub127)
    embedding_weight: NonNegativeFloat = 1.0  # ours (alpha)
    centre_weight: NonNegativeFloat = 1.0  # ours (beta)
    diversity_margin: NonNegativeFloat = 0.2  # paper, section 3.2
    centre_margin: NonNegativeFloat = 0.8  # paper, section 3.2
    centre_deviation: PositiveFloat = 0.01  # paper, section 3.4 and code
    wrong_centre: Literal["hardest", "mean"] = "hardest"  # family: He et al. 2018
    inference: Literal["compatibility", "centres", "sum"] = "sum"  # paper, section 2.5
    ridge: PositiveFloat = 0.1  # ours: chosen on validation classes (cub127, baseline)
    lr: PositiveFloat = 0.05  # paper, section 3.2
    smallest_lr: NonNegativeFloat = 5e-4  # paper, section 3.2
    patience: NonNegativeInt = 2  # ours: epochs without a loss lower by 1 %; then lr / 10
    momentum: BelowOne = 0.9  # paper, section 3.2
    weight_decay: NonNegativeFloat = 5e-4  # paper, section 3.2
    batch_size: PositiveInt = 32  # paper, section 3.2
    epochs: PositiveInt = 30  # paper, section 3.4


class Model(nn.Module):
    """Parameters ``W`` (d, a) and ``centres`` (seen class, a), buffer ``prototypes`` P (c, a),
    beside two subnets.
    """

    attributes: Tensor
    seen: Tensor
    prototypes: Tensor

    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        self.config = config
        trunk = build_trunk(config.backbone, "random", config.layer, input_shape[1])
        self.trunk = trunk.requires_grad_(config.trunk_lr > 0)
        with torch.no_grad():
            width, self.cells = self.trunk(torch.zeros(1, *input_shape)).shape[1:3]
        size, corrected = input_shape[1], config.crop == "network"
        if self.cells == 1:
            found = f"{config.backbone} makes one region of {size} px"
            raise InputError(f"sgma: {found}; take larger images")
        self.view = round(config.view * size)
        self.attention = ChannelAttention(width, self.cells)
        centres = known_cell_centres(self.trunk, size)
        self.cropping = Cropping(self.cells, centres, config.square, config.steepness, corrected)
        length = classes.attributes.shape[1]
        # paper, section 3.3: He
        self.W = nn.Parameter(torch.empty(width, length).normal_(0, (2 / width) ** 0.5))
        names = [classes.names[number] for number in classes.seen.nonzero()]
        self.centres = nn.Parameter(drawn_centres(names, length, config.centre_deviation))
        self.register_buffer("attributes", F.normalize(classes.attributes, dim=1))
        self.register_buffer("seen", classes.seen.clone())
        self.register_buffer("prototypes", torch.zeros_like(self.attributes))

    def train(self, mode: bool = True) -> "Model":
        """Set the mode of all but the network, whose batch norms keep their statistics."""
        super().train(mode)
        self.trunk.eval()
        return self

    def regions(self, images: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b r d"]:
        """Return the map b, row by row."""
        maps: Tensor = self.trunk(images)
        return maps.flatten(2).transpose(1, 2)

    def first_stage(self, images: Float[Tensor, "b 3 h w"]) -> FirstStage:
        """Return theta of the view x^0 and the regions of the image."""
        view = F.interpolate(
            images, size=self.view, mode="bilinear", align_corners=False, antialias=True
        )
        pooled = self.trunk(view).mean((2, 3))
        return pooled, None if self.config.parts == "none" else self.regions(images)

    def forward(
        self,
        images: Float[Tensor, "b 3 h w"],
        whole: Float[Tensor, "b d"],
        regions: Float[Tensor, "b r d"] | None,
    ) -> tuple[Float[Tensor, "b a"], Float[Tensor, "b 2 y x"] | None]:
        """Return e, eq. 7, and the logits of M (None for the baseline), given the first stage of
        ``images``.
        """
        theta, logits = F.normalize(whole, dim=1), None
        if regions is not None:
            logits = self.attention(regions)
            # Both crops of all images go through the network at once.
            crops = self.cropping(images, logits, self.view).flatten(0, 1)
            parts = F.normalize(self.trunk(crops).mean((2, 3)), dim=1)
            theta = theta + torch.unflatten(parts, 0, (-1, 2)).sum(1)
        return self.config.feature_length * theta @ self.W, logits

    def scores(self, inputs: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b c"]:
        """Return what ``inference`` takes the arg max of, section 2.5."""
        embedding: Tensor = self(inputs, *self.first_stage(inputs))[0]
        if self.config.inference == "compatibility":
            return embedding @ self.attributes.T
        vectors = self.prototypes
        if self.config.inference == "sum":
            vectors = self.attributes + self.prototypes
        return F.normalize(embedding, dim=1) @ vectors.T

    def loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return the terms of eq. 9."""
        return self.losses(batch, self.first_stage(batch.inputs))

    def losses(self, batch: Batch, first_stage: FirstStage) -> dict[str, Float[Tensor, ""]]:
        """Return the terms of eq. 9, given the first stage of the batch; L_CLS alone for the
        baseline.
        """
        config = self.config
        embedding, logits = self(batch.inputs, *first_stage)
        targets = (torch.cumsum(self.seen, 0) - 1)[batch.labels]
        compatibilities = embedding @ self.attributes[self.seen].T
        terms = {"embedding": config.embedding_weight * F.cross_entropy(compatibilities, targets)}
        if logits is not None:
            maps = logits.sigmoid()
            terms["compactness"] = compactness(maps)
            terms["diversity"] = config.diversity_weight * diversity(maps, config.diversity_margin)
            margin, wrong = config.centre_margin, config.wrong_centre
            triplet = centre_triplet(embedding, self.centres, targets, margin, wrong)
            terms["centre"] = config.centre_weight * triplet
        return terms

    def part_attention(self, inputs: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2 y x"]:
        """Return M, eq. 3."""
        logits: Tensor = self.attention(self.regions(inputs))
        return logits.sigmoid()

    def channel_maps(self, inputs: Float[Tensor, "b 3 h w"]) -> Float[Tensor, "b 2 y x"]:
        """Return the mean response of each k-means cluster's channels."""
        maps: Tensor = self.attention.cluster_maps(self.regions(inputs))
        return maps


def descent(model: Model) -> tuple[torch.optim.Optimizer, ReduceLROnPlateau]:
    """Return SGD and its schedule, section 3.2; the network has a rate of its own."""
    config = model.config
    heads = [weights for name, weights in model.named_parameters() if not name.startswith("trunk.")]
    trunk = {"params": model.trunk.parameters(), "lr": config.trunk_lr}
    groups: list[dict[str, Any]] = [{"params": heads}, trunk]
    optimizer = torch.optim.SGD(
        groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    smallest = [config.smallest_lr, config.smallest_lr / config.lr * config.trunk_lr]
    falling = partial(ReduceLROnPlateau, patience=config.patience, threshold=0.01)
    return optimizer, falling(optimizer, min_lr=smallest)


@torch.no_grad()
def set_prototypes(
    model: Model, data: TrainingData, first_stage: Callable[[Batch], FirstStage]
) -> None:
    """Set P, eq. 10, from the embeddings of all training images."""
    sums = torch.zeros_like(model.prototypes)
    for batch in data.in_order(model.config.batch_size):
        embedding, _ = model(batch.inputs, *first_stage(batch))
        sums.index_add_(0, batch.labels, F.normalize(embedding, dim=1))
    counts = torch.bincount(data.labels, minlength=len(sums)).to(sums)
    means = sums / counts.clamp_min(1).unsqueeze(1)
    combinations = ridge_combinations(model.attributes, model.seen, model.config.ridge)
    model.prototypes.copy_(F.normalize(combinations @ means[model.seen], dim=1))


def stored_first_stage(model: Model, data: TrainingData) -> StoredStage:
    """Return the first stage of all training images: ``pooled`` (n, d) is theta of x^0, ``regions``
    (n, r, d) is b; the baseline has no regions.
    """
    count, width = len(data.rows), len(model.attention.clusters)
    shapes: dict[str, tuple[tuple[int, ...], str]] = {"pooled": ((count, width), "float32")}
    if model.config.parts != "none":
        shapes["regions"] = ((count, model.cells**2, width), "float16")
    return stored(model.first_stage, data, shapes, model.config.batch_size)


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Start the attention at the channels' clusters, minimise eq. 9 by SGD, then average embeddings
    for eq. 10.
    """
    trunk, frozen = model.trunk, not config.trunk_lr
    if frozen:
        model.trunk = folded(copy.deepcopy(trunk)).requires_grad_(False)
    kept = stored_first_stage(model, data)
    if kept.regions is not None:
        model.attention.start(channel_clusters(kept.regions, data.run.seed))
    if frozen:
        # The baseline needs no image any more.
        nothing = Held(torch.empty(int(data.rows.max()) + 1, 3, 0, 0))
        data = replace(data, inputs=nothing if kept.regions is None else Unaugmented(data.inputs))

    def first_stage(batch: Batch) -> FirstStage:
        """Return the first stage of training images: stored, while the network is frozen."""
        if not frozen:
            return model.first_stage(batch.inputs)
        rows, device = batch.positions.numpy(), data.run.device
        whole = torch.from_numpy(kept.maps(pooled=True)[rows]).to(device)
        if kept.regions is None:
            return whole, None
        return whole, torch.from_numpy(kept.regions[rows]).to(device).float()

    def after_epoch(trained: Model, epochs: int) -> dict[str, float]:
        """Return what is measured after an epoch, with the prototypes of that epoch."""
        set_prototypes(model, data, first_stage)
        return measure(trained, epochs) if measure else {}

    measure = data.run.after_epoch
    run = replace(data.run, after_epoch=after_epoch if measure else None)
    objective = Objective(lambda batch: model.losses(batch, first_stage(batch)), *descent(model))
    sampler = partial(SAMPLERS["random"], size=config.batch_size)
    fit(model, replace(data, run=run), sampler, objective, config.epochs)
    set_prototypes(model, data, first_stage)
    model.trunk = trunk
