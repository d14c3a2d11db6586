import psutil
import pytest
import torch

from zslpipe.machine.control_groups import MemoryLimit, memory_limits
from zslpipe.machine.devices import Compute, device_of, free_memory
from zslpipe.machine.errors import InputError, NotNowError


def write_group(folder, allowed: object, used: int, files: int | None = None) -> None:
    """Write a control group's limit (version 2), what it uses, and how much of that are files."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "memory.max").write_text(f"{allowed}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    if files is not None:
        (folder / "memory.stat").write_text(f"anon 5\nactive_file 9\ninactive_file {files}\n")


def found(tmp_path) -> list[tuple[int, int]]:
    limits = memory_limits(tmp_path, tmp_path / "own")
    return [(limit.allowed, limit.used) for limit in limits]


def test_a_control_group_and_those_that_hold_it_limit_what_is_free(tmp_path):
    assert found(tmp_path) == []
    (tmp_path / "own").write_text("4:memory:/old/task\n0::/jobs/7/step/task\n")
    assert found(tmp_path) == []
    write_group(tmp_path / "jobs" / "7" / "step" / "task", "max", 10)
    assert found(tmp_path) == []
    write_group(tmp_path / "jobs" / "7", 5000, 1800)
    assert found(tmp_path) == [(5000, 1800)]
    write_group(tmp_path / "jobs" / "7", 5000, 1800, files=300)  # given up at once
    write_group(tmp_path / "jobs", 9000, 2000)
    assert found(tmp_path) == [(5000, 1500), (9000, 2000)]
    old = tmp_path / "memory" / "old"
    old.mkdir(parents=True)
    (old / "memory.limit_in_bytes").write_text("700\n")
    (old / "memory.usage_in_bytes").write_text("400\n")
    (old / "memory.stat").write_text("inactive_file 1\ntotal_inactive_file 50\n")
    assert found(tmp_path)[0] == (700, 350)


def test_the_smallest_limit_is_what_is_free(monkeypatch):
    monkeypatch.delenv("SLURM_MEM_PER_NODE", raising=False)
    limits = [MemoryLimit(9000, 2000), MemoryLimit(5000, 1500)]
    monkeypatch.setattr("zslpipe.machine.devices.memory_limits", lambda: iter(limits))
    assert free_memory(torch.device("cpu")) == 3500
    monkeypatch.setattr("zslpipe.machine.devices.memory_limits", lambda: iter(()))
    assert free_memory(torch.device("cpu")) > 10**6


@pytest.mark.parametrize("device", ["auto", "cuda", "cuda:1"])
def test_a_gpu_that_slurm_keeps_for_the_job_and_torch_cannot_use_is_an_error(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("SLURM_JOB_ID", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    if device == "auto":  # no scheduler: as everywhere without a GPU
        assert device_of(Compute(device="auto", threads=1)) == torch.device("cpu")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(NotNowError, match=r"^SLURM gave this job GPU 2, and CUDA .*without CUDA"):
        device_of(Compute(device=device, threads=1))
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    monkeypatch.setenv("SLURM_STEP_GPUS", "0,3")
    with pytest.raises(InputError, match=r"GPU 0,3, .*no driver.*12\.8 \(nvidia-smi\); or write c"):
        device_of(Compute(device=device, threads=1))
    assert device_of(Compute(device="cpu", threads=1)) == torch.device("cpu")


def test_a_job_of_slurm_without_a_gpu_computes_on_the_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for nothing in ("", "-1"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", nothing)
        assert device_of(Compute(device="auto", threads=1)) == torch.device("cpu")


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


@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_ranks_of_one_machine_need_a_gpu_each(monkeypatch, device):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(InputError, match=r"^compute\.extract_tasks is 3 .* shows 2 GPU, .*: 2$"):
        device_of(Compute(device=device, threads=1), ranks=3)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_asked_for_and_missing_is_one_line():
    with pytest.raises(
        InputError, match=r"compute\.device is 'cuda' and this machine has no usable GPU"
    ):
        device_of(Compute(device="cuda"))
    assert device_of(Compute(threads=1)) == torch.device("cpu")
