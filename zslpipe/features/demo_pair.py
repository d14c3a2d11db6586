"""Train the demo's image-text pair on its auxiliary pictures and their captions: what pairs from
the internet are to CLIP.

No picture and no class of the demo dataset is met: a caption says what one auxiliary picture
shows. The backbone stays as it is; what is learned is its projection and the text tower, by the
contrastive loss and its learned temperature (Radford et al. 2021, section 2.3 and 2.5). All other
constants are ours, chosen on the demo's validation classes.
"""

import csv
import logging
import math
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from zslpipe.features.demo_backbone import read_pictures
from zslpipe.machine.errors import InputError
from zslpipe.machine.files import held_folder, work_folder, written_whole
from zslpipe.machine.seals import seal
from zslpipe.networks.backbones import Trunk, build_trunk, folded
from zslpipe.networks.demo_pair import (
    WIDTH,
    PairImageTower,
    TextTower,
    contrastive_loss,
    tokens_of,
)

logger = logging.getLogger(__name__)

SIDE = 96  # ours: pixels of a picture, as the backbone is trained on
PASS = 64  # ours: pictures that go through the backbone at once
BATCH = 256  # ours: pairs of a batch, an eighth of all
EPOCHS = 30  # ours: two seconds
LEARNING_RATE = 1e-2  # ours: highest of the one-cycle schedule (Smith and Topin 2018)
WEIGHT_DECAY = 0.05  # ours
SEED = 0  # ours
# Of the mean deviation (ours): features that hardly vary among few pictures are not blown up.
SMALLEST_DEVIATION = 0.1
# The temperature's inverse: where it begins, and what it is clipped to (paper, section 2.5).
FIRST_SCALE, HIGHEST_SCALE = 1 / 0.07, 100.0


class _Towers(nn.Module):
    """What is learned: a projection of standardised pooled features (n, d), a text tower, and the
    logarithm of the scale.
    """

    def __init__(self, pooled: Tensor, vocabulary: Sequence[str]):
        super().__init__()
        self.mean, deviation = pooled.mean(0), pooled.std(0)
        self.deviation = deviation.clamp(min=SMALLEST_DEVIATION * deviation.mean().item())
        self.projection = nn.Linear(pooled.shape[1], WIDTH)
        self.text = TextTower(vocabulary)
        self.log_scale = nn.Parameter(torch.tensor(math.log(FIRST_SCALE)))

    def loss(self, pooled: Tensor, texts: Sequence[str]) -> Tensor:
        """Return the contrastive loss of a batch of pairs."""
        images = self.projection((pooled - self.mean) / self.deviation)
        return contrastive_loss(images, self.text(texts), self.log_scale)

    def folded_projection(self) -> tuple[Tensor, Tensor]:
        """Return weight (WIDTH, d) and bias (WIDTH,) of the projection of features as they are."""
        weight = self.projection.weight / self.deviation
        return weight, self.projection.bias - weight @ self.mean


def pretrain_pair(images: Path, captions: Path, backbone: Path, output: Path, device: str) -> None:
    """Train both towers and write their file (:mod:`zslpipe.networks.demo_pair`), whole or not at
    all; always the same on a CPU with the same number of threads.

    ``images``: class folders of pictures; ``captions``: CSV image,text, the path of a picture below
    ``images`` and what it shows; ``backbone``: the demo's weights. Raises InputError where one of
    them is absent or does not fit, and where another process writes the same.
    """
    folder = work_folder(output)
    with held_folder(folder):
        pictures, _ = read_pictures(images)
        texts = read_captions(captions, len(pictures))
        trunk = build_trunk("demo", str(backbone))
        towers = train(pooled_features(folded(trunk).to(device), pictures), texts)
        content = _content(towers, build_trunk("demo", str(backbone)))
        # An open file: torch would write the temporary name into it.
        with written_whole(output) as temporary:
            with temporary.open("wb") as file:
                torch.save(content, file)
            seal(temporary)
        shutil.rmtree(folder, ignore_errors=True)


def read_captions(path: Path, count: int) -> list[str]:
    """Return the captions of ``count`` pictures, in the order of their paths; InputError where the
    file is none of captions, or has another number.
    """
    if not path.is_file():
        raise InputError(f"{path}: no captions; the demo's rule 'render' writes them")
    with path.open(encoding="utf8", newline="") as file:
        rows = list(csv.DictReader(file))
    if len(rows) != count or not all(row.keys() == {"image", "text"} for row in rows):
        fault = f"{len(rows)} captions for {count} pictures (columns image,text)"
        raise InputError(f"{path}: {fault}; the demo's rule 'render' writes them")
    return [row["text"] for row in sorted(rows, key=lambda row: row["image"])]


def pooled_features(trunk: Trunk, pictures: Tensor) -> Tensor:
    """Return pooled features (n, d), on the CPU, of uint8 pictures (n, 3, h, w)."""
    parts = []
    with torch.inference_mode():
        for batch in pictures.split(PASS):
            pixels = batch.to(trunk.mean.device).float() / 255
            sized = nn.functional.interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)
            normalised = (sized - trunk.mean) / trunk.deviation
            shaped = normalised.contiguous(memory_format=torch.channels_last)
            parts.append(trunk(shaped).mean((2, 3)).cpu())
    return torch.cat(parts).clone()


def train(pooled: Tensor, texts: Sequence[str]) -> _Towers:
    """Return towers trained on pairs of pooled features (n, d) and texts; AdamW on a one-cycle
    schedule. On the CPU: a step takes milliseconds.
    """
    generator = torch.Generator().manual_seed(SEED)
    torch.manual_seed(SEED)
    towers = _Towers(pooled, sorted({token for text in texts for token in tokens_of(text)}))
    optimiser = torch.optim.AdamW(towers.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    steps = -(-len(texts) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, total_steps=EPOCHS * steps
    )
    losses: list[float] = []
    for _ in range(EPOCHS):
        losses.clear()
        for rows in torch.randperm(len(texts), generator=generator).split(BATCH):
            loss = towers.loss(pooled[rows], [texts[row] for row in rows.tolist()])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                towers.log_scale.clamp_(max=math.log(HIGHEST_SCALE))
            losses.append(loss.item())
    scale = towers.log_scale.exp().item()
    mean = sum(losses) / len(losses)
    logger.info("pair: %d pairs, loss %.3f in the last epoch, scale %.1f", len(texts), mean, scale)
    return towers.eval()


def _content(towers: _Towers, backbone: Trunk) -> dict[str, object]:
    """Return what the file of the pair holds."""
    image = PairImageTower().eval()
    held = backbone.body.state_dict().items()
    image.features.load_state_dict({name.removeprefix("features."): one for name, one in held})
    weight, bias = towers.folded_projection()
    image.projection.load_state_dict({"weight": weight[:, :, None, None], "bias": bias})
    return {
        "image": dict(image.state_dict()),
        "text": dict(towers.text.state_dict()),
        "vocabulary": list(towers.text.number),
        "log_scale": towers.log_scale.detach(),
    }
