"""A failed run costs its rows, not the table: runs that fail for real, and are mended."""

import csv
import sys
from pathlib import Path

import pytest

from tests.made_up.checkouts import Checkout

# Stands in for the python of the jobs: kills one training, and gives another a file that is absent.
FAULTS = f"""\
case "$*" in
*'"method":"eszsl"'*"--seed 1 "*) [ -e mended ] || kill -9 $$ ;;
*'"variant":"no_calibration"'*"--seed 0 "*)
    [ -e mended ] || exec {sys.executable} "$@" --features nowhere.h5 ;;
esac
exec {sys.executable} "$@"
"""


def seeds_of(table: Path) -> dict[tuple[str, str], str]:
    """Return method and variant -> number of seeds of each row of a table."""
    with table.open(encoding="utf-8", newline="") as lines:
        return {(row["method"], row["variant"]): row["seeds"] for row in csv.DictReader(lines)}


@pytest.mark.slow
def test_what_succeeded_is_shown_and_what_is_missing_named(checkout: Checkout) -> None:
    tables, figures = checkout.folder / "results/tables", checkout.folder / "results/figures"
    checkout.replace(
        "config.yaml",
        "choose: {feature_regulariser: [0.1, 1.0]",
        "choose: {feature_regulariser: [0.1]",
    )
    checkout.replace(
        "config.yaml",
        "no_calibration: {calibration_weight: 0.0",
        "no_calibration: {calibration_weight: 0.01",
    )
    checkout.program("python", FAULTS)
    before = (tables / "main.csv").read_bytes()
    said = checkout.snakemake("--cores", "1", "--rerun-triggers", "params", fails=True)
    lines = said[said.index("PARTIAL") :].splitlines()
    assert lines[0] == "PARTIAL: 2 of 10 results are missing"
    missing = [line for line in lines if line.startswith("- demo, ")]
    assert missing == [
        "- demo, dazle / no_calibration, seed 0: train failed: zslpipe train: Invalid value for "
        "'--features': File 'nowhere.h5' does not exist.",
        "- demo, eszsl / default, seed 1: train failed: killed by SIGKILL, as jobs are that need "
        "more memory than there is",
    ]
    text = (tables / "partial.md").read_text(encoding="utf-8")
    assert text.startswith("PARTIAL: 2 of 10 results are missing\n") and missing[0] in text
    seeds = seeds_of(tables / "partial.csv")
    assert seeds["dazle", "default"] == seeds["rsan", "cached"] == "2"
    # older scores lie there: they are none of this configuration
    assert (checkout.folder / "results/demo/runs/eszsl/default/seed1/scores.h5").is_file()
    assert not (checkout.folder / "results/demo/runs/eszsl/default/seed1/metrics.json").exists()
    assert seeds["eszsl", "default"] == seeds["dazle", "no_calibration"] == "1"
    assert (figures / "partial.demo.curves.webp").is_file()
    page = (tables / "partial.html").read_text(encoding="utf-8")
    assert "PARTIAL: 2 of 10" in page and page.count("<img") > 5
    assert not (tables / "main.csv").exists() or (tables / "main.csv").read_bytes() == before
    (checkout.folder / "mended").touch()
    checkout.snakemake("--cores", "1", "--rerun-triggers", "params")
    assert not [*tables.glob("partial*"), *figures.glob("partial*")]
    assert not (checkout.folder / "results/.failed").exists()
    assert set(seeds_of(tables / "main.csv").values()) == {"2"}
    assert len(seeds_of(tables / "main.csv")) == 5
