"""What rebalancing learns from: a method's scores when it was trained for the validation classes,
and its scores of task-irrelevant images.
"""

import importlib
import shutil
from dataclasses import replace
from pathlib import Path

import torch

from zslpipe.formats.index import read_index
from zslpipe.formats.scores import IrrelevantScores, write_irrelevant, write_scores
from zslpipe.formats.texts import with_texts
from zslpipe.formats.units import LOGITS
from zslpipe.formats.words import read_words
from zslpipe.machine.devices import Compute
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.machine.interruption import ended_by_stop
from zslpipe.machine.progress import write_progress
from zslpipe.runs.ended_training import STOPPED_SCORING, keep_training, kept_training, restored
from zslpipe.runs.models import RunInputs, score_rows, train_model
from zslpipe.runs.problems import classes_of, validation_problem
from zslpipe.runs.train import prepare_run, score_matrix
from zslpipe.runs.weights import load_model, read_config, read_spec


def write_validation_scores(
    weights: Path,
    run_inputs: RunInputs,
    words_path: Path | None,
    seed: int,
    output: Path,
    compute: Compute,
) -> None:
    """Train the method with the settings of ``weights.pt`` on the validation problem and write its
    ``validation.h5``: the seen classes alone, of which the validation classes play the unseen ones.

    Resumable as a run is; raises as :func:`zslpipe.runs.train.run_method`.
    """
    with held_folder(work_folder(output)):
        _train_for_validation(weights, run_inputs, words_path, seed, output, compute)


def _train_for_validation(
    weights: Path,
    run_inputs: RunInputs,
    words_path: Path | None,
    seed: int,
    output: Path,
    compute: Compute,
) -> None:
    """Do what :func:`write_validation_scores` promises, its work folder held."""
    spec = read_spec(weights)
    words, words_source = read_words(words_path)
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    classes = classes_of(run_inputs.index, spec["semantics"], spec["normalisation"], words)
    problem = validation_problem(run_inputs.index, classes, seed)
    run = prepare_run(spec, seed, run_inputs, words, output, compute)
    run = replace(run, phase="validation")
    ended = kept_training(run, module)
    if ended is None:
        config = read_config(weights, module)
        model = train_model(module, config, problem, run_inputs, run)
        keep_training(run, model, config, {})
    else:
        model = restored(ended, module, problem, run_inputs)
    with ended_by_stop(STOPPED_SCORING):
        write_progress(run.folder, {"phase": "scoring"})
        write_scores(output, score_matrix(model, run_inputs, problem, spec, seed, words_source, {}))
    shutil.rmtree(run.folder, ignore_errors=True)


def write_irrelevant_scores(
    weights: Path,
    index_path: Path,
    run_inputs: RunInputs,
    words_path: Path | None,
    seed: int,
    output: Path,
    texts: Path | None = None,
) -> None:
    """Write ``irrelevant.h5``: the scores of all images of ``run_inputs`` (its index is the list of
    task-irrelevant images) against the classes of the dataset ``index_path``, whose vectors are of
    ``texts`` where the run's are.
    """
    words, _ = read_words(words_path)
    index = with_texts(read_index(index_path), read_spec(weights)["semantics"], texts)
    _, model, spec = load_model(weights, index, words)
    scores = score_rows(
        model.to(run_inputs.device), run_inputs.inputs, torch.arange(len(run_inputs.index.paths))
    )
    run = IrrelevantScores(
        dataset=spec["dataset"],
        method=spec["method"],
        variant=spec["variant"],
        seed=seed,
        source=run_inputs.index.dataset,
        classes=index.class_names,
        scores=scores,
        run={**spec, "seed": seed},
        unit=LOGITS,
    )
    write_irrelevant(output, run)
