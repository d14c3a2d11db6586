import psutil
import pytest
import torch

from zslpipe.machine.devices import Compute, _control_group_free, device_of, free_memory
from zslpipe.machine.errors import InputError


def test_a_control_group_limits_what_is_free(tmp_path):
    (tmp_path / "own").write_text("0::/jobs/7\n")
    assert _control_group_free(tmp_path, tmp_path / "own") == []
    (tmp_path / "jobs" / "7").mkdir(parents=True)
    (tmp_path / "jobs" / "7" / "memory.max").write_text("max\n")
    assert _control_group_free(tmp_path, tmp_path / "own") == []
    (tmp_path / "jobs" / "7" / "memory.max").write_text("5000\n")
    (tmp_path / "jobs" / "7" / "memory.current").write_text("1800\n")
    assert _control_group_free(tmp_path, tmp_path / "own") == [3200]
    assert _control_group_free(tmp_path, tmp_path / "absent") == []


def test_slurm_limits_what_is_free(monkeypatch):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "1")
    assert free_memory(torch.device("cpu")) == 0
    megabytes = psutil.Process().memory_info().rss // 2**20 + 100
    monkeypatch.setenv("SLURM_MEM_PER_NODE", str(megabytes))
    assert 0 < free_memory(torch.device("cpu")) <= 101 * 2**20


def test_a_gpu_of_a_number_that_is_not_there_is_one_line(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device_of(Compute(device="cuda:1")) == torch.device("cuda:1")
    with pytest.raises(InputError, match=r"'cuda:2' and this machine has 2 GPU, up to cuda:1; "):
        device_of(Compute(device="cuda:2"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_asked_for_and_missing_is_one_line():
    with pytest.raises(
        InputError, match=r"compute\.device is 'cuda' and this machine has no usable GPU"
    ):
        device_of(Compute(device="cuda"))
    assert device_of(Compute(threads=1)) == torch.device("cpu")
