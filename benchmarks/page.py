"""Every benchmark of this folder, one after the other, as a page of the documentation.

Run: make bench, on a machine with nothing else to do; some twenty minutes on two cores. Writes
docs/performance.md: the machine, the versions, and of each benchmark what it measures, what it
printed and the pictures it drew. A GPU is used by the benchmarks that have something to measure
there.
"""

import ast
import logging
import os
import subprocess
import sys
from pathlib import Path

import psutil

from zslpipe.machine.hardware import machine_kind
from zslpipe.provenance import library_versions

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"
# Where pictures of benchmarks lie, each under the name of its script and more.
PICTURES = PAGE.parent / "images"
# What is timed beside the default: extraction by a light network, where decoding weighs most, and
# what telling the C libraries gives.
LIGHT = ["--network", "mobilenet_v2", "--images", "512"]
MORE = {"extract.py": [[], LIGHT, [*LIGHT, "--untold"]]}
logger = logging.getLogger(__name__)


def machine() -> str:
    """Return the machine, the versions and how busy it was, as a list in Markdown."""
    memory = psutil.virtual_memory().total / 2**30
    versions = library_versions()
    told = [
        f"{machine_kind()}, {memory:.0f} GiB memory",
        "versions: " + ", ".join(f"{name} {version}" for name, version in versions.items()),
        f"load at the start: {os.getloadavg()[0]:.1f}",
    ]
    return "\n".join(f"- {line}" for line in told)


def section(script: Path) -> str:
    """Return a benchmark's part of the page: what its docstring says, what it printed."""
    title, _, about = (ast.get_docstring(ast.parse(script.read_text("utf8"))) or "").partition("\n")
    parts = [f"## {title.rstrip('.')}", about.strip()]
    for options in MORE.get(script.name, [[]]):
        command = [f"benchmarks/{script.name}", *options]
        logger.info("%s", " ".join(command))
        done = subprocess.run(
            [sys.executable, *command], cwd=HERE.parent, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        parts.append(f"```text\n{done.stdout.strip()}\n```")
    parts += [
        f"![{path.stem.replace('_', ', ')}](images/{path.name})"
        for path in sorted(PICTURES.glob(f"{script.stem}_*.svg"))
    ]
    return "\n\n".join(parts)


def main() -> None:
    """Run every benchmark and write the page."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    head = "# Performance\n\nWritten by `make bench`. Ratios hold better than times, which mean "
    head += "something where the load at the start was low.\n\n"
    head += machine()
    scripts = [path for path in sorted(HERE.glob("*.py")) if path.name != Path(__file__).name]
    sections = [section(script) for script in scripts]
    PAGE.write_text("\n\n".join([head, *sections]) + "\n", encoding="utf8")


if __name__ == "__main__":
    main()
