"""Files of word vectors as people have them: damaged where nobody looks, packed, of other forms."""

import gzip
import io
import re
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from tests.made_up.damage import message_of
from zslpipe.datasets.reading import word_vectors
from zslpipe.datasets.reading.word_vectors import (
    read_binary_vectors,
    read_ready,
    read_text_vectors,
)

NAMES = ["red", "wing", "caf\u00e9", "bill"]
VECTORS = np.random.default_rng(0).normal(size=(4, 5)).astype(np.float32)
WANTED = {"red", "caf\u00e9", "bill", "absent"}


def lines(separator: str = " ") -> list[bytes]:
    rows = []
    for name, vector in zip(NAMES, VECTORS.tolist(), strict=True):
        rows.append(separator.join([name, *map(repr, vector)]).encode())
    return rows


def entry(name: str, vector: np.ndarray) -> bytes:
    return name.encode() + b" " + vector.astype("<f4").tobytes()


def binary() -> bytes:
    data = b"4 5\n"
    for name, vector in zip(NAMES, VECTORS, strict=True):
        data += entry(name, vector) + b"\n"
    return data


TEXT = b"\n".join(lines()) + b"\n"
# The same vectors in many files of the text form.
TEXTS = {
    "GloVe": TEXT,
    "word2vec's text form, with its line of counts": b"4 5\n" + TEXT,
    "tabs": b"\n".join(lines("\t")),
    "a tab behind the word, then spaces": TEXT.replace(b"red ", b"red\t").replace(
        b"bill ", b"bill\t"
    ),
    "line ends of Windows": TEXT.replace(b"\n", b"\r\n"),
    "spaces at line ends": TEXT.replace(b"\n", b" \n"),
    "gzip without its suffix": gzip.compress(TEXT),
    "bytes of no encoding in a word nobody needs": TEXT.replace(b"wing", b"w\xffng"),
    "and among its numbers": b"w\xff\xfe 1 \xf0 3\n" + TEXT,
    "zeros in a word nobody needs": TEXT.replace(b"wing", b"w\0ng"),
    "a short line of a word nobody needs": b"\n".join([b"tiny 1 2", *lines()]),
    "a word that holds spaces": b". . . 1 2 3 4 5\nred name@domain.com 1 2 3 4 5\n" + TEXT,
    "a word given twice, of which the first counts": TEXT + b"red 9 9 9 9 9\n",
    "a byte-order mark": b"\xef\xbb\xbf" + TEXT,
    "a byte-order mark before counts": b"\xef\xbb\xbf4 5\n" + TEXT,
    "spaces at the lines' beginnings": b"\n".join(b"  " + line for line in lines()),
}


@pytest.mark.parametrize("case", TEXTS)
def test_the_same_vectors_in_many_texts(tmp_path, case):
    (tmp_path / "vectors.txt").write_bytes(TEXTS[case])
    found = read_text_vectors(tmp_path / "vectors.txt", WANTED)
    assert sorted(found) == ["bill", "caf\u00e9", "red"]
    for name, vector in found.items():
        np.testing.assert_array_equal(vector, VECTORS[NAMES.index(name)].astype(np.float64))


BINARIES = {
    "plain": binary(),
    "gzip without its suffix": gzip.compress(binary()),
    "a bad byte in a word nobody needs": binary().replace(b"wing", b"w\xffng"),
    "another one": binary().replace(b"wing", b"\xe9ing"),
    "no line ends behind the vectors": b"".join(
        [b"4 5\n", *(entry(name, vector) for name, vector in zip(NAMES, VECTORS, strict=True))]
    ),
    "a word given twice, of which the first counts": binary().replace(b"4 5", b"5 5")
    + entry("red", np.ones(5)),
}


@pytest.mark.parametrize("case", BINARIES)
def test_the_same_vectors_in_many_binaries(tmp_path, case):
    (tmp_path / "vectors.bin").write_bytes(BINARIES[case])
    found = read_binary_vectors(tmp_path / "vectors.bin", WANTED)
    assert sorted(found) == ["bill", "caf\u00e9", "red"]
    for name, vector in found.items():
        np.testing.assert_array_equal(vector, VECTORS[NAMES.index(name)])


def test_the_suffix_of_gzip_without_its_content(tmp_path):
    (tmp_path / "vectors.bin.gz").write_bytes(binary())
    (tmp_path / "vectors.txt.gz").write_bytes(TEXT)
    assert len(read_binary_vectors(tmp_path / "vectors.bin.gz", WANTED)) == 3
    assert len(read_text_vectors(tmp_path / "vectors.txt.gz", WANTED)) == 3


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as file:
        file.writestr("glove.6B.300d.txt", TEXT)
    return data.getvalue()


def tarred(mode: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as file:
        entry = tarfile.TarInfo("vectors.bin")
        entry.size = len(TEXT)
        file.addfile(entry, io.BytesIO(TEXT))
    return data.getvalue()


def npy() -> bytes:
    data = io.BytesIO()
    np.save(data, VECTORS)
    return data.getvalue()


UNPACK = "unpack it and give the file of vectors inside"
HTML = b"<!DOCTYPE html><html><head><title>Google Drive</title></head></html>"
CONTAINERS = {
    "zip": (zipped(), f"a zip archive .*; {UNPACK}"),
    "tar": (tarred("w"), f"a tar archive, .*; {UNPACK}"),
    "tar.gz": (tarred("w:gz"), f"a tar archive, compressed by gzip, .*; {UNPACK}"),
    "bzip2": (b"BZh91AY&SY" + bytes(50), f"compressed by bzip2, .*; {UNPACK}"),
    "a page": (HTML, "a web page .*; download it again"),
    "a page behind gzip": (gzip.compress(HTML), "a web page .*gzip.*; download it again"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    "npy": (npy(), "a numpy array .*; set kind: ready"),
    "pickle": (b"\x80\x04\x95" + bytes(90), "a Python pickle, .*; save it with gensim's"),
    "fastText": (b"\xba\x16\x4f\x2f\x0c" + bytes(90), r"a fastText model .*; give the \.vec file"),
    "UTF-16": (TEXT.decode().encode("utf-16"), "text in UTF-16; save it in UTF-8"),
    "nothing": (b"", "the file is empty"),
}


@pytest.mark.parametrize("read", [read_text_vectors, read_binary_vectors])
@pytest.mark.parametrize("case", CONTAINERS)
def test_containers_are_named(tmp_path, case, read):
    data, expected = CONTAINERS[case]
    check(tmp_path, data, read, expected)


def check(folder: Path, data: bytes, read: Callable[..., object], expected: str) -> None:
    path = folder / "vectors.file"
    path.write_bytes(data)
    text = message_of(lambda: read(path, WANTED))
    assert text.startswith(str(path))
    assert re.search(expected, text), text


SHORT = [lines()[0].rsplit(b" ", 1)[0], *lines()[1:]]
TEXTS_REFUSED = {
    "a short first line": (b"\n".join(SHORT), "line 1: 'red' has 4 numbers, 5 expected"),
    "a short first line below counts": (b"\n".join([b"4 5", *SHORT]), "line 2: 'red' has 4 num"),
    "a short last line": (TEXT[:-25], "line 4: 'bill' has [34] numbers, 5 expected"),
    "another dimension from the third line on": (
        TEXT.replace(b"caf", b"new 1 2\ncaf", 1) + b"absent 1 2\n",
        "line 6: 'absent' has 2 numbers, 5 expected",
    ),
    "counts of other vectors": (b"4 300\n" + TEXT, "line 1: announces 300 dimensions, .* have 5"),
    "binary": (binary(), "binary form is read with kind: word2vec"),
    "commas": (TEXT.replace(b" ", b","), "between spaces or tabs, expected"),
    "a poem": (b"roses are red\nviolets are blue\n", "found 'roses are red'"),
}


@pytest.mark.parametrize("case", TEXTS_REFUSED)
def test_broken_texts_name_the_line(tmp_path, case):
    data, expected = TEXTS_REFUSED[case]
    check(tmp_path, data, read_text_vectors, expected)


def test_a_broken_number_of_a_wanted_word_names_the_line(tmp_path):
    rows = lines()
    parts = rows[3].split()
    rows[3] = b" ".join([*parts[:3], b"0.\xff1", *parts[4:]])
    check(tmp_path, b"\n".join(rows), read_text_vectors, "line 4: 'bill' has '0.\ufffd1' among")


BINARIES_REFUSED = {
    "text with counts": (b"4 5\n" + TEXT, "text, not binary; .* read with kind: glove"),
    "GloVe": (TEXT, "no line of two counts at its head; .* read with kind: glove"),
    "cut off": (binary()[:60], "4 words announced, the file ends in number 3"),
    # Read as announced, each vector would be made of the next word's bytes.
    "counts of fewer dimensions": (
        binary().replace(b"4 5", b"4 4"),
        "more than the 4 words of 4 n",
    ),
    "counts of more dimensions": (binary().replace(b"4 5", b"4 6"), "4 words announced, the file"),
    "counts of fewer words": (binary().replace(b"4 5", b"2 5"), "more than the 2 words of 5 numb"),
    "counts of no machine": (
        binary().replace(b"4 5", b"4 99999999999"),
        "99999999999 dimensions an",
    ),
    "cut off behind gzip": (gzip.compress(binary())[:60], "not readable as word vectors, cut off"),
}


@pytest.mark.parametrize("case", BINARIES_REFUSED)
def test_broken_binaries(tmp_path, case):
    data, expected = BINARIES_REFUSED[case]
    check(tmp_path, data, read_binary_vectors, expected)


def test_vectors_longer_than_what_is_read_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr(word_vectors, "CHUNK", 7)
    (tmp_path / "vectors.bin").write_bytes(binary())
    for name, vector in read_binary_vectors(tmp_path / "vectors.bin", WANTED).items():
        np.testing.assert_array_equal(vector, VECTORS[NAMES.index(name)])


def test_binaries_read_as_gensim_writes_and_reads_them(tmp_path):
    table = KeyedVectors(7)
    vectors = np.random.default_rng(1).normal(size=(50, 7)).astype(np.float32)
    table.add_vectors([f"word{number}" for number in range(50)], vectors)
    table.save_word2vec_format(str(tmp_path / "vectors.bin"), binary=True)
    found = read_binary_vectors(tmp_path / "vectors.bin", set(table.key_to_index))
    assert len(found) == 50
    again = KeyedVectors.load_word2vec_format(str(tmp_path / "vectors.bin"), binary=True)
    for name, vector in found.items():
        np.testing.assert_array_equal(vector, again[name])


def test_ready_vectors_that_float32_cannot_hold_are_refused(tmp_path):
    np.save(tmp_path / "large.npy", np.full((2, 3), 1e39))
    fault = "2 attributes with vectors that are zero or not finite: red, wing"
    assert fault in message_of(lambda: read_ready(tmp_path / "large.npy", NAMES[:2]))
    with (tmp_path / "table.npy").open("wb") as file:
        np.savez(file, one=VECTORS)
    text = message_of(lambda: read_ready(tmp_path / "table.npy", NAMES))
    assert "a zip archive (.zip, .npz" in text
    assert "save one matrix with numpy.save" in text


def test_texts_read_as_gensim_reads_them(tmp_path):
    path = tmp_path / "vectors.txt"
    path.write_bytes(b"4 5\n" + TEXT)
    table = KeyedVectors.load_word2vec_format(str(path), binary=False)
    for name, vector in read_text_vectors(path, WANTED).items():
        np.testing.assert_array_equal(vector, table[name].astype(np.float64))
