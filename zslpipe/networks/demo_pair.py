"""The demo's image-text pair: two small towers into one space, as CLIP's are (Radford et al. 2021).

What stands in for CLIP where nothing can be downloaded: the image tower is the demo's backbone with
a linear projection, the text tower adds up a vector for each word and for each two words that stand
side by side in a phrase, so that "head red" and "head blue" differ in more than their colours. Both
are trained by :mod:`zslpipe.features.demo_pair`. Layout of their file::

    image         tensors of PairImageTower
    text          embeddings.weight (token, WIDTH)
    vocabulary    tokens, in the order of their rows
    log_scale     of the temperature's inverse
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from zslpipe.machine.errors import InputError
from zslpipe.networks.demo_network import WIDTHS, DemoNetwork
from zslpipe.networks.weight_files import read_content

WIDTH = 64  # of the common space; ours: half of it and twice as much do as well
PHRASE_ENDS = re.compile(r"[,.;:!?]")
NO_LETTER = re.compile(r"[\W_]+")


class PairImageTower(nn.Module):
    """The demo's network up to its last map, projected: (b, 3, h, w) to (b, WIDTH, h / 16, w / 16).

    The projection is linear, so that the mean of its map is the projection of the mean: the pooled
    features are the image's vector.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = DemoNetwork(1).features
        self.projection = nn.Conv2d(WIDTHS[-1], WIDTH, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return the projected map of normalised images."""
        projected: Tensor = self.projection(self.features(images))
        return projected


class TextTower(nn.Module):
    """Texts to vectors (n, WIDTH): the mean of their tokens'; tokens that are none of the
    ``vocabulary`` say nothing, and a text of such alone is a vector of zeros.
    """

    def __init__(self, vocabulary: Sequence[str]):
        super().__init__()
        self.number = {token: row for row, token in enumerate(vocabulary)}
        self.embeddings = nn.EmbeddingBag(len(vocabulary), WIDTH, mode="mean")

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Return the vectors of texts, not normalised."""
        known = [self._known(text) for text in texts]
        starts = torch.tensor([0, *map(len, known[:-1])]).cumsum(0)
        rows = torch.tensor([row for text in known for row in text], dtype=torch.long)
        device = self.embeddings.weight.device
        vectors: Tensor = self.embeddings(rows.to(device), starts.to(device))
        return vectors

    def _known(self, text: str) -> list[int]:
        """Return the rows of a text's known tokens."""
        return [self.number[token] for token in tokens_of(text) if token in self.number]


def tokens_of(text: str) -> list[str]:
    """Return a text's words in lower case, and its pairs of neighbours within phrases, which end at
    punctuation.
    """
    tokens: list[str] = []
    for phrase in PHRASE_ENDS.split(text.lower()):
        words = NO_LETTER.sub(" ", phrase).split()
        tokens += [*words, *(f"{first} {second}" for first, second in pairwise(words))]
    return tokens


def contrastive_loss(
    images: Float[Tensor, "b e"], texts: Float[Tensor, "b e"], log_scale: Float[Tensor, ""]
) -> Float[Tensor, ""]:
    """Return the symmetric cross entropy of a batch of pairs (Radford et al. 2021, figure 3): with
    l_ij = exp(log_scale) cos(image_i, text_j), half the sum of the means over i of CE(l_i., i) and
    over j of CE(l_.j, j).
    """
    logits = log_scale.exp() * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
    own = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)) / 2


def read_text_tower(path: Path) -> TextTower:
    """Return the text tower of a file of the demo's pair; InputError where it is none."""
    content = read_content(path)
    fault = f"{path}: no file of the demo's pair; the rule 'pretrain_pair' writes it"
    parts = content if isinstance(content, dict) else {}
    if not {"vocabulary", "text"} <= parts.keys():
        raise InputError(fault)
    tower = TextTower(parts["vocabulary"])
    try:
        tower.load_state_dict(parts["text"])
    except RuntimeError as error:
        raise InputError(fault) from error
    return tower.eval()
