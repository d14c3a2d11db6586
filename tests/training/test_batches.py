"""What an epoch draws: random and class-balanced batches, episodes against their definition."""

from functools import partial

import pytest
import torch
from torch import Tensor

from zslpipe.training.batches import (
    class_balanced_batches,
    episodes,
    random_batches,
    repeated_batches,
)

torch.set_num_threads(1)
# 5 of class 9, 4 of 2, 4 of 4, 2 of 7.
LABELS = torch.tensor([9, 2, 2, 4, 4, 4, 7, 9, 9, 9, 2, 7, 4, 9, 2])


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def plain_episodes(
    labels: Tensor, generator: torch.Generator, ways: int, shots: int, count: int
) -> list[list[int]]:
    """The definition in loops: random classes; of each the images with the smallest of random keys.

    Classes count in the order of their first images. A class has as many keys as the largest class
    has images; the surplus is not looked at.
    """
    images: dict[int, list[int]] = {}
    for image, label in enumerate(labels.tolist()):
        images.setdefault(label, []).append(image)
    classes, longest = list(images), max(map(len, images.values()))
    batches = []
    for _ in range(count):
        drawn = torch.randperm(len(classes), generator=generator)[:ways]
        chosen = [classes[number] for number in drawn.tolist()]
        keys = torch.rand(len(chosen), longest, generator=generator).tolist()
        batch: list[int] = []
        for label, row in zip(chosen, keys, strict=True):
            order = sorted(range(len(images[label])), key=lambda place, row=row: row[place])
            batch += [images[label][place] for place in order[:shots]]
        batches.append(batch)
    return batches


@pytest.mark.parametrize(("ways", "shots"), [(2, 2), (3, 1), (4, 3), (9, 2), (2, 50), (9, 50)])
def test_episodes_follow_the_definition(ways, shots):
    found = episodes(LABELS, seeded(3), ways, shots, 20)
    assert [batch.tolist() for batch in found] == plain_episodes(LABELS, seeded(3), ways, shots, 20)


def test_an_episode_has_so_many_different_images_of_each_of_so_many_classes():
    for batch in episodes(LABELS, seeded(), 3, 2, 50):
        counts = LABELS[batch].unique(return_counts=True)[1]
        assert counts.tolist() == [2, 2, 2]
        assert len(set(batch.tolist())) == 6


def test_an_episode_takes_all_there_is_of_classes_and_images_that_are_few():
    every = episodes(LABELS, seeded(), 10, 3, 5)
    assert [sorted(LABELS[batch].tolist()) for batch in every] == [
        [2, 2, 2, 4, 4, 4, 7, 7, 9, 9, 9]
    ] * 5
    whole = episodes(LABELS, seeded(), 10, 100, 5)
    assert [sorted(batch.tolist()) for batch in whole] == [list(range(15))] * 5


def test_episodes_draw_classes_and_a_classes_images_evenly():
    drawn = torch.cat(episodes(LABELS, seeded(), 2, 2, 4000))
    share = torch.bincount(drawn, minlength=15) / 4000  # of the episodes an image is in
    expected = 2 / 4 * (2 / torch.bincount(LABELS)[LABELS]).clamp(max=1)
    torch.testing.assert_close(share, expected, rtol=0, atol=0.03)


def test_the_same_generator_gives_the_same_episodes_and_each_differs_from_the_next():

    def drawn(seed: int) -> list[list[int]]:
        return [batch.tolist() for batch in episodes(LABELS, seeded(seed), 3, 2, 6)]

    first, again, other = drawn(1), drawn(1), drawn(2)
    assert first == again != other
    assert len(set(map(tuple, first))) == 6


@pytest.mark.parametrize(
    "draw", [partial(episodes, ways=3, shots=2, count=10), partial(class_balanced_batches, size=3)]
)
def test_how_classes_are_numbered_is_no_matter(draw):
    numbers = torch.tensor([0, 0, 7, 0, 3, 0, 0, 2, 0, 5])  # new numbers, in another order
    found, renumbered = draw(LABELS, seeded(5)), draw(numbers[LABELS], seeded(5))
    for batch, other in zip(found, renumbered, strict=True):
        assert batch.tolist() == other.tolist()


@pytest.mark.parametrize(("images", "size"), [(23, 5), (52, 50), (20, 5), (5, 5), (9, 5)])
def test_random_batches_are_full_and_share_no_image(images, size):
    drawn = random_batches(torch.zeros(images, dtype=torch.long), seeded(), size)
    assert [len(batch) for batch in drawn] == [size] * (images // size)
    permuted = torch.randperm(images, generator=seeded()).tolist()
    assert torch.cat(drawn).tolist() == permuted[: images // size * size]


def test_images_left_over_are_others_in_each_epoch():
    labels, generator = torch.zeros(23, dtype=torch.long), seeded()
    epochs = [torch.cat(random_batches(labels, generator, 5)) for _ in range(400)]
    share = torch.bincount(torch.cat(epochs), minlength=23) / 400
    torch.testing.assert_close(share, torch.full((23,), 20 / 23), rtol=0, atol=0.07)


def test_with_fewer_images_than_a_batch_an_epoch_is_one_batch_of_all():
    labels = torch.zeros(3, dtype=torch.long)
    [batch] = random_batches(labels, seeded(), 5)
    assert batch.sort().values.tolist() == [0, 1, 2]
    assert len(class_balanced_batches(labels, seeded(), 5)) == 1


def test_class_balanced_batches_take_one_image_of_each_of_so_many_classes():
    labels = torch.tensor([9, 2, 2, 4, 4, 4, 7, 9, 9, 9, 9, 9])
    for batch in class_balanced_batches(labels, seeded(), 3):
        assert len(set(labels[batch].tolist())) == len(batch) == 3


def test_class_balanced_batches_cover_all_classes_where_they_are_few():
    labels = torch.tensor([9, 2, 2, 4, 4, 4, 7, 9, 9, 9, 9, 9])
    drawn = class_balanced_batches(labels, seeded(), 5)
    assert [sorted(labels[batch].tolist()) for batch in drawn] == [[2, 4, 7, 9]] * 2


def test_class_balanced_batches_draw_images_and_classes_evenly():
    labels = torch.tensor([0] * 2 + [1] * 6 + [2] * 12)
    epochs = []
    for seed in range(300):
        epochs += class_balanced_batches(labels, seeded(seed), 2)
    drawn = torch.cat(epochs)
    classes = torch.bincount(labels[drawn]) / len(drawn)
    torch.testing.assert_close(classes, torch.full((3,), 1 / 3), rtol=0, atol=0.03)
    images = torch.bincount(drawn) / len(drawn)
    torch.testing.assert_close(images, 1 / 3 / torch.bincount(labels)[labels], rtol=0, atol=0.03)


@pytest.mark.parametrize("sampler", [random_batches, class_balanced_batches])
def test_the_same_generator_gives_the_same_batches(sampler):
    labels = torch.arange(40) % 7

    def drawn(seed: int) -> list[list[int]]:
        return [batch.tolist() for batch in sampler(labels, seeded(seed), 6)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


@pytest.mark.parametrize(("size", "count"), [(4, 9), (4, 2), (15, 2), (20, 3)])
def test_repeated_batches_are_whole_passes_cut_into_full_batches(size, count):
    batches = repeated_batches(LABELS, seeded(), size, count)
    assert [len(batch) for batch in batches] == [size] * count
    drawn = torch.cat(batches)
    generator, passes = seeded(), []
    while len(passes) * len(LABELS) < size * count:
        passes.append(torch.randperm(len(LABELS), generator=generator))
    assert torch.equal(drawn, torch.cat(passes)[: size * count])
    for images in drawn.split(len(LABELS)):
        assert len(images.unique()) == len(images)
