"""Word vectors: the clean-up table, means over known words, sources, reports, what is refused."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from gensim.models import KeyedVectors

from zslpipe.datasets.more_words import more_vectors
from zslpipe.datasets.words import (
    Settings,
    attribute_words,
    encoded_settings,
    phrases_of,
    random_vector,
    read_corrections,
    write_words,
)
from zslpipe.formats.index import Index, write_index
from zslpipe.machine.errors import InputError
from zslpipe.settings import parse_settings

NAMES = ("has_bill_shape::curved_(up_or_down)", "newworld", "semi-enclosed area", "flys")
KNOWN = ("bill", "shape", "curved", "new", "world", "area", "flies")


def write_small_index(path: Path, names: tuple[str, ...] = NAMES) -> Path:
    splits = {"trainval": [0, 1], "test_seen": [2], "test_unseen": [3], "train": [0], "val": [1]}
    paths = tuple(f"{row}.jpg" for row in range(4))
    index = Index(
        dataset="small",
        adapter="test",
        paths=paths,
        labels=np.array([0, 1, 0, 2]),
        class_names=("a", "b", "c"),
        seen=np.array([True, True, False]),
        validation=np.array([False, True, False]),
        splits={name: np.array(rows) for name, rows in splits.items()},
        semantics={"att": np.arange(1.0, 1 + 3 * len(names)).reshape(3, -1)},
        attribute_names=names,
        attribute_groups=("",) * len(names),
        attribute_parts=np.zeros((len(names), 0), bool),
    )
    write_index(index, path)
    return path


def vectors() -> KeyedVectors:
    table = KeyedVectors(4)
    table.add_vectors(list(KNOWN), np.arange(1.0, 29.0, dtype=np.float32).reshape(7, 4))
    return table


def read(path: Path) -> tuple[np.ndarray, list[str], str, dict]:
    with h5py.File(path) as file:
        names = list(file["attributes"].asstr()[()])
        return file["vectors"][()], names, file.attrs["source"], json.loads(file.attrs["report"])


def write(
    tmp_path: Path, settings: dict, names: tuple[str, ...] = NAMES
) -> tuple[np.ndarray, list[str], str, dict]:
    write_words(
        write_small_index(tmp_path / "index.h5", names), settings, tmp_path / "words.h5", tmp_path
    )
    return read(tmp_path / "words.h5")


def test_clean_up_table():
    names = [
        "has_bill_shape::hooked_seabird",
        "longleg",
        "chewteeth",
        "black",
        "no horizon",
        "dirt/soil",
        "upright-perching",
    ]
    words = attribute_words(names, read_corrections())
    assert list(words.values()) == [
        ("bill", "shape", "hooked", "seabird"),
        ("long", "leg"),
        ("chew", "teeth"),
        ("black",),
        ("no", "horizon"),
        ("dirt", "soil"),
        ("upright", "perching"),
    ]


@pytest.mark.parametrize("kind", ["glove", "word2vec"])
def test_vectors_are_means_over_known_words(tmp_path, kind):
    file = tmp_path / "vectors.file"
    vectors().save_word2vec_format(
        str(file), binary=kind == "word2vec", write_header=kind == "word2vec"
    )
    found, names, source, report = write(
        tmp_path, {"kind": kind, "file": "vectors.file", "source": "mine 4-d"}
    )
    table = vectors()
    expected = []
    for words in (("bill", "shape", "curved"), ("new", "world"), ("area",), ("flies",)):
        total = np.zeros(4)
        for word in words:
            total += table[word]
        expected.append(total / len(words))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (names, source, found.dtype) == (list(NAMES), "mine 4-d", np.float32)
    third = {
        "words": ["semi", "enclosed", "area"],
        "used": ["area"],
        "missing": ["semi", "enclosed"],
    }
    assert report["semi-enclosed area"] == third


def test_glove_lines_whose_word_holds_spaces_are_passed_over(tmp_path):
    file = tmp_path / "glove.txt"
    vectors().save_word2vec_format(str(file), write_header=False)
    file.write_text(". . . 1 2 3 4\nnew name@domain.com 1 2 3 4\n" + file.read_text())
    found, *_ = write(tmp_path, {"kind": "glove", "file": "glove.txt"})
    np.testing.assert_allclose(found[1], (vectors()["new"] + vectors()["world"]) / 2)


def test_user_corrections_extend_the_table(tmp_path):
    vectors().save_word2vec_format(str(tmp_path / "glove.txt"), write_header=False)
    (tmp_path / "mine.csv").write_text("from,to\nwombat,new world\n^odd .*,area\n")
    settings = {"kind": "glove", "file": "glove.txt", "corrections": "mine.csv"}
    found, *_ = write(tmp_path, settings, ("wombat", "odd one out"))
    np.testing.assert_allclose(
        found, [(vectors()["new"] + vectors()["world"]) / 2, vectors()["area"]]
    )


def test_random_words_do_not_depend_on_their_company(tmp_path):
    many, *_ = write(
        tmp_path, {"kind": "random", "dimension": 16, "seed": 3}, ("red wing", "blue wing", "red")
    )
    one, *_ = write(tmp_path, {"kind": "random", "dimension": 16, "seed": 3}, ("red",))
    np.testing.assert_array_equal(many[2], one[0])
    np.testing.assert_allclose(
        many[0], (random_vector("red", 16, 3) + random_vector("wing", 16, 3)) / 2, rtol=1e-6
    )
    assert np.linalg.norm(one[0]) == pytest.approx(1.0)
    other, *_ = write(tmp_path, {"kind": "random", "dimension": 16, "seed": 4}, ("red",))
    assert not np.allclose(one, other)


def test_ready_vectors_keep_their_rows(tmp_path):
    ready = np.random.default_rng(0).standard_normal((4, 5))
    np.save(tmp_path / "ready.npy", ready.astype(">f8"))  # the other byte order reads the same
    found, _, source, _ = write(tmp_path, {"kind": "ready", "file": "ready.npy"})
    np.testing.assert_allclose(found, ready, rtol=1e-6)
    assert source == "ready ready.npy"


def test_a_report_of_thousands_of_attributes_fits(tmp_path):
    names = tuple(f"long attribute number {number} with many words" for number in range(2000))
    _, _, _, report = write(tmp_path, {"kind": "random", "dimension": 4}, names)
    assert len(report) == 2000


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_corrections_of_many_programs(tmp_path, separator, encoding):
    vectors().save_word2vec_format(str(tmp_path / "glove.txt"), write_header=False)
    rows = f"from{separator}to\r\ncaf\u00e9{separator}new world\r\n"
    (tmp_path / "mine.csv").write_bytes(rows.encode(encoding))
    settings = {"kind": "glove", "file": "glove.txt", "corrections": "mine.csv"}
    found, *_ = write(tmp_path, settings, ("CAF\u00c9", "cafe\u0301", "area"))
    np.testing.assert_allclose(found[0], (vectors()["new"] + vectors()["world"]) / 2)
    np.testing.assert_array_equal(found[0], found[1])


def test_letters_of_other_languages_are_no_separators():
    words = attribute_words(
        ("gr\u00f6\u00dfe_klein", "na\u0131ve (x)", "up/down", "a__b"), read_corrections()
    )
    assert list(words.values()) == [
        ("gr\u00f6\u00dfe", "klein"),
        ("na\u0131ve",),
        ("up", "down"),
        ("a", "b"),
    ]


def ready(values: np.ndarray, pickled: bool = False):
    return lambda path: (
        np.save(path / "v.file", values, allow_pickle=pickled)
        or (path / "v.file.npy").rename(path / "v.file")
    )


def raw(data: bytes):
    return lambda path: (path / "v.file").write_bytes(data)


def binary_cut_off(path: Path) -> None:
    vectors().save_word2vec_format(str(path / "v.file"), binary=True)
    (path / "v.file").write_bytes((path / "v.file").read_bytes()[:80])


FILE = {"file": "v.file"}
ZERO, NAN = np.ones((4, 3)), np.ones((4, 3))
ZERO[2], NAN[1, 1] = 0, np.nan
REFUSED = {
    "no known word": (
        raw(b"new 1 2\nworld 1 2\n"),
        {"kind": "glove", **FILE},
        "no known word in 3 attributes: has_bill",
    ),
    "words cancel out": (
        raw(b"new 1 2\nworld -1 -2\nbill 1 1\narea 1 1\nflies 1 1\n"),
        {"kind": "glove", **FILE},
        "newworld",
    ),
    "numbers missing": (
        raw(b"new 1 2\nworld 1\nbill 1 1\n"),
        {"kind": "glove", **FILE},
        "line 2: 'world' has 1 numbers, 2 expected as in the others; cut off",
    ),
    "bytes as text": (
        raw(b"\xfd\xfe\x80" * 50),
        {"kind": "glove", **FILE},
        "not a readable text of word vectors",
    ),
    "binary cut off": (
        binary_cut_off,
        {"kind": "word2vec", **FILE},
        "not readable as word vectors, cut off",
    ),
    "text as binary": (
        raw(b"new 1 2\nworld 1 2\n"),
        {"kind": "word2vec", **FILE},
        "not readable as word vectors",
    ),
    "rows": (ready(np.ones((3, 5))), {"kind": "ready", **FILE}, "3 rows for 4 attributes"),
    "vector": (ready(np.ones(4)), {"kind": "ready", **FILE}, "attribute x dimension"),
    "zero row": (ready(ZERO), {"kind": "ready", **FILE}, "zero or not finite: semi-enclosed area"),
    "NaN": (ready(NAN), {"kind": "ready", **FILE}, "zero or not finite: newworld"),
    "pickle": (
        ready(np.array([{}] * 4, dtype=object), True),
        {"kind": "ready", **FILE},
        "not a readable .npy file",
    ),
    "no npy": (raw(b"hello"), {"kind": "ready", **FILE}, "not a readable .npy file"),
    "absent": (raw(b""), {"kind": "ready", "file": "none.npy"}, "none.npy: no such file"),
    "no file": (raw(b""), {"kind": "glove"}, "needs a 'file'"),
    "needless file": (raw(b""), {"kind": "random", **FILE}, "needs no 'file'"),
    "kind": (raw(b""), {"kind": "glvoe", **FILE}, "did you mean 'glove'"),
    "key": (
        raw(b""),
        {"kind": "random", "dim": 3},
        "unknown setting 'dim'; did you mean 'dimension'",
    ),
    "dimension": (raw(b""), {"kind": "random", "dimension": 0}, "dimension: 0 is out of range"),
    "corrections": (
        raw(b"old,new\na,b\n"),
        {"kind": "random", "corrections": "v.file"},
        "columns from,to expected",
    ),
    "expression": (
        raw(b"from,to\n(,b\n"),
        {"kind": "random", "corrections": "v.file"},
        "line 2: '\\(' is no regular",
    ),
    "column": (
        raw(b"from,to\nonly\n"),
        {"kind": "random", "corrections": "v.file"},
        "line 2: two values expected",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_one_line(tmp_path, case):
    prepare, settings, expected = REFUSED[case]
    prepare(tmp_path)
    with pytest.raises(InputError, match=expected) as caught:
        write(tmp_path, settings)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "words.h5").exists()


def test_phrases_of_attributes_are_templates_with_their_words(tmp_path):
    (tmp_path / "more.csv").write_text("from,to\nbuteo,hawk\n", encoding="utf8")
    names = ("has_bill_shape::hooked_(seabird)", "longleg", "buteo-like")
    given = {"kind": "text", "encoder": "demo", "corrections": "more.csv"}
    chosen, encoder = encoded_settings(given | {"template": "a {attribute} bird"}, "words")
    phrases, report = phrases_of(names, chosen, tmp_path, "words")
    expected = ["a bill shape hooked bird", "a long leg bird", "a hawk like bird"]
    assert list(phrases.items()) == list(zip(names, expected, strict=True)) and encoder == "demo"
    assert report["longleg"] == {"words": ["long", "leg"], "used": ["long", "leg"], "missing": []}
    plain, _ = phrases_of(names, encoded_settings(given, "words")[0], tmp_path, "words")
    assert plain["longleg"] == "long leg"
    with pytest.raises(InputError, match=r"no words in attribute '\(none\)'"):
        phrases_of(("(none)",), chosen, tmp_path, "words")


WRONG_TEXT = {
    "kind 'text' needs an 'encoder'": {"kind": "text"},
    "kind 'text' needs no 'file'": {"kind": "text", "encoder": "demo", "file": "a.txt"},
    "needs 'weights'": {"kind": "text", "encoder": "open_clip/ViT-B-16"},
    "takes no 'weights'": {"kind": "text", "encoder": "demo", "weights": "a.pt"},
    "kind 'glove' has no 'template'": {"kind": "glove", "file": "a", "template": "{attribute}"},
    "write {attribute} where": {"kind": "text", "encoder": "demo", "template": "a {class}"},
}


@pytest.mark.parametrize("told", WRONG_TEXT)
def test_settings_of_encoded_words(told):
    with pytest.raises(InputError) as error:
        parse_settings(Settings, WRONG_TEXT[told], "words 'phrases'")
    assert told in str(error.value)


def test_new_attributes_are_not_encoded():
    known = {"longleg": np.ones(3, np.float32)}
    settings = {"kind": "text", "encoder": "demo"}
    with pytest.raises(InputError, match="come from the text encoder demo, which is not asked"):
        more_vectors(settings, known, ["shortleg"], Path())
