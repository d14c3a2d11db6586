"""Files of word vectors: GloVe's text form, word2vec's binary one, and ready attribute x dimension
matrices.
"""

import codecs
import gzip
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from zslpipe.first_bytes import GZIP, HEAD, container_of
from zslpipe.machine.errors import InputError, one_line

# What reading a file that is cut off, damaged or no gzip raises.
UNREADABLE = (OSError, EOFError, ValueError, zlib.error)
WORD_END = re.compile(rb"[ \t\r\n]")
SAMPLE = 10  # first lines that tell a file's dimension
SHOWN = 40  # characters of what a file holds in a message
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
FLOAT32 = np.dtype("<f4")  # word2vec's binary numbers (its C code on a PC)
LONGEST = 1 << 20  # bytes (ours): no word and no vector is longer
CHUNK = 1 << 24  # bytes (ours) that are read at once


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
    found = container_of(file)
    if found and "numpy" not in found:
        raise InputError(f"{file}: {found}, not a .npy file; save one matrix with numpy.save")
    try:
        vectors = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(f"{file}: not a readable .npy file ({reason})") from None
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind not in "iuf" or vectors.ndim != 2:
        raise InputError(f"{file}: a matrix of numbers expected, attribute x dimension")
    if len(vectors) != len(names):
        raise InputError(f"{file}: {len(vectors)} rows for {len(names)} attributes")
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite then, and refused
        single: np.ndarray = vectors.astype(np.float32)
    check_rows(single, names, str(file))
    return single


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
            for number, read in enumerate(text, 1):
                line = (read.removeprefix(codecs.BOM_UTF8) if number == 1 else read).lstrip(b" \t")
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
    with file.open("rb") as data:
        if data.read(2) in UTF_16:
            raise InputError(f"{file}: text in UTF-16; save it in UTF-8")
    if found == GZIP or not found:
        return bool(found)
    advice = "unpack it and give the file of vectors inside"
    if "numpy" in found:
        advice = "set kind: ready, where its rows are the attributes'"
    elif "fastText" in found:
        advice = "give the .vec file beside it, of kind 'glove'"
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
    return b"_" not in text


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
    vectors = first[1:] if counts else first
    sampled = Counter(len(parts) - 1 for parts in vectors)
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
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite then, and refused
        return np.array([float(value) for value in values], np.float32).astype(np.float64)


def read_binary_vectors(file: Path, words: set[str]) -> dict[str, np.ndarray]:
    """Return vectors of ``words`` from word2vec's binary form (gzip too): a line of two counts,
    then each word, a space and its float32 numbers. The first of a word's vectors counts.

    Only what is wanted is kept: damage in a word that nobody needs harms no other. Raises
    InputError where the file is none, or does not hold exactly what its first line announces.
    """
    zipped = _opened_by(file, "word2vec")
    opened: Callable[..., Any] = gzip.open if zipped else open
    wanted = {word.encode(): word for word in words}
    found: dict[str, np.ndarray] = {}
    try:
        count, dimension = _binary_counts(file, opened)
        with opened(file, "rb") as data:
            data.readline()
            for name, numbers in _entries(data, count, dimension * FLOAT32.itemsize):
                if name in wanted:
                    vector = np.frombuffer(numbers, FLOAT32).astype(np.float64)
                    found.setdefault(wanted[name], vector)
    except InputError:
        raise
    except UNREADABLE as error:
        fault = "not readable as word vectors, cut off or of another kind"
        raise InputError(f"{file}: {fault} ({one_line(error)})") from None
    return dict(sorted(found.items()))


def _binary_counts(file: Path, opened: Callable[..., Any]) -> tuple[int, int]:
    """Return the words and dimensions that word2vec's first line announces; raises InputError where
    there is no such line, or the file goes on as text.
    """
    with opened(file, "rb") as data:
        lines = [line.split() for line in data.read(HEAD).splitlines()[:2]]
    text = "word2vec's and GloVe's text forms are read with kind: glove"
    wrong = f"{file}: not readable as word vectors of kind 'word2vec'"
    counts = _counts(lines)
    if counts is None:
        raise InputError(f"{wrong}: no line of two counts at its head; {text}")
    if len(lines[-1]) > 2 and all(_is_number(part) for part in lines[-1][1:-1]):
        raise InputError(f"{wrong}: text, not binary; {text}")
    return counts


def _entries(data: IO[bytes], count: int, width: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield ``count`` words, each with the ``width`` bytes of its numbers, and nothing of what
    stands between; raises EOFError where there are fewer, ValueError where there is more.
    """
    if not 0 < width <= LONGEST:
        raise ValueError(f"{width // FLOAT32.itemsize} dimensions announced")
    block, place = b"", 0
    for number in range(count):
        space = block.find(b" ", place)
        while space < 0 or space + 1 + width > len(block):
            more = data.read(CHUNK)
            if not more:
                raise EOFError(f"{count} words announced, the file ends in number {number + 1}")
            if space < 0 and len(block) - place > LONGEST:
                raise ValueError(f"no space ends word {number + 1}")
            block, place = block[place:] + more, 0
            space = block.find(b" ")
        yield block[place:space].lstrip(b"\n"), block[space + 1 : space + 1 + width]
        place = space + 1 + width
    if block[place:].strip() or data.read(HEAD).strip():
        dimension = width // FLOAT32.itemsize
        raise ValueError(f"it holds more than the {count} words of {dimension} numbers announced")
