"""What sbatch refuses is told with what to do, from the log as the executor makes it."""

from pathlib import Path

import pytest

from zslpipe.study.refused_submissions import refusals_told, refused_submissions

# Recorded with snakemake 9 and its SLURM executor 2.8; the call is shortened.
LOG = """\
[Thu Nov 26 11:25:15 2026]
Error in rule {rule}:
    message: SLURM sbatch failed. The error message was 'sbatch: error: {said}'.
    sbatch call:
        sbatch --parsable --comment rule_{rule} -t 5 --mem 500 {asked} --wrap="python -m snakemake"
For further error details see the cluster/cloud log and the log files of the involved rule(s).
    jobid: 0
    input: in.txt
    output: {outputs}
    shell:
        python -m zslpipe
        (command exited with non-zero exit code)
"""
NO_NODE = "Batch job submission failed: Requested node configuration is not available"
NO_GRES = "Invalid generic resource (gres) specification"


def written(folder: Path, *entries: str) -> list[str]:
    """Write a log of other lines and some entries; return its name, and one that is not there."""
    other = "Error in rule train:\n    message: None\n    jobid: 3\n    output: failed.h5\n"
    (folder / "log").write_text("".join([other, *entries, other]))
    return [str(folder / "log"), str(folder / "absent")]


@pytest.mark.parametrize("said", [NO_NODE, NO_GRES])
def test_a_gpu_that_no_node_has_names_compute_device(tmp_path, said):
    entry = LOG.format(rule="train", said=said, asked="--gpus=1", outputs="a/w.pt, a/s.h5")
    found = refused_submissions(written(tmp_path, entry))
    assert list(found) == ["a/w.pt", "a/s.h5"]
    assert len(set(found.values())) == 1
    assert found["a/w.pt"].startswith(f"SLURM refused it ({said}); ")
    assert "set compute.device to cpu, or name a partition that has one" in found["a/w.pt"]


@pytest.mark.parametrize(
    ("said", "advice"),
    [
        (NO_NODE, "no node has so much memory or so many processors"),
        ("Requested time limit is invalid (missing or exceeds some limit)", "RULE:runtime=MINUTES"),
        ("Invalid account or account/partition combination specified", "slurm_account"),
        ("invalid partition specified: nix", "slurm_partition"),
        ("something new", ""),
    ],
)
def test_of_other_refusals_what_to_change_is_named(tmp_path, said, advice):
    entry = LOG.format(rule="attend", said=said, asked="--cpus-per-task=2", outputs="a.h5")
    (line,) = refused_submissions(written(tmp_path, entry)).values()
    assert advice in line and line.startswith(f"SLURM refused it ({said})")
    assert "compute.device" not in line and "\n" not in line


def test_many_jobs_that_are_refused_alike_are_one_line(tmp_path):
    entries = [
        LOG.format(rule=rule, said=NO_GRES, asked="--gpus=1", outputs=f"{number}.h5")
        for number, rule in enumerate(["train", "train", "extract"])
    ]
    log = written(tmp_path, *entries)
    told = refusals_told(log)
    assert told.startswith("train, extract: SLURM refused it (") and told.count("\n") == 1
    assert list(refused_submissions(log)) == ["0.h5", "1.h5", "2.h5"]
    assert refusals_told(written(tmp_path)) == "" == refusals_told([])
