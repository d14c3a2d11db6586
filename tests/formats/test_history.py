"""history.csv: one row an epoch, columns in the order that readers know."""

import csv

from zslpipe.formats.history import write_history


def test_history_columns_are_the_union_of_all_rows(tmp_path):
    rows = [
        {
            "phase": "train",
            "stage": "a",
            "epoch": 1,
            "step": 3,
            "loss": 1.5,
            "ce": 1.5,
            "seconds": 0.1,
        },
        {
            "phase": "train",
            "stage": "b",
            "epoch": 1,
            "step": 3,
            "loss": 2.5,
            "circle": 2.5,
            "seconds": 0.2,
        },
    ]
    write_history(rows, tmp_path / "history.csv")
    with (tmp_path / "history.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert reader.fieldnames == [
            "phase",
            "stage",
            "epoch",
            "step",
            "loss",
            "ce",
            "circle",
            "waiting",
            "seconds",
        ]
        found = list(reader)
    assert [row["ce"] for row in found] == ["1.5", ""]
    assert [row["circle"] for row in found] == ["", "2.5"]


def test_history_of_a_closed_form_is_its_header(tmp_path):
    write_history([], tmp_path / "history.csv")
    assert (tmp_path / "history.csv").read_text() == "phase,stage,epoch,step,loss,waiting,seconds\n"
