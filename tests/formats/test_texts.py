"""Files of class vectors made of texts: every text read back, and only the index's own classes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.made_up.miniature import CLASSES, miniature_index
from zslpipe.formats.index import read_index, write_index
from zslpipe.formats.texts import ClassTexts, read_class_texts, with_texts, write_class_texts
from zslpipe.formats.words import read_words
from zslpipe.machine.errors import InputError, NotNowError

KIND = "text/prompts"
VECTORS = np.eye(CLASSES, 3, dtype=np.float32) + 0.25


def made_up_texts() -> ClassTexts:
    texts = {f"class {number}": (f"l\u2019oiseau {number}",) for number in range(CLASSES)}
    texts["class 2"] = ("one, two", 'a "quoted" text that is longer than others', "one, two")
    stamp = {"encoder": "tiny", "library": "1.0", "weights": "ab"}
    return ClassTexts("miniature", texts, VECTORS, "tiny, 10 texts", stamp, {"encoder": "tiny"})


def test_all_texts_come_back_and_the_same_texts_are_the_same_bytes(tmp_path: Path) -> None:
    made = made_up_texts()
    for name in ("one.h5", "other.h5"):
        write_class_texts(tmp_path / name, made)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "other.h5").read_bytes()
    found = read_class_texts(tmp_path / "one.h5")
    assert list(found.texts.items()) == list(made.texts.items())
    assert np.array_equal(found.vectors, VECTORS) and found.vectors.dtype == np.float32
    assert (found.source, found.encoder) == (made.source, made.encoder)
    assert (found.settings, found.dataset) == (made.settings, "miniature")


def test_an_index_gets_the_vectors_and_tells_their_source(tmp_path: Path) -> None:
    write_class_texts(tmp_path / "prompts.h5", made_up_texts())
    index = miniature_index(np.random.default_rng(0))
    found = with_texts(index, KIND, tmp_path / "prompts.h5")
    assert np.allclose(found.class_vectors(KIND, "none"), VECTORS)
    assert found.told(KIND) == "text/prompts: tiny, 10 texts" and found.told("att") == "att"
    assert np.array_equal(found.class_vectors("att", "none"), index.class_vectors("att", "none"))
    # of the dataset's own kinds no file is asked
    assert with_texts(index, "att", None) is index
    assert with_texts(index, "att", tmp_path / "prompts.h5") is index


def test_an_index_does_not_keep_them(tmp_path: Path) -> None:
    write_index(miniature_index(np.random.default_rng(0)), tmp_path / "index.h5")
    index = with_texts(read_index(tmp_path / "index.h5"), KIND, None)
    with pytest.raises(
        InputError, match="no class vectors 'text/prompts'; give their file"
    ) as told:
        index.class_vectors(KIND, "unit")
    assert "--texts" in str(told.value)


def test_texts_of_other_classes_are_refused(tmp_path: Path) -> None:
    write_class_texts(tmp_path / "prompts.h5", made_up_texts())
    index = miniature_index(np.random.default_rng(0))
    other = replace(index, class_names=tuple(reversed(index.class_names)))
    with pytest.raises(InputError, match=r"texts of other classes .* the rule 'texts' makes it"):
        with_texts(other, KIND, tmp_path / "prompts.h5")


def test_another_file_is_told_from_it(tmp_path: Path) -> None:
    path = tmp_path / "prompts.h5"
    with pytest.raises(NotNowError, match="no such file; the rule 'texts' writes it"):
        read_class_texts(path)
    write_class_texts(path, made_up_texts())
    with pytest.raises(InputError, match=r"is texts\.h5, expected words\.h5"):
        read_words(path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match=str(path)):
        read_class_texts(path)
