"""One run: a method as configured, on one dataset, from one seed. Trains, then scores; weights and
scores are one job.
"""

import importlib
import logging
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zslpipe.formats.history import write_history
from zslpipe.formats.scores import SPLITS, ScoreMatrix, write_scores
from zslpipe.formats.units import LOGITS
from zslpipe.formats.words import read_words
from zslpipe.machine.devices import Compute
from zslpipe.machine.files import held_folder, work_folder
from zslpipe.machine.interruption import ended_by_stop
from zslpipe.machine.progress import write_progress
from zslpipe.provenance import code_hash, library_versions, settings_hash
from zslpipe.runs.ended_training import STOPPED_SCORING, keep_training, kept_training, restored
from zslpipe.runs.models import RunInputs, configured, score_rows, train_model
from zslpipe.runs.problems import Problem, classes_of, validation_problem, whole_problem
from zslpipe.runs.tracking import tracked
from zslpipe.runs.weights import save_weights
from zslpipe.training.contract import Classes, Model, TrainingRun

logger = logging.getLogger(__name__)


def _nothing() -> None:
    """Do nothing with what a training has written."""


def run_method(
    spec: Mapping[str, Any],
    seed: int,
    run_inputs: RunInputs,
    words_path: Path | None,
    output: Path,
    compute: Compute,
    finish: Callable[[], None] = _nothing,
) -> None:
    """Train and score one run; ``spec`` is a :class:`zslpipe.study.config.Run` as a dict,
    ``output`` the folder of the seed.

    Writes ``weights.pt``, ``history.csv`` and ``scores.h5``. State to resume from lies in ``.{seed
    folder}.work`` until all is written and ``finish`` has done what the job does with it; a
    training that has ended there is not trained again.
    Raises InputError for what does not fit and where another process trains the same, Interrupted
    after SIGTERM.
    """
    with held_folder(work_folder(output)):
        folder = _train_and_score(spec, seed, run_inputs, words_path, output, compute)
        finish()
        shutil.rmtree(folder, ignore_errors=True)


def _train_and_score(
    spec: Mapping[str, Any],
    seed: int,
    run_inputs: RunInputs,
    words_path: Path | None,
    output: Path,
    compute: Compute,
) -> Path:
    """Do what :func:`run_method` promises, its work folder held, and return that."""
    words, words_source = read_words(words_path)
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    config = configured(module, spec)
    classes = classes_of(run_inputs.index, spec["semantics"], spec["normalisation"], words)
    run = prepare_run(spec, seed, run_inputs, words, output, compute)
    problem = whole_problem(run_inputs.index, classes)
    ended = kept_training(run, module)
    if ended is None:
        model, config, chosen = _trained(module, config, spec, problem, run_inputs, run)
        keep_training(run, model, config, chosen)
    else:
        model = restored(ended, module, problem, run_inputs)
        config, chosen = ended.config, ended.chosen
        run.history[:] = ended.history
    with ended_by_stop(STOPPED_SCORING):
        output.mkdir(parents=True, exist_ok=True)
        described = {**spec, "seed": seed}
        save_weights(model, config, described, run_inputs.inputs.shape, output / "weights.pt")
        write_history(run.history, output / "history.csv")
        write_progress(run.folder, {"phase": "scoring"})
        matrix = score_matrix(model, run_inputs, problem, spec, seed, words_source, chosen)
        write_scores(output / "scores.h5", matrix)
    return run.folder


def _trained(
    module: ModuleType,
    config: Any,
    spec: Mapping[str, Any],
    problem: Problem,
    run_inputs: RunInputs,
    run: TrainingRun,
) -> tuple[Model, Any, Mapping[str, Any]]:
    """Return the trained model, its Config, and what of that was chosen on the validation classes;
    ``run.history`` gets the rows of all trainings.
    """
    chosen: dict[str, Any] = {}
    write_progress(run.folder, {"phase": "training"})
    if spec["selection"] == "validation":
        from zslpipe.runs.selection import choose

        validation = validation_problem(run_inputs.index, problem.classes, run.seed)
        config, chosen = choose(
            module, config, spec["choose"], spec["criterion"], validation, run_inputs, run
        )
        logger.info("chosen on the validation classes: %s", chosen)
    after_epoch = tracked(problem, run_inputs) if spec["track"] == "test" else None
    trial = replace(run, history=[], after_epoch=after_epoch)
    model = train_model(module, config, problem, run_inputs, trial)
    run.history.extend(trial.history)
    return model, config, chosen


def prepare_run(
    spec: Mapping[str, Any],
    seed: int,
    run_inputs: RunInputs,
    words: np.ndarray | None,
    output: Path,
    compute: Compute,
) -> TrainingRun:
    """Return how the training that writes ``output`` runs, with the stamp of all that its
    checkpoints depend on: settings, code, inputs and word vectors.
    """
    method = f"zslpipe.methods.{spec['method']}"
    code = code_hash(method, "zslpipe.runs.train", "zslpipe.runs.opening")
    word_bytes = "" if words is None else settings_hash(words.tolist())
    return TrainingRun(
        seed=seed,
        device=run_inputs.device,
        folder=work_folder(output),
        stamp=settings_hash([dict(spec), seed, code, run_inputs.identity, word_bytes]),
        precision=spec["precision"],
        compiled=compute.compile,
        checkpoint_seconds=compute.checkpoint_seconds,
    )


def score_matrix(
    model: Model,
    run_inputs: RunInputs,
    problem: Problem,
    spec: Mapping[str, Any],
    seed: int,
    words: str,
    chosen: Mapping[str, Any],
) -> ScoreMatrix:
    """Return the scores of a problem's training and test images against all its classes.

    Those of every method are logits, log-probabilities of its own (mlis) among them: what its
    training takes a softmax of.
    """
    unseen = ~problem.classes.seen[problem.test_labels]
    rows = _by_split(problem.train_rows, problem.test_rows, unseen)
    labels = _by_split(problem.train_labels, problem.test_labels, unseen)
    return ScoreMatrix(
        dataset=spec["dataset"],
        method=spec["method"],
        variant=spec["variant"],
        seed=seed,
        extractor=spec["extractor"],
        semantics=f"{run_inputs.index.told(spec['semantics'])} ({spec['normalisation']})",
        words=words,
        selection=_selection(spec),
        protocol=run_inputs.index.protocol,
        classes=problem.classes.names,
        seen=problem.classes.seen.numpy(),
        scores={
            split: score_rows(model, run_inputs.inputs, torch.from_numpy(part))
            for split, part in rows.items()
        },
        labels=labels,
        images=rows,
        chosen=chosen,
        reads=what_is_read(run_inputs, spec, problem.classes),
        run={**spec, "seed": seed},
        versions=library_versions(),
        unit=LOGITS,
    )


def _selection(spec: Mapping[str, Any]) -> str:
    """Return how epoch and settings were found, in words: a method that does not declare epochs has
    no last one.
    """
    if spec["selection"] == "validation":
        return "validation classes"
    module = importlib.import_module(f"zslpipe.methods.{spec['method']}")
    declared = getattr(module, "DECLARES", ())  # words of zslpipe.study.declarations
    if "untrained" in declared:
        return "nothing trained"
    return "last epoch" if "epochs" in declared else "as configured"


def what_is_read(
    run_inputs: RunInputs, spec: Mapping[str, Any], classes: Classes
) -> dict[str, str | int]:
    """Return what a run reads, as ``scores.h5`` says it: of cached features what their file says of
    the network, of images the extractor.
    """
    features = run_inputs.features
    told = dict(spec["trunk"]) if features is None else features.attributes
    # An extraction stamps its network; what has no stamp is the dataset's own.
    reads: dict[str, str | int] = {"input": spec["input"], "backbone": "stored"}
    if "backbone" in told:
        reads["backbone"] = str(told["backbone"])
        reads["weights"] = Path(str(told.get("weights", ""))).name
        reads["size"] = int(told["size"])
    if spec["input"] == "regions":
        reads["grid"] = int(run_inputs.inputs.shape[0] ** 0.5)
    if features is not None:
        reads["width"] = int(run_inputs.inputs.shape[-1])
    return {**reads, "class_vectors": classes.attributes.shape[1]}


def _by_split(trained: Tensor, tested: Tensor, unseen: Tensor) -> dict[str, np.ndarray]:
    """Return a figure of training images and one of test images, some ``unseen``, by split."""
    parts = (trained, tested[~unseen], tested[unseen])
    return {split: part.numpy() for split, part in zip(SPLITS, parts, strict=True)}
