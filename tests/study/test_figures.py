"""Figures and localisations of a dataset's runs: the jobs make all that the study asks for."""

import json

from tests.made_up.configuration import given
from zslpipe.provenance import settings_hash
from zslpipe.study.study import Study


def study() -> Study:
    return Study(given())


def test_every_figure_of_a_run_is_drawn_once():
    made = study()
    drawn = [one for job in made.figures.of_datasets for one in job.figures]
    files = [file for one in drawn for file in (one.screen, one.paper)]
    assert len(files) == len(set(files)) > 0
    of_runs = {path for path in made.targets.all() if path.count(".") > 2 and "/figures/" in path}
    assert set(files) == of_runs


def test_a_job_knows_files_and_runs():
    made = study()
    for job in made.figures.of_datasets:
        for one in job.figures:
            assert set(one.files) <= set(job.files)
            if one.kind != "losses":
                assert len(one.runs) == len(one.files)
                run = made.results.run_of(one.dataset, one.path, made.runs.seeds[0])
                assert one.runs[0] == settings_hash(run)
        told = json.loads(job.told)
        assert [stem for _, stem, _, _ in told] == [one.stem for one in job.figures]


def test_localisations_are_measured_once():
    made = study()
    files = [file for job in made.localizations.of_datasets for file in job.files]
    assert sorted(files) == sorted(made.targets.localizations())
    assert len(set(files)) == len(files) > 0
    for job in made.localizations.of_datasets:
        assert len(json.loads(job.asked)) == len(job.attention)
