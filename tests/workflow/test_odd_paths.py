"""Folders and files with braces, quotes, spaces and other letters in their names, and what stands
in a configuration file that YAML would take silently.
"""

import csv
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.made_up.checkouts import CONFIG, PARTS, Checkout, copied
from tests.made_up.places import ROOT
from zslpipe.formats.index import read_index

CLASSES = ("a {b}", "it's", "c#d", "50%", "\u00e9", 'q"q', "one", "two", "three")


def checkout_in(folder: Path) -> Checkout:
    """Return a checkout in a folder."""
    folder.mkdir()
    for part in PARTS:
        copied(ROOT / part, folder / part)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf8")
    return Checkout(folder)


def write_dataset(folder: Path) -> None:
    """Write images, attributes and a list of unseen classes."""
    for row, name in enumerate(CLASSES):
        (folder / "im {x} 'y'" / name).mkdir(parents=True)
        for number in range(3):
            picture = Image.new("RGB", (8, 8), (row, number, number))
            picture.save(folder / "im {x} 'y'" / name / f"{number} {{z}}.png")
    with (folder / "att {1}.csv").open("w", newline="", encoding="utf8") as stream:
        writer = csv.writer(stream)
        writer.writerow(["class", "odd", "even"])
        for number, name in enumerate(CLASSES):
            writer.writerow([name, (number + 1) / 10, number % 2])
    (folder / "un {1}.txt").write_text("two\nthree\n", encoding="utf8")
    (folder / "w {1}.pt").touch()


def configuration(data_root: Path) -> dict:
    """Return a configuration of that dataset and of a network from its own weights."""
    return {
        "data_root": str(data_root),
        "methods": ["crafting", "eszsl"],
        "datasets": {
            "own": {
                "adapter": "folder",
                "source": {
                    "images": "im {x} 'y'",
                    "attributes": "att {1}.csv",
                    "unseen_classes": "un {1}.txt",
                },
                "extractors": ["net"],
            }
        },
        "extractors": {
            "net": {"backbone": "resnet18", "weights": "w {1}.pt", "size": 64, "grid": 2}
        },
        "crafting": {"extractor": "net"},
        "eszsl": {"extractor": "net"},
        "compute": {"device": "cpu", "extract_threads": 1},
    }


def test_odd_names_of_data_and_checkout(tmp_path: Path) -> None:
    data = tmp_path / 'd {2019} it\'s #1 50% \u00e9 "q" {a'
    checkout = checkout_in(tmp_path / 'it\'s #1 %d \u00e9 "q"')
    write_dataset(data)
    (checkout.folder / "own.yaml").write_text(
        yaml.safe_dump(configuration(data), allow_unicode=True), encoding="utf8"
    )
    planned = checkout.planned("--configfile", "own.yaml")
    assert {"index own", "extract own/net", "train_end_to_end own/crafting/default/0"} <= planned
    # For real, in a process of its own.
    checkout.snakemake("results/own/index.h5", "--cores", "1", "--configfile", "own.yaml")
    index = read_index(checkout.folder / "results" / "own" / "index.h5")
    assert set(index.class_names) == set(CLASSES)
    assert "index own" not in checkout.planned("--configfile", "own.yaml")
    (data / "att {1}.csv").touch()
    assert "index own" in checkout.planned("--configfile", "own.yaml")


def test_a_checkout_with_braces_is_refused_in_one_line(tmp_path: Path) -> None:
    said = checkout_in(tmp_path / "a {2019}").snakemake("--dry-run", fails=True)
    assert "Snakemake cannot work in a checkout with '{' in its path; rename or move" in said


MISTAKES = {
    "a: 1\n\tb: 2\n": "config.yaml, line 2: no YAML: found character",
    "a: 1\n---\nb: 2\n": "config.yaml, line 2: no YAML: but found another document",
    "- a\n": "config.yaml: holds a list; a configuration holds keys",
    "seeds: [0]\nseeds: [1]\n": "config.yaml, line 2: key 'seeds' is given a second time",
}


@pytest.mark.parametrize("text", MISTAKES)
def test_a_configuration_is_looked_at_before_snakemake_reads_it(text: str, tmp_path: Path) -> None:
    checkout = checkout_in(tmp_path / "checkout")
    (checkout.folder / "config.yaml").write_text(text, encoding="utf8")
    said = checkout.snakemake("--dry-run", fails=True)
    assert MISTAKES[text] in said
    assert "Traceback" not in said


def test_quotes_of_a_value_on_the_command_line_survive(tmp_path: Path) -> None:
    checkout = checkout_in(tmp_path / "checkout")
    (checkout.folder / "own.yaml").write_text(
        yaml.safe_dump(configuration(Path("nowhere"))), encoding="utf8"
    )
    write_dataset(tmp_path / "my data")
    said = checkout.snakemake(
        *("results/own/index.h5", "--cores", "1", "--configfile", "own.yaml"),
        *("--config", f"set=seeds=[1] data_root='{tmp_path / 'my data'}'"),
    )
    assert "Traceback" not in said
    assert (checkout.folder / "results" / "own" / "index.h5").is_file()
