"""Texts in a configuration: where they are named, which jobs read them, and what is refused."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tests.made_up.configuration import given
from tests.made_up.encoders import WIDTH, write_sentence_encoder
from zslpipe.formats.extents import published_extent
from zslpipe.machine.errors import InputError
from zslpipe.study import text_widths
from zslpipe.study.config import load
from zslpipe.study.file_sizes import HEAD, FileSizes
from zslpipe.study.known_sizes import KnownSizes
from zslpipe.study.measurements import of_run
from zslpipe.study.study import Study
from zslpipe.study.text_widths import text_width

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


def test_a_folder_may_be_written_as_that_of_an_extractor() -> None:
    config = configured()
    config["texts"] = {**TEXTS, "prompts": {**TEXTS["prompts"], "weights": "hf:models/clip"}}
    phrases = {"kind": "text", "encoder": "open_clip/ViT-B-16", "weights": "hf:models/clip"}
    config["words"] = {**config["words"], "phrases": phrases}
    study = Study(config)
    for section, name in (("texts", "prompts"), ("words", "phrases")):
        assert study.config[section][name]["weights"] == "models/clip"


def test_an_architecture_that_open_clip_lacks_is_told_before_a_job_runs(tmp_path: Path) -> None:
    pytest.importorskip("open_clip")
    config = configured() | {"data_root": str(tmp_path)}
    own = {**TEXTS["prompts"], "encoder": "open_clip/ViT-B16", "weights": "saved"}
    config["texts"] = {**TEXTS, "prompts": own}
    with pytest.raises(InputError, match=r"no open_clip architecture 'ViT-B16'; did you mean"):
        load(config)
    (tmp_path / "saved").mkdir()  # as open_clip saves one of one's own
    load(config)


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


def test_the_demo_s_encoder_knows_drawn_datasets_alone() -> None:
    config = configured("datasets.birds.semantics={text: creatures}")
    config["texts"] = {**TEXTS, "creatures": {"encoder": "demo", "templates": ["{class}"]}}
    where = r"config, datasets\.birds\.semantics: the encoder demo knows the drawn datasets alone"
    with pytest.raises(InputError, match=where):
        load(config)
    words = given("words.drawn={kind: text, encoder: demo} words.other={kind: text, encoder: demo}")
    assert Study(words).runs.named("creatures", "dazle", "default").words == "drawn"
    words["datasets"]["birds"]["methods"] = ["dazle"]
    words["dazle"]["extractor"] = "coarse"
    words["datasets"]["birds"]["source"]["images"] = "images"
    with pytest.raises(InputError, match="knows the drawn datasets alone, and 'birds' is none"):
        load(words)


WIDTHS = {
    "open_clip/ViT-B-16": 512,
    "open_clip/ViT-L-14": 768,
    "open_clip/ViT-bigG-14": 1280,
    "open_clip/RN50": 1024,
    "open_clip/RN50x4": 640,
    "open_clip/RN101": 512,
    "sentence-transformers:none": 512,
}


@pytest.mark.parametrize("encoder", WIDTHS)
def test_lengths_of_vectors_before_they_are_made(
    encoder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the names alone, where open_clip is not installed."""
    monkeypatch.setattr(text_widths, "find_spec", lambda name: None)
    assert text_width({"encoder": encoder}, tmp_path) == WIDTHS[encoder]
    known = pytest.importorskip("open_clip").get_model_config(encoder.partition("/")[2])
    assert known is None or known["embed_dim"] == WIDTHS[encoder]


def test_lengths_that_open_clip_tells(tmp_path: Path) -> None:
    """Half of its architectures have another than their names' beginnings say."""
    known = pytest.importorskip("open_clip")
    for name in ("ViT-B-16-SigLIP", "EVA02-L-14", "RN50x64", "ViT-S-32", "convnext_base_w"):
        expected = known.get_model_config(name)["embed_dim"]
        assert text_width({"encoder": f"open_clip/{name}"}, tmp_path) == expected
    (tmp_path / "pair").mkdir()
    told = '{"model_cfg": {"embed_dim": 7}, "preprocess_cfg": {}}'
    (tmp_path / "pair" / "open_clip_config.json").write_text(told)
    entry = {"encoder": "open_clip/ViT-B-16", "weights": "pair"}
    assert text_width(entry, tmp_path) == 7
    (tmp_path / "pair" / "open_clip_config.json").write_text("[")
    assert text_width(entry, tmp_path) == 512


def test_lengths_that_an_encoder_s_own_files_tell(tmp_path: Path) -> None:
    from zslpipe.networks.demo_pair import WIDTH as OF_PAIR

    made = write_sentence_encoder(tmp_path / "tiny")
    entry = {"encoder": "sentence-transformers:tiny"}
    assert text_width(entry, tmp_path) == WIDTH
    (made / "1_Pooling" / "config.json").write_text('{"word_embedding_dimension": 384}')
    assert text_width(entry, tmp_path) == 384
    (made / "1_Pooling" / "config.json").unlink()
    assert text_width(entry, tmp_path) == WIDTH
    assert text_width({"encoder": "demo"}, tmp_path) == OF_PAIR


def test_a_plan_knows_the_length_of_a_run_s_class_vectors(tmp_path: Path) -> None:
    config = configured("datasets.birds.methods=[] datasets.birds.extractors=[own]")
    config["words"]["drawn"] = {"kind": "text", "encoder": "demo"}
    study = Study(config)
    extent = published_extent("CUB")
    sizes = KnownSizes({"creatures": extent}, widths={"fine": 128, "coarse": 128})
    run = study.runs.named("creatures", "eszsl", "default")
    measured = of_run(study, sizes, run, validated=False)
    assert measured.asked["extent"]["vectors"] == {"att": 312, "text/prompts": 512}
    drawn = study.runs.named("creatures", "dazle", "default")
    assert of_run(study, sizes, drawn, validated=False).asked["words"] == 64
    path = "results/creatures/texts/prompts.h5"
    assert FileSizes(study, sizes, {}).of(path) == 200 * (4 * 512 + 500) + HEAD


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


@pytest.mark.parametrize("kind", ["att", "original_att"])
def test_clip_refuses_attributes_before_anything_runs(kind: str) -> None:
    config = configured()
    config["methods"] = ["clip"]
    for name in ("dazle", "eszsl"):
        config.pop(name)
    config["datasets"].pop("creatures")
    config["datasets"]["birds"] |= {"semantics": kind, "methods": ["clip"]}
    said = rf"config, clip\.semantics: clip compares .* {kind!r} are attributes; write 'semantics"
    with pytest.raises(InputError, match=said):
        load(config)
    # The user's own vectors of texts, in the dataset's file, stand for themselves.
    config["datasets"]["birds"]["semantics"] = "clip_att"
    assert Study(config).runs.named("birds", "clip", "default").semantics == "clip_att"


def test_words_of_texts_are_another_rule_s() -> None:
    config = given()
    config["words"]["phrases"] = {"kind": "text", "encoder": "sentence-transformers:mini"}
    texts = Study(config).texts
    assert texts.encoded_words == ["phrases"] and texts.other_words == ["drawn", "other"]
