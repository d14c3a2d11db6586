"""Word vectors: attribute names to words, words to vectors, one vector an attribute (the mean of
its known words).

Sources: GloVe text, word2vec binary (both through gensim), a ready attribute x dimension ``.npy``,
or random unit vectors, one a word, for the demo. The papers say GloVe, the public code of that
family read word2vec's GoogleNews: the source goes with the vectors into every table.
"""

import csv
import gzip
import logging
import re
import tempfile
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

from zslpipe.datasets.reading.text_files import existing_file
from zslpipe.formats.index import read_index
from zslpipe.formats.words import write_words_file
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import FileName, Seed
from zslpipe.settings import parse_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about word vectors; files are relative to the data folder."""

    kind: Literal["glove", "word2vec", "ready", "random"]  # text, binary, a .npy, or drawn
    file: FileName | None = None  # of all kinds but random
    source: str | None = None  # text for the tables; else told from kind and file
    corrections: FileName | None = None  # CSV from,to added to the package's
    dimension: PositiveInt = 300  # of random vectors; paper: GloVe's 300
    seed: Seed = 0  # of random vectors

    def __post_init__(self) -> None:
        """Raise ValueError unless a file is given to exactly the kinds that have one."""
        if (self.file is None) != (self.kind == "random"):
            needs = "needs no" if self.file else "needs a"
            raise ValueError(f"kind {self.kind!r} {needs} 'file'")


def write_words(
    index_path: Path, settings: Mapping[str, Any], output: Path, data_root: Path
) -> None:
    """Write ``words.h5``: /vectors (attribute, dimension) float32, /attributes, and as attrs source
    and report (JSON).

    The report maps each attribute to its words, those used and those missing. Raises InputError for
    unknown settings, unreadable files, and attributes with no known word: there is never a row of
    zeros.
    """
    where = f"words {output.stem!r}"
    chosen = parse_settings(Settings, settings, where)
    names = read_index(index_path).attribute_names
    file = existing_file(data_root, chosen.file, where) if chosen.file is not None else None
    extra = (
        [existing_file(data_root, chosen.corrections, where)]
        if chosen.corrections is not None
        else []
    )
    words = attribute_words(names, read_corrections(extra))
    if chosen.kind == "ready" and file is not None:
        vectors = read_ready(file, names)
        report = {
            name: {"words": list(found), "used": [], "missing": []} for name, found in words.items()
        }
    else:
        known = _known_vectors(chosen, file, {word for found in words.values() for word in found})
        vectors, report = mean_vectors(words, known, where)
    source = chosen.source or _source(chosen, vectors.shape[1])
    write_words_file(output, vectors, names, source, report)
    missing = sorted({word for entry in report.values() for word in entry["missing"]})
    logger.info("%s: %d attributes, %d dimensions, %s", where, *vectors.shape, source)
    if missing:
        logger.warning("%s: %d words without a vector: %s", where, len(missing), ", ".join(missing))


def _source(chosen: Settings, dimension: int) -> str:
    """Return the source in words for the tables, where the configuration gives none."""
    if chosen.kind == "random":
        return f"random unit vectors, {dimension}-d, seed {chosen.seed}"
    return f"{chosen.kind} {Path(chosen.file or '').name}"


def read_corrections(files: Iterable[Path] = ()) -> list[tuple[re.Pattern[str], str]]:
    """Return (pattern, replacement) in the order they apply: the package's table, then those of
    ``files``.

    A ``from`` of letters alone stands for that whole word; anything else is a regular expression.
    Raises InputError for a table without columns from,to or with an expression that is none.
    """
    package = resources.files("zslpipe.datasets") / "word_corrections.csv"
    tables = [("word_corrections.csv", package.read_text(encoding="utf-8"))]
    for file in files:
        try:
            tables.append((str(file), file.read_text(encoding="utf-8-sig")))
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file}: not a readable text file ({error})") from None
    return [rule for where, text in tables for rule in _rules(where, text)]


def _rules(where: str, text: str) -> list[tuple[re.Pattern[str], str]]:
    """Return one table's rules; raises InputError naming the table and the line."""
    reader = csv.DictReader(text.splitlines())
    if reader.fieldnames is None or list(reader.fieldnames) != ["from", "to"]:
        raise InputError(
            f"{where}: columns from,to expected, found {','.join(reader.fieldnames or ['none'])[:80]}"
        )
    rules = []
    for row in reader:
        old, new = row["from"], row["to"]
        if not old or new is None or None in row:
            raise InputError(f"{where}, line {reader.line_num}: two values expected, from,to")
        try:
            rules.append((re.compile(rf"\b{old}\b" if old.isalpha() else old), new))
        except re.error as error:
            raise InputError(
                f"{where}, line {reader.line_num}: {old!r} is no regular expression ({error})"
            ) from None
    return rules


def attribute_words(
    names: Sequence[str], rules: Sequence[tuple[re.Pattern[str], str]]
) -> dict[str, tuple[str, ...]]:
    """Return each attribute's words: its name in lower case, after the rules, cut at spaces."""
    words = {}
    for name in names:
        text = name.lower()
        for pattern, replacement in rules:
            text = pattern.sub(replacement, text)
        words[name] = tuple(text.split())
    return words


def mean_vectors(
    words: Mapping[str, Sequence[str]], known: Mapping[str, np.ndarray], where: str
) -> tuple[np.ndarray, dict[str, dict[str, list[str]]]]:
    """Return (attribute, dimension) means over each attribute's known words, and the report.

    Raises InputError naming the attributes that have no known word, or whose words cancel out.
    """
    report = {
        name: {
            "words": list(found),
            "used": [word for word in found if word in known],
            "missing": [word for word in found if word not in known],
        }
        for name, found in words.items()
    }
    empty = {name: entry["words"] for name, entry in report.items() if not entry["used"]}
    without = [f"{name} ({' '.join(found) or 'no words'})" for name, found in empty.items()]
    if without:
        advice = "give their words in a corrections file (from,to)"
        raise InputError(
            f"{where}: no known word in {len(without)} attributes: {', '.join(without[:5])}; {advice}"
        )
    vectors = np.stack(
        [np.mean([known[word] for word in entry["used"]], axis=0) for entry in report.values()]
    )
    _check_rows(vectors, list(report), where)
    return vectors.astype(np.float32), report


def _check_rows(vectors: np.ndarray, names: Sequence[str], where: str) -> None:
    """Raise InputError where a row is not finite or all zero, naming the attributes."""
    bad = ~np.isfinite(vectors).all(axis=1) | ~vectors.any(axis=1)
    if bad.any():
        named = ", ".join(np.asarray(names)[bad][:5])
        raise InputError(
            f"{where}: {bad.sum()} attributes with vectors that are zero or not finite: {named}"
        )


def read_ready(file: Path, names: Sequence[str]) -> np.ndarray:
    """Return the (attribute, dimension) float32 matrix of an ``.npy`` file, rows in the order of
    ``names``.

    Raises InputError where it is no ``.npy`` of numbers, of another shape, or has rows that are
    zero or not finite.
    """
    try:
        vectors = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(
            f"{file}: not a readable .npy file ({' '.join(str(error).split())[:80]})"
        ) from None
    if not isinstance(vectors, np.ndarray) or vectors.dtype.kind not in "iuf" or vectors.ndim != 2:
        raise InputError(f"{file}: a matrix of numbers expected, attribute x dimension")
    if len(vectors) != len(names):
        raise InputError(f"{file}: {len(vectors)} rows for {len(names)} attributes")
    _check_rows(vectors, names, str(file))
    return vectors.astype(np.float32)


def _known_vectors(chosen: Settings, file: Path | None, words: set[str]) -> dict[str, np.ndarray]:
    """Return a vector for each of ``words`` that the source knows (a random source knows every
    word).
    """
    if file is None:
        return {word: random_vector(word, chosen.dimension, chosen.seed) for word in sorted(words)}
    reader = read_text_vectors if chosen.kind == "glove" else read_binary_vectors
    return reader(file, words)


def random_vector(word: str, dimension: int, seed: int) -> np.ndarray:
    """Return a word's unit vector (dimension) float64, the same whatever other words there are."""
    direction = np.random.default_rng([seed, zlib.crc32(word.encode())]).standard_normal(dimension)
    return direction / np.linalg.norm(direction)


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
        raise InputError(
            f"{file}: not {dimension} numbers for the words {', '.join(short[:5])}; cut off?"
        )
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
    except (
        OSError,
        EOFError,
        ValueError,
        IndexError,
        MemoryError,
        OverflowError,
        zlib.error,
    ) as error:
        reason = " ".join(str(error).split())[:80]
        raise InputError(
            f"{named}: not readable as word vectors, cut off or of another kind ({reason})"
        ) from None
    return {
        word: np.asarray(vectors[word], np.float64) for word in sorted(words) if word in vectors
    }
