"""CLIP's zero-shot scores against the definition of a cosine in plain loops."""

import math

import pytest
import torch

from zslpipe.machine.errors import InputError
from zslpipe.methods.clip import Config, Model, train
from zslpipe.training.contract import Classes, TrainingData, TrainingRun
from zslpipe.training.held import Held

SEEN = torch.tensor([True, False, True])
WIDTH, IMAGES = 4, 5


def classes_of(vectors: torch.Tensor) -> Classes:
    return Classes(tuple("abc"), vectors, SEEN, tuple("wxyz"))


def drawn() -> tuple[torch.Tensor, torch.Tensor]:
    """Return class vectors (3, d) and image vectors (n, d) of different lengths."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(len(SEEN), WIDTH, generator=generator)
    images = torch.randn(IMAGES, WIDTH, generator=generator)
    return vectors * torch.tensor([[0.1], [1.0], [7.0]]), images * 3


def cosine(first: list[float], second: list[float]) -> float:
    product = sum(one * other for one, other in zip(first, second, strict=True))
    lengths = [math.sqrt(sum(part * part for part in vector)) for vector in (first, second)]
    return product / (lengths[0] * lengths[1])


@pytest.mark.parametrize("scale", [100.0, 3.0])
def test_scores_are_scaled_cosines(scale):
    vectors, images = drawn()
    scores = Model(Config(scale), classes_of(vectors), (WIDTH,)).scores(images)
    for row, image in enumerate(images.tolist()):
        for column, vector in enumerate(vectors.tolist()):
            wanted = scale * cosine(image, vector)
            assert scores[row, column].item() == pytest.approx(wanted, rel=1e-5, abs=1e-5)


def test_the_scale_is_the_papers_unless_told():
    assert Config().logit_scale == 100


def test_lengths_of_either_side_and_the_scale_decide_no_prediction():
    vectors, images = drawn()
    known = Model(Config(), classes_of(vectors), (WIDTH,)).scores(images)
    longer = vectors * torch.tensor([[5.0], [0.2], [3.0]])
    torch.testing.assert_close(
        Model(Config(), classes_of(longer), (WIDTH,)).scores(images * 11), known
    )
    other = Model(Config(1.0), classes_of(vectors), (WIDTH,)).scores(images)
    assert torch.equal(other.argmax(1), known.argmax(1))


def test_an_image_that_is_a_classs_text_is_of_that_class():
    vectors, _ = drawn()
    scores = Model(Config(), classes_of(vectors), (WIDTH,)).scores(vectors)
    assert scores.argmax(1).tolist() == [0, 1, 2]
    torch.testing.assert_close(scores.diagonal(), torch.full((3,), 100.0))


def test_training_changes_nothing_and_reads_no_image(tmp_path):
    vectors, images = drawn()
    model = Model(Config(), classes_of(vectors), (WIDTH,))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    run = TrainingRun(0, torch.device("cpu"), tmp_path)
    labels = torch.tensor([0, 2, 0, 2, 0])
    train(
        model,
        Config(),
        TrainingData(Held(images), torch.arange(IMAGES), labels, classes_of(vectors), run),
    )
    assert list(before) == ["attributes"]
    assert torch.equal(model.state_dict()["attributes"], before["attributes"])
    assert run.history == [] and list(tmp_path.iterdir()) == []


def test_vectors_of_two_spaces_are_refused_with_both_widths():
    vectors, _ = drawn()
    with pytest.raises(InputError, match="of width 7 with class vectors of width 4") as refused:
        Model(Config(), classes_of(vectors), (7,))
    assert "\n" not in str(refused.value)
