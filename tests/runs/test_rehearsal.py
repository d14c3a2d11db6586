"""What a few steps tell of a whole training, by a clock that the test moves itself."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from zslpipe.formats.extents import Extent
from zslpipe.machine.devices import Compute
from zslpipe.machine.stopwatch import Taken
from zslpipe.runs import rehearsal as rehearsals
from zslpipe.runs import rehearsed_run as rehearsed_runs
from zslpipe.runs.made_up_inputs import made_up_index
from zslpipe.runs.rehearsal import rehearsed
from zslpipe.runs.rehearsed_run import RehearsedRun
from zslpipe.training.contract import Classes, TrainingData, TrainingRun
from zslpipe.training.fit import Objective
from zslpipe.training.held import Held

torch.set_num_threads(1)
EXTENT = Extent(
    images=40,
    splits={"trainval": 24, "test_seen": 6, "test_unseen": 10, "train": 16, "val": 8},
    seen=6,
    unseen=2,
    validation=2,
    attributes=5,
    vectors={"att": 5, "sentences": 9},
    told="made up",
)
A_STEP, A_GENERATOR_STEP, AN_EPOCH, A_MEASUREMENT = 2.0, 7.0, 5.0, 11.0


class Clock:
    """Seconds that the pieces of a training add; the clock of the wall runs twice as fast."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.seconds += seconds

    def now(self) -> Taken:
        return Taken(self.seconds, 2 * self.seconds)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(rehearsals, "now", clock.now)
    monkeypatch.setattr(rehearsed_runs, "now", clock.now)
    return clock


def made_up_method(clock: Clock, epochs: int, every: int = 1, images: int = 24) -> tuple:
    """Return a module whose train() calls its fit, and data: 8 images a step."""
    model = nn.Linear(3, 1)

    def loss(batch) -> dict[str, torch.Tensor]:
        clock.add(A_STEP)
        return {"a": model(batch.inputs).square().mean()}

    def generator_loss(batch) -> dict[str, torch.Tensor]:
        clock.add(A_GENERATOR_STEP)
        return {"b": model(batch.inputs).square().mean()}

    def sampler(labels, generator) -> list[torch.Tensor]:
        clock.add(AN_EPOCH)
        return list(torch.arange(len(labels)).split(8))

    losses = [Objective(loss, torch.optim.SGD(model.parameters(), 1e-3))]
    if every > 1:
        optimizer = torch.optim.SGD(model.parameters(), 1e-3)
        losses.append(Objective(generator_loss, optimizer, every=every))
    module = SimpleNamespace(fit=None)
    classes = Classes(("a",), torch.ones(1, 2), torch.ones(1, dtype=torch.bool), ("x", "y"))
    labels = torch.zeros(images, dtype=torch.long)

    def train(run: TrainingRun) -> None:
        data = TrainingData(Held(torch.ones(images, 3)), torch.arange(images), labels, classes, run)
        module.fit(model, data, sampler, losses, epochs)

    return module, train


def told(clock: Clock, module, train, run: TrainingRun) -> Taken:
    begun = clock.now()
    with rehearsed(module) as rehearsal:
        train(run)
        return clock.now() - begun + rehearsal.left


def run_in(folder, **changed) -> TrainingRun:
    return TrainingRun(0, torch.device("cpu"), folder, **changed)


def test_steps_and_epochs_are_counted_as_fit_would_take_them(clock, tmp_path) -> None:
    module, train = made_up_method(clock, epochs=7, images=80)  # 10 steps an epoch
    found = told(clock, module, train, run_in(tmp_path))
    whole = 7 * (AN_EPOCH + 10 * A_STEP)
    assert (found.core, found.wall) == (pytest.approx(whole), pytest.approx(2 * whole))


def test_an_epoch_of_few_steps_is_taken_whole(clock, tmp_path) -> None:
    module, train = made_up_method(clock, epochs=3, images=8)
    found = told(clock, module, train, run_in(tmp_path))
    assert found.core == pytest.approx(3 * (AN_EPOCH + A_STEP))


def test_a_generator_has_its_turn(clock, tmp_path) -> None:
    module, train = made_up_method(clock, epochs=2, every=5, images=160)  # 20 steps, 4 of it
    found = told(clock, module, train, run_in(tmp_path))
    assert found.core == pytest.approx(2 * (AN_EPOCH + 20 * A_STEP + 4 * A_GENERATOR_STEP))


def test_what_is_measured_after_each_epoch_counts_for_all_images(clock, tmp_path) -> None:
    module, train = made_up_method(clock, epochs=4, images=8)

    def after_epoch(model, epochs) -> dict[str, float]:
        clock.add(A_MEASUREMENT)
        return {"figure": 0.5}

    run = run_in(tmp_path, after_epoch=after_epoch)
    begun = clock.now()
    with rehearsed(module) as rehearsal:
        rehearsal.tested_share = 0.1
        train(run)
        found = clock.now() - begun + rehearsal.left
    assert found.core == pytest.approx(4 * (AN_EPOCH + A_STEP + A_MEASUREMENT / 0.1))
    assert run.history[-1]["figure"] == 0.5  # choosing reads it


def test_a_shared_stage_takes_nothing(clock, tmp_path) -> None:
    module, train = made_up_method(clock, epochs=4)
    found = told(clock, module, train, run_in(tmp_path, shared={"train": tmp_path}))
    assert found.core == 0


def test_the_method_has_its_own_fit_again(clock, tmp_path) -> None:
    module, _ = made_up_method(clock, epochs=1)
    module.fit = original = object()
    with pytest.raises(RuntimeError), rehearsed(module):
        assert module.fit is not original
        raise RuntimeError
    assert module.fit is original


def test_the_made_up_index_has_the_numbers_of_the_extent() -> None:
    index = made_up_index(EXTENT, "sentences", ["x.png", "y.png"])
    assert {name: len(rows) for name, rows in index.splits.items()} == EXTENT.splits
    assert (len(index.paths), len(index.class_names)) == (40, 8)
    assert (int(index.seen.sum()), int(index.validation.sum())) == (6, 2)
    assert index.semantics["sentences"].shape == (8, 9)
    assert index.seen[index.labels[index.splits["trainval"]]].all()
    assert not index.seen[index.labels[index.splits["test_unseen"]]].any()
    assert index.validation[index.labels[index.splits["val"]]].all()
    assert not index.validation[index.labels[index.splits["train"]]].any()


def spec_of(method: str, kind: str, settings, **changed) -> dict:
    given = {"semantics": "att", "normalisation": "unit", "precision": "float32", "trunk": None}
    chosen = {"selection": "last", "criterion": "H", "choose": {}}
    return {"method": method, "input": kind, **given, **chosen, "settings": settings, **changed}


def test_a_run_on_cached_features_is_rehearsed_with_all_that_it_has(tmp_path) -> None:
    spec = spec_of("dazle", "regions", {"epochs": 3, "batch_size": 8})
    run = RehearsedRun(spec, EXTENT, (4, 6), 3, tmp_path, (), Compute("cpu", threads=1))
    found = run.taken(validated=True)
    assert set(found) == {"train", "validate", "score", "attend", "weights", "fits"}
    assert found["fits"]
    state = run.model.state_dict().values()
    assert found["weights"] == sum(value.numel() * value.element_size() for value in state)
    assert all(found[name]["core"] > 0 for name in ("train", "validate"))


def test_a_closed_form_is_rehearsed_with_every_candidate(tmp_path, monkeypatch) -> None:
    tried = []
    spec = spec_of(
        "eszsl",
        "pooled",
        {},
        selection="validation",
        criterion="T1",
        choose={"feature_regulariser": [0.1, 1.0, 10.0]},
    )
    run = RehearsedRun(spec, EXTENT, (6,), 0, tmp_path, (), Compute("cpu", threads=1))
    original = run.module.train
    monkeypatch.setattr(run.module, "train", lambda *of: (tried.append(of[1]), original(*of)))
    found = run.taken(validated=False)
    assert [one.feature_regulariser for one in tried] == [1.0, 0.1, 1.0, 10.0]
    assert set(found) == {"train", "score", "weights", "fits"}
    assert not found["fits"]


@pytest.mark.parametrize(
    ("warming", "an_image", "expected"),
    [(0.0, 0.5, [64, 128]), (4.0, 0.1, [64, 64, 128])],
    ids=["long", "short"],
)
def test_from_images_seconds_grow_along_a_line(
    clock, tmp_path, warming: float, an_image: float, expected: list[int]
) -> None:
    spec = spec_of("eszsl", "pooled", {})
    extent = Extent(
        2000,
        {**EXTENT.splits, "trainval": 1000, "train": 900, "val": 100},
        6,
        2,
        2,
        5,
        {"att": 5},
        "",
    )
    run = RehearsedRun(spec, extent, (6,), 0, tmp_path, (), Compute("cpu", threads=1))
    run.inputs = SimpleNamespace(
        trunk=object(), inputs=run.inputs.inputs, device=torch.device("cpu")
    )
    problem = rehearsed_runs.whole_problem(run.index, run.classes)
    met = []

    def work(part, training) -> None:
        clock.add(3.0 + an_image * len(part.train_rows) + (0.0 if met else warming))
        met.append(len(part.train_rows))

    assert run._extended(work, problem).core == pytest.approx(3.0 + an_image * 1000)
    assert met == expected
