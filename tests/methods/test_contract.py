"""What every file in ``zslpipe/methods`` owes the rest of the package."""

import ast
import dataclasses
import importlib
import re
import typing
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import pytest
import torch
from torch import Tensor, nn

from zslpipe.networks.backbones import Trunk
from zslpipe.provenance import PACKAGE, syntax_tree
from zslpipe.settings import parse_settings
from zslpipe.study.declarations import (
    ATTENTION,
    ATTRIBUTE_SCORES,
    PART_ATTENTION,
    SAME_SPACE,
    UNTRAINED,
    method_names,
    read_method,
)
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


def name_of(module: ModuleType) -> str:
    return Path(module.__file__).stem


@pytest.fixture(params=METHODS)
def method(request) -> ModuleType:
    return importlib.import_module(f"zslpipe.methods.{request.param}")


def cases() -> list[Any]:
    """Return method-kind of every kind of input; whole networks are slow."""
    found: list[Any] = []
    for name in METHODS:
        for kind in kinds_of(name):
            marks = [pytest.mark.slow] if kind == "images" else []
            found.append(pytest.param(f"{name}-{kind}", marks=marks))
    return found


@pytest.fixture(params=cases())
def case(request) -> Case:
    name, kind = request.param.split("-")
    return Case(importlib.import_module(f"zslpipe.methods.{name}"), kind)


def source_of(module: ModuleType) -> tuple[str, ast.Module]:
    path = Path(module.__file__)
    return path.read_text(encoding="utf8"), ast.parse(path.read_text(encoding="utf8"))


def classes_of(case: Case) -> Classes:
    """Return classes whose vectors are as wide as there are attributes, or as the features are
    where a method compares both.
    """
    generator = torch.Generator().manual_seed(0)
    same_space = SAME_SPACE in read_method(name_of(case.module)).declares
    width = WIDTH if same_space else ATTRIBUTES
    vectors = torch.rand(len(SEEN), width, generator=generator)
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


def trained(
    case: Case, folder: Path, classes: Classes, numbers: Tensor, seed: int = 0
) -> nn.Module:
    """Return a model after a quick training on images whose label k is class ``numbers[k]`` of
    ``classes``.
    """
    return trained_run(case, folder, classes, numbers, seed)[0]


def trained_run(
    case: Case, folder: Path, classes: Classes, numbers: Tensor, seed: int = 0
) -> tuple[nn.Module, TrainingRun]:
    """Return such a model and its run."""
    config, inputs = quick(case.module.Config()), inputs_of(case)
    labels = numbers[SEEN.nonzero().squeeze(1)[torch.arange(IMAGES) % int(SEEN.sum())]]
    torch.manual_seed(seed)
    model = case.module.Model(config, classes, inputs.shape)
    run = TrainingRun(seed, torch.device("cpu"), folder)
    data = TrainingData(inputs, torch.arange(IMAGES), labels, classes, run)
    case.module.train(model, config, data)
    return model.eval(), run


def scores_of(case: Case, model: nn.Module) -> Tensor:
    with torch.inference_mode():
        return model.scores(inputs_of(case).values).clone()


def test_config_is_frozen_and_complete(method):
    config = method.Config()
    for field in dataclasses.fields(config):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(config, field.name, getattr(config, field.name))
    values = dataclasses.asdict(config)
    assert {type(value) for value in values.values()} <= {bool, int, float, str}


def test_what_is_read_without_importing_is_what_there_is(method):
    source, published = read_method(name_of(method)), vars(method).get("PUBLISHED", {})
    read = [(field.name, field.type, field.default) for field in dataclasses.fields(source.config)]
    there = [(field.name, field.type, field.default) for field in dataclasses.fields(method.Config)]
    assert read == there
    assert list(source.published) == list(published)
    for name, config in published.items():
        assert source.defaults(name) == dataclasses.asdict(config)
    assert source.defaults(None) == dataclasses.asdict(method.Config())


def test_every_number_has_a_range_and_lies_in_it(method):
    numbers = [field for field in dataclasses.fields(method.Config) if is_number(field.default)]
    without = [field.name for field in numbers if typing.get_origin(field.type) is not Annotated]
    assert without == []
    for config in (method.Config(), *vars(method).get("PUBLISHED", {}).values()):
        given = dataclasses.asdict(config)
        assert parse_settings(method.Config, given, "config") == config


def is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


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
    assert found == read_method(name_of(method)).inputs


def test_an_end_to_end_method_keeps_its_network_as_trunk(case):
    settings = {field.name for field in dataclasses.fields(case.module.Config)}
    model = case.module.Model(quick(case.module.Config()), classes_of(case), inputs_of(case).shape)
    assert isinstance(dict(model.named_children()).get("trunk"), Trunk) == (case.kind == "images")
    if "images" in kinds_of(name_of(case.module)):
        assert {"backbone", "layer"} <= settings


def test_scores_cover_every_class_and_are_finite(case, tmp_path):
    model = trained(case, tmp_path, classes_of(case), torch.arange(len(SEEN)))
    scores = scores_of(case, model)
    assert scores.shape == (IMAGES, len(SEEN))
    assert torch.isfinite(scores).all()
    assert scores.std(0).min() > 0


def test_same_seed_same_scores(case, tmp_path):
    numbers = torch.arange(len(SEEN))
    first, second = (
        trained(case, tmp_path / name, classes_of(case), numbers) for name in ("first", "second")
    )
    assert torch.equal(scores_of(case, first), scores_of(case, second))


def test_another_seed_gives_the_same_where_a_method_declares_it(case, tmp_path):
    found = [
        scores_of(
            case, trained(case, tmp_path / str(seed), classes_of(case), torch.arange(6), seed)
        )
        for seed in (0, 1)
    ]
    assert torch.equal(*found) or read_method(name_of(case.module)).is_drawn


def test_training_changes_the_scores_of_what_is_trained(case, tmp_path):
    torch.manual_seed(0)
    fresh = case.module.Model(
        quick(case.module.Config()), classes_of(case), inputs_of(case).shape
    ).eval()
    model = trained(case, tmp_path, classes_of(case), torch.arange(len(SEEN)))
    is_trained = UNTRAINED not in read_method(name_of(case.module)).declares
    assert torch.equal(scores_of(case, fresh), scores_of(case, model)) != is_trained


def test_weights_round_trip_into_a_fresh_model(case, tmp_path):
    model = trained(case, tmp_path, classes_of(case), torch.arange(len(SEEN)))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    torch.manual_seed(123)
    fresh = case.module.Model(
        quick(case.module.Config()), classes_of(case), inputs_of(case).shape
    ).eval()
    fresh.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(scores_of(case, fresh), scores_of(case, model))


def test_permuting_the_classes_permutes_the_columns(case, tmp_path):
    classes, order = classes_of(case), torch.tensor([4, 2, 5, 0, 3, 1])
    # Class k of the first order is class numbers[k] of the second.
    numbers = order.argsort()
    first = trained(case, tmp_path / "first", classes, torch.arange(len(SEEN)))
    second = trained(case, tmp_path / "second", classes.subset(order, classes.seen[order]), numbers)
    torch.testing.assert_close(
        scores_of(case, second), scores_of(case, first)[:, order], rtol=1e-4, atol=1e-4
    )


def test_all_state_is_parameter_or_buffer(case, tmp_path):
    model = trained(case, tmp_path, classes_of(case), torch.arange(len(SEEN)))
    assert [name for module in model.modules() for name in loose_tensors(module)] == []
    unsaved = {name for name, _ in model.named_buffers()} - set(model.state_dict())
    assert unsaved == set()


def loose_tensors(module: nn.Module) -> list[str]:
    """Return the names of a module's attributes that hold a tensor and are no state."""
    kept = ("_parameters", "_buffers", "_modules")
    others = {name: value for name, value in vars(module).items() if name not in kept}
    return [f"{type(module).__name__}.{name}" for name, value in others.items() if _holds(value)]


def _holds(value: object) -> bool:
    """Return whether a value is a tensor or a container of one."""
    return any(isinstance(part, Tensor) for part in _parts(value))


def _parts(value: object) -> list[object]:
    """Return a value, or what a container holds at any depth."""
    if isinstance(value, dict):
        return [part for item in value.values() for part in _parts(item)]
    if isinstance(value, list | tuple | set):
        return [part for item in value for part in _parts(item)]
    return [value]


def test_what_is_declared_is_there_and_what_is_there_is_declared(method):
    source = read_method(name_of(method))
    assert list(source.declares) == list(vars(method).get("DECLARES", ()))
    there = vars(method.Model)
    for word in (ATTENTION, PART_ATTENTION, ATTRIBUTE_SCORES):
        assert (word in source.declares) == (word in there), word
    settings = {field.name for field in dataclasses.fields(method.Config)}
    assert source.has_epochs == ("epochs" in settings)


def stages_of(module: ModuleType) -> dict[str, tuple[str, ...]]:
    """Return the settings of each stage, and last those of scoring."""
    return {**vars(module).get("STAGES", {}), "scoring": vars(module).get("SCORING", ())}


def test_settings_of_stages_and_of_scoring_are_settings_each_named_once(method):
    names = [name for stage in stages_of(method).values() for name in stage]
    assert set(names) <= {field.name for field in dataclasses.fields(method.Config)}
    assert len(names) == len(set(names))


def another(field: dataclasses.Field) -> Any:
    """Return a value of a setting that is not its default."""
    if isinstance(field.default, bool):
        return not field.default
    if isinstance(field.default, str):
        return next(one for one in typing.get_args(field.type) if one != field.default)
    return field.default * 2 or 1


def later_settings() -> list[Any]:
    """Return method, kind and each setting that its earlier stages must not notice."""
    found: list[Any] = []
    for name in METHODS:
        module = importlib.import_module(f"zslpipe.methods.{name}")
        settings = [one for stage in stages_of(module).values() for one in stage]
        kind = "regions" if "regions" in kinds_of(name) else kinds_of(name)[0]
        found += [(Case(module, kind), setting) for setting in settings]
    return found


def checkpoints_of(case: Case, config: Any, folder: Path) -> dict[str, Any]:
    """Return the checkpoint of each stage of a training."""
    inputs, classes = inputs_of(case), classes_of(case)
    labels = SEEN.nonzero().squeeze(1)[torch.arange(IMAGES) % int(SEEN.sum())]
    torch.manual_seed(0)
    model = case.module.Model(config, classes, inputs.shape)
    run = TrainingRun(0, torch.device("cpu"), folder)
    case.module.train(
        model, config, TrainingData(inputs, torch.arange(IMAGES), labels, classes, run)
    )
    found = {}
    for path in folder.glob("train.*.checkpoint.pt"):
        found[path.name.split(".")[1]] = torch.load(path, weights_only=True)
    return found


@pytest.mark.parametrize(
    ("case", "setting"),
    later_settings(),
    ids=lambda value: name_of(value.module) if isinstance(value, Case) else value,
)
def test_no_stage_reads_a_setting_of_a_later_one(case, setting, tmp_path):
    stages = stages_of(case.module)
    config = quick(case.module.Config())
    field = next(one for one in dataclasses.fields(config) if one.name == setting)
    changed = replace(config, **{setting: another(field)})
    first = checkpoints_of(case, config, tmp_path / "first")
    second = checkpoints_of(case, changed, tmp_path / "second")
    own = next(stage for stage, names in stages.items() if setting in names)
    before = list(stages)[: list(stages).index(own)] if own != "scoring" else list(first)
    assert before
    for stage in before:
        assert torch.equal(first[stage]["random"], second[stage]["random"]), stage
        for name, value in first[stage]["model"].items():
            assert torch.equal(value, second[stage]["model"][name]), f"{stage} {name}"


def test_word_vectors_are_needed_where_they_are_declared(case):
    without_words = replace(classes_of(case), words=None)
    config, shape = quick(case.module.Config()), inputs_of(case).shape
    if read_method(name_of(case.module)).uses_words:
        with pytest.raises(ValueError, match="needs word vectors"):
            case.module.Model(config, without_words, shape)
    else:
        case.module.Model(config, without_words, shape)


def test_a_history_is_written_where_epochs_are_declared(case, tmp_path):
    numbers = torch.arange(len(SEEN))
    _, run = trained_run(case, tmp_path, classes_of(case), numbers)
    assert bool(run.history) == read_method(name_of(case.module)).has_epochs


def test_attention_maps_have_a_value_for_each_attribute_and_region(case, tmp_path):
    if ATTENTION in read_method(name_of(case.module)).declares:
        model = trained(case, tmp_path, classes_of(case), torch.arange(len(SEEN)))
        with torch.inference_mode():
            maps = model.attention(inputs_of(case).values)
        assert maps.shape == (IMAGES, ATTRIBUTES, 3, 3)
        assert torch.isfinite(maps).all()


def test_it_imports_no_other_method_and_subclasses_only_modules(method):
    _, tree = source_of(method)
    nodes = list(ast.walk(tree))
    imports = [node for node in nodes if isinstance(node, ast.Import)]
    imported = [alias.name for node in imports for alias in node.names]
    imported += [node.module or "." for node in nodes if isinstance(node, ast.ImportFrom)]
    assert [name for name in imported if name.startswith((".", "zslpipe.methods"))] == []
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    assert {ast.unparse(parent) for node in classes for parent in node.bases} == {"nn.Module"}


def test_signatures_are_plain(method):
    _, tree = source_of(method)
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    assert [node.name for node in functions if node.args.kwarg] == []
    assert "hasattr" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    model = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Model"
    )
    methods = {node.name: node for node in model.body if isinstance(node, ast.FunctionDef)}
    assert arguments_of(methods["__init__"]) == ["self", "config", "classes", "input_shape"]
    assert arguments_of(methods["scores"]) == ["self", "inputs"]
    train = next(node for node in functions if node.name == "train" and node in tree.body)
    assert arguments_of(train) == ["model", "config", "data"]


def arguments_of(function: ast.FunctionDef) -> list[str]:
    return [part.arg for part in function.args.args]


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
