"""Grad-CAM of crafted networks: against its definition, and from weights to file to picture."""

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
import pytest
import torch
from PIL import Image

from tests.made_up.miniature import ATTRIBUTES, CLASSES, miniature_index
from zslpipe.formats.index import write_index
from zslpipe.machine.errors import InputError
from zslpipe.maps.central_square import SIDE
from zslpipe.methods.crafting import Config, Model
from zslpipe.reports.figures.gradcam import grad_cam_maps
from zslpipe.reports.figures.overlays import painted
from zslpipe.reports.figures.style import CHANGE
from zslpipe.runs.attention import pick_images
from zslpipe.runs.gradcam import grad_cam, removed_attributes, write_grad_cam
from zslpipe.runs.image_inputs import ImageInputs
from zslpipe.runs.models import RunInputs
from zslpipe.runs.problems import classes_of

torch.set_num_threads(1)
SIZE, COUNT = 64, 3  # pixels: a 4x4 map of the demo's network
CPU = torch.device("cpu")
SPEC = {
    "method": "crafting",
    "dataset": "miniature",
    "variant": "s_cc",
    "semantics": "att",
    "normalisation": "unit",
}
PLAIN = {"similarity": "inner product", "temperature": 1.0}


def model_of(config: Config, shape=(3, SIZE, SIZE)) -> Model:
    torch.manual_seed(0)
    classes = classes_of(miniature_index(np.random.default_rng(0)), "att", "unit", None)
    model = Model(config, classes, shape).eval()
    # Without it f . w / |f| depends on proportions alone: a map's sum before max(0, .) is 0, so
    # that none is empty.
    if config.rule == "semantic":
        torch.nn.init.zeros_(model.projection.bias)
    return model


def images_of(count: int = COUNT) -> torch.Tensor:
    return torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))


def save(folder: Path, config: Config, model: Model, shape=(3, SIZE, SIZE), **changes) -> Path:
    path = folder / "weights.pt"
    saved = {"state": model.state_dict(), "config": asdict(config), "input_shape": list(shape)}
    torch.save(saved | {"run": json.dumps(SPEC | changes)}, path)
    return path


@pytest.fixture(scope="module")
def run_inputs(tmp_path_factory) -> RunInputs:
    """The miniature dataset with noise for images."""
    folder, generator = tmp_path_factory.mktemp("gradcam"), np.random.default_rng(0)
    index = miniature_index(generator)
    write_index(index, folder / "index.h5")
    for row in index.splits["test_unseen"]:
        pixels = generator.integers(0, 255, (SIZE, SIZE + row % 9, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / index.paths[row])
    mean, deviation = (torch.full((1, 3, 1, 1), value) for value in (0.5, 0.25))
    return RunInputs(index, ImageInputs(folder, index, SIZE, mean, deviation, CPU, 0), CPU, "")


@pytest.fixture(scope="module")
def written(run_inputs, tmp_path_factory) -> Path:
    folder, config = tmp_path_factory.mktemp("written"), Config(backbone="demo")
    write_grad_cam(
        save(folder, config, model_of(config)), run_inputs, 3, folder / "gradcam.h5", COUNT
    )
    return folder / "gradcam.h5"


def test_of_the_inner_product_it_is_the_map_of_the_rule():
    """f . w with f = P mean(A) + p: the gradient is P' w / positions everywhere, written out
    position by position.
    """
    model, images = model_of(Config(backbone="demo", **PLAIN)), images_of()
    rules = model.rules[[0, 4, 4]]
    with torch.no_grad():
        maps = model.trunk(images)
        found = grad_cam(model, images, rules)
        assert found.shape == (COUNT, 4, 4) and not found.requires_grad
        for image, rule, heat in zip(maps, rules, found, strict=True):
            weights = model.projection.weight.T @ rule / 16
            for row in range(4):
                for column in range(4):
                    value = sum(weight * image[d, row, column] for d, weight in enumerate(weights))
                    assert float(heat[row, column]) == pytest.approx(
                        max(float(value), 0.0), abs=1e-5
                    )
    assert 0 < (found > 0).float().mean() < 1


def test_of_the_cosine_it_is_the_definition():
    """Weights from the gradient of the class's own score, through the length of f as well."""
    config = Config(backbone="demo", temperature=0.1)
    model, images, labels = model_of(config), images_of(), torch.tensor([1, 6, 2])
    maps = model.trunk(images).detach().requires_grad_()
    features = model.projection(maps.mean(dim=(2, 3)))
    cosines = torch.nn.functional.cosine_similarity(features, model.rules[labels]) / 0.1
    (gradient,) = torch.autograd.grad(cosines.sum(), maps)
    expected = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(1).clamp(min=0).detach()
    assert expected.amax() > 0.01
    torch.testing.assert_close(
        grad_cam(model, images, model.rules[labels]), expected, rtol=1e-3, atol=1e-5
    )
    torch.testing.assert_close(model.scores(images)[range(COUNT), labels], cosines)


def test_the_removed_attributes_are_the_outstanding_and_the_ordinary():
    rules = np.random.default_rng(5).uniform(0, 1, (9, 6))
    labels = np.array([4, 0, 4, 8])
    for label, (outstanding, ordinary) in zip(
        labels, removed_attributes(rules, labels), strict=True
    ):
        excess = [rules[label, a] - sum(rules[:, a]) / 9 for a in range(6)]
        strong = [a for a in range(6) if rules[label, a] >= max(rules[label]) / 2]
        assert outstanding == max(range(6), key=excess.__getitem__)
        assert ordinary == min(strong, key=lambda a, excess=excess: abs(excess[a]))


def test_the_file_holds_maps_with_and_without(written, run_inputs):
    model = model_of(Config(backbone="demo"))
    rows = pick_images(run_inputs.index, COUNT)
    with h5py.File(written) as file:
        found = {name: file[name][()] for name in file}
        attributes = dict(file.attrs)
    assert attributes == {name: SPEC[name] for name in ("method", "dataset", "variant")} | {
        "seed": 3,
        "complete": True,
    }
    assert found["images"].tolist() == rows.tolist() and set(run_inputs.index.labels[rows]) == {
        2,
        6,
    }
    assert found["labels"].tolist() == run_inputs.index.labels[rows].tolist()
    assert found["maps"].dtype == found["maps_without"].dtype == np.float32
    images = run_inputs.inputs.take(torch.from_numpy(rows))
    with torch.no_grad():
        assert found["predicted"].tolist() == model.scores(images).argmax(1).tolist()
    for row, label in enumerate(found["labels"]):
        whole = grad_cam(model, images[row : row + 1], model.rules[[label]])[0]
        np.testing.assert_allclose(found["maps"][row], whole, rtol=1e-4, atol=1e-6)
        for number, attribute in enumerate(found["attributes"][row]):
            rule = model.rules[[label]].clone()
            rule[0, attribute] = 0
            without = grad_cam(model, images[row : row + 1], rule)[0]
            np.testing.assert_allclose(
                found["maps_without"][row, number], without, rtol=1e-4, atol=1e-6
            )
            assert (without - whole).abs().max() > 1e-4
    assert not list(written.parent.glob("*.partial"))


def test_removing_what_a_class_does_not_have_changes_nothing():
    model, images = model_of(Config(backbone="demo")), images_of()
    rules = model.rules[[0, 1, 2]].clone()
    rules[:, 3] = 0
    again = rules.scatter(1, torch.full((COUNT, 1), 3), 0.0)
    assert torch.equal(grad_cam(model, images, again), grad_cam(model, images, rules))


def test_the_number_of_batches_does_not_count(written, run_inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("zslpipe.runs.gradcam.BATCH", 1)
    config = Config(backbone="demo")
    write_grad_cam(
        save(tmp_path, config, model_of(config)), run_inputs, 3, tmp_path / "gradcam.h5", COUNT
    )
    with h5py.File(written) as first, h5py.File(tmp_path / "gradcam.h5") as second:
        for name in first:
            np.testing.assert_allclose(second[name][()], first[name][()], rtol=1e-4, atol=1e-6)


def test_other_weights_are_refused(run_inputs, tmp_path):
    config = Config(backbone="demo")
    cases = {
        "visual rules; an attribute": (replace(config, rule="visual"), (3, SIZE, SIZE)),
        "trained on pooled features": (config, (192,)),
    }
    for message, (changed, shape) in cases.items():
        weights = save(tmp_path, changed, model_of(changed, shape), shape)
        with pytest.raises(InputError, match=message):
            write_grad_cam(weights, run_inputs, 0, tmp_path / "gradcam.h5", COUNT)
    fewer = replace(
        run_inputs,
        index=replace(run_inputs.index, attribute_names=("a", "b"), attribute_groups=("", "")),
    )
    with pytest.raises(InputError, match="rules of 'att' have 5 numbers, the dataset 2 attributes"):
        write_grad_cam(
            save(tmp_path, config, model_of(config)), fewer, 0, tmp_path / "gradcam.h5", COUNT
        )
    assert not (tmp_path / "gradcam.h5").exists()


def titles(svg: Path) -> list[str]:
    """The texts of a figure: matplotlib writes each as a comment before its glyphs."""
    return [
        text.strip() for text in re.findall(r"<!-- (.*?) -->", svg.read_text(), flags=re.DOTALL)
    ]


def draw(path: Path, run_inputs: RunInputs, stem: Path) -> tuple[Path, Path]:
    folder = run_inputs.inputs.root
    return grad_cam_maps(path, folder / "index.h5", folder, stem)


@pytest.fixture(scope="module")
def drawn(written, run_inputs) -> tuple[Path, Path]:
    return draw(written, run_inputs, written.parent / "drawn" / "picture")


def test_a_row_names_its_classes_attributes_and_largest_changes(written, drawn):
    png, svg = drawn
    found = "\n".join(titles(svg))
    with h5py.File(written) as file:
        maps, without, attributes = (
            file[name][()] for name in ("maps", "maps_without", "attributes")
        )
    for row in range(COUNT):
        for number in range(2):
            change = without[row, number] - maps[row]
            most = 100 * change.flat[np.abs(change).argmax()] / maps[row].max()
            assert f"at most {most:+.1f} %" in found
            assert f"attribute {attributes[row, number]}" in found
    assert (
        found.count("of the true class") == COUNT
        and "true: class 2" in found
        and "true: class 6" in found
    )
    assert "crafting / s_cc on miniature: Grad-CAM" in found
    with Image.open(png) as picture:
        assert picture.width > 1000


def test_an_empty_map_is_drawn_as_none(written, run_inputs, tmp_path):
    with h5py.File(written) as file:
        maps = file["maps"][()]
    maps[1] = 0
    _, svg = draw(
        copied(written, tmp_path / "empty.h5", maps=maps), run_inputs, tmp_path / "gradcam"
    )
    assert sum("no map" in text for text in titles(svg)) == 2


def test_what_is_painted_is_in_proportion_to_the_values():
    grey = np.full((SIDE, SIDE, 3), 0.5)
    values = np.zeros((4, 4), np.float32)
    values[0, 3], values[3, 0] = 2.0, -2.0
    heated = painted(grey, np.maximum(values, 0), 4.0, "inferno")
    corner = (
        0,
        SIDE - 1,
    )  # beyond the middle of the outermost cell, which bilinear enlarging leaves flat
    half = np.array(mpl.colormaps["inferno"](np.float32(0.5))[:3])
    assert heated[corner] == pytest.approx((1 - 0.425) * 0.5 + 0.425 * half, abs=1e-6)
    assert np.array_equal(heated[SIDE // 2 :], grey[SIDE // 2 :])
    both = painted(grey, values, 2.0, CHANGE)
    for place, share in ((corner, 1.0), ((SIDE - 1, 0), 0.0)):
        colour = np.array(mpl.colormaps[CHANGE](share)[:3])
        assert both[place] == pytest.approx(0.15 * 0.5 + 0.85 * colour, abs=1e-6)
    assert np.array_equal(painted(grey, values * 0, 0.0, CHANGE), grey)


def copied(original: Path, target: Path, **changes) -> Path:
    with h5py.File(original) as file, h5py.File(target, "w") as copy:
        for name in file:
            copy[name] = changes.get(name, file[name][()])
        copy.attrs.update(dict(file.attrs))
    return target


def test_bad_files_are_refused(written, run_inputs, tmp_path):
    cases = {
        "absent": (None, "no such file"),
        "other": (
            copied(written, tmp_path / "other.h5", images=np.array([1, 2, 900])),
            "does not belong to",
        ),
        "names": (
            copied(written, tmp_path / "names.h5", attributes=np.full((COUNT, 2), ATTRIBUTES)),
            "attribute",
        ),
        "short": (
            copied(written, tmp_path / "short.h5", labels=np.array([2])),
            "its parts disagree",
        ),
        "classes": (
            copied(written, tmp_path / "classes.h5", predicted=np.full(COUNT, CLASSES)),
            "does not belong",
        ),
    }
    (tmp_path / "cut.h5").write_bytes(written.read_bytes()[:900])
    cases["cut"] = (tmp_path / "cut.h5", r"not a readable gradcam\.h5")
    for name, stamp in (("stopped", {"complete": False}), ("unstamped", {})):
        path = copied(written, tmp_path / f"{name}.h5")
        with h5py.File(path, "r+") as file:
            del file.attrs["complete"]
            file.attrs.update(stamp)
        cases[name] = (path, "not stamped complete")
    with h5py.File(written) as file:
        empty = {name: file[name][()][:0] for name in file}
    cases["empty"] = (copied(written, tmp_path / "empty.h5", **empty), "holds no image")
    for name, (_, message) in cases.items():
        with pytest.raises(InputError, match=message):
            draw(tmp_path / f"{name}.h5", run_inputs, tmp_path / "picture")
    assert not list(tmp_path.glob("picture*"))


def test_the_same_file_gives_the_same_bytes(written, run_inputs, drawn, tmp_path):
    again = draw(written, run_inputs, tmp_path / "picture")
    assert [path.name for path in again] == ["picture.png", "picture.svg"]
    assert all(
        one.read_bytes() == other.read_bytes() for one, other in zip(drawn, again, strict=True)
    )
