"""The configuration: what a run resolves to, defaults, typed assignments, and one clear line for
every mistake.
"""

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.made_up.places import ROOT, SCHEMA
from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical
from zslpipe.study.config import apply_assignments, load, runs
from zslpipe.study.study import Plan

GIVEN = yaml.safe_load("""
methods: [dazle, eszsl]
datasets:
  creatures: {adapter: demo, extractors: [fine, coarse], words: drawn, settings_of: CUB}
  birds: {adapter: xlsa17, source: {features: res101.mat}, extractors: [own], words: drawn, methods: [eszsl]}
extractors:
  fine: {backbone: demo, size: 112, grid: 14}
  coarse: {backbone: demo, size: 112, grid: 7}
  own: {backbone: stored, size: 224, grid: 1}
  named: {backbone: resnet18, weights: IMAGENET1K_V1, size: 224, grid: 7}
words:
  drawn: {kind: random, dimension: 4}
  other: {kind: random, dimension: 5}
dazle:
  lr: 0.01
  variants:
    other_words: {words: other, lr: 0.02}
    chosen: {selection: validation, choose: {lr: [0.1, 0.2]}}
eszsl: {normalisation: minmax, semantics: original_att}
""")


def given(changes: str = "") -> dict:
    """Return the configuration above with assignments applied."""
    config = copy.deepcopy(GIVEN)
    apply_assignments(config, changes)
    return config


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
    plan = Plan(config, str(SCHEMA))
    assert "rsan/default" in plan.end_to_end_runs and "rsan/cached" in plan.light_runs


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
        Plan(config, str(SCHEMA))
    assert str(error.value).startswith(MISTAKES[changes])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no-words", "default", ""])
def test_a_variant_is_named_by_a_word_that_can_stand_in_a_path(name: str) -> None:
    config = given()
    config["dazle"]["variants"] = {name: {}}
    with pytest.raises(InputError, match=r"^config, dazle\.variants: "):
        load(config, SCHEMA)


def test_plan_names_every_file_of_the_chain() -> None:
    plan = Plan(given("seeds=[3,5] dazle.variants={}"), str(SCHEMA))
    assert plan.localizations == [
        f"results/creatures/runs/dazle/default/seed{seed}/localization.json" for seed in (3, 5)
    ]
    assert plan.score_matrices_of_first_seed("birds") == [
        "results/birds/runs/eszsl/default/seed3/scores.h5"
    ]
    assert set(plan.targets()) == {
        "results/tables/main.csv",
        "results/tables/main.md",
        "results/tables/main.tex",
        "results/figures/creatures.curves.png",
        "results/figures/birds.curves.png",
        "results/figures/creatures.confusion.png",
        "results/figures/birds.confusion.png",
        "results/tables/localization.csv",
        "results/tables/localization.md",
        "results/tables/localization.tex",
        "results/figures/creatures.dazle.default.parts.png",
        "results/creatures/inspect.png",
        "results/figures/creatures.dazle.default.losses.png",
        "results/figures/creatures.dazle.default.maps.png",
    }
    assert (plan.rendered, plan.read) == (["creatures"], ["birds"])
    assert (plan.stored_extractors, plan.computed_extractors) == (
        ["own"],
        ["fine", "coarse", "named"],
    )
    assert plan.weights_file("creatures", "coarse") == ["results/creatures/backbone.pt"]
    assert plan.weights_file("birds", "own") == []
    assert plan.weights_file("birds", "named") == []


def test_weights_files_lie_under_the_data_folder_and_the_slice_names_them_as_written() -> None:
    plan = Plan(given("extractors.named.weights=weights/x.pt data_root=/elsewhere"), str(SCHEMA))
    assert plan.weights_file("birds", "named") == ["/elsewhere/weights/x.pt"]
    assert plan.extractor("named")["weights"] == "weights/x.pt"
    assert plan.extractor("coarse")["name"] == "coarse"
    assert "weights" not in plan.extractor("coarse")


def test_an_image_folder_is_one_word_of_the_command() -> None:
    plan = Plan(given("datasets.birds.source.images='my birds/images'"), str(SCHEMA))
    assert plan.image_option("birds") == "--images 'my birds/images'"
    assert plan.image_option("creatures") == ""


def test_images_depend_on_what_lists_and_crops_them_alone() -> None:
    def images(changes: str, dataset: str = "birds") -> str:
        return canonical(Plan(given(changes), str(SCHEMA)).images(dataset))

    before = images("")
    assert before == '{"adapter":"xlsa17","source":{"features":"res101.mat"}}'
    for same in ("splits=other.mat", "seed=3", "attribute_names=x.txt", "unseen_classes=y.txt"):
        assert images(f"datasets.birds.source.{same}") == before
    for other in ("features=x.mat", "images=folder", "anchor=there", "boxes=[a.txt]"):
        assert images(f"datasets.birds.source.{other}") != before
    drawn = images("", "creatures")
    assert images("datasets.creatures.source.images_per_class=3", "creatures") != drawn
    assert images("dazle.lr=0.5", "creatures") == drawn


def test_gpus_are_asked_for_unless_the_device_is_the_cpu() -> None:
    assert [
        Plan(given(f"compute.device={device}"), str(SCHEMA)).gpu
        for device in ("auto", "cuda", "cpu")
    ] == [1, 1, 0]


def test_source_files_are_inputs_where_they_exist(tmp_path: Path) -> None:
    (tmp_path / "res101.mat").touch()
    assert Plan(given(f"data_root={tmp_path}"), str(SCHEMA)).source_files("birds") == [
        str(tmp_path / "res101.mat")
    ]
    assert Plan(given(f"data_root={tmp_path}/none"), str(SCHEMA)).source_files("birds") == []


def test_the_shipped_configuration_is_valid() -> None:
    config = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf8"))
    assert list(Plan(config, str(SCHEMA)).config["datasets"]) == ["demo"]


def test_neither_the_plan_nor_the_command_line_imports_torch() -> None:
    code = (
        "import sys, zslpipe.study.study, zslpipe.commands.cli\n"
        f"zslpipe.study.study.Plan({GIVEN!r}, {str(SCHEMA)!r}).targets()\n"
        "print(sorted({'torch', 'torchvision', 'timm', 'matplotlib', 'h5py'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
