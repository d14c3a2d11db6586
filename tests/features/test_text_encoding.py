"""Vectors of classes and attributes against the encoder asked text by text, and plain loops."""

import json
import math
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from tests.made_up.encoders import WIDTH, write_sentence_encoder
from tests.made_up.miniature import ATTRIBUTES, CLASSES, write_miniature
from zslpipe.commands.cli import main
from zslpipe.features.text_encoding import class_means, located, told
from zslpipe.formats.texts import read_class_texts
from zslpipe.formats.words import read_word_settings, read_words
from zslpipe.networks.demo_pair import TextTower
from zslpipe.networks.text_encoders import encode_texts

pytest.importorskip("sentence_transformers")

TINY = "sentence-transformers:models/tiny"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a tiny encoder, and beside it a made-up dataset."""
    folder = tmp_path_factory.mktemp("encoding")
    (folder / "models").mkdir()
    write_sentence_encoder(folder / "models" / "tiny")
    write_miniature(folder)
    return folder


def run(command: str, root: Path, settings: dict, output: str, *more: str) -> int:
    given = ["--index", str(root / "index.h5"), "--settings", json.dumps(settings)]
    given += ["--data-root", str(root), "--output", str(root / output), "--threads", "1"]
    return main([command, *given, *more, "--compute", '{"device": "cpu"}'])


def test_a_class_is_the_mean_of_its_texts_at_unit_length(root: Path) -> None:
    templates = ["a photo of a {class}.", "the {class}"]
    assert run("encode-texts", root, {"encoder": TINY, "templates": templates}, "prompts.h5") == 0
    found = read_class_texts(root / "prompts.h5")
    assert found.vectors.shape == (CLASSES, WIDTH)
    device = torch.device("cpu")
    for number, vector in enumerate(found.vectors):
        total = [0.0] * WIDTH
        for template in templates:
            text = template.replace("{class}", f"class {number}")
            (one,) = encode_texts([text], f"sentence-transformers:{root}/models/tiny", None, device)
            length = math.sqrt(sum(float(value) ** 2 for value in one))
            total = [sum_ + float(value) / length for sum_, value in zip(total, one, strict=True)]
        length = math.sqrt(sum(value**2 for value in total))
        expected = [value / length for value in total]
        assert vector.tolist() == pytest.approx(expected, abs=1e-6)
    assert found.source.startswith("sentence-transformers:tiny, sentence-transformers ")
    assert found.source.endswith(f", {2 * CLASSES} texts") and str(root) not in found.source
    assert len(found.encoder["weights"]) == 16


def test_classes_with_different_numbers_of_texts() -> None:
    vectors = np.array([[3.0, 4.0], [0.0, 2.0], [10.0, 0.0], [0.0, 0.5], [1.0, 0.0]])
    found = class_means(vectors, [1, 3, 1])
    root5 = math.sqrt(5)
    assert np.allclose(found, [[0.6, 0.8], [1 / root5, 2 / root5], [1, 0]], atol=1e-7)
    assert np.array_equal(class_means(np.array([[1.0, 0], [-1, 0]]), [2]), [[0, 0]])


def test_what_an_encoder_does_not_tell_apart_is_refused(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pair that knows the template's words alone, and one that knows none."""
    settings = {"encoder": "demo", "templates": ["a photo of {class}"]}
    for words, said in (
        (("photo",), "have the same vector"),
        (("b",), "vectors of zeros: class 0"),
    ):
        tower = TextTower(words)
        torch.save({"text": tower.state_dict(), "vocabulary": list(words)}, root / "pair.pt")
        caplog.clear()
        assert run("encode-texts", root, settings, "none.h5", "--pair", str(root / "pair.pt")) == 1
        assert said in caplog.text and not (root / "none.h5").exists()


def test_the_command_says_what_it_cannot_do(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    wrong = {
        "give the file of the demo's pair with --pair": {
            "encoder": "demo",
            "templates": ["{class}"],
        },
        "does not exist": {"encoder": "sentence-transformers:none", "templates": ["{class}"]},
    }
    for said, settings in wrong.items():
        caplog.clear()
        assert run("encode-texts", root, settings, "none.h5") == 1
        assert said in caplog.text and not (root / "none.h5").exists()


def test_attributes_are_encoded_as_phrases(root: Path) -> None:
    settings = {"kind": "text", "encoder": TINY, "template": "a bird with {attribute}"}
    assert run("encode-words", root, settings, "phrases.h5") == 0
    vectors, source = read_words(root / "phrases.h5")
    phrases = [f"a bird with attribute {number}" for number in range(ATTRIBUTES)]
    where = f"sentence-transformers:{root}/models/tiny"
    expected = encode_texts(phrases, where, None, torch.device("cpu"))
    assert np.array_equal(vectors, expected)
    assert source.startswith("sentence-transformers:tiny, sentence-transformers ")
    assert read_word_settings(root / "phrases.h5") == settings
    with h5py.File(root / "phrases.h5") as file:
        assert set(json.loads(file.attrs["encoder"])) >= {"encoder", "weights"}
    plain = {"kind": "text", "encoder": TINY, "source": "mine"}
    assert run("encode-words", root, plain, "plain.h5") == 0
    vectors, source = read_words(root / "plain.h5")
    bare = [f"attribute {number}" for number in range(ATTRIBUTES)]
    assert np.array_equal(vectors, encode_texts(bare, where, None, torch.device("cpu")))
    assert source == "mine"


def test_each_command_writes_its_own_kinds(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run("encode-words", root, {"kind": "random", "encoder": TINY}, "none.h5") == 1
    assert "kind 'random' needs no 'encoder'" in caplog.text
    given = ["--index", str(root / "index.h5"), "--output", str(root / "none.h5")]
    settings = json.dumps({"kind": "text", "encoder": TINY})
    assert main(["words", *given, "--settings", settings]) == 1
    assert "use encode-words" in caplog.text


def test_a_folder_of_weights_is_found_by_either_way_of_writing_it() -> None:
    for written in ("models/clip", "hf:models/clip"):
        found = located("open_clip/ViT-B-16", written, Path("data"), None)
        assert found == ("open_clip/ViT-B-16", Path("data/models/clip"))


def test_an_encoder_is_told_without_a_machine_s_folders() -> None:
    stamp = {"encoder": "open_clip/ViT-B-16", "open_clip_torch": "3.3.0", "weights": "abc"}
    assert told(stamp, Path("/a/b/clip.pt")) == "open_clip/ViT-B-16 clip.pt, open_clip_torch 3.3.0"
    assert told({"encoder": "demo", "weights": "abc"}, None) == "demo"
