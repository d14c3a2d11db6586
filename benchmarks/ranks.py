"""Extraction by one, two and four processes: images a second of the whole command, and whether the
files are equal.

Run: python benchmarks/ranks.py [IMAGES WEIGHTS --network mobilenet_v2 --count 1000 --size 224
--grid 7 --rounds 1 --ranks 1 2 4]. IMAGES is a folder of pictures, of which the first of the
alphabet are taken; without it JPEGs of 500 x 375 are rendered in a temporary folder. Without
WEIGHTS they are random. Numbers of ranks take turns; each process has one thread, so that two cores
are full with two. Wall clock and CPU time of all processes; each process starts Python and torch,
which the last column leaves out (the command over no more than one image, by CPU time, a rank).
"""

import argparse
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from extract import write_images

from zslpipe.formats.image_list import write_image_list


def parse() -> argparse.Namespace:
    """Return what the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("images", type=Path, nargs="?")
    parser.add_argument("weights", type=Path, nargs="?")
    parser.add_argument("--network", default="mobilenet_v2")
    for name, default in (("count", 1000), ("size", 224), ("grid", 7), ("rounds", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--ranks", type=int, nargs="+", default=[1, 2, 4])
    return parser.parse_args()


def extract(given: argparse.Namespace, images: Path, output: Path, ranks: int) -> tuple[float, ...]:
    """Run the command over the list ``images``; return seconds of wall clock and of processors."""
    settings = {"name": "x", "backbone": given.network, "size": given.size, "grid": given.grid}
    compute = {"device": "cpu", "extract_tasks": ranks}
    words = [sys.executable, "-m", "zslpipe", "extract-irrelevant", "--index", str(images)]
    words += ["--images", str(given.images.absolute())]
    if given.weights is None:
        settings["weights"] = "random"
    else:
        words += ["--weights", str(given.weights.absolute())]
    words += ["--settings", json.dumps({**settings, "features_version": 1})]
    words += ["--compute", json.dumps(compute), "--threads", str(ranks), "--output", str(output)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    subprocess.run(words, env=environment, check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return time.monotonic() - start, used


def main() -> None:
    """Measure and print a line a run."""
    given = parse()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if given.images is None:
            given.images = folder / "images"
            given.images.mkdir()
            write_images(given.images, given.count)
        found = sorted(given.images.rglob("*.jpg"))[: given.count]
        names = [path.relative_to(given.images).as_posix() for path in found]
        write_image_list(folder / "all.h5", "measured", {}, names)
        write_image_list(folder / "one.h5", "measured", {}, names[:1])
        _, begin = extract(given, folder / "one.h5", folder / "x.h5", 1)
        print(f"{len(names)} images, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for _ in range(given.rounds):
            for ranks in given.ranks:
                output = folder / "features.h5"
                output.unlink(missing_ok=True)
                wall, used = extract(given, folder / "all.h5", output, ranks)
                digest = hashlib.sha256(output.read_bytes()).hexdigest()[:16]
                print(
                    f"{ranks} ranks: {wall:.1f} s, {len(names) / wall:.2f} images/s; CPU "
                    f"{used:.1f} s, {len(names) / (used - ranks * begin):.2f} images/s of one "
                    f"core; sha256 {digest}, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )


if __name__ == "__main__":
    main()
