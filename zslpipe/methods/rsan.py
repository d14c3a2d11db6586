"""RSAN: Region Semantically Aligned Network for Zero-Shot Learning.

Wang et al., CIKM 2021. Map v(x) of the image encoder, region (i, j), class vectors a(y) of unit
length::

    (1)  g = mean over i, j of v_ij                            the baseline's feature
    (2)  a^ = g' P                                             the baseline's attributes
         M_ij = v_ij' P                                        attribute saliency maps (b, r, a)
    (3)  L_con = sum_k sum_ij M_ij^k ((i - i~_k)^2 + (j - j~_k)^2),  (i~_k, j~_k) M^k's peak
    (4)  a^_k = max over i, j of M_ij^k
    (5)  L_cls = cross-entropy of s cos(a^, a(y)) over the seen classes, s = 1 / tau
    (7)  E_k = mean word vector of attribute k
    (8)  h_k = Reshape(E_k W)                                  attribute kernels at the start
    (9)  A_k = ReLU(Conv(v, h_k)), no padding
    (10) a_reg,k = max of A_k
    (11) L_reg = |a_reg - a(y)|^2
    (12) L = L_cls + lambda_1 L_con + lambda_2 L_reg
    (14) prediction: arg max over c of s cos(a^, a(c)) - gamma [c is seen];
    (13) over the unseen classes alone

On region features the encoder is fixed, and (6)-(11), which act on it alone, change no score:
``regression_weight = 0`` then spares half of the work.

(3) needs four sums over regions of each map m, of m, m i, m j and m (i^2 + j^2), as it is
sum m (i^2 + j^2) - 2 i~ sum m i - 2 j~ sum m j + (i~^2 + j~^2) sum m: no tensor (b, r, a) more.

Deviations
    - (3) is over sigmoid(M) and a mean over images, attributes and regions, distances in cells
      (family): over M itself it has no lower bound, and as a sum it drowns (5) at the paper's
      lambda_1 = 0.1. (4) is over M itself.
    - (11) is the paper's sum over attributes, then a mean over images; a(y) has unit length there
      as well (family). Kernels start 100 times smaller than torch's own convolution's and learn at
      the head's rate divided by the attributes, as if (11) were their mean (ours). Without both,
      a_reg begins at 1 to 2 where a(y) is 0.05, one step leaves 98 % of it at zero for ever, and
      the encoder gets a thousand times the gradient of (5); now a fifteenth, of which a mean would
      leave a three-hundredth.
    - The encoder has a rate of its own, a hundredth of the head's (ours; family: 1e-6, after a
      warm-up). The paper's single rate, ``trunk_lr = lr``, destroyed it on 127 classes of birds.
    - tau is not in the paper; s is one number in (5) and (14) (family).
    - W of (8) is drawn once and not kept: the kernels are what is trained ("initialise");
      ``kernel_initialisation = "mapped words"`` trains W instead. E_k has unit length and W
      normal entries, so that a kernel's entries vary as a random kernel's (table 3) do.
    - The activation of (9) is the ReLU (ours), taken after the maximum: the same for less.
    - "Dot product" (table 2) is a^' a(y) without s: a^ has a scale of its own there, and gamma is
      to be chosen anew. The baseline's (1)-(2) is computed as the mean of M, which is the same.
    - Batch norms take each batch's statistics (family); ``batch_norm = "pretrained"`` keeps those
      of the weights, as networks need whose batch norms are folded into their convolutions.
    - Random batches (table 4) are as many an epoch as episodes. ``episodes = 0`` (ours) makes an
      epoch one pass, as long for the fewer images of choosing as for the final training.
    - Under bfloat16 all but the encoder stays in float32: 200 class scores would take 28 values.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import BelowOne
from zslpipe.networks.backbones import Trunk, build_trunk
from zslpipe.training.batches import episodes, repeated_batches
from zslpipe.training.contract import Batch, Classes, Images, Regions, TrainingData
from zslpipe.training.fit import Objective, fit

INPUT = (Images(size=448), Regions(size=448, grid=14))
DECLARES = ("words", "epochs", "attention", "attribute_scores")
SCORING = ("calibration",)


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    backbone: str = "resnet101"  # paper, section 4.1
    layer: str = ""  # paper, section 4.1: the last convolutional map
    lr: PositiveFloat = 1e-3  # paper, section 4.1
    trunk_lr: NonNegativeFloat = 1e-5  # of the encoder; ours: a hundredth of lr; paper: lr
    batch_norm: Literal["batch", "pretrained"] = "batch"  # family: nothing frozen
    momentum: BelowOne = 0.9  # paper, section 4.1
    weight_decay: NonNegativeFloat = 1e-5  # paper, section 4.1
    lr_halved_every: PositiveInt = 10  # paper, section 4.1: epochs
    epochs: PositiveInt = 20  # paper, section 4.1
    sampler: Literal["episodes", "random"] = "episodes"  # paper, section 4.1; table 4
    ways: PositiveInt = 16  # paper, section 4.1: classes of an episode
    shots: PositiveInt = 2  # paper, section 4.1: images of each
    episodes: NonNegativeInt = 300  # paper, section 4.1: batches an epoch; 0: as make up all images
    batch_size: PositiveInt = 64  # paper, table 4: the random sampler's
    scale: PositiveFloat = 20.0  # family: 1 / tau of eq. 5 and the scaling factor of eq. 14
    concentrate_weight: NonNegativeFloat = 0.1  # paper, section 4.1 (lambda_1)
    regression_weight: NonNegativeFloat = 1.0  # paper, section 4.1 (lambda_2)
    kernel_size: PositiveInt = 1  # paper, section 4.1: CUB
    kernel_initialisation: Literal["words", "random", "mapped words"] = "words"  # paper, eq. 8
    mapping: Literal["regions", "global average"] = "regions"  # paper, eq. 4; table 2: eq. 1-2
    similarity: Literal["cosine", "dot product"] = "cosine"  # paper, eq. 5; table 2
    calibration: NonNegativeFloat = 0.7  # paper, section 4.1: CUB, SUN


# ours: at the size of torch's own start, 1, the branch dies; found on features of birds
KERNEL_START = 0.01
PUBLISHED = {
    "CUB": Config(),
    "SUN": Config(kernel_size=5, scale=25.0),  # paper, section 4.1; scale: family
    "AWA2": Config(kernel_size=3, calibration=3.75),  # paper, section 4.1
}


class Model(nn.Module):
    """Saliency maps and attribute kernels over a map of regions; parameters ``P`` (d, a),
    ``kernels`` (a, d, h, w), or W (v, d, h, w) of eq. 8, and, with images, those of ``trunk``.
    """

    attributes: Tensor
    seen: Tensor
    places: Tensor
    words: Tensor | None
    trunk: Trunk | None

    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        self.config = config
        self.trunk = None
        if len(input_shape) == 3:
            self.trunk = build_trunk(config.backbone, "random", config.layer, input_shape[1])
            with torch.no_grad():
                input_shape = self._regions(torch.zeros(1, *input_shape)).shape[1:]
        regions, width = input_shape
        self.side = round(regions**0.5)
        if not 1 <= config.kernel_size <= self.side:
            raise InputError(
                f"kernel_size {config.kernel_size} does not fit a {self.side} x {self.side} map; "
                f"take one from 1 to {self.side}"
            )
        # ours: torch's own start of a linear layer, variance 1 / (3 d)
        self.P = nn.Parameter(
            torch.empty(width, classes.attributes.shape[1]).uniform_(-(width**-0.5), width**-0.5)
        )
        self.kernels = nn.Parameter(attribute_kernels(config, classes, width))
        words = unit_words(classes) if config.kernel_initialisation == "mapped words" else None
        self.register_buffer("words", words)
        self.register_buffer("attributes", F.normalize(classes.attributes, dim=1))
        self.register_buffer("seen", classes.seen.clone())
        self.register_buffer("places", places(self.side))

    def train(self, mode: bool = True) -> "Model":
        """Set the mode, but not of the encoder where its batch norms keep their statistics."""
        super().train(mode)
        if self.trunk is not None and self.config.batch_norm == "pretrained":
            self.trunk.eval()
        return self

    def _regions(self, inputs: Tensor) -> Tensor:
        """Return v (b, r, d) of images, through the trunk, or of region features."""
        if self.trunk is None:
            return inputs
        maps: Tensor = self.trunk(inputs)
        return maps.permute(0, 2, 3, 1).flatten(1, 2)

    def _saliency(self, regions: Tensor) -> Tensor:
        """Return M (b, r, a) of regions (b, r, d)."""
        with full_precision(regions):
            return regions.to(self.P.dtype) @ self.P

    def _predicted(self, saliency: Tensor) -> tuple[Tensor, Tensor]:
        """Return a^ (b, a), eq. 4 or 1-2, and the regions (b, a) of the maps' peaks."""
        predicted, peaks = saliency.max(1)
        if self.config.mapping == "global average":
            predicted = saliency.mean(1)
        return predicted, peaks

    def _class_scores(self, predicted: Tensor) -> Tensor:
        """Return s cos(a^, a(c)) (b, c), or a^' a(c), without calibration."""
        if self.config.similarity == "cosine":
            predicted = self.config.scale * F.normalize(predicted, dim=1)
        with full_precision(predicted):
            return predicted @ self.attributes.T

    def attribute_scores(
        self, inputs: Float[Tensor, "b r d"] | Float[Tensor, "b 3 size size"]
    ) -> Float[Tensor, "b a"]:
        """Return a^ (b, a), eq. 4 (the baseline: eq. 2)."""
        return self._predicted(self._saliency(self._regions(inputs)))[0]

    def scores(
        self, inputs: Float[Tensor, "b r d"] | Float[Tensor, "b 3 size size"]
    ) -> Float[Tensor, "b c"]:
        """Return s cos(a^, a(c)) - gamma [c is seen] (b, c), eq. 14."""
        scores = self._class_scores(self.attribute_scores(inputs))
        return torch.where(self.seen, scores - self.config.calibration, scores)

    def loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return L_cls (eq. 5), lambda_1 L_con (eq. 3) and lambda_2 L_reg (eq. 11); a term of
        weight 0 is left out.
        """
        regions = self._regions(batch.inputs)
        saliency = self._saliency(regions)
        predicted, peaks = self._predicted(saliency)
        scores = self._class_scores(predicted).masked_fill(~self.seen, -torch.inf)
        losses = {"cross_entropy": F.cross_entropy(scores, batch.labels)}
        if self.config.concentrate_weight:
            concentrate = concentrate_loss(saliency, peaks, self.places)
            losses["concentrate"] = self.config.concentrate_weight * concentrate
        if self.config.regression_weight:
            difference = self._regressed(regions) - self.attributes[batch.labels]
            losses["regression"] = self.config.regression_weight * difference.square().sum(1).mean()
        return losses

    def _regressed(self, regions: Tensor) -> Tensor:
        """Return a_reg (b, a), eq. 9-10, of regions (b, r, d); one cell's kernel is a product."""
        with full_precision(regions):
            kernels, regions = self._attribute_kernels(), regions.to(self.kernels.dtype)
            if self.config.kernel_size == 1:
                return F.linear(regions, kernels.flatten(1)).max(1).values.relu()
            maps = torch.unflatten(regions, 1, (self.side, self.side)).permute(0, 3, 1, 2)
            return F.conv2d(maps, kernels).amax((2, 3)).relu()

    def _attribute_kernels(self) -> Tensor:
        """Return h (a, d, h, w): the weights themselves, or E W (eq. 8)."""
        kernels: Tensor = self.kernels
        return kernels if self.words is None else mapped(self.words, kernels)

    def attention(
        self, inputs: Float[Tensor, "b r d"] | Float[Tensor, "b 3 size size"]
    ) -> Float[Tensor, "b a h w"]:
        """Return the saliency maps M (b, a, h, w)."""
        saliency = self._saliency(self._regions(inputs))
        return torch.unflatten(saliency.transpose(1, 2), 2, (self.side, self.side))


def full_precision(values: Tensor) -> torch.autocast:
    """Return a context without autocast: bfloat16 tells few scores apart, and sums cancel in it."""
    return torch.autocast(values.device.type, enabled=False)


def unit_words(classes: Classes) -> Float[Tensor, "a v"]:
    """Return E (a, v), eq. 7, of unit length."""
    if classes.words is None:
        raise ValueError("RSAN needs word vectors")
    return F.normalize(classes.words, dim=1)


def mapped(words: Float[Tensor, "a v"], weights: Float[Tensor, "v *s"]) -> Float[Tensor, "a *s"]:
    """Return E W, reshaped (eq. 8)."""
    return torch.unflatten(words @ weights.flatten(1), 1, weights.shape[1:])


def attribute_kernels(config: Config, classes: Classes, width: int) -> Float[Tensor, "n d h w"]:
    """Return the kernels' start (eq. 8), random ones (table 3), or W where it is W that trains."""
    from_words = config.kernel_initialisation != "random"
    count = unit_words(classes).shape[1] if from_words else classes.attributes.shape[1]
    shape = (count, width, config.kernel_size, config.kernel_size)
    deviation = (3 * width * config.kernel_size**2) ** -0.5
    drawn = torch.empty(shape).normal_(0, KERNEL_START * deviation)
    if config.kernel_initialisation == "words":
        words = unit_words(classes)
        return mapped(words, drawn.to(words))
    return drawn


def places(side: int) -> Float[Tensor, "4 r"]:
    """Return 1, i, j and i^2 + j^2 of the regions of a square map, row by row from the top left."""
    i, j = torch.cartesian_prod(torch.arange(side), torch.arange(side)).float().T
    return torch.stack([torch.ones_like(i), i, j, i**2 + j**2])


def concentrate_loss(
    saliency: Float[Tensor, "b r a"], peaks: Int[Tensor, "b a"], places: Float[Tensor, "4 r"]
) -> Float[Tensor, ""]:
    """Return L_con, eq. 3 over sigmoid(M) as a mean over images, attributes and regions; ``peaks``
    are the regions of the maps' maxima, ``places`` as :func:`places` gives them.
    """
    with full_precision(saliency):
        total, along_i, along_j, squares = (places @ saliency.to(places.dtype).sigmoid()).unbind(1)
    _, peak_i, peak_j, peak_squares = places[:, peaks]
    products = peak_i * along_i + peak_j * along_j
    distances: Tensor = squares - 2 * products + peak_squares * total
    return distances.mean() / places.shape[1]


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Minimise eq. 12 by SGD (paper, section 4.1), kernels and encoder at rates of their own."""
    groups: list[dict[str, Any]] = [{"params": [model.P]}]
    groups.append({"params": [model.kernels], "lr": config.lr / model.P.shape[1]})
    if model.trunk is not None:
        groups.append({"params": model.trunk.parameters(), "lr": config.trunk_lr})
    optimizer = torch.optim.SGD(
        groups, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, config.lr_halved_every, gamma=0.5)
    size = config.ways * config.shots if config.sampler == "episodes" else config.batch_size
    count = config.episodes or -(-len(data.rows) // size)
    sampler = partial(repeated_batches, size=size, count=count)
    if config.sampler == "episodes":
        sampler = partial(episodes, ways=config.ways, shots=config.shots, count=count)
    fit(model, data, sampler, Objective(model.loss, optimizer, schedule), config.epochs)
