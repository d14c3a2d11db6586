"""Studies: what a file says becomes these rows, whose runs stand beside the configuration's own."""

import json
import re
from types import SimpleNamespace

import pytest
import yaml

from tests.made_up.configuration import given
from tests.made_up.places import ROOT
from zslpipe.formats.figures import FIGURE_SUFFIXES
from zslpipe.machine.errors import InputError
from zslpipe.reports.tables.published import is_at, papers, rows_of
from zslpipe.study.study import Study
from zslpipe.study.study_files import FOLDER

OWN = """
own:
  kind: table
  method: dazle
  rows:
    - {label: as it is}
    - {label: wordier, variant: other_words}
    - {label: no calibration, variant: plain, settings: {calibration_weight: 0.0}}
    - {label: the same again, variant: another, settings: {calibration_weight: 0.0}}
    - {label: both, variant: pair, of: [default, plain]}
curve:
  method: dazle
  sweep:
    setting: lr
    values: [0.01, 0.02]
    lines:
      - {label: plain}
      - {label: no margin, variant: marginless, settings: {margin: 0.0}}
"""


def study(changes: str = "", own: str = OWN) -> Study:
    config = given(changes)
    config["studies"] = yaml.safe_load(own)
    return Study(config)


def paths(made: Study, name: str) -> list[tuple[str, str]]:
    return [(entry.dataset, entry.path) for entry in made.studies.entries[name]]


def test_rows_against_a_list_by_hand() -> None:
    made = study()
    # birds have ESZSL alone; lr 0.01 is as configured
    assert paths(made, "own") == [
        ("creatures", "dazle/default"),
        ("creatures", "dazle/other_words"),
        ("creatures", "dazle/plain"),
        ("creatures", "dazle/plain"),
        ("creatures", "pair/default"),
    ]
    assert made.results.members("pair") == ["dazle/default", "dazle/plain"]
    assert paths(made, "curve") == [
        ("creatures", "dazle/default"),
        ("creatures", "dazle/lr_0_02"),
        ("creatures", "dazle/marginless_lr_0_01"),
        ("creatures", "dazle/marginless_lr_0_02"),
    ]
    run = made.runs.named("creatures", "dazle", "marginless_lr_0_02")
    assert (run.settings["lr"], run.settings["margin"]) == (0.02, 0.0)
    assert made.runs.named("creatures", "dazle", "plain").settings["lr"] == 0.01


def test_what_a_study_leaves_and_reads() -> None:
    made = study("seeds=[3,5]")
    stem = "results/studies"
    assert made.studies.made("own") == [f"{stem}/own.{suffix}" for suffix in ("csv", "md", "tex")]
    assert made.studies.made("curve") == [
        f"{stem}/curve.{suffix}" for suffix in ("csv", "md", "tex", *FIGURE_SUFFIXES)
    ]
    run = "results/creatures/runs"
    assert list(made.studies.measured("own")) == [
        f"{run}/{path}/seed{seed}/metrics.json"
        for path in ("dazle/default", "dazle/other_words", "dazle/plain", "pair/default")
        for seed in (3, 5)
    ]


def test_a_run_keeps_its_name_and_another_one_gets_a_name_of_its_own() -> None:
    own = {"own": {"kind": "table", "method": "dazle"}}
    own["own"]["rows"] = [{"label": "x", "variant": "other_words", "settings": {"lr": 0.5}}]
    made = study(own=yaml.safe_dump(own))
    ((_, path),) = paths(made, "own")
    assert path.startswith("dazle/other_words_") and len(path) == len("dazle/other_words_") + 6
    changed = made.runs.named("creatures", "dazle", path.split("/")[1])
    assert (changed.settings["lr"], changed.words) == (0.5, "other")
    assert made.runs.named("creatures", "dazle", "other_words").settings["lr"] == 0.02


def test_studies_change_nothing_of_the_configuration() -> None:
    plain, more = Study(given()), study()
    assert plain.targets.all() == more.targets.all()
    assert plain.results.rows == more.results.rows
    assert plain.runs.all == more.runs.all
    assert plain.runs.notes == more.runs.notes
    assert list(plain.config["ensembles"]) == list(more.config["ensembles"]) == []
    wildcards = SimpleNamespace(dataset="creatures", run="dazle/default", seed="0")
    for asker in ("run", "inputs", "options"):
        asked = [getattr(one.runs, asker)(wildcards) for one in (plain, more)]
        assert asked[0] == asked[1]


def test_what_a_dataset_cannot_have_is_told_in_one_line() -> None:
    made = study()
    assert made.studies.notes["own"] == ["birds: datasets.birds.methods leaves dazle out"]
    layout = json.loads(made.studies.layout(SimpleNamespace(study="own")))
    assert layout["notes"] == [f"Not run: {made.studies.notes['own'][0]}"]
    own = "{own: {kind: bars, method: dazle, rows: [{label: x, backbone: alexnet}]}}"
    without = study(own=own)
    assert (
        "creatures: no extractor with backbone alexnet is configured"
        in (without.studies.notes["own"])
    )
    # without any row there is a table that says why, and no picture
    assert len(without.studies.made("own")) == 3


def test_printed_rows_of_others_keep_the_papers_order() -> None:
    layout = json.loads(study().studies.layout(SimpleNamespace(study="dazle_table2")))
    labels = [label for label, _ in layout["others"]]
    assert labels[:3] == ["EZSL", "SYNC", "DeViSE"] and labels[-1] == "CADA-VAE"


def test_figures_that_are_drawn_anyway_and_those_that_there_are_not() -> None:
    own = "{own: {kind: figures, method: dazle, figures: [maps], rows: [{label: x}]}}"
    made = study(own=own)
    figures = [
        f"results/figures/creatures.dazle.default.maps.{suffix}" for suffix in FIGURE_SUFFIXES
    ]
    assert made.studies.figures("own") == figures
    assert made.studies.made("own")[3:] == figures
    own = "{own: {kind: figures, method: eszsl, figures: [maps], rows: [{label: x}]}}"
    assert study(own=own).studies.notes["own"] == [
        f"{dataset}: no maps of eszsl/default: no images, or no maps of attributes"
        for dataset in ("creatures", "birds")
    ]


def test_a_datasets_figure_is_no_figure_of_a_run_that_it_does_not_show() -> None:
    rows = "[{label: x}, {label: y, variant: faster, settings: {lr: 0.5}}]"
    own = f"{{own: {{kind: figures, method: dazle, figures: [curves, confusion], rows: {rows}}}}}"
    made = study(own=own)
    assert [note.split(":")[1] for note in made.studies.notes["own"][:2]] == [
        *(" no curves of dazle/faster", " no confusion of dazle/faster"),
    ]
    assert len(made.studies.figures("own")) == 4


def test_a_sweep_in_a_methods_section_is_a_study() -> None:
    config = given()
    config["dazle"]["sweep"] = {"setting": "margin", "values": [0.0, 2.0], "plot": ["H", "T1"]}
    made = Study(config)
    assert paths(made, "dazle_margin") == [
        ("creatures", "dazle/margin_0_0"),
        ("creatures", "dazle/margin_2_0"),
    ]
    assert Study(given()).targets.all() == made.targets.all()


def test_two_sweeps_of_one_setting_are_two_axes() -> None:
    config = given()
    sweep = {"setting": "margin", "values": [0.0], "plot": ["H"]}
    config["dazle"]["sweep"] = [sweep, sweep | {"values": [2.0], "plot": ["U"]}]
    made = Study(config)
    assert [one.plot for one in made.studies.all["dazle_margin"].sweep] == [("H",), ("U",)]


def test_other_values_on_a_dataset() -> None:
    own = yaml.safe_load(OWN)
    own["curve"]["sweep"] |= {"lines": [], "values_on": {"CUB": [0.3]}}
    assert paths(study(own=yaml.safe_dump(own)), "curve") == [("creatures", "dazle/lr_0_3")]


@pytest.mark.parametrize("name", ["pair", "eszsl"])
def test_an_ensemble_of_a_study_takes_no_name_that_something_else_has(name: str) -> None:
    config = given()
    config["imported"] = {"pair": {"scores": {"creatures": "scores.npz"}, "unit": "logits"}}
    config["studies"] = yaml.safe_load(OWN.replace("variant: pair", f"variant: {name}"))
    made = Study(config)
    (ensemble,) = made.results.ensembles.keys() - {"vs_cc"}
    assert re.fullmatch(rf"{name}_[0-9a-f]{{6}}", ensemble)
    assert made.results.run_of("creatures", "pair/default", 0)["imported"] == "pair"


def test_no_point_of_a_curve_stands_beside_a_number_of_the_method_as_configured() -> None:
    made = study()
    for entry in made.studies.entries["curve"] + made.studies.entries["dazle_figure4"]:
        assert rows_of(*entry.row.printed.split("/")) == []


def test_what_needs_task_irrelevant_images_is_asked_for_where_there_are_some() -> None:
    config = given("methods=[crafting] crafting={} crafting.input=pooled")
    del config["datasets"]["birds"]
    assert not _irrelevant_files(Study(config))
    config["irrelevant"] = {"others": {"rendered": "creatures"}}
    config["datasets"]["creatures"]["irrelevant"] = "others"
    assert _irrelevant_files(Study(config))
    # features that are stored have none of such images
    config["extractors"]["own"] = {"backbone": "stored", "size": 224, "grid": 1}
    config["crafting"]["extractor"] = "own"
    assert not _irrelevant_files(Study(config))


def _irrelevant_files(made: Study) -> list[str]:
    """Return the files of crafting's figures 5 and 6 that task-irrelevant images are behind."""
    files = made.studies.made("crafting_figure6")
    files += made.studies.drawn_from(SimpleNamespace(study="crafting_figure5"))
    return [file for file in files if "irrelevant" in file or "predictions" in file]


WRONG = {
    "{own: {kind: tabel}}": "config, studies.own.kind: 'tabel' is none of",
    "{own: {kind: table, rows: [{label: x}]}}": "config, studies.own, row 'x': no method",
    "{own: {methode: dazle}}": "config, studies.own: unknown key 'methode'; did you mean 'method'",
    "{own: {method: dazzle, sweep: {setting: lr, values: [1.0]}}}": "no method 'dazzle'",
    "{own: {method: dazle, sweep: {setting: lrr, values: [1.0]}}}": (
        "config, studies.own.sweep: unknown setting 'lrr'; did you mean 'lr'?"
    ),
    "{own: {method: dazle, settings: {epoch: 1}, sweep: {setting: lr, values: [1.0]}}}": (
        "config, studies.own, row 'dazle': unknown setting 'epoch'; did you mean 'epochs'?"
    ),
    "{own: {method: dazle}}": "config, studies.own: a study of kind 'curves' needs 'sweep'",
    "{own: {kind: table, method: dazle, rows: [{label: x, of: [plane]}]}}": (
        "config, studies.own, row 'x': no row of variant 'plane'"
    ),
    "{own: {kind: bars, method: dazle, rows: [{label: x}, {label: y, of: [default]}]}}": (
        "config, studies.own, row 'y': of one row is no ensemble; give two or more in 'of'"
    ),
    "{own: {kind: table, method: dazle, rows: [{label: x, printed: dazle}]}}": (
        "config, studies.own, row 'x': printed 'dazle' is no method/variant"
    ),
}


@pytest.mark.parametrize("own", WRONG)
def test_a_wrong_study_is_told_in_one_line(own: str) -> None:
    with pytest.raises(InputError) as error:
        study(own=own)
    assert WRONG[own] in str(error.value) and "\n" not in str(error.value)


SHIPPED = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_study_names_what_is_printed(name: str) -> None:
    shipped = Study(given()).studies.all[name]
    known = {content["paper"] for content in papers().values()}
    assert shipped.paper in known and shipped.place and shipped.title
    datasets = set()
    for row in shipped.rows:
        method, variant = (row.printed or f"{row.method or shipped.method}/{row.variant}").split(
            "/"
        )
        printed = [one for one in rows_of(method, variant) if is_at(one, shipped.place)]
        datasets |= {one["dataset"] for one in printed}
    assert datasets <= set(shipped.datasets), "printed for more datasets than it says"


def test_the_documentation_lists_every_study_with_its_title() -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf8")
    listed = re.findall(r"^\| `(\w+)` \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    studies = Study(given()).studies.all
    assert {name: title for name, title, _ in listed} == {
        name: studies[name].title for name in SHIPPED
    }


def test_every_curve_in_the_documentation_can_be_read() -> None:
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf8")
    blocks = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        config = given()
        for name, section in yaml.safe_load(block).items():
            config.setdefault(name, {}).update(section)
        made = Study(config).studies
        (name,) = re.findall(r"-- study_(\w+)", block)
        assert made.entries[name] and made.drawn.count(name) == 1
