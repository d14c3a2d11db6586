"""Training data: batches of rows and labels at positions."""

import torch

from tests.made_up.shifted import Shifted
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun

torch.set_num_threads(1)


def training_data(tmp_path) -> TrainingData:
    """Return four training images, rows 8, 6, 4 and 2 of the index."""
    classes = Classes(("x", "y"), torch.eye(2), torch.ones(2, dtype=torch.bool), ("a", "b"))
    run = TrainingRun(0, torch.device("cpu"), tmp_path)
    rows, labels = torch.tensor([8, 6, 4, 2]), torch.tensor([0, 1, 1, 0])
    return TrainingData(Shifted(torch.arange(10.0)[:, None]), rows, labels, classes, run)


def listed(batch: Batch) -> tuple[list[float], list[int], list[int]]:
    return batch.inputs.flatten().tolist(), batch.labels.tolist(), batch.positions.tolist()


def test_batches_are_rows_and_labels_at_positions(tmp_path):
    data = training_data(tmp_path)
    assert listed(data.batch(torch.tensor([3, 1]))) == ([2.0, 6.0], [0, 1], [3, 1])
    parts = [torch.tensor([0, 2]), torch.tensor([1]), torch.tensor([3])]
    expected = [([8.0, 4.0], [0, 1], [0, 2]), ([6.0], [1], [1]), ([2.0], [0], [3])]
    assert [listed(batch) for batch in data.batches(parts)] == expected
    assert [listed(batch) for batch in data.batches(parts, start=2)] == expected[2:]
    assert [listed(batch) for batch in data.in_order(3)] == [
        ([8.0, 6.0, 4.0], [0, 1, 1], [0, 1, 2]),
        ([2.0], [0], [3]),
    ]

    def augmented(start: int) -> list[tuple[list[float], list[int], list[int]]]:
        generator = torch.Generator().manual_seed(0)
        return [listed(batch) for batch in data.batches(parts, generator, start)]

    whole, rest = augmented(0), augmented(1)
    assert whole[1:] == rest
    assert whole[1][0] != [6.0]
