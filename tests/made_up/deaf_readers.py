"""Whether the readers of images begin as they should: deaf to a scheduler's SIGTERM."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from torch.utils.data import DataLoader


@contextmanager
def begun_deaf(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail unless loaders begin in this block, all of them with SIGTERM blocked, which it is not
    afterwards.
    """
    masks, begin = [], DataLoader.__iter__

    def begun(loader):
        masks.append(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        return begin(loader)

    with monkeypatch.context() as patch:
        patch.setattr(DataLoader, "__iter__", begun)
        yield
    assert masks and all(signal.SIGTERM in mask for mask in masks)
    assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
