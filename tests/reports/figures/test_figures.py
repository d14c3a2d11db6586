import csv
import itertools
import json

import numpy as np
import pytest
from PIL import Image

from tests.made_up.figures import attention_file, dataset, is_drawn, titles
from zslpipe.cell_centres import CellCentres
from zslpipe.formats.history import read_history
from zslpipe.formats.index import Index, write_index
from zslpipe.machine.errors import InputError
from zslpipe.maps.central_square import SIDE, load_square
from zslpipe.reports.figures import curves, losses
from zslpipe.reports.figures.attributes import attention_maps, choose_attributes, had_and_lacked
from zslpipe.reports.figures.curves import seen_unseen_curves
from zslpipe.reports.figures.losses import _terms as terms
from zslpipe.reports.figures.losses import loss_curves
from zslpipe.reports.figures.overlays import enlarged, greyed, painted, stretch
from zslpipe.reports.figures.style import COLOURS, HEAT

COLUMNS = (
    "phase",
    "stage",
    "epoch",
    "step",
    "loss",
    "cross_entropy",
    "calibration",
    "rate",
    "seconds",
)


def history(path, rows, columns=COLUMNS):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def two_phases(seed):
    first = [("train", "generator", epoch, 5, -epoch - seed, "", "", "", 1) for epoch in (1, 2)]
    return first + [
        ("train", "train", epoch, 9, 3 / epoch, 2 / epoch, 1 / epoch, "", 1) for epoch in (1, 2, 3)
    ]


def test_losses_of_all_seeds_with_phases_apart(tmp_path):
    folder = tmp_path / "results" / "demo" / "runs" / "mlis" / "default"
    paths = [history(folder / f"seed{seed}" / "history.csv", two_phases(seed)) for seed in range(3)]
    found = titles(is_drawn(loss_curves(paths, tmp_path / "losses")))
    for title in (
        "train, generator: loss",
        "train: loss",
        "train: cross entropy",
        "train: calibration",
    ):
        assert title in found
    assert "mlis / default on demo, 3 seeds" in found
    assert not [text for text in found if "generator: cross" in text or "rate" in text]


def test_a_closed_form_method_says_so(tmp_path):
    path = history(tmp_path / "history.csv", [], ("phase", "epoch", "step", "loss", "seconds"))
    screen, paper = loss_curves([path], tmp_path / "losses")
    assert screen.is_file() and "closed form: no training epochs" in titles(paper)


def test_trainings_of_several_candidates_are_told_apart(tmp_path):
    rows = [
        ("validation", "train", epoch, 5, rate / epoch, "", "", rate, 1)
        for rate in (0.1, 0.2)
        for epoch in (1, 2)
    ]
    table = read_history(history(tmp_path / "history.csv", rows))
    assert terms([table], "validation, train") == {
        "loss": [[(1, 0.1), (2, 0.05)], [(1, 0.2), (2, 0.1)]]
    }


WITH_HELD_OUT = (
    "phase",
    "stage",
    "epoch",
    "step",
    "loss",
    "cross_entropy",
    "validation_loss",
    "seconds",
)


def lines_of(axes):
    """Return the lines of a panel: style -> series of points."""
    found = {}
    for line in axes.lines:
        points = list(zip(line.get_xdata(), line.get_ydata(), strict=True))
        found.setdefault(line.get_linestyle(), []).append(points)
    return found


def test_the_loss_of_held_out_images_lies_in_the_panel_of_the_trainings(tmp_path, monkeypatch):
    """A figure of training and validation loss: two curves over the same epochs, a key to both."""
    drawn = []
    monkeypatch.setattr(losses, "save_figure", lambda figure, _: drawn.append(figure))
    rows = [
        ("validation", "train", epoch, 9, 3 / epoch, 3 / epoch, 4 / epoch, 1) for epoch in (1, 2, 4)
    ]
    rows += [("train", "train", epoch, 9, 2 / epoch, 2 / epoch, "", 1) for epoch in (1, 2)]
    paths = []
    for seed in range(2):
        paths.append(history(tmp_path / f"{seed}.csv", rows, WITH_HELD_OUT))
    for given in (paths[:1], paths):
        loss_curves(given, tmp_path / "losses")
        panels = {axes.get_title("left"): axes for axes in drawn[-1].axes if axes.axison}
        assert list(panels) == [
            "validation, train: loss",
            "validation, train: cross entropy",
            "train: loss",
            "train: cross entropy",
        ]
        both = panels.pop("validation, train: loss")
        # One a seed, and their mean.
        count = 1 if len(given) == 1 else 3
        assert lines_of(both) == {
            "-": [[(1, 3), (2, 1.5), (4, 0.75)]] * count,
            "--": [[(1, 4), (2, 2), (4, 1)]] * count,
        }
        key = [text.get_text() for text in both.get_legend().get_texts()]
        assert key == ["training", "held-out images"]
        assert all(axes.get_legend() is None for axes in panels.values())


def test_bad_histories_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        loss_curves([tmp_path / "absent.csv"], tmp_path / "losses")
    with pytest.raises(InputError, match="lacks the columns loss, phase"):
        loss_curves([history(tmp_path / "history.csv", [], ("epoch",))], tmp_path / "losses")
    with pytest.raises(InputError, match="at least one seed"):
        loss_curves([], tmp_path / "losses")
    assert not (tmp_path / "losses.webp").exists()


def metrics_file(path, **changes):
    names = (
        "dataset",
        "method",
        "variant",
        "extractor",
        "semantics",
        "words",
        "selection",
        "rebalancing",
        "protocol",
    )
    content = dict.fromkeys(names, "none") | {"dataset": "demo", "variant": "default", "seed": 0}
    content |= {
        "U": 0.4,
        "S": 0.6,
        "AUSUC": 0.371,
        "curve": {"U": [0, 0.3, 0.5, 0.7], "S": [0.8, 0.7, 0.4, 0]},
    } | changes
    path.write_text(json.dumps(content))
    return path


def test_curves_of_methods_and_variants(tmp_path):
    paths = [
        metrics_file(tmp_path / "a.json", method="dazle"),
        metrics_file(tmp_path / "b.json", method="dazle", seed=1),
    ]
    paths.append(
        metrics_file(tmp_path / "c.json", method="dazle", variant="no_calibration", AUSUC=0.123)
    )
    paths.append(
        metrics_file(
            tmp_path / "d.json", method="s_cc", rebalancing="oracle", curve={"U": [], "S": []}
        )
    )
    found = titles(is_drawn(seen_unseen_curves(paths, tmp_path / "curves")))
    assert sum(text == "dazle" for text in found) == 1  # one line for two seeds
    for text in ("s_cc / oracle", "AUSUC 37.1", "H 10", "H 70"):
        assert text in "\n".join(found), text
    for absent in ("no_calibration", "AUSUC 12.3", "H 80"):  # grey, grey, beyond the axes' corner
        assert absent not in "\n".join(found), absent


def test_the_best_of_each_method_is_named_and_coloured():
    """The largest area; an oracle is told which images are unseen and is no result."""
    areas = {
        ("a", "default", "none"): 0.3,
        ("b", "default", "none"): 0.5,
        ("a", "other", "none"): 0.4,
        ("a", "other", "oracle"): 0.9,
        ("b", "twin", "none"): 0.5,
        ("c", "default", "oracle"): 0.2,
    }
    found = {result: {"AUSUC": area} for result, area in areas.items()}
    assert curves.best_of_methods(found) == [
        ("a", "other", "none"),
        ("b", "default", "none"),
        ("c", "default", "oracle"),
    ]
    bare = {("a", "x", "none"): {}, ("a", "y", "none"): {}}
    assert curves.best_of_methods(bare) == [("a", "x", "none")]


def test_every_curve_is_drawn_and_leaders_end_on_their_own(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(curves, "save_figure", lambda figure, _: drawn.append(figure))
    paths = [
        metrics_file(tmp_path / "a.json", method="dazle"),
        metrics_file(tmp_path / "b.json", method="dazle", variant="x", AUSUC=0.1),
        metrics_file(tmp_path / "c.json", method="mlis", curve={"U": [0, 0.2], "S": [0.9, 0]}),
    ]
    seen_unseen_curves(paths, tmp_path / "curves")
    (axes,) = drawn[0].axes
    lines = [line for line in axes.lines if line.get_linewidth() >= 1]
    curved = [line for line in lines if line.get_marker() == "None" and len(line.get_xdata()) < 9]
    assert [line.get_color() for line in curved] == [curves.REST, COLOURS[0], COLOURS[1]]
    assert np.allclose(curved[0].get_xdata(), [0, 30, 50, 70])
    assert np.allclose(curved[2].get_ydata(), [90, 0])


def test_a_leader_ends_at_the_curve_s_outermost_point_of_at_least_its_height():
    curve = np.array([[0.0, 30, 50, 70], [80, 70, 40, 0]])
    assert curves.reached(curve, 45) == (30, 45)
    assert curves.reached(curve, 40) == (50, 40)
    assert curves.reached(curve, 90) == (70, 0)
    assert curves.reached(np.empty((2, 0)), 50) == (0, 0)


def test_a_training_of_one_epoch_is_told_in_numbers(tmp_path, monkeypatch):
    """No curve of one dot over ticks of fractions of an epoch."""
    drawn = []
    monkeypatch.setattr(losses, "save_figure", lambda figure, _: drawn.append(figure))
    columns = ("phase", "epoch", "step", "loss", "seconds")
    paths = []
    for seed, value in enumerate((0.25, 0.75)):
        rows = [("head", 1, 5, 3, 1), ("head", 2, 9, value, 1), ("train", 1, 5, value, 1)]
        paths.append(history(tmp_path / f"{seed}.csv", rows, columns))
    loss_curves(paths, tmp_path / "losses")
    head, train = drawn[0].axes
    assert head.get_title("left") == "head: loss" and head.axison and len(head.lines) == 3
    assert train.get_title("left") == "train: loss" and not train.axison and not train.lines
    assert [text.get_text() for text in train.texts] == ["0.25, 0.75\nafter one epoch"]
    assert head.get_position().height > 2 * train.get_position().height


def test_curves_of_two_datasets_are_refused(tmp_path):
    paths = [metrics_file(tmp_path / "a.json"), metrics_file(tmp_path / "b.json", dataset="CUB")]
    with pytest.raises(
        InputError, match=r"b\.json: curves of one dataset only, found CUB and demo"
    ):
        seen_unseen_curves(paths, tmp_path / "curves")
    with pytest.raises(InputError, match="at least one result"):
        seen_unseen_curves([], tmp_path / "curves")


@pytest.mark.slow
def test_attention_shows_names_scores_and_predictions(tmp_path):
    dataset(tmp_path)
    scores = np.array([[0.1, 0.25, 0.3, 0.4], [1, 2, 3, -4.5]])
    path = attention_file(tmp_path / "attention.h5", scores=scores)
    found = titles(
        is_drawn(attention_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "maps"), 800)
    )
    text = "\n".join(found)
    for part in (
        "dazle / default on demo",
        "true: Sooty gull",
        "predicted: the same",
        "predicted: a",
        "head blue",
    ):
        assert part in text, part
    assert "score +0.25" in text and "score -4.50" in text and "size: large" in text
    assert "score +0.10" not in text  # head red is weaker than head blue and of the same group


@pytest.mark.slow
def test_attention_without_scores_or_parts(tmp_path):
    index = dataset(tmp_path)
    bare = {name: getattr(index, name) for name in index.__dataclass_fields__}
    bare |= {"part_names": (), "part_locations": None, "attribute_parts": np.zeros((4, 0), bool)}
    write_index(Index(**bare), tmp_path / "index.h5")
    path = attention_file(tmp_path / "attention.h5")
    paper = is_drawn(attention_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "maps"), 800)
    assert "score" not in "\n".join(titles(paper))


def test_attributes_are_the_strongest_of_different_groups():
    strengths = np.array([0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    groups = ("wing", "wing", "tail", "", "", "head", "belly")
    everywhere = np.ones(7, bool)
    assert choose_attributes(strengths, groups, everywhere, 4) == [0, 2, 3, 4]
    hidden = np.array([False, True, False, False, False, True, True])
    assert choose_attributes(strengths, groups, hidden, 4) == [1, 5, 6, 2]
    assert choose_attributes(strengths, groups, hidden, 2) == [1, 5]
    strengths[:5] = -np.inf
    assert choose_attributes(strengths, groups, everywhere, 4) == [5, 6]


def test_a_class_has_what_it_is_strong_in_and_lacks_what_others_are_strong_in():
    strengths = np.array([[0.1, 0.9, 0.5], [0.5, 0.9, 0.5], [0.9, 0.3, 0.5]])
    had, lacked = had_and_lacked(strengths, 0)
    assert had == pytest.approx([-np.inf, 0.9, 0.5])
    assert lacked == pytest.approx([0.4, -np.inf, -np.inf])
    had, lacked = had_and_lacked(strengths, 2)
    assert had == pytest.approx([0.9, -np.inf, 0.5])
    assert lacked == pytest.approx([-np.inf, 0.4, -np.inf])


@pytest.mark.slow
def test_maps_of_absent_attributes_stand_beside_those_of_present_ones(tmp_path):
    """Class 2 has (3, 5, 1, 4) where the classes' means are (1.5, 2, 4, 4.25): a red and, more so,
    a blue head, no long tail and no size; class 3 has (1, 0, 9, 8): all but these colours.
    """
    dataset(tmp_path)
    scores = np.array([[0.1, 0.2, 0.3, 0.4], [1.1, 1.2, 1.3, 1.4]])
    path = attention_file(tmp_path / "attention.h5", scores=scores)
    found = titles(
        is_drawn(attention_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "maps"), 800)
    )
    assert [text for text in found if text.startswith(("has", "lacks"))] == [
        *("has, score +0.20", "lacks, score +0.30", "lacks, score +0.40"),
        *("has, score +1.30", "has, score +1.40", "lacks, score +1.20"),
    ]


@pytest.mark.slow
def test_every_image_of_the_file_is_drawn_in_its_order(tmp_path):
    dataset(tmp_path)
    path = attention_file(
        tmp_path / "attention.h5", images=(3, 2, 0), labels=(3, 2, 0), predicted=(0, 0, 0)
    )
    found = titles(
        is_drawn(attention_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "maps"), 800)
    )
    assert [text for text in found if text.startswith("true: ")] == [
        "true: d",
        "true: Sooty gull",
        "true: a",
    ]


def test_the_central_square_and_its_parts(tmp_path):
    index = dataset(tmp_path)
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, 8:52] = (
        255  # the central square of 60 x 40 is 10:50; enlarging reads two pixels beyond
    )
    Image.fromarray(pixels).save(tmp_path / "0.png")
    index.part_locations[0] = [[20 / 60, 30 / 40], [5 / 60, 0.5]]
    picture, places = load_square(index, 0, tmp_path)
    assert picture.shape == (SIDE, SIDE, 3) and picture.min() == 1.0
    assert places[0] == pytest.approx([10 / 40 * SIDE - 0.5, 30 / 40 * SIDE - 0.5])
    assert np.isnan(places[1]).all()  # cut away at the left
    assert np.isnan(load_square(index, 3, tmp_path)[1][1]).all()  # not annotated


@pytest.mark.parametrize("first", [0.5 / 7, 0.0, 0.1])
def test_a_map_is_drawn_where_its_cells_look(first):
    """At its own centre each cell has its value, between two centres it is linear, and beyond the
    outermost constant.
    """
    values, side, step = np.random.default_rng(0).random((7, 7)), 70, 1 / 7
    drawn = enlarged(values, CellCentres(first, step), side)
    places = [first + step * number for number in range(7)]
    for row in range(side):
        along = [np.interp((row + 0.5) / side, places, values[:, column]) for column in range(7)]
        for column in range(side):
            expected = np.interp((column + 0.5) / side, places, along)
            assert drawn[row, column] == pytest.approx(expected, abs=1e-12)


def test_equal_tiles_are_enlarged_as_pillow_enlarges():
    values = np.random.default_rng(0).random((7, 7)).astype(np.float32)
    large = Image.fromarray(values).resize((60, 60), Image.Resampling.BILINEAR)
    drawn = enlarged(values, CellCentres(0.5 / 7, 1 / 7), 60)
    np.testing.assert_allclose(drawn, np.asarray(large), rtol=0, atol=1e-6)


def over(picture, attention):
    return painted(picture, stretch(attention), CellCentres(0.5 / 7, 1 / 7), 1.0, HEAT)


def test_the_overlay_is_brightest_where_the_map_is():
    grey = np.full((SIDE, SIDE, 3), 0.5)
    attention = np.zeros((7, 7), np.float32)
    attention[1, 5] = 3.0
    difference = np.abs(over(grey, attention) - grey).sum(axis=2)
    row, column = np.unravel_index(difference.argmax(), difference.shape)
    assert (row // 32, column // 32) == (1, 5)
    assert difference[SIDE // 2 :].max() == 0
    assert np.array_equal(over(grey, np.full((7, 7), 0.3, np.float32)), grey)
    assert np.allclose(over(grey, 5 * attention - 2), over(grey, attention))


def test_a_greyed_picture_keeps_a_quarter_of_its_colours():
    picture = np.zeros((2, 2, 3))
    picture[0, 0] = (0.9, 0.3, 0.0)
    found = greyed(picture)
    assert found[0, 0] == pytest.approx([0.22 + 0.225, 0.22 + 0.075, 0.22])
    assert not found[1].any()


def test_bad_attention_is_refused(tmp_path):
    dataset(tmp_path)

    def draw(path):
        attention_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / "maps")

    with pytest.raises(InputError, match=r"absent\.h5: no such file"):
        draw(tmp_path / "absent.h5")
    with pytest.raises(InputError, match="it has 3 attributes"):
        draw(attention_file(tmp_path / "three.h5", attributes=3))
    with pytest.raises(InputError, match="holds no image"):
        draw(attention_file(tmp_path / "none.h5", images=(), labels=(), predicted=()))
    with pytest.raises(InputError, match="disagree"):
        draw(attention_file(tmp_path / "short.h5", labels=(2,)))
    (tmp_path / "cut.h5").write_bytes((tmp_path / "three.h5").read_bytes()[:700])
    with pytest.raises(InputError, match=r"not a readable attention\.h5"):
        draw(tmp_path / "cut.h5")
    (tmp_path / "2.png").unlink()
    with pytest.raises(
        InputError, match=r"2\.png: no such image; is .* the dataset's image folder"
    ):
        draw(attention_file(tmp_path / "good.h5"))
    assert not (tmp_path / "maps.webp").exists()


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes(tmp_path):
    dataset(tmp_path)
    path = attention_file(tmp_path / "attention.h5")
    histories = [history(tmp_path / "history.csv", two_phases(0))]
    metrics = [metrics_file(tmp_path / "a.json")]
    for folder in ("first", "second"):
        attention_maps(path, tmp_path / "index.h5", tmp_path, tmp_path / folder / "maps")
        loss_curves(histories, tmp_path / folder / "losses")
        seen_unseen_curves(metrics, tmp_path / folder / "curves")
    written = sorted((tmp_path / "first").iterdir())
    pairs = itertools.product(("curves", "losses", "maps"), ("pdf", "webp"))
    names = [".".join(pair) for pair in pairs]
    assert [file.name for file in written] == names
    for file in written:
        assert file.read_bytes() == (tmp_path / "second" / file.name).read_bytes(), file.name
