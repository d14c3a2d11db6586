"""Texts become vectors: sentence encoders and the text towers of image-text pairs, from files of
this machine.

An encoder is written ``sentence-transformers:FOLDER`` (a model as that library saves it),
``open_clip/ARCHITECTURE`` (its weights: a checkpoint, or a folder as open_clip saves one) or
``demo`` (its weights: the file of the demo's pair). Nothing is asked of the internet that the
libraries' caches do not hold, and no foreign object is unpickled.
"""

import json
import logging
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from zslpipe.machine.errors import InputError, nearest
from zslpipe.machine.quiet import quiet
from zslpipe.machine.ranges import PAIRS, SENTENCES
from zslpipe.networks.demo_pair import read_text_tower
from zslpipe.networks.sentence_encoders import (
    Encode,
    files_of,
    loading,
    sentence_encoder,
    sentence_folder,
)
from zslpipe.networks.weight_files import read_weights
from zslpipe.provenance import file_hash, settings_hash

logger = logging.getLogger(__name__)

DEMO = "demo"
KNOWN = f"{SENTENCES}FOLDER, {PAIRS}ARCHITECTURE or {DEMO}"
BATCH = 32  # texts at once; sentence-transformers' own
PAIR_CONFIG = "open_clip_config.json"  # what open_clip writes beside a model's weights
# Sizes of a text tower that an architecture and a folder's configuration may both state.
SIZES = ("context_length", "vocab_size", "width", "heads", "layers")
# Weights in a folder, in the order in which open_clip takes them (factory._find_checkpoint_in_dir).
CHECKPOINTS = (
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    *("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth"),
    *("model.safetensors", "pytorch_model.bin", "pytorch_model.pth", "model.pth"),
)
# Of a pair's weights no text's vector depends on these.
NOT_TEXT = ("visual.", "logit_scale", "logit_bias")
# Texts of so many bytes may be too long for an encoder (ours: CLIP reads 77 tokens, of a byte of
# UTF-8 at least), the words that are then put behind them, and how much less a vector changes by
# rounding alone (ours: batches of other sizes differ by 1e-7).
LONG, MORE, SAME = 70, "and something else", 1e-5
SHOWN = 60  # characters of a text in a message


def encode_texts(
    texts: Sequence[str],
    encoder: str,
    weights: Path | None,
    device: torch.device,
    batch_size: int = BATCH,
) -> np.ndarray:
    """Return one vector a text (n, e), float32, as the encoder gives them: not normalised.

    Raises InputError for an encoder that is not known or cannot be loaded, for weights that do not
    fit it, where a vector is not finite, and where most texts have the vector of another.
    """
    encode = _loaded(encoder, weights, device, batch_size)
    found = _in_batches(texts, encode, batch_size)
    wrong = np.flatnonzero(~np.isfinite(found).all(1))
    if len(wrong):
        text = texts[wrong[0]][:SHOWN]
        raise InputError(f"encoder {encoder!r}: nan or infinity for {text!r}; take other weights")
    if encoder != DEMO:
        _check_told_apart(texts, found, encoder)
    cut = [] if encoder == DEMO else _cut_off(texts, found, encode, batch_size)
    if cut:
        told = "%s reads the beginning of %d of %d texts alone, the rest is too long for it: %r ..."
        logger.warning(told, encoder, len(cut), len(texts), texts[cut[0]][:SHOWN])
    return found


def _in_batches(texts: Sequence[str], encode: Encode, batch_size: int) -> np.ndarray:
    """Return one vector a text (n, e), float32."""
    firsts = range(0, len(texts), batch_size)
    with torch.inference_mode():
        parts = [encode(texts[first : first + batch_size]).float().cpu() for first in firsts]
    vectors: np.ndarray = torch.cat(parts).numpy()
    return vectors


def _check_told_apart(texts: Sequence[str], vectors: np.ndarray, encoder: str) -> None:
    """Raise InputError where less than half of the texts have a vector of their own: to an encoder
    without the files of its tokenizer every word is the same unknown one, and libraries say
    nothing. Texts count that are no longer than most encoders read (SigLIP's SO400M reads 16
    tokens).
    """
    own: dict[str, bytes] = {}
    for text, vector in zip(texts, vectors, strict=True):
        if len(text.encode()) <= LONG:
            scaled = vector / max(np.abs(vector).max(), np.finfo(np.float32).tiny)
            own[text.casefold()] = scaled.astype(np.float16).tobytes()
    if len(own) > 1 and 2 * len(set(own.values())) <= len(own):
        told = f"of {len(own)} texts only {len(set(own.values()))} have vectors of their own"
        advice = "put its tokenizer's files beside it, or write shorter texts of words it knows"
        raise InputError(f"encoder {encoder!r}: {told}; {advice}")


def _cut_off(
    texts: Sequence[str], vectors: np.ndarray, encode: Encode, batch_size: int
) -> list[int]:
    """Return the numbers of the texts of which an encoder does not read the end: those whose vector
    is the same with a word more. No tokenizer has to be asked, each of which counts otherwise.
    """
    long = [number for number, text in enumerate(texts) if len(text.encode()) > LONG]
    if not long:
        return []
    longer = _in_batches([f"{texts[number]} {MORE}" for number in long], encode, batch_size)
    changes = np.linalg.norm(longer - vectors[long], axis=1)
    same = changes <= SAME * np.linalg.norm(vectors[long], axis=1)
    return [number for number, is_same in zip(long, same, strict=True) if is_same]


def encoder_stamp(encoder: str, weights: Path | None) -> dict[str, str]:
    """Return what an encoder is made of: its name without this machine's folders, the library and
    its version, a hash of its files.

    Raises InputError where the encoder is not known or its files are absent.
    """
    if encoder.startswith(SENTENCES):
        folder = sentence_folder(encoder)
        libraries = _versions(encoder, "sentence-transformers", "transformers")
        return {"encoder": f"{SENTENCES}{folder.name}", **libraries, "weights": _files_hash(folder)}
    loaded = _files_hash(_pair_weights(encoder, weights))
    if encoder == DEMO:
        return {"encoder": encoder, "weights": loaded}
    return {"encoder": encoder, **_versions(encoder, "open_clip_torch"), "weights": loaded}


def _versions(encoder: str, *packages: str) -> dict[str, str]:
    """Return the versions of an encoder's libraries; InputError where one is not installed."""
    with loading(encoder):
        return {package: version(package) for package in packages}


def _loaded(encoder: str, weights: Path | None, device: torch.device, batch_size: int) -> Encode:
    """Return the function from a batch of texts to their vectors."""
    if encoder.startswith(SENTENCES):
        return sentence_encoder(encoder, device, batch_size)
    path = _pair_weights(encoder, weights)
    return (
        read_text_tower(path).to(device) if encoder == DEMO else _text_tower(encoder, path, device)
    )


def _pair_weights(encoder: str, weights: Path | None) -> Path:
    """Return the weights of a text tower: a file, or a folder as open_clip saves one; InputError
    for an encoder or architecture that is not known, and where there are none.
    """
    if encoder != DEMO and not encoder.startswith(PAIRS):
        raise InputError(f"no text encoder {encoder!r}; write {KNOWN}")
    if weights is None or not weights.exists():
        said = "has no weights" if weights is None else f"weights {weights} do not exist"
        wanted = f"a checkpoint of open_clip or a folder with {PAIR_CONFIG}"
        if encoder == DEMO:
            wanted = "the file of the demo's pair, of the rule 'pretrain_pair'"
        raise InputError(f"encoder {encoder!r}: {said}; give {wanted}")
    if encoder != DEMO and weights.is_dir() and not (weights / PAIR_CONFIG).is_file():
        raise InputError(
            f"encoder {encoder!r}: the folder {weights} holds no {PAIR_CONFIG}; name a folder that "
            "open_clip saved, or a checkpoint"
        )
    return weights


def _text_tower(encoder: str, weights: Path, device: torch.device) -> Encode:
    """Return the text tower of an open_clip network, with its own tokenizer; of the weights the
    image tower's need not be there.
    """
    with loading(encoder):
        import open_clip

        name = _architecture(encoder, weights)
        with quiet():  # It warns of random weights, which are replaced, and of the image tower's.
            model = open_clip.create_model(name, load_weights=False, pretrained_text=False)
        tokenizer = open_clip.get_tokenizer(name)
    state = model.state_dict()
    needed = {part: value for part, value in state.items() if not part.startswith(NOT_TEXT)}
    found = read_weights(_checkpoint(weights), needed, encoder)
    model.load_state_dict(found, strict=False)
    model = model.to(device).eval()

    def encode(texts: Sequence[str]) -> torch.Tensor:
        vectors: torch.Tensor = model.encode_text(
            tokenizer(list(texts)).to(device), normalize=False
        )
        return vectors

    return encode


def _checkpoint(weights: Path) -> Path:
    """Return the file of weights: itself, or the one that open_clip would take of a folder."""
    if not weights.is_dir():
        return weights
    found = [weights / name for name in CHECKPOINTS if (weights / name).is_file()]
    if not found:
        raise InputError(f"the folder {weights} holds no weights of open_clip ({CHECKPOINTS[0]})")
    return found[0]


def _architecture(encoder: str, weights: Path) -> str:
    """Return what open_clip calls a network; InputError for an unknown one, and where a folder's
    configuration is of another one than ``encoder`` names.
    """
    import open_clip

    named = encoder.removeprefix(PAIRS)
    known = open_clip.get_model_config(named)
    if not weights.is_dir():
        if known is None:
            advice = nearest(named, open_clip.list_models())
            raise InputError(f"no open_clip architecture {named!r}; {advice}")
        return named
    found = json.loads((weights / PAIR_CONFIG).read_text())["model_cfg"]
    if known is not None and _sizes(known) != {**_sizes(known), **_sizes(found)}:
        raise InputError(
            f"encoder {encoder!r}: the folder {weights} is of another architecture, with "
            f"{_sizes(found)}; name the one that it was saved from"
        )
    return f"local-dir:{weights}"


def _sizes(settings: dict[str, dict[str, int]]) -> dict[str, int]:
    """Return the sizes of a text tower that a configuration of open_clip states."""
    text = settings["text_cfg"]
    return {name: text[name] for name in SIZES if name in text}


def _files_hash(path: Path) -> str:
    """Return a hash of a file, or of all files of a folder that a model may depend on, by their
    names in it.
    """
    if path.is_file():
        return file_hash(path)
    hashes = {}
    for file in files_of(path):
        hashes["/".join(file.relative_to(path).parts)] = file_hash(file)
    return settings_hash(hashes)
