"""Samplers: one epoch as a list of batches, each the positions of its images; and its seed."""

import torch
from torch import Tensor


def random_batches(labels: Tensor, generator: torch.Generator, size: int) -> list[Tensor]:
    """Return one epoch of positions: a random permutation of all images cut into batches of
    ``size``.

    Every batch is full (code of DAZLE, family of MLIS): a step that rests on two images is as long
    as one that rests on fifty. The images left over wait for another epoch's draw; with fewer
    images than ``size`` the only batch takes all.
    """
    order = torch.randperm(len(labels), generator=generator)
    return list(order[: _full_batches(labels, size) * size].split(size))


def repeated_batches(
    labels: Tensor, generator: torch.Generator, size: int, count: int
) -> list[Tensor]:
    """Return one epoch of ``count`` random batches of ``size``: random permutations of all images,
    one after the other, cut.
    """
    passes = -(-size * count // len(labels))
    orders = [torch.randperm(len(labels), generator=generator) for _ in range(passes)]
    return list(torch.cat(orders)[: size * count].split(size))


def class_balanced_batches(labels: Tensor, generator: torch.Generator, size: int) -> list[Tensor]:
    """Return one epoch of class-balanced batches: one random image of each of up to ``size`` random
    classes.

    As many batches as an epoch of random batches of the same size has. With fewer classes than
    ``size`` a batch takes every class once, so it is as long as there are classes (code of DAZLE:
    one image of each of up to 50 classes).
    """
    classes, members, counts = _members(labels)
    batches = []
    for _ in range(_full_batches(labels, size)):
        chosen = torch.randperm(len(classes), generator=generator)[:size]
        picks = (torch.rand(len(chosen), generator=generator) * counts[chosen]).long()
        batches.append(members[chosen, picks])
    return batches


def _full_batches(labels: Tensor, size: int) -> int:
    """Return how many batches of ``size`` the images fill, at least one."""
    return max(1, len(labels) // size)


def episodes(
    labels: Tensor, generator: torch.Generator, ways: int, shots: int, count: int
) -> list[Tensor]:
    """Return one epoch of ``count`` episodes: ``shots`` images of each of ``ways`` random classes,
    no image twice in an episode (paper of RSAN, section 4.1).

    With fewer classes than ``ways`` an episode takes every class; a class with fewer images than
    ``shots`` gives all it has, so an episode may be shorter than ways x shots.
    """
    classes, members, counts = _members(labels)
    places = torch.arange(members.shape[1])
    batches = []
    for _ in range(count):
        chosen = torch.randperm(len(classes), generator=generator)[:ways]
        # Random keys, infinite behind a class's last image: the smallest are a draw without
        # replacement.
        keys = torch.rand(len(chosen), members.shape[1], generator=generator)
        keys = keys.masked_fill(places >= counts[chosen, None], torch.inf)
        drawn, picks = keys.topk(min(shots, members.shape[1]), dim=1, largest=False)
        batches.append(members[chosen].gather(1, picks)[drawn.isfinite()])
    return batches


def _members(labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the classes present (k), the positions of their images (k, longest; padded with 0) and
    their counts (k).

    Classes stand in the order of their first images: how they are numbered decides no draw.
    """
    classes, counts = labels.unique(return_counts=True)
    groups = labels.argsort(stable=True).split(counts.tolist())
    order = torch.stack([group[0] for group in groups]).argsort()
    padded = torch.nn.utils.rnn.pad_sequence(list(groups), batch_first=True)
    return classes[order], padded[order], counts[order]


SAMPLERS = {"random": random_batches, "class balanced": class_balanced_batches}


def epoch_seed(seed: int, stage: str, epoch: int) -> int:
    """Return a seed of its own for each (seed, stage, epoch), the same in every process."""
    state = seed
    for byte in f"{stage}:{epoch}".encode():
        state = (state * 1000003 + byte) % (1 << 62)
    return state
