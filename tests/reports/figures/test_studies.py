"""Pictures of studies: their points are the numbers of the metrics files."""

import matplotlib.axes
import numpy as np
import pytest

from tests.made_up.runs import run, write_run
from tests.reports.tables.test_results import metrics_file
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures.bars import study_bars
from zslpipe.reports.figures.entropies import entropies, entropy_histograms
from zslpipe.reports.figures.sweeps import sweep_curves

VALUES = (0.1, 1.0)


@pytest.fixture
def drawn(monkeypatch):
    """What was drawn, as (kind, places, values, spreads)."""
    found = []
    for kind in ("errorbar", "bar"):
        original = getattr(matplotlib.axes.Axes, kind)

        def noted(self, across, values, *further, _kind=kind, _original=original, **options):
            if options.get("fmt") != "none":  # bars draw their own
                found.append((_kind, list(across), list(values), list(options["yerr"])))
            return _original(self, across, values, *further, **options)

        monkeypatch.setattr(matplotlib.axes.Axes, kind, noted)
    return found


def layout(kind, rows, **changes):
    told = {"name": "own", "kind": kind, "title": "Title", "paper": "", "place": ""}
    told |= {"measures": ["H", "U"], "rows": rows, "others": [], "panels": []}
    return told | changes


def row(variant, **changes):
    told = {"dataset": "CUB", "path": f"dazle/{variant}", "rebalancing": "none", "label": "x"}
    return told | {"group": "", "printed": "dazle/default"} | changes


def test_points_of_a_sweep(tmp_path, drawn):
    paths, rows = [], []
    for number, value in enumerate(VALUES):
        rows.append(row(f"lr_{number}", panel=0, value=value))
        for seed in (0, 1):
            changes = {"variant": f"lr_{number}", "H": 0.2 + 0.1 * number + 0.02 * seed}
            paths.append(metrics_file(tmp_path, seed, U=0.5 - 0.1 * number, **changes))
    panel = {"setting": "lr", "title": "rate", "plot": ["H", "U"], "scale": "log"}
    pictures = sweep_curves(layout("curves", rows[::-1], panels=[panel]), paths, tmp_path / "own")
    assert [path.is_file() for path in pictures] == [True, True]
    kinds, places, means, spreads = zip(*drawn, strict=True)
    assert kinds == ("errorbar", "errorbar") and places[0] == [0.1, 1.0]
    assert np.allclose(means, [[21, 31], [50, 40]])
    assert np.allclose(spreads, [[2**0.5] * 2, [0, 0]])


def test_values_that_are_no_numbers_stand_one_by_one(tmp_path, drawn):
    rows = [row("a", panel=0, value="circle"), row("b", panel=0, value="contrastive")]
    paths = [metrics_file(tmp_path, variant=name) for name in ("a", "b")]
    panel = {"setting": "metric_loss", "title": "loss", "plot": ["H"], "scale": "log"}
    sweep_curves(layout("curves", rows, panels=[panel]), paths, tmp_path / "own")
    assert drawn[0][1] == [0, 1]


def test_a_sweep_that_a_dataset_cannot_have_is_an_empty_axis(tmp_path, drawn):
    rows, paths = [row("a", panel=0, value=1.0)], [metrics_file(tmp_path, variant="a")]
    panel = {"setting": "lr", "title": "rate", "plot": ["H"], "scale": "log"}
    sweep_curves(layout("curves", rows, panels=[panel, panel]), paths, tmp_path / "own")
    assert len(drawn) == 1


def test_bars_of_groups(tmp_path, drawn):
    rows = [row("a", label="S-CC", group="one"), row("b", label="V-CC", group="one")]
    rows += [row("c", label="S-CC", group="two"), row("d", label="V-CC", group="two")]
    paths = []
    for number, name in enumerate("abcd"):
        paths.append(metrics_file(tmp_path, variant=name, H=0.1 * (1 + number)))
    study_bars(layout("bars", rows), paths, tmp_path / "own")
    assert [kind for kind, *_ in drawn] == ["bar", "bar"]
    assert np.allclose([means for _, _, means, _ in drawn], [[10, 30], [20, 40]])
    assert np.allclose([places for _, places, _, _ in drawn], [[-0.2, 0.8], [0.2, 1.2]])


def test_entropies_against_a_loop():
    scores = np.array([[0.0, 0.0, 0.0], [1.0, 2.0, 4.0]])
    expected = []
    for one in scores:
        total = sum(np.exp(value) for value in one)
        shares = [np.exp(value) / total for value in one]
        expected.append(-sum(share * np.log(share) for share in shares) / np.log(3))
    assert np.allclose(entropies(scores), expected) and expected[0] == pytest.approx(1)


def test_entropies_are_drawn_with_and_without_irrelevant_images(tmp_path, monkeypatch):
    scores, _, irrelevant = write_run(tmp_path, *run())
    seen = []
    original = matplotlib.axes.Axes.hist

    def noted(self, values, *further, **options):
        if "label" in options:
            seen.append((options["label"].split(" (")[0], len(values)))
        return original(self, values, *further, **options)

    monkeypatch.setattr(matplotlib.axes.Axes, "hist", noted)
    told = layout("entropies", [row("default", dataset="demo", path="made_up/default")])
    entropy_histograms(told, [scores, irrelevant], tmp_path / "own")
    # six seen classes of 20 and 10 images, three unseen ones of 10
    assert seen == [
        *(("training images", 120), ("test images", 60), ("test images", 30)),
        *(("mixtures", 120), ("images of no class", 30)),
    ]
    del seen[:]
    entropy_histograms(told, [scores], tmp_path / "own")
    assert [name for name, _ in seen] == ["training images", "test images", "test images"]
    with pytest.raises(InputError, match=r"no scores\.h5 given"):
        entropy_histograms(told, [irrelevant], tmp_path / "own")
