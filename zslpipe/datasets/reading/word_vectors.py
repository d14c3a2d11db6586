"""Files of word vectors: GloVe's text form, word2vec's binary one through gensim, and ready
attribute x dimension matrices.
"""

import gzip
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from zslpipe.datasets.reading.text_files import GZIP, HEAD, container_of
from zslpipe.machine.errors import InputError, one_line

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
WORD_END = re.compile(rb"[ \t\r\n]")
SAMPLE = 10  # first lines that tell a file's dimension
SHOWN = 40  # characters of what a file holds in a message


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
    """Return vectors of ``words`` from GloVe's or word2vec's text form (gzip too): a word and its
    numbers a line, between spaces or tabs; in word2vec's a line of two counts before.

    Only the lines of wanted words are looked into: these files hold millions, and some of GloVe's
    840B "words" hold spaces, which no reader can tell from numbers. The first of a word's lines
    counts. Raises InputError where the file is no such text, or a wanted word's line is broken.
    """
    zipped = _opened_by(file, "glove")
    wanted = {word.encode(): word for word in words}
    opened: Callable[..., Any] = gzip.open if zipped else open
    found: dict[str, tuple[int, list[bytes]]] = {}
    first: list[list[bytes]] = []
    try:
        with opened(file, "rb") as text:
            for number, line in enumerate(text, 1):
                if number <= SAMPLE:
                    first.append(line.split())
                word = WORD_END.split(line, maxsplit=1)[0]
                if word in wanted and _is_a_word_and_numbers(line):
                    found.setdefault(wanted[word], (number, line.split()[1:]))
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(
            f"{file}: not a readable text of word vectors ({one_line(error)})"
        ) from None
    _check_text(file, first)
    lengths = Counter(len(values) for _, values in found.values())
    dimension = _dimension(file, first, lengths)
    return {word: _vector(file, word, *found[word], dimension) for word in sorted(found)}


def _opened_by(file: Path, kind: str) -> bool:
    """Return whether gzip compressed a file of word vectors; raises InputError where it is a
    container, or a form of vectors that another ``kind`` reads.
    """
    try:
        found = container_of(file)
        size = file.stat().st_size
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {one_line(error)}") from None
    if not size:
        raise InputError(f"{file}: the file is empty")
    if found == GZIP or not found:
        return bool(found)
    advice = "unpack it and give the file of vectors inside"
    if "numpy" in found:
        advice = "set kind: ready, where its rows are the attributes'"
    elif "web page" in found or "git-lfs" in found:
        advice = "download it again"
    elif "pickle" in found or "HDF5" in found:
        advice = "save it with gensim's save_word2vec_format"
    raise InputError(f"{file}: {found}, not a file of word vectors of kind {kind!r}; {advice}")


def _is_a_word_and_numbers(line: bytes) -> bool:
    """Return whether a number, not more of a "word" with spaces, comes after a line's word."""
    parts = line.split(maxsplit=2)
    return len(parts) > 1 and _is_number(parts[1])


def _is_number(text: bytes) -> bool:
    """Return whether bytes are those of a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def _counts(first: Sequence[Sequence[bytes]]) -> tuple[int, int] | None:
    """Return the words and dimensions that word2vec's first line announces, None without one."""
    if first and len(first[0]) == 2 and all(part.isdigit() for part in first[0]):
        return int(first[0][0]), int(first[0][1])
    return None


def _check_text(file: Path, first: Sequence[Sequence[bytes]]) -> None:
    """Raise InputError where none of a file's first lines, split at spaces, is a word and
    numbers.
    """
    lines = first[1:] if _counts(first) else first
    if any(len(parts) > 1 and _is_number(parts[-1]) for parts in lines):
        return
    shown = b" ".join(lines[0])[:SHOWN].decode("utf-8", "replace") if lines else "nothing"
    if _counts(first):
        advice = "word2vec's binary form is read with kind: word2vec"
    else:
        advice = "a word and its numbers a line, between spaces or tabs, expected"
    raise InputError(f"{file}: not a readable text of word vectors (found {shown!r}); {advice}")


def _dimension(file: Path, first: Sequence[Sequence[bytes]], lengths: Counter[int]) -> int:
    """Return how many numbers a vector has: as most of the file's first lines and the wanted words
    have. Raises InputError where the first line announces others.
    """
    counts = _counts(first)
    sampled = Counter(len(parts) - 1 for parts in (first[1:] if counts else first))
    dimension = (lengths + sampled).most_common(1)[0][0]
    if counts and counts[1] != dimension:
        fault = f"announces {counts[1]} dimensions, the lines below have {dimension}"
        raise InputError(f"{file}, line 1: {fault}; correct it, or leave the line out")
    return dimension


def _vector(
    file: Path, word: str, number: int, values: Sequence[bytes], dimension: int
) -> np.ndarray:
    """Return a line's vector, of float32's precision; raises InputError that names the line where
    it is none of ``dimension`` numbers.
    """
    where = f"{file}, line {number}: {word!r}"
    if len(values) != dimension:
        fault = f"has {len(values)} numbers, {dimension} expected as in the others"
        raise InputError(f"{where} {fault}; cut off, or two files in one?")
    broken = [value for value in values if not _is_number(value)]
    if broken:
        shown = broken[0][:SHOWN].decode("utf-8", "replace")
        raise InputError(f"{where} has {shown!r} among its numbers; damaged, get the file again")
    return np.array([float(value) for value in values], np.float32).astype(np.float64)


def read_binary_vectors(file: Path, words: set[str]) -> dict[str, np.ndarray]:
    """Return vectors of ``words`` from word2vec's binary form (gzip too); raises InputError where
    it is none.

    gensim reads the whole file: GoogleNews takes 3.6 GB of memory. A word whose bytes are no UTF-8
    is read with a mark in their place, and harms no other.
    """
    from gensim.models import KeyedVectors  # imports in seconds: only where such a file is read

    zipped = _opened_by(file, "word2vec")
    _check_binary(file, zipped)
    try:
        with _as_gensim_opens(file, zipped) as named:
            vectors = KeyedVectors.load_word2vec_format(
                str(named), binary=True, unicode_errors="replace"
            )
    except UNREADABLE as error:
        fault = "not readable as word vectors, cut off or of another kind"
        raise InputError(f"{file}: {fault} ({one_line(error)})") from None
    known = sorted(word for word in words if word in vectors)
    return {word: np.asarray(vectors[word], np.float64) for word in known}


def _check_binary(file: Path, zipped: bool) -> None:
    """Raise InputError where a file does not begin with word2vec's line of counts, or goes on as
    text.
    """
    opened: Callable[..., Any] = gzip.open if zipped else open
    try:
        with opened(file, "rb") as data:
            head = data.read(HEAD).splitlines()
    except (OSError, EOFError, zlib.error) as error:
        fault = "not readable as word vectors, cut off or of another kind"
        raise InputError(f"{file}: {fault} ({one_line(error)})") from None
    lines = [line.split() for line in head[:2]]
    text = "word2vec's and GloVe's text forms are read with kind: glove"
    if _counts(lines) is None:
        fault = "not readable as word vectors of kind 'word2vec': no line of two counts at its head"
        raise InputError(f"{file}: {fault}; {text}")
    if len(lines[-1]) > 2 and all(_is_number(part) for part in lines[-1][1:-1]):
        fault = "not readable as word vectors of kind 'word2vec': text, not binary"
        raise InputError(f"{file}: {fault}; {text}")


@contextmanager
def _as_gensim_opens(file: Path, zipped: bool) -> Iterator[Path]:
    """Yield the file by a name that tells gensim whether gzip compressed it: it goes by the
    suffix.
    """
    if zipped == (file.suffix == ".gz"):
        yield file
        return
    with tempfile.TemporaryDirectory() as folder:
        link = Path(folder) / ("vectors.bin.gz" if zipped else "vectors.bin")
        link.symlink_to(file.resolve())
        yield link
