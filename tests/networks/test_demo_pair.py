"""The demo's image-text pair: its loss against the definition in plain loops, its towers against
what they are made of.
"""

import math

import pytest
import torch
from torch import Tensor

from zslpipe.machine.errors import InputError
from zslpipe.networks.backbones import build_trunk, folded
from zslpipe.networks.demo_pair import (
    WIDTH,
    PairImageTower,
    TextTower,
    contrastive_loss,
    read_text_tower,
    tokens_of,
)

torch.set_num_threads(1)


def pairs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(5, 3, generator=generator), 4 * torch.randn(5, 3, generator=generator)


def cosine(first: list[float], second: list[float]) -> float:
    product = sum(one * other for one, other in zip(first, second, strict=True))
    return product / math.sqrt(sum(x * x for x in first) * sum(y * y for y in second))


def plain_loss(images: list[list[float]], texts: list[list[float]], scale: float) -> float:
    """Return the paper's pseudo-code as loops: each image among the texts, each text among the
    images.
    """
    total = 0.0
    for own in range(len(images)):
        of_image = [math.exp(scale * cosine(images[own], text)) for text in texts]
        of_text = [math.exp(scale * cosine(image, texts[own])) for image in images]
        total -= math.log(of_image[own] / sum(of_image)) / 2
        total -= math.log(of_text[own] / sum(of_text)) / 2
    return total / len(images)


@pytest.mark.parametrize("scale", [1.0, 14.0])
def test_the_loss_is_the_mean_of_both_directions(scale):
    images, texts = pairs()
    found = contrastive_loss(images, texts, torch.tensor(math.log(scale)))
    assert found.item() == pytest.approx(plain_loss(images.tolist(), texts.tolist(), scale))


def test_the_loss_is_of_directions_and_the_same_the_other_way_round():
    images, texts = pairs()
    scale = torch.tensor(1.0)
    known = contrastive_loss(images, texts, scale)
    torch.testing.assert_close(contrastive_loss(7 * images, texts / 3, scale), known)
    torch.testing.assert_close(contrastive_loss(texts, images, scale), known)
    order = torch.tensor([3, 1, 4, 0, 2])
    torch.testing.assert_close(contrastive_loss(images[order], texts[order], scale), known)
    assert contrastive_loss(images, texts[order], scale) > known / 2
    alike = torch.ones(5, 3)
    assert contrastive_loss(alike, alike, scale).item() == pytest.approx(math.log(5))


def test_words_and_neighbours_of_a_phrase_are_tokens():
    assert tokens_of("Head red, wing_striped.") == [
        *("head", "red", "head red"),
        *("wing", "striped", "wing striped"),
    ]
    assert tokens_of("") == tokens_of(" ,. ") == []


def test_a_text_is_the_mean_of_its_known_tokens():
    tower = TextTower(("head", "red", "head red", "blue", "head blue"))
    rows = tower.embeddings.weight
    with torch.no_grad():
        found = tower(["head red", "a head blue", "unknown words", "head red, head blue"])
    torch.testing.assert_close(found[0], (rows[0] + rows[1] + rows[2]) / 3)
    torch.testing.assert_close(found[1], (rows[0] + rows[3] + rows[4]) / 3)
    assert not found[2].any()
    expected = (2 * rows[0] + rows[1] + rows[2] + rows[3] + rows[4]) / 6
    torch.testing.assert_close(found[3], expected)


def test_parts_and_colours_are_bound():
    """The same words in other phrases are another text."""
    texts = ("head red, wing blue", "head blue, wing red")
    tower = TextTower(sorted({token for text in texts for token in tokens_of(text)}))
    with torch.no_grad():
        first, second = tower(texts)
    assert not torch.allclose(first, second, atol=1e-3)


def test_a_picture_s_vector_is_the_projection_of_its_pooled_features():
    torch.manual_seed(0)
    tower = PairImageTower().eval()
    pictures = torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        found = tower(pictures)
        pooled = tower.features(pictures).mean((2, 3))
        weight, bias = tower.projection.weight[:, :, 0, 0], tower.projection.bias
    assert found.shape == (2, WIDTH, 6, 6)
    torch.testing.assert_close(found.mean((2, 3)), pooled @ weight.T + bias)


def saved(path) -> TextTower:
    """Write a file of a pair with random towers; return its text tower."""
    torch.manual_seed(0)
    tower = TextTower(("a", "b", "a b"))
    content = {
        "image": PairImageTower().state_dict(),
        "text": tower.state_dict(),
        "vocabulary": ["a", "b", "a b"],
        "log_scale": torch.tensor(1.0),
    }
    torch.save(content, path)
    return tower


def test_both_towers_come_out_of_their_file(tmp_path):
    known = saved(tmp_path / "pair.pt")
    read = read_text_tower(tmp_path / "pair.pt")
    with torch.no_grad():
        torch.testing.assert_close(read(["a b", "b"]), known(["a b", "b"]))
    trunk = build_trunk("demo_pair", str(tmp_path / "pair.pt"))
    held = torch.load(tmp_path / "pair.pt", weights_only=True)["image"]
    assert torch.equal(trunk.body.state_dict()["projection.weight"], held["projection.weight"])
    pictures = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        known_map = trunk(pictures)
        torch.testing.assert_close(folded(trunk)(pictures), known_map, rtol=1e-4, atol=1e-4)


def test_other_weights_are_no_pair(tmp_path):
    torch.save({"a": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match=r"no file of the demo's pair.*pretrain_pair"):
        read_text_tower(tmp_path / "other.pt")
    text = {"embeddings.weight": torch.zeros(2, 3)}
    torch.save({"vocabulary": ["a", "b"], "text": text}, tmp_path / "narrow.pt")
    with pytest.raises(InputError, match=r"narrow\.pt: no file of the demo's pair.*pretrain_pair"):
        read_text_tower(tmp_path / "narrow.pt")
    with pytest.raises(InputError, match="do not fit demo_pair"):
        build_trunk("demo_pair", str(tmp_path / "other.pt"))
    with pytest.raises(InputError, match="no file of weights"):
        build_trunk("demo_pair", "IMAGENET1K_V1")
