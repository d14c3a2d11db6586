"""The configuration: what a run resolves to, defaults, typed assignments, and one clear line for
every mistake.
"""

import copy
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.made_up.configuration import GIVEN, given
from zslpipe.machine.errors import InputError
from zslpipe.provenance import canonical, settings_hash
from zslpipe.study.assignments import apply_assignments
from zslpipe.study.config import load, runs
from zslpipe.study.declarations import read_method
from zslpipe.study.extractors import FEATURES_VERSION
from zslpipe.study.paths import PATHS
from zslpipe.study.section_types import TAKEN
from zslpipe.study.study import Study

# The settings that DAZLE publishes for CUB.
DAZLE = asdict(read_method("dazle").published["CUB"])


def loaded(changes: str = "") -> dict:
    return load(given(changes))


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
    made_of = settings_hash(loaded()["datasets"]["creatures"]["source"])
    assert run.slice == {
        "dataset": "creatures",
        "method": "dazle",
        "variant": "default",
        "input": "regions",
        "extractor": "coarse",
        "trunk": None,
        "cache": {"name": "coarse", "backbone": "demo", "size": 112, "grid": 7}
        | {"features_version": FEATURES_VERSION},
        "index": {"dataset": "creatures", "adapter": "demo", "made_of": made_of},
        "words": "drawn",
        "semantics": "att",
        "normalisation": "unit",
        "precision": "float32",
        "selection": "last",
        "criterion": "H",
        "choose": {},
        "track": "none",
        "settings": DAZLE | {"lr": 0.01},
    }


def test_tracking_a_variant_changes_its_slice_alone() -> None:
    before, after = (
        {run.variant: run.slice for run in runs(loaded(text)) if run.method == "dazle"}
        for text in ("", "dazle.variants.other_words.track=test")
    )
    assert after["other_words"] == before["other_words"] | {"track": "test"}
    assert after | {"other_words": None} == before | {"other_words": None}


def test_variants_and_methods_change_what_the_dataset_says() -> None:
    on_birds = "datasets.creatures.methods=[dazle] eszsl.semantics=original_att"
    by_name = {(run.dataset, run.method, run.variant): run for run in runs(loaded(on_birds))}
    other, chosen = (
        by_name["creatures", "dazle", "other_words"],
        by_name["creatures", "dazle", "chosen"],
    )
    assert (other.words, other.settings) == ("other", DAZLE | {"lr": 0.02})
    assert (chosen.selection, chosen.choose) == ("validation", {"lr": [0.1, 0.2]})
    assert chosen.settings == DAZLE | {"lr": 0.01}
    eszsl = by_name["birds", "eszsl", "default"]
    assert (eszsl.words, eszsl.semantics, eszsl.normalisation) == (None, "original_att", "minmax")
    assert eszsl.settings == {"feature_regulariser": 1.0, "class_regulariser": 1.0}


def test_another_extractor_by_name() -> None:
    config = loaded("eszsl.extractor=fine datasets.birds.methods=[]")
    assert [run.extractor for run in runs(config) if run.method == "eszsl"] == ["fine"]


def test_a_method_of_several_inputs_takes_the_first_or_the_one_named() -> None:
    config = loaded(
        "methods=[dazle,eszsl,rsan] rsan.extractor=fine rsan.variants.cached.input=regions"
    )
    rows = {(run.dataset, run.variant): run for run in runs(config) if run.method == "rsan"}
    images, cached = rows["creatures", "default"], rows["creatures", "cached"]
    assert (images.input, images.extractor, images.trunk) == (
        "images",
        "fine",
        {"backbone": "demo", "size": 112, "grid": 14},
    )
    assert (cached.input, cached.extractor, cached.trunk) == ("regions", "fine", None)
    study = Study(config)
    assert "rsan/default" in study.runs.end_to_end and "rsan/cached" in study.runs.light


def test_one_vector_for_the_whole_image_is_for_methods_without_regions() -> None:
    network = "backbone: alexnet, layer: classifier.5, weights: random"
    vector = f"extractors.vector={{{network}, size: 224, grid: 1}} datasets.birds.methods=[]"
    pooled = f"{vector} eszsl.extractor=vector"
    assert [run.extractor for run in runs(loaded(pooled)) if run.method == "eszsl"] == ["vector"]
    images = f"{vector} methods=[dazle,eszsl,crafting] crafting.extractor=vector"
    [run] = [run for run in runs(loaded(images)) if run.method == "crafting"]
    assert (run.settings["backbone"], run.settings["layer"]) == ("alexnet", "classifier.5")
    for text in ("dazle.extractor=vector", "methods=[dazle,eszsl,rsan] rsan.extractor=vector"):
        with pytest.raises(InputError, match="'vector' has one vector for the whole") as told:
            loaded(f"{vector} {text}")
        assert "\n" not in str(told.value)


def test_a_row_that_not_all_datasets_have() -> None:
    text = "eszsl.variants.weak.feature_regulariser=0.1 eszsl.variants.weak.only_on=[creatures]"
    rows = {(run.dataset, run.variant) for run in runs(loaded(text)) if run.method == "eszsl"}
    assert rows == {("creatures", "default"), ("creatures", "weak"), ("birds", "default")}
    with pytest.raises(InputError, match=r"weak\.only_on: no dataset 'birdz'; .*birds"):
        loaded(text.replace("[creatures]", "[birdz]"))


def test_rebalancing_is_no_part_of_what_a_run_depends_on() -> None:
    plain, changed = (next(runs(loaded(text))) for text in ("", "dazle.rebalancing=[none,oracle]"))
    assert plain.rebalancing == ("none",) and changed.rebalancing == ("none", "oracle")
    assert plain.slice == changed.slice


def test_defaults_come_from_the_schema_and_leave_the_given_alone() -> None:
    before = copy.deepcopy(GIVEN)
    config = load(GIVEN)
    assert before == GIVEN
    assert config["seeds"] == [0]
    assert config["data_root"] == "data"
    assert config["compute"] == {
        "device": "auto",
        "compile": False,
        "checkpoint_seconds": 60,
        "threads": 2,
        "extract_threads": 8,
        "extract_tasks": 1,
        "extract_alignment": 4096,
        "image_threads": 8,
        "storage": "hdf5",
    }
    assert config["datasets"]["birds"]["source"] == {
        "features": "res101.mat",
        "splits": "att_splits.mat",
        "protocol": "proposed",
        "test_seen_fraction": 0.2,
        "seed": 0,
    }
    assert config["datasets"]["creatures"]["source"]["images_per_class"] == 50
    assert "weights" not in config["extractors"]["fine"]
    assert config["extractors"]["fine"]["batch_size"] == 32


def test_the_order_of_keys_is_nothing_and_a_swap_is_something() -> None:
    backwards = {key: GIVEN[key] for key in reversed(GIVEN)}
    backwards["dazle"] = {key: GIVEN["dazle"][key] for key in reversed(GIVEN["dazle"])}
    slices = {run.variant: canonical(run.slice) for run in runs(loaded()) if run.method == "dazle"}
    assert slices == {
        run.variant: canonical(run.slice) for run in runs(load(backwards)) if run.method == "dazle"
    }
    first = next(runs(loaded("dazle.lr=0.5 dazle.momentum=0.25")))
    swapped = next(runs(loaded("dazle.lr=0.25 dazle.momentum=0.5")))
    assert canonical(first.slice) != canonical(swapped.slice)


def test_assignments_are_typed_as_yaml_types_them() -> None:
    config: dict = {"dazle": {"lr": 1}, "kept": True}
    text = (
        " dazle.lr=0.5  seeds=[0, 1] a.b.c=yes name='two words' other={x: 1, y: [z]} "
        "empty=null small=1.0e-4 "
    )
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


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # Snakemake takes quotes at the end of the whole text away.
        ("a='x y' b='z w", {"a": "x y", "b": "z w"}),
        ("a=\"it's", {"a": "it's"}),
        # It makes a section of a text with one colon and a space.
        ({"words.drawn={kind": "random}"}, {"words": {"drawn": {"kind": "random"}}}),
        (
            "a={b: {c: [1, 2], d: x}} e=[[1], [2]]",
            {"a": {"b": {"c": [1, 2], "d": "x"}}, "e": [[1], [2]]},
        ),
        ("a='it''s' b=2", {"a": "it's", "b": 2}),
        ('a="x \\" y" b=2', {"a": 'x " y', "b": 2}),
        ("a=it's b=/x/{2019}", {"a": "it's", "b": "/x/{2019}"}),
        ("a=['x ] y', \"{\"] b=1", {"a": ["x ] y", "{"], "b": 1}),
        (None, {}),
    ],
)
def test_quotes_and_brackets_of_an_assignment(given: object, expected: dict) -> None:
    config: dict = {}
    apply_assignments(config, given)
    assert config == expected


MISTAKES = {
    "methods=[dazel]": "no method 'dazel'; did you mean 'dazle'?",
    "dazel.lr=0.1": "config: unknown key 'dazel'; did you mean 'dazle'?",
    "data_rot=here": "config: unknown key 'data_rot'; did you mean 'data_root'?",
    "compute.thread=2": "config, compute: unknown key 'thread'; did you mean 'threads'?",
    "datasets.birds.word=drawn": "config, datasets.birds: unknown key 'word'; did you mean 'words'",
    "dazle.wieght_decay=0.1": (
        "config, dazle: unknown setting 'wieght_decay'; did you mean 'weight_decay'?"
    ),
    "dazle.variant={}": "config, dazle: unknown setting 'variant'; did you mean 'variants'?",
    "dazle.variants.chosen.epoch=1": (
        "config, dazle.variants.chosen: unknown setting 'epoch'; did you mean 'epochs'?"
    ),
    "dazle.lr=1e-4": (
        "config, dazle.lr: '1e-4' is not of type float (YAML reads 1e-4 as text: write 1.0e-4)"
    ),
    "dazle.lr=2E5": (
        "config, dazle.lr: '2E5' is not of type float (YAML reads 2E5 as text: write 2.0e+5)"
    ),
    "dazle.epochs=2.5": "config, dazle.epochs: 2.5 is not of type int",
    "dazle.sampler=randm": (
        "config, dazle.sampler: 'randm' is none of random, class balanced; did you mean 'random'?"
    ),
    "dazle.epochs=true": "config, dazle.epochs: True is not of type int",
    "dazle.variants.chosen.choose.lr=[0.1,x]": (
        "config, dazle.variants.chosen.choose.lr: 'x' is not of type float"
    ),
    "dazle.variants.chosen.choose.rl=[0.1]": (
        "config, dazle.variants.chosen.choose: unknown setting 'rl'; did you mean 'lr'?"
    ),
    "compute.checkpoint_seconds=1e2": (
        "config, compute.checkpoint_seconds: '1e2' is not of type float ("
    ),
    "compute.device=gpu": "config, compute.device: 'gpu' is no device: write auto (a GPU where ",
    "compute.threads=1.0": "config, compute.threads: 1.0 is not of type int",
    "compute=5": "config, compute: 5 is not a section; write keys with values",
    "seeds=[1,1]": "config, seeds: [1, 1] has non-unique elements",
    "seeds=[1.0]": "config, seeds.0: 1.0 is not of type int",
    "seeds=[-1]": "config, seeds.0: -1 is out of range; give a whole number from 0 to below 4",
    "seeds=[1180591620717411303424]": "config, seeds.0: 1180591620717411303424 is out of range; ",
    "methods=[]": "config, methods: [] is too short; give at least 1",
    "methods=[no]": "config, methods.0: False is not of type str (YAML reads yes, no, on and off ",
    "dazle=[]": "config, dazle: [] is not a section; write keys with values",
    "dazle.selection=null": "config, dazle.selection: nothing is written behind it; ",
    "dazle.variants.chosen.selection=valdation": (
        "config, dazle.variants.chosen.selection: 'valdation' is none of last, validation; did you"
    ),
    "dazle.track=tests": "config, dazle.track: 'tests' is none of none, test; did you mean 'test'?",
    "dazle.variants.chosen.criterion=h": (
        "config, dazle.variants.chosen.criterion: 'h' is none of T1, H; "
    ),
    "dazle.variants.chosen.variants={}": "config, dazle.variants.chosen: unknown setting 'variants",
    "eszsl.normalisation=l2": "config, eszsl.normalisation: 'l2' is none of none, unit, minmax; ",
    "eszsl.choose.class_regulariser=[1.0]": (
        "config, eszsl.choose: values are only tried with 'selection: validation'"
    ),
    "eszsl.selection=validation": "config, eszsl: 'selection: validation' has nothing to choose; ",
    "dazle.lr=-1": "config, dazle.lr: -1 is out of range; give a number above 0",
    "dazle.lr=.nan": "config, dazle.lr: nan is not a finite number",
    "dazle.momentum=1": "config, dazle.momentum: 1 is out of range; give a number from 0 to",
    "dazle.batch_size=0": "config, dazle.batch_size: 0 is out of range; give a whole number",
    "dazle.epochs=-1": "config, dazle.epochs: -1 is out of range; give a whole number above 0",
    "dazle.attributes_used=-1": "config, dazle.attributes_used: -1 is out of range; ",
    "eszsl.feature_regulariser=-1": "config, eszsl.feature_regulariser: -1 is out of range; ",
    "mlis.hidden=0": "config, mlis.hidden: 0 is out of range; give a whole number above 0",
    "extractors.fine.size=224.0": "config, extractors.fine.size: 224.0 is not of type int",
    "extractors.fine.size=5000": (
        "config, extractors.fine.size: 5000 is out of range; give a whole number from 32 to 4096"
    ),
    "rebalancing.calibrated_stacking.factor=.nan": (
        "config, rebalancing.calibrated_stacking.factor: nan is not a finite number; write one"
    ),
    "seeds=['0']": "config, seeds.0: '0' is not of type int (a text: take its quotes away; on the ",
    "extractors.fine.batch_size=512": "config, extractors.fine.batch_size: 512 is out of range; ",
    "datasets.creatures.words=null": (
        "config, datasets.creatures: method 'dazle' reads word vectors; set 'words' to one of: "
    ),
    # A name is looked at whether or not a run needs it.
    "datasets.creatures.words=glove": (
        "config, datasets.creatures.words: no source of words 'glove'; known: drawn, other"
    ),
    "datasets.birds.words=drwn": "config, datasets.birds.words: no source of words 'drwn'; did",
    "eszsl.words=drwn": "config, eszsl.words: no source of words 'drwn'; did you mean 'drawn'?",
    "rsan.words=drwn": "config, rsan.words: no source of words 'drwn'; did you mean 'drawn'?",
    "datasets.creatures.irrelevant=things": (
        "config, datasets.creatures.irrelevant: no set of irrelevant images 'things'; known: none"
    ),
    "irrelevant.a={rendered: creature}": (
        "config, irrelevant.a.rendered: no dataset 'creature'; did you mean 'creatures'?"
    ),
    "irrelevant.a={rendered: birds}": (
        "config, irrelevant.a: 'birds' is no dataset that is drawn (adapter demo)"
    ),
    "irrelevant.a={}": "config, irrelevant.a: give either 'images', a folder, or 'rendered', ",
    "datasets.creatures.extractors=[coars]": (
        "config, datasets.creatures.extractors: no extractor 'coars'; did you mean 'coarse'?"
    ),
    "dazle.variants.chosen.extractor=Coars": (
        "config, dazle.variants.chosen.extractor: no extractor 'Coars'; did you mean 'coarse'?"
    ),
    "datasets.creatures.extractors=[coarse,coarse]": (
        "config, datasets.creatures.extractors: ['coarse', 'coarse'] has non-unique elements"
    ),
    "datasets.creatures.semantics=original_att": (
        "config, datasets.creatures.semantics: adapter 'demo' of dataset 'creatures' has no class "
        "vectors 'original_att'; known: att"
    ),
    "dazle.semantics=at": (
        "config, dazle.semantics: adapter 'demo' of dataset 'creatures' has no class vectors 'at'; "
        "did you mean 'att'?"
    ),
    "datasets.birds.source.known_as=AWA": (
        "config, datasets.birds.source.known_as: 'AWA' is none of CUB, SUN, AWA1, AWA2, aPY, FLO; "
    ),
    "datasets.birds.source.protocol=standart": (
        "config, datasets.birds.source.protocol: 'standart' is none of proposed, standard; did you "
    ),
    "DAZLE.lr=0.1": "config: unknown key 'DAZLE'; did you mean 'dazle'?",
    "Seeds=[0]": "config: unknown key 'Seeds'; did you mean 'seeds'?",
    # Names that would be one file.
    "datasets.Birds={adapter: demo, extractors: [coarse], words: drawn}": (
        "config, datasets: 'birds' and 'Birds' differ in case alone and would be one file on some "
    ),
    "extractors.Fine={backbone: demo, size: 112, grid: 7}": "config, extractors: 'fine' and 'Fine'",
    "words.Drawn={kind: random}": "config, words: 'drawn' and 'Drawn' differ in case alone",
    "dazle.variants.Chosen={}": "config, dazle.variants: 'chosen' and 'Chosen' differ in",
    "extractors.x={backbone: demo, size: 32, grid: 33}": (
        "config, extractors.x: grid 33 is more regions a side than 32 pixels"
    ),
    # A transformer that is the only extractor serves all that read features, not images.
    "datasets.creatures.extractors=[v] extractors.v={backbone: timm/vit_tiny_patch16_224, "
    "weights: random, size: 224, grid: 14} methods=[rsan]": (
        "config, rsan: dataset 'creatures' has no extractor with images of 448 px among: v; name"
    ),
    # Named before the rows, which would ask for a grid.
    "datasets.creatures.extractors=[v] extractors.v={backbone: vit_b_16, weights: random, "
    "size: 224, grid: 14}": "config, extractors.v.backbone: 'vit_b_16' has tokens and no map; take",
    "datasets.creatures.extractors=[fine]": (
        "config, dazle: dataset 'creatures' has no extractor with a 7x7 grid"
    ),
    "datasets.birds.methods=[esszl]": (
        "config, datasets.birds.methods: 'esszl' is not among methods; did you mean"
    ),
    "datasets.creatures.settings_of=CUP": (
        "config, datasets.creatures.settings_of: no method has published settings for 'CUP'; "
        "did you mean 'CUB'?"
    ),
    "datasets.birds.source.images=5": "config, datasets.birds.source.images: 5 is not of type str",
    "datasets.birds.source.images=[a]": "config, datasets.birds.source.images: ['a'] is not of ",
    "datasets.birds.source.splits=$HOME/s.mat": (
        "config, datasets.birds.source.splits: '$HOME/s.mat' names the variable $HOME, "
    ),
    "datasets.birds.source={splits: s.mat}": (
        "config, datasets.birds.source: setting 'features' is missing"
    ),
    "datasets.birds=null": "config, datasets.birds: nothing is written behind it; ",
    "extractors.named.weights='hf:~/w'": "config, extractors.named.weights: 'hf:~/w' begins with",
    "extractors.named.weights=~/w.pt": "config, extractors.named.weights: '~/w.pt' begins with ~, ",
    "data_root=$NOT_SET_ANYWHERE/x": (
        "config, data_root: '$NOT_SET_ANYWHERE/x': the variable $NOT_SET_ANYWHERE is not set"
    ),
    "data_root=~nobody_like_this/x": (
        "config, data_root: '~nobody_like_this/x': no folder of a user ~nobody_like_this is known; "
    ),
    "words.drawn.dimension=0": "config, words.drawn.dimension: 0 is out of range; ",
    "words.other.kind=glove": "config, words.other: kind 'glove' needs a 'file'",
    "rebalancing.cosmo.top=0": "config, rebalancing.cosmo.top: 0 is out of range; ",
    "rebalancing.cosmic={}": "config, rebalancing: 'cosmic' is none of calibrated_stacking, cosmo",
    "extractors.named={backbone: resnet18, size: 224, grid: 7}": (
        "extractor 'named': give 'weights': a .pt file or the library's name"
    ),
    "datasets.birds.adapter=xlsa": (
        "config, datasets.birds: no adapter 'xlsa'; did you mean 'xlsa17'?"
    ),
    "datasets.birds.extractors=[coarse]": (
        "config, datasets.birds: extractor 'coarse' needs images; "
    ),
    "seeds.first=1": "--config set=\"seeds.first=...\": 'seeds' is a value, not a section",
    "dazle.lr=": (
        "--config set=\"...\": cannot read 'dazle.lr='; write name.key=value, separated by spaces"
    ),
    "data_root=a b": "--config set=\"...\": cannot read 'b'; write name.key=value",
    "seeds=[1": '--config set="...": [1, line 1: no YAML: expected ',
    "seeds=[010]": '--config set="...": [010], line 1: YAML reads 010 as the number 8; ',
    "words.drawn={kind: random, kind: ready}": (
        "--config set=\"...\": {kind: random, kind: ready}, line 1: key 'kind' is given a second"
    ),
    "dazle.lr=0.1 dazle.lr=0.2": '--config set="...": dazle.lr is given twice; the first would be',
}


@pytest.mark.parametrize("changes", MISTAKES)
def test_a_mistake_is_one_clear_line(changes: str) -> None:
    config = GIVEN | {"seeds": [0], "set": changes}
    with pytest.raises(InputError) as error:
        Study(config)
    assert str(error.value).startswith(MISTAKES[changes])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["no-words", "default", "", "a b", "é"])
def test_a_variant_is_named_by_a_word_that_can_stand_in_a_path(name: str) -> None:
    config = given()
    config["dazle"]["variants"] = {name: {}}
    with pytest.raises(InputError, match=r"^config, dazle\.variants: "):
        load(config)


@pytest.mark.parametrize(
    "name",
    [
        *(".", "..", "README.md", "readme.MD", "tables", "Tables", "report.html", "Irrelevant"),
        *(".hidden", "-x", "a/b", "a b", "", "\u00e9", "a\n", "x" * 81),
    ],
)
def test_a_dataset_is_named_by_what_can_stand_under_results(name: str) -> None:
    config = given()
    config["datasets"][name] = config["datasets"].pop("birds")
    with pytest.raises(InputError, match=r"^config, datasets: ") as error:
        load(config)
    assert repr(name)[:40] in str(error.value)


def test_what_the_chain_writes_under_results_is_taken() -> None:
    paths = [Path(path) for path in asdict(PATHS).values()]
    beside = {path.parts[1] for path in paths} - {"{dataset}"}
    assert {name for name in beside if "." not in name} <= set(TAKEN)


@pytest.mark.parametrize("name", ["fine.irrelevant", "x.IRRELEVANT", "a b", "..", ""])
def test_an_extractor_is_named_by_what_can_stand_in_a_feature_file_s_name(name: str) -> None:
    config = given()
    config["extractors"][name] = {"backbone": "demo", "size": 112, "grid": 7}
    with pytest.raises(InputError, match=r"^config, extractors: ") as error:
        load(config)
    assert repr(name)[:40] in str(error.value)


@pytest.mark.parametrize("key", [2020, 3.1, False, None])
def test_a_name_that_yaml_made_a_number_is_told_to_be_quoted(key: object) -> None:
    config = given()
    config["datasets"][key] = config["datasets"].pop("birds")
    with pytest.raises(InputError, match=rf"^config, datasets: the key {key} is no text: .*quote"):
        load(config)


def test_a_quoted_number_is_a_name() -> None:
    config = given()
    config["datasets"]["2020"] = config["datasets"].pop("birds")
    config["dazle"]["variants"] = {"1": {"lr": 0.5}}
    rows = [(run.dataset, run.variant) for run in runs(load(config))]
    assert ("2020", "default") in rows
    assert ("creatures", "1") in rows


def test_a_section_with_nothing_in_it_says_nothing() -> None:
    config = given()
    config["dazle"] = None
    config["compute"] = config["ensembles"] = config["datasets"]["creatures"]["source"] = None
    complete = load(config)
    assert complete["compute"]["threads"] == 2
    assert next(runs(complete)).settings == DAZLE
    config["dazle"] = {"variants": {"again": None}, "choose": None}
    again = [run for run in runs(load(config)) if run.variant == "again"]
    assert [run.settings for run in again] == [DAZLE]


SAME = [
    "dazle.momentum=0.9",
    "dazle.epochs=20 dazle.sampler=random",
    "dazle.lr=1.0e-2",
    "dazle.criterion=T1",
    "dazle.precision=float32 dazle.selection=last dazle.criterion=H dazle.choose={}",
    "datasets.creatures.semantics=att datasets.creatures.normalisation=unit",
    "dazle.semantics=att dazle.words=drawn dazle.input=regions dazle.extractor=coarse",
    "datasets.creatures.settings_of=null",
    "datasets.creatures.settings_of=FLO",
]


@pytest.mark.parametrize("changes", SAME)
def test_a_default_written_out_changes_nothing_in_the_slice(changes: str) -> None:
    before, after = (next(runs(loaded(text))) for text in ("", changes))
    assert canonical(before.slice) == canonical(after.slice)


def test_a_default_written_out_changes_nothing_of_sources_and_rebalancing() -> None:
    written = (
        "datasets.creatures.source={seed: 0, images_per_class: 50} "
        "datasets.birds.source.boxes=[] datasets.birds.source.seed=0 words.drawn.seed=0 "
        "rebalancing.cosmo.top=5 rebalancing.discriminator.reading=confidence"
    )
    assert canonical(loaded(written)) == canonical(loaded())


def test_a_whole_number_is_a_float_where_one_is_meant() -> None:
    whole, point = (next(runs(loaded(f"dazle.margin={text}"))) for text in ("2", "2.0"))
    assert canonical(whole.slice) == canonical(point.slice)


def test_settings_come_from_the_method_then_the_paper_then_the_user() -> None:
    def settings(changes: str) -> object:
        return next(runs(loaded(f"dazle.variants={{}} {changes}"))).settings

    source = read_method("dazle")
    sun = asdict(source.published["SUN"])
    assert settings("datasets.creatures.settings_of=SUN") == sun | {"lr": 0.01}
    assert settings("datasets.creatures.settings_of=SUN dazle.epochs=7")["epochs"] == 7
    # eszsl publishes nothing for a name that others know.
    eszsl = [run for run in runs(loaded()) if (run.dataset, run.method) == ("creatures", "eszsl")]
    assert [run.settings for run in eszsl] == [read_method("eszsl").defaults(None)]


END_TO_END = (
    "methods=[rsan] datasets.birds.methods=[] rsan={} rsan.extractor=fine rsan.epochs=3 "
    "rsan.variants.cached.input=regions"
)


def test_the_extractor_says_which_network() -> None:
    image, cached = runs(loaded(f"{END_TO_END} datasets.creatures.settings_of=SUN"))
    sun = asdict(read_method("rsan").published["SUN"]) | {"epochs": 3}
    assert image.settings == sun | {"backbone": "demo", "layer": ""}
    assert cached.settings == sun
    image, _ = runs(loaded(f"{END_TO_END} extractors.fine.layer=features.3"))
    assert (image.settings["layer"], image.trunk["layer"]) == ("features.3", "features.3")


def test_a_trunk_has_nothing_that_decides_no_number() -> None:
    before, _ = runs(loaded(END_TO_END))
    assert before.trunk == {"backbone": "demo", "size": 112, "grid": 14}
    for change in ("batch_size=8", "dtype=float16"):
        after, _ = runs(loaded(f"{END_TO_END} extractors.fine.{change}"))
        assert canonical(after.slice) == canonical(before.slice)


def test_the_data_folder_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere/somebody")
    monkeypatch.setenv("SCRATCH", "/scratch")
    expected = {
        "~/data": "/somewhere/somebody/data",
        "~": "/somewhere/somebody",
        "$SCRATCH/data": "/scratch/data",
        "${SCRATCH}/data": "/scratch/data",
        "data": "data",
        "a b/~c": "a b/~c",
    }
    found = {text: loaded(f"data_root='{text}'")["data_root"] for text in expected}
    assert found == expected


def test_a_method_has_settings_of_its_own_on_a_dataset() -> None:
    made = load(given("eszsl.by_dataset={birds: {normalisation: none}} dazle.lr=0.3"))
    found = {run.dataset: run.normalisation for run in runs(made) if run.method == "eszsl"}
    assert found == {"creatures": "minmax", "birds": "none"}
    made = load(given("dazle.by_dataset={creatures: {lr: 0.5, margin: 2.0}}"))
    found = {run.variant: run.settings["lr"] for run in runs(made) if run.method == "dazle"}
    # a variant's own settings go before
    assert found == {"default": 0.5, "other_words": 0.02, "chosen": 0.5}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("dazle.by_dataset={creature: {lr: 0.5}}", "no dataset 'creature'; did you mean 'creatur"),
        ("dazle.by_dataset={creatures: {lrr: 0.5}}", "unknown setting 'lrr'; did you mean 'lr'?"),
        ("dazle.by_dataset={creatures: {input: regions}}", "creatures.input: a row reads one kind"),
        ("dazle.by_dataset=3", "config, dazle.by_dataset: 3 is not a section"),
    ],
)
def test_what_is_wrong_by_dataset_is_told(changes: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load(given(changes))
    assert message in str(error.value) and "\n" not in str(error.value)
