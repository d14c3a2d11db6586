"""Ensembles and rebalancings of a configuration: rows, files, mistakes."""

from types import SimpleNamespace

import pytest
import yaml

from zslpipe.machine.errors import InputError
from zslpipe.study.results import Results
from zslpipe.study.study import Study

CONFIG = """\
seeds: [3, 5]
methods: [dazle, eszsl]
datasets:
  creatures: {adapter: demo, extractors: [coarse], words: drawn, irrelevant: things}
  birds:
    adapter: xlsa17
    source: {features: res101.mat, splits: s.mat, images: pictures}
    extractors: [fine]
    methods: [eszsl]
extractors:
  coarse: {backbone: demo, size: 112, grid: 7}
  fine: {backbone: resnet101, weights: IMAGENET1K_V2, size: 224, grid: 7}
words:
  drawn: {kind: random, dimension: 8}
irrelevant:
  things: {images: voc, layout: voc, drop: [bird]}
  drawn: {rendered: creatures}
dazle: {rebalancing: [none, discriminator]}
eszsl: {rebalancing: [oracle]}
ensembles:
  both: {of: [dazle, eszsl/default], rebalancing: [none, cosmo]}
rebalancing:
  calibrated_stacking: {factor: 0.5}
"""


def study(changes: str = "") -> Study:
    return Study(yaml.safe_load(CONFIG) | {"set": changes})


def results() -> Results:
    return study().results


def wildcards(**names: str) -> SimpleNamespace:
    return SimpleNamespace(**names)


def test_rows_are_runs_with_their_rebalancings_then_ensembles():
    folders = list(
        dict.fromkeys(
            path.replace("/seed3", "").replace("/seed5", "") for path in results().metrics
        )
    )
    assert folders == [
        "results/creatures/runs/dazle/default/metrics.json",
        "results/creatures/runs/dazle/default/discriminator/metrics.json",
        "results/creatures/runs/eszsl/default/oracle/metrics.json",
        "results/creatures/runs/both/default/metrics.json",
        "results/creatures/runs/both/default/cosmo/metrics.json",
        "results/birds/runs/eszsl/default/oracle/metrics.json",
    ]
    assert results().metrics[:2] == [
        f"{folders[0][:-12]}seed{seed}/metrics.json" for seed in (3, 5)
    ]
    assert results().metrics_of_first_seed("birds") == [
        "results/birds/runs/eszsl/default/seed3/oracle/metrics.json"
    ]


def test_rows_of_the_table_are_those_and_the_best_epochs_of_what_is_tracked():
    tracked = study("dazle.track=test").results
    assert tracked.metrics == results().metrics == results().tabled
    folder = "results/creatures/runs/dazle/default"
    best = [f"{folder}/seed{seed}/best_on_test.json" for seed in (3, 5)]
    assert tracked.tabled == [*tracked.metrics, *best]


def seeds_of(paths: list[str], folder: str, ending: str) -> list[int]:
    """Return the seeds of which a folder of a run has a file among ``paths``."""
    found = []
    for seed in (3, 5):
        if f"results/{folder}/seed{seed}/{ending}" in paths:
            found.append(seed)
    return found


@pytest.mark.parametrize("chosen", [False, True])
def test_a_row_in_which_no_seed_decides_anything_is_of_the_first(chosen):
    """ESZSL is a closed form; the images on which validation classes are held out are drawn."""
    changes = "eszsl.rebalancing=[none,oracle,calibrated_stacking,cosmo]"
    if chosen:
        changes += " eszsl.selection=validation eszsl.choose.class_regulariser=[1.0,2.0]"
    made = study(changes)
    rows, files = made.results.tabled, made.targets.all()
    alone = [3, 5] if chosen else [3]
    for dataset in ("creatures", "birds"):
        folder = f"{dataset}/runs/eszsl/default"
        assert seeds_of(rows, folder, "metrics.json") == alone
        assert seeds_of(rows, folder, "oracle/metrics.json") == alone
        # of a factor that is given
        assert seeds_of(rows, folder, "calibrated_stacking/metrics.json") == alone
        assert seeds_of(files, folder, "oracle/scores.h5") == alone
        for kept in ("cosmo/metrics.json", "cosmo/scores.h5", "scores.h5", "weights.pt"):
            assert seeds_of(files, folder, kept) == [3, 5], kept
    assert seeds_of(rows, "creatures/runs/dazle/default", "metrics.json") == [3, 5]
    assert seeds_of(rows, "creatures/runs/both/default", "metrics.json") == [3, 5]


def test_an_ensemble_has_its_members_from_every_seed():
    made = study("eszsl.rebalancing=[none]")
    files = made.targets.all()
    # the one on birds is behind no ensemble
    for dataset, seeds in (("creatures", [3, 5]), ("birds", [3])):
        folder = f"{dataset}/runs/eszsl/default"
        for file in ("scores.h5", "weights.pt", "history.csv"):
            assert seeds_of(files, folder, file) == seeds, file
        assert seeds_of(made.page.files, folder, "history.csv") == seeds
        assert seeds_of(made.results.tabled, folder, "metrics.json") == [3]
        evaluated = [f"results/{dataset}/.evaluated/seed{seed}.json" for seed in seeds]
        assert set(evaluated) <= set(made.evaluation.all)
    assert "results/birds/.evaluated/seed5.json" not in made.evaluation.all


def test_pictures_where_the_discriminator_is():
    pictures = [path for path in study().targets.all() if "predictions" in path]
    stem = "results/figures/creatures.dazle.default.predictions"
    assert pictures == [f"{stem}.webp", f"{stem}.pdf"]


def test_what_a_rebalancing_needs():
    folder = "results/creatures/runs/dazle/default/seed3"
    where = {"dataset": "creatures", "run": "dazle/default", "seed": "3"}
    asked = study().rebalancings
    needed = {}
    for kind in ("oracle", "cosmo", "discriminator", "calibrated_stacking"):
        needed[kind] = asked.needed(wildcards(**where, rebalancing=kind))
    both = {name: f"{folder}/{name}.h5" for name in ("validation", "irrelevant")}
    assert needed == {
        "oracle": {},
        "cosmo": {"validation": both["validation"]},
        "discriminator": both,
        "calibrated_stacking": {},  # a factor that is given is not chosen
    }
    kind = wildcards(rebalancing="calibrated_stacking")
    assert asked.settings(kind) == '{"calibrated_stacking":{"factor":0.5}}'


def test_rebalancings_of_a_run_are_made_together():
    where = wildcards(dataset="creatures", run="dazle/default", seed="3")
    found = {}
    for one in study().rebalancings.together:
        for dataset in one.datasets:
            for path in one.paths:
                assert (dataset, path) not in found
                found[dataset, path] = one.kinds
    expected = {}
    for result in results().all:
        kinds = tuple(kind for kind in result.rebalancing if kind != "none")
        if kinds:
            expected[result.dataset, result.path] = kinds
    assert found == expected and found
    one = next(one for one in study().rebalancings.together if "dazle/default" in one.paths)
    assert len(one.each("{run}/{rebalancing}/scores.h5")) == len(one.kinds)
    needed = {file for kind in one.kinds for file in results().needs(kind)}
    assert set(one.needed(where)) == needed


def test_members_of_an_ensemble():
    folders = [f"results/creatures/runs/{name}/default/seed3" for name in ("dazle", "eszsl")]
    where = {"dataset": "creatures", "ensemble": "both", "seed": "3"}
    validation = [f"{folder}/validation.h5" for folder in folders]
    for file in ("scores", "validation", "irrelevant"):
        # All three at the temperatures of the validation classes.
        assert study().ensembles.member_files(wildcards(**where, file=file)) == {
            "members": [f"{folder}/{file}.h5" for folder in folders],
            "validation": validation,
        }
    options = study().ensembles.options(wildcards(**where))
    assert options == f"--validation {validation[0]} --validation {validation[1]}"
    trained = study("ensembles.both.temperature=trained").ensembles
    found = trained.member_files(wildcards(**where, file="scores"))
    assert found == {"members": [f"{folder}/scores.h5" for folder in folders]}
    assert trained.options(wildcards(**where)) == ""


def test_an_ensemble_of_what_was_rebalanced():
    assert "both" not in results().rebalanced_first
    made = study("ensembles.both.order='rebalance first'").results
    assert "both" in made.rebalanced_first
    where = {"dataset": "creatures", "ensemble": "both", "seed": "3"}
    folders = [f"results/creatures/runs/{name}/default/seed3" for name in ("dazle", "eszsl")]
    jobs = study("ensembles.both.order='rebalance first'").ensembles
    assert jobs.rebalanced_member_files(wildcards(**where, rebalancing="cosmo")) == {
        "members": [f"{folder}/cosmo/scores.h5" for folder in folders],
        "validation": [f"{folder}/validation.h5" for folder in folders],
    }
    assert made.metrics == results().metrics  # the same rows


def test_irrelevant_images_are_the_users_or_drawn():
    made = study().datasets
    assert made.irrelevant_list("creatures") == "results/irrelevant/things.h5"
    assert made.irrelevant_settings("things") == {
        "images": "voc",
        "drop": ["bird"],
        "layout": "voc",
    }
    assert (made.irrelevant_folder("things"), made.irrelevant_pictures("things")) == ("data", [])
    assert made.irrelevant_settings("drawn") == {"images": "auxiliary"}
    assert made.irrelevant_folder("drawn") == "results/creatures"
    assert made.irrelevant_pictures("drawn") == ["results/creatures/auxiliary"]


MISTAKES = {
    "ensembles.both.of=[dazle,ezsl]": (
        "config, ensembles.both: no run 'ezsl/default'; did you mean 'eszsl/default'?"
    ),
    "ensembles.eszsl.of=[dazle,eszsl]": (
        "config, ensembles.eszsl: a method has this name; choose another"
    ),
    "ensembles.both.order=first": "config, ensembles.both.order: 'first' is none of average first,",
    "ensembles.both.temperature=warm": (
        "config, ensembles.both.temperature: 'warm' is none of likeliest, trained"
    ),
    # A method that is not listed may be tomorrow.
    "ensembles.RSAN.of=[dazle,eszsl]": "config, ensembles.RSAN: a method has this name; choose an",
    "ensembles.both.of=[dazle,dazle/default]": (
        "config, ensembles.both: 'dazle/default' is given twice"
    ),
    "datasets.creatures.methods=[dazle]": (
        "config, ensembles.both: no dataset has all of dazle/default, eszsl/default"
    ),
    "datasets.creatures.irrelevant=null": (
        "config, datasets.creatures: dazle/default with 'discriminator': set 'irrelevant' to one "
        "of: things, drawn"
    ),
    "datasets.creatures.irrelevant=drawn irrelevant.drawn.rendered=birds": (
        "config, irrelevant.drawn: 'birds' is no dataset that is drawn (adapter demo)"
    ),
    "dazle.rebalancing=[oracel]": (
        "config, dazle.rebalancing.0: 'oracel' is none of none, calibrated_stacking, "
    ),
    "irrelevant.drawn.images=voc": "config, irrelevant.drawn: give either 'images', a folder, or",
}


@pytest.mark.parametrize("changes", MISTAKES)
def test_a_mistake_is_one_clear_line(changes: str) -> None:
    with pytest.raises(InputError) as error:
        study(changes)
    assert str(error.value).startswith(MISTAKES[changes])
    assert "\n" not in str(error.value)
