"""The page of all results: whole in itself, its numbers those of the files."""

import base64
import csv
import dataclasses
import re
from html.parser import HTMLParser

import h5py
import numpy as np
import pytest

from tests.made_up.figures import attention_file
from tests.made_up.paged import CONFIGURATION, NUMBERS, given
from zslpipe.formats.scores import read_scores
from zslpipe.machine.errors import InputError
from zslpipe.reports.page import given as given_module
from zslpipe.reports.page import page as page_module
from zslpipe.reports.page.animal import colour, typical_image
from zslpipe.reports.page.classes import class_accuracies, confused_classes
from zslpipe.reports.page.given import named, sorted_files
from zslpipe.reports.page.overview import overview
from zslpipe.reports.page.page import write_page
from zslpipe.reports.page.results_table import results_table
from zslpipe.reports.page.timings import timings

# Attributes by which a browser loads something.
LOADING = ("src", "srcset", "poster", "action", "data", "background", "formaction", "manifest")


class Read(HTMLParser):
    """What a page loads, links to and is about."""

    def __init__(self, text):
        super().__init__()
        self.loaded, self.links, self.ids, self.rows, self.images = [], [], [], [], []
        self.cell = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.loaded += [values[name] for name in LOADING if name in values]
        if "href" in values:
            (self.links if tag == "a" else self.loaded).append(values["href"])
        if "id" in values:
            self.ids.append(values["id"])
        if tag == "img":
            self.images.append(values)
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.cell = ["", values.get("data-order")]

    def handle_data(self, data):
        if self.cell is not None:
            self.cell[0] += data

    def handle_endtag(self, tag):
        if tag == "td":
            self.rows[-1].append(tuple(self.cell))
            self.cell = None


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return given(tmp_path_factory.mktemp("given"))


@pytest.fixture(scope="module")
def text(source, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report" / "index.html"
    write_page(source, path)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(text):
    return Read(text)


def test_nothing_is_loaded_from_elsewhere(text, read):
    assert read.loaded and all(address.startswith("data:") for address in read.loaded)
    assert all(link.startswith("#") for link in read.links)
    assert {link[1:] for link in read.links} <= set(read.ids)
    assert len(set(read.ids)) == len(read.ids)
    styles = "".join(re.findall(r"<style>(.*?)</style>", text, re.DOTALL))
    for name in ("table-style",):
        found = re.search(rf'id="{name}">([^<]*)<', text)
        styles += base64.b64decode(found[1]).decode()
    addresses = re.findall(r"url\(\s*[\"']?([^)\"']*)", styles)
    assert not [address for address in addresses if not address.startswith(("data:", "#"))]
    assert "@import" not in styles
    assert len(text) < 8e6


def test_every_picture_has_words_and_its_size(read):
    assert len(read.images) > 20
    for image in read.images:
        assert image["alt"] and int(image["width"]) > 0 and int(image["height"]) > 0


def main_rows(read):
    """Return (method, variant, rebalancing) -> texts of the main table's row."""
    rows = [row for row in read.rows if row and row[0][1] is not None]
    return {tuple(cell[0] for cell in row[:3]): row[3:] for row in rows}


def test_every_result_stands_in_the_table_with_the_numbers_of_its_seeds(read):
    rows = main_rows(read)
    assert list(rows) == list(NUMBERS)
    for result, seeds in NUMBERS.items():
        firsts, unseen, seen = np.array(seeds).T
        harmonic = 2 * unseen * seen / (unseen + seen)
        columns = (firsts, unseen, seen, harmonic, unseen * seen)
        for (shown, order), values in zip(rows[result], columns, strict=False):
            mean = 100 * sum(values) / 2
            spread = 100 * abs(values[0] - values[1]) / 2**0.5
            assert shown == f"{mean:.1f} ± {spread:.1f}"
            assert float(order) == pytest.approx(mean)


def test_what_is_rounded_twice_is_not_what_is_shown(read):
    assert main_rows(read)["dazle", "<i>odd & long</i>", "none"][1][0].startswith("60.2")


def test_printed_numbers_of_other_settings_are_grey_with_a_note(source, tmp_path):
    """As main.csv has them; an odd name stays a name."""
    (path,) = source.files["main.csv"]
    header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    for row, value, note in zip(
        rows, ("65.9", "", "1.0", ""), ("other size", "", "", ""), strict=True
    ):
        row[header.index("T1_published")] = value
        row[header.index("published_differences")] = note
    rows[1][header.index("variant")] = "NA"
    with (tmp_path / "main.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    changed = dataclasses.replace(
        source, files=source.files | {"main.csv": [tmp_path / "main.csv"]}
    )
    found = results_table(changed)
    titles = [column["title"] for column in found["columns"]]
    shown = [row[titles.index("T1 paper")] for row in found["rows"]]
    assert [(cell["text"], cell["note"]) for cell in shown] == [
        ("65.9", 1),
        ("", 0),
        ("1.0", 0),
        ("", 0),
    ]
    assert found["notes"] == ["other size"] and "U paper" not in titles
    assert [row[1]["text"] for row in found["rows"]] == ["default", "NA", "default", "default"]


def test_what_may_be_the_best_is_bold_and_numbers_have_intervals(source, tmp_path):
    (path,) = source.files["main.csv"]
    header, *rows = list(csv.reader(path.read_text(encoding="utf-8").splitlines()))
    for row, value in zip(rows, ("0.0500", "0.0499", "", "0.9000"), strict=True):
        row[header.index("T1_best_p")] = value
    rows[1][header.index("T1_low")], rows[1][header.index("T1_high")] = "40.25", "60.75"
    with (tmp_path / "main.csv").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    files = source.files | {"main.csv": [tmp_path / "main.csv"]}
    changed = dataclasses.replace(source, files=files)
    found = results_table(changed)
    place = [column["title"] for column in found["columns"]].index("T1")
    assert [row[place]["is_bold"] for row in found["rows"]] == [True, False, False, True]
    told = "95 % interval over classes: 40.2 to 60.8"
    assert [row[place]["interval"] for row in found["rows"]] == ["", told, "", ""]
    assert "Bold: what may be the best" in found["told"]
    assert "Bold" not in results_table(source)["told"]
    write_page(changed, tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert text.count('class="number best"') == 2 and f'title="{told}"' in text


def test_ranks_over_datasets_are_shown_where_there_are_any(source, text, tmp_path):
    told = "Mean ranks over datasets"
    assert told not in text
    picture = tmp_path / "ranking.webp"
    picture.write_bytes(source.files["webp"][0].read_bytes())
    files = source.files | {"webp": [*source.files["webp"], picture]}
    write_page(dataclasses.replace(source, files=files), tmp_path / "index.html")
    assert told in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_names_are_text(text):
    assert "<i>odd" not in text and "&lt;i&gt;odd &amp; long&lt;/i&gt;" in text


def test_what_was_run_is_told(text):
    for told in (
        *(
            "own split (adapter demo)",
            "2 seen (1 of them for validation), 2 unseen",
            "annotated parts: head, tail",
        ),
        *("fixed features of regions, the demo&#39;s network, 112 px", "torch 2.6.0"),
        *(
            "seeds 0, 1",
            "lr: 0.125",
            "- eszsl",
            "dazle_table2",
            "| x | 1 |",
            "| Tenth |",
            "a bound, no result",
        ),
    ):
        assert told in text, told


def test_the_same_files_and_commit_give_the_same_bytes(source, tmp_path, monkeypatch):
    written = []
    for number, commit in enumerate(("commit 1", "commit 1", "commit 2")):
        monkeypatch.setattr(page_module, "commit", lambda told=commit: told)
        write_page(source, tmp_path / f"{number}.html")
        written.append((tmp_path / f"{number}.html").read_bytes())
    assert written[0] == written[1] != written[2]
    assert written[0].replace(b"commit 1", b"commit 2") == written[2]


def test_classes_are_means_over_seeds_of_the_best_result_of_each_method(source):
    panels = class_accuracies(source, "demo")
    assert [panel["name"] for panel in panels] == ["dazle / <i>odd & long</i>", "eszsl"]
    unseen, seen = panels[0]["groups"]
    shares = {row["name"]: row["share"] for row in unseen["classes"] + seen["classes"]}
    assert shares == pytest.approx({"Sooty gull": 60.152, "d": 30.076, "a": 71, "b": 71})


def test_confusions_are_counted(source):
    """Against a count in plain loops."""
    matrix = read_scores(source.files["scores.h5"][0])
    panel = confused_classes(source, "demo")[0]
    labels, predicted = matrix.labels["test_unseen"], matrix.scores["test_unseen"].argmax(axis=1)
    rows = {row["name"]: row for row in panel["classes"]}
    for number, name in ((2, "Sooty gull"), (3, "d")):
        own = [int(predicted[row]) for row in range(len(labels)) if labels[row] == number]
        right = sum(guess == number for guess in own)
        as_seen = sum(bool(matrix.seen[guess]) for guess in own)
        assert rows[name]["right"] == pytest.approx(100 * right / len(own))
        assert rows[name]["seen"] == pytest.approx(100 * as_seen / len(own))
        left = 100 * (len(own) - right - as_seen) / len(own)
        assert rows[name]["unseen"] == pytest.approx(left)


def test_hit_rates_lie_on_their_parts(text):
    section = text.split('id="demo-animal"')[1].split("</section>")[0]
    assert re.findall(r">(\d+)</text>", section) == ["50", "10"]
    assert f'fill="{colour(50)}"' in section and f'fill="{colour(10)}"' in section
    assert "all 30 %; chance 4 %, centre 20 %" in section


def test_the_typical_image_faces_either_way_and_shows_most():
    left = np.array([[0.1, 0.5], [0.5, 0.5], [0.8, 0.5]])
    right = left * [-1, 1] + [1, 0]
    odd = np.array([[0.1, 0.0], [0.5, 0.9], [0.8, 0.1]])
    hidden = left.copy()
    hidden[1] = np.nan
    assert typical_image(np.stack([odd, hidden, left + 0.01, right])) in (2, 3)
    assert typical_image(np.stack([hidden, odd])) == 1
    between = np.full((3, 2), 0.5)
    assert typical_image(np.stack([between, left, right, left, right])) in (1, 2, 3, 4)


def test_jobs_are_summed_over_seeds(source, text):
    job = timings(source)["jobs"][0]
    assert job == {
        "rule": "train",
        "subject": "demo / dazle / variant0",
        "jobs": 2,
        "mean": 60.0,
        "total": 120.0,
        "memory": 401.0,
    }
    assert "120.0 s" in text and "401 MB" in text


def test_a_variant_that_begins_like_a_seed_is_told(source, tmp_path):
    own = tmp_path / "train" / "demo" / "dazle" / "seedless"
    own.mkdir(parents=True)
    (own / "seed0.tsv").write_text("s\tmax_rss\n1.5\t10\n")
    jobs = timings(dataclasses.replace(source, benchmarks=tmp_path))["jobs"]
    assert "demo / dazle / seedless" in [job["subject"] for job in jobs]


def test_trainings_whose_jobs_were_not_measured_tell_their_epochs(source, tmp_path):
    rows = [(job["rule"], job["subject"], job["total"]) for job in timings(source)["jobs"]]
    assert rows == [
        ("train", "demo / dazle / variant0", 120),
        ("train (epochs)", "demo / dazle / variant1", 120),
    ]
    bare = dataclasses.replace(source, benchmarks=tmp_path / "none")
    assert [job["rule"] for job in timings(bare)["jobs"]] == ["train (epochs)"] * 2
    assert timings(bare)["longest"] == 120


def test_a_study_without_pictures_maps_and_epochs_has_a_page(source, tmp_path):
    kept = ("main.csv", "metrics.json", "index.h5")
    files = {name: paths if name in kept else [] for name, paths in source.files.items()}
    folders = {"benchmarks": tmp_path / "none", "studies": tmp_path / "none"}
    bare = dataclasses.replace(source, files=files, images={}, **folders)
    write_page(bare, tmp_path / "index.html")
    found = Read((tmp_path / "index.html").read_text(encoding="utf-8"))
    assert not found.images and {link[1:] for link in found.links} <= set(found.ids)
    assert "No job was measured." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_maps_of_a_dataset_whose_images_are_not_given_are_left_out(source, tmp_path):
    write_page(dataclasses.replace(source, images={}), tmp_path / "index.html")
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert 'id="demo-curves"' in text and 'id="demo-animal"' not in text


def test_maps_are_those_of_the_dataset(source, tmp_path):
    theirs = attention_file(tmp_path / "attention.h5")
    with h5py.File(theirs, "r+") as file:
        file.attrs["dataset"] = "birds"
    own = source.pictured_of("demo", "attention.h5")
    files = source.files | {"attention.h5": [*source.files["attention.h5"], theirs]}
    both = dataclasses.replace(source, files=files)
    assert both.pictured_of("birds", "attention.h5") == [(theirs, "dazle")]
    assert both.pictured_of("demo", "attention.h5") == own and len(own) == 2
    assert [path.name for path, _ in both.pictured_of("demo", "gradcam.h5")] == ["gradcam.h5"]


def test_of_many_maps_the_first_of_each_method_are_shown(source, monkeypatch):
    assert not source.told_of_pictured and len(source.pictured) == 3
    monkeypatch.setattr(given_module, "MOST_PICTURED", 2)
    (first, *others) = source.files["attention.h5"]
    many = dataclasses.replace(
        source, files=source.files | {"attention.h5": [first, first, *others]}
    )
    assert list(many.pictured) == [first, *others, *source.files["gradcam.h5"]]
    assert "the first variant alone" in many.told_of_pictured


def test_the_head_counts_methods_once_whatever_their_datasets(source, text, tmp_path):
    assert "4 rows of 3 methods and variants ·" in text
    changed = dataclasses.replace(source)
    others = [{**entry, "dataset": "other"} for entry in source.metrics]
    changed.__dict__["metrics"] = [*source.metrics, *others]
    assert overview(changed)["kinds"] == 3 and len(overview(changed)["runs"]) == 6


@pytest.mark.parametrize(
    ("reads", "told"),
    [
        ({"input": "imported", "file": "theirs.npz"}, "imported, scores from theirs.npz"),
        (
            {
                "input": "pooled + imported",
                "backbone": "demo + none",
                "size": "112 + none",
                "file": "none + theirs.npz",
            },
            "fixed pooled features + imported, the demo's network, 112 px, scores from theirs.npz",
        ),
        ({}, ""),
    ],
)
def test_what_imported_rows_and_ensembles_read_is_told(source, reads, told):
    changed = dataclasses.replace(source)
    changed.__dict__["metrics"] = [{**source.metrics[0], "reads": reads}, *source.metrics[4:]]
    assert overview(changed)["runs"][0]["reads"] == told


def test_a_file_that_no_report_shows_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"weights\.pt: nothing that a report shows"):
        sorted_files([tmp_path / "weights.pt"])


def test_names_leave_out_what_is_as_usual():
    assert named(("dazle", "default", "none")) == "dazle"
    assert named(("dazle", "small", "oracle")) == "dazle / small / oracle"
    assert CONFIGURATION["methods"] == ["dazle", "eszsl"]
