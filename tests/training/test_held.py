"""Inputs held as a tensor, and inputs that are never augmented."""

import torch

from tests.made_up.shifted import Shifted
from zslpipe.training.contract import Inputs
from zslpipe.training.held import Held, Unaugmented

torch.set_num_threads(1)


def test_held_values_are_inputs_and_nothing_of_them_is_drawn():
    values = torch.arange(24.0).view(6, 2, 2)
    held = Held(values, at_once=4)
    assert isinstance(held, Inputs)
    assert held.shape == (2, 2)
    assert held.at_once == 4
    assert held.take(torch.tensor([5, 0, 5])).tolist() == [
        values[5].tolist(),
        values[0].tolist(),
        values[5].tolist(),
    ]
    batches = [torch.tensor([1]), torch.tensor([3, 2]), torch.tensor([0, 0])]
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    for start in range(4):
        streamed = list(held.stream(batches, generator, start))
        for found, rows in zip(streamed, batches[start:], strict=True):
            assert found.tolist() == values[rows].tolist()
    assert torch.equal(generator.get_state(), state)


def test_unaugmented_inputs_draw_nothing():
    shifted = Shifted(torch.arange(6.0)[:, None], 2)
    batches, generator = [torch.tensor([1]), torch.tensor([4])], torch.Generator().manual_seed(0)
    assert next(shifted.stream(batches, torch.Generator().manual_seed(0))).item() != 1.0
    plain = Unaugmented(shifted)
    assert isinstance(plain, Inputs)
    assert (plain.shape, plain.at_once) == ((1,), 2)
    state = generator.get_state()
    assert [batch.item() for batch in plain.stream(batches, generator)] == [1.0, 4.0]
    assert [batch.item() for batch in plain.stream(batches, generator, 1)] == [4.0]
    assert plain.take(torch.tensor([3])).item() == 3.0
    assert torch.equal(generator.get_state(), state)
