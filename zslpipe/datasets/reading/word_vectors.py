"""Files of word vectors: GloVe's text and word2vec's binary form, both through gensim, and ready
attribute x dimension matrices.
"""

import gzip
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.machine.errors import InputError

# What gensim raises on files that are cut off or something else; MemoryError and OverflowError: a
# header that announces more than there can be.
UNREADABLE = (
    OSError,
    EOFError,
    ValueError,
    IndexError,
    MemoryError,
    OverflowError,
    zlib.error,
)


def check_rows(vectors: np.ndarray, names: Sequence[str], where: str) -> None:
    """Raise InputError where a row is not finite or all zero, naming the attributes."""
    bad = ~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1)
    if bad.any():
        named = ", ".join(np.asarray(names)[bad][:5])
        fault = f"{bad.sum()} attributes with vectors that are zero or not finite"
        raise InputError(f"{where}: {fault}: {named}")


def read_ready(file: Path, names: Sequence[str]) -> np.ndarray:
    """Return the (attribute, dimension) float32 matrix of an ``.npy`` file, rows in the order of
    ``names``.

    Raises InputError where it is no ``.npy`` of numbers, of another shape, or has rows that are
    zero or not finite.
    """
    try:
        vectors = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{file}: not a readable .npy file ({reason})") from None
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind not in "iuf" or vectors.ndim != 2:
        raise InputError(f"{file}: a matrix of numbers expected, attribute x dimension")
    if len(vectors) != len(names):
        raise InputError(f"{file}: {len(vectors)} rows for {len(names)} attributes")
    check_rows(vectors, names, str(file))
    return vectors.astype(np.float32)


def read_text_vectors(file: Path, words: set[str]) -> dict[str, np.ndarray]:
    """Return vectors of ``words`` from GloVe's or word2vec's text form (``.gz`` too): a word and
    its numbers a line.

    Only the lines of wanted words are handed to gensim: these files hold millions, and some of
    GloVe's 840B "words" hold spaces, which no reader can tell from numbers. Raises InputError where
    the file is no such text.
    """
    opened: Callable[..., Any] = gzip.open if file.suffix == ".gz" else open
    try:
        with opened(file, "rt", encoding="utf-8", newline="\n") as text:
            lines = [line.rstrip() for line in text if _starts_with_one(words, line)]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not a readable text of word vectors ({error})") from None
    if not lines:
        return {}
    dimension = lines[0].count(" ")
    short = [line.partition(" ")[0] for line in lines if line.count(" ") != dimension]
    if short:
        named = ", ".join(short[:5])
        raise InputError(f"{file}: not {dimension} numbers for the words {named}; cut off?")
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as wanted:
        wanted.write("\n".join([f"{len(lines)} {dimension}", *lines]) + "\n")
        wanted.flush()
        return _through_gensim(Path(wanted.name), file, words, binary=False)


def _starts_with_one(words: set[str], line: str) -> bool:
    """Return whether a line is a wanted word followed by a number, not by more of a "word" with
    spaces.
    """
    word, _, rest = line.partition(" ")
    if word not in words:
        return False
    try:
        float(rest.partition(" ")[0])
    except ValueError:
        return False
    return True


def read_binary_vectors(file: Path, words: set[str]) -> dict[str, np.ndarray]:
    """Return vectors of ``words`` from word2vec's binary form (``.gz`` too); raises InputError
    where it is none.

    gensim reads the whole file: GoogleNews takes 3.6 GB of memory.
    """
    return _through_gensim(file, file, words, binary=True)


def _through_gensim(
    file: Path, named: Path, words: set[str], binary: bool
) -> dict[str, np.ndarray]:
    """Return vectors of ``words`` from a file that gensim reads; ``named`` is the file to name in
    an error.
    """
    from gensim.models import KeyedVectors  # imports in seconds: only where such a file is read

    try:
        vectors = KeyedVectors.load_word2vec_format(str(file), binary=binary)
    except UNREADABLE as error:
        reason = " ".join(str(error).split())[:80]
        fault = "not readable as word vectors, cut off or of another kind"
        raise InputError(f"{named}: {fault} ({reason})") from None
    known = sorted(word for word in words if word in vectors)
    return {word: np.asarray(vectors[word], np.float64) for word in known}
