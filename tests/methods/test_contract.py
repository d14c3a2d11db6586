"""What every file in ``zslpipe/methods`` owes the rest of the package."""

import ast
import dataclasses
import importlib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from zslpipe.networks.backbones import Trunk
from zslpipe.provenance import PACKAGE, syntax_tree
from zslpipe.study.declarations import method_names, read_method
from zslpipe.training.contract import Classes, Images, Pooled, Regions, TrainingData, TrainingRun
from zslpipe.training.held import Held

torch.set_num_threads(1)
METHODS = method_names()
SOURCES = re.compile(r"#.*\b(paper|code|family|ours)\b")
SEEN = torch.tensor([True, False, True, True, False, True])
ATTRIBUTES, WIDTH, WORD_WIDTH, IMAGES = 7, 10, 4, 24
SIDE = 48  # pixels: a 3x3 map of the demo's network
QUICK = {
    "batch_size": 8,
    "backbone": "demo",
    "episodes": 3,
    "ways": 3,
    "generator_steps": 10,
    "hidden": 32,
}


@dataclass(frozen=True)
class Case:
    """A method and one of the kinds of inputs that it takes."""

    module: ModuleType
    kind: str


def kinds_of(name: str) -> list[str]:
    return list(read_method(name).inputs)


@pytest.fixture(params=METHODS)
def method(request) -> ModuleType:
    return importlib.import_module(f"zslpipe.methods.{request.param}")


@pytest.fixture(params=[f"{name}-{kind}" for name in METHODS for kind in kinds_of(name)])
def case(request) -> Case:
    name, kind = request.param.split("-")
    return Case(importlib.import_module(f"zslpipe.methods.{name}"), kind)


def source_of(module: ModuleType) -> tuple[str, ast.Module]:
    path = Path(module.__file__)
    return path.read_text(encoding="utf8"), ast.parse(path.read_text(encoding="utf8"))


def classes_of() -> Classes:
    generator = torch.Generator().manual_seed(0)
    vectors = torch.rand(len(SEEN), ATTRIBUTES, generator=generator)
    words = torch.randn(ATTRIBUTES, WORD_WIDTH, generator=generator)
    names = tuple(f"class {number}" for number in range(len(SEEN)))
    return Classes(names, vectors, SEEN, tuple("abcdefg"), words)


def inputs_of(case: Case) -> Held:
    """Return inputs of one kind: regions and pooled features non-negative as a backbone's last map
    is, or images.
    """
    shape = {"regions": (9, WIDTH), "pooled": (WIDTH,), "images": (3, SIDE, SIDE)}[case.kind]
    values = torch.randn(IMAGES, *shape, generator=torch.Generator().manual_seed(1))
    return Held(values if case.kind == "images" else values.relu())


def quick(config: Any) -> Any:
    """Return a Config of one short epoch on the demo's network, whose map of SIDE pixels is 3x3."""
    short = {
        field.name: QUICK[field.name] for field in dataclasses.fields(config) if field.name in QUICK
    }
    epochs = {
        field.name: 1 for field in dataclasses.fields(config) if field.name.endswith("epochs")
    }
    return replace(config, **short, **epochs)


def trained(case: Case, folder: Path, classes: Classes, numbers: Tensor) -> nn.Module:
    """Return a model after a quick training on images whose label k is class ``numbers[k]`` of
    ``classes``.
    """
    config, inputs = quick(case.module.Config()), inputs_of(case)
    labels = numbers[SEEN.nonzero().squeeze(1)[torch.arange(IMAGES) % int(SEEN.sum())]]
    torch.manual_seed(0)
    model = case.module.Model(config, classes, inputs.shape)
    data = TrainingData(
        inputs, torch.arange(IMAGES), labels, classes, TrainingRun(0, torch.device("cpu"), folder)
    )
    case.module.train(model, config, data)
    return model.eval()


def scores_of(case: Case, model: nn.Module) -> Tensor:
    with torch.inference_mode():
        return model.scores(inputs_of(case).values).clone()


def test_config_is_frozen_and_complete(method):
    config = method.Config()
    for field in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, getattr(config, field.name))
    assert [field.name for field in dataclasses.fields(config)] == list(
        read_method(Path(method.__file__).stem).settings
    )
    assert all(
        type(value) in (bool, int, float, str) for value in dataclasses.asdict(config).values()
    )


def test_every_default_has_its_source(method):
    text, tree = source_of(method)
    lines = text.splitlines()
    config = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Config"
    )
    settings = [node for node in config.body if isinstance(node, ast.AnnAssign)]
    assert settings
    without = [
        lines[node.lineno - 1]
        for node in settings
        if not SOURCES.search(lines[node.end_lineno - 1])
    ]
    assert without == []


def test_published_settings_are_configs(method):
    published = vars(method).get("PUBLISHED", {})
    assert {type(config) for config in published.values()} <= {method.Config}
    assert all(isinstance(name, str) for name in published)


def test_input_is_declared_and_the_source_says_the_same(method):
    declared = method.INPUT if isinstance(method.INPUT, tuple) else (method.INPUT,)
    assert all(isinstance(kind, Regions | Pooled | Images) for kind in declared)
    found = {type(kind).__name__.lower(): dataclasses.asdict(kind) for kind in declared}
    assert found == read_method(Path(method.__file__).stem).inputs


def test_an_end_to_end_method_keeps_its_network_as_trunk(case):
    settings = {field.name for field in dataclasses.fields(case.module.Config)}
    model = case.module.Model(quick(case.module.Config()), classes_of(), inputs_of(case).shape)
    assert isinstance(dict(model.named_children()).get("trunk"), Trunk) == (case.kind == "images")
    if "images" in kinds_of(Path(case.module.__file__).stem):
        assert {"backbone", "layer"} <= settings


def test_scores_cover_every_class_and_are_finite(case, tmp_path):
    model = trained(case, tmp_path, classes_of(), torch.arange(len(SEEN)))
    scores = scores_of(case, model)
    assert scores.shape == (IMAGES, len(SEEN))
    assert torch.isfinite(scores).all()
    assert scores.std(0).min() > 0


def test_same_seed_same_scores(case, tmp_path):
    numbers = torch.arange(len(SEEN))
    first, second = (
        trained(case, tmp_path / name, classes_of(), numbers) for name in ("first", "second")
    )
    assert torch.equal(scores_of(case, first), scores_of(case, second))


def test_training_changes_the_scores(case, tmp_path):
    torch.manual_seed(0)
    fresh = case.module.Model(
        quick(case.module.Config()), classes_of(), inputs_of(case).shape
    ).eval()
    model = trained(case, tmp_path, classes_of(), torch.arange(len(SEEN)))
    assert not torch.equal(scores_of(case, fresh), scores_of(case, model))


def test_weights_round_trip_into_a_fresh_model(case, tmp_path):
    model = trained(case, tmp_path, classes_of(), torch.arange(len(SEEN)))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(123)
    fresh = case.module.Model(
        quick(case.module.Config()), classes_of(), inputs_of(case).shape
    ).eval()
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(scores_of(case, fresh), scores_of(case, model))


def test_permuting_the_classes_permutes_the_columns(case, tmp_path):
    classes, order = classes_of(), torch.tensor([4, 2, 5, 0, 3, 1])
    # Class k of the first order is class numbers[k] of the second.
    numbers = order.argsort()
    first = trained(case, tmp_path / "first", classes, torch.arange(len(SEEN)))
    second = trained(case, tmp_path / "second", classes.subset(order, classes.seen[order]), numbers)
    torch.testing.assert_close(
        scores_of(case, second), scores_of(case, first)[:, order], rtol=1e-4, atol=1e-4
    )


def test_all_state_is_parameter_or_buffer(case, tmp_path):
    model = trained(case, tmp_path, classes_of(), torch.arange(len(SEEN)))
    kept = ("_parameters", "_buffers", "_modules")
    loose = [
        f"{type(module).__name__}.{name}"
        for module in model.modules()
        for name, value in vars(module).items()
        if name not in kept and any(isinstance(part, Tensor) for part in _parts(value))
    ]
    assert loose == []
    unsaved = {name for name, _ in model.named_buffers()} - set(model.state_dict())
    assert unsaved == set()


def _parts(value: object) -> list[object]:
    """Return a value, or what a container holds at any depth."""
    if isinstance(value, dict):
        return [part for item in value.values() for part in _parts(item)]
    if isinstance(value, list | tuple | set):
        return [part for item in value for part in _parts(item)]
    return [value]


def test_attention_maps_are_declared_where_they_exist(case, tmp_path):
    source = read_method(Path(case.module.__file__).stem)
    assert source.has_attention == ("attention" in vars(case.module.Model))
    if source.has_attention:
        model = trained(case, tmp_path, classes_of(), torch.arange(len(SEEN)))
        with torch.inference_mode():
            maps = model.attention(inputs_of(case).values)
        assert maps.shape == (IMAGES, ATTRIBUTES, 3, 3)
        assert torch.isfinite(maps).all()


def test_it_imports_no_other_method_and_subclasses_only_modules(method):
    _, tree = source_of(method)
    imported = [
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else [node.module or "."]
        )
    ]
    assert [name for name in imported if name.startswith((".", "zslpipe.methods"))] == []
    parents = {
        ast.unparse(parent)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for parent in node.bases
    }
    assert parents == {"nn.Module"}


def test_signatures_are_plain(method):
    _, tree = source_of(method)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.args.kwarg] == []
    assert "hasattr" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    model = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Model"
    )
    signatures = {
        node.name: [part.arg for part in node.args.args]
        for node in model.body
        if isinstance(node, ast.FunctionDef)
    }
    assert signatures["__init__"] == ["self", "config", "classes", "input_shape"]
    assert signatures["scores"] == ["self", "inputs"]
    train = next(node for node in functions if node.name == "train" and node in tree.body)
    assert [part.arg for part in train.args.args] == ["model", "config", "data"]


def test_the_docstring_cites_numbers_equations_and_lists_deviations(method):
    text = method.__doc__
    assert re.search(r"\b(19|20)\d\d\b", text), "no year of publication"
    assert re.search(r"^\s*\(\d+\)", text, re.MULTILINE), "no numbered equation"
    assert "\nDeviations\n" in text


def test_every_method_file_is_met_here():
    files = {path.stem for path in (PACKAGE / "methods").glob("*.py")} - {"__init__"}
    assert set(METHODS) == files
    assert {"dazle", "eszsl"} <= files
    assert all(syntax_tree(PACKAGE / "methods" / f"{name}.py").body for name in METHODS)
