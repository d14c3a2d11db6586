"""A checkpoint with a flipped byte is left behind: the training starts afresh."""

from pathlib import Path

import torch
from torch import nn
from torch.optim import SGD

from zslpipe.training.checkpoint import TrainingState, load_checkpoint, save_checkpoint
from zslpipe.training.contract import TrainingRun


def state_of(value: float) -> TrainingState:
    model = nn.Linear(30, 1)
    with torch.no_grad():
        model.weight.fill_(value)
    return TrainingState(model, [SGD(model.parameters(), 0.1)], [None], [], epoch=int(value))


def test_a_damaged_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    run, path = TrainingRun(0, torch.device("cpu"), tmp_path, "stamp"), tmp_path / "checkpoint.pt"
    save_checkpoint(path, state_of(7.0), run)
    data = path.read_bytes()
    place = data.index(state_of(7.0).model.weight.detach().numpy().tobytes())
    path.write_bytes(data[:place] + b"\x01" + data[place + 1 :])
    state = state_of(3.0)
    load_checkpoint(path, state, run)
    assert state.epoch == 3
    path.write_bytes(data)
    load_checkpoint(path, state, run)
    assert state.epoch == 7
    assert (state.model.weight == 7).all()
