"""Imported results of a configuration: rows, files, seeds, mistakes."""

import json
from types import SimpleNamespace

import pytest
import yaml

from zslpipe.machine.errors import InputError
from zslpipe.study.study import Study

CONFIG = """\
seeds: [3, 5]
data_root: mine
methods: [eszsl]
datasets:
  creatures: {adapter: demo, extractors: [coarse], irrelevant: drawn}
  others: {adapter: demo, extractors: [coarse]}
extractors:
  coarse: {backbone: demo, size: 112, grid: 7}
irrelevant:
  drawn: {rendered: creatures}
imported:
  theirs:
    scores: {creatures: "their results/s_{seed}.npz"}
    validation: {creatures: v.csv}
    irrelevant: {creatures: "i_{seed}.h5"}
    unit: probabilities
    words: GloVe
    rebalancing: [none, discriminator]
  once:
    scores: {creatures: once.csv, others: once_too.csv}
ensembles:
  both: {of: [eszsl, theirs], rebalancing: [none, cosmo]}
  first: {of: [eszsl, once], temperature: trained}
"""


def study(changes: str = "") -> Study:
    return Study(yaml.safe_load(CONFIG) | {"set": changes})


def test_rows_and_seeds() -> None:
    made = study().results
    found = [path.removeprefix("results/").removesuffix("/metrics.json") for path in made.metrics]
    assert found == [
        "creatures/runs/eszsl/default/seed3",  # a closed form
        *("creatures/runs/theirs/default/seed3", "creatures/runs/theirs/default/seed5"),
        "creatures/runs/theirs/default/seed3/discriminator",
        "creatures/runs/theirs/default/seed5/discriminator",
        "creatures/runs/once/default/seed3",  # one file is of one seed
        *("creatures/runs/both/default/seed3", "creatures/runs/both/default/seed5"),
        *("creatures/runs/both/default/seed3/cosmo", "creatures/runs/both/default/seed5/cosmo"),
        "creatures/runs/first/default/seed3",
        *(f"others/runs/{name}/default/seed3" for name in ("eszsl", "once", "first")),
    ]
    assert [path.split("/")[3] for path in made.scores_of_first_seed("creatures")] == [
        *("eszsl", "theirs", "once")
    ]
    asked = set(study().targets.all())
    folder = "results/creatures/runs/theirs/default/seed5"
    assert asked >= {f"{folder}/{name}.h5" for name in ("scores", "validation", "irrelevant")}
    assert not any("once/default/seed5" in path for path in asked)
    # of the ensembles that it is a member of one has a seed and one has two
    assert "results/creatures/runs/eszsl/default/seed5/scores.h5" in asked
    assert "results/others/runs/eszsl/default/seed5/scores.h5" not in asked


def test_files_and_options_of_an_import() -> None:
    made = study().results.imported
    names = {"dataset": "creatures", "imported": "theirs", "seed": "5"}
    of_scores = SimpleNamespace(file="scores", **names)
    assert made.file(of_scores) == "mine/their results/s_5.npz"
    assert made.inputs(of_scores) == {"index": "results/creatures/index.h5", "source": []}
    told = '{"extractor":"","selection":"","semantics":"","words":"GloVe"}'
    options = f"--unit probabilities --called 's_{{seed}}.npz' --told '{told}'"
    assert made.options(of_scores) == options
    of_irrelevant = SimpleNamespace(file="irrelevant", **names)
    images = "results/irrelevant/drawn.h5"
    assert made.inputs(of_irrelevant, "irrelevant")["images"] == images
    assert made.options(of_irrelevant, "irrelevant").endswith(f" --irrelevant {images}")
    run = json.loads(made.asked(of_scores))
    assert (run["imported"], run["scores"], run["seed"]) == ("theirs", "s_{seed}.npz", 5)
    assert (run["validation"], run["irrelevant"]) == ("v.csv", "i_{seed}.h5")


def test_a_file_that_is_there_is_watched(tmp_path) -> None:
    (tmp_path / "once.csv").write_text("")
    made = study(f"data_root='{tmp_path}'").results.imported
    names = {"dataset": "creatures", "imported": "once", "seed": "3", "file": "scores"}
    assert made.inputs(SimpleNamespace(**names))["source"] == [f"{tmp_path}/once.csv"]
    assert str(tmp_path) not in made.asked(SimpleNamespace(**names))


def test_what_is_said_of_a_run_tells_it_from_others() -> None:
    def run(changes: str = "", seed: int = 3) -> str:
        return json.dumps(study(changes).results.run_of("creatures", "theirs/default", seed))

    different = [
        *("imported.theirs.unit=logits", "imported.theirs.words=word2vec"),
        *("imported.theirs.scores.creatures=other.npz", "imported.theirs.selection=test"),
        "datasets.creatures.source.images_per_class=9",
    ]
    found = {run(), run(seed=5), *map(run, different)}
    assert len(found) == 2 + len(different)
    assert run("imported.theirs.scores.creatures='elsewhere/s_{seed}.npz'") == run()


EXPERTS = "ensembles.two.seen=eszsl ensembles.two.unseen=theirs ensembles.two.rebalancing=[cosmo]"


def test_two_experts_are_an_ensemble_of_two_named_results() -> None:
    made = study(EXPERTS)
    wildcards = SimpleNamespace(dataset="creatures", ensemble="two", seed="3", file="validation")
    folders = [f"results/creatures/runs/{name}/default/seed3" for name in ("eszsl", "theirs")]
    files = [f"{folder}/validation.h5" for folder in folders]
    assert made.ensembles.member_files(wildcards) == {"members": files, "validation": files}
    options = f"--validation {files[0]} --validation {files[1]} --experts"
    assert made.ensembles.options(wildcards) == options
    average = SimpleNamespace(dataset="creatures", ensemble="first", seed="3")
    assert made.ensembles.options(average) == ""
    run = made.results.run_of("creatures", "two/default", 3)
    assert run["experts"] == ["eszsl/default", "theirs/default"] == list(run["members"])
    turned = study(
        EXPERTS.replace("seen=eszsl", "seen=x")
        .replace("=theirs", "=eszsl")
        .replace("=x", "=theirs")
    )
    assert turned.results.run_of("creatures", "two/default", 3)["experts"] == run["experts"][::-1]
    assert "experts" not in made.results.run_of("creatures", "both/default", 3)
    cosmo = "results/creatures/runs/two/default/seed3/cosmo/metrics.json"
    assert cosmo in made.results.metrics


MISTAKES = {
    "ensembles.two.seen=eszsl": (
        "config, ensembles.two: give either 'of', to be averaged, or the experts 'seen' and 'uns"
    ),
    "ensembles.both.seen=eszsl ensembles.both.unseen=theirs": "config, ensembles.both: give either",
    "ensembles.two.temperature=trained": "config, ensembles.two: give either 'of'",
    "ensembles.both.of=[eszsl]": "config, ensembles.both: of 1 result is no ensemble; give two",
    f"{EXPERTS} ensembles.two.order='rebalance first'": (
        "config, ensembles.two: of experts is rebalanced as a whole; leave 'order' out"
    ),
    EXPERTS.replace("cosmo", "discriminator"): (
        "config, ensembles.two: of experts has no 'discriminator'; their gate is 'cosmo'"
    ),
    "ensembles.two.seen=eszsl ensembles.two.unseen=eszsl": (
        "config, ensembles.two: 'eszsl/default' is given twice"
    ),
    "imported.eszsl.scores.creatures=x.npz": (
        "config, imported.eszsl: a method has this name; choose another"
    ),
    "imported.both.scores.creatures=x.npz": (
        "config, imported.both: an ensemble has this name; choose another"
    ),
    "imported.theirs.scores.creature=x.npz": (
        "config, imported.theirs.scores: no dataset 'creature'; did you mean 'creatures'?"
    ),
    "imported.theirs.validation.others=x.npz": (
        "config, imported.theirs.validation: 'others' is not among its scores; give scores of its "
        "test images, too"
    ),
    "imported.once.irrelevant.others=x.npz": (
        "config, imported.once.irrelevant: dataset 'others' names no set of task-irrelevant images"
        "; set datasets.others.irrelevant"
    ),
    "imported.theirs.unit=cosines": (
        "config, imported.theirs.unit: 'cosines' is none of logits, log-probabilities, probabili"
    ),
    "imported.theirs.scores=null": "config, imported.theirs.scores: ",
    "imported.theirs.file=x.npz": "config, imported.theirs: unknown key 'file'",
    "imported.once.rebalancing=[cosmo]": (
        "config, imported.once: cosmo needs validation scores of 'once' on dataset 'creatures'; "
        "give imported.once.validation.creatures"
    ),
    "imported.once.rebalancing=[calibrated_stacking]": (
        "give imported.once.validation.creatures, or a factor under rebalancing.calibrated_stacking"
    ),
    "imported.theirs.irrelevant=null": "config, imported.theirs.irrelevant",
    "imported.theirs.irrelevant={}": (
        "config, imported.theirs: discriminator needs irrelevant scores of 'theirs' on dataset "
        "'creatures'; give imported.theirs.irrelevant.creatures"
    ),
    "ensembles.first.temperature=likeliest": (
        "config, ensembles.first: temperature 'likeliest' needs validation scores of 'once' on "
        "dataset 'creatures'; give imported.once.validation.creatures, or set temperature: trained"
    ),
    "ensembles.both.of=[eszsl,their]": (
        "config, ensembles.both: no run 'their/default'; did you mean 'theirs/default'?"
    ),
}


@pytest.mark.parametrize("changes", MISTAKES)
def test_mistakes_are_named_before_any_job(changes: str) -> None:
    with pytest.raises(InputError) as error:
        study(changes)
    assert MISTAKES[changes] in str(error.value)


def test_a_factor_that_is_given_needs_no_validation_scores() -> None:
    made = study(
        "imported.once.rebalancing=[oracle,calibrated_stacking] "
        "rebalancing.calibrated_stacking.factor=0.5"
    )
    assert sum("once/default" in path for path in made.results.metrics) == 4
