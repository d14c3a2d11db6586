"""Texts in a configuration: where they are named, which jobs read them, and what is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.made_up.configuration import given
from zslpipe.machine.errors import InputError
from zslpipe.study.config import load
from zslpipe.study.study import Study

TEXTS = yaml.safe_load("""
prompts: {encoder: open_clip/ViT-B-16, weights: clip.pt, templates: ["a photo of a {class}."]}
sentences: {encoder: "sentence-transformers:models/mini", descriptions: texts.csv}
""")


def configured(changes: str = "") -> dict:
    config = given(changes)
    config["texts"] = TEXTS
    config["eszsl"] |= {"semantics": {"text": "prompts"}}
    return config


def wildcards(run: str, dataset: str = "creatures") -> SimpleNamespace:
    return SimpleNamespace(dataset=dataset, run=run, seed="0")


def test_a_run_on_texts_reads_their_file_and_no_other_does() -> None:
    study = Study(configured())
    run = study.runs.named("creatures", "eszsl", "default")
    assert run.semantics == "text/prompts" and run.slice["semantics"] == "text/prompts"
    file = "results/creatures/texts/prompts.h5"
    inputs = study.runs.inputs(wildcards("eszsl/default"))
    assert inputs["texts"] == file
    assert f"--texts {file}" in study.runs.options(wildcards("eszsl/default"))
    assert "texts" not in study.runs.inputs(wildcards("dazle/default"))
    assert study.runs.named("creatures", "dazle", "default").semantics == "att"
    asked = study.targets.all()
    assert file in asked and "results/birds/texts/prompts.h5" in asked
    assert not [path for path in asked if "sentences" in path]


def test_what_an_encoding_depends_on(tmp_path: Path) -> None:
    config = configured()
    config["data_root"] = str(tmp_path)
    texts = Study(config).texts
    prompts, sentences = (Study(config).config["texts"][name] for name in TEXTS)
    assert texts.files(prompts) == []
    before = texts.code(sentences, "encode_texts"), texts.code(prompts, "encode_texts")
    (tmp_path / "clip.pt").touch()
    assert texts.files(prompts) == [str(tmp_path / "clip.pt")]
    (tmp_path / "models" / "mini").mkdir(parents=True)
    (tmp_path / "models" / "mini" / "config.json").write_text("{}")
    after = Study(config).texts.code(sentences, "encode_texts")
    assert after != before[0] and texts.code(prompts, "encode_texts") == before[1]
    assert texts.pair("creatures", prompts) == []


def test_a_dataset_may_name_texts_for_all_its_methods() -> None:
    config = configured("datasets.birds.semantics={text: sentences}")
    config["eszsl"].pop("semantics")
    study = Study(config)
    assert study.runs.named("birds", "eszsl", "default").semantics == "text/sentences"
    assert study.runs.named("creatures", "eszsl", "default").semantics == "att"


REFUSED = {
    "config, eszsl.semantics: no texts 'prompt'; did you mean 'prompts'?": (
        "eszsl.semantics.text=prompt"
    ),
    "config, datasets.birds.semantics: no texts 'others'": (
        "datasets.birds.semantics={text: others}"
    ),
    "config, eszsl.semantics: is no kind of class vectors; write att, or {text: NAME} of texts": (
        "eszsl.semantics={texts: prompts}"
    ),
    "config, texts.prompts: give one of 'templates'": "texts.prompts.descriptions=a.csv",
    "config, texts.prompts.templates.0: 'a photo' is no template": (
        "texts.prompts.templates=[a photo]"
    ),
    "config, texts.prompts: unknown setting 'template'": "texts.prompts.template=a",
    "config, words.drawn: kind 'random' needs no 'encoder'": "words.drawn.encoder=demo",
}


@pytest.mark.parametrize("told", REFUSED)
def test_what_is_wrong_is_one_line_with_its_place(told: str) -> None:
    config = configured()
    config["set"] = REFUSED[told]
    with pytest.raises(InputError) as error:
        load(config)
    assert str(error.value).startswith(told) and "\n" not in str(error.value)


@pytest.mark.parametrize("method", ["dazle", "rsan"])
def test_methods_that_know_attributes_refuse_texts(method: str) -> None:
    config = configured()
    config["methods"] = [method]
    config["datasets"].pop("birds")
    config["datasets"]["creatures"]["semantics"] = {"text": "prompts"}
    for name in ("dazle", "eszsl"):
        config.pop(name)
    where = f"config, {method}.semantics: {method} knows class vectors attribute by attribute"
    with pytest.raises(InputError, match=where) as error:
        load(config)
    assert "of the texts 'prompts' are none; set its 'semantics: att'" in str(error.value)
    config[method] = {"semantics": "att", "extractor": "fine"}
    assert Study(config).runs.named("creatures", method, "default").semantics == "att"


def test_words_of_texts_are_another_rule_s() -> None:
    config = given()
    config["words"]["phrases"] = {"kind": "text", "encoder": "sentence-transformers:mini"}
    texts = Study(config).texts
    assert texts.encoded_words == ["phrases"] and texts.other_words == ["drawn", "other"]
