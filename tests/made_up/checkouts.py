"""A checkout in a folder of its own, the configuration of a small run, and what Snakemake plans
there.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.made_up.places import ROOT

# What a run needs of the checkout: nothing of it is ignored by git, nothing that git ignores is
# needed.
PARTS = ("Snakefile", "profiles", "workflow", "envs", "zslpipe")
CONFIG = """\
seeds: [0, 1]
methods: [dazle, eszsl, rsan]
datasets:
  demo:
    adapter: demo
    source: {images_per_class: 2, auxiliary_classes: 4, auxiliary_images_per_class: 4}
    extractors: [demo_7x7]
    words: random
extractors:
  demo_7x7: {backbone: demo, size: 112, grid: 7}
words:
  random: {kind: random, dimension: 8}
compute: {device: cpu, threads: 1, extract_threads: 1, image_threads: 1}
dazle:
  epochs: 2
  lr: 0.001
  weight_decay: 0.0001
  variants:
    no_calibration: {calibration_weight: 0.0, margin: 0.0, cross_entropy_classes: seen}
eszsl:
  selection: validation
  criterion: T1
  choose: {feature_regulariser: [0.1, 1.0], class_regulariser: [0.1, 1.0]}
rsan:
  extractor: demo_7x7
  epochs: 1
  episodes: 1
  ways: 2
  variants:
    cached: {input: regions}
"""
# A job of a dry run: its rule, and the wildcards a few lines on (those without any have none).
JOB = re.compile(r"^(?:local)?rule (\w+):\n((?: .*\n)+)", re.MULTILINE)


@dataclass(frozen=True)
class Checkout:
    """A checkout in a folder of its own, and Snakemake of the running interpreter in it."""

    folder: Path

    def snakemake(self, *arguments: str, fails: bool = False) -> str:
        """Run Snakemake and return all that it says."""
        run = self.started(*arguments, stream=subprocess.PIPE)
        said, _ = run.communicate()
        assert (run.returncode != 0) == fails, said
        return said

    def started(self, *arguments: str, stream: IO[str] | int) -> subprocess.Popen[str]:
        """Start Snakemake in a session of its own; it says everything to ``stream``."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("SNAKEMAKE_PROFILE", "PYTHONPATH")
        }
        # Stand-ins of programs first, then the interpreter's own folder: jobs call ``python``.
        folders = [str(self.folder / "bin"), str(Path(sys.executable).parent), environment["PATH"]]
        return subprocess.Popen(
            [sys.executable, "-m", "snakemake", *arguments],
            cwd=self.folder,
            env=environment | {"PATH": os.pathsep.join(folders)},
            stdout=stream,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def planned(self, *arguments: str) -> set[str]:
        """Return the jobs of a dry run as "rule wildcard/wildcard/...", without "all"."""
        said = self.snakemake("--dry-run", *arguments)
        jobs = {described(rule, lines) for rule, lines in JOB.findall(said)}
        assert jobs or "Nothing to be done" in said, said
        return jobs - {"all"}

    def replace(self, file: str, old: str, new: str) -> None:
        """Replace the one occurrence of a text in a file."""
        path = self.folder / file
        text = path.read_text(encoding="utf8")
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {file}"
        path.write_text(text.replace(old, new), encoding="utf8")

    def append(self, file: str, text: str) -> None:
        """Write a text behind what a file holds."""
        with (self.folder / file).open("a", encoding="utf8") as stream:
            stream.write(text)

    def program(self, name: str, script: str) -> None:
        """Put a stand-in for a program first on the path of Snakemake."""
        (self.folder / "bin").mkdir(exist_ok=True)
        (self.folder / "bin" / name).write_text(f"#!/bin/sh\n{script}", encoding="utf8")
        (self.folder / "bin" / name).chmod(0o755)


def run_checkout(folder: Path, configuration: str, *targets: str) -> Checkout:
    """Return a new checkout at ``folder`` in which a configuration has run for real, all of it or
    up to some ``targets``.
    """
    checkout = Checkout(folder)
    folder.mkdir()
    for part in PARTS:
        copied(ROOT / part, folder / part)
    (folder / "config.yaml").write_text(configuration, encoding="utf8")
    checkout.snakemake("--cores", "2", *targets)
    return checkout


def described(rule: str, lines: str) -> str:
    """Return a job of a dry run in one line."""
    wildcards = re.search(r"^ +wildcards: (.*)$", lines, re.MULTILINE)
    if wildcards is None:
        return rule
    return f"{rule} " + "/".join(pair.split("=", 1)[1] for pair in wildcards[1].split(", "))


def copied(source: Path, target: Path) -> None:
    """Copy a file, a folder or a link with its times, without compiled Python."""
    if source.is_dir() and not source.is_symlink():
        shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target, follow_symlinks=False)
