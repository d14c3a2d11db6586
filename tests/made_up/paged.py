"""Everything that the page of all results shows, made up: two methods, two seeds, four classes."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

from tests.made_up.figures import attention_file, dataset
from tests.made_up.runs import made_up
from zslpipe.formats.scores import write_scores
from zslpipe.reports.figures.curves import seen_unseen_curves
from zslpipe.reports.figures.losses import loss_curves
from zslpipe.reports.page.given import Given, sorted_files
from zslpipe.reports.tables.results import write_tables

CLASSES = ("a", "b", "Sooty_gull", "d")
SEEN = np.array([True, True, False, False])
# (method, variant, rebalancing) -> seed -> T1, U, S; H and AUSUC follow. 60.152 per cent are 60.2;
# main.csv says 60.15, which is 60.1 (no number of binary digits is 60.15).
NUMBERS = {
    ("dazle", "default", "none"): ((0.71, 0.12345, 0.8), (0.73, 0.12365, 0.9)),
    ("dazle", "<i>odd & long</i>", "none"): ((0.5, 0.60152, 0.7), (0.5, 0.60152, 0.72)),
    ("eszsl", "default", "none"): ((0.4, 0.3, 0.6), (0.4, 0.3, 0.6)),
    ("eszsl", "default", "oracle"): ((0.4, 0.4, 0.7), (0.4, 0.4, 0.7)),
}
CONFIGURATION = {"seeds": [0, 1], "methods": ["dazle", "eszsl"], "datasets": {"demo": {}}}


def metrics(result: tuple[str, str, str], seed: int) -> dict[str, object]:
    """metrics.json of a result from a seed."""
    method, variant, rebalancing = result
    first, unseen, seen = NUMBERS[result][seed]
    identity = {"dataset": "demo", "method": method, "variant": variant, "seed": seed}
    identity |= {"extractor": "small", "semantics": "att (unit)", "words": ""}
    identity |= {"selection": "last epoch", "rebalancing": rebalancing, "protocol": "demo split"}
    return identity | {
        "versions": {"torch": "2.6.0"},
        "reads": {"input": "regions", "backbone": "demo", "size": 112},
        "T1": first,
        "U": unseen,
        "S": seen,
        "H": 2 * unseen * seen / (unseen + seen),
        "AUSUC": unseen * seen,
        "curve": {"U": [0, unseen, first], "S": [0.95, seen, 0]},
        "per_class": {"U": {"Sooty_gull": unseen, "d": unseen / 2}, "S": {"a": seen, "b": seen}},
    }


def write_results(folder: Path) -> list[Path]:
    """Write the files of the chain under results/; return those that the page is given."""
    results = folder / "results"
    own = results / "demo"
    own.mkdir(parents=True)
    dataset(own)
    files = [own / "index.h5"]
    for number, result in enumerate(NUMBERS):
        method, _, rebalancing = result
        for seed in (0, 1):
            run = own / "runs" / method / f"variant{number}" / f"seed{seed}"
            run.mkdir(parents=True)
            (run / "metrics.json").write_text(json.dumps(metrics(result, seed)))
            files.append(run / "metrics.json")
            if method == "dazle":
                files.append(history(run / "history.csv", seed))
        if rebalancing == "none":
            files.append(scores(own / "runs" / f"{number}" / "scores.h5", result))
    files += [*maps(own / "maps"), *explained(own / "explained"), located(own / "located")]
    tables = write_tables([path for path in files if path.name == "metrics.json"], results / "t")
    localization = results / "localization.md"
    localization.write_text("| Tenth | Fifth |\n|------:|------:|\n")
    return [*files, tables[0], localization, *drawn(files, results / "figures")]


def history(path: Path, seed: int) -> Path:
    """history.csv of two epochs of half a minute."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("phase", "stage", "epoch", "step", "loss", "seconds"))
        writer.writerows([("train", "", 1, 5, 2 + seed, 30), ("train", "", 2, 9, 1, 30)])
    return path


def scores(path: Path, result: tuple[str, str, str]) -> Path:
    """scores.h5 that says how its run was configured."""
    method, variant, _ = result
    run = {"dataset": "demo", "method": method, "variant": variant, "seed": 0}
    matrix = made_up(1, SEEN, CLASSES, images=8, bias=1.0)
    settings = {"lr": 0.125, "epochs": 2}
    path.parent.mkdir(parents=True)
    named = replace(matrix, method=method, variant=variant, run=run | {"settings": settings})
    write_scores(path, named)
    return path


def maps(folder: Path) -> list[Path]:
    """attention.h5 of maps of attributes, and of found parts."""
    folder.mkdir()
    (folder / "found").mkdir()
    generator = np.random.default_rng(2)
    found = folder / "found" / "attention.h5"
    with h5py.File(found, "w") as file:
        for name in ("part_maps", "channel_maps"):
            file[name] = generator.random((2, 2, 7, 7)).astype(np.float16)
        file["images"] = file["labels"] = file["predicted"] = np.array([2, 3])
        file.attrs.update({"method": "sgma", "variant": "default", "dataset": "demo", "seed": 0})
        file.attrs.update({"kind": "parts", "complete": True})
        file.attrs.update({"cell_first": 0.02, "cell_step": 1 / 7})
    scored = np.array([[0.1, 0.25, 0.3, 0.4], [1, 2, 3, -4.5]])
    return [attention_file(folder / "attention.h5", scores=scored), found]


def explained(folder: Path) -> list[Path]:
    """gradcam.h5 of two images, two attributes taken away."""
    folder.mkdir()
    generator = np.random.default_rng(3)
    with h5py.File(folder / "gradcam.h5", "w") as file:
        file["maps"] = generator.random((2, 4, 4)).astype(np.float32)
        file["maps_without"] = generator.random((2, 2, 4, 4)).astype(np.float32)
        file["images"] = file["labels"] = np.array([2, 3])
        file["predicted"], file["attributes"] = np.array([2, 0]), np.array([[0, 2], [1, 3]])
        attrs = {"method": "crafting", "variant": "x", "dataset": "demo", "seed": 0}
        file.attrs.update(attrs | {"complete": True, "run": "{}"})
        file.attrs.update({"cell_first": 0.02, "cell_step": 0.25})
    return [folder / "gradcam.h5"]


def located(folder: Path) -> Path:
    """localization.json: the head is hit in a half of the cases, the tail in a tenth."""
    folder.mkdir()
    shares = []
    for of, name, fifth in (("overall", "", 0.3), ("part", "head", 0.5), ("part", "tail", 0.1)):
        measures = {"fifth": fifth, "random_fifth": 0.04, "centre_fifth": 0.2, "best_fifth": 1.0}
        measures |= {measure.replace("fifth", "tenth"): 0.01 for measure in measures}
        shares.append({"images": "unseen", "of": of, "name": name, "pairs": 9} | measures)
        of_seen = {"images": "seen", "of": of, "name": name, "pairs": 9}
        shares.append(of_seen | dict.fromkeys(measures, 1.0))
    who = {"dataset": "demo", "method": "dazle", "variant": "default", "seed": 0}
    text = json.dumps(who | {"kind": "attributes", "shares": shares})
    (folder / "localization.json").write_text(text)
    return folder / "localization.json"


def drawn(files: list[Path], folder: Path) -> list[Path]:
    """Figures of the dataset and of a run."""
    of_kind = {
        name: [path for path in files if path.name == name]
        for name in ("metrics.json", "history.csv")
    }
    curves = seen_unseen_curves(of_kind["metrics.json"], folder / "demo.curves")
    losses = loss_curves(of_kind["history.csv"][:2], folder / "demo.dazle.default.losses")
    return [curves[0], losses[0]]


def given(folder: Path) -> Given:
    """What the page is made of, with a measured job and a study."""
    files = write_results(folder)
    measured = folder / "benchmarks" / "train" / "demo" / "dazle" / "variant0"
    measured.mkdir(parents=True)
    for seed, seconds in ((0, 61.5), (1, 58.5)):
        text = f"s\th:m:s\tmax_rss\n{seconds}\t0:01:01\t{400 + seed}\n"
        (measured / f"seed{seed}.tsv").write_text(text)
    (folder / "studies").mkdir()
    (folder / "studies" / "dazle_table2.md").write_text("| a | b |\n|:--|--:|\n| x | 1 |\n")
    images = {"demo": folder / "results" / "demo"}
    folders = folder / "benchmarks", folder / "studies"
    return Given(sorted_files(files), images, CONFIGURATION, *folders)
