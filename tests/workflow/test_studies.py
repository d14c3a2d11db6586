"""Studies in the workflow: dry runs on a finished checkout."""

from tests.made_up.checkouts import Checkout
from zslpipe.study.study_files import FOLDER

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
OWN = """
studies:
  own: {method: dazle, sweep: {setting: margin, values: [1.0, 2.0], plot: [H, T1]}}
  dazle_table2: {measures: [H]}
"""
SWEEP = "dazle:\n  sweep: {setting: lr, values: [0.001, 0.01]}\n"


def trained(jobs: set[str]) -> set[str]:
    """Return which runs are trained, as dataset/method/variant/seed."""
    return {job.split()[1] for job in jobs if job.startswith("train")}


def test_a_study_of_runs_that_are_there_trains_nothing(finished: Checkout) -> None:
    assert finished.planned("study_dazle_table2") == {
        "evaluate_study dazle_table2",
        "tabulate_study dazle_table2",
        "study_dazle_table2",
    }


def test_every_study_is_planned_and_what_is_there_is_not_trained(finished: Checkout) -> None:
    jobs = finished.planned("studies")
    rules = ("tabulate_study", "tabulate_sizes")
    tables = [job.split() for job in jobs if job.startswith(rules)]
    assert {name for _, name in tables} == set(NAMES)
    runs = trained(jobs)
    assert {f"demo/dazle/fixed_word_vectors/{seed}" for seed in (0, 1)} <= runs
    there = ("dazle/default", "dazle/no_calibration", "eszsl/default", "rsan/default")
    assert runs.isdisjoint(f"demo/{run}/{seed}" for run in there for seed in (0, 1))


def test_studies_of_ones_own_change_no_job_of_the_others(checkout: Checkout) -> None:
    checkout.append("config.yaml", OWN)
    checkout.replace("config.yaml", "dazle:\n", SWEEP)
    assert checkout.planned() == set()
    own = checkout.planned("study_own")
    assert trained(own) == {f"demo/dazle/margin_2_0/{seed}" for seed in (0, 1)}
    assert {"draw_study own", "tabulate_study own"} < own
    of_method = checkout.planned("study_dazle_lr")
    assert trained(of_method) == {f"demo/dazle/lr_0_01/{seed}" for seed in (0, 1)}
