"""H while a growing constant is taken off the scores of seen classes."""

import json

import numpy as np
import pytest

from tests.made_up.figures import is_drawn, titles
from tests.made_up.paged import metrics
from zslpipe.machine.errors import InputError
from zslpipe.reports.figures import calibration
from zslpipe.reports.figures.style import COLOURS

RESULTS = (
    ("dazle", "default", "none"),
    ("dazle", "<i>odd & long</i>", "none"),
    ("eszsl", "default", "none"),
    ("eszsl", "default", "oracle"),
)


def files(folder, *results):
    paths = []
    for number, result in enumerate(results):
        paths.append(folder / f"{number}.json")
        paths[-1].write_text(json.dumps(metrics(result, 0)))
    return paths


def test_harmonic_means_are_those_of_the_points():
    unseen, seen = np.array([0.0, 30, 50, 0]), np.array([80.0, 60, 50, 0])
    assert calibration.harmonic_means(unseen, seen) == pytest.approx([0, 40, 50, 0])
    assert len(calibration.harmonic_means(np.empty(0), np.empty(0))) == 0


def test_the_best_of_each_method_is_swept(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(calibration, "save_figure", lambda figure, _: drawn.append(figure))
    calibration.calibration_curves(files(tmp_path, *RESULTS), tmp_path / "calibration")
    (axes,) = drawn[0].axes
    dazle, dot, eszsl, other = axes.lines
    assert [line.get_color() for line in (dazle, eszsl)] == list(COLOURS[:2])
    assert np.allclose(dazle.get_xdata(), [0, 60.152, 50])
    assert np.allclose(dazle.get_ydata()[1], 2 * 60.152 * 70 / 130.152)
    assert np.allclose(dot.get_xydata(), [[60.152, 2 * 60.152 * 70 / 130.152]])
    assert np.allclose(other.get_xydata(), [[30, 40]])


def test_it_is_drawn_with_the_highest_means(tmp_path):
    found = titles(
        is_drawn(calibration.calibration_curves(files(tmp_path, *RESULTS), tmp_path / "s"))
    )
    assert "demo: calibration" in found and "H up to 64.7" in found and "H up to 40.0" in found


def test_results_of_one_dataset_are_needed(tmp_path):
    with pytest.raises(InputError, match="at least one result"):
        calibration.calibration_curves([], tmp_path / "calibration")
