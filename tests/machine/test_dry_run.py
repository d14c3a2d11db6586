"""What Snakemake's dry run says, read as jobs."""

import pytest

from zslpipe.machine import dry_run
from zslpipe.machine.dry_run import DueJob, due_jobs, read_dry_run
from zslpipe.machine.errors import InputError

# As Snakemake 9.27 writes it.
SAID = """\
Building DAG of jobs...
Job stats:
job      count
-----  -------
train        1
all          1

[Thu Nov 26 10:49:10 2026]
rule train:
    input: results/d/index.h5, results/d/features/e.h5
    output: results/d/runs/m/v/seed1/weights.pt (update), results/d/runs/m/v/seed1/scores.h5
    jobid: 43
    benchmark: results/benchmarks/train/d/m/v/seed1.tsv
    reason: Missing output files: results/d/runs/m/v/seed1/scores.h5
    wildcards: dataset=d, run=m/v, seed=1
    threads: 2
    resources: tmpdir=/tmp, gpu=1, runtime=240, mem_mb=16000, mem=16 GB, mem_mib=15259
[Thu Nov 26 10:49:10 2026]
localrule render:
    output: results/d/index.h5, results/d/images
    jobid: 2
    reason: Missing output files: results/d/index.h5
    resources: tmpdir=/tmp
[Thu Nov 26 10:49:10 2026]
localrule all:
    input: results/d/runs/m/v/seed1/scores.h5
    jobid: 0
    reason: Input files updated by another job
    resources: tmpdir=/tmp
Job stats:
job      count
-----  -------
total        2
"""


def test_a_job_is_told_with_its_files_and_what_it_asks_for() -> None:
    train, render = read_dry_run(SAID)  # "all" makes no file
    folder = "results/d/runs/m/v/seed1"
    assert train == DueJob(
        rule="train",
        inputs=("results/d/index.h5", "results/d/features/e.h5"),
        outputs=(f"{folder}/weights.pt", f"{folder}/scores.h5"),
        wildcards={"dataset": "d", "run": "m/v", "seed": "1"},
        benchmark="results/benchmarks/train/d/m/v/seed1.tsv",
        threads=2,
        mem_mb=16000,
        gpu=1,
    )
    outputs = ("results/d/index.h5", "results/d/images")
    assert render == DueJob(rule="render", inputs=(), outputs=outputs, wildcards={})


def test_nothing_due_is_no_job() -> None:
    assert read_dry_run("Building DAG of jobs...\nNothing to be done (all there).\n") == ()


def test_what_snakemake_refuses_is_told_in_one_line(tmp_path, monkeypatch) -> None:
    (tmp_path / "Snakefile").write_text("raise ValueError('no such thing')\n")
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)
    with pytest.raises(
        InputError, match=r"plan: Snakemake refuses: ValueError.* no such thing"
    ) as told:
        due_jobs(tmp_path, [], 1)
    assert "\n" not in str(told.value)


def test_the_last_words_stand_for_an_error_without_a_name() -> None:
    assert dry_run._fault("one\ntwo\nthree\n") == "two three"
    assert dry_run._fault("") == "it says nothing"
