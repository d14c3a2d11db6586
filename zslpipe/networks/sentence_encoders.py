"""Sentence encoders of the library sentence-transformers, from folders of this machine."""

import gc
import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import SafetensorError

from zslpipe.machine.errors import InputError, one_line
from zslpipe.machine.offline import offline
from zslpipe.machine.ranges import SENTENCES
from zslpipe.networks.file_kinds import POINTER, reason_of

logger = logging.getLogger(__name__)

# What sentence-transformers, and what transformers, write beside a model's weights.
SENTENCE_CONFIGS = ("modules.json", "config.json")
# Of a downloaded folder what no vector depends on: pages, other programs' copies of the weights.
IDLE_SUFFIXES, IDLE_FOLDERS = {".md", ".png", ".jpg"}, {"onnx", "openvino"}

# What libraries raise of files that are damaged, absent or of another model.
UNLOADABLE = (
    *(OSError, RuntimeError, ValueError, LookupError, TypeError, SafetensorError),
    pickle.UnpicklingError,
)

# A text whose vector is compared, and how far two may lie apart by rounding (ours).
PROBE, SAME = "a photo of a bird", 1e-5

Encode = Callable[[Sequence[str]], torch.Tensor]


@contextmanager
def loading(encoder: str) -> Iterator[None]:
    """Turn what a library raises where it cannot load an encoder into an InputError; the hub is
    not asked.
    """
    try:
        with offline():
            yield
    except ImportError as error:
        advice = "pip install zslpipe[text]"
        raise InputError(f"encoder {encoder!r}: {one_line(error)}; {advice}") from error
    except InputError:
        raise
    except UNLOADABLE as error:
        told = reason_of(str(error)) or one_line(error)
        is_code = " code" in told  # which is not run
        advice = "take one that is data alone" if is_code else "put a whole copy of it there"
        raise InputError(f"encoder {encoder!r} cannot be loaded ({told}); {advice}") from error


def sentence_folder(encoder: str) -> Path:
    """Return the folder of a sentence encoder; InputError where it holds no model."""
    folder = Path(encoder.removeprefix(SENTENCES))
    if not folder.is_dir():
        what = "is a file" if folder.is_file() else "does not exist"
        raise InputError(
            f"encoder {encoder!r}: the folder {folder} {what}; name a folder that "
            "SentenceTransformer.save wrote or that was downloaded from Hugging Face"
        )
    if not any((folder / name).is_file() for name in SENTENCE_CONFIGS):
        raise InputError(
            f"encoder {encoder!r}: {folder} holds no model of sentence-transformers (no "
            f"{' or '.join(SENTENCE_CONFIGS)}); name the folder in which they lie"
        )
    return folder


def sentence_encoder(encoder: str, device: torch.device, batch_size: int) -> Encode:
    """Return a sentence encoder, with the prompt that its own configuration may set.

    It is loaded twice: InputError where vectors are not the same, since what a file of weights
    lacks the library draws at random, and goes on.
    """
    folder = sentence_folder(encoder)
    _check_no_pointers(encoder, folder)
    if not (folder / SENTENCE_CONFIGS[0]).is_file():
        logger.warning("%s has no %s: the mean over tokens is taken", folder, SENTENCE_CONFIGS[0])
    vector = _probed(_sentence_model(encoder, folder, device, batch_size, seed=0))
    gc.collect()  # a model and its card name each other: both models would be in memory
    encode = _sentence_model(encoder, folder, device, batch_size, seed=1)
    # False of nan, which the texts' own vectors will show.
    if torch.dist(vector, _probed(encode)) > SAME * vector.norm():
        fault = "its file of weights lacks some, which would be drawn at random"
        raise InputError(f"encoder {encoder!r}: {fault}; put a whole copy of it there")
    return encode


def _probed(encode: Encode) -> torch.Tensor:
    """Return the vector of a text."""
    with torch.inference_mode():
        return encode([PROBE]).float()


def _sentence_model(
    encoder: str, folder: Path, device: torch.device, batch_size: int, seed: int
) -> Encode:
    """Return the model of a folder; what is not in its weights is drawn from ``seed``."""
    with loading(encoder), torch.random.fork_rng(devices=[]):
        from sentence_transformers import SentenceTransformer
        from transformers.utils import logging

        # Untyped in the library: bars, and a table of all tensors above the one line of loading.
        silences: tuple[Callable[[], None], ...]
        silences = (logging.disable_progress_bar, logging.set_verbosity_error)
        for silence in silences:
            silence()
        torch.default_generator.manual_seed(seed)
        model = SentenceTransformer(
            str(folder),
            device=str(device),
            local_files_only=True,
            model_kwargs={"dtype": torch.float32},
        )

    def encode(texts: Sequence[str]) -> torch.Tensor:
        vectors: torch.Tensor = model.encode(
            list(texts), batch_size=batch_size, show_progress_bar=False, convert_to_tensor=True
        )
        return vectors

    return encode


def _check_no_pointers(encoder: str, folder: Path) -> None:
    """Raise InputError where a file in a folder is what git-lfs leaves in its place."""
    for file in files_of(folder):
        with file.open("rb") as opened:
            if opened.read(len(POINTER)) == POINTER:
                fault = f"{file} is a pointer of git-lfs"
                raise InputError(f"encoder {encoder!r}: {fault}; run git lfs pull in the folder")


def files_of(folder: Path) -> Iterator[Path]:
    """Yield the files of a folder that a model may depend on, in order."""
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        idle = file.suffix in IDLE_SUFFIXES or parts[0] in IDLE_FOLDERS
        if file.is_file() and not hidden and not idle:
            yield file
