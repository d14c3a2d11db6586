"""The configuration: what a run resolves to, defaults, typed assignments, and one clear line for
every mistake.
"""

import copy

import pytest

from tests.made_up.configuration import GIVEN, given
from tests.made_up.places import SCHEMA
from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical
from zslpipe.study.config import apply_assignments, load, runs
from zslpipe.study.study import Study


def loaded(changes: str = "") -> dict:
    return load(given(changes), SCHEMA)


def test_runs_are_datasets_by_methods_by_variants_in_order() -> None:
    rows = [(run.dataset, run.method, run.variant, run.extractor) for run in runs(loaded())]
    assert rows == [
        ("creatures", "dazle", "default", "coarse"),
        ("creatures", "dazle", "other_words", "coarse"),
        ("creatures", "dazle", "chosen", "coarse"),
        ("creatures", "eszsl", "default", "coarse"),
        ("birds", "eszsl", "default", "own"),
    ]


def test_what_a_run_depends_on() -> None:
    run = next(runs(loaded()))
    assert run.slice == {
        "dataset": "creatures",
        "method": "dazle",
        "variant": "default",
        "input": "regions",
        "extractor": "coarse",
        "trunk": None,
        "words": "drawn",
        "semantics": "att",
        "normalisation": "unit",
        "precision": "float32",
        "selection": "last",
        "criterion": "H",
        "choose": {},
        "settings": {"lr": 0.01},
        "settings_of": "CUB",
    }


def test_variants_and_methods_change_what_the_dataset_says() -> None:
    by_name = {(run.dataset, run.method, run.variant): run for run in runs(loaded())}
    other, chosen = (
        by_name["creatures", "dazle", "other_words"],
        by_name["creatures", "dazle", "chosen"],
    )
    assert (other.words, other.settings) == ("other", {"lr": 0.02})
    assert (chosen.selection, chosen.choose, chosen.settings) == (
        "validation",
        {"lr": [0.1, 0.2]},
        {"lr": 0.01},
    )
    eszsl = by_name["birds", "eszsl", "default"]
    assert (eszsl.words, eszsl.semantics, eszsl.normalisation) == (None, "original_att", "minmax")
    assert (eszsl.settings, eszsl.settings_of) == ({}, None)


def test_another_extractor_by_name() -> None:
    config = loaded("eszsl.extractor=fine datasets.birds.methods=[]")
    assert [run.extractor for run in runs(config) if run.method == "eszsl"] == ["fine"]


def test_a_method_of_several_inputs_takes_the_first_or_the_one_named() -> None:
    config = loaded(
        "methods=[dazle,eszsl,rsan] rsan={} rsan.extractor=fine rsan.variants.cached.input=regions"
    )
    rows = {(run.dataset, run.variant): run for run in runs(config) if run.method == "rsan"}
    images, cached = rows["creatures", "default"], rows["creatures", "cached"]
    assert (images.input, images.extractor, images.trunk) == (
        "images",
        "fine",
        config["extractors"]["fine"],
    )
    assert (cached.input, cached.extractor, cached.trunk) == ("regions", "fine", None)
    study = Study(config, str(SCHEMA))
    assert "rsan/default" in study.runs.end_to_end and "rsan/cached" in study.runs.light


def test_rebalancing_is_no_part_of_what_a_run_depends_on() -> None:
    plain, changed = (next(runs(loaded(text))) for text in ("", "dazle.rebalancing=[none,oracle]"))
    assert plain.rebalancing == ("none",) and changed.rebalancing == ("none", "oracle")
    assert plain.slice == changed.slice


def test_defaults_come_from_the_schema_and_leave_the_given_alone() -> None:
    before = copy.deepcopy(GIVEN)
    config = load(GIVEN, SCHEMA)
    assert before == GIVEN
    assert config["seeds"] == [0]
    assert config["data_root"] == "data"
    assert config["compute"] == {
        "device": "auto",
        "compile": False,
        "checkpoint_seconds": 60,
        "threads": 2,
        "extract_threads": 8,
        "image_threads": 8,
    }
    assert config["datasets"]["birds"]["source"] == {"features": "res101.mat"}
    assert config["datasets"]["creatures"]["source"] == {}
    assert "weights" not in config["extractors"]["fine"]
    assert config["extractors"]["fine"]["batch_size"] == 32


def test_the_order_of_keys_is_nothing_and_a_swap_is_something() -> None:
    backwards = {key: GIVEN[key] for key in reversed(GIVEN)}
    backwards["dazle"] = {key: GIVEN["dazle"][key] for key in reversed(GIVEN["dazle"])}
    slices = {run.variant: canonical(run.slice) for run in runs(loaded()) if run.method == "dazle"}
    assert slices == {
        run.variant: canonical(run.slice)
        for run in runs(load(backwards, SCHEMA))
        if run.method == "dazle"
    }
    first = next(runs(loaded("dazle.lr=0.5 dazle.momentum=0.25")))
    swapped = next(runs(loaded("dazle.lr=0.25 dazle.momentum=0.5")))
    assert canonical(first.slice) != canonical(swapped.slice)


def test_assignments_are_typed_as_yaml_types_them() -> None:
    config: dict = {"dazle": {"lr": 1}, "kept": True}
    text = " dazle.lr=0.5  seeds=[0, 1] a.b.c=yes name='two words' other={x: 1, y: [z]} empty=null small=1.0e-4 "
    apply_assignments(config, text)
    assert config == {
        "dazle": {"lr": 0.5},
        "kept": True,
        "seeds": [0, 1],
        "a": {"b": {"c": True}},
        "name": "two words",
        "other": {"x": 1, "y": ["z"]},
        "empty": None,
        "small": 0.0001,
    }
    apply_assignments(config, "")
    assert config["seeds"] == [0, 1]


MISTAKES = {
    "methods=[dazel]": "no method 'dazel'; did you mean 'dazle'?",
    "dazel.lr=0.1": "config: unknown key 'dazel'; did you mean 'dazle'?",
    "data_rot=here": "config: unknown key 'data_rot'; did you mean 'data_root'?",
    "compute.thread=2": "config, compute: unknown key 'thread'; did you mean 'threads'?",
    "datasets.birds.word=drawn": "config, datasets.birds: unknown key 'word'; did you mean 'words'?",
    "dazle.wieght_decay=0.1": "config, dazle: unknown setting 'wieght_decay'; did you mean 'weight_decay'?",
    "dazle.variants.chosen.epoch=1": "config, dazle.variants.chosen: unknown setting 'epoch'; did you mean 'epochs'?",
    "dazle.lr=1e-4": "config, dazle.lr: '1e-4' is not of type float (YAML reads 1e-4 as text: write 1.0e-4)",
    "dazle.lr=2E5": "config, dazle.lr: '2E5' is not of type float (YAML reads 2E5 as text: write 2.0e+5)",
    "dazle.epochs=2.5": "config, dazle.epochs: 2.5 is not of type int",
    "dazle.sampler=randm": "config, dazle.sampler: 'randm' is none of random, class balanced; did you mean 'random'?",
    "dazle.epochs=true": "config, dazle.epochs: True is not of type int",
    "dazle.variants.chosen.choose.lr=[0.1,x]": "config, dazle.variants.chosen.lr: 'x' is not of type float",
    "compute.checkpoint_seconds=1e2": "config, compute.checkpoint_seconds: '1e2' is not of type 'number' (",
    "seeds=[1,1]": "config, seeds: [1, 1] has non-unique elements",
    "dazle.variants.chosen.selection=valdation": (
        "config, dazle.variants.chosen.selection: 'valdation' is not one of ['last', 'validation']"
    ),
    "dazle.variants.chosen.criterion=h": "config, dazle.variants.chosen.criterion: 'h' is not one of ['T1', 'H']",
    "eszsl.normalisation=l2": "config, eszsl.normalisation: 'l2' is not one of ['none', 'unit', 'minmax']",
    "eszsl.choose.class_regulariser=[1.0]": "config, eszsl.choose: values are only tried with 'selection: validation'",
    "eszsl.selection=validation": "config, eszsl: 'selection: validation' has nothing to choose; ",
    "datasets.creatures.words=glove": "config, datasets.creatures: method 'dazle' reads word vectors; ",
    "datasets.creatures.extractors=[coars]": "config: no extractor 'coars'; did you mean 'coarse'?",
    "datasets.creatures.extractors=[fine]": "config, dazle: dataset 'creatures' has no extractor with a 7x7 grid",
    "datasets.birds.methods=[esszl]": "config, datasets.birds.methods: 'esszl' is not among methods; did you mean",
    "extractors.named={backbone: resnet18, size: 224, grid: 7}": (
        "extractor 'named': give 'weights': a .pt file or the library's name (or random, to try things)"
    ),
    "datasets.birds.adapter=xlsa": "config, datasets.birds: no adapter 'xlsa'; did you mean 'xlsa17'?",
    "datasets.birds.extractors=[coarse]": "config, datasets.birds: extractor 'coarse' needs images; ",
    "seeds.first=1": "--config set=\"seeds.first=...\": 'seeds' is a value, not a section",
    "dazle.lr=": "--config set=\"...\": cannot read 'dazle.lr='; write name.key=value, separated by spaces",
    "seeds=[1": "--config set=\"...\": '[1' is not a value in YAML; ",
}


@pytest.mark.parametrize("changes", MISTAKES)
def test_a_mistake_is_one_clear_line(changes: str) -> None:
    config = GIVEN | {"seeds": [0], "set": changes}
    with pytest.raises(InputError) as error:
        Study(config, str(SCHEMA))
    assert str(error.value).startswith(MISTAKES[changes])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no-words", "default", ""])
def test_a_variant_is_named_by_a_word_that_can_stand_in_a_path(name: str) -> None:
    config = given()
    config["dazle"]["variants"] = {name: {}}
    with pytest.raises(InputError, match=r"^config, dazle\.variants: "):
        load(config, SCHEMA)
