"""Choosing on the validation classes: what takes part, and that the best candidate is found."""

import csv
from dataclasses import dataclass, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.made_up.miniature import SEEN, VALIDATION, miniature_index, write_miniature
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.history import write_history
from zslpipe.formats.index import read_index
from zslpipe.methods import eszsl
from zslpipe.runs.cached_inputs import CachedInputs
from zslpipe.runs.models import RunInputs, score_rows
from zslpipe.runs.problems import HELD_OUT, classes_of, validation_problem, whole_problem
from zslpipe.runs.selection import choose
from zslpipe.scores.accuracy import generalized, t1
from zslpipe.training.contract import Batch, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_miniature(tmp_path_factory.mktemp("miniature"))


@pytest.fixture
def index(paths):
    return read_index(paths["index"])


@pytest.fixture
def problem(index):
    return validation_problem(index, classes_of(index, "att", "unit", None), seed=0)


@pytest.fixture
def inputs(paths):
    return CachedInputs(FeatureFile(paths["features"]), pooled=True, device=CPU)


def run_of(folder) -> TrainingRun:
    return TrainingRun(0, CPU, folder, stamp="a")


def test_no_test_image_and_no_unseen_class_takes_part(index, problem):
    rows = torch.cat([problem.train_rows, problem.test_rows]).tolist()
    assert sorted(rows) == sorted(index.splits["trainval"].tolist())
    assert len(set(rows)) == len(rows)
    seen = np.flatnonzero(SEEN)
    assert problem.classes.names == tuple(index.class_names[number] for number in seen)
    expected = torch.from_numpy(index.class_vectors("att", "unit")[seen]).float()
    assert torch.equal(problem.classes.attributes, expected)


def test_the_validation_classes_play_the_unseen_ones(index, problem):
    assert problem.classes.seen.tolist() == (~VALIDATION[SEEN]).tolist()
    names = np.array(problem.classes.names)
    for rows, labels in (
        (problem.train_rows, problem.train_labels),
        (problem.test_rows, problem.test_labels),
    ):
        assert names[labels].tolist() == [
            index.class_names[number] for number in index.labels[rows]
        ]
    assert problem.classes.seen[problem.train_labels].all()
    unseen = problem.test_rows[~problem.classes.seen[problem.test_labels]]
    assert sorted(unseen.tolist()) == sorted(index.splits["val"].tolist())
    held_out = int(problem.classes.seen[problem.test_labels].sum())
    assert held_out == round(HELD_OUT * len(index.splits["train"])) == 8


def test_the_images_set_aside_follow_the_seed(index):
    classes = classes_of(index, "att", "unit", None)
    first, same, other = (
        validation_problem(index, classes, seed).train_rows.tolist() for seed in (0, 0, 1)
    )
    assert first == same != other


def test_the_whole_problem_is_the_tables(index):
    whole = whole_problem(index, classes_of(index, "att", "none", None))
    assert whole.train_rows.tolist() == index.splits["trainval"].tolist()
    assert whole.test_rows.tolist() == [*index.splits["test_seen"], *index.splits["test_unseen"]]
    assert whole.test_labels.tolist() == index.labels[whole.test_rows].tolist()
    assert whole.classes.seen.tolist() == SEEN.tolist()
    torch.testing.assert_close(
        whole.classes.attributes, torch.from_numpy(index.semantics["att"]).float()
    )


@dataclass(frozen=True)
class Config:
    quality: float = 0.5
    shift: float = 0.0


class Planted(nn.Module):
    """Scores are right for a planted share of the images; ``shift`` moves the unseen classes'
    scores up.
    """

    def __init__(self, config: Config, classes, shape: tuple[int, ...]):
        super().__init__()
        self.config = config
        self.register_buffer("seen", classes.seen)

    def scores(self, inputs: Tensor) -> Tensor:
        labels, right = inputs[:, 0].long(), inputs[:, 1] < self.config.quality
        scores = nn.functional.one_hot(
            torch.where(right, labels, (labels + 1) % len(self.seen)), len(self.seen)
        ).float()
        return scores + self.config.shift * (~self.seen)


def labelled(problem) -> RunInputs:
    """Return inputs that give away label and rank: pictures of what a perfect method would know."""
    answers = torch.zeros(int(problem.test_rows.max()) + 1, 2)
    for number in range(len(problem.classes.names)):
        rows = problem.test_rows[problem.test_labels == number]
        answers[rows] = torch.stack(
            [torch.full((len(rows),), number), torch.arange(len(rows)) / len(rows)], dim=1
        )
    return run_inputs_of(Held(answers))


def run_inputs_of(inputs) -> RunInputs:
    return RunInputs(None, inputs, CPU, "as it is")


def planted(train=lambda model, config, data: None, config=Config) -> SimpleNamespace:
    return SimpleNamespace(Config=config, Model=Planted, train=train)


@pytest.mark.parametrize("criterion", ["T1", "H"])
def test_the_best_candidate_is_chosen(problem, tmp_path, criterion):
    candidates = {"quality": [0.2, 0.9, 0.6], "shift": [-5.0, 0.0]}
    config, chosen = choose(
        planted(), Config(), candidates, criterion, problem, labelled(problem), run_of(tmp_path)
    )
    assert config.quality == 0.9
    assert chosen["quality"] == 0.9
    # Within T1 the shift moves all classes alike: the first of equals; H needs scores that compete.
    assert config.shift == {"T1": -5.0, "H": 0.0}[criterion]
    assert chosen[f"validation_{criterion}"] > 0.8


def test_the_figure_is_that_of_the_validation_problem(problem, inputs, tmp_path):
    """ESZSL's regularisers over a grid, against every candidate trained and measured here."""
    candidates = {"feature_regulariser": [0.01, 1.0, 100.0], "class_regulariser": [0.01, 1.0]}
    labels, seen = problem.test_labels.numpy(), problem.classes.seen.numpy()
    for criterion in ("T1", "H"):
        config, chosen = choose(
            eszsl,
            eszsl.Config(),
            candidates,
            criterion,
            problem,
            run_inputs_of(inputs),
            run_of(tmp_path),
        )
        best = (-1.0, None)
        for feature in candidates["feature_regulariser"]:
            for semantic in candidates["class_regulariser"]:
                trial = eszsl.Config(feature, semantic)
                figure = eszsl_figure(trial, criterion, problem, inputs, labels, seen, tmp_path)
                if figure > best[0]:
                    best = (figure, trial)
        assert config == best[1]
        assert chosen[f"validation_{criterion}"] == pytest.approx(best[0], abs=1e-6)


def eszsl_figure(config, criterion, problem, inputs, labels, seen, folder) -> float:
    from zslpipe.training.contract import TrainingData

    model = eszsl.Model(config, problem.classes, inputs.shape)
    data = TrainingData(
        inputs, problem.train_rows, problem.train_labels, problem.classes, run_of(folder)
    )
    eszsl.train(model, config, data)
    scores = score_rows(model, inputs, problem.test_rows)
    unseen = ~seen[labels]
    return (
        generalized(scores, labels, seen)[2]
        if criterion == "H"
        else t1(scores[unseen], labels[unseen], seen)
    )


@dataclass(frozen=True)
class Epochs:
    epochs: int = 5
    quality: float = 0.0
    shift: float = 0.0
    gain: float = 0.2


class Peaking(Planted):
    """A planted model whose quality rises up to the third epoch and falls afterwards."""

    def __init__(self, config: Epochs, classes, shape: tuple[int, ...]):
        super().__init__(config, classes, shape)
        self.epoch = nn.Parameter(torch.zeros(()))

    def scores(self, inputs: Tensor) -> Tensor:
        epoch = self.epoch.item()
        quality = self.config.gain * (epoch if epoch <= 3 else 6 - epoch)
        self.config = Epochs(self.config.epochs, quality, self.config.shift, self.config.gain)
        return super().scores(inputs)


def train_epochs(model, config, data) -> None:
    for epoch in range(1, config.epochs + 1):
        with torch.no_grad():
            model.epoch.fill_(epoch)
        row = {
            "phase": data.run.phase,
            "stage": "train",
            "epoch": epoch,
            "step": 1,
            "loss": 1.0 / epoch,
            "seconds": 0.0,
        }
        data.run.history.append(row | data.run.after_epoch(model, epoch))


def test_the_best_number_of_epochs_is_chosen_and_the_trials_are_in_the_history(problem, tmp_path):
    module = SimpleNamespace(Config=Epochs, Model=Peaking, train=train_epochs)
    run = run_of(tmp_path)
    config, chosen = choose(
        module, Epochs(), {"gain": [0.1, 0.3]}, "H", problem, labelled(problem), run
    )
    assert (config.epochs, config.gain) == (3, 0.3)
    assert chosen["epochs"] == 3
    trials = [(row["phase"], row["epoch"], row["gain"]) for row in run.history]
    assert trials == [("validation", epoch, gain) for gain in (0.1, 0.3) for epoch in range(1, 6)]
    assert max(row["validation_H"] for row in run.history) == pytest.approx(
        chosen["validation_H"], abs=1e-6
    )
    write_history(run.history, tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        assert next(csv.reader(file)) == [
            "phase",
            "stage",
            "epoch",
            "step",
            "loss",
            "validation_H",
            "gain",
            "waiting",
            "seconds",
        ]


def test_without_candidates_only_the_number_of_epochs_is_chosen(problem, tmp_path):
    module = SimpleNamespace(Config=Epochs, Model=Peaking, train=train_epochs)
    config, chosen = choose(
        module, Epochs(), {}, "T1", problem, labelled(problem), run_of(tmp_path)
    )
    assert config == Epochs(epochs=3)
    assert list(chosen) == ["epochs", "validation_T1"]


def train_after_a_stage_without_figures(model, config, data) -> None:
    data.run.history.append(
        {"phase": data.run.phase, "stage": "head", "epoch": 9, "step": 1, "loss": 2.0}
    )
    train_epochs(model, config, data)


def test_a_stage_before_the_last_may_be_without_figures(problem, tmp_path):
    train = train_after_a_stage_without_figures
    module = SimpleNamespace(Config=Epochs, Model=Peaking, train=train)
    run = run_of(tmp_path)
    config, _ = choose(module, Epochs(), {"gain": [0.1, 0.3]}, "H", problem, labelled(problem), run)
    assert (config.epochs, config.gain) == (3, 0.3)
    heads = [row for row in run.history if row["stage"] == "head"]
    assert len(run.history) == 2 * 6 and len(heads) == 2
    assert not any("validation_H" in row for row in heads)


class Losing(Peaking):
    """A model of one loss: each image's label by its row, and a constant; remembers its batches."""

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        assert not self.training and not torch.is_grad_enabled()
        SHOWN.append((batch.inputs[:, 0].tolist(), batch.labels.tolist()))
        return {"label": batch.labels.float().mean(), "constant": torch.tensor(0.5)}


SHOWN: list[tuple[list[float], list[int]]] = []


@pytest.mark.parametrize("at_once", [3, 256])
def test_the_validation_loss_is_the_mean_over_held_out_images_of_seen_classes(
    problem, tmp_path, at_once
):
    """Neither images that are trained on, nor validation classes, nor, as always, test images."""
    module = SimpleNamespace(Config=Epochs, Model=Losing, train=train_epochs)
    SHOWN.clear()
    given = labelled(problem)
    given = replace(given, inputs=Held(given.inputs.values, at_once))
    run = run_of(tmp_path)
    choose(module, Epochs(), {}, "H", problem, given, run)
    seen = [problem.classes.seen[label].item() for label in problem.test_labels.tolist()]
    labels = [
        label for label, known in zip(problem.test_labels.tolist(), seen, strict=True) if known
    ]
    assert 0 < len(labels) < len(problem.test_labels)
    shown = [label for _, batch in SHOWN for label in batch]
    assert shown == labels * 5  # after each epoch
    assert [value for values, _ in SHOWN for value in values] == shown
    expected = sum(labels) / len(labels) + 0.5
    for row in run.history:
        assert row["validation_loss"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("criterion", ["T1", "H"])
def test_a_method_of_several_losses_or_none_has_no_validation_loss(problem, tmp_path, criterion):
    module = SimpleNamespace(Config=Epochs, Model=Peaking, train=train_epochs)
    run = run_of(tmp_path)
    choose(module, Epochs(), {}, criterion, problem, labelled(problem), run)
    assert run.history and not any("validation_loss" in row for row in run.history)


def test_the_training_images_of_a_trial_are_the_problems(problem, tmp_path):
    rows = []

    def train(model, config, data) -> None:
        rows.extend(data.rows.tolist())
        assert data.classes is problem.classes
        assert data.run.phase == "validation"

    choose(
        planted(train),
        Config(),
        {"quality": [0.5]},
        "H",
        problem,
        labelled(problem),
        run_of(tmp_path),
    )
    assert rows == problem.train_rows.tolist()


def test_the_miniature_has_validation_classes():
    index = miniature_index(np.random.default_rng(0))
    assert index.validation.sum() == 2
    assert not (index.validation & ~index.seen).any()
