"""Profiles for other places to run, and the container image in the place of conda environments:
each is read by Snakemake, and none of them runs anything again.
"""

import re

import pytest
import yaml

from tests.made_up.checkouts import Checkout
from tests.made_up.places import ROOT

PROFILES = ROOT / "workflow" / "profiles"
# What every profile says that replaces the default one.
KEPT = ("rerun-triggers", "rerun-incomplete", "keep-going", "show-failed-logs")


def of(name: str) -> dict:
    """Return what a profile says."""
    return yaml.safe_load((PROFILES / name / "config.yaml").read_text(encoding="utf8"))


@pytest.mark.parametrize("name", ["laptop", "workstation", "generic"])
def test_a_profile_keeps_what_the_default_one_promises(name: str) -> None:
    assert {key: of(name)[key] for key in KEPT} == {key: of("default")[key] for key in KEPT}


@pytest.mark.parametrize(
    ("name", "resources"),
    [
        ("laptop", {"gpu": "1", "mem_mb": "14000"}),
        ("workstation", {"gpu": "4", "mem_mb": "200000"}),
        ("generic", {"gpu": "1"}),
    ],
)
def test_a_profile_is_read_and_runs_nothing_again(
    checkout: Checkout, name: str, resources: dict[str, str]
) -> None:
    assert checkout.planned("--workflow-profile", name) == set()
    # jobs of a machine that may use less than a rule asks for ask for that
    changed = ("--config", "set=compute.device=auto")
    asked = memory(checkout, *changed)
    assert memory(checkout, "--workflow-profile", name, *changed) == asked
    limited = memory(checkout, "--workflow-profile", name, "--resources", "mem_mb=4000", *changed)
    assert limited == 4000 < asked
    assert of(name)["resources"] == {key: int(value) for key, value in resources.items()}


def memory(checkout: Checkout, *options: str) -> int:
    """Return the largest memory that a job asks for."""
    said = checkout.snakemake("--dry-run", "--forceall", *options)
    asked = [line for line in said.splitlines() if " resources: " in line]
    return max(int(found) for found in re.findall(r" mem_mb=(\d+)", "\n".join(asked)))


def test_what_one_rule_asks_for_is_changed_on_the_command_line(checkout: Checkout) -> None:
    """As docs/cluster.md says."""
    pytest.importorskip(
        "snakemake_executor_plugin_slurm", reason="the SLURM plugin is not installed"
    )
    profile = ("--profile", "workflow/profiles/slurm")
    changes = ("--set-resources", "train:mem_mb=4000", "train:slurm_partition=gpu")
    assert checkout.planned(*profile, *changes, "--set-threads", "extract=16") == set()
    said = checkout.snakemake("--dry-run", "--forceall", *profile, *changes)
    found = re.findall(r"^ *rule (\w+):\n(?: .*\n)*? +resources: (.*)$", said, re.MULTILINE)
    assert {rule for rule, asked in found if "slurm_partition=gpu" in asked} == {"train"}
    assert all("mem_mb=4000," in asked for rule, asked in found if rule == "train")
    # a list of one's own stands in the place of the profile's
    assert "turn=1" not in said
    assert "turn=1" in checkout.snakemake("--dry-run", "--forceall", *profile)


def test_the_documentation_names_every_rule_that_asks_for_a_gpu() -> None:
    asking: set[str] = set()
    for path in (ROOT / "workflow" / "rules").glob("*.smk"):
        for text in re.split(r"^(?=rule |use rule )", path.read_text("utf8"), flags=re.MULTILINE):
            head = re.match(r"rule (\w+):|use rule (\w+) as (\w+) with:", text)
            if head and (re.search(r"^ +gpu=study\.", text, re.MULTILINE) or head[2] in asking):
                asking.add(head[1] or head[3])
    page = (ROOT / "docs" / "cluster.md").read_text(encoding="utf8")
    sentence = page[page.index("Rules that ask for a GPU are") :].split("A partition")[0]
    assert set(re.findall(r"`(\w+)`", sentence)) == asking


def test_turns_are_taken_by_rules_that_share_a_submission() -> None:
    grouped = {pair.split("=")[0] for pair in of("slurm")["groups"]}
    assert set(of("slurm")["set-resources"]) == {f"{rule}:turn=1" for rule in grouped}


def test_with_apptainer_jobs_run_in_the_image_and_nothing_runs_again(checkout: Checkout) -> None:
    """A stand-in for Apptainer keeps what it is asked for, and runs it here."""
    asked = checkout.folder / "asked.txt"
    checkout.program(
        "singularity",
        f"""\
case "$*" in
  --version) echo "apptainer version 1.3.0" ;;
  exec*)
    echo "$@" >> {asked}
    while [ "$1" != envs/zslpipe.sif ]; do shift; done
    shift
    exec "$@" ;;
esac
""",
    )
    assert checkout.planned("--sdm", "apptainer") == set()
    (checkout.folder / "results" / "tables" / "main.md").unlink()
    checkout.snakemake("--cores", "1", "results/tables/main.md", "--sdm", "apptainer")
    (line,) = asked.read_text(encoding="utf8").splitlines()
    assert "python -m zslpipe tables" in line
    assert checkout.planned() <= {"page"}  # which shows the table
