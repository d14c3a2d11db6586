"""What ``zslpipe plan`` says in a checkout, against what Snakemake plans there."""

import json
import re

import pytest

from tests.made_up.checkouts import CONFIG, PARTS, Checkout, copied
from tests.made_up.places import ROOT
from zslpipe.commands import planning
from zslpipe.commands.cli import main
from zslpipe.formats.features import FeatureFile
from zslpipe.formats.rates import read_rates, write_rates
from zslpipe.machine.errors import InputError

TARGET = "results/demo/runs/eszsl/default/seed0/metrics.json"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> Checkout:
    """Return a checkout in which nothing has run."""
    folder = tmp_path_factory.mktemp("planned") / "checkout"
    folder.mkdir()
    for part in PARTS:
        copied(ROOT / part, folder / part)
    (folder / "config.yaml").write_text(CONFIG, encoding="utf8")
    return Checkout(folder)


def said(capsys, *arguments: str, code: int = 0) -> str:
    assert main(["plan", *arguments]) == code
    return capsys.readouterr().out


@pytest.mark.slow
def test_a_plan_has_the_jobs_that_snakemake_plans(checkout, capsys, monkeypatch) -> None:
    monkeypatch.chdir(checkout.folder)
    told = json.loads(said(capsys, "--json", "--cores", "1"))
    listed = re.search(r"^total +(\d+)$", checkout.snakemake("--dry-run"), re.MULTILINE)
    assert listed is not None
    assert told["count"] == int(listed[1]) - 1  # "all" makes nothing
    # 40 classes, two pictures each; 49 regions of 192 numbers
    assert told["notes"] == ["demo: 80 images, 40 classes (its settings)"]
    features = next(row for row in told["files"] if row["title"] == "features demo_7x7")
    values = 80 * (49 * 192 * 2 + 192 * 4 + 8)
    assert values < features["bytes"] < values + 60_000  # names, attributes, whole pages
    assert "train dazle" in told["unmeasured"]
    assert not (checkout.folder / "results").exists()


@pytest.mark.slow
def test_a_calibration_measures_once_and_the_bytes_are_those_of_the_files(
    checkout, capsys, monkeypatch
) -> None:
    monkeypatch.chdir(checkout.folder)
    given = (TARGET, "--config", 'set="methods=[eszsl] seeds=[0]"', "--cores", "1")
    told = json.loads(said(capsys, *given, "--calibrate", "--json"))
    assert told["unmeasured"] == []
    assert {row["source"] for row in told["jobs"]} == {"default", "calibrated"}
    rates = checkout.folder / "results" / ".rates.json"
    before = rates.read_bytes()
    assert main(["plan", *given, "--calibrate"]) == 0
    assert "measuring" not in capsys.readouterr().err
    assert rates.read_bytes() == before
    checkout.snakemake(TARGET, "--config", "set=methods=[eszsl] seeds=[0]", "--cores", "1")
    made = checkout.folder / "results" / "demo"
    sizes = {row["title"]: row["bytes"] for row in told["files"]}
    features = FeatureFile(made / "features" / "demo_7x7.h5").path.stat().st_size
    assert sizes["features demo_7x7"] == pytest.approx(features, rel=0.02)
    scores = (made / "runs" / "eszsl" / "default" / "seed0" / "scores.h5").stat().st_size
    assert sizes["scores"] == pytest.approx(scores, rel=0.2)
    assert said(capsys, *given).startswith("nothing is due")


def test_a_plan_is_made_in_a_checkout(tmp_path, capsys, caplog, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    said(capsys, code=1)
    assert f"{tmp_path} is no checkout" in caplog.text


def test_rates_that_are_none_are_told(tmp_path) -> None:
    path = tmp_path / "results" / ".rates.json"
    assert read_rates(path) == {}
    write_rates(path, {"a": {"b": {"c": 1}}})
    assert read_rates(path) == {"a": {"b": {"c": 1}}}
    for text in ("[]", "{", '{"a": 1}'):
        path.write_text(text, encoding="utf8")
        with pytest.raises(InputError, match=r"rates.json: .*delete it"):
            read_rates(path)


@pytest.mark.slow
def test_what_cannot_be_measured_is_said_and_left_out(
    checkout, capsys, monkeypatch, tmp_path
) -> None:
    def measured(one, pictures):
        if one.kind == "run":
            raise InputError("no such thing")
        return {"width": 192, "image": {"core": 1.0, "wall": 1.0}}

    monkeypatch.chdir(checkout.folder)
    monkeypatch.setattr(planning, "_measured", measured)
    monkeypatch.setattr(planning, "_pictures", lambda *given: None)
    target = "results/demo/runs/dazle/no_calibration/seed1/scores.h5"
    assert main(["plan", target, "--cores", "1", "--calibrate"]) == 0
    told = capsys.readouterr()
    assert "demo/dazle/no_calibration is not measured: no such thing" in told.err
    assert "time of train dazle/no_calibration is unknown" in told.out
