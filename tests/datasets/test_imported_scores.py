"""Somebody else's scores, in every layout, become the score matrix of the same numbers; what does
not fit the dataset is refused in one line.
"""

import csv
import json
import pickle

import h5py
import numpy as np
import pytest

from tests.made_up.miniature import SEEN, VALIDATION, miniature_index
from zslpipe.commands.cli import main
from zslpipe.datasets.imported_scores import (
    Method,
    import_irrelevant,
    import_scores,
    import_validation,
)
from zslpipe.formats.image_list import write_image_list
from zslpipe.formats.index import write_index
from zslpipe.formats.scores import SPLITS, ScoreMatrix, read_irrelevant, read_scores, write_scores
from zslpipe.machine.errors import InputError
from zslpipe.scores.evaluation import evaluate

WHO = Method(name="theirs", file="theirs_{seed}.npz", unit="logits", semantics="att")
LAYOUTS = ("npz", "h5", "csv", "semicolon.csv", "utf16.csv")


@pytest.fixture(scope="module")
def index():
    return miniature_index(np.random.default_rng(0))


@pytest.fixture
def index_path(index, tmp_path):
    write_index(index, tmp_path / "index.h5")
    return tmp_path / "index.h5"


def trained(index, splits=SPLITS):
    """A score matrix as a training writes it, of float32 numbers that need all their digits."""
    generator = np.random.default_rng(1)
    rows = {name: index.splits[name] if name in splits else index.labels[:0] for name in SPLITS}
    scores = {}
    for name, images in rows.items():
        drawn = generator.normal(size=(len(images), len(index.seen))) + 0.5 * index.seen
        drawn[np.arange(len(images)), index.labels[images]] += 2
        scores[name] = drawn.astype(np.float32)
    return ScoreMatrix(
        *("miniature", "mine", "default", 0, "small", "att (unit)", "", "last epoch"),
        index.protocol,
        classes=index.class_names,
        seen=index.seen,
        scores=scores,
        labels={name: index.labels[images] for name, images in rows.items()},
        images=rows,
        unit="logits",
    )


def exported(matrix, index):
    """Images, classes and scores of all splits, as somebody else's program holds them."""
    images = np.concatenate([matrix.images[name] for name in SPLITS])
    scores = np.concatenate([matrix.scores[name] for name in SPLITS])
    return [np.array(index.paths)[images], np.array(matrix.classes), scores]


def saved(path, images, classes, scores, **more):
    """Write a file of scores in the layout that its ending says."""
    if path.name.endswith("npz"):
        np.savez(path, images=images, classes=classes, scores=scores, **more)
    elif path.name.endswith("h5"):
        with h5py.File(path, "w") as file:
            for name, values in {"images": images, "classes": classes, **more}.items():
                texts = np.asarray(values).dtype.kind == "U"
                file[name] = np.asarray(values, dtype=h5py.string_dtype() if texts else None)
            file["scores"] = scores
    else:
        mark = ";" if "semicolon" in path.name else ","
        encoding = "utf-16" if "utf16" in path.name else "utf-8"
        with path.open("w", encoding=encoding, newline="") as stream:
            writer = csv.writer(stream, delimiter=mark)
            writer.writerow(["file", *classes])
            for name, row in zip(images, scores, strict=True):
                cells = [repr(float(value)) for value in row]
                if mark == ";":
                    cells = [cell.replace(".", ",") for cell in cells]
                writer.writerow([name, *cells])
    return path


def imported(source, index_path, output, method=WHO, do=import_scores):
    do(source, index_path, method, 0, output, {})
    return read_scores(output)


def assert_same(found, expected):
    assert found.classes == expected.classes
    for split in SPLITS:
        for part in ("scores", "labels", "images"):
            one, other = getattr(found, part)[split], getattr(expected, part)[split]
            assert np.array_equal(one, other), (split, part)
    assert found.scores["test_seen"].dtype == np.float32


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_numbers_of_the_run_that_was_exported(
    index, index_path, tmp_path, layout
):
    matrix = trained(index)
    source = saved(tmp_path / f"theirs.{layout}", *exported(matrix, index))
    found = imported(source, index_path, tmp_path / "scores.h5")
    assert_same(found, matrix)
    metrics, expected = evaluate(found), evaluate(matrix)
    told = {"method": "theirs", "selection": "imported", "semantics": "att", "extractor": ""}
    told["reads"] = {"input": "imported", "file": "theirs_{seed}.npz"}
    assert metrics == expected | told
    assert metrics["H"] > 0.1


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_order_of_images_and_classes_is_free(index, index_path, tmp_path, layout):
    matrix = trained(index)
    images, classes, scores = exported(matrix, index)
    rows = np.random.default_rng(2).permutation(len(images))
    columns = np.random.default_rng(3).permutation(len(classes))
    shuffled = images[rows], classes[columns], scores[rows][:, columns]
    source = saved(tmp_path / f"theirs.{layout}", *shuffled)
    assert_same(imported(source, index_path, tmp_path / "scores.h5"), matrix)


@pytest.mark.parametrize(
    "called",
    (
        lambda name: f"/elsewhere/images/{name}",
        lambda name: f"C:\\data\\{name}",
        lambda name: name,
    ),
)
def test_images_by_longer_paths_and_classes_by_other_spellings(index, index_path, tmp_path, called):
    matrix = trained(index)
    images, classes, scores = exported(matrix, index)
    names = [name.replace(" ", "_").upper() for name in classes]
    source = saved(tmp_path / "theirs.npz", [called(name) for name in images], names, scores)
    assert_same(imported(source, index_path, tmp_path / "scores.h5"), matrix)


def test_numbers_of_images_and_classes_labels_and_the_unit_of_the_file(index, index_path, tmp_path):
    matrix = trained(index)
    _, _, scores = exported(matrix, index)
    rows = np.concatenate([matrix.images[name] for name in SPLITS])
    more = {"labels": index.labels[rows], "unit": np.array("logits")}
    numbers = np.arange(len(index.seen))
    for ending in ("npz", "h5"):
        source = saved(tmp_path / f"theirs.{ending}", rows, numbers, scores, **more)
        found = imported(source, index_path, tmp_path / "scores.h5", Method("theirs", "x"))
        assert_same(found, matrix)
    with source.with_suffix(".csv").open("w") as stream:
        writer = csv.writer(stream)
        writer.writerow(["", "label", *index.class_names])
        for row, values in zip(rows, scores, strict=True):
            writer.writerow([row, index.class_names[index.labels[row]], *map(float, values)])
    assert_same(imported(source.with_suffix(".csv"), index_path, tmp_path / "scores.h5"), matrix)


def test_training_images_may_be_left_out(index, index_path, tmp_path):
    matrix = trained(index, SPLITS[1:])
    source = saved(tmp_path / "theirs.npz", *exported(matrix, index))
    assert_same(imported(source, index_path, tmp_path / "scores.h5"), matrix)


def test_probabilities_too_small_for_float32_keep_their_order(index, index_path, tmp_path):
    matrix = trained(index, SPLITS[1:])
    images, classes, scores = exported(matrix, index)
    logarithms = 60.0 * scores.astype(np.float64)
    logarithms -= np.log(np.exp(logarithms - logarithms.max(1, keepdims=True)).sum(1))[:, None]
    logarithms -= logarithms.max(1, keepdims=True)
    probabilities = np.exp(logarithms)
    assert (probabilities.astype(np.float32) == 0).mean() > 0.2
    source = saved(tmp_path / "theirs.npz", images, classes, probabilities)
    who = Method("theirs", "x", unit="probabilities")
    found = imported(source, index_path, tmp_path / "scores.h5", who)
    assert found.unit == "log-probabilities"
    for name in ("T1", "U", "S", "H"):
        assert evaluate(found)[name] == evaluate(matrix)[name]
    told = np.concatenate([found.scores[name] for name in SPLITS])
    assert np.allclose(told, logarithms, rtol=1e-6)


def validation_of(index):
    """Images, classes and scores of the validation problem: all of val, a part of train."""
    held = index.splits["train"][::5]
    rows = np.concatenate([index.splits["val"], held])
    names = np.array(index.class_names)[SEEN]
    drawn = np.random.default_rng(4).normal(size=(len(rows), len(names))).astype(np.float32)
    return held, np.array(index.paths)[rows], names, drawn


def test_validation_scores_are_of_the_seen_classes(index, index_path, tmp_path):
    held, images, names, drawn = validation_of(index)
    source = saved(tmp_path / "theirs.npz", images, names, drawn)
    found = imported(source, index_path, tmp_path / "validation.h5", do=import_validation)
    assert found.classes == tuple(names)
    assert found.seen.tolist() == [not VALIDATION[number] for number in np.flatnonzero(SEEN)]
    assert np.array_equal(found.images["test_unseen"], index.splits["val"])
    assert np.array_equal(found.images["test_seen"], held)
    assert len(found.images["trainval"]) == 0
    assert np.array_equal(found.scores["test_unseen"], drawn[: -len(held)])
    for split in ("test_seen", "test_unseen"):
        for row, label in zip(found.images[split], found.labels[split], strict=True):
            assert found.classes[label] == index.class_names[index.labels[row]]


def test_what_a_validation_file_may_not_hold(index, index_path, tmp_path):
    _, images, names, drawn = validation_of(index)
    test_image = np.array(index.paths)[index.splits["test_seen"][:1]]
    cases = {
        "1 images are neither of train nor of val, first '10.png'": (
            np.concatenate([images, test_image]),
            names,
            np.concatenate([drawn, drawn[:1]]),
        ),
        "no scores of 20 images of val, first": (images[20:], names, drawn[20:]),
        "no image of train": (images[:20], names, drawn[:20]),
        "no scores of 1 of 6 classes (1 seen, 0 unseen), first 'class 0'": (
            images,
            names[1:],
            drawn[:, 1:],
        ),
        "1 columns of unseen classes, first 'class 2'": (
            images,
            [*names, "class 2"],
            np.concatenate([drawn, drawn[:, :1]], axis=1),
        ),
    }
    for told, arrays in cases.items():
        source = saved(tmp_path / "theirs.npz", *arrays)
        with pytest.raises(InputError) as error:
            imported(source, index_path, tmp_path / "validation.h5", do=import_validation)
        assert told in str(error.value)


def test_task_irrelevant_scores_follow_the_list(index, index_path, tmp_path):
    paths = ["b/1.png", "a/1.png", "a/2.png"]
    write_image_list(tmp_path / "list.h5", "things", {}, paths)
    drawn = np.random.default_rng(5).normal(size=(3, len(index.seen))).astype(np.float32)
    source = saved(tmp_path / "theirs.npz", paths[::-1], index.class_names, drawn[::-1])
    told = source, index_path, tmp_path / "list.h5", WHO, 3, tmp_path / "irrelevant.h5", {}
    import_irrelevant(*told)
    found = read_irrelevant(tmp_path / "irrelevant.h5")
    assert (found.source, found.seed, found.method) == ("things", 3, "theirs")
    assert np.array_equal(found.scores, drawn)
    saved(source, paths[:2], index.class_names, drawn[:2])
    with pytest.raises(InputError, match="no scores of 1 task-irrelevant images, first 'a/2"):
        import_irrelevant(*told)


# What is wrong, and what is said of it.
REFUSED = {
    "an image is missing": ("no scores of 1 images of test_unseen, first '28.png' (row 28 of the"),
    "a training image is missing": "no scores of 1 images of trainval (give all of them, or none)",
    "unknown image": "1 of 92 images are not in 'miniature', first 'x.png'; images there are "
    "called as '0.png'",
    "an image twice": "1 images are given twice, first '1.png'; give each once",
    "unknown class": "1 of its classes are not in dataset 'miniature', first: no class is called "
    "'klass 3'; did you mean 'class 3'?",
    "a class twice": "1 classes are given twice, first 'class 0'",
    "a class is missing": "no scores of 1 of 8 classes (1 seen, 0 unseen), first 'class 7'",
    "unseen classes alone": "no scores of 6 of 8 classes (6 seen, 0 unseen), first 'class 0': "
    "scores of unseen classes alone give T1",
    "nan": "2 scores of 1 images are NaN or infinite, first of image '3.png', class 'class 1'",
    "beyond float32": "scores beyond what float32 holds (3.4e38)",
    "other labels": "1 of 92 labels are other than the index's, first '0.png' is 'class 1', in the "
    "index it is 'class 0'",
    "rows from 1": "1 numbers of images are out of range, first 92; the index has 92, counted from",
    "unit": "unit 'cosines' is none; give one of logits, log-probabilities, probabilities; cosines",
    "no unit": "the unit of the scores is not stated; give one of logits",
    "another unit": "says its scores are probabilities, the configuration says logits; state one",
    "no such unit": "which are no probabilities",
    "shape": "images has shape (91,), scores (92, 8); expected 92 images",
    "no matrix": "scores is float32 of shape (92,), expected numbers of shape (image, class)",
    "no scores": "lacks scores (it holds classes, images); a file of scores has scores, images",
    "objects": "'images' holds Python objects, which would have to be unpickled; save names as",
    "floats for names": "classes is float64; give names, or whole numbers from 0",
}


@pytest.mark.parametrize("fault", REFUSED)
@pytest.mark.parametrize("ending", ("npz", "h5"))
def test_what_does_not_fit_is_refused_in_one_line(index, index_path, tmp_path, fault, ending):
    images, classes, scores = exported(trained(index), index)
    order = np.argsort([int(name[:-4]) for name in images])
    images, scores, more, who = images[order].copy(), scores[order], {}, WHO
    if fault == "an image is missing":
        kept = images != "28.png"
        images, scores = images[kept], scores[kept]
    elif fault == "a training image is missing":
        images, scores = images[1:], scores[1:]
    elif fault == "unknown image":
        images[3] = "x.png"
    elif fault == "an image twice":
        images[0] = "1.png"
    elif fault == "unknown class":
        classes = np.where(classes == "class 3", "klass 3", classes)
    elif fault == "a class twice":
        classes = np.where(classes == "class 1", "class 0", classes)
    elif fault == "a class is missing":
        classes, scores = classes[:-1], scores[:, :-1]
    elif fault == "unseen classes alone":
        classes, scores = classes[~SEEN], scores[:, ~SEEN]
    elif fault == "nan":
        scores[3, 1:3] = np.nan, np.inf
    elif fault == "beyond float32":
        scores = 1e39 * scores.astype(np.float64)
    elif fault == "other labels":
        labels = index.labels.copy()
        labels[0] = 1
        more["labels"] = labels
    elif fault == "rows from 1":
        images = np.arange(1, 93)
    elif fault == "unit":
        who = Method("theirs", "x", unit="cosines")
    elif fault == "no unit":
        who = Method("theirs", "x")
    elif fault == "another unit":
        more["unit"] = np.array("probabilities")
    elif fault == "no such unit":
        who = Method("theirs", "x", unit="probabilities")
    elif fault == "shape":
        images = images[1:]
    elif fault == "no matrix":
        scores = scores[:, 0]
    elif fault == "objects":
        if ending == "h5":
            pytest.skip("HDF5 holds no Python objects")
        images = images.astype(object)
    elif fault == "floats for names":
        classes = np.arange(8.0)
    source = saved(tmp_path / f"theirs.{ending}", images, classes, scores, **more)
    if fault == "no scores":
        source = without_scores(source)
    with pytest.raises(InputError) as error:
        imported(source, index_path, tmp_path / "scores.h5", who)
    said = str(error.value)
    assert REFUSED[fault] in said
    assert said.startswith(f"{source}") and "\n" not in said
    assert not (tmp_path / "scores.h5").exists()


def without_scores(source):
    if source.suffix == ".h5":
        with h5py.File(source, "a") as file:
            del file["scores"]
    else:
        with np.load(source) as arrays:
            kept = {name: arrays[name] for name in ("images", "classes")}
        np.savez(source, **kept)
    return source


TABLES = {
    "image,class 0,class 1\n0.png,1.5,x\n": "line 2, class 'class 1': 'x' is no finite number",
    "image,class 0,class 1\n0.png,1.5,\n": "line 2, class 'class 1': '' is no value; every image",
    f"image,class 0,class 1\n{'9' * 25},1.5,2\n": "no scores of 6 of 8 classes",
    "image,class 0,class 1\n0.png,1.5,inf\n": "line 2, class 'class 1': 'inf' is no finite number",
    "image,class 0,class 1\n0.png,1_5,2\n": "line 2, class 'class 0': '1_5' is no finite number",
    "image;class 0;class 1\n0.png;1,250;2,000\n": "1,250 may be a decimal or thousands",
    "image,class 0,class 1\n0.png,1\n": "line 2: 2 cells, the header has 3",
    "image,class 0,class 1\n": "0 rows and 3 columns; expected a header of classes and a row",
    "": "the file is empty",
}


@pytest.mark.parametrize("text", TABLES)
def test_a_table_with_a_fault_is_refused_with_its_line(index_path, tmp_path, text):
    (tmp_path / "theirs.csv").write_text(text)
    with pytest.raises(InputError) as error:
        imported(tmp_path / "theirs.csv", index_path, tmp_path / "scores.h5")
    assert TABLES[text] in str(error.value)


def test_files_of_other_kinds_are_named_and_nothing_is_unpickled(index_path, tmp_path):
    source = tmp_path / "theirs.pkl"
    source.write_bytes(pickle.dumps({"scores": 1}, protocol=4))
    with pytest.raises(InputError, match=r"a Python pickle, expected .npz, HDF5 or CSV; it is not"):
        imported(source, index_path, tmp_path / "scores.h5")
    np.save(tmp_path / "theirs.npy", np.zeros((2, 2)))
    with pytest.raises(InputError, match=r"it has no names: np.savez"):
        imported(tmp_path / "theirs.npy", index_path, tmp_path / "scores.h5")
    with pytest.raises(InputError, match="no such file of scores"):
        imported(tmp_path / "nothing.npz", index_path, tmp_path / "scores.h5")
    cut = saved(tmp_path / "theirs.npz", ["a"], ["b"], np.zeros((1, 1))).read_bytes()
    damaged = {"cut off": cut[: len(cut) // 2], "": cut[:200] + b"\0" * 200 + cut[400:]}
    for told, content in damaged.items():
        (tmp_path / "cut.npz").write_bytes(content)
        with pytest.raises(InputError, match=rf"cut.npz: .*{told}"):
            imported(tmp_path / "cut.npz", index_path, tmp_path / "scores.h5")


def test_a_score_matrix_of_the_project_itself_is_named(index, index_path, tmp_path):
    write_scores(tmp_path / "own.h5", trained(index))
    with pytest.raises(InputError, match=r"has splits as the scores.h5 of zslpipe itself"):
        imported(tmp_path / "own.h5", index_path, tmp_path / "scores.h5")


def test_images_of_one_name_in_two_folders_need_their_folders(index, tmp_path):
    from dataclasses import replace

    paths = [f"{'ab'[number % 2]}/{number // 2}.png" for number in range(len(index.paths))]
    twins = replace(index, paths=tuple(paths))
    write_index(twins, tmp_path / "index.h5")
    images, classes, scores = exported(trained(twins), twins)
    source = saved(tmp_path / "theirs.npz", images, classes, scores)
    assert_same(imported(source, tmp_path / "index.h5", tmp_path / "s.h5"), trained(twins))
    saved(source, [name.split("/")[1] for name in images], classes, scores)
    told = "92 images could be several, first '0.png': 'a/0.png' or 'b/0.png'"
    with pytest.raises(InputError, match=told):
        imported(source, tmp_path / "index.h5", tmp_path / "s.h5")
    saved(source, [f"c{name[1:]}" for name in images], classes, scores)
    with pytest.raises(InputError, match="92 of 92 images are not in 'miniature'"):
        imported(source, tmp_path / "index.h5", tmp_path / "s.h5")


def test_ties_are_warned_of(index, index_path, tmp_path, caplog):
    images, classes, scores = exported(trained(index, SPLITS[1:]), index)
    scores[:3] = 9.0
    source = saved(tmp_path / "theirs.npz", images, classes, scores)
    imported(source, index_path, tmp_path / "scores.h5")
    assert "theirs: 3 of 32 images have their highest score in several classes" in caplog.text


def test_the_command(index, index_path, tmp_path, capsys, caplog):
    matrix = trained(index)
    source = saved(tmp_path / "theirs.csv", *exported(matrix, index))
    given = [str(source), "--index", str(index_path), "--name", "theirs", "--unit", "logits"]
    output = tmp_path / "out" / "scores.h5"
    run = {"imported": "theirs", "seed": 4}
    told = ["--told", '{"words": "GloVe", "selection": "by its authors"}', "--seed", "4"]
    command = ["import-scores", *given, *told, "--run", json.dumps(run), "--output", str(output)]
    assert main(command) == 0
    found = read_scores(output)
    assert_same(found, matrix)
    assert (found.seed, found.words, found.selection) == (4, "GloVe", "imported, by its authors")
    assert (found.run, found.reads["file"]) == (run, "theirs.csv")
    first = output.read_bytes()
    assert main(command) == 0
    assert output.read_bytes() == first
    assert str(tmp_path) not in first.decode("latin-1")
    command = ["import-scores", *given, "--kind", "irrelevant", "--output", str(output)]
    assert main(command) == 1
    assert "--kind irrelevant needs --irrelevant LIST.h5" in caplog.text
