"""Word vectors: attribute names to words, words to vectors, one vector an attribute (the mean of
its known words).

Sources: GloVe text, word2vec binary, a ready attribute x dimension ``.npy``,
or random unit vectors, one a word, for the demo; or a text encoder, which takes the phrase as a
whole (features/text_encoding.py: it needs torch). The papers say GloVe, the public code of that
family read word2vec's GoogleNews: the source goes with the vectors into every table.
"""

import csv
import logging
import re
import unicodedata
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import PositiveInt

from zslpipe.datasets.reading.spreadsheets import SEPARATORS
from zslpipe.datasets.reading.text_files import existing_file, read_text
from zslpipe.datasets.reading.word_vectors import (
    check_rows,
    read_binary_vectors,
    read_ready,
    read_text_vectors,
)
from zslpipe.formats.index import read_index
from zslpipe.formats.words import write_words_file
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import (
    ATTRIBUTE,
    PAIRS,
    AttributeTemplate,
    FileName,
    Seed,
    TextEncoder,
    TowerWeights,
)
from zslpipe.settings import parse_settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What a configuration can say about word vectors; files are relative to the data folder."""

    kind: Literal[
        "glove", "word2vec", "ready", "random", "text"
    ]  # file of text, binary, a .npy, drawn, encoded
    file: FileName | None = None  # of glove, word2vec and ready
    source: str | None = None  # text for the tables; else told from kind and file
    corrections: FileName | None = None  # CSV from,to added to the package's
    dimension: PositiveInt = 300  # of random vectors; paper: GloVe's 300
    seed: Seed = 0  # of random vectors
    encoder: TextEncoder | None = None  # of kind text: as under texts
    weights: TowerWeights | None = None  # of kind text: as under texts
    template: AttributeTemplate | None = None  # of kind text; default the attribute's words alone

    def __post_init__(self) -> None:
        """Raise ValueError unless a file, or an encoder, is given to exactly the kinds that have
        one.
        """
        if (self.file is None) != (self.kind in ("random", "text")):
            needs = "needs no" if self.file else "needs a"
            raise ValueError(f"kind {self.kind!r} {needs} 'file'")
        if (self.encoder is None) == (self.kind == "text"):
            needs = "needs no" if self.encoder else "needs an"
            raise ValueError(f"kind {self.kind!r} {needs} 'encoder'")
        of_pair = str(self.encoder).startswith(PAIRS)
        if of_pair != (self.weights is not None):
            needs = "needs" if of_pair else "takes no"
            raise ValueError(f"encoder {self.encoder!r} {needs} 'weights'")
        if self.kind != "text" and self.template is not None:
            raise ValueError(f"kind {self.kind!r} has no 'template'")


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
    if chosen.kind == "text":
        raise InputError(f"{where}: kind 'text' needs an encoder's environment: use encode-words")
    names = read_index(index_path).attribute_names
    file = existing_file(data_root, chosen.file, where) if chosen.file is not None else None
    words = words_of(names, chosen, data_root, where)
    if chosen.kind == "ready" and file is not None:
        vectors, report = read_ready(file, names), _unused(words)
    else:
        wanted = {word for found in words.values() for word in found}
        vectors, report = mean_vectors(words, known_vectors(chosen, file, wanted), where)
    source = chosen.source or _source(chosen, vectors.shape[1])
    write_words_file(output, vectors, names, source, report, asdict(chosen))
    logger.info("%s: %d attributes, %d dimensions, %s", where, *vectors.shape, source)
    missing = sorted({word for entry in report.values() for word in entry["missing"]})
    if missing:
        logger.warning("%s: %d words without a vector: %s", where, len(missing), ", ".join(missing))


def encoded_settings(settings: Mapping[str, Any], where: str) -> tuple[Settings, str]:
    """Return settings of kind "text" and their encoder; InputError for another kind."""
    chosen = parse_settings(Settings, settings, where)
    if chosen.encoder is None:
        raise InputError(f"{where}: kind {chosen.kind!r} needs no encoder: use the command words")
    return chosen, chosen.encoder


def phrases_of(
    names: Sequence[str], chosen: Settings, data_root: Path, where: str
) -> tuple[dict[str, str], dict[str, dict[str, list[str]]]]:
    """Return what is encoded of each attribute, kind "text": the template with its words; and the
    report. Raises InputError for an attribute without words.
    """
    template, phrases, report = chosen.template or ATTRIBUTE, {}, {}
    for name, found in words_of(names, chosen, data_root, where).items():
        if not found:
            raise InputError(f"{where}: no words in attribute {name!r}; give them in corrections")
        phrases[name] = template.replace(ATTRIBUTE, " ".join(found))
        report[name] = {"words": list(found), "used": list(found), "missing": []}
    return phrases, report


def words_of(
    names: Sequence[str], chosen: Settings, data_root: Path, where: str
) -> dict[str, tuple[str, ...]]:
    """Return each attribute's words, after the corrections that are configured."""
    extra = []
    if chosen.corrections is not None:
        extra.append(existing_file(data_root, chosen.corrections, where))
    return attribute_words(names, read_corrections(extra))


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
    rules = _rules("word_corrections.csv", package.read_text(encoding="utf-8"))
    for file in files:
        rules += _rules(str(file), read_text(file))
    return rules


def _rules(where: str, text: str) -> list[tuple[re.Pattern[str], str]]:
    """Return one table's rules; raises InputError naming the table and the line."""
    first = text.partition("\n")[0].strip().replace('"', "")
    separator = next((one for one in SEPARATORS if first == f"from{one}to"), ",")
    reader = csv.DictReader(text.splitlines(), delimiter=separator)
    columns = list(reader.fieldnames or ["none"])
    if columns != ["from", "to"]:
        raise InputError(f"{where}: columns from,to expected, found {','.join(columns)[:80]}")
    rules = []
    for row in reader:
        old, new = row["from"], row["to"]
        if not old or new is None or None in row:
            raise InputError(f"{where}, line {reader.line_num}: two values expected, from,to")
        try:
            rules.append((re.compile(rf"\b{old}\b" if old.isalpha() else old), new))
        except re.error as error:
            fault = f"{old!r} is no regular expression ({error})"
            raise InputError(f"{where}, line {reader.line_num}: {fault}") from None
    return rules


def attribute_words(
    names: Sequence[str], rules: Sequence[tuple[re.Pattern[str], str]]
) -> dict[str, tuple[str, ...]]:
    """Return each attribute's words: its name in lower case, after the rules, cut at spaces."""
    words = {}
    for name in names:
        text = unicodedata.normalize("NFC", name).lower()
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
    report = {}
    rows = []
    without = []
    for name, found in words.items():
        used = [word for word in found if word in known]
        missing = [word for word in found if word not in known]
        report[name] = {"words": list(found), "used": used, "missing": missing}
        if used:
            rows.append(np.mean([known[word] for word in used], axis=0))
        else:
            without.append(f"{name} ({' '.join(found) or 'no words'})")
    if without:
        named = ", ".join(without[:5])
        fault = f"no known word in {len(without)} attributes: {named}"
        raise InputError(f"{where}: {fault}; give their words in a corrections file (from,to)")
    vectors = np.stack(rows)
    check_rows(vectors, list(report), where)
    return vectors.astype(np.float32), report


def _unused(words: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
    """Return the report on ready vectors, which use no words."""
    report = {}
    for name, found in words.items():
        report[name] = {"words": list(found), "used": [], "missing": []}
    return report


def known_vectors(chosen: Settings, file: Path | None, words: set[str]) -> dict[str, np.ndarray]:
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
