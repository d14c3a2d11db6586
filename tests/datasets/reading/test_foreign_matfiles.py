"""MATLAB files that other programs wrote, or laid out in other ways: read as the usual ones are, or
refused by variable and expectation.
"""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from tests.made_up import lookalike
from tests.made_up.damage import FEATURES, SPLITS, change, message_of
from zslpipe.datasets.adapters import xlsa17
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.index import Index, read_index
from zslpipe.machine.errors import InputError

Variables = dict[str, np.ndarray]


def held(path: Path) -> Variables:
    return {name: value for name, value in scipy.io.loadmat(path).items() if name[:2] != "__"}


def words(cells: np.ndarray) -> list[str]:
    return [str(cell[0]) for cell in cells.ravel()]


def of_h5py(path: Path, matlab: bool, transposed: bool) -> None:
    """Write a .mat file's variables with h5py: text as text of any length, arrays as MATLAB has
    them or as numpy has.
    """
    variables = held(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            if value.dtype == object:
                file.create_dataset(name, data=words(value), dtype=h5py.string_dtype())
                continue
            file[name] = value.T if transposed else value
            if matlab:
                file[name].attrs["MATLAB_class"] = np.bytes_("double")


def of_matlab73(path: Path, put: Callable[[h5py.Group, str, np.ndarray], None]) -> None:
    """Write a .mat file's variables as MATLAB does in version 7.3: cells of references to text as
    numbers; ``put`` writes the numbers.
    """
    variables = held(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            if value.dtype == object:
                write_cells(file, file, name, words(value))
            else:
                put(file, name, value)


def write_cells(file: h5py.File, place: h5py.Group, name: str, texts: list[str]) -> None:
    references = []
    for number, text in enumerate(texts):
        codes = np.array([[ord(letter)] for letter in text], np.uint16)
        entry = file.require_group("#refs#").create_dataset(f"{name}{number}", data=codes)
        entry.attrs["MATLAB_class"] = np.bytes_("char")
        references.append(entry.ref)
    place.create_dataset(name, data=np.array([references], dtype=object), dtype=h5py.ref_dtype)
    place[name].attrs["MATLAB_class"] = np.bytes_("cell")


def plainly(place: h5py.Group, name: str, value: np.ndarray) -> None:
    place[name] = value.T
    place[name].attrs["MATLAB_class"] = np.bytes_("double")


def sparsely(place: h5py.Group, name: str, value: np.ndarray) -> None:
    if name not in ("att", "original_att"):
        plainly(place, name, value)
        return
    matrix = scipy.sparse.csc_array(value)
    group = place.create_group(name)
    group["data"], group["ir"], group["jc"] = matrix.data, matrix.indices, matrix.indptr
    group.attrs["MATLAB_sparse"] = np.uint64(value.shape[0])
    group.attrs["MATLAB_class"] = np.bytes_("double")


def in_struct73(path: Path) -> None:
    variables = held(path)
    path.unlink()
    with h5py.File(path, "w") as file:
        group = file.create_group("data")
        group.attrs["MATLAB_class"] = np.bytes_("struct")
        for name, value in variables.items():
            if value.dtype == object:
                write_cells(file, group, name, words(value))
            else:
                plainly(group, name, value)


def in_struct(path: Path) -> None:
    variables = held(path)
    scipy.io.savemat(path, {"split": variables})


def sparse_in_struct(path: Path) -> None:
    sparse(path)
    in_struct(path)


def sparse(path: Path) -> None:
    variables = held(path)
    for name in ("att", "original_att", "features"):
        if name in variables:
            variables[name] = scipy.sparse.csc_matrix(variables[name].astype(float))
    scipy.io.savemat(path, variables, do_compression=True)


def transposed(path: Path) -> None:
    variables = held(path)
    scipy.io.savemat(path, {name: value.T for name, value in variables.items()})


def small_labels(path: Path) -> None:
    variables = held(path)
    if "labels" in variables:
        variables["labels"] = variables["labels"].astype(np.uint8)
    scipy.io.savemat(path, variables, oned_as="row")


def character_rows(path: Path) -> None:
    """Names and paths as matrices of characters, padded by spaces."""
    variables = held(path)
    for name in ("allclasses_names", "image_files"):
        if name in variables:
            variables[name] = np.array(words(variables[name]))
    scipy.io.savemat(path, variables)


FORMS = {
    "h5py, laid out as MATLAB lays it": lambda path: of_h5py(path, False, True),
    "h5py, laid out as numpy has it": lambda path: of_h5py(path, False, False),
    "h5py with MATLAB's attributes": lambda path: of_h5py(path, True, True),
    "version 7.3": lambda path: of_matlab73(path, plainly),
    "version 7.3, sparse": lambda path: of_matlab73(path, sparsely),
    "version 7.3, one struct": in_struct73,
    "one struct": in_struct,
    "sparse": sparse,
    "sparse in one struct": sparse_in_struct,
    "transposed": transposed,
    "uint8 labels": small_labels,
    "matrices of characters": character_rows,
}


def indexed(root: Path, settings: dict[str, object], name: str) -> Index:
    output = root / f"results/{name}/index.h5"
    xlsa17.write(settings, output, root)
    return read_index(output)


@pytest.mark.parametrize("case", FORMS)
def test_other_forms_are_read_as_the_usual_one(tmp_path, case):
    settings = lookalike.write_xlsa17(tmp_path, images=False)
    usual = indexed(tmp_path, settings, "usual")
    features = held(tmp_path / FEATURES)["features"].T
    for name in (SPLITS, FEATURES):
        FORMS[case](tmp_path / name)
    found = indexed(tmp_path, settings, "other")
    assert (found.paths, found.class_names) == (usual.paths, usual.class_names)
    np.testing.assert_array_equal(found.labels, usual.labels)
    assert set(found.semantics) == set(usual.semantics)
    for kind, vectors in usual.semantics.items():
        np.testing.assert_array_equal(found.semantics[kind], vectors)
    for split, rows in usual.splits.items():
        np.testing.assert_array_equal(found.splits[split], rows)
    index, output = tmp_path / "results/other/index.h5", tmp_path / "results/other/res101.h5"
    xlsa17.write_pooled(settings, index, output, tmp_path)
    np.testing.assert_array_equal(FeatureFile(output).maps(pooled=True)[:], features)


def renamed(**names: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        variables = held(root / SPLITS)
        moved = {names.get(name, name): value for name, value in variables.items()}
        scipy.io.savemat(root / SPLITS, moved)

    return apply


def swapped(root: Path) -> None:
    (root / SPLITS).write_bytes((root / FEATURES).read_bytes())


def two_structs(root: Path) -> None:
    scipy.io.savemat(root / SPLITS, {"a": held(root / SPLITS), "b": {"x": 1.0}})


def struct_without(root: Path) -> None:
    variables = held(root / SPLITS)
    del variables["att"]
    scipy.io.savemat(root / SPLITS, {"split": variables})


def struct_array(root: Path) -> None:
    scipy.io.savemat(root / SPLITS, {"split": np.array([(1.0,), (2.0,)], dtype=[("att", object)])})


def square(root: Path) -> None:
    change(SPLITS, att=lambda old: np.vstack([old, old]))(root)
    of_h5py(root / SPLITS, False, False)


def string_objects(root: Path) -> None:
    of_matlab73(root / SPLITS, plainly)
    with h5py.File(root / SPLITS, "a") as file:
        file["att"].attrs["MATLAB_class"] = np.bytes_("string")


def group(root: Path) -> None:
    """A table as pandas and anndata write one."""
    of_matlab73(root / SPLITS, plainly)
    with h5py.File(root / SPLITS, "a") as file:
        values = file["att"][()]
        del file["att"]
        file.create_group("att").create_dataset("block0_values", data=values)


WRONG = {
    "another name": (
        renamed(att="attributes"),
        r"no variable 'att'; it holds allclasses_names, attributes, .* expected att \(attribute x ",
    ),
    "another case": (renamed(att="Att"), "expected att .*; did you mean 'Att'"),
    "names of classes under another name": (
        renamed(trainval_loc="train_val_loc"),
        r"expected trainval_loc \(numbers of images from 1\); did you mean 'train_val_loc'",
    ),
    "the feature file in its place": (
        swapped,
        "no variable 'trainval_loc'; it holds features, image_files, labels, expected trainval_loc",
    ),
    "two structs": (two_structs, "no variable 'trainval_loc'; it holds a, b, expected"),
    "a struct without it": (struct_without, r"holds split \(a struct without a field att\), expec"),
    "an array of structs": (struct_array, "split is a struct array of 2 elements, one expected"),
    "a square matrix of h5py": (square, "att is 12 x 12, not written by MATLAB: which axis is whi"),
    "string objects": (string_objects, "att is of MATLAB's class string; convert it with cellst"),
    "complex numbers": (
        change(SPLITS, att=lambda old: old + 1j),
        r"att is complex, or an object of MATLAB's; .*; expected att \(attribute x class\)",
    ),
    "a group of a program's own": (
        group,
        "att is a group where an array is expected; expected att",
    ),
    "a mask for numbers": (
        change(SPLITS, trainval_loc=lambda old: np.isin(np.arange(1, 97), old).astype(np.uint8)),
        "trainval_loc holds 0 and 1 alone, such as a mask; numbers from 1 expected",
    ),
    "neither axis the classes": (
        change(SPLITS, att=lambda old: old[:, 1:]),
        "att has shape 6 x 11 for 12 classes; attribute x class expected",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_content_is_refused_by_variable_and_expectation(tmp_path, case):
    breaks, expected = WRONG[case]
    settings = lookalike.write_xlsa17(tmp_path, images=False)
    breaks(tmp_path)
    text = message_of(lambda: indexed(tmp_path, settings, "mine"))
    assert re.search(expected, text), text


def test_attributes_that_lie_transposed_and_name_no_classes_are_refused(tmp_path):
    settings = lookalike.write_xlsa17(tmp_path, "FLO", images=False)
    change("FLO/att_splits.mat", att=lambda old: np.vstack([old, old, old]).T, original_att=None)(
        tmp_path
    )
    text = message_of(lambda: indexed(tmp_path, settings, "mine"))
    assert "6 seen classes have no training image, first class 013" in text


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_any_damage_to_a_sparse_or_struct_file_is_read_or_refused(tmp_path, version):
    settings = lookalike.write_xlsa17(tmp_path, images=False)
    path = tmp_path / SPLITS
    if version == "5":
        sparse_in_struct(path)
    else:
        of_matlab73(path, sparsely)
    whole, refused = path.read_bytes(), 0
    random = np.random.default_rng(0)
    for place in random.integers(128, len(whole), 150).tolist():
        path.write_bytes(whole[:place] + random.bytes(8) + whole[place + 8 :])
        try:
            indexed(tmp_path, settings, "mine")
        except InputError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 10
