"""What candidates share: no training twice, and nothing comes out otherwise than it would alone."""

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.made_up.miniature import write_miniature
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import read_index
from zslpipe.machine.interruption import InterruptedTraining
from zslpipe.runs.cached_inputs import CachedInputs
from zslpipe.runs.models import RunInputs, train_model
from zslpipe.runs.problems import Problem, classes_of, validation_problem
from zslpipe.runs.selection import choose
from zslpipe.training.batches import random_batches
from zslpipe.training.contract import Batch, Classes, TrainingData, TrainingRun
from zslpipe.training.fit import Objective, fit

torch.set_num_threads(1)
CPU = torch.device("cpu")
ALONE: dict[str, Any] = {"SCORING": (), "STAGES": {}}
SHARING: dict[str, Any] = {
    "SCORING": ("shift",),
    "STAGES": {"first": (), "second": ("second_lr", "noise"), "third": ("third_lr", "epochs")},
}


@dataclass(frozen=True)
class Config:
    width: int = 16
    first_lr: float = 0.03
    second_lr: float = 0.03
    noise: float = 0.1
    third_lr: float = 0.03
    epochs: int = 3
    shift: float = 0.0


class Staged(nn.Module):
    """Two layers, the first trained in two stages and the second in the third."""

    def __init__(self, config: Config, classes: Classes, shape: tuple[int, ...]):
        super().__init__()
        self.config = config
        self.hidden = nn.Linear(shape[0], config.width)
        self.guide = nn.Linear(config.width, classes.attributes.shape[1])
        self.output = nn.Linear(config.width, classes.attributes.shape[1])
        self.register_buffer("seen", classes.seen.clone())
        self.register_buffer("attributes", classes.attributes.clone())

    def scores(self, inputs: Tensor) -> Tensor:
        scores = self.output(self.hidden(inputs).relu()) @ self.attributes.T
        return scores - self.config.shift * self.seen


class Counter:
    """``train`` of three stages that counts the steps of each, and stops where it is told to."""

    def __init__(self) -> None:
        self.steps = {"first": 0, "second": 0, "third": 0}
        self.stop_at = -1

    def train(self, model: Staged, config: Config, data: TrainingData) -> None:
        stages = {"first": config.first_lr, "second": config.second_lr, "third": config.third_lr}
        for stage, lr in stages.items():
            self._stage(model, config, data, stage, lr)

    def _stage(
        self, model: Staged, config: Config, data: TrainingData, stage: str, lr: float
    ) -> None:
        head = model.output if stage == "third" else model.guide

        def loss(batch: Batch) -> dict[str, Tensor]:
            if sum(self.steps.values()) == self.stop_at:
                raise InterruptedTraining("here")
            self.steps[stage] += 1
            noise = config.noise * torch.randn_like(batch.inputs) if stage == "second" else 0.0
            hidden = model.hidden(batch.inputs + noise).relu()
            missing = head(hidden) - model.attributes[batch.labels]
            return {"loss": missing.square().sum(1).mean()}

        trained = head if stage == "third" else model
        optimizer = torch.optim.Adam(trained.parameters(), lr=lr)
        epochs = config.epochs if stage == "third" else 2

        def sampler(labels: Tensor, generator: torch.Generator) -> list[Tensor]:
            return random_batches(labels, generator, size=4)

        fit(model, data, sampler, Objective(loss, optimizer), epochs, stage)


@dataclass(frozen=True, eq=False)
class Given:
    problem: Problem
    inputs: RunInputs


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Given:
    paths = write_miniature(tmp_path_factory.mktemp("miniature"))
    index = read_index(paths["index"])
    problem = validation_problem(index, classes_of(index, "att", "unit", None), seed=0)
    features = CachedInputs(FeatureFile(paths["features"]), pooled=True, device=CPU)
    return Given(problem, RunInputs(index, features, CPU, "as it is"))


def run_of(folder: Path, checkpoint_seconds: float = 1e6) -> TrainingRun:
    return TrainingRun(0, CPU, folder, stamp="a", checkpoint_seconds=checkpoint_seconds)


@dataclass(eq=False)
class Outcome:
    config: Config
    chosen: dict[str, Any]
    history: list[dict[str, Any]]
    final: dict[str, Tensor]


def chosen_by(
    counter: Counter, declared: dict[str, Any], candidates: dict[str, list[Any]], given: Given,
    folder: Path, checkpoint_seconds: float = 1e6,
) -> Outcome:  # fmt: skip
    """Choose and train with what was chosen, as a run does."""
    module = SimpleNamespace(Config=Config, Model=Staged, train=counter.train, **declared)
    run = run_of(folder, checkpoint_seconds)
    config, chosen = choose(module, Config(), candidates, "H", given.problem, given.inputs, run)
    model = train_model(module, config, given.problem, given.inputs, replace(run, history=[]))
    times = ("waiting", "seconds")
    history = [{key: row[key] for key in row if key not in times} for row in run.history]
    return Outcome(config, chosen, history, model.state_dict())


def assert_same(first: Outcome, second: Outcome) -> None:
    assert first.config == second.config
    assert first.chosen == second.chosen
    assert first.history == second.history
    assert list(first.final) == list(second.final)
    for name, value in first.final.items():
        assert torch.equal(value, second.final[name]), name


# Candidates, and the trainings of each stage that they take with sharing: one more is the run's.
CASES: dict[str, tuple[dict[str, list[Any]], dict[str, int]]] = {
    "scoring": ({"shift": [0.0, 0.02, 0.1]}, {"first": 1, "second": 1, "third": 1}),
    "last stage": ({"third_lr": [0.003, 0.01, 0.03]}, {"first": 1, "second": 1, "third": 3}),
    "middle stage": ({"noise": [0.0, 0.2]}, {"first": 1, "second": 2, "third": 2}),
    "from the start": ({"first_lr": [0.01, 0.03]}, {"first": 2, "second": 2, "third": 2}),
    "shapes": ({"width": [16, 8]}, {"first": 2, "second": 2, "third": 2}),
    "all": (
        {
            "third_lr": [0.01, 0.03],
            "shift": [0.0, 0.02],
            "first_lr": [0.01, 0.03],
            "second_lr": [0.01, 0.02],
        },
        {"first": 2, "second": 4, "third": 8},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_nothing_is_trained_twice_and_all_is_as_without_sharing(given, tmp_path, name):
    candidates, expected = CASES[name]
    alone, sharing, final = Counter(), Counter(), Counter()
    first = chosen_by(alone, ALONE, candidates, given, tmp_path / "alone")
    second = chosen_by(sharing, SHARING, candidates, given, tmp_path / "sharing")
    assert_same(first, second)
    train_model(
        SimpleNamespace(Config=Config, Model=Staged, train=final.train),
        first.config, given.problem, given.inputs, run_of(tmp_path / "final"),
    )  # fmt: skip
    tried = {stage: sharing.steps[stage] - final.steps[stage] for stage in expected}
    a_stage = {"first": 2, "second": 2, "third": 3}
    batches = -(-len(given.problem.train_rows) // 4)
    assert tried == {stage: expected[stage] * a_stage[stage] * batches for stage in expected}
    combinations = 1
    for values in candidates.values():
        combinations *= len(values)
    assert alone.steps["first"] - final.steps["first"] == combinations * 2 * batches


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_an_interrupted_choice_goes_on_and_ends_the_same(given, tmp_path, share):
    candidates = {"third_lr": [0.01, 0.03], "shift": [0.0, 0.02], "first_lr": [0.01, 0.03]}
    whole, broken = Counter(), Counter()
    expected = chosen_by(whole, SHARING, candidates, given, tmp_path / "whole")
    total = sum(whole.steps.values())
    broken.stop_at = int(share * total)
    # Every step is kept: none is taken twice.
    again = partial(chosen_by, broken, SHARING, candidates, given, tmp_path / "broken", 0.0)
    with pytest.raises(InterruptedTraining):
        again()
    broken.stop_at = -1
    found = again()
    assert_same(found, expected)
    assert broken.steps == whole.steps


def test_the_figures_differ_between_candidates(given, tmp_path):
    """Or nothing above would tell one candidate from another."""
    outcome = chosen_by(Counter(), SHARING, CASES["all"][0], given, tmp_path)
    last = [row for row in outcome.history if row["stage"] == "third" and row["epoch"] == 3]
    assert len(last) == 16
    assert len({row["validation_H"] for row in last}) > 6


def test_a_model_is_trained_with_the_first_of_those_that_differ_in_scoring(given, tmp_path):
    """What is measured must not change what the training goes on with."""
    met = []

    def train(model: Staged, config: Config, data: TrainingData) -> None:
        Counter().train(model, config, data)
        met.append((config.shift, model.config.shift))

    module = SimpleNamespace(Config=Config, Model=Staged, train=train, **SHARING)
    candidates = {"shift": [0.5, 0.0]}
    choose(module, Config(), candidates, "H", given.problem, given.inputs, run_of(tmp_path))
    assert met == [(0.5, 0.5)]
