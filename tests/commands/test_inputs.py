"""Options that several commands share, and what they become."""

import json
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import click
import pytest

from tests.made_up.configuration import given
from zslpipe.commands.features import WeightsFile, extract
from zslpipe.commands.inputs import (
    LARGEST_SEED,
    MOST_THREADS,
    JsonList,
    JsonObject,
    compute_of,
    extractor_of,
    image_folder,
    module_named,
    seed_option,
)
from zslpipe.commands.specification import SPEC, Spec, check_spec
from zslpipe.machine.devices import Compute
from zslpipe.machine.errors import InputError
from zslpipe.machine.ranges import Seed, Threads, schema_of
from zslpipe.provenance import canonical
from zslpipe.study.config import Run, load, runs
from zslpipe.study.sections import RunSection

OPTION = click.Option(["--settings"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "{adapter: demo}",
            "read '{adapter: demo}': Expecting property name enclosed in double quotes",
        ),
        ('{"adapter":', "read '{\"adapter\":': Expecting value"),
        ("", "read '': Expecting value"),
        ("[1, 2]", "read '[1, 2]': no object"),
        ("5", "read '5': no object"),
        ('{"source": {}}', "without adapter; expected the keys adapter, source"),
    ],
)
def test_what_is_no_object_with_the_keys_is_told(text: str, told: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        JsonObject("adapter", "source").convert(text, OPTION, None)
    message = caught.value.format_message()
    assert message.startswith("Invalid value for '--settings': ") and told in message
    assert "\n" not in message and "expected" in message
    assert caught.value.exit_code == 2


def test_an_object_is_read_and_a_long_value_is_cut_in_the_message() -> None:
    given = {"adapter": "demo", "source": {"seed": 1}}
    assert JsonObject("adapter").convert(json.dumps(given), OPTION, None) == given
    with pytest.raises(click.BadParameter) as caught:
        JsonObject().convert('{"a": 1, ' + "b" * 1000, OPTION, None)
    assert len(caught.value.format_message()) < 250


def test_compute_is_the_configuration_s_section_and_the_job_s_threads() -> None:
    section = {"device": "cpu", "threads": 9, "image_threads": 8, "extract_threads": 8}
    assert compute_of(section, 3) == Compute(device="cpu", threads=3)
    assert compute_of({}, 2) == Compute()


def test_unknown_keys_and_wrong_types_of_compute_are_told() -> None:
    with pytest.raises(InputError, match=r"^--compute: unknown setting 'devise'.*'device'\?$"):
        compute_of({"devise": "cpu"}, 2)
    with pytest.raises(
        InputError, match=r"^--compute, compile: 'yes' is not of type bool; write true or false"
    ):
        compute_of({"compile": "yes"}, 2)


def test_images_lie_under_the_data_root_or_beside_the_index() -> None:
    index = Path("results/demo/index.h5")
    assert image_folder(Path("data"), Path("birds"), index) == Path("data/birds")
    assert image_folder(Path("data"), None, index) == Path("results/demo/images")


def test_a_module_of_another_name_is_told_with_the_nearest() -> None:
    room = "zslpipe.datasets.adapters"
    assert module_named(room, "demo", "--settings: adapter").__name__ == f"{room}.demo"
    with pytest.raises(InputError, match=r"^--settings: adapter 'dmeo'; did you mean 'demo'\?$"):
        module_named(room, "dmeo", "--settings: adapter")


def test_a_run_is_asked_for_what_the_study_gives() -> None:
    assert set(SPEC) <= {field.name for field in fields(Run)} - {"rebalancing"}


SLICE = next(runs(load(given()))).slice  # of dazle


def test_a_run_s_slice_is_a_spec() -> None:
    for run in runs(load(given())):
        check_spec(json.loads(canonical(run.slice)))


def test_what_a_spec_and_the_configuration_may_say_is_the_same() -> None:
    of_a_run, asked = get_type_hints(RunSection), get_type_hints(Spec)
    for name in ("precision", "selection", "criterion", "track"):
        assert asked[name] == of_a_run[name]
    assert {asked[name] | None for name in ("input", "normalisation")} == {
        of_a_run[name] for name in ("input", "normalisation")
    }


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"extra": 1}, "--spec: unknown key 'extra'; "),
        ({"method": "dazel"}, "--spec: method 'dazel'; did you mean 'dazle'?"),
        ({"method": 5}, "--spec, method: 5 is not of type str"),
        ({"settings": 5}, "--spec, settings: 5 is not a section; "),
        ({"settings": {"rl": 0.1}}, "--spec, settings: unknown setting 'rl'; did you mean 'lr'?"),
        ({"settings": {"lr": -1}}, "--spec, settings.lr: -1 is out of range; "),
        ({"choose": {"lr": 0.1}}, "--spec, choose.lr: 0.1 is not a list; "),
        ({"choose": {"lr": [0.1, "x"]}}, "--spec, choose.lr: 'x' is not of type float; "),
        ({"choose": {"rl": [0.1]}}, "--spec, choose: unknown setting 'rl'; did you mean 'lr'?"),
        ({"selection": "first"}, "--spec, selection: 'first' is none of last, validation; "),
        ({"criterion": "h"}, "--spec, criterion: 'h' is none of T1, H; did you mean 'H'?"),
        ({"precision": "float16"}, "--spec, precision: 'float16' is none of float32, bfloat16; "),
        ({"input": "region"}, "--spec, input: 'region' is none of regions, pooled, images; "),
        ({"normalisation": "l2"}, "--spec, normalisation: 'l2' is none of none, unit, minmax; "),
        ({"track": True}, "--spec, track: True is none of none, test; "),
        ({"trunk": 5}, "--spec, trunk: 5 is not a section; "),
    ],
)
def test_a_mistake_in_a_spec_is_one_line(change: dict, line: str) -> None:
    with pytest.raises(InputError) as error:
        check_spec(SLICE | change)
    assert str(error.value).startswith(line) and "\n" not in str(error.value)


def test_how_an_extractor_computes_is_asked_of_compute_by_its_name() -> None:
    compute = {"device": "cpu", "extractors": {"fine": {"dtype": "float16"}}}
    assert extractor_of(compute, "fine") == {"dtype": "float16"}
    assert extractor_of(compute, "coarse") == extractor_of({}, "fine") == {}
    for wrong in ({"extractors": 5}, {"extractors": {"fine": 5}}, {"extractors": []}):
        with pytest.raises(InputError, match=r"^--compute, \w+: .* is no object$"):
            extractor_of(wrong, "fine")


def test_weights_are_a_file_or_left_out(tmp_path: Path) -> None:
    (tmp_path / "index.h5").touch()
    (tmp_path / "weights.pt").touch()
    keys = dict.fromkeys(("name", "backbone", "size", "grid", "features_version"))
    command = ["--index", str(tmp_path / "index.h5"), "--settings", json.dumps(keys)]
    command += ["--output", "features.h5"]

    def weights(*further: str) -> Path | None:
        found: Path | None = extract.make_context("extract", [*command, *further]).params["weights"]
        return found

    assert weights() is None
    assert weights("--weights") is None
    assert weights("--weights", "") is None
    assert weights("--weights", "--threads", "3") is None
    assert weights("--weights", str(tmp_path / "weights.pt")) == tmp_path / "weights.pt"
    with pytest.raises(InputError, match=r"^no weights: give a file with --weights, or the key"):
        extract.main(command, standalone_mode=False)
    with pytest.raises(click.BadParameter, match="does not exist"):
        WeightsFile().convert(str(tmp_path / "absent.pt"), None, None)


def test_a_value_of_a_hundred_thousand_brackets_is_a_wrong_value() -> None:
    for kind in (JsonObject(), JsonList()):
        with pytest.raises(click.UsageError, match="read '"):
            kind.convert("[" * 100_000, None, None)


def test_numbers_of_options_have_the_ranges_of_the_configuration() -> None:
    assert schema_of(Seed)["exclusiveMaximum"] == LARGEST_SEED + 1
    assert schema_of(Threads)["maximum"] == MOST_THREADS
    assert seed_of(["--seed", str(LARGEST_SEED)]) == LARGEST_SEED
    with pytest.raises(click.UsageError, match="is not in the range 0<=x<=4294967295"):
        seed_of(["--seed", str(2**70)])


def seed_of(arguments: list[str]) -> int:
    """Return what a command with a seed reads."""
    context = click.command("x")(seed_option(lambda seed: None)).make_context("x", arguments)
    return int(context.params["seed"])
