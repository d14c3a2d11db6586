"""The command predict: what it writes where, and how it ends."""

import csv
import io
import json
from pathlib import Path

import pytest
import torch

from tests.made_up.pictured import train, write_pictured
from zslpipe.commands.cli import main
from zslpipe.commands.prediction import FORMATS
from zslpipe.formats.index import read_index
from zslpipe.runs.prediction import open_predictor

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def seed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eszsl on a dataset with pictures."""
    return train(write_pictured(tmp_path_factory.mktemp("pictured")), "eszsl")


@pytest.fixture(scope="module")
def images(seed: Path) -> Path:
    return seed.parents[3] / "images"


def predict(*given: object) -> int:
    return main(["predict", *map(str, given), "--device", "cpu", "--threads", "1"])


def new_classes(seed: Path, path: Path, separator: str = ",") -> Path:
    """Write a table of two classes as a spreadsheet does."""
    names = read_index(seed.parents[3] / "index.h5").attribute_names
    rows = [["class", *names], ["newcomer", *"12345"], ["stranger", *"51000"]]
    path.write_text("\n".join(separator.join(row) for row in rows), encoding="utf8")
    return path


def test_text_goes_to_the_terminal_and_what_is_said_beside_it(seed, images, tmp_path, capsys):
    (tmp_path / "broken.png").write_text("no picture")
    assert predict(seed, images / "0.png", tmp_path / "broken.png", "--top", 2) == 0
    told = capsys.readouterr()
    found = open_predictor(seed, device="cpu").predict(images / "0.png", top=2)
    first, second = told.out.split("\n\n")
    lines = first.splitlines()
    assert lines[0] == str(images / "0.png") and len(lines) == 3
    for line, row in zip(lines[1:], found.to_dict("records"), strict=True):
        kind = "seen" if row["seen"] else "unseen"
        start = f"{row['rank']:>4}  {row['class']}  {100 * row['probability']:5.1f} %  {kind}"
        assert line.startswith(start)
        assert f"{row['attributes'][0][0]} {row['attributes'][0][1]:+.3g}" in line
    assert second.splitlines()[1].strip() == "cannot be read: no image that Pillow knows"
    said = told.err.splitlines()
    assert f"cannot be read: {tmp_path}/broken.png: no image that Pillow knows" in said
    assert said[-1] == "1 of 2 images predicted by miniature/eszsl/default seed 0"
    assert "not calibrated" in said[-2]


def test_csv_and_json_hold_the_table(seed, images, tmp_path):
    found = open_predictor(seed, device="cpu").predict(images / "1.png", top=3)
    assert predict(seed, images / "1.png", "x.png", "--top", 3, "--format", "csv",
                   "--output", tmp_path / "found.csv") == 0  # fmt: skip
    rows = list(csv.DictReader(io.StringIO((tmp_path / "found.csv").read_text("utf8"))))
    assert [row["class"] for row in rows] == [*found["class"], ""]
    assert [float(row["probability"]) for row in rows[:3]] == list(found["probability"])
    assert [row["seen"] for row in rows] == [*map(str, found["seen"]), ""]
    assert rows[3]["problem"] == "No such file or directory"
    assert predict(seed, images / "1.png", "x.png", "--top", 3, "--format", "json",
                   "--output", tmp_path / "found.json") == 0  # fmt: skip
    told = json.loads((tmp_path / "found.json").read_text("utf8"))
    assert told["run"] == "miniature/eszsl/default seed 0"
    first, second = told["images"]
    assert second == {"image": "x.png", "problem": "No such file or directory", "classes": []}
    assert [row["class"] for row in first["classes"]] == list(found["class"])
    assert first["classes"][0]["attributes"] == dict(found["attributes"][0])
    assert first["classes"][0]["probability"] == found["probability"][0]


@pytest.mark.parametrize("separator", [",", ";"])
def test_new_classes_come_from_a_spreadsheet(seed, images, tmp_path, capsys, separator):
    table = new_classes(seed, tmp_path / "new.csv", separator)
    assert predict(seed, images / "2.png", "--classes", table, "--new", "--format", "csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert {row["class"] for row in rows} == {"newcomer", "stranger"}
    assert sum(float(row["probability"]) for row in rows) == pytest.approx(1.0)


def test_groups_of_classes(seed, images, capsys):
    for option, seen in (
        ("--seen", {"True"}),
        ("--unseen", {"False"}),
        ("--all", {"True", "False"}),
    ):
        assert predict(seed, images / "2.png", option, "--top", 9, "--format", "csv") == 0
        rows = csv.DictReader(io.StringIO(capsys.readouterr().out))
        assert {row["seen"] for row in rows} == seen


@pytest.mark.parametrize("form", FORMATS)
def test_it_ends_by_1_where_no_image_can_be_read_and_writes_the_reasons(
    seed, tmp_path, capsys, caplog, form
):
    output = tmp_path / "found"
    assert predict(seed, "absent.png", "--format", form, "--output", output) == 1
    assert "none of 1 images can be read" in caplog.text
    assert "No such file or directory" in output.read_text("utf8")
    assert "cannot be read: absent.png: No such file or directory" in capsys.readouterr().err


def test_new_without_classes_is_refused(seed, images, caplog):
    assert predict(seed, images / "0.png", "--new") == 1
    assert "predict: --new needs --classes" in caplog.text


def test_a_page_has_each_picture_and_where_the_run_looks_for_its_attribute(seed, images, tmp_path):
    given = [images / "0.png", images / "1.png", "x.png"]
    dazle = train(seed.parents[3], "dazle")
    for folder, drawn in ((seed, 1), (dazle, 2)):
        output = tmp_path / "page.html"
        assert predict(folder, *given, "--format", "html", "--output", output) == 0
        text = output.read_text("utf8")
        assert text.count("<article>") == 3
        assert text.count("<img ") == 2 * drawn
        assert text.count("No such file or directory") == 1
    found = open_predictor(dazle, device="cpu").predict(given, top=1)
    for pairs in found["attributes"][:2]:
        assert f"where it looks for {pairs[0][0]}<" in text
