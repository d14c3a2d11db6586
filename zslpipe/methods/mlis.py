"""MLIS: Refining Visual Representation for Generalized Zero-Shot Recognition through
Implicit-Semantics-Guided Metric Learning.

Anonymous authors, under review (references up to 2022). Features x scaled to [0, 1], class vectors
a, noise z, refined feature h = E(x)::

    (1) L_circle = log[1 + sum_j exp(gamma (s_n^j + m)) sum_i exp(-gamma s_p^i)],
                   s is the cosine of two images' [h, a]: s_p within a class, s_n between classes
    (2) L_WGAN   = E D(G(z, a), a) - E D(x, a) + lambda E (|grad D(x^, a)| - 1)^2,
                   x^ = t x + (1 - t) G(z, a),  t ~ U(0, 1);
                   the critic D minimises it, the generator G minimises -E D(G(z, a), a)
    (3) L_CE     = cross-entropy over all classes of real and synthetic refined features

Three stages: G and D by (2); E by (1) + (3); a softmax classifier on h alone, of real and synthetic
features. Class vectors take part in the first two only: prediction is arg max of the classifier on
E(x).

Deviations
    - Metric losses are pytorch-metric-learning's, on which the paper builds. Its circle loss is one
      (1) an anchor image, averaged over those where it is not 0, with similarities weighted by
      their distance from the optimum.
    - Both parts of [h, a] have unit length before w = ``semantic_weight`` multiplies a, so that
      s = (cos h + w^2 cos a) / (1 + w^2). On birds a brings nothing at w = 0.25 and harms at 1.
    - Synthetic features do not enter (1): it tells seen classes apart (section 3.3), and must not
      compare them with real ones. They enter (3) alone, whose classifier is not that of the third
      stage.
    - The encoder starts at the identity (``encoder_start``), which was found on birds that are test
      classes of CUB among others: no result on CUB is free of that choice. Both classifiers start
      at zero.
    - Synthetic features of seen classes, which sections 3.3 and 3.4 have as well, are left out as
      in the family's code: real ones take their place (``refine_per_seen``, ``classify_per_seen``).
    - ``refinement = False`` is the control that the paper lacks: the classifier on raw real and
      synthetic features.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from zslpipe.networks.critic import SLOPE, Critic
from zslpipe.networks.metric_losses import joined, metric_loss_of
from zslpipe.training.batches import episodes, random_batches
from zslpipe.training.contract import Batch, Classes, Pooled, TrainingData
from zslpipe.training.fit import Objective, fit
from zslpipe.training.held import Held

INPUT = Pooled(size=224)
DECLARES = ("epochs",)
# Settings that no earlier stage reads; those in none are read from the start.
STAGES = {
    "generate": (),
    "refine": (
        "metric_loss", "metric_margin", "metric_scale", "implicit_semantics", "semantic_weight",
        "synthetic_refinement", "refine_per_unseen", "refine_per_seen", "refinement_epochs",
        "refinement_lr", "refinement_batch_size", "refinement_shots",
    ),
    "classify": (
        "unit_length", "classify_per_unseen", "classify_per_seen", "classifier_lr",
        "classifier_batch_size", "epochs",
    ),
}  # fmt: skip

BETAS = (0.5, 0.999)  # family: of every Adam
LENGTH = 10.0  # ours: of every refined feature, where ``unit_length`` is asked for
AT_ONCE = 8192  # ours: features synthesised at once, 130 MB of hidden units
STEPS_AN_EPOCH = 100  # ours: generator steps to a row of the history


@dataclass(frozen=True)
class Config:
    """Settings; each default's source behind it."""

    hidden: PositiveInt = 4096  # family: of generator and critic
    generator_output: Literal["sigmoid", "relu"] = "sigmoid"  # family, on features scaled to [0, 1]
    gradient_penalty: NonNegativeFloat = 10.0  # family (lambda)
    critic_steps: PositiveInt = 5  # family: for each generator step
    generator_steps: PositiveInt = 6200  # family: 56 epochs of CUB
    lr: PositiveFloat = 1e-4  # family: of generator and critic
    batch_size: PositiveInt = 64  # family: of generator and critic
    refinement: bool = True  # paper; False: the control, a classifier on raw features
    encoder_width: NonNegativeInt = 0  # ours: 0 is as wide as the features
    encoder_start: Literal["identity", "normal"] = "identity"  # ours; family: N(0, 0.02)
    metric_loss: Literal["circle", "contrastive", "multi-similarity"] = "circle"  # paper, table 4
    metric_margin: NonNegativeFloat = 0.25  # paper, figure 4: m below 0.4
    metric_scale: PositiveFloat = 16.0  # ours: gamma; paper, figure 4: it matters little
    implicit_semantics: bool = True  # paper, section 3.1; tables 3, 4
    semantic_weight: NonNegativeFloat = 0.25  # ours: a's length against h's
    synthetic_refinement: bool = True  # paper, section 3.3; table 3
    refine_per_unseen: NonNegativeInt = 5  # paper, figure 3: synthetic features in stage two
    refine_per_seen: NonNegativeInt = 0  # ours: the same of a seen class
    refinement_epochs: PositiveInt = 30  # ours
    refinement_lr: PositiveFloat = 1e-4  # ours
    refinement_batch_size: PositiveInt = 256  # ours
    refinement_shots: NonNegativeInt = 0  # ours: images of a class in a batch; 0: as they come
    unit_length: bool = False  # paper, section 3.4; True (ours): of one length
    classify_per_unseen: NonNegativeInt = 300  # family: synthetic features in stage three
    classify_per_seen: NonNegativeInt = 0  # family: the same of a seen class
    classifier_lr: PositiveFloat = 1e-3  # family
    classifier_batch_size: PositiveInt = 300  # family
    epochs: PositiveInt = 25  # family: of the classifier


# Family: rates, features a class, and steps of the generator (the epochs are of batches of 64).
PUBLISHED = {
    "CUB": Config(),
    "AWA2": Config(lr=1e-5, generator_steps=11000, classify_per_unseen=1800),  # 30 epochs
    # 40 epochs
    "SUN": Config(lr=2e-4, generator_steps=6500, classify_per_unseen=400, classifier_lr=5e-4),
    "FLO": Config(generator_steps=7000, classify_per_unseen=1200),  # 80 epochs
    "aPY": Config(lr=1e-5, generator_steps=3700, classify_per_unseen=1800),  # 40 epochs
}


class Model(nn.Module):
    """Generator, critic, encoder and the classifiers of the second and third stage."""

    attributes: Tensor
    minimum: Tensor
    maximum: Tensor

    def __init__(self, config: Config, classes: Classes, input_shape: tuple[int, ...]):
        super().__init__()
        self.config = config
        (width,), (count, semantics) = input_shape, classes.attributes.shape
        output = nn.Sigmoid() if config.generator_output == "sigmoid" else nn.ReLU()
        hidden = (nn.Linear(2 * semantics, config.hidden), nn.LeakyReLU(SLOPE))
        self.generator = nn.Sequential(*hidden, nn.Linear(config.hidden, width), output)
        self.critic = Critic(width, semantics, config.hidden)
        refined = (config.encoder_width or width) if config.refinement else width
        self.encoder = nn.Linear(width, refined)
        self.refinement_classifier = nn.Linear(refined, count)
        self.classifier = nn.Linear(refined, count)
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or "classifier" in name:
                nn.init.zeros_(parameter)
            elif name == "encoder.weight" and config.encoder_start == "identity":
                nn.init.eye_(parameter)
            else:
                nn.init.normal_(parameter, 0.0, 0.02)  # family
        self.register_buffer("attributes", classes.attributes.clone())
        self.register_buffer("minimum", torch.zeros(width))
        self.register_buffer("maximum", torch.ones(width))

    def scaled(self, inputs: Float[Tensor, "b d"]) -> Float[Tensor, "b d"]:
        """Return features as shares of the way from the least to the largest of the training
        images.
        """
        return (inputs - self.minimum) / (self.maximum - self.minimum).clamp_min(1e-12)

    def generate(self, labels: Int[Tensor, " b"]) -> Float[Tensor, "b d"]:
        """Return a synthetic feature G(z, a), scaled, of each class in ``labels``; z is as long as
        a.
        """
        semantics = self.attributes[labels]
        given = torch.cat([torch.randn_like(semantics), semantics], dim=1)
        synthetic: Tensor = self.generator(given)
        return synthetic

    def critic_loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return eq. 2 of scaled features, lambda times the penalty on its own."""
        with torch.no_grad():
            synthetic = self.generate(batch.labels)
        distance, penalty = self.critic.losses(
            batch.inputs, synthetic, self.attributes[batch.labels]
        )
        return {"critic": distance, "penalty": self.config.gradient_penalty * penalty}

    def generator_loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return -E D(G(z, a), a) for the classes of a batch; the critic gets no gradient."""
        weights = {name: weight.detach() for name, weight in self.critic.named_parameters()}
        given = (self.generate(batch.labels), self.attributes[batch.labels])
        return {"generator": -torch.func.functional_call(self.critic, weights, given).mean()}

    def refined(self, scaled: Float[Tensor, "b d"]) -> Float[Tensor, "b h"]:
        """Return h = E(x) of scaled features; of the control x itself."""
        return self.encoder(scaled).relu() if self.config.refinement else scaled

    def metric_loss(
        self, refined: Float[Tensor, "b h"], labels: Int[Tensor, " b"]
    ) -> Float[Tensor, ""]:
        """Return the metric loss (eq. 1) of [h, a], or of h without implicit semantics."""
        config, vectors = self.config, refined
        if config.implicit_semantics:
            vectors = joined(refined, self.attributes[labels], config.semantic_weight)
        metric = metric_loss_of(config.metric_loss, config.metric_margin, config.metric_scale)
        return metric(vectors, labels)

    def refinement_loss(self, batch: Batch, images: int) -> dict[str, Float[Tensor, ""]]:
        """Return eq. 1 of real features, at positions below ``images``, and with synthetic
        refinement eq. 3 of all.
        """
        refined = self.refined(batch.inputs)
        real = (batch.positions < images).to(refined.device)
        losses = {"metric": self.metric_loss(refined[real], batch.labels[real])}
        if self.config.synthetic_refinement:
            losses["cross_entropy"] = F.cross_entropy(
                self.refinement_classifier(refined), batch.labels
            )
        return losses

    def classified(self, scaled: Float[Tensor, "b d"]) -> Float[Tensor, "b h"]:
        """Return the refined features as the classifier takes them."""
        refined = self.refined(scaled)
        return LENGTH * F.normalize(refined, dim=1) if self.config.unit_length else refined

    def classification_loss(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        """Return the classifier's cross-entropy over all classes; the inputs are refined."""
        return {"cross_entropy": F.cross_entropy(self.classifier(batch.inputs), batch.labels)}

    def scores(self, inputs: Float[Tensor, "b d"]) -> Float[Tensor, "b c"]:
        """Return log p(c | E(x)) over all classes (section 3.4): no class vector takes part."""
        logits: Tensor = self.classifier(self.classified(self.scaled(inputs)))
        return logits.log_softmax(dim=1)


@torch.no_grad()
def with_synthetic(
    model: Model, data: TrainingData, per_unseen: int, per_seen: int
) -> TrainingData:
    """Return the training images and so many synthetic features of each class, drawn in the order
    of class vectors.
    """
    classes = data.classes
    order = torch.unique(classes.attributes, dim=0, return_inverse=True)[1].argsort(stable=True)
    labels = order.repeat_interleave(torch.where(classes.seen, per_seen, per_unseen)[order])
    synthetic = [model.generate(part.to(data.run.device)) for part in labels.split(AT_ONCE)]
    features = torch.cat([data.inputs.take(data.rows), *synthetic])
    labels = torch.cat([data.labels, labels])
    return replace(data, inputs=Held(features), rows=torch.arange(len(features)), labels=labels)


def train(model: Model, config: Config, data: TrainingData) -> None:
    """Train generator and critic, then the encoder, then the classifier; all features stay on the
    device.
    """
    features = data.inputs.take(data.rows)
    model.minimum.copy_(features.amin(0))
    model.maximum.copy_(features.amax(0))
    data = replace(data, inputs=Held(model.scaled(features)), rows=torch.arange(len(features)))
    generate(model, config, data)
    if config.refinement:
        refine(model, config, data)
    classify(model, config, data)


def generate(model: Model, config: Config, data: TrainingData) -> None:
    """Minimise eq. 2 in ``generator_steps``, in equal epochs of up to STEPS_AN_EPOCH."""
    epochs = -(-config.generator_steps // STEPS_AN_EPOCH)
    batches = config.critic_steps * -(-config.generator_steps // epochs)

    def sampler(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
        """Return an epoch of random batches, drawn with replacement."""
        return list(torch.randint(len(labels), (batches, config.batch_size), generator=generator))

    adam = partial(torch.optim.Adam, lr=config.lr, betas=BETAS, fused=True)
    critic = Objective(model.critic_loss, adam(model.critic.parameters()))
    generator = Objective(
        model.generator_loss, adam(model.generator.parameters()), every=config.critic_steps
    )
    fit(model, data, sampler, (critic, generator), epochs, "generate")


def refine(model: Model, config: Config, data: TrainingData) -> None:
    """Minimise eq. 1, and eq. 3 with synthetic feature refinement, over the encoder."""
    synthesised = with_synthetic(model, data, config.refine_per_unseen, config.refine_per_seen)
    weights = [*model.encoder.parameters(), *model.refinement_classifier.parameters()]
    optimizer = torch.optim.Adam(weights, lr=config.refinement_lr, betas=BETAS)
    size, shots = config.refinement_batch_size, config.refinement_shots
    sampler = partial(random_batches, size=size)
    if shots:
        count = max(1, len(synthesised.rows) // size)  # as many as random batches
        sampler = partial(episodes, ways=max(2, size // shots), shots=shots, count=count)
    objective = Objective(partial(model.refinement_loss, images=len(data.rows)), optimizer)
    fit(model, synthesised, sampler, objective, config.refinement_epochs, "refine")


def classify(model: Model, config: Config, data: TrainingData) -> None:
    """Minimise the classifier's cross-entropy on refined features, which are computed once."""
    synthesised = with_synthetic(model, data, config.classify_per_unseen, config.classify_per_seen)
    with torch.no_grad():
        refined = torch.cat(
            [model.classified(batch.inputs) for batch in synthesised.in_order(AT_ONCE)]
        )
    optimizer = torch.optim.Adam(
        model.classifier.parameters(), lr=config.classifier_lr, betas=BETAS
    )
    sampler = partial(random_batches, size=config.classifier_batch_size)
    objective = Objective(model.classification_loss, optimizer)
    shown = replace(synthesised, inputs=Held(refined))
    fit(model, shown, sampler, objective, config.epochs, "classify")
