"""Text encoders against the libraries' own: made-up tiny models in files as people have them."""

import gc
import json
import os
import shutil
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from zslpipe.machine.errors import InputError
from zslpipe.networks.demo_pair import TextTower
from zslpipe.networks.text_encoders import encode_texts, encoder_stamp
from zslpipe.provenance import file_hash

sentence_transformers = pytest.importorskip("sentence_transformers")
open_clip = pytest.importorskip("open_clip")

WORDS = (
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "bird",
    "with",
    "striped",
    "wings",
    "red",
)
TEXTS = ("a bird with striped wings", "a red bird", "a", "a red bird with a striped red wings")
CPU = torch.device("cpu")
TOWERS = {
    "embed_dim": 12,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 16, "head_width": 8, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def sentences(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """Return the folder of a sentence encoder, and what the library itself makes of the texts."""
    from sentence_transformers.sentence_transformer import modules
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("sentences")
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(0)
    settings = BertConfig(vocab_size=len(WORDS), intermediate_size=32, **sizes)
    BertModel(settings).save_pretrained(folder / "bert")
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    BertTokenizerFast(vocab=vocabulary).save_pretrained(folder / "bert")
    parts = [modules.Transformer(str(folder / "bert")), modules.Pooling(16)]
    model = sentence_transformers.SentenceTransformer(modules=parts, device="cpu")
    model.save(str(folder / "saved"))
    return folder / "saved", model.encode(list(TEXTS))


@pytest.fixture(scope="module")
def towers(tmp_path_factory) -> tuple[Path, np.ndarray]:
    """Return a folder with an open_clip network's checkpoint, ``pair.pt``, and a folder as
    open_clip saves one, ``pair``; and what the network itself makes of the texts.
    """
    folder = tmp_path_factory.mktemp("towers")
    (folder / "tiny.json").write_text(json.dumps(TOWERS))
    open_clip.add_model_config(folder / "tiny.json")
    torch.manual_seed(0)
    network = open_clip.CLIP(**TOWERS).eval()
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, folder / "pair.pt")
    (folder / "pair").mkdir()
    (folder / "pair" / "open_clip_config.json").write_text(json.dumps({"model_cfg": TOWERS}))
    torch.save(network.state_dict(), folder / "pair" / "open_clip_pytorch_model.bin")
    with torch.inference_mode():
        known = network.encode_text(open_clip.SimpleTokenizer()(list(TEXTS))).numpy()
    return folder, known


def test_sentences_are_encoded_as_the_library_does(sentences):
    folder, known = sentences
    found = encode_texts(TEXTS, f"sentence-transformers:{folder}", None, CPU)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, known, rtol=0, atol=1e-6)
    assert not np.allclose(np.linalg.norm(found, axis=1), 1)  # as the tower gives them


@pytest.mark.parametrize("name", ["pair.pt", "pair"])
def test_texts_are_encoded_as_the_tower_of_a_pair_does(towers, name):
    folder, known = towers
    found = encode_texts(TEXTS, "open_clip/tiny", folder / name, CPU)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, known, rtol=0, atol=1e-6)
    assert not np.allclose(np.linalg.norm(found, axis=1), 1)


def test_a_text_has_the_same_vector_in_any_batch_and_order(sentences, towers):
    for encoder, weights in (
        (f"sentence-transformers:{sentences[0]}", None),
        ("open_clip/tiny", towers[0] / "pair.pt"),
    ):
        together = encode_texts(TEXTS, encoder, weights, CPU)
        alone = encode_texts(TEXTS, encoder, weights, CPU, batch_size=1)
        turned = encode_texts(TEXTS[::-1], encoder, weights, CPU, batch_size=3)
        np.testing.assert_allclose(alone, together, rtol=0, atol=2e-6)
        np.testing.assert_allclose(turned[::-1], together, rtol=0, atol=2e-6)


@pytest.mark.parametrize("kind", ["sentences", "towers"])
def test_texts_whose_ends_are_not_read_are_told(kind, sentences, towers, caplog):
    encoder, weights, limit = f"sentence-transformers:{sentences[0]}", None, 510
    if kind == "towers":
        encoder, weights, limit = "open_clip/tiny", towers[0] / "pair.pt", 75
    texts = ["a bird", "bird " * (limit - 4), "red " + "bird " * limit, "bird " * limit]
    with caplog.at_level("WARNING", logger="zslpipe.networks.text_encoders"):
        encode_texts(texts[:2], encoder, weights, CPU)
        assert caplog.records == []
        encode_texts(texts, encoder, weights, CPU)
    [said] = [record.getMessage() for record in caplog.records]
    assert (
        f"the beginning of 2 of 4 texts alone, the rest is too long for it: {'red bird'!r}"[:-1]
        in said
    )
    # Their vectors are the same, and no tokenizer lacks.
    alike = ["bird " * limit + end for end in ("red", "striped")]
    assert len(encode_texts(alike, encoder, weights, CPU)) == 2


def test_letters_of_several_bytes_count_as_such(towers, caplog):
    """60 of them are 180 tokens of CLIP at most, not 60."""
    with caplog.at_level("WARNING", logger="zslpipe.networks.text_encoders"):
        encode_texts(["\u9ce5\u7ffc" * 30, "bird"], "open_clip/tiny", towers[0] / "pair.pt", CPU)
    assert "the beginning of 1 of 2 texts alone" in caplog.text


def test_half_weights_without_the_image_tower_do(towers, tmp_path):
    folder, known = towers
    state = torch.load(folder / "pair.pt")["state_dict"]
    halves = {name: value.half() for name, value in state.items() if "visual" not in name}
    torch.save(halves, tmp_path / "text.pt")
    found = encode_texts(TEXTS, "open_clip/tiny", tmp_path / "text.pt", CPU)
    np.testing.assert_allclose(found, known, atol=2e-2)
    assert found.dtype == np.float32 and not np.array_equal(found, known)


def test_a_folder_of_no_known_architecture_is_its_own(towers, tmp_path):
    folder, known = towers
    found = encode_texts(TEXTS, "open_clip/ours", folder / "pair", CPU)
    np.testing.assert_allclose(found, known, rtol=0, atol=1e-6)


def test_stamps_say_what_was_loaded(sentences, towers):
    folder, _ = sentences
    stamp = encoder_stamp(f"sentence-transformers:{folder}", None)
    assert stamp["encoder"] == "sentence-transformers:saved"  # no folder of this machine
    assert stamp["sentence-transformers"] == sentence_transformers.__version__
    of_file = encoder_stamp("open_clip/tiny", towers[0] / "pair.pt")
    assert of_file["encoder"] == "open_clip/tiny"
    assert of_file["open_clip_torch"] == open_clip.__version__
    assert encoder_stamp("open_clip/tiny", towers[0] / "pair")["weights"] != of_file["weights"]


def test_stamp_follows_every_file_that_a_vector_depends_on(sentences, tmp_path):
    shutil.copytree(sentences[0], tmp_path / "saved")
    encoder = f"sentence-transformers:{tmp_path / 'saved'}"
    before = encoder_stamp(encoder, None)
    assert before == encoder_stamp(f"sentence-transformers:{sentences[0]}", None)
    (tmp_path / "saved" / "README.md").write_text("another page")
    assert encoder_stamp(encoder, None) == before
    words = tmp_path / "saved" / "tokenizer.json"
    words.write_text(words.read_text().replace("striped", "spotted"))
    assert encoder_stamp(encoder, None)["weights"] != before["weights"]


@pytest.mark.parametrize(
    ("encoder", "weights", "said"),
    [
        ("clip", "pair.pt", "no text encoder 'clip'"),
        ("sentence-transformers:/nowhere", None, "/nowhere does not exist"),
        ("sentence-transformers:{folder}", None, "no model of sentence-transformers"),
        ("sentence-transformers:{folder}/pair.pt", None, "is a file"),
        ("open_clip/ViT-B16", "pair.pt", "did you mean 'ViT-B-16'?"),
        ("open_clip/RN50", "pair.pt", "positional_embedding 77x512: the file has 77x16"),
        ("open_clip/ViT-B-16", "pair", "of another architecture"),
        ("open_clip/tiny", None, "has no weights"),
        ("open_clip/tiny", "absent.pt", "do not exist"),
        ("open_clip/tiny", ".", "holds no open_clip_config.json"),
        ("open_clip/tiny", "tiny.json", "it is JSON"),
    ],
)
def test_what_is_wrong_is_said_in_a_line(towers, encoder, weights, said):
    path = towers[0] / weights if weights else None
    with pytest.raises(InputError) as refused:
        encode_texts(TEXTS, encoder.format(folder=towers[0]), path, CPU)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_of_a_pair_without_weights_is_refused(towers, tmp_path):
    shutil.copytree(towers[0] / "pair", tmp_path / "pair")
    (tmp_path / "pair" / "open_clip_pytorch_model.bin").unlink()
    with pytest.raises(InputError, match="holds no weights of open_clip"):
        encode_texts(TEXTS, "open_clip/tiny", tmp_path / "pair", CPU)


def test_a_damaged_sentence_encoder_is_refused(sentences, tmp_path):
    shutil.copytree(sentences[0], tmp_path / "saved")
    file = tmp_path / "saved" / "model.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"cannot be loaded \("):
        encode_texts(TEXTS, f"sentence-transformers:{tmp_path / 'saved'}", None, CPU)


def changed(sentences, folder):
    """A copy of an encoder, its name as an encoder's, and its weights."""
    copy = folder / "copy"
    shutil.copytree(sentences[0], copy)
    return copy, f"sentence-transformers:{copy}", load_file(copy / "model.safetensors")


def test_weights_that_a_file_lacks_are_not_drawn_at_random(sentences, tmp_path):
    """The library draws them, and tells it in a table that no program reads."""
    folder, encoder, state = changed(sentences, tmp_path)
    kept = {name: value for name, value in state.items() if "layer.1." not in name}
    assert 0 < len(kept) < len(state)
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match="file of weights lacks some, which would be drawn at ran"):
        encode_texts(TEXTS, encoder, None, CPU)


def test_of_the_two_models_one_is_in_memory_at_a_time(sentences, monkeypatch):
    alive: weakref.WeakSet = weakref.WeakSet()
    found = []
    load = sentence_transformers.SentenceTransformer.__init__

    def loaded(model, *arguments, **settings):
        found.append(len(alive))
        load(model, *arguments, **settings)
        alive.add(model)

    monkeypatch.setattr(sentence_transformers.SentenceTransformer, "__init__", loaded)
    gc.collect()
    gc.disable()  # it comes when it likes
    try:
        encode_texts(TEXTS, f"sentence-transformers:{sentences[0]}", None, CPU)
    finally:
        gc.enable()
    assert found == [0, 0]


def test_an_encoder_without_its_tokenizer_is_refused(sentences, tmp_path):
    folder, encoder, _ = changed(sentences, tmp_path)
    removed = [path for path in folder.iterdir() if path.name.startswith("tokenizer")]
    assert removed
    for path in removed:
        path.unlink()
    texts = [f"a {name}" for name in ("bird", "wings", "red", "red bird")]
    told = "of 4 texts only 2 have vectors of their own; put its tok.*, or write shorter texts of"
    with pytest.raises(InputError, match=told):
        encode_texts(texts, encoder, None, CPU)
    # and so is one to which the words are foreign
    with pytest.raises(InputError, match="of 2 texts only 1 have vectors of their own"):
        encode_texts(["vogel", "oiseau"], f"sentence-transformers:{sentences[0]}", None, CPU)
    whole = f"sentence-transformers:{sentences[0]}"
    found = encode_texts([*texts, "A BIRD"], whole, None, CPU)
    assert len(np.unique(found.round(4), axis=0)) == 4
    # the same words in other letters, to an encoder that reads small ones alone
    assert len(encode_texts(["a bird", "A Bird"], whole, None, CPU)) == 2


def test_what_is_no_data_in_a_folder_is_one_line(sentences, tmp_path, monkeypatch):
    folder, encoder, _ = changed(sentences, tmp_path)
    (folder / "tokenizer.json").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid x")
    with pytest.raises(InputError, match=r"tokenizer\.json is a pointer of git-lfs; run git lfs"):
        encode_texts(TEXTS, encoder, None, CPU)
    shutil.rmtree(folder)
    folder, encoder, _ = changed(sentences, tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save({"x": Harmful()}, folder / "pytorch_model.bin")
    run: list[str] = []
    monkeypatch.setattr(os, "system", run.append)
    with pytest.raises(InputError, match=r"foreign code and is not loaded\); take one that is da"):
        encode_texts(TEXTS, encoder, None, CPU)
    assert run == []


class Harmful:
    """What a pickle may hold: a command that loading it runs."""

    def __reduce__(self):
        return os.system, ("exit 1",)


def test_a_vector_that_is_not_finite_is_refused(sentences, tmp_path):
    from safetensors.torch import load_file, save_file

    shutil.copytree(sentences[0], tmp_path / "saved")
    file = tmp_path / "saved" / "model.safetensors"
    state = load_file(file)
    state["embeddings.word_embeddings.weight"][WORDS.index("wings")] = float("nan")
    save_file(state, file, {"format": "pt"})
    with pytest.raises(InputError, match="nan or infinity for 'a bird with striped wings'"):
        encode_texts(TEXTS, f"sentence-transformers:{tmp_path / 'saved'}", None, CPU)


def test_the_demo_s_tower_is_an_encoder(tmp_path):
    tower = TextTower(("a", "red", "a red", "red bird"))
    content = {"text": tower.state_dict(), "vocabulary": list(tower.number)}
    torch.save(content, tmp_path / "pair.pt")
    found = encode_texts(TEXTS, "demo", tmp_path / "pair.pt", CPU, batch_size=3)
    with torch.no_grad():
        np.testing.assert_array_equal(found, tower(TEXTS).numpy())
    assert encoder_stamp("demo", tmp_path / "pair.pt") == {
        "encoder": "demo",
        "weights": file_hash(tmp_path / "pair.pt"),
    }
    with pytest.raises(InputError, match="encoder 'demo': has no weights; give the file of the"):
        encode_texts(TEXTS, "demo", None, CPU)


def test_the_hub_is_not_asked_for_a_tokenizer(towers, monkeypatch):
    """One is named by the architecture; nobody waits for attempts to reach a network."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session

    asked = []
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(get_session()._transport, "handle_request", asked.append)
    with pytest.raises(InputError, match=r"cannot be loaded \(We couldn't connect"):
        encode_texts(TEXTS, "open_clip/ViT-B-16-SigLIP", towers[0] / "pair.pt", CPU)
    assert asked == [] and constants.HF_HUB_OFFLINE is False


def test_a_missing_package_is_named(sentences, monkeypatch):
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(InputError, match=r"pip install zslpipe\[text\]"):
        encode_texts(TEXTS, f"sentence-transformers:{sentences[0]}", None, CPU)
